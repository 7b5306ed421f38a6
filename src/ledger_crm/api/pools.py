"""/pools, /segments and /company-segments: people put together by hand, and people and companies
that fit."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import intake
from ledger_crm.commands.catalogue import define_pool, save_segment
from ledger_crm.domain.identity import Seniority, Source
from ledger_crm.domain.pool import Pool, PoolDefined, Pooling, pool_id
from ledger_crm.domain.segment import (
    AccountStatus,
    CompanyCriteria,
    CompanySegmentSaved,
    Criteria,
    Segment,
    SegmentEvents,
    SegmentSaved,
    company_segment_id,
    segment_id,
)
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import accounts, people, pools, tags

from .acting import Act
from .asking import Custom, Since, Until, asked, moment_of
from .companies import Owned, Trade
from .people import Skilled, Staged, Tagged, fitting
from .pipelines import SlugDiffers
from .reading import NOTHING, Limit, Named, Page, Token, View, position

OfStatus = Annotated[
    AccountStatus | None, QueryParameter(description="Only accounts that are this now.")
]
PutInBy = Annotated[
    str | None, QueryParameter(max_length=80, description="Only whom this one of us put in.")
]


class Pools(Controller):
    path = "/pools"
    tags = ("pools",)

    @get()
    async def list_pools(self, view: NamedDependency[View]) -> Response[list[pools.PoolShown]]:
        """List the pools

        With how many people are in each, by slug."""
        return await view.answer(pools.listing, NOTHING)

    @get("/{slug:str}")
    async def read_pool(
        self, view: NamedDependency[View], slug: FromPath[str]
    ) -> Response[pools.PoolShown]:
        """Read a pool"""
        return await view.one(pools.one, slug)

    @put("/{slug:str}")
    async def define_pool(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[PoolDefined]
    ) -> Response[Receipt]:
        """Define a pool

        New, or the next version of what is there. A retired one takes nobody in."""
        return await act.on(pool_id(slug), _define, slug, data)

    @get("/{slug:str}/members")
    async def list_members(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        by: PutInBy = None,
        since: Since = None,
        until: Until = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[pools.Member]]:
        """List who is in a pool

        Since when and why; the last to come in first. `since` and `until` are by when they came
        in."""
        return await view.page(
            pools.members_of,
            slug,
            there=(pools.one, slug),
            named=Named(by=by),
            by=by,
            since=moment_of(since, "since"),
            until=moment_of(until, "until"),
            cursor=cursor,
            limit=limit,
            at=position,
        )


class OfPeople(Controller):
    path = "/people/{person_id:uuid}/pools"
    tags = ("pools",)

    @get()
    async def list_person_pools(
        self, view: NamedDependency[View], person_id: FromPath[UUID]
    ) -> Response[list[pools.Membership]]:
        """List the pools that a person is in

        Since when and why."""
        return await view.answer(pools.of_person, Named(person_id=person_id), person_id)

    @post()
    async def pool_person(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[Pooling]
    ) -> Response[Receipt]:
        """Put into a pool, or take out

        By its `kind`. What is so already changes nothing."""
        return await act.on(person_id, intake.pool, data)


class Segments(Controller):
    path = "/segments"
    tags = ("segments",)

    @get()
    async def list_segments(
        self, view: NamedDependency[View]
    ) -> Response[list[people.SegmentShown]]:
        """List the segments

        Those in use, with how many people fit now, by slug."""
        return await view.seen(
            lambda besides: view.answer(people.segments, NOTHING, on=view.now(), besides=besides)
        )

    @post("/lookups", status_code=200)
    async def try_criteria(
        self,
        view: NamedDependency[View],
        data: JSONBody[Criteria],
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[people.PersonListed]]:
        """Try criteria without saving them

        Who fits now, the newest first. It is a POST because criteria are a body; it writes
        nothing."""
        return await view.seen(
            lambda besides: view.page(
                people.listing,
                data,
                on=view.now(),
                besides=besides,
                cursor=cursor,
                limit=limit,
                at=position,
            )
        )

    @get("/{slug:str}")
    async def read_segment(
        self, view: NamedDependency[View], slug: FromPath[str]
    ) -> Response[people.SegmentShown]:
        """Read a segment

        Its criteria, and how many people fit now."""
        return await view.seen(
            lambda besides: view.one(people.segment, slug, on=view.now(), besides=besides)
        )

    @put("/{slug:str}")
    async def save_segment(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[SegmentSaved]
    ) -> Response[Receipt]:
        """Save a segment

        New, or the next version of what is there."""
        return await act.on(segment_id(slug), _save, slug, data)

    @get("/{slug:str}/people")
    async def list_segment_people(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        tag: Tagged = None,
        skill: Skilled = None,
        stage: Staged = None,
        channel: FromQuery[Source | None] = None,
        seniority: FromQuery[Seniority | None] = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[people.PersonListed]]:
        """List who fits a segment

        Now, and what is asked for besides; the newest first."""
        also = fitting(tag, skill, stage, channel, seniority, custom)
        return await view.seen(
            lambda besides: view.page(
                people.in_segment,
                slug,
                also=also,
                named=Named(stage=stage),
                there=(people.criteria_of, slug),
                on=view.now(),
                besides=besides,
                cursor=cursor,
                limit=limit,
                at=position,
            )
        )

    @get("/{slug:str}/quiet")
    async def list_segment_quiet(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        tag: Tagged = None,
        skill: Skilled = None,
        stage: Staged = None,
        channel: FromQuery[Source | None] = None,
        seniority: FromQuery[Seniority | None] = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[people.PersonListed]]:
        """List who has gone quiet in a segment

        By its cadence, and who is not snoozed; of them, who fits what is asked for besides. The
        newest first."""
        also = fitting(tag, skill, stage, channel, seniority, custom)
        return await view.seen(
            lambda besides: view.page(
                people.quiet_in_segment,
                slug,
                also=also,
                named=Named(stage=stage),
                there=(people.criteria_of, slug),
                on=view.now(),
                besides=besides,
                cursor=cursor,
                limit=limit,
                at=position,
            )
        )


class CompanySegments(Controller):
    path = "/company-segments"
    tags = ("segments",)

    @get()
    async def list_company_segments(
        self, view: NamedDependency[View]
    ) -> Response[list[accounts.CompanySegmentShown]]:
        """List the segments of companies

        Those in use, with how many companies fit now, by slug."""
        return await view.answer(accounts.company_segments, NOTHING, on=view.now())

    @post("/lookups", status_code=200)
    async def try_company_criteria(
        self,
        view: NamedDependency[View],
        data: JSONBody[CompanyCriteria],
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[accounts.Account]]:
        """Try criteria of companies without saving them

        Which accounts fit now, the newest company first. It is a POST because criteria are a body;
        it writes nothing."""
        return await view.page(
            accounts.fitting, data, on=view.now(), cursor=cursor, limit=limit, at=position
        )

    @get("/{slug:str}")
    async def read_company_segment(
        self, view: NamedDependency[View], slug: FromPath[str]
    ) -> Response[accounts.CompanySegmentShown]:
        """Read a segment of companies

        Its criteria, and how many companies fit now."""
        return await view.one(accounts.company_segment, slug, on=view.now())

    @put("/{slug:str}")
    async def save_company_segment(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[CompanySegmentSaved]
    ) -> Response[Receipt]:
        """Save a segment of companies

        New, or the next version of what is there."""
        return await act.on(company_segment_id(slug), _save, slug, data)

    @get("/{slug:str}/companies")
    async def list_segment_companies(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        status: OfStatus = None,
        owner: Owned = None,
        industry: Trade = None,
        tag: Tagged = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[accounts.Account]]:
        """List the companies that fit a segment

        As accounts, now, and what is asked for besides; the newest company first."""
        return await view.page(
            accounts.in_segment,
            slug,
            also=_fitting(status, owner, industry, tag, custom),
            named=Named(owner=owner),
            there=(accounts.criteria_of, slug),
            on=view.now(),
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/{slug:str}/quiet")
    async def list_company_segment_quiet(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        status: OfStatus = None,
        owner: Owned = None,
        industry: Trade = None,
        tag: Tagged = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[accounts.Account]]:
        """List which companies have gone quiet in a segment

        With which nothing has passed for as long as its cadence, and which are not snoozed; the
        newest company first; of them, those that fit what is asked for besides. An account whose
        status is `quiet` is one that stopped ordering."""
        return await view.page(
            accounts.quiet_in_segment,
            slug,
            also=_fitting(status, owner, industry, tag, custom),
            named=Named(owner=owner),
            there=(accounts.criteria_of, slug),
            on=view.now(),
            cursor=cursor,
            limit=limit,
            at=position,
        )


def _fitting(
    status: AccountStatus | None,
    owner: str | None,
    industry: str | None,
    tag: str | None,
    custom: str | None,
) -> CompanyCriteria:
    """Raises Malformed."""
    return CompanyCriteria(
        statuses=(status,) if status else (),
        owners=(owner,) if owner else (),
        industries=(industry,) if industry else (),
        tags=(tag,) if tag else (),
        custom=asked(custom),
    )


async def _define(work: Work, _: UUID, slug: str, definition: PoolDefined) -> Pool:
    """Raises SlugDiffers."""
    if definition.slug != slug:
        raise SlugDiffers(slug=definition.slug)
    return await define_pool(work, definition)


async def _save(work: Work, _: UUID, slug: str, definition: SegmentEvents) -> Segment:
    """Raises SlugDiffers, NoCriteria."""
    if definition.slug != slug:
        raise SlugDiffers(slug=definition.slug)
    return await save_segment(work, definition)


@get("/tags", tags=["pools"])
async def list_tags(
    view: NamedDependency[View],
    kind: FromQuery[tags.Kind | None] = None,
    cursor: Token = None,
    limit: Limit = 50,
) -> Response[Page[tags.TagShown]]:
    """List the tags in use

    By name, with how many people and companies have each. `kind`: only those of people, or of
    companies."""
    return await view.page(tags.listing, kind=kind, cursor=cursor, limit=limit, at=tags.place)


HANDLERS: list[Any] = [Pools, OfPeople, Segments, CompanySegments, list_tags]
