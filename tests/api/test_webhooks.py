"""Webhooks are added, shown and changed by whoever may; their secret is shown once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from api.journey import ADA, found, problem, written
from ledger_crm.commands.catalogue import create_key
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

URL = "https://hooks.example/ledger?token=very-secret"


async def test_a_webhook_is_added_shown_changed_and_removed(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    await written(ana, "/people", ADA)
    key = {"Idempotency-Key": "hook"}
    made = await written(ana, "/webhooks", {"url": URL, "kinds": ["person.placed"]}, **key)
    assert made["secret"].startswith("whsec_")
    again = await written(ana, "/webhooks", {"url": URL, "kinds": ["person.placed"]}, **key)
    assert (again["id"], again["secret"]) == (made["id"], None), "it is shown once"
    tried = await ana.post("/webhooks", json={"url": URL}, params={"dry_run": "true"})
    assert "whsec_" not in tried.text
    project()
    [shown] = await found(ana, "/webhooks")
    assert shown == await found(ana, f"/webhooks/{made['id']}")
    assert (shown["host"], shown["kinds"]) == ("hooks.example", ["person.placed"])
    assert (shown["position"], shown["disabled_at"]) == (None, None)
    assert (shown["label"], shown["after"]) == ("", made["position"] - 1)
    assert "very-secret" not in str(shown)
    events = (await found(ana, "/events", kind="webhook."))["items"]
    assert events[0]["sealed"] == ["secret", "url"]
    assert "very-secret" not in str(events)

    async def changed(**change: Any) -> dict[str, Any]:
        receipt = await written(ana, f"/webhooks/{made['id']}/changes", change)
        project()
        return receipt

    await changed(kind="webhook.disabled", reason="moving")
    shown = await found(ana, f"/webhooks/{made['id']}")
    assert (shown["reason"], shown["disabled_at"] is None) == ("moving", False)
    redriven = {"kind": "webhook.redriven", "after": 1}
    answer = await ana.post(f"/webhooks/{made['id']}/changes", json=redriven)
    problem(answer, 409, "webhook-is-disabled")
    await changed(kind="webhook.enabled")
    await changed(**redriven)
    assert (await found(ana, f"/webhooks/{made['id']}"))["after"] == 1
    deliveries = f"/webhooks/{made['id']}/deliveries"
    assert (await found(ana, deliveries))["items"] == []
    narrowed = {"taken": "false", "fault": "timeout", "status": 503, "since": "2026-01-01"}
    assert (await found(ana, deliveries, **narrowed, until="2026-02-01"))["items"] == []
    assert (await found(ana, deliveries, status=999))["items"] == []  # receivers say anything
    for slip in (
        {"fault": "slow"},
        {"status": 99},
        {"status": 1000},
        {"since": "yesterday"},
        {"taken": "maybe"},
    ):
        problem(await ana.get(deliveries, params=slip), 400, "malformed")
    await changed(kind="webhook.removed")
    assert await found(ana, "/webhooks") == []
    problem(await ana.get(f"/webhooks/{made['id']}"), 404, "no-such-record")
    answer = await ana.post(f"/webhooks/{made['id']}/changes", json=redriven)
    problem(answer, 410, "webhook-is-removed")
    answer = await ana.post(f"/webhooks/{made['id']}/secret", json={})
    problem(answer, 410, "webhook-is-removed")


async def test_a_secret_that_was_missed_is_renewed_and_shown_once(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    hook = {"url": URL, "label": "payroll", "after": 0}
    made = await written(ana, "/webhooks", hook)
    at = f"/webhooks/{made['id']}"
    project()
    shown = await found(ana, at)
    assert (shown["label"], shown["after"]) == ("payroll", 0)
    assert (shown["secret_at"], shown["old_secret_until_at"]) == (shown["added_at"], None)
    tried = await ana.post(f"{at}/secret", json={}, params={"dry_run": "true"})
    assert [each["kind"] for each in tried.json()["entries"]] == ["webhook.secret_renewed"]
    assert "whsec_" not in tried.text
    key = {"Idempotency-Key": "renewal"}
    renewed = await written(ana, f"{at}/secret", {}, **key)
    again = await written(ana, f"{at}/secret", {}, **key)
    assert renewed["secret"].startswith("whsec_")
    assert renewed["secret"] != made["secret"]
    assert (again["version"], again["secret"]) == (renewed["version"], None)
    [entry] = (await found(ana, "/events", kind="webhook.secret_renewed"))["items"]
    assert (entry["by"], entry["sealed"]) == ("consultant:ana", ["secret"])
    project()
    shown = await found(ana, at)
    assert shown["old_secret_until_at"] > shown["secret_at"] > shown["added_at"]
    assert renewed["secret"] not in str(shown)
    for _ in range(3):
        await written(ana, f"{at}/secret", {"overlap_s": 60})
    answer = await ana.post(f"{at}/secret", json={"overlap_s": 60})
    assert problem(answer, 409, "too-many-secrets")["most"] == 5
    await written(ana, f"{at}/secret", {"overlap_s": 0})
    for wrong in (-1, 7 * 24 * 3600 + 1, None):
        answer = await ana.post(f"{at}/secret", json={"overlap_s": wrong})
        problem(answer, 400, "malformed")


async def test_what_was_sent_is_told_when_it_is_no_more_and_to_nobody_from_whom_something_is_hidden(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger, database: str
) -> None:
    """Where it was sent something there is an entry of a kind that it wants."""
    made = await written(ana, "/webhooks", {"url": URL, "kinds": ["person.placed"]})
    at = f"/webhooks/{made['id']}"
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as conn:
        await conn.execute(
            "INSERT INTO ledger.webhook_deliveries"
            " (webhook_id, position, attempt, status, fault, duration_ms)"
            " VALUES (%s, 4711, 1, 204, '', 12)",
            (made["id"],),
        )
        await conn.execute(
            "INSERT INTO ledger.webhook_standing VALUES (%s, 1, 4711, 0, NULL)", (made["id"],)
        )
    project()
    keys = {}
    for name, scopes in (("ben", []), ("zoe", ["confidential.read"])):
        _, text = await create_key(
            ledger, actor=f"consultant:{name}", role="analyst", scopes=scopes
        )
        keys[name] = {"Authorization": f"Bearer {text}"}
    assert (await ana.get(at)).json()["position"] == 4711
    for who, position in (("ben", None), ("zoe", 4711)):
        told = [(await ana.get(at, headers=keys[who])).json()]
        told += (await ana.get("/webhooks", headers=keys[who])).json()
        assert [each["position"] for each in told] == [position] * 2
    refused = problem(await ana.get(f"{at}/deliveries", headers=keys["ben"]), 403, "not-permitted")
    assert refused["permission"] == "confidential.read"
    await written(ana, f"{at}/changes", {"kind": "webhook.removed"})
    project()
    for headers in ({}, keys["zoe"]):
        log = (await ana.get(f"{at}/deliveries", headers=headers)).json()["items"]
        assert [(each["position"], each["status"]) for each in log] == [(4711, 204)]


SPELT = ("127.1", "2130706433", "0x7f.1", "[::127.0.0.1]", "[64:ff9b::10.0.0.7]")


async def test_what_makes_no_sense_is_refused(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    for url in ("http://hooks.example", "https://ana:pw@hooks.example", "hooks"):
        problem(await ana.post("/webhooks", json={"url": url}), 422, "not-a-webhook-url")
    for host in ("127.0.0.1", "10.0.0.7", "[::1]", "[::ffff:10.0.0.7]", "169.254.169.254", *SPELT):
        answer = await ana.post("/webhooks", json={"url": f"https://{host}:8443/x"})
        problem(answer, 422, "not-a-public-address")
    for kind in ("person.nothing", "nobody."):
        answer = await ana.post("/webhooks", json={"url": URL, "kinds": [kind]})
        problem(answer, 422, "no-such-kind")
    problem(await ana.post("/webhooks", json={"url": URL, "kinds": ["x"]}), 400, "malformed")
    answer = await ana.post("/webhooks", json={"url": URL, "after": 10**6})
    problem(answer, 422, "after-the-head")
    nobody = "/webhooks/01939b30-11b2-7a44-9c05-7be1d2f3a418"
    problem(await ana.get(nobody), 404, "no-such-record")
    missing = problem(await ana.get(f"{nobody}/deliveries"), 404, "no-such-record")
    assert f"/webhooks/{missing['id']}" == nobody
    enable = {"kind": "webhook.enabled"}
    problem(await ana.post(f"{nobody}/changes", json=enable), 404, "no-such-record")


async def test_an_analyst_may_look_and_no_more(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    project()
    _, text = await create_key(ledger, actor="consultant:ben", role="analyst")
    ben = {"Authorization": f"Bearer {text}"}
    assert (await ana.get("/webhooks", headers=ben)).json() == []
    problem(await ana.post("/webhooks", json={"url": URL}, headers=ben), 403, "not-permitted")
