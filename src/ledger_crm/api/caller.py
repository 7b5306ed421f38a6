"""Who calls: the holder of an API key, and nobody else."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from ledger_crm.commands.catalogue import holder_of
from ledger_crm.domain.entry import Actor
from ledger_crm.ledger import Ledger

from .problems import KeyMissing

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
AwaitedGuard: TypeAlias = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

TRUST_S = 1.0  # a revoked key opens nothing after this long
MOST = 1024  # keys remembered at once


def key_required(ledger: Ledger) -> AwaitedGuard:
    """Puts the actor into the request's state. Raises KeyMissing, Unavailable.

    Keys that open something are remembered for ``TRUST_S``, so that a busy client costs the
    ledger one look a second and not one a request.
    """
    known: dict[str, tuple[Actor, float]] = {}

    async def guard(connection: Connection, __: BaseRouteHandler) -> None:
        scheme, _, text = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise KeyMissing()
        actor, until_s = known.get(text, (None, 0.0))
        if actor is None or time.monotonic() > until_s:
            known.pop(text, None)
            asked_s = time.monotonic()
            actor = await holder_of(ledger, text.strip())
            if actor is None:
                raise KeyMissing()
            if len(known) >= MOST:
                known.clear()
            known[text] = (actor, asked_s + TRUST_S)
        connection.scope["state"]["actor"] = actor

    return guard
