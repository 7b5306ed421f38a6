"""A person as a candidate: whom we may put forward, on which job orders they are, and what came of
it. A role of a person (``person``), never a record of its own.

    open_candidacy -> move* -> introduce -> place -> start -> (fall_through | end_guarantee)

Rules: a candidacy moves within its job order's pipeline; nobody is introduced without an open job
order, a right to represent and terms in force; a rejection says who decided and why; nobody is
placed twice on one candidacy, nor full-time in two jobs at once but by a named consultant who says
why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import date, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import msgspec

from . import candidacy as c
from . import interview as i
from .application import AlreadyApplied, Applied, ScreeningAnswered
from .clock import today
from .entry import (
    Actor,
    Event,
    IdTaken,
    Instant,
    Reason,
    Sealed,
    Slug,
    id_of,
)
from .fee import Share, Terms, guarantee_until, must_sum_up, tail_until
from .identity import Employed, EmploymentEnded, Source
from .merging import Mergeable
from .permission import (
    ConsentGiven,
    ConsentWithdrawn,
    DoNotContact,
    DoNotContactLifted,
    DoNotContactSet,
    NoConsent,
    NotAConsultant,
    Said,
    Word,
)
from .pipeline import OF_CLIENT, Category, Pipeline, Stage
from .placement import (
    BackdoorSuspected,
    CommissionSplit,
    FellThrough,
    GuaranteeEnded,
    NotPlaced,
    PlacedAtOnce,
    Placement,
    PlacementFact,
    PlacementStarted,
    Remedy,
)
from .privacy import PersonIsErased
from .refusals import Conflict, Forbidden, Invalid, Unknown
from .screening import Answer, Question, must_answer
from .shortlist import (
    ClientCommented,
    NothingSaid,
    PresentationWritten,
    RejectionNeedsReason,
    VerdictGiven,
)

REJECTS: dict[Category, tuple[c.Deciders, ...]] = {
    "rejected_by_us": ("us", "rule"),
    "rejected_by_client": ("client",),
}
"""Who rejects somebody in these exits, and is named: a human or a rule."""


class NoSuchCandidacy(Unknown):
    """This person has no such candidacy."""


class CandidacyIsOpen(Conflict):
    """This person is on this job order already."""


class CandidacyIsClosed(Conflict):
    """This candidacy is closed; move it to a stage in use to reopen it."""


class CandidacyIsPlaced(Conflict):
    """They are placed on this job order: what comes after is no longer a candidacy."""


class NotABeginning(Invalid):
    """A candidacy begins in a stage in use that is no exit; nobody begins with the client, and
    nobody placed."""

    field = "stage"


class NoRightToRepresent(Forbidden):
    """Nobody is introduced without a right to represent for this job order, nor before it was
    given."""


class ReasonMissing(Invalid):
    """An exit needs a reason, whose decision it was, and the human or rule that decided."""

    field = "reason"


class NotByMoving(Conflict):
    """Nobody gets to this stage by being moved: introduce or place them instead."""


class WrongSide(Invalid):
    """Whoever rejects somebody is who the exit says: we or a rule of ours, or the client."""

    field = "decided_by"


class NotIntroduced(Conflict):
    """Nobody is placed before being introduced to the client under terms."""


class Candidacy(msgspec.Struct):
    """What the next decision on a candidacy needs."""

    company_id: UUID
    job_order_id: UUID
    pipeline: str
    closed: bool = False
    applied: bool = False  # and nobody has closed it since
    represented_at: datetime | None = None  # since when we may put them forward
    agreement_id: UUID | None = None
    agreement_version: int = 1
    introduced_on: date | None = None
    tail_until_on: date | None = None
    placement: Placement | None = None
    backdoor: bool = False
    progress: i.Progress = msgspec.field(default_factory=i.Progress)
    verdicts: dict[UUID, VerdictGiven] = {}  # the last one of each contact

    @property
    def placed(self) -> bool:
        return self.placement is not None


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a candidacy goes. Into an exit: with a reason and who decided."""

    stage: Slug
    at: Instant
    reason: Reason = ""
    decided_by: c.Deciders | None = None
    decider: Sealed = ""
    text: Sealed = ""


class Candidate(Mergeable):
    def __init__(self) -> None:
        super().__init__()
        self.employments: dict[Employed, date | None] = {}  # and the last day of each
        self.consent: Said[Word] = Said()
        self.contact: Said[Word] = Said()
        self.candidacies: dict[UUID, Candidacy] = {}
        self.erased = False

    @property
    def every_candidacy(self) -> dict[UUID, Candidacy]:
        if not self.beside:
            return self.candidacies
        return {id: found for one in self.everyone for id, found in one.candidacies.items()}

    @property
    def every_employment(self) -> dict[Employed, date | None]:
        if not self.beside:
            return self.employments
        return {job: ends for one in self.everyone for job, ends in one.employments.items()}

    def on_job_orders(self, ids: Set[UUID]) -> Iterator[tuple[UUID, UUID, UUID]]:
        for id, found in self.every_candidacy.items():
            progress, order = found.progress, found.job_order_id
            for each in ids & {id, order, *progress.interviews, *progress.offers}:
                yield each, order, found.company_id

    def with_candidacy(self, id: UUID) -> Self:
        """The record that it is on. Raises NoSuchCandidacy."""
        self.candidacy(id)
        return next(one for one in self.everyone if id in one.candidacies)

    def candidacy_on(self, job_order_id: UUID) -> UUID:
        """Theirs on this job order, an open one before one that is closed; else the id that it
        would have."""
        closed = None
        for id, found in self.every_candidacy.items():
            if found.job_order_id == job_order_id:
                if not found.closed:
                    return id
                closed = closed or id
        return closed or candidacy_id(self.id, job_order_id)

    def must_be_here(self) -> None:
        """First of all, so that whoever is erased is refused as that."""
        if self.erased:
            raise PersonIsErased(person_id=self.id)

    def open_candidacy(
        self,
        pipeline: Pipeline,
        *,
        company_id: UUID,
        job_order_id: UUID,
        at: datetime,
        stage: str = "",
        text: str = "",
        past: bool = False,
        by: Actor,
    ) -> UUID:
        """In the pipeline's first stage if none is named. ``past``: as ``move``. Raises
        CandidacyIsOpen, NoSuchStage, StageIsRetired, NotABeginning."""
        self.must_be_here()
        id = self.candidacy_on(job_order_id)
        if id in self.every_candidacy:
            raise CandidacyIsOpen(person_id=self.id, candidacy_id=id)
        target = pipeline.stage(stage) if stage else pipeline.first()
        with_client = target.category in OF_CLIENT and not past
        if target.is_exit or with_client or target.category in ("submitted", "placed"):
            raise NotABeginning(stage=target.id)
        self.enter(
            c.CandidacyOpened(
                candidacy_id=id,
                company_id=company_id,
                job_order_id=job_order_id,
                pipeline=pipeline.slug,
                stage=target.id,
                category=target.category,
                opened_at=at,
                text=text,
            ),
            by=by,
        )
        return id

    def take_application(
        self,
        pipeline: Pipeline,
        questions: Sequence[Question],
        *,
        company_id: UUID,
        job_order_id: UUID,
        at: datetime,
        channel: Source,
        source: str = "",
        answers: Sequence[Answer] = (),
        text: str = "",
        by: Actor,
    ) -> UUID:
        """They are on the job order from now on, if they were not yet; who was rejected applies
        anew, and begins anew. Raises CandidacyIsPlaced, AlreadyApplied, and as ``must_answer``."""
        self.must_be_here()
        must_answer(questions, answers)
        id = self.candidacy_on(job_order_id)
        found = self.every_candidacy.get(id)
        if found is None:
            self.open_candidacy(
                pipeline, company_id=company_id, job_order_id=job_order_id, at=at, by=by
            )
        elif found.closed:
            self.move(id, Move(stage=pipeline.first().id, at=at), pipeline, by=by)
        elif found.placed:
            raise CandidacyIsPlaced(candidacy_id=id)
        elif found.applied:
            raise AlreadyApplied(person_id=self.id, candidacy_id=id)
        where = {"candidacy_id": id, "company_id": company_id, "job_order_id": job_order_id}
        fact = Applied(**where, applied_at=at, channel=channel, source=source, text=text)
        self.enter(fact, by=by)
        for given in answers:
            answer = ScreeningAnswered(
                **where, question=given.question, answered_at=at, text=given.text
            )
            self.enter(answer, by=by)
        return id

    def move(
        self,
        candidacy_id: UUID,
        to: Move,
        pipeline: Pipeline,
        *,
        past: bool = False,
        by: Actor,
    ) -> None:
        """Forward, back, out or in again. ``past``: it happened elsewhere, and so did the
        introduction, if there was one. Raises NoSuchCandidacy, NoSuchStage, StageIsRetired,
        ReasonMissing, WrongSide, NotByMoving, NotPutForward, CandidacyIsPlaced; CandidacyIsOpen if
        a merged record has another there."""
        found, stage = self.candidacy(candidacy_id), pipeline.stage(to.stage)
        if found.placed:
            raise CandidacyIsPlaced(candidacy_id=candidacy_id)
        if stage.category in ("submitted", "placed"):
            raise NotByMoving(stage=stage.id)
        if stage.category in OF_CLIENT and found.agreement_id is None and not past:
            raise i.NotPutForward(candidacy_id=candidacy_id)
        where = _where(candidacy_id, found, stage)
        if stage.is_exit:
            rejects = REJECTS.get(stage.category)
            named = to.decider.strip() or (to.decided_by in ("client", "candidate") and not rejects)
            if not (to.reason and to.decided_by and named):
                raise ReasonMissing(stage=stage.id)
            if rejects and to.decided_by not in rejects:
                raise WrongSide(stage=stage.id, decided_by=to.decided_by, allowed=rejects)
            event: Event = c.CandidacyClosed(
                **where,
                closed_at=to.at,
                reason=to.reason,
                decided_by=to.decided_by,
                decider=to.decider,
                text=to.text,
            )
        elif found.closed:
            other = self.candidacy_on(found.job_order_id)
            if not self.candidacy(other).closed:  # of a merged record
                raise CandidacyIsOpen(person_id=self.id, candidacy_id=other)
            event = c.CandidacyReopened(**where, reopened_at=to.at, text=to.text)
        else:
            event = c.CandidacyMoved(**where, moved_at=to.at, text=to.text)
        self.enter(event, by=by)

    def give_right_to_represent(
        self, candidacy_id: UUID, *, at: datetime, text: str = "", by: Actor
    ) -> None:
        """Given again is a no-op, unless it was sooner than is known. Raises NoSuchCandidacy."""
        self.must_be_here()
        found = self.candidacy(candidacy_id)
        if found.represented_at is None or at < found.represented_at:
            self.enter(
                c.RightToRepresentGiven(
                    candidacy_id=candidacy_id,
                    company_id=found.company_id,
                    job_order_id=found.job_order_id,
                    given_at=at,
                    text=text,
                ),
                by=by,
            )

    def introduce(
        self,
        candidacy_id: UUID,
        pipeline: Pipeline,
        *,
        terms: Terms,
        at: datetime,
        to_person_id: UUID | None = None,
        override: str = "",
        text: str = "",
        by: Actor,
    ) -> None:
        """The terms of a first introduction stay. Raises NoSuchCandidacy, CandidacyIsClosed,
        NoRightToRepresent, CandidacyIsPlaced; NoConsent or DoNotContact without an override,
        NotAConsultant for one by anybody else."""
        self.must_be_here()
        found = self.candidacy(candidacy_id)
        if found.closed:
            raise CandidacyIsClosed(candidacy_id=candidacy_id)
        if found.represented_at is None or found.represented_at > at:
            raise NoRightToRepresent(candidacy_id=candidacy_id, since=found.represented_at)
        stage = pipeline.in_category("submitted")
        if found.placed:
            raise CandidacyIsPlaced(candidacy_id=candidacy_id)
        self._must_be_contactable(at, override, by)
        first = found.agreement_id is None
        self.enter(
            c.Introduced(
                **_where(candidacy_id, found, stage),
                introduced_at=at,
                agreement_id=found.agreement_id or terms.agreement_id,
                agreement_version=terms.version if first else found.agreement_version,
                tail_until_on=tail_until(terms, at) if first else found.tail_until_on,
                to_person_id=to_person_id,
                override=override,
                text=text,
            ),
            by=by,
        )

    def place(
        self,
        candidacy_id: UUID,
        pipeline: Pipeline,
        *,
        at: datetime,
        starts_on: date,
        first_year_pay_cents: int,
        fee_cents: int,
        currency: str,
        full_time: bool = True,
        override: str = "",
        shares: Sequence[Share] = (),
        by: Actor,
        **rest: Any,
    ) -> None:
        """``rest``: further fields of the fact. Raises NoSuchCandidacy, CandidacyIsClosed,
        NotIntroduced, CandidacyIsPlaced, SharesIncomplete; PlacedAtOnce without an override,
        NotAConsultant for one by anybody else."""
        self.must_be_here()
        found = self.candidacy(candidacy_id)
        if found.closed:
            raise CandidacyIsClosed(candidacy_id=candidacy_id)
        if found.agreement_id is None:
            raise NotIntroduced(candidacy_id=candidacy_id)
        stage = pipeline.in_category("placed")
        if found.placed:
            raise CandidacyIsPlaced(candidacy_id=candidacy_id)
        if shares:
            must_sum_up(shares)
        if override and not by.startswith("consultant:"):
            raise NotAConsultant(actor=by)
        if full_time and not override.strip():
            self._must_be_free_to_start(starts_on)
        self.enter(
            c.Placed(
                **_where(candidacy_id, found, stage),
                placed_at=at,
                starts_on=starts_on,
                first_year_pay_cents=first_year_pay_cents,
                fee_cents=fee_cents,
                currency=currency,
                agreement_id=found.agreement_id,
                agreement_version=found.agreement_version,
                full_time=full_time,
                override=override,
                shares=tuple(shares),
                **rest,
            ),
            by=by,
        )

    def progress(self, fact: i.InterviewFacts | i.OfferFacts, *, by: Actor) -> None:
        """Interviews and offers. What comes late to a candidacy that is closed is written down all
        the same. Raises NoSuchCandidacy, CandidacyIsClosed, NotPutForward, IdTaken, and as
        ``Progress.must_take``."""
        found = self.candidacy(fact.candidacy_id)
        match fact:
            case i.InterviewArranged() | i.OfferMade() | i.OfferChanged() | i.OfferAccepted():
                if found.closed:
                    raise CandidacyIsClosed(candidacy_id=fact.candidacy_id)
                if found.agreement_id is None:
                    raise i.NotPutForward(candidacy_id=fact.candidacy_id)
        every = [each.progress for each in self.every_candidacy.values()]
        match fact:
            case i.InterviewArranged(interview_id=id) if any(id in p.interviews for p in every):
                raise IdTaken(holder=self.id)
            case i.OfferMade(offer_id=id) if any(id in p.offers for p in every):
                raise IdTaken(holder=self.id)
        found.progress.must_take(fact)
        where = {"company_id": found.company_id, "job_order_id": found.job_order_id}
        self.enter(msgspec.structs.replace(fact, **where), by=by)

    def must_be_presentable(self, candidacy_id: UUID, at: datetime) -> None:
        """To a client. Raises NoSuchCandidacy, CandidacyIsClosed, NoConsent, DoNotContact."""
        self.must_be_here()
        if self.candidacy(candidacy_id).closed:
            raise CandidacyIsClosed(candidacy_id=candidacy_id)
        self._must_be_free(at)

    def present(
        self,
        candidacy_id: UUID,
        *,
        blind: bool,
        headline: str,
        text: str,
        at: datetime,
        by: Actor,
    ) -> None:
        """Raises NoSuchCandidacy."""
        self.must_be_here()
        fact = PresentationWritten(
            **_of(candidacy_id, self.candidacy(candidacy_id)),
            blind=blind,
            written_at=at,
            headline=headline,
            text=text,
        )
        self.enter(fact, by=by)

    def take_verdict(self, fact: VerdictGiven, *, by: Actor) -> None:
        """The same of the same contact again is a no-op. Raises NoSuchCandidacy,
        RejectionNeedsReason."""
        self.must_be_here()
        found = self.candidacy(fact.candidacy_id)
        if fact.verdict == "reject" and not fact.reason:
            raise RejectionNeedsReason()
        if before := found.verdicts.get(fact.contact_id):
            again = {name: getattr(fact, name) for name in ("given_at", "link_id", "version")}
            if msgspec.structs.replace(before, **again) == fact:
                return
        self.enter(fact, by=by)

    def take_comment(self, fact: ClientCommented, *, by: Actor) -> None:
        """Raises NoSuchCandidacy, NothingSaid."""
        self.must_be_here()
        self.candidacy(fact.candidacy_id)
        if not fact.text.strip():
            raise NothingSaid()
        self.enter(fact, by=by)

    def _must_be_free_to_start(self, on: date) -> None:
        for id, other in self.every_candidacy.items():
            job = other.placement
            if job and job.holds(self._left_on(other.company_id), on):
                raise PlacedAtOnce(candidacy_id=id, starts_on=job.starts_on)

    def _left_on(self, company_id: UUID) -> date | None:
        """The last day of the last of their jobs there; None: they never left, as far as we
        know."""
        every = self.every_employment.items()
        jobs = [ends for job, ends in every if job.company_id == company_id]
        return max((day for day in jobs if day), default=None) if None not in jobs else None

    def start(
        self, candidacy_id: UUID, *, terms: Terms, starts_on: date, text: str = "", by: Actor
    ) -> None:
        """Raises NoSuchCandidacy, NotPlaced, HasStarted, HasFallenThrough, NotYet."""
        found, placement = self.placed(candidacy_id)
        placement.must_start(starts_on)
        self.enter(
            PlacementStarted(
                **_of(candidacy_id, found),
                starts_on=starts_on,
                guarantee_until_on=guarantee_until(terms, starts_on),
                text=text,
            ),
            by=by,
        )

    def fall_through(
        self,
        candidacy_id: UUID,
        *,
        terms: Terms,
        left_on: date,
        reason: str,
        decided_by: c.Deciders,
        covered: bool = True,
        text: str = "",
        by: Actor,
    ) -> tuple[Remedy, int]:
        """What we owe for it now, and of a rebate how much. ``covered`` False: the guarantee does
        not hold for why they left. Raises NoSuchCandidacy, NotPlaced, HasFallenThrough,
        LeftBeforeStart, NotYet."""
        found, placement = self.placed(candidacy_id)
        placement.must_fall(left_on)
        remedy, rebate_cents = placement.remedy(terms, left_on, covered=covered)
        self.enter(
            FellThrough(
                **_of(candidacy_id, found),
                left_on=left_on,
                day=placement.day(left_on),
                reason=reason,
                decided_by=decided_by,
                remedy=remedy,
                rebate_cents=rebate_cents,
                currency=terms.currency,
                text=text,
            ),
            by=by,
        )
        return remedy, rebate_cents if remedy == "rebate" else 0

    def end_guarantee(self, candidacy_id: UUID, *, by: Actor) -> None:
        """Raises NoSuchCandidacy, NotPlaced, NotStarted, HasFallenThrough, GuaranteeIsOver,
        GuaranteeRuns."""
        found, placement = self.placed(candidacy_id)
        placement.must_end_guarantee()
        assert placement.guarantee_until_on
        self.enter(
            GuaranteeEnded(
                **_of(candidacy_id, found),
                ended_on=placement.guarantee_until_on + timedelta(days=1),
            ),
            by=by,
        )

    def split_commission(
        self,
        candidacy_id: UUID,
        *,
        shares: Sequence[Share],
        at: datetime,
        text: str = "",
        by: Actor,
    ) -> None:
        """Raises NoSuchCandidacy, NotPlaced, SharesIncomplete."""
        found, _ = self.placed(candidacy_id)
        must_sum_up(shares)
        self.enter(
            CommissionSplit(
                **_of(candidacy_id, found), shares=tuple(shares), split_at=at, text=text
            ),
            by=by,
        )

    def _flag_backdoors(self, fact: Employed, group: set[UUID], by: Actor) -> None:
        """Once for each introduction to one of these whose tail still runs, unless we placed them
        with one of them: whoever was shown to the parent is not hired by its daughter for free."""
        day = fact.starts_on or today()
        theirs = {
            id: found for id, found in self.every_candidacy.items() if found.company_id in group
        }
        if any(f.placement and not f.placement.fallen for f in theirs.values()):
            return
        for id, found in theirs.items():
            first, last = found.introduced_on, found.tail_until_on
            if first and last and first <= day <= last and not found.backdoor:
                assert found.agreement_id, "introduced under terms"
                self.enter(
                    BackdoorSuspected(
                        **_of(id, found),
                        starts_on=day,
                        tail_until_on=last,
                        agreement_id=found.agreement_id,
                        agreement_version=found.agreement_version,
                    ),
                    by=by,
                )

    def placed(self, candidacy_id: UUID) -> tuple[Candidacy, Placement]:
        """Raises NoSuchCandidacy, NotPlaced."""
        found = self.candidacy(candidacy_id)
        if found.placement is None:
            raise NotPlaced(candidacy_id=candidacy_id)
        return found, found.placement

    def candidacy(self, id: UUID) -> Candidacy:
        """Raises NoSuchCandidacy."""
        found = self.every_candidacy.get(id)
        if found is None or (self.unseen and id in self.unseen):
            raise NoSuchCandidacy(person_id=self.id, candidacy_id=id)
        return found

    def _must_be_contactable(self, at: datetime | None, override: str, by: Actor) -> None:
        """``at``: None if they contact us."""
        if override and not by.startswith("consultant:"):
            raise NotAConsultant(actor=by)
        if at and not override.strip():
            self._must_be_free(at)

    def _must_be_free(self, at: datetime) -> None:
        for said in self.said(lambda one: one.consent):
            if word := said.refusal(at):
                ended = None if word.refuses else word.until_on
                raise NoConsent(person_id=self.id, since=word.said_at, ended_on=ended)
        for said in self.said(lambda one: one.contact):
            if word := said.refusal(at):
                raise DoNotContact(person_id=self.id, since=word.said_at, until_on=word.until_on)

    def works_at(self, at: datetime) -> list[UUID]:
        """Companies that they work at on that day as anybody: who hires for one, or pays for it,
        is our contact there. Also where we placed them, though nobody wrote an employment."""
        jobs = {job.company_id for job in self.jobs_at(at.date()) if job.role == "employee"}
        return sorted(jobs | self.placed_at(at.date()).keys())

    def placed_at(self, day: date) -> dict[UUID, UUID]:
        """Companies where they are as placed by us, and by which job order: until they fall
        through, an employment there ends, or they begin elsewhere on a day that is known. An
        employment there says itself as what they are there."""
        begun = [
            (job.starts_on, id, found.company_id, job.full_time)
            for id, found in self.every_candidacy.items()
            if (job := found.placement) and not job.fallen and job.starts_on <= day
        ]

        def went_on(since: date, id: UUID, company_id: UUID) -> bool:
            for job, ends_on in self.every_employment.items():
                if job.company_id != company_id:
                    gone = job.starts_on is not None and since < job.starts_on <= day
                else:
                    there = (job.starts_on or day) <= day <= (ends_on or day)
                    gone = there or (ends_on is not None and since <= ends_on < day)
                if gone:
                    return True
            return any(
                (later, other) > (since, id) and (full_time or at_id == company_id)
                for later, other, at_id, full_time in begun
            )

        return {
            at_id: self.every_candidacy[id].job_order_id
            for since, id, at_id, _ in begun
            if not went_on(since, id, at_id)
        }

    def jobs_at(self, day: date) -> list[Employed]:
        """Where they work on that day, and as what."""
        return [
            job
            for job, ends_on in self.every_employment.items()
            if (job.starts_on or day) <= day <= (ends_on or day)
        ]

    def apply(self, event: Event) -> None:
        match event:
            case c.CandidacyOpened():
                self.candidacies[event.candidacy_id] = Candidacy(
                    event.company_id, event.job_order_id, event.pipeline
                )
            case c.CandidacyClosed(candidacy_id=id):
                self.candidacies[id].closed, self.candidacies[id].applied = True, False
                self.candidacies[id].progress.accepted = None
            case c.CandidacyReopened(candidacy_id=id):
                self.candidacies[id].closed = False
            case Employed():
                self.employments[event] = event.ends_on
            case EmploymentEnded(company_id=company_id):
                for job, ends_on in self.employments.items():
                    if job.company_id == company_id and ends_on is None:
                        self.employments[job] = event.ends_on
            case ConsentGiven() | ConsentWithdrawn():
                self.consent.add(event.word)
            case DoNotContactSet() | DoNotContactLifted():
                self.contact.add(event.word)
            case Applied(candidacy_id=id):
                self.candidacies[id].applied = True
            case c.RightToRepresentGiven(candidacy_id=id):
                self.candidacies[id].represented_at = event.given_at
            case c.Introduced():
                introduced = self.candidacies[event.candidacy_id]
                introduced.agreement_id = event.agreement_id
                introduced.agreement_version = event.agreement_version
                introduced.tail_until_on = event.tail_until_on
                introduced.introduced_on = introduced.introduced_on or event.introduced_at.date()
            case c.Placed(candidacy_id=id):
                self.candidacies[id].placement = Placement(
                    event.starts_on,
                    event.fee_cents,
                    event.full_time,
                    replaces=event.replaces_id is not None,
                    placed_at=event.placed_at,
                    sharers=frozenset(share.consultant for share in event.shares),
                )
            case VerdictGiven(candidacy_id=id, contact_id=contact_id):
                self.candidacies[id].verdicts[contact_id] = event
            case i.BesideCandidacy(candidacy_id=id):
                self.candidacies[id].progress.apply(event)  # type: ignore[arg-type]
            case PlacementFact():
                self._of_a_placement(event)
            case _:
                super().apply(event)

    def _of_a_placement(self, event: PlacementFact) -> None:
        found = self.candidacies[event.candidacy_id]
        placement = found.placement
        match event:
            case PlacementStarted(starts_on=day, guarantee_until_on=until) if placement:
                placement.started, placement.starts_on = True, day
                placement.guarantee_until_on = until
            case FellThrough() if placement:
                placement.fallen = True
            case CommissionSplit(shares=shares) if placement:
                placement.sharers = frozenset(share.consultant for share in shares)
            case GuaranteeEnded() if placement:
                placement.guarantee_over = True
            case BackdoorSuspected():
                found.backdoor = True


def candidacy_id(person_id: UUID, job_order_id: UUID) -> UUID:
    """One person is on one job order once; that is what makes the id."""
    return id_of("candidacy", str(person_id), str(job_order_id))


def _where(id: UUID, found: Candidacy, stage: Stage) -> dict[str, Any]:
    return _of(id, found) | {"stage": stage.id, "category": stage.category}


def _of(id: UUID, found: Candidacy) -> dict[str, Any]:
    return {
        "candidacy_id": id,
        "company_id": found.company_id,
        "job_order_id": found.job_order_id,
    }
