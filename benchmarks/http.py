"""HTTP as clients see it: the API in a process of its own, 16 connections kept open, a request on
each as soon as the one before is answered. The limit is an application of the same framework and
server that does nothing.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from time import perf_counter
from uuid import UUID, uuid4

import msgspec
import uvloop

CONNECTIONS = 16
START_S = 20.0


@contextmanager
def served(url: str) -> Iterator[int]:
    """The port of the API over this database; of the empty application if the url is ""."""
    with process(url) as (port, _):
        yield port


@contextmanager
def process(url: str) -> Iterator[tuple[int, int]]:
    """The port, and the number of the process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    program = [sys.executable, "-m", "benchmarks.http", str(port), url]
    with subprocess.Popen(program, stderr=subprocess.DEVNULL) as server:
        try:
            until_s = perf_counter() + START_S
            while server.poll() is None and perf_counter() < until_s:
                with socket.socket() as caller:
                    if caller.connect_ex(("127.0.0.1", port)) == 0:
                        break
            yield port, server.pid
        finally:
            server.terminate()


def posting(people: list[UUID], key: str, *, stale: int = 0) -> Callable[[], bytes]:
    """A note on one of them after the other, each under an idempotency key of its own. Each
    ``stale``-th is on a version that the person does not have."""
    numbers, run = count(), uuid4().hex  # a ledger that is kept knows the keys of earlier runs

    def request() -> bytes:
        n = next(numbers)
        body = msgspec.json.encode(
            {"kind": "person.note_written", "text": f"Call again about the role in Lisbon, {n}."}
        )
        path = f"/people/{people[n % len(people)]}/interactions"
        head = f"Authorization: Bearer {key}\r\nIdempotency-Key: bench-{run}-{n}\r\n"
        if stale and n % stale == 0:
            head += 'If-Match: "999999"\r\n'
        return _request("POST", path, head, body)

    return request


def getting(paths: list[str], key: str = "") -> Callable[[], bytes]:
    numbers = count()
    head = f"Authorization: Bearer {key}\r\n" if key else ""
    return lambda: _request("GET", paths[next(numbers) % len(paths)], head)


def posting_nothing() -> bytes:
    return _request("POST", "/", "", b'{"text":"Call again about the role in Lisbon."}')


async def answered(
    port: int,
    request: Callable[[], bytes],
    seconds: int,
    connections: int = CONNECTIONS,
    took_s: list[float] | None = None,
) -> list[int]:
    """How many, in each second. Raises AssertionError unless every answer is a 2xx, or a 412.
    ``took_s``: how long each one took is added to it."""
    done, began = [0] * (seconds + 1), perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (at := perf_counter() - began) < seconds:
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 412")), head[:80]
            size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(size))
            done[int(at)] += 1
            if took_s is not None:
                took_s.append(perf_counter() - began - at)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return done[:seconds]


def _request(method: str, path: str, head: str, body: bytes = b"") -> bytes:
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: crm\r\n{head}{kind}\r\n".encode() + body


async def _serve(port: int, url: str) -> None:
    import uvicorn
    from litestar import Litestar, get, post

    from ledger_crm import cli
    from ledger_crm.api.app import create_app
    from ledger_crm.api.serving import InOnePiece
    from ledger_crm.api.snapshots import open_pool
    from ledger_crm.cli.logs import log_as_json
    from ledger_crm.ledger import Ledger

    from .house import KEYRING

    @get("/")
    async def nothing() -> dict[str, str]:
        return {"name": "nothing"}

    @post("/")
    async def nothing_taken(data: dict[str, str]) -> dict[str, str]:
        return {"name": "nothing"}

    async def run(app: Litestar) -> None:
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            http=InOnePiece if url else "httptools",
        )
        await uvicorn.Server(config).serve()

    async def no_feed() -> int:
        raise ConnectionError

    log_as_json("info")
    gc.set_threshold(*cli.COLLECT)  # as the program does
    if not url:
        await run(Litestar([nothing, nothing_taken], openapi_config=None, logging_config=None))
        return
    with Ledger(url, KEYRING) as ledger:
        async with open_pool(url) as pool:
            await run(create_app(ledger=ledger, pool=pool, feed_position=no_feed))


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))  # as the program does
