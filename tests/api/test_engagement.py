"""Engagement over the API: the day on which it is asked decides who is quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, NOTE, REPLY, SENT, found, problem, written
from ledger_crm.domain.clock import now, stopped_at

pytestmark = pytest.mark.anyio


async def ids(client: httpx.AsyncClient, path: str, **params: Any) -> list[str]:
    return [item["id"] for item in (await found(client, path, **params))["items"]]


async def test_who_owes_an_answer_is_who_wrote_first_of_the_two(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    (await written(ana, "/people", {"name": "Nobody wrote to"}))["id"]
    await written(ana, f"/people/{ada}/interactions", REPLY)
    await written(ana, f"/people/{ada}/interactions", SENT | {"thread_id": "t"})  # came in late
    await written(ana, f"/people/{eve}/interactions", SENT)
    tracked = {"channel": "email", "message_id": "<1@us>"}
    opened = {"kind": "person.message_opened", "opened_at": "2024-03-02T10:00:00Z"}
    for _ in range(2):
        await written(ana, f"/people/{eve}/interactions", tracked | opened)
    clicked = {"kind": "person.link_clicked", "clicked_at": "2024-03-02T10:01:00Z"}
    await written(ana, f"/people/{eve}/interactions", tracked | clicked)
    bounced = {"kind": "person.message_bounced", "bounced_at": "2024-03-02T10:02:00Z"}
    await written(ana, f"/people/{eve}/interactions", tracked | bounced | {"permanent": True})
    project()

    assert await ids(ana, "/engagement") == [eve, ada]
    assert await ids(ana, "/engagement", owes="us") == [ada]
    assert await ids(ana, "/engagement", owes="them") == [eve]
    with_eve = await found(ana, f"/people/{eve}/engagement")
    assert (with_eve["opened_at"], with_eve["clicked_at"], with_eve["bounced_at"]) == (
        "2024-03-02T10:00:00Z", "2024-03-02T10:01:00Z", "2024-03-02T10:02:00Z",
    )  # fmt: skip
    lines = [line["line"] for line in (await found(ana, f"/people/{eve}/history"))["items"]]
    assert lines.count("message opened by email") == 1
    assert "message bounced by email, for good" in lines
    threads = await found(ana, f"/people/{ada}/threads")
    assert [(t["thread_id"], t["sent"], t["replied"]) for t in threads] == [("", 0, 1), ("t", 1, 0)]

    met = {"kind": "person.meeting_held", "started_at": "2024-03-03T10:00:00Z"}
    await written(ana, f"/people/{ada}/interactions", met)
    project()
    assert await ids(ana, "/engagement", owes="nobody") == [ada]
    page = await found(ana, "/engagement", limit=1)
    assert await ids(ana, "/engagement", limit=1, cursor=page["next"]) == [ada]


async def test_who_has_gone_quiet_is_listed_once_until_snoozed_and_again_after(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    today = now()
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/people/{ada}/interactions", SENT | {"company_id": engines})
    yesterday = (today - timedelta(days=1)).isoformat()
    await written(ana, f"/people/{eve}/interactions", SENT | {"sent_at": yesterday})
    project()
    assert await ids(ana, "/engagement/quiet", days=30) == [ada]
    assert await ids(ana, "/engagement/quiet", kind="company") == [engines]
    assert await ids(ana, "/engagement/quiet", days=3650) == []

    until = (today + timedelta(days=10)).date().isoformat()
    for path in (f"/people/{ada}", f"/companies/{engines}"):
        snooze = {"until_on": until, "reason": "parental_leave"}
        await written(ana, f"{path}/quiet-snoozes", snooze)
        problem(
            await ana.post(f"{path}/quiet-snoozes", json=snooze | {"until_on": "2024-01-01"}),
            422, "lasts-until-before",
        )  # fmt: skip
    project()
    assert await ids(ana, "/engagement/quiet", days=30) == []
    assert await ids(ana, "/engagement/quiet", kind="company") == []
    shown = await found(ana, f"/companies/{engines}/engagement")
    assert (shown["snoozed_until_on"], shown["snooze_reason"]) == (until, "parental_leave")
    history = await found(ana, f"/companies/{engines}/history")
    assert f"may be quiet until {until}: parental leave" in [x["line"] for x in history["items"]]
    with stopped_at(today + timedelta(days=11)):
        assert await ids(ana, "/engagement/quiet", days=30) == [ada]
        assert await ids(ana, "/engagement/quiet", days=1) == [ada, eve]


async def test_a_note_is_in_the_history_of_everybody_it_mentions(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada, eve, ben = [(await written(ana, "/people", {"name": n}))["id"] for n in ("A", "E", "B")]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/people/{ada}/interactions", NOTE | {"mentions": [eve, engines]})
    nobody = NOTE | {"mentions": ["01939b2e-5c1a-7d0e-8f3b-2a6c4d9e1f70"]}
    problem(await ana.post(f"/people/{ada}/interactions", json=nobody), 404, "no-such-record")
    project()
    for subject in (f"people/{eve}", f"companies/{engines}"):
        history = await found(ana, f"/{subject}/history")
        assert [x["person_id"] for x in history["items"] if x["line"] == "note"] == [ada]
    assert "note" not in [x["line"] for x in (await found(ana, f"/people/{ben}/history"))["items"]]
