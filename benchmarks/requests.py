"""What single requests cost, by how many at once: how many a second, and in what time 99 of 100
are answered. Each beside two limits of the same run: an application of the same framework and
server that does nothing, and the statement that it has to ask, by pgbench with as many clients.

What several figures need is measured once for each run: the n-th pair of one figure is of the same
minute as the n-th of the others.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch
from uuid import UUID

import psycopg

from ledger_crm.api.snapshots import PLANNED_ONCE
from ledger_crm.cli.house import app_url
from ledger_crm.projections import SCHEMA, candidates, history, people
from ledger_crm.projections._lookup import PACKED
from ledger_crm.workers.projector import connect

from . import http
from .figures import (
    APPEND_S,
    Measured,
    Pair,
    asked_of,
    asked_of_pgbench,
    level,
    p99,
    plain_insert,
)
from .house import House

CONNECTIONS = (1, 16, 64)
PROMISED = {"get_person_16": 0.4, "get_history_16": 0.2, "post_16": 0.15}
MOST = 200  # records that are asked for, one after the other
SOMEBODY = UUID(int=1)
ONE_OF_THEM = "(SELECT id FROM asked_for WHERE n = :n)"
PERSON = "SELECT person_id FROM person ORDER BY position LIMIT %s"
ORDER = "SELECT job_order_id FROM candidacy GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %s"


class Cost(NamedTuple):
    """``p99_s``: in what time 99 of 100 were answered."""

    per_s: float
    p99_s: float


class Costs(NamedTuple):
    ours: Cost
    nothing: Cost
    sql: Cost


class Asked:
    """One request with so many connections; ``measure`` gives what a figure is made of."""

    def __init__(self, connections: int, measure: Callable[[House, int], Costs]) -> None:
        self.connections, self._measure = connections, measure
        self._runs: list[Costs] = []
        self._asked = dict.fromkeys(("", "_p99", "_sql", "_sql_p99"), 0)

    def pair(self, house: House, *, what: str) -> Pair:
        nth, self._asked[what] = self._asked[what], self._asked[what] + 1
        if nth == len(self._runs):
            self._runs.append(self._measure(house, self.connections))
        costs = self._runs[nth]
        limit = costs.sql if what.startswith("_sql") else costs.nothing
        if what.endswith("p99"):  # one over it, so that more is better
            return 1 / limit.p99_s, 1 / costs.ours.p99_s
        return limit.per_s, costs.ours.per_s


def figures() -> Iterator[Measured]:
    requests: dict[str, Callable[[House, int], Costs]] = {
        "get_person": partial(got, path="/people/{}", ids=PERSON, planned_once=True,
                              ask=lambda cur: people.card(cur, SOMEBODY)),
        "get_history": partial(got, path="/people/{}/history?limit=50", ids=PERSON,
                               planned_once=True, ask=lambda cur: history.of(
                                   cur, SOMEBODY, kind="person", before=None, limit=51)),
        "get_board": partial(got, path="/candidates?job_order_id={}&limit=50", ids=ORDER,
                             ask=lambda cur: candidates.cards(
                                 cur, job_order_id=SOMEBODY, limit=51)),
        "post": posted,
    }  # fmt: skip
    for name, measure in requests.items():
        for connections in CONNECTIONS:
            asked, whole = Asked(connections, measure), f"{name}_{connections}"
            method = "POST to" if name == "post" else "GET from"
            nothing = f"{method} an empty Litestar application, connections: {connections}"
            sql = "a plain insert" if name == "post" else "its statement"
            sql = f"{sql}, by pgbench, clients: {connections}"
            for what, unit, limit in (
                ("", "requests/s", nothing),
                ("_p99", "1/s", f"{nothing}: in what 99 of 100 are answered; ours likewise"),
                ("_sql", "requests/s", sql),
                ("_sql_p99", "1/s", f"{sql}: in what 99 of 100 are done; ours likewise"),
            ):
                yield Measured(
                    name=f"{whole}{what}",
                    unit=unit,
                    limit_name=limit,
                    floor=PROMISED.get(f"{whole}{what}"),
                    measure=partial(asked.pair, what=what),
                )


def got(
    house: House,
    connections: int,
    *,
    path: str,
    ids: str,
    ask: Callable[[Any], Any],
    planned_once: bool = False,
) -> Costs:
    """Of records out of the hiring log, whose read models are level with the ledger. ``ask``: the
    query whose statement it is."""
    url, key = level(house)
    with connect(url) as conn:
        found = [id for (id,) in conn.execute(ids.encode(), (MOST,))]
    with asked_for(house.loaded, found):
        script = f"\\set n random(1, {len(found)})\n{statement(url, ask)};\n"
        options = {"search_path": f"{SCHEMA},public", "jit": "off"}
        options |= PLANNED_ONCE if planned_once else {}
        said = " ".join(f"-c {name}={value}" for name, value in options.items())
        house.settle()
        sql = Cost(*asked_of_pgbench(script, url, connections, said))
    with http.served("") as port:
        nothing = cost(port, http.getting(["/"]), connections)
    with http.served(url) as port:
        ours = cost(port, http.getting([path.format(id) for id in found], key), connections)
    return Costs(ours, nothing, sql)


def posted(house: House, connections: int) -> Costs:
    with house.empty() as url:
        ask = asked_of(house, url)
        script = plain_insert(house, url)
        house.settle()
        sql = Cost(*asked_of_pgbench(script, url, connections))
        with http.served("") as port:
            nothing = cost(port, lambda: http.posting_nothing(), connections)
        with http.served(app_url(url)) as port:
            ours = cost(port, ask, connections)
    return Costs(ours, nothing, sql)


def cost(port: int, request: Callable[[], bytes], connections: int) -> Cost:
    """Once it is warm."""
    asyncio.run(http.answered(port, request, 1, connections))
    took_s: list[float] = []
    done = asyncio.run(http.answered(port, request, APPEND_S, connections, took_s))
    return Cost(sum(done) / APPEND_S, p99(took_s))


@contextmanager
def asked_for(owner_url: str, ids: list[UUID]) -> Iterator[None]:
    """A table of them by number, for pgbench."""
    with psycopg.connect(owner_url, autocommit=True) as conn:
        conn.execute("DROP TABLE IF EXISTS public.asked_for")
        conn.execute("CREATE TABLE public.asked_for (n int PRIMARY KEY, id uuid NOT NULL)")
        conn.execute("GRANT SELECT ON public.asked_for TO ledger_app")
        with conn.cursor() as cur:
            cur.executemany(
                "INSERT INTO public.asked_for VALUES (%s, %s)", list(enumerate(ids, start=1))
            )
        conn.execute("ANALYZE public.asked_for")
        yield
        conn.execute("DROP TABLE public.asked_for")


class Heard(Exception):
    pass


class Listening:
    """In place of a cursor: hears the statement, and answers nothing."""

    said: tuple[bytes, Any] = (b"", None)

    async def execute(self, sql: bytes, values: Any = None, **_: Any) -> None:
        self.said = (sql, values)
        raise Heard


def statement(url: str, ask: Callable[[Any], Any]) -> str:
    """As the API asks it, of one of those that are asked for."""
    cur = Listening()

    async def asking() -> None:
        await ask(cur)

    with suppress(Heard), patch.dict(PACKED, clear=True):  # in words that pgbench can be given
        asyncio.run(asking())
    with psycopg.connect(url) as conn:
        text = psycopg.ClientCursor(conn).mogrify(*cur.said)
    text = text.replace(f"'{{{SOMEBODY.hex}}}'", f"ARRAY[{ONE_OF_THEM}]")
    text = text.replace(f"'{SOMEBODY.hex}'", ONE_OF_THEM)
    assert ONE_OF_THEM in text, text
    # pgbench takes any colon but a cast's for a variable's
    assert set(re.findall(r"(?<!:):(?!:)(\w+)", text)) == {"n"}, text
    return " ".join(text.split())
