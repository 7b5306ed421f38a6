"""Processor time, which says something also where others use the machine: of an imported entry, and
of a request that is written, that is refused, and of twenty of which one is refused.

    python -m benchmarks.ran import --runs 5
    python -m benchmarks.ran post --runs 3

One JSON line per run to standard output, in µs; the medians last.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time, thread_time

import msgspec
import psycopg

from ledger_crm.cli.house import app_url

from . import figures, house, http

Spent = dict[str, float]
EVERY = {"written": 0, "of twenty one refused": 20, "refused": 1}


def imported(at: house.House) -> Spent:
    """deciding: the thread of the import's own; beside: those that ask the database for it."""
    with at.empty() as url, at.ledger(url) as ledger:
        at.settle()
        own_s, all_s = thread_time(), process_time()
        facts = at.import_by(ledger).facts
        own_s, all_s = thread_time() - own_s, process_time() - all_s
        database_s = backends_ran_s(url)
        spent_s = {"deciding": own_s, "beside": all_s - own_s, "database": database_s}
        return {name: each * 1e6 / facts for name, each in spent_s.items()}


def posted(at: house.House) -> Spent:
    spent: Spent = {}
    for name, stale in EVERY.items():
        with at.empty() as url:
            ask = figures.asked_of(at, url, stale=stale)
            at.settle()
            with http.process(app_url(url)) as (port, pid):
                asyncio.run(http.answered(port, ask, 1))
                api_s, database_s = ran_s(pid), backends_ran_s(url)
                done = sum(asyncio.run(http.answered(port, ask, figures.APPEND_S)))
                spent[f"{name}, api"] = (ran_s(pid) - api_s) * 1e6 / done
                spent[f"{name}, database"] = (backends_ran_s(url) - database_s) * 1e6 / done
    return spent


def ran_s(pid: int) -> float:
    """All threads of a process."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def backends_ran_s(url: str) -> float:
    """Those of a database that are there."""
    with psycopg.connect(url) as conn:
        pids = conn.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
        return sum(ran_s(pid) for [pid] in pids)


def main() -> None:
    what: dict[str, Callable[[house.House], Spent]] = {"import": imported, "post": posted}
    parser = argparse.ArgumentParser(description="Processor time of an entry, or of a request.")
    parser.add_argument("what", choices=sorted(what))
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    runs: list[Spent] = []
    with house.opened() as at:
        for n in range(asked.runs + 1):
            spent = what[asked.what](at)
            if n:  # the first has caches to fill
                runs.append(spent)
                told(spent)
    told({name: median(run[name] for run in runs) for name in runs[0]})


def told(spent: Spent) -> None:
    rounded = {name: round(each, 1) for name, each in spent.items()}
    print(msgspec.json.encode(rounded).decode(), flush=True)


if __name__ == "__main__":
    main()
