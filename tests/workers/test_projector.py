"""The projector on a real database: each entry once whatever dies, halted loudly, one leader."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from string import ascii_letters
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from structlog.testing import LogCapture

from builders import note
from ledger_crm.commands import intake
from ledger_crm.domain.entry import Entry, Event, kind
from ledger_crm.domain.interaction import NoteWritten
from ledger_crm.domain.person import ContactPointAdded
from ledger_crm.ledger import Intent, Ledger
from ledger_crm.projections import Projection, Row, Table, every
from ledger_crm.projections._projection import stream
from ledger_crm.sealing import WrongKey
from ledger_crm.workers import projector as module
from ledger_crm.workers.building import rebuild
from ledger_crm.workers.projector import (
    Crew,
    Driver,
    Hole,
    NoSuchRow,
    NotLeading,
    Projector,
    Read,
    ask_to_rebuild,
    connect,
    try_to_lead,
)
from projections.driving import Dump, driven, dump, positions, reading, running, standing
from projections.stories import PEOPLE, a_full_story, erasing
from scenario import ANA, KEYRING
from waiting import PATIENCE_S, until

ALL = every()
ADA = PEOPLE[0]
SECRET = "Ada earns 90,000"


@pytest.fixture(scope="module")
def told(templates: Callable[..., str], read_models: str) -> str:
    """A template that holds a story, of which nothing is projected."""
    with Ledger(templates("told", of=read_models), KEYRING) as ledger:
        asyncio.run(a_full_story(ledger))
    return "told"


@pytest.fixture(scope="module")
def projected(templates: Callable[..., str], told: str) -> Dump:
    """What it gives."""
    url = templates("told_projected", of=told)
    with Ledger(url, KEYRING) as ledger:
        return driven(url, ALL, reading(ledger), batch=1000)


@pytest.fixture
def template(told: str) -> str:
    return told


@pytest.fixture
def read(ledger: Ledger) -> Read:
    return reading(ledger)


@pytest.fixture
def said() -> Iterator[list[Any]]:
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HALTED_S", 0.3)


def level(url: str, at: int) -> bool:
    return positions(url) == {projection.name: at for projection in ALL}


def write_note(ledger: Ledger, text: str = SECRET) -> int:
    receipt = asyncio.run(
        ledger.decide(lambda w: intake.record(w, ADA, note(text)), intent=Intent(by=ANA))
    )
    assert receipt.position is not None
    return receipt.position


# exactly once


class Killed(BaseException):
    """At this very moment."""


@pytest.mark.parametrize("moment", ["position is moved", "rows are written"])
@pytest.mark.parametrize("projection", ALL, ids=lambda projection: projection.name)
def test_killed_between_writing_and_committing_it_counts_nothing_twice_and_skips_nothing(
    read: Read, projected: Dump, database: str, projection: Projection, moment: str
) -> None:
    """Every other batch dies. The driver goes on: what it had in memory must not be believed."""
    with connect(database) as conn:
        driver = Driver(projection, read, conn)
        project = driver._project

        def dying(entries: Sequence[Entry[Event]], cur: Any) -> None:
            if moment == "rows are written":
                project(entries, cur)
            raise Killed

        while entries := read(driver.position, 3):
            driver._project = dying  # type: ignore[method-assign]
            with pytest.raises(Killed):
                driver.step(entries)
            driver._project = project  # type: ignore[method-assign]
            driver.step(entries)

        found = dump(conn, [projection])
        assert found == {name: projected[name] for name in found}


@pytest.mark.long
def test_a_projector_killed_outright_goes_on_where_it_committed(
    read: Read, databases: Callable[..., str], database: str, ledger: Ledger
) -> None:
    """SIGKILL to the process, again and again, while it works its way up a batch of 1 at a time."""
    script = f"""
import sys
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.sealing import Keyring
from ledger_crm.workers import projector
projector.BATCH = 1
ledger = Ledger({database!r}, Keyring(b"k" * 32))
projector.Projector(
    {database!r}, lambda a, n: ledger.store.entries(after=a, limit=n), every()
).run()
"""
    for _ in range(60):
        write_note(ledger)
    head = asyncio.run(ledger.head())
    reached = 0
    for part in (0.3, 0.7):
        process = subprocess.Popen([sys.executable, "-c", script])
        try:
            until(lambda p=part: sum(positions(database).values()) > p * head * len(ALL))  # type: ignore[misc]
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        now = sum(positions(database).values())
        assert now > reached
        reached = now
    with running(Projector(database, read, ALL)):
        until(lambda: level(database, head))

    with connect(database) as conn:
        assert dump(conn, ALL) == driven(databases(), ALL, read, batch=1000)


def test_two_that_write_at_once_cannot_both_move_a_projection(
    read: Read, databases: Callable[..., str], database: str
) -> None:
    [people] = [projection for projection in ALL if projection.name == "people"]
    with connect(database) as one, connect(database) as two:
        slow, quick = Driver(people, read, one), Driver(people, read, two)
        quick.catch_up()

        with pytest.raises(NotLeading):
            slow.catch_up()

        assert dump(one, [people]) == driven(databases(), [people], read, batch=1000)


# halting


class Damaged:
    """A reader of a ledger that is damaged at one position."""

    def __init__(self, read: Read, at: int) -> None:
        self.read, self.at, self.mended = read, at, False

    def __call__(self, after: int, limit: int) -> Sequence[Entry[Event]]:
        entries = self.read(after, limit)
        return entries if self.mended else [e for e in entries if e.position != self.at]


def test_it_halts_on_a_hole_says_where_and_goes_on_when_it_is_mended(
    read: Read, database: str, said: list[Any], ledger: Ledger
) -> None:
    head = asyncio.run(ledger.head())
    damaged = Damaged(read, at=10)
    with running(Projector(database, damaged, ALL)):
        until(lambda: len([1 for *_, fault in standing(database).values() if fault]) == len(ALL))

        assert {fault for *_, fault in standing(database).values()} == {
            "position 10 is missing before 11"
        }
        assert set(positions(database).values()) == {0}, "nothing of that batch is kept"
        damaged.mended = True
        until(lambda: level(database, head))

    assert {fault for *_, fault in standing(database).values()} == {None}
    halted = [line for line in said if line["event"] == "halted"]
    assert {line["projection"] for line in halted} == {p.name for p in ALL}
    assert {line["log_level"] for line in halted} == {"error"}


def test_a_hole_right_after_what_is_projected_halts_it_too(read: Read, database: str) -> None:
    with connect(database) as conn:
        driver = Driver(ALL[0], read, conn)
        driver.step(read(0, 9))
        with pytest.raises(Hole, match="position 10 is missing before 11"):
            driver.step(Damaged(read, at=10)(9, 100))
        assert driver.position == 9


def break_entry(owner_url: str, position: int, topic: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as conn:
        conn.execute("ALTER TABLE ledger.entries DISABLE TRIGGER append_only")
        conn.execute(
            "UPDATE ledger.entries SET topic = %s WHERE notification_id = %s", (topic, position)
        )
        conn.execute("ALTER TABLE ledger.entries ENABLE TRIGGER append_only")


def test_it_halts_on_an_entry_that_cannot_be_read_and_tells_where_but_not_what(
    read: Read, database: str, owner_database: str, said: list[Any], ledger: Ledger
) -> None:
    at = write_note(ledger)
    break_entry(owner_database, at, "person.of_a_later_version")
    with running(Projector(database, read, ALL)):
        until(lambda: len([1 for *_, fault in standing(database).values() if fault]) == len(ALL))

        [fault] = {fault for *_, fault in standing(database).values()}
        assert fault is not None
        assert f"position {at}" in fault
        assert "person.of_a_later_version" in fault
        break_entry(owner_database, at, kind(NoteWritten))
        until(lambda: level(database, at))

    assert SECRET not in repr(said) + fault
    assert {fault for *_, fault in standing(database).values()} == {None}


def test_what_goes_before_an_unreadable_entry_is_projected(
    read: Read, database: str, owner_database: str, ledger: Ledger
) -> None:
    at = write_note(ledger)
    write_note(ledger)
    break_entry(owner_database, at + 1, "person.of_a_later_version")
    with running(Projector(database, read, ALL)):
        until(lambda: len([1 for *_, fault in standing(database).values() if fault]) == len(ALL))

        assert level(database, at)


def test_a_reader_that_fails_marks_all_who_read(read: Read, database: str, said: list[Any]) -> None:
    """As with another deployment's key; it tells no more than what kind of fault it is."""

    def failing(after: int, limit: int) -> Sequence[Entry[Event]]:
        raise WrongKey(SECRET)

    with running(Projector(database, failing, ALL)):
        until(lambda: len([1 for *_, fault in standing(database).values() if fault]) == len(ALL))

    assert {fault for *_, fault in standing(database).values()} == {"WrongKey"}
    assert SECRET not in repr(said)


class Strange(Row, frozen=True, kw_only=True):
    id: UUID


strange = Table("strange", Strange, key="id")
believing = Projection("believing", strange, version=1)


@strange.on(ContactPointAdded, key=stream)
def never(row: Strange, entry: Entry[ContactPointAdded]) -> Strange:
    return row


def test_it_halts_on_a_change_to_a_row_that_should_be_there_and_the_others_go_on(
    read: Read, database: str, said: list[Any], ledger: Ledger
) -> None:
    receipt = asyncio.run(
        ledger.decide(
            lambda w: intake.add_contact_point(w, ADA, "email", "ada@example.org"),
            intent=Intent(by=ANA),
        )
    )
    with running(Projector(database, read, [*ALL, believing])):
        until(lambda: standing(database).get("believing", (1, 0, None))[2] is not None)
        after = write_note(ledger)
        until(lambda: all(positions(database).get(p.name) == after for p in ALL))

        _, at, fault = standing(database)["believing"]
        assert at == 0
        assert fault == f"table strange has no row for the entry at {receipt.position}"
    assert "ada@example.org" not in repr(said)
    with connect(database) as conn, pytest.raises(NoSuchRow):
        Driver(believing, read, conn).catch_up()


def test_a_fault_of_our_own_interrupts_one_projection_and_tells_no_values(
    read: Read, database: str, said: list[Any], ledger: Ledger
) -> None:
    clumsy_rows = Table("clumsy", Strange, key="id")
    clumsy = Projection("clumsy", clumsy_rows, version=1)

    @clumsy_rows.starts(NoteWritten)
    def folded(entry: Entry[NoteWritten]) -> Strange:
        raise ValueError(entry.event.text)

    after = write_note(ledger)
    with running(Projector(database, read, [*ALL, clumsy])):
        until(lambda: any(line["event"] == "interrupted" for line in said))
        until(lambda: all(positions(database).get(p.name) == after for p in ALL))

    assert {line["why"] for line in said if line["event"] == "interrupted"} == {"ValueError"}
    assert SECRET not in repr(said)


class WideRow(Row, frozen=True, kw_only=True):
    id: UUID
    text: str


wide = Table("wide", WideRow, key="id", sql="CREATE INDEX ON wide (text);")
too_wide = Projection("too_wide", wide, version=1)


@wide.starts(NoteWritten)
def kept_by_its_text(entry: Entry[NoteWritten]) -> WideRow:
    return WideRow(id=entry.originator_id, text=entry.event.text)


def test_what_the_database_has_no_room_for_halts_the_one_whose_row_it_is(
    read: Read, database: str, said: list[Any], ledger: Ledger
) -> None:
    """It is an OperationalError, as a connection that is lost."""
    after = write_note(ledger, "".join(random.Random(1).choices(ascii_letters, k=9_000)))
    with running(Projector(database, read, [*ALL, too_wide])):
        until(lambda: standing(database).get("too_wide", (1, 0, None))[2] is not None)
        until(lambda: all(positions(database).get(p.name) == after for p in ALL))

    assert standing(database)["too_wide"][2] == "ProgramLimitExceeded"


# as one


def test_those_at_one_position_read_the_ledger_once_and_whoever_is_behind_goes_on_with_them(
    read: Read, databases: Callable[..., str], database: str, ledger: Ledger
) -> None:
    pages: list[tuple[int, int]] = []

    def counted(after: int, limit: int) -> Sequence[Entry[Event]]:
        pages.append((after, limit))
        return read(after, limit)

    head = asyncio.run(ledger.head())
    with connect(database) as conn:
        crew = Crew(conn, counted, ALL)
        while crew.look():
            assert crew.advance()
        assert pages == [(0, module.BATCH)]

        ask_to_rebuild(conn, "people")
        assert crew.look(), "it begins again at once: readers wait for it"
        pages.clear()
        at = write_note(ledger)
        while crew.look():
            assert crew.advance()

        front, behind = pages[::2], pages[1::2]
        assert front == [(head, module.BATCH), (at, module.BATCH)], "it is not held up"
        assert behind == [(0, head), (head, at - head)], "not past those that it is to join"
        assert level(database, at)
        assert dump(conn, ALL) == driven(databases(), ALL, read, batch=1000)


def test_those_with_nothing_to_make_or_to_move_begin_by_one_look_at_all(
    read: Read, database: str
) -> None:
    """Given one that an older version left, which did not yet say which tables it has."""
    with connect(database) as conn:
        assert Crew(conn, read, ALL).catch_up() == {}
        conn.execute("UPDATE projection_position SET relations = NULL WHERE name = 'people'")
    begun: list[str] = []
    with connect(database) as conn, pytest.MonkeyPatch.context() as patch:
        begin = Driver._begin
        patch.setattr(Driver, "_begin", lambda self: (begun.append(self.name), begin(self))[1])
        crew = Crew(conn, read, ALL)
        assert not crew.look()
        assert begun == ["people"]
        head = positions(database)["people"]
        assert {driver.left for driver in crew._drivers.values()} == {
            (projection.version, head, 0) for projection in ALL
        }
        unknown = "SELECT name FROM projection_position WHERE relations IS NULL"
        assert conn.execute(unknown.encode()).fetchall() == []


def test_who_brings_them_level_once_is_told_who_is_not_and_why(
    read: Read, database: str, ledger: Ledger
) -> None:
    """Given one that another leads, and one that halts."""
    adding = lambda work: intake.add_contact_point(work, ADA, "email", "ada@example.org")  # noqa: E731
    at = asyncio.run(ledger.decide(adding, intent=Intent(by=ANA))).position
    with connect(database) as conn, connect(database) as other:
        assert try_to_lead(other, "history")
        left = Crew(conn, read, [*ALL, believing]).catch_up()
    assert left == {"history": "", "believing": f"table strange has no row for the entry at {at}"}
    assert {p.name for p in ALL if positions(database).get(p.name) != at} == {"history"}


def test_each_who_is_behind_gets_on_in_each_round(
    read: Read,
    databases: Callable[..., str],
    database: str,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One is a little behind, and another all the way."""
    chosen = [p for p in ALL if p.name in {"people", "history", "accounts"}]
    people, *_ = sorted(chosen, key=lambda p: p.name != "people")
    head = asyncio.run(ledger.head())
    monkeypatch.setattr(module, "BATCH_BEHIND", 4)
    with connect(database) as conn:
        Driver(people, read, conn).step(read(0, head - 10))
        for other in chosen:
            if other.name == "history":
                Driver(other, read, conn).catch_up()
        crew = Crew(conn, read, chosen)
        assert crew.look()
        names = ("accounts", "people", "history")

        def stand() -> list[int]:
            return [positions(database)[name] for name in names]

        assert stand() == [0, head - 10, head]
        crew.advance()
        assert stand() == [4, head - 6, head]
        while crew.look():
            crew.advance()
        assert dump(conn, chosen) == driven(databases(), chosen, read, batch=1000)


# leading


def test_one_leads_and_another_takes_over_when_it_is_killed(
    read: Read,
    databases: Callable[..., str],
    database: str,
    owner_database: str,
    ledger: Ledger,
    said: list[Any],
) -> None:
    """Killed: its sessions are cut, as when the process or its machine dies."""
    first, second = (Projector(database, reading(ledger), ALL) for _ in range(2))

    def leaders() -> int:
        return sum(line["event"] == "leading" for line in said)

    with running(first):
        until(lambda: leaders() == len(ALL))
        with running(second):
            at = write_note(ledger)
            until(lambda: level(database, at))
            assert leaders() == len(ALL), "the second one waits"
            first.stop()
            until(lambda: leaders() == 2 * len(ALL))
            at = write_note(ledger)
            until(lambda: level(database, at))

    with connect(database) as conn:
        assert dump(conn, ALL) == driven(databases(), ALL, read, batch=1000)


def test_it_comes_back_when_its_sessions_are_cut(
    read: Read, database: str, owner_database: str, ledger: Ledger
) -> None:
    with running(Projector(database, read, ALL)):
        until(lambda: level(database, asyncio.run(ledger.head())))
        with psycopg.connect(owner_database, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        at = write_note(ledger)
        until(lambda: level(database, at))


def test_who_leads_is_asked_to_rebuild_and_does(read: Read, database: str, ledger: Ledger) -> None:
    head = asyncio.run(ledger.head())
    [people] = [projection for projection in ALL if projection.name == "people"]
    with running(Projector(database, read, ALL)), connect(database) as conn:
        until(lambda: level(database, head))
        expected = dump(conn, ALL)
        conn.execute("UPDATE person SET name = 'garbled'")
        conn.execute("DELETE FROM employment")
        assert not try_to_lead(conn, "people"), "somebody leads it"

        ask_to_rebuild(conn, "people")

        until(lambda: dump(conn, ALL) == expected)
        until(lambda: standing(database)["people"] == (people.version, head, None))


def test_who_is_to_be_made_anew_while_somebody_reads_it_holds_up_no_other(
    read: Read, database: str, ledger: Ledger, said: list[Any]
) -> None:
    [people] = [projection for projection in ALL if projection.name == "people"]
    with running(Projector(database, read, ALL)), connect(database) as conn:
        until(lambda: level(database, asyncio.run(ledger.head())))
        with conn.transaction():
            conn.execute("SELECT FROM person LIMIT 1")
            with connect(database) as other:
                ask_to_rebuild(other, "people")
            until(lambda: any(line["event"] == "waits for readers" for line in said))
            at = write_note(ledger)
            until(lambda: all(positions(database)[p.name] == at for p in ALL if p != people))

        until(lambda: standing(database)["people"] == (people.version, at, None))


def test_readers_of_many_hold_up_the_others_once_a_look(
    read: Read, database: str, ledger: Ledger, said: list[Any]
) -> None:
    with connect(database) as conn, connect(database) as reader, reader.transaction():
        crew = Crew(conn, read, ALL)
        while crew.look():
            crew.advance()
        reader.execute("SELECT FROM person, history LIMIT 1")
        for name in ("people", "history"):
            ask_to_rebuild(conn, name)
        said.clear()

        crew.look()

        assert [line["event"] for line in said].count("waits for readers") == 1


def test_an_erasure_does_not_wait_for_who_reads_what_was_replaced(
    read: Read, database: str, ledger: Ledger, said: list[Any]
) -> None:
    """The one whose kept table is read waits; the others go on."""
    [people] = [projection for projection in ALL if projection.name == "people"]
    with running(Projector(database, read, ALL)), connect(database) as conn:
        until(lambda: level(database, asyncio.run(ledger.head())))
        rebuild(database, people, read, lambda at: None)
        with conn.transaction():
            conn.execute("SELECT FROM last_read.person LIMIT 1")
            asyncio.run(ledger.decide(erasing(ADA), intent=Intent(by=ANA)))
            at = asyncio.run(ledger.head())
            until(lambda: all(positions(database)[p.name] == at for p in ALL if p != people))
            assert positions(database)["people"] < at

        until(lambda: level(database, at))


# in time


def test_an_entry_shows_at_once_when_it_is_heard_of_and_within_a_poll_when_it_is_not(
    read: Read, database: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def took_s() -> float:
        at = write_note(ledger)
        since = time.monotonic()
        until(lambda: level(database, at))
        return time.monotonic() - since

    monkeypatch.setattr(module, "POLL_S", 60.0)
    with running_quietly(Projector(database, read, ALL), wake=lambda: write_note(ledger)):
        until(lambda: level(database, asyncio.run(ledger.head())))
        assert min(took_s() for _ in range(3)) < 30, "NOTIFY is heard"

    def deaf(conn: Any, *, timeout: float, stop_after: int) -> Iterator[Any]:
        threading.Event().wait(timeout)
        return iter(())

    monkeypatch.setattr(module, "POLL_S", 0.25)
    monkeypatch.setattr(psycopg.Connection, "notifies", deaf)
    with running(Projector(database, read, ALL)):
        until(lambda: level(database, asyncio.run(ledger.head())))
        took_s()


def test_while_nothing_is_written_the_ledger_is_not_read(
    read: Read, database: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, at_each_look = 0, [-1]
    look = Crew.look

    def counted(after: int, limit: int) -> Sequence[Entry[Event]]:
        nonlocal reads
        reads += 1
        return read(after, limit)

    def looked(self: Crew) -> bool:
        at_each_look.append(reads)
        return look(self)

    monkeypatch.setattr(Crew, "look", looked)
    monkeypatch.setattr(module, "POLL_S", 0.05)
    with running(Projector(database, counted, ALL)):
        until(lambda: level(database, asyncio.run(ledger.head())))
        until(lambda: len(at_each_look) > 5 and len(set(at_each_look[-5:])) == 1)
        at = write_note(ledger)
        until(lambda: level(database, at))


@contextmanager
def running_quietly(projector: Projector, wake: Callable[[], object]) -> Iterator[None]:
    """With a long poll, which stopping must not wait for."""
    thread = threading.Thread(target=projector.run, daemon=True)
    thread.start()
    yield
    projector.stop()
    wake()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
