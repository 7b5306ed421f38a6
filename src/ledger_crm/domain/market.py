"""The market map of a search: at which companies we look for people, and whom we found there.

    name a target -> drop it       on the client, for a job order
    research*                      on each person, for a job order; the last word holds

A map is drawn before anybody is approached, so nothing here is a contact or a candidacy. Where
somebody sits is not said here: it follows from their employments, which have dates.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from .entry import CompanyFact, Instant, PersonFact, Reason, Sealed, words
from .refusals import Invalid

Standing = Literal["identified", "to_approach", "not_suitable"]


class TargetFact(CompanyFact, frozen=True, kw_only=True):
    """Common to both.

    job_order_id  of the search
    target_id     the company at which we look; its own history tells nothing of it, for whose
                  search it is, is the client's business (`/companies/{id}/conflicts` tells us)
    """

    job_order_id: UUID
    target_id: UUID


class TargetNamed(TargetFact, frozen=True, kw_only=True, tag="company.target_named"):
    """Somebody for this search may sit at that company.

    reason  why there: a code like same_products
    """

    named_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "target company named" + (f": {words(self.reason)}" if self.reason else "")


class TargetDropped(TargetFact, frozen=True, kw_only=True, tag="company.target_dropped"):
    """We do not look there any more, for this search."""

    dropped_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "target company dropped" + (f": {words(self.reason)}" if self.reason else "")


class Researched(PersonFact, frozen=True, kw_only=True, tag="person.researched"):
    """We looked at them for a search, without their knowing.

    company_id  the client
    standing    identified: they may fit; to_approach: we want to speak to them; not_suitable
    text        what we found out
    """

    company_id: UUID
    job_order_id: UUID
    researched_at: Instant
    standing: Standing = "identified"
    text: Sealed = ""

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id,)

    @property
    def line(self) -> str:
        return f"researched for a search: {words(self.standing)}"


Targets = TargetNamed | TargetDropped
Research = Researched


class TargetIsClient(Invalid):
    """A client is no target of its own search."""

    field = "target_id"
