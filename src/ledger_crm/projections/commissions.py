"""Commissions: whose placement it was, and what each consultant's share of it comes to.

One row per placement. A share is of what the placement brings us: the fee, less another agency's
part, less what was not owed any more once it fell through. Shares sum to that, to the minor unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import CandidacyFact, Placed
from ledger_crm.domain.entry import Actor, Entry
from ledger_crm.domain.fee import WHOLE, Share, divided
from ledger_crm.domain.placement import CommissionSplit, FellThrough
from ledger_crm.domain.team import team_id

from ._projection import Cursor, Projection, Row, Table
from ._team import was_in


class Part(msgspec.Struct, frozen=True):
    consultant: str
    share_bp: int
    cents: int


class CommissionRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    position: int
    person_id: UUID
    company_id: UUID
    job_order_id: UUID
    placed_at: datetime
    fee_cents: int
    partner_cents: int
    rebate_cents: int
    currency: str
    parts: str  # JSON, a list of ``Part``


commissions = Table(
    "commission",
    CommissionRow,
    key="candidacy_id",
    sql="""
    CREATE INDEX commission_newest ON commission (position DESC);
    """,
)
projection = Projection("commissions", commissions, version=4)
PARTS = msgspec.json.Decoder(list[Part])


def candidacy(entry: Entry[CandidacyFact]) -> UUID:
    return entry.event.candidacy_id


@commissions.starts(Placed)
def placed(entry: Entry[Placed]) -> CommissionRow:
    fact = entry.event
    row = CommissionRow(
        candidacy_id=fact.candidacy_id,
        position=entry.position,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        placed_at=fact.placed_at,
        fee_cents=fact.fee_cents,
        partner_cents=fact.partner_cents,
        rebate_cents=0,
        currency=fact.currency,
        parts="[]",
    )
    return _shared(row, fact.shares or _all_of(entry.by))


@commissions.on(CommissionSplit, key=candidacy)
def split(row: CommissionRow, entry: Entry[CommissionSplit]) -> CommissionRow:
    return _shared(row, entry.event.shares)


@commissions.on(FellThrough, key=candidacy)
def fell_through(row: CommissionRow, entry: Entry[FellThrough]) -> CommissionRow:
    shares = [
        Share(consultant=part.consultant, share_bp=part.share_bp)
        for part in PARTS.decode(row.parts)
    ]
    return _shared(replace(row, rebate_cents=entry.event.rebate_cents), shares)


def _all_of(actor: Actor) -> list[Share]:
    return [Share(consultant=actor, share_bp=WHOLE)]


def _shared(row: CommissionRow, shares: Sequence[Share]) -> CommissionRow:
    ours = row.fee_cents - row.partner_cents
    kept = row.fee_cents - row.rebate_cents
    left = divided(kept, [ours, row.partner_cents])[0] if row.fee_cents else 0
    parts = [
        Part(share.consultant, share.share_bp, cents)
        for share, cents in zip(
            shares, divided(left, [share.share_bp for share in shares]), strict=True
        )
    ]
    return replace(row, parts=msgspec.json.encode(parts).decode())


class CommissionShown(msgspec.Struct, frozen=True, kw_only=True):
    """parts  what each consultant gets; together what the placement brings us now. Of a team
    only theirs, so that what teams get sums up to the same"""

    candidacy_id: UUID
    person_id: UUID
    person: str
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    placed_at: datetime
    fee_cents: int
    partner_cents: int
    rebate_cents: int
    currency: str
    parts: list[Part]
    position: int


PARTNER = "p.part ->> 'consultant'"
PLACED_ON = "t.placed_at::date"


async def listing(
    cur: Cursor,
    *,
    consultant: str | None = None,
    team: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[CommissionShown]:
    """Of the placements of which a consultant has one of the parts that are shown, or of all, the
    newest first; page by passing the last one's position as ``before``. Joins the directory for the
    names, and for the team.

    team  whose consultants of the day of the placement have a part of it
    """
    await cur.execute(
        "SELECT t.candidacy_id, coalesce(n.is_id, t.person_id), coalesce(n.name, ''),"
        " coalesce(c.is_id, t.company_id), coalesce(c.name, ''), t.job_order_id,"
        " coalesce(j.name, ''), t.placed_at, t.fee_cents,"
        " t.partner_cents, t.rebate_cents, t.currency, theirs.parts, t.position FROM commission t"
        " CROSS JOIN LATERAL (SELECT json_agg(p.part ORDER BY p.nth)::text AS parts"
        "   FROM json_array_elements(t.parts::json) WITH ORDINALITY p (part, nth)"
        f"   WHERE {was_in(PARTNER, PLACED_ON)}) theirs"
        " LEFT JOIN who n ON n.id = t.person_id"
        " LEFT JOIN who c ON c.id = t.company_id"
        " LEFT JOIN directory j ON j.id = t.job_order_id"
        " WHERE (%(before)s::bigint IS NULL OR t.position < %(before)s)"
        " AND (%(consultant)s::text IS NULL OR theirs.parts::jsonb"
        "   @> jsonb_build_array(jsonb_build_object('consultant', %(consultant)s::text)))"
        " AND theirs.parts IS NOT NULL"
        " ORDER BY t.position DESC LIMIT %(limit)s".encode(),
        {
            "consultant": consultant,
            "team": team_id(team) if team else None,
            "before": before,
            "limit": limit,
        },
    )
    names = CommissionShown.__struct_fields__
    return [
        CommissionShown(**dict(zip(names, row, strict=True)) | {"parts": PARTS.decode(row[12])})
        for row in await cur.fetchall()
    ]
