"""Documents: which a person has, and where their bytes are. One row a document."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.document import DocumentAdded, DocumentRemoved
from ledger_crm.domain.entry import Entry

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone


class DocumentRow(Row, frozen=True, kw_only=True):
    document_id: UUID
    position: int
    person_id: UUID
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
    sql="CREATE INDEX document_of ON document (person_id, position DESC);",
)
documents.erases()
projection = Projection("documents", documents, version=3, parallel="stream")


@documents.starts(DocumentAdded)
def added(entry: Entry[DocumentAdded]) -> DocumentRow:
    fact = entry.event
    return DocumentRow(
        document_id=fact.document_id,
        position=entry.position,
        person_id=entry.originator_id,
        name=fact.name,
        purpose=fact.purpose,
        media_type=fact.media_type,
        size_bytes=fact.size_bytes,
        address=fact.address,
        added_at=entry.at,
        by=entry.by,
    )


@documents.on(DocumentRemoved, key=lambda entry: entry.event.document_id)
def removed(row: DocumentRow, entry: Entry[DocumentRemoved]) -> DocumentRow:
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


DOCUMENT = f"""
SELECT document_id, name, purpose, media_type, size_bytes, address, added_at, by, person_id
FROM document
WHERE NOT removed AND person_id = ANY({everyone("%(person)s::uuid")})"""


async def of_person(cur: Cursor, person_id: UUID) -> list[DocumentShown]:
    """The newest 200, newest first."""
    await cur.execute(f"{DOCUMENT} ORDER BY position DESC LIMIT 200", {"person": person_id})
    return [DocumentShown(*row) for row in await cur.fetchall()]


async def one(cur: Cursor, document_id: UUID, person_id: UUID) -> DocumentShown | None:
    asked = {"person": person_id, "document": document_id}
    await cur.execute(f"{DOCUMENT} AND document_id = %(document)s", asked)
    row = await cur.fetchone()
    return row and DocumentShown(*row)
