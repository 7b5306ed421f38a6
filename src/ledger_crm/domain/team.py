"""Teams: consultants who work together, each from a day and until one; a consultant may be in
several.

    define -> (revise | join | leave)*
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from functools import lru_cache
from typing import Annotated, Self
from uuid import UUID

import msgspec

from .consultant import Presence, day_after
from .entry import Actor, Aggregate, Event, Slug, id_of, words
from .fee import Consultant
from .refusals import Conflict


class TeamDefined(Event, frozen=True, kw_only=True, tag="team.defined"):
    """What a team is called and what for; each one replaces the one before.

    purpose  what it is for, in words that name nobody
    retired  nobody new comes in; who is in stays
    """

    slug: Slug
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    purpose: Annotated[str, msgspec.Meta(max_length=500)] = ""
    retired: bool = False

    @property
    def line(self) -> str:
        return f"team {words(self.slug)} " + ("retired" if self.retired else "defined")


class TeamJoined(Event, frozen=True, kw_only=True, tag="team.joined"):
    """A consultant is in it.

    joined_on  their first day in it
    """

    consultant: Consultant
    joined_on: date

    @property
    def line(self) -> str:
        return f"{self.consultant} in the team from {self.joined_on} on"

    @property
    def turn(self) -> tuple[date, bool]:
        return self.joined_on, True


class TeamLeft(Event, frozen=True, kw_only=True, tag="team.left"):
    """A consultant is in it no longer.

    left_on  their last day in it
    """

    consultant: Consultant
    left_on: date

    @property
    def line(self) -> str:
        return f"{self.consultant} in the team until {self.left_on}"

    @property
    def turn(self) -> tuple[date, bool]:
        return day_after(self.left_on), False


Membership = TeamJoined | TeamLeft
TeamEvents = TeamDefined | Membership


class TeamIsRetired(Conflict):
    """This team is retired: nobody new comes in."""


class NotInTeam(Conflict):
    """This consultant is not in this team on that day."""


@lru_cache(256)
def team_id(slug: str) -> UUID:
    return id_of("team", slug)


class Team(Aggregate):
    TOPIC = "team"

    def __init__(self) -> None:
        self.members: defaultdict[str, Presence] = defaultdict(Presence)

    @classmethod
    def define(cls, definition: TeamDefined, *, by: Actor) -> Self:
        return cls.open(definition, by=by, id=team_id(definition.slug))

    def revise(self, definition: TeamDefined, *, by: Actor) -> None:
        """The same again is a no-op."""
        if definition != self.definition:
            self.enter(definition, by=by)

    def change_members(self, fact: Membership, *, by: Actor) -> None:
        """What is so already is a no-op. Raises TeamIsRetired, NotInTeam."""
        known = self.members[fact.consultant] if fact.consultant in self.members else Presence()
        day, is_in = fact.turn
        if known.turns.get(day) is is_in:
            return
        match fact:
            case TeamJoined() if self.definition.retired:
                raise TeamIsRetired(team=self.definition.slug)
            case TeamLeft(left_on=last) if not known.on(last):
                raise NotInTeam(team=self.definition.slug, consultant=fact.consultant)
        self.enter(fact, by=by)

    def apply(self, event: Event) -> None:
        match event:
            case TeamDefined():
                self.definition = event
            case TeamJoined() | TeamLeft():
                day, is_in = event.turn
                self.members[event.consultant].turns[day] = is_in
