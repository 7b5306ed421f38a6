"""Invoices: what is due, what was asked for, what came in, what is open, and what we owe them back.

One row per instalment, one per invoice, one per remedy. Amounts are net of tax, in the terms'
currency.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.invoice import (
    InstalmentDue,
    InvoiceCredited,
    InvoicePaid,
    InvoiceRaised,
    InvoiceRefunded,
    RemedyOwed,
    ReplacementGiven,
)

from ._projection import Cursor, Projection, Row, Table, newest_first
from ._who import everyone


class InstalmentRow(Row, frozen=True, kw_only=True):
    instalment_id: UUID
    position: int
    company_id: UUID
    job_order_id: UUID
    candidacy_id: UUID | None
    person_id: UUID | None
    occasion: str
    amount_cents: int
    currency: str
    due_at: datetime
    agreement_id: UUID
    agreement_version: int
    raised_cents: int = 0  # on all invoices, also what was credited since


class InvoiceRow(Row, frozen=True, kw_only=True):
    invoice_id: UUID
    position: int  # of its first entry: the order of the list
    company_id: UUID
    instalment_id: UUID
    number: str
    amount_cents: int
    currency: str
    raised_at: datetime
    due_on: date | None
    paid_cents: int = 0
    credited_cents: int = 0
    anew_cents: int = 0  # credited to be invoiced again
    refunded_cents: int = 0


class RemedyRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID  # of who left
    position: int
    company_id: UUID
    job_order_id: UUID
    person_id: UUID
    remedy: str
    amount_cents: int
    currency: str
    left_on: date
    replaced_by_id: UUID | None = None
    replaced_at: datetime | None = None


instalments = Table(
    "instalment",
    InstalmentRow,
    key="instalment_id",
    sql="""
    CREATE INDEX instalment_newest ON instalment (position DESC);
    CREATE INDEX instalment_left ON instalment (position DESC) WHERE raised_cents < amount_cents;
    CREATE INDEX instalment_raised ON instalment (position DESC) WHERE raised_cents >= amount_cents;
    CREATE INDEX instalment_of ON instalment (company_id, position DESC);
    CREATE INDEX instalment_order ON instalment (job_order_id);
    """,
)
invoices = Table(
    "invoice",
    InvoiceRow,
    key="invoice_id",
    sql="""
    CREATE INDEX invoice_newest ON invoice (position DESC);
    CREATE INDEX invoice_settled ON invoice (position DESC)
      WHERE amount_cents - credited_cents - paid_cents + refunded_cents = 0;
    CREATE INDEX invoice_open ON invoice (position DESC)
      WHERE amount_cents - credited_cents - paid_cents + refunded_cents <> 0;
    CREATE INDEX invoice_due ON invoice (due_on)
      WHERE amount_cents - credited_cents - paid_cents + refunded_cents > 0;
    CREATE INDEX invoice_anew ON invoice (instalment_id) WHERE anew_cents > 0;
    CREATE INDEX invoice_of ON invoice (company_id, position DESC);
    CREATE INDEX invoice_instalment ON invoice (instalment_id);
    """,
)
remedies = Table(
    "remedy",
    RemedyRow,
    key="candidacy_id",
    sql="""
    CREATE INDEX remedy_newest ON remedy (position DESC);
    CREATE INDEX remedy_rebate ON remedy (candidacy_id) WHERE amount_cents > 0;
    """,
)
projection = Projection("invoices", instalments, invoices, remedies, version=8)


def invoice(entry: Entry[InvoicePaid | InvoiceCredited | InvoiceRefunded]) -> UUID:
    return entry.event.invoice_id


@instalments.starts(InstalmentDue)
def instalment_due(entry: Entry[InstalmentDue]) -> InstalmentRow:
    fact = entry.event
    return InstalmentRow(
        instalment_id=fact.instalment_id,
        position=entry.position,
        company_id=entry.originator_id,
        job_order_id=fact.job_order_id,
        candidacy_id=fact.candidacy_id,
        person_id=fact.person_id,
        occasion=fact.on,
        amount_cents=fact.amount_cents,
        currency=fact.currency,
        due_at=fact.due_at,
        agreement_id=fact.agreement_id,
        agreement_version=fact.agreement_version,
    )


@instalments.on(InvoiceRaised, key=lambda entry: entry.event.instalment_id)
def asked_for(row: InstalmentRow, entry: Entry[InvoiceRaised]) -> InstalmentRow:
    return replace(row, raised_cents=row.raised_cents + entry.event.amount_cents)


@invoices.starts(InvoiceRaised)
def raised(entry: Entry[InvoiceRaised]) -> InvoiceRow:
    fact = entry.event
    return InvoiceRow(
        invoice_id=fact.invoice_id,
        position=entry.position,
        company_id=entry.originator_id,
        instalment_id=fact.instalment_id,
        number=fact.number,
        amount_cents=fact.amount_cents,
        currency=fact.currency,
        raised_at=fact.raised_at,
        due_on=fact.due_on,
    )


@invoices.on(InvoicePaid, key=invoice)
def paid(row: InvoiceRow, entry: Entry[InvoicePaid]) -> InvoiceRow:
    return replace(row, paid_cents=row.paid_cents + entry.event.amount_cents)


@invoices.on(InvoiceCredited, key=invoice)
def credited(row: InvoiceRow, entry: Entry[InvoiceCredited]) -> InvoiceRow:
    cents = entry.event.amount_cents
    return replace(
        row,
        credited_cents=row.credited_cents + cents,
        anew_cents=row.anew_cents + cents * entry.event.anew,
    )


@invoices.on(InvoiceRefunded, key=invoice)
def refunded(row: InvoiceRow, entry: Entry[InvoiceRefunded]) -> InvoiceRow:
    return replace(row, refunded_cents=row.refunded_cents + entry.event.amount_cents)


@remedies.starts(RemedyOwed)
def owed(entry: Entry[RemedyOwed]) -> RemedyRow:
    fact = entry.event
    return RemedyRow(
        candidacy_id=fact.candidacy_id,
        position=entry.position,
        company_id=entry.originator_id,
        job_order_id=fact.job_order_id,
        person_id=fact.person_id,
        remedy=fact.remedy,
        amount_cents=fact.amount_cents,
        currency=fact.currency,
        left_on=fact.left_on,
    )


@remedies.on(ReplacementGiven, key=lambda entry: entry.event.replaces_id)
def replaced(row: RemedyRow, entry: Entry[ReplacementGiven]) -> RemedyRow:
    fact = entry.event
    return replace(row, replaced_by_id=fact.candidacy_id, replaced_at=fact.given_at)


class InstalmentShown(msgspec.Struct, frozen=True, kw_only=True):
    """on             signing, shortlist, start; elsewhere: the order was filled without us
    candidacy_id   whose start it is; null: it is for the job order
    invoiced_cents  so far; what was credited to be invoiced anew is taken off
    rebate_cents    of it, what is not owed any more, since who started fell through; what of a
                    rebate is more than this is credited on other invoices of the job order:
                    /remedies tells how much
    to_invoice_cents  what is left of it to invoice
    """

    id: UUID
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    candidacy_id: UUID | None
    person_id: UUID | None
    person: str | None
    on: str
    amount_cents: int
    invoiced_cents: int
    rebate_cents: int
    to_invoice_cents: int
    currency: str
    due_at: datetime
    agreement_id: UUID
    agreement_version: int
    position: int


class InvoiceShown(msgspec.Struct, frozen=True, kw_only=True):
    """due_on      the last day on which it may be paid
    open_cents  what they still owe; below 0, what we owe them
    """

    id: UUID
    company_id: UUID
    company: str
    instalment_id: UUID
    number: str
    amount_cents: int
    currency: str
    raised_at: datetime
    due_on: date | None
    paid_cents: int
    credited_cents: int
    refunded_cents: int
    open_cents: int
    position: int


INVOICED = (
    "(SELECT coalesce(sum(v.amount_cents - v.anew_cents), 0)::bigint FROM invoice v"
    " WHERE v.instalment_id = i.instalment_id)"
)
REBATE = (
    "least(coalesce((SELECT r.amount_cents FROM remedy r WHERE r.candidacy_id = i.candidacy_id),"
    " 0), i.amount_cents)"
)
TO_INVOICE = f"greatest(i.amount_cents - {REBATE} - {INVOICED}, 0)"
OPEN = "(v.amount_cents - v.credited_cents - v.paid_cents + v.refunded_cents)"


INSTALMENT = f"""
SELECT i.instalment_id, coalesce(c.is_id, i.company_id), coalesce(c.name, ''), i.job_order_id,
       coalesce(j.name, ''), i.candidacy_id, p.is_id, p.name, i.occasion, i.amount_cents,
       {INVOICED}, {REBATE}, {TO_INVOICE}, i.currency, i.due_at, i.agreement_id,
       i.agreement_version, i.position
FROM {{}} i
LEFT JOIN LATERAL (SELECT * FROM who WHERE id = i.company_id OFFSET 0) c ON true
LEFT JOIN directory j ON j.id = i.job_order_id
LEFT JOIN LATERAL (SELECT * FROM who WHERE id = i.person_id OFFSET 0) p ON true"""
# each is looked at for itself: they may be fewer than whoever plans expects
RAISED = "i.raised_cents >= i.amount_cents"
CANDIDATES = {
    None: ("true",),
    True: (
        f"NOT ({RAISED})",
        f"{RAISED} AND i.instalment_id = ANY("
        "ARRAY(SELECT instalment_id FROM invoice WHERE anew_cents > 0))",
    ),
    False: (
        RAISED,
        f"NOT ({RAISED}) AND i.candidacy_id = ANY("
        "ARRAY(SELECT candidacy_id FROM remedy WHERE amount_cents > 0))",
    ),
}
"""Among which those are of which something is left to invoice, or is not: what was not invoiced, or
was credited to be invoiced anew; what was, or is not owed any more. For each there is an index."""
INVOICE = f"""
SELECT v.invoice_id, coalesce(c.is_id, v.company_id), coalesce(c.name, ''), v.instalment_id,
       v.number, v.amount_cents, v.currency, v.raised_at, v.due_on, v.paid_cents, v.credited_cents,
       v.refunded_cents, {OPEN}, v.position
FROM invoice v LEFT JOIN who c ON c.id = v.company_id"""


async def due(
    cur: Cursor,
    *,
    company_id: UUID | None = None,
    to_invoice: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[InstalmentShown]:
    """Instalments, the last to fall due first; page by passing the last one's position as
    ``before``. ``to_invoice``: only those of which something is left to invoice, or only the
    others. Joins the directory for the names."""
    where = (
        f"(%(company)s::uuid IS NULL OR i.company_id = ANY({everyone('%(company)s::uuid')}))"
        f" AND (%(left)s::boolean IS NULL OR ({TO_INVOICE} > 0) = %(left)s)"
    )
    newest = newest_first("i", before, limit)
    parts = (
        f"(SELECT i.* FROM instalment i WHERE {part} AND {where}{newest})"
        for part in CANDIDATES[to_invoice]
    )
    page = f"(SELECT i.* FROM ({' UNION ALL '.join(parts)}) i WHERE true{newest})"
    await cur.execute(
        f"{INSTALMENT.format(page)} ORDER BY i.position DESC".encode(),
        {"company": company_id, "left": to_invoice, "before": before},
    )
    return [_instalment(row) for row in await cur.fetchall()]


async def instalment(cur: Cursor, instalment_id: UUID) -> InstalmentShown | None:
    """As in the list."""
    await cur.execute(
        f"{INSTALMENT.format('instalment')} WHERE i.instalment_id = %s", (instalment_id,)
    )
    row = await cur.fetchone()
    return row and _instalment(row)


def _instalment(row: tuple[Any, ...]) -> InstalmentShown:
    return InstalmentShown(**dict(zip(InstalmentShown.__struct_fields__, row, strict=True)))


async def listing(
    cur: Cursor,
    *,
    company_id: UUID | None = None,
    overdue_on: date | None = None,
    settled: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[InvoiceShown]:
    """Invoices, the newest first; page by passing the last one's position as ``before``.
    ``settled``: only those with nothing open, or only the others. Joins the directory for the
    companies' names."""
    overdue = f" AND v.due_on < %(day)s AND {OPEN} > 0" if overdue_on else ""
    await cur.execute(
        f"{INVOICE} WHERE (%(company)s::uuid IS NULL"
        f" OR v.company_id = ANY({everyone('%(company)s::uuid')})){overdue}"
        f" AND (%(settled)s::boolean IS NULL OR ({OPEN} = 0) = %(settled)s)"
        f"{newest_first('v', before, limit)}".encode(),
        {"company": company_id, "day": overdue_on, "settled": settled, "before": before},
        # a plan that is kept knows no day, and that few or many are due before it
        prepare=False if overdue else None,
    )
    return [_invoice(row) for row in await cur.fetchall()]


async def one(cur: Cursor, invoice_id: UUID) -> InvoiceShown | None:
    """As in the list."""
    await cur.execute(f"{INVOICE} WHERE v.invoice_id = %s", (invoice_id,))
    row = await cur.fetchone()
    return row and _invoice(row)


def _invoice(row: tuple[Any, ...]) -> InvoiceShown:
    return InvoiceShown(**dict(zip(InvoiceShown.__struct_fields__, row, strict=True)))


class RemedyShown(msgspec.Struct, frozen=True, kw_only=True):
    """What we owe a client for somebody who fell through.

    remedy          rebate or replacement
    amount_cents    of a rebate
    to_settle_cents  of it, what is invoiced and not credited yet; what was not invoiced is simply
                    not asked for
    replaced_by_id  the candidacy of who came in their place; null: nobody yet, or it is a rebate
    settled         nothing is left to do
    """

    candidacy_id: UUID
    person_id: UUID
    person: str
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    remedy: str
    amount_cents: int
    to_settle_cents: int
    currency: str
    left_on: date
    replaced_by_id: UUID | None
    settled: bool
    position: int


async def owing(
    cur: Cursor,
    *,
    company_id: UUID | None = None,
    settled: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[RemedyShown]:
    """The newest first; page by passing the last one's position as ``before``. A rebate is settled
    by credit notes on the invoices of that start and of what was due on the job order before it.
    Joins the directory for the names."""
    await cur.execute(
        "WITH told AS (SELECT r.*, CASE r.remedy WHEN 'rebate' THEN greatest(least("
        "   r.amount_cents, r.amount_cents + m.invoiced - m.due) - m.credited, 0) ELSE 0 END"
        "   AS left_cents FROM remedy r CROSS JOIN LATERAL ("
        "     SELECT coalesce(sum(i.amount_cents), 0)::bigint AS due,"
        "      coalesce(sum(v.invoiced), 0)::bigint AS invoiced,"
        "      coalesce(sum(v.credited), 0)::bigint AS credited"
        "     FROM instalment i LEFT JOIN LATERAL ("
        "       SELECT sum(amount_cents - anew_cents) AS invoiced,"
        "        sum(credited_cents - anew_cents) AS credited"
        "       FROM invoice WHERE instalment_id = i.instalment_id) v ON true"
        "     WHERE i.job_order_id = r.job_order_id"
        "     AND coalesce(i.candidacy_id, r.candidacy_id) = r.candidacy_id) m),"
        " shown AS (SELECT *, CASE remedy WHEN 'rebate' THEN left_cents = 0"
        "   ELSE replaced_by_id IS NOT NULL END AS settled FROM told)"
        " SELECT r.candidacy_id, coalesce(p.is_id, r.person_id), coalesce(p.name, ''),"
        "  coalesce(c.is_id, r.company_id), coalesce(c.name, ''), r.job_order_id,"
        " coalesce(j.name, ''), r.remedy,"
        "  r.amount_cents, r.left_cents, r.currency, r.left_on, r.replaced_by_id, r.settled,"
        "  r.position FROM shown r"
        " LEFT JOIN who p ON p.id = r.person_id"
        " LEFT JOIN who c ON c.id = r.company_id"
        " LEFT JOIN directory j ON j.id = r.job_order_id"
        " WHERE (%(before)s::bigint IS NULL OR r.position < %(before)s)"
        f" AND (%(company)s::uuid IS NULL OR r.company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(settled)s::boolean IS NULL OR r.settled = %(settled)s)"
        " ORDER BY r.position DESC LIMIT %(limit)s",
        {"company": company_id, "settled": settled, "before": before, "limit": limit},
    )
    names = RemedyShown.__struct_fields__
    return [RemedyShown(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]
