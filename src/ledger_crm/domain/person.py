"""A person: candidate, client contact, often both, in one record for ever.

    source -> (record | add_contact_point | employ | open_candidacy -> move* -> introduce -> place)*

Rules: who asked us to stop is not contacted, but by a named consultant who says why; a contact
point belongs to one person; about whoever is erased nothing is written any more but what the books
need; records that are merged decide as one. What holds of a candidacy is in ``candidate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Literal, Self
from uuid import UUID

import msgspec

from . import candidacy as c
from . import interview as i
from .campaign import (
    CampaignEnd,
    CampaignFinished,
    CampaignStopped,
    Enrolled,
    Enrolment,
    NotEnrolled,
)
from .candidate import Candidate
from .clock import now
from .contact import Point, normalised
from .custom import CustomFieldCleared, CustomFieldSet, PersonFields, known_as
from .document import DocumentRemoved, Filing
from .engagement import PersonQuietSnoozed, must_be_in_order, must_lie_ahead
from .entry import (
    Actor,
    Event,
    Instant,
    PersonFact,
    Reason,
    Reservation,
    Sealed,
    Somebody,
    words,
)
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
    Employed,
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
    PermittedSince,
    PersonMerged,
    PersonUnmerged,
)
from .permission import (
    Consent,
    ConsentWithdrawn,
    DoNotContactSet,
    LastsUntilBefore,
    Permissions,
    must_last,
)
from .placement import (
    CommissionSplit,
    FellThrough,
    GuaranteeEnded,
    PlacementStarted,
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
from .refusals import Conflict, Invalid

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

LawfulBasis = Literal["legitimate_interest", "consent", "contract", "legal_obligation"]


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
        by = f", found by {self.found_by}" if self.found_by else ""
        return f"sourced by {words(self.channel)}{by}, on {words(self.lawful_basis)}"

    @property
    def told(self) -> str:
        return self.origin


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


class ValidUntilBefore(Invalid):
    """A contact point is valid until a day that lies before the first one."""

    field = "valid_until_on"


class EndsBeforeItStarts(Invalid):
    """The last day lies before the first one."""

    field = "ends_on"


@cache
def _is_of_the_books(event: type[Event]) -> bool:
    """Looked for in so many, it takes as long as a third of all that an entry does."""
    return issubclass(event, THE_BOOKS)


class Person(Candidate, Filing):
    TOPIC = "person"
    AS_MERGED = PersonMerged
    AS_UNMERGED = PersonUnmerged

    def __init__(self) -> None:
        super().__init__()
        self.points: set[tuple[Point, str]] = set()
        self.preferred: dict[Point, str] = {}
        self.tags: set[str] = set()
        self.pools: set[str] = set()
        self.campaigns: dict[str, Enrolment] = {}  # that run
        self.ended: dict[str, datetime] = {}  # those that ran: when that ended, the last time
        self.follow_ups: dict[UUID, bool] = {}  # whether each is done
        self.custom: dict[UUID | None, dict[str, str]] = {}  # of a placement; None: their own
        self.referrals = Referrals()
        self.to_be_erased = False
        self.holds: dict[UUID, bool] = {}  # whether each is still placed

    def enter(self, event: Event, *, by: Actor) -> None:
        """Raises PersonIsErased, NotYet."""
        if not _is_of_the_books(type(event)):
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

    def fields_of(self, candidacy_id: UUID | None) -> dict[str, str]:
        """What is known in custom fields of a placement; None: of them."""
        every = [one.custom.get(candidacy_id, {}) for one in reversed(self.everyone)]
        return {field: value for known in every for field, value in known.items()}

    def _must_fit(self, duplicate: Person, fact: Absorbed) -> None:
        """Job orders that are ``unseen`` are no obstacle: the refusal would tell of them. Raises
        PermittedSince, BothOnJobOrder, BothPlacedThere."""
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
            if both := both - self.unseen:
                raise refusal(
                    survivor_id=self.id, duplicate_id=duplicate.id, job_order_ids=sorted(both)
                )

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
        self.must_not_be_held()
        for one in reversed(self.everyone):
            if not one.erased:
                one.enter(PersonErased(erased_at=now(), reason=reason), by=by)

    def must_not_be_held(self) -> None:
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

    def look_past_us(self, groups: Mapping[UUID, set[UUID]], *, by: Actor) -> None:
        """Whether jobs of theirs, as they are known by now, are hires past us: for what has become
        one firm since they were told. ``groups``: an employer with all that it is or belongs to.
        Not a job without a first day: it would be today's, and was told who knows when."""
        for job in list(self.every_employment):
            if job.starts_on and job.company_id in groups:
                self._flag_backdoors(job, groups[job.company_id], by)

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

    def apply(self, event: Event) -> None:
        match event:
            case c.CandidacyMoved() | NoteWritten() | CallHeld() | MessageOpened():
                pass  # no decision reads them, and there are more of them than of all others
            case c.CandidacyOpened() | c.CandidacyClosed():
                super().apply(event)  # next to those; to look at each case takes 0.1 us
            case PersonSourced():
                pass
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
            case PersonTagged(tag=tag):
                self.tags.add(tag)
            case PersonUntagged(tag=tag):
                self.tags.discard(tag)
            case ErasureRequested():
                self.to_be_erased = True
            case LegalHoldPlaced(hold_id=id):
                self.holds[id] = True
            case LegalHoldReleased(hold_id=id):
                self.holds[id] = False
            case PersonErased():
                self._forget()
            case _:
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
