"""Campaigns: messages in steps, to people whom somebody enrolled.

define -> revise*                              on the campaign
enroll -> message sent* -> finished | stopped  on each person

Whoever replies, asks us to stop or takes back their consent is stopped at once, in the same entry
of the ledger's; who has had the last step is finished. Nothing is sent from here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec

from .entry import Actor, Aggregate, Event, Instant, PersonFact, Reason, Sealed, Slug, id_of, words
from .interaction import Channel
from .refusals import Conflict

CampaignTitle = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message.

    after_days  since the step before; of the first: since they were enrolled
    template    slug of the reply template that it is written from; None: none
    """

    channel: Channel
    after_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 0
    template: Slug | None = None


class CampaignDefined(Event, frozen=True, kw_only=True, tag="campaign.defined"):
    """What a campaign is called, and its steps; each one replaces the one before, also for those
    who are in it.

    purpose  what it is for, in words that name nobody
    retired  nobody new comes in; who is in goes on
    """

    slug: Slug
    title: CampaignTitle
    purpose: Annotated[str, msgspec.Meta(max_length=500)] = ""
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=20)]
    retired: bool = False

    @property
    def line(self) -> str:
        done = "retired" if self.retired else f"defined, {len(self.steps)} steps"
        return f"campaign {words(self.slug)} {done}"


class CampaignFact(PersonFact, frozen=True, kw_only=True):
    campaign: Slug


class Enrolled(CampaignFact, frozen=True, kw_only=True, tag="person.enrolled"):
    """We mean to write to them, step by step: consent, do-not-contact and off-limits bite here.

    company_id  the client that it is about, if it is about one
    override    why all the same, in the words of the named consultant who did it
    """

    enrolled_at: Instant | None = None
    company_id: UUID | None = None
    override: Sealed = ""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,) if self.company_id else ()

    @property
    def line(self) -> str:
        return f"enrolled in campaign {words(self.campaign)}"


class CampaignFinished(CampaignFact, frozen=True, kw_only=True, tag="person.campaign_finished"):
    """They had all of it, and did not reply."""

    finished_at: Instant | None = None

    @property
    def line(self) -> str:
        return f"campaign {words(self.campaign)} finished"


class CampaignStopped(CampaignFact, frozen=True, kw_only=True, tag="person.campaign_stopped"):
    """Nothing more of it is sent to them.

    reason  ``replied``, ``do_not_contact`` and ``consent_withdrawn`` are written by themselves
    """

    reason: Reason = ""
    stopped_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        why = f": {words(self.reason)}" if self.reason else ""
        return f"campaign {words(self.campaign)} stopped{why}"


CampaignEvents = CampaignDefined
CampaignEnd = CampaignFinished | CampaignStopped
CampaignFacts = Enrolled | CampaignFinished | CampaignStopped


class CampaignIsRetired(Conflict):
    """This campaign is retired: nobody new comes in."""


class NotEnrolled(Conflict):
    """They were not in this campaign when that was sent; enroll them first."""


class Enrolment(msgspec.Struct):
    """``sent``: of its steps."""

    at: datetime
    sent: int = 0


def campaign_id(slug: str) -> UUID:
    return id_of("campaign", slug)


class Campaign(Aggregate):
    TOPIC = "campaign"

    @classmethod
    def define(cls, definition: CampaignDefined, *, by: Actor) -> Self:
        return cls.open(definition, by=by, id=campaign_id(definition.slug))

    def revise(self, definition: CampaignDefined, *, by: Actor) -> None:
        """The same again is a no-op."""
        if definition != self.definition:
            self.enter(definition, by=by)

    def must_be_in_use(self) -> None:
        """Raises CampaignIsRetired."""
        if self.definition.retired:
            raise CampaignIsRetired(campaign=self.definition.slug)

    def apply(self, event: Event) -> None:
        match event:
            case CampaignDefined():
                self.definition = event
