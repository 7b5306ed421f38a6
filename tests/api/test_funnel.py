"""Last year's report does not move, whatever becomes of the stages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import psycopg
import pytest

from api.journey import ENGINES, found, problem, written
from ledger_crm.api.snapshots import Pool
from ledger_crm.commands.catalogue import create_key
from ledger_crm.ledger import Ledger
from ledger_crm.projections import SCHEMA

pytestmark = pytest.mark.anyio

LAST_YEAR = {"since": "2025-01-01", "until": "2026-01-01"}


def stage(id: str, category: str, **rest: Any) -> dict[str, Any]:
    return {"id": id, "label": id.title(), "category": category} | rest


async def test_renamed_reordered_and_retired_stages_do_not_move_last_years_report(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    first = [
        stage("found", "sourced"), stage("called", "screening"), stage("liked", "qualified"),
        stage("gone", "withdrawn"),
    ]  # fmt: skip
    definition = {"slug": "interim", "title": "Interim", "subject": "candidate"}

    async def define(*stages: dict[str, Any]) -> int:
        answer = await ana.put("/pipelines/interim", json=definition | {"stages": stages})
        assert answer.status_code == 200, answer.text
        version: int = answer.json()["version"]
        return version

    async def put_on(name: str, day: str) -> str:
        person = (await written(ana, "/people", {"name": name, "channel": "referral"}))["id"]
        body = {"company_id": company, "job_order_id": order, "opened_at": day}
        candidacy = (await written(ana, f"/people/{person}/candidacies", body))["created"]
        return f"/people/{person}/candidacies/{candidacy}/moves"

    await define(*first)
    company = (await written(ana, "/companies", ENGINES))["id"]
    wanted = {"title": "Engineer", "pipeline": "interim", "opened_at": "2025-01-01T00:00:00Z"}
    order = (await written(ana, f"/companies/{company}/job-orders", wanted))["created"]
    ada = await put_on("Ada", "2025-02-01T00:00:00Z")
    ben = await put_on("Ben", "2025-02-01T00:00:00Z")
    await written(ana, ada, {"stage": "called", "at": "2025-02-05T00:00:00Z"})
    await written(ana, ada, {"stage": "liked", "at": "2025-02-06T00:00:00Z"})
    out = {"reason": "pay", "decided_by": "candidate"}
    await written(ana, ben, {"stage": "gone", "at": "2025-03-01T00:00:00Z"} | out)
    project()
    groups: list[dict[str, str]] = [{}, {"by": "pipeline"}, {"by": "client"}, {"by": "source"}]
    before = [await found(ana, "/funnel", **LAST_YEAR, **by) for by in groups]
    assert [(line["category"], line["entered"], line["went_on"]) for line in before[0]] == [
        ("sourced", 2, 1), ("screening", 1, 1), ("qualified", 1, 0), ("withdrawn", 1, 0),
    ]  # fmt: skip
    assert before[0][0]["conversion_bp"] == 5_000
    assert before[0][0]["median_days"] == 16.0  # four days and twenty-eight
    assert {line["name"] for line in before[2]} == {"Analytical Engines"}

    called = stage("called", "screening", retired=True)
    version = await define(
        stage("tested", "screening"), first[2] | {"label": "Loved"}, first[0], called, first[3]
    )
    assert version == 2
    cyd = await put_on("Cyd", "2026-01-05T00:00:00Z")
    refused = await ana.post(cyd, json={"stage": "called", "at": "2026-01-06T00:00:00Z"})
    assert refused.status_code == 409
    await written(ana, cyd, {"stage": "tested", "at": "2026-01-06T00:00:00Z"})
    await written(ana, ada, {"stage": "gone", "at": "2026-01-07T00:00:00Z"} | out)
    project()

    assert [await found(ana, "/funnel", **LAST_YEAR, **by) for by in groups] == before
    this_year = await found(ana, "/funnel", since="2026-01-01", until="2027-01-01")
    assert [(line["category"], line["entered"]) for line in this_year] == [
        ("screening", 1), ("withdrawn", 1),
    ]  # fmt: skip
    everything = await found(ana, "/funnel", since="2025-01-01", until="2027-01-01")
    screening = next(line for line in everything if line["category"] == "screening")
    assert screening["entered"] == 2, "the new stage counts with the old one"


async def test_a_funnel_of_a_consultant_or_a_team_is_of_what_they_opened(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    """By the team of the day on which it was opened, whatever becomes of the team."""
    _, key = await create_key(ledger, actor="consultant:ben")
    ben = {"Authorization": f"Bearer {key}"}
    await written(ana, "/consultants", {"consultant": "consultant:ben", "name": "Ben Alder"})
    team = {"slug": "north", "title": "North"}
    assert (await ana.put("/teams/north", json=team)).status_code == 200
    joined = {"kind": "team.joined", "joined_on": "2025-01-01"}
    left = {"kind": "team.left", "left_on": "2025-02-28"}
    for turn in (joined, left):
        await written(ana, "/teams/north/members", turn | {"consultant": "consultant:ben"})
    company = (await written(ana, "/companies", ENGINES))["id"]
    wanted = {"title": "Engineer", "opened_at": "2025-01-01T00:00:00Z"}
    order = (await written(ana, f"/companies/{company}/job-orders", wanted))["created"]
    for day, headers in (("2025-02-28", ben), ("2025-03-01", ben), ("2025-02-01", {})):
        person = (await written(ana, "/people", {"name": day}))["id"]
        at = {"company_id": company, "job_order_id": order, "opened_at": f"{day}T09:00:00Z"}
        await written(ana, f"/people/{person}/candidacies", at, **headers)
    project()

    async def told(**asked: str) -> list[tuple[str, int]]:
        lines = await found(ana, "/funnel", **LAST_YEAR, **asked)
        return [(line["name"], line["entered"]) for line in lines]

    assert await told(by="consultant") == [("Ben Alder", 2), ("consultant:ana", 1)]
    assert await told(consultant="consultant:ben") == [("", 2)]
    assert await told(team="north", by="consultant") == [("Ben Alder", 1)]
    problem(await ana.get("/funnel", params=LAST_YEAR | {"team": "south"}), 404, "no-such-record")


async def test_what_takes_too_long_says_so_and_not_that_the_database_is_away(
    ana: httpx.AsyncClient, pool: Pool, database: str
) -> None:
    async with AsyncExitStack() as all_of_it:
        for _ in range(pool.max_size):
            conn = await all_of_it.enter_async_context(pool.connection())
            await conn.execute("SET statement_timeout = 100")
    with psycopg.connect(database) as other:
        other.execute(f"LOCK TABLE {SCHEMA}.funnel_step IN ACCESS EXCLUSIVE MODE")
        answer = await ana.get("/funnel", params=LAST_YEAR)
    body = problem(answer, 503, "took-too-long")
    assert "shorter period" in body["detail"]
    assert answer.headers["retry-after"]


async def test_an_account_is_read_and_listed(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    other = (await written(ana, "/companies", {"name": "Looms"}))["id"]
    wanted = {"title": "Engineer", "opened_at": "2026-01-01T00:00:00Z"}
    await written(ana, f"/companies/{company}/job-orders", wanted)
    project()
    shown = await found(ana, f"/companies/{company}/account")
    assert (shown["status"], shown["since"], shown["why"]) == (
        "active", "2026-01-01T00:00:00Z", "1 order open",
    )  # fmt: skip
    [prospect] = (await found(ana, "/accounts", status="prospect"))["items"]
    assert (prospect["company_id"], prospect["company"]) == (other, "Looms")
