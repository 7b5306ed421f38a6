"""Referrals: who was referred to us by whom, whom we referred to which partner, and what is owed
for it. One row a referral.

A fee that we owe for a start falls due by the first start that is written down after the referral:
of the candidate in any job, or of any candidate at the client.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import Entry, PersonFact
from ledger_crm.domain.placement import PlacementStarted
from ledger_crm.domain.referral import Direction, Given, Received, ReferralFee

from ._projection import Cursor, Projection, Row, Table, stream
from ._who import everyone

FeeStanding = Literal["none", "agreed", "due", "paid", "waived"]


class ReferralRow(Row, frozen=True, kw_only=True):
    referral_id: UUID
    position: int
    direction: str
    kind: str  # of whom it is about: person, company
    subject_id: UUID
    with_person_id: UUID | None
    with_company_id: UUID | None
    at: datetime
    by: str
    fee_cents: int
    currency: str
    fee_on: str
    fee: str
    fee_since: datetime | None
    text: str


referrals = Table(
    "referral",
    ReferralRow,
    key="referral_id",
    sql="""
    CREATE INDEX referral_newest ON referral (position DESC);
    CREATE INDEX referral_fee ON referral (fee, position DESC);
    CREATE INDEX referral_direction ON referral (direction, fee, position DESC);
    CREATE INDEX referral_directed ON referral (direction, position DESC);
    CREATE INDEX referral_of ON referral (subject_id, position DESC);
    CREATE INDEX referral_with_person ON referral (with_person_id);
    CREATE INDEX referral_with_company ON referral (with_company_id);
    """,
)
referrals.erases("text", of="subject_id")
projection = Projection("referrals", referrals, version=7)


@referrals.starts(Received, Given)
def referred(entry: Entry[Received | Given]) -> ReferralRow:
    fact = entry.event
    person_id, company_id = fact.with_ids
    at_once = fact.fee_cents and fact.fee_on == "referral"
    return ReferralRow(
        referral_id=fact.referral_id,
        position=entry.position,
        direction="received" if isinstance(fact, Received) else "given",
        kind="person" if isinstance(fact, PersonFact) else "company",
        subject_id=entry.originator_id,
        with_person_id=person_id,
        with_company_id=company_id,
        at=entry.at,
        by=entry.by,
        fee_cents=fact.fee_cents,
        currency=fact.currency,
        fee_on=fact.fee_on,
        fee="due" if at_once else "agreed" if fact.fee_cents else "none",
        fee_since=entry.at if fact.fee_cents else None,
        text=fact.text,
    )


@referrals.each(PlacementStarted, subject_id=stream)
@referrals.each(PlacementStarted, subject_id=lambda entry: entry.event.company_id)
def started(row: ReferralRow, entry: Entry[PlacementStarted]) -> ReferralRow:
    late = entry.event.starts_on < row.at.date()
    if row.direction != "received" or row.fee != "agreed" or late:
        return row
    return replace(row, fee="due", fee_since=entry.at)


@referrals.on(ReferralFee, key=lambda entry: entry.event.referral_id)
def told(row: ReferralRow, entry: Entry[ReferralFee]) -> ReferralRow:
    return replace(row, fee=entry.event.state, fee_since=entry.at)


class ReferralShown(msgspec.Struct, frozen=True, kw_only=True):
    """direction       received: somebody told us of them; given: we told a partner
    kind            of whom it is about: person, company
    subject         their name
    with_person_id  who referred them, or to whom we did; so with the company
    fee             none, agreed and not due yet, due, paid, waived; ``fee_since`` when that came
    owed_by         of a fee: us, or the partner
    """

    id: UUID
    direction: Direction
    kind: str
    subject_id: UUID
    subject: str
    with_person_id: UUID | None
    with_person: str | None
    with_company_id: UUID | None
    with_company: str | None
    at: datetime
    by: str
    fee_cents: int
    currency: str
    fee_on: str
    fee: FeeStanding
    fee_since: datetime | None
    owed_by: str
    text: str
    position: int


SHOWN = """
SELECT r.referral_id, r.direction, r.kind, coalesce(s.is_id, r.subject_id), coalesce(s.name, ''),
       p.is_id, p.name, c.is_id, c.name, r.at, r.by, r.fee_cents, r.currency, r.fee_on, r.fee,
       r.fee_since, CASE WHEN r.fee = 'none' THEN '' WHEN r.direction = 'received' THEN 'us'
       ELSE 'partner' END, r.text, r.position
FROM referral r
LEFT JOIN who s ON s.id = r.subject_id
LEFT JOIN who p ON p.id = r.with_person_id
LEFT JOIN who c ON c.id = r.with_company_id"""


async def listing(
    cur: Cursor,
    *,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    direction: Direction | None = None,
    fee: FeeStanding | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[ReferralShown]:
    """The last written down first; page by passing the last one's position as ``before``. Of a
    person or a company: also those that came from them or went to them. Joins the directory for
    the names."""
    await cur.execute(
        f"{SHOWN} WHERE (%(before)s::bigint IS NULL OR r.position < %(before)s)"
        f" AND (%(person)s::uuid IS NULL OR r.subject_id = ANY({everyone('%(person)s::uuid')})"
        f"   OR r.with_person_id = ANY({everyone('%(person)s::uuid')}))"
        f" AND (%(company)s::uuid IS NULL OR r.subject_id = ANY({everyone('%(company)s::uuid')})"
        f"   OR r.with_company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(direction)s::text IS NULL OR r.direction = %(direction)s)"
        " AND (%(fee)s::text IS NULL OR r.fee = %(fee)s)"
        " ORDER BY r.position DESC LIMIT %(limit)s",
        {
            "person": person_id,
            "company": company_id,
            "direction": direction,
            "fee": fee,
            "before": before,
            "limit": limit,
        },
    )
    return [_shown(row) for row in await cur.fetchall()]


async def one(cur: Cursor, referral_id: UUID) -> ReferralShown | None:
    """As in the list."""
    await cur.execute(f"{SHOWN} WHERE r.referral_id = %s", (referral_id,))
    row = await cur.fetchone()
    return row and _shown(row)


def _shown(row: tuple[Any, ...]) -> ReferralShown:
    return ReferralShown(**dict(zip(ReferralShown.__struct_fields__, row, strict=True)))
