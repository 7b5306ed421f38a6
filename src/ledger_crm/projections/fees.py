"""Fees and revenue: what was agreed, fell due, was invoiced and paid, and what is at risk; by
client, consultant, month or industry.

One row per movement of money, and what tells whose it is. Amounts are as the client knows them:
net of tax, with another agency's part in them. They are summed by currency: nothing here converts
one into another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.application import Applied
from ledger_crm.domain.candidacy import CandidacyFact, Placed
from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.fee import WHOLE, Share, divided
from ledger_crm.domain.firm import FirmProfileChanged
from ledger_crm.domain.invoice import (
    InstalmentDue,
    InvoiceCredited,
    InvoicePaid,
    InvoiceRaised,
    InvoiceRefunded,
)
from ledger_crm.domain.person import PersonSourced
from ledger_crm.domain.placement import (
    CommissionSplit,
    FellThrough,
    GuaranteeEnded,
    PlacementStarted,
)

from ._projection import Cursor, Projection, Row, Table, stream
from ._team import presence

By = Literal["client", "consultant", "month", "industry", "source"]
Measure = Literal["agreed", "rebated", "due", "invoiced", "paid", "credited", "refunded"]


class MovementRow(Row, frozen=True, kw_only=True):
    position: int
    measure: str
    at: datetime
    by: str
    company_id: UUID
    cents: int
    currency: str
    candidacy_id: UUID | None = None
    instalment_id: UUID | None = None
    invoice_id: UUID | None = None


class GuaranteedRow(Row, frozen=True, kw_only=True):
    candidacy_id: UUID
    person_id: UUID
    company_id: UUID
    placed_at: datetime
    fee_cents: int
    currency: str
    by: str
    shares: str  # JSON, a list of ``Share``
    guarantee_until_on: date | None = None
    over: bool = False  # fell through, or the guarantee has ended


class DueRow(Row, frozen=True, kw_only=True):
    instalment_id: UUID
    candidacy_id: UUID | None


class BillRow(Row, frozen=True, kw_only=True):
    invoice_id: UUID
    instalment_id: UUID


class SourceRow(Row, frozen=True, kw_only=True):
    id: UUID  # of the person; of the candidacy, of whoever applied
    source: str


class ClientRow(Row, frozen=True, kw_only=True):
    company_id: UUID
    industry: str


movements = Table(
    "fee_movement",
    MovementRow,
    key="position",
    sql="CREATE INDEX fee_movement_at ON fee_movement (at);",
)
guaranteed = Table("fee_placement", GuaranteedRow, key="candidacy_id")
dues = Table("fee_instalment", DueRow, key="instalment_id")
bills = Table("fee_invoice", BillRow, key="invoice_id")
clients = Table("fee_client", ClientRow, key="company_id")
sources = Table("fee_source", SourceRow, key="id")
projection = Projection("fees", movements, guaranteed, dues, bills, clients, sources, version=4)

SHARES = msgspec.json.Decoder(list[Share])


def candidacy(entry: Entry[CandidacyFact]) -> UUID:
    return entry.event.candidacy_id


def _moved(entry: Entry[Any], measure: Measure, cents: int, **of: UUID | None) -> MovementRow:
    fact = entry.event
    return MovementRow(
        position=entry.position,
        measure=measure,
        at=entry.at,
        by=entry.by,
        company_id=getattr(fact, "company_id", entry.originator_id),
        cents=cents,
        currency=fact.currency,
        **of,
    )


@movements.starts(Placed)
def agreed(entry: Entry[Placed]) -> MovementRow:
    fact = entry.event
    return _moved(entry, "agreed", fact.fee_cents, candidacy_id=fact.candidacy_id)


@movements.starts(FellThrough)
def rebated(entry: Entry[FellThrough]) -> MovementRow:
    fact = entry.event
    return _moved(entry, "rebated", fact.rebate_cents, candidacy_id=fact.candidacy_id)


@movements.starts(InstalmentDue)
def fell_due(entry: Entry[InstalmentDue]) -> MovementRow:
    fact = entry.event
    return _moved(entry, "due", fact.amount_cents, instalment_id=fact.instalment_id)


@movements.starts(InvoiceRaised)
def invoiced(entry: Entry[InvoiceRaised]) -> MovementRow:
    fact = entry.event
    return _moved(entry, "invoiced", fact.amount_cents, invoice_id=fact.invoice_id)


@movements.starts(InvoicePaid)
def paid(entry: Entry[InvoicePaid]) -> MovementRow:
    fact = entry.event
    return _moved(entry, "paid", fact.amount_cents, invoice_id=fact.invoice_id)


@movements.starts(InvoiceCredited)
def credited(entry: Entry[InvoiceCredited]) -> MovementRow:
    fact = entry.event
    return _moved(entry, "credited", fact.amount_cents, invoice_id=fact.invoice_id)


@movements.starts(InvoiceRefunded)
def refunded(entry: Entry[InvoiceRefunded]) -> MovementRow:
    fact = entry.event
    return _moved(entry, "refunded", fact.amount_cents, invoice_id=fact.invoice_id)


@guaranteed.starts(Placed)
def placed(entry: Entry[Placed]) -> GuaranteedRow:
    fact = entry.event
    return GuaranteedRow(
        candidacy_id=fact.candidacy_id,
        person_id=entry.originator_id,
        company_id=fact.company_id,
        placed_at=fact.placed_at,
        fee_cents=fact.fee_cents,
        currency=fact.currency,
        by=entry.by,
        shares=_written(fact.shares),
    )


@guaranteed.on(CommissionSplit, key=candidacy)
def split(row: GuaranteedRow, entry: Entry[CommissionSplit]) -> GuaranteedRow:
    return replace(row, shares=_written(entry.event.shares))


@guaranteed.on(PlacementStarted, key=candidacy)
def started(row: GuaranteedRow, entry: Entry[PlacementStarted]) -> GuaranteedRow:
    return replace(row, guarantee_until_on=entry.event.guarantee_until_on)


@guaranteed.on(FellThrough, GuaranteeEnded, key=candidacy)
def over(row: GuaranteedRow, entry: Entry[FellThrough | GuaranteeEnded]) -> GuaranteedRow:
    return replace(row, over=True)


@dues.starts(InstalmentDue)
def due(entry: Entry[InstalmentDue]) -> DueRow:
    fact = entry.event
    return DueRow(instalment_id=fact.instalment_id, candidacy_id=fact.candidacy_id)


@bills.starts(InvoiceRaised)
def billed(entry: Entry[InvoiceRaised]) -> BillRow:
    return BillRow(invoice_id=entry.event.invoice_id, instalment_id=entry.event.instalment_id)


@clients.starts(CompanyAdded)
def known(entry: Entry[CompanyAdded]) -> ClientRow:
    return ClientRow(company_id=entry.originator_id, industry=entry.event.industry)


@clients.on(FirmProfileChanged, key=stream)
def changed(row: ClientRow, entry: Entry[FirmProfileChanged]) -> ClientRow:
    industry = entry.event.industry
    return row if industry is None else replace(row, industry=industry)


@sources.starts(PersonSourced)
def sourced(entry: Entry[PersonSourced]) -> SourceRow:
    return SourceRow(id=entry.originator_id, source=entry.event.channel)


@sources.starts(Applied)
def applied(entry: Entry[Applied]) -> SourceRow:
    fact = entry.event
    return SourceRow(id=fact.candidacy_id, source=fact.source or fact.channel)


def _written(shares: Sequence[Share]) -> str:
    return msgspec.json.encode(shares).decode()


class RevenueLine(msgspec.Struct, frozen=True, kw_only=True):
    """Of one client, consultant, month, industry or source, in one currency.

    key             id of the client; ``consultant:ana``; ``2026-03``; the name of the industry that
                    the client is in by now; where their application came from, else how they were
                    found, "" for what is due without anybody
    label           what it is called
    agreed_cents    fees fixed by placements
    rebated_cents   of these, what is not owed any more because somebody left or never came
    due_cents       instalments that fell due, retained ones without a placement too
    at_risk_cents   fees whose guarantee runs on the day asked for
    """

    key: str
    label: str
    currency: str
    agreed_cents: int = 0
    rebated_cents: int = 0
    due_cents: int = 0
    invoiced_cents: int = 0
    paid_cents: int = 0
    credited_cents: int = 0
    refunded_cents: int = 0
    at_risk_cents: int = 0


INDUSTRY = "coalesce(nullif(c.industry, ''), n.industry, '')"  # of the survivor, if known there
KEYS = {
    "client": ("coalesce(o.is_id, m.company_id)::text", "coalesce(o.name, '')"),
    "month": ("to_char(m.at, 'YYYY-MM')", "to_char(m.at, 'YYYY-MM')"),
    "industry": (INDUSTRY, INDUSTRY),
    "source": ("coalesce(m.source, '')", "coalesce(m.source, '')"),
    "consultant": ("''", "''"),  # of whom each has a part
}

MOVED = """
WITH m AS (
  SELECT m.measure, m.at, m.at::date AS day, m.company_id, m.cents, m.currency, f.shares,
    coalesce(f.by, m.by) AS by, coalesce(a.source, s.source) AS source
  FROM fee_movement m LEFT JOIN fee_invoice i USING (invoice_id)
  LEFT JOIN fee_instalment d
    ON d.instalment_id = coalesce(m.instalment_id, i.instalment_id)
  LEFT JOIN fee_placement f ON f.candidacy_id = coalesce(m.candidacy_id, d.candidacy_id)
  LEFT JOIN fee_source a ON a.id = f.candidacy_id LEFT JOIN fee_source s ON s.id = f.person_id
  UNION ALL
  SELECT 'at_risk', placed_at, %(day)s, company_id, fee_cents, currency, shares, by,
    coalesce(a.source, s.source)
  FROM fee_placement f
  LEFT JOIN fee_source a ON a.id = f.candidacy_id LEFT JOIN fee_source s ON s.id = f.person_id
  WHERE NOT over AND guarantee_until_on >= %(day)s)"""

OF_THEM = """
 FROM m LEFT JOIN who o ON o.id = m.company_id
 LEFT JOIN fee_client n USING (company_id)
 LEFT JOIN fee_client c ON c.company_id = coalesce(o.is_id, m.company_id)
 WHERE (%(since)s::timestamptz IS NULL OR m.at >= %(since)s)
 AND (%(until)s::timestamptz IS NULL OR m.at < %(until)s)"""


async def revenue(
    cur: Cursor,
    by: By,
    *,
    on: date,
    team: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[RevenueLine]:
    """What moved at ``since <= at < until``, by the time of the fact, in order of the labels. Joins
    the directory for the clients' names, and for the team.

    on    the day on which a guarantee has to run for its fee to be at risk
    team  what its consultants of the day of each movement have part of; at risk: of ``on``
    """
    asked = {"day": on, "since": since, "until": until}
    if by == "consultant" or team:
        rows = await _parts(cur, by, team, asked)
    else:
        key, label = KEYS[by]
        await cur.execute(
            f"{MOVED} SELECT {key}, {label}, m.currency, m.measure, sum(m.cents)::bigint"
            f" {OF_THEM} GROUP BY 1, 2, 3, 4".encode(),
            asked,
        )
        rows = await cur.fetchall()
    sums: defaultdict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for found, name, currency, measure, cents in rows:
        of = sums[name, found, currency]
        of[f"{measure}_cents"] = of.get(f"{measure}_cents", 0) + cents
    return [
        RevenueLine(key=found, label=name, currency=currency, **of)
        for (name, found, currency), of in sorted(sums.items())
    ]


async def _parts(
    cur: Cursor, by: By, team: str | None, asked: dict[str, Any]
) -> list[tuple[str, str, str, str, int]]:
    """Of each consultant, or of those of a team. Each movement is divided for itself, so that
    whatever is summed up, by whatever, comes to the same."""
    members = await presence(cur, team) if team else None
    key, label = KEYS[by]
    day = "m.day" if team else "NULL"
    await cur.execute(
        f"{MOVED} SELECT {key}, {label}, m.currency, m.measure, coalesce(m.shares, '[]'), m.by,"
        f" {day}, m.cents, count(*) {OF_THEM} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8".encode(),
        asked,
    )
    found = []
    for of, name, currency, measure, shares, writer, moved_on, whole, times in await cur.fetchall():
        for one, cents in _of_each(SHARES.decode(shares), writer, whole):
            if members is None or (one in members and members[one].on(moved_on)):
                line = (one, one) if by == "consultant" else (of, name)
                found.append((*line, currency, measure, cents * times))
    return found


def _of_each(shares: list[Share], writer: str, cents: int) -> list[tuple[str, int]]:
    """Parts sum to the whole, to the minor unit. Whoever wrote it down has all of it, where there
    is no placement."""
    shares = shares or [Share(consultant=writer, share_bp=WHOLE)]
    parts = divided(cents, [share.share_bp for share in shares])
    return [(share.consultant, part) for share, part in zip(shares, parts, strict=True)]
