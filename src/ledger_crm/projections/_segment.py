"""Saved segments, of people or of companies: the table of them for each read model whose rows they
narrow, and how criteria become a condition. What they ask for is known to that read model alone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.segment import CompanyCriteria, Criteria, Saved

from ._custom import fitting
from ._projection import Cursor, Row, Table
from ._who import everyone, of_any, survivor

FEW = 5_000  # who may be quiet; of more, a page is soon full whoever is looked at first

C = TypeVar("C", Criteria, CompanyCriteria)
NOT_SNOOZED = "coalesce(p.snoozed_until_on < %(quiet_on)s, true)"
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


class GoneQuiet(msgspec.Struct, frozen=True, kw_only=True):
    """touched_at    when anything last passed between us
    since         when that was as long ago as the cadence allows
    segment       of those that they are in, the one with the shortest cadence; null: in none
    title         of the segment; "": in none
    cadence_days  of the segment; in none: the days that were asked for
    owner         who of us answers for the company; of a person, who last reached out, else who
                  found them
    """

    id: UUID
    name: str
    touched_at: datetime
    since: datetime
    segment: str | None
    title: str
    cadence_days: int
    owner: str


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


async def strictest(cur: Cursor, table: str, type_: type[C]) -> list[Kept[C]]:
    """Those in use, the shortest cadence first: who is quiet in any that they are in is quiet in
    the first."""
    found = [await kept(cur, table, slug, type_) for slug in await in_use(cur, table)]
    return sorted((each for each in found if each), key=lambda each: (each.cadence_days, each.slug))


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


def named_apart(prefix: str, clause: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A condition that may stand beside others: each has a "tags_0"."""
    renamed = re.sub(r"%\((\w+)\)s", rf"%({prefix}_\1)s", clause)
    return renamed, {f"{prefix}_{name}": value for name, value in values.items()}


def quiet(
    on: datetime, cadence_days: int, any_of: Callable[[str], str], all_of: Callable[[str], str]
) -> tuple[str, dict[str, object]]:
    """With whom something passed once, and nothing for as long as the cadence, and who are not
    snoozed."""
    clause = f"{any_of('p.touched_at < %(quiet_since)s')} AND " + all_of(
        f"coalesce(p.touched_at < %(quiet_since)s, true) AND {NOT_SNOOZED}"
    )
    since = on - timedelta(days=cadence_days)
    return clause, {"quiet_since": since, "quiet_on": on.date()}


async def gone_quiet(
    cur: Cursor,
    table: str,
    segments: Sequence[Kept[C]],
    fits: Callable[[C], Awaitable[tuple[str, dict[str, Any]]]],
    where: str,
    given: dict[str, Any],
    *,
    id: str,
    owner: str,
    begin: str = "",
    join: str = "",
    on: datetime,
    days: int | None,
    owners: Sequence[str] | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[GoneQuiet]:
    """Each once, who is quiet by the cadence of any of these segments that they are in, or in none
    and for so many ``days``; the longest silent first. Joins the directory for the names.

    segments      the shortest cadence first
    fits          a condition on rows ``p`` of the table, and the values in it
    where, given  of ``p`` besides
    id, owner     a column, and SQL of who of us it is that ``p`` is for
    """
    # of those that are merged, the row of the last touch (w) stands for all: an index has the order
    cadences: list[int] = [each.cadence_days for each in segments]
    shortest = min([*cadences, *([days] if days else [])], default=None)
    if shortest is None:
        return []
    fit, values = [], given | {"on": on}
    for n, each in enumerate(segments, start=1):
        clause, asked = await fits(each.criteria)
        clause, asked = named_apart(f"s{n}", clause, asked)
        fit.append(clause)
        values |= asked
        values[f"s{n}_since"] = on - timedelta(days=each.cadence_days)
    cases = " ".join(f"WHEN {clause} THEN {n}" for n, clause in enumerate(fit, start=1))
    nth = f"CASE {cases} END" if fit else "NULL::int"
    few = None if days or begin else await _few(cur, table, id, fit, values)
    at, last = before or (None, None)
    further = f" AND w.touched_at >= %(at)s AND (w.touched_at, p.{id}) > (%(at)s, %(last)s)"
    further = further if before else ""  # it stands in it or not: see ``newest_first``
    # each of them is looked at for itself, in that order, until there are enough, however few the
    # planner expects; unless what is told of all is looked at besides, which is better joined
    each_alone = "" if begin else "OFFSET 0"
    await cur.execute(
        f"{begin} SELECT p.{id}, coalesce(d.name, ''), w.touched_at,"
        " w.touched_at + p.days * interval '1 day', p.nth, p.days, p.owner"
        f" FROM {table} w CROSS JOIN LATERAL (SELECT p.{id}, s.nth, c.days, {owner} AS owner"
        f"  FROM {table} p {join} CROSS JOIN LATERAL (SELECT {nth} AS nth OFFSET 0) s"
        "   CROSS JOIN LATERAL (SELECT CASE WHEN s.nth IS NULL THEN %(days)s::int"
        "     ELSE (%(cadences)s::int[])[s.nth] END AS days) c"
        f"  WHERE p.{id} = {survivor(f'w.{id}')}"
        "    AND w.touched_at < %(on)s::timestamptz - c.days * interval '1 day'"
        f"   AND {where} AND (%(owners)s::text[] IS NULL OR {owner} = ANY(%(owners)s))"
        f"   AND NOT EXISTS (SELECT FROM {table} o WHERE o.{id} = ANY({everyone(f'w.{id}')})"
        f"     AND (o.touched_at, o.{id}) > (w.touched_at, w.{id})) {each_alone}) p"
        f" LEFT JOIN directory d ON d.id = p.{id} WHERE w.touched_at < %(shortest)s"
        f" AND (%(few)s::uuid[] IS NULL OR w.{id} = ANY(%(few)s))"
        f"{further} ORDER BY w.touched_at, p.{id} LIMIT {limit:d}".encode(),
        values
        | {
            "days": days,
            "cadences": cadences,
            "few": few,
            "shortest": on - timedelta(days=shortest),
            "owners": owners,
            "at": at,
            "last": last,
        },
        prepare=False,  # a plan that is kept expects few between any two moments, and sorts all
    )
    found = []
    for of_id, name, touched_at, since, place, cadence_days, whose in await cur.fetchall():
        segment = segments[place - 1] if place else None
        found.append(
            GoneQuiet(
                id=of_id,
                name=name,
                touched_at=touched_at,
                since=since,
                segment=segment.slug if segment else None,
                title=segment.title if segment else "",
                cadence_days=cadence_days,
                owner=whose,
            )
        )
    return found


async def _few(
    cur: Cursor, table: str, id: str, fit: Sequence[str], values: dict[str, Any]
) -> list[UUID] | None:
    """All who may be quiet in one of these segments, by all their ids: where they are few, it takes
    long to come upon them among all others. None: there are many."""
    theirs = " UNION ".join(
        f"(SELECT p.{id} FROM {table} p WHERE {clause}"
        f" AND {of_any(f'p.touched_at < %(s{n}_since)s', table, id)} LIMIT %(many)s)"
        for n, clause in enumerate(fit, start=1)
    )
    await cur.execute(
        f"WITH fit (id) AS ({theirs}) SELECT id FROM fit"
        " UNION SELECT m.id FROM directory_merge m JOIN fit f ON f.id = m.survivor_id"
        " LIMIT %(many)s",
        values | {"many": FEW + 1},
    )
    found = [id for (id,) in await cur.fetchall()]
    return found if len(found) <= FEW else None


def silent_since(item: GoneQuiet) -> tuple[Annotated[datetime, msgspec.Meta(tz=True)], UUID]:
    """The place of an item in a list of these."""
    return item.touched_at, item.id
