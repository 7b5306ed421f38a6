"""Building: a read model is built anew beside the one that is read, and takes its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TypeAlias, TypeVar

import msgspec
import psycopg
from psycopg import IsolationLevel

from ledger_crm.projections import NEXT, PAST, SCHEMA, Projection

from .beside import LOCK_WAIT, Connection, roll_back, row_of, take_place
from .parts import Shared, build_parts
from .projector import BATCH, Driver, Read, connect, give_up_lead, try_to_lead

T = TypeVar("T")
WAIT_S = 60.0  # for readers to leave the tables alone
TRIES = 20  # to find both at the same position
Progress: TypeAlias = Callable[[int], None]


class Busy(Exception):
    """Somebody else builds it beside, or readers never left its tables alone."""


class Swapped(msgspec.Struct, frozen=True):
    """position   at which it took the other's place
    differing  tables that were not as those which they replaced, those of the past as
               ``past.name``; None: the two could not be compared, being of different versions or
               never at the same position
    """

    position: int
    differing: list[str] | None


def build(
    url: str, projection: Projection, read: Read, progress: Progress, shared: Shared | None = None
) -> int:
    """Level with the ledger, beside the one that is read; goes on where it was stopped. ``shared``:
    up to where the ledger is now by several processes. Raises Busy, PartFault."""
    with _driver(url, projection, read, progress, shared) as driver:
        return driver.catch_up(progress=progress)


def rebuild(
    url: str, projection: Projection, read: Read, progress: Progress, shared: Shared | None = None
) -> Swapped:
    """As ``build``, and takes the place of the other. Raises Busy, PartFault."""
    with _driver(url, projection, read, progress, shared) as driver:
        conn = driver.conn
        driver.catch_up(progress=progress)
        driver.analyse()
        differing = _compared(conn, driver)

        def swap() -> Swapped:
            driver = Driver(projection, read, conn, beside=NEXT)  # what the last try did is undone
            _follow(conn, driver)
            take_place(conn, projection)
            return Swapped(driver.position, differing)

        return _as_soon_as_free(conn, projection, swap, between=lambda: driver.catch_up())


def go_back(url: str, projection: Projection) -> int:
    """To what was replaced; the position where that stands. Raises NothingKept, Busy."""
    with connect(url) as conn:
        return _as_soon_as_free(conn, projection, lambda: roll_back(conn, projection))


def _as_soon_as_free(
    conn: Connection,
    projection: Projection,
    work: Callable[[], T],
    between: Callable[[], object] = lambda: None,
) -> T:
    """In one transaction, once nobody reads its tables."""
    until_s = monotonic() + WAIT_S
    while True:
        try:
            with conn.transaction():
                conn.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'".encode())
                return work()
        except psycopg.errors.LockNotAvailable:
            if monotonic() > until_s:
                raise Busy(f"readers of {projection.name} never left its tables alone") from None
        sleep(0.05)
        between()


@contextmanager
def _driver(
    url: str, projection: Projection, read: Read, progress: Progress, shared: Shared | None
) -> Iterator[Driver]:
    name = row_of(NEXT, projection.name)
    with connect(url, beside=NEXT) as conn:
        if not try_to_lead(conn, name):
            raise Busy(f"somebody else builds {projection.name} beside")
        try:
            if shared and projection.parallel:
                build_parts(conn, url, projection, shared, progress)
            yield Driver(projection, read, conn, beside=NEXT)
        finally:
            give_up_lead(conn, name)


def _follow(conn: Connection, driver: Driver) -> None:
    """To where the one that is read stands, which nobody moves until the transaction ends."""
    found = conn.execute(
        "SELECT position FROM projection_position WHERE name = %s FOR UPDATE",
        (driver.projection.name,),
    ).fetchone()
    while found and driver.position < found[0]:
        driver.step(driver.read(driver.position, min(BATCH, found[0] - driver.position)))


def _compared(conn: Connection, driver: Driver) -> list[str] | None:
    """In one snapshot, and without holding anybody up."""
    name = driver.projection.name
    for _ in range(TRIES):
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            with conn.transaction():
                conn.execute("SET LOCAL enable_seqscan = on")  # tables are read whole here
                found = conn.execute(
                    "SELECT version, position FROM projection_position WHERE name IN (%s, %s)",
                    (name, row_of(NEXT, name)),
                ).fetchall()
                if len(found) < 2 or found[0][0] != found[1][0]:
                    return None
                if found[0] == found[1]:
                    return _differing(conn, driver.projection)
        finally:
            conn.isolation_level = None
        driver.catch_up()
        sleep(0.05)
    return None


def _differing(conn: Connection, projection: Projection) -> list[str]:
    """Tables of now, and of the past as ``past.name``: with the spans in which a row was known and
    held, and so with every answer as of whenever."""
    names = []
    for table in projection.tables:
        for home in (SCHEMA, PAST) if table.keeps_past else (SCHEMA,):
            sums = [
                conn.execute(
                    "SELECT count(*), sum(hashtextextended(shown::text, 0)::numeric)"
                    f" FROM {beside}{home}.{table.name} shown".encode()
                ).fetchone()
                for beside in ("", NEXT)
            ]
            if sums[0] != sums[1]:
                names.append(table.name if home == SCHEMA else f"{PAST}.{table.name}")
    return names
