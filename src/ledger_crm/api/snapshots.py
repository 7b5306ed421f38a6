"""Snapshots: the connections that all requests read with, and what they see through one.

Each answer is of one snapshot, whose position it names. Who asks the same ``Lookup`` while it is
being answered is answered together with others; all else has a transaction of its own. As of a
moment it looks through the views of what was.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, partial
from typing import Any, Concatenate, LiteralString, ParamSpec, TypeAlias, TypeVar

from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from ledger_crm.ledger import Unavailable
from ledger_crm.projections import (
    AS_IT_WAS,
    AS_KNOWN,
    NOT_BUILT,
    OUT_OF_REACH,
    SCHEMA,
    Cursor,
    Lookup,
    Marked,
    Projection,
    directory,
    happened,
    standing,
)
from ledger_crm.store import has_ended

from .past import EARLIEST, POSITION, WITHOUT, Moment, Then, Window, given, then
from .problems import Fault, Malformed, ReadModelBehind

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
PoolT = TypeVar("PoolT", bound="Connections")


class Connections(AsyncConnectionPool[Any]):
    """Those that died with a server are given to nobody: the pool makes others."""

    async def getconn(self, timeout: float | None = None) -> Any:
        while has_ended(conn := await super().getconn(timeout)):
            await self.putconn(conn)
        return conn


class Pool(Connections):
    """Connections to read with; ``lookups`` are those for each ``Lookup``, and ``back`` those that
    look through the views of what was, by their schemas. Who is at the ``door`` (sessions, guesses,
    the access log) is held up by nobody's report."""

    lookups: Connections
    door: Connections
    back: dict[str, Connections]

    async def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        await super().open(wait, timeout)
        for each in (self.lookups, self.door, *self.back.values()):
            await each.open(wait, timeout)

    async def close(self, timeout: float = 5.0) -> None:
        for each in (self.lookups, self.door, *self.back.values()):
            await each.close(timeout)
        await super().close(timeout)


Attempt: TypeAlias = Callable[[], Coroutine[Any, Any, tuple[int, tuple[T] | None]]]
"""Where what it reads stands, and what it finds, unless that is not far enough."""

DIRECTORY = directory.projection  # which all queries may join
AWAY = (PoolTimeout, TooManyRequests)
READERS = "ledger-crm reads"  # as pg_stat_activity names their sessions
WAITING = 500  # questions of one kind
LOOKUPS = 4  # connections for them: each kind is asked one statement at a time
DOOR = 2  # for who is at it, each for a few rows
BACK, BACK_S = 2, 600.0  # and of those who look back, in each sense; each for so long
HALFWAY: dict[str, LiteralString] = {
    AS_KNOWN: "SELECT (position / 2)::text FROM ledger.head",
    AS_IT_WAS: f"SELECT at::text FROM {SCHEMA}.history WHERE position <="
    " (SELECT position / 2 FROM ledger.head) ORDER BY position DESC LIMIT 1",
}
NOWHERE = {AS_KNOWN: "0", AS_IT_WAS: "epoch"}
PLANNED_ONCE = {
    # To plan one costs more than to run it. And a plan is kept: one that was made when there was
    # little in the tables, or most of it of one company, must not read all of them later.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
Waiting: TypeAlias = tuple[tuple[Any, ...], asyncio.Future[Any]]
Alike: TypeAlias = tuple[Lookup[Any, Any], Moment | None]
Found: TypeAlias = tuple[int, str | None, T | None]
"""Where the read models stand, as of when they were looked at, and what was found."""
ANSWER_S = 17.0  # of a server that hangs; one that works ends a statement after 15 s
PATIENCE_S = 2.0  # for a read model that is behind
POLL_S = 0.02
MOMENTS = 1_024  # that are remembered
AMONG_S = 60.0  # for so long it is known how much had happened when


def open_pool(url: str, *, most: int = 8) -> Pool:
    """Connections to the read models, to be opened by the caller. Each transaction is one
    snapshot and writes nothing. Nobody waits long for a database that is away: a request is
    answered in about two seconds, and each one makes the pool try again."""
    options = {
        "search_path": SCHEMA,
        "timezone": "UTC",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "read\\ committed",  # see Lookup; a snapshot asks for more
        "statement_timeout": "15s",
    }

    def pool(type_: type[PoolT], most: int, options: dict[str, str], **more: Any) -> PoolT:
        return type_(
            url,
            kwargs={
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
                "application_name": READERS,
                "connect_timeout": 2,
                "autocommit": True,  # a snapshot begins and ends its transaction itself
            },
            max_size=most,
            max_waiting=200,
            timeout=2.0,
            reconnect_timeout=1.0,
            open=False,
            name="read",
            **({"min_size": 1} | more),
        )

    found = pool(Pool, most, options)
    once = options | PLANNED_ONCE
    found.lookups = pool(Connections, min(most, LOOKUPS), once)
    found.door = pool(Connections, min(most, DOOR), options)
    found.back = {
        home: pool(
            Connections,
            min(most, BACK),
            once | {"search_path": f"{home},{SCHEMA}"},
            min_size=0,
            max_lifetime=BACK_S,
            configure=partial(_look_halfway, home=home),
        )
        for home in HALFWAY
    }
    return found


async def _look_halfway(conn: Any, home: str) -> None:
    """Who plans a statement once has to know some moment. By one at which nothing was, whatever
    was there by then is all that there is to look through; halfway, keys are worth more."""
    try:
        cur = await conn.execute(HALFWAY[home])
        [halfway] = await cur.fetchone() or [None]
    except NOT_BUILT:
        halfway = None
    await conn.execute(
        "SELECT set_config('ledger.as_of', %s, false)", (halfway or NOWHERE[home],), prepare=False
    )


class Reads:
    """What all requests read with. Those who ask the same ``Lookup`` while it is being answered
    wait, and are answered together by the next statement: the busier it is, the less each costs."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._waiting: dict[Alike, list[Waiting]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._among: list[datetime] = []  # moments between which as much happened
        self._looked_s = -AMONG_S
        self._thens: dict[str, Then] = {}  # of positions

    async def look_up(
        self, lookup: Lookup[Q, T], asked: tuple[Any, ...], then: Then | None = None
    ) -> tuple[int, T | None]:
        """Where its read models stand, -1 if they may not be read; and what it finds, or found
        ``then``. Raises Unavailable, also if too many wait."""
        looking: Any = self.look_back(lookup, asked, given(then) if then else None)
        stands_at, _, found = await looking
        return stands_at, found

    async def look_back(
        self, lookup: Lookup[Q, T], asked: tuple[Any, ...], moment: Moment | None
    ) -> Found[T]:
        """-1 also if its read models have not got to that moment. Raises as ``look_up``."""
        answer: asyncio.Future[Found[T]] = asyncio.get_running_loop().create_future()
        alike = (lookup, moment)
        if (waiting := self._waiting.get(alike)) is None:
            self._waiting[alike] = [(asked, answer)]
            task = asyncio.create_task(self._answer(alike))
            self._answering.add(task)  # or it might be collected
            task.add_done_callback(self._answering.discard)
        elif len(waiting) < WAITING:
            waiting.append((asked, answer))
        else:
            raise Unavailable()
        return await answer  # in time: nobody waits behind a statement that is not answered so

    async def _answer(self, alike: Alike) -> None:
        """Until nobody waits."""
        most = alike[0].at_once
        try:
            while waiting := self._waiting[alike]:
                now, self._waiting[alike] = waiting[:most], waiting[most:]
                await self._settle(alike, now)
        finally:
            for _, answer in self._waiting.pop(alike):  # nobody, unless we are stopped
                answer.cancel()

    async def _settle(self, alike: Alike, asked: Sequence[Waiting]) -> None:
        """One that fails leaves those beside it alone."""
        try:
            stands_at, as_of, found = await answered(self._ask(*alike, [each for each, _ in asked]))
        except Exception as fault:
            if isinstance(fault, (Unavailable, *AWAY)):
                # nobody waits behind one who waited in vain
                asked, self._waiting[alike] = [*asked, *self._waiting[alike]], []
            elif len(asked) > 1:
                middle = len(asked) // 2
                await self._settle(alike, asked[:middle])
                return await self._settle(alike, asked[middle:])
            for _, answer in asked:
                if not answer.done():  # else whoever asked has gone
                    answer.set_exception(fault)
        else:
            for (_, answer), each in zip(asked, found, strict=True):
                if not answer.done():
                    answer.set_result((stands_at, as_of, each))

    async def _ask(
        self, lookup: Lookup[Q, T], moment: Moment | None, asked: Sequence[tuple[Any, ...]]
    ) -> tuple[int, str | None, list[T | None]]:
        stands, until_s = _stands((lookup.projection, DIRECTORY)), time.monotonic() + PATIENCE_S
        pool = self.pool.back[moment.home] if moment else self.pool.lookups
        while True:
            async with pool.connection() as conn, conn.cursor() as cur:
                try:
                    if not moment:
                        return await lookup.many(cur, asked, f"SELECT ({stands}), NULL::text")
                    looking, told = moment.looking(stands), [moment.asked]
                    return await lookup.many(cur, asked, looking, told, moment.home)
                except NOT_BUILT:
                    return -1, None, [None] * len(asked)
                except OUT_OF_REACH:
                    _raise_unless_dead(conn, until_s)

    async def by_now(
        self,
        query: Callable[Concatenate[Cursor, P], Awaitable[list[T]]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> list[T]:
        """For a write: where it has to look, as far as its read model has got; nothing, if that may
        not be read. It decides by what it finds there on the ledger. Raises Unavailable."""
        projection = sys.modules[query.__module__].projection

        async def ask() -> list[T]:
            async with self.snapshot((projection, DIRECTORY)) as (cur, stands_at):
                return await query(cur, *args, **kwargs) if stands_at >= 0 else []

        return await answered(ask())

    async def moment(self, as_of: str | None, known: str | None) -> Then | None:
        """None if nobody asks about the past. Raises Malformed, AfterTheHead."""
        if as_of is None:
            if known:
                raise Malformed(faults=[Fault("query:known", WITHOUT)])
            return None
        return await self._then(as_of, known)

    async def window(self, begin: str, end: str | None) -> Window:
        """Raises Malformed, AfterTheHead."""
        first = await self._then(begin, None, "from")
        last = await self._then(end, None, "to") if end is not None else None
        since = first.at if first.after else EARLIEST
        if last and POSITION.fullmatch(begin) and POSITION.fullmatch(end or ""):
            since = min(since, last.at)  # the clocks that wrote the two down may differ
        if last and (last.after < first.after or last.at < since):
            raise Malformed(faults=[Fault("query:from", "it lies after `to`")])
        return Window(first.after, since, *((last.after, last.at) if last else (None, None)))

    async def _then(self, moment: str, known: str | None, name: str = "as_of") -> Then:
        if known != "now" and (found := self._thens.get(moment)):
            return found

        async def ask() -> Then:
            async with self.pool.connection() as conn, conn.cursor() as cur:
                if known == "now" and time.monotonic() > self._looked_s + AMONG_S:
                    self._among, self._looked_s = await happened(cur), time.monotonic()
                return await then(cur, moment, known, name, self._among)

        found = await answered(ask())
        if known != "now" and POSITION.fullmatch(moment):  # what is written there stays
            if len(self._thens) >= MOMENTS:
                self._thens.clear()
            self._thens[moment] = found
        return found

    @asynccontextmanager
    async def snapshot(
        self, uses: tuple[Projection, ...], then: Then | None = None
    ) -> AsyncIterator[tuple[Cursor, int]]:
        """A cursor at which everything in these may be read, as it was ``then``, and where the
        last of them stands; -1 if one of them may not be."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            async with self.pool.connection() as conn, Marked(conn, _mark(then)) as cur:
                try:
                    stands_at = await _begin(cur, uses, then)
                except OUT_OF_REACH:
                    _raise_unless_dead(conn, until_s)
                    continue
                try:
                    yield cur, stands_at
                finally:
                    if not conn.closed:
                        await conn.execute("ROLLBACK")
                return


def _raise_unless_dead(conn: Any, until_s: float) -> None:
    """Raises the present exception, unless the connection died with a server while it was asked:
    then the pool has others, or makes them."""
    if not conn.closed or time.monotonic() > until_s:
        raise


async def level(
    attempt: Attempt[T], position: int, *, patience_s: float | None = None
) -> tuple[int, T]:
    """As soon as what is read has got there, and where it stands. Raises ReadModelBehind."""
    until_s = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    while True:
        stands_at, found = await answered(attempt())
        if found:
            return stands_at, found[0]
        if time.monotonic() > until_s:
            raise ReadModelBehind(after=position, position=max(stands_at, 0))
        await asyncio.sleep(POLL_S)


async def answered(asking: Coroutine[Any, Any, T], within_s: float | None = None) -> T:
    """Raises Unavailable if the database hangs. What asked is left to itself then, for psycopg
    waits for a server to confirm that nobody waits for it."""
    task = asyncio.create_task(asking)
    task.add_done_callback(lambda task: task.cancelled() or task.exception())  # it is looked at
    try:
        await asyncio.wait({task}, timeout=within_s or ANSWER_S)
        if not task.done():
            raise Unavailable()
        return task.result()
    finally:
        task.cancel()


def _mark(then: Then | None) -> str:
    """What is asked ``then`` is planned apart from what is asked now, and for moments that are
    alike: a plan that was made for another, not knowing how much was there, can take minutes."""
    return f"{then.home} {then.alike}" if then else ""


async def _begin(cur: Cursor, uses: tuple[Projection, ...], then: Then | None) -> int:
    """A snapshot: how far the last of them has got; -1 if one of them may not be read."""
    try:
        await cur.execute(_beginning(uses).replace(b"--", _looking(then) if then else b""))
    except NOT_BUILT:
        return -1
    while cur.nextset():
        pass
    found: dict[str, int] = dict(await cur.fetchall())
    return min(found.get(each.name, -1) for each in uses)


@cache
def _stands(uses: tuple[Projection, ...]) -> str:
    """A query: how far the last of them has got; -1 if one of them may not be read."""
    return (
        f"SELECT CASE count(*) WHEN {len(uses)} THEN min(position) ELSE -1 END"
        f" FROM ({standing(uses)}) each"
    )


@cache
def _beginning(uses: tuple[Projection, ...]) -> bytes:
    """In one round trip. The tables are locked before the snapshot is taken: one that is made anew
    meanwhile looks empty."""
    tables = ", ".join(table.name for use in uses for table in use.tables)
    return (
        "BEGIN ISOLATION LEVEL REPEATABLE READ;"
        f" LOCK TABLE {tables} IN ACCESS SHARE MODE; -- {standing(uses)}"
    ).encode()


def _looking(then: Then) -> bytes:
    """Back, from here on."""
    plans = "auto" if then.alike else "force_custom_plan"
    return (
        f"SET LOCAL search_path = {then.home}, {SCHEMA}; SET LOCAL plan_cache_mode = {plans};"
        f" SELECT set_config('ledger.as_of', '{then.as_of}', true);"
    ).encode()
