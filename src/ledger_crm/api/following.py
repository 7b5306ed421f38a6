"""/events: the ledger itself, as pages and as a stream, for whoever follows it.

A position that was told is never told again and none before it is missing: positions have no
holes, and become visible in order. What is sealed is absent and named, as on the feed, unless the
caller's key opens it and whoever it is about is not erased.

One task a process looks where the head is (``Tide``), woken by a NOTIFY if there is one, and else
by the clock; followers wait for it. Those who want the same from the same position on, as all do
who have got to the head, share one look into the ledger; the more there are, the longer it waits
for more to be written, so that telling them leaves the process time for others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, HeaderParameter, QueryParameter
from litestar.types import Receive, Scope, Send

from ledger_crm.domain import EVENTS
from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import Instant
from ledger_crm.domain.faults import written_like
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.role import OPEN
from ledger_crm.ending import ended
from ledger_crm.ledger import Followed, Ledger, Told, Unavailable, Undecodable, Wanted
from ledger_crm.store import SCANNED

from . import rows
from .confidential import Hidden, is_of, told_of
from .cursors import Cursors, of_request
from .problems import AfterTheHead, Fault, Malformed, ReadModelBehind, TooManyFollowers
from .reading import Limit, Position, Token

EVENT_STREAM = "text/event-stream"

POLL_S = 0.25  # a NOTIFY is a hint that may be missed; polling is the truth
LULL_S = 0.01  # between two looks, however many write
LULL_EACH_S = 0.0002  # more of it for each follower: to tell one takes a fifth of that
HEARTBEAT_S = 15.0
SLOW_S = 20.0  # in which nothing of what was sent got through: cut off, to come back
BATCH = 200
AT_ONCE = 4  # followers of one process that read: commands need the ledger too
MOST = 500  # followers of one process
MOST_OF_ONE = 400  # of these, of one caller: who forgets to hang up leaves room for others
AHEAD = 2_000  # positions that are none of what is wanted, after which one is told all the same

log = structlog.get_logger("ledger_crm.api")

Kinds = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=2_000,
        description="Only these kinds of facts, with commas between: `person.placed`, or all that"
        " begin alike: `person.`",
    ),
]
AfterPosition = Annotated[
    int | None,
    QueryParameter(
        ge=0, le=2**63 - 1, description="Only what was written after this position; 0: everything."
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        required=False,
        pattern=written_like(r"^[0-9]{1,18}$", "a position of the ledger").pattern,
        description="The position that was told last, as browsers send it by themselves when they"
        " come back. It goes before `after`.",
    ),
]
Stream = Annotated[UUID | None, QueryParameter(description="Only of this person, company, ...")]


NAMES_ONE = b'"job_order_id"'


class EventPage(msgspec.Struct, frozen=True):
    """next      pass it as ``cursor`` for what follows; null: that is all there is so far
    position  all that you asked for up to here has been told: go on later with it as ``after``
    """

    items: list[Told]
    next: str | None
    position: Position


class Read:
    """Of the ledger, for several followers."""

    def __init__(self, found: Followed) -> None:
        self.found = found
        self._chunk: bytes | None = None

    def chunk(self, entries: list[Told]) -> bytes:
        """As it is sent; made once for all to whom nothing of it is hidden."""
        if entries is not self.found.entries:
            return b"".join(map(event, entries))
        if self._chunk is None:
            self._chunk = b"".join(map(event, entries))
        return self._chunk


class Tide:
    """Where the head is, for all who wait for it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.head = 0
        self.over = False
        self._moved, self._woken = asyncio.Event(), asyncio.Event()
        self._followers: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._reading = asyncio.Semaphore(AT_ONCE)
        self._reads: dict[tuple[int, Wanted, bool], asyncio.Task[Read]] = {}  # under way

    def wake(self) -> None:
        """Perhaps something was written."""
        self._woken.set()

    def stop(self) -> None:
        """Whoever follows is told what has been read for them, and let go."""
        self.over = True
        self._tell()

    @contextmanager
    def follower(self, who: str) -> Iterator[None]:
        """Raises TooManyFollowers."""
        many = self._followers.total() >= MOST or self._followers[who] >= MOST_OF_ONE
        if many or self.over:
            raise TooManyFollowers()
        self._followers[who] += 1
        try:
            yield
        finally:
            self._followers -= Counter((who,))  # and without whom nothing is left of
            if not self._followers and self._looking:
                self._looking.cancel()
                self._looking = None  # whoever comes now must not wait for this one

    async def beyond(self, position: int, within_s: float) -> bool:
        """Whether the head got beyond it; waits for that."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.head <= position and not self.over:
                    await self._moved.wait()
        return self.head > position

    async def read(self, at: int, wanted: Wanted, *, opens: bool) -> Read:
        """What comes after it, for all who ask for that while it is read. Raises Unavailable,
        Undecodable."""
        key = (at, wanted, opens)
        if (reading := self._reads.get(key)) is None:
            reading = self._reads[key] = asyncio.create_task(self._read(*key))
            reading.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(reading)  # others wait for it, whoever goes

    async def _read(self, at: int, wanted: Wanted, opens: bool) -> Read:
        async with self._reading:
            found = await self._ledger.follow(after=at, limit=BATCH, wanted=wanted, opens=opens)
        return Read(found)

    def _done(self, key: tuple[int, Wanted, bool], reading: asyncio.Task[Read]) -> None:
        del self._reads[key]
        reading.cancelled() or reading.exception()  # it is looked at, also if all have gone

    async def _look(self) -> None:
        me = asyncio.current_task()
        while self._looking is me and not self.over:  # it may not hear that it is cancelled
            self._woken.clear()  # before looking: what is written meanwhile is not slept through
            with suppress(Unavailable):  # followers wait for a database that is away
                head = await self._ledger.head()
                if head != self.head:
                    self.head = head
                    self._tell()
            await asyncio.sleep(LULL_S + self._followers.total() * LULL_EACH_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._woken.wait()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class Following(Response[str]):
    """Server-Sent Events until the client goes, the key opens nothing more, or we stop. A client
    that does not take what it is sent is cut off: nothing waits here but one batch."""

    def __init__(
        self,
        tide: Tide,
        read: Callable[[int], Awaitable[tuple[Followed, bytes]]],
        allowed: Callable[[], Awaitable[None]],
        after: int,
        who: str,
    ) -> None:
        super().__init__("", media_type=EVENT_STREAM)
        self._tide, self._read, self._allowed, self._at = tide, read, allowed, after
        self._who = who

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", EVENT_STREAM.encode()), (b"x-accel-buffering", b"no")]
        with self._tide.follower(self._who):
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            telling = asyncio.create_task(self._tell(send, only_headers=bool(scope.get("head"))))
            going = asyncio.create_task(_gone(receive))
            try:
                await asyncio.wait({telling, going}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await ended(telling, going)
            if not telling.cancelled() and (fault := telling.exception()):
                raise fault

    async def _tell(self, send: Send, *, only_headers: bool) -> None:
        told = self._at
        try:
            if not only_headers:
                await _say(send, b"retry: 1000\n\n")
            while not (self._tide.over or only_headers):
                try:
                    await self._allowed()
                    found, chunk = await self._read(self._at)
                except Unavailable:  # it comes back, and who waits need not
                    await asyncio.sleep(POLL_S)
                    await _say(send, b":\n\n")
                    continue
                self._at = found.position
                if found.head < self._at:  # restored from a backup: what comes is not what follows
                    break
                if found.entries:
                    await _say(send, chunk)
                    told = found.entries[-1].position
                if self._at < found.head:
                    told = await self._note(send, told, AHEAD)
                elif not await self._tide.beyond(self._at, HEARTBEAT_S) and not self._tide.over:
                    told = await self._note(send, told, 1)
                    await _say(send, b":\n\n")
        except Refusal:  # the key: it was revoked
            pass
        except Undecodable as fault:
            log.error("a follower cannot be told", position=fault.position, kind=fault.topic)
            return
        except TimeoutError:
            log.info("a follower is too slow", position=told)
            return  # without an end, which would wait behind what it does not take
        with suppress(TimeoutError):
            await _say(send, b"", more=False)

    async def _note(self, send: Send, told: int, ahead: int) -> int:
        """An id alone is no event: who comes back goes on from there, and nobody looks again
        through what is not wanted."""
        if self._at - told < ahead:
            return told
        await _say(send, f"id: {self._at}\n\n".encode())
        return self._at


def event(told: Told) -> bytes:
    """As text/event-stream has it (https://html.spec.whatwg.org/multipage/server-sent-events.html):
    a line is no more than that for anybody."""
    head = f"id: {told.position}\nevent: {told.kind}\ndata: "
    return head.encode() + rows.line(told) + b"\n\n"


async def _say(send: Send, chunk: bytes, *, more: bool = True) -> None:
    """Raises TimeoutError if the client does not take it."""
    async with asyncio.timeout(SLOW_S):
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@get("/events", tags=["events"], opt={"media_types": [rows.NDJSON]})
async def list_events(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    kind: Kinds = None,
    stream: Stream = None,
    since: FromQuery[Instant | None] = None,
    until: FromQuery[Instant | None] = None,
    after: AfterPosition = None,
    cursor: Token = None,
    limit: Limit = 50,
    *,
    hidden: NamedDependency[Hidden],
) -> Response[EventPage]:
    """Read the ledger

    Every fact in the order in which it was written, after a position, with who wrote it and when;
    `since` and `until` are by when it was written. What is sealed is absent, and named in `sealed`,
    unless your key opens it (`events.open`). Of a confidential job order that you do not see you
    are told that something was written and when, and not what: `kind` is `hidden`. By `kind` or
    `stream` nothing of one is found. A page may hold fewer than `limit`, or none,
    and have a `next`: at most 5,000 entries are looked at for one. With
    `Accept: application/x-ndjson` an entry a line; what a page says is then in `Ledger-Position`,
    and in `Link` if more follows."""
    wanted = Wanted(
        kinds=kinds_of(kind),
        stream=stream,
        since=_utc("since", since, endless=1),
        until=_utc("until", until, endless=9999),
    )
    if cursor is not None and after is not None:
        raise Malformed(faults=[Fault("query:after", "it is in the cursor: give one of them")])
    cursors = Cursors(ledger.store.keyring, of_request(request))
    begin = cursors.opened(cursor, Position) if cursor else after or 0
    found = await ledger.follow(after=begin, limit=limit, wanted=wanted, opens=_opens(request))
    if begin > found.head:
        raise AfterTheHead(after=begin, head=found.head)
    entries = await _seen(request, hidden, found, wanted)
    if len(entries) < len(found.entries):
        found = await ledger.follow(
            after=begin, limit=SCANNED, wanted=wanted, opens=_opens(request)
        )
        entries = await _seen(request, hidden, found, wanted)
        found = _ending_at_what_is_told(found, entries, limit)
        entries = found.entries
    more = found.position < found.head and not found.over
    page = EventPage(entries, cursors.sealed(found.position) if more else None, found.position)
    headers = {"Ledger-Position": str(found.position)}
    return rows.answer(request, page, headers, without="after")


@get("/events/stream", tags=["events"], opt={"media_types": [EVENT_STREAM]})
async def stream_events(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    tide: NamedDependency[Tide],
    allowed: NamedDependency[Callable[[], Awaitable[None]]],
    kind: Kinds = None,
    stream: Stream = None,
    after: AfterPosition = None,
    last_event_id: LastEventId = None,
    *,
    hidden: NamedDependency[Hidden],
) -> Response[str]:
    """Follow the ledger

    As Server-Sent Events: `id` is the position, `event` the kind, `data` the entry as `/events` has
    it. First what is there after `Last-Event-ID`, or `after`, or from the beginning; then what is
    written, as it is written. None is left out, and none told twice on one connection. An `id`
    alone says how far it has got, a comment that we are still here. Whoever does not read for 20 s
    is cut off; come back with the last id."""
    begin = int(last_event_id) if last_event_id else after or 0
    wanted = Wanted(kinds=kinds_of(kind), stream=stream)
    head = await ledger.head()
    if begin > head:
        raise AfterTheHead(after=begin, head=head)

    async def read(at: int) -> tuple[Followed, bytes]:
        shared = await tide.read(at, wanted, opens=_opens(request))  # as they may by now
        seen = await _seen(request, hidden, shared.found, wanted)
        return shared.found._replace(entries=seen), shared.chunk(seen)

    return Following(tide, read, allowed, begin, request.scope["state"]["actor"])


def kinds_of(asked: str | None) -> tuple[str, ...] | None:
    """Raises Malformed."""
    if asked is None:
        return None
    found: dict[str, None] = {}
    for each in asked.split(","):
        alike = [k for k in EVENTS if k == each or (each.endswith(".") and k.startswith(each))]
        if not alike:
            near = get_close_matches(each, EVENTS, n=1)
            hint = f"did you mean {near[0]}?" if near else "write it like person.placed"
            raise Malformed(faults=[Fault("query:kind", f"no kind is called so; {hint}")])
        found |= dict.fromkeys(alike)
    return tuple(found)


def _utc(name: str, moment: datetime | None, *, endless: int) -> datetime | None:
    """A bound in the year ``endless`` is none. Raises Malformed."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise Malformed(faults=[Fault(f"query:{name}", "an instant needs an offset from UTC")])
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        raise Malformed(faults=[Fault(f"query:{name}", "not in the years 1 to 9999")]) from None
    return None if utc.year == endless else utc


async def _seen(
    request: Request[Any, Any, Any], hidden: Hidden, found: Followed, wanted: Wanted
) -> list[Told]:
    """What names a job order waits for the read model that knows whose it is. Who asks by kind or
    stream is not told of a hidden one at all: that it is found tells which. Raises Unavailable."""
    holder: Holder = request.scope["state"]["holder"]
    of_orders = [each.position for each in found.entries if NAMES_ONE in bytes(each.fact)]
    if not of_orders:
        return found.entries
    try:
        ids = await hidden.of(holder, of_orders[-1])
    except ReadModelBehind:
        raise Unavailable() from None
    if not ids:
        return found.entries
    if wanted.kinds is not None or wanted.stream:
        return [each for each in found.entries if not is_of(each.fact, ids)]
    return [told_of(each, ids) for each in found.entries]


def _ending_at_what_is_told(found: Followed, told: list[Told], limit: int) -> Followed:
    """A page of these. Where it ends, and how many it holds, is as if the others were not there."""
    if len(told) > limit:
        told = told[:limit]
    elif not (told and found.position == found.entries[-1].position < found.head):
        return found._replace(entries=told)
    return found._replace(entries=told, position=told[-1].position, over=False)


def _opens(request: Request[Any, Any, Any]) -> bool:
    holder: Holder = request.scope["state"]["holder"]
    return holder.may(OPEN)


HANDLERS = [list_events, stream_events]
