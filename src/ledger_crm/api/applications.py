"""/applications, /templates: who applied for what, and what we reply."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import candidacies
from ledger_crm.commands.catalogue import define_template
from ledger_crm.domain.clock import now
from ledger_crm.domain.entry import Instant, Reason, Sealed
from ledger_crm.domain.identity import Source
from ledger_crm.domain.screening import Answers
from ledger_crm.domain.template import Template, TemplateDefined, template_id
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import applications

from .acting import Act, Made, fields
from .pipelines import SlugDiffers
from .reading import NOTHING, Limit, Named, Page, Token, View, position

Stands = Annotated[
    Literal["in_process", "hired", "rejected", "withdrawn", "closed"] | None,
    QueryParameter(description="Only those that are this now."),
]


class NewApplication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """channel  how they came to us
    source   which one of them, by a code of your own list; "" for none in particular
    answers  to the screening questions of the job order
    text     what they wrote with it
    """

    company_id: UUID
    job_order_id: UUID
    at: Instant = msgspec.field(default_factory=now, name="applied_at")
    channel: Source = "website"
    source: Reason = ""
    answers: Answers = ()
    text: Sealed = ""


class Applications(Controller):
    path = "/"
    tags = ("applications",)

    @post("/people/{person_id:uuid}/applications")
    async def add_application(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[NewApplication]
    ) -> Response[Made]:
        """Take an application

        They come to us for an open job order, and answer what it asks. `created` is the candidacy,
        in the first stage of the job order's pipeline; it is moved, rejected with a reason, and
        placed as any other. Who was rejected may apply again."""
        return await act.within(person_id, candidacies.apply, **fields(data))

    @get("/applications")
    async def list_applications(
        self,
        view: NamedDependency[View],
        person_id: FromQuery[UUID | None] = None,
        company_id: FromQuery[UUID | None] = None,
        job_order_id: FromQuery[UUID | None] = None,
        status: Stands = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[applications.ApplicationShown]]:
        """List applications

        With what they answered; the last to apply first. Who was found by us is no applicant, and
        among the candidates only."""
        return await view.page(
            applications.of,
            named=Named(person_id=person_id, company_id=company_id, job_order_id=job_order_id),
            person_id=person_id,
            company_id=company_id,
            job_order_id=job_order_id,
            status=status,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/applications/{candidacy_id:uuid}")
    async def read_application(
        self, view: NamedDependency[View], candidacy_id: FromPath[UUID]
    ) -> Response[applications.ApplicationShown]:
        """Read an application"""
        return await view.one(applications.one, candidacy_id)

    @get("/job-orders/{job_order_id:uuid}/screening")
    async def read_screening(
        self, view: NamedDependency[View], job_order_id: FromPath[UUID]
    ) -> Response[applications.ScreeningShown]:
        """Read the screening questions of a job order

        They are set by a step of the job order (`company.screening_set`)."""
        return await view.one(applications.screening, job_order_id)


class Templates(Controller):
    path = "/templates"
    tags = ("applications",)

    @get()
    async def list_templates(
        self, view: NamedDependency[View]
    ) -> Response[list[applications.TemplateShown]]:
        """List the reply templates

        Those in use, by slug."""
        return await view.answer(applications.listing, NOTHING)

    @get("/{slug:str}")
    async def read_template(
        self, view: NamedDependency[View], slug: FromPath[str]
    ) -> Response[applications.TemplateShown]:
        """Read a reply template"""
        return await view.one(applications.template, slug)

    @put("/{slug:str}")
    async def define_template(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[TemplateDefined]
    ) -> Response[Receipt]:
        """Define a reply template

        New, or the next version of what is there. Its subject and text may hold {{name}},
        {{first_name}}, {{job_order}}, {{company}} and {{consultant}}."""
        return await act.on(template_id(slug), _define, slug, data)

    @get("/{slug:str}/replies/{candidacy_id:uuid}")
    async def write_reply(
        self,
        request: Request[Any, Any, Any],
        view: NamedDependency[View],
        slug: FromPath[str],
        candidacy_id: FromPath[UUID],
    ) -> Response[applications.Reply]:
        """Fill a template for an application

        In the name of the caller. It sends nothing: what you send is recorded as a message sent,
        and refused for whoever is not to be contacted. The client of a confidential job order is
        not named."""
        consultant: str = request.scope["state"]["actor"]
        await view.one(applications.one, candidacy_id)  # if they see it
        return await view.one(
            applications.reply, slug, candidacy_id=candidacy_id, consultant=consultant
        )


async def _define(work: Work, _: UUID, slug: str, definition: TemplateDefined) -> Template:
    """Raises SlugDiffers, UnknownPlaceholder."""
    if definition.slug != slug:
        raise SlugDiffers(slug=definition.slug)
    return await define_template(work, definition)


HANDLERS = [Applications, Templates]
