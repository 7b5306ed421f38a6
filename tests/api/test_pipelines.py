"""Definitions of pipelines as they were."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from api.journey import faults, found, problem
from ledger_crm.domain.pipeline import EXITS

pytestmark = pytest.mark.anyio


def stage(id: str, label: str, category: str, **rest: object) -> dict[str, object]:
    return {"id": id, "label": label, "category": category} | rest


async def test_every_version_of_a_pipeline_stays_to_be_read_with_what_was_changed_in_it(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    lead = stage("lead", "Lead", "prospect", probability_bp=500)
    talks = stage("talks", "Talks", "meeting", probability_bp=4000)
    won, lost = stage("won", "Won", "won"), stage("lost", "Lost", "lost")
    first = {"slug": "big", "title": "Big", "subject": "deal", "stages": [lead, talks, won, lost]}
    second = first | {
        "title": "Big deals",
        "stages": [
            talks | {"label": "Talking", "probability_bp": 4500}, lead,
            stage("paper", "Proposal", "proposal"), won, lost,
        ],
    }  # fmt: skip
    third = second | {
        "stages": [*second["stages"][:1], lead | {"retired": True}, *second["stages"][2:]]
    }
    fourth = third | {"stages": second["stages"]}
    for definition in (first, second, second, third, fourth):
        answer = await ana.put("/pipelines/big", json=definition)
        assert answer.status_code == 200, answer.text
    project()

    page = await found(ana, "/pipelines/big/versions", limit=3)
    assert [each["version"] for each in page["items"]] == [4, 3, 2]
    [oldest] = (await found(ana, "/pipelines/big/versions", cursor=page["next"]))["items"]
    assert (oldest["version"], oldest["title"], oldest["changes"]) == (1, "Big", [])
    newest, retiring, changed = page["items"]
    assert (newest["until"], newest["by"]) == (None, "consultant:ana")
    assert (retiring["until"], changed["until"], oldest["until"]) == (
        newest["since"], retiring["since"], changed["since"],
    )  # fmt: skip
    told = [(d["what"], d["stage"], d["before"], d["now"]) for d in changed["changes"]]
    assert told == [
        ("titled", None, "Big", "Big deals"),
        ("renamed", "talks", "Talks", "Talking"),
        ("weighed", "talks", 4000, 4500),
        ("added", "paper", None, "Proposal"),
        ("reordered", None, "lead talks won lost", "talks lead won lost"),
    ]
    assert [(d["what"], d["stage"]) for d in retiring["changes"]] == [("retired", "lead")]
    assert [(d["what"], d["stage"]) for d in newest["changes"]] == [("in_use", "lead")]

    one = await found(ana, "/pipelines/big/versions/1")
    assert [each["label"] for each in one["stages"]] == ["Lead", "Talks", "Won", "Lost"]
    assert (one["subject"], one["until"]) == ("deal", changed["since"])
    shown = await found(ana, "/pipelines/big/versions/2")
    assert shown["changes"] == changed["changes"]
    problem(await ana.get("/pipelines/big/versions/5"), 404, "no-such-record")
    problem(await ana.get("/pipelines/none/versions"), 404, "no-such-record")
    problem(await ana.get("/pipelines/none/versions/1"), 404, "no-such-record")
    assert "path:number" in faults(await ana.get("/pipelines/big/versions/0"))
    shipped = await found(ana, "/pipelines/talent/versions/1")
    assert sum(each["category"] in EXITS for each in shipped["stages"]) == 6
