"""Documents of a person or a company: a CV, a certificate, signed terms. The bytes are in the
vault, sealed under the key of whose record it is; what is written down is that they are there.

    add -> remove
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from .entry import (
    Actor,
    CompanyFact,
    Event,
    Instant,
    PersonFact,
    Reason,
    Reservation,
    Sealed,
    new_id,
    words,
)
from .faults import written_like
from .merging import Mergeable
from .refusals import Conflict, Gone, Unknown

Purpose = Literal["cv", "cover_letter", "certificate", "reference", "contract", "photo", "other"]
FirmPurpose = Literal["proposal", "terms", "contract", "job_description", "other"]
MediaType = Annotated[
    str,
    written_like(
        r"^[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,80}$(?!\n)",
        "a media type like application/pdf",
    ),
]
Address = Annotated[str, written_like(r"^[0-9a-f]{64}$(?!\n)", "a SHA-256 in hexadecimal")]
SIZE_LIMIT_BYTES = 10 * 1024 * 1024


class Filed(Event, frozen=True, kw_only=True):
    """They gave us a document, or we made one.

    name     of the file
    address  SHA-256 of the sealed bytes, by which the vault finds them; it tells nothing of what
             is in them
    digest   SHA-256 of the bytes themselves, by which the same file is known again
    """

    document_id: UUID = msgspec.field(default_factory=new_id)
    purpose: str = "other"
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


class Unfiled(Event, frozen=True, kw_only=True):
    """We keep it no longer: its bytes are gone from the vault."""

    document_id: UUID
    reason: Reason = ""
    removed_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "document removed" + (f": {words(self.reason)}" if self.reason else "")


class DocumentAdded(PersonFact, Filed, frozen=True, kw_only=True, tag="person.document_added"):
    """They gave us a document, or we made one of them.

    name     of the file
    address  SHA-256 of the sealed bytes, by which the vault finds them; it tells nothing of what
             is in them
    digest   SHA-256 of the bytes themselves, by which the same file is known again
    """

    purpose: Purpose = "other"


class DocumentRemoved(PersonFact, Unfiled, frozen=True, kw_only=True,
                      tag="person.document_removed"):  # fmt: skip
    """We keep it no longer: its bytes are gone from the vault."""


class FirmDocumentAdded(CompanyFact, Filed, frozen=True, kw_only=True,
                        tag="company.document_added"):  # fmt: skip
    """A proposal, signed terms or another document of a company is filed.

    name     of the file
    address  SHA-256 of the sealed bytes, by which the vault finds them; it tells nothing of what
             is in them
    digest   SHA-256 of the bytes themselves, by which the same file is known again
    """

    purpose: FirmPurpose = "other"


class FirmDocumentRemoved(CompanyFact, Unfiled, frozen=True, kw_only=True,
                          tag="company.document_removed"):  # fmt: skip
    """We keep it no longer: its bytes are gone from the vault."""


DocumentFacts = DocumentAdded | DocumentRemoved
FirmDocumentFacts = FirmDocumentAdded | FirmDocumentRemoved


class DocumentIdTaken(Conflict):
    """There is a document of this id."""


class DocumentThere(Conflict):
    """This document is there already, byte for byte."""


class NoSuchDocument(Unknown):
    """There is no such document of theirs."""


class DocumentErased(Gone):
    """The key to these documents is destroyed: nobody can read them any more."""


class DocumentDamaged(Gone):
    """The bytes of this document are not in the vault as they were put there."""


class Filing(Mergeable):
    """Whose record it is has documents."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[UUID, str] = {}  # and the digest of each

    def must_not_have(self, digest: str) -> None:
        """Raises DocumentThere."""
        self.must_be_here()
        for id, known in self.together(lambda one: one.documents).items():
            if known == digest:
                raise DocumentThere(**self._whose, document_id=id)

    def add_document(self, fact: Filed, *, by: Actor) -> None:
        """Raises DocumentThere."""
        self.must_not_have(fact.digest)
        self.enter(fact, by=by)

    def remove_document(self, fact: Unfiled, *, by: Actor) -> None:
        """Its bytes are gone for ever. Raises NoSuchDocument, and as ``must_not_be_held``."""
        self.must_be_here()
        self.must_have_document(fact.document_id)
        self.must_not_be_held()
        self.enter(fact, by=by)

    def must_have_document(self, id: UUID) -> None:
        """Raises NoSuchDocument."""
        if id not in self.together(lambda one: one.documents):
            raise NoSuchDocument(**self._whose, document_id=id)

    def must_not_be_held(self) -> None:
        """Raises if what we have of them may be evidence."""

    @property
    def _whose(self) -> dict[str, Any]:
        return {f"{self.TOPIC}_id": self.id}

    def apply(self, event: Event) -> None:
        match event:
            case Filed(document_id=id, digest=digest):
                self.documents[id] = digest
            case Unfiled(document_id=id):
                self.documents.pop(id, None)
            case _:
                super().apply(event)
