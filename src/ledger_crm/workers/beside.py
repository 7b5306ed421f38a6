"""Beside: where a read model is built anew while another is read, and what it replaced is kept.

What was replaced is kept to go back to, until somebody is erased: folds do not reach it any more,
so it would remember them.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import msgspec
import psycopg

from ledger_crm.projections import AS_IT_WAS, AS_KNOWN, LAST, NEXT, PAST, SCHEMA, Projection

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

HOMES = (SCHEMA, PAST, AS_KNOWN, AS_IT_WAS)
PART = "part_"  # what rows of positions begin with that are of one of several who build it
LEADS = "hashtext('ledger_crm projection'), hashtext(%s)"  # who builds or drives it holds this


class NothingKept(Exception):
    """There is nothing to go back to that this version of the software can read."""


class Kept(msgspec.Struct, frozen=True):
    """Beside one that is read: ``what`` is "next" or "last"."""

    projection: str
    what: str
    version: int
    position: int


def take_place(conn: Connection, projection: Projection) -> None:
    """What was built beside is read, and what was read is kept. Not if it had not got as far: it
    may remember somebody who is erased in what it has not read, and nobody would tell it. Within a
    transaction of whoever has locked the row of its position."""
    name = projection.name
    drop(conn, projection, LAST)
    _move(conn, projection, "", LAST)
    _move(conn, projection, NEXT, "")
    conn.execute(
        "INSERT INTO projection_position (name, version, position, serves_from)"
        " SELECT %s, version, position, serves_from FROM projection_position WHERE name = %s",
        (row_of(LAST, name), name),
    )
    [[is_behind]] = conn.execute(
        "SELECT o.position < n.position FROM projection_position o, projection_position n"
        " WHERE o.name = %s AND n.name = %s",
        (name, row_of(NEXT, name)),
    ).fetchall()
    if is_behind:
        drop(conn, projection, LAST)
    _stand_as(conn, name, row_of(NEXT, name))


def roll_back(conn: Connection, projection: Projection) -> int:
    """What was replaced is read again, from where it stood; that position. Within a transaction.
    Raises NothingKept."""
    name, last = projection.name, row_of(LAST, projection.name)
    rows = conn.execute(
        "SELECT name, version, position FROM projection_position WHERE name IN (%s, %s)"
        " ORDER BY name FOR UPDATE",
        (name, last),
    ).fetchall()
    found = {named: (version, position) for named, version, position in rows}
    if name not in found or found.get(last, (None,))[0] != projection.version:
        raise NothingKept()
    drop(conn, projection, NEXT)
    _move(conn, projection, "", NEXT)
    _move(conn, projection, LAST, "")
    _stand_as(conn, name, last)
    drop(conn, projection, NEXT)
    return int(found[last][1])


def drop(conn: Connection, projection: Projection, which: str) -> None:
    for table in projection.tables:
        names = ", ".join(f"{which}{home}.{table.name}" for home in (SCHEMA, PAST))
        conn.execute(f"DROP TABLE IF EXISTS {names} CASCADE".encode())
    conn.execute(
        "DELETE FROM projection_position WHERE name = %s", (row_of(which, projection.name),)
    )
    if which == NEXT:
        conn.execute(
            "DELETE FROM projection_position WHERE name LIKE %s", (f"{PART}% {projection.name}",)
        )


def is_built(conn: Connection, projection: Projection) -> bool:
    """Whether one of this version is beside that can be read, and nobody is at it. Within a
    transaction."""
    return _unled(conn, projection) == projection.version


def is_begun(conn: Connection, projection: Projection) -> bool:
    """As ``is_built``, or some of its parts are."""
    return abs(_unled(conn, projection)) == projection.version


def _unled(conn: Connection, projection: Projection) -> int:
    """Version of what is beside, negative while it is in parts; 0: somebody is at it, or there is
    none."""
    found = conn.execute(
        f"SELECT version, pg_try_advisory_xact_lock({LEADS}) FROM projection_position"
        " WHERE name = %s",
        (row_of(NEXT, projection.name),) * 2,
    ).fetchone()
    return int(found[0]) if found and found[1] else 0


def forget(conn: Connection, projection: Projection) -> None:
    """Somebody is erased, and no fold does it here: whoever builds one will come to it."""
    drop(conn, projection, LAST)
    name = row_of(NEXT, projection.name)
    [[unled]] = conn.execute(f"SELECT pg_try_advisory_xact_lock({LEADS})", (name,)).fetchall()
    if unled:
        drop(conn, projection, NEXT)


def versions(conn: Connection) -> dict[str, int]:
    """Of those that are read, by name."""
    if not _is_there(conn):
        return {}
    return dict(conn.execute("SELECT name, version FROM projection_position").fetchall())


def _is_there(conn: Connection) -> bool:
    [[there]] = conn.execute("SELECT to_regclass('projection_position') IS NOT NULL").fetchall()
    return bool(there)


def kept(conn: Connection) -> list[Kept]:
    """What is beside the read models that are read."""
    if not _is_there(conn):
        return []
    rows = conn.execute(
        "SELECT name, version, position FROM projection_position"
        " WHERE strpos(name, ' ') > 0 ORDER BY name"
    ).fetchall()
    return [
        Kept(name.partition(" ")[2], name.partition(" ")[0], abs(version), position)
        for name, version, position in rows
        if not name.startswith(PART)
    ]


def _move(conn: Connection, projection: Projection, which: str, to: str) -> None:
    views = [name for t in projection.tables for name in re.findall(r"CREATE VIEW (\w+)", t.views)]
    for home in HOMES:
        for name in (*(table.name for table in projection.tables), *views):
            moving = f"ALTER TABLE IF EXISTS {which}{home}.{name} SET SCHEMA {to}{home}"
            conn.execute(moving.encode())


def _stand_as(conn: Connection, name: str, other: str) -> None:
    """Whoever drives it finds out, for its tables are others now."""
    conn.execute(
        "UPDATE projection_position p SET version = o.version, position = o.position,"
        " serves_from = o.serves_from, fault = NULL, generation = p.generation + 1"
        " FROM projection_position o WHERE p.name = %s AND o.name = %s",
        (name, other),
    )
    conn.execute("DELETE FROM projection_position WHERE name = %s", (other,))


def row_of(which: str, name: str) -> str:
    """What its position is kept under: no projection has a blank in its name."""
    return f"{which.rstrip('_')} {name}"


def part_of(name: str, number: int, of: int) -> str:
    """As ``row_of``, for one of so many who build it beside."""
    return f"{PART}{number}_of_{of} {name}"
