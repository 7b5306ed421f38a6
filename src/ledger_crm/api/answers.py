"""An example of each answer, for the document, made from its schema.

What a field holds is here by its name, or by schema and name where that says more; what is not is
made from its type. So a new answer has an example without anybody writing one. All are of one small
story: Ada Byron, whom Engine Works takes as an engineer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger_crm.domain.entry import words
from ledger_crm.domain.interaction import NoteWritten
from ledger_crm.domain.person import ContactPointTaken
from ledger_crm.domain.privacy import PersonIsErased
from ledger_crm.domain.shape import schema_of
from ledger_crm.ledger import NoSuchRecord, StaleVersion

from . import problems
from .examples import (
    AGREEMENT,
    CANDIDACY,
    COMPANY,
    CONTACT,
    DEAL,
    HOLD,
    INSTALMENT,
    INTERVIEW,
    INVOICE,
    LINK,
    OFFER,
    ORDER,
    TARGET,
)
from .front import LINKS

ADA = "01939b37-0abd-7c1e-9d82-60718293a4b5"
REPLIED = {
    "kind": "person.message_replied",
    "channel": "email",
    "replied_at": "2026-03-02T12:00:00Z",
}
MOMENT, DAY = "2026-03-02T09:00:00Z", "2026-03-02"
MADE_BY_SUFFIX = {
    "_cents": 1_250_000,
    "_bp": 2500,
    "_days": 90,
    "_s": 2,
    "_ms": 84,
    "_bytes": 28160,
}

VALUES: dict[str, Any] = {
    # who and what
    "person": "Ada Byron",
    "with_person": "Ada Byron",
    "to_person": "Grace Hopper",
    "contact": "Grace Hopper",
    "duplicate": "Ada Lovelace",
    "interviewer": "Grace Hopper",
    "company": "Engine Works Ltd",
    "with_company": "Engine Works Ltd",
    "agreed_with": "Engine Works Ltd",
    "job_order": "Engineer",
    "by": "consultant:ana",
    "owner": "consultant:ana",
    "actor": "consultant:ana",
    "consultant": "consultant:ana",
    "found_by": "consultant:ana",
    "named_by": "consultant:ana",
    "researched_by": "consultant:ana",
    "decided_by": "consultant:ana",
    "asked_of": "consultant:ana",
    "owed_by": "agency",
    "members": ["consultant:ana", "consultant:ben"],
    "owners": ["consultant:ana"],
    "teams": ["north"],
    # which
    "id": ADA,
    "person_id": ADA,
    "subject_id": ADA,
    "with_person_id": ADA,
    "stream": ADA,
    "company_id": COMPANY,
    "with_company_id": COMPANY,
    "agreed_with_id": COMPANY,
    "job_order_id": ORDER,
    "candidacy_id": CANDIDACY,
    "agreement_id": AGREEMENT,
    "instalment_id": INSTALMENT,
    "contact_id": CONTACT,
    "to_person_id": CONTACT,
    "interviewer_id": CONTACT,
    "duplicate_id": TARGET,
    "created": OFFER,
    "position": 1204,
    "older_position": 871,
    "head": 1204,
    "version": 7,
    "late_s": 86_400,
    # what is said of them
    "name": "Ada Byron",
    "title": "Engineer",
    "headline": "Programmer",
    "address": "12 St James's Square, London",
    "born_on": "1815-12-10",
    "location": "London",
    "skills": "Python, mathematics",
    "seniority": "senior",
    "industry": "Machinery",
    "industries": ["Machinery"],
    "specialty": "Difference engines",
    "website": "https://engines.example",
    "domain": "engines.example",
    "domains": ["engines.example"],
    "founded": "1991",
    "source": "referral",
    "channel": "linkedin",
    "origin": "search: analytical engines",
    "lawful_basis": "legitimate_interest",
    "tags": ["speaker"],
    "pools": ["speakers"],
    "point": "email",
    "value": "ada@example.org",
    "role": "hiring_manager",
    "custom": {"notice_weeks": 6},
    "employees": 120,
    # how far
    "pipeline": "talent",
    "stage": "client_interview",
    "stages": ["client_interview"],
    "category": "client_interview",
    "label": "Client interview",
    "from_stage": "submitted",
    "to_stage": "client_interview",
    "path": ["sourced", "submitted", "client_interview"],
    "path_at": ["2026-03-02T09:00:00Z", "2026-03-05T09:00:00Z", "2026-03-09T09:00:00Z"],
    "status": "open",
    "reason": "",
    "must_haves": ["Difference engines", "English"],
    "requisition": "REQ-1843",
    "verdict": "interview",
    "client_verdict": "interview",
    "remedy": "rebate",
    "form": "video",
    "subject": "candidate",
    # what is agreed
    "currency": "GBP",
    "basis": "contingent",
    "line": "25 % of first-year pay, guarantee 90 days",
    "number": "2026-0042",
    "on": "start",
    "fee_on": "placed",
    "fee_cents": 2_000_000,
    "first_year_pay_cents": 8_000_000,
    "amount_cents": 2_000_000,
    "agreed_cents": 2_000_000,
    "due_cents": 2_000_000,
    "invoiced_cents": 2_000_000,
    "open_cents": 2_000_000,
    "minimum_cents": 800_000,
    "partner_cents": 0,
    "paid_cents": 0,
    "credited_cents": 0,
    "refunded_cents": 0,
    "rebate_cents": 0,
    "rebated_cents": 0,
    "to_invoice_cents": 0,
    "salary_from_cents": 7_000_000,
    "salary_to_cents": 9_000_000,
    "value_cents": 3_000_000,
    "weighted_cents": 1_650_000,
    "probability_bp": 5500,
    "agreement_version": 1,
    "guarantee_days": 90,
    "payment_days": 30,
    "tail_months": 12,
    # when
    "due_on": "2026-03-09",
    "until_on": "2027-03-01",
    "ends_on": "2027-03-01",
    "until_at": "2026-03-02T21:00:00Z",
    "expected_close_on": "2026-05-15",
    "starts_on": "2026-06-01",
    "guarantee_until_on": "2026-08-30",
    # what has not happened
    "refuses": False,
    "confidential": False,
    "exclusivity_broken": False,
    "over": False,
    "left_on": None,
    "replaces_id": None,
    "valid_until_on": None,
    "lag_events": 0,
    "lag_s": 0,
    "absorbed": [],
    "closed": False,
    "closed_at": None,
    "ended_at": None,
    "erased_at": None,
    "withdrawn_at": None,
    "disabled_at": None,
    "next_at": None,
    "bounced_at": None,
    "overdue": False,
    "overdue_at": None,
    "done_at": None,
    "off_limits": False,
    "off_limits_until_on": None,
    "off_limits_text": "",
    "retired": False,
    "snoozed_until_on": None,
    "snooze_reason": "",
    "fault": None,
    "replaced_by_id": None,
    "replayed": False,
    # how it is said
    "text": "Open to move in summer.",
    "purpose": "cv",
    "media_type": "text/plain",
    "content": "QWRhIEJ5cm9uLCBwcm9ncmFtbWVy",
    "thread_id": "t1",
    "template": "thanks",
    "slug": "speakers",
    "segment": "london_seniors",
    "campaign": "spring",
    "pool": "speakers",
    "tag": "speaker",
    "owes": "them",
    "found_in": ["name", "headline"],
    "required_before": "introduction",
    "kind": "person.message_replied",
    "kinds": ["person.placed", "person.placement_started"],
    "fact": REPLIED,
    "sealed": ["message_id", "text", "thread_id"],
    "cause": "01939b40-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
    "through": "key:01939b41-2d3e-7f40-9b5c-6d7e8f9a0b1c",
    "host": "payroll.example",
    "next": "MTIwNA",
    "etag": '"7"',
    "only_kept": ["languages"],
    "csrf_token": "Jk3vT0pHnq1cS8yW",
    "permissions": ["people.read", "people.write"],
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "token": "lcrs_Zx81kQ0vPq7mT3nB5yLd",
    "attribute": "problem_solving",
    "rating": 4,
    "question": "right_to_work",
    "asked": "May you work in the United Kingdom?",
    "options": [],
    "accepts": ["yes"],
    "after_days": 4,
    # schemas of which a field says something else than it does elsewhere
    "Account.status": "active",
    "Account.why": "1 open job order",
    "ActivityLine.name": "Ana Lopez",
    "AgreementListed.text": "Until the end of next year.",
    "AnswerCount.answer": "prefer_not_to_say",
    "AnswerShown.text": "yes",
    "ApplicationShown.category": "client_interview",
    "ApplicationShown.channel": "job_board",
    "ApplicationShown.source": "engineering-jobs.example",
    "ApplicationShown.status": "to_answer",
    "Basics.label": "Programmer",
    "Basics.email": "ada@example.org",
    "Basics.phone": "+44 20 7946 0958",
    "Basics.url": "https://ada.example.org",
    "CampaignShown.purpose": "Weavers who may like to lead",
    "CampaignShown.slug": "spring",
    "CampaignShown.title": "Spring",
    "CandidateShown.candidate": "A",
    "Choice.id": "c1",
    "Choice.label": "Lorry to 7.5 t",
    "CompanyDocument.address": f"/companies/{COMPANY}/documents/{OFFER}",
    "CompanyDocument.name": "terms_signed.txt",
    "CompanyDocument.purpose": "terms",
    "CompanyDuplicate.duplicate": "Engine Works",
    "CompanyListed.id": COMPANY,
    "CompanyListed.name": "Engine Works Ltd",
    "CompanyListed.tags": ["key_account"],
    "CompanySegmentShown.slug": "key_clients",
    "CompanySegmentShown.title": "Key clients",
    "CompanyShown.id": COMPANY,
    "CompanyShown.name": "Engine Works Ltd",
    "CompanyShown.tags": ["key_account"],
    "ConsultantShown.name": "Ana Lopez",
    "Contact.name": "Grace Hopper",
    "Contact.person_id": CONTACT,
    "Contact.title": "Head of Engines",
    "DealCard.category": "proposal",
    "DealCard.id": DEAL,
    "DealCard.pipeline": "deal",
    "DealCard.stage": "proposal",
    "DealCard.title": "Retained search, two engineers",
    "DealChange.from_stage": "meeting",
    "DealChange.id": DEAL,
    "DealChange.path": ["prospect", "meeting", "proposal"],
    "DealChange.pipeline": "deal",
    "DealChange.title": "Retained search, two engineers",
    "DealChange.to_stage": "proposal",
    "DealCount.category": "proposal",
    "DealCount.label": "Proposal sent",
    "DealCount.stage": "proposal",
    "Delivery.fault": "",
    "Delivery.id": 88,
    "Delivery.status": 204,
    "Difference.before": "Interview",
    "Difference.now": "Client interview",
    "DocumentContent.name": "ada_byron.txt",
    "DocumentShown.address": f"/people/{ADA}/documents/{OFFER}",
    "DocumentShown.name": "ada_byron.txt",
    "Employment.title": "Head of Engines",
    "Engagement.kind": "person",
    "FieldIs.any_of": ["c1"],
    "FieldIs.at_least": None,
    "FieldIs.at_most": None,
    "FieldIs.field": "licence",
    "FieldShown.label": "Driving licence",
    "FieldShown.slug": "licence",
    "FieldShown.subject": "person",
    "FollowUp.text": "Call about the salary",
    "FunnelLine.group": "linkedin",
    "FunnelLine.name": "LinkedIn",
    "GoneQuiet.cadence_days": 60,
    "GoneQuiet.title": "Seniors in London",
    "Found.research_text": "Runs the team that built their engine.",
    "HistoryLine.line": "message received by email",
    "HistoryLine.text": "Yes, tell me more.",
    "Hit.kind": "person",
    "Hold.id": HOLD,
    "Hold.reason": "fee_dispute",
    "InstalmentShown.id": INSTALMENT,
    "InterviewShown.id": INTERVIEW,
    "InterviewShown.status": "arranged",
    "InvoiceShown.id": INVOICE,
    "JobOrderListed.id": ORDER,
    "JobOrderShown.id": ORDER,
    "JobPosting.description": "Difference engines, English",
    "JobPosting.skills": ["Difference engines", "English"],
    "Landing.links": LINKS,
    "Landing.name": "Ledger CRM",
    "LateLine.line": "message received by email",
    "LateLine.text": "Yes, tell me more.",
    "LinkShown.id": LINK,
    "MemberShown.name": "Ana Lopez",
    "MemberShown.consultant": "consultant:ana",
    "OfferShown.id": OFFER,
    "OfferShown.status": "made",
    "PersonOnIt.label": "A",
    "PipelineListed.slug": "talent",
    "PipelineListed.title": "Talent",
    "PipelineShown.slug": "talent",
    "PipelineShown.title": "Talent",
    "PoolShown.purpose": "For our evenings",
    "PoolShown.title": "Speakers",
    "Membership.title": "Speakers",
    "PlacementShown.remedy": "",
    "PlacementShown.status": "placed",
    "PostalAddress.addressLocality": "London",
    "ProblemKind.status": 422,
    "ProblemKind.title": "This lies in the future: what is written down here has happened.",
    "ProblemKind.type": "/problems/not-yet",
    "Profile.network": "LinkedIn",
    "Profile.url": "https://www.linkedin.com/in/ada-byron",
    "Profile.username": "ada-byron",
    "PropertyValue.name": "Ledger CRM",
    "PropertyValue.value": ORDER,
    "QuestionReport.question": "gender",
    "QuantitativeValue.maxValue": 90_000,
    "QuantitativeValue.minValue": 70_000,
    "Question.form": "yes_no",
    "Question.id": "right_to_work",
    "ReferralShown.kind": "candidate",
    "ReferralShown.subject": "Ada Byron",
    "Related.id": COMPANY,
    "Related.name": "Engine Works Ltd",
    "Ready.search": "typo-tolerant",
    "Ready.status": "ready",
    "Reply.subject": "Your application",
    "Reply.text": "Thank you for coming to us, Ada.",
    "Result.answer": {"id": ADA, "version": 7, "position": 1204},
    "Result.status": 201,
    "Resume.$schema": "https://raw.githubusercontent.com/jsonresume/resume-schema/v1.0.0/schema.json",
    "RevenueLine.key": COMPANY,
    "RevenueLine.label": "Engine Works Ltd",
    "SegmentShown.slug": "london_seniors",
    "SegmentShown.title": "Seniors in London",
    "Selected.items": [{"id": ADA, "name": "Ada Byron"}],
    "Signed.role": "consultant",
    "Skill.keywords": ["Bernoulli numbers"],
    "Skill.name": "Mathematics",
    "Standing.name": "people",
    "Stage.id": "client_interview",
    "StageChange.after": 5,
    "StageChange.before": 4,
    "StageChange.came": 3,
    "StageChange.entered": 5,
    "StageChange.net": 1,
    "StageShown.id": "client_interview",
    "TeamShown.purpose": "Engineers",
    "TeamShown.slug": "north",
    "TeamShown.title": "North",
    "TemplateShown.slug": "thanks",
    "TemplateShown.subject": "Your application",
    "TemplateShown.text": "Thank you for coming to us, {name}.",
    "TemplateShown.title": "Thanks",
    "TermsShown.milestones": {"signing": 1_000_000},
    "Target.agreements": [],
    "Thread.channel": "email",
    "Thread.last": "Yes, tell me more.",
    "VersionListed.title": "Talent",
    "WebhookShown.after": 1100,
    "WebhookShown.label": "payroll",
    "WebhookShown.old_secret_until_at": None,
    "ledger_crm.commands.resume.Job.endDate": "",
    "ledger_crm.commands.resume.Job.name": "Engine Works Ltd",
    "ledger_crm.commands.resume.Job.position": "Engineer",
    "ledger_crm.commands.resume.Job.startDate": "2024-01",
    "ledger_crm.commands.resume.Place.city": "London",
    "ledger_crm.commands.resume.Place.countryCode": "GB",
    "ledger_crm.commands.resume.Place.postalCode": "SW1Y 4JH",
    "ledger_crm.commands.resume.Place.region": "",
    "ledger_crm.projections.candidates.Step.decider": "",
    "ledger_crm.projections.pipelines.VersionShown.title": "Talent",
    "ledger_crm.projections.shortlists.Job.title": "Engineer",
    "ledger_crm.visits.Seen.about": "people.read",
    "ledger_crm.visits.Seen.id": 311,
    "ledger_crm.visits.Seen.what": "key_used",
    "ledger_crm.visits.Seen.network": "192.0.2.7",
}

REFUSED = {
    problems.status_of(type(each)): each
    for each in (
        problems.Malformed(faults=[problems.Fault("/starts_on", "expected a day like 2026-03-01")]),
        problems.KeyMissing(),
        problems.NotPermitted(permission="reports.read", role="resourcer"),
        NoSuchRecord(id=ADA),
        problems.NotAcceptable(),
        ContactPointTaken(holder=ADA),
        PersonIsErased(id=ADA),
        StaleVersion(id=ADA, expected=6, found=7),
        problems.BodyTooLarge(),
        problems.UnsupportedMediaType(),
        problems.AfterTheHead(after=12_040, head=1204),
        problems.TooManyRequests(retry_after_s=12),
        problems.InternalError(),
        problems.ReadModelBehind(after=1204, position=1201),
    )
}


def problem(status: int) -> dict[str, Any]:
    """An example of one."""
    _, body, _ = problems.told(REFUSED[status])
    found: dict[str, Any] = msgspec.to_builtins(body | {"request_id": VALUES["cause"]})
    return found


class Answers:
    """``made``: by name, for the document's components."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self.made: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()

    def of(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What stands beside a schema: an example, or one of each that it may be."""
        some = schema.get("anyOf", [schema])
        return {
            "examples": {n: {"$ref": f"#/components/examples/{n}"} for n in map(self._in, some)}
        }

    def _in(self, schema: dict[str, Any]) -> str:
        match schema:
            case {"$ref": str(ref)}:
                name = ref.rpartition("/")[2]
            case {"items": {"$ref": str(ref)}}:
                name = f"{ref.rpartition('/')[2]}_list"
            case {"items": {"type": "object"}}:
                name = "Selected_list"
                self.made[name] = {"value": VALUES["Selected.items"]}
            case _:
                name = "JsonSchema"
                self.made[name] = {"value": schema_of(NoteWritten)}
        if name not in self.made:
            self.made[name] = {"value": self._value(schema, "", ())}
        return name

    def _value(self, schema: dict[str, Any], field: str, within: Sequence[str]) -> Any:
        if (ref := schema.get("$ref")) and (name := ref.rpartition("/")[2]):
            return self._struct(name, [*within, name])
        if "const" in schema:
            return schema["const"]
        known = self._known(schema, field, within)
        if known is not MADE:
            return known
        some = [each for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
        if some:
            fit = [each for each in some if not _again(each, within)]
            return self._value(fit[0], field, within)
        match schema:
            case {"enum": [first, *_]}:
                return first
            case {"type": "null"}:
                return None
            case {"type": "array", "items": inner}:
                return [] if _again(inner, within) else [self._value(inner, field, within)]
            case {"type": "object"}:
                return {}
            case {"type": "boolean"}:
                return True
            case {"type": "integer" | "number"}:
                suffix = "_" + field.rpartition("_")[2]
                return max(MADE_BY_SUFFIX.get(suffix, 2), schema.get("minimum", 0))
            case {"format": "uuid"}:
                return ADA
            case {"format": "date"}:
                return DAY
            case {"format": "date-time"}:
                return MOMENT
        if field.endswith(("_at", "since")) or field in ("at", "until"):
            return MOMENT
        return words(field)

    def _struct(self, name: str, within: Sequence[str]) -> dict[str, Any]:
        schema = self._schemas[name]
        if "properties" not in schema:
            return dict(self._value(schema, name, within))
        fields = schema["properties"].items()
        return {field: self._value(of, field, within) for field, of in fields}

    def _known(self, schema: dict[str, Any], field: str, within: Sequence[str]) -> Any:
        """That may stand there."""
        own = f"{within[-1]}.{field}" if within else ""
        for key in (own, field):
            if key in VALUES and _fits(VALUES[key], schema, self._schemas):
                self.used.add(key)
                return VALUES[key]
        return MADE


MADE = object()  # from its type


def _again(schema: dict[str, Any], within: Sequence[str]) -> bool:
    return schema.get("$ref", "").rpartition("/")[2] in within


def _fits(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    if some := (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        return any(_fits(value, each, schemas) for each in some)
    if "$ref" in schema:
        found = schemas[schema["$ref"].rpartition("/")[2]]
        return isinstance(value, dict) and value.keys() >= set(found.get("required", ()))
    if "enum" in schema:
        return value in schema["enum"]
    match value:
        case None:
            return bool(schema.get("type") == "null")
        case bool():
            return bool(schema.get("type") == "boolean")
        case int():
            return schema.get("type") in ("integer", "number")
        case str():
            looks = {"uuid": ADA, "date": DAY, "date-time": MOMENT}.get(schema.get("format", ""))
            alike = looks is None or (len(looks), looks.count("-")) == (
                len(value),
                value.count("-"),
            )
            return bool(schema.get("type") == "string" and alike)
        case list():
            inner = schema.get("items", {})
            return schema.get("type") == "array" and all(_fits(e, inner, schemas) for e in value)
    return bool(schema.get("type") == "object")
