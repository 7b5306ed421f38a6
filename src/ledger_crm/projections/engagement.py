"""Engagement: when we last reached whom and last heard of them, who owes whom an answer, and who
has gone quiet. One row a person and one a company; one row a thread.

What passes between us and a person about a company counts for both; a call with nobody in
particular there counts for the company. Being quiet depends on the day
on which it is asked for, so that day is an argument of the query and no row knows it.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.engagement import (
    CompanyQuietSnoozed,
    Owing,
    PersonQuietSnoozed,
    contact,
    later,
)
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.interaction import (
    CompanyCalled,
    Interaction,
    LinkClicked,
    MessageBounced,
    MessageOpened,
    MessageReplied,
    MessageSent,
    NoAnswerNeeded,
)
from ledger_crm.domain.permission import DoNotContactLifted, DoNotContactSet
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.privacy import PersonErased

from ._projection import Cursor, Projection, Row, Table, stream
from ._who import everyone, said_since

SHORT_BYTES = 200


class EngagementRow(Row, frozen=True, kw_only=True):
    subject_id: UUID
    kind: str  # person, company
    reached_at: datetime | None = None
    heard_at: datetime | None = None
    waived_at: datetime | None = None  # what they said until then wants no answer
    left_alone: bool = False
    left_alone_until_on: date | None = None  # the last day of that
    left_alone_said_at: datetime | None = None
    touched_at: datetime | None = None  # the later of the two
    by: str = ""  # who of us had the last touch
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    bounced_at: datetime | None = None
    snoozed_until_on: date | None = None
    snooze_reason: str = ""


class ThreadRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    channel: str
    thread: str  # its id, or what stands for one too long for an index
    thread_id: str  # "" for messages of no thread
    sent: int = 0
    replied: int = 0
    first_at: datetime
    last_at: datetime
    last: str  # sent, replied


def owing(row: str) -> str:
    """Who owes an answer, by the columns of ``row``, an alias."""
    return f"""CASE
      WHEN {row}.heard_at > greatest({row}.reached_at, {row}.waived_at, '-infinity') THEN 'us'
      WHEN {row}.reached_at > coalesce({row}.heard_at, '-infinity') THEN 'them'
      ELSE 'nobody' END"""


engagements = Table(
    "engagement",
    EngagementRow,
    key="subject_id",
    sql=f"""
    CREATE INDEX engagement_touched ON engagement (kind, touched_at, subject_id);
    CREATE INDEX engagement_owing ON engagement
      (kind, ({owing("engagement")}), touched_at, subject_id);
    CREATE INDEX engagement_left_alone ON engagement (subject_id) WHERE left_alone;
    """,
)
threads = Table("engagement_thread", ThreadRow, key="person_id, channel, thread")
threads.erases()
projection = Projection("engagement", engagements, threads, version=9)


@engagements.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> EngagementRow:
    return EngagementRow(subject_id=entry.originator_id, kind="person")


@engagements.starts(CompanyAdded)
def company_added(entry: Entry[CompanyAdded]) -> EngagementRow:
    return EngagementRow(subject_id=entry.originator_id, kind="company")


@engagements.on(CompanyCalled, key=stream)
@engagements.on(Interaction, key=stream)
@engagements.on(Interaction, key=lambda entry: entry.event.company_id or entry.originator_id)
def touched(row: EngagementRow, entry: Entry[Interaction | CompanyCalled]) -> EngagementRow:
    """Twice the same of a person: it only ever grows."""
    reached_at, heard_at = contact(entry.event)
    newest = later(reached_at, heard_at)
    mine = newest and (row.touched_at is None or newest >= row.touched_at)
    return replace(
        row,
        reached_at=later(row.reached_at, reached_at),
        heard_at=later(row.heard_at, heard_at),
        touched_at=later(row.touched_at, newest),
        by=entry.by if mine else row.by,
    )


@engagements.on(NoAnswerNeeded, key=stream)
def waived(row: EngagementRow, entry: Entry[NoAnswerNeeded]) -> EngagementRow:
    return replace(row, waived_at=later(row.waived_at, entry.event.said_at))


@engagements.on(DoNotContactSet, DoNotContactLifted, key=stream)
def left_alone(
    row: EngagementRow, entry: Entry[DoNotContactSet | DoNotContactLifted]
) -> EngagementRow:
    word = entry.event.word
    if row.left_alone_said_at and word.said_at < row.left_alone_said_at:
        return row
    return replace(
        row,
        left_alone=word.refuses,
        left_alone_until_on=word.until_on,
        left_alone_said_at=word.said_at,
    )


@engagements.on(MessageOpened, key=stream)
def opened(row: EngagementRow, entry: Entry[MessageOpened]) -> EngagementRow:
    return replace(row, opened_at=later(row.opened_at, entry.event.opened_at))


@engagements.on(LinkClicked, key=stream)
def clicked(row: EngagementRow, entry: Entry[LinkClicked]) -> EngagementRow:
    return replace(row, clicked_at=later(row.clicked_at, entry.event.clicked_at))


@engagements.on(MessageBounced, key=stream)
def bounced(row: EngagementRow, entry: Entry[MessageBounced]) -> EngagementRow:
    return replace(row, bounced_at=later(row.bounced_at, entry.event.bounced_at))


@engagements.on(PersonQuietSnoozed, CompanyQuietSnoozed, key=stream)
def snoozed(
    row: EngagementRow, entry: Entry[PersonQuietSnoozed | CompanyQuietSnoozed]
) -> EngagementRow:
    fact = entry.event
    return replace(row, snoozed_until_on=fact.until_on, snooze_reason=fact.reason)


@engagements.on(PersonErased, key=stream, forgets=True)
def erased(row: EngagementRow, entry: Entry[PersonErased]) -> EngagementRow:
    """As if nothing had passed between us: nobody is reminded of them."""
    return EngagementRow(subject_id=row.subject_id, kind=row.kind)


def thread(entry: Entry[MessageSent | MessageReplied]) -> tuple[UUID, str, str]:
    id = entry.event.thread_id.encode()
    short = id.decode() if len(id) <= SHORT_BYTES else hashlib.sha256(id).hexdigest()
    return entry.originator_id, entry.event.channel, short


def begun(entry: Entry[MessageSent | MessageReplied]) -> ThreadRow:
    event = entry.event
    return ThreadRow(
        person_id=entry.originator_id,
        channel=event.channel,
        thread=thread(entry)[2],
        thread_id=event.thread_id,
        first_at=entry.at,
        last_at=entry.at,
        last="",
    )


@threads.on(MessageSent, MessageReplied, key=thread, start=begun)
def message(row: ThreadRow, entry: Entry[MessageSent | MessageReplied]) -> ThreadRow:
    ours = isinstance(entry.event, MessageSent)
    newest = entry.at >= row.last_at
    return replace(
        row,
        sent=row.sent + ours,
        replied=row.replied + (not ours),
        first_at=min(row.first_at, entry.at),
        last_at=max(row.last_at, entry.at),
        last=("sent" if ours else "replied") if newest else row.last,
    )


class Engagement(msgspec.Struct, frozen=True, kw_only=True):
    """reached_at  when we last wrote to them or spoke
    heard_at    when they last wrote to us or spoke
    touched_at  the later of the two
    by          who of us wrote that down
    owes        who owes an answer: us, them, or nobody, after a call or a meeting
    """

    id: UUID
    kind: str
    name: str
    reached_at: datetime | None
    heard_at: datetime | None
    touched_at: datetime | None
    by: str
    owes: str
    opened_at: datetime | None
    clicked_at: datetime | None
    bounced_at: datetime | None
    snoozed_until_on: date | None
    snooze_reason: str


class Thread(msgspec.Struct, frozen=True):
    """thread_id  as the channel names it; "" for messages of no thread
    last       sent or replied: what the last message was
    """

    channel: str
    thread_id: str
    sent: int
    replied: int
    first_at: datetime
    last_at: datetime
    last: str


MERGED = """EXISTS (SELECT FROM directory_merge m
  WHERE m.id = t.subject_id OR m.survivor_id = t.subject_id)"""
ANY_MERGED = "ARRAY(SELECT unnest(ARRAY[m.id, m.survivor_id]) FROM directory_merge m)"
# of those that are merged, the row of the last touch stands for all; each is looked at for itself,
# in the order of an index, until there are enough, however few the planner expects
ENGAGEMENT = f"""
SELECT e.subject_id, e.kind, coalesce(d.name, ''), e.reached_at, e.heard_at, e.touched_at, e.by,
       {owing("e")}, e.opened_at, e.clicked_at, e.bounced_at, e.snoozed_until_on, e.snooze_reason
FROM engagement t
LEFT JOIN LATERAL (SELECT w.name, w.is_id FROM who w WHERE w.id = t.subject_id OFFSET 0) d ON true
LEFT JOIN LATERAL (
  SELECT max(o.reached_at) AS reached_at, max(o.heard_at) AS heard_at,
    max(o.waived_at) AS waived_at, max(o.opened_at) AS opened_at, max(o.clicked_at) AS clicked_at,
    max(o.bounced_at) AS bounced_at, max(o.snoozed_until_on) AS snoozed_until_on,
    (array_agg(o.snooze_reason ORDER BY o.snoozed_until_on DESC NULLS LAST))[1] AS snooze_reason,
    bool_and((o.touched_at, o.subject_id) <= (t.touched_at, t.subject_id)) AS last
  FROM engagement o WHERE {MERGED} AND o.subject_id = ANY({everyone("t.subject_id")})
) g ON true
CROSS JOIN LATERAL (SELECT coalesce(d.is_id, t.subject_id) AS subject_id, t.kind, t.touched_at,
  t.by, coalesce(g.last, true) AS last,
  coalesce(g.reached_at, t.reached_at) AS reached_at, coalesce(g.heard_at, t.heard_at) AS heard_at,
  coalesce(g.waived_at, t.waived_at) AS waived_at,
  coalesce(g.opened_at, t.opened_at) AS opened_at,
  coalesce(g.clicked_at, t.clicked_at) AS clicked_at,
  coalesce(g.bounced_at, t.bounced_at) AS bounced_at,
  coalesce(g.snoozed_until_on, t.snoozed_until_on) AS snoozed_until_on,
  coalesce(nullif(g.snooze_reason, ''), t.snooze_reason) AS snooze_reason) e"""


async def of(cur: Cursor, subject_id: UUID) -> Engagement | None:
    """With a person or a company. Joins the directory for the name."""
    await cur.execute(
        f"{ENGAGEMENT} WHERE t.subject_id = ANY({everyone('%(id)s::uuid')})"
        " ORDER BY t.touched_at DESC NULLS LAST, t.subject_id DESC LIMIT 1",
        {"id": subject_id},
    )
    row = await cur.fetchone()
    return row and _shown(row)


async def waiting(
    cur: Cursor,
    *,
    kind: str = "person",
    owes: Owing | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Engagement]:
    """Whom we ever were in touch with, the longest silent first; page by passing the last one's
    ``(touched_at, id)`` as ``before``. Joins the directory for the names."""
    where = f"{owing('e')} = %(owes)s" if owes else "true"
    if owes == "nobody":  # of a merged one also if no answer is needed by what another row says
        where += f" AND ({owing('t')} = 'nobody' OR t.subject_id = ANY({ANY_MERGED}))"
    elif owes:  # who of them had the last touch says so, if all together do
        where += f" AND {owing('t')} = %(owes)s"
    return await _listed(cur, where, {"kind": kind, "owes": owes}, before, limit)


async def quiet(
    cur: Cursor,
    *,
    on: datetime,
    days: int,
    kind: str = "person",
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Engagement]:
    """With whom nothing passed for so many days before ``on``, and nobody said that this is in
    order, or that they are to be left alone: the longest silent first. Joins the directory for the
    names."""
    where = (
        "t.touched_at < %(since)s AND coalesce(e.snoozed_until_on < %(today)s, true)"
        " AND NOT EXISTS (SELECT FROM engagement o WHERE o.left_alone"
        "   AND coalesce(o.left_alone_until_on >= %(today)s, true)"
        f"  AND NOT {said_since('o', 'left_alone_said_at', 'engagement', 'subject_id')}"
        f"  AND o.subject_id = ANY({everyone('t.subject_id')}))"
    )
    values = {"kind": kind, "since": on - timedelta(days=days), "today": on.date()}
    return await _listed(cur, where, values, before, limit)


async def threads_of(cur: Cursor, person_id: UUID) -> list[Thread]:
    """The last 200, the newest first."""
    await cur.execute(
        "SELECT channel, thread_id, sum(sent)::int, sum(replied)::int, min(first_at), max(last_at),"
        " (array_agg(last ORDER BY last_at DESC))[1] FROM engagement_thread"
        f" WHERE person_id = ANY({everyone('%(id)s::uuid')}) GROUP BY channel, thread, thread_id"
        " ORDER BY 6 DESC, channel, thread_id LIMIT 200",
        {"id": person_id},
    )
    return [Thread(*row) for row in await cur.fetchall()]


def silent_since(item: Engagement) -> tuple[Annotated[datetime, msgspec.Meta(tz=True)], UUID]:
    """The place of an item in these lists."""
    assert item.touched_at, "who was never touched is on none of them"
    return item.touched_at, item.id


async def _listed(
    cur: Cursor,
    where: str,
    values: dict[str, object],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Engagement]:
    if before:  # an index begins at the first of the two: it is of the table alone
        where += " AND t.touched_at >= %(at)s AND (t.touched_at, e.subject_id) > (%(at)s, %(id)s)"
        values = values | dict(zip(("at", "id"), before, strict=True))
    # how many, and whether they are before something, stands in it: see ``newest_first``
    await cur.execute(
        f"{ENGAGEMENT} WHERE t.kind = %(kind)s AND t.touched_at IS NOT NULL AND {where}"
        f" AND e.last ORDER BY t.touched_at, e.subject_id LIMIT {limit:d}".encode(),
        values,
        prepare=False,  # a plan that is kept expects few between any two moments, and sorts all
    )
    return [_shown(row) for row in await cur.fetchall()]


def _shown(row: tuple[object, ...]) -> Engagement:
    return Engagement(**dict(zip(Engagement.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]
