"""Ways to drive projections, and what they leave: every row of every table, as text."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
from structlog.testing import capture_logs

from ledger_crm.domain.entry import Entry, Event
from ledger_crm.ledger import Ledger
from ledger_crm.projections import (
    HELD_FROM,
    KNOWN_FROM,
    NEXT,
    PAST,
    SCHEMA,
    Changing,
    ChangingEach,
    Key,
    Projection,
    Row,
    Starting,
    Table,
    every,
)
from ledger_crm.sealing import Keyring
from ledger_crm.store import Store
from ledger_crm.workers import parts, projector
from ledger_crm.workers.beside import drop
from ledger_crm.workers.projector import (
    BATCH,
    Connection,
    Crew,
    Projector,
    Read,
    ask_to_rebuild,
    connect,
)
from waiting import PATIENCE_S

Dump = dict[str, bytes]


def reading(ledger: Ledger) -> Read:
    return lambda after, limit: ledger.store.entries(after=after, limit=limit)


def of_list(entries: Sequence[Entry[Event]]) -> Read:
    return lambda after, limit: entries[after : after + limit]


def dump(
    conn: Connection, projections: Iterable[Projection], *, past: bool = True, home: str = ""
) -> Dump:
    """As pg_dump writes the data of a table, in the order of its key; with ``past`` also from when
    on rows held, and those that they replaced."""
    found = {}
    for table in (table for projection in projections for table in projection.tables):
        key = ", ".join(table.key)
        names = "*" if past else ", ".join(table.columns)
        queries = {table.name: f"SELECT {names} FROM {table.name} ORDER BY {key}"}
        if past and table.keeps_past:
            before = f"{home}{PAST}.{table.name}"
            queries[f"{PAST}.{table.name}"] = (
                f"SELECT * FROM {before} ORDER BY {key}, {KNOWN_FROM}, {HELD_FROM}"
            )
        for name, query in queries.items():
            with conn.cursor() as cur, cur.copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
                found[name] = b"".join(map(bytes, copy))
    return found


def sums(
    conn: Connection, home: str, as_of: int | None = None
) -> dict[str, tuple[int, int | None]]:
    """Of each table that keeps its past, in this schema, how many rows it has and a checksum of
    what is in them, by one query. ``as_of``: for the views of the past."""
    conn.execute("SELECT set_config('ledger.as_of', %s, false)", (str(as_of or 0),))
    kept = [table for p in every() for table in p.tables if table.keeps_past]
    query = " UNION ALL ".join(
        f"SELECT '{table.name}', count(*), sum(hashtextextended(shown::text, 0)::numeric)"
        f" FROM (SELECT {', '.join(table.columns)} FROM {home}.{table.name}) shown"
        for table in kept
    )
    return {name: (rows, sum_) for name, rows, sum_ in conn.execute(query.encode()).fetchall()}


class Together:
    """A projector's crew, as far as it gets now: in between another may lead. What it would halt on
    is a failure."""

    def __init__(self, projections: Iterable[Projection], read: Read, conn: Connection) -> None:
        self.conn, self.crew = conn, Crew(conn, read, list(projections))
        with capture_logs():  # a test that reads what is printed has nothing to do with them
            self.crew.look()

    def catch_up(self, batch: int = BATCH) -> None:
        with patch.multiple(projector, BATCH=batch, BATCH_BEHIND=batch), capture_logs():
            left = self.crew.catch_up()
        assert left == {}, "it halted on something, or somebody else leads, or holds tables"
        self.conn.execute("SELECT pg_advisory_unlock_all()")

    def rebuild(self) -> None:
        for projection in self.crew.projections:
            ask_to_rebuild(self.conn, projection.name)


def driven(
    url: str, projections: Iterable[Projection], read: Read, *, batch: int, past: bool = True
) -> Dump:
    """url  of a ledger in which nothing is projected yet"""
    projections = list(projections)
    with connect(url) as conn:
        Together(projections, read, conn).catch_up(batch)
        return dump(conn, projections, past=past)


def driven_in_parts(
    url: str, projections: Iterable[Projection], keyring: Keyring, *, of: int, batch: int
) -> Dump:
    """Those that may be shared out, one part after the other. ``url``: of a ledger with entries, in
    which nothing is built beside."""
    store, shared = Store(url, keyring, connections=2), [p for p in projections if p.parallel]
    try:
        with connect(url, beside=NEXT) as conn:
            for projection in shared:
                assert parts.prepare(conn, projection, of)
                for number in reversed(range(of)):
                    parts.PartDriver(projection, conn, number, of).drive(
                        store, store.head(), lambda at: None, batch=batch
                    )
                parts.finish(conn, projection, of, store.head())
            found = dump(conn, shared, home=NEXT)
            for projection in shared:
                drop(conn, projection, NEXT)
        return found
    finally:
        store.close()


def stored(conn: Connection, table: Table[Any], home: str = SCHEMA) -> dict[Key, Row]:
    columns = ", ".join(table.columns)
    rows = conn.execute(f"SELECT {columns} FROM {home}.{table.name}".encode()).fetchall()
    made = [table.row(**dict(zip(table.columns, row, strict=True))) for row in rows]
    return {table.key_of(row): row for row in made}


def folded(
    projection: Projection, entries: Iterable[Entry[Event]], *, lacking: bool = False
) -> dict[str, dict[Key, Row]]:
    """What the rows have to be, told without SQL, batches and memory of earlier batches: the
    folds, applied to dictionaries in the order of the ledger. ``lacking``: of which some may be
    left out, so that what they began is not there."""
    tables: dict[str, dict[Key, Row]] = {table.name: {} for table in projection.tables}
    for entry in entries:
        for table, handler in projection.handlers_of(type(entry.event)):
            rows = tables[table.name]
            match handler:
                case Starting(start):
                    rows |= {table.key_of(row): row for row in start(entry)}
                case Changing(change, key, start) if key(entry):
                    before = rows.get(key(entry)) or (start and start(entry))
                    if before is None and lacking:
                        continue
                    assert before is not None
                    _put(rows, key(entry), change(before, entry))
                case ChangingEach(change, column, value):
                    for k, row in list(rows.items()):
                        if getattr(row, column) == value(entry):
                            _put(rows, k, change(row, entry))
    return tables


def _put(rows: dict[Key, Row], key: Key, row: Row | None) -> None:
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row


def without_index(conn: Connection, projection: Projection) -> list[str]:
    """Columns by which an entry looks for rows, and which no index begins with."""
    return [
        f"{table.name}.{handler.column}"
        for table in projection.tables
        for handlers in table.handlers.values()
        for handler in handlers
        if isinstance(handler, ChangingEach)
        and not conn.execute(
            "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
            " AND a.attnum = i.indkey[0] WHERE i.indrelid = %s::regclass AND a.attname = %s"
            " AND i.indpred IS NULL",
            (table.name, handler.column),
        ).fetchone()
    ]


# a projector at work


@contextmanager
def running(projector: Projector) -> Iterator[Projector]:
    thread = threading.Thread(target=projector.run)
    thread.start()
    try:
        yield projector
    finally:
        projector.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "it does not stop"


def standing(url: str) -> dict[str, tuple[int, int, str | None]]:
    """By name: version, position, fault."""
    try:
        with connect(url) as conn:
            rows = conn.execute("SELECT name, version, position, fault FROM projection_position")
            return {name: (version, at, fault) for name, version, at, fault in rows}
    except psycopg.errors.UndefinedTable:
        return {}


def positions(url: str) -> dict[str, int]:
    return {name: at for name, (_, at, _) in standing(url).items()}
