"""What Prometheus is told: how much, how long, who lags; and nothing of anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from api.journey import ADA, NOTE, problem, written
from ledger_crm.commands.catalogue import create_key
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
        head = of(samples, "ledger_crm_head")
        assert of(samples, "ledger_crm_webhook_backlog_events", webhook=hook) == head
    assert of(behind, "ledger_crm_head") > of(level, "ledger_crm_head")


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
