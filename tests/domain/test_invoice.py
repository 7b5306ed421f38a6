"""What falls due, and what is invoiced, paid, credited and refunded of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from builders import (
    CANDIDACY,
    CONTACT,
    INVOICE,
    LINK,
    ORDER,
    SHORTLIST,
    added,
    credited,
    drawn,
    due,
    fee_agreed,
    order_lost,
    order_opened,
    owed,
    paid,
    raised,
    refunded,
    replaced,
    shared,
)
from domain.test_machines import Machine
from ledger_crm.domain.clock import today
from ledger_crm.domain.company import Company, NoSuchJobOrder
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.fee import Instalment
from ledger_crm.domain.invoice import (
    AnotherCurrency,
    InvoiceTwice,
    MoreThanOpen,
    NoMandate,
    NoReplacementOwed,
    NoSuchInstalment,
    NoSuchInvoice,
    NotDueThen,
    NotOwedAnyMore,
    Number,
    NumberTaken,
    instalment_id,
)
from ledger_crm.domain.joborder import ExclusivityBroken
from ledger_crm.domain.permission import NotAConsultant
from scenario import ANA, COMPANY, LATER, NOON, PERSON, given

THIRDS = fee_agreed(
    basis="retained",
    rate_bp=3_000,
    expected_pay_cents=10_000_000,
    instalments=(
        Instalment(on="signing", share_bp=3_334),
        Instalment(on="shortlist", share_bp=3_333),
        Instalment(on="start", share_bp=3_333),
    ),
    job_order_id=ORDER,
)
CONTAINER = fee_agreed(basis="container", amount_cents=500_000, job_order_id=ORDER)


def on(occasion: Any, cents: int, **changes: Any) -> Any:
    fields = {"candidacy_id": None, "person_id": None, "amount_cents": cents}
    id = instalment_id(ORDER, occasion)
    return due(on=occasion, instalment_id=id, **fields | changes)


SIGNED, SHORTLISTED = on("signing", 1_000_200), on("shortlist", 999_900)
OPEN = [added(), order_opened()]


def reach(occasion: Any) -> Any:
    return lambda c: c.reach(ORDER, occasion, at=NOON, by=ANA)


def take_start(fee_cents: int, terms: Any = THIRDS, candidacy: UUID = CANDIDACY) -> Any:
    return lambda c: c.take_start(
        terms, person_id=PERSON, candidacy_id=candidacy, job_order_id=ORDER, fee_cents=fee_cents,
        at=NOON, by=ANA,
    )  # fmt: skip


# what falls due


def test_at_the_signing_the_first_part_of_a_retained_fee_is_due() -> None:
    given(Company, *OPEN).when(lambda c: c.agree_fee(THIRDS, by=ANA)).then(THIRDS, SIGNED)
    given(Company, *OPEN).when(lambda c: c.agree_fee(CONTAINER, by=ANA)).then(
        CONTAINER, on("signing", 500_000)
    )


def test_agreed_again_it_is_not_due_again() -> None:
    again = msgspec.structs.replace(THIRDS, agreement_id=UUID(int=2))
    given(Company, *OPEN, THIRDS, SIGNED).when(lambda c: c.agree_fee(again, by=ANA)).then(again)


def test_a_contingent_fee_is_due_to_nobody_before_the_start() -> None:
    given(Company, *OPEN, fee_agreed()).when(reach("shortlist")).then_refused(NoMandate)
    given(Company, *OPEN, fee_agreed()).when(take_start(2_000_000, fee_agreed())).then(due())


def test_with_the_shortlist_the_second_part_is_due_once() -> None:
    given(Company, *OPEN, THIRDS, SIGNED).when(reach("shortlist")).then(SHORTLISTED)
    given(Company, *OPEN, THIRDS, SIGNED, SHORTLISTED).when(reach("shortlist")).then_nothing()
    given(Company, *OPEN, CONTAINER).when(reach("shortlist")).then_refused(NotDueThen)
    given(Company, added()).when(reach("shortlist")).then_refused(NoSuchJobOrder)


def test_at_the_start_what_is_left_of_the_fee_is_due() -> None:
    history = [*OPEN, THIRDS, SIGNED, SHORTLISTED]
    given(Company, *history).when(take_start(3_300_000)).then(due(amount_cents=1_299_900))
    given(Company, *history).when(take_start(1_000_000)).then(due(amount_cents=0))
    given(Company, *history).when(take_start(0)).then_nothing()  # who replaces somebody


def test_of_two_openings_each_start_takes_its_half_of_what_was_due_before() -> None:
    two = [added(), order_opened(openings=2)]
    signed = on("signing", 2_000_400)
    given(Company, *two).when(lambda c: c.agree_fee(THIRDS, by=ANA)).then(THIRDS, signed)
    given(Company, *two, THIRDS, signed).when(take_start(3_000_000)).then(
        due(amount_cents=1_999_800)
    )
    other = UUID(int=7)
    given(Company, *two, THIRDS, signed, due(amount_cents=1_999_800)).when(
        take_start(3_600_000, candidacy=other)
    ).then(
        due(amount_cents=2_599_800, candidacy_id=other,
            instalment_id=instalment_id(ORDER, "start", other))
    )  # fmt: skip


def test_filled_elsewhere_the_rest_of_a_retained_fee_is_due() -> None:
    given(Company, *OPEN, THIRDS, SIGNED).when(reach("elsewhere")).then(on("elsewhere", 1_999_800))
    mild = msgspec.structs.replace(THIRDS, due_elsewhere=False)
    for terms in (mild, CONTAINER):
        given(Company, *OPEN, terms, SIGNED).when(reach("elsewhere")).then_refused(NotDueThen)


def test_who_says_that_the_order_is_lost_says_that_the_rest_is_due() -> None:
    gone = order_lost(reason="found_elsewhere")
    given(Company, *OPEN, THIRDS, SIGNED).when(lambda c: c.step(gone, by=ANA)).then(
        gone, on("elsewhere", 1_999_800, due_at=gone.lost_at)
    )
    mild = msgspec.structs.replace(THIRDS, due_elsewhere=False)
    for terms in ([mild, SIGNED], [CONTAINER], []):
        given(Company, *OPEN, *terms).when(lambda c: c.step(gone, by=ANA)).then(gone)


def test_an_order_that_is_lost_while_it_is_exclusive_is_flagged() -> None:
    gone, day = order_lost(reason="other_agency"), NOON.date()
    terms = fee_agreed(exclusive_until_on=day)
    flag = ExclusivityBroken(
        job_order_id=ORDER, broken_at=NOON, exclusive_until_on=day, agreement_id=terms.agreement_id
    )

    def lose(at: datetime) -> Any:
        return lambda c: c.step(msgspec.structs.replace(gone, lost_at=at), by=ANA)

    given(Company, *OPEN, terms).when(lose(NOON)).then(gone, flag)
    later = msgspec.structs.replace(gone, lost_at=LATER)
    given(Company, *OPEN, terms).when(lose(LATER)).then(later)
    given(Company, *OPEN, fee_agreed()).when(lose(NOON)).then(gone)
    only_us = msgspec.structs.replace(THIRDS, exclusive_until_on=day)
    given(Company, *OPEN, only_us, SIGNED).when(lose(NOON)).then(
        gone,
        msgspec.structs.replace(flag, agreement_id=only_us.agreement_id),
        on("elsewhere", 1_999_800, due_at=NOON),
    )


def test_who_shares_a_shortlist_reaches_its_milestone_once() -> None:
    until = today()

    def share(c: Company) -> None:
        c.share_shortlist(
            SHORTLIST, LINK, contact_id=CONTACT, digest="0" * 64, until_on=until, at=NOON,
            by=ANA,
        )  # fmt: skip

    link = shared(digest="0" * 64, until_on=until)
    given(Company, *OPEN, THIRDS, SIGNED, drawn()).when(share).then(SHORTLISTED, link)
    given(Company, *OPEN, THIRDS, SIGNED, SHORTLISTED, drawn()).when(share).then(link)
    given(Company, *OPEN, drawn()).when(share).then(link)


def test_a_replacement_is_given_once_and_for_the_order_it_is_owed_for() -> None:
    def give(c: Company) -> None:
        c.give_replacement(replaced(), by=ANA)

    given(Company, *OPEN, owed()).when(give).then(replaced())
    given(Company, *OPEN, owed(), replaced()).when(give).then_refused(NoReplacementOwed)
    given(Company, *OPEN, owed(job_order_id=UUID(int=9))).when(give).then_refused(NoReplacementOwed)
    given(Company, *OPEN, owed(remedy="rebate")).when(give).then_refused(NoReplacementOwed)


# invoices

DUE = [*OPEN, due()]
RAISED = [*DUE, raised()]
REBATED = [*DUE, owed(remedy="rebate", amount_cents=1_500_000)]


def act(name: str, fact: Any) -> Any:
    return lambda c: getattr(c, f"{name}_invoice")(fact, by=ANA)


def test_an_invoice_is_payable_by_the_days_of_the_terms_or_by_the_day_it_says() -> None:
    given(Company, *DUE).when(act("raise", raised(due_on=None))).then(raised())
    tomorrow = LATER.date()
    given(Company, *DUE).when(act("raise", raised(due_on=tomorrow))).then(raised(due_on=tomorrow))


@pytest.mark.parametrize(
    ("history", "name", "fact", "refusal"),
    [
        (OPEN, "raise", raised(), NoSuchInstalment),
        (RAISED, "raise", raised(), InvoiceTwice),
        (RAISED, "raise", raised("2", invoice_id=UUID(int=3), amount_cents=1), MoreThanOpen),
        (RAISED, "raise", raised(invoice_id=UUID(int=3), amount_cents=1), NumberTaken),
        (RAISED, "credit", credited(number="2026/1"), NumberTaken),
        (DUE, "raise", raised(amount_cents=2_000_001), MoreThanOpen),
        (DUE, "raise", raised(currency="GBP"), AnotherCurrency),
        (DUE, "pay", paid(), NoSuchInvoice),
        (RAISED, "pay", paid(2_000_001), MoreThanOpen),
        (RAISED, "pay", paid(currency="GBP"), AnotherCurrency),
        ([*RAISED, paid()], "pay", paid(1), MoreThanOpen),
        ([*RAISED, credited(1)], "pay", paid(), MoreThanOpen),
        (DUE, "credit", credited(), NoSuchInvoice),
        (RAISED, "credit", credited(2_000_001), MoreThanOpen),
        ([*RAISED, credited(1)], "credit", credited(2_000_000, number="C2"), MoreThanOpen),
        (RAISED, "refund", refunded(1), MoreThanOpen),
        ([*RAISED, paid()], "refund", refunded(1), MoreThanOpen),
        ([*RAISED, paid(), credited(5)], "refund", refunded(6), MoreThanOpen),
        ([*RAISED, paid(), credited(5), refunded(5)], "refund", refunded(1), MoreThanOpen),
        (REBATED, "raise", raised(raised_at=LATER, amount_cents=500_001), NotOwedAnyMore),
        (
            REBATED,
            "raise",
            raised(raised_at=LATER, amount_cents=500_001, override=" "),
            NotOwedAnyMore,
        ),
        (
            REBATED,
            "raise",
            raised(raised_at=LATER, amount_cents=2_000_001, override="!"),
            MoreThanOpen,
        ),
        (
            [*REBATED, raised(amount_cents=500_000)],
            "raise",
            raised("2026/2", invoice_id=UUID(int=3), raised_at=LATER, amount_cents=1),
            NotOwedAnyMore,
        ),
    ],
)
def test_nothing_goes_beyond_what_is_open(
    history: list[Any], name: str, fact: Any, refusal: Any
) -> None:
    given(Company, *history).when(act(name, fact)).then_refused(refusal)


@pytest.mark.parametrize(
    ("history", "name", "fact"),
    [
        (RAISED, "pay", paid(1)),
        ([*RAISED, paid(1)], "pay", paid(1_999_999)),
        (RAISED, "credit", credited(2_000_000)),
        ([*RAISED, paid()], "credit", credited()),
        ([*RAISED, paid(), credited()], "refund", refunded()),
        ([*REBATED, raised()], "credit", credited(1_500_000)),
        (REBATED, "raise", raised(raised_at=LATER, amount_cents=500_000)),
        (REBATED, "raise", raised()),  # told late: it is from before they left
        (REBATED, "raise", raised(raised_at=LATER, override="Their books want it whole")),
        ([*RAISED, credited(7, anew=True)], "raise",
         raised("2026/2", invoice_id=UUID(int=3), amount_cents=7)),
    ],
)  # fmt: skip
def test_up_to_that_it_does(history: list[Any], name: str, fact: Any) -> None:
    given(Company, *history).when(act(name, fact)).then(fact)


def test_the_banks_same_reference_is_one_payment() -> None:
    first = paid(1, reference="A")
    given(Company, *RAISED, first).when(act("pay", first)).then_nothing()
    given(Company, *RAISED, first).when(act("pay", paid(1, reference="B"))).then(
        paid(1, reference="B")
    )
    back = refunded(1, reference="A")
    given(Company, *RAISED, paid(), credited(5), back).when(act("refund", back)).then_nothing()


def test_only_a_consultant_invoices_what_is_not_owed() -> None:
    whole = raised(raised_at=LATER, override="Their books want it whole")
    robot = Actor("integration:books")
    given(Company, *REBATED).when(lambda c: c.raise_invoice(whole, by=robot)).then_refused(
        NotAConsultant
    )


@pytest.mark.parametrize("number", ["", "20 26", "2026/1\n", "é", "x" * 41])
def test_a_number_is_one(number: str) -> None:
    assert msgspec.convert("2026/017", Number) == "2026/017"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(number, Number)


class BooksMachine(Machine):
    """One instalment and two invoices. Looks for money that is asked for twice, taken twice or
    given back twice."""

    def __init__(self) -> None:
        super().__init__()
        company = Company.add(added(), by=ANA, id=COMPANY)
        company.open_job_order(order_opened(), by=ANA)
        company.agree_fee(fee_agreed(), by=ANA)
        take_start(1_000, fee_agreed())(company)
        self.begin(company)
        self.cents: dict[UUID, int] = {}
        self.credits: dict[UUID, int] = {}
        self.received: dict[UUID, int] = {}
        self.anew = 0
        self.rebate = 0
        self.numbers = 0

    ids = st.sampled_from([INVOICE, UUID(int=0xE2)])
    amounts = st.integers(1, 700)

    @rule(id=ids, cents=amounts)
    def raise_one(self, id: UUID, cents: int) -> None:
        fact = raised(self.number(), invoice_id=id, amount_cents=cents)
        room = 1_000 - self.rebate - sum(self.cents.values()) + self.anew
        if self.says(act("raise", fact), allowed=id not in self.cents and cents <= room):
            self.cents[id], self.credits[id], self.received[id] = cents, 0, 0

    @rule(cents=amounts)
    def fall_through(self, cents: int) -> None:
        if not self.rebate:
            fact = owed(remedy="rebate", amount_cents=cents, left_on=NOON.date())
            self.says(lambda c: c.owe(fact, by=ANA), allowed=True)
            self.rebate = cents

    def number(self) -> str:
        self.numbers += 1
        return str(self.numbers)

    def open(self, id: UUID) -> int:
        return self.cents.get(id, 0) - self.credits.get(id, 0) - self.received.get(id, 0)

    @rule(id=ids, cents=amounts)
    def pay(self, id: UUID, cents: int) -> None:
        if self.says(act("pay", paid(cents, invoice_id=id)), allowed=cents <= self.open(id)):
            self.received[id] += cents

    @rule(id=ids, cents=amounts, anew=st.booleans())
    def credit(self, id: UUID, cents: int, anew: bool) -> None:
        fact = credited(cents, number=self.number(), invoice_id=id, anew=anew)
        room = self.cents.get(id, 0) - self.credits.get(id, 0)
        if self.says(act("credit", fact), allowed=cents <= room):
            self.credits[id] += cents
            self.anew += cents * anew

    @rule(id=ids, cents=amounts)
    def refund(self, id: UUID, cents: int) -> None:
        fact = refunded(cents, invoice_id=id)
        if self.says(act("refund", fact), allowed=cents <= -self.open(id)):
            self.received[id] -= cents

    @invariant()
    def nothing_is_asked_for_beyond_the_instalment(self) -> None:
        books = self.aggregate.books
        assert sum(i.cents - i.credited_cents for i in books.invoices.values()) <= 1_000
        for id, invoice in books.invoices.items():
            assert invoice.open_cents == self.open(id)
            assert 0 <= invoice.received_cents <= invoice.cents


TestBooks = BooksMachine.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=30)
