"""/sign-in: people sign in and out with plain forms, and no other site does it for them."""

from __future__ import annotations

import re

import httpx
import pytest
from litestar import Litestar

from api.journey import ADA, found, problem
from api.test_access_log import told
from ledger_crm.api import caller
from ledger_crm.commands import signing_in
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

BEN = "consultant:ben"
PASSWORD, OTHER = "correct horse battery", "another horse entirely"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    from argon2 import PasswordHasher

    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(signing_in, "_hasher", lambda: quick)
    monkeypatch.setattr(signing_in, "_nobodys", lambda: quick.hash("nobody's"))
    monkeypatch.setattr(caller, "TRUST_S", 0.0)


@pytest.fixture
async def browser(anybody: httpx.AsyncClient, ledger: Ledger) -> httpx.AsyncClient:
    await signing_in.set_password(ledger, BEN, PASSWORD, role="manager")
    return anybody


async def shown(browser: httpx.AsyncClient) -> str:
    answer = await browser.get("/sign-in")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


async def sent(browser: httpx.AsyncClient, do: str, **fields: str) -> httpx.Response:
    """A form of the page, as a browser sends it."""
    [token, *_] = re.findall(r'name="token" value="([^"]+)"', await shown(browser))
    return await browser.post("/sign-in", data={"token": token, "do": do} | fields)


async def test_one_signs_in_sees_who_one_is_and_signs_out(browser: httpx.AsyncClient) -> None:
    page = await shown(browser)
    assert "Sign in" in page
    assert "identity provider" not in page, "there is none"
    entered = await sent(browser, "sign_in", consultant="ben", password=PASSWORD)
    assert (entered.status_code, entered.headers["location"]) == (303, "/sign-in")
    assert {"HttpOnly", "SameSite=Lax"} <= set(entered.headers["set-cookie"].split("; "))
    page = await shown(browser)
    assert "<strong>consultant:ben</strong>; your role is manager" in page
    assert page.count("this one") == 1
    assert 'href="/docs"' in page
    assert (await found(browser, "/session"))["actor"] == BEN, "it opens the API too"
    problem(await browser.post("/people", json=ADA), 403, "csrf-token-wrong")
    assert (await sent(browser, "sign_out")).status_code == 303
    assert "Your password" in await shown(browser)
    problem(await browser.get("/session"), 401, "key-missing")


async def test_what_is_wrong_is_said_on_the_page(browser: httpx.AsyncClient, app: Litestar) -> None:
    wrong = await sent(browser, "sign_in", consultant="<b>ben", password="no")
    assert wrong.status_code == 401
    assert "This is not the password of a consultant who may sign in." in wrong.text
    assert "<b>" not in wrong.text
    await sent(browser, "sign_in", consultant=BEN, password=PASSWORD)
    weak = await sent(browser, "change_password", old=PASSWORD, new="short")
    assert (weak.status_code, "at least twelve letters" in weak.text) == (422, True)
    await app.state.equipment.callers.visits.settled()
    for _ in range(10):  # as many as from where nobody was before
        refused = await sent(browser, "change_password", old="no", new=OTHER)
    late = await sent(browser, "change_password", old=PASSWORD, new=OTHER)
    assert refused.status_code == 401
    assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)


async def test_what_the_form_takes_for_a_name_is_what_a_name_is(
    browser: httpx.AsyncClient, app: Litestar
) -> None:
    """Given ben, whose password somebody guesses elsewhere, when they type what is counted for the
    network that he is known on, or no name at all, then that is nobody, and he still signs in."""

    def at(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, client=(address, 1))  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://crm")

    async with at("192.0.2.1") as office, at("203.0.113.1") as eve:
        assert (await sent(office, "sign_in", consultant="ben", password=PASSWORD)).is_redirect
        await sent(office, "sign_out")
        await app.state.equipment.callers.visits.settled()
        for _ in range(10):
            await sent(eve, "sign_in", consultant=BEN, password=OTHER)
        for network in ("192.0.2.0/24", "192.0.2.1"):
            for typed in (f"{BEN} from {network}", f"{BEN}\0{network}", network):
                for _ in range(10):
                    answer = await sent(eve, "sign_in", consultant=typed, password=OTHER)
                assert answer.status_code == 401, typed
        for typed in ("\0", f"{BEN}\0", "x" * 3_000, "integration:ats", ".ben", ""):
            answer = await sent(eve, "sign_in", consultant=typed, password=PASSWORD)
            assert answer.status_code == 401, typed
        long = await sent(eve, "sign_in", consultant="cid", password="x" * 3_000)
        assert long.status_code == 401
        assert (await sent(office, "sign_in", consultant="ben", password=PASSWORD)).is_redirect


async def test_what_is_done_on_the_page_is_told_as_theirs(
    ana: httpx.AsyncClient, app: Litestar, ledger: Ledger
) -> None:
    """Given ben signed in at two places, when he ends the one from the other, changes his password
    there, and a forged form comes, then the access log tells each, and the entry by which way."""
    await signing_in.set_password(ledger, BEN, PASSWORD)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://crm.example") as desk,
        httpx.AsyncClient(transport=transport, base_url="http://crm.example") as phone,
    ):
        for each in (desk, phone):
            await sent(each, "sign_in", consultant="ben", password=PASSWORD)
        here, there = [(await found(each, "/session"))["through"] for each in (desk, phone)]
        for _ in range(2):  # the second time there is none to end
            await sent(desk, "end", session=there.partition(":")[2])
        await sent(phone, "end", session=here.partition(":")[2])
        assert (await desk.post("/sign-in", data={"do": "sign_out"})).status_code == 403
        assert (await sent(desk, "change_password", old=PASSWORD, new=OTHER)).status_code == 303
    assert (await ledger.entries(after=await ledger.head() - 1))[0].through == here
    assert told(await found(ana, "/access-log", through=here)) == {
        ("signed_in", BEN, "password", 1), ("signed_out", BEN, there, 1),
        ("refused", BEN, "enter", 1), ("password_changed", BEN, "", 1),
        ("session_used", BEN, "", 1),
    }  # fmt: skip


async def test_a_form_of_another_site_does_nothing(
    browser: httpx.AsyncClient, app: Litestar
) -> None:
    """Neither for whoever is signed in, nor to sign somebody in as somebody else."""
    form = {"do": "sign_in", "consultant": BEN, "password": PASSWORD}
    for token in ({}, {"token": ""}, {"token": "x" * 43}):
        answer = await browser.post("/sign-in", data=form | token)
        assert (answer.status_code, "ledger_session" in str(answer.headers)) == (403, False)
    await shown(browser)
    assert (await browser.post("/sign-in", data=form | {"token": "x" * 43})).status_code == 403
    await sent(browser, "sign_in", consultant=BEN, password=PASSWORD)
    assert (await browser.post("/sign-in", data={"do": "sign_out"})).status_code == 403
    assert (await browser.post("/sign-in", content=b"\xff\xfe")).status_code == 403
    assert "signed in as" in await shown(browser)
    browser.cookies.set("ledger_form", '"x\\015\\012Set-Cookie: a=b"')
    browser.cookies.delete("ledger_session")
    answer = await browser.get("/sign-in")
    assert "a=b" not in str(answer.headers), "what a cookie holds is not said again"


async def test_sessions_are_ended_from_elsewhere_and_by_another_password(
    browser: httpx.AsyncClient, app: Litestar, ledger: Ledger
) -> None:
    transport = httpx.ASGITransport(app=app)
    await signing_in.set_password(ledger, "consultant:cid", PASSWORD)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://crm.example") as phone,
        httpx.AsyncClient(transport=transport, base_url="http://crm.example") as cids,
    ):
        for each, who in ((browser, "ben"), (phone, "ben"), (cids, "cid")):
            await sent(each, "sign_in", consultant=who, password=PASSWORD)
        ids = re.findall(r'name="session" value="([^"]+)"', await shown(phone))
        assert len(ids) == 2, "one's own only"
        for id in ids:
            await sent(cids, "end", session=id)
        assert "signed in as" in await shown(phone), "nobody ends those of others"
        [own] = re.findall(r"session:([0-9a-f-]+)", (await browser.get("/session")).text)
        await sent(browser, "end", session=next(id for id in ids if id != own))
        assert "signed in as" not in await shown(phone)
        await sent(phone, "sign_in", consultant="ben", password=PASSWORD)
        changed = await sent(browser, "change_password", old=PASSWORD, new=OTHER)
        assert changed.status_code == 303
        assert "signed in as" in await shown(browser)
        assert "signed in as" not in await shown(phone)
        assert (await sent(phone, "sign_in", consultant="ben", password=OTHER)).status_code == 303
