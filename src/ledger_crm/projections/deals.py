"""Deals: what we are selling to whom, how far it is and what it is worth. The deal pipeline.

One row per deal, and one per company for who of us owns it: of a team are the deals of its
companies. Sums are by currency: nothing here converts one into another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.company import DealFact, DealLost, DealOpened, DealWon
from ledger_crm.domain.custom import FirmFieldCleared, FirmFieldSet, Value
from ledger_crm.domain.deal import DealChanged, DealLinked, DealStep, PaperSent, PaperSigned
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.firm import OwnerAssigned
from ledger_crm.domain.segment import FieldIs

from ._custom import fitting, shown_of, values
from ._projection import Cursor, Projection, Row, Table, all_words, plain
from ._team import Team, whose
from ._who import everyone, survivor


class DealRow(Row, frozen=True, kw_only=True):
    deal_id: UUID
    position: int  # of its newest entry: the order of the cards
    company_id: UUID
    title: str
    sought: str  # the title as it is looked for
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
    proposal_version: int = 0  # the last one sent
    proposal_signed: int = 0  # the last one signed
    proposal_document_id: UUID | None = None  # of what was sent or signed last
    terms_document_id: UUID | None = None
    terms_version: int = 0
    terms_signed: int = 0
    signed_by_id: UUID | None = None  # of whatever was signed last
    job_orders: str = ""  # ids, a line each


class OwnerRow(Row, frozen=True, kw_only=True):
    company_id: UUID
    owner: str = ""


deals = Table(
    "deal",
    DealRow,
    key="deal_id",
    sql="""
    CREATE INDEX deal_board ON deal (pipeline, position DESC);
    CREATE INDEX deal_stage ON deal (stage, position DESC);
    CREATE INDEX deal_company ON deal (company_id, position DESC);
    """,
)
custom = values("deal_field", FirmFieldSet, FirmFieldCleared, of=lambda entry: entry.event.deal_id)
owners = Table(
    "deal_owner",
    OwnerRow,
    key="company_id",
    sql="CREATE INDEX deal_owner_of ON deal_owner (owner);",
)
projection = Projection("deals", deals, custom, owners, version=10, parallel="stream")


def deal(entry: Entry[DealFact | DealStep]) -> UUID:
    return entry.event.deal_id


@deals.starts(DealOpened)
def deal_opened(entry: Entry[DealOpened]) -> DealRow:
    fact = entry.event
    return DealRow(
        deal_id=fact.deal_id,
        position=entry.position,
        company_id=entry.originator_id,
        title=fact.title,
        sought=plain(fact.title),
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


@deals.on(DealChanged, key=deal)
def deal_changed(row: DealRow, entry: Entry[DealChanged]) -> DealRow:
    fact = entry.event
    row = replace(row, **{name: getattr(fact, name) for name in fact.changes})
    return replace(row, sought=plain(row.title))


@deals.on(PaperSent, key=deal)
def paper_sent(row: DealRow, entry: Entry[PaperSent]) -> DealRow:
    fact = entry.event
    sent = {f"{fact.paper}_version": fact.version, f"{fact.paper}_document_id": fact.document_id}
    return replace(row, **sent)


@deals.on(PaperSigned, key=deal)
def paper_signed(row: DealRow, entry: Entry[PaperSigned]) -> DealRow:
    fact = entry.event
    row = replace(row, **{f"{fact.paper}_signed": fact.version}, signed_by_id=fact.signed_by_id)
    filed = {f"{fact.paper}_document_id": fact.document_id} if fact.document_id else {}
    return replace(row, **filed)


@deals.on(DealLinked, key=deal)
def deal_linked(row: DealRow, entry: Entry[DealLinked]) -> DealRow:
    return replace(row, job_orders=f"{row.job_orders}\n{entry.event.job_order_id}".strip())


@owners.starts(OwnerAssigned)
def owned(entry: Entry[OwnerAssigned]) -> OwnerRow:
    return OwnerRow(company_id=entry.originator_id, owner=entry.event.owner)


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
    """proposal_version, terms_version  the last one sent; 0: none
    proposal_signed, terms_signed    the last one signed; 0: none
    signed_by_id                     who signed what was signed last
    proposal_document_id, terms_document_id  what is filed of the last one sent or signed
    custom                           values of custom fields, by field
    """

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
    proposal_version: int
    proposal_signed: int
    terms_version: int
    terms_signed: int
    signed_by_id: UUID | None
    proposal_document_id: UUID | None
    terms_document_id: UUID | None
    job_orders: list[UUID]
    custom: dict[str, Value]
    position: int


OWNED = (
    f"(%(owners)s::text[] IS NULL OR {survivor('d.company_id')} IN"
    f" (SELECT {survivor('company_id')} FROM deal_owner WHERE owner = ANY(%(owners)s)))"
)


async def counts(
    cur: Cursor, pipeline: str, *, company_id: UUID | None = None, team: Team | None = None
) -> list[DealCount]:
    """Every stage of the pipeline, in its order. Joins the directory for the stages, and for the
    team."""
    await cur.execute(
        "SELECT s.stage, s.label, s.category, coalesce(d.currency, ''), count(d.deal_id),"
        " coalesce(sum(d.value_cents), 0),"
        " coalesce(sum(floor(d.value_cents::numeric * d.probability_bp / 10000)), 0)"
        " FROM directory_stage s LEFT JOIN deal d ON d.pipeline = s.pipeline AND d.stage = s.stage"
        "   AND (%(company)s::uuid IS NULL"
        f" OR d.company_id = ANY({everyone('%(company)s::uuid')})) AND {OWNED}"
        " WHERE s.pipeline = %(pipeline)s"
        " GROUP BY s.stage, s.label, s.category, s.place, d.currency"
        " ORDER BY s.place, d.currency",
        {
            "pipeline": pipeline,
            "company": company_id,
            "owners": await whose(cur, None, team),
        },
    )
    return [
        DealCount(stage, label, category, currency, n, int(value), int(weighted))
        for stage, label, category, currency, n, value, weighted in await cur.fetchall()
    ]


CARD = f"""
SELECT d.deal_id, coalesce(o.is_id, d.company_id), coalesce(o.name, ''), d.title, d.pipeline,
       d.stage, d.category, d.probability_bp, d.value_cents, d.currency, d.opened_at, d.stage_since,
       d.expected_close_on, d.contact_id, d.over, d.reason, d.proposal_version, d.proposal_signed,
       d.terms_version, d.terms_signed, d.signed_by_id, d.proposal_document_id,
       d.terms_document_id, array_remove(string_to_array(d.job_orders, E'\\n'), '')::uuid[],
       {shown_of("deal_field", "d.deal_id")}, d.position
FROM deal d LEFT JOIN who o ON o.id = d.company_id"""


async def cards(
    cur: Cursor,
    pipeline: str,
    *,
    words: str | None = None,
    company_id: UUID | None = None,
    stage: str | None = None,
    team: Team | None = None,
    custom: Sequence[FieldIs] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[DealCard]:
    """The last to move first; page by passing the last one's position as ``before``. ``words``: or
    parts of words, all in the title. Joins the directory for the companies' names, custom fields,
    and the team. Raises NoSuchField, WrongFieldValue."""
    fits, known = await fitting(cur, "deal_field", "deal", "d.deal_id", custom)
    await cur.execute(
        f"{CARD} WHERE d.pipeline = %(pipeline)s"
        " AND (%(company)s::uuid IS NULL"
        f" OR d.company_id = ANY({everyone('%(company)s::uuid')})) AND {OWNED}"
        " AND (%(words)s::text[] IS NULL OR d.sought LIKE ALL(%(words)s))"
        " AND (%(stage)s::text IS NULL OR d.stage = %(stage)s)"
        f" AND (%(before)s::bigint IS NULL OR d.position < %(before)s) AND {fits}"
        " ORDER BY d.position DESC LIMIT %(limit)s",
        known
        | {
            "pipeline": pipeline,
            "words": all_words(words or "") or None,
            "company": company_id,
            "stage": stage,
            "owners": await whose(cur, None, team),
            "before": before,
            "limit": limit,
        },
    )
    return [_card(row) for row in await cur.fetchall()]


async def one(cur: Cursor, deal_id: UUID) -> DealCard | None:
    """Joins the directory for the company's name."""
    await cur.execute(f"{CARD} WHERE d.deal_id = %s", (deal_id,))
    row = await cur.fetchone()
    return row and _card(row)


def _card(row: tuple[object, ...]) -> DealCard:
    return msgspec.convert(dict(zip(DealCard.__struct_fields__, row, strict=True)), DealCard)


class Month(msgspec.Struct, frozen=True):
    """month     the first day of it; None: nobody said when
    weighted  value times probability of winning, rounded down deal by deal
    """

    month: date | None
    currency: str
    deals: int
    value_cents: int
    weighted_cents: int


async def forecast(
    cur: Cursor, pipeline: str, *, company_id: UUID | None = None, team: Team | None = None
) -> list[Month]:
    """Of deals that are neither won nor lost, by month of expected close and currency; those
    without one come last. Joins the directory for the team."""
    await cur.execute(
        "SELECT date_trunc('month', expected_close_on)::date, currency, count(*),"
        " sum(value_cents), sum(floor(value_cents::numeric * probability_bp / 10000))"
        " FROM deal d WHERE NOT over AND pipeline = %(pipeline)s"
        f" AND (%(company)s::uuid IS NULL OR company_id = ANY({everyone('%(company)s::uuid')}))"
        f" AND {OWNED}"
        " GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2",
        {
            "pipeline": pipeline,
            "company": company_id,
            "owners": await whose(cur, None, team),
        },
    )
    return [
        Month(month, currency, n, int(value), int(weighted))
        for month, currency, n, value, weighted in await cur.fetchall()
    ]
