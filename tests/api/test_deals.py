"""A deal as a client sees it: from its first value to the signature and the job order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, found, problem, written

pytestmark = pytest.mark.anyio


async def test_terms_are_sent_revised_signed_and_what_is_expected_is_forecast(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = (await written(ana, "/companies", ENGINES))["id"]
    company = f"/companies/{engines}"
    boss = (await written(ana, "/people", {"name": "Charles Babbage"}))["id"]
    await written(ana, f"/people/{boss}/employments", {"company_id": engines})
    opened = {"title": "Retainer", "value_cents": 100_000, "opened_at": "2024-01-01T00:00:00Z"}
    deal = (await written(ana, f"{company}/deals", opened))["created"]
    other = opened | {"value_cents": 50_000, "expected_close_on": "2024-06-30"}
    await written(ana, f"{company}/deals", other)

    async def step(kind: str, **fields: Any) -> httpx.Response:
        body = {"kind": f"company.{kind}", "deal_id": deal} | fields
        return await ana.post(f"{company}/deals/steps", json=body)

    sent = {"paper": "terms", "sent_at": "2024-01-02T00:00:00Z", "to_person_id": boss}
    signed = {"paper": "terms", "signed_at": "2024-01-05T00:00:00Z", "signed_by_id": boss}
    problem(await step("paper_signed", **signed, version=1), 422, "nothing-sent")
    for _ in range(2):
        assert (await step("paper_sent", **sent, document="terms.pdf")).status_code == 201
    stale = problem(await step("paper_signed", **signed, version=1), 409, "not-the-last-version")
    assert stale["last"] == 2
    agreement = (await written(ana, f"{company}/fees", FEE))["created"]
    answer = await step("paper_signed", **signed, version=2, agreement_id=agreement)
    assert answer.status_code == 201, answer.text
    order = (await written(ana, f"{company}/job-orders", ORDER))["created"]
    linked = await step("deal_linked", job_order_id=order, linked_at="2024-01-06T00:00:00Z")
    assert linked.status_code == 201
    changed = {"changed_at": "2024-01-07T00:00:00Z", "probability_bp": 9_000}
    expected = {"value_cents": 200_000, "expected_close_on": "2024-06-01"}
    assert (await step("deal_changed", **changed, **expected)).status_code == 201
    project()

    cards = {card["id"]: card for card in (await found(ana, "/deals"))["items"]}
    card = cards[deal]
    assert (card["terms_version"], card["terms_signed"], card["signed_by_id"]) == (2, 2, boss)
    assert (card["proposal_version"], card["job_orders"]) == (0, [order])
    [month] = await found(ana, "/deals/forecast")
    assert (month["month"], month["deals"], month["value_cents"]) == ("2024-06-01", 2, 250_000)
    assert month["weighted_cents"] == 180_000 + 2_500  # nine tenths, and 5 % of a prospect
    await written(ana, f"{company}/deals/{deal}/moves", {"stage": "won"})
    problem(await step("deal_changed", **changed), 409, "deal-is-over")
    project()
    [month] = await found(ana, "/deals/forecast", company_id=engines)
    assert (month["deals"], month["value_cents"]) == (1, 50_000)
    lines = {line["line"] for line in (await found(ana, f"{company}/history"))["items"]}
    assert {"terms sent", "terms revised, version 2", "terms signed, version 2"} <= lines
    theirs = {line["line"] for line in (await found(ana, f"/people/{boss}/history"))["items"]}
    assert "terms signed, version 2" in theirs
