"""What is written down of a document."""

from __future__ import annotations

from builders import (
    DOCUMENT,
    added,
    deal_opened,
    document_added,
    document_removed,
    firm_document_added,
    firm_document_removed,
    paper_sent,
    sourced,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.document import DocumentThere, NoSuchDocument
from ledger_crm.domain.entry import new_id
from ledger_crm.domain.person import Person
from scenario import ANA, given


def test_a_document_is_added_and_removed() -> None:
    fact = document_added()
    given(Person, sourced()).when(lambda p: p.add_document(fact, by=ANA)).then(fact)
    given(Person, sourced(), fact).when(
        lambda p: p.remove_document(document_removed(), by=ANA)
    ).then(document_removed())


def test_the_same_bytes_are_kept_once_until_they_are_removed() -> None:
    again = document_added(document_id=new_id(), name="cv.pdf")
    given(Person, sourced(), document_added()).when(
        lambda p: p.add_document(again, by=ANA)
    ).then_refused(DocumentThere, document_id=DOCUMENT)
    given(Person, sourced(), document_added(), document_removed()).when(
        lambda p: p.add_document(again, by=ANA)
    ).then(again)


def test_what_is_not_there_is_not_removed() -> None:
    def remove(p: Person) -> None:
        p.remove_document(document_removed(), by=ANA)

    given(Person, sourced()).when(remove).then_refused(NoSuchDocument)
    given(Person, sourced(), document_added(), document_removed()).when(remove).then_refused(
        NoSuchDocument
    )


def test_a_company_has_documents_as_a_person_has_and_its_papers_name_them() -> None:
    filed, again = firm_document_added(), firm_document_added(document_id=new_id())
    given(Company, added()).when(lambda c: c.add_document(filed, by=ANA)).then(filed)
    given(Company, added(), filed).when(lambda c: c.add_document(again, by=ANA)).then_refused(
        DocumentThere, document_id=DOCUMENT
    )
    removed = firm_document_removed()
    given(Company, added(), filed).when(lambda c: c.remove_document(removed, by=ANA)).then(removed)
    sent = paper_sent(document_id=DOCUMENT)
    history = (added(), deal_opened(), filed)
    given(Company, *history).when(lambda c: c.work_on_deal(sent, by=ANA)).then(sent)
    given(Company, *history, removed).when(lambda c: c.work_on_deal(sent, by=ANA)).then_refused(
        NoSuchDocument
    )
