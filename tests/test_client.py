"""The client where a connection is cut, at any byte; how long it waits, and what it asks."""

from __future__ import annotations

import asyncio
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from itertools import islice
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_crm import client

ENTRIES = 6


def told(position: int) -> bytes:
    entry = {
        "position": position,
        "stream": "01a22c29-6603-77aa-86a4-c83490c8b559",
        "version": 1,
        "kind": "person.note_written",
        "at": "2026-11-30T11:14:00Z",
        "recorded_at": "2026-11-30T11:14:00Z",
        "by": "consultant:ana",
        "cause": "",
        "through": "",
        "fact": {},
        "sealed": [],
    }
    data = msgspec.json.encode(entry)
    return b"event: person.note_written\nid: %d\ndata: %b\n\n" % (position, data)


@contextmanager
def cutting(cuts: list[int]) -> Iterator[tuple[str, list[int]]]:
    """A server of the stream, of which each connection but the last ends after so many bytes; its
    address, and what it was asked for."""
    asked: list[int] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while line := self.rfile.readline().strip():
                head += line + b"\n"
            found = re.search(rb"last-event-id: (\d+)", head, re.IGNORECASE)
            last = int(found[1]) if found else 0
            asked.append(last)
            body = b"retry: 1000\n\n" + b"".join(map(told, range(last + 1, ENTRIES + 1)))
            cut = cuts.pop(0) if cuts else len(body)
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
                + body[:cut]
            )

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


@settings(max_examples=60)
@given(cuts=st.lists(st.integers(0, 2 * len(told(1)) + 13), max_size=4))
def test_a_follower_that_is_cut_off_anywhere_hears_each_entry_once(cuts: list[int]) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        cutting(list(cuts)) as (url, asked),
        client.Client(url, "key") as crm,
    ):
        patch.setattr(client, "AGAIN_S", 0.0)
        heard = [entry.position for entry in islice(crm.follow(), ENTRIES)]
    assert heard == list(range(1, ENTRIES + 1)), asked


RECEIPT = {"id": "01a22c29-6603-77aa-86a4-c83490c8b559", "version": 1, "position": 7}
BUSY = {"type": "/problems/too-many-requests", "detail": "wait"}


class Server:
    """Answers what it is given, one after the other, and then that all is well."""

    def __init__(self, *answers: httpx.Response, well: Any = RECEIPT) -> None:
        self.answers, self.well = list(answers), well
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answers.pop(0) if self.answers else httpx.Response(200, json=self.well)


def busy(status: int, retry_after: str | None) -> httpx.Response:
    headers = {b"Date": b"Mon, 30 Nov 2026 12:00:00 GMT"}
    headers |= {} if retry_after is None else {b"Retry-After": retry_after.encode("latin-1")}
    return httpx.Response(status, json=BUSY, headers=headers)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []

    def sleep(seconds: float) -> None:
        found.append(seconds)
        assert len(found) < 100, "without an end"

    async def asleep(seconds: float) -> None:
        sleep(seconds)

    monkeypatch.setattr(client.time, "sleep", sleep)
    monkeypatch.setattr(client.asyncio, "sleep", asleep)
    return found


def called(server: Server, call: str, *args: Any, patience_s: float, awaited: bool) -> Any:
    transport = httpx.MockTransport(server)

    async def asynchronously() -> Any:
        async with client.AsyncClient(
            "http://crm", "key", transport=transport, patience_s=patience_s
        ) as crm:
            return await getattr(crm, call)(*args)

    if awaited:
        return asyncio.run(asynchronously())
    with client.Client("http://crm", "key", transport=transport, patience_s=patience_s) as crm:
        return getattr(crm, call)(*args)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_it_comes_back_when_it_is_told_to_and_not_before(
    slept: list[float], status: int, awaited: bool
) -> None:
    server = Server(busy(status, "50"), busy(status, None))
    called(server, "write", "/people", {}, patience_s=50, awaited=awaited)
    assert slept[0] == 50
    assert 0 < slept[1] < 1, "of its own accord"
    assert len({each.headers["idempotency-key"] for each in server.asked}) == 1


@pytest.mark.parametrize("awaited", [False, True])
def test_who_is_to_come_back_later_than_they_wait_is_told_so_at_once(
    slept: list[float], awaited: bool
) -> None:
    for asked in ("900", "Mon, 30 Nov 2026 12:15:00 GMT"):
        server = Server(busy(429, asked))
        with pytest.raises(client.Problem) as told:
            called(server, "get", "/people", patience_s=60, awaited=awaited)
        assert (told.value.status, told.value.code) == (429, "too-many-requests")
        assert told.value.retry_after_s == 900
        assert len(server.asked) == 1
    assert slept == []


def test_a_follower_waits_as_it_is_told_to_and_no_longer_than_it_wants(slept: list[float]) -> None:
    server = Server(busy(503, "5"), busy(503, "900"))
    with (
        client.Client("http://crm", "key", transport=httpx.MockTransport(server)) as crm,
        pytest.raises(client.Problem) as told,
    ):
        next(crm.follow())
    assert (told.value.retry_after_s, slept) == (900, [5])


def test_without_a_word_of_when_a_problem_has_none() -> None:
    odd = [busy(404, said) for said in (None, "soon", "²", "Mon, 30 Nov 9999999999 12:00:00 GMT")]
    for answer in (*odd, httpx.Response(502, text="<p>Gone</p>")):
        transport = httpx.MockTransport(Server(answer))
        with (
            client.Client("http://crm", "key", transport=transport, attempts=1) as crm,
            pytest.raises(client.Problem) as told,
        ):
            crm.get("/people")
        assert told.value.retry_after_s is None


def test_what_can_never_be_sent_is_told_at_once(slept: list[float]) -> None:
    with client.Client("crm", "key") as crm:
        with pytest.raises(httpx.TransportError):
            crm.get("/people")
        with pytest.raises(httpx.TransportError):
            next(crm.follow())

    async def followed() -> None:
        async with client.AsyncClient("crm", "key") as crm:
            await anext(crm.follow())

    with pytest.raises(httpx.TransportError):
        asyncio.run(followed())
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"http://127.0.0.1:{server.getsockname()[1]}"
        with client.Client(here, "key") as crm, pytest.raises(httpx.TransportError):
            crm.write("/people", {}, if_match='"two\nlines"')
    assert slept == []


def test_the_ledger_is_read_from_a_position_to_its_end_in_pages() -> None:
    pages = [
        httpx.Response(200, json={"items": [n], "next": more}) for n, more in ((8, "c"), (9, None))
    ]
    server = Server(*pages)
    with client.Client("http://crm", "key", transport=httpx.MockTransport(server)) as crm:
        assert list(crm.pages("/events", after=7)) == [8, 9]
    asked = [dict(each.url.params) for each in server.asked]
    assert asked == [{"after": "7"}, {"cursor": "c"}], "it takes one of the two"


@pytest.mark.parametrize("awaited", [False, True])
def test_a_list_that_is_read_by_post_has_its_body_on_every_page(awaited: bool) -> None:
    counted = {"Total-Count": "10000+"}
    pages = [
        httpx.Response(200, json={"items": [8], "next": "c"}, headers=counted),
        httpx.Response(200, json={"items": [9], "next": None}, headers=counted),
    ]
    server = Server(httpx.Response(200, json=RECEIPT), *pages, well={})
    transport = httpx.MockTransport(server)
    asked: dict[str, Any] = {"body": {"q": "ada"}, "count": True, "limit": 1}

    async def asynchronously() -> tuple[list[Any], str | None]:
        async with client.AsyncClient("http://crm", "key", transport=transport) as crm:
            await crm.write("/people", {})
            found = [each async for each in crm.pages("/people/lookups", **asked)]
            return found, crm.total_count

    if awaited:
        found, total = asyncio.run(asynchronously())
    else:
        with client.Client("http://crm", "key", transport=transport) as crm:
            crm.write("/people", {})
            found, total = list(crm.pages("/people/lookups", **asked)), crm.total_count
            crm.get("/people")
            assert crm.total_count is None, "that answer says nothing of it"
    assert (found, total) == ([8, 9], "10000+")
    _, first, second, *_ = server.asked
    params = {"after": "7", "count": "true", "limit": "1"}
    for request, told_by in ((first, params), (second, params | {"cursor": "c"})):
        assert (request.method, request.content) == ("POST", b'{"q":"ada"}')
        assert request.headers["content-type"] == "application/json"
        assert dict(request.url.params) == told_by


@pytest.mark.parametrize("key", ["", " ", "größer", "two\nlines"])
@pytest.mark.parametrize("awaited", [False, True])
def test_what_is_no_key_is_refused_and_not_sent_under_another(key: str, awaited: bool) -> None:
    server = Server()
    transport = httpx.MockTransport(server)

    async def asynchronously() -> None:
        async with client.AsyncClient("http://crm", "key", transport=transport) as crm:
            await crm.write("/people", {}, key=key)

    with client.Client("http://crm", "key", transport=transport) as crm:
        calls: list[Callable[[], object]] = [
            lambda: crm.write("/people", {}, key=key),
            lambda: crm.try_out("/people", {}, key=key),
            lambda: crm.batch([], key=key),
        ]
        for call in [lambda: asyncio.run(asynchronously())] if awaited else calls:
            with pytest.raises(ValueError, match="visible ASCII characters, or None"):
                call()
    assert server.asked == []


@pytest.mark.parametrize("awaited", [False, True])
def test_a_batch_is_sent_under_a_key_and_may_be_tried_first(awaited: bool) -> None:
    results = {"results": [{"status": 200, "answer": {"id": RECEIPT["id"], "dry_run": True}}]}
    server = Server(well=results)
    transport = httpx.MockTransport(server)
    asked = {"key": "monday", "dry_run": True}

    async def asynchronously() -> Any:
        async with client.AsyncClient("http://crm", "key", transport=transport) as crm:
            return await crm.batch([{"path": "/people", "body": {}}], **asked)

    if awaited:
        found = asyncio.run(asynchronously())
    else:
        with client.Client("http://crm", "key", transport=transport) as crm:
            found = crm.batch([{"path": "/people", "body": {}}], **asked)
            assert crm.position == 0, "nothing was written"
    assert found == results["results"]
    [request] = server.asked
    assert request.headers["idempotency-key"] == "monday"
    assert dict(request.url.params) == {"dry_run": "true"}


def test_it_says_how_far_an_answer_has_got_and_through_which_key_an_entry_was_written() -> None:
    page = {"items": [msgspec.json.decode(told(1)[told(1).index(b"{") :]) | {"through": "key:1"}]}
    told_at = httpx.Response(200, json=page | {"next": None}, headers={"Ledger-Position": "12"})
    server = Server(told_at)
    with client.Client("http://crm", "key", transport=httpx.MockTransport(server)) as crm:
        assert crm.stood_at is None
        [entry] = crm.pages("/events", client.Entry)
        assert (crm.stood_at, entry.through) == (12, "key:1")
        crm.get("/health/live")
        assert crm.stood_at is None, "that answer says nothing of it"


LISTED = {"items": [], "next": None}


@pytest.mark.parametrize("awaited", [False, True])
def test_what_stands_in_the_path_is_asked_and_with_what_stands_beside_it(awaited: bool) -> None:
    """A query that was left out would be another question, and a dry run that is none a write."""
    server = Server(well=LISTED)

    async def asynchronously() -> None:
        async with client.AsyncClient(
            "http://crm", "key", transport=httpx.MockTransport(server)
        ) as crm:
            crm.position = 7
            await crm.get("/people?tag=a%26b&tag=c", limit=3, as_of=None)
            assert [each async for each in crm.pages("/people?tag=vip", cursor="here")] == []
            await crm.ask("/people/lookups?limit=2", {"q": "ada"}, as_of=5)
            with pytest.raises(client.Problem, match="no receipt"):
                await crm.write("/people?dry_run=true", {})

    def at_once() -> None:
        with client.Client("http://crm", "key", transport=httpx.MockTransport(server)) as crm:
            crm.position = 7
            crm.get("/people?tag=a%26b&tag=c", limit=3, as_of=None)
            assert [*crm.pages("/people?tag=vip", cursor="here")] == []
            crm.ask("/people/lookups?limit=2", {"q": "ada"}, as_of=5)
            with pytest.raises(client.Problem, match="no receipt"):
                crm.write("/people?dry_run=true", {})

    if awaited:
        asyncio.run(asynchronously())
    else:
        at_once()
    assert [(each.url.path, {*each.url.params.multi_items()}) for each in server.asked] == [
        ("/people", {("after", "7"), ("tag", "a&b"), ("tag", "c"), ("limit", "3")}),
        ("/people", {("after", "7"), ("tag", "vip"), ("cursor", "here")}),
        ("/people/lookups", {("limit", "2"), ("as_of", "5")}),
        ("/people", {("dry_run", "true")}),
    ]


@pytest.mark.parametrize("awaited", [False, True])
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(awaited: bool) -> None:
    server = Server()
    for path, params in (
        (".evil.example/people", {}),
        ("people", {}),
        ("/a?limit=2", {"limit": 3}),
    ):
        with pytest.raises(ValueError, match=r"^(path|limit): "):
            called_with(server, path, params, awaited)
    assert not server.asked


def called_with(server: Server, path: str, params: dict[str, Any], awaited: bool) -> Any:
    transport = httpx.MockTransport(server)

    async def asynchronously() -> Any:
        async with client.AsyncClient("http://crm", "key", transport=transport) as crm:
            return await crm.get(path, **params)

    if awaited:
        return asyncio.run(asynchronously())
    with client.Client("http://crm", "key", transport=transport) as crm:
        return crm.get(path, **params)


@pytest.mark.parametrize("key", ["lcrm_abc\n", "", "lcrm abc", "lcrm_ü"])
def test_what_is_no_api_key_is_refused_and_not_repeated(key: str) -> None:
    for kind in (client.Client, client.AsyncClient):
        with pytest.raises(ValueError, match=r"^key: ") as refused:
            kind("http://crm", key)
        assert "abc" not in str(refused.value)


@pytest.mark.parametrize("awaited", [False, True])
def test_a_page_of_somebody_between_is_no_stream(awaited: bool) -> None:
    """Whoever followed it would hear nothing, for ever."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, html="<p>Please sign in"))

    async def asynchronously() -> None:
        async with client.AsyncClient("http://crm", "key", transport=transport) as crm:
            await anext(crm.follow())

    def at_once() -> None:
        with client.Client("http://crm", "key", transport=transport) as crm:
            next(crm.follow())

    with pytest.raises(client.Problem, match="text/html") as problem:
        asyncio.run(asynchronously()) if awaited else at_once()
    assert problem.value.code == "no-stream"


def test_a_put_may_ask_that_there_is_none_yet() -> None:
    server = Server()
    with client.Client("http://crm", "key", transport=httpx.MockTransport(server)) as crm:
        crm.write("/pools/speakers", {}, method="PUT", if_none_match="*")
    assert server.asked[0].headers["if-none-match"] == "*"
    assert "if-match" not in server.asked[0].headers


def test_whoever_checks_types_is_told_that_it_has_some() -> None:
    """PEP 561: without it mypy takes all of it for Any, or refuses the import."""
    assert files("ledger_crm").joinpath("py.typed").is_file()
