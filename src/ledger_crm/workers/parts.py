"""Parts: a read model that is built beside is shared out among processes, by hash of stream.

Only where it says that no row of it is touched by entries of two streams (``Projection.parallel``).
Each process reads the entries of its streams, folds them into the same tables, and has a position
of its own, which moves with its rows: stopped, it goes on from there, and of two that believe to
have the same part one finds out before it has written a row. Until the last of them is at the head
where all began, what is built has no version under which anybody would read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psycopg

from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.projections import NEXT, Projection, every
from ledger_crm.sealing import Keyring
from ledger_crm.sharing import BrokenProcessPool, in_processes, tell
from ledger_crm.store import Store, Undecodable

from .beside import Connection, drop, index, keep_positions, make, part_of, relations_of, row_of
from .projector import BATCH, Driver, Hole, NotLeading, connect
from .rows import NoSuchRow


class PartFault(Exception):
    """What a part halted on, in one line."""


class Shared(NamedTuple):
    """Among how many processes; ``key``: the deployment's."""

    of: int
    key: bytes


class Job(NamedTuple):
    url: str
    key: bytes
    name: str
    number: int
    of: int
    upto: int


class PartDriver(Driver):
    """Drives one part of a projection; ``upto`` the head where all parts end."""

    def __init__(self, projection: Projection, conn: Connection, number: int, of: int) -> None:
        self.number, self.of = number, of
        super().__init__(projection, lambda after, limit: (), conn, beside=NEXT)

    def drive(
        self, store: Store, upto: int, progress: Callable[[int], None], batch: int = BATCH
    ) -> None:
        """Reads the next page while it writes one. Raises Hole, NoSuchRow, NotLeading,
        Undecodable."""
        topics = [name for name, event in EVENTS.items() if self.projection.handlers_of(event)]

        def read(after: int) -> tuple[Sequence[Entry[Event]], int]:
            page = store.share(
                after=after, upto=upto, number=self.number, of=self.of, topics=topics, limit=batch
            )
            there = page[1] - after if self.number else store.count(after=after, upto=page[1])
            if there != page[1] - after:  # the first part looks for all
                raise Hole(f"{page[1] - after - there} entries are missing up to {page[1]}")
            return page

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, self.position)
            while self.position < upto:
                entries, position = ahead.result()
                if position < upto:
                    ahead = reader.submit(read, position)
                self.write(entries, position)
                progress(self.position)

    def _begin(self) -> tuple[int, int, int | None]:
        self.name = part_of(self.projection.name, self.number, self.of)
        with self.conn.transaction():
            found = self._standing()
        if found is None:
            raise NotLeading(self.name)
        return found[1:]


def build_parts(
    conn: Connection,
    url: str,
    projection: Projection,
    shared: Shared,
    progress: Callable[[int], None],
) -> None:
    """Up to where the ledger is now; not if it is built already, and only has to catch up. ``conn``
    leads what is built. Raises PartFault."""
    if not prepare(conn, projection, shared.of):
        return
    [[upto]] = conn.execute("SELECT position FROM ledger.head").fetchall()
    jobs = [
        Job(url, shared.key, projection.name, number, shared.of, upto)
        for number in range(shared.of)
    ]
    stood: dict[str, int] = dict(
        conn.execute("SELECT name, position FROM projection_position").fetchall()
    )
    began = [stood[part_of(projection.name, job.number, job.of)] for job in jobs]
    try:
        in_processes(_drive, jobs, began, progress)
    except BrokenProcessPool:
        raise PartFault("a process died; the same command again goes on where it was") from None
    index(conn, projection, NEXT)
    finish(conn, projection, shared.of, upto)


def prepare(conn: Connection, projection: Projection, of: int) -> bool:
    """Whether there is something for parts to do. What was begun by another number of parts is
    begun anew."""
    name = row_of(NEXT, projection.name)
    parts = [part_of(projection.name, number, of) for number in range(of)]
    with conn.transaction():
        keep_positions(conn)
        found: dict[str, int] = dict(
            conn.execute(
                "SELECT name, version FROM projection_position WHERE name = ANY(%s)",
                ([name, *parts],),
            ).fetchall()
        )
        version = projection.version
        if found.get(name) == version:
            return False
        if found == {name: -version} | dict.fromkeys(parts, version):
            return True
        drop(conn, projection, NEXT)
        make(conn, projection, NEXT, indexed=False)
        conn.cursor().executemany(
            "INSERT INTO projection_position"
            " (name, version, position, serves_from, relations, indexed)"
            " SELECT %s, %s, 0, position, %s, %s FROM ledger.head",
            [
                (name, -version, relations_of(projection), False),
                *((part, version, None, True) for part in parts),
            ],
        )
    return True


def finish(conn: Connection, projection: Projection, of: int, upto: int) -> None:
    name = row_of(NEXT, projection.name)
    parts = [part_of(projection.name, number, of) for number in range(of)]
    with conn.transaction():
        done = conn.execute(
            "DELETE FROM projection_position WHERE name = ANY(%s) AND version = %s"
            " AND position = %s",
            (parts, projection.version, upto),
        ).rowcount
        stands = conn.execute(
            "UPDATE projection_position SET version = %s, position = %s"
            " WHERE name = %s AND version = %s",
            (projection.version, upto, name, -projection.version),
        ).rowcount
        if (done, stands) != (of, 1):
            raise PartFault(f"{projection.name} was taken away while it was built")


def _drive(job: Job) -> None:
    """Raises PartFault with why it halted."""

    def progress(at: int) -> None:
        if not tell(job.number, at):
            raise PartFault("stopped")

    projection = next(each for each in every() if each.name == job.name)
    part = f"{job.name}, part {job.number + 1} of {job.of}"
    store = Store(job.url, Keyring(job.key), connections=2)
    try:
        with connect(job.url, beside=NEXT) as conn:
            driver = PartDriver(projection, conn, job.number, job.of)
            driver.drive(store, job.upto, progress)
    except (Hole, NoSuchRow, Undecodable, NotLeading, PartFault) as fault:
        raise PartFault(f"{part}: {fault}") from None
    except psycopg.IntegrityError as fault:  # its text may hold what a row holds
        raise PartFault(f"{part}: {type(fault).__name__}") from None
    finally:
        store.close()
