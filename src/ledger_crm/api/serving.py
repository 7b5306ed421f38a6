"""Serving: an answer leaves in one piece, and nobody who stalls is waited for.

The server writes the head of an answer and then its body, each with a call to the system, and the
client is woken for the first half. What is written in one turn of the event loop goes out together
at its end.

Whoever begins a request and does not end it, or does not take the answer, would hold a connection,
and what waits in it, for as long as they like: it is ended. So it is where a head never ends, or
what a body is wrapped in (its trailers, its chunks); and what follows a body is none of the head.

What is no HTTP reaches no route, and is refused, told, counted and logged as everything else is.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .edge import edge
from .problems import MEDIA_TYPE, Fault, HeadTooLarge, HttpProblem, Malformed, told
from .quick import Answer, tell

STALLED_S = 20.0  # in twice that the head of a request is here, or the connection ends
LEAST_BYTES = 1_024  # of its body, in that time
MOST_BYTES = 64 * 1024  # of a head, and of what is no body after it; besides what comes at once
WRAPPED = 16  # so many times what is in them chunks may take besides


async def _refused(scope: Any, _: Any, send: Any) -> None:
    status, problem, _ = told(scope["state"]["refusal"])
    await tell(send, Answer(status, problem, {"connection": "close"}, MEDIA_TYPE))


REFUSED: Any = edge(_refused)


class InOnePiece(HttpToolsProtocol):
    """To be given to uvicorn as ``http``."""

    def connection_made(self, transport: Any) -> None:
        self._gathering = Gathering(transport)
        super().connection_made(self._gathering)  # type: ignore[arg-type]
        self._heard, self._taken, self._looked_at = 0, -1, self.scope
        self._look = self.loop.call_later(STALLED_S, self._end_if_stalled)
        self._in_head, self._wrapping, self._is_refused = True, 0, False

    def data_received(self, data: bytes) -> None:
        self._heard += len(data)
        of, head = self.scope, self._in_head
        self._wrapping += len(data)
        super().data_received(data)
        if self.scope is not of or self._in_head is not head:
            self._wrapping = 0  # another began in this: what it takes is counted from the next on
        elif self._wrapping > MOST_BYTES:
            self._end_if_endless()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self.headers = []  # for trailers, which are not looked at (RFC 9110, 6.5.1)

    def on_body(self, body: bytes) -> None:
        self._wrapping = max(0, self._wrapping - WRAPPED * len(body))
        super().on_body(body)

    def _end_if_endless(self) -> None:
        if self.transport.is_closing() or self._is_refused:
            return
        if self._in_head:
            self._refuse(HeadTooLarge())
        else:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        if len(self.url or b"") >= MOST_BYTES:  # which the parser takes for none
            self._refuse(HeadTooLarge())
            return
        what = "is not HTTP/1.1, in which an address has %C3%A9 for é"  # what is typed most
        self._refuse(Malformed(faults=[Fault("", what)]))

    def _refuse(self, refusal: HttpProblem) -> None:
        """Nothing more is heard. If an answer is due, or begun, it would be taken for that one."""
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            if self.pipeline or cycle.response_started or not cycle.more_body:
                self.transport.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self._is_refused = True
        self.flow.pause_reading()
        scope: Any = {
            "type": "http", "method": "-", "headers": [], "scheme": self.scheme,
            "state": {"refusal": refusal},
        }  # fmt: skip
        refusing = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        task = self.loop.create_task(refusing.run_asgi(REFUSED))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def _end_if_stalled(self) -> None:
        """By what has come since it was looked at last, and what was taken."""
        (waits, taken), scope, cycle = self._gathering.given(), self.scope, self.cycle
        if cycle is None or cycle.scope is not scope:  # it is at the head of the next
            least = None
        elif cycle.more_body and not cycle.response_complete and not self.flow.read_paused:
            least = LEAST_BYTES
        else:  # it is for us to answer
            least = 0
        late = scope is self._looked_at and (least is None or self._heard < least)
        if late or (waits and taken == self._taken):
            self.transport.abort()
            return
        self._heard, self._taken, self._looked_at = 0, taken, scope
        self._look = self.loop.call_later(STALLED_S, self._end_if_stalled)


class Gathering:
    """A transport that writes at the end of the turn; all else is the one that it is around."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._written = 0

    def given(self) -> tuple[bool, int]:
        """Whether anything waits here, and how many bytes the other side has taken: a stream that
        is taken slowly has always as much that waits. Where the system does not tell what is on
        the way, what it has taken."""
        waits, on_the_way = self._transport.get_write_buffer_size(), 0
        socket = self._transport.get_extra_info("socket")
        with suppress(OSError):
            told = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, b"\0" * 4)
            [on_the_way] = struct.unpack("i", told)
        return waits > 0, self._written - waits - on_the_way

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            data, self._held = b"".join(self._held), []
            self._written += len(data)
            self._transport.write(data)
