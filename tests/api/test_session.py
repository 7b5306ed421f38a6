"""Consultants sign in with a password, write as themselves, and are signed out by what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from litestar import Litestar
from msgspec.structs import replace

from api.documented import Documented
from api.journey import ADA, NOTE, found, problem, written
from ledger_crm.api.snapshots import Pool
from ledger_crm.commands import signing_in
from ledger_crm.commands.catalogue import create_key, ship
from ledger_crm.domain import clock
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

BEN = "consultant:ben"
PASSWORD, OTHER = "correct horse battery", "another horse entirely"
COOKIE = "ledger_session"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it costs to hash is not what is tried here."""
    from argon2 import PasswordHasher

    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(signing_in, "_hasher", lambda: quick)
    monkeypatch.setattr(signing_in, "_nobodys", lambda: quick.hash("nobody's"))
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 0.0)


@pytest.fixture
async def ben(anybody: httpx.AsyncClient, ledger: Ledger) -> httpx.AsyncClient:
    """A browser in which consultant:ben, a manager, is signed in."""
    await ship(ledger)
    await signing_in.set_password(ledger, BEN, PASSWORD, role="manager")
    await sign_in(anybody)
    return anybody


async def sign_in(client: httpx.AsyncClient, password: str = PASSWORD) -> dict[str, Any]:
    answer = await client.post("/session", json={"consultant": BEN, "password": password})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    client.headers["X-CSRF-Token"] = told["csrf_token"]
    return told


async def test_who_signs_in_writes_as_themselves_through_their_session(
    ben: httpx.AsyncClient, ledger: Ledger
) -> None:
    me = await found(ben, "/session")
    assert (me["actor"], me["role"]) == (BEN, "manager")
    assert "books.read" in me["permissions"]
    allowed = (await ben.options("/session")).headers["allow"]
    assert allowed == "DELETE, GET, HEAD, OPTIONS, POST"
    receipt = await written(ben, "/people", ADA)
    entries = await ledger.stream(UUID(receipt["id"]))
    assert {(each.by, each.through) for each in entries} == {(BEN, me["through"])}
    problem(await ben.put("/pipelines/talent", json={}), 403, "not-permitted")


async def test_reports_that_take_long_keep_nobody_out(
    ben: httpx.AsyncClient, ledger: Ledger, pool: Pool
) -> None:
    async with AsyncExitStack() as reports:
        for _ in range(pool.max_size):
            await reports.enter_async_context(pool.connection())
        assert (await found(ben, "/session"))["actor"] == BEN
        await sign_in(ben)
        assert (await ben.get("/access-log")).status_code == 200


async def test_of_a_database_that_hangs_who_is_at_the_door_hears_in_time(
    ben: httpx.AsyncClient, ana: httpx.AsyncClient, owner_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("ledger_crm.api.snapshots.ANSWER_S", 0.5)
    with psycopg.connect(owner_database) as conn:
        # beside the loop: what is being noted ends first
        lock = "LOCK TABLE ledger.sessions, ledger.guesses, ledger.access_log"
        await asyncio.to_thread(conn.execute, lock)
        body = {"consultant": BEN, "password": PASSWORD}
        for answer in (
            await ben.get("/session", headers={"Authorization": ""}),
            await ben.post("/session", json=body, headers={"Authorization": ""}),
            await ana.get("/access-log"),
        ):
            problem(answer, 503, "unavailable")
    await sign_in(ben)


async def test_the_cookie_is_kept_from_scripts_and_from_other_sites(
    anybody: httpx.AsyncClient, ledger: Ledger
) -> None:
    await signing_in.set_password(ledger, BEN, PASSWORD)
    body = {"consultant": BEN, "password": PASSWORD}
    said = (await anybody.post("/session", json=body)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(said.split("; "))
    assert "Secure" not in said, "this is on this machine"


async def test_no_other_site_writes_in_their_name(
    ben: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where the framework answers, nor before it."""
    person = (await written(ben, "/people", ADA))["id"]
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 60.0)
    await found(ben, "/session")
    token = ben.headers.pop("X-CSRF-Token")
    head = await ledger.head()
    for wrong in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": token[:-1] + "x"}):
        for path, body in (("/people", ADA), (f"/people/{person}/interactions", NOTE)):
            problem(await ben.post(path, json=body, headers=wrong), 403, "csrf-token-wrong")
        problem(await ben.delete("/session", headers=wrong), 403, "csrf-token-wrong")
    assert await ledger.head() == head
    batch = {"commands": [{"path": f"/people/{person}/interactions", "body": NOTE}]}
    answer = await ben.post("/batch", json=batch, headers={"X-CSRF-Token": token})
    assert answer.json()["results"][0]["status"] == 201
    passwords = {"method": "PUT", "body": {"old": PASSWORD, "password": OTHER}}
    for path in ("/session/password", "//session/password", "/%73ession/password/"):
        batch = {"commands": [passwords | {"path": path}]}
        answer = await ben.post("/batch?dry_run=true", json=batch, headers={"X-CSRF-Token": token})
        problem(answer, 400, "malformed")
    assert await ledger.head() == head + 1


async def test_who_signs_out_or_has_another_password_or_left_is_signed_out_everywhere(
    ben: httpx.AsyncClient, app: Litestar, ledger: Ledger
) -> None:
    async def ends(how: Callable[[], Any]) -> None:
        assert (await ben.get("/session")).status_code == 200
        await how()
        problem(await ben.get("/people"), 401, "key-missing")

    gone = ben.cookies[COOKIE]
    await ends(lambda: ben.delete("/session"))
    ben.cookies.set(COOKIE, gone)
    problem(await ben.get("/session"), 401, "key-missing")
    ben.cookies.clear()

    await sign_in(ben)
    await ends(lambda: signing_in.set_password(ledger, BEN, OTHER))
    body = {"consultant": BEN, "password": PASSWORD}
    problem(await ben.post("/session", json=body), 401, "sign-in-refused")

    await sign_in(ben, OTHER)
    before = ben.cookies[COOKIE]
    answer = await ben.put("/session/password", json={"old": OTHER, "password": PASSWORD})
    assert answer.status_code == 200
    ben.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    assert ben.cookies[COOKIE] != before
    assert (await ben.get("/session")).status_code == 200, "another one began"

    async def leaves() -> None:
        adding = {"consultant": BEN, "name": "Ben Ode"}
        await ledger_write(ledger, adding)

    _, key = await create_key(ledger, actor=BEN)
    as_a_program = {"Authorization": f"Bearer {key}"}
    assert (await ben.get("/people", headers=as_a_program)).status_code == 200
    await ends(leaves)
    problem(await ben.get("/people", headers=as_a_program), 401, "key-missing")
    body = {"consultant": BEN, "password": PASSWORD}
    problem(await ben.post("/session", json=body), 401, "sign-in-refused")


async def ledger_write(ledger: Ledger, adding: dict[str, Any]) -> None:
    """Added, and gone since yesterday."""
    from ledger_crm.commands import teams
    from ledger_crm.domain.consultant import ConsultantAdded, ConsultantLeft
    from ledger_crm.domain.entry import Actor
    from ledger_crm.ledger import Intent

    intent = Intent(by=Actor("consultant:ana"))
    await ledger.decide(
        lambda work: teams.add_consultant(work, ConsultantAdded(**adding)), intent=intent
    )
    left = ConsultantLeft(left_on=clock.today() - timedelta(days=1))
    await ledger.decide(lambda work: teams.change_consultant(work, BEN, left), intent=intent)


async def test_a_session_ends_by_itself(ben: httpx.AsyncClient) -> None:
    began = clock.now()
    for hours, there in ((7, True), (14, True), (23, False)):
        with clock.stopped_at(began + timedelta(hours=hours)):
            assert (await ben.get("/session")).status_code == (200 if there else 401), hours
    await sign_in(ben)
    for hours in range(0, 7 * 24, 6):
        with clock.stopped_at(began + timedelta(hours=hours)):
            assert (await ben.get("/session")).status_code == 200, hours
    with clock.stopped_at(began + timedelta(days=7, minutes=1)):
        problem(await ben.get("/session"), 401, "key-missing")


async def test_who_is_active_stays_however_short_the_idle_time_is(
    ben: httpx.AsyncClient, app: Litestar
) -> None:
    """Given a minute of it, somebody who asks every 3 s was out after 60."""
    callers = app.state.equipment.callers
    callers.terms = replace(callers.terms, session_idle_s=60)
    began = clock.now()
    for later_s in range(0, 200, 3):
        with clock.stopped_at(began + timedelta(seconds=later_s)):
            assert (await ben.get("/session")).status_code == 200, later_s
    with clock.stopped_at(began + timedelta(seconds=later_s + 61)):
        assert (await ben.get("/session")).status_code == 401


async def test_who_signs_in_anew_in_a_browser_leaves_no_session_behind(
    ben: httpx.AsyncClient, ana: httpx.AsyncClient, app: Litestar, ledger: Ledger
) -> None:
    """Whoever it was: neither theirs nor that of who sat there before."""
    await signing_in.set_password(ledger, "consultant:cid", PASSWORD)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as browser:
        gone, told = [], []
        for who in (BEN, "consultant:cid", BEN):
            body = {"consultant": who, "password": PASSWORD}
            told.append((await browser.post("/session", json=body)).json()["through"])
            gone.append(browser.cookies[COOKIE])
        assert (await browser.get("/session")).status_code == 200
        for secret in gone[:-1]:
            sent = {"Cookie": f"{COOKIE}={secret}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://crm") as other:
                problem(await other.get("/session", headers=sent), 401, "key-missing")
    log = (await found(ana, "/access-log", what="signed_out"))["items"]
    assert {each["through"] for each in log} == set(told[:-1])


@pytest.mark.parametrize("what", ["closed", "set anew"])
async def test_what_happens_to_a_login_while_its_password_is_changed_stands(
    ben: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Who was just let go opened their own login again."""
    hashed = signing_in._hashed

    async def meanwhile(password: str) -> str:
        monkeypatch.setattr(signing_in, "_hashed", hashed)
        if what == "closed":
            await signing_in.close_login(ledger, BEN)
        else:
            await signing_in.set_password(ledger, BEN, "given by the owner")
        return await hashed(password)

    monkeypatch.setattr(signing_in, "_hashed", meanwhile)
    body = {"old": PASSWORD, "password": OTHER}
    problem(await ben.put("/session/password", json=body), 401, "sign-in-refused")
    body = {"consultant": BEN, "password": OTHER}
    problem(await ben.post("/session", json=body), 401, "sign-in-refused")
    problem(await ben.get("/session"), 401, "key-missing")


async def test_an_invitation_sets_a_password_once(
    anybody: httpx.AsyncClient, ledger: Ledger
) -> None:
    text = await signing_in.invite(ledger, BEN, role="analyst")
    weak = {"invitation": text, "password": "123456789012"[:6]}
    problem(await anybody.post("/session/invitation", json=weak), 422, "password-too-weak")
    body = {"invitation": text, "password": PASSWORD}
    answers = [anybody.post("/session/invitation", json=body) for _ in range(3)]
    answer, *others = sorted(await asyncio.gather(*answers), key=lambda one: one.status_code)
    assert (answer.status_code, answer.json()["role"]) == (201, "analyst")
    for other in others:  # also of those who came at the same time
        problem(other, 403, "invitation-is-over")
    problem(await anybody.post("/session/invitation", json=body), 403, "invitation-is-over")
    made_up = {"invitation": "lcri_ab_ben", "password": PASSWORD}
    problem(await anybody.post("/session/invitation", json=made_up), 403, "invitation-is-over")
    await sign_in(anybody)


async def test_who_guesses_is_not_heard_for_a_while_also_with_the_right_password(
    anybody: httpx.AsyncClient, ledger: Ledger, pool: Pool
) -> None:
    await signing_in.set_password(ledger, BEN, PASSWORD)
    nobody = {"consultant": "consultant:nobody", "password": PASSWORD}
    problem(await anybody.post("/session", json=nobody), 401, "sign-in-refused")
    for _ in range(10):
        wrong = {"consultant": BEN, "password": OTHER}
        problem(await anybody.post("/session", json=wrong), 401, "sign-in-refused")
    right = {"consultant": BEN, "password": PASSWORD}
    answer = await anybody.post("/session", json=right)
    problem(answer, 429, "too-many-guesses")
    assert 0 < int(answer.headers["retry-after"]) <= 900
    problem(await anybody.post("/session", json=nobody), 401, "sign-in-refused")
    with clock.stopped_at(clock.now() + timedelta(minutes=16)):
        await sign_in(anybody)


async def test_however_many_guess_at_once_no_more_are_heard(
    anybody: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signing_in.set_password(ledger, BEN, PASSWORD)
    body = {"consultant": BEN, "password": OTHER}
    answers = await asyncio.gather(*(anybody.post("/session", json=body) for _ in range(30)))
    heard = [answer for answer in answers if answer.status_code == 401]
    assert 10 <= len(heard) < 10 + signing_in.AT_ONCE
    assert {answer.status_code for answer in answers} == {401, 429}
    monkeypatch.setattr(signing_in, "WAITING", 0)
    elsewhere = {"consultant": "consultant:nobody", "password": OTHER}
    problem(await anybody.post("/session", json=elsewhere), 503, "too-busy")


async def test_who_guesses_elsewhere_keeps_nobody_out_where_they_are_known(
    app: Litestar, ledger: Ledger
) -> None:
    def at(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, client=(address, 1))  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://crm")

    await signing_in.set_password(ledger, BEN, PASSWORD)
    async with at("192.0.2.1") as office, at("198.51.100.1") as hotel, at("203.0.113.1") as eve:
        await sign_in(office)
        await app.state.equipment.callers.visits.settled()
        wrong, right = ({"consultant": BEN, "password": text} for text in (OTHER, PASSWORD))
        for status in [401] * 10 + [429]:
            assert (await eve.post("/session", json=wrong)).status_code == status
        problem(await hotel.post("/session", json=right), 429, "too-many-guesses")
        assert (await office.post("/session", json=right)).status_code == 201
        problem(await eve.post("/session", json=right), 429, "too-many-guesses")
        for status in [401] * 10 + [429]:
            assert (await office.post("/session", json=wrong)).status_code == status


async def test_a_password_is_the_same_however_its_accents_are_written(ledger: Ledger) -> None:
    await signing_in.set_password(ledger, BEN, "caf\u00e9 in the morning")
    assert await signing_in.admitted(ledger, BEN, "cafe\u0301 in the morning")


async def test_the_password_is_nowhere_and_what_is_made_of_it_is_shown_to_nobody(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    await signing_in.set_password(ledger, BEN, PASSWORD)
    _, text = await create_key(ledger, actor="consultant:eve", role="owner", scopes=["events.open"])
    answer = await ana.get(
        "/events?kind=login.password_set", headers={"Authorization": f"Bearer {text}"}
    )
    [told] = answer.json()["items"]
    assert told["sealed"] == ["hash"]
    assert "argon2" not in answer.text
    assert PASSWORD not in answer.text


@pytest.fixture
async def far(app: Litestar, ledger: Ledger, pool: Pool, vault: Any) -> AsyncIterator[Any]:
    """As the application is served to others than this machine."""
    from ledger_crm.api.caller import Terms

    app.state.equipment.furnish(
        ledger=ledger, pool=pool, feed_position=ledger.head, vault=vault, terms=Terms(secure=True)
    )
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="https://crm") as client:
        client.event_hooks = {"response": [Documented().must_be]}
        yield client


async def test_to_others_than_this_machine_the_cookie_goes_by_https_alone(
    far: httpx.AsyncClient, ledger: Ledger
) -> None:
    await signing_in.set_password(ledger, BEN, PASSWORD)
    body = {"consultant": BEN, "password": PASSWORD}
    said = (await far.post("/session", json=body)).headers["set-cookie"]
    assert said.startswith("__Host-ledger_session=")
    assert "Secure" in said.split("; ")
    assert (await far.get("/session")).status_code == 200
