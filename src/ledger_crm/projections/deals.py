"""Deals: what we are selling to whom, how far it is and what it is worth. The deal pipeline.

One row per deal. Sums are by currency: nothing here converts one into another.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.company import DealFact, DealLost, DealOpened, DealWon
from ledger_crm.domain.entry import Entry

from ._projection import Cursor, Projection, Row, Table


class DealRow(Row, frozen=True, kw_only=True):
    deal_id: UUID
    position: int  # of its newest entry: the order of the cards
    company_id: UUID
    title: str
    pipeline: str
    stage: str
    category: str
    probability_bp: int
    value_cents: int
    currency: str
    opened_at: datetime
    stage_since: datetime
    expected_close_on: date | None
    contact_id: UUID | None
    over: bool = False
    reason: str = ""


deals = Table(
    "deal",
    DealRow,
    key="deal_id",
    sql="""
    CREATE INDEX deal_board ON deal (pipeline, position DESC);
    CREATE INDEX deal_company ON deal (company_id, position DESC);
    """,
)
projection = Projection("deals", deals, version=1)


def deal(entry: Entry[DealFact]) -> UUID:
    return entry.event.deal_id


@deals.starts(DealOpened)
def deal_opened(entry: Entry[DealOpened]) -> DealRow:
    fact = entry.event
    return DealRow(
        deal_id=fact.deal_id,
        position=entry.position,
        company_id=entry.originator_id,
        title=fact.title,
        pipeline=fact.pipeline,
        stage=fact.stage,
        category=fact.category,
        probability_bp=fact.probability_bp,
        value_cents=fact.value_cents,
        currency=fact.currency,
        opened_at=fact.opened_at,
        stage_since=fact.opened_at,
        expected_close_on=fact.expected_close_on,
        contact_id=fact.contact_id,
    )


@deals.on(DealFact, key=deal)
def stage_reached(row: DealRow, entry: Entry[DealFact]) -> DealRow:
    fact = entry.event
    return replace(
        row,
        position=entry.position,
        stage=fact.stage,
        category=fact.category,
        probability_bp=fact.probability_bp,
        stage_since=fact.reached_at,
    )


@deals.on(DealWon, key=deal)
def deal_won(row: DealRow, entry: Entry[DealWon]) -> DealRow:
    return replace(row, over=True)


@deals.on(DealLost, key=deal)
def deal_lost(row: DealRow, entry: Entry[DealLost]) -> DealRow:
    return replace(row, over=True, reason=entry.event.reason)


class DealCount(msgspec.Struct, frozen=True):
    """One stage and currency. ``weighted_cents``: the sum of value times probability of winning,
    rounded down deal by deal. A stage without deals has currency "" and zeros."""

    stage: str
    label: str
    category: str
    currency: str
    deals: int
    value_cents: int
    weighted_cents: int


class DealCard(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    company_id: UUID
    company: str
    title: str
    pipeline: str
    stage: str
    category: str
    probability_bp: int
    value_cents: int
    currency: str
    opened_at: datetime
    stage_since: datetime
    expected_close_on: date | None
    contact_id: UUID | None
    over: bool
    reason: str
    position: int


async def counts(cur: Cursor, pipeline: str, *, company_id: UUID | None = None) -> list[DealCount]:
    """Every stage of the pipeline, in its order. Joins the directory for the stages."""
    await cur.execute(
        "SELECT s.stage, s.label, s.category, coalesce(d.currency, ''), count(d.deal_id),"
        " coalesce(sum(d.value_cents), 0),"
        " coalesce(sum(floor(d.value_cents::numeric * d.probability_bp / 10000)), 0)"
        " FROM directory_stage s LEFT JOIN deal d ON d.pipeline = s.pipeline AND d.stage = s.stage"
        "   AND (%(company)s::uuid IS NULL OR d.company_id = %(company)s)"
        " WHERE s.pipeline = %(pipeline)s"
        " GROUP BY s.stage, s.label, s.category, s.place, d.currency"
        " ORDER BY s.place, d.currency",
        {"pipeline": pipeline, "company": company_id},
    )
    return [
        DealCount(stage, label, category, currency, n, int(value), int(weighted))
        for stage, label, category, currency, n, value, weighted in await cur.fetchall()
    ]


async def cards(
    cur: Cursor,
    pipeline: str,
    *,
    company_id: UUID | None = None,
    stage: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[DealCard]:
    """The last to move first; page by passing the last one's position as ``before``. Joins the
    directory for the companies' names."""
    await cur.execute(
        "SELECT d.deal_id, d.company_id, coalesce(o.name, ''), d.title, d.pipeline, d.stage,"
        " d.category, d.probability_bp, d.value_cents, d.currency, d.opened_at, d.stage_since,"
        " d.expected_close_on, d.contact_id, d.over, d.reason, d.position"
        " FROM deal d LEFT JOIN directory o ON o.id = d.company_id"
        " WHERE d.pipeline = %(pipeline)s"
        " AND (%(company)s::uuid IS NULL OR d.company_id = %(company)s)"
        " AND (%(stage)s::text IS NULL OR d.stage = %(stage)s)"
        " AND (%(before)s::bigint IS NULL OR d.position < %(before)s)"
        " ORDER BY d.position DESC LIMIT %(limit)s",
        {
            "pipeline": pipeline,
            "company": company_id,
            "stage": stage,
            "before": before,
            "limit": limit,
        },
    )
    names = DealCard.__struct_fields__
    return [DealCard(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]
