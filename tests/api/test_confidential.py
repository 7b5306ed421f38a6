"""Confidential job orders: whoever does not work on one finds nothing that names it, anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from api.journey import ADA, ENGINES, ORDER, found, problem, written
from ledger_crm.api import caller, confidential
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import Actor
from ledger_crm.ledger import Ledger, NoSuchRecord

pytestmark = pytest.mark.anyio

TITLE = "Successor of the treasurer"
CID, BEN = "consultant:cid", "consultant:ben"
MIA, NORA = "consultant:mia", "consultant:nora"

AT = "2024-05-01T09:00:00Z"

Keys = dict[str, dict[str, str]]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidential, "TRUST_S", 0.0)


@pytest.fixture
async def keys(ledger: Ledger, key: str) -> Keys:
    headers = {}
    for actor, role in (
        (CID, "consultant"), (BEN, "consultant"), (MIA, "manager"), (NORA, "manager"),
        ("integration:warehouse", "analyst"), ("consultant:owner", "owner"),
    ):  # fmt: skip
        _, text = await create_key(ledger, actor=actor, role=role)
        headers[actor.partition(":")[2]] = {"Authorization": f"Bearer {text}"}
    return headers


@pytest.fixture
async def search(ana: httpx.AsyncClient, project: Callable[[], None]) -> dict[str, str]:
    """A confidential one that cid works on, with somebody on it; mia is in a team with cid."""
    company = (await written(ana, "/companies", ENGINES))["id"]
    path = f"/companies/{company}/job-orders"
    order = (await written(ana, path, ORDER | {"title": TITLE, "confidential": True}))["created"]
    staffed = {
        "kind": "company.job_order_staffed",
        "job_order_id": order,
        "staffed_at": AT,
        "owner": CID,
        "shares": [{"consultant": CID, "share_bp": 10_000}],
    }
    await written(ana, f"{path}/steps", staffed)
    person = (await written(ana, "/people", ADA))["id"]
    opening = {"company_id": company, "job_order_id": order}
    candidacy = (await written(ana, f"/people/{person}/candidacies", opening))["created"]
    way = f"/people/{person}/candidacies/{candidacy}/rights-to-represent"
    await written(ana, way, {})
    drawn = {"job_order_id": order, "people": [{"person_id": person, "headline": "Fits"}]}
    shortlist = (await written(ana, f"/companies/{company}/shortlists", drawn))["created"]
    for who, name in ((CID, "Cid"), (MIA, "Mia"), (NORA, "Nora")):
        await written(ana, "/consultants", {"consultant": who, "name": name})
    await ana.put("/teams/north", json={"slug": "north", "title": "North"})
    for who in (CID, MIA):
        joined = {"kind": "team.joined", "consultant": who, "joined_on": "2024-01-01"}
        await written(ana, "/teams/north/members", joined)
    project()
    return {
        "company": company, "order": order, "person": person, "candidacy": candidacy,
        "shortlist": shortlist, "bare": order.replace("-", "").upper(),
    }  # fmt: skip


LISTS = (
    "/job-orders", "/job-orders?status=open", "/candidates", "/candidates?person_id={person}",
    "/people/{person}/history", "/companies/{company}/history", "/companies/{company}",
    "/people/{person}", "/shortlists", "/applications", "/day",
    "/accounts", "/interviews", "/offers", "/fees", "/introductions", "/placements",
)  # fmt: skip
OF_IT = (
    "/job-orders/{order}", "/candidates/{candidacy}", "/job-orders/{order}/posting",
    "/candidates?job_order_id={order}", "/job-orders/{order}/screening",
    "/candidates/counts?job_order_id={order}", "/shortlists/{shortlist}",
    "/companies/{company}/shortlists/{shortlist}/preview", "/job-orders/{order}/market-map",
    "/candidates/counts?job_order_id={bare}", "/candidates?job_order_id={bare}",
)  # fmt: skip


async def test_whoever_does_not_work_on_it_finds_nothing_that_names_it(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys
) -> None:
    for who, sees in (
        ("owner", True), ("cid", True), ("mia", True), ("ben", False), ("nora", False),
        ("warehouse", False),
    ):  # fmt: skip
        told = ""
        for path in LISTS:
            for accept in ("application/json", "text/csv"):
                headers = keys[who] | {"Accept": f"{accept}, application/json;q=0.1"}
                for again in ("", "as_of=2999-01-01"):
                    url = path.format(**search)
                    url += ("&" if "?" in url else "?") + again if again else ""
                    answer = await ana.get(url, headers=headers)
                    if answer.status_code == 200:
                        told += answer.text
        words = {"words": "treasurer successor"}  # by which its client is found
        hits = await ana.post("/search/lookups", json=words, headers=keys[who])
        assert [each["id"] for each in hits.json()["items"]] == [search["company"]] * sees, who
        assert (TITLE in told) == sees, who
        assert (search["order"] in told) == sees, who
        for path in OF_IT:
            answer = await ana.get(path.format(**search), headers=keys[who])
            if sees:
                assert answer.status_code == 200, (who, path, answer.text)
            else:
                problem(answer, 404, "no-such-record")


async def test_the_short_way_is_as_the_long_one(
    ana: httpx.AsyncClient,
    search: dict[str, str],
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caller, "TRUST_S", 60.0)
    monkeypatch.setattr(confidential, "TRUST_S", 60.0)
    path = f"/companies/{search['company']}/history"
    for who, sees in (("ben", False), ("cid", True)):
        for _ in range(3):
            answer = await ana.get(path, headers=keys[who])
            assert (search["order"] in answer.text) == sees, who


async def test_who_follows_the_ledger_is_told_that_something_was_written_and_not_what(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys
) -> None:
    whole = (await found(ana, "/events?limit=200"))["items"]
    answer = await ana.get("/events?limit=200", headers=keys["warehouse"])
    told = answer.json()["items"]
    assert [each["position"] for each in told] == [each["position"] for each in whole]
    assert search["order"] not in answer.text
    [shut] = [each for each in told if each["kind"] == "company.job_order_opened"]
    assert shut["fact"] == {"kind": "company.job_order_opened"}
    assert {"title", "job_order_id"} <= set(shut["sealed"])
    lines = await ana.get(
        "/events?limit=200", headers=keys["warehouse"] | {"Accept": "application/x-ndjson"}
    )
    assert search["order"] not in lines.text


async def test_nobody_else_writes_to_it_and_who_opens_one_sees_it_until_it_is_staffed(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    other = (await written(ana, "/people", {"name": "Charles Babbage"}))["id"]
    project()
    named = f'"job_order_id": "{search["order"]}"'
    for written_so in (
        named, named.upper().replace("JOB_ORDER_ID", "job_order_id"), named.replace("-", ""),
        named.replace("job_order", "job\\u005forder"),
    ):  # fmt: skip
        body = f'{{"company_id": "{search["company"]}", {written_so}}}'
        headers = keys["ben"] | {"Content-Type": "application/json"}
        answer = await ana.post(f"/people/{other}/candidacies", content=body, headers=headers)
        problem(answer, 404, "no-such-record")
    path = f"/companies/{search['company']}/job-orders"
    step = {
        "kind": "company.job_order_held", "job_order_id": search["order"], "held_at": AT,
        "reason": "budget",
    }  # fmt: skip
    answer = await ana.post(f"{path}/steps", json=step, headers=keys["ben"])
    problem(answer, 404, "no-such-record")

    mine = ORDER | {"title": "His own", "confidential": True}
    made = (await ana.post(path, json=mine, headers=keys["ben"])).json()["created"]
    project()
    assert (await ana.get(f"/job-orders/{made}", headers=keys["ben"])).status_code == 200
    problem(await ana.get(f"/job-orders/{made}", headers=keys["cid"]), 404, "no-such-record")
    changed = {
        "kind": "company.job_order_changed", "job_order_id": made, "confidential": False,
        "changed_at": AT,
    }  # fmt: skip
    await written(ana, f"{path}/steps", changed)
    project()
    assert (await ana.get(f"/job-orders/{made}", headers=keys["cid"])).status_code == 200


class Line(msgspec.Struct, frozen=True):
    job_order_id: UUID | None


class Whole(msgspec.Struct, frozen=True):
    last: Line | None
    lines: list[Line]
    job_orders: list[UUID]


def test_what_names_a_hidden_one_is_gone_however_deep() -> None:
    one, two = UUID(int=1), UUID(int=2)
    whole = Whole(Line(one), [Line(two), Line(one), Line(None)], [one, two])
    shown = confidential.without(whole, frozenset({one}))
    assert shown == Whole(None, [Line(two), Line(None)], [two])
    with pytest.raises(NoSuchRecord):
        confidential.without(Line(one), frozenset({one}))
    assert confidential.without(whole, frozenset()) is whole
    holder: Any = Holder(Actor(BEN), "consultant")
    assert not holder.may(confidential.ALL)
