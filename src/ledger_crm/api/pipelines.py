"""/candidates, /deals, /pipelines: where everything stands, and the stages it goes through."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from ledger_crm.commands.catalogue import define_pipeline
from ledger_crm.domain.pipeline import Pipeline, PipelineDefined, pipeline_id
from ledger_crm.domain.refusals import Invalid
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import candidates, changes, deals, directory, pipelines

from .acting import Act
from .asking import Custom, OfTeam, Words, asked, team_on
from .past import ByTime, From, To, Window
from .reading import NOTHING, Limit, Named, Page, Position, Token, View, position

Slugged = Annotated[str, QueryParameter(max_length=40, description="Slug of a pipeline.")]
InPipeline = Annotated[
    str | None, QueryParameter(max_length=40, description="Only in the pipeline with this slug.")
]
Staged = Annotated[
    str | None, QueryParameter(max_length=40, description="Only what is in this stage now.")
]

Number = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="As `version` tells it.")]


def version(item: pipelines.VersionListed) -> Position:
    """The place of an item in a list that is ordered by version."""
    return item.version


WorkedOnBy = Annotated[
    str | None,
    QueryParameter(max_length=80, description="Only on job orders of this one, consultant:ana."),
]


class SlugDiffers(Invalid):
    """The slug in the body is not the one in the address."""

    field = "slug"


class Candidates(Controller):
    path = "/candidates"
    tags = ("candidates",)

    @get()
    async def list_candidates(
        self,
        view: NamedDependency[View],
        pipeline: InPipeline = None,
        job_order_id: FromQuery[UUID | None] = None,
        person_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
        stage: Staged = None,
        consultant: WorkedOnBy = None,
        team: OfTeam = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[candidates.Card]]:
        """The candidate pipeline: cards

        Over all, of a job order, of a client, of a person, in a stage; the last to move first.
        `consultant`: on the job orders that they own or share in; `team`: that one of its
        consultants of today does."""
        return await view.page(
            candidates.cards,
            pipeline,
            named=Named(
                pipeline=pipeline,
                stage=stage,
                job_order_id=job_order_id,
                person_id=person_id,
                company_id=company_id,
                team=team,
                consultant=consultant,
            ),
            job_order_id=job_order_id,
            person_id=person_id,
            company_id=company_id,
            stage=stage,
            consultant=consultant,
            team=team_on(team, view.today()),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/counts")
    async def count_candidates(
        self,
        view: NamedDependency[View],
        pipeline: InPipeline = None,
        job_order_id: FromQuery[UUID | None] = None,
        team: OfTeam = None,
    ) -> Response[list[candidates.StageCount]]:
        """The candidate pipeline: counts

        Each stage in its order: candidacies that are in it now, and that ever were. Of a job order
        in its own pipeline; over all in every pipeline of candidates, one after the other. `team`:
        as in the cards."""
        return await view.seen(
            lambda besides: view.answer(
                candidates.counts,
                Named(pipeline=pipeline, job_order_id=job_order_id, team=team),
                pipeline,
                job_order_id=job_order_id,
                team=team_on(team, view.today()),
                besides=besides,
            )
        )

    @get("/changes")
    async def list_candidate_changes(
        self,
        view: NamedDependency[View],
        from_: From,
        to: To = None,
        time: ByTime = "known",
        pipeline: InPipeline = None,
        job_order_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[changes.CandidacyChange]]:
        """What changed in the candidate pipeline

        Between two moments: candidacies that entered, moved, left (with whose decision it was, and
        why), came back from an exit, or moved and are where they were; each once, the last to move
        first."""
        return await view.page(
            changes.of_candidacies,
            _between(await view.window(from_, to), time),
            pipeline,
            named=Named(pipeline=pipeline, job_order_id=job_order_id, company_id=company_id),
            job_order_id=job_order_id,
            company_id=company_id,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/changes/stages")
    async def count_candidate_changes(
        self,
        view: NamedDependency[View],
        from_: From,
        to: To = None,
        time: ByTime = "known",
        pipeline: InPipeline = None,
        job_order_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
    ) -> Response[list[changes.StageChange]]:
        """What changed in the candidate pipeline: by stage

        Each stage in its order: how many candidacies were in it at the one moment, came, went, and
        are in it at the other. Without a pipeline every pipeline of candidates."""
        between = _between(await view.window(from_, to), time)
        return await view.seen(
            lambda besides: view.answer(
                changes.by_stage,
                Named(pipeline=pipeline, job_order_id=job_order_id, company_id=company_id),
                between,
                "candidate",
                pipeline,
                job_order_id=job_order_id,
                company_id=company_id,
                besides=besides,
            )
        )

    @get("/{candidacy_id:uuid}")
    async def read_candidacy(
        self, view: NamedDependency[View], candidacy_id: FromPath[UUID]
    ) -> Response[candidates.CandidacyShown]:
        """Read a candidacy

        Where it stands, and the way it came."""
        return await view.one(candidates.one, candidacy_id)


class Deals(Controller):
    path = "/deals"
    tags = ("deals",)

    @get()
    async def list_deals(
        self,
        view: NamedDependency[View],
        pipeline: Slugged = "sales",
        q: Words = None,
        company_id: FromQuery[UUID | None] = None,
        stage: Staged = None,
        team: OfTeam = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[deals.DealCard]]:
        """The deal pipeline: cards

        Of one pipeline: over all, of a company, in a stage; the last to move first. `q`: in the
        title. `team`: of the companies that one of its consultants of today owns."""
        return await view.page(
            deals.cards,
            pipeline,
            named=Named(
                subject="deal", pipeline=pipeline, stage=stage, company_id=company_id, team=team
            ),
            words=q,
            company_id=company_id,
            stage=stage,
            team=team_on(team, view.today()),
            custom=asked(custom),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/counts")
    async def count_deals(
        self,
        view: NamedDependency[View],
        pipeline: Slugged = "sales",
        company_id: FromQuery[UUID | None] = None,
        team: OfTeam = None,
    ) -> Response[list[deals.DealCount]]:
        """The deal pipeline: counts and sums

        Each stage in its order, by currency: how many, worth how much, and weighted by the
        probability of winning. `team`: as in the cards."""
        named = Named(subject="deal", pipeline=pipeline, company_id=company_id, team=team)
        return await view.answer(
            deals.counts, named, pipeline, company_id=company_id, team=team_on(team, view.today())
        )

    @get("/forecast")
    async def forecast_deals(
        self,
        view: NamedDependency[View],
        pipeline: Slugged = "sales",
        company_id: FromQuery[UUID | None] = None,
        team: OfTeam = None,
    ) -> Response[list[deals.Month]]:
        """The forecast

        Of deals that are neither won nor lost, by month of expected close and currency: how many,
        worth how much, and weighted by the probability of winning. `team`: as in the cards."""
        named = Named(subject="deal", pipeline=pipeline, company_id=company_id, team=team)
        return await view.answer(
            deals.forecast, named, pipeline, company_id=company_id, team=team_on(team, view.today())
        )

    @get("/changes")
    async def list_deal_changes(
        self,
        view: NamedDependency[View],
        from_: From,
        to: To = None,
        time: ByTime = "known",
        pipeline: Slugged = "sales",
        company_id: FromQuery[UUID | None] = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[changes.DealChange]]:
        """What changed in the deal pipeline

        Between two moments: deals that entered, moved, were won or lost, or moved and are where
        they were; each once, the last to move first."""
        return await view.page(
            changes.of_deals,
            _between(await view.window(from_, to), time),
            pipeline,
            named=Named(subject="deal", pipeline=pipeline, company_id=company_id),
            company_id=company_id,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/changes/stages")
    async def count_deal_changes(
        self,
        view: NamedDependency[View],
        from_: From,
        to: To = None,
        time: ByTime = "known",
        pipeline: Slugged = "sales",
        company_id: FromQuery[UUID | None] = None,
    ) -> Response[list[changes.StageChange]]:
        """What changed in the deal pipeline: by stage

        Each stage in its order: how many deals were in it at the one moment, came, went, and are in
        it at the other."""
        return await view.answer(
            changes.by_stage,
            Named(subject="deal", pipeline=pipeline, company_id=company_id),
            _between(await view.window(from_, to), time),
            "deal",
            pipeline,
            company_id=company_id,
        )

    @get("/{deal_id:uuid}")
    async def read_deal(
        self, view: NamedDependency[View], deal_id: FromPath[UUID]
    ) -> Response[deals.DealCard]:
        """Read a deal

        Whether it goes on, is won or is lost."""
        return await view.one(deals.one, deal_id)


class Pipelines(Controller):
    path = "/pipelines"
    tags = ("pipelines",)

    @get()
    async def list_pipelines(
        self, view: NamedDependency[View]
    ) -> Response[list[directory.PipelineListed]]:
        """List the pipelines

        Of candidates and of deals, by slug."""
        return await view.answer(directory.pipelines, NOTHING)

    @get("/{slug:str}")
    async def read_pipeline(
        self, view: NamedDependency[View], slug: FromPath[str]
    ) -> Response[directory.PipelineShown]:
        """Read a pipeline

        Its stages in the order in which they are shown. `ETag` is the version of the definition."""
        return await view.one(directory.pipeline, slug)

    @get("/{slug:str}/versions")
    async def list_pipeline_versions(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[pipelines.VersionListed]]:
        """List the versions of a pipeline

        From when until when each was in force, and what was changed in it; the newest first."""
        return await view.page(
            pipelines.listing,
            slug,
            there=(directory.pipeline, slug),
            cursor=cursor,
            limit=limit,
            at=version,
        )

    @get("/{slug:str}/versions/{number:int}")
    async def read_pipeline_version(
        self, view: NamedDependency[View], slug: FromPath[str], number: Number
    ) -> Response[pipelines.VersionShown]:
        """Read a version of a pipeline

        Its stages as they were, and the difference to the version before."""
        return await view.one(pipelines.one, slug, number)

    @put("/{slug:str}")
    async def define_pipeline(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[PipelineDefined]
    ) -> Response[Receipt]:
        """Define a pipeline

        New, or the next version of what is there: stages may be renamed, reordered, added and
        retired; never removed, and their category never changes. With `If-Match` it is never
        a new one."""
        return await act.on(pipeline_id(slug), _define, slug, data)


def _between(window: Window, time: str) -> changes.Between:
    if time == "happened":
        return changes.Between(window.since, window.until, happened=True)
    return changes.Between(window.first, window.last)


async def _define(work: Work, _: UUID, slug: str, definition: PipelineDefined) -> Pipeline:
    """Raises SlugDiffers, and as ``define_pipeline``."""
    if definition.slug != slug:
        raise SlugDiffers(slug=definition.slug)
    return await define_pipeline(work, definition)
