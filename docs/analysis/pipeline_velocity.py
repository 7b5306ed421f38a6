"""How long does a candidacy stay in each category of stage, and how many go on from it?

A projection: a row is a step. Facts may be told late, so the steps of a candidacy are put in order
at the end.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import UUID

from ledger_crm.domain.candidacy import StageReached
from ledger_crm.domain.entry import Entry
from ledger_crm.projections import Projection, Row, Table


class VelocityStep(Row, frozen=True, kw_only=True):
    """reached_at  when it happened, which may be before a step with a lower position"""

    position: int
    candidacy_id: UUID
    category: str
    reached_at: datetime


steps = Table("velocity_step", VelocityStep, key="position")
projection = Projection("pipeline_velocity", steps, version=1, parallel="stream")


@steps.starts(StageReached)  # and so all facts of that kind
def reached(entry: Entry[StageReached]) -> VelocityStep:
    fact = entry.event
    return VelocityStep(
        position=entry.position,
        candidacy_id=fact.candidacy_id,
        category=fact.category,
        reached_at=fact.reached_at,
    )


def result(tables: dict[str, list[VelocityStep]]) -> list[dict[str, Any]]:
    came: dict[str, int] = defaultdict(int)
    days: dict[str, list[float]] = defaultdict(list)
    candidacies: dict[UUID, list[VelocityStep]] = defaultdict(list)
    for row in tables["velocity_step"]:
        candidacies[row.candidacy_id].append(row)
    for taken in candidacies.values():
        taken.sort(key=lambda step: (step.reached_at, step.position))
        for category in {step.category for step in taken}:
            came[category] += 1
        for step, after in pairwise(taken):
            days[step.category].append(
                (after.reached_at - step.reached_at).total_seconds() / 86_400
            )
    return [
        {
            "category": category,
            "candidacies": count,
            "steps_on": len(days[category]),
            "median_days": round(median(days[category]), 1) if days[category] else None,
        }
        for category, count in sorted(came.items(), key=lambda each: (-each[1], each[0]))
    ]
