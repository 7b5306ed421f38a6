"""A script that uses our client does not lose, double or miss anything, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from ledger_crm.client import AsyncClient, Client, Problem
from running import Running, running
from waiting import PATIENCE_S

pytestmark = pytest.mark.xdist_group("the client")  # one house for all

TAGGED = {"kind": "person.tagged", "tag": "vip"}


DOCUMENT = Path(__file__, "../../../docs/openapi.json").resolve()


class Person(msgspec.Struct):
    """What this script needs of one."""

    id: str
    name: str


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("client")) as up:
        yield up


@pytest.fixture
def key(up: Running) -> str:
    return (Path(up.home) / "api.key").read_text().strip()


class Flaky(httpx.HTTPTransport):
    """Loses every other answer after the server gave it."""

    lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        self.lost += 1
        if self.lost % 2:
            answer.close()
            raise httpx.ReadError("lost", request=request)
        return answer


def test_what_it_writes_it_reads_and_nothing_is_written_twice(up: Running, key: str) -> None:
    transport = Flaky()
    with Client(up.url, key, transport=transport) as crm:
        before = crm.get("/health/ready")["head"]
        ids = [str(crm.write("/people", {"name": f"Vip {n}"}).id) for n in range(5)]
        for id in ids:
            trial = crm.try_out(f"/people/{id}/tags", TAGGED)
            assert [entry["kind"] for entry in trial.entries] == ["person.tagged"]
            assert crm.write(f"/people/{id}/tags", TAGGED, if_match="*").version == trial.version
        found = [person.id for person in crm.pages("/people", Person, tag="vip", limit=2)]
        assert sorted(found) == sorted(ids), "all of them, read right after they were written"
        vips = {"criteria": {"tags": ["vip"]}}
        by_body = crm.pages("/people/lookups", Person, body=vips, limit=2, count=True)
        assert [person.id for person in by_body] == found
        assert crm.total_count == "5"
        added = [each["kind"] for each in crm.pages("/events", kind="person.sourced", after=before)]
        assert len(added) == 5, "each once"
        told = [entry["kind"] for entry in crm.pages("/events", kind="person.tagged")]
        assert told == ["person.tagged"] * 5, "there `after` would mean another thing"
        assert crm.position == before + 10, "each once, though every other answer was lost"
        whole = crm.batch(
            [{"path": f"/people/{id}/tags", "body": TAGGED | {"tag": "x"}} for id in ids],
            all_or_nothing=True,
        )
        assert [each["status"] for each in whole] == [201] * 5
    assert transport.lost > 20


def test_a_refusal_is_a_problem_with_its_facts(up: Running, key: str) -> None:
    with Client(up.url, key) as crm:
        crm.write("/people", {"name": "Ada", "email": "ada@client.example"})
        with pytest.raises(Problem) as told:
            crm.write("/people", {"name": "Twin", "email": "ada@client.example"})
        assert (told.value.status, told.value.code) == (409, "contact-point-taken")
        assert told.value.facts["holder"]
        with pytest.raises(Problem) as told:
            crm.write("/people", {"nme": "Twin"})
        assert told.value.facts["faults"]
    with Client(up.url, "lcrm_none") as nobody, pytest.raises(Problem) as told:
        nobody.get("/people")
    assert told.value.status == 401


def test_it_searches_sees_who_it_is_and_says_what_is_not_for_it(up: Running, key: str) -> None:
    async def searched() -> Any:
        async with AsyncClient(up.url, key) as crm:
            await crm.write("/people", {"name": "Sofja Kowalewskaja"})
            return await crm.ask("/search/lookups", {"words": "kowalewskaja"}, limit=5)

    with Client(up.url, key) as crm:
        id = crm.write("/people", {"name": "Maria Mitchell"}).id
        hits = crm.ask("/search/lookups", {"words": "mitchell"}, limit=5)
        assert str(id) in str(hits), "right after it was written"
        assert "Sofja" in str(asyncio.run(searched()))
        assert crm.get("/session")["role"] == "owner"
        assert isinstance(list(crm.pages("/access-log", limit=1)), list)
        assert "candidate" in str(list(crm.pages("/pipelines"))), "a list without pages"
        told = {
            "no-receipt": lambda: crm.write("/search/lookups", {"words": "mitchell"}),
            "no-json": lambda: crm.get("/metrics"),
            "no-list": lambda: list(crm.pages(f"/people/{id}")),
        }
        for code, asked in told.items():
            with pytest.raises(Problem) as no:
                asked()
            assert no.value.code == code
            assert str(no.value).startswith(("GET /", "POST /")), "it names what was asked"


def test_after_a_write_it_asks_each_path_for_what_the_document_says_it_takes() -> None:
    document = json.loads(DOCUMENT.read_text())
    asked: dict[str, bool] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201, json={"id": str(UUID(int=1)), "version": 1, "position": 7})
        asked[request.url.path] = request.url.params.get("after") == "7"
        return httpx.Response(200, json={})

    takes = {
        path: any(
            each.get("name") == "after" and "The answer holds" in each.get("description", "")
            for each in methods["get"].get("parameters", ())
        )
        for path, methods in document["paths"].items()
        if "get" in methods and path != "/events/stream"
    }
    with Client("http://crm", "lcrm_x", transport=httpx.MockTransport(answer)) as crm:
        crm.write("/people", {"name": "Ada"})
        for path in takes:
            crm.get(path.replace("{", "").replace("}", ""))
    wrong = [p for p, does in takes.items() if asked[re.sub("[{}]", "", p)] != does]
    assert wrong == []


def test_it_follows_through_a_server_that_is_killed(up: Running, key: str) -> None:
    async def journey() -> list[int]:
        async with AsyncClient(up.url, key, attempts=12) as crm:
            begin = (await crm.get("/health/ready", after=None))["head"]
            heard: list[int] = []

            async def follow() -> None:
                async for entry in crm.follow(after=begin, kinds=["company."]):
                    heard.append(entry.position)

            following = asyncio.create_task(follow())
            for n in range(30):
                receipt = await crm.write("/companies", {"name": f"Engines {begin} {n}"})
                if n == 10:
                    [api] = up.pids("worker api")[:1]
                    os.kill(api, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_S):
                while heard[-1:] != [receipt.position]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            following.cancel()
            assert heard == list(range(begin + 1, begin + 31))
            shown = [each["name"] async for each in crm.pages("/companies", limit=7)]
            assert len({name for name in shown if f" {begin} " in name}) == 30
            return heard

    assert len(asyncio.run(journey())) == 30


def test_of_a_server_that_is_not_there_it_says_so_in_the_end() -> None:
    with (
        Client("http://127.0.0.1:9", "lcrm_x", attempts=2) as crm,
        pytest.raises(httpx.TransportError),
    ):
        crm.get("/people")
