"""Sessions: who is signed in, and who guesses. Rows beside the ledger, which are forgotten.

A session is found by the hash of what its cookie holds, which is ours: what somebody made up is
known as such without a look, and takes no place from who is signed in. What it may is asked of the
ledger each time (``commands/signing_in.py``); here is only until when it lasts.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from .domain.clock import now
from .domain.entry import new_id
from .sealing import Hashes

MARK = 22  # characters, of 6 bits each
SEEN_EVERY_S = 60.0  # a session's row is written no more often
SEEN_OF_IDLE = 1 / 4  # but so often that who is active is not taken for idle


class Session(msgspec.Struct, frozen=True):
    id: UUID
    consultant: str
    era: int
    seen_at: datetime
    until_at: datetime


class Open(msgspec.Struct, frozen=True):
    """seen_at  to the minute, or closer"""

    id: UUID
    began_at: datetime
    seen_at: datetime
    until_at: datetime


@asynccontextmanager
async def writing(pool: AsyncConnectionPool[Any]) -> AsyncIterator[Any]:
    """A cursor in a transaction that may write, on a pool whose others may not."""
    async with pool.connection() as conn, conn.cursor() as cur:
        await cur.execute("BEGIN READ WRITE")
        try:
            yield cur
        except BaseException:
            if not conn.closed:
                await cur.execute("ROLLBACK")
            raise
        await cur.execute("COMMIT")


async def begin(
    pool: AsyncConnectionPool[Any],
    hashes: Hashes,
    consultant: str,
    era: int,
    lifetime_s: int,
    *,
    idle_s: int,
    in_place_of: UUID | None = None,
) -> tuple[Session, str]:
    """And the text for its cookie. Those that are over are forgotten. ``in_place_of``: ends."""
    secret, at = _marked(secrets.token_urlsafe(32), hashes), now()
    session = Session(new_id(), consultant, era, at, at + timedelta(seconds=lifetime_s))
    async with writing(pool) as cur:
        await cur.execute(
            "DELETE FROM ledger.sessions WHERE until_at < %s OR seen_at < %s OR id = %s",
            (at, at - timedelta(seconds=idle_s), in_place_of),
        )
        await cur.execute(
            "INSERT INTO ledger.sessions VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (session.id, _digest(secret), consultant, era, at, at, session.until_at),
        )
    return session, secret


def is_ours(secret: str, hashes: Hashes) -> bool:
    """Whether this was ever the text of a cookie that we gave."""
    return hmac.compare_digest(secret.encode(), _marked(secret[:-MARK], hashes).encode())


def _marked(text: str, hashes: Hashes) -> str:
    mark = urlsafe_b64encode(hashes.hash_of("session", text))[:MARK]
    return text + mark.decode()


async def find(pool: AsyncConnectionPool[Any], secret: str, *, idle_s: int) -> Session | None:
    """None: there is none, or it is over. It was seen, then."""
    at = now()
    async with pool.connection() as conn, conn.cursor() as cur:
        await cur.execute(
            "SELECT id, consultant, era, seen_at, until_at FROM ledger.sessions"
            " WHERE digest = %s AND until_at > %s AND seen_at > %s",
            (_digest(secret), at, at - timedelta(seconds=idle_s)),
        )
        row = await cur.fetchone()
    if row is None:
        return None
    found = Session(*row)
    if at - found.seen_at > timedelta(seconds=min(SEEN_EVERY_S, idle_s * SEEN_OF_IDLE)):
        async with writing(pool) as cur:
            await cur.execute(
                "UPDATE ledger.sessions SET seen_at = greatest(seen_at, %s) WHERE id = %s",
                (at, found.id),
            )
    return found


async def end(pool: AsyncConnectionPool[Any], id: UUID, *, of: str | None = None) -> bool:
    """Whether there was one. ``of``: only if it is this consultant's."""
    async with writing(pool) as cur:
        await cur.execute(
            "DELETE FROM ledger.sessions WHERE id = %s AND (%s::text IS NULL OR consultant = %s)",
            (id, of, of),
        )
        return bool(cur.rowcount)


async def of(
    pool: AsyncConnectionPool[Any], consultant: str, era: int, *, idle_s: int
) -> list[Open]:
    """Those that open something; the one that was seen last first."""
    at = now()
    async with pool.connection() as conn, conn.cursor() as cur:
        await cur.execute(
            "SELECT id, began_at, seen_at, until_at FROM ledger.sessions"
            " WHERE consultant = %s AND era = %s AND until_at > %s AND seen_at > %s"
            " ORDER BY seen_at DESC, id",
            (consultant, era, at, at - timedelta(seconds=idle_s)),
        )
        return [Open(*row) for row in await cur.fetchall()]


def csrf_token(secret: str) -> str:
    """What whoever holds the session sends with each write, and no other site can know."""
    return hmac.digest(secret.encode(), b"csrf", "sha256").hex()


async def refused_until(pool: AsyncConnectionPool[Any], about: str, most: int) -> datetime | None:
    """Until when nobody is heard about this; None: they are."""
    async with pool.connection() as conn, conn.cursor() as cur:
        await cur.execute(
            "SELECT until_at FROM ledger.guesses"
            " WHERE about = %s AND failures >= %s AND until_at > %s",
            (_of(about), most, now()),
        )
        row: tuple[datetime] | None = await cur.fetchone()
    return row[0] if row else None


async def guessed(pool: AsyncConnectionPool[Any], *about: str, within_s: int) -> None:
    """Wrong, about each of these: counted for so long after the last time."""
    at = now()
    until = at + timedelta(seconds=within_s)
    async with writing(pool) as cur:
        await cur.execute("DELETE FROM ledger.guesses WHERE until_at <= %s", (at,))
        for each in sorted(map(_of, about)):  # or two would wait for each other
            await cur.execute(
                "INSERT INTO ledger.guesses VALUES (%s, 1, %s, %s) ON CONFLICT (about) DO UPDATE"
                " SET failures = guesses.failures + 1, until_at = excluded.until_at",
                (each, at, until),
            )


async def forgive(pool: AsyncConnectionPool[Any], about: str) -> None:
    async with writing(pool) as cur:
        await cur.execute("DELETE FROM ledger.guesses WHERE about = %s", (_of(about),))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _of(about: str) -> str:
    """What somebody typed may be anything, also a password in the wrong place."""
    return hashlib.sha256(about.encode()).hexdigest()
