"""Tags: which are in use, and on how many people and companies. One row a tag of a record."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.firm import FirmTagged, FirmUntagged
from ledger_crm.domain.identity import PersonTagged, PersonUntagged

from ._projection import Cursor, Projection, Row, Table
from ._who import survivor

Kind = Literal["person", "company"]


class TaggedRow(Row, frozen=True, kw_only=True):
    record_id: UUID
    tag: str
    kind: str


tagged = Table(
    "tagged",
    TaggedRow,
    key="record_id, tag",
    sql="CREATE INDEX tagged_as ON tagged (tag);",
)
tagged.erases(of="record_id")
projection = Projection("tags", tagged, version=1, parallel="stream")


@tagged.starts(PersonTagged)
def person_tagged(entry: Entry[PersonTagged]) -> TaggedRow:
    return TaggedRow(record_id=entry.originator_id, tag=entry.event.tag, kind="person")


@tagged.starts(FirmTagged)
def company_tagged(entry: Entry[FirmTagged]) -> TaggedRow:
    return TaggedRow(record_id=entry.originator_id, tag=entry.event.tag, kind="company")


def with_tag(entry: Entry[PersonUntagged | FirmUntagged]) -> tuple[UUID, str]:
    return entry.originator_id, entry.event.tag


@tagged.on(PersonUntagged, FirmUntagged, key=with_tag)
def untagged(row: TaggedRow, entry: Entry[PersonUntagged | FirmUntagged]) -> None:
    return None


class TagShown(msgspec.Struct, frozen=True):
    """people, companies  how many have it; those that are merged count once"""

    tag: str
    people: int
    companies: int


async def listing(
    cur: Cursor, *, kind: Kind | None = None, before: str | None = None, limit: int = 50
) -> list[TagShown]:
    """By name; page by passing the last one's as ``before``. ``kind``: only tags of people, or of
    companies. Joins the directory for who is merged."""
    await cur.execute(
        "SELECT t.tag, count(DISTINCT t.id) FILTER (WHERE t.kind = 'person'),"
        " count(DISTINCT t.id) FILTER (WHERE t.kind = 'company')"
        f" FROM (SELECT tag, kind, {survivor('tagged.record_id')} AS id FROM tagged"
        "   WHERE (%(before)s::text IS NULL OR tag > %(before)s)"
        "   AND (%(kind)s::text IS NULL OR kind = %(kind)s)) t"
        " GROUP BY t.tag ORDER BY t.tag LIMIT %(limit)s",
        {"kind": kind, "before": before, "limit": limit},
    )
    return [TagShown(*row) for row in await cur.fetchall()]


def place(item: TagShown) -> Annotated[str, msgspec.Meta(max_length=80)]:
    """Of an item in this list."""
    return item.tag
