"""Applications as a recruiter takes, reads, answers and closes them, over the API alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, ORDER, SENT, found, problem, written

pytestmark = pytest.mark.anyio

LINEAR = {
    "slug": "applications",
    "title": "Applications",
    "subject": "candidate",
    "stages": [
        {"id": "applied", "label": "Applied", "category": "sourced"},
        {"id": "review", "label": "Application review", "category": "screening"},
        {"id": "submitted", "label": "Submitted to client", "category": "submitted"},
        {"id": "offer", "label": "Offer", "category": "offer"},
        {"id": "hired", "label": "Hired", "category": "placed"},
        {"id": "rejected", "label": "Rejected", "category": "rejected_by_us"},
    ],
}
QUESTIONS = [
    {
        "id": "right_to_work",
        "asked": "May you work here?",
        "form": "yes_no",
        "required": True,
        "accepts": ["yes"],
    },
    {"id": "motivation", "asked": "Why engines?"},
]
NO_THANKS = {
    "slug": "no_thanks",
    "title": "After the CV",
    "subject": "{{job_order}} at {{company}}",
    "text": "Dear {{first_name}}, we went on with others. {{consultant}}",
}
WHEN = {"set_at": "2024-02-02T10:00:00Z"}


def answers(**texts: str) -> list[dict[str, str]]:
    return [{"question": id, "text": text} for id, text in texts.items()]


async def test_somebody_applies_is_rejected_applies_again_and_is_hired(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    assert (await ana.put("/pipelines/applications", json=LINEAR)).status_code == 200
    engines = f"/companies/{(company := (await written(ana, '/companies', ENGINES))['id'])}"
    await written(ana, f"{engines}/fees", FEE)
    order = await written(ana, f"{engines}/job-orders", ORDER | {"pipeline": "applications"})
    on = {"company_id": company, "job_order_id": order["created"]}
    asked = {"kind": "company.screening_set", "job_order_id": order["created"]} | WHEN
    await written(ana, f"{engines}/job-orders/steps", asked | {"questions": QUESTIONS})
    ada = f"/people/{(person := (await written(ana, '/people', ADA))['id'])}"
    project()
    screening = await found(ana, f"/job-orders/{order['created']}/screening")
    assert [q["id"] for q in screening["questions"]] == ["right_to_work", "motivation"]

    came = on | {"applied_at": "2024-02-03T10:00:00Z", "channel": "job_board", "source": "guild"}
    problem(await ana.post(f"{ada}/applications", json=came), 422, "answer-missing")
    came["answers"] = answers(right_to_work="no", motivation="I like them")
    candidacy = (await written(ana, f"{ada}/applications", came | {"text": "Dear all"}))["created"]
    again = problem(await ana.post(f"{ada}/applications", json=came), 409, "already-applied")
    assert again["candidacy_id"] == candidacy
    project()
    [shown] = (await found(ana, "/applications", job_order_id=order["created"]))["items"]
    assert (shown["person"], shown["channel"], shown["source"]) == (
        "Ada Byron",
        "job_board",
        "guild",
    )
    assert (shown["stage"], shown["status"], shown["text"]) == ("applied", "in_process", "Dear all")
    assert [(a["text"], a["qualifies"]) for a in shown["answers"]] == [
        ("no", False), ("I like them", None),
    ]  # fmt: skip

    moves = f"{ada}/candidacies/{candidacy}/moves"
    await written(ana, moves, {"stage": "review"})
    rejected = {"stage": "rejected", "reason": "no_permit", "decided_by": "us", "decider": "Ana"}
    bare = rejected | {"reason": ""}
    problem(await ana.post(moves, json=bare), 422, "reason-missing")
    await written(ana, moves, rejected)
    assert (await ana.put("/templates/no_thanks", json=NO_THANKS)).status_code == 200
    project()
    reply = await found(ana, f"/templates/no_thanks/replies/{candidacy}")
    assert reply["subject"] == "Engineer at Analytical Engines"
    assert reply["text"] == "Dear Ada, we went on with others. ana"
    sent = SENT | {"text": reply["text"], "message_id": "<no@us>"}
    await written(ana, f"{ada}/interactions", sent)
    stop = {"kind": "person.do_not_contact_set", "set_at": "2024-02-05T10:00:00Z"}
    await written(ana, f"{ada}/permissions", stop)
    later = sent | {"message_id": "<no2@us>"}
    problem(await ana.post(f"{ada}/interactions", json=later), 403, "do-not-contact")

    came["answers"] = answers(right_to_work="yes")
    assert (await written(ana, f"{ada}/applications", came))["created"] == candidacy
    await written(ana, f"{ada}/candidacies/{candidacy}/rights-to-represent", {})
    refused = await ana.post(f"{ada}/candidacies/{candidacy}/introductions", json={})
    problem(refused, 403, "do-not-contact")
    asked_again = {"override": "She applied again since"}
    await written(ana, f"{ada}/candidacies/{candidacy}/introductions", asked_again)
    job = {"starts_on": "2024-06-01", "first_year_pay_cents": 8_000_000}
    await written(ana, f"{ada}/candidacies/{candidacy}/placements", job)
    project()
    one = await found(ana, f"/applications/{candidacy}")
    assert (one["status"], one["stage"], one["times"], one["reason"]) == ("hired", "hired", 2, "")
    assert [(a["text"], a["qualifies"]) for a in one["answers"]] == [("yes", True)], "of this time"
    assert (await found(ana, "/applications", person_id=person, status="rejected"))["items"] == []
    # what that source brought, in people and in money
    period = {"since": "2024-01-01", "until": "2100-01-01"}
    funnel = await found(ana, "/funnel", by="application", **period)
    assert {line["group"] for line in funnel} == {"guild"}
    [fees] = await found(ana, "/revenue", by="source")
    assert (fees["key"], fees["agreed_cents"] > 0) == ("guild", True)
    for path in (f"{ada}/history", f"{engines}/history"):
        told = {line["line"]: line["text"] for line in (await found(ana, path))["items"]}
        assert "applied by job board (guild)" in told, path
        assert told["answered the screening question motivation"] == "I like them"
        assert "closed as rejected: no permit" in told
    assert "2 screening questions set" in told


async def test_what_is_not_there_or_not_to_be_told_is_not(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = f"/companies/{(company := (await written(ana, '/companies', ENGINES))['id'])}"
    order = await written(ana, f"{engines}/job-orders", ORDER | {"confidential": True})
    on: dict[str, Any] = {"company_id": company, "job_order_id": order["created"]}
    ada, ben = [(await written(ana, "/people", {"name": name}))["id"] for name in ("Ada", "Ben")]
    candidacy = (await written(ana, f"/people/{ada}/applications", on))["created"]
    found_by_us = (await written(ana, f"/people/{ben}/candidacies", on))["created"]
    plain = NO_THANKS | {"slug": "plain", "subject": "{{job_order}}"}
    for template in (NO_THANKS, plain, plain | {"slug": "old", "retired": True}):
        assert (await ana.put(f"/templates/{template['slug']}", json=template)).status_code == 200
    project()

    assert [one["id"] for one in (await found(ana, "/applications"))["items"]] == [candidacy]
    problem(await ana.get(f"/applications/{found_by_us}"), 404, "no-such-record")
    assert [t["slug"] for t in await found(ana, "/templates")] == ["no_thanks", "plain"]
    assert (await found(ana, "/templates/old"))["retired"]
    named = await ana.get(f"/templates/no_thanks/replies/{candidacy}")
    problem(named, 422, "client-not-named")
    assert (await found(ana, f"/templates/plain/replies/{candidacy}"))["subject"] == "Engineer"
    for path in ("none/replies/" + candidacy, f"plain/replies/{found_by_us}"):
        problem(await ana.get(f"/templates/{path}"), 404, "no-such-record")
    problem(await ana.put("/templates/other", json=plain), 422, "slug-differs")
    bad = plain | {"text": "{{salary}}"}
    problem(await ana.put("/templates/plain", json=bad), 422, "unknown-placeholder")
    filled = {"kind": "company.job_order_lost", "job_order_id": order["created"], "reason": "late"}
    await written(ana, f"{engines}/job-orders/steps", filled | {"lost_at": "2024-03-01T10:00:00Z"})
    problem(await ana.post(f"/people/{ben}/applications", json=on), 409, "job-order-is-closed")
