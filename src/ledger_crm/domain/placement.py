"""A placement: what becomes of a candidacy once they took the job.

    place -> split_commission* -> start -> (fall_through | end_guarantee)?

Rules: the fee is fixed when they are placed, by the terms at the introduction; nobody is placed
full-time in two jobs at once but by a named consultant who says why; commissions sum to 100 %; what
a fall-through costs us is by the terms too; whoever is hired past us within the tail is flagged.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .candidacy import CandidacyFact, Deciders
from .clock import today
from .entry import Cents, Currency, Instant, NotYet, Reason, Sealed, words
from .fee import Share, Terms, amount, rebate
from .refusals import Conflict, Forbidden, Invalid

Remedy = Literal["rebate", "replacement", "none"]
FIRST_YEAR = timedelta(days=365)


class PlacementFact(CandidacyFact, frozen=True, kw_only=True):
    """Common to all."""


class PlacementStarted(PlacementFact, frozen=True, kw_only=True, tag="person.placement_started"):
    """They came to work.

    starts_on           the first day, as it was
    guarantee_until_on  the last day within which a fall-through has a remedy; None: there is none
    """

    starts_on: date
    guarantee_until_on: date | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        until = f", guarantee until {self.guarantee_until_on}" if self.guarantee_until_on else ""
        return f"started{until}"


class FellThrough(PlacementFact, frozen=True, kw_only=True, tag="person.fell_through"):
    """They left, or never came.

    left_on       the last day at work; the day on which they said so, if they never came
    day           of the guarantee, 1 being the first one at work; 0: they never came
    decided_by    whose decision it was
    remedy        by the terms at the introduction
    rebate_cents  of the fee, what is not owed any more
    """

    left_on: date
    day: Annotated[int, msgspec.Meta(ge=0)]
    reason: Reason
    decided_by: Deciders
    remedy: Remedy
    rebate_cents: Cents = 0
    currency: Currency
    text: Sealed = ""

    @property
    def line(self) -> str:
        what = f"fell through on day {self.day}" if self.day else "fell through before the start"
        rebate = f"rebate {amount(self.rebate_cents, self.currency)}"
        owed = {"rebate": rebate, "replacement": "replacement owed", "none": "no remedy"}
        return f"{what}: {words(self.reason) or 'no reason'}, {owed[self.remedy]}"


class GuaranteeEnded(PlacementFact, frozen=True, kw_only=True, tag="person.guarantee_ended"):
    """They stayed: the fee is no longer at risk.

    ended_on  the first day without it
    """

    ended_on: date

    @property
    def line(self) -> str:
        return "guarantee ended"


class CommissionSplit(PlacementFact, frozen=True, kw_only=True, tag="person.commission_split"):
    """Whose placement it was, in place of what was said before."""

    shares: Annotated[tuple[Share, ...], msgspec.Meta(min_length=1, max_length=20)]
    split_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        parts = (f"{each.consultant} {each.share_bp / 100:g} %" for each in self.shares)
        return f"commission split: {', '.join(parts)}"


class BackdoorSuspected(PlacementFact, frozen=True, kw_only=True, tag="person.backdoor_suspected"):
    """They work at a client to whom we introduced them, within the tail, and we did not place them.

    starts_on      the first day there, or the day on which we heard of it
    tail_until_on  the last day of the tail
    """

    starts_on: date
    tail_until_on: date
    agreement_id: UUID
    agreement_version: int = 1

    @property
    def line(self) -> str:
        return f"hired past us, within the tail until {self.tail_until_on}"


PlacementFacts = (
    PlacementStarted | FellThrough | GuaranteeEnded | CommissionSplit | BackdoorSuspected
)


class NotPlaced(Conflict):
    """They are not placed on this job order."""


class HasStarted(Conflict):
    """They have started already."""


class NotStarted(Conflict):
    """They have not started yet."""


class HasFallenThrough(Conflict):
    """This placement has fallen through."""


class GuaranteeRuns(Conflict):
    """The guarantee is not over yet."""


class GuaranteeIsOver(Conflict):
    """The guarantee of this placement is over; what comes after has no remedy."""


class PlacedAtOnce(Forbidden):
    """This person is placed full-time in another job at that time. A consultant may do it all the
    same, and says why."""


class PayUnclear(Invalid):
    """Say either what counts as first-year pay, or the pay by its parts."""

    field = "first_year_pay_cents"


class LeftBeforeStart(Invalid):
    """The last day at work lies before the first one."""

    field = "left_on"


class Placement(msgspec.Struct):
    """What the next decision on it needs."""

    starts_on: date
    fee_cents: int
    full_time: bool = True
    replaces: bool = False
    placed_at: datetime | None = None
    sharers: frozenset[str] = frozenset()  # who of us has a part in the commission
    started: bool = False
    fallen: bool = False
    guarantee_until_on: date | None = None
    guarantee_over: bool = False

    def holds(self, left_on: date | None, on: date) -> bool:
        """Are they in that job then, as far as we know? We take it that somebody stays for the
        first year, which the fee was reckoned on, unless they left."""
        gone = left_on is not None and self.starts_on <= left_on < on
        near = abs(on - self.starts_on) < FIRST_YEAR
        return self.full_time and not self.fallen and not gone and near

    def must_start(self, on: date) -> None:
        """Raises HasStarted, HasFallenThrough, NotYet."""
        if self.fallen:
            raise HasFallenThrough()
        if self.started:
            raise HasStarted(starts_on=self.starts_on)
        must_be_past(on, "starts_on")

    def must_fall(self, left_on: date) -> None:
        """Raises HasFallenThrough, LeftBeforeStart, NotYet."""
        if self.fallen:
            raise HasFallenThrough()
        if self.started and left_on < self.starts_on:
            raise LeftBeforeStart(starts_on=self.starts_on)
        must_be_past(left_on, "left_on")

    def must_end_guarantee(self) -> None:
        """Raises NotStarted, HasFallenThrough, GuaranteeIsOver, GuaranteeRuns."""
        if self.fallen:
            raise HasFallenThrough()
        if not self.started:
            raise NotStarted()
        if self.guarantee_over or self.guarantee_until_on is None:
            raise GuaranteeIsOver()
        if self.guarantee_until_on >= today():
            raise GuaranteeRuns(guarantee_until_on=self.guarantee_until_on)

    def day(self, left_on: date) -> int:
        return (left_on - self.starts_on).days + 1 if self.started else 0

    def remedy(self, terms: Terms, left_on: date, *, covered: bool) -> tuple[Remedy, int]:
        """And what of the fee is not owed any more. Who never came costs nothing, and who was to
        replace somebody leaves us owing that; ``covered`` False: the guarantee does not hold for
        why they left."""
        if not self.started:
            return ("replacement" if self.replaces else "none"), self.fee_cents
        day = self.day(left_on)
        if not covered or day > terms.guarantee_days:
            return "none", 0
        if not terms.ladder:
            return "replacement", 0
        back = rebate(terms, self.fee_cents, day=day)
        return ("rebate" if back else "none"), back


def must_be_past(day: date, field: str) -> None:
    """A day ahead of ours it may be elsewhere. Raises NotYet."""
    if day > today() + timedelta(days=1):
        raise NotYet(field=field)
