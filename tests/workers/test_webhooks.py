"""Whoever wants the ledger sent gets it, in order, signed, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import httpcore
import httpx
import psycopg
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from builders import note, sourced
from ledger_crm import tracing
from ledger_crm.domain import clock
from ledger_crm.domain.entry import cause
from ledger_crm.domain.person import Person
from ledger_crm.domain.webhook import (
    Webhook,
    WebhookDisabled,
    WebhookEnabled,
    WebhookRedriven,
    WebhookRemoved,
)
from ledger_crm.ledger import Intent, Ledger, Work
from ledger_crm.projections import webhooks as read_model
from ledger_crm.workers import webhooks as sending
from ledger_crm.workers.leadership import leadership
from ledger_crm.workers.projector import Driver, connect
from ledger_crm.workers.webhooks import Webhooks, is_public, signed
from scenario import ANA
from waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.anyio

RECEIVER = Path(__file__).with_name("receiver.py")


@pytest.fixture
def template(read_models: str) -> str:
    return read_models


class House:
    """A ledger, its webhooks and whoever sends them."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        self.ledger, self.url = ledger, url

    async def write(self, count: int = 1) -> int:
        """Notes on a person of their own. The head."""

        async def notes(work: Work) -> Any:
            person = work.add(Person.open(sourced(), by=ANA))
            for _ in range(count - 1):
                person.record(note(), by=ANA)
            return person

        await self.ledger.decide(notes, intent=Intent(by=ANA))
        return await self.ledger.head()

    async def add(self, url: str, **asked: Any) -> Webhook:
        webhook = Webhook.add(url=url, **{"after": 0} | asked, by=ANA)

        async def adding(work: Work) -> Webhook:
            return work.add(webhook)

        await self.ledger.decide(adding, intent=Intent(by=ANA))
        await self.project()
        return webhook

    async def change(self, id: UUID, change: Any) -> None:
        await self.ledger.change(
            Webhook, id, lambda w: w.change(change, by=ANA), intent=Intent(by=ANA)
        )
        await self.project()

    async def renewed(self, id: UUID, overlap_s: int) -> str:
        """Its secret then."""

        def renew(webhook: Webhook) -> None:
            webhook.renew_secret(overlap_s=overlap_s, by=ANA)

        await self.ledger.change(Webhook, id, renew, intent=Intent(by=ANA))
        await self.project()
        return (await self.ledger.get(Webhook, id)).secret

    async def project(self) -> None:
        def catch_up() -> None:
            with connect(self.url) as conn:
                read = lambda after, limit: self.ledger.store.entries(after=after, limit=limit)  # noqa: E731
                Driver(read_model.projection, read, conn).catch_up()

        await asyncio.to_thread(catch_up)

    async def shown(self, id: UUID) -> read_model.WebhookShown:
        await self.project()
        options = "-c search_path=read"
        async with await psycopg.AsyncConnection.connect(self.url, options=options) as conn:
            found = await read_model.one(conn.cursor(), id, positions=True)
            assert found
            return found

    async def told(self, sql: LiteralString) -> list[Any]:
        async with await psycopg.AsyncConnection.connect(self.url) as conn:
            found = await conn.execute(sql)
            return await found.fetchall() if found.description else []

    async def log(self, id: UUID, **narrowed: Any) -> list[read_model.Delivery]:
        async with await psycopg.AsyncConnection.connect(self.url) as conn:
            cur = conn.cursor()
            return await read_model.deliveries(cur, id, **narrowed, before=None, limit=1000)

    async def counted(self, id: UUID) -> dict[str, int]:
        """Attempts, by outcome."""
        options = "-c search_path=read"
        async with await psycopg.AsyncConnection.connect(self.url, options=options) as conn:
            found = await read_model.attempts(conn.cursor())
            return {outcome: count for webhook, outcome, count in found if webhook == str(id)}

    @asynccontextmanager
    async def sending(self, **how: Any) -> AsyncIterator[None]:
        stop, wake = asyncio.Event(), asyncio.Event()
        how = {"targets": "any", "again_s": [0.02] * 10_000} | how
        worker = Webhooks(
            self.url, self.ledger, stop=stop, wake=wake,
            leadership=lambda: leadership(self.url, "webhooks", wake), **how,
        )  # fmt: skip
        task = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            stop.set()
            await task


@pytest.fixture
def house(ledger: Ledger, database: str) -> House:
    return House(ledger, database)


class Receiver:
    """A process of its own; what it heard is in a file."""

    def __init__(self, folder: Path) -> None:
        self.heard_in, self.port = folder / "heard", 0
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=x"

    async def start(self, *says: str) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(RECEIVER), str(self.heard_in), str(self.port), *says,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout
        self.port = int(await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_S))

    async def kill(self) -> None:
        assert self.process
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    def heard(self) -> list[dict[str, Any]]:
        if not self.heard_in.exists():
            return []
        whole = self.heard_in.read_text().splitlines()
        return [json.loads(line) for line in whole if line.endswith("}")]

    def taken(self) -> list[int]:
        return [
            int(each["headers"]["webhook-id"].removeprefix("entry_"))
            for each in self.heard()
            if each["status"] < 300
        ]

    def positions(self) -> list[int]:
        return [int(each["headers"]["webhook-id"].removeprefix("entry_")) for each in self.heard()]


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    found = Receiver(tmp_path)
    await found.start()
    yield found
    await found.kill()


def checked(each: dict[str, Any], secret: str) -> dict[str, Any]:
    """The event, once its signature is checked as the specification says."""
    headers = each["headers"]
    to_sign = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{each['body']}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(key, to_sign.encode(), hashlib.sha256).digest()).decode()
    assert f"v1,{mac}" in headers["webhook-signature"].split(" ")
    event: dict[str, Any] = json.loads(each["body"])
    return event


def verified(each: dict[str, Any], secret: str) -> bool:
    with suppress(AssertionError):
        return bool(checked(each, secret))
    return False


async def test_every_entry_is_sent_in_order_signed_and_without_what_is_sealed(
    house: House, receiver: Receiver
) -> None:
    head = await house.write(5)
    webhook = await house.add(receiver.url)
    async with house.sending():
        await eventually(lambda: len(receiver.heard()) > head)
        await house.write(3)
        last = await house.ledger.head()
        await eventually(lambda: receiver.positions()[-1:] == [last])
        await eventually(lambda: standing(house, webhook.id, last))
    assert receiver.positions() == list(range(1, last + 1))
    events = [checked(each, webhook.secret) for each in receiver.heard()]
    assert [event["id"] for event in events] == [str(n) for n in range(1, last + 1)]
    assert events[0]["type"] == "person.sourced"
    assert "Ada" not in json.dumps(events)
    hook = next(event for event in events if event["type"] == "webhook.added")
    assert hook["data"] == {"kind": "webhook.added", "host": "127.0.0.1"}
    log = await house.log(webhook.id)
    assert {(each.status, each.fault, each.attempt) for each in log} == {(204, "", 1)}


async def standing(house: House, id: UUID, position: int) -> bool:
    return (await house.shown(id)).position == position


async def test_the_signature_is_the_specifications() -> None:
    """Its own example (https://github.com/standard-webhooks/standard-webhooks)."""
    body = b'{"test": 2432232314}'
    headers = signed(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_only_what_is_wanted_is_sent_and_only_after_where_it_begins(
    house: House, receiver: Receiver
) -> None:
    head = await house.write(4)
    webhook = await house.add(receiver.url, kinds=("person.note_",), after=head)
    async with house.sending():
        await house.write(3)
        last = await house.ledger.head()
        await eventually(lambda: standing(house, webhook.id, last))
    assert [json.loads(each["body"])["type"] for each in receiver.heard()] == []
    kinds = ("person.note_written", "company.")
    other = await house.add(receiver.url, kinds=kinds, after=head)
    async with house.sending():
        await eventually(lambda: standing(house, other.id, last + 1))
    assert {json.loads(each["body"])["type"] for each in receiver.heard()} == {
        "person.note_written"
    }
    assert len(receiver.heard()) == 2


async def test_each_attempt_is_a_span_which_leads_to_the_request_and_on_to_the_receiver(
    house: House, receiver: Receiver
) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    request = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    token = cause.set("-".join(request))
    head = await house.write()
    cause.reset(token)
    await receiver.kill()
    await receiver.start("500")
    tracing.use(provider)
    try:
        await house.add(receiver.url, after=head - 1, kinds=["person."])
        async with house.sending():
            await eventually(lambda: len(receiver.heard()) > 1)
            await receiver.kill()
            await receiver.start()
            await eventually(lambda: spans.get_finished_spans()[-1].status.is_unset)
    finally:
        tracing.use(None)
    first, *_, last = [s for s in spans.get_finished_spans() if s.name.startswith("deliver")]
    assert first.name == "deliver person.sourced"
    assert dict(first.attributes or {}) == {
        "ledger_crm.kind": "person.sourced", "ledger_crm.position": head,
        "ledger_crm.attempt": 1, "http.response.status_code": 500, "ledger_crm.fault": "status",
    }  # fmt: skip
    assert not first.status.is_unset, "it failed"
    for span, told in ((first, receiver.heard()[0]), (last, receiver.heard()[-1])):
        [link] = span.links
        assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == request
        assert span.parent is None, "a request is not as long as the slowest receiver"
        assert span.context
        own = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
        assert told["headers"]["traceparent"] == f"00-{own}-01"


RESTARTS = [3, pytest.param(50, marks=pytest.mark.campaign)]


@pytest.mark.parametrize("restarts", RESTARTS)
async def test_a_receiver_that_is_killed_sees_every_position_in_order(
    house: House, receiver: Receiver, restarts: int
) -> None:
    """And the sender too: what is heard twice is what was heard last, by the same id."""
    webhook = await house.add(receiver.url)
    for number in range(restarts):
        async with house.sending():
            head = await house.write(20)
            heard = len(receiver.heard())
            await eventually(lambda n=heard: len(receiver.heard()) > n + 3)  # type: ignore[misc]
            if number % 2:  # the sender stops in the middle of what it read
                continue
            await receiver.kill()
            await house.write(5)
            await receiver.start()
    async with house.sending():
        head = await house.ledger.head()
        await eventually(lambda: receiver.positions()[-1:] == [head])
    positions = receiver.positions()
    first = list(dict.fromkeys(positions))
    assert first == list(range(1, head + 1)), "every one, in order"
    for before, now in pairwise(positions):
        assert now in (before, before + 1), "again only what was heard last"
    for each in receiver.heard():
        checked(each, webhook.secret)


async def test_what_fails_is_tried_again_and_then_disabled_with_notice(
    house: House, receiver: Receiver
) -> None:
    await receiver.kill()
    await receiver.start("500")
    head = await house.write(2)
    webhook = await house.add(receiver.url)
    assert await house.counted(webhook.id) == {"taken": 0}
    async with house.sending(again_s=[0.01, 0.02]):
        await eventually(lambda: disabled(house, webhook.id))
    assert await house.counted(webhook.id) == {"status": 3}
    shown = await house.shown(webhook.id)
    assert (shown.reason, shown.position) == ("failing", 0), "what was not sent waits"
    assert {each["headers"]["webhook-id"] for each in receiver.heard()} == {"entry_1"}
    assert [(each.attempt, each.status) for each in await house.log(webhook.id)] == [
        (3, 500), (2, 500), (1, 500)
    ]  # fmt: skip
    [entry] = (await house.ledger.entries(after=head + 1))[:1]
    assert isinstance(entry.event, WebhookDisabled)
    assert entry.by == "system:webhooks"
    await receiver.kill()
    await receiver.start()
    await house.change(webhook.id, WebhookEnabled())
    async with house.sending(again_s=[0.01, 0.02]):
        last = await house.ledger.head()
        await eventually(lambda: receiver.positions()[-1:] == [last])
    assert list(dict.fromkeys(receiver.positions())) == list(range(1, last + 1))
    whole = await house.log(webhook.id)
    failed = [each for each in whole if each.status == 500]
    assert 3 == len(failed) < len(whole)
    for narrowed in {"taken": False}, {"fault": "status"}, {"status": 500}:
        assert await house.log(webhook.id, **narrowed) == failed
    assert await house.log(webhook.id, taken=True) == whole[: -len(failed)]
    assert await house.log(webhook.id, since=whole[0].at) == whole[:1]
    assert await house.log(webhook.id, until=whole[0].at) == whole[1:]
    await house.told("DELETE FROM ledger.webhook_deliveries")  # as after their days
    assert await house.counted(webhook.id) == {"status": 3, "taken": len(whole) - 3}


@pytest.mark.parametrize("ordered", [True, False])
async def test_what_fails_is_tried_nine_times_more_in_three_days_and_then_disabled_with_notice(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    """No sooner and no later than documented, by the clock."""
    monkeypatch.setattr(sending, "POLL_S", 0.01)
    await receiver.kill()
    await receiver.start("500")
    webhook = await house.add(receiver.url, kinds=("webhook.added",), ordered=ordered)
    began, least, most = clock.now(), 1 - sending.JITTER, 1 + sending.JITTER

    async def has_failed(times: int) -> read_model.WebhookShown | None:
        shown = await house.shown(webhook.id)
        return shown if shown.failures == times else None

    with ExitStack() as clocks:

        def set_to(at: datetime) -> None:
            clocks.enter_context(clock.stopped_at(at))

        set_to(began)
        async with house.sending(again_s=sending.AGAIN_S):
            for times, gap_s in enumerate(sending.AGAIN_S, 1):
                shown = await eventually(partial(has_failed, times))
                wait_s = (shown.next_at - clock.now()).total_seconds()
                assert gap_s * least <= wait_s <= gap_s * most
                set_to(shown.next_at - timedelta(milliseconds=1))
                await asyncio.sleep(5 * sending.POLL_S)
                assert len(await house.log(webhook.id)) == times, "no sooner"
                assert shown.disabled_at is None
                set_to(shown.next_at)
            await eventually(lambda: disabled(house, webhook.id))
        assert (await house.shown(webhook.id)).reason == "failing"
        in_all_s = (clock.now() - began).total_seconds()
    days_s = 3.15 * 24 * 3600
    assert sum(sending.AGAIN_S) == pytest.approx(days_s, rel=0.001)
    assert days_s * least * 0.99 < in_all_s < days_s * most * 1.01
    attempts = [(each.attempt, each.status) for each in await house.log(webhook.id)]
    assert attempts == [(attempt, 500) for attempt in range(10, 0, -1)]
    [*_, entry] = await house.ledger.entries(after=0)
    assert isinstance(entry.event, WebhookDisabled)
    assert (entry.event.reason, entry.by) == ("failing", "system:webhooks")


async def test_without_order_one_that_fails_does_not_hold_up_the_others(
    house: House, receiver: Receiver
) -> None:
    await receiver.kill()
    await receiver.start("500")
    first = await house.write()
    webhook = await house.add(receiver.url, ordered=False, kinds=["person."])
    async with house.sending(again_s=[0.5] * 100):
        await eventually(lambda: waiting(house, webhook.id, 1))
        await receiver.kill()
        await receiver.start("--refuses", f"entry_{first}")
        head = await house.write(5)
        await eventually(lambda: head in receiver.taken())
        assert first not in receiver.taken(), "it is tried again, and refused, beside the others"
        assert await waiting(house, webhook.id, 1)
        await receiver.kill()
        await receiver.start()
        await eventually(lambda: first in receiver.taken())
        await eventually(lambda: waiting(house, webhook.id, 0))
    assert set(receiver.taken()) >= set(range(first, first + 1)) | set(range(head - 4, head + 1))


async def test_one_that_is_tried_again_and_hangs_does_not_hold_up_what_is_new(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_S", 3 * PATIENCE_S)
    first = await house.write()
    await receiver.kill()
    await receiver.start("--refuses", f"entry_{first}")
    webhook = await house.add(receiver.url, ordered=False, kinds=["person."])
    async with house.sending(again_s=[0.5] * 100):
        await eventually(lambda: waiting(house, webhook.id, 1))
        await receiver.kill()
        await receiver.start("--hangs", f"entry_{first}")
        await eventually(lambda: any(each["status"] == 599 for each in receiver.heard()))
        head = await house.write(3)
        await eventually(lambda: set(receiver.taken()) >= {head - 2, head - 1, head})
        assert await waiting(house, webhook.id, 1)


async def test_without_order_a_few_are_sent_at_once_and_it_is_told_how_those_do_that_wait(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a receiver that answers nothing one message after the other was tried, four a minute, and
    it looked as if none had failed."""
    last = await house.write(2 * sending.AT_ONCE)
    all_of_it = range(last - 2 * sending.AT_ONCE + 1, last + 1)
    await receiver.kill()
    await receiver.start("--hangs", *[f"entry_{n}" for n in all_of_it])
    monkeypatch.setattr(sending, "ANSWER_S", 3 * PATIENCE_S)
    webhook = await house.add(receiver.url, ordered=False, kinds=["person."])
    async with house.sending(again_s=[3_600] * 3):
        await eventually(lambda: len(receiver.heard()) == sending.AT_ONCE)
    assert sorted(receiver.positions()) == list(all_of_it)[: sending.AT_ONCE]
    assert (await house.shown(webhook.id)).position == 0, "none of them is taken, or waits"
    await receiver.kill()
    await receiver.start("500")
    async with house.sending(again_s=[3_600] * 3):
        await eventually(lambda: waiting(house, webhook.id, len(all_of_it)))
    await house.told(
        "UPDATE ledger.webhook_waiting SET failures = position,"
        " next_at = timestamptz '2026-12-01 12:00Z' + position * interval '1 day'"
    )
    shown = await house.shown(webhook.id)
    assert shown.next_at
    assert (shown.failures, shown.next_at.day) == (all_of_it[0], 1 + all_of_it[0])
    await receiver.kill()
    await receiver.start("--hangs", *[f"entry_{n}" for n in all_of_it])
    await house.told("UPDATE ledger.webhook_waiting SET failures = 1, next_at = now()")
    heard = len(receiver.heard())
    async with house.sending(again_s=[3_600] * 3):
        await eventually(lambda: len(receiver.heard()) == heard + sending.AT_ONCE)


async def test_one_that_is_gone_ends_it_though_another_finds_no_room_to_wait(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are sent at once, and who finds no room is at it until there is some."""
    monkeypatch.setattr(sending, "MOST_WAITING", 0)
    second = await house.write(2)
    gone: list[str] = []

    def says(head: str) -> str:
        return "410 Gone" if any(each in head for each in gone) else "500 Not Well"

    async with answering(says) as url:
        webhook = await house.add(url, ordered=False, kinds=["person."])
        async with house.sending(again_s=[3_600] * 3):
            await eventually(lambda: failed(house, webhook.id))
        assert (await house.shown(webhook.id)).position == second - 2, "none is skipped"
        gone.append(f"webhook-id: entry_{second}\r\n")
        async with house.sending(again_s=[3_600] * 3):
            await eventually(lambda: disabled(house, webhook.id))
    assert (await house.shown(webhook.id)).reason == "gone"


@asynccontextmanager
async def answering(says: Callable[[str], str]) -> AsyncIterator[str]:
    """The address of a receiver that answers a head with this status, and headers after it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.write(f"HTTP/1.1 {says(head)}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_when_too_many_wait_the_next_goes_one_by_one_until_one_of_them_is_taken(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given room for one to wait, and two that are refused, when the first is taken in its time,
    then the second waits in its place at once, not in an hour, and the third is sent."""
    monkeypatch.setattr(sending, "MOST_WAITING", 1)
    monkeypatch.setattr(sending, "AT_ONCE", 1)
    third = await house.write(3)
    first, second = third - 2, third - 1
    await receiver.kill()
    await receiver.start("--refuses", f"entry_{first}", f"entry_{second}")
    webhook = await house.add(receiver.url, ordered=False, kinds=["person."])
    async with house.sending(again_s=[3_600] * 3):
        await eventually(lambda: second in receiver.positions())
        await eventually(lambda: standing(house, webhook.id, first))
        assert third not in receiver.taken()
        await receiver.kill()
        await receiver.start("--refuses", f"entry_{second}")
        await house.told("UPDATE ledger.webhook_waiting SET next_at = now()")
        await eventually(lambda: {first, third} <= set(receiver.taken()))
        assert await house.told("SELECT position FROM ledger.webhook_waiting") == [(second,)]
    assert receiver.positions().count(second) == 1


async def test_who_waits_is_forgotten_with_the_webhook_and_not_with_its_read_model(
    house: House, receiver: Receiver
) -> None:
    await receiver.kill()
    await receiver.start("500")
    await house.write()
    kept, gone = [
        (await house.add(receiver.url, ordered=False, kinds=["person."])).id for _ in range(2)
    ]
    async with house.sending(again_s=[3_600] * 3):
        for id in (kept, gone):
            await eventually(lambda id=id: waiting(house, id, 1))  # type: ignore[misc]
    await house.change(gone, WebhookRemoved())
    await house.told("DELETE FROM read.webhook")  # it is made anew
    waits = "SELECT webhook_id FROM ledger.webhook_waiting"

    counted = "SELECT DISTINCT webhook_id FROM ledger.webhook_attempts"

    async def only_one() -> bool:
        return len(await house.told(waits)) < 2 and len(await house.told(counted)) < 2

    async with house.sending(again_s=[3_600] * 3):
        await eventually(only_one)
    assert await house.told(waits) == [(kept,)]
    assert await house.told(counted) == [(kept,)]


async def test_without_order_it_is_disabled_with_notice_too_and_goes_on_with_who_waits(
    house: House, receiver: Receiver
) -> None:
    await receiver.kill()
    await receiver.start("500")
    await house.write(3)
    webhook = await house.add(receiver.url, ordered=False, kinds=["person."])
    async with house.sending(again_s=[0.01, 0.02]):
        await eventually(lambda: disabled(house, webhook.id))
    assert (await house.shown(webhook.id)).waiting > 0
    await receiver.kill()
    await receiver.start()
    await house.change(webhook.id, WebhookEnabled())
    async with house.sending(again_s=[0.01, 0.02]):
        await eventually(lambda: waiting(house, webhook.id, 0))
        await eventually(lambda: {1, 2, 3} <= set(receiver.taken()))
    await house.change(webhook.id, WebhookRemoved())


async def waiting(house: House, id: UUID, count: int) -> bool:
    return (await house.shown(id)).waiting == count


async def disabled(house: House, id: UUID) -> bool:
    return (await house.shown(id)).disabled_at is not None


@pytest.mark.parametrize(("says", "reason"), [("410", "gone"), ("301", "failing")])
async def test_gone_disables_at_once_and_a_redirect_is_not_followed(
    house: House, receiver: Receiver, says: str, reason: str
) -> None:
    await receiver.kill()
    await receiver.start(says)
    webhook = await house.add(receiver.url)
    async with house.sending(again_s=[0.01]):
        await eventually(lambda: disabled(house, webhook.id))
    assert (await house.shown(webhook.id)).reason == reason
    assert len(receiver.heard()) == (1 if says == "410" else 2)


@pytest.mark.parametrize(
    ("says", "wait_s"),
    [
        ("Retry-After: 120", 120),
        ("Retry-After: Mon, 30 Nov 2026 12:02:00 GMT\r\nDate: Mon, 30 Nov 2026 12:00:00 GMT", 120),
        ("Retry-After: Mon, 30 Nov 2026 12:02:00 GMT", 120),
        ("Retry-After: Mon, 30 Nov 2099 12:00:00 GMT", 86_400),
        ("Retry-After: soon", 1),
        ("Retry-After: \xb2", 1),
    ],
)
async def test_a_receiver_says_in_either_form_when_to_come_back(
    house: House, says: str, wait_s: int
) -> None:
    """By its own clock, and where it tells none by ours."""
    async with answering(lambda _: f"429 Busy\r\n{says}") as url:
        webhook = await house.add(url)
        noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
        with clock.stopped_at(noon):
            async with house.sending(again_s=[1.0] * 3):
                await eventually(lambda: failed(house, webhook.id))
    next_at = (await house.shown(webhook.id)).next_at
    assert next_at
    assert round((next_at - noon).total_seconds()) == wait_s


async def failed(house: House, id: UUID) -> bool:
    return (await house.shown(id)).failures > 0


async def test_redriven_it_is_sent_again_under_the_same_ids(
    house: House, receiver: Receiver
) -> None:
    await house.write(4)
    webhook = await house.add(receiver.url)
    async with house.sending():
        last = await house.ledger.head()
        await eventually(lambda: standing(house, webhook.id, last))
        await house.change(webhook.id, WebhookRedriven(after=2))
        await eventually(lambda: receiver.positions().count(4) == 2 and standing(
            house, webhook.id, last + 1))  # fmt: skip
        await eventually(lambda: receiver.positions()[-1] == last + 1)
    begun, again = list(range(1, last + 1)), list(range(3, last + 2))
    assert receiver.positions() in ([*begun, *again], [*begun, last + 1, *again])


async def test_while_a_secret_is_changed_over_both_verify_and_then_the_new_one_alone(
    house: House, receiver: Receiver
) -> None:
    """While the sender runs: nothing is lost by it."""
    webhook = await house.add(receiver.url, after=await house.ledger.head())
    old, renewed = webhook.secret, partial(house.renewed, webhook.id)

    async def signatures(count: int) -> bool:
        head = await house.write()
        await eventually(lambda: receiver.positions()[-1:] == [head])
        told: str = receiver.heard()[-1]["headers"]["webhook-signature"]
        return len(told.split(" ")) == count

    async with house.sending():
        assert await signatures(1)
        new = await renewed(3_600)
        await eventually(lambda: signatures(2))
        for secret in (old, new):
            checked(receiver.heard()[-1], secret)
        newest = await renewed(0)
        await eventually(lambda: signatures(1))
        checked(receiver.heard()[-1], newest)
    first = list(dict.fromkeys(receiver.positions()))
    assert first == list(range(first[0], first[-1] + 1)), "every one, in order"


async def test_whoever_does_not_hear_that_it_is_to_end_does_not_stop_all_others(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``asyncio.wait_for`` swallows a cancellation that meets its answer, and a pool asks by it.
    The sender then waited for ever for a webhook whose secret was changed, which waited for it."""
    one, two = await house.add(receiver.url), await house.add(receiver.url)
    asking, swallowed, read = list[Any](), asyncio.Event(), house.ledger.rows

    async def deaf(**asked: Any) -> Any:
        asking.append(asked)
        try:
            await swallowed.wait()
        except asyncio.CancelledError:
            swallowed.set()
        return await read(**asked)

    async with house.sending():
        begun = await house.ledger.head()
        for webhook in (one, two):
            await eventually(partial(standing, house, webhook.id, begun))
        monkeypatch.setattr(house.ledger, "rows", deaf)
        await house.write()
        await eventually(lambda: len(asking) == 2)
        newest = await house.renewed(one.id, overlap_s=0)
        await eventually(swallowed.is_set)
        renewed = await house.ledger.head()
        await eventually(lambda: standing(house, one.id, renewed))
        head = await house.write()
        for webhook in (one, two):
            await eventually(partial(standing, house, webhook.id, head))
    last = [each for each in receiver.heard() if each["headers"]["webhook-id"] == f"entry_{head}"]
    assert any(verified(each, newest) for each in last)


async def test_what_does_not_go_on_is_told_and_begun_again(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STUCK_S", 0.2)
    webhook, hangs, look = await house.add(receiver.url), asyncio.Event(), Webhooks._hooks

    async def hanging(self: Webhooks, pool: Any) -> Any:
        if not hangs.is_set():
            hangs.set()
            await asyncio.Event().wait()
        return await look(self, pool)

    monkeypatch.setattr(Webhooks, "_hooks", hanging)
    with capture_logs() as logs:
        async with house.sending():
            head = await house.write()
            await eventually(lambda: standing(house, webhook.id, head))
    assert [each["event"] for each in logs].count("stuck") >= 1


async def test_what_is_disabled_or_removed_is_sent_nothing(
    house: House, receiver: Receiver
) -> None:
    one, two = await house.add(receiver.url), await house.add(receiver.url)
    await house.change(one.id, WebhookDisabled(reason="moving"))
    await house.change(two.id, WebhookRemoved())
    three = await house.add(receiver.url)
    async with house.sending():
        last = await house.ledger.head()
        await eventually(lambda: standing(house, three.id, last))
    assert await house.log(one.id) == await house.log(two.id) == []


async def test_however_many_hang_they_do_not_hold_up_another(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_S", 10 * PATIENCE_S)
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes calls and says nothing
        silent.setblocking(False)

        def rang() -> int:
            with suppress(BlockingIOError):
                taken.append(silent.accept()[0])
            return len(taken)

        for _ in range(12):
            await house.add(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        async with house.sending():
            await eventually(lambda: rang() >= 10)
            another = await house.add(receiver.url)
            last = await house.ledger.head()
            await eventually(lambda: standing(house, another.id, last))
    for each in taken:
        each.close()


def named(patch: pytest.MonkeyPatch, found: Callable[[], list[str]]) -> list[str]:
    """Names in .example lead there; which were looked up."""
    really, asked = socket.getaddrinfo, []

    def look_up(host: Any, port: Any, *args: Any, **how: Any) -> Any:
        if not str(host).endswith(".example"):
            return really(host, port, *args, **how)
        asked.append(host)
        return [(socket.AF_INET, None, 6, "", (each, port)) for each in found()]

    patch.setattr(socket, "getaddrinfo", look_up)
    return asked


async def test_however_many_names_are_not_found_in_time_others_are_and_each_is_asked_for_once(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given more hosts whose DNS is silent than the loop has threads for looking up."""
    monkeypatch.setattr(sending, "ANSWER_S", 0.2)
    silent = threading.Event()

    def hang() -> list[str]:
        silent.wait()
        return []

    asked = named(monkeypatch, hang)
    hosts = [f"{n}.example" for n in range(2 * min(32, (os.cpu_count() or 1) + 4))]
    try:
        hanging = [await house.add(f"https://{host}/") for host in hosts]
        async with house.sending():
            await eventually(lambda: len(asked) >= len(hosts))
            monkeypatch.setattr(sending, "ANSWER_S", PATIENCE_S)
            another = await house.add(receiver.url)
            last = await house.ledger.head()
            await eventually(lambda: standing(house, another.id, last))
            for each in hanging:
                await eventually(partial(tried, house, each.id))
        assert sorted(asked) == sorted(hosts)
    finally:
        silent.set()
    assert {each.fault for each in await house.log(hanging[0].id)} == {"timeout"}


async def tried(house: House, id: UUID) -> bool:
    return len(await house.log(id)) > 0


@pytest.mark.parametrize("host", ["none.example", "a..example", f"{'a' * 64}.example"])
async def test_a_name_that_is_none_is_unreachable(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = socket.getaddrinfo

    def look_up(host: str, *args: Any, **how: Any) -> Any:
        if host == "none.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return really(host, *args, **how)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(httpcore.ConnectError):
        await sending.Guarded(anywhere=True).connect_tcp(host, 443, 10.0)


async def test_a_name_is_reached_at_any_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` is often ::1 first, where nobody listens."""
    named(monkeypatch, lambda: ["127.0.0.2", "127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stream = await sending.Guarded(anywhere=True).connect_tcp("receiver.example", port, 10.0)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        await stream.aclose()


async def test_a_private_address_is_sent_nothing_unless_the_settings_say_so(
    house: House, receiver: Receiver
) -> None:
    one = await house.add(receiver.url)
    two = await house.add(receiver.url.replace("http://127.0.0.1", "https://localhost"))
    async with house.sending(targets="public"):
        await eventually(lambda: disabled(house, one.id))
        await eventually(lambda: disabled(house, two.id))
    for webhook in (one, two):
        assert (await house.shown(webhook.id)).reason == "not_allowed"
    assert receiver.heard() == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.0.1", False), ("172.16.0.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("::1", False), ("fe80::1%eth0", False), ("fc00::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
        ("64:ff9b:1::1", False), ("64:ff9b:1:ffff::5db8:d822", False), ("fec0::1", False),
        ("feff::1", False), ("::ffff:0:10.0.0.1", False), ("::ffff:0:93.184.216.34", False),
        ("192.88.99.1", False), ("2002:c058:6301::", False), ("::ffff:192.88.99.1", False),
        ("3fff::1", False), ("5f00::1", False), ("192.88.98.1", True), ("64:ff9b::5db8:d822", True),
        ("192.0.0.192", False), ("192.0.0.9", False), ("192.0.1.1", True),
        ("168.63.129.16", False), ("168.63.129.17", True), ("::ffff:168.63.129.16", False),
        ("::", False), ("255.255.255.255", False), ("::127.0.0.1", False), ("::10.1.2.3", False),
    ],
)  # fmt: skip
def test_what_a_public_address_is(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_a_receiver_is_a_receiver(receiver: Receiver) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(receiver.url, content=b"{}", headers={"webhook-id": "entry_7"})
    assert answer.status_code == 204
    assert receiver.positions() == [7]
