"""Who may be introduced, to whom and when: in a fee dispute it has to be evidence."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, problem, written
from ledger_crm.domain.candidacy import Introduced
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

FEBRUARY = "2024-02-25T10:00:00Z"
MARCH = "2024-03-05T10:00:00Z"


class Case:
    """A client with terms and an order, its hiring manager, and somebody on the order."""

    company = order = manager = person = way = ""


@pytest.fixture
async def case(ana: httpx.AsyncClient) -> Case:
    case = Case()
    case.company = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/companies/{case.company}/fees", FEE)
    opened = await written(ana, f"/companies/{case.company}/job-orders", ORDER)
    case.order = opened["created"]
    case.manager = (await written(ana, "/people", {"name": "Charles"}))["id"]
    job = {"company_id": case.company, "role": "hiring_manager"}
    await written(ana, f"/people/{case.manager}/employments", job)
    case.person = (await written(ana, "/people", {"name": "Ada"}))["id"]
    on = {"company_id": case.company, "job_order_id": case.order}
    made = await written(ana, f"/people/{case.person}/candidacies", on)
    case.way = f"/people/{case.person}/candidacies/{made['created']}"
    return case


async def test_an_introduction_needs_an_order_that_was_open_then_and_a_right_given_by_then(
    ana: httpx.AsyncClient, case: Case
) -> None:
    steps = f"/companies/{case.company}/job-orders/steps"
    for kind, when, more in (
        ("held", "held_at", {"reason": "budget"}), ("reopened", "reopened_at", {}),
    ):  # fmt: skip
        at = {"held": "2024-02-10T00:00:00Z", "reopened": "2024-02-20T00:00:00Z"}[kind]
        fact = {"kind": f"company.job_order_{kind}", "job_order_id": case.order, when: at}
        await written(ana, steps, fact | more)
    await written(ana, f"{case.way}/rights-to-represent", {"given_at": "2024-01-01T00:00:00Z"})

    async def introduced(at: str) -> httpx.Response:
        return await ana.post(f"{case.way}/introductions", json={"introduced_at": at})

    before = problem(await introduced("2024-02-01T09:59:59Z"), 409, "job-order-is-closed")
    assert before["standing"] == "not there yet"
    held = problem(await introduced("2024-02-15T00:00:00Z"), 409, "job-order-is-closed")
    assert held["standing"] == "on_hold"
    assert (await introduced("2024-02-20T00:00:00Z")).status_code == 201


async def test_nobody_is_introduced_before_they_let_us(ana: httpx.AsyncClient, case: Case) -> None:
    await written(ana, f"{case.way}/rights-to-represent", {"given_at": "2024-03-20T00:00:00Z"})
    body = {"introduced_at": "2024-03-10T00:00:00Z"}
    late = problem(
        await ana.post(f"{case.way}/introductions", json=body), 403, "no-right-to-represent"
    )
    assert late["since"] == "2024-03-20T00:00:00Z"
    sooner = {"given_at": "2024-03-09T00:00:00Z"}  # it was given on the phone, before it was signed
    await written(ana, f"{case.way}/rights-to-represent", sooner)
    await written(ana, f"{case.way}/introductions", body)


async def test_whom_a_fact_names_as_the_clients_has_to_work_there(
    ana: httpx.AsyncClient, case: Case
) -> None:
    stranger = (await written(ana, "/people", {"name": "Eve"}))["id"]
    company = f"/companies/{case.company}"
    await written(ana, f"{case.way}/rights-to-represent", {"given_at": MARCH})

    async def refused(path: str, body: dict[str, Any], field: str) -> None:
        answer = await ana.post(path, json=body)
        assert problem(answer, 422, "not-a-contact")["field"] == field

    to = {"introduced_at": MARCH, "to_person_id": stranger}
    await refused(f"{case.way}/introductions", to, "to_person_id")
    await refused(f"{company}/job-orders", ORDER | {"hiring_manager_id": stranger},
                  "hiring_manager_id")  # fmt: skip
    changed = {"kind": "company.job_order_changed", "job_order_id": case.order}
    changed |= {"changed_at": MARCH, "hiring_manager_id": stranger}
    await refused(f"{company}/job-orders/steps", changed, "hiring_manager_id")
    await written(ana, f"{case.way}/introductions", to | {"to_person_id": case.manager})
    arranged = {
        "kind": "person.interview_arranged", "candidacy_id": case.way.rsplit("/", 1)[1],
        "arranged_at": MARCH, "starts_at": MARCH, "interviewer_ids": [case.manager, stranger],
    }  # fmt: skip
    await refused(f"/people/{case.person}/interviews", arranged, "interviewer_ids")
    deal = (await written(ana, f"{company}/deals", {"title": "Terms"}))["created"]
    sent = {"kind": "company.paper_sent", "deal_id": deal, "paper": "terms", "sent_at": MARCH}
    await written(ana, f"{company}/deals/steps", sent)
    signed = {"kind": "company.paper_signed", "deal_id": deal, "paper": "terms", "version": 1}
    signed |= {"signed_at": MARCH, "signed_by_id": stranger}
    await refused(f"{company}/deals/steps", signed, "signed_by_id")

    left = {"company_id": case.company, "ends_on": "2024-03-31"}
    await written(ana, f"/people/{case.manager}/employments/ends", left)
    late = {"introduced_at": "2024-04-02T00:00:00Z", "to_person_id": case.manager}
    await refused(f"{case.way}/introductions", late, "to_person_id")
    await written(ana, f"{case.way}/introductions", to | {"to_person_id": case.manager})


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (
            {"kind": "person.consent_withdrawn", "withdrawn_at": FEBRUARY},
            "no-consent",
        ),
        ({"kind": "person.do_not_contact_set", "set_at": FEBRUARY}, "do-not-contact"),
    ],
)
async def test_who_asked_us_to_stop_is_not_introduced_unless_a_consultant_says_why(
    ana: httpx.AsyncClient, ledger: Ledger, case: Case, said: dict[str, Any], code: str
) -> None:
    await written(ana, f"{case.way}/rights-to-represent", {"given_at": "2024-02-20T00:00:00Z"})
    await written(ana, f"/people/{case.person}/permissions", said)
    at = {"introduced_at": MARCH}
    problem(await ana.post(f"{case.way}/introductions", json=at), 403, code)
    receipt = await written(ana, f"{case.way}/introductions", at | {"override": "She asked for it"})
    [entry] = await ledger.entries(after=receipt["position"] - 1, limit=1)
    assert isinstance(entry.event, Introduced)
    assert entry.event.override == "She asked for it"
