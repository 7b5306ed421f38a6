"""Accounts: what a company is to us by now. Derived, and never typed in.

    prospect    we know of them, and nothing more
    qualified   a deal got as far as that, a fee is agreed, or they asked and nobody was placed who
                stayed
    active      an order is open, or the last one, or the last placement, is not long ago
    repeat      as active, and we placed people on two orders of theirs or more
    quiet       no order is open, and the next one is overdue: they let twice their own rhythm pass
                since the last order, or the last placement if that was later
    former      and so long ago that it is no rhythm any more

The rhythm is the median time between two orders, once there are three of them; before that nobody
knows it, and a year counts. The day on which that is asked comes from whoever asks.

A segment of companies is criteria under a name, and all that they ask for is in these rows: what an
account is, and who they are and when anything last passed between us. Quiet by a segment's cadence
is silence, and says nothing of orders.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import asdict, replace

from ledger_crm.domain.agreement import FeeAgreed
from ledger_crm.domain.candidacy import Placed
from ledger_crm.domain.company import CompanyAdded, DealFact
from ledger_crm.domain.custom import FirmFieldCleared, FirmFieldSet
from ledger_crm.domain.engagement import CompanyQuietSnoozed, contact, later
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.firm import FirmProfileChanged, FirmTagged, FirmUntagged, OwnerAssigned
from ledger_crm.domain.interaction import CompanyCalled, Interaction
from ledger_crm.domain.joborder import (
    OVER,
    JobOrderOpened,
    JobOrderStep,
    JobOrderSteps,
    status_after,
)
from ledger_crm.domain.merging import CompanyAbsorbed, CompanyUnmerged
from ledger_crm.domain.placement import FellThrough
from ledger_crm.domain.segment import AccountStatus, CompanyCriteria, CompanySegmentSaved

from ._custom import values
from ._projection import Cursor, Projection, Row, Table, all_words, newest_first, plain, stream
from ._segment import (
    NOT_SNOOZED,
    Given,
    Kept,
    gone_quiet,
    in_use,
    kept,
    named_apart,
    narrowed,
    quiet,
    saved,
    strictest,
)
from ._segment import GoneQuiet as GoneQuiet
from ._segment import silent_since as silent_since
from ._team import Team, whose
from ._who import everyone, of_all, of_any, survivor

NOT_YET_QUALIFIED = ("prospect", "contacted", "lost")


class AccountRow(Row, frozen=True, kw_only=True):
    company_id: UUID
    position: int  # of its first entry: the order of the list
    added_at: datetime
    qualified_at: datetime | None = None
    owner: str = ""
    industry: str = ""
    place: str = ""  # where they are, as it is looked for
    employees: int | None = None
    tags: str = ""  # a line each
    touched_at: datetime | None = None  # when anything passed between us
    snoozed_until_on: date | None = None
    got_to: str = "prospect"  # that; qualified; client: it ordered
    absorbed: str = ""  # ids of records that went on as this one, a line each


class OrderRow(Row, frozen=True, kw_only=True):
    job_order_id: UUID
    company_id: UUID
    opened_at: datetime
    status: str = "open"
    over: bool = False
    placed: int = 0
    fell_through: int = 0  # of them
    first_placed_at: datetime | None = None
    last_placed_at: datetime | None = None


COULD_BE: dict[str, set[AccountStatus]] = {
    "{0}got_to = 'prospect' OR {0}absorbed <> ''": {"prospect"},
    "{0}got_to = 'client' OR {0}absorbed <> ''": {"active", "repeat", "quiet", "former"},
    "{0}got_to <> 'prospect' OR {0}absorbed <> ''": {
        "qualified", "active", "repeat", "quiet", "former",
    },
}  # fmt: skip
"""What holds of accounts of these statuses. Which of them one is takes its orders, the day, and who
was absorbed; this takes an index."""
accounts = Table(
    "account",
    AccountRow,
    key="company_id",
    sql="""
    CREATE INDEX account_newest ON account (position DESC);
    CREATE INDEX account_touched ON account (touched_at, company_id);
    """
    + "".join(
        f"CREATE INDEX account_could_{n} ON account (position DESC) WHERE {could.format('')};"
        for n, could in enumerate(COULD_BE)
    ),
)
orders = Table(
    "account_order",
    OrderRow,
    key="job_order_id",
    sql="CREATE INDEX account_order_of ON account_order (company_id, opened_at);",
)
segments = saved("account_segment", CompanySegmentSaved)
custom = values(
    "account_field",
    FirmFieldSet,
    FirmFieldCleared,
    of=lambda entry: (
        None if entry.event.deal_id or entry.event.job_order_id else entry.originator_id
    ),
)
projection = Projection("accounts", accounts, orders, segments, custom, version=8)


@accounts.starts(CompanyAdded)
def company_added(entry: Entry[CompanyAdded]) -> AccountRow:
    fact = entry.event
    return AccountRow(
        company_id=entry.originator_id,
        position=entry.position,
        added_at=entry.at,
        industry=fact.industry,
        place=plain(fact.location),
    )


@accounts.on(FirmProfileChanged, key=stream)
def profile_changed(row: AccountRow, entry: Entry[FirmProfileChanged]) -> AccountRow:
    fact = entry.event
    return replace(
        row,
        industry=row.industry if fact.industry is None else fact.industry,
        place=row.place if fact.location is None else plain(fact.location),
        employees=row.employees if fact.employees is None else fact.employees,
    )


@accounts.on(OwnerAssigned, key=stream)
def owner_assigned(row: AccountRow, entry: Entry[OwnerAssigned]) -> AccountRow:
    return replace(row, owner=entry.event.owner)


@accounts.on(FirmTagged, FirmUntagged, key=stream)
def tagged(row: AccountRow, entry: Entry[FirmTagged | FirmUntagged]) -> AccountRow:
    tags = {*row.tags.split()} - {entry.event.tag}
    if isinstance(entry.event, FirmTagged):
        tags.add(entry.event.tag)
    return replace(row, tags="\n".join(sorted(tags)))


@accounts.on(CompanyCalled, key=stream)
@accounts.on(Interaction, key=lambda entry: entry.event.company_id)
def touched(row: AccountRow, entry: Entry[Interaction | CompanyCalled]) -> AccountRow:
    return replace(row, touched_at=later(row.touched_at, later(*contact(entry.event))))


@accounts.on(CompanyQuietSnoozed, key=stream)
def snoozed(row: AccountRow, entry: Entry[CompanyQuietSnoozed]) -> AccountRow:
    return replace(row, snoozed_until_on=entry.event.until_on)


@accounts.on(DealFact, key=stream)
def deal_got_on(row: AccountRow, entry: Entry[DealFact]) -> AccountRow:
    return row if entry.event.category in NOT_YET_QUALIFIED else _qualified(row, entry.at)


@accounts.on(FeeAgreed, key=stream)
def fee_agreed(row: AccountRow, entry: Entry[FeeAgreed]) -> AccountRow:
    return _qualified(row, entry.at)


def _qualified(row: AccountRow, at: datetime) -> AccountRow:
    got_to = "qualified" if row.got_to == "prospect" else row.got_to
    return replace(row, qualified_at=min(row.qualified_at or at, at), got_to=got_to)


@accounts.on(JobOrderOpened, key=stream)
def ordered(row: AccountRow, entry: Entry[JobOrderOpened]) -> AccountRow:
    return replace(row, got_to="client")


@accounts.on(CompanyAbsorbed, CompanyUnmerged, key=stream)
def joined(row: AccountRow, entry: Entry[CompanyAbsorbed | CompanyUnmerged]) -> AccountRow:
    """Un-merged is on both: on the one that was absorbed it is about nobody here."""
    fact, ids = entry.event, {*row.absorbed.split()}
    if isinstance(fact, CompanyAbsorbed):
        ids.add(str(fact.duplicate_id))
    else:
        ids.discard(str(fact.other_id))
    return replace(row, absorbed="\n".join(sorted(ids)))


@orders.starts(JobOrderOpened)
def order_opened(entry: Entry[JobOrderOpened]) -> OrderRow:
    fact = entry.event
    return OrderRow(
        job_order_id=fact.job_order_id, company_id=entry.originator_id, opened_at=fact.opened_at
    )


@orders.on(JobOrderStep, key=lambda entry: entry.event.job_order_id)
def order_stepped(row: OrderRow, entry: Entry[JobOrderSteps]) -> OrderRow:
    status = status_after(row.status, entry.event)  # type: ignore[arg-type]  # the column is text
    return replace(row, status=status, over=status in OVER)


@orders.on(Placed, key=lambda entry: entry.event.job_order_id)
def placed(row: OrderRow, entry: Entry[Placed]) -> OrderRow:
    at = entry.event.placed_at
    return replace(
        row,
        placed=row.placed + 1,
        first_placed_at=min(row.first_placed_at or at, at),
        last_placed_at=max(row.last_placed_at or at, at),
    )


@orders.on(FellThrough, key=lambda entry: entry.event.job_order_id)
def fell_through(row: OrderRow, entry: Entry[FellThrough]) -> OrderRow:
    return replace(row, fell_through=row.fell_through + 1)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """status       prospect, qualified, active, repeat, quiet or former
    since        when it became that
    why          in words
    orders       they ever gave us; ``placed_orders`` of them with a placement that held
    open_orders  that are not over
    rhythm_days  the median between two orders; None: not enough of them
    overdue_at   when twice the rhythm has passed since the last order or placement, or a year if
                 there is none; None: an order is open, or there never was one
    owner        who of us answers for it
    touched_at   when anything last passed between us
    position     of the company's first entry, to page by
    """

    company_id: UUID
    company: str | None
    status: str
    since: datetime
    why: str
    orders: int
    open_orders: int
    placed_orders: int
    last_order_at: datetime | None
    last_placed_at: datetime | None
    rhythm_days: int | None
    overdue_at: datetime | None
    owner: str
    touched_at: datetime | None
    position: int


class CompanySegmentShown(msgspec.Struct, frozen=True):
    """companies  how many fit now"""

    slug: str
    version: int
    title: str
    criteria: CompanyCriteria
    cadence_days: int
    retired: bool
    companies: int


THEIR_ORDERS = f"""account_order o WHERE o.company_id = ANY({everyone("a.id")})"""
TOLD = f"""
WITH known AS (
    SELECT a.*, s.*, r.rhythm, greatest(s.last_at, s.last_placed_at) AS touched_at,
           -- greatest() overlooks a NULL: it may not see the rhythm of who has none
           CASE WHEN s.open = 0 THEN greatest(s.last_at, s.last_placed_at) + CASE
               WHEN r.rhythm IS NULL THEN interval '365 days'
               ELSE 2 * greatest(r.rhythm, interval '15 days') END END AS overdue_at
    FROM (SELECT c.company_id AS id, c.position,
            least(c.added_at, (SELECT min(o.added_at) FROM directory_merge m
              JOIN account o ON o.company_id = m.id WHERE m.survivor_id = c.company_id))
              AS added_at,
            least(c.qualified_at, (SELECT min(o.qualified_at) FROM directory_merge m
              JOIN account o ON o.company_id = m.id WHERE m.survivor_id = c.company_id))
              AS qualified_at
          FROM account c
          WHERE NOT EXISTS (SELECT FROM directory_merge m WHERE m.id = c.company_id)) a
    LEFT JOIN LATERAL (
        SELECT count(*) AS orders, max(opened_at) AS last_at,
               count(*) FILTER (WHERE NOT over) AS open,
               min(opened_at) FILTER (WHERE NOT over) AS open_since,
               count(*) FILTER (WHERE placed > fell_through) AS placed,
               max(last_placed_at) AS last_placed_at,
               (array_agg(first_placed_at ORDER BY first_placed_at)
                   FILTER (WHERE placed > fell_through))[2] AS repeat_since,
               min(opened_at) AS first_at
        FROM {THEIR_ORDERS} HAVING count(*) > 0) s ON true
    LEFT JOIN LATERAL (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) AS rhythm
        FROM (SELECT opened_at - lag(opened_at) OVER (ORDER BY opened_at) AS gap
              FROM {THEIR_ORDERS}) gaps
        WHERE gap IS NOT NULL HAVING count(*) >= 2) r ON true),
dated AS (
    SELECT *, greatest(touched_at + interval '730 days',
                       overdue_at + interval '365 days') AS former_at FROM known),
told AS (
    SELECT *, CASE
        WHEN orders IS NULL AND qualified_at IS NULL THEN 'prospect'
        WHEN orders IS NULL THEN 'qualified'
        WHEN open = 0 AND %(at)s > former_at THEN 'former'
        WHEN open = 0 AND %(at)s > overdue_at THEN 'quiet'
        WHEN placed >= 2 THEN 'repeat'
        WHEN open > 0 OR placed > 0 THEN 'active'
        ELSE 'qualified' END AS status FROM dated)
"""
THEIRS = (
    "directory_merge m JOIN account o ON o.company_id = m.id WHERE m.survivor_id = p.company_id"
)
OWNER = f"""coalesce(nullif(p.owner, ''), (SELECT o.owner FROM {THEIRS} AND o.owner <> ''
           ORDER BY o.position DESC LIMIT 1), '')"""
ACCOUNTS = f"""{TOLD}
SELECT t.id, d.name, t.status,
       CASE t.status
           WHEN 'prospect' THEN t.added_at
           WHEN 'qualified' THEN least(t.qualified_at, t.first_at)
           WHEN 'former' THEN t.former_at
           WHEN 'quiet' THEN t.overdue_at
           WHEN 'repeat' THEN t.repeat_since
           ELSE coalesce(t.open_since, t.last_placed_at) END,
       coalesce(t.orders, 0), coalesce(t.open, 0), coalesce(t.placed, 0), t.last_at,
       t.last_placed_at, round(extract(epoch FROM t.rhythm) / 86400)::int, t.overdue_at,
       {OWNER},
       greatest(p.touched_at, (SELECT max(o.touched_at) FROM {THEIRS})), t.position
FROM told t JOIN account p ON p.company_id = t.id LEFT JOIN directory d ON d.id = t.id
"""


ANY = CompanyCriteria()


async def listing(
    cur: Cursor,
    *,
    asked_at: datetime,
    status: AccountStatus | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Account]:
    """What they are at that moment, by what is known now; the newest company first. Page by passing
    the last one's position as ``before``. Joins the directory for the names."""
    criteria = CompanyCriteria(statuses=(status,) if status else ())
    return await fitting(cur, criteria, on=asked_at, before=before, limit=limit)


async def fitting(
    cur: Cursor,
    criteria: CompanyCriteria,
    *,
    on: datetime,
    before: int | None = None,
    limit: int = 50,
) -> list[Account]:
    """Of ``listing``, who fits these. Joins the directory for the custom fields. Raises
    NoSuchField, WrongFieldValue."""
    return await _listed(cur, *await _fitting(cur, criteria, on), before, limit)


async def company_segments(cur: Cursor, *, on: datetime) -> list[CompanySegmentShown]:
    """Those in use, by slug."""
    slugs = await in_use(cur, "account_segment")
    return [found for slug in slugs if (found := await company_segment(cur, slug, on=on))]


async def company_segment(cur: Cursor, slug: str, *, on: datetime) -> CompanySegmentShown | None:
    found = await criteria_of(cur, slug)
    if found is None:
        return None
    where, given = await _fitting(cur, found.criteria, on)
    await cur.execute(
        f"{TOLD} SELECT count(*) FROM told t JOIN account p ON p.company_id = t.id WHERE {where}",
        given,
    )
    [fit] = await cur.fetchone() or [0]
    return CompanySegmentShown(**asdict(found), companies=fit)


async def criteria_of(cur: Cursor, slug: str) -> Kept[CompanyCriteria] | None:
    """Of a segment of companies, and its cadence."""
    return await kept(cur, "account_segment", slug, CompanyCriteria)


async def in_segment(
    cur: Cursor,
    slug: str,
    *,
    also: CompanyCriteria = ANY,
    on: datetime,
    before: int | None = None,
    limit: int = 50,
) -> list[Account]:
    """As ``fitting``; none if there is no such segment. ``also``: what they have to fit besides."""
    found = await criteria_of(cur, slug)
    if found is None:
        return []
    return await _listed(cur, *await _fitting_both(cur, found.criteria, also, on), before, limit)


async def quiet_in_segment(
    cur: Cursor,
    slug: str,
    *,
    also: CompanyCriteria = ANY,
    on: datetime,
    before: int | None = None,
    limit: int = 50,
) -> list[Account]:
    """Of those in it, with whom something passed once and nothing for as long as its cadence, and
    who are not snoozed; in the order of ``listing``. ``also``: as in ``in_segment``."""
    found = await criteria_of(cur, slug)
    if found is None:
        return []
    where, given = await _fitting_both(cur, found.criteria, also, on)
    silent, since = quiet(on, found.cadence_days, _any, _all)
    return await _listed(cur, f"{where} AND {silent}", given | since, before, limit)


async def quiet_anywhere(
    cur: Cursor,
    *,
    on: datetime,
    days: int | None = None,
    owner: str | None = None,
    team: Team | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[GoneQuiet]:
    """Each once, which ``quiet_in_segment`` finds in any of them, by the shortest cadence of those
    that it is in; and by so many ``days`` which is in none. The longest silent first; page by
    passing the last one's ``silent_since``. Joins the directory for the names, and for the team."""
    segments = await strictest(cur, "account_segment", CompanyCriteria)
    # what each account is by now is told only if it is asked for: it takes all orders
    told = any(each.criteria.statuses for each in segments)
    return await gone_quiet(
        cur,
        "account",
        segments,
        lambda criteria: _fitting(cur, criteria, on),
        _all(NOT_SNOOZED),
        {"quiet_on": on.date(), "at": on} if told else {"quiet_on": on.date()},
        id="company_id",
        owner=OWNER,
        begin=TOLD if told else "",
        join="JOIN told t ON t.id = p.company_id" if told else "",
        on=on,
        days=days,
        owners=await whose(cur, owner, team),
        before=before,
        limit=limit,
    )


def _any(clause: str) -> str:
    return of_any(clause, "account", "company_id")


def _all(clause: str) -> str:
    return of_all(clause, "account", "company_id")


async def _fitting(
    cur: Cursor, criteria: CompanyCriteria, on: datetime
) -> tuple[str, dict[str, Any]]:
    """Of accounts ``t`` and their rows ``p``: a condition of our own words, and its values."""
    least, most = criteria.employees_at_least, criteria.employees_at_most
    industries = [each.lower() for each in criteria.industries]
    fit = (could for could, found in COULD_BE.items() if found.issuperset(criteria.statuses))
    likely = next((f"({could.format('p.')})" for could in fit), "true")
    given: Given = {
        "industries": (_any("lower(p.industry) = ANY(%(industries)s)"), industries),
        "location": (_any("p.place LIKE ALL(%(location)s)"), all_words(criteria.location)),
        "owners": (_any("p.owner = ANY(%(owners)s)"), list(criteria.owners)),
        "statuses": (f"t.status = ANY(%(statuses)s) AND {likely}", list(criteria.statuses)),
        "least": (_any("p.employees >= %(least)s"), least),
        "most": (_any("p.employees <= %(most)s"), most),
    }
    clauses, asked = await narrowed(
        cur,
        given,
        criteria,
        on=on,
        custom=("account_field", "company"),
        any_of=_any,
        all_of=_all,
        tags=criteria.tags,
    )
    return " AND ".join(clauses) or "true", {"at": on} | asked


async def _fitting_both(
    cur: Cursor, one: CompanyCriteria, also: CompanyCriteria, on: datetime
) -> tuple[str, dict[str, Any]]:
    where, values = await _fitting(cur, one, on)
    if also == ANY:
        return where, values
    further, asked = named_apart("also", *await _fitting(cur, also, on))
    return f"{where} AND {further}", values | asked


async def _listed(
    cur: Cursor, where: str, given: dict[str, Any], before: int | None, limit: int
) -> list[Account]:
    await cur.execute(
        f"{ACCOUNTS} WHERE {where}{newest_first('p', before, limit)}".encode(),
        given | {"before": before},
    )
    return [_account(*row) for row in await cur.fetchall()]


async def of(cur: Cursor, company_id: UUID, *, asked_at: datetime) -> Account | None:
    """One of ``listing``."""
    await cur.execute(
        f"{ACCOUNTS} WHERE t.id = {survivor('%(id)s::uuid')}", {"at": asked_at, "id": company_id}
    )
    row = await cur.fetchone()
    return row and _account(*row)


def _account(
    id: UUID,
    name: str | None,
    status: str,
    since: datetime,
    orders: int,
    open: int,
    placed: int,
    last_at: datetime | None,
    last_placed_at: datetime | None,
    rhythm_days: int | None,
    overdue_at: datetime | None,
    owner: str,
    touched_at: datetime | None,
    position: int,
) -> Account:
    last = f"the last order was opened on {last_at:%Y-%m-%d}" if last_at else ""
    if last_at and last_placed_at and last_placed_at > last_at:
        last += f", somebody was placed on {last_placed_at:%Y-%m-%d}"
    rhythm = f"an order every {rhythm_days} days, and {last}" if rhythm_days is not None else last
    many = "1 order" if open == 1 else f"{open} orders"
    why = {
        "prospect": "no deal has been qualified, and no fee agreed",
        "qualified": f"{last}, and nobody was placed"
        if orders
        else "a deal is qualified or a fee agreed",
        "active": f"{many} open" if open else last,
        "repeat": f"placed on {placed} orders" + (f", {many} open" if open else ""),
        "quiet": rhythm,
        "former": last,
    }[status]
    return Account(
        company_id=id,
        company=name,
        status=status,
        since=since,
        why=why,
        orders=orders,
        open_orders=open,
        placed_orders=placed,
        last_order_at=last_at,
        last_placed_at=last_placed_at,
        rhythm_days=rhythm_days,
        overdue_at=overdue_at,
        owner=owner,
        touched_at=touched_at,
        position=position,
    )
