"""What the command line does for one who looks, apart from how it is called."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import Run
from ledger_crm.cli import checking, looking
from ledger_crm.cli.checking import wrong_with, wrong_with_webhooks
from ledger_crm.commands import catalogue
from ledger_crm.ledger import Ledger
from ledger_crm.projections import NEXT, Standing, every
from ledger_crm.projections.webhooks import Backlog
from ledger_crm.workers import projector
from projections.driving import Together, reading
from projections.stories import a_full_story
from waiting import until


def test_a_rebuild_that_somebody_else_asks_for_too_begins_again_and_ends(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(projector.Driver.catch_up.__kwdefaults__ or {}, "batch", 1)
    asyncio.run(catalogue.ship(ledger))
    [history] = [each for each in every() if each.name == "history"]
    told: list[int] = []

    def progress(position: int) -> None:
        told.append(position)
        if len(told) == 1:
            projector.ask_to_rebuild(other, history.name)

    with projector.connect(database) as conn, projector.connect(database) as other:
        head = looking._rebuilt(history, ledger, database, conn, progress)

    assert head == asyncio.run(ledger.head()) == 2
    assert told == [1, 1, 2]


@pytest.mark.parametrize("how", [(), ("--in-place",), ("--parallel", "2")], ids=str)
def test_what_a_rebuild_halts_on_is_one_line(
    how: tuple[str, ...], told: Run, ledger: Ledger, owner_database: str
) -> None:
    asyncio.run(a_full_story(ledger))
    with psycopg.connect(owner_database) as conn:
        conn.execute("ALTER TABLE ledger.entries DISABLE TRIGGER append_only")
        conn.execute("DELETE FROM ledger.entries WHERE notification_id = 10")
    code, out, err = told("projections", "rebuild", "people", *how)
    *told_of_progress, last = err.splitlines()
    assert (code, out) == (2, ""), err
    assert all(line.startswith("rebuilding people") for line in told_of_progress)
    assert "position 10 is missing before 11" in last or "1 entries are missing" in last


def test_of_one_that_is_built_beside_it_says_how_far_it_is_and_how_long_it_will_take(
    told: Run, ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of one that nobody builds any more what goes on with it."""
    asyncio.run(a_full_story(ledger))
    [people] = [each for each in every() if each.name == "people"]
    with projector.connect(database) as conn:
        Together(every(), reading(ledger), conn).catch_up()
    ask = checking._positions

    with projector.connect(database, beside=NEXT) as conn:
        assert projector.try_to_lead(conn, "next people")
        driver = projector.Driver(people, reading(ledger), conn, beside=NEXT)

        async def moving(cur: Any) -> dict[str, int]:
            driver.step(driver.read(driver.position, 2))
            return await ask(cur)

        monkeypatch.setattr(checking, "_positions", moving)
        code, out, err = told("projections", "status", "--json")
        assert code == 0, err
        [one] = json.loads(out)["beside"]
        assert (one["projection"], one["what"], one["led"]) == ("people", "next", True)
        left = asyncio.run(ledger.head()) - one["position"]
        assert one["left_s"] == pytest.approx(left / one["entries_per_s"], rel=0.1)
        said = told("projections", "status")[1]
        assert f"beside people: version {people.version} at {driver.position}, being built" in said
        assert " a second, " in said
        assert " s left" in said

    monkeypatch.setattr(checking, "_positions", ask)
    monkeypatch.setattr(checking, "WATCHED_S", 0.1)
    said = told("projections", "status")[1]
    assert "nobody is at it; ledger-crm projections rebuild people goes on" in said


def test_of_one_that_catches_up_it_says_how_long_it_will_take() -> None:
    late = Standing(name="x", version=1, position=1, lag_events=600, lag_s=60.0, fault=None)
    behind = "600 entries behind, 60.0 s, catching up"
    assert wrong_with(late, per_s=50.0) == (False, f"{behind}: 50 a second, 12 s left")
    assert wrong_with(late, per_s=0.0) == (False, behind)
    stands = "600 entries behind for 60 s, and does not move"
    assert wrong_with(late, per_s=None)[1].startswith(f"{stands}; a projector must run")
    said = wrong_with(late, per_s=None, runs=True)
    assert said == (True, f"{stands}, though a projector runs: its log says what it waits for")


def test_while_indexes_are_made_nobody_is_told_that_a_projector_must_run(
    told: Run, ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a projector in the midst of a first build, which makes one for long, or stands still
    for no reason, or has gone."""
    asyncio.run(a_full_story(ledger))
    monkeypatch.setattr(checking, "BEHIND_S", -1.0)
    monkeypatch.setattr(checking, "WATCHED_S", 0.1)
    read = reading(ledger)
    with projector.connect(database) as conn:
        crew = projector.Crew(conn, lambda after, limit: read(after, min(limit, 50)), every())
        crew.look()
        crew.advance()
        conn.execute(
            "CREATE FUNCTION slowly(uuid) RETURNS uuid IMMUTABLE LANGUAGE plpgsql"
            " AS 'BEGIN PERFORM pg_sleep(600); RETURN $1; END'"
        )
        with ThreadPoolExecutor(1) as making:
            made = making.submit(conn.execute, "CREATE INDEX ON person (slowly(person_id))")
            until(lambda: "catching up" in told("projections", "status")[1])
            code, said, err = told("projections", "status")
            assert (code, "does not move" in said) == (0, False), err
            conn.cancel()
            assert isinstance(made.exception(), psycopg.errors.QueryCanceled)
        code, said, _ = told("projections", "status")
        assert code == 1
        assert "does not move, though a projector runs" in said
    code, said, _ = told("projections", "status")
    assert code == 1
    assert "does not move; a projector must run" in said


def test_a_database_that_answers_before_it_has_written_is_refused(
    told: Run, owner_database: str
) -> None:
    name = conninfo_to_dict(owner_database)["dbname"]
    with psycopg.connect(owner_database, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    code, out, err = told("read", "people")
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    assert "synchronous_commit = off" in line


def test_doctor_says_that_nobody_sends_and_warns_of_what_is_disabled() -> None:
    def hook(id: str, untried_s: float = 0.0, *, disabled: bool = False) -> Backlog:
        return Backlog(id, 1, 900.0, untried_s, 3, disabled)

    well, off, stuck = hook("a"), hook("b", disabled=True), hook("c", untried_s=80.0)
    assert wrong_with_webhooks([well], idle=False).state == "ok", "that one fails is its receiver's"
    assert wrong_with_webhooks([well, off], idle=False).state == "warn"
    check = wrong_with_webhooks([well, off, stuck], idle=False)
    assert (check.state, "worker webhooks" in check.says) == ("FAIL", True)
    assert wrong_with_webhooks([well, stuck], idle=True).state == "ok"
