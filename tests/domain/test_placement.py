"""What becomes of a placement, and who may be placed at all."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from builders import (
    AGREEMENT,
    CANDIDACY,
    ORDER,
    backdoor,
    employed,
    fee_agreed,
    fell_through,
    guarantee_ended,
    introduced,
    opened,
    placed,
    represented,
    sourced,
    split,
    started,
    talent,
)
from ledger_crm.domain.candidate import candidacy_id
from ledger_crm.domain.clock import stopped_at
from ledger_crm.domain.entry import Actor, NotYet
from ledger_crm.domain.fee import Rung, Share, SharesIncomplete
from ledger_crm.domain.permission import NotAConsultant
from ledger_crm.domain.person import Person
from ledger_crm.domain.placement import (
    GuaranteeIsOver,
    GuaranteeRuns,
    HasFallenThrough,
    HasStarted,
    LeftBeforeStart,
    NotPlaced,
    NotStarted,
    PlacedAtOnce,
)
from scenario import ANA, COMPANY, LATER, NOON, PERSON, given

FIRST_DAY = LATER.date()
ELSEWHERE = UUID(int=2)
OTHER = candidacy_id(PERSON, ELSEWHERE)
BOLT = UUID(int=0xC2)
LADDER = (Rung(until_day=45, rebate_bp=5_000), Rung(until_day=90, rebate_bp=2_500))
ON_PROBATION = fee_agreed(guarantee_days=90, ladder=LADDER)
REPLACED = fee_agreed(guarantee_days=90)

AT_CLIENT = [sourced(), opened(), represented(), introduced()]
ELSEWHERE_TOO = [
    fact(candidacy_id=OTHER, job_order_id=ELSEWHERE, company_id=BOLT)  # type: ignore[operator]
    for fact in (opened, represented, introduced)
]
PLACED = [*AT_CLIENT, placed()]


def place(starts_on: date = FIRST_DAY, by: Actor = ANA, **changes: Any) -> Any:
    return lambda p: p.place(
        OTHER, talent(), at=NOON, starts_on=starts_on, first_year_pay_cents=8_000_000,
        fee_cents=2_000_000, currency="EUR", by=by, **changes,
    )  # fmt: skip


def placed_there(**changes: Any) -> Any:
    where = {"candidacy_id": OTHER, "job_order_id": ELSEWHERE, "company_id": BOLT}
    return placed(**where | changes)


def start(on: date = FIRST_DAY, terms: Any = ON_PROBATION) -> Any:
    return lambda p: p.start(CANDIDACY, terms=terms, starts_on=on, by=ANA)


def fall(left_on: date, terms: Any = ON_PROBATION, **changes: Any) -> Any:
    return lambda p: p.fall_through(
        CANDIDACY, terms=terms, left_on=left_on, by=ANA,
        **{"reason": "counter_offer", "decided_by": "candidate"} | changes,
    )  # fmt: skip


def end(p: Person) -> None:
    p.end_guarantee(CANDIDACY, by=ANA)


def on_day(day: int) -> date:
    return FIRST_DAY + timedelta(days=day - 1)


# twice at once


@pytest.mark.parametrize("days", [0, 1, 364, -364])
def test_nobody_is_placed_full_time_in_two_jobs_at_once(days: int) -> None:
    on = FIRST_DAY + timedelta(days=days)
    given(Person, *PLACED, *ELSEWHERE_TOO).when(place(on)).then_refused(
        PlacedAtOnce, candidacy_id=CANDIDACY, starts_on=FIRST_DAY
    )


@pytest.mark.parametrize(
    ("history", "starts_on"),
    [
        ([placed()], FIRST_DAY + timedelta(days=365)),  # the first year is over
        ([placed(full_time=False)], FIRST_DAY),
        ([placed(), fell_through()], FIRST_DAY),
        ([placed(), started(), employed(ends_on=on_day(30))], on_day(31)),
    ],
)
def test_whoever_is_free_by_then_is_placed(history: list[Any], starts_on: date) -> None:
    given(Person, *AT_CLIENT, *history, *ELSEWHERE_TOO).when(place(starts_on)).then(
        placed_there(starts_on=starts_on)
    )


def test_who_left_only_after_the_next_start_is_not_free() -> None:
    given(Person, *PLACED, employed(ends_on=on_day(30)), *ELSEWHERE_TOO).when(
        place(on_day(30))
    ).then_refused(PlacedAtOnce)


def test_a_part_time_job_is_beside_any_other() -> None:
    given(Person, *PLACED, *ELSEWHERE_TOO).when(place(full_time=False)).then(
        placed_there(full_time=False)
    )


def test_a_named_consultant_may_say_why_all_the_same() -> None:
    given(Person, *PLACED, *ELSEWHERE_TOO).when(place(override="Two halves")).then(
        placed_there(override="Two halves")
    )
    given(Person, *PLACED, *ELSEWHERE_TOO).when(place(override=" ")).then_refused(PlacedAtOnce)
    given(Person, *PLACED, *ELSEWHERE_TOO).when(
        place(by=Actor("system:import"), override="x")
    ).then_refused(NotAConsultant)


# start, fall-through, guarantee


def test_they_start_and_the_guarantee_runs() -> None:
    given(Person, *PLACED).when(start()).then(started(guarantee_until_on=on_day(90)))
    given(Person, *PLACED).when(start(terms=fee_agreed())).then(started())
    given(Person, *PLACED).when(start(on_day(8))).then(
        started(starts_on=on_day(8), guarantee_until_on=on_day(97))
    )


def test_nobody_starts_twice_or_in_the_future_or_without_a_placement() -> None:
    given(Person, *PLACED, started()).when(start()).then_refused(HasStarted, starts_on=FIRST_DAY)
    given(Person, *PLACED, fell_through()).when(start()).then_refused(HasFallenThrough)
    given(Person, *AT_CLIENT).when(start()).then_refused(NotPlaced)
    with stopped_at(NOON):
        given(Person, *PLACED).when(start(on_day(3))).then_refused(NotYet)


@pytest.mark.parametrize(
    ("left_on", "terms", "changes", "expected"),
    [
        (on_day(45), ON_PROBATION, {}, ("rebate", 1_000_000)),
        (on_day(46), ON_PROBATION, {}, ("rebate", 500_000)),
        (on_day(90), ON_PROBATION, {}, ("rebate", 500_000)),
        (on_day(91), ON_PROBATION, {}, ("none", 0)),
        (on_day(45), ON_PROBATION, {"covered": False}, ("none", 0)),
        (on_day(1), REPLACED, {}, ("replacement", 0)),
        (on_day(91), REPLACED, {}, ("none", 0)),
        (on_day(1), fee_agreed(), {}, ("none", 0)),
    ],
)
def test_the_remedy_is_by_the_terms_and_the_day(
    left_on: date, terms: Any, changes: Any, expected: tuple[str, int]
) -> None:
    remedy, cents = expected
    given(Person, *PLACED, started()).when(fall(left_on, terms, **changes)).then(
        fell_through(
            left_on=left_on, day=(left_on - FIRST_DAY).days + 1, remedy=remedy, rebate_cents=cents
        )
    )


def test_who_never_came_costs_nothing_and_we_owe_nothing() -> None:
    given(Person, *PLACED).when(fall(on_day(1))).then(
        fell_through(left_on=on_day(1), day=0, rebate_cents=2_000_000)
    )


def test_who_was_to_replace_somebody_and_never_came_leaves_us_owing_that() -> None:
    instead = placed(fee_cents=0, replaces_id=OTHER)
    given(Person, *AT_CLIENT, instead).when(fall(on_day(1))).then(
        fell_through(left_on=on_day(1), day=0, remedy="replacement")
    )


def test_nobody_falls_through_twice_or_before_the_start() -> None:
    given(Person, *PLACED, started(), fell_through()).when(fall(on_day(60))).then_refused(
        HasFallenThrough
    )
    given(Person, *PLACED, started()).when(fall(on_day(0))).then_refused(LeftBeforeStart)
    given(Person, *AT_CLIENT).when(fall(on_day(1))).then_refused(NotPlaced)


RUNNING = [*PLACED, started(guarantee_until_on=on_day(90))]


def test_a_guarantee_ends_when_it_is_over_and_not_before() -> None:
    with stopped_at(LATER + timedelta(days=90)):
        given(Person, *RUNNING).when(end).then(guarantee_ended(ended_on=on_day(91)))
    with stopped_at(LATER + timedelta(days=89)):
        given(Person, *RUNNING).when(end).then_refused(GuaranteeRuns, guarantee_until_on=on_day(90))
    given(Person, *RUNNING, guarantee_ended()).when(end).then_refused(GuaranteeIsOver)
    given(Person, *PLACED, started()).when(end).then_refused(GuaranteeIsOver)
    given(Person, *PLACED).when(end).then_refused(NotStarted)
    given(Person, *RUNNING, fell_through()).when(end).then_refused(HasFallenThrough)


# commission


def test_a_commission_is_split_as_often_as_they_like() -> None:
    halves = (("consultant:ana", 5_000), ("consultant:ben", 5_000))
    for history in (PLACED, [*PLACED, split(("consultant:cy", 10_000))]):
        given(Person, *history).when(
            lambda p: p.split_commission(CANDIDACY, shares=split(*halves).shares, at=NOON, by=ANA)
        ).then(split(*halves))


@pytest.mark.parametrize(
    "shares",
    [
        [("consultant:ana", 9_999)],
        [("consultant:ana", 5_000), ("consultant:ben", 5_001)],
        [("consultant:ana", 5_000), ("consultant:ana", 5_000)],
        [],
    ],
)
def test_commissions_sum_to_the_whole(shares: list[tuple[str, int]]) -> None:
    parts = tuple(Share(consultant=who, share_bp=bp) for who, bp in shares)
    given(Person, *PLACED).when(
        lambda p: p.split_commission(CANDIDACY, shares=parts, at=NOON, by=ANA)
    ).then_refused(SharesIncomplete)
    if parts:
        given(Person, *AT_CLIENT, *ELSEWHERE_TOO).when(place(shares=parts)).then_refused(
            SharesIncomplete
        )


# hired past us

TAIL = date(2027, 3, 2)
IN_TAIL = [sourced(), opened(), represented(), introduced(tail_until_on=TAIL)]


def employ(**changes: Any) -> Any:
    return lambda p: p.employ(employed(**changes), by=ANA)


@pytest.mark.parametrize("starts_on", [NOON.date(), date(2026, 9, 1), TAIL])
def test_whoever_is_hired_within_the_tail_is_flagged(starts_on: date) -> None:
    given(Person, *IN_TAIL).when(employ(starts_on=starts_on)).then(
        employed(starts_on=starts_on), backdoor(starts_on=starts_on, tail_until_on=TAIL)
    )


def test_a_job_without_a_first_day_is_of_the_day_on_which_we_hear_of_it() -> None:
    with stopped_at(LATER):
        given(Person, *IN_TAIL).when(employ()).then(
            employed(), backdoor(starts_on=LATER.date(), tail_until_on=TAIL)
        )


AT_THE_OTHER = [*IN_TAIL, employed(company_id=BOLT, starts_on=FIRST_DAY)]


def test_whose_employer_turns_out_to_be_the_client_is_flagged_then_and_once() -> None:
    """Given somebody introduced to one record of a firm and hired by another; when the two turn out
    to be one; then they were hired past us, from their first day on."""

    def look(person: Person) -> None:
        for _ in range(2):
            person.look_past_us({BOLT: {BOLT, COMPANY}}, by=ANA)

    given(Person, *AT_THE_OTHER).when(look).then(backdoor(starts_on=FIRST_DAY, tail_until_on=TAIL))


@pytest.mark.parametrize(
    ("history", "group"),
    [
        (AT_THE_OTHER, {BOLT}),
        ([*IN_TAIL, employed(company_id=BOLT)], {BOLT, COMPANY}),  # nobody knows since when
        ([*IN_TAIL, employed(company_id=UUID(int=7), starts_on=FIRST_DAY)], {BOLT, COMPANY}),
        ([*IN_TAIL, employed(company_id=BOLT, starts_on=date(2020, 1, 1))], {BOLT, COMPANY}),
        ([*AT_THE_OTHER, placed()], {BOLT, COMPANY}),
    ],
)
def test_nobody_else_is_whose_employer_is_merged(history: list[Any], group: set[UUID]) -> None:
    given(Person, *history).when(lambda p: p.look_past_us({BOLT: group}, by=ANA)).then()


@pytest.mark.parametrize(
    ("history", "job"),
    [
        (IN_TAIL, {"starts_on": TAIL + timedelta(days=1)}),
        (IN_TAIL, {"starts_on": NOON.date() - timedelta(days=1)}),
        (IN_TAIL, {"company_id": BOLT, "starts_on": FIRST_DAY}),
        ([sourced(), opened(), represented(), introduced()], {"starts_on": FIRST_DAY}),
        ([*IN_TAIL, placed()], {"starts_on": FIRST_DAY}),
        ([*IN_TAIL, backdoor(tail_until_on=TAIL)], {"starts_on": FIRST_DAY}),
    ],
)
def test_nobody_else_is(history: list[Any], job: dict[str, Any]) -> None:
    given(Person, *history).when(employ(**job)).then(employed(**job))


def test_who_fell_through_and_comes_back_past_us_is_flagged_too() -> None:
    given(Person, *IN_TAIL, placed(), fell_through()).when(employ(starts_on=FIRST_DAY)).then(
        employed(starts_on=FIRST_DAY), backdoor(tail_until_on=TAIL)
    )
    assert backdoor(tail_until_on=TAIL).agreement_id == AGREEMENT
    assert (backdoor(tail_until_on=TAIL).company_id, ORDER) == (COMPANY, ORDER)
