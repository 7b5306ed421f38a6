"""How long do people take to answer our first message, by channel?

A projection: dropped into ``projections/`` it is a read model. A row is a person on a channel.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from statistics import median
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.interaction import MessageReplied, MessageSent
from ledger_crm.projections import Projection, Row, Table


class FirstReply(Row, frozen=True, kw_only=True):
    """asked_at    our first message
    replied_at  their first answer to it, or to a later one
    """

    person_id: UUID
    channel: str
    asked_at: datetime | None = None
    replied_at: datetime | None = None


first_replies = Table("first_reply", FirstReply, key="person_id, channel")
# A row is changed by one person's entries only, so processes may share the streams out.
projection = Projection("first_reply", first_replies, version=1, parallel="stream")


def row_of(entry: Entry[Any]) -> tuple[UUID, str]:
    return entry.originator_id, entry.event.channel


def empty(entry: Entry[Any]) -> FirstReply:
    return FirstReply(person_id=entry.originator_id, channel=entry.event.channel)


@first_replies.on(MessageSent, key=row_of, start=empty)
def asked(row: FirstReply, entry: Entry[MessageSent]) -> FirstReply:
    return row if row.asked_at else replace(row, asked_at=entry.event.sent_at)


@first_replies.on(MessageReplied, key=row_of, start=empty)
def replied(row: FirstReply, entry: Entry[MessageReplied]) -> FirstReply:
    if row.replied_at or not row.asked_at or entry.event.replied_at < row.asked_at:
        return row
    return replace(row, replied_at=entry.event.replied_at)


def result(tables: dict[str, list[FirstReply]]) -> list[dict[str, Any]]:
    asked: dict[str, int] = defaultdict(int)
    hours: dict[str, list[float]] = defaultdict(list)
    for row in tables["first_reply"]:
        if row.asked_at:
            asked[row.channel] += 1
            if row.replied_at:
                hours[row.channel].append((row.replied_at - row.asked_at).total_seconds() / 3600)
    return [
        {
            "channel": channel,
            "asked": count,
            "replied": len(hours[channel]),
            "median_h": round(median(hours[channel]), 1) if hours[channel] else None,
        }
        for channel, count in sorted(asked.items())
    ]
