"""Indexes by which readers look: made once a read model is built, before anybody reads it."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from unittest.mock import patch

import psycopg
import pytest

from ledger_crm.domain.interaction import NoteWritten
from ledger_crm.ledger import Ledger
from ledger_crm.projections import NEXT, PAST, SCHEMA, Projection, Row, Table, every
from ledger_crm.workers import projector
from ledger_crm.workers.beside import Connection, Unmakable
from ledger_crm.workers.building import go_back, rebuild
from ledger_crm.workers.parts import Shared
from ledger_crm.workers.projector import Crew, Driver, Read, connect, try_to_lead
from projections.driving import driven, positions, reading, standing
from projections.stories import a_full_story
from scenario import KEYRING
from waiting import until

ALL = every()
PEOPLE = next(p for p in ALL if p.name == "people")
HISTORY = next(p for p in ALL if p.name == "history")


@pytest.fixture(scope="module")
def told(templates: Callable[..., str]) -> str:
    """A template that holds a story, of which nothing is projected."""
    with Ledger(templates("told_unread"), KEYRING) as ledger:
        asyncio.run(a_full_story(ledger))
    return "told_unread"


@pytest.fixture
def template(told: str) -> str:
    return told


@pytest.fixture
def read(ledger: Ledger) -> Read:
    return reading(ledger)


def indexes(conn: Connection, *projections: Projection, home: str = "") -> list[str]:
    """As the database tells them, without what it calls those that have no name."""
    found = conn.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = ANY(%s) AND tablename = ANY(%s)",
        (
            [f"{home}{SCHEMA}", f"{home}{PAST}"],
            [table.name for projection in projections for table in projection.tables],
        ),
    ).fetchall()
    return sorted(
        re.sub(r"INDEX \S+ ON ", "INDEX ON ", told).replace(f" {home}", " ") for (told,) in found
    )


def all_of(conn: Connection, *projections: Projection) -> list[str]:
    """Those of tables that are made with all of them."""
    with conn.transaction(force_rollback=True):
        for projection in projections:
            for table in projection.tables:
                conn.execute(table.ddl().encode())
        return indexes(conn, *projections)


def test_every_read_model_has_all_of_its_indexes_once_it_is_built_and_few_before(
    read: Read, database: str
) -> None:
    with connect(database) as conn:
        crew = Crew(conn, read, ALL)
        crew.look()
        before = indexes(conn, *ALL)
        assert crew.catch_up() == {}

        found = indexes(conn, *ALL)

        assert found == all_of(conn, *ALL)
        assert len(before) < len(found) / 2
        assert {*before} < {*found}


def test_in_batches_it_has_none_of_them_until_the_last_and_then_all(
    read: Read, database: str
) -> None:
    with connect(database) as conn:
        driver = Driver(PEOPLE, read, conn)
        before, [[head]] = (
            indexes(conn, PEOPLE),
            conn.execute("SELECT position FROM ledger.head").fetchall(),
        )
        driver.step(read(0, head - 1))
        assert indexes(conn, PEOPLE) == before
        driver.step(read(head - 1, 1))
        assert indexes(conn, PEOPLE) == all_of(conn, PEOPLE)


def test_whoever_dies_while_they_are_made_has_not_got_there_and_the_next_one_makes_them(
    read: Read, database: str
) -> None:
    """Given a table whose indexes cannot be made the first time, then its read model stands where
    it stood and nobody may read it; when it is begun again, they are made."""

    def dies(table: Table[object], beside: str = "") -> str:
        return f"{made(table, beside)} SELECT pg_terminate_backend(pg_backend_pid());"

    made = Table.indexes
    with connect(database) as conn:
        driver = Driver(PEOPLE, read, conn)
        with patch.object(Table, "indexes", dies), pytest.raises(psycopg.OperationalError):
            driver.catch_up(batch=20)
    with connect(database) as conn:
        [[position, serves_from]] = conn.execute(
            "SELECT position, serves_from FROM projection_position WHERE name = 'people'"
        ).fetchall()
        assert 0 < position < serves_from

        assert Crew(conn, read, [PEOPLE]).catch_up() == {}

        assert indexes(conn, PEOPLE) == all_of(conn, PEOPLE)


def test_one_that_is_made_anew_beside_others_that_are_level_has_them_at_once(
    read: Read, database: str
) -> None:
    """For they would wait until all of them are made."""
    with connect(database) as conn:
        assert Crew(conn, read, [HISTORY, PEOPLE]).catch_up() == {}
        projector.ask_to_rebuild(conn, "people")
        Crew(conn, read, [PEOPLE, HISTORY]).look()
        assert indexes(conn, PEOPLE) == all_of(conn, PEOPLE)


def test_nor_does_anybody_wait_who_is_level_when_a_new_program_begins_after_an_older_one(
    read: Read, database: str
) -> None:
    """Given positions as an older version kept them, and one read model in another shape."""
    later = Projection(PEOPLE.name, *PEOPLE.tables, version=PEOPLE.version + 1)
    with connect(database) as conn:
        assert Crew(conn, read, [PEOPLE, HISTORY]).catch_up() == {}
        conn.execute("ALTER TABLE projection_position DROP COLUMN indexed")
    with connect(database) as conn:
        Crew(conn, read, [later, HISTORY]).look()
        assert indexes(conn, later) == all_of(conn, later)


def test_nor_who_is_level_beside_one_that_takes_its_place_half_built(
    read: Read, database: str
) -> None:
    later = Projection(PEOPLE.name, *PEOPLE.tables, version=PEOPLE.version + 1)
    driven(database, [PEOPLE, HISTORY], read, batch=500)
    with connect(database, beside=NEXT) as conn:
        Driver(later, read, conn, beside=NEXT).step(read(0, 5))
    with connect(database) as conn:
        Crew(conn, read, [later, HISTORY]).look()
        assert indexes(conn, later) == all_of(conn, later)
        assert positions(database)["people"] == 5


def test_all_that_are_in_the_midst_of_a_first_build_go_on_without_them(
    read: Read, database: str
) -> None:
    with connect(database) as conn:
        crew = Crew(conn, lambda after, limit: read(after, min(limit, 20)), [PEOPLE, HISTORY])
        crew.look()
        before = indexes(conn, PEOPLE, HISTORY)
        crew.advance()
    with connect(database) as conn:
        Crew(conn, read, [PEOPLE, HISTORY]).look()
        assert indexes(conn, PEOPLE, HISTORY) == before
        assert 0 < positions(database)["people"] == positions(database)["history"]


def test_what_an_older_program_made_meanwhile_is_there(read: Read, database: str) -> None:
    """Which knows nothing of indexes that are made later, and says nothing of having made them."""
    with connect(database) as conn:
        driver = Driver(PEOPLE, read, conn)
        with conn.transaction():
            for table in PEOPLE.tables:
                conn.execute(table.ddl().encode())
        driver.catch_up()
        assert {*indexes(conn, PEOPLE)} == {*all_of(conn, PEOPLE)}


def test_one_goes_back_though_an_older_program_kept_the_positions(
    read: Read, database: str
) -> None:
    driven(database, [PEOPLE], read, batch=500)
    rebuild(database, PEOPLE, read, lambda at: None)
    with connect(database) as conn:
        conn.execute("ALTER TABLE projection_position DROP COLUMN indexed")
        [[head]] = conn.execute("SELECT position FROM ledger.head").fetchall()
    assert go_back(database, PEOPLE) == head


def test_what_is_asked_all_day_is_not_compiled_each_time(database: str) -> None:
    """Which PostgreSQL 17 would, where it may not scan a table of one row."""
    with connect(database) as conn:
        assert conn.execute("SHOW jit").fetchall() == [("off",)]


@pytest.mark.parametrize("shared", [None, Shared(2, b"k" * 32)], ids=["alone", "in parts"])
def test_what_is_built_beside_has_them_before_it_takes_the_place(
    read: Read, database: str, shared: Shared | None
) -> None:
    driven(database, [PEOPLE], read, batch=500)
    with connect(database) as conn:
        expected = all_of(conn, PEOPLE)
        rebuild(database, PEOPLE, read, lambda at: None, shared)
        assert indexes(conn, PEOPLE) == expected


def test_what_takes_the_place_half_built_gets_them_when_it_gets_there(
    read: Read, database: str
) -> None:
    """Given a new version that somebody began to build beside, and left."""
    later = Projection(PEOPLE.name, *PEOPLE.tables, version=PEOPLE.version + 1)
    driven(database, [PEOPLE], read, batch=500)
    with connect(database, beside=NEXT) as conn:
        Driver(later, read, conn, beside=NEXT).step(read(0, 5))
    with connect(database) as conn:
        driver = Driver(later, read, conn)
        assert driver.position == 5
        assert indexes(conn, later) != all_of(conn, later)
        driver.catch_up()
        assert indexes(conn, later) == all_of(conn, later)


def test_a_ledger_without_entries_is_read_at_once_and_so_has_them_at_once(
    databases: Callable[..., str],
) -> None:
    with connect(databases(of="template_ledger")) as conn:
        Driver(PEOPLE, lambda after, limit: (), conn)
        assert indexes(conn, PEOPLE) == all_of(conn, PEOPLE)


class HeardRow(Row, frozen=True, kw_only=True):
    position: int
    at: datetime


def hearing(sql: str) -> Projection:
    heard = Table("heard", HeardRow, key="position", sql=sql)
    heard.starts(NoteWritten)(lambda entry: HeardRow(position=entry.position, at=entry.at))
    return Projection("hearing", heard, version=1)


def test_an_index_that_cannot_be_made_is_told_before_anything_is_folded(
    read: Read, database: str
) -> None:
    """And not after hours of a long build."""
    misspelt = hearing("CREATE INDEX heard_when ON heard (when_it_was)")
    why = 'hearing cannot have its tables: column "when_it_was" does not exist'
    with connect(database) as conn:
        with pytest.raises(Unmakable, match=why):
            Driver(misspelt, read, conn)
        assert Crew(conn, read, [PEOPLE, misspelt]).catch_up() == {"hearing": why}
        assert standing(database)["hearing"] == (0, 0, why)

        mended = hearing("CREATE INDEX heard_at ON heard (at)")  # and no semicolon
        assert Crew(conn, read, [PEOPLE, mended]).catch_up() == {}
        assert "CREATE INDEX ON read.heard USING btree (at)" in indexes(conn, mended)


def test_whoever_is_killed_while_the_database_works_for_them_leads_no_longer(
    database: str,
) -> None:
    """Or the same command again would be refused until an index is made that nobody wants."""
    with connect(database) as other, connect(database) as conn:
        assert try_to_lead(conn, "people")
        with ThreadPoolExecutor(1) as working:
            works = working.submit(conn.execute, "SELECT pg_sleep(600)")
            until(lambda: is_asleep(other))
            with socket.socket(fileno=os.dup(conn.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)
            assert isinstance(works.exception(), psycopg.OperationalError)
        until(lambda: try_to_lead(other, "people"))


def is_asleep(conn: Connection) -> bool:
    asked = (
        "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    return conn.execute(asked).fetchone() is not None
