"""Whether two houses hold the same: a hash of the ledger, and of each table of the read models."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import psycopg
from psycopg import IsolationLevel
from psycopg.rows import tuple_row

from ledger_crm.projections import (
    HELD_FROM,
    HELD_UNTIL,
    KNOWN_FROM,
    KNOWN_UNTIL,
    NOT_BUILT,
    PAST,
    SCHEMA,
    Table,
    every,
)

FEW = 5  # names in one line
ENTRIES = (
    "SELECT notification_id, originator_id, originator_version, topic, state"
    " FROM ledger.entries WHERE notification_id <= {} ORDER BY notification_id"
)


class Checksums(msgspec.Struct, frozen=True, kw_only=True):
    """tables     by name, those of the past as ``past.name``; none of those that are not built
    positions  where each table stands
    """

    head: int
    ledger: str
    tables: dict[str, str]
    positions: dict[str, int]


def checksums_of(url: str) -> Checksums:
    """In one snapshot. Rows in the order of their key, as text, so that they say the same on any
    machine. Raises psycopg.Error."""
    tables, positions = dict[str, str](), dict[str, int]()
    with psycopg.connect(
        url, connect_timeout=5, row_factory=tuple_row,
        options=f"-c search_path={SCHEMA},ledger -c timezone=UTC -c datestyle=ISO",
    ) as conn:  # fmt: skip
        conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
        [(head,)] = conn.execute("SELECT position FROM ledger.head").fetchall()
        ledger = _hash(conn, ENTRIES.format(head))
        for projection in every():
            try:
                with conn.transaction():
                    row = conn.execute(
                        "SELECT position FROM projection_position WHERE (name, version) = (%s, %s)",
                        (projection.name, projection.version),
                    ).fetchone()
                    if row is None:
                        continue
                    for table in projection.tables:
                        for name, asked in _asked(table).items():
                            tables[name], positions[name] = _hash(conn, asked), row[0]
            except NOT_BUILT:
                continue
    return Checksums(head=head, ledger=ledger, tables=tables, positions=positions)


def begins_as(url: str, other: Checksums) -> bool:
    """Whether the ledger, up to the other's head, is the other's. Raises psycopg.Error."""
    with psycopg.connect(url, connect_timeout=5, row_factory=tuple_row) as conn:
        return _hash(conn, ENTRIES.format(other.head)) == other.ledger


def _asked(table: Table[Any]) -> dict[str, str]:
    """Of its rows, and of those of the past with what they were known and held."""
    columns, key = ", ".join(table.columns), ", ".join(table.key)
    found = {table.name: f"SELECT {columns} FROM {table.name} ORDER BY {key}"}
    if table.keeps_past:
        spans = ", ".join((KNOWN_FROM, KNOWN_UNTIL, HELD_FROM, HELD_UNTIL))
        found[f"{PAST}.{table.name}"] = (
            f"SELECT {columns}, {spans} FROM {PAST}.{table.name}"
            f" ORDER BY {key}, {KNOWN_FROM}, {HELD_FROM}"
        )
    return found


def difference(one: Checksums, other: Checksums) -> str:
    """One line; "": they are equal."""
    if one.head != other.head:
        return f"the heads differ: {one.head} and {other.head}"
    if one.ledger != other.ledger:
        return f"the ledgers differ, though both end at {one.head}"
    behind = sorted(
        name
        for name in one.tables.keys() | other.tables.keys()
        if one.positions.get(name) != one.head or other.positions.get(name) != one.head
    )
    if behind:
        more = f" and {len(behind) - FEW} more" if len(behind) > FEW else ""
        return (
            f"not level with the ledger, and not compared: {', '.join(behind[:FEW])}{more};"
            " ledger-crm up builds them"
        )
    if differ := sorted(name for name in one.tables if one.tables[name] != other.tables[name]):
        return f"these tables differ: {', '.join(differ)}"
    return ""


def _hash(conn: psycopg.Connection[tuple[object, ...]], query: str) -> str:
    found = hashlib.sha256()
    with conn.cursor() as cur, cur.copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
        for block in copy:
            found.update(block)
    return found.hexdigest()
