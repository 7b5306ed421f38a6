"""Fee agreements in versions: what is introduced keeps the one that was in force then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from builders import (
    AGREEMENT,
    ORDER,
    added,
    fee_agreed,
    fee_amended,
    fee_ended,
    introduced,
    opened,
    order_opened,
    represented,
    sourced,
    talent,
)
from builders import CANDIDACY as CANDIDACY_ID
from ledger_crm.domain.agreement import (
    AgreementIsOver,
    AmendedBackwards,
    AnotherContract,
    NoSuchAgreement,
)
from ledger_crm.domain.company import Company, NoTerms
from ledger_crm.domain.fee import TermsIncomplete
from ledger_crm.domain.person import Person
from scenario import ANA, COMPANY, LATER, NOON, folded, given

MUCH_LATER = LATER + timedelta(days=30)
OTHER = UUID(int=0xF2)


def amend(**changes: Any) -> Any:
    return lambda c: c.amend_fee(fee_amended(**changes), by=ANA)


def end(**changes: Any) -> Any:
    return lambda c: c.end_fee(fee_ended(**changes), by=ANA)


def test_an_amendment_is_the_next_version_whatever_it_says() -> None:
    given(Company, added(), fee_agreed()).when(amend(version=9)).then(fee_amended(version=2))
    given(Company, added(), fee_agreed(), fee_amended()).when(amend(amended_at=MUCH_LATER)).then(
        fee_amended(version=3, amended_at=MUCH_LATER)
    )


@pytest.mark.parametrize("command", [amend(), end()])
def test_what_is_not_agreed_is_neither_amended_nor_ended(command: Any) -> None:
    given(Company, added()).when(command).then_refused(NoSuchAgreement, agreement_id=AGREEMENT)


@pytest.mark.parametrize("command", [amend(), end()])
def test_what_is_ended_is_over(command: Any) -> None:
    given(Company, added(), fee_agreed(), fee_ended()).when(command).then_refused(AgreementIsOver)


def test_an_agreement_goes_forward() -> None:
    given(Company, added(), fee_agreed()).when(amend(amended_at=NOON)).then_refused(
        AmendedBackwards, version=1
    )
    before = NOON - timedelta(days=1)
    given(Company, added(), fee_agreed()).when(end(ended_at=before)).then_refused(AmendedBackwards)
    given(Company, added(), fee_agreed()).when(end(ended_at=NOON)).then(fee_ended(ended_at=NOON))


@pytest.mark.parametrize("change", [{"currency": "GBP"}, {"job_order_id": ORDER}])
def test_an_amendment_stays_the_same_contract(change: dict[str, Any]) -> None:
    given(Company, added(), order_opened(), fee_agreed()).when(amend(**change)).then_refused(
        AnotherContract
    )


def test_an_amendment_makes_sense_by_itself() -> None:
    given(Company, added(), fee_agreed()).when(amend(rate_bp=0)).then_refused(TermsIncomplete)


@pytest.mark.parametrize(
    ("history", "at", "rate_bp"),
    [
        ([fee_agreed(), fee_amended()], NOON, 2_500),
        ([fee_agreed(), fee_amended()], LATER, 2_000),
        ([fee_agreed(), fee_ended()], NOON, 2_500),
        ([fee_agreed(), fee_ended()], LATER, None),
        # one that took another's place does not bring it back when it ends
        ([fee_agreed(agreement_id=OTHER), fee_agreed(), fee_ended()], LATER, None),
        # an order's own one that is over leaves the company's
        ([fee_agreed(agreement_id=OTHER, rate_bp=1_800),
          fee_agreed(job_order_id=ORDER), fee_ended()], LATER, 1_800),
        # an amendment of an older one does not put it before a newer one
        ([fee_agreed(), fee_agreed(agreement_id=OTHER, rate_bp=1_800), fee_amended()],
         MUCH_LATER, 1_800),
        ([fee_agreed(ends_on=NOON.date())], NOON, 2_500),
        ([fee_agreed(ends_on=NOON.date())], LATER, None),
        ([fee_agreed(), fee_amended(amended_at=MUCH_LATER)], LATER, 2_500),
    ],
)  # fmt: skip
def test_the_version_of_the_moment_is_in_force(
    history: list[Any], at: datetime, rate_bp: int | None
) -> None:
    company = folded(Company, added(), order_opened(), *history, id=COMPANY)
    if rate_bp is None:
        with pytest.raises(NoTerms):
            company.terms_for(ORDER, at)
    else:
        assert company.terms_for(ORDER, at).rate_bp == rate_bp


def test_an_introduction_keeps_version_and_tail_of_the_first_time() -> None:
    first = fee_agreed(tail_months=12)
    until = NOON.date().replace(year=2027)
    kept = introduced(agreement_version=1, tail_until_on=until)

    def introduce(terms: Any) -> Any:
        return lambda p: p.introduce(CANDIDACY_ID, talent(), terms=terms, at=NOON, by=ANA)

    given(Person, sourced(), opened(), represented()).when(introduce(first)).then(kept)
    given(Person, sourced(), opened(), represented(), kept).when(
        introduce(fee_amended(tail_months=1))
    ).then(kept)
    given(Person, sourced(), opened(), represented()).when(introduce(fee_amended())).then(
        introduced(agreement_version=2)
    )
