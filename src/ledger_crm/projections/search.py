"""Search: people and companies by words of their names, headlines, skills, notes, job titles, job
orders and custom fields. One row a subject, one row a note, one row a value of anything else.

PostgreSQL's full text with the dictionary ``simple``, since names are of every language; without
capitals and accents, which the folds take off; words may be begun only. Names with a typo are found
by trigrams, where the server has pg_trgm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.company import CompanyAdded
from ledger_crm.domain.custom import (
    CustomFieldCleared,
    CustomFieldSet,
    FirmFieldCleared,
    FirmFieldSet,
    is_erased,
)
from ledger_crm.domain.entry import Entry, words
from ledger_crm.domain.identity import ContactPointRemoved, Employed, ProfileChanged
from ledger_crm.domain.interaction import (
    CallHeld,
    CompanyCalled,
    CompanyInteractions,
    CompanyNoted,
    MeetingHeld,
    NoteWritten,
)
from ledger_crm.domain.joborder import JobOrderChanged, JobOrderOpened
from ledger_crm.domain.person import ContactPointAdded, PersonSourced

from ._projection import Cursor, Projection, Row, Table, plain, stream

Kind = Literal["person", "company"]

MOST = 4_000  # characters of a field that are searched: PostgreSQL takes 1 MB of words a row
ALIKE = 0.45  # of the trigrams of what is asked, at least so many are in a name


class SubjectRow(Row, frozen=True, kw_only=True):
    subject_id: UUID
    kind: str
    names: str
    headline: str
    skills: str = ""
    place: str = ""


class NoteRow(Row, frozen=True, kw_only=True):
    position: int
    subject_id: UUID
    words: str


class FieldRow(Row, frozen=True, kw_only=True):
    subject_id: UUID
    of: str  # id of what of theirs it is about
    field: str  # of a custom one its slug; of what is always asked for, a name with a dot
    words: str = ""
    job_order_id: UUID | None = None  # that it is about, or is on


WORDS = """(setweight(to_tsvector('simple', names), 'A')
    || setweight(to_tsvector('simple', headline), 'B')
    || setweight(to_tsvector('simple', skills), 'B')
    || setweight(to_tsvector('simple', place), 'C'))"""

subjects = Table(
    "search_subject",
    SubjectRow,
    key="subject_id",
    sql=f"""
    CREATE INDEX search_words ON search_subject USING gin ({WORDS});
    DO $$ DECLARE home text; BEGIN
        SELECT n.nspname INTO home FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
            WHERE e.extname = 'pg_trgm';
        IF home IS NOT NULL THEN
            EXECUTE format(
                'CREATE INDEX ON search_subject USING gin (names %I.gin_trgm_ops)', home);
            EXECUTE format(
                'CREATE INDEX ON search_subject USING gin (skills %I.gin_trgm_ops)', home);
        END IF;
    END $$;
    """,
)
notes = Table(
    "search_note",
    NoteRow,
    key="position",
    sql="""
    CREATE INDEX search_note_words ON search_note USING gin (to_tsvector('simple', words));
    CREATE INDEX search_note_of ON search_note (subject_id);
    """,
)
fields = Table(
    "search_field",
    FieldRow,
    key="subject_id, of, field",
    sql="CREATE INDEX search_field_words ON search_field USING gin (to_tsvector('simple', words));",
)
for of_somebody in (subjects, notes, fields):
    of_somebody.erases(of="subject_id")
projection = Projection("search", subjects, notes, fields, version=8, parallel="stream")


@subjects.starts(PersonSourced)
def person_sourced(entry: Entry[PersonSourced]) -> SubjectRow:
    fact = entry.event
    return SubjectRow(
        subject_id=entry.originator_id,
        kind="person",
        names=_sought(fact.name),
        headline=_sought(fact.headline),
    )


@subjects.on(ProfileChanged, key=stream)
def profile_changed(row: SubjectRow, entry: Entry[ProfileChanged]) -> SubjectRow:
    fact = entry.event

    def now(name: str, before: str) -> str:
        return "" if name in fact.cleared else _sought(getattr(fact, name)) or before

    return replace(
        row,
        names=now("name", row.names),
        headline=now("headline", row.headline),
        skills=now("skills", row.skills),
        place=now("location", row.place),
    )


@subjects.starts(CompanyAdded)
def company_added(entry: Entry[CompanyAdded]) -> SubjectRow:
    fact = entry.event
    return SubjectRow(
        subject_id=entry.originator_id,
        kind="company",
        names=_sought(f"{fact.name} {fact.domain}"),
        headline=_sought(f"{fact.industry} {fact.specialty}"),
        place=_sought(fact.location),
    )


@notes.starts(NoteWritten, CallHeld, MeetingHeld, CompanyNoted, CompanyCalled)
def noted(
    entry: Entry[NoteWritten | CallHeld | MeetingHeld | CompanyInteractions],
) -> list[NoteRow]:
    text = plain(entry.event.text)
    if not text.strip():
        return []
    return [NoteRow(position=entry.position, subject_id=entry.originator_id, words=text)]


Known = CustomFieldSet | CustomFieldCleared | FirmFieldSet | FirmFieldCleared


def known(entry: Entry[Known]) -> tuple[UUID, str, str]:
    fact = entry.event
    match fact:
        case CustomFieldSet() | CustomFieldCleared():
            of = fact.candidacy_id
        case _:
            of = fact.job_order_id or fact.deal_id
    return entry.originator_id, str(of or ""), fact.field


def begun(entry: Entry[Known]) -> FieldRow:
    subject_id, of, field = known(entry)
    order = entry.event.job_order_id
    return FieldRow(subject_id=subject_id, of=of, field=field, job_order_id=order)


@fields.on(
    CustomFieldSet, CustomFieldCleared, FirmFieldSet, FirmFieldCleared, key=known, start=begun
)
def learned(row: FieldRow, entry: Entry[Known]) -> FieldRow | None:
    """Of text and choices; nobody looks for amounts and days by words."""
    fact = entry.event
    if not isinstance(fact, CustomFieldSet | FirmFieldSet) or is_erased(fact):
        return None
    if fact.type not in ("text", "choice", "multi_choice"):
        return None
    said = fact.value or fact.text
    return replace(row, words=_sought(said if fact.type == "text" else words(said)))


def title(entry: Entry[Employed]) -> tuple[UUID, str, str] | None:
    fact = entry.event
    return (entry.originator_id, str(fact.company_id), "job.title") if fact.title else None


def employed_there(entry: Entry[Employed]) -> FieldRow:
    return _begun(title(entry))


@fields.on(Employed, key=title, start=employed_there)
def employed(row: FieldRow, entry: Entry[Employed]) -> FieldRow:
    return replace(row, words=_sought(entry.event.title))


def mailbox(entry: Entry[ContactPointAdded | ContactPointRemoved]) -> tuple[UUID, str, str] | None:
    """Without the address itself: it may be read as erased by then."""
    fact = entry.event
    of = hashlib.sha256(fact.value.encode()).hexdigest()
    return (entry.originator_id, of, "contact.email") if fact.point == "email" else None


def reached_first(entry: Entry[ContactPointAdded | ContactPointRemoved]) -> FieldRow:
    return _begun(mailbox(entry))


@fields.on(ContactPointAdded, ContactPointRemoved, key=mailbox, start=reached_first)
def reached(
    row: FieldRow, entry: Entry[ContactPointAdded | ContactPointRemoved]
) -> FieldRow | None:
    there = isinstance(entry.event, ContactPointAdded)
    return replace(row, words=_sought(entry.event.value)) if there else None


Ordered = JobOrderOpened | JobOrderChanged


def wanted(entry: Entry[Ordered]) -> tuple[UUID, str, str] | None:
    fact = entry.event
    return (entry.originator_id, str(fact.job_order_id), "order.title") if fact.title else None


def number(entry: Entry[Ordered]) -> tuple[UUID, str, str] | None:
    fact = entry.event
    of = str(fact.job_order_id)
    return (entry.originator_id, of, "order.requisition") if fact.requisition else None


def wanted_first(entry: Entry[Ordered]) -> FieldRow:
    return replace(_begun(wanted(entry)), job_order_id=entry.event.job_order_id)


def numbered_first(entry: Entry[Ordered]) -> FieldRow:
    return replace(_begun(number(entry)), job_order_id=entry.event.job_order_id)


@fields.on(JobOrderOpened, JobOrderChanged, key=wanted, start=wanted_first)
def called(row: FieldRow, entry: Entry[Ordered]) -> FieldRow:
    return replace(row, words=_sought(entry.event.title or ""))


@fields.on(JobOrderOpened, JobOrderChanged, key=number, start=numbered_first)
def numbered(row: FieldRow, entry: Entry[Ordered]) -> FieldRow:
    return replace(row, words=_sought(entry.event.requisition or ""))


def _begun(key: tuple[UUID, str, str] | None) -> FieldRow:
    assert key, "without a key nothing begins"
    subject_id, of, field = key
    return FieldRow(subject_id=subject_id, of=of, field=field)


def _sought(text: str) -> str:
    return plain(text)[:MOST].strip()


class Hit(msgspec.Struct, frozen=True):
    """found_in  profile, notes, fields: a custom field, an e-mail address, a job title, or
    the title or the number of a job order; name, skill: it only looks alike"""

    id: UUID
    kind: str
    name: str
    found_in: list[str]


class Hits(msgspec.Struct, frozen=True):
    """typos  whether names and skills with a typo are found too"""

    items: list[Hit]
    typos: bool


async def trigrams(cur: Cursor) -> str | None:
    """The schema of pg_trgm, if it is installed."""
    await cur.execute(
        "SELECT quote_ident(n.nspname) FROM pg_extension e"
        " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'"
    )
    row = await cur.fetchone()
    return str(row[0]) if row else None


async def hits(
    cur: Cursor,
    words: str,
    *,
    kind: Kind | None = None,
    besides: Collection[UUID] = (),
    limit: int = 20,
) -> Hits:
    """Who has all of these words, or words that begin so, in their profile, in one note, in one job
    title, e-mail address or custom field, or in the title or the number of one job order; or whose
    name or skills look alike. The best first. ``besides``: job orders by whose words nobody is
    found, nor by those of what is on them. Joins the directory for the names."""
    home = await trigrams(cur)

    def like(told: str, column: str, unless: str = "false") -> str:
        close = f"({home}.word_similarity(%(plain)s, s.{column}))"
        return f"""
    UNION ALL (SELECT s.subject_id, '{told}', {close} * 0.2 FROM search_subject s
        WHERE %(plain)s OPERATOR({home}.<%%) s.{column} AND {close} >= {ALIKE} AND NOT ({unless})
        AND (%(kind)s::text IS NULL OR s.kind = %(kind)s) ORDER BY 3 DESC LIMIT 200)"""

    alike = like("name", "names") + like(
        "skill", "skills", f"{WORDS} @@ to_tsquery('simple', %(query)s)"
    )
    if home:
        await cur.execute(
            "SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", (str(ALIKE),)
        )
    await cur.execute(
        f"""
    WITH found (subject_id, found_in, score) AS (
        (SELECT s.subject_id, 'profile', ts_rank({WORDS}, to_tsquery('simple', %(query)s)) + 1
        FROM search_subject s WHERE {WORDS} @@ to_tsquery('simple', %(query)s)
        AND (%(kind)s::text IS NULL OR s.kind = %(kind)s) ORDER BY 3 DESC LIMIT 200)
    UNION ALL (SELECT n.subject_id, 'notes',
        max(ts_rank(to_tsvector('simple', n.words), to_tsquery('simple', %(query)s))) * 0.5
        FROM search_note n JOIN search_subject s USING (subject_id)
        WHERE to_tsvector('simple', n.words) @@ to_tsquery('simple', %(query)s)
        AND (%(kind)s::text IS NULL OR s.kind = %(kind)s)
        GROUP BY 1 ORDER BY 3 DESC LIMIT 200)
    UNION ALL (SELECT k.subject_id, 'fields',
        max(ts_rank(to_tsvector('simple', k.words), to_tsquery('simple', %(query)s))) * 0.5
        FROM search_field k JOIN search_subject s USING (subject_id)
        WHERE to_tsvector('simple', k.words) @@ to_tsquery('simple', %(query)s)
        AND (k.job_order_id IS NULL OR k.job_order_id <> ALL(%(besides)s))
        AND (%(kind)s::text IS NULL OR s.kind = %(kind)s)
        GROUP BY 1 ORDER BY 3 DESC LIMIT 200){alike if home else ""})
    SELECT f.is_id, f.kind, f.name, array_agg(f.found_in ORDER BY f.score DESC) FROM (
        SELECT coalesce(d.is_id, f.subject_id) AS is_id, s.kind, coalesce(d.name, '') AS name,
            f.found_in, max(f.score) AS score
        FROM found f JOIN search_subject s USING (subject_id)
        LEFT JOIN who d ON d.id = f.subject_id GROUP BY 1, 2, 3, 4) f
    GROUP BY 1, 2, 3 ORDER BY sum(f.score) DESC, f.is_id LIMIT %(limit)s""",
        {
            "query": _query(words),
            "plain": plain(words),
            "kind": kind,
            "besides": list(besides),
            "limit": limit,
        },
    )
    return Hits([Hit(*row) for row in await cur.fetchall()], home is not None)


def _query(words: str) -> str:
    """Each word as it is, and what begins with it; nothing in it is an operator."""
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in plain(words).split())
    return " & ".join(f"'{word}':*" for word in quoted)
