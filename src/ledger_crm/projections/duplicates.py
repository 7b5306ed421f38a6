"""Duplicates: who is probably one person in two records, and why. Somebody looks at it and merges
them (``domain.merging``), or leaves them; nothing merges by itself.

The same contact point cannot be on two records, so what is left is the name: the same words, in any
order, and besides the same birthday or the same employer. Two whose birthdays differ are two; so
are two who were merged and un-merged.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.identity import Employed, ProfileChanged
from ledger_crm.domain.merging import PersonAbsorbed, PersonMerged, PersonUnmerged
from ledger_crm.domain.person import PersonSourced

from ._projection import Cursor, Projection, Row, Table, plain, stream

Why = Literal["birthday", "employer"]


class AlikeRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    position: int  # of their first entry
    name: str  # its words in the order of the alphabet
    born_on: str


class AlikeAtRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    company_id: UUID


class ApartRow(Row, frozen=True, kw_only=True):
    """They were un-merged, and not merged again."""

    person_id: UUID
    other_id: UUID


alike = Table(
    "alike",
    AlikeRow,
    key="person_id",
    sql="""
    CREATE INDEX alike_name ON alike USING hash (name);
    CREATE INDEX alike_newest ON alike (position DESC);
    """,
)
at = Table(
    "alike_at",
    AlikeAtRow,
    key="person_id, company_id",
)
apart = Table("alike_apart", ApartRow, key="person_id, other_id")
alike.erases()
at.erases()
projection = Projection("duplicates", alike, at, apart, version=2)


def _name(text: str) -> str:
    return " ".join(sorted(plain(text).split()))


@alike.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> AlikeRow:
    fact = entry.event
    return AlikeRow(
        person_id=entry.originator_id,
        position=entry.position,
        name=_name(fact.name),
        born_on=fact.born_on,
    )


@alike.on(ProfileChanged, key=stream)
def profile_changed(row: AlikeRow, entry: Entry[ProfileChanged]) -> AlikeRow:
    fact = entry.event
    kept = "" if "born_on" in fact.cleared else row.born_on
    return replace(row, name=_name(fact.name) or row.name, born_on=fact.born_on or kept)


@at.starts(Employed)
def employed(entry: Entry[Employed]) -> AlikeAtRow:
    return AlikeAtRow(person_id=entry.originator_id, company_id=entry.event.company_id)


def between(entry: Entry[PersonUnmerged | PersonAbsorbed | PersonMerged]) -> tuple[UUID, UUID]:
    match entry.event:
        case PersonUnmerged(other_id=id) | PersonAbsorbed(duplicate_id=id):
            other_id = id
        case PersonMerged(survivor_id=id):
            other_id = id
    return entry.originator_id, other_id


def two(entry: Entry[PersonUnmerged | PersonAbsorbed | PersonMerged]) -> ApartRow:
    person_id, other_id = between(entry)
    return ApartRow(person_id=person_id, other_id=other_id)


apart.starts(PersonUnmerged)(two)


@apart.on(PersonAbsorbed, PersonMerged, key=between, start=two)
def one_again(row: ApartRow, entry: Entry[PersonAbsorbed | PersonMerged]) -> None:
    return None


class Duplicate(msgspec.Struct, frozen=True, kw_only=True):
    """person_id      the older record
    duplicate_id   the newer one
    why            what is the same beside the name: birthday, employer
    position       of the newer record's first entry, with ``older_position`` to page by
    """

    person_id: UUID
    person: str
    duplicate_id: UUID
    duplicate: str
    why: list[Why]
    position: int
    older_position: int


async def listing(
    cur: Cursor, *, before: tuple[int, int] | None = None, limit: int = 50
) -> list[Duplicate]:
    """The newest records first; page by passing the last one's ``(position, older_position)`` as
    ``before``. Joins the directory for the names, and for who is merged."""
    position, older_position = before or (None, None)
    await cur.execute(
        "SELECT o.person_id, coalesce(od.name, ''), n.person_id, coalesce(nd.name, ''), found.why,"
        " n.position, o.position FROM alike n"
        " JOIN alike o ON o.name = n.name AND o.position < n.position"
        " CROSS JOIN LATERAL (SELECT array_remove(ARRAY["
        "   CASE WHEN n.born_on <> '' AND n.born_on = o.born_on THEN 'birthday' END,"
        "   CASE WHEN EXISTS (SELECT FROM alike_at a JOIN alike_at b USING (company_id)"
        "     WHERE a.person_id = n.person_id AND b.person_id = o.person_id) THEN 'employer' END"
        "   ], NULL) AS why) found"
        " LEFT JOIN directory nd ON nd.id = n.person_id"
        " LEFT JOIN directory od ON od.id = o.person_id"
        " WHERE n.name <> '' AND found.why <> '{}'"
        " AND (n.born_on = o.born_on OR '' IN (n.born_on, o.born_on))"
        " AND NOT EXISTS (SELECT FROM directory_merge m WHERE m.id = n.person_id)"
        " AND NOT EXISTS (SELECT FROM directory_merge m WHERE m.id = o.person_id)"
        " AND NOT EXISTS (SELECT FROM alike_apart x"
        "   WHERE x.person_id = n.person_id AND x.other_id = o.person_id)"
        " AND (%(position)s::bigint IS NULL"
        "   OR (n.position, o.position) < (%(position)s, %(older)s))"
        " ORDER BY n.position DESC, o.position DESC LIMIT %(limit)s",
        {"position": position, "older": older_position, "limit": limit},
    )
    names = Duplicate.__struct_fields__
    return [Duplicate(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]


Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def place(item: Duplicate) -> tuple[Position, Position]:
    """Of an item in this list."""
    return item.position, item.older_position
