"""Reports over two years of an agency: what they say, reckoned by hand, and in no time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from statistics import median
from typing import get_args
from uuid import UUID

import psycopg
import pytest

from ledger_crm.domain import candidacy as c
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.pipeline import EXITS, Category
from ledger_crm.ledger import Ledger
from ledger_crm.projections import SCHEMA, Cursor, directory, funnel
from ledger_crm.workers.projector import Driver, connect
from scenario import KEYRING

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("demo")]

SINCE, UNTIL = date(2024, 1, 1), date(2027, 1, 1)
PLACES = list(get_args(Category))


@pytest.fixture(scope="module")
def two_years(templates: Callable[..., str], large_agency: str) -> list[Entry[Event]]:
    """All entries of an agency. What the funnel needs of them is in the template ``reported``."""
    url = templates("reported", of=large_agency)
    entries: list[Entry[Event]] = []
    with Ledger(url, KEYRING) as ledger:

        def read(after: int, limit: int) -> list[Entry[Event]]:
            return ledger.store.entries(after=after, limit=limit)

        while page := read(len(entries), 5_000):
            entries += page
        with connect(url) as conn:
            for projection in (directory.projection, funnel.projection):
                Driver(projection, read, conn).catch_up()
    return entries


@pytest.fixture
async def cur(
    databases: Callable[..., str], two_years: list[Entry[Event]]
) -> AsyncIterator[Cursor]:
    options = f"-c search_path={SCHEMA} -c statement_timeout=5000"
    url = databases(of="reported")
    async with (
        await psycopg.AsyncConnection.connect(url, options=options) as conn,
        conn.cursor() as cur,
    ):
        yield cur


def reckoned(
    entries: list[Entry[Event]], since: date, until: date
) -> dict[tuple[str, str], tuple[int, int, int, object]]:
    """The funnel by source, a candidacy at a time."""
    channels = {
        e.originator_id: e.event.channel for e in entries if isinstance(e.event, PersonSourced)
    }
    taken: defaultdict[UUID, list[tuple[datetime, int, str, str]]] = defaultdict(list)
    for entry in entries:
        match entry.event:
            case c.StageReached(candidacy_id=id, category=category, reached_at=at):
                if since <= at.astimezone(UTC).date() < until:
                    channel = channels[entry.originator_id]
                    taken[id].append((at, entry.position, category, channel))
    entered: Counter[tuple[str, str]] = Counter()
    went_on: Counter[tuple[str, str]] = Counter()
    fell_out: Counter[tuple[str, str]] = Counter()
    stays: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for steps in taken.values():
        steps.sort()
        for (at, _, category, channel), (after, *_) in pairwise(steps):
            stays[channel, category].append((after - at).total_seconds() / 86_400)
        done = set()
        for n, (_, _, category, channel) in enumerate(steps):
            if category in done:
                continue
            done.add(category)
            later = [each for _, _, each, _ in steps[n + 1 :]]
            on = any(PLACES.index(o) > PLACES.index(category) for o in later if o not in EXITS)
            out = any(o in EXITS for o in later)
            entered[channel, category] += 1
            went_on[channel, category] += category not in EXITS and on
            fell_out[channel, category] += category not in EXITS and out and not on
    return {
        key: (
            entered[key],
            went_on[key],
            fell_out[key],
            pytest.approx(median(stays[key]), abs=0.051) if stays[key] else None,
        )
        for key in entered
    }


@pytest.mark.parametrize(
    ("since", "until"), [(SINCE, UNTIL), (date(2025, 11, 3), date(2026, 2, 17))]
)
async def test_the_funnel_of_two_years_is_as_reckoned_by_hand_and_does_not_grow_with_its_square(
    cur: Cursor, two_years: list[Entry[Event]], since: date, until: date
) -> None:
    lines = await funnel.report(cur, since=since, until=until, by="source")

    told = {
        (line.group, line.category): (
            line.entered, line.went_on, line.fell_out, line.median_days,
        )
        for line in lines
    }  # fmt: skip
    assert told == reckoned(two_years, since, until)
    assert sum(line.entered for line in lines) > (3_000 if until == UNTIL else 100)
