"""A person: candidate, client contact, often both, in one record for ever.

    source -> (record | add_contact_point | employ | open_candidacy -> move* -> introduce -> place)*

Rules: who asked us to stop is not contacted, but by a named consultant who says why; a contact
point belongs to one person; a candidacy moves within its job order's pipeline;
nobody is introduced without an open job order, a right to represent and terms in force; a
rejection says who decided and why; nobody is placed twice on one candidacy, nor full-time in two
jobs at once but by a named consultant who says why; about whoever is erased nothing is written any
more but what the books need; records that are merged decide as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

import msgspec

from . import candidacy as c
from . import interview as i
from .application import AlreadyApplied, Applied, ScreeningAnswered
from .campaign import (
    CampaignEnd,
    CampaignFinished,
    CampaignStopped,
    Enrolled,
    Enrolment,
    NotEnrolled,
)
from .clock import now, today
from .contact import Point, normalised
from .custom import CustomFieldCleared, CustomFieldSet, PersonFields, known_as
from .document import DocumentAdded, DocumentRemoved, DocumentThere, NoSuchDocument
from .engagement import PersonQuietSnoozed, must_be_in_order, must_lie_ahead
from .entry import (
    Actor,
    Event,
    IdTaken,
    Instant,
    PersonFact,
    Reason,
    Reservation,
    Sealed,
    Slug,
    Somebody,
    id_of,
    words,
)
from .fee import Share, Terms, guarantee_until, must_sum_up, tail_until
from .followup import (
    FollowUpChanges,
    FollowUpDone,
    FollowUpIdTaken,
    FollowUpPromised,
    FollowUpSnoozed,
    must_be_owed,
)
from .identity import (
    ContactPointPreferred,
    ContactPointRemoved,
    EmploymentEnded,
    NoSuchContactPoint,
    NotEmployed,
    NothingChanged,
    PersonTagged,
    PersonUntagged,
    PointChanges,
    ProfileChanged,
    Source,
    Tags,
)
from .interaction import (
    CallHeld,
    Interaction,
    MessageOpened,
    MessageReplied,
    MessageSent,
    NoteWritten,
    Outbound,
)
from .market import Researched
from .merging import (
    Absorbed,
    BothOnJobOrder,
    BothPlacedThere,
    Mergeable,
    Merged,
    PermittedSince,
    PersonMerged,
    PersonUnmerged,
    Unmerged,
)
from .permission import (
    Consent,
    ConsentGiven,
    ConsentWithdrawn,
    DoNotContact,
    DoNotContactLifted,
    DoNotContactSet,
    LastsUntilBefore,
    NoConsent,
    NotAConsultant,
    Permissions,
    Said,
    Word,
    must_last,
)
from .pipeline import OF_CLIENT, Category, Pipeline, Stage
from .placement import (
    BackdoorSuspected,
    CommissionSplit,
    FellThrough,
    GuaranteeEnded,
    NotPlaced,
    PlacedAtOnce,
    Placement,
    PlacementFact,
    PlacementStarted,
    Remedy,
)
from .pool import PersonPooled, PersonUnpooled, Pooling
from .privacy import (
    ErasureDeferred,
    ErasureRequested,
    HoldIdTaken,
    LegalHoldPlaced,
    LegalHoldReleased,
    NoErasureRequested,
    NoSuchHold,
    PersonErased,
    PersonIsErased,
    PrivacyFacts,
    UnderLegalHold,
)
from .referral import (
    CandidatePassedOn,
    CandidateReferralFee,
    CandidateReferrals,
    Referral,
    ReferralFee,
    Referrals,
)
from .refusals import Conflict, Forbidden, Invalid, Unknown
from .screening import Answer, Question, must_answer
from .shortlist import (
    ClientCommented,
    NothingSaid,
    PresentationWritten,
    RejectionNeedsReason,
    VerdictGiven,
)

THE_BOOKS = (
    PlacementStarted,
    FellThrough,
    GuaranteeEnded,
    CommissionSplit,
    CandidateReferralFee,
    c.CandidacyClosed,
    i.InterviewCalledOff,
    i.OfferDeclined,
    i.OfferWithdrawn,
)
"""What may still be written about somebody who is erased: what is owed for them, and that what was
open with them is over."""

REJECTS: dict[Category, tuple[c.Deciders, ...]] = {
    "rejected_by_us": ("us", "rule"),
    "rejected_by_client": ("client",),
}
"""Who rejects somebody in these exits, and is named: a human or a rule."""

LawfulBasis = Literal["legitimate_interest", "consent", "contract", "legal_obligation"]
Role = Literal["employee", "hiring_manager", "hr", "finance", "referrer"]


class PersonSourced(PersonFact, frozen=True, kw_only=True, tag="person.sourced"):
    """We found them. The first fact about everybody.

    origin      where exactly: a search, a profile, who referred them
    found_by    who of us found them; "" for who wrote it down
    sourced_at  None: as the entry
    born_on     ISO 8601 day
    """

    name: Sealed
    channel: Source = "other"
    origin: Sealed = ""
    lawful_basis: LawfulBasis = "legitimate_interest"
    sourced_at: Instant | None = None
    headline: Sealed = ""
    address: Sealed = ""
    born_on: Sealed = ""
    found_by: Somebody = ""

    @property
    def line(self) -> str:
        return f"sourced by {words(self.channel)}"


class ContactPointAdded(PersonFact, frozen=True, kw_only=True, tag="person.contact_point_added"):
    """A way to reach them that nobody else has.

    value           in the one form of ``domain.contact``
    added_at        since when we have it; None: as the entry
    valid_from_on   the first day on which they are reached there; None: always were
    valid_until_on  the last one
    """

    point: Point
    value: Sealed
    added_at: Instant | None = None
    valid_from_on: date | None = None
    valid_until_on: date | None = None

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation(self.point, self.value, ContactPointTaken),)

    @property
    def line(self) -> str:
        return f"{self.point} added"


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


PersonEvents = PersonSourced | ContactPointAdded | Employed | Permissions


class ContactPointTaken(Conflict):
    """Another person has this contact point: it is probably the same person."""


class NameMissing(Invalid):
    """A person needs a name."""

    field = "name"


class NotOneLine(Invalid):
    """A name is plain text in one line."""

    field = "name"


class NotADay(Invalid):
    """A day of birth is written like 1990-12-31."""

    field = "born_on"


class NoSuchCandidacy(Unknown):
    """This person has no such candidacy."""


class CandidacyIsOpen(Conflict):
    """This person is on this job order already."""


class CandidacyIsClosed(Conflict):
    """This candidacy is closed; move it to a stage in use to reopen it."""


class CandidacyIsPlaced(Conflict):
    """They are placed on this job order: what comes after is no longer a candidacy."""


class NotABeginning(Invalid):
    """A candidacy begins in a stage in use that is no exit; nobody begins with the client, and
    nobody placed."""

    field = "stage"


class NoRightToRepresent(Forbidden):
    """Nobody is introduced without a right to represent for this job order, nor before it was
    given."""


class ReasonMissing(Invalid):
    """An exit needs a reason, whose decision it was, and the human or rule that decided."""

    field = "reason"


class NotByMoving(Conflict):
    """Nobody gets to this stage by being moved: introduce or place them instead."""


class WrongSide(Invalid):
    """Whoever rejects somebody is who the exit says: we or a rule of ours, or the client."""

    field = "decided_by"


class NotIntroduced(Conflict):
    """Nobody is placed before being introduced to the client under terms."""


class ValidUntilBefore(Invalid):
    """A contact point is valid until a day that lies before the first one."""

    field = "valid_until_on"


class EndsBeforeItStarts(Invalid):
    """The last day lies before the first one."""

    field = "ends_on"


class Candidacy(msgspec.Struct):
    """What the next decision on a candidacy needs."""

    company_id: UUID
    job_order_id: UUID
    pipeline: str
    closed: bool = False
    applied: bool = False  # and nobody has closed it since
    represented_at: datetime | None = None  # since when we may put them forward
    agreement_id: UUID | None = None
    agreement_version: int = 1
    introduced_on: date | None = None
    tail_until_on: date | None = None
    placement: Placement | None = None
    backdoor: bool = False
    progress: i.Progress = msgspec.field(default_factory=i.Progress)
    verdicts: dict[UUID, VerdictGiven] = {}  # the last one of each contact

    @property
    def placed(self) -> bool:
        return self.placement is not None


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a candidacy goes. Into an exit: with a reason and who decided."""

    stage: Slug
    at: Instant
    reason: Reason = ""
    decided_by: c.Deciders | None = None
    decider: Sealed = ""
    text: Sealed = ""


class Person(Mergeable):
    TOPIC = "person"
    AS_MERGED = PersonMerged
    AS_UNMERGED = PersonUnmerged

    def __init__(self) -> None:
        super().__init__()
        self.points: set[tuple[Point, str]] = set()
        self.preferred: dict[Point, str] = {}
        self.tags: set[str] = set()
        self.employments: dict[Employed, date | None] = {}  # and the last day of each
        self.pools: set[str] = set()
        self.campaigns: dict[str, Enrolment] = {}  # that run
        self.ended: dict[str, datetime] = {}  # those that ran: when that ended, the last time
        self.documents: dict[UUID, str] = {}  # and the digest of each
        self.follow_ups: dict[UUID, bool] = {}  # whether each is done
        self.custom: dict[UUID | None, dict[str, str]] = {}  # of a placement; None: their own
        self.referrals = Referrals()
        self.consent: Said[Word] = Said()
        self.contact: Said[Word] = Said()
        self.candidacies: dict[UUID, Candidacy] = {}
        self.to_be_erased = False
        self.holds: dict[UUID, bool] = {}  # whether each is still placed
        self.erased = False

    def enter(self, event: Event, *, by: Actor) -> None:
        """Raises PersonIsErased, NotYet."""
        if not isinstance(event, THE_BOOKS):
            self.must_be_here()
        super().enter(event, by=by)

    def _holds(self, event: Event) -> bool:
        """This record itself has what the fact goes on with."""
        match event:
            case PersonUntagged(tag=tag):
                return tag in self.tags
            case PersonUnpooled(pool=pool):
                return pool in self.pools
            case ContactPointRemoved() | ContactPointPreferred():
                return (event.point, event.value) in self.points
            case EmploymentEnded(company_id=company_id):
                return any(
                    job.company_id == company_id and ends_on is None
                    for job, ends_on in self.employments.items()
                )
            case CustomFieldCleared(candidacy_id=None, field=field):
                return field in self.custom.get(None, {})
            case ErasureDeferred():
                return self.to_be_erased
            case LegalHoldReleased(hold_id=id):
                return id in self.holds
            case FollowUpDone(follow_up_id=id) | FollowUpSnoozed(follow_up_id=id):
                return id in self.follow_ups
            case DocumentRemoved(document_id=id):
                return id in self.documents
            case CandidateReferralFee(referral_id=id):
                return id in self.referrals.kept
        return getattr(event, "candidacy_id", None) in self.candidacies

    @property
    def every_candidacy(self) -> dict[UUID, Candidacy]:
        if not self.beside:
            return self.candidacies
        return {id: found for one in self.everyone for id, found in one.candidacies.items()}

    @property
    def every_employment(self) -> dict[Employed, date | None]:
        if not self.beside:
            return self.employments
        return {job: ends for one in self.everyone for job, ends in one.employments.items()}

    def fields_of(self, candidacy_id: UUID | None) -> dict[str, str]:
        """What is known in custom fields of a placement; None: of them."""
        every = [one.custom.get(candidacy_id, {}) for one in reversed(self.everyone)]
        return {field: value for known in every for field, value in known.items()}

    def with_candidacy(self, id: UUID) -> Person:
        """The record that it is on. Raises NoSuchCandidacy."""
        self.candidacy(id)
        return next(one for one in self.everyone if id in one.candidacies)

    def candidacy_on(self, job_order_id: UUID) -> UUID:
        """Theirs on this job order, an open one before one that is closed; else the id that it
        would have."""
        found = [
            (candidacy.closed, nth, id)
            for nth, (id, candidacy) in enumerate(self.every_candidacy.items())
            if candidacy.job_order_id == job_order_id
        ]
        return min(found)[2] if found else candidacy_id(self.id, job_order_id)

    def _must_fit(self, duplicate: Person, fact: Absorbed) -> None:
        """Raises PermittedSince, BothOnJobOrder, BothPlacedThere."""
        for word in (*self.consent.words, *self.contact.words):
            if not word.refuses and word.said_at >= fact.absorbed_at:
                raise PermittedSince(person_id=self.id, said_at=word.said_at)
        ours, theirs = self.every_candidacy.values(), duplicate.every_candidacy.values()
        for stands, refusal in (
            (lambda found: found.placed, BothPlacedThere),
            (lambda found: not found.closed, BothOnJobOrder),
        ):
            both = {c.job_order_id for c in ours if stands(c)}
            both &= {c.job_order_id for c in theirs if stands(c)}
            if both:
                raise refusal(
                    survivor_id=self.id, duplicate_id=duplicate.id, job_order_ids=sorted(both)
                )

    def must_be_here(self) -> None:
        """First of all, so that whoever is erased is refused as that."""
        if self.erased:
            raise PersonIsErased(person_id=self.id)

    @classmethod
    def source(cls, fact: PersonSourced, *, by: Actor, id: UUID | None = None) -> Self:
        """Raises NameMissing, NotOneLine, NotADay."""
        must_be_a_name(fact.name)
        _must_be_a_day(fact.born_on)
        return cls.open(fact, by=by, id=id)

    def change_profile(self, fact: ProfileChanged, *, by: Actor) -> None:
        """Raises NothingChanged, NameMissing, NotOneLine, NotADay."""
        self.must_be_here()
        sets = {n for n in type(fact).__struct_fields__ if n not in ("cleared", "changed_at")}
        sets = {name for name in sets if getattr(fact, name)}
        if not sets | set(fact.cleared) or sets & set(fact.cleared):
            raise NothingChanged()
        if fact.name:
            must_be_a_name(fact.name)
        _must_be_a_day(fact.born_on)
        self.enter(fact, by=by)

    def tag(self, fact: Tags, *, by: Actor) -> None:
        """What is so already is a no-op."""
        self.must_be_here()
        tagged = [one for one in self.everyone if fact.tag in one.tags]
        self.turn(fact, tagged, there=isinstance(fact, PersonTagged), by=by)

    def record(self, interaction: Interaction, *, by: Actor) -> None:
        """A reply stops the campaigns that they were in by then. Raises NoConsent, DoNotContact if
        we contact them first; NotAConsultant for an override by anybody else; NotEnrolled."""
        self.must_be_here()
        if isinstance(interaction, Outbound):
            at = interaction.occurred_at or now() if interaction.by_us else None
            self._must_be_contactable(at, interaction.override, by)
        holder = self
        if isinstance(interaction, MessageSent) and (campaign := interaction.campaign):
            holder = self._must_be_enrolled(campaign, interaction.sent_at)
        holder.enter(interaction, by=by)
        if isinstance(interaction, MessageReplied):
            self._stop_campaigns("replied", interaction.replied_at, by)

    def enroll(self, fact: Enrolled, *, by: Actor) -> None:
        """Then and now, for they are to be written to. What is so already is a no-op. Raises
        NoConsent, DoNotContact, NotAConsultant."""
        self.must_be_here()
        at = fact.enrolled_at or now()
        for moment in (at, now()):
            self._must_be_contactable(moment, fact.override, by)
        if not self.enrolment(fact.campaign):
            self.enter(msgspec.structs.replace(fact, enrolled_at=at), by=by)

    def end_campaign(self, fact: CampaignEnd, *, by: Actor) -> None:
        """By whichever record they are in it. What is so already is a no-op."""
        self.must_be_here()
        end = "finished_at" if isinstance(fact, CampaignFinished) else "stopped_at"
        fact = msgspec.structs.replace(fact, **{end: getattr(fact, end) or now()})
        for one in self._enrolled(fact.campaign):
            one.enter(fact, by=by)

    def enrolment(self, campaign: str) -> Enrolment | None:
        """One that runs; of several the one that has got furthest."""
        return next((one.campaigns[campaign] for one in self._enrolled(campaign)), None)

    def _enrolled(self, campaign: str) -> list[Person]:
        """Records by which they are in it; first the one that has got furthest, which goes on."""
        found = [one for one in self.everyone if campaign in one.campaigns]
        return sorted(found, key=lambda one: -one.campaigns[campaign].sent)

    def _must_be_enrolled(self, campaign: str, at: datetime) -> Person:
        """The record by which they are in it, or were then: what is told late was sent as well."""
        found = self._enrolled(campaign)
        found += [one for one in self.everyone if (end := one.ended.get(campaign)) and at <= end]
        if not found:
            raise NotEnrolled(person_id=self.id, campaign=campaign)
        return found[0]

    def _stop_campaigns(
        self, reason: Reason, at: datetime, by: Actor, *, still: bool = False
    ) -> None:
        """Those that they were in by then; all of them if it is so ``still``, however late it is
        told."""
        for one in self.everyone:
            for campaign, enrolment in sorted(one.campaigns.items()):
                if still or enrolment.at <= at:
                    end = max(at, enrolment.at)
                    stopped = CampaignStopped(campaign=campaign, reason=reason, stopped_at=end)
                    one.enter(stopped, by=by)

    def _must_be_contactable(self, at: datetime | None, override: str, by: Actor) -> None:
        """``at``: None if they contact us."""
        if override and not by.startswith("consultant:"):
            raise NotAConsultant(actor=by)
        if at and not override:
            self._must_be_free(at)

    def _must_be_free(self, at: datetime) -> None:
        for said in self.said(lambda one: one.consent):
            if word := said.refusal(at):
                ended = None if word.refuses else word.until_on
                raise NoConsent(person_id=self.id, since=word.said_at, ended_on=ended)
        for said in self.said(lambda one: one.contact):
            if word := said.refusal(at):
                raise DoNotContact(person_id=self.id, since=word.said_at, until_on=word.until_on)

    def works_at(self, at: datetime) -> list[UUID]:
        """Companies that they work at on that day as anybody: who hires for one, or pays for it,
        is our contact there. Also where we placed them, though nobody wrote an employment."""
        jobs = {job.company_id for job in self.jobs_at(at.date()) if job.role == "employee"}
        return sorted(jobs | self._placed_at(at.date()))

    def _placed_at(self, day: date) -> set[UUID]:
        """Until they fall through, an employment there ends, or they begin elsewhere on a day that
        is known. An employment there says itself as what they are there."""
        begun = [
            (job.starts_on, id, found.company_id, job.full_time)
            for id, found in self.every_candidacy.items()
            if (job := found.placement) and not job.fallen and job.starts_on <= day
        ]

        def went_on(since: date, id: UUID, company_id: UUID) -> bool:
            for job, ends_on in self.every_employment.items():
                if job.company_id != company_id:
                    gone = job.starts_on is not None and since < job.starts_on <= day
                else:
                    there = (job.starts_on or day) <= day <= (ends_on or day)
                    gone = there or (ends_on is not None and since <= ends_on < day)
                if gone:
                    return True
            return any(
                (later, other) > (since, id) and (full_time or at_id == company_id)
                for later, other, at_id, full_time in begun
            )

        return {at_id for since, id, at_id, _ in begun if not went_on(since, id, at_id)}

    def jobs_at(self, day: date) -> list[Employed]:
        """Where they work on that day, and as what."""
        return [
            job
            for job, ends_on in self.every_employment.items()
            if (job.starts_on or day) <= day <= (ends_on or day)
        ]

    def permit(self, fact: Permissions, *, by: Actor) -> None:
        """What they allow us, or no longer. The same again is a no-op. Raises LastsUntilBefore."""
        self.must_be_here()
        must_last(fact.word)
        said = self.consent if isinstance(fact, Consent) else self.contact
        if fact.word in said.words:
            return
        self.enter(fact, by=by)
        if isinstance(fact, DoNotContactSet | ConsentWithdrawn):
            reason = "do_not_contact" if isinstance(fact, DoNotContactSet) else "consent_withdrawn"
            still = said.refusal(now()) == fact.word
            self._stop_campaigns(reason, fact.word.said_at, by, still=still)

    def ask_privacy(self, fact: PrivacyFacts, *, by: Actor) -> None:
        """What is so already is a no-op. Raises NoErasureRequested, LastsUntilBefore, HoldIdTaken,
        NoSuchHold."""
        self.must_be_here()
        holds = {id: placed for one in self.everyone for id, placed in one.holds.items()}
        asked = any(one.to_be_erased for one in self.everyone)
        match fact:
            case ErasureRequested() if asked:
                return
            case ErasureDeferred():
                if not asked:
                    raise NoErasureRequested(person_id=self.id)
                if fact.until_on < fact.deferred_at.date():
                    raise LastsUntilBefore(until_on=fact.until_on)
            case LegalHoldPlaced(hold_id=id) if id in holds:
                raise HoldIdTaken(person_id=self.id, hold_id=id)
            case LegalHoldReleased(hold_id=id) if id not in holds:
                raise NoSuchHold(person_id=self.id, hold_id=id)
            case LegalHoldReleased(hold_id=id) if not holds[id]:
                return
        self.enter(fact, by=by)

    def erase(self, *, reason: Reason = "", by: Actor) -> None:
        """For ever, with all that is merged. Again, it is a no-op. Raises UnderLegalHold."""
        self._must_not_be_held()
        for one in reversed(self.everyone):
            if not one.erased:
                one.enter(PersonErased(erased_at=now(), reason=reason), by=by)

    def _must_not_be_held(self) -> None:
        holds = [item for one in self.everyone for item in one.holds.items()]
        if held := [id for id, placed in holds if placed]:
            raise UnderLegalHold(person_id=self.id, hold_ids=held)

    def snooze_quiet(self, fact: PersonQuietSnoozed, *, by: Actor) -> None:
        """Raises LastsUntilBefore, SnoozeNeedsReason."""
        self.must_be_here()
        must_be_in_order(fact)
        self.enter(fact, by=by)

    def pool(self, fact: Pooling, *, by: Actor) -> None:
        """What is so already is a no-op."""
        self.must_be_here()
        pooled = [one for one in self.everyone if fact.pool in one.pools]
        self.turn(fact, pooled, there=isinstance(fact, PersonPooled), by=by)

    def learn(self, fact: PersonFields, *, by: Actor) -> None:
        """A custom field. What is so already is a no-op."""
        self.must_be_here()
        before = self.fields_of(fact.candidacy_id).get(fact.field, "")
        if before == (known_as(fact) if isinstance(fact, CustomFieldSet) else ""):
            return
        if isinstance(fact, CustomFieldSet):
            self.enter(fact, by=by)
        else:
            known = [o for o in self.everyone if fact.field in o.custom.get(fact.candidacy_id, {})]
            self.turn(fact, known, there=False, by=by)

    def refer(self, fact: CandidateReferrals, *, by: Actor) -> None:
        """To us or to a partner. Raises ReferralIdTaken, ReferrerMissing; for a partner NoConsent,
        DoNotContact."""
        self.must_be_here()
        for one in self.everyone:
            one.referrals.must_take(one.id, fact)
        if isinstance(fact, CandidatePassedOn):
            self._must_be_free(fact.given_at)
        self.enter(fact, by=by)

    def tell_referral_fee(self, fact: CandidateReferralFee, *, by: Actor) -> None:
        """Raises as ``Referrals.told``."""
        theirs = (one for one in self.everyone if fact.referral_id in one.referrals.kept)
        whose = next(theirs, self)
        whose.enter(whose.referrals.told(fact), by=by)

    def research(self, fact: Researched, *, by: Actor) -> None:
        self.must_be_here()
        self.enter(fact, by=by)

    def must_not_have(self, digest: str) -> None:
        """Raises DocumentThere."""
        self.must_be_here()
        for id, known in ((id, it) for one in self.everyone for id, it in one.documents.items()):
            if known == digest:
                raise DocumentThere(person_id=self.id, document_id=id)

    def add_document(self, fact: DocumentAdded, *, by: Actor) -> None:
        """Raises DocumentThere."""
        self.must_not_have(fact.digest)
        self.enter(fact, by=by)

    def remove_document(self, fact: DocumentRemoved, *, by: Actor) -> None:
        """Its bytes are gone for ever. Raises NoSuchDocument, UnderLegalHold."""
        self.must_be_here()
        if not any(fact.document_id in one.documents for one in self.everyone):
            raise NoSuchDocument(person_id=self.id, document_id=fact.document_id)
        self._must_not_be_held()
        self.enter(fact, by=by)

    def promise(self, fact: FollowUpPromised, *, by: Actor) -> None:
        """Raises FollowUpIdTaken."""
        self.must_be_here()
        if any(fact.follow_up_id in one.follow_ups for one in self.everyone):
            raise FollowUpIdTaken(person_id=self.id, follow_up_id=fact.follow_up_id)
        self.enter(fact, by=by)

    def follow_up(self, fact: FollowUpChanges, *, by: Actor) -> None:
        """Raises NoSuchFollowUp, FollowUpIsDone, LastsUntilBefore."""
        self.must_be_here()
        promised = {id: done for one in self.everyone for id, done in one.follow_ups.items()}
        must_be_owed(promised, fact, person_id=self.id)
        if isinstance(fact, FollowUpSnoozed):
            must_lie_ahead(fact)
        self.enter(fact, by=by)

    def add_contact_point(
        self,
        point: Point,
        value: str,
        *,
        at: datetime | None = None,
        valid_from_on: date | None = None,
        valid_until_on: date | None = None,
        by: Actor,
    ) -> None:
        """One that they have already is a no-op. Raises ValidUntilBefore, and what ``normalised``
        raises."""
        self.must_be_here()
        if valid_from_on and valid_until_on and valid_until_on < valid_from_on:
            raise ValidUntilBefore()
        fact = ContactPointAdded(
            point=point,
            value=normalised(point, value),
            added_at=at,
            valid_from_on=valid_from_on,
            valid_until_on=valid_until_on,
        )
        if not any((point, fact.value) in one.points for one in self.everyone):
            self.enter(fact, by=by)

    def change_contact_point(self, fact: PointChanges, *, by: Actor) -> None:
        """Remove one, or make it the primary one of its kind; that again is a no-op. Raises
        NoSuchContactPoint, and what ``normalised`` raises."""
        self.must_be_here()
        fact = msgspec.structs.replace(fact, value=normalised(fact.point, fact.value))
        if not any((fact.point, fact.value) in one.points for one in self.everyone):
            raise NoSuchContactPoint(person_id=self.id, point=fact.point)
        again = not self.beside and self.preferred.get(fact.point) == fact.value
        if not (again and isinstance(fact, ContactPointPreferred)):
            self.enter(fact, by=by)

    def employ(self, fact: Employed, *, above: Iterable[UUID] = (), by: Actor) -> None:
        """The same again is a no-op. ``above``: companies that this one belongs to. Raises
        EndsBeforeItStarts."""
        self.must_be_here()
        if fact.starts_on and fact.ends_on and fact.ends_on < fact.starts_on:
            raise EndsBeforeItStarts()
        if fact not in self.every_employment:
            self.enter(fact, by=by)
            self._flag_backdoors(fact, {fact.company_id, *above}, by)

    def end_employment(self, fact: EmploymentEnded, *, by: Actor) -> None:
        """Raises NotEmployed, EndsBeforeItStarts."""
        self.must_be_here()
        held = [
            job
            for one in self.everyone
            for job, ends_on in one.employments.items()
            if job.company_id == fact.company_id and ends_on is None
        ]
        if not held:
            raise NotEmployed(person_id=self.id, company_id=fact.company_id)
        if any(job.starts_on and fact.ends_on < job.starts_on for job in held):
            raise EndsBeforeItStarts()
        self.turn(fact, [o for o in self.everyone if o._holds(fact)], there=False, by=by)

    def open_candidacy(
        self,
        pipeline: Pipeline,
        *,
        company_id: UUID,
        job_order_id: UUID,
        at: datetime,
        stage: str = "",
        text: str = "",
        past: bool = False,
        by: Actor,
    ) -> UUID:
        """In the pipeline's first stage if none is named. ``past``: as ``move``. Raises
        CandidacyIsOpen, NoSuchStage, StageIsRetired, NotABeginning."""
        self.must_be_here()
        id = self.candidacy_on(job_order_id)
        if id in self.every_candidacy:
            raise CandidacyIsOpen(person_id=self.id, candidacy_id=id)
        target = pipeline.stage(stage) if stage else pipeline.first()
        with_client = target.category in OF_CLIENT and not past
        if target.is_exit or with_client or target.category in ("submitted", "placed"):
            raise NotABeginning(stage=target.id)
        self.enter(
            c.CandidacyOpened(
                candidacy_id=id,
                company_id=company_id,
                job_order_id=job_order_id,
                pipeline=pipeline.slug,
                stage=target.id,
                category=target.category,
                opened_at=at,
                text=text,
            ),
            by=by,
        )
        return id

    def take_application(
        self,
        pipeline: Pipeline,
        questions: Sequence[Question],
        *,
        company_id: UUID,
        job_order_id: UUID,
        at: datetime,
        channel: Source,
        source: str = "",
        answers: Sequence[Answer] = (),
        text: str = "",
        by: Actor,
    ) -> UUID:
        """They are on the job order from now on, if they were not yet; who was rejected applies
        anew, and begins anew. Raises CandidacyIsPlaced, AlreadyApplied, and as ``must_answer``."""
        self.must_be_here()
        must_answer(questions, answers)
        id = self.candidacy_on(job_order_id)
        found = self.every_candidacy.get(id)
        if found is None:
            self.open_candidacy(
                pipeline, company_id=company_id, job_order_id=job_order_id, at=at, by=by
            )
        elif found.closed:
            self.move(id, Move(stage=pipeline.first().id, at=at), pipeline, by=by)
        elif found.placed:
            raise CandidacyIsPlaced(candidacy_id=id)
        elif found.applied:
            raise AlreadyApplied(person_id=self.id, candidacy_id=id)
        where = {"candidacy_id": id, "company_id": company_id, "job_order_id": job_order_id}
        fact = Applied(**where, applied_at=at, channel=channel, source=source, text=text)
        self.enter(fact, by=by)
        for given in answers:
            answer = ScreeningAnswered(
                **where, question=given.question, answered_at=at, text=given.text
            )
            self.enter(answer, by=by)
        return id

    def move(
        self,
        candidacy_id: UUID,
        to: Move,
        pipeline: Pipeline,
        *,
        past: bool = False,
        by: Actor,
    ) -> None:
        """Forward, back, out or in again. ``past``: it happened elsewhere, and so did the
        introduction, if there was one. Raises NoSuchCandidacy, NoSuchStage, StageIsRetired,
        ReasonMissing, WrongSide, NotByMoving, NotPutForward, CandidacyIsPlaced; CandidacyIsOpen if
        a merged record has another there."""
        found, stage = self.candidacy(candidacy_id), pipeline.stage(to.stage)
        if found.placed:
            raise CandidacyIsPlaced(candidacy_id=candidacy_id)
        if stage.category in ("submitted", "placed"):
            raise NotByMoving(stage=stage.id)
        if stage.category in OF_CLIENT and found.agreement_id is None and not past:
            raise i.NotPutForward(candidacy_id=candidacy_id)
        where = _where(candidacy_id, found, stage)
        if stage.is_exit:
            rejects = REJECTS.get(stage.category)
            named = to.decider or (to.decided_by in ("client", "candidate") and not rejects)
            if not (to.reason and to.decided_by and named):
                raise ReasonMissing(stage=stage.id)
            if rejects and to.decided_by not in rejects:
                raise WrongSide(stage=stage.id, decided_by=to.decided_by, allowed=rejects)
            event: Event = c.CandidacyClosed(
                **where,
                closed_at=to.at,
                reason=to.reason,
                decided_by=to.decided_by,
                decider=to.decider,
                text=to.text,
            )
        elif found.closed:
            other = self.candidacy_on(found.job_order_id)
            if not self.candidacy(other).closed:  # of a merged record
                raise CandidacyIsOpen(person_id=self.id, candidacy_id=other)
            event = c.CandidacyReopened(**where, reopened_at=to.at, text=to.text)
        else:
            event = c.CandidacyMoved(**where, moved_at=to.at, text=to.text)
        self.enter(event, by=by)

    def give_right_to_represent(
        self, candidacy_id: UUID, *, at: datetime, text: str = "", by: Actor
    ) -> None:
        """Given again is a no-op, unless it was sooner than is known. Raises NoSuchCandidacy."""
        self.must_be_here()
        found = self.candidacy(candidacy_id)
        if found.represented_at is None or at < found.represented_at:
            self.enter(
                c.RightToRepresentGiven(
                    candidacy_id=candidacy_id,
                    company_id=found.company_id,
                    job_order_id=found.job_order_id,
                    given_at=at,
                    text=text,
                ),
                by=by,
            )

    def introduce(
        self,
        candidacy_id: UUID,
        pipeline: Pipeline,
        *,
        terms: Terms,
        at: datetime,
        to_person_id: UUID | None = None,
        override: str = "",
        text: str = "",
        by: Actor,
    ) -> None:
        """The terms of a first introduction stay. Raises NoSuchCandidacy, CandidacyIsClosed,
        NoRightToRepresent, CandidacyIsPlaced; NoConsent or DoNotContact without an override,
        NotAConsultant for one by anybody else."""
        self.must_be_here()
        found = self.candidacy(candidacy_id)
        if found.closed:
            raise CandidacyIsClosed(candidacy_id=candidacy_id)
        if found.represented_at is None or found.represented_at > at:
            raise NoRightToRepresent(candidacy_id=candidacy_id, since=found.represented_at)
        stage = pipeline.in_category("submitted")
        if found.placed:
            raise CandidacyIsPlaced(candidacy_id=candidacy_id)
        self._must_be_contactable(at, override, by)
        first = found.agreement_id is None
        self.enter(
            c.Introduced(
                **_where(candidacy_id, found, stage),
                introduced_at=at,
                agreement_id=found.agreement_id or terms.agreement_id,
                agreement_version=terms.version if first else found.agreement_version,
                tail_until_on=tail_until(terms, at) if first else found.tail_until_on,
                to_person_id=to_person_id,
                override=override,
                text=text,
            ),
            by=by,
        )

    def place(
        self,
        candidacy_id: UUID,
        pipeline: Pipeline,
        *,
        at: datetime,
        starts_on: date,
        first_year_pay_cents: int,
        fee_cents: int,
        currency: str,
        full_time: bool = True,
        override: str = "",
        shares: Sequence[Share] = (),
        by: Actor,
        **rest: Any,
    ) -> None:
        """``rest``: further fields of the fact. Raises NoSuchCandidacy, CandidacyIsClosed,
        NotIntroduced, CandidacyIsPlaced, SharesIncomplete; PlacedAtOnce without an override,
        NotAConsultant for one by anybody else."""
        self.must_be_here()
        found = self.candidacy(candidacy_id)
        if found.closed:
            raise CandidacyIsClosed(candidacy_id=candidacy_id)
        if found.agreement_id is None:
            raise NotIntroduced(candidacy_id=candidacy_id)
        stage = pipeline.in_category("placed")
        if found.placed:
            raise CandidacyIsPlaced(candidacy_id=candidacy_id)
        if shares:
            must_sum_up(shares)
        if override and not by.startswith("consultant:"):
            raise NotAConsultant(actor=by)
        if full_time and not override:
            self._must_be_free_to_start(starts_on)
        self.enter(
            c.Placed(
                **_where(candidacy_id, found, stage),
                placed_at=at,
                starts_on=starts_on,
                first_year_pay_cents=first_year_pay_cents,
                fee_cents=fee_cents,
                currency=currency,
                agreement_id=found.agreement_id,
                agreement_version=found.agreement_version,
                full_time=full_time,
                override=override,
                shares=tuple(shares),
                **rest,
            ),
            by=by,
        )

    def progress(self, fact: i.InterviewFacts | i.OfferFacts, *, by: Actor) -> None:
        """Interviews and offers. What comes late to a candidacy that is closed is written down all
        the same. Raises NoSuchCandidacy, CandidacyIsClosed, NotPutForward, IdTaken, and as
        ``Progress.must_take``."""
        found = self.candidacy(fact.candidacy_id)
        match fact:
            case i.InterviewArranged() | i.OfferMade() | i.OfferChanged() | i.OfferAccepted():
                if found.closed:
                    raise CandidacyIsClosed(candidacy_id=fact.candidacy_id)
                if found.agreement_id is None:
                    raise i.NotPutForward(candidacy_id=fact.candidacy_id)
        every = [each.progress for each in self.every_candidacy.values()]
        match fact:
            case i.InterviewArranged(interview_id=id) if any(id in p.interviews for p in every):
                raise IdTaken(holder=self.id)
            case i.OfferMade(offer_id=id) if any(id in p.offers for p in every):
                raise IdTaken(holder=self.id)
        found.progress.must_take(fact)
        where = {"company_id": found.company_id, "job_order_id": found.job_order_id}
        self.enter(msgspec.structs.replace(fact, **where), by=by)

    def must_be_presentable(self, candidacy_id: UUID, at: datetime) -> None:
        """To a client. Raises NoSuchCandidacy, CandidacyIsClosed, NoConsent, DoNotContact."""
        self.must_be_here()
        if self.candidacy(candidacy_id).closed:
            raise CandidacyIsClosed(candidacy_id=candidacy_id)
        self._must_be_free(at)

    def present(
        self,
        candidacy_id: UUID,
        *,
        blind: bool,
        headline: str,
        text: str,
        at: datetime,
        by: Actor,
    ) -> None:
        """Raises NoSuchCandidacy."""
        self.must_be_here()
        fact = PresentationWritten(
            **_of(candidacy_id, self.candidacy(candidacy_id)),
            blind=blind,
            written_at=at,
            headline=headline,
            text=text,
        )
        self.enter(fact, by=by)

    def take_verdict(self, fact: VerdictGiven, *, by: Actor) -> None:
        """The same of the same contact again is a no-op. Raises NoSuchCandidacy,
        RejectionNeedsReason."""
        self.must_be_here()
        found = self.candidacy(fact.candidacy_id)
        if fact.verdict == "reject" and not fact.reason:
            raise RejectionNeedsReason()
        if before := found.verdicts.get(fact.contact_id):
            again = {name: getattr(fact, name) for name in ("given_at", "link_id", "version")}
            if msgspec.structs.replace(before, **again) == fact:
                return
        self.enter(fact, by=by)

    def take_comment(self, fact: ClientCommented, *, by: Actor) -> None:
        """Raises NoSuchCandidacy, NothingSaid."""
        self.must_be_here()
        self.candidacy(fact.candidacy_id)
        if not fact.text.strip():
            raise NothingSaid()
        self.enter(fact, by=by)

    def _must_be_free_to_start(self, on: date) -> None:
        for id, other in self.every_candidacy.items():
            job = other.placement
            if job and job.holds(self._left_on(other.company_id), on):
                raise PlacedAtOnce(candidacy_id=id, starts_on=job.starts_on)

    def _left_on(self, company_id: UUID) -> date | None:
        """The last day of the last of their jobs there; None: they never left, as far as we
        know."""
        every = self.every_employment.items()
        jobs = [ends for job, ends in every if job.company_id == company_id]
        return max((day for day in jobs if day), default=None) if None not in jobs else None

    def start(
        self, candidacy_id: UUID, *, terms: Terms, starts_on: date, text: str = "", by: Actor
    ) -> None:
        """Raises NoSuchCandidacy, NotPlaced, HasStarted, HasFallenThrough, NotYet."""
        found, placement = self.placed(candidacy_id)
        placement.must_start(starts_on)
        self.enter(
            PlacementStarted(
                **_of(candidacy_id, found),
                starts_on=starts_on,
                guarantee_until_on=guarantee_until(terms, starts_on),
                text=text,
            ),
            by=by,
        )

    def fall_through(
        self,
        candidacy_id: UUID,
        *,
        terms: Terms,
        left_on: date,
        reason: str,
        decided_by: c.Deciders,
        covered: bool = True,
        text: str = "",
        by: Actor,
    ) -> tuple[Remedy, int]:
        """What we owe for it now, and of a rebate how much. ``covered`` False: the guarantee does
        not hold for why they left. Raises NoSuchCandidacy, NotPlaced, HasFallenThrough,
        LeftBeforeStart, NotYet."""
        found, placement = self.placed(candidacy_id)
        placement.must_fall(left_on)
        remedy, rebate_cents = placement.remedy(terms, left_on, covered=covered)
        self.enter(
            FellThrough(
                **_of(candidacy_id, found),
                left_on=left_on,
                day=placement.day(left_on),
                reason=reason,
                decided_by=decided_by,
                remedy=remedy,
                rebate_cents=rebate_cents,
                currency=terms.currency,
                text=text,
            ),
            by=by,
        )
        return remedy, rebate_cents if remedy == "rebate" else 0

    def end_guarantee(self, candidacy_id: UUID, *, by: Actor) -> None:
        """Raises NoSuchCandidacy, NotPlaced, NotStarted, HasFallenThrough, GuaranteeIsOver,
        GuaranteeRuns."""
        found, placement = self.placed(candidacy_id)
        placement.must_end_guarantee()
        assert placement.guarantee_until_on
        self.enter(
            GuaranteeEnded(
                **_of(candidacy_id, found),
                ended_on=placement.guarantee_until_on + timedelta(days=1),
            ),
            by=by,
        )

    def split_commission(
        self,
        candidacy_id: UUID,
        *,
        shares: Sequence[Share],
        at: datetime,
        text: str = "",
        by: Actor,
    ) -> None:
        """Raises NoSuchCandidacy, NotPlaced, SharesIncomplete."""
        found, _ = self.placed(candidacy_id)
        must_sum_up(shares)
        self.enter(
            CommissionSplit(
                **_of(candidacy_id, found), shares=tuple(shares), split_at=at, text=text
            ),
            by=by,
        )

    def _flag_backdoors(self, fact: Employed, group: set[UUID], by: Actor) -> None:
        """Once for each introduction to one of these whose tail still runs, unless we placed them
        with one of them: whoever was shown to the parent is not hired by its daughter for free."""
        day = fact.starts_on or today()
        theirs = {
            id: found for id, found in self.every_candidacy.items() if found.company_id in group
        }
        if any(f.placement and not f.placement.fallen for f in theirs.values()):
            return
        for id, found in theirs.items():
            first, last = found.introduced_on, found.tail_until_on
            if first and last and first <= day <= last and not found.backdoor:
                assert found.agreement_id, "introduced under terms"
                self.enter(
                    BackdoorSuspected(
                        **_of(id, found),
                        starts_on=day,
                        tail_until_on=last,
                        agreement_id=found.agreement_id,
                        agreement_version=found.agreement_version,
                    ),
                    by=by,
                )

    def placed(self, candidacy_id: UUID) -> tuple[Candidacy, Placement]:
        """Raises NoSuchCandidacy, NotPlaced."""
        found = self.candidacy(candidacy_id)
        if found.placement is None:
            raise NotPlaced(candidacy_id=candidacy_id)
        return found, found.placement

    def candidacy(self, id: UUID) -> Candidacy:
        """Raises NoSuchCandidacy."""
        found = self.every_candidacy.get(id)
        if found is None:
            raise NoSuchCandidacy(person_id=self.id, candidacy_id=id)
        return found

    def apply(self, event: Event) -> None:
        match event:
            case c.CandidacyMoved() | NoteWritten() | CallHeld() | MessageOpened():
                pass  # no decision reads them, and there are more of them than of all others
            case ContactPointAdded(point=point, value=value):
                self.points.add((point, value))
            case ContactPointRemoved(point=point, value=value):
                self.points.discard((point, value))  # two that are erased look like one
                if self.preferred.get(point) == value:
                    del self.preferred[point]
            case ContactPointPreferred(point=point, value=value):
                self.preferred[point] = value
            case FollowUpPromised(follow_up_id=id):
                self.follow_ups[id] = False
            case FollowUpDone(follow_up_id=id):
                self.follow_ups[id] = True
            case PersonPooled(pool=pool):
                self.pools.add(pool)
            case PersonUnpooled(pool=pool):
                self.pools.discard(pool)
            case Enrolled(campaign=campaign, enrolled_at=datetime() as at):
                self.campaigns[campaign] = Enrolment(at)
            case (
                CampaignFinished(campaign=campaign, finished_at=at)
                | CampaignStopped(campaign=campaign, stopped_at=at)
            ):
                self.campaigns.pop(campaign, None)
                if at:
                    self.ended[campaign] = at
            case MessageSent(campaign=campaign) if campaign in self.campaigns:
                self.campaigns[campaign].sent += 1
            case CustomFieldSet(candidacy_id=of, field=field):
                self.custom.setdefault(of, {})[field] = known_as(event)
            case CustomFieldCleared(candidacy_id=of, field=field):
                self.custom.get(of, {}).pop(field, None)
            case Referral() | ReferralFee():
                self.referrals.apply(event)
            case DocumentAdded(document_id=id, digest=digest):
                self.documents[id] = digest
            case DocumentRemoved(document_id=id):
                self.documents.pop(id, None)
            case PersonTagged(tag=tag):
                self.tags.add(tag)
            case PersonUntagged(tag=tag):
                self.tags.discard(tag)
            case Employed():
                self.employments[event] = event.ends_on
            case EmploymentEnded(company_id=company_id):
                for job, ends_on in self.employments.items():
                    if job.company_id == company_id and ends_on is None:
                        self.employments[job] = event.ends_on
            case ConsentGiven() | ConsentWithdrawn():
                self.consent.add(event.word)
            case DoNotContactSet() | DoNotContactLifted():
                self.contact.add(event.word)
            case c.CandidacyOpened():
                self.candidacies[event.candidacy_id] = Candidacy(
                    event.company_id, event.job_order_id, event.pipeline
                )
            case c.CandidacyClosed(candidacy_id=id):
                self.candidacies[id].closed, self.candidacies[id].applied = True, False
                self.candidacies[id].progress.accepted = None
            case c.CandidacyReopened(candidacy_id=id):
                self.candidacies[id].closed = False
            case Applied(candidacy_id=id):
                self.candidacies[id].applied = True
            case c.RightToRepresentGiven(candidacy_id=id):
                self.candidacies[id].represented_at = event.given_at
            case c.Introduced():
                introduced = self.candidacies[event.candidacy_id]
                introduced.agreement_id = event.agreement_id
                introduced.agreement_version = event.agreement_version
                introduced.tail_until_on = event.tail_until_on
                introduced.introduced_on = introduced.introduced_on or event.introduced_at.date()
            case c.Placed(candidacy_id=id):
                self.candidacies[id].placement = Placement(
                    event.starts_on,
                    event.fee_cents,
                    event.full_time,
                    replaces=event.replaces_id is not None,
                    placed_at=event.placed_at,
                    sharers=frozenset(share.consultant for share in event.shares),
                )
            case VerdictGiven(candidacy_id=id, contact_id=contact_id):
                self.candidacies[id].verdicts[contact_id] = event
            case i.BesideCandidacy(candidacy_id=id):
                self.candidacies[id].progress.apply(event)  # type: ignore[arg-type]
            case PlacementFact():
                self._of_a_placement(event)
            case ErasureRequested():
                self.to_be_erased = True
            case LegalHoldPlaced(hold_id=id):
                self.holds[id] = True
            case LegalHoldReleased(hold_id=id):
                self.holds[id] = False
            case PersonErased():
                self._forget()
            case Absorbed() | Merged() | Unmerged():
                super().apply(event)

    def _forget(self) -> None:
        """All but the candidacies, which the books need, and who is who; of those what was said."""
        kept = ("candidacies", "holds", "referrals", "absorbed", "merged_into")
        left = {name: getattr(self, name) for name in kept}
        Person.__init__(self)
        vars(self).update(left)
        for found in self.candidacies.values():
            found.verdicts = {}
        self.erased = True

    def _of_a_placement(self, event: PlacementFact) -> None:
        found = self.candidacies[event.candidacy_id]
        placement = found.placement
        match event:
            case PlacementStarted(starts_on=day, guarantee_until_on=until) if placement:
                placement.started, placement.starts_on = True, day
                placement.guarantee_until_on = until
            case FellThrough() if placement:
                placement.fallen = True
            case CommissionSplit(shares=shares) if placement:
                placement.sharers = frozenset(share.consultant for share in shares)
            case GuaranteeEnded() if placement:
                placement.guarantee_over = True
            case BackdoorSuspected():
                found.backdoor = True


def _must_be_a_day(born_on: str) -> None:
    """Raises NotADay."""
    try:
        day = date.fromisoformat(born_on) if born_on else None
    except ValueError:
        raise NotADay() from None
    if day and day.isoformat() != born_on:  # it also takes 19901231 and 1990-W52-1
        raise NotADay()


def must_be_a_name(name: str) -> None:
    """It stands in every list and on every terminal. Raises NameMissing, NotOneLine."""
    if not any(sign.isprintable() and not sign.isspace() for sign in name):
        raise NameMissing()
    if any(sign < " " or sign == "\x7f" for sign in name):
        raise NotOneLine()


def candidacy_id(person_id: UUID, job_order_id: UUID) -> UUID:
    """One person is on one job order once; that is what makes the id."""
    return id_of("candidacy", str(person_id), str(job_order_id))


def _where(id: UUID, found: Candidacy, stage: Stage) -> dict[str, Any]:
    return _of(id, found) | {"stage": stage.id, "category": stage.category}


def _of(id: UUID, found: Candidacy) -> dict[str, Any]:
    return {
        "candidacy_id": id,
        "company_id": found.company_id,
        "job_order_id": found.job_order_id,
    }
