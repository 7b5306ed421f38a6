"""Changes: what is different in a pipeline between two moments.

One row per step and one per candidacy or deal; nothing is changed by a later step, so both moments
are read from the same rows, however long ago they were. A candidacy or a deal is told once, by
where it stood at the one moment and where at the other; what it went through between is its path.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import CandidacyOpened, StageReached
from ledger_crm.domain.company import DealFact, DealOpened
from ledger_crm.domain.deal import DealChanged
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.pipeline import EXITS, Subject

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone

Kind = Literal["entered", "moved", "left", "reopened", "returned"]


class StepRow(Row, frozen=True, kw_only=True):
    position: int
    item_id: UUID
    stage: str
    category: str
    reached_at: datetime
    by: str
    reason: str
    decided_by: str


class ItemRow(Row, frozen=True, kw_only=True):
    item_id: UUID
    subject: str  # candidate or deal
    pipeline: str
    person_id: UUID | None
    company_id: UUID
    job_order_id: UUID | None
    title: str  # of a deal


steps = Table(
    "change_step",
    StepRow,
    key="position",
    sql="""
    CREATE INDEX change_step_of ON change_step (item_id, position);
    CREATE INDEX change_step_when ON change_step (reached_at);
    """,
)
items = Table(
    "change_item",
    ItemRow,
    key="item_id",
    sql="""
    CREATE INDEX change_item_in ON change_item (pipeline);
    CREATE INDEX change_item_order ON change_item (job_order_id);
    CREATE INDEX change_item_company ON change_item (company_id);
    """,
)
projection = Projection("changes", steps, items, version=2, parallel="stream")


@steps.starts(StageReached, DealFact)
def step(entry: Entry[StageReached | DealFact]) -> StepRow:
    fact = entry.event
    return StepRow(
        position=entry.position,
        item_id=fact.candidacy_id if isinstance(fact, StageReached) else fact.deal_id,
        stage=fact.stage,
        category=fact.category,
        reached_at=entry.at,
        by=entry.by,
        reason=getattr(fact, "reason", ""),
        decided_by=getattr(fact, "decided_by", ""),
    )


@items.starts(CandidacyOpened)
def candidacy_opened(entry: Entry[CandidacyOpened]) -> ItemRow:
    fact = entry.event
    return ItemRow(
        item_id=fact.candidacy_id,
        subject="candidate",
        pipeline=fact.pipeline,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        title="",
    )


@items.starts(DealOpened)
def deal_opened(entry: Entry[DealOpened]) -> ItemRow:
    fact = entry.event
    return ItemRow(
        item_id=fact.deal_id,
        subject="deal",
        pipeline=fact.pipeline,
        person_id=None,
        company_id=entry.originator_id,
        job_order_id=None,
        title=fact.title,
    )


@items.on(DealChanged, key=lambda entry: entry.event.deal_id)
def deal_changed(row: ItemRow, entry: Entry[DealChanged]) -> ItemRow:
    return replace(row, title=entry.event.title or row.title)


class Between(msgspec.Struct, frozen=True):
    """Two moments. Positions, or with ``happened`` instants, of when it happened by what is known
    today; ``last`` None: now."""

    first: int | datetime
    last: int | datetime | None
    happened: bool = False


class CandidacyChange(msgspec.Struct, frozen=True, kw_only=True):
    """A candidacy that stood elsewhere at the one moment than at the other, or moved in between.

    change      entered, moved, left (came to an exit), reopened (came back from one), or returned:
                it moved, and is where it was
    from_stage  where it stood before; null: it was not there yet
    path        the stages that it came to in between, the last one ``to_stage``
    at          when it came there, and ``by`` whose hand
    decided_by  whose decision an exit was, with ``reason``; "" where nothing was decided
    """

    id: UUID
    change: Kind
    person_id: UUID
    person: str
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    pipeline: str
    from_stage: str | None
    to_stage: str
    path: list[str]
    at: datetime
    by: str
    reason: str
    decided_by: str
    position: int


class DealChange(msgspec.Struct, frozen=True, kw_only=True):
    """A deal that stood elsewhere at the one moment than at the other, or moved in between; as
    ``CandidacyChange``, ``left`` being won or lost."""

    id: UUID
    change: Kind
    company_id: UUID
    company: str
    title: str
    pipeline: str
    from_stage: str | None
    to_stage: str
    path: list[str]
    at: datetime
    by: str
    reason: str
    position: int


class StageChange(msgspec.Struct, frozen=True):
    """What was in a stage at the one moment and the other, and what came and went: ``before`` and
    ``came`` less ``went`` is ``after``. What only passed through is in none of them.

    entered  of ``came``, what was nowhere in the pipeline before
    net      ``after`` less ``before``
    """

    pipeline: str
    stage: str
    label: str
    category: str
    before: int
    came: int
    entered: int
    went: int
    after: int
    net: int


ChangeT = TypeVar("ChangeT", CandidacyChange, DealChange)
SHOWN: dict[type[CandidacyChange | DealChange], str] = {
    CandidacyChange: "coalesce(p.is_id, i.person_id), coalesce(p.name, ''),"
    " coalesce(o.is_id, i.company_id), coalesce(o.name, ''), i.job_order_id, coalesce(j.name, '')",
    DealChange: "coalesce(o.is_id, i.company_id), coalesce(o.name, ''), i.title",
}
LAST_BY = (
    "SELECT s.* FROM change_step s WHERE s.item_id = i.item_id AND {}"
    " ORDER BY s.position DESC LIMIT 1"
)


async def of_candidacies(
    cur: Cursor,
    between: Between,
    pipeline: str | None = None,
    *,
    job_order_id: UUID | None = None,
    company_id: UUID | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[CandidacyChange]:
    """The last to move first; page by passing the last one's position as ``before``. Joins the
    directory for the names."""
    wanted = {"pipeline": pipeline, "job_order_id": job_order_id, "company_id": company_id}
    return await _changes(cur, CandidacyChange, between, "candidate", wanted, before, limit)


async def of_deals(
    cur: Cursor,
    between: Between,
    pipeline: str,
    *,
    company_id: UUID | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[DealChange]:
    """As ``of_candidacies``."""
    wanted = {"pipeline": pipeline, "company_id": company_id}
    return await _changes(cur, DealChange, between, "deal", wanted, before, limit)


async def by_stage(
    cur: Cursor,
    between: Between,
    subject: Subject,
    pipeline: str | None = None,
    *,
    job_order_id: UUID | None = None,
    company_id: UUID | None = None,
    besides: Collection[UUID] = (),
) -> list[StageChange]:
    """Every stage of the pipeline in its order, or of every one of these, one after the other.
    ``besides``: job orders that do not count. Joins the directory for the stages."""
    first, last, values = _moments(between)
    wanted = {"pipeline": pipeline, "job_order_id": job_order_id, "company_id": company_id}
    await cur.execute(
        "WITH ends AS (SELECT i.pipeline, b.stage AS was, a.stage AS is_now FROM change_item i"
        f" LEFT JOIN LATERAL ({LAST_BY.format(first)}) b ON true"
        f" JOIN LATERAL ({LAST_BY.format(last)}) a ON true"
        f" WHERE i.subject = %(subject)s{_only(wanted)}"
        " AND (i.job_order_id IS NULL OR i.job_order_id <> ALL(%(besides)s))),"
        " came AS (SELECT pipeline, is_now AS stage, count(*) AS after,"
        "   count(*) FILTER (WHERE was IS DISTINCT FROM is_now) AS came,"
        "   count(*) FILTER (WHERE was IS NULL) AS entered FROM ends GROUP BY 1, 2),"
        " went AS (SELECT pipeline, was AS stage, count(*) AS before,"
        "   count(*) FILTER (WHERE was <> is_now) AS went FROM ends GROUP BY 1, 2)"
        " SELECT pipeline, stage, d.label, d.category, coalesce(before, 0), coalesce(came, 0),"
        " coalesce(entered, 0), coalesce(went, 0), coalesce(after, 0),"
        " coalesce(after, 0) - coalesce(before, 0) FROM directory_stage d"
        " LEFT JOIN came USING (pipeline, stage) LEFT JOIN went USING (pipeline, stage)"
        " WHERE d.subject = %(subject)s AND (%(slug)s::text IS NULL OR d.pipeline = %(slug)s)"
        " ORDER BY pipeline, d.place",
        values | wanted | {"subject": subject, "slug": pipeline, "besides": list(besides)},
    )
    return [StageChange(*row) for row in await cur.fetchall()]


async def _changes(
    cur: Cursor,
    type_: type[ChangeT],
    between: Between,
    subject: Subject,
    wanted: dict[str, Any],
    before: int | None,
    limit: int,
) -> list[ChangeT]:
    """From the last step back, until a page is full: each that its item had come to by then, and
    nowhere since."""
    first, last, values = _moments(between)
    since = first.replace("<=", ">")
    last_of_a, last_of_l = last.replace("s.", "a."), last.replace("s.", "l.")
    moved = since.replace("s.", "a.")
    if between.happened:  # what was told last need not be what happened last
        moved = (
            f"EXISTS (SELECT FROM change_step s WHERE s.item_id = a.item_id AND {since} AND {last})"
        )
    change = (
        "CASE WHEN b.stage = a.stage THEN 'returned'"
        " WHEN a.category = ANY(%(exits)s) AND NOT coalesce(b.category = ANY(%(exits)s), false)"
        " THEN 'left' WHEN b.stage IS NULL THEN 'entered'"
        " WHEN b.category = ANY(%(exits)s) AND NOT a.category = ANY(%(exits)s) THEN 'reopened'"
        " ELSE 'moved' END"
    )
    decided = "a.reason, a.decided_by" if type_ is CandidacyChange else "a.reason"
    await cur.execute(
        f"SELECT i.item_id, {change}, {SHOWN[type_]}, i.pipeline, b.stage, a.stage,"
        f" ARRAY(SELECT s.stage FROM change_step s WHERE s.item_id = i.item_id AND {since}"
        f"   AND {last} ORDER BY s.position),"
        f" a.reached_at, a.by, {decided}, a.position"
        " FROM change_step a JOIN change_item i USING (item_id)"
        f" LEFT JOIN LATERAL ({LAST_BY.format(first)}) b ON true"
        " LEFT JOIN who p ON p.id = i.person_id LEFT JOIN who o ON o.id = i.company_id"
        " LEFT JOIN directory j ON j.id = i.job_order_id"
        f" WHERE i.subject = %(subject)s{_only(wanted)} AND {last_of_a} AND {moved}"
        " AND NOT EXISTS (SELECT FROM change_step l WHERE l.item_id = a.item_id"
        f"   AND l.position > a.position AND {last_of_l})"
        " AND (%(before)s::bigint IS NULL OR a.position < %(before)s)"
        " ORDER BY a.position DESC LIMIT %(limit)s",
        values
        | wanted
        | {"subject": subject, "exits": sorted(EXITS), "before": before, "limit": limit},
    )
    names = type_.__struct_fields__
    return [type_(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]


def _moments(between: Between) -> tuple[str, str, dict[str, Any]]:
    """Conditions on a step ``s``: that it was by the one moment, and by the other."""
    column = "s.reached_at" if between.happened else "s.position"
    last = "true" if between.last is None else f"{column} <= %(last)s"
    return f"{column} <= %(first)s", last, {"first": between.first, "last": between.last}


def _only(wanted: dict[str, Any]) -> str:
    those = {name: f"%({name})s" for name, value in wanted.items() if value is not None}
    if "company_id" in those:
        those["company_id"] = f"ANY({everyone('%(company_id)s::uuid')})"
    return "".join(f" AND i.{name} = {value}" for name, value in those.items())
