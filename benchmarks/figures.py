"""What is measured. A measurement gives one pair: the limit's rate and then ours, per second."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count, cycle
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Mapper, StoredEvent, Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.projection import BaseProjectionRunner, Projection
from nats.aio.client import Client
from nats.js.api import StorageType, StreamConfig
from psycopg.conninfo import conninfo_to_dict

from ledger_crm.cli.house import app_url
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain import clock
from ledger_crm.domain.company import Company, CompanyAdded
from ledger_crm.domain.entry import Actor, Entry, Event
from ledger_crm.domain.interaction import NoteWritten
from ledger_crm.domain.joborder import JobOrderOpened
from ledger_crm.domain.person import Person, PersonSourced
from ledger_crm.ledger import Intent, Ledger, Receipt, Work
from ledger_crm.projections import PAST, SCHEMA, every
from ledger_crm.store import EntryMapper, Refused, Save
from ledger_crm.workers import feed
from ledger_crm.workers import relay as worker
from ledger_crm.workers.projector import Crew, Driver, Projector, connect

from . import http, live
from .house import House, pgbench

Pair = tuple[float, float]

APPEND_S = 3
STEADY_S = 8
LAG_S = 0.1
PEOPLE = 2_000
PAGE = 1000
CALLERS = 32
SHORT, MIDDLE, LONG = 100, 1_000, 10_000  # facts of one record
WARM, COLD = 500, 20  # commands that are timed
LISTS = {
    "people": "/people?limit=50",
    "person": "/people/{person}?",
    "history": "/people/{person}/history?limit=50",
    "engagement": "/engagement?limit=50",
    "board": "/candidates?job_order_id={order}&limit=50",
    "job_orders": "/job-orders?limit=50",
    "accounts": "/accounts?limit=50",
    "funnel": "/funnel?pipeline={pipeline}&since=2015-01-01&until=2030-01-01",
}
MAIN = {"people", "history", "candidates"}
BY_THE_LIBRARY = 2_000  # entries
PATIENCE_S = 300.0
COLUMNS = "originator_id, originator_version, topic, state, notification_id"
ANA = Actor("consultant:ana")
INTENT = Intent(by=ANA)
NOTE = NoteWritten(text="Wants to hear of anything in Lisbon, from the spring on; call after six.")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """``measure`` one pair in this house; the first of them may cost more than the others."""

    name: str
    unit: str
    limit_name: str
    floor: float | None = None
    measure: Callable[[House], Pair]


def figures() -> Iterator[Measured]:
    for callers in (1, 8, 32):
        yield Measured(
            name=f"append_{callers}",
            unit="appends/s",
            limit_name=f"pgbench plain insert, clients: {callers}",
            measure=partial(append, callers=callers),
        )
    yield Measured(
        name="save_32",
        unit="saves/s",
        limit_name="pgbench plain insert, clients: 32",
        floor=0.7,
        measure=save,
    )
    yield Measured(
        name="save_32_library",
        unit="saves/s",
        limit_name="the library's own PostgreSQL recorder, threads: 32",
        floor=8.0,
        measure=save_beside_the_library,
    )
    yield Measured(
        name="save_conflicts",
        unit="saves/s",
        limit_name="the same without conflicts; ours: 5 % are refused",
        floor=0.9,
        measure=save_with_conflicts,
    )
    yield Measured(
        name="save_steady",
        unit="saves/s",
        limit_name=f"the first second of {STEADY_S}, from an empty ledger; ours: the last second",
        floor=0.8,
        measure=save_steadily,
    )
    yield Measured(
        name="post_steady",
        unit="requests/s",
        limit_name=f"the first second of {STEADY_S}; ours: the last second",
        floor=0.8,
        measure=post_steadily,
    )
    yield Measured(
        name="post_conflicts",
        unit="requests/s",
        limit_name="the same without conflicts; ours: 5 % are refused with 412",
        floor=0.9,
        measure=post_with_conflicts,
    )
    yield Measured(
        name="live",
        unit="1/s",
        limit_name="seen in 100 ms; ours: in what 99 of 100 are, at 100 commands a second",
        floor=1.0,
        measure=seen,
    )
    for name, path in LISTS.items():
        yield Measured(
            name=f"as_of_{name}",
            unit="requests/s",
            limit_name="the same of the present; ours: as of five moments, in both senses",
            floor=0.5,
            measure=partial(looked_back, path=path),
        )
    for aggregate in ("person", "company"):
        for temper in ("warm", "cold"):
            yield Measured(
                name=f"command_{aggregate}_{temper}",
                unit="commands/s",
                limit_name=f"the same with {SHORT} facts; ours: the slower of {MIDDLE} and {LONG}",
                floor=None if (aggregate, temper) == ("company", "cold") else 0.67,
                measure=partial(command, aggregate=aggregate, cold=temper == "cold"),
            )
    yield Measured(
        name="append_steady",
        unit="appends/s",
        limit_name=f"the first second of {STEADY_S}, 32 callers; ours: the last second",
        measure=append_steadily,
    )
    yield Measured(
        name="import",
        unit="facts/s",
        limit_name="COPY BINARY of the same rows: entries, receipts, data keys",
        floor=0.1,
        measure=partial(import_, tables=("entries", "receipts", "data_keys")),
    )
    yield Measured(
        name="import_entries",
        unit="facts/s",
        limit_name="COPY BINARY of the entries alone",
        measure=partial(import_, tables=("entries",)),
    )
    for projection in every():
        yield Measured(
            name=f"rebuild_{projection.name}",
            unit="facts/s",
            limit_name=f"psycopg reads the same rows in pages of {PAGE:,}",
            floor=0.10 if projection.name == "history" else None,
            measure=partial(rebuild, name=projection.name),
        )
    yield Measured(
        name="rebuild_main_library",
        unit="facts/s",
        limit_name=f"the library's ProjectionRunner on the same views, {BY_THE_LIBRARY:,} facts",
        floor=25,
        measure=rebuild_by_the_library,
    )
    yield Measured(
        name="rebuild_main_rows",
        unit="facts/s",
        limit_name="INSERT … SELECT FROM unnest(…) of the rows that it leaves, of now and before",
        floor=0.3,
        measure=rebuild_as_rows,
    )
    yield Measured(
        name="rebuild_together",
        unit="facts/s",
        limit_name=f"psycopg reads the same rows in pages of {PAGE:,}",
        measure=rebuild_together,
    )
    yield Measured(
        name="relay",
        unit="messages/s",
        limit_name=f"nats-py publishes the same payloads in atomic batches of {PAGE:,}",
        floor=0.7,
        measure=relay,
    )


# Append: a note on a person through the door: read, decided, sealed, one transaction, one fsync.
# Callers wait for each answer before the next call.


def append(house: House, *, callers: int) -> Pair:
    with house.empty() as url, house.ledger(url) as ledger:
        people = asyncio.run(sourced(ledger))
        house.settle()
        limit = plain_inserts(house, url, callers)
        house.settle()
        done = asyncio.run(notes(ledger, people, callers, APPEND_S))
    return limit, sum(done) / APPEND_S


def save(house: House) -> Pair:
    with house.empty() as url:
        house.settle()
        limit = plain_inserts(house, url, CALLERS)
        house.settle()
        return limit, sum(saved(house, url, APPEND_S)) / APPEND_S


def save_beside_the_library(house: House) -> Pair:
    with house.empty() as url:
        house.settle()
        limit = by_the_library(url)
        house.settle()
        return limit, sum(saved(house, url, APPEND_S)) / APPEND_S


def save_with_conflicts(house: House) -> Pair:
    with house.empty() as without, house.empty() as conflicting:
        house.settle()
        limit = sum(saved(house, without, APPEND_S))
        house.settle()
        return limit / APPEND_S, sum(saved(house, conflicting, APPEND_S, every=20)) / APPEND_S


def save_steadily(house: House) -> Pair:
    with house.empty() as url:
        house.settle()
        done = saved(house, url, STEADY_S)
    return done[0], done[-1]


def saved(house: House, url: str, seconds: int, *, every: int = 0) -> list[int]:
    """Saves of one row each that were judged in each second, by callers who wait for each answer.
    Each ``every``-th is of a version that is taken."""
    with house.ledger(url) as ledger:
        return asyncio.run(_saved(ledger, seconds, every))


async def _saved(ledger: Ledger, seconds: int, every: int) -> list[int]:
    done, state, began = [0] * seconds, sealed_note(ledger).state, perf_counter()

    async def call() -> None:
        stream, version = uuid4(), 0
        for n in count(1):
            stream, version = (stream, version + 1) if n % 10 else (uuid4(), 1)
            taken = bool(every) and n % every == 2
            row = StoredEvent(stream, 1 if taken else version, "person.note_written", state)
            try:
                await ledger._saving.ask(Save([row]))
            except Refused:
                assert taken
            version -= taken
            if (second := int(perf_counter() - began)) >= seconds:
                return
            done[second] += 1

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return done


def by_the_library(url: str) -> float:
    """Its recorder on its own tables, a thread for each caller, the same rows."""
    parts = conninfo_to_dict(url)
    datastore = PostgresDatastore(
        str(parts["dbname"]), str(parts["host"]), str(parts["port"]), str(parts["user"]), "",
        pool_size=CALLERS,
    )  # fmt: skip
    recorder = PostgresApplicationRecorder(datastore, events_table_name="library_entries")
    recorder.create_table()
    state, until_s = b"s" * 340, perf_counter() + APPEND_S

    def call(_: int) -> int:
        done = 0
        while perf_counter() < until_s:
            recorder.insert_events([StoredEvent(uuid4(), 1, "person.note_written", state)])
            done += 1
        return done

    with ThreadPoolExecutor(CALLERS) as threads:
        total = sum(threads.map(call, range(CALLERS)))
    datastore.close()
    return total / APPEND_S


# Over HTTP: the API in a process of its own; see http.py.


def post_steadily(house: House) -> Pair:
    with house.empty() as url:
        ask = asked_of(house, url)
        house.settle()
        with http.served(app_url(url)) as port:
            asyncio.run(http.answered(port, ask, 1))
            done = asyncio.run(http.answered(port, ask, STEADY_S))
    return done[0], done[-1]


def post_with_conflicts(house: House) -> Pair:
    rates = []
    for stale in (0, 20):
        with house.empty() as url:
            ask = asked_of(house, url, stale=stale)
            house.settle()
            with http.served(app_url(url)) as port:
                asyncio.run(http.answered(port, ask, 1))
                rates.append(sum(asyncio.run(http.answered(port, ask, APPEND_S))) / APPEND_S)
    return rates[0], rates[1]


def asked_of(house: House, url: str, *, stale: int = 0) -> Callable[[], bytes]:
    with house.ledger(url) as ledger:
        people = asyncio.run(sourced(ledger))
        _, key = asyncio.run(create_key(ledger, actor="consultant:ana"))
    return http.posting(people, key, stale=stale)


# Live: from the answer to a command until the read models have it.


def seen(house: House) -> Pair:
    """One over the lag, so that more is better."""
    with house.empty() as url, house.ledger(url) as ledger:
        people = asyncio.run(sourced(ledger))
        house.settle()

        async def note(n: int) -> Receipt:
            return await ledger.change(
                Person, people[n % PEOPLE], lambda p: p.record(NOTE, by=ANA), intent=INTENT
            )

        with live.projecting(app_url(url)), live.Watch(app_url(url)) as watch:
            watch.until(PEOPLE, live.START_S)
            answered = asyncio.run(live.commanded(note, STEADY_S))
            watch.until(answered[-1][0], live.LATEST_S)
        lags = sorted(watch.lags(answered))
    return 1 / LAG_S, 1 / lags[len(lags) * 99 // 100]


def looked_back(house: House, *, path: str) -> Pair:
    """By one client, who asks for one moment after the other: the head, three before it, and one
    before most was there."""
    url, key = level(house)
    with connect(url) as conn:
        [ids] = conn.execute(
            "SELECT person_id, job_order_id, pipeline FROM candidacy"
            " WHERE job_order_id IS NOT NULL ORDER BY position LIMIT 1"
        ).fetchall()
        [[head]] = conn.execute("SELECT max(position) FROM projection_position").fetchall()
    path = path.format(**dict(zip(("person", "order", "pipeline"), ids, strict=True)))
    moments = [head - head * n // 10 for n in (0, 2, 5, 7, 9)]
    thens = [f"{path}&as_of={m}{known}" for m in moments for known in ("", "&known=now")]
    house.settle()
    with http.served(url) as port:
        rates = []
        for paths in ([path], thens):
            ask = http.getting(paths, key)
            asyncio.run(http.answered(port, ask, 1, connections=1))
            rates.append(sum(asyncio.run(http.answered(port, ask, APPEND_S, connections=1))))
    return rates[0] / APPEND_S, rates[1] / APPEND_S


def level(house: House) -> tuple[str, str]:
    """The url of the hiring log's ledger with all read models level, and a key to it."""
    url = app_url(house.loaded)
    with house.ledger(house.loaded) as ledger, connect(url) as conn:
        _, key = asyncio.run(create_key(ledger, actor="consultant:ana"))
        crew = Crew(conn, lambda after, n: ledger.store.entries(after=after, limit=n), every())
        while crew.look():
            crew.advance()
        conn.execute("ANALYZE")
    return url, key


# One command on one record, whose history is short, or long.


def command(house: House, *, aggregate: str, cold: bool) -> Pair:
    """A note on a person, or a job order of a company; each process that is cold has just begun,
    and before those that count one has been there that had to read it all."""
    with house.empty() as url:
        rates = []
        for facts in (SHORT, MIDDLE, LONG):
            with house.ledger(url) as ledger:
                id = asyncio.run(filled(ledger, aggregate, facts))
            for _ in range(2):
                with house.ledger(url) as ledger:
                    asyncio.run(commanded(ledger, aggregate, id, 1))
            house.settle()
            took_s = 0.0
            for _ in range(COLD if cold else 1):
                with house.ledger(url) as ledger:
                    if not cold:
                        asyncio.run(commanded(ledger, aggregate, id, 1))
                    took_s += asyncio.run(commanded(ledger, aggregate, id, 1 if cold else WARM))
            rates.append((COLD if cold else WARM) / took_s)
    return rates[0], min(rates[1:])


async def filled(ledger: Ledger, aggregate: str, facts: int) -> UUID:
    work = Work(ledger, ANA)
    if aggregate == "person":
        person = work.add(
            Person.source(PersonSourced(name="Ada Byron", channel="linkedin"), by=ANA)
        )
        for _ in range(facts - 1):
            person.record(NOTE, by=ANA)
        id = person.id
    else:
        company = work.add(Company.add(CompanyAdded(name="Analytical Engines"), by=ANA))
        for _ in range(facts // 2):
            order = JobOrderOpened(title="Engineer", opened_at=clock.now())
            company.open_job_order(order, by=ANA)
            company.fill_job_order(order.job_order_id, at=clock.now(), by=ANA)
        id = company.id
    work.stage()
    await work.commit()
    return id


async def commanded(ledger: Ledger, aggregate: str, id: UUID, times: int) -> float:
    """Seconds, once there is a connection."""
    await ledger.head()
    began = perf_counter()
    for _ in range(times):
        if aggregate == "person":
            await ledger.change(Person, id, lambda p: p.record(NOTE, by=ANA), intent=INTENT)
        else:
            order = JobOrderOpened(title="Engineer", opened_at=clock.now())
            await ledger.change(
                Company, id, lambda c, o=order: c.open_job_order(o, by=ANA), intent=INTENT
            )
    return perf_counter() - began


def append_steadily(house: House) -> Pair:
    with house.empty() as url, house.ledger(url) as ledger:
        people = asyncio.run(sourced(ledger))
        house.settle()
        done = asyncio.run(notes(ledger, people, 32, STEADY_S))
    return done[0], done[-1]


async def sourced(ledger: Ledger) -> list[UUID]:
    """Persons enough that their streams stay short."""
    work = Work(ledger, ANA)
    fact = PersonSourced(name="Ada Byron", channel="linkedin")
    people = [work.add(Person.source(fact, by=ANA)).id for _ in range(PEOPLE)]
    work.stage()
    await work.commit()
    return people


async def notes(ledger: Ledger, people: Sequence[UUID], callers: int, seconds: int) -> list[int]:
    """How many were answered in each second. No two calls at a time are about one person."""
    done = [0] * seconds
    turn = cycle(people)
    await asyncio.gather(*(ledger.head() for _ in range(callers)))  # connections are made
    began = perf_counter()

    async def call() -> None:
        while True:
            await ledger.change(
                Person, next(turn), lambda person: person.record(NOTE, by=ANA), intent=INTENT
            )
            second = int(perf_counter() - began)
            if second >= seconds:
                return
            done[second] += 1

    await asyncio.gather(*(call() for _ in range(callers)))
    return done


def plain_inserts(house: House, url: str, clients: int) -> float:
    return asked_of_pgbench(plain_insert(house, url), url, clients)[0]


def plain_insert(house: House, url: str) -> str:
    """Of a row of our size into a table with our indexes and nothing else, which it makes."""
    with house.ledger(url) as ledger:
        row = sealed_note(ledger)
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE plain (LIKE ledger.entries INCLUDING ALL)")
        conn.execute("CREATE SEQUENCE plain_position")
        conn.execute("GRANT ALL ON plain, plain_position TO ledger_app")
    return (
        f"INSERT INTO plain ({COLUMNS}) VALUES (gen_random_uuid(), 1, '{row.topic}',"
        f" '\\x{row.state.hex()}', nextval('plain_position'));\n"
    )


def asked_of_pgbench(script: str, url: str, clients: int, options: str = "") -> tuple[float, float]:
    """How many a second by so many clients, and in how many seconds 99 of 100 are done.
    ``options``: of their sessions."""
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder, "script.sql")).write_text(script)
        run = subprocess.run(
            [
                pgbench(), "--no-vacuum", "--protocol=prepared", f"--file={file}",
                f"--client={clients}", f"--jobs={min(2, clients)}", f"--time={APPEND_S}",
                "--log", f"--log-prefix={folder}/took", app_url(url),
            ],
            env=os.environ | {"PGOPTIONS": options}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode or not (tps := re.search(r"tps = ([0-9.]+)", run.stdout)):
            raise SystemExit(f"pgbench failed: {' '.join(run.stderr.split())}")
        took_us = [
            int(line.split()[2])  # client, how manieth, how long
            for each in Path(folder).glob("took.*")
            for line in each.read_text().splitlines()
        ]
    return float(tps[1]), p99(took_us) / 1e6


def p99(took: list[float] | list[int]) -> float:
    return sorted(took)[len(took) * 99 // 100]


def sealed_note(ledger: Ledger) -> StoredEvent:
    person = Person.source(PersonSourced(name="Ada Byron"), by=ANA)
    person.record(NOTE, by=ANA)
    [*_, row], _ = ledger.store.sealed(list(person.collect_events()), {})
    return row


# Import: a file of 63,869 events through the command, against what PostgreSQL takes at best.


def import_(house: House, *, tables: Sequence[str]) -> Pair:
    with psycopg.connect(house.loaded) as conn:
        facts = house.imported.facts
        copied_s = sum(copied(house, conn, table) for table in tables)
    with house.empty() as url:
        house.settle()
        with _timed() as ours:
            ours.n = house.import_into(url).facts
    assert ours.n == facts
    return facts / copied_s, ours.rate


def copied(house: House, conn: psycopg.Connection[Any], table: str) -> float:
    """Seconds to write the rows that an import left in this table once more, in one transaction,
    into one with the same columns and indexes, and no trigger. The rows are in memory, decoded."""
    rows = conn.execute(f"SELECT * FROM ledger.{table}", binary=True)
    types = [column.type_code for column in rows.description or ()]
    found = rows.fetchall()
    conn.execute("DROP TABLE IF EXISTS copied")
    conn.execute(f"CREATE TABLE copied (LIKE ledger.{table} INCLUDING ALL)")
    conn.commit()
    house.settle()
    with _timed() as timed:
        with conn.cursor() as cur, cur.copy("COPY copied FROM STDIN BINARY") as copy:
            copy.set_types(types)
            for row in found:
                copy.write_row(row)
        conn.commit()
    return timed.seconds


# Rebuild: what ``projections rebuild`` sets off in the worker, against only reading the rows.


def rebuild(house: House, *, name: str) -> Pair:
    [projection] = [p for p in every() if p.name == name]
    url = app_url(house.loaded)
    house.settle()
    with _timed() as limit:
        limit.n = read_in_pages(url)
    with house.ledger(house.loaded) as ledger, connect(url) as conn:
        driver = Driver(
            projection, lambda after, limit: ledger.store.entries(after=after, limit=limit), conn
        )
        with _timed(limit.n) as ours:
            driver.rebuild()
            assert driver.catch_up() == limit.n
    return limit.rate, ours.rate


def rebuild_by_the_library(house: House) -> Pair:
    """A runner takes one entry after the other, as the library means it, and folds each into the
    three views in transactions of its own. It opens nothing that is sealed."""
    with house.ledger(house.loaded) as ledger, mains(house, ledger) as drivers:
        for driver in drivers:
            driver.rebuild()

        class Ours(Application[UUID]):
            name = "ours"

            def construct_recorder(self) -> ApplicationRecorder:
                return ledger.store.recorder

            def construct_mapper(self) -> Mapper[UUID]:
                return EntryMapper(None, {})

        class Views(Projection[POPOTrackingRecorder]):
            done = threading.Event()

            def process_event(self, domain_event: Any, tracking: Tracking) -> None:
                for driver in drivers:
                    driver.step([domain_event])
                if tracking.notification_id == BY_THE_LIBRARY:
                    self.done.set()
                    raise Enough

        views = Views(POPOTrackingRecorder())
        with _timed(BY_THE_LIBRARY) as limit:
            runner = BaseProjectionRunner(
                projection=views,
                application_class=Ours,
                tracking_recorder=views.view,
                topics=(),
            )
            assert views.done.wait(PATIENCE_S)
        with suppress(Enough):
            runner.run_forever(PATIENCE_S)
        return limit.rate, rebuilt(drivers)


def rebuild_as_rows(house: House) -> Pair:
    with house.ledger(house.loaded) as ledger, mains(house, ledger) as drivers:
        ours = rebuilt(drivers)
        tables = [
            f"{home}.{table.name}"
            for driver in drivers
            for table in driver.projection.tables
            for home in (SCHEMA, PAST)
        ]
        conn, facts = drivers[0].conn, drivers[0].position
        rows_s = sum(unnested(house, conn, table) for table in tables)
    return facts / rows_s, ours


def unnested(house: House, conn: psycopg.Connection[Any], table: str) -> float:
    """Seconds to write the rows of this table once more into one like it, in pages. They are in
    memory, decoded."""
    conn.execute("DROP TABLE IF EXISTS unnested")
    conn.execute(f"CREATE TABLE unnested (LIKE {table} INCLUDING ALL)".encode())
    with conn.cursor(binary=True) as cur:
        cur.execute(f"SELECT * FROM {table}".encode())
        names = [column.name for column in cur.description or ()]
        types = [
            name
            for (name,) in conn.execute(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
                (table,),
            )
        ]
        found = cur.fetchall()
    arrays = ", ".join(f"%b::{type_}[]" for type_ in types)
    insert = f"INSERT INTO unnested ({', '.join(names)}) SELECT * FROM unnest({arrays})".encode()
    pages = [found[first : first + PAGE] for first in range(0, len(found), PAGE)]
    columns = [[list(column) for column in zip(*page, strict=True)] for page in pages]
    house.settle()
    with _timed() as timed:
        for page in columns:
            conn.execute(insert, page)
    return timed.seconds


@contextmanager
def mains(house: House, ledger: Ledger) -> Iterator[list[Driver]]:
    """Of the views that are asked for most."""
    with connect(app_url(house.loaded)) as conn:
        yield [
            Driver(each, lambda after, limit: ledger.store.entries(after=after, limit=limit), conn)
            for each in every()
            if each.name in MAIN
        ]


def rebuilt(drivers: Sequence[Driver]) -> float:
    """Facts a second, one view after the other."""
    with _timed() as ours:
        for driver in drivers:
            driver.rebuild()
            ours.n = driver.catch_up()
    return ours.rate


class Enough(Exception):
    """The runner has shown how fast it is."""


def rebuild_together(house: House) -> Pair:
    """As the worker does on the first start of software with other read models."""
    url = app_url(house.loaded)
    house.settle()
    with _timed() as limit:
        limit.n = read_in_pages(url)
    with house.ledger(house.loaded) as ledger, connect(url) as conn:

        def read(after: int, limit: int) -> Sequence[Entry[Event]]:
            return ledger.store.entries(after=after, limit=limit)

        for projection in every():
            Driver(projection, read, conn).rebuild()
        projector = Projector(url, read, every())
        behind = "SELECT 1 FROM projection_position WHERE position < %s"
        with ThreadPoolExecutor(1) as pool, _timed(limit.n) as ours:
            working = pool.submit(projector.run)
            while not working.done() and conn.execute(behind, (limit.n,)).fetchone():
                sleep(0.05)
            projector.stop()
            working.result()
    return limit.rate, ours.rate


def read_in_pages(url: str) -> int:
    """How many rows there were."""
    with psycopg.connect(url) as conn:
        return in_pages(conn)


def in_pages(conn: psycopg.Connection[Any]) -> int:
    """As ``read_in_pages``; psycopg as it comes."""
    page = (
        f"SELECT {COLUMNS} FROM ledger.entries WHERE notification_id > %s"
        f" ORDER BY notification_id LIMIT {PAGE}"
    )
    position = 0
    while rows := conn.execute(page, (position,)).fetchall():
        position = rows[-1][-1]
    return position


# Relay: the ledger into an empty stream, against messages that were prepared beforehand.


def relay(house: House) -> Pair:
    with house.ledger(house.loaded) as ledger:
        return asyncio.run(_relay(ledger, house.nats.url))


async def _relay(ledger: Ledger, url: str) -> Pair:
    head = await ledger.head()
    messages: list[feed.Message] = []
    while page := await ledger.rows(after=len(messages), limit=PAGE):
        messages += map(feed.message_of, page)
    nc = await feed.connect(url, name="benchmark")
    try:
        limit = await raw_batches(nc, messages)
        messages.clear()
        with _timed(head) as ours:
            assert await worker.rebuild(nc, ledger.rows) == head
        await nc.jetstream().delete_stream(feed.STREAM)
    finally:
        await nc.close()
    return limit, ours.rate


async def raw_batches(nc: Client, messages: Sequence[feed.Message]) -> float:
    """Into a stream beside the feed's; subjects of the same length, and no header but the
    batch's own. The last message of each batch is answered when the batch is stored."""
    js = nc.jetstream()
    config = StreamConfig(
        name="RAW", subjects=["raw.>"], storage=StorageType.FILE, allow_atomic=True
    )
    await js.add_stream(config)
    batches = []
    for first in range(0, len(messages), PAGE):
        batch, batch_id = [], uuid4().hex
        page = messages[first : first + PAGE]
        for number, message in enumerate(page, start=1):
            headers = {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
            if number == len(page):
                headers["Nats-Batch-Commit"] = "1"
            batch.append((f"raw{message.subject[3:]}", message.payload, headers))
        batches.append(batch)
    with _timed(len(messages)) as limit:
        for batch in batches:
            for subject, payload, headers in batch[:-1]:
                await nc.publish(subject, payload, headers=headers)
            subject, payload, headers = batch[-1]
            answer: Awaitable[Any] = nc.request(subject, payload, feed.ANSWER_S, headers=headers)
            assert b"error" not in (await answer).data
    assert (await js.stream_info("RAW")).state.last_seq == len(messages)
    await js.delete_stream("RAW")
    return limit.rate


class _Timed:
    def __init__(self, n: int) -> None:
        self.n, self.seconds = n, 0.0

    @property
    def rate(self) -> float:
        return self.n / self.seconds


@contextmanager
def _timed(n: int = 0) -> Iterator[_Timed]:
    """Of ``n`` things, which may also be said before the end."""
    gc.collect()
    timed = _Timed(n)
    began = perf_counter()
    yield timed
    timed.seconds = perf_counter() - began
