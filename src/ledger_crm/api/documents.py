"""/people/{person_id}/documents and /companies/{company_id}/documents: CVs, signed terms and other
files, in JSON with the bytes in base64."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ledger_crm.commands.documents import (
    NewCompanyDocument,
    NewDocument,
    add_document,
    content_of,
    drop,
    file_document,
    leaving_nothing,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.document import SIZE_LIMIT_BYTES, DocumentRemoved, FirmDocumentRemoved
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Ledger, Receipt
from ledger_crm.projections import documents
from ledger_crm.vault import Vault

from .acting import Act, Made, alone
from .permitted import PAPERS_OF_FEES, must_be_shown_fees
from .reading import Named, View

BODY_LIMIT_BYTES = SIZE_LIMIT_BYTES * 4 // 3 + 128 * 1024  # base64, and the words around it


class DocumentContent(msgspec.Struct, frozen=True):
    """content  the bytes, in base64"""

    name: str
    media_type: str
    content: bytes


class Documents(Controller):
    path = "/people/{person_id:uuid}/documents"
    tags = ("documents",)

    @get()
    async def list_documents(
        self, view: NamedDependency[View], person_id: FromPath[UUID]
    ) -> Response[list[documents.DocumentShown]]:
        """List the documents of a person

        Without their content; the newest first."""
        return await view.answer(documents.of_person, Named(person_id=person_id), person_id)

    @post(request_max_body_size=BODY_LIMIT_BYTES)
    async def add_document(
        self,
        act: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        person_id: FromPath[UUID],
        data: JSONBody[NewDocument],
    ) -> Response[Made]:
        """Add a document

        At most 10 MiB. It is kept encrypted under the person's own key. The same file again is
        refused with 409."""
        async with leaving_nothing(ledger, vault, person_id) as vault:
            return await act.within(person_id, add_document, data, vault)

    @get("/{document_id:uuid}/content", now_alone=True)
    async def read_document(
        self,
        view: NamedDependency[View],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        person_id: FromPath[UUID],
        document_id: FromPath[UUID],
    ) -> Response[DocumentContent]:
        """Read a document

        Its name, its type and its bytes. Those of one that was removed are gone, so not as it was
        once."""
        view.must_be_now()
        answer = await view.one(documents.one, document_id, person_id)
        shown = answer.content
        content = await content_of(ledger, vault, shown.owner_id, document_id, shown.address)
        return Response(
            DocumentContent(shown.name, shown.media_type, content), headers=dict(answer.headers)
        )

    @post("/removals")
    async def remove_document(
        self,
        act: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        person_id: FromPath[UUID],
        data: JSONBody[DocumentRemoved],
    ) -> Response[Receipt]:
        """Remove a document

        Its bytes are deleted; that it was there stays written."""
        try:
            return await act.on(person_id, alone(Person, Person.remove_document), data)
        finally:
            await drop(ledger, vault, person_id, data.document_id)


class CompanyDocuments(Controller):
    path = "/companies/{company_id:uuid}/documents"
    tags = ("documents",)

    @get()
    async def list_company_documents(
        self, view: NamedDependency[View], company_id: FromPath[UUID]
    ) -> Response[list[documents.CompanyDocument]]:
        """List the documents of a company

        Without their content; the newest first."""
        return await view.answer(documents.of_company, Named(company_id=company_id), company_id)

    @post(request_max_body_size=BODY_LIMIT_BYTES)
    async def file_company_document(
        self,
        act: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        company_id: FromPath[UUID],
        data: JSONBody[NewCompanyDocument],
    ) -> Response[Made]:
        """File a document of a company

        At most 10 MiB. It is kept encrypted under a key of this company's. Proposals and terms of a
        deal may name it by its `document_id`. The same file again is refused with 409."""
        async with leaving_nothing(ledger, vault, company_id, Company) as vault:
            return await act.within(company_id, file_document, data, vault)

    @get("/{document_id:uuid}/content", now_alone=True)
    async def read_company_document(
        self,
        request: Request[Any, Any, Any],
        view: NamedDependency[View],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        company_id: FromPath[UUID],
        document_id: FromPath[UUID],
    ) -> Response[DocumentContent]:
        """Read a document of a company

        Its name, its type and its bytes. Those of one that was removed are gone, so not as it was
        once. A proposal, terms or a contract needs `fees.read`, too."""
        view.must_be_now()
        answer = await view.one(documents.one, document_id, company_id)
        shown = answer.content
        if shown.purpose in PAPERS_OF_FEES:
            must_be_shown_fees(request.scope["state"]["holder"])
        content = await content_of(ledger, vault, shown.owner_id, document_id, shown.address)
        return Response(
            DocumentContent(shown.name, shown.media_type, content), headers=dict(answer.headers)
        )

    @post("/removals")
    async def remove_company_document(
        self,
        act: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        company_id: FromPath[UUID],
        data: JSONBody[FirmDocumentRemoved],
    ) -> Response[Receipt]:
        """Remove a document of a company

        Its bytes are deleted; that it was there stays written."""
        try:
            return await act.on(company_id, alone(Company, Company.remove_document), data)
        finally:
            await drop(ledger, vault, company_id, data.document_id, Company)


HANDLERS = [Documents, CompanyDocuments]
