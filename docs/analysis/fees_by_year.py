"""The fees of our placements, by year and currency."""

from __future__ import annotations

from typing import Any

from ledger_crm.domain.candidacy import Placed
from ledger_crm.domain.entry import Entry

KINDS = [Placed]


def fold(state: dict[tuple[int, str], dict[str, int]], entry: Entry[Any]) -> None:
    placed = entry.event
    year = state.setdefault((placed.placed_at.year, placed.currency), {"placed": 0, "fee_cents": 0})
    year["placed"] += 1
    year["fee_cents"] += placed.fee_cents


def result(state: dict[tuple[int, str], dict[str, int]]) -> list[dict[str, Any]]:
    return [{"year": y, "currency": c} | sums for (y, c), sums in sorted(state.items())]
