"""People: who somebody is, how to reach them, where they work, and who fits some criteria. One row
a person, with lists in one text each: an array is made of it where people are looked for.

A segment is criteria under a name, and everything that criteria ask for is in these rows: who is in
it is computed when it is asked for, on the day that the query is given.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import asdict, replace

from ledger_crm.domain.candidacy import CandidacyOpened, StageReached
from ledger_crm.domain.custom import CustomFieldCleared, CustomFieldSet, Value
from ledger_crm.domain.engagement import PersonQuietSnoozed, contact, last_to_reach, later
from ledger_crm.domain.entry import ERASED, Entry, PersonFact
from ledger_crm.domain.identity import (
    ContactPointPreferred,
    ContactPointRemoved,
    Employed,
    EmploymentEnded,
    PersonTagged,
    PersonUntagged,
    ProfileChanged,
    skills_of,
)
from ledger_crm.domain.interaction import Interaction
from ledger_crm.domain.permission import (
    ConsentGiven,
    ConsentWithdrawn,
    DoNotContactLifted,
    DoNotContactSet,
    Word,
)
from ledger_crm.domain.person import ContactPointAdded, PersonSourced
from ledger_crm.domain.pool import PersonPooled, PersonUnpooled
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.domain.segment import Criteria, SegmentSaved

from ._custom import shown_of, values
from ._lookup import Lookup
from ._projection import (
    Cursor,
    Projection,
    Row,
    Table,
    all_words,
    found_if_few,
    newest_first,
    plain,
    stream,
)
from ._segment import (
    NOT_SNOOZED,
    Given,
    Kept,
    gone_quiet,
    in_use,
    kept,
    named_apart,
    narrowed,
    quiet,
    strictest,
)
from ._segment import GoneQuiet as GoneQuiet
from ._segment import saved as segments_of
from ._segment import silent_since as silent_since
from ._team import Team, whose
from ._who import (
    OWN_TAGS,
    Absorbed,
    absorbed,
    everyone,
    is_merged,
    of_all,
    of_any,
    reached_out,
    said_since,
    survivor,
    with_all_tags,
)


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
    headed: str  # the headline as it is looked for
    address: str
    born_on: str
    found_by: str
    owner: str  # who of us last reached out, else who found them
    location: str = ""
    place: str = ""  # the location as it is looked for
    seniority: str = ""
    skills: str = ""  # as they were written
    skilled: str = ""  # as they are looked for, a line each
    tags: str = ""  # a line each
    pools: str = ""  # a line each
    reached_at: datetime | None = None
    touched_at: datetime | None = None  # when anything passed between us
    snoozed_until_on: date | None = None
    consent_said_at: datetime | None = None
    consent_refused: bool = False
    consent_until_on: date | None = None
    contact_said_at: datetime | None = None
    contact_refused: bool = False
    contact_until_on: date | None = None
    erased_at: datetime | None = None


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
    job_order_id: UUID
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
    CREATE INDEX person_touched ON person (touched_at, person_id);
    CREATE INDEX person_channel ON person (channel, position DESC);
    CREATE INDEX person_seniority ON person (seniority, position DESC) WHERE seniority <> '';
    CREATE INDEX person_tags ON person USING gin (string_to_array(tags, E'\\n'));
    CREATE INDEX person_pools ON person USING gin (string_to_array(pools, E'\\n'));
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
    sql="""
    CREATE INDEX employment_of ON employment (person_id);
    CREATE INDEX employment_at ON employment (company_id, position DESC);
    """,
)
stages = Table(
    "person_stage",
    StageRow,
    key="candidacy_id",
    sql="CREATE INDEX person_stage_now ON person_stage (stage, person_id);",
)
saved = segments_of("segment", SegmentSaved)
custom = values(
    "person_field",
    CustomFieldSet,
    CustomFieldCleared,
    of=lambda entry: None if entry.event.candidacy_id else entry.originator_id,
)
projection = Projection(
    "people",
    people,
    contact_points,
    employments,
    stages,
    saved,
    custom,
    version=18,
    parallel="stream",
)


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
        headed=plain(fact.headline),
        address=fact.address,
        born_on=fact.born_on,
        found_by=fact.found_by or entry.by,
        owner=fact.found_by or entry.by,
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
        headed=plain(row.headline),
        place=plain(row.location),
        skilled="\n".join(skills_of(row.skills)),
    )


@people.on(PersonTagged, PersonUntagged, key=stream)
def tagged(row: PersonRow, entry: Entry[PersonTagged | PersonUntagged]) -> PersonRow:
    return replace(
        row, tags=_with(row.tags, entry.event.tag, there=isinstance(entry.event, PersonTagged))
    )


@people.on(PersonPooled, PersonUnpooled, key=stream)
def pooled(row: PersonRow, entry: Entry[PersonPooled | PersonUnpooled]) -> PersonRow:
    return replace(
        row, pools=_with(row.pools, entry.event.pool, there=isinstance(entry.event, PersonPooled))
    )


def _with(lines: str, name: str, *, there: bool) -> str:
    names = {*lines.split()} - {name} | ({name} if there else set())
    return "\n".join(sorted(names))


@people.on(Interaction, key=stream)
def touched(row: PersonRow, entry: Entry[Interaction]) -> PersonRow:
    reached_at, heard_at = contact(entry.event)
    return replace(
        row,
        owner=last_to_reach(row.owner, entry.by, reached_at, row.reached_at),
        reached_at=later(row.reached_at, reached_at),
        touched_at=later(row.touched_at, later(reached_at, heard_at)),
    )


@people.on(PersonQuietSnoozed, key=stream)
def snoozed(row: PersonRow, entry: Entry[PersonQuietSnoozed]) -> PersonRow:
    return replace(row, snoozed_until_on=entry.event.until_on)


@people.on(ConsentGiven, ConsentWithdrawn, key=stream)
def consent_changed(row: PersonRow, entry: Entry[ConsentGiven | ConsentWithdrawn]) -> PersonRow:
    word = entry.event.word
    if row.consent_said_at and word.said_at < row.consent_said_at:
        return row
    return replace(
        row,
        consent_said_at=word.said_at,
        consent_refused=word.refuses,
        consent_until_on=word.until_on,
    )


@people.on(DoNotContactSet, DoNotContactLifted, key=stream)
def contact_changed(
    row: PersonRow, entry: Entry[DoNotContactSet | DoNotContactLifted]
) -> PersonRow:
    word = entry.event.word
    if row.contact_said_at and word.said_at < row.contact_said_at:
        return row
    return replace(
        row,
        contact_said_at=word.said_at,
        contact_refused=word.refuses,
        contact_until_on=word.until_on,
    )


@people.on(PersonErased, key=stream, forgets=True)
def nobody_finds_them(row: PersonRow, entry: Entry[PersonErased]) -> PersonRow:
    return PersonRow(
        person_id=row.person_id,
        position=row.position,
        version=row.version,
        name=ERASED,
        sought="",
        channel=row.channel,
        origin="",
        lawful_basis=row.lawful_basis,
        sourced_at=row.sourced_at,
        headline="",
        headed="",
        address="",
        born_on="",
        found_by=row.found_by,
        owner=row.found_by,
    )


@people.on(PersonErased, key=stream)
def person_erased(row: PersonRow, entry: Entry[PersonErased]) -> PersonRow:
    """The record is still there."""
    return replace(row, version=entry.originator_version, erased_at=entry.event.erased_at)


contact_points.erases()
employments.erases()


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
    return StageRow(
        candidacy_id=fact.candidacy_id,
        person_id=entry.originator_id,
        job_order_id=fact.job_order_id,
        stage=fact.stage,
    )


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
    """version         of the record, with all that it has absorbed
    found_by        who of us found them
    skills          as written
    consent         the last word on whether they want to hear from us; None: nobody asked
    contact         the last word on do-not-contact
    contact_points  of each kind the primary one first
    custom          values of custom fields, by field
    absorbed        records of the same person; what is empty here is shown as it is there
    erased_at       null: they are not; else nothing that was said of them is there any more
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
    consent: Word | None
    contact: Word | None
    tags: list[str]
    contact_points: list[Reach]
    employments: list[Employment]
    custom: dict[str, Value]
    absorbed: list[Absorbed]
    erased_at: datetime | None


class SegmentShown(msgspec.Struct, frozen=True):
    """people  how many fit now"""

    slug: str
    version: int
    title: str
    criteria: Criteria
    cadence_days: int
    retired: bool
    people: int


class PersonListed(msgspec.Struct, frozen=True):
    """custom    values of custom fields, by field
    position  of their first entry, to page by
    """

    id: UUID
    name: str
    headline: str
    channel: str
    sourced_at: datetime
    location: str
    seniority: str
    tags: list[str]
    custom: dict[str, Value]
    position: int


OWN = [
    field
    for field in PersonShown.__struct_fields__
    if field not in ("id", "version", "consent", "contact", "tags", "contact_points", "employments")
    and field not in ("custom", "absorbed")
]
FILLED = ("headline", "address", "born_on", "location", "seniority", "skills")
TAGS = "array_remove(string_to_array({}tags, E'\\n'), '')"


def _word(word: str) -> str:
    return f"""CASE WHEN p.{word}_said_at IS NOT NULL THEN json_build_object(
      'said_at', p.{word}_said_at, 'refuses', p.{word}_refused, 'until_on', p.{word}_until_on) END
      AS {word}"""


def _said(word: str) -> str:
    """A no of any of them, unless the survivor said something since; else what was said last."""
    return f"""(SELECT json_build_object(
      'said_at', o.{word}_said_at, 'refuses', o.{word}_refused, 'until_on', o.{word}_until_on)
      FROM person o WHERE o.person_id = ANY(theirs.ids) AND o.{word}_said_at IS NOT NULL
      AND NOT {said_since("o", f"{word}_said_at", "person", "person_id")}
      ORDER BY o.{word}_refused DESC, o.{word}_said_at DESC LIMIT 1) AS {word}"""


def _own(field: str) -> str:
    if field not in FILLED:
        return f"p.{field}"
    return f"""coalesce(nullif(p.{field}, ''), (
      SELECT o.{field} FROM directory_merge m JOIN person o ON o.person_id = m.id
      WHERE m.survivor_id = p.person_id AND o.{field} <> '' ORDER BY o.position DESC LIMIT 1), '')
      AS {field}"""


def _card(*, merged: bool) -> str:
    ids = "= ANY(theirs.ids)" if merged else "= p.person_id"
    if merged:
        columns = ", ".join(map(_own, OWN))
        version = f"(SELECT sum(o.version) FROM person o WHERE o.person_id {ids}) AS version"
        tags = f"""ARRAY(SELECT DISTINCT tag FROM person o, unnest({TAGS.format("o.")}) tag
          WHERE o.person_id {ids} ORDER BY tag)"""
        said = f"{_said('consent')}, {_said('contact')}"
        custom = shown_of("person_field", "ANY(theirs.ids)", first="v.of_id = p.person_id")
        absorbed = """(SELECT json_agg(json_build_object('id', m.id, 'since', m.since)
          ORDER BY m.since, m.id) FROM directory_merge m WHERE m.survivor_id = p.person_id)"""
        of = f"""(SELECT {everyone("asked.id")} AS ids) theirs
          JOIN person p ON p.person_id = {survivor("asked.id")}"""
    else:
        columns = ", ".join(f"p.{field}" for field in OWN)
        version, tags = "p.version", TAGS.format("p.")
        said = f"{_word('consent')}, {_word('contact')}"
        custom, absorbed = shown_of("person_field", "p.person_id"), "'[]'::json"
        of = "person p WHERE p.person_id = asked.id"
    return f"""
SELECT row_to_json(shown) FROM (
  SELECT p.person_id AS id, {columns}, {version}, {tags} AS tags, {said},
    (SELECT coalesce(json_agg(reach), '[]') FROM (
      SELECT point, value, row_number() OVER first = 1 AS "primary", valid_from_on, valid_until_on
      FROM contact_point c WHERE c.person_id {ids}
      WINDOW first AS (PARTITION BY point ORDER BY preferred DESC, position)
      ORDER BY min(position) OVER (PARTITION BY point), preferred DESC, position
    ) reach) AS contact_points,
    (SELECT coalesce(json_agg(job), '[]') FROM (
      SELECT coalesce(d.is_id, e.company_id) AS company_id, coalesce(d.name, '') AS company,
        e.title, e.role, e.starts_on, e.ends_on
      FROM employment e LEFT JOIN who d ON d.id = e.company_id
      WHERE e.person_id {ids} ORDER BY e.starts_on DESC NULLS LAST, e.position DESC
    ) job) AS employments,
    {custom} AS custom, {absorbed} AS absorbed
  FROM {of}
) shown
"""


def _of(person_id: UUID) -> tuple[UUID]:
    return (person_id,)


card: Lookup[[UUID], PersonShown] = Lookup(
    projection, PersonShown, _card(merged=True), _of, {"id": "uuid"}, at_once=100,
    short=_card(merged=False), unless=is_merged("asked.id"),
)  # fmt: skip
"""Joins the directory for the companies' names."""


ANYBODY = Criteria()


async def listing(
    cur: Cursor,
    criteria: Criteria,
    *,
    on: datetime,
    name: str = "",
    words: str = "",
    besides: Collection[UUID] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[PersonListed]:
    """Who fits; newest first; page by passing the last one's position as ``before``. Joins the
    directory for the custom fields. Raises NoSuchField, WrongFieldValue.

    name, words  words, or parts of words, all of which the name holds, or what is said of them in
                 a line, without regard to capitals and accents. It reads people until it has found
                 enough, at worst all of them: an index for parts of words needs pg_trgm, which the
                 application's role may not install
    besides      job orders by whose candidacies nobody is in a stage
    """
    where, values = await _fitting(cur, criteria, on, besides)
    if name:
        where += f" AND {of_any('p.sought LIKE ALL(%(name)s)')}"
    if words:
        where += f" AND {of_any(f'{SAID} LIKE ALL(%(words)s)')}"
    values |= {"name": all_words(name), "words": all_words(words)}
    return await _listed(cur, where, values, before, limit)


async def segments(
    cur: Cursor, *, on: datetime, besides: Collection[UUID] = ()
) -> list[SegmentShown]:
    """Those in use, by slug. ``besides``: as in ``listing``."""
    slugs = await in_use(cur, "segment")
    found = [await segment(cur, slug, on=on, besides=besides) for slug in slugs]
    return [each for each in found if each]


async def segment(
    cur: Cursor, slug: str, *, on: datetime, besides: Collection[UUID] = ()
) -> SegmentShown | None:
    found = await criteria_of(cur, slug)
    if found is None:
        return None
    where, values = await _fitting(cur, found.criteria, on, besides)
    await cur.execute(f"SELECT count(*) FROM person p WHERE {where}", values)
    [fit] = await cur.fetchone() or [0]
    return SegmentShown(**asdict(found), people=fit)


async def criteria_of(cur: Cursor, slug: str) -> Kept[Criteria] | None:
    """Of a segment, and its cadence."""
    return await kept(cur, "segment", slug, Criteria)


async def in_segment(
    cur: Cursor,
    slug: str,
    *,
    also: Criteria = ANYBODY,
    on: datetime,
    besides: Collection[UUID] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[PersonListed]:
    """As ``listing``; nobody if there is no such segment. ``also``: what they have to fit
    besides."""
    found = await criteria_of(cur, slug)
    if found is None:
        return []
    where, values = await _fitting_both(cur, found.criteria, also, on, besides)
    return await _listed(cur, where, values, before, limit)


async def quiet_in_segment(
    cur: Cursor,
    slug: str,
    *,
    also: Criteria = ANYBODY,
    on: datetime,
    besides: Collection[UUID] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[PersonListed]:
    """Of those in it, with whom something passed once and nothing for as long as its cadence, and
    who are neither snoozed nor to be left alone; in the order of ``listing``. ``also``: as in
    ``in_segment``."""
    found = await criteria_of(cur, slug)
    if found is None:
        return []
    where, values = await _fitting_both(cur, found.criteria, also, on, besides)
    silent, since = quiet(on, found.cadence_days, of_any, of_all)
    return await _listed(
        cur, f"{where} AND {silent} AND {LEFT_OPEN}", values | since, before, limit
    )


async def quiet_anywhere(
    cur: Cursor,
    *,
    on: datetime,
    days: int | None = None,
    owner: str | None = None,
    team: Team | None = None,
    besides: Collection[UUID] = (),
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[GoneQuiet]:
    """Each once, whom ``quiet_in_segment`` finds in any of them, by the shortest cadence of those
    that they are in; and by so many ``days`` who is in none. The longest silent first; page by
    passing the last one's ``silent_since``. Joins the directory for the names, and for the team."""
    return await gone_quiet(
        cur,
        "person",
        await strictest(cur, "segment", Criteria),
        lambda criteria: _fitting(cur, criteria, on, besides),
        f"p.erased_at IS NULL AND {of_all(NOT_SNOOZED)} AND {LEFT_OPEN}",
        {"quiet_on": on.date()},
        id="person_id",
        owner=reached_out("w", "person"),
        on=on,
        days=days,
        owners=await whose(cur, owner, team),
        before=before,
        limit=limit,
    )


SAID = "concat_ws(E'\\n', p.sought, p.headed, p.place, p.skilled)"
HERE = "p.erased_at IS NULL AND NOT EXISTS (SELECT FROM directory_merge m WHERE m.id = p.person_id)"
OVER = "coalesce(p.{}_until_on < %(on)s::date, false)"


def _open(word: str) -> str:
    """They did not say no, or it is over."""
    over = said_since("o", f"{word}_said_at", "person", "person_id")
    return of_all(f"p.{word}_refused = {OVER.format(word)}", unless=over)


LEFT_OPEN = _open("contact")
FREE = f"(({_open('consent')} AND {LEFT_OPEN}) = %(contactable)s)"


async def _fitting(
    cur: Cursor, criteria: Criteria, on: datetime, besides: Collection[UUID]
) -> tuple[str, dict[str, object]]:
    """Of rows ``p`` of the table: a condition of our own words, and the values in it."""
    seen = "AND job_order_id <> ALL(%(besides)s)" if besides else ""
    in_stage = f"SELECT person_id FROM person_stage WHERE stage = ANY(%(stages)s) {seen}"
    asked = {"stages": list(criteria.stages), "besides": list(besides)}
    few = await found_if_few(cur, in_stage, asked) if criteria.stages else None
    given: Given = {
        "seniority": (of_any("p.seniority = ANY(%(seniority)s)"), list(criteria.seniority)),
        "location": (of_any("p.place LIKE ALL(%(location)s)"), all_words(criteria.location)),
        "channels": (of_any("p.channel = ANY(%(channels)s)"), list(criteria.channels)),
        "stages": (
            of_any(f"p.person_id IN ({in_stage})" if few is None else "p.person_id = ANY(%(few)s)"),
            list(criteria.stages),
        ),
        "contactable": (FREE, criteria.contactable),
    }
    clauses, values = await narrowed(
        cur,
        given,
        criteria,
        on=on,
        custom=("person_field", "person"),
        any_of=of_any,
        all_of=of_all,
        tags=criteria.tags,
        skilled=skills_of(",".join(criteria.skills)) or [""] * bool(criteria.skills),  # nobody's
        pools=criteria.pools,
    )
    values |= {"on": on, "besides": list(besides), "few": few}
    return " AND ".join([*clauses, HERE]), values


async def _fitting_both(
    cur: Cursor, one: Criteria, also: Criteria, on: datetime, besides: Collection[UUID]
) -> tuple[str, dict[str, object]]:
    where, values = await _fitting(cur, one, on, besides)
    if also == ANYBODY:
        return where, values
    further, asked = named_apart("also", *await _fitting(cur, also, on, besides))
    return f"{where} AND {further}", values | asked


async def holders(
    cur: Cursor, point: str, value: str, *, before: int | None = None, limit: int = 1
) -> list[PersonListed]:
    """Who has this contact point, in its one written form: one person or nobody."""
    where = "p.person_id IN (SELECT coalesce(w.is_id, c.person_id) FROM contact_point c"
    where += " LEFT JOIN who w ON w.id = c.person_id WHERE point = %(point)s AND value = %(value)s)"
    return await _listed(cur, where, {"point": point, "value": value}, before, limit)


async def _listed(
    cur: Cursor, where: str, values: dict[str, object], before: int | None, limit: int
) -> list[PersonListed]:
    custom = shown_of("person_field", "ANY(p.person_id || p.others)", first="v.of_id = p.person_id")
    await cur.execute(
        "SELECT p.person_id, p.name, p.headline, p.channel, p.sourced_at, p.location, p.seniority,"
        f" {OWN_TAGS}, {custom}, p.position, p.others"
        f" FROM (SELECT p.*, {absorbed('p.person_id')} AS others FROM person p"
        f"   WHERE {where}{newest_first('p', before, limit)}) p ORDER BY p.position DESC".encode(),
        values | {"before": before},
    )
    return [PersonListed(*row) for row in await with_all_tags(cur, "person", at=7)]


class Contact(msgspec.Struct, frozen=True):
    """ends_on  the last day there; None: they are there still
    position  of the employment's entry, to page by
    """

    person_id: UUID
    name: str
    title: str
    role: str
    starts_on: date | None
    ends_on: date | None
    position: int


async def at_company(
    cur: Cursor,
    company_id: UUID,
    *,
    role: str | None = None,
    on: date | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Contact]:
    """Who works or worked there, the last that we heard of first. ``on``: only those who are there
    on that day, as far as is known."""
    await cur.execute(
        "SELECT p.is_id, p.name, e.title, e.role, e.starts_on, e.ends_on, e.position"
        " FROM employment e JOIN who p ON p.id = e.person_id"
        f" WHERE e.company_id = ANY({everyone('%(company)s::uuid')})"
        " AND (%(role)s::text IS NULL OR e.role = %(role)s)"
        " AND (%(on)s::date IS NULL OR coalesce(e.starts_on, %(on)s) <= %(on)s"
        "   AND coalesce(e.ends_on, %(on)s) >= %(on)s)"
        " AND (%(before)s::bigint IS NULL OR e.position < %(before)s)"
        " ORDER BY e.position DESC LIMIT %(limit)s",
        {"company": company_id, "role": role, "on": on, "before": before, "limit": limit},
    )
    return [Contact(*row) for row in await cur.fetchall()]
