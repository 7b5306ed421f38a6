"""Whom we may contact: consent and do-not-contact, on the person; off-limits, on the company.

They bite at the command, on every path, when we want to contact somebody first. The day that
counts is that of the contact, and the word that counts the last one that was said by then: what was
sent before they asked us to stop can be written down after it. A named consultant may contact them
all the same and says why: that is kept with the contact (``Outbound.override``).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from datetime import date, datetime
from typing import Generic, TypeVar

import msgspec

from .entry import CompanyFact, Instant, PersonFact, Reason, Sealed, words
from .refusals import Forbidden, Invalid


class ConsentGiven(PersonFact, frozen=True, kw_only=True, tag="person.consent_given"):
    """They let us keep in touch.

    expires_on  the last day on which it holds; None: until it is withdrawn
    text        how they gave it
    """

    given_at: Instant
    expires_on: date | None = None
    text: Sealed = ""

    @property
    def word(self) -> Word:
        return Word(self.given_at, False, self.expires_on)

    @property
    def line(self) -> str:
        return "consent given" + (f" until {self.expires_on}" if self.expires_on else "")


class ConsentWithdrawn(PersonFact, frozen=True, kw_only=True, tag="person.consent_withdrawn"):
    """They no longer want to hear from us."""

    withdrawn_at: Instant
    text: Sealed = ""

    @property
    def word(self) -> Word:
        return Word(self.withdrawn_at, True)

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
    def word(self) -> Word:
        return Word(self.set_at, True, self.until_on)

    @property
    def line(self) -> str:
        until = f" until {self.until_on}" if self.until_on else ""
        return f"do not contact{until}" + (f": {words(self.reason)}" if self.reason else "")


class DoNotContactLifted(PersonFact, frozen=True, kw_only=True, tag="person.do_not_contact_lifted"):
    """They may be contacted again."""

    lifted_at: Instant
    text: Sealed = ""

    @property
    def word(self) -> Word:
        return Word(self.lifted_at, False)

    @property
    def line(self) -> str:
        return "may be contacted again"


class OffLimitsAgreed(CompanyFact, frozen=True, kw_only=True, tag="company.off_limits_agreed"):
    """We do not approach their people, nor whom we placed with them: usually because they are a
    client.

    until_on           the last day of it; None: until it is lifted
    with_subsidiaries  nor those of the companies that belong to them, and so on down
    """

    agreed_at: Instant
    until_on: date | None = None
    with_subsidiaries: bool = False
    text: Sealed = ""

    @property
    def word(self) -> OffLimitsWord:
        return OffLimitsWord(self.agreed_at, True, self.until_on, self.with_subsidiaries)

    @property
    def line(self) -> str:
        below = " with subsidiaries" if self.with_subsidiaries else ""
        return f"off-limits{below}" + (f" until {self.until_on}" if self.until_on else "")


class OffLimitsLifted(CompanyFact, frozen=True, kw_only=True, tag="company.off_limits_lifted"):
    """Their people may be approached again."""

    lifted_at: Instant
    text: Sealed = ""

    @property
    def word(self) -> OffLimitsWord:
        return OffLimitsWord(self.lifted_at, False)

    @property
    def line(self) -> str:
        return "no longer off-limits"


Consent = ConsentGiven | ConsentWithdrawn
Permissions = Consent | DoNotContactSet | DoNotContactLifted
OffLimitsFacts = OffLimitsAgreed | OffLimitsLifted


class NoConsent(Forbidden):
    """This person has withdrawn consent to be contacted, or it has expired."""


class DoNotContact(Forbidden):
    """This person is not to be contacted."""


class OffLimits(Forbidden):
    """This person works, or was placed by us, at a company whose people we do not approach."""


class LastsUntilBefore(Invalid):
    """The last day lies before the day on which it begins."""

    field = "until_on"


def must_last(word: Word) -> None:
    """Raises LastsUntilBefore."""
    if word.until_on and word.until_on < word.said_at.date():
        raise LastsUntilBefore(until_on=word.until_on)


class NotAConsultant(Forbidden):
    """Only a named consultant may act against a rule."""


class Word(msgspec.Struct, frozen=True):
    """What was said about contacting somebody: yes or no, from an instant on, and the other way
    round after the end of a day.

    until_on  the last day; None: for good
    """

    said_at: datetime
    refuses: bool
    until_on: date | None = None

    def holds_no(self, at: datetime) -> bool:
        over = self.until_on is not None and at.date() > self.until_on
        return self.refuses != over


class OffLimitsWord(Word, frozen=True):
    """``with_subsidiaries``: also about the companies that belong to the one that it is about."""

    with_subsidiaries: bool = False


W = TypeVar("W", bound=Word)


class Said(Generic[W]):
    """Words of one kind, in the order in which they were said and not of being written down: facts
    come in any order. The last one said by a moment is the one that holds then."""

    def __init__(self) -> None:
        self.words: list[W] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Said) and self.words == other.words

    def add(self, word: W) -> None:
        insort(self.words, word, key=lambda each: each.said_at)

    def followed_by(self, words: Sequence[W]) -> Said[W]:
        """With these besides."""
        found: Said[W] = Said()
        found.words = sorted([*self.words, *words], key=lambda each: each.said_at)
        return found

    def refusal(self, at: datetime) -> W | None:
        """The word that forbids it at that moment."""
        by_then = [word for word in self.words if word.said_at <= at]
        return by_then[-1] if by_then and by_then[-1].holds_no(at) else None
