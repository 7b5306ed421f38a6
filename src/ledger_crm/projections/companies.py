"""Companies: who a company is, what it pays, whom it looks for. One row a company, one a fee
agreement, one a job order."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.company import (
    CompanyAdded,
    JobOrderCancelled,
    JobOrderFilled,
    JobOrderOpened,
)
from ledger_crm.domain.entry import CompanyFact, Entry
from ledger_crm.domain.permission import OffLimitsAgreed, OffLimitsLifted, Word

from ._projection import Cursor, Projection, Row, Table, all_words, plain, stream


class CompanyRow(Row, frozen=True, kw_only=True):
    company_id: UUID
    position: int  # of its first entry: the order of the list
    version: int
    name: str
    sought: str  # the name as it is looked for
    domain: str
    industry: str
    specialty: str
    location: str
    founded: str
    source: str
    added_at: datetime
    off_limits_said_at: datetime | None = None
    off_limits: bool = False
    off_limits_until_on: date | None = None


class FeeRow(Row, frozen=True, kw_only=True):
    agreement_id: UUID
    position: int
    company_id: UUID
    basis: str
    currency: str
    rate_bp: int
    minimum_cents: int
    amount_cents: int
    guarantee_days: int
    payment_days: int
    agreed_at: datetime
    job_order_id: UUID | None
    agreement_version: int = 1
    ended_at: datetime | None = None


class JobOrderRow(Row, frozen=True, kw_only=True):
    job_order_id: UUID
    position: int
    company_id: UUID
    title: str
    openings: int
    pipeline: str
    opened_at: datetime
    location: str
    requisition: str
    hiring_manager_id: UUID | None
    salary_from_cents: int
    salary_to_cents: int
    currency: str
    status: str = "open"  # open, filled, cancelled
    closed_at: datetime | None = None
    reason: str = ""


companies = Table(
    "company",
    CompanyRow,
    key="company_id",
    sql="""
    CREATE INDEX company_newest ON company (position DESC);
    CREATE INDEX company_domain ON company USING hash (domain);
    """,
)
fees = Table(
    "fee_agreement",
    FeeRow,
    key="agreement_id",
    sql="CREATE INDEX fee_agreement_of ON fee_agreement (company_id);",
)
job_orders = Table(
    "job_order",
    JobOrderRow,
    key="job_order_id",
    sql="""
    CREATE INDEX job_order_newest ON job_order (position DESC);
    CREATE INDEX job_order_of ON job_order (company_id, position DESC);
    CREATE INDEX job_order_status ON job_order (status, position DESC);
    """,
)
projection = Projection("companies", companies, fees, job_orders, version=4)


@companies.starts(CompanyAdded)
def company_added(entry: Entry[CompanyAdded]) -> CompanyRow:
    fact = entry.event
    return CompanyRow(
        company_id=entry.originator_id,
        position=entry.position,
        version=entry.originator_version,
        name=fact.name,
        sought=plain(fact.name),
        domain=fact.domain,
        industry=fact.industry,
        specialty=fact.specialty,
        location=fact.location,
        founded=fact.founded,
        source=fact.source,
        added_at=entry.at,
    )


@companies.on(CompanyFact, key=stream)
def anything_written(row: CompanyRow, entry: Entry[CompanyFact]) -> CompanyRow:
    return replace(row, version=entry.originator_version)


@companies.on(OffLimitsAgreed, OffLimitsLifted, key=stream)
def off_limits_changed(
    row: CompanyRow, entry: Entry[OffLimitsAgreed | OffLimitsLifted]
) -> CompanyRow:
    word = entry.event.word
    if row.off_limits_said_at and word.said_at < row.off_limits_said_at:
        return row
    return replace(
        row,
        off_limits_said_at=word.said_at,
        off_limits=word.refuses,
        off_limits_until_on=word.until_on,
    )


@fees.starts(FeeAgreed)
def fee_agreed(entry: Entry[FeeAgreed]) -> FeeRow:
    fact = entry.event
    return FeeRow(
        agreement_id=fact.agreement_id,
        position=entry.position,
        company_id=entry.originator_id,
        basis=fact.basis,
        currency=fact.currency,
        rate_bp=fact.rate_bp,
        minimum_cents=fact.minimum_cents,
        amount_cents=fact.amount_cents,
        guarantee_days=fact.guarantee_days,
        payment_days=fact.payment_days,
        agreed_at=fact.agreed_at,
        job_order_id=fact.job_order_id,
    )


@fees.on(FeeAmended, key=lambda entry: entry.event.agreement_id)
def fee_amended(row: FeeRow, entry: Entry[FeeAmended]) -> FeeRow:
    fact = entry.event
    return replace(
        row,
        basis=fact.basis,
        rate_bp=fact.rate_bp,
        minimum_cents=fact.minimum_cents,
        amount_cents=fact.amount_cents,
        guarantee_days=fact.guarantee_days,
        payment_days=fact.payment_days,
        agreement_version=fact.version,
    )


@fees.on(FeeEnded, key=lambda entry: entry.event.agreement_id)
def fee_ended(row: FeeRow, entry: Entry[FeeEnded]) -> FeeRow:
    return replace(row, ended_at=entry.event.ended_at)


@job_orders.starts(JobOrderOpened)
def job_order_opened(entry: Entry[JobOrderOpened]) -> JobOrderRow:
    fact = entry.event
    return JobOrderRow(
        job_order_id=fact.job_order_id,
        position=entry.position,
        company_id=entry.originator_id,
        title=fact.title,
        openings=fact.openings,
        pipeline=fact.pipeline,
        opened_at=fact.opened_at,
        location=fact.location,
        requisition=fact.requisition,
        hiring_manager_id=fact.hiring_manager_id,
        salary_from_cents=fact.salary_from_cents,
        salary_to_cents=fact.salary_to_cents,
        currency=fact.currency,
    )


@job_orders.on(JobOrderFilled, key=lambda entry: entry.event.job_order_id)
def job_order_filled(row: JobOrderRow, entry: Entry[JobOrderFilled]) -> JobOrderRow:
    return replace(row, status="filled", closed_at=entry.event.filled_at)


@job_orders.on(JobOrderCancelled, key=lambda entry: entry.event.job_order_id)
def job_order_cancelled(row: JobOrderRow, entry: Entry[JobOrderCancelled]) -> JobOrderRow:
    fact = entry.event
    return replace(row, status="cancelled", closed_at=fact.cancelled_at, reason=fact.reason)


class FeeShown(msgspec.Struct, frozen=True):
    """In its newest version. ``ended_at``: nobody is introduced under it from then on."""

    id: UUID
    basis: str
    currency: str
    rate_bp: int
    minimum_cents: int
    amount_cents: int
    guarantee_days: int
    payment_days: int
    agreed_at: datetime
    job_order_id: UUID | None
    version: int
    ended_at: datetime | None


class JobOrderShown(msgspec.Struct, frozen=True):
    id: UUID
    title: str
    openings: int
    pipeline: str
    opened_at: datetime
    location: str
    requisition: str
    hiring_manager_id: UUID | None
    salary_from_cents: int
    salary_to_cents: int
    currency: str
    status: str
    closed_at: datetime | None
    reason: str


class JobOrderListed(JobOrderShown, frozen=True):
    """``position``: of its first entry, to page by."""

    company_id: UUID
    company: str
    position: int


class CompanyShown(msgspec.Struct, frozen=True, kw_only=True):
    """off_limits        the last word on whether we approach their people
    fees, job_orders  the newest 200 of each, newest first
    """

    id: UUID
    version: int
    name: str
    domain: str
    industry: str
    specialty: str
    location: str
    founded: str
    source: str
    added_at: datetime
    off_limits: Word | None
    fees: list[FeeShown]
    job_orders: list[JobOrderShown]


class CompanyListed(msgspec.Struct, frozen=True):
    """``position``: of its first entry, to page by."""

    id: UUID
    name: str
    industry: str
    location: str
    added_at: datetime
    position: int


OWN = [
    f for f in CompanyShown.__struct_fields__ if f not in ("id", "off_limits", "fees", "job_orders")
]
JOB_ORDER = """
o.job_order_id, o.title, o.openings, o.pipeline, o.opened_at, o.location, o.requisition,
o.hiring_manager_id, o.salary_from_cents, o.salary_to_cents, o.currency, o.status, o.closed_at,
o.reason"""


async def card(cur: Cursor, company_id: UUID) -> CompanyShown | None:
    await cur.execute(
        f"SELECT off_limits_said_at, off_limits, off_limits_until_on, {', '.join(OWN)}"
        " FROM company WHERE company_id = %s",
        (company_id,),
    )
    row = await cur.fetchone()
    if row is None:
        return None
    await cur.execute(
        "SELECT agreement_id, basis, currency, rate_bp, minimum_cents, amount_cents,"
        " guarantee_days, payment_days, agreed_at, job_order_id, agreement_version, ended_at"
        " FROM fee_agreement WHERE company_id = %s ORDER BY position DESC LIMIT 200",
        (company_id,),
    )
    terms = [FeeShown(*found) for found in await cur.fetchall()]
    await cur.execute(
        f"SELECT {JOB_ORDER} FROM job_order o WHERE o.company_id = %s"
        " ORDER BY o.position DESC LIMIT 200",
        (company_id,),
    )
    orders = [JobOrderShown(*found) for found in await cur.fetchall()]
    limits, fields = Word(*row[:3]) if row[0] else None, dict(zip(OWN, row[3:], strict=True))
    return CompanyShown(id=company_id, off_limits=limits, fees=terms, job_orders=orders, **fields)


async def listing(
    cur: Cursor,
    *,
    before: int | None = None,
    limit: int = 50,
    domain: str | None = None,
    name: str | None = None,
) -> list[CompanyListed]:
    """Newest first; page by passing the last one's position as ``before``.

    domain  in its one written form
    name    words, or parts of words, that the name holds all of, without regard to capitals and
            accents; it reads names until it has found enough, see ``people.called``
    """
    await cur.execute(
        "SELECT company_id, name, industry, location, added_at, position FROM company"
        " WHERE (%(before)s::bigint IS NULL OR position < %(before)s)"
        " AND (%(domain)s::text IS NULL OR domain = %(domain)s)"
        " AND sought LIKE ALL(%(words)s)"
        " ORDER BY position DESC LIMIT %(limit)s",
        {"before": before, "domain": domain, "words": all_words(name or ""), "limit": limit},
    )
    return [CompanyListed(*row) for row in await cur.fetchall()]


ORDERS = (
    f"SELECT {JOB_ORDER}, o.company_id, c.name, o.position"
    " FROM job_order o JOIN company c USING (company_id)"
)


async def orders(
    cur: Cursor,
    *,
    status: str | None = None,
    company_id: UUID | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[JobOrderListed]:
    """Newest first; page by passing the last one's position as ``before``."""
    await cur.execute(
        f"{ORDERS} WHERE (%(before)s::bigint IS NULL OR o.position < %(before)s)"
        " AND (%(status)s::text IS NULL OR o.status = %(status)s)"
        " AND (%(company)s::uuid IS NULL OR o.company_id = %(company)s)"
        " ORDER BY o.position DESC LIMIT %(limit)s",
        {"before": before, "status": status, "company": company_id, "limit": limit},
    )
    return [JobOrderListed(*row) for row in await cur.fetchall()]


async def order(cur: Cursor, job_order_id: UUID) -> JobOrderListed | None:
    await cur.execute(f"{ORDERS} WHERE o.job_order_id = %s", (job_order_id,))
    row = await cur.fetchone()
    return row and JobOrderListed(*row)
