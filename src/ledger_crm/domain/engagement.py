"""Who heard last of whom, and for how long that may be so.

That somebody has gone quiet is no fact: it is the absence of one, and is computed when it is asked
for, from the day on which it is asked. What is a fact is that somebody decided to leave it so.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from .clock import now
from .entry import CompanyFact, Event, Instant, PersonFact, Reason, Sealed, words
from .followup import CompanyFollowUpSnoozed, FollowUpSnoozed
from .interaction import CallHeld, CompanyCalled, MeetingHeld, MessageReplied, MessageSent
from .permission import LastsUntilBefore
from .refusals import Invalid

Owing = Literal["us", "them", "nobody"]


class PersonQuietSnoozed(PersonFact, frozen=True, kw_only=True, tag="person.quiet_snoozed"):
    """That nothing passes between us is in order for a while.

    until_on  the last day of it
    """

    until_on: date
    reason: Reason = ""
    snoozed_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return _snoozed(self.until_on, self.reason)


class CompanyQuietSnoozed(CompanyFact, frozen=True, kw_only=True, tag="company.quiet_snoozed"):
    """That nothing passes between us is in order for a while.

    until_on  the last day of it
    """

    until_on: date
    reason: Reason = ""
    snoozed_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return _snoozed(self.until_on, self.reason)


def _snoozed(until_on: date, reason: str) -> str:
    return f"may be quiet until {until_on}" + (f": {words(reason)}" if reason else "")


QuietFacts = PersonQuietSnoozed | CompanyQuietSnoozed


class SnoozeNeedsReason(Invalid):
    """That nothing passes between us is in order for a reason."""

    field = "reason"


def must_be_in_order(fact: QuietFacts) -> None:
    """Raises LastsUntilBefore, SnoozeNeedsReason."""
    if not fact.reason:
        raise SnoozeNeedsReason()
    must_lie_ahead(fact)


def must_lie_ahead(fact: QuietFacts | FollowUpSnoozed | CompanyFollowUpSnoozed) -> None:
    """Raises LastsUntilBefore."""
    if fact.until_on < (fact.snoozed_at or now()).date():
        raise LastsUntilBefore()


def contact(fact: Event) -> tuple[datetime | None, datetime | None]:
    """When we reached them and when we heard of them, by this fact: both if we spoke."""
    match fact:
        case MessageSent(sent_at=at):
            return at, None
        case MessageReplied(replied_at=at):
            return None, at
        case CallHeld(started_at=at) | MeetingHeld(started_at=at) | CompanyCalled(started_at=at):
            return at, at
    return None, None


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Facts come in any order, imports above all."""
    return max(one, other) if one and other else one or other


def last_to_reach(owner: str, by: str, reached_at: datetime | None, before: datetime | None) -> str:
    """Who of us last reached out to them: ``owner`` did, at ``before``, unless ``by`` is one of us
    and did later."""
    newest = reached_at and (before is None or reached_at >= before)
    return by if newest and by.startswith("consultant:") else owner
