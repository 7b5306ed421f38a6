"""A read model is built anew twenty times while others read and write: nobody is refused, nobody is
told what is old, and nobody waits much longer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import pytest

from journeys.test_read_your_writes import Writer
from running import ledger_crm, running
from waiting import until

pytestmark = pytest.mark.campaign

SWAPS, READERS, PAUSE_S = 20, 4, 0.04
MOST = 2.0  # times what 99 of 100 reads take while nothing is built


class Reader(Writer):
    """Writes a little, reads what it wrote and what is there, at a pace of its own."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.took: list[tuple[float, float]] = []  # when it was answered, in how many seconds

    async def read(self, path: str, position: int) -> Any:
        begun = time.perf_counter()
        answer = await self.api.get(f"{path}{'&' if '?' in path else '?'}after={position}")
        self.took.append((time.perf_counter(), time.perf_counter() - begun))
        assert answer.status_code == 200, (path, position, answer.text)
        self.told["stale"] += int(answer.headers.get("ledger-position", position)) < position
        return answer.json()

    async def stay(self, done: asyncio.Event) -> None:
        await self.person(0)
        for n in range(1_000_000):
            if done.is_set():
                return
            await (self.tag if n % 5 else self.person)(n)
            for path in (f"/people/{self.id}", "/people?limit=50", f"/people/{self.id}/history"):
                await self.read(path, 1)
            await asyncio.sleep(PAUSE_S)


def slow(took: list[tuple[float, float]], spans: list[tuple[float, float]]) -> float:
    """In ms, what 99 of 100 reads that were answered in these spans take at most."""
    return (
        1000
        * quantiles(
            [s for at, s in took if any(begin <= at <= end for begin, end in spans)], n=100
        )[98]
    )


def test_twenty_swaps_while_others_read_and_write(tmp_path: Path) -> None:
    told: Counter[str] = Counter()
    quiet, swapped, took = [], [], list[tuple[float, float]]()

    async def journey(url: str, key: str) -> None:
        done = asyncio.Event()

        async def swapping() -> None:
            await asyncio.sleep(3)
            for _ in range(SWAPS):
                begun = time.perf_counter()
                ran = await asyncio.to_thread(
                    ledger_crm, tmp_path, "projections", "rebuild", "people"
                )
                assert ran.returncode == 0, ran.stderr
                swapped.append((begun, time.perf_counter()))
                await asyncio.sleep(swapped[-1][1] - begun)  # so that there is as much of both
                quiet.append((swapped[-1][1], time.perf_counter()))
            done.set()

        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as api:
            readers = [Reader(api, told, n) for n in range(READERS)]
            await asyncio.gather(swapping(), *(reader.stay(done) for reader in readers))
        took.extend(each for reader in readers for each in reader.took)

    with running(tmp_path) as up:
        demo = ledger_crm(tmp_path, "demo", "--size", "0.1")
        assert demo.returncode == 0, demo.stderr
        with up.api() as crm:  # what was played is there, before anybody is timed
            until(lambda: crm.get("/health/ready").json()["status"] == "ready")
            head = {"after": crm.get("/health/ready").json()["head"]}
            until(lambda: crm.get("/people", params=head).is_success)
        asyncio.run(journey(up.url, up.key))
    before, meanwhile = slow(took, quiet), slow(took, swapped)
    each = [slow(took, [s]) / slow(took, [q]) for s, q in zip(swapped, quiet, strict=True)]
    print(f"{len(took)} reads, of 100 all but one within {before:.0f} ms, and {meanwhile:.0f} ms"
          f" while {SWAPS} read models were built in {sum(e - b for b, e in swapped):.0f} s;"
          f" ratio {meanwhile / before:.2f}, median of pairs {median(each):.2f}")  # fmt: skip
    assert told["stale"] == 0
    assert median(each) <= MOST
