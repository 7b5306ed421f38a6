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


async def over_http(
    ana: httpx.AsyncClient, ids: dict[str, str], whose: str, kind: str, fields: dict[str, Any]
) -> httpx.Response:
    of = f"/{'companies' if whose == 'company' else 'people'}/{ids[whose]}"
    match kind:
        case "person.candidacy_moved":
            path = f"{of}/candidacies/{ids['candidacy']}/moves"
        case "person.candidacy_opened":
            path = f"{of}/candidacies"
        case "company.job_order_opened":
            path = f"{of}/job-orders"
        case _:
            path, fields = f"{of}/interactions", {"kind": kind} | fields
    return await ana.post(path, json=fields)


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
async def test_a_rule_refuses_by_its_own_problem_over_http_and_from_a_file(
    ana: httpx.AsyncClient, ledger: Ledger, ids: dict[str, str], rule: str
) -> None:
    code = rule.rpartition(": ")[2]
    whose, kind, said = RULES[rule]
    fields = asked(ids, whose, kind, said)
    before = await ledger.head()

    answer = await over_http(ana, ids, whose, kind, fields)

    assert problem(answer, answer.status_code, code)["status"] in (403, 409, 422)
    assert await by_file(ledger, ids, whose, kind, fields) == f"/problems/{code}"
    assert await ledger.head() == before, "nothing was written"
