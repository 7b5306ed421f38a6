"""The server, over real connections, with an application that is none of ours."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs

from ledger_crm.api import metrics, serving
from waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.anyio

LARGE, PIECE = b"x" * 8 * 2**20, 2**16


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[uvicorn.Server]:
    monkeypatch.setattr(serving, "STALLED_S", 0.3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            return
        if scope["path"] == "/slow":
            await asyncio.sleep(1)
        body = LARGE if scope["path"] == "/large" else b"done"
        if scope["path"] == "/headers":
            body = b" ".join(name for name, _ in scope["headers"])
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for at in range(0, len(body), PIECE):  # as a stream: as much waits at any time
            await send(
                {"type": "http.response.body", "body": body[at : at + PIECE], "more_body": True}
            )
            await asyncio.sleep(0)  # as who asks for the next
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, lifespan="off", http=serving.InOnePiece
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    for listening in server.servers[0].sockets:  # as little on the way as far from here
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
    yield server
    server.should_exit = True
    await running


async def connected(server: uvicorn.Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    ours = socket.socket()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
    ours.setblocking(False)
    address = server.servers[0].sockets[0].getsockname()
    await asyncio.get_running_loop().sock_connect(ours, address)
    return await asyncio.open_connection(sock=ours, limit=PIECE)


@pytest.mark.parametrize(
    "begins",
    [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n"],
    ids=["nothing", "head", "body"],
)
async def test_who_does_not_end_a_request_is_not_waited_for(
    server: uvicorn.Server, begins: bytes
) -> None:
    """A byte now and then is no more than none."""
    reader, writer = await connected(server)
    writer.write(begins)
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            while not reader.at_eof():
                if begins:
                    writer.write(b"x")
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
    writer.close()
    await eventually(lambda: not server.server_state.connections)


CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begins", "goes_on", "told"),
    [
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 5_000, b"431"),
        (b"GET / HTTP/1.1\r\na: ", b"b" * PIECE, b"431"),
        (b"GET /", b"a" * PIECE, b"431"),
        (CHUNKED + b"0\r\n", b"a: b\r\n" * 5_000, b""),
        (CHUNKED + b"3\r\nabc\r\n0\r\na: ", b"b" * PIECE, b""),
        (CHUNKED + b"1;", b"a" * PIECE, b""),
        (b"GET / HTTP/1.1\r\n\r\n", b"\r\n" * PIECE, b""),
    ],
    ids=["headers", "header", "address", "trailers", "trailer", "chunk", "nothing"],
)
async def test_what_never_ends_is_not_kept(
    server: uvicorn.Server,
    monkeypatch: pytest.MonkeyPatch,
    begins: bytes,
    goes_on: bytes,
    told: bytes,
) -> None:
    """However quickly it comes."""
    monkeypatch.setattr(serving, "STALLED_S", 600.0)
    reader, writer = await connected(server)
    writer.write(begins)
    await eventually(lambda: server.server_state.connections)
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            while server.server_state.connections:
                writer.write(goes_on)
                await writer.drain()
                await asyncio.sleep(0)
        with suppress(ConnectionError):
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 " + told)
            assert b"/problems/head-too-large" in answer or not told
    writer.close()


NO_HTTP = [
    b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"GET /people HTTP/9.9\r\n\r\n",
    b"GET /people?q=Zora\xff HTTP/1.1\r\nNo colon\r\n\r\n",
    b"GET /Zora\xc3 HTTP/1.1\r\n\r\n",
    "GET /people?q=Zora+Müller HTTP/1.1\r\n\r\n".encode(),
    b"GET / HTTP/1.1\r\nZora Byron: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nZora ",
    CHUNKED + b"Zora\r\n",
]


@pytest.mark.parametrize("sent", NO_HTTP)
async def test_what_is_no_http_is_a_problem_and_told_and_counted_without_a_word_of_it(
    server: uvicorn.Server, sent: bytes
) -> None:
    """Who operates this saw nothing of it, and who sent it had no id to ask them by."""
    before = counted(status="400")
    reader, writer = await connected(server)
    with capture_logs() as logs:
        writer.write(sent)
        said = await reader.read()
    writer.close()
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    told, headers = json.loads(body), head.lower().split(b"\r\n")
    assert (told["type"], told["status"]) == ("/problems/malformed", 400)
    assert f"x-request-id: {told['request_id']}".encode() in headers
    assert {b"connection: close", b"content-type: application/problem+json"} <= {*headers}
    [line] = [each for each in logs if each["event"] == "request"]
    assert (line["status"], line["request_id"]) == (400, told["request_id"])
    assert b"zora" not in said.lower() + str(logs).lower().encode()
    assert counted(status="400") == before + 1


@pytest.mark.parametrize("length", [65_600, 140_000])
async def test_an_address_that_is_too_long_is_told_to_be(
    server: uvicorn.Server, length: int
) -> None:
    reader, writer = await connected(server)
    writer.write(b"GET /people?tag=%b HTTP/1.1\r\n\r\n" % (b"a" * length))
    said = await reader.read()
    writer.close()
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"/problems/head-too-large" in said


async def test_what_is_no_http_and_does_not_end_either_is_refused_once(
    server: uvicorn.Server,
) -> None:
    _, writer = await connected(server)
    await eventually(lambda: server.server_state.connections)
    [protocol] = server.server_state.connections
    with capture_logs() as logs:
        protocol.data_received(b"GET / HTTP/1.1\r\na: b\r\n")
        protocol.data_received(b"c: \0" + b"d" * serving.MOST_BYTES)  # all of it at once
        await eventually(lambda: not server.server_state.connections)
    writer.close()
    assert [each["status"] for each in logs if each["event"] == "request"] == [400]


def counted(**labels: str) -> float:
    name = "ledger_crm_request_seconds_count"
    return metrics.registry.get_sample_value(name, {"method": "other", "route": "-"} | labels) or 0


@pytest.mark.parametrize("path", [b"/slow", b"/large"])
async def test_a_refusal_is_not_taken_for_the_answer_to_what_came_before(
    server: uvicorn.Server, path: bytes
) -> None:
    reader, writer = await connected(server)
    writer.write(b"GET %b HTTP/1.1\r\n\r\n" % path)
    if path == b"/large":
        await reader.readuntil(b"\r\n\r\n")
    writer.write(b"no HTTP\r\n\r\n")
    said = b""
    with suppress(ConnectionError):
        said = await reader.read()
    assert b"HTTP/1.1" not in said
    assert b"problem" not in said
    writer.close()


async def test_in_small_chunks_a_body_may_come(server: uvicorn.Server) -> None:
    reader, writer = await connected(server)
    writer.write(CHUNKED)
    for _ in range(50):
        writer.write(b"1\r\nx\r\n" * 5_000)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_what_follows_a_body_is_none_of_the_head(server: uvicorn.Server) -> None:
    """Or whoever passes it on unseen lets anybody be somebody (RFC 9110, 6.5.1)."""
    reader, writer = await connected(server)
    writer.write(CHUNKED.replace(b"/ ", b"/headers "))
    writer.write(b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
    writer.write(b"GET /headers HTTP/1.1\r\nConnection: close\r\n\r\n")
    said = await reader.read()
    assert said.count(b"transfer-encoding") == 1
    assert b"authorization" not in said
    writer.close()


async def test_who_does_not_take_the_answer_is_not_waited_for(server: uvicorn.Server) -> None:
    _, writer = await connected(server)
    writer.write(b"GET /large HTTP/1.1\r\nConnection: close\r\n\r\n")
    await eventually(lambda: server.server_state.connections)
    await eventually(lambda: not server.server_state.connections)
    writer.close()


@pytest.mark.parametrize(("path", "size"), [("/slow", 4), ("/large", len(LARGE))])
async def test_who_waits_for_us_or_takes_it_slowly_is_not_cut_off(
    server: uvicorn.Server, path: str, size: int
) -> None:
    reader, writer = await connected(server)
    writer.write(b"GET %b HTTP/1.1\r\n\r\n" % path.encode())
    answer = bytearray(await reader.readuntil(b"\r\n\r\n"))
    taken = 0
    while taken < size and not reader.at_eof():
        taken += len(await reader.read(PIECE))
        await asyncio.sleep(0.01)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert taken == size
