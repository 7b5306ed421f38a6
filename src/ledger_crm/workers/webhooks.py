"""Webhooks: the ledger to whoever wants it sent, in order, one entry after the other.

Each webhook has a position of its own and a task of its own. A message is the entry as it is on
the feed, signed by the Standard Webhooks specification (https://www.standardwebhooks.com); its
``webhook-id`` is made of the position, so that whoever hears it twice knows. At least once: a
position moves after an answer of 2xx. What fails is tried again for days, what comes after it
waits, or goes on if the webhook was added as one that needs no order; then the webhook is disabled
by an entry of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from typing import Any, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

import httpcore
import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from ledger_crm import retry_after, tracing
from ledger_crm.domain import clock
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.webhook import SECRET, Webhook, WebhookDisabled, is_public
from ledger_crm.ending import ended
from ledger_crm.ledger import Intent, Ledger, NoSuchRecord, Unavailable
from ledger_crm.projections import NOT_BUILT, SCHEMA

from .feed import Halted, Row, message_of

BY = Actor("system:webhooks")
AGAIN_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)  # about three days
JITTER = 0.2  # of each, either way
LONGEST_S = 86_400.0  # that a receiver may ask us to wait
ANSWER_S = 15.0
POLL_S = 0.5  # a NOTIFY is a hint that may be missed
READ = 200
KEPT_DAYS = 30
PRUNE_S = 3_600.0
AT_ONCE = 4  # messages of one webhook that needs no order
MOST_WAITING = 10_000  # messages of one webhook; with more it goes one by one, as in order
MOST_BYTES = 64 * 1024  # of an answer that are read
STUCK_S = 300.0  # without a round, which takes POLL_S: something waits for what does not come

log = structlog.get_logger("webhooks")

Leading = Callable[[], AbstractAsyncContextManager[None]]
T = TypeVar("T")
GivenUp: TypeAlias = tuple[str, Row]
"""Why, and at what."""


class NotAllowed(Exception):
    """An address that nothing is sent to."""


class Hook(NamedTuple):
    id: UUID
    kinds: tuple[str, ...]
    after: int
    begun: int
    since: int
    keyed: int
    ordered: bool

    def wants(self, kind: str) -> bool:
        return not self.kinds or any(
            kind == each or (each.endswith(".") and kind.startswith(each)) for each in self.kinds
        )


class Answer(NamedTuple):
    """status None: there was none"""

    status: int | None
    fault: str
    retry_after_s: float = 0.0

    @property
    def taken(self) -> bool:
        return not self.fault


class Names:
    """Addresses of hosts. The C library cannot be stopped while it looks one up, for 40 s where DNS
    is silent: on the loop's own few threads six such hosts would keep all others from being found,
    and a stop waiting. So each look-up has a thread, which nobody waits for at the end, and there
    are as many as hosts that hang: whoever asks for one that is looked up hears what that finds."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[list[str] | None]] = {}

    async def addresses(self, host: str) -> list[str]:
        """In the order of preference, each once. Raises httpcore.ConnectError."""
        found = await asyncio.shield(self._asked.get(host) or self._ask(host))
        if found is None:
            raise httpcore.ConnectError("no such name")
        return found

    def _ask(self, host: str) -> asyncio.Future[list[str] | None]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str] | None] = loop.create_future()

        def tell(found: list[str] | None) -> None:
            del self._asked[host]
            answer.set_result(found)

        def look_up() -> None:
            found = None
            with suppress(OSError, ValueError):  # UnicodeError: a label that no name may have
                all_of_it = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                found = list(dict.fromkeys(str(each[4][0]) for each in all_of_it))
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, found)

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        self._asked[host] = answer
        return answer


class Guarded(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only: to the very ones that were looked at, or a name that is
    resolved twice could lead elsewhere the second time. Of several the first that takes it."""

    def __init__(self, *, anywhere: bool) -> None:
        self._anywhere, self._inner = anywhere, httpcore.AnyIOBackend()
        self._names = Names()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises NotAllowed, httpcore.ConnectError, httpcore.ConnectTimeout."""
        *others, last = await self._names.addresses(host)
        if not self._anywhere and not all(map(is_public, (*others, last))):
            raise NotAllowed()
        each_s = timeout and timeout / (len(others) + 1)
        for address in others:  # localhost is ::1 first, where few listen
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._inner.connect_tcp(
                    address, port, each_s, local_address, socket_options
                )
        return await self._inner.connect_tcp(last, port, each_s, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def signed(secrets: Iterable[str], id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a message, which any of these verifies."""
    content = b".".join([id.encode(), str(at).encode(), body])
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join([_signature(secret, content) for secret in secrets]),
        "content-type": "application/cloudevents+json",
        "user-agent": "ledger-crm",
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET))
    mac = hmac.new(key, content, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


class Webhooks:
    """Sends until ``stop`` is set; of many one leads.

    again_s  between attempts at one message; after the last it is given up
    targets  ``any``: http and private addresses too
    """

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        *,
        stop: asyncio.Event,
        wake: asyncio.Event,
        leadership: Leading,
        targets: str = "public",
        again_s: Sequence[float] = AGAIN_S,
    ) -> None:
        self._url, self._ledger, self._stop, self._wake = url, ledger, stop, wake
        self._leadership, self._again_s = leadership, again_s
        self._anywhere = targets == "any"
        self._moved = asyncio.Event()
        self._round_s: float | None = None  # when the last began; None: another leads

    async def run(self) -> None:
        """Whatever is lost, the database or leadership, is waited for and begun again; so is what
        does not go on, which is told."""
        while not self._stop.is_set():
            working = asyncio.create_task(self._lead())
            stopping = asyncio.create_task(self._stop.wait())
            try:
                await self._until_it_ends({working, stopping})
            finally:  # it gives back its leadership and its connections
                await ended(working, stopping, patience_s=1.0)
            if working.cancelled():
                continue
            if fault := working.exception():
                if not isinstance(fault, (psycopg.OperationalError, Unavailable, *NOT_BUILT)):
                    raise fault
                if not isinstance(fault, NOT_BUILT):  # the projector is about to
                    log.warning("away", fault=type(fault).__name__)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._stop.wait()

    async def _until_it_ends(self, tasks: set[asyncio.Task[Any]]) -> None:
        """One of them, or no round is made any more."""
        self._round_s, done = None, set[asyncio.Task[Any]]()
        while not done:
            done, _ = await asyncio.wait(
                tasks, timeout=STUCK_S / 10, return_when=asyncio.FIRST_COMPLETED
            )
            still_s = monotonic() - (self._round_s or monotonic())
            if not done and still_s > STUCK_S:
                log.error("stuck", still_s=round(still_s))
                return

    async def _lead(self) -> None:
        async with self._leadership(), self._tools() as (pool, client):
            log.info("leading")
            tasks: dict[Hook, asyncio.Task[None]] = {}
            pruned_s = 0.0
            try:
                while True:
                    self._round_s = monotonic()
                    self._wake.clear()  # before looking: what comes meanwhile is not slept through
                    hooks = await self._hooks(pool)
                    for gone in tasks.keys() - hooks:
                        await ended(tasks[gone])  # it must not move what begins anew
                        del tasks[gone]
                    for task in tasks.values():
                        if task.done():
                            task.result()
                    for hook in hooks - tasks.keys():
                        tasks[hook] = asyncio.create_task(self._serve(pool, client, hook))
                    self._moved.set()
                    self._moved = asyncio.Event()
                    if monotonic() > pruned_s:
                        await self._prune(pool)
                        pruned_s = monotonic() + PRUNE_S
                    waiting = asyncio.create_task(self._wake.wait())
                    await asyncio.wait({waiting, *tasks.values()}, timeout=POLL_S,
                                       return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
                    waiting.cancel()
            finally:
                await ended(*tasks.values())

    @asynccontextmanager
    async def _tools(self) -> AsyncIterator[tuple[Any, httpcore.AsyncConnectionPool]]:
        pool: Any = AsyncConnectionPool(
            self._url,
            kwargs={"autocommit": True, "options": f"-c search_path={SCHEMA} -c timezone=UTC"},
            min_size=1,
            max_size=4,
            open=False,
            name="webhooks",
        )
        async with (
            pool,
            httpcore.AsyncConnectionPool(
                network_backend=Guarded(anywhere=self._anywhere),
                keepalive_expiry=30.0,
                max_connections=None,  # of ten, those of webhooks that hang would keep all others
            ) as client,
        ):
            yield pool, client

    async def _hooks(self, pool: Any) -> set[Hook]:
        async with pool.connection() as conn:
            found = await conn.execute(
                "SELECT webhook_id, kinds, after, begun, since, keyed, ordered FROM webhook"
                " WHERE disabled_at IS NULL AND removed_at IS NULL"
            )
            return {
                Hook(id, tuple(filter(None, kinds.split(","))), *rest)
                for id, kinds, *rest in await found.fetchall()
            }

    async def _serve(self, pool: Any, client: httpcore.AsyncConnectionPool, hook: Hook) -> None:
        """One webhook, until it is disabled."""
        webhook = await self._ledger.get(Webhook, hook.id)
        if webhook.status != "enabled":  # the read model is behind, or is built anew
            await asyncio.Event().wait()
        going_on = [self._go_on(pool, client, hook, webhook, await self._stands(pool, hook))]
        if not hook.ordered:
            going_on.append(self._try_again(pool, client, hook, webhook))
        tasks = [asyncio.create_task(each) for each in going_on]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:  # with the one the other ends
            await ended(*tasks)
        for task in done:
            await self._disable(hook, *task.result())

    async def _go_on(
        self,
        pool: Any,
        client: httpcore.AsyncConnectionPool,
        hook: Hook,
        webhook: Webhook,
        stands: tuple[int, int, datetime | None],
    ) -> GivenUp:
        at, failures, next_at = stands
        while True:
            moved = self._moved
            rows: Sequence[Row] = await self._ledger.rows(after=at, limit=READ)
            for some in _few([row for row in rows if hook.wants(row.topic)], hook):
                if over := await _first([
                    self._deliver(pool, client, hook, webhook, some[0], failures, next_at),
                    *[self._deliver(pool, client, hook, webhook, row) for row in some[1:]],
                ]):  # fmt: skip
                    return over
                failures, next_at = 0, None
                await self._keep(pool, hook, some[-1].id)
            if rows:
                at = rows[-1].id
                await self._keep(pool, hook, at)
            if len(rows) < READ:
                await moved.wait()  # which is looked at every POLL_S, and so is who waits

    async def _deliver(
        self,
        pool: Any,
        client: httpcore.AsyncConnectionPool,
        hook: Hook,
        webhook: Webhook,
        row: Row,
        failures: int | None = None,
        next_at: datetime | None = None,
    ) -> GivenUp | None:
        """Until it is taken, or waits beside the others; else why it is given up. As long as too
        many wait it is tried as in order, and waits beside them as soon as one of them has gone.
        ``failures``: of the one that the position stands before; None: it is another, of which
        nothing is kept until it waits."""
        stands_here, failures = failures is not None, failures or 0
        while True:
            while next_at:
                if not hook.ordered and await self._let_wait(pool, hook, row, failures, next_at):
                    return None
                if (wait_s := (next_at - clock.now()).total_seconds()) <= 0:
                    break
                await asyncio.sleep(min(wait_s, POLL_S))  # by the clock, which may be set
            answer = await self._send(pool, client, webhook, row, failures + 1)
            if answer.taken:
                return None
            failures += 1
            if why := self._over(answer, failures):
                return why, row
            next_at = clock.now() + timedelta(seconds=self._delay_s(answer, failures))
            if stands_here:
                await self._keep(pool, hook, row.id - 1, failures, next_at)

    async def _let_wait(
        self, pool: Any, hook: Hook, row: Row, failures: int, next_at: datetime
    ) -> bool:
        """To be tried again beside the others, unless too many are. It is written before the
        position moves: killed in between, it is sent again."""
        async with pool.connection() as conn:
            done = await conn.execute(
                "INSERT INTO ledger.webhook_waiting"
                " SELECT %(id)s, %(position)s, %(failures)s, %(next_at)s"
                " WHERE (SELECT count(*) FROM ledger.webhook_waiting WHERE webhook_id = %(id)s)"
                " < %(most)s ON CONFLICT (webhook_id, position) DO UPDATE"
                " SET failures = excluded.failures, next_at = excluded.next_at",
                {"id": hook.id, "position": row.id, "failures": failures, "next_at": next_at,
                 "most": MOST_WAITING},
            )  # fmt: skip
            return bool(done.rowcount)

    async def _try_again(
        self, pool: Any, client: httpcore.AsyncConnectionPool, hook: Hook, webhook: Webhook
    ) -> GivenUp:
        """Those that wait, when their time has come."""
        while True:
            moved = self._moved
            due = await self._due(pool, hook)
            for some in _few(due, hook):
                again = [self._once_more(pool, client, hook, webhook, *each) for each in some]
                if over := await _first(again):
                    return over
            if len(due) < READ:
                await moved.wait()

    async def _once_more(
        self,
        pool: Any,
        client: httpcore.AsyncConnectionPool,
        hook: Hook,
        webhook: Webhook,
        position: int,
        failures: int,
    ) -> GivenUp | None:
        [row] = await self._ledger.rows(after=position - 1, limit=1)
        answer = await self._send(pool, client, webhook, row, failures + 1)
        if not answer.taken and (why := self._over(answer, failures + 1)):
            return why, row
        await self._came_round(pool, hook, position, failures + 1, answer)
        return None

    async def _due(self, pool: Any, hook: Hook) -> Sequence[tuple[int, int]]:
        async with pool.connection() as conn:
            found = await conn.execute(
                "SELECT position, failures FROM ledger.webhook_waiting"
                " WHERE webhook_id = %s AND next_at <= %s ORDER BY next_at LIMIT %s",
                (hook.id, clock.now(), READ),
            )
            due: Sequence[tuple[int, int]] = await found.fetchall()
            return due

    async def _came_round(
        self, pool: Any, hook: Hook, position: int, failures: int, answer: Answer
    ) -> None:
        async with pool.connection() as conn:
            if answer.taken:
                await conn.execute(
                    "DELETE FROM ledger.webhook_waiting WHERE webhook_id = %s AND position = %s",
                    (hook.id, position),
                )
            else:
                next_at = clock.now() + timedelta(seconds=self._delay_s(answer, failures))
                await conn.execute(
                    "UPDATE ledger.webhook_waiting SET failures = %s, next_at = %s"
                    " WHERE webhook_id = %s AND position = %s",
                    (failures, next_at, hook.id, position),
                )

    def _over(self, answer: Answer, failures: int) -> str:
        """Why it is not tried again; "": it is."""
        if answer.status == 410:
            return "gone"
        if answer.fault == "not_allowed":
            return "not_allowed"
        return "failing" if failures > len(self._again_s) else ""

    def _delay_s(self, answer: Answer, failures: int) -> float:
        spread = 1 + JITTER * (2 * random.random() - 1)  # noqa: S311 so that not all come at once
        return max(self._again_s[failures - 1] * spread, answer.retry_after_s)

    async def _send(
        self,
        pool: Any,
        client: httpcore.AsyncConnectionPool,
        webhook: Webhook,
        row: Row,
        attempt: int,
    ) -> Answer:
        """And writes down how it went."""
        message = message_of(row)
        begun_s = monotonic()
        with tracing.span(
            "deliver",
            role="producer",
            causes=(message.cause,),
            kind=row.topic,
            position=row.id,
            attempt=attempt,
        ) as span:
            now = clock.now()
            secrets, at_s = webhook.signing(now), int(now.timestamp())
            headers = signed(secrets, f"entry_{row.id}", at_s, message.payload)
            headers |= span.sending
            answer = await self._answered(client, webhook.url, headers, message.payload)
            if span:
                told = {"status": answer.status, "fault": answer.fault}
                span.tell(**{name: value for name, value in told.items() if value})
                span.end_as(f"deliver {row.topic}", failed=not answer.taken)
        async with pool.connection() as conn:
            await conn.execute(
                "WITH counted AS (INSERT INTO ledger.webhook_attempts AS there VALUES (%s, %s)"
                " ON CONFLICT (webhook_id, outcome) DO UPDATE SET count = there.count + 1)"
                " INSERT INTO ledger.webhook_deliveries"
                " (webhook_id, position, attempt, status, fault, duration_ms)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (webhook.id, answer.fault or "taken",
                 webhook.id, row.id, attempt, answer.status, answer.fault,
                 round((monotonic() - begun_s) * 1000)),
            )  # fmt: skip
        if not answer.taken:
            log.warning("not taken", webhook=str(webhook.id), position=row.id, attempt=attempt,
                        status=answer.status, fault=answer.fault)  # fmt: skip
        return answer

    async def _answered(
        self, client: httpcore.AsyncConnectionPool, url: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        """A redirect is no 2xx, and is not followed."""
        if not self._anywhere and not url.startswith("https:"):
            return Answer(None, "not_allowed")
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), ANSWER_S)
        try:
            async with (
                asyncio.timeout(ANSWER_S),
                client.stream(
                    "POST",
                    url,
                    headers=list(headers.items()),
                    content=body,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                size = 0
                async for chunk in response.aiter_stream():
                    if (size := size + len(chunk)) > MOST_BYTES:
                        break
                given = {name.lower(): value for name, value in response.headers}
                asked, said_at = (
                    given.get(name, b"").decode("latin-1") for name in (b"retry-after", b"date")
                )
                now = format_datetime(clock.now(), usegmt=True)  # of who says no date
                asked_s = retry_after.seconds(asked, said_at=said_at or now) or 0.0
                taken = 200 <= response.status < 300
                return Answer(response.status, "" if taken else "status", min(asked_s, LONGEST_S))
        except NotAllowed:
            return Answer(None, "not_allowed")
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(None, "timeout")
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, ValueError):
            return Answer(None, "unreachable")

    async def _stands(self, pool: Any, hook: Hook) -> tuple[int, int, datetime | None]:
        """Where it goes on; what was told it since (redrive, enable) counts."""
        async with pool.connection() as conn:
            found = await conn.execute(
                "SELECT since, position, failures, next_at FROM ledger.webhook_standing"
                " WHERE webhook_id = %s",
                (hook.id,),
            )
            row = await found.fetchone()
        if row is None or row[0] < hook.begun:
            position, failures, next_at = hook.after, 0, None
            await self._no_longer(pool, hook)
        elif row[0] < hook.since:
            position, failures, next_at = row[1], 0, None
            await self._at_once(pool, hook)
        else:
            return row[1], row[2], row[3]
        await self._keep(pool, hook, position)
        return position, failures, next_at

    async def _no_longer(self, pool: Any, hook: Hook) -> None:
        """Whoever waits: they come again anyway, or are not wanted."""
        async with pool.connection() as conn:
            await conn.execute(
                "DELETE FROM ledger.webhook_waiting WHERE webhook_id = %s", (hook.id,)
            )

    async def _at_once(self, pool: Any, hook: Hook) -> None:
        async with pool.connection() as conn:
            await conn.execute(
                "UPDATE ledger.webhook_waiting SET failures = 0, next_at = %s"
                " WHERE webhook_id = %s",
                (clock.now(), hook.id),
            )

    async def _keep(
        self,
        pool: Any,
        hook: Hook,
        position: int,
        failures: int = 0,
        next_at: datetime | None = None,
    ) -> None:
        """Unless somebody else was told more meanwhile."""
        async with pool.connection() as conn:
            await conn.execute(
                "INSERT INTO ledger.webhook_standing AS there VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (webhook_id) DO UPDATE SET since = excluded.since,"
                " position = excluded.position, failures = excluded.failures,"
                " next_at = excluded.next_at WHERE there.since <= excluded.since",
                (hook.id, hook.since, position, failures, next_at),
            )

    async def _disable(self, hook: Hook, why: str, row: Row) -> None:
        log.error("disabled", webhook=str(hook.id), why=why, position=row.id)
        with suppress(Refusal):  # it was removed meanwhile
            await self._ledger.change(
                Webhook,
                hook.id,
                lambda webhook: webhook.change(WebhookDisabled(reason=why), by=BY),
                intent=Intent(by=BY),
            )
        await asyncio.Event().wait()  # until the read model says so, and this task ends

    async def _prune(self, pool: Any) -> None:
        async with pool.connection() as conn:
            await conn.execute(
                "DELETE FROM ledger.webhook_deliveries"
                " WHERE at < now() - make_interval(days => %s)",
                (KEPT_DAYS,),
            )
            found = await conn.execute(
                "SELECT webhook_id FROM (SELECT webhook_id FROM ledger.webhook_waiting"
                " UNION SELECT webhook_id FROM ledger.webhook_attempts) w"
                " WHERE NOT EXISTS (SELECT FROM webhook h"
                " WHERE h.webhook_id = w.webhook_id AND h.removed_at IS NULL)"
            )
            missing = [id for (id,) in await found.fetchall()]
        for id in missing:
            if await self._is_removed(id):
                async with pool.connection() as conn:
                    for kept in ("waiting", "attempts"):
                        await conn.execute(
                            f"DELETE FROM ledger.webhook_{kept} WHERE webhook_id = %s", (id,)
                        )

    async def _is_removed(self, id: UUID) -> bool:
        """By the ledger: a read model that is made anew does not know it yet."""
        try:
            return (await self._ledger.get(Webhook, id)).status == "removed"
        except NoSuchRecord:
            return True


def _few(all_of_it: Sequence[T], hook: Hook) -> Iterator[Sequence[T]]:
    """As many as are sent at once."""
    at_once = 1 if hook.ordered else AT_ONCE
    for n in range(0, len(all_of_it), at_once):
        yield all_of_it[n : n + at_once]


async def _first(deliveries: Sequence[Coroutine[Any, Any, GivenUp | None]]) -> GivenUp | None:
    """Which of them is given up, at once; None: none, and all are done."""
    tasks = [asyncio.create_task(each) for each in deliveries]
    try:
        for done in asyncio.as_completed(tasks):
            if over := await done:
                return over
    finally:
        try:
            await ended(*tasks)
        finally:
            for task in tasks:  # of several faults one is told
                task.cancelled() or task.exception()
    return None


__all__ = ["Halted", "Webhooks", "is_public", "signed"]
