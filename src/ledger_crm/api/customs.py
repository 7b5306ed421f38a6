"""/custom-fields: what an agency asks beside what we ask for; values are set where they belong."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ledger_crm.commands import customising
from ledger_crm.domain.custom import (
    CustomFieldDefined,
    CustomFields,
    Subject,
    Value,
    custom_fields_id,
)
from ledger_crm.domain.entry import Instant, Slug
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import directory

from .acting import Act
from .pipelines import SlugDiffers
from .reading import NOTHING, View


class CustomValues(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """values  by field, each of its field's type: text, a number, `{"amount_cents", "currency"}`, a
            day like 2026-12-31, a choice, a list of choices, an id; null: no longer known
    set_at  when we learned it; left out: now
    """

    values: Annotated[dict[Slug, Value | None], msgspec.Meta(min_length=1, max_length=50)]
    set_at: Instant | None = None


class CustomFieldsOf(Controller):
    path = "/custom-fields"
    tags = ("custom fields",)

    @get()
    async def list_custom_fields(
        self, view: NamedDependency[View], subject: FromQuery[Subject | None] = None
    ) -> Response[list[directory.FieldShown]]:
        """List the custom fields

        Of everything, or of people, companies, job orders, deals or placements; retired ones
        too."""
        return await view.answer(directory.custom_fields, NOTHING, subject=subject)

    @get("/{subject:str}/{slug:str}")
    async def read_custom_field(
        self, view: NamedDependency[View], subject: FromPath[str], slug: FromPath[str]
    ) -> Response[directory.FieldShown]:
        """Read a custom field"""
        return await view.one(directory.custom_field, slug, subject=subject)

    @put("/{subject:str}/{slug:str}")
    async def define_custom_field(
        self,
        act: NamedDependency[Act],
        subject: FromPath[str],
        slug: FromPath[str],
        data: JSONBody[CustomFieldDefined],
    ) -> Response[Receipt]:
        """Define a custom field

        New, or in place of what it was: another label, more choices, required or not, retired. It
        keeps its type, its choices, and whether it is personal."""
        return await act.on(custom_fields_id(subject), _define, subject, slug, data)


class Values(Controller):
    path = "/"
    tags = ("custom fields",)

    @post("/people/{person_id:uuid}/custom-fields")
    async def set_person_fields(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[CustomValues]
    ) -> Response[Receipt]:
        """Set custom fields of a person

        All of them or, if one is wrong, none. What is so already changes nothing."""
        return await act.on(person_id, customising.of_person, data.values, at=data.set_at)

    @post("/people/{person_id:uuid}/candidacies/{candidacy_id:uuid}/custom-fields")
    async def set_placement_fields(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[CustomValues],
    ) -> Response[Receipt]:
        """Set custom fields of a placement

        All of them or, if one is wrong, none."""
        return await act.on(
            person_id, customising.of_placement, candidacy_id, data.values, at=data.set_at
        )

    @post("/companies/{company_id:uuid}/custom-fields")
    async def set_company_fields(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[CustomValues]
    ) -> Response[Receipt]:
        """Set custom fields of a company

        All of them or, if one is wrong, none."""
        return await act.on(company_id, customising.of_company, data.values, at=data.set_at)

    @post("/companies/{company_id:uuid}/job-orders/{job_order_id:uuid}/custom-fields")
    async def set_job_order_fields(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        job_order_id: FromPath[UUID],
        data: JSONBody[CustomValues],
    ) -> Response[Receipt]:
        """Set custom fields of a job order

        All of them or, if one is wrong, none."""
        return await act.on(
            company_id,
            customising.of_company,
            data.values,
            job_order_id=job_order_id,
            at=data.set_at,
        )

    @post("/companies/{company_id:uuid}/deals/{deal_id:uuid}/custom-fields")
    async def set_deal_fields(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        deal_id: FromPath[UUID],
        data: JSONBody[CustomValues],
    ) -> Response[Receipt]:
        """Set custom fields of a deal

        All of them or, if one is wrong, none."""
        return await act.on(
            company_id, customising.of_company, data.values, deal_id=deal_id, at=data.set_at
        )


async def _define(
    work: Work, _: UUID, subject: str, slug: str, definition: CustomFieldDefined
) -> CustomFields:
    """Raises SlugDiffers, and as ``customising.define``."""
    if (definition.subject, definition.slug) != (subject, slug):
        raise SlugDiffers(slug=definition.slug, subject=definition.subject)
    return await customising.define(work, definition)


HANDLERS: list[Any] = [CustomFieldsOf, Values]
