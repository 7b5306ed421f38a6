"""What if every contingent fee had been 20 % of first-year pay, without tiers and minimum?

Another history, for any fold: ``--instead``. Agreements and placements are as they would have been;
what was invoiced and paid is as it was.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec.structs import replace

from ledger_crm.domain.candidacy import Placed
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.fee import Terms, fee

KINDS = [Terms, Placed]
RATE_BP = 2_000


def instead(state: dict[tuple[UUID, int], Terms], entry: Entry[Any]) -> Event:
    match entry.event:
        case Terms(basis="contingent") as terms:
            terms = replace(terms, rate_bp=RATE_BP, tiers=(), minimum_cents=0)
            state[terms.agreement_id, terms.version] = terms
            return terms
        case Placed(fee_cents=cents) as placed if cents:  # none: it replaces another
            if terms := state.get((placed.agreement_id, placed.agreement_version)):
                cents = fee(terms, first_year_pay_cents=placed.first_year_pay_cents)
            return replace(placed, fee_cents=cents)
        case event:
            return event  # type: ignore[no-any-return]
