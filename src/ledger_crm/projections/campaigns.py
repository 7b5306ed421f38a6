"""Campaigns: which there are, who is in each, and what they are to be sent next. One row a
campaign, one an enrolment: the last of each person."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from ledger_crm.domain.campaign import (
    CampaignDefined,
    CampaignFinished,
    CampaignStopped,
    Enrolled,
    Step,
)
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.interaction import MessageSent
from ledger_crm.domain.privacy import PersonErased

from ._projection import Cursor, Projection, Row, Table, stream
from ._who import everyone, is_merged, survivor

Status = Literal["running", "finished", "stopped"]


class CampaignRow(Row, frozen=True, kw_only=True):
    slug: str
    version: int
    title: str
    purpose: str
    steps: str  # JSON
    retired: bool


class EnrolmentRow(Row, frozen=True, kw_only=True):
    campaign: str
    person_id: UUID
    position: int
    since: datetime
    by: str
    company_id: UUID | None
    status: str = "running"
    sent: int = 0
    last_sent_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""


campaigns = Table("campaign", CampaignRow, key="slug")
enrolments = Table(
    "campaign_enrolment",
    EnrolmentRow,
    key="campaign, person_id",
    sql="""
    CREATE INDEX campaign_enrolment_newest ON campaign_enrolment (campaign, position DESC);
    CREATE INDEX campaign_enrolment_of ON campaign_enrolment (person_id);
    """,
)
projection = Projection("campaigns", campaigns, enrolments, version=4)


@campaigns.starts(CampaignDefined)
def defined(entry: Entry[CampaignDefined]) -> CampaignRow:
    fact = entry.event
    return CampaignRow(
        slug=fact.slug,
        version=entry.originator_version,
        title=fact.title,
        purpose=fact.purpose,
        steps=msgspec.json.encode(fact.steps).decode(),
        retired=fact.retired,
    )


@enrolments.starts(Enrolled)
def enrolled(entry: Entry[Enrolled]) -> EnrolmentRow:
    return EnrolmentRow(
        campaign=entry.event.campaign,
        person_id=entry.originator_id,
        position=entry.position,
        since=entry.at,
        by=entry.by,
        company_id=entry.event.company_id,
    )


def _enrolment(
    entry: Entry[MessageSent] | Entry[CampaignFinished] | Entry[CampaignStopped],
) -> tuple[str, UUID] | None:
    """None: most messages are no step of a campaign."""
    return (entry.event.campaign, entry.originator_id) if entry.event.campaign else None


@enrolments.on(MessageSent, key=_enrolment)
def sent(row: EnrolmentRow, entry: Entry[MessageSent]) -> EnrolmentRow:
    at = max(row.last_sent_at or entry.at, entry.at)  # they are told in any order
    return msgspec.structs.replace(row, sent=row.sent + 1, last_sent_at=at)


@enrolments.on(CampaignFinished, key=_enrolment)
def finished(row: EnrolmentRow, entry: Entry[CampaignFinished]) -> EnrolmentRow:
    return msgspec.structs.replace(row, status="finished", ended_at=entry.at)


@enrolments.on(CampaignStopped, key=_enrolment)
def stopped(row: EnrolmentRow, entry: Entry[CampaignStopped]) -> EnrolmentRow:
    reason = entry.event.reason
    return msgspec.structs.replace(row, status="stopped", ended_at=entry.at, reason=reason)


@enrolments.each(PersonErased, person_id=stream)
def erased(row: EnrolmentRow, entry: Entry[PersonErased]) -> EnrolmentRow:
    """Nothing of theirs is here but that they were in it; nothing more is sent."""
    if row.status != "running":
        return row
    return msgspec.structs.replace(row, status="stopped", ended_at=entry.at, reason="erased")


class CampaignShown(msgspec.Struct, frozen=True):
    """How many of those enrolled are where, each once; ``replied`` are among the stopped."""

    slug: str
    version: int
    title: str
    purpose: str
    steps: list[Step]
    retired: bool
    enrolled: int
    running: int
    finished: int
    stopped: int
    replied: int


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """since        when they were enrolled, by whom
    sent         steps that they had
    next_step    the one after those, from 1; None: there is none
    next_due_on  the day on which it is due, in UTC
    ended_at     when it was finished or stopped, and why: ``reason``
    """

    campaign: str
    person_id: UUID
    person: str
    company_id: UUID | None
    status: Status
    since: datetime
    by: str
    sent: int
    last_sent_at: datetime | None
    next_step: int | None
    next_due_on: date | None
    ended_at: datetime | None
    reason: str
    position: int


# who was in it by two records is shown by the one that goes on (as ``Person.enrolment`` has it)
BY_ANOTHER = f"""({is_merged("e.person_id")} AND EXISTS (
  SELECT FROM campaign_enrolment o
  WHERE o.campaign = e.campaign AND o.person_id = ANY({everyone("e.person_id")})
    AND (coalesce(o.ended_at, 'infinity'), o.sent, o.position)
      > (coalesce(e.ended_at, 'infinity'), e.sent, e.position)))"""

CAMPAIGN = f"""
SELECT c.slug, c.version, c.title, c.purpose, c.steps, c.retired, e.* FROM campaign c
CROSS JOIN LATERAL (
  SELECT count(*), count(*) FILTER (WHERE status = 'running'),
    count(*) FILTER (WHERE status = 'finished'), count(*) FILTER (WHERE status = 'stopped'),
    count(*) FILTER (WHERE status = 'stopped' AND reason = 'replied')
  FROM campaign_enrolment e WHERE e.campaign = c.slug AND NOT {BY_ANOTHER}) e"""

PARTICIPANT = f"""
SELECT * FROM (
  SELECT e.campaign, coalesce(d.is_id, e.person_id) AS person_id, coalesce(d.name, '') AS person,
    {survivor("e.company_id")} AS company_id, e.status, e.since, e.by, e.sent, e.last_sent_at,
    CASE WHEN step.step IS NOT NULL THEN e.sent + 1 END AS next_step,
    (coalesce(e.last_sent_at, e.since) AT TIME ZONE 'UTC')::date
      + (step.step ->> 'after_days')::int AS next_due_on,
    e.ended_at, e.reason, e.position
  FROM campaign_enrolment e JOIN campaign c ON c.slug = e.campaign
  LEFT JOIN who d ON d.id = e.person_id
  LEFT JOIN LATERAL (SELECT c.steps::jsonb -> e.sent::int AS step WHERE e.status = 'running') step
    ON true
  WHERE NOT {BY_ANOTHER}) p"""


async def listing(cur: Cursor) -> list[CampaignShown]:
    """By slug."""
    await cur.execute(f"{CAMPAIGN} ORDER BY c.slug")
    return [_shown(row) for row in await cur.fetchall()]


async def one(cur: Cursor, slug: str) -> CampaignShown | None:
    await cur.execute(f"{CAMPAIGN} WHERE c.slug = %s", (slug,))
    row = await cur.fetchone()
    return row and _shown(row)


async def people_in(
    cur: Cursor,
    slug: str,
    *,
    status: Status | None = None,
    due_on: date | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Participant]:
    """The last to be enrolled first; page by passing the last one's position as ``before``.
    ``due_on``: only whose next step is due by that day. Joins the directory for the names."""
    await cur.execute(
        f"{PARTICIPANT} WHERE p.campaign = %(campaign)s"
        " AND (%(status)s::text IS NULL OR p.status = %(status)s)"
        " AND (%(due_on)s::date IS NULL OR p.next_due_on <= %(due_on)s)"
        " AND (%(before)s::bigint IS NULL OR p.position < %(before)s)"
        " ORDER BY p.position DESC LIMIT %(limit)s",
        {
            "campaign": slug,
            "status": status,
            "due_on": due_on,
            "before": before,
            "limit": limit,
        },
    )
    return [_participant(row) for row in await cur.fetchall()]


async def of_person(cur: Cursor, person_id: UUID) -> list[Participant]:
    """By the campaign's slug. Joins the directory for the name."""
    await cur.execute(
        f"{PARTICIPANT} WHERE p.person_id = {survivor('%(person)s::uuid')} ORDER BY p.campaign",
        {"person": person_id},
    )
    return [_participant(row) for row in await cur.fetchall()]


def _shown(row: tuple[Any, ...]) -> CampaignShown:
    slug, version, title, purpose, steps, *rest = row
    return CampaignShown(
        slug, version, title, purpose, msgspec.json.decode(steps, type=list[Step]), *rest
    )


def _participant(row: tuple[Any, ...]) -> Participant:
    return Participant(**dict(zip(Participant.__struct_fields__, row, strict=True)))
