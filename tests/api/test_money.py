"""Money as a client sees it: terms, introductions, placements, invoices, commissions."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, faults, found, problem, written

pytestmark = pytest.mark.anyio

LADDER = [
    {"until_day": 30, "rebate_bp": 10_000},
    {"until_day": 60, "rebate_bp": 5_000},
    {"until_day": 90, "rebate_bp": 2_500},
]
THIRDS = [
    {"on": "signing", "share_bp": 3334},
    {"on": "shortlist", "share_bp": 3333},
    {"on": "start", "share_bp": 3333},
]
RETAINED = {
    "basis": "retained",
    "currency": "EUR",
    "rate_bp": 3000,
    "expected_pay_cents": 10_000_000,
    "instalments": THIRDS,
    "agreed_at": "2024-02-01T10:00:00Z",
}


async def test_a_fee_is_agreed_amended_and_ended_and_every_version_stays_to_be_read(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    fees = f"/companies/{company}/fees"
    first = FEE | {"guarantee_days": 90, "ladder": LADDER, "ends_on": "2025-12-31"}
    agreed = (await written(ana, fees, first))["created"]
    lower = {k: v for k, v in first.items() if k != "agreed_at"} | {
        "agreement_id": agreed, "rate_bp": 2000, "amended_at": "2024-06-01T00:00:00Z",
        "tiers": [{"from_cents": 10_000_000, "rate_bp": 2200}],
    }  # fmt: skip
    await written(ana, f"{fees}/amendments", lower)
    stale = await ana.post(f"{fees}/amendments", json=lower)
    assert problem(stale, 422, "amended-backwards")["version"] == 2
    other = {"agreement_id": agreed, "currency": "GBP", "amended_at": "2024-07-01T00:00:00Z"}
    problem(await ana.post(f"{fees}/amendments", json=lower | other), 422, "another-contract")
    project()

    shown = (await found(ana, fees))["items"]
    assert [(v["version"], v["since"], v["until"]) for v in shown] == [
        (2, "2024-06-01T00:00:00Z", None),
        (1, "2024-02-01T10:00:00Z", "2024-06-01T00:00:00Z"),
    ]
    assert shown[0]["line"] == "fee amended, version 2: 20 to 22 % of first-year pay"
    assert shown[0]["terms"]["ladder"] == shown[1]["terms"]["ladder"] == LADDER
    assert [
        v["version"] for v in (await found(ana, "/fees", ends_before="2026-01-01"))["items"]
    ] == [2]
    assert (await found(ana, "/fees", ends_before="2025-12-31"))["items"] == []

    ending = {"agreement_id": agreed, "ended_at": "2024-09-01T00:00:00Z", "reason": "insourced"}
    await written(ana, f"{fees}/endings", ending)
    problem(await ana.post(f"{fees}/endings", json=ending), 409, "agreement-is-over")
    project()
    shown = (await found(ana, fees))["items"]
    assert [v["until"] for v in shown] == ["2024-09-01T00:00:00Z", "2024-06-01T00:00:00Z"]
    assert (await found(ana, "/fees", ends_before="2026-01-01"))["items"] == []
    card = await found(ana, f"/companies/{company}")
    assert [(f["version"], f["rate_bp"], f["ended_at"]) for f in card["fees"]] == [
        (2, 2000, "2024-09-01T00:00:00Z")
    ]
    lines = [line["line"] for line in (await found(ana, f"/companies/{company}/history"))["items"]]
    assert "fee agreement ended: insourced" in lines


async def test_terms_that_make_no_sense_are_told_by_kind(ana: httpx.AsyncClient) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    fees = f"/companies/{company}/fees"
    retained = RETAINED | {"job_order_id": order}
    for body, code in (
        (FEE | {"rate_bp": 0}, "terms-incomplete"),
        (RETAINED, "not-for-one-order"),
        (retained | {"instalments": THIRDS[:2]}, "instalments-incomplete"),
        (retained | {"expected_pay_cents": 0}, "terms-incomplete"),
        (FEE | {"ladder": LADDER}, "ladder-disordered"),
        (FEE | {"tiers": [{"from_cents": 5, "rate_bp": 1}] * 2}, "tiers-disordered"),
        (FEE | {"counts": ["base", "base"]}, "part-twice"),
    ):
        problem(await ana.post(fees, json=body), 422, code)
    bad = FEE | {"ladder": [{"until_day": 0, "rebate_bp": 10_001}], "counts": ["luck"]}
    assert set(faults(await ana.post(fees, json=bad))) == {
        "/ladder/0/until_day", "/ladder/0/rebate_bp", "/counts/0",
    }  # fmt: skip
    await written(ana, fees, retained)
