"""Consultants come and go; teams know who was in them on which day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from builders import (
    TODAY,
    TOMORROW,
    consultant_added,
    consultant_left,
    consultant_renamed,
    consultant_returned,
    team_defined,
    team_joined,
    team_left,
)
from ledger_crm.domain.consultant import (
    ConsultantHasLeft,
    ConsultantRecord,
    LeftBeforeJoining,
    Presence,
    day_after,
)
from ledger_crm.domain.person import NameMissing
from ledger_crm.domain.team import NotInTeam, Team, TeamIsRetired
from scenario import ANA, given


def test_who_left_is_given_nothing_after_their_last_day() -> None:
    gone = given(ConsultantRecord, consultant_added(), consultant_left(TODAY))
    gone.when(lambda c: c.must_be_here(TODAY)).then_nothing()
    gone.when(lambda c: c.must_be_here(TOMORROW)).then_refused(
        ConsultantHasLeft, consultant="consultant:ana"
    )
    back = given(ConsultantRecord, consultant_added(), consultant_left(), consultant_returned())
    back.when(lambda c: c.must_be_here(TOMORROW)).then_nothing()


def test_what_is_so_of_a_consultant_already_is_nothing() -> None:
    here = given(ConsultantRecord, consultant_added())
    here.when(lambda c: c.change(consultant_returned(), by=ANA)).then_nothing()
    here.when(lambda c: c.change(consultant_renamed("Ana Lopez"), by=ANA)).then_nothing()
    here.when(lambda c: c.change(consultant_renamed(" "), by=ANA)).then_refused(NameMissing)
    here.when(lambda c: c.change(consultant_left(), by=ANA)).then(consultant_left())
    gone = given(ConsultantRecord, consultant_added(), consultant_left())
    gone.when(lambda c: c.change(consultant_left(), by=ANA)).then_nothing()
    later = consultant_left(TOMORROW)
    gone.when(lambda c: c.change(later, by=ANA)).then(later)


def test_nobody_leaves_before_they_join() -> None:
    given(ConsultantRecord, consultant_added(joined_on=TOMORROW)).when(
        lambda c: c.change(consultant_left(TODAY), by=ANA)
    ).then_refused(LeftBeforeJoining)


def test_a_team_takes_in_whom_it_does_not_have_until_it_is_retired() -> None:
    given(Team, team_defined()).when(lambda t: t.change_members(team_joined(), by=ANA)).then(
        team_joined()
    )
    inside = given(Team, team_defined(), team_joined(), team_defined(retired=True))
    inside.when(lambda t: t.change_members(team_joined(), by=ANA)).then_nothing()
    ben = team_joined("consultant:ben")
    inside.when(lambda t: t.change_members(ben, by=ANA)).then_refused(TeamIsRetired, team="north")
    inside.when(lambda t: t.change_members(team_left(), by=ANA)).then(team_left())


def test_nobody_leaves_a_team_that_they_are_not_in() -> None:
    given(Team, team_defined()).when(lambda t: t.change_members(team_left(), by=ANA)).then_refused(
        NotInTeam, team="north", consultant="consultant:ana"
    )
    given(Team, team_defined(), team_joined(on=TOMORROW)).when(
        lambda t: t.change_members(team_left(on=TODAY), by=ANA)
    ).then_refused(NotInTeam)


days = st.integers(0, 6).map(lambda n: TODAY + timedelta(days=n))


@for_all(st.lists(st.tuples(days, st.booleans()), max_size=8), days)
def test_presence_on_a_day_is_what_was_said_last_of_the_days_until_then(
    said: list[tuple[date, bool]], day: date
) -> None:
    presence = Presence()
    known: dict[date, bool] = {}  # day by day, each word painted over all that come after
    for from_on, is_in in said:
        presence.turns[from_on] = is_in
    for from_on in sorted({from_on for from_on, _ in said}):
        last = [is_in for each, is_in in said if each == from_on][-1]
        known |= {from_on + timedelta(days=n): last for n in range(20)}
    assert presence.on(day) == known.get(day)


@pytest.mark.parametrize("day", [date.max, TODAY])
def test_there_is_a_day_after_every_day(day: date) -> None:
    assert day_after(day) == min(date.max, TOMORROW if day == TODAY else date.max)
