"""/companies: who they are, what we sell them, what they pay, whom they look for."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import intake, selling
from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.clock import now
from ledger_crm.domain.company import Company, CompanyAdded, NoTerms, NoTermsThen
from ledger_crm.domain.contact import normalised
from ledger_crm.domain.deal import DealSteps
from ledger_crm.domain.entry import Cents, Currency, Instant, Reason, Sealed, Slug, Title
from ledger_crm.domain.fee import Milestone, before_start, fee, with_partner
from ledger_crm.domain.firm import FirmChanges
from ledger_crm.domain.identity import Role
from ledger_crm.domain.interaction import CompanyInteractions
from ledger_crm.domain.joborder import JobOrderOpened, JobOrderSteps, Openings
from ledger_crm.domain.joborder import Status as JobOrderStatus
from ledger_crm.domain.permission import OffLimitsFacts
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import companies, history, people

from . import histories
from .acting import Act, Made, alone, fields
from .asking import Custom, OfTeam, Since, Until, Words, asked, team_on
from .following import Kinds
from .histories import By
from .posting import JobPosting, posting_of
from .reading import Limit, Named, Page, Token, View, position

Domain = Annotated[str | None, QueryParameter(max_length=2000, description="Of the company.")]
Owned = Annotated[
    str | None,
    QueryParameter(max_length=80, description="Only those that this one of us answers for."),
]
Tagged = Annotated[str | None, QueryParameter(max_length=40, description="Only with this tag.")]
Trade = Annotated[
    str | None, QueryParameter(max_length=200, description="Only of this industry, as written.")
]
Status = Annotated[
    JobOrderStatus | None,
    QueryParameter(description="Only those that are this now."),
]
Works = Annotated[
    str | None,
    QueryParameter(max_length=80, description="Only those that this one of us owns or shares in."),
]

Broken = Annotated[
    bool | None,
    QueryParameter(description="Only those lost to somebody else while exclusive, or not."),
]
FirstYearPay = Annotated[
    int | None,
    QueryParameter(ge=0, le=10**15, description="To be told what one placement would bring."),
]


class NewDeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """stage  to begin in; "" for the pipeline's first one"""

    title: Title
    pipeline: Slug = "sales"
    stage: str = ""
    value_cents: Cents = 0
    currency: Currency = "EUR"
    expected_close_on: date | None = None
    contact_id: UUID | None = None
    at: Instant = msgspec.field(default_factory=now, name="opened_at")
    id: UUID | None = msgspec.field(default=None, name="deal_id")


class DealMove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a deal goes. Into a lost stage: with a reason."""

    stage: Slug
    at: Instant = msgspec.field(default_factory=now)
    reason: Reason = ""
    text: Sealed = ""


class TermsShown(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for whoever is introduced on this job order at that moment.

    own         it is of this job order alone
    exclusive   nobody else looks for them on that day
    terms       the fact as it was written; what is missing is as its schema has it by default
    fee_cents   of one placement at the first-year pay that was asked for; null: none was
    ours_cents  of it, once another agency has its part
    milestones  what is due before anybody starts, for the whole job order
    """

    agreement_id: UUID
    agreement_version: int
    own: bool
    exclusive: bool
    line: str
    terms: FeeAgreed | FeeAmended
    currency: Currency
    fee_cents: int | None
    ours_cents: int | None
    milestones: dict[Milestone, int]


class Filling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """openings  how many are found; None: all of them"""

    at: Instant = msgspec.field(default_factory=now, name="filled_at")
    openings: Openings | None = None


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason
    at: Instant = msgspec.field(default_factory=now, name="cancelled_at")


AGREE_FEE = alone(Company, Company.agree_fee)
AMEND_FEE = alone(Company, Company.amend_fee)
END_FEE = alone(Company, Company.end_fee)
FILL = alone(Company, Company.fill_job_order)
CANCEL = alone(Company, Company.cancel_job_order)
OFF_LIMITS = alone(Company, Company.set_off_limits)


class Companies(Controller):
    path = "/companies"
    tags = ("companies",)

    @post()
    async def add_company(
        self, begin: NamedDependency[Act], data: JSONBody[CompanyAdded]
    ) -> Response[Receipt]:
        """Add a company

        409 names the holder if another company has this domain: it is probably the same one."""
        return await begin.new(intake.add_company, data)

    @get()
    async def list_companies(
        self,
        view: NamedDependency[View],
        domain: Domain = None,
        q: Words = None,
        owner: Owned = None,
        team: OfTeam = None,
        tag: Tagged = None,
        industry: Trade = None,
        parent_id: FromQuery[UUID | None] = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[companies.CompanyListed]]:
        """List companies

        The newest first. `domain`: only the one that has it, in any written form. `q`: in the name.
        `team`: those that one of its consultants of today owns."""
        wanted = None if domain is None else normalised("domain", domain)
        return await view.page(
            companies.listing,
            named=Named(company_id=parent_id, team=team, owner=owner),
            domain=wanted,
            name=q,
            owner=owner,
            team=team_on(team, view.today()),
            tag=tag,
            industry=industry,
            parent_id=parent_id,
            custom=asked(custom),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/{company_id:uuid}")
    async def read_company(
        self, view: NamedDependency[View], company_id: FromPath[UUID]
    ) -> Response[companies.CompanyShown]:
        """Read a company

        Who it is, what it pays, whom it looks for. `ETag` is the version of the record."""
        return await view.one(companies.card, company_id)

    @get("/{company_id:uuid}/history")
    async def read_company_history(
        self,
        view: NamedDependency[View],
        company_id: FromPath[UUID],
        kind: Kinds = None,
        by: By = None,
        since: Since = None,
        until: Until = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[history.HistoryLine]]:
        """Read the full history with a company

        Everything that ever passed between us and the company or its people, both sides, the
        newest first by the time of the fact, which `since` and `until` are of."""
        return await histories.page(
            view, "company", company_id, kind=kind, by=by, since=since, until=until, cursor=cursor,
            limit=limit,
        )  # fmt: skip

    @post("/{company_id:uuid}/changes")
    async def change_company(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[FirmChanges],
    ) -> Response[Receipt]:
        """Change a company

        What we learn of it, by its `kind`: profile changed, domain added or removed, parent named,
        owner assigned, tagged or untagged. What is so already changes nothing. 409 names the holder
        if another company has the domain."""
        return await act.on(company_id, intake.change_company, data)

    @post("/{company_id:uuid}/interactions")
    async def record_company_interaction(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[CompanyInteractions],
    ) -> Response[Receipt]:
        """Record what concerns nobody there in particular

        A note or a call, by its `kind`. With somebody whom we know, it is an interaction with that
        person, with this `company_id`."""
        return await act.on(company_id, intake.record_of_company, data)

    @get("/{company_id:uuid}/contacts")
    async def list_contacts(
        self,
        view: NamedDependency[View],
        company_id: FromPath[UUID],
        role: FromQuery[Role | None] = None,
        on: Annotated[
            date | None, QueryParameter(description="Only who is there on this day.")
        ] = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[people.Contact]]:
        """List the people there

        Who works there or did, and as what: the hiring manager, HR, finance. `on`: only who is
        there on that day."""
        return await view.page(
            people.at_company,
            company_id,
            named=Named(company_id=company_id),
            role=role,
            on=on,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @post("/{company_id:uuid}/off-limits")
    async def set_off_limits(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[OffLimitsFacts],
    ) -> Response[Receipt]:
        """Agree or lift off-limits

        Until when we do not approach their people, nor whom we placed with them, nor, if it says
        so, those of the companies that belong to them; by its `kind`. The last word holds."""
        return await act.on(company_id, OFF_LIMITS, data)

    @post("/{company_id:uuid}/deals", tags=["deals"])
    async def open_deal(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[NewDeal]
    ) -> Response[Made]:
        """Open a deal"""
        return await act.within(company_id, selling.open_deal, **fields(data))

    @post("/{company_id:uuid}/deals/{deal_id:uuid}/moves", tags=["deals"])
    async def move_deal(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        deal_id: FromPath[UUID],
        data: JSONBody[DealMove],
    ) -> Response[Receipt]:
        """Move a deal

        Forward, back, to won, or to lost with a reason."""
        return await act.on(company_id, selling.move_deal, deal_id, **fields(data))

    @post("/{company_id:uuid}/deals/steps", tags=["deals"])
    async def work_on_deal(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[DealSteps]
    ) -> Response[Receipt]:
        """Work on a deal

        By its `kind`: what we expect of it changed, a proposal or terms sent, revised or signed, a
        job order came of it. Versions of papers are ours to count: each one sent is the next, and
        the last one can be signed."""
        return await act.on(company_id, selling.work_on_deal, data)

    @post("/{company_id:uuid}/fees")
    async def agree_fee(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[FeeAgreed]
    ) -> Response[Made]:
        """Agree a fee

        It holds for whom we introduce from now on; whoever was introduced keeps their terms."""
        return await act.within(company_id, AGREE_FEE, data)

    @post("/{company_id:uuid}/fees/amendments")
    async def amend_fee(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[FeeAmended]
    ) -> Response[Receipt]:
        """Amend a fee agreement

        All of its terms again, as they hold from a moment on: what is left out, like the last day
        (`ends_on`), is no longer agreed. Whoever was introduced before keeps the version of
        then."""
        return await act.on(company_id, AMEND_FEE, data)

    @post("/{company_id:uuid}/fees/endings")
    async def end_fee(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[FeeEnded]
    ) -> Response[Receipt]:
        """End a fee agreement

        Nobody is introduced under it from then on. What was introduced before keeps its terms, its
        guarantee and its tail."""
        return await act.on(company_id, END_FEE, data)

    @post("/{company_id:uuid}/job-orders")
    async def open_job_order(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[JobOrderOpened],
    ) -> Response[Made]:
        """Open a job order

        The client asks for somebody."""
        return await act.within(company_id, selling.open_job_order, data)

    @get("/{company_id:uuid}/job-orders/{job_order_id:uuid}/terms", now_alone=True)
    async def read_terms(
        self,
        view: NamedDependency[View],
        company_id: FromPath[UUID],
        job_order_id: FromPath[UUID],
        at: FromQuery[Instant | None] = None,
        first_year_pay_cents: FirstYearPay = None,
    ) -> Response[TermsShown]:
        """Read the terms in force

        Whoever is introduced at that moment (now, if it is left out) is under these, whatever is
        agreed later; and what one placement at that pay would bring."""
        when = at or now()

        async def ask(work: Work) -> TermsShown:
            company = await work.get(Company, company_id)
            openings = company.job_order(job_order_id).openings
            try:
                terms = company.terms_for(job_order_id, when)
            except NoTerms:
                raise NoTermsThen(job_order_id=job_order_id, at=when) from None
            assert isinstance(terms, FeeAgreed | FeeAmended)
            pay_cents, until_on = first_year_pay_cents, terms.exclusive_until_on
            brings = None if pay_cents is None else fee(terms, first_year_pay_cents=pay_cents)
            return TermsShown(
                agreement_id=terms.agreement_id,
                agreement_version=terms.version,
                own=terms.job_order_id == job_order_id,
                exclusive=until_on is not None and when.date() <= until_on,
                line=terms.line,
                terms=terms,
                currency=terms.currency,
                fee_cents=brings,
                ours_cents=None if brings is None else with_partner(terms, brings)[0],
                milestones=before_start(terms, openings=openings),
            )

        return await view.decided(ask)

    @post("/{company_id:uuid}/job-orders/{job_order_id:uuid}/fillings")
    async def fill_job_order(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        job_order_id: FromPath[UUID],
        data: JSONBody[Filling],
    ) -> Response[Receipt]:
        """Fill a job order

        Wholly, or some of its openings; the last one fills it."""
        return await act.on(company_id, FILL, job_order_id, **fields(data))

    @post("/{company_id:uuid}/job-orders/{job_order_id:uuid}/cancellations")
    async def cancel_job_order(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        job_order_id: FromPath[UUID],
        data: JSONBody[Cancellation],
    ) -> Response[Receipt]:
        """Cancel a job order

        With a reason."""
        return await act.on(company_id, CANCEL, job_order_id, **fields(data))

    @post("/{company_id:uuid}/job-orders/steps")
    async def step_job_order(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[JobOrderSteps],
    ) -> Response[Receipt]:
        """Change a job order

        What happens to it, by its `kind`: changed, staffed with its owner and the consultants'
        shares in the commission, what is asked of whoever applies, held, covered, filled, lost,
        cancelled, reopened, an opening vacated. On one that is not open nobody is taken up or
        introduced."""
        return await act.on(company_id, selling.step_job_order, data)


class JobOrders(Controller):
    path = "/job-orders"
    tags = ("companies",)

    @get()
    async def list_job_orders(
        self,
        view: NamedDependency[View],
        q: Words = None,
        status: Status = None,
        company_id: FromQuery[UUID | None] = None,
        consultant: Works = None,
        team: OfTeam = None,
        exclusivity_broken: Broken = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[companies.JobOrderListed]]:
        """List job orders

        Over all companies or of one, the newest first. `q`: in the title, the location, the
        requisition and the must-haves. `team`: those that one of its consultants of today owns or
        shares in."""
        return await view.seen(
            lambda besides: view.page(
                companies.orders,
                named=Named(company_id=company_id, team=team, consultant=consultant),
                words=q,
                status=status,
                company_id=company_id,
                consultant=consultant,
                team=team_on(team, view.today()),
                exclusivity_broken=exclusivity_broken,
                custom=asked(custom),
                besides=besides,
                cursor=cursor,
                limit=limit,
                at=position,
            )
        )

    @get("/{job_order_id:uuid}")
    async def read_job_order(
        self, view: NamedDependency[View], job_order_id: FromPath[UUID]
    ) -> Response[companies.JobOrderListed]:
        """Read a job order"""
        return await view.one(companies.order, job_order_id)

    @get("/{job_order_id:uuid}/posting")
    async def read_posting(
        self, view: NamedDependency[View], job_order_id: FromPath[UUID]
    ) -> Response[JobPosting]:
        """Export a job posting

        As schema.org's `JobPosting`, for job boards and search engines. Of an order that is not
        open there is none; a confidential one does not name the client."""
        answer = await view.one(companies.vacancy, job_order_id)
        return Response(posting_of(answer.content), headers=answer.headers)
