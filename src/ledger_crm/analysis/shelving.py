"""Rows of read models in a file, of which only so many are in memory: what is folded may be larger.

The file is SQLite's. It remembers up to which position it was folded, what stands there, and which
read models have had news: whoever is killed goes on from there. One of another program, one of a
ledger in which something else stands there, or nothing, and what is no shelf at all, is as if there
were none. That a disk is full or cannot be read is no reason to throw it away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ledger_crm.projections import Key, Projection, Row, Table

from .folding import looked_for_by

R = TypeVar("R", bound=Row)

MOST_ROWS = 50_000  # in memory
CACHE = "PRAGMA cache_size = -16000"  # KiB
DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
NO_SHELF = DAMAGED | {sqlite3.SQLITE_ERROR}  # it has no such table, or column
_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode


class DamagedRow(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def is_any_of(fault: sqlite3.Error, codes: set[int]) -> bool:
    """Of SQLite's codes without their extensions."""
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF in codes


class Shelf:
    """Of all tables of these projections.

    position  all entries up to there are folded
    """

    def __init__(
        self,
        path: Path,
        program: str,
        projections: Sequence[Projection],
        *,
        mark: Callable[[int], str],
        lasts: bool,
    ) -> None:
        """``program``: of what folds. ``mark``: of what the ledger has at a position.
        ``lasts``: it is there for the next run; else nobody finds it under its name, not even now.

        Raises sqlite3.Error, as everything here does.
        """
        self.path, self.projections, self.position = path, projections, 0
        self._mark = mark
        if not (lasts and self._goes_on(program)):
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
            self.let_go(position)

    def let_go(self, position: int) -> None:
        self.keep(position)
        for rows in self.rows.values():
            rows.held.clear()

    def keep(self, position: int) -> None:
        """What was folded, up to there."""
        for rows in self.rows.values():
            rows.flush()
        if position != self.position:
            self._conn.execute(
                "UPDATE program SET position = ?, mark = ?", (position, self._mark(position))
            )
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

    def _goes_on(self, program: str) -> bool:
        self._conn = sqlite3.connect(self.path, isolation_level=None)
        try:
            found = self._conn.execute(
                "SELECT position, mark FROM program WHERE id = ?", (program,)
            ).fetchall()
        except sqlite3.Error as fault:
            self._conn.close()
            if not is_any_of(fault, NO_SHELF):
                raise
            return False
        [(position, mark)] = found or [(0, None)]
        if mark != self._mark(position):
            self._conn.close()
            return False
        self.position = position
        self._conn.execute(CACHE)
        return True

    def _begin(self, program: str) -> None:
        for name in (self.path.name, f"{self.path.name}-journal"):
            self.path.with_name(name).unlink(missing_ok=True)
        self._conn = sqlite3.connect(self.path, isolation_level=None)
        self._conn.execute(CACHE)
        self._conn.execute("BEGIN")
        self._conn.execute("CREATE TABLE program (id TEXT, position INT, mark TEXT)")
        self._conn.execute("INSERT INTO program VALUES (?, 0, '')", (program,))
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
            self.held[key] = self._row(found[0]) if found else None
        return self.held[key]

    def put(self, key: Key, row: R | None) -> None:
        self.held[key] = row
        self._changed.add(key)

    def those_with(self, column: str, value: Any) -> list[Key]:
        self.flush()
        found = self._conn.execute(self._select_by.format(column), (_encode(value),)).fetchall()
        return [self.table.key_of(self._row(row)) for (row,) in found]

    def each(self) -> Iterator[R]:
        """In the order of their keys as they are kept."""
        self.flush()
        for (row,) in self._conn.execute(self._select_all):
            yield self._row(row)

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

    def _row(self, kept: bytes) -> R:
        try:
            return self._decode(kept)
        except msgspec.MsgspecError:
            raise DamagedRow(f"a row of {self.table.name} is damaged") from None
