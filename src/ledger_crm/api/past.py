"""Past: which moment ``as_of`` names, so that everything is answered as it was known then.

What was known is what the ledger held, so a moment is a position. What depends on the day that it
is asked on, as who has gone quiet and what is due, is answered for the day of that position.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from ledger_crm.domain import clock
from ledger_crm.projections import Cursor, written_at, written_by

from .problems import AfterTheHead, Fault, Malformed

AsOf = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=40,
        description="Answers as it was known then: a position of the ledger, an instant"
        " (`2026-03-01T12:00:00Z`), or a day, which means its end in UTC. `Ledger-As-Of` says which"
        " position that was. Whoever was erased since is not shown as they were.",
    ),
]
UNREADABLE = "neither a position, nor an instant with its offset, nor a day as in 2026-03-01"
AHEAD = "it lies ahead: nobody knows yet"


class Then(msgspec.Struct, frozen=True):
    """at  what "now" was"""

    position: int
    at: datetime


async def then(cur: Cursor, as_of: str, head: int) -> Then:
    """head  the ledger's. Raises Malformed, AfterTheHead."""
    if as_of.isascii() and as_of.isdigit():
        position = int(as_of)
        if position > head:
            raise AfterTheHead(after=position, head=head)
        return Then(position, await written_at(cur, position or 1) or clock.now())
    at = _instant(as_of)
    if at is None:
        raise Malformed(faults=[Fault("query:as_of", UNREADABLE)])
    if at > clock.now():
        raise Malformed(faults=[Fault("query:as_of", AHEAD)])
    return Then(await written_by(cur, at), at)


def _instant(text: str) -> datetime | None:
    """Of a day its end, or now if that is still to come."""
    try:
        if len(text) != len("2026-03-01"):
            at = datetime.fromisoformat(text)
            return at.astimezone(UTC) if at.tzinfo else None
        day = date.fromisoformat(text)
        return clock.now() if day == clock.today() else datetime.combine(day, time.max, UTC)
    except (ValueError, OverflowError):
        return None
