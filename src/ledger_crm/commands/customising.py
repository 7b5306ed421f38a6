"""Custom fields: defined in the catalogue, set on people, companies and what is theirs, and asked
for where they are required. The definitions are what these decisions rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger_crm.domain.company import Company
from ledger_crm.domain.custom import (
    CustomFieldCleared,
    CustomFieldDefined,
    CustomFields,
    CustomFieldSet,
    FieldIsRequired,
    FieldIsRetired,
    FirmFieldCleared,
    FirmFieldSet,
    NoSuchField,
    Subject,
    Value,
    Written,
    WrongFieldValue,
    bound,
    custom_fields_id,
    read,
    sought,
    written,
)
from ledger_crm.domain.person import Person
from ledger_crm.domain.segment import FieldIs
from ledger_crm.ledger import NoSuchRecord, Work

from .intake import must_be_there

Values = Mapping[str, Value | None]
"""By field; None: it is no longer known."""


async def define(work: Work, definition: CustomFieldDefined) -> CustomFields:
    """New, or in place of the one of its subject and slug. Raises as ``CustomFields.define``."""
    id = custom_fields_id(definition.subject)
    if not await work.has(id):
        return work.add(CustomFields.begin(definition, by=work.by))
    fields = await work.get(CustomFields, id)
    fields.define(definition, by=work.by)
    return fields


async def of_person(
    work: Work, person_id: UUID, values: Values, *, at: datetime | None = None
) -> Person:
    """Raises NoSuchRecord, also for one that a value names; NoSuchField, FieldIsRetired,
    FieldIsRequired, WrongFieldValue."""
    person = await work.get(Person, person_id)
    await _learn_person(work, person, "person", values, at, {})
    return work.last(person)


async def of_placement(
    work: Work, person_id: UUID, candidacy_id: UUID, values: Values, *, at: datetime | None = None
) -> Person:
    """Raises NoSuchCandidacy, NotPlaced, and as ``of_person``."""
    person = await work.get(Person, person_id)
    found, _ = person.placed(candidacy_id)
    of = {
        "candidacy_id": candidacy_id,
        "company_id": found.company_id,
        "job_order_id": found.job_order_id,
    }
    await _learn_person(work, person, "placement", values, at, of)
    return work.last(person)


async def of_company(
    work: Work,
    company_id: UUID,
    values: Values,
    *,
    job_order_id: UUID | None = None,
    deal_id: UUID | None = None,
    at: datetime | None = None,
) -> Company:
    """Or of a job order or a deal of theirs. Raises NoSuchJobOrder, NoSuchDeal, and as
    ``of_person``."""
    company = await work.get(Company, company_id)
    subject: Subject = "job_order" if job_order_id else "deal" if deal_id else "company"
    of: dict[str, Any] = {"job_order_id": job_order_id, "deal_id": deal_id}
    for field, value in await _checked(work, subject, values):
        if value is None:
            company.learn(FirmFieldCleared(field=field.slug, cleared_at=at, **of), by=work.by)
        else:
            company.learn(FirmFieldSet(**_said(field, value), set_at=at, **of), by=work.by)
    return work.last(company)


async def from_text(work: Work, subject: Subject, slug: str, text: str) -> Values:
    """Of a file. Raises NoSuchField."""
    return {slug: read((await _fields(work, subject)).field(slug), text)}


async def must_not_miss(work: Work, subject: Subject, known: Iterable[str], **of: object) -> None:
    """Raises RequiredFieldsMissing."""
    if await work.has(custom_fields_id(subject)):
        (await _fields(work, subject)).must_not_miss(known, of=subject, **of)


async def must_be_askable(work: Work, subject: Subject, asked: Sequence[FieldIs]) -> None:
    """Criteria that are kept and cannot be read would break the list of all segments. Raises
    NoSuchField, WrongFieldValue."""
    for each in asked:
        field = (await _fields(work, subject)).field(each.field)
        try:
            for value in each.any_of:
                sought(field, value)
            for limit in (each.at_least, each.at_most):
                if limit is not None:
                    bound(field, limit)
        except ValueError as wrong:
            raise WrongFieldValue(wrong=str(wrong)) from None


async def _learn_person(
    work: Work,
    person: Person,
    subject: Subject,
    values: Values,
    at: datetime | None,
    of: dict[str, Any],
) -> None:
    for field, value in await _checked(work, subject, values):
        if value is None:
            person.learn(CustomFieldCleared(field=field.slug, cleared_at=at, **of), by=work.by)
        else:
            person.learn(CustomFieldSet(**_said(field, value), set_at=at, **of), by=work.by)


async def _checked(
    work: Work, subject: Subject, values: Values
) -> list[tuple[CustomFieldDefined, Written | None]]:
    """All of them are right, or none is written."""
    if not values:
        return []
    fields = await _fields(work, subject)
    checked: list[tuple[CustomFieldDefined, Written | None]] = []
    wrong = []
    for slug, value in values.items():
        field = fields.field(slug)
        if value is None:
            if field.required and not field.retired:
                raise FieldIsRequired(custom_field=slug)
            checked.append((field, None))
            continue
        if field.retired:
            raise FieldIsRetired(custom_field=slug)
        try:
            checked.append((field, written(field, value)))
        except ValueError as takes:
            wrong.append(str(takes))
    if wrong:
        raise WrongFieldValue(wrong="; ".join(wrong))
    for field, kept in checked:
        if kept and kept.ref_id:
            try:
                if field.type == "person":
                    await must_be_there(work, kept.ref_id)
                else:
                    await work.get(Company, kept.ref_id)
            except NoSuchRecord:
                named = {f"value_{field.type}_id": kept.ref_id}
                raise NoSuchRecord(custom_field=field.slug, **named) from None
    return checked


async def _fields(work: Work, subject: Subject) -> CustomFields:
    """Raises NoSuchField."""
    id = custom_fields_id(subject)
    if not await work.has(id):
        raise NoSuchField(of=subject, known=[])
    return await work.get(CustomFields, id)


def _said(field: CustomFieldDefined, value: Written) -> dict[str, Any]:
    said = {"text" if field.is_personal else "value": value.text}
    return {"field": field.slug, "type": field.type, "ref_id": value.ref_id, **said}
