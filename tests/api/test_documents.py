"""Documents over the API, and what lies on the disk."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.journey import ADA, faults, found, problem, written
from ledger_crm import storage
from ledger_crm.ledger import Ledger
from ledger_crm.storage import Files
from ledger_crm.vault import Vault

pytestmark = pytest.mark.anyio

SECRET = b"Ada Byron, programmer\n" * 100


def cv(data: bytes = SECRET, **changes: Any) -> dict[str, Any]:
    fields = {"name": "ada.txt", "purpose": "cv", "media_type": "text/plain"}
    return fields | {"content": b64encode(data).decode()} | changes


def on_disk(vault: Vault) -> list[Path]:
    assert isinstance(vault.storage, Files)
    return [path for path in vault.storage.folder.rglob("*") if path.is_file()]


async def test_a_document_comes_back_as_it_was_and_lies_sealed_on_the_disk(
    ana: httpx.AsyncClient, project: Callable[[], None], vault: Vault
) -> None:
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    eve = f"/people/{(await written(ana, '/people', {'name': 'Eve'}))['id']}"
    receipt = await written(ana, f"{ada}/documents", cv(), **{"Idempotency-Key": "one"})
    again = await ana.post(f"{ada}/documents", json=cv(), headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.json()) == (201, receipt)
    project()

    [listed] = await found(ana, f"{ada}/documents")
    assert (listed["name"], listed["purpose"], listed["size_bytes"]) == (
        "ada.txt", "cv", len(SECRET),
    )  # fmt: skip
    read = await found(ana, f"{ada}/documents/{listed['id']}/content")
    assert (read["name"], read["media_type"]) == ("ada.txt", "text/plain")
    assert b64decode(read["content"]) == SECRET
    [path] = on_disk(vault)
    assert path.name == listed["address"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"Byron" not in path.read_bytes()
    assert await found(ana, f"{eve}/documents") == []
    problem(await ana.get(f"{eve}/documents/{listed['id']}/content"), 404, "no-such-record")
    lines = [line["line"] for line in (await found(ana, f"{ada}/history"))["items"]]
    assert lines[0] == f"cv added, {len(SECRET)} bytes"

    there = await ana.post(f"{ada}/documents", json=cv(name="other.txt"))
    assert problem(there, 409, "document-there")["document_id"] == listed["id"]
    await written(ana, f"{eve}/documents", cv())  # the same bytes, under another key
    assert len(on_disk(vault)) == 2


async def test_a_storage_that_does_not_answer_is_told_and_nothing_is_written(
    ana: httpx.AsyncClient, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket's. The same again, when it is back, is the first time."""
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    there, headers = vault.storage, {"Idempotency-Key": "one"}
    with monkeypatch.context() as patched:
        patched.setattr(storage, "RETRIES", 0)
        patched.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patched.setenv("AWS_ACCESS_KEY_ID", "ana")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        vault.storage = storage.Bucket("s3://crm/vault")
        away = await ana.post(f"{ada}/documents", json=cv(), headers=headers)
        problem(away, 503, "documents-away")
        assert away.headers["Retry-After"] == "10"
    vault.storage = there
    assert on_disk(vault) == []
    await written(ana, f"{ada}/documents", cv(), **headers)
    assert len(on_disk(vault)) == 1


async def test_a_removed_document_is_gone_and_may_come_back(
    ana: httpx.AsyncClient, project: Callable[[], None], vault: Vault
) -> None:
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    id = (await written(ana, f"{ada}/documents", cv()))["created"]
    removal = {"document_id": id, "reason": "asked_us"}
    await written(ana, f"{ada}/documents/removals", removal)
    assert on_disk(vault) == []
    problem(await ana.post(f"{ada}/documents/removals", json=removal), 404, "no-such-document")
    project()
    assert await found(ana, f"{ada}/documents") == []
    problem(await ana.get(f"{ada}/documents/{id}/content"), 404, "no-such-record")
    await written(ana, f"{ada}/documents", cv())


async def test_a_removal_that_a_crash_cut_short_is_ended_by_the_next(
    ana: httpx.AsyncClient, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    one = (await written(ana, f"{ada}/documents", cv()))["created"]
    await written(ana, f"{ada}/documents", cv(b"to be kept"))
    removal = {"document_id": one, "reason": "asked_us"}
    with monkeypatch.context() as crash:
        crash.setattr(vault, "drop", lambda _: None)
        await written(ana, f"{ada}/documents/removals", removal)
    assert len(on_disk(vault)) == 2

    problem(await ana.post(f"{ada}/documents/removals", json=removal), 404, "no-such-document")
    assert len(on_disk(vault)) == 1


async def test_an_upload_that_is_repeated_leaves_nothing_behind(
    ana: httpx.AsyncClient, vault: Vault
) -> None:
    """Also when the document is removed by then."""
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    one = (await written(ana, f"{ada}/documents", cv(), **{"Idempotency-Key": "one"}))["created"]
    await written(ana, f"{ada}/documents/removals", {"document_id": one, "reason": "asked_us"})
    again = await ana.post(f"{ada}/documents", json=cv(), headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.json()["created"]) == (201, one)
    assert on_disk(vault) == []

    stale = await ana.post(f"{ada}/documents", json=cv(), headers={"If-Match": '"1"'})
    problem(stale, 412, "stale-version")
    assert on_disk(vault) == []


async def test_a_removal_that_is_refused_removes_nothing(
    ana: httpx.AsyncClient, vault: Vault
) -> None:
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    id = (await written(ana, f"{ada}/documents", cv()))["created"]
    removal = {"document_id": id, "reason": "asked_us"}
    stale = await ana.post(f"{ada}/documents/removals", json=removal, headers={"If-Match": '"1"'})
    problem(stale, 412, "stale-version")
    assert len(on_disk(vault)) == 1


async def test_who_is_erased_has_no_documents_that_can_be_read(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    id = (await written(ana, f"/people/{ada}/documents", cv()))["created"]
    project()
    [person] = {
        entry.originator_id for entry in await ledger.entries() if str(entry.originator_id) == ada
    }
    ledger.store.destroy_key(person)
    answer = await ana.get(f"/people/{ada}/documents/{id}/content")
    problem(answer, 410, "document-erased")
    problem(await ana.post(f"/people/{ada}/documents", json=cv(b"x")), 410, "document-erased")


@pytest.mark.parametrize("damage", ["changed", "gone", "exchanged"])
async def test_a_damaged_document_is_said_to_be_so(
    ana: httpx.AsyncClient, project: Callable[[], None], vault: Vault, damage: str
) -> None:
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    id = (await written(ana, f"{ada}/documents", cv()))["created"]
    [path] = on_disk(vault)
    match damage:
        case "changed":
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        case "gone":
            path.unlink()
        case _:
            await written(ana, f"{ada}/documents", cv(b"other"))
            [other] = {*on_disk(vault)} - {path}
            other.replace(path)
    project()
    problem(await ana.get(f"{ada}/documents/{id}/content"), 410, "document-damaged")


async def test_a_document_is_at_most_ten_megabytes(ana: httpx.AsyncClient, vault: Vault) -> None:
    ada = f"/people/{(await written(ana, '/people', ADA))['id']}"
    await written(ana, f"{ada}/documents", cv(b"x" * 10 * 1024 * 1024))
    large = await ana.post(f"{ada}/documents", json=cv(b"y" * (10 * 1024 * 1024 + 1)))
    assert "at most 10 MiB" in " ".join(faults(large).values())
    huge = await ana.post(f"{ada}/documents", json=cv(b"y" * 12 * 1024 * 1024))
    problem(huge, 413, "body-too-large")
    assert "/content" in faults(await ana.post(f"{ada}/documents", json=cv(content="***")))
    assert "/media_type" in faults(await ana.post(f"{ada}/documents", json=cv(media_type="pdf")))
    assert len(on_disk(vault)) == 1
