"""Directory: what things are called. The one read model that others' queries join.

A query that joins it says so, and a caller that waits for a position waits for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.company import CompanyAdded
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
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.pipeline import PipelineDefined
from ledger_crm.domain.privacy import PersonErased

from ._projection import Cursor, Projection, Row, Table, stream


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


names = Table("directory", Name, key="id")
stages = Table("directory_stage", StageName, key="pipeline, stage")
fields = Table("directory_field", FieldName, key="subject, slug")
projection = Projection("directory", names, stages, fields, version=6)


@names.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> Name:
    return Name(id=entry.originator_id, kind="person", name=entry.event.name)


@names.on(ProfileChanged, key=stream)
def person_renamed(row: Name, entry: Entry[ProfileChanged]) -> Name:
    return replace(row, name=entry.event.name or row.name)


@names.on(PersonErased, key=stream)
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
