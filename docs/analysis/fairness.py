"""Who gets an offer, of those with a protected attribute, and of the others? Ever, and at last.

For the ledger into which the hiring log was imported (docs/importing.md): its two groups are two
job orders. Of another one, such as the demo's, a group is whatever is called by one requisition,
and there is no ratio; nor is there where nobody of those it is measured by got an offer. Entries of
one candidacy come in their order, also those of the same instant.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from statistics import median
from typing import Any
from uuid import UUID

from ledger_crm.domain.candidacy import StageReached
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.joborder import JobOrderOpened

KINDS = [JobOrderOpened, StageReached]
PARALLEL = "stream"

Paths = dict[UUID, tuple[UUID, list[tuple[str, datetime]]]]


def begin() -> tuple[dict[UUID, str], Paths]:
    return {}, {}  # groups by job order; job order, stages and instants by candidacy


def fold(state: tuple[dict[UUID, str], Paths], entry: Entry[Any]) -> None:
    groups, paths = state
    match entry.event:
        case JobOrderOpened() as order:
            groups[order.job_order_id] = order.requisition
        case step:
            _, path = paths.setdefault(step.candidacy_id, (step.job_order_id, []))
            path.append((step.stage, step.reached_at))


def join(state: tuple[dict[UUID, str], Paths], other: tuple[dict[UUID, str], Paths]) -> None:
    for ours, theirs in zip(state, other, strict=True):
        ours.update(theirs)  # type: ignore[arg-type]


def result(state: tuple[dict[UUID, str], Paths]) -> dict[str, Any]:
    groups, paths = state
    cases, ever, last = Counter[str](), Counter[str](), Counter[str]()
    for job_order_id, path in paths.values():
        group = groups[job_order_id]
        cases[group] += 1
        ever[group] += any(stage == "offer" for stage, _ in path)
        last[group] += path[-1][0] == "offer"
    stages = [tuple(stage for stage, _ in path) for _, path in paths.values()]
    lengths = list(map(len, stages))
    lines = [
        {
            "protected": group,
            "cases": count,
            "offered": ever[group],
            "offered_pct": 100 * ever[group] / count,
            "offered_last": last[group],
            "offered_last_pct": 100 * last[group] / count,
        }
        for group, count in sorted(cases.items())
    ]
    return {
        "groups": lines,
        "ever_ratio": ratio([line["offered_pct"] for line in lines]),
        "last_ratio": ratio([line["offered_last_pct"] for line in lines]),
        "traps": {
            "cases": len(stages),
            "events": sum(lengths),
            "sequences": len(set(stages)),
            "shortest": min(lengths, default=None),
            "median": median(lengths) if lengths else None,
            "longest": max(lengths, default=None),
            "same_instant": sum(len({at for _, at in p}) < len(p) for _, p in paths.values()),
            "offer_and_rejection": sum("offer" in s and "rejected" in s for s in stages),
            "several_offers": sum(s.count("offer") > 1 for s in stages),
            "several_rejections": sum(s.count("rejected") > 1 for s in stages),
        },
    }


def ratio(shares: list[float]) -> float | None:
    """Of those with the attribute, who come last, to the others. None: there are not these two, or
    nothing to divide by."""
    return shares[1] / shares[0] if len(shares) == 2 and shares[0] else None
