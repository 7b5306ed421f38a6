"""/engagement: who heard last of whom, who owes an answer, who has gone quiet."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.domain.company import Company
from ledger_crm.domain.engagement import CompanyQuietSnoozed, Owing, PersonQuietSnoozed
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Receipt
from ledger_crm.projections import accounts, engagement, people

from .acting import Act, alone
from .asking import OfTeam, team_on
from .reading import Limit, Named, Page, Token, View

Days = Annotated[
    int, QueryParameter(ge=1, le=3650, description="Nothing passed between us for so many days.")
]
Besides = Annotated[
    int | None,
    QueryParameter(
        ge=1,
        le=3650,
        description="The cadence of whoever is in no segment; without it they are not listed.",
    ),
]
Owner = Annotated[
    str | None,
    QueryParameter(max_length=80, description="Only those of this one of us."),
]


class Engagements(Controller):
    path = "/engagement"
    tags = ("engagement",)

    @get()
    async def list_engagement(
        self,
        view: NamedDependency[View],
        kind: FromQuery[Literal["person", "company"]] = "person",
        owes: FromQuery[Owing | None] = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[engagement.Engagement]]:
        """Who heard last of whom

        Whom we ever were in touch with, the longest silent first; with `owes`, only where we, they
        or nobody owes an answer."""
        return await view.page(
            engagement.waiting,
            kind=kind,
            owes=owes,
            cursor=cursor,
            limit=limit,
            at=engagement.silent_since,
        )

    @get("/quiet")
    async def list_quiet(
        self,
        view: NamedDependency[View],
        days: Days = 90,
        kind: FromQuery[Literal["person", "company"]] = "person",
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[engagement.Engagement]]:
        """Who has gone quiet

        With whom something passed once and nothing for so many days, the same for all, the longest
        silent first. Who is snoozed is not listed until that is over. By the cadence of segments:
        `/engagement/quiet/people` and `/engagement/quiet/companies`."""
        return await view.page(
            engagement.quiet,
            on=view.now(),
            days=days,
            kind=kind,
            cursor=cursor,
            limit=limit,
            at=engagement.silent_since,
        )

    @get("/quiet/people")
    async def list_quiet_people(
        self,
        view: NamedDependency[View],
        days: Besides = None,
        owner: Owner = None,
        team: OfTeam = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[people.GoneQuiet]]:
        """Which people have gone quiet

        By the cadence of the segments that they are in, each once: somebody in several is quiet by
        the shortest. The longest silent first. Who is snoozed or wants to be left alone is not
        listed. `owner`: who of us last reached out, else who found them."""
        return await view.seen(
            lambda besides: view.page(
                people.quiet_anywhere,
                named=Named(team=team, owner=owner),
                on=view.now(),
                days=days,
                owner=owner,
                team=team_on(team, view.today()),
                besides=besides,
                cursor=cursor,
                limit=limit,
                at=people.silent_since,
            )
        )

    @get("/quiet/companies")
    async def list_quiet_companies(
        self,
        view: NamedDependency[View],
        days: Besides = None,
        owner: Owner = None,
        team: OfTeam = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[accounts.GoneQuiet]]:
        """Which companies have gone quiet

        By the cadence of the segments of companies that they are in, each once: one in several is
        quiet by the shortest. The longest silent first. Which is snoozed is not listed. `owner`:
        who of us answers for it."""
        return await view.page(
            accounts.quiet_anywhere,
            named=Named(team=team, owner=owner),
            on=view.now(),
            days=days,
            owner=owner,
            team=team_on(team, view.today()),
            cursor=cursor,
            limit=limit,
            at=accounts.silent_since,
        )


class OfPeople(Controller):
    path = "/people/{person_id:uuid}"
    tags = ("engagement",)

    @get("/engagement")
    async def read_person_engagement(
        self, view: NamedDependency[View], person_id: FromPath[UUID]
    ) -> Response[engagement.Engagement]:
        """Read who heard last of whom: a person"""
        return await view.one(engagement.of, person_id)

    @get("/threads")
    async def list_threads(
        self, view: NamedDependency[View], person_id: FromPath[UUID]
    ) -> Response[list[engagement.Thread]]:
        """List conversations with a person

        Messages by channel and thread, the last one first."""
        return await view.answer(engagement.threads_of, Named(person_id=person_id), person_id)

    @post("/quiet-snoozes")
    async def snooze_person(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[PersonQuietSnoozed],
    ) -> Response[Receipt]:
        """Let a person be quiet

        Until a day, for a reason: so long they are not listed as gone quiet."""
        return await act.on(person_id, alone(Person, Person.snooze_quiet), data)


class OfCompanies(Controller):
    path = "/companies/{company_id:uuid}"
    tags = ("engagement",)

    @get("/engagement")
    async def read_company_engagement(
        self, view: NamedDependency[View], company_id: FromPath[UUID]
    ) -> Response[engagement.Engagement]:
        """Read who heard last of whom: a company

        What passed between us and anybody about this company."""
        return await view.one(engagement.of, company_id)

    @post("/quiet-snoozes")
    async def snooze_company(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[CompanyQuietSnoozed],
    ) -> Response[Receipt]:
        """Let a company be quiet

        Until a day, for a reason: so long it is not listed as gone quiet."""
        return await act.on(company_id, alone(Company, Company.snooze_quiet), data)


HANDLERS = [Engagements, OfPeople, OfCompanies]
