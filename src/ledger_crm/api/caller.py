"""Who calls: the holder of an API key, and nobody else."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from ledger_crm.commands.catalogue import holder_of
from ledger_crm.domain.access import Holder
from ledger_crm.ledger import Ledger

from .problems import KeyMissing

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
AwaitedGuard: TypeAlias = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

TRUST_S = 1.0  # a revoked key opens nothing after this long
MOST = 1024  # keys remembered at once


class Keys:
    """Puts the holder, and whom they write as, into the request's state. Raises KeyMissing,
    Unavailable.

    Keys that open something are remembered for ``TRUST_S``, so that a busy client costs the
    ledger one look a second and not one a request.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, tuple[Holder, float]] = {}

    def remembered(self, header: str) -> Holder | None:
        holder, until_s = self._known.get(_key_in(header) or "", (None, 0.0))
        return holder if time.monotonic() <= until_s else None

    async def __call__(self, connection: Connection, _: BaseRouteHandler) -> None:
        header = connection.headers.get("authorization", "")
        if (text := _key_in(header)) is None:
            raise KeyMissing()
        if (holder := self.remembered(header)) is None:
            self._known.pop(text, None)
            asked_s = time.monotonic()
            holder = await holder_of(self._ledger, text.strip())
            if holder is None:
                raise KeyMissing()
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[text] = (holder, asked_s + TRUST_S)
        connection.scope["state"] |= {"actor": holder.actor, "holder": holder}


def _key_in(header: str) -> str | None:
    scheme, _, text = header.partition(" ")
    return text if scheme.lower() == "bearer" else None
