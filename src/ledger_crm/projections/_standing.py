"""Where the read models stand, measured against the ledger's head, and whether they may be read.

One that is a little behind may be read: it says how far it has got, and who has to see their own
write waits for that. One that is built anew may not, until it has got to where the ledger was when
it was emptied (``serves_from``): before that it would deny people who are there, and show versions
of long ago. One that stands in another shape, or was never built, may not be read at all. A ledger
without entries has nothing to catch up with, so there everything may be read at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from ledger_crm.domain import clock

from ._projection import SCHEMA, Cursor, Projection

POSITIONS = f"""
CREATE TABLE IF NOT EXISTS {SCHEMA}.projection_position (
    name        text PRIMARY KEY,
    version     int NOT NULL,
    position    bigint NOT NULL,            -- last entry projected, 0 before the first
    fault       text,                       -- why it halted
    serves_from bigint NOT NULL,            -- the ledger's head when the tables were made
    generation  int NOT NULL DEFAULT 0,     -- raised when other tables take their place
    relations   text[],                     -- its tables and views; NULL: those of this version
    indexed     boolean NOT NULL DEFAULT true  -- false: those by which readers look are to be made
);
DO $$ BEGIN
    IF (SELECT count(*) FROM pg_attribute WHERE attname IN ('generation', 'relations', 'indexed')
        AND attrelid = '{SCHEMA}.projection_position'::regclass) < 3 THEN
        ALTER TABLE {SCHEMA}.projection_position
            ADD COLUMN IF NOT EXISTS generation int NOT NULL DEFAULT 0,
            ADD COLUMN IF NOT EXISTS relations text[],
            ADD COLUMN IF NOT EXISTS indexed boolean NOT NULL DEFAULT true;
    END IF;
END $$
"""

WRITTEN = "(convert_from(state, 'UTF8')::json ->> 'timestamp')::timestamptz"


WRITTEN_BY = f"""
WITH RECURSIVE left_over (low, high) AS (
    SELECT 0::bigint, position FROM ledger.head
    UNION ALL
    SELECT CASE WHEN by_then THEN middle ELSE low END,
           CASE WHEN by_then THEN high ELSE middle - 1 END
    FROM left_over
    CROSS JOIN LATERAL (SELECT (low + high + 1) / 2 AS middle) halved
    CROSS JOIN LATERAL (SELECT {WRITTEN} <= %s::timestamptz AS by_then FROM ledger.entries
                        WHERE notification_id = middle) written
    WHERE low < high)
SELECT low FROM left_over WHERE low = high"""
"""The position that ``written_by`` gives. It is found by halves: entries stand in the order in
which they were written, but for what the clocks of those who write differ."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """lag_s  how long ago the first entry was written that is not projected yet
    fault    why it halted; None while it runs
    """

    name: str
    version: int
    position: int
    lag_events: int
    lag_s: float
    fault: str | None


async def standings(cur: Cursor, projections: list[Projection]) -> tuple[int, list[Standing]]:
    """The head, and each projection; one that was never built stands at 0."""
    await cur.execute("SELECT to_regclass('projection_position') IS NOT NULL")
    [built] = await cur.fetchone() or [False]
    await cur.execute("SELECT position FROM ledger.head")
    [head] = await cur.fetchone() or [0]
    stored: dict[str, tuple[int, int, str | None]] = {}
    if built:
        await cur.execute("SELECT name, version, position, fault FROM projection_position")
        stored = {name: (v, at, fault) for name, v, at, fault in await cur.fetchall()}
    found = []
    for projection in projections:
        version, position, fault = stored.get(projection.name, (projection.version, 0, None))
        if version != projection.version:
            position = 0  # of another shape: it is about to be built anew
        found.append(
            Standing(
                name=projection.name,
                version=projection.version,
                position=position,
                lag_events=max(head - position, 0),
                lag_s=await age_of(cur, position + 1) if position < head else 0.0,
                fault=fault,
            )
        )
    return head, found


async def positions(cur: Cursor, projections: list[Projection]) -> dict[str, int]:
    """Of those that may be read; the others are missing. Raises one of ``NOT_BUILT``."""
    await cur.execute(standing(projections).encode())
    return dict(await cur.fetchall())


def standing(projections: Iterable[Projection]) -> str:
    """The query of ``positions``, without parameters: to be sent together with others."""
    asked = ", ".join(f"('{p.name}', {p.version})" for p in projections)  # names of our own
    return (
        "SELECT name, position FROM projection_position"
        f" WHERE position >= serves_from AND (name, version) IN ({asked})"
    )


async def written_at(cur: Cursor, position: int) -> tuple[int, datetime | None]:
    """The ledger's head, and when the entry there was written down; None: there is none."""
    query = f"""SELECT position, (SELECT {WRITTEN} FROM ledger.entries WHERE notification_id = %s)
        FROM ledger.head"""
    await cur.execute(query, (position,))
    [found] = await cur.fetchall()
    return found[0], found[1]


async def written_each(cur: Cursor, positions: Iterable[int]) -> dict[int, datetime]:
    """When the entries there were written down; of which there is none is missing."""
    await cur.execute(
        f"SELECT notification_id, {WRITTEN} FROM ledger.entries WHERE notification_id = ANY(%s)",
        ([*positions],),
    )
    return dict(await cur.fetchall())


async def age_of(cur: Cursor, position: int) -> float:
    """How long ago the entry there was written down, in seconds; 0: there is none."""
    _, written = await written_at(cur, position)
    at = written or clock.now()
    return round(max((clock.now() - at).total_seconds(), 0.0), 3)


async def written_by(cur: Cursor, at: datetime) -> tuple[int, int]:
    """The position of the last entry that was written down by then, 0 before the first; and the
    ledger's head."""
    await cur.execute(f"SELECT low, position FROM ({WRITTEN_BY}) found, ledger.head", (at,))
    [found] = await cur.fetchall()
    return found[0], found[1]


async def happened(cur: Cursor) -> list[datetime]:
    """Moments between which about as many facts had happened each, as whoever plans knows it; none
    while nobody has counted."""
    await cur.execute(
        "SELECT histogram_bounds::text::timestamptz[] FROM pg_stats"
        f" WHERE schemaname = '{SCHEMA}' AND tablename = 'history' AND attname = 'at'"
    )
    [found] = await cur.fetchone() or [None]
    return found or []
