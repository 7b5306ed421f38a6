"""``python -m benchmarks.scale``: what an operation costs, and how much memory each process takes,
on ledgers of several sizes; each as a ratio to the smallest, asked in turns in the same minutes.

The ledgers are made by importing applications of the hiring log's shape, about five entries a
person, the same every time. A large one takes an hour: ``--folder`` keeps them, and whoever is
stopped goes on where it was. One JSON line per operation and size goes to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import Any, TypeAlias
from unittest.mock import patch
from uuid import UUID

import msgspec
import psycopg

from ledger_crm import cli
from ledger_crm.api import cursors
from ledger_crm.cli.house import app_url
from ledger_crm.cli.logs import log_as_json
from ledger_crm.commands.catalogue import create_key
from ledger_crm.commands.importing import import_csv, load_mapping
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.person import Person
from ledger_crm.embedded import Nats
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.workers import feed, relay
from ledger_crm.workers.projector import Crew, Driver, connect

from . import house, http, live
from .figures import ANA, INTENT, NOTE, in_pages

SIZES = (10_000, 100_000, 1_000_000)
STEPS_BETWEEN = (0, 4)
ENTRIES_A_CASE = 4.9
CASES = 100_000  # that a process imports
MORE_CASES = 400  # that an operation imports
OPERATION_S = 2
LATE = 10_000  # positions, further than facts are told out of order
SAMPLE = 400  # people, from all over the ledger but its last fifth
READS = {
    "get_person": "/people/{person}?",
    "get_history": "/people/{person}/history?limit=50",
    "list_people": "/people?limit=50",
    "board": "/candidates?pipeline=hiring_log&limit=50",
}
DEEP = {"list_people_deep": "/people?limit=50&cursor={middle}"}
NOTED = "made.json"
REBUILT = ("together", "people", "candidates", "history")  # that are drawn
THEN = {"as_of": "&as_of={then}", "as_it_was": "&as_of={at}&known=now"}  # nine tenths of it

Cursor: TypeAlias = psycopg.Cursor[Any]
Operation: TypeAlias = Callable[[], float]
"""Says what one took, in seconds."""


MOST_GROWN = 1.5  # times what a read, a page or a command costs in the smallest ledger
MOST_MB = 250  # of a process


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """``cost`` in µs an operation, or MB; ``ratio`` to that of the smallest ledger, the median of
    pairs in turns, with its least and greatest. ``to_limit``: on the same ledger, of what is asked
    as of a moment the ratio to the same of the present; of a rebuild, which is in processor time
    an entry, that to reading the same rows with psycopg in pages."""

    name: str
    entries: int
    cost: float
    unit: str
    ratio: float
    spread: tuple[float, float]
    to_limit: float | None = None


class Sized(msgspec.Struct, kw_only=True):
    """A ledger of its own, in a database and a folder of the broker: how many cases are imported,
    at most how many MB each process took to make it, by name, and what `projected` says."""

    url: str
    folder: str
    cases: int = 0
    peaks_mb: dict[str, float] = {}
    built_us: dict[str, float] = {}
    entries: int = 0
    people: list[UUID] = []
    at: str = ""
    key: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    add = parser.add_argument
    add("--entries", type=int, nargs="+", default=SIZES, help="how large the ledgers are, at least")
    add("--only", default="", metavar="NAME", help="of reads and writes that whose name begins so")
    add("--runs", type=int, default=5, help="turns of each operation (5); 0 only makes the ledgers")
    add("--folder", type=Path, metavar="FOLDER", help="where the ledgers are made, or are already")
    add("--again", action="store_true", help="build the read models again, if they are there")
    add("--check", action="store_true", help="exit code 1 if something grows too much")
    add("--json", type=Path, metavar="FILE", help="write the results here too")
    add("--svg", type=Path, metavar="FILE", help="draw the ratios over the size")
    add("--draw", type=Path, metavar="FILE", help="measure nothing: draw what --json wrote")
    asked = parser.parse_args(argv)
    if asked.draw:
        points = msgspec.json.decode(asked.draw.read_bytes(), type=list[Point])
    else:
        with tempfile.TemporaryDirectory(prefix="ledger-benchmarks-") as temporary:
            folder = (asked.folder or Path(temporary)).resolve()
            points = measured(
                folder, sorted(asked.entries), asked.runs, again=asked.again, only=asked.only
            )
    if asked.only and not points:
        parser.error(f"no read or write has a name that begins with {asked.only}")
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(points), indent=1) + b"\n")
    if asked.svg:
        draw(points, asked.svg)
    for grown in (found := too_much(points)):
        print(f"over its limit: {grown}", file=sys.stderr)
    return 1 if asked.check and found else 0


def too_much(points: Sequence[Point]) -> list[str]:
    """A read, a page or a command that costs more than half as much again as in the smallest
    ledger, and a process that takes more memory than it may, whatever the size."""
    return [
        f"{each.name} at {each.entries:,} entries: {over}"
        for each in points
        if (over := _over(each))
    ]


def _over(point: Point) -> str:
    if point.unit == "MB":
        return f"{point.cost:.0f} MB of {MOST_MB}" if point.cost > MOST_MB else ""
    if point.name.startswith(("get_", "list_", "board", "command_", "post")):
        return f"{point.ratio:.2f} of {MOST_GROWN}" if point.ratio > MOST_GROWN else ""
    return ""


def measured(
    folder: Path, sizes: Sequence[int], runs: int, *, again: bool, only: str
) -> list[Point]:
    """``only``: what the names of operations begin with."""
    points: list[Point] = []

    def found(
        name: str,
        unit: str,
        costs: Sequence[Sequence[float]],
        limits: Sequence[Sequence[float]] | None = None,
    ) -> None:
        """``costs``: of each size, in turns."""
        for nth, (sized, mine) in enumerate(zip(ledgers, costs, strict=True)):
            ratios = quotients(mine, costs[0])
            point = Point(
                name=name,
                entries=sized.entries,
                cost=round(median(mine), 1),
                unit=unit,
                ratio=round(median(ratios), 3),
                spread=(round(min(ratios), 3), round(max(ratios), 3)),
                to_limit=round(median(quotients(mine, limits[nth])), 3) if limits else None,
            )
            points.append(point)
            print(msgspec.json.encode(point).decode(), flush=True)

    log_as_json("warning")
    with house.opened(folder) as servers, ExitStack() as stack:
        ledgers = [made(servers, folder / str(size), size, again=again) for size in sizes]
        if not runs:
            return points
        for sized in ledgers:
            prepare(servers, sized)
        servers.settle()
        asked = [stack.enter_context(http.process(app_url(each.url))) for each in ledgers]
        ports = [port for port, _ in asked]
        for name, path in READS.items():
            if not name.startswith(only):
                continue
            paths = [path + then for then in ("", *THEN.values())]
            asked_of = [
                reading(*each, path) for path in paths for each in zip(ledgers, ports, strict=True)
            ]
            present, *past = batched(in_turns(asked_of, runs), len(ledgers))
            found(name, "µs", present)
            for sense, costs in zip(THEN, past, strict=True):
                found(f"{name}_{sense}", "µs", costs, present)
        for name, path in DEEP.items():
            if not name.startswith(only):
                continue
            deep = [reading(*each, path) for each in zip(ledgers, ports, strict=True)]
            found(name, "µs", in_turns(deep, runs))
        if "post".startswith(only):
            posts = [posting(*each) for each in zip(ledgers, ports, strict=True)]
            found("post", "µs", in_turns(posts, runs))
        if "memory_api".startswith(only):
            found("memory_api", "MB", [[peak_mb(pid)] for _, pid in asked])
        for name, warm in (("command_cold", False), ("command_warm", True)):
            if not name.startswith(only):
                continue
            commands = [commanding(each, warm=warm) for each in ledgers]
            found(name, "µs", in_turns(commands, runs))
        if only:
            return points
        for each in ledgers:
            stack.enter_context(live.projecting(app_url(each.url)))
        for each in ledgers:
            wait_until_level(each.url, head(each.url))
        for name, seen in (("import", False), ("import_until_seen", True)):
            growths = [growing(each, until_seen=seen) for each in ledgers]
            found(name, "µs", in_turns(growths, runs))
        found("publish", "µs", in_turns([publishing(each) for each in ledgers], runs))
        for name in ledgers[0].built_us:
            limits = [[each.built_us["reading"]] for each in ledgers]
            found(f"rebuild_{name}", "µs", [[each.built_us[name]] for each in ledgers], limits)
        for name in ledgers[0].peaks_mb:
            found(f"memory_{name}", "MB", [[each.peaks_mb[name]] for each in ledgers])
    return points


def in_turns(operations: Sequence[Operation], runs: int) -> list[list[float]]:
    """Each of them once, and so ``runs`` times over; µs."""
    costs: list[list[float]] = [[] for _ in operations]
    for _ in range(runs):
        for operation, mine in zip(operations, costs, strict=True):
            mine.append(operation() * 1e6)
    return costs


def batched(costs: Sequence[list[float]], n: int) -> list[Sequence[list[float]]]:
    return [costs[at : at + n] for at in range(0, len(costs), n)]


def quotients(mine: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(mine, others, strict=True)]


# A ledger of a size, with its read models and its feed, each made by processes of its own.


def made(servers: house.House, folder: Path, size: int, *, again: bool) -> Sized:
    folder.mkdir(parents=True, exist_ok=True)
    sized = Sized(url="", folder=str(folder))
    if (note := folder / NOTED).exists():
        sized = msgspec.json.decode(note.read_bytes(), type=Sized)
    sized.url, sized.folder = servers.make(f"scale_{size}"), str(folder)

    def alone(name: str, *arguments: object) -> None:
        program = [sys.executable, "-m", "benchmarks.scale", "--part", name, *map(str, arguments)]
        done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
        peak, built = msgspec.json.decode(done.stdout, type=tuple[float, dict[str, float]])
        sized.built_us |= built
        sized.peaks_mb[name] = max(peak, sized.peaks_mb.get(name, 0.0))

    def told(what: str) -> None:
        keep(sized)
        print(f"{size:,} entries: {what}", file=sys.stderr, flush=True)

    cases = round(size / ENTRIES_A_CASE)
    while sized.cases < cases:
        number = min(CASES, cases - sized.cases)
        alone("import", sized.url, sized.cases + 1, number)
        sized.cases += number
        told(f"{sized.cases:,} of {cases:,} people imported")
    if "publish" not in sized.peaks_mb:
        with broker(sized) as url:
            alone("publish", sized.url, url)
        told("published")
    if again or "project" not in sized.peaks_mb:
        sized.peaks_mb.pop("project", None)
        servers.settle()
        alone("project", sized.url)
        with connect(app_url(sized.url)) as conn:
            conn.execute("ANALYZE")
        told("projected")
    return sized


def keep(sized: Sized) -> None:
    Path(sized.folder, NOTED).write_bytes(msgspec.json.encode(sized))


def prepare(servers: house.House, sized: Sized) -> None:
    sized.entries = head(sized.url)
    upto = sized.entries * 4 // 5
    with connect(app_url(sized.url)) as conn:
        one = "SELECT person_id FROM person WHERE position > %s ORDER BY position LIMIT 1"
        found = [conn.execute(one, (upto * n // SAMPLE,)).fetchall() for n in range(SAMPLE)]
        then = sized.entries * 9 // 10
        last = "SELECT max(at) FROM history WHERE position BETWEEN %s AND %s"
        [[at]] = conn.execute(last, (then - LATE, then)).fetchall()  # all that came before was so
        sized.people, sized.at = [rows[0][0] for rows in found if rows], at.isoformat()[:-6] + "Z"
        with servers.ledger(sized.url) as ledger:
            _, sized.key = asyncio.run(create_key(ledger, actor="consultant:ana"))
            pages = lambda after, limit: ledger.store.entries(after=after, limit=limit)  # noqa: E731
            assert Crew(conn, pages, every()).catch_up() == {}


def part(name: str, url: str, *about: str) -> None:
    """Prints the most memory that it took, MB, and what each read model cost."""
    gc.set_threshold(*cli.COLLECT)
    log_as_json("warning")
    built_us: dict[str, float] = {}
    with Ledger(app_url(url), house.KEYRING) as ledger:
        if name == "import":
            first, cases = map(int, about)
            imported(ledger, first, cases)
        elif name == "publish":
            asyncio.run(published(ledger, *about))
        else:
            built_us = projected(ledger, url)
    print(msgspec.json.encode((peak_mb("self"), built_us)).decode())


def projected(ledger: Ledger, url: str) -> dict[str, float]:
    """All read models anew, as a projector builds them together; of each, µs of processor time an
    entry that it would have taken alone, of this process and of the database: to read and open
    every entry, to fold it and to write. ``reading``: only to read the rows."""
    with psycopg.connect(app_url(url)) as conn:
        began_s, backend_s = process_time(), ran_s(conn)
        entries = in_pages(conn)
        fetching_s = ran_s(conn) - backend_s
        reading_s = process_time() - began_s + fetching_s
    alone_s = dict.fromkeys([projection.name for projection in every()], 0.0)
    opening_s, project, ready = fetching_s, Driver.project, Driver.ready

    def timed(work: Callable[..., None]) -> Callable[..., None]:
        def working(driver: Driver, *about: Any) -> None:
            before_s = process_time() + ran_s(driver.conn)
            work(driver, *about)
            alone_s[driver.name] += process_time() + ran_s(driver.conn) - before_s

        return working

    def read(after: int, limit: int) -> Sequence[Entry[Event]]:
        nonlocal opening_s
        before_s = process_time()
        page = ledger.store.entries(after=after, limit=limit)
        opening_s += process_time() - before_s
        return page

    with (
        connect(app_url(url)) as conn,
        patch.object(Driver, "project", timed(project)),
        patch.object(Driver, "ready", timed(ready)),
    ):
        conn.execute("SET max_parallel_maintenance_workers = 0")  # their time would not be seen
        for projection in every():
            Driver(projection, read, conn).rebuild()
        before_s = process_time() + ran_s(conn) - fetching_s
        assert Crew(conn, read, every()).catch_up() == {}
        together_s = process_time() + ran_s(conn) - before_s
    took_s = {name: spent_s + opening_s for name, spent_s in alone_s.items()}
    took_s |= {"together": together_s, "reading": reading_s}
    return {name: spent_s * 1e6 / entries for name, spent_s in took_s.items()}


def ran_s(conn: psycopg.Connection[Any]) -> float:
    """Processor time of the database's process at the other end."""
    return int(Path(f"/proc/{conn.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def imported(ledger: Ledger, first: int, cases: int) -> float:
    """How long it took, s."""
    with tempfile.TemporaryFile() as source:
        house.synthesise(source, first=first, cases=cases, between=STEPS_BETWEEN)
        source.seek(0)
        began = perf_counter()
        asyncio.run(import_csv(ledger, source, load_mapping(house.MAPPING)))
        return perf_counter() - began


@contextmanager
def broker(sized: Sized) -> Iterator[str]:
    with Nats(Path(sized.folder, "nats")) as nats:
        yield nats.url


async def published(ledger: Ledger, url: str) -> None:
    """Until the feed is where the ledger is."""
    stop = asyncio.Event()
    last = await ledger.head()

    def progress(position: int) -> None:
        if position >= last:
            stop.set()

    await relay.Relay(
        lambda: feed.connect(url, name="benchmark"), ledger.rows, stop=stop, progress=progress
    ).run()


def head(url: str) -> int:
    with connect(app_url(url)) as conn:
        [[position]] = conn.execute("SELECT max(notification_id) FROM ledger.entries").fetchall()
        return int(position)


def wait_until_level(url: str, position: int) -> None:
    there = "SELECT count(*) FROM projection_position WHERE position >= %s"
    with connect(app_url(url)) as conn:
        while True:
            try:
                if conn.execute(there, (position,)).fetchall() == [(len(every()),)]:
                    return
            except psycopg.errors.UndefinedTable:
                pass
            sleep(0.01)


def peak_mb(process: int | str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    [kb] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kb) / 1024


# Operations.


def reading(sized: Sized, port: int, path: str) -> Operation:
    """By one client, one after the other."""
    people = cursors.Cursors(house.KEYRING, cursors.of("/people"))
    middle, then = people.sealed(sized.entries // 2), sized.entries * 9 // 10
    at = sized.at
    paths = [path.format(person=id, middle=middle, then=then, at=at) for id in sized.people]
    ask = http.getting(paths, sized.key)
    asyncio.run(http.answered(port, ask, 1, connections=1))
    return lambda: (
        OPERATION_S / sum(asyncio.run(http.answered(port, ask, OPERATION_S, connections=1)))
    )


def posting(sized: Sized, port: int) -> Operation:
    ask = http.posting(sized.people, sized.key)
    asyncio.run(http.answered(port, ask, 1, connections=1))
    return lambda: (
        OPERATION_S / sum(asyncio.run(http.answered(port, ask, OPERATION_S, connections=1)))
    )


def commanding(sized: Sized, *, warm: bool) -> Operation:
    """A note on each of the sample, whom this process has looked at before, or not."""

    async def note(ledger: Ledger) -> None:
        for id in sized.people:
            await ledger.change(Person, id, lambda p: p.record(NOTE, by=ANA), intent=INTENT)

    def operation() -> float:
        with Ledger(app_url(sized.url), house.KEYRING) as ledger:
            for _ in range(1 + warm):
                began = perf_counter()
                asyncio.run(note(ledger))
                took_s = perf_counter() - began
        return took_s / len(sized.people)

    return operation


def growing(sized: Sized, *, until_seen: bool) -> Operation:
    """An imported fact; or one until it is in every read model, while a projector runs."""

    def operation() -> float:
        before = head(sized.url)
        with Ledger(app_url(sized.url), house.KEYRING) as ledger:
            took_s = more(ledger, sized)
        began, after = perf_counter(), head(sized.url)
        wait_until_level(sized.url, after)
        return (took_s + until_seen * (perf_counter() - began)) / (after - before)

    return operation


def more(ledger: Ledger, sized: Sized) -> float:
    took_s = imported(ledger, sized.cases + 1, MORE_CASES)
    sized.cases += MORE_CASES
    keep(sized)
    return took_s


def publishing(sized: Sized) -> Operation:
    """A fact of those that were imported since the feed was last level."""

    def operation() -> float:
        with Ledger(app_url(sized.url), house.KEYRING) as ledger, broker(sized) as url:
            more(ledger, sized)
            asyncio.run(published(ledger, url))
            before = head(sized.url)
            more(ledger, sized)
            began = perf_counter()
            asyncio.run(published(ledger, url))
            return (perf_counter() - began) / (head(sized.url) - before)

    return operation


def draw(points: Sequence[Point], out: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ledger-crm", "font.size": 9}):
        figure = Figure(figsize=(11, 8), layout="constrained")
        axis = figure.subplots()
        drawn = [
            p.name
            for p in points
            if p.name.removeprefix("rebuild_") in REBUILT or not p.name.startswith("rebuild_")
        ]
        for name in dict.fromkeys(drawn):
            mine = [p for p in points if p.name == name]
            axis.plot([p.entries for p in mine], [p.ratio for p in mine], marker="o", label=name)
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.axhline(1, color="grey", linewidth=0.5)
        axis.set_xlabel("entries in the ledger")
        axis.set_ylabel("cost of one, as a ratio to the smallest ledger")
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
        figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        part(*sys.argv[2:])
    else:
        sys.exit(main())
