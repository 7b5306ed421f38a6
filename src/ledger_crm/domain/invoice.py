"""What a client owes us and we owe them: instalments, invoices, remedies, on the company's stream.

    fall due -> raise_invoice* -> (pay | credit | refund)*

An instalment becomes payable by what happens: a milestone is reached, somebody starts, an order is
filled without us. An invoice is for one instalment, so that every amount has its placement or its
job order. Amounts are net of tax; tax is the accountants'. Nothing is paid, credited or invoiced
beyond what is open; what was credited after it was paid is refunded. What is not owed any more,
since who started fell through, is not invoiced, but by a named consultant who says why.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from .entry import (
    Cents,
    CompanyFact,
    Currency,
    Event,
    IdTaken,
    Instant,
    Reason,
    Reservation,
    Sealed,
    id_of,
    new_id,
    words,
)
from .faults import written_like
from .fee import amount
from .refusals import Conflict, Forbidden, Invalid, Unknown

Occasion = Literal["signing", "shortlist", "start", "elsewhere"]
Number = Annotated[
    str,
    written_like(
        r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,39}$(?!\n)", "a number like 2026/017: letters, digits, ._/-"
    ),
]
Reference = Annotated[
    str,
    written_like(
        r"^[A-Za-z0-9._/-]{0,64}$(?!\n)", "a reference like NTRF-77: letters, digits, ._/-"
    ),
]
Positive = Annotated[int, msgspec.Meta(ge=1, le=10**15)]


class MoneyFact(CompanyFact, frozen=True, kw_only=True):
    """Common to all."""


class InstalmentDue(MoneyFact, frozen=True, kw_only=True, tag="company.instalment_due"):
    """Part of a fee has become payable.

    on                 elsewhere: the job order was filled without us
    agreement_version  whose terms they are
    payment_days       from the invoice
    candidacy_id       whose start it is; None: it is for the job order
    """

    may_lie_ahead: ClassVar[bool] = True  # terms may be agreed for a day to come

    instalment_id: UUID
    agreement_id: UUID
    agreement_version: int = 1
    job_order_id: UUID
    on: Occasion
    amount_cents: Cents
    currency: Currency
    payment_days: int = 30
    due_at: Instant
    candidacy_id: UUID | None = None
    person_id: UUID | None = None

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.person_id,) if self.person_id else ()

    @property
    def line(self) -> str:
        why = "filled elsewhere" if self.on == "elsewhere" else f"at the {self.on}"
        return f"instalment due {why}: {amount(self.amount_cents, self.currency)}"


class InvoiceRaised(MoneyFact, frozen=True, kw_only=True, tag="company.invoice_raised"):
    """We asked for the money, for one instalment or part of it.

    number        ours; no other invoice or credit note has it
    amount_cents  net of tax
    due_on        None: by the payment days of the terms
    override      why more than is owed after a rebate, in the words of the named consultant who
                  did it
    """

    invoice_id: UUID = msgspec.field(default_factory=new_id)
    instalment_id: UUID
    number: Number
    amount_cents: Positive
    currency: Currency
    raised_at: Instant
    due_on: date | None = None
    text: Sealed = ""
    override: Sealed = ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (
            Reservation("invoice", str(self.invoice_id), IdTaken),
            Reservation("invoice_number", self.number, NumberTaken),
        )

    @property
    def line(self) -> str:
        return f"invoice {self.number} raised: {amount(self.amount_cents, self.currency)}"


class InvoicePaid(MoneyFact, frozen=True, kw_only=True, tag="company.invoice_paid"):
    """Money came in for an invoice: all of it, or part.

    reference  the bank's own, unique per payment; the same again is no second payment
    """

    invoice_id: UUID
    amount_cents: Positive
    currency: Currency
    paid_at: Instant
    reference: Reference = ""
    text: Sealed = ""

    @property
    def once(self) -> str:
        return f"paid:{self.invoice_id}:{self.reference}" if self.reference else ""

    @property
    def line(self) -> str:
        return f"invoice paid: {amount(self.amount_cents, self.currency)}"


class InvoiceCredited(MoneyFact, frozen=True, kw_only=True, tag="company.invoice_credited"):
    """We no longer ask for it, or give it back.

    number  of the credit note; no other invoice or credit note has it
    anew    the invoice was wrong: so much of the instalment may be invoiced again
    """

    invoice_id: UUID
    number: Number
    amount_cents: Positive
    currency: Currency
    credited_at: Instant
    reason: Reason
    anew: bool = False
    text: Sealed = ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("invoice_number", self.number, NumberTaken),)

    @property
    def line(self) -> str:
        why = f", {words(self.reason)}" if self.reason else ""
        return f"credit note {self.number}: {amount(self.amount_cents, self.currency)}{why}"


class InvoiceRefunded(MoneyFact, frozen=True, kw_only=True, tag="company.invoice_refunded"):
    """What was paid and then credited went back to them.

    reference  the bank's own, unique per payment; the same again is no second payment
    """

    invoice_id: UUID
    amount_cents: Positive
    currency: Currency
    refunded_at: Instant
    reference: Reference = ""
    text: Sealed = ""

    @property
    def once(self) -> str:
        return f"refunded:{self.invoice_id}:{self.reference}" if self.reference else ""

    @property
    def line(self) -> str:
        return f"invoice refunded: {amount(self.amount_cents, self.currency)}"


class RemedyOwed(MoneyFact, frozen=True, kw_only=True, tag="company.remedy_owed"):
    """A placement fell through within its guarantee: we pay back, or find somebody else.

    amount_cents  of a rebate
    """

    candidacy_id: UUID
    person_id: UUID
    job_order_id: UUID
    remedy: Literal["rebate", "replacement"]
    amount_cents: Cents = 0
    currency: Currency
    left_on: date

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.person_id,)

    @property
    def line(self) -> str:
        if self.remedy == "replacement":
            return "replacement owed"
        return f"rebate owed: {amount(self.amount_cents, self.currency)}"


class ReplacementGiven(MoneyFact, frozen=True, kw_only=True, tag="company.replacement_given"):
    """Somebody else took the place of who left, for no further fee.

    candidacy_id  of who is placed now
    replaces_id   candidacy of who left
    """

    candidacy_id: UUID
    person_id: UUID
    replaces_id: UUID
    job_order_id: UUID
    given_at: Instant

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.person_id,)

    @property
    def line(self) -> str:
        return "replacement given"


MoneyFacts = (
    InstalmentDue
    | InvoiceRaised
    | InvoicePaid
    | InvoiceCredited
    | InvoiceRefunded
    | RemedyOwed
    | ReplacementGiven
)


class NumberTaken(Conflict):
    """Another invoice or credit note has this number."""


class NoSuchInstalment(Unknown):
    """Nothing of this id is due from this company."""


class NoSuchInvoice(Unknown):
    """This company has no such invoice."""


class InvoiceTwice(Conflict):
    """There is an invoice with this id already."""


class AnotherCurrency(Invalid):
    """This is charged in another currency."""

    field = "currency"


class MoreThanOpen(Conflict):
    """That is more than what is open."""


class NotOwedAnyMore(Forbidden):
    """Who started fell through, and so much of the fee is not owed any more. A consultant may
    invoice it all the same, and says why."""


class NoMandate(Conflict):
    """No retained fee or container is agreed for this job order: nothing is due before somebody
    starts."""


class NotDueThen(Conflict):
    """By these terms nothing, or nothing more, is due on that."""


class NoReplacementOwed(Conflict):
    """We owe no replacement for this candidacy, or gave it already."""


class Due(msgspec.Struct):
    """An instalment.

    rebate_cents  of it, what is not owed any more since ``left_on``
    """

    job_order_id: UUID
    on: Occasion
    cents: int
    currency: str
    payment_days: int
    invoiced_cents: int = 0
    rebate_cents: int = 0
    left_on: date | None = None

    def not_owed(self, cents: int, on: date) -> int:
        """Of so much more that is invoiced that day, what is not owed. An invoice from before they
        left was right: it is told late, and a credit note follows."""
        if self.left_on is None or on < self.left_on:
            return 0
        return max(cents - max(self.cents - self.rebate_cents - self.invoiced_cents, 0), 0)


class Invoice(msgspec.Struct):
    instalment_id: UUID
    cents: int
    currency: str
    credited_cents: int = 0
    received_cents: int = 0  # paid, less what was refunded
    references: set[str] = msgspec.field(default_factory=set)

    @property
    def open_cents(self) -> int:
        """What they still owe; below 0, what we owe them."""
        return self.cents - self.credited_cents - self.received_cents


class Books(msgspec.Struct):
    """What the next decision on money needs.

    numbers       of invoices and credit notes of this company; of others the ledger knows
    replacements  the job order of each candidacy that we owe one for
    """

    instalments: dict[UUID, Due] = msgspec.field(default_factory=dict)
    invoices: dict[UUID, Invoice] = msgspec.field(default_factory=dict)
    numbers: set[str] = msgspec.field(default_factory=set)
    replacements: dict[UUID, UUID] = msgspec.field(default_factory=dict)

    def due_before_start(self, job_order_id: UUID) -> int:
        on = ("signing", "shortlist")
        return sum(
            due.cents
            for due in self.instalments.values()
            if due.job_order_id == job_order_id and due.on in on
        )

    def must_raise(self, fact: InvoiceRaised, *, unseen: Set[UUID] = frozenset()) -> Due:
        """``unseen``: as of the aggregate. Raises InvoiceTwice, NumberTaken, NoSuchInstalment,
        AnotherCurrency, MoreThanOpen; NotOwedAnyMore without an override."""
        if fact.invoice_id in self.invoices:
            raise InvoiceTwice(invoice_id=fact.invoice_id)
        self._must_be_new(fact.number)
        due = self.instalments.get(fact.instalment_id)
        if due is None or fact.instalment_id in unseen:
            raise NoSuchInstalment(instalment_id=fact.instalment_id)
        _must_be_in(due.currency, fact.currency)
        _must_be_open(due.cents - due.invoiced_cents, fact.amount_cents)
        not_owed = due.not_owed(fact.amount_cents, fact.raised_at.date())
        if not_owed and not fact.override.strip():
            owed = fact.amount_cents - not_owed
            raise NotOwedAnyMore(to_invoice_cents=owed, rebate_cents=due.rebate_cents)
        return due

    def must_pay(self, fact: InvoicePaid) -> bool:
        """False: it is there already. Raises NoSuchInvoice, AnotherCurrency, MoreThanOpen."""
        invoice = self._invoice(fact.invoice_id, fact.currency)
        if fact.once in invoice.references:
            return False
        _must_be_open(invoice.open_cents, fact.amount_cents)
        return True

    def must_credit(self, fact: InvoiceCredited) -> None:
        """Raises NoSuchInvoice, NumberTaken, AnotherCurrency, MoreThanOpen."""
        invoice = self._invoice(fact.invoice_id, fact.currency)
        self._must_be_new(fact.number)
        _must_be_open(invoice.cents - invoice.credited_cents, fact.amount_cents)

    def must_refund(self, fact: InvoiceRefunded) -> bool:
        """False: it is there already. Raises NoSuchInvoice, AnotherCurrency, MoreThanOpen."""
        invoice = self._invoice(fact.invoice_id, fact.currency)
        if fact.once in invoice.references:
            return False
        _must_be_open(-invoice.open_cents, fact.amount_cents)
        return True

    def must_replace(self, replaces_id: UUID, job_order_id: UUID) -> None:
        """Raises NoReplacementOwed."""
        if self.replacements.get(replaces_id) != job_order_id:
            raise NoReplacementOwed(replaces_id=replaces_id)

    def apply(self, event: Event) -> None:
        match event:
            case InstalmentDue():
                self.instalments[event.instalment_id] = Due(
                    event.job_order_id,
                    event.on,
                    event.amount_cents,
                    event.currency,
                    event.payment_days,
                )
            case InvoiceRaised(instalment_id=instalment_id, amount_cents=cents):
                self.numbers.add(event.number)
                self.instalments[instalment_id].invoiced_cents += cents
                self.invoices[event.invoice_id] = Invoice(instalment_id, cents, event.currency)
            case InvoicePaid(invoice_id=id, amount_cents=cents):
                self.invoices[id].received_cents += cents
                self.invoices[id].references |= {event.once} - {""}
            case InvoiceRefunded(invoice_id=id, amount_cents=cents):
                self.invoices[id].received_cents -= cents
                self.invoices[id].references |= {event.once} - {""}
            case InvoiceCredited(invoice_id=id, amount_cents=cents):
                self.numbers.add(event.number)
                self.invoices[id].credited_cents += cents
                if event.anew:
                    self.instalments[self.invoices[id].instalment_id].invoiced_cents -= cents
            case RemedyOwed(remedy="rebate", amount_cents=cents):
                if due := self.instalments.get(_at_start(event)):
                    due.rebate_cents, due.left_on = cents, event.left_on
            case RemedyOwed(remedy="replacement"):
                self.replacements[event.candidacy_id] = event.job_order_id
            case ReplacementGiven(replaces_id=replaces_id):
                del self.replacements[replaces_id]

    def _must_be_new(self, number: str) -> None:
        if number in self.numbers:
            raise NumberTaken(number=number)

    def _invoice(self, id: UUID, currency: str) -> Invoice:
        if id not in self.invoices:
            raise NoSuchInvoice(invoice_id=id)
        _must_be_in(self.invoices[id].currency, currency)
        return self.invoices[id]


def instalment_id(job_order_id: UUID, on: Occasion, candidacy_id: UUID | None = None) -> UUID:
    """Each is due once for a job order, at the start once for each who starts."""
    return id_of("instalment", str(job_order_id), on, str(candidacy_id or ""))


def _at_start(owed: RemedyOwed) -> UUID:
    return instalment_id(owed.job_order_id, "start", owed.candidacy_id)


def _must_be_in(charged: str, given: str) -> None:
    if given != charged:
        raise AnotherCurrency(currency=charged)


def _must_be_open(open_cents: int, cents: int) -> None:
    if cents > open_cents:
        raise MoreThanOpen(open_cents=max(open_cents, 0))
