"""Placements: who is placed where for which fee, and what became of it.

One row per placement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import CandidacyFact, Placed
from ledger_crm.domain.custom import CustomFieldCleared, CustomFieldSet, Value
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.placement import FellThrough, GuaranteeEnded, PlacementStarted
from ledger_crm.domain.segment import FieldIs

from ._custom import fitting, shown_of, values
from ._projection import Cursor, Projection, Row, Table
from ._who import everyone

Status = Literal["placed", "started", "fell_through", "guarantee_ended"]


class PlacementRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    position: int  # of its first entry: the order of the list
    person_id: UUID
    company_id: UUID
    job_order_id: UUID
    placed_at: datetime
    by: str
    starts_on: date
    first_year_pay_cents: int
    fee_cents: int
    partner_cents: int
    currency: str
    agreement_id: UUID
    agreement_version: int
    full_time: bool
    replaces_id: UUID | None
    status: str = "placed"
    guarantee_until_on: date | None = None
    left_on: date | None = None
    reason: str = ""
    remedy: str = ""
    rebate_cents: int = 0


placements = Table(
    "placement",
    PlacementRow,
    key="candidacy_id",
    sql="""
    CREATE INDEX placement_newest ON placement (position DESC);
    CREATE INDEX placement_status ON placement (status, position DESC);
    CREATE INDEX placement_guarantee ON placement (guarantee_until_on) WHERE status = 'started';
    CREATE INDEX placement_company ON placement (company_id, position DESC);
    CREATE INDEX placement_person ON placement (person_id, position DESC);
    """,
)
custom = values(
    "placement_field",
    CustomFieldSet,
    CustomFieldCleared,
    of=lambda entry: entry.event.candidacy_id,
)
projection = Projection("placements", placements, custom, version=8, parallel="stream")


def candidacy(entry: Entry[CandidacyFact]) -> UUID:
    return entry.event.candidacy_id


@placements.starts(Placed)
def placed(entry: Entry[Placed]) -> PlacementRow:
    fact = entry.event
    return PlacementRow(
        candidacy_id=fact.candidacy_id,
        position=entry.position,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        placed_at=fact.placed_at,
        by=entry.by,
        starts_on=fact.starts_on,
        first_year_pay_cents=fact.first_year_pay_cents,
        fee_cents=fact.fee_cents,
        partner_cents=fact.partner_cents,
        currency=fact.currency,
        agreement_id=fact.agreement_id,
        agreement_version=fact.agreement_version,
        full_time=fact.full_time,
        replaces_id=fact.replaces_id,
    )


@placements.on(PlacementStarted, key=candidacy)
def started(row: PlacementRow, entry: Entry[PlacementStarted]) -> PlacementRow:
    fact = entry.event
    return replace(
        row,
        status="started",
        starts_on=fact.starts_on,
        guarantee_until_on=fact.guarantee_until_on,
    )


@placements.on(FellThrough, key=candidacy)
def fell_through(row: PlacementRow, entry: Entry[FellThrough]) -> PlacementRow:
    fact = entry.event
    return replace(
        row,
        status="fell_through",
        left_on=fact.left_on,
        reason=fact.reason,
        remedy=fact.remedy,
        rebate_cents=fact.rebate_cents,
    )


@placements.on(GuaranteeEnded, key=candidacy)
def guarantee_ended(row: PlacementRow, entry: Entry[GuaranteeEnded]) -> PlacementRow:
    return replace(row, status="guarantee_ended")


class PlacementShown(msgspec.Struct, frozen=True, kw_only=True):
    """fee_cents           fixed when they were placed, by the version that is named
    partner_cents       of it, another agency's
    guarantee_until_on  its last day; null: none, or they have not started
    remedy              of a fall-through: rebate, replacement, none; else ""
    rebate_cents        of the fee, what is not owed any more
    replaces_id         the candidacy that fell through, in whose place they came for no fee
    custom              values of custom fields, by field
    """

    candidacy_id: UUID
    person_id: UUID
    person: str
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    status: Status
    placed_at: datetime
    by: str
    starts_on: date
    first_year_pay_cents: int
    fee_cents: int
    partner_cents: int
    currency: str
    agreement_id: UUID
    agreement_version: int
    full_time: bool
    replaces_id: UUID | None
    guarantee_until_on: date | None
    left_on: date | None
    reason: str
    remedy: str
    rebate_cents: int
    custom: dict[str, Value]
    position: int


STATUS = (
    "CASE WHEN t.status = 'started' AND t.guarantee_until_on < %(on)s::date"
    " THEN 'guarantee_ended' ELSE t.status END"
)
JOINED = {
    "status": STATUS,
    "person_id": "coalesce(p.is_id, t.person_id)",
    "person": "coalesce(p.name, '')",
    "company_id": "coalesce(c.is_id, t.company_id)",
    "company": "coalesce(c.name, '')",
    "job_order": "coalesce(j.name, '')",
    "custom": shown_of("placement_field", "t.candidacy_id"),
}
COLUMNS = ", ".join(JOINED.get(name, f"t.{name}") for name in PlacementShown.__struct_fields__)
SHOWN = f"""
SELECT {COLUMNS} FROM placement t
LEFT JOIN who p ON p.id = t.person_id
LEFT JOIN who c ON c.id = t.company_id
LEFT JOIN directory j ON j.id = t.job_order_id"""


async def listing(
    cur: Cursor,
    *,
    on: date | None = None,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    status: Status | None = None,
    in_guarantee_on: date | None = None,
    custom: Sequence[FieldIs] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[PlacementShown]:
    """The newest first; page by passing the last one's position as ``before``. A guarantee is over
    on the day after its last one, whether anybody wrote that down or not: they are shown as they
    are ``on`` that day; None: as it is written. Joins the directory for the names and the custom
    fields. Raises NoSuchField, WrongFieldValue."""
    fits, known = await fitting(cur, "placement_field", "placement", "t.candidacy_id", custom)
    await cur.execute(
        f"{SHOWN} WHERE (%(before)s::bigint IS NULL OR t.position < %(before)s)"
        f" AND (%(person)s::uuid IS NULL OR t.person_id = ANY({everyone('%(person)s::uuid')}))"
        f" AND (%(company)s::uuid IS NULL OR t.company_id = ANY({everyone('%(company)s::uuid')}))"
        f" AND {_is(status)}"
        " AND (%(day)s::date IS NULL OR t.status = 'started'"
        f"   AND %(day)s BETWEEN t.starts_on AND t.guarantee_until_on) AND {fits}"
        " ORDER BY t.position DESC LIMIT %(limit)s",
        known
        | {
            "on": on,
            "person": person_id,
            "company": company_id,
            "status": status,
            "day": in_guarantee_on,
            "before": before,
            "limit": limit,
        },
    )
    return [_shown(row) for row in await cur.fetchall()]


def _is(status: Status | None) -> str:
    """The condition that ``STATUS`` is this, in a form for which there are indexes."""
    over = "t.status = 'started' AND t.guarantee_until_on < %(on)s::date"
    match status:
        case None:
            return "true"
        case "started":
            return f"t.status = 'started' AND ({over}) IS NOT TRUE"
        case "guarantee_ended":
            return f"(t.status = %(status)s OR {over})"
    return "t.status = %(status)s"


async def one(cur: Cursor, candidacy_id: UUID, *, on: date) -> PlacementShown | None:
    """As in the list, ``on`` that day."""
    asked = {"id": candidacy_id, "on": on}
    await cur.execute(f"{SHOWN} WHERE t.candidacy_id = %(id)s", asked)
    row = await cur.fetchone()
    return row and _shown(row)


def _shown(row: tuple[object, ...]) -> PlacementShown:
    fields = dict(zip(PlacementShown.__struct_fields__, row, strict=True))
    return msgspec.convert(fields, PlacementShown)
