"""People: who somebody is, how to reach them, where they work. One row a person."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import Entry, PersonFact
from ledger_crm.domain.permission import (
    Ban,
    ConsentGiven,
    ConsentWithdrawn,
    DoNotContactLifted,
    DoNotContactSet,
    banned,
    without_consent,
)
from ledger_crm.domain.person import ContactPointAdded, Employed, PersonSourced

from ._projection import Cursor, Projection, Row, Table, all_words, plain, stream


class PersonRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    position: int  # of their first entry: the order of the list
    version: int
    name: str
    sought: str  # the name as it is looked for
    channel: str
    origin: str
    lawful_basis: str
    sourced_at: datetime
    headline: str
    address: str
    born_on: str
    without_consent_since: datetime | None = None
    leave_alone_since: datetime | None = None
    leave_alone_until_on: date | None = None


class ContactPointRow(Row, frozen=True, kw_only=True):
    position: int
    person_id: UUID
    point: str
    value: str


class EmploymentRow(Row, frozen=True, kw_only=True):
    position: int
    person_id: UUID
    company_id: UUID
    title: str
    role: str
    starts_on: date | None
    ends_on: date | None


people = Table(
    "person",
    PersonRow,
    key="person_id",
    sql="CREATE INDEX person_newest ON person (position DESC);",
)
contact_points = Table(
    "contact_point",
    ContactPointRow,
    key="position",
    sql="""
    CREATE INDEX contact_point_of ON contact_point (person_id);
    CREATE INDEX contact_point_value ON contact_point USING hash (value);
    """,
)
employments = Table(
    "employment",
    EmploymentRow,
    key="position",
    sql="CREATE INDEX employment_of ON employment (person_id);",
)
projection = Projection("people", people, contact_points, employments, version=3)


@people.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> PersonRow:
    fact = entry.event
    return PersonRow(
        person_id=entry.originator_id,
        position=entry.position,
        version=entry.originator_version,
        name=fact.name,
        sought=plain(fact.name),
        channel=fact.channel,
        origin=fact.origin,
        lawful_basis=fact.lawful_basis,
        sourced_at=entry.at,
        headline=fact.headline,
        address=fact.address,
        born_on=fact.born_on,
    )


@people.on(PersonFact, key=stream)
def anything_written(row: PersonRow, entry: Entry[PersonFact]) -> PersonRow:
    return replace(row, version=entry.originator_version)


@people.on(ConsentGiven, ConsentWithdrawn, key=stream)
def consent_changed(row: PersonRow, entry: Entry[ConsentGiven | ConsentWithdrawn]) -> PersonRow:
    before = Ban(row.without_consent_since) if row.without_consent_since else None
    after = without_consent(before, entry.event)
    return replace(row, without_consent_since=after and after.since)


@people.on(DoNotContactSet, DoNotContactLifted, key=stream)
def left_alone(row: PersonRow, entry: Entry[DoNotContactSet | DoNotContactLifted]) -> PersonRow:
    since = row.leave_alone_since
    before = Ban(since, row.leave_alone_until_on) if since else None
    after = banned(before, entry.event)
    return replace(
        row,
        leave_alone_since=after and after.since,
        leave_alone_until_on=after and after.until_on,
    )


@contact_points.starts(ContactPointAdded)
def contact_point_added(entry: Entry[ContactPointAdded]) -> ContactPointRow:
    return ContactPointRow(
        position=entry.position,
        person_id=entry.originator_id,
        point=entry.event.point,
        value=entry.event.value,
    )


@employments.starts(Employed)
def employed(entry: Entry[Employed]) -> EmploymentRow:
    return EmploymentRow(
        position=entry.position,
        person_id=entry.originator_id,
        company_id=entry.event.company_id,
        title=entry.event.title,
        role=entry.event.role,
        starts_on=entry.event.starts_on,
        ends_on=entry.event.ends_on,
    )


class Reach(msgspec.Struct, frozen=True):
    point: str
    value: str


class Employment(msgspec.Struct, frozen=True):
    company_id: UUID
    company: str
    title: str
    role: str
    starts_on: date | None
    ends_on: date | None


class PersonShown(msgspec.Struct, frozen=True, kw_only=True):
    """without_consent_since  they withdrew it then, or it ends then
    leave_alone_since      do not contact them from then on, until the end of
                           ``leave_alone_until_on``; None: for good
    """

    id: UUID
    version: int
    name: str
    channel: str
    origin: str
    lawful_basis: str
    sourced_at: datetime
    headline: str
    address: str
    born_on: str
    without_consent_since: datetime | None
    leave_alone_since: datetime | None
    leave_alone_until_on: date | None
    contact_points: list[Reach]
    employments: list[Employment]


class PersonListed(msgspec.Struct, frozen=True):
    """``position``: of their first entry, to page by."""

    id: UUID
    name: str
    headline: str
    channel: str
    sourced_at: datetime
    position: int


OWN = [
    field
    for field in PersonShown.__struct_fields__
    if field not in ("id", "contact_points", "employments")
]


async def card(cur: Cursor, person_id: UUID) -> PersonShown | None:
    """Joins the directory for the companies' names."""
    await cur.execute(
        f"SELECT {', '.join(OWN)} FROM person WHERE person_id = %s",
        (person_id,),
    )
    row = await cur.fetchone()
    if row is None:
        return None
    await cur.execute(
        "SELECT point, value FROM contact_point WHERE person_id = %s ORDER BY position",
        (person_id,),
    )
    reaches = [Reach(*found) for found in await cur.fetchall()]
    await cur.execute(
        "SELECT e.company_id, coalesce(d.name, ''), e.title, e.role, e.starts_on, e.ends_on"
        " FROM employment e LEFT JOIN directory d ON d.id = e.company_id"
        " WHERE e.person_id = %s ORDER BY e.starts_on DESC NULLS LAST, e.position DESC",
        (person_id,),
    )
    jobs = [Employment(*found) for found in await cur.fetchall()]
    fields = dict(zip(OWN, row, strict=True))
    return PersonShown(id=person_id, contact_points=reaches, employments=jobs, **fields)


async def listing(cur: Cursor, *, before: int | None = None, limit: int = 50) -> list[PersonListed]:
    """Newest first; page by passing the last one's position as ``before``."""
    return await _listed(cur, "true", {}, before, limit)


async def holders(
    cur: Cursor, point: str, value: str, *, before: int | None = None, limit: int = 1
) -> list[PersonListed]:
    """Who has this contact point, in its one written form: one person or nobody."""
    where = "p.person_id IN (SELECT person_id FROM contact_point"
    where += " WHERE point = %(point)s AND value = %(value)s)"
    return await _listed(cur, where, {"point": point, "value": value}, before, limit)


async def called(
    cur: Cursor, name: str, *, before: int | None = None, limit: int = 50
) -> list[PersonListed]:
    """Whose name holds all of these words, or parts of words, without regard to capitals and
    accents; the newest first. It reads names until it has found enough, at worst all of them: an
    index for parts of words needs pg_trgm, which the application's role may not install."""
    return await _listed(
        cur, "p.sought LIKE ALL(%(words)s)", {"words": all_words(name)}, before, limit
    )


async def _listed(
    cur: Cursor, where: str, values: dict[str, object], before: int | None, limit: int
) -> list[PersonListed]:
    await cur.execute(
        "SELECT p.person_id, p.name, p.headline, p.channel, p.sourced_at, p.position FROM person p"
        f" WHERE {where} AND (%(before)s::bigint IS NULL OR p.position < %(before)s)"
        " ORDER BY p.position DESC LIMIT %(limit)s",
        values | {"before": before, "limit": limit},
    )
    return [PersonListed(*row) for row in await cur.fetchall()]
