"""Consultants sign in with an identity provider: a real one, on this machine."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from litestar import Litestar
from msgspec.structs import replace

from api.journey import problem
from ledger_crm import sessions
from ledger_crm.api import oidc
from ledger_crm.api.caller import Terms
from ledger_crm.api.snapshots import Pool
from ledger_crm.commands import signing_in
from ledger_crm.ledger import Ledger
from ledger_crm.vault import Vault

pytestmark = pytest.mark.anyio

BEN = "consultant:ben"
PROVIDER = """
import sys
from oidc_provider_mock import User, run_server_in_thread
users = [
    User(sub="ben", claims={"email": "Ben@agency.example", "email_verified": True}),
    User(sub="mallory", claims={"email": "ben@agency.example", "email_verified": False}),
    User(sub="stranger", claims={"email": "eve@agency.example", "email_verified": True}),
]
with run_server_in_thread(user_claims=users) as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """In a process of its own: what it is made of warns of itself."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROVIDER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        port = process.stdout.readline().strip()
        found = httpx.get(f"http://localhost:{port}/.well-known/openid-configuration").json()
        yield found["issuer"]
        process.stdin.close()


@pytest.fixture
async def browser(
    app: Litestar, ledger: Ledger, pool: Pool, vault: Vault, issuer: str
) -> AsyncIterator[httpx.AsyncClient]:
    terms = Terms(
        url="http://crm", oidc_issuer=issuer, oidc_client_id="crm", oidc_client_secret="secret"
    )
    app.state.equipment.furnish(
        ledger=ledger, pool=pool, feed_position=ledger.head, vault=vault, terms=terms
    )
    await signing_in.invite(ledger, BEN, role="manager", email="ben@agency.example")
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as client:
        yield client


async def at_the_provider(browser: httpx.AsyncClient, who: str) -> str:
    """Where it sends the browser back to."""
    left = await browser.get("/session/oidc")
    assert left.status_code == 303, left.text
    where = left.headers["location"]
    asked = parse_qs(urlsplit(where).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://crm/session/oidc/callback"]
    async with httpx.AsyncClient() as outside:
        answer = await outside.post(where, data={"sub": who})
    assert answer.status_code == 302, answer.text
    back: str = answer.headers["location"]
    return back


async def test_who_is_known_by_a_verified_address_is_signed_in(
    browser: httpx.AsyncClient,
) -> None:
    assert 'href="/session/oidc"' in (await browser.get("/sign-in")).text
    back = await at_the_provider(browser, "ben")
    answer = await browser.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert f"signed in as <strong>{BEN}" in (await browser.get("/sign-in")).text
    me = (await browser.get("/session")).json()
    assert (me["actor"], me["role"]) == (BEN, "manager")
    log = (await browser.get("/access-log?what=signed_in")).json()["items"]
    assert [each["about"] for each in log] == ["oidc"]
    problem(await browser.get(back), 401, "sign-in-refused")


@pytest.mark.parametrize("who", ["mallory", "stranger"])
async def test_who_is_not_is_refused(browser: httpx.AsyncClient, who: str) -> None:
    back = await at_the_provider(browser, who)
    problem(await browser.get(back), 401, "sign-in-refused")
    assert (await browser.get("/session")).status_code == 401


async def test_a_code_opens_nothing_in_another_browser_nor_with_another_state_or_nonce(
    browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = await at_the_provider(browser, "ben")
    kept = dict(browser.cookies)
    browser.cookies.clear()
    problem(await browser.get(back), 401, "sign-in-refused")
    browser.cookies.update(kept)
    problem(await browser.get(back.replace("state=", "state=x")), 401, "sign-in-refused")

    browser.cookies.clear()
    back = await at_the_provider(browser, "ben")
    kept_of = oidc._kept
    monkeypatch.setattr(oidc, "_kept", lambda text: replace(kept_of(text), nonce="x" * 43))
    problem(await browser.get(back), 401, "sign-in-refused")


async def test_only_who_asks_the_provider_counts_as_guessing(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    """Any site may send a browser here, and would keep its whole office out."""
    network = "127.0.0.0/24"
    problem(await browser.get("/session/oidc/callback?code=x&state=y"), 401, "sign-in-refused")
    assert not await sessions.refused_until(pool, network, 1)
    back = await at_the_provider(browser, "ben")
    problem(await browser.get(back.replace("code=", "code=x")), 401, "sign-in-refused")
    assert await sessions.refused_until(pool, network, 1)


async def test_what_the_browser_kept_is_taken_back_as_it_was_given(
    browser: httpx.AsyncClient, app: Litestar
) -> None:
    """A browser takes no __Host- cookie that is not Secure, and so would keep the old one."""
    provider = app.state.equipment.provider
    provider.terms = replace(provider.terms, secure=True)
    browser.base_url = httpx.URL("https://crm")
    back = await at_the_provider(browser, "ben")
    answer = await browser.get(back.replace("http:", "https:"))
    [gone] = [
        each
        for each in answer.headers.get_list("set-cookie")
        if each.startswith("__Host-ledger_oidc=")
    ]
    assert {"Secure", "Path=/", "Max-Age=0"} <= set(gone.split("; "))


async def test_the_code_is_redeemed_by_whoever_left_with_its_challenge(
    browser: httpx.AsyncClient,
) -> None:
    """This provider does not look at it; others do (RFC 7636)."""
    left = await browser.get("/session/oidc")
    [asked] = parse_qs(urlsplit(left.headers["location"]).query)["code_challenge"]
    leaving = oidc._kept(browser.cookies["ledger_oidc"])
    assert leaving
    digest = hashlib.sha256(leaving.verifier.encode()).digest()
    assert asked == urlsafe_b64encode(digest).decode().rstrip("=")


async def test_without_a_provider_there_is_no_such_page_and_one_that_is_away_is_told(
    browser: httpx.AsyncClient, app: Litestar
) -> None:
    provider = app.state.equipment.provider
    provider.terms = Terms(url="http://crm", oidc_issuer="http://localhost:9", oidc_client_id="crm")
    problem(await browser.get("/session/oidc"), 503, "provider-away")
    provider.terms = Terms()
    for path in ("/session/oidc", "/session/oidc/callback?code=x&state=y&iss=z"):
        problem(await browser.get(path), 404, "no-such-page")
