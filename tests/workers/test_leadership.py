"""Who leads, and what becomes of the work when the session that leads has ended."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import psycopg
import pytest

from ledger_crm.workers.leadership import leadership
from waiting import PATIENCE_S

pytestmark = pytest.mark.anyio
ENDED = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid IN (SELECT pid FROM pg_locks
    WHERE locktype = 'advisory')"""


async def lead(database: str, leads: asyncio.Event, until: asyncio.Event) -> None:
    async with leadership(database, "relay", asyncio.Event()):
        leads.set()
        await until.wait()


async def test_work_is_interrupted_when_the_session_that_leads_has_ended(
    database: str, owner_database: str
) -> None:
    """Else two would lead, and each would think that it alone does."""
    leads, never = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S):
        leading = asyncio.create_task(lead(database, leads, never))
        await leads.wait()
        with psycopg.connect(owner_database) as owner:
            owner.execute(ENDED)
        with pytest.raises(psycopg.OperationalError):
            await leading


async def test_who_does_not_hear_that_it_leads_no_more_is_told_again(
    database: str, owner_database: str
) -> None:
    leads, swallowed = asyncio.Event(), False

    async def deaf() -> None:
        nonlocal swallowed
        async with leadership(database, "relay", asyncio.Event()):
            leads.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            swallowed = True
            await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE_S):
        leading = asyncio.create_task(deaf())
        await leads.wait()
        with psycopg.connect(owner_database) as owner:
            owner.execute(ENDED)
        with pytest.raises(psycopg.OperationalError):
            await leading
    assert swallowed


async def test_one_leads_and_the_other_after_it(database: str) -> None:
    one, two, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        await stack.enter_async_context(leadership(database, "relay", asyncio.Event()))
        one.set()
        waiting = asyncio.create_task(lead(database, two, stop))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await two.wait()
        await stack.aclose()
        await two.wait()
        stop.set()
        await waiting


async def test_who_is_told_to_stop_is_not_told_that_it_lost(database: str) -> None:
    leads, never = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S):
        leading = asyncio.create_task(lead(database, leads, never))
        await leads.wait()
        leading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leading
