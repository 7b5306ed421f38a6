"""Referrals: who was referred to us and by whom, and whom we referred to a partner.

    receive | give -> fee due? -> paid | waived

A referral is on the record of whoever is referred: a candidate, or a company that may become a
client. A fee may be agreed for it. One that we owe falls due by itself, at once or when somebody
starts; of one that a partner owes we have to be told, which is a fact. It is settled once. Whoever
withdrew consent or is not to be contacted is not passed on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

import msgspec

from .entry import (
    Cents,
    CompanyFact,
    Currency,
    Event,
    Instant,
    PersonFact,
    Reservation,
    Sealed,
    new_id,
)
from .fee import amount
from .refusals import Conflict, Invalid, Unknown

Direction = Literal["received", "given"]
FeeOn = Literal["referral", "start"]
FeeState = Literal["due", "paid", "waived"]


class Referral(Event, frozen=True, kw_only=True):
    """Common to all.

    fee_cents  agreed for it; 0: nothing
    fee_on     when the fee falls due: at once, or when the candidate starts in a job, or the first
               candidate at the client
    text       what was said about it
    """

    referral_id: UUID = msgspec.field(default_factory=new_id)
    fee_cents: Cents = 0
    currency: Currency = "EUR"
    fee_on: FeeOn = "start"
    text: Sealed = ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("referral", str(self.referral_id), ReferralIdTaken),)

    @property
    def with_ids(self) -> tuple[UUID | None, UUID | None]:
        """The person and the company that it came from or went to."""
        raise NotImplementedError

    @property
    def fee_words(self) -> str:
        return f", fee {amount(self.fee_cents, self.currency)}" if self.fee_cents else ""


class Received(Referral, frozen=True, kw_only=True):
    """By somebody.

    by_person_id   who referred them
    by_company_id  for which company, or the company that did
    """

    by_person_id: UUID | None = None
    by_company_id: UUID | None = None
    received_at: Instant

    @property
    def with_ids(self) -> tuple[UUID | None, UUID | None]:
        return self.by_person_id, self.by_company_id


class Given(Referral, frozen=True, kw_only=True):
    """To a partner.

    to_person_id   the consultant there
    to_company_id  the agency
    """

    to_person_id: UUID | None = None
    to_company_id: UUID | None = None
    given_at: Instant

    @property
    def with_ids(self) -> tuple[UUID | None, UUID | None]:
        return self.to_person_id, self.to_company_id


def _concerned(person_id: UUID | None, company_id: UUID | None) -> tuple[UUID, ...]:
    return tuple(id for id in (person_id, company_id) if id)


class CandidateReferred(PersonFact, Received, frozen=True, kw_only=True,
                        tag="person.referral_received"):  # fmt: skip
    """Somebody told us of them."""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return _concerned(None, self.by_company_id)

    @property
    def others(self) -> tuple[UUID, ...]:
        return _concerned(self.by_person_id, None)

    @property
    def line(self) -> str:
        return f"candidate referred to us{self.fee_words}"


class CandidatePassedOn(PersonFact, Given, frozen=True, kw_only=True, tag="person.referral_given"):
    """We told a partner of them."""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return _concerned(None, self.to_company_id)

    @property
    def others(self) -> tuple[UUID, ...]:
        return _concerned(self.to_person_id, None)

    @property
    def line(self) -> str:
        return f"candidate referred to a partner{self.fee_words}"


class ClientReferred(CompanyFact, Received, frozen=True, kw_only=True,
                     tag="company.referral_received"):  # fmt: skip
    """Somebody told us of them, or them of us."""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return _concerned(self.by_person_id, None)

    @property
    def others(self) -> tuple[UUID, ...]:
        return _concerned(None, self.by_company_id)

    @property
    def line(self) -> str:
        return f"client referred to us{self.fee_words}"


class ClientPassedOn(CompanyFact, Given, frozen=True, kw_only=True, tag="company.referral_given"):
    """We told a partner of them."""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return _concerned(self.to_person_id, None)

    @property
    def others(self) -> tuple[UUID, ...]:
        return _concerned(None, self.to_company_id)

    @property
    def line(self) -> str:
        return f"client referred to a partner{self.fee_words}"


class ReferralFee(Event, frozen=True, kw_only=True):
    """Common to both.

    state            due: it fell due; paid; waived: nobody asks for it any more
    with_person_id   from whom it came or to whom it went: ours to say, leave it out
    with_company_id  the same
    """

    referral_id: UUID
    state: FeeState
    told_at: Instant
    text: Sealed = ""
    with_person_id: UUID | None = None
    with_company_id: UUID | None = None

    @property
    def line(self) -> str:
        return f"referral fee {self.state}"


class CandidateReferralFee(PersonFact, ReferralFee, frozen=True, kw_only=True,
                           tag="person.referral_fee"):  # fmt: skip
    """What became of the fee for a referral of them."""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return _concerned(None, self.with_company_id)

    @property
    def others(self) -> tuple[UUID, ...]:
        return _concerned(self.with_person_id, None)


class ClientReferralFee(CompanyFact, ReferralFee, frozen=True, kw_only=True,
                        tag="company.referral_fee"):  # fmt: skip
    """What became of the fee for a referral of them."""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return _concerned(self.with_person_id, None)

    @property
    def others(self) -> tuple[UUID, ...]:
        return _concerned(None, self.with_company_id)


Fee = TypeVar("Fee", bound=ReferralFee)
CandidateReferrals = CandidateReferred | CandidatePassedOn
ClientReferrals = ClientReferred | ClientPassedOn
PersonReferralFacts = CandidateReferrals | CandidateReferralFee
CompanyReferralFacts = ClientReferrals | ClientReferralFee


class ReferralIdTaken(Conflict):
    """There is a referral with this id already."""


class NoSuchReferral(Unknown):
    """There is no such referral of them."""


class ReferrerMissing(Invalid):
    """A referral comes from a person or a company, or goes to one: name it, and not whom it is
    about."""


class NoFeeAgreed(Conflict):
    """No fee is agreed for this referral."""


class FeeIsSettled(Conflict):
    """The fee for this referral is paid or waived."""


class FeeIsDue(Conflict):
    """The fee for this referral is known to be due."""


class DatedBackwards(Invalid):
    """This lies before the referral."""

    field = "told_at"


class Kept(msgspec.Struct):
    """What the next decision on a referral needs."""

    fee_cents: int
    since: datetime
    with_ids: tuple[UUID | None, UUID | None]
    state: FeeState | None = None

    def must_take(self, fact: ReferralFee) -> None:
        """Raises NoFeeAgreed, FeeIsSettled, FeeIsDue, DatedBackwards."""
        if not self.fee_cents:
            raise NoFeeAgreed(referral_id=fact.referral_id)
        if self.state in ("paid", "waived"):
            raise FeeIsSettled(referral_id=fact.referral_id, state=self.state)
        if self.state == fact.state:
            raise FeeIsDue(referral_id=fact.referral_id)
        if fact.told_at < self.since:
            raise DatedBackwards(since=self.since)


class Referrals:
    """Of one person or one company."""

    def __init__(self) -> None:
        self.kept: dict[UUID, Kept] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Referrals) and self.kept == other.kept

    def must_take(self, id: UUID, fact: Referral) -> None:
        """``id``: of whom it is about. Raises ReferralIdTaken, ReferrerMissing."""
        if fact.referral_id in self.kept:
            raise ReferralIdTaken(referral_id=fact.referral_id)
        if not any(fact.with_ids) or id in fact.with_ids:
            raise ReferrerMissing()

    def told(self, fact: Fee) -> Fee:
        """With whom it came from. Raises NoSuchReferral, and as ``Kept.must_take``."""
        kept = self.kept.get(fact.referral_id)
        if kept is None:
            raise NoSuchReferral(referral_id=fact.referral_id)
        kept.must_take(fact)
        person_id, company_id = kept.with_ids
        return msgspec.structs.replace(fact, with_person_id=person_id, with_company_id=company_id)

    def apply(self, fact: Referral | ReferralFee) -> None:
        match fact:
            case Received() | Given():
                at = fact.received_at if isinstance(fact, Received) else fact.given_at
                self.kept[fact.referral_id] = Kept(fact.fee_cents, at, fact.with_ids)
            case ReferralFee():
                self.kept[fact.referral_id].state = fact.state
