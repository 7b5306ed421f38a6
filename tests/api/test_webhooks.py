"""Webhooks are added, shown and changed by whoever may; their secret is shown once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
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
    deliveries = f"/webhooks/{made['id']}/deliveries"
    assert (await found(ana, deliveries))["items"] == []
    narrowed = {"taken": "false", "fault": "timeout", "status": 503, "since": "2026-01-01"}
    assert (await found(ana, deliveries, **narrowed, until="2026-02-01"))["items"] == []
    for slip in {"fault": "slow"}, {"status": 99}, {"since": "yesterday"}, {"taken": "maybe"}:
        problem(await ana.get(deliveries, params=slip), 400, "malformed")
    await changed(kind="webhook.removed")
    assert await found(ana, "/webhooks") == []
    answer = await ana.post(f"/webhooks/{made['id']}/changes", json=redriven)
    problem(answer, 410, "webhook-is-removed")


async def test_what_makes_no_sense_is_refused(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    for url in ("http://hooks.example", "https://ana:pw@hooks.example", "hooks"):
        problem(await ana.post("/webhooks", json={"url": url}), 422, "not-a-webhook-url")
    for host in ("127.0.0.1", "10.0.0.7", "[::1]", "[::ffff:10.0.0.7]", "169.254.169.254"):
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
    problem(await ana.get(f"{nobody}/deliveries"), 404, "no-such-record")
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
