"""Every list can be asked for some fields, for another order, and how many there are."""

from __future__ import annotations

import asyncio
import json
import random
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.documented import Documented
from api.journey import ADA, ENGINES, ORDER, found, problem, written
from ledger_crm.api import confidential, ordering, permitted
from ledger_crm.api.cursors import FOREIGN
from ledger_crm.api.rows import SELECTED
from ledger_crm.commands.catalogue import create_key
from ledger_crm.commands.demo import play
from ledger_crm.ledger import Ledger
from projections.stories import a_full_story

pytestmark = pytest.mark.anyio

SEED = random.randrange(10**6)
NAMES = ["Émile", "ada", "Zoe", "Bob", "Ada"]


@pytest.fixture
async def five(ana: httpx.AsyncClient, project: Callable[[], None]) -> httpx.AsyncClient:
    for name in NAMES:
        await written(ana, "/people", {"name": name, "headline": f"The {name}"})
    project()
    return ana


async def pages(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(path, params=query | cursor)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next"] is None:
            return items
        cursor = {"cursor": answer.json()["next"]}


async def test_a_list_comes_in_another_order_page_by_page(five: httpx.AsyncClient) -> None:
    for limit in (1, 2, 50):
        names = [each["name"] for each in await pages(five, "/people", sort="name", limit=limit)]
        assert names == ["Ada", "ada", "Bob", "Émile", "Zoe"], "equals as the list has them"
    down = [each["name"] for each in await pages(five, "/people", sort="-sourced_at", limit=2)]
    assert down == NAMES[::-1]


async def test_what_comes_and_goes_meanwhile_skips_and_repeats_nothing(
    five: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    first = (await five.get("/people?sort=name&limit=3")).json()
    await written(five, "/people", {"name": "Aaron"})
    bob = first["items"][-1]["id"]
    changed = {"kind": "person.profile_changed", "name": "Yan"}
    await written(five, f"/people/{bob}/profile-changes", changed)
    project()
    rest = await found(five, "/people", sort="name", limit=50, cursor=first["next"])
    names = [each["name"] for each in rest["items"]]
    assert names == ["Émile", "Yan", "Zoe"]


async def test_a_cursor_holds_nothing_to_read_and_is_short_however_long_the_text(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    for name in "Émile Adler", "Zoe Adler", "Ada Adler":
        headline = f"{name} {'is a long story ' * 100}"[:1_000]
        await written(ana, "/people", {"name": name, "headline": headline})
    project()
    first = await found(ana, "/people", sort="headline", limit=1)
    assert len(first["next"]) < 300
    assert not re.search(b"(?i)ada|adler", urlsafe_b64decode(first["next"] + "=="))
    again = await found(ana, "/people", sort="headline", limit=1)
    assert again == first, "or it would never be unchanged"
    names = [each["name"] for each in await pages(ana, "/people", sort="headline", limit=1)]
    assert names == ["Ada Adler", "Émile Adler", "Zoe Adler"]


async def test_a_cursor_is_of_one_list_one_order_and_the_same_filters(
    five: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(five, "/companies", ENGINES))["id"]
    for title in "one", "two":
        await written(five, f"/companies/{company}/job-orders", ORDER | {"title": title})
    ids = [each["id"] for each in (await found(five, "/people"))["items"]]
    for id in ids[:2]:
        await written(five, f"/people/{id}/tags", {"kind": "person.tagged", "tag": "speaker"})
        note = {"kind": "person.note_written", "text": "Likes engines"}
        await written(five, f"/people/{id}/interactions", note)
    project()

    async def cursor(path: str, **asked: Any) -> str:
        answer = await five.request("POST" if asked else "GET", path, json=asked or None)
        token: str = answer.json()["next"]
        assert token, answer.text
        return token

    async def refused(path: str, token: str, **asked: Any) -> bool:
        method, params = "POST" if asked else "GET", httpx.URL(path).params
        url, params = httpx.URL(path).copy_with(query=None), params.set("cursor", token)
        answer = await five.request(method, url, params=params, json=asked or None)
        if answer.status_code == 200:
            return False
        [fault] = problem(answer, 400, "malformed")["faults"]
        assert fault["pointer"] == "query:cursor"
        assert fault["detail"] == FOREIGN
        return True

    own, speakers = await cursor("/people?limit=1"), await cursor("/people?tag=speaker&limit=1")
    by_name, history = await cursor("/people?sort=name&limit=1"), f"/people/{ids[0]}/history"
    begun, story = await cursor(f"{history}?limit=1"), await cursor("/events?limit=1")
    looked = await cursor("/people/lookups?limit=1", q="the ad", criteria={"channels": []})
    for path, token in (
        ("/people?tag=speaker", own), ("/people", speakers), ("/companies", own),
        ("/people?tag=speaker&channel=referral", speakers), ("/job-orders", own),
        ("/people?sort=sourced_at", by_name), ("/people?sort=-name", by_name),
        ("/people?sort=name", own), ("/people", by_name), ("/people", looked),
        (f"/people/{ids[1]}/history", begun), (f"/companies/{company}/history", begun),
        ("/events", own), ("/people", story), ("/access-log", story),
        ("/events?kind=person.", story),
        ("/people?sort=name", by_name[:-4] + "AAAA"), ("/people", "MTA"), ("/events", "MTA"),
    ):  # fmt: skip
        assert await refused(path, token), path
    assert await refused("/people/lookups", looked, q="the ad", criteria={"channels": ["agency"]})
    assert await refused("/people/lookups", own, q="the ad")
    head = (await five.get("/people")).headers["Ledger-Position"]
    for path, token in (
        ("/people?limit=3&count=true&fields=id", own), (f"/people?as_of={head}", own),
        (f"/people?as_of={head}&known=now&after={head}", own), ("/people/?limit=2", own),
        ("/people?fields=id&tag=speaker", speakers), (history, begun), ("/events", story),
    ):  # fmt: skip
        assert not await refused(path, token), path
    assert not await refused("/people/lookups", looked, criteria={"channels": []}, q="the ad")


async def test_by_what_is_true_or_false_there_are_pages_too(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    for title in "one", "two", "three":
        order = ORDER | {"title": title, "confidential": title == "two"}
        await written(ana, f"/companies/{company}/job-orders", order)
    project()
    for sort, titles in (
        ("confidential", ["three", "one", "two"]), ("-confidential", ["two", "three", "one"]),
    ):  # fmt: skip
        items = await pages(ana, "/job-orders", sort=sort, limit=1)
        assert [each["title"] for each in items] == titles


async def test_among_equals_it_goes_on_where_it_was_when_the_last_has_gone(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ids = [(await written(ana, "/people", {"name": "Ada"}))["id"] for _ in range(6)][::-1]
    project()
    first = await found(ana, "/people", sort="name", limit=3)
    assert [each["id"] for each in first["items"]] == ids[:3]
    moved = {"kind": "person.profile_changed", "name": "Bea"}
    await written(ana, f"/people/{ids[2]}/profile-changes", moved)
    project()
    rest = await found(ana, "/people", sort="name", cursor=first["next"])
    assert [each["id"] for each in rest["items"]] == [*ids[3:], ids[2]]
    for gone in ids[1:3]:
        await written(ana, f"/people/{ids[5]}/merges", {"duplicate_id": gone})
    project()
    rest = await found(ana, "/people", sort="name", cursor=first["next"])
    assert [each["id"] for each in rest["items"]] == ids[3:]


async def test_only_some_fields_and_how_many_there_are(five: httpx.AsyncClient) -> None:
    answer = await five.get("/people?fields=name,id&count=true&limit=2")
    assert answer.headers["content-type"] == SELECTED
    assert answer.headers["total-count"] == "5"
    assert [list(each) for each in answer.json()["items"]] == [["name", "id"]] * 2
    plain = await five.get("/people")
    assert plain.headers["content-type"] == "application/json"
    assert "total-count" not in plain.headers, "it costs, so only who asks is told"
    lines = await five.get("/people?fields=name", headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == [
        {"name": name} for name in NAMES[::-1]
    ]
    table = await five.get("/people?fields=headline,name", headers={"Accept": "text/csv"})
    assert table.text.split("\r\n")[:2] == ["headline,name", "The Ada,Ada"]
    assert (await five.get("/people?tag=none&count=true")).headers["total-count"] == "0"


async def test_a_list_without_pages_likewise(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    for slug, title in (("speakers", "beta"), ("alumni", "Alpha"), ("board", "Gamma")):
        pool = {"slug": slug, "title": title}
        assert (await ana.put(f"/pools/{slug}", json=pool)).status_code == 200
    project()
    answer = await ana.get("/pools?sort=-title&fields=title,slug&count=true")
    assert answer.headers["content-type"] == SELECTED
    assert answer.headers["total-count"] == "3"
    assert answer.json() == [
        {"title": "Gamma", "slug": "board"},
        {"title": "beta", "slug": "speakers"},
        {"title": "Alpha", "slug": "alumni"},
    ]
    plain = await ana.get("/pools")
    assert plain.headers["content-type"] == "application/json"
    assert "total-count" not in plain.headers
    assert [each["slug"] for each in plain.json()] == ["alumni", "board", "speakers"]
    table = await ana.get("/pools?fields=slug&sort=title", headers={"Accept": "text/csv"})
    assert table.text.split() == ["slug", "alumni", "speakers", "board"]
    lines = await ana.get("/pools?fields=slug", headers={"Accept": "application/x-ndjson"})
    assert json.loads(lines.text.splitlines()[0]) == {"slug": "alumni"}


async def test_a_history_likewise_also_as_of_then(
    five: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    person = (await written(five, "/people", ADA))["id"]
    for n in (2, 1, 3):
        note = {"kind": "person.note_written", "text": f"note {n}"}
        receipt = await written(five, f"/people/{person}/interactions", note)
    project()
    path, query = f"/people/{person}/history", {"sort": "-text", "count": "true"}
    query |= {"fields": "text", "limit": "3"}
    for when in ({"after": receipt["position"]}, {"as_of": receipt["position"]}):
        answer = await five.get(path, params=query | when)
        assert answer.status_code == 200, answer.text
        assert [each["text"] for each in answer.json()["items"]] == ["note 3", "note 2", "note 1"]
        assert int(answer.headers["total-count"]) > 3


async def test_what_cannot_be_is_said(
    five: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for query in ("fields=name,age", "sort=age", "sort=-", "fields=,"):
        [fault] = problem(await five.get(f"/people?{query}"), 400, "malformed")["faults"]
        assert "expected some of id, name" in fault["detail"]
    for query in ("sort=name,id", "sort=%20name", "sort=name%20", "sort=--name", "sort=,"):
        [fault] = problem(await five.get(f"/people?{query}"), 400, "malformed")["faults"]
        assert "expected some of id, name" in fault["detail"], "one field, as it is written"
    for path in ("/people", "/people?tag=none"):
        answer = await five.get(path, params={"sort": "tags"} | dict(httpx.URL(path).params))
        [fault] = problem(answer, 400, "malformed")["faults"]
        assert fault["detail"] == "this field is no single value", "also of a list without items"
    problem(await five.get("/people?sort=name&cursor=xyz"), 400, "malformed")
    problem(await five.get("/teams/board?count=true"), 400, "malformed")
    [fault] = problem(await five.get("/teams?fields=age"), 400, "malformed")["faults"]
    assert "expected some of slug" in fault["detail"], "of a list without pages, also an empty one"
    [fault] = problem(await five.get("/teams?sort=members"), 400, "malformed")["faults"]
    assert fault["detail"] == "this field is no single value"
    monkeypatch.setattr(ordering, "MOST", 4)
    assert problem(await five.get("/people?sort=name"), 422, "too-many-to-sort")["most"] == 4
    assert (await five.get("/people?count=true")).headers["total-count"] == "4+"


def of_lists(*, in_pages: bool) -> dict[str, Any]:
    """Fields of the items of every list, in pages or whole, by its path."""
    spec, lists = Documented().spec, dict[str, Any]()
    for path, operations in spec["paths"].items():
        operation = operations.get("get", {"parameters": []})
        names = {each["name"] for each in operation["parameters"]}
        assert ("sort" in names) == ("count" in names), path
        if (
            "sort" in names
            and ("limit" in names) == in_pages
            and not any(
                each.get("required") and each["in"] == "query" for each in operation["parameters"]
            )
        ):
            found = operation["responses"]["200"]["content"]["application/json"]["schema"]
            if in_pages:
                found = spec["components"]["schemas"][found["$ref"][21:]]["properties"]["items"]
            item = found["items"]["$ref"][21:]
            lists[path] = spec["components"]["schemas"][item]["properties"]
    return lists


async def test_every_list_without_pages_takes_them(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    await a_full_story(ledger)
    project()
    people = [each["id"] for each in (await found(ana, "/people"))["items"]]
    companies = [each["id"] for each in (await found(ana, "/companies"))["items"]]
    asked = filled = 0
    for template, properties in of_lists(in_pages=False).items():
        path = template.replace("{person_id}", people[-1]).replace("{company_id}", companies[-1])
        if "{" in path:
            continue
        own = (await ana.get(path)).json()
        asked, filled = asked + 1, filled + bool(own)
        for field in properties:
            answer = await ana.get(path, params={"fields": field, "count": "true"})
            assert answer.status_code == 200, (path, field, answer.text)
            assert answer.json() == [{field: each[field]} for each in own]
            assert answer.headers["total-count"] == str(len(own)), path
            for sort in (field, f"-{field}"):
                answer = await ana.get(path, params={"sort": sort})
                if answer.status_code == 400:
                    assert "no single value" in answer.text, answer.text
                    assert not own or many(own, field), (path, field)
                    continue
                assert sorted(map(json.dumps, answer.json())) == sorted(map(json.dumps, own)), path
                must_be_in_order([each[field] for each in answer.json()], down=sort != field)
    assert asked > 15
    assert filled > 5


async def test_every_list_takes_them(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    """In all there are, of what a full story leaves there; by a field of each, page by page."""
    await a_full_story(ledger)
    project()
    await every_list_is_sorted(ana, of_each=1)


@pytest.mark.campaign
async def test_every_list_takes_every_field(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    await a_full_story(ledger)
    project()
    await every_list_is_sorted(ana, of_each=None)


@pytest.mark.campaign
async def test_every_list_of_an_agencys_two_years_takes_them(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    await play(ledger, until=date(2026, 11, 23), size=0.01)
    project()
    await every_list_is_sorted(ana, of_each=2)


async def every_list_is_sorted(client: httpx.AsyncClient, *, of_each: int | None) -> None:
    """By so many fields of each list, or all; of a few items page by page of one."""
    chosen, asked, filled, walked = random.Random(SEED), 0, 0, 0
    print(f"seed {SEED}")
    people = [each["id"] for each in (await found(client, "/people"))["items"]]
    companies = [each["id"] for each in (await found(client, "/companies"))["items"]]
    for template, properties in of_lists(in_pages=True).items():
        path = template.replace("{person_id}", people[-1]).replace("{company_id}", companies[-1])
        if "{" in path:
            continue
        own = await pages(client, path, limit=200)
        asked, filled = asked + 1, filled + bool(own)
        few = min(200, 1 + len(own) // 8)
        fields = list(properties)
        for field in fields if of_each is None else chosen.sample(fields, of_each):
            answer = await client.get(path, params={"fields": field, "count": "true"})
            assert answer.status_code == 200, (path, field, answer.text)
            assert all(list(each) == [field] for each in answer.json()["items"])
            assert int(answer.headers["total-count"]) == len(own), path
            both = (field, f"-{field}")
            for sort in both if of_each is None else chosen.sample(both, 1):
                answer = await client.get(path, params={"sort": sort, "limit": 200})
                if answer.status_code == 400:
                    assert "no single value" in answer.text, answer.text
                    assert not own or many(own, field), (path, field)
                    continue
                assert answer.status_code == 200, (path, sort, answer.text)
                one_by_one = await pages(client, path, sort=sort, limit=few)
                in_one = await pages(client, path, sort=sort, limit=200)
                assert one_by_one == in_one, (path, sort)
                assert sorted(map(json.dumps, in_one)) == sorted(map(json.dumps, own)), (path, sort)
                must_be_in_order([each[field] for each in in_one], down=sort != field)
                walked += len(own) > 1
    assert filled > asked * 2 / 3 > 20, f"{filled} of {asked}"
    assert walked > 8


def many(items: list[dict[str, Any]], field: str) -> bool:
    return any(isinstance(each[field], list | dict) for each in items) or not any(
        each[field] for each in items
    )


def must_be_in_order(values: list[Any], *, down: bool) -> None:
    known = [each for each in values if each is not None]
    assert values == known + [None] * (len(values) - len(known))
    if known and isinstance(known[0], int | float):
        assert known == sorted(known, reverse=down)


async def test_lists_without_pages_and_reports_are_rows_too(
    five: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    wide = {"since": "2020-01-01", "until": "2030-01-01", "by": "month", "year": "2026"}
    rows = 0
    for path, operations in Documented().spec["paths"].items():
        operation = operations.get("get", {"responses": {"200": {}}})
        content = operation["responses"]["200"].get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("type") != "array" or "{" in path or not operation["security"]:
            continue
        assert {"text/csv", "application/x-ndjson"} <= content.keys(), path
        rows += 1
        query = {
            each["name"]: wide[each["name"]]
            for each in operation["parameters"]
            if each.get("required") and each["name"] in wide
        }
        answer = await five.get(path, params=query, headers={"Accept": "text/csv"})
        if answer.status_code == 400:  # of changes, which need two moments
            continue
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/csv")
        names = answer.text.split("\r\n")[0].split(",")
        lines = await five.get(path, params=query, headers={"Accept": "application/x-ndjson"})
        for line in lines.text.splitlines():
            assert list(json.loads(line)) == names
    assert rows > 12


async def test_by_order_and_count_nothing_is_told_that_is_hidden(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confidential, "TRUST_S", 0.0)
    company = (await written(ana, "/companies", ENGINES))["id"]
    orders = [ORDER, ORDER | {"title": "Successor", "confidential": True}]
    person = (await written(ana, "/people", {"name": "Ada"}))["id"]
    for order in orders:
        made = await written(ana, f"/companies/{company}/job-orders", order)
        on = {"company_id": company, "job_order_id": made["created"]}
        await written(ana, f"/people/{person}/candidacies", on)
    project()
    _, text = await create_key(ledger, actor="consultant:ben", role="consultant")
    ben = {"Authorization": f"Bearer {text}"}
    whole = await ana.get("/job-orders?count=true&sort=title")
    told = await ana.get("/job-orders?count=true&sort=title", headers=ben)
    assert (whole.headers["total-count"], told.headers["total-count"]) == ("2", "1")
    assert not re.search("Successor", told.text)
    for words in ("succ", "e"):  # also not by a page that is empty and goes on
        path = f"/job-orders?q={words}&limit=1"
        known, told = await ana.get(path), (await ana.get(path, headers=ben)).json()
        assert len(known.json()["items"]) == 1
        assert (len(told["items"]), told["next"]) == (words == "e", None)
    monkeypatch.setattr(ordering, "MOST", 1)
    for headers in (ben, dict(ana.headers)):  # one too many is read, and may be one that is hidden
        answer = await ana.get("/candidates?sort=person", headers=headers)
        assert problem(answer, 422, "too-many-to-sort")["most"] == 1
        answer = await ana.get("/candidates?count=true", headers=headers)
        assert answer.headers["total-count"] == "1+"


async def test_others_are_served_while_a_long_list_is_sorted(
    five: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of 10,000, masked and sorted at once, let everybody wait for a third of a second."""
    monkeypatch.setattr(ordering, "TURN", 1)
    at_once: list[int] = []
    ranked, masked = ordering.in_turns, permitted.shown

    async def in_turns(work: Any, items: Any) -> Any:
        served = 0

        async def another() -> None:
            nonlocal served
            while True:
                served += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(another())
        done = await ranked(work, items)
        task.cancel()
        assert served >= len(items) == len(NAMES)
        return done

    def shown(found: Any, holder: Any) -> Any:
        at_once.append(len(found.items))
        return masked(found, holder)

    monkeypatch.setattr(ordering, "in_turns", in_turns)
    monkeypatch.setattr(permitted, "shown", shown)
    _, text = await create_key(ledger, actor="integration:desk", role="analyst")
    headers = {"Authorization": f"Bearer {text}"}
    answer = await five.get("/people?sort=name&count=true&limit=2", headers=headers)
    assert [each["name"] for each in answer.json()["items"]] == ["Ada", "ada"]
    assert answer.headers["total-count"] == "5"
    assert at_once == [2], "the fields only of what is shown"


ALONE = {
    "/deals": "id", "/interviews": "id", "/offers": "id", "/follow-ups": "id", "/referrals": "id",
    "/invoices": "id", "/instalments": "id", "/placements": "candidacy_id", "/fees": "agreement_id",
    "/applications": "id", "/job-orders": "id",
}  # fmt: skip


async def test_what_is_listed_and_has_an_id_is_read_alone_too(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    await a_full_story(ledger)
    project()
    [person, *_] = (await found(ana, "/people"))["items"]
    promise = {"due_on": "2030-01-01", "owner": "consultant:ana"}
    await written(ana, f"/people/{person['id']}/follow-ups", promise)
    _, text = await create_key(ledger, actor="consultant:ben", role="resourcer")
    project()
    head = (await ana.get("/people")).headers["Ledger-Position"]
    ben, seen = {"Authorization": f"Bearer {text}"}, set()
    for path, id in ALONE.items():
        items = (await found(ana, path, limit=200))["items"]
        assert items, path
        for item in items:
            if path == "/fees" and item[id] in seen:
                continue  # an older version: the newest is listed first
            seen.add(item[id])
            answer = await ana.get(f"{path}/{item[id]}")
            assert answer.json() == item
            assert answer.headers["etag"].startswith('"-'), "no version that a write would take"
            unchanged = {"If-None-Match": answer.headers["etag"]}
            assert (await ana.get(f"{path}/{item[id]}", headers=unchanged)).status_code == 304
            was = await ana.get(f"{path}/{item[id]}", params={"as_of": head})
            assert was.json() == item
        one = f"{path}/{items[0][id]}"
        problem(await ana.get(one, params={"as_of": "1"}), 404, "no-such-record")
        problem(await ana.get(f"{path}/{UUID(int=1)}"), 404, "no-such-record")
        both = [(await ana.get(each, headers=ben)).status_code for each in (path, one)]
        assert both in ([200, 200], [403, 403]), path
    fee, *_ = (await found(ana, "/fees"))["items"]
    versions = (await found(ana, "/fees", agreement_id=fee["agreement_id"]))["items"]
    assert [each["version"] for each in versions] == list(range(len(versions), 0, -1))
    known = (await found(ana, "/introductions"))["items"]
    of_one = (await found(ana, "/introductions", candidacy_id=known[0]["candidacy_id"]))["items"]
    assert of_one == [e for e in known if e["candidacy_id"] == known[0]["candidacy_id"]]


async def test_histories_and_members_are_narrowed_as_other_lists_are(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    await a_full_story(ledger)
    project()
    some = {
        "kind": "person.,company.job_order_opened",
        "since": "2024-02-01",
        "until": "2030-01-01",
    }

    def fits(line: dict[str, Any], asked: dict[str, str]) -> bool:
        kinds = asked.get("kind", "").split(",")
        return (
            any(line["kind"].startswith(each) for each in kinds)
            and asked.get("since", "") <= line["at"] < asked.get("until", "9")
            and line["by"] == asked.get("by", line["by"])
        )

    narrowed = 0
    for noun in "people", "companies":
        for id in [each["id"] for each in (await found(ana, f"/{noun}"))["items"]]:
            path = f"/{noun}/{id}/history"
            whole = await pages(ana, path, limit=200)
            for by in {each["by"] for each in whole} & {"consultant:ana"}:
                some["by"] = by
            day = sorted(each["at"] for each in whole)[len(whole) // 2][:10]
            for asked in (
                some, {"kind": "person.note_written"}, {"by": "consultant:ana"}, {"since": day},
                {"until": f"{day}T12:00:00Z"}, {"since": day, "until": day},
            ):  # fmt: skip
                told = await pages(ana, path, limit=7, **asked)
                assert told == [line for line in whole if fits(line, asked)], (path, asked)
                narrowed += 0 < len(told) < len(whole)
            problem(await ana.get(f"{path}?kind=person.notes"), 400, "malformed")
            problem(await ana.get(f"{path}?since=yesterday"), 400, "malformed")
    assert narrowed > 10
    problem(await ana.get(f"/people/{UUID(int=1)}/history?since=2024-01-01"), 404, "no-such-record")
