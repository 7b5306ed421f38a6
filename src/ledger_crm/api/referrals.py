"""/referrals: who was referred by whom to whom, and what is owed for it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import referring
from ledger_crm.domain.company import Company
from ledger_crm.domain.person import Person
from ledger_crm.domain.referral import (
    CandidateReferralFee,
    CandidateReferrals,
    ClientReferralFee,
    ClientReferrals,
    Direction,
)
from ledger_crm.ledger import Receipt
from ledger_crm.projections import referrals

from .acting import Act, Made, alone
from .reading import Limit, Named, Page, Token, View, position

FeeIs = Annotated[
    referrals.FeeStanding | None, QueryParameter(description="Only those whose fee is this.")
]


@get("/referrals", tags=["referrals"])
async def list_referrals(
    view: NamedDependency[View],
    person_id: FromQuery[UUID | None] = None,
    company_id: FromQuery[UUID | None] = None,
    direction: FromQuery[Direction | None] = None,
    fee: FeeIs = None,
    cursor: Token = None,
    limit: Limit = 50,
) -> Response[Page[referrals.ReferralShown]]:
    """List referrals

    In and out, the newest first. Of a person or a company: of them, from them and to them."""
    return await view.page(
        referrals.listing,
        named=Named(person_id=person_id, company_id=company_id),
        person_id=person_id,
        company_id=company_id,
        direction=direction,
        fee=fee,
        cursor=cursor,
        limit=limit,
        at=position,
    )


@get("/referrals/{referral_id:uuid}", tags=["referrals"])
async def read_referral(
    view: NamedDependency[View], referral_id: FromPath[UUID]
) -> Response[referrals.ReferralShown]:
    """Read a referral"""
    return await view.one(referrals.one, referral_id)


class Referrals(Controller):
    path = "/"
    tags = ("referrals",)

    @post("/people/{person_id:uuid}/referrals")
    async def refer_candidate(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[CandidateReferrals],
    ) -> Response[Made]:
        """Record a referral of a candidate

        To us, by a person or a company, or by us to a partner, by its `kind`; with the fee, if one
        is agreed. Whoever withdrew consent or is not to be contacted is not passed on."""
        return await act.within(person_id, referring.candidate, data)

    @post("/people/{person_id:uuid}/referrals/fees")
    async def tell_candidate_referral_fee(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[CandidateReferralFee],
    ) -> Response[Receipt]:
        """Record what became of the fee for a candidate

        Due, paid or waived. One that we owe falls due by itself."""
        return await act.on(person_id, alone(Person, Person.tell_referral_fee), data)

    @post("/companies/{company_id:uuid}/referrals")
    async def refer_client(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[ClientReferrals]
    ) -> Response[Made]:
        """Record a referral of a client

        To us, by a person or a company, or by us to a partner, by its `kind`; with the fee, if one
        is agreed."""
        return await act.within(company_id, referring.client, data)

    @post("/companies/{company_id:uuid}/referrals/fees")
    async def tell_client_referral_fee(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[ClientReferralFee],
    ) -> Response[Receipt]:
        """Record what became of the fee for a client

        Due, paid or waived. One that we owe falls due by itself."""
        return await act.on(company_id, alone(Company, Company.tell_referral_fee), data)


HANDLERS: list[Any] = [list_referrals, read_referral, Referrals]
