"""Consultants and teams, and what rests on a consultant's still being here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ledger_crm.domain.clock import now, today
from ledger_crm.domain.consultant import (
    ConsultantAdded,
    ConsultantChanges,
    ConsultantRecord,
    NoSuchConsultant,
    consultant_id,
)
from ledger_crm.domain.team import Membership, Team, TeamDefined, TeamJoined, team_id
from ledger_crm.ledger import AlreadyThere, Ledger, NoSuchRecord, Work


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
    """Of whom something is given that day; None: today. Raises as ``must_be_known``, and
    ConsultantHasLeft."""
    consultants = sorted({*consultants})
    await must_be_known(work, consultants)
    for each in consultants:
        await must_not_have_left(work, each, at)


async def must_not_have_left(work: Work, consultant: str, at: datetime | None) -> None:
    """Nobody on record has. Raises ConsultantHasLeft."""
    if await work.has(id := consultant_id(consultant)):
        (await work.get(ConsultantRecord, id)).must_be_here((at or now()).date())


async def has_left(ledger: Ledger, consultant: str) -> bool:
    """By today; nobody who is not on record has. Raises Unavailable."""
    try:
        record = await ledger.get(ConsultantRecord, consultant_id(consultant))
    except NoSuchRecord:
        return False
    return record.here.on(today()) is False


async def must_be_known(work: Work, consultants: Iterable[str]) -> None:
    """Whom a command names: where anybody of us is on record, a name that is not is a slip, and
    what is theirs would be nobody's. Who left is known, who is no consultant is taken as they are,
    and so is whoever writes this: their key says that there is one. Raises NoSuchConsultant."""
    for each in sorted({*consultants} - {work.by}):
        if not each.startswith("consultant:") or await work.has(consultant_id(each)):
            continue
        if work.knows(ConsultantRecord) or await work.ledger.has_consultants():
            raise NoSuchConsultant(consultant=each)


async def _consultant(work: Work, consultant: str) -> ConsultantRecord:
    try:
        return await work.get(ConsultantRecord, consultant_id(consultant))
    except NoSuchRecord:
        raise NoSuchConsultant(consultant=consultant) from None
