"""Live: every read model kept level by a process of its own, while commands come at a steady pace;
how long after its answer each command is seen."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import Any

import psycopg

from ledger_crm.workers.projector import connect

A_SECOND = 100  # commands
START_S = 60.0
LATEST_S = 10.0
LOOK_S = 0.001

POSITION = "SELECT coalesce(min(position), 0) FROM projection_position WHERE name = ANY(%s)"
SEEN_IN = ["people", "history"]  # what a consultant looks at after a command


@contextmanager
def projecting(url: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live", url], stderr=subprocess.DEVNULL
    ) as projector:
        try:
            yield
        finally:
            projector.terminate()


class Watch:
    """When which position was seen first, by a thread that looks all the time."""

    def __init__(self, url: str) -> None:
        self.seen: list[tuple[int, float]] = [(0, 0.0)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(url,))

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def until(self, position: int, within_s: float) -> None:
        until_s = perf_counter() + within_s
        while self.seen[-1][0] < position:
            assert perf_counter() < until_s, f"not at {position} within {within_s} s"
            sleep(LOOK_S)

    def lags(self, answered: Sequence[tuple[int, float]]) -> list[float]:
        """In seconds. ``answered``: positions in order, and when each was acknowledged."""
        seen, found = iter(self.seen), []
        at, when = next(seen)
        for position, since in answered:
            while at < position:
                at, when = next(seen)
            found.append(max(when - since, 0.0))
        return found

    def _look(self, url: str) -> None:
        with connect(url) as conn:
            while not self._stopped.wait(LOOK_S):
                try:
                    [[position]] = conn.execute(POSITION, (SEEN_IN,)).fetchall()
                except psycopg.errors.UndefinedTable:
                    continue
                if position > self.seen[-1][0]:
                    self.seen.append((position, perf_counter()))


async def commanded(command: Callable[[int], Any], seconds: int) -> list[tuple[int, float]]:
    """At their pace, whether or not the one before is answered."""
    began = perf_counter()

    async def one(n: int) -> tuple[int, float]:
        await asyncio.sleep(max(began + n / A_SECOND - perf_counter(), 0))
        receipt = await command(n)
        return receipt.position, perf_counter()

    return sorted(await asyncio.gather(*(one(n) for n in range(seconds * A_SECOND))))


def _project(url: str) -> None:
    from ledger_crm import cli
    from ledger_crm.cli.logs import log_as_json
    from ledger_crm.ledger import Ledger
    from ledger_crm.projections import every
    from ledger_crm.workers.projector import Projector

    from .house import KEYRING

    log_as_json("info")
    gc.set_threshold(*cli.COLLECT)  # as the program does
    with Ledger(url, KEYRING) as ledger:
        Projector(
            url, lambda after, limit: ledger.store.entries(after=after, limit=limit), every()
        ).run()


if __name__ == "__main__":
    _project(sys.argv[1])
