"""Erasure and legal hold over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, NOTE, ORDER, REPLY, SENT, found, problem, written
from api.test_documents import cv, on_disk
from ledger_crm.ledger import Ledger
from ledger_crm.vault import Vault

pytestmark = pytest.mark.anyio

AT = "2026-01-31T10:00:00Z"
ASKED = {"kind": "person.erasure_requested", "requested_at": AT, "text": "By phone"}
DEFERRED = {
    "kind": "person.erasure_deferred", "deferred_at": AT, "until_on": "2026-04-30",
    "reason": "in_guarantee",
}  # fmt: skip
HELD = {"kind": "person.legal_hold_placed", "placed_at": AT, "reason": "fee_dispute"}


async def erasures(client: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await found(client, "/erasures", **asked))["items"]
    return items


async def test_a_request_is_listed_until_it_is_done(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada, eve, dee, cy = [
        (await written(ana, "/people", {"name": name}))["id"] for name in ("Ada", "Eve", "Dee", "C")
    ]
    later = ASKED | {"requested_at": "2026-02-10T00:00:00Z"}
    for person, facts in {ada: [later], eve: [ASKED, DEFERRED], dee: [HELD], cy: [HELD]}.items():
        for fact in facts:
            await written(ana, f"/people/{person}/privacy", fact)
    again = await written(ana, f"/people/{ada}/privacy", ASKED)
    assert again["position"] is None
    project()
    [hold] = [item for item in await erasures(ana, status="held") if item["person_id"] == cy]
    release = {"kind": "person.legal_hold_released", "released_at": AT}
    release["hold_id"] = hold["holds"][0]["id"]
    await written(ana, f"/people/{cy}/privacy", release)
    project()

    listed = await erasures(ana, on="2026-03-11")
    assert [(i["person"], i["status"], i["due_on"], i["overdue"]) for i in listed] == [
        ("Ada", "requested", "2026-03-10", True), ("Eve", "deferred", "2026-04-30", False),
        ("Dee", "held", None, False),
    ]  # fmt: skip
    assert [i["person"] for i in await erasures(ana, due_by="2026-03-10")] == ["Ada"]
    assert listed[2]["holds"][0] == {
        "id": listed[2]["holds"][0]["id"], "placed_at": AT, "by": "consultant:ana",
        "reason": "fee_dispute",
    }  # fmt: skip
    page = await found(ana, "/erasures", limit=2, on="2026-03-11")
    rest = await found(ana, "/erasures", limit=2, on="2026-03-11", cursor=page["next"])
    assert [*page["items"], *rest["items"]] == listed

    refused = await ana.post(f"/people/{dee}/erasure", json={})
    assert problem(refused, 409, "under-legal-hold")["hold_ids"] == [listed[2]["holds"][0]["id"]]
    held_too = {"kind": "person.legal_hold_placed", "placed_at": AT}
    problem(await ana.post(f"/people/{dee}/privacy", json=DEFERRED), 409, "no-erasure-requested")
    again = await written(ana, f"/people/{eve}/privacy", held_too, **{"Idempotency-Key": "h"})
    assert (
        await written(ana, f"/people/{eve}/privacy", held_too, **{"Idempotency-Key": "h"}) == again
    )
    await written(ana, f"/people/{ada}/erasure", {"reason": "asked_us"})
    project()
    assert [(i["person"], i["status"], i["reason"]) for i in await erasures(ana)] == [
        ("[erased]", "done", "asked_us"), ("Eve", "held", "in_guarantee"),
        ("Dee", "held", ""),
    ]  # fmt: skip


async def test_whoever_is_erased_is_found_no_more_and_refused_everywhere(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None], vault: Vault
) -> None:
    ada = (await written(ana, "/people", ADA | {"headline": "Programmer"}))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    at = f"/people/{ada}"
    company = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/companies/{company}/fees", FEE)
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    place = {"company_id": company, "job_order_id": order}
    for said in (SENT, REPLY, NOTE):
        await written(ana, f"{at}/interactions", said)
    await written(ana, f"{at}/documents", cv())
    await written(ana, f"{at}/employments", {"company_id": company, "role": "hr"})
    await written(ana, f"{at}/follow-ups", {"due_on": "2026-03-01", "text": "call"})
    on = f"{at}/candidacies/{(await written(ana, f'{at}/candidacies', place))['created']}"
    project()
    assert (await found(ana, "/day", on="2026-03-02"))["follow_ups"]

    keyed = {"Idempotency-Key": "forget"}
    stale = await ana.post(f"{at}/erasure", json={}, headers={"If-Match": '"1"'})
    problem(stale, 412, "stale-version")
    done = await written(ana, f"{at}/erasure", {"reason": "asked_us"}, **keyed)
    assert on_disk(vault) == []
    assert await written(ana, f"{at}/erasure", {"reason": "asked_us"}, **keyed) == done
    again = await written(ana, f"{at}/erasure", {"reason": "asked_us"})
    assert (again["position"], again["version"]) == (None, done["version"])
    project()

    card = await found(ana, at)
    assert (card["name"], card["headline"], card["contact_points"]) == ("[erased]", "", [])
    assert card["erased_at"]
    assert card["version"] == done["version"]
    lines = (await found(ana, f"{at}/history", limit=200))["items"]
    assert {line["person"] for line in lines} == {"[erased]"}
    assert {line["text"] for line in lines} == {"[erased]", ""}
    assert lines[0]["line"] == "erased: asked us"
    for lookup in ({"name": "ada"}, {"name": "erased"}, {"point": "email", "value": ADA["email"]}):
        answer = await ana.post("/people/lookups", json=lookup)
        assert answer.json()["items"] == [], lookup
    for words in ("ada", "programmer", "mornings", "erased"):
        answer = await ana.post("/search/lookups", json={"words": words})
        assert answer.json()["items"] == [], words
    assert [p["id"] for p in (await found(ana, "/people"))["items"]] == [eve]
    assert (await found(ana, f"/companies/{company}/contacts"))["items"] == []
    assert await found(ana, f"{at}/documents") == []
    day = await found(ana, "/day", on="2026-03-03")
    assert (day["follow_ups"], day["answers"]) == ([], [])
    assert (await found(ana, "/engagement"))["items"] == []
    assert (await found(ana, f"{at}/engagement"))["name"] == "[erased]"
    check = await found(ana, f"{at}/conflicts")
    assert (check["free"], [each["what"] for each in check["obstacles"]]) == (False, ["erased"])

    for path, body in {
        f"{at}/interactions": NOTE,
        f"{at}/documents": cv(),
        f"{at}/tags": {"kind": "person.untagged", "tag": "vip"},
        f"{at}/candidacies": place,
        f"{at}/contact-points": {"point": "email", "value": "ada@example.org"},
        f"{at}/profile-changes": {"headline": "x"},
        f"{at}/privacy": ASKED,
        f"{on}/rights-to-represent": {},
    }.items():
        refused = await ana.post(path, json=body)
        assert problem(refused, 410, "person-is-erased")["person_id"] == ada, path
    mention = NOTE | {"mentions": [ada]}
    problem(await ana.post(f"/people/{eve}/interactions", json=mention), 410, "person-is-erased")
    out = {"stage": "withdrawn", "reason": "erased", "decided_by": "candidate"}
    await written(ana, f"{on}/moves", out)

    new = await written(ana, "/people", ADA)
    assert new["id"] != ada, "the address is free"
    project()
    assert (await found(ana, f"/people/{new['id']}"))["name"] == "Ada Byron"
    assert (await found(ana, at))["name"] == "[erased]"
    assert ledger.store.data_keys([UUID(ada)]) == {UUID(ada): None}


async def test_whoever_is_erased_is_named_in_nothing_new(ana: httpx.AsyncClient) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{engines}/job-orders", ORDER))["created"]
    field = {"subject": "company", "slug": "patron", "label": "Patron", "type": "person"}
    assert (await ana.put("/custom-fields/company/patron", json=field)).status_code == 200
    await written(ana, f"/people/{ada}/erasure", {"reason": "asked_us"})
    firm = f"/companies/{engines}"
    changed = {"kind": "company.job_order_changed", "job_order_id": order, "changed_at": AT}
    for path, body in (
        (f"{firm}/job-orders", ORDER | {"hiring_manager_id": ada}),
        (f"{firm}/job-orders/steps", changed | {"hiring_manager_id": ada}),
        (f"{firm}/deals", {"title": "A search", "contact_id": ada}),
        (f"{firm}/custom-fields", {"values": {"patron": ada}}),
    ):
        answer = await ana.post(path, json=body)
        assert problem(answer, 410, "person-is-erased")["person_id"] == ada, path
