"""Visits: who was at the door, and how that went. Rows beside the ledger, which are forgotten.

One row for each day and each who, what and where from, with how often and when first and last:
however much somebody asks or guesses, a day has no more rows than that. An address is there without
its last part; what somebody typed is not there at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import structlog
from psycopg import Error, connect
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from .domain.clock import now
from .domain.entry import Instant
from .sessions import writing

MOST = 4_096  # rows that wait to be written; beyond, only what happened is told
NETWORKS = 256  # of a day, from which one key or link was used; of others only that there are more
What = Literal[
    "signed_in", "sign_in_failed", "signed_out", "password_changed", "key_used", "session_used",
    "key_refused", "refused", "locked_out",
]  # fmt: skip
USED = ("key_used", "session_used")  # a row a day for each network, and not how often

log = structlog.get_logger("ledger_crm.visits")


class Visit(NamedTuple):
    """about  of what was refused: the operation; of who signed in: how; of who ended another
    session of theirs: which"""

    day: str
    what: What
    actor: str
    through: str
    network: str
    about: str


class Seen(msgspec.Struct, frozen=True):
    """One row a day of the same.

    what     `signed_in`, `sign_in_failed`, `signed_out`, `password_changed`; `key_used`: a key or
             link, the first time that day from that network; `session_used`: who is signed in,
             likewise; `key_refused`: none of ours, or not in use; `refused`: 403; `locked_out`:
             guessed too often
    actor    of ours, or `portal:<person>`; "": nobody
    through  `key:<id>`, `session:<id>` or `link:<id>`; "": none of them
    network  the address without its last part; "": not known, or one of very many that day
    about    of what was refused: the operation; of who signed in: `password`, `invitation`, `oidc`;
             of who ended another session of theirs: `session:<id>`, that one; of links: `link`;
             of who did not get in by the identity provider: `oidc:` and why: `state` (late, twice,
             or from elsewhere), `cancelled`, `code` (the provider takes it for none of its own),
             `clock`, `audience`, `issuer`, `key`, `signature`, `nonce` or `token` (what the
             provider says is not as it has to be), `address` (it is not verified), `nobody` (on
             record by this address), or what the provider complains of
    """

    id: int
    what: What
    actor: str
    through: str
    network: str
    about: str
    count: int
    first_at: Instant
    last_at: Instant


class Visits:
    """Noted at once, written a moment later, and kept for ``days``."""

    def __init__(self, pool: AsyncConnectionPool[Any], days: int) -> None:
        self._pool, self._days = pool, days
        self._pending: dict[Visit, tuple[int, datetime, datetime]] = {}
        self._used: dict[str, set[str]] = {}  # through what, and from where
        self._used_on = ""
        self._writing: asyncio.Task[None] | None = None
        self._tidied = ""

    def note(
        self, what: What, *, actor: str = "", through: str = "", network: str = "", about: str = ""
    ) -> None:
        at = now()
        visit = Visit(f"{at:%Y-%m-%d}", what, actor, through, network, about)
        if what in USED:
            if (told := self._new(visit)) is None:
                return
            visit = visit._replace(network=told)
        if len(self._pending) >= MOST and visit not in self._pending:
            visit = Visit(visit.day, what, "", "", "", "")
        count, first, _ = self._pending.get(visit, (0, at, at))
        self._pending[visit] = count + 1, first, at
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    def _new(self, visit: Visit) -> str | None:
        """From where it is used, as far as that is told; None: that was told today."""
        if visit.day != self._used_on:
            self._used, self._used_on = {}, visit.day
        networks = self._used.setdefault(visit.through, set())
        network = visit.network if len(networks) < NETWORKS else ""
        if visit.network in networks or network in networks:
            return None
        networks.add(network)
        return network

    async def settled(self) -> None:
        """What was noted is written; or cannot be, and is tried again with the next one."""
        while self._writing and not self._writing.done():
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        while self._pending:
            taken, self._pending = self._pending, {}
            try:
                await self._put(taken)
            except (Error, PoolTimeout, TooManyRequests) as fault:
                log.warning("access log not written", fault=type(fault).__name__)
                for visit, (count, first, last) in taken.items():
                    if visit in self._pending:
                        count, last = count + self._pending[visit][0], self._pending[visit][2]
                    self._pending[visit] = count, first, last
                return

    async def _put(self, taken: dict[Visit, tuple[int, datetime, datetime]]) -> None:
        async with writing(self._pool) as cur:
            for visit in sorted(taken):  # or two processes would wait for each other
                await cur.execute(
                    "INSERT INTO ledger.access_log"
                    " (day, what, actor, through, network, about, count, first_at, last_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (day, what, actor, through, network, about) DO UPDATE"
                    " SET count = access_log.count + excluded.count,"
                    " last_at = greatest(access_log.last_at, excluded.last_at)"
                    " WHERE access_log.what <> ALL (%s)",  # each process tells it once
                    (*visit, *taken[visit], list(USED)),
                )
            if (today := f"{now():%Y-%m-%d}") != self._tidied:
                until = now().date() - timedelta(days=self._days)
                await cur.execute("DELETE FROM ledger.access_log WHERE day < %s", (until,))
                self._tidied = today


def keys_used(url: str) -> dict[str, date]:
    """On which day each was used last, by what entries carry (`key:<id>`), as far back as is
    remembered."""
    with connect(url) as conn:
        found = conn.execute(
            "SELECT through, max(day) FROM ledger.access_log WHERE what = 'key_used'"
            " GROUP BY through"
        )
        return dict(found.fetchall())


async def came_from(pool: AsyncConnectionPool[Any], actor: str, network: str) -> bool:
    """Whether they signed in from there, as far back as is remembered."""
    async with pool.connection() as conn, conn.cursor() as cur:
        await cur.execute(
            "SELECT FROM ledger.access_log WHERE what = 'signed_in' AND actor = %s"
            " AND network = %s LIMIT 1",
            (actor, network),
        )
        return await cur.fetchone() is not None


async def listed(
    pool: AsyncConnectionPool[Any],
    *,
    what: str | None,
    actor: str | None,
    through: str | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> Sequence[Seen]:
    """The newest first."""
    async with pool.connection() as conn, conn.cursor() as cur:
        await cur.execute(
            "SELECT id, what, actor, through, network, about, count, first_at, last_at"
            " FROM ledger.access_log"
            " WHERE (%(what)s::text IS NULL OR what = %(what)s)"
            " AND (%(actor)s::text IS NULL OR actor = %(actor)s)"
            " AND (%(through)s::text IS NULL OR through = %(through)s)"
            " AND (%(since)s::timestamptz IS NULL OR last_at >= %(since)s)"
            " AND (%(until)s::timestamptz IS NULL OR first_at < %(until)s)"
            " AND id < coalesce(%(before)s, 9223372036854775807)"
            " ORDER BY id DESC LIMIT %(limit)s",
            {
                "what": what, "actor": actor, "through": through, "since": since, "until": until,
                "before": before, "limit": limit,
            },
        )  # fmt: skip
        return [Seen(*row) for row in await cur.fetchall()]


def number(seen: Seen) -> Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]:
    """Its place in the list."""
    return seen.id
