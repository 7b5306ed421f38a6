"""Documents: sealed under the key of whose record they are on, put into the vault, then written
down.

The bytes are on disk before the fact is written. A crash in between leaves ciphertext that nothing
points at, never a fact without bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

import msgspec

from ledger_crm.domain.company import Company
from ledger_crm.domain.document import (
    SIZE_LIMIT_BYTES,
    DocumentAdded,
    DocumentDamaged,
    DocumentErased,
    Filed,
    Filing,
    FirmDocumentAdded,
    FirmPurpose,
    MediaType,
    Purpose,
    Unfiled,
)
from ledger_crm.domain.entry import Event, Instant, Sealed, new_id
from ledger_crm.domain.person import Person
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger, Work
from ledger_crm.sealing import seal_bytes, unseal_bytes
from ledger_crm.storage import Storage
from ledger_crm.vault import Damaged, Vault

F = TypeVar("F", bound=Filing)


class NewFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """name     of the file
    content  the bytes, in base64; at most 10 MiB of them
    """

    name: Sealed
    purpose: str = "other"
    media_type: MediaType = "application/octet-stream"
    content: bytes
    added_at: Instant | None = None

    def __post_init__(self) -> None:
        if len(self.content) > SIZE_LIMIT_BYTES:
            raise ValueError("a document has at most 10 MiB")


class NewDocument(NewFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """name     of the file
    content  the bytes, in base64; at most 10 MiB of them
    """

    purpose: Purpose = "other"


class NewCompanyDocument(NewFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """name     of the file
    content  the bytes, in base64; at most 10 MiB of them
    """

    purpose: FirmPurpose = "other"


async def add_document(work: Work, person_id: UUID, new: NewDocument, vault: Vault) -> Person:
    """Raises NoSuchRecord, DocumentThere, DocumentErased."""
    return await _file(work, Person, person_id, DocumentAdded, new, vault)


async def file_document(
    work: Work, company_id: UUID, new: NewCompanyDocument, vault: Vault
) -> Company:
    """Of a company. Raises NoSuchRecord, DocumentThere."""
    return await _file(work, Company, company_id, FirmDocumentAdded, new, vault)


async def _file(
    work: Work, type_: type[F], id: UUID, filed: type[Filed], new: NewFile, vault: Vault
) -> F:
    record = await work.get(type_, id)
    digest, document_id = hashlib.sha256(new.content).hexdigest(), new_id()
    record.must_not_have(digest)
    key = await work.key_of(record.id)
    if key is None:
        raise DocumentErased(id=record.id)
    sealed = seal_bytes(key, new.content, stream=record.id, id=document_id)
    fact = filed(
        document_id=document_id,
        purpose=new.purpose,
        name=new.name,
        media_type=new.media_type,
        size_bytes=len(new.content),
        address=await asyncio.to_thread(vault.put, sealed),
        digest=digest,
        added_at=new.added_at,
    )
    record.add_document(fact, by=work.by)
    return record


class _Noting(Vault):
    """The vault, and what was put into it."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self.addresses: set[str] = set()

    def put(self, sealed: bytes) -> str:
        address = super().put(sealed)
        self.addresses.add(address)
        return address


@asynccontextmanager
async def leaving_nothing(
    ledger: Ledger, vault: Vault, id: UUID, of: type[Filing] = Person
) -> AsyncIterator[Vault]:
    """A vault for one decision, which puts its bytes as often as it is made. Of those that the
    record does not name then nothing is left; unless nobody can say what was written."""
    noting = _Noting(vault.storage)
    refused: Refusal | None = None
    try:
        yield noting
    except Refusal as refusal:
        refused = refusal
    if noting.addresses:
        facts = await _facts(ledger, id, of)
        named = {fact.address for fact in facts if isinstance(fact, Filed)}
        for address in noting.addresses - named:
            await asyncio.to_thread(vault.drop, address)
    if refused:
        raise refused


async def drop(
    ledger: Ledger, vault: Vault, id: UUID, document_id: UUID, of: type[Filing] = Person
) -> None:
    """The bytes of this document if it is removed; those too that a crash left behind."""
    facts = await _facts(ledger, id, of)
    if any(isinstance(f, Unfiled) and f.document_id == document_id for f in facts):
        for fact in facts:
            if isinstance(fact, Filed) and fact.document_id == document_id:
                await asyncio.to_thread(vault.drop, fact.address)


async def drop_all(ledger: Ledger, vault: Vault, person_id: UUID) -> None:
    """The bytes of all documents of who is erased. Their key is destroyed: this is thoroughness."""
    facts = await _facts(ledger, person_id, Person)
    if any(isinstance(fact, PersonErased) for fact in facts):
        for fact in facts:
            if isinstance(fact, Filed):
                await asyncio.to_thread(vault.drop, fact.address)


async def content_of(
    ledger: Ledger, vault: Vault, id: UUID, document_id: UUID, address: str
) -> bytes:
    """``id``: of the record that it is on. Raises DocumentErased, DocumentDamaged."""
    key = (await ledger.run(ledger.store.data_keys, [id])).get(id)
    if key is None:
        raise DocumentErased(id=id)
    try:
        sealed = await asyncio.to_thread(vault.get, address)
        return unseal_bytes(key, sealed, stream=id, id=document_id)
    except (Damaged, ValueError):
        raise DocumentDamaged(document_id=document_id) from None


async def _facts(ledger: Ledger, id: UUID, of: type[Filing]) -> list[Event]:
    """On all records of whom this is one."""
    every = (await ledger.get(of, id)).everyone
    return [entry.event for one in every for entry in await ledger.stream(one.id)]
