"""Erasures: who asked to be forgotten, by when it is due, what stands in its way, what is done.

One row a person who asked, is held or is erased; one row a legal hold. Nothing that was said is in
them, so there is nothing to erase here. The day is an argument of the query.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.privacy import (
    ErasureDeferred,
    ErasureRequested,
    LegalHoldPlaced,
    LegalHoldReleased,
    PersonErased,
    PrivacyFacts,
    due_on,
)

from ._projection import Cursor, Projection, Row, Table, stream
from ._who import everyone

Status = Literal["requested", "deferred", "held", "done"]
NEVER = date(9999, 12, 31)


class ErasureRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    position: int  # of the first entry of these: the order of those that are due on one day
    requested_at: datetime | None = None
    asked_of: str = ""  # who of us wrote the request down
    due_on: date = NEVER
    deferred: bool = False
    reason: str = ""  # of the last deferral; of the erasure once it is done
    erased_at: datetime | None = None


class HoldRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    hold_id: UUID
    position: int
    placed_at: datetime
    by: str
    reason: str
    released_at: datetime | None = None


erasures = Table(
    "erasure",
    ErasureRow,
    key="person_id",
    sql="CREATE INDEX erasure_due ON erasure (due_on, position);",
)
holds = Table("legal_hold", HoldRow, key="person_id, hold_id")
projection = Projection("erasures", erasures, holds, version=2)


def nothing_yet(entry: Entry[PrivacyFacts | PersonErased]) -> ErasureRow:
    return ErasureRow(person_id=entry.originator_id, position=entry.position)


@erasures.on(ErasureRequested, key=stream, start=nothing_yet)
def requested(row: ErasureRow, entry: Entry[ErasureRequested]) -> ErasureRow:
    at = entry.event.requested_at
    return replace(row, requested_at=at, asked_of=entry.by, due_on=due_on(at))


@erasures.on(ErasureDeferred, key=stream, start=nothing_yet)
def deferred(row: ErasureRow, entry: Entry[ErasureDeferred]) -> ErasureRow:
    fact = entry.event
    return replace(row, due_on=fact.until_on, deferred=True, reason=fact.reason)


@erasures.on(LegalHoldPlaced, key=stream, start=nothing_yet)
def held(row: ErasureRow, entry: Entry[LegalHoldPlaced]) -> ErasureRow:
    return row


@erasures.on(PersonErased, key=stream, start=nothing_yet)
def erased(row: ErasureRow, entry: Entry[PersonErased]) -> ErasureRow:
    return replace(row, erased_at=entry.event.erased_at, reason=entry.event.reason)


@holds.starts(LegalHoldPlaced)
def hold_placed(entry: Entry[LegalHoldPlaced]) -> HoldRow:
    fact = entry.event
    return HoldRow(
        person_id=entry.originator_id,
        hold_id=fact.hold_id,
        position=entry.position,
        placed_at=fact.placed_at,
        by=entry.by,
        reason=fact.reason,
    )


@holds.on(LegalHoldReleased, key=lambda entry: (entry.originator_id, entry.event.hold_id))
def hold_released(row: HoldRow, entry: Entry[LegalHoldReleased]) -> HoldRow:
    return replace(row, released_at=entry.event.released_at)


class Hold(msgspec.Struct, frozen=True):
    id: UUID
    placed_at: datetime
    by: str
    reason: str


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """person        "[erased]" once it is done
    status        done; held: a legal hold is placed; deferred; requested; the first that is true
    requested_at  null: nobody asked for it
    asked_of      who of us wrote the request down
    due_on        within one month of the request (GDPR, Art. 12(3)), or until when it is deferred;
                  null: nobody asked for it
    overdue       it is not done, not held, and that day is over
    reason        of the last deferral; of the erasure once it is done
    holds         legal holds that are not released
    position      to page by
    """

    person_id: UUID
    person: str
    status: Status
    requested_at: datetime | None
    asked_of: str
    due_on: date | None
    overdue: bool
    reason: str
    erased_at: datetime | None
    holds: list[Hold]
    position: int


STATUS = f"""
CASE WHEN e.erased_at IS NOT NULL THEN 'done'
     WHEN EXISTS (SELECT FROM legal_hold h
                  WHERE h.person_id = ANY({everyone("e.person_id")}) AND h.released_at IS NULL)
       THEN 'held'
     WHEN e.deferred THEN 'deferred'
     WHEN e.requested_at IS NOT NULL THEN 'requested' END"""


async def listing(
    cur: Cursor,
    *,
    on: date,
    status: Status | None = None,
    due_by: date | None = None,
    before: tuple[date, int] | None = None,
    limit: int = 50,
) -> list[Erasure]:
    """The first due first, then those for which nobody asked; page by passing the last one's
    ``(due_on, position)`` as ``before``. Whose hold was released, and who never asked, is not among
    them. Joins the directory for the names.

    due_by  only those that are due by that day and not done
    """
    await cur.execute(
        "SELECT coalesce(d.is_id, f.person_id), coalesce(d.name, ''), f.status, f.requested_at,"
        " f.asked_of,"
        " nullif(f.due_on, %(never)s), f.status IN ('requested', 'deferred') AND f.due_on < %(on)s,"
        " f.reason, f.erased_at, (SELECT coalesce(json_agg(json_build_object('id', h.hold_id,"
        "   'placed_at', h.placed_at, 'by', h.by, 'reason', h.reason) ORDER BY h.position), '[]')"
        f"   FROM legal_hold h WHERE h.person_id = ANY({everyone('f.person_id')})"
        "   AND h.released_at IS NULL),"
        f" f.position FROM (SELECT e.*, {STATUS} AS status FROM erasure e) f"
        " LEFT JOIN who d ON d.id = f.person_id WHERE f.status IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM erasure o WHERE (o.due_on, o.position)"
        f"   < (f.due_on, f.position) AND o.person_id = ANY({everyone('f.person_id')}))"
        " AND (%(status)s::text IS NULL OR f.status = %(status)s)"
        " AND (%(due_by)s::date IS NULL OR f.status <> 'done' AND f.due_on <= %(due_by)s)"
        " AND (%(day)s::date IS NULL OR (f.due_on, f.position) > (%(day)s, %(place)s))"
        " ORDER BY f.due_on, f.position LIMIT %(limit)s",
        {
            "never": NEVER,
            "on": on,
            "status": status,
            "due_by": due_by,
            "day": before and before[0],
            "place": before and before[1],
            "limit": limit,
        },
    )
    names = Erasure.__struct_fields__
    rows = [dict(zip(names, row, strict=True)) for row in await cur.fetchall()]
    return [msgspec.convert(row, Erasure) for row in rows]


def due(item: Erasure) -> tuple[date, Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]]:
    """The place of an item in this list."""
    return item.due_on or NEVER, item.position
