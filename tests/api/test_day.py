"""A consultant's day over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, ORDER, REPLY, SENT, found, problem, written

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


async def test_who_wants_no_answer_or_is_to_be_left_alone_waits_for_none(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    for n, person in enumerate((ada, eve)):
        reply = REPLY | {"message_id": f"<{n}@them>"}
        await written(ana, f"/people/{person}/interactions", reply)

    async def waiting(on: str) -> set[str]:
        project()
        day = await found(ana, "/day", on=on)
        return {each["person_id"] for each in day["answers"]}

    async def quiet() -> set[str]:
        return {each["id"] for each in (await found(ana, "/engagement/quiet", days=30))["items"]}

    assert await waiting("2024-03-05") == await quiet() == {ada, eve}
    enough = {"kind": "person.no_answer_needed", "said_at": "2024-03-03T09:00:00Z"}
    await written(ana, f"/people/{ada}/interactions", enough | {"reason": "said_thanks"})
    assert await waiting("2024-03-05") == {eve}
    assert (await found(ana, f"/people/{ada}/engagement"))["owes"] == "nobody"
    assert await quiet() == {ada, eve}, "nothing passed between us all the same"
    more = REPLY | {"message_id": "<9@them>", "replied_at": "2024-03-04T09:00:00Z"}
    await written(ana, f"/people/{ada}/interactions", more)
    assert await waiting("2024-03-05") == {ada, eve}, "what they say later waits again"

    stop = {"kind": "person.do_not_contact_set", "set_at": "2024-03-04T09:00:00Z"}
    await written(ana, f"/people/{eve}/permissions", stop | {"until_on": "2024-03-31"})
    assert await waiting("2024-03-05") == {ada}
    assert await waiting("2024-04-01") == {ada, eve}, "it is over"
    await written(ana, f"/people/{eve}/permissions", stop | {"set_at": "2024-03-05T09:00:00Z"})
    assert await waiting("2024-04-01") == await quiet() == {ada}
    lines = [line["line"] for line in (await found(ana, f"/people/{ada}/history"))["items"]]
    assert "no answer needed: said thanks" in lines


async def test_interviews_of_the_day_and_offers_and_guarantees_that_end_are_in_it(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/companies/{company}/fees", FEE | {"guarantee_days": 90})
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    ada = (await written(ana, "/people", ADA))["id"]
    on = {"company_id": company, "job_order_id": order}
    candidacy = (await written(ana, f"/people/{ada}/candidacies", on))["created"]
    way = f"/people/{ada}/candidacies/{candidacy}"
    await written(ana, f"{way}/rights-to-represent", {"given_at": "2024-03-01T09:00:00Z"})
    await written(ana, f"{way}/introductions", {"introduced_at": "2024-03-01T09:00:00Z"})

    def fact(kind: str, **said: Any) -> dict[str, Any]:
        return {"kind": f"person.{kind}", "candidacy_id": candidacy} | said

    async def told(day: str, owner: str = "consultant:ana") -> list[tuple[str, str]]:
        project()
        shown = await found(ana, "/day", on=day, owner=owner)
        return [(each["kind"], each["on"]) for each in shown["occasions"]]

    meet = fact("interview_arranged", arranged_at="2024-03-02T09:00:00Z",
                starts_at="2024-03-05T09:00:00Z")  # fmt: skip
    interview = (await written(ana, f"/people/{ada}/interviews", meet))["created"]
    assert await told("2024-03-05") == [("interview", "2024-03-05")]
    assert await told("2024-03-04") == await told("2024-03-06") == []
    held = fact("interview_held", interview_id=interview, held_at="2024-03-05T10:00:00Z")
    await written(ana, f"/people/{ada}/interviews", held)
    assert await told("2024-03-05") == []

    offer = fact("offer_made", made_at="2024-03-06T09:00:00Z", first_year_pay_cents=8_000_000,
                 expires_on="2024-03-12")  # fmt: skip
    made = (await written(ana, f"/people/{ada}/offers", offer))["created"]
    assert await told("2024-03-08") == []
    assert await told("2024-03-09") == await told("2024-03-20") == [("offer", "2024-03-12")]
    yes = fact("offer_accepted", offer_id=made, accepted_at="2024-03-11T09:00:00Z")
    await written(ana, f"/people/{ada}/offers", yes)
    assert await told("2024-03-12") == []

    job = {"starts_on": "2024-04-01", "first_year_pay_cents": 8_000_000}
    await written(ana, f"{way}/placements", job | {"placed_at": "2024-03-11T09:00:00Z"})
    await written(ana, f"{way}/starts", {"starts_on": "2024-04-01"})
    assert await told("2024-06-14") == []
    assert await told("2024-06-16") == [("guarantee", "2024-06-29")]
    assert await told("2024-06-30") == []

    ben = "consultant:ben"
    staffed = {
        "kind": "company.job_order_staffed", "job_order_id": order, "owner": ben,
        "shares": [{"consultant": ben, "share_bp": 10_000}],
    }  # fmt: skip
    await written(ana, f"/companies/{company}/job-orders/steps", staffed | {
        "staffed_at": "2024-04-02T09:00:00Z"
    })  # fmt: skip
    assert await told("2024-06-16") == []
    assert await told("2024-06-16", ben) == [("guarantee", "2024-06-29")]


async def test_what_concerns_nobody_in_particular_is_the_companys(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    acme, bolt = [(await written(ana, "/companies", {"name": n}))["id"] for n in ("Acme", "Bolt")]
    at = f"/companies/{acme}"
    note = {"kind": "company.note_written", "text": "They move to the docks", "mentions": [ada]}
    call = {"kind": "company.call_held", "started_at": "2024-03-04T09:00:00Z", "duration_s": 120}
    await written(ana, f"{at}/interactions", note)
    await written(ana, f"{at}/interactions", call)
    due = {"due_on": "2026-03-09", "text": "Ask who follows the director"}
    owed = (await written(ana, f"{at}/follow-ups", due))["created"]
    project()

    lines = {line["line"] for line in (await found(ana, f"{at}/history"))["items"]}
    assert {"note", "call, 2 min", "follow-up promised for 2026-03-09"} <= lines
    theirs = (await found(ana, f"/people/{ada}/history"))["items"]
    assert (theirs[0]["line"], theirs[0]["company"]) == ("note", "Acme")
    engagement = await found(ana, f"{at}/engagement")
    assert (engagement["reached_at"], engagement["by"]) == (call["started_at"], "consultant:ana")
    quiet = await found(ana, "/engagement/quiet", kind="company")
    assert [each["id"] for each in quiet["items"]] == [acme]
    hits = (await ana.post("/search/lookups", json={"words": "docks"})).json()["items"]
    assert [(hit["id"], hit["found_in"]) for hit in hits] == [(acme, ["notes"])]
    calls = await found(ana, "/activity", since="2024-03-01", until="2024-04-01")
    assert [(each["consultant"], each["calls"]) for each in calls] == [("consultant:ana", 1)]
    (today,) = (await found(ana, "/day", on="2026-03-09"))["follow_ups"]
    assert (today["id"], today["person"], today["company"]) == (owed, None, "Acme")
    for company, those in ((acme, [owed]), (bolt, [])):
        listed = (await found(ana, "/follow-ups", company_id=company))["items"]
        assert [each["id"] for each in listed] == those

    done = {"kind": "company.follow_up_done", "follow_up_id": owed}
    answer = await ana.post(f"/companies/{bolt}/follow-ups/changes", json=done)
    problem(answer, 404, "no-such-follow-up")
    answer = await ana.post(f"/people/{ada}/follow-ups", json=due | {"follow_up_id": owed})
    problem(answer, 409, "follow-up-id-taken")
    answer = await ana.post(f"{at}/interactions", json=note | {"mentions": [owed]})
    problem(answer, 404, "no-such-record")
    await written(ana, f"{at}/follow-ups/changes", done)
    project()
    assert (await found(ana, "/day", on="2026-03-09"))["follow_ups"] == []
