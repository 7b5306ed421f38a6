"""What is different in a table of a read model between two positions: rows that came, that went,
and that changed, by the rows of the past."""

from __future__ import annotations

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import tuple_row

from ledger_crm.projections import (
    KNOWN_FROM,
    KNOWN_UNTIL,
    NOT_BUILT,
    PAST,
    SCHEMA,
    every,
    standing,
)

from . import AnalysisFault
from .tables import Found

TABLES = {table.name: (p, table) for p in every() for table in p.tables if table.keeps_past}


def between(url: str, name: str, first: int, last: int) -> Found:
    """Of the table ``name``, as it was known at the one position and at the other: for each row
    that is different, what of it was and what is, of a changed one only those columns; in the order
    of its key. What is sealed is open in it. Raises AnalysisFault, psycopg.Error."""
    if name not in TABLES:
        raise AnalysisFault(f"no read model keeps the past of {name}; SCHEMA.md of an export names"
                            " the tables")  # fmt: skip
    projection, table = TABLES[name]
    key, columns = ", ".join(table.key), ", ".join(table.columns)
    both = f"{columns}, {KNOWN_FROM}"
    of_key = ", ".join(f"coalesce(was.{each}, is_now.{each})" for each in table.key)
    same = " AND ".join(f"was.{each} = is_now.{each}" for each in table.key)
    asked = f"""
        WITH every_row AS (SELECT {both}, {2**63 - 1} AS until FROM {SCHEMA}.{name} UNION ALL
                SELECT {both}, {KNOWN_UNTIL} FROM {PAST}.{name} WHERE {KNOWN_UNTIL} IS NOT NULL),
            was AS (SELECT {columns} FROM every_row
                WHERE {KNOWN_FROM} <= %(first)s AND until > %(first)s AND until <= %(last)s),
            is_now AS (SELECT {columns} FROM every_row
                WHERE {KNOWN_FROM} > %(first)s AND {KNOWN_FROM} <= %(last)s AND until > %(last)s),
            pairs ({key}, a, b) AS (SELECT {of_key}, to_jsonb(was) AS a, to_jsonb(is_now) AS b
                FROM was FULL JOIN is_now ON {same})
        SELECT CASE WHEN a IS NULL THEN 'came' WHEN b IS NULL THEN 'went' ELSE 'changed' END,
            {key},
            (SELECT jsonb_object_agg(k, a -> k) FROM jsonb_object_keys(a) k
                WHERE b IS NULL OR a -> k <> b -> k),
            (SELECT jsonb_object_agg(k, b -> k) FROM jsonb_object_keys(b) k
                WHERE a IS NULL OR a -> k <> b -> k)
        FROM pairs WHERE a IS DISTINCT FROM b ORDER BY {key}"""
    with psycopg.connect(
        url, connect_timeout=5, row_factory=tuple_row,
        options=f"-c search_path={SCHEMA} -c timezone=UTC",
    ) as conn:  # fmt: skip
        conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
        try:
            stands = conn.execute(standing([projection]).encode()).fetchone()
        except NOT_BUILT:
            stands = None
        if stands is None or stands[1] < last:
            raise AnalysisFault(f"{name} has not got to position {last}; ledger-crm up fills it")
        rows = conn.execute(asked.encode(), {"first": first, "last": last}).fetchall()
    return Found(("change", *table.key, "was", "is"), rows)
