"""Who is to end ends, also who does not hear it the first time."""

from __future__ import annotations

import asyncio
import gc

import pytest

from ledger_crm.ending import ended
from waiting import PATIENCE_S

pytestmark = pytest.mark.anyio


async def deaf(times: int) -> None:
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def begun(*times: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(deaf(each)) for each in times]
    await asyncio.sleep(0)
    return tasks


async def test_a_cancellation_that_is_swallowed_is_said_again() -> None:
    tasks = await begun(0, 1, 3)
    async with asyncio.timeout(PATIENCE_S):
        await ended(*tasks, patience_s=0.01)
    assert all(task.cancelled() for task in tasks)
    await ended()
    await ended(*tasks)


async def test_who_is_ended_meanwhile_ends_first_whom_it_was_ending() -> None:
    """Else nobody would be left to end them."""
    tasks = await begun(5)
    ending = asyncio.create_task(ended(*tasks, patience_s=0.01))
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        await ended(ending)
    assert ending.cancelled()
    assert tasks[0].cancelled()


async def test_what_has_ended_keeps_what_came_of_it() -> None:
    async def one() -> int:
        return 1

    task = asyncio.create_task(one())
    await asyncio.wait([task])
    await ended(task)
    assert task.result() == 1


async def test_a_fault_that_nobody_looks_at_is_not_printed() -> None:
    async def broken() -> None:
        raise OSError

    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    task = asyncio.create_task(broken())
    await asyncio.wait([task])
    await ended(task)
    del task
    gc.collect()
    assert said == []
