"""What a placement costs the client: the terms, and the one function that applies them.

Contingent search charges a percentage of first-year pay when somebody starts, fixed price is
what it says. Source: the usual terms of business of recruitment agencies.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

Basis = Literal["contingent", "fixed"]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a fee is computed from, as agreed.

    rate_bp        hundredths of a percent of first-year pay (contingent): 2_500 is 25 %
    minimum_cents  the least fee (contingent)
    amount_cents   the fee (fixed)
    agreed_at      from when on they hold
    """

    agreement_id: UUID
    basis: Basis
    currency: str
    rate_bp: int = 0
    minimum_cents: int = 0
    amount_cents: int = 0
    job_order_id: UUID | None = None
    agreed_at: datetime | None = None


def fee(terms: Terms, *, first_year_pay_cents: int) -> int:
    """Minor units of ``terms.currency``; half a unit is rounded up. Never negative."""
    if terms.basis == "fixed":
        return terms.amount_cents
    share = (first_year_pay_cents * terms.rate_bp + 5_000) // 10_000
    return max(share, terms.minimum_cents)


NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
DIGITS = {code: 0 for code in NO_DIGITS.split()} | dict.fromkeys(("BHD", "JOD", "KWD", "OMR"), 3)
"""How many digits the minor unit has, where it is not two (ISO 4217)."""


def amount(cents: int, currency: str) -> str:
    """Minor units in words: ``123.45 EUR``, ``12345 JPY``."""
    digits = DIGITS.get(currency, 2)
    whole, rest = divmod(cents, 10**digits)
    return f"{whole}.{rest:0{digits}} {currency}" if digits else f"{whole} {currency}"
