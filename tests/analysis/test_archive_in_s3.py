"""The same drill with a bucket: archived there, restored from there. And the server goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analysis.test_archive import empty, stored
from buckets import S3, s3_in
from conftest import Run
from ledger_crm import archive as archives
from ledger_crm import storage
from ledger_crm.archive import verify
from ledger_crm.commands import demo
from ledger_crm.ledger import Ledger
from ledger_crm.storage import Bucket, Files, StorageFault
from ledger_crm.vault import Vault
from scenario import KEYRING

pytestmark = pytest.mark.xdist_group("analysis")

__all__ = ["empty"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    monkeypatch.setattr(archives, "SEGMENT", 2_000)
    monkeypatch.setattr(storage, "RETRIES", 1)
    (tmp_path / "s3" / "crm").mkdir(parents=True)
    with s3_in(tmp_path / "s3") as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


def test_archived_and_restored_by_one_command_each(
    server: S3,
    told: Run,
    database: str,
    empty: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the documents in a bucket, too; and again, nothing is new."""
    vault = Vault(Bucket("s3://crm/vault"))
    kept, dropped = vault.put(b"a document"), vault.put(b"another")
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    monkeypatch.setenv("LEDGER_DOCUMENTS", "s3://crm/vault")
    place = "s3://crm/archives/of-us"
    code, out, err = told("archive", place)
    assert (code, f"{place} is at" in out) == (0, True), err
    vault.drop(dropped)
    assert ", 0 of them new; its hash is" in told("archive", place)[1]
    found = {path.name for path in (server.folder / "crm/archives/of-us/documents").rglob("?" * 64)}
    assert found == {kept}
    code, out, err = told("archive", place, "--verify")
    assert (code, "the ledger here is the same" in out) == (0, True), err

    monkeypatch.setenv("LEDGER_DATABASE_URL", empty)
    monkeypatch.delenv("LEDGER_DOCUMENTS")
    code, out, err = told("restore", place)
    assert (code, "with 1 documents" in out) == (0, True), err
    assert stored(empty) == stored(database)
    assert Vault(Files(tmp_path / "documents")).get(kept) == b"a document"


def test_what_lacks_a_segment_is_not_added_to(
    server: S3, told: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the bucket lists: of the segments the last one alone is fetched."""
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    assert told("archive", "s3://crm/a")[0] == 0
    fetched, reading = [], Bucket.reading

    def watched(self: Bucket, name: str) -> Any:
        fetched.append(name)
        return reading(self, name)

    monkeypatch.setattr(Bucket, "reading", watched)
    assert ", 0 of them new; its hash is" in told("archive", "s3://crm/a")[1]
    manifest = archives.manifest_of(Bucket("s3://crm/a"))
    assert len(manifest.segments) > 2
    assert fetched == [manifest.segments[-1].name]
    Bucket("s3://crm/a").drop(manifest.segments[1].name)

    code, out, err = told("archive", "s3://crm/a")

    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert f"s3://crm/a/{manifest.segments[1].name} is missing: take it from another copy" in err


def test_wherever_the_server_goes_away_it_holds_the_archive_of_before_and_goes_on(
    server: S3, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each thing that is written there: segment, document, keys and so on, manifest."""
    there, vault = Bucket("s3://crm/a"), Files(tmp_path / "vault")
    before, _ = archives.archive(database, there, vault)
    Vault(vault).put(b"a document")
    with Ledger(database, KEYRING) as ledger:
        asyncio.run(demo.play(ledger, seed=2, until=date(2026, 11, 1), size=0.005))
    left = 0

    def goes_away(write: Callable[..., Any]) -> Callable[..., Any]:
        def writing(*given: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                server.kill()
            return write(*given)

        return writing

    monkeypatch.setattr(Bucket, "keep", goes_away(Bucket.keep))
    monkeypatch.setattr(Bucket, "put", goes_away(Bucket.put))
    for written in range(6):
        left = written + 1
        with pytest.raises(StorageFault, match="does not answer"):
            archives.archive(database, there, vault)
        server.start()
        assert verify(there) == before, written

    now, new = archives.archive(database, there, vault)
    assert new == now.head - before.head > 0
    assert verify(there) == now
    assert len([shelf for shelf in there.shelves() if shelf.endswith(".gz")]) == 4
