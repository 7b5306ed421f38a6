"""``up``: everything starts, everything stops, and whatever dies comes back."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from running import Running, ledger_crm, printed, running
from waiting import PATIENCE_S, until

pytestmark = pytest.mark.xdist_group("up")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Of a folder whose name servers, shells and databases are told in their own ways."""
    home = tmp_path_factory.mktemp("up") / "José's agency"
    home.mkdir()
    with running(home) as up:
        yield up


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For those that start and stop it themselves."""
    return tmp_path_factory.mktemp("home")


def add(api: httpx.Client, name: str) -> httpx.Response:
    key = name.replace(" ", "-")
    return api.post("/companies", json={"name": name}, headers={"Idempotency-Key": key})


def address_of(up: Running) -> tuple[str, int]:
    url = httpx.URL(up.url)
    return url.host, url.port or 80


def level(up: Running) -> bool:
    with up.api() as api:
        ready = api.get("/health/ready").json()
    return ready["status"] == "ready" and ready["feed"]["lag_events"] == 0


def test_it_says_where_it_is_what_opens_it_and_what_to_try(up: Running) -> None:
    text = "\n".join(up.lines)
    assert up.url in text
    assert up.key in text
    assert text.count("\n    ") >= 2, "things to try, to be pasted"
    programs = [line for line in up.lines if line.endswith((" demo", " events tail"))]
    for line in programs:
        assert shlex.split(line)[0] == f"LEDGER_HOME={up.home}"
    assert programs
    assert httpx.get(f"{up.url}/health/live").json() == {"status": "live"}

    second = ledger_crm(up.home, "up")
    assert second.returncode == 2
    assert up.url.encode() in second.stderr
    assert second.stderr.count(b"\n") == 1


def ctrl_c(up: Running, *, group: bool) -> None:
    """Stops all of it. ``group``: as a terminal does it, which tells everybody; else itself."""
    up.interrupt(group=group)
    assert up.process.returncode == 0
    assert up.pids() == []


def test_however_it_is_stopped_nobody_is_left_and_it_goes_on_where_it_was(home: Path) -> None:
    """By kill -9 of everything, by Ctrl-C, with a broker that was wiped since, and by kill -9 of
    the supervisor alone, whom nobody outlives."""
    up = Running(home)
    assert len(up.pids()) >= 7, "the supervisor, four workers, two servers"
    with up.api() as api:
        written = add(api, "Before the crash").json()
    up.kill()
    until(lambda: not up.pids())

    with running(home) as up:
        with up.api() as api:
            shown = api.get(f"/companies/{written['id']}", params={"after": written["position"]})
            assert shown.json()["name"] == "Before the crash"
        head = printed(ledger_crm(up.home, "feed", "status", "--json"))["head"]
        ctrl_c(up, group=False)

    for store in (home / "nats").rglob("jetstream"):
        shutil.rmtree(store)
    with running(home) as up:
        until(lambda: level(up))
        assert printed(ledger_crm(up.home, "feed", "status", "--json"))["position"] >= head
        assert b"exactly the ledger" in ledger_crm(up.home, "feed", "audit").stdout
        up.process.kill()
        up.process.wait(PATIENCE_S)
        until(lambda: not up.pids())


@pytest.mark.campaign  # a time: not for a machine that does something else
def test_ctrl_c_takes_five_seconds_at_most(home: Path) -> None:
    up = Running(home)
    began_s = monotonic()
    up.interrupt()
    assert monotonic() - began_s < 5


@pytest.mark.campaign  # it waits for longer than those keep a connection who call
def test_a_connection_that_was_idle_is_still_there(home: Path) -> None:
    with running(home) as up, socket.create_connection(address_of(up)) as caller:
        for _ in range(2):
            caller.sendall(b"GET /health/live HTTP/1.1\r\nHost: crm\r\n\r\n")
            assert caller.recv(4096).startswith(b"HTTP/1.1 200")
            threading.Event().wait(6)
        ctrl_c(up, group=False)  # nor does it hold up the end


def test_a_worker_that_dies_is_started_again_and_it_is_said(up: Running) -> None:
    for name in ("projector", "relay", "webhooks", "api"):
        [dead] = [pid for pid in up.pids(f"worker {name}")][:1]
        os.kill(dead, signal.SIGKILL)
        if name == "api":  # who calls meanwhile waits, and is answered once it is back
            until(lambda d=dead: d not in up.pids())
            with up.api() as api:
                assert add(api, "Not called in vain").status_code == 201
        until(lambda n=name, d=dead: set(up.pids(f"worker {n}")) - {d})
        until(lambda n=name: up.said(n))

    def answered() -> bool:
        try:
            return level(up)
        except httpx.TransportError:
            return False

    until(answered)


def test_a_database_that_is_killed_under_load_loses_nothing(up: Running) -> None:
    answers: Counter[int] = Counter()
    written: list[int] = []
    done = threading.Event()

    def load(who: int) -> None:
        with up.api() as api:
            for n in range(10_000):
                if done.is_set():
                    break
                answer = add(api, f"Load {who} {n}")
                answers[answer.status_code] += 1
                if answer.status_code == 201:
                    written.append(answer.json()["position"])
                else:
                    assert answer.headers["Retry-After"]

    callers = [threading.Thread(target=load, args=(who,)) for who in range(4)]
    for caller in callers:
        caller.start()
    until(lambda: len(written) > 40)
    postmaster = int((up.home / "postgres/data/postmaster.pid").read_text().split()[0])
    victims = [pid for pid in up.pids("postgres") if pid != postmaster]
    os.kill(victims[0] if victims else postmaster, signal.SIGKILL)
    after = len(written)
    until(lambda: len(written) > after + 40)
    done.set()
    for caller in callers:
        caller.join()

    assert set(answers) <= {201, 503}
    assert len(set(written)) == len(written), "each receipt is for an entry of its own"
    until(lambda: level(up))
    with up.api() as api:
        assert api.get("/health/ready").json()["head"] >= max(written)


def test_a_follower_as_the_documents_have_it_outlives_the_database_and_the_api_and_ends_with_us(
    home: Path,
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "following.md").read_text()
    documented: dict[str, Any] = {"__name__": "documented"}
    exec(page.partition("```python\n")[2].partition("```")[0], documented)
    told: list[int] = []

    def follow(up: Running) -> None:
        with suppress(httpx.HTTPError):  # once all of it has stopped for good
            for entry in documented["follow"](up.url, up.key):
                told.append(entry["position"])
                if ended.is_set():
                    break

    ended = threading.Event()
    with running(home) as up:
        follower = threading.Thread(target=follow, args=(up,), daemon=True)
        follower.start()
        postmaster = int((up.home / "postgres/data/postmaster.pid").read_text().split()[0])
        with up.api() as api:
            for n, victim in enumerate([0, postmaster, *up.pids("worker api")[:1]]):
                if victim:
                    os.kill(victim, signal.SIGKILL)

                def written(n: int = n) -> int:
                    with suppress(httpx.TransportError):
                        answer = add(api, f"Followed {n}")
                        if answer.status_code == 201:
                            return int(answer.json()["position"])
                    return 0

                position = until(written)
                until(lambda position=position: position in told)
        assert told == list(range(1, len(told) + 1))
        ended.set()
        ctrl_c(up, group=True)  # also while somebody follows


def test_without_a_broker_commands_go_on_and_the_feed_catches_up(up: Running) -> None:
    [broker] = up.pids("nats-server -c")[:1] or up.pids("nats-server")[:1]
    os.kill(broker, signal.SIGKILL)
    with up.api() as api:
        for n in range(20):
            assert add(api, f"Without a broker {n}").status_code == 201
    until(lambda: level(up))
    assert b"exactly the ledger" in ledger_crm(up.home, "feed", "audit").stdout
    followed = ledger_crm(up.home, "events", "tail", "--after", "0", "--limit", "3", "--json")
    assert followed.stdout.count(b"\n") == 3


def test_a_read_model_is_rebuilt_while_it_is_led(up: Running) -> None:
    rebuilt = ledger_crm(up.home, "projections", "rebuild", "companies", "--blue-green")
    assert rebuilt.returncode == 0, rebuilt.stderr
    status = printed(ledger_crm(up.home, "projections", "status", "--json"))
    assert {one["lag_events"] for one in status["projections"]} == {0}
    assert ledger_crm(up.home, "doctor").returncode == 0
