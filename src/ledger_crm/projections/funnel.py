"""Funnel: how many candidacies come how far, and how long they stay there.

It counts by the category that each fact carries, so that stages may be renamed, reordered and
retired: what happened in a period was in the category that it was in.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.application import Applied
from ledger_crm.domain.candidacy import CandidacyOpened, StageReached
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.pipeline import EXITS, OF_DEALS, Category
from ledger_crm.domain.team import team_id

from ._projection import Cursor, Projection, Row, Table
from ._team import was_in
from ._who import everyone, survivor

By = Literal["pipeline", "client", "source", "application", "consultant"]
ORDER = [c for c in get_args(Category) if c not in OF_DEALS]
"""Of categories, the exits last."""


class StepRow(Row, frozen=True, kw_only=True):
    position: int
    candidacy_id: UUID
    category: str
    reached_at: datetime


class CandidacyRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    person_id: UUID
    company_id: UUID
    pipeline: str
    opened_by: str
    opened_on: date
    applied_from: str = ""  # where their application came from


class SourceRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    channel: str


steps = Table(
    "funnel_step",
    StepRow,
    key="position",
    sql="""
    CREATE INDEX funnel_step_when ON funnel_step (reached_at);
    CREATE INDEX funnel_step_of ON funnel_step (candidacy_id, reached_at);
    """,
)
candidacies = Table("funnel_candidacy", CandidacyRow, key="candidacy_id")
sources = Table("funnel_source", SourceRow, key="person_id")
projection = Projection("funnel", steps, candidacies, sources, version=4, parallel="stream")


@steps.starts(StageReached)
def stage_reached(entry: Entry[StageReached]) -> StepRow:
    fact = entry.event
    return StepRow(
        position=entry.position,
        candidacy_id=fact.candidacy_id,
        category=fact.category,
        reached_at=fact.reached_at,
    )


@candidacies.starts(CandidacyOpened)
def candidacy_opened(entry: Entry[CandidacyOpened]) -> CandidacyRow:
    fact = entry.event
    return CandidacyRow(
        candidacy_id=fact.candidacy_id,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        pipeline=fact.pipeline,
        opened_by=entry.by,
        opened_on=entry.at.date(),
    )


@candidacies.on(Applied, key=lambda entry: entry.event.candidacy_id)
def applied(row: CandidacyRow, entry: Entry[Applied]) -> CandidacyRow:
    return replace(row, applied_from=entry.event.source or entry.event.channel)


@sources.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> SourceRow:
    return SourceRow(person_id=entry.originator_id, channel=entry.event.channel)


class FunnelLine(msgspec.Struct, frozen=True, kw_only=True):
    """One category of one group, in the period.

    group          slug of a pipeline, id of a client, channel of a source, where an application
                   came from, or actor who opened the candidacies; "" for all, and for who did not
                   apply
    name           of the client or the consultant; of others as ``group``
    entered        candidacies that came there, each once
    went_on        of them, those that came further afterwards, within the period
    fell_out       of them, those that came to an exit afterwards and no further since
    conversion_bp  ``went_on`` of ``entered``, in hundredths of a percent; None for an exit
    median_days    from coming there to the next step, of those that took one in the period
    """

    group: str
    name: str
    category: str
    entered: int
    went_on: int
    fell_out: int
    conversion_bp: int | None
    median_days: float | None


GROUPS: dict[By | None, str] = {
    None: "''",
    "pipeline": "c.pipeline",
    "client": f"{survivor('c.company_id')}::text",
    "source": "s.channel",
    "application": "c.applied_from",
    "consultant": "c.opened_by",
}


async def report(
    cur: Cursor,
    *,
    since: date,
    until: date,
    by: By | None = None,
    pipeline: str | None = None,
    company_id: UUID | None = None,
    source: str | None = None,
    consultant: str | None = None,
    team: str | None = None,
) -> list[FunnelLine]:
    """Of the days from ``since`` to the one before ``until``, by when it happened, in UTC. Nothing
    that happens later changes it. A candidacy is of whoever opened it, and of the teams that they
    were in on that day. Groups by name, categories in their order. Joins the directory for the
    names, and for the team."""
    await cur.execute(
        "WITH taken AS (SELECT st.candidacy_id, st.category, st.reached_at,"
        f" {GROUPS[by]} AS grp, array_position(%(order)s::text[], st.category) AS place,"
        " st.category = ANY(%(exits)s) AS out, st.position"
        " FROM funnel_step st JOIN funnel_candidacy c USING (candidacy_id)"
        " JOIN funnel_source s USING (person_id)"
        " WHERE st.reached_at >= %(since)s::date::timestamp AT TIME ZONE 'UTC'"
        " AND st.reached_at < %(until)s::date::timestamp AT TIME ZONE 'UTC'"
        " AND (%(pipeline)s::text IS NULL OR c.pipeline = %(pipeline)s)"
        f" AND (%(company)s::uuid IS NULL OR c.company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(source)s::text IS NULL OR s.channel = %(source)s)"
        " AND (%(consultant)s::text IS NULL OR c.opened_by = %(consultant)s)"
        f" AND {was_in('c.opened_by', 'c.opened_on')}),"
        # what comes after a step is what precedes it in a window read backwards: each step once
        " seen AS (SELECT taken.*,"
        "   lead(reached_at) OVER forth - reached_at AS stay,"
        "   row_number() OVER (PARTITION BY candidacy_id, category"
        "     ORDER BY reached_at, position) AS time,"
        "   max(place) FILTER (WHERE NOT out) OVER back > place AS further,"
        "   bool_or(out) OVER back AS gone FROM taken"
        "   WINDOW forth AS (PARTITION BY candidacy_id ORDER BY reached_at, position),"
        "   back AS (PARTITION BY candidacy_id ORDER BY reached_at DESC, position DESC"
        "     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),"
        " fates AS (SELECT grp, category, place, out, NOT out AND coalesce(further, false) AS on_,"
        "   NOT out AND coalesce(gone, false) AS off FROM seen WHERE time = 1),"
        " stays AS (SELECT grp, category, percentile_cont(0.5) WITHIN GROUP (ORDER BY stay) AS m"
        "   FROM seen WHERE stay IS NOT NULL GROUP BY 1, 2)"
        " SELECT f.grp, coalesce(max(d.name), max(u.name), f.grp), f.category, count(*),"
        "  count(*) FILTER (WHERE on_), count(*) FILTER (WHERE off AND NOT on_),"
        "  CASE WHEN NOT bool_or(f.out) THEN"
        "    floor(count(*) FILTER (WHERE on_) * 10000.0 / count(*))::int END,"
        "  round((extract(epoch FROM max(y.m)) / 86400)::numeric, 1)::float8"
        " FROM fates f LEFT JOIN stays y USING (grp, category)"
        " LEFT JOIN directory d ON d.id::text = f.grp"
        " LEFT JOIN directory_consultant u ON u.consultant = f.grp"
        " GROUP BY f.grp, f.category, f.place ORDER BY 2, f.grp, f.place",
        {
            "order": ORDER,
            "exits": sorted(EXITS),
            "since": since,
            "until": until,
            "pipeline": pipeline,
            "company": company_id,
            "source": source,
            "consultant": consultant,
            "team": team_id(team) if team else None,
        },
    )
    names = FunnelLine.__struct_fields__
    return [FunnelLine(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]
