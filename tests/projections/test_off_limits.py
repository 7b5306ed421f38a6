"""The check before an approach and the command that refuses one know the same people."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import added, employed, fell_through, opened, placed, sourced
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.person import Person
from ledger_crm.projections import directory, market
from ledger_crm.workers.projector import Driver, connect
from projections.driving import of_list
from projections.test_queries import cursor
from scenario import ANA, NOON, folded

COMPANIES = [UUID(int=0xC1 + n) for n in range(2)]
DAYS = [NOON.date() + timedelta(days=n) for n in range(5)]

days = st.sampled_from(DAYS)
jobs = st.builds(
    lambda company, role, first, last: employed(
        company_id=company, role=role, starts_on=first, ends_on=last and max(first or last, last)
    ),
    st.sampled_from(COMPANIES),
    st.sampled_from(["employee", "employee", "hiring_manager"]),
    st.none() | days,
    st.none() | days,
)
placements = st.tuples(st.sampled_from(COMPANIES), days, st.booleans(), st.integers(0, 3))


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """Jobs that somebody wrote down, and placements that may have fallen through."""
    told: list[Event] = [sourced()]
    for company, day, full_time, fate in draw(st.lists(placements, max_size=3)):
        of = {"candidacy_id": draw(st.uuids()), "company_id": company}
        told += [opened(**of), placed(**of, starts_on=day, full_time=full_time)]
        told += [fell_through(**of)] if not fate else []
    return told + draw(st.permutations(draw(st.lists(jobs, max_size=3, unique=True))))


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(lives(), min_size=20, max_size=40))
def test_whom_the_check_seats_somewhere_is_whom_the_command_protects_there(
    database: str, told: list[list[Event]]
) -> None:
    people = {UUID(int=0xA00 + n): life for n, life in enumerate(told)}
    streams = [(Company, id, [added()]) for id in COMPANIES]
    streams += [(Person, id, life) for id, life in people.items()]  # type: ignore[misc]
    entries: list[Entry[Any]] = []
    for type_, id, events in streams:
        for version, event in enumerate(events, start=1):
            entries.append(
                Entry(
                    originator_id=id, originator_version=version, position=len(entries) + 1,
                    originator_topic=type_.TOPIC if version == 1 else "", timestamp=NOON, by=ANA,
                    event=event,
                )
            )  # fmt: skip
    with connect(database) as conn:
        for projection in (directory.projection, market.projection):
            driver = Driver(projection, of_list(entries), conn)
            driver.rebuild()
            driver.catch_up()

    async def seated(on: date) -> dict[UUID, set[UUID]]:
        async with cursor(database) as cur:
            checks = await market.people_checked(cur, list(people), on=on, besides=None)
        return {
            id: {seat.company_id for seat in check.seats if seat.role == "employee"}
            for id, check in checks.items()
        }

    for day in (DAYS[0] - timedelta(days=1), *DAYS, DAYS[-1] + timedelta(days=1)):
        at = datetime.combine(day, time(12), NOON.tzinfo)
        known = {id: set(folded(Person, *life, id=id).works_at(at)) for id, life in people.items()}
        assert asyncio.run(seated(day)) == known
