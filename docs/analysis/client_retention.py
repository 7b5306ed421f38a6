"""Of the clients who first asked us for somebody in a quarter, how many ask again, and when?

A projection: a row is a client in a quarter. The cohorts are made of the rows at the end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.joborder import JobOrderOpened
from ledger_crm.projections import Projection, Row, Table

QUARTERS = 8  # that a cohort is followed for


class ClientQuarter(Row, frozen=True, kw_only=True):
    """quarter  counted from the year 0
    orders   job orders that were opened in it
    """

    company_id: UUID
    quarter: int
    orders: int = 0


quarters = Table("client_quarter", ClientQuarter, key="company_id, quarter")
# A job order is on one company's stream, so processes may share the streams out.
projection = Projection("client_retention", quarters, version=1, parallel="stream")


def row_of(entry: Entry[JobOrderOpened]) -> tuple[UUID, int]:
    at = entry.event.opened_at
    return entry.originator_id, at.year * 4 + (at.month - 1) // 3


def empty(entry: Entry[JobOrderOpened]) -> ClientQuarter:
    company_id, quarter = row_of(entry)
    return ClientQuarter(company_id=company_id, quarter=quarter)


@quarters.on(JobOrderOpened, key=row_of, start=empty)
def ordered(row: ClientQuarter, entry: Entry[JobOrderOpened]) -> ClientQuarter:
    return replace(row, orders=row.orders + 1)


def result(tables: dict[str, list[ClientQuarter]]) -> list[dict[str, Any]]:
    active: dict[UUID, set[int]] = defaultdict(set)
    for row in tables["client_quarter"]:
        active[row.company_id].add(row.quarter)
    cohorts: dict[int, list[set[int]]] = defaultdict(list)
    for quarters in active.values():
        cohorts[min(quarters)].append({quarter - min(quarters) for quarter in quarters})
    newest = max(row.quarter for row in tables["client_quarter"]) if cohorts else 0
    return [
        {"cohort": f"{quarter // 4} Q{quarter % 4 + 1}", "clients": len(clients)}
        | {
            f"q{n}": sum(n in later for later in clients) if quarter + n <= newest else None
            for n in range(1, QUARTERS)
        }
        for quarter, clients in sorted(cohorts.items())
    ]
