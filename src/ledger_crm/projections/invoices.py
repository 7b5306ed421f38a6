"""Invoices: what is due, what was asked for, what came in, and what is open.

One row per instalment, one per invoice. Amounts are net of tax, in the terms' currency.
"""

from __future__ import annotations

from datetime import date, datetime
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
)

from ._projection import Cursor, Projection, Row, Table


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


instalments = Table(
    "instalment",
    InstalmentRow,
    key="instalment_id",
    sql="CREATE INDEX instalment_of ON instalment (company_id, position DESC);",
)
invoices = Table(
    "invoice",
    InvoiceRow,
    key="invoice_id",
    sql="""
    CREATE INDEX invoice_newest ON invoice (position DESC);
    CREATE INDEX invoice_of ON invoice (company_id, position DESC);
    CREATE INDEX invoice_instalment ON invoice (instalment_id);
    """,
)
projection = Projection("invoices", instalments, invoices, version=2)


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


class InstalmentShown(msgspec.Struct, frozen=True, kw_only=True):
    """on             signing, shortlist, start; elsewhere: the order was filled without us
    candidacy_id   whose start it is; null: it is for the job order
    invoiced_cents  so far; what was credited to be invoiced anew is taken off
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
OPEN = "(v.amount_cents - v.credited_cents - v.paid_cents + v.refunded_cents)"


async def due(
    cur: Cursor,
    *,
    company_id: UUID | None = None,
    to_invoice: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[InstalmentShown]:
    """Instalments, the last to fall due first; page by passing the last one's position as
    ``before``. ``to_invoice``: only those that are not wholly invoiced, or only the others. Joins
    the directory for the names."""
    await cur.execute(
        "SELECT i.instalment_id, i.company_id, coalesce(c.name, ''), i.job_order_id,"
        " coalesce(j.name, ''), i.candidacy_id, p.is_id, p.name, i.occasion, i.amount_cents,"
        f" {INVOICED}, i.currency, i.due_at, i.agreement_id, i.agreement_version, i.position"
        " FROM instalment i"
        " LEFT JOIN directory c ON c.id = i.company_id"
        " LEFT JOIN directory j ON j.id = i.job_order_id"
        " LEFT JOIN who p ON p.id = i.person_id"
        " WHERE (%(before)s::bigint IS NULL OR i.position < %(before)s)"
        " AND (%(company)s::uuid IS NULL OR i.company_id = %(company)s)"
        f" AND (%(left)s::boolean IS NULL OR (i.amount_cents > {INVOICED}) = %(left)s)"
        " ORDER BY i.position DESC LIMIT %(limit)s",
        {"company": company_id, "left": to_invoice, "before": before, "limit": limit},
    )
    names = InstalmentShown.__struct_fields__
    return [InstalmentShown(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]


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
    await cur.execute(
        "SELECT v.invoice_id, v.company_id, coalesce(c.name, ''), v.instalment_id, v.number,"
        " v.amount_cents, v.currency, v.raised_at, v.due_on, v.paid_cents, v.credited_cents,"
        f" v.refunded_cents, {OPEN}, v.position"
        " FROM invoice v LEFT JOIN directory c ON c.id = v.company_id"
        " WHERE (%(before)s::bigint IS NULL OR v.position < %(before)s)"
        " AND (%(company)s::uuid IS NULL OR v.company_id = %(company)s)"
        f" AND (%(day)s::date IS NULL OR v.due_on < %(day)s AND {OPEN} > 0)"
        f" AND (%(settled)s::boolean IS NULL OR ({OPEN} = 0) = %(settled)s)"
        " ORDER BY v.position DESC LIMIT %(limit)s",
        {
            "company": company_id,
            "day": overdue_on,
            "settled": settled,
            "before": before,
            "limit": limit,
        },
    )
    names = InvoiceShown.__struct_fields__
    return [InvoiceShown(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]
