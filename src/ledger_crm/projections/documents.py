"""Documents: which a person or a company has, and where their bytes are. One row a document."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.document import DocumentAdded, Filed, Unfiled
from ledger_crm.domain.entry import Entry

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone


class DocumentRow(Row, frozen=True, kw_only=True):
    document_id: UUID
    position: int
    owner_id: UUID  # the record that it is on
    person_id: UUID | None  # with whose erasure it goes
    name: str
    purpose: str
    media_type: str
    size_bytes: int
    address: str
    added_at: datetime
    by: str
    removed: bool = False


documents = Table(
    "document",
    DocumentRow,
    key="document_id",
    sql="""
    CREATE INDEX document_of ON document (owner_id, position DESC);
    CREATE INDEX document_of_person ON document (person_id);
    """,
)
documents.erases()
projection = Projection("documents", documents, version=7, parallel="stream")


@documents.starts(Filed)
def added(entry: Entry[Filed]) -> DocumentRow:
    fact = entry.event
    return DocumentRow(
        document_id=fact.document_id,
        position=entry.position,
        owner_id=entry.originator_id,
        person_id=entry.originator_id if isinstance(fact, DocumentAdded) else None,
        name=fact.name,
        purpose=fact.purpose,
        media_type=fact.media_type,
        size_bytes=fact.size_bytes,
        address=fact.address,
        added_at=entry.at,
        by=entry.by,
    )


@documents.on(Unfiled, key=lambda entry: entry.event.document_id)
def removed(row: DocumentRow, entry: Entry[Unfiled]) -> DocumentRow:
    return replace(row, removed=True)


class DocumentShown(msgspec.Struct, frozen=True):
    """address    SHA-256 of the sealed bytes
    person_id  the record under whose key they are, of those that are merged
    """

    id: UUID
    name: str
    purpose: str
    media_type: str
    size_bytes: int
    address: str
    added_at: datetime
    by: str
    person_id: UUID


class CompanyDocument(msgspec.Struct, frozen=True):
    """address     SHA-256 of the sealed bytes
    company_id  the record under whose key they are, of those that are merged
    """

    id: UUID
    name: str
    purpose: str
    media_type: str
    size_bytes: int
    address: str
    added_at: datetime
    by: str
    company_id: UUID


DOCUMENT = f"""
SELECT document_id, name, purpose, media_type, size_bytes, address, added_at, by, owner_id
FROM document
WHERE NOT removed AND owner_id = ANY({everyone("%(owner)s::uuid")})"""


async def of_person(cur: Cursor, person_id: UUID) -> list[DocumentShown]:
    """The newest 200, newest first."""
    return [DocumentShown(*row) for row in await _of(cur, person_id)]


async def of_company(cur: Cursor, company_id: UUID) -> list[CompanyDocument]:
    """The newest 200, newest first."""
    return [CompanyDocument(*row) for row in await _of(cur, company_id)]


async def _of(cur: Cursor, owner_id: UUID) -> list[tuple[Any, ...]]:
    await cur.execute(f"{DOCUMENT} ORDER BY position DESC LIMIT 200", {"owner": owner_id})
    return await cur.fetchall()


class Whereabouts(msgspec.Struct, frozen=True):
    """owner_id  the record under whose key the bytes are"""

    name: str
    media_type: str
    address: str
    owner_id: UUID
    purpose: str


async def one(cur: Cursor, document_id: UUID, of_id: UUID) -> Whereabouts | None:
    """Of this person or company."""
    await cur.execute(
        "SELECT name, media_type, address, owner_id, purpose FROM document WHERE NOT removed"
        f" AND document_id = %(document)s AND owner_id = ANY({everyone('%(of)s::uuid')})",
        {"of": of_id, "document": document_id},
    )
    row = await cur.fetchone()
    return row and Whereabouts(*row)
