"""Read models that are built beside those that are read, and take their place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from builders import note
from ledger_crm.api.reading import View, position
from ledger_crm.api.snapshots import Reads, open_pool
from ledger_crm.commands import intake
from ledger_crm.domain import clock
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.segment import Criteria
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.projections import LAST, NEXT, PAST, SCHEMA, Projection, Row, Table, every, people
from ledger_crm.workers import building, projector
from ledger_crm.workers.beside import Kept, NothingKept, drop, is_built, kept
from ledger_crm.workers.building import Busy, Swapped, build, go_back, rebuild
from ledger_crm.workers.parts import PartDriver, Shared, prepare
from ledger_crm.workers.projector import (
    Crew,
    Driver,
    NotLeading,
    Projector,
    Read,
    ask_to_rebuild,
    connect,
    try_to_lead,
)
from projections.driving import driven, dump, positions, reading, running
from projections.stories import PEOPLE, a_full_story, erasing
from scenario import ANA, KEYRING
from waiting import PATIENCE_S, until

ALL = every()


class GonePerson(Row, frozen=True, kw_only=True):
    id: UUID
    name: str = ""


PERSON = people.projection
ADA = PEOPLE[0]


@pytest.fixture(scope="module")
def told(templates: Callable[..., str], read_models: str) -> str:
    with Ledger(templates("told_beside", of=read_models), KEYRING) as ledger:
        asyncio.run(a_full_story(ledger))
    return "told_beside"


@pytest.fixture
def template(told: str) -> str:
    return told


@pytest.fixture
def read(ledger: Ledger) -> Read:
    return reading(ledger)


@pytest.fixture
def projected(database: str, ledger: Ledger, read: Read) -> Iterator[Callable[[], bool]]:
    """A projector at work; whether it is level."""

    def level() -> bool:
        found = positions(database)
        head = asyncio.run(ledger.head())
        return all(found.get(projection.name) == head for projection in ALL)

    with running(Projector(database, read, ALL)):
        until(level)
        yield level


def quiet(position: int) -> None:
    """No progress is shown."""


def write_note(ledger: Ledger) -> int:
    receipt = asyncio.run(
        ledger.decide(lambda w: intake.record(w, ADA, note("still here")), intent=Intent(by=ANA))
    )
    assert receipt.position
    return receipt.position


def test_what_is_built_beside_takes_the_place_and_the_other_is_kept(
    database: str, read: Read, ledger: Ledger, projected: Callable[[], bool]
) -> None:
    """Given a projector that goes on, then rows are as before, and later facts find them."""
    head = asyncio.run(ledger.head())
    with connect(database) as conn:
        before = dump(conn, [PERSON])

        assert rebuild(database, PERSON, read, quiet) == Swapped(head, [])

        assert dump(conn, [PERSON]) == before
        assert kept(conn) == [Kept("people", "last", PERSON.version, head)]
        write_note(ledger)
        until(projected)
        expected = driven_anew(conn, read)
        assert dump(conn, [PERSON]) == expected


@pytest.mark.parametrize("way", ["beside", "by who leads it"])
def test_what_is_new_is_planned_by_what_is_in_it(
    database: str, read: Read, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """At once: the server looks for itself in a minute, and reads of the past took ten seconds."""
    monkeypatch.setattr(projector, "ANALYSED_FROM", 1)
    with connect(database) as conn:
        if way == "beside":
            Driver(PERSON, read, conn).catch_up()
            rebuild(database, PERSON, read, quiet)
        else:
            ask_to_rebuild(conn, PERSON.name)
            assert Crew(conn, read, [PERSON]).catch_up() == {}
        for table in PERSON.tables:
            for home in (SCHEMA, PAST):
                [(known, there)] = conn.execute(
                    f"SELECT (SELECT reltuples FROM pg_class WHERE oid = '{home}.{table.name}'"
                    f"::regclass), count(*) FROM {home}.{table.name}".encode()
                ).fetchall()
                assert known == there


def driven_anew(conn: psycopg.Connection[tuple[object, ...]], read: Read) -> dict[str, bytes]:
    driver = Driver(PERSON, read, conn)
    driver.rebuild()
    driver.catch_up()
    return dump(conn, [PERSON])


def test_what_was_wrong_is_told_and_not_brought_back_by_who_remembers_it(
    database: str, read: Read, ledger: Ledger
) -> None:
    """Given a projector that has read rows which somebody garbled."""
    driven(database, [PERSON], read, batch=500)

    def level() -> bool:
        return positions(database)["people"] == asyncio.run(ledger.head())

    with connect(database) as conn:
        conn.execute("UPDATE person SET headline = 'garbled'")
        with running(Projector(database, read, [PERSON])):
            write_note(ledger)
            until(level)
            assert b"garbled" in dump(conn, [PERSON])["person"]

            differing = ["person", "past.person"]  # what is replaced is of the past
            assert rebuild(database, PERSON, read, quiet).differing == differing

            write_note(ledger)
            until(level)
            assert b"garbled" not in dump(conn, [PERSON], past=False)["person"]
            found = dump(conn, [PERSON])
        assert found == driven_anew(conn, read)


@pytest.mark.parametrize(
    "garbled",
    ["location = 'garbled'", "known_until = known_until + 1", "held_from = held_from + '1 day'"],
)
def test_what_was_wrong_of_the_past_alone_is_told_too(
    database: str, read: Read, garbled: str
) -> None:
    driven(database, [PERSON], read, batch=500)
    with connect(database) as conn:
        which = "(SELECT max(known_until) FROM past.person)"
        conn.execute(f"UPDATE past.person SET {garbled} WHERE known_until = {which}".encode())
        assert rebuild(database, PERSON, read, quiet).differing == ["past.person"]
        assert rebuild(database, PERSON, read, quiet).differing == []


def test_one_can_go_back_and_it_catches_up(
    database: str, read: Read, ledger: Ledger, projected: Callable[[], bool]
) -> None:
    with connect(database) as conn:
        head = asyncio.run(ledger.head())
        rebuild(database, PERSON, read, quiet)
        write_note(ledger)
        until(projected)
        after = dump(conn, [PERSON])

        assert go_back(database, PERSON) == head

        until(projected)
        assert dump(conn, [PERSON]) == after
        assert kept(conn) == []
        with pytest.raises(NothingKept):
            go_back(database, PERSON)


def test_stopped_in_the_middle_it_goes_on_where_it_was(database: str, read: Read) -> None:
    asked: list[int] = []

    def dying(after: int, limit: int) -> Sequence[Entry[Event]]:
        asked.append(after)
        if len(asked) > 3:
            raise KeyboardInterrupt
        return read(after, 20)

    driven(database, [PERSON], read, batch=500)
    with pytest.raises(KeyboardInterrupt):
        catch_up_by_twenty(database, dying)
    with connect(database) as conn:
        [one] = kept(conn)
        assert (one.what, one.position > 0) == ("next", True)
    began_at: list[int] = []

    def watched(after: int, limit: int) -> Sequence[Entry[Event]]:
        began_at.append(after)
        return read(after, limit)

    assert rebuild(database, PERSON, watched, quiet).differing == []
    assert began_at[0] == one.position


def catch_up_by_twenty(url: str, read: Read) -> None:
    with connect(url, beside=NEXT) as conn:
        Driver(PERSON, read, conn, beside=NEXT).catch_up(batch=20)


def test_a_new_version_is_prepared_while_the_old_one_is_read(database: str, read: Read) -> None:
    """Given one built beside, when the software of its version begins, then nothing is empty for a
    moment, and it goes on where it was built up to."""
    later = Projection(PERSON.name, *PERSON.tables, version=PERSON.version + 1)
    driven(database, [PERSON], read, batch=500)
    with connect(database) as conn:
        before = dump(conn, [PERSON])
        head = build(database, later, read, quiet)
        assert dump(conn, [PERSON]) == before

        assert Driver(later, read, conn).position == head

        assert dump(conn, [later]) == before
        assert kept(conn) == [Kept("people", "last", PERSON.version, head)]


def test_one_that_was_never_built_is_built(database: str, read: Read, ledger: Ledger) -> None:
    with connect(database) as conn:
        drop(conn, PERSON, "")
        assert rebuild(database, PERSON, read, quiet) == Swapped(asyncio.run(ledger.head()), None)
        assert kept(conn) == []
        found = dump(conn, [PERSON])
        assert found == driven_anew(conn, read)


def test_a_version_that_lacks_a_table_leaves_it_to_the_one_before(
    database: str, read: Read, ledger: Ledger
) -> None:
    """One can go back to that one; and once somebody is erased, nothing is left of its tables, nor
    of a read model that the software does not have any more."""
    [*others, lacking] = PERSON.tables
    later = Projection(PERSON.name, *others, version=PERSON.version + 1)
    gone = Table[Any]("gone_person", GonePerson, key="id")
    gone.starts(PersonSourced)(lambda entry: GonePerson(id=entry.originator_id))
    driven(database, [PERSON, Projection("gone", gone, version=1)], read, batch=500)
    with connect(database) as conn:

        def where_is(table: str) -> set[str]:
            found = conn.execute(
                "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = %s", (table,)
            )
            return {schema for (schema,) in found.fetchall()}

        before, there = dump(conn, [PERSON]), where_is(lacking.name)
        build(database, later, read, quiet)
        Driver(later, read, conn)
        assert where_is(lacking.name) == {f"{LAST}{schema}" for schema in there}
        go_back(database, PERSON)
        assert dump(conn, [PERSON]) == before

        build(database, later, read, quiet)
        driver = Driver(later, read, conn)
        asyncio.run(ledger.decide(erasing(ADA), intent=Intent(by=ANA)))
        driver.catch_up()
        assert where_is(lacking.name) == where_is(gone.name) == set()


def test_what_somebody_gave_up_building_goes_when_a_projector_begins(
    database: str, read: Read
) -> None:
    driven(database, [PERSON], read, batch=500)
    build(database, PERSON, read, quiet)
    with connect(database) as conn:
        assert kept(conn)
        Crew(conn, read, [PERSON]).look()
        assert kept(conn) == []


def test_who_is_erased_is_not_in_what_is_kept(
    database: str, read: Read, ledger: Ledger, projected: Callable[[], bool]
) -> None:
    rebuild(database, PERSON, read, quiet)
    asyncio.run(ledger.decide(erasing(ADA), intent=Intent(by=ANA)))
    until(projected)
    with connect(database) as conn:
        assert kept(conn) == []
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute(f"SELECT FROM {LAST}read.person")


@pytest.mark.parametrize("parts", [1, 2])
def test_who_is_erased_is_not_in_what_somebody_was_killed_building(
    parts: int, database: str, read: Read, ledger: Ledger, projected: Callable[[], bool]
) -> None:
    with connect(database, beside=NEXT) as builder:
        assert try_to_lead(builder, f"next {PERSON.name}")
        if parts > 1:
            prepare(builder, PERSON, parts)
        else:
            driver = Driver(PERSON, read, builder, beside=NEXT)
            driver.step(driver.read(0, 5))
        asyncio.run(ledger.decide(erasing(ADA), intent=Intent(by=ANA)))
        until(projected)
        assert [each.what for each in kept(builder)] == ["next"]  # which comes to it, if it lives
    with connect(database) as conn:
        until(lambda: kept(conn) == [])
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute(f"SELECT FROM {NEXT}read.person")


def test_what_is_replaced_before_it_heard_of_an_erasure_is_not_kept(
    database: str, read: Read, ledger: Ledger
) -> None:
    """Given an old projector that is stopped, somebody erased, and a new version prepared since."""
    driven(database, [PERSON], read, batch=500)
    asyncio.run(ledger.decide(erasing(ADA), intent=Intent(by=ANA)))
    later = Projection(PERSON.name, *PERSON.tables, version=PERSON.version + 1)
    head = build(database, later, read, quiet)
    with connect(database) as conn:
        assert Driver(later, read, conn).position == head
        assert kept(conn) == []
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute(f"SELECT FROM {LAST}read.person")


def test_several_build_it_each_its_streams_and_go_on_where_one_was_stopped(
    database: str, read: Read, ledger: Ledger
) -> None:
    """Given two parts of which one has read a little, when they are begun again, then it goes on,
    and rows of the present and the past are those that one process builds. What is in parts is
    nothing that anybody reads."""
    expected, shared = driven(database, [PERSON], read, batch=500), Shared(2, b"k" * 32)
    progress: list[int] = []
    with connect(database, beside=NEXT) as conn:
        assert prepare(conn, PERSON, 2)
        driver = PartDriver(PERSON, conn, 1, 2)
        with pytest.raises(KeyboardInterrupt):
            driver.drive(ledger.store, asyncio.run(ledger.head()), stop, batch=3)
        position = PartDriver(PERSON, conn, 1, 2).position
        assert 0 < position < asyncio.run(ledger.head())
        assert not is_built(conn, PERSON)

        swapped = rebuild(database, PERSON, read, progress.append, shared)

        assert swapped == Swapped(asyncio.run(ledger.head()), [])
        assert dump(conn, [PERSON]) == expected
        assert [one.what for one in kept(conn)] == ["last"]


def stop(at: int) -> None:
    raise KeyboardInterrupt


def test_parts_that_somebody_gave_up_go_when_a_projector_begins(database: str, read: Read) -> None:
    driven(database, [PERSON], read, batch=500)
    with connect(database, beside=NEXT) as conn:
        prepare(conn, PERSON, 4)
    with connect(database) as conn:
        Crew(conn, read, [PERSON]).look()
        assert kept(conn) == []
        assert not [name for name in positions(database) if " " in name]


def test_who_still_builds_a_part_finds_out_that_one_builds_it_alone(
    database: str, read: Read, ledger: Ledger
) -> None:
    """Given parts whose parent was killed, then no row of theirs comes between those of another."""
    driven(database, [PERSON], read, batch=500)
    with connect(database, beside=NEXT) as conn:
        prepare(conn, PERSON, 2)
        orphan = PartDriver(PERSON, conn, 1, 2)
        Driver(PERSON, read, conn, beside=NEXT)
        with pytest.raises(NotLeading):
            orphan.drive(ledger.store, asyncio.run(ledger.head()), lambda at: None)


def test_one_goes_back_while_somebody_builds_it(database: str, read: Read) -> None:
    driven(database, [PERSON], read, batch=500)
    rebuild(database, PERSON, read, quiet)
    with connect(database, beside=NEXT) as conn:
        builds = Driver(PERSON, lambda after, limit: read(after, 20), conn, beside=NEXT)
        builds.step(builds.read(0, 20))
        go_back(database, PERSON)
        builds.catch_up(batch=20)
        assert [one.what for one in kept(conn)] == ["next"]


def test_only_one_builds_beside(database: str, read: Read) -> None:
    driven(database, [PERSON], read, batch=500)
    with connect(database) as conn:
        assert try_to_lead(conn, "next people")
        with pytest.raises(Busy):
            rebuild(database, PERSON, read, quiet)


def test_readers_that_never_leave_are_not_held_up_for_ever(
    database: str, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "WAIT_S", 0.5)
    driven(database, [PERSON], read, batch=500)
    with connect(database) as conn, conn.transaction():
        conn.execute("SELECT FROM person LIMIT 1")
        with pytest.raises(Busy):
            rebuild(database, PERSON, read, quiet)
        conn.execute("SELECT FROM person LIMIT 1")


@pytest.mark.parametrize("swaps", [3, pytest.param(20, marks=pytest.mark.campaign)])
def test_nobody_who_reads_or_writes_meanwhile_is_denied_or_told_what_is_old(
    database: str, read: Read, ledger: Ledger, projected: Callable[[], bool], swaps: int
) -> None:
    """Writers who read their own write, through the statements and the pool of the API."""
    failed: list[BaseException] = []
    answers = 0

    async def reading_after_writing(done: threading.Event) -> None:
        nonlocal answers
        pool = open_pool(database, most=4)
        await pool.open()
        reads = Reads(pool)
        while not done.is_set():
            receipt = await ledger.decide(
                lambda w: intake.record(w, ADA, note("again")), intent=Intent(by=ANA)
            )
            view, at = View(reads, ledger, receipt.position), receipt.position or 0
            one = await view.one(people.card, ADA)
            page = await view.page(
                people.listing, Criteria(), on=clock.now(), cursor=None, limit=5, at=position
            )
            past = View(reads, ledger, None, then=await reads.moment(str(at), None))
            was = await past.one(people.card, ADA)
            assert was.content == one.content
            for answer in (one, page, was):
                assert int(answer.headers["Ledger-Position"]) >= at
            answers += 1
        await pool.close()

    @contextmanager
    def load() -> Iterator[None]:
        done = threading.Event()

        def work() -> None:
            try:
                asyncio.run(reading_after_writing(done))
            except BaseException as fault:
                failed.append(fault)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(PATIENCE_S)

    with load():
        for _ in range(swaps):
            before = answers
            assert rebuild(database, PERSON, read, quiet).position
            until(lambda before=before: answers > before or bool(failed))  # type: ignore[misc]
    assert failed == []
    until(projected)
