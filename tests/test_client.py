"""The client where a connection is cut, at any byte."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

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
        threading.Thread(target=server.serve_forever, daemon=True).start()
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
