"""A retained search for a director, from the referral that brought the client to the day on which
the agreement runs out: what the agency asks in fields of its own, whom it may approach, what it
owes, and what the feed tells of it.

Against the servers as the user starts them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from running import Running, ledger_crm
from waiting import until

pytestmark = pytest.mark.xdist_group("searchers")

AT = "T09:00:00Z"
SECRET = "Vierzehn Nächte"


@pytest.fixture(scope="module")
def api(searchers: Running) -> Iterator[httpx.Client]:
    with searchers.api() as api:
        yield api


def post(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def put(api: httpx.Client, path: str, **body: Any) -> None:
    answer = api.put(path, json=body)
    assert answer.status_code == 200, answer.text


def read(api: httpx.Client, path: str, **params: Any) -> Any:
    answer = api.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_search_over_the_api_alone(searchers: Running, api: httpx.Client) -> None:
    # the catalogue: what this agency wants to know
    put(
        api, "/custom-fields/person/shift", subject="person", slug="shift", label="Shift",
        type="text", required=True,
    )  # fmt: skip
    put(
        api, "/custom-fields/job_order/level", subject="job_order", slug="level", label="Level",
        type="choice", choices=[{"id": "board", "label": "Board"}, {"id": "vp", "label": "VP"}],
    )  # fmt: skip

    # a former candidate refers a client, for a fee when somebody starts there
    uma = post(api, "/people", name="Uma Sand")["id"]
    client = post(api, "/companies", name="Harbour Cranes")["id"]
    rival = post(api, "/companies", name="Rival Cranes")["id"]
    cranes = f"/companies/{client}"
    post(
        api, f"{cranes}/referrals", kind="company.referral_received", by_person_id=uma,
        received_at=f"2024-01-02{AT}", fee_cents=50_000,
    )  # fmt: skip
    post(
        api, f"{cranes}/changes", kind="company.owner_assigned", owner="consultant:ben",
    )  # fmt: skip
    post(
        api, f"{cranes}/fees", basis="contingent", currency="EUR", rate_bp=3_000,
        agreed_at=f"2024-01-03{AT}", ends_on="2024-12-31",
    )  # fmt: skip
    order = post(api, f"{cranes}/job-orders", title="Director", opened_at=f"2024-01-04{AT}")
    search = order["created"]
    post(api, f"{cranes}/job-orders/{search}/custom-fields", values={"level": "board"})

    # the map of the market, and the check before the approach
    post(
        api, f"{cranes}/job-orders/targets", kind="company.target_named", job_order_id=search,
        target_id=rival, named_at=f"2024-01-05{AT}", reason="same_products",
    )  # fmt: skip
    vic = post(api, "/people", name="Vic Ost")["id"]
    post(api, f"/people/{vic}/employments", company_id=rival, title="Site lead")
    post(
        api, f"/people/{vic}/research", company_id=client, job_order_id=search,
        researched_at=f"2024-01-06{AT}", standing="to_approach",
    )  # fmt: skip
    limits = post(
        api, f"/companies/{rival}/off-limits", kind="company.off_limits_agreed",
        agreed_at=f"2024-01-07{AT}", until_on="2024-01-31", text="Until their own search ends",
    )  # fmt: skip
    after = {"after": limits["position"]}
    for on, free in (("2024-01-20", False), ("2024-02-01", True)):
        map_ = read(api, f"/job-orders/{search}/market-map", on=on, **after)
        [found] = map_["targets"][0]["people"]
        assert (found["person"], found["standing"], found["free"]) == (
            "Vic Ost", "to_approach", free
        )  # fmt: skip
        sent = api.post(
            f"/people/{vic}/interactions",
            json={
                "kind": "person.call_held", "duration_s": 60, "started_at": f"{on}{AT}",
            },
        )  # fmt: skip
        assert sent.status_code == (201 if free else 403), "the check and the rule agree"

    # what is required is asked for before the introduction, and sealed
    body = {"company_id": client, "job_order_id": search, "opened_at": f"2024-02-01{AT}"}
    way = f"/people/{vic}/candidacies/{post(api, f'/people/{vic}/candidacies', **body)['created']}"
    post(api, f"{way}/rights-to-represent", given_at=f"2024-02-02{AT}")
    early = {"introduced_at": f"2024-02-03{AT}"}
    refused = api.post(f"{way}/introductions", json=early)
    assert (refused.status_code, refused.json()["missing"]) == (409, ["shift"])
    post(api, f"/people/{vic}/custom-fields", values={"shift": SECRET})
    post(api, f"{way}/introductions", **early)
    post(
        api, f"{way}/placements", placed_at=f"2024-02-10{AT}", starts_on="2024-03-01",
        first_year_pay_cents=20_000_000,
    )  # fmt: skip
    last = post(api, f"{way}/starts", starts_on="2024-03-01")["position"]

    # reads: complete right after the write
    after = {"after": last}
    [due] = read(api, "/referrals", fee="due", **after)["items"]
    assert (due["subject"], due["with_person"], due["owed_by"]) == ("Harbour Cranes", "Uma Sand",
                                                                   "us")  # fmt: skip
    listed = read(api, "/job-orders", custom="level:board", **after)["items"]
    assert [each["custom"] for each in listed] == [{"level": "board"}]
    assert read(api, f"/people/{vic}", **after)["custom"] == {"shift": SECRET}
    day = read(api, "/day", owner="consultant:ben", on="2024-12-01", **after)
    assert [(each["company"], each["days_left"]) for each in day["renewals"]] == [
        ("Harbour Cranes", 30)
    ]  # fmt: skip
    told = {line["line"] for line in read(api, f"{cranes}/history", **after)["items"]}
    assert {"client referred to us, fee 500.00 EUR", "level: board",
            "target company named: same products",
            "researched for a search: to approach"} <= told  # fmt: skip
    assert "shift set" in {
        line["line"] for line in read(api, f"/people/{vic}/history", **after)["items"]
    }

    # and the feed carries all of it, without what is personal
    def caught_up() -> bool:
        return bool(api.get("/health/ready").json()["feed"]["position"] >= last)

    until(caught_up)
    tail = ledger_crm(
        searchers.home, "events", "tail", "--after", "0", "--limit", str(last), "--json"
    )
    events = [json.loads(line) for line in tail.stdout.splitlines()]
    kinds = {event["type"] for event in events}
    assert kinds >= {
        "custom_field.defined", "person.custom_field_set", "company.custom_field_set",
        "company.referral_received", "company.target_named", "person.researched",
    }  # fmt: skip
    [shift] = [event for event in events if event["type"] == "person.custom_field_set"]
    assert shift["sealed"] == "text"
    assert SECRET not in tail.stdout.decode()
