"""Merging: two records of one person, and what undoes it. Both streams are written at once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ledger_crm.domain.entry import Reason
from ledger_crm.domain.merging import PersonAbsorbed, RecordIsMerged
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Work


async def merge(work: Work, person_id: UUID, fact: PersonAbsorbed) -> Person:
    """Raises NoSuchRecord and RecordIsMerged, for either of them; and as ``Person.absorb``."""
    survivor = await work.get(Person, person_id, itself=True)
    duplicate = await work.get(Person, fact.duplicate_id)
    if duplicate.id not in (fact.duplicate_id, survivor.id):
        raise RecordIsMerged(id=fact.duplicate_id, survivor_id=duplicate.id)
    # as it was before it was un-merged
    if duplicate is not survivor and any(one is survivor for one in duplicate.everyone):
        raise RecordIsMerged(id=person_id, survivor_id=duplicate.id)
    survivor.absorb(duplicate, fact, by=work.by)
    return work.last(survivor)


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
