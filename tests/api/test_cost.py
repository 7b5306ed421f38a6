"""What a read costs: how often the database is asked, and how much of it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from api.cost import LARGE, ended, fill
from api.journey import ENGINES, written
from ledger_crm.api import past, snapshots
from ledger_crm.api.snapshots import Pool, Reads
from ledger_crm.ledger import Ledger, Unavailable
from ledger_crm.projections import Lookup, history, people

pytestmark = pytest.mark.anyio


async def test_a_history_reads_no_links_but_its_own(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    pool: Pool,
    project: Callable[[], None],
    owner_database: str,
) -> None:
    """Also where nearly all of them are of one company: then the database would rather read them
    from end to end, and for a person it need not look at any."""
    person = await fill(ledger)
    company = (await written(ana, "/companies", ENGINES))["id"]
    project()
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO read.history_link (company_id, person_id, reason_id)"
            " SELECT 'ffffffff-ffff-4fff-bfff-ffffffffffff', gen_random_uuid(), gen_random_uuid()"
            " FROM generate_series(1, %s)",
            (LARGE,),
        )
        owner.execute("ANALYZE")
        owner.execute("SELECT pg_stat_reset()")
        for page in (f"/people/{person}/history", f"/companies/{company}/history"):
            assert (await ana.get(page)).status_code == 200
        await ended(pool, owner)
        read = owner.execute(
            "SELECT coalesce(seq_scan, 0), coalesce(idx_scan, 0), coalesce(idx_tup_fetch, 0)"
            " FROM pg_stat_user_tables WHERE schemaname = 'read' AND relname = 'history_link'"
        ).fetchone()
    assert read is not None
    seq_scans, index_scans, rows = read
    assert (seq_scans, rows) == (0, 0)
    assert 1 <= index_scans <= 4, "the company's, whether they are many, and any of them is merged"


def tell(owner: psycopg.Connection[Any], whom: str) -> list[int]:
    """A note a minute on each of these, in one order; the positions, the newest first."""
    [(so_far,)] = owner.execute("SELECT coalesce(max(position), 0) FROM read.history").fetchall()
    told = owner.execute(
        "INSERT INTO read.history (position, person_id, at, recorded_at, by, kind, line, text)"
        " SELECT %s + nth, id, '2099-01-01'::timestamptz + (%s + nth) * interval '1 minute',"
        "  now(), 'consultant:ana', 'person.note_written', 'note', ''"
        f" FROM ({whom}) people (id, nth) RETURNING position",
        (so_far, so_far),
    )
    return sorted((position for (position,) in told.fetchall()), reverse=True)


async def test_a_company_with_many_people_reads_what_its_history_shows(
    ana: httpx.AsyncClient, pool: Pool, project: Callable[[], None], owner_database: str
) -> None:
    """And not the newest of each, also where one of them is merged."""
    company = (await written(ana, "/companies", ENGINES))["id"]
    project()

    async def shown(**params: Any) -> list[int]:
        return [line["position"] for line in (await page(**params))["items"]]

    async def page(**params: Any) -> Any:
        answer = await ana.get(f"/companies/{company}/history", params={"limit": 20} | params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO read.history_link (company_id, person_id, reason_id)"
            " SELECT %s, gen_random_uuid(), gen_random_uuid() FROM generate_series(1, %s)",
            (company, history.MANY + 100),
        )
        theirs = "SELECT person_id, 2 * row_number() OVER () FROM read.history_link"
        others = "SELECT gen_random_uuid(), 2 * row_number() OVER () - 1 FROM read.history_link"
        newest = tell(owner, f"{theirs} UNION ALL {others}")[:80:2]
        owner.execute("VACUUM ANALYZE")
        owner.execute("SELECT pg_stat_force_next_flush()")  # or what was inserted is told later
        owner.execute("SELECT pg_stat_reset()")
        first = await page()
        assert [line["position"] for line in first["items"]] == newest[:20]
        assert await shown(cursor=first["next"]) == newest[20:]
        assert await shown(kind="person.note_written") == newest[:20]
        owner.execute(
            "INSERT INTO read.directory_merge (id, survivor_id, since, chain)"
            " SELECT person_id, gen_random_uuid(), now(), '' FROM read.history WHERE position = %s",
            (newest[0],),
        )
        assert await shown() == newest[:20]
        await ended(pool, owner)
        read = owner.execute(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
            " FROM pg_stat_user_tables WHERE schemaname = 'read' AND relname = 'history'"
        ).fetchone()
    assert read is not None
    assert 100 <= read[0] <= 1_000


async def test_a_company_with_many_people_shows_them_also_when_others_are_busier(
    ana: httpx.AsyncClient, project: Callable[[], None], owner_database: str
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    project()
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO read.history_link (company_id, person_id, reason_id)"
            " SELECT %s, gen_random_uuid(), gen_random_uuid() FROM generate_series(1, %s)",
            (company, history.MANY + 100),
        )
        quiet = tell(owner, "SELECT person_id, row_number() OVER () FROM read.history_link")
        others = f"generate_series(1, {history.LOOKED_THROUGH - 10}) n"
        tell(owner, f"SELECT gen_random_uuid(), n FROM {others}")
    shown = (await ana.get(f"/companies/{company}/history", params={"limit": 20})).json()["items"]
    assert [line["position"] for line in shown] == quiet[:20]


async def test_a_list_that_is_narrowed_reads_what_it_shows(
    ana: httpx.AsyncClient, pool: Pool, project: Callable[[], None], owner_database: str
) -> None:
    """And not all that others have: the last applications of everybody, all agreements."""
    company = (await written(ana, "/companies", ENGINES))["id"]
    project()
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO read.application (candidacy_id, position, person_id, company_id,"
            " job_order_id, stage, category, status, reason, times, channel, source, text,"
            " applied_at)"
            " SELECT gen_random_uuid(), n, gen_random_uuid(),"
            " CASE n WHEN 1 THEN %s ELSE gen_random_uuid() END, gen_random_uuid(),"
            " 's', 's', 's', '', 1, '', '', '', now() FROM generate_series(1, %s) n",
            (company, LARGE),
        )
        owner.execute(
            "INSERT INTO read.renewal (agreement_id, position, company_id, since, by, version,"
            " ends_on) SELECT gen_random_uuid(), n, gen_random_uuid(), '1999-01-01', '', 1,"
            " date '2000-01-01' + n FROM generate_series(1, %s) n",
            (10 * LARGE,),
        )
        owner.execute("ANALYZE")
        owner.execute("SELECT pg_stat_reset()")
        for page in (f"/applications?company_id={company}", "/renewals?on=2005-01-01"):
            answer = await ana.get(page)
            assert answer.status_code == 200, answer.text
        await ended(pool, owner)
        read: dict[str, int] = dict(
            owner.execute(
                "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
                " FROM pg_stat_user_tables WHERE schemaname = 'read'"
                " AND relname IN ('application', 'renewal')"
            ).fetchall()
        )
    assert 1 <= read["application"] <= 10
    assert 121 <= read["renewal"] <= 400


@pytest.mark.parametrize("path", ["/people/{}", "/health/ready"])
async def test_a_connection_that_died_unnoticed_is_no_answer_to_anybody(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    pool: Pool,
    project: Callable[[], None],
    owner_database: str,
    path: str,
) -> None:
    """No connection is tried out before it is used: that would be a round trip for each request."""
    person = await fill(ledger)
    project()
    path = path.format(person)
    assert (await ana.get(path)).status_code == 200
    async with pool.connection() as conn, pool.lookups.connection() as other:
        pids = [conn.info.backend_pid, other.info.backend_pid]
    with psycopg.connect(owner_database, autocommit=True) as owner:
        for pid in pids:
            owner.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    assert (await ana.get(path)).status_code == 200


OF_VISITS = ("BEGIN READ WRITE", "COMMIT")


async def test_a_read_asks_the_database_once_or_twice_more_than_it_has_queries(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page that is asked much has one statement, however many ask; any other begins a snapshot
    and learns where it stands in one, and ends it in one."""
    person = await fill(ledger)
    project()
    asked: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def counted(self: Any, query: Any, *args: Any, **rest: Any) -> Any:
        if (
            "access_log" not in str(query) and query not in OF_VISITS
        ):  # noted beside, at its own pace
            asked.append(str(query))
        return await execute(self, query, *args, **rest)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    paths = [f"/people/{person}", f"/people/{person}/history"] * 20
    answers = await asyncio.gather(*(ana.get(path) for path in paths))
    assert {answer.status_code for answer in answers} == {200}
    assert len(asked) <= 8, "who waits is answered with the next"

    asked.clear()
    assert (await ana.get("/people")).status_code == 200
    assert "BEGIN" in asked[0]
    assert "ROLLBACK" in asked[-1]
    assert len(asked) == 3, asked


async def test_a_moment_is_found_once_and_what_is_asked_there_is_planned_apart(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Moments at which about as much was there share plans; those of the present are not theirs."""
    await fill(ledger)
    project()
    head, asked = await ledger.head(), list[str]()
    execute = psycopg.AsyncCursor.execute

    async def counted(self: Any, query: Any, *args: Any, **rest: Any) -> Any:
        text = query.decode() if isinstance(query, bytes) else str(query)
        if "access_log" not in text and text not in OF_VISITS:
            asked.append(text)
        return await execute(self, query, *args, **rest)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    marks = set()
    moments = (head, head, head // 2, head // 2 + 1)
    for position in moments:
        asked.clear()
        assert (await ana.get("/people", params={"as_of": str(position)})).status_code == 200
        marks.add(asked[-2].partition(" */")[0])
    assert len(asked) == 4
    assert marks == {f"/* as_known {past.alike(n, head)}" for n in moments}
    asked.clear()
    assert (await ana.get("/people", params={"as_of": str(head)})).status_code == 200
    assert len(asked) == 3, "which moment that is, is known"


DIVIDED = Lookup(
    people.projection, int, "SELECT 60 / asked.n", lambda n: (n,), {"n": "int"}, at_once=10
)


async def test_who_asks_what_cannot_be_answered_takes_nobody_along(
    pool: Pool, project: Callable[[], None]
) -> None:
    project()
    reads = Reads(pool)
    asked = [1, 2, 3, 0, 4, 5, 6, 10, 12, 15, 20, 0, 30]
    answers = await asyncio.gather(
        *(reads.look_up(DIVIDED, (n,)) for n in asked), return_exceptions=True
    )
    for n, answer in zip(asked, answers, strict=True):
        if n:
            assert answer == (0, 60 // n)
        else:
            assert isinstance(answer, psycopg.errors.DivisionByZero)
    assert await reads.look_up(DIVIDED, (1,)) == (0, 60)


async def test_when_too_many_wait_who_comes_then_hears_at_once(
    pool: Pool, project: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    project()
    monkeypatch.setattr(snapshots, "WAITING", 20)
    reads = Reads(pool)
    answers = await asyncio.gather(
        *(reads.look_up(DIVIDED, (1,)) for _ in range(30)), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(Unavailable) == 10
    assert answers.count((0, 60)) == 20
