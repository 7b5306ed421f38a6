"""What may happen to a company, and what it takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from builders import (
    AGREEMENT,
    DEAL,
    ORDER,
    added,
    deal_lost,
    deal_moved,
    deal_opened,
    deal_won,
    fee_agreed,
    order_cancelled,
    order_filled,
    order_opened,
    sales,
)
from ledger_crm.domain.agreement import AgreementTwice
from ledger_crm.domain.clock import stopped_at
from ledger_crm.domain.company import (
    Company,
    CompanyAdded,
    DealBeginsOpen,
    DealIsOpen,
    DealIsOver,
    LossNeedsReason,
    NoSuchDeal,
    NoTerms,
)
from ledger_crm.domain.contact import NotADomain
from ledger_crm.domain.fee import TermsIncomplete
from ledger_crm.domain.joborder import (
    JobOrderIsClosed,
    JobOrderIsOpen,
    NoSuchJobOrder,
    WrongWayRound,
)
from ledger_crm.domain.pipeline import NoSuchStage
from scenario import ANA, COMPANY, LATER, NOON, folded, given

OTHER = UUID(int=2)


def open_deal(stage: str = "", id: UUID = DEAL) -> Any:
    return lambda c: c.open_deal(
        sales(), title="Ten engineers", at=NOON, id=id, stage=stage, by=ANA
    )


def move_deal(to: str, **rest: Any) -> Any:
    return lambda c: c.move_deal(DEAL, to, sales(), at=NOON, by=ANA, **rest)


# who they are


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        (" Engines.Example ", "engines.example"),
        ("www.engines.example", "engines.example"),
    ],
)
def test_a_domain_is_kept_in_its_one_form(said: str, kept: str) -> None:
    company = Company.add(added(domain=said), by=ANA)
    [entry] = company.collect_events()
    assert entry.event == added(domain=kept)  # type: ignore[attr-defined]
    assert [r.value for r in entry.event.reserves] == ([kept] if kept else [])  # type: ignore[attr-defined]


@pytest.mark.parametrize("domain", ["engines", "ada@engines.example", "a b.example"])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(NotADomain):
        Company.add(added(domain=domain), by=ANA)


# deals


def test_a_deal_begins_in_the_first_stage() -> None:
    given(Company, added()).when(open_deal()).then(deal_opened("prospect"))


def test_a_deal_begins_where_it_is_said_to_with_that_stages_chances() -> None:
    given(Company, added()).when(open_deal("proposal_sent")).then(
        deal_opened("proposal_sent", probability_bp=5_500)
    )


@pytest.mark.parametrize("stage", ["won", "lost"])
def test_no_deal_begins_at_its_end(stage: str) -> None:
    given(Company, added()).when(open_deal(stage)).then_refused(DealBeginsOpen)


def test_no_deal_begins_twice() -> None:
    for history in ([deal_opened()], [deal_opened(), deal_won()]):
        given(Company, added(), *history).when(open_deal()).then_refused(DealIsOpen, deal_id=DEAL)


def test_a_company_may_have_two_deals() -> None:
    given(Company, added(), deal_opened()).when(open_deal(id=OTHER)).then(
        deal_opened(deal_id=OTHER)
    )


@pytest.mark.parametrize("to", ["terms_agreed", "prospect"])
def test_a_deal_moves_forward_and_back(to: str) -> None:
    given(Company, added(), deal_opened("qualified")).when(move_deal(to)).then(deal_moved(to))


def test_a_deal_is_won_and_lost_by_being_moved_there() -> None:
    given(Company, added(), deal_opened()).when(move_deal("won")).then(deal_won())
    given(Company, added(), deal_opened()).when(move_deal("lost", reason="no_budget")).then(
        deal_lost()
    )


def test_no_deal_is_lost_without_a_reason() -> None:
    given(Company, added(), deal_opened()).when(move_deal("lost")).then_refused(LossNeedsReason)


@pytest.mark.parametrize("end", [deal_won(), deal_lost()])
def test_a_deal_that_is_over_stays_over(end: Any) -> None:
    for to in ("prospect", "won", "lost"):
        given(Company, added(), deal_opened(), end).when(
            move_deal(to, reason="x")
        ).then_refused(DealIsOver)  # fmt: skip


def test_no_deal_moves_that_is_not_there() -> None:
    given(Company, added()).when(move_deal("won")).then_refused(NoSuchDeal, deal_id=DEAL)
    given(Company, added(), deal_opened()).when(move_deal("nirvana")).then_refused(NoSuchStage)


# fees


@pytest.mark.parametrize(
    "fact", [fee_agreed(), fee_agreed(basis="fixed", rate_bp=0, amount_cents=1)]
)
def test_a_fee_is_agreed(fact: Any) -> None:
    given(Company, added()).when(lambda c: c.agree_fee(fact, by=ANA)).then(fact)


@pytest.mark.parametrize(
    "fact",
    [
        fee_agreed(rate_bp=0),
        fee_agreed(rate_bp=0, amount_cents=1),
        fee_agreed(basis="fixed"),
        fee_agreed(basis="fixed", amount_cents=0, minimum_cents=1),
    ],
)
def test_terms_say_what_the_fee_is(fact: Any) -> None:
    given(Company, added()).when(lambda c: c.agree_fee(fact, by=ANA)).then_refused(TermsIncomplete)


def test_no_agreement_is_made_twice() -> None:
    given(Company, added(), fee_agreed()).when(
        lambda c: c.agree_fee(fee_agreed(rate_bp=1), by=ANA)
    ).then_refused(AgreementTwice, agreement_id=AGREEMENT)


def test_no_fee_for_a_job_order_that_is_not_there() -> None:
    given(Company, added()).when(
        lambda c: c.agree_fee(fee_agreed(job_order_id=ORDER), by=ANA)
    ).then_refused(NoSuchJobOrder)


def agreement(id: int, order: UUID | None = None) -> Any:
    return fee_agreed(agreement_id=UUID(int=id), job_order_id=order)


@pytest.mark.parametrize(
    ("agreed", "in_force"),
    [
        ([agreement(1)], 1),
        ([agreement(1), agreement(2)], 2),
        ([agreement(1, ORDER), agreement(2)], 1),
        ([agreement(1), agreement(2, ORDER), agreement(3)], 2),
        ([agreement(1, ORDER), agreement(2, ORDER)], 2),
        ([agreement(1), agreement(2, OTHER)], 1),
    ],
)
def test_the_terms_of_the_job_order_come_first_and_the_latest_first(
    agreed: list[Any], in_force: int
) -> None:
    company = folded(Company, added(), order_opened(), *agreed, id=COMPANY)
    assert company.terms_for(ORDER, LATER).agreement_id == UUID(int=in_force)


@pytest.mark.parametrize("agreed", [[], [agreement(1, OTHER)]])
def test_without_terms_there_are_none(agreed: list[Any]) -> None:
    company = folded(Company, added(), order_opened(), *agreed, id=COMPANY)
    with pytest.raises(NoTerms):
        company.terms_for(ORDER, LATER)


# job orders


@pytest.mark.parametrize(
    "fact",
    [
        order_opened(),
        order_opened(salary_from_cents=1, salary_to_cents=1),
        order_opened(salary_from_cents=5),
    ],
)
def test_a_job_order_is_opened(fact: Any) -> None:
    given(Company, added()).when(lambda c: c.open_job_order(fact, by=ANA)).then(fact)


def test_no_job_order_is_opened_twice() -> None:
    for history in ([order_opened()], [order_opened(), order_cancelled()]):
        given(Company, added(), *history).when(
            lambda c: c.open_job_order(order_opened(), by=ANA)
        ).then_refused(JobOrderIsOpen, job_order_id=ORDER)


def test_a_salary_ends_above_where_it_begins() -> None:
    fact = order_opened(salary_from_cents=2, salary_to_cents=1)
    given(Company, added()).when(lambda c: c.open_job_order(fact, by=ANA)).then_refused(
        WrongWayRound
    )


def fill(company: Company) -> None:
    company.fill_job_order(ORDER, at=NOON, by=ANA)


def cancel(company: Company) -> None:
    company.cancel_job_order(ORDER, at=NOON, reason="frozen", by=ANA)


def test_a_job_order_is_filled_or_cancelled() -> None:
    given(Company, added(), order_opened()).when(fill).then(order_filled())
    given(Company, added(), order_opened()).when(cancel).then(order_cancelled())


@pytest.mark.parametrize("command", [fill, cancel])
def test_a_job_order_that_is_not_open_is_neither(command: Any) -> None:
    for end in (order_filled(), order_cancelled()):
        given(Company, added(), order_opened(), end).when(command).then_refused(JobOrderIsClosed)
    given(Company, added()).when(command).then_refused(NoSuchJobOrder, job_order_id=ORDER)


def test_terms_may_be_agreed_for_a_day_to_come() -> None:
    with stopped_at(NOON):
        fact = fee_agreed(agreed_at=NOON + timedelta(days=90))
        given(Company, added()).when(lambda c: c.agree_fee(fact, by=ANA)).then(fact)


@pytest.mark.parametrize("name", ["", " ", "\t", "Acme\nLtd", "Acme\x1b[2J", "x" * 201])
def test_a_name_is_plain_text_in_one_line(name: str) -> None:
    """It is shown on terminals, and it stays for ever."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "company.added", "name": name}, CompanyAdded)
    assert msgspec.convert({"kind": "company.added", "name": "Ö & Co. 株式会社"}, CompanyAdded)
