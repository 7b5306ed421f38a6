"""The access log: who was at the door, a row a day of the same, and nothing that was typed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.journey import ADA, NOTE, found, problem, written
from api.test_session import BEN, OTHER, PASSWORD, cheap, sign_in
from api.test_shortlists import a_client
from ledger_crm.commands import signing_in
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain import clock
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio
__all__ = ["cheap"]


def told(page: dict[str, Any]) -> set[tuple[Any, ...]]:
    return {(each["what"], each["actor"], each["about"], each["count"]) for each in page["items"]}


async def test_it_tells_who_signed_in_who_tried_which_key_was_used_and_what_was_refused(
    ana: httpx.AsyncClient, anybody: httpx.AsyncClient, app: Litestar, ledger: Ledger
) -> None:
    await signing_in.set_password(ledger, BEN, PASSWORD, role="resourcer")
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as ben:
        for who in (BEN, BEN, "consultant:correct-horse"):
            await ben.post("/session", json={"consultant": who, "password": OTHER})
        me = await sign_in(ben)
        for _ in range(3):
            problem(await ben.get("/revenue"), 403, "not-permitted")
        ben.headers.pop("X-CSRF-Token")
        problem(await ben.post("/people", json={"name": "x"}), 403, "csrf-token-wrong")
        problem(await ben.get("/access-log"), 403, "not-permitted")
        wrong = {"Authorization": "Bearer lcrm_guessed"}
        problem(await ben.get("/people", headers=wrong), 401, "key-missing")
    for _ in range(3):
        log = await found(ana, "/access-log")
    assert told(log) == {
        ("sign_in_failed", BEN, "", 2),
        ("sign_in_failed", "", "", 1),
        ("signed_in", BEN, "password", 1),
        ("session_used", BEN, "", 1),
        ("refused", BEN, "read_revenue", 3),
        ("refused", BEN, "add_person", 1),
        ("refused", BEN, "list_access", 1),
        ("key_refused", "", "", 1),
        ("key_used", "consultant:ana", "", 1),
    }
    assert "horse" not in str(log)
    assert {each["through"] for each in log["items"] if each["actor"] == BEN} == {
        me["through"],
        "",
    }
    assert {each["network"] for each in log["items"]} == {"127.0.0.0/24"}


async def test_it_tells_who_is_kept_out_because_somebody_guesses(
    ana: httpx.AsyncClient, anybody: httpx.AsyncClient, ledger: Ledger
) -> None:
    """Of us; what else was typed is not told."""
    await signing_in.set_password(ledger, BEN, PASSWORD)
    for who in (BEN, "consultant:correct-horse"):
        for _ in range(12):
            await anybody.post("/session", json={"consultant": who, "password": OTHER})
    log = await found(ana, "/access-log", what="locked_out")
    assert told(log) == {("locked_out", BEN, "", 2), ("locked_out", "", "", 2)}


async def test_it_is_a_list_as_all_others(ana: httpx.AsyncClient, ledger: Ledger) -> None:
    for number in range(3):
        _, text = await create_key(ledger, actor=f"consultant:c{number}", role="manager")
        await found(ana, "/session")
        answer = await ana.get("/session", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 200
    whole = (await found(ana, "/access-log"))["items"]
    assert [each["actor"] for each in whole] == [
        "consultant:c2", "consultant:c1", "consultant:c0", "consultant:ana"
    ]  # fmt: skip
    paged, cursor = [], {}
    while cursor is not None:
        page = await found(ana, "/access-log", limit=3, **cursor)
        paged += page["items"]
        cursor = {"cursor": page["next"]} if page["next"] else None
    assert paged == whole
    assert (await found(ana, "/access-log", actor="consultant:c1"))["items"] == whole[1:2]
    assert (await found(ana, "/access-log", through=whole[0]["through"]))["items"] == whole[:1]
    tomorrow = (clock.now() + timedelta(days=1)).date().isoformat()
    assert (await found(ana, "/access-log", since=tomorrow))["items"] == []
    assert (await found(ana, "/access-log", what="key_used", until=tomorrow))["items"] == whole
    rows = await ana.get("/access-log", headers={"Accept": "text/csv"})
    assert rows.text.splitlines()[1].startswith(f"{whole[0]['id']},key_used,consultant:c2,")


async def test_it_forgets_after_its_days(ana: httpx.AsyncClient, ledger: Ledger) -> None:
    with clock.stopped_at(clock.now() - timedelta(days=401)):
        await found(ana, "/access-log")
    assert len((await found(ana, "/access-log"))["items"]) == 1, "tidied up with the next one"


def at(app: Litestar, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 1))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://crm")


async def test_a_key_is_seen_from_each_network_however_busy_its_owner_is(
    ana: httpx.AsyncClient, app: Litestar, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a key that is used all the time, when a thief uses it, then where they are is told,
    also where they are answered before the framework."""
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 60.0)
    person = (await written(ana, "/people", ADA))["id"]
    holder = {"Authorization": f"Bearer {key}"}
    for thief, path, body in (
        ("66.6.6.6", "/people", None),
        ("66.6.6.7", "/people", None),
        ("77.7.7.7", f"/people/{person}/interactions", NOTE),
    ):
        await found(ana, "/session")
        async with at(app, thief) as client:
            for _ in range(3):
                method = "POST" if body else "GET"
                answer = await client.request(method, path, json=body, headers=holder)
                assert answer.is_success, answer.text
    used = (await found(ana, "/access-log", what="key_used"))["items"]
    assert {(each["network"], each["actor"], each["count"]) for each in used} == {
        (network, "consultant:ana", 1) for network in ("127.0.0.0/24", "66.6.6.0/24", "77.7.7.0/24")
    }


async def test_who_uses_somebodys_session_is_seen_by_where_they_are(
    ana: httpx.AsyncClient, app: Litestar, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given somebody who is signed in, when a thief has their cookie, then where they are is told,
    on the sign-in page too, and once for all processes."""
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 60.0)
    await signing_in.set_password(ledger, BEN, PASSWORD, role="resourcer")
    async with at(app, "192.0.2.1") as ben:
        me = await sign_in(ben)
        cookie = "; ".join(f"{name}={value}" for name, value in ben.cookies.items())
        for _ in range(2):
            await found(ben, "/session")
            for thief, path in (("66.6.6.6", "/session"), ("77.7.7.7", "/sign-in")):
                async with at(app, thief) as client:
                    answer = await client.get(path, headers={"Cookie": cookie})
                    assert answer.is_success, answer.text
            callers = app.state.equipment.callers
            callers.forget()
            callers.visits._used_on = ""  # as another process, which has told nothing yet
    used = (await found(ana, "/access-log", what="session_used"))["items"]
    assert {(each["network"], each["actor"], each["through"], each["count"]) for each in used} == {
        (network, BEN, me["through"], 1)
        for network in ("192.0.2.0/24", "66.6.6.0/24", "77.7.7.0/24")
    }


async def test_of_a_key_that_is_used_everywhere_no_more_is_kept_than_so_many_networks(
    ana: httpx.AsyncClient, app: Litestar, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the others it is told that there are more, not which."""
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 60.0)
    monkeypatch.setattr("ledger_crm.api.caller.ADDRESSES", 2)
    monkeypatch.setattr("ledger_crm.visits.NETWORKS", 3)
    for _ in range(2):
        for number in range(5):
            async with at(app, f"10.0.{number}.1") as client:
                answer = await client.get("/session", headers={"Authorization": f"Bearer {key}"})
                assert answer.status_code == 200
    callers = app.state.equipment.callers
    [known] = callers._known.values()
    assert len(known.told) == 2
    used = (await found(ana, "/access-log", what="key_used"))["items"]
    assert {(each["network"], each["count"]) for each in used} == {
        ("10.0.0.0/24", 1), ("10.0.1.0/24", 1), ("10.0.2.0/24", 1), ("", 1)
    }  # fmt: skip


async def test_it_tells_what_links_opened_and_who_guessed_them_too_often(
    ana: httpx.AsyncClient, app: Litestar
) -> None:
    client = await a_client(ana)
    shortlist = await client.draw({"person_id": await client.candidate("Ada Byron")})
    shared = await client.share(shortlist)
    guest = {"Authorization": f"Bearer {shared['token']}"}
    comment = {"text": "When can we meet them?"}
    for address in ("192.0.2.1", "198.51.100.1", "192.0.2.2"):
        async with at(app, address) as browser:
            for _ in range(2):
                answer = await browser.post("/portal/comments", json=comment, headers=guest)
                assert answer.status_code == 201, answer.text
    app.state.equipment.callers.guesses._most = 2
    async with at(app, "203.0.113.1") as eve:
        for number in range(4):
            wrong = {"Authorization": f"Bearer lcrs_x{number}"}
            await eve.get("/portal/shortlist", headers=wrong)
    withdrawal = {"link_id": shared["created"]}
    await written(ana, f"{client.path}/{shortlist}/withdrawals", withdrawal)
    async with at(app, "192.0.2.1") as browser:
        problem(await browser.get("/portal/shortlist", headers=guest), 410, "link-is-over")
    link, who = f"link:{shared['created']}", f"portal:{client.manager}"
    entries = (await found(ana, "/events", after=shared["position"]))["items"]
    assert {each["through"] for each in entries if each["by"] == who} == {link}
    log = (await found(ana, "/access-log"))["items"]
    assert {
        (each["what"], each["network"], each["actor"], each["through"], each["count"])
        for each in log
        if each["about"] == "link"
    } == {
        ("key_used", "192.0.2.0/24", who, link, 1),
        ("key_used", "198.51.100.0/24", who, link, 1),
        ("key_refused", "203.0.113.0/24", "", "", 2),
        ("locked_out", "203.0.113.0/24", "", "", 2),
        ("key_refused", "192.0.2.0/24", "", "", 1),
    }
    of_link = await found(ana, "/access-log", through=link)
    assert len(of_link["items"]) == 2
