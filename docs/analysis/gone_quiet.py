"""Who went quiet in our segments, on which day, and when did something pass between us again?

A plain fold over all facts, for the last one says up to when. It asks of every day of the past whom
the list of who is quiet would have shown at its end, by what was written down then, and by what
each segment is by now. It knows segments that ask for pools, channels and silence; what else they
may ask for is left to queries, and so are records that are merged.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.engagement import PersonQuietSnoozed, contact, later
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.interaction import Interaction
from ledger_crm.domain.permission import DoNotContactLifted, DoNotContactSet, Word
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.pool import PersonPooled, PersonUnpooled
from ledger_crm.domain.privacy import PersonErased
from ledger_crm.domain.segment import SegmentSaved

DAY = timedelta(days=1)
KNOWS = {"pools", "channels", "silent_days", "in_touch_days"}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Of a person, after the last fact of a day."""

    channel: str = ""
    pools: frozenset[str] = frozenset()
    touched_at: datetime | None = None
    snoozed_until_on: date = date.min
    leave_alone: Word | None = None

    def is_quiet(self, day: date, saved: SegmentSaved) -> bool:
        asked, end = saved.criteria, datetime.combine(day, time.max, UTC)
        if not self.touched_at or (asked.channels and self.channel not in asked.channels):
            return False
        silence = end - self.touched_at
        return (
            silence > max(saved.cadence_days, asked.silent_days or 0) * DAY
            and (not asked.in_touch_days or silence <= asked.in_touch_days * DAY)
            and self.pools.issuperset(asked.pools)
            and self.snoozed_until_on < day
            and not (self.leave_alone and self.leave_alone.holds_no(end))
        )


class State(msgspec.Struct):
    until_on: date = date.min
    segments: dict[str, SegmentSaved] = {}
    people: dict[UUID, dict[date, Known]] = {}


begin = State


def fold(state: State, entry: Entry[Any]) -> None:
    id, state.until_on = entry.originator_id, entry.timestamp.date()
    days = state.people.get(id) or {}
    known = next(reversed(days.values()), Known())
    match entry.event:
        case PersonSourced() as fact:
            known = replace(known, channel=fact.channel)
        case PersonPooled() as fact:
            known = replace(known, pools=known.pools | {fact.pool})
        case PersonUnpooled() as fact:
            known = replace(known, pools=known.pools - {fact.pool})
        case Interaction() as fact:
            touched_at = later(known.touched_at, later(*contact(fact)))
            known = replace(known, touched_at=touched_at)
        case PersonQuietSnoozed() as fact:
            known = replace(known, snoozed_until_on=fact.until_on)
        case DoNotContactSet() | DoNotContactLifted() as fact:
            known = replace(known, leave_alone=fact.word)
        case PersonErased():
            known = Known(channel=known.channel)
        case SegmentSaved() as fact:
            state.segments[fact.slug] = fact
            return
        case _:
            return
    state.people.setdefault(id, days)[state.until_on] = known


def result(state: State) -> list[dict[str, Any]]:
    """``until_on``: None, if they are still quiet."""
    spells = []
    for slug, saved in state.segments.items():
        if saved.retired or not KNOWS.issuperset(msgspec.to_builtins(saved.criteria)):
            continue
        for id, days in state.people.items():
            known, since, day = Known(), None, min(days)
            while day <= state.until_on:
                known = days.get(day, known)
                quiet = known.is_quiet(day, saved)
                if quiet and not since:
                    since = day
                elif since and not quiet:
                    spells.append((since, slug, id, day))
                    since = None
                day += DAY
            if since:
                spells.append((since, slug, id, None))
    spells.sort(key=lambda spell: spell[:3])
    return [
        {"segment": slug, "quiet_on": since, "person_id": id, "until_on": until}
        for since, slug, id, until in spells
    ]
