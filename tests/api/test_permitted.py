"""Every route as every role, and as nobody: what is not permitted is refused, and says why."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.journey import ADA, ENGINES, FEE, NOTE, ORDER, found, problem, written
from ledger_crm.api.permitted import ANYBODY, BESIDES, NEEDS, ROUTES, SOMEBODY, TELL_FEES
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain import EVENTS
from ledger_crm.domain.access import Holder, KeyCreated
from ledger_crm.domain.document import FirmPurpose
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.role import MAY, PERMISSIONS, Role
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

ROLES = get_args(Role)
OPEN_TO_ALL = {
    "landing", "openapi_json", "docs", "docs_js", "docs_css", "list_problems", "read_problem",
    "read_schema", "live", "ready", "invitation", "invitation_js", *ANYBODY,
}  # fmt: skip
OF_RECORDS = {"confidential.read", "confidential.team"}  # which records, not which routes
BY_LINK = {"read_shared_shortlist", "give_verdict", "comment"}

SENSITIVE = {
    "read_revenue": {"owner", "manager", "analyst"},
    "list_invoices": {"owner", "manager", "analyst"},
    "raise_invoice": {"owner", "manager"},
    "list_fees": {"owner", "manager", "analyst", "consultant"},
    "agree_fee": {"owner", "manager", "consultant"},
    "answer_equal_opportunity": {"owner", "integration"},
    "report_equal_opportunity": {"owner", "manager", "analyst"},
    "erase_person": {"owner", "manager"},
    "record_privacy": {"owner", "manager"},
    "define_pipeline": {"owner"},
    "define_custom_field": {"owner"},
    "add_consultant": {"owner"},
    "list_events": {"owner", "analyst"},
    "stream_events": {"owner", "analyst"},
    "add_person": {"owner", "manager", "consultant", "resourcer", "integration"},
    "place": {"owner", "manager", "consultant", "integration"},
    "read_person": set(ROLES),
    "change_password": set(ROLES),
    "list_access": {"owner", "manager"},
    "list_webhooks": {"owner", "analyst"},
    "list_deliveries": {"owner"},
    "renew_webhook_secret": {"owner"},
}
"""As somebody would say it who has not read the table."""


def routes(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """All that the application has, documented or not."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and not route.path.startswith("/openapi/"):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS"}):
                    if handler.handler_name != "_handler":  # the framework's own, shut in
                        yield route.path_format, str(method), handler


@pytest.fixture
async def nobody(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as client:
        yield client


@pytest.fixture
async def keys(ledger: Ledger, key: str) -> dict[str, dict[str, str]]:
    """Headers, by role."""
    headers = {}
    for role in ROLES:
        _, text = await create_key(ledger, actor="consultant:ana", role=role)
        headers[role] = {"Authorization": f"Bearer {text}"}
    return headers


def test_every_route_needs_a_permission_and_every_permission_is_somebodys(
    made_once: Litestar,
) -> None:
    names = {handler.handler_name for _, _, handler in routes(made_once)}
    needing = names - OPEN_TO_ALL - BY_LINK - SOMEBODY
    assert needing == NEEDS.keys(), "say in api/permitted.py who may do it"
    assert sum(len(listed.split()) for listed in ROUTES.values()) == len(NEEDS), "one each"
    assert ROUTES.keys() == set(PERMISSIONS) - {"events.open", *OF_RECORDS}
    assert MAY.keys() == {"", "none", *ROLES}
    assert set().union(*MAY.values()) == {*ROUTES, *OF_RECORDS}


async def test_every_route_as_every_role_and_as_nobody(
    app: Litestar, nobody: httpx.AsyncClient, keys: dict[str, dict[str, str]]
) -> None:
    """With a parameter that no route has: whoever is let in is told so, and nothing is done."""
    let_in: dict[str, set[str]] = {}
    for template, method, handler in routes(app):
        name = handler.handler_name
        if name in OPEN_TO_ALL:
            continue
        url = re.sub(r"\{number\}", "1", template)
        url = re.sub(r"\{\w+_id\}", str(UUID(int=7)), url)
        url = re.sub(r"\{subject\}", "person", url)
        url = re.sub(r"\{\w+\}", "some", url) + "?strange=1"
        answer = await nobody.request(method, url)
        problem(answer, 401, "link-missing" if name in BY_LINK else "key-missing")
        for role, headers in keys.items():
            answer = await nobody.request(method, url, headers=headers)
            if name in BY_LINK:
                problem(answer, 401, "link-missing")
            elif answer.status_code == 403:
                said = problem(answer, 403, "not-permitted")
                lacked = [each for each in needed_by(name) if each not in MAY[role]]
                assert (said["permission"], said["role"]) == (lacked[0], role)
            else:
                assert answer.status_code in (400, 415), f"{method} {url} as {role}"
                let_in.setdefault(name, set()).add(role)
    assert let_in == {
        name: {role for role in ROLES if MAY[role].issuperset(needed_by(name))}
        for name in (*NEEDS, *SOMEBODY)
    }
    assert {name: let_in[name] for name in SENSITIVE} == SENSITIVE


def needed_by(name: str) -> list[str]:
    return [needs[name] for needs in (NEEDS, BESIDES) if name in needs]


async def test_a_key_may_more_than_its_role_or_its_scopes_alone_or_what_it_could_before_roles(
    app: Litestar, nobody: httpx.AsyncClient, ledger: Ledger
) -> None:
    _, text = await create_key(ledger, actor="integration:warehouse", scopes=["events.read"])
    headers = {"Authorization": f"Bearer {text}"}
    assert (await nobody.get("/events", headers=headers)).status_code == 200
    problem(await nobody.get("/revenue", headers=headers), 403, "not-permitted")

    _, text = await create_key(
        ledger, actor="integration:prometheus", role="none", scopes=["metrics.read"]
    )
    alone = {"Authorization": f"Bearer {text}"}
    assert (await nobody.get("/metrics", headers=alone)).status_code == 200
    said = problem(await nobody.get("/people", headers=alone), 403, "not-permitted")
    assert (said["permission"], said["role"]) == ("records.read", "none")
    problem(await nobody.post("/people", json=ADA, headers=alone), 403, "not-permitted")

    old = Holder(Actor("consultant:ana"), KeyCreated(actor="consultant:ana", digest="").role)
    assert {permission for permission in PERMISSIONS if not old.may(permission)} == {
        "events.open",
        "access.read",
    }
    gone = Holder(Actor("consultant:ana"), "partner", ("secrets.read",))
    assert not any(map(gone.may, PERMISSIONS)), "a role that is no longer known"


async def test_a_route_that_nobody_was_given_is_refused_to_all(
    ana: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(NEEDS, "list_people")
    problem(await ana.get("/people"), 403, "not-permitted")


async def test_who_may_not_know_fees_sees_none_where_they_stand_among_other_things(
    ana: httpx.AsyncClient, keys: dict[str, dict[str, str]], project: Any
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/companies/{company}/fees", {**FEE, "text": "25 % and no less"})
    person = (await written(ana, "/people", ADA))["id"]
    await written(ana, f"/people/{person}/interactions", NOTE)
    project()
    all_of_it = await found(ana, f"/companies/{company}/history")
    assert "25 %" in str(all_of_it)
    assert (await found(ana, f"/companies/{company}"))["fees"]
    for role, knows in (("resourcer", False), ("read_only", False), ("consultant", True)):
        for again in range(2):  # the second time by the short way, for whom there is one
            answer = await ana.get(f"/companies/{company}/history", headers=keys[role])
            assert (answer.json() == all_of_it) == knows, (role, again)
        if not knows:
            assert "25 %" not in answer.text
            assert "fee agreed" in answer.text
            assert len(answer.json()["items"]) == len(all_of_it["items"])
        card = await ana.get(f"/companies/{company}", headers=keys[role])
        assert bool(card.json()["fees"]) == knows
        theirs = await ana.get(f"/people/{person}/history", headers=keys[role])
        assert theirs.json() == await found(ana, f"/people/{person}/history")


@pytest.mark.parametrize("purpose", get_args(FirmPurpose))
async def test_what_says_what_is_paid_is_read_by_who_may_know_fees(
    ana: httpx.AsyncClient, keys: dict[str, dict[str, str]], project: Any, purpose: str
) -> None:
    documents = f"/companies/{(await written(ana, '/companies', ENGINES))['id']}/documents"
    paper = {"name": "a.txt", "purpose": purpose, "media_type": "text/plain", "content": "MjUgJQ=="}
    content = f"{documents}/{(await written(ana, documents, paper))['created']}/content"
    project()
    about_fees = purpose in ("proposal", "terms", "contract")
    for role, knows in (("resourcer", False), ("read_only", False), ("consultant", True)):
        answer = await ana.get(content, headers=keys[role])
        if knows or not about_fees:
            assert answer.json()["content"] == paper["content"]
        else:
            assert problem(answer, 403, "not-permitted")["permission"] == "fees.read"


def test_every_fact_that_says_what_is_paid_is_known_as_one() -> None:
    """What it is worth to us: not what they earn, and deals are not in a history by their value."""
    about_money = {
        kind
        for kind, event in EVENTS.items()
        for field in event.__struct_fields__
        if field.endswith(("_cents", "rate_bp"))
    }
    others = {
        "person.offer_made", "person.offer_changed", "person.placed",
        "company.job_order_opened", "company.job_order_changed",
        "company.deal_opened", "company.deal_changed",
    }  # fmt: skip
    assert {kind for kind in about_money if not kind.startswith(TELL_FEES)} == others


async def test_nor_inside_of_what_they_may_read(
    ana: httpx.AsyncClient, keys: dict[str, dict[str, str]], project: Any
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    ends = {"ends_on": "2026-12-31"}
    await written(ana, f"/companies/{company}/fees", FEE | ends)
    owned = {"kind": "company.owner_assigned", "owner": "consultant:ana"}
    await written(ana, f"/companies/{company}/changes", owned)
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    shares = [{"consultant": f"consultant:{who}", "share_bp": 5_000} for who in ("ana", "ben")]
    staffed = {"kind": "company.job_order_staffed", "job_order_id": order, "shares": shares}
    staffed |= {"owner": "consultant:ana", "staffed_at": "2026-03-02T12:00:00Z"}
    await written(ana, f"/companies/{company}/job-orders/steps", staffed)
    person = (await written(ana, "/people", ADA))["id"]
    body = {"company_id": company, "job_order_id": order}
    candidacy = (await written(ana, f"/people/{person}/candidacies", body))["created"]
    theirs = f"/people/{person}/candidacies/{candidacy}"
    await written(ana, f"{theirs}/rights-to-represent", {})
    await written(ana, f"{theirs}/introductions", {})
    pay = {"starts_on": "2026-12-01", "first_year_pay_cents": 10_000_000}
    await written(ana, f"{theirs}/placements", pay)
    project()
    day = "/day?on=2026-12-01&owner=consultant:ana"
    for role, knows in (("resourcer", False), ("consultant", True)):
        read = (await ana.get(f"/candidates/{candidacy}", headers=keys[role])).json()
        assert read["card"]["fee_cents"] == (2_500_000 if knows else None)
        assert read["steps"]
        assert bool((await ana.get(day, headers=keys[role])).json()["renewals"]) == knows
        [listed] = (await ana.get("/job-orders", headers=keys[role])).json()["items"]
        alone = (await ana.get(f"/job-orders/{order}", headers=keys[role])).json()
        assert listed["owner"] == alone["owner"] == "consultant:ana"
        assert listed["shares"] == alone["shares"] == (shares if knows else [])
        rows = {"Accept": "text/csv"} | keys[role]
        table = await ana.get("/job-orders", headers=rows)
        lines = await ana.get(f"/companies/{company}/history", headers=keys[role])
        assert ("consultant:ben" in table.text + lines.text) == knows
        answer = await ana.get("/renewals?on=2026-12-01", headers=keys[role])
        assert answer.status_code == (200 if knows else 403)
