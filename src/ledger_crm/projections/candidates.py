"""Candidates: where each candidacy stands, and the way it came. The candidate pipeline, over all
and by job order.

One row per candidacy, one per step, and one per job order for who of us works on it: of a team are
those on the job orders that one of its consultants owns or shares in. "Now" counts candidacies by
their present stage; "ever" counts those that reached a stage at least once, however often and
whatever came later.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.candidacy import (
    CandidacyClosed,
    CandidacyFact,
    CandidacyOpened,
    CandidacyReopened,
    Introduced,
    Placed,
    RightToRepresentGiven,
    StageReached,
)
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.joborder import JobOrderStaffed
from ledger_crm.domain.shortlist import VerdictGiven

from ._projection import Cursor, Projection, Row, Table, found_if_few, newest_first
from ._team import Team, whose
from ._who import everyone


class CandidacyRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    position: int  # of its newest entry: the order of the cards
    person_id: UUID
    company_id: UUID
    job_order_id: UUID
    pipeline: str
    stage: str
    category: str
    opened_at: datetime
    stage_since: datetime
    by: str  # who put it there
    closed: bool = False
    reason: str = ""
    decided_by: str = ""
    represented: bool = False
    introduced_at: datetime | None = None
    agreement_id: UUID | None = None
    starts_on: date | None = None
    fee_cents: int | None = None
    currency: str | None = None
    client_verdict: str = ""  # the last one, of whom at the client ever
    client_verdict_at: datetime | None = None


class StepRow(Row, frozen=True, kw_only=True):
    position: int
    candidacy_id: UUID
    person_id: UUID
    job_order_id: UUID
    stage: str
    category: str
    reached_at: datetime
    by: str
    reason: str
    decided_by: str
    decider: str


class StaffRow(Row, frozen=True, kw_only=True):
    job_order_id: UUID
    staff: str  # who of us works on it, with blanks between


candidacies = Table(
    "candidacy",
    CandidacyRow,
    key="candidacy_id",
    sql="""
    CREATE INDEX candidacy_newest ON candidacy (position DESC);
    CREATE INDEX candidacy_board ON candidacy (pipeline, position DESC);
    CREATE INDEX candidacy_stage ON candidacy (stage, position DESC);
    CREATE INDEX candidacy_company ON candidacy (company_id, position DESC);
    CREATE INDEX candidacy_order ON candidacy (job_order_id, position DESC);
    CREATE INDEX candidacy_person ON candidacy (person_id);
    """,
)
steps = Table(
    "candidacy_step",
    StepRow,
    key="position",
    sql="""
    CREATE INDEX candidacy_step_of ON candidacy_step (candidacy_id, position);
    CREATE INDEX candidacy_step_person ON candidacy_step (person_id);
    CREATE INDEX candidacy_step_order ON candidacy_step (job_order_id, stage, candidacy_id);
    """,
)
steps.erases("decider", unless=lambda row: not row.decided_by)
staff = Table(
    "candidacy_staff",
    StaffRow,
    key="job_order_id",
    sql="""CREATE INDEX candidacy_staff_of ON candidacy_staff
        USING gin (string_to_array(staff, ' '));""",
)
projection = Projection("candidates", candidacies, steps, staff, version=9, parallel="stream")


def candidacy(entry: Entry[CandidacyFact]) -> UUID:
    return entry.event.candidacy_id


@candidacies.starts(CandidacyOpened)
def candidacy_opened(entry: Entry[CandidacyOpened]) -> CandidacyRow:
    fact = entry.event
    return CandidacyRow(
        candidacy_id=fact.candidacy_id,
        position=entry.position,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        pipeline=fact.pipeline,
        stage=fact.stage,
        category=fact.category,
        opened_at=fact.opened_at,
        stage_since=fact.opened_at,
        by=entry.by,
    )


@candidacies.on(StageReached, key=candidacy)
def stage_reached(row: CandidacyRow, entry: Entry[StageReached]) -> CandidacyRow:
    fact = entry.event
    return replace(
        row,
        position=entry.position,
        stage=fact.stage,
        category=fact.category,
        stage_since=fact.reached_at,
        by=entry.by,
    )


@candidacies.on(CandidacyClosed, key=candidacy)
def candidacy_closed(row: CandidacyRow, entry: Entry[CandidacyClosed]) -> CandidacyRow:
    fact = entry.event
    return replace(row, closed=True, reason=fact.reason, decided_by=fact.decided_by)


@candidacies.on(CandidacyReopened, key=candidacy)
def candidacy_reopened(row: CandidacyRow, entry: Entry[CandidacyReopened]) -> CandidacyRow:
    return replace(row, closed=False, reason="", decided_by="")


@candidacies.on(RightToRepresentGiven, key=candidacy)
def represented(row: CandidacyRow, entry: Entry[RightToRepresentGiven]) -> CandidacyRow:
    return replace(row, represented=True, position=entry.position)


@candidacies.on(Introduced, key=candidacy)
def introduced(row: CandidacyRow, entry: Entry[Introduced]) -> CandidacyRow:
    fact = entry.event
    first = row.introduced_at or fact.introduced_at
    return replace(row, introduced_at=first, agreement_id=fact.agreement_id)


@candidacies.on(Placed, key=candidacy)
def placed(row: CandidacyRow, entry: Entry[Placed]) -> CandidacyRow:
    fact = entry.event
    return replace(row, starts_on=fact.starts_on, fee_cents=fact.fee_cents, currency=fact.currency)


@candidacies.on(VerdictGiven, key=candidacy)
def judged(row: CandidacyRow, entry: Entry[VerdictGiven]) -> CandidacyRow:
    fact = entry.event
    return replace(
        row,
        client_verdict=fact.verdict,
        client_verdict_at=fact.given_at,
        position=entry.position,
    )


@steps.starts(StageReached)
def step(entry: Entry[StageReached]) -> StepRow:
    fact = entry.event
    return StepRow(
        position=entry.position,
        candidacy_id=fact.candidacy_id,
        person_id=entry.originator_id,
        job_order_id=fact.job_order_id,
        stage=fact.stage,
        category=fact.category,
        reached_at=fact.reached_at,
        by=entry.by,
        reason=getattr(fact, "reason", ""),
        decided_by=getattr(fact, "decided_by", ""),
        decider=getattr(fact, "decider", ""),
    )


@staff.starts(JobOrderStaffed)
def staffed(entry: Entry[JobOrderStaffed]) -> StaffRow:
    fact = entry.event
    return StaffRow(job_order_id=fact.job_order_id, staff=" ".join(sorted(fact.staff)))


class StageCount(msgspec.Struct, frozen=True):
    """``now``: candidacies in it. ``ever``: candidacies that were in it at least once."""

    pipeline: str
    stage: str
    label: str
    category: str
    now: int
    ever: int


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """by       who put it into the stage it is in
    path     the stages it went through, in the order in which they were written down
    path_at  when it reached each
    client_verdict  the last one that somebody at the client gave on a shortlist; "" for none
    """

    id: UUID
    person_id: UUID
    person: str
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    pipeline: str
    stage: str
    category: str
    opened_at: datetime
    stage_since: datetime
    by: str
    closed: bool
    reason: str
    decided_by: str
    represented: bool
    introduced_at: datetime | None
    agreement_id: UUID | None
    starts_on: date | None
    fee_cents: int | None
    currency: str | None
    client_verdict: str
    client_verdict_at: datetime | None
    path: list[str]
    path_at: list[datetime]
    position: int


class Step(msgspec.Struct, frozen=True):
    """by       who put it there
    decider  the human or the rule that decided on an exit, by name; like ``reason`` and
             ``decided_by`` it is "" where nothing was decided
    """

    position: int
    stage: str
    category: str
    reached_at: datetime
    by: str
    reason: str
    decided_by: str
    decider: str


class CandidacyShown(msgspec.Struct, frozen=True):
    card: Card
    steps: list[Step]


WORKED = (
    "SELECT t.job_order_id FROM candidacy_staff t"
    " WHERE string_to_array(t.staff, ' ') && %(owners)s::text[]"
)
WORKED_ON = f"(%(owners)s::text[] IS NULL OR c.job_order_id IN ({WORKED}))"


async def counts(
    cur: Cursor,
    pipeline: str | None = None,
    *,
    job_order_id: UUID | None = None,
    team: Team | None = None,
    besides: Collection[UUID] = (),
) -> list[StageCount]:
    """Every stage of the pipeline, in its order; without one, of the job order's own; without
    either, of every pipeline of candidates. ``besides``: job orders that do not count. Joins the
    directory for the stages, and for the team."""
    await cur.execute(
        "WITH shown AS (SELECT * FROM directory_stage WHERE subject = 'candidate' AND ("
        "    pipeline = coalesce(%(pipeline)s::text,"
        "        (SELECT o.pipeline FROM directory o WHERE o.id = %(order)s::uuid))"
        "    OR %(pipeline)s::text IS NULL AND %(order)s::uuid IS NULL)),"
        " chosen AS (SELECT candidacy_id, pipeline, stage FROM candidacy c"
        "    WHERE pipeline IN (SELECT pipeline FROM shown)"
        f"    AND (%(order)s::uuid IS NULL OR job_order_id = %(order)s) AND {WORKED_ON}"
        "    AND job_order_id <> ALL(%(besides)s)),"
        " now AS (SELECT pipeline, stage, count(*) AS n FROM chosen GROUP BY 1, 2),"
        " ever AS (SELECT pipeline, stage, count(*) AS n FROM ("  # quicker than count(DISTINCT)
        "    SELECT DISTINCT c.pipeline, s.stage, s.candidacy_id"
        "    FROM candidacy_step s JOIN chosen c USING (candidacy_id)) each GROUP BY 1, 2)"
        " SELECT pipeline, stage, d.label, d.category, coalesce(now.n, 0), coalesce(ever.n, 0)"
        " FROM shown d LEFT JOIN now USING (pipeline, stage) LEFT JOIN ever USING (pipeline, stage)"
        " ORDER BY pipeline, d.place",
        {
            "pipeline": pipeline,
            "order": job_order_id,
            "owners": await whose(cur, None, team),
            "besides": list(besides),
        },
    )
    return [StageCount(*row) for row in await cur.fetchall()]


CARD = """
SELECT c.candidacy_id, coalesce(p.is_id, c.person_id), coalesce(p.name, ''),
       coalesce(o.is_id, c.company_id),
       coalesce(o.name, ''), c.job_order_id, coalesce(j.name, ''), c.pipeline, c.stage,
       c.category, c.opened_at, c.stage_since, c.by, c.closed, c.reason, c.decided_by,
       c.represented, c.introduced_at, c.agreement_id, c.starts_on, c.fee_cents, c.currency,
       c.client_verdict, c.client_verdict_at,
       steps.stages, steps.reached, c.position
FROM candidacy c
LEFT JOIN who p ON p.id = c.person_id
LEFT JOIN who o ON o.id = c.company_id
LEFT JOIN directory j ON j.id = c.job_order_id
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(s.stage ORDER BY s.position), '{}') AS stages,
    coalesce(array_agg(s.reached_at ORDER BY s.position), '{}') AS reached
  FROM candidacy_step s WHERE s.candidacy_id = c.candidacy_id) steps
"""


async def cards(
    cur: Cursor,
    pipeline: str | None = None,
    *,
    job_order_id: UUID | None = None,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    stage: str | None = None,
    consultant: str | None = None,
    team: Team | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Card]:
    """The last to move first; page by passing the last one's position as ``before``.
    ``consultant``: on the job orders that they own or share in. Joins the directory for the names,
    and for the team."""
    wanted = {
        "c.pipeline": pipeline,
        "c.job_order_id": job_order_id,
        "c.stage": stage,
    }
    where = [f"{column} = %({column})s" for column, value in wanted.items() if value is not None]
    values: dict[str, object] = {**wanted, "before": before}
    if person_id is not None:
        where.append(f"c.person_id = ANY({everyone('%(person)s')})")
        values["person"] = person_id
    if company_id is not None:
        where.append(f"c.company_id = ANY({everyone('%(company)s')})")
        values["company"] = company_id
    if team is not None or consultant is not None:
        values["owners"] = await whose(cur, consultant, team)
        values["few"] = few = await found_if_few(cur, WORKED, values)
        where.append(WORKED_ON if few is None else "c.job_order_id = ANY(%(few)s)")
    asked = " AND ".join(where) or "true"
    await cur.execute(f"{CARD} WHERE {asked}{newest_first('c', before, limit)}".encode(), values)
    return [_card(row) for row in await cur.fetchall()]


async def one(cur: Cursor, candidacy_id: UUID) -> CandidacyShown | None:
    """Joins the directory for the names."""
    await cur.execute(f"{CARD} WHERE c.candidacy_id = %s", (candidacy_id,))
    row = await cur.fetchone()
    if row is None:
        return None
    await cur.execute(
        "SELECT position, stage, category, reached_at, by, reason, decided_by, decider"
        " FROM candidacy_step"
        " WHERE candidacy_id = %s ORDER BY position",
        (candidacy_id,),
    )
    return CandidacyShown(_card(row), [Step(*found) for found in await cur.fetchall()])


def _card(row: tuple[object, ...]) -> Card:
    return Card(**dict(zip(Card.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]
