"""A company as a client sees it: what we learn of it, and who is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, found, problem, written

pytestmark = pytest.mark.anyio


async def test_a_company_gets_a_profile_domains_a_parent_an_owner_and_contacts(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = (await written(ana, "/companies", ENGINES))["id"]
    group = (await written(ana, "/companies", {"name": "Group", "domain": "group.example"}))["id"]

    async def change(company: str, kind: str, **fields: Any) -> httpx.Response:
        body = {"kind": f"company.{kind}"} | fields
        return await ana.post(f"/companies/{company}/changes", json=body)

    taken = await change(engines, "domain_added", domain="www.group.example")
    assert problem(taken, 409, "domain-taken")["holder"] == group
    for kind, fields in (
        ("profile_changed", {"industry": "Machinery", "employees": 120}),
        ("domain_added", {"domain": "engines.example.net"}),
        ("parent_named", {"parent_id": group}),
        ("owner_assigned", {"owner": "consultant:ana"}),
        ("tagged", {"tag": "key_account"}),
    ):
        assert (await change(engines, kind, **fields)).status_code == 201
    again = await change(engines, "tagged", tag="key_account")
    assert again.json()["position"] is None
    circle = await change(group, "parent_named", parent_id=engines)
    assert problem(circle, 422, "own-ancestor")["field"] == "parent_id"

    person = (await written(ana, "/people", {"name": "Charles Babbage"}))["id"]
    job = {"company_id": engines, "title": "Head", "role": "hiring_manager"}
    await written(ana, f"/people/{person}/employments", job | {"starts_on": "2024-01-01"})
    project()

    shown = await found(ana, f"/companies/{engines}")
    assert shown["domains"] == ["engines.example", "engines.example.net"]
    assert (shown["parent"]["name"], shown["employees"]) == ("Group", 120)
    assert (await found(ana, f"/companies/{group}"))["children"][0]["id"] == engines
    for asked in (
        {"owner": "consultant:ana"}, {"tag": "key_account"}, {"industry": "machinery"},
        {"parent_id": group}, {"domain": "Engines.Example.net"},
    ):  # fmt: skip
        [listed] = (await found(ana, "/companies", **asked))["items"]
        assert listed["id"] == engines
    contacts = f"/companies/{engines}/contacts"
    [contact] = (await found(ana, contacts, role="hiring_manager", on="2024-05-01"))["items"]
    assert (contact["person_id"], contact["title"]) == (person, "Head")
    assert (await found(ana, contacts, on="2023-05-01"))["items"] == []
    lines = {line["line"] for line in (await found(ana, f"/companies/{engines}/history"))["items"]}
    assert {
        "profile changed: industry Machinery, employees 120", "domain added: engines.example.net",
        "belongs to another company", "owned by consultant:ana", "tagged key account",
    } <= lines  # fmt: skip
