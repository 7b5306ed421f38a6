"""Documents: sealed under the person's key, put into the vault, then written down.

The bytes are on disk before the fact is written. A crash in between leaves ciphertext that nothing
points at, never a fact without bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec

from ledger_crm.domain.document import (
    SIZE_LIMIT_BYTES,
    DocumentAdded,
    DocumentDamaged,
    DocumentErased,
    DocumentRemoved,
    MediaType,
    Purpose,
)
from ledger_crm.domain.entry import Event, Instant, Sealed, new_id
from ledger_crm.domain.person import Person
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger, Work
from ledger_crm.sealing import DataKey, seal_bytes, unseal_bytes
from ledger_crm.vault import Damaged, Vault


class NewDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """name     of the file
    content  the bytes, in base64; at most 10 MiB of them
    """

    name: Sealed
    purpose: Purpose = "other"
    media_type: MediaType = "application/octet-stream"
    content: bytes
    added_at: Instant | None = None

    def __post_init__(self) -> None:
        if len(self.content) > SIZE_LIMIT_BYTES:
            raise ValueError("a document has at most 10 MiB")


async def add_document(work: Work, person_id: UUID, new: NewDocument, vault: Vault) -> Person:
    """Raises NoSuchRecord, DocumentThere, DocumentErased."""
    person = await work.get(Person, person_id)
    digest, id = hashlib.sha256(new.content).hexdigest(), new_id()
    person.must_not_have(digest)
    key = await _key(work.ledger, person.id)
    sealed = seal_bytes(key, new.content, stream=person.id, id=id)
    fact = DocumentAdded(
        document_id=id,
        purpose=new.purpose,
        name=new.name,
        media_type=new.media_type,
        size_bytes=len(new.content),
        address=await asyncio.to_thread(vault.put, sealed),
        digest=digest,
        added_at=new.added_at,
    )
    person.add_document(fact, by=work.by)
    return person


class _Noting(Vault):
    """The vault, and what was put into it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.addresses: set[str] = set()

    def put(self, sealed: bytes) -> str:
        address = super().put(sealed)
        self.addresses.add(address)
        return address


@asynccontextmanager
async def leaving_nothing(ledger: Ledger, vault: Vault, person_id: UUID) -> AsyncIterator[Vault]:
    """A vault for one decision, which puts its bytes as often as it is made. Of those that the
    person's stream does not name then nothing is left; unless nobody can say what was written."""
    noting = _Noting(vault.folder)
    refused: Refusal | None = None
    try:
        yield noting
    except Refusal as refusal:
        refused = refusal
    if noting.addresses:
        facts = await _facts(ledger, person_id)
        named = {fact.address for fact in facts if isinstance(fact, DocumentAdded)}
        for address in noting.addresses - named:
            await asyncio.to_thread(vault.drop, address)
    if refused:
        raise refused


async def drop(ledger: Ledger, vault: Vault, person_id: UUID, document_id: UUID) -> None:
    """The bytes of this document if it is removed; those too that a crash left behind."""
    facts = await _facts(ledger, person_id)
    if any(isinstance(f, DocumentRemoved) and f.document_id == document_id for f in facts):
        for fact in facts:
            if isinstance(fact, DocumentAdded) and fact.document_id == document_id:
                await asyncio.to_thread(vault.drop, fact.address)


async def drop_all(ledger: Ledger, vault: Vault, person_id: UUID) -> None:
    """The bytes of all documents of who is erased. Their key is destroyed: this is thoroughness."""
    facts = await _facts(ledger, person_id)
    if any(isinstance(fact, PersonErased) for fact in facts):
        for fact in facts:
            if isinstance(fact, DocumentAdded):
                await asyncio.to_thread(vault.drop, fact.address)


async def content_of(
    ledger: Ledger, vault: Vault, person_id: UUID, document_id: UUID, address: str
) -> bytes:
    """Raises DocumentErased, DocumentDamaged."""
    key = await _key(ledger, person_id)
    try:
        sealed = await asyncio.to_thread(vault.get, address)
        return unseal_bytes(key, sealed, stream=person_id, id=document_id)
    except (Damaged, ValueError):
        raise DocumentDamaged(document_id=document_id) from None


async def _facts(ledger: Ledger, person_id: UUID) -> list[Event]:
    """On all records of this person."""
    every = (await ledger.get(Person, person_id)).everyone
    return [entry.event for one in every for entry in await ledger.stream(one.id)]


async def _key(ledger: Ledger, person_id: UUID) -> DataKey:
    """Raises DocumentErased."""
    key = (await ledger.run(ledger.store.data_keys, [person_id])).get(person_id)
    if key is None:
        raise DocumentErased(person_id=person_id)
    return key
