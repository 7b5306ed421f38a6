"""What we learn of a person after the first day: their profile, how they are no longer reached,
what they are called in our own words, and where they work and stopped working.

A fact says only what it changes. Skills and tags differ: a skill is theirs and sealed, a tag is a
word from our own list, and goes out on the feed.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .contact import Point
from .entry import Instant, PersonFact, Reason, Sealed, Slug, words
from .refusals import Invalid, Unknown

Source = Literal[
    "linkedin", "referral", "job_board", "website", "event", "agency", "database", "import", "other"
]
Seniority = Literal["intern", "junior", "mid", "senior", "lead", "head", "executive"]
Role = Literal["employee", "hiring_manager", "hr", "finance", "referrer"]
Clearable = Literal["headline", "address", "location", "skills", "born_on", "seniority"]


SKILL_LETTERS = 80
PROFILE = ("name", "headline", "address", "location", "skills", "born_on")
"""What of a profile is sealed, in the order in which a history tells it."""


class ProfileChanged(PersonFact, frozen=True, kw_only=True, tag="person.profile_changed"):
    """We learned something new of them. What is left out stays as it is.

    location    where they work or want to, in words: a town, a country
    skills      all of them, with commas or line breaks between
    born_on     ISO 8601 day
    cleared     what we thought we knew and no longer do
    changed_at  None: as the entry
    """

    name: Sealed = ""
    headline: Sealed = ""
    address: Sealed = ""
    location: Sealed = ""
    skills: Sealed = ""
    born_on: Sealed = ""
    seniority: Seniority | None = None
    cleared: Annotated[tuple[Clearable, ...], msgspec.Meta(max_length=6)] = ()
    changed_at: Instant | None = None

    @property
    def line(self) -> str:
        clear = [f"seniority {self.seniority}"] if self.seniority else []
        clear += [f"{words(name)} no longer known" for name in self.cleared]
        return "profile changed" + (f": {', '.join(clear)}" if clear else "")

    @property
    def told(self) -> str:
        known = ((name, getattr(self, name)) for name in PROFILE)
        return "\n".join(f"{words(name)}: {value}" for name, value in known if value)


class ContactPointRemoved(
    PersonFact, frozen=True, kw_only=True, tag="person.contact_point_removed"
):
    """They are no longer reached there, or never were. Somebody else may have it now."""

    point: Point
    value: Sealed
    reason: Reason = ""
    removed_at: Instant | None = None

    @property
    def releases(self) -> tuple[tuple[str, str], ...]:
        return ((self.point, self.value),)

    @property
    def line(self) -> str:
        return f"{self.point} removed" + (f": {words(self.reason)}" if self.reason else "")


class ContactPointPreferred(
    PersonFact, frozen=True, kw_only=True, tag="person.contact_point_preferred"
):
    """Of its kind, this is the one to use first."""

    point: Point
    value: Sealed
    preferred_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"{self.point} made primary"


class PersonTagged(PersonFact, frozen=True, kw_only=True, tag="person.tagged"):
    """One of our own words for them."""

    tag: Slug
    tagged_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"tagged {words(self.tag)}"


class PersonUntagged(PersonFact, frozen=True, kw_only=True, tag="person.untagged"):
    """It no longer fits them."""

    tag: Slug
    untagged_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"no longer tagged {words(self.tag)}"


class Employed(PersonFact, frozen=True, kw_only=True, tag="person.employed"):
    """They work at a company: as anybody, or as somebody who matters to us there."""

    company_id: UUID
    title: Sealed = ""
    role: Role = "employee"
    starts_on: date | None = None
    ends_on: date | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,)

    @property
    def line(self) -> str:
        return f"employed as {words(self.role)}"

    @property
    def told(self) -> str:
        return self.title


class EmploymentEnded(PersonFact, frozen=True, kw_only=True, tag="person.employment_ended"):
    """They leave a company, in all that they are there.

    ends_on  their last day; it may lie ahead
    """

    company_id: UUID
    ends_on: date
    reason: Reason = ""
    text: Sealed = ""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,)

    @property
    def line(self) -> str:
        why = f": {words(self.reason)}" if self.reason else ""
        return f"employment ends on {self.ends_on}{why}"


Tags = PersonTagged | PersonUntagged
PointChanges = ContactPointRemoved | ContactPointPreferred
IdentityFacts = ProfileChanged | PointChanges | Tags | EmploymentEnded


class NothingChanged(Invalid):
    """A change of profile says at least one thing, and does not clear what it sets."""

    field = "cleared"


class NoSuchContactPoint(Unknown):
    """This person is not reached there."""


class NotEmployed(Unknown):
    """This person does not work at this company, or has ended there already."""


def skills_of(text: str) -> list[str]:
    """One by one, as they are counted and looked for: without capitals, each once, and cut where
    no skill has more letters; an index takes no longer ones."""
    found = (" ".join(skill.split()).casefold() for skill in text.replace("\n", ",").split(","))
    return list(dict.fromkeys(skill[:SKILL_LETTERS].rstrip() for skill in found if skill))
