"""Selling: deals, fees and job orders of a company. The company's stream is written; pipelines
and people are what the decision rests on."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from ledger_crm.domain.company import Company
from ledger_crm.domain.deal import DealSteps, PaperSigned
from ledger_crm.domain.entry import IdTaken
from ledger_crm.domain.joborder import JobOrderOpened, JobOrderStaffed, JobOrderSteps
from ledger_crm.domain.pipeline import Pipeline, Subject, pipeline_id
from ledger_crm.domain.refusals import Invalid, Unknown
from ledger_crm.ledger import Work

from .customising import must_not_miss
from .intake import must_be_contact, must_be_there
from .teams import must_be_here


class WrongPipeline(Invalid):
    """This pipeline is not for this: candidates and deals have pipelines of their own."""

    field = "pipeline"


class NoSuchPipeline(Unknown):
    """There is no pipeline of this name."""


async def open_deal(
    work: Work,
    company_id: UUID,
    *,
    title: str,
    at: datetime,
    id: UUID | None = None,
    pipeline: str = "sales",
    stage: str = "",
    value_cents: int = 0,
    currency: str = "EUR",
    expected_close_on: date | None = None,
    contact_id: UUID | None = None,
) -> Company:
    """Raises NoSuchRecord (company, contact), NoSuchPipeline, WrongPipeline, and as
    ``Company.open_deal``."""
    company = await work.get(Company, company_id)
    if contact_id:
        await must_be_there(work, contact_id)
    company.open_deal(
        await _pipeline(work, pipeline, "deal"),
        title=title,
        at=at,
        id=id,
        stage=stage,
        value_cents=value_cents,
        currency=currency,
        expected_close_on=expected_close_on,
        contact_id=contact_id,
        by=work.by,
    )
    return company


async def move_deal(
    work: Work,
    company_id: UUID,
    deal_id: UUID,
    *,
    stage: str,
    at: datetime,
    reason: str = "",
    text: str = "",
) -> Company:
    """Raises NoSuchRecord, RequiredFieldsMissing, and as ``Company.move_deal``."""
    company = await work.get(Company, company_id)
    pipeline = await work.get(Pipeline, pipeline_id(company.deal(deal_id).pipeline))
    if not company.deal(deal_id).over and pipeline.stage(stage).category == "won":
        await must_not_miss(work, "deal", company.fields_of(deal_id), deal_id=deal_id)
    company.move_deal(deal_id, stage, pipeline, at=at, reason=reason, text=text, by=work.by)
    return company


async def work_on_deal(work: Work, company_id: UUID, fact: DealSteps) -> Company:
    """Raises NoSuchRecord (company, contact), NotAContact (who signed), and as
    ``Company.work_on_deal``."""
    company = await work.get(Company, company_id)
    for person_id in fact.concerns:
        if isinstance(fact, PaperSigned):
            at = fact.occurred_at
            await must_be_contact(work, person_id, company_id, at, field="signed_by_id")
        else:
            await must_be_there(work, person_id)
    company.work_on_deal(fact, by=work.by)
    return company


async def open_job_order(work: Work, company_id: UUID, fact: JobOrderOpened) -> Company:
    """Raises NoSuchRecord (company, hiring manager), NotAContact, NoSuchPipeline, WrongPipeline,
    IdTaken, RequiredFieldsMissing, and as ``Company.open_job_order``."""
    company = await work.get(Company, company_id)
    await must_not_miss(work, "company", company.fields_of(None), company_id=company_id)
    await _pipeline(work, fact.pipeline, "candidate")
    if await work.has(fact.job_order_id):
        raise IdTaken(holder=fact.job_order_id)
    if id := fact.hiring_manager_id:
        await must_be_contact(work, id, company_id, fact.opened_at, field="hiring_manager_id")
    company.open_job_order(fact, by=work.by)
    return company


async def step_job_order(work: Work, company_id: UUID, fact: JobOrderSteps) -> Company:
    """Raises NoSuchRecord (company, hiring manager), NotAContact, NoSuchJobOrder,
    NoSuchConsultant, ConsultantHasLeft, and as ``JobOrder.decide``."""
    company = await work.get(Company, company_id)
    for person_id in fact.concerns:
        await must_be_contact(
            work, person_id, company_id, fact.occurred_at, field="hiring_manager_id"
        )
    if isinstance(fact, JobOrderStaffed):
        new = fact.staff - company.job_order(fact.job_order_id).staff
        await must_be_here(work, new, fact.staffed_at)
    company.step(fact, by=work.by)
    return company


async def _pipeline(work: Work, slug: str, subject: Subject) -> Pipeline:
    if not await work.has(pipeline_id(slug)):
        raise NoSuchPipeline(pipeline=slug)
    found = await work.get(Pipeline, pipeline_id(slug))
    if found.subject != subject:
        raise WrongPipeline(pipeline=slug, subject=found.subject, wanted=subject)
    return found
