"""A job order: the client asks for somebody. Its facts are on the company's stream.

    open -> (change | staff)* -> hold | cover | fill* | lose | cancel -> reopen | vacate -> ...

Rules: on an order that is not open nobody is taken up and nobody is introduced; one that is covered
goes on with whom it has; of several openings each is filled by itself, and the last one closes the
order, until somebody who was found is gone again; the shares of the consultants in the commission
sum to the whole.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .entry import (
    Cents,
    CompanyFact,
    Currency,
    IdTaken,
    Instant,
    Reason,
    Reservation,
    Sealed,
    Slug,
    Title,
    Words,
    new_id,
    words,
)
from .fee import Consultant, Share, must_sum_up
from .refusals import Conflict, Invalid, Unknown
from .screening import Question, Questions, must_make_sense

Status = Literal["open", "on_hold", "covered", "filled", "lost", "cancelled"]
IN_WORK: frozenset[Status] = frozenset(("open", "covered"))
OVER: frozenset[Status] = frozenset(("filled", "lost", "cancelled"))

Openings = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
MustHaves = Annotated[tuple[Words, ...], msgspec.Meta(max_length=40)]


class JobOrderOpened(CompanyFact, frozen=True, kw_only=True, tag="company.job_order_opened"):
    """The client asks for somebody.

    pipeline           the candidates' way through it
    hiring_manager_id  the person at the client who wants them
    requisition        the client's own number for it
    must_haves         what the client will not do without; whoever introduces somebody judges it
    confidential       the client is not to be named outside, and of us only those see it who
                       work on it
    """

    job_order_id: UUID = msgspec.field(default_factory=new_id)
    title: Title
    openings: Openings = 1
    pipeline: Slug = "talent"
    opened_at: Instant
    location: Words = ""
    requisition: Words = ""
    hiring_manager_id: UUID | None = None
    salary_from_cents: Cents = 0
    salary_to_cents: Cents = 0
    currency: Currency = "EUR"
    must_haves: MustHaves = ()
    confidential: bool = False

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("job_order", str(self.job_order_id), IdTaken),)

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.hiring_manager_id,) if self.hiring_manager_id else ()

    @property
    def line(self) -> str:
        return f"job order opened, {self.openings} to fill"


class JobOrderStep(CompanyFact, frozen=True, kw_only=True):
    """Common to all that happens to a job order once it is there."""

    job_order_id: UUID


class JobOrderChanged(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_changed"):
    """The client asks for something else. What is left out stays as it is.

    must_haves  all of them, in place of those before
    """

    changed_at: Instant
    title: Title | None = None
    openings: Openings | None = None
    location: Words | None = None
    requisition: Words | None = None
    hiring_manager_id: UUID | None = None
    salary_from_cents: Cents | None = None
    salary_to_cents: Cents | None = None
    currency: Currency | None = None
    must_haves: MustHaves | None = None
    confidential: bool | None = None

    @property
    def changes(self) -> tuple[str, ...]:
        """Names of what it changes."""
        kept = ("job_order_id", "changed_at")
        names = (n for n in self.__struct_fields__ if n not in kept)
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.hiring_manager_id,) if self.hiring_manager_id else ()

    @property
    def line(self) -> str:
        return f"job order changed: {', '.join(map(words, self.changes)) or 'nothing'}"


class JobOrderStaffed(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_staffed"):
    """Who of us works on it, in place of those before.

    owner   answers to the client
    shares  of the commission of who is placed on it, unless the placement says others; they sum
            to 10 000
    """

    staffed_at: Instant
    owner: Consultant
    shares: Annotated[tuple[Share, ...], msgspec.Meta(min_length=1, max_length=20)]

    @property
    def line(self) -> str:
        shares = ", ".join(f"{s.consultant} {s.share_bp / 100:g} %" for s in self.shares)
        return f"job order owned by {self.owner}, shared by {shares}"

    @property
    def staff(self) -> frozenset[str]:
        return frozenset((self.owner, *(each.consultant for each in self.shares)))


class ScreeningSet(JobOrderStep, frozen=True, kw_only=True, tag="company.screening_set"):
    """What is asked of whoever applies, in place of what was asked before.

    questions  in the order in which they are asked
    """

    set_at: Instant
    questions: Questions

    @property
    def line(self) -> str:
        return f"{len(self.questions)} screening questions set"


class JobOrderHeld(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_held"):
    """The client wants to wait."""

    held_at: Instant
    reason: Reason
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"job order on hold: {words(self.reason)}"


class JobOrderCovered(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_covered"):
    """Enough people are put forward: we look for nobody else."""

    covered_at: Instant

    @property
    def line(self) -> str:
        return "job order covered"


class OpeningsFilled(JobOrderStep, frozen=True, kw_only=True, tag="company.openings_filled"):
    """Some of those they asked for are found, and not yet all.

    openings  how many, this time
    """

    filled_at: Instant
    openings: Openings = 1

    @property
    def line(self) -> str:
        return f"{self.openings} of the job order filled"


class JobOrderFilled(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_filled"):
    """Everybody they asked for is found."""

    filled_at: Instant

    @property
    def line(self) -> str:
        return "job order filled"


class JobOrderLost(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_lost"):
    """Somebody else found them: another agency, or the client."""

    lost_at: Instant
    reason: Reason
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"job order lost: {words(self.reason)}"


class JobOrderCancelled(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_cancelled"):
    """They no longer look, or no longer through us."""

    cancelled_at: Instant
    reason: Reason

    @property
    def line(self) -> str:
        return f"job order cancelled: {words(self.reason)}"


class JobOrderReopened(JobOrderStep, frozen=True, kw_only=True, tag="company.job_order_reopened"):
    """They look again.

    openings  for how many from now on; None: for those that were not found, or for one
    """

    reopened_at: Instant
    openings: Openings | None = None

    @property
    def line(self) -> str:
        return "job order reopened" + (f", {self.openings} to fill" if self.openings else "")


class OpeningVacated(JobOrderStep, frozen=True, kw_only=True, tag="company.opening_vacated"):
    """Somebody who was found is gone again, and another is looked for in their place.

    candidacy_id  of whoever is gone; None: not told
    """

    vacated_at: Instant
    candidacy_id: UUID | None = None

    @property
    def line(self) -> str:
        return "an opening of the job order is free again"


class ExclusivityBroken(CompanyFact, frozen=True, kw_only=True, tag="company.exclusivity_broken"):
    """Somebody else found them, on a day on which nobody else was to look. Written with the loss,
    by the terms in force that day; what follows from it is a matter between the client and us."""

    job_order_id: UUID
    broken_at: Instant
    exclusive_until_on: date
    agreement_id: UUID
    agreement_version: int = 1

    @property
    def line(self) -> str:
        return f"found elsewhere, though exclusive with us until {self.exclusive_until_on}"


JobOrderSteps = (
    JobOrderChanged
    | JobOrderStaffed
    | ScreeningSet
    | JobOrderHeld
    | JobOrderCovered
    | OpeningsFilled
    | JobOrderFilled
    | JobOrderLost
    | JobOrderCancelled
    | JobOrderReopened
    | OpeningVacated
)
JobOrderEvents = JobOrderOpened | JobOrderSteps | ExclusivityBroken


class NoSuchJobOrder(Unknown):
    """This company has no such job order."""


class JobOrderIsOpen(Conflict):
    """There is a job order with this id already."""


class JobOrderIsClosed(Conflict):
    """This job order is not open, or was not then."""


class NothingToReopen(Conflict):
    """This job order is open."""


class NobodyFound(Conflict):
    """Nobody was found for this job order: none of its openings can become free again."""


class ReasonNeeded(Invalid):
    """A job order that is held, lost or cancelled needs a reason."""

    field = "reason"


class MoreThanAskedFor(Invalid):
    """This job order has fewer openings than that."""

    field = "openings"


class FewerThanFound(Invalid):
    """More than that are found already."""

    field = "openings"


class WrongWayRound(Invalid):
    """The salary ends below where it begins."""

    field = "salary_to_cents"


class JobOrder(msgspec.Struct):
    """What the next decision on it needs.

    turns  when it came to each status, in the order in which that was written down
    """

    pipeline: str
    openings: int = 1
    confidential: bool = False
    found: int = 0
    vacated: set[UUID] = msgspec.field(default_factory=set)  # candidacies whose opening is free
    status: Status = "open"
    turns: list[tuple[datetime, Status]] = msgspec.field(default_factory=list)
    salary_from_cents: int = 0
    salary_to_cents: int = 0
    shares: tuple[Share, ...] = ()  # in the commission of who is placed on it
    staff: frozenset[str] = frozenset()  # who of us works on it
    questions: tuple[Question, ...] = ()  # to whoever applies

    @property
    def open(self) -> bool:
        return self.status == "open"

    def status_at(self, at: datetime) -> Status | None:
        """As it is told by now; None: it was not there yet."""
        return next((status for since, status in reversed(self.turns) if since <= at), None)

    def has_place_for(self, replaced_id: UUID) -> bool:
        """Whether an opening is free, and free because this one left it: who replaces somebody
        whose opening was never freed takes none."""
        free = self.status in IN_WORK and self.found < self.openings
        return free and replaced_id in self.vacated

    @property
    def can_be_vacated(self) -> bool:
        return self.status not in ("lost", "cancelled")

    def decide(self, fact: JobOrderSteps) -> JobOrderSteps | None:
        """What is to be written down; None for nothing. The last opening fills the order. Raises
        JobOrderIsClosed, NothingToReopen, NobodyFound, ReasonNeeded, MoreThanAskedFor,
        FewerThanFound, SharesIncomplete, WrongWayRound, and as ``must_make_sense``."""
        self._must_be_ready_for(fact)
        match fact:
            case JobOrderHeld(reason="") | JobOrderLost(reason="") | JobOrderCancelled(reason=""):
                raise ReasonNeeded()
            case JobOrderStaffed(shares=shares):
                must_sum_up(shares)
            case ScreeningSet(questions=questions):
                must_make_sense(questions)
                if questions == self.questions:
                    return None
            case JobOrderChanged():
                if not fact.changes:
                    return None
                if fact.openings and fact.openings <= self.found:
                    raise FewerThanFound(found=self.found)
                low = _or(fact.salary_from_cents, self.salary_from_cents)
                high = _or(fact.salary_to_cents, self.salary_to_cents)
                must_be_the_right_way_round(low, high)
            case OpeningsFilled(openings=some):
                left = self.openings - self.found
                if some > left:
                    raise MoreThanAskedFor(left=left)
                if some == left:
                    return JobOrderFilled(job_order_id=fact.job_order_id, filled_at=fact.filled_at)
            case OpeningVacated() if not self.found:
                raise NobodyFound(job_order_id=fact.job_order_id)
            case JobOrderReopened(openings=None):
                left = max(self.openings - self.found, 1)
                return msgspec.structs.replace(fact, openings=left)
        return fact

    def _must_be_ready_for(self, fact: JobOrderSteps) -> None:
        match fact:
            case JobOrderStaffed():
                ready = True
            case JobOrderReopened():
                if self.open:
                    raise NothingToReopen(job_order_id=fact.job_order_id)
                ready = True
            case JobOrderChanged() | ScreeningSet() | JobOrderLost() | JobOrderCancelled():
                ready = self.status not in OVER
            case JobOrderCovered():
                ready = self.open
            case OpeningVacated():
                ready = self.can_be_vacated
            case JobOrderHeld() | OpeningsFilled() | JobOrderFilled():
                ready = self.status in IN_WORK
        if not ready:
            raise JobOrderIsClosed(job_order_id=fact.job_order_id, standing=self.status)

    def apply(self, fact: JobOrderSteps) -> None:
        match fact:
            case JobOrderChanged():
                self.openings = fact.openings or self.openings
                if fact.confidential is not None:
                    self.confidential = fact.confidential
                self.salary_from_cents = _or(fact.salary_from_cents, self.salary_from_cents)
                self.salary_to_cents = _or(fact.salary_to_cents, self.salary_to_cents)
            case JobOrderStaffed(shares=shares):
                self.shares, self.staff = shares, fact.staff
            case ScreeningSet(questions=questions):
                self.questions = questions
            case OpeningsFilled(openings=some):
                self.found += some
            case JobOrderReopened():
                self.openings = self.found + (fact.openings or 1)
            case JobOrderFilled():
                self.found = self.openings
            case OpeningVacated(candidacy_id=candidacy_id):
                self.found -= 1
                self.vacated |= {candidacy_id} if candidacy_id else set()
        status = status_after(self.status, fact)
        if status != self.status and (at := fact.occurred_at):
            self.turns.append((at, status))
        self.status = status


def status_after(before: Status, fact: JobOrderSteps) -> Status:
    match fact:
        case JobOrderHeld():
            return "on_hold"
        case JobOrderCovered():
            return "covered"
        case JobOrderFilled():
            return "filled"
        case JobOrderLost():
            return "lost"
        case JobOrderCancelled():
            return "cancelled"
        case JobOrderReopened():
            return "open"
        case OpeningVacated() if before == "filled":
            return "open"
    return before


def must_be_the_right_way_round(low: int, high: int) -> None:
    """Raises WrongWayRound. A salary without an end is 0 there."""
    if high and high < low:
        raise WrongWayRound()


def _or(new: int | None, old: int) -> int:
    return old if new is None else new
