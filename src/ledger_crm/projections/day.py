"""A consultant's day: what they owe, and what is on. Follow-ups that are due, people who wrote and
wait for an answer, fee agreements that run out and are to be renewed, interviews of the day, offers
and guarantees that end. One row a follow-up, one row a person, one row an agreement, one row an
interview, an offer or a guarantee, one row for who answers for a client or a job order.

A person waits for whoever of us spoke to them last; before that, for who found them. Nobody waits
who wants no answer, or is to be left alone. What is on with a candidate is the job order's owner's,
else of who wrote it down. An agreement
is renewed by the owner of its job order; else by the owner of the client; else by who agreed it. It
is not to be renewed once it is ended, or a later one took its place, or its job order is over. The
day is an argument of the query.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.engagement import contact, last_to_reach, later
from ledger_crm.domain.entry import ERASED, Entry, Event
from ledger_crm.domain.firm import OwnerAssigned
from ledger_crm.domain.followup import (
    CompanyFollowUpDone,
    CompanyFollowUpPromised,
    CompanyFollowUpSnoozed,
    FollowUpDone,
    FollowUpPromised,
    FollowUpSnoozed,
)
from ledger_crm.domain.interaction import Interaction, NoAnswerNeeded
from ledger_crm.domain.interview import (
    InterviewArranged,
    InterviewCalledOff,
    InterviewHeld,
    InterviewMoved,
    OfferAccepted,
    OfferChanged,
    OfferDeclined,
    OfferMade,
    OfferWithdrawn,
)
from ledger_crm.domain.joborder import (
    OVER,
    JobOrderStaffed,
    JobOrderStep,
    JobOrderSteps,
    status_after,
)
from ledger_crm.domain.permission import DoNotContactLifted, DoNotContactSet
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.placement import FellThrough, GuaranteeEnded, PlacementStarted
from ledger_crm.domain.privacy import PersonErased

from ._projection import Cursor, Projection, Row, Table, stream
from ._team import Team, whose
from ._who import everyone, reached_out, said_since

MOST = 200  # of each on one day
RENEWAL_DAYS = 60  # to talk a client into new terms, and to hear that they let them run out
OFFER_DAYS = 3
GUARANTEE_DAYS = 14
Done = FollowUpDone | CompanyFollowUpDone
Snoozed = FollowUpSnoozed | CompanyFollowUpSnoozed
RENEWER = "coalesce(nullif(o.owner, ''), nullif(a.owner, ''), nullif(b.owner, ''), r.by)"


class FollowUpRow(Row, frozen=True, kw_only=True):
    follow_up_id: UUID
    position: int  # of the promise
    person_id: UUID | None  # None: nobody in particular at the company
    company_id: UUID | None
    owner: str
    promised_at: datetime
    promised_for_on: date
    due_on: date
    reason: str = ""  # why it was put off
    text: str
    done_at: datetime | None = None


class AnswerRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    owner: str
    reached_at: datetime | None = None
    heard_at: datetime | None = None
    waived_at: datetime | None = None  # what they said until then wants no answer
    left_alone: bool = False
    left_alone_until_on: date | None = None
    left_alone_said_at: datetime | None = None


class OccasionRow(Row, frozen=True, kw_only=True):
    id: UUID  # of the interview or the offer; of the candidacy, of a guarantee
    position: int
    kind: str
    person_id: UUID
    company_id: UUID | None
    job_order_id: UUID | None
    by: str
    due_on: date | None  # the day of it, or its last one
    at: datetime | None = None
    over: bool = False


class RenewalRow(Row, frozen=True, kw_only=True):
    agreement_id: UUID
    position: int
    company_id: UUID
    job_order_id: UUID | None
    since: datetime  # agreed
    by: str
    version: int = 1
    ends_on: date | None
    ended_at: datetime | None = None


class AnswerableRow(Row, frozen=True, kw_only=True):
    id: UUID  # of a company or a job order
    owner: str = ""
    status: str = "open"  # of a job order


follow_ups = Table(
    "follow_up",
    FollowUpRow,
    key="follow_up_id",
    sql="""
    CREATE INDEX follow_up_due ON follow_up (owner, due_on) WHERE done_at IS NULL;
    CREATE INDEX follow_up_newest ON follow_up (position DESC);
    CREATE INDEX follow_up_of ON follow_up (person_id, position DESC);
    CREATE INDEX follow_up_at ON follow_up (company_id, position DESC);
    """,
)
answers = Table(
    "owed_answer",
    AnswerRow,
    key="person_id",
    sql="""CREATE INDEX owed_answer_by ON owed_answer (owner, heard_at)
    WHERE heard_at > greatest(reached_at, waived_at, '-infinity');""",
)
occasions = Table(
    "occasion",
    OccasionRow,
    key="id",
    sql="""
    CREATE INDEX occasion_on ON occasion (kind, due_on) WHERE NOT over;
    CREATE INDEX occasion_of ON occasion (person_id);
    """,
)
renewals = Table(
    "renewal",
    RenewalRow,
    key="agreement_id",
    sql="""
    CREATE INDEX renewal_ends ON renewal (ends_on) WHERE ended_at IS NULL;
    CREATE INDEX renewal_of ON renewal (company_id);
    """,
)
answerable = Table("answerable", AnswerableRow, key="id")
projection = Projection("day", follow_ups, answers, occasions, renewals, answerable, version=9)


@follow_ups.starts(FollowUpPromised)
def promised(entry: Entry[FollowUpPromised]) -> FollowUpRow:
    return _promised(entry, entry.originator_id, entry.event.company_id)


@follow_ups.starts(CompanyFollowUpPromised)
def promised_to_a_company(entry: Entry[CompanyFollowUpPromised]) -> FollowUpRow:
    return _promised(entry, None, entry.originator_id)


def _promised(
    entry: Entry[FollowUpPromised | CompanyFollowUpPromised],
    person_id: UUID | None,
    company_id: UUID | None,
) -> FollowUpRow:
    fact = entry.event
    return FollowUpRow(
        follow_up_id=fact.follow_up_id,
        position=entry.position,
        person_id=person_id,
        company_id=company_id,
        owner=fact.owner or entry.by,
        promised_at=entry.at,
        promised_for_on=fact.due_on,
        due_on=fact.due_on,
        text=fact.text,
    )


def follow_up(entry: Entry[Done | Snoozed]) -> UUID:
    return entry.event.follow_up_id


@follow_ups.on(FollowUpSnoozed, CompanyFollowUpSnoozed, key=follow_up)
def put_off(row: FollowUpRow, entry: Entry[Snoozed]) -> FollowUpRow:
    return replace(row, due_on=entry.event.until_on, reason=entry.event.reason)


@follow_ups.on(FollowUpDone, CompanyFollowUpDone, key=follow_up)
def done(row: FollowUpRow, entry: Entry[Done]) -> FollowUpRow:
    return replace(row, done_at=entry.at)


@follow_ups.each(PersonErased, forgets=True, person_id=stream)
def owed_to_nobody(row: FollowUpRow, entry: Entry[PersonErased]) -> FollowUpRow | None:
    return replace(row, text=ERASED) if row.done_at else None


answers.erases()


@answers.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> AnswerRow:
    return AnswerRow(person_id=entry.originator_id, owner=entry.event.found_by or entry.by)


@answers.on(Interaction, key=stream)
def touched(row: AnswerRow, entry: Entry[Interaction]) -> AnswerRow:
    reached_at, heard_at = contact(entry.event)
    return replace(
        row,
        owner=last_to_reach(row.owner, entry.by, reached_at, row.reached_at),
        reached_at=later(row.reached_at, reached_at),
        heard_at=later(row.heard_at, heard_at),
    )


@answers.on(NoAnswerNeeded, key=stream)
def waived(row: AnswerRow, entry: Entry[NoAnswerNeeded]) -> AnswerRow:
    return replace(row, waived_at=later(row.waived_at, entry.event.said_at))


@answers.on(DoNotContactSet, DoNotContactLifted, key=stream)
def left_alone(row: AnswerRow, entry: Entry[DoNotContactSet | DoNotContactLifted]) -> AnswerRow:
    word = entry.event.word
    if row.left_alone_said_at and word.said_at < row.left_alone_said_at:
        return row
    return replace(
        row,
        left_alone=word.refuses,
        left_alone_until_on=word.until_on,
        left_alone_said_at=word.said_at,
    )


occasions.erases()


@occasions.starts(InterviewArranged)
def arranged(entry: Entry[InterviewArranged]) -> OccasionRow:
    fact = entry.event
    return _occasion(entry, "interview", fact.interview_id, fact.starts_at.date(), fact.starts_at)


@occasions.on(InterviewMoved, key=lambda entry: entry.event.interview_id)
def moved(row: OccasionRow, entry: Entry[InterviewMoved]) -> OccasionRow:
    at = entry.event.starts_at
    return replace(row, due_on=at.date(), at=at)


def never_started(entry: Entry[FellThrough]) -> OccasionRow:
    return _occasion(entry, "guarantee", entry.event.candidacy_id, None)


@occasions.on(InterviewHeld, InterviewCalledOff, key=lambda entry: entry.event.interview_id)
@occasions.on(OfferAccepted, OfferDeclined, OfferWithdrawn, key=lambda entry: entry.event.offer_id)
@occasions.on(GuaranteeEnded, key=lambda entry: entry.event.candidacy_id)
@occasions.on(FellThrough, key=lambda entry: entry.event.candidacy_id, start=never_started)
def over(row: OccasionRow, entry: Entry[Event]) -> OccasionRow:
    return replace(row, over=True)


@occasions.starts(OfferMade)
def offered(entry: Entry[OfferMade]) -> OccasionRow:
    return _occasion(entry, "offer", entry.event.offer_id, entry.event.expires_on)


@occasions.on(OfferChanged, key=lambda entry: entry.event.offer_id)
def offered_otherwise(row: OccasionRow, entry: Entry[OfferChanged]) -> OccasionRow:
    return replace(row, due_on=entry.event.expires_on or row.due_on)


@occasions.starts(PlacementStarted)
def started(entry: Entry[PlacementStarted]) -> OccasionRow:
    fact = entry.event
    return _occasion(entry, "guarantee", fact.candidacy_id, fact.guarantee_until_on)


def _occasion(
    entry: Entry[InterviewArranged | OfferMade | PlacementStarted | FellThrough],
    kind: str,
    id: UUID,
    on: date | None,
    at: datetime | None = None,
) -> OccasionRow:
    return OccasionRow(
        id=id,
        position=entry.position,
        kind=kind,
        person_id=entry.originator_id,
        company_id=entry.event.company_id,
        job_order_id=entry.event.job_order_id,
        by=entry.by,
        due_on=on,
        at=at,
    )


@renewals.starts(FeeAgreed)
def agreed(entry: Entry[FeeAgreed]) -> RenewalRow:
    fact = entry.event
    return RenewalRow(
        agreement_id=fact.agreement_id,
        position=entry.position,
        company_id=entry.originator_id,
        job_order_id=fact.job_order_id,
        since=fact.agreed_at,
        by=entry.by,
        ends_on=fact.ends_on,
    )


@renewals.on(FeeAmended, key=lambda entry: entry.event.agreement_id)
def amended(row: RenewalRow, entry: Entry[FeeAmended]) -> RenewalRow:
    return replace(row, version=entry.event.version, ends_on=entry.event.ends_on)


@renewals.on(FeeEnded, key=lambda entry: entry.event.agreement_id)
def ended(row: RenewalRow, entry: Entry[FeeEnded]) -> RenewalRow:
    return replace(row, ended_at=entry.event.ended_at)


def answers_for(entry: Entry[OwnerAssigned | JobOrderStep]) -> UUID:
    step = entry.event
    return step.job_order_id if isinstance(step, JobOrderStep) else entry.originator_id


def nobody_yet(entry: Entry[OwnerAssigned | JobOrderStep]) -> AnswerableRow:
    return AnswerableRow(id=answers_for(entry))


@answerable.on(OwnerAssigned, JobOrderStaffed, key=answers_for, start=nobody_yet)
def assigned(row: AnswerableRow, entry: Entry[OwnerAssigned | JobOrderStaffed]) -> AnswerableRow:
    return replace(row, owner=entry.event.owner)


@answerable.on(JobOrderStep, key=answers_for, start=nobody_yet)
def stepped(row: AnswerableRow, entry: Entry[JobOrderSteps]) -> AnswerableRow:
    return replace(row, status=status_after(row.status, entry.event))  # type: ignore[arg-type]


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """person_id        null: nobody in particular at the company
    promised_for_on  the day that was promised first
    due_on           the day on which it is owed now
    reason           why it was put off
    position         of the promise, to page by
    """

    id: UUID
    person_id: UUID | None
    person: str | None
    company_id: UUID | None
    company: str | None
    owner: str
    promised_at: datetime
    promised_for_on: date
    due_on: date
    reason: str
    text: str
    done_at: datetime | None
    position: int


class OwedAnswer(msgspec.Struct, frozen=True):
    """owner  of us, who owes it"""

    person_id: UUID
    person: str
    heard_at: datetime
    reached_at: datetime | None
    owner: str


class Occasion(msgspec.Struct, frozen=True):
    """What is on with a candidate.

    id     of the interview or the offer; of the candidacy, of a guarantee
    kind   interview: on that day; offer: that nobody has answered, its last day; guarantee: its
           last day
    at     of an interview
    owner  who of us sees to it
    """

    id: UUID
    kind: Literal["interview", "offer", "guarantee"]
    person_id: UUID
    person: str
    company_id: UUID | None
    company: str
    job_order_id: UUID | None
    job_order: str
    on: date
    at: datetime | None
    owner: str


class Renewal(msgspec.Struct, frozen=True):
    """A fee agreement to renew.

    ends_on    its last day, in its newest version
    days_left  from the day that was asked for; negative once it has run out
    owner      who of us is to renew it
    """

    agreement_id: UUID
    version: int
    company_id: UUID
    company: str
    job_order_id: UUID | None
    job_order: str | None
    ends_on: date
    days_left: int
    owner: str


class Day(msgspec.Struct, frozen=True):
    """owner       ""; of a team
    follow_ups  due on that day or before it and not done, the longest due first
    answers     to people who wrote last, the longest waiting first
    renewals    of fee agreements that end within 60 days, or ended within the last 60, the first
                to end first; 200 of each at most
    occasions   interviews of that day, offers that end within 3 days or have ended unanswered,
                guarantees that end within 14 days, by their day
    """

    on: date
    owner: str
    follow_ups: list[FollowUp]
    answers: list[OwedAnswer]
    renewals: list[Renewal]
    occasions: list[Occasion]


WAITS = "a.heard_at > greatest(a.reached_at, a.waived_at, '-infinity')"
THEIRS = everyone("a.person_id")
FOLLOW_UP = """
SELECT f.follow_up_id, coalesce(p.is_id, f.person_id),
       CASE WHEN f.person_id IS NOT NULL THEN coalesce(p.name, '') END,
       coalesce(c.is_id, f.company_id), c.name,
       f.owner, f.promised_at, f.promised_for_on, f.due_on, f.reason, f.text, f.done_at, f.position
FROM follow_up f
LEFT JOIN who p ON p.id = f.person_id
LEFT JOIN who c ON c.id = f.company_id"""


async def owed(cur: Cursor, *, owner: str | None, on: date, team: Team | None = None) -> Day:
    """Of one of us, or of a team. Joins the directory for the names, and for the team."""
    owners = await whose(cur, owner, team) or []
    await cur.execute(
        f"{FOLLOW_UP} WHERE f.owner = ANY(%s) AND f.done_at IS NULL AND f.due_on <= %s"
        " ORDER BY f.due_on, f.position LIMIT %s",
        (owners, on, MOST),
    )
    due = [_shown(row) for row in await cur.fetchall()]
    await cur.execute(
        "WITH waits AS (SELECT a.* FROM owed_answer a"
        f"  WHERE a.owner = ANY(%(owners)s) AND {WAITS}"
        "  UNION SELECT a.* FROM directory_merge m"
        f" JOIN owed_answer a ON a.person_id IN (m.id, m.survivor_id) WHERE {WAITS})"
        " SELECT coalesce(d.is_id, a.person_id), coalesce(d.name, ''), a.heard_at,"
        f" (SELECT max(o.reached_at) FROM owed_answer o WHERE o.person_id = ANY({THEIRS})), w.owner"
        f" FROM waits a CROSS JOIN LATERAL (SELECT {reached_out('a', 'owed_answer')} AS owner) w"
        " LEFT JOIN who d ON d.id = a.person_id WHERE w.owner = ANY(%(owners)s)"
        " AND a.heard_at < %(on)s::date + 1"
        " AND NOT EXISTS (SELECT FROM owed_answer o WHERE o.left_alone"
        "   AND coalesce(o.left_alone_until_on >= %(on)s::date, true)"
        f"  AND NOT {said_since('o', 'left_alone_said_at', 'owed_answer', 'person_id')}"
        f"  AND o.person_id = ANY({THEIRS}))"
        " AND NOT EXISTS (SELECT FROM owed_answer o WHERE o.person_id <> a.person_id"
        f"   AND o.person_id = ANY({THEIRS}) AND ("
        "   greatest(o.reached_at, o.waived_at) >= a.heard_at"
        "   OR (o.heard_at, o.person_id) > (a.heard_at, a.person_id)))"
        " ORDER BY a.heard_at, a.person_id LIMIT %(most)s",
        {"owners": owners, "on": on, "most": MOST},
    )
    waiting = [OwedAnswer(*row) for row in await cur.fetchall()]
    found = await to_renew(cur, on=on, owner=owner, team=team)
    return Day(on, owner or "", due, waiting, found, await _on_that_day(cur, owners, on))


async def _on_that_day(cur: Cursor, owners: list[str], on: date) -> list[Occasion]:
    owner = "coalesce(nullif(a.owner, ''), o.by)"
    await cur.execute(
        "SELECT o.id, o.kind, coalesce(p.is_id, o.person_id), coalesce(p.name, ''),"
        " coalesce(c.is_id, o.company_id), coalesce(c.name, ''), o.job_order_id,"
        f" coalesce(j.name, ''), o.due_on, o.at, {owner}"
        " FROM occasion o LEFT JOIN answerable a ON a.id = o.job_order_id"
        " LEFT JOIN who p ON p.id = o.person_id"
        " LEFT JOIN who c ON c.id = o.company_id"
        " LEFT JOIN directory j ON j.id = o.job_order_id"
        f" WHERE NOT o.over AND {owner} = ANY(%(owners)s) AND CASE o.kind"
        "   WHEN 'interview' THEN o.due_on = %(on)s::date"
        "   WHEN 'offer' THEN o.due_on <= %(on)s::date + %(offer)s::int"
        "   ELSE o.due_on BETWEEN %(on)s::date AND %(on)s::date + %(guarantee)s::int END"
        " ORDER BY o.due_on, o.at, o.position LIMIT %(limit)s",
        {
            "owners": owners,
            "on": on,
            "offer": OFFER_DAYS,
            "guarantee": GUARANTEE_DAYS,
            "limit": MOST,
        },
    )
    return [Occasion(*row) for row in await cur.fetchall()]


async def to_renew(
    cur: Cursor,
    *,
    on: date,
    owner: str | None = None,
    team: Team | None = None,
    within_days: int = RENEWAL_DAYS,
) -> list[Renewal]:
    """Agreements whose last day is at most so many days from ``on``, before or after; the first to
    end first, at most 200. Joins the directory for the names, and for the team."""
    owners = await whose(cur, owner, team)
    await cur.execute(
        "SELECT r.agreement_id, r.version, coalesce(c.is_id, r.company_id), coalesce(c.name,"
        " ''), r.job_order_id,"
        f" j.name, r.ends_on, r.ends_on - %(on)s::date, {RENEWER}"
        " FROM renewal r LEFT JOIN who c ON c.id = r.company_id"
        " LEFT JOIN directory j ON j.id = r.job_order_id"
        " LEFT JOIN answerable a ON a.id = coalesce(c.is_id, r.company_id)"
        " LEFT JOIN answerable b ON b.id = r.company_id"
        " LEFT JOIN answerable o ON o.id = r.job_order_id"
        " WHERE r.ended_at IS NULL AND r.since < %(on)s::date + 1"
        " AND r.ends_on BETWEEN %(on)s::date - %(days)s::int AND %(on)s::date + %(days)s::int"
        " AND coalesce(o.status, 'open') <> ALL(%(over)s)"
        f" AND (%(owners)s::text[] IS NULL OR {RENEWER} = ANY(%(owners)s))"
        " AND NOT EXISTS (SELECT FROM renewal n"
        f"   WHERE n.company_id = ANY({everyone('r.company_id')})"
        "   AND n.job_order_id IS NOT DISTINCT FROM r.job_order_id"
        "   AND (n.company_id = r.company_id OR n.ended_at IS NULL)"  # as ``Company.terms_for``
        "   AND (n.since, n.position) > (r.since, r.position))"
        " ORDER BY r.ends_on, r.position LIMIT %(limit)s",
        {"on": on, "owners": owners, "days": within_days, "over": sorted(OVER), "limit": MOST},
    )
    return [Renewal(*row) for row in await cur.fetchall()]


async def promises(
    cur: Cursor,
    *,
    owner: str | None = None,
    team: Team | None = None,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    done: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[FollowUp]:
    """The newest first; page by passing the last one's position as ``before``. Joins the directory
    for the names, and for the team."""
    owners = await whose(cur, owner, team)
    await cur.execute(
        f"{FOLLOW_UP} WHERE (%(owners)s::text[] IS NULL OR f.owner = ANY(%(owners)s))"
        f" AND (%(person)s::uuid IS NULL OR f.person_id = ANY({everyone('%(person)s::uuid')}))"
        f" AND (%(company)s::uuid IS NULL OR f.company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(done)s::boolean IS NULL OR (f.done_at IS NOT NULL) = %(done)s)"
        " AND (%(before)s::bigint IS NULL OR f.position < %(before)s)"
        " ORDER BY f.position DESC LIMIT %(limit)s",
        {
            "owners": owners,
            "person": person_id,
            "company": company_id,
            "done": done,
            "before": before,
            "limit": limit,
        },
    )
    return [_shown(row) for row in await cur.fetchall()]


async def promise(cur: Cursor, follow_up_id: UUID) -> FollowUp | None:
    """As in the list."""
    await cur.execute(f"{FOLLOW_UP} WHERE f.follow_up_id = %s", (follow_up_id,))
    row = await cur.fetchone()
    return row and _shown(row)


def _shown(row: tuple[object, ...]) -> FollowUp:
    return FollowUp(**dict(zip(FollowUp.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]
