"""A company: prospect, client, source of people, in one record.

    add -> (change | open_deal -> move_deal* | agree_fee -> amend_fee* -> end_fee?
            | open_job_order -> step* | draw_shortlist -> share_shortlist*)*

Rules: a domain belongs to one company, and no company to itself; a deal moves within its pipeline
and is lost with a reason; people are introduced only on open job orders and under terms in force,
those of the job order before those of the company, the latest first; records that are merged decide
as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import date, datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

import msgspec

from .agreement import (
    Agreement,
    AgreementFacts,
    AgreementTwice,
    FeeAgreed,
    FeeAmended,
    FeeEnded,
    NoSuchAgreement,
    in_force,
)
from .clock import today
from .contact import normalised
from .custom import CompanyFields, FirmFieldCleared, FirmFieldSet, known_as
from .deal import DealChanged, DealLinked, DealStep, DealSteps, Papers, PaperSigned
from .document import Filed, Filing, FirmDocumentRemoved, Unfiled
from .engagement import CompanyQuietSnoozed, must_be_in_order, must_lie_ahead
from .entry import (
    Actor,
    Cents,
    CompanyFact,
    Currency,
    Event,
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
from .fee import Terms, at_start, before_start, fee, must_make_sense
from .firm import (
    DomainAdded,
    DomainRemoved,
    DomainTaken,
    FirmChanges,
    FirmProfileChanged,
    FirmTagged,
    FirmUntagged,
    NoSuchDomain,
    OwnAncestor,
    OwnerAssigned,
    ParentNamed,
)
from .followup import (
    CompanyFollowUpChanges,
    CompanyFollowUpDone,
    CompanyFollowUpPromised,
    CompanyFollowUpSnoozed,
    FollowUpIdTaken,
    must_be_owed,
)
from .interaction import CompanyInteractions
from .invoice import (
    Books,
    InstalmentDue,
    InvoiceCredited,
    InvoicePaid,
    InvoiceRaised,
    InvoiceRefunded,
    MoneyFact,
    MoneyFacts,
    NoMandate,
    NotDueThen,
    Occasion,
    RemedyOwed,
    ReplacementGiven,
    instalment_id,
)
from .joborder import (
    IN_WORK,
    OVER,
    ExclusivityBroken,
    JobOrder,
    JobOrderCancelled,
    JobOrderEvents,
    JobOrderFilled,
    JobOrderIsClosed,
    JobOrderIsOpen,
    JobOrderLost,
    JobOrderOpened,
    JobOrderStep,
    JobOrderSteps,
    NoSuchJobOrder,
    OpeningsFilled,
    OpeningVacated,
    must_be_the_right_way_round,
)
from .market import TargetDropped, TargetIsClient, TargetNamed, Targets
from .merging import (
    Absorbed,
    CompanyMerged,
    CompanyUnmerged,
    LiftedSince,
    Merged,
    Unmerged,
)
from .permission import (
    NotAConsultant,
    OffLimits,
    OffLimitsAgreed,
    OffLimitsFacts,
    OffLimitsLifted,
    OffLimitsWord,
    Said,
    must_last,
)
from .pipeline import Category, Pipeline, Probability, Stage
from .referral import (
    ClientReferralFee,
    ClientReferrals,
    CompanyReferralFacts,
    Referral,
    ReferralFee,
    Referrals,
)
from .refusals import Conflict, Forbidden, Invalid, Unknown
from .shortlist import (
    Door,
    NoSuchShortlist,
    NothingSaid,
    Shortlist,
    ShortlistCommented,
    ShortlistDrawn,
    ShortlistFact,
    ShortlistFacts,
    ShortlistSeen,
    ShortlistShared,
    ShortlistWithdrawn,
    same,
)


class CompanyAdded(CompanyFact, frozen=True, kw_only=True, tag="company.added"):
    """We know of them.

    domain    of their website and mail, lower case, without ``www.``
    founded   as the source has it: a year, or a story
    source    where it comes from, such as a list and the id it has there
    added_at  since when we, or the source, count it; None: as the entry
    """

    name: Title
    domain: Words = ""
    industry: Words = ""
    specialty: Words = ""
    location: Words = ""
    founded: Words = ""
    source: Words = ""
    added_at: Instant | None = None

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("domain", self.domain, DomainTaken),) if self.domain else ()

    @property
    def line(self) -> str:
        return "company added"


class DealFact(CompanyFact, frozen=True, kw_only=True):
    """Common to all: a deal reached this stage of its pipeline.

    probability_bp  of winning, as the pipeline had it then
    """

    deal_id: UUID
    stage: Slug
    category: Category
    probability_bp: Probability = 0

    @property
    def reached_at(self) -> datetime:
        at = self.occurred_at
        assert at is not None, "every fact of this kind says when"
        return at


class DealOpened(DealFact, frozen=True, kw_only=True, tag="company.deal_opened"):
    """There is something to sell to them.

    value_cents  what it would bring, in ``currency``
    contact_id   the person there whom we talk to about it
    """

    title: Title
    pipeline: Slug
    opened_at: Instant
    value_cents: Cents = 0
    currency: Currency = "EUR"
    expected_close_on: date | None = None
    contact_id: UUID | None = None

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("deal", str(self.deal_id), IdTaken),)

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.contact_id,) if self.contact_id else ()

    @property
    def line(self) -> str:
        return f"deal opened in {words(self.stage)}"


class DealMoved(DealFact, frozen=True, kw_only=True, tag="company.deal_moved"):
    """It came to another stage in use."""

    moved_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"deal moved to {words(self.stage)}"


class DealWon(DealFact, frozen=True, kw_only=True, tag="company.deal_won"):
    """They said yes."""

    won_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "deal won"


class DealLost(DealFact, frozen=True, kw_only=True, tag="company.deal_lost"):
    """They said no, or nothing for too long."""

    lost_at: Instant
    reason: Reason
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"deal lost: {words(self.reason)}"


CompanyEvents = (
    CompanyAdded
    | FirmChanges
    | DealOpened
    | DealMoved
    | DealWon
    | DealLost
    | DealSteps
    | AgreementFacts
    | JobOrderEvents
    | MoneyFacts
    | OffLimitsFacts
    | ShortlistFacts
    | CompanyFields
    | CompanyReferralFacts
    | Targets
)


class NoSuchDeal(Unknown):
    """This company has no such deal."""


class DealIsOver(Conflict):
    """This deal is won or lost."""


class DealIsOpen(Conflict):
    """There is a deal with this id already."""


class DealBeginsOpen(Invalid):
    """A deal begins in a stage in which it is neither won nor lost."""

    field = "stage"


class LossNeedsReason(Invalid):
    """A lost deal needs a reason."""

    field = "reason"


class NoTermsThen(Unknown):
    """No fee agreement was in force for this job order at that moment."""


class NoTerms(Forbidden):
    """Nobody is introduced to a company before a fee is agreed with it."""


class Deal(msgspec.Struct):
    pipeline: str
    over: bool = False
    papers: Papers = msgspec.field(default_factory=Papers)


class Company(Filing):
    TOPIC = "company"
    AS_MERGED = CompanyMerged
    AS_UNMERGED = CompanyUnmerged

    def __init__(self) -> None:
        super().__init__()
        self.was_one_with: set[UUID] = set()  # until they were un-merged
        self.domains: set[str] = set()
        self.tags: set[str] = set()
        self.parent_id: UUID | None = None
        self.owner = ""
        self.deals: dict[UUID, Deal] = {}
        self.job_orders: dict[UUID, JobOrder] = {}
        self.agreements: dict[UUID, Agreement] = {}  # in the order in which they were agreed
        self.off_limits: Said[OffLimitsWord] = Said()
        self.follow_ups: dict[UUID, bool] = {}  # whether each is done
        self.referrals = Referrals()
        self.targets: set[tuple[UUID, UUID]] = set()  # job order and company
        self.books = Books()
        self.shortlists: dict[UUID, Shortlist] = {}
        self.custom: dict[UUID | None, dict[str, str]] = {}  # of an order or deal; None: its own

    def _holds(self, event: Event) -> bool:
        """This record itself has what the fact goes on with."""
        match event:
            case FirmUntagged(tag=tag):
                return tag in self.tags
            case DomainRemoved(domain=domain):
                return domain in self.domains
            case FeeAmended(agreement_id=id) | FeeEnded(agreement_id=id):
                return id in self.agreements
            case InvoiceRaised(instalment_id=id):
                return id in self.books.instalments
            case InvoicePaid() | InvoiceCredited() | InvoiceRefunded():
                return event.invoice_id in self.books.invoices
            case CompanyFollowUpDone(follow_up_id=id) | CompanyFollowUpSnoozed(follow_up_id=id):
                return id in self.follow_ups
            case ClientReferralFee(referral_id=id):
                return id in self.referrals.kept
            case FirmDocumentRemoved(document_id=id):
                return id in self.documents
            case TargetDropped():
                return (event.job_order_id, event.target_id) in self.targets
        if deal_id := getattr(event, "deal_id", None):
            return deal_id in self.deals
        return getattr(event, "job_order_id", None) in self.job_orders

    def on_job_orders(self, ids: Set[UUID]) -> Iterator[tuple[UUID, UUID, UUID]]:
        for one in self.everyone:
            for id in ids & one.job_orders.keys():
                yield id, id, one.id
            for id in ids & one.shortlists.keys():
                yield id, one.shortlists[id].job_order_id, one.id
            for id in ids & one.books.instalments.keys():
                yield id, one.books.instalments[id].job_order_id, one.id
            for id in ids & one.agreements.keys():
                if order := one.agreements[id].versions[0].job_order_id:
                    yield id, order, one.id

    @property
    def ids(self) -> frozenset[UUID]:
        """Of all records of this company."""
        return frozenset(one.id for one in self.everyone)

    @property
    def parents(self) -> list[UUID]:
        """Whom it belongs to, by any of its records; what the survivor says comes first."""
        named = [one.parent_id for one in self.everyone if one.parent_id]
        return [*dict.fromkeys(named)]

    def fields_of(self, of: UUID | None) -> dict[str, str]:
        """What is known in custom fields of a job order or a deal; None: of the company."""
        every = [one.custom.get(of, {}) for one in reversed(self.everyone)]
        return {field: value for known in every for field, value in known.items()}

    def _must_fit(self, duplicate: Company, fact: Absorbed) -> None:
        """Raises LiftedSince."""
        for word in self.off_limits.words:
            if not word.refuses and word.said_at >= fact.absorbed_at:
                raise LiftedSince(company_id=self.id, said_at=word.said_at)

    @classmethod
    def add(cls, fact: CompanyAdded, *, by: Actor, id: UUID | None = None) -> Self:
        """Raises NotADomain."""
        domain = normalised("domain", fact.domain) if fact.domain.strip() else ""
        return cls.open(msgspec.structs.replace(fact, domain=domain), by=by, id=id)

    def change(self, fact: FirmChanges, *, by: Actor) -> None:
        """What is so already is a no-op. Whoever names a parent looks for circles first. Raises
        NotADomain, NoSuchDomain, OwnAncestor."""
        match fact:
            case DomainAdded() | DomainRemoved():
                fact = msgspec.structs.replace(fact, domain=normalised("domain", fact.domain))
                having = [one for one in self.everyone if fact.domain in one.domains]
                if isinstance(fact, DomainRemoved) and not having:
                    raise NoSuchDomain(company_id=self.id, domain=fact.domain)
                self.turn(fact, having, there=isinstance(fact, DomainAdded), by=by)
            case FirmTagged(tag=tag) | FirmUntagged(tag=tag):
                having = [one for one in self.everyone if tag in one.tags]
                self.turn(fact, having, there=isinstance(fact, FirmTagged), by=by)
            case ParentNamed(parent_id=parent_id):
                if parent_id in self.ids:
                    raise OwnAncestor(parent_id=parent_id)
                having = [one for one in self.everyone if one.parent_id]
                self._name(fact, having, same=parent_id in self.parents[:1], by=by)
            case OwnerAssigned(owner=owner):
                having = [one for one in self.everyone if one.owner]
                self._name(fact, having, same=[owner] == [o.owner for o in having][:1], by=by)
            case FirmProfileChanged() if fact.changes:
                self.enter(fact, by=by)

    def _name(
        self, fact: ParentNamed | OwnerAssigned, having: Sequence[Company], *, same: bool, by: Actor
    ) -> None:
        """Another one on the survivor; none on all that have one."""
        named = fact.parent_id if isinstance(fact, ParentNamed) else fact.owner
        if named and not same:
            self.enter(fact, by=by)
        for one in () if named else having:
            one.enter(fact, by=by)

    def open_deal(
        self,
        pipeline: Pipeline,
        *,
        title: str,
        at: datetime,
        id: UUID | None = None,
        stage: str = "",
        by: Actor,
        **rest: Any,
    ) -> UUID:
        """In the pipeline's first stage if none is named. ``rest``: further fields of the fact.
        Raises NoSuchStage, StageIsRetired, DealIsOpen, DealBeginsOpen."""
        target = pipeline.stage(stage) if stage else pipeline.first()
        if target.is_exit:
            raise DealBeginsOpen(stage=target.id)
        id = id or new_id()
        if any(id in one.deals for one in self.everyone):
            raise DealIsOpen(deal_id=id)
        self.enter(
            DealOpened(
                **_reached(id, target), title=title, pipeline=pipeline.slug, opened_at=at, **rest
            ),
            by=by,
        )
        return id

    def move_deal(
        self,
        deal_id: UUID,
        stage: str,
        pipeline: Pipeline,
        *,
        at: datetime,
        reason: str = "",
        text: str = "",
        by: Actor,
    ) -> None:
        """Raises NoSuchDeal, DealIsOver, NoSuchStage, StageIsRetired, LossNeedsReason."""
        if self.deal(deal_id).over:
            raise DealIsOver(deal_id=deal_id)
        target = pipeline.stage(stage)
        where = _reached(deal_id, target)
        match target.category:
            case "won":
                self.enter(DealWon(**where, won_at=at, text=text), by=by)
            case "lost" if not reason:
                raise LossNeedsReason(deal_id=deal_id)
            case "lost":
                self.enter(DealLost(**where, lost_at=at, reason=reason, text=text), by=by)
            case _:
                self.enter(DealMoved(**where, moved_at=at, text=text), by=by)

    def work_on_deal(self, fact: DealSteps, *, by: Actor) -> None:
        """When it is over, papers may be signed and orders linked, and it is not changed. Raises
        NoSuchDeal, DealIsOver, NoSuchJobOrder, NoSuchAgreement, NoSuchDocument, and as
        ``Papers.decide``."""
        deal = self.deal(fact.deal_id)
        match fact:
            case DealChanged() if deal.over:
                raise DealIsOver(deal_id=fact.deal_id)
            case DealLinked(job_order_id=job_order_id):
                self.job_order(job_order_id)
            case PaperSigned(agreement_id=agreement_id) if agreement_id:
                self.agreement(agreement_id)
        if document_id := getattr(fact, "document_id", None):
            self.must_have_document(document_id)
        if decided := deal.papers.decide(fact):
            self.enter(decided, by=by)

    def agree_fee(self, fact: FeeAgreed, *, by: Actor) -> None:
        """What is due at the signing falls due. Raises AgreementTwice, NoSuchJobOrder, and as
        ``must_make_sense``."""
        must_make_sense(fact)
        if any(fact.agreement_id in one.agreements for one in self.everyone):
            raise AgreementTwice(agreement_id=fact.agreement_id)
        if fact.job_order_id:
            self.job_order(fact.job_order_id)
        self.enter(msgspec.structs.replace(fact, version=1), by=by)
        if fact.job_order_id:
            openings = self.job_order(fact.job_order_id).openings
            cents = before_start(fact, openings=openings).get("signing", 0)
            self._fall_due(fact, fact.job_order_id, "signing", cents, at=fact.agreed_at, by=by)

    def amend_fee(self, fact: FeeAmended, *, by: Actor) -> None:
        """Raises NoSuchAgreement, as ``must_make_sense``, and as ``Agreement.must_take``."""
        agreement = self.agreement(fact.agreement_id)
        must_make_sense(fact)
        agreement.must_take(fact)
        self.enter(msgspec.structs.replace(fact, version=len(agreement.versions) + 1), by=by)

    def end_fee(self, fact: FeeEnded, *, by: Actor) -> None:
        """Raises NoSuchAgreement, and as ``Agreement.must_end``."""
        self.agreement(fact.agreement_id).must_end(fact.ended_at)
        self.enter(fact, by=by)

    def reach(
        self, job_order_id: UUID, on: Literal["shortlist", "elsewhere"], *, at: datetime, by: Actor
    ) -> None:
        """A milestone of a retained search; ``elsewhere``: the order was filled without us. What
        is due already is a no-op. Raises NoSuchJobOrder, NoMandate, NotDueThen."""
        self.job_order(job_order_id)
        terms = self._mandate(job_order_id)
        cents = self._due_on(terms, job_order_id, on)
        if not cents:
            raise NotDueThen(job_order_id=job_order_id, on=on)
        self._fall_due(terms, job_order_id, on, cents, at=at, by=by)

    def _reached(
        self, job_order_id: UUID, on: Literal["shortlist", "elsewhere"], *, at: datetime, by: Actor
    ) -> None:
        """By what has just happened: what the terms say falls due, if they say anything."""
        try:
            self.reach(job_order_id, on, at=at, by=by)
        except (NoMandate, NotDueThen):
            return

    def _due_on(
        self, terms: Terms, job_order_id: UUID, on: Literal["shortlist", "elsewhere"]
    ) -> int:
        openings = self.job_order(job_order_id).openings
        if on == "shortlist":
            return before_start(terms, openings=openings).get("shortlist", 0)
        if terms.basis == "retained" and terms.due_elsewhere:
            expected = fee(terms, first_year_pay_cents=terms.expected_pay_cents)
            due = self.with_order(job_order_id).books.due_before_start(job_order_id)
            starts = range(self._starts(job_order_id), openings)
            return sum(
                at_start(expected, due_cents=due, openings=openings, earlier_starts=n)
                for n in starts
            )
        return 0

    def take_start(
        self,
        terms: Terms,
        *,
        person_id: UUID,
        candidacy_id: UUID,
        job_order_id: UUID,
        fee_cents: int,
        at: datetime,
        by: Actor,
    ) -> None:
        """Somebody started, and what is left of the fee falls due; nothing for who replaces
        another."""
        if fee_cents:
            cents = at_start(
                fee_cents,
                due_cents=self.with_order(job_order_id).books.due_before_start(job_order_id),
                openings=self.job_order(job_order_id).openings,
                earlier_starts=self._starts(job_order_id),
            )
            whose = (person_id, candidacy_id)
            self._fall_due(terms, job_order_id, "start", cents, at=at, by=by, whose=whose)

    def owe(self, fact: RemedyOwed, *, by: Actor) -> None:
        self.enter(fact, by=by)

    def give_replacement(self, fact: ReplacementGiven, *, by: Actor) -> None:
        """Raises NoReplacementOwed."""
        self.with_order(fact.job_order_id).books.must_replace(fact.replaces_id, fact.job_order_id)
        self.enter(fact, by=by)

    def raise_invoice(self, fact: InvoiceRaised, *, by: Actor) -> None:
        """Raises as ``Books.must_raise``; NotAConsultant for an override by anybody else."""
        if fact.override and not by.startswith("consultant:"):
            raise NotAConsultant(actor=by)
        due = self._books_for(fact).must_raise(fact, unseen=self.unseen)
        last = fact.due_on or fact.raised_at.date() + timedelta(days=due.payment_days)
        self.enter(msgspec.structs.replace(fact, due_on=last), by=by)

    def pay_invoice(self, fact: InvoicePaid, *, by: Actor) -> None:
        """The same reference again is a no-op. Raises as ``Books.must_pay``."""
        if self._books_for(fact).must_pay(fact):
            self.enter(fact, by=by)

    def credit_invoice(self, fact: InvoiceCredited, *, by: Actor) -> None:
        """Raises as ``Books.must_credit``."""
        self._books_for(fact).must_credit(fact)
        self.enter(fact, by=by)

    def refund_invoice(self, fact: InvoiceRefunded, *, by: Actor) -> None:
        """The same reference again is a no-op. Raises as ``Books.must_refund``."""
        if self._books_for(fact).must_refund(fact):
            self.enter(fact, by=by)

    def _books_for(self, fact: MoneyFact) -> Books:
        """Those that the fact goes on with."""
        return next((one for one in self.everyone if one._holds(fact)), self).books

    def _fall_due(
        self,
        terms: Terms,
        job_order_id: UUID,
        on: Occasion,
        cents: int,
        *,
        at: datetime,
        by: Actor,
        whose: tuple[UUID | None, UUID | None] = (None, None),
    ) -> None:
        person_id, candidacy_id = whose
        id = instalment_id(job_order_id, on, candidacy_id)
        if id in self.with_order(job_order_id).books.instalments or not (cents or on == "start"):
            return
        self.enter(
            InstalmentDue(
                instalment_id=id,
                agreement_id=terms.agreement_id,
                agreement_version=terms.version,
                job_order_id=job_order_id,
                on=on,
                amount_cents=cents,
                currency=terms.currency,
                payment_days=terms.payment_days,
                due_at=at,
                candidacy_id=candidacy_id,
                person_id=person_id,
            ),
            by=by,
        )

    def _mandate(self, job_order_id: UUID) -> Terms:
        """The retained fee or container of a job order, also once it is ended. Raises
        NoMandate."""
        for agreement in reversed(self.together(lambda one: one.agreements).values()):
            terms = agreement.versions[-1]
            if terms.job_order_id == job_order_id and terms.basis in ("retained", "container"):
                return terms
        raise NoMandate(job_order_id=job_order_id)

    def _starts(self, job_order_id: UUID) -> int:
        return sum(
            due.job_order_id == job_order_id and due.on == "start"
            for due in self.with_order(job_order_id).books.instalments.values()
        )

    def open_job_order(self, fact: JobOrderOpened, *, by: Actor) -> None:
        """Raises JobOrderIsOpen, WrongWayRound."""
        if any(fact.job_order_id in one.job_orders for one in self.everyone):
            raise JobOrderIsOpen(job_order_id=fact.job_order_id)
        must_be_the_right_way_round(fact.salary_from_cents, fact.salary_to_cents)
        self.enter(fact, by=by)

    def step(self, fact: JobOrderSteps, *, by: Actor) -> None:
        """What happens to a job order. If somebody else found them, what is due even then falls
        due, and it is flagged if nobody else was to look. Raises NoSuchJobOrder, and as
        ``JobOrder.decide``."""
        if decided := self.job_order(fact.job_order_id).decide(fact):
            self.enter(decided, by=by)
            if isinstance(decided, JobOrderLost):
                self._flag_exclusivity(decided, by)
                self._reached(fact.job_order_id, "elsewhere", at=decided.lost_at, by=by)

    def _flag_exclusivity(self, lost: JobOrderLost, by: Actor) -> None:
        try:
            terms = self.terms_for(lost.job_order_id, lost.lost_at)
        except NoTerms:
            return
        if terms.exclusive_until_on and lost.lost_at.date() <= terms.exclusive_until_on:
            self.enter(
                ExclusivityBroken(
                    job_order_id=lost.job_order_id,
                    broken_at=lost.lost_at,
                    exclusive_until_on=terms.exclusive_until_on,
                    agreement_id=terms.agreement_id,
                    agreement_version=terms.version,
                ),
                by=by,
            )

    def fill_job_order(
        self, job_order_id: UUID, *, at: datetime, openings: int | None = None, by: Actor
    ) -> None:
        """All of it, or some openings. Raises as ``step``."""
        if openings is None:
            self.step(JobOrderFilled(job_order_id=job_order_id, filled_at=at), by=by)
        else:
            some = OpeningsFilled(job_order_id=job_order_id, filled_at=at, openings=openings)
            self.step(some, by=by)

    def vacate(self, job_order_id: UUID, candidacy_id: UUID, *, at: datetime, by: Actor) -> None:
        """Who was found for it is gone: another is looked for. Nothing, if it is lost or cancelled
        by now, or was filled without them. Raises NoSuchJobOrder."""
        order = self.job_order(job_order_id)
        if order.can_be_vacated and order.found:
            gone = OpeningVacated(
                job_order_id=job_order_id, vacated_at=at, candidacy_id=candidacy_id
            )
            self.step(gone, by=by)

    def cancel_job_order(self, job_order_id: UUID, *, at: datetime, reason: str, by: Actor) -> None:
        """Raises as ``step``."""
        fact = JobOrderCancelled(job_order_id=job_order_id, cancelled_at=at, reason=reason)
        self.step(fact, by=by)

    def draw_shortlist(
        self,
        id: UUID,
        job_order_id: UUID,
        people: Iterable[tuple[UUID, UUID, bool]],
        *,
        at: datetime,
        text: str = "",
        by: Actor,
    ) -> None:
        """Its next version, of these: person, candidacy, and whether they are blind. Raises
        NoSuchJobOrder, JobOrderIsClosed, ListedTwice."""
        self.order_in_work(job_order_id)
        found = self.together(lambda one: one.shortlists).get(id) or Shortlist(job_order_id)
        drawn = ShortlistDrawn(
            shortlist_id=id,
            job_order_id=job_order_id,
            version=found.version + 1,
            people=found.labelled(people),
            drawn_at=at,
            text=text,
        )
        self.enter(drawn, by=by)

    def share_shortlist(
        self,
        id: UUID,
        link_id: UUID,
        *,
        contact_id: UUID,
        digest: str,
        until_on: date,
        at: datetime,
        by: Actor,
    ) -> None:
        """The milestone of a retained search, if there is one. Raises NoSuchShortlist,
        LastsUntilBefore, LinkLastsTooLong."""
        found = self.shortlist(id)
        found.must_last(until_on, today=today())
        self._reached(found.job_order_id, "shortlist", at=at, by=by)
        shared = ShortlistShared(
            shortlist_id=id,
            job_order_id=found.job_order_id,
            version=found.version,
            link_id=link_id,
            contact_id=contact_id,
            until_on=until_on,
            shared_at=at,
            digest=digest,
        )
        self.enter(shared, by=by)

    def withdraw_shortlist(
        self,
        id: UUID,
        *,
        link_id: UUID | None = None,
        at: datetime,
        reason: str = "",
        text: str = "",
        by: Actor,
    ) -> None:
        """From one contact, or None: from all. What is withdrawn already is a no-op. Raises
        NoSuchShortlist, NoSuchLink."""
        found = self.shortlist(id)
        chosen = {link_id: found.link(link_id)} if link_id else dict(found.links)
        for each, link in chosen.items():
            if not link.withdrawn:
                withdrawn = ShortlistWithdrawn(
                    shortlist_id=id,
                    job_order_id=found.job_order_id,
                    version=found.version,
                    link_id=each,
                    contact_id=link.contact_id,
                    withdrawn_at=at,
                    reason=reason,
                    text=text,
                )
                self.enter(withdrawn, by=by)

    def see_shortlist(self, door: Door, people: Iterable[UUID], *, at: datetime) -> None:
        """Once a day in each version: looked at again it is a no-op. Raises LinkIsOver."""
        found, where = self._behind(door, at)
        if not found.links[door.link_id].is_seen(found.version, at.date()):
            self.enter(ShortlistSeen(**where, seen_at=at, people=tuple(people)), by=door.actor)

    def comment_shortlist(self, door: Door, text: str, *, at: datetime) -> None:
        """Raises LinkIsOver, NothingSaid."""
        _, where = self._behind(door, at)
        if not text.strip():
            raise NothingSaid()
        self.enter(ShortlistCommented(**where, commented_at=at, text=text), by=door.actor)

    def _behind(self, door: Door, at: datetime) -> tuple[Shortlist, dict[str, Any]]:
        found = self.shortlist(door.shortlist_id)
        found.link(door.link_id).must_open(at.date())
        where = {
            "shortlist_id": door.shortlist_id,
            "job_order_id": found.job_order_id,
            "version": found.version,
            "link_id": door.link_id,
            "contact_id": door.contact_id,
        }
        return found, where

    def door(self, digest: str) -> Door | None:
        """Where the link with this digest leads, open or not; each is compared."""
        doors = [
            Door(one.id, id, link_id, link.contact_id)
            for one in self.everyone
            for id, shortlist in one.shortlists.items()
            for link_id, link in shortlist.links.items()
            if same(link.digest, digest)
        ]
        return doors[0] if doors else None

    def learn(self, fact: CompanyFields, *, by: Actor) -> None:
        """A custom field. What is so already is a no-op. Raises NoSuchJobOrder, NoSuchDeal."""
        if fact.job_order_id:
            self.job_order(fact.job_order_id)
        if fact.deal_id:
            self.deal(fact.deal_id)
        of = fact.job_order_id or fact.deal_id
        before = self.fields_of(of).get(fact.field, "")
        if before == (known_as(fact) if isinstance(fact, FirmFieldSet) else ""):
            return
        if isinstance(fact, FirmFieldSet):
            self.enter(fact, by=by)
        else:
            known = [one for one in self.everyone if fact.field in one.custom.get(of, {})]
            self.turn(fact, known, there=False, by=by)

    def target(self, fact: Targets, *, by: Actor) -> None:
        """Of a search. What is so already is a no-op. Raises NoSuchJobOrder, TargetIsClient, and
        for a new one JobOrderIsClosed."""
        self.job_order(fact.job_order_id)
        there = any((fact.job_order_id, fact.target_id) in one.targets for one in self.everyone)
        if fact.target_id in self.ids and not there:  # a target may become the client by a merge
            raise TargetIsClient(target_id=fact.target_id)
        if isinstance(fact, TargetNamed):
            self.order_not_over(fact.job_order_id)
        if there == isinstance(fact, TargetDropped):
            self.enter(fact, by=by)

    def refer(self, fact: ClientReferrals, *, by: Actor) -> None:
        """To us or to a partner. Raises ReferralIdTaken, ReferrerMissing."""
        for one in self.everyone:
            one.referrals.must_take(one.id, fact)
        self.enter(fact, by=by)

    def tell_referral_fee(self, fact: ClientReferralFee, *, by: Actor) -> None:
        """Raises as ``Referrals.told``."""
        theirs = (one for one in self.everyone if fact.referral_id in one.referrals.kept)
        whose = next(theirs, self)
        whose.enter(whose.referrals.told(fact), by=by)

    def snooze_quiet(self, fact: CompanyQuietSnoozed, *, by: Actor) -> None:
        """Raises LastsUntilBefore, SnoozeNeedsReason."""
        must_be_in_order(fact)
        self.enter(fact, by=by)

    def record(self, fact: CompanyInteractions, *, by: Actor) -> None:
        """What concerns nobody there in particular."""
        self.enter(fact, by=by)

    def promise(self, fact: CompanyFollowUpPromised, *, by: Actor) -> None:
        """Raises FollowUpIdTaken."""
        if any(fact.follow_up_id in one.follow_ups for one in self.everyone):
            raise FollowUpIdTaken(company_id=self.id, follow_up_id=fact.follow_up_id)
        self.enter(fact, by=by)

    def follow_up(self, fact: CompanyFollowUpChanges, *, by: Actor) -> None:
        """Raises NoSuchFollowUp, FollowUpIsDone, LastsUntilBefore."""
        promised = self.together(lambda one: one.follow_ups)
        must_be_owed(promised, fact, company_id=self.id)
        if isinstance(fact, CompanyFollowUpSnoozed):
            must_lie_ahead(fact)
        self.enter(fact, by=by)

    def set_off_limits(self, fact: OffLimitsFacts, *, by: Actor) -> None:
        """The same again is a no-op. Raises LastsUntilBefore."""
        must_last(fact.word)
        if fact.word not in self.off_limits.words:
            self.enter(fact, by=by)

    def must_be_approachable(self, at: datetime, *, subsidiary: UUID | None = None) -> None:
        """Its people, or those of a company that belongs to it. Raises OffLimits."""
        for said in self.said(lambda one: one.off_limits):
            word = said.refusal(at)
            if word and (word.with_subsidiaries or subsidiary is None):
                raise OffLimits(
                    company_id=subsidiary or self.id,
                    agreed_with_id=self.id,
                    since=word.said_at,
                    until_on=word.until_on,
                )

    def deal(self, id: UUID) -> Deal:
        """Raises NoSuchDeal."""
        deals = self.together(lambda one: one.deals)
        if id not in deals:
            raise NoSuchDeal(company_id=self.id, deal_id=id)
        return deals[id]

    def shortlist(self, id: UUID) -> Shortlist:
        """Raises NoSuchShortlist."""
        shortlists = self.together(lambda one: one.shortlists)
        if id not in shortlists or id in self.unseen:
            raise NoSuchShortlist(company_id=self.id, shortlist_id=id)
        return shortlists[id]

    def with_order(self, id: UUID) -> Company:
        """The record that it is on. Raises NoSuchJobOrder."""
        for one in self.everyone:
            if id in one.job_orders and id not in self.unseen:
                return one
        raise NoSuchJobOrder(company_id=self.id, job_order_id=id)

    def job_order(self, id: UUID) -> JobOrder:
        """Raises NoSuchJobOrder."""
        return self.with_order(id).job_orders[id]

    def open_order(self, id: UUID, at: datetime | None = None) -> JobOrder:
        """Now, and at that moment too if one is given. Raises NoSuchJobOrder, JobOrderIsClosed."""
        order = self.job_order(id)
        if not order.open:
            raise JobOrderIsClosed(company_id=self.id, job_order_id=id, standing=order.status)
        if at and (then := order.status_at(at)) != "open":
            standing = then or "not there yet"
            raise JobOrderIsClosed(company_id=self.id, job_order_id=id, standing=standing, at=at)
        return order

    def order_in_work(self, id: UUID) -> JobOrder:
        """Open, or covered by those who are on it. Raises NoSuchJobOrder, JobOrderIsClosed."""
        order = self.job_order(id)
        if order.status not in IN_WORK:
            raise JobOrderIsClosed(company_id=self.id, job_order_id=id, standing=order.status)
        return order

    def order_not_over(self, id: UUID) -> JobOrder:
        """On hold too: we may look for whom we will need. Raises NoSuchJobOrder,
        JobOrderIsClosed."""
        order = self.job_order(id)
        if order.status in OVER:
            raise JobOrderIsClosed(company_id=self.id, job_order_id=id, standing=order.status)
        return order

    def agreement(self, id: UUID) -> Agreement:
        """Raises NoSuchAgreement."""
        agreements = self.together(lambda one: one.agreements)
        if id not in agreements or id in self.unseen:
            raise NoSuchAgreement(company_id=self.id, agreement_id=id)
        return agreements[id]

    def terms_for(self, job_order_id: UUID, at: datetime) -> Terms:
        """In force at that moment: the job order's own before the company's, of each the last to
        be agreed by then, in its version of then. One that is ended puts out what was agreed before
        on its own record, and not what another had for itself. Raises NoTerms."""
        for reach in (job_order_id, None):
            held = [in_force(agreed, at) for agreed in reversed(self._agreed(reach))]
            found = in_force([each for each in held if each], at)
            if found and (terms := found.at(at)):
                return terms
        raise NoTerms(company_id=self.id)

    def _agreed(self, reach: UUID | None) -> list[list[Agreement]]:
        """On each of the records, and what was agreed on the survivor since they are merged: that
        takes the place of both."""
        own = [each for each in self.agreements.values() if each.versions[0].job_order_id == reach]
        found = [own]
        for other in self.beside:
            later = [each for each in own if each.agreed_at >= self.absorbed[other.id]]
            found += [[*agreed, *later] for agreed in other._agreed(reach)]
        return found

    def terms_of(self, agreement_id: UUID, version: int) -> Terms:
        """Raises NoSuchAgreement."""
        return self.agreement(agreement_id).versions[version - 1]

    def apply(self, event: Event) -> None:
        match event:
            case CompanyAdded(domain=domain) | DomainAdded(domain=domain):
                self.domains |= {domain} - {""}
            case DomainRemoved(domain=domain):
                self.domains.discard(domain)
            case FirmTagged(tag=tag):
                self.tags.add(tag)
            case FirmUntagged(tag=tag):
                self.tags.discard(tag)
            case ParentNamed(parent_id=parent_id):
                self.parent_id = parent_id
            case OwnerAssigned(owner=owner):
                self.owner = owner
            case DealOpened(deal_id=id, pipeline=pipeline):
                self.deals[id] = Deal(pipeline)
            case DealStep(deal_id=id):
                self.deals[id].papers.apply(event)  # type: ignore[arg-type]
            case DealWon(deal_id=id) | DealLost(deal_id=id):
                self.deals[id].over = True
            case FeeAgreed(agreement_id=id):
                self.agreements[id] = Agreement([msgspec.structs.replace(event, text="")])
            case FeeAmended(agreement_id=id):
                self.agreements[id].versions.append(msgspec.structs.replace(event, text=""))
            case FeeEnded(agreement_id=id):
                self.agreements[id].ended_at = event.ended_at
            case JobOrderOpened():
                self.job_orders[event.job_order_id] = JobOrder(
                    event.pipeline,
                    event.openings,
                    confidential=event.confidential,
                    turns=[(event.opened_at, "open")],
                    salary_from_cents=event.salary_from_cents,
                    salary_to_cents=event.salary_to_cents,
                )
            case JobOrderStep(job_order_id=id):
                self.job_orders[id].apply(event)  # type: ignore[arg-type]  # each is one of them
            case MoneyFact():
                self.books.apply(event)
            case ShortlistFact(shortlist_id=id, job_order_id=job_order_id):
                found = self.shortlists.setdefault(id, Shortlist(job_order_id))
                found.apply(event)  # type: ignore[arg-type]  # each is one of them
            case FirmFieldSet(field=field):
                of = event.job_order_id or event.deal_id
                self.custom.setdefault(of, {})[field] = known_as(event)
            case FirmFieldCleared(field=field):
                self.custom.get(event.job_order_id or event.deal_id, {}).pop(field, None)
            case TargetNamed(job_order_id=order_id, target_id=target_id):
                self.targets.add((order_id, target_id))
            case TargetDropped(job_order_id=order_id, target_id=target_id):
                self.targets.discard((order_id, target_id))
            case Referral() | ReferralFee():
                self.referrals.apply(event)
            case CompanyFollowUpPromised(follow_up_id=id):
                self.follow_ups[id] = False
            case CompanyFollowUpDone(follow_up_id=id):
                self.follow_ups[id] = True
            case OffLimitsAgreed() | OffLimitsLifted():
                self.off_limits.add(event.word)
            case Filed() | Unfiled() | Absorbed() | Merged() | Unmerged():
                super().apply(event)
                if isinstance(event, Unmerged):
                    self.was_one_with.add(event.other_id)


def _reached(id: UUID, stage: Stage) -> dict[str, Any]:
    return {
        "deal_id": id,
        "stage": stage.id,
        "category": stage.category,
        "probability_bp": stage.probability_bp,
    }
