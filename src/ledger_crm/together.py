"""Together: callers who wait at the same moment are answered by one call.

One thread asks; while it waits for the answer others queue, and all of them go into the next call.
So there is one round trip and one fsync at a time, whether one waits or a thousand, and nobody
needs a thread to wait in.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

AT_ONCE = 1_000  # questions in one call


class Full(Exception):
    """More is waiting than may, or than is answered in time. This question was not asked."""


class NoAnswer(Exception):
    """Nobody answered a call: whoever waited meanwhile is not kept waiting for the next one, and
    hears it too. A call may raise it."""


class _Asked(Generic[Q, A]):
    __slots__ = ("answer", "loop", "question", "since_s", "timer", "weight")

    def __init__(self, question: Q, weight: int) -> None:
        self.question, self.weight = question, weight
        self.since_s = 0.0  # in a call
        self.timer: asyncio.TimerHandle
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[A] = self.loop.create_future()


NOTHING: tuple[AbstractSet[Any], AbstractSet[Any]] = (frozenset(), frozenset())


class Together(Generic[Q, A]):
    """Asks ``call`` for many, which answers each in its place, or with an exception there. What
    ``call`` raises instead, everybody of that call gets.

    weigh     how much a question weighs
    at_once   weight of one call, if it is not a single question that is heavier
    most      weight that may wait, in and before a call; more is refused with Full
    apart     what a question changes, and what it looks at: one that changes something does not
              go into the same call as another that changes it or looks at it
    queue_s   whoever is in no call by then hears Full
    answer_s  whose call has not answered by then hears NoAnswer, and the call may still come to
              something
    """

    def __init__(
        self,
        name: str,
        call: Callable[[Sequence[Q]], Sequence[A | Exception]],
        *,
        weigh: Callable[[Q], int],
        at_once: int,
        most: int,
        queue_s: float,
        answer_s: float,
        apart: Callable[[Q], tuple[AbstractSet[Any], AbstractSet[Any]]] = lambda _: NOTHING,
    ) -> None:
        self.name, self.call, self.weigh, self.apart = name, call, weigh, apart
        self.at_once, self.most = at_once, most
        self.queue_s, self.answer_s = queue_s, answer_s
        self._waiting: dict[_Asked[Q, A], None] = {}  # in order
        self._weight = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def is_busy(self) -> bool:
        """Somebody waits for an answer."""
        return self._weight > 0

    async def ask(self, question: Q) -> A:
        """Raises Full, NoAnswer, and what the answer is if that is an exception."""
        asked: _Asked[Q, A] = _Asked(question, self.weigh(question))
        with self._changed:
            if self._closed:
                raise RuntimeError(f"{self.name} is closed")
            if self._weight and self._weight + asked.weight > self.most:
                raise Full()
            self._weight += asked.weight
            self._waiting[asked] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
                self._thread.start()
            self._changed.notify()
        asked.timer = asked.loop.call_later(self.queue_s, self._late, asked)
        try:
            return await asked.answer
        except asyncio.CancelledError:
            with self._changed:
                self._leave([asked])
            raise
        finally:
            asked.timer.cancel()

    def close(self) -> None:
        """After everybody who waits has their answer."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread:
            self._thread.join()

    def _serve(self) -> None:
        while batch := self._next():
            told: list[tuple[_Asked[Q, A], A | Exception]]
            try:
                answers = self.call([asked.question for asked in batch])
                told = [*zip(batch, answers, strict=True)]
                del answers
            except Exception as fault:
                told = [(asked, fault) for asked in batch]
                if isinstance(fault, NoAnswer):
                    with self._changed:
                        self._tell((asked, fault) for asked in self._leave([*self._waiting]))
            with self._changed:
                self._weight -= sum(asked.weight for asked in batch)
            self._tell(told)
            del batch, told  # what they hold is not kept until somebody asks again

    def _next(self) -> list[_Asked[Q, A]]:
        """Empty: closed, and nobody waits. In order, but for those who have to stay apart; they
        keep their place, and whoever wants the same stays behind them."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            batch: list[_Asked[Q, A]] = []
            changed, seen = set[Any](), set[Any]()
            weight, now_s = 0, monotonic()
            for asked in islice(self._waiting, AT_ONCE):
                if batch and weight + asked.weight > self.at_once:
                    break
                changes, sees = self.apart(asked.question)
                if changed.isdisjoint(changes | sees) and seen.isdisjoint(changes):
                    weight += asked.weight
                    asked.since_s = now_s
                    batch.append(asked)
                changed |= changes
                seen |= sees
            for asked in batch:
                del self._waiting[asked]
            return batch

    def _late(self, asked: _Asked[Q, A]) -> None:
        with self._changed:
            if self._leave([asked]):
                self._tell([(asked, Full())])
            elif not asked.since_s:
                return  # it is told already
            elif (left_s := asked.since_s + self.answer_s - monotonic()) > 0:
                asked.timer = asked.loop.call_later(left_s, self._late, asked)
            else:
                told = [asked, *self._leave([*self._waiting])]
                self._tell((one, NoAnswer()) for one in told)

    def _leave(self, going: Iterable[_Asked[Q, A]]) -> list[_Asked[Q, A]]:
        """Those of them who were in no call yet."""
        left = [asked for asked in going if asked in self._waiting]
        for asked in left:
            del self._waiting[asked]
            self._weight -= asked.weight
        return left

    def _tell(self, answered: Iterable[tuple[_Asked[Q, A], A | Exception]]) -> None:
        told: dict[asyncio.AbstractEventLoop, list[tuple[_Asked[Q, A], A | Exception]]] = {}
        for asked, answer in answered:
            told.setdefault(asked.loop, []).append((asked, answer))
        for loop, theirs in told.items():
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_settle, theirs)


def _settle(answered: Iterable[tuple[_Asked[Q, A], A | Exception]]) -> None:
    for asked, answer in answered:
        if asked.answer.done():  # who asked has given up, or was told
            continue
        if isinstance(answer, Exception):
            asked.answer.set_exception(answer)
        else:
            asked.answer.set_result(answer)
