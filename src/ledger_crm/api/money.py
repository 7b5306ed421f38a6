"""Money: what clients pay, who was introduced under what, what is due, and whose it is."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from ledger_crm.projections import agreements

from .reading import Limit, Named, Page, Token, View, position

EndsBefore = Annotated[
    date | None,
    QueryParameter(description="Only newest versions of what runs out before this day."),
]


class Money(Controller):
    path = ""
    tags = ("money",)

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
            ends_before=ends_before,
            named=Named(company_id=company_id),
            cursor=cursor,
            limit=limit,
            at=position,
        )
