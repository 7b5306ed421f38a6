"""Beside: where a read model is built anew while another is read, and what it replaced is kept.

What was replaced is kept to go back to, until somebody is erased: folds do not reach it any more,
so it would remember them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec
import psycopg

from ledger_crm.projections import (
    AS_IT_WAS,
    AS_KNOWN,
    LAST,
    NEXT,
    PAST,
    POSITIONS,
    SCHEMA,
    Projection,
    every,
)

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

HOMES = (SCHEMA, PAST, AS_KNOWN, AS_IT_WAS)
PART = "part_"  # what rows of positions begin with that are of one of several who build it
LOCK_WAIT = "300ms"  # who waits for tables holds up all who come after: rather ask again
LEADS = "hashtext('ledger_crm projection'), hashtext(%s)"  # who builds or drives it holds this
LEADS_AS_SHOWN = (  # in pg_locks, by the name of a row
    "hashtext('ledger_crm projection')::bigint & 4294967295, hashtext(name)::bigint & 4294967295"
)


IS_LED = (
    "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND (classid::bigint, objid::bigint) = ({LEADS_AS_SHOWN}))"
)


class Unmakable(Exception):
    """The database takes tables of a read model, or their indexes, for none."""


class NothingKept(Exception):
    """There is nothing to go back to that this version of the software can read."""


class Kept(msgspec.Struct, frozen=True):
    """Beside one that is read: ``what`` is "next" or "last". ``led``: somebody builds it."""

    projection: str
    what: str
    version: int
    position: int
    led: bool = False


def keep_positions(conn: Connection) -> None:
    """Where they stand is kept in the way of this version; within a transaction, to the end of
    which nobody else begins with one."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtext('ledger_crm projections'))")
    conn.execute(POSITIONS)


def take_place(conn: Connection, projection: Projection) -> None:
    """What was built beside is read, and what was read is kept. Not if nobody could go back to it,
    nor if it had not got as far: it may remember somebody who is erased in what it has not read,
    and nobody would tell it. Within a transaction of whoever has locked the row of its position."""
    name, last, next_ = (row_of(which, projection.name) for which in ("", LAST, NEXT))
    drop(conn, projection, LAST)
    conn.execute(  # it may never have been built
        "INSERT INTO projection_position (name, version, position, serves_from)"
        " VALUES (%s, 0, 0, 0) ON CONFLICT DO NOTHING",
        (name,),
    )
    _move(conn, projection, "", LAST)
    _move(conn, projection, NEXT, "")
    conn.execute(
        "INSERT INTO projection_position"
        " (name, version, position, serves_from, relations, indexed)"
        " SELECT %s, version, position, serves_from, relations, indexed FROM projection_position"
        " WHERE name = %s",
        (last, name),
    )
    [[is_useless]] = conn.execute(
        "SELECT o.position < n.position OR o.version < 1"
        " FROM projection_position o, projection_position n WHERE o.name = %s AND n.name = %s",
        (name, next_),
    ).fetchall()
    if is_useless:
        drop(conn, projection, LAST)
    _stand_as(conn, name, next_)


def roll_back(conn: Connection, projection: Projection) -> int:
    """What was replaced is read again, from where it stood; that position. Who builds one beside
    goes on. Within a transaction. Raises NothingKept."""
    name, last = projection.name, row_of(LAST, projection.name)
    keep_positions(conn)
    rows = conn.execute(
        "SELECT name, version, position FROM projection_position WHERE name IN (%s, %s)"
        " ORDER BY name FOR UPDATE",
        (name, last),
    ).fetchall()
    found = {named: (version, position) for named, version, position in rows}
    if name not in found or found.get(last, (None,))[0] != projection.version:
        raise NothingKept()
    clear(conn, projection, "")
    _move(conn, projection, LAST, "")
    _stand_as(conn, name, last)
    return int(found[last][1])


def drop(conn: Connection, projection: Projection, which: str) -> None:
    clear(conn, projection, which)
    conn.execute(
        "DELETE FROM projection_position WHERE name = %s", (row_of(which, projection.name),)
    )


def clear(conn: Connection, projection: Projection, which: str) -> None:
    """Its tables go; who builds a part of it finds out."""
    _drop_tables(conn, _relations(conn, projection, which), which)
    if which == NEXT:
        conn.execute(
            "DELETE FROM projection_position WHERE name LIKE %s", (f"{PART}% {projection.name}",)
        )


def _drop_tables(conn: Connection, relations: list[str], which: str) -> None:
    for home in (SCHEMA, PAST):
        for (name,) in conn.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname = ANY(%s)"
            " AND relnamespace = %s::regnamespace ORDER BY relname",
            (relations, f"{which}{home}"),
        ).fetchall():
            conn.execute(f"DROP TABLE IF EXISTS {which}{home}.{name} CASCADE".encode())


def relations_of(projection: Projection) -> list[str]:
    """Names of its tables, and of the views over them."""
    views = [name for t in projection.tables for name in re.findall(r"CREATE VIEW (\w+)", t.views)]
    tables = projection.tables
    return [*(table.name for table in tables), *(table.reach for table in tables), *views]


def _relations(conn: Connection, projection: Projection, which: str) -> list[str]:
    """And of those that it had in the version that is there; not what is another's by now."""
    mine = row_of(which, projection.name)
    own, others = relations_of(projection), set[str]()
    for name, stored in conn.execute(
        "SELECT name, relations FROM projection_position WHERE relations IS NOT NULL"
    ).fetchall():
        if name == mine:
            own += stored
        elif name.rpartition(" ")[0] == mine.rpartition(" ")[0]:
            others |= {*stored}
    return [name for name in dict.fromkeys(own) if name not in others]


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


def make(conn: Connection, projection: Projection, which: str, *, indexed: bool) -> None:
    """Its tables, within a transaction. Without indexes by which readers look they are tried, since
    to find out at the end of a long build is late. Raises Unmakable."""
    try:
        for table in projection.tables:
            conn.execute(table.ddl(which, indexed=indexed).encode())
        if not indexed:
            with conn.transaction(force_rollback=True):
                for table in projection.tables:
                    conn.execute(table.indexes(which).encode())
    except psycopg.ProgrammingError as fault:  # which tells names of our own, and no values
        said = fault.diag.message_primary
        raise Unmakable(f"{projection.name} cannot have its tables: {said}") from None


def index(conn: Connection, projection: Projection, which: str) -> None:
    """Makes the indexes by which readers look for rows, which it was made without."""
    with conn.transaction():
        made = conn.execute(
            "UPDATE projection_position SET indexed = true"
            " WHERE name = %s AND abs(version) = %s AND NOT indexed",
            (row_of(which, projection.name), projection.version),
        ).rowcount
        for table in projection.tables if made else ():
            # of an older version, which knows nothing of this and remade the tables meanwhile
            with suppress(psycopg.errors.DuplicateTable), conn.transaction():
                conn.execute(table.indexes(which).encode())


def forget(conn: Connection, projections: Sequence[Projection]) -> None:
    """Somebody is erased, and no fold does it here: whoever builds one will come to it."""
    for projection in projections:
        drop(conn, projection, LAST)
        name = row_of(NEXT, projection.name)
        [[unled]] = conn.execute(f"SELECT pg_try_advisory_xact_lock({LEADS})", (name,)).fetchall()
        if unled:
            drop(conn, projection, NEXT)
    _drop_what_nobody_knows(conn)


def forget_left(conn: Connection, projection: Projection, position: int) -> bool:
    """As ``forget``, once whoever built one has given up before they came to that position. False:
    somebody is at it still. Within a transaction."""
    found = conn.execute(
        f"SELECT position >= %s, pg_try_advisory_xact_lock({LEADS}) FROM projection_position"
        " WHERE name = %s",
        (position, *(row_of(NEXT, projection.name),) * 2),
    ).fetchone()
    if found == (False, True):
        drop(conn, projection, NEXT)
    return found is None or any(found)


def _drop_what_nobody_knows(conn: Connection) -> None:
    """Read models of another version of the software, which has more of them: it builds them anew,
    if it still runs."""
    known = [projection.name for projection in every()]
    for name, relations in conn.execute(
        "SELECT name, relations FROM projection_position"
        " WHERE relations IS NOT NULL AND substring(name FROM '[^ ]+$') <> ALL(%s) ORDER BY name",
        (known,),
    ).fetchall():
        which = name.rpartition(" ")[0]
        _drop_tables(conn, relations, f"{which}_" if which else "")
        conn.execute("DELETE FROM projection_position WHERE name = %s", (name,))


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
        f"SELECT name, version, position, {IS_LED}"
        " FROM projection_position WHERE strpos(name, ' ') > 0 ORDER BY name"
    ).fetchall()
    far = with_parts({name: position for name, _, position, _ in rows})
    return [
        Kept(name.partition(" ")[2], name.partition(" ")[0], abs(version), far[name], led)
        for name, version, _, led in rows
        if not name.startswith(PART)
    ]


def with_parts(positions: dict[str, int]) -> dict[str, int]:
    """How far those are on the whole that are built in parts, too: under the name of all."""
    parts: dict[str, list[int]] = {}
    for name, position in positions.items():
        if name.startswith(PART):
            parts.setdefault(row_of(NEXT, name.partition(" ")[2]), []).append(position)
    return positions | {name: sum(each) // len(each) for name, each in parts.items()}


def _move(conn: Connection, projection: Projection, which: str, to: str) -> None:
    relations = _relations(conn, projection, which)
    for home in HOMES:
        for name in relations:
            moving = f"ALTER TABLE IF EXISTS {which}{home}.{name} SET SCHEMA {to}{home}"
            conn.execute(moving.encode())


def _stand_as(conn: Connection, name: str, other: str) -> None:
    """Whoever drives it finds out, for its tables are others now."""
    conn.execute(
        "UPDATE projection_position p SET version = o.version, position = o.position,"
        " serves_from = o.serves_from, relations = o.relations, indexed = o.indexed, fault = NULL,"
        " generation = p.generation + 1"
        " FROM projection_position o WHERE p.name = %s AND o.name = %s",
        (name, other),
    )
    conn.execute("DELETE FROM projection_position WHERE name = %s", (other,))


def row_of(which: str, name: str) -> str:
    """What its position is kept under: no projection has a blank in its name."""
    return f"{which.rstrip('_')} {name}".strip()


def part_of(name: str, number: int, of: int) -> str:
    """As ``row_of``, for one of so many who build it beside."""
    return f"{PART}{number}_of_{of} {name}"
