"""Candidacies: a person on a job order. The person's stream is written; the job order, the terms
and the pipeline are what the decision rests on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from uuid import UUID

import msgspec

from ledger_crm.domain.agreement import NoSuchAgreement
from ledger_crm.domain.candidate import Candidacy, Move, NotIntroduced
from ledger_crm.domain.company import Company
from ledger_crm.domain.fee import Pay, Share, Terms, fee, first_year_pay, with_partner
from ledger_crm.domain.identity import Source
from ledger_crm.domain.interview import InterviewArranged, InterviewFacts, OfferFacts
from ledger_crm.domain.invoice import ReplacementGiven
from ledger_crm.domain.person import Person
from ledger_crm.domain.pipeline import Pipeline, pipeline_id
from ledger_crm.domain.placement import PayUnclear
from ledger_crm.domain.screening import Answer
from ledger_crm.ledger import Work

from .customising import must_not_miss
from .intake import must_be_contact
from .teams import must_be_here


async def open_candidacy(
    work: Work,
    person_id: UUID,
    *,
    company_id: UUID,
    job_order_id: UUID,
    at: datetime,
    stage: str = "",
    text: str = "",
    past: bool = False,
) -> Person:
    """``past``: as ``Person.move``. Raises NoSuchRecord, NoSuchJobOrder, JobOrderIsClosed, and as
    ``Person.open_candidacy``."""
    person = await work.get(Person, person_id)
    company = await work.get(Company, company_id)
    order = company.open_order(job_order_id)
    person.open_candidacy(
        await work.get(Pipeline, pipeline_id(order.pipeline)),
        company_id=company.with_order(job_order_id).id,
        job_order_id=job_order_id,
        at=at,
        stage=stage,
        text=text,
        past=past,
        by=work.by,
    )
    return person


async def apply(
    work: Work,
    person_id: UUID,
    *,
    company_id: UUID,
    job_order_id: UUID,
    at: datetime,
    channel: Source = "website",
    source: str = "",
    answers: Sequence[Answer] = (),
    text: str = "",
    past: bool = False,
) -> Person:
    """For a job order that is open. ``past``: it was made elsewhere, under the rules of then; the
    job order may be over by now, and ask more. Raises NoSuchRecord, NoSuchJobOrder,
    JobOrderIsClosed, and as ``Person.take_application``."""
    person = await work.get(Person, person_id)
    company = await work.get(Company, company_id)
    order = company.job_order(job_order_id) if past else company.open_order(job_order_id)
    questions = order.questions
    if past:
        questions = tuple(msgspec.structs.replace(each, required=False) for each in questions)
    person.take_application(
        await work.get(Pipeline, pipeline_id(order.pipeline)),
        questions,
        company_id=company.with_order(job_order_id).id,
        job_order_id=job_order_id,
        at=at,
        channel=channel,
        source=source,
        answers=answers,
        text=text,
        by=work.by,
    )
    return person


async def move(
    work: Work, person_id: UUID, candidacy_id: UUID, to: Move, *, past: bool = False
) -> Person:
    """Raises NoSuchRecord, and as ``Person.move``."""
    person = await work.get(Person, person_id)
    return await _moved(work, person, candidacy_id, to, past=past)


async def move_on(
    work: Work, person_id: UUID, job_order_id: UUID, to: Move, *, past: bool = False
) -> Person:
    """As ``move``, theirs on this job order."""
    person = await work.get(Person, person_id)
    return await _moved(work, person, person.candidacy_on(job_order_id), to, past=past)


async def _moved(work: Work, person: Person, candidacy_id: UUID, to: Move, *, past: bool) -> Person:
    pipeline = await _pipeline(work, person, candidacy_id)
    person.move(candidacy_id, to, pipeline, past=past, by=work.by)
    return person


async def give_right_to_represent(
    work: Work, person_id: UUID, candidacy_id: UUID, *, at: datetime, text: str = ""
) -> Person:
    """Raises NoSuchRecord, NoSuchCandidacy."""
    person = await work.get(Person, person_id)
    person.give_right_to_represent(candidacy_id, at=at, text=text, by=work.by)
    return person


async def introduce(
    work: Work,
    person_id: UUID,
    candidacy_id: UUID,
    *,
    at: datetime,
    to_person_id: UUID | None = None,
    override: str = "",
    text: str = "",
) -> Person:
    """Under the terms in force at that moment, on an order that was open then and is now. Raises
    NoSuchRecord, JobOrderIsClosed, NotAContact, NoTerms, RequiredFieldsMissing, and as
    ``Person.introduce``."""
    person = await work.get(Person, person_id)
    candidacy = person.candidacy(candidacy_id)
    company = await work.get(Company, candidacy.company_id)
    company.open_order(candidacy.job_order_id, at)
    await must_not_miss(work, "person", person.fields_of(None), person_id=person_id)
    of_order = company.fields_of(candidacy.job_order_id)
    await must_not_miss(work, "job_order", of_order, job_order_id=candidacy.job_order_id)
    if to_person_id:
        await must_be_contact(work, to_person_id, company.id, at, field="to_person_id")
    person.introduce(
        candidacy_id,
        await _pipeline(work, person, candidacy_id),
        terms=company.terms_for(candidacy.job_order_id, at),
        at=at,
        to_person_id=to_person_id,
        override=override,
        text=text,
        by=work.by,
    )
    return person


async def progress(work: Work, person_id: UUID, fact: InterviewFacts | OfferFacts) -> Person:
    """Raises NoSuchRecord and NotAContact (an interviewer), and as ``Person.progress``."""
    person = await work.get(Person, person_id)
    match fact:
        case InterviewArranged(interviewer_ids=ids):
            at = person.candidacy(fact.candidacy_id).company_id
            for id in ids:
                await must_be_contact(work, id, at, fact.arranged_at, field="interviewer_ids")
    person.progress(fact, by=work.by)
    return person


async def place(
    work: Work,
    person_id: UUID,
    candidacy_id: UUID,
    *,
    at: datetime,
    starts_on: date,
    first_year_pay_cents: int | None = None,
    pay: Pay | None = None,
    full_time: bool = True,
    override: str = "",
    shares: Sequence[Share] = (),
    replaces_id: UUID | None = None,
) -> Person:
    """The fee is computed from the terms in force at the introduction, in their currency; there is
    none for who replaces somebody. Without ``shares`` those of the job order are taken. Who is
    placed fills an opening, the last one the job order; who replaces somebody takes theirs.

    Raises NoSuchRecord, NoSuchCandidacy, JobOrderIsClosed, PayUnclear, NoExchangeRate,
    NoReplacementOwed, NoSuchConsultant, ConsultantHasLeft, and as ``Person.place``."""
    person = await work.get(Person, person_id)
    candidacy = person.candidacy(candidacy_id)
    company = await work.get(Company, candidacy.company_id)
    of = company.job_order if replaces_id else company.order_in_work
    order = of(candidacy.job_order_id)
    if candidacy.agreement_id is None:
        raise NotIntroduced(candidacy_id=candidacy_id)
    terms = await terms_under(work, company, candidacy)
    if (first_year_pay_cents is None) == (pay is None):
        raise PayUnclear()
    counted = first_year_pay(terms, pay) if pay else first_year_pay_cents or 0
    fee_cents = 0 if replaces_id else fee(terms, first_year_pay_cents=counted)
    shares = shares or order.shares
    paid = {share.consultant for share in shares} - order.staff if shares else {work.by}
    await must_be_here(work, paid, at)  # without shares, all of it is of whoever writes this
    person.place(
        candidacy_id,
        await _pipeline(work, person, candidacy_id),
        at=at,
        starts_on=starts_on,
        first_year_pay_cents=counted,
        fee_cents=fee_cents,
        currency=terms.currency,
        full_time=full_time,
        override=override,
        shares=shares,
        pay=pay,
        partner_cents=with_partner(terms, fee_cents)[1],
        replaces_id=replaces_id,
        by=work.by,
    )
    if replaces_id:
        given = ReplacementGiven(
            candidacy_id=candidacy_id,
            person_id=person.with_candidacy(candidacy_id).id,
            replaces_id=replaces_id,
            job_order_id=candidacy.job_order_id,
            given_at=at,
        )
        company.give_replacement(given, by=work.by)
    if not replaces_id or order.has_place_for(replaces_id):
        company.fill_job_order(candidacy.job_order_id, at=at, openings=1, by=work.by)
    return person


async def terms_under(work: Work, company: Company, found: Candidacy) -> Terms:
    """Those under which they were introduced. They stay what they were, also if they lie on a
    record with which the company was one then."""
    assert found.agreement_id, "who is introduced is so under terms"
    ahead, looked_at = [company], {company.id}
    while ahead:
        one = ahead.pop()
        with suppress(NoSuchAgreement):
            return one.terms_of(found.agreement_id, found.agreement_version)
        for id in sorted({id for each in one.everyone for id in each.was_one_with}):
            other = await work.get(Company, id)
            if other.id not in looked_at:
                looked_at.add(other.id)
                ahead.append(other)
    return company.terms_of(found.agreement_id, found.agreement_version)


async def _pipeline(work: Work, person: Person, candidacy_id: UUID) -> Pipeline:
    """Raises NoSuchCandidacy."""
    return await work.get(Pipeline, pipeline_id(person.candidacy(candidacy_id).pipeline))
