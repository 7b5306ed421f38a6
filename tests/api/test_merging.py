"""Two records of one person become one over the API, and two again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, NOTE, ORDER, REPLY, SENT, found, problem, written
from api.test_documents import cv

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
    "/engagement/quiet?days=30", "/candidates", "/candidates/counts?pipeline=talent", "/pools",
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
        answers = await asyncio.gather(*(self.ana.get(path) for path in paths))
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


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item.get("person_id") or item["id"] for item in items]


async def test_merged_they_are_one_and_un_merged_as_they_were(two: Two) -> None:
    before = await two.answers()
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
    card = merged[f"/people/{two.ada}"]
    assert (card["id"], card["name"]) == (two.ada, "Ada Byron")
    assert (card["headline"], card["skills"]) == ("Analyst", "Rust, Go")
    assert card["tags"] == ["rare", "vip"]
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
