"""Sharing out: work of which each of several processes does a part, and which ends as one.

Whoever is killed outright takes the others along (``leash``): nobody goes on with a part that
somebody else has begun anew.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool as BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from .leash import tie

J = TypeVar("J")
R = TypeVar("R")

TOLD_EVERY_S = 0.2

_told: Any = None  # in a process of ours: how far each part has got, and at the end: stop


def in_processes(
    work: Callable[[J], R],
    jobs: Sequence[J],
    began: Sequence[int],
    progress: Callable[[int], None],
) -> list[R]:
    """What each gives, in order; the first fault ends them all. ``began``: where each goes on;
    ``progress`` is told how far they are on the whole. Raises what ``work`` does, as far as it can
    be handed on; BrokenProcessPool: one of them died."""
    context = get_context("spawn")
    told = context.Array("q", [*began, 0])
    pool = ProcessPoolExecutor(len(jobs), context, initializer=_begin, initargs=(told, os.getpid()))
    try:
        asked = [pool.submit(work, job) for job in jobs]
        running = set(asked)
        while running:
            done, running = wait(running, timeout=TOLD_EVERY_S, return_when=FIRST_COMPLETED)
            progress(sum(told[:-1]) // len(jobs))
            for one in done:
                one.result()
        return [one.result() for one in asked]
    finally:
        told[-1] = 1
        pool.shutdown(cancel_futures=True)


def tell(number: int, at: int) -> bool:
    """By one of them, of its part: how far it is. Whether it is to go on."""
    _told[number] = at
    return not _told[-1]


def _begin(told: Any, owner: int) -> None:
    global _told
    _told = told
    tie(owner, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it, without a word
