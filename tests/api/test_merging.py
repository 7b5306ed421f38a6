"""Two records of one person become one over the API, and two again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, NOTE, ORDER, REPLY, SENT, found, problem, written
from api.test_campaigns import enrolled, step
from api.test_documents import cv, on_disk
from api.test_quick import LONG_WAY
from ledger_crm.domain.clock import now
from ledger_crm.vault import Vault

pytestmark = pytest.mark.anyio

ADA = {
    "name": "Ada Byron", "channel": "linkedin", "email": "ada@example.org",
    "sourced_at": "2024-01-01T09:00:00Z",
}  # fmt: skip
TWIN = {
    "name": "A. Lovelace", "channel": "referral", "email": "ada@byron.example",
    "headline": "Analyst", "sourced_at": "2024-01-02T09:00:00Z",
}  # fmt: skip
LISTS = (
    "/people", "/people?tag=vip", "/people?tag=rare", "/people?skill=rust",
    "/people?channel=referral", "/people?stage=sourced", "/engagement",
    "/engagement/quiet?days=30", "/engagement/quiet/people?days=30",
    "/candidates", "/candidates/counts?pipeline=talent", "/pools",
    "/pools/bench/members",
    "/introductions", "/placements", "/interviews", "/follow-ups", "/erasures", "/applications",
    "/day?on=2027-01-01&owner=consultant:ana", "/instalments", "/commissions", "/referrals",
    "/companies/{company}/contacts", "/companies/{company}/history",
    "/funnel?since=2024-01-01&until=2027-12-31",
)  # fmt: skip
OF_ONE = (
    "", "/history", "/documents", "/engagement", "/threads", "/pools", "/conflicts",
)  # fmt: skip


class Two:
    """Ada, and a duplicate of hers with a past of its own."""

    def __init__(self, ana: httpx.AsyncClient, project: Callable[[], None]) -> None:
        self.ana, self.project = ana, project

    async def begin(self) -> None:
        ana = self.ana
        self.ada = (await written(ana, "/people", ADA))["id"]
        self.twin = (await written(ana, "/people", TWIN))["id"]
        self.company = (await written(ana, "/companies", ENGINES))["id"]
        await written(ana, f"/companies/{self.company}/fees", FEE)
        orders = f"/companies/{self.company}/job-orders"
        self.order = (await written(ana, orders, ORDER))["created"]
        self.other = (await written(ana, orders, ORDER | {"title": "Clerk"}))["created"]

        pool = {"slug": "bench", "title": "Bench"}
        assert (await ana.put("/pools/bench", json=pool)).status_code in (200, 201)
        for id, tag in ((self.ada, "vip"), (self.twin, "vip"), (self.twin, "rare")):
            await written(ana, f"/people/{id}/tags", {"kind": "person.tagged", "tag": tag})
        await written(
            ana, f"/people/{self.twin}/profile-changes",
            {"kind": "person.profile_changed", "skills": "Rust, Go"},
        )  # fmt: skip
        for id in (self.ada, self.twin):
            pooled = {"kind": "person.pooled", "pool": "bench"}
            await written(ana, f"/people/{id}/pools", pooled)
        await written(ana, f"/people/{self.ada}/interactions", SENT)
        await written(ana, f"/people/{self.twin}/interactions", REPLY)
        await written(ana, f"/people/{self.twin}/interactions", NOTE)
        await written(
            ana, f"/people/{self.twin}/employments",
            {"company_id": self.company, "role": "hiring_manager", "starts_on": "2024-01-01"},
        )  # fmt: skip
        promise = {"due_on": "2026-12-01", "text": "Call her", "owner": "consultant:ana"}
        self.promise = (await written(ana, f"/people/{self.twin}/follow-ups", promise))["created"]
        self.document = (await written(ana, f"/people/{self.twin}/documents", cv()))["created"]
        self.theirs = await self.put(self.twin, self.order)
        self.ours = await self.put(self.ada, self.other)

    async def put(self, person: str, order: str) -> str:
        body = {"company_id": self.company, "job_order_id": order}
        made: str = (await written(self.ana, f"/people/{person}/candidacies", body))["created"]
        return made

    async def merge(self, survivor: str = "", duplicate: str = "") -> dict[str, Any]:
        body = {"duplicate_id": duplicate or self.twin, "reason": "same_person"}
        return await written(self.ana, f"/people/{survivor or self.ada}/merges", body)

    async def undo(self, survivor: str = "", duplicate: str = "") -> dict[str, Any]:
        path = f"/people/{survivor or self.ada}/merges/{duplicate or self.twin}/undo"
        return await written(self.ana, path, {"reason": "two_people"})

    async def answers(self) -> dict[str, Any]:
        """Everything that is told of them, but that they were merged."""
        self.project()
        paths = [path.format(company=self.company, order=self.order) for path in LISTS]
        paths += [f"/people/{id}{path}" for id in (self.ada, self.twin) for path in OF_ONE]
        answers = [await self.ana.get(path) for path in paths]  # in turn: four connections answer
        told = {}
        for words in ("lovelace", "byron"):
            asked = {"words": words}
            told[words] = (await self.ana.post("/search/lookups", json=asked)).json()
        for path, answer in zip(paths, answers, strict=True):
            assert answer.status_code == 200, (path, answer.text)
            body = answer.json()
            if isinstance(body, dict):
                body.pop("version", None)
                if "items" in body:
                    body["items"] = [
                        item
                        for item in body["items"]
                        if "merge" not in item.get("kind", "")
                        and item.get("kind") != "person.absorbed"
                    ]
            told[path] = body
        return told


@pytest.fixture
async def two(ana: httpx.AsyncClient, project: Callable[[], None]) -> Two:
    two = Two(ana, project)
    await two.begin()
    return two


async def listed_tags(two: Two) -> dict[str, list[str]]:
    both = {two.ada, two.twin}
    items = (await found(two.ana, "/people"))["items"]
    return {each["id"]: each["tags"] for each in items if each["id"] in both}


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item.get("person_id") or item["id"] for item in items]


async def test_merged_they_are_one_and_un_merged_as_they_were(two: Two) -> None:
    before = await two.answers()
    assert await listed_tags(two) == {two.ada: ["vip"], two.twin: ["rare", "vip"]}
    await two.merge()
    again = await two.merge()
    assert again["position"] is None

    merged = await two.answers()
    for path, body in merged.items():
        told = {**body, "absorbed": []} if isinstance(body, dict) else body
        if not path.endswith("/documents"):  # which say under whose key they are
            assert two.twin not in str(told), path
    for path in ("", "/history", "/documents", "/engagement", "/threads", "/pools"):
        of_old = merged[f"/people/{two.twin}{path}"]
        assert merged[f"/people/{two.ada}{path}"] == of_old, path
    for path in ("", "/history"):  # which are answered before the framework is
        short = await two.ana.get(f"/people/{two.twin}{path}")
        long = await two.ana.get(f"/people/{two.twin}{path}", headers=LONG_WAY)
        assert (short.content, short.headers.get("etag")) == (
            long.content,
            long.headers.get("etag"),
        )
    card = merged[f"/people/{two.ada}"]
    assert (card["id"], card["name"]) == (two.ada, "Ada Byron")
    assert (card["headline"], card["skills"]) == ("Analyst", "Rust, Go")
    assert card["tags"] == ["rare", "vip"]
    assert await listed_tags(two) == {two.ada: ["rare", "vip"]}
    assert [p["value"] for p in card["contact_points"]] == ["ada@example.org", "ada@byron.example"]
    assert [one["id"] for one in card["absorbed"]] == [two.twin]
    assert len(card["employments"]) == 1
    for path in ("/people?tag=vip", "/people?tag=rare", "/people?skill=rust", "/people"):
        assert ids(merged[path]["items"]) == [two.ada], path
    assert ids(merged["/pools/bench/members"]["items"]) == [two.ada]
    assert merged["/pools"][0]["members"] == 1
    assert ids(merged["/engagement"]["items"]) == [two.ada]
    assert {i["person_id"] for i in merged["/candidates"]["items"]} == {two.ada}
    assert ids(merged["lovelace"]["items"]) == ids(merged["byron"]["items"]) == [two.ada]
    assert ids(merged[f"/companies/{two.company}/contacts"]["items"]) == [two.ada]
    history = merged[f"/people/{two.ada}/history"]["items"]
    of_both = [before[f"/people/{id}/history"]["items"] for id in (two.ada, two.twin)]
    assert len(history) == sum(map(len, of_both))
    kinds = [line["kind"] for line in await two_lines(two)]
    assert {"person.absorbed", "person.merged"} <= set(kinds)

    await two.undo()
    assert await two.answers() == before
    problem(
        await two.ana.post(f"/people/{two.ada}/merges/{two.twin}/undo", json={}), 404, "not-merged"
    )


async def two_lines(two: Two) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = (await found(two.ana, f"/people/{two.ada}/history"))["items"]
    return lines


async def test_old_ids_lead_to_the_survivor_in_writes_too(two: Two) -> None:
    ana = two.ana
    old, new = f"/people/{two.twin}", f"/people/{two.ada}"
    two.project()
    etag = (await ana.get(old)).headers["etag"]
    await two.merge()

    refused = await ana.post(
        f"{old}/tags", json={"kind": "person.tagged", "tag": "x"}, headers={"If-Match": etag}
    )
    assert problem(refused, 409, "record-is-merged")["survivor_id"] == two.ada
    change = {"kind": "person.profile_changed", "headline": "Countess"}
    for path, body in (("profile-changes", change), ("erasure", {}), ("merges", merge_of(two.ada))):
        refused = await ana.post(f"{old}/{path}", json=body)
        assert problem(refused, 409, "record-is-merged")["survivor_id"] == two.ada

    told = await written(ana, f"{old}/interactions", REPLY | {"message_id": "<3@them>"})
    assert told["id"] == two.ada
    again = await written(ana, f"{old}/interactions", REPLY)
    assert again["position"] is None, "they said it when it was a record of its own"
    moved = {"stage": "contacted"}
    await written(ana, f"{new}/candidacies/{two.theirs}/moves", moved)
    await written(ana, f"{new}/follow-ups/changes", done_of(two.promise))
    point = {"point": "email", "value": TWIN["email"]}
    assert (await written(ana, f"{new}/contact-points", point))["position"] is None
    taken = await ana.post("/people", json={"name": "Ada", "email": TWIN["email"]})
    holder = problem(taken, 409, "contact-point-taken")["holder"]
    two.project()
    assert (await found(ana, f"/people/{holder}"))["id"] == two.ada
    [hit] = (await ana.post("/people/lookups", json=point)).json()["items"]
    assert hit["id"] == two.ada
    content = await found(ana, f"{new}/documents/{two.document}/content")
    assert content["name"] == "ada.txt"

    stale = (await ana.get(new)).headers["etag"]
    await written(ana, f"{new}/candidacies/{two.theirs}/moves", {"stage": "replied"})
    tag = {"kind": "person.tagged", "tag": "y"}
    refused = await ana.post(f"{new}/tags", json=tag, headers={"If-Match": stale})
    problem(refused, 412, "stale-version")
    two.project()
    fresh = (await ana.get(new)).headers["etag"]
    await written(ana, f"{new}/tags", tag, **{"If-Match": fresh})

    await two.undo()
    two.project()
    theirs = [line["kind"] for line in (await found(ana, f"{old}/history"))["items"]]
    assert theirs.count("person.candidacy_moved") == 2
    assert "person.follow_up_done" in theirs
    ours = [line["kind"] for line in (await found(ana, f"{new}/history"))["items"]]
    assert ours.count("person.message_replied") == 1
    assert "person.candidacy_moved" not in ours


def merge_of(duplicate: str) -> dict[str, Any]:
    return {"duplicate_id": duplicate}


def done_of(follow_up: str) -> dict[str, Any]:
    return {"kind": "person.follow_up_done", "follow_up_id": follow_up}


async def test_through_a_chain_every_old_id_leads_to_the_last(two: Two) -> None:
    ana = two.ana
    eve = (await written(ana, "/people", {"name": "Eve Byron"}))["id"]
    before = await two.answers()
    await two.merge()
    between = await two.answers()
    await two.merge(eve, two.ada)
    two.project()
    for id in (two.twin, two.ada, eve):
        card = await found(ana, f"/people/{id}")
        assert (card["id"], card["name"]) == (eve, "Eve Byron")
        assert {one["id"] for one in card["absorbed"]} == {two.ada, two.twin}
    refused = await ana.post(f"/people/{two.ada}/merges/{two.twin}/undo", json={})
    assert problem(refused, 409, "record-is-merged")["survivor_id"] == eve
    await two.undo(eve, two.ada)
    assert await two.answers() == between
    await two.undo()
    assert await two.answers() == before


async def test_what_forbids_a_merge_is_told_and_what_forbids_more_counts_for_both(
    two: Two, vault: Vault
) -> None:
    ana = two.ana
    new = f"/people/{two.ada}"
    twice = await two.put(two.ada, two.order)
    refused = await ana.post(f"{new}/merges", json=merge_of(two.twin))
    assert problem(refused, 409, "both-on-job-order")["job_order_ids"] == [two.order]
    out = {
        "stage": "rejected_by_us", "reason": "duplicate", "decided_by": "us", "decider": "Ana",
    }  # fmt: skip
    await written(ana, f"{new}/candidacies/{twice}/moves", out)
    problem(await ana.post(f"{new}/merges", json=merge_of(two.ada)), 422, "merged-with-itself")
    problem(await ana.post(f"{new}/merges", json=merge_of(two.company)), 404, "no-such-record")

    alone = {"kind": "person.do_not_contact_set", "set_at": "2024-01-05T00:00:00Z"}
    await written(ana, f"/people/{two.twin}/permissions", alone)
    held = {"kind": "person.legal_hold_placed", "placed_at": "2024-01-05T00:00:00Z"}
    hold = {"hold_id": "00000000-0000-0000-0000-00000000007a"}
    await written(ana, f"/people/{two.twin}/privacy", held | hold)
    await two.merge()
    two.project()
    message = SENT | {"message_id": "<9@us>", "sent_at": "2024-04-01T09:00:00Z"}
    problem(await ana.post(f"{new}/interactions", json=message), 403, "do-not-contact")
    assert (await found(ana, new))["contact"]["refuses"]
    assert not (await found(ana, f"{new}/conflicts"))["free"]
    reopen = await ana.post(f"{new}/candidacies/{twice}/moves", json={"stage": "contacted"})
    problem(reopen, 409, "candidacy-is-open")
    problem(await ana.post(f"{new}/erasure", json={}), 409, "under-legal-hold")
    [item] = (await found(ana, "/erasures", status="held"))["items"]
    assert item["person_id"] == two.ada

    lifted = {"kind": "person.do_not_contact_lifted", "lifted_at": now().isoformat()}
    await written(ana, f"{new}/permissions", lifted)
    await written(ana, f"{new}/interactions", SENT | {"message_id": "<10@us>", **lately()})
    released = {"kind": "person.legal_hold_released", "released_at": now().isoformat()}
    await written(ana, f"{new}/privacy", released | hold)
    two.project()
    assert not (await found(ana, new))["contact"]["refuses"]
    assert (await found(ana, f"/people/{two.twin}/conflicts"))["free"]

    assert on_disk(vault)
    await written(ana, f"{new}/erasure", {"reason": "asked_us"})
    two.project()
    assert on_disk(vault) == []
    for id in (two.ada, two.twin):
        card = await found(ana, f"/people/{id}")
        assert (card["id"], card["name"], card["contact_points"]) == (two.ada, "[erased]", [])
    assert (await found(ana, "/people"))["items"] == []
    [item] = (await found(ana, "/erasures"))["items"]
    assert (item["person_id"], item["status"]) == (two.ada, "done")
    undo = await ana.post(f"{new}/merges/{two.twin}/undo", json={})
    problem(undo, 410, "person-is-erased")


@pytest.mark.parametrize(
    ("of_x", "of_y", "since", "refuses"),
    [
        ("set 2024-01-01", "", "lifted 2024-03-01", False),
        ("set 2024-01-01", "lifted 2024-01-15", "", True),  # when Y was somebody else
        ("set 2024-03-05", "set 2024-03-01 until 2024-03-02", "", True),  # said last, on X itself
    ],
)
async def test_what_is_said_on_each_that_they_went_on_as_counts_from_then_on(
    two: Two, of_x: str, of_y: str, since: str, refuses: bool
) -> None:
    """Reads and writes agree also where X was merged into Y, and Y into Z: a word on Y was lost."""
    ana = two.ana
    x, y, z = [(await written(ana, "/people", {"name": name}))["id"] for name in "XYZ"]

    async def said(id: str, word: str) -> None:
        if word:
            how, day, *until = word.replace(" until ", " ").split()
            fact = {"kind": f"person.do_not_contact_{how}", f"{how}_at": f"{day}T00:00:00Z"}
            until_on = {"until_on": until[0]} if until else {}
            await written(ana, f"/people/{id}/permissions", fact | until_on)

    async def merged(survivor: str, id: str, day: str) -> None:
        absorbed = merge_of(id) | {"absorbed_at": f"{day}T00:00:00Z"}
        await written(ana, f"/people/{survivor}/merges", absorbed)

    await said(x, of_x)
    await said(y, of_y)
    await merged(y, x, "2024-02-01")
    await said(y, since)
    await merged(z, y, "2024-04-01")
    message, tried = SENT | {"sent_at": "2024-06-01T09:00:00Z"}, {"dry_run": True}
    answer = await ana.post(f"/people/{z}/interactions", json=message, params=tried)
    assert answer.status_code == (403 if refuses else 200), answer.text
    two.project()
    assert (await found(ana, f"/people/{z}"))["contact"]["refuses"] is refuses
    assert (await found(ana, f"/people/{z}/conflicts", on="2024-06-01"))["free"] is not refuses
    reply = REPLY | {"replied_at": "2024-06-01T09:00:00Z"}
    await written(ana, f"/people/{x}/interactions", reply)
    two.project()
    for list_ in ("/engagement/quiet", "/engagement/quiet/people"):
        assert (z in ids((await found(ana, list_, days=1))["items"])) is not refuses, list_
    day = await found(ana, "/day", on="2024-06-02", owner="consultant:ana")
    assert (z in ids(day["answers"])) is not refuses
    fit = await ana.post("/segments/lookups", json={"contactable": True})
    assert (z in ids(fit.json()["items"])) is not refuses


async def test_who_answers_to_another_record_waits_for_whom_of_us_wrote_to_them(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given somebody to whom Ana wrote, and who answered from an address that became a record of
    its own; when the two are merged; then the answer is owed by her, and not by who entered it."""
    of = {"found_by": "consultant:zoe"}
    ada, twin = [(await written(ana, "/people", of | {"name": n}))["id"] for n in ("Ada", "A.")]
    await written(ana, f"/people/{ada}/interactions", SENT)
    await written(ana, f"/people/{twin}/interactions", REPLY)
    await written(ana, f"/people/{ada}/merges", merge_of(twin))
    project()
    for owner, owed in (("consultant:ana", [ada]), ("consultant:zoe", [])):
        day = await found(ana, "/day", on="2024-03-05", owner=owner)
        assert ids(day["answers"]) == owed, owner
        assert all(each["reached_at"] == SENT["sent_at"] for each in day["answers"])
        quiet = await found(ana, "/engagement/quiet/people", days=1, owner=owner)
        assert ids(quiet["items"]) == owed, owner


def lately() -> dict[str, Any]:
    return {"sent_at": now().isoformat()}


async def test_likely_duplicates_are_listed_until_somebody_says_what_they_are(
    two: Two, project: Callable[[], None]
) -> None:
    ana = two.ana

    async def known(name: str, **more: str) -> str:
        id: str = (await written(ana, "/people", {"name": name, **more}))["id"]
        return id

    async def pairs() -> list[tuple[str, str, list[str]]]:
        project()
        items = (await found(ana, "/duplicates"))["items"]
        assert items == [await page(n) for n in range(len(items))]
        return [(item["person_id"], item["duplicate_id"], item["why"]) for item in items]

    async def page(n: int) -> dict[str, Any]:
        cursor: dict[str, str] = {}
        for _ in range(n + 1):
            one = await found(ana, "/duplicates", limit=1, **cursor)
            cursor = {"cursor": one["next"]}
        item: dict[str, Any] = one["items"][0]
        return item

    old = await known("Zoë Ng", born_on="1990-01-02")
    new = await known("NG Zoe", born_on="1990-01-02")
    await known("Zoe Ng", born_on="1991-01-02")
    await known("Zoe Nguyen", born_on="1990-01-02")
    vague = await known("Zoe Ng")
    at = {"company_id": two.company, "role": "employee"}
    for id in (old, vague):
        await written(ana, f"/people/{id}/employments", at)
    same = [(old, vague, ["employer"]), (old, new, ["birthday"])]
    assert await pairs() == same

    async def of(id: str, **more: str) -> list[str]:
        items = (await found(ana, "/duplicates", person_id=id, **more))["items"]
        return [item["duplicate_id"] for item in items]

    assert [await of(id) for id in (old, new, vague, two.ada)] == [
        [vague, new],
        [new],
        [vague],
        [],
    ]
    assert await of(old, why="employer") == [vague]
    assert await of(new, why="employer") == []
    problem(await ana.get("/duplicates?why=name"), 400, "malformed")

    await two.merge(old, new)
    assert await pairs() == same[:1]
    await two.undo(old, new)
    assert await pairs() == same[:1], "somebody looked, and they are two"
    await two.merge(old, vague)
    assert await pairs() == []
    await written(ana, f"/people/{old}/erasure", {})
    assert await pairs() == []


async def test_who_was_in_a_campaign_by_both_gets_each_step_once(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    [ada, twin] = await enrolled(ana, "Ada", "Twin")
    await written(ana, f"/people/{ada}/merges", {"duplicate_id": twin})

    async def stands() -> tuple[str, int, int | None]:
        project()
        [one] = (await found(ana, "/campaigns/spring/people"))["items"]
        assert await found(ana, f"/people/{twin}/campaigns") == [one]
        spring = await found(ana, "/campaigns/spring")
        assert (spring["enrolled"], spring[one["status"]]) == (1, 1)
        return one["status"], one["sent"], one["next_step"]

    assert await stands() == ("running", 0, 1)
    await written(ana, f"/people/{ada}/interactions", step(1, "2026-03-03"))
    assert await stands() == ("running", 1, 2)
    await written(ana, f"/people/{twin}/interactions", step(2, "2026-03-08"))
    assert await stands() == ("finished", 2, None)
    third = await ana.post(f"/people/{twin}/interactions", json=step(3, "2026-03-09"))
    problem(third, 409, "not-enrolled")

    await written(ana, f"/people/{ada}/merges/{twin}/undo", {})
    project()
    page = await found(ana, "/campaigns/spring/people")
    assert [(each["person_id"], each["sent"]) for each in page["items"]] == [(twin, 0), (ada, 2)]
    assert (await found(ana, "/campaigns/spring"))["finished"] == 2


async def test_a_receipt_tells_the_version_that_readers_see(two: Two) -> None:
    for act in (two.merge, two.undo):
        receipt = await act()
        two.project()
        card = await two.ana.get(f"/people/{two.ada}")
        assert card.headers["etag"].startswith(f'"{receipt["version"]}-')


async def test_who_is_introduced_on_one_record_and_hired_on_the_other_was_hired_past_us(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada, twin = [(await written(ana, "/people", {"name": n}))["id"] for n in ("Ada", "A. Byron")]
    company = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/companies/{company}/fees", FEE | {"tail_months": 12})
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    body = {"company_id": company, "job_order_id": order}
    candidacy = (await written(ana, f"/people/{ada}/candidacies", body))["created"]
    path = f"/people/{ada}/candidacies/{candidacy}"
    await written(ana, f"{path}/rights-to-represent", {"given_at": "2024-03-01T09:00:00Z"})
    await written(ana, f"{path}/introductions", {"introduced_at": "2024-03-02T09:00:00Z"})
    job = {"company_id": company, "starts_on": "2024-06-01"}
    await written(ana, f"/people/{twin}/employments", job)
    project()
    assert (await found(ana, "/introductions", hired_past_us=True))["items"] == []
    await written(ana, f"/people/{ada}/merges", {"duplicate_id": twin})
    project()
    [flagged] = (await found(ana, "/introductions", hired_past_us=True))["items"]
    assert (flagged["person_id"], flagged["hired_on"]) == (ada, "2024-06-01")
