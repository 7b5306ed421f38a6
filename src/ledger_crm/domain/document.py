"""Documents of a person: a CV, a certificate. The bytes are in the vault, sealed under the person's
key; what is written down is that they are there.

    add -> remove
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .entry import Instant, PersonFact, Reason, Reservation, Sealed, new_id, words
from .faults import written_like
from .refusals import Conflict, Gone, Unknown

Purpose = Literal["cv", "cover_letter", "certificate", "reference", "contract", "photo", "other"]
MediaType = Annotated[
    str,
    written_like(
        r"^[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,80}$(?!\n)",
        "a media type like application/pdf",
    ),
]
Address = Annotated[str, written_like(r"^[0-9a-f]{64}$(?!\n)", "a SHA-256 in hexadecimal")]
SIZE_LIMIT_BYTES = 10 * 1024 * 1024


class DocumentAdded(PersonFact, frozen=True, kw_only=True, tag="person.document_added"):
    """They gave us a document, or we made one of them.

    name     of the file
    address  SHA-256 of the sealed bytes, by which the vault finds them; it tells nothing of what
             is in them
    digest   SHA-256 of the bytes themselves, by which the same file is known again
    """

    document_id: UUID = msgspec.field(default_factory=new_id)
    purpose: Purpose = "other"
    name: Sealed
    media_type: MediaType = "application/octet-stream"
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=SIZE_LIMIT_BYTES)]
    address: Address
    digest: Sealed
    added_at: Instant | None = None

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("document", str(self.document_id), DocumentIdTaken),)

    @property
    def line(self) -> str:
        return f"{words(self.purpose)} added, {self.size_bytes} bytes"


class DocumentRemoved(PersonFact, frozen=True, kw_only=True, tag="person.document_removed"):
    """We keep it no longer: its bytes are gone from the vault."""

    document_id: UUID
    reason: Reason = ""
    removed_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "document removed" + (f": {words(self.reason)}" if self.reason else "")


DocumentFacts = DocumentAdded | DocumentRemoved


class DocumentIdTaken(Conflict):
    """There is a document of this id."""


class DocumentThere(Conflict):
    """This person has this document already, byte for byte."""


class NoSuchDocument(Unknown):
    """This person has no such document."""


class DocumentErased(Gone):
    """The key to this person's documents is destroyed: nobody can read them any more."""


class DocumentDamaged(Gone):
    """The bytes of this document are not in the vault as they were put there."""
