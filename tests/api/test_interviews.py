"""Interviews and offers as a client sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, found, problem, written

pytestmark = pytest.mark.anyio


async def test_a_candidate_is_interviewed_judged_offered_and_placed(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/companies/{engines}/fees", FEE)
    order = (await written(ana, f"/companies/{engines}/job-orders", ORDER))["created"]
    manager = (await written(ana, "/people", {"name": "Charles Babbage"}))["id"]
    await written(ana, f"/people/{manager}/employments", {"company_id": engines})
    ada = (await written(ana, "/people", {"name": "Ada Byron"}))["id"]
    on = {"company_id": engines, "job_order_id": order}
    candidacy = (await written(ana, f"/people/{ada}/candidacies", on))["created"]
    at = f"/people/{ada}/candidacies/{candidacy}"

    def fact(kind: str, **fields: Any) -> dict[str, Any]:
        return {"kind": f"person.{kind}", "candidacy_id": candidacy} | fields

    interviews, offers = f"/people/{ada}/interviews", f"/people/{ada}/offers"
    arranged = fact(
        "interview_arranged", arranged_at="2024-03-01T09:00:00Z", starts_at="2124-03-04T09:00:00Z",
        interviewer_ids=[manager],
    )  # fmt: skip
    problem(await ana.post(interviews, json=arranged), 409, "not-put-forward")
    await written(ana, f"{at}/rights-to-represent", {})
    await written(ana, f"{at}/introductions", {"to_person_id": manager})

    one = {"interview_id": (await written(ana, interviews, arranged))["created"]}
    moved = fact(
        "interview_moved", moved_at="2024-03-02T09:00:00Z", starts_at="2024-03-05T09:00:00Z", **one
    )
    assert (await written(ana, interviews, moved))["created"] == one["interview_id"]
    said = fact(
        "interview_feedback", given_at="2024-03-05T12:00:00Z", interviewer_id=manager,
        verdict="strong_yes", scores=[{"attribute": "mathematics", "rating": 5}], text="At last",
        **one,
    )  # fmt: skip
    problem(await ana.post(interviews, json=said), 409, "not-held-yet")
    await written(ana, interviews, fact("interview_held", held_at="2024-03-05T10:00:00Z", **one))
    await written(ana, interviews, said)

    made = fact("offer_made", made_at="2024-03-06T09:00:00Z", first_year_pay_cents=8_000_000)
    offer = {"offer_id": (await written(ana, offers, made))["created"]}
    assert problem(await ana.post(offers, json=made), 409, "offer-is-open")["offer_id"]
    raised = {"changed_at": "2024-03-07T09:00:00Z", "first_year_pay_cents": 8_400_000}
    await written(ana, offers, fact("offer_changed", **offer, **raised))
    await written(ana, offers, fact("offer_accepted", accepted_at="2024-03-08T09:00:00Z", **offer))
    placement = {"starts_on": "2024-06-01", "first_year_pay_cents": 8_400_000}
    await written(ana, f"{at}/placements", placement)
    project()

    [interview] = (await found(ana, "/interviews", job_order_id=order, status="held"))["items"]
    assert (interview["person"], interview["moves"]) == ("Ada Byron", 1)
    [opinion] = interview["feedback"]
    assert (opinion["interviewer"], opinion["verdict"]) == ("Charles Babbage", "strong_yes")
    assert opinion["scores"] == [{"attribute": "mathematics", "rating": 5}]
    [accepted] = (await found(ana, "/offers", person_id=ada))["items"]
    assert (accepted["status"], accepted["first_year_pay_cents"]) == ("accepted", 8_400_000)
    assert (await found(ana, "/offers", status="open"))["items"] == []
    for path in (f"/people/{ada}/history", f"/companies/{engines}/history"):
        lines = {line["line"] for line in (await found(ana, path))["items"]}
        assert {
            "video interview arranged for 2124-03-04 09:00", "interview held", "offer accepted",
            "interview feedback: strong yes", "offer made: 80000.00 EUR",
        } <= lines, path  # fmt: skip
    theirs = await found(ana, f"/people/{manager}/history")
    assert "interview feedback: strong yes" in {line["line"] for line in theirs["items"]}
