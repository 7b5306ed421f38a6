"""/accounts, /activity, /funnel, /late-facts: what a company is to us by now, what each of us does,
how far candidacies come, and what we learn late."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from ledger_crm.domain.identity import Source
from ledger_crm.domain.segment import AccountStatus
from ledger_crm.projections import accounts, activity, funnel, history

from .asking import OfTeam
from .following import Kinds, kinds_of
from .past import From, To
from .reading import Limit, Named, Page, Token, View, position

Account = Annotated[
    AccountStatus | None,
    QueryParameter(description="Only those that are this now."),
]
First = Annotated[date, QueryParameter(description="The first day, in UTC.")]
Until = Annotated[date, QueryParameter(description="The day after the last one.")]
Grouped = Annotated[
    funnel.By | None, QueryParameter(description="A funnel for each of these; else one for all.")
]
InPipeline = Annotated[
    str | None, QueryParameter(max_length=40, description="Only in the pipeline with this slug.")
]
OpenedBy = Annotated[
    str | None,
    QueryParameter(max_length=80, description="Only what they opened: `consultant:ana`."),
]

LeastDays = Annotated[
    int, QueryParameter(ge=0, le=36_500, description="Only what was told at least so late.")
]


class Reports(Controller):
    path = "/"

    @get("/accounts", tags=["companies"])
    async def list_accounts(
        self,
        view: NamedDependency[View],
        status: Account = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[accounts.Account]]:
        """List accounts

        What each company is to us today, since when and why: prospect, qualified, active, repeat,
        quiet when its own rhythm of orders is broken, former. Derived, and never typed in."""
        return await view.page(
            accounts.listing,
            asked_at=view.now(),
            status=status,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/companies/{company_id:uuid}/account", tags=["companies"])
    async def read_account(
        self, view: NamedDependency[View], company_id: FromPath[UUID]
    ) -> Response[accounts.Account]:
        """Read an account

        What this company is to us today, since when and why."""
        return await view.one(accounts.of, company_id, asked_at=view.now())

    @get("/activity", tags=["teams"])
    async def report_activity(
        self, view: NamedDependency[View], since: First, until: Until, team: OfTeam = None
    ) -> Response[list[activity.ActivityLine]]:
        """The activity of each consultant

        Of a period: messages sent, calls, meetings, introductions, interviews arranged and
        placements, of who wrote them down, by the day on which they happened. `team`: what its
        consultants did on days on which they were in it."""
        return await view.answer(
            activity.report, Named(team=team), since=since, until=until, team=team
        )

    @get("/funnel", tags=["candidates"])
    async def report_funnel(
        self,
        view: NamedDependency[View],
        since: First,
        until: Until,
        by: Grouped = None,
        pipeline: InPipeline = None,
        company_id: FromQuery[UUID | None] = None,
        source: FromQuery[Source | None] = None,
        consultant: OpenedBy = None,
        team: OfTeam = None,
    ) -> Response[list[funnel.FunnelLine]]:
        """The funnel

        Of a period: how many candidacies came into each category, how many went on, and how long
        they stayed; for all, or for each pipeline, client, source or consultant. By category:
        renaming, reordering and retiring stages changes nothing in it. A candidacy is of whoever
        opened it; `team`: of those who were in it on that day."""
        return await view.answer(
            funnel.report,
            Named(pipeline=pipeline, company_id=company_id, team=team, consultant=consultant),
            since=since,
            until=until,
            by=by,
            pipeline=pipeline,
            company_id=company_id,
            source=source,
            consultant=consultant,
            team=team,
        )

    @get("/late-facts", tags=["events"])
    async def list_late_facts(
        self,
        view: NamedDependency[View],
        from_: From,
        to: To = None,
        least_days: LeastDays = 0,
        kind: Kinds = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[history.LateLine]]:
        """What we learned late

        Facts about people and companies that were written down between two moments, and had
        happened before the first of them, with how late they came; the last that was written
        first."""
        window = await view.window(from_, to)
        return await view.page(
            history.late,
            first=window.first,
            last=window.last,
            happened_before=window.since,
            least_s=least_days * 86_400,
            kinds=kinds_of(kind),
            cursor=cursor,
            limit=limit,
            at=position,
        )
