"""Referrals: the record of whoever is referred is written; whom it came from, or went to, is what
the decision rests on."""

from __future__ import annotations

from uuid import UUID

from ledger_crm.domain.company import Company
from ledger_crm.domain.person import Person
from ledger_crm.domain.referral import CandidateReferrals, ClientReferrals, Referral
from ledger_crm.ledger import Work

from .intake import must_be_there


async def candidate(work: Work, person_id: UUID, fact: CandidateReferrals) -> Person:
    """Raises NoSuchRecord, and as ``Person.refer``."""
    person = await work.get(Person, person_id)
    await _must_be_there(work, fact)
    person.refer(fact, by=work.by)
    return person


async def client(work: Work, company_id: UUID, fact: ClientReferrals) -> Company:
    """Raises NoSuchRecord, and as ``Company.refer``."""
    company = await work.get(Company, company_id)
    await _must_be_there(work, fact)
    company.refer(fact, by=work.by)
    return company


async def _must_be_there(work: Work, fact: Referral) -> None:
    person_id, company_id = fact.with_ids
    if person_id:
        await must_be_there(work, person_id)
    if company_id:
        await work.get(Company, company_id)
