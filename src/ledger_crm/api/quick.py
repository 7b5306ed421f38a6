"""Quick: the reads that are asked most, answered before the framework goes its way.

Only what goes well is answered here: for the holder of a key who was let in a moment ago, of a
record that is there, with no parameters but ``limit`` and ``after``. Everything else takes the
route that the documents know, and would have given the same answer, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from ledger_crm.domain.access import Holder
from ledger_crm.domain.role import FEES, Permission
from ledger_crm.projections import history, people

from .reading import LIMIT, MOST_ITEMS, Reads, moment, page_of, version_of

GET = re.compile(
    r"/(people|companies)/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(/history)?"
)
KINDS = {"people": "person", "companies": "company"}
CARDS = {"people": people.card}
PLAIN = re.compile(r"0|[1-9][0-9]{0,17}")
ACCEPTED = (b"*/*", b"application/json")

SEEN_WHOLE: tuple[Permission, ...] = ("records.read", FEES)
"""Who has these is shown all that is answered here (``permitted``); others take the long way."""

Answer = tuple[bytes, list[tuple[bytes, bytes]]]
Known = Callable[[str], Holder | None]
"""Who holds what this Authorization header says, if they were let in with it a moment ago."""


def quick(app: ASGIApp, known: Known, reads: Callable[[], Reads]) -> ASGIApp:
    """Around ``app``, which answers what is not answered here."""

    async def shortened(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
            await app(scope, receive, send)
            return
        asked, answer, holder = GET.fullmatch(scope["path"]), None, None
        if asked and (holder := _caller(scope, known)):
            noun, id, of_history = asked.groups()
            try:
                answer = await _answer(noun, UUID(id), of_history, scope["query_string"], reads())
            except Exception as fault:  # it is said there as everywhere
                scope["state"]["fault"] = fault
        if answer is None or holder is None:
            await app(scope, receive, send)
            return
        scope["state"]["actor"] = holder.actor
        scope["path_template"] = f"/{noun}/{{{KINDS[noun]}_id}}{of_history or ''}"
        body, headers = answer
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return shortened


def _caller(scope: Scope, known: Known) -> Holder | None:
    held: str | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if held is not None:  # which of them the framework takes is its business
                return None
            held = value.decode("latin-1")
        elif name == b"accept" and value not in ACCEPTED:
            return None
    holder = known(held or "")
    return holder if holder and all(map(holder.may, SEEN_WHOLE)) else None


async def _answer(
    noun: str, id: UUID, of_history: str | None, query: bytes, reads: Reads
) -> Answer | None:
    parameters = _parameters(query)
    if parameters is None:
        return None
    limit = parameters.get("limit", LIMIT)
    found: Any
    if of_history:
        asked = history.of.asking(id, kind=KINDS[noun], limit=limit + 1)
        stands_at, found = await reads.look_up(history.of, asked)
    elif noun in CARDS and "limit" not in parameters:
        stands_at, found = await reads.look_up(CARDS[noun], CARDS[noun].asking(id))
    else:
        return None
    if found is None or stands_at < parameters.get("after", 0):
        return None
    shown = page_of(found, limit, moment) if of_history else found
    body = msgspec.json.encode(shown)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "ledger-position": str(stands_at),
        **version_of(shown),
    }
    return body, [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _parameters(query: bytes) -> dict[str, int] | None:
    """None: others, or not as they have to be."""
    found: dict[str, int] = {}
    for pair in query.split(b"&") if query else ():
        name, _, digits = pair.decode("latin-1").partition("=")
        strange = name not in ("limit", "after") or name in found
        if strange or not PLAIN.fullmatch(digits):
            return None
        found[name] = int(digits)
    if not 1 <= found.get("limit", LIMIT) <= MOST_ITEMS:
        return None
    return found
