"""Whoever follows the ledger sees every position once, in order, whatever dies in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext, suppress
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
import uvicorn
from litestar import Litestar

from api.journey import ADA, ENGINES, NOTE, ORDER, faults, found, problem, written
from builders import note, sourced
from ledger_crm import store
from ledger_crm.api import caller, following
from ledger_crm.commands import intake, signing_in
from ledger_crm.commands.catalogue import create_key, revoke_key
from ledger_crm.commands.intake import Reachable
from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import sealed_fields
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Intent, Ledger, Unavailable
from ledger_crm.workers.listening import listen
from scenario import ANA, KEYRING
from waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.anyio

BY_ANA = Intent(by=ANA)
LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture
async def opener(ledger: Ledger, key: str) -> dict[str, str]:
    """Headers of somebody whose key opens what is sealed."""
    _, text = await create_key(
        ledger, actor="integration:archive", role="owner", scopes=["events.open"]
    )
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
async def story(ana: httpx.AsyncClient) -> dict[str, str]:
    """A person with notes and a company, one after the other."""
    person = (await written(ana, "/people", ADA))["id"]
    company = (await written(ana, "/companies", ENGINES))["id"]
    for n in range(3):
        await written(ana, f"/people/{person}/interactions", {**NOTE, "text": f"Note {n}"})
        await written(ana, f"/companies/{company}/changes", {
            "kind": "company.tagged", "tag": f"tag_{n}"
        })  # fmt: skip
    return {"person": person, "company": company}


async def pages(client: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    """All there is, page by page."""
    entries: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await found(client, "/events", **asked | cursor)
        entries += page["items"]
        if page["next"] is None:
            return entries
        cursor = {"cursor": page["next"]}


async def test_the_ledger_is_read_as_pages_in_order_and_by_what_is_asked(
    ana: httpx.AsyncClient, story: dict[str, str], ledger: Ledger
) -> None:
    rows = await ledger.rows()
    whole = await pages(ana, limit=4)
    assert [entry["position"] for entry in whole] == [row.id for row in rows]
    assert [(e["kind"], e["stream"], e["version"]) for e in whole] == [
        (row.topic, str(row.originator_id), row.originator_version) for row in rows
    ]
    for entry, row in zip(whole, rows, strict=True):
        assert entry["fact"]["kind"] == entry["kind"]
        sealed = sorted(msgspec.json.decode(row.state).get("sealed", {}))
        assert entry["sealed"] == sealed
        assert not set(sealed) & set(entry["fact"])
    last = whole[-1]
    assert (last["by"], bool(last["cause"])) == ("consultant:ana", True)

    def where(**parts: Any) -> list[dict[str, Any]]:
        return [entry for entry in whole if entry.items() >= parts.items()]

    notes = where(kind="person.note_written")
    assert len(notes) == 3
    assert await pages(ana, kind="person.note_written", limit=2) == notes
    assert await pages(ana, kind="person.note_written", stream=story["company"]) == []
    assert await pages(ana, stream=story["person"], limit=1) == where(stream=story["person"])
    several = await pages(ana, kind="pipeline.,company.added", limit=2)
    assert [e for e in whole if e["kind"].startswith("pipeline.")] == several[:-1]
    assert several[-1]["kind"] == "company.added"
    after = await pages(ana, after=notes[0]["position"], stream=story["person"])
    assert after == where(stream=story["person"])[-2:]

    moment = notes[1]["recorded_at"]
    since, until = await pages(ana, since=moment, limit=3), await pages(ana, until=moment, limit=3)
    assert until + since == whole
    assert since[0] == notes[1]

    lines = await ana.get("/events", params={"limit": 4}, headers=LINES)
    assert [msgspec.json.decode(line) for line in lines.text.splitlines()] == whole[:4]
    assert lines.headers["ledger-position"] == "4"
    after_it = lines.headers["link"].partition(">")[0].removeprefix("<")
    assert (await ana.get(after_it)).json()["items"] == whole[4:8]


async def test_what_is_sealed_is_opened_for_whom_it_may_be_and_of_nobody_who_is_erased(
    ana: httpx.AsyncClient, story: dict[str, str], opener: dict[str, str], ledger: Ledger
) -> None:
    form, _ = await create_key(ledger, actor="integration:website", label="The form")
    await written(ana, "/equal-opportunity/answers", {"gender": "woman"}, **opener)
    of_ada = {"stream": story["person"]}

    async def told(**asked: Any) -> list[dict[str, Any]]:
        answer = await ana.get("/events", params={"limit": 200, **asked}, headers=opener)
        items: list[dict[str, Any]] = answer.json()["items"]
        for entry in items:
            every = sealed_fields(EVENTS[entry["kind"]])
            assert set(entry["sealed"]) <= every - set(entry["fact"])
        return items

    opened = await told(**of_ada)
    assert [entry["fact"]["text"] for entry in opened[-3:]] == ["Note 0", "Note 1", "Note 2"]
    assert [entry["sealed"] for entry in opened] == [[]] * len(opened)
    [made] = await told(stream=form.id)
    assert (made["sealed"], made["fact"]["label"]) == (["digest"], "The form")
    [answered] = await told(kind="equal_opportunity.")
    assert answered["sealed"] == ["answers"]
    assert all("text" in entry["sealed"] for entry in (await pages(ana, **of_ada))[-3:])

    await written(ana, f"/people/{story['person']}/erasure", {"reason": "asked_us"})
    erased = await told(**of_ada)
    assert erased[:-1] == (await pages(ana, **of_ada))[:-1]
    assert "Note" not in str(erased)
    assert erased[-1]["kind"] == "person.erased"


async def test_a_page_looks_at_so_much_and_says_where_it_got_to(
    ana: httpx.AsyncClient, story: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await pages(ana)
    wanted = [entry for entry in whole if entry["kind"] == "person.note_written"]
    monkeypatch.setattr(store, "SCANNED", 2)
    first = await found(ana, "/events", kind="person.note_written")
    assert (first["items"], first["position"], first["next"] is None) == ([], 2, False)
    assert await pages(ana, kind="person.note_written") == wanted
    assert await pages(ana, stream=story["person"]) == await pages(ana, stream=story["person"])
    monkeypatch.setattr(store, "PAGE_BYTES", 400)
    assert await pages(ana) == whole
    long_ago = whole[0]["recorded_at"].replace("20", "19", 1)
    assert await pages(ana, until=long_ago) == []
    page = await found(ana, "/events", until=long_ago)
    assert page["next"] is None, "and does not go through all of it"
    monkeypatch.setattr(store, "CLOCKS_DIFFER", timedelta())
    assert await pages(ana, since=wanted[0]["recorded_at"]) == whole[wanted[0]["position"] - 1 :]


async def test_what_is_asked_wrongly_is_said(ana: httpx.AsyncClient, story: Any) -> None:
    async def asked(path: str = "/events", **params: Any) -> httpx.Response:
        return await ana.get(path, params=params)

    assert faults(await asked(kind="person.notes")).keys() == {"query:kind"}
    assert faults(await asked(kind="person.placed,")).keys() == {"query:kind"}
    assert faults(await asked(cursor="bad")).keys() == {"query:cursor"}
    assert faults(await asked(since="2026-01-01T00:00:00")).keys() == {"query:since"}
    cursor = (await asked(limit=1)).json()["next"]
    assert faults(await asked(cursor=cursor, after=1)).keys() == {"query:after"}
    for edge in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        for name in ("since", "until"):
            assert (await asked(**{name: edge})).status_code == 200
    for path in ("/events", "/events/stream"):
        assert problem(await asked(path, after=10**6), 422, "after-the-head")["head"]
    strange = {"Last-Event-ID": "three"}
    assert faults(await ana.get("/events/stream", headers=strange)).keys() == {
        "header:Last-Event-Id"
    }
    only_headers = await ana.head("/events/stream")
    assert (only_headers.status_code, only_headers.content) == (200, b"")
    wrong = await ana.get("/events/stream", headers={"Accept": "application/x-ndjson"})
    problem(wrong, 406, "not-acceptable")


# the stream


@pytest.fixture
async def served(app: Litestar, ana: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Over a real connection, with Ana's key."""
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"Authorization": ana.headers["Authorization"]}
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_S) as client:
        yield client
    app.state.equipment.tide.stop()
    server.should_exit = True
    await serving


async def told(
    client: httpx.AsyncClient, last: int | None = None, **asked: Any
) -> AsyncIterator[tuple[int, str, dict[str, Any] | None]]:
    """What a browser makes of the stream: id, kind and entry; an id alone has no entry."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with client.stream("GET", "/events/stream", params=asked, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            else:
                if "id" in fields:
                    entry = msgspec.json.decode(fields["data"]) if "data" in fields else None
                    yield int(fields["id"]), fields.get("event", ""), entry
                fields = {}


async def test_a_follower_that_is_killed_again_and_again_under_writing_sees_each_position_once(
    served: httpx.AsyncClient, ledger: Ledger, database: str, app: Litestar
) -> None:
    """Writers in two processes' worth of doors, whose transactions overlap."""
    listening = asyncio.create_task(listen(database, app.state.equipment.tide.wake))
    chance, lives, done = random.Random(7), 0, False
    seen: list[int] = []
    kinds: list[str] = []

    async def write(door: Ledger, n: int) -> None:
        person = await door.decide(
            lambda work: intake.source_person(work, sourced(name=f"P {n}"), Reachable()),
            intent=BY_ANA,
        )
        while not done:
            await door.change(Person, person.id, lambda p: p.record(note(), by=ANA), intent=BY_ANA)

    with Ledger(database, KEYRING) as other:
        writers = [
            asyncio.create_task(write(door, n)) for n in range(3) for door in (ledger, other)
        ]
        try:
            while lives < 50:
                enough = len(seen) + chance.randint(1, 40)
                async with aclosing(told(served, seen[-1] if seen else None)) as stream:
                    async for position, kind, entry in stream:
                        assert entry is not None
                        assert (entry["position"], entry["kind"]) == (position, kind)
                        seen.append(position)
                        kinds.append(kind)
                        if len(seen) >= enough:
                            break
                lives += 1
        finally:
            done = True
            await asyncio.gather(*writers)
    head = await ledger.head()
    async with aclosing(told(served, seen[-1])) as stream:
        while seen[-1] < head:
            position, kind, _ = await anext(stream)
            seen.append(position)
            kinds.append(kind)
    listening.cancel()
    assert seen == list(range(1, head + 1))
    rows = [row.topic for at in range(0, head, 1000) for row in await ledger.rows(after=at)]
    assert kinds == rows


async def test_what_ends_a_line_elsewhere_ends_none_of_the_stream(
    served: httpx.AsyncClient,
) -> None:
    """Unicode has more line breaks than JSON escapes, and httpx, as Python, splits at each."""
    name = "Engines\u2028and\u2029more\x85"
    await written(served, "/companies", {**ENGINES, "name": name})
    async with aclosing(told(served, kind="company.added")) as heard:
        _, _, entry = await anext(heard)
    assert entry
    assert entry["fact"]["name"] == name


async def test_those_who_follow_at_the_head_share_one_look_into_the_ledger(
    served: httpx.AsyncClient,
    ana: httpx.AsyncClient,
    app: Litestar,
    ledger: Ledger,
    story: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look for each would keep the process from everything else."""
    looks, look, tide, count = list[int](), ledger.follow, app.state.equipment.tide, 30

    async def follow(*, after: int, **how: Any) -> Any:
        looks.append(after)
        return await look(after=after, **how)

    monkeypatch.setattr(ledger, "follow", follow)
    head = await ledger.head()
    streams = [told(served, head) for _ in range(count)]
    first = [asyncio.create_task(anext(stream)) for stream in streams]
    await eventually(lambda: tide._followers.total() == count and head in looks and not tide._reads)
    looks.clear()
    await written(ana, f"/people/{story['person']}/interactions", NOTE)
    assert {found[0] for found in await asyncio.gather(*first)} == {head + 1}
    assert len(looks) < 10
    for stream in streams:
        await stream.aclose()


async def test_what_is_shared_is_told_to_each_as_they_may_see_it(
    served: httpx.AsyncClient,
    ana: httpx.AsyncClient,
    app: Litestar,
    ledger: Ledger,
    story: dict[str, str],
    project: Callable[[], None],
) -> None:
    tide = app.state.equipment.tide
    _, text = await create_key(ledger, actor="integration:warehouse", role="analyst")
    head = await ledger.head()
    other = httpx.AsyncClient(
        base_url=served.base_url,
        headers={"Authorization": f"Bearer {text}"},
        timeout=PATIENCE_S,
    )
    async with other:
        streams = [told(client, head) for client in (served, other, served, other)]
        first = [asyncio.create_task(anext(stream)) for stream in streams]
        await eventually(
            lambda: tide._followers.total() == 4 and tide.head == head and not tide._reads
        )
        path = f"/companies/{story['company']}/job-orders"
        order = await written(ana, path, ORDER | {"title": "Treasurer", "confidential": True})
        project()
        entries = [entry for _, _, entry in await asyncio.gather(*first)]
        shown = [entry and entry["fact"].get("title") for entry in entries]
        assert shown == ["Treasurer", None, "Treasurer", None]
        assert {entry and entry["position"] for entry in entries} == {order["position"]}
        for stream in streams:
            await stream.aclose()


async def test_a_follower_of_few_kinds_is_told_how_far_it_has_got(
    served: httpx.AsyncClient,
    ana: httpx.AsyncClient,
    story: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "HEARTBEAT_S", 0.05)
    head = (await pages(ana))[-1]["position"]
    async with aclosing(told(served, kind="company.added")) as stream:
        assert (await anext(stream))[1] == "company.added"
        assert await anext(stream) == (head, "", None)
    async with aclosing(told(served, head, kind="company.added", after=0)) as stream:
        second = (await written(ana, "/companies", {"name": "Other"}))["position"]
        while (position := await anext(stream))[0] < second:
            pass
        assert position[:2] == (second, "company.added")


async def test_a_database_that_goes_and_comes_back_is_waited_for(
    served: httpx.AsyncClient,
    ana: httpx.AsyncClient,
    story: dict[str, str],
    database: str,
    owner_database: str,
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    admin = psycopg.conninfo.make_conninfo(owner_database, dbname="postgres")
    head = (await pages(ana))[-1]["position"]
    async with aclosing(told(served, head - 1)) as stream:
        assert (await anext(stream))[0] == head
        with psycopg.connect(admin, autocommit=True) as conn:
            conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            problem(await ana.get("/events"), 503, "unavailable")
            conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await written(ana, f"/people/{story['person']}/interactions", NOTE)
        assert (await anext(stream))[0] == head + 1


async def test_a_key_that_cannot_be_looked_at_now_is_looked_at_again(
    served: httpx.AsyncClient, ledger: Ledger, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(caller, "TRUST_S", 0.0)
    refused, look = list[str](), caller.holder_of

    async def away(*_: Any) -> Any:
        refused.append("away")
        raise Unavailable()

    head = await ledger.head()
    async with aclosing(told(served, head - 1)) as stream:
        assert (await anext(stream))[0] == head
        monkeypatch.setattr(caller, "holder_of", away)
        await eventually(lambda: len(refused) > 1)
        monkeypatch.setattr(caller, "holder_of", look)
        await create_key(ledger, actor="consultant:dan")
        assert (await anext(stream))[0] == head + 1


async def test_a_key_that_is_revoked_is_told_nothing_more(
    served: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 0.0)
    receipt, text = await create_key(ledger, actor="consultant:ben", scopes=["events.read"])
    served.headers["Authorization"] = f"Bearer {text}"
    positions = []
    async with aclosing(told(served, receipt.position)) as stream:
        reading = asyncio.create_task(_all(stream, positions))
        await create_key(ledger, actor="consultant:cid")
        await eventually(lambda: positions)
        revoked = await revoke_key(ledger, receipt.id)
        await eventually(reading.done)
        late = await create_key(ledger, actor="consultant:dan")
    assert positions[0] < revoked.position < late[0].position
    assert positions[1:] in ([], [revoked.position]), "at most what was read while it was revoked"


async def test_who_may_no_longer_open_what_is_sealed_is_not_told_it_meanwhile(
    served: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 0.0)
    dan, password = "consultant:dan", "not so easy to guess"
    scopes = ["events.read", "events.open"]
    begun = await signing_in.set_password(ledger, dan, password, scopes=scopes)
    del served.headers["Authorization"]
    body = {"consultant": dan, "password": password}
    assert (await served.post("/session", json=body)).status_code == 201

    async def labelled(label: str) -> None:
        await create_key(ledger, actor="consultant:cid", label=label)

    async with aclosing(told(served, begun.position)) as heard:
        await labelled("one")
        _, _, entry = await anext(heard)
        assert entry
        assert entry["fact"]["label"] == "one"
        await ledger.decide(
            lambda work: signing_in.open_login(work, dan, role=None, scopes=["events.read"]),
            intent=BY_ANA,
        )
        await anext(heard)
        await labelled("two")
        _, _, entry = await anext(heard)
        assert entry
        assert "label" in entry["sealed"]


async def test_when_we_stop_followers_are_let_go(
    served: httpx.AsyncClient, app: Litestar, story: Any
) -> None:
    positions: list[int] = []
    async with aclosing(told(served)) as stream:
        reading = asyncio.create_task(_all(stream, positions))
        await eventually(lambda: positions)
        app.state.equipment.tide.stop()
        await eventually(reading.done)
    answer = await served.get("/events/stream")
    problem(answer, 503, "too-many-followers")
    assert answer.headers["retry-after"]


async def _all(stream: AsyncIterator[tuple[int, Any, Any]], into: list[int]) -> None:
    async for position, _, _ in stream:
        into.append(position)


@pytest.mark.parametrize(("limit", "others"), [("MOST", 503), ("MOST_OF_ONE", 200)])
async def test_whoever_does_not_read_is_cut_off_and_one_too_many_is_sent_away(
    app: Litestar,
    ana: httpx.AsyncClient,
    ledger: Ledger,
    story: Any,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    others: int,
) -> None:
    _, text = await create_key(ledger, actor="consultant:ben", role="owner")
    ben = {"Authorization": f"Bearer {text}"}
    monkeypatch.setattr(following, "SLOW_S", 0.5)
    monkeypatch.setattr(following, limit, 1)
    begun, sent = asyncio.Event(), list[Any]()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def stuck(message: Any) -> None:
        sent.append(message)
        if b"event:" in message.get("body", b""):
            begun.set()
            await asyncio.Event().wait()

    headers = [(b"authorization", ana.headers["Authorization"].encode())]
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/events/stream", "raw_path": b"/events/stream",
        "root_path": "", "query_string": b"", "headers": headers,
        "client": None, "server": ("crm", 80), "state": {}, "extensions": {},
    }  # fmt: skip
    slow = asyncio.create_task(app(scope, receive, stuck))
    await begun.wait()
    problem(await ana.get("/events/stream"), 503, "too-many-followers")
    assert (await ana.head("/events/stream", headers=ben)).status_code == others
    await eventually(slow.done)
    assert all(message.get("more_body", True) for message in sent), "it has no end: it was cut"
    assert len(sent) == 3, "and nothing was piled up for it"


async def test_who_follows_a_ledger_that_lost_its_end_is_not_told_another_as_if_it_were_that(
    served: httpx.AsyncClient, ledger: Ledger, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restored from a backup, under a follower that stays."""
    monkeypatch.setattr(following, "HEARTBEAT_S", 0.05)
    head = await ledger.head()
    positions: list[int] = []
    async with aclosing(told(served)) as stream:
        reading = asyncio.create_task(_all(stream, positions))
        await eventually(lambda: len(positions) == head)
        monkeypatch.setattr(store.Store, "head", lambda _: head - 1)
        await create_key(ledger, actor="consultant:dan")
        await eventually(reading.done)
    assert positions == list(range(1, head + 1))
    problem(await served.get(f"/events/stream?after={head}"), 422, "after-the-head")


async def test_who_looks_for_others_ends_with_them_though_it_does_not_hear_so(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """``asyncio.wait_for`` swallows a cancellation that meets its answer: one would look for ever
    for nobody, beside the next."""

    async def deaf() -> int:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(ledger, "head", deaf)
    tide = following.Tide(ledger)
    with tide.follower("ana"):
        assert not await tide.beyond(0, 0.01)
        looking = tide._looking
    assert looking
    await eventually(looking.done)
