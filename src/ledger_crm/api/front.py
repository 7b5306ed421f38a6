"""What needs no key: the front page, the documentation, what each problem means, and health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from ledger_crm.domain import EVENTS
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.shape import schema_of
from ledger_crm.ledger import Unavailable
from ledger_crm.projections import (
    NOT_BUILT,
    OUT_OF_REACH,
    Cursor,
    Projection,
    Standing,
    every,
    positions,
    standings,
)
from ledger_crm.projections.search import trigrams

from . import problems
from .malformed import must_be_well_formed
from .snapshots import Pool, answered

FeedPosition: TypeAlias = Callable[[], Awaitable[int]]

ANSWER_S = 5.0  # of the database, when asked how we are
PATIENCE_S = 2.0  # for the broker, when asked how we are
BEHIND_S = 30.0  # a read model that lags more is not just busy

LINKS = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "problems": "/problems",
    "ready": "/health/ready",
    "people": "/people",
    "companies": "/companies",
    "job_orders": "/job-orders",
    "candidates": "/candidates",
    "interviews": "/interviews",
    "offers": "/offers",
    "shortlists": "/shortlists",
    "deals": "/deals",
    "accounts": "/accounts",
    "fees": "/fees",
    "introductions": "/introductions",
    "placements": "/placements",
    "instalments": "/instalments",
    "remedies": "/remedies",
    "invoices": "/invoices",
    "commissions": "/commissions",
    "off_limits": "/off-limits",
    "engagement": "/engagement",
    "quiet_people": "/engagement/quiet/people",
    "quiet_companies": "/engagement/quiet/companies",
    "day": "/day",
    "follow_ups": "/follow-ups",
    "pools": "/pools",
    "tags": "/tags",
    "campaigns": "/campaigns",
    "segments": "/segments",
    "company_segments": "/company-segments",
    "consultants": "/consultants",
    "teams": "/teams",
    "applications": "/applications",
    "templates": "/templates",
    "custom_fields": "/custom-fields",
    "referrals": "/referrals",
    "renewals": "/renewals",
    "duplicates": "/duplicates",
    "company_duplicates": "/duplicates/companies",
    "erasures": "/erasures",
    "pipelines": "/pipelines",
    "events": "/events",
    "webhooks": "/webhooks",
    "metrics": "/metrics",
    "session": "/session",
    "sign_in": "/sign-in",
    "access_log": "/access-log",
}


class Landing(msgspec.Struct, frozen=True):
    name: str
    links: dict[str, str]


class ProblemKind(msgspec.Struct, frozen=True):
    """A kind of problem: ``type`` is its address."""

    type: str
    title: str
    status: int


Searching = Literal["typo-tolerant", "exact words only: no pg_trgm"]


class Live(msgspec.Struct, frozen=True):
    status: Literal["live"]


class Feed(msgspec.Struct, frozen=True):
    """position  of the newest entry on the feed; null: the broker does not answer"""

    position: int | None
    lag_events: int | None


class Ready(msgspec.Struct, frozen=True):
    """status  ready; degraded: it answers, but a read model has halted or is more than 30 s
            behind, or the feed is away; unavailable: the database does not answer, or a read model
            is not built yet or is being built anew, and what needs it is answered with 503
    head    position of the newest entry in the ledger
    search  in words: whether names with a typo are found; null: the database does not answer
    """

    status: Literal["ready", "degraded", "unavailable"]
    head: int | None
    projections: list[Standing]
    feed: Feed
    search: Searching | None = None


@get("/", tags=["front"])
async def landing() -> Landing:
    """Where everything is"""
    return Landing("Ledger CRM", LINKS)


@get("/openapi.json", include_in_schema=False, media_type="application/json")
async def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document"""
    return Response(await asyncio.to_thread(request.app.state.openapi))  # the first takes a second


@get("/docs", include_in_schema=False, media_type="text/html")
async def docs() -> Response[bytes]:
    """This documentation, as a page"""
    return _page("docs.html", "text/html")


@get("/docs/docs.js", include_in_schema=False)
async def docs_js() -> Response[bytes]:
    return _page("docs.js", "text/javascript")


@get("/docs/docs.css", include_in_schema=False)
async def docs_css() -> Response[bytes]:
    return _page("docs.css", "text/css")


@get("/invitation", include_in_schema=False, media_type="text/html")
async def invitation() -> Response[bytes]:
    """Where an invitation's link leads; what opens stands behind #, which nobody is sent"""
    return _page("invitation.html", "text/html")


@get("/invitation/invitation.js", include_in_schema=False)
async def invitation_js() -> Response[bytes]:
    return _page("invitation.js", "text/javascript")


@get("/problems", tags=["front"])
async def list_problems() -> list[ProblemKind]:
    """List the problems that may be answered"""
    return sorted(map(_explained, problems.every()), key=lambda problem: problem.type)


@get("/problems/{code:str}", tags=["front"])
async def read_problem(code: FromPath[str]) -> ProblemKind:
    """What a problem means

    The address is the `type` of the problem."""
    for refusal in problems.every():
        if refusal().code == code:
            return _explained(refusal)
    raise problems.NoSuchPage()


@get("/schemas/{name:str}", tags=["front"])
async def read_schema(name: FromPath[str]) -> dict[str, Any]:
    """The shape of a fact on the feed

    JSON Schema; `name` is the stored name and `.json`, as an event's `dataschema` ends."""
    if event := EVENTS.get(name.removesuffix(".json")):
        return schema_of(event)
    raise problems.NoSuchPage()


@get("/health/live", tags=["health"])
async def live() -> Live:
    """Is this process alive?"""
    return Live("live")


@get("/health/ready", tags=["health"])
async def ready(
    pool: NamedDependency[Pool], feed_position: NamedDependency[FeedPosition]
) -> Response[Ready]:
    """Can this process answer?

    The head of the ledger, and how far each read model and the feed are behind it. 503 if the
    database does not answer, or if a read model is not built yet or is being built anew."""
    projections = every()
    try:
        head, found, typos, readable = await answered(_standing(pool, projections), ANSWER_S)
    except (*OUT_OF_REACH, Unavailable):
        return Response(Ready("unavailable", None, [], Feed(None, None)), status_code=503)
    feed = await _feed(feed_position, head)
    word: Searching = "typo-tolerant" if typos else "exact words only: no pg_trgm"
    if readable < len(projections):
        return Response(Ready("unavailable", head, found, feed, word), status_code=503)
    if feed.position is None or any(one.fault or one.lag_s > BEHIND_S for one in found):
        return Response(Ready("degraded", head, found, feed, word))
    return Response(Ready("ready", head, found, feed, word))


async def _standing(
    pool: Pool, projections: list[Projection]
) -> tuple[int, list[Standing], str | None, int]:
    async with pool.connection() as conn, conn.cursor() as cur:
        head, found = await standings(cur, projections)
        return head, found, await trigrams(cur), await _readable(cur, projections)


async def _readable(cur: Cursor, projections: list[Projection]) -> int:
    """How many of them."""
    try:
        return len(await positions(cur, projections))
    except NOT_BUILT:
        return 0


async def _feed(feed_position: FeedPosition, head: int) -> Feed:
    try:
        async with asyncio.timeout(PATIENCE_S):
            position = await feed_position()
    except Exception:  # the broker may be away in many ways, and none of them is ours to answer
        return Feed(None, None)
    return Feed(position, max(head - position, 0))


def _explained(refusal: type[Refusal]) -> ProblemKind:
    found = refusal()
    return ProblemKind(f"/problems/{found.code}", found.sentence, problems.status_of(refusal))


def _page(name: str, media_type: str) -> Response[bytes]:
    content = files(__package__).joinpath("static", name).read_bytes()
    return Response(content, media_type=media_type)


HANDLERS: list[HTTPRouteHandler | Router] = [
    openapi_json, docs, docs_js, docs_css, invitation, invitation_js,
    Router(
        "/",
        route_handlers=[landing, list_problems, read_problem, read_schema, live, ready],
        before_request=must_be_well_formed,
    ),
]  # fmt: skip
