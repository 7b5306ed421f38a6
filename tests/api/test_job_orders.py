"""A job order as a client sees it, from the call to the last opening."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, found, problem, written

pytestmark = pytest.mark.anyio


async def test_a_job_order_is_staffed_held_reopened_and_filled_one_by_one(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = (await written(ana, "/companies", ENGINES))["id"]
    company = f"/companies/{engines}"
    wanted = ORDER | {"openings": 2, "location": "London", "salary_from_cents": 70_000_00}
    order = (await written(ana, f"{company}/job-orders", wanted))["created"]
    await written(ana, f"{company}/fees", FEE)

    async def step(kind: str, **fields: Any) -> dict[str, Any]:
        body = {"kind": f"company.{kind}", "job_order_id": order} | fields
        return await written(ana, f"{company}/job-orders/steps", body)

    shares = [{"consultant": f"consultant:{c}", "share_bp": 5_000} for c in ("ana", "ben")]
    staffed = {"staffed_at": "2024-02-02T10:00:00Z", "owner": "consultant:ana"}
    await step("job_order_staffed", **staffed, shares=shares)
    wrong = await ana.post(
        f"{company}/job-orders/steps",
        json={"kind": "company.job_order_staffed", "job_order_id": order} | staffed
        | {"shares": shares[:1]},
    )  # fmt: skip
    assert problem(wrong, 422, "shares-incomplete")["field"] == "shares"
    await step("job_order_changed", changed_at="2024-02-03T10:00:00Z", must_haves=["English"])

    person = (await written(ana, "/people", {"name": "Ada Byron"}))["id"]
    body = {"company_id": engines, "job_order_id": order}
    candidacies = f"/people/{person}/candidacies"
    candidacy = (await written(ana, candidacies, body))["created"]
    await written(ana, f"{candidacies}/{candidacy}/rights-to-represent", {})
    await step("job_order_held", held_at="2024-02-04T10:00:00Z", reason="budget")
    refused = await ana.post(f"{candidacies}/{candidacy}/introductions", json={})
    assert problem(refused, 409, "job-order-is-closed")["standing"] == "on_hold"
    other = (await written(ana, "/people", {"name": "Ben Bell"}))["id"]
    late = await ana.post(f"/people/{other}/candidacies", json=body)
    problem(late, 409, "job-order-is-closed")
    project()
    problem(await ana.get(f"/job-orders/{order}/posting"), 404, "no-such-record")

    await step("job_order_reopened", reopened_at="2024-03-04T10:00:00Z")
    await written(ana, f"{candidacies}/{candidacy}/introductions", {})
    await step("job_order_covered", covered_at="2024-03-05T10:00:00Z")
    await written(ana, f"{company}/job-orders/{order}/fillings", {"openings": 1})
    await written(ana, f"{company}/job-orders/{order}/fillings", {"openings": 1})
    project()
    shown = await found(ana, f"/job-orders/{order}")
    assert (shown["status"], shown["found"], shown["must_haves"]) == ("filled", 2, ["English"])
    [listed] = (await found(ana, "/job-orders", consultant="consultant:ben"))["items"]
    assert (listed["id"], listed["owner"]) == (order, "consultant:ana")
    assert (await found(ana, "/job-orders", status="on_hold"))["items"] == []
    lines = [line["line"] for line in (await found(ana, f"{company}/history"))["items"]]
    assert {"job order on hold: budget", "1 of the job order filled", "job order filled"} <= {
        *lines
    }
    assert "job order changed: must haves" in lines


async def test_a_posting_is_schema_orgs_and_does_not_name_a_confidential_client(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    wanted = ORDER | {
        "location": "London", "salary_from_cents": 70_000_00, "salary_to_cents": 90_000_00,
        "currency": "GBP", "must_haves": ["English"],
    }  # fmt: skip
    order = (await written(ana, f"/companies/{company}/job-orders", wanted))["created"]
    hidden = (
        await written(ana, f"/companies/{company}/job-orders", wanted | {"confidential": True})
    )["created"]
    project()
    assert await found(ana, f"/job-orders/{order}/posting") == {
        "@context": "https://schema.org/",
        "@type": "JobPosting",
        "title": "Engineer",
        "description": "Engineer\nEnglish",
        "identifier": {"@type": "PropertyValue", "name": "job order", "value": order},
        "datePosted": "2024-02-01",
        "hiringOrganization": {"@type": "Organization", "name": "Analytical Engines"},
        "totalJobOpenings": 1,
        "skills": ["English"],
        "jobLocation": {
            "@type": "Place",
            "address": {"@type": "PostalAddress", "addressLocality": "London"},
        },
        "baseSalary": {
            "@type": "MonetaryAmount",
            "currency": "GBP",
            "value": {
                "@type": "QuantitativeValue",
                "minValue": 70_000.0,
                "maxValue": 90_000.0,
                "unitText": "YEAR",
            },
        },
    }
    answer = await ana.get(f"/job-orders/{hidden}/posting")
    assert answer.json()["hiringOrganization"] == "confidential"
    assert "Analytical" not in answer.text
