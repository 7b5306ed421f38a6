"""The web application: everything it uses is an argument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import msgspec
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.types import Guard

from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger
from ledger_crm.vault import Vault

from . import (
    applications,
    customs,
    day,
    documents,
    engagement,
    equal_opportunity,
    front,
    market,
    openapi,
    pools,
    portal,
    problems,
    referrals,
    resumes,
    search,
    shortlists,
    teams,
)
from .acting import act, begin
from .caller import key_required
from .companies import Companies, JobOrders
from .edge import edge
from .interviews import Interviews
from .malformed import must_be_well_formed
from .money import Money, Placements
from .people import People
from .pipelines import Candidates, Deals, Pipelines
from .reading import Pool, Reads, viewing
from .reports import Reports

BODY_LIMIT_BYTES = 1024 * 1024


def create_app(
    *,
    ledger: Ledger,
    pool: Pool,
    feed_position: Callable[[], Awaitable[int]],
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    vault: Vault | None = None,
    guard: Guard | None = None,
) -> Litestar:
    """An ASGI application. The caller opens and closes what it is given.

    pool           as ``reading.open_pool`` makes it
    feed_position  of the newest entry on the feed, to be told by /health/ready; may raise
    guard          who may call, and puts the actor into the request's state; None: holders of a key
    vault          where documents are; None: in the folder that settings name if nothing is set
    """
    reads = Reads(pool)
    kept = vault or Vault(Path(".ledger/documents").absolute())
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
            *teams.HANDLERS,
            *search.HANDLERS,
            *documents.HANDLERS,
            *resumes.HANDLERS,
            *customs.HANDLERS,
            *market.HANDLERS,
            *referrals.HANDLERS,
        ],
        guards=[guard or key_required(ledger)],
        before_request=must_be_well_formed,
        dependencies={
            "act": Provide(act),
            "begin": Provide(begin),
            "view": Provide(viewing(reads, ledger)),
        },
        security=[{"key": []}],
    )
    linked = Router(
        "/",
        route_handlers=[portal.Portal],
        guards=[portal.link_required(ledger)],
        before_request=must_be_well_formed,
        dependencies={"begin": Provide(begin), "door": Provide(portal.door)},
        exception_handlers={Refusal: portal.discreet},
        security=[{"link": []}],
    )
    app = Litestar(
        route_handlers=[keyed, linked, *front.HANDLERS],
        dependencies={
            "ledger": Provide(lambda: ledger, sync_to_thread=False),
            "vault": Provide(lambda: kept, sync_to_thread=False),
            "pool": Provide(lambda: pool, sync_to_thread=False),
            "reads": Provide(lambda: reads, sync_to_thread=False),
            "feed_position": Provide(lambda: feed_position, sync_to_thread=False),
        },
        exception_handlers=problems.HANDLERS,
        request_max_body_size=body_limit_bytes,
        openapi_config=openapi.config(),
        logging_config=None,
    )
    app.state.openapi = cache(lambda: msgspec.json.encode(openapi.document(app)))
    app.asgi_handler = edge(app.asgi_handler)
    return app
