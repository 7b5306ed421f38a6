"""The folds of a projection, in memory: rows in dictionaries, in the order of the ledger."""

from __future__ import annotations

from typing import Any

from ledger_crm.domain.entry import Entry
from ledger_crm.projections import Changing, ChangingEach, Key, Projection, Row, Starting

from . import AnalysisFault


class Tables:
    """The rows of a projection's tables, as a projector would have made them.

    whole     it is given the ledger from the first entry on, so a row that is not there is a fault
    left_out  entries that would change a row which began before the slice
    """

    def __init__(self, projection: Projection, *, whole: bool = True) -> None:
        self.projection, self.whole = projection, whole
        self.rows: dict[str, dict[Key, Row]] = {table.name: {} for table in projection.tables}
        self.left_out = 0

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
                        rows[table.key_of(row)] = row
                case Changing(change, key_of, start):
                    if (key := key_of(entry)) is None:
                        continue
                    before = rows.get(key) or (start(entry) if start else None)
                    if before is not None:
                        _put(rows, key, change(before, entry))
                    elif self.whole:
                        raise AnalysisFault(
                            f"table {table.name} has no row for the entry at {entry.position}"
                        )
                    else:
                        self.left_out += 1
                case ChangingEach(change, column, value):
                    wanted = value(entry)
                    found = [k for k, row in rows.items() if getattr(row, column) == wanted]
                    for key in found:
                        _put(rows, key, change(rows[key], entry))

    def join(self, other: Tables) -> None:
        """Takes the rows of other streams. Raises AnalysisFault if both have the same one."""
        for name, rows in other.rows.items():
            ours = self.rows[name]
            if both := ours.keys() & rows.keys():
                key = ", ".join(map(str, next(iter(both))))
                raise AnalysisFault(
                    f"table {name}: several streams change its row {key}, so its streams cannot be"
                    ' shared out: take PARALLEL = "stream" out of the file'
                )
            ours.update(rows)
        self.left_out += other.left_out

    def listed(self) -> dict[str, list[Row]]:
        """By table, in the order of its key."""
        return {
            name: [row for _, row in sorted(rows.items(), key=_order)]
            for name, rows in self.rows.items()
        }


def _order(item: tuple[Key, Row]) -> tuple[Any, ...]:
    return tuple((part is not None, part) for part in item[0])


def _put(rows: dict[Key, Row], key: Key, row: Row | None) -> None:
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row
