"""The drill: archived, restored elsewhere, and everything is as it was. And what must not pass."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from analysis.test_replay import three_people
from builders import sourced
from conftest import Run
from ledger_crm import archive as archives
from ledger_crm.analysis.checksums import checksums_of, difference
from ledger_crm.archive import ArchiveFault, Manifest
from ledger_crm.commands import demo
from ledger_crm.domain.entry import ERASED
from ledger_crm.domain.person import Person
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.ledger import Intent, Ledger, Work
from ledger_crm.projections import every
from ledger_crm.sealing import Keyring, WrongKey
from ledger_crm.storage import Files
from ledger_crm.vault import Vault
from ledger_crm.workers.projector import connect, try_to_lead
from projections.driving import positions
from projections.stories import PEOPLE
from projections.test_queries import project
from scenario import ANA, KEYRING, NOON

pytestmark = pytest.mark.xdist_group("analysis")

GOLDEN = Path(__file__).parents[1] / "golden" / "archive_1"


@pytest.fixture
def empty(databases: Callable[..., str], read_models: str) -> str:
    return databases(of=read_models)


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SEGMENT", 2_000)


def vault_in(folder: Path) -> Vault:
    return Vault(Files(folder, private=True))


def archive(url: str, folder: Path, vault: Path) -> tuple[Manifest, int]:
    return archives.archive(url, Files(folder), vault_in(vault).storage)


def verify(folder: Path) -> Manifest:
    return archives.verify(Files(folder))


def put_back(
    url: str, folder: Path, vault: Path | None = None, keyring: Keyring = KEYRING
) -> Manifest:
    vault = vault or folder.with_name("vault of another")
    return archives.restore(url, Files(folder), vault_in(vault).storage, keyring)[0]


def row(url: str, query: str) -> Any:
    with psycopg.connect(url) as conn:
        return conn.execute(query.encode()).fetchall()


TABLES = {
    "entries": "notification_id",
    "data_keys": "stream_id",
    "reservations": "key",
    "receipts": "key",
    "deployment": "one",
}


def stored(url: str) -> dict[str, Any]:
    found = {t: row(url, f"SELECT * FROM ledger.{t} ORDER BY {by}") for t, by in TABLES.items()}
    return found | {"head": row(url, "SELECT position FROM ledger.head")}


def test_archived_and_restored_everything_is_as_it_was(
    database: str, empty: str, tmp_path: Path
) -> None:
    """Heads, entries, keys, reservations, receipts; and every read model, by its checksum."""
    vault = vault_in(tmp_path / "vault")
    addresses = [vault.put(content) for content in (b"one", b"another")]
    manifest, new = archive(database, tmp_path / "a", tmp_path / "vault")
    assert new == manifest.head > 4_000
    assert len(manifest.segments) > 2
    assert (tmp_path / "a" / manifest.keys.name).stat().st_mode & 0o077 == 0

    again = put_back(empty, tmp_path / "a", tmp_path / "other vault")

    assert again == manifest
    assert stored(empty) == stored(database)
    assert [vault_in(tmp_path / "other vault").get(each) for each in addresses] == [
        b"one", b"another",
    ]  # fmt: skip
    with Ledger(empty, KEYRING) as ledger:
        project(empty, ledger)
    before, after = checksums_of(database), checksums_of(empty)
    assert difference(before, after) == ""
    assert len(before.tables) > 160
    assert before.tables.keys() >= {"candidacy", "past.candidacy"}
    assert archives.against(empty, manifest) == manifest.head


def test_an_archive_of_format_1_is_read_for_ever(
    read_models: str, databases: Callable[..., str], tmp_path: Path
) -> None:
    """As it was written on the day of that format: its files are never changed. Restored, people
    are open, who was erased is not, and every read model is built of it; and it can be added to."""
    folder, url = tmp_path / "a", databases(of=read_models)
    shutil.copytree(GOLDEN, folder)
    assert verify(folder).ledger.startswith("cbd3d7757dd3b344"), "golden: it is never made anew"

    manifest = put_back(url, folder, tmp_path / "vault")

    assert (manifest.format, manifest.head, manifest.documents) == (1, 112, 1)
    assert archives.against(url, manifest) == 112
    vault = vault_in(tmp_path / "vault")
    assert vault.get(hashlib.sha256(b"golden document").hexdigest()) == b"golden document"
    with Ledger(url, KEYRING) as ledger:
        project(url, ledger)
        assert checksums_of(url).positions == dict.fromkeys(checksums_of(url).positions, 112)
        asyncio.run(three_people(ledger))
    names = dict(row(url, "SELECT id, name FROM read.directory WHERE kind = 'person'"))
    assert (names[PEOPLE[0]], names[PEOPLE[1]]) == ("P0", ERASED)
    again, new = archive(url, folder, tmp_path / "vault")
    assert again.head == 112 + new > 112


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"format": 2, "chapters": []}, "another version: its format is 2, and this one reads 1"),
        ({"format": "1"}, "is damaged"),
        ({}, "is damaged"),
    ],
    ids=str,
)
def test_an_archive_of_a_format_to_come_is_refused_as_that(
    told: Run, tmp_path: Path, manifest: dict[str, Any], says: str
) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for words in (("restore",), ("archive",), ("archive", "--verify")):
        code, out, err = told(*words, str(tmp_path))
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err


def test_it_goes_on_where_it_was_restored(database: str, empty: str, tmp_path: Path) -> None:
    """The same commands again change nothing: their receipts are there too."""
    archive(database, tmp_path / "a", tmp_path / "vault")
    manifest = put_back(empty, tmp_path / "a")
    with Ledger(empty, KEYRING) as ledger:
        ledger.store.check_key()
        played = asyncio.run(demo.play(ledger, seed=1, until=date(2026, 11, 1), size=0.01))
        assert played.written == 0
        more = asyncio.run(demo.play(ledger, seed=2, until=date(2026, 11, 1), size=0.01))
        assert more.written > 1_000
        assert asyncio.run(ledger.head()) == manifest.head + more.written


def test_a_webhook_goes_on_where_it_was(database: str, empty: str, tmp_path: Path) -> None:
    """And from the first that waits to be tried again: sent twice is better than never."""
    with psycopg.connect(database) as conn:
        for webhook, waits in ((1, ()), (2, (950, 970))):
            conn.execute(
                "INSERT INTO ledger.webhook_standing VALUES (%s, 7, 1000, 3, now())",
                (UUID(int=webhook),),
            )
            for position in waits:
                conn.execute(
                    "INSERT INTO ledger.webhook_waiting VALUES (%s, %s, 1, now())",
                    (UUID(int=webhook), position),
                )
    archive(database, tmp_path / "a", tmp_path / "vault")
    put_back(empty, tmp_path / "a")
    assert row(empty, "SELECT * FROM ledger.webhook_standing ORDER BY 1") == [
        (UUID(int=1), 7, 1000, 0, None),
        (UUID(int=2), 7, 949, 0, None),
    ]
    assert row(empty, "SELECT * FROM ledger.webhook_waiting") == []


def test_again_it_adds_segments_and_changes_none(database: str, tmp_path: Path) -> None:
    first, _ = archive(database, tmp_path / "a", tmp_path / "vault")
    assert archive(database, tmp_path / "a", tmp_path / "vault") == (first, 0)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a" / "segments").iterdir()}
    with Ledger(database, KEYRING) as ledger:
        asyncio.run(demo.play(ledger, seed=2, until=date(2026, 11, 1), size=0.01))

    second, new = archive(database, tmp_path / "a", tmp_path / "vault")

    assert new == second.head - first.head > 0
    assert second.segments[: len(first.segments)] == first.segments
    now = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a" / "segments").iterdir()}
    assert now.items() >= before.items()
    assert verify(tmp_path / "a") == second


def test_what_is_personal_is_not_in_it(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    url = databases(of=read_models)
    with Ledger(url, KEYRING) as ledger:
        asyncio.run(three_people(ledger))
    archive(url, tmp_path / "a", tmp_path / "vault")
    for path in (tmp_path / "a").rglob("*.gz"):
        content = gzip.decompress(path.read_bytes())
        assert b"Ada" not in content
        assert b"engines" not in content


def test_who_was_erased_stays_erased_whatever_copy_of_the_keys_there_is(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    """A key was archived, and destroyed later: the entry that erased destroys it again."""
    url = databases(of=read_models)

    def add(name: str) -> Callable[[Work], Any]:
        async def begin(work: Work) -> Person:
            return work.add(Person.source(sourced(name=name), by=ANA))

        return begin

    with Ledger(url, KEYRING) as ledger:
        ada, grace = (
            asyncio.run(ledger.decide(add(name), intent=Intent(by=ANA))).id
            for name in ("Ada", "Grace")
        )
        archive(url, tmp_path / "a", tmp_path / "vault")
        old_keys = only(tmp_path / "a", "keys").read_bytes()
        erased = PersonErased(erased_at=NOON)
        asyncio.run(
            ledger.change(Person, grace, lambda p: p.enter(erased, by=ANA), intent=Intent(by=ANA))
        )
    archive(url, tmp_path / "a", tmp_path / "vault")
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    manifest["keys"]["sha256"] = archives._hash_of(old_keys)
    (tmp_path / "a" / "manifest.json").write_text(json.dumps(manifest))
    only(tmp_path / "a", "keys").write_bytes(old_keys)

    restored = databases(of=read_models)
    put_back(restored, tmp_path / "a")

    keys = dict(row(restored, "SELECT stream_id, wrapped IS NULL FROM ledger.data_keys"))
    assert keys == {ada: False, grace: True}
    with Ledger(restored, KEYRING) as ledger:
        names = [
            entry.event.name  # type: ignore[attr-defined]
            for entry in asyncio.run(ledger.entries())
            if hasattr(entry.event, "name")
        ]
    assert names == ["Ada", "[erased]"]


# what must not pass


def whole(url: str, folder: Path) -> Path:
    vault_in(folder.with_name("vault")).put(b"a document")
    archive(url, folder, folder.with_name("vault"))
    return folder


def only(folder: Path, what: str) -> Path:
    [path] = folder.glob(f"{what}.*.jsonl.gz")
    return path


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "segments").iterdir())


def _another_byte(folder: Path) -> None:
    path = segments(folder)[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _rewritten(folder: Path) -> None:
    """By somebody who mends the hash, too: the entries are bound to those before and after."""
    path = segments(folder)[1]
    lines = gzip.decompress(path.read_bytes()).replace(b"consultant:", b"consultanT:", 1)
    path.write_bytes(gzip.compress(lines))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["segments"][1]["sha256"] = archives._hash_of(path.read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _a_gap(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["segments"][1]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _another_document(folder: Path) -> None:
    [document] = (folder / "documents").glob("??/*")
    document.write_bytes(b"another")


def _no_hash(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["segments"][1]["entries"] = "none"
    (folder / "manifest.json").write_text(json.dumps(manifest))


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (_another_byte, "000000002001.jsonl.gz is not what was written"),
    (_rewritten, "000000002001.jsonl.gz does not follow those before it"),
    (_a_gap, "has a gap after position 2000"),
    (lambda folder: segments(folder)[1].unlink(), "000000002001.jsonl.gz is missing"),
    (lambda folder: only(folder, "keys").unlink(), ".jsonl.gz is missing"),
    (lambda folder: only(folder, "receipts").write_bytes(b""), ".jsonl.gz is not what was"),
    (lambda folder: (folder / "manifest.json").unlink(), "is no archive"),
    (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is damaged"),
    (_another_document, "is not what was written"),
    (_no_hash, "is damaged: take it from another copy"),
]


@pytest.mark.parametrize(("harm", "says"), WRONG, ids=[says for _, says in WRONG])
def test_what_was_harmed_is_told_and_nothing_of_it_restored(
    told: Run,
    database: str,
    empty: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Path], object],
    says: str,
) -> None:
    folder = whole(database, tmp_path / "a")
    harm(folder)
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    before = stored(empty)
    code, out, err = told("archive", str(folder), "--verify")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    monkeypatch.setenv("LEDGER_DATABASE_URL", empty)
    code, out, err = told("restore", str(folder))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert stored(empty) == before


def _no_segments(folder: Path) -> None:
    shutil.rmtree(folder / "segments")


def _half(number: int) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        path = segments(folder)[number]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return harm


def _another_end(folder: Path) -> None:
    """As long as it was."""
    path = segments(folder)[-1]
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize(
    ("harm", "which", "says"),
    [
        (_no_segments, 0, "is missing"),
        (lambda folder: segments(folder)[1].unlink(), 1, "is missing"),
        (lambda folder: segments(folder)[-1].unlink(), -1, "is missing"),
        (_half(1), 1, "is not what was written: it has "),
        (_another_end, -1, "is not what was written: its hash is another"),
    ],
    ids=["all", "one", "the last", "half of one", "another last"],
)
@pytest.mark.parametrize("grown", [False, True], ids=["nothing is new", "more is there"])
def test_what_lacks_a_segment_is_not_added_to(
    told: Run,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Path], object],
    which: int,
    says: str,
    grown: bool,
) -> None:
    """It was said to be at the head, with 0 new, and was a backup of nothing."""
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    folder = whole(database, tmp_path / "a")
    name = segments(folder)[which].name
    if grown:
        with Ledger(database, KEYRING) as ledger:
            asyncio.run(three_people(ledger))
    harm(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    code, out, err = told("archive", str(folder))

    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert f"{folder}/segments/{name} {says}" in err
    assert err.endswith("take it from another copy, or archive to a new place\n")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert told("archive", str(tmp_path / "new"))[0] == 0


def test_what_is_written_anew_mends_itself(database: str, tmp_path: Path) -> None:
    """Keys, reservations, receipts and documents, of which the house has its own."""
    folder = whole(database, tmp_path / "a")
    for what in ("keys", "reservations", "receipts", "webhooks"):
        only(folder, what).unlink()
    shutil.rmtree(folder / "documents")
    archive(database, folder, tmp_path / "vault")
    verify(folder)


def test_a_database_that_is_not_empty_is_left_alone(
    told: Run, database: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger(empty, KEYRING) as ledger:
        asyncio.run(three_people(ledger))
    folder, before = whole(database, tmp_path / "a"), stored(empty)
    monkeypatch.setenv("LEDGER_DATABASE_URL", empty)
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    code, out, err = told("restore", str(folder))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the database is not empty: ledger.entries has rows" in err
    assert stored(empty) == before


def test_a_restore_that_is_stopped_before_its_read_models_are_built_goes_on(
    told: Run, database: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ledger-crm up would, too, but that writes a key of its own: nothing could be compared."""
    folder = whole(database, tmp_path / "a")
    put_back(empty, folder)
    monkeypatch.setenv("LEDGER_DATABASE_URL", empty)
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    code, out, err = told("restore", str(folder))
    assert (code, "its read models are built" in out) == (0, True), err
    assert difference(checksums_of(database), checksums_of(empty)) == ""


def test_a_ledger_as_long_as_the_archived_one_is_not_taken_for_it(
    databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    archived, other = (databases(of=read_models) for _ in range(2))
    for url in (archived, other):
        with Ledger(url, KEYRING) as ledger:
            asyncio.run(three_people(ledger))
    archive(archived, tmp_path / "a", tmp_path / "vault")
    before = stored(other)
    with pytest.raises(ArchiveFault, match="the ledger differs from the archive between"):
        put_back(other, tmp_path / "a")
    assert stored(other) == before


def test_another_deployments_key_is_refused(database: str, empty: str, tmp_path: Path) -> None:
    folder = whole(database, tmp_path / "a")
    with pytest.raises(WrongKey, match="this archive was sealed with"):
        put_back(empty, folder, keyring=Keyring(b"x" * 32))


def test_an_archive_is_of_one_ledger(
    database: str, databases: Callable[..., str], read_models: str, tmp_path: Path
) -> None:
    folder = whole(database, tmp_path / "a")
    other = databases(of=read_models)
    with pytest.raises(ArchiveFault, match="beyond this ledger's 0"):
        archive(other, folder, tmp_path / "vault")
    with Ledger(other, KEYRING) as ledger:
        ledger.store.check_key()
        for seed in (5, 6):
            asyncio.run(demo.play(ledger, seed=seed, until=date(2026, 11, 1), size=0.01))
        assert asyncio.run(ledger.head()) > archives.manifest_of(Files(folder)).head
    with pytest.raises(ArchiveFault, match="is the archive of another ledger"):
        archive(other, folder, tmp_path / "vault")
    with pytest.raises(ArchiveFault, match="differs from the archive between positions 1 and 2000"):
        archives.against(other, archives.manifest_of(Files(folder)))
    backup = databases()
    for url in (database, backup):
        with Ledger(url, KEYRING) as ledger:
            asyncio.run(three_people(ledger))
        if url == database:
            archive(url, folder, tmp_path / "vault")
    with pytest.raises(ArchiveFault, match="or of this one before it was restored from an older"):
        archive(backup, folder, tmp_path / "vault")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").touch()
    with pytest.raises(ArchiveFault, match="holds something else"):
        archive(database, tmp_path / "mine", tmp_path / "vault")


DIES = """
import os, signal, sys
from pathlib import Path
from ledger_crm import archive as archives
from ledger_crm.storage import Files

archives.SEGMENT = 1_000
written, write = 0, archives._write

def dying(place, name, lines, **more):
    global written
    written += 1
    if written == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return write(place, name, lines, **more)

archives._write = dying
folder = Path(sys.argv[2])
archives.archive(sys.argv[1], Files(folder), Files(folder.with_name("vault")))
"""


@pytest.mark.parametrize("at", [2, 6])
def test_killed_in_the_middle_the_archive_is_that_of_before_and_goes_on(
    at: int, database: str, empty: str, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    died = subprocess.run([sys.executable, "-c", DIES, database, str(folder), str(at)])
    assert died.returncode < 0
    with pytest.raises(ArchiveFault, match="is no archive"):
        verify(folder)
    archive(database, folder, tmp_path / "vault")
    verify(folder)
    put_back(empty, folder)
    assert stored(empty) == stored(database)


def test_two_at_once_do_not_take_each_others_files(database: str, tmp_path: Path) -> None:
    folder, vault, refused = tmp_path / "a", tmp_path / "vault", []

    def meanwhile(at: int, of: int) -> None:
        try:
            archive(database, folder, vault)
        except ArchiveFault as fault:
            refused.append(str(fault))

    archives.archive(database, Files(folder), vault_in(vault).storage, progress=meanwhile)
    verify(folder)
    assert refused
    assert all("another run is archiving to" in each for each in refused)


def test_on_the_command_line(
    told: Run,
    database: str,
    empty: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Archive, verify, restore, verify again, and compare: each by one command."""
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    folder = str(tmp_path / "a")
    code, out, _ = told("archive", folder)
    assert (code, "of them new; its hash is" in out) == (0, True)
    code, out, _ = told("archive", folder, "--verify")
    assert (code, "the ledger here is the same" in out) == (0, True)
    code, out, _ = told("checksums", "--json")
    (tmp_path / "sums.json").write_text(out)

    monkeypatch.setenv("LEDGER_DATABASE_URL", empty)
    code, _, err = told("archive", folder, "--verify")
    assert (code, "the ledger's head is at 0, and the archive's at" in err) == (2, True)
    code, out, err = told("restore", folder)
    assert (code, "restored up to" in out) == (0, True), err
    code, out, err = told("restore", folder)
    assert (code, "it is there already, up to" in out, "restored" in out) == (0, True, False), err
    code, out, _ = told("archive", folder, "--verify")
    assert (code, "the ledger here is the same" in out) == (0, True)
    code, out, _ = told("checksums", "--against", str(tmp_path / "sums.json"))
    assert (code, "the same, at" in out) == (0, True)
    row_changed = "UPDATE read.directory SET name = 'Somebody' WHERE kind = 'person'"
    with psycopg.connect(empty) as conn:
        conn.execute(row_changed)
    code, _, err = told("checksums", "--against", str(tmp_path / "sums.json"))
    assert (code, "these tables differ: directory" in err) == (1, True)
    with Ledger(empty, KEYRING) as ledger:
        asyncio.run(three_people(ledger))
    code, _, err = told("checksums", "--against", str(tmp_path / "sums.json"))
    assert (code, "entries are the same" in err) == (1, True)


def test_a_read_model_that_another_leads_is_not_said_to_be_built(
    told: Run, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    monkeypatch.setenv("LEDGER_DATABASE_URL", empty)
    with connect(empty) as conn:
        assert try_to_lead(conn, "people")
        code, out, err = told("restore", str(GOLDEN))
    assert code == 0, err
    assert "left to a projector that runs or comes: people;" in out
    assert "are built" not in out
    assert positions(empty) == {p.name: 0 if p.name == "people" else 112 for p in every()}


def test_what_is_not_level_is_not_compared(database: str) -> None:
    found = checksums_of(database)
    with psycopg.connect(database) as conn:
        conn.execute("UPDATE read.projection_position SET position = 0 WHERE name = 'directory'")
    assert "not level with the ledger, and not compared: directory" in difference(
        found, checksums_of(database)
    )


def test_without_the_key_nothing_is_restored_and_none_is_made(
    told: Run, database: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = whole(database, tmp_path / "a")
    monkeypatch.delenv("LEDGER_SEALING_KEY")
    monkeypatch.setenv("LEDGER_DATABASE_URL", empty)
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path / "home"))
    code, _, err = told("restore", str(folder))
    assert (code, err.count("\n")) == (2, 1)
    assert "sealing.key is not there" in err
    assert not (tmp_path / "home").exists()
    monkeypatch.setenv("LEDGER_SEALING_KEY", urlsafe_b64encode(b"x" * 32).decode())
    assert told("restore", str(folder))[0] == 2
    assert os.listdir(tmp_path) != []
