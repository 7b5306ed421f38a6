"""What a read costs where tables are large."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from api.cost import LARGE, ended, fill
from api.documented import Documented
from api.journey import ENGINES, ORDER, written
from ledger_crm.api.snapshots import Pool
from ledger_crm.ledger import Ledger
from ledger_crm.projections import Table, every
from ledger_crm.workers.projector import connect
from projections.driving import Together, reading
from projections.stories import a_full_story
from scenario import KEYRING

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("large")]  # filled once for both


@pytest.fixture(scope="session")
def filled(read_models: str, templates: Callable[..., str]) -> str:
    """The last person of a template whose tables are large."""
    url = templates("large_tables", of=read_models)
    with Ledger(url, KEYRING) as ledger, connect(url) as conn:
        person = asyncio.run(fill(ledger, people=LARGE + 200))
        Together(every(), reading(ledger), conn).catch_up()
    return person


@pytest.fixture
def template(request: pytest.FixtureRequest) -> str:
    if "filled" in request.fixturenames:
        return "large_tables"
    return str(request.getfixturevalue("multiplied"))


async def test_no_page_reads_a_large_table_from_end_to_end(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    pool: Pool,
    filled: str,
    project: Callable[[], None],
    owner_database: str,
) -> None:
    """Nor with a cursor, in the middle of it. Small tables may be read whole: it is cheaper."""
    company = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    segment = {"slug": "vips", "title": "VIPs", "criteria": {"tags": ["vip"]}, "cadence_days": 30}
    assert (await ana.put("/segments/vips", json=segment)).status_code == 200
    project()
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(
            "UPDATE read.person SET touched_at = '2024-01-01'::timestamptz"
            " + position * interval '1 minute',"
            " tags = CASE WHEN position % 100 = 0 THEN 'vip' ELSE tags END"
        )
        owner.execute("UPDATE read.market_word SET refuses = true")
        owner.execute("ANALYZE")
        owner.execute("SELECT pg_stat_force_next_flush()")  # or what was updated is told later
        owner.execute("SELECT pg_stat_reset()")
        for page in (
            f"/people/{filled}",
            f"/people/{filled}/history?limit=2",
            f"/companies/{company}",
            f"/companies/{company}/history",
            f"/job-orders/{order}",
            "/job-orders?exclusivity_broken=true",
            "/people?limit=20",
            "/people?tag=vip",
            "/people?skill=python",
            "/people?stage=screening",
            "/people?channel=linkedin&limit=20",
            f"/people/{filled}/threads",
            f"/people/{filled}/documents",
            f"/people/{filled}/pools",
            f"/people/{filled}/campaigns",
            f"/people/{filled}/conflicts",
            "/companies",
            f"/companies/{company}/contacts",
            f"/companies/{company}/account",
            "/engagement?limit=20",
            "/engagement/quiet/people?limit=20",
            "/engagement/quiet/people?days=30&limit=20",
            f"/follow-ups?person_id={filled}",
            f"/interviews?person_id={filled}",
            f"/offers?person_id={filled}",
            f"/applications?person_id={filled}",
            f"/placements?person_id={filled}",
            f"/referrals?person_id={filled}",
            f"/introductions?person_id={filled}",
            f"/candidates?person_id={filled}",
            f"/candidates?job_order_id={order}",
            "/duplicates",
            f"/duplicates?person_id={filled}",
            f"/duplicates/companies?company_id={company}",
            f"/people/{filled}/history?kind=person.note_written&limit=2",
            f"/people/{filled}/history?by=consultant:ana&since=2024-01-01",
            f"/companies/{company}/history?kind=person.&until=2030-01-01",
            "/segments/vips/people?channel=linkedin&limit=20",
            "/off-limits",
            f"/off-limits?company_id={company}",
            "/events?limit=20",
            f"/events?stream={filled}&limit=20",
        ):
            answer = await ana.get(page)
            assert answer.status_code == 200, answer.text
            if token := isinstance(answer.json(), dict) and answer.json().get("next"):
                again = page + ("&" if "?" in page else "?") + f"cursor={token}"
                assert (await ana.get(again)).status_code == 200
        await ended(pool, owner)
        read: list[Any] = owner.execute(
            "SELECT s.relname, s.seq_tup_read FROM pg_stat_user_tables s JOIN pg_class c"
            " ON c.oid = s.relid WHERE schemaname IN ('read', 'ledger') AND s.seq_tup_read > 0"
            " AND c.reltuples >= %s",
            (2000,),
        ).fetchall()
        looked = owner.execute(
            "SELECT idx_scan FROM pg_stat_user_tables"
            " WHERE schemaname = 'read' AND relname = 'history'"
        ).fetchone()
    assert not read, str(read)
    assert looked is not None
    assert looked[0] > 0, "nothing was counted, and so nothing was proved"


async def test_a_page_of_the_past_does_not_read_what_it_lists_from_end_to_end(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    pool: Pool,
    filled: str,
    project: Callable[[], None],
    owner_database: str,
) -> None:
    """The names that it joins it may: how many there were then is not known to who plans."""
    project()
    head = await ledger.head()
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute("ANALYZE")
        owner.execute("SELECT pg_stat_reset()")
        for then in (f"as_of={head - 1}", f"as_of={head}&known=now"):
            for page in (
                f"/people/{filled}?",
                f"/people/{filled}/history?limit=20&",
                "/people?limit=20&",
                f"/candidates?person_id={filled}&",
            ):
                answer = await ana.get(page + then)
                assert answer.status_code == 200, answer.text
        await ended(pool, owner)
        read: list[Any] = owner.execute(
            "SELECT s.schemaname, s.relname, s.seq_tup_read FROM pg_stat_user_tables s"
            " JOIN pg_class c ON c.oid = s.relid WHERE schemaname IN ('read', 'past', 'ledger')"
            " AND s.seq_tup_read > 0 AND c.reltuples >= %s",
            (2000,),
        ).fetchall()
    assert {name for _, name, _ in read} <= {"directory"}


@pytest.fixture(scope="session")
def multiplied(read_models: str, templates: Callable[..., str]) -> str:
    """Of a template in which every table that a full story fills is large, with ids, names and
    times of all kinds."""
    url = templates("many_of_each", of=read_models)
    with Ledger(url, KEYRING) as ledger, connect(url) as conn:
        asyncio.run(a_full_story(ledger))
        Together(every(), reading(ledger), conn).catch_up()
        for table in (table for projection in every() for table in projection.tables):
            if not table.defines:
                conn.execute(multiplying(table).encode())
        conn.commit()
    return "many_of_each"


def multiplying(table: Table[Any]) -> str:
    nth = "row_number() OVER ()"
    varied = {
        "uuid": "CASE WHEN {0} IS NOT NULL THEN gen_random_uuid() END",
        "timestamptz": f"{{0}} + {nth} * interval '1 minute'",
    }
    of_key = {
        "text": f"{{0}} || {nth}",
        "bigint": f"1000000 + {nth}",
        "date": f"{{0}} + {nth}::int",
    }

    def made(column: str, type_: str) -> str:
        is_told_apart = column in (*table.key, "position") or (
            type_ == "text" and column in ("name", "title", "value", "label", "domain")
        )
        return (varied | (of_key if is_told_apart else {})).get(type_, "{0}").format(column)

    values = ", ".join(made(*each) for each in table.types.items())
    # who and what all the others name is in one table, and so it is larger than each of them
    rows = 6 * LARGE if table.name == "directory" else LARGE
    return (
        f"INSERT INTO read.{table.name} ({', '.join(table.types)}) SELECT {values}"
        f" FROM generate_series(1, {rows}), read.{table.name} LIMIT {rows}"
    )


COUNTING = re.compile(
    "/(?:activity|candidates/counts|candidates/changes/stages|deals/(?:counts|forecast|changes/stages)"
    "|funnel|revenue|segments|company-segments|tags|pools|duplicates.*|equal-opportunity.*)"
)
"""What counts, or compares all with all."""


async def test_no_list_reads_what_it_lists_from_end_to_end_however_it_is_asked_for(
    ana: httpx.AsyncClient,
    pool: Pool,
    project: Callable[[], None],
    owner_database: str,
) -> None:
    """But for a word in a name (``q``), which is looked for in the list's order."""
    project()
    documented, asked = Documented(), 0
    moment = {"from": "1", "since": "2024-01-01", "until": "2024-12-31", "limit": "20"}
    with psycopg.connect(owner_database, autocommit=True) as owner:
        known = {"consultant": "consultant:ana", "owner": "consultant:ana", "stage": "screening",
                 "pipeline": "talent", "seniority": "lead"}  # fmt: skip
        for table, column in IDS.items():
            [(id,)] = owner.execute(
                f"SELECT {column} FROM read.{table} LIMIT 1".encode()
            ).fetchall()
            known[column] = str(id)
        owner.execute("ANALYZE")
        owner.execute("SELECT pg_stat_reset()")
        for path, operations in documented.spec["paths"].items():
            if "get" not in operations or COUNTING.fullmatch(path):
                continue
            parameters = [documented.resolved(p) for p in operations["get"].get("parameters", [])]
            if "limit" not in (names := {each["name"] for each in parameters}):
                continue
            must = {name: moment[name] for name in names & moment.keys()
                    if name in ("from", "limit")}  # fmt: skip
            parts = {name: known.get(name, "none") for name in IN_PATH.findall(path)}
            address = path.format_map(parts)
            for ask in ({}, *({name: known[name]} for name in names & known.keys())):
                answer = await ana.get(address, params=must | ask)
                assert answer.status_code in (200, 400, 404, 422), answer.text
                asked += answer.status_code == 200
        await ended(pool, owner)
        read: list[Any] = owner.execute(
            "SELECT s.relname, s.seq_tup_read FROM pg_stat_user_tables s JOIN pg_class c"
            " ON c.oid = s.relid WHERE schemaname = 'read' AND c.reltuples >= %s"
            " AND s.seq_tup_read >= c.reltuples",
            (LARGE,),
        ).fetchall()
    assert asked > 70
    assert not read, str(read)


RARE = {
    "/interviews?status=held": "interview SET status = 'held'",
    "/offers?status=declined": "offer SET status = 'declined'",
    "/applications?status=rejected": "application SET status = 'rejected'",
    "/deals?pipeline=sales&stage=lost": "deal SET stage = 'lost'",
    "/people?channel=agency": "person SET channel = 'agency'",
    "/people?stage=screening": "person_stage SET stage = 'screening',"
    " person_id = (SELECT person_id FROM read.person ORDER BY position LIMIT 1)",
    "/placements?status=fell_through": "placement SET status = 'fell_through'",
    "/placements?status=guarantee_ended": "placement SET guarantee_until_on = '2024-01-01'",
    "/companies?industry=Rare": "company SET industry = 'rare'",
    "/candidates?consultant=consultant:rare": "candidacy SET job_order_id = (SELECT job_order_id"
    " FROM read.candidacy_staff WHERE staff = 'consultant:rare')",
    "/job-orders?consultant=consultant:rare": "job_order SET staff = 'consultant:rare',"
    " owner = 'consultant:rare'",
    "/invoices?settled=true": "invoice SET credited_cents = 0, refunded_cents = 0,"
    " paid_cents = amount_cents",
    "/invoices?overdue_on=2025-01-01": "invoice SET due_on = '2024-01-01'",
    "/instalments?to_invoice=true": "instalment SET amount_cents = 100",
    "/referrals?fee=waived": "referral SET fee = 'waived'",
    "/referrals?direction=given": "referral SET direction = 'given'",
    "/accounts?status=prospect": "account SET qualified_at = NULL, got_to = 'prospect'",
    "/engagement?owes=us": "engagement SET heard_at = touched_at, reached_at = NULL",
}
"""Lists, and what makes one row the only one that is on it."""
WITHOUT_POSITION = {"person_stage": "candidacy_id", "engagement": "touched_at"}
ABSENT = (
    "/interviews?status=called_off",
    "/offers?status=withdrawn",
    "/applications?status=withdrawn",
    "/deals?pipeline=sales&stage=won",
    "/people?channel=event",
    "/people?stage=offer",
    "/placements?status=placed",
    "/companies?industry=absent",
    "/candidates?consultant=consultant:absent",
    "/job-orders?consultant=consultant:absent",
    "/referrals?fee=paid",
    "/referrals?direction=given&fee=agreed",
    "/invoices?overdue_on=2023-01-01",
    "/engagement?owes=nobody",
    "/accounts?status=quiet",
    "/accounts?status=former",
)
ORDINARY = """
UPDATE read.job_order SET owner = 'consultant:c' || position % 30,
  staff = 'consultant:c' || position % 30;
INSERT INTO read.candidacy_staff SELECT job_order_id, staff FROM read.job_order;
UPDATE read.candidacy_staff SET staff = 'consultant:rare' WHERE ctid =
  (SELECT ctid FROM read.candidacy_staff ORDER BY job_order_id DESC LIMIT 1);
UPDATE read.interview SET status = 'arranged';
UPDATE read.offer SET status = 'open';
UPDATE read.application SET status = 'in_process';
UPDATE read.referral SET fee = 'due', direction = 'received';
UPDATE read.deal SET stage = 'prospect';
UPDATE read.person_stage SET stage = 'placed';
UPDATE read.invoice SET paid_cents = 0, credited_cents = 0, anew_cents = 0, refunded_cents = 0,
  due_on = '2999-01-01';
UPDATE read.account SET qualified_at = '2024-01-01', got_to = 'qualified', absorbed = '';
UPDATE read.instalment SET amount_cents = 0, raised_cents = 0;
UPDATE read.placement SET status = 'started', guarantee_until_on = '2999-01-01';
UPDATE read.engagement e SET kind = 'person', snoozed_until_on = NULL, left_alone = false,
  touched_at = '2024-01-01'::timestamptz + nth * interval '1 minute',
  reached_at = '2024-01-01'::timestamptz + nth * interval '1 minute',
  heard_at = NULL, waived_at = NULL
FROM (SELECT subject_id, row_number() OVER () AS nth FROM read.engagement) n
WHERE n.subject_id = e.subject_id;
UPDATE read.person e SET snoozed_until_on = NULL, contact_refused = false, erased_at = NULL,
  touched_at = '2024-01-01'::timestamptz + nth * interval '1 minute'
FROM (SELECT person_id, row_number() OVER () AS nth FROM read.person) n
WHERE n.person_id = e.person_id;
"""
DEEP = (
    "/engagement?limit=20",
    "/engagement/quiet?days=30&limit=20",
    "/engagement/quiet/people?days=30&limit=20",
)
PLANNED = 15
"""Times: the first ten have plans of their own, and the others one that is kept."""


async def test_no_page_reads_many_more_rows_than_it_shows(
    ana: httpx.AsyncClient,
    pool: Pool,
    project: Callable[[], None],
    owner_database: str,
) -> None:
    """By whatever index: not if what is asked for is rare, or nowhere; nor far down a list."""
    project()
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(ORDINARY)
        for nth, change in enumerate(RARE.values(), LARGE // 2):
            table = change.split()[0]
            key = WITHOUT_POSITION.get(table, "position")
            one = f"SELECT ctid FROM read.{table} ORDER BY {key} OFFSET {nth} LIMIT 1"
            owner.execute(f"UPDATE read.{change} WHERE ctid = ({one})".encode())
        owner.execute("ANALYZE")  # what is read from here on is told after the reset, and counts
        deep = []
        for page in DEEP:
            answer = await ana.get(page)
            assert answer.status_code == 200, answer.text
            deep.append(f"{page}&cursor={answer.json()['next']}")
        for table in ("engagement", "person"):
            owner.execute(  # half of those who were after it are now before it
                f"UPDATE read.{table} SET touched_at = touched_at - interval '1 year'"
                " WHERE touched_at > '2024-01-01 01:00'"
                " AND extract(minute FROM touched_at) % 2 = 0".encode()
            )
        owner.execute("VACUUM ANALYZE")  # or whoever looks first comes upon what was updated
        owner.execute("SELECT pg_stat_force_next_flush()")  # or what was updated is told later
        owner.execute("SELECT pg_stat_reset()")
        for pages, found in ((RARE, 1), (ABSENT, 0), (deep, 20)):
            for page in pages:
                for _ in range(PLANNED):
                    answer = await ana.get(page)
                    assert answer.status_code == 200, answer.text
                    assert len(answer.json()["items"]) == found, page
        await ended(pool, owner)
        read: list[Any] = owner.execute(
            "SELECT name, rows FROM (SELECT relid, relname AS name, coalesce(seq_tup_read, 0)"
            "   + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_user_tables UNION ALL"
            "   SELECT relid, indexrelname, idx_tup_read FROM pg_stat_user_indexes) each"
            " JOIN pg_class c ON c.oid = relid WHERE relnamespace = 'read'::regnamespace"
            " AND reltuples >= %(large)s AND rows >= %(large)s ORDER BY rows DESC",
            {"large": LARGE},
        ).fetchall()
    assert not read, str(read)


IDS = {"person": "person_id", "company": "company_id", "job_order": "job_order_id",
       "candidacy": "candidacy_id"}  # fmt: skip
IN_PATH = re.compile(r"\{(\w+)\}")
