"""Waiting on a condition. The bound is for what hangs, on a machine however slow and busy; how long
things take is measured in benchmarks/."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE_S = 120.0


def until(condition: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """What ``condition`` gives once it is true."""
    ends_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < ends_s, f"not within {within_s} s"
        time.sleep(0.01)
    return found


async def eventually(
    condition: Callable[[], Any | Awaitable[Any]], within_s: float = PATIENCE_S
) -> Any:
    """As ``until``, while others go on."""
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if found := await found if isinstance(found, Awaitable) else found:
                return found
            await asyncio.sleep(0.01)
