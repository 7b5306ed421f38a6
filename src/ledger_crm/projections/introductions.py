"""Introductions: who was introduced to whom, when, and under which version of which agreement. The
evidence in a fee dispute, and the tails that still run.

One row per introduction, the repeated ones too.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import CandidacyFact, Introduced, Placed
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.placement import BackdoorSuspected

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone


class IntroductionRow(Row, frozen=True, kw_only=True):
    position: int
    candidacy_id: UUID
    person_id: UUID
    company_id: UUID
    job_order_id: UUID
    to_person_id: UUID | None
    introduced_at: datetime
    recorded_at: datetime
    by: str
    agreement_id: UUID
    agreement_version: int
    tail_until_on: date | None
    placed_at: datetime | None = None
    hired_on: date | None = None  # past us


introductions = Table(
    "introduction",
    IntroductionRow,
    key="position",
    sql="""
    CREATE INDEX introduction_candidacy ON introduction (candidacy_id);
    CREATE INDEX introduction_company ON introduction (company_id, position DESC);
    CREATE INDEX introduction_person ON introduction (person_id, position DESC);
    CREATE INDEX introduction_tail ON introduction (tail_until_on);
    CREATE INDEX introduction_hired ON introduction (position DESC) WHERE hired_on IS NOT NULL;
    """,
)
projection = Projection("introductions", introductions, version=4, parallel="stream")


def candidacy(entry: Entry[CandidacyFact]) -> UUID:
    return entry.event.candidacy_id


@introductions.starts(Introduced)
def introduced(entry: Entry[Introduced]) -> IntroductionRow:
    fact = entry.event
    return IntroductionRow(
        position=entry.position,
        candidacy_id=fact.candidacy_id,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        to_person_id=fact.to_person_id,
        introduced_at=fact.introduced_at,
        recorded_at=entry.timestamp,
        by=entry.by,
        agreement_id=fact.agreement_id,
        agreement_version=fact.agreement_version,
        tail_until_on=fact.tail_until_on,
    )


@introductions.each(Placed, candidacy_id=candidacy)
def placed(row: IntroductionRow, entry: Entry[Placed]) -> IntroductionRow:
    return replace(row, placed_at=entry.event.placed_at)


@introductions.each(BackdoorSuspected, candidacy_id=candidacy)
def hired(row: IntroductionRow, entry: Entry[BackdoorSuspected]) -> IntroductionRow:
    return replace(row, hired_on=entry.event.starts_on)


class IntroductionShown(msgspec.Struct, frozen=True, kw_only=True):
    """recorded_at    when it was written down, which nobody can change
    tail_until_on  the last day on which it is owed for if they are hired past us
    placed_at      by us; null: not
    hired_on       past us, within the tail; null: not as far as we know
    """

    candidacy_id: UUID
    person_id: UUID
    person: str
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    to_person_id: UUID | None
    to_person: str | None
    introduced_at: datetime
    recorded_at: datetime
    by: str
    agreement_id: UUID
    agreement_version: int
    tail_until_on: date | None
    placed_at: datetime | None
    hired_on: date | None
    position: int


async def listing(
    cur: Cursor,
    *,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    candidacy_id: UUID | None = None,
    in_tail_on: date | None = None,
    hired_past_us: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[IntroductionShown]:
    """The last written down first; page by passing the last one's position as ``before``. Joins
    the directory for the names.

    in_tail_on  only those whose tail runs on that day and who are not placed
    """
    await cur.execute(
        "SELECT i.candidacy_id, coalesce(p.is_id, i.person_id), coalesce(p.name, ''),"
        " coalesce(c.is_id, i.company_id),"
        " coalesce(c.name, ''), i.job_order_id, coalesce(j.name, ''), t.is_id, t.name,"
        " i.introduced_at, i.recorded_at, i.by, i.agreement_id, i.agreement_version,"
        " i.tail_until_on, i.placed_at, i.hired_on, i.position FROM introduction i"
        " LEFT JOIN who p ON p.id = i.person_id"
        " LEFT JOIN who c ON c.id = i.company_id"
        " LEFT JOIN directory j ON j.id = i.job_order_id"
        " LEFT JOIN who t ON t.id = i.to_person_id"
        " WHERE (%(before)s::bigint IS NULL OR i.position < %(before)s)"
        f" AND (%(person)s::uuid IS NULL OR i.person_id = ANY({everyone('%(person)s::uuid')}))"
        f" AND (%(company)s::uuid IS NULL OR i.company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(candidacy)s::uuid IS NULL OR i.candidacy_id = %(candidacy)s)"
        " AND (%(hired)s::boolean IS NULL OR (i.hired_on IS NOT NULL) = %(hired)s)"
        " AND (%(day)s::date IS NULL OR i.placed_at IS NULL AND i.tail_until_on >= %(day)s"
        "   AND i.introduced_at < %(day)s + 1)"
        " ORDER BY i.position DESC LIMIT %(limit)s",
        {
            "person": person_id,
            "company": company_id,
            "candidacy": candidacy_id,
            "hired": hired_past_us,
            "day": in_tail_on,
            "before": before,
            "limit": limit,
        },
    )
    names = IntroductionShown.__struct_fields__
    return [IntroductionShown(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]
