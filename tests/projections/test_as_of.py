"""Every table of every read model as it was: as it was known at a position, and as everything was
at an instant by what is known today."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ledger_crm.commands.demo import play
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.ledger import Ledger
from ledger_crm.projections import AS_IT_WAS, AS_KNOWN, _projection, every
from ledger_crm.workers import rows
from ledger_crm.workers.projector import Connection, Driver, connect
from projections.driving import Dump, driven, folded, of_list, reading, stored
from projections.stories import Command, a_full_story, stories, tell
from scenario import KEYRING

ALL = every()
SLOW = settings(
    max_examples=3,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to make one smaller takes many minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BLOCK, FEW = 5, 2  # of histories of some dozens of facts, as the real ones are of millions
TABLES = [table for projection in ALL for table in projection.tables if table.keeps_past]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_projection, "BLOCK", BLOCK)
        patch.setattr(_projection, "FEW", FEW)
        patch.setattr(rows, "BLOCK", BLOCK)
        yield


@pytest.fixture(scope="module")
def small_read_models(small: None, templates: Callable[..., str]) -> str:
    with connect(templates("small_read_models")) as conn:
        for projection in ALL:
            Driver(projection, of_list([]), conn)
    return "small_read_models"


@pytest.fixture
def template(small_read_models: str) -> str:
    return small_read_models


def told(databases: Callable[..., str], story: list[Command]) -> tuple[str, list[Entry[Event]]]:
    """A ledger, and its entries. Nobody is erased: they would be, in all of the past."""
    url = databases()
    story = [command for command in story if getattr(command, "__name__", "") != "erase"]
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(tell(ledger, story, begin=a_full_story))
        return url, list(reading(ledger)(0, 10_000))


def shown(conn: Connection, home: str, as_of: object) -> Dump:
    """Every table, as ``dump`` shows it, through the views of the past."""
    conn.execute("SELECT set_config('ledger.as_of', %s, false)", (str(as_of),))
    found = {}
    for table in TABLES:
        names, key = ", ".join(table.columns), ", ".join(table.key)
        query = f"COPY (SELECT {names} FROM {home}.{table.name} ORDER BY {key}) TO STDOUT"
        with conn.cursor() as cur, cur.copy(query.encode()) as copy:
            found[table.name] = b"".join(map(bytes, copy))
    return found


@pytest.mark.long
@settings(SLOW)
@given(story=stories, part=st.integers(0, 100), batch=st.sampled_from([1, 7, 500]))
def test_what_was_known_is_what_a_ledger_that_ends_there_shows(
    databases: Callable[..., str], story: list[Command], part: int, batch: int
) -> None:
    url, entries = told(databases, story)
    ends = len(entries) * part // 100
    driven(url, ALL, of_list(entries), batch=batch)
    expected = driven(databases(), ALL, of_list(entries[:ends]), batch=500, past=False)
    with connect(url) as conn:
        found = shown(conn, AS_KNOWN, ends)
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.mark.long
@settings(SLOW)
@given(
    story=stories,
    moments=st.lists(st.integers(0, 100), min_size=3),
    batch=st.sampled_from([7, 500]),
)
def test_what_was_is_what_a_ledger_shows_without_what_happened_later(
    databases: Callable[..., str], story: list[Command], moments: list[int], batch: int
) -> None:
    """However late it was told; looked at as is defined now. Facts of one story happen at any hour
    of some months."""
    url, entries = told(databases, story)
    driven(url, ALL, of_list(entries), batch=batch)
    happened = sorted({entry.at for entry in entries})
    with connect(url) as conn:
        for part in moments:
            must_show_what_had_happened(conn, entries, happened[(len(happened) - 1) * part // 100])


@pytest.mark.campaign
def test_two_hundred_instants_of_an_agencys_two_years(databases: Callable[..., str]) -> None:
    """As it was, by what is known today. As it was known then: ``tests/api/test_as_of.py``."""
    url, seed = databases(), random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(play(ledger, until=date(2026, 11, 23), size=0.01))
        entries = list(reading(ledger)(0, 10_000))
    driven(url, ALL, of_list(entries), batch=500)
    happened = sorted({entry.at for entry in entries})
    late = sum(b.at < a.at for a, b in pairwise(entries))
    assert late > 50, "all came in order"
    with connect(url) as conn:
        for at in random.Random(seed).sample(happened, 200):
            must_show_what_had_happened(conn, entries, at)


def must_show_what_had_happened(
    conn: Connection, entries: Sequence[Entry[Event]], at: datetime
) -> None:
    conn.execute("SELECT set_config('ledger.as_of', %s, false)", (str(at),))
    until_then = [entry for entry in entries if entry.at <= at]
    for projection in ALL:
        expected = folded(projection, until_then, lacking=True)
        for table in projection.tables:
            if table.defines:
                expected[table.name] = stored(conn, table)
            if table.keeps_past:
                assert stored(conn, table, AS_IT_WAS) == expected[table.name], (table.name, at)
