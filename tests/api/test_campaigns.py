"""Campaigns over the API: who is in one, what is due, and what ends it by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, found, problem, written

pytestmark = pytest.mark.anyio

Project = Callable[[], None]
SPRING = {
    "slug": "spring",
    "title": "Spring",
    "steps": [{"channel": "email"}, {"channel": "linkedin", "after_days": 4}],
}
ENROLL = {
    "kind": "person.enrolled", "campaign": "spring", "enrolled_at": "2026-03-02T09:00:00Z"
}  # fmt: skip


def step(n: int, day: str, **rest: Any) -> dict[str, Any]:
    return {
        "kind": "person.message_sent", "channel": "email", "message_id": f"<{n}@us>",
        "sent_at": f"{day}T10:00:00Z", "campaign": "spring",
    } | rest  # fmt: skip


def reply(day: str) -> dict[str, Any]:
    return {
        "kind": "person.message_replied", "channel": "email", "message_id": f"<{day}@them>",
        "replied_at": f"{day}T10:00:00Z",
    }  # fmt: skip


async def put(ana: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await ana.put(f"/campaigns/{body['slug']}", json=body)


async def enrolled(ana: httpx.AsyncClient, *names: str) -> list[str]:
    answer = await put(ana, SPRING)
    assert answer.status_code == 200, answer.text
    people = [(await written(ana, "/people", {"name": name}))["id"] for name in names]
    for person in people:
        await written(ana, f"/people/{person}/campaigns", ENROLL)
    return people


async def test_each_step_is_due_after_the_one_before_and_the_last_one_finishes(
    ana: httpx.AsyncClient, project: Project
) -> None:
    [ada, eve] = await enrolled(ana, "Ada", "Eve")
    assert (await written(ana, f"/people/{ada}/campaigns", ENROLL))["position"] is None
    said = f"/people/{ada}/interactions"
    await written(ana, said, step(1, "2026-03-03"))
    again = await written(ana, said, step(1, "2026-03-03"))
    assert again["position"] is None, "delivered again, it is no second step"
    project()

    async def due(day: str) -> dict[str, tuple[int, str]]:
        page = await found(ana, "/campaigns/spring/people", due_on=day)
        return {each["person"]: (each["next_step"], each["next_due_on"]) for each in page["items"]}

    assert await due("2026-03-01") == {}
    assert await due("2026-03-06") == {"Eve": (1, "2026-03-02")}
    assert await due("2026-03-07") == {"Eve": (1, "2026-03-02"), "Ada": (2, "2026-03-07")}

    await written(ana, said, step(2, "2026-03-08"))
    again = await written(ana, said, step(2, "2026-03-08"))
    assert again["position"] is None, "delivered again after the campaign was finished"
    project()
    [ended] = await found(ana, f"/people/{ada}/campaigns")
    assert (ended["status"], ended["sent"], ended["next_step"], ended["ended_at"]) == (
        "finished", 2, None, "2026-03-08T10:00:00Z",
    )  # fmt: skip
    [spring] = await found(ana, "/campaigns")
    counts = ("enrolled", "running", "finished", "stopped", "replied")
    assert [spring[count] for count in counts] == [2, 1, 1, 0, 0]
    lines = [line["line"] for line in (await found(ana, f"/people/{ada}/history"))["items"]]
    assert lines[1:] == [
        "campaign spring finished", "message sent by email, campaign spring",
        "message sent by email, campaign spring", "enrolled in campaign spring",
    ]  # fmt: skip
    third = await ana.post(said, json=step(3, "2026-03-09"))
    assert problem(third, 409, "not-enrolled")["campaign"] == "spring"
    await written(ana, f"/people/{ada}/campaigns", ENROLL | {"enrolled_at": "2026-05-02T09:00:00Z"})
    await written(ana, said, step(3, "2026-05-03"))
    project()
    [anew] = await found(ana, f"/people/{ada}/campaigns")
    assert (anew["status"], anew["sent"], anew["since"]) == ("running", 1, "2026-05-02T09:00:00Z")
    assert {p["person"] for p in (await found(ana, "/campaigns/spring/people", status="running"))[
        "items"]} == {"Ada", "Eve"}  # fmt: skip
    assert eve


async def test_whoever_replies_or_asks_us_to_stop_is_written_to_no_more(
    ana: httpx.AsyncClient, project: Project
) -> None:
    people = await enrolled(ana, "Replies", "Stops", "Withdraws", "Replied before", "By hand")
    first, stops, withdraws, before, by_hand = (f"/people/{id}" for id in people)
    await written(ana, f"{first}/interactions", reply("2026-03-04"))
    alone = {"kind": "person.do_not_contact_set", "set_at": "2026-03-04T10:00:00Z"}
    await written(ana, f"{stops}/permissions", alone)
    no = {"kind": "person.consent_withdrawn", "withdrawn_at": "2026-03-04T10:00:00Z"}
    await written(ana, f"{withdraws}/permissions", no)
    await written(ana, f"{before}/interactions", reply("2026-02-04"))  # told late
    stop = {"kind": "person.campaign_stopped", "campaign": "spring", "reason": "hired"}
    await written(ana, f"{by_hand}/campaigns", stop)
    assert (await written(ana, f"{by_hand}/campaigns", stop))["position"] is None
    project()

    page = await found(ana, "/campaigns/spring/people")
    told = {each["person"]: (each["status"], each["reason"]) for each in page["items"]}
    assert told == {
        "Replies": ("stopped", "replied"),
        "Stops": ("stopped", "do_not_contact"),
        "Withdraws": ("stopped", "consent_withdrawn"),
        "Replied before": ("running", ""),
        "By hand": ("stopped", "hired"),
    }
    assert (await found(ana, "/campaigns/spring"))["replied"] == 1
    problem(await ana.post(f"{stops}/campaigns", json=ENROLL | {
        "enrolled_at": "2026-04-01T09:00:00Z"}), 403, "do-not-contact")  # fmt: skip
    for body in (step(1, "2026-03-05"), step(2, "2026-03-06")):
        problem(await ana.post(f"{first}/interactions", json=body), 409, "not-enrolled")


async def test_what_was_sent_before_it_ended_may_be_told_after_it(
    ana: httpx.AsyncClient, project: Project
) -> None:
    people = await enrolled(ana, "Replied", "Alone", "By hand")
    replied, alone, by_hand = (f"/people/{id}" for id in people)
    await written(ana, f"{replied}/interactions", reply("2026-03-04"))
    no = {"kind": "person.do_not_contact_set", "set_at": "2026-03-04T12:00:00Z"}
    await written(ana, f"{alone}/permissions", no)
    stop = {"kind": "person.campaign_stopped", "campaign": "spring"}
    await written(ana, f"{by_hand}/campaigns", stop)
    for path in (replied, alone, by_hand):
        await written(ana, f"{path}/interactions", step(1, "2026-03-04"))
    problem(
        await ana.post(f"{replied}/interactions", json=step(2, "2026-03-05")), 409, "not-enrolled"
    )
    project()
    page = await found(ana, "/campaigns/spring/people")
    assert {(each["status"], each["sent"], each["next_step"]) for each in page["items"]} == {
        ("stopped", 1, None)
    }


async def test_a_no_that_is_told_late_ends_what_began_after_it(
    ana: httpx.AsyncClient, project: Project
) -> None:
    people = await enrolled(ana, "No", "Withdrew", "Only for a day")
    no, withdrew, day = (f"/people/{id}" for id in people)
    alone = {"kind": "person.do_not_contact_set", "set_at": "2026-03-01T10:00:00Z"}
    await written(ana, f"{no}/permissions", alone)
    told = {"kind": "person.consent_withdrawn", "withdrawn_at": "2026-03-01T10:00:00Z"}
    await written(ana, f"{withdrew}/permissions", told)
    await written(ana, f"{day}/permissions", alone | {"until_on": "2026-03-01"})
    project()
    page = await found(ana, "/campaigns/spring/people")
    assert {each["person"]: (each["status"], each["ended_at"]) for each in page["items"]} == {
        "No": ("stopped", ENROLL["enrolled_at"]),
        "Withdrew": ("stopped", ENROLL["enrolled_at"]),
        "Only for a day": ("running", None),
    }
    earlier = ENROLL | {"enrolled_at": "2026-02-01T09:00:00Z"}
    problem(await ana.post(f"{no}/campaigns", json=earlier), 403, "do-not-contact")
    problem(await ana.post(f"{withdrew}/campaigns", json=earlier), 403, "no-consent")


async def test_steps_that_are_told_in_another_order_are_not_due_again(
    ana: httpx.AsyncClient, project: Project
) -> None:
    steps = [*SPRING["steps"], {"channel": "email", "after_days": 4}]
    [ada] = await enrolled(ana, "Ada")
    assert (await put(ana, SPRING | {"steps": steps})).status_code == 200
    for n, day in ((2, "2026-03-10"), (1, "2026-03-03")):
        await written(ana, f"/people/{ada}/interactions", step(n, day))
    project()
    [one] = await found(ana, f"/people/{ada}/campaigns")
    assert (one["last_sent_at"], one["next_due_on"]) == ("2026-03-10T10:00:00Z", "2026-03-14")


async def test_who_works_where_we_may_not_approach_anybody_is_not_enrolled(
    ana: httpx.AsyncClient,
) -> None:
    [ada] = await enrolled(ana, "Ada")
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/people/{ada}/employments", {"company_id": engines})
    limits = {"kind": "company.off_limits_agreed", "agreed_at": "2026-01-01T00:00:00Z"}
    await written(ana, f"/companies/{engines}/off-limits", limits)
    autumn = SPRING | {"slug": "autumn", "title": "Autumn"}
    assert (await put(ana, autumn)).status_code == 200
    wish = ENROLL | {"campaign": "autumn"}
    problem(await ana.post(f"/people/{ada}/campaigns", json=wish), 403, "off-limits")
    await written(ana, f"/people/{ada}/campaigns", wish | {"override": "Their director asked me"})


async def test_what_is_no_campaign_is_refused(ana: httpx.AsyncClient, project: Project) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    problem(await ana.post(f"/people/{ada}/campaigns", json=ENROLL), 404, "no-such-record")
    problem(await put(ana, SPRING | {"steps": []}), 400, "malformed")
    told = SPRING | {"steps": [{"channel": "email", "template": "none"}]}
    assert problem(await put(ana, told), 404, "no-such-record")["template"] == "none"
    problem(await ana.put("/campaigns/other", json=SPRING), 422, "slug-differs")
    assert (await put(ana, SPRING | {"retired": True})).status_code == 200
    problem(await ana.post(f"/people/{ada}/campaigns", json=ENROLL), 409, "campaign-is-retired")
    project()
    for path in ("/campaigns/none", "/campaigns/none/people"):
        problem(await ana.get(path), 404, "no-such-record")
