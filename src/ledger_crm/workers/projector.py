"""Projector: keeps every read model level with the ledger.

The position of a projection moves in the transaction that writes its rows, so each entry is
projected exactly once whatever dies in between. Rows that a batch needs are fetched at once,
folded in memory and written at once: a row at a time is a hundred times slower. What was fetched
stays in memory for the next batch, since nobody else writes it: one projector leads each
projection, by an advisory lock.

Those that stand at the same position go through the ledger as one: each batch is read once, and
written in one transaction. What one halts on is found by letting each do the batch alone.

It halts, loudly, on a hole, on an entry that cannot be read, and on an entry that changes a row
which should be there and is not. It never skips.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
    PAST,
    SCHEMA,
    Key,
    Projection,
)
from ledger_crm.store import Lost

from .beside import (
    LEADS,
    LOCK_WAIT,
    Connection,
    Unmakable,
    clear,
    drop,
    forget,
    forget_left,
    index,
    is_begun,
    is_built,
    keep_positions,
    make,
    relations_of,
    row_of,
    take_place,
)
from .rows import KEPT_ROWS, NOBODY, NoSuchRow, Rows

Read: TypeAlias = Callable[[int, int], Sequence[Entry[Event]]]
"""Entries after a position, at most so many, in ledger order."""

BATCH = 2_000
ANALYSED_FROM = 1_000  # entries: fewer are read in no time, however it is planned
BATCH_BEHIND = 500  # of those that are behind others, who would wait longer for a larger one
POLL_S = 0.25  # a NOTIFY is a hint that may be missed; polling is the truth
HALTED_S = 10.0  # between attempts of one that halted: what it halts on takes a deploy to mend
PAUSE_S = 1.0  # before somebody who was interrupted begins again
LOCK = f"SELECT {{}}({LEADS})"
KEPT_OF_MANY = 5_000  # rows of each table, where all read models share a process
NOWHERE = (0, 0, 0, None)  # version, position, generation, where it needs its indexes
AWAY = ("08", "57P", "25006")  # what SQLSTATE begins with if it is the whole database

log = structlog.get_logger("projector")


class Hole(Exception):
    """The ledger has a hole: positions are dense, so this is a fault and no "maybe"."""


def is_away(fault: BaseException) -> bool:
    """The database, which will be back: nothing to mend here. Not one statement of it, whose index
    or memory or disk has no room, or that took too long."""
    if isinstance(fault, psycopg.OperationalError | psycopg.InterfaceError):
        return fault.sqlstate is None or fault.sqlstate.startswith(AWAY)
    return isinstance(fault, Lost)


class NotLeading(Exception):
    """Another projector moved these projections on: their ``names``."""

    def __init__(self, *names: str) -> None:
        self.names = names
        super().__init__(*names)


def connect(url: str, *, beside: str = "") -> Connection:
    """With the read models' schema in front, or those that are built beside them; what is asked for
    by keys is looked up by keys, however large or empty a table was when somebody planned it.
    Raises psycopg.OperationalError."""
    conn = psycopg.connect(url, autocommit=True, row_factory=tuple_row, connect_timeout=5)
    path = f"{beside}{SCHEMA}, {SCHEMA}" if beside else SCHEMA
    conn.execute(f"SET search_path = {path}".encode())
    conn.execute("SET timezone = 'UTC'")
    with suppress(psycopg.errors.InvalidParameterValue):  # of a server that cannot look for it
        conn.execute("SET client_connection_check_interval = '1s'")  # who is killed leads no longer
    for detour in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"):
        conn.execute(f"SET {detour} = off".encode())
    return conn


def check_dense(entries: Sequence[Entry[Event]], after: int) -> None:
    """Raises Hole."""
    for expected, entry in enumerate(entries, start=after + 1):
        if entry.position != expected:
            raise Hole(f"position {expected} is missing before {entry.position}")


class Driver:
    """Drives one projection over one connection, batch by batch.

    beside  what the names of its schemas begin with, if it is not the one that is read
    kept    rows of each table that may stay in memory between batches
    stands  position and generation, if they are known and there is nothing to make or to move
    later   whether indexes by which readers look are made once the ledger's head of now is reached,
            all at once: in less time, in which nobody else gets on who is led with it; else now
    """

    def __init__(
        self,
        projection: Projection,
        read: Read,
        conn: Connection,
        *,
        beside: str = "",
        kept: int = KEPT_ROWS,
        stands: tuple[int, int] | None = None,
        later: bool = True,
    ) -> None:
        self.projection, self.read, self.conn, self.beside = projection, read, conn, beside
        self.name = row_of(beside, projection.name)
        self._rows = {table.name: Rows(table, beside, kept) for table in projection.tables}
        self._later = later
        self.position, self.generation, self._indexed_at = (
            (*stands, None) if stands else self._begin()
        )
        self.is_new = self.position == 0

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
        check_dense(entries, self.position)
        self.write(entries, entries[-1].position)

    def ready(self, upto: int) -> None:
        """To go up to there: nobody reads it before it has all of its indexes."""
        if self._indexed_at is not None and upto >= self._indexed_at:
            index(self.conn, self.projection, self.beside)
            self._indexed_at = None

    def write(self, entries: Sequence[Entry[Event]], upto: int) -> None:
        """All that is its business up to there."""
        write_together([self], entries, upto)

    def project(self, entries: Sequence[Entry[Event]], upto: int, cur: psycopg.Cursor[Any]) -> None:
        """Within the transaction that moves its position."""
        with self._span(entries, upto):
            self._project(entries, cur)

    def forget(self) -> None:
        """What is in memory: it may not have been written."""
        for rows in self._rows.values():
            rows.forget()

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

    @property
    def left(self) -> tuple[int, int, int]:
        """Version, position and generation of where it left the projection."""
        return self.projection.version, self.position, self.generation

    def rebuild(self) -> None:
        """Back to before the first entry, with empty tables, which nobody reads until they have
        got to where the ledger is now."""
        with self.conn.transaction():
            self._create()
            [_, self.position, self.generation, self._indexed_at] = self._standing() or NOWHERE
        self.is_new = True

    def analyse(self) -> None:
        """So that reads of what was made from the first entry on are planned by what is in it, and
        not by a guess, until the server looks for itself, a minute later or more."""
        for table in self.projection.tables:
            for home in (SCHEMA, PAST) if table.keeps_past else (SCHEMA,):
                self.conn.execute(f"ANALYZE {self.beside}{home}.{table.name}".encode())
        self.is_new = False

    def _project(self, entries: Sequence[Entry[Event]], cur: psycopg.Cursor[Any]) -> None:
        work = []
        asked: dict[str, list[tuple[Key, datetime]]] = {name: [] for name in self._rows}
        for entry in entries:
            if handlers := self.projection.handlers_of(type(entry.event)):
                at = entry.at
                for table, handler in handlers:
                    rows, wanted = self._rows[table.name], asked[table.name]
                    touched = rows.touched(handler, entry)
                    if touched is NOBODY:
                        continue
                    if rows.grows:  # nothing of it has to be there first
                        rows.fold(handler, entry, at, touched, cur)
                        continue
                    work.append((rows, handler, entry, at, touched))
                    for key, _ in touched:
                        wanted.append((key, at))
        for name, rows in self._rows.items():
            if asked[name]:
                rows.fetch(asked[name], cur)
        for rows, handler, entry, at, touched in work:
            rows.fold(handler, entry, at, touched, cur)
        for rows in self._rows.values():
            rows.write(cur)
        for rows in self._rows.values():
            rows.write_reach(cur)

    def _begin(self) -> tuple[int, int, int | None]:
        """Where it stands, of which generation, and where it needs its indexes, if they are still
        to be made; creates the tables on first sight. In a new version what was built beside takes
        its place, or the tables are created anew."""
        with self.conn.transaction():
            keep_positions(self.conn)
            if (found := self._standing()) and found[0] == self.projection.version:
                if not self.beside and is_begun(self.conn, self.projection):
                    drop(self.conn, self.projection, NEXT)  # whoever built it has given up
                self.conn.execute(
                    "UPDATE projection_position SET relations = %s"
                    " WHERE name = %s AND relations IS NULL",
                    (relations_of(self.projection), self.name),
                )
            elif found and not self.beside and is_built(self.conn, self.projection):
                take_place(self.conn, self.projection)
            else:
                self._create()
            if not self._later:
                index(self.conn, self.projection, self.beside)
            [_, position, generation, indexed_at] = self._standing() or NOWHERE
            return position, generation, indexed_at

    def _standing(self) -> tuple[int, int, int, int | None] | None:
        found: tuple[int, int, int, int | None] | None = self.conn.execute(
            "SELECT version, position, generation, CASE WHEN NOT indexed THEN serves_from END"
            " FROM projection_position WHERE name = %s FOR UPDATE",
            (self.name,),
        ).fetchone()
        return found

    def _create(self) -> None:
        self.forget()
        clear(self.conn, self.projection, self.beside)
        [[head]] = self.conn.execute("SELECT position FROM ledger.head").fetchall()
        indexed = head == 0 or not self._later
        make(self.conn, self.projection, self.beside, indexed=indexed)
        self.conn.execute(
            "INSERT INTO projection_position"
            " (name, version, position, serves_from, relations, indexed)"
            " VALUES (%s, %s, 0, %s, %s, %s) ON CONFLICT (name) DO UPDATE"
            " SET version = excluded.version, position = 0, fault = NULL,"
            " serves_from = excluded.serves_from, relations = excluded.relations,"
            " indexed = excluded.indexed",
            (
                self.name,
                self.projection.version,
                head,
                relations_of(self.projection),
                indexed,
            ),
        )


def write_together(drivers: Sequence[Driver], entries: Sequence[Entry[Event]], upto: int) -> None:
    """All that is their business up to there, in one transaction: of all of them, or of none. They
    share a connection and stand at one position. Raises NotLeading, NoSuchRow; LockNotAvailable:
    somebody is erased, and a table that remembers them and is to go is held by who reads it."""
    for driver in drivers:
        driver.ready(upto)
    conn = drivers[0].conn
    mine = {driver.name: driver.left for driver in drivers}
    try:
        with conn.transaction(), conn.cursor() as cur:
            # first: who has lost the lead waits here, and writes no row
            cur.execute(
                "SELECT name, version, position, generation FROM projection_position"
                " WHERE name = ANY(%s) ORDER BY name FOR NO KEY UPDATE",
                (list(mine),),
            )
            found = {name: left for name, *left in cur}
            if lost := [n for n, left in mine.items() if found.get(n) != [*left]]:
                raise NotLeading(*lost)
            cur.execute(
                "UPDATE projection_position SET position = %s, fault = NULL WHERE name = ANY(%s)",
                (upto, list(mine)),
            )
            for driver in drivers:
                driver.project(entries, upto, cur)
            if not drivers[0].beside and any(isinstance(e.event, PersonErased) for e in entries):
                wait_briefly(conn)
                forget(conn, [driver.projection for driver in drivers])
    except BaseException:
        for driver in drivers:
            driver.forget()
        raise
    for driver in drivers:
        driver.position = upto


def wait_briefly(conn: Connection) -> None:
    """For tables that somebody reads, in the transaction that is open: the others wait as well."""
    conn.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'".encode())


def ask_to_rebuild(conn: Connection, name: str) -> None:
    """Whoever leads the projection builds it anew: in no version of the software it is shape -1."""
    conn.execute("UPDATE projection_position SET version = -1 WHERE name = %s", (name,))


def try_to_lead(conn: Connection, name: str) -> bool:
    [[led]] = conn.execute(LOCK.format("pg_try_advisory_lock"), (name,)).fetchall()
    return bool(led)


def give_up_lead(conn: Connection, name: str) -> None:
    with suppress(psycopg.Error):
        conn.execute(LOCK.format("pg_advisory_unlock"), (name,))


class Projector:
    """All projections, until ``stop``. Says what it does through structlog."""

    def __init__(self, url: str, read: Read, projections: Sequence[Projection]) -> None:
        self.url, self.read, self.projections = url, read, projections
        self.stopped = threading.Event()

    def run(self) -> None:
        """Returns after ``stop``."""
        while not self.stopped.is_set():
            try:
                with connect(self.url) as conn, connect(self.url) as listening:
                    listening.execute("LISTEN entries")
                    self._keep_level(Crew(conn, self.read, self.projections), listening)
            except Exception as fault:  # its text may hold what a row holds: only its name is told
                log.error("interrupted", why=type(fault).__name__)
                self.stopped.wait(PAUSE_S)

    def stop(self) -> None:
        self.stopped.set()

    def _keep_level(self, crew: Crew, listening: Connection) -> None:
        looked_s, wanted = monotonic(), crew.look()
        while not self.stopped.is_set():
            moved = wanted and crew.advance()
            heard = moved or any(listening.notifies(timeout=POLL_S, stop_after=1))
            if not heard or monotonic() - looked_s > POLL_S:
                looked_s, wanted = monotonic(), crew.look()
            else:
                wanted = True


class Crew:
    """Those projections that one connection leads."""

    def __init__(self, conn: Connection, read: Read, projections: Sequence[Projection]) -> None:
        self.conn, self.read, self.projections = conn, read, projections
        self._drivers: dict[str, Driver] = {}  # of those that are led
        self._rests_until_s: dict[str, float] = {}
        self._patience_s: dict[str, float] = {}  # of those who found readers in their tables
        self._erased: dict[str, int] = {}  # where somebody was, of those that may be built beside

    def look(self) -> bool:
        """Leads whom nobody leads, lets go who is not where it was left. Whether there is anything
        to do."""
        self._lead()
        self._forget_left()
        found = self.conn.execute(
            "SELECT p.name, p.version, p.position, p.generation, p.fault, h.position"
            " FROM projection_position p, ledger.head h WHERE p.name = ANY(%s)",
            (list(self._drivers),),
        ).fetchall()
        stand = {name: tuple(left) for name, *left, _, _ in found}
        self._begin_again([n for n, d in self._drivers.items() if stand.get(n) != d.left])
        # Why an earlier leader halted: a batch forgets it too, but there may be none.
        well = [n for n, _, at, _, fault, head in found if fault is not None and at == head]
        if well:
            self.conn.execute(
                "UPDATE projection_position SET fault = NULL WHERE name = ANY(%s)", (well,)
            )
        heads = {head for *_, head in found}
        return any(driver.position not in heads for driver in self._drivers.values())

    def catch_up(self, progress: Callable[[int], None] = lambda at: None) -> dict[str, str]:
        """As far as the ledger goes now. By name those that are not there: what they halted on, or
        "" of whom another leads or reads."""
        self.look()
        while self.advance():
            progress(min((driver.position for driver in self._drivers.values()), default=0))
        left = [p.name for p in self.projections if p.name not in self._drivers]
        if not left:
            return {}
        found = self.conn.execute(
            "SELECT name, fault FROM projection_position WHERE name = ANY(%s)", (left,)
        ).fetchall()
        return dict.fromkeys(left, "") | {name: fault or "" for name, fault in found}

    def advance(self) -> bool:
        """A batch of those who are furthest, and one of each who are behind; whether there was
        one."""
        groups: dict[int, list[Driver]] = {}
        for driver in self._drivers.values():
            groups.setdefault(driver.position, []).append(driver)
        if not groups:
            return False
        front, *behind = sorted(groups, reverse=True)
        moved = self._step(groups[front], BATCH)
        for driver in groups[front]:
            if not moved and driver.is_new and driver.position >= ANALYSED_FROM:
                with suppress(psycopg.errors.UndefinedTable):  # another took its place meanwhile
                    driver.analyse()
        for position, next_ in zip(behind, [front, *behind], strict=False):
            # not past those before them, to go on as one from there
            self._step(groups[position], min(BATCH_BEHIND, next_ - position))
        return moved or bool(behind)

    def _step(self, drivers: Sequence[Driver], limit: int) -> bool:
        try:
            entries = self._page(drivers[0].position, limit)
        except (Hole, Undecodable) as fault:
            for driver in drivers:
                self._halted(driver.name, str(fault))
            return True
        except Exception as fault:
            if is_away(fault):
                raise
            for driver in drivers:
                self._interrupted(driver.name, fault)
            return True
        if not entries:
            return False
        try:
            write_together(drivers, entries, entries[-1].position)
            self._look_beside(drivers, entries)
        except NotLeading as lost:
            self._begin_again(lost.names)
        except Exception as fault:
            if is_away(fault):
                raise
            for driver in drivers:
                self._alone(driver, entries)
        return True

    def _page(self, after: int, limit: int) -> Sequence[Entry[Event]]:
        """Also what goes before an entry that cannot be read. Raises Hole, Undecodable."""
        try:
            entries = self.read(after, limit)
        except Undecodable as fault:
            if fault.position <= after + 1:
                raise
            entries = self.read(after, fault.position - after - 1)
        check_dense(entries, after)
        return entries

    def _alone(self, driver: Driver, entries: Sequence[Entry[Event]]) -> None:
        try:
            driver.step(entries)
            self._look_beside([driver], entries)
        except NotLeading as lost:
            self._begin_again(lost.names)
        except NoSuchRow as fault:
            self._halted(driver.name, str(fault))
        except psycopg.errors.LockNotAvailable:
            self._waits_for_readers(driver.name)
        except Exception as fault:
            if is_away(fault):
                raise
            self._interrupted(driver.name, fault)

    def _look_beside(self, drivers: Sequence[Driver], entries: Sequence[Entry[Event]]) -> None:
        if any(isinstance(entry.event, PersonErased) for entry in entries):
            self._erased |= {driver.name: driver.position for driver in drivers}

    def _forget_left(self) -> None:
        """Who is erased was left to those who build one beside: they may be killed before they come
        to it."""
        for projection in self.projections:
            position = self._erased.get(projection.name)
            with suppress(psycopg.errors.LockNotAvailable):
                if position is not None:
                    with self.conn.transaction():
                        wait_briefly(self.conn)
                        if forget_left(self.conn, projection, position):
                            del self._erased[projection.name]

    def _lead(self) -> None:
        now_s = monotonic()
        wanted = {
            p.name: p
            for p in self.projections
            if p.name not in self._drivers and self._rests_until_s.get(p.name, 0.0) <= now_s
        }
        if not wanted:
            return
        asked = f"SELECT name, pg_try_advisory_lock({LEADS.replace('%s', 'name')})"
        found = self.conn.execute(
            f"{asked} FROM unnest(%s::text[]) AS name".encode(), (list(wanted),)
        ).fetchall()
        led = [name for name, is_led in found if is_led]
        stand = self._stand(led, wanted) if led else {}
        later = not (led and self._is_read([*led, *self._drivers]))
        while led:
            name = led.pop()
            log.info("leading", projection=name)
            try:
                self._drivers[name] = self._driver(wanted[name], stand.get(name), later=later)
                self._patience_s.pop(name, None)
            except psycopg.errors.LockNotAvailable:
                self._waits_for_readers(name)
                break  # the next one at the next look: the others have waited for this one
            except Unmakable as fault:
                self._halted(name, str(fault))
            except Exception as fault:
                if is_away(fault):
                    raise
                self._interrupted(name, fault)
        for name in led:
            self._leave(name, 0.0)

    def _stand(
        self, names: Sequence[str], wanted: Mapping[str, Projection]
    ) -> dict[str, tuple[int, int]]:
        """Position and generation of those that have nothing to begin with, by one statement for
        all, where each alone takes a transaction of seven. Somebody may move one meanwhile: who
        writes looks again."""
        try:
            found = self.conn.execute(
                "SELECT name, version, position, generation FROM projection_position p"
                " WHERE name = ANY(%s) AND relations IS NOT NULL AND indexed AND NOT EXISTS"
                " (SELECT FROM projection_position WHERE name = %s || p.name)",
                (list(names), row_of(NEXT, "") + " "),
            ).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return {}  # nobody was here, or an older version
        return {
            name: (position, generation)
            for name, version, position, generation in found
            if version == wanted[name].version
        }

    def _is_read(self, names: Sequence[str]) -> bool:
        """Whether one of these is, who would wait while indexes of another are made."""
        with suppress(psycopg.errors.UndefinedTable):  # nobody was here
            [[is_read]] = self.conn.execute(
                "SELECT EXISTS (SELECT FROM projection_position"
                " WHERE (name, version) IN (SELECT * FROM unnest(%s::text[], %s::int[]))"
                " AND position >= serves_from AND position > 0)",
                ([p.name for p in self.projections if p.name in names],
                 [p.version for p in self.projections if p.name in names]),
            ).fetchall()  # fmt: skip
            return bool(is_read)
        return False

    def _driver(
        self, projection: Projection, stands: tuple[int, int] | None, *, later: bool
    ) -> Driver:
        if stands:
            return Driver(projection, self.read, self.conn, kept=KEPT_OF_MANY, stands=stands)
        with self.conn.transaction():
            wait_briefly(self.conn)
            return Driver(projection, self.read, self.conn, kept=KEPT_OF_MANY, later=later)

    def _waits_for_readers(self, name: str) -> None:
        """Its tables are to be made anew, or kept ones to go, and somebody reads them: the others
        go on, and it asks again, less and less often."""
        log.info("waits for readers", projection=name)
        patience_s = self._patience_s.get(name, POLL_S)
        self._patience_s[name] = min(2 * patience_s, HALTED_S)
        self._leave(name, patience_s)

    def _begin_again(self, names: Sequence[str]) -> None:
        """At once: whoever has just built one anew has readers who wait for their own writes."""
        for name in names:
            log.info("begins again where it stands", projection=name)
            self._leave(name, 0.0)
        if names:
            self._lead()

    def _halted(self, name: str, why: str) -> None:
        log.error("halted", projection=name, why=why)
        self._mark(name, why)
        self._leave(name, HALTED_S)

    def _interrupted(self, name: str, fault: Exception) -> None:
        # whatever it is, its text may hold what a row holds: only its name is told
        log.error("interrupted", projection=name, why=type(fault).__name__)
        self._mark(name, type(fault).__name__)
        self._leave(name, PAUSE_S)

    def _leave(self, name: str, rest_s: float) -> None:
        """Somebody else may lead it meanwhile."""
        self._drivers.pop(name, None)
        self._rests_until_s[name] = monotonic() + rest_s
        give_up_lead(self.conn, name)

    def _mark(self, name: str, why: str) -> None:
        """Also of one that could not begin."""
        with self.conn.transaction():
            keep_positions(self.conn)
            self.conn.execute(
                "INSERT INTO projection_position (name, version, position, serves_from, fault)"
                " VALUES (%s, 0, 0, 0, %s) ON CONFLICT (name) DO UPDATE SET fault = excluded.fault",
                (name, why),
            )
