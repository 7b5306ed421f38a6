"""Feed: what the ledger looks like on NATS, and how to follow it and check it.

The stream ``LEDGER`` is the ledger in order: position N is stream sequence N. A message is a
CloudEvent 1.0 in structured JSON on ``crm.<topic>.<stream id>``. It is derived: `relay` fills it,
and it may be deleted and filled again.

What CloudEvents' rules decided about the envelope:

- ``id`` is the position in digits. Its integers end at 2**31-1 and positions do not, so order for
  generic tools is the official extension ``sequence``: the position as 20 digits, which sort.
- ``dataschema`` must be absolute, and the same ledger must give the same bytes wherever it runs,
  so its host is the reserved ``ledger-crm.invalid``; its path is where the API serves the schema.
- an attribute is never a list and never empty: ``sealed`` is names joined by commas, in order,
  and absent if nothing is sealed. ``streamversion`` is a plain integer.

Sealed fields do not leave the house; their names do. A subscriber with the right asks the API.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol
from uuid import UUID

import msgspec
import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, NotFoundError

from ledger_crm import tracing
from ledger_crm.domain.shape import SCHEMAS

STREAM = "LEDGER"
SUBJECTS = "crm.>"
POSITION = "Ledger-Position"
CONTENT_TYPE = "application/cloudevents+json"

ANSWER_S = 5.0  # how long the broker may take to answer
_PULL = 500  # messages asked for at once: bounds what waits in memory
_SILENCE_S = 1.0  # an empty pull ends after this; twice as long without a word, and we ask anew

log = structlog.get_logger(__name__)


class Row(Protocol):
    """A line of the ledger as it is stored; ``state`` is the entry's JSON."""

    @property
    def id(self) -> int: ...  # the position
    @property
    def topic(self) -> str: ...
    @property
    def originator_id(self) -> UUID | str: ...
    @property
    def originator_version(self) -> int: ...
    @property
    def state(self) -> bytes: ...


class Rows(Protocol):
    """Reads the ledger on the primary: rows after a position, in order, without holes."""

    def __call__(self, *, after: int, limit: int) -> Awaitable[Sequence[Row]]: ...


class Halted(Exception):
    """Going on would skip, repeat or falsify something. The text says what to do."""


class Message(msgspec.Struct, frozen=True):
    position: int
    subject: str  # crm.person.message_replied.<stream id>
    payload: bytes
    cause: str = ""  # the span that the entry came of, if it was traced

    @property
    def headers(self) -> dict[str, str]:
        return {
            POSITION: str(self.position),
            "Content-Type": CONTENT_TYPE,
            **tracing.goes_on(self.cause),
        }


class CloudEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    dataschema: str
    sequence: str
    streamversion: int
    data: msgspec.Raw
    sealed: str = ""


class _State(msgspec.Struct):
    timestamp: str
    event: msgspec.Raw
    sealed: dict[str, msgspec.Raw] = {}
    cause: str = ""


_state = msgspec.json.Decoder(_State)
_envelope = msgspec.json.Decoder(CloudEvent)
_encoder = msgspec.json.Encoder()


def message_of(row: Row) -> Message:
    """The row as it goes out, always the same bytes. Raises `Halted` on an undecodable row."""
    try:
        state = _state.decode(row.state)
    except msgspec.MsgspecError:
        # `from None`: the library's text and context could quote what was stored.
        raise Halted(
            f"position {row.id} ({row.topic}) is not an entry's JSON: nothing is skipped; "
            "look at that row of the ledger"
        ) from None
    stream_id = str(row.originator_id)
    event = CloudEvent(
        "1.0",
        str(row.id),
        "/ledger",
        row.topic,
        stream_id,
        state.timestamp,
        "application/json",
        f"{SCHEMAS}{row.topic}.json",
        f"{row.id:020}",
        row.originator_version,
        state.event,
        ",".join(sorted(state.sealed)),
    )
    traced = state.cause if tracing.SPAN.fullmatch(state.cause) else ""
    return Message(row.id, f"crm.{row.topic}.{stream_id}", _encoder.encode(event), traced)


def same_entry(stored: Message, row: Row) -> bool:
    """Whether a stored message tells of this row, whatever release of ours wrote its envelope."""
    try:
        there = _envelope.decode(stored.payload)
    except msgspec.MsgspecError:
        return False
    here = _envelope.decode(message_of(row).payload)
    return (stored.subject, there.id, there.time, there.streamversion) == (
        f"crm.{row.topic}.{row.originator_id}",
        here.id,
        here.time,
        here.streamversion,
    )


async def connect(url: str, *, name: str, reconnect: bool = True, **options: Any) -> Client:
    """A connection to the broker, or to the first that answers of several in one text, by comma;
    ``options`` are the client's (``user_credentials``, ``tls``).

    With ``reconnect`` it keeps trying for ever, also the first time, and says each kind of trouble
    once until it is over. Without, it raises within seconds what the last one said, and stays
    closed when lost, so that nothing buffered is sent later behind the owner's back.
    """
    last: Exception | None = None
    said: set[str] = set()
    raises = not reconnect

    async def say(error: Exception) -> None:
        nonlocal last
        last = error
        if not raises and (kind := type(error).__name__) not in said:
            said.add(kind)
            log.warning("broker", client=name, error=kind)

    async def over() -> None:
        said.clear()

    settings: dict[str, Any] = {
        "name": f"ledger-crm {name}",
        "connect_timeout": 2,
        "allow_reconnect": reconnect,
        # Not 0: with less than 1 the client never gives up on the first connection.
        "max_reconnect_attempts": -1 if reconnect else 1,
        "reconnect_time_wait": 0.25,
        "ping_interval": 5,
        "max_outstanding_pings": 2,
        "error_cb": say,
        "reconnected_cb": over,
        **options,
    }
    try:
        nc = await nats.connect(re.split(r",(?=\w+://)", url), **settings)
    except nats.errors.NoServersError:
        raise last or nats.errors.NoServersError from None
    raises = False
    return nc


async def position(nc: Client, *, timeout_s: float = ANSWER_S) -> int:
    """How far the feed is; 0 while there is no stream. Raises the client's error if it is away."""
    try:
        info = await nc.jetstream(timeout=timeout_s).stream_info(STREAM)
    except NotFoundError:
        return 0
    return info.state.last_seq


async def tail(nc: Client, after: int = 0) -> AsyncGenerator[Message, None]:
    """Messages after a position, in order and without a gap, for ever.

    Waits for a stream that is not there yet, and asks again from where it was after a lost
    connection, a restarted broker or a rebuilt stream. Raises `Halted` if the stream itself has a
    hole, and the client's error once ``nc`` is closed. Close it (``aclosing``) when done.
    """
    while True:
        async with aclosing(_pulled(nc, after)) as messages:
            async for message in messages:
                after = message.position
                yield message


async def _pulled(nc: Client, after: int) -> AsyncGenerator[Message, None]:
    """One server-side consumer for as long as it holds; ends when another is needed.

    nats-py's own ordered consumer gives up quietly if it cannot be created anew at once, which is
    the case while a broker restarts.
    """
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    consumer = await _consumer(nc, after + 1)
    if consumer is None:
        await asyncio.sleep(0.25)
        return
    inbox = nc.new_inbox()
    request = msgspec.json.encode({"batch": _PULL, "expires": int(_SILENCE_S * 1e9)})
    subscription = await nc.subscribe(inbox, cb=_into(arrived))
    first, expected = True, after + 1
    try:
        while True:
            await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", request, inbox)
            for _ in range(_PULL):
                try:
                    async with asyncio.timeout(2 * _SILENCE_S):
                        msg = await arrived.get()
                except TimeoutError:
                    if nc.is_closed:
                        raise nats.errors.ConnectionClosedError from None
                    return
                status = (msg.headers or {}).get("Status")
                if status == "408":  # the pull ended with nothing more to tell
                    break
                if status is not None:  # consumer or stream deleted, no responders, shutting down
                    await asyncio.sleep(0.05)
                    return
                sequence = msg.metadata.sequence.stream
                if sequence != expected:
                    if first:
                        raise Halted(
                            f"the stream {STREAM} has no position {expected}: it goes on at "
                            f"{sequence}; run `ledger-crm feed rebuild`"
                        )
                    return  # lost on the way, not in the stream: ask for it again
                yield _received(sequence, msg.subject, msg.headers, msg.data)
                first, expected = False, expected + 1
    finally:
        if not nc.is_closed:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()
                # No answer is asked for: who may only read may not delete, and it goes by itself.
                await nc.publish(f"$JS.API.CONSUMER.DELETE.{STREAM}.{consumer}")


def _into(queue: asyncio.Queue[Msg]) -> Any:
    async def put(msg: Msg) -> None:
        queue.put_nowait(msg)

    return put


async def _consumer(nc: Client, start: int) -> str | None:
    """A pull consumer that the server forgets by itself; None while there is no stream."""
    name = nc.new_inbox().rsplit(".", 1)[-1]
    config = {
        "name": name,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": start,
        "ack_policy": "none",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": int(30e9),
    }
    body = msgspec.json.encode({"stream_name": STREAM, "config": config})
    try:
        answer = await nc.request(
            f"$JS.API.CONSUMER.CREATE.{STREAM}.{name}", body, timeout=ANSWER_S
        )
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
        return None  # JetStream is starting
    error = msgspec.json.decode(answer.data).get("error")
    if error is None:
        return name
    if error.get("code") in (404, 503):
        return None
    raise APIError(**{name: error.get(name) for name in ("code", "err_code", "description")})


def _received(
    sequence: int, subject: str, headers: Mapping[str, str] | None, payload: bytes | None
) -> Message:
    if (headers or {}).get(POSITION) != str(sequence):
        raise Halted(
            f"message {sequence} of the stream {STREAM} says it is position "
            f"{(headers or {}).get(POSITION)}: it is not the ledger's feed; "
            "run `ledger-crm feed rebuild`"
        )
    return Message(sequence, subject, payload or b"")


class Difference(msgspec.Struct, frozen=True):
    """Where the stream first says something else than the ledger; ``what`` quotes neither."""

    position: int
    what: str


async def audit(nc: Client, rows: Rows, *, page: int = 1000) -> Difference | None:
    """Compare stream and ledger, message by message, byte by byte; None if they say the same.

    Covers what the stream holds as it begins. That the stream is behind is lag and not a
    difference: see `position`. After a release that changes the envelope, older messages differ;
    `rebuild` brings them up.
    """
    end = await position(nc)
    if not end:
        return None
    here: list[Row] = []
    try:
        async with aclosing(tail(nc)) as messages:
            async for message in messages:
                at = message.position
                if not here:
                    here = list(reversed(await rows(after=at - 1, limit=page)))
                if not here:
                    return Difference(at, "the ledger has no such position")
                row = here.pop()
                if row.id != at:
                    return Difference(at, "the ledger has a hole")
                expected = message_of(row)
                if message.subject != expected.subject:
                    return Difference(at, "another topic or stream id")
                if message.payload != expected.payload:
                    return Difference(at, "another content")
                if at == end:
                    return None
    except Halted as fault:
        return Difference(0, str(fault))
    return None
