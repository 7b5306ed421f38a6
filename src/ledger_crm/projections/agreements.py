"""Agreements: what each client pays, version by version, and which of them run out.

One row per version. A version holds until the next one, or until the agreement ends.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.entry import Entry

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone


class VersionRow(Row, frozen=True, kw_only=True):
    agreement_id: UUID
    version: int
    position: int
    company_id: UUID
    job_order_id: UUID | None
    since: datetime
    ends_on: date | None
    ended_at: datetime | None = None
    by: str
    line: str
    terms: str  # the fact without its text, as JSON


versions = Table(
    "agreement_version",
    VersionRow,
    key="agreement_id, version",
    sql="""
    CREATE INDEX agreement_version_of ON agreement_version (company_id, position DESC);
    CREATE INDEX agreement_version_newest ON agreement_version (position DESC);
    """,
)
projection = Projection("agreements", versions, version=4)


@versions.starts(FeeAgreed, FeeAmended)
def said(entry: Entry[FeeAgreed | FeeAmended]) -> VersionRow:
    fact = entry.event
    return VersionRow(
        agreement_id=fact.agreement_id,
        version=fact.version if isinstance(fact, FeeAmended) else 1,
        position=entry.position,
        company_id=entry.originator_id,
        job_order_id=fact.job_order_id,
        since=fact.holds_from,
        ends_on=fact.ends_on,
        by=entry.by,
        line=fact.line,
        terms=msgspec.json.encode(replace(fact, text="")).decode(),
    )


@versions.each(FeeEnded, agreement_id=lambda entry: entry.event.agreement_id)
def ended(row: VersionRow, entry: Entry[FeeEnded]) -> VersionRow:
    return replace(row, ended_at=entry.event.ended_at)


class AgreementShown(msgspec.Struct, frozen=True, kw_only=True):
    """One version.

    since, until  when somebody who was introduced is under it; ``until`` null: still
    by            who wrote it down
    terms         the fact as it was written; what is missing is as its schema has it by default
    """

    agreement_id: UUID
    version: int
    company_id: UUID
    company: str
    job_order_id: UUID | None
    since: datetime
    until: datetime | None
    ends_on: date | None
    by: str
    line: str
    terms: FeeAgreed | FeeAmended
    position: int


TERMS = msgspec.json.Decoder(FeeAgreed | FeeAmended)


SHOWN = """
SELECT h.agreement_id, h.version, coalesce(c.is_id, h.company_id), coalesce(c.name, ''),
       h.job_order_id, h.since, coalesce(h.replaced_at, h.ended_at), h.ends_on, h.by, h.line,
       h.terms, h.position
FROM held h LEFT JOIN who c ON c.id = h.company_id"""


async def listing(
    cur: Cursor,
    *,
    company_id: UUID | None = None,
    agreement_id: UUID | None = None,
    ends_before: date | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[AgreementShown]:
    """The last written down first; page by passing the last one's position as ``before``. Joins
    the directory for the companies' names.

    ends_before  only newest versions, of agreements that nobody ended and that run out by
                 themselves before this day
    """
    await cur.execute(
        "WITH held AS (SELECT v.*, (SELECT n.since FROM agreement_version n"
        "     WHERE n.agreement_id = v.agreement_id AND n.version > v.version"
        "     ORDER BY n.version LIMIT 1) AS replaced_at"
        "   FROM agreement_version v"
        "   WHERE (%(company)s::uuid IS NULL"
        f"     OR v.company_id = ANY({everyone('%(company)s::uuid')}))"
        "   AND (%(agreement)s::uuid IS NULL OR v.agreement_id = %(agreement)s))"
        f" {SHOWN} WHERE (%(before)s::bigint IS NULL OR h.position < %(before)s)"
        " AND (%(ends)s::date IS NULL OR h.ends_on < %(ends)s AND h.ended_at IS NULL"
        "   AND h.replaced_at IS NULL)"
        " ORDER BY h.position DESC LIMIT %(limit)s",
        {
            "company": company_id,
            "agreement": agreement_id,
            "ends": ends_before,
            "before": before,
            "limit": limit,
        },
    )
    return [_shown(row) for row in await cur.fetchall()]


async def newest(cur: Cursor, agreement_id: UUID) -> AgreementShown | None:
    """Its version that was written down last. Joins the directory for the company's name."""
    await cur.execute(
        "WITH held AS (SELECT v.*, NULL::timestamptz AS replaced_at FROM agreement_version v"
        f" WHERE v.agreement_id = %s ORDER BY v.version DESC LIMIT 1) {SHOWN}",
        (agreement_id,),
    )
    row = await cur.fetchone()
    return row and _shown(row)


def _shown(row: tuple[Any, ...]) -> AgreementShown:
    fields = dict(zip(AgreementShown.__struct_fields__, row, strict=True))
    return AgreementShown(**fields | {"terms": TERMS.decode(fields["terms"])})
