"""/day, /follow-ups and /renewals: what we promised, what runs out, what somebody owes today."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import intake
from ledger_crm.domain.company import Company
from ledger_crm.domain.followup import (
    CompanyFollowUpChanges,
    CompanyFollowUpPromised,
    FollowUpChanges,
    FollowUpPromised,
)
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Receipt
from ledger_crm.projections import day

from .acting import Act, Made, alone
from .asking import OfTeam, team_on
from .reading import Limit, Named, Page, Token, View, position

Owner = Annotated[
    str | None,
    QueryParameter(max_length=80, description="Who of us, like consultant:ana."),
]
Within = Annotated[
    int,
    QueryParameter(
        ge=0, le=3650, description="Only those that end, or ended, at most so many days from then."
    ),
]


@get("/day", tags=["follow-ups"])
async def read_day(
    request: Request[Any, Any, Any],
    view: NamedDependency[View],
    owner: Owner = None,
    team: OfTeam = None,
    on: FromQuery[date | None] = None,
) -> Response[day.Day]:
    """What do I owe today?

    Follow-ups that are due, people who wait for an answer, fee agreements to renew, interviews of
    the day, and offers and guarantees that end; of whoever asks and today, or of somebody else, of
    a team as it is on that day, or for another day."""
    one = owner or (None if team else request.scope["state"]["actor"])
    return await view.answer(
        day.owed,
        Named(team=team, owner=owner),
        owner=one,
        team=team_on(team, on or view.today()),
        on=on or view.today(),
    )


@get("/follow-ups", tags=["follow-ups"])
async def list_follow_ups(
    view: NamedDependency[View],
    owner: Owner = None,
    team: OfTeam = None,
    person_id: FromQuery[UUID | None] = None,
    company_id: FromQuery[UUID | None] = None,
    done: FromQuery[bool | None] = None,
    cursor: Token = None,
    limit: Limit = 50,
) -> Response[Page[day.FollowUp]]:
    """List follow-ups

    Of everybody, of one of us, of a team as it is today, to one person, or about one company;
    the newest promise first."""
    return await view.page(
        day.promises,
        named=Named(person_id=person_id, company_id=company_id, team=team, owner=owner),
        owner=owner,
        team=team_on(team, view.today()),
        person_id=person_id,
        company_id=company_id,
        done=done,
        cursor=cursor,
        limit=limit,
        at=position,
    )


@get("/follow-ups/{follow_up_id:uuid}", tags=["follow-ups"])
async def read_follow_up(
    view: NamedDependency[View], follow_up_id: FromPath[UUID]
) -> Response[day.FollowUp]:
    """Read a follow-up"""
    return await view.one(day.promise, follow_up_id)


@get("/renewals", tags=["money"])
async def list_renewals(
    view: NamedDependency[View],
    owner: Owner = None,
    team: OfTeam = None,
    on: FromQuery[date | None] = None,
    within_days: Within = day.RENEWAL_DAYS,
) -> Response[list[day.Renewal]]:
    """List fee agreements to renew

    Whose last day is near, of everybody, of one of us or of a team as it is on that day; the first
    to end first, at most 200. Not those that were ended, that a later one replaced, whose job order
    is over, or whose newest version has no last day: it holds until it is ended. Each is its job
    order's owner's, else the client's owner's, else of who agreed it."""
    return await view.answer(
        day.to_renew,
        Named(team=team, owner=owner),
        on=on or view.today(),
        owner=owner,
        team=team_on(team, on or view.today()),
        within_days=within_days,
    )


class OfPeople(Controller):
    path = "/people/{person_id:uuid}/follow-ups"
    tags = ("follow-ups",)

    @post()
    async def promise_follow_up(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[FollowUpPromised],
    ) -> Response[Made]:
        """Promise something

        Due on a day, owed by you or by whom you name."""
        return await act.within(person_id, intake.promise, data)

    @post("/changes")
    async def change_follow_up(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[FollowUpChanges],
    ) -> Response[Receipt]:
        """Do it, or put it off

        By its `kind`."""
        return await act.on(person_id, alone(Person, Person.follow_up), data)


class OfCompanies(Controller):
    path = "/companies/{company_id:uuid}/follow-ups"
    tags = ("follow-ups",)

    @post()
    async def promise_company_follow_up(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[CompanyFollowUpPromised],
    ) -> Response[Made]:
        """Promise a company something

        What is promised to nobody there in particular: due on a day, owed by you or by whom you
        name."""
        return await act.within(company_id, intake.promise_company, data)

    @post("/changes")
    async def change_company_follow_up(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        data: JSONBody[CompanyFollowUpChanges],
    ) -> Response[Receipt]:
        """Do what a company was promised, or put it off

        By its `kind`."""
        return await act.on(company_id, alone(Company, Company.follow_up), data)


HANDLERS: list[Any] = [
    read_day, list_follow_ups, read_follow_up, list_renewals, OfPeople, OfCompanies
]  # fmt: skip
