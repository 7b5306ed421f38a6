"""Erasure and legal hold of a person.

    (request -> defer*)? -> erase, unless a legal hold is placed and not released

Erasing destroys the person's key: nothing that was sealed under it can be read again, by anybody.
What happened, when, and for how much stays, so the books still add up; of an erased person only
what they need goes on (``THE_BOOKS`` in ``domain.person``). ``person.erased`` has no text, which
nobody could read.

A request is due within one month of its receipt, and that may be extended by two further months
(GDPR, Art. 12(3)); a deferral says until when and why (Art. 17(3) names what overrides a request).
We compute the day and judge nothing: who may be kept for how long is the agency's to know.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from .entry import Instant, PersonFact, Reason, Sealed, new_id, words
from .refusals import Conflict, Gone, Unknown


class ErasureRequested(PersonFact, frozen=True, kw_only=True, tag="person.erasure_requested"):
    """They want us to forget them.

    requested_at  when we received it: the month runs from here
    text          how they asked
    """

    requested_at: Instant
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"asked to be erased, due on {due_on(self.requested_at)}"


class ErasureDeferred(PersonFact, frozen=True, kw_only=True, tag="person.erasure_deferred"):
    """We may not, or need not, do it yet.

    until_on  the last day by which it is done instead
    """

    deferred_at: Instant
    until_on: date
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        why = f": {words(self.reason)}" if self.reason else ""
        return f"erasure deferred until {self.until_on}{why}"


class PersonErased(PersonFact, frozen=True, kw_only=True, tag="person.erased"):
    """Their key is destroyed, in the transaction that wrote this (``schema/0005_erasure.sql``)."""

    erased_at: Instant
    reason: Reason = ""

    @property
    def line(self) -> str:
        return "erased" + (f": {words(self.reason)}" if self.reason else "")


class LegalHoldPlaced(PersonFact, frozen=True, kw_only=True, tag="person.legal_hold_placed"):
    """What we hold about them may be evidence: nobody erases it until this is released."""

    hold_id: UUID = msgspec.field(default_factory=new_id)
    placed_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "legal hold placed" + (f": {words(self.reason)}" if self.reason else "")


class LegalHoldReleased(PersonFact, frozen=True, kw_only=True, tag="person.legal_hold_released"):
    """It is not needed as evidence any longer."""

    hold_id: UUID
    released_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "legal hold released" + (f": {words(self.reason)}" if self.reason else "")


PrivacyFacts = ErasureRequested | ErasureDeferred | LegalHoldPlaced | LegalHoldReleased


class PersonIsErased(Gone):
    """This person is erased: nothing about them is written any more but what the books need."""


class UnderLegalHold(Conflict):
    """What we hold about this person is under a legal hold: neither it nor a document of theirs is
    erased until that is released."""


class NoErasureRequested(Conflict):
    """Nobody asked for this person to be erased: there is nothing to defer."""


class HoldIdTaken(Conflict):
    """There was a legal hold of this id."""


class NoSuchHold(Unknown):
    """This person is under no such legal hold."""


def due_on(requested_at: datetime) -> date:
    """Within one month of receipt (GDPR, Art. 12(3)): the same day of the next month, or that
    month's last (Regulation 1182/71, Art. 3(2)(c)). Days are those of UTC, and none is moved on for
    a holiday."""
    years, month = divmod(requested_at.month, 12)
    first = date(requested_at.year + years, month + 1, 1)
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return min(first + timedelta(days=requested_at.day - 1), after - timedelta(days=1))
