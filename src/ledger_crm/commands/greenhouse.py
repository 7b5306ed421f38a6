"""Import of what Greenhouse's Harvest API answers: a folder of JSON files becomes facts, through
the commands that everybody uses.

    report = await import_folder(ledger, read_folder(path), company="Acme")

Records go in as the rows of a CSV file do (``importing``): whole or not at all, once, a thousand in
a transaction. Nothing is dropped silently: each value of a record is either taken for a fact or
told of by its path (``Homeless``), never by its content. How the files are read is
``greenhouse_shapes``'s; docs/importing.md says what becomes of what.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from ledger_crm.domain.company import Company, CompanyAdded
from ledger_crm.domain.contact import Point, normalised
from ledger_crm.domain.entry import Aggregate, Instant, Sealed, Slug, Title, words
from ledger_crm.domain.faults import in_words
from ledger_crm.domain.identity import PersonTagged, Source
from ledger_crm.domain.interaction import MessageSent, NoteWritten
from ledger_crm.domain.joborder import (
    OVER,
    JobOrderCancelled,
    JobOrderFilled,
    JobOrderHeld,
    JobOrderOpened,
    JobOrderSteps,
    ScreeningSet,
)
from ledger_crm.domain.permission import DoNotContactSet
from ledger_crm.domain.person import ContactPointAdded, Person, PersonSourced
from ledger_crm.domain.pipeline import (
    EXITS,
    Category,
    NoSuchStage,
    Pipeline,
    PipelineDefined,
    Stage,
    StageIsRetired,
    pipeline_id,
)
from ledger_crm.domain.refusals import Invalid
from ledger_crm.domain.screening import Answer, Question
from ledger_crm.ledger import Ledger, NoSuchRecord, Work

from . import candidacies, catalogue, importing, selling
from .greenhouse_shapes import (
    BEGINS,
    ENDS,
    Folder,
    Found,
    Homeless,
    Node,
    applications_in,
    applied_at,
    code_of,
    folded,
    is_prospect,
    leaves,
    matching,
    question_id,
    records_in,
    salary_of,
    stage_id,
)
from .importing import Report, Writer, note
from .intake import Reachable
from .lines import Row, RowReport
from .mapping import (
    KINDS,
    CandidacyMove,
    Hash,
    ImportFault,
    Planned,
    RowFault,
    Step,
    fingerprint_of,
    made_id,
)

NAME = "greenhouse"
LISTED = 1000  # paths kept in the report; ``on_homeless`` is told all of them
LAST = 10_000  # the priority of a stage that no job has any longer
MOST = 40  # screening questions of a job order
STAGES = 60  # of the pipeline
TOO_MANY = f"is one of more than {STAGES} stages: it stands as another of its category"
PLAIN = re.compile(r"[^\W\d_]+(?:[ '\u2019/&-]+[^\W\d_]+){0,5}")
"""A reason of rejection that becomes a code unasked: at most six words, and no sentence."""
CATEGORIES: tuple[tuple[str, Category], ...] = (
    ("offer", "offer"),
    ("final", "final_interview"),
    ("interview|face.to.face|on.?site", "client_interview"),
    ("contact", "contacted"),
    ("repl", "replied"),
)
SOURCES: tuple[tuple[str, Source], ...] = (
    ("linkedin", "linkedin"),
    ("refer", "referral"),
    ("website|your site|careers? page", "website"),
    ("board|indeed|glassdoor|monster|stepstone", "job_board"),
    ("fair|event|meetup|happy hour|conference", "event"),
    ("agency|recruiter", "agency"),
)


class Missing(msgspec.Struct):
    """The same at several places. ``path``: of the first one."""

    path: str
    reason: str
    times: int = 1


class FolderReport(Report, kw_only=True):
    """homeless  values that no fact was made of, those of the same field together
    unnamed   how many fields there are besides
    """

    homeless: list[Missing] = msgspec.field(default_factory=list)
    unnamed: int = 0


# --- what it becomes ------------------------------------------------------------------------


class Coming(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An application, as ``candidacies.apply`` takes it."""

    company_id: UUID
    job_order_id: UUID
    at: Instant
    channel: Source
    source: str
    answers: tuple[Said, ...]
    text: Sealed = ""


class Said(msgspec.Struct, frozen=True):
    """An answer, to a question as it was asked."""

    question: Slug
    asked: str
    text: Sealed


class MoreStages(msgspec.Struct, frozen=True):
    """Those of Greenhouse, in its order. What the agency made of the pipeline meanwhile is known
    only when they are added to it."""

    stages: tuple[Stage, ...]


class MoreQuestions(msgspec.Struct, frozen=True):
    """Those that were answered in Greenhouse, likewise."""

    job_order_id: UUID
    set_at: Instant
    questions: tuple[Question, ...]


async def _add_stages(work: Work, id: UUID, more: MoreStages) -> Aggregate:
    """Before those in which the candidate is the client's; what is there stays as it is. Raises
    RowFault."""
    there = PipelineDefined(
        slug=NAME, title="Greenhouse", subject="candidate", stages=(BEGINS, *ENDS)
    )
    if await work.has(id):
        there = (await work.get(Pipeline, id)).definition
    ids, stages = {stage.id for stage in there.stages}, there.stages
    new = [stage for stage in more.stages if stage.id not in ids]
    if len(stages) + len(new) > STAGES:
        raise RowFault("", f"would make more than {STAGES} stages")
    at = next((n for n, s in enumerate(stages) if s.category == "submitted"), len(stages))
    stages = (*stages[:at], *new, *stages[at:])
    return await catalogue.define_pipeline(work, msgspec.structs.replace(there, stages=stages))


async def _ask(work: Work, id: UUID, more: MoreQuestions) -> Aggregate:
    """Beside what is asked, as far as there is room, if anybody can still be asked."""
    company = await work.get(Company, id)
    order = company.job_order(more.job_order_id)
    ids = {question.id for question in order.questions}
    new = [question for question in more.questions if question.id not in ids]
    if not new or order.status in OVER or len(order.questions) >= MOST:
        return company
    questions = (*order.questions, *new)[:MOST]
    fact = ScreeningSet(job_order_id=more.job_order_id, set_at=more.set_at, questions=questions)
    return await selling.step_job_order(work, id, fact)


async def _apply(work: Work, id: UUID, coming: Coming) -> Aggregate:
    """Answers to what the job order does not ask, or not so, go into the text. Raises RowFault,
    and as ``candidacies.apply``."""
    order = (await work.get(Company, coming.company_id)).job_order(coming.job_order_id)
    asked = {question.id: question for question in order.questions}
    answers, rest = list[Answer](), [coming.text] if coming.text else []
    for said in coming.answers:
        question = asked.get(said.question)
        if question and (not question.allowed or said.text in question.allowed):
            answers.append(Answer(question=said.question, text=said.text))
        else:
            rest.append(f"{said.asked} {said.text}")
    if len(text := "\n".join(rest)) > 60_000:
        raise RowFault("", "has answers of more than 60,000 letters that nobody asks for here")
    how = msgspec.structs.asdict(coming) | {"answers": answers, "text": text}
    return await candidacies.apply(work, id, **how, past=True)


async def _step(work: Work, id: UUID, fact: JobOrderSteps) -> Aggregate:
    return await selling.step_job_order(work, id, fact)


async def _move(work: Work, id: UUID, to: CandidacyMove) -> Aggregate:
    """It happened there, and so did the introduction. Who would come to a stage that is retired
    here stays where they are; whoever is over goes to another exit of that category. Raises
    StageIsRetired if there is none, and as ``candidacies.move``."""
    to = msgspec.structs.replace(to, past=True)
    try:
        return await KINDS["person.candidacy_moved"].do(work, id, to)
    except StageIsRetired:
        pipeline = await work.get(Pipeline, pipeline_id(NAME))
        [category] = [stage.category for stage in pipeline.stages if stage.id == to.stage]
        if category not in EXITS:
            return await work.get(Person, id)
        with suppress(NoSuchStage):
            other = msgspec.structs.replace(to, stage=pipeline.in_category(category).id)
            return await KINDS["person.candidacy_moved"].do(work, id, other)
        raise


async def _tag(work: Work, id: UUID, fact: PersonTagged) -> Aggregate:
    person = await work.get(Person, id)
    person.tag(fact, by=work.by)
    return person


OURS: dict[str, Callable[..., Any]] = {
    "pipeline.defined": _add_stages,
    "company.screening_set": _ask,
    "person.applied": _apply,
    "person.candidacy_moved": _move,
    "person.tagged": _tag,
    "company.job_order_stepped": _step,
}
DO = {kind: each.do for kind, each in KINDS.items()} | OURS


class Plan:
    """Rows in the order in which they are decided: first what others rest on."""

    def __init__(
        self,
        found: Found,
        hash: Hash,
        company: str,
        *,
        pipeline: Pipeline | None,
        codes: Sequence[str] = (),
    ) -> None:
        """``pipeline``: as it is, if it is there. ``codes``: as in ``import_folder``."""
        self.codes = {folded(code) for code in codes}
        self.found, self.hash, self.pipeline = found, hash, pipeline
        self.company, self.company_id = company, company_id(hash, company)
        self.rows: list[Row] = []
        self.stages: dict[str, Stage] = {}  # by their name in Greenhouse
        self.instead: dict[str, Stage] = {}  # of those for which there is no room, by id

    def make(self) -> list[Row]:
        records = self.found.records
        embedded = [
            each for candidate in records["candidates"] for each in applications_in(candidate)
        ]
        applications = sorted([*embedded, *records["applications"]], key=applied_at)
        if self.company.casefold() != str(self.company_id):
            self._one("company", str(self.company_id), "", lambda: [self._company()])
        self._one("pipeline", NAME, "", lambda: [self._stages(applications)], versioned=True)
        for job in records["jobs"]:
            self._record(job, "job", self._job)
        self._jobs_by_name(applications)
        self._screening(applications)
        for candidate in records["candidates"]:
            self._record(candidate, "candidate", self._candidate)
        for application in applications:
            self._record(application, "application", self._application)
        for offer in records["offers"]:
            self._record(offer, "offer", self._offer)
        for card in records["scorecards"]:
            self._record(card, "scorecard", self._scorecard)
        for feed in records["activity_feed"]:
            self._activity(feed)
        for job in records["jobs"]:
            self._record(job, "end_of_job", self._end_of_job)
        return self.rows

    def _record(
        self, node: Node, noun: str, plan: Callable[[Node], list[Step]], *, of: str = ""
    ) -> None:
        if not self._one(noun, self._id(node, of), node.path, lambda: plan(node)):
            for path in leaves(node.raw, node.path):
                node.left.pop(path, None)  # the record is refused, and told of as a whole

    def _id(self, node: Node, of: str = "") -> str:
        """Its own, or made of all that it says, and ``of`` whom."""
        if (id := node.raw.get("id")) not in (None, ""):
            return str(id)
        said = msgspec.json.encode([of, node.raw], order="deterministic").decode()
        return f"said:{self.hash('import record', said).hex()}"

    def _one(
        self,
        noun: str,
        id: str,
        path: str,
        plan: Callable[[], list[Step]],
        *,
        versioned: bool = False,
    ) -> bool:
        """False: it is refused. ``versioned``: other content is another wish, and not the same
        record changed."""
        number = len(self.rows) + 1
        report = RowReport(number, "imported", path=path or noun)
        try:
            steps = plan()
        except RowFault as fault:
            report = RowReport(number, "refused", fault.columns, fault.reason, path=path or noun)
            self.rows.append(Row(number, None, report))
            return False
        if not steps:
            if noun != "end_of_job":
                report.outcome = "skipped"
                self.rows.append(Row(number, None, report))
            return True
        made = fingerprint_of(self.hash, steps)
        key = f"{noun}:{id}" + (f":{made.hex()}" if versioned else "")
        self.rows.append(Row(number, Planned(key, made, steps), report))
        return True

    def _fact(
        self, kind: str, id: UUID, *forms: msgspec.Struct, columns: dict[str, str] | None = None
    ) -> Step:
        """Raises RowFault if it is not as its Struct wants it."""
        content: dict[str, Any] = {}
        for form in forms:
            built = msgspec.to_builtins(form)
            try:
                msgspec.convert(built, type(form))
            except msgspec.ValidationError as fault:
                field = str(fault).rpartition("$.")[2].rstrip("`")
                where = (columns or {}).get(field, "")
                raise RowFault(where, f"{words(field)} {in_words(str(fault))}") from None
            content |= built
        return Step(kind, DO[kind], id, forms, content, columns or {})

    def _person(self, key: str) -> UUID:
        return made_id(self.hash, NAME, "person", key)

    def _order(self, key: str) -> UUID:
        return made_id(self.hash, NAME, "job_order", key)

    def _company(self) -> Step:
        added = CompanyAdded(name=self.company, source="Greenhouse")
        step = self._fact("company.added", self.company_id, added)
        return step._replace(content={})  # by its id it is known in other letters too

    def _stages(self, applications: Sequence[Node]) -> Step:
        """Of all jobs together, by the order in which they come in a job."""
        listed: list[tuple[int, str]] = []
        used = Counter[str]()  # by id
        for stage in self.found.records["job_stages"]:
            priority = stage.raw.get("priority")
            with suppress(RowFault):  # of one that says nothing that is a name
                name = stage.line("name", 80)
                stage.take("priority")
                if stage.flag("active"):
                    stage.take("active")
                listed.append((priority if isinstance(priority, int) else 0, name))
        for application in applications:
            with suppress(RowFault):  # the application is refused for it
                if not is_prospect(application):
                    name = application.node("current_stage").line("name", 80)
                    listed.append((LAST, name))
                    used[stage_id(name)] += 1
        there = {s.id: s for s in (self.pipeline.stages if self.pipeline else (BEGINS, *ENDS))}
        made: dict[str, Stage] = {}
        for _, name in sorted(listed, key=lambda each: each[0]):
            if name and name.casefold() not in self.stages:
                id = stage_id(name)
                made[id] = Stage(id, name, matching(CATEGORIES, name) or "screening")
                self.stages[name.casefold()] = there.get(id, made[id])
        self._make_room([stage for stage in made.values() if stage.id not in there], there, used)
        for node in self.found.records["job_stages"]:
            with suppress(RowFault):
                if (name := node.line("name", 80)) and stage_id(name) in self.instead:
                    node.stays("name", TOO_MANY)
        more = MoreStages(tuple(each for each in made.values() if each.id not in self.instead))
        return self._fact("pipeline.defined", pipeline_id(NAME), more)

    def _make_room(self, new: list[Stage], there: dict[str, Stage], used: Counter[str]) -> None:
        """Those of which there are too many, the rarest, stand as another of their category; of
        each category the most used one stays."""
        new.sort(key=lambda stage: -used[stage.id])
        seen = {stage.category for stage in there.values() if not stage.retired}
        first, others = list[Stage](), list[Stage]()
        for stage in new:
            (others if stage.category in seen else first).append(stage)
            seen.add(stage.category)
        ranked, room = [*first, *others], max(STAGES - len(there), 0)
        stay = [each for each in (*there.values(), *ranked[:room]) if not each.retired]
        for left in ranked[room:]:
            near = (each for each in stay if each.category == left.category)
            self.instead[left.id] = next(near, BEGINS)

    def _job(self, job: Node) -> list[Step]:
        key, opened_at = job.id("id"), job.at("opened_at") or job.at("created_at")
        title = job.line("name")
        if not title or not opened_at:
            raise job.fault("name" if not title else "opened_at", "is missing")
        openings, offices = job.nodes("openings"), job.nodes("offices")
        place = ""
        if offices:
            place = offices[0].node("location").line("name") or offices[0].line("name")
        low, high, currency = salary_of(job)
        confidential = bool(job.flag("confidential"))
        job.take("confidential")
        if not job.flag("is_template"):
            job.take("is_template")
        opened = JobOrderOpened(
            job_order_id=self._order(key),
            title=title,
            openings=max(len(openings), 1),
            pipeline=NAME,
            opened_at=opened_at,
            location=place,
            requisition=job.line("requisition_id"),
            salary_from_cents=low,
            salary_to_cents=high,
            currency=currency,
            confidential=confidential,
        )
        steps = [self._fact("company.job_order_opened", self.company_id, opened)]
        if job.text("status") == "draft":
            held = JobOrderHeld(job_order_id=self._order(key), held_at=opened_at, reason="draft")
            steps.append(self._fact("company.job_order_stepped", self.company_id, held))
        return steps

    def _jobs_by_name(self, applications: Sequence[Node]) -> None:
        """Those of which the files know no more than that somebody applied."""
        there = {str(job.raw.get("id")) for job in self.found.records["jobs"]}
        named: dict[str, tuple[datetime, str, str]] = {}
        for application in applications:
            with suppress(RowFault):  # the application is refused for it
                if is_prospect(application):
                    continue
                job, at = application.nodes("jobs")[0], application.at("applied_at")
                key, title = job.id("id"), job.line("name")
                if at and title and key not in there:
                    first = named.get(key, (at, title, job.path))
                    named[key] = min(first, (at, *first[1:]))
        for key, (at, title, path) in named.items():
            opened = JobOrderOpened(
                job_order_id=self._order(key), title=title, pipeline=NAME, opened_at=at
            )
            step = self._fact("company.job_order_opened", self.company_id, opened)
            self._one("job", key, path, lambda step=step: [step])  # type: ignore[misc]

    def _screening(self, applications: Sequence[Node]) -> None:
        """What the applicants of a job answered."""
        questions: dict[str, dict[str, Question]] = {}  # by job
        since: dict[str, datetime] = {}
        for application in applications:
            with suppress(RowFault):  # the application is refused for it
                if is_prospect(application) or not (at := application.at("applied_at")):
                    continue
                key = application.nodes("jobs")[0].id("id")
                for answer in application.nodes("answers"):
                    if asked := answer.line("question", 500):
                        id = question_id(asked)
                        questions.setdefault(key, {}).setdefault(id, Question(id=id, asked=asked))
                        since[key] = min(at, since.get(key, at))
        for key, at in since.items():
            more = MoreQuestions(self._order(key), at, tuple(questions[key].values()))
            self._one(
                "screening",
                key,
                f"job {key}",
                lambda m=more: [
                    self._fact(  # type: ignore[misc]
                        "company.screening_set", self.company_id, m
                    )
                ],
                versioned=True,
            )

    def _candidate(self, candidate: Node) -> list[Step]:
        key = candidate.id("id")
        id = self._person(key)
        name = f"{candidate.line('first_name')} {candidate.line('last_name')}".strip()
        if not name:
            raise candidate.fault("first_name", "and last_name are missing")
        headline = ", ".join(filter(None, (candidate.line("title"), candidate.line("company"))))
        since = candidate.at("created_at")
        address = next((a.text("value") for a in candidate.nodes("addresses")), "")
        sourced = PersonSourced(
            name=name, channel="import", origin="Greenhouse", sourced_at=since, headline=headline,
            address=address,
        )  # fmt: skip
        first, others, columns = self._reachable(candidate)
        steps = [self._fact("person.sourced", id, sourced, first, columns=columns)]
        for point, value, path in others:
            added = ContactPointAdded(point=point, value=value, added_at=since)
            columns = {"value": path}
            steps.append(self._fact("person.contact_point_added", id, added, columns=columns))
        if candidate.flag("can_email") is False:
            said_at = candidate.at("updated_at") or since
            if said_at is None:
                raise candidate.fault("updated_at", "is missing, and they are not to be written to")
            stop = DoNotContactSet(set_at=said_at, reason="no_email")
            steps.append(self._fact("person.do_not_contact_set", id, stop))
        candidate.take("can_email", "application_ids")
        if not candidate.flag("is_private"):
            candidate.take("is_private")
        steps += self._tags(candidate, id, since)
        return steps

    def _reachable(
        self, candidate: Node
    ) -> tuple[Reachable, list[tuple[Point, str, str]], dict[str, str]]:
        """Of each kind the first one, and the others. What is none is told of, and left out: it is
        no reason to go without the person."""
        fields: dict[Point, str] = {"email": "email", "phone": "phone", "url": "profile_url"}
        lists: tuple[tuple[str, Point], ...] = (
            ("email_addresses", "email"),
            ("phone_numbers", "phone"),
            ("website_addresses", "url"),
            ("social_media_addresses", "url"),
        )
        first: dict[str, str] = {}
        columns: dict[str, str] = {}
        others: list[tuple[Point, str, str]] = []
        for name, point in lists:
            for each in candidate.nodes(name):
                if not (value := each.text("value")):
                    continue
                if point == "url" and "//" not in value:
                    value = f"https://{value}"
                try:
                    normalised(point, value)
                except Invalid as refusal:
                    each.stays("value", refusal.sentence)
                    continue
                if fields[point] not in first:
                    first[fields[point]] = value
                    columns[fields[point]] = f"{each.path}.value"
                else:
                    others.append((point, value, f"{each.path}.value"))
        return Reachable(**first), others, columns

    def _tags(self, candidate: Node, id: UUID, since: datetime | None) -> list[Step]:
        tags = candidate.raw.get("tags") or []
        if not isinstance(tags, list):
            raise candidate.fault("tags", "is not a list")
        steps, others = [], []
        for n, tag in enumerate(tags):
            if not isinstance(tag, str) or not tag.strip():
                continue
            if "\0" in tag or len(tag) > 2_000:
                raise candidate.fault(f"tags[{n}]", "holds a NUL, or is longer than 2,000 letters")
            candidate.left.pop(f"{candidate.path}.tags[{n}]", None)
            if code := self._named(tag):
                fact = PersonTagged(tag=code, tagged_at=since)
                steps.append(self._fact("person.tagged", id, fact))
            else:
                others.append(tag.strip())
        if others:
            text = "\n".join(("Tags in Greenhouse:", *others))
            if len(text) > 60_000:
                raise candidate.fault("tags", "are longer than 60,000 letters")
            written = NoteWritten(written_at=since, text=text)
            steps.append(self._fact("person.note_written", id, written))
        return steps

    def _named(self, text: str) -> str:
        """Its code, if the agency named it; else "": whatever somebody typed may be about a
        person, and a code stands in clear in the events and on the feed, for ever."""
        return code_of(text, "") if folded(text) in self.codes else ""

    def _application(self, application: Node) -> list[Step]:
        if is_prospect(application):
            return []
        application.id("id")
        application.take("prospect")
        person = self._person(application.id("candidate_id"))
        job = application.nodes("jobs")[0]
        key, at = job.id("id"), application.at("applied_at")
        job.take("name")
        if at is None:
            raise application.fault("applied_at", "is missing")
        source = application.node("source").line("public_name")
        code = self._named(source)
        where = {"company_id": self.company_id, "job_order_id": self._order(key)}
        columns = {
            "person_id": f"{application.path}.candidate_id",
            "job_order_id": f"{job.path}.id",
        }
        coming = Coming(
            **where,
            at=at,
            channel=matching(SOURCES, source) or "other",
            source=code,
            answers=tuple(self._answers(application)),
            text=f"Source in Greenhouse: {source}" if source and not code else "",
        )
        steps = [self._fact("person.applied", person, coming, columns=columns)]
        then = application.at("rejected_at") or application.at("last_activity_at") or at
        current = application.node("current_stage")
        stage = self.stages.get(current.line("name", 80).casefold())
        near = self.instead.get(stage.id, stage) if stage else None
        if near is not stage:
            current.stays("name", TOO_MANY)
        if stage and stage.retired:
            current.stays("name", "is retired here: who applies now stays in the first stage")
        if stage and near and near.id != BEGINS.id and near.category not in ("submitted", "placed"):
            move = CandidacyMove(job_order_id=self._order(key), stage=near.id, at=then)
            step = self._fact("person.candidacy_moved", person, move)
            # the record stays the same if its stage stands as another one next time
            steps.append(step._replace(content={**msgspec.to_builtins(move), "stage": stage.id}))
        match application.raw.get("status"):
            case "rejected":
                application.take("status")
                move = self._rejection(application, key, then)
                steps.append(self._fact("person.candidacy_moved", person, move))
            case "active":
                application.take("status")
            case "hired":
                application.stays("status", "is placed by hand, under the terms of the company")
        return steps

    def _rejection(self, application: Node, job: str, at: datetime) -> CandidacyMove:
        reason = application.node("rejection_reason")
        kind, name = reason.node("type").line("name"), reason.line("name")
        listed = reason.raw.get("id") is not None and bool(PLAIN.fullmatch(name))
        code = code_of(name, "") if listed and len(name) <= 40 else self._named(name)
        theirs = bool(re.search(r"they rejected|withdr", kind, re.IGNORECASE))
        return CandidacyMove(
            job_order_id=self._order(job),
            stage="withdrawn" if theirs else "rejected_by_us",
            at=at,
            reason=code or ("told_in_text" if name else "none_given"),
            decided_by="candidate" if theirs else "us",
            decider="" if theirs else "as recorded in Greenhouse",
            text=", ".join(filter(None, (name, kind))),
        )

    def _answers(self, application: Node) -> Iterator[Said]:
        answered = set[str]()
        for answer in application.nodes("answers"):
            asked = answer.line("question", 500)
            id = question_id(asked) if asked else ""
            if not asked or id in answered:
                answer.stays("answer", "is to no question, or to one that is asked twice")
            elif text := answer.text("answer"):
                answered.add(id)
                yield Said(id, asked, text)

    def _offer(self, offer: Node) -> list[Step]:
        """A note: nobody is offered anything before being introduced under terms."""
        id, version = offer.text("id"), offer.text("version")
        lines = [f"Offer {id}, version {version or '1'}: {words(offer.line('status'))}"]
        lines.append(f"application {offer.line('application_id')}, job {offer.line('job_id')}")
        lines += [f"{words(k)}: {offer.line(k)}" for k in ("sent_at", "starts_at", "resolved_at")
                  if offer.raw.get(k)]  # fmt: skip
        return [self._note(offer, "\n".join(lines), offer.at("created_at"))]

    def _scorecard(self, card: Node) -> list[Step]:
        """A note too: an interview is of somebody who was introduced."""
        card.take("ratings")  # the attributes again, the other way round
        by = card.node("interviewer").line("name") or card.node("submitted_by").line("name")
        verdict = words(card.line("overall_recommendation"))
        about = f"{card.line('interview')}, application {card.line('application_id')}"
        lines = [f"Scorecard {card.line('id')}, {about}, by {by or 'somebody'}: {verdict}"]
        if held_at := card.at("interviewed_at"):
            lines.append(f"interviewed at {held_at:%Y-%m-%d %H:%M}")
        for attribute in card.nodes("attributes"):
            said = f" ({note_})" if (note_ := attribute.line("note", 2_000)) else ""
            rating = words(attribute.line("rating"))
            lines.append(f"{attribute.line('name')}: {rating}{said}")
        for question in card.nodes("questions"):
            answer = question.line("answer", 4_000)
            lines.append(f"{question.line('question', 500)} {answer}")
        return [self._note(card, "\n".join(lines), card.at("submitted_at"))]

    def _note(self, node: Node, text: str, at: datetime | None) -> Step:
        person = self._person(node.id("candidate_id"))
        columns = {"person_id": f"{node.path}.candidate_id"}
        return self._fact(
            "person.note_written", person, NoteWritten(written_at=at, text=text), columns=columns
        )

    def _activity(self, feed: Node) -> None:
        """Greenhouse answers it for a candidate, who is not in it: ``candidate_id`` says who."""
        key = str(feed.raw.get("candidate_id") or "")
        if not key:
            for path in feed.left:
                feed.left[path] = "does not say whose it is: add a candidate_id"
            return
        feed.take("candidate_id")
        every = (("notes", self._said), ("activities", self._said), ("emails", self._sent))
        for name, plan in every:
            try:
                items = feed.nodes(name)
            except RowFault as fault:
                report = RowReport(len(self.rows) + 1, "refused", fault.columns, fault.reason)
                self.rows.append(Row(report.line, None, report))
                continue
            for item in items:
                self._record(item, name, lambda each, plan=plan: plan(each, key), of=key)  # type: ignore[misc]

    def _said(self, item: Node, candidate: str) -> list[Step]:
        item.take("id")
        text = "\n".join(filter(None, (item.line("subject"), item.text("body"))))
        fact = NoteWritten(written_at=item.at("created_at"), text=text)
        return [self._fact("person.note_written", self._person(candidate), fact)]

    def _sent(self, item: Node, candidate: str) -> list[Step]:
        if (at := item.at("created_at")) is None:
            raise item.fault("created_at", "is missing")
        text = "\n\n".join(filter(None, (item.line("subject"), item.text("body"))))
        fact = MessageSent(
            channel="email",
            message_id=f"greenhouse:{self._id(item, candidate)}",
            sent_at=at,
            text=text,
        )
        item.take("id")
        return [self._fact("person.message_sent", self._person(candidate), fact)]

    def _end_of_job(self, job: Node) -> list[Step]:
        """After all who applied for it: nobody applies for one that is over."""
        at = job.at("closed_at")
        if job.raw.get("status") != "closed" or at is None:
            return []
        order, openings = self._order(job.id("id")), job.nodes("openings")
        if openings and all(opening.raw.get("application_id") for opening in openings):
            fact: JobOrderSteps = JobOrderFilled(job_order_id=order, filled_at=at)
        else:
            fact = JobOrderCancelled(job_order_id=order, cancelled_at=at, reason="closed")
        return [self._fact("company.job_order_stepped", self.company_id, fact)]

    def homeless(self) -> Iterator[Homeless]:
        """Every value that is in no fact, in the order of the files; when all is planned."""
        yield from self.found.homeless
        for nodes in self.found.records.values():
            for node in nodes:
                yield from (Homeless(path, why) for path, why in node.left.items())


def company_id(hash: Hash, company: str) -> UUID:
    """The same in capitals or not."""
    return made_id(hash, NAME, "company", folded(company))


# --- all of it ------------------------------------------------------------------------------


async def import_folder(
    ledger: Ledger,
    folder: Folder,
    *,
    company: str,
    codes: Sequence[str] = (),
    dry_run: bool = False,
    on_row: Callable[[RowReport], None] | None = None,
    on_homeless: Callable[[Homeless], None] | None = None,
) -> FolderReport:
    """``company``: whose jobs these are, the name of one to be added or the id of one that is
    there. ``codes``: tags, sources and reasons that are the agency's own words, and no free text:
    they become codes, which are in clear.

    Raises ImportFault when nothing can be used, NoSuchRecord, Unavailable; what was written before
    stays, and the same call goes on from there."""
    started = time.monotonic()
    report = FolderReport(mapping=NAME, dry_run=dry_run)
    plan = await _planned(ledger, records_in(folder), company.strip(), codes)
    rows = plan.make()
    fields: dict[tuple[str, str], Missing] = {}
    for homeless in plan.homeless():
        _count(fields, homeless)
        if on_homeless:
            on_homeless(homeless)
    report.homeless = list(fields.values())[:LISTED]
    report.unnamed = len(fields) - len(report.homeless)
    writer = Writer(ledger, NAME, report)
    for start in range(0, len(rows), importing.CHUNK_ROWS):
        chunk = rows[start : start + importing.CHUNK_ROWS]
        await writer.decide(chunk)
        writer.remember(chunk)
        if not await writer.write():
            await writer.write_again(chunk)
        note(report, chunk, on_row)
    report.duration_s = round(time.monotonic() - started, 3)
    return report


async def _planned(ledger: Ledger, found: Found, company: str, codes: Sequence[str]) -> Plan:
    """Raises ImportFault, NoSuchRecord."""
    try:
        msgspec.convert(company, Title)
    except msgspec.ValidationError:
        raise ImportFault(
            "say whose jobs these are: --company, with the name of a company or the id of one here"
        ) from None
    hash = ledger.store.keyring.hash_of
    id, pipeline = company_id(hash, company), None
    try:
        await ledger.get(Company, id)
    except NoSuchRecord:
        if company.casefold() == str(id):
            raise
    with suppress(NoSuchRecord):
        pipeline = await ledger.get(Pipeline, pipeline_id(NAME))
    return Plan(found, hash, company, pipeline=pipeline, codes=codes)


def _count(fields: dict[tuple[str, str], Missing], homeless: Homeless) -> None:
    field = re.sub(r"\[\d+\]", "[]", homeless.path), homeless.reason
    if known := fields.get(field):
        known.times += 1
    else:
        fields[field] = Missing(homeless.path, homeless.reason)
