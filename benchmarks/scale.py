"""``python -m benchmarks.scale``: what an operation costs, and how much memory each process takes,
on ledgers of several sizes; each as a ratio to the smallest, asked in turns in the same minutes.

The ledgers are made by importing applications of the hiring log's shape, about 7.4 entries a
person, the same every time. One JSON line per operation and size goes to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import TypeAlias
from uuid import UUID

import msgspec
import psycopg

from ledger_crm.api.reading import sealed
from ledger_crm.cli.house import app_url
from ledger_crm.cli.logs import log_as_json
from ledger_crm.commands.catalogue import create_key
from ledger_crm.commands.importing import import_csv, load_mapping
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.workers import feed, relay
from ledger_crm.workers.projector import Projector, connect

from . import house, http
from .figures import ANA, INTENT, NOTE, read_in_pages

SIZES = (10_000, 100_000, 1_000_000)
ENTRIES_A_PERSON = 7.4
OPERATION_S = 2
SAMPLE = 400  # people, from all over the ledger
READS = {
    "get_person": "/people/{person}",
    "get_history": "/people/{person}/history?limit=50",
    "list_people": "/people?limit=50",
    "list_people_deep": "/people?limit=50&cursor={middle}",
    "board": "/candidates?pipeline=hiring_log&limit=50",
    "as_of_person": "/people/{person}?as_of={position}",
    "as_of_people": "/people?limit=50&as_of={position}",
}

Operation: TypeAlias = Callable[[], float]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """``cost`` in µs an operation, or MB; ``ratio`` to that of the smallest ledger, the median of
    pairs in turns, with its least and greatest."""

    name: str
    entries: int
    cost: float
    unit: str
    ratio: float
    spread: tuple[float, float]


class Sized(msgspec.Struct, kw_only=True):
    """A ledger, and what it took to make it: ``made``, by name, in µs an entry, and MB."""

    url: str
    entries: int
    people: list[UUID]
    made: dict[str, tuple[float, str]]
    key: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    add = parser.add_argument
    add("--entries", type=int, nargs="+", default=SIZES, help="how large the ledgers are, at least")
    add("--runs", type=int, default=5, help="turns of each operation (5)")
    add("--json", type=Path, metavar="FILE", help="write the results here too")
    add("--svg", type=Path, metavar="FILE", help="draw the ratios over the size")
    add("--draw", type=Path, metavar="FILE", help="measure nothing: draw what --json wrote")
    asked = parser.parse_args(argv)
    if asked.draw:
        points = msgspec.json.decode(asked.draw.read_bytes(), type=list[Point])
    else:
        points = measured(sorted(asked.entries), asked.runs)
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(points), indent=1) + b"\n")
    if asked.svg:
        draw(points, asked.svg)
    return 0


def measured(sizes: Sequence[int], runs: int) -> list[Point]:
    points: list[Point] = []

    def found(name: str, unit: str, costs: Sequence[Sequence[float]]) -> None:
        """``costs``: of each size, in turns."""
        for sized, mine in zip(ledgers, costs, strict=True):
            ratios = [m / first for m, first in zip(mine, costs[0], strict=True)]
            point = Point(
                name=name,
                entries=sized.entries,
                cost=round(median(mine), 1),
                unit=unit,
                ratio=round(median(ratios), 3),
                spread=(round(min(ratios), 3), round(max(ratios), 3)),
            )
            points.append(point)
            print(msgspec.json.encode(point).decode(), flush=True)

    with house.opened() as servers, ExitStack() as stack:
        ledgers = [made(servers, size) for size in sizes]
        for name, (_, unit) in ledgers[0].made.items():
            found(name, unit, [[each.made[name][0]] for each in ledgers])
        asked = []
        for each in ledgers:
            with servers.ledger(each.url) as ledger:
                _, each.key = asyncio.run(create_key(ledger, actor="consultant:ana"))
            asked.append(stack.enter_context(http.process(app_url(each.url))))
        for name, path in READS.items():
            reads = [
                reading(each, port, path) for each, (port, _) in zip(ledgers, asked, strict=True)
            ]
            found(name, "µs", in_turns(reads, runs))
        found("memory_api", "MB", [[peak_mb(pid)] for _, pid in asked])
        for name, warm in (("command_cold", False), ("command_warm", True)):
            commands = [commanding(each, warm=warm) for each in ledgers]
            found(name, "µs", in_turns(commands, runs))
    return points


def in_turns(operations: Sequence[Operation], runs: int) -> list[list[float]]:
    costs: list[list[float]] = [[] for _ in operations]
    for _ in range(runs):
        for operation, mine in zip(operations, costs, strict=True):
            mine.append(operation() * 1e6)
    return costs


# A ledger of a size, with its read models and its feed, each made by a process of its own.


def made(servers: house.House, size: int) -> Sized:
    print(f"making {size:,} entries", file=sys.stderr, flush=True)
    url = servers.make()
    took: dict[str, tuple[float, str]] = {}

    def alone(part: str, *arguments: object) -> int:
        """In a process of its own. How many entries there are."""
        program = [sys.executable, "-m", "benchmarks.scale", "--part", part, *map(str, arguments)]
        done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
        took_s, peak = map(float, done.stdout.split())
        entries = read_in_pages(app_url(url))
        took[part], took[f"memory_{part}"] = (took_s * 1e6 / entries, "µs"), (peak, "MB")
        return entries

    entries = alone("import", url, size)
    alone("project", url, entries)
    alone("relay", url, servers.nats.url)
    with connect(app_url(url)) as conn:
        conn.execute("ANALYZE")
        one = "SELECT person_id FROM person WHERE position > %s ORDER BY position LIMIT 1"
        found = [conn.execute(one, (entries * n // SAMPLE,)).fetchall() for n in range(SAMPLE)]
    return Sized(url=url, entries=entries, people=[rows[0][0] for rows in found if rows], made=took)


def part(name: str, url: str, about: str) -> None:
    """Prints seconds and MB. ``about``: how many entries to import, or have projected; or where the
    broker is."""
    log_as_json("warning")
    began = perf_counter()
    with Ledger(app_url(url), house.KEYRING) as ledger:

        def read(after: int, limit: int) -> Sequence[Entry[Event]]:
            return ledger.store.entries(after=after, limit=limit)

        if name == "import":
            with tempfile.TemporaryFile() as source:
                house.synthesise(source, cases=round(int(about) / ENTRIES_A_PERSON))
                source.seek(0)
                began = perf_counter()
                asyncio.run(import_csv(ledger, source, load_mapping(house.MAPPING)))
        elif name == "project":
            projector = Projector(app_url(url), read, every())
            with ThreadPoolExecutor(1) as pool:
                working = pool.submit(projector.run)
                wait_until_level(url, int(about))
                projector.stop()
                working.result()
        else:
            asyncio.run(_relay(ledger, about))
        print(perf_counter() - began, peak_mb("self"))


async def _relay(ledger: Ledger, broker: str) -> None:
    nc = await feed.connect(broker, name="benchmark")
    try:
        await relay.rebuild(nc, ledger.rows)
        await nc.jetstream().delete_stream(feed.STREAM)
    finally:
        await nc.close()


def wait_until_level(url: str, position: int) -> None:
    behind = "SELECT count(*) FROM projection_position WHERE position >= %s"
    with connect(app_url(url)) as conn:
        while True:
            try:
                if conn.execute(behind, (position,)).fetchall() == [(len(every()),)]:
                    return
            except psycopg.errors.UndefinedTable:
                pass
            sleep(0.1)


def peak_mb(process: int | str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    [kb] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kb) / 1024


# Operations: each says what one took, on average over two seconds.


def reading(sized: Sized, port: int, path: str) -> Operation:
    """By one client, one after the other."""
    middle = sealed(sized.entries // 2)
    paths = [
        path.format(person=id, middle=middle, position=sized.entries // 2) for id in sized.people
    ]
    ask = http.getting(paths, sized.key)
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


def draw(points: Sequence[Point], out: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ledger-crm", "font.size": 10}):
        figure = Figure(figsize=(9, 5), layout="constrained")
        axis = figure.subplots()
        for name in dict.fromkeys(p.name for p in points):
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
