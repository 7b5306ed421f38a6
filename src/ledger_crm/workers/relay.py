"""Relay: the ledger as a JetStream stream, in order, each position once.

Positions have no holes, so position N is sequence N. A batch is atomic and carries
``Nats-Expected-Last-Sequence`` (ADR-50): a second relay, or this one after a lost answer, is
refused by the server and reads on from where the stream really stands. No dedupe window is relied
on, and leadership only saves work: with three leaders at once each position still goes in once.

Whether the stream *is* this ledger's feed is asked on every connection, after every refusal and
now and then while idle. If it is not, the relay halts with `Halted`; it never overwrites.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace
from time import monotonic
from uuid import uuid4

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from ledger_crm import tracing
from ledger_crm.ending import ended

from .feed import ANSWER_S, STREAM, SUBJECTS, Halted, Message, Rows, message_of, same_entry

BATCH = 1000  # messages; the server's own limit
BATCH_BYTES = 4 << 20  # the server keeps a batch aside until its commit
POLL_S = 0.25
RECHECK_S = 5.0  # idle: is the stream still there, and still ours?
BACK_OFF_S = (0.1, 2.0)
HEADERS_BYTES = 512  # more than the relay's headers ever take

Progress = Callable[[int], None]

log = structlog.get_logger(__name__)


class Refused(Exception):
    """The server did not take a batch, and stored nothing of it."""

    def __init__(self, code: int, description: str) -> None:
        self.code = code
        super().__init__(f"{description} ({code})")


class Relay:
    """Fills the stream until told to stop, then returns; safe to cancel at any moment.

    connect     makes a connection that does not reconnect by itself (`feed.connect`); called
                again, with back-off, after the broker was gone, so its address may change
    rows        reads the ledger; its errors are not caught here: whoever runs the relay restarts it
    leadership  held while working; waiting for it is where a stand-by stands
    wake        set it after a commit; polling every ``POLL_S`` is the truth
    stop        ends the relay after the batch in flight
    progress    told the feed's position after every batch, and when it is found anew
    replicas    of the stream, when the relay has to create it
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Client]],
        rows: Rows,
        *,
        stop: asyncio.Event,
        leadership: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
        wake: asyncio.Event | None = None,
        progress: Progress = lambda position: None,
        replicas: int = 1,
    ) -> None:
        self._connect = connect
        self._rows = rows
        self._stop = stop
        self._leadership = leadership
        self._wake = wake or asyncio.Event()
        self._progress = progress
        self._replicas = replicas
        self._back_off_s = BACK_OFF_S[0]
        self._trouble = ""  # said once, until it is over
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Raises `Halted`."""
        working = asyncio.create_task(self._lead())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(ANSWER_S / 2):
                        await self._sending.acquire()
        finally:
            stopping.cancel()
            await ended(working, patience_s=1)  # it gives back its leadership and its connection
        if not working.cancelled():
            working.result()

    async def _lead(self) -> None:
        async with self._leadership():
            while True:
                try:
                    async with asyncio.timeout(ANSWER_S):
                        nc = await self._connect()
                    try:
                        await _while_open(nc, self._follow(nc))
                    finally:
                        await _close(nc)
                except (nats.errors.Error, Refused, OSError) as error:  # TimeoutError is an OSError
                    # Said, not raised: commands go on without a broker, and the feed catches up.
                    if self._trouble != (name := _name(error)):
                        log.warning("feed waits for the broker", error=name)
                        self._trouble = name
                    await asyncio.sleep(self._back_off_s)
                    self._back_off_s = min(self._back_off_s * 2, BACK_OFF_S[1])

    async def _follow(self, nc: Client) -> None:
        at = await self._stand(nc)
        log.info("feed resumes", position=at)
        async with ReadAhead(self._rows) as ahead:
            await self._go_on(nc, ahead, at)

    async def _go_on(self, nc: Client, ahead: ReadAhead, at: int) -> None:
        checked = monotonic()
        while True:
            self._wake.clear()  # before reading: a commit while we read must not be slept through
            found = await ahead.after(at)
            for messages in _batches(found, at, nc.max_payload):
                try:
                    async with self._sending:
                        with _span(messages):
                            at = await publish(nc, messages)
                except Refused as refused:
                    log.warning("feed was refused, looks again", error=str(refused))
                    stood, at = at, await self._stand(nc)
                    if at == stood:
                        raise  # nobody was faster: the broker itself will not, so back off
                    break
                self._progress(at)
            else:
                self._back_off_s, self._trouble = BACK_OFF_S[0], ""
            if not found:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()
                if monotonic() - checked > RECHECK_S:
                    at, checked = await self._stand(nc), monotonic()

    async def _stand(self, nc: Client) -> int:
        at = await stand(nc, self._rows, replicas=self._replicas)
        self._progress(at)
        return at


async def rebuild(
    nc: Client, rows: Rows, *, replicas: int = 1, progress: Progress = lambda position: None
) -> int:
    """Delete the stream and publish the ledger from its beginning; returns the position reached.

    Its consumers go with it: subscribers come back by themselves and start where they ask to.
    A relay that runs meanwhile helps; neither can hurt the other.
    """
    with suppress(NotFoundError):
        await nc.jetstream(timeout=ANSWER_S).delete_stream(STREAM)
    at = await stand(nc, rows, replicas=replicas)
    async with ReadAhead(rows) as ahead:
        while found := await ahead.after(at):
            for messages in _batches(found, at, nc.max_payload):
                try:
                    at = await publish(nc, messages)
                except Refused:
                    stood, at = at, await stand(nc, rows, replicas=replicas)
                    if at == stood:
                        raise
                    break
                progress(at)
    return at


class ReadAhead:
    """Messages in pages. While one that is full is published, the next is read and made."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._position = 0
        self._next: asyncio.Task[list[Message]] | None = None

    async def __aenter__(self) -> ReadAhead:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._forget()

    async def after(self, position: int) -> list[Message]:
        """Raises `Halted`, and what reading the ledger raises."""
        if self._next and self._position != position:  # another relay was faster
            await self._forget()
        reading, self._next = self._next, None
        found = await (reading or self._read(position))
        if len(found) == BATCH:
            self._position = found[-1].position
            self._next = asyncio.create_task(self._read(self._position))
        return found

    async def _read(self, position: int) -> list[Message]:
        return [message_of(row) for row in await self._rows(after=position, limit=BATCH)]

    async def _forget(self) -> None:
        if self._next:
            await ended(self._next)
            self._next.cancelled() or self._next.exception()  # it is looked at
            self._next = None


async def ensure_stream(nc: Client, *, replicas: int = 1) -> StreamInfo:
    """Create the stream, or set right what somebody changed; its replicas are the operator's.

    Kept for ever, on disk. Messages cannot be deleted or purged one by one: what remained would
    look like a feed. The stream as a whole can be deleted, which is how it is rebuilt.
    """
    js = nc.jetstream(timeout=ANSWER_S)
    try:
        info = await js.stream_info(STREAM)
    except NotFoundError:
        log.info("feed is new", stream=STREAM)
        await js.add_stream(replace(_CONFIG, num_replicas=replicas))
        return await js.stream_info(STREAM)
    wanted = {name: value for name, value in vars(_CONFIG).items() if name in _OURS}
    if any(getattr(info.config, name) != value for name, value in wanted.items()):
        await js.update_stream(replace(info.config, **wanted))
        info = await js.stream_info(STREAM)
    return info


_CONFIG = StreamConfig(
    name=STREAM,
    description="the ledger, derived; position N is sequence N",
    subjects=[SUBJECTS],
    retention=RetentionPolicy.LIMITS,
    storage=StorageType.FILE,
    discard=DiscardPolicy.NEW,
    max_msgs=-1,
    max_bytes=-1,
    max_age=0,
    max_msgs_per_subject=-1,
    deny_delete=True,
    deny_purge=True,
    allow_direct=True,
    allow_atomic=True,
)
_OURS = {name for name, value in vars(_CONFIG).items() if value is not None} - {
    *("name", "discard_new_per_subject", "duplicate_window", "max_msg_size", "sealed", "no_ack")
}


async def stand(nc: Client, rows: Rows, *, replicas: int = 1) -> int:
    """The position of the feed, from the last message of the stream itself; 0 if it is empty.

    Raises `Halted` if the stream is not the beginning of this ledger.
    """
    info = await ensure_stream(nc, replicas=replicas)
    state = info.state
    if not state.last_seq:
        return 0
    if state.messages != state.last_seq:
        raise _foreign(f"it holds {state.messages} of {state.last_seq} messages")
    last = await _stored(nc.jetstream(timeout=ANSWER_S), state.last_seq)
    # The ledger after the stream: a row is committed before it is published, so it must be there.
    found = await rows(after=last.position - 1, limit=1)
    if not found:
        raise _foreign(f"it goes to position {last.position}, where the ledger has not come")
    if found[0].id != last.position or not same_entry(last, found[0]):
        raise _foreign(f"its message {last.position} is not the ledger's")
    return last.position


def _foreign(why: str) -> Halted:
    return Halted(
        f"the stream {STREAM} is not the feed of this ledger: {why}. If the ledger was restored "
        "from a backup or the broker belongs to another one, check LEDGER_DATABASE_URL and "
        "LEDGER_NATS_URL; if they are right, run `ledger-crm feed rebuild`"
    )


async def _stored(js: JetStreamContext, sequence: int) -> Message:
    stored = await js.get_msg(STREAM, sequence)
    return Message(stored.seq or 0, stored.subject or "", stored.data or b"")


def _batches(messages: Sequence[Message], after: int, max_payload: int) -> Iterator[list[Message]]:
    """What one read gave, in batches that the server takes."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        after += 1
        if message.position != after:
            raise Halted(
                f"the ledger has no position {after}: it goes on at {message.position}. "
                "Nothing is published past a hole; run `ledger-crm doctor`"
            )
        weight = len(message.payload) + len(message.subject) + HEADERS_BYTES
        if weight > max_payload:
            if batch:
                yield batch  # what comes before it is in order and may go
            raise Halted(
                f"position {message.position} ({message.subject}) is {len(message.payload)} bytes, "
                f"more than the broker takes (max_payload {max_payload}). Nothing is skipped; "
                "raise max_payload in nats.conf and start the relay again"
            )
        if batch and size + weight > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += weight
    if batch:
        yield batch


class _Error(msgspec.Struct):
    description: str = ""
    err_code: int = 0


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _Error | None = None


_ack = msgspec.json.Decoder(_Ack)


async def publish(nc: Client, messages: Sequence[Message]) -> int:
    """Store 1 to 1,000 consecutive messages, all or none, right behind their predecessor.

    Returns the stream's new position. Raises `Refused`, or the client's own error if no answer
    came: then it may be stored or not, and only the stream knows.
    """
    first, last = messages[0], messages[-1]
    fence = {"Nats-Expected-Last-Sequence": str(first.position - 1)}
    if first is last:
        return _answered(await _request(nc, first, fence), last)
    batch = {"Nats-Batch-Id": uuid4().hex}
    # The first asks for an answer, so that a server which cannot do batches says so.
    opened = await _request(nc, first, {**fence, **batch, "Nats-Batch-Sequence": "1"})
    if opened:
        _answered(opened, first)
    await _send(nc, messages[1:-1], batch)
    commit = {"Nats-Batch-Sequence": str(len(messages)), "Nats-Batch-Commit": "1"}
    return _answered(await _request(nc, last, {**batch, **commit}), last)


async def _send(nc: Client, messages: Sequence[Message], batch: dict[str, str]) -> None:
    """As the client's ``publish`` of each, from the second of a batch on. That looks at each header
    of each message, and writes them one by one, which takes three times as long; these headers are
    digits, hexadecimals and words of ours."""
    same = "".join([f"{name}: {value}\r\n" for name, value in batch.items()])
    wires: list[bytes] = []
    for number, message in enumerate(messages, start=2):
        if _BLANK.search(message.subject):
            raise nats.errors.BadSubjectError
        own = "".join([f"{name}: {value}\r\n" for name, value in message.headers.items()])
        head = f"NATS/1.0\r\n{own}{same}Nats-Batch-Sequence: {number}\r\n\r\n".encode()
        size, payload = len(head), message.payload
        command = f"HPUB {message.subject} {size} {size + len(payload)}\r\n".encode()
        wires += (command, head, payload, b"\r\n")
    if nc.is_closed:
        raise nats.errors.ConnectionClosedError
    await nc._send_command(b"".join(wires))


_BLANK = re.compile(r"\s")


async def _request(nc: Client, message: Message, headers: dict[str, str]) -> bytes:
    asked = nc.request(
        message.subject, message.payload, ANSWER_S, headers={**message.headers, **headers}
    )
    return (await asked).data


def _answered(data: bytes, message: Message) -> int:
    ack = _ack.decode(data)
    if ack.error is not None:
        raise Refused(ack.error.err_code, ack.error.description)
    if ack.seq != message.position:
        # Only possible if the server ignored the fence, as one from before JetStream's would.
        raise Halted(
            f"position {message.position} was stored as message {ack.seq} of the stream {STREAM}: "
            "this broker ignores the fence; nats-server 2.12 or newer is needed"
        )
    return ack.seq


async def _while_open(nc: Client, work: Coroutine[object, object, None]) -> None:
    """A request that was under way when the connection was lost would wait out its time-out."""
    working = asyncio.create_task(work)
    try:
        while not working.done():
            if nc.is_closed:
                raise nats.errors.ConnectionClosedError
            await asyncio.wait({working}, timeout=0.1)
        working.result()
    finally:
        await ended(working, patience_s=0.1)


async def _close(nc: Client) -> None:
    with suppress(nats.errors.Error, OSError):
        async with asyncio.timeout(1):
            await nc.close()


def _span(messages: Sequence[Message]) -> tracing.Span | tracing.Nothing:
    return tracing.span(
        "publish",
        role="producer",
        causes=(message.cause for message in messages),
        expected=Refused,
        entries=len(messages),
        position=messages[-1].position,
    )


def _name(error: Exception) -> str:
    """What kind of trouble; only the broker's own words are quoted, never a message's content."""
    return str(error) if isinstance(error, Refused) else type(error).__name__
