"""The catalogue: pipelines, pools, campaigns, segments, reply templates and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from uuid import UUID

from ledger_crm.domain.access import ApiKey, Holder, parts
from ledger_crm.domain.campaign import Campaign, CampaignDefined, campaign_id
from ledger_crm.domain.clock import today
from ledger_crm.domain.custom import Subject
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.pipeline import SHIPPED, Pipeline, PipelineDefined, pipeline_id
from ledger_crm.domain.pool import Pool, PoolDefined, pool_id
from ledger_crm.domain.segment import Segment, SegmentEvents, SegmentSaved
from ledger_crm.domain.template import Template, TemplateDefined, template_id
from ledger_crm.ledger import AlreadyThere, Intent, Ledger, NoSuchRecord, Receipt, Work

from .customising import must_be_askable
from .teams import has_left, must_be_known, must_not_have_left

SETUP = Actor("system:setup")


async def define_pipeline(work: Work, definition: PipelineDefined) -> Pipeline:
    """New, or another version of the one with its slug. Raises as ``Pipeline.revise``."""
    id = pipeline_id(definition.slug)
    if not await work.has(id):
        return work.add(Pipeline.define(definition, by=work.by))
    pipeline = await work.get(Pipeline, id)
    pipeline.revise(definition, by=work.by)
    return pipeline


async def define_pool(work: Work, definition: PoolDefined) -> Pool:
    """New, or another version of the one with its slug."""
    id = pool_id(definition.slug)
    if not await work.has(id):
        return work.add(Pool.define(definition, by=work.by))
    pool = await work.get(Pool, id)
    pool.revise(definition, by=work.by)
    return pool


async def define_campaign(work: Work, definition: CampaignDefined) -> Campaign:
    """New, or another version of the one with its slug. Raises NoSuchRecord for a template."""
    for step in definition.steps:
        if step.template and not await work.has(template_id(step.template)):
            raise NoSuchRecord(template=step.template)
    id = campaign_id(definition.slug)
    if not await work.has(id):
        return work.add(Campaign.define(definition, by=work.by))
    campaign = await work.get(Campaign, id)
    campaign.revise(definition, by=work.by)
    return campaign


async def save_segment(work: Work, definition: SegmentEvents) -> Segment:
    """New, or another version of the one with its slug. Raises NoCriteria, NoSuchField,
    WrongFieldValue."""
    subject: Subject = "person" if isinstance(definition, SegmentSaved) else "company"
    await must_be_askable(work, subject, definition.criteria.custom)
    if not await work.has(definition.stream_id):
        return work.add(Segment.begin(definition, by=work.by))
    segment = await work.get(Segment, definition.stream_id)
    segment.save(definition, by=work.by)
    return segment


async def define_template(work: Work, definition: TemplateDefined) -> Template:
    """New, or another version of the one with its slug. Raises UnknownPlaceholder."""
    id = template_id(definition.slug)
    if not await work.has(id):
        return work.add(Template.define(definition, by=work.by))
    template = await work.get(Template, id)
    template.revise(definition, by=work.by)
    return template


async def ship(ledger: Ledger) -> None:
    """The shipped pipelines, where they are not there yet. What the agency changed stays."""
    for definition in SHIPPED:
        try:
            await ledger.get(Pipeline, pipeline_id(definition.slug))
        except NoSuchRecord:
            with suppress(AlreadyThere):  # another process shipped it in between
                await ledger.decide(
                    lambda work, d=definition: define_pipeline(work, d),  # type: ignore[misc]
                    intent=Intent(by=SETUP),
                )


async def create_key(
    ledger: Ledger,
    *,
    actor: str,
    role: str | None = None,
    scopes: Sequence[str] = (),
    label: str = "",
    until_on: date | None = None,
    of_anybody: bool = True,
    by: Actor = SETUP,
) -> tuple[Receipt, str]:
    """The receipt, and the key's text, which nobody can show again. ``until_on``: the last day on
    which it opens anything. ``of_anybody``: also of a consultant who is not on record, where others
    are. Raises as ``ApiKey.create``, NoSuchConsultant, ConsultantHasLeft."""
    key, text = ApiKey.create(
        actor=actor, role=role, scopes=scopes, label=label, until_on=until_on, by=by
    )

    async def adding(work: Work) -> ApiKey:
        if not of_anybody:
            await must_be_known(work, (actor,))
        await must_not_have_left(work, actor, None)  # whoever is to add the others has a key first
        return work.add(key)

    return await ledger.decide(adding, intent=Intent(by=by)), text


async def revoke_key(ledger: Ledger, id: UUID, *, reason: str = "", by: Actor = SETUP) -> Receipt:
    """Raises NoSuchRecord, KeyIsRevoked."""
    return await ledger.change(
        ApiKey, id, lambda key: key.revoke(reason=reason, by=by), intent=Intent(by=by)
    )


async def holder_of(ledger: Ledger, text: str) -> Holder | None:
    """Who holds this key; None if it opens nothing, as that of who has left. Raises Unavailable."""
    found = parts(text)
    if found is None:
        return None
    id, secret = found
    try:
        key = await ledger.get(ApiKey, id)
    except NoSuchRecord:
        return None
    if not key.admits(secret, today()) or await has_left(ledger, key.actor):
        return None
    return key.holder
