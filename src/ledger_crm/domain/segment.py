"""What somebody looks for in people, or in companies: criteria that are typed, and so can be kept,
shown and asked again; never a query in words of a database.

    save -> save*

Who is in a segment is computed when it is asked for; a pool is where people are put by hand.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

import msgspec

from .custom import Scalar
from .entry import Actor, Aggregate, Event, Slug, Somebody, Words, id_of, words
from .identity import SKILL_LETTERS, Seniority, Source
from .refusals import Invalid

Skill = Annotated[str, msgspec.Meta(min_length=1, max_length=SKILL_LETTERS)]
Few = msgspec.Meta(max_length=20)
Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]
Employees = Annotated[int, msgspec.Meta(ge=0, le=10**8)]
AccountStatus = Literal["prospect", "qualified", "active", "repeat", "quiet", "former"]


class FieldIs(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What a custom field is known to be; all that is given has to hold.

    any_of             one of these; of text: words, or parts of words
    at_least, at_most  of a number, a day, or money in the same currency
    known              whether anything is known at all
    """

    field: Slug
    any_of: Annotated[tuple[Scalar, ...], Few] = ()
    at_least: Scalar | None = None
    at_most: Scalar | None = None
    known: bool | None = None


class InAddress(FieldIs, frozen=True, kw_only=True):
    """Asked for in the address of a request, which proxies log."""


class Criteria(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What people have in common; every criterion that is given has to hold.

    tags             all of these
    skills           all of these, in capitals or not
    seniority        one of these
    location         words, or parts of words, of where they work or want to
    channels         found by one of these
    stages           in one of these stages of a pipeline now
    pools            in all of these
    contactable      whether we may contact them: consent is not withdrawn or over, and nobody set
                     do-not-contact
    custom           what these custom fields of people are
    silent_days      nothing passed between us for so many days, or never did
    in_touch_days    something passed between us within so many days
    """

    tags: Annotated[tuple[Slug, ...], Few] = ()
    skills: Annotated[tuple[Skill, ...], Few] = ()
    seniority: Annotated[tuple[Seniority, ...], Few] = ()
    location: Annotated[str, msgspec.Meta(max_length=200)] = ""
    channels: Annotated[tuple[Source, ...], Few] = ()
    stages: Annotated[tuple[Slug, ...], Few] = ()
    pools: Annotated[tuple[Slug, ...], Few] = ()
    contactable: bool | None = None
    silent_days: Days | None = None
    in_touch_days: Days | None = None
    custom: Annotated[tuple[FieldIs, ...], Few] = ()


class CompanyCriteria(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What companies have in common; every criterion that is given has to hold.

    tags             all of these
    industries       one of these, in capitals or not
    location         words, or parts of words, of where they are
    owners           one of these of us answers for them
    statuses         what the account is by now, one of these: derived, as /accounts tells it
    employees_at_least, employees_at_most
    custom           what these custom fields of companies are
    silent_days      nothing passed between us for so many days, or never did
    in_touch_days    something passed between us within so many days
    """

    tags: Annotated[tuple[Slug, ...], Few] = ()
    industries: Annotated[tuple[Words, ...], Few] = ()
    location: Annotated[str, msgspec.Meta(max_length=200)] = ""
    owners: Annotated[tuple[Somebody, ...], Few] = ()
    statuses: Annotated[tuple[AccountStatus, ...], Few] = ()
    employees_at_least: Employees | None = None
    employees_at_most: Employees | None = None
    silent_days: Days | None = None
    in_touch_days: Days | None = None
    custom: Annotated[tuple[FieldIs, ...], Few] = ()


class Saved(Event, frozen=True, kw_only=True):
    """Criteria under a name; each one replaces the one before.

    cadence_days  who is in it has gone quiet if nothing passes between us for so long
    retired       it is no longer listed
    """

    slug: Slug
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    criteria: Criteria | CompanyCriteria
    cadence_days: Days = 90
    retired: bool = False

    @property
    def stream_id(self) -> UUID:
        raise NotImplementedError

    @property
    def done(self) -> str:
        return "retired" if self.retired else "saved"


class SegmentSaved(Saved, frozen=True, kw_only=True, tag="segment.saved"):
    """Criteria of people under a name; each one replaces the one before.

    cadence_days  who is in it has gone quiet if nothing passes between us for so long
    retired       it is no longer listed
    """

    criteria: Criteria

    @property
    def stream_id(self) -> UUID:
        return segment_id(self.slug)

    @property
    def line(self) -> str:
        return f"segment {words(self.slug)} {self.done}"


class CompanySegmentSaved(Saved, frozen=True, kw_only=True, tag="segment.of_companies_saved"):
    """Criteria of companies under a name; each one replaces the one before. People have names of
    their own: the same one may be both.

    cadence_days  a company in it has gone quiet if nothing passes between us for so long
    retired       it is no longer listed
    """

    criteria: CompanyCriteria

    @property
    def stream_id(self) -> UUID:
        return company_segment_id(self.slug)

    @property
    def line(self) -> str:
        return f"segment {words(self.slug)} of companies {self.done}"


SegmentEvents = SegmentSaved | CompanySegmentSaved


class NoCriteria(Invalid):
    """A segment needs at least one criterion: without one it is everybody."""

    field = "criteria"


def segment_id(slug: str) -> UUID:
    return id_of("segment", slug)


def company_segment_id(slug: str) -> UUID:
    return id_of("company_segment", slug)


class Segment(Aggregate):
    TOPIC = "segment"

    @classmethod
    def begin(cls, definition: SegmentEvents, *, by: Actor) -> Self:
        """Raises NoCriteria."""
        _must_narrow(definition)
        return cls.open(definition, by=by, id=definition.stream_id)

    def save(self, definition: SegmentEvents, *, by: Actor) -> None:
        """The same again is a no-op. Raises NoCriteria."""
        _must_narrow(definition)
        if definition != self.definition:
            self.enter(definition, by=by)

    def apply(self, event: Event) -> None:
        match event:
            case SegmentSaved() | CompanySegmentSaved():
                self.definition = event


def _must_narrow(definition: SegmentEvents) -> None:
    if definition.criteria == type(definition.criteria)():
        raise NoCriteria()
