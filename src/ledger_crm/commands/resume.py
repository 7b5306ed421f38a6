"""JSON Resume (jsonresume.org, schema 1.0.0): what a CV says, onto the record and off it.

What has a place on the record goes there; the whole of it is kept as a document, so that nothing
that it says is lost. Employers are no companies of ours yet, so work stays in the document.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from ledger_crm.domain.contact import NotAPhoneNumber, Point, normalised
from ledger_crm.domain.identity import ProfileChanged
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Receipt, Work
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
    """What we read of a JSON Resume, and what we write; other parts may be there. Without
    ``basics`` it is something else."""

    schema: str = msgspec.field(default="", name="$schema")
    basics: Basics
    work: tuple[Job, ...] = ()
    skills: tuple[Skill, ...] = ()

    @property
    def points(self) -> list[tuple[Point, str]]:
        """As they are written on the record; not a phone that cannot be dialled from elsewhere: one
        without its country's code, in a resume that names no country. Raises NotAnEmailAddress,
        NotAnAddressOnTheWeb."""
        basics = self.basics
        every: list[tuple[Point, str]] = [("email", basics.email)]
        every += [("url", url) for url in (basics.url, *(p.url for p in basics.profiles))]
        found = [(point, normalised(point, value)) for point, value in every if value.strip()]
        return [*found, ("phone", self.phone)] if self.phone else found

    @property
    def phone(self) -> str:
        """ "": there is none, or it cannot be told which it is."""
        written = self.basics.phone
        try:
            region = self.basics.location.country_code
            return normalised("phone", written, region=region) if written.strip() else ""
        except NotAPhoneNumber:
            return ""

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


class Taken(Receipt, frozen=True):
    """A receipt for a resume.

    only_kept  JSON Pointers (RFC 6901) of what is in the document that was kept, and not on the
               record: it has no place there, or it cannot be told what it means
    """

    only_kept: list[str]


OF_BASICS = {"name", "label", "email", "phone", "url", "location", "profiles"}


def only_kept(resume: Resume, whole: bytes) -> list[str]:
    document = msgspec.json.decode(whole)
    found = [f"/basics/{name}" for name in document["basics"] if name not in OF_BASICS]
    if resume.basics.phone.strip() and not resume.phone:
        found.append("/basics/phone")
    found += [f"/{name}" for name in document if name not in ("$schema", "basics", "skills")]
    return sorted(each.replace("~", "~0") for each in found)


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
