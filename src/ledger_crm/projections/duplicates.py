"""Duplicates: who is probably one person, or one company, in two records, and why. Somebody looks
at it and merges them (``domain.merging``), or leaves them; nothing merges by itself.

The same contact point, or domain, cannot be on two records. What is left of people is the name: the
same words, in any order, and besides the same birthday or the same employer; two whose birthdays
differ are two. What is left of companies is the name, without its legal form, and domains that
differ in their ending only. Those that were merged and un-merged are two.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.entry import Entry
from ledger_crm.domain.firm import DomainAdded, DomainRemoved, FirmProfileChanged
from ledger_crm.domain.identity import Employed, ProfileChanged
from ledger_crm.domain.merging import Absorbed, Merged, Unmerged
from ledger_crm.domain.person import PersonSourced

from ._projection import Cursor, Projection, Row, Table, plain, stream
from ._who import survivor

Why = Literal["birthday", "employer"]
FirmWhy = Literal["domain", "name"]
LEGAL_FORMS = frozenset(
    (
        *("ab", "ag", "aps", "as", "asa", "bv", "co", "company", "corp", "corporation", "gmbh"),
        *("inc", "incorporated", "kg", "kgaa", "limited", "llc", "llp", "ltd", "mbh", "nv", "oy"),
        *("plc", "pte", "pty", "sa", "sarl", "sas", "se", "spa", "srl", "ug"),
    )
)
SECOND_LEVEL = frozenset({"ac", "co", "com", "gov", "net", "or", "org"})


class AlikeRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    position: int  # of their first entry
    name: str  # its words in the order of the alphabet
    born_on: str


class AlikeAtRow(Row, frozen=True, kw_only=True):
    person_id: UUID
    company_id: UUID


class FirmAlikeRow(Row, frozen=True, kw_only=True):
    company_id: UUID
    position: int  # of its first entry
    name: str  # its words in the order of the alphabet, without its legal form


class LabelRow(Row, frozen=True, kw_only=True):
    domain: str
    company_id: UUID
    label: str  # without what is before and after it: acme of jobs.acme.co.uk


class ApartRow(Row, frozen=True, kw_only=True):
    """They were un-merged, and not merged again."""

    record_id: UUID
    other_id: UUID


alike = Table(
    "alike",
    AlikeRow,
    key="person_id",
    sql="""
    CREATE INDEX alike_name ON alike USING hash (name);
    CREATE INDEX alike_newest ON alike (position DESC);
    """,
)
at = Table(
    "alike_at",
    AlikeAtRow,
    key="person_id, company_id",
)
firms = Table(
    "alike_firm",
    FirmAlikeRow,
    key="company_id",
    sql="""
    CREATE INDEX alike_firm_name ON alike_firm USING hash (name);
    CREATE INDEX alike_firm_newest ON alike_firm (position DESC);
    """,
)
labels = Table(
    "alike_label",
    LabelRow,
    key="domain",
    sql="""
    CREATE INDEX alike_label_same ON alike_label (label);
    CREATE INDEX alike_label_of ON alike_label (company_id);
    """,
)
apart = Table("alike_apart", ApartRow, key="record_id, other_id")
alike.erases()
at.erases()
projection = Projection("duplicates", alike, at, firms, labels, apart, version=5)


def _name(text: str) -> str:
    return " ".join(sorted(plain(text).split()))


@alike.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> AlikeRow:
    fact = entry.event
    return AlikeRow(
        person_id=entry.originator_id,
        position=entry.position,
        name=_name(fact.name),
        born_on=fact.born_on,
    )


@alike.on(ProfileChanged, key=stream)
def profile_changed(row: AlikeRow, entry: Entry[ProfileChanged]) -> AlikeRow:
    fact = entry.event
    kept = "" if "born_on" in fact.cleared else row.born_on
    return replace(row, name=_name(fact.name) or row.name, born_on=fact.born_on or kept)


@at.starts(Employed)
def employed(entry: Entry[Employed]) -> AlikeAtRow:
    return AlikeAtRow(person_id=entry.originator_id, company_id=entry.event.company_id)


def _firm_name(text: str) -> str:
    found = plain(text.replace(".", "")).replace(",", " ").split()
    return " ".join(sorted(word for word in found if word not in LEGAL_FORMS))


@firms.starts(CompanyAdded)
def company_added(entry: Entry[CompanyAdded]) -> FirmAlikeRow:
    return FirmAlikeRow(
        company_id=entry.originator_id,
        position=entry.position,
        name=_firm_name(entry.event.name),
    )


@firms.on(FirmProfileChanged, key=stream)
def company_renamed(row: FirmAlikeRow, entry: Entry[FirmProfileChanged]) -> FirmAlikeRow:
    name = entry.event.name
    return row if name is None else replace(row, name=_firm_name(name))


@labels.starts(CompanyAdded, DomainAdded)
def domain_added(entry: Entry[CompanyAdded | DomainAdded]) -> list[LabelRow]:
    domain = entry.event.domain
    if not domain:
        return []
    before = domain.split(".")[:-1]
    while len(before) > 1 and before[-1] in SECOND_LEVEL:
        before.pop()
    return [
        LabelRow(domain=domain, company_id=entry.originator_id, label=before[-1] if before else "")
    ]


@labels.on(DomainRemoved, key=lambda entry: entry.event.domain)
def domain_removed(row: LabelRow, entry: Entry[DomainRemoved]) -> None:
    return None


def between(entry: Entry[Unmerged | Absorbed | Merged]) -> tuple[UUID, UUID]:
    match entry.event:
        case Unmerged(other_id=id) | Absorbed(duplicate_id=id):
            other_id = id
        case Merged(survivor_id=id):
            other_id = id
    return entry.originator_id, other_id


def two(entry: Entry[Unmerged | Absorbed | Merged]) -> ApartRow:
    record_id, other_id = between(entry)
    return ApartRow(record_id=record_id, other_id=other_id)


apart.starts(Unmerged)(two)


@apart.on(Absorbed, Merged, key=between, start=two)
def one_again(row: ApartRow, entry: Entry[Absorbed | Merged]) -> None:
    return None


# an index ends at the first of the two: the other is of another row
FURTHER = (
    " AND n.position <= %(position)s"
    " AND (n.position, o.position) < (%(position)s, %(older)s::bigint)"
)


class Duplicate(msgspec.Struct, frozen=True, kw_only=True):
    """person_id      the older record
    duplicate_id   the newer one
    why            what is the same beside the name: birthday, employer
    position       of the newer record's first entry, with ``older_position`` to page by
    """

    person_id: UUID
    person: str
    duplicate_id: UUID
    duplicate: str
    why: list[Why]
    position: int
    older_position: int


async def listing(
    cur: Cursor,
    *,
    person_id: UUID | None = None,
    why: Why | None = None,
    before: tuple[int, int] | None = None,
    limit: int = 50,
) -> list[Duplicate]:
    """The newest records first; page by passing the last one's ``(position, older_position)`` as
    ``before``. ``person_id``: pairs of theirs. Joins the directory for the names, and for who is
    merged."""
    theirs = survivor("%(person)s::uuid")
    of_one = (
        f" AND {theirs} IN (n.person_id, o.person_id)"
        f" AND n.name = (SELECT a.name FROM alike a WHERE a.person_id = {theirs})"
    )
    position, older_position = before or (None, None)
    await cur.execute(
        "SELECT o.person_id, coalesce(od.name, ''), n.person_id, coalesce(nd.name, ''), found.why,"
        " n.position, o.position FROM alike n"
        " JOIN alike o ON o.name = n.name AND o.position < n.position"
        " CROSS JOIN LATERAL (SELECT array_remove(ARRAY["
        "   CASE WHEN n.born_on <> '' AND n.born_on = o.born_on THEN 'birthday' END,"
        "   CASE WHEN EXISTS (SELECT FROM alike_at a JOIN alike_at b USING (company_id)"
        "     WHERE a.person_id = n.person_id AND b.person_id = o.person_id) THEN 'employer' END"
        "   ], NULL) AS why) found"
        " LEFT JOIN directory nd ON nd.id = n.person_id"
        " LEFT JOIN directory od ON od.id = o.person_id"
        " WHERE n.name <> '' AND found.why <> '{}'"
        " AND (n.born_on = o.born_on OR '' IN (n.born_on, o.born_on))"
        " AND NOT EXISTS (SELECT FROM directory_merge m WHERE m.id = n.person_id)"
        " AND NOT EXISTS (SELECT FROM directory_merge m WHERE m.id = o.person_id)"
        " AND NOT EXISTS (SELECT FROM alike_apart x"
        "   WHERE x.record_id = n.person_id AND x.other_id = o.person_id)"
        f"{of_one if person_id else ''}"
        " AND (%(why)s::text IS NULL OR %(why)s = ANY(found.why))"
        f"{FURTHER if before else ''}"
        " ORDER BY n.position DESC, o.position DESC LIMIT %(limit)s",
        {"person": person_id, "why": why}
        | {"position": position, "older": older_position, "limit": limit},
    )
    names = Duplicate.__struct_fields__
    return [Duplicate(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]


class CompanyDuplicate(msgspec.Struct, frozen=True, kw_only=True):
    """company_id    the older record
    duplicate_id  the newer one
    why           what is the same: name, domain
    position      of the newer record's first entry, with ``older_position`` to page by
    """

    company_id: UUID
    company: str
    duplicate_id: UUID
    duplicate: str
    why: list[FirmWhy]
    position: int
    older_position: int


async def of_companies(
    cur: Cursor,
    *,
    company_id: UUID | None = None,
    why: FirmWhy | None = None,
    before: tuple[int, int] | None = None,
    limit: int = 50,
) -> list[CompanyDuplicate]:
    """As ``listing``."""
    its = survivor("%(company)s::uuid")
    of_one = (
        f" AND {its} IN (n.company_id, o.company_id)"
        f" AND n.company_id = ANY(ARRAY(SELECT {its}"
        "   UNION SELECT b.company_id FROM alike_firm a JOIN alike_firm b ON b.name = a.name"
        f"   WHERE a.company_id = {its} AND a.name <> ''"
        "   UNION SELECT y.company_id FROM alike_label x JOIN alike_label y ON y.label = x.label"
        f"   WHERE x.company_id = {its} AND x.label <> ''))"
    )
    position, older_position = before or (None, None)
    await cur.execute(
        "SELECT o.company_id, coalesce(od.name, ''), n.company_id, coalesce(nd.name, ''),"
        " found.why, n.position, o.position FROM alike_firm n"
        " CROSS JOIN LATERAL (SELECT same.id, array_agg(DISTINCT same.why ORDER BY same.why) AS why"
        "   FROM (SELECT a.company_id AS id, 'name' AS why FROM alike_firm a"
        "     WHERE a.name = n.name AND n.name <> ''"
        "     UNION ALL SELECT y.company_id, 'domain' FROM alike_label x"
        "     JOIN alike_label y ON y.label = x.label AND x.label <> ''"
        "     WHERE x.company_id = n.company_id) same GROUP BY same.id) found"
        " JOIN alike_firm o ON o.company_id = found.id AND o.position < n.position"
        " LEFT JOIN directory nd ON nd.id = n.company_id"
        " LEFT JOIN directory od ON od.id = o.company_id"
        " WHERE NOT EXISTS (SELECT FROM directory_merge m"
        "   WHERE m.id IN (n.company_id, o.company_id))"
        " AND NOT EXISTS (SELECT FROM alike_apart x"
        "   WHERE x.record_id = n.company_id AND x.other_id = o.company_id)"
        f"{of_one if company_id else ''}"
        " AND (%(why)s::text IS NULL OR %(why)s = ANY(found.why))"
        f"{FURTHER if before else ''}"
        " ORDER BY n.position DESC, o.position DESC LIMIT %(limit)s",
        {"company": company_id, "why": why}
        | {"position": position, "older": older_position, "limit": limit},
    )
    names = CompanyDuplicate.__struct_fields__
    return [CompanyDuplicate(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]


Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def place(item: Duplicate | CompanyDuplicate) -> tuple[Position, Position]:
    """Of an item in one of these lists."""
    return item.position, item.older_position
