"""What we learn of a company after the first day: its profile, under which domains it writes, whom
it belongs to, who of us answers for it, and what it is called in our own words."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from .entry import (
    CompanyFact,
    Instant,
    Reservation,
    Slug,
    Somebody,
    Title,
    Words,
    words,
)
from .refusals import Conflict, Invalid, Unknown


class DomainTaken(Conflict):
    """Another company has this domain: it is probably the same company."""


class FirmProfileChanged(CompanyFact, frozen=True, kw_only=True, tag="company.profile_changed"):
    """We learned something new of them. What is left out stays as it is; "" is no longer known.

    employees   how many, about
    changed_at  None: as the entry
    """

    name: Title | None = None
    industry: Words | None = None
    specialty: Words | None = None
    location: Words | None = None
    founded: Words | None = None
    website: Words | None = None
    employees: Annotated[int, msgspec.Meta(ge=0, le=10**8)] | None = None
    changed_at: Instant | None = None

    @property
    def changes(self) -> tuple[str, ...]:
        """Names of what it changes."""
        names = (n for n in self.__struct_fields__ if n != "changed_at")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def line(self) -> str:
        known = ((words(name), getattr(self, name)) for name in self.changes)
        told = [f"{name} no longer known" if v == "" else f"{name} {v}" for name, v in known]
        return f"profile changed: {', '.join(told) or 'nothing'}"


class DomainAdded(CompanyFact, frozen=True, kw_only=True, tag="company.domain_added"):
    """They write from there too, and nobody else does.

    domain  in the one form of ``domain.contact``
    """

    domain: Words
    added_at: Instant | None = None

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("domain", self.domain, DomainTaken),)

    @property
    def line(self) -> str:
        return f"domain added: {self.domain}"


class DomainRemoved(CompanyFact, frozen=True, kw_only=True, tag="company.domain_removed"):
    """It is no longer theirs. Another company may have it now."""

    domain: Words
    removed_at: Instant | None = None

    @property
    def releases(self) -> tuple[tuple[str, str], ...]:
        return (("domain", self.domain),)

    @property
    def line(self) -> str:
        return f"domain removed: {self.domain}"


class ParentNamed(CompanyFact, frozen=True, kw_only=True, tag="company.parent_named"):
    """They belong to another company. None: to nobody."""

    parent_id: UUID | None = None
    named_at: Instant | None = None

    @property
    def line(self) -> str:
        return "belongs to another company" if self.parent_id else "belongs to nobody"


class OwnerAssigned(CompanyFact, frozen=True, kw_only=True, tag="company.owner_assigned"):
    """Who of us answers for them; "" for nobody."""

    owner: Somebody
    assigned_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"owned by {self.owner}" if self.owner else "owned by nobody"


class FirmTagged(CompanyFact, frozen=True, kw_only=True, tag="company.tagged"):
    """One of our own words for them."""

    tag: Slug
    tagged_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"tagged {words(self.tag)}"


class FirmUntagged(CompanyFact, frozen=True, kw_only=True, tag="company.untagged"):
    """It no longer fits them."""

    tag: Slug
    untagged_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"no longer tagged {words(self.tag)}"


FirmChanges = (
    FirmProfileChanged
    | DomainAdded
    | DomainRemoved
    | ParentNamed
    | OwnerAssigned
    | FirmTagged
    | FirmUntagged
)


class NoSuchDomain(Unknown):
    """This company has no such domain."""


class OwnAncestor(Invalid):
    """A company belongs neither to itself nor to one that belongs to it."""

    field = "parent_id"
