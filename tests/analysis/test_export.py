"""An export is the ledger at one position, whole, whatever happened to whoever made it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import conninfo_to_dict

from analysis.test_replay import three_people
from builders import note, sourced
from conftest import Run
from ledger_crm.analysis import AnalysisFault, exporting, querying, shelving
from ledger_crm.analysis.exporting import FORMAT, Exported, export
from ledger_crm.analysis.querying import over_export, over_live
from ledger_crm.analysis.tables import Found
from ledger_crm.commands import demo
from ledger_crm.domain.entry import Actor, sealed_fields
from ledger_crm.domain.equal_opportunity import Answers, EqualOpportunityForm
from ledger_crm.domain.person import Person
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.ledger import Intent, Ledger, Work
from ledger_crm.projections import every
from ledger_crm.slices import Slice, Slices
from ledger_crm.workers.projector import connect
from projections.driving import stored
from scenario import ANA, KEYRING, NOON
from waiting import PATIENCE_S, until

pytestmark = pytest.mark.xdist_group("analysis")

KEY = b"k" * 32


Made = Callable[..., Path]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def made(database: str, kept: Path, tmp_path: Path) -> Made:
    """A copy of an export of the agency, which is made once: to make one folds all of it."""

    def make(name: str = "x", *, key: bytes | None = None) -> Path:
        whole = kept / ("opened" if key else "closed")
        if not whole.exists():
            export(database, whole, key=key)
        return Path(shutil.copytree(whole, tmp_path / name))

    return make


def positions(folder: Path) -> list[int]:
    found = over_export(folder, "SELECT position FROM ledger ORDER BY position")
    return [position for (position,) in found.rows]


def positions_of_files(folder: Path) -> list[int]:
    files = sorted((folder / "ledger").rglob("*.parquet"), key=lambda path: path.name)
    return [n for p in files for n in pq.ParquetFile(p).read()["position"].to_pylist()]


def play(url: str, seed: int) -> int:
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(demo.play(ledger, seed=seed, until=date(2026, 11, 1), size=0.01))
        return asyncio.run(ledger.head())


def content(folder: Path) -> dict[str, Any]:
    """Every row of every file, and where the ledger's lie."""
    read = {
        str(path.relative_to(folder)): pq.ParquetFile(path).read().to_pylist()
        for path in folder.rglob("*.parquet")
    }
    ledger = [row for name in sorted(read) if name.startswith("ledger") for row in read[name]]
    return {name: rows for name, rows in read.items() if name.startswith("read")} | {
        "ledger": sorted(ledger, key=lambda row: row["position"])
    }


def said_in(folder: Path) -> str:
    """Whatever stands in any column, once."""
    found = {value for rows in content(folder).values() for row in rows for value in row.values()}
    return "\n".join(map(str, found))


def test_every_entry_is_in_it_as_it_is(database: str, tmp_path: Path) -> None:
    exported, new = export(database, tmp_path / "x", ledger_only=True)
    with Slices(database) as slices:
        told = [
            one for page in slices.pages(Slice(), after=0, upto=slices.head()) for one in page.told
        ]
    found = over_export(tmp_path / "x", "SELECT * FROM ledger ORDER BY position").documents()
    assert new == exported.position == len(found) == len(told)
    for row, entry in zip(found, told, strict=True):
        assert (row["position"], row["kind"], row["by"]) == (
            entry.position, entry.kind, entry.by,
        )  # fmt: skip
        assert (row["stream"], row["version"]) == (str(entry.stream), entry.version)
        assert row["recorded_at"] == entry.recorded_at
        assert json.loads(row["fact"]) == msgspec.json.decode(entry.fact)
        assert row["sealed"] == ",".join(entry.sealed)
        assert row["month"] == f"{entry.recorded_at:%Y-%m}"


def test_of_the_ledger_only_it_is_the_same_ledger_and_says_no_more(
    database: str, made: Made, tmp_path: Path
) -> None:
    folder, whole = tmp_path / "ledger", made()
    exported, _ = export(database, folder, ledger_only=True)
    assert exported.tables == {}
    assert content(folder) == {"ledger": content(whole)["ledger"]}
    assert "## ledger" in (folder / "SCHEMA.md").read_text()
    assert "of the read model" not in (folder / "SCHEMA.md").read_text().lower()
    assert export(database, folder, ledger_only=True) == (exported, 0)
    with pytest.raises(AnalysisFault, match="holds the ledger only: say --ledger-only"):
        export(database, folder)
    with pytest.raises(AnalysisFault, match="holds read models too: leave out --ledger-only"):
        export(database, whole, ledger_only=True)


def test_every_read_model_is_in_it_row_by_row(database: str, tmp_path: Path) -> None:
    """Opened, as its table; closed, as many rows, with nothing else in them."""
    opened, _ = export(database, tmp_path / "opened", key=KEY)
    closed, _ = export(database, tmp_path / "closed")
    exact = 0
    with connect(database) as conn:
        for projection in every():
            for table in projection.tables:
                there = exporting.arrow_table(
                    table.types, [table.values_of(row) for row in stored(conn, table).values()]
                ).to_pylist()
                path = Path("read") / projection.name / f"{table.name}.parquet"
                found = pq.read_table(tmp_path / "opened" / path).to_pylist()
                assert sorted(map(repr, found)) == sorted(map(repr, there)), table.name
                assert opened.tables[table.name] == len(there)
                exact += bool(there)
    assert exact > 30
    differ = {n for n in opened.tables if closed.tables[n] != opened.tables[n]}
    assert differ == set()


async def answering(work: Work) -> EqualOpportunityForm:
    return work.add(EqualOpportunityForm.answer(Answers(gender="woman"), by=work.by))


def test_what_is_personal_is_in_it_only_on_demand(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    url = databases(of=read_models)
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(three_people(ledger))
        asyncio.run(ledger.decide(answering, intent=Intent(by=Actor("integration:website"))))
    export(url, tmp_path / "closed")
    found = list[Path]()
    export(
        url, tmp_path / "opened", key=KEY,
        progress=lambda *_: found.extend((tmp_path / "opened").glob(f"{exporting.STATE}*")),
    )  # fmt: skip
    assert found == [], "what is opened lies in no file that has a name"
    said = {name: repr(content(tmp_path / name)) for name in ("closed", "opened")}
    raw = b"".join(p.read_bytes() for p in (tmp_path / "closed").rglob("*") if p.is_file())
    assert "woman" not in said["closed"] + said["opened"]
    for word in ("Ada", "Grace", "engines"):
        assert word not in said["closed"]
        assert word.encode() not in raw
    assert "Ada likes engines" in said["opened"]
    assert "Grace" not in said["opened"], "her key is destroyed"


def test_nobodys_name_or_message_of_the_agency_is_in_it(database: str, made: Made) -> None:
    """Whatever the ledger seals: each sealed text of some length, looked for in every file; not
    those that stand in a clear fact too, as titles of jobs do."""
    with Slices(database, KEYRING) as opened, Slices(database) as closed:
        texts = set[str]()
        for page in opened.pages(Slice(), after=0, upto=opened.head()):
            for entry in page.entries:
                for name in sealed_fields(type(entry.event)):
                    text = getattr(entry.event, name)
                    if isinstance(text, str) and len(text) > 7 and " " in text:
                        texts.add(text)
        clear = "".join(
            bytes(told.fact).decode()
            for page in closed.pages(Slice(), after=0, upto=closed.head())
            for told in page.told
        )
    texts = {text for text in texts if text not in clear}
    assert len(texts) > 200
    said = said_in(made())
    assert [text for text in texts if text in said] == []
    said = said_in(made("opened", key=KEY))
    assert sum(text in said for text in texts) > 100


def test_again_it_adds_what_is_new_and_is_as_if_made_at_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "FILE_ROWS", 700)
    monkeypatch.setattr(shelving, "MOST_ROWS", 500)
    first, _ = export(database, tmp_path / "x")
    kept = (tmp_path / "x" / exporting.STATE).stat().st_mtime_ns
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "x" / "ledger").rglob("*.parquet")}
    assert export(database, tmp_path / "x") == (first, 0)
    assert (tmp_path / "x" / exporting.STATE).stat().st_mtime_ns == kept, "nothing is kept anew"
    head = play(database, seed=2)

    again, new = export(database, tmp_path / "x")

    assert (again.position, new) == (head, head - first.position)
    same = [p for p, at in files.items() if p.stat().st_mtime_ns == at]
    assert len(same) >= len(files) - 1, "only the last file is written again"
    export(database, tmp_path / "whole")
    assert content(tmp_path / "x") == content(tmp_path / "whole")
    assert positions(tmp_path / "x") == list(range(1, head + 1))


def test_rows_are_let_go_before_they_are_too_many(
    database: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "MOST_ROWS", 300)
    held, relieve = [], shelving.Shelf.relieve

    def watched(self: shelving.Shelf, position: int) -> None:
        relieve(self, position)
        held.append(sum(len(rows.held) for rows in self.rows.values()))

    monkeypatch.setattr(shelving.Shelf, "relieve", watched)
    export(database, tmp_path / "few")
    assert len(held) > 2
    assert max(held) <= 300
    assert content(tmp_path / "few") == content(made())


def test_what_is_kept_and_cannot_be_read_is_as_if_there_were_none(
    database: str, made: Made
) -> None:
    folder = made()
    before = content(folder)
    for damaged in (b"no database", (folder / exporting.STATE).read_bytes()[:8192]):
        (folder / exporting.STATE).write_bytes(damaged)
        export(database, folder)
        assert content(folder) == before


class Killed(Exception):
    """In the place of a signal."""


def killed(url: str, folder: Path, *, key: bytes | None = None) -> None:
    """An export, once it has kept what it folded."""

    def dies(*_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        export(url, folder, key=key, progress=dies)


def with_people(url: str) -> str:
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(three_people(ledger))
    return url


def test_what_was_folded_beyond_a_restored_ledger_is_folded_anew(
    databases: Callable[..., str], read_models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was believed, and rows of entries that are no more were in the export."""
    monkeypatch.setattr(shelving, "MOST_ROWS", 0)
    url, folder = with_people(databases(of=read_models)), tmp_path / "x"
    backup = databases(of=str(conninfo_to_dict(url)["dbname"]))
    killed(with_people(url), folder)

    export(backup, folder)
    export(backup, tmp_path / "whole")
    assert content(folder) == content(tmp_path / "whole")


def restored_and_grown(url: str, databases: Callable[..., str], then: Callable[[], Any]) -> str:
    """A ledger of which there was a backup: it grows, what is done ``then`` goes by that, and of
    the backup it grows anew, to the same length."""
    backup = databases(of=str(conninfo_to_dict(url)["dbname"]))
    with_people(url)
    then()
    return with_people(backup)


def test_an_export_of_entries_that_the_ledger_lost_is_gone_on_with_by_none(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    """The ledger was known by its first entry: entries of two histories were in one export."""
    url, folder = with_people(databases(of=read_models)), tmp_path / "x"
    with Ledger(url, KEYRING) as ledger:
        head = asyncio.run(ledger.head())
    for name, key in (("x", None), ("opened", KEY)):
        export(url, tmp_path / name, key=key)
    assert export(url, folder)[1] == 0

    url = restored_and_grown(url, databases, lambda: export(url, folder))

    before = content(folder)
    with pytest.raises(AnalysisFault, match=rf"x has another entry at position {2 * head} than"):
        export(url, folder)
    assert content(folder) == before
    export(url, tmp_path / "opened", key=KEY)  # made before the ways parted
    export(url, tmp_path / "whole", key=KEY)
    assert content(tmp_path / "opened") == content(tmp_path / "whole")


def test_what_was_folded_of_entries_that_the_ledger_lost_is_folded_anew(
    databases: Callable[..., str], read_models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "MOST_ROWS", 0)
    url, folder = with_people(databases(of=read_models)), tmp_path / "x"
    url = restored_and_grown(url, databases, lambda: killed(url, folder))

    export(url, folder)
    export(url, tmp_path / "whole")
    assert content(folder) == content(tmp_path / "whole")


@pytest.mark.parametrize("of", ["another ledger", "the ledger with what is sealed"])
def test_what_an_unfinished_export_left_is_gone_on_with_only_by_its_like(
    of: str,
    databases: Callable[..., str],
    read_models: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No export.json says yet of which ledger it is, or that what is sealed is in it, in clear."""
    monkeypatch.setattr(shelving, "MOST_ROWS", 0)
    monkeypatch.setattr(exporting, "FILE_ROWS", 1)
    url, folder = with_people(databases(of=read_models)), tmp_path / "x"
    if of == "another ledger":
        killed(with_people(databases(of=read_models)), folder)
    else:
        killed(url, folder, key=KEY)
    assert positions_of_files(folder)

    export(url, folder)
    export(url, tmp_path / "whole")
    assert content(folder) == content(tmp_path / "whole")


def test_a_shelf_that_cannot_be_opened_is_left_and_said(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    """Whatever SQLite said, it was thrown away, and all was folded from the first entry."""
    url, folder = with_people(databases(of=read_models)), tmp_path / "x"
    export(url, folder)
    shelf = folder / exporting.STATE
    before, journal = shelf.read_bytes(), shelf.with_name(f"{shelf.name}-journal")
    journal.mkdir()
    with pytest.raises(AnalysisFault, match=r"\.folded: disk I/O error$"):
        export(with_people(url), folder)
    journal.rmdir()
    assert shelf.read_bytes() == before
    export(url, folder)
    assert len(positions(folder)) > 4


def test_a_full_disk_is_said_as_such(
    databases: Callable[..., str], read_models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: shelving.Shelf, position: int) -> None:
        self._conn.execute("PRAGMA max_page_count = 1")
        self._conn.execute("UPDATE projection SET name = name || hex(zeroblob(10000))")

    monkeypatch.setattr(shelving.Shelf, "relieve", full)
    with pytest.raises(AnalysisFault, match=r"\.folded: database or disk is full$"):
        export(with_people(databases(of=read_models)), tmp_path / "x")


def test_only_a_row_that_is_damaged_is_the_shelfs_fault(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    url, folder = with_people(databases(of=read_models)), tmp_path / "x"

    def not_of_the_shelf(*_: object) -> None:
        raise msgspec.ValidationError("of an entry")

    with pytest.raises(msgspec.ValidationError, match="of an entry"):
        export(url, folder, progress=not_of_the_shelf)
    export(url, folder)
    with closing(sqlite3.connect(folder / exporting.STATE)) as conn, conn:
        conn.execute("UPDATE row_of_person SET row = x'c1'")
    (folder / "read" / "people" / "person.parquet").unlink()
    with pytest.raises(AnalysisFault, match="row of person is damaged; remove it, and do it again"):
        export(url, folder)
    (folder / exporting.STATE).unlink()
    export(url, folder)


def test_only_what_can_have_changed_is_written_again(database: str, made: Made) -> None:
    folder = made()
    before = {p: p.stat().st_mtime_ns for p in (folder / "read").rglob("*.parquet")}

    async def begin(work: Work) -> Person:
        return work.add(Person.source(sourced(name="New"), by=ANA))

    with Ledger(database, KEYRING) as ledger:
        asyncio.run(ledger.decide(begin, intent=Intent(by=ANA)))
    export(database, folder)

    written = {p.stem for p, at in before.items() if p.stat().st_mtime_ns != at}
    assert {"person", "directory"} <= written
    assert "invoice" not in written


DIES = """
import os, signal, sys
from pathlib import Path
from ledger_crm.analysis import exporting, shelving

url, folder, within, does, at = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5])
exporting.FILE_ROWS = 300
shelving.MOST_ROWS = 200
done = 0
do = getattr(exporting, does)

def dying(*given):
    global done
    path = given[-1]
    done += within in path.parts
    if done == at:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.new").write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)
    return do(*given)

setattr(exporting, does, dying)
exporting.export(url, folder)
"""


def dies(url: str, folder: Path, within: str, does: str, at: int) -> None:
    """An export, before it has drafted or placed that many files in there."""
    words = (url, str(folder), within, does, str(at))
    died = subprocess.run([sys.executable, "-c", DIES, *words], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr


@pytest.mark.parametrize(
    ("within", "at"),
    [
        ("ledger", 5),
        *(pytest.param(*each, marks=pytest.mark.campaign) for each in (("ledger", 2), ("read", 9))),
    ],
)
def test_killed_in_the_middle_it_can_be_read_and_goes_on(
    within: str, at: int, database: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = tmp_path / "x", made("whole")
    monkeypatch.setattr(exporting, "FILE_ROWS", 300)
    dies(database, folder, within, "_draft", at)

    there = positions_of_files(folder)
    assert there == list(range(1, len(there) + 1))
    assert there

    export(database, folder)
    assert content(folder) == content(whole)
    assert not list(folder.rglob(".*.new"))


@pytest.mark.parametrize(
    ("within", "does", "at"),
    [
        ("read", "_draft", 7),
        ("read", "_place", 7),
        pytest.param("ledger", "_draft", 3, marks=pytest.mark.campaign),
        pytest.param("x", "_place", 60, marks=pytest.mark.campaign),
    ],
)
def test_what_a_killed_run_left_of_another_position_is_not_answered(
    told: Run,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    within: str,
    does: str,
    at: int,
) -> None:
    """Entries beyond the export's position were shown, beside tables of two."""
    monkeypatch.setattr(exporting, "FILE_ROWS", 300)
    folder, sums = tmp_path / "x", "SELECT max(position) AS last, count(*) AS n FROM ledger"
    before, _ = export(database, folder)
    tables = {name: rows for name, rows in content(folder).items() if name != "ledger"}
    play(database, seed=2)

    dies(database, folder, within, does, at)

    assert positions_of_files(folder)[-1] > before.position or within == "ledger"
    assert over_export(folder, sums).rows == [(before.position, before.position)]
    asked = ("sql", "SELECT count(*) AS n FROM person", "--export", str(folder), "--format", "json")
    code, out, err = told(*asked)
    if does == "_draft":
        assert (code, json.loads(out)) == (0, [{"n": before.tables["person"]}]), err
        assert {n: rows for n, rows in content(folder).items() if n != "ledger"} == tables
    else:
        says = f"the export in {folder} is not finished: run ledger-crm export again"
        assert (code, out, err) == (2, "", f"ledger-crm: {says}\n")
        assert over_export(folder, "FROM (SHOW TABLES)").rows == [("ledger",)]

    now, _ = export(database, folder)

    assert over_export(folder, sums).rows == [(now.position, now.position)]
    assert json.loads(told(*asked)[1]) == [{"n": now.tables["person"]}]
    export(database, tmp_path / "whole")
    assert content(folder) == content(tmp_path / "whole")
    assert not list(folder.rglob(".*.new"))


def test_who_asks_while_it_is_exported_is_not_answered_of_two_positions(
    databases: Callable[..., str], read_models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = with_people(databases(of=read_models)), tmp_path / "x"
    first, _ = export(url, folder)
    answer = querying._answer

    def meanwhile(duck: Any, query: str) -> Found:
        export(with_people(url), folder)
        return answer(duck, query)

    monkeypatch.setattr(querying, "_answer", meanwhile)
    with pytest.raises(AnalysisFault, match="x was exported anew meanwhile: ask again"):
        over_export(folder, "SELECT count(*) FROM person JOIN ledger ON true")
    now = exporting.found(folder)
    assert now
    assert over_export(folder, "SELECT count(*) FROM ledger").rows == [(now.position,)]
    assert now.position > first.position


def test_what_is_missing_is_told_and_not_counted_without(
    told: Run, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "FILE_ROWS", 300)
    folder = tmp_path / "x"
    exported, _ = export(database, folder)
    before, files = content(folder), sorted((folder / "ledger").rglob("*.parquet"))
    asked = ("sql", "SELECT count(*) FROM ledger", "--export", str(folder))

    (folder / "read" / "people" / "person.parquet").unlink()
    files[-1].unlink()
    code, out, err = told(*asked)
    assert (code, out, err.count("\n")) == (2, "", 1)
    last = int(files[-1].stem) - 1
    says = f"{folder} has entries up to {last} only, of {exported.position}: run ledger-crm export"
    assert says in err
    code, out, err = told("sql", "FROM person", "--export", str(folder))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{folder} has lost the table person: run ledger-crm export again" in err
    assert told("sql", "FROM (SHOW TABLES)", "--export", str(folder))[0] == 0
    assert told("export", str(folder))[0] == 0
    assert content(folder) == before

    gone, after = files[3], files[4]
    shutil.rmtree(gone.parent) if gone.parent != after.parent else gone.unlink()
    for words in (asked, ("export", str(folder))):
        code, out, err = told(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"does not go on after position {int(gone.stem) - 1}: remove the export" in err


def test_who_is_erased_goes_from_what_was_opened(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    url, folder = databases(of=read_models), tmp_path / "x"

    async def begin(work: Work) -> Person:
        ada = work.add(Person.source(sourced(name="Ada"), by=ANA))
        grace = work.add(Person.source(sourced(name="Grace"), by=ANA))
        grace.record(note(text="Grace likes engines"), by=ANA)
        assert ada
        return grace

    with Ledger(url, KEYRING) as ledger:
        grace = asyncio.run(ledger.decide(begin, intent=Intent(by=ANA))).id
        export(url, folder, key=KEY)
        assert "Grace" in repr(content(folder))
        erased = PersonErased(erased_at=NOON)
        asyncio.run(
            ledger.change(Person, grace, lambda p: p.enter(erased, by=ANA), intent=Intent(by=ANA))
        )
    export(url, folder, key=KEY)
    said = repr(content(folder))
    assert "Grace" not in said
    assert "Ada" in said


def test_what_does_not_belong_there_is_refused(
    database: str, databases: Callable[..., str], read_models: str, made: Made, tmp_path: Path
) -> None:
    folder = made()
    with pytest.raises(AnalysisFault, match="holds nothing that is sealed: leave out --open"):
        export(database, folder, key=KEY)
    other = databases(of=read_models)
    with pytest.raises(AnalysisFault, match="another ledger"):
        export(other, folder)
    with exporting._alone(folder), pytest.raises(AnalysisFault, match="another export is at work"):
        export(database, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").touch()
    with pytest.raises(AnalysisFault, match="holds something else"):
        export(database, tmp_path / "mine")
    first, *_ = sorted((folder / "ledger").rglob("*.parquet"))
    first.write_bytes(b"PAR1 or so")
    with pytest.raises(AnalysisFault, match="is damaged"):
        export(database, folder)
    first.unlink()
    (folder / "ledger" / "month=2026-01").mkdir(exist_ok=True)
    (folder / "export.json").write_text("{")
    with pytest.raises(AnalysisFault, match="is damaged"):
        export(database, folder)


def test_an_empty_ledger_has_an_empty_export(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    exported, new = export(databases(of=read_models), tmp_path / "x")
    assert (exported.position, new) == (0, 0)
    assert over_export(tmp_path / "x", "SELECT count(*) FROM person").rows == [(0,)]


def test_its_schema_is_described(made: Made) -> None:
    folder = made()
    text = (folder / "SCHEMA.md").read_text()
    for projection in every():
        for table in projection.tables:
            assert f"\n## {table.name}\n" in text
            found = pq.read_schema(folder / "read" / projection.name / f"{table.name}.parquet")
            assert found.names == list(table.columns)


# SQL


def test_live_and_exported_answer_alike(database: str, made: Made) -> None:
    folder = made(key=KEY)
    for query in (
        "SELECT category, count(*) AS n FROM funnel_step GROUP BY 1 ORDER BY 1",
        "WITH c AS (SELECT * FROM funnel_candidacy) SELECT d.name, count(*) AS n FROM c"
        " JOIN directory d ON d.id = c.company_id GROUP BY 1 ORDER BY 2 DESC, 1",
        "SELECT max(reached_at) AS newest FROM funnel_step",
        'SELECT count(*) AS n FROM PERSON JOIN "Directory" ON id = person_id',
        "CREATE VIEW them AS FROM person; SELECT count(*) AS n FROM them",
        "PIVOT funnel_step ON category USING count(*) ORDER BY ALL",
    ):
        exported = over_export(folder, query)
        assert exported == over_live(database, query)
        assert exported.rows


def test_what_was_opened_nobody_else_reads(told: Run, made: Made, tmp_path: Path) -> None:
    """Nor a result, which may be out of it; one that was given to others stays so."""
    folder = made(key=KEY)
    folder.chmod(0o755)  # as an older version left it
    assert told("export", str(folder), "--open", "--json")[0] == 0
    assert told("export", str(tmp_path / "new"), "--open", "--ledger-only")[0] == 0
    ours = [*(tmp_path / "new").rglob("*"), folder, tmp_path / "new"]
    assert [path for path in ours if path.stat().st_mode & 0o077] == []
    (tmp_path / "given.csv").touch(0o644)
    for name in ("mine.csv", "given.csv"):
        query = ("SELECT count(*) FROM ledger", "--export", str(folder))
        assert told("sql", *query, "--out", str(tmp_path / name))[0] == 0
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("mine.csv", "given.csv")]
    assert modes == [0o600, 0o644]


def test_sql_comes_out_in_every_shape(told: Run, tmp_path: Path) -> None:
    folder = str(tmp_path / "x")
    assert told("export", folder)[0] == 0
    query = "SELECT kind, count(*) AS n FROM ledger GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3"
    code, out, err = told("sql", query, "--export", folder, "--format", "json")
    lines = json.loads(out)
    assert (code, err, len(lines)) == (0, "", 3)
    titles, *rows = told("sql", query, "--export", folder)[1].splitlines()
    assert (titles.split(), [row.split()[0] for row in rows]) == (
        ["kind", "n"], [line["kind"] for line in lines],
    )  # fmt: skip
    assert told("sql", query, "--export", folder, "--format", "csv")[1].split()[0] == "kind,n"
    out_file = tmp_path / "x.parquet"
    assert told("sql", query, "--export", folder, "--out", str(out_file))[0] == 0
    assert pq.read_table(out_file).to_pylist() == lines
    summary = json.loads(told("export", folder, "--json")[1])
    assert summary["opened"] is False
    assert summary["tables"]["person"] > 10


def test_whole_numbers_stay_so_and_no_column_is_lost(told: Run, made: Made) -> None:
    query = (
        "SELECT a.n, b.n, sum(a.n) AS n_2, 0.5 AS half"
        " FROM (SELECT 1 AS n) a, (SELECT 2 AS n) b GROUP BY ALL"
    )
    code, out, err = told("sql", query, "--export", str(made()), "--format", "json")
    assert (code, json.loads(out)) == (0, [{"n": 1, "n_2": 2, "n_2_2": 1, "half": "0.5"}]), err


def test_what_is_no_number_and_what_is_a_span_of_time_can_be_read_again(
    told: Run, made: Made, tmp_path: Path
) -> None:
    """CSV said null, which another column has as nothing; and 90 minutes were [0,0,5400000000000].
    No Parquet was written of it."""
    query = (
        "SELECT 'nan'::DOUBLE AS a, '-inf'::DOUBLE AS b, 'inf'::FLOAT AS c, NULL::DOUBLE AS d,"
        " INTERVAL '14 months 2 days 3.5 seconds' AS e, INTERVAL '-90 minutes' AS f,"
        " INTERVAL '0 days' AS g, NULL::INTERVAL AS h,"
        " {'all': [INTERVAL '1 day', NULL]} AS i"
    )
    asked = ("sql", query, "--export", str(made()))
    code, out, err = told(*asked, "--format", "csv")
    assert (code, err) == (0, "")
    spans = ("P14M2DT3.5S", "PT-5400S", "PT0S")
    [_, row] = csv.reader(io.StringIO(out, newline=""))
    assert row == ["NaN", "-inf", "inf", "", *spans, "", '{"all":["P1D",null]}']
    assert told(*asked, "--out", str(tmp_path / "x.parquet"))[0] == 0
    [written] = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert tuple(written[name] for name in "efgh") == (*spans, None)
    assert written["i"] == {"all": ["P1D", None]}
    assert (str(written["a"]), written["b"], written["d"]) == ("nan", float("-inf"), None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("SELEC 1",), "Parser Error"),
        (("SELECT * FROM nosuch",), "Table with name nosuch does not exist"),
        (("SELECT nosuch FROM ledger",), "nosuch"),
        (("CREATE TABLE mine (n int)",), "gives no rows"),
        (("DROP TABLE person",), "gives no rows"),
        (("",), "gives no rows"),
        (("SELECT 1", "--live"), "--live and --export"),
        (("INSTALL postgres",), "gives no rows"),
        (("SELECT 'infinity'::DATE AS far",), "column far holds moments that are too far off"),
        (("SELECT '2026-01-01 0:0:0.000000001'::TIMESTAMP_NS AS fine",), "too fine"),
        (("SELECT '\udcff'",), "this query is no UTF-8"),
    ],
    ids=str,
)
def test_a_wrong_query_is_one_line(
    told: Run, made: Made, words: tuple[str, ...], says: str
) -> None:
    code, out, err = told("sql", *words, "--export", str(made()))
    assert (code, out, err.count("\n")) == (2, "", 1), (out, err)
    assert says in err


HEARING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # some start us deaf
from ledger_crm.cli import main
main()
"""


def test_a_query_stops_when_it_is_told_to(tmp_path: Path) -> None:
    none_yet = Exported(format=FORMAT, ledger="", position=0, opened=False, destroyed=0, tables={})
    (tmp_path / "export.json").write_bytes(msgspec.json.encode(none_yet))
    begun = tmp_path / "begun.csv"
    query = f"COPY (SELECT 1) TO '{begun}'; SELECT count(*) FROM range(100000000000)"
    asking = subprocess.Popen(
        [sys.executable, "-c", HEARING, "sql", query, "--export", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with asking:
        until(begun.exists)
        asking.send_signal(signal.SIGINT)
        try:
            out, err = asking.communicate(timeout=PATIENCE_S)
        finally:
            asking.kill()
    assert (asking.returncode, out, err) == (130, "", "ledger-crm: stopped\n")


def test_an_export_with_a_damaged_file_is_one_line(told: Run, made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "it's [1]*"
    shutil.copytree(made(), folder)
    asked = "SELECT count(*) FROM ledger JOIN person ON true"
    assert told("sql", asked, "--export", str(folder))[0] == 0
    for path, harm in (
        (folder / "read" / "people" / "person.parquet", lambda p: p.write_bytes(b"PAR1")),
        (folder / "ledger", shutil.rmtree),
    ):
        harm(path)
        code, out, err = told("sql", asked, "--export", str(folder))
        assert (code, out, err.count("\n")) == (2, "", 1), err


def test_a_damaged_table_is_written_anew_and_stops_only_who_names_it(told: Run, made: Made) -> None:
    """It is derived: export ended in a traceback, and sql told of it whatever was asked."""
    folder = made()
    before, path = content(folder), folder / "read" / "people" / "person.parquet"
    for harm in (b"PAR1", b"", path.read_bytes()[:-9]):
        path.write_bytes(harm)
        for query in (
            "SELECT count(*) FROM ledger",
            "SELECT count(*) FROM funnel_step",
            "FROM (SHOW TABLES)",
        ):
            code, _, err = told("sql", query, "--export", str(folder))
            assert (code, err) == (0, ""), query
        code, out, err = told("sql", 'SELECT count(*) FROM "Person"', "--export", str(folder))
        assert (code, out) == (2, "")
        assert err == f"ledger-crm: {path} is damaged: run ledger-crm export again\n"

        assert told("export", str(folder))[0] == 0

        assert content(folder) == before


def test_without_an_export_it_says_how_to_make_one(told: Run, tmp_path: Path) -> None:
    code, out, err = told("sql", "SELECT 1", "--export", str(tmp_path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "ledger-crm export" in err


def test_live_writes_nothing_and_needs_the_key(
    told: Run, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def people() -> Any:
        return json.loads(told("sql", "SELECT count(*) AS n FROM person", "--live",
                               "--format", "json")[1])  # fmt: skip

    before = people()
    assert told("sql", "DELETE FROM person", "--live")[0] == 2
    assert told("sql", "DELETE FROM person; SELECT 1", "--live")[0] == 2
    assert people() == before
    with connect(database) as conn:
        [(count,)] = conn.execute("SELECT count(*) FROM person").fetchall()
    assert before == [{"n": count}]
    for key, says in (
        (urlsafe_b64encode(b"x" * 32).decode(), "not the one this database was sealed with"),
        (None, "sealing.key is not there"),
    ):
        monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
        if key:
            monkeypatch.setenv("LEDGER_SEALING_KEY", key)
        else:
            monkeypatch.delenv("LEDGER_SEALING_KEY")
        code, out, err = told("sql", "SELECT 1", "--live")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err


def test_what_is_not_projected_is_said(databases: Callable[..., str], ledger: Ledger) -> None:
    url = databases(of="template_ledger")
    with pytest.raises(AnalysisFault, match="person is not projected yet; ledger-crm up fills it"):
        over_live(url, "SELECT * FROM person")
