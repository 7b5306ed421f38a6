"""Rows of read models in a file, of which only so many are in memory: what is folded may be larger.

The file is SQLite's. It remembers up to which position it was folded, and since when each read
model has had news: whoever is killed goes on from there. One of another program, or one that cannot
be read, is as if there were none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ledger_crm.projections import Key, Projection, Row, Table

from .folding import looked_for_by

R = TypeVar("R", bound=Row)

MOST_ROWS = 50_000  # in memory
_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode


class Shelf:
    """Of all tables of these projections.

    position  all entries up to there are folded
    """

    def __init__(
        self, path: Path, program: str, projections: Sequence[Projection], *, lasts: bool
    ) -> None:
        """``program``: of what folds. ``lasts``: it is there for the next run; else nobody finds it
        under its name, not even now."""
        self.path, self.projections = path, projections
        try:
            if not lasts:
                raise sqlite3.DatabaseError("nothing of before is wanted")
            self._conn = self._opened()
            found = self._conn.execute("SELECT position FROM program WHERE id = ?", (program,))
            [(self.position,)] = found.fetchall()
        except (sqlite3.DatabaseError, ValueError):
            self._begin(program)
        if not lasts:
            self._conn.execute("PRAGMA journal_mode = OFF")
            path.unlink()
        self.rows = {t.name: Shelved(t, self._conn) for p in projections for t in p.tables}
        self._conn.execute("BEGIN")

    def close(self) -> None:
        self._conn.close()

    def relieve(self, position: int) -> None:
        """Between two entries: once there are too many in memory, they are kept on file."""
        if sum(len(rows.held) for rows in self.rows.values()) > MOST_ROWS:
            self.keep(position)
            for rows in self.rows.values():
                rows.held.clear()

    def keep(self, position: int) -> None:
        """What was folded, up to there."""
        for rows in self.rows.values():
            rows.flush()
        if position != self.position:
            self._conn.execute("UPDATE program SET position = ?", (position,))
            self.position = position
        self._conn.execute("COMMIT")
        self._conn.execute("BEGIN")

    def news(self, names: Sequence[str], *, are: bool) -> None:
        """Whether these projections have had any since their rows were last shown."""
        self._conn.executemany(
            "UPDATE projection SET news = ? WHERE name = ? AND news <> ?",
            [(are, name, are) for name in names],
        )

    def with_news(self) -> set[str]:
        return {n for (n,) in self._conn.execute("SELECT name FROM projection WHERE news")}

    def _begin(self, program: str) -> None:
        with suppress(AttributeError):
            self._conn.close()
        for name in (self.path.name, f"{self.path.name}-journal"):
            self.path.with_name(name).unlink(missing_ok=True)
        self._conn, self.position = self._opened(), 0
        self._conn.execute("BEGIN")
        self._conn.execute("CREATE TABLE program (id TEXT, position INT)")
        self._conn.execute("INSERT INTO program VALUES (?, 0)", (program,))
        self._conn.execute("CREATE TABLE projection (name TEXT PRIMARY KEY, news INT)")
        for projection in self.projections:
            self._conn.execute("INSERT INTO projection VALUES (?, 1)", (projection.name,))
            for table in projection.tables:
                columns = sorted(looked_for_by(table))
                self._conn.execute(
                    f"CREATE TABLE row_of_{table.name} (key BLOB PRIMARY KEY, row BLOB NOT NULL"
                    f"{''.join(f', by_{column} BLOB' for column in columns)}) WITHOUT ROWID"
                )
                for column in columns:
                    self._conn.execute(
                        f"CREATE INDEX {table.name}_by_{column}"
                        f" ON row_of_{table.name} (by_{column})"
                    )
        self._conn.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self.path, isolation_level=None)
        conn.execute("PRAGMA cache_size = -16000")  # KiB
        return conn


class Shelved(Generic[R]):
    """Rows of one table by key; of those that were asked for or changed since they were last kept,
    some are in memory. ``held``: these; None: there is none."""

    def __init__(self, table: Table[R], conn: sqlite3.Connection) -> None:
        self.table, self.held = table, dict[Key, R | None]()
        self._conn, self._changed = conn, set[Key]()
        self._columns, name = sorted(looked_for_by(table)), f"row_of_{table.name}"
        self._decode = msgspec.msgpack.Decoder(table.row).decode
        self._select = f"SELECT row FROM {name} WHERE key = ?"
        self._select_by = f"SELECT row FROM {name} WHERE by_{{}} = ? ORDER BY key"
        self._select_all = f"SELECT row FROM {name} ORDER BY key"
        self._put = f"INSERT OR REPLACE INTO {name} VALUES (?, ?{', ?' * len(self._columns)})"
        self._delete = f"DELETE FROM {name} WHERE key = ?"

    def get(self, key: Key) -> R | None:
        if key not in self.held:
            found = self._conn.execute(self._select, (_encode(key),)).fetchone()
            self.held[key] = self._decode(found[0]) if found else None
        return self.held[key]

    def put(self, key: Key, row: R | None) -> None:
        self.held[key] = row
        self._changed.add(key)

    def those_with(self, column: str, value: Any) -> list[Key]:
        self.flush()
        found = self._conn.execute(self._select_by.format(column), (_encode(value),)).fetchall()
        return [self.table.key_of(self._decode(row)) for (row,) in found]

    def each(self) -> Iterator[R]:
        """In the order of their keys as they are kept."""
        self.flush()
        for (row,) in self._conn.execute(self._select_all):
            yield self._decode(row)

    def flush(self) -> None:
        if not self._changed:
            return
        made, gone = [], []
        for key in self._changed:
            row = self.held[key]
            if row is None:
                gone.append((_encode(key),))
            else:
                by = [_encode(getattr(row, column)) for column in self._columns]
                made.append((_encode(key), _encode(row), *by))
        made.sort()  # by key: neighbours are written together
        self._conn.executemany(self._delete, gone)
        self._conn.executemany(self._put, made)
        self._changed.clear()
