"""What if our pipeline had one stage for interviews in place of two?

Another history, for any fold: ``--instead``. The definition lacks the stage from the beginning, and
who came to it, came to the other one. ``ONE`` is the stage's id in the pipeline that is shipped.
"""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from ledger_crm.domain.candidacy import StageReached
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.pipeline import PipelineDefined

KINDS = [PipelineDefined, StageReached]
PARALLEL = "stream"  # a candidacy is on the record of one person
ONE = "client_interview"


def instead(state: dict[UUID, str], entry: Entry[Event]) -> Event | None:
    match entry.event:
        case PipelineDefined() as pipeline:
            stages = tuple(s for s in pipeline.stages if s.category != "final_interview")
            return replace(pipeline, stages=stages)
        case StageReached() as step:
            if step.category == "final_interview":
                step = replace(step, stage=ONE, category="client_interview")
            before = state.get(step.candidacy_id)
            state[step.candidacy_id] = step.category
            if step.category == before == "client_interview":
                return None  # where it is already, it does not come
            return step
        case event:
            return event
