"""Money as it is read: nothing of another client, and every sum to the minor unit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import credited, fee_agreed, fell_through, firm_profile, paid, placed, split
from ledger_crm.commands import intake, placements
from ledger_crm.domain.candidate import candidacy_id
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.fee import Instalment
from ledger_crm.domain.invoice import instalment_id
from ledger_crm.ledger import Ledger, Work
from ledger_crm.projections import agreements, commissions, fees, introductions, invoices
from ledger_crm.projections import placements as placed_there
from projections.stories import COMPANIES, ORDERS, PEOPLE
from projections.test_queries import cur, cursor, do, project
from scenario import ANA, NOON, PERSON

pytestmark = pytest.mark.anyio
__all__ = ["cur"]

ADA, BEN, CYD = PEOPLE
ACME, BOLT = COMPANIES
FEE = 2_500_000  # a quarter of 100,000.00
AT_ACME, AT_BOLT = (candidacy_id(ADA, ORDERS[company][0]) for company in COMPANIES)
START = date(2026, 4, 1)
HALVES = (Instalment(on="signing", share_bp=5_000), Instalment(on="start", share_bp=5_000))


async def test_lists_are_of_the_client_and_person_asked_for(cur: introductions.Cursor) -> None:
    """The full story: Ada is placed, started and invoiced at both."""
    for listing in (introductions.listing, placed_there.listing):
        everything = await listing(cur)
        assert [row.company_id for row in everything] == [BOLT, ACME]
        assert [row.candidacy_id for row in await listing(cur, company_id=ACME)] == [AT_ACME]
        assert await listing(cur, person_id=BEN) == []
        assert await listing(cur, before=everything[0].position) == everything[1:]
    [evidence] = await introductions.listing(cur, company_id=ACME)
    assert (evidence.person, evidence.to_person, evidence.company) == ("P0", "P2", "C0")
    assert (evidence.agreement_version, evidence.tail_until_on, evidence.hired_on) == (
        1,
        None,
        None,
    )
    assert await introductions.listing(cur, hired_past_us=True) == []
    assert await introductions.listing(cur, in_tail_on=NOON.date()) == []
    assert [row.status for row in await placed_there.listing(cur, status="started")] == [
        "started", "started"
    ]  # fmt: skip
    assert await placed_there.listing(cur, status="placed") == []
    assert await placed_there.listing(cur, in_guarantee_on=START) == [], "there is no guarantee"
    assert {row.company_id for row in await invoices.due(cur, company_id=BOLT)} == {BOLT}
    assert await invoices.due(cur, to_invoice=True) == []
    [bill] = await invoices.listing(cur, company_id=ACME)
    assert (bill.instalment_id, bill.open_cents) == (
        instalment_id(ORDERS[ACME][0], "start", AT_ACME), FEE
    )  # fmt: skip
    assert await invoices.listing(cur, settled=True) == []
    assert bill.due_on is not None
    assert await invoices.listing(cur, overdue_on=bill.due_on) == []
    overdue = await invoices.listing(cur, overdue_on=bill.due_on + timedelta(days=1))
    assert len(overdue) == 2
    assert {row.company_id for row in await agreements.listing(cur, company_id=ACME)} == {ACME}
    assert await agreements.listing(cur, ends_before=date(2100, 1, 1)) == [], "they do not end"


async def test_revenue_is_by_client_month_industry_and_consultant(
    cur: fees.Cursor, ledger: Ledger, database: str
) -> None:
    bill = instalment_id(ORDERS[ACME][0], "start", AT_ACME)

    async def pays(work: Work) -> Company:
        company = await work.get(Company, ACME)
        company.pay_invoice(paid(1_000_001, invoice_id=bill), by=ANA)
        company.credit_invoice(credited(1, invoice_id=bill, number="C"), by=ANA)
        return company

    halves = split(("consultant:ben", 5_000), ("consultant:ana", 5_000)).shares
    await do(
        ledger,
        pays,
        lambda w: placements.split_commission(w, ADA, AT_ACME, shares=halves, at=NOON),
    )
    project(database, ledger)
    async with cursor(database) as now:
        clients = await fees.revenue(now, "client", on=START)
        consultants = await fees.revenue(now, "consultant", on=START)
        months = await fees.revenue(now, "month", on=START)
        [industry] = await fees.revenue(now, "industry", on=START)
        april = await fees.revenue(now, "client", on=START, since=datetime(2026, 4, 1, tzinfo=UTC))
        none = await fees.revenue(now, "client", on=START, until=NOON)
    weaves = firm_profile(industry="textiles")
    await do(ledger, lambda w: intake.change_company(w, ACME, weaves))
    project(database, ledger)
    async with cursor(database) as now:
        industries = await fees.revenue(now, "industry", on=START)

    assert [(i.key, i.agreed_cents) for i in industries] == [("", FEE), ("textiles", FEE)]
    assert [(c.label, c.agreed_cents, c.invoiced_cents, c.paid_cents) for c in clients] == [
        ("C0", FEE, FEE, 1_000_001), ("C1", FEE, FEE, 0)
    ]  # fmt: skip
    assert [(c.key, c.agreed_cents, c.paid_cents) for c in consultants] == [
        ("consultant:ana", FEE + FEE // 2, 500_000), ("consultant:ben", FEE // 2, 500_001)
    ]  # fmt: skip
    assert [(m.key, m.agreed_cents, m.due_cents) for m in months] == [
        ("2026-03", 2 * FEE, 0), ("2026-04", 0, 2 * FEE)
    ]  # fmt: skip
    assert (industry.key, industry.credited_cents, industry.at_risk_cents) == ("", 1, 0)
    assert [(c.label, c.agreed_cents, c.due_cents) for c in april] == [
        ("C0", 0, FEE), ("C1", 0, FEE)
    ]  # fmt: skip
    assert none == []


async def test_a_retainer_without_a_placement_is_due_and_nobodys_fee(
    cur: fees.Cursor, ledger: Ledger, database: str
) -> None:
    order = ORDERS[BOLT][0]
    retained = fee_agreed(
        agreement_id=UUID(int=9), basis="retained", amount_cents=900, job_order_id=order,
        instalments=HALVES,
    )  # fmt: skip

    async def agree(work: Work) -> Company:
        company = await work.get(Company, BOLT)
        company.agree_fee(retained, by=ANA)
        return company

    await do(ledger, agree)
    project(database, ledger)
    async with cursor(database) as now:
        clients = await fees.revenue(now, "client", on=START)
        [open_one] = await invoices.due(now, to_invoice=True)
    assert [(c.label, c.agreed_cents, c.due_cents) for c in clients] == [
        ("C0", FEE, FEE), ("C1", FEE, FEE + 4 * 450)
    ]  # fmt: skip
    assert (open_one.on, open_one.candidacy_id, open_one.amount_cents) == ("signing", None, 4 * 450)


def entry(event: commissions.Placed | commissions.FellThrough) -> Entry[object]:
    return Entry(
        originator_id=PERSON, originator_version=1, position=1, timestamp=NOON, by=ANA, event=event
    )


@given(
    fee_cents=st.integers(0, 10**12),
    partner_bp=st.integers(0, 10_000),
    rebate_bp=st.integers(0, 10_000),
    cut=st.integers(0, 10_000),
)
def test_shares_sum_to_what_a_placement_brings_us(
    fee_cents: int, partner_bp: int, rebate_bp: int, cut: int
) -> None:
    partner, rebate = fee_cents * partner_bp // 10_000, fee_cents * rebate_bp // 10_000
    shares = split(("consultant:ana", cut), ("consultant:ben", 10_000 - cut)).shares
    row = commissions.placed(
        entry(placed(fee_cents=fee_cents, partner_cents=partner, shares=shares))
    )
    assert sum(p.cents for p in commissions.PARTS.decode(row.parts)) == fee_cents - partner
    row = commissions.fell_through(row, entry(fell_through(rebate_cents=rebate)))
    left = sum(p.cents for p in commissions.PARTS.decode(row.parts))
    assert 0 <= left <= min(fee_cents - partner, fee_cents - rebate)
    if not partner:
        assert left == fee_cents - rebate


def test_without_a_split_it_is_of_who_placed_them() -> None:
    [part] = commissions.PARTS.decode(commissions.placed(entry(placed())).parts)
    assert (part.consultant, part.share_bp, part.cents) == (ANA, 10_000, 2_000_000)
