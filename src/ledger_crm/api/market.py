"""Market maps of searches, and the conflict check before anybody is approached."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ledger_crm.commands import markets
from ledger_crm.domain.market import Researched, Targets
from ledger_crm.ledger import Receipt
from ledger_crm.projections import market

from .acting import Act
from .reading import Limit, Named, Page, Token, View, position


class Market(Controller):
    path = "/"
    tags = ("market",)

    @post("/companies/{company_id:uuid}/job-orders/targets")
    async def name_target(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[Targets]
    ) -> Response[Receipt]:
        """Name or drop a target company

        At which we look for people, for a search of this client, by its `kind`. What is so already
        changes nothing."""
        return await act.on(company_id, markets.target, data)

    @post("/people/{person_id:uuid}/research")
    async def research_person(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[Researched]
    ) -> Response[Receipt]:
        """Record research for a search

        Whether they may fit, before anybody speaks to them; the last word holds."""
        return await act.on(person_id, markets.research, data)

    @get("/job-orders/{job_order_id:uuid}/market-map")
    async def read_market_map(
        self,
        view: NamedDependency[View],
        job_order_id: FromPath[UUID],
        on: FromQuery[date | None] = None,
    ) -> Response[market.MarketMap]:
        """Read the market map of a search

        Its target companies, who sits there on that day, whom we researched; and for each company
        and person what stands in the way: off limits until when and why, other searches in which
        they are, clients of ours, people whom we placed there."""
        day = on or view.today()
        return await view.seen(
            lambda hidden: view.one(market.map_of, job_order_id, on=day, hidden=hidden)
        )

    @get("/people/{person_id:uuid}/conflicts")
    async def check_person(
        self,
        view: NamedDependency[View],
        person_id: FromPath[UUID],
        on: FromQuery[date | None] = None,
        job_order_id: FromQuery[UUID | None] = None,
    ) -> Response[market.PersonCheck]:
        """Check a person before approaching them

        What stands in the way on that day, and in which searches they are besides the one that is
        named."""
        day = on or view.today()
        return await view.seen(
            lambda hidden: view.one(
                market.person_checked, person_id, on=day, besides=job_order_id, hidden=hidden
            )
        )

    @get("/companies/{company_id:uuid}/conflicts")
    async def check_company(
        self,
        view: NamedDependency[View],
        company_id: FromPath[UUID],
        on: FromQuery[date | None] = None,
    ) -> Response[market.FirmCheck]:
        """Check a company before approaching its people

        Whether they are off limits on that day, until when and why, and whether it is a client of
        ours."""
        return await view.one(market.firm_checked, company_id, on=on or view.today())

    @get("/companies/{company_id:uuid}/off-limits")
    async def read_off_limits(
        self,
        view: NamedDependency[View],
        company_id: FromPath[UUID],
        on: FromQuery[date | None] = None,
    ) -> Response[market.OffLimitsShown]:
        """Read which off-limits agreement protects whom

        The one with this company, if one holds on that day, and those with companies that it
        belongs to; of the own one which companies it covers, and who is protected by it: who works
        there as anybody, and whom we placed there."""
        day = on or view.today()
        return await view.seen(
            lambda hidden: view.one(market.off_limits, company_id, on=day, hidden=hidden)
        )

    @get("/off-limits")
    async def list_off_limits(
        self,
        view: NamedDependency[View],
        on: FromQuery[date | None] = None,
        company_id: FromQuery[UUID | None] = None,
        ends_before: FromQuery[date | None] = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[market.AgreementListed]]:
        """List which companies are off limits

        The agreements that hold on that day, the last written down first, with how many companies
        each covers, how many people it protects there, and how many of them because we placed
        them. `company_id`: only those with this company; which of others protect its people tells
        `/companies/{id}/off-limits`. `ends_before`: only those whose last day lies before this
        one."""
        day = on or view.today()
        return await view.seen(
            lambda hidden: view.page(
                market.agreements,
                named=Named(company_id=company_id),
                on=day,
                company_id=company_id,
                ends_before=ends_before,
                hidden=hidden,
                cursor=cursor,
                limit=limit,
                at=position,
            )
        )


HANDLERS: list[Any] = [Market]
