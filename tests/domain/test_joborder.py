"""What may happen to a job order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from builders import (
    LATER,
    ORDER,
    added,
    opening_vacated,
    order_cancelled,
    order_changed,
    order_covered,
    order_filled,
    order_held,
    order_lost,
    order_opened,
    order_reopened,
    order_staffed,
    some_filled,
)
from domain.test_machines import Machine
from ledger_crm.domain.company import Company
from ledger_crm.domain.fee import Share, SharesIncomplete
from ledger_crm.domain.joborder import (
    FewerThanFound,
    JobOrderIsClosed,
    MoreThanAskedFor,
    NobodyFound,
    NoSuchJobOrder,
    NothingToReopen,
    ReasonNeeded,
    WrongWayRound,
)
from scenario import ANA, COMPANY, folded, given

OTHER = UUID(int=0x0E)
STEPS = [
    order_changed(),
    order_staffed(),
    order_held(),
    order_covered(),
    some_filled(),
    order_filled(),
    order_lost(),
    order_cancelled(),
    order_reopened(),
    opening_vacated(),
]


def step(fact: Any) -> Callable[[Any], object]:
    return lambda c: c.step(fact, by=ANA)


def after(*history: Any, openings: int = 3) -> Any:
    return given(Company, added(), order_opened(openings=openings), *history)


@pytest.mark.parametrize("fact", STEPS[:-2])
def test_anything_but_reopening_happens_to_an_open_order(fact: Any) -> None:
    after().when(step(fact)).then(fact)
    given(Company, added()).when(step(fact)).then_refused(NoSuchJobOrder, job_order_id=ORDER)


def test_an_order_on_hold_waits_until_it_is_reopened_lost_or_cancelled() -> None:
    for fact in (order_changed(), order_staffed(), order_lost(), order_cancelled()):
        after(order_held()).when(step(fact)).then(fact)
    for fact in (order_held(), order_covered(), some_filled(), order_filled()):
        after(order_held()).when(step(fact)).then_refused(JobOrderIsClosed, standing="on_hold")


def test_a_covered_order_goes_on_with_whom_it_has() -> None:
    for fact in (some_filled(), order_filled(), order_held(), order_lost()):
        after(order_covered()).when(step(fact)).then(fact)
    after(order_covered()).when(lambda c: c.open_order(ORDER)).then_refused(JobOrderIsClosed)
    assert folded(Company, added(), order_opened(), order_covered()).order_in_work(ORDER)


@pytest.mark.parametrize("end", [order_filled(), order_lost(), order_cancelled()])
def test_what_is_over_is_only_staffed_or_reopened(end: Any) -> None:
    for fact in STEPS:
        if fact in (order_staffed(), order_reopened()) or (
            (end, fact) == (order_filled(), opening_vacated())
        ):
            after(end).when(step(fact)).then(fact)
        else:
            after(end).when(step(fact)).then_refused(JobOrderIsClosed)


def test_an_open_order_is_not_reopened() -> None:
    after().when(step(order_reopened())).then_refused(NothingToReopen)


def test_each_opening_is_filled_by_itself_and_the_last_one_fills_the_order() -> None:
    after().when(step(some_filled(openings=2))).then(some_filled(openings=2))
    after(some_filled(openings=2)).when(step(some_filled())).then(order_filled())
    after(some_filled(openings=2)).when(step(some_filled(openings=2))).then_refused(
        MoreThanAskedFor, left=1
    )
    after(openings=1).when(step(some_filled())).then(order_filled())


def test_an_opening_is_free_again_as_often_as_somebody_was_found() -> None:
    after().when(step(opening_vacated())).then_refused(NobodyFound)
    once = [some_filled(), opening_vacated()]
    after(*once).when(step(opening_vacated())).then_refused(NobodyFound)
    after(*once, openings=1).when(step(some_filled())).then(order_filled())
    for state, standing in ((order_held(), "on_hold"), (order_covered(), "covered")):
        order = folded(Company, added(), order_opened(openings=3), some_filled(), state,
                       opening_vacated()).job_order(ORDER)  # fmt: skip
        assert (order.status, order.found) == (standing, 0)


def test_a_filled_order_is_open_again_when_somebody_is_gone() -> None:
    history = [order_filled(), opening_vacated()]
    after(*history).when(step(some_filled())).then(order_filled())
    after(*history).when(step(some_filled(openings=2))).then_refused(MoreThanAskedFor, left=1)


@pytest.mark.parametrize("history", [[], [some_filled(), order_lost()], [order_cancelled()]])
def test_who_is_gone_leaves_nothing_free_where_nobody_looks_any_more(history: list[Any]) -> None:
    vacate = lambda c: c.vacate(ORDER, OTHER, at=LATER, by=ANA)  # noqa: E731
    after(*history).when(vacate).then_nothing()
    after(some_filled()).when(vacate).then(opening_vacated(candidacy_id=OTHER))


def test_only_who_replaces_somebody_whose_opening_is_free_takes_one() -> None:
    free = opening_vacated(candidacy_id=OTHER)
    for history, has_place in (
        ([some_filled()], False),
        ([some_filled(), opening_vacated()], False),
        ([some_filled(), free], True),
        ([some_filled(), free, order_held()], False),
        ([some_filled(), free, order_filled()], False),
    ):
        order = folded(Company, added(), order_opened(openings=2), *history).job_order(ORDER)
        assert order.has_place_for(OTHER) == has_place


def test_openings_are_not_changed_to_what_is_found_already() -> None:
    for openings in (1, 2):
        after(some_filled(openings=2)).when(step(order_changed(openings=openings))).then_refused(
            FewerThanFound, found=2
        )
    three = order_changed(openings=5)
    after(some_filled(openings=2), three).when(step(some_filled(openings=3))).then(order_filled())


@pytest.mark.parametrize(
    ("history", "left"),
    [
        ([order_filled()], 1),
        ([some_filled(openings=2), order_held()], 1),
        ([order_held()], 3),
        ([some_filled(openings=1), order_lost()], 2),
    ],
)
def test_reopened_it_looks_for_those_who_were_not_found(history: list[Any], left: int) -> None:
    again = order_reopened(openings=None)
    after(*history).when(step(again)).then(order_reopened(openings=left))


def test_a_change_of_nothing_is_nothing() -> None:
    nothing = order_changed(title=None)
    after().when(step(nothing)).then_nothing()


def test_a_change_leaves_the_salary_the_right_way_round() -> None:
    low, high = order_changed(salary_from_cents=5), order_changed(salary_to_cents=3)
    after(low).when(step(high)).then_refused(WrongWayRound)
    after(high).when(step(low)).then_refused(WrongWayRound)
    after(low).when(step(order_changed(salary_to_cents=5))).then(order_changed(salary_to_cents=5))


@pytest.mark.parametrize("fact", [order_held, order_lost, order_cancelled])
def test_it_is_not_held_lost_or_cancelled_without_a_reason(fact: Any) -> None:
    after().when(step(fact(reason=""))).then_refused(ReasonNeeded)


@pytest.mark.parametrize("shares", [[10_000, 1], [9_999], [5_000, 5_000, 5_000]])
def test_shares_in_the_commission_sum_to_the_whole(shares: list[int]) -> None:
    split = tuple(
        Share(consultant=f"consultant:c{n}", share_bp=share) for n, share in enumerate(shares)
    )
    after().when(step(order_staffed(shares=split))).then_refused(SharesIncomplete)


def test_nobody_has_two_shares() -> None:
    split = (Share(consultant="consultant:ana", share_bp=5_000),) * 2
    after().when(step(order_staffed(shares=split))).then_refused(SharesIncomplete)


def test_a_line_says_what_changed() -> None:
    assert order_changed(openings=2).line == "job order changed: title, openings"


class JobOrderMachine(Machine):
    """One order of a few openings. Looks for a count of openings that facts do not give back."""

    def __init__(self) -> None:
        super().__init__()
        company = Company.add(added(), by=ANA, id=COMPANY)
        company.open_job_order(order_opened(openings=3), by=ANA)
        self.begin(company)
        self.status, self.openings, self.found = "open", 3, 0

    @rule(some=st.integers(1, 4))
    def fill(self, some: int) -> None:
        if facts := self.says(
            step(some_filled(openings=some)),
            allowed=self.status in ("open", "covered") and some <= self.openings - self.found,
        ):
            self.found += some
            filled = self.found == self.openings
            assert facts == [order_filled() if filled else some_filled(openings=some)]
            self.status = "filled" if filled else self.status

    @rule(openings=st.integers(1, 5))
    def change(self, openings: int) -> None:
        if self.says(
            step(order_changed(openings=openings)),
            allowed=self.status in ("open", "covered", "on_hold") and openings > self.found,
        ):
            self.openings = openings

    @rule(to=st.sampled_from(["on_hold", "covered", "lost", "cancelled"]))
    def stop(self, to: str) -> None:
        fact = {
            "on_hold": order_held(),
            "covered": order_covered(),
            "lost": order_lost(),
            "cancelled": order_cancelled(),
        }[to]
        may = {"covered": ("open",), "on_hold": ("open", "covered")}
        if self.says(
            step(fact), allowed=self.status in may.get(to, ("open", "covered", "on_hold"))
        ):
            self.status = to

    @rule(openings=st.none() | st.integers(1, 3))
    def reopen(self, openings: int | None) -> None:
        if self.says(
            step(order_reopened(openings=openings)), allowed=self.status != "open"
        ):  # fmt: skip
            left = openings or max(self.openings - self.found, 1)
            self.status, self.openings = "open", self.found + left

    @rule()
    def vacate(self) -> None:
        if self.says(
            step(opening_vacated()),
            allowed=self.found > 0 and self.status not in ("lost", "cancelled"),
        ):
            self.found -= 1
            self.status = "open" if self.status == "filled" else self.status

    @invariant()
    def what_it_decides_on_is_what_we_know(self) -> None:
        order = self.aggregate.job_orders[UUID(int=1)]
        assert (order.status, order.openings, order.found) == (
            self.status, self.openings, self.found,
        )  # fmt: skip
        assert 0 <= order.found <= order.openings
        assert (order.found == order.openings) <= (order.status == "filled")


TestJobOrder = JobOrderMachine.TestCase
TestJobOrder.settings = settings(max_examples=50, stateful_step_count=30)
