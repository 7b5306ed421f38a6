"""Money as a client sees it: terms, introductions, placements, invoices, commissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, faults, found, problem, written
from ledger_crm.domain.invoice import instalment_id

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


MARCH = "2024-03-06T09:00:00Z"


async def client_with(
    ana: httpx.AsyncClient, openings: int = 1, **terms: Any
) -> tuple[str, str, str]:
    """A company, an open order of it, and what it pays."""
    company = (await written(ana, "/companies", ENGINES))["id"]
    asked = ORDER | {"openings": openings}
    order = (await written(ana, f"/companies/{company}/job-orders", asked))["created"]
    of_order = {"job_order_id": order} if terms.get("basis") == "retained" else {}
    body = FEE | of_order | terms
    agreed = (await written(ana, f"/companies/{company}/fees", body))["created"]
    return company, order, agreed


async def introduced(
    ana: httpx.AsyncClient, company: str, order: str, name: str = "Ada Byron", at: str = MARCH
) -> tuple[str, str]:
    """Somebody, and the path of their candidacy."""
    person = (await written(ana, "/people", {"name": name}))["id"]
    where = {"company_id": company, "job_order_id": order, "opened_at": "2024-03-01T09:00:00Z"}
    candidacy = (await written(ana, f"/people/{person}/candidacies", where))["created"]
    way = f"/people/{person}/candidacies/{candidacy}"
    await written(ana, f"{way}/rights-to-represent", {"given_at": "2024-03-05T09:00:00Z"})
    await written(ana, f"{way}/introductions", {"introduced_at": at})
    return person, way


PLACED = {"starts_on": "2024-05-01", "first_year_pay_cents": 8_000_000, "placed_at": MARCH}


async def lines(ana: httpx.AsyncClient, path: str) -> list[str]:
    return [line["line"] for line in (await found(ana, f"{path}/history"))["items"]]


async def test_renegotiated_between_introduction_and_start_the_terms_at_introduction_hold(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, agreed = await client_with(ana, 2, guarantee_days=90, ladder=LADDER)
    early, way = await introduced(ana, company, order)
    lower = {k: v for k, v in FEE.items() if k != "agreed_at"} | {
        "agreement_id": agreed, "rate_bp": 1800, "amended_at": "2024-03-20T00:00:00Z",
    }  # fmt: skip
    await written(ana, f"/companies/{company}/fees/amendments", lower)
    late, other_way = await introduced(ana, company, order, "Ben", at="2024-03-21T00:00:00Z")
    for path in (way, other_way):
        placed_at = {"placed_at": "2024-04-01T09:00:00Z"}
        await written(ana, f"{path}/placements", PLACED | placed_at)
        await written(ana, f"{path}/starts", {"starts_on": "2024-05-01"})
    project()

    cards = (await found(ana, "/candidates", job_order_id=order))["items"]
    fees = {card["person_id"]: card["fee_cents"] for card in cards}
    assert fees == {early: 2_000_000, late: 1_440_000}, "25 % and 18 % of 80,000.00"
    theirs = await lines(ana, f"/companies/{company}")
    assert "instalment due at the start: 20000.00 EUR" in theirs
    assert "instalment due at the start: 14400.00 EUR" in theirs
    evidence = (await found(ana, "/introductions", company_id=company))["items"]
    assert [(each["person_id"], each["agreement_version"]) for each in evidence] == [
        (late, 2), (early, 1)
    ]  # fmt: skip
    running = (await found(ana, "/placements", in_guarantee_on="2024-07-29"))["items"]
    assert [each["person_id"] for each in running] == [early]
    [at_risk] = await found(ana, "/revenue", by="client", on="2024-07-29")
    assert (at_risk["at_risk_cents"], at_risk["agreed_cents"]) == (2_000_000, 3_440_000)
    # the guarantee too is of the version at the introduction: the amended one has none
    assert "started, guarantee until 2024-07-29" in await lines(ana, f"/people/{early}")
    assert "started" in await lines(ana, f"/people/{late}")


async def test_a_rebate_is_taken_off_what_is_to_invoice_and_is_listed_until_it_is_settled(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, guarantee_days=90, ladder=LADDER)
    _, way = await introduced(ana, company, order)
    await written(ana, f"{way}/placements", PLACED)
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    fell = {"left_on": "2024-06-14", "reason": "counter_offer", "decided_by": "candidate"}
    await written(ana, f"{way}/fall-throughs", fell)
    project()

    async def told() -> tuple[list[int], list[tuple[int, bool]]]:
        """What is to invoice, and what is left of the rebate."""
        due = (await found(ana, "/instalments", to_invoice=True))["items"]
        rest = (await found(ana, "/instalments", to_invoice=False))["items"]
        assert due + rest == (await found(ana, "/instalments"))["items"]
        owed = (await found(ana, "/remedies", company_id=company))["items"]
        left = (await found(ana, "/remedies", settled=False))["items"]
        assert left == [each for each in owed if not each["settled"]]
        return (
            [each["to_invoice_cents"] for each in due],
            [(each["to_settle_cents"], each["settled"]) for each in owed],
        )

    assert await told() == ([1_000_000], [(0, True)]), "half of the fee is simply not asked for"
    [due] = (await found(ana, "/instalments"))["items"]
    assert (due["amount_cents"], due["rebate_cents"]) == (2_000_000, 1_000_000)
    books, money = (
        f"/companies/{company}/invoices",
        {"currency": "EUR", "raised_at": "2024-07-01T09:00:00Z"},
    )
    bill = money | {"instalment_id": due["id"], "number": "1", "amount_cents": 2_000_000}
    told_off = problem(await ana.post(books, json=bill), 403, "not-owed-any-more")
    assert (told_off["to_invoice_cents"], told_off["rebate_cents"]) == (1_000_000, 1_000_000)
    bill |= {"override": "Their books want it whole, with a credit note"}
    invoice = (await written(ana, books, bill))["created"]
    project()
    assert await told() == ([], [(1_000_000, False)]), "it was invoiced as a whole all the same"
    money = {"currency": "EUR", "credited_at": "2024-07-02T09:00:00Z"}
    credit = money | {"invoice_id": invoice, "amount_cents": 400_000, "reason": "rebate"}
    await written(ana, f"{books}/credits", credit | {"number": "C1"})
    project()
    assert await told() == ([], [(600_000, False)])
    await written(ana, f"{books}/credits", credit | {"number": "C2", "amount_cents": 600_000})
    project()
    assert await told() == ([], [(0, True)])


async def test_what_was_invoiced_wrongly_is_to_invoice_until_it_is_invoiced_anew(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana)
    _, way = await introduced(ana, company, order)
    await written(ana, f"{way}/placements", PLACED)
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    books = f"/companies/{company}/invoices"

    async def left() -> list[int]:
        project()
        due = (await found(ana, "/instalments", to_invoice=True))["items"]
        rest = (await found(ana, "/instalments", to_invoice=False))["items"]
        assert due + rest == (await found(ana, "/instalments"))["items"]
        return [each["to_invoice_cents"] for each in due]

    assert await left() == [2_000_000]
    [due] = (await found(ana, "/instalments"))["items"]
    bill = {"currency": "EUR", "raised_at": "2024-05-02T09:00:00Z", "instalment_id": due["id"]}
    first = await written(ana, books, bill | {"number": "1", "amount_cents": 1_500_000})
    assert await left() == [500_000]
    await written(ana, books, bill | {"number": "2", "amount_cents": 500_000})
    assert await left() == []
    credit = {"currency": "EUR", "credited_at": "2024-05-03T09:00:00Z", "reason": "wrong_amount"}
    credit |= {"invoice_id": first["created"], "amount_cents": 700_000, "anew": True}
    await written(ana, f"{books}/credits", credit | {"number": "C1"})
    assert await left() == [700_000]
    await written(ana, books, bill | {"number": "3", "amount_cents": 700_000})
    assert await left() == []


async def test_a_rebate_that_is_more_than_is_due_at_the_start_is_left_to_credit_notes(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given a retained search in thirds of 30,000.00, of which the one for the signing is invoiced;
    when somebody who started leaves and all is to be paid back; then the third of the start is not
    invoiced, and the rest is left to credit on what was invoiced before."""
    company, order, _ = await client_with(ana)
    whole = {"guarantee_days": 90, "ladder": [{"until_day": 90, "rebate_bp": 10_000}]}
    retained = RETAINED | whole | {"job_order_id": order}
    await written(ana, f"/companies/{company}/fees", retained)
    _, way = await introduced(ana, company, order)
    await written(ana, f"{way}/placements", PLACED | {"first_year_pay_cents": 10_000_000})
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    project()
    due = {each["on"]: each for each in (await found(ana, "/instalments"))["items"]}
    signing = due["signing"]["amount_cents"]
    books = f"/companies/{company}/invoices"
    bill = {"instalment_id": due["signing"]["id"], "number": "1", "amount_cents": signing}
    bill |= {"currency": "EUR", "raised_at": "2024-05-02T09:00:00Z"}
    invoice = (await written(ana, books, bill))["created"]
    fell = {"left_on": "2024-06-14", "reason": "counter_offer", "decided_by": "candidate"}
    await written(ana, f"{way}/fall-throughs", fell)
    project()

    due = {each["on"]: each for each in (await found(ana, "/instalments"))["items"]}
    start = due["start"]["amount_cents"]
    assert (due["start"]["rebate_cents"], due["start"]["to_invoice_cents"]) == (start, 0)
    assert due["signing"]["rebate_cents"] == 0
    [owed] = (await found(ana, "/remedies", settled=False))["items"]
    assert owed["amount_cents"] == 3_000_000 > start
    assert owed["to_settle_cents"] == signing
    credit = {"invoice_id": invoice, "number": "C1", "amount_cents": signing, "currency": "EUR"}
    credit |= {"credited_at": "2024-07-02T09:00:00Z", "reason": "rebate"}
    await written(ana, f"{books}/credits", credit)
    project()
    assert (await found(ana, "/remedies", settled=False))["items"] == []


async def test_a_replacement_is_listed_until_it_is_given(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, guarantee_days=90)
    ada, way = await introduced(ana, company, order)
    await written(ana, f"{way}/placements", PLACED)
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    fell = {"left_on": "2024-06-14", "reason": "counter_offer", "decided_by": "candidate"}
    await written(ana, f"{way}/fall-throughs", fell)
    project()
    [owed] = (await found(ana, "/remedies", settled=False))["items"]
    assert (owed["remedy"], owed["person_id"], owed["left_on"]) == (
        "replacement",
        ada,
        "2024-06-14",
    )

    _, other = await introduced(ana, company, order, "Ben", at="2024-06-20T09:00:00Z")
    job = PLACED | {"placed_at": "2024-07-01T09:00:00Z", "starts_on": "2024-07-15"}
    await written(ana, f"{other}/placements", job | {"replaces_id": way.rpartition("/")[2]})
    project()
    assert (await found(ana, "/remedies", settled=False))["items"] == []
    [given] = (await found(ana, "/remedies", settled=True))["items"]
    assert given["replaced_by_id"] == other.rpartition("/")[2]


async def test_a_guarantee_that_ran_out_is_over_though_nobody_wrote_it_down(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, guarantee_days=90)
    _, way = await introduced(ana, company, order)
    await written(ana, f"{way}/placements", PLACED)
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    project()

    async def told(**asked: str) -> list[str]:
        return [each["status"] for each in (await found(ana, "/placements", **asked))["items"]]

    assert await told(on="2024-07-29") == ["started"]
    assert await told(on="2024-07-30") == await told() == ["guarantee_ended"]
    assert await told(on="2024-07-30", status="started") == []
    assert await told(status="guarantee_ended") == ["guarantee_ended"]


async def test_a_placement_is_shared_as_its_job_order_is_unless_it_says_otherwise(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, 2)
    shares = [
        {"consultant": "consultant:ana", "share_bp": 7_000},
        {"consultant": "consultant:ben", "share_bp": 3_000},
    ]
    staffed = {
        "kind": "company.job_order_staffed", "job_order_id": order, "staffed_at": MARCH,
        "owner": "consultant:ana", "shares": shares,
    }  # fmt: skip
    await written(ana, f"/companies/{company}/job-orders/steps", staffed)
    _, way = await introduced(ana, company, order)
    _, other_way = await introduced(ana, company, order, "Cyd")
    await written(ana, f"{way}/placements", PLACED)
    alone = {"shares": [{"consultant": "consultant:cleo", "share_bp": 10_000}]}
    await written(ana, f"{other_way}/placements", PLACED | alone)
    project()

    found_of = {
        who: (await found(ana, "/commissions", consultant=f"consultant:{who}"))["items"]
        for who in ("ana", "ben", "cleo")
    }
    assert {who: len(items) for who, items in found_of.items()} == {"ana": 1, "ben": 1, "cleo": 1}
    cents = {p["consultant"]: p["cents"] for p in found_of["ben"][0]["parts"]}
    assert cents == {"consultant:ana": 1_400_000, "consultant:ben": 600_000}, "of 20,000.00"


async def test_a_placement_from_the_start_to_the_rebate_that_goes_back(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, guarantee_days=90, ladder=LADDER, payment_days=14)
    person, way = await introduced(ana, company, order)
    problem(await ana.post(f"{way}/starts", json={"starts_on": "2024-05-01"}), 409, "not-placed")
    unclear = {k: v for k, v in PLACED.items() if k != "first_year_pay_cents"}
    problem(await ana.post(f"{way}/placements", json=unclear), 422, "pay-unclear")
    in_pounds = unclear | {"pay": {"currency": "GBP", "base_cents": 6_400_000}}
    problem(await ana.post(f"{way}/placements", json=in_pounds), 422, "no-exchange-rate")
    in_pounds["pay"]["exchange_rate_e9"] = 1_250_000_000
    await written(ana, f"{way}/placements", in_pounds)  # 64,000.00 GBP are 80,000.00 EUR
    halves = [{"consultant": f"consultant:{who}", "share_bp": 5000} for who in ("ana", "ben")]
    await written(ana, f"{way}/commissions", {"shares": halves})
    odd = await ana.post(f"{way}/commissions", json={"shares": halves[:1]})
    problem(odd, 422, "shares-incomplete")
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    problem(await ana.post(f"{way}/starts", json={"starts_on": "2024-05-02"}), 409, "has-started")

    candidacy = way.rpartition("/")[2]
    instalment = str(instalment_id(UUID(order), "start", UUID(candidacy)))
    books = f"/companies/{company}/invoices"
    bill = {
        "instalment_id": instalment, "number": "2024/17", "amount_cents": 2_000_000,
        "currency": "EUR", "raised_at": "2024-05-02T09:00:00Z",
    }  # fmt: skip
    invoice = (await written(ana, books, bill))["created"]
    problem(await ana.post(books, json=bill | {"number": "2024/18"}), 409, "more-than-open")
    money = {"invoice_id": invoice, "amount_cents": 2_000_000, "currency": "EUR"}
    pay = money | {"paid_at": "2024-05-20T09:00:00Z", "reference": "NTRF-77"}
    await written(ana, f"{books}/payments", pay)
    again = await written(ana, f"{books}/payments", pay)
    assert again["position"] is None, "the bank's same reference"
    left = {"left_on": "2024-06-14", "reason": "counter_offer", "decided_by": "candidate"}
    await written(ana, f"{way}/fall-throughs", left)  # day 45 of 90: half of it
    problem(await ana.post(f"{way}/fall-throughs", json=left), 409, "has-fallen-through")
    half = money | {"amount_cents": 1_000_000}
    back = half | {"refunded_at": "2024-06-20T09:00:00Z"}
    problem(await ana.post(f"{books}/refunds", json=back), 409, "more-than-open")
    note = half | {"number": "2024/17", "credited_at": "2024-06-15T09:00:00Z", "reason": "rebate"}
    problem(await ana.post(f"{books}/credits", json=note), 409, "number-taken")
    await written(ana, f"{books}/credits", note | {"number": "2024/C1"})
    await written(ana, f"{books}/refunds", back)
    project()
    assert (await found(ana, f"/job-orders/{order}"))["status"] == "filled", "a rebate is the end"

    told = await lines(ana, f"/companies/{company}")
    assert [line for line in told if line in {
        "instalment due at the start: 20000.00 EUR", "invoice 2024/17 raised: 20000.00 EUR",
        "invoice paid: 20000.00 EUR", "rebate owed: 10000.00 EUR",
        "fell through on day 45: counter offer, rebate 10000.00 EUR",
        "credit note 2024/C1: 10000.00 EUR, rebate", "invoice refunded: 10000.00 EUR",
    }] == [
        "invoice refunded: 10000.00 EUR", "credit note 2024/C1: 10000.00 EUR, rebate",
        "rebate owed: 10000.00 EUR", "fell through on day 45: counter offer, rebate 10000.00 EUR",
        "invoice paid: 20000.00 EUR", "invoice 2024/17 raised: 20000.00 EUR",
        "instalment due at the start: 20000.00 EUR",
    ]  # fmt: skip
    [line] = await found(ana, "/revenue", by="client", on="2024-06-01")
    assert (line["key"], line["label"], line["currency"]) == (company, ENGINES["name"], "EUR")
    sums = {name: cents for name, cents in line.items() if name.endswith("_cents")}
    assert sums == {
        "agreed_cents": 2_000_000, "rebated_cents": 1_000_000, "due_cents": 2_000_000,
        "invoiced_cents": 2_000_000, "paid_cents": 2_000_000, "credited_cents": 1_000_000,
        "refunded_cents": 1_000_000, "at_risk_cents": 0,
    }  # fmt: skip
    by_consultant = await found(ana, "/revenue", by="consultant")
    assert [(each["key"], each["paid_cents"]) for each in by_consultant] == [
        ("consultant:ana", 1_000_000), ("consultant:ben", 1_000_000)
    ]  # fmt: skip
    months = await found(ana, "/revenue", by="month", since="2024-05-01T00:00:00Z")
    assert await found(ana, "/revenue", by="month", since="2024-05-01") == months
    wrong = await ana.get("/revenue", params={"by": "month", "since": "May"})
    assert "like 2026-03-01" in faults(wrong)["query:since"]
    assert {each["key"]: each["invoiced_cents"] for each in months} == {
        "2024-05": 2_000_000, "2024-06": 0
    }  # fmt: skip
    assert await found(ana, "/revenue", by="industry", until="2024-01-01T00:00:00Z") == []
    [bill] = (await found(ana, "/invoices", company_id=company, settled=True))["items"]
    assert (bill["open_cents"], bill["due_on"]) == (0, "2024-05-16")
    assert (await found(ana, "/invoices", overdue_on="2025-01-01"))["items"] == []
    [part] = (await found(ana, "/instalments", to_invoice=False))["items"]
    assert (part["id"], part["on"], part["person"]) == (instalment, "start", "Ada Byron")
    assert (await found(ana, "/instalments", to_invoice=True))["items"] == []
    [placement] = (await found(ana, "/placements", status="fell_through"))["items"]
    assert (placement["fee_cents"], placement["rebate_cents"]) == (2_000_000, 1_000_000)
    assert placement["first_year_pay_cents"] == 8_000_000
    assert (await found(ana, "/placements", in_guarantee_on="2024-06-01"))["items"] == []
    [shared] = (await found(ana, "/commissions", consultant="consultant:ben"))["items"]
    assert [(each["consultant"], each["cents"]) for each in shared["parts"]] == [
        ("consultant:ana", 500_000), ("consultant:ben", 500_000)
    ]  # fmt: skip
    assert (await found(ana, "/commissions", consultant="consultant:eve"))["items"] == []
    hers = await lines(ana, f"/people/{person}")
    assert "commission split: consultant:ana 50 %, consultant:ben 50 %" in hers
    assert "started, guarantee until 2024-07-29" in hers


async def test_an_exclusive_order_that_is_found_elsewhere_is_flagged_and_stays_so(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, exclusive_until_on="2024-06-30")
    steps, orders = f"/companies/{company}/job-orders/steps", f"/companies/{company}/job-orders"
    free = (await written(ana, orders, ORDER))["created"]
    lost = {"kind": "company.job_order_lost", "reason": "other_agency"}
    await written(ana, steps, lost | {"job_order_id": order, "lost_at": "2024-06-30T22:00:00Z"})
    await written(ana, steps, lost | {"job_order_id": free, "lost_at": "2024-07-01T01:00:00Z"})
    again = {"kind": "company.job_order_reopened", "reopened_at": "2024-07-02T09:00:00Z"}
    await written(ana, steps, again | {"job_order_id": order})
    project()
    listed = (await found(ana, "/job-orders"))["items"]
    assert {each["id"]: each["exclusivity_broken"] for each in listed} == {order: True, free: False}
    for broken, id in ((True, order), (False, free)):
        [one] = (await found(ana, "/job-orders", exclusivity_broken=broken))["items"]
        assert one["id"] == id
    told = "found elsewhere, though exclusive with us until 2024-06-30"
    assert (await lines(ana, f"/companies/{company}")).count(told) == 1


async def test_the_terms_in_force_are_told_for_any_moment_and_with_what_they_would_bring(
    ana: httpx.AsyncClient,
) -> None:
    company, order, agreed = await client_with(ana, exclusive_until_on="2024-06-30")
    where = f"/companies/{company}/job-orders/{order}/terms"
    now = await found(ana, where)
    assert (now["agreement_id"], now["agreement_version"], now["own"]) == (agreed, 1, False)
    assert (now["fee_cents"], now["ours_cents"], now["milestones"]) == (None, None, {})
    then = await found(ana, where, at=MARCH, first_year_pay_cents=8_000_000)
    assert (now["exclusive"], then["exclusive"]) == (False, True)
    assert (then["fee_cents"], then["ours_cents"]) == (2_000_000, 2_000_000)
    partner = (await written(ana, "/companies", {"name": "Weavers"}))["id"]
    lower = {k: v for k, v in FEE.items() if k != "agreed_at"} | {
        "agreement_id": agreed, "rate_bp": 2000, "amended_at": "2024-06-01T00:00:00Z",
        "split": {"partner_id": partner, "share_bp": 5000},
    }  # fmt: skip
    await written(ana, f"/companies/{company}/fees/amendments", lower)
    now = await found(ana, where, first_year_pay_cents=8_000_000)
    assert (now["agreement_version"], now["fee_cents"], now["ours_cents"]) == (
        2,
        1_600_000,
        800_000,
    )
    assert (await found(ana, where, at=MARCH))["agreement_version"] == 1, "it touches nobody before"
    own = FEE | RETAINED | {"job_order_id": order}
    retained = (await written(ana, f"/companies/{company}/fees", own))["created"]
    now = await found(ana, where)
    assert (now["agreement_id"], now["own"]) == (retained, True)
    assert now["milestones"] == {"signing": 1_000_200, "shortlist": 999_900}

    problem(await ana.get(where, params={"at": "2019-01-01T00:00:00Z"}), 404, "no-terms-then")
    nowhere = f"/companies/{company}/job-orders/{UUID(int=5)}/terms"
    problem(await ana.get(nowhere), 404, "no-such-job-order")
    problem(
        await ana.get(f"/companies/{UUID(int=5)}/job-orders/{order}/terms"), 404, "no-such-record"
    )
    faults(await ana.get(where, params={"first_year_pay_cents": -1}))
    problem(await ana.get(where, params={"after": 10**6}), 422, "after-the-head")


async def test_a_replacement_is_owed_and_given_for_no_further_fee(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, guarantee_days=90)
    _, way = await introduced(ana, company, order)
    ben, other_way = await introduced(ana, company, order, "Ben")
    left = way.rpartition("/")[2]
    await written(ana, f"{way}/placements", PLACED)
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    replacing = PLACED | {"starts_on": "2024-07-01", "replaces_id": left}
    early = await ana.post(f"{other_way}/placements", json=replacing)
    problem(early, 409, "no-replacement-owed")
    fell = {"left_on": "2024-06-14", "reason": "moved_away", "decided_by": "candidate"}
    await written(ana, f"{way}/fall-throughs", fell)
    where = f"/job-orders/{order}"
    project()
    assert (await found(ana, where))["found"] == 0, "another is looked for"
    assert (await found(ana, where))["status"] == "open"
    await written(ana, f"{other_way}/placements", replacing)
    await written(ana, f"{other_way}/starts", {"starts_on": "2024-07-01"})
    project()
    assert (await found(ana, where))["status"] == "filled"

    told = await lines(ana, f"/companies/{company}")
    assert {"replacement owed", "replacement given"} <= set(told)
    assert "an opening of the job order is free again" in told
    assert sum(line.startswith("instalment due") for line in told) == 1
    cards = (await found(ana, "/candidates", job_order_id=order))["items"]
    fees = {card["person_id"]: card["fee_cents"] for card in cards}
    assert fees[ben] == 0


async def test_a_replacement_takes_no_opening_that_nobody_left(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, openings=2, guarantee_days=90)
    _, way = await introduced(ana, company, order)
    _, other_way = await introduced(ana, company, order, "Ben")
    await written(ana, f"{way}/placements", PLACED)
    await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
    fell = {"left_on": "2024-06-14", "reason": "moved_away", "decided_by": "candidate"}
    await written(ana, f"{way}/fall-throughs", fell | {"look_again": False})
    replacing = PLACED | {"starts_on": "2024-07-01", "replaces_id": way.rpartition("/")[2]}
    await written(ana, f"{other_way}/placements", replacing)
    project()
    there = await found(ana, f"/job-orders/{order}")
    assert (there["found"], there["status"]) == (1, "open"), "one is there, and one is looked for"


async def test_retained_thirds_cancelled_after_the_second_and_filled_elsewhere(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, **RETAINED)
    steps = f"/companies/{company}/job-orders/{order}/milestones"
    first = await written(ana, steps, {"on": "shortlist"})
    again = await written(ana, steps, {"on": "shortlist"})
    assert (again["version"], again["position"]) == (first["version"], None)
    cancelled = f"/companies/{company}/job-orders/{order}/cancellations"
    await written(ana, cancelled, {"reason": "budget"})
    project()
    due = [line for line in await lines(ana, f"/companies/{company}") if "due" in line]
    assert sorted(due) == [
        "instalment due at the shortlist: 9999.00 EUR",
        "instalment due at the signing: 10002.00 EUR",
    ]
    await written(ana, steps, {"on": "elsewhere"})
    project()
    told = await lines(ana, f"/companies/{company}")
    assert "instalment due filled elsewhere: 9999.00 EUR" in told


async def test_nobody_is_placed_twice_at_once_and_who_is_hired_past_us_is_flagged(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, 2, tail_months=12)
    second = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    ada, way = await introduced(ana, company, order)
    where = {"company_id": company, "job_order_id": second}
    other = (await written(ana, f"/people/{ada}/candidacies", where))["created"]
    other_way = f"/people/{ada}/candidacies/{other}"
    await written(ana, f"{other_way}/rights-to-represent", {"given_at": MARCH})
    await written(ana, f"{other_way}/introductions", {"introduced_at": MARCH})
    await written(ana, f"{way}/placements", PLACED)
    later = PLACED | {"starts_on": "2025-04-30"}
    at_once = problem(await ana.post(f"{other_way}/placements", json=later), 403, "placed-at-once")
    assert at_once["starts_on"] == "2024-05-01"
    await written(ana, f"{other_way}/placements", later | {"override": "She left in January"})

    ben, _ = await introduced(ana, company, order, "Ben")
    job = {"company_id": company, "starts_on": "2025-03-06"}
    await written(ana, f"/people/{ben}/employments", job)
    cyd, _ = await introduced(ana, company, order, "Cyd")
    await written(ana, f"/people/{cyd}/employments", job | {"starts_on": "2025-03-07"})
    firms = [(await written(ana, "/companies", {"name": name}))["id"] for name in "MDS"]
    for firm, parent in zip(firms[:2], (company, firms[0]), strict=True):
        belongs = {"kind": "company.parent_named", "parent_id": parent, "named_at": MARCH}
        await written(ana, f"/companies/{firm}/changes", belongs)
    dan, _ = await introduced(ana, company, order, "Dan")
    for firm in firms[2], firms[1]:  # a stranger's, and the daughter of the client's daughter
        await written(ana, f"/people/{dan}/employments", job | {"company_id": firm})
    project()
    past_us = (await found(ana, "/introductions", hired_past_us=True))["items"]
    assert [(each["person_id"], each["hired_on"]) for each in past_us] == [
        (dan, "2025-03-06"), (ben, "2025-03-06"),
    ]  # fmt: skip
    tail = await found(ana, "/introductions", in_tail_on="2025-03-06", person_id=cyd)
    assert [each["tail_until_on"] for each in tail["items"]] == ["2025-03-06"]
    over = await found(ana, "/introductions", in_tail_on="2025-03-07", person_id=cyd)
    assert over["items"] == []
    flag = "hired past us, within the tail until 2025-03-06"
    assert flag in await lines(ana, f"/people/{ben}")
    assert flag in await lines(ana, f"/companies/{company}")
    assert flag not in await lines(ana, f"/people/{cyd}")


async def test_who_is_placed_fills_an_opening_and_the_last_one_the_job_order(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company, order, _ = await client_with(ana, 2)
    ways = [(await introduced(ana, company, order, name))[1] for name in ("Ada", "Ben", "Cyd")]
    standing = []
    for way in ways[:2]:
        await written(ana, f"{way}/placements", PLACED)
        project()
        [shown] = (await found(ana, "/job-orders", company_id=company))["items"]
        standing.append((shown["status"], shown["found"]))
    assert standing == [("open", 1), ("filled", 2)]

    closed = await ana.post(f"{ways[2]}/placements", json=PLACED)
    assert problem(closed, 409, "job-order-is-closed")["standing"] == "filled"
