"""Pools: which there are, who is in each, since when and why. One row a pool, one a membership."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.pool import PersonPooled, PersonUnpooled, PoolDefined

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone


class PoolRow(Row, frozen=True, kw_only=True):
    slug: str
    version: int
    title: str
    purpose: str
    retired: bool


class MemberRow(Row, frozen=True, kw_only=True):
    pool: str
    person_id: UUID
    position: int
    since: datetime
    by: str
    reason: str
    text: str


pools = Table("pool", PoolRow, key="slug")
members = Table(
    "pool_member",
    MemberRow,
    key="pool, person_id",
    sql="""
    CREATE INDEX pool_member_newest ON pool_member (pool, position DESC);
    CREATE INDEX pool_member_of ON pool_member (person_id);
    """,
)
members.erases()
projection = Projection("pools", pools, members, version=5)


@pools.starts(PoolDefined)
def pool_defined(entry: Entry[PoolDefined]) -> PoolRow:
    fact = entry.event
    return PoolRow(
        slug=fact.slug,
        version=entry.originator_version,
        title=fact.title,
        purpose=fact.purpose,
        retired=fact.retired,
    )


@members.starts(PersonPooled)
def pooled(entry: Entry[PersonPooled]) -> MemberRow:
    fact = entry.event
    return MemberRow(
        pool=fact.pool,
        person_id=entry.originator_id,
        position=entry.position,
        since=entry.at,
        by=entry.by,
        reason=fact.reason,
        text=fact.text,
    )


@members.on(PersonUnpooled, key=lambda entry: (entry.event.pool, entry.originator_id))
def unpooled(row: MemberRow, entry: Entry[PersonUnpooled]) -> None:
    return None


class PoolShown(msgspec.Struct, frozen=True):
    """members  how many are in it now"""

    slug: str
    version: int
    title: str
    purpose: str
    retired: bool
    members: int


class Member(msgspec.Struct, frozen=True):
    """since  when they came in; ``by`` whom, and why: ``reason``, ``text``"""

    person_id: UUID
    person: str
    since: datetime
    by: str
    reason: str
    text: str
    position: int


class Membership(msgspec.Struct, frozen=True):
    """since  when they came in; ``by`` whom, and why: ``reason``, ``text``"""

    pool: str
    title: str
    since: datetime
    by: str
    reason: str
    text: str


POOL = """
SELECT p.slug, p.version, p.title, p.purpose, p.retired,
       (SELECT count(DISTINCT coalesce(w.is_id, m.person_id))
        FROM pool_member m LEFT JOIN who w ON w.id = m.person_id WHERE m.pool = p.slug)
FROM pool p"""


async def listing(cur: Cursor) -> list[PoolShown]:
    """By slug."""
    await cur.execute(f"{POOL} ORDER BY p.slug")
    return [PoolShown(*row) for row in await cur.fetchall()]


async def one(cur: Cursor, slug: str) -> PoolShown | None:
    await cur.execute(f"{POOL} WHERE p.slug = %s", (slug,))
    row = await cur.fetchone()
    return row and PoolShown(*row)


async def members_of(
    cur: Cursor,
    slug: str,
    *,
    by: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Member]:
    """The last to come in first; page by passing the last one's position as ``before``. ``by``: who
    put them in, from ``since`` on and before ``until``. Joins the directory for the names."""
    await cur.execute(
        "SELECT coalesce(d.is_id, m.person_id), coalesce(d.name, ''), m.since, m.by, m.reason,"
        " m.text, m.position FROM pool_member m LEFT JOIN who d ON d.id = m.person_id"
        " WHERE m.pool = %(pool)s"
        " AND (%(by)s::text IS NULL OR m.by = %(by)s)"
        " AND (%(since)s::timestamptz IS NULL OR m.since >= %(since)s)"
        " AND (%(until)s::timestamptz IS NULL OR m.since < %(until)s)"
        " AND (%(before)s::bigint IS NULL OR m.position < %(before)s)"
        " AND NOT EXISTS (SELECT FROM pool_member o WHERE o.pool = m.pool"
        f"   AND o.position > m.position AND o.person_id = ANY({everyone('m.person_id')}))"
        " ORDER BY m.position DESC LIMIT %(limit)s",
        {"pool": slug, "by": by, "since": since, "until": until, "before": before, "limit": limit},
    )
    return [Member(*row) for row in await cur.fetchall()]


async def of_person(cur: Cursor, person_id: UUID) -> list[Membership]:
    """By the pool's slug."""
    await cur.execute(
        "SELECT DISTINCT ON (m.pool) m.pool, p.title, m.since, m.by, m.reason, m.text"
        " FROM pool_member m JOIN pool p ON p.slug = m.pool"
        f" WHERE m.person_id = ANY({everyone('%(person)s::uuid')})"
        " ORDER BY m.pool, m.position DESC",
        {"person": person_id},
    )
    return [Membership(*row) for row in await cur.fetchall()]
