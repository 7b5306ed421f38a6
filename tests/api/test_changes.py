"""What changed in a pipeline between two moments, and what was told late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import httpx
import pytest

from api.journey import ADA, ENGINES, ORDER, faults, found, problem, written
from ledger_crm.domain import clock

pytestmark = pytest.mark.anyio

DEAL = {"title": "Search for a CTO", "value_cents": 3_000_000, "currency": "EUR"}


async def test_between_two_positions_it_is_their_order_that_counts(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given a first entry that was written down by a clock that is ahead."""
    with clock.stopped_at(clock.now() + timedelta(hours=5)):
        begin = (await written(ana, "/companies", ENGINES))["position"]
    end = (await written(ana, "/people", ADA))["position"]
    project()
    for path in ("/candidates/changes", "/deals/changes", "/deals/changes/stages"):
        answer = await ana.get(path, params={"from": begin, "to": end})
        assert answer.status_code == 200, answer.text
        turned = await ana.get(path, params={"from": end, "to": begin})
        problem(turned, 400, "malformed")


async def test_what_changed_in_a_week_is_told_once_for_each_and_adds_up(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given one candidacy of before the week, that moves twice in it, and one that comes and is
    lost in it, when the week is asked for, then the one moved from where it stood to where it
    stands, the other left by whose decision and why; before the week nothing changed, and since
    then neither."""
    monday = datetime.combine(clock.today() + timedelta(days=1), time(0), UTC)
    with clock.stopped_at(monday):
        company = (await written(ana, "/companies", ENGINES))["id"]
        order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
        ada = (await written(ana, "/people", ADA))["id"]
        eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
        opened = {"company_id": company, "job_order_id": order}
        first = await written(ana, f"/people/{ada}/candidacies", opened)
    begin = first["position"]
    with clock.stopped_at(monday + timedelta(days=2)):
        at = f"/people/{ada}/candidacies/{first['created']}/moves"
        await written(ana, at, {"stage": "contacted"})
        await written(ana, at, {"stage": "screening"})
        second = await written(ana, f"/people/{eve}/candidacies", opened)
        out = {"stage": "withdrawn", "reason": "counter_offer", "decided_by": "candidate"}
        out |= {"decider": "Eve"}
        await written(ana, f"/people/{eve}/candidacies/{second['created']}/moves", out)
    project()

    with clock.stopped_at(monday + timedelta(days=9)):
        day = monday.date().isoformat()
        for since in (str(begin), monday.isoformat(), day):
            left, moved = (await found(ana, "/candidates/changes", **{"from": since}))["items"]
            assert (moved["change"], moved["from_stage"], moved["to_stage"], moved["path"]) == (
                "moved", "sourced", "screening", ["contacted", "screening"],
            )  # fmt: skip
            assert (left["change"], left["from_stage"], left["reason"], left["decided_by"]) == (
                "left", None, "counter_offer", "candidate",
            )  # fmt: skip
            assert (left["person"], left["company"]) == ("Eve", ENGINES["name"])
        asked = {"from": day, "pipeline": "talent"}
        stages = {
            each["stage"]: each for each in await found(ana, "/candidates/changes/stages", **asked)
        }
        assert [stages["sourced"][name] for name in ("before", "went", "after", "net")] == [
            1, 1, 0, -1,
        ]  # fmt: skip
        assert [stages["withdrawn"][name] for name in ("came", "entered", "after")] == [1, 1, 1]
        assert sum(each["net"] for each in stages.values()) == 1
        for nothing in (
            {"from": "0", "to": str(begin - 1)},
            {"from": (monday + timedelta(days=3)).isoformat()},
            {"from": day, "company_id": company, "job_order_id": order, "pipeline": "applicants"},
        ):
            answer = await ana.get("/candidates/changes", params=nothing)
            assert answer.status_code == 404 or answer.json()["items"] == []
        one = await found(ana, "/candidates/changes", limit=1, **{"from": day})
        rest = await found(ana, "/candidates/changes", cursor=one["next"], **{"from": day})
        assert [each["person"] for each in one["items"] + rest["items"]] == ["Eve", ADA["name"]]


async def test_a_deal_that_is_told_late_changed_when_it_was_told_and_not_when_it_happened(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given a deal of last week that is told this week, then this week knows of it anew, and tells
    how late that was; by when it happened nothing changed this week, but last week."""
    monday = datetime.combine(clock.today() + timedelta(days=14), time(0), UTC)
    with clock.stopped_at(monday - timedelta(days=13)):
        company = (await written(ana, "/companies", ENGINES))["id"]
    with clock.stopped_at(monday + timedelta(days=1)):
        happened = monday - timedelta(days=3)
        told = DEAL | {"opened_at": happened.isoformat()}
        deal = await written(ana, f"/companies/{company}/deals", told)
    project()

    with clock.stopped_at(monday + timedelta(days=5)):
        this_week = {"from": monday.isoformat(), "to": (monday + timedelta(days=4)).isoformat()}
        last_week = {"from": (monday - timedelta(days=7)).isoformat(), "to": monday.isoformat()}
        asked = [
            [each["change"] for each in (await found(ana, "/deals/changes", **week))["items"]]
            for time in ("known", "happened")
            for week in (this_week | {"time": time}, last_week | {"time": time})
        ]
        assert asked == [["entered"], [], [], ["entered"]]
        [line] = (await found(ana, "/late-facts", **this_week))["items"]
        assert (line["position"], line["kind"]) == (deal["position"], "company.deal_opened")
        assert line["late_s"] == 4 * 86_400
        for more in (
            {"least_days": 5}, {"kind": "person."}, {"as_of": str(deal["position"] - 1)},
        ):  # fmt: skip
            if "as_of" in more:
                this_week["from"], this_week["to"] = "1", "1"
            assert (await found(ana, "/late-facts", **this_week, **more))["items"] == []
        lines = await ana.get(
            "/late-facts", params=last_week | {"from": "1", "to": str(deal["position"])},
            headers={"accept": "text/csv"},
        )  # fmt: skip
        assert lines.text.startswith("position,at,recorded_at,by,kind,line")

        backwards = await ana.get("/deals/changes", params={"from": "3", "to": "2"})
        assert faults(backwards) == {"query:from": "it lies after `to`"}
        ahead = {"from": (monday + timedelta(days=30)).isoformat()}
        assert "query:from" in faults(await ana.get("/late-facts", params=ahead))
        problem(await ana.get("/late-facts", params={"from": "9999"}), 422, "after-the-head")
