"""Consultants and teams, and what rests on a consultant's still being here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ledger_crm.domain.clock import now
from ledger_crm.domain.consultant import (
    ConsultantAdded,
    ConsultantChanges,
    ConsultantRecord,
    NoSuchConsultant,
    consultant_id,
)
from ledger_crm.domain.team import Membership, Team, TeamDefined, TeamJoined, team_id
from ledger_crm.ledger import AlreadyThere, NoSuchRecord, Work


async def add_consultant(work: Work, fact: ConsultantAdded) -> ConsultantRecord:
    """Raises AlreadyThere, NameMissing, NotOneLine."""
    id = consultant_id(fact.consultant)
    if await work.has(id):
        raise AlreadyThere(id=id)
    return work.add(ConsultantRecord.add(fact, by=work.by))


async def change_consultant(
    work: Work, consultant: str, fact: ConsultantChanges
) -> ConsultantRecord:
    """Raises NoSuchConsultant, and as ``ConsultantRecord.change``."""
    record = await _consultant(work, consultant)
    record.change(fact, by=work.by)
    return record


async def define_team(work: Work, definition: TeamDefined) -> Team:
    """New, or another version of the one with its slug."""
    id = team_id(definition.slug)
    if not await work.has(id):
        return work.add(Team.define(definition, by=work.by))
    team = await work.get(Team, id)
    team.revise(definition, by=work.by)
    return team


async def change_members(work: Work, slug: str, fact: Membership) -> Team:
    """Raises NoSuchRecord, NoSuchConsultant, ConsultantHasLeft, and as ``Team.change_members``."""
    try:
        team = await work.get(Team, team_id(slug))
    except NoSuchRecord:
        raise NoSuchRecord(team=slug) from None
    consultant = await _consultant(work, fact.consultant)
    if isinstance(fact, TeamJoined):
        consultant.must_be_here(fact.joined_on)
    team.change_members(fact, by=work.by)
    return team


async def must_be_here(work: Work, consultants: Iterable[str], at: datetime | None) -> None:
    """Of whom something is given that day; None: today. Who is no consultant is taken as they are.
    So is whom nobody added, unless whoever decides this was added: where we are on record, a name
    that is not is a slip, and what it is given would be nobody's. Raises ConsultantHasLeft,
    NoSuchConsultant."""
    day = (at or now()).date()
    kept = await work.has(consultant_id(work.by))
    for each in sorted({*consultants}):
        id = consultant_id(each)
        if not each.startswith("consultant:"):
            continue
        if await work.has(id):
            (await work.get(ConsultantRecord, id)).must_be_here(day)
        elif kept:
            raise NoSuchConsultant(consultant=each)


async def _consultant(work: Work, consultant: str) -> ConsultantRecord:
    try:
        return await work.get(ConsultantRecord, consultant_id(consultant))
    except NoSuchRecord:
        raise NoSuchConsultant(consultant=consultant) from None
