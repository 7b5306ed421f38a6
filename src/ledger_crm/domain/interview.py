"""Interviews and offers: what happens between the client and a candidate whom we introduced.

    arrange -> move* -> hold | call off;  held -> feedback*
    make -> change* -> accept | decline | withdraw

Their facts are on the person's stream, beside the candidacy: its stage is moved by whoever moves
it. Rules: nobody is interviewed or offered anything before being introduced, nor comes to a stage
in which they would be; each interviewer has
a say of their own, once it is held, and the last one of each stands; one offer at a time.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from .entry import (
    Cents,
    Currency,
    IdTaken,
    Instant,
    PersonFact,
    Reason,
    Reservation,
    Sealed,
    Slug,
    new_id,
    words,
)
from .fee import amount
from .refusals import Conflict, Invalid, Unknown

Form = Literal["phone", "video", "onsite", "assessment"]
Verdict = Literal["definitely_not", "no", "mixed", "yes", "strong_yes"]
"""As hiring managers say it on a scorecard, from worst to best."""


class BesideCandidacy(PersonFact, frozen=True, kw_only=True):
    """Common to all. Company and job order are the candidacy's, and filled in from it."""

    candidacy_id: UUID
    company_id: UUID | None = None
    job_order_id: UUID | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,) if self.company_id else ()


class InterviewFact(BesideCandidacy, frozen=True, kw_only=True):
    interview_id: UUID


class InterviewArranged(
    BesideCandidacy, frozen=True, kw_only=True, tag="person.interview_arranged"
):
    """The client wants to talk to them.

    starts_at        when they are to meet; it may lie ahead
    interviewer_ids  people at the client
    text             where, or the link
    """

    may_lie_ahead: ClassVar[bool] = True

    interview_id: UUID = msgspec.field(default_factory=new_id)
    arranged_at: Instant
    starts_at: Instant
    duration_s: Annotated[int, msgspec.Meta(ge=0, le=7 * 86_400)] = 3_600
    form: Form = "video"
    interviewer_ids: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=20)] = ()
    text: Sealed = ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("interview", str(self.interview_id), IdTaken),)

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (*((self.company_id,) if self.company_id else ()), *self.interviewer_ids)

    @property
    def line(self) -> str:
        return f"{words(self.form)} interview arranged for {self.starts_at:%Y-%m-%d %H:%M}"


class InterviewMoved(InterviewFact, frozen=True, kw_only=True, tag="person.interview_moved"):
    """To another time."""

    may_lie_ahead: ClassVar[bool] = True

    moved_at: Instant
    starts_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"interview moved to {self.starts_at:%Y-%m-%d %H:%M}"


class InterviewCalledOff(
    InterviewFact, frozen=True, kw_only=True, tag="person.interview_called_off"
):
    """It does not take place."""

    called_off_at: Instant
    reason: Reason
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"interview called off: {words(self.reason)}"


class InterviewHeld(InterviewFact, frozen=True, kw_only=True, tag="person.interview_held"):
    """They met."""

    held_at: Instant

    @property
    def line(self) -> str:
        return "interview held"


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a scorecard.

    attribute  a code of the agency's or the client's own list
    rating     1 is worst, 5 is best
    """

    attribute: Slug
    rating: Annotated[int, msgspec.Meta(ge=1, le=5)]


class FeedbackGiven(InterviewFact, frozen=True, kw_only=True, tag="person.interview_feedback"):
    """What an interviewer thinks of them. Given again, the later one stands.

    interviewer_id  None: nobody in particular
    text            in their words
    """

    given_at: Instant
    interviewer_id: UUID | None = None
    verdict: Verdict
    scores: Annotated[tuple[Score, ...], msgspec.Meta(max_length=40)] = ()
    text: Sealed = ""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return tuple(id for id in (self.company_id, self.interviewer_id) if id)

    @property
    def line(self) -> str:
        return f"interview feedback: {words(self.verdict)}"


class OfferFact(BesideCandidacy, frozen=True, kw_only=True):
    offer_id: UUID


class OfferMade(BesideCandidacy, frozen=True, kw_only=True, tag="person.offer_made"):
    """The client wants them.

    first_year_pay_cents  as the client counts it, in ``currency``
    expires_on            the last day on which it can be accepted
    """

    offer_id: UUID = msgspec.field(default_factory=new_id)
    made_at: Instant
    first_year_pay_cents: Cents
    currency: Currency = "EUR"
    begins_on: date | None = None
    expires_on: date | None = None
    text: Sealed = ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("offer", str(self.offer_id), IdTaken),)

    @property
    def line(self) -> str:
        return f"offer made: {amount(self.first_year_pay_cents, self.currency)}"


class OfferChanged(OfferFact, frozen=True, kw_only=True, tag="person.offer_changed"):
    """The client offers something else. What is left out stays as it is."""

    changed_at: Instant
    first_year_pay_cents: Cents | None = None
    begins_on: date | None = None
    expires_on: date | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        known = {
            "first_year_pay_cents": "pay",
            "begins_on": "first day",
            "expires_on": "last day to accept it",
        }
        what = [word for name, word in known.items() if getattr(self, name) is not None]
        return "offer changed" + (f": {', '.join(what)}" if what else "")


class OfferAccepted(OfferFact, frozen=True, kw_only=True, tag="person.offer_accepted"):
    """They take it."""

    accepted_at: Instant

    @property
    def line(self) -> str:
        return "offer accepted"


class OfferDeclined(OfferFact, frozen=True, kw_only=True, tag="person.offer_declined"):
    """They do not take it."""

    declined_at: Instant
    reason: Reason
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"offer declined: {words(self.reason)}"


class OfferWithdrawn(OfferFact, frozen=True, kw_only=True, tag="person.offer_withdrawn"):
    """The client takes it back."""

    withdrawn_at: Instant
    reason: Reason
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"offer withdrawn: {words(self.reason)}"


InterviewFacts = (
    InterviewArranged | InterviewMoved | InterviewCalledOff | InterviewHeld | FeedbackGiven
)
OfferFacts = OfferMade | OfferChanged | OfferAccepted | OfferDeclined | OfferWithdrawn


class NotPutForward(Conflict):
    """Nobody is interviewed or offered anything, nor in a stage of that, before being introduced to
    the client."""


class NoSuchInterview(Unknown):
    """This candidacy has no such interview."""


class NoSuchOffer(Unknown):
    """This candidacy has no such offer."""


class InterviewIsOver(Conflict):
    """This interview was held or called off."""


class NotHeldYet(Conflict):
    """There is no feedback before an interview was held."""


class NotAnInterviewer(Invalid):
    """This person is not among the interviewers."""

    field = "interviewer_id"


class OfferIsOpen(Conflict):
    """There is an offer that is neither accepted nor declined: change that one."""


class OfferIsOver(Conflict):
    """This offer was accepted, declined or withdrawn."""


class EndsBeforeItIsMade(Invalid):
    """The offer can be accepted until a day before it is made."""

    field = "expires_on"


class OfferHasExpired(Conflict):
    """This offer could be accepted until then: change its last day first, if the client agrees."""


class OfferIsAccepted(Conflict):
    """They accepted an offer: place them, or close the candidacy first."""


class WhyMissing(Invalid):
    """An interview that is called off and an offer that is turned down need a reason."""

    field = "reason"


class BeforeItIsArranged(Invalid):
    """The interview starts before it is arranged."""

    field = "starts_at"


class Interview(msgspec.Struct):
    interviewer_ids: tuple[UUID, ...]
    over: Literal["", "held", "called off"] = ""


class Offer(msgspec.Struct):
    made_on: date
    expires_on: date | None
    over: bool = False


class Progress(msgspec.Struct):
    """What the next decision on a candidacy's interviews and offers needs.

    accepted  the offer that they accepted, since the candidacy was closed last
    """

    interviews: dict[UUID, Interview] = {}
    offers: dict[UUID, Offer] = {}
    accepted: UUID | None = None

    def must_take(self, fact: InterviewFacts | OfferFacts) -> None:
        """Raises NoSuchInterview, InterviewIsOver, NotHeldYet, NotAnInterviewer, NoSuchOffer,
        OfferIsOpen, OfferIsOver, OfferIsAccepted, OfferHasExpired, EndsBeforeItIsMade, WhyMissing,
        BeforeItIsArranged."""
        match fact:
            case InterviewArranged():
                if fact.starts_at < fact.arranged_at:
                    raise BeforeItIsArranged()
            case InterviewFact():
                self._must_go_on(fact)
            case OfferMade():
                if open := [id for id, offer in self.offers.items() if not offer.over]:
                    raise OfferIsOpen(offer_id=open[0])
                if self.accepted:
                    raise OfferIsAccepted(offer_id=self.accepted)
                _must_not_end_before(fact.expires_on, fact.made_at.date())
            case OfferFact(offer_id=id):
                if id not in self.offers:
                    raise NoSuchOffer(offer_id=id)
                self._must_stand(fact, self.offers[id])
        if getattr(fact, "reason", None) == "":
            raise WhyMissing()

    def _must_stand(self, fact: OfferFact, offer: Offer) -> None:
        if offer.over:
            raise OfferIsOver(offer_id=fact.offer_id)
        match fact:
            case OfferChanged(expires_on=expires_on):
                _must_not_end_before(expires_on, offer.made_on)
            case OfferAccepted(accepted_at=at):
                if offer.expires_on and at.date() > offer.expires_on:
                    raise OfferHasExpired(offer_id=fact.offer_id, expires_on=offer.expires_on)

    def _must_go_on(self, fact: InterviewFact) -> None:
        found = self.interviews.get(fact.interview_id)
        if found is None:
            raise NoSuchInterview(interview_id=fact.interview_id)
        if not isinstance(fact, FeedbackGiven):
            if found.over:
                raise InterviewIsOver(interview_id=fact.interview_id)
            return
        if found.over != "held":
            raise NotHeldYet(interview_id=fact.interview_id)
        if fact.interviewer_id and fact.interviewer_id not in found.interviewer_ids:
            raise NotAnInterviewer(interviewer_id=fact.interviewer_id)

    def apply(self, fact: InterviewFacts | OfferFacts) -> None:
        match fact:
            case InterviewArranged(interview_id=id):
                self.interviews[id] = Interview(fact.interviewer_ids)
            case InterviewCalledOff(interview_id=id):
                self.interviews[id].over = "called off"
            case InterviewHeld(interview_id=id):
                self.interviews[id].over = "held"
            case OfferMade(offer_id=id):
                self.offers[id] = Offer(fact.made_at.date(), fact.expires_on)
            case OfferChanged(offer_id=id):
                self.offers[id].expires_on = fact.expires_on or self.offers[id].expires_on
            case OfferAccepted(offer_id=id):
                self.offers[id].over, self.accepted = True, id
            case OfferDeclined(offer_id=id) | OfferWithdrawn(offer_id=id):
                self.offers[id].over = True


def _must_not_end_before(expires_on: date | None, made_on: date) -> None:
    """Raises EndsBeforeItIsMade."""
    if expires_on and expires_on < made_on:
        raise EndsBeforeItIsMade()
