"""A folder and a bucket keep alike: what holds of one holds of the other."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buckets import S3, s3_in
from ledger_crm import storage
from ledger_crm.storage import Bucket, Files, Storage, StorageFault, storage_at
from ledger_crm.vault import Damaged, Vault
from running import ledger_crm

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    folder = tmp_path_factory.mktemp("s3")
    (folder / "crm").mkdir()
    with s3_in(folder) as server:
        yield server


@pytest.fixture(params=["a folder", "a bucket"])
def kept(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Storage:
    if request.param == "a folder":
        return Files(tmp_path / "kept")
    server = request.getfixturevalue("server")
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return Bucket(f"s3://crm/{request.node.name.replace(' ', '-')}/")


def test_what_was_put_is_there_and_what_was_dropped_is_not(kept: Storage) -> None:
    assert (kept.shelves(), list(kept.sizes())) == ([], [])
    kept.put("a/b/one", b"1")
    kept.put("two.gz", b"2")
    kept.put("two.gz", b"zwei")
    assert (kept.get("a/b/one"), kept.get("two.gz")) == (b"1", b"zwei")
    assert sorted(kept.sizes()) == [("a/b/one", 1), ("two.gz", 4)]
    assert sorted(kept.shelves()) == ["a", "two.gz"]
    assert list(kept.within("a").sizes()) == [("b/one", 1)]
    assert kept.within("a").get("b/one") == b"1"
    for _ in range(2):
        kept.drop("two.gz")
    assert list(kept.sizes()) == [("a/b/one", 1)]
    with pytest.raises(FileNotFoundError) as missing:
        kept.get("two.gz")
    assert missing.value.filename == f"{kept}/two.gz"


def test_a_draft_is_nowhere_until_it_is_kept(kept: Storage) -> None:
    """Of any size: more than a bucket takes in one part."""
    content = os.urandom(11_000_000)
    with kept.draft("big") as file:
        file.write(content)
        assert list(kept.sizes()) == []
        kept.keep(file, "shelf/big")
    assert kept.get("shelf/big") == content
    with kept.draft("big") as file:
        file.write(b"half of it")
    assert list(kept.sizes()) == [("shelf/big", len(content))]


def test_a_vault_is_in_either(kept: Storage) -> None:
    vault = Vault(kept)
    address = vault.put(b"sealed")
    assert vault.put(b"sealed") == address
    assert vault.get(address) == b"sealed"
    kept.put(f"{address[:2]}/{address}", b"harmed")
    for _ in range(2):
        with pytest.raises(Damaged):
            vault.get(address)
        vault.drop(address)


def test_what_is_private_nobody_else_reads(tmp_path: Path) -> None:
    Files(tmp_path / "vault", private=True).put("ab/cd", b"sealed")
    Files(tmp_path / "archive").within("documents").put("ab/cd", b"sealed")
    for found in (tmp_path / "vault" / "ab" / "cd", tmp_path / "archive" / "documents/ab/cd"):
        assert found.stat().st_mode & 0o077 == 0
        assert found.parent.stat().st_mode & 0o077 == 0


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("s3://crm/a", {"AWS_SECRET_ACCESS_KEY": "another"}, "s3://crm/a: it is refused (Signature"),
    ("s3://crm/a", {"AWS_ACCESS_KEY_ID": "nobody"}, "s3://crm/a: it is refused (InvalidAccess"),
    ("s3://nosuch/a", {}, "s3://nosuch/a: there is no such bucket"),
    ("s3://crm/a", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "it does not answer: is AWS_END"),
]


@pytest.mark.parametrize(("place", "other", "says"), WRONG, ids=[says for *_, says in WRONG])
def test_what_is_wrong_with_a_bucket_is_one_line(
    server: S3, monkeypatch: pytest.MonkeyPatch, place: str, other: dict[str, str], says: str
) -> None:
    """Whatever is asked of it, and without a word of the secret."""
    monkeypatch.setattr(storage, "RETRIES", 1)
    environ = server.environ | other
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(place)
    for ask in (
        lambda: bucket.get("x"), lambda: bucket.put("x", b""), lambda: bucket.drop("x"),
        bucket.shelves, lambda: list(bucket.sizes()),
    ):  # fmt: skip
        with pytest.raises(StorageFault) as told:
            ask()
        assert says in str(told.value)
        assert "\n" not in str(told.value)
        assert environ["AWS_SECRET_ACCESS_KEY"] not in str(told.value)


@pytest.mark.parametrize(
    ("place", "state", "says"),
    [
        ("s3://crm/vault", "ok", "s3://crm/vault answers"),
        ("s3://nosuch/vault", "FAIL", "s3://nosuch/vault: there is no such bucket"),
    ],
)
def test_doctor_says_whether_the_documents_storage_answers(
    server: S3, tmp_path: Path, place: str, state: str, says: str
) -> None:
    done = ledger_crm(tmp_path, "doctor", "--json", LEDGER_DOCUMENTS=place, **server.environ)
    [found] = [check for check in json.loads(done.stdout) if check["check"] == "documents"]
    assert (found["state"], found["says"]) == (state, says)


UNSET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")
HALF: list[tuple[dict[str, str], str]] = [
    ({"AWS_ACCESS_KEY_ID": "a"}, "AWS_SECRET_ACCESS_KEY is not set, and the other one is"),
    ({"AWS_SECRET_ACCESS_KEY": "b"}, "AWS_ACCESS_KEY_ID is not set, and the other one is"),
    ({"AWS_ENDPOINT_URL": "notaurl"}, "AWS_ENDPOINT_URL is no address: write http://host:port"),
    ({"AWS_ENDPOINT_URL": "localhost:9000"}, "AWS_ENDPOINT_URL is no address"),
]


@pytest.mark.parametrize(("environ", "says"), HALF, ids=[str(environ) for environ, _ in HALF])
def test_what_is_set_wrongly_for_s3_is_one_line(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], says: str
) -> None:
    """And told before anything is asked: ``up`` starts nothing."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageFault, match=f"^s3://backup/crm: {says}"):
        storage_at("s3://backup/crm")


def test_a_panic_of_what_speaks_to_s3_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**dict.fromkeys(UNSET, "a"), "AWS_REGION": "a b"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(StorageFault, match="one of the AWS_"):
        storage_at("s3://backup/crm").shelves()


def test_doctor_says_what_is_set_wrongly_for_the_documents_storage(tmp_path: Path) -> None:
    wrong = {"LEDGER_DOCUMENTS": "s3://crm/vault", "AWS_ENDPOINT_URL": "notaurl"}
    done = ledger_crm(tmp_path, "doctor", "--json", **wrong)
    [found] = [check for check in json.loads(done.stdout) if check["check"] == "documents"]
    assert (found["state"], "AWS_ENDPOINT_URL" in found["says"]) == ("FAIL", True)


@pytest.mark.parametrize(
    "place",
    [
        "s3://", "s3://B", "s3:///a", "s3://who:secret@crm/a", "s3://crm/a/../b", "s3://crm/./a",
        "s3://cr[m/a",
    ],
)  # fmt: skip
def test_what_is_no_address_is_told(place: str) -> None:
    with pytest.raises(StorageFault, match="is no address: write s3://bucket"):
        storage_at(place)


@pytest.mark.parametrize(
    "place", ["gs://x/y", "S3://backup/crm", "s3:/backup/crm", "file:///x", ""]
)
def test_a_mistyped_address_is_no_folder(place: str) -> None:
    """A backup lay on the local disk, and was called one."""
    with pytest.raises(StorageFault, match="is no place: name a folder, or s3://bucket/prefix"):
        storage_at(place)


def test_where_only_a_folder_will_do_an_address_is_refused(tmp_path: Path) -> None:
    for words in (("export", "s3://b/p"), ("sql", "SELECT 1", "--export", "gs://b/p")):
        done = ledger_crm(tmp_path, *words)
        assert (done.returncode, b"is an address: name a folder" in done.stderr) == (2, True)


def test_without_what_speaks_to_s3_it_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = builtins.__import__

    def missing(name: str, *more: Any) -> Any:
        if name.startswith("obstore"):
            raise ImportError(name)
        return there(name, *more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(StorageFault, match=r"pip install 'ledger-crm\[s3\]'"):
        storage_at("s3://crm/a")
