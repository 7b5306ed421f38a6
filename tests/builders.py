"""Facts with everything set that a test does not care about, and strategies for any fact."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from ledger_crm.domain import candidacy as c
from ledger_crm.domain import company as co
from ledger_crm.domain import deal as d
from ledger_crm.domain import fee, merging, privacy
from ledger_crm.domain import firm as f
from ledger_crm.domain import interview as i
from ledger_crm.domain import invoice as inv
from ledger_crm.domain import joborder as jo
from ledger_crm.domain import market as mk
from ledger_crm.domain import permission as p
from ledger_crm.domain import placement as pl
from ledger_crm.domain import referral as rf
from ledger_crm.domain import screening as sc
from ledger_crm.domain import shortlist as sl
from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.application import Applied, ScreeningAnswered
from ledger_crm.domain.campaign import (
    CampaignDefined,
    CampaignFinished,
    CampaignStopped,
    Enrolled,
    Step,
)
from ledger_crm.domain.candidate import candidacy_id
from ledger_crm.domain.consultant import (
    ConsultantAdded,
    ConsultantLeft,
    ConsultantRenamed,
    ConsultantReturned,
)
from ledger_crm.domain.custom import (
    Choice,
    CustomFieldCleared,
    CustomFieldDefined,
    CustomFieldSet,
    FirmFieldCleared,
    FirmFieldSet,
)
from ledger_crm.domain.document import (
    DocumentAdded,
    DocumentRemoved,
    FirmDocumentAdded,
    FirmDocumentRemoved,
)
from ledger_crm.domain.engagement import CompanyQuietSnoozed, PersonQuietSnoozed
from ledger_crm.domain.entry import Event
from ledger_crm.domain.equal_opportunity import Answers, EqualOpportunityAnswered, packed
from ledger_crm.domain.followup import (
    CompanyFollowUpDone,
    CompanyFollowUpPromised,
    CompanyFollowUpSnoozed,
    FollowUpDone,
    FollowUpPromised,
    FollowUpSnoozed,
)
from ledger_crm.domain.identity import (
    ContactPointPreferred,
    ContactPointRemoved,
    Employed,
    EmploymentEnded,
    PersonTagged,
    PersonUntagged,
    ProfileChanged,
)
from ledger_crm.domain.interaction import (
    CallHeld,
    CompanyCalled,
    CompanyNoted,
    LinkClicked,
    MeetingHeld,
    MessageBounced,
    MessageOpened,
    MessageReplied,
    MessageSent,
    NoAnswerNeeded,
    NoteWritten,
)
from ledger_crm.domain.person import ContactPointAdded, PersonSourced
from ledger_crm.domain.pipeline import SALES, TALENT, Pipeline, PipelineDefined, Stage
from ledger_crm.domain.pool import PersonPooled, PersonUnpooled, PoolDefined
from ledger_crm.domain.segment import (
    CompanyCriteria,
    CompanySegmentSaved,
    Criteria,
    SegmentSaved,
)
from ledger_crm.domain.team import TeamDefined, TeamJoined, TeamLeft
from ledger_crm.domain.template import TemplateDefined
from ledger_crm.domain.webhook import WebhookAdded, WebhookSecretRenewed
from scenario import COMPANY, LATER, NOON, PERSON, folded

ORDER = UUID(int=0x01)
DOCUMENT = UUID(int=0xD0C)
FOLLOW_UP = UUID(int=0xF0)
DEAL = UUID(int=0xD1)
AGREEMENT = UUID(int=0xF1)
INVOICE = UUID(int=0xE1)
INTERVIEW = UUID(int=0xE01)
OFFER = UUID(int=0xF01)
SHORTLIST = UUID(int=0x51)
LINK = UUID(int=0x71)
OTHER_COMPANY = UUID(int=0xC2)
OTHER_PERSON = CONTACT = UUID(int=0xA2)
HOLD = UUID(int=0x7A)
CANDIDACY = candidacy_id(PERSON, ORDER)
TODAY, TOMORROW = NOON.date(), LATER.date()

WHERE: dict[str, Any] = {
    "candidacy_id": CANDIDACY,
    "company_id": COMPANY,
    "job_order_id": ORDER,
}


def talent(*stages: Stage) -> Pipeline:
    """The candidates' pipeline, as shipped or of these stages."""
    definition = TALENT if not stages else defined(*stages)
    return folded(Pipeline, definition)  # type: ignore[no-any-return]


def sales() -> Pipeline:
    return folded(Pipeline, SALES)  # type: ignore[no-any-return]


def defined(*stages: Stage, **changes: Any) -> PipelineDefined:
    fields: dict[str, Any] = {"slug": "talent", "title": "Talent", "subject": "candidate"}
    return PipelineDefined(**fields | {"stages": stages or TALENT.stages} | changes)


# a person


def sourced(**changes: Any) -> PersonSourced:
    return PersonSourced(**{"name": "Ada Byron", "channel": "linkedin"} | changes)


def point(value: str = "ada@example.org", **changes: Any) -> ContactPointAdded:
    return ContactPointAdded(**{"point": "email", "value": value} | changes)


def employed(**changes: Any) -> Employed:
    return Employed(**{"company_id": COMPANY, "title": "CTO", "role": "hiring_manager"} | changes)


def profile(**changes: Any) -> ProfileChanged:
    return ProfileChanged(**changes or {"skills": "Python, Mathematics"})


def removed(value: str = "ada@example.org", **changes: Any) -> ContactPointRemoved:
    return ContactPointRemoved(**{"point": "email", "value": value} | changes)


def preferred(value: str = "ada@example.org", **changes: Any) -> ContactPointPreferred:
    return ContactPointPreferred(**{"point": "email", "value": value} | changes)


def tagged(tag: str = "speaker", **changes: Any) -> PersonTagged:
    return PersonTagged(tag=tag, **changes)


def untagged(tag: str = "speaker", **changes: Any) -> PersonUntagged:
    return PersonUntagged(tag=tag, **changes)


def employment_ended(**changes: Any) -> EmploymentEnded:
    return EmploymentEnded(**{"company_id": COMPANY, "ends_on": LATER.date()} | changes)


def sent(message_id: str = "<1@us>", **changes: Any) -> MessageSent:
    fields = {"channel": "email", "sent_at": NOON, "text": "Hello"}
    return MessageSent(message_id=message_id, **fields | changes)


def replied(message_id: str = "<1@them>", **changes: Any) -> MessageReplied:
    fields = {"channel": "email", "replied_at": NOON, "text": "Yes"}
    return MessageReplied(message_id=message_id, **fields | changes)


def call(**changes: Any) -> CallHeld:
    return CallHeld(**{"started_at": NOON, "duration_s": 900} | changes)


def no_answer(**changes: Any) -> NoAnswerNeeded:
    return NoAnswerNeeded(**{"said_at": NOON} | changes)


def meeting(**changes: Any) -> MeetingHeld:
    return MeetingHeld(**{"started_at": NOON, "duration_s": 3600} | changes)


def message_opened(message_id: str = "<1@us>", **changes: Any) -> MessageOpened:
    fields = {"channel": "email", "opened_at": NOON}
    return MessageOpened(message_id=message_id, **fields | changes)


def clicked(message_id: str = "<1@us>", **changes: Any) -> LinkClicked:
    fields = {"channel": "email", "clicked_at": NOON, "url": "https://us.example/jobs"}
    return LinkClicked(message_id=message_id, **fields | changes)


def bounced(message_id: str = "<1@us>", **changes: Any) -> MessageBounced:
    fields = {"channel": "email", "bounced_at": NOON}
    return MessageBounced(message_id=message_id, **fields | changes)


SNOOZED: dict[str, Any] = {"until_on": LATER.date(), "snoozed_at": NOON, "reason": "on_leave"}


def snoozed(**changes: Any) -> PersonQuietSnoozed:
    return PersonQuietSnoozed(**SNOOZED | changes)


def company_snoozed(**changes: Any) -> CompanyQuietSnoozed:
    return CompanyQuietSnoozed(**SNOOZED | changes)


def promised(**changes: Any) -> FollowUpPromised:
    fields = {"follow_up_id": FOLLOW_UP, "due_on": LATER.date(), "promised_at": NOON}
    return FollowUpPromised(**fields | changes)


def done(**changes: Any) -> FollowUpDone:
    return FollowUpDone(**{"follow_up_id": FOLLOW_UP, "done_at": LATER} | changes)


def put_off(**changes: Any) -> FollowUpSnoozed:
    fields = {"follow_up_id": FOLLOW_UP, "until_on": LATER.date(), "snoozed_at": NOON}
    return FollowUpSnoozed(**fields | changes)


def company_promised(**changes: Any) -> CompanyFollowUpPromised:
    fields = {"follow_up_id": FOLLOW_UP, "due_on": LATER.date(), "promised_at": NOON}
    return CompanyFollowUpPromised(**fields | changes)


def company_done(**changes: Any) -> CompanyFollowUpDone:
    return CompanyFollowUpDone(**{"follow_up_id": FOLLOW_UP, "done_at": LATER} | changes)


def company_put_off(**changes: Any) -> CompanyFollowUpSnoozed:
    fields = {"follow_up_id": FOLLOW_UP, "until_on": LATER.date(), "snoozed_at": NOON}
    return CompanyFollowUpSnoozed(**fields | changes)


def company_called(**changes: Any) -> CompanyCalled:
    return CompanyCalled(**{"started_at": NOON, "duration_s": 60} | changes)


def company_noted(text: str = "They move in autumn", **changes: Any) -> CompanyNoted:
    return CompanyNoted(text=text, **changes)


def document_added(**changes: Any) -> DocumentAdded:
    fields = {
        "document_id": DOCUMENT, "purpose": "cv", "name": "ada.pdf",
        "media_type": "application/pdf", "size_bytes": 3, "address": "a" * 64, "digest": "d" * 64,
        "added_at": NOON,
    }  # fmt: skip
    return DocumentAdded(**fields | changes)


def firm_document_added(**changes: Any) -> FirmDocumentAdded:
    fields = {
        "document_id": DOCUMENT,
        "purpose": "terms",
        "name": "terms.pdf",
        "size_bytes": 9,
        "address": "ab" * 32,
        "digest": "cd" * 32,
        "added_at": NOON,
    }
    return FirmDocumentAdded(**fields | changes)


def firm_document_removed(**changes: Any) -> FirmDocumentRemoved:
    return FirmDocumentRemoved(**{"document_id": DOCUMENT, "removed_at": LATER} | changes)


def document_removed(**changes: Any) -> DocumentRemoved:
    return DocumentRemoved(**{"document_id": DOCUMENT, "removed_at": LATER} | changes)


def pool_defined(slug: str = "speakers", **changes: Any) -> PoolDefined:
    return PoolDefined(slug=slug, **{"title": "Speakers"} | changes)


def pooled(pool: str = "speakers", **changes: Any) -> PersonPooled:
    return PersonPooled(pool=pool, **changes)


def unpooled(pool: str = "speakers", **changes: Any) -> PersonUnpooled:
    return PersonUnpooled(pool=pool, **changes)


def campaign_defined(slug: str = "spring", **changes: Any) -> CampaignDefined:
    steps = (Step(channel="email"), Step(channel="email", after_days=4))
    return CampaignDefined(slug=slug, **{"title": "Spring", "steps": steps} | changes)


def enrolled(campaign: str = "spring", **changes: Any) -> Enrolled:
    return Enrolled(campaign=campaign, **{"enrolled_at": NOON} | changes)


def campaign_finished(campaign: str = "spring", **changes: Any) -> CampaignFinished:
    return CampaignFinished(campaign=campaign, **changes)


def campaign_stopped(campaign: str = "spring", **changes: Any) -> CampaignStopped:
    return CampaignStopped(campaign=campaign, **changes)


def consultant_added(consultant: str = "consultant:ana", **changes: Any) -> ConsultantAdded:
    return ConsultantAdded(consultant=consultant, **{"name": "Ana Lopez"} | changes)


def consultant_renamed(name: str = "Ana Byron") -> ConsultantRenamed:
    return ConsultantRenamed(name=name)


def consultant_left(on: date = TODAY, **changes: Any) -> ConsultantLeft:
    return ConsultantLeft(left_on=on, **changes)


def consultant_returned(on: date = TOMORROW, **changes: Any) -> ConsultantReturned:
    return ConsultantReturned(returned_on=on, **changes)


def team_defined(slug: str = "north", **changes: Any) -> TeamDefined:
    return TeamDefined(slug=slug, **{"title": "North"} | changes)


def team_joined(consultant: str = "consultant:ana", on: date = TODAY) -> TeamJoined:
    return TeamJoined(consultant=consultant, joined_on=on)


def team_left(consultant: str = "consultant:ana", on: date = TOMORROW) -> TeamLeft:
    return TeamLeft(consultant=consultant, left_on=on)


def segment_saved(slug: str = "londoners", **changes: Any) -> SegmentSaved:
    fields = {"title": "Londoners", "criteria": Criteria(location="london")}
    return SegmentSaved(slug=slug, **fields | changes)


def company_segment_saved(slug: str = "key_clients", **changes: Any) -> CompanySegmentSaved:
    fields = {"title": "Key clients", "criteria": CompanyCriteria(tags=("key_client",))}
    return CompanySegmentSaved(slug=slug, **fields | changes)


def note(text: str = "Likes engines", **changes: Any) -> NoteWritten:
    return NoteWritten(text=text, **changes)


# may we contact them?


def consent(**changes: Any) -> p.ConsentGiven:
    return p.ConsentGiven(**{"given_at": NOON} | changes)


def no_consent(**changes: Any) -> p.ConsentWithdrawn:
    return p.ConsentWithdrawn(**{"withdrawn_at": NOON} | changes)


def leave_alone(**changes: Any) -> p.DoNotContactSet:
    return p.DoNotContactSet(**{"set_at": NOON, "reason": "asked_us"} | changes)


def lifted(**changes: Any) -> p.DoNotContactLifted:
    return p.DoNotContactLifted(**{"lifted_at": LATER} | changes)


def erasure_requested(**changes: Any) -> privacy.ErasureRequested:
    return privacy.ErasureRequested(**{"requested_at": NOON} | changes)


def erasure_deferred(**changes: Any) -> privacy.ErasureDeferred:
    until = {"deferred_at": NOON, "until_on": LATER.date(), "reason": "tax_records"}
    return privacy.ErasureDeferred(**until | changes)


def hold_placed(**changes: Any) -> privacy.LegalHoldPlaced:
    return privacy.LegalHoldPlaced(**{"hold_id": HOLD, "placed_at": NOON} | changes)


def hold_released(**changes: Any) -> privacy.LegalHoldReleased:
    return privacy.LegalHoldReleased(**{"hold_id": HOLD, "released_at": LATER} | changes)


def absorbed(**changes: Any) -> merging.PersonAbsorbed:
    return merging.PersonAbsorbed(**{"duplicate_id": OTHER_PERSON, "absorbed_at": NOON} | changes)


def merged(**changes: Any) -> merging.PersonMerged:
    return merging.PersonMerged(**{"survivor_id": OTHER_PERSON, "merged_at": NOON} | changes)


def unmerged(**changes: Any) -> merging.PersonUnmerged:
    return merging.PersonUnmerged(**{"other_id": OTHER_PERSON, "unmerged_at": LATER} | changes)


def firm_absorbed(**changes: Any) -> merging.CompanyAbsorbed:
    return merging.CompanyAbsorbed(**{"duplicate_id": OTHER_COMPANY, "absorbed_at": NOON} | changes)


def erased(**changes: Any) -> privacy.PersonErased:
    return privacy.PersonErased(**{"erased_at": NOON} | changes)


def off_limits(**changes: Any) -> p.OffLimitsAgreed:
    return p.OffLimitsAgreed(**{"agreed_at": NOON} | changes)


def on_limits(**changes: Any) -> p.OffLimitsLifted:
    return p.OffLimitsLifted(**{"lifted_at": LATER} | changes)


# a candidacy


def at_stage(id: str) -> dict[str, Any]:
    stage = next(s for s in TALENT.stages if s.id == id)
    return WHERE | {"stage": stage.id, "category": stage.category}


def opened(stage: str = "sourced", **changes: Any) -> c.CandidacyOpened:
    fields = at_stage(stage) | {"pipeline": "talent", "opened_at": NOON}
    return c.CandidacyOpened(**fields | changes)


def moved(stage: str = "contacted", **changes: Any) -> c.CandidacyMoved:
    return c.CandidacyMoved(**at_stage(stage) | {"moved_at": NOON} | changes)


def closed(stage: str = "rejected_by_client", **changes: Any) -> c.CandidacyClosed:
    fields = {"closed_at": NOON, "reason": "salary_too_low", "decided_by": "client"}
    return c.CandidacyClosed(**at_stage(stage) | fields | changes)


def reopened(stage: str = "screening", **changes: Any) -> c.CandidacyReopened:
    return c.CandidacyReopened(**at_stage(stage) | {"reopened_at": NOON} | changes)


def represented(**changes: Any) -> c.RightToRepresentGiven:
    return c.RightToRepresentGiven(**WHERE | {"given_at": NOON} | changes)


def introduced(**changes: Any) -> c.Introduced:
    fields = {"introduced_at": NOON, "agreement_id": AGREEMENT}
    return c.Introduced(**at_stage("submitted") | fields | changes)


def placed(**changes: Any) -> c.Placed:
    fields = {
        "placed_at": NOON,
        "starts_on": LATER.date(),
        "first_year_pay_cents": 8_000_000,
        "fee_cents": 2_000_000,
        "currency": "EUR",
        "agreement_id": AGREEMENT,
    }
    return c.Placed(**at_stage("placed") | fields | changes)


def started(**changes: Any) -> pl.PlacementStarted:
    return pl.PlacementStarted(**WHERE | {"starts_on": LATER.date()} | changes)


def fell_through(**changes: Any) -> pl.FellThrough:
    fields = {
        "left_on": LATER.date() + timedelta(days=44),
        "day": 45,
        "reason": "counter_offer",
        "decided_by": "candidate",
        "remedy": "none",
        "currency": "EUR",
    }
    return pl.FellThrough(**WHERE | fields | changes)


def guarantee_ended(**changes: Any) -> pl.GuaranteeEnded:
    return pl.GuaranteeEnded(**WHERE | {"ended_on": LATER.date()} | changes)


def split(*shares: tuple[str, int], **changes: Any) -> pl.CommissionSplit:
    parts = tuple(fee.Share(consultant=who, share_bp=bp) for who, bp in shares)
    return pl.CommissionSplit(**WHERE | {"shares": parts, "split_at": NOON} | changes)


def backdoor(**changes: Any) -> pl.BackdoorSuspected:
    fields = {"starts_on": LATER.date(), "agreement_id": AGREEMENT}
    return pl.BackdoorSuspected(**WHERE | fields | changes)


# money


def due(**changes: Any) -> inv.InstalmentDue:
    fields = {
        "instalment_id": inv.instalment_id(ORDER, changes.get("on", "start"), CANDIDACY),
        "agreement_id": AGREEMENT,
        "job_order_id": ORDER,
        "on": "start",
        "amount_cents": 2_000_000,
        "currency": "EUR",
        "due_at": NOON,
        "candidacy_id": CANDIDACY,
        "person_id": PERSON,
    }
    return inv.InstalmentDue(**fields | changes)


def raised(number: str = "2026/1", **changes: Any) -> inv.InvoiceRaised:
    fields = {
        "invoice_id": INVOICE,
        "instalment_id": due().instalment_id,
        "amount_cents": 2_000_000,
        "currency": "EUR",
        "raised_at": NOON,
        "due_on": NOON.date() + timedelta(days=30),
    }
    return inv.InvoiceRaised(number=number, **fields | changes)


def paid(cents: int = 2_000_000, **changes: Any) -> inv.InvoicePaid:
    fields = {"invoice_id": INVOICE, "currency": "EUR", "paid_at": NOON}
    return inv.InvoicePaid(amount_cents=cents, **fields | changes)


def credited(cents: int = 1_000_000, **changes: Any) -> inv.InvoiceCredited:
    fields = {"invoice_id": INVOICE, "currency": "EUR", "credited_at": NOON}
    return inv.InvoiceCredited(
        amount_cents=cents, **fields | {"number": "2026/C1", "reason": "rebate"} | changes
    )


def refunded(cents: int = 1_000_000, **changes: Any) -> inv.InvoiceRefunded:
    fields = {"invoice_id": INVOICE, "currency": "EUR", "refunded_at": NOON}
    return inv.InvoiceRefunded(amount_cents=cents, **fields | changes)


def owed(**changes: Any) -> inv.RemedyOwed:
    fields = {
        "candidacy_id": CANDIDACY,
        "person_id": PERSON,
        "job_order_id": ORDER,
        "remedy": "replacement",
        "currency": "EUR",
        "left_on": LATER.date(),
    }
    return inv.RemedyOwed(**fields | changes)


def replaced(**changes: Any) -> inv.ReplacementGiven:
    fields = {
        "candidacy_id": UUID(int=0xAD),
        "person_id": UUID(int=0xA2),
        "replaces_id": CANDIDACY,
        "job_order_id": ORDER,
        "given_at": NOON,
    }
    return inv.ReplacementGiven(**fields | changes)


# interviews and offers


def arranged(**changes: Any) -> i.InterviewArranged:
    fields = {"interview_id": INTERVIEW, "arranged_at": NOON, "starts_at": LATER}
    return i.InterviewArranged(**WHERE | fields | {"interviewer_ids": (UUID(int=0xA2),)} | changes)


def beside(**fields: Any) -> dict[str, Any]:
    return WHERE | fields


def interview_moved(**changes: Any) -> i.InterviewMoved:
    fields = beside(interview_id=INTERVIEW, moved_at=NOON, starts_at=LATER)
    return i.InterviewMoved(**fields | changes)


def called_off(**changes: Any) -> i.InterviewCalledOff:
    fields = beside(interview_id=INTERVIEW, called_off_at=NOON, reason="ill")
    return i.InterviewCalledOff(**fields | changes)


def held(**changes: Any) -> i.InterviewHeld:
    return i.InterviewHeld(**beside(interview_id=INTERVIEW, held_at=LATER) | changes)


def feedback(**changes: Any) -> i.FeedbackGiven:
    fields = beside(interview_id=INTERVIEW, given_at=LATER, verdict="yes")
    scores = (i.Score("problem_solving", 4),)
    return i.FeedbackGiven(
        **fields | {"interviewer_id": UUID(int=0xA2), "scores": scores} | changes
    )


def offer_made(**changes: Any) -> i.OfferMade:
    fields = beside(offer_id=OFFER, made_at=NOON, first_year_pay_cents=8_000_000)
    return i.OfferMade(**fields | changes)


def offer_changed(**changes: Any) -> i.OfferChanged:
    fields = beside(offer_id=OFFER, changed_at=NOON, first_year_pay_cents=8_500_000)
    return i.OfferChanged(**fields | changes)


def offer_accepted(**changes: Any) -> i.OfferAccepted:
    return i.OfferAccepted(**beside(offer_id=OFFER, accepted_at=LATER) | changes)


def offer_declined(**changes: Any) -> i.OfferDeclined:
    fields = beside(offer_id=OFFER, declined_at=LATER, reason="counter_offer")
    return i.OfferDeclined(**fields | changes)


def offer_withdrawn(**changes: Any) -> i.OfferWithdrawn:
    fields = beside(offer_id=OFFER, withdrawn_at=LATER, reason="budget")
    return i.OfferWithdrawn(**fields | changes)


# a company


def added(**changes: Any) -> co.CompanyAdded:
    return co.CompanyAdded(**{"name": "Analytical Engines", "domain": "engines.example"} | changes)


def firm_profile(**changes: Any) -> f.FirmProfileChanged:
    return f.FirmProfileChanged(**{"name": "Engines & Co"} | changes)


def domain_added(**changes: Any) -> f.DomainAdded:
    return f.DomainAdded(**{"domain": "looms.example"} | changes)


def domain_removed(**changes: Any) -> f.DomainRemoved:
    return f.DomainRemoved(**{"domain": "looms.example"} | changes)


def parent(**changes: Any) -> f.ParentNamed:
    return f.ParentNamed(**{"parent_id": UUID(int=0xC9)} | changes)


def owned(**changes: Any) -> f.OwnerAssigned:
    return f.OwnerAssigned(**{"owner": "consultant:ana"} | changes)


def firm_tagged(**changes: Any) -> f.FirmTagged:
    return f.FirmTagged(**{"tag": "key_account"} | changes)


def firm_untagged(**changes: Any) -> f.FirmUntagged:
    return f.FirmUntagged(**{"tag": "key_account"} | changes)


def deal_at(id: str) -> dict[str, Any]:
    stage = next(s for s in SALES.stages if s.id == id)
    return {
        "deal_id": DEAL,
        "stage": stage.id,
        "category": stage.category,
        "probability_bp": stage.probability_bp,
    }


def deal_opened(stage: str = "prospect", **changes: Any) -> co.DealOpened:
    fields = {"title": "Ten engineers", "pipeline": "sales", "opened_at": NOON}
    return co.DealOpened(**deal_at(stage) | fields | changes)


def deal_moved(stage: str = "contacted", **changes: Any) -> co.DealMoved:
    return co.DealMoved(**deal_at(stage) | {"moved_at": NOON} | changes)


def deal_won(**changes: Any) -> co.DealWon:
    return co.DealWon(**deal_at("won") | {"won_at": NOON} | changes)


def deal_lost(**changes: Any) -> co.DealLost:
    return co.DealLost(**deal_at("lost") | {"lost_at": NOON, "reason": "no_budget"} | changes)


def deal_changed(**changes: Any) -> d.DealChanged:
    fields = {"deal_id": DEAL, "changed_at": NOON, "value_cents": 5_000}
    return d.DealChanged(**fields | changes)


def paper_sent(**changes: Any) -> d.PaperSent:
    fields = {"deal_id": DEAL, "sent_at": NOON, "paper": "proposal", "version": 1}
    return d.PaperSent(**fields | changes)


def paper_signed(**changes: Any) -> d.PaperSigned:
    fields = {"deal_id": DEAL, "signed_at": LATER, "paper": "proposal", "version": 1}
    return d.PaperSigned(**fields | {"signed_by_id": PERSON} | changes)


def deal_linked(**changes: Any) -> d.DealLinked:
    fields = {"deal_id": DEAL, "job_order_id": ORDER, "linked_at": NOON}
    return d.DealLinked(**fields | changes)


def fee_agreed(**changes: Any) -> FeeAgreed:
    fields = {"agreement_id": AGREEMENT, "basis": "contingent", "currency": "EUR"}
    return FeeAgreed(**fields | {"rate_bp": 2_500, "agreed_at": NOON} | changes)


def fee_amended(**changes: Any) -> FeeAmended:
    fields = {"agreement_id": AGREEMENT, "version": 2, "basis": "contingent", "currency": "EUR"}
    return FeeAmended(**fields | {"rate_bp": 2_000, "amended_at": LATER} | changes)


def fee_ended(**changes: Any) -> FeeEnded:
    return FeeEnded(**{"agreement_id": AGREEMENT, "ended_at": LATER} | changes)


def order_opened(**changes: Any) -> jo.JobOrderOpened:
    return jo.JobOrderOpened(
        **{"job_order_id": ORDER, "title": "Engineer", "opened_at": NOON} | changes
    )


def order_filled(**changes: Any) -> jo.JobOrderFilled:
    return jo.JobOrderFilled(**{"job_order_id": ORDER, "filled_at": NOON} | changes)


def order_cancelled(**changes: Any) -> jo.JobOrderCancelled:
    fields = {"job_order_id": ORDER, "cancelled_at": NOON, "reason": "frozen"}
    return jo.JobOrderCancelled(**fields | changes)


def order_changed(**changes: Any) -> jo.JobOrderChanged:
    fields = {"job_order_id": ORDER, "changed_at": NOON, "title": "Senior engineer"}
    return jo.JobOrderChanged(**fields | changes)


def order_staffed(**changes: Any) -> jo.JobOrderStaffed:
    halves = {"consultant:ana": 6_000, "consultant:ben": 4_000}
    shares = tuple(fee.Share(consultant=who, share_bp=bp) for who, bp in halves.items())
    fields = {"job_order_id": ORDER, "staffed_at": NOON, "owner": "consultant:ana"}
    return jo.JobOrderStaffed(**fields | {"shares": shares} | changes)


def order_held(**changes: Any) -> jo.JobOrderHeld:
    fields = {"job_order_id": ORDER, "held_at": NOON, "reason": "budget"}
    return jo.JobOrderHeld(**fields | changes)


def order_covered(**changes: Any) -> jo.JobOrderCovered:
    return jo.JobOrderCovered(**{"job_order_id": ORDER, "covered_at": NOON} | changes)


def some_filled(**changes: Any) -> jo.OpeningsFilled:
    return jo.OpeningsFilled(**{"job_order_id": ORDER, "filled_at": NOON} | changes)


def order_lost(**changes: Any) -> jo.JobOrderLost:
    fields = {"job_order_id": ORDER, "lost_at": NOON, "reason": "other_agency"}
    return jo.JobOrderLost(**fields | changes)


def order_reopened(**changes: Any) -> jo.JobOrderReopened:
    fields = {"job_order_id": ORDER, "reopened_at": LATER, "openings": 1}
    return jo.JobOrderReopened(**fields | changes)


def opening_vacated(**changes: Any) -> jo.OpeningVacated:
    return jo.OpeningVacated(**{"job_order_id": ORDER, "vacated_at": LATER} | changes)


# an application

RIGHT_TO_WORK = sc.Question(
    id="right_to_work", asked="May you work here?", form="yes_no", required=True, accepts=("yes",)
)
MOTIVATION = sc.Question(id="motivation", asked="Why us?")


def screening(*questions: sc.Question, **changes: Any) -> jo.ScreeningSet:
    fields = {"job_order_id": ORDER, "set_at": NOON}
    return jo.ScreeningSet(**fields | {"questions": questions or (RIGHT_TO_WORK,)} | changes)


def applied(**changes: Any) -> Applied:
    fields = {"applied_at": NOON, "channel": "job_board", "source": "stepstone"}
    return Applied(**WHERE | fields | changes)


def answered(question: str = "right_to_work", text: str = "yes", **changes: Any) -> Any:
    fields = {"question": question, "answered_at": NOON, "text": text}
    return ScreeningAnswered(**WHERE | fields | changes)


def template_defined(slug: str = "no_thanks", **changes: Any) -> TemplateDefined:
    fields = {"title": "No", "subject": "Your application", "text": "Dear {{first_name}}"}
    return TemplateDefined(**{"slug": slug} | fields | changes)


def webhook_added(**changes: Any) -> WebhookAdded:
    fields = {"url": "https://hooks.example/7", "host": "hooks.example", "secret": "whsec_MDEy"}
    return WebhookAdded(**fields | changes)


def webhook_secret_renewed(number: int, until_at: datetime = LATER) -> WebhookSecretRenewed:
    return WebhookSecretRenewed(secret=f"whsec_MDE{number}", old_until_at=until_at)


# equal opportunity


def equally_answered(gender: str = "woman", **answers: str) -> EqualOpportunityAnswered:
    return EqualOpportunityAnswered(answers=packed(Answers(gender=gender, **answers)))


# a shortlist


def on_it(person_id: UUID = PERSON, label: str = "A", *, blind: bool = False) -> sl.Listed:
    return sl.Listed(person_id, candidacy_id(person_id, ORDER), label, blind)


LISTED: dict[str, Any] = {"shortlist_id": SHORTLIST, "job_order_id": ORDER, "version": 1}
LINKED: dict[str, Any] = LISTED | {"link_id": LINK, "contact_id": CONTACT}


def drawn(*people: sl.Listed, **changes: Any) -> sl.ShortlistDrawn:
    fields = LISTED | {"people": people or (on_it(),), "drawn_at": NOON}
    return sl.ShortlistDrawn(**fields | changes)


def shared(**changes: Any) -> sl.ShortlistShared:
    fields = LINKED | {"until_on": LATER.date(), "shared_at": NOON, "digest": "5" * 64}
    return sl.ShortlistShared(**fields | changes)


def withdrawn(**changes: Any) -> sl.ShortlistWithdrawn:
    return sl.ShortlistWithdrawn(**LINKED | {"withdrawn_at": NOON} | changes)


def seen(**changes: Any) -> sl.ShortlistSeen:
    return sl.ShortlistSeen(**LINKED | {"seen_at": NOON, "people": (PERSON,)} | changes)


def list_commented(**changes: Any) -> sl.ShortlistCommented:
    fields = LINKED | {"commented_at": NOON, "text": "A strong list"}
    return sl.ShortlistCommented(**fields | changes)


def presented(**changes: Any) -> sl.PresentationWritten:
    fields = WHERE | {"blind": False, "written_at": NOON, "headline": "Programmer"}
    return sl.PresentationWritten(**fields | changes)


def verdict(kind: sl.ClientVerdict = "interview", **changes: Any) -> sl.VerdictGiven:
    return sl.VerdictGiven(**WHERE | LINKED | {"verdict": kind, "given_at": NOON} | changes)


def client_commented(**changes: Any) -> sl.ClientCommented:
    fields = {"commented_at": NOON, "text": "Would she relocate?"}
    return sl.ClientCommented(**WHERE | LINKED | fields | changes)


# any fact

# No NUL, which the store refuses, and no lone surrogates, which are not Unicode text.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)


def field_defined(slug: str = "licence", **fields: Any) -> CustomFieldDefined:
    some = {"subject": "person", "label": "Driving licence", "type": "choice"}
    if (some | fields)["type"] in ("choice", "multi_choice"):
        some |= {"choices": (Choice("b", "Car"), Choice("c1", "Lorry"))}  # type: ignore[dict-item]
    return CustomFieldDefined(slug=slug, **some | fields)


def field_set(text: str = "b", field: str = "licence", **fields: Any) -> CustomFieldSet:
    return CustomFieldSet(**{"field": field, "type": "choice", "text": text} | fields)


def field_cleared(field: str = "licence", **fields: Any) -> CustomFieldCleared:
    return CustomFieldCleared(field=field, **fields)


def firm_field_set(value: str = "12", field: str = "team_size", **fields: Any) -> FirmFieldSet:
    return FirmFieldSet(**{"field": field, "type": "number", "value": value} | fields)


def firm_field_cleared(field: str = "team_size", **fields: Any) -> FirmFieldCleared:
    return FirmFieldCleared(field=field, **fields)


REFERRAL = UUID(int=0x3E)
REFERRER = UUID(int=0xA9)


def referred(**fields: Any) -> rf.CandidateReferred:
    some = {"referral_id": REFERRAL, "received_at": NOON, "by_person_id": REFERRER}
    return rf.CandidateReferred(**some | fields)


def passed_on(**fields: Any) -> rf.CandidatePassedOn:
    some = {"referral_id": REFERRAL, "given_at": NOON, "to_company_id": COMPANY}
    return rf.CandidatePassedOn(**some | fields)


def client_referred(**fields: Any) -> rf.ClientReferred:
    some = {"referral_id": REFERRAL, "received_at": NOON, "by_person_id": REFERRER}
    return rf.ClientReferred(**some | fields)


def client_passed_on(**fields: Any) -> rf.ClientPassedOn:
    some = {"referral_id": REFERRAL, "given_at": NOON, "to_person_id": REFERRER}
    return rf.ClientPassedOn(**some | fields)


def referral_fee(state: rf.FeeState = "paid", **fields: Any) -> rf.CandidateReferralFee:
    some = {"referral_id": REFERRAL, "told_at": LATER}
    return rf.CandidateReferralFee(state=state, **some | fields)


def client_referral_fee(state: rf.FeeState = "paid", **fields: Any) -> rf.ClientReferralFee:
    some = {"referral_id": REFERRAL, "told_at": LATER}
    return rf.ClientReferralFee(state=state, **some | fields)


def target_named(**fields: Any) -> mk.TargetNamed:
    some = {"job_order_id": ORDER, "target_id": UUID(int=0xC9), "named_at": NOON}
    return mk.TargetNamed(**some | fields)


def target_dropped(**fields: Any) -> mk.TargetDropped:
    some = {"job_order_id": ORDER, "target_id": UUID(int=0xC9), "dropped_at": LATER}
    return mk.TargetDropped(**some | fields)


def researched(**fields: Any) -> mk.Researched:
    some = {"job_order_id": ORDER, "company_id": COMPANY, "researched_at": NOON}
    return mk.Researched(**some | fields)


offsets = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))
instants = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001  (the zone is drawn)
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC) | offsets,
)


@cache
def facts(event: type[Event]) -> st.SearchStrategy[Any]:
    """Any of its kind that its own constraints allow, in all fields, left out or set."""
    return _struct(event)


def _struct(type_: type[Any]) -> st.SearchStrategy[Any]:
    fields = inspect.type_info(type_).fields  # type: ignore[attr-defined]
    return st.fixed_dictionaries(
        {f.name: _values(f.type) for f in fields if f.required},
        optional={f.name: _values(f.type) for f in fields if not f.required},
    ).map(lambda chosen: type_(**chosen))


def _values(type_: inspect.Type) -> st.SearchStrategy[Any]:
    """Hypothesis does not read msgspec.Meta."""
    match type_:
        case inspect.Metadata(type=inner):
            return _values(inner)
        case inspect.UnionType(types=types):
            return st.one_of([_values(inner) for inner in types])
        case inspect.NoneType():
            return st.none()
        case inspect.StrType(pattern=str(pattern), max_length=high):
            plain = st.characters(max_codepoint=126)
            drawn = st.from_regex(pattern, fullmatch=True, alphabet=plain)
            return drawn.filter(lambda text: high is None or len(text) <= high)
        case inspect.StrType(min_length=low, max_length=high):
            long = texts.map(lambda text: (text or "x") * ((high or 40) // max(len(text), 1)))
            return (texts | long).filter(lambda text: len(text) >= (low or 0))
        case inspect.FloatType():
            return st.floats(-1e9, 1e9)
        case inspect.IntType(ge=low, le=high):
            return st.integers(low, high)
        case inspect.BoolType():
            return st.booleans()
        case inspect.DateTimeType():
            return instants
        case inspect.DateType():
            return st.dates(date(1900, 1, 1), date(2200, 1, 1))
        case inspect.UUIDType():
            return st.uuids()
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            most = min(high or 4, 4)
            return st.lists(_values(item), min_size=low or 0, max_size=most).map(tuple)
        case inspect.StructType(cls=cls):
            return _struct(cls)
    raise NotImplementedError(f"say here how {type(type_).__name__} is drawn")


def as_document(event: Event) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    return document
