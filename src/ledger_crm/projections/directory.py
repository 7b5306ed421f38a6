"""Directory: what things are called, who is who, and who of us is in which team. The one read
model that others' queries join.

A query that joins it says so, and a caller that waits for a position waits for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.access import KeyCreated
from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.consultant import (
    ConsultantAdded,
    ConsultantLeft,
    ConsultantRenamed,
    ConsultantReturned,
    consultant_id,
    day_after,
)
from ledger_crm.domain.custom import (
    REQUIRED_BEFORE,
    Choice,
    CustomFieldDefined,
    FieldType,
    Subject,
)
from ledger_crm.domain.entry import ERASED, Entry
from ledger_crm.domain.firm import FirmProfileChanged
from ledger_crm.domain.identity import ProfileChanged
from ledger_crm.domain.joborder import JobOrderChanged, JobOrderOpened
from ledger_crm.domain.login import LoginOpened
from ledger_crm.domain.merging import Merged, Unmerged
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.pipeline import PipelineDefined
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.domain.team import TeamDefined, TeamJoined, TeamLeft, team_id

from ._projection import SCHEMA, Cursor, Projection, Row, Table, stream
from ._who import WHO


class Name(Row, frozen=True, kw_only=True):
    id: UUID
    kind: str  # person, company, job_order
    name: str
    pipeline: str = ""  # of a job order


class StageName(Row, frozen=True, kw_only=True):
    pipeline: str
    stage: str
    place: int  # in the order shown, from 0
    label: str
    category: str
    probability_bp: int
    retired: bool
    pipeline_title: str
    subject: str
    version: int  # of the definition


class FieldName(Row, frozen=True, kw_only=True):
    subject: str
    slug: str
    position: int  # of the definition
    definition: str  # JSON
    version: int  # of the catalogue of its subject, at the definition


class ConsultantName(Row, frozen=True, kw_only=True):
    id: UUID
    version: int
    consultant: str
    name: str
    joined_on: date | None
    left_on: date | None = None  # None: they are here
    turned_on: date | None = None  # the last day from which they are here or not


class SomebodyRow(Row, frozen=True, kw_only=True):
    """Of ours: on record, or was given a key or a login, at any time."""

    actor: str


class TeamName(Row, frozen=True, kw_only=True):
    id: UUID
    version: int
    slug: str
    title: str
    purpose: str
    retired: bool


class MergeRow(Row, frozen=True, kw_only=True):
    """Of a record that is merged into another, through however many. ``chain``: each with since
    when, a line each; the last one is the survivor."""

    id: UUID
    survivor_id: UUID
    since: datetime
    chain: str


class MemberRow(Row, frozen=True, kw_only=True):
    """From that day on, until the next one of theirs."""

    team_id: UUID
    consultant: str
    from_on: date
    is_in: bool


names = Table("directory", Name, key="id", stays=True)
stages = Table("directory_stage", StageName, key="pipeline, stage", defines=True)
fields = Table("directory_field", FieldName, key="subject, slug", defines=True)
consultants = Table("directory_consultant", ConsultantName, key="id", defines=True)
somebody = Table("directory_somebody", SomebodyRow, key="actor", defines=True)
teams = Table("directory_team", TeamName, key="id", defines=True)
members = Table("directory_member", MemberRow, key="team_id, consultant, from_on", defines=True)
merges = Table(
    "directory_merge",
    MergeRow,
    key="id",
    sql="CREATE INDEX directory_merge_into ON directory_merge (survivor_id);",
    views=WHO,
)
projection = Projection(
    "directory", names, stages, fields, consultants, somebody, teams, members, merges, version=11
)


@names.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> Name:
    return Name(id=entry.originator_id, kind="person", name=entry.event.name)


@names.on(ProfileChanged, key=stream)
def person_renamed(row: Name, entry: Entry[ProfileChanged]) -> Name:
    return replace(row, name=entry.event.name or row.name)


@names.on(PersonErased, key=stream, forgets=True)
def person_erased(row: Name, entry: Entry[PersonErased]) -> Name:
    return replace(row, name=ERASED)


@names.starts(CompanyAdded)
def company_added(entry: Entry[CompanyAdded]) -> Name:
    return Name(id=entry.originator_id, kind="company", name=entry.event.name)


@names.on(FirmProfileChanged, key=stream)
def company_renamed(row: Name, entry: Entry[FirmProfileChanged]) -> Name:
    return replace(row, name=entry.event.name or row.name)


@names.starts(JobOrderOpened)
def job_order_opened(entry: Entry[JobOrderOpened]) -> Name:
    fact = entry.event
    return Name(id=fact.job_order_id, kind="job_order", name=fact.title, pipeline=fact.pipeline)


@names.on(JobOrderChanged, key=lambda entry: entry.event.job_order_id)
def job_order_changed(row: Name, entry: Entry[JobOrderChanged]) -> Name:
    return replace(row, name=entry.event.title or row.name)


@stages.starts(PipelineDefined)
def pipeline_defined(entry: Entry[PipelineDefined]) -> list[StageName]:
    """Stages are never removed, so each definition covers all that came before."""
    return [
        StageName(
            pipeline=entry.event.slug,
            stage=stage.id,
            place=place,
            label=stage.label,
            category=stage.category,
            probability_bp=stage.probability_bp,
            retired=stage.retired,
            pipeline_title=entry.event.title,
            subject=entry.event.subject,
            version=entry.originator_version,
        )
        for place, stage in enumerate(entry.event.stages)
    ]


@fields.starts(CustomFieldDefined)
def field_defined(entry: Entry[CustomFieldDefined]) -> FieldName:
    return FieldName(
        subject=entry.event.subject,
        slug=entry.event.slug,
        position=entry.position,
        definition=msgspec.json.encode(entry.event).decode(),
        version=entry.originator_version,
    )


@consultants.starts(ConsultantAdded)
def consultant_added(entry: Entry[ConsultantAdded]) -> ConsultantName:
    fact = entry.event
    return ConsultantName(
        id=entry.originator_id,
        version=entry.originator_version,
        consultant=fact.consultant,
        name=fact.name,
        joined_on=fact.joined_on,
    )


@consultants.on(ConsultantRenamed, key=stream)
def consultant_renamed(row: ConsultantName, entry: Entry[ConsultantRenamed]) -> ConsultantName:
    return replace(row, name=entry.event.name, version=entry.originator_version)


@consultants.on(ConsultantLeft, ConsultantReturned, key=stream)
def consultant_turned(
    row: ConsultantName, entry: Entry[ConsultantLeft | ConsultantReturned]
) -> ConsultantName:
    fact = entry.event
    left_on = fact.left_on if isinstance(fact, ConsultantLeft) else None
    turned_on = day_after(left_on) if left_on else fact.returned_on  # type: ignore[union-attr]
    row = replace(row, version=entry.originator_version)
    if row.turned_on and turned_on < row.turned_on:
        return row
    return replace(row, left_on=left_on, turned_on=turned_on)


@somebody.starts(KeyCreated)
def key_created(entry: Entry[KeyCreated]) -> SomebodyRow:
    return SomebodyRow(actor=entry.event.actor)


@somebody.starts(ConsultantAdded, LoginOpened)
def may_be_named(entry: Entry[ConsultantAdded | LoginOpened]) -> SomebodyRow:
    return SomebodyRow(actor=entry.event.consultant)


@teams.starts(TeamDefined)
def team_defined(entry: Entry[TeamDefined]) -> TeamName:
    fact = entry.event
    return TeamName(
        id=entry.originator_id,
        version=entry.originator_version,
        slug=fact.slug,
        title=fact.title,
        purpose=fact.purpose,
        retired=fact.retired,
    )


@teams.on(TeamJoined, TeamLeft, key=stream)
def members_changed(row: TeamName, entry: Entry[TeamJoined | TeamLeft]) -> TeamName:
    return replace(row, version=entry.originator_version)


@members.starts(TeamJoined, TeamLeft)
def turned(entry: Entry[TeamJoined | TeamLeft]) -> MemberRow:
    day, is_in = entry.event.turn
    return MemberRow(
        team_id=entry.originator_id, consultant=entry.event.consultant, from_on=day, is_in=is_in
    )


@merges.starts(Merged)
def merged(entry: Entry[Merged]) -> MergeRow:
    return _along(entry.originator_id, _link(entry))


@merges.each(Merged, survivor_id=stream)
def merged_further(row: MergeRow, entry: Entry[Merged]) -> MergeRow:
    """What it had absorbed goes along."""
    return _along(row.id, f"{row.chain}\n{_link(entry)}")


@merges.each(Unmerged, survivor_id=lambda entry: entry.event.other_id)
def unmerged(row: MergeRow, entry: Entry[Unmerged]) -> MergeRow | None:
    """On the one that was merged; on its survivor it is about nobody here."""
    gone = entry.originator_id
    if row.id == gone:
        return None
    kept, found, _ = row.chain.rpartition(f"\n{entry.event.other_id} ")
    return _along(row.id, kept) if found and kept.split("\n")[-1].startswith(str(gone)) else row


def _link(entry: Entry[Merged]) -> str:
    return f"{entry.event.survivor_id} {entry.event.merged_at.isoformat()}"


def _along(id: UUID, chain: str) -> MergeRow:
    survivor_id, since = chain.split("\n")[-1].split()
    return MergeRow(
        id=id,
        survivor_id=UUID(survivor_id),
        since=datetime.fromisoformat(since),
        chain=chain,
    )


class StageShown(msgspec.Struct, frozen=True):
    id: str
    label: str
    category: str
    probability_bp: int
    retired: bool


class PipelineListed(msgspec.Struct, frozen=True):
    slug: str
    title: str
    subject: str
    version: int


class PipelineShown(msgspec.Struct, frozen=True):
    slug: str
    title: str
    subject: str
    version: int
    stages: list[StageShown]


class FieldShown(msgspec.Struct, frozen=True, kw_only=True):
    """version          of all the fields of this subject, when this one was defined last
    personal         its values are sealed
    required_before  where it is asked for; "" for a field that is not required
    """

    subject: Subject
    slug: str
    version: int
    label: str
    type: FieldType
    choices: tuple[Choice, ...]
    required: bool
    required_before: str
    personal: bool
    retired: bool


async def custom_fields(
    cur: Cursor, *, subject: str | None = None, slug: str | None = None
) -> list[FieldShown]:
    """By subject and slug."""
    await cur.execute(
        "SELECT definition, version FROM directory_field"
        " WHERE (%(subject)s::text IS NULL OR subject = %(subject)s)"
        " AND (%(slug)s::text IS NULL OR slug = %(slug)s) ORDER BY subject, slug",
        {"subject": subject, "slug": slug},
    )
    found = []
    for definition, version in await cur.fetchall():
        field = msgspec.json.decode(definition, type=CustomFieldDefined)
        shown = {name: getattr(field, name) for name in ("subject", "slug", "label", "type")}
        found.append(
            FieldShown(
                **shown,
                version=version,
                choices=field.choices,
                required=field.required,
                required_before=REQUIRED_BEFORE[field.subject] if field.required else "",
                personal=field.is_personal,
                retired=field.retired,
            )
        )
    return found


async def custom_field(cur: Cursor, slug: str, *, subject: str) -> FieldShown | None:
    found = await custom_fields(cur, subject=subject, slug=slug)
    return found[0] if found else None


async def pipeline(cur: Cursor, slug: str) -> PipelineShown | None:
    await cur.execute(
        "SELECT stage, label, category, probability_bp, retired, pipeline_title, subject, version"
        " FROM directory_stage WHERE pipeline = %s ORDER BY place",
        (slug,),
    )
    rows = await cur.fetchall()
    if not rows:
        return None
    *_, title, subject, version = rows[0]
    return PipelineShown(slug, title, subject, version, [StageShown(*row[:5]) for row in rows])


async def pipelines(cur: Cursor) -> list[PipelineListed]:
    await cur.execute(
        "SELECT pipeline, pipeline_title, subject, version FROM directory_stage"
        " WHERE place = 0 ORDER BY pipeline"
    )
    return [PipelineListed(*row) for row in await cur.fetchall()]


async def stages_of(cur: Cursor, subject: str, pipeline: str | None = None) -> set[str]:
    """Ids of the stages of this pipeline, or of all, if it is of this subject."""
    await cur.execute(
        "SELECT DISTINCT stage FROM directory_stage WHERE subject = %(subject)s"
        " AND (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s)",
        {"subject": subject, "pipeline": pipeline},
    )
    return {stage for (stage,) in await cur.fetchall()}


async def kinds(cur: Cursor, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What these are: person, company or job_order; those that are nothing are missing."""
    await cur.execute("SELECT id, kind FROM directory WHERE id = ANY(%s)", (list(ids),))
    return dict(await cur.fetchall())


class ConsultantShown(msgspec.Struct, frozen=True):
    """consultant  as they are written everywhere, and never otherwise
    left_on     their last day, which may lie ahead; null: none is known
    teams       slugs of those that they are in on the day that is asked for
    """

    consultant: str
    version: int
    name: str
    joined_on: date | None
    left_on: date | None
    teams: list[str]


class TeamShown(msgspec.Struct, frozen=True):
    """members  who is in it on the day that is asked for"""

    slug: str
    version: int
    title: str
    purpose: str
    retired: bool
    members: list[str]


class MemberShown(msgspec.Struct, frozen=True):
    """name       null: nobody added them to the consultants
    joined_on  their first day in it
    until_on   the last; null: none is known
    """

    consultant: str
    name: str | None
    joined_on: date
    until_on: date | None


# whether somebody is in a team on a day is what was last said of it by then
IN_TEAM = """
SELECT DISTINCT ON (m.team_id, m.consultant) m.team_id, m.consultant, m.is_in
FROM directory_member m WHERE m.from_on <= %(on)s
ORDER BY m.team_id, m.consultant, m.from_on DESC"""

CONSULTANT = f"""
WITH found AS ({IN_TEAM})
SELECT c.consultant, c.version, c.name, c.joined_on, c.left_on,
       ARRAY(SELECT t.slug FROM found f JOIN directory_team t ON t.id = f.team_id
             WHERE f.consultant = c.consultant AND f.is_in ORDER BY t.slug)
FROM directory_consultant c"""

TEAM = f"""
WITH found AS ({IN_TEAM})
SELECT t.slug, t.version, t.title, t.purpose, t.retired,
       ARRAY(SELECT f.consultant FROM found f WHERE f.team_id = t.id AND f.is_in
             ORDER BY f.consultant)
FROM directory_team t"""


async def consultants_listed(cur: Cursor, *, on: date) -> list[ConsultantShown]:
    """By who they are written as."""
    await cur.execute(f"{CONSULTANT} ORDER BY c.consultant".encode(), {"on": on})
    return [ConsultantShown(*row) for row in await cur.fetchall()]


async def consultant(cur: Cursor, handle: str, *, on: date) -> ConsultantShown | None:
    """``ana`` is ``consultant:ana``."""
    id = consultant_id(f"consultant:{handle}")
    await cur.execute(f"{CONSULTANT} WHERE c.id = %(id)s".encode(), {"on": on, "id": id})
    row = await cur.fetchone()
    return row and ConsultantShown(*row)


async def teams_listed(cur: Cursor, *, on: date) -> list[TeamShown]:
    """By slug."""
    await cur.execute(f"{TEAM} ORDER BY t.slug".encode(), {"on": on})
    return [TeamShown(*row) for row in await cur.fetchall()]


async def team(cur: Cursor, slug: str, *, on: date) -> TeamShown | None:
    await cur.execute(f"{TEAM} WHERE t.id = %(id)s".encode(), {"on": on, "id": team_id(slug)})
    row = await cur.fetchone()
    return row and TeamShown(*row)


async def has_team(cur: Cursor, slug: str) -> bool:
    await cur.execute("SELECT FROM directory_team WHERE id = %s", (team_id(slug),))
    return await cur.fetchone() is not None


async def others(cur: Cursor, consultant: str) -> list[str] | None:
    """The other consultants, if none is or was called so, as of whatever moment is asked; None if
    one is, or if nobody can tell, since none of us is on record (``domain.consultant``)."""
    await cur.execute(
        f"SELECT actor FROM {SCHEMA}.directory_somebody"
        f" WHERE EXISTS (SELECT FROM {SCHEMA}.directory_consultant)"
        f" AND NOT EXISTS (SELECT FROM {SCHEMA}.directory_somebody WHERE actor = %s)"
        " AND actor LIKE 'consultant:%%'",
        (consultant,),
    )
    return [actor for (actor,) in await cur.fetchall()] or None


async def memberships(cur: Cursor, slug: str, *, on: date | None = None) -> list[MemberShown]:
    """Every time that somebody was in it, by consultant and day; ``on``: only those of that day."""
    await cur.execute(
        "WITH told AS (SELECT m.*, lag(m.is_in, 1, false) OVER of_one AS was_in"
        "   FROM directory_member m WHERE m.team_id = %(team)s"
        "   WINDOW of_one AS (PARTITION BY m.consultant ORDER BY m.from_on)),"
        " turns AS (SELECT t.*, lead(t.from_on) OVER of_one - 1 AS until_on FROM told t"
        "   WHERE t.is_in <> t.was_in"
        "   WINDOW of_one AS (PARTITION BY t.consultant ORDER BY t.from_on))"
        " SELECT t.consultant, c.name, t.from_on, t.until_on FROM turns t"
        " LEFT JOIN directory_consultant c USING (consultant) WHERE t.is_in"
        " AND (%(on)s::date IS NULL"
        "   OR %(on)s BETWEEN t.from_on AND coalesce(t.until_on, 'infinity'))"
        " ORDER BY t.consultant, t.from_on",
        {"team": team_id(slug), "on": on},
    )
    return [MemberShown(*row) for row in await cur.fetchall()]
