"""What Prometheus is told: how much, how long, who lags; and nothing of anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
import pytest
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from api.journey import ADA, NOTE, problem, written
from ledger_crm.api.metrics import read_metrics
from ledger_crm.api.snapshots import Pool
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain import clock
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(ana: httpx.AsyncClient) -> Samples:
    answer = await ana.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


async def test_requests_are_counted_by_route_and_never_by_address(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    before = await scraped(ana)
    ada = (await written(ana, "/people", ADA))["id"]
    await written(ana, f"/people/{ada}/interactions", NOTE)
    project()
    for _ in range(3):  # the long way, and the short one
        assert (await ana.get(f"/people/{ada}")).status_code == 200
    await ana.get(f"/people/{ada}?limit=Ada+Byron")
    await ana.get("/nowhere/ada@example.org")
    await ana.request("ADA", "/people")
    await ana.delete("/session")
    after = await scraped(ana)

    def more(name: str, **labels: str) -> float:
        return of(after, name, **labels) - of(before, name, **labels)

    count, person = "ledger_crm_request_seconds_count", "/people/{person_id}"
    assert more(count, method="GET", route=person, status="200") == 3
    assert more(count, method="GET", route=person, status="400") == 1
    assert more(count, method="POST", route="/people", status="201") == 1
    assert more(count, method="DELETE", route="/session", status="403") == 1
    assert more("ledger_crm_command_seconds_count", outcome="written") == 2
    text = (await ana.get("/metrics")).text
    assert "Ada" not in text
    assert "ADA" not in text
    assert "example.org" not in text
    assert ada not in text


async def test_refused_replayed_and_dry_commands_are_told_apart(ana: httpx.AsyncClient) -> None:
    before = await scraped(ana)
    await written(ana, "/people", ADA, **{"Idempotency-Key": "k"})
    await written(ana, "/people", ADA, **{"Idempotency-Key": "k"})
    problem(await ana.post("/people", json=ADA), 409, "contact-point-taken")
    after, name = await scraped(ana), "ledger_crm_command_seconds_count"
    for outcome in ("written", "replayed", "refused"):
        assert of(after, name, outcome=outcome) - of(before, name, outcome=outcome) == 1


async def test_who_lags_is_told(ana: httpx.AsyncClient, project: Callable[[], None]) -> None:
    project()
    hook = (await written(ana, "/webhooks", {"url": "https://hooks.example", "after": 0}))["id"]
    project()
    level = await scraped(ana)
    await written(ana, "/people", ADA)
    behind = await scraped(ana)
    for samples, lag in ((level, 0), (behind, 1)):
        assert of(samples, "ledger_crm_database_up") == 1
        assert of(samples, "ledger_crm_projection_lag_events", projection="people") > lag - 1
        assert (of(samples, "ledger_crm_projection_lag_seconds", projection="people") > 0) == (
            lag > 0
        )
        assert of(samples, "ledger_crm_feed_lag_events") == 0
        assert of(samples, "ledger_crm_feed_lag_seconds") == 0
        head = of(samples, "ledger_crm_head")
        assert of(samples, "ledger_crm_webhook_backlog_events", webhook=hook) == head
    assert of(behind, "ledger_crm_head") > of(level, "ledger_crm_head")


async def test_it_is_told_that_nobody_sends_that_a_receiver_fails_and_that_none_is_sent_to(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger, database: str
) -> None:
    """One that is disabled stays: what it has not got is not less by that."""
    hook = (await written(ana, "/webhooks", {"url": "https://hooks.example", "after": 0}))["id"]
    project()
    began, head = clock.now(), await ledger.head()

    async def told(later_s: float, *names: str) -> list[float]:
        with clock.stopped_at(began + timedelta(seconds=later_s)):
            samples = await scraped(ana)
        return [of(samples, f"ledger_crm_webhook_{name}", webhook=hook) for name in names]

    async def does(query: LiteralString, *values: object) -> None:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as conn:
            await conn.execute(query, (hook, *values))

    lag = ("backlog_events", "lag_seconds", "untried_seconds", "failures", "disabled")
    events, lag_s, untried_s, *others = await told(600, *lag)
    assert (events, *others) == (head, 0, 0)
    assert lag_s >= untried_s >= 600
    await does(
        "INSERT INTO ledger.webhook_deliveries (webhook_id, position, attempt, duration_ms)"
        " VALUES (%s, 1, 1, 12)"
    )
    await does(
        "INSERT INTO ledger.webhook_standing VALUES (%s, 1, 0, 2, %s)",
        began + timedelta(seconds=500),
    )
    name = "ledger_crm_webhook_attempts_total"
    assert of(await scraped(ana), name, webhook=hook, outcome="taken") == 0
    await does("INSERT INTO ledger.webhook_attempts VALUES (%s, 'timeout', 2)")
    assert of(await scraped(ana), name, webhook=hook, outcome="timeout") == 2
    for later_s, expected in (499, 0), (600, 100):
        events, lag_s, untried_s, *others = await told(later_s, *lag)
        assert (events, untried_s, *others) == (head, expected, 2, 0)
        assert lag_s > later_s
    await does(
        "UPDATE ledger.webhook_standing SET next_at = NULL, position = 9 WHERE webhook_id = %s"
    )
    await does(
        "INSERT INTO ledger.webhook_waiting VALUES (%s, 1, 3, %s)",
        began + timedelta(seconds=550),
    )
    events, lag_s, untried_s, *others = await told(600, *lag)
    assert (events, untried_s, *others) == (1, 50, 3, 0)
    assert lag_s > 600
    await written(
        ana, f"/webhooks/{hook}/changes", {"kind": "webhook.disabled", "reason": "moving"}
    )
    project()
    assert await told(700, *lag[:1], *lag[2:]) == [1, 0, 3, 1]
    await written(ana, f"/webhooks/{hook}/changes", {"kind": "webhook.removed"})
    project()
    assert not [name for name, labels in await scraped(ana) if ("webhook", hook) in labels]


async def test_that_the_feed_lags_is_told_in_entries_and_in_seconds(
    ana: httpx.AsyncClient, ledger: Ledger, pool: Pool
) -> None:
    await written(ana, "/people", ADA)
    head = await ledger.head()

    async def behind() -> int:
        return head - 1

    with clock.stopped_at(clock.now() + timedelta(seconds=60)):
        answer = await read_metrics.fn(pool=pool, feed_position=behind)
    told = {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
        if sample.name.startswith("ledger_crm_feed")
    }
    assert (told["ledger_crm_feed_up"], told["ledger_crm_feed_lag_events"]) == (1, 1)
    assert 60 <= told["ledger_crm_feed_lag_seconds"] < 600


async def test_it_is_told_before_any_read_model_is_built(ana: httpx.AsyncClient) -> None:
    assert of(await scraped(ana), "ledger_crm_database_up") == 1


async def test_a_key_is_needed(ana: httpx.AsyncClient, ledger: Ledger) -> None:
    problem(await ana.get("/metrics", headers={"Authorization": ""}), 401, "key-missing")
    _, text = await create_key(ledger, actor="integration:prometheus")
    scraper = {"Authorization": f"Bearer {text}"}
    problem(await ana.get("/metrics", headers=scraper), 403, "not-permitted")
    _, text = await create_key(ledger, actor="integration:prometheus", scopes=["metrics.read"])
    as_prometheus = {
        "Authorization": f"Bearer {text}",
        "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,"
        "*/*;q=0.1",
    }
    answer = await ana.get("/metrics", headers=as_prometheus)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_the_dashboard_asks_for_what_there_is(
    ana: httpx.AsyncClient, project: Callable[[], None], app: Litestar
) -> None:
    project()
    await written(ana, "/webhooks", {"url": "https://hooks.example"})
    project()
    names = {name for name, _ in await scraped(ana)}
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for expression in asked:
        for name in re.findall(r"ledger_crm_\w+", expression):
            assert name in names, expression
    shown = set(re.findall(r"ledger_crm_\w+", " ".join(asked)))
    told = {re.sub(r"_(bucket|count|sum|created|total)$", "", name) for name in names}
    assert told <= {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in shown}, (
        "all is shown"
    )
