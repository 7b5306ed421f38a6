"""A candidacy: one person on one job order, from the longlist to the placement or an exit.

Its facts are on the person's stream. Each carries the company and the job order, so that both
sides' histories can be told from the entry alone, and the stage's fixed category, so that
reports outlive every rename.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from .entry import Cents, Currency, Instant, PersonFact, Reason, Sealed, Slug, words
from .fee import Pay, Shares
from .pipeline import Category

Deciders = Literal["us", "client", "candidate", "rule"]


class CandidacyFact(PersonFact, frozen=True, kw_only=True):
    """Common to all."""

    candidacy_id: UUID
    company_id: UUID
    job_order_id: UUID

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,)


class StageReached(CandidacyFact, frozen=True, kw_only=True):
    """Common to all that put a candidacy into a stage of its pipeline."""

    stage: Slug
    category: Category

    @property
    def reached_at(self) -> datetime:
        at = self.occurred_at
        assert at is not None, "every fact of this kind says when"
        return at


class CandidacyOpened(StageReached, frozen=True, kw_only=True, tag="person.candidacy_opened"):
    """A person is considered for a job order, in its pipeline.

    pipeline  its slug
    text      why them, in the consultant's words
    """

    pipeline: Slug
    opened_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"candidacy opened in {words(self.stage)}"


class CandidacyMoved(StageReached, frozen=True, kw_only=True, tag="person.candidacy_moved"):
    """It came to another stage in use, or to the same one again."""

    moved_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"moved to {words(self.stage)}"


class CandidacyClosed(StageReached, frozen=True, kw_only=True, tag="person.candidacy_closed"):
    """It came to an exit. Closed again, the later decision stands.

    reason       a code; in words in ``text``
    decided_by   whose decision it was
    decider      the human or the rule that decided, by name
    """

    closed_at: Instant
    reason: Reason
    decided_by: Deciders
    decider: Sealed = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"closed as {words(self.stage)}: {words(self.reason)}"

    @property
    def told(self) -> str:
        return "\n".join(filter(None, (self.text, self.decider and f"decided by: {self.decider}")))


class CandidacyReopened(StageReached, frozen=True, kw_only=True, tag="person.candidacy_reopened"):
    """It came back from an exit, into this stage."""

    reopened_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"reopened in {words(self.stage)}"


class RightToRepresentGiven(
    CandidacyFact, frozen=True, kw_only=True, tag="person.right_to_represent_given"
):
    """They let us put them forward for this job order."""

    given_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "right to represent given"


class Introduced(StageReached, frozen=True, kw_only=True, tag="person.introduced"):
    """We put them forward to the client. The evidence in a fee dispute.

    agreement_id       the fee agreement in force at that moment; it stays theirs
    agreement_version  of it, in force then; it stays theirs too
    tail_until_on      the last day on which it is owed for if they are hired past us; None: none
    to_person_id       the client's contact who received it
    override           why all the same, though they asked us to stop, in the words of the named
                       consultant who did it
    """

    introduced_at: Instant
    agreement_id: UUID
    agreement_version: int = 1
    tail_until_on: date | None = None
    to_person_id: UUID | None = None
    override: Sealed = ""
    text: Sealed = ""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id, *((self.to_person_id,) if self.to_person_id else ()))

    @property
    def line(self) -> str:
        return "introduced to the client"


class Placed(StageReached, frozen=True, kw_only=True, tag="person.placed"):
    """They took the job. The fee is computed from the terms at introduction and fixed here.

    placed_at              the offer was accepted
    agreement_version      whose terms they were
    pay                    the parts of it, if they were said
    partner_cents          of the fee, another agency's
    full_time              a job beside which nobody has another
    override               why, though they are placed full-time elsewhere, in the words of the
                           named consultant who did it
    shares                 whose placement it is; empty: of who wrote it down
    replaces_id            the candidacy that fell through, in whose place they come for no fee
    starts_on              first day at work
    first_year_pay_cents   what the agreement counts as first-year pay, in ``currency``
    """

    placed_at: Instant
    starts_on: date
    first_year_pay_cents: Cents
    fee_cents: Cents
    currency: Currency
    agreement_id: UUID
    agreement_version: int = 1
    pay: Pay | None = None
    partner_cents: Cents = 0
    full_time: bool = True
    override: Sealed = ""
    shares: Shares = ()
    replaces_id: UUID | None = None

    @property
    def line(self) -> str:
        return f"placed, starts on {self.starts_on}"


CandidacyEvents = (
    CandidacyOpened
    | CandidacyMoved
    | CandidacyClosed
    | CandidacyReopened
    | RightToRepresentGiven
    | Introduced
    | Placed
)
