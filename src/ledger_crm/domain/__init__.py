"""The recruiting domain. ``EVENTS`` is the whole vocabulary: stored name -> class."""

from __future__ import annotations

from typing import Any, get_args

from eventsourcing.utils import register_topic

from . import (
    access,
    application,
    campaign,
    candidacy,
    company,
    consultant,
    custom,
    document,
    engagement,
    equal_opportunity,
    followup,
    identity,
    interaction,
    interview,
    login,
    market,
    merging,
    person,
    pipeline,
    placement,
    pool,
    privacy,
    referral,
    segment,
    shortlist,
    team,
    template,
    webhook,
)
from .entry import (
    Aggregate,
    CompanyFact,
    Event,
    PersonFact,
    kind,
)

AGGREGATES: tuple[type[Aggregate], ...] = (
    person.Person,
    company.Company,
    pipeline.Pipeline,
    pool.Pool,
    campaign.Campaign,
    segment.Segment,
    template.Template,
    equal_opportunity.EqualOpportunityForm,
    custom.CustomFields,
    consultant.ConsultantRecord,
    team.Team,
    access.ApiKey,
    login.Login,
    webhook.Webhook,
)


def vocabulary(*unions: Any) -> dict[str, type[Event]]:
    """Index events and unions of them by stored name. Raises ValueError on a name used twice, and
    on one that says another stream than its class."""
    events: dict[str, type[Event]] = {}
    for event in (member for union in unions for member in get_args(union) or (union,)):
        if events.setdefault(kind(event), event) is not event:
            raise ValueError(f"{kind(event)} is both {events[kind(event)]} and {event}")
        for base, begins in ((PersonFact, "person."), (CompanyFact, "company.")):
            if issubclass(event, base) != kind(event).startswith(begins):
                raise ValueError(f"{kind(event)} and {base.__name__} do not go together")
    return events


EVENTS = vocabulary(
    person.PersonEvents,
    identity.IdentityFacts,
    interaction.Interactions,
    interaction.CompanyInteractions,
    engagement.QuietFacts,
    followup.FollowUps,
    followup.CompanyFollowUps,
    document.DocumentFacts,
    document.FirmDocumentFacts,
    pool.Pooling,
    campaign.CampaignFacts,
    candidacy.CandidacyEvents,
    application.ApplicationFacts,
    placement.PlacementFacts,
    interview.InterviewFacts,
    interview.OfferFacts,
    shortlist.ClientFacts,
    company.CompanyEvents,
    pipeline.PipelineEvents,
    pool.PoolEvents,
    campaign.CampaignEvents,
    segment.SegmentEvents,
    template.TemplateEvents,
    equal_opportunity.EqualOpportunityEvents,
    custom.PersonFields,
    privacy.PrivacyFacts,
    privacy.PersonErased,
    merging.MergeFacts,
    merging.CompanyMergeFacts,
    referral.PersonReferralFacts,
    market.Research,
    custom.CustomFieldEvents,
    consultant.ConsultantEvents,
    team.TeamEvents,
    access.KeyEvents,
    login.LoginEvents,
    webhook.WebhookEvents,
)

for _name, _event in EVENTS.items():
    register_topic(_name, _event)
