"""How projections are driven changes nothing: entry by entry, in batches of any size, all anew.

Bugs these look for: a row of an earlier batch used where a newer one is stored, two changes of a
row within a batch, a row that goes and comes back, rows kept after a failed write, a table that
two projections write.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from builders import employed, note, replied, sent, sourced
from ledger_crm.commands.demo import play
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.identity import Employed
from ledger_crm.domain.interaction import MessageReplied, MessageSent, NoteWritten
from ledger_crm.domain.person import PersonSourced
from ledger_crm.ledger import Ledger
from ledger_crm.projections import Projection, Row, Starting, Table, every
from ledger_crm.projections._projection import stream
from ledger_crm.workers.projector import Driver, connect
from ledger_crm.workers.rows import Rows
from projections.driving import (
    Dump,
    Together,
    driven,
    driven_in_parts,
    dump,
    folded,
    of_list,
    reading,
    stored,
    without_index,
)
from projections.stories import Command, stories, tell
from scenario import ANA, COMPANY, KEYRING, NOON

BATCHES = (1, 7, 500, 5000)
ALL = every()


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
def test_any_story_gives_the_same_tables_however_it_is_driven(
    databases: Callable[..., str], story: list[Command]
) -> None:
    url = databases()
    with (
        Ledger(url, KEYRING) as ledger,
        connect(url) as conn,
    ):
        together = Together(ALL, reading(ledger), conn)
        read = reading(ledger)
        asyncio.run(tell(ledger, story, after_each=together.catch_up))

        as_it_came = dump(conn, ALL)
        for batch in BATCHES:
            assert driven(databases(), ALL, read, batch=batch) == as_it_came
        shared = driven_in_parts(url, ALL, KEYRING, of=2, batch=7)
        assert shared == {name: as_it_came[name] for name in shared}
        together.rebuild()
        together.catch_up(batch=3)
        assert dump(conn, ALL) == as_it_came
        entries = read(0, 10_000)
        for projection in ALL:
            expected = folded(projection, entries)
            for table in projection.tables:
                assert stored(conn, table) == expected[table.name]


@pytest.mark.campaign  # every day it is shown of drawn stories
def test_two_years_of_an_agency_give_the_same_tables_however_they_are_driven(
    ledger: Ledger, database: str, databases: Callable[..., str]
) -> None:
    asyncio.run(play(ledger, until=date(2026, 11, 23), size=0.01))
    read = reading(ledger)
    entries = read(0, 10_000)
    assert len(entries) > 5000, "more than one of the largest batches"

    def left_by(batch: int) -> Dump:
        return driven(databases(), ALL, of_list(entries), batch=batch)

    first, *others = (left_by(batch) for batch in BATCHES)
    told = {base for entry in entries for base in type(entry.event).__mro__}
    for table in (table for projection in ALL for table in projection.tables):
        begins = {
            event
            for event, handlers in table.handlers.items()
            if any(isinstance(h, Starting) or getattr(h, "start", None) for h in handlers)
        }
        assert first[table.name] or not told & begins, "an empty one proves nothing"
    differing = [name for other in others for name in first if other[name] != first[name]]
    assert not differing
    for of in (2, 4):
        shared = driven_in_parts(database, ALL, KEYRING, of=of, batch=2_000)
        assert len(shared) > 40
        assert not [name for name in shared if shared[name] != first[name]]


# a read model that uses everything a read model may do


class Toy(Row, frozen=True, kw_only=True):
    id: UUID
    boss: UUID | None = None
    n: int = 0


toys = Table("toy", Toy, key="id", sql="CREATE INDEX toy_boss ON toy (boss);")
toy = Projection("toy", toys, version=1)


@toys.starts(PersonSourced)
def came(entry: Entry[PersonSourced]) -> Toy:
    return Toy(id=entry.originator_id)


@toys.on(NoteWritten, key=stream, start=lambda entry: Toy(id=entry.originator_id, n=100))
def counted(row: Toy, entry: Entry[NoteWritten]) -> Toy:
    return replace(row, n=row.n + 1)


@toys.on(MessageReplied, key=stream, start=lambda entry: Toy(id=entry.originator_id))
def left(row: Toy, entry: Entry[MessageReplied]) -> None:
    return None


@toys.on(Employed, key=stream, start=lambda entry: Toy(id=entry.originator_id))
def hired(row: Toy, entry: Entry[Employed]) -> Toy:
    return replace(row, boss=entry.event.company_id)


@toys.each(MessageSent, boss=lambda entry: entry.event.company_id)
def reorganised(row: Toy, entry: Entry[MessageSent]) -> Toy | None:
    return None if row.n > 102 else replace(row, n=row.n + 10)


bosses = st.sampled_from([COMPANY, UUID(int=COMPANY.int + 1)])
events: st.SearchStrategy[Event] = st.one_of(
    st.just(sourced()),
    st.just(note()),
    st.just(replied()),
    bosses.map(lambda boss: employed(company_id=boss)),
    bosses.map(lambda boss: sent(company_id=boss)),
)
ledgers = st.lists(st.tuples(st.integers(1, 3), events), max_size=30)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=ledgers, batch=st.integers(1, 9))
def test_rows_that_start_again_go_and_change_together_are_the_same_in_any_batch(
    database: str, written: list[tuple[int, Event]], batch: int
) -> None:
    entries = [
        Entry(
            originator_id=UUID(int=who),
            originator_version=position,
            position=position,
            timestamp=NOON,
            by=ANA,
            event=event,
        )
        for position, (who, event) in enumerate(written, start=1)
    ]
    with connect(database) as conn:
        driver = Driver(toy, of_list(entries), conn)
        driver.rebuild()

        driver.catch_up(batch=batch)

        assert stored(conn, toys) == folded(toy, entries)["toy"]
        assert driver.position == len(entries)


def test_rows_in_memory_are_let_go_before_they_are_too_many(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [sourced(), note(), note()]
    entries = [
        Entry(
            originator_id=UUID(int=n % 20),
            originator_version=n // 20 + 1,
            position=n + 1,
            timestamp=NOON,
            by=ANA,
            event=events[n // 20],
        )
        for n in range(60)
    ]
    most = 0
    fetch = Rows.fetch

    def watched(self: Rows[Toy], *args: object) -> None:
        nonlocal most
        fetch(self, *args)  # type: ignore[arg-type]
        most = max(most, len(self._stored))

    monkeypatch.setattr(Rows, "fetch", watched)

    with connect(database) as conn:
        Driver(toy, of_list(entries), conn, kept=4).catch_up(batch=3)

        assert stored(conn, toys) == folded(toy, entries)["toy"]
    assert most <= 4 + 2 * 3  # what was kept, and what two batches made of it


# all of them, whoever adds one


def test_no_two_projections_share_a_table_or_a_name() -> None:
    tables = Counter(table.name for projection in ALL for table in projection.tables)
    names = Counter(projection.name for projection in ALL)
    assert (tables + names).most_common(1)[0][1] <= 2  # a table may be called like its projection
    assert max(tables.values()) == max(names.values()) == 1


def test_a_column_by_which_rows_are_looked_for_has_an_index(ledger: Ledger, database: str) -> None:
    """From the first entry on: other indexes come once a read model is built."""
    from ledger_crm.commands.catalogue import ship

    asyncio.run(ship(ledger))
    slow = Table("slow", Toy, key="id")
    slow.each(MessageSent, boss=lambda entry: entry.event.company_id)(reorganised)
    forgetful = Projection("forgetful", slow, version=1)
    with connect(database) as conn:
        for projection in (*ALL, toy, forgetful):
            Driver(projection, of_list([]), conn)

        assert without_index(conn, forgetful) == ["slow.boss"], "this test can fail"
        assert [without_index(conn, projection) for projection in (*ALL, toy)] == [[]] * (
            len(ALL) + 1
        )


@pytest.mark.parametrize("projection", ALL, ids=lambda projection: projection.name)
def test_another_version_is_built_anew_and_the_same_one_goes_on(
    ledger: Ledger, database: str, projection: Projection
) -> None:
    from ledger_crm.commands.catalogue import ship

    asyncio.run(ship(ledger))
    with connect(database) as conn:
        Driver(projection, reading(ledger), conn).catch_up()
        assert Driver(projection, reading(ledger), conn).position == 2

        later = Projection(projection.name, *projection.tables, version=projection.version + 1)

        assert Driver(later, reading(ledger), conn).position == 0
        assert not any(dump(conn, [later]).values())
