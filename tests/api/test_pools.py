"""Pools and segments over the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, ORDER, SENT, faults, found, problem, written
from ledger_crm.domain.clock import now, stopped_at

pytestmark = pytest.mark.anyio

SPEAKERS = {"slug": "speakers", "title": "Speakers", "purpose": "For our evenings"}


async def put(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    answer = await client.put(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_person_in_a_pool_shows_since_when_and_why(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    assert (await put(ana, "/pools/speakers", SPEAKERS))["version"] == 1
    assert (await put(ana, "/pools/speakers", SPEAKERS))["position"] is None
    pooled = {
        "kind": "person.pooled", "pool": "speakers", "reason": "gave_a_talk",
        "pooled_at": "2026-03-02T12:00:00Z", "text": "On engines",
    }  # fmt: skip
    for person in (ada, eve):
        await written(ana, f"/people/{person}/pools", pooled)
    again = await written(ana, f"/people/{ada}/pools", pooled)
    assert again["position"] is None
    unpooled = {"kind": "person.unpooled", "pool": "speakers", "reason": "moved_away"}
    await written(ana, f"/people/{eve}/pools", unpooled)
    project()

    [membership] = await found(ana, f"/people/{ada}/pools")
    assert membership == {
        "pool": "speakers", "title": "Speakers", "since": "2026-03-02T12:00:00Z",
        "by": "consultant:ana", "reason": "gave_a_talk", "text": "On engines",
    }  # fmt: skip
    assert await found(ana, f"/people/{eve}/pools") == []
    assert (await found(ana, "/pools"))[0]["members"] == 1
    assert [m["person"] for m in (await found(ana, "/pools/speakers/members"))["items"]] == [
        "Ada Byron"
    ]
    for asked, there in (
        ({"by": "consultant:ana", "since": "2026-03-02", "until": "2026-03-03"}, True),
        ({"since": "2026-03-02T12:00:00Z"}, True), ({"since": "2026-03-03"}, False),
        ({"until": "2026-03-02T12:00:00Z"}, False), ({"by": "integration:website"}, False),
    ):  # fmt: skip
        told = (await found(ana, "/pools/speakers/members", **asked))["items"]
        assert len(told) == there, asked
    lines = [line["line"] for line in (await found(ana, f"/people/{eve}/history"))["items"]]
    assert lines[0] == "out of pool speakers: moved away"
    assert "into pool speakers: gave a talk" in lines

    await put(ana, "/pools/speakers", SPEAKERS | {"retired": True})
    problem(await ana.post(f"/people/{eve}/pools", json=pooled), 409, "pool-is-retired")
    await written(ana, f"/people/{ada}/pools", unpooled)
    none = pooled | {"pool": "none"}
    problem(await ana.post(f"/people/{ada}/pools", json=none), 404, "no-such-record")
    problem(await ana.put("/pools/other", json=SPEAKERS), 422, "slug-differs")
    project()
    for path in ("/pools/none", "/pools/none/members", "/segments/none", "/segments/none/people"):
        problem(await ana.get(path), 404, "no-such-record")


async def test_a_segment_counts_who_fits_now(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    for person, seniority, place in ((ada, "senior", "Paris"), (eve, "junior", "Greater París")):
        profile = {"seniority": seniority, "location": place, "skills": "Python, C++"}
        await written(ana, f"/people/{person}/profile-changes", profile)
    await written(ana, f"/people/{ada}/interactions", SENT)
    company = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    await written(ana, f"/people/{eve}/candidacies", {"company_id": company, "job_order_id": order})
    await put(ana, "/pools/speakers", SPEAKERS)
    await written(ana, f"/people/{eve}/pools", {"kind": "person.pooled", "pool": "speakers"})
    alone = {"kind": "person.do_not_contact_set", "set_at": "2026-01-01T00:00:00Z"}
    await written(ana, f"/people/{eve}/permissions", alone)
    project()

    async def trying(**criteria: Any) -> set[str]:
        answer = await ana.post("/segments/lookups", json=criteria)
        assert answer.status_code == 200, answer.text
        return {person["id"] for person in answer.json()["items"]}

    assert await trying() == {ada, eve}
    assert await trying(location="PARIS") == {ada, eve}
    assert await trying(skills=["c++", "python"]) == {ada, eve}
    assert await trying(skills=["c++", "cobol"]) == set()
    assert await trying(seniority=["junior", "lead"]) == {eve}
    assert await trying(stages=["sourced", "offer"]) == {eve}
    assert await trying(pools=["speakers"]) == {eve}
    assert await trying(contactable=True) == {ada}
    assert await trying(contactable=False) == {eve}
    assert await trying(silent_days=30) == {ada, eve}  # also whom we never spoke to
    assert await trying(in_touch_days=3650) == {ada}
    assert await trying(in_touch_days=30) == set()
    assert "/silent_days" in faults(await ana.post("/segments/lookups", json={"silent_days": 0}))
    sql = {"where": "1=1; DROP TABLE person"}
    assert "/where" in faults(await ana.post("/segments/lookups", json=sql))
    assert await trying(location="%") == set()
    assert await trying(skills=[" "]) == await trying(skills=[","]) == set()
    assert await trying(location=" ") == set()

    seniors = {
        "slug": "seniors", "title": "Seniors", "cadence_days": 365,
        "criteria": {"seniority": ["senior", "lead"]},
    }  # fmt: skip
    await put(ana, "/segments/seniors", seniors)
    everybody = seniors | {"criteria": {}}
    problem(await ana.put("/segments/seniors", json=everybody), 422, "no-criteria")
    project()
    [listed] = await found(ana, "/segments")
    assert (listed["slug"], listed["people"]) == ("seniors", 1)
    fits = await found(ana, "/segments/seniors/people")
    assert [person["id"] for person in fits["items"]] == [ada]
    quiet = await found(ana, "/segments/seniors/quiet")
    assert [person["id"] for person in quiet["items"]] == [ada]
    for asked, there in (
        ({"seniority": "senior", "channel": "linkedin", "skill": "python"}, True),
        ({"seniority": "junior"}, False), ({"tag": "vip"}, False), ({"stage": "sourced"}, False),
    ):  # fmt: skip
        for path in "/segments/seniors/people", "/segments/seniors/quiet":
            assert len((await found(ana, path, **asked))["items"]) == there, (path, asked)
    for path in "/segments/seniors/people", "/segments/seniors/quiet":
        problem(await ana.get(path, params={"stage": "none"}), 404, "no-such-record")

    until = (now() + timedelta(days=5)).date().isoformat()
    await written(ana, f"/people/{ada}/quiet-snoozes", {"until_on": until, "reason": "on_leave"})
    await written(ana, f"/people/{eve}/profile-changes", {"seniority": "lead"})
    project()
    assert (await found(ana, "/segments/seniors"))["people"] == 2
    assert (await found(ana, "/segments/seniors/quiet"))["items"] == []
    with stopped_at(now() + timedelta(days=9)):
        quiet = await found(ana, "/segments/seniors/quiet")
    assert [person["id"] for person in quiet["items"]] == [ada]

    alone = {"kind": "person.do_not_contact_set", "set_at": "2026-01-01T00:00:00Z"}
    await written(ana, f"/people/{ada}/permissions", alone)
    project()
    with stopped_at(now() + timedelta(days=9)):
        assert (await found(ana, "/segments/seniors/quiet"))["items"] == [], "let alone"

    await put(ana, "/segments/seniors", seniors | {"retired": True})
    project()
    assert await found(ana, "/segments") == []


async def test_a_segment_of_companies_counts_who_fits_and_tells_who_has_gone_quiet(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = (await written(ana, "/companies", ENGINES | {"industry": "Machines"}))["id"]
    bolt = (await written(ana, "/companies", {"name": "Bolt", "location": "Greater París"}))["id"]
    change = f"/companies/{bolt}/changes"
    await written(ana, change, {"kind": "company.tagged", "tag": "key_client"})
    await written(ana, change, {"kind": "company.owner_assigned", "owner": "consultant:ben"})
    await written(ana, change, {"kind": "company.profile_changed", "employees": 40})
    order = {**ORDER, "openings": 1}
    await written(ana, f"/companies/{engines}/job-orders", order)
    ada = (await written(ana, "/people", ADA))["id"]
    await written(ana, f"/people/{ada}/interactions", SENT | {"company_id": bolt})
    call = {"kind": "company.call_held", "started_at": now().isoformat(), "duration_s": 60}
    await written(ana, f"/companies/{engines}/interactions", call)
    project()

    async def trying(**criteria: Any) -> set[str]:
        answer = await ana.post("/company-segments/lookups", json=criteria)
        assert answer.status_code == 200, answer.text
        return {each["company_id"] for each in answer.json()["items"]}

    assert await trying() == {engines, bolt}
    assert await trying(industries=["machines", "ships"]) == {engines}
    assert await trying(location="PARIS") == {bolt}
    assert await trying(tags=["key_client"]) == {bolt}
    assert await trying(tags=["key_client", "other"]) == set()
    assert await trying(owners=["consultant:ben"]) == {bolt}
    assert await trying(statuses=["active", "repeat"]) == {engines}
    assert await trying(statuses=["prospect"]) == {bolt}
    assert await trying(employees_at_least=40, employees_at_most=40) == {bolt}
    assert await trying(employees_at_least=41) == set()
    assert await trying(silent_days=30) == {bolt}
    assert await trying(in_touch_days=30) == {engines}
    unknown = {"statuses": ["lost"], "stages": ["offer"]}
    refused = faults(await ana.post("/company-segments/lookups", json=unknown))
    assert "/statuses/0" in refused
    none = {"custom": [{"field": "none"}]}
    problem(await ana.post("/company-segments/lookups", json=none), 404, "no-such-field")

    paris = {
        "slug": "paris", "title": "Paris", "cadence_days": 30, "criteria": {"location": "paris"}
    }  # fmt: skip
    await put(ana, "/company-segments/paris", paris)
    assert (await put(ana, "/company-segments/paris", paris))["position"] is None
    problem(
        await ana.put("/company-segments/paris", json=paris | {"criteria": {}}), 422, "no-criteria"
    )
    problem(await ana.put("/company-segments/other", json=paris), 422, "slug-differs")
    people = {"slug": "paris", "title": "There", "criteria": {"location": "paris"}}
    await put(ana, "/segments/paris", people)
    project()
    [listed] = await found(ana, "/company-segments")
    assert (listed["slug"], listed["cadence_days"], listed["companies"]) == ("paris", 30, 1)
    [account] = (await found(ana, "/company-segments/paris/companies"))["items"]
    assert (account["company"], account["status"], account["owner"], account["touched_at"]) == (
        "Bolt", "prospect", "consultant:ben", SENT["sent_at"],
    )  # fmt: skip
    quiet = await found(ana, "/company-segments/paris/quiet")
    assert [each["company_id"] for each in quiet["items"]] == [bolt]
    for asked, there in (
        ({"owner": "consultant:ben", "status": "prospect", "tag": "key_client"}, True),
        ({"owner": "consultant:ana"}, False), ({"status": "active"}, False),
        ({"industry": "machines"}, False), ({"tag": "other"}, False),
    ):  # fmt: skip
        for path in "/company-segments/paris/companies", "/company-segments/paris/quiet":
            assert len((await found(ana, path, **asked))["items"]) == there, (path, asked)

    until = (now() + timedelta(days=5)).date().isoformat()
    snooze = {"until_on": until, "reason": "hiring_freeze"}
    await written(ana, f"/companies/{bolt}/quiet-snoozes", snooze)
    project()
    assert (await found(ana, "/company-segments/paris/quiet"))["items"] == []
    with stopped_at(now() + timedelta(days=9)):
        quiet = await found(ana, "/company-segments/paris/quiet")
    assert [each["company_id"] for each in quiet["items"]] == [bolt]

    await put(ana, "/company-segments/paris", paris | {"retired": True})
    project()
    assert await found(ana, "/company-segments") == []
    assert [each["slug"] for each in await found(ana, "/segments")] == ["paris"]
    for path in ("none", "none/companies", "none/quiet"):
        problem(await ana.get(f"/company-segments/{path}"), 404, "no-such-record")


async def test_tags_in_use_are_listed_with_how_many_have_each(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Who is merged counts once, and who has it no longer not at all."""
    ada, twin = [(await written(ana, "/people", {"name": "Ada"}))["id"] for _ in range(2)]
    firm = (await written(ana, "/companies", {"name": "Engines"}))["id"]
    for id, tag in ((ada, "key"), (twin, "key"), (twin, "speaker"), (ada, "gone")):
        await written(ana, f"/people/{id}/tags", {"kind": "person.tagged", "tag": tag})
    await written(ana, f"/companies/{firm}/changes", {"kind": "company.tagged", "tag": "key"})
    await written(ana, f"/people/{ada}/tags", {"kind": "person.untagged", "tag": "gone"})
    project()

    async def told(**asked: Any) -> list[tuple[str, int, int]]:
        items = (await found(ana, "/tags", **asked))["items"]
        return [(each["tag"], each["people"], each["companies"]) for each in items]

    assert await told() == [("key", 2, 1), ("speaker", 1, 0)]
    assert await told(kind="company") == [("key", 0, 1)]
    after = (await found(ana, "/tags", limit=1))["next"]
    assert await told(cursor=after) == [("speaker", 1, 0)]
    position = (await written(ana, f"/people/{ada}/merges", {"duplicate_id": twin}))["position"]
    project()
    assert await told() == [("key", 1, 1), ("speaker", 1, 0)]
    assert await told(as_of=position - 2) == [("key", 2, 1), ("speaker", 1, 0)]
