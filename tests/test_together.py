"""Who waits at the same moment shares a call; nobody is lost or told what another asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from ledger_crm.together import Full, NoAnswer, Together
from waiting import PATIENCE_S

pytestmark = pytest.mark.anyio


class Doubling:
    """Doubles numbers, a call at a time and only when ``let``; keeps what it was asked at once."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.entered, self.let = threading.Event(), threading.Event()
        self.let.set()

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.calls.append(list(numbers))
        self.entered.set()
        assert self.let.wait(PATIENCE_S)
        if 98 in numbers:
            raise NoAnswer
        if 99 in numbers:
            raise ArithmeticError
        if 97 in numbers:
            return []
        return [ValueError(n) if n < 0 else 2 * n for n in numbers]

    async def busy(self, together: Together[int, int]) -> asyncio.Task[int]:
        """With a call that is under way until ``let``."""
        self.let.clear()
        first = asyncio.create_task(together.ask(0))
        await asyncio.to_thread(self.entered.wait, 10)
        return first


@pytest.fixture
def doubling() -> Doubling:
    return Doubling()


@pytest.fixture
def make(doubling: Doubling) -> Iterator[Callable[..., Together[int, int]]]:
    made: list[Together[int, int]] = []

    def make(**rest: object) -> Together[int, int]:
        limits = {
            "weigh": lambda _: 1, "at_once": 100, "most": 100, "queue_s": 10.0, "answer_s": 10.0
        }  # fmt: skip
        made.append(Together("double", doubling, **limits | rest))  # type: ignore[arg-type]
        return made[-1]

    yield make
    doubling.let.set()
    for together in made:
        together.close()


async def asked(together: Together[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(together.ask(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_who_waits_meanwhile_shares_the_next_call(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make()
    first = await doubling.busy(together)
    others = await asked(together, *range(1, 33))
    doubling.let.set()
    assert await asyncio.gather(first, *others) == [2 * n for n in range(33)]
    assert doubling.calls == [[0], list(range(1, 33))]


async def test_an_exception_in_its_place_is_for_one(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make()
    first = await doubling.busy(together)
    others = await asked(together, 1, -2, 3)
    doubling.let.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, int, ValueError, int]
    assert answers[3] == 6


async def test_a_call_that_fails_does_not_stop_the_next_one(
    make: Callable[..., Together[int, int]],
) -> None:
    together = make()
    with pytest.raises(ArithmeticError):
        await together.ask(99)
    assert await together.ask(4) == 8


async def test_a_call_with_too_few_answers_is_told_to_all_and_does_not_stop_the_next_one(
    make: Callable[..., Together[int, int]],
) -> None:
    together = make()
    with pytest.raises(ValueError, match="shorter"):
        await together.ask(97)
    assert await together.ask(1) == 2


async def test_who_waits_while_nobody_answers_is_not_kept_for_the_next_call(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make(apart=lambda _: ({"same"}, set()))
    doubling.let.clear()
    waiting = await asked(together, 98, 1, 2)
    doubling.let.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [NoAnswer] * 3
    assert doubling.calls == [[98]]
    assert await together.ask(4) == 8


async def test_those_who_want_the_same_go_one_after_the_other_and_in_order(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    """And they hold up nobody who wants something else."""
    together = make(apart=lambda n: ({n % 10}, set()))
    first = await doubling.busy(together)
    others = await asked(together, 1, 11, 2, 21, 3)
    doubling.let.set()
    await asyncio.gather(first, *others)
    assert doubling.calls == [[0], [1, 2, 3], [11], [21]]


async def test_who_waits_for_another_is_not_overtaken_by_a_third(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    wants = {0: "", 1: "a", 2: "ab", 3: "b"}
    together = make(apart=lambda n: (set(wants[n]), set()))
    first = await doubling.busy(together)
    others = await asked(together, 1, 2, 3)
    doubling.let.set()
    await asyncio.gather(first, *others)
    assert doubling.calls == [[0], [1], [2], [3]]


async def test_those_who_only_look_at_the_same_go_together(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    """But not with one who changes it, and nobody who comes later is told before that one."""
    together = make(apart=lambda n: ({"it"} if n == 3 else set(), {"it"}))
    first = await doubling.busy(together)
    others = await asked(together, 1, 2, 3, 4, 5)
    doubling.let.set()
    await asyncio.gather(first, *others)
    assert doubling.calls == [[0], [1, 2], [3], [4, 5]]


async def test_a_call_has_a_weight_and_one_that_is_heavier_goes_alone(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make(weigh=lambda n: n or 1, at_once=10)
    first = await doubling.busy(together)
    others = await asked(together, 4, 5, 6, 20, 1)
    doubling.let.set()
    await asyncio.gather(first, *others)
    assert doubling.calls == [[0], [4, 5], [6], [20], [1]]


async def test_who_comes_when_too_much_waits_is_sent_away_at_once(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make(most=3)
    first = await doubling.busy(together)
    others = await asked(together, 1, 2)
    with pytest.raises(Full):
        await together.ask(3)
    doubling.let.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4]
    assert await together.ask(3) == 6


async def test_who_waits_too_long_for_a_call_was_not_asked(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make(queue_s=0.05, most=3)
    first = await doubling.busy(together)
    for _ in range(3):  # they leave their places to others
        late = await asked(together, 1, 2)
        assert len(together._waiting) == 2
        answers = await asyncio.gather(*late, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Full, Full]
    doubling.let.set()
    assert await first == 0
    assert doubling.calls == [[0]]


async def test_whose_call_never_answers_is_told_and_with_them_who_waits(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    """Not for ever: when the call ends, the next is asked."""
    together = make(queue_s=0.2, answer_s=0.3)
    first = await doubling.busy(together)
    await asyncio.sleep(0.2)
    others = await asked(together, 1, 2)
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(answer) for answer in answers] == [NoAnswer] * 3
    doubling.let.set()
    assert await together.ask(4) == 8
    assert doubling.calls == [[0], [4]]


async def test_who_gives_up_takes_nobody_along(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make()
    first = await doubling.busy(together)
    gone, stays = await asked(together, 1, 2)
    gone.cancel()
    await asyncio.sleep(0)
    doubling.let.set()
    assert await asyncio.gather(first, stays) == [0, 4]
    assert doubling.calls == [[0], [2]], "nobody asks what nobody wants to know"


async def test_closing_waits_until_everybody_has_an_answer(
    make: Callable[..., Together[int, int]], doubling: Doubling
) -> None:
    together = make()
    first = await doubling.busy(together)
    others = await asked(together, 1, 2)
    closing = asyncio.create_task(asyncio.to_thread(together.close))
    doubling.let.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4]
    await closing
    with pytest.raises(RuntimeError, match="double is closed"):
        await together.ask(1)


def test_one_event_loop_after_another(make: Callable[..., Together[int, int]]) -> None:
    """As commands do, which run a loop for each thing they wait for."""
    together = make()
    assert [asyncio.run(together.ask(n)) for n in range(3)] == [0, 2, 4]
