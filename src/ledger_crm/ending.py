"""Ending tasks, also those that do not hear it the first time."""

from __future__ import annotations

import asyncio
from typing import Any


async def ended(*tasks: asyncio.Task[Any], patience_s: float = 0.5) -> None:
    """Cancels them until they are over: ``asyncio.wait_for`` of Python 3.11, as psycopg, its pool
    and nats-py use it, swallows a cancellation that meets the answer, and whoever had cancelled
    once then waited for ever. What came of them is for the caller to look at. Cancelled itself it
    ends them first, for they would go on with nobody to end them.

    patience_s  for what they give back, before they are cancelled again
    """
    cancelled: asyncio.CancelledError | None = None
    left = tasks
    while left:
        for task in left:  # also one that is over: or asyncio would print its fault as news
            task.cancel()
        try:
            await asyncio.wait(left, timeout=patience_s)
        except asyncio.CancelledError as again:
            cancelled = again
        left = tuple(task for task in left if not task.done())
    if cancelled:
        raise cancelled
