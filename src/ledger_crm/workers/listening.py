"""Listening: told when entries are written, on a connection of its own, for as long as it takes.

A hint and no more: what is written while the connection is away goes unheard, so whoever is woken
here looks by itself too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg

AGAIN_S = 0.5


async def listen(url: str, wake: Callable[[], None]) -> None:
    """For ever; cancel it."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=2
            ) as conn:
                await conn.execute("LISTEN entries")
                wake()
                async for _ in conn.notifies():
                    wake()
        except psycopg.OperationalError:  # the database is away: nothing to be told
            await asyncio.sleep(AGAIN_S)
