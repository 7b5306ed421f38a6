"""Merging: two records of one person or one company, and what undoes it. Both streams are written
at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Reason
from ledger_crm.domain.merging import (
    Absorbed,
    BelongTogether,
    CompanyAbsorbed,
    Mergeable,
    PersonAbsorbed,
    RecordIsMerged,
)
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Work

from .intake import above, ids_of

M = TypeVar("M", bound=Mergeable)


async def merge(work: Work, person_id: UUID, fact: PersonAbsorbed) -> Person:
    """Who is on one record introduced, and on the other hired by them, was hired past us. Raises
    NoSuchRecord and RecordIsMerged, for either of them; and as ``Person.absorb``."""
    survivor, duplicate = await _both(work, Person, person_id, fact)
    ours, theirs = (
        {found.job_order_id for found in one.every_candidacy.values()}
        for one in (survivor, duplicate)
    )
    if work.eye and (both := ours & theirs):
        survivor.unseen |= await work.eye(survivor, both)
    survivor.absorb(duplicate, fact, by=work.by)
    await _look_past_us(work, survivor.id)
    return work.last(survivor)


async def merge_companies(
    work: Work, company_id: UUID, fact: CompanyAbsorbed, people: Sequence[UUID] = ()
) -> Company:
    """``people``: who may have been hired past us, now that the two are one. Whether they were is
    decided here, again if it is merged already. Raises NoSuchRecord and RecordIsMerged, for either
    of them; BelongTogether, and as ``Company.absorb``."""
    survivor, duplicate = await _both(work, Company, company_id, fact)
    if duplicate is not survivor:
        for one, other in ((survivor, duplicate), (duplicate, survivor)):
            if one.ids & ids_of(await above(work, other)):
                raise BelongTogether(survivor_id=survivor.id, duplicate_id=duplicate.id)
    survivor.absorb(duplicate, fact, by=work.by)
    for id in people:
        await _look_past_us(work, id)
    return work.last(survivor)


async def _look_past_us(work: Work, person_id: UUID) -> None:
    person = await work.get(Person, person_id)
    if person.erased or not person.every_candidacy:
        return
    groups = {}
    for id in {job.company_id for job in person.every_employment if job.starts_on}:
        employer = await work.get(Company, id)
        groups[id] = ids_of([employer, *await above(work, employer)])
    person.look_past_us(groups, by=work.by)


async def _both(work: Work, type_: type[M], id: UUID, fact: Absorbed) -> tuple[M, M]:
    survivor = await work.get(type_, id, itself=True)
    duplicate = await work.get(type_, fact.duplicate_id)
    if duplicate.id not in (fact.duplicate_id, survivor.id):
        raise RecordIsMerged(id=fact.duplicate_id, survivor_id=duplicate.id)
    # as it was before it was un-merged
    if duplicate is not survivor and any(one is survivor for one in duplicate.everyone):
        raise RecordIsMerged(id=id, survivor_id=duplicate.id)
    return survivor, duplicate


async def unmerge(
    work: Work,
    person_id: UUID,
    other_id: UUID,
    *,
    at: datetime,
    reason: Reason = "",
    text: str = "",
) -> Person:
    """Raises NoSuchRecord, RecordIsMerged, and as ``Person.separate``."""
    survivor = await work.get(Person, person_id, itself=True)
    survivor.separate(other_id, at=at, reason=reason, text=text, by=work.by)
    return work.last(survivor)


async def unmerge_companies(
    work: Work,
    company_id: UUID,
    other_id: UUID,
    *,
    at: datetime,
    reason: Reason = "",
    text: str = "",
) -> Company:
    """Raises NoSuchRecord, RecordIsMerged, and as ``Company.separate``."""
    survivor = await work.get(Company, company_id, itself=True)
    survivor.separate(other_id, at=at, reason=reason, text=text, by=work.by)
    return work.last(survivor)
