"""A fee is renegotiated between introduction and start: it is computed from the terms in force when
they were introduced, and the evidence for that is one request away.

Against the servers as the user starts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from running import Running

pytestmark = pytest.mark.xdist_group("agency")

AT = "T09:00:00Z"
TERMS = {"basis": "contingent", "currency": "EUR", "guarantee_days": 90, "tail_months": 12}
LADDER = [{"until_day": 45, "rebate_bp": 5_000}, {"until_day": 90, "rebate_bp": 2_500}]


@pytest.fixture(scope="module")
def api(agency: Running) -> Iterator[httpx.Client]:
    with agency.api() as api:
        yield api


def post(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def read(api: httpx.Client, path: str, **params: Any) -> Any:
    answer = api.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_terms_at_the_introduction_hold_to_the_last_cent(api: httpx.Client) -> None:
    id = post(api, "/companies", name="Eiderveld Freight")["id"]
    client = f"/companies/{id}"
    agreed = post(
        api, f"{client}/fees", **TERMS, rate_bp=2_500, ladder=LADDER, agreed_at=f"2024-01-02{AT}"
    )["created"]
    order = post(
        api, f"{client}/job-orders", title="Planner", opened_at=f"2024-01-03{AT}", openings=2
    )["created"]

    def introduced(name: str, on: str) -> str:
        person = post(api, "/people", name=name)["id"]
        where = {"company_id": id, "job_order_id": order}
        opened = post(api, f"/people/{person}/candidacies", **where)["created"]
        way = f"/people/{person}/candidacies/{opened}"
        post(api, f"{way}/rights-to-represent", given_at=f"2024-01-04{AT}")
        post(api, f"{way}/introductions", introduced_at=f"{on}{AT}")
        return way

    lin = introduced("Lin Obi", "2024-01-10")
    post(
        api, f"{client}/fees/amendments", agreement_id=agreed, **TERMS | {"guarantee_days": 0},
        rate_bp=1_800, amended_at=f"2024-01-20{AT}",
    )  # fmt: skip
    kit = introduced("Kit Awa", "2024-01-21")
    for way in (lin, kit):
        post(
            api, f"{way}/placements", placed_at=f"2024-02-01{AT}", starts_on="2024-03-01",
            first_year_pay_cents=60_000_01,
        )  # fmt: skip
        last = post(api, f"{way}/starts", starts_on="2024-03-01")
    # both leave on day 45 of the guarantee, which only one of them has
    for way in (lin, kit):
        last = post(
            api, f"{way}/fall-throughs", left_on="2024-04-14", reason="moved_away",
            decided_by="candidate",
        )  # fmt: skip

    after = {"after": last["position"]}
    fees = {p["candidacy_id"]: p for p in read(api, "/placements", **after)["items"]}
    [of_lin, of_kit] = (fees[way.rpartition("/")[2]] for way in (lin, kit))
    assert of_lin["fee_cents"] == 15_000_00, "25 % of 60,000.01 is 15,000.0025"
    assert of_kit["fee_cents"] == 10_800_00, "18 % of it is 10,800.0018"
    assert (of_lin["remedy"], of_lin["rebate_cents"]) == ("rebate", 7_500_00)
    assert (of_kit["remedy"], of_kit["rebate_cents"]) == ("none", 0)
    evidence = read(api, "/introductions", company_id=id, **after)["items"]
    assert [(i["person"], i["agreement_version"], i["introduced_at"]) for i in evidence] == [
        ("Kit Awa", 2, f"2024-01-21{AT}"), ("Lin Obi", 1, f"2024-01-10{AT}")
    ]  # fmt: skip
    versions = {v["version"]: v for v in read(api, f"{client}/fees", **after)["items"]}
    assert versions[1]["terms"]["rate_bp"] == 2_500
    assert versions[1]["until"] == versions[2]["since"] == f"2024-01-20{AT}"
    due = read(api, "/instalments", company_id=id, to_invoice=True, **after)["items"]
    assert sorted(part["amount_cents"] for part in due) == [10_800_00, 15_000_00]
    [sums] = [each for each in read(api, "/revenue", by="client", **after) if each["key"] == id]
    assert (sums["agreed_cents"], sums["rebated_cents"]) == (25_800_00, 7_500_00)
