"""Referrals over the API: in and out, in both histories, with what is owed for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, ORDER, found, problem, written

pytestmark = pytest.mark.anyio

AT = "2024-02-10T09:00:00Z"
RECEIVED = {"received_at": AT, "fee_cents": 100_000, "currency": "EUR"}


async def fees(client: httpx.AsyncClient, **params: Any) -> dict[str, tuple[str, str]]:
    listed = (await found(client, "/referrals", **params))["items"]
    return {r["subject"]: (r["fee"], r["owed_by"]) for r in listed}


async def test_a_referral_is_in_both_histories_and_its_fee_falls_due_with_the_start(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada, ben, cyd = [
        (await written(ana, "/people", body))["id"]
        for body in (ADA, {"name": "Ben"}, {"name": "Cyd"})
    ]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    partner = (await written(ana, "/companies", {"name": "Partner"}))["id"]
    way, firm = f"/people/{ada}/referrals", f"/companies/{engines}/referrals"
    by_ben = {"kind": "person.referral_received", "by_person_id": ben, "text": "A friend"}
    one = (await written(ana, way, by_ben | RECEIVED))["created"]
    of_cyd = f"/people/{cyd}/referrals"
    at_once = by_ben | RECEIVED | {"fee_on": "referral", "by_company_id": partner}
    await written(ana, of_cyd, at_once)
    to_partner = {"kind": "person.referral_given", "to_company_id": partner, "given_at": AT}
    await written(ana, of_cyd, to_partner)
    client = {"kind": "company.referral_received", "by_company_id": partner, "by_person_id": ben}
    of_client = (await written(ana, firm, client | RECEIVED))["created"]
    sold = {"kind": "company.referral_given", "to_company_id": partner, "given_at": AT}
    away = (await written(ana, firm, sold | {"fee_cents": 5_000}))["created"]
    project()

    assert await fees(ana, person_id=ada) == {"Ada Byron": ("agreed", "us")}
    assert await fees(ana, direction="received", company_id=engines) == {
        "Analytical Engines": ("agreed", "us")
    }
    assert await fees(ana, fee="due") == {"Cyd": ("due", "us")}
    assert set(await fees(ana, person_id=ben)) == {"Ada Byron", "Cyd", "Analytical Engines"}
    assert set(await fees(ana, company_id=partner)) == {"Cyd", "Analytical Engines"}
    assert await fees(ana, direction="given", company_id=engines) == {
        "Analytical Engines": ("agreed", "partner")
    }
    assert await fees(ana, direction="given", person_id=cyd) == {"Cyd": ("none", "")}
    [line] = [
        line for line in (await found(ana, f"/people/{ben}/history"))["items"]
        if line["person_id"] == ada
    ]  # fmt: skip
    assert (line["line"], line["text"]) == (
        "candidate referred to us, fee 1000.00 EUR", "A friend"
    )  # fmt: skip
    for path in (f"/companies/{partner}", f"/people/{ben}", f"/companies/{engines}"):
        lines = {each["line"] for each in (await found(ana, f"{path}/history"))["items"]}
        assert "client referred to us, fee 1000.00 EUR" in lines, path

    lines = {each["line"] for each in (await found(ana, f"/companies/{partner}/history"))["items"]}
    assert {
        "candidate referred to us, fee 1000.00 EUR", "candidate referred to a partner",
        "client referred to a partner, fee 50.00 EUR",
    } <= lines  # fmt: skip

    # who starts makes the fees due that we owe, theirs and that for the client
    order = (await written(ana, f"/companies/{engines}/job-orders", ORDER))["created"]
    await written(ana, f"/companies/{engines}/fees", FEE)
    body = {"company_id": engines, "job_order_id": order}
    opened = (await written(ana, f"/people/{ada}/candidacies", body))["created"]
    at = f"/people/{ada}/candidacies/{opened}"
    await written(ana, f"{at}/rights-to-represent", {"given_at": AT})
    await written(ana, f"{at}/introductions", {"introduced_at": AT})
    job = {"starts_on": "2024-04-01", "first_year_pay_cents": 8_000_000, "placed_at": AT}
    await written(ana, f"{at}/placements", job)
    project()
    assert set(await fees(ana, fee="due")) == {"Cyd"}
    await written(ana, f"{at}/starts", {"starts_on": "2024-04-01"})
    project()
    assert set(await fees(ana, fee="due")) == {"Cyd", "Ada Byron", "Analytical Engines"}
    assert await fees(ana, fee="due", direction="given") == {}

    paid = {"referral_id": one, "state": "paid", "told_at": "2024-05-01T09:00:00Z"}
    await written(ana, f"{way}/fees", paid)
    problem(await ana.post(f"{way}/fees", json=paid), 409, "fee-is-settled")
    told = {"referral_id": away, "state": "due", "told_at": "2024-05-01T09:00:00Z"}
    await written(ana, f"{firm}/fees", told)
    waived = {"referral_id": of_client, "state": "waived", "told_at": "2024-05-01T09:00:00Z"}
    await written(ana, f"{firm}/fees", waived)
    project()
    assert await fees(ana, person_id=ada) == {"Ada Byron": ("paid", "us")}
    assert await fees(ana, fee="due", direction="given") == {
        "Analytical Engines": ("due", "partner")
    }
    assert await fees(ana, fee="waived") == {"Analytical Engines": ("waived", "us")}
    lines = {each["line"] for each in (await found(ana, f"/people/{ben}/history"))["items"]}
    assert {"referral fee paid", "referral fee waived"} <= lines


async def test_a_referral_that_makes_no_sense_is_refused(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    ben = (await written(ana, "/people", {"name": "Ben"}))["id"]
    way = f"/people/{ada}/referrals"
    received = {"kind": "person.referral_received", "received_at": AT}
    problem(await ana.post(way, json=received), 422, "referrer-missing")
    own = received | {"by_person_id": ada}
    problem(await ana.post(way, json=own), 422, "referrer-missing")
    none = received | {"by_company_id": ben}
    problem(await ana.post(way, json=none), 404, "no-such-record")
    made = (await written(ana, way, received | {"by_person_id": ben}))["created"]
    again = received | {"by_person_id": ada, "referral_id": made}
    problem(await ana.post(f"/people/{ben}/referrals", json=again), 409, "referral-id-taken")
    fee = {"referral_id": made, "state": "due", "told_at": AT}
    problem(await ana.post(f"{way}/fees", json=fee), 409, "no-fee-agreed")
    problem(await ana.post(f"/people/{ben}/referrals/fees", json=fee), 404, "no-such-referral")
    alone = {"kind": "person.consent_withdrawn", "withdrawn_at": AT}
    await written(ana, f"/people/{ada}/permissions", alone)
    given = {"kind": "person.referral_given", "to_person_id": ben, "given_at": AT}
    problem(await ana.post(way, json=given), 403, "no-consent")
    project()
    problem(await ana.get("/referrals", params={"person_id": made}), 404, "no-such-record")
