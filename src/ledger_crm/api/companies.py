"""/companies: who they are, what we sell them, what they pay, whom they look for."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import intake, selling
from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.clock import now
from ledger_crm.domain.company import Company, CompanyAdded, JobOrderOpened, Title
from ledger_crm.domain.contact import normalised
from ledger_crm.domain.entry import Cents, Currency, Instant, Reason, Sealed, Slug
from ledger_crm.domain.permission import OffLimitsFacts
from ledger_crm.ledger import Receipt
from ledger_crm.projections import companies, history

from .acting import Act, Made, alone, fields
from .reading import Limit, Named, Page, Token, View, moment, position

Domain = Annotated[str | None, QueryParameter(max_length=2000, description="Of the company.")]
Words = Annotated[
    str | None,
    QueryParameter(max_length=200, pattern=r"\S", description="Words of the company's name."),
]
Status = Annotated[
    Literal["open", "filled", "cancelled"] | None,
    QueryParameter(description="Only those that are this now."),
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


class Filling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: Instant = msgspec.field(default_factory=now, name="filled_at")


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
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[companies.CompanyListed]]:
        """List companies

        The newest first. `domain`: only the one that has it, in any written form. `q`: those whose
        name holds all of these words, or parts of words, in capitals or not, with accents or
        not."""
        wanted = None if domain is None else normalised("domain", domain)
        return await view.page(
            companies.listing, domain=wanted, name=q, cursor=cursor, limit=limit, at=position
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
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[history.HistoryLine]]:
        """Read the full history with a company

        Everything that ever passed between us and the company or its people, both sides, the
        newest first by the time of the fact."""
        return await view.page(
            history.of,
            company_id,
            named=Named(company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=moment,
        )

    @post("/{company_id:uuid}/off-limits")
    async def set_off_limits(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[OffLimitsFacts],
    ) -> Response[Receipt]:
        """Agree or lift off-limits

        Until when we do not approach their people, by its `kind`."""
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

        All of its terms again, as they hold from a moment on. Whoever was introduced before keeps
        the version of then."""
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

    @post("/{company_id:uuid}/job-orders/{job_order_id:uuid}/fillings")
    async def fill_job_order(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        job_order_id: FromPath[UUID],
        data: JSONBody[Filling],
    ) -> Response[Receipt]:
        """Fill a job order"""
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


class JobOrders(Controller):
    path = "/job-orders"
    tags = ("companies",)

    @get()
    async def list_job_orders(
        self,
        view: NamedDependency[View],
        status: Status = None,
        company_id: FromQuery[UUID | None] = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[companies.JobOrderListed]]:
        """List job orders

        Over all companies or of one, the newest first."""
        return await view.page(
            companies.orders,
            named=Named(company_id=company_id),
            status=status,
            company_id=company_id,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/{job_order_id:uuid}")
    async def read_job_order(
        self, view: NamedDependency[View], job_order_id: FromPath[UUID]
    ) -> Response[companies.JobOrderListed]:
        """Read a job order"""
        return await view.one(companies.order, job_order_id)
