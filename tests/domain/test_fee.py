"""The fee is a pure function of the terms and the first year's pay, in whole minor units."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import AGREEMENT, ORDER, added, fee_agreed, fee_amended, order_opened
from ledger_crm.domain.company import Company
from ledger_crm.domain.fee import (
    Instalment,
    InstalmentsIncomplete,
    LadderDisordered,
    NoExchangeRate,
    NotForOneOrder,
    PartTwice,
    Pay,
    Rung,
    Split,
    Terms,
    TermsIncomplete,
    Tier,
    TiersDisordered,
    at_start,
    before_start,
    divided,
    fee,
    first_year_pay,
    guarantee_until,
    must_make_sense,
    rebate,
    tail_until,
    with_partner,
)
from ledger_crm.domain.refusals import Invalid
from scenario import COMPANY, LATER, NOON, folded

PARTNER = UUID(int=0xC2)


def terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {"basis": "contingent", "currency": "EUR", "rate_bp": 2_500}
    return Terms(agreement_id=AGREEMENT, **fields | changes)


def tiers(*steps: tuple[int, int]) -> tuple[Tier, ...]:
    return tuple(Tier(from_cents=begin, rate_bp=rate) for begin, rate in steps)


def ladder(*rungs: tuple[int, int]) -> tuple[Rung, ...]:
    return tuple(Rung(until_day=day, rebate_bp=share) for day, share in rungs)


def thirds(**changes: Any) -> Terms:
    """A retained search: 30 % of an expected 100,000.00, in thirds."""
    parts: Any = (("signing", 3_334), ("shortlist", 3_333), ("start", 3_333))
    fields: dict[str, Any] = {
        "basis": "retained", "rate_bp": 3_000, "expected_pay_cents": 100_000_00,
        "instalments": tuple(Instalment(on=on, share_bp=share) for on, share in parts),
        "job_order_id": ORDER,
    }  # fmt: skip
    return terms(**fields | changes)


def halves(**changes: Any) -> Terms:
    parts: Any = (("signing", 5_000), ("start", 5_000))
    instalments = tuple(Instalment(on=on, share_bp=share) for on, share in parts)
    return thirds(**{"instalments": instalments} | changes)


def container(**changes: Any) -> Terms:
    fields = {"basis": "container", "amount_cents": 5_000_00, "job_order_id": ORDER}
    return terms(**fields | changes)


def of(agreed: Terms, pay_cents: int) -> int:
    return fee(agreed, first_year_pay_cents=pay_cents)


def pay(**parts: Any) -> Pay:
    return Pay(**{"currency": "EUR"} | parts)


def back(agreed: Terms, on_day: int, of_cents: int = 20_000_00) -> int:
    return rebate(agreed, of_cents, day=on_day)


def last(fee_cents: int, *, due: int, openings: int = 1, before: int = 0) -> int:
    return at_start(fee_cents, due_cents=due, openings=openings, earlier_starts=before)


def renegotiated(introduced_at: datetime, pay_cents: int) -> int:
    """25 % agreed at noon, 20 % from the next day on: by when they were introduced."""
    company = folded(
        Company, added(), order_opened(), fee_agreed(), fee_amended(rate_bp=2_000), id=COMPANY
    )
    return of(company.terms_for(ORDER, introduced_at), pay_cents)


LADDER = {"guarantee_days": 90, "ladder": ladder((30, 10_000), (60, 5_000), (90, 2_500))}
LADDERED = terms(**LADDER)
BANDS = tiers((50_000_00, 2_500), (100_000_00, 3_000))
ANY_TIME = datetime(2026, 5, 1, tzinfo=UTC)

WORKED: dict[str, tuple[Callable[[], object], object]] = {
    # a percentage
    "25 % of 80,000.00 is 20,000.00": (lambda: of(terms(), 80_000_00), 20_000_00),
    "25 % of nothing is nothing": (lambda: of(terms(), 0), 0),
    "25 % of 0.01 is a quarter of a cent: 0.00": (lambda: of(terms(), 1), 0),
    "25 % of 0.02 is half a cent, which is rounded up: 0.01": (lambda: of(terms(), 2), 1),
    "25 % of 0.03 is three quarters of a cent: 0.01": (lambda: of(terms(), 3), 1),
    "33.33 % of 90,000.00 is 29,997.00": (lambda: of(terms(rate_bp=3_333), 90_000_00), 29_997_00),
    "22.5 % of 71,999.99 is 16,199.99775: 16,200.00": (
        lambda: of(terms(rate_bp=2_250), 71_999_99), 16_200_00),
    "0.01 % of 100.01 is 0.010001: 0.01": (lambda: of(terms(rate_bp=1), 10_001), 1),
    "100 % of 80,000.00 is all of it": (lambda: of(terms(rate_bp=10_000), 80_000_00), 80_000_00),
    "25 % of 8,000,001 yen is 2,000,000.25: 2,000,000": (
        lambda: of(terms(currency="JPY"), 8_000_001), 2_000_000),
    # a minimum
    "25 % of 20,000.00 is 5,000.00, the least is 8,000.00": (
        lambda: of(terms(minimum_cents=8_000_00), 20_000_00), 8_000_00),
    "25 % of 32,000.00 is 8,000.00, just the least": (
        lambda: of(terms(minimum_cents=8_000_00), 32_000_00), 8_000_00),
    "25 % of 40,000.00 is 10,000.00, above the least": (
        lambda: of(terms(minimum_cents=8_000_00), 40_000_00), 10_000_00),
    "of nothing the least is due all the same": (
        lambda: of(terms(minimum_cents=5_000_00), 0), 5_000_00),
    # an amount
    "a fixed fee of 12,000.00 is that for any pay": (
        lambda: of(terms(basis="fixed", amount_cents=12_000_00), 500_000_00), 12_000_00),
    "a fixed fee knows no minimum": (
        lambda: of(terms(basis="fixed", amount_cents=999, minimum_cents=5_000), 1), 999),
    # tiers
    "20 %, from 50,000 on 25 %: 49,999.99 pays 9,999.998, that is 10,000.00": (
        lambda: of(terms(rate_bp=2_000, tiers=BANDS), 49_999_99), 10_000_00),
    "20 %, from 50,000 on 25 %: 50,000.00 pays 12,500.00, on all of it": (
        lambda: of(terms(rate_bp=2_000, tiers=BANDS), 50_000_00), 12_500_00),
    "from 100,000 on 30 %: 120,000.00 pays 36,000.00": (
        lambda: of(terms(rate_bp=2_000, tiers=BANDS), 120_000_00), 36_000_00),
    "sliced, 120,000.00 pays 10,000.00 + 12,500.00 + 6,000.00": (
        lambda: of(terms(rate_bp=2_000, tiers=BANDS, sliced=True), 120_000_00), 28_500_00),
    "sliced, 60,000.00 pays 20 % of 50,000 and 25 % of 10,000: 12,500.00": (
        lambda: of(terms(rate_bp=2_000, tiers=BANDS, sliced=True), 60_000_00), 12_500_00),
    "sliced, 0.02 above the tier: 10,000.00 and half a cent, rounded once: 10,000.01": (
        lambda: of(terms(rate_bp=2_000, tiers=BANDS, sliced=True), 50_000_02), 10_000_01),
    "tiers and a least: 20 % of 30,000.00 is 6,000.00, the least is 7,500.00": (
        lambda: of(terms(rate_bp=2_000, tiers=BANDS, minimum_cents=7_500_00), 30_000_00), 7_500_00),
    # what counts as first-year pay
    "base only: 80,000 and a bonus of 10,000 count as 80,000.00": (
        lambda: first_year_pay(terms(), pay(base_cents=80_000_00, bonus_cents=10_000_00)),
        80_000_00),
    "base, bonus and car: 80,000 + 10,000 + 6,000 count as 96,000.00": (
        lambda: first_year_pay(
            terms(counts=("base", "bonus", "car")),
            pay(base_cents=80_000_00, bonus_cents=10_000_00, car_cents=6_000_00,
                equity_cents=50_000_00)),
        96_000_00),
    # two currencies
    "80,000.00 EUR at 0.85 are 68,000.00 GBP": (
        lambda: first_year_pay(
            terms(currency="GBP"), pay(base_cents=80_000_00, exchange_rate_e9=850_000_000)),
        68_000_00),
    "12,000,000 yen at 0.0061 are 73,200.00 EUR": (
        lambda: first_year_pay(
            terms(), pay(currency="JPY", base_cents=12_000_000, exchange_rate_e9=6_100_000)),
        73_200_00),
    "50,000.00 EUR at 163.5 are 8,175,000 yen": (
        lambda: first_year_pay(
            terms(currency="JPY"), pay(base_cents=50_000_00, exchange_rate_e9=163_500_000_000)),
        8_175_000),
    "1,000.000 dinar at 3 are 3,000.00 EUR: three digits become two": (
        lambda: first_year_pay(
            terms(), pay(currency="KWD", base_cents=1_000_000, exchange_rate_e9=3_000_000_000)),
        3_000_00),
    "paid in EUR, charged in GBP: 25 % of 68,000.00 is 17,000.00": (
        lambda: of(terms(currency="GBP"), first_year_pay(
            terms(currency="GBP"), pay(base_cents=80_000_00, exchange_rate_e9=850_000_000))),
        17_000_00),
    # retained, in thirds of 30 % of an expected 100,000.00
    "of 30,000.00, 33.34 % at the signing and 33.33 % at the shortlist": (
        lambda: before_start(thirds(), openings=1), {"signing": 10_002_00, "shortlist": 9_999_00}),
    "cancelled after the second third: 10,002.00 + 9,999.00 stay due": (
        lambda: sum(before_start(thirds(), openings=1).values()), 20_001_00),
    "started at 110,000.00: 33,000.00 less 20,001.00 is 12,999.00": (
        lambda: last(of(thirds(), 110_000_00), due=20_001_00), 12_999_00),
    "started at 100,000.00, as expected: the last third is 9,999.00": (
        lambda: last(of(thirds(), 100_000_00), due=20_001_00), 9_999_00),
    "started at 60,000.00: 18,000.00 are less than what was due, nothing is paid back": (
        lambda: last(of(thirds(), 60_000_00), due=20_001_00), 0),
    "a retained amount of 40,000.00: half at the signing, half at the start": (
        lambda: (before_start(halves(amount_cents=40_000_00), openings=1),
                 last(of(halves(amount_cents=40_000_00), 1), due=20_000_00)),
        ({"signing": 20_000_00}, 20_000_00)),
    "100.00 in thirds is 33.34 + 33.33 + 33.33": (
        lambda: divided(100_00, [1, 1, 1]), [33_34, 33_33, 33_33]),
    # several openings
    "two openings at 30,000.00 each: 15,000.00 of each at the signing": (
        lambda: before_start(halves(), openings=2), {"signing": 30_000_00}),
    "the first of two starts at 100,000.00: 30,000.00 less half of 30,000.00": (
        lambda: last(30_000_00, due=30_000_00, openings=2), 15_000_00),
    "the second starts at 120,000.00: 36,000.00 less the other half": (
        lambda: last(36_000_00, due=30_000_00, openings=2, before=1), 21_000_00),
    "a third one, beyond the openings, pays in full": (
        lambda: last(30_000_00, due=30_000_00, openings=2, before=2), 30_000_00),
    "100.01 over three openings: 33.34 off the first two, 33.33 off the last": (
        lambda: [last(100_00, due=100_01, openings=3, before=n) for n in range(3)],
        [66_66, 66_66, 66_67]),
    # a container
    "a container of 5,000.00: that at the signing": (
        lambda: before_start(container(), openings=1), {"signing": 5_000_00}),
    "and 20,000.00 less 5,000.00 at the start": (
        lambda: last(of(container(), 80_000_00), due=5_000_00), 15_000_00),
    "a container is never less than what was due at the signing": (
        lambda: of(container(), 1_00), 5_000_00),
    # falling through
    "on day 45 of 90, by the ladder, half of 20,000.00": (lambda: back(LADDERED, 45), 10_000_00),
    "on the last day of a rung, that rung: day 30, everything": (
        lambda: back(LADDERED, 30), 20_000_00),
    "on day 31, half": (lambda: back(LADDERED, 31), 10_000_00),
    "on day 90, a quarter": (lambda: back(LADDERED, 90), 5_000_00),
    "on day 91, nothing": (lambda: back(LADDERED, 91), 0),
    "a quarter of 0.03 is 0.0075: 0.01": (lambda: back(LADDERED, 90, 3), 1),
    "without a ladder nothing is paid back: they are replaced": (
        lambda: back(terms(guarantee_days=90), 1), 0),
    "90 days from 1 May are over after 29 July": (
        lambda: guarantee_until(LADDERED, date(2026, 5, 1)), date(2026, 7, 29)),
    "no guarantee ends on no day": (lambda: guarantee_until(terms(), date(2026, 5, 1)), None),
    # another agency
    "half of 20,000.00 is the other agency's": (
        lambda: with_partner(terms(split=Split(partner_id=PARTNER, share_bp=5_000)), 20_000_00),
        (10_000_00, 10_000_00)),
    "of 0.05 in halves the odd cent is ours": (
        lambda: with_partner(terms(split=Split(partner_id=PARTNER, share_bp=5_000)), 5), (3, 2)),
    "a third of 20,000.00 for them is 6,666.00, 13,334.00 stay": (
        lambda: with_partner(terms(split=Split(partner_id=PARTNER, share_bp=3_333)), 20_000_00),
        (13_334_00, 6_666_00)),
    "without a split all is ours": (lambda: with_partner(terms(), 20_000_00), (20_000_00, 0)),
    # renegotiated between introduction and start
    "introduced before the amendment, 25 % of 80,000.00": (
        lambda: renegotiated(NOON, 80_000_00), 20_000_00),
    "introduced after it, 20 %": (lambda: renegotiated(LATER, 80_000_00), 16_000_00),
    # the tail
    "twelve months from 1 May 2026 last until 1 May 2027": (
        lambda: tail_until(terms(tail_months=12), ANY_TIME), date(2027, 5, 1)),
    "six months from 31 August 2026 last until 28 February 2027": (
        lambda: tail_until(terms(tail_months=6), datetime(2026, 8, 31, tzinfo=UTC)),
        date(2027, 2, 28)),
    "one month from 30 November 2026 lasts until 30 December": (
        lambda: tail_until(terms(tail_months=1), datetime(2026, 11, 30, tzinfo=UTC)),
        date(2026, 12, 30)),
    "no tail ends on no day": (lambda: tail_until(terms(), ANY_TIME), None),
}  # fmt: skip


@pytest.mark.parametrize(("worked", "expected"), WORKED.values(), ids=WORKED)
def test_worked(worked: Callable[[], object], expected: object) -> None:
    assert worked() == expected


@pytest.mark.parametrize(
    "agreed",
    [
        terms(),
        terms(rate_bp=0, tiers=BANDS),
        terms(basis="fixed", rate_bp=0, amount_cents=1),
        LADDERED,
        thirds(),
        halves(rate_bp=0, expected_pay_cents=0, amount_cents=1),
        container(),
    ],
)
def test_what_makes_sense(agreed: Terms) -> None:
    must_make_sense(agreed)


@pytest.mark.parametrize(
    ("agreed", "refusal"),
    [
        (terms(rate_bp=0), TermsIncomplete),
        (terms(basis="fixed"), TermsIncomplete),
        (container(amount_cents=0), TermsIncomplete),
        (container(rate_bp=0), TermsIncomplete),
        (thirds(rate_bp=0), TermsIncomplete),
        (thirds(expected_pay_cents=0), TermsIncomplete),
        (terms(tiers=tiers((2, 1), (2, 2))), TiersDisordered),
        (terms(tiers=tiers((3, 1), (2, 2))), TiersDisordered),
        (thirds(instalments=()), InstalmentsIncomplete),
        (thirds(instalments=thirds().instalments[:2]), InstalmentsIncomplete),
        (thirds(instalments=(Instalment(on="signing", share_bp=10_000),)), InstalmentsIncomplete),
        (halves(instalments=halves().instalments[:1] * 2), InstalmentsIncomplete),
        (terms(instalments=thirds().instalments), InstalmentsIncomplete),
        (terms(guarantee_days=90, ladder=ladder((60, 5_000), (30, 2_500))), LadderDisordered),
        (terms(guarantee_days=90, ladder=ladder((30, 2_500), (60, 5_000))), LadderDisordered),
        (terms(guarantee_days=90, ladder=ladder((91, 2_500))), LadderDisordered),
        (terms(counts=("base", "base")), PartTwice),
        (thirds(job_order_id=None), NotForOneOrder),
        (container(job_order_id=None), NotForOneOrder),
    ],
)
def test_what_makes_none(agreed: Terms, refusal: type[Invalid]) -> None:
    with pytest.raises(refusal):
        must_make_sense(agreed)


def test_pay_in_another_currency_needs_a_rate() -> None:
    with pytest.raises(NoExchangeRate):
        first_year_pay(terms(currency="GBP"), pay(base_cents=1))


# properties

cents = st.integers(0, 10**15)
shares = st.integers(0, 10_000)
rising = st.lists(st.integers(1, 10**9), max_size=4, unique=True).map(sorted)


BASES: dict[str, dict[str, Any]] = {
    "contingent": {},
    "fixed": {"amount_cents": 1},
    "retained": {"expected_pay_cents": 1, "instalments": thirds().instalments},
    "container": {"amount_cents": 1},
}


@st.composite
def agreements(draw: st.DrawFn) -> Terms:
    """Any that make sense, with tiers that rise."""
    basis = draw(st.sampled_from(list(BASES)))
    steps = draw(rising)
    by_tier = sorted(draw(st.lists(shares, min_size=len(steps), max_size=len(steps))))
    drawn: dict[str, Any] = {
        "basis": basis,
        "rate_bp": draw(st.integers(1, 10_000)),
        "tiers": tiers(*zip(steps, by_tier, strict=True)),
        "sliced": draw(st.booleans()),
        "minimum_cents": draw(cents),
        "guarantee_days": 90,
        "ladder": draw(st.sampled_from([(), LADDERED.ladder, ladder((90, 10_000))])),
        "split": draw(st.none() | st.builds(Split, partner_id=st.just(PARTNER), share_bp=shares)),
        "job_order_id": ORDER,
    }
    for name, least in BASES[basis].items():
        drawn[name] = draw(cents) + least if isinstance(least, int) else least
    found = terms(**drawn)
    must_make_sense(found)
    return found


@given(agreements(), cents)
def test_a_fee_is_never_negative(agreed: Terms, pay_cents: int) -> None:
    assert of(agreed, pay_cents) >= 0


@given(agreements(), cents, cents)
def test_a_fee_grows_with_the_pay_where_the_rates_do(agreed: Terms, low: int, more: int) -> None:
    if agreed.sliced or agreed.rate_bp <= min((t.rate_bp for t in agreed.tiers), default=10_000):
        assert of(agreed, low) <= of(agreed, low + more)


@given(shares, cents)
def test_a_share_is_exact_and_half_a_cent_rounds_up(rate_bp: int, pay_cents: int) -> None:
    """No binary fractions: the same as with decimals, at any size."""
    exact = (Decimal(pay_cents) * rate_bp / 10_000).quantize(Decimal(1), ROUND_HALF_UP)
    assert of(terms(rate_bp=rate_bp), pay_cents) == exact


@given(agreements(), cents)
def test_a_fee_is_at_least_the_minimum(agreed: Terms, pay_cents: int) -> None:
    fixed = agreed.basis == "fixed" or (agreed.basis == "retained" and agreed.amount_cents)
    assert of(agreed, pay_cents) >= (agreed.amount_cents if fixed else agreed.minimum_cents)


@given(cents, st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_what_is_divided_sums_to_the_whole_and_no_part_is_a_unit_off(
    whole: int, weights: list[int]
) -> None:
    parts = divided(whole, weights)
    assert sum(parts) == whole
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - whole * weight) < sum(weights)


@given(agreements(), st.integers(1, 8), st.lists(cents, min_size=1, max_size=8))
def test_instalments_sum_to_the_fees_or_to_what_was_due_before(
    agreed: Terms, openings: int, pays: list[int]
) -> None:
    """Over all who start: never a unit less than their fees, and not a unit more but where what
    fell due before is more than a fee."""
    due = sum(before_start(agreed, openings=openings).values())
    fees = [of(agreed, pay) for pay in pays[:openings]]
    starts = [last(cents, due=due, openings=openings, before=n) for n, cents in enumerate(fees)]
    credits = divided(due, [1] * openings)[: len(fees)]
    assert all(cents >= 0 for cents in starts)
    for cents, at_the_start, credit in zip(fees, starts, credits, strict=True):
        assert credit + at_the_start == max(cents, credit)


@given(agreements(), cents)
def test_splits_sum_to_the_fee(agreed: Terms, fee_cents: int) -> None:
    ours, theirs = with_partner(agreed, fee_cents)
    assert ours + theirs == fee_cents
    assert min(ours, theirs) >= 0


@given(agreements(), cents, st.integers(-30, 200), st.integers(0, 60))
def test_a_rebate_never_exceeds_the_fee_and_never_grows_by_staying(
    agreed: Terms, fee_cents: int, day: int, longer: int
) -> None:
    early = rebate(agreed, fee_cents, day=day)
    assert 0 <= rebate(agreed, fee_cents, day=day + longer) <= early <= fee_cents
