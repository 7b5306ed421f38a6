"""The rules that bite at the command, whoever calls: each by its own problem, on every path that
can reach it. What Greenhouse tells goes the way of the files; its case is among its own tests."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest

from api.journey import FEE, ORDER, problem, written
from ledger_crm.commands.importing import import_csv
from ledger_crm.commands.mapping import read_mapping
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

AT = "2024-03-05T10:00:00Z"
SENT = {"channel": "email", "message_id": "<1@us>", "sent_at": AT}
CALL = {"started_at": AT, "duration_s": 60, "direction": "out"}
WHY = {"reason": "skills", "decider": "Ana"}
RULES: dict[str, tuple[str, str, dict[str, Any]]] = {
    # what is refused, and why: whose it is, the fact, its fields
    "a message to who withdrew consent: no-consent": ("silent", "person.message_sent", SENT),
    "a call to who withdrew consent: no-consent": ("silent", "person.call_held", CALL),
    "a message to who said stop: do-not-contact": ("stopped", "person.message_sent", SENT),
    "a call to who said stop: do-not-contact": ("stopped", "person.call_held", CALL),
    "a message to the off-limits: off-limits": ("theirs", "person.message_sent", SENT),
    "all the same, with no reason said: off-limits": (
        "theirs", "person.message_sent", SENT | {"override": " "}),
    "a call to the off-limits: off-limits": ("theirs", "person.call_held", CALL),
    "an interview before the introduction: not-put-forward": (
        "listed", "person.candidacy_moved", {"stage": "client_interview", "at": AT}),
    "an offer before the introduction: not-put-forward": (
        "listed", "person.candidacy_moved", {"stage": "offer", "at": AT}),
    "a rejection by nobody: reason-missing": (
        "listed", "person.candidacy_moved",
        {"stage": "rejected_by_us", "at": AT, "reason": "skills", "decided_by": "us"}),
    "a rejection by the wrong side: wrong-side": (
        "listed", "person.candidacy_moved",
        {"stage": "rejected_by_us", "at": AT, "decided_by": "client"} | WHY),
    "introduced by a move: not-by-moving": (
        "listed", "person.candidacy_moved", {"stage": "submitted", "at": AT}),
    "somebody begins with the client: not-a-beginning": (
        "silent", "person.candidacy_opened", {"stage": "offer", "opened_at": AT}),
    "on an order that is lost: job-order-is-closed": (
        "silent", "person.candidacy_opened", {"opened_at": AT, "job_order_id": "lost"}),
    "an order of a stranger: not-a-contact": (
        "company", "company.job_order_opened",
        {"title": "Engineer", "opened_at": AT, "hiring_manager_id": "stopped"}),
}  # fmt: skip
STARTS = {"placed_at": AT, "starts_on": "2024-05-01", "first_year_pay_cents": 60_000_00}
NO_FILE: dict[str, tuple[str, str, dict[str, Any]]] = {
    # what no file can say: whose it is, the last part of its path, its fields
    "into a campaign, who withdrew consent: no-consent": ("silent", "campaigns", {}),
    "into a campaign, who said stop: do-not-contact": ("stopped", "campaigns", {}),
    "into a campaign, the off-limits: off-limits": ("theirs", "campaigns", {}),
    "introduced without a right to represent: no-right-to-represent": (
        "listed", "introductions", {"introduced_at": AT}),
    "introduced on an order that is held: job-order-is-closed": (
        "waiting", "introductions", {"introduced_at": AT}),
    "introduced, who said stop: do-not-contact": (
        "asked", "introductions", {"introduced_at": AT}),
    "placed before being introduced: not-introduced": ("listed", "placements", STARTS),
    "placed full-time twice at once: placed-at-once": ("busy", "placements", STARTS),
}  # fmt: skip


@pytest.fixture
async def ids(ana: httpx.AsyncClient) -> dict[str, str]:
    made = {"company": (await written(ana, "/companies", {"name": "Client"}))["id"]}
    made["limits"] = (await written(ana, "/companies", {"name": "Limits"}))["id"]
    company = f"/companies/{made['company']}"
    await written(ana, f"{company}/fees", FEE)
    for name in ("order", "lost"):
        made[name] = (await written(ana, f"{company}/job-orders", ORDER))["created"]
    lost = {"kind": "company.job_order_lost", "job_order_id": made["lost"], "reason": "budget"}
    await written(ana, f"{company}/job-orders/steps", lost | {"lost_at": AT})
    for name in ("silent", "stopped", "theirs", "listed"):
        made[name] = (await written(ana, "/people", {"name": name}))["id"]
    said = {"silent": ("consent_withdrawn", "withdrawn_at")}
    said["stopped"] = ("do_not_contact_set", "set_at")
    for name, (kind, when) in said.items():
        word = {"kind": f"person.{kind}", when: "2024-03-01T00:00:00Z"}
        await written(ana, f"/people/{made[name]}/permissions", word)
    job = {"company_id": made["limits"]}
    await written(ana, f"/people/{made['theirs']}/employments", job)
    agreed = {"kind": "company.off_limits_agreed", "agreed_at": "2024-03-01T00:00:00Z"}
    await written(ana, f"/companies/{made['limits']}/off-limits", agreed)
    on = {"company_id": made["company"], "job_order_id": made["order"]}
    made["candidacy"] = (await written(ana, f"/people/{made['listed']}/candidacies", on))["created"]
    return made


def asked(ids: dict[str, str], whose: str, kind: str, said: dict[str, Any]) -> dict[str, Any]:
    """The fields with the ids that they name."""
    fields = {k: ids.get(v, v) if k.endswith("_id") else v for k, v in said.items()}
    if kind == "person.candidacy_opened":
        fields = {"company_id": ids["company"], "job_order_id": ids["order"]} | fields
    return fields


def command(
    ids: dict[str, str], whose: str, kind: str, fields: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Its path and body."""
    of = f"/{'companies' if whose == 'company' else 'people'}/{ids[whose]}"
    match kind:
        case "person.candidacy_moved":
            return f"{of}/candidacies/{ids['candidacy']}/moves", fields
        case "person.candidacy_opened":
            return f"{of}/candidacies", fields
        case "company.job_order_opened":
            return f"{of}/job-orders", fields
        case _:
            return f"{of}/interactions", {"kind": kind} | fields


async def refused_over_http(
    ana: httpx.AsyncClient, path: str, body: dict[str, Any], code: str
) -> None:
    """By itself, and in a batch."""
    answer = await ana.post(path, json=body)
    assert problem(answer, answer.status_code, code)["status"] in (403, 409, 422)
    wish = {"commands": [{"method": "POST", "path": path, "body": body}]}
    [result] = (await ana.post("/batch", json=wish)).json()["results"]
    assert (result["status"], result["answer"]["type"]) == (answer.status_code, f"/problems/{code}")


async def by_file(
    ledger: Ledger, ids: dict[str, str], whose: str, kind: str, fields: dict[str, Any]
) -> str:
    """The type of the refusal."""
    subject = "company_id" if whose == "company" else "person_id"
    row = {"kind": kind, subject: "{id}"} | fields
    if kind == "person.candidacy_moved":
        row["job_order_id"] = ids["order"]
    if kind == "person.candidacy_opened":
        row["at"] = row.pop("opened_at")
    if kind == "company.job_order_opened":
        row["job_order_id"] = "another"
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in row.items())
    mapping = read_mapping(f'name = "rule"\nkey = "{{nr}}"\n[[fact]]\n{lines}\n')
    report = await import_csv(ledger, io.BytesIO(f"nr,id\n1,{ids[whose]}\n".encode()), mapping)
    [told] = report.listed
    assert (report.refused, told.outcome, told.line) == (1, "refused", 2)
    assert told.reason
    return told.type


@pytest.mark.parametrize("rule", RULES)
async def test_a_rule_refuses_by_its_own_problem_over_http_in_a_batch_and_from_a_file(
    ana: httpx.AsyncClient, ledger: Ledger, ids: dict[str, str], rule: str
) -> None:
    code = rule.rpartition(": ")[2]
    whose, kind, said = RULES[rule]
    fields = asked(ids, whose, kind, said)
    before = await ledger.head()

    await refused_over_http(ana, *command(ids, whose, kind, fields), code)

    assert await by_file(ledger, ids, whose, kind, fields) == f"/problems/{code}"
    assert await ledger.head() == before, "nothing was written"


@pytest.fixture
async def ways(ana: httpx.AsyncClient, ids: dict[str, str]) -> dict[str, str]:
    """To each candidacy: of who waits, was asked to, is busy elsewhere, is only listed."""
    company = f"/companies/{ids['company']}"
    for name in ("held", "own", "other"):
        ids[name] = (await written(ana, f"{company}/job-orders", ORDER))["created"]
    for name in ("waiting", "asked", "busy"):
        ids[name] = (await written(ana, "/people", {"name": name}))["id"]
    made = {"listed": f"/people/{ids['listed']}/candidacies/{ids['candidacy']}"}

    async def represented(name: str, order: str) -> str:
        on = {"company_id": ids["company"], "job_order_id": ids[order]}
        opened = await written(ana, f"/people/{ids[name]}/candidacies", on)
        way = f"/people/{ids[name]}/candidacies/{opened['created']}"
        await written(ana, f"{way}/rights-to-represent", {"given_at": "2024-03-01T00:00:00Z"})
        return way

    made["waiting"] = await represented("waiting", "held")
    held = {"kind": "company.job_order_held", "job_order_id": ids["held"], "reason": "budget"}
    on = {"held_at": "2024-03-04T10:00:00Z"}
    await written(ana, f"{company}/job-orders/steps", held | on)
    made["asked"] = await represented("asked", "order")
    stop = {"kind": "person.do_not_contact_set", "set_at": "2024-03-04T00:00:00Z"}
    await written(ana, f"/people/{ids['asked']}/permissions", stop)
    first, made["busy"] = await represented("busy", "own"), await represented("busy", "other")
    for way in (first, made["busy"]):
        await written(ana, f"{way}/introductions", {"introduced_at": "2024-03-02T00:00:00Z"})
    await written(ana, f"{first}/placements", STARTS)
    campaign = {"slug": "spring", "title": "Spring", "steps": [{"channel": "email"}]}
    assert (await ana.put("/campaigns/spring", json=campaign)).status_code == 200
    return made


@pytest.mark.parametrize("rule", NO_FILE)
async def test_a_rule_that_no_file_can_reach_refuses_over_http_and_in_a_batch(
    ana: httpx.AsyncClient, ledger: Ledger, ids: dict[str, str], ways: dict[str, str], rule: str
) -> None:
    code = rule.rpartition(": ")[2]
    whose, to, body = NO_FILE[rule]
    path = f"{ways.get(whose, f'/people/{ids[whose]}')}/{to}"
    if to == "campaigns":
        body = {"kind": "person.enrolled", "campaign": "spring", "enrolled_at": AT}
    before = await ledger.head()

    await refused_over_http(ana, path, body, code)

    assert await ledger.head() == before, "nothing was written"
