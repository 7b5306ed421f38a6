"""Two records of one person, or of one company, are merged, and un-merged. Nothing is copied and
nothing rewritten: each keeps its stream, and from then on they decide and answer together, as one.

The *survivor* is whom they are known as. What is new is written on it; what goes on with something
that a merged record holds, such as a candidacy or a job order, is written where that is. So each
has its own again once they are un-merged, with what became of it meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar, Self, TypeVar
from uuid import UUID

from .entry import (
    Actor,
    Aggregate,
    CompanyFact,
    Event,
    Instant,
    PersonFact,
    Reason,
    Sealed,
    words,
)
from .permission import OffLimitsWord, Said, Word
from .refusals import Conflict, Invalid, Unknown


def _why(reason: Reason) -> str:
    return f": {words(reason)}" if reason else ""


class Absorbed(Event, frozen=True, kw_only=True):
    """Another record is about them too: on the one that they are known as from now on."""

    duplicate_id: UUID
    absorbed_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"a duplicate merged into this record{_why(self.reason)}"


class Merged(Event, frozen=True, kw_only=True):
    """It is about somebody who has another record, and goes on as part of that."""

    survivor_id: UUID
    merged_at: Instant
    reason: Reason = ""

    @property
    def line(self) -> str:
        return f"merged into another record{_why(self.reason)}"


class Unmerged(Event, frozen=True, kw_only=True):
    """They were two after all: on both, each naming the other."""

    other_id: UUID
    unmerged_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"un-merged from another record{_why(self.reason)}"


class PersonAbsorbed(PersonFact, Absorbed, frozen=True, kw_only=True, tag="person.absorbed"):
    """Another record is about them too: on the one that they are known as from now on."""


class PersonMerged(PersonFact, Merged, frozen=True, kw_only=True, tag="person.merged"):
    """It is about somebody who has another record, and goes on as part of that."""


class PersonUnmerged(PersonFact, Unmerged, frozen=True, kw_only=True, tag="person.unmerged"):
    """They were two after all: on both, each naming the other."""


class CompanyAbsorbed(CompanyFact, Absorbed, frozen=True, kw_only=True, tag="company.absorbed"):
    """Another record is of the same firm: on the one that it is known as from now on."""


class CompanyMerged(CompanyFact, Merged, frozen=True, kw_only=True, tag="company.merged"):
    """It is of a firm that has another record, and goes on as part of that."""


class CompanyUnmerged(CompanyFact, Unmerged, frozen=True, kw_only=True, tag="company.unmerged"):
    """They were two after all: on both, each naming the other."""


MergeFacts = PersonAbsorbed | PersonMerged | PersonUnmerged
CompanyMergeFacts = CompanyAbsorbed | CompanyMerged | CompanyUnmerged


MOST_TOGETHER = 100
"""Records of one person or company: each decision on them holds all of them in hand."""


class RecordIsMerged(Conflict):
    """This record is merged into another, which survivor_id names: look at that one, and decide
    there."""


class MergedWithItself(Invalid):
    """A record is merged with another one, not with itself."""

    field = "duplicate_id"


class BothOnJobOrder(Conflict):
    """Both are on the same job order, and neither is out: close one of these candidacies first."""


class BothPlacedThere(Conflict):
    """Both are placed on the same job order: one opening is not filled by one person twice."""


class BelongTogether(Conflict):
    """One of these companies belongs to the other, directly or through others: merged it would
    belong to itself. If they are one firm all the same, take its parent away first."""


class PermittedSince(Conflict):
    """Since that moment the survivor said that we may contact them, and we knew of one record only:
    merge them as of a later moment, so that it does not speak for the other."""


class LiftedSince(Conflict):
    """Since that moment off-limits was lifted on the survivor, and we knew of one record only:
    merge them as of a later moment, so that it does not speak for the other."""


class TooManyMerged(Conflict):
    """There would be more records of this person or company than are merged into one: look whether
    they are one."""


class NotMerged(Unknown):
    """This record has absorbed no such record, or is un-merged from it already."""


K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W", Word, OffLimitsWord)


class Mergeable(Aggregate):
    """A record that decides as one with those that are merged into it (``beside``).

    ``AS_MERGED``, ``AS_UNMERGED``: its own kinds of these facts.
    """

    AS_MERGED: ClassVar[type[Merged]]
    AS_UNMERGED: ClassVar[type[Unmerged]]

    def __init__(self) -> None:
        self.absorbed: dict[UUID, datetime] = {}  # and when
        self.merged_into: UUID | None = None

    @property
    def goes_on_as(self) -> UUID | None:
        return self.merged_into

    @property
    def goes_on_with(self) -> Sequence[UUID]:
        return [*self.absorbed]

    def enter(self, event: Event, *, by: Actor) -> None:
        """Where what it is about is held, else here. Raises NotYet."""
        if self.beside:
            holder = next((one for one in self.everyone if one._holds(event)), self)
            if holder is not self:
                return holder.enter(event, by=by)
        super().enter(event, by=by)

    def _holds(self, event: Event) -> bool:
        """This record itself has what the fact goes on with."""
        raise NotImplementedError

    def must_be_here(self) -> None:
        """First of all. Raises if nothing is written about them any more."""

    def together(self, of: Callable[[Self], dict[K, V]]) -> dict[K, V]:
        """What is kept of all of them; what the survivor has comes before others."""
        if not self.beside:
            return of(self)
        return {key: each for one in reversed(self.everyone) for key, each in of(one).items()}

    def turn(self, fact: Event, having: Sequence[Mergeable], *, there: bool, by: Actor) -> None:
        """It is so from now on, or no longer with any of those who have it."""
        if there and not having:
            self.enter(fact, by=by)
        for one in () if there else having:
            one.enter(fact, by=by)

    def said(self, of: Callable[[Self], Said[W]]) -> list[Said[W]]:
        """On each of the records; each may forbid it. What is said on the survivor since they are
        merged counts for those that it has absorbed."""
        own = of(self)
        found = [own]
        for other in self.beside:
            since = self.absorbed[other.id]
            later = [word for word in own.words if word.said_at >= since]
            found += [said.followed_by(later) for said in other.said(of)]
        return found

    def absorb(self, duplicate: Self, fact: Absorbed, *, by: Actor) -> None:
        """Both go on as this one. Again, it is a no-op. Raises MergedWithItself, TooManyMerged, and
        as ``must_be_here`` and ``_must_fit``."""
        self.must_be_here()
        if fact.duplicate_id == self.id:
            raise MergedWithItself()
        if fact.duplicate_id in (one.id for one in self.everyone):
            return
        duplicate.must_be_here()
        if len(self.everyone) + len(duplicate.everyone) > MOST_TOGETHER:
            raise TooManyMerged(**{f"{self.TOPIC}_id": self.id}, most=MOST_TOGETHER)
        self._must_fit(duplicate, fact)
        merged = self.AS_MERGED(survivor_id=self.id, merged_at=fact.absorbed_at, reason=fact.reason)
        duplicate.enter(merged, by=by)
        self.enter(fact, by=by)
        self.beside = (*self.beside, duplicate)

    def _must_fit(self, duplicate: Self, fact: Absorbed) -> None:
        """Raises if they cannot be one."""

    def separate(
        self, other_id: UUID, *, at: datetime, reason: Reason = "", text: str = "", by: Actor
    ) -> None:
        """Raises NotMerged, and as ``must_be_here``."""
        self.must_be_here()
        other = next((one for one in self.beside if one.id == other_id), None)
        if other is None:
            raise NotMerged(**{f"{self.TOPIC}_id": self.id}, other_id=other_id)
        for one, named in ((other, self.id), (self, other_id)):
            fact = self.AS_UNMERGED(other_id=named, unmerged_at=at, reason=reason, text=text)
            one.enter(fact, by=by)
        self.beside = tuple([one for one in self.beside if one is not other])

    def apply(self, event: Event) -> None:
        match event:
            case Absorbed(duplicate_id=id, absorbed_at=at):
                self.absorbed[id] = at
            case Merged(survivor_id=id):
                self.merged_into = id
            case Unmerged(other_id=id):
                if self.merged_into == id:
                    self.merged_into = None
                self.absorbed.pop(id, None)
