"""/campaigns: messages in steps, who is in each, and what they are to be sent next."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from ledger_crm.commands import intake
from ledger_crm.commands.catalogue import define_campaign
from ledger_crm.domain.campaign import Campaign, CampaignDefined, CampaignFacts, campaign_id
from ledger_crm.ledger import Receipt, Work
from ledger_crm.projections import campaigns

from .acting import Act
from .pipelines import SlugDiffers
from .reading import NOTHING, Limit, Named, Page, Token, View, position

OfStatus = Annotated[
    campaigns.Status | None, QueryParameter(description="Only whose enrolment is that.")
]
DueOn = Annotated[
    date | None, QueryParameter(description="Only whose next step is due by this day, in UTC.")
]


class Campaigns(Controller):
    path = "/campaigns"
    tags = ("campaigns",)

    @get()
    async def list_campaigns(
        self, view: NamedDependency[View]
    ) -> Response[list[campaigns.CampaignShown]]:
        """List the campaigns

        With their steps, and how many people are where, by slug."""
        return await view.answer(campaigns.listing, NOTHING)

    @get("/{slug:str}")
    async def read_campaign(
        self, view: NamedDependency[View], slug: FromPath[str]
    ) -> Response[campaigns.CampaignShown]:
        """Read a campaign"""
        return await view.one(campaigns.one, slug)

    @put("/{slug:str}")
    async def define_campaign(
        self, act: NamedDependency[Act], slug: FromPath[str], data: JSONBody[CampaignDefined]
    ) -> Response[Receipt]:
        """Define a campaign

        New, or the next version of what is there, also for those who are in it. A retired one takes
        nobody in."""
        return await act.on(campaign_id(slug), _define, slug, data)

    @get("/{slug:str}/people")
    async def list_campaign_people(
        self,
        view: NamedDependency[View],
        slug: FromPath[str],
        status: OfStatus = None,
        due_on: DueOn = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[campaigns.Participant]]:
        """List who is in a campaign

        What each had and what is next, and when; the last to be enrolled first. `due_on`: who is to
        be written to."""
        return await view.page(
            campaigns.people_in,
            slug,
            status=status,
            due_on=due_on,
            there=(campaigns.one, slug),
            cursor=cursor,
            limit=limit,
            at=position,
        )


class OfPeople(Controller):
    path = "/people/{person_id:uuid}/campaigns"
    tags = ("campaigns",)

    @get()
    async def list_person_campaigns(
        self, view: NamedDependency[View], person_id: FromPath[UUID]
    ) -> Response[list[campaigns.Participant]]:
        """List the campaigns that a person is or was in

        Of each the last time."""
        return await view.answer(campaigns.of_person, Named(person_id=person_id), person_id)

    @post()
    async def enroll_person(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[CampaignFacts]
    ) -> Response[Receipt]:
        """Enroll in a campaign, or end it

        By its `kind`. What is so already changes nothing. A message that is sent with `campaign` is
        the next step; after the last one it is finished, and a reply stops it."""
        return await act.on(person_id, intake.campaign, data)


async def _define(work: Work, _: UUID, slug: str, definition: CampaignDefined) -> Campaign:
    """Raises SlugDiffers, NoSuchRecord."""
    if definition.slug != slug:
        raise SlugDiffers(slug=definition.slug)
    return await define_campaign(work, definition)


HANDLERS = [Campaigns, OfPeople]
