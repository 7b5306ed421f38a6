"""A pipeline's stages are renamed, reordered and retired half-way through a year: last year's
conversion report does not move, and this year's counts the new stage with the old one.
And the forecast of a moment, as known then, next to the same as known today.

Against the servers as the user starts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from running import Running

pytestmark = pytest.mark.xdist_group("searchers")

LAST = {"since": "2025-01-01", "until": "2026-01-01"}
THIS = {"since": "2026-01-01", "until": "2027-01-01"}
GROUPS: list[dict[str, str]] = [
    {}, {"by": "pipeline"}, {"by": "client"}, {"by": "source"}, {"by": "consultant"},
]  # fmt: skip
FOUND = {"id": "found", "label": "Found", "category": "sourced"}
CALLED = {"id": "called", "label": "Called", "category": "screening"}
LIKED = {"id": "liked", "label": "Liked", "category": "qualified"}
GONE = {"id": "gone", "label": "Gone", "category": "withdrawn"}


@pytest.fixture(scope="module")
def api(searchers: Running) -> Iterator[httpx.Client]:
    with searchers.api() as api:
        yield api


def post(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_last_years_report_does_not_move_whatever_becomes_of_the_stages(api: httpx.Client) -> None:
    def define(*stages: dict[str, Any]) -> None:
        pipeline = {"slug": "interim", "title": "Interim", "subject": "candidate"}
        answer = api.put("/pipelines/interim", json=pipeline | {"stages": stages})
        assert answer.status_code == 200, answer.text

    def put_on(name: str, day: str) -> str:
        person = post(api, "/people", name=name, channel="referral")["id"]
        where = {"company_id": client, "job_order_id": order, "opened_at": f"{day}T09:00:00Z"}
        opened = post(api, f"/people/{person}/candidacies", **where)["created"]
        return f"/people/{person}/candidacies/{opened}/moves"

    def move(way: str, stage: str, day: str, **why: str) -> int:
        receipt = post(api, way, stage=stage, at=f"{day}T09:00:00Z", **why)
        return int(receipt["position"])

    def report(period: dict[str, str], **asked: Any) -> Any:
        answer = api.get("/funnel", params=period | asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    define(FOUND, CALLED, LIKED, GONE)
    client = post(api, "/companies", name="Eiderveld Freight")["id"]
    order = post(
        api, f"/companies/{client}/job-orders", title="Planner", pipeline="interim",
        opened_at="2025-01-01T00:00:00Z",
    )["created"]  # fmt: skip
    ada, ben = put_on("Ada", "2025-02-01"), put_on("Ben", "2025-03-01")
    move(ada, "called", "2025-02-05")
    move(ada, "liked", "2025-02-06")
    why = {"reason": "pay", "decided_by": "candidate"}
    last = move(ben, "gone", "2025-03-31", **why)
    before = [report(LAST, after=last, **by) for by in GROUPS]
    assert [(line["category"], line["entered"], line["went_on"]) for line in before[0]] == [
        ("sourced", 2, 1), ("screening", 1, 1), ("qualified", 1, 0), ("withdrawn", 1, 0),
    ]  # fmt: skip

    tested = {"id": "tested", "label": "Tested", "category": "screening"}
    define(tested, LIKED | {"label": "Loved"}, FOUND, CALLED | {"retired": True}, GONE)
    cyd = put_on("Cyd", "2026-01-05")
    refused = api.post(cyd, json={"stage": "called", "at": "2026-01-06T09:00:00Z"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/stage-is-retired")
    move(cyd, "tested", "2026-01-06")
    last = move(ada, "gone", "2026-01-07", **why)

    assert [report(LAST, after=last, **by) for by in GROUPS] == before
    assert [(line["category"], line["entered"]) for line in report(THIS)] == [
        ("screening", 1), ("withdrawn", 1),
    ]  # fmt: skip
    both = report({"since": LAST["since"], "until": THIS["until"]})
    entered = {line["category"]: line["entered"] for line in both}
    assert entered["screening"] == 2, "the new stage counts with the old one"


def test_a_forecast_as_it_was_known_stands_next_to_what_is_known_of_that_moment_now(
    api: httpx.Client,
) -> None:
    """Given a deal, and another that was told after it of the day before it, when the first is won,
    then the forecast of the moment at which only it was known has it as known then, both by what is
    known now; and that of today has the other."""
    client = post(api, "/companies", name="Eiderveld Bridges")["id"]
    first = post(api, f"/companies/{client}/deals", title="A director", value_cents=3_000_000)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    post(
        api, f"/companies/{client}/deals", title="Two planners", value_cents=1_000_000,
        opened_at=yesterday,
    )  # fmt: skip
    won = f"/companies/{client}/deals/{first['created']}/moves"
    last = post(api, won, stage="won")["position"]

    def forecast(**asked: Any) -> list[int]:
        answer = api.get("/deals/forecast", params={"company_id": client, **asked})
        assert answer.status_code == 200, answer.text
        return [month["value_cents"] for month in answer.json()]

    assert forecast(after=last) == [1_000_000]
    assert forecast(as_of=first["position"]) == [3_000_000]
    assert forecast(as_of=first["position"], known="now") == [4_000_000]
