"""Intake: who is who. People and companies enter here, once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

import msgspec

from ledger_crm.domain.campaign import (
    Campaign,
    CampaignFacts,
    CampaignFinished,
    Enrolled,
    NotEnrolled,
    campaign_id,
)
from ledger_crm.domain.clock import now
from ledger_crm.domain.company import Company, CompanyAdded
from ledger_crm.domain.contact import Point
from ledger_crm.domain.firm import (
    FirmChanges,
    FirmProfileChanged,
    OwnAncestor,
    OwnerAssigned,
    ParentNamed,
)
from ledger_crm.domain.followup import CompanyFollowUpPromised, FollowUpPromised
from ledger_crm.domain.identity import Employed
from ledger_crm.domain.interaction import (
    CompanyInteractions,
    Interaction,
    MessageSent,
    Outbound,
)
from ledger_crm.domain.permission import OffLimits, Permissions
from ledger_crm.domain.person import Person, PersonSourced
from ledger_crm.domain.pool import PersonPooled, Pool, Pooling, pool_id
from ledger_crm.domain.refusals import Forbidden
from ledger_crm.domain.shortlist import NotAContact
from ledger_crm.ledger import NoSuchRecord, Work

from .teams import must_be_here, must_be_known


class Reachable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How somebody can be reached; "" for what is not known."""

    email: str = ""
    phone: str = ""
    profile_url: str = ""

    @property
    def points(self) -> list[tuple[Point, str]]:
        every: list[tuple[Point, str]]
        every = [("email", self.email), ("phone", self.phone), ("url", self.profile_url)]
        return [(point, value) for point, value in every if value.strip()]


async def must_be_there(work: Work, person_id: UUID) -> None:
    """Somebody whom a fact names. Raises NoSuchRecord, PersonIsErased."""
    (await work.get(Person, person_id)).must_be_here()


async def must_be_contact(
    work: Work, person_id: UUID, company_id: UUID, at: datetime | None, *, field: str
) -> None:
    """Somebody whom a fact names as the client's: who works there today, or did on that day. Raises
    NoSuchRecord, PersonIsErased, NotAContact."""
    person = await work.get(Person, person_id)
    person.must_be_here()
    ids = (await work.get(Company, company_id)).ids
    for day in (now(), at or now()):
        jobs = {job.company_id for job in person.jobs_at(day.date())}
        if ids & jobs or ids & {*person.works_at(day)}:
            return
    raise NotAContact(company_id=company_id, contact_id=person_id, field=field)


async def source_person(
    work: Work, fact: PersonSourced, reachable: Reachable, *, id: UUID | None = None
) -> Person:
    """Raises NoSuchConsultant (who found them), NameMissing, NotAnEmailAddress and its like; when
    written, ContactPointTaken."""
    await must_be_known(work, [fact.found_by])
    person = work.add(Person.source(fact, by=work.by, id=id))
    for point, value in reachable.points:
        person.add_contact_point(point, value, at=fact.sourced_at, by=work.by)
    return person


async def add_contact_point(
    work: Work,
    person_id: UUID,
    point: Point,
    value: str,
    *,
    at: datetime | None = None,
    valid_from_on: date | None = None,
    valid_until_on: date | None = None,
) -> Person:
    """Raises NoSuchRecord, NotAnEmailAddress and its like; when written, ContactPointTaken."""
    person = await work.get(Person, person_id)
    person.add_contact_point(
        point,
        value,
        at=at,
        valid_from_on=valid_from_on,
        valid_until_on=valid_until_on,
        by=work.by,
    )
    return person


async def add_company(work: Work, fact: CompanyAdded, *, id: UUID | None = None) -> Company:
    """Raises NotADomain; when written, DomainTaken."""
    return work.add(Company.add(fact, by=work.by, id=id))


async def change_company(work: Work, company_id: UUID, fact: FirmChanges) -> Company:
    """Raises NoSuchRecord (the parent), OwnAncestor, NoSuchConsultant, ConsultantHasLeft, and as
    ``Company.change``; when written, DomainTaken."""
    company = await work.get(Company, company_id, itself=isinstance(fact, FirmProfileChanged))
    if isinstance(fact, ParentNamed) and fact.parent_id:
        parent = await work.get(Company, fact.parent_id)
        if company.ids & ids_of([parent, *await above(work, parent)]):
            raise OwnAncestor(parent_id=fact.parent_id)
    owners = {one.owner for one in company.everyone}
    if isinstance(fact, OwnerAssigned) and fact.owner not in owners:
        await must_be_here(work, [fact.owner], fact.assigned_at)
    company.change(fact, by=work.by)
    return company


async def above(work: Work, company: Company) -> list[Company]:
    """All that it belongs to, directly or through others, by any of its records; the nearest
    first."""
    found: list[Company] = []
    ahead = [*company.parents]
    for id in ahead:  # it ends: none of them belongs to itself
        parent = await work.get(Company, id)
        if all(parent is not one for one in found):
            found.append(parent)
            ahead += parent.parents
    return found


def ids_of(companies: Iterable[Company]) -> set[UUID]:
    return {id for each in companies for id in each.ids}


async def employ(work: Work, person_id: UUID, fact: Employed) -> Person:
    """Raises NoSuchRecord (either of them), EndsBeforeItStarts."""
    person = await work.get(Person, person_id)
    company = await work.get(Company, fact.company_id)
    # else nobody asks to whom they were introduced
    related = [company, *await above(work, company)] if person.every_candidacy else []
    person.employ(fact, above=ids_of(related), by=work.by)
    return person


async def promise(work: Work, person_id: UUID, fact: FollowUpPromised) -> Person:
    """Raises NoSuchRecord, also for a company that it names; NoSuchConsultant, ConsultantHasLeft,
    FollowUpIdTaken."""
    person = await work.get(Person, person_id)
    if fact.company_id:
        await work.get(Company, fact.company_id)
    await must_be_here(work, [fact.owner or work.by], fact.promised_at)
    person.promise(fact, by=work.by)
    return person


async def promise_company(work: Work, company_id: UUID, fact: CompanyFollowUpPromised) -> Company:
    """Raises NoSuchRecord, NoSuchConsultant, ConsultantHasLeft, FollowUpIdTaken."""
    company = await work.get(Company, company_id)
    await must_be_here(work, [fact.owner or work.by], fact.promised_at)
    company.promise(fact, by=work.by)
    return company


async def pool(work: Work, person_id: UUID, fact: Pooling) -> Person:
    """Raises NoSuchRecord, also for the pool; PoolIsRetired."""
    person = await work.get(Person, person_id)
    try:
        found = await work.get(Pool, pool_id(fact.pool))
    except NoSuchRecord:
        raise NoSuchRecord(pool=fact.pool) from None
    if isinstance(fact, PersonPooled):
        found.must_be_in_use()
    person.pool(fact, by=work.by)
    return person


async def permit(work: Work, person_id: UUID, fact: Permissions) -> Person:
    """Raises NoSuchRecord, and as ``Person.permit``."""
    person = await work.get(Person, person_id)
    person.permit(fact, by=work.by)
    return person


async def record(work: Work, person_id: UUID, interaction: Interaction) -> Person:
    """The last step of a campaign finishes it. Raises NoSuchRecord and PersonIsErased, also for a
    company or a person that the interaction names; OffLimits, and as ``Person.record``. A message
    that is there already is a no-op, whatever was said since."""
    person = await work.get(Person, person_id)
    await _must_be_known(work, interaction.others)
    if interaction.company_id:
        await work.get(Company, interaction.company_id)
    in_one = any(one.campaigns for one in person.everyone)  # what it ends there is a fact besides
    for each in person.everyone if in_one else person.everyone[1:]:
        if await work.has_written(each.id, interaction):
            return person
    try:
        if (
            isinstance(interaction, Outbound)
            and interaction.by_us
            and not interaction.override.strip()
        ):
            await _must_be_approachable_at_work(work, person, interaction.occurred_at or now())
        person.record(interaction, by=work.by)
    except (Forbidden, NotEnrolled):
        if not await work.has_written(person.id, interaction):  # else a channel delivers it again
            raise
    else:
        if isinstance(interaction, MessageSent) and interaction.campaign:
            campaign = await _campaign(work, interaction.campaign)
            running = person.enrolment(interaction.campaign)
            if running and running.sent >= len(campaign.definition.steps):
                done = CampaignFinished(
                    campaign=interaction.campaign, finished_at=interaction.sent_at
                )
                person.end_campaign(done, by=work.by)
    return person


async def record_of_company(work: Work, company_id: UUID, fact: CompanyInteractions) -> Company:
    """Raises NoSuchRecord and PersonIsErased, also for whom a note mentions."""
    company = await work.get(Company, company_id)
    await _must_be_known(work, fact.others)
    company.record(fact, by=work.by)
    return company


async def _must_be_known(work: Work, mentioned: Iterable[UUID]) -> None:
    """People or companies. Raises NoSuchRecord, PersonIsErased."""
    for id in mentioned:
        try:
            await must_be_there(work, id)
        except NoSuchRecord:
            await work.get(Company, id)


async def campaign(work: Work, person_id: UUID, fact: CampaignFacts) -> Person:
    """Raises NoSuchRecord, also for the campaign and for a company that it names;
    CampaignIsRetired, OffLimits, and as ``Person.enroll``."""
    person = await work.get(Person, person_id)
    found = await _campaign(work, fact.campaign)
    if not isinstance(fact, Enrolled):
        person.end_campaign(fact, by=work.by)
        return person
    found.must_be_in_use()
    if fact.company_id:
        await work.get(Company, fact.company_id)
    for moment in (fact.enrolled_at or now(), now()) if not fact.override.strip() else ():
        await _must_be_approachable_at_work(work, person, moment)
    person.enroll(fact, by=work.by)
    return person


async def _campaign(work: Work, slug: str) -> Campaign:
    try:
        return await work.get(Campaign, campaign_id(slug))
    except NoSuchRecord:
        raise NoSuchRecord(campaign=slug) from None


async def _must_be_approachable_at_work(work: Work, person: Person, at: datetime) -> None:
    """Raises OffLimits."""
    placed = person.placed_at(at.date())
    for company_id in person.works_at(at):
        try:
            await _must_be_approachable(work, company_id, at)
        except OffLimits as refusal:
            refusal.rests_on = placed.get(company_id)
            raise


async def _must_be_approachable(work: Work, company_id: UUID, at: datetime) -> None:
    """Nor may one that it belongs to forbid it. Raises OffLimits."""
    company = await work.get(Company, company_id)
    company.must_be_approachable(at)
    for parent in await above(work, company):
        parent.must_be_approachable(at, subsidiary=company_id)
