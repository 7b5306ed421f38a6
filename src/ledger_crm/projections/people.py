"""People: who somebody is, how to reach them, where they work, and who fits some criteria. One row
a person, with lists in one text each: an array is made of it where people are looked for."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import CandidacyOpened, StageReached
from ledger_crm.domain.entry import Entry, PersonFact
from ledger_crm.domain.identity import (
    ContactPointPreferred,
    ContactPointRemoved,
    EmploymentEnded,
    PersonTagged,
    PersonUntagged,
    ProfileChanged,
    skills_of,
)
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
from ledger_crm.domain.segment import Criteria

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
    found_by: str
    location: str = ""
    place: str = ""  # the location as it is looked for
    seniority: str = ""
    skills: str = ""  # as they were written
    skilled: str = ""  # as they are looked for, a line each
    tags: str = ""  # a line each
    without_consent_since: datetime | None = None
    leave_alone_since: datetime | None = None
    leave_alone_until_on: date | None = None


class ContactPointRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    point: str
    value: str
    position: int
    valid_from_on: date | None = None
    valid_until_on: date | None = None
    preferred: int = 0  # position of when it was, the last time


class StageRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    person_id: UUID
    stage: str


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
    sql="""
    CREATE INDEX person_newest ON person (position DESC);
    CREATE INDEX person_tags ON person USING gin (string_to_array(tags, E'\\n'));
    CREATE INDEX person_skills ON person USING gin (string_to_array(skilled, E'\\n'));
    """,
)
contact_points = Table(
    "contact_point",
    ContactPointRow,
    key="person_id, point, value",
    sql="CREATE INDEX contact_point_value ON contact_point USING hash (value);",
)
employments = Table(
    "employment",
    EmploymentRow,
    key="position",
    sql="CREATE INDEX employment_of ON employment (person_id);",
)
stages = Table(
    "person_stage",
    StageRow,
    key="candidacy_id",
    sql="CREATE INDEX person_stage_now ON person_stage (stage, person_id);",
)
projection = Projection("people", people, contact_points, employments, stages, version=4)


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
        found_by=fact.found_by or entry.by,
    )


@people.on(PersonFact, key=stream)
def anything_written(row: PersonRow, entry: Entry[PersonFact]) -> PersonRow:
    return replace(row, version=entry.originator_version)


@people.on(ProfileChanged, key=stream)
def profile_changed(row: PersonRow, entry: Entry[ProfileChanged]) -> PersonRow:
    fact = entry.event
    cleared = dict.fromkeys(fact.cleared, "")
    said = ("name", "headline", "address", "location", "skills", "born_on", "seniority")
    row = replace(row, **cleared | {n: v for n in said if (v := getattr(fact, n))})
    return replace(
        row,
        sought=plain(row.name),
        place=plain(row.location),
        skilled="\n".join(skills_of(row.skills)),
    )


@people.on(PersonTagged, PersonUntagged, key=stream)
def tagged(row: PersonRow, entry: Entry[PersonTagged | PersonUntagged]) -> PersonRow:
    tags = {*row.tags.split()} - {entry.event.tag}
    if isinstance(entry.event, PersonTagged):
        tags.add(entry.event.tag)
    return replace(row, tags="\n".join(sorted(tags)))


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
        valid_from_on=entry.event.valid_from_on,
        valid_until_on=entry.event.valid_until_on,
    )


def contact_point(entry: Entry[ContactPointRemoved | ContactPointPreferred]) -> tuple[Any, ...]:
    return entry.originator_id, entry.event.point, entry.event.value


def erased_point(entry: Entry[ContactPointRemoved | ContactPointPreferred]) -> ContactPointRow:
    """Two that are erased look like one, and it may be gone already."""
    person_id, point, value = contact_point(entry)
    return ContactPointRow(person_id=person_id, point=point, value=value, position=entry.position)


@contact_points.on(ContactPointRemoved, key=contact_point, start=erased_point)
def contact_point_removed(row: ContactPointRow, entry: Entry[ContactPointRemoved]) -> None:
    return None


@contact_points.on(ContactPointPreferred, key=contact_point, start=erased_point)
def contact_point_preferred(
    row: ContactPointRow, entry: Entry[ContactPointPreferred]
) -> ContactPointRow:
    return replace(row, preferred=entry.position)


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


@employments.each(EmploymentEnded, person_id=stream)
def employment_ended(row: EmploymentRow, entry: Entry[EmploymentEnded]) -> EmploymentRow:
    there = row.company_id == entry.event.company_id and row.ends_on is None
    return replace(row, ends_on=entry.event.ends_on) if there else row


@stages.starts(CandidacyOpened)
def candidacy_opened(entry: Entry[CandidacyOpened]) -> StageRow:
    fact = entry.event
    return StageRow(candidacy_id=fact.candidacy_id, person_id=entry.originator_id, stage=fact.stage)


@stages.on(StageReached, key=lambda entry: entry.event.candidacy_id)
def stage_reached(row: StageRow, entry: Entry[StageReached]) -> StageRow:
    return replace(row, stage=entry.event.stage)


class Reach(msgspec.Struct, frozen=True):
    """primary  of its kind the one to use first: made so last, else the oldest"""

    point: str
    value: str
    primary: bool
    valid_from_on: date | None
    valid_until_on: date | None


class Employment(msgspec.Struct, frozen=True):
    company_id: UUID
    company: str
    title: str
    role: str
    starts_on: date | None
    ends_on: date | None


class PersonShown(msgspec.Struct, frozen=True, kw_only=True):
    """found_by               who of us found them
    skills                 as written
    without_consent_since  they withdrew it then, or it ends then
    leave_alone_since      do not contact them from then on, until the end of
                           ``leave_alone_until_on``; None: for good
    contact_points         of each kind the primary one first
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
    found_by: str
    location: str
    seniority: str
    skills: str
    without_consent_since: datetime | None
    leave_alone_since: datetime | None
    leave_alone_until_on: date | None
    tags: list[str]
    contact_points: list[Reach]
    employments: list[Employment]


class PersonListed(msgspec.Struct, frozen=True):
    """``position``: of their first entry, to page by."""

    id: UUID
    name: str
    headline: str
    channel: str
    sourced_at: datetime
    location: str
    seniority: str
    tags: list[str]
    position: int


OWN = [
    field
    for field in PersonShown.__struct_fields__
    if field not in ("id", "tags", "contact_points", "employments")
]
TAGS = "array_remove(string_to_array({}tags, E'\\n'), '')"


async def card(cur: Cursor, person_id: UUID) -> PersonShown | None:
    """Joins the directory for the companies' names."""
    await cur.execute(
        f"SELECT {TAGS.format('')}, {', '.join(OWN)} FROM person WHERE person_id = %s",
        (person_id,),
    )
    row = await cur.fetchone()
    if row is None:
        return None
    await cur.execute(
        "SELECT point, value, row_number() OVER first = 1, valid_from_on, valid_until_on"
        " FROM contact_point WHERE person_id = %s WINDOW first AS"
        " (PARTITION BY point ORDER BY preferred DESC, position)"
        " ORDER BY min(position) OVER (PARTITION BY point), preferred DESC, position",
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
    fields = dict(zip(("tags", *OWN), row, strict=True))
    return PersonShown(id=person_id, contact_points=reaches, employments=jobs, **fields)


async def listing(
    cur: Cursor,
    criteria: Criteria = Criteria(),  # noqa: B008  (frozen)
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[PersonListed]:
    """Who fits; newest first; page by passing the last one's position as ``before``."""
    where, values = fitting(criteria)
    return await _listed(cur, where, values, before, limit)


async def count(cur: Cursor, criteria: Criteria) -> int:
    """How many fit."""
    where, values = fitting(criteria)
    await cur.execute(f"SELECT count(*) FROM person p WHERE {where}", values)
    [found] = await cur.fetchone() or [0]
    return int(found)


def fitting(criteria: Criteria) -> tuple[str, dict[str, object]]:
    """Of rows ``p`` of the table: a condition of our own words, and the values in it."""
    given: dict[str, tuple[str, object]] = {
        "tags": ("string_to_array(p.tags, E'\\n') @> %(tags)s", list(criteria.tags)),
        "skills": (
            "string_to_array(p.skilled, E'\\n') @> %(skills)s",
            skills_of(",".join(criteria.skills)),
        ),
        "seniority": ("p.seniority = ANY(%(seniority)s)", list(criteria.seniority)),
        "location": ("p.place LIKE ALL(%(location)s)", all_words(criteria.location)),
        "channels": ("p.channel = ANY(%(channels)s)", list(criteria.channels)),
        "stages": (
            "p.person_id IN (SELECT person_id FROM person_stage WHERE stage = ANY(%(stages)s))",
            list(criteria.stages),
        ),
    }
    asked = {name: each for name, each in given.items() if each[1]}
    where = " AND ".join(clause for clause, _ in asked.values()) or "true"
    return where, {name: value for name, (_, value) in asked.items()}


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
        "SELECT p.person_id, p.name, p.headline, p.channel, p.sourced_at, p.location, p.seniority,"
        f" {TAGS.format('p.')}, p.position FROM person p"
        f" WHERE {where} AND (%(before)s::bigint IS NULL OR p.position < %(before)s)"
        " ORDER BY p.position DESC LIMIT %(limit)s",
        values | {"before": before, "limit": limit},
    )
    return [PersonListed(*row) for row in await cur.fetchall()]
