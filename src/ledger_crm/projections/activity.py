"""Activity: what each of us did, day by day. One row a consultant, day and kind.

It is of who wrote it down, on the day on which it happened: messages and calls that a channel
brings in by itself are nobody's.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import Introduced, Placed
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.domain.interaction import CallHeld, CompanyCalled, MeetingHeld, MessageSent
from ledger_crm.domain.interview import InterviewArranged
from ledger_crm.domain.team import team_id

from ._projection import Cursor, Projection, Row, Table
from ._team import was_in

KINDS: dict[type[Event], str] = {
    MessageSent: "messages",
    CallHeld: "calls",
    CompanyCalled: "calls",
    MeetingHeld: "meetings",
    Introduced: "introductions",
    InterviewArranged: "interviews",
    Placed: "placements",
}


class ActivityRow(Row, frozen=True, kw_only=True):
    consultant: str  # or whoever else wrote it
    day: date
    what: str
    times: int = 0


activity = Table(
    "activity",
    ActivityRow,
    key="consultant, day, what",
    sql="CREATE INDEX activity_day ON activity (day);",
)
projection = Projection("activity", activity, version=3)


def place(entry: Entry[Any]) -> tuple[str, date, str]:
    return entry.by, entry.at.date(), KINDS[type(entry.event)]


def nothing_yet(entry: Entry[Any]) -> ActivityRow:
    consultant, day, what = place(entry)
    return ActivityRow(consultant=consultant, day=day, what=what)


@activity.on(*KINDS, key=place, start=nothing_yet)
def done(row: ActivityRow, entry: Entry[Any]) -> ActivityRow:
    return replace(row, times=row.times + 1)


class ActivityLine(msgspec.Struct, frozen=True):
    """What a consultant did in the period.

    name        null: nobody added them to the consultants
    messages    that they sent
    calls       in both directions
    interviews  that they arranged with clients
    """

    consultant: str
    name: str | None
    messages: int
    calls: int
    meetings: int
    introductions: int
    interviews: int
    placements: int


async def report(
    cur: Cursor, *, since: date, until: date, team: str | None = None
) -> list[ActivityLine]:
    """Of the days from ``since`` to the one before ``until``, in UTC, by consultant. Joins the
    directory for the names, and for the team: who was in it on the day."""
    counts = ", ".join(
        f"coalesce(sum(a.times) FILTER (WHERE a.what = '{what}'), 0)::bigint"
        for what in dict.fromkeys(KINDS.values())
    )
    await cur.execute(
        f"SELECT a.consultant, max(c.name), {counts} FROM activity a"
        " LEFT JOIN directory_consultant c USING (consultant)"
        " WHERE a.consultant LIKE 'consultant:%%' AND a.day >= %(since)s AND a.day < %(until)s"
        f" AND {was_in('a.consultant', 'a.day')} GROUP BY 1 ORDER BY 1".encode(),
        {"since": since, "until": until, "team": team_id(team) if team else None},
    )
    return [ActivityLine(*row) for row in await cur.fetchall()]
