"""Market maps: what is written of a search rests on its job order, and on the target's being
there."""

from __future__ import annotations

from uuid import UUID

import msgspec

from ledger_crm.domain.company import Company
from ledger_crm.domain.market import Researched, TargetNamed, Targets
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Work


async def target(work: Work, company_id: UUID, fact: Targets) -> Company:
    """Who is dropped is so by all of its records. Raises NoSuchRecord (client, target), and as
    ``Company.target``."""
    company = await work.get(Company, company_id)
    ids = (await work.get(Company, fact.target_id)).ids
    named = {
        id for one in company.everyone for order, id in one.targets if order == fact.job_order_id
    }
    known = sorted(ids & named)  # by whichever record of it
    if isinstance(fact, TargetNamed):
        known = known[:1]
    for id in known or [fact.target_id]:
        company.target(msgspec.structs.replace(fact, target_id=id), by=work.by)
    return work.last(company)


async def research(work: Work, person_id: UUID, fact: Researched) -> Person:
    """Raises NoSuchRecord (person, client), NoSuchJobOrder, JobOrderIsClosed."""
    person = await work.get(Person, person_id)
    (await work.get(Company, fact.company_id)).order_not_over(fact.job_order_id)
    person.research(fact, by=work.by)
    return person
