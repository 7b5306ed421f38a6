"""/people/{person_id}/resumes: JSON Resume, in and out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ledger_crm.commands.documents import leaving_nothing
from ledger_crm.commands.resume import (
    SCHEMA,
    Basics,
    Job,
    Place,
    Profile,
    Resume,
    Skill,
    Taken,
    import_resume,
    only_kept,
)
from ledger_crm.ledger import Ledger, Receipt
from ledger_crm.projections import people
from ledger_crm.vault import Vault

from .acting import Act
from .reading import View


class Resumes(Controller):
    path = "/people/{person_id:uuid}"
    tags = ("documents",)

    @post("/resumes")
    async def import_resume(
        self,
        request: Request[Any, Any, Any],
        act: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        person_id: FromPath[UUID],
        data: JSONBody[Resume],
    ) -> Response[Taken]:
        """Take in a JSON Resume

        Name, label, place, skills and contact points go onto the record; the whole of it is kept
        as a document, and `only_kept` says what is nowhere else. A phone without its country's
        code is of the country of `basics.location.countryCode`."""
        whole = await request.body()
        async with leaving_nothing(ledger, vault, person_id) as vault:
            answer = await act.on(person_id, import_resume, data, whole, vault)
        if not isinstance(answer.content, Receipt):
            return answer  # of a dry run
        found: Receipt = answer.content
        taken = Taken(found.id, found.version, found.position, only_kept(data, whole))
        return Response(taken, headers=dict(answer.headers))

    @get("/resume")
    async def export_resume(
        self, view: NamedDependency[View], person_id: FromPath[UUID]
    ) -> Response[Resume]:
        """Write a JSON Resume

        Of what is on the record."""
        answer = await view.one(people.card, person_id)
        return Response(_of(answer.content), headers=dict(answer.headers))


def _of(person: people.PersonShown) -> Resume:
    def first(point: str) -> str:
        return next((reach.value for reach in person.contact_points if reach.point == point), "")

    others = [reach.value for reach in person.contact_points if reach.point == "url"][1:]
    skills = [skill.strip() for skill in person.skills.replace("\n", ",").split(",")]
    return Resume(
        schema=SCHEMA,
        basics=Basics(
            name=person.name,
            label=person.headline,
            email=first("email"),
            phone=first("phone"),
            url=first("url"),
            location=Place(address=person.address, city=person.location),
            profiles=tuple(Profile(url=url) for url in others),
        ),
        work=tuple(
            Job(
                name=job.company,
                position=job.title,
                start_date=job.starts_on.isoformat() if job.starts_on else "",
                end_date=job.ends_on.isoformat() if job.ends_on else "",
            )
            for job in person.employments
        ),
        skills=tuple(Skill(name=skill) for skill in skills if skill),
    )


HANDLERS = [Resumes]
