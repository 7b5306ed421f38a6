"""What if we had a month's cadence for every segment, of people or of companies, that has a longer
one?

Another history, for any fold: ``--instead``. What passed between us is as it was.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.segment import CompanySegmentSaved, SegmentSaved

KINDS = [SegmentSaved, CompanySegmentSaved]
PARALLEL = "stream"
CADENCE_DAYS = 30


def instead(state: dict[str, Any], entry: Entry[Any]) -> Any:
    if isinstance(entry.event, SegmentSaved | CompanySegmentSaved):
        return replace(entry.event, cadence_days=min(CADENCE_DAYS, entry.event.cadence_days))
    return entry.event
