"""What if our pipeline had one stage for interviews in place of two?"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ledger_crm.domain.candidacy import StageReached
from ledger_crm.domain.entry import Entry, Event

KINDS = [StageReached]
PARALLEL = "stream"  # a candidacy is on the record of one person


def instead(state: dict[Any, str], entry: Entry[StageReached]) -> Event | None:
    step = entry.event
    if step.category == "final_interview":
        step = replace(step, stage="client_interview", category="client_interview")
    before = state.get(step.candidacy_id)
    state[step.candidacy_id] = step.category
    if step.category == before == "client_interview":
        return None  # where it is already, it does not come
    return step
