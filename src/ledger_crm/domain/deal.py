"""What becomes of a deal beside its stages: its worth, its proposals and terms, its job orders.

    change* | (send -> sign)* | link*

Proposals and terms are papers in versions, counted for each deal: each one sent is the next. The
last one sent is the one that can be signed, once.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .entry import Cents, CompanyFact, Currency, Instant, Sealed, Title
from .pipeline import Probability
from .refusals import Conflict, Invalid

Paper = Literal["proposal", "terms"]


class DealStep(CompanyFact, frozen=True, kw_only=True):
    """Common to all."""

    deal_id: UUID


class DealChanged(DealStep, frozen=True, kw_only=True, tag="company.deal_changed"):
    """We expect something else of it. What is left out stays as it is.

    probability_bp  of winning, as we see it; a later move to another stage brings that stage's
    """

    changed_at: Instant
    title: Title | None = None
    value_cents: Cents | None = None
    currency: Currency | None = None
    probability_bp: Probability | None = None
    expected_close_on: date | None = None
    contact_id: UUID | None = None

    @property
    def changes(self) -> tuple[str, ...]:
        """Names of what it changes."""
        names = (n for n in self.__struct_fields__ if n not in ("deal_id", "changed_at"))
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.contact_id,) if self.contact_id else ()

    @property
    def line(self) -> str:
        known = {"value_cents": "value", "probability_bp": "probability", "contact_id": "contact",
                 "expected_close_on": "expected close"}  # fmt: skip
        said = [known.get(name, name) for name in self.changes]
        return f"deal changed: {', '.join(said) or 'nothing'}"


class PaperSent(DealStep, frozen=True, kw_only=True, tag="company.paper_sent"):
    """A proposal or terms went to them: the first version, or a revised one.

    version       ours to count: leave it out
    to_person_id  who received it
    document      which one, by name or address
    document_id   the one that is filed with the company
    """

    sent_at: Instant
    paper: Paper
    version: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    to_person_id: UUID | None = None
    document: Sealed = ""
    text: Sealed = ""
    document_id: UUID | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.to_person_id,) if self.to_person_id else ()

    @property
    def line(self) -> str:
        how = "sent" if self.version <= 1 else f"revised, version {self.version}"
        return f"{self.paper} {how}"


class PaperSigned(DealStep, frozen=True, kw_only=True, tag="company.paper_signed"):
    """They signed it.

    version        the last one sent
    signed_by_id   the person at the client
    agreement_id   the fee agreement that it became
    document_id    what they signed, filed with the company
    """

    signed_at: Instant
    paper: Paper
    version: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    signed_by_id: UUID
    agreement_id: UUID | None = None
    document_id: UUID | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.signed_by_id,)

    @property
    def line(self) -> str:
        return f"{self.paper} signed, version {self.version}"


class DealLinked(DealStep, frozen=True, kw_only=True, tag="company.deal_linked"):
    """A job order came of it."""

    job_order_id: UUID
    linked_at: Instant

    @property
    def line(self) -> str:
        return "deal linked to a job order"


DealSteps = DealChanged | PaperSent | PaperSigned | DealLinked


class NotTheLastVersion(Conflict):
    """Only the version that was sent last can be signed."""


class SignedAlready(Conflict):
    """This is signed: what is agreed afterwards is another version."""


class NothingSent(Invalid):
    """There is nothing to sign before it was sent."""

    field = "version"


class Papers(msgspec.Struct):
    """Of one deal, by what they are: how many versions were sent, and which one is signed."""

    sent: dict[str, int] = {}
    signed: dict[str, int] = {}
    job_orders: set[UUID] = msgspec.field(default_factory=set)

    def decide(self, fact: DealSteps) -> DealSteps | None:
        """What is to be written down; None for nothing. Raises NothingSent, NotTheLastVersion,
        SignedAlready."""
        match fact:
            case DealChanged() if not fact.changes:
                return None
            case DealLinked(job_order_id=id) if id in self.job_orders:
                return None
            case PaperSent(paper=paper):
                return msgspec.structs.replace(fact, version=self.sent.get(paper, 0) + 1)
            case PaperSigned(paper=paper, version=version):
                last = self.sent.get(paper, 0)
                if not last:
                    raise NothingSent()
                if version != last:
                    raise NotTheLastVersion(paper=paper, last=last)
                if self.signed.get(paper) == version:
                    raise SignedAlready(paper=paper, version=version)
        return fact

    def apply(self, fact: DealSteps) -> None:
        match fact:
            case PaperSent(paper=paper, version=version):
                self.sent[paper] = version
            case PaperSigned(paper=paper, version=version):
                self.signed[paper] = version
            case DealLinked(job_order_id=id):
                self.job_orders.add(id)
