"""Whom we may contact: consent and do-not-contact, on the person; off-limits, on the company.

They bite at the command, on every path, when we want to contact somebody first. The day that
counts is that of the contact, so what was sent before they asked us to stop can be written down
after it. A named consultant may contact them all the same and says why: that is kept with the
contact (``Outbound.override``).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import msgspec

from .entry import CompanyFact, Instant, PersonFact, Reason, Sealed
from .refusals import Forbidden, Invalid


class ConsentGiven(PersonFact, frozen=True, kw_only=True, tag="person.consent_given"):
    """They let us keep in touch. Given again, the later one stands.

    expires_on  the last day on which it holds; None: until it is withdrawn
    text        how they gave it
    """

    given_at: Instant
    expires_on: date | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "consent given" + (f" until {self.expires_on}" if self.expires_on else "")


class ConsentWithdrawn(PersonFact, frozen=True, kw_only=True, tag="person.consent_withdrawn"):
    """They no longer want to hear from us."""

    withdrawn_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "consent withdrawn"


class DoNotContactSet(PersonFact, frozen=True, kw_only=True, tag="person.do_not_contact_set"):
    """We leave them alone, whoever wanted that.

    until_on  the last day of it; None: until it is lifted
    """

    set_at: Instant
    reason: Reason = ""
    until_on: date | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "do not contact" + (f" until {self.until_on}" if self.until_on else "")


class DoNotContactLifted(PersonFact, frozen=True, kw_only=True, tag="person.do_not_contact_lifted"):
    """They may be contacted again."""

    lifted_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "may be contacted again"


class OffLimitsAgreed(CompanyFact, frozen=True, kw_only=True, tag="company.off_limits_agreed"):
    """We do not approach their people: usually because they are a client.

    until_on  the last day of it; None: until it is lifted
    """

    agreed_at: Instant
    until_on: date | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "off-limits" + (f" until {self.until_on}" if self.until_on else "")


class OffLimitsLifted(CompanyFact, frozen=True, kw_only=True, tag="company.off_limits_lifted"):
    """Their people may be approached again."""

    lifted_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "no longer off-limits"


Permissions = ConsentGiven | ConsentWithdrawn | DoNotContactSet | DoNotContactLifted
OffLimitsFacts = OffLimitsAgreed | OffLimitsLifted


class NoConsent(Forbidden):
    """This person has withdrawn consent to be contacted, or it has expired."""


class DoNotContact(Forbidden):
    """This person is not to be contacted."""


class OffLimits(Forbidden):
    """This person works at a company whose people we do not approach."""


class LastsUntilBefore(Invalid):
    """The last day lies before the day on which it begins."""

    field = "until_on"


class NotAConsultant(Forbidden):
    """Only a named consultant may contact somebody against a rule."""


class Ban(msgspec.Struct, frozen=True):
    """From an instant on, until the end of a day or for good."""

    since: datetime
    until_on: date | None = None

    def holds(self, at: datetime) -> bool:
        return at >= self.since and (self.until_on is None or at.date() <= self.until_on)


def without_consent(before: Ban | None, fact: ConsentGiven | ConsentWithdrawn) -> Ban | None:
    """From when on they do not want to hear from us, as far as they said."""
    if isinstance(fact, ConsentWithdrawn):
        return Ban(fact.withdrawn_at)
    if before and fact.given_at < before.since:  # it came in late, and was withdrawn since
        return before
    if fact.expires_on is None:
        return None
    return Ban(datetime.combine(fact.expires_on, time(), UTC) + timedelta(days=1))


def banned(
    before: Ban | None,
    fact: DoNotContactSet | DoNotContactLifted | OffLimitsAgreed | OffLimitsLifted,
) -> Ban | None:
    """Set again, the later one stands."""
    match fact:
        case DoNotContactSet(set_at=since) | OffLimitsAgreed(agreed_at=since):
            return Ban(since, fact.until_on)
        case DoNotContactLifted(lifted_at=at) | OffLimitsLifted(lifted_at=at):
            return before if before and at < before.since else None
