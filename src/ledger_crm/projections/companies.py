"""Companies: who a company is, what it pays, whom it looks for. One row a company, one a fee
agreement, one a job order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.custom import FirmFieldCleared, FirmFieldSet, Value
from ledger_crm.domain.entry import CompanyFact, Entry
from ledger_crm.domain.fee import Share
from ledger_crm.domain.firm import (
    DomainAdded,
    DomainRemoved,
    FirmProfileChanged,
    FirmTagged,
    FirmUntagged,
    OwnerAssigned,
    ParentNamed,
)
from ledger_crm.domain.joborder import (
    OVER,
    ExclusivityBroken,
    JobOrderChanged,
    JobOrderFilled,
    JobOrderOpened,
    JobOrderReopened,
    JobOrderStaffed,
    JobOrderStep,
    JobOrderSteps,
    OpeningsFilled,
    OpeningVacated,
    status_after,
)
from ledger_crm.domain.permission import OffLimitsAgreed, OffLimitsLifted, OffLimitsWord
from ledger_crm.domain.segment import FieldIs

from ._custom import fitting, shown_of, values
from ._projection import Cursor, Projection, Row, Table, all_words, found_if_few, plain, stream
from ._team import Team, whose
from ._who import (
    OWN_TAGS,
    Absorbed,
    absorbed,
    everyone,
    of_any,
    said_since,
    survivor,
    with_all_tags,
)


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
    website: str = ""
    employees: int | None = None
    parent_id: UUID | None = None
    owner: str = ""
    tags: str = ""  # a line each
    off_limits_said_at: datetime | None = None
    off_limits: bool = False
    off_limits_until_on: date | None = None
    off_limits_with_subsidiaries: bool = False


class DomainRow(Row, frozen=True, kw_only=True):
    domain: str
    company_id: UUID
    position: int


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
    sought: str  # what is said of it in a line, as it is looked for
    openings: int
    pipeline: str
    opened_at: datetime
    location: str
    requisition: str
    hiring_manager_id: UUID | None
    salary_from_cents: int
    salary_to_cents: int
    currency: str
    must_haves: str  # a line each
    confidential: bool
    opened_by: str
    owner: str = ""
    shares: str = "[]"  # of the consultants, JSON
    staff: str = ""  # who of us works on it, with blanks between
    found: int = 0
    status: str = "open"
    status_since: datetime
    closed_at: datetime | None = None
    reason: str = ""  # for which it is held, lost or cancelled
    exclusivity_broken: bool = False


companies = Table(
    "company",
    CompanyRow,
    key="company_id",
    sql="""
    CREATE INDEX company_newest ON company (position DESC);
    CREATE INDEX company_industry ON company (lower(industry), position DESC);
    CREATE INDEX company_parent ON company (parent_id) WHERE parent_id IS NOT NULL;
    CREATE INDEX company_owner ON company (owner, position DESC) WHERE owner <> '';
    """,
)
domains = Table(
    "company_domain",
    DomainRow,
    key="domain",
    sql="CREATE INDEX company_domain_of ON company_domain (company_id, position);",
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
    CREATE INDEX job_order_staff ON job_order USING gin (string_to_array(staff, ' '));
    CREATE INDEX job_order_broken ON job_order (position DESC) WHERE exclusivity_broken;
    """,
)
custom = values(  # of companies and of job orders
    "company_field",
    FirmFieldSet,
    FirmFieldCleared,
    of=lambda entry: (
        None if entry.event.deal_id else entry.event.job_order_id or entry.originator_id
    ),
)
projection = Projection("companies", companies, domains, fees, job_orders, custom, version=16)


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


@companies.on(FirmProfileChanged, key=stream)
def profile_changed(row: CompanyRow, entry: Entry[FirmProfileChanged]) -> CompanyRow:
    fact = entry.event
    row = replace(row, **{name: getattr(fact, name) for name in fact.changes})
    return replace(row, sought=plain(row.name))


@companies.on(ParentNamed, key=stream)
def parent_named(row: CompanyRow, entry: Entry[ParentNamed]) -> CompanyRow:
    return replace(row, parent_id=entry.event.parent_id)


@companies.on(OwnerAssigned, key=stream)
def owner_assigned(row: CompanyRow, entry: Entry[OwnerAssigned]) -> CompanyRow:
    return replace(row, owner=entry.event.owner)


@companies.on(FirmTagged, FirmUntagged, key=stream)
def tagged(row: CompanyRow, entry: Entry[FirmTagged | FirmUntagged]) -> CompanyRow:
    tags = {*row.tags.split()} - {entry.event.tag}
    if isinstance(entry.event, FirmTagged):
        tags.add(entry.event.tag)
    return replace(row, tags="\n".join(sorted(tags)))


@domains.starts(CompanyAdded, DomainAdded)
def domain_added(entry: Entry[CompanyAdded | DomainAdded]) -> list[DomainRow]:
    if not entry.event.domain:
        return []
    return [
        DomainRow(
            domain=entry.event.domain, company_id=entry.originator_id, position=entry.position
        )
    ]


@domains.on(DomainRemoved, key=lambda entry: entry.event.domain)
def domain_removed(row: DomainRow, entry: Entry[DomainRemoved]) -> None:
    return None


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
        off_limits_with_subsidiaries=word.with_subsidiaries,
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
        sought=_sought(fact.title, fact.location, fact.requisition, *fact.must_haves),
        openings=fact.openings,
        pipeline=fact.pipeline,
        opened_at=fact.opened_at,
        location=fact.location,
        requisition=fact.requisition,
        hiring_manager_id=fact.hiring_manager_id,
        salary_from_cents=fact.salary_from_cents,
        salary_to_cents=fact.salary_to_cents,
        currency=fact.currency,
        must_haves="\n".join(fact.must_haves),
        confidential=fact.confidential,
        opened_by=entry.by,
        status_since=entry.at,
    )


@job_orders.on(JobOrderStep, key=lambda entry: entry.event.job_order_id)
def job_order_stepped(row: JobOrderRow, entry: Entry[JobOrderSteps]) -> JobOrderRow:
    fact = entry.event
    status = status_after(row.status, fact)  # type: ignore[arg-type]  # the column is text
    if status == row.status:
        return row
    return replace(
        row,
        status=status,
        status_since=entry.at,
        closed_at=entry.at if status in OVER else None,
        reason=getattr(fact, "reason", ""),
    )


@job_orders.on(JobOrderChanged, key=lambda entry: entry.event.job_order_id)
def job_order_changed(row: JobOrderRow, entry: Entry[JobOrderChanged]) -> JobOrderRow:
    fact = entry.event
    changes = {name: getattr(fact, name) for name in fact.changes}
    if fact.must_haves is not None:
        changes["must_haves"] = "\n".join(fact.must_haves)
    row = replace(row, **changes)
    said = (row.title, row.location, row.requisition, *row.must_haves.splitlines())
    return replace(row, sought=_sought(*said))


def _sought(*said: str) -> str:
    return plain("\n".join(said))


@job_orders.on(JobOrderStaffed, key=lambda entry: entry.event.job_order_id)
def job_order_staffed(row: JobOrderRow, entry: Entry[JobOrderStaffed]) -> JobOrderRow:
    fact = entry.event
    shares = msgspec.json.encode(fact.shares).decode()
    return replace(row, owner=fact.owner, shares=shares, staff=" ".join(sorted(fact.staff)))


@job_orders.on(ExclusivityBroken, key=lambda entry: entry.event.job_order_id)
def exclusivity_broken(row: JobOrderRow, entry: Entry[ExclusivityBroken]) -> JobOrderRow:
    return replace(row, exclusivity_broken=True)


@job_orders.on(OpeningsFilled, key=lambda entry: entry.event.job_order_id)
def openings_filled(row: JobOrderRow, entry: Entry[OpeningsFilled]) -> JobOrderRow:
    return replace(row, found=row.found + entry.event.openings)


@job_orders.on(JobOrderFilled, key=lambda entry: entry.event.job_order_id)
def job_order_filled(row: JobOrderRow, entry: Entry[JobOrderFilled]) -> JobOrderRow:
    return replace(row, found=row.openings)


@job_orders.on(OpeningVacated, key=lambda entry: entry.event.job_order_id)
def opening_vacated(row: JobOrderRow, entry: Entry[OpeningVacated]) -> JobOrderRow:
    return replace(row, found=row.found - 1)


@job_orders.on(JobOrderReopened, key=lambda entry: entry.event.job_order_id)
def job_order_reopened(row: JobOrderRow, entry: Entry[JobOrderReopened]) -> JobOrderRow:
    return replace(row, openings=row.found + (entry.event.openings or 1))


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
    """owner   of us, who answers to the client
    shares  of the consultants in the commission; empty for whoever may not know fees
    found   openings that are filled
    reason  for which it is held, lost or cancelled
    exclusivity_broken  it was lost to somebody else on a day on which nobody else was to look
    custom  values of custom fields, by field
    """

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
    must_haves: list[str]
    confidential: bool
    owner: str
    shares: list[Share]
    found: int
    status: str
    status_since: datetime
    closed_at: datetime | None
    reason: str
    exclusivity_broken: bool
    custom: dict[str, Value]


class JobOrderListed(JobOrderShown, frozen=True):
    """``position``: of its first entry, to page by."""

    company_id: UUID
    company: str
    position: int


class Related(msgspec.Struct, frozen=True):
    id: UUID
    name: str


class CompanyShown(msgspec.Struct, frozen=True, kw_only=True):
    """version           of the record, with all that it has absorbed
    domain            the first one
    employees         how many, about; None: not known
    parent            the company that it belongs to, by name
    children          those that belong to it, at most 200
    owner             who of us answers for it
    off_limits        the last word on whether we approach their people
    fees, job_orders  the newest 200 of each, newest first
    custom            values of custom fields, by field
    absorbed          records of the same company; what is empty here is shown as it is there
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
    website: str
    employees: int | None
    owner: str
    tags: list[str]
    domains: list[str]
    parent: Related | None
    children: list[Related]
    off_limits: OffLimitsWord | None
    fees: list[FeeShown]
    job_orders: list[JobOrderShown]
    custom: dict[str, Value]
    absorbed: list[Absorbed]


class CompanyListed(msgspec.Struct, frozen=True):
    """custom    values of custom fields, by field
    position  of its first entry, to page by
    """

    id: UUID
    name: str
    industry: str
    location: str
    added_at: datetime
    employees: int | None
    owner: str
    tags: list[str]
    custom: dict[str, Value]
    position: int


S = TypeVar("S", bound=JobOrderShown)
OWN = [
    field
    for field in CompanyShown.__struct_fields__
    if field
    not in (
        "id",
        "off_limits",
        "tags",
        "domains",
        "parent",
        "children",
        "fees",
        "job_orders",
        "custom",
        "absorbed",
    )
]
FILLED = ("domain", "industry", "specialty", "location", "founded", "website", "owner", "employees")
LISTED = shown_of("company_field", "ANY(p.company_id || p.others)", first="v.of_id = p.company_id")
TAGS = """ARRAY(SELECT DISTINCT tag FROM company o, unnest(string_to_array(o.tags, E'\n')) tag
  WHERE tag <> '' AND (o.company_id = p.company_id OR o.company_id = ANY(ARRAY(
    SELECT m.id FROM directory_merge m WHERE m.survivor_id = p.company_id))) ORDER BY tag)"""
CUSTOM = shown_of(
    "company_field", f"ANY({everyone('p.company_id')})", first="v.of_id = p.company_id"
)
# a no of any of them, the one that lasts longest, unless the survivor said something since; else
# what was said last
SAID = f"""
LEFT JOIN LATERAL (
  SELECT o.off_limits_said_at, o.off_limits, o.off_limits_until_on, o.off_limits_with_subsidiaries
  FROM company o
  WHERE o.company_id = ANY(%(ids)s) AND o.off_limits_said_at IS NOT NULL
  AND NOT {said_since("o", "off_limits_said_at", "company", "company_id")}
  ORDER BY o.off_limits DESC, o.off_limits_until_on DESC NULLS FIRST, o.off_limits_said_at DESC
  LIMIT 1) said ON true"""
JOB_ORDER = f"""
o.job_order_id, o.title, o.openings, o.pipeline, o.opened_at, o.location, o.requisition,
o.hiring_manager_id, o.salary_from_cents, o.salary_to_cents, o.currency, o.must_haves,
o.confidential, o.owner, o.shares, o.found, o.status, o.status_since, o.closed_at, o.reason,
o.exclusivity_broken,
{shown_of("company_field", "o.job_order_id")}"""
SHARES = msgspec.json.Decoder(list[Share])


def _own(field: str) -> str:
    if field == "version":
        return "(SELECT sum(o.version)::bigint FROM company o WHERE o.company_id = ANY(%(ids)s))"
    if field not in FILLED:
        return f"p.{field}"
    empty = "NULL" if field == "employees" else "''"
    return f"""coalesce(nullif(p.{field}, {empty}), (
      SELECT o.{field} FROM company o WHERE o.company_id = ANY(%(ids)s)
      AND nullif(o.{field}, {empty}) IS NOT NULL ORDER BY o.position DESC LIMIT 1), {empty})"""


async def card(cur: Cursor, company_id: UUID) -> CompanyShown | None:
    """Joins the directory for the names, and for who is merged."""
    await cur.execute(f"SELECT {everyone('%(id)s::uuid')}", {"id": company_id})
    [ids] = await cur.fetchone() or [[company_id]]
    asked = {"id": ids[0], "ids": ids}
    await cur.execute(
        "SELECT said.off_limits_said_at, said.off_limits, said.off_limits_until_on,"
        f" said.off_limits_with_subsidiaries, {CUSTOM}, {TAGS}, {', '.join(map(_own, OWN))}"
        f" FROM company p {SAID} WHERE p.company_id = %(id)s".encode(),
        asked,
    )
    row = await cur.fetchone()
    if row is None:
        return None
    limits, (known, tags, *own) = row[:4], row[4:]
    await cur.execute(
        "SELECT id, since FROM directory_merge WHERE survivor_id = %(id)s ORDER BY since, id", asked
    )
    absorbed = [Absorbed(*found) for found in await cur.fetchall()]
    await cur.execute(
        "SELECT domain FROM company_domain WHERE company_id = ANY(%(ids)s)"
        " ORDER BY company_id <> %(id)s, position",
        asked,
    )
    names = [name for (name,) in await cur.fetchall()]
    await cur.execute(
        "SELECT w.is_id, w.name FROM company c JOIN who w ON w.id = c.parent_id"
        " WHERE c.company_id = ANY(%(ids)s) ORDER BY c.company_id <> %(id)s, c.position LIMIT 1",
        asked,
    )
    above = await cur.fetchone()
    await cur.execute(
        "SELECT w.is_id, w.name FROM company c JOIN who w ON w.id = c.company_id"
        " WHERE c.parent_id = ANY(%(ids)s) GROUP BY 1, 2 ORDER BY min(c.position) LIMIT 200",
        asked,
    )
    below = [Related(*found) for found in await cur.fetchall()]
    await cur.execute(
        "SELECT agreement_id, basis, currency, rate_bp, minimum_cents, amount_cents,"
        " guarantee_days, payment_days, agreed_at, job_order_id, agreement_version, ended_at"
        " FROM fee_agreement WHERE company_id = ANY(%(ids)s) ORDER BY position DESC LIMIT 200",
        asked,
    )
    terms = [FeeShown(*found) for found in await cur.fetchall()]
    await cur.execute(
        f"SELECT {JOB_ORDER} FROM job_order o WHERE o.company_id = ANY(%(ids)s)"
        " ORDER BY o.position DESC LIMIT 200",
        asked,
    )
    orders = [_order(JobOrderShown, found) for found in await cur.fetchall()]
    return CompanyShown(
        id=ids[0],
        absorbed=absorbed,
        off_limits=OffLimitsWord(*limits) if limits[0] else None,
        tags=tags,
        domains=names,
        parent=above and Related(*above),
        children=below,
        fees=terms,
        job_orders=orders,
        custom=_typed(known),
        **dict(zip(OWN, own, strict=True)),
    )


async def listing(
    cur: Cursor,
    *,
    before: int | None = None,
    limit: int = 50,
    domain: str | None = None,
    name: str | None = None,
    owner: str | None = None,
    team: Team | None = None,
    tag: str | None = None,
    industry: str | None = None,
    parent_id: UUID | None = None,
    custom: Sequence[FieldIs] = (),
) -> list[CompanyListed]:
    """Newest first; page by passing the last one's position as ``before``.

    domain  in its one written form
    name    words, or parts of words, that the name holds all of, without regard to capitals and
            accents; it reads names until it has found enough, see ``people.listing``
    team    whose consultant owns it; joins the directory for it
    custom  what these custom fields are; joins the directory for them

    Raises NoSuchField, WrongFieldValue.
    """
    fits, known = await fitting(cur, "company_field", "company", "p.company_id", custom)
    given: dict[str, tuple[str, object]] = {
        "domain": (
            f"p.company_id = (SELECT {survivor('d.company_id')} FROM company_domain d"
            " WHERE d.domain = %(domain)s)",
            domain,
        ),
        "owners": (_any("p.owner = ANY(%(owners)s)"), await whose(cur, owner, team)),
        "tag": (_any("string_to_array(p.tags, E'\\n') @> ARRAY[%(tag)s::text]"), tag),
        "industry": (_any("lower(p.industry) = lower(%(industry)s)"), industry),
        "parent": (_any(f"p.parent_id = ANY({everyone('%(parent)s::uuid')})"), parent_id),
        "words": (_any("p.sought LIKE ALL(%(words)s)"), all_words(name or "") or None),
        "before": ("p.position < %(before)s", before),
    }
    clauses = [clause for clause, value in given.values() if value is not None]
    clauses += [_any(fits)] if custom else []
    clauses.append("NOT EXISTS (SELECT FROM directory_merge m WHERE m.id = p.company_id)")
    await cur.execute(
        "SELECT p.company_id, p.name, p.industry, p.location, p.added_at, p.employees, p.owner,"
        f" {OWN_TAGS}, {LISTED}, p.position, p.others"
        f" FROM (SELECT p.*, {absorbed('p.company_id')} AS others FROM company p"
        f"   WHERE {' AND '.join(clauses)} ORDER BY p.position DESC LIMIT %(limit)s) p"
        " ORDER BY p.position DESC".encode(),
        known | {name: value for name, (_, value) in given.items()} | {"limit": limit},
    )
    return [CompanyListed(*row) for row in await with_all_tags(cur, "company", at=7)]


def _any(clause: str) -> str:
    return of_any(clause, "company")


WORKED_ON = "string_to_array(o.staff, ' ') && %(working)s::text[]"
ORDERS = (
    f"SELECT {JOB_ORDER}, coalesce(c.is_id, o.company_id), coalesce(c.name, ''), o.position"
    " FROM job_order o LEFT JOIN who c ON c.id = o.company_id"
)


async def orders(
    cur: Cursor,
    *,
    words: str | None = None,
    status: str | None = None,
    company_id: UUID | None = None,
    consultant: str | None = None,
    team: Team | None = None,
    exclusivity_broken: bool | None = None,
    custom: Sequence[FieldIs] = (),
    besides: Collection[UUID] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[JobOrderListed]:
    """Newest first; page by passing the last one's position as ``before``. ``words``: or parts of
    words, all in its title, location, requisition or must-haves. ``consultant``, ``team``: who owns
    it, or has a share. ``custom``: what these custom fields are. ``besides``: those that are left
    out, by whose words nothing is told of them. Joins the directory for team and fields. Raises
    NoSuchField, WrongFieldValue."""
    working = await whose(cur, consultant, team)
    of_theirs = f"SELECT o.job_order_id FROM job_order o WHERE {WORKED_ON}"
    asked = {"working": working}
    few = None if working is None else await found_if_few(cur, of_theirs, asked)
    fits, known = await fitting(cur, "company_field", "job_order", "o.job_order_id", custom)
    await cur.execute(
        f"{ORDERS} WHERE (%(before)s::bigint IS NULL OR o.position < %(before)s)"
        " AND (%(words)s::text[] IS NULL OR o.sought LIKE ALL(%(words)s))"
        " AND (%(status)s::text IS NULL OR o.status = %(status)s)"
        f" AND (%(company)s::uuid IS NULL OR o.company_id = ANY({everyone('%(company)s::uuid')}))"
        f" AND (%(working)s::text[] IS NULL OR {WORKED_ON})"
        " AND (%(broken)s::boolean IS NULL OR o.exclusivity_broken = %(broken)s)"
        " AND (%(few)s::uuid[] IS NULL OR o.job_order_id = ANY(%(few)s))"
        f" AND {fits} {'AND o.job_order_id <> ALL(%(besides)s)' if besides else ''}"
        " ORDER BY o.position DESC LIMIT %(limit)s",
        known
        | {
            "before": before,
            "besides": list(besides),
            "words": all_words(words or "") or None,
            "status": status,
            "broken": exclusivity_broken,
            "company": company_id,
            "working": working if few is None else None,
            "few": few,
            "limit": limit,
        },
    )
    return [_order(JobOrderListed, row) for row in await cur.fetchall()]


async def order(cur: Cursor, job_order_id: UUID) -> JobOrderListed | None:
    await cur.execute(f"{ORDERS} WHERE o.job_order_id = %s", (job_order_id,))
    row = await cur.fetchone()
    return row and _order(JobOrderListed, row)


async def vacancy(cur: Cursor, job_order_id: UUID) -> JobOrderListed | None:
    """None also for one that is not open."""
    found = await order(cur, job_order_id)
    return found if found and found.status == "open" else None


def _order(type_: type[S], row: tuple[Any, ...]) -> S:
    fields = dict(zip(type_.__struct_fields__, row, strict=True))
    fields["must_haves"] = fields["must_haves"].splitlines()
    fields["shares"] = SHARES.decode(fields["shares"])
    fields["custom"] = _typed(fields["custom"])
    return type_(**fields)


def _typed(custom: object) -> dict[str, Value]:
    return msgspec.convert(custom, dict[str, Value])


CONFIDENTIAL = """
WITH of_confidential AS (
  SELECT job_order_id, consultant FROM job_order o CROSS JOIN LATERAL (
    SELECT o.owner UNION SELECT share->>'consultant' FROM json_array_elements(o.shares::json) share
    UNION SELECT o.opened_by WHERE o.owner = '') theirs (consultant)
  WHERE o.confidential),
mates AS (
  SELECT other.consultant FROM (
    SELECT DISTINCT ON (team_id, consultant) team_id, consultant, is_in FROM directory_member
    WHERE from_on <= %(on)s ORDER BY team_id, consultant, from_on DESC) other
  WHERE %(team)s AND other.is_in AND other.team_id IN (
    SELECT team_id FROM (
      SELECT DISTINCT ON (team_id) team_id, is_in FROM directory_member
      WHERE consultant = %(actor)s AND from_on <= %(on)s ORDER BY team_id, from_on DESC) own
    WHERE own.is_in))
SELECT job_order_id,
  bool_or(consultant = %(actor)s OR consultant IN (SELECT consultant FROM mates))
FROM of_confidential GROUP BY job_order_id"""


async def confidential_job_orders(
    cur: Cursor, actor: str, *, team: bool, on: date
) -> dict[UUID, bool]:
    """And whether this one works on it: who has none yet is whose it is that opened it. ``team``:
    or whoever is in a team with them that day. Joins the directory."""
    await cur.execute(CONFIDENTIAL, {"actor": actor, "team": team, "on": on})
    return dict(await cur.fetchall())
