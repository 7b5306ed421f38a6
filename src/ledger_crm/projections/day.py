"""A consultant's day: what they owe. Follow-ups that are due, and people who wrote and wait for an
answer. One row a follow-up, one row a person.

A person waits for whoever of us spoke to them last; before that, for who found them. The day is an
argument of the query.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.engagement import contact, later
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.followup import FollowUpDone, FollowUpPromised, FollowUpSnoozed
from ledger_crm.domain.interaction import Interaction
from ledger_crm.domain.person import PersonSourced

from ._projection import Cursor, Projection, Row, Table, stream

MOST = 200  # of each on one day


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
projection = Projection("day", follow_ups, answers, version=1)


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
    person_id: UUID
    person: str
    heard_at: datetime
    reached_at: datetime | None


class Day(msgspec.Struct, frozen=True):
    """follow_ups  due on that day or before it and not done, the longest due first
    answers     to people who wrote last, the longest waiting first; 200 of each at most
    """

    on: date
    owner: str
    follow_ups: list[FollowUp]
    answers: list[OwedAnswer]


FOLLOW_UP = """
SELECT f.follow_up_id, f.person_id, coalesce(p.name, ''), f.company_id, c.name, f.owner,
       f.promised_at, f.promised_for_on, f.due_on, f.reason, f.text, f.done_at, f.position
FROM follow_up f
LEFT JOIN directory p ON p.id = f.person_id
LEFT JOIN directory c ON c.id = f.company_id"""


async def owed(cur: Cursor, *, owner: str, on: date) -> Day:
    """Joins the directory for the names."""
    await cur.execute(
        f"{FOLLOW_UP} WHERE f.owner = %s AND f.done_at IS NULL AND f.due_on <= %s"
        " ORDER BY f.due_on, f.position LIMIT %s",
        (owner, on, MOST),
    )
    due = [_shown(row) for row in await cur.fetchall()]
    await cur.execute(
        "SELECT a.person_id, coalesce(d.name, ''), a.heard_at, a.reached_at FROM owed_answer a"
        " LEFT JOIN directory d ON d.id = a.person_id WHERE a.owner = %s"
        " AND a.heard_at > coalesce(a.reached_at, '-infinity') AND a.heard_at < %s::date + 1"
        " ORDER BY a.heard_at, a.person_id LIMIT %s",
        (owner, on, MOST),
    )
    return Day(on, owner, due, [OwedAnswer(*row) for row in await cur.fetchall()])


async def promises(
    cur: Cursor,
    *,
    owner: str | None = None,
    person_id: UUID | None = None,
    done: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[FollowUp]:
    """The newest first; page by passing the last one's position as ``before``. Joins the directory
    for the names."""
    await cur.execute(
        f"{FOLLOW_UP} WHERE (%(owner)s::text IS NULL OR f.owner = %(owner)s)"
        " AND (%(person)s::uuid IS NULL OR f.person_id = %(person)s)"
        " AND (%(done)s::boolean IS NULL OR (f.done_at IS NOT NULL) = %(done)s)"
        " AND (%(before)s::bigint IS NULL OR f.position < %(before)s)"
        " ORDER BY f.position DESC LIMIT %(limit)s",
        {"owner": owner, "person": person_id, "done": done, "before": before, "limit": limit},
    )
    return [_shown(row) for row in await cur.fetchall()]


def _shown(row: tuple[object, ...]) -> FollowUp:
    return FollowUp(**dict(zip(FollowUp.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]
