"""What a placement costs the client: the terms, and the functions that apply them.

    contingent  a percentage of first-year pay, due when somebody starts
    fixed       an amount, due when somebody starts
    retained    either of them, in instalments on milestones; what has fallen due stays due
    container   a percentage, of which an amount is due at the signing and the rest at the start

Everything is in minor units of the terms' currency. A share of an amount is rounded half up, once,
at its end. What is divided sums to the whole: odd units go to the largest remainders, the first of
equals. Source: the usual terms of business of recruitment agencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from .entry import Cents, CompanyFact, Currency, Sealed, new_id
from .faults import written_like
from .refusals import Invalid

Basis = Literal["contingent", "fixed", "retained", "container"]
Milestone = Literal["signing", "shortlist", "start"]
Part = Literal["base", "bonus", "commission", "allowances", "sign_on", "equity", "car"]
Points = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
"""Basis points: hundredths of a percent."""

Consultant = Annotated[
    str,
    written_like(
        r"^consultant:[a-z0-9][a-z0-9._-]{0,62}$(?!\n)", "a consultant like consultant:ana"
    ),
]

WHOLE = 10_000
RATE_ONE = 10**9


class Piece(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Part of a fact: what it has by default is not stored, so that fields may be added."""


class Tier(Piece, frozen=True, kw_only=True):
    """From this first-year pay on, this rate."""

    from_cents: Cents
    rate_bp: Points


class Instalment(Piece, frozen=True, kw_only=True):
    """This share of the fee is due on this milestone."""

    on: Milestone
    share_bp: Points


class Rung(Piece, frozen=True, kw_only=True):
    """Of whoever leaves by this day, this share of the fee is paid back. Day 1 is the first one at
    work."""

    until_day: Annotated[int, msgspec.Meta(ge=1, le=730)]
    rebate_bp: Points


class Split(Piece, frozen=True, kw_only=True):
    """Another agency, itself a company on record, gets this share of the fee."""

    partner_id: UUID
    share_bp: Points


class Terms(CompanyFact, frozen=True, kw_only=True):
    """Common to all that say what a client pays.

    version             of the agreement, which we count: 1 as agreed, then one an amendment
    rate_bp             contingent, retained, container: hundredths of a percent of first-year pay
    tiers               rates from a first-year pay on; below the first one ``rate_bp`` holds
    sliced              each tier's rate is charged on what lies above its beginning; else the last
                        one that is reached, on all of it
    minimum_cents       the least fee, where it is a percentage
    amount_cents        fixed, retained: the fee; container: the part due at the signing
    instalments         retained: what is due when, of the fee at ``expected_pay_cents`` for every
                        opening; at each start, the rest of that placement's own fee
    expected_pay_cents  retained by percentage: the first-year pay before anybody is found
    due_elsewhere       retained: what is left falls due if the order is filled without us
    counts              the parts of pay that are first-year pay
    guarantee_days      from the first day at work on, within which a fall-through has a remedy
    ladder              what is paid back then; empty: they are replaced
    payment_days        from the invoice
    exclusive_until_on  the last day on which nobody else looks for them; None: others may
    tail_months         after an introduction, within which whoever is hired is owed for
    split               with another agency
    ends_on             the last day on which it holds; None: until it is ended
    job_order_id        only for this job order; None: for the company
    """

    agreement_id: UUID = msgspec.field(default_factory=new_id)
    version: Annotated[int, msgspec.Meta(ge=1)] = 1
    basis: Basis
    currency: Currency
    rate_bp: Points = 0
    tiers: Annotated[tuple[Tier, ...], msgspec.Meta(max_length=20)] = ()
    sliced: bool = False
    minimum_cents: Cents = 0
    amount_cents: Cents = 0
    instalments: Annotated[tuple[Instalment, ...], msgspec.Meta(max_length=3)] = ()
    expected_pay_cents: Cents = 0
    due_elsewhere: bool = True
    counts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=7)] = ("base",)
    guarantee_days: Annotated[int, msgspec.Meta(ge=0, le=730)] = 0
    ladder: Annotated[tuple[Rung, ...], msgspec.Meta(max_length=20)] = ()
    payment_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 30
    exclusive_until_on: date | None = None
    tail_months: Annotated[int, msgspec.Meta(ge=0, le=60)] = 0
    split: Split | None = None
    ends_on: date | None = None
    job_order_id: UUID | None = None
    text: Sealed = ""

    @property
    def holds_from(self) -> datetime:
        at = self.occurred_at
        assert at is not None, "every fact of this kind says when"
        return at

    @property
    def in_words(self) -> str:
        rates = [self.rate_bp, *(tier.rate_bp for tier in self.tiers)]
        charged = f"{' to '.join(f'{bp / 100:g}' for bp in sorted({rates[0], rates[-1]}))} %"
        charged += " of first-year pay"
        fixed = amount(self.amount_cents, self.currency)
        match self.basis:
            case "fixed":
                return f"fixed fee, {fixed}"
            case "retained":
                return f"retained, {fixed if self.amount_cents else charged}"
            case "container":
                return f"container, {charged}, {fixed} at the signing"
        return charged


class Pay(Piece, frozen=True, kw_only=True):
    """What somebody earns in the first year, by part.

    exchange_rate_e9  of the terms' currency for one of ``currency``, in thousand millionths:
                      850_000_000 is 0.85; 0: there is nothing to convert
    """

    currency: Currency
    base_cents: Cents = 0
    bonus_cents: Cents = 0
    commission_cents: Cents = 0
    allowances_cents: Cents = 0
    sign_on_cents: Cents = 0
    equity_cents: Cents = 0
    car_cents: Cents = 0
    exchange_rate_e9: Annotated[int, msgspec.Meta(ge=0, le=10**15)] = 0


class Share(Piece, frozen=True, kw_only=True):
    """This consultant's share of what a placement brings us."""

    consultant: Consultant
    share_bp: Points


Shares = Annotated[tuple[Share, ...], msgspec.Meta(max_length=20)]


class TermsIncomplete(Invalid):
    """A contingent fee or container needs a rate, a fixed fee an amount, a container one at the
    signing as well, a retained fee an amount or a rate and the first-year pay to expect."""

    field = "rate_bp"


class TiersDisordered(Invalid):
    """Tiers begin at a pay, each above the one before."""

    field = "tiers"


class InstalmentsIncomplete(Invalid):
    """A retained fee, and no other, has instalments: each milestone once, the start among them,
    100 % together."""

    field = "instalments"


class LadderDisordered(Invalid):
    """A rebate ladder goes from day to day, pays back less each time, and ends with the
    guarantee."""

    field = "ladder"


class PartTwice(Invalid):
    """A part of pay counts once."""

    field = "counts"


class NotForOneOrder(Invalid):
    """Retained fees and containers are agreed for one job order."""

    field = "job_order_id"


class SharesIncomplete(Invalid):
    """Shares sum to 100 %, and each consultant has one."""

    field = "shares"


class NoExchangeRate(Invalid):
    """Pay in another currency than the fee needs the rate of exchange that was agreed."""

    field = "exchange_rate_e9"


def must_make_sense(terms: Terms) -> None:
    """Raises TermsIncomplete, TiersDisordered, InstalmentsIncomplete, LadderDisordered, PartTwice,
    NotForOneOrder."""
    rate = bool(terms.rate_bp or any(tier.rate_bp for tier in terms.tiers))
    complete = {
        "contingent": rate,
        "fixed": bool(terms.amount_cents),
        "container": rate and bool(terms.amount_cents),
        "retained": bool(terms.amount_cents or (rate and terms.expected_pay_cents)),
    }
    if not complete[terms.basis]:
        raise TermsIncomplete()
    if not _rise([tier.from_cents for tier in terms.tiers]):
        raise TiersDisordered()
    milestones = [each.on for each in terms.instalments]
    whole = sum(each.share_bp for each in terms.instalments)
    if terms.basis == "retained":
        if len({*milestones}) < len(milestones) or "start" not in milestones or whole != WHOLE:
            raise InstalmentsIncomplete()
    elif milestones:
        raise InstalmentsIncomplete()
    days, falls = [r.until_day for r in terms.ladder], [-r.rebate_bp for r in terms.ladder]
    if not (_rise(days) and _rise(falls)) or (days and days[-1] > terms.guarantee_days):
        raise LadderDisordered()
    if len({*terms.counts}) < len(terms.counts):
        raise PartTwice()
    if terms.basis in ("retained", "container") and terms.job_order_id is None:
        raise NotForOneOrder()


def must_sum_up(shares: Sequence[Share]) -> None:
    """Raises SharesIncomplete."""
    consultants = {each.consultant for each in shares}
    if sum(each.share_bp for each in shares) != WHOLE or len(consultants) < len(shares):
        raise SharesIncomplete()


def fee(terms: Terms, *, first_year_pay_cents: int) -> int:
    """Of one placement. Never negative."""
    if terms.basis == "fixed" or (terms.basis == "retained" and terms.amount_cents):
        return terms.amount_cents
    least = max(terms.minimum_cents, terms.amount_cents if terms.basis == "container" else 0)
    return max(_charged(terms, first_year_pay_cents), least)


def first_year_pay(terms: Terms, pay: Pay) -> int:
    """What the agreement counts of it, in the terms' currency; converted once, as a sum. Raises
    NoExchangeRate."""
    parts = sum(getattr(pay, f"{part}_cents") for part in terms.counts)
    if pay.currency == terms.currency:
        return int(parts)
    if not pay.exchange_rate_e9:
        raise NoExchangeRate(pay=pay.currency, fee=terms.currency)
    into, of = DIGITS.get(terms.currency, 2), DIGITS.get(pay.currency, 2)
    return _half_up(int(parts) * pay.exchange_rate_e9 * 10**into, RATE_ONE * 10**of)


def before_start(terms: Terms, *, openings: int) -> dict[Milestone, int]:
    """What is due on milestones before anybody starts, for the whole job order."""
    match terms.basis:
        case "container":
            return {"signing": terms.amount_cents}
        case "retained":
            whole = fee(terms, first_year_pay_cents=terms.expected_pay_cents) * openings
            parts = divided(whole, [each.share_bp for each in terms.instalments])
            due = zip(terms.instalments, parts, strict=True)
            return {each.on: cents for each, cents in due if each.on != "start" and cents}
    return {}


def at_start(fee_cents: int, *, due_cents: int, openings: int, earlier_starts: int) -> int:
    """What is left of a placement's fee when they start, once its share of what fell due for the
    job order before is taken off. What was due and is more than the fee stays due.

    earlier_starts  on this job order; from the last opening on nothing is left to be taken off
    """
    credits = divided(due_cents, [1] * openings)
    credit = credits[earlier_starts] if earlier_starts < openings else 0
    return max(fee_cents - credit, 0)


def rebate(terms: Terms, fee_cents: int, *, day: int) -> int:
    """What is paid back of a fee if they leave on that day; day 1 is the first one at work. Never
    more than the fee."""
    reached = (rung.rebate_bp for rung in terms.ladder if max(day, 1) <= rung.until_day)
    return _half_up(fee_cents * next(reached, 0), WHOLE)


def with_partner(terms: Terms, fee_cents: int) -> tuple[int, int]:
    """Ours, and the other agency's. Together the fee."""
    share_bp = terms.split.share_bp if terms.split else 0
    ours, theirs = divided(fee_cents, [WHOLE - share_bp, share_bp])
    return ours, theirs


def divided(cents: int, weights: Sequence[int]) -> list[int]:
    """In proportion to the weights, which are not all zero; the parts sum to the whole."""
    total = sum(weights)
    parts = [cents * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(cents * weights[i] % total))
    for i in by_remainder[: cents - sum(parts)]:
        parts[i] += 1
    return parts


def guarantee_until(terms: Terms, starts_on: date) -> date | None:
    """The last day of it; None: there is none."""
    if not terms.guarantee_days:
        return None
    return starts_on + timedelta(days=terms.guarantee_days - 1)


def tail_until(terms: Terms, introduced_at: datetime) -> date | None:
    """The last day of it, the same day of a later month or that month's last; None: none."""
    if not terms.tail_months:
        return None
    years, month = divmod(introduced_at.month - 1 + terms.tail_months, 12)
    first = date(introduced_at.year + years, month + 1, 1)
    after = date(first.year + month // 11, (month + 1) % 12 + 1, 1)
    return min(first + timedelta(days=introduced_at.day - 1), after - timedelta(days=1))


def _charged(terms: Terms, pay_cents: int) -> int:
    if not terms.sliced:
        reached = [tier.rate_bp for tier in terms.tiers if tier.from_cents <= pay_cents]
        return _half_up(pay_cents * (reached[-1] if reached else terms.rate_bp), WHOLE)
    begins = [0, *(tier.from_cents for tier in terms.tiers)]
    rates = [terms.rate_bp, *(tier.rate_bp for tier in terms.tiers)]
    ends = [*begins[1:], max(pay_cents, begins[-1])]
    slices = (
        rate_bp * (min(end, pay_cents) - begin)
        for begin, end, rate_bp in zip(begins, ends, rates, strict=True)
        if begin < pay_cents
    )
    return _half_up(sum(slices), WHOLE)


def _half_up(parts: int, of: int) -> int:
    return (2 * parts + of) // (2 * of)


def _rise(numbers: Sequence[int]) -> bool:
    return all(low < high for low, high in pairwise(numbers))


NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
DIGITS = {code: 0 for code in NO_DIGITS.split()} | dict.fromkeys(("BHD", "JOD", "KWD", "OMR"), 3)
"""How many digits the minor unit has, where it is not two (ISO 4217)."""


def amount(cents: int, currency: str) -> str:
    """Minor units in words: ``123.45 EUR``, ``12345 JPY``."""
    digits = DIGITS.get(currency, 2)
    whole, rest = divmod(cents, 10**digits)
    return f"{whole}.{rest:0{digits}} {currency}" if digits else f"{whole} {currency}"
