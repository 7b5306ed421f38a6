"""Placements: what becomes of them is on the person's stream, what it costs on the company's; both
are written at once. The terms are those at the introduction, whatever was agreed since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from uuid import UUID

from ledger_crm.domain.candidacy import Deciders
from ledger_crm.domain.candidate import Candidacy
from ledger_crm.domain.company import Company
from ledger_crm.domain.fee import Share, Terms
from ledger_crm.domain.invoice import RemedyOwed
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Work

from .candidacies import terms_under
from .customising import must_not_miss
from .teams import must_be_here


async def start(
    work: Work, person_id: UUID, candidacy_id: UUID, *, starts_on: date, text: str = ""
) -> Person:
    """What is left of the fee falls due. Raises NoSuchRecord, RequiredFieldsMissing, and as
    ``Person.start``."""
    person = await work.get(Person, person_id)
    found, placement = person.placed(candidacy_id)
    known = person.fields_of(candidacy_id)
    await must_not_miss(work, "placement", known, candidacy_id=candidacy_id)
    company, terms = await _terms(work, found)
    person.start(candidacy_id, terms=terms, starts_on=starts_on, text=text, by=work.by)
    company.take_start(
        terms,
        person_id=person.with_candidacy(candidacy_id).id,
        candidacy_id=candidacy_id,
        job_order_id=found.job_order_id,
        fee_cents=placement.fee_cents,
        at=datetime.combine(starts_on, time(), UTC),
        by=work.by,
    )
    return person


async def fall_through(
    work: Work,
    person_id: UUID,
    candidacy_id: UUID,
    *,
    left_on: date,
    reason: str,
    decided_by: Deciders,
    covered: bool = True,
    look_again: bool | None = None,
    text: str = "",
) -> Person:
    """What we owe for it is on the company's record, and the opening is free again if the client
    looks for another; None: if we owe a replacement. Raises NoSuchRecord, and as
    ``Person.fall_through``."""
    person = await work.get(Person, person_id)
    found, _ = person.placed(candidacy_id)
    company, terms = await _terms(work, found)
    remedy, rebate_cents = person.fall_through(
        candidacy_id,
        terms=terms,
        left_on=left_on,
        reason=reason,
        decided_by=decided_by,
        covered=covered,
        text=text,
        by=work.by,
    )
    if remedy != "none":
        owed = RemedyOwed(
            candidacy_id=candidacy_id,
            person_id=person.with_candidacy(candidacy_id).id,
            job_order_id=found.job_order_id,
            remedy=remedy,
            amount_cents=rebate_cents,
            currency=terms.currency,
            left_on=left_on,
        )
        company.owe(owed, by=work.by)
    if look_again if look_again is not None else remedy == "replacement":
        at = datetime.combine(left_on, time(), UTC)
        company.vacate(found.job_order_id, candidacy_id, at=at, by=work.by)
    return person


async def end_guarantee(work: Work, person_id: UUID, candidacy_id: UUID) -> Person:
    """Raises NoSuchRecord, and as ``Person.end_guarantee``."""
    person = await work.get(Person, person_id)
    person.end_guarantee(candidacy_id, by=work.by)
    return person


async def split_commission(
    work: Work,
    person_id: UUID,
    candidacy_id: UUID,
    *,
    shares: Sequence[Share],
    at: datetime,
    text: str = "",
) -> Person:
    """Who left may have a part in what was placed before. Raises NoSuchRecord,
    NoSuchConsultant, ConsultantHasLeft, and as ``Person.split_commission``."""
    person = await work.get(Person, person_id)
    _, placement = person.placed(candidacy_id)
    new = {share.consultant for share in shares} - placement.sharers
    await must_be_here(work, new, placement.placed_at)
    person.split_commission(candidacy_id, shares=shares, at=at, text=text, by=work.by)
    return person


async def _terms(work: Work, found: Candidacy) -> tuple[Company, Terms]:
    company = await work.get(Company, found.company_id)
    return company, await terms_under(work, company, found)
