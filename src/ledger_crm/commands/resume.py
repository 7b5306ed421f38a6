"""JSON Resume (jsonresume.org, schema 1.0.0): what a CV says, onto the record and off it.

What has a place on the record goes there; the whole of it is kept as a document, so that nothing
that it says is lost. Employers are no companies of ours yet, so work stays in the document.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from ledger_crm.domain.contact import Point
from ledger_crm.domain.identity import ProfileChanged
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Work
from ledger_crm.vault import Vault

from .documents import NewDocument, add_document

SCHEMA = "https://raw.githubusercontent.com/jsonresume/resume-schema/v1.0.0/schema.json"


class Place(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    address: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    country_code: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    network: str = ""
    username: str = ""
    url: str = ""


class Basics(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str = ""
    label: str = ""
    email: str = ""
    phone: str = ""
    url: str = ""
    location: Place = Place()
    profiles: tuple[Profile, ...] = ()


class Job(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    name: str = ""
    position: str = ""
    start_date: str = ""
    end_date: str = ""


class Skill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str = ""
    keywords: tuple[str, ...] = ()


class Resume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What we read of a JSON Resume, and what we write; other parts may be there."""

    schema: str = msgspec.field(default="", name="$schema")
    basics: Basics = Basics()
    work: tuple[Job, ...] = ()
    skills: tuple[Skill, ...] = ()

    @property
    def points(self) -> list[tuple[Point, str]]:
        basics = self.basics
        every: list[tuple[Point, str]] = [("email", basics.email), ("phone", basics.phone)]
        every += [("url", url) for url in (basics.url, *(p.url for p in basics.profiles))]
        return [(point, value) for point, value in every if value.strip()]

    @property
    def profile(self) -> ProfileChanged:
        at = self.basics.location
        skills = [word for skill in self.skills for word in (skill.name, *skill.keywords) if word]
        return ProfileChanged(
            name=self.basics.name.strip(),
            headline=self.basics.label,
            address=", ".join(part for part in (at.address, at.postal_code) if part),
            location=", ".join(part for part in (at.city, at.region, at.country_code) if part),
            skills="\n".join(skills),
        )


async def import_resume(
    work: Work, person_id: UUID, resume: Resume, whole: bytes, vault: Vault
) -> Person:
    """Raises NoSuchRecord, DocumentThere, NotAnEmailAddress and its like; when written,
    ContactPointTaken."""
    person = await work.get(Person, person_id)
    for point, value in resume.points:
        person.add_contact_point(point, value, by=work.by)
    if resume.profile != ProfileChanged():
        person.change_profile(resume.profile, by=work.by)
    document = NewDocument(
        name="resume.json", purpose="cv", media_type="application/json", content=whole
    )
    return await add_document(work, person_id, document, vault)
