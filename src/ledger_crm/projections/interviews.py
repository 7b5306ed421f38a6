"""Interviews and offers: what was arranged with whom, what came of it, and what was offered.

One row an interview, one for what each interviewer said of it, one an offer.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.interview import (
    FeedbackGiven,
    InterviewArranged,
    InterviewCalledOff,
    InterviewHeld,
    InterviewMoved,
    OfferAccepted,
    OfferChanged,
    OfferDeclined,
    OfferMade,
    OfferWithdrawn,
    Score,
)

from ._projection import Cursor, Projection, Row, Table
from ._who import everyone


class InterviewRow(Row, frozen=True, kw_only=True):
    interview_id: UUID
    position: int  # of its first entry: the order of the list
    person_id: UUID
    candidacy_id: UUID
    company_id: UUID | None
    job_order_id: UUID | None
    starts_at: datetime
    duration_s: int
    form: str
    interviewers: str  # ids, a line each
    text: str
    status: str = "arranged"  # arranged, held, called_off
    moves: int = 0
    reason: str = ""


class FeedbackRow(Row, frozen=True, kw_only=True):
    interview_id: UUID
    interviewer: str  # id; "" for nobody in particular
    person_id: UUID
    given_at: datetime
    verdict: str
    scores: str  # JSON
    text: str
    by: str


class OfferRow(Row, frozen=True, kw_only=True):
    offer_id: UUID
    position: int  # of its first entry: the order of the list
    person_id: UUID
    candidacy_id: UUID
    company_id: UUID | None
    job_order_id: UUID | None
    made_at: datetime
    first_year_pay_cents: int
    currency: str
    begins_on: date | None
    expires_on: date | None
    text: str
    status: str = "open"  # open, accepted, declined, withdrawn
    status_since: datetime
    changes: int = 0
    reason: str = ""


interviews = Table(
    "interview",
    InterviewRow,
    key="interview_id",
    sql="""
    CREATE INDEX interview_newest ON interview (position DESC);
    CREATE INDEX interview_status ON interview (status, position DESC);
    CREATE INDEX interview_of ON interview (candidacy_id, position DESC);
    CREATE INDEX interview_when ON interview (starts_at);
    CREATE INDEX interview_person ON interview (person_id);
    CREATE INDEX interview_company ON interview (company_id, position DESC);
    CREATE INDEX interview_order ON interview (job_order_id, position DESC);
    """,
)
feedback = Table(
    "interview_feedback",
    FeedbackRow,
    key="interview_id, interviewer",
    sql="CREATE INDEX interview_feedback_of ON interview_feedback (person_id);",
)
offers = Table(
    "offer",
    OfferRow,
    key="offer_id",
    sql="""
    CREATE INDEX offer_newest ON offer (position DESC);
    CREATE INDEX offer_status ON offer (status, position DESC);
    CREATE INDEX offer_of ON offer (candidacy_id, position DESC);
    CREATE INDEX offer_person ON offer (person_id);
    CREATE INDEX offer_company ON offer (company_id, position DESC);
    CREATE INDEX offer_order ON offer (job_order_id, position DESC);
    """,
)
for with_somebody in (interviews, feedback, offers):
    with_somebody.erases("text")
projection = Projection("interviews", interviews, feedback, offers, version=7, parallel="stream")


def interview(entry: Entry[Any]) -> UUID:
    id: UUID = entry.event.interview_id
    return id


def offer(entry: Entry[Any]) -> UUID:
    id: UUID = entry.event.offer_id
    return id


@interviews.starts(InterviewArranged)
def arranged(entry: Entry[InterviewArranged]) -> InterviewRow:
    fact = entry.event
    return InterviewRow(
        interview_id=fact.interview_id,
        position=entry.position,
        person_id=entry.originator_id,
        candidacy_id=fact.candidacy_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        starts_at=fact.starts_at,
        duration_s=fact.duration_s,
        form=fact.form,
        interviewers="\n".join(map(str, fact.interviewer_ids)),
        text=fact.text,
    )


@interviews.on(InterviewMoved, key=interview)
def moved(row: InterviewRow, entry: Entry[InterviewMoved]) -> InterviewRow:
    fact = entry.event
    text = fact.text or row.text
    return replace(row, starts_at=fact.starts_at, text=text, moves=row.moves + 1)


@interviews.on(InterviewCalledOff, key=interview)
def called_off(row: InterviewRow, entry: Entry[InterviewCalledOff]) -> InterviewRow:
    return replace(row, status="called_off", reason=entry.event.reason)


@interviews.on(InterviewHeld, key=interview)
def held(row: InterviewRow, entry: Entry[InterviewHeld]) -> InterviewRow:
    return replace(row, status="held")


@feedback.starts(FeedbackGiven)
def feedback_given(entry: Entry[FeedbackGiven]) -> FeedbackRow:
    fact = entry.event
    return FeedbackRow(
        interview_id=fact.interview_id,
        interviewer=str(fact.interviewer_id or ""),
        person_id=entry.originator_id,
        given_at=fact.given_at,
        verdict=fact.verdict,
        scores=msgspec.json.encode(fact.scores).decode(),
        text=fact.text,
        by=entry.by,
    )


@offers.starts(OfferMade)
def made(entry: Entry[OfferMade]) -> OfferRow:
    fact = entry.event
    return OfferRow(
        offer_id=fact.offer_id,
        position=entry.position,
        person_id=entry.originator_id,
        candidacy_id=fact.candidacy_id,
        company_id=fact.company_id,
        job_order_id=fact.job_order_id,
        made_at=fact.made_at,
        first_year_pay_cents=fact.first_year_pay_cents,
        currency=fact.currency,
        begins_on=fact.begins_on,
        expires_on=fact.expires_on,
        text=fact.text,
        status_since=fact.made_at,
    )


@offers.on(OfferChanged, key=offer)
def changed(row: OfferRow, entry: Entry[OfferChanged]) -> OfferRow:
    fact = entry.event
    pay = fact.first_year_pay_cents
    return replace(
        row,
        first_year_pay_cents=row.first_year_pay_cents if pay is None else pay,
        begins_on=fact.begins_on or row.begins_on,
        expires_on=fact.expires_on or row.expires_on,
        text=fact.text or row.text,
        changes=row.changes + 1,
    )


@offers.on(OfferAccepted, key=offer)
def accepted(row: OfferRow, entry: Entry[OfferAccepted]) -> OfferRow:
    return replace(row, status="accepted", status_since=entry.event.accepted_at)


@offers.on(OfferDeclined, OfferWithdrawn, key=offer)
def turned_down(row: OfferRow, entry: Entry[OfferDeclined | OfferWithdrawn]) -> OfferRow:
    status = "declined" if isinstance(entry.event, OfferDeclined) else "withdrawn"
    return replace(row, status=status, status_since=entry.at, reason=entry.event.reason)


class Opinion(msgspec.Struct, frozen=True):
    """interviewer_id  None: nobody in particular
    by              who wrote it down
    """

    interviewer_id: UUID | None
    interviewer: str | None
    given_at: datetime
    verdict: str
    scores: list[Score]
    text: str
    by: str


class InterviewShown(msgspec.Struct, frozen=True, kw_only=True):
    """status    arranged, held or called_off
    moves     how often it was moved
    position  of its first entry, to page by
    """

    id: UUID
    person_id: UUID
    person: str | None
    candidacy_id: UUID
    company_id: UUID | None
    company: str | None
    job_order_id: UUID | None
    starts_at: datetime
    duration_s: int
    form: str
    interviewer_ids: list[UUID]
    text: str
    status: str
    moves: int
    reason: str
    position: int
    feedback: list[Opinion]


class OfferShown(msgspec.Struct, frozen=True, kw_only=True):
    """status    open, accepted, declined or withdrawn
    changes   how often it was changed
    position  of its first entry, to page by
    """

    id: UUID
    person_id: UUID
    person: str | None
    candidacy_id: UUID
    company_id: UUID | None
    company: str | None
    job_order_id: UUID | None
    made_at: datetime
    first_year_pay_cents: int
    currency: str
    begins_on: date | None
    expires_on: date | None
    text: str
    status: str
    status_since: datetime
    changes: int
    reason: str
    position: int


SHOWN = """
SELECT {id}, coalesce(p.is_id, person_id), p.name, candidacy_id, coalesce(o.is_id, company_id),
       o.name, job_order_id, {columns}, status, {said}, reason, position
FROM {table} LEFT JOIN who p ON p.id = person_id LEFT JOIN who o ON o.id = company_id"""
INTERVIEW = SHOWN.format(
    id="interview_id",
    columns="starts_at, duration_s, form, string_to_array(interviewers, E'\\n'), text",
    said="moves",
    table="interview",
)
OFFER = SHOWN.format(
    id="offer_id",
    columns="made_at, first_year_pay_cents, currency, begins_on, expires_on, text",
    said="status_since, changes",
    table="offer",
)


async def of(
    cur: Cursor,
    *,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    job_order_id: UUID | None = None,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[InterviewShown]:
    """The last arranged first; page by passing the last one's position as ``before``. Joins the
    directory for the names."""
    wanted = (person_id, company_id, job_order_id, status, before, limit)
    return await _shown(cur, await _found(cur, INTERVIEW, *wanted))


async def one(cur: Cursor, interview_id: UUID) -> InterviewShown | None:
    """As in the list."""
    await cur.execute(f"{INTERVIEW} WHERE interview_id = %s", (interview_id,))
    found = await _shown(cur, await cur.fetchall())
    return found[0] if found else None


async def _shown(cur: Cursor, found: list[tuple[Any, ...]]) -> list[InterviewShown]:
    names = InterviewShown.__struct_fields__[:-1]
    said = await _opinions(cur, [row[0] for row in found])
    return [
        InterviewShown(
            **fields | {"interviewer_ids": [UUID(id) for id in fields["interviewer_ids"]]},
            feedback=said.get(fields["id"], []),
        )
        for fields in (dict(zip(names, row, strict=True)) for row in found)
    ]


async def offers_of(
    cur: Cursor,
    *,
    person_id: UUID | None = None,
    company_id: UUID | None = None,
    job_order_id: UUID | None = None,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[OfferShown]:
    """The last made first; page by passing the last one's position as ``before``. Joins the
    directory for the names."""
    wanted = (person_id, company_id, job_order_id, status, before, limit)
    return [_offer(row) for row in await _found(cur, OFFER, *wanted)]


async def one_offer(cur: Cursor, offer_id: UUID) -> OfferShown | None:
    """As in the list."""
    await cur.execute(f"{OFFER} WHERE offer_id = %s", (offer_id,))
    row = await cur.fetchone()
    return row and _offer(row)


def _offer(row: tuple[Any, ...]) -> OfferShown:
    return OfferShown(**dict(zip(OfferShown.__struct_fields__, row, strict=True)))


async def _found(
    cur: Cursor,
    selected: str,
    person_id: UUID | None,
    company_id: UUID | None,
    job_order_id: UUID | None,
    status: str | None,
    before: int | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    await cur.execute(
        f"{selected} WHERE"
        f" (%(person)s::uuid IS NULL OR person_id = ANY({everyone('%(person)s::uuid')}))"
        f" AND (%(company)s::uuid IS NULL OR company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(order)s::uuid IS NULL OR job_order_id = %(order)s)"
        " AND (%(status)s::text IS NULL OR status = %(status)s)"
        " AND (%(before)s::bigint IS NULL OR position < %(before)s)"
        " ORDER BY position DESC LIMIT %(limit)s",
        {
            "person": person_id,
            "company": company_id,
            "order": job_order_id,
            "status": status,
            "before": before,
            "limit": limit,
        },
    )
    return await cur.fetchall()


async def _opinions(cur: Cursor, ids: list[UUID]) -> dict[UUID, list[Opinion]]:
    await cur.execute(
        "SELECT f.interview_id, coalesce(d.is_id, nullif(f.interviewer, '')::uuid), d.name,"
        " f.given_at, f.verdict, f.scores, f.text, f.by FROM interview_feedback f"
        " LEFT JOIN who d ON d.id = nullif(f.interviewer, '')::uuid"
        " WHERE f.interview_id = ANY(%s) ORDER BY f.given_at, f.interviewer",
        (ids,),
    )
    said: dict[UUID, list[Opinion]] = {}
    for id, who, name, given_at, verdict, scores, text, by in await cur.fetchall():
        marks = msgspec.json.decode(scores, type=list[Score])
        said.setdefault(id, []).append(Opinion(who, name, given_at, verdict, marks, text, by))
    return said
