"""Projector: keeps every read model level with the ledger.

The position of a projection moves in the transaction that writes its rows, so each entry is
projected exactly once whatever dies in between. Rows that a batch needs are fetched at once,
folded in memory and written at once: a row at a time is a hundred times slower. What was fetched
stays in memory for the next batch, since nobody else writes it: one projector leads each
projection, by an advisory lock.

It halts, loudly, on a hole, on an entry that cannot be read, and on an entry that changes a row
which should be there and is not. It never skips.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from time import monotonic
from typing import Any, TypeAlias

import psycopg
import structlog
from psycopg.rows import tuple_row

from ledger_crm import tracing
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.ledger import Undecodable
from ledger_crm.projections import (
    NEXT,
    POSITIONS,
    SCHEMA,
    Key,
    Projection,
)
from ledger_crm.store import Lost

from .beside import (
    LEADS,
    Connection,
    clear,
    drop,
    forget,
    is_begun,
    is_built,
    relations_of,
    row_of,
    take_place,
)
from .rows import NOBODY, NoSuchRow, Rows

Read: TypeAlias = Callable[[int, int], Sequence[Entry[Event]]]
"""Entries after a position, at most so many, in ledger order."""

BATCH = 2_000
POLL_S = 0.25  # a NOTIFY is a hint that may be missed; polling is the truth
IDLE_S = 5.0  # after which whoever was not woken looks for itself
HALTED_S = 10.0  # between attempts of one that halted: what it halts on takes a deploy to mend
LOCK = f"SELECT {{}}({LEADS})"
KEPT_ENTRIES = 4 * BATCH  # in memory, for projections that have not got to them
PASSING = (psycopg.OperationalError, *Lost)  # the database is away: nothing to mend here

log = structlog.get_logger("projector")


class Hole(Exception):
    """The ledger has a hole: positions are dense, so this is a fault and no "maybe"."""


class NotLeading(Exception):
    """Another projector moved this projection on."""


def connect(url: str, *, beside: str = "") -> Connection:
    """With the read models' schema in front, or those that are built beside them. Raises
    psycopg.OperationalError."""
    conn = psycopg.connect(url, autocommit=True, row_factory=tuple_row, connect_timeout=5)
    path = f"{beside}{SCHEMA}, {SCHEMA}" if beside else SCHEMA
    conn.execute(f"SET search_path = {path}".encode())
    conn.execute("SET timezone = 'UTC'")
    return conn


class Driver:
    """Drives one projection over one connection, batch by batch.

    beside  what the names of its schemas begin with, if it is not the one that is read
    """

    def __init__(
        self, projection: Projection, read: Read, conn: Connection, *, beside: str = ""
    ) -> None:
        self.projection, self.read, self.conn, self.beside = projection, read, conn, beside
        self.name = row_of(beside, projection.name)
        self._rows = {table.name: Rows(table, beside) for table in projection.tables}
        self.position, self.generation = self._begin()

    def catch_up(
        self,
        *,
        batch: int = BATCH,
        progress: Callable[[int], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> int:
        """Projects all there is; the position reached, at least the head on entering. Reads the
        next batch while it writes one. Between batches it may be ``stopped``.

        The position moves past entries that are none of its business too, so that "has it
        got to my write?" has an answer for every projection.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
            entries = self.read(self.position, batch)
            while entries and not stopped():
                more = len(entries) == batch  # else this is the head, and nothing to read ahead of
                ahead = reader.submit(self.read, entries[-1].position, batch) if more else None
                self.step(entries)
                if progress:
                    progress(self.position)
                entries = ahead.result() if ahead else self.read(self.position, batch)
        return self.position

    def step(self, entries: Sequence[Entry[Event]]) -> None:
        """One batch, one transaction. Raises Hole, NoSuchRow, NotLeading."""
        for expected, entry in enumerate(entries, start=self.position + 1):
            if entry.position != expected:
                raise Hole(f"position {expected} is missing before {entry.position}")
        self.write(entries, entries[-1].position)

    def write(self, entries: Sequence[Entry[Event]], upto: int) -> None:
        """All that is its business up to there."""
        try:
            with self._span(entries, upto), self.conn.transaction(), self.conn.cursor() as cur:
                cur.execute(  # first: who has lost the lead waits here, and writes no row
                    "UPDATE projection_position SET position = %s, fault = NULL"
                    " WHERE name = %s AND version = %s AND position = %s AND generation = %s",
                    (
                        upto,
                        self.name,
                        self.projection.version,
                        self.position,
                        self.generation,
                    ),
                )
                if cur.rowcount != 1:
                    raise NotLeading(self.projection.name)
                self._project(entries, cur)
                if not self.beside and any(isinstance(e.event, PersonErased) for e in entries):
                    forget(self.conn, self.projection)
        except BaseException:
            for rows in self._rows.values():
                rows.forget()
            raise
        self.position = upto

    def _span(self, entries: Sequence[Entry[Event]], upto: int) -> tracing.Span | tracing.Nothing:
        """None of what is none of its business: each entry passes all read models."""
        if not tracing.is_on():
            return tracing.NOTHING
        ours = [e for e in entries if self.projection.handlers_of(type(e.event))]
        if not ours:
            return tracing.NOTHING
        return tracing.span(
            f"project {self.projection.name}",
            role="consumer",
            causes=(entry.cause for entry in ours),
            projection=self.projection.name,
            entries=len(ours),
            position=upto,
        )

    def stands(self) -> bool:
        """Whether the projection is where this driver left it; not after ``ask_to_rebuild``."""
        row = self.conn.execute(
            "SELECT version, position, generation FROM projection_position WHERE name = %s",
            (self.name,),
        ).fetchone()
        return row == (self.projection.version, self.position, self.generation)

    def is_well(self) -> None:
        """Forgets why an earlier leader halted: a batch does so too, but there may be none."""
        self.conn.execute(
            "UPDATE projection_position SET fault = NULL WHERE name = %s AND fault IS NOT NULL",
            (self.name,),
        )

    def rebuild(self) -> None:
        """Back to before the first entry, with empty tables, which nobody reads until they have
        got to where the ledger is now."""
        with self.conn.transaction():
            self._create()
        self.position = 0

    def _project(self, entries: Sequence[Entry[Event]], cur: psycopg.Cursor[Any]) -> None:
        work = []
        asked: dict[str, list[tuple[Key, datetime]]] = {name: [] for name in self._rows}
        for entry in entries:
            if handlers := self.projection.handlers_of(type(entry.event)):
                at = entry.at
                for table, handler in handlers:
                    rows, wanted = self._rows[table.name], asked[table.name]
                    touched = rows.touched(handler, entry)
                    if touched is not NOBODY:
                        work.append((rows, handler, entry, at, touched))
                        for key, _ in touched:
                            wanted.append((key, at))
        for name, rows in self._rows.items():
            if asked[name] and not rows.grows:
                rows.fetch(asked[name], cur)
        for rows, handler, entry, at, touched in work:
            rows.fold(handler, entry, at, touched, cur)
        for rows in self._rows.values():
            rows.write(cur)

    def _begin(self) -> tuple[int, int]:
        """Where it stands, and of which generation; creates the tables on first sight. In a new
        version what was built beside takes its place, or the tables are created anew."""
        with self.conn.transaction():
            self.conn.execute("SELECT pg_advisory_xact_lock(hashtext('ledger_crm projections'))")
            self.conn.execute(POSITIONS)
            if (found := self._standing()) and found[0] == self.projection.version:
                if not self.beside and is_begun(self.conn, self.projection):
                    drop(self.conn, self.projection, NEXT)  # whoever built it has given up
                self.conn.execute(
                    "UPDATE projection_position SET relations = %s"
                    " WHERE name = %s AND relations IS NULL",
                    (relations_of(self.projection), self.name),
                )
                return found[1:]
            if found and not self.beside and is_built(self.conn, self.projection):
                take_place(self.conn, self.projection)
            else:
                self._create()
            [_, position, generation] = self._standing() or (0, 0, 0)
            return position, generation

    def _standing(self) -> tuple[int, int, int] | None:
        found: tuple[int, int, int] | None = self.conn.execute(
            "SELECT version, position, generation FROM projection_position WHERE name = %s"
            " FOR UPDATE",
            (self.name,),
        ).fetchone()
        return found

    def _create(self) -> None:
        for rows in self._rows.values():
            rows.forget()
        clear(self.conn, self.projection, self.beside)
        for table in self.projection.tables:
            self.conn.execute(table.ddl(self.beside).encode())
        self.conn.execute(
            "INSERT INTO projection_position (name, version, position, serves_from, relations)"
            " SELECT %s, %s, 0, position, %s FROM ledger.head ON CONFLICT (name) DO UPDATE"
            " SET version = excluded.version, position = 0, fault = NULL,"
            " serves_from = excluded.serves_from, relations = excluded.relations",
            (self.name, self.projection.version, relations_of(self.projection)),
        )


def ask_to_rebuild(conn: Connection, name: str) -> None:
    """Whoever leads the projection builds it anew: in no version of the software it is shape -1."""
    conn.execute("UPDATE projection_position SET version = -1 WHERE name = %s", (name,))


@contextmanager
def leading(conn: Connection, name: str, stopped: threading.Event) -> Iterator[bool]:
    """Waits to lead the projection, and gives it up at the end; False: stopped while waiting.

    The lock is the session's, so a leader that dies is succeeded as soon as its server process
    notices. It lives on the connection that writes, so who lost the one has lost the other.
    """
    while not (led := try_to_lead(conn, name)) and not stopped.wait(POLL_S):
        pass
    try:
        yield led
    finally:
        give_up_lead(conn, name)


def try_to_lead(conn: Connection, name: str) -> bool:
    [[led]] = conn.execute(LOCK.format("pg_try_advisory_lock"), (name,)).fetchall()
    return bool(led)


def give_up_lead(conn: Connection, name: str) -> None:
    with suppress(psycopg.Error):
        conn.execute(LOCK.format("pg_advisory_unlock"), (name,))


class Projector:
    """All projections, a thread each, until ``stop``. Says what it does through structlog."""

    def __init__(self, url: str, read: Read, projections: Sequence[Projection]) -> None:
        self.url, self.once, self.projections = url, Once(read), projections
        self.stopped = threading.Event()
        self._wakes = {projection.name: threading.Event() for projection in projections}

    def run(self) -> None:
        """Returns after ``stop``."""
        threads = [
            threading.Thread(target=self._keep_level, args=(p,), name=p.name)
            for p in self.projections
        ]
        for thread in threads:
            thread.start()
        self._listen()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        self.stopped.set()
        self.once.stop()
        self._wake(self._wakes)

    def _keep_level(self, projection: Projection) -> None:
        wake = self._wakes[projection.name]
        while not self.stopped.is_set():
            try:
                with connect(self.url) as conn, leading(conn, projection.name, self.stopped) as led:
                    if led:
                        log.info("leading", projection=projection.name)
                        with self.once.reader(projection.name) as read:
                            self._lead(projection, read, conn, wake)
            except (Hole, NoSuchRow, Undecodable) as fault:
                log.error("halted", projection=projection.name, why=str(fault))
                self.once.forget()
                self._mark(projection, str(fault))
                self.stopped.wait(HALTED_S)
            except NotLeading:
                log.info("begins again where it stands", projection=projection.name)
                self.stopped.wait(POLL_S)
            except Exception as fault:
                # whatever it is, its text may hold what a row holds: only its name is told
                log.error("interrupted", projection=projection.name, why=type(fault).__name__)
                if not isinstance(fault, PASSING):
                    self._mark(projection, type(fault).__name__)
                self.stopped.wait(1.0)

    def _lead(
        self, projection: Projection, read: Read, conn: Connection, wake: threading.Event
    ) -> None:
        driver = Driver(projection, read, conn)
        well = False
        while not self.stopped.is_set():
            wake.clear()
            entries = read(driver.position, BATCH)
            if not entries and not well:  # only now: one that halts at once was never well
                driver.is_well()
                well = True
            if len(entries) == BATCH:
                driver.step(entries)
                driver.catch_up(stopped=self.stopped.is_set)
            elif entries:
                driver.step(entries)
            elif driver.stands():
                wake.wait(IDLE_S)
            else:
                raise NotLeading(projection.name)

    def _mark(self, projection: Projection, why: str) -> None:
        with suppress(psycopg.Error), connect(self.url) as conn:
            conn.execute(
                "UPDATE projection_position SET fault = %s WHERE name = %s", (why, projection.name)
            )

    def _listen(self) -> None:
        """Wakes whoever has something to do. One looks for all: each for itself, thirty of them
        would ask a few hundred times a second whether there is anything."""
        while not self.stopped.is_set():
            try:
                with connect(self.url) as conn:
                    conn.execute("LISTEN entries")
                    while not self.stopped.is_set():
                        for _ in conn.notifies(timeout=POLL_S, stop_after=1):
                            self._wake(self._wakes)
                        self._wake(self._not_level(conn))
            except psycopg.Error:
                self._wake(self._wakes)  # they may have lost it too, and must notice
                self.stopped.wait(POLL_S)

    def _not_level(self, conn: Connection) -> list[str]:
        """With the ledger, or no longer where their driver left them."""
        found = conn.execute(
            "SELECT p.name, p.version, p.position = h.position"
            " FROM projection_position p, ledger.head h"
        ).fetchall()
        level = {(name, version) for name, version, is_level in found if is_level}
        return [p.name for p in self.projections if (p.name, p.version) not in level]

    def _wake(self, names: Iterable[str]) -> None:
        for name in names:
            self._wakes[name].set()


class Once:
    """Reads the ledger once for several who read it at about the same pace, as projections do that
    are built together, or that follow its head.

    What was read last is kept for those who have not got to it, and no longer: it is open, and
    somebody in it may be erased. Whoever is ahead waits for those who would lose it, but not much
    longer than it works itself: decoding costs more than waiting, and while it waits they work.
    Whoever is further behind, or alone, reads for itself.
    """

    def __init__(
        self, read: Read, *, kept: int = KEPT_ENTRIES, patience: float = 4.0, most_s: float = 5.0
    ) -> None:
        """patience  how many times as long as for its last page a reader waits before the next, but
        not longer than ``most_s``"""
        self._read, self._kept, self._patience, self._most_s = read, kept, patience, most_s
        self._changed = threading.Condition()
        self._window: list[Entry[Event]] = []
        self._asked: dict[str, int] = {}  # by reader: all up to there it has; -1: who knows
        self._given_s: dict[str, float] = {}  # when each was given its last page
        self._reading: set[int] = set()  # after these positions, now
        self._stopped = False

    @contextmanager
    def reader(self, name: str) -> Iterator[Read]:
        """For one of them, by a name of its own."""
        with self._changed:
            self._asked[name], self._given_s[name] = -1, monotonic()
        try:
            yield lambda after, limit: self._give(name, after, limit)
        finally:
            with self._changed:
                del self._asked[name]
                self._forget_what_all_have()
                self._changed.notify_all()

    def forget(self) -> None:
        """What somebody halted on may be mended in the ledger, not here."""
        with self._changed:
            self._window = []

    def stop(self) -> None:
        """From now on nobody waits for others."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _give(self, name: str, after: int, limit: int) -> Sequence[Entry[Event]]:
        worked_s = monotonic() - self._given_s[name]
        with self._changed:
            self._asked[name] = after
            self._forget_what_all_have()
            self._changed.notify_all()
            self._changed.wait_for(lambda: after not in self._reading)
            page = self._found(after, limit)
            if not page:
                self._reading.add(after)
        try:
            if not page:
                page = self._read(after, limit)
                with self._changed:
                    if len(page) == limit:  # else this is the head: nobody is held up there
                        self._wait_for_others(name, page[-1].position, worked_s)
                    self._keep(after, page)
        finally:
            with self._changed:
                self._given_s[name] = monotonic()
                self._reading.discard(after)
                self._changed.notify_all()
        return page

    def _found(self, after: int, limit: int) -> Sequence[Entry[Event]]:
        if not self._window or after < self._window[0].position - 1:
            return ()
        begin = bisect_right(self._window, after, key=_position)
        return self._window[begin : begin + limit]

    def _wait_for_others(self, name: str, new_end: int, worked_s: float) -> None:
        """Until nobody else has still to read what will not be kept."""
        self._changed.wait_for(
            lambda: self._stopped or not self._needed(new_end - self._kept, but=name),
            min(self._patience * worked_s, self._most_s),
        )

    def _needed(self, up_to: int, *, but: str) -> bool:
        """Whether others have still to read what is here up to there."""
        return bool(self._window) and any(
            self._window[0].position - 1 <= asked < up_to
            for other, asked in self._asked.items()
            if other != but
        )

    def _keep(self, after: int, page: Sequence[Entry[Event]]) -> None:
        ends_at = self._window[-1].position if self._window else -1
        if page and after == ends_at:
            self._window = [*self._window, *page][-self._kept :]
        elif page and after > ends_at and not self._needed(ends_at, but=""):
            self._window = list(page)
        self._forget_what_all_have()

    def _forget_what_all_have(self) -> None:
        had = min(self._asked.values(), default=-1)
        if self._window and (not self._asked or self._window[0].position <= had):
            begin = bisect_right(self._window, had, key=_position)
            self._window = self._window[begin:] if self._asked else []


def _position(entry: Entry[Event]) -> int:
    return entry.position or 0
