"""A ledger that an older version made is opened by this one: brought up to date, as `up` does it,
with everything in it as it was."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

import ledger_crm
from builders import added, note, order_opened, sourced
from conftest import url_of
from ledger_crm import sessions
from ledger_crm.api.snapshots import open_pool
from ledger_crm.cli.house import Fault, app_url, prepare
from ledger_crm.commands import candidacies, intake, signing_in
from ledger_crm.commands.catalogue import ship
from ledger_crm.commands.intake import Reachable
from ledger_crm.domain.company import Company
from ledger_crm.domain.person import Person
from ledger_crm.embedded import Postgres
from ledger_crm.ledger import Intent, Ledger, Work
from ledger_crm.projections import every, history
from ledger_crm.workers.projector import Driver, connect
from running import ledger_crm as program
from running import running
from scenario import ANA, KEYRING, NOON

SCHEMA = sorted(files(ledger_crm).joinpath("schema").iterdir(), key=lambda each: each.name)
BY_ANA = Intent(by=ANA)


def begun(owner_url: str, parts: int) -> None:
    """With the first parts of the schema, as a version wrote them that had no others."""
    with psycopg.connect(owner_url) as conn:
        conn.execute(
            "CREATE TABLE public.ledger_crm_schema (name text PRIMARY KEY, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for script in SCHEMA[:parts]:
            text = script.read_text()
            conn.execute(text)  # type: ignore[arg-type]
            digest = hashlib.sha256(text.encode()).hexdigest()
            conn.execute(
                "INSERT INTO public.ledger_crm_schema (name, sha256) VALUES (%s, %s)",
                (script.name, digest),
            )


async def written(ledger: Ledger) -> UUID:
    """Somebody who is on a job order, with an e-mail address and a note. Their id."""
    await ship(ledger)
    reachable = Reachable(email="ada@example.org")
    person = await ledger.decide(
        lambda work: intake.source_person(work, sourced(), reachable), intent=BY_ANA
    )

    async def opening(work: Work) -> Company:
        company = work.add(Company.open(added(), by=ANA))
        company.open_job_order(order_opened(), by=ANA)
        return company

    company = await ledger.decide(opening, intent=BY_ANA)
    order = order_opened().job_order_id
    await ledger.decide(
        lambda work: candidacies.open_candidacy(
            work, person.id, company_id=company.id, job_order_id=order, at=NOON
        ),
        intent=BY_ANA,
    )
    await ledger.change(
        Person, person.id, lambda p: p.record(note("Prefers mornings."), by=ANA), intent=BY_ANA
    )
    return person.id


@pytest.fixture
def older(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """The owner's url of a database with nothing in it."""
    name = f"older_{request.param}"
    with psycopg.connect(postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = url_of(postgres, name, role="ledger_owner")
    begun(url, request.param)
    yield url
    with psycopg.connect(postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize("older", [5, 8], indirect=True)
def test_a_ledger_of_an_older_schema_is_brought_up_to_date_and_reads_the_same(older: str) -> None:
    async def first() -> tuple[UUID, list[bytes]]:
        with Ledger(app_url(older), KEYRING) as ledger:
            return await written(ledger), [row.state for row in await ledger.rows(after=0)]

    async def then(person: UUID) -> tuple[list[bytes], list[str]]:
        with Ledger(app_url(older), KEYRING) as ledger:
            states = [row.state for row in await ledger.rows(after=0)]
            entries = await ledger.entries(after=0)
            assert len(entries) == len(states), "each can be read"
            receipt = await ledger.change(
                Person, person, lambda p: p.record(note("And now."), by=ANA), intent=BY_ANA
            )
            assert receipt.position == len(states) + 1
            with connect(app_url(older)) as conn:
                for projection in every():
                    read = lambda after, limit: ledger.store.entries(after=after, limit=limit)  # noqa: E731
                    Driver(projection, read, conn).catch_up()
            async with open_pool(app_url(older)) as pool:
                await signing_in.set_password(ledger, ANA, "correct horse battery", role="owner")
                login = await signing_in.login_of(ledger, ANA)
                assert login
                await sessions.begin(pool, KEYRING, ANA, login.era, 60, idle_s=60)
                async with pool.connection() as conn, conn.cursor() as cur:
                    lines = await history.of(cur, person, kind="person", before=None, limit=50)
            return states, [line.text for line in lines or []]

    person, before = asyncio.run(first())
    prepare(older, embedded_server=False)
    after, texts = asyncio.run(then(person))
    assert after == before, "byte by byte"
    assert texts[0] == "And now."
    assert "Prefers mornings." in texts
    prepare(older, embedded_server=False)


@pytest.mark.parametrize("older", [8], indirect=True)
def test_one_of_a_newer_schema_is_left_alone(older: str) -> None:
    with psycopg.connect(older) as conn:
        conn.execute("INSERT INTO public.ledger_crm_schema VALUES ('9999_later.sql', 'x')")
    with pytest.raises(Fault, match="newer than this software"):
        prepare(older, embedded_server=False)
    with psycopg.connect(older) as conn:
        [count] = conn.execute("SELECT count(*) FROM public.ledger_crm_schema").fetchone() or []
    assert count == 9, "nothing of it was applied"


@pytest.mark.campaign
def test_up_goes_on_where_an_older_version_was(tmp_path: Path) -> None:
    with running(tmp_path) as up, up.api() as api:
        added = api.post("/people", json={"name": "Ada Byron"}).json()
    found = [f"/people/{added['id']}", f"/people/{added['id']}/history", "/events?limit=200"]
    with Postgres(tmp_path / "postgres") as server, psycopg.connect(server.url) as conn:
        conn.execute("DROP TABLE ledger.sessions, ledger.guesses, ledger.access_log")
        conn.execute("DROP TABLE ledger.webhook_waiting, ledger.webhook_attempts")
        conn.execute("DROP INDEX ledger.entries_consultant_added")
        conn.execute("DELETE FROM public.ledger_crm_schema WHERE name > '0009'")
    with running(tmp_path) as up, up.api() as api:
        for path in found:
            assert api.get(path).status_code == 200, path
        assert api.get("/access-log").status_code == 200
    assert program(tmp_path, "projections", "status").returncode == 0
