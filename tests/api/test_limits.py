"""What is taken from one caller, and how often keys and links may be guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.journey import ADA, NOTE, problem, written
from ledger_crm import sessions
from ledger_crm.api.caller import Terms, network
from ledger_crm.api.snapshots import Pool
from ledger_crm.commands.catalogue import create_key
from ledger_crm.ledger import Ledger
from ledger_crm.vault import Vault

pytestmark = pytest.mark.anyio

Serve = Callable[[Terms], None]


@pytest.fixture
def serve(app: Litestar, ledger: Ledger, pool: Pool, vault: Vault) -> Serve:
    """The application on other terms."""

    def serve(terms: Terms) -> None:
        app.state.equipment.furnish(
            ledger=ledger, pool=pool, feed_position=ledger.head, vault=vault, terms=terms
        )

    return serve


async def test_a_batch_tells_what_its_commands_left(ana: httpx.AsyncClient, serve: Serve) -> None:
    """Each of them is a request; and where one is too many, when to send them again."""
    serve(Terms(requests_a_minute=5))
    person = {"path": "/people", "body": {"name": "Grace"}}

    some = await ana.post("/batch", json={"commands": [person] * 2})
    many = await ana.post("/batch", json={"commands": [person] * 2, "all_or_nothing": True})

    assert some.headers["ratelimit"].startswith('"caller";r=2;')
    assert (many.status_code, many.json()["type"]) == (429, "/problems/too-many-requests")
    assert many.json()["command"] == 1
    assert many.headers["ratelimit"].startswith('"caller";r=0;')
    assert 0 < int(many.headers["retry-after"]) <= 60


async def test_of_one_caller_so_many_requests_are_taken_and_they_are_told(
    ana: httpx.AsyncClient, ledger: Ledger, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they are answered before the framework; another caller is none of theirs."""
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 60.0)
    person = (await written(ana, "/people", ADA))["id"]
    path = f"/people/{person}/interactions"
    serve(Terms(requests_a_minute=4))
    for left in (3, 2, 1, 0):
        answer = await ana.post(path, json=NOTE)
        assert answer.status_code == 201
        assert answer.headers["ratelimit-policy"] == '"caller";q=4;w=60'
        said = answer.headers["ratelimit"].split(";")
        assert said[:2] == ['"caller"', f"r={left}"]
        assert 0 < int(said[2].removeprefix("t=")) <= 60
    for again in (ana.post(path, json=NOTE), ana.get("/people"), ana.get(f"/people/{person}")):
        answer = await again
        problem(answer, 429, "too-many-requests")
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["ratelimit"].startswith('"caller";r=0;')
    assert (await ana.get("/health/live")).status_code == 200
    _, text = await create_key(ledger, actor="consultant:ben")
    ben = {"Authorization": f"Bearer {text}"}
    assert (await ana.get("/people", headers=ben)).headers["ratelimit"].startswith('"caller";r=3;')

    import time

    later_s = time.monotonic() + 61
    monkeypatch.setattr("ledger_crm.api.limits.time.monotonic", lambda: later_s)
    assert (await ana.get("/people")).status_code == 200


async def test_who_guesses_keys_and_links_is_not_heard_but_who_came_with_a_right_one_is(
    ana: httpx.AsyncClient, ledger: Ledger, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 0.0)
    serve(Terms(wrong_keys=3))
    assert (await ana.get("/session")).status_code == 200
    _, late = await create_key(ledger, actor="consultant:ben")
    wrong = {"Authorization": "Bearer lcrm_guessed"}
    for _ in range(2):
        problem(await ana.get("/people", headers=wrong), 401, "key-missing")
    problem(await ana.get("/portal/shortlist", headers=wrong), 401, "link-missing")
    for path in ("/people", "/portal/shortlist"):
        answer = await ana.get(path, headers=wrong)
        problem(answer, 429, "too-many-guesses")
        assert 0 < int(answer.headers["retry-after"]) <= 900
    assert (await ana.get("/people")).status_code == 200, "her key was right before"
    problem(
        await ana.get("/people", headers={"Authorization": f"Bearer {late}"}),
        429, "too-many-guesses",
    )  # fmt: skip
    problem(await ana.get("/people", headers={"Authorization": ""}), 401, "key-missing")


async def test_a_session_that_is_over_is_no_guess(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    pool: Pool,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a page that was left open overnight would keep a whole office out."""
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 0.0)
    serve(Terms(wrong_keys=3))
    keyring = ledger.store.keyring
    _, secret = await sessions.begin(pool.door, keyring, "consultant:ana", 1, 0, idle_s=60)
    over = {"Authorization": "", "Cookie": f"ledger_session={secret}"}
    for _ in range(5):
        problem(await ana.get("/people", headers=over), 401, "key-missing")
    assert (await ana.get("/people")).status_code == 200


async def test_a_cookie_that_somebody_made_up_costs_no_look(
    ana: httpx.AsyncClient, ledger: Ledger, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or many of them would take the places of who is signed in."""
    _, secret = await sessions.begin(
        pool.door, ledger.store.keyring, "consultant:ana", 1, 60, idle_s=60
    )
    looks, find = list[str](), sessions.find

    async def counted(pool: Any, secret: str, *, idle_s: int) -> Any:
        looks.append(secret)
        return await find(pool, secret, idle_s=idle_s)

    monkeypatch.setattr(sessions, "find", counted)
    other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    for text in ("over", "", "ü" * 60, secret[1:], "x" + secret, other, secret):
        header = f"ledger_session={text}".encode("latin-1")
        answer = await ana.get("/people", headers={"Authorization": "", "Cookie": header})
        problem(answer, 401, "key-missing")
    assert looks == [secret]


async def test_only_over_https_browsers_are_told_to_stay_there(app: Litestar) -> None:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport) as client:
        for url, there in (("http://crm/docs", False), ("https://crm/docs", True)):
            headers = (await client.get(url)).headers
            assert ("strict-transport-security" in headers) == there
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("address", "of"),
    [
        ("192.0.2.17", "192.0.2.0/24"),
        ("::ffff:192.0.2.17", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("testclient", ""),
    ],
)
def test_a_network_names_nobody(address: str, of: str) -> None:
    assert network(address) == of
