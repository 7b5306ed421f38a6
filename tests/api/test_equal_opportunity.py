"""An attacker inside looks for what an applicant answered of themselves, and finds nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from api.journey import ENGINES, ORDER, found, problem, written
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain.clock import today
from ledger_crm.domain.entry import kind
from ledger_crm.domain.equal_opportunity import SMALLEST, TOGETHER, EqualOpportunityAnswered
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.workers.feed import message_of
from ledger_crm.workers.projector import connect
from projections.driving import dump

pytestmark = pytest.mark.anyio

ANSWERS = "/equal-opportunity/answers"
REPORT = "/equal-opportunity/report"


@pytest.fixture
async def form(ledger: Ledger, ana: httpx.AsyncClient) -> Callable[..., Any]:
    """The applicants' form, which has a key of its own."""
    _, text = await create_key(ledger, actor="integration:website")

    async def answers(**said: str) -> Any:
        mine = {"Authorization": f"Bearer {text}"}
        return await written(ana, ANSWERS, said, **mine)

    return answers


async def test_what_applicants_answer_is_counted_and_nobody_can_tell_whose_it_is(
    ana: httpx.AsyncClient, form: Callable[..., Any], project: Callable[[], None], ledger: Ledger,
    database: str,
) -> None:  # fmt: skip
    company = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    on = {"company_id": company, "job_order_id": order}
    genders = ["Zyxwoman"] * 6 + ["Zyxwman"] * 3 + ["Zyxwother"] + ["Zyxwman"]
    people, reports = list[str](), list[Any]()
    for n, gender in enumerate(genders):
        people.append((await written(ana, "/people", {"name": f"Applicant {n}"}))["id"])
        same = {"X-Request-Id": f"visit-{n}"}  # a form that sends both one after the other
        await written(ana, f"/people/{people[-1]}/applications", on, **same)
        await form(gender=gender, ethnicity=f"Zyxweth{n}")
        project()
        reports.append(await found(ana, REPORT, year=today().year))

    # the report moves for ten at once, and tells of nobody who is one of few
    assert reports[: TOGETHER - 1] == [[]] * (TOGETHER - 1)
    assert reports[TOGETHER] == reports[TOGETHER - 1], "the eleventh cannot be told by comparing"
    by_question = {each["question"]: each for each in reports[-1]}
    assert by_question["gender"] == {
        "question": "gender",
        "people": TOGETHER,
        "answers": [],
        "others": TOGETHER,
    }, "of six and four, the four would be known by taking away"
    assert by_question["ethnicity"]["answers"] == []
    assert by_question["disability"]["answers"] == [{"answer": "", "people": TOGETHER}]
    assert SMALLEST <= TOGETHER
    assert await found(ana, REPORT, year=2020) == []

    # no page that a recruiter reads has it
    for path in (
        *(f"/people/{person}{of}" for person in people for of in ("", "/history")),
        "/people", "/candidates", "/applications", f"/companies/{company}/history",
    ):  # fmt: skip
        assert "zyxw" not in (await ana.get(path)).text.casefold(), path
    for words in ("zyxwoman", "zyxweth3"):
        looked = await ana.post("/search/lookups", json={"words": words})
        assert looked.json()["items"] == []

    # no table of a read model but the one of the report, and that one has no id
    with connect(database) as conn:
        for name, rows in dump(conn, every()).items():
            if name != "equal_opportunity":
                assert b"zyxw" not in rows.lower(), name
            else:
                assert b"zyxw" in rows
                assert not re.search(rb"[0-9a-f]{8}-[0-9a-f]{4}", rows)
                assert not [person for person in people if person.encode() in rows]

    # no entry, sealed or on the broker, says whose it is, what it says, or how long that was
    rows = [
        row
        for row in ledger.store.rows(after=0, limit=1000)
        if row.topic == kind(EqualOpportunityAnswered)
    ]
    assert len(rows) == len(genders)
    assert len({row.originator_id for row in rows}) == len(genders), "a key of its own each"
    states = [msgspec.json.decode(row.state) for row in rows]
    assert {len(state["sealed"]["answers"]) for state in states} == {
        len(states[0]["sealed"]["answers"])
    }
    for row, state in zip(rows, states, strict=True):
        assert state["event"] == {"kind": kind(EqualOpportunityAnswered)}
        assert not state.get("cause"), "the request may have brought the application too"
        assert state["by"] == "integration:website"
        message = message_of(row).payload.decode()
        known = [*people, company, order, "visit-", "zyxwoman", "zyxwman", "zyxwother", "zyxweth"]
        for text in (row.state.decode(), message):
            assert not [word for word in known if word in text.casefold()]


async def test_none_of_us_answers_for_an_applicant(ana: httpx.AsyncClient) -> None:
    problem(await ana.post(ANSWERS, json={"gender": "woman"}), 403, "not-by-a-consultant")


async def test_a_retry_counts_once_and_its_receipt_tells_nobody_who_else_said_the_same(
    ana: httpx.AsyncClient, ledger: Ledger, database: str
) -> None:
    _, text = await create_key(ledger, actor="integration:website")
    ana.headers["Authorization"] = f"Bearer {text}"
    first, again, other = [
        await written(ana, ANSWERS, {"gender": "woman"}, **{"Idempotency-Key": key})
        for key in ("one", "one", "two")
    ]
    assert first == again
    assert first["id"] != other["id"]
    changed = await ana.post(ANSWERS, json={"gender": "man"}, headers={"Idempotency-Key": "one"})
    problem(changed, 422, "key-reused")
    with connect(database) as conn:
        kept = conn.execute("SELECT fingerprint FROM ledger.receipts").fetchall()
    assert len({bytes(fingerprint) for (fingerprint,) in kept}) == len(kept) >= 2
