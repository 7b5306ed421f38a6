"""How long does a candidacy stay in each category of stage, and how many go on from it?

A plain fold. Facts may be told late, so it collects the steps, and puts them in order at the end.
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

KINDS = [StageReached]  # and so all facts of that kind
PARALLEL = "stream"  # a candidacy is on one person's stream

State = dict[UUID, list[tuple[datetime, int, str]]]  # steps by candidacy


def fold(state: State, entry: Entry[StageReached]) -> None:
    step = (entry.event.reached_at, entry.position, entry.event.category)
    state.setdefault(entry.event.candidacy_id, []).append(step)


def join(state: State, other: State) -> None:
    state.update(other)


def result(state: State) -> list[dict[str, Any]]:
    came: dict[str, int] = defaultdict(int)
    days: dict[str, list[float]] = defaultdict(list)
    for steps in state.values():
        steps.sort()
        for category in {category for _, _, category in steps}:
            came[category] += 1
        for (at, _, category), (next_at, _, _) in pairwise(steps):
            days[category].append((next_at - at).total_seconds() / 86_400)
    return [
        {
            "category": category,
            "candidacies": count,
            "steps_on": len(days[category]),
            "median_days": round(median(days[category]), 1) if days[category] else None,
        }
        for category, count in sorted(came.items(), key=lambda each: (-each[1], each[0]))
    ]
