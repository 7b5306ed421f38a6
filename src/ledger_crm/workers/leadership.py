"""Leadership by advisory lock: of many relays one works, the others stand by.

The lock is a database session's: a leader that dies is succeeded as soon as the server notices.
It saves work and guards nothing: what a second leader would do is fenced off where it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from ledger_crm.ending import ended

POLL_S = 0.25
AGAIN_S = 1.0  # who is interrupted may not hear it the first time, as ``ended`` says


@asynccontextmanager
async def leadership(url: str, name: str, wake: asyncio.Event) -> AsyncIterator[None]:
    """Waits to lead, then holds on; sets ``wake`` when entries are written.

    Raises psycopg.OperationalError if the database is away, also while it is held: then somebody
    else may lead, so what is done under it is interrupted, and begins again.
    """
    led_by, loop, interrupted = asyncio.current_task(), asyncio.get_running_loop(), 0
    again: asyncio.TimerHandle | None = None
    assert led_by is not None
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        query = "SELECT pg_try_advisory_lock(hashtext('ledger_crm leader'), hashtext(%s))"
        while True:
            [[led]] = await (await conn.execute(query, (name,))).fetchall()
            if led:
                break
            await asyncio.sleep(POLL_S)
        await conn.execute("LISTEN entries")
        listening = asyncio.create_task(_listen(conn, wake))

        def lost(_: object = None) -> None:
            nonlocal interrupted, again
            interrupted += 1
            led_by.cancel()
            again = loop.call_later(AGAIN_S, lost)

        listening.add_done_callback(lost)
        try:
            yield
        except asyncio.CancelledError:
            if interrupted and not [led_by.uncancel() for _ in range(interrupted)][-1]:
                raise psycopg.OperationalError("the session that led has ended") from None
            raise
        finally:
            listening.remove_done_callback(lost)
            if again:
                again.cancel()
            await ended(listening)


async def _listen(conn: psycopg.AsyncConnection[tuple[object, ...]], wake: asyncio.Event) -> None:
    async for _ in conn.notifies():
        wake.set()
