"""Two records of one person are merged, and un-merged. Nothing is copied and nothing rewritten:
each keeps its stream, and from then on they decide and answer together, as one.

The *survivor* is whom they are known as. What is new is written on it; what goes on with something
that a merged record holds, such as a candidacy, is written where that is. So each has its own again
once they are un-merged, with what became of it meanwhile.
"""

from __future__ import annotations

from uuid import UUID

from .entry import Instant, PersonFact, Reason, Sealed, words
from .refusals import Conflict, Invalid, Unknown


class PersonAbsorbed(PersonFact, frozen=True, kw_only=True, tag="person.absorbed"):
    """Another record is about them too: on the one that they are known as from now on."""

    duplicate_id: UUID
    absorbed_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "a duplicate merged into this record" + (
            f": {words(self.reason)}" if self.reason else ""
        )


class PersonMerged(PersonFact, frozen=True, kw_only=True, tag="person.merged"):
    """It is about somebody who has another record, and goes on as part of that."""

    survivor_id: UUID
    merged_at: Instant
    reason: Reason = ""

    @property
    def line(self) -> str:
        return "merged into another record" + (f": {words(self.reason)}" if self.reason else "")


class PersonUnmerged(PersonFact, frozen=True, kw_only=True, tag="person.unmerged"):
    """They were two after all: on both, each naming the other."""

    other_id: UUID
    unmerged_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "un-merged from another record" + (f": {words(self.reason)}" if self.reason else "")


MergeFacts = PersonAbsorbed | PersonMerged | PersonUnmerged


MOST_TOGETHER = 100
"""Records of one person: each decision on them holds all of them in hand."""


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


class PermittedSince(Conflict):
    """Since that moment the survivor said that we may contact them, and we knew of one record only:
    merge them as of a later moment, so that it does not speak for the other."""


class TooManyMerged(Conflict):
    """There would be more records of this person than are merged into one: look whether they are
    one person."""


class NotMerged(Unknown):
    """This record has absorbed no such record, or is un-merged from it already."""
