"""Market: where people sit, for whom we search there, and what stands in the way of approaching
them. The market map of a search, and the conflict check before an approach.

One row a target of a search, one a person researched for it, one an employment, and one each for
what a check asks of a person, a company, a job order and a candidacy. The day is an argument of the
query: who sits where, what is off limits and who is a client depend on it. Of each word on
contacting somebody the last one is known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import (
    CandidacyClosed,
    CandidacyOpened,
    Introduced,
    Placed,
    StageReached,
)
from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.firm import ParentNamed
from ledger_crm.domain.identity import Employed, EmploymentEnded
from ledger_crm.domain.joborder import (
    OVER,
    JobOrderOpened,
    JobOrderStep,
    JobOrderSteps,
    status_after,
)
from ledger_crm.domain.market import Researched, Standing, TargetDropped, TargetNamed
from ledger_crm.domain.permission import (
    ConsentGiven,
    ConsentWithdrawn,
    DoNotContactLifted,
    DoNotContactSet,
    OffLimitsAgreed,
    OffLimitsLifted,
    OffLimitsWord,
    Word,
)
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.placement import BackdoorSuspected, FellThrough, PlacementStarted
from ledger_crm.domain.privacy import PersonErased

from ._projection import Cursor, Projection, Row, Table, stream
from ._who import everyone, known_as, said_since, survivor

MOST = 200  # targets of a search, people at a company, searches of a person
CLIENT_DAYS = 365  # after somebody started there


class TargetRow(Row, frozen=True, kw_only=True):
    job_order_id: UUID
    target_id: UUID
    position: int
    named_at: datetime
    by: str
    reason: str
    text: str


class ResearchRow(Row, frozen=True, kw_only=True):
    job_order_id: UUID
    person_id: UUID
    researched_at: datetime
    by: str
    standing: str
    text: str


class SeatRow(Row, frozen=True, kw_only=True):
    position: int
    person_id: UUID
    company_id: UUID
    title: str
    role: str
    starts_on: date | None
    ends_on: date | None


class WordRow(Row, frozen=True, kw_only=True):
    """What was last said about contacting a person, or about the people of a company."""

    id: UUID
    of_company: bool = False
    position: int = 0  # of the entry that said it
    said_at: datetime | None = None  # consent, or off-limits
    refuses: bool = False
    until_on: date | None = None
    with_subsidiaries: bool = False
    text: str = ""
    parent_id: UUID | None = None  # that a company belongs to
    contact_said_at: datetime | None = None  # do-not-contact
    contact_refuses: bool = False
    contact_until_on: date | None = None
    contact_text: str = ""
    erased: bool = False


class SearchRow(Row, frozen=True, kw_only=True):
    job_order_id: UUID
    company_id: UUID
    status: str = "open"


class ActiveRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    person_id: UUID
    company_id: UUID
    job_order_id: UUID
    stage: str
    since: datetime
    closed: bool = False
    starts_on: date | None = None  # placed by us
    full_time: bool = True
    fallen: bool = False
    introduced_on: date | None = None
    tail_until_on: date | None = None
    past_us: bool = False  # hired past us, as is written down


targets = Table("market_target", TargetRow, key="job_order_id, target_id")
research = Table(
    "market_research",
    ResearchRow,
    key="job_order_id, person_id",
    sql="CREATE INDEX market_research_of ON market_research (person_id);",
)
seats = Table(
    "market_seat",
    SeatRow,
    key="position",
    sql="""
    CREATE INDEX market_seat_of ON market_seat (person_id);
    CREATE INDEX market_seat_at ON market_seat (company_id, position DESC);
    """,
)
said = Table(
    "market_word",
    WordRow,
    key="id",
    sql="""
    CREATE INDEX market_word_below ON market_word (parent_id) WHERE parent_id IS NOT NULL;
    CREATE INDEX market_word_off_limits ON market_word (position DESC) WHERE of_company AND refuses;
    """,
)
searches = Table(
    "market_search",
    SearchRow,
    key="job_order_id",
    sql="CREATE INDEX market_search_of ON market_search (company_id);",
)
active = Table(
    "market_active",
    ActiveRow,
    key="candidacy_id",
    sql="""
    CREATE INDEX market_active_of ON market_active (person_id);
    CREATE INDEX market_active_at ON market_active (company_id, starts_on);
    """,
)
research.erases()
seats.erases()
projection = Projection("market", targets, research, seats, said, searches, active, version=8)


@targets.starts(TargetNamed)
def target_named(entry: Entry[TargetNamed]) -> TargetRow:
    fact = entry.event
    return TargetRow(
        job_order_id=fact.job_order_id,
        target_id=fact.target_id,
        position=entry.position,
        named_at=fact.named_at,
        by=entry.by,
        reason=fact.reason,
        text=fact.text,
    )


@targets.on(TargetDropped, key=lambda entry: (entry.event.job_order_id, entry.event.target_id))
def target_dropped(row: TargetRow, entry: Entry[TargetDropped]) -> None:
    return None


@research.starts(Researched)
def researched(entry: Entry[Researched]) -> ResearchRow:
    fact = entry.event
    return ResearchRow(
        job_order_id=fact.job_order_id,
        person_id=entry.originator_id,
        researched_at=fact.researched_at,
        by=entry.by,
        standing=fact.standing,
        text=fact.text,
    )


@seats.starts(Employed)
def employed(entry: Entry[Employed]) -> SeatRow:
    fact = entry.event
    return SeatRow(
        position=entry.position,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        title=fact.title,
        role=fact.role,
        starts_on=fact.starts_on,
        ends_on=fact.ends_on,
    )


@seats.each(EmploymentEnded, person_id=stream)
def employment_ended(row: SeatRow, entry: Entry[EmploymentEnded]) -> SeatRow:
    there = row.company_id == entry.event.company_id and row.ends_on is None
    return replace(row, ends_on=entry.event.ends_on) if there else row


@said.starts(PersonSourced, CompanyAdded)
def came(entry: Entry[PersonSourced | CompanyAdded]) -> WordRow:
    return WordRow(id=entry.originator_id, of_company=isinstance(entry.event, CompanyAdded))


@said.on(ConsentGiven, ConsentWithdrawn, OffLimitsAgreed, OffLimitsLifted, key=stream)
def allowed(
    row: WordRow, entry: Entry[ConsentGiven | ConsentWithdrawn | OffLimitsAgreed | OffLimitsLifted]
) -> WordRow:
    word = entry.event.word
    if row.said_at and word.said_at < row.said_at:
        return row
    return replace(
        row,
        position=entry.position,
        said_at=word.said_at,
        refuses=word.refuses,
        until_on=word.until_on,
        with_subsidiaries=isinstance(word, OffLimitsWord) and word.with_subsidiaries,
        text=entry.event.text,
    )


@said.on(ParentNamed, key=stream)
def belongs(row: WordRow, entry: Entry[ParentNamed]) -> WordRow:
    return replace(row, parent_id=entry.event.parent_id)


@said.on(DoNotContactSet, DoNotContactLifted, key=stream)
def left_alone(row: WordRow, entry: Entry[DoNotContactSet | DoNotContactLifted]) -> WordRow:
    word = entry.event.word
    if row.contact_said_at and word.said_at < row.contact_said_at:
        return row
    return replace(
        row,
        contact_said_at=word.said_at,
        contact_refuses=word.refuses,
        contact_until_on=word.until_on,
        contact_text=entry.event.text,
    )


@said.on(PersonErased, key=stream, forgets=True)
def erased(row: WordRow, entry: Entry[PersonErased]) -> WordRow:
    return WordRow(id=row.id, erased=True)


@searches.starts(JobOrderOpened)
def opened(entry: Entry[JobOrderOpened]) -> SearchRow:
    return SearchRow(job_order_id=entry.event.job_order_id, company_id=entry.originator_id)


@searches.on(JobOrderStep, key=lambda entry: entry.event.job_order_id)
def stepped(row: SearchRow, entry: Entry[JobOrderSteps]) -> SearchRow:
    return replace(row, status=status_after(row.status, entry.event))  # type: ignore[arg-type]


@active.starts(CandidacyOpened)
def put_on(entry: Entry[CandidacyOpened]) -> ActiveRow:
    fact = entry.event
    return ActiveRow(
        candidacy_id=fact.candidacy_id,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        stage=fact.stage,
        since=fact.opened_at,
    )


@active.on(StageReached, key=lambda entry: entry.event.candidacy_id)
def moved(row: ActiveRow, entry: Entry[StageReached]) -> ActiveRow:
    fact = entry.event
    row = replace(
        row,
        stage=fact.stage,
        since=fact.reached_at,
        closed=isinstance(fact, CandidacyClosed),
    )
    if isinstance(fact, Introduced):
        first = row.introduced_on or fact.introduced_at.date()
        return replace(row, introduced_on=first, tail_until_on=fact.tail_until_on)
    if isinstance(fact, Placed):
        return replace(row, starts_on=fact.starts_on, full_time=fact.full_time)
    return row


@active.on(PlacementStarted, key=lambda entry: entry.event.candidacy_id)
def started(row: ActiveRow, entry: Entry[PlacementStarted]) -> ActiveRow:
    return replace(row, starts_on=entry.event.starts_on)


@active.on(FellThrough, key=lambda entry: entry.event.candidacy_id)
def fell_through(row: ActiveRow, entry: Entry[FellThrough]) -> ActiveRow:
    return replace(row, fallen=True)


@active.on(BackdoorSuspected, key=lambda entry: entry.event.candidacy_id)
def hired_past_us(row: ActiveRow, entry: Entry[BackdoorSuspected]) -> ActiveRow:
    return replace(row, past_us=True)


class Agreement(msgspec.Struct, frozen=True):
    """Not to approach the people of a company, nor whom we placed with it.

    agreed_with_id     the company itself, or one that it belongs to
    until_on           its last day; null: until it is lifted
    with_subsidiaries  it also protects the people of companies that belong to that one
    """

    agreed_with_id: UUID
    agreed_with: str
    agreed_at: datetime
    until_on: date | None
    with_subsidiaries: bool
    text: str


class AgreementListed(Agreement, frozen=True):
    """Not to approach the people of a company, nor whom we placed with it; a named consultant may
    all the same, and says why (``override``).

    until_on           its last day; null: until it is lifted
    with_subsidiaries  it also protects the people of companies that belong to that one
    companies          how many it covers, the one that it is agreed with among them
    people             how many sit there on that day and are protected: as anybody there, or
                       because we placed them
    placed             how many of them because we placed them, and nobody wrote an employment
    position           of the entry, to page by
    """

    companies: int
    people: int
    placed: int
    position: int


class FirmCheck(msgspec.Struct, frozen=True, kw_only=True):
    """off_limits         whether its people are, on that day; until when (null: until it is
                       lifted), and why, by the agreement that lasts longest
    agreements         by which they are: its own first, then those of companies that it belongs to
    client             a job order of theirs is not over, or somebody started there within a year
    open_orders        how many are not over
    last_start_on      of somebody whom we placed there
    """

    company_id: UUID
    company: str
    off_limits: bool
    off_limits_until_on: date | None
    off_limits_text: str
    agreements: list[Agreement]
    client: bool
    open_orders: int
    last_start_on: date | None


class Obstacle(msgspec.Struct, frozen=True):
    """what         no_consent, do_not_contact; off_limits: of the company; placed_by_us: there;
                 erased: nobody can approach them any more
    company_id   null for off_limits: where they sit by a confidential job order that whoever asks
                 does not see; the rest of it is not told either
    until_on     its last day; null: for good, or as long as they are there
    text         why
    agreed_with  off_limits: whose agreement it is, the company's or that of one that it belongs to;
                 one obstacle an agreement
    """

    what: Literal["no_consent", "do_not_contact", "off_limits", "placed_by_us", "erased"]
    company_id: UUID | None
    company: str | None
    until_on: date | None
    text: str
    agreed_with_id: UUID | None = None
    agreed_with: str | None = None


class OtherSearch(msgspec.Struct, frozen=True):
    """A job order on which they are."""

    job_order_id: UUID
    job_order: str
    company_id: UUID
    company: str
    stage: str
    since: datetime


class Seat(msgspec.Struct, frozen=True):
    company_id: UUID
    company: str
    title: str
    role: str
    starts_on: date | None
    ends_on: date | None
    job_order_id: UUID | None


class PersonCheck(msgspec.Struct, frozen=True, kw_only=True):
    """free       nothing stands in the way of approaching them
    seats      where they sit on that day, also without an employment if we placed them there; then
               under the title of the job order
    active_in  other searches in which they are, the last to move first
    """

    person_id: UUID
    person: str
    free: bool
    obstacles: list[Obstacle]
    seats: list[Seat]
    active_in: list[OtherSearch]

    @property
    def is_erased(self) -> bool:
        return any(obstacle.what == "erased" for obstacle in self.obstacles)


class Found(PersonCheck, frozen=True, kw_only=True):
    """standing  of the research for this search; null: nobody looked at them yet"""

    standing: Standing | None
    researched_at: datetime | None
    researched_by: str
    research_text: str


class Target(FirmCheck, frozen=True, kw_only=True):
    """people  who sit there on that day, at most 200"""

    named_at: datetime
    named_by: str
    reason: str
    text: str
    people: list[Found]


class MarketMap(msgspec.Struct, frozen=True):
    """targets    in the order in which they were named
    elsewhere  who is researched for this search and sits at none of them
    """

    job_order_id: UUID
    job_order: str
    company_id: UUID
    on: date
    targets: list[Target]
    elsewhere: list[Found]


THERE = "coalesce(s.starts_on, %(on)s) <= %(on)s AND coalesce(s.ends_on, %(on)s) >= %(on)s"

# Where people sit on that day. Nobody writes an employment for whom we placed: they sit where they
# started until they fall through, left there, or began elsewhere.
SITTING = f"""(
SELECT s.position, s.person_id, s.company_id, s.title, s.role, s.starts_on, s.ends_on,
  NULL::uuid AS job_order_id
FROM market_seat s WHERE {THERE}
UNION ALL
SELECT 0, a.person_id, a.company_id, coalesce(j.name, ''), 'employee', a.starts_on, NULL::date,
  a.job_order_id
FROM market_active a LEFT JOIN directory j ON j.id = a.job_order_id
WHERE a.starts_on <= %(on)s AND NOT a.fallen
  AND NOT EXISTS (SELECT FROM market_word w WHERE w.id = a.person_id AND w.erased)
  AND NOT EXISTS (SELECT FROM market_seat s WHERE s.person_id = ANY({everyone("a.person_id")})
    AND CASE WHEN s.company_id = ANY({everyone("a.company_id")})
      THEN {THERE} OR s.ends_on >= a.starts_on AND s.ends_on < %(on)s
      ELSE s.starts_on > a.starts_on AND s.starts_on <= %(on)s END)
  AND NOT EXISTS (SELECT FROM market_active b
    WHERE b.person_id = ANY({everyone("a.person_id")}) AND NOT b.fallen
    AND b.starts_on <= %(on)s AND (b.full_time OR b.company_id = ANY({everyone("a.company_id")}))
    AND (b.starts_on, b.candidacy_id) > (a.starts_on, a.candidacy_id)))"""


def _seen(hidden: Collection[UUID]) -> str:
    """Of those who sit somewhere, ``s``, without whom these job orders brought there."""
    return " AND (s.job_order_id IS NULL OR s.job_order_id <> ALL(%(hidden)s))" if hidden else ""


# whose people an agreement with %(id)s protects
BELOW = f"""
WITH RECURSIVE below AS (
  SELECT o.id, 0 AS down FROM unnest({everyone("%(id)s::uuid")}) o (id)
  UNION SELECT o.id, b.down + 1 FROM below b JOIN market_word w ON w.parent_id = b.id
  CROSS JOIN LATERAL unnest({everyone("w.id")}) o (id) WHERE %(below)s)"""


class Protected(msgspec.Struct, frozen=True):
    """why  employed: as anybody there; placed: by us, and nobody wrote an employment"""

    person_id: UUID
    person: str
    company_id: UUID
    company: str
    why: Literal["employed", "placed"]


class Covered(msgspec.Struct, frozen=True):
    company_id: UUID
    company: str


class OffLimitsShown(msgspec.Struct, frozen=True):
    """own        the agreement with this company, if one holds on that day
    above      those with companies that it belongs to, which protect its people too
    companies  whose people the own one protects: this one, and with subsidiaries all below it; at
               most 200
    people     whom the own one protects on that day; at most 200
    """

    company_id: UUID
    company: str
    on: date
    own: Agreement | None
    above: list[Agreement]
    companies: list[Covered]
    people: list[Protected]


async def off_limits(
    cur: Cursor, company_id: UUID, *, on: date, hidden: Collection[UUID] = ()
) -> OffLimitsShown | None:
    """Which agreement protects whom, but for those whom a hidden job order brought there. Joins the
    directory for the names."""
    firm = await firm_checked(cur, company_id, on=on)
    if firm is None:
        return None
    company_id = firm.company_id
    own = [each for each in firm.agreements if each.agreed_with_id == company_id]
    above = [each for each in firm.agreements if each.agreed_with_id != company_id]
    own.sort(key=lambda each: not each.with_subsidiaries)
    shown = (company_id, firm.company, on, own[0] if own else None, above)
    if not own:
        return OffLimitsShown(*shown, [], [])
    asked = {"id": company_id, "on": on, "below": own[0].with_subsidiaries, "most": MOST}
    asked |= {"hidden": list(hidden)}
    await cur.execute(
        f"{BELOW} SELECT coalesce(d.is_id, b.id), coalesce(d.name, '') FROM below b"
        " LEFT JOIN who d ON d.id = b.id GROUP BY 1, 2 ORDER BY min(b.down), 2, 1 LIMIT %(most)s",
        asked,
    )
    companies = [Covered(*row) for row in await cur.fetchall()]
    await cur.execute(
        f"{BELOW} SELECT DISTINCT ON (p.name, p.is_id, c.is_id) p.is_id,"
        "  coalesce(p.name, ''), coalesce(c.is_id, s.company_id), coalesce(c.name, ''),"
        "  CASE WHEN s.position = 0 THEN 'placed' ELSE 'employed' END"
        f" FROM {SITTING} s JOIN below b ON b.id = s.company_id"
        " LEFT JOIN who p ON p.id = s.person_id LEFT JOIN who c ON c.id = s.company_id"
        f" WHERE s.role = 'employee'{_seen(hidden)}"
        " ORDER BY p.name, p.is_id, c.is_id, s.position DESC"
        " LIMIT %(most)s",
        asked,
    )
    return OffLimitsShown(*shown, companies, [Protected(*row) for row in await cur.fetchall()])


async def agreements(
    cur: Cursor,
    *,
    on: date,
    company_id: UUID | None = None,
    ends_before: date | None = None,
    hidden: Collection[UUID] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[AgreementListed]:
    """In force on that day, the last written down first; page by passing the last one's position as
    ``before``. Joins the directory for the names.

    ends_before  only those whose last day lies before this one
    hidden       job orders by which they count nobody
    """
    await cur.execute(
        "SELECT w.id, coalesce(d.is_id, w.id), coalesce(d.name, ''), w.said_at, w.until_on,"
        " w.with_subsidiaries, w.text, w.position"
        " FROM market_word w LEFT JOIN who d ON d.id = w.id"
        " WHERE w.of_company AND w.refuses AND w.said_at < %(on)s::date + 1"
        " AND coalesce(w.until_on >= %(on)s, true)"
        f" AND NOT {said_since('w', 'said_at', 'market_word', 'id')}"
        f" AND (%(company)s::uuid IS NULL OR w.id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(ends)s::date IS NULL OR w.until_on < %(ends)s)"
        " AND (%(before)s::bigint IS NULL OR w.position < %(before)s)"
        " ORDER BY w.position DESC LIMIT %(limit)s",
        {"on": on, "company": company_id, "ends": ends_before, "before": before, "limit": limit},
    )
    told: list[Any] = await cur.fetchall()
    await cur.execute(
        "WITH RECURSIVE below AS ("
        "  SELECT f.id AS of_id, f.whole, o.id"
        "  FROM unnest(%(ids)s::uuid[], %(whole)s::boolean[]) f (id, whole)"
        f" CROSS JOIN LATERAL unnest({everyone('f.id')}) o (id)"
        "  UNION SELECT b.of_id, b.whole, o.id FROM below b"
        "  JOIN market_word w ON w.parent_id = b.id"
        f" CROSS JOIN LATERAL unnest({everyone('w.id')}) o (id) WHERE b.whole)"
        " SELECT b.of_id, count(DISTINCT coalesce(c.is_id, b.id)),"
        "  count(DISTINCT coalesce(p.is_id, s.person_id)),"
        "  count(DISTINCT coalesce(p.is_id, s.person_id)) FILTER (WHERE s.position = 0)"
        " FROM below b LEFT JOIN who c ON c.id = b.id"
        f" LEFT JOIN LATERAL (SELECT * FROM {SITTING} s"
        f"   WHERE s.company_id = b.id AND s.role = 'employee'{_seen(hidden)} OFFSET 0) s ON true"
        " LEFT JOIN who p ON p.id = s.person_id GROUP BY b.of_id",
        {"on": on, "ids": [row[0] for row in told], "whole": [row[5] for row in told]}
        | {"hidden": list(hidden)},
    )
    covered = {id: counts for id, *counts in await cur.fetchall()}
    return [AgreementListed(*(*row, *covered[id], at)) for id, *row, at in told]


async def between(cur: Cursor, company_id: UUID, other_id: UUID) -> list[UUID]:
    """Who began a job at one of these two or below it, within the tail of an introduction to one of
    them or above it, and was neither placed there by us nor flagged yet: at most 200. For who asks
    whether somebody was hired past us where the two turn out to be one; whoever is flagged makes
    room for the next."""
    await cur.execute(
        "WITH RECURSIVE firm AS ("
        "  SELECT o.id FROM unnest(%(ids)s::uuid[]) f (id)"
        f" CROSS JOIN LATERAL unnest({everyone('f.id')}) o (id)),"
        " below AS (SELECT id FROM firm UNION SELECT o.id FROM below b"
        "   JOIN market_word w ON w.parent_id = b.id"
        f"  CROSS JOIN LATERAL unnest({everyone('w.id')}) o (id)),"
        " above AS (SELECT id FROM firm UNION SELECT o.id FROM above a"
        "   JOIN market_word w ON w.id = a.id AND w.parent_id IS NOT NULL"
        f"  CROSS JOIN LATERAL unnest({everyone('w.parent_id')}) o (id))"
        f" SELECT DISTINCT {survivor('s.person_id')} FROM below b"
        " JOIN market_seat s ON s.company_id = b.id"
        " WHERE EXISTS (SELECT FROM market_active c JOIN above a ON a.id = c.company_id"
        f"   WHERE c.person_id = ANY({everyone('s.person_id')}) AND NOT c.past_us"
        "   AND s.starts_on BETWEEN c.introduced_on AND c.tail_until_on)"
        " AND NOT EXISTS (SELECT FROM market_active c JOIN above a ON a.id = c.company_id"
        f"   WHERE c.person_id = ANY({everyone('s.person_id')})"
        "   AND c.starts_on IS NOT NULL AND NOT c.fallen) LIMIT %(most)s",
        {"ids": [company_id, other_id], "most": MOST},
    )
    return [id for (id,) in await cur.fetchall()]


async def map_of(
    cur: Cursor, job_order_id: UUID, *, on: date, hidden: Collection[UUID] = ()
) -> MarketMap | None:
    """Joins the directory for the names. ``hidden``: as in ``people_checked``; whom one of these
    brought to a target is not found there."""
    await cur.execute(
        f"SELECT {survivor('s.company_id')}, coalesce(d.name, '') FROM market_search s"
        " LEFT JOIN directory d ON d.id = s.job_order_id WHERE s.job_order_id = %s",
        (job_order_id,),
    )
    row = await cur.fetchone()
    if row is None:
        return None
    client_id, title = row
    await cur.execute(
        "SELECT target_id, named_at, by, reason, text FROM market_target WHERE job_order_id = %s"
        " ORDER BY position LIMIT %s",
        (job_order_id, MOST),
    )
    named = await cur.fetchall()
    firms = await firms_checked(cur, [target_id for target_id, *_ in named], on=on)
    await cur.execute(
        "SELECT s.company_id, s.person_id FROM ("
        "  SELECT DISTINCT ON (s.company_id, s.person_id) s.*,"
        "  dense_rank() OVER (PARTITION BY s.company_id ORDER BY s.person_id) AS nth"
        f"  FROM {SITTING} s WHERE s.company_id = ANY(%(targets)s){_seen(hidden)}) s"
        " WHERE s.nth <= %(most)s ORDER BY s.position",
        {"targets": list(firms), "on": on, "most": MOST, "hidden": list(hidden)},
    )
    at: dict[UUID, list[UUID]] = {}
    for company_id, person_id in await cur.fetchall():
        at.setdefault(firms[company_id].company_id, []).append(person_id)
    await cur.execute(
        "SELECT person_id, standing, researched_at, by, text FROM market_research"
        " WHERE job_order_id = %s ORDER BY researched_at, person_id",
        (job_order_id,),
    )
    researched = await cur.fetchall()
    same = await known_as(
        cur, [*(id for people in at.values() for id in people), *(id for id, *_ in researched)]
    )
    at = {
        company_id: list(dict.fromkeys(same[id] for id in people))
        for company_id, people in at.items()
    }
    looked_at = {same[person_id]: rest for person_id, *rest in researched}
    sitting = {person_id for people in at.values() for person_id in people}
    ids = [*sitting, *(id for id in looked_at if id not in sitting)]
    checks = await people_checked(cur, ids, on=on, besides=job_order_id, hidden=hidden)
    checks = {id: each for id, each in checks.items() if not each.is_erased}

    def found(person_id: UUID) -> Found:
        standing, when, by, text = looked_at.get(person_id, (None, None, "", ""))
        return Found(
            **msgspec.structs.asdict(checks[person_id]),
            standing=standing,
            researched_at=when,
            researched_by=by,
            research_text=text,
        )

    first: dict[UUID, tuple[Any, ...]] = {}  # of a firm that was named by two of its records
    for row in named:
        first.setdefault(firms[row[0]].company_id, row)
    shown = [
        Target(
            **msgspec.structs.asdict(firms[target_id]),
            named_at=named_at,
            named_by=by,
            reason=reason,
            text=text,
            people=[found(id) for id in at.get(firms[target_id].company_id, ()) if id in checks],
        )
        for target_id, named_at, by, reason, text in first.values()
    ]
    elsewhere = [found(id) for id in looked_at if id not in sitting and id in checks]
    return MarketMap(job_order_id, title, client_id, on, shown, elsewhere)


async def person_checked(
    cur: Cursor,
    person_id: UUID,
    *,
    on: date,
    besides: UUID | None = None,
    hidden: Collection[UUID] = (),
) -> PersonCheck | None:
    """Joins the directory for the names. ``besides``: the search for which it is asked; ``hidden``:
    as in ``people_checked``."""
    checks = await people_checked(cur, [person_id], on=on, besides=besides, hidden=hidden)
    return next(iter(checks.values()), None)


async def firm_checked(cur: Cursor, company_id: UUID, *, on: date) -> FirmCheck | None:
    """Joins the directory for the name."""
    return (await firms_checked(cur, [company_id], on=on)).get(company_id)


async def people_checked(
    cur: Cursor,
    ids: Sequence[UUID],
    *,
    on: date,
    besides: UUID | None,
    hidden: Collection[UUID] = (),
) -> dict[UUID, PersonCheck]:
    """Each by the id that they are known as, with what stands in the way on any of their
    records. ``hidden``: job orders by which we placed nobody, as far as is told; that an approach
    is refused where one brought them is told without saying where."""
    same = await known_as(cur, ids)
    asked = {"ids": list(same), "on": on, "besides": besides, "over": sorted(OVER)}
    asked |= {"hidden": list(hidden)}
    await cur.execute(
        "SELECT s.person_id, coalesce(d.is_id, s.company_id), coalesce(d.name, ''), s.title,"
        f" s.role, s.starts_on, s.ends_on, s.job_order_id FROM {SITTING} s"
        " LEFT JOIN who d ON d.id = s.company_id"
        " WHERE s.person_id = ANY(%(ids)s) ORDER BY s.position DESC",
        asked,
    )
    sits: dict[UUID, list[Seat]] = {}
    for person_id, *seat in await cur.fetchall():
        sits.setdefault(same[person_id], []).append(Seat(*seat))
    firms = await firms_checked(cur, [s.company_id for each in sits.values() for s in each], on=on)
    await cur.execute(
        "SELECT a.person_id, a.job_order_id, coalesce(j.name, ''),"
        " coalesce(c.is_id, a.company_id), coalesce(c.name, ''), a.stage,"
        " a.since FROM market_active a"
        " JOIN market_search o USING (job_order_id)"
        " LEFT JOIN directory j ON j.id = a.job_order_id"
        " LEFT JOIN who c ON c.id = a.company_id"
        " WHERE a.person_id = ANY(%(ids)s) AND NOT a.closed AND a.starts_on IS NULL"
        " AND o.status <> ALL(%(over)s)"
        " AND (%(besides)s::uuid IS NULL OR a.job_order_id <> %(besides)s)"
        " ORDER BY a.since DESC, a.candidacy_id",
        asked,
    )
    busy: dict[UUID, list[OtherSearch]] = {}
    for person_id, *search in await cur.fetchall():
        busy.setdefault(same[person_id], []).append(OtherSearch(*search))
    await cur.execute(
        f"SELECT a.person_id, {survivor('a.company_id')} FROM market_active a"
        " WHERE a.person_id = ANY(%(ids)s)"
        " AND a.starts_on <= %(on)s AND NOT a.fallen"
        f"{' AND a.job_order_id <> ALL(%(hidden)s)' if hidden else ''}",
        asked,
    )
    placed = {(same[person_id], company_id) for person_id, company_id in await cur.fetchall()}
    await cur.execute(
        "SELECT w.id, coalesce(d.name, ''), w.said_at, w.refuses, w.until_on, w.text,"
        " w.contact_said_at, w.contact_refuses, w.contact_until_on, w.contact_text,"
        f" {said_since('w', 'said_at', 'market_word', 'id')},"
        f" {said_since('w', 'contact_said_at', 'market_word', 'id')}, w.erased"
        " FROM market_word w JOIN who d ON d.id = w.id AND d.kind = 'person'"
        " WHERE w.id = ANY(%(ids)s)",
        asked,
    )
    found: dict[UUID, PersonCheck] = {}
    told = await cur.fetchall()
    said: dict[UUID, list[tuple[Any, Any]]] = {}
    for id, _, *words, consent_over, contact_over, _ in told:
        nothing = (None, False, None, "")
        consent = nothing if consent_over else words[:4]
        contact = nothing if contact_over else words[4:]
        said.setdefault(same[id], []).append((consent, contact))
    for id, name, *_, erased in told:
        if same[id] != id:
            continue
        if erased:
            gone = Obstacle("erased", None, None, None, "")
            found[id] = PersonCheck(
                person_id=id, person=name, free=False, obstacles=[gone], seats=[], active_in=[]
            )
            continue
        obstacles = [
            refusal
            for consent, contact in said[id]
            for refusal in (
                *_refused("no_consent", on, *consent),
                *_refused("do_not_contact", on, *contact),
            )
        ]
        unsaid = False
        for seat in sits.get(id, ()):
            firm = firms.get(seat.company_id)
            protecting = firm.agreements if firm and seat.role == "employee" else []
            if seat.job_order_id in hidden:
                unsaid = unsaid or bool(protecting)
                continue
            for each in protecting:
                where, of = (seat.company_id, seat.company), (each.agreed_with_id, each.agreed_with)
                obstacles.append(Obstacle("off_limits", *where, each.until_on, each.text, *of))
            if (id, seat.company_id) in placed:
                where = (seat.company_id, seat.company)
                obstacles.append(Obstacle("placed_by_us", *where, None, ""))
        if unsaid:
            obstacles.append(Obstacle("off_limits", None, None, None, ""))
        found[id] = PersonCheck(
            person_id=id,
            person=name,
            free=not obstacles,
            obstacles=obstacles,
            seats=sits.get(id, [])[:MOST],
            active_in=busy.get(id, [])[:MOST],
        )
    return found


async def firms_checked(cur: Cursor, ids: Iterable[UUID], *, on: date) -> dict[UUID, FirmCheck]:
    """By every id that they have."""
    same = await known_as(cur, list({*ids}))
    asked = sorted({*same.values()})
    agreements = await _agreements(cur, asked, on=on)
    await cur.execute(
        "SELECT w.id, coalesce(d.name, ''),"
        f" (SELECT count(*) FROM market_search o WHERE o.company_id = ANY({everyone('w.id')})"
        "   AND o.status <> ALL(%(over)s)),"
        f" (SELECT max(a.starts_on) FROM market_active a"
        f"   WHERE a.company_id = ANY({everyone('w.id')}) AND a.starts_on <= %(on)s"
        " AND NOT a.fallen)"
        " FROM market_word w JOIN directory d ON d.id = w.id AND d.kind = 'company'"
        " WHERE w.id = ANY(%(ids)s)",
        {"ids": asked, "on": on, "over": sorted(OVER)},
    )
    found = {}
    for id, name, orders, last in await cur.fetchall():
        held = agreements.get(id, [])
        longest = max(held, key=lambda each: each.until_on or date.max, default=None)
        found[id] = FirmCheck(
            company_id=id,
            company=name,
            off_limits=bool(held),
            off_limits_until_on=longest.until_on if longest else None,
            off_limits_text=longest.text if longest else "",
            agreements=held,
            client=bool(orders) or (last is not None and (on - last).days <= CLIENT_DAYS),
            open_orders=orders,
            last_start_on=last,
        )
    return {id: found[known] for id, known in same.items() if known in found}


def _each(id: str) -> str:
    """Of all records of this company; looked up one by one, however many there seem to be."""
    return (
        f"SELECT w.id, w.parent_id, w.said_at, w.refuses, w.until_on, w.with_subsidiaries, w.text"
        f" FROM unnest({everyone(id)}) o (id)"
        " CROSS JOIN LATERAL (SELECT w.* FROM market_word w WHERE w.id = o.id OFFSET 0) w"
    )


async def _agreements(cur: Cursor, ids: Sequence[UUID], *, on: date) -> dict[UUID, list[Agreement]]:
    """That protect the people of these companies on that day, from below to above."""
    await cur.execute(
        "WITH RECURSIVE above AS ("
        "  SELECT f.id AS of_id, 0 AS up, w.* FROM unnest(%(ids)s::uuid[]) f (id)"
        f"  CROSS JOIN LATERAL ({_each('f.id')}) w"
        "  UNION SELECT a.of_id, a.up + 1, p.*"
        f"  FROM above a CROSS JOIN LATERAL ({_each('a.parent_id')}) p),"
        " nearest AS (SELECT DISTINCT ON (of_id, id) * FROM above ORDER BY of_id, id, up)"
        " SELECT a.of_id, a.said_at, a.refuses, a.until_on, a.with_subsidiaries, a.text,"
        "  coalesce(d.is_id, a.id), coalesce(d.name, '') FROM nearest a"
        " LEFT JOIN who d ON d.id = a.id WHERE a.refuses AND (a.up = 0 OR a.with_subsidiaries)"
        f" AND NOT {said_since('a', 'said_at', 'market_word', 'id')}"
        " ORDER BY a.of_id, a.up, a.id <> a.of_id",
        {"ids": list(ids)},
    )
    found: dict[UUID, list[Agreement]] = {}
    for of_id, said_at, refuses, until_on, below, text, id, name in await cur.fetchall():
        if _holds(on, said_at, refuses, until_on):
            found.setdefault(of_id, []).append(Agreement(id, name, said_at, until_on, below, text))
    return found


def _refused(
    what: Literal["no_consent", "do_not_contact"],
    on: date,
    said_at: datetime | None,
    refuses: bool,
    until_on: date | None,
    text: str,
) -> list[Obstacle]:
    if not _holds(on, said_at, refuses, until_on):
        return []
    return [Obstacle(what, None, None, until_on if refuses else None, text)]


def _holds(on: date, said_at: datetime | None, refuses: bool, until_on: date | None) -> bool:
    """Whether a no holds at the end of that day."""
    at = datetime.combine(on, time.max, UTC)
    return said_at is not None and said_at <= at and Word(said_at, refuses, until_on).holds_no(at)
