"""Import of Greenhouse's JSON: the real examples of its API, and a small agency of our own."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ledger_crm.commands import greenhouse
from ledger_crm.commands.greenhouse import FolderReport, Plan, company_id, import_folder
from ledger_crm.commands.greenhouse_shapes import (
    RECORDS,
    Folder,
    Homeless,
    read_folder,
    records_in,
)
from ledger_crm.commands.importing import RowReport
from ledger_crm.commands.mapping import ImportFault
from ledger_crm.domain.application import Applied, ScreeningAnswered
from ledger_crm.domain.candidacy import CandidacyClosed, CandidacyMoved
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Actor, Event
from ledger_crm.domain.identity import PersonTagged
from ledger_crm.domain.interaction import MessageSent, NoteWritten
from ledger_crm.domain.joborder import JobOrderCancelled, JobOrderOpened, ScreeningSet
from ledger_crm.domain.permission import DoNotContactSet
from ledger_crm.domain.person import ContactPointAdded, PersonSourced
from ledger_crm.domain.pipeline import Pipeline, PipelineDefined, pipeline_id
from ledger_crm.domain.screening import Question
from ledger_crm.ledger import Intent, Ledger, NoSuchRecord, Work
from scenario import KEYRING

pytestmark = pytest.mark.anyio


def candidate(id: int = 1, **changes: Any) -> dict[str, Any]:
    fields = {
        "id": id,
        "first_name": "Ada",
        "last_name": f"Byron {id}",
        "title": "Programmer",
        "company": "Engines",
        "created_at": "2017-08-15T03:31:46.591Z",
        "updated_at": "2017-09-28T12:29:30.497Z",
        "email_addresses": [
            {"value": f"ada{id}@example.org", "type": "work"},
            {"value": f"ada{id}@home.example"},
        ],
        "can_email": True,
        "is_private": False,
    }
    return fields | changes


def application(id: int = 11, who: int = 1, **changes: Any) -> dict[str, Any]:
    fields = {
        "id": id,
        "candidate_id": who,
        "prospect": False,
        "applied_at": "2017-09-01T10:00:00Z",
        "last_activity_at": "2017-09-03T10:00:00Z",
        "source": {"id": 16, "public_name": "LinkedIn (Ad)"},
        "jobs": [{"id": 7, "name": "Engineer"}],
        "status": "active",
        "current_stage": {"id": 5, "name": "Phone Screen"},
        "answers": [{"question": "Why us?", "answer": "For the engines"}],
    }
    return fields | changes


JOB = {
    "id": 7,
    "name": "Engineer",
    "requisition_id": 44,
    "confidential": False,
    "status": "open",
    "opened_at": "2017-08-01T10:00:00Z",
    "offices": [{"id": 3, "name": "UK", "location": {"name": "London"}}],
    "openings": [{"id": 1, "status": "open"}, {"id": 2, "status": "open"}],
    "custom_fields": {"salary_range": {"min_value": 70000, "max_value": 90000, "unit": "GBP"}},
}
REJECTED = application(
    12, 2, status="rejected", rejected_at="2017-09-05T10:00:00Z", current_stage=None,
    rejection_reason={"id": 8, "name": "Too senior", "type": {"id": 1, "name": "We rejected them"}},
)  # fmt: skip
FEED = {
    "candidate_id": 1,
    "notes": [{"id": 91, "created_at": "2017-09-02T10:00:00Z", "body": "Very mysterious."}],
    "emails": [
        {
            "id": 92,
            "created_at": "2017-09-02T11:00:00Z",
            "subject": "Hello",
            "body": "Are you there?",
        },
    ],
    "activities": [],
}
STORY: dict[str, Any] = {
    "jobs": [JOB],
    "candidates": [candidate(1), candidate(2)],
    "applications": [application(), REJECTED],
    "activity_feed": FEED,
}


async def test_the_examples_of_the_api_go_in_and_what_has_no_home_is_told_by_its_path(
    ledger: Ledger, shared_data: Path
) -> None:
    paths: list[str] = []
    rows: list[RowReport] = []

    def heard(line: RowReport | Homeless) -> None:
        paths.append(line.path) if isinstance(line, Homeless) else rows.append(line)

    report = await take(ledger, shared_data / "greenhouse", on_homeless=heard, on_row=heard)

    assert report.imported > 10
    facts = await events(ledger)
    locke = next(f for f in facts if isinstance(f, PersonSourced) and "Tustin" in f.headline)
    assert (locke.name, locke.headline) == (
        "John Locke", "Customer Success Representative, The Tustin Box Company",
    )  # fmt: skip
    assert locke.address == "123 City Street\nNew York, Ny 10001"
    reasons = [f.reason for f in facts if isinstance(f, CandidacyClosed)]
    assert "hired_another_candidate" in reasons
    assert "I heard you're awesome!" not in {getattr(f, "text", "") for f in facts}, "of nobody"
    titles = {f.title: f for f in facts if isinstance(f, JobOrderOpened)}
    assert titles["Archaeologist"].openings == 4
    assert titles["Archaeologist"].requisition == "abc123"
    assert (titles["Archaeologist"].salary_to_cents, titles["Archaeologist"].currency) == (
        9_000_000, "USD",
    )  # fmt: skip
    assert "DevOps Engineer" in titles, "known by an application only"
    assert {
        "candidates[0].json.custom_fields.desired_salary",
        "candidates[0].json.employments[0].company_name",
        "candidates[0].json.attachments[0].url",
        "candidates[0].json.phone_numbers[0].value",  # without a country it is no number
        "applications[3].json",  # what a DELETE answers
        "jobs[0].json.notes",
        "rejection_reasons[0].json.name",
        "activity_feed[0].json.notes[0].body",
    } <= set(paths)
    refused = {row.path: row.reason for row in rows if row.outcome == "refused"}
    assert "nothing in the ledger" in refused["applications[0].json"], "of a candidate not in here"
    assert "nothing in the ledger" in refused["offers[0].json"]
    told = json.dumps([paths, [row.reason for row in rows]])
    for personal in ("Locke", "Tustin", "555", "test@", "1000000000", "mysterious"):
        assert personal not in told

    head = await ledger.head()
    again = await take(ledger, shared_data / "greenhouse")
    assert (again.imported, again.facts, await ledger.head()) == (0, 0, head)


REPEATED = {
    "application_ids",  # the applications name their candidate
    "priority",  # tells the order of stages, of which there is one here
    "ratings",  # the attributes of a scorecard again
}
"""What may change without a fact's changing."""


@pytest.mark.parametrize("noun", sorted(RECORDS))
def test_no_value_gets_lost(shared_data: Path, noun: str) -> None:
    """Each is told of by its path, or something comes of it: it would be another plan, were it
    another value."""
    records = records_in(read_folder(shared_data / "greenhouse")).records[noun]
    assert records
    looked_at = 0
    for record in records[:4]:
        plain = planned(noun, record.raw)
        for keys in leaves(record.raw):
            name = ".".join(key for key in keys if isinstance(key, str))
            if any(f".{name}.".find(f".{known}.") >= 0 for known in REPEATED):
                continue
            looked_at += 1
            told = noun + "[0]" + "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in keys)
            if told not in plain[1]:
                assert planned(noun, changed(record.raw, keys)) != plain, told
    assert looked_at


def planned(noun: str, raw: Any) -> tuple[list[Any], set[str]]:
    found = records_in(Folder({noun: [raw]}))
    plan = Plan(found, KEYRING.hash_of, "Acme", pipeline=None)
    rows = [(r.report.outcome, r.report.column, r.planned and r.planned[:2]) for r in plan.make()]
    return rows, {homeless.path for homeless in plan.homeless()}


def leaves(value: Any, *keys: str | int) -> Iterator[tuple[str | int, ...]]:
    match value:
        case dict():
            for key, each in value.items():
                yield from leaves(each, *keys, key)
        case list():
            for n, each in enumerate(value):
                yield from leaves(each, *keys, n)
        case _ if value not in (None, ""):
            yield keys


def changed(raw: Any, keys: tuple[str | int, ...]) -> Any:
    """A copy with another value there, of the same kind."""
    raw = json.loads(json.dumps(raw))
    *above, last = keys
    at = raw
    for key in above:
        at = at[key]
    value = at[last]
    match value:
        case bool():
            at[last] = not value
        case int():
            at[last] = value + 1
        case str() if re.match(r"\d{4}-\d\d-\d\dT", value):
            at[last] = "2001" + value[4:]
        case str():
            at[last] = f"other {value}" if not value.startswith("+") else "+442079460958"
    return raw


async def test_candidates_jobs_and_applications_become_our_facts(
    ledger: Ledger, tmp_path: Path
) -> None:
    report = await take(ledger, folder(tmp_path, STORY), codes=["linkedin (ad)"])

    assert (report.refused, report.changed) == (0, 0)
    facts = await events(ledger)
    [defined] = [f for f in facts if isinstance(f, PipelineDefined)]
    assert [s.id for s in defined.stages][:3] == ["applied", "phone_screen", "submitted"]
    [job] = [f for f in facts if isinstance(f, JobOrderOpened)]
    assert (job.location, job.requisition, job.openings) == ("London", "44", 2)
    assert (job.salary_from_cents, job.salary_to_cents, job.currency) == (
        7_000_000, 9_000_000, "GBP",
    )  # fmt: skip
    [asked] = [f for f in facts if isinstance(f, ScreeningSet)]
    assert [(q.id, q.asked) for q in asked.questions] == [("why_us", "Why us?")]
    applied = [f for f in facts if isinstance(f, Applied)]
    assert [(f.channel, f.source) for f in applied] == [("linkedin", "linkedin_ad")] * 2
    assert [f.text for f in facts if isinstance(f, ScreeningAnswered)] == ["For the engines"] * 2
    assert [f.stage for f in facts if isinstance(f, CandidacyMoved)] == ["phone_screen"]
    [no] = [f for f in facts if isinstance(f, CandidacyClosed)]
    assert (no.reason, no.stage, no.decided_by) == ("too_senior", "rejected_by_us", "us")
    assert no.closed_at.isoformat() == "2017-09-05T10:00:00+00:00", "dates are kept"
    assert [f.text for f in facts if isinstance(f, NoteWritten)] == ["Very mysterious."]
    assert [f.text for f in facts if isinstance(f, MessageSent)] == ["Hello\n\nAre you there?"]
    assert sum(isinstance(f, ContactPointAdded) for f in facts) == 4


async def test_what_somebody_typed_is_sealed_unless_the_agency_names_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A code is in clear in the events and on the feed, and erasing a person leaves it there."""
    typed = ["Depressed; ask Tom Jones", "Top  Talent"]
    reason = {"id": 9, "name": "Tom Jones said, no", "type": {"id": 1, "name": "We rejected them"}}
    story = STORY | {
        "candidates": [candidate(1, tags=typed), candidate(2)],
        "applications": [
            application(source={"id": 4, "public_name": "Jane Doe, my sister"}),
            REJECTED | {"rejection_reason": reason},
        ],
    }

    report = await take(ledger, folder(tmp_path, story), codes=["top talent"])

    assert (report.refused, report.changed) == (0, 0)
    facts = await events(ledger)
    assert [f.tag for f in facts if isinstance(f, PersonTagged)] == ["top_talent"]
    assert "Tags in Greenhouse:\nDepressed; ask Tom Jones" in [
        f.text for f in facts if isinstance(f, NoteWritten)
    ]
    first = next(f for f in facts if isinstance(f, Applied))
    assert (first.source, first.text) == ("", "Source in Greenhouse: Jane Doe, my sister")
    [no] = [f for f in facts if isinstance(f, CandidacyClosed)]
    assert (no.reason, no.text) == ("told_in_text", "Tom Jones said, no, We rejected them")


async def test_whom_greenhouse_may_not_write_to_we_do_not_write_to(
    ledger: Ledger, tmp_path: Path
) -> None:
    late = dict(FEED["emails"][0], id=93, created_at="2017-10-01T10:00:00Z")  # type: ignore[index]
    story = STORY | {
        "candidates": [candidate(1, can_email=False), candidate(2)],
        "activity_feed": FEED | {"emails": [*FEED["emails"], late]},  # type: ignore[misc]
    }

    report = await take(ledger, folder(tmp_path, story))

    facts = await events(ledger)
    assert sum(isinstance(f, DoNotContactSet) for f in facts) == 1
    assert sum(isinstance(f, MessageSent) for f in facts) == 1, "the one before they said so"
    [row] = report.listed
    assert row.path == "activity_feed.emails[1]"
    assert "not to be contacted" in row.reason
    assert row.type == "/problems/do-not-contact"


async def test_a_dry_run_says_the_same_and_writes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    path = folder(tmp_path, STORY | {"offers": [{"id": 5, "application_id": 1, "candidate_id": 9}]})
    tried = await take(ledger, path, dry_run=True)
    assert await ledger.head() == 0
    done = await take(ledger, path)
    assert counts(tried) == counts(done)
    assert (tried.facts, tried.homeless) == (done.facts, done.homeless)
    assert done.refused == 1


async def test_more_of_the_same_agency_adds_and_changes_nothing_that_is_in(
    ledger: Ledger, tmp_path: Path
) -> None:
    await take(ledger, folder(tmp_path / "one", STORY))
    asked = [{"question": "May you work here?", "answer": "Yes"}]
    third = application(13, 3, answers=asked, current_stage={"id": 6, "name": "Take Home Test"})
    more = STORY | {
        "jobs": [JOB | {"status": "closed", "closed_at": "2018-01-01T10:00:00Z"}],
        "candidates": [candidate(1, title="Countess"), candidate(2), candidate(3)],
        "applications": [third],  # nobody in it is asked again what the first ones were
    }

    report = await take(ledger, folder(tmp_path / "two", more))

    assert [(row.path, row.outcome) for row in report.listed] == [("candidates[0]", "changed")]
    facts = await events(ledger)
    stages = [f for f in facts if isinstance(f, PipelineDefined)][-1].stages
    assert [s.id for s in stages][:4] == ["applied", "phone_screen", "take_home_test", "submitted"]
    asked_last = [f for f in facts if isinstance(f, ScreeningSet)][-1].questions
    assert [q.id for q in asked_last] == ["why_us", "may_you_work_here"]
    assert isinstance(facts[-1], JobOrderCancelled)
    head = await ledger.head()
    assert (await take(ledger, folder(tmp_path / "two", more))).facts == 0
    assert await ledger.head() == head


async def test_a_stage_that_got_another_label_here_is_still_known(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Else a second run adds it again, and finds every application in it changed."""
    path = folder(tmp_path, STORY)
    await take(ledger, path)
    await revise(ledger, "phone_screen", label="First call")
    head = await ledger.head()

    again = await take(ledger, path)

    assert (again.facts, again.changed, await ledger.head()) == (0, 0, head)


async def test_who_applied_in_a_stage_that_is_retired_here_comes_in_and_is_told_of(
    ledger: Ledger, tmp_path: Path
) -> None:
    await take(ledger, folder(tmp_path / "one", STORY))
    await revise(ledger, "phone_screen", retired=True)
    await revise(ledger, "rejected_by_us", retired=True)
    no = REJECTED | {"id": 14, "candidate_id": 4}
    more = {
        "jobs": [JOB],
        "candidates": [candidate(3), candidate(4)],
        "applications": [application(), application(13, 3), no],
    }

    report = await take(ledger, folder(tmp_path / "two", more))

    assert [row.path for row in report.listed] == ["applications[2]"], "there is no other exit"
    assert report.changed == 0
    assert sum(isinstance(f, Applied) for f in await events(ledger)) == 3
    assert "applications[].current_stage.name" in {
        re.sub(r"\d+", "", each.path) for each in report.homeless
    }


@pytest.mark.parametrize(
    "name", ["Applied", "Hired", "Withdrawn", "Phone-Screen", "4. Call", "面接"]
)
async def test_every_name_is_that_of_a_stage_one_may_be_in(
    ledger: Ledger, tmp_path: Path, name: str
) -> None:
    both = [application(current_stage={"name": name}), application(12, 2)]
    report = await take(ledger, folder(tmp_path, STORY | {"applications": both}))
    assert report.refused == 0
    [defined] = [f for f in await events(ledger) if isinstance(f, PipelineDefined)]
    assert len(defined.stages) == 6 + (name != "Applied")


async def test_what_the_agency_changed_while_an_import_was_planned_stays(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that holds all stages, or all questions, as they were would undo it."""
    await take(ledger, folder(tmp_path / "one", STORY))
    planned, why = greenhouse._planned, Question(id="why_us", asked="Why us?")
    ours = Question(id="notice", asked="How long is your notice?")

    async def planned_meanwhile(*args: Any) -> Any:
        plan = await planned(*args)
        await revise(ledger, "phone_screen", label="First call")
        await ask(ledger, why, ours)
        return plan

    monkeypatch.setattr(greenhouse, "_planned", planned_meanwhile)
    asked = [{"question": "May you work here?", "answer": "Yes"}]
    third = application(13, 3, answers=asked, current_stage={"id": 6, "name": "Take Home Test"})
    more = {"jobs": [JOB], "candidates": [candidate(3)], "applications": [third]}

    report = await take(ledger, folder(tmp_path / "two", more))

    assert (report.refused, report.changed) == (0, 0)
    facts = await events(ledger)
    stages = [f for f in facts if isinstance(f, PipelineDefined)][-1].stages
    assert [s.label for s in stages][:4] == [
        "Applied", "First call", "Take Home Test", "Submitted to client",
    ]  # fmt: skip
    questions = [f for f in facts if isinstance(f, ScreeningSet)][-1].questions
    assert [q.id for q in questions] == ["why_us", "notice", "may_you_work_here"]


async def test_an_answer_to_what_is_no_longer_asked_here_is_in_the_text(
    ledger: Ledger, tmp_path: Path
) -> None:
    await take(ledger, folder(tmp_path / "one", STORY))
    await ask(ledger)
    more = {"jobs": [JOB], "candidates": [candidate(3)], "applications": [application(13, 3)]}

    report = await take(ledger, folder(tmp_path / "two", more))

    assert (report.refused, report.changed) == (0, 0)
    last = [f for f in await events(ledger) if isinstance(f, Applied)][-1]
    assert last.text.splitlines()[-1] == "Why us? For the engines"


async def test_what_was_refused_for_a_job_goes_in_when_it_is_mended_though_the_job_is_closed(
    ledger: Ledger, tmp_path: Path
) -> None:
    closed = {"jobs": [JOB | {"status": "closed", "closed_at": "2018-01-01T10:00:00Z"}]}
    broken = application(answers="Zyxw")
    await take(ledger, folder(tmp_path / "one", STORY | closed | {"applications": [broken]}))

    report = await take(ledger, folder(tmp_path / "two", STORY | closed))

    assert (report.refused, report.changed) == (0, 0)
    facts = await events(ledger)
    assert sum(isinstance(f, Applied) for f in facts) == 2
    assert sum(isinstance(f, JobOrderCancelled) for f in facts) == 1, "it stays closed"
    assert {f.text for f in facts if isinstance(f, Applied)} == {
        "Source in Greenhouse: LinkedIn (Ad)\nWhy us? For the engines"
    }, "nobody can be asked any longer"


async def test_what_is_required_here_now_was_not_asked_of_those_who_applied_in_greenhouse(
    ledger: Ledger, tmp_path: Path
) -> None:
    await take(ledger, folder(tmp_path / "one", STORY))
    must = Question(id="visa", asked="May you work here?", required=True)
    await ask(ledger, must, Question(id="why_us", asked="Why us?"))
    more = {"jobs": [JOB], "candidates": [candidate(3)], "applications": [application(13, 3)]}

    report = await take(ledger, folder(tmp_path / "two", more))

    assert (report.refused, report.changed) == (0, 0)


async def test_notes_without_an_id_are_known_by_what_they_say(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Else only the first of them goes in."""
    said = [{"created_at": "2017-09-02T10:00:00Z", "body": body} for body in ("One", "Two")]
    feed = [FEED | {"candidate_id": who, "notes": said, "emails": said} for who in (1, 2)]
    path = folder(tmp_path, STORY | {"activity_feed": feed})

    report = await take(ledger, path)

    assert (report.refused, report.changed) == (0, 0)
    facts = await events(ledger)
    assert [f.text for f in facts if isinstance(f, NoteWritten)] == ["One", "Two"] * 2
    assert [f.text for f in facts if isinstance(f, MessageSent)] == ["One", "Two"] * 2
    assert (await take(ledger, path)).facts == 0


@pytest.mark.parametrize(
    ("noun", "record", "column"),
    [
        ("jobs", JOB | {"id": None}, "jobs[0].id"),
        ("candidates", candidate() | {"id": None}, "candidates[0].id"),
        ("applications", application() | {"id": None}, "applications[0].id"),
        ("applications", application(candidate_id=""), "applications[0].candidate_id"),
        ("applications", application(jobs=[{"name": "Engineer"}]), "applications[0].jobs[0].id"),
    ],
)
async def test_what_others_name_by_its_id_is_refused_without(
    ledger: Ledger, tmp_path: Path, noun: str, record: dict[str, Any], column: str
) -> None:
    report = await take(ledger, folder(tmp_path, {noun: [record]}))
    assert [(row.column, row.outcome) for row in report.listed] == [(column, "refused")]


async def test_who_applied_again_is_taken_in_the_order_of_days_whatever_that_of_the_file(
    ledger: Ledger, tmp_path: Path
) -> None:
    again = application(13, 2, applied_at="2018-09-01T10:00:00Z", answers=[])

    report = await take(ledger, folder(tmp_path, STORY | {"applications": [again, REJECTED]}))

    assert report.refused == 0
    at = [f.applied_at.year for f in await events(ledger) if isinstance(f, Applied)]
    assert at == [2017, 2018]


async def test_a_company_in_other_letters_is_the_same(ledger: Ledger, tmp_path: Path) -> None:
    path = folder(tmp_path, STORY)
    await take(ledger, path, company="Acme Ltd")
    head = await ledger.head()

    again = await take(ledger, path, company=" acme  LTD")

    assert (again.facts, again.changed, again.refused, await ledger.head()) == (0, 0, 0, head)


async def test_of_more_stages_than_a_pipeline_has_the_rarest_stand_as_another_of_their_category(
    ledger: Ledger, tmp_path: Path
) -> None:
    words = [f"{a} {b}" for a in ("Screen", "Check", "Call") for b in "abcdefghijklmnopqrstuvwxyz"]
    names = [*words, "Offer made", "Screen z"]
    story = {
        "jobs": [JOB],
        "job_stages": [{"id": n, "name": name, "job_id": 7} for n, name in enumerate(names)],
        "candidates": [candidate(n) for n, _ in enumerate(names, 1)],
        "applications": [
            application(n, n, current_stage={"id": n, "name": name}, answers=[])
            for n, name in enumerate(names, 1)
        ],
    }
    path, told = folder(tmp_path, story), list[str]()

    report = await take(ledger, path, on_homeless=lambda each: told.append(each.path))

    assert (report.refused, report.changed) == (0, 0)
    facts = await events(ledger)
    [defined] = [f for f in facts if isinstance(f, PipelineDefined)]
    ids = {stage.id for stage in defined.stages}
    assert len(ids) == 60
    assert {"offer_made", "screen_z"} <= ids, "the only one of its category, and one used twice"
    assert sum(isinstance(f, CandidacyMoved) for f in facts) == len(names)
    assert len([each for each in told if each.endswith("current_stage.name")]) == len(words) - 54
    assert len([each for each in told if each.startswith("job_stages") and "name" in each]) == 24
    again = await take(ledger, path)
    assert (again.facts, again.changed, again.refused) == (0, 0, 0)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from ledger_crm.commands import greenhouse, greenhouse_shapes, importing
from ledger_crm.ledger import Ledger
from ledger_crm.sealing import Keyring
importing.CHUNK_ROWS, at = 3, 0
def on_row(row):
    global at
    at += 1
    if at == 9: os.kill(os.getpid(), signal.SIGKILL)
with Ledger(sys.argv[1], Keyring(b"k" * 32)) as ledger:
    folder = greenhouse_shapes.read_folder(Path(sys.argv[2]))
    asyncio.run(greenhouse.import_folder(ledger, folder, company="Acme", on_row=on_row))
"""


async def test_killed_in_the_middle_and_run_again_it_ends_the_same(
    databases: Any, tmp_path: Path
) -> None:
    people = {"candidates": [candidate(n) for n in range(1, 10)]}
    path, url, other = folder(tmp_path, STORY | people), databases(), databases()
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED, url, str(path)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    with Ledger(url, KEYRING) as killed, Ledger(other, KEYRING) as whole:
        before = await killed.head()
        await take(killed, path)
        await take(whole, path)
        assert 0 < before < await killed.head()
        assert await events(killed) == await events(whole)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("candidates.json", b'[{"id": 1, "first_name": "Zyxw', "is not JSON"),
        ("candidates.json", b"\xff\xfe", "is not JSON"),
        ("candidates.json", b"[" * 100_000, "is not JSON"),
        ("candidates.json", b'"Zyxw"', "neither a record nor a list"),
        ("people.json", b"[]", "is none of"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImportFault, match=says) as fault:
        read_folder(tmp_path)
    assert name in str(fault.value)
    assert "\n" not in str(fault.value)
    assert "Zyxw" not in str(fault.value)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match="no JSON file"):
        read_folder(tmp_path)
    with pytest.raises(ImportFault, match="cannot be read"):
        read_folder(tmp_path / "none")


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"first_name": None, "last_name": ""}, "candidates[0].first_name"),
        ({"first_name": ["Zyxw"]}, "candidates[0].first_name"),
        ({"created_at": "Zyxw"}, "candidates[0].created_at"),
        ({"created_at": "2017-08-15T03:31:46"}, "candidates[0].created_at"),
        ({"email_addresses": "Zyxw"}, "candidates[0].email_addresses"),
        ({"email_addresses": ["Zyxw"]}, "candidates[0].email_addresses[0]"),
        ({"applications": {"Zyxw": 1}}, ""),
        ({"tags": "Zyxw"}, "candidates[0].tags"),
        ({"can_email": "Zyxw"}, "candidates[0].can_email"),
        ({"title": "Zyxw" * 9000}, "candidates[0].title"),
    ],
    ids=str,
)
async def test_a_record_that_is_not_of_its_shape_is_refused_and_the_rest_goes_in(
    ledger: Ledger, tmp_path: Path, changes: dict[str, Any], column: str
) -> None:
    story = {"candidates": [candidate(1, **changes), candidate(2)]}

    report = await take(ledger, folder(tmp_path, story))

    if column:
        [row] = report.listed
        assert (row.path, row.column, row.outcome) == ("candidates[0]", column, "refused")
        assert "Zyxw" not in row.reason
        told = {each.path for each in report.homeless}
        assert not [path for path in told if path.startswith("candidates[0]")], "it is told whole"
    else:  # one that nobody asks for is told of
        assert "candidates[0].applications.Zyxw" in {each.path for each in report.homeless}
    sourced = [f.name for f in await events(ledger) if isinstance(f, PersonSourced)]
    assert sourced[-1] == "Ada Byron 2"


async def test_an_address_that_is_none_is_told_of_and_one_that_another_has_refuses(
    ledger: Ledger, tmp_path: Path
) -> None:
    story = {
        "candidates": [
            candidate(1, phone_numbers=[{"value": "555-1234"}, {"value": "+44 20 7946 0958"}]),
            candidate(2, email_addresses=[{"value": "ADA1@example.org"}]),
        ]
    }

    report = await take(ledger, folder(tmp_path, story))

    [row] = report.listed
    assert row.column == "candidates[1].email_addresses[0].value"
    missing = {each.path: each.reason for each in report.homeless}
    assert "country code" in missing["candidates[0].phone_numbers[0].value"]


async def test_a_company_that_is_there_can_be_named_by_its_id(
    ledger: Ledger, tmp_path: Path
) -> None:
    from ledger_crm.commands.intake import add_company
    from ledger_crm.domain.company import CompanyAdded

    path = folder(tmp_path, STORY)

    async def adding(work: Work) -> Any:
        return await add_company(work, CompanyAdded(name="Acme"), id=UUID(int=0xC1))

    with pytest.raises(NoSuchRecord):
        await take(ledger, path, company=str(UUID(int=0xC1)))
    await ledger.decide(adding, intent=Intent(by=Actor("consultant:ana")))
    report = await take(ledger, path, company=str(UUID(int=0xC1)))
    assert report.refused == 0
    with pytest.raises(ImportFault, match="--company"):
        await take(ledger, path, company=" ")


# helpers


def folder(path: Path, story: dict[str, Any]) -> Path:
    path.mkdir(exist_ok=True)
    for noun, records in story.items():
        (path / f"{noun}.json").write_text(json.dumps(records))
    return path


async def take(ledger: Ledger, path: Path, *, company: str = "Acme", **how: Any) -> FolderReport:
    return await import_folder(ledger, read_folder(path), company=company, **how)


async def events(ledger: Ledger) -> list[Event]:
    return [entry.event for entry in await ledger.entries(after=0, limit=10_000)]


def counts(report: FolderReport) -> dict[str, int]:
    names = ("read", "imported", "already", "changed", "refused", "skipped")
    return {name: getattr(report, name) for name in names}


async def revise(ledger: Ledger, stage: str, **changes: Any) -> None:
    """The agency changes a stage here."""

    async def revising(work: Work) -> Pipeline:
        pipeline = await work.get(Pipeline, pipeline_id("greenhouse"))
        stages = tuple(
            msgspec.structs.replace(each, **changes) if each.id == stage else each
            for each in pipeline.stages
        )
        definition = msgspec.structs.replace(pipeline.definition, stages=stages)
        pipeline.revise(definition, by=work.by)
        return pipeline

    await ledger.decide(revising, intent=Intent(by=Actor("consultant:ana")))


async def ask(ledger: Ledger, *questions: Question) -> None:
    """The agency says what the job order asks."""

    async def asking(work: Work) -> Company:
        company = await work.get(Company, company_id(KEYRING.hash_of, "Acme"))
        [id] = company.job_orders
        at = datetime(2018, 1, 1, tzinfo=UTC)
        company.step(ScreeningSet(job_order_id=id, set_at=at, questions=questions), by=work.by)
        return company

    await ledger.decide(asking, intent=Intent(by=Actor("consultant:ana")))
