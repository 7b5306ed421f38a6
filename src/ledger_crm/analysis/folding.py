"""The folds of a projection, in the order of the ledger, without a database: over rows in memory,
or on a shelf (``shelving.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ledger_crm.domain.entry import Entry
from ledger_crm.projections import Changing, ChangingEach, Key, Projection, Row, Starting, Table

from . import AnalysisFault


class Rows(Protocol):
    """Of one table."""

    def get(self, key: Key) -> Row | None: ...

    def put(self, key: Key, row: Row | None) -> None:
        """None: there is none any more."""

    def those_with(self, column: str, value: Any) -> list[Key]:
        """Of a column by which entries look for rows."""


class InMemory:
    def __init__(self, table: Table[Any]) -> None:
        self.by_key: dict[Key, Row] = {}
        self._keys: dict[str, dict[Any, set[Key]]] = {c: {} for c in looked_for_by(table)}

    def get(self, key: Key) -> Row | None:
        return self.by_key.get(key)

    def put(self, key: Key, row: Row | None) -> None:
        if self._keys:
            before = self.by_key.get(key)
            for column, keys in self._keys.items():
                if before is not None:
                    keys[getattr(before, column)].discard(key)
                if row is not None:
                    keys.setdefault(getattr(row, column), set()).add(key)
        if row is None:
            self.by_key.pop(key, None)
        else:
            self.by_key[key] = row

    def those_with(self, column: str, value: Any) -> list[Key]:
        return list(self._keys[column].get(value, ()))


class Tables:
    """The rows of a projection's tables, as a projector would have made them.

    whole     it is given the ledger from the first entry on, so a row that is not there is a fault
    rows      by table; None: in memory
    left_out  entries that would change a row which began before the slice
    """

    def __init__(
        self,
        projection: Projection,
        *,
        whole: bool = True,
        rows: Mapping[str, Rows] | None = None,
    ) -> None:
        self.projection, self.whole, self.left_out = projection, whole, 0
        self.rows = rows or {table.name: InMemory(table) for table in projection.tables}

    def __getstate__(self) -> dict[str, Any]:
        """Without the projection, whose folds no other process could be handed."""
        return vars(self) | {"projection": None}

    def fold(self, entry: Entry[Any]) -> None:
        """Raises AnalysisFault for a row that should be there; whatever the fold raises."""
        for table, handler in self.projection.handlers_of(type(entry.event)):
            rows = self.rows[table.name]
            match handler:
                case Starting(start):
                    for row in start(entry):
                        rows.put(table.key_of(row), row)
                case Changing(change, key_of, start):
                    if (key := key_of(entry)) is None:
                        continue
                    before = rows.get(key) or (start(entry) if start else None)
                    if before is not None:
                        rows.put(key, change(before, entry))
                    elif self.whole:
                        raise AnalysisFault(
                            f"table {table.name} has no row for the entry at {entry.position}"
                        )
                    else:
                        self.left_out += 1
                case ChangingEach(change, column, value):
                    for key in rows.those_with(column, value(entry)):
                        rows.put(key, change(rows.get(key), entry))

    def join(self, other: Tables) -> None:
        """Takes the rows of other streams; both in memory. Raises AnalysisFault if both have the
        same one."""
        for table in self.projection.tables:
            ours, theirs = self.of(table), other.of(table)
            if both := ours.keys() & theirs.keys():
                which = ", ".join(map(str, next(iter(both))))
                raise AnalysisFault(
                    f"table {table.name}: several streams change its row {which}, so its streams"
                    ' cannot be shared out: take PARALLEL = "stream" out of the file'
                )
            for key, row in theirs.items():
                self.rows[table.name].put(key, row)
        self.left_out += other.left_out

    def listed(self) -> dict[str, list[Row]]:
        """By table, in the order of its key; in memory."""
        return {
            table.name: [row for _, row in sorted(self.of(table).items(), key=lambda at: at[0])]
            for table in self.projection.tables
        }

    def of(self, table: Table[Any]) -> dict[Key, Row]:
        rows = self.rows[table.name]
        assert isinstance(rows, InMemory)
        return rows.by_key


def looked_for_by(table: Table[Any]) -> set[str]:
    """Columns by whose values entries look for rows."""
    return {
        handler.column
        for handlers in table.handlers.values()
        for handler in handlers
        if isinstance(handler, ChangingEach)
    }
