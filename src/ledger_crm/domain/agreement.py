"""Fee agreements: what a client pays, as versioned contracts.

    agree -> amend* -> end?

Whoever is introduced is under the version in force at that moment, for good. An amendment or an
end never touches what was introduced before. A later agreement takes the place of an earlier one
of the same reach; once replaced, an agreement does not come back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import ClassVar
from uuid import UUID

import msgspec

from .entry import CompanyFact, IdTaken, Instant, Reason, Reservation, Sealed, words
from .fee import Terms
from .refusals import Conflict, Invalid, Unknown


class FeeAgreed(Terms, frozen=True, kw_only=True, tag="company.fee_agreed"):
    """What the client pays for a placement. A later one takes its place for what is introduced
    after it; what was introduced before keeps its terms."""

    may_lie_ahead: ClassVar[bool] = True

    agreed_at: Instant

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("agreement", str(self.agreement_id), IdTaken),)

    @property
    def line(self) -> str:
        return f"fee agreed: {self.in_words}"


class FeeAmended(Terms, frozen=True, kw_only=True, tag="company.fee_amended"):
    """The same agreement in other words, all of them said again, for who is introduced from then
    on. What is left out is as if it had never been said: without ``ends_on`` there is no last day
    any more, and nothing to renew."""

    may_lie_ahead: ClassVar[bool] = True

    agreement_id: UUID
    amended_at: Instant

    @property
    def line(self) -> str:
        return f"fee amended, version {self.version}: {self.in_words}"


class FeeEnded(CompanyFact, frozen=True, kw_only=True, tag="company.fee_ended"):
    """Nobody is introduced under it any more."""

    may_lie_ahead: ClassVar[bool] = True

    agreement_id: UUID
    ended_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "fee agreement ended" + (f": {words(self.reason)}" if self.reason else "")


AgreementFacts = FeeAgreed | FeeAmended | FeeEnded


class AgreementTwice(Conflict):
    """There is a fee agreement with this id already."""


class NoSuchAgreement(Unknown):
    """This company has no such fee agreement."""


class AgreementIsOver(Conflict):
    """This fee agreement is ended."""


class AmendedBackwards(Invalid):
    """An amendment holds from after the version before it, and an end comes after both."""


class AnotherContract(Invalid):
    """An amendment keeps the currency and the job order; other ones are another agreement."""

    field = "currency"


class Agreement(msgspec.Struct):
    """versions  the first as agreed, each later one from a later moment on"""

    versions: list[Terms]
    ended_at: datetime | None = None

    @property
    def agreed_at(self) -> datetime:
        return self.versions[0].holds_from

    def at(self, at: datetime) -> Terms | None:
        """The version in force then."""
        held = [terms for terms in self.versions if terms.holds_from <= at]
        if not held or (self.ended_at and self.ended_at <= at) or _past(held[-1].ends_on, at):
            return None
        return held[-1]

    def must_take(self, fact: FeeAmended) -> None:
        """Raises AgreementIsOver, AmendedBackwards, AnotherContract."""
        last = self.versions[-1]
        if self.ended_at:
            raise AgreementIsOver(agreement_id=last.agreement_id, ended_at=self.ended_at)
        if fact.amended_at <= last.holds_from:
            raise AmendedBackwards(version=last.version, since=last.holds_from)
        if (fact.currency, fact.job_order_id) != (last.currency, last.job_order_id):
            raise AnotherContract(currency=last.currency, job_order_id=last.job_order_id)

    def must_end(self, at: datetime) -> None:
        """Raises AgreementIsOver, AmendedBackwards."""
        last = self.versions[-1]
        if self.ended_at:
            raise AgreementIsOver(agreement_id=last.agreement_id, ended_at=self.ended_at)
        if at < last.holds_from:
            raise AmendedBackwards(version=last.version, since=last.holds_from)


def in_force(agreements: Iterable[Agreement], at: datetime) -> Agreement | None:
    """Of agreements of one reach, in the order in which they were written down: the last to be
    agreed by then, if it still holds."""
    agreed = [each for each in agreements if each.agreed_at <= at]
    latest = max(reversed(agreed), key=lambda each: each.agreed_at, default=None)
    return latest if latest and latest.at(at) else None


def _past(last_on: date | None, at: datetime) -> bool:
    return last_on is not None and at >= datetime.combine(
        last_on + timedelta(days=1), time(), at.tzinfo
    )
