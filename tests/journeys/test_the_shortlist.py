"""A client reads a shortlist through a link, says what it thinks, and loses the link: against the
servers as the user starts them, with everybody reloading at once.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from running import Running, ledger_crm
from waiting import PATIENCE_S

pytestmark = pytest.mark.xdist_group("agency")

ORDER = {"title": "Planner", "opened_at": "2024-01-03T09:00:00Z"}
FEE = {
    "basis": "contingent", "currency": "EUR", "rate_bp": 2_500,
    "agreed_at": "2024-01-02T09:00:00Z",
}  # fmt: skip


def post(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def read(api: httpx.Client, path: str, **params: Any) -> Any:
    answer = api.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_client_reads_judges_and_is_shown_the_door(agency: Running) -> None:
    with agency.api() as api, httpx.Client(base_url=agency.url, timeout=PATIENCE_S) as portal:
        client = post(api, "/companies", name="Eiderveld Freight")["id"]
        post(api, f"/companies/{client}/fees", **FEE)
        order = post(api, f"/companies/{client}/job-orders", **ORDER)["created"]
        manager = post(api, "/people", name="Mira Holt", email="mira@eiderveld.example")["id"]
        post(api, f"/people/{manager}/employments", company_id=client, role="hiring_manager")
        people = []
        for name in ("Lin Obi", "Sam Keller"):
            person = post(api, "/people", name=name)["id"]
            where = {"company_id": client, "job_order_id": order}
            opened = post(api, f"/people/{person}/candidacies", **where)["created"]
            post(api, f"/people/{person}/candidacies/{opened}/rights-to-represent")
            people.append(person)
        lin, sam = people
        lists = f"/companies/{client}/shortlists"
        shortlist = post(
            api, lists, job_order_id=order,
            people=[
                {"person_id": lin, "headline": "Planner of ports"},
                {"person_id": sam, "blind": True, "headline": "Planner; ask for Sam Keller"},
            ],
        )["created"]  # fmt: skip
        at = f"{lists}/{shortlist}"
        token = post(api, f"{at}/shares", contact_id=manager, introduces=True)["token"]
        portal.headers["Authorization"] = f"Bearer {token}"

        # everybody reloads at once, and each sees the same
        with ThreadPoolExecutor(8) as pool:
            views = list(pool.map(lambda _: read(portal, "/portal/shortlist"), range(40)))
        first, second = views[0]["candidates"]
        assert all(view == views[0] for view in views)
        assert (first["name"], first["headline"]) == ("Lin Obi", "Planner of ports")
        assert (second["name"], second["headline"]) == (None, "Planner; ask for […] […]")

        post(portal, "/portal/verdicts", candidate="A", verdict="interview", text="Next week")
        post(portal, "/portal/verdicts", candidate="B", verdict="reject", reason="experience")
        post(portal, "/portal/comments", text="Two good ones")
        view = read(portal, "/portal/shortlist")
        assert [each["verdict"]["verdict"] for each in view["candidates"]] == [
            "interview", "reject",
        ]  # fmt: skip
        assert view["comments"][0]["text"] == "Two good ones"

        # a version without Sam is shown at once, and the link is shut at once
        post(api, f"{at}/versions", people=[{"person_id": lin}])
        assert [c["candidate"] for c in read(portal, "/portal/shortlist")["candidates"]] == ["A"]
        position = post(api, f"{at}/withdrawals", reason="order_filled")["position"]
        assert portal.get("/portal/shortlist").status_code == 410

        [introduced] = read(api, "/introductions", company_id=client, after=position)["items"]
        assert (introduced["person"], introduced["to_person"]) == ("Lin Obi", "Mira Holt")
        shown = read(api, f"/shortlists/{shortlist}", after=position)
        assert [each["version"] for each in shown["views"]] == [2, 1]
        history = read(api, f"/people/{sam}/history", after=position)["items"]
        assert [line["line"] for line in history][:4] == [
            "client's verdict: reject: experience",
            "shortlist seen by the client, version 1",
            "shortlist drawn, version 1: 2, 1 of them blind",
            "presentation written, blind",
        ]

        # and the feed tells what was done, and nothing that was said or kept secret
        tail = ledger_crm(
            agency.home, "events", "tail", "--after", "0", "--limit", str(position), "--json"
        ).stdout.decode()
        told = [json.loads(line)["data"] for line in tail.splitlines()]
        assert sum(fact["kind"] == "company.shortlist_seen" for fact in told) == 2
        assert [f["verdict"] for f in told if f["kind"] == "person.verdict_given"] == [
            "interview", "reject",
        ]  # fmt: skip
        for word in (token.partition("_")[2], "Sam Keller", "Next week", "Two good", "mira@"):
            assert word not in tail
