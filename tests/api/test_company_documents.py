"""Documents of companies over the API: filed, named by a deal's papers, read and removed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, found, problem, written
from api.test_documents import on_disk
from ledger_crm.vault import Vault

pytestmark = pytest.mark.anyio

TERMS = b"25 % of first-year pay, signed: Charles Babbage\n" * 50


def terms(data: bytes = TERMS, **changes: Any) -> dict[str, Any]:
    fields = {"name": "terms.txt", "purpose": "terms", "media_type": "text/plain"}
    return fields | {"content": b64encode(data).decode()} | changes


async def test_signed_terms_are_filed_sealed_named_by_the_deal_and_removed(
    ana: httpx.AsyncClient, project: Callable[[], None], vault: Vault
) -> None:
    """Also the first sealed thing of a company, which has no key until then."""
    engines = (await written(ana, "/companies", ENGINES))["id"]
    of = f"/companies/{engines}"
    boss = (await written(ana, "/people", {"name": "Charles Babbage"}))["id"]
    await written(ana, f"/people/{boss}/employments", {"company_id": engines})
    receipt = await written(ana, f"{of}/documents", terms(), **{"Idempotency-Key": "one"})
    again = await ana.post(f"{of}/documents", json=terms(), headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.json()) == (201, receipt)
    id = receipt["created"]
    deal = (await written(ana, f"{of}/deals", {"title": "Retainer"}))["created"]
    paper = {"deal_id": deal, "paper": "terms", "document_id": id}
    sent = paper | {"kind": "company.paper_sent", "sent_at": "2024-01-02T00:00:00Z"}
    unknown = await ana.post(f"{of}/deals/steps", json=sent | {"document_id": boss})
    assert problem(unknown, 404, "no-such-document")["document_id"] == boss
    await written(ana, f"{of}/deals/steps", sent)
    signed = {"signed_at": "2024-01-05T00:00:00Z", "version": 1, "signed_by_id": boss}
    await written(ana, f"{of}/deals/steps", paper | {"kind": "company.paper_signed"} | signed)
    project()

    [listed] = await found(ana, f"{of}/documents")
    assert (listed["purpose"], listed["size_bytes"], listed["company_id"]) == (
        "terms", len(TERMS), engines,
    )  # fmt: skip
    read = await found(ana, f"{of}/documents/{id}/content")
    assert (read["name"], b64decode(read["content"])) == ("terms.txt", TERMS)
    [path] = on_disk(vault)
    assert path.name == listed["address"]
    assert b"Babbage" not in path.read_bytes()
    [card] = (await found(ana, "/deals"))["items"]
    assert (card["terms_signed"], card["terms_document_id"]) == (1, id)
    lines = [line["line"] for line in (await found(ana, f"{of}/history"))["items"]]
    assert f"terms added, {len(TERMS)} bytes" in lines
    there = await ana.post(f"{of}/documents", json=terms(name="again.txt"))
    assert problem(there, 409, "document-there")["company_id"] == engines
    problem(await ana.get(f"/people/{boss}/documents/{id}/content"), 404, "no-such-record")

    removal = {"document_id": id, "reason": "replaced"}
    await written(ana, f"{of}/documents/removals", removal)
    assert on_disk(vault) == []
    problem(await ana.post(f"{of}/documents/removals", json=removal), 404, "no-such-document")
    project()
    assert await found(ana, f"{of}/documents") == []
    problem(await ana.get(f"{of}/documents/{id}/content"), 404, "no-such-record")
    lines = [line["line"] for line in (await found(ana, f"{of}/history"))["items"]]
    assert "document removed: replaced" in lines
    await written(ana, f"{of}/documents", terms())


async def test_merged_companies_have_the_documents_of_both(
    ana: httpx.AsyncClient, project: Callable[[], None], vault: Vault
) -> None:
    """Each under the key of its own record, and un-merged each its own again."""
    one = (await written(ana, "/companies", ENGINES))["id"]
    two = (await written(ana, "/companies", {"name": "Engines"}))["id"]
    theirs = (await written(ana, f"/companies/{two}/documents", terms()))["created"]
    await written(ana, f"/companies/{one}/merges", {"duplicate_id": two})
    ours = (await written(ana, f"/companies/{two}/documents", terms(b"ours")))["created"]
    problem(await ana.post(f"/companies/{one}/documents", json=terms()), 409, "document-there")
    project()
    for id in (one, two):
        listed = await found(ana, f"/companies/{id}/documents")
        assert [each["id"] for each in listed] == [ours, theirs]
        for document, data in ((ours, b"ours"), (theirs, TERMS)):
            read = await found(ana, f"/companies/{id}/documents/{document}/content")
            assert b64decode(read["content"]) == data
    await written(ana, f"/companies/{one}/documents/removals", {"document_id": theirs})
    assert len(on_disk(vault)) == 1
    await written(ana, f"/companies/{one}/merges/{two}/undo", {})
    project()
    assert await found(ana, f"/companies/{two}/documents") == []
    assert len(await found(ana, f"/companies/{one}/documents")) == 1
