"""Money: what clients pay, who was introduced under what, what is due, and whose it is."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import placements as acts
from ledger_crm.domain.candidacy import Deciders
from ledger_crm.domain.clock import now
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Instant, Reason, Sealed
from ledger_crm.domain.fee import Share
from ledger_crm.domain.invoice import InvoiceCredited, InvoicePaid, InvoiceRaised, InvoiceRefunded
from ledger_crm.ledger import Receipt
from ledger_crm.projections import (
    agreements,
    commissions,
    fees,
    introductions,
    invoices,
    placements,
)

from .acting import Act, Made, alone, fields
from .asking import Custom, OfTeam, Since, Until, asked, moment_of
from .reading import Limit, Named, Page, Token, View, position

EndsBefore = Annotated[
    date | None,
    QueryParameter(description="Only newest versions of what runs out before this day."),
]

TailOn = Annotated[
    date | None,
    QueryParameter(description="Only those not placed whose tail runs on this day."),
]
Hired = Annotated[
    bool | None,
    QueryParameter(description="Only those who were hired past us within the tail, or not."),
]
Status = Annotated[
    placements.Status | None, QueryParameter(description="Only those that are this now.")
]
GuaranteeOn = Annotated[
    date | None, QueryParameter(description="Only those whose guarantee runs on this day.")
]
StandsOn = Annotated[
    date | None, QueryParameter(description="How they stand on this day; today if left out.")
]
ToInvoice = Annotated[
    bool | None,
    QueryParameter(description="Only those with something to invoice, or nothing."),
]
OverdueOn = Annotated[date | None, QueryParameter(description="Only those overdue on this day.")]
Settled = Annotated[
    bool | None, QueryParameter(description="Only those with nothing open, or with something.")
]
RemedySettled = Annotated[
    bool | None,
    QueryParameter(description="Only those with nothing left to do, or with something."),
]
Of = Annotated[
    str | None, QueryParameter(max_length=80, description="Only those this consultant has part of.")
]
By = Annotated[fees.By, QueryParameter(description="What a line is of.")]
On = Annotated[
    date | None, QueryParameter(description="When a guarantee has to run; today if left out.")
]


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """starts_on  the first day at work, as it was"""

    starts_on: date
    text: Sealed = ""


class FallThrough(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """left_on     the last day at work; the day on which they said so, if they never came
    decided_by  whose decision it was
    covered     false: the guarantee does not hold for why they left
    look_again  whether another is looked for, so that the opening on the job order is free again;
                null: if we owe a replacement
    """

    left_on: date
    reason: Reason
    decided_by: Deciders
    covered: bool = True
    look_again: bool | None = None
    text: Sealed = ""


class GuaranteeEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """There is nothing to say: the day is by the terms."""


class Commission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares sum to 10,000 basis points."""

    shares: Annotated[tuple[Share, ...], msgspec.Meta(min_length=1, max_length=20)]
    at: Instant = msgspec.field(default_factory=now, name="split_at")
    text: Sealed = ""


class MilestoneReached(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """on  elsewhere: the order was filled without us"""

    on: Literal["shortlist", "elsewhere"]
    at: Instant = msgspec.field(default_factory=now, name="reached_at")


REACH = alone(Company, Company.reach)
RAISE = alone(Company, Company.raise_invoice)
PAY = alone(Company, Company.pay_invoice)
CREDIT = alone(Company, Company.credit_invoice)
REFUND = alone(Company, Company.refund_invoice)


class Placements(Controller):
    path = "/people/{person_id:uuid}/candidacies/{candidacy_id:uuid}"
    tags = ("money",)

    @post("/starts")
    async def start(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[Start],
    ) -> Response[Receipt]:
        """Record a start

        They came to work. What is left of the fee falls due, and the guarantee runs."""
        return await act.on(person_id, acts.start, candidacy_id, **fields(data))

    @post("/fall-throughs")
    async def fall_through(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[FallThrough],
    ) -> Response[Receipt]:
        """Record a fall-through

        They left, or never came. Rebate or replacement is by the terms at the introduction."""
        return await act.on(person_id, acts.fall_through, candidacy_id, **fields(data))

    @post("/guarantee-ends")
    async def end_guarantee(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[GuaranteeEnd],
    ) -> Response[Receipt]:
        """End a guarantee

        They stayed for as long as it ran: the fee is no longer at risk."""
        return await act.on(person_id, acts.end_guarantee, candidacy_id)

    @post("/commissions")
    async def split_commission(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[Commission],
    ) -> Response[Receipt]:
        """Split the commission

        Whose placement it was, in place of what was said before."""
        return await act.on(person_id, acts.split_commission, candidacy_id, **fields(data))


class Money(Controller):
    path = ""
    tags = ("money",)

    @post("/companies/{company_id:uuid}/job-orders/{job_order_id:uuid}/milestones")
    async def reach_milestone(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        job_order_id: FromPath[UUID],
        data: JSONBody[MilestoneReached],
    ) -> Response[Receipt]:
        """Reach a milestone of a retained search

        The shortlist is delivered, or the order was filled without us: what the terms say falls
        due. It does so by itself when a shortlist is shared, and when the order is lost; this is
        for what happens outside. Reached again, it changes nothing."""
        return await act.on(company_id, REACH, job_order_id, **fields(data))

    @post("/companies/{company_id:uuid}/invoices")
    async def raise_invoice(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[InvoiceRaised]
    ) -> Response[Made]:
        """Raise an invoice

        For an instalment that is due, or part of it. What is not owed any more, since who started
        fell through, is not invoiced, unless a consultant says why (`override`): of an instalment
        `to_invoice_cents` is what is left. An invoice from before the day on which they left is
        taken as it was."""
        return await act.within(company_id, RAISE, data)

    @post("/companies/{company_id:uuid}/invoices/payments")
    async def pay_invoice(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[InvoicePaid]
    ) -> Response[Receipt]:
        """Record a payment

        All of what is open, or part. The bank's same reference again changes nothing."""
        return await act.on(company_id, PAY, data)

    @post("/companies/{company_id:uuid}/invoices/credits")
    async def credit_invoice(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[InvoiceCredited]
    ) -> Response[Receipt]:
        """Credit an invoice

        A rebate, or because it was wrong and is raised `anew`."""
        return await act.on(company_id, CREDIT, data)

    @post("/companies/{company_id:uuid}/invoices/refunds")
    async def refund_invoice(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[InvoiceRefunded]
    ) -> Response[Receipt]:
        """Record a refund

        What was paid and then credited goes back."""
        return await act.on(company_id, REFUND, data)

    @get("/companies/{company_id:uuid}/fees")
    async def list_fees_of_company(
        self,
        view: NamedDependency[View],
        company_id: FromPath[UUID],
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[agreements.AgreementShown]]:
        """List the fee agreements of a company

        Version by version, the last written down first."""
        return await view.page(
            agreements.listing,
            company_id=company_id,
            named=Named(company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/fees")
    async def list_fees(
        self,
        view: NamedDependency[View],
        company_id: FromQuery[UUID | None] = None,
        agreement_id: FromQuery[UUID | None] = None,
        ends_before: EndsBefore = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[agreements.AgreementShown]]:
        """List fee agreements

        Over all companies or of one, version by version, the last written down first.
        `ends_before`: whom to talk to about a renewal."""
        return await view.page(
            agreements.listing,
            company_id=company_id,
            agreement_id=agreement_id,
            ends_before=ends_before,
            named=Named(company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/fees/{agreement_id:uuid}")
    async def read_fee(
        self, view: NamedDependency[View], agreement_id: FromPath[UUID]
    ) -> Response[agreements.AgreementShown]:
        """Read a fee agreement

        Its newest version; all of them: `/fees?agreement_id=`. What is in force for a job order,
        of several agreements, tells `/companies/{id}/job-orders/{id}/terms`."""
        answer = await view.one(agreements.newest, agreement_id)
        answer.headers.pop("ETag")  # its version is none of the company's, which If-Match is of
        return answer

    @get("/introductions")
    async def list_introductions(
        self,
        view: NamedDependency[View],
        person_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
        candidacy_id: FromQuery[UUID | None] = None,
        in_tail_on: TailOn = None,
        hired_past_us: Hired = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[introductions.IntroductionShown]]:
        """List introductions

        Who was introduced to whom, when, and under which version of which agreement: the evidence
        in a fee dispute. The last written down first. An introduction is told by its candidacy and
        when it was: of one candidacy there may be several, under the terms of the first."""
        return await view.page(
            introductions.listing,
            person_id=person_id,
            company_id=company_id,
            candidacy_id=candidacy_id,
            in_tail_on=in_tail_on,
            hired_past_us=hired_past_us,
            named=Named(person_id=person_id, company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/placements")
    async def list_placements(
        self,
        view: NamedDependency[View],
        person_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
        status: Status = None,
        in_guarantee_on: GuaranteeOn = None,
        on: StandsOn = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[placements.PlacementShown]]:
        """List placements

        With the fee that was fixed, and what became of them: a guarantee that ran out is over,
        whether anybody wrote that down or not (`on` a day; today if left out). The newest first."""
        return await view.page(
            placements.listing,
            on=on or view.today(),
            person_id=person_id,
            company_id=company_id,
            status=status,
            in_guarantee_on=in_guarantee_on,
            custom=asked(custom),
            named=Named(person_id=person_id, company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/placements/{candidacy_id:uuid}")
    async def read_placement(
        self, view: NamedDependency[View], candidacy_id: FromPath[UUID], on: StandsOn = None
    ) -> Response[placements.PlacementShown]:
        """Read a placement

        By the candidacy that came to it, `on` a day; today if left out."""
        return await view.one(placements.one, candidacy_id, on=on or view.today())

    @get("/instalments")
    async def list_instalments(
        self,
        view: NamedDependency[View],
        company_id: FromQuery[UUID | None] = None,
        to_invoice: ToInvoice = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[invoices.InstalmentShown]]:
        """List instalments

        What fell due, how much of it is invoiced, and how much is still to be: a rebate is taken
        off. The last to fall due first."""
        return await view.page(
            invoices.due,
            company_id=company_id,
            to_invoice=to_invoice,
            named=Named(company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/instalments/{instalment_id:uuid}")
    async def read_instalment(
        self, view: NamedDependency[View], instalment_id: FromPath[UUID]
    ) -> Response[invoices.InstalmentShown]:
        """Read an instalment"""
        return await view.one(invoices.instalment, instalment_id)

    @get("/remedies")
    async def list_remedies(
        self,
        view: NamedDependency[View],
        company_id: FromQuery[UUID | None] = None,
        settled: RemedySettled = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[invoices.RemedyShown]]:
        """List remedies

        Rebates and replacements that we owe for who fell through within the guarantee, and what of
        them is left to settle. The newest first."""
        return await view.page(
            invoices.owing,
            company_id=company_id,
            settled=settled,
            named=Named(company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/invoices")
    async def list_invoices(
        self,
        view: NamedDependency[View],
        company_id: FromQuery[UUID | None] = None,
        overdue_on: OverdueOn = None,
        settled: Settled = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[invoices.InvoiceShown]]:
        """List invoices

        With what was paid, credited and refunded, and what is open. The newest first."""
        return await view.page(
            invoices.listing,
            company_id=company_id,
            overdue_on=overdue_on,
            settled=settled,
            named=Named(company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/invoices/{invoice_id:uuid}")
    async def read_invoice(
        self, view: NamedDependency[View], invoice_id: FromPath[UUID]
    ) -> Response[invoices.InvoiceShown]:
        """Read an invoice

        With what was paid, credited and refunded, and what is open."""
        return await view.one(invoices.one, invoice_id)

    @get("/commissions")
    async def list_commissions(
        self,
        view: NamedDependency[View],
        consultant: Of = None,
        team: OfTeam = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[commissions.CommissionShown]]:
        """List commissions

        Placement by placement, what each consultant's share comes to. The newest first. `team`: the
        parts of those who were in it on the day of the placement; without others' parts, so that
        teams sum up."""
        return await view.page(
            commissions.listing,
            named=Named(team=team, consultant=consultant),
            consultant=consultant,
            team=team,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/revenue")
    async def read_revenue(
        self,
        view: NamedDependency[View],
        by: By,
        team: OfTeam = None,
        since: Since = None,
        until: Until = None,
        on: On = None,
    ) -> Response[list[fees.RevenueLine]]:
        """Read fees and revenue

        Agreed, rebated, due, invoiced, paid, credited, refunded and at risk in guarantee: by
        client, consultant, month, industry or source, and by currency. `team`: the part of its
        consultants in each movement, of those who were in it on the day of the movement, and for
        what is at risk on that day (`on`)."""
        return await view.answer(
            fees.revenue,
            Named(team=team),
            by,
            team=team,
            on=on or view.today(),
            since=moment_of(since, "since"),
            until=moment_of(until, "until"),
        )
