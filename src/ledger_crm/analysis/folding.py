"""The folds of a projection, in memory: rows in dictionaries, in the order of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from ledger_crm.domain.entry import Entry
from ledger_crm.projections import Changing, ChangingEach, Key, Projection, Row, Starting, Table

from . import AnalysisFault

Part: TypeAlias = tuple[str, str, list[Row]]
"""Rows, of a table, of a projection."""


class Tables:
    """The rows of a projection's tables, as a projector would have made them.

    whole     it is given the ledger from the first entry on, so a row that is not there is a fault
    left_out  entries that would change a row which began before the slice
    """

    def __init__(self, projection: Projection, *, whole: bool = True) -> None:
        self.projection, self.whole = projection, whole
        self.rows: dict[str, dict[Key, Row]] = {table.name: {} for table in projection.tables}
        self.left_out = 0
        # keys by column and value, of the columns by which an entry looks for rows
        self._found: dict[str, dict[str, dict[Any, set[Key]]]] = {
            table.name: {column: {} for column in _looked_for_by(table)}
            for table in projection.tables
        }

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
                        self._put(table, table.key_of(row), row)
                case Changing(change, key_of, start):
                    if (key := key_of(entry)) is None:
                        continue
                    before = rows.get(key) or (start(entry) if start else None)
                    if before is not None:
                        self._put(table, key, change(before, entry))
                    elif self.whole:
                        raise AnalysisFault(
                            f"table {table.name} has no row for the entry at {entry.position}"
                        )
                    else:
                        self.left_out += 1
                case ChangingEach(change, column, value):
                    for each in list(self._found[table.name][column].get(value(entry), ())):
                        self._put(table, each, change(rows[each], entry))

    def join(self, other: Tables) -> None:
        """Takes the rows of other streams. Raises AnalysisFault if both have the same one."""
        for table in self.projection.tables:
            rows = other.rows[table.name]
            if both := self.rows[table.name].keys() & rows.keys():
                which = ", ".join(map(str, next(iter(both))))
                raise AnalysisFault(
                    f"table {table.name}: several streams change its row {which}, so its streams"
                    ' cannot be shared out: take PARALLEL = "stream" out of the file'
                )
            for key, row in rows.items():
                self._put(table, key, row)
        self.left_out += other.left_out

    def listed(self) -> dict[str, list[Row]]:
        """By table, in the order of its key."""
        return {
            table.name: [self.rows[table.name][key] for key in sorted(self.rows[table.name])]
            for table in self.projection.tables
        }

    def parts(self, rows: int) -> Iterator[Part]:
        """All that there is, in parts of at most so many rows; ``take`` takes them back."""
        for name, found in self.rows.items():
            each = iter(found.values())
            while part := list(islice(each, rows)):
                yield self.projection.name, name, part

    def take(self, part: Part) -> None:
        _, name, rows = part
        [table] = [table for table in self.projection.tables if table.name == name]
        for row in rows:
            self._put(table, table.key_of(row), row)

    def _put(self, table: Table[Any], key: Key, row: Row | None) -> None:
        rows = self.rows[table.name]
        if found := self._found[table.name]:
            before = rows.get(key)
            for column, keys in found.items():
                if before is not None:
                    keys[getattr(before, column)].discard(key)
                if row is not None:
                    keys.setdefault(getattr(row, column), set()).add(key)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row


def _looked_for_by(table: Table[Any]) -> set[str]:
    return {
        handler.column
        for handlers in table.handlers.values()
        for handler in handlers
        if isinstance(handler, ChangingEach)
    }
