"""The access log: who was at the door, a row a day of the same, and nothing that was typed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.journey import found, problem
from api.test_session import BEN, OTHER, PASSWORD, cheap, sign_in
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
