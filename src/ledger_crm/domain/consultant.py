"""Consultants: who of us there is.

    add -> rename* -> leave -> return -> ...

Everywhere else they are named as actors are, like ``consultant:ana``, and that never changes. Who
left keeps what is theirs, and is given nothing for a day after their last one. As long as nobody is
on record any name is taken: keys and imports name people before any catalogue does. From the first
one on, whom a command names is on record, or it is refused.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Self
from uuid import UUID

from .entry import Actor, Aggregate, Event, Reason, Sealed, id_of, words
from .fee import Consultant
from .person import must_be_a_name
from .refusals import Conflict, Invalid, Unknown


class ConsultantAdded(Event, frozen=True, kw_only=True, tag="consultant.added"):
    """Somebody of us.

    consultant  as whom they write, like consultant:ana
    joined_on   their first day; None: not told
    """

    consultant: Consultant
    name: Sealed
    joined_on: date | None = None

    @property
    def line(self) -> str:
        return f"{self.consultant} added"


class ConsultantRenamed(Event, frozen=True, kw_only=True, tag="consultant.renamed"):
    """They are called otherwise now; what they are written as stays."""

    name: Sealed

    @property
    def line(self) -> str:
        return "consultant renamed"


class ConsultantLeft(Event, frozen=True, kw_only=True, tag="consultant.left"):
    """They are no longer with us.

    left_on  their last day, which may lie ahead
    """

    left_on: date
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        why = f": {words(self.reason)}" if self.reason else ""
        return f"consultant leaves after {self.left_on}{why}"


class ConsultantReturned(Event, frozen=True, kw_only=True, tag="consultant.returned"):
    """They are with us again, from this day on."""

    returned_on: date
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"consultant is back from {self.returned_on} on"


ConsultantChanges = ConsultantRenamed | ConsultantLeft | ConsultantReturned
ConsultantEvents = ConsultantAdded | ConsultantChanges


class NoSuchConsultant(Unknown):
    """No consultant of this name is on record: correct it, or add them first, also if they left."""


class ConsultantHasLeft(Conflict):
    """This consultant has left: they keep what is theirs, and are given nothing new."""


class LeftBeforeJoining(Invalid):
    """Their last day lies before their first one."""

    field = "left_on"


def consultant_id(consultant: str) -> UUID:
    return id_of("consultant", consultant)


def day_after(day: date) -> date:
    return day if day == date.max else day + timedelta(days=1)


class Presence:
    """Who is here, or in a team, from which day on. Facts come in any order: of two about one day
    the last one written holds."""

    def __init__(self) -> None:
        self.turns: dict[date, bool] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Presence) and self.turns == other.turns

    def on(self, day: date) -> bool | None:
        """None: nobody said anything by then."""
        turned = max((each for each in self.turns if each <= day), default=None)
        return None if turned is None else self.turns[turned]


class ConsultantRecord(Aggregate):
    TOPIC = "consultant"

    def __init__(self) -> None:
        self.consultant = ""
        self.name = ""
        self.joined_on: date | None = None
        self.here = Presence()

    @classmethod
    def add(cls, fact: ConsultantAdded, *, by: Actor) -> Self:
        """Raises NameMissing, NotOneLine."""
        must_be_a_name(fact.name)
        return cls.open(fact, by=by, id=consultant_id(fact.consultant))

    def change(self, fact: ConsultantChanges, *, by: Actor) -> None:
        """What is so already is a no-op. Raises NameMissing, NotOneLine, LeftBeforeJoining."""
        match fact:
            case ConsultantRenamed(name=name):
                must_be_a_name(name)
                changes = name != self.name
            case ConsultantLeft(left_on=day):
                if self.joined_on and day < self.joined_on:
                    raise LeftBeforeJoining(joined_on=self.joined_on)
                changes = self.here.turns.get(day_after(day)) is not False
            case ConsultantReturned(returned_on=day):
                changes = not self.here.on(day)
        if changes:
            self.enter(fact, by=by)

    def must_be_here(self, day: date) -> None:
        """Raises ConsultantHasLeft. Before their first day too they are given things."""
        if self.here.on(day) is False:
            raise ConsultantHasLeft(consultant=self.consultant)

    def apply(self, event: Event) -> None:
        match event:
            case ConsultantAdded():
                self.consultant, self.name = event.consultant, event.name
                self.joined_on = event.joined_on
                self.here.turns[event.joined_on or date.min] = True
            case ConsultantRenamed(name=name):
                self.name = name
            case ConsultantLeft(left_on=day):
                self.here.turns[day_after(day)] = False
            case ConsultantReturned(returned_on=day):
                self.here.turns[day] = True
