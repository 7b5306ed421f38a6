"""The web application: everything it uses is an argument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import msgspec
from litestar import Litestar, Request, Router
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute

from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger
from ledger_crm.storage import Files
from ledger_crm.vault import Vault

from . import (
    applications,
    batch,
    campaigns,
    confidential,
    customs,
    day,
    documents,
    engagement,
    entrance,
    equal_opportunity,
    following,
    front,
    market,
    merging,
    metrics,
    oidc,
    openapi,
    permitted,
    pools,
    portal,
    privacy,
    problems,
    referrals,
    resumes,
    search,
    session,
    shortlists,
    teams,
    webhooks,
)
from .acting import act, begin, begin_by_link
from .caller import AwaitedGuard, Caller, Callers, Connection, Terms
from .companies import Companies, JobOrders
from .conditional import conditional
from .edge import edge
from .interviews import Interviews
from .malformed import must_be_well_formed
from .money import Money, Placements
from .ordering import Count, Fields, Sort
from .past import AsOf, Known
from .people import People
from .pipelines import Candidates, Deals, Pipelines
from .quick import quick
from .readers import KeyHolder
from .reading import After, View
from .reports import Reports
from .snapshots import Pool, Reads

BODY_LIMIT_BYTES = 1024 * 1024
FeedPosition: TypeAlias = Callable[[], Awaitable[int]]


class Equipment:
    """What the routes work with. They are slow to make and it is not: furnished anew, they serve
    another ledger."""

    ledger: Ledger
    pool: Pool
    reads: Reads
    vault: Vault
    feed_position: FeedPosition
    tide: following.Tide
    key: AwaitedGuard
    callers: Callers
    hidden: confidential.Hidden
    provider: oidc.Provider
    link: AwaitedGuard

    def furnish(
        self,
        *,
        ledger: Ledger,
        pool: Pool,
        feed_position: FeedPosition,
        vault: Vault | None = None,
        guard: AwaitedGuard | None = None,
        terms: Terms = Terms(),  # noqa: B008 it is frozen
    ) -> None:
        """As ``create_app`` says. What was remembered of callers is forgotten."""
        self.ledger, self.pool, self.feed_position = ledger, pool, feed_position
        self.reads = Reads(pool)
        self.hidden = confidential.Hidden(self.reads)
        self.tide = following.Tide(ledger)
        self.vault = vault or Vault(Files(Path(".ledger/documents").absolute(), private=True))
        self.provider = oidc.Provider(terms)
        self.callers = Callers(ledger, pool, terms)
        self.key = guard or self.callers
        self.link = portal.link_required(ledger, self.callers)

    def remembered(self, state: dict[str, Any], *told: str) -> Caller | None:
        return self.callers.remembered(state, *told) if self.key is self.callers else None


def create_app(
    *,
    ledger: Ledger,
    pool: Pool,
    feed_position: FeedPosition,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    vault: Vault | None = None,
    guard: AwaitedGuard | None = None,
    terms: Terms = Terms(),  # noqa: B008 it is frozen
) -> Litestar:
    """An ASGI application. The caller opens and closes what it is given.

    pool           as ``snapshots.open_pool`` makes it
    feed_position  of the newest entry on the feed, to be told by /health/ready; may raise
    guard          who may call, and puts the actor and the holder into the request's state; None:
                   holders of a key, and who is signed in
    terms          on which these are served
    vault          where documents are; None: in the folder that settings name if nothing is set
    """
    equipment = Equipment()
    equipment.furnish(
        ledger=ledger, pool=pool, feed_position=feed_position, vault=vault, guard=guard, terms=terms
    )  # fmt: skip

    # closures and not methods: guards are copied with what they are bound to
    async def key_needed(connection: Connection, handler: BaseRouteHandler) -> None:
        if handler.handler_name in permitted.ANYBODY:
            return
        if fault := connection.scope["state"].get("fault"):
            raise fault
        await equipment.key(connection, handler)
        state = connection.scope["state"]
        try:
            permitted.must_be_permitted(state["holder"], handler)
        except problems.NotPermitted:
            about = handler.handler_name
            equipment.callers.visited(connection, state.get("caller"), "refused", about)
            raise

    async def link_needed(connection: Connection, handler: BaseRouteHandler) -> None:
        await equipment.link(connection, handler)

    async def allowed(request: Request[Any, Any, Any]) -> Callable[[], Awaitable[None]]:
        """To be asked again for as long as something lasts: raises as ``key_needed``."""
        return lambda: key_needed(request, request.route_handler)

    async def view(
        request: Request[Any, Any, Any],
        after: After = None,
        as_of: AsOf = None,
        known: Known = None,
        fields: Fields = None,
        sort: Sort = None,
        count: Count = False,
    ) -> View:
        then = await equipment.reads.moment(as_of, known)
        body = await request.body() if request.method == "POST" else b""
        reader = KeyHolder(request, equipment.hidden, sort, count, body)
        return View(equipment.reads, equipment.ledger, after, reader, then)

    keyed = Router(
        "/",
        route_handlers=[
            *(People, Companies, JobOrders, Candidates, Deals, Pipelines, Money, Placements),
            *(Interviews, Reports, shortlists.Shortlists),
            *applications.HANDLERS,
            *equal_opportunity.HANDLERS,
            *engagement.HANDLERS,
            *day.HANDLERS,
            *pools.HANDLERS,
            *campaigns.HANDLERS,
            *teams.HANDLERS,
            *search.HANDLERS,
            *documents.HANDLERS,
            *resumes.HANDLERS,
            *customs.HANDLERS,
            *market.HANDLERS,
            *merging.HANDLERS,
            *referrals.HANDLERS,
            *privacy.HANDLERS,
            *following.HANDLERS,
            *batch.HANDLERS,
            *webhooks.HANDLERS,
            *metrics.HANDLERS,
            *session.HANDLERS,
        ],
        guards=[key_needed],
        before_request=must_be_well_formed,
        dependencies={
            "act": Provide(act),
            "begin": Provide(begin),
            "view": Provide(view),
            "allowed": Provide(allowed),
        },
        security=[{"key": []}, {"session": []}],
    )
    linked = Router(
        "/",
        route_handlers=[portal.Portal],
        guards=[link_needed],
        before_request=must_be_well_formed,
        dependencies={"begin": Provide(begin_by_link), "door": Provide(portal.door)},
        exception_handlers={Refusal: portal.discreet},
        security=[{"link": []}],
    )
    app = Litestar(
        route_handlers=[keyed, linked, *oidc.HANDLERS, *entrance.HANDLERS, *front.HANDLERS],
        dependencies={
            "hidden": Provide(lambda: equipment.hidden, sync_to_thread=False),
            "provider": Provide(lambda: equipment.provider, sync_to_thread=False),
            "callers": Provide(lambda: equipment.callers, sync_to_thread=False),
            "ledger": Provide(lambda: equipment.ledger, sync_to_thread=False),
            "vault": Provide(lambda: equipment.vault, sync_to_thread=False),
            "pool": Provide(lambda: equipment.pool, sync_to_thread=False),
            "tide": Provide(lambda: equipment.tide, sync_to_thread=False),
            "reads": Provide(lambda: equipment.reads, sync_to_thread=False),
            "feed_position": Provide(lambda: equipment.feed_position, sync_to_thread=False),
        },
        exception_handlers=problems.HANDLERS,
        request_max_body_size=body_limit_bytes,
        openapi_config=openapi.config(),
        logging_config=None,
    )
    _tell_all_methods(app)
    app.state.equipment = equipment
    app.state.openapi = _once(cache(lambda: msgspec.json.encode(openapi.document(app))))
    app.asgi_handler = edge(
        conditional(
            quick(
                app.asgi_handler,
                equipment.remembered,
                lambda: equipment.reads,
                lambda: equipment.ledger,
                lambda holder, position: equipment.hidden.remembered(holder, position),
                body_limit_bytes,
            )
        )
    )
    return app


def _once(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """Of many threads that ask for the same at once, one makes it, and the others wait."""
    lock = Lock()

    def made() -> bytes:
        with lock:
            return make()

    return made


def _tell_all_methods(app: Litestar) -> None:
    """The framework's answer to OPTIONS tells the methods of the route as it was when the first
    handler of that address was registered."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and "OPTIONS" in route.route_handler_map:
            for cell in route.route_handler_map["OPTIONS"][0].fn.__closure__ or ():
                cell.cell_contents.methods = route.methods
