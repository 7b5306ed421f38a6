"""History: everything that ever passed between us and a person or a company, newest first.

One row per entry, with the person and the company it belongs to; an entry that concerns still
somebody else has a mention for each. A company's history also holds what passed between us and its
people, that is those who were employed there or put forward there, except what concerns another
company: one client does not see our business with the next.

Newest means by the time of the fact, so what is imported late takes its place in the past.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from ledger_crm.domain.candidacy import CandidacyOpened
from ledger_crm.domain.entry import CompanyFact, Entry, Event, PersonFact, kind
from ledger_crm.domain.identity import Employed

from ._lookup import Lookup
from ._projection import Cursor, Projection, Row, Table
from ._who import everyone, is_merged


class HistoryRow(Row, frozen=True, kw_only=True):
    position: int
    person_id: UUID | None
    company_id: UUID | None
    job_order_id: UUID | None
    at: datetime
    recorded_at: datetime
    by: str
    kind: str
    line: str
    text: str


class MentionRow(Row, frozen=True, kw_only=True):
    subject_id: UUID  # concerned by the entry besides its person and its company
    position: int
    at: datetime


class LinkRow(Row, frozen=True, kw_only=True):
    company_id: UUID
    person_id: UUID
    reason_id: UUID  # the job order that they are put forward on, or the company that employs them


lines = Table(
    "history",
    HistoryRow,
    key="position",
    sql="""
    CREATE INDEX history_of_person ON history (person_id, at DESC, position DESC);
    CREATE INDEX history_of_person_alone ON history (person_id, at DESC, position DESC)
        WHERE company_id IS NULL;
    CREATE INDEX history_alone ON history (at DESC, position DESC) WHERE company_id IS NULL;
    CREATE INDEX history_of_company ON history (company_id, at DESC, position DESC);
    """,
)
mentions = Table(
    "history_mention",
    MentionRow,
    key="subject_id, position",
    sql="CREATE INDEX history_mention_newest ON history_mention"
    " (subject_id, at DESC, position DESC);",
)
links = Table("history_link", LinkRow, key="company_id, person_id, reason_id")
projection = Projection("history", lines, mentions, links, version=10, parallel="stream")


@lines.starts(PersonFact)
def with_a_person(entry: Entry[PersonFact]) -> HistoryRow:
    concerned = entry.event.concerns
    return _line(entry, entry.originator_id, concerned[0] if concerned else None)


@lines.starts(CompanyFact)
def with_a_company(entry: Entry[CompanyFact]) -> HistoryRow:
    concerned = entry.event.concerns
    return _line(entry, concerned[0] if concerned else None, entry.originator_id)


def _line(entry: Entry[Event], person_id: UUID | None, company_id: UUID | None) -> HistoryRow:
    event = entry.event
    return HistoryRow(
        position=entry.position,
        person_id=person_id,
        company_id=company_id,
        job_order_id=getattr(event, "job_order_id", None),
        at=entry.at,
        recorded_at=entry.timestamp,
        by=entry.by,
        kind=kind(event),
        line=event.line,
        text=event.told,
    )


lines.erases("text", unless=lambda row: not row.kind.startswith("person."))


@mentions.starts(Event)
def mentioned(entry: Entry[Event]) -> list[MentionRow]:
    if not (others := entry.event.others):
        return []
    at = entry.at
    return [MentionRow(subject_id=id, position=entry.position, at=at) for id in others]


@links.starts(Employed, CandidacyOpened)
def belong_together(entry: Entry[Employed | CandidacyOpened]) -> LinkRow:
    fact = entry.event
    return LinkRow(
        company_id=fact.company_id,
        person_id=entry.originator_id,
        reason_id=fact.company_id if isinstance(fact, Employed) else fact.job_order_id,
    )


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """at           when it happened
    recorded_at  when it was written down
    line         what happened, in words; ``text`` is what was said or noted
    """

    position: int
    at: datetime
    recorded_at: datetime
    by: str
    kind: str
    line: str
    text: str
    person_id: UUID | None
    person: str | None
    company_id: UUID | None
    company: str | None
    job_order_id: UUID | None
    job_order: str | None


OLDER = "(h.at, h.position) < (coalesce(asked.at, 'infinity'), coalesce(asked.position, 0))"
NEWEST = 'ORDER BY h.at DESC, h.position DESC LIMIT asked."limit"'
PAGE = f"(SELECT h.* FROM history h WHERE {{}} AND {OLDER} {NEWEST})"
MENTIONED = f"""
SELECT mentioned.* FROM history_mention h JOIN history mentioned USING (position)
WHERE h.subject_id = {{}}{{}} AND {OLDER} {NEWEST}"""
NO_PERSON = "asked.kind <> 'person'"  # links are of companies: a person's history looks at none
LINKED = f"""
SELECT DISTINCT k.person_id FROM history_link k WHERE k.company_id = asked.id AND {NO_PERSON}"""
OF_ANY = f"k.company_id = ANY({everyone('asked.id')}) AND {NO_PERSON}"
OF_MERGED = f"""
SELECT survivors.id FROM (SELECT coalesce(m.survivor_id, k.person_id) AS id FROM history_link k
  LEFT JOIN directory_merge m ON m.id = k.person_id WHERE {OF_ANY}) survivors
UNION SELECT o.id FROM history_link k LEFT JOIN directory_merge m ON m.id = k.person_id
  JOIN directory_merge o ON o.survivor_id = coalesce(m.survivor_id, k.person_id)
  WHERE {OF_ANY}"""
MANY = 5_000  # links of a company: as many people are looked at one by one in 20 ms
LOOKED_THROUGH = 5_000  # lines, of whomever they are
PRESENT = "coalesce(current_setting('ledger.as_of', true), '') = ''"
HAS_MANY = f"({PRESENT} AND EXISTS (SELECT FROM history_link k WHERE {{}} OFFSET {MANY}))"
"""Of the past it does not count: lines of then stand behind all that was written since."""
NEEDS_MORE = f"""CASE WHEN {is_merged("asked.id")} THEN true WHEN asked.kind = 'person' THEN false
  WHEN {HAS_MANY.format("k.company_id = asked.id")} THEN true ELSE EXISTS (
    SELECT FROM history_link k JOIN directory_merge m ON k.person_id IN (m.id, m.survivor_id)
    WHERE k.company_id = asked.id OFFSET 0) END"""
"""Without an OFFSET whoever plans may rather find it out for all companies, and keep that."""
RECENT = f"""
SELECT h.* FROM (SELECT h.* FROM history h WHERE h.company_id IS NULL AND {OLDER}
    AND {NO_PERSON} AND {HAS_MANY.format(OF_ANY)}
  ORDER BY h.at DESC, h.position DESC LIMIT {LOOKED_THROUGH}) h
WHERE EXISTS (SELECT FROM history_link k WHERE {OF_ANY}
  AND k.person_id = ANY({everyone("h.person_id")}){{linked}} OFFSET 0){{also}} {NEWEST}"""
"""Of a company with many people, whose lines are frequent among those of all (decision 83)."""


NARROWED = """ AND (%(kinds)s::text[] IS NULL OR h.kind = ANY(%(kinds)s))
  AND (%(by)s::text IS NULL OR h.by = %(by)s)
  AND (%(since)s::timestamptz IS NULL OR h.at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR h.at < %(until)s)"""


SEEN = " AND k.reason_id <> ALL(%(besides)s)"  # only where something is hidden


def _question(*, merged: bool, also: str = "", linked: str = "") -> str:
    """``merged``: also where anybody is, or a company has many people. ``also``: a condition on
    rows ``h``, ``linked``: on links ``k``; each with an AND before it."""
    people = OF_MERGED.replace(OF_ANY, OF_ANY + linked) if merged else LINKED + linked
    recent, of_recent = "", ""
    enough = HAS_MANY.format(f"k.company_id = asked.id AND {NO_PERSON}")  # the other one answers
    if merged:
        recent = f"recent AS MATERIALIZED ({RECENT.format(also=also, linked=linked)}),"
        of_recent = "UNION ALL SELECT * FROM recent"
        enough = '(SELECT count(*) >= asked."limit" FROM recent)'
    told = also.replace("h.", "mentioned.")
    of_person = PAGE.format(f"h.person_id = asked.id{also}")
    of_mentions = MENTIONED.format("asked.id", told)
    of_company = PAGE.format(f"h.company_id = asked.id{also}")
    if merged:  # one id at a time, so that each reads its own newest by an index
        each = f"unnest({everyone('asked.id')}) one (id) CROSS JOIN LATERAL"
        of_person, of_company = (
            f"(SELECT theirs.* FROM {each} {PAGE.format(f'h.{of}_id = one.id{also}')} theirs)"
            for of in ("person", "company")
        )
        of_mentions = f"SELECT told.* FROM {each} ({MENTIONED.format('one.id', told)}) told"
    return f"""
CASE WHEN asked.kind = ''
    OR EXISTS (SELECT FROM directory d WHERE d.id = asked.id AND d.kind = asked.kind OFFSET 0)
THEN (
  WITH {recent} parts AS (
    {of_person}
    UNION ALL {of_company}
    UNION ALL ({of_mentions})
    {of_recent}
    UNION ALL (
      SELECT theirs.* FROM (
        SELECT k.person_id FROM ({people}) k (person_id)
        CROSS JOIN LATERAL (
          SELECT h.at, h.position FROM history h
          WHERE h.person_id = k.person_id AND h.company_id IS NULL{also} AND {OLDER}
          ORDER BY h.at DESC, h.position DESC LIMIT 1) h
        WHERE NOT {enough} {NEWEST}) busy
      CROSS JOIN LATERAL
        {PAGE.format(f"h.person_id = busy.person_id AND h.company_id IS NULL{also}")} theirs)),
  page AS (SELECT DISTINCT ON (at, position) * FROM parts h {NEWEST})
  SELECT CASE WHEN asked.kind <> '' AND asked.at IS NULL
    THEN json_agg(shown) ELSE coalesce(json_agg(shown), '[]') END FROM (
    SELECT h.position, h.at, h.recorded_at, h.by, h.kind, h.line, h.text,
      coalesce(p.is_id, h.person_id) AS person_id, p.name AS person,
      coalesce(c.is_id, h.company_id) AS company_id, c.name AS company, h.job_order_id,
      j.name AS job_order
    FROM page h
    LEFT JOIN who p ON p.id = h.person_id
    LEFT JOIN who c ON c.id = h.company_id
    LEFT JOIN directory j ON j.id = h.job_order_id
    ORDER BY h.at DESC, h.position DESC) shown
) END
"""


def _of(
    subject_id: UUID,
    *,
    kind: str = "",
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> tuple[UUID, str, datetime | None, int | None, int]:
    return (subject_id, kind, *(before or (None, None)), limit)


of: Lookup[..., list[HistoryLine]] = Lookup(
    projection,
    list[HistoryLine],
    _question(merged=True),
    _of,
    {"id": "uuid", "kind": "text", "at": "timestamptz", "position": "bigint", "limit": "bigint"},
    at_once=10,
    short=_question(merged=False),
    unless=NEEDS_MORE,
)
"""Of a person or a company; page by passing the last one's ``(at, position)`` as ``before``. Joins
the directory for the names. None if ``kind`` is given and there is no such record, or nothing of
it yet: a record begins with an entry, so one without a history is not projected so far. Else empty
if nothing is known under this id.

A page is of as many lines as ``limit``, so of the people of a company only those can be on it
whose own newest line is among the newest ``limit`` of all: only theirs are read. Where they are
many, lines are first looked for among the newest of all people."""


ONE = """
FROM (SELECT %(id)s::uuid AS id, %(kind)s::text AS kind, %(at)s::timestamptz AS at,
  %(position)s::bigint AS position, %(limit)s::bigint AS "limit") asked"""
FITTING = f"SELECT ({_question(merged=True, also=NARROWED)})::text {ONE}"
FITTING_SEEN = f"SELECT ({_question(merged=True, also=NARROWED, linked=SEEN)})::text {ONE}"
LINES = msgspec.json.Decoder(list[HistoryLine] | None)


async def fitting(
    cur: Cursor,
    subject_id: UUID,
    *,
    kind: str,
    kinds: Sequence[str] | None = None,
    by: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    besides: Collection[UUID] = (),
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[HistoryLine]:
    """As ``of``, only these kinds of facts, written down by this one, that happened from then on or
    before then. At worst it reads all that is known of whom it is asked about. ``besides``: job
    orders by which nobody belongs to a company."""
    id, kind, at, position, limit = _of(subject_id, kind=kind, before=before, limit=limit)
    await cur.execute(
        FITTING_SEEN if besides else FITTING,
        {"id": id, "kind": kind, "at": at, "position": position, "limit": limit}
        | {"kinds": list(kinds) if kinds else None, "by": by, "since": since, "until": until}
        | {"besides": list(besides)},
    )
    [found] = await cur.fetchone() or [None]
    return LINES.decode(found or "null") or []


class LateLine(HistoryLine, frozen=True, kw_only=True):
    """A fact that was told later than it happened, by so many seconds."""

    late_s: int


async def late(
    cur: Cursor,
    *,
    first: int,
    last: int | None,
    happened_before: datetime,
    least_s: int = 0,
    kinds: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[LateLine]:
    """Facts at the positions after ``first`` up to ``last`` that had happened before then, at least
    so many seconds earlier than they were written down; the last that was written first. Page by
    passing the last one's position as ``before``. Joins the directory for the names."""
    await cur.execute(
        "SELECT h.position, h.at, h.recorded_at, h.by, h.kind, h.line, h.text,"
        " coalesce(p.is_id, h.person_id), p.name, coalesce(c.is_id, h.company_id), c.name,"
        " h.job_order_id, j.name,"
        " floor(extract(epoch FROM h.recorded_at - h.at))::bigint"
        " FROM history h LEFT JOIN who p ON p.id = h.person_id"
        " LEFT JOIN who c ON c.id = h.company_id"
        " LEFT JOIN directory j ON j.id = h.job_order_id"
        " WHERE h.position > %(first)s AND (%(last)s::bigint IS NULL OR h.position <= %(last)s)"
        " AND (%(before)s::bigint IS NULL OR h.position < %(before)s)"
        " AND h.at < %(happened_before)s"
        " AND h.recorded_at - h.at >= make_interval(secs => %(least)s)"
        " AND (%(kinds)s::text[] IS NULL OR h.kind = ANY(%(kinds)s))"
        " ORDER BY h.position DESC LIMIT %(limit)s",
        {
            "first": first,
            "last": last,
            "before": before,
            "happened_before": happened_before,
            "least": least_s,
            "kinds": list(kinds) if kinds else None,
            "limit": limit,
        },
    )
    names = LateLine.__struct_fields__
    return [LateLine(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]
