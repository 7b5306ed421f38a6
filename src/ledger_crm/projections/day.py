"""A consultant's day: what they owe. Follow-ups that are due, people who wrote and wait for an
answer, and fee agreements that run out and are to be renewed. One row a follow-up, one row a
person, one row an agreement, one row for who answers for a client or a job order.

A person waits for whoever of us spoke to them last; before that, for who found them. An agreement
is renewed by the owner of its job order; else by the owner of the client; else by who agreed it. It
is not to be renewed once it is ended, or a later one took its place, or its job order is over. The
day is an argument of the query.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.agreement import FeeAgreed, FeeAmended, FeeEnded
from ledger_crm.domain.engagement import contact, later
from ledger_crm.domain.entry import ERASED, Entry
from ledger_crm.domain.firm import OwnerAssigned
from ledger_crm.domain.followup import FollowUpDone, FollowUpPromised, FollowUpSnoozed
from ledger_crm.domain.interaction import Interaction
from ledger_crm.domain.joborder import (
    OVER,
    JobOrderStaffed,
    JobOrderStep,
    JobOrderSteps,
    status_after,
)
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.privacy import PersonErased

from ._projection import Cursor, Projection, Row, Table, stream
from ._team import Team, whose
from ._who import everyone

MOST = 200  # of each on one day
RENEWAL_DAYS = 60  # to talk a client into new terms, and to hear that they let them run out
RENEWER = "coalesce(nullif(o.owner, ''), nullif(a.owner, ''), r.by)"


class FollowUpRow(Row, frozen=True, kw_only=True):
    follow_up_id: UUID
    position: int  # of the promise
    person_id: UUID
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
    """,
)
answers = Table(
    "owed_answer",
    AnswerRow,
    key="person_id",
    sql="""CREATE INDEX owed_answer_by ON owed_answer (owner, heard_at)
    WHERE heard_at > coalesce(reached_at, '-infinity');""",
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
projection = Projection("day", follow_ups, answers, renewals, answerable, version=4)


@follow_ups.starts(FollowUpPromised)
def promised(entry: Entry[FollowUpPromised]) -> FollowUpRow:
    fact = entry.event
    return FollowUpRow(
        follow_up_id=fact.follow_up_id,
        position=entry.position,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        owner=fact.owner or entry.by,
        promised_at=entry.at,
        promised_for_on=fact.due_on,
        due_on=fact.due_on,
        text=fact.text,
    )


def follow_up(entry: Entry[FollowUpDone | FollowUpSnoozed]) -> UUID:
    return entry.event.follow_up_id


@follow_ups.on(FollowUpSnoozed, key=follow_up)
def put_off(row: FollowUpRow, entry: Entry[FollowUpSnoozed]) -> FollowUpRow:
    return replace(row, due_on=entry.event.until_on, reason=entry.event.reason)


@follow_ups.on(FollowUpDone, key=follow_up)
def done(row: FollowUpRow, entry: Entry[FollowUpDone]) -> FollowUpRow:
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
    ours = reached_at and entry.by.startswith("consultant:")
    newest = reached_at and (row.reached_at is None or reached_at >= row.reached_at)
    return replace(
        row,
        owner=entry.by if ours and newest else row.owner,
        reached_at=later(row.reached_at, reached_at),
        heard_at=later(row.heard_at, heard_at),
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
    """promised_for_on  the day that was promised first
    due_on           the day on which it is owed now
    reason           why it was put off
    position         of the promise, to page by
    """

    id: UUID
    person_id: UUID
    person: str
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
    """

    on: date
    owner: str
    follow_ups: list[FollowUp]
    answers: list[OwedAnswer]
    renewals: list[Renewal]


FOLLOW_UP = """
SELECT f.follow_up_id, coalesce(p.is_id, f.person_id), coalesce(p.name, ''), f.company_id, c.name,
       f.owner, f.promised_at, f.promised_for_on, f.due_on, f.reason, f.text, f.done_at, f.position
FROM follow_up f
LEFT JOIN who p ON p.id = f.person_id
LEFT JOIN directory c ON c.id = f.company_id"""


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
        "SELECT coalesce(d.is_id, a.person_id), coalesce(d.name, ''), a.heard_at, a.reached_at,"
        " a.owner FROM owed_answer a"
        " LEFT JOIN who d ON d.id = a.person_id WHERE a.owner = ANY(%s)"
        " AND a.heard_at > coalesce(a.reached_at, '-infinity') AND a.heard_at < %s::date + 1"
        " AND NOT EXISTS (SELECT FROM owed_answer o WHERE o.person_id <> a.person_id"
        f"   AND o.person_id = ANY({everyone('a.person_id')}) AND (o.reached_at >= a.heard_at"
        "   OR (o.heard_at, o.person_id) > (a.heard_at, a.person_id)))"
        " ORDER BY a.heard_at, a.person_id LIMIT %s",
        (owners, on, MOST),
    )
    waiting = [OwedAnswer(*row) for row in await cur.fetchall()]
    found = await to_renew(cur, on=on, owner=owner, team=team)
    return Day(on, owner or "", due, waiting, found)


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
        f"SELECT r.agreement_id, r.version, r.company_id, coalesce(c.name, ''), r.job_order_id,"
        f" j.name, r.ends_on, r.ends_on - %(on)s::date, {RENEWER}"
        " FROM renewal r LEFT JOIN directory c ON c.id = r.company_id"
        " LEFT JOIN directory j ON j.id = r.job_order_id"
        " LEFT JOIN answerable a ON a.id = r.company_id"
        " LEFT JOIN answerable o ON o.id = r.job_order_id"
        " WHERE r.ended_at IS NULL AND r.since < %(on)s::date + 1"
        " AND r.ends_on BETWEEN %(on)s::date - %(days)s::int AND %(on)s::date + %(days)s::int"
        " AND coalesce(o.status, 'open') <> ALL(%(over)s)"
        f" AND (%(owners)s::text[] IS NULL OR {RENEWER} = ANY(%(owners)s))"
        " AND NOT EXISTS (SELECT FROM renewal n WHERE n.company_id = r.company_id"
        "   AND n.job_order_id IS NOT DISTINCT FROM r.job_order_id"
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
        " AND (%(done)s::boolean IS NULL OR (f.done_at IS NOT NULL) = %(done)s)"
        " AND (%(before)s::bigint IS NULL OR f.position < %(before)s)"
        " ORDER BY f.position DESC LIMIT %(limit)s",
        {"owners": owners, "person": person_id, "done": done, "before": before, "limit": limit},
    )
    return [_shown(row) for row in await cur.fetchall()]


def _shown(row: tuple[object, ...]) -> FollowUp:
    return FollowUp(**dict(zip(FollowUp.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]
