"""The hiring log's fairness numbers, out of SQL and out of a replay, to the last digit.

Counted independently of this project; they stand in ``SOURCES.md`` beside the data. Every day the
journey of the hiring log asks for the same numbers on its running servers.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Run, copy, url_of
from ledger_crm.analysis.exporting import export
from ledger_crm.analysis.querying import over_export
from ledger_crm.analysis.replaying import Fold, replay
from ledger_crm.commands import importing, mapping
from ledger_crm.embedded import Postgres
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.slices import Slice
from ledger_crm.workers.projector import Connection, Projector, connect
from projections.driving import (
    driven,
    driven_in_parts,
    dump,
    of_list,
    reading,
    running,
)
from scenario import KEYRING
from waiting import until

pytestmark = [pytest.mark.campaign, pytest.mark.xdist_group("hiring log analysed")]

DOCS = Path(__file__).parents[2] / "docs"
FAIRNESS = DOCS / "analysis" / "fairness.py"
EXPECTED = [
    # protected, cases, offered, percent, offered last, percent
    ("protected=false", 6_981, 2_408, 34.49, 2_312, 33.12),
    ("protected=true", 3_019, 122, 4.04, 118, 3.91),
]
TRAPS = {
    "cases": 10_000, "events": 63_869, "sequences": 386,
    "shortest": 2, "median": 6, "longest": 15,
    "same_instant": 7_809, "offer_and_rejection": 1_413,
    "several_offers": 836, "several_rejections": 729,
}  # fmt: skip


def imported(ledger: Ledger, shared_data: Path) -> None:
    plan = mapping.load_mapping(DOCS / "mappings" / "hiring_log.toml")
    with gzip.open(shared_data / "hiring-event-log" / "hiring_log_high.csv.gz") as file:
        ledger.store.check_key()
        report = asyncio.run(importing.import_csv(ledger, file, plan))  # type: ignore[arg-type]
    assert report.imported == 63_869


@pytest.fixture(scope="session")
def hiring_log(templates: Callable[..., str], read_models: str, shared_data: Path) -> str:
    with Ledger(templates("hiring_log"), KEYRING) as ledger:
        imported(ledger, shared_data)
    return "hiring_log"


@pytest.fixture
def template(hiring_log: str) -> str:
    return hiring_log


@pytest.fixture(scope="session")
def exported(hiring_log: str, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hiring log") / "x"
    copy(postgres, "hiring_log_exported", hiring_log)
    export(url_of(postgres, "hiring_log_exported"), folder)
    return folder


def rounded(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(*row[:3], round(row[3], 2), row[4], round(row[5], 2)) for row in found]


def shown(name: str) -> str:
    """A query as docs/analysis.md shows it."""
    text = (DOCS / "analysis.md").read_text()
    return next(
        block.partition("```")[0]
        for block in text.split("```sql\n")[1:]
        if block.startswith(f"-- {name}")
    )


def test_read_models_are_the_same_however_they_are_driven(
    database: str, ledger: Ledger, databases: Callable[..., str]
) -> None:
    """All of it, batch by batch of whatever size, and in two and four parts, with rows of the
    past."""
    entries = reading(ledger)(0, 100_000)
    assert len(entries) > 60_000
    expected = driven(databases("read_models"), every(), of_list(entries), batch=5_000)
    for batch in (500, 7, 1):
        found = driven(databases("read_models"), every(), of_list(entries), batch=batch)
        assert not [name for name in found if found[name] != expected[name]], batch
    for of in (2, 4):
        shared = driven_in_parts(database, every(), KEYRING, of=of, batch=2_000)
        assert not [name for name in shared if shared[name] != expected[name]], of


def level(conn: Connection) -> bool:
    [(behind,)] = conn.execute(
        "SELECT count(*) FROM projection_position p, ledger.head h WHERE p.position < h.position"
    ).fetchall()
    return not behind


def test_they_are_the_same_when_they_are_followed_live(
    databases: Callable[..., str], read_models: str, shared_data: Path
) -> None:
    """Given a projector at work while the log is imported."""
    url = databases(read_models)
    with Ledger(url, KEYRING) as ledger:
        with connect(url) as conn:
            with running(Projector(url, reading(ledger), every())):
                imported(ledger, shared_data)
                until(lambda: level(conn), within_s=900)
            live = dump(conn, every())
        anew = driven(databases(read_models), every(), reading(ledger), batch=2_000)
    assert not [name for name in live if live[name] != anew[name]]


def test_they_fall_out_of_sql(exported: Path) -> None:
    found = over_export(exported, shown("fairness")).rows
    assert rounded(found) == EXPECTED
    (false, true) = found
    assert round(true[3] / false[3], 3) == 0.117
    assert round(true[5] / false[5], 3) == 0.118
    assert true[3] / false[3] < 0.8, "the four-fifths rule"
    [traps] = over_export(exported, shown("the traps")).documents()
    assert traps == TRAPS


@pytest.mark.parametrize("processes", [1, 2])
def test_they_fall_out_of_a_replay(database: str, processes: int) -> None:
    fold = Fold(FAIRNESS)
    found = fold.result(replay(fold, database, Slice(), processes=processes).state)
    assert rounded([tuple(line.values()) for line in found["groups"]]) == EXPECTED
    assert found["traps"] == TRAPS
    assert [round(found[name], 3) for name in ("ever_ratio", "last_ratio")] == [0.117, 0.118]


def test_they_fall_out_on_the_command_line(told: Run, exported: Path) -> None:
    code, out, _ = told("sql", shown("fairness"), "--export", str(exported), "--format", "csv")
    assert code == 0
    assert "protected=false,6981,2408," in out
    assert "protected=true,3019,122," in out
    code, out, _ = told("replay", str(FAIRNESS))
    assert code == 0
    assert all(str(number) in out for number in TRAPS.values())
