"""Properties of the code itself and of what it leaves lying about: who imports whom, one clock, and
nothing personal in a log, on a screen, in a refusal or on the broker."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

import ledger_crm
from ledger_crm import embedded, settings
from ledger_crm.cli.house import app_url
from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import kind, sealed_fields
from ledger_crm.domain.invoice import instalment_id
from ledger_crm.ledger import Ledger
from ledger_crm.sealing import Keyring
from running import Running, printed, running
from running import ledger_crm as command
from waiting import PATIENCE_S, until

SOURCE = Path(ledger_crm.__file__).parent
ROOT = SOURCE.parents[1]
MODULES = sorted(SOURCE.rglob("*.py"))


# the code


def test_rooms_import_as_the_design_says() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ kept, 0 broken", done.stdout)


@cache
def calls(module: Path) -> list[tuple[str, int]]:
    """Dotted name and line of everything that a module calls or hands on."""
    return list(_calls(module))


def _calls(module: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node), node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno
        elif isinstance(node, ast.keyword) and node.arg == "exc_info":
            yield "exc_info", node.value.lineno


def found(pattern: str, *, outside: tuple[str, ...] = ()) -> list[str]:
    names = [(module.relative_to(SOURCE).as_posix(), module) for module in MODULES]
    return [
        f"{name}:{line} {called}"
        for name, module in names
        if not name.startswith(outside)
        for called, line in calls(module)
        if re.fullmatch(pattern, called)
    ]


CLOCKS = r"(datetime\.)?(datetime|date)\.(now|utcnow|today)|time\.(time|time_ns|localtime|gmtime)"


def test_nobody_asks_for_the_time_but_the_clock() -> None:
    assert found(CLOCKS, outside=("domain/clock.py",)) == []
    assert found(CLOCKS), "this test can fail"


def test_only_the_command_line_prints() -> None:
    assert found("print|pprint", outside=("cli/",)) == []


def test_no_exception_is_logged_whole() -> None:
    """Its text and its locals may hold what a row holds."""
    assert found(r"log\.exception|exc_info|traceback\.(print|format)_\w+") == []


def test_settings_are_read_from_the_environment_in_one_place() -> None:
    """One that is read elsewhere is documented nowhere. The others hand it on to children."""
    read = found(r"os\.environ(\.\w+)?|os\.getenv", outside=("cli/", "embedded.py", "settings.py"))
    assert read == []


# what it leaves lying about

group = pytest.mark.xdist_group("house")


class Marks:
    """Words that stand in for personal data, each of its own, so that a find tells where from."""

    def __init__(self) -> None:
        self.numbers, self.made = count(1), list[str]()

    def __call__(self) -> str:
        self.made.append(f"Zyxw{next(self.numbers):03}q")
        return self.made[-1]

    def day(self) -> str:
        self.made.append(f"1931-07-{next(self.numbers) % 28 + 1:02}")
        return self.made[-1]

    def leaked(self, text: str) -> list[str]:
        return [mark for mark in self.made if mark.casefold() in text.casefold()]


AT = "2026-03-02T12:00:00Z"
STAGES = ("screening", "withdrawn", "screening")


def written(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def every_sealed_field(api: httpx.Client, mark: Marks) -> tuple[str, str]:
    """A story with a mark in each; an e-mail address and the person that it is of."""
    email = f"{mark()}@example.org"
    ada = written(
        api, "/people", name=f"{mark()} Byron", origin=mark(), headline=mark(), address=mark(),
        born_on=mark.day(), email=email, profile_url=f"https://example.org/in/{mark()}",
    )["id"]  # fmt: skip
    company = f"/companies/{(acme := written(api, '/companies', name='Acme')['id'])}"
    written(
        api, f"/people/{ada}/profile-changes", name=f"{mark()} Byron", headline=mark(),
        address=mark(), location=mark(), skills=mark(), born_on=mark.day(),
    )  # fmt: skip
    point = {"point": "url", "value": f"https://example.org/in/{mark()}"}
    written(api, f"/people/{ada}/contact-points", **point)
    for kind_ in ("preferred", "removed"):
        fact = point | {"kind": f"person.contact_point_{kind_}"}
        written(api, f"/people/{ada}/contact-points/changes", **fact)
    said: list[dict[str, Any]] = [
        {"kind": "message_sent", "channel": "email", "sent_at": AT, "thread_id": mark()},
        {"kind": "message_replied", "channel": "email", "replied_at": AT, "thread_id": mark()},
        {"kind": "call_held", "started_at": AT, "duration_s": 60},
        {"kind": "note_written"},
        {"kind": "no_answer_needed", "said_at": AT},
        {"kind": "meeting_held", "started_at": AT, "place": mark()},
    ]
    tracked: list[dict[str, Any]] = [
        {"kind": "message_opened", "opened_at": AT},
        {"kind": "link_clicked", "clicked_at": AT, "url": mark()},
        {"kind": "message_bounced", "bounced_at": AT, "text": mark()},
    ]
    for one in tracked:
        body = {"channel": "email", "message_id": f"<{mark()}@x>"} | one
        body["kind"] = f"person.{one['kind']}"
        written(api, f"/people/{ada}/interactions", **body)
    api.put("/pools/speakers", json={"slug": "speakers", "title": "Speakers"})
    for kind_ in ("pooled", "unpooled"):
        fact = {"kind": f"person.{kind_}", "pool": "speakers", "text": mark()}
        written(api, f"/people/{ada}/pools", **fact)
    spring = {"slug": "spring", "title": "Spring", "steps": [{"channel": "email"}]}
    assert api.put("/campaigns/spring", json=spring).status_code == 200
    for kind_, field in (("enrolled", "override"), ("campaign_stopped", "text")):
        fact = {"kind": f"person.{kind_}", "campaign": "spring", field: mark()}
        written(api, f"/people/{ada}/campaigns", **fact)
    for who in ("ana", "dan"):
        written(api, "/consultants", consultant=f"consultant:{who}", name=f"{mark()} Dunn")
    for kind_, fact in (
        ("renamed", {"name": f"{mark()} Dunn"}),
        ("left", {"left_on": "2026-03-02", "text": mark()}),
        ("returned", {"returned_on": "2026-03-09", "text": mark()}),
    ):
        written(api, "/consultants/dan/changes", kind=f"consultant.{kind_}", **fact)
    content = base64.b64encode(mark().encode()).decode()
    cv = written(api, f"/people/{ada}/documents", name=mark(), content=content)["created"]
    fact = {"kind": "person.document_removed", "document_id": cv, "text": mark()}
    kept = written(api, f"/people/{ada}/documents", name=mark(), content=content[:8] + "AAAA")
    assert kept["created"] != cv
    written(api, f"/people/{ada}/documents/removals", **fact)
    terms = written(api, f"{company}/documents", name=mark(), content=content)["created"]
    fact = {"kind": "company.document_removed", "document_id": terms, "text": mark()}
    written(api, f"{company}/documents/removals", **fact)
    for stream, path in (("person", f"/people/{ada}"), ("company", company)):
        due = {"due_on": "2026-03-09", "text": mark()}
        owed = written(api, f"{path}/follow-ups", **due)["created"]
        for kind_, when in (("snoozed", {"until_on": "2099-01-01"}), ("done", {})):
            fact = {"kind": f"{stream}.follow_up_{kind_}", "follow_up_id": owed} | when
            written(api, f"{path}/follow-ups/changes", **fact, text=mark())
    written(api, f"{company}/interactions", kind="company.note_written", text=mark())
    call = {"kind": "company.call_held", "started_at": AT, "duration_s": 60, "text": mark()}
    written(api, f"{company}/interactions", **call)
    for path in (f"/people/{ada}", company):
        written(api, f"{path}/quiet-snoozes", until_on="2099-01-01", reason="leave", text=mark())
    for one in said:
        ids = {"message_id": f"<{mark()}@x>"} if "thread_id" in one else {}
        body = one | {"kind": f"person.{one['kind']}", "text": f"Dear {mark()}"} | ids
        if one["kind"] in ("message_sent", "call_held"):
            body |= {"override": mark()}
        written(api, f"/people/{ada}/interactions", **body)
    bo, bolt = (written(api, f"/{kind_}", name="Bo")["id"] for kind_ in ("people", "companies"))
    for stream, path in (("person", f"/people/{ada}"), ("company", company)):
        for kind_, when, way in (("received", "received_at", "by"), ("given", "given_at", "to")):
            fact = {"kind": f"{stream}.referral_{kind_}", f"{way}_person_id": bo, when: AT}
            fact |= {f"{way}_company_id": bolt, "fee_cents": 1}
            told = written(api, f"{path}/referrals", **fact, text=mark())["created"]
        fee = {"referral_id": told, "state": "due", "told_at": AT, "text": mark()}
        written(api, f"{path}/referrals/fees", **fee)
    vacancy = written(api, f"{company}/job-orders", title="Director", opened_at=AT)["created"]
    for kind_ in ("named", "dropped"):
        fact = {"kind": f"company.target_{kind_}", "job_order_id": vacancy, f"{kind_}_at": AT}
        written(api, f"{company}/job-orders/targets", **fact, target_id=bolt, text=mark())
    looked = {"company_id": acme, "job_order_id": vacancy, "researched_at": AT, "text": mark()}
    written(api, f"/people/{ada}/research", **looked)
    for kind_, when in (
        ("consent_given", "given_at"), ("consent_withdrawn", "withdrawn_at"),
        ("do_not_contact_set", "set_at"), ("do_not_contact_lifted", "lifted_at"),
    ):  # fmt: skip
        fact = {"kind": f"person.{kind_}", when: AT, "text": mark()}
        written(api, f"/people/{ada}/permissions", **fact)
    hold: dict[str, Any] = {"hold_id": vacancy}
    for kind_, when, more in (
        ("erasure_requested", "requested_at", {}),
        ("erasure_deferred", "deferred_at", {"until_on": "2099-01-01"}),
        ("legal_hold_placed", "placed_at", hold), ("legal_hold_released", "released_at", hold),
    ):  # fmt: skip
        fact = {"kind": f"person.{kind_}", when: AT, **more, "text": mark()}
        written(api, f"/people/{ada}/privacy", **fact)
    twin = written(api, "/people", name=f"{mark()} Lovelace")["id"]
    written(api, f"/people/{ada}/merges", duplicate_id=twin, text=mark())
    written(api, f"/people/{ada}/merges/{twin}/undo", text=mark())
    second = written(api, "/companies", name="Acme again")["id"]
    written(api, f"{company}/merges", duplicate_id=second, text=mark())
    written(api, f"{company}/merges/{second}/undo", text=mark())
    for kind_, when in (("off_limits_agreed", "agreed_at"), ("off_limits_lifted", "lifted_at")):
        fact = {"kind": f"company.{kind_}", when: AT, "text": mark()}
        written(api, f"{company}/off-limits", **fact)
    written(
        api, f"/people/{ada}/employments", company_id=acme, title=mark(), role="hiring_manager"
    )  # fmt: skip
    written(
        api, f"/people/{ada}/employments/ends", company_id=acme, ends_on="2027-01-01", text=mark()
    )
    terms = {"basis": "contingent", "currency": "EUR", "rate_bp": 2500}
    fees = f"{company}/fees"
    for when, path in (("amended_at", "amendments"), ("ended_at", "endings")):
        old = written(api, fees, **terms, agreed_at=AT, text=mark())["created"]
        again = terms if path == "amendments" else {}
        written(
            api, f"{fees}/{path}", agreement_id=old, **again, text=mark(),
            **{when: "2026-03-02T13:00:00Z"},
        )  # fmt: skip
    written(api, fees, **terms, agreed_at=AT, text=mark())
    order = written(api, f"{company}/job-orders", title="Engineer", opened_at=AT)["created"]
    elsewhere = written(api, f"{company}/job-orders", title="Pilot", opened_at=AT)["created"]
    for kind_, when in (("held", "held_at"), ("lost", "lost_at")):
        step = {"kind": f"company.job_order_{kind_}", "job_order_id": elsewhere, when: AT}
        written(api, f"{company}/job-orders/steps", **step, reason="budget", text=mark())
    at = f"/people/{ada}/candidacies"
    asked = [{"id": "why", "asked": "Why us?"}]
    questions = {"kind": "company.screening_set", "job_order_id": order, "set_at": AT}
    written(api, f"{company}/job-orders/steps", **questions, questions=asked)
    opened = written(api, at, company_id=acme, job_order_id=order, text=mark())
    written(
        api, f"/people/{ada}/applications", company_id=acme, job_order_id=order, text=mark(),
        applied_at=AT, answers=[{"question": "why", "text": mark()}],
    )  # fmt: skip
    at = f"{at}/{opened['created']}"
    for stage in STAGES:
        written(
            api, f"{at}/moves", stage=stage, text=mark(), reason="pay", decided_by="us",
            decider=mark(),
        )  # fmt: skip
    written(api, f"{at}/rights-to-represent", text=mark())
    written(api, f"{at}/introductions", text=mark(), override=mark())
    interviews_and_offers(api, mark, f"/people/{ada}", opened["created"])
    for subject, path in (("person", f"/people/{ada}"), ("company", company)):
        field = {"subject": subject, "slug": "x", "label": "X", "type": "text", "personal": True}
        api.put(f"/custom-fields/{subject}/x", json=field)
        written(api, f"{path}/custom-fields", values={"x": mark()})
    _shortlist(api, mark, acme, order)
    _money(api, mark, acme, order, ada, at)
    for stage, reason in (("contacted", ""), ("won", ""), ("lost", "price")):
        deal = written(api, f"{company}/deals", title="Two engineers")["created"]
        written(api, f"{company}/deals/{deal}/moves", stage=stage, reason=reason, text=mark())
    paper = {"kind": "company.paper_sent", "deal_id": deal, "sent_at": AT, "paper": "proposal"}
    written(api, f"{company}/deals/steps", **paper, document=mark(), text=mark())
    return email, ada


def _equal_opportunity(up: Running, api: httpx.Client, mark: Marks) -> None:
    """By the form's own key: a consultant's is refused, and told nothing."""
    body = {name: mark() for name in ("gender", "ethnicity", "age_band", "disability")}
    refused = api.post("/equal-opportunity/answers", json=body)
    assert (refused.status_code, mark.leaked(refused.text)) == (403, [])
    made = printed(command(up.home, "key", "create", "integration:website", "--json"))
    with httpx.Client(base_url=api.base_url, timeout=PATIENCE_S) as form:
        form.headers["Authorization"] = f"Bearer {made['key']}"
        written(form, "/equal-opportunity/answers", **body)


def _shortlist(api: httpx.Client, mark: Marks, company: str, order: str) -> None:
    """Shown, and what the client said."""
    at = f"/companies/{company}/shortlists"
    eve, contact = (written(api, "/people", name=mark())["id"] for _ in range(2))
    written(api, f"/people/{contact}/employments", company_id=company, title=mark())
    written(api, f"/people/{eve}/candidacies", company_id=company, job_order_id=order)
    person = {"person_id": eve, "blind": True, "headline": mark(), "text": mark()}
    made = written(api, at, job_order_id=order, people=[person], text=mark())["created"]
    token = written(api, f"{at}/{made}/shares", contact_id=contact)["token"]
    secret = token.partition("_")[2]
    mark.made += [secret, hashlib.sha256(secret.encode()).hexdigest()]
    with httpx.Client(base_url=api.base_url, timeout=PATIENCE_S) as portal:
        portal.headers["Authorization"] = f"Bearer {token}"
        assert mark.leaked(until(lambda: _shown(portal)).text), "they are on it"
        body = {"candidate": "A", "verdict": "hold", "text": mark()}
        written(portal, "/portal/verdicts", **body)
        written(portal, "/portal/comments", text=mark())
        written(portal, "/portal/comments", candidate="A", text=mark())
        for body in (
            {"candidate": mark(), "verdict": mark()},
            {"candidate": "B", "verdict": "hold"},
        ):
            refused = portal.post("/portal/verdicts", json=body | {"text": mark()})
            assert mark.leaked(refused.text) == []
            assert refused.status_code in (400, 404)
    written(api, f"{at}/{made}/withdrawals", text=mark())


def _shown(portal: httpx.Client) -> httpx.Response | None:
    answer = portal.get("/portal/shortlist")
    return answer if answer.status_code == 200 else None


def _money(
    api: httpx.Client, mark: Marks, company: str, order: str, person: str, candidacy: str
) -> None:
    """From the placement to the refund."""
    fields = {"starts_on": "2026-03-03", "first_year_pay_cents": 8_000_000}
    written(api, f"{candidacy}/placements", **fields, override=mark())
    written(api, f"{candidacy}/starts", starts_on="2026-03-03", text=mark())
    shares = [{"consultant": "consultant:ana", "share_bp": 10_000}]
    written(api, f"{candidacy}/commissions", shares=shares, text=mark())
    due = instalment_id(UUID(order), "start", UUID(candidacy.rpartition("/")[2]))
    books = f"/companies/{company}/invoices"
    money = {"amount_cents": 100, "currency": "EUR"}
    made = written(
        api,
        books,
        instalment_id=str(due),
        number="1",
        raised_at=AT,
        text=mark(),
        override=mark(),
        **money,
    )["created"]
    written(api, f"{books}/payments", invoice_id=made, paid_at=AT, text=mark(), **money)
    written(
        api, f"{books}/credits", invoice_id=made, number="2", credited_at=AT, reason="x",
        text=mark(), **money,
    )  # fmt: skip
    written(api, f"{books}/refunds", invoice_id=made, refunded_at=AT, text=mark(), **money)
    written(
        api, f"{candidacy}/fall-throughs", left_on="2026-03-09", reason="x", decided_by="client",
        text=mark(),
    )  # fmt: skip


def interviews_and_offers(api: httpx.Client, mark: Marks, person: str, candidacy: str) -> None:
    def told(path: str, kind_: str, when: str, **fields: Any) -> Any:
        fact = {"kind": f"person.{kind_}", "candidacy_id": candidacy, when: AT}
        said = {} if kind_ == "interview_held" else {"text": mark()}
        return written(api, f"{person}/{path}", **fact | said | fields)["created"]

    for end, when in (("called_off", "called_off_at"), ("held", "held_at")):
        one = told("interviews", "interview_arranged", "arranged_at", starts_at=AT)
        told("interviews", "interview_moved", "moved_at", interview_id=one, starts_at=AT)
        rest = {"reason": "ill"} if end == "called_off" else {}
        told("interviews", f"interview_{end}", when, interview_id=one, **rest)
    told("interviews", "interview_feedback", "given_at", interview_id=one, verdict="yes")
    for end in ("declined", "withdrawn"):
        one = told("offers", "offer_made", "made_at", first_year_pay_cents=1)
        told("offers", "offer_changed", "changed_at", offer_id=one)
        told("offers", f"offer_{end}", f"{end}_at", offer_id=one, reason="pay")


def refusals(api: httpx.Client, mark: Marks, email: str, ada: str) -> Iterator[httpx.Response]:
    """What goes wrong with personal data in hand."""
    person = f"/people/{ada}"
    yield api.post("/people", json={"name": mark(), "email": email})
    yield api.post("/people", json={"name": mark(), "email": f"{mark()} at home"})
    yield api.post("/people", json={"name": mark(), "phone": mark()})
    yield api.post("/people", json={"name": mark(), "profile_url": f"ftp://{mark()}"})
    yield api.post("/people", json={"name": [mark()], "channel": mark(), "born_on": {mark(): 1}})
    yield api.post("/people", content=f'{{"name": "{mark()}'.encode())
    yield api.post("/people", json={"name": mark(), "address": f"{mark()}\0"})
    yield api.post("/people", json={"name": mark() * 9000})
    yield api.post("/people", json={"name": mark(), "address": "x" * 2_000_000})
    yield api.post(f"{person}/contact-points", json={"point": "email", "value": mark()})
    yield api.post(f"{person}/contact-points", json={"point": mark(), "value": mark()})
    yield api.post(f"{person}/interactions", json={"kind": mark(), "text": mark()})
    yield api.post(
        f"{person}/interactions", json={"kind": "person.note_written", "written_at": mark()}
    )
    yield api.post(f"{person}/custom-fields", json={"values": {"x": [mark()]}})
    yield api.get("/people", params={"cursor": mark()})
    yield api.get(f"/people/{mark()}")
    yield api.get(f"/people/{mark()}/history", params={"after": mark()})
    yield api.get("/people", params={"limit": mark()})
    yield api.post(
        "/people", json={"name": "x"}, headers={"Idempotency-Key": f"{mark()}é".encode()}
    )
    yield api.post("/people", json={"name": mark()}, headers={"Authorization": f"Bearer {mark()}"})


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house")) as up:
        yield up


@pytest.fixture(scope="module")
def mark() -> Marks:
    return Marks()


@pytest.fixture(scope="module")
def story(up: Running, mark: Marks) -> tuple[str, str]:
    with up.api() as api:
        told = every_sealed_field(api, mark)
        written(api, "/webhooks", url=f"https://hooks.invalid/{mark()}", label=mark())
        _equal_opportunity(up, api, mark)
        key = printed(
            command(up.home, "key", "create", "consultant:ana", "--label", mark(), "--json")
        )
        command(up.home, "key", "revoke", key["id"], "--reason", mark())
        invited = command(
            up.home, "consultant", "invite", "ana", "--email", f"{mark()}@example.org"
        )
        assert invited.returncode == 0, invited.stderr
        head = api.get("/health/ready").json()["head"]

        def level() -> bool:
            ready = api.get("/health/ready").json()
            positions = [one["position"] for one in ready["projections"]]
            return min(*positions, ready["feed"]["position"]) >= head

        until(level)
    return told


def stored(up: Running) -> Ledger:
    holder = embedded.holder(up.home / "postgres")
    assert holder
    key = settings.sealing_key(settings.load({"LEDGER_HOME": str(up.home)}))
    return Ledger(app_url(holder.address), Keyring(key))


@group
def test_the_story_has_a_mark_in_every_field_that_is_sealed(
    up: Running, mark: Marks, story: tuple[str, str]
) -> None:
    marked = set()
    with stored(up) as ledger:
        for entry in ledger.store.entries(after=0, limit=1000):
            for name in sealed_fields(type(entry.event)):
                if mark.leaked(getattr(entry.event, name)):
                    marked.add((kind(entry.event), name))
        rows = ledger.store.rows(after=0, limit=1000)
    sealed = {(topic, name) for topic, event in EVENTS.items() for name in sealed_fields(event)}
    assert marked == sealed - {
        ("key.created", "digest"),
        ("login.invited", "digest"),
        ("login.password_set", "hash"),
        ("webhook.added", "secret"),
        ("webhook.secret_renewed", "secret"),
        ("person.document_added", "digest"),
        ("company.document_added", "digest"),
    }
    assert mark.leaked(b"".join(row.state for row in rows).decode()) == []


@group
def test_no_refusal_and_no_page_for_machines_repeats_what_was_personal(
    up: Running, mark: Marks, story: tuple[str, str]
) -> None:
    with up.api() as api:
        for answer in refusals(api, mark, *story):
            assert 400 <= answer.status_code < 500, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert mark.leaked(answer.text) == [], answer.request.url.path
            assert mark.leaked(str(answer.headers)) == []
        found = api.post("/people/lookups", json={"point": "email", "value": story[0]})
        assert [person["id"] for person in found.json()["items"]] == [story[1]]
        for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json"):
            assert mark.leaked(api.get(path).text) == []


@group
def test_nothing_personal_is_on_the_broker(
    up: Running, mark: Marks, story: tuple[str, str]
) -> None:
    head = printed(command(up.home, "feed", "status", "--json"))["position"]
    tail = command(up.home, "events", "tail", "--after", "0", "--limit", str(head), "--json")
    assert tail.stdout.count(b"\n") == head
    assert mark.leaked(tail.stdout.decode()) == []
    plain = command(up.home, "events", "tail", "--after", "0", "--limit", str(head))
    assert mark.leaked(plain.stdout.decode()) == []
    blocks = [path.read_bytes() for path in (up.home / "nats").rglob("*") if path.is_file()]
    assert b"person.message_replied" in b"".join(blocks), "it is not compressed: this test can fail"
    assert mark.leaked(b"".join(blocks).decode(errors="replace")) == []


@group
def test_an_import_that_refuses_rows_tells_their_place_and_not_their_words(
    up: Running, mark: Marks, tmp_path: Path
) -> None:
    mapping = tmp_path / "people.toml"
    mapping.write_text(
        'name = "people"\nkey = "{no}"\n[[fact]]\nkind = "person.sourced"\nperson_id = "{no}"\n'
        'name = "{name}"\nemail = "{email}"\nsourced_at = "{since}"\n'
    )
    csv = (
        "no,name,email,since\n"
        f"1,{mark()},{mark()},2024-01-01T00:00:00Z\n"
        f"2,{mark()},a@example.org,{mark()}\n"
        f"3,{mark()},{mark()}@example.org,2024-01-01T00:00:00Z\n"
    )

    done = command(
        up.home, "import", "-", "-m", str(mapping), "--report", str(tmp_path / "rows"),
        stdin=csv.encode(),
    )  # fmt: skip

    assert done.returncode == 1
    said = (done.stdout + done.stderr).decode() + (tmp_path / "rows").read_text()
    assert "line 2" in said
    assert "line 3" in said
    assert mark.leaked(said) == []


@group
def test_an_import_of_another_systems_folder_tells_places_and_no_words(
    up: Running, mark: Marks, tmp_path: Path
) -> None:
    folder, rows = tmp_path / "greenhouse", tmp_path / "rows"
    folder.mkdir()
    people = [
        {"id": 1, "first_name": mark(), "last_name": mark(), "photo_url": mark()},
        {"id": 2, "first_name": mark(), "last_name": mark(), "created_at": mark()},
        {"id": 3, "first_name": mark(), "last_name": [mark()]},
        {"id": 4, "first_name": mark(), "last_name": "", "phone_numbers": [{"value": mark()}]},
    ]
    (folder / "candidates.json").write_text(json.dumps(people))
    words = ("import", str(folder), "--from", "greenhouse", "--company", "Acme")

    done = command(up.home, *words, "--report", str(rows))

    assert done.returncode == 1
    said = (done.stdout + done.stderr).decode() + rows.read_text()
    for path in (
        "candidates[0].photo_url", "candidates[1].created_at", "candidates[2].last_name",
        "candidates[3].phone_numbers[0].value",
    ):  # fmt: skip
        assert said.count(path) >= 2, "on the screen and in the report"
    assert mark.leaked(said) == []
    (folder / "candidates.json").write_text(json.dumps(people)[:-9])
    done = command(up.home, *words)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"is not JSON" in done.stderr
    assert mark.leaked(done.stderr.decode()) == []


@group
def test_no_log_and_no_screen_tells_anything_personal_also_when_the_database_dies(
    up: Running, mark: Marks, story: tuple[str, str]
) -> None:
    postmaster = int((up.home / "postgres/data/postmaster.pid").read_text().split()[0])
    with up.api() as api:
        os.kill(postmaster, signal.SIGKILL)
        key = {"Idempotency-Key": "once"}
        body = {"name": mark(), "email": f"{mark()}@example.org"}

        def written_at_last() -> bool:
            answer = api.post("/people", json=body, headers=key)
            assert answer.status_code in (201, 503), answer.text
            assert mark.leaked(answer.text) == []
            return answer.status_code == 201

        until(written_at_last)
        until(lambda: api.get("/health/ready").json()["status"] == "ready")

    logs = {
        path.name: path.read_text(errors="replace")
        for path in up.home.rglob("*.log")
        if "data" not in path.parts
    }
    assert {"api.log", "projector.log", "relay.log", "postgres.log", "nats-server.log"} <= set(logs)
    assert all(logs[name] for name in ("api.log", "projector.log", "postgres.log"))
    assert {name: mark.leaked(text) for name, text in logs.items() if mark.leaked(text)} == {}
    assert mark.leaked("\n".join(up.lines)) == []
    assert {name for name, text in logs.items() if "Traceback" in text} == set()
