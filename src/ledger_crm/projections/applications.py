"""Applications: who came to us for which job order, how, what they answered, and what came of it;
and what we reply.

One row per candidacy, of which those that came by an application are shown; one per answer, per
job order and its questions, per template.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.application import Applied, ScreeningAnswered
from ledger_crm.domain.candidacy import CandidacyFact, CandidacyOpened, StageReached
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.joborder import JobOrderChanged, JobOrderOpened, ScreeningSet
from ledger_crm.domain.pipeline import EXITS
from ledger_crm.domain.screening import Question
from ledger_crm.domain.template import TemplateDefined, filled

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone, survivor


class ApplicationRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    position: int  # of the last application: the order of the list
    person_id: UUID
    company_id: UUID
    job_order_id: UUID
    stage: str
    category: str
    status: str  # in_process, hired, rejected, withdrawn, closed
    reason: str = ""
    applied_at: datetime | None = None  # None: we found them
    times: int = 0
    channel: str = ""
    source: str = ""
    text: str = ""


class AnswerRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    question: str
    person_id: UUID
    position: int  # after that of the application with which it was given
    text: str


class AskingRow(Row, frozen=True, kw_only=True):
    job_order_id: UUID
    company_id: UUID
    confidential: bool
    questions: str = "[]"  # JSON


class TemplateRow(Row, frozen=True, kw_only=True):
    slug: str
    version: int
    title: str
    subject: str
    text: str
    retired: bool


applications = Table(
    "application",
    ApplicationRow,
    key="candidacy_id",
    sql="""
    CREATE INDEX application_newest ON application (position DESC) WHERE times > 0;
    CREATE INDEX application_status ON application (status, position DESC) WHERE times > 0;
    CREATE INDEX application_order ON application (job_order_id, position DESC) WHERE times > 0;
    CREATE INDEX application_company ON application (company_id, position DESC) WHERE times > 0;
    CREATE INDEX application_person ON application (person_id);
    """,
)
answers = Table(
    "application_answer",
    AnswerRow,
    key="candidacy_id, question",
    sql="CREATE INDEX application_answer_of ON application_answer (person_id);",
)
asking = Table("application_asking", AskingRow, key="job_order_id")
templates = Table("reply_template", TemplateRow, key="slug")
applications.erases("text")
answers.erases()
projection = Projection(
    "applications", applications, answers, asking, templates, version=7, parallel="stream"
)


def candidacy(entry: Entry[CandidacyFact]) -> UUID:
    return entry.event.candidacy_id


def status_in(category: str) -> str:
    if category == "placed":
        return "hired"
    if category in ("rejected_by_us", "rejected_by_client"):
        return "rejected"
    if category == "withdrawn":
        return "withdrawn"
    return "closed" if category in EXITS else "in_process"


@applications.starts(CandidacyOpened)
def opened(entry: Entry[CandidacyOpened]) -> ApplicationRow:
    fact = entry.event
    return ApplicationRow(
        candidacy_id=fact.candidacy_id,
        position=entry.position,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        stage=fact.stage,
        category=fact.category,
        status=status_in(fact.category),
    )


@applications.on(StageReached, key=candidacy)
def stage_reached(row: ApplicationRow, entry: Entry[StageReached]) -> ApplicationRow:
    fact = entry.event
    return replace(
        row,
        stage=fact.stage,
        category=fact.category,
        status=status_in(fact.category),
        reason=getattr(fact, "reason", ""),
    )


@applications.on(Applied, key=candidacy)
def applied(row: ApplicationRow, entry: Entry[Applied]) -> ApplicationRow:
    fact = entry.event
    return replace(
        row,
        position=entry.position,
        applied_at=fact.applied_at,
        times=row.times + 1,
        channel=fact.channel,
        source=fact.source,
        text=fact.text,
    )


@answers.starts(ScreeningAnswered)
def answered(entry: Entry[ScreeningAnswered]) -> AnswerRow:
    fact = entry.event
    return AnswerRow(
        candidacy_id=fact.candidacy_id,
        question=fact.question,
        person_id=entry.originator_id,
        position=entry.position,
        text=fact.text,
    )


@asking.starts(JobOrderOpened)
def order_opened(entry: Entry[JobOrderOpened]) -> AskingRow:
    fact = entry.event
    return AskingRow(
        job_order_id=fact.job_order_id,
        company_id=entry.originator_id,
        confidential=fact.confidential,
    )


@asking.on(JobOrderChanged, key=lambda entry: entry.event.job_order_id)
def order_changed(row: AskingRow, entry: Entry[JobOrderChanged]) -> AskingRow:
    now = entry.event.confidential
    return row if now is None else replace(row, confidential=now)


@asking.on(ScreeningSet, key=lambda entry: entry.event.job_order_id)
def screening_set(row: AskingRow, entry: Entry[ScreeningSet]) -> AskingRow:
    return replace(row, questions=msgspec.json.encode(entry.event.questions).decode())


@templates.starts(TemplateDefined)
def template_defined(entry: Entry[TemplateDefined]) -> TemplateRow:
    fact = entry.event
    return TemplateRow(
        slug=fact.slug,
        version=entry.originator_version,
        title=fact.title,
        subject=fact.subject,
        text=fact.text,
        retired=fact.retired,
    )


class AnswerShown(msgspec.Struct, frozen=True):
    """asked      the question as it is asked now; null if it no longer is
    qualifies  whether the job order accepts this answer; null: it accepts any
    """

    question: str
    asked: str | None
    text: str
    qualifies: bool | None


class ApplicationShown(msgspec.Struct, frozen=True, kw_only=True):
    """id        of the candidacy
    status    in_process, hired, rejected, withdrawn, or closed for another reason
    times     how often they applied for this job order; what is shown is of the last time
    position  of the application, to page by
    """

    id: UUID
    person_id: UUID
    person: str
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    applied_at: datetime
    times: int
    channel: str
    source: str
    text: str
    stage: str
    category: str
    status: str
    reason: str
    position: int
    answers: list[AnswerShown]


class ScreeningShown(msgspec.Struct, frozen=True):
    """What a job order asks of whoever applies."""

    job_order_id: UUID
    company_id: UUID
    questions: list[Question]


class TemplateShown(msgspec.Struct, frozen=True):
    slug: str
    version: int
    title: str
    subject: str
    text: str
    retired: bool


class Reply(msgspec.Struct, frozen=True):
    """A template, filled. Nothing was sent."""

    template: str
    subject: str
    text: str


SHOWN = """
SELECT a.candidacy_id, coalesce(p.is_id, a.person_id), coalesce(p.name, ''),
       coalesce(o.is_id, a.company_id),
       coalesce(o.name, ''), a.job_order_id, coalesce(j.name, ''), a.applied_at, a.times,
       a.channel, a.source, a.text, a.stage, a.category, a.status, a.reason, a.position, k.questions
FROM application a
LEFT JOIN who p ON p.id = a.person_id
LEFT JOIN who o ON o.id = a.company_id
LEFT JOIN directory j ON j.id = a.job_order_id
LEFT JOIN application_asking k ON k.job_order_id = a.job_order_id
WHERE a.times > 0"""


async def of(
    cur: Cursor,
    *,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    job_order_id: UUID | None = None,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[ApplicationShown]:
    """The last to apply first; page by passing the last one's position as ``before``. Joins the
    directory for the names."""
    await cur.execute(
        f"{SHOWN} AND (%(person)s::uuid IS NULL"
        f"   OR a.person_id = ANY({everyone('%(person)s::uuid')}))"
        f" AND (%(company)s::uuid IS NULL OR a.company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(order)s::uuid IS NULL OR a.job_order_id = %(order)s)"
        " AND (%(status)s::text IS NULL OR a.status = %(status)s)"
        " AND (%(before)s::bigint IS NULL OR a.position < %(before)s)"
        " ORDER BY a.position DESC LIMIT %(limit)s",
        {
            "person": person_id,
            "company": company_id,
            "order": job_order_id,
            "status": status,
            "before": before,
            "limit": limit,
        },
    )
    return await _shown(cur, await cur.fetchall())


async def one(cur: Cursor, candidacy_id: UUID) -> ApplicationShown | None:
    """Joins the directory for the names."""
    await cur.execute(f"{SHOWN} AND a.candidacy_id = %s", (candidacy_id,))
    found = await _shown(cur, await cur.fetchall())
    return found[0] if found else None


async def _shown(cur: Cursor, rows: list[tuple[object, ...]]) -> list[ApplicationShown]:
    await cur.execute(
        # what they answered when they applied before is in their history, and not of this one
        "SELECT s.candidacy_id, s.question, s.text FROM application_answer s"
        " JOIN application a USING (candidacy_id)"
        " WHERE s.candidacy_id = ANY(%s) AND s.position > a.position ORDER BY s.position",
        ([row[0] for row in rows],),
    )
    said: dict[object, list[tuple[str, str]]] = {}
    for id, question, text in await cur.fetchall():
        said.setdefault(id, []).append((question, text))
    names = ApplicationShown.__struct_fields__[:-1]
    shown = []
    for *row, asked in rows:
        questions = {question.id: question for question in _questions(asked)}
        place = {id: n for n, id in enumerate(questions)}
        in_order = sorted(said.get(row[0], ()), key=lambda a: place.get(a[0], len(place)))
        given = [_answer(questions.get(id), id, text) for id, text in in_order]
        fields = dict(zip(names, row, strict=True))
        shown.append(ApplicationShown(**fields, answers=given))  # type: ignore[arg-type]
    return shown


def _answer(question: Question | None, id: str, text: str) -> AnswerShown:
    if question is None:
        return AnswerShown(id, None, text, None)
    return AnswerShown(id, question.asked, text, question.qualifies(text))


def _questions(found: object) -> list[Question]:
    return msgspec.json.decode(str(found or "[]"), type=list[Question])


async def screening(cur: Cursor, job_order_id: UUID) -> ScreeningShown | None:
    await cur.execute(
        f"SELECT job_order_id, {survivor('company_id')}, questions FROM application_asking"
        " WHERE job_order_id = %s",
        (job_order_id,),
    )
    row = await cur.fetchone()
    return row and ScreeningShown(row[0], row[1], _questions(row[2]))


TEMPLATE = "SELECT slug, version, title, subject, text, retired FROM reply_template"


async def listing(cur: Cursor) -> list[TemplateShown]:
    """Those in use, by slug."""
    await cur.execute(f"{TEMPLATE} WHERE NOT retired ORDER BY slug")
    return [TemplateShown(*row) for row in await cur.fetchall()]


async def template(cur: Cursor, slug: str) -> TemplateShown | None:
    await cur.execute(f"{TEMPLATE} WHERE slug = %s", (slug,))
    row = await cur.fetchone()
    return row and TemplateShown(*row)


async def reply(cur: Cursor, slug: str, *, candidacy_id: UUID, consultant: str) -> Reply | None:
    """The template in the words for this application; None if either is not there. Joins the
    directory for the names. Raises ClientNotNamed."""
    await cur.execute(
        "SELECT t.subject, t.text, coalesce(p.name, ''), coalesce(j.name, ''),"
        " coalesce(o.name, ''), k.confidential FROM reply_template t"
        " JOIN application a ON a.candidacy_id = %s AND a.times > 0"
        " JOIN application_asking k ON k.job_order_id = a.job_order_id"
        " LEFT JOIN who p ON p.id = a.person_id"
        " LEFT JOIN directory j ON j.id = a.job_order_id"
        " LEFT JOIN who o ON o.id = a.company_id WHERE t.slug = %s",
        (candidacy_id, slug),
    )
    row = await cur.fetchone()
    if row is None:
        return None
    subject, text, name, job_order, company, confidential = row
    values = {
        "name": name,
        "first_name": name.partition(" ")[0],
        "job_order": job_order,
        "consultant": consultant.partition(":")[2],
    }
    if not confidential:
        values["company"] = company
    return Reply(slug, filled(subject, values), filled(text, values))
