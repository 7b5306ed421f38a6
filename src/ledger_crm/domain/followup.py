"""What we promised somebody, or a company: due on a day, owed by one of us, done or put off.

promise -> snooze* -> done
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from uuid import UUID

import msgspec

from .entry import (
    CompanyFact,
    Instant,
    PersonFact,
    Reason,
    Reservation,
    Sealed,
    Somebody,
    new_id,
    words,
)
from .refusals import Conflict, Unknown


class FollowUpPromised(PersonFact, frozen=True, kw_only=True, tag="person.follow_up_promised"):
    """We will do something for them, or hear of them again.

    due_on      the day on which it is owed
    owner       who of us owes it; "" for who wrote it down
    company_id  the client that it is about, if it is about one
    text        what was promised
    """

    follow_up_id: UUID = msgspec.field(default_factory=new_id)
    due_on: date
    owner: Somebody = ""
    promised_at: Instant | None = None
    company_id: UUID | None = None
    text: Sealed = ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("follow_up", str(self.follow_up_id), FollowUpIdTaken),)

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,) if self.company_id else ()

    @property
    def line(self) -> str:
        return f"follow-up promised for {self.due_on}"


class FollowUpDone(PersonFact, frozen=True, kw_only=True, tag="person.follow_up_done"):
    """It was done, or has become needless."""

    follow_up_id: UUID
    done_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "follow-up done"


class FollowUpSnoozed(PersonFact, frozen=True, kw_only=True, tag="person.follow_up_snoozed"):
    """It is put off.

    until_on  the day on which it is owed instead
    """

    follow_up_id: UUID
    until_on: date
    reason: Reason = ""
    snoozed_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return _put_off(self.until_on, self.reason)


class CompanyFollowUpPromised(
    CompanyFact, frozen=True, kw_only=True, tag="company.follow_up_promised"
):
    """We will do something for them, or ask them again: nobody there in particular.

    due_on  the day on which it is owed
    owner   who of us owes it; "" for who wrote it down
    text    what was promised
    """

    follow_up_id: UUID = msgspec.field(default_factory=new_id)
    due_on: date
    owner: Somebody = ""
    promised_at: Instant | None = None
    text: Sealed = ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("follow_up", str(self.follow_up_id), FollowUpIdTaken),)

    @property
    def line(self) -> str:
        return f"follow-up promised for {self.due_on}"


class CompanyFollowUpDone(CompanyFact, frozen=True, kw_only=True, tag="company.follow_up_done"):
    """It was done, or has become needless."""

    follow_up_id: UUID
    done_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "follow-up done"


class CompanyFollowUpSnoozed(
    CompanyFact, frozen=True, kw_only=True, tag="company.follow_up_snoozed"
):
    """It is put off.

    until_on  the day on which it is owed instead
    """

    follow_up_id: UUID
    until_on: date
    reason: Reason = ""
    snoozed_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return _put_off(self.until_on, self.reason)


def _put_off(until_on: date, reason: str) -> str:
    return f"follow-up put off until {until_on}" + (f": {words(reason)}" if reason else "")


FollowUpChanges = FollowUpDone | FollowUpSnoozed
CompanyFollowUpChanges = CompanyFollowUpDone | CompanyFollowUpSnoozed
FollowUps = FollowUpPromised | FollowUpChanges
CompanyFollowUps = CompanyFollowUpPromised | CompanyFollowUpChanges


class FollowUpIdTaken(Conflict):
    """There is a follow-up of this id."""


class NoSuchFollowUp(Unknown):
    """They were promised no such thing."""


class FollowUpIsDone(Conflict):
    """This follow-up is done."""


def must_be_owed(
    promises: Mapping[UUID, bool], fact: FollowUpChanges | CompanyFollowUpChanges, **whose: UUID
) -> None:
    """Of these, and whether each is done. Raises NoSuchFollowUp, FollowUpIsDone."""
    done = promises.get(fact.follow_up_id)
    if done is None:
        raise NoSuchFollowUp(**whose, follow_up_id=fact.follow_up_id)
    if done:
        raise FollowUpIsDone(**whose, follow_up_id=fact.follow_up_id)
