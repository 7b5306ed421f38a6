"""Consultants sign in with an identity provider: a real one, on this machine."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from litestar import Litestar
from msgspec.structs import replace
from structlog.testing import capture_logs

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
NETWORK = "127.0.0.0/24"
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
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
    problem(await browser.get(back), 401, "sign-in-is-over")


@pytest.mark.parametrize(
    ("who", "code", "why"),
    [
        ("mallory", "address-not-verified", "address"),
        ("stranger", "address-unknown", "nobody"),
    ],
)
async def test_who_is_not_is_refused(
    browser: httpx.AsyncClient, pool: Pool, who: str, code: str, why: str
) -> None:
    back = await at_the_provider(browser, who)
    told = problem(await browser.get(back), 401, code)
    assert told["why"] == why
    assert "agency.example" not in str(told)
    assert not await sessions.refused_until(pool, NETWORK, 1), "who they are is no guess"
    assert (await browser.get("/session")).status_code == 401


async def test_a_code_opens_nothing_in_another_browser_nor_with_another_state_or_nonce(
    browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = await at_the_provider(browser, "ben")
    kept = dict(browser.cookies)
    browser.cookies.clear()
    problem(await browser.get(back), 401, "sign-in-is-over")
    browser.cookies.update(kept)
    problem(await browser.get(back.replace("state=", "state=x")), 401, "sign-in-is-over")

    browser.cookies.clear()
    back = await at_the_provider(browser, "ben")
    kept_of = oidc._kept
    monkeypatch.setattr(oidc, "_kept", lambda text: replace(kept_of(text), nonce="x" * 43))
    told = problem(await browser.get(back), 401, "provider-not-believed")
    assert told["why"] == "nonce"


async def test_only_who_asks_the_provider_counts_as_guessing(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    """Any site may send a browser here, and would keep its whole office out."""
    problem(await browser.get("/session/oidc/callback?code=x&state=y"), 401, "sign-in-is-over")
    assert not await sessions.refused_until(pool, NETWORK, 1)
    back = await at_the_provider(browser, "ben")
    problem(await browser.get(back.replace("code=", "code=x")), 401, "sign-in-is-over")
    assert await sessions.refused_until(pool, NETWORK, 1)


KEY = ec.generate_private_key(ec.SECP256R1())
OTHERS = ec.generate_private_key(ec.SECP256R1())
AS_IT_IS: dict[str, Any] = {}


def says(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], key: Any = KEY, raw: str = ""
) -> None:
    """What the provider says of ben, otherwise than it would. ``raw``: in the JSON, as it is."""
    asked = oidc.Provider._asked
    kept: list[oidc.Leaving] = []
    kept_of = oidc._kept

    def watched(text: str) -> oidc.Leaving | None:
        if found := kept_of(text):
            kept.append(found)
        return found

    async def answered(self: oidc.Provider, method: str, where: str, *rest: Any) -> Any:
        if "jwks" in where:
            public = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(KEY.public_key(), as_dict=True)
            return {"keys": [public]}
        if method == "GET":
            return await asked(self, method, where, *rest)
        at = time.time()
        said = {
            "iss": self.terms.oidc_issuer, "aud": "crm", "sub": "ben", "iat": at, "exp": at + 300,
            "nonce": kept[-1].nonce, "email": "ben@agency.example", "email_verified": True,
        }  # fmt: skip
        said |= {name: at + v if isinstance(v, int) else v for name, v in claims.items()}
        text = json.dumps(said)
        text = text.replace('"raw"', raw) if raw else text
        return {"id_token": jwt.PyJWS().encode(text.encode(), key, algorithm="ES256")}

    monkeypatch.setattr(oidc, "_kept", watched)
    monkeypatch.setattr(oidc.Provider, "_asked", answered)


@pytest.mark.parametrize(
    ("claims", "raw", "why"),
    [
        ({"iat": 300, "exp": 600}, "", "clock"),
        ({"iat": -900, "exp": -600}, "", "clock"),
        ({"aud": "another"}, "", "audience"),
        ({"azp": "another"}, "", "audience"),
        ({"iss": "http://elsewhere.example"}, "", "issuer"),
        ({"nonce": "another"}, "", "nonce"),
        ({"nonce": "raw"}, '"\\ud800"', "nonce"),
        ({"nonce": "raw"}, '{"a": "\\udfff"}', "nonce"),
        ({"sub": "raw"}, "7", "token"),
        ({"exp": "raw"}, "1e999", "token"),
        ({"email": "raw"}, '"\\ud800@agency.example"', "nobody"),
    ],
)
async def test_what_cannot_be_believed_says_why_and_is_no_guess(
    browser: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch,
    claims: dict[str, Any], raw: str, why: str,
) -> None:  # fmt: skip
    """Given a provider whose clock is wrong, or that is set wrongly, when an office comes back,
    then nobody there is kept out who signs in with a password."""
    says(monkeypatch, claims, raw=raw)
    for _ in range(2):
        back = await at_the_provider(browser, "ben")
        with capture_logs() as lines:
            answer = await browser.get(back)
        code = "address-unknown" if why == "nobody" else "provider-not-believed"
        assert problem(answer, 401, code)["why"] == why
        [line] = [each for each in lines if each["log_level"] == "warning"]
        assert line["why"] == why
        assert "agency.example" not in str(lines)
    assert not await sessions.refused_until(pool, NETWORK, 1)
    assert await failed(browser, monkeypatch) == {(f"oidc:{why}", 2)}


async def test_another_s_signature_and_a_token_as_it_has_to_be(
    browser: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, AS_IT_IS, key=OTHERS)
    back = await at_the_provider(browser, "ben")
    told = problem(await browser.get(back), 401, "provider-not-believed")
    assert told["why"] == "signature"
    assert await failed(browser, monkeypatch) == {("oidc:signature", 1)}


async def failed(browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """What the access log tells of it, to ben, who comes in as he should."""
    says(monkeypatch, AS_IT_IS)
    back = await at_the_provider(browser, "ben")
    assert (await browser.get(back)).headers.get("location") == "/sign-in"
    log = (await browser.get("/access-log?what=sign_in_failed")).json()["items"]
    return {(each["about"], each["count"]) for each in log}


async def test_in_a_browser_one_is_led_back_and_told_in_a_sentence(
    browser: httpx.AsyncClient, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cancels, is not on record, comes from elsewhere or twice."""

    async def led(back: str) -> str:
        answer = await browser.get(back, headers=PAGE)
        assert answer.status_code == 303
        where = answer.headers["location"]
        assert re.fullmatch(r"/sign-in\?why=[a-z-]+", where)
        page = await browser.get(where, headers=PAGE)
        assert page.status_code == 200
        [said] = re.findall(r'<p role="alert">(.*?)</p>', page.text)
        return str(said)

    async def sent_back(error: str) -> str:
        state = parse_qs(urlsplit(await at_the_provider(browser, "ben")).query)["state"][0]
        return f"/session/oidc/callback?error={error}&error_description=x&state={state}&iss=y"

    assert "cancelled" in await led(await sent_back("access_denied"))
    assert "begin it again" in await led("/session/oidc/callback?error=access_denied&state=x")
    assert "does not answer" in await led(await sent_back("server_error"))
    assert "does not answer" in await led(await sent_back("call-555"))
    back = await at_the_provider(browser, "ben")
    assert "begin it again" in await led(back.replace("state=", "state=x"))
    back = await at_the_provider(browser, "stranger")
    assert "e-mail address" in await led(back)
    assert "begin it again" in await led(back), "the cookie is gone, so this is no guess"
    assert "verified" in await led(await at_the_provider(browser, "mallory"))
    back = await at_the_provider(browser, "ben")
    assert "begin it again" in await led(back.replace("code=", "code=x"))
    back = await at_the_provider(browser, "ben")
    assert (await browser.get(back, headers=PAGE)).headers["location"] == "/sign-in"
    twice = await browser.get(back, headers=PAGE)
    page = await browser.get(twice.headers["location"], headers=PAGE)
    assert ("signed in as" in page.text, "alert" in page.text) == (True, False), "all is well"
    log = (await browser.get("/access-log?what=sign_in_failed")).json()["items"]
    assert {each["about"]: each["count"] for each in log} == {
        "oidc:cancelled": 1, "oidc:server_error": 1, "oidc:error": 1, "oidc:state": 4,
        "oidc:nobody": 1, "oidc:address": 1, "oidc:code": 1,
    }  # fmt: skip
    browser.cookies.clear()
    provider = app.state.equipment.provider
    provider.terms = replace(provider.terms, oidc_issuer="http://localhost:9")
    provider._known = None
    assert "does not answer" in await led("/session/oidc")
    for made_up in ("Call 555", "<b>", "//evil.example", "no-such-page"):
        page = await browser.get("/sign-in", params={"why": made_up})
        assert (page.status_code, "alert" in page.text) == (200, False)


async def test_how_we_are_set_up_is_no_guess_of_theirs(
    browser: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a secret that the provider does not take."""
    asked = oidc.Provider._asked

    async def refused(self: oidc.Provider, method: str, *rest: Any) -> Any:
        if method == "GET":
            return await asked(self, method, *rest)
        raise oidc._refused(b'{"error": "invalid_client"}')

    monkeypatch.setattr(oidc.Provider, "_asked", refused)
    told = problem(await browser.get(await at_the_provider(browser, "ben")), 503, "provider-away")
    assert told["why"] == "invalid_client"
    assert not await sessions.refused_until(pool, NETWORK, 1)
    for said in (b"", b"[]", b'{"error": 7}', b'{"error": "invalid_grant"}'):
        assert oidc._refused(said).facts == {"why": "code"}


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
