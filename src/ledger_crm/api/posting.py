"""A job order as a JobPosting (https://schema.org/JobPosting), for whoever publishes it."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from ledger_crm.domain.fee import DIGITS
from ledger_crm.projections.companies import JobOrderListed


class Typed(msgspec.Struct, frozen=True, kw_only=True, tag_field="@type", omit_defaults=True):
    """What schema.org calls a thing."""


class Organization(Typed, frozen=True, kw_only=True, tag=True):
    name: str


class PostalAddress(Typed, frozen=True, kw_only=True, tag=True):
    address_locality: str = msgspec.field(name="addressLocality")


class Place(Typed, frozen=True, kw_only=True, tag=True):
    address: PostalAddress


class QuantitativeValue(Typed, frozen=True, kw_only=True, tag=True):
    low: float | None = msgspec.field(default=None, name="minValue")
    high: float | None = msgspec.field(default=None, name="maxValue")
    unit: Literal["YEAR"] = msgspec.field(name="unitText")


class MonetaryAmount(Typed, frozen=True, kw_only=True, tag=True):
    currency: str
    value: QuantitativeValue


class PropertyValue(Typed, frozen=True, kw_only=True, tag=True):
    name: str
    value: str


class JobPosting(Typed, frozen=True, kw_only=True, tag=True):
    """organization  its name, or "confidential", as search engines want it"""

    context: Literal["https://schema.org/"] = msgspec.field(name="@context")
    title: str
    description: str
    identifier: PropertyValue
    posted_on: date = msgspec.field(name="datePosted")
    organization: Organization | Literal["confidential"] = msgspec.field(name="hiringOrganization")
    openings: int = msgspec.field(name="totalJobOpenings")
    skills: list[str] = []
    place: Place | None = msgspec.field(default=None, name="jobLocation")
    salary: MonetaryAmount | None = msgspec.field(default=None, name="baseSalary")


def posting_of(order: JobOrderListed) -> JobPosting:
    hidden = order.confidential
    return JobPosting(
        context="https://schema.org/",
        title=order.title,
        description="\n".join([order.title, *order.must_haves]),
        identifier=PropertyValue(name="job order", value=str(order.id)),
        posted_on=order.opened_at.date(),
        organization="confidential" if hidden else Organization(name=order.company),
        openings=order.openings - order.found,
        skills=order.must_haves,
        place=Place(address=PostalAddress(address_locality=order.location))
        if order.location
        else None,
        salary=_salary(order),
    )


def _salary(order: JobOrderListed) -> MonetaryAmount | None:
    if not (order.salary_from_cents or order.salary_to_cents):
        return None
    unit = 10 ** DIGITS.get(order.currency, 2)
    value = QuantitativeValue(
        low=order.salary_from_cents / unit if order.salary_from_cents else None,
        high=order.salary_to_cents / unit if order.salary_to_cents else None,
        unit="YEAR",
    )
    return MonetaryAmount(currency=order.currency, value=value)
