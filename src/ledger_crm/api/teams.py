"""/consultants and /teams: who of us there is, and who works with whom."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from ledger_crm.commands import teams
from ledger_crm.domain.consultant import (
    ConsultantAdded,
    ConsultantChanges,
    ConsultantRecord,
    consultant_id,
)
from ledger_crm.domain.team import Membership, Team, TeamDefined, team_id
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import directory

from .acting import Act
from .pipelines import SlugDiffers
from .reading import NOTHING, Named, View

On = Annotated[date | None, QueryParameter(description="Who is in which then; today if left out.")]


class Consultants(Controller):
    path = "/consultants"
    tags = ("teams",)

    @get()
    async def list_consultants(
        self, view: NamedDependency[View], on: On = None
    ) -> Response[list[directory.ConsultantShown]]:
        """List the consultants

        Those who left too, with the teams that they are in on a day."""
        return await view.answer(directory.consultants_listed, NOTHING, on=on or view.today())

    @post()
    async def add_consultant(
        self, begin: NamedDependency[Act], data: JSONBody[ConsultantAdded]
    ) -> Response[Receipt]:
        """Add a consultant

        As whom they write is for good. One who writes or owns already need not be added, but for a
        team."""
        return await begin.new(teams.add_consultant, data)

    @get("/{handle:str}")
    async def read_consultant(
        self, view: NamedDependency[View], handle: FromPath[str], on: On = None
    ) -> Response[directory.ConsultantShown]:
        """Read a consultant

        `ana` is `consultant:ana`."""
        return await view.one(directory.consultant, handle, on=on or view.today())

    @post("/{handle:str}/changes")
    async def change_consultant(
        self, act: NamedDependency[Act], handle: FromPath[str], data: JSONBody[ConsultantChanges]
    ) -> Response[Receipt]:
        """Rename a consultant, or say that they left or are back

        By its `kind`. Who left keeps all that is theirs; they are given no company, job order,
        commission, follow-up, team or key after their last day. Their keys are revoked apart."""
        actor = f"consultant:{handle}"
        return await act.on(consultant_id(actor), _change, actor, data)


class Teams(Controller):
    path = "/teams"
    tags = ("teams",)

    @get()
    async def list_teams(
        self, view: NamedDependency[View], on: On = None
    ) -> Response[list[directory.TeamShown]]:
        """List the teams

        With who is in each on a day, by slug."""
        return await view.answer(directory.teams_listed, NOTHING, on=on or view.today())

    @get("/{slug:str}")
    async def read_team(
        self, view: NamedDependency[View], slug: FromPath[str], on: On = None
    ) -> Response[directory.TeamShown]:
        """Read a team

        With who is in it on a day."""
        return await view.one(directory.team, slug, on=on or view.today())

    @put("/{slug:str}")
    async def define_team(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[TeamDefined]
    ) -> Response[Receipt]:
        """Define a team

        New, or in place of what it was: renamed, or retired, so that nobody new comes in."""
        return await act.on(team_id(slug), _define, slug, data)

    @get("/{slug:str}/members")
    async def list_team_members(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        on: Annotated[
            date | None, QueryParameter(description="Only who is there on this day.")
        ] = None,
    ) -> Response[list[directory.MemberShown]]:
        """List who was in a team

        Each time from when until when; of all times, or on a day."""
        return await view.answer(directory.memberships, Named(team=slug), slug, on=on)

    @post("/{slug:str}/members")
    async def change_team_members(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[Membership]
    ) -> Response[Receipt]:
        """Join a team, or leave it

        A consultant, from a day on or until one, by its `kind`. What is so already changes
        nothing."""
        return await act.on(team_id(slug), _change_members, slug, data)


async def _change(
    work: Work, _: UUID, consultant: str, fact: ConsultantChanges
) -> ConsultantRecord:
    return await teams.change_consultant(work, consultant, fact)


async def _define(work: Work, _: UUID, slug: str, definition: TeamDefined) -> Team:
    """Raises SlugDiffers."""
    if definition.slug != slug:
        raise SlugDiffers(slug=definition.slug)
    return await teams.define_team(work, definition)


async def _change_members(work: Work, _: UUID, slug: str, fact: Membership) -> Team:
    return await teams.change_members(work, slug, fact)


HANDLERS: list[Any] = [Consultants, Teams]
