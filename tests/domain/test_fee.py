"""The fee is a pure function of the terms and the first year's pay, in whole minor units."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import AGREEMENT
from ledger_crm.domain.fee import Terms, fee


def terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {"basis": "contingent", "currency": "EUR", "rate_bp": 2_500}
    return Terms(agreement_id=AGREEMENT, **fields | changes)


@pytest.mark.parametrize(
    ("pay_cents", "changes", "expected_cents"),
    [
        (8_000_000, {}, 2_000_000),
        (0, {}, 0),
        (1, {}, 0),  # a quarter of a cent
        (2, {}, 1),  # half a cent is rounded up
        (3, {}, 1),
        (10_001, {"rate_bp": 1}, 1),
        (8_000_000, {"minimum_cents": 2_500_000}, 2_500_000),
        (8_000_000, {"minimum_cents": 1}, 2_000_000),
        (0, {"minimum_cents": 500_000}, 500_000),
        (8_000_000, {"basis": "fixed", "amount_cents": 999}, 999),
        (8_000_000, {"basis": "fixed", "amount_cents": 999, "minimum_cents": 5_000}, 999),
        (8_000_000, {"rate_bp": 10_000}, 8_000_000),
    ],
)
def test_a_fee_is_what_was_agreed(
    pay_cents: int, changes: dict[str, Any], expected_cents: int
) -> None:
    assert fee(terms(**changes), first_year_pay_cents=pay_cents) == expected_cents


cents = st.integers(0, 10**15)
any_terms = st.builds(
    terms,
    basis=st.sampled_from(["contingent", "fixed"]),
    rate_bp=st.integers(0, 10_000),
    minimum_cents=cents,
    amount_cents=cents,
)


@given(any_terms, cents, cents)
def test_a_fee_is_never_negative_and_grows_with_the_pay(agreed: Terms, low: int, more: int) -> None:
    less, greater = (fee(agreed, first_year_pay_cents=pay) for pay in (low, low + more))
    assert 0 <= less <= greater


@given(st.integers(0, 10_000), cents)
def test_a_share_is_exact_and_half_a_cent_rounds_up(rate_bp: int, pay_cents: int) -> None:
    """No binary fractions: the same as with decimals, at any size."""
    exact = (Decimal(pay_cents) * rate_bp / 10_000).quantize(Decimal(1), ROUND_HALF_UP)
    assert fee(terms(rate_bp=rate_bp), first_year_pay_cents=pay_cents) == exact


@given(any_terms, cents)
def test_a_fee_is_at_least_the_minimum(agreed: Terms, pay_cents: int) -> None:
    amount = fee(agreed, first_year_pay_cents=pay_cents)
    least = agreed.amount_cents if agreed.basis == "fixed" else agreed.minimum_cents
    assert amount >= least
