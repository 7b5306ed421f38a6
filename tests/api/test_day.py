"""A consultant's day over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, REPLY, SENT, found, problem, written

pytestmark = pytest.mark.anyio


async def test_what_do_i_owe_today_is_one_read(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve", "found_by": "consultant:ben"}))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    promises = f"/people/{ada}/follow-ups"

    async def promise(due_on: str, **rest: Any) -> str:
        receipt = await written(ana, promises, {"due_on": due_on} | rest)
        return str(receipt["created"])

    late = await promise("2026-03-01", text="Send the contract", company_id=engines)
    today = await promise("2026-03-09")
    await promise("2026-03-10")
    of_ben = await promise("2026-03-09", owner="consultant:ben")
    over = await promise("2026-03-02")
    put_off = await promise("2026-03-03")
    await written(ana, f"{promises}/changes", {
        "kind": "person.follow_up_done", "follow_up_id": over, "done_at": "2026-03-03T09:00:00Z",
    })  # fmt: skip
    await written(ana, f"{promises}/changes", {
        "kind": "person.follow_up_snoozed", "follow_up_id": put_off, "until_on": "2026-03-12",
        "snoozed_at": "2026-03-03T09:00:00Z", "reason": "on_holiday",
    })  # fmt: skip
    await written(ana, f"/people/{ada}/interactions", SENT)
    await written(ana, f"/people/{ada}/interactions", REPLY)
    await written(ana, f"/people/{eve}/interactions", REPLY | {"message_id": "<3@them>"})
    project()

    mine = await found(ana, "/day", on="2026-03-09")
    assert (mine["owner"], mine["on"]) == ("consultant:ana", "2026-03-09")
    assert [each["id"] for each in mine["follow_ups"]] == [late, today]
    assert (mine["follow_ups"][0]["company"], mine["follow_ups"][0]["text"]) == (
        "Analytical Engines", "Send the contract",
    )  # fmt: skip
    assert [each["person_id"] for each in mine["answers"]] == [ada]
    bens = await found(ana, "/day", on="2026-03-09", owner="consultant:ben")
    assert [each["id"] for each in bens["follow_ups"]] == [of_ben]
    assert [each["person_id"] for each in bens["answers"]] == [eve]
    assert put_off in [f["id"] for f in (await found(ana, "/day", on="2026-03-12"))["follow_ups"]]
    assert (await found(ana, "/day", on="2024-03-01"))["answers"] == []

    answered = SENT | {"message_id": "<9@us>", "sent_at": "2024-03-02T13:00:00Z"}
    await written(ana, f"/people/{ada}/interactions", answered)
    project()
    assert (await found(ana, "/day"))["answers"] == []
    listed = await found(ana, "/follow-ups", person_id=ada, done=True)
    assert [each["id"] for each in listed["items"]] == [over]
    assert (await found(ana, "/follow-ups", person_id=eve))["items"] == []
    lines = [line["line"] for line in (await found(ana, f"/people/{ada}/history"))["items"]]
    assert {
        "follow-up promised for 2026-03-01", "follow-up done",
        "follow-up put off until 2026-03-12: on holiday",
    } <= set(lines)  # fmt: skip


async def test_a_promise_to_two_people_is_two_promises(ana: httpx.AsyncClient) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    made = await written(ana, f"/people/{ada}/follow-ups", {"due_on": "2026-03-09"})
    again = {"due_on": "2026-03-09", "follow_up_id": made["created"]}
    for person in (ada, eve):
        answer = await ana.post(f"/people/{person}/follow-ups", json=again)
        problem(answer, 409, "follow-up-id-taken")
    done = {"kind": "person.follow_up_done", "follow_up_id": made["created"]}
    answer = await ana.post(f"/people/{eve}/follow-ups/changes", json=done)
    problem(answer, 404, "no-such-follow-up")
    await written(ana, f"/people/{ada}/follow-ups/changes", done)
    answer = await ana.post(f"/people/{ada}/follow-ups/changes", json=done)
    problem(answer, 409, "follow-up-is-done")
