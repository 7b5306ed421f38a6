"""``python -m benchmarks``: one JSON line per figure; progress and verdict on standard error."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import psycopg
import structlog

from ledger_crm import cli
from ledger_crm.embedded import EmbeddedError

from . import figures, house, requests, results


def main(argv: Sequence[str] | None = None) -> int:
    asked = arguments(argv)
    gc.set_threshold(*cli.COLLECT)  # as the program does
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        if asked.table:
            found = results.read(asked.table.read_bytes())
            print(results.table(found))
        else:
            found = measured(asked.only, asked.runs)
        if asked.json:
            asked.json.write_bytes(results.written(found))
    except (OSError, EmbeddedError) as fault:
        sys.exit(str(fault))
    except msgspec.MsgspecError as fault:
        sys.exit(f"{asked.table} is not what --json writes: {fault}")
    for broken in (under := results.broken(found.figures)):
        print(f"under its floor: {broken}", file=sys.stderr)
    return 1 if asked.check and under else 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="NAME",
        help="this figure, or all whose name begins so (append); may be repeated")  # fmt: skip
    add("--runs", type=positive, default=5, metavar="N", help="pairs of each figure (5)")
    add("--check", action="store_true", help="exit code 1 if a figure is under its floor")
    add("--json", type=Path, metavar="FILE", help="write the results here too")
    add("--table", type=Path, metavar="FILE",
        help="measure nothing: print what --json wrote as a Markdown table")  # fmt: skip
    return parser.parse_args(argv)


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def measured(only: Sequence[str], runs: int) -> results.Results:
    """Raises EmbeddedError."""
    there = [*figures.figures(), *requests.figures()]
    chosen = [m for m in there if named(m.name, only)]
    if not chosen:
        names = ", ".join(m.name for m in there)
        sys.exit(f"no figure is called {', '.join(only)}; there are {names}")
    with house.opened() as servers:
        machine = described(servers)
        found = list(figures_of(servers, chosen, runs))
    return results.Results(machine=machine, figures=found)


def named(name: str, only: Sequence[str]) -> bool:
    return not only or any(name == o or name.startswith(f"{o}_") for o in only)


def figures_of(
    servers: house.House, chosen: Sequence[figures.Measured], runs: int
) -> Iterator[results.Figure]:
    for m in chosen:
        pairs = []
        for run in range(1, runs + 1):
            print(f"{m.name}: {run} of {runs}", file=sys.stderr, flush=True)
            pairs.append(m.measure(servers))
        figure = results.figure(m.name, m.unit, m.limit_name, m.floor, pairs, servers.note)
        print(results.line(figure), flush=True)
        yield figure


def described(servers: house.House) -> dict[str, str]:
    with psycopg.connect(servers.postgres.url) as conn:
        version = f"{conn.info.server_version // 10_000}.{conn.info.server_version % 10_000}"
    return {
        "cores": str(os.cpu_count()),
        "load when it began": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "PostgreSQL": version,
        "system": f"{platform.system()} {platform.machine()}",
    }


if __name__ == "__main__":
    sys.exit(main())
