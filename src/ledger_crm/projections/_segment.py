"""Saved segments, of people or of companies: the table of them for each read model whose rows they
narrow, and how criteria become a condition. What they ask for is known to that read model alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.segment import CompanyCriteria, Criteria, Saved

from ._custom import fitting
from ._projection import Cursor, Row, Table

C = TypeVar("C", Criteria, CompanyCriteria)
Given = dict[str, tuple[str, object]]
"""By name a condition with it as a parameter, and its value; None or nothing: it is not asked."""


class SegmentRow(Row, frozen=True, kw_only=True):
    slug: str
    version: int
    title: str
    criteria: str  # JSON
    cadence_days: int
    retired: bool


class Kept(msgspec.Struct, Generic[C], frozen=True):
    slug: str
    version: int
    title: str
    criteria: C
    cadence_days: int
    retired: bool


def saved(name: str, event: type[Saved]) -> Table[SegmentRow]:
    table = Table(name, SegmentRow, key="slug")

    @table.starts(event)
    def segment_saved(entry: Entry[Saved]) -> SegmentRow:
        fact = entry.event
        return SegmentRow(
            slug=fact.slug,
            version=entry.originator_version,
            title=fact.title,
            criteria=msgspec.json.encode(fact.criteria).decode(),
            cadence_days=fact.cadence_days,
            retired=fact.retired,
        )

    return table


async def kept(cur: Cursor, table: str, slug: str, type_: type[C]) -> Kept[C] | None:
    await cur.execute(
        "SELECT slug, version, title, criteria, cadence_days, retired"
        f" FROM {table} WHERE slug = %s".encode(),
        (slug,),
    )
    row = await cur.fetchone()
    if row is None:
        return None
    slug, version, title, criteria, cadence_days, retired = row
    asked = msgspec.json.decode(criteria, type=type_)
    return Kept(slug, version, title, asked, cadence_days, retired)


async def in_use(cur: Cursor, table: str) -> list[str]:
    """Their slugs, in order."""
    await cur.execute(f"SELECT slug FROM {table} WHERE NOT retired ORDER BY slug".encode())
    return [slug for (slug,) in await cur.fetchall()]


async def narrowed(
    cur: Cursor,
    given: Given,
    criteria: C,
    *,
    on: datetime,
    custom: tuple[str, str],
    any_of: Callable[[str], str],
    all_of: Callable[[str], str],
    **words: Sequence[str],
) -> tuple[list[str], dict[str, object]]:
    """Conditions of our own words on rows ``p``, and the values in them. Raises NoSuchField,
    WrongFieldValue.

    custom          the table of values, and of what they are
    any_of, all_of  that it holds of any of their records that are merged, or of all
    words           all of which a column with a line each has to have
    """
    for column, asked in words.items():  # each for itself: one may be of one record, and the next
        for n, word in enumerate(asked):  # of another
            there = f"string_to_array(p.{column}, E'\\n') @> %({column}_{n})s"
            given[f"{column}_{n}"] = any_of(there), [word]
    silent, in_touch = (
        on - timedelta(days=days) if days else None
        for days in (criteria.silent_days, criteria.in_touch_days)
    )
    given["silent"] = all_of("coalesce(p.touched_at < %(silent)s, true)"), silent
    given["in_touch"] = any_of("p.touched_at >= %(in_touch)s"), in_touch
    asked_for = {name: each for name, each in given.items() if each[1] not in (None, [])}
    table, subject = custom
    id = "p.person_id" if subject == "person" else "p.company_id"
    known, values = await fitting(cur, table, subject, id, criteria.custom)
    clauses = [clause for clause, _ in asked_for.values()]
    clauses += [any_of(known)] if criteria.custom else []
    return clauses, {name: value for name, (_, value) in asked_for.items()} | values


def quiet(
    on: datetime, cadence_days: int, any_of: Callable[[str], str], all_of: Callable[[str], str]
) -> tuple[str, dict[str, object]]:
    """With whom something passed once, and nothing for as long as the cadence, and who are not
    snoozed."""
    clause = f"{any_of('p.touched_at < %(quiet_since)s')} AND " + all_of(
        "coalesce(p.touched_at < %(quiet_since)s, true)"
        " AND coalesce(p.snoozed_until_on < %(quiet_on)s, true)"
    )
    since = on - timedelta(days=cadence_days)
    return clause, {"quiet_since": since, "quiet_on": on.date()}
