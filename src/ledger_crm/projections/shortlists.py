"""Shortlists: who was shown to a client in which version, through which links, who saw it when, and
what was said. And a shortlist as the client sees it.

One row a shortlist, one a version, one for each who is on it; one a presentation, a link, a view, a
verdict (the last of each contact), a comment. A version shows of somebody what was written before
it was drawn, and of who is blind only what was written to be blind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import ERASED, Entry
from ledger_crm.domain.shortlist import (
    ClientCommented,
    LinkFact,
    PresentationWritten,
    ShortlistCommented,
    ShortlistDrawn,
    ShortlistFact,
    ShortlistSeen,
    ShortlistShared,
    ShortlistWithdrawn,
    Shown,
    VerdictGiven,
)

from ._projection import Cursor, Projection, Row, Table, plain
from ._who import everyone


class ShortlistRow(Row, frozen=True, kw_only=True):
    shortlist_id: UUID
    position: int  # of its first version: the order of the list
    company_id: UUID
    job_order_id: UUID
    version: int
    drawn_at: datetime
    by: str
    people: int
    blind: int
    seen_at: datetime | None = None  # the last time


class VersionRow(Row, frozen=True, kw_only=True):
    shortlist_id: UUID
    version: int
    position: int
    drawn_at: datetime
    by: str
    text: str


class ListedRow(Row, frozen=True, kw_only=True):
    shortlist_id: UUID
    version: int
    person_id: UUID
    place: int  # in the order shown, from 0
    candidacy_id: UUID
    label: str
    blind: bool


class PresentationRow(Row, frozen=True, kw_only=True):
    position: int
    candidacy_id: UUID
    person_id: UUID
    blind: bool
    headline: str
    text: str


class LinkRow(Row, frozen=True, kw_only=True):
    link_id: UUID
    position: int
    shortlist_id: UUID
    contact_id: UUID
    version: int  # when it was shared
    shared_at: datetime
    by: str
    until_on: date
    withdrawn_at: datetime | None = None
    reason: str = ""
    seen_at: datetime | None = None  # the last time
    seen_version: int | None = None  # then


class ViewRow(Row, frozen=True, kw_only=True):
    position: int
    shortlist_id: UUID
    link_id: UUID
    contact_id: UUID
    version: int
    seen_at: datetime


class VerdictRow(Row, frozen=True, kw_only=True):
    shortlist_id: UUID
    person_id: UUID
    contact_id: UUID
    position: int
    version: int
    verdict: str
    reason: str
    text: str
    given_at: datetime


class CommentRow(Row, frozen=True, kw_only=True):
    position: int
    shortlist_id: UUID
    contact_id: UUID
    person_id: UUID | None  # None: about all of them
    version: int
    text: str
    commented_at: datetime


shortlists = Table(
    "shortlist",
    ShortlistRow,
    key="shortlist_id",
    sql="""
    CREATE INDEX shortlist_newest ON shortlist (position DESC);
    CREATE INDEX shortlist_company ON shortlist (company_id, position DESC);
    CREATE INDEX shortlist_order ON shortlist (job_order_id, position DESC);
    """,
)
versions = Table("shortlist_version", VersionRow, key="shortlist_id, version")
listed = Table("shortlist_listed", ListedRow, key="shortlist_id, version, person_id")
presentations = Table(
    "shortlist_presentation",
    PresentationRow,
    key="position",
    sql="""
    CREATE INDEX shortlist_presentation_of ON shortlist_presentation (candidacy_id, position DESC);
    CREATE INDEX shortlist_presentation_person ON shortlist_presentation (person_id);
    """,
)
links = Table(
    "shortlist_link",
    LinkRow,
    key="link_id",
    sql="CREATE INDEX shortlist_link_of ON shortlist_link (shortlist_id, position);",
)
views = Table(
    "shortlist_view",
    ViewRow,
    key="position",
    sql="CREATE INDEX shortlist_view_of ON shortlist_view (shortlist_id, position DESC);",
)
verdicts = Table(
    "shortlist_verdict",
    VerdictRow,
    key="shortlist_id, person_id, contact_id",
    sql="CREATE INDEX shortlist_verdict_person ON shortlist_verdict (person_id);",
)
comments = Table(
    "shortlist_comment",
    CommentRow,
    key="position",
    sql="""
    CREATE INDEX shortlist_comment_of ON shortlist_comment (shortlist_id, position);
    CREATE INDEX shortlist_comment_person ON shortlist_comment (person_id);
    """,
)
presentations.erases()
verdicts.erases("text")
comments.erases("text")
projection = Projection(
    "shortlists",
    shortlists, versions, listed, presentations, links, views, verdicts, comments,
    version=5,
)  # fmt: skip


def shortlist(entry: Entry[ShortlistFact]) -> UUID:
    return entry.event.shortlist_id


def link(entry: Entry[LinkFact]) -> UUID:
    return entry.event.link_id


def begun(entry: Entry[ShortlistDrawn]) -> ShortlistRow:
    fact = entry.event
    return ShortlistRow(
        shortlist_id=fact.shortlist_id,
        position=entry.position,
        company_id=entry.originator_id,
        job_order_id=fact.job_order_id,
        version=0,
        drawn_at=fact.drawn_at,
        by=entry.by,
        people=0,
        blind=0,
    )


@shortlists.on(ShortlistDrawn, key=shortlist, start=begun)
def drawn(row: ShortlistRow, entry: Entry[ShortlistDrawn]) -> ShortlistRow:
    fact = entry.event
    return replace(
        row,
        version=fact.version,
        drawn_at=fact.drawn_at,
        by=entry.by,
        people=len(fact.people),
        blind=sum(each.blind for each in fact.people),
    )


@shortlists.on(ShortlistSeen, key=shortlist)
def seen(row: ShortlistRow, entry: Entry[ShortlistSeen]) -> ShortlistRow:
    return replace(row, seen_at=entry.event.seen_at)


@versions.starts(ShortlistDrawn)
def version_drawn(entry: Entry[ShortlistDrawn]) -> VersionRow:
    fact = entry.event
    return VersionRow(
        shortlist_id=fact.shortlist_id,
        version=fact.version,
        position=entry.position,
        drawn_at=fact.drawn_at,
        by=entry.by,
        text=fact.text,
    )


@listed.starts(ShortlistDrawn)
def people_listed(entry: Entry[ShortlistDrawn]) -> list[ListedRow]:
    fact = entry.event
    return [
        ListedRow(
            shortlist_id=fact.shortlist_id,
            version=fact.version,
            person_id=each.person_id,
            place=place,
            candidacy_id=each.candidacy_id,
            label=each.label,
            blind=each.blind,
        )
        for place, each in enumerate(fact.people)
    ]


@presentations.starts(PresentationWritten)
def presented(entry: Entry[PresentationWritten]) -> PresentationRow:
    fact = entry.event
    return PresentationRow(
        position=entry.position,
        candidacy_id=fact.candidacy_id,
        person_id=entry.originator_id,
        blind=fact.blind,
        headline=fact.headline,
        text=fact.text,
    )


@links.starts(ShortlistShared)
def shared(entry: Entry[ShortlistShared]) -> LinkRow:
    fact = entry.event
    return LinkRow(
        link_id=fact.link_id,
        position=entry.position,
        shortlist_id=fact.shortlist_id,
        contact_id=fact.contact_id,
        version=fact.version,
        shared_at=fact.shared_at,
        by=entry.by,
        until_on=fact.until_on,
    )


@links.on(ShortlistWithdrawn, key=link)
def withdrawn(row: LinkRow, entry: Entry[ShortlistWithdrawn]) -> LinkRow:
    return replace(row, withdrawn_at=entry.event.withdrawn_at, reason=entry.event.reason)


@links.on(ShortlistSeen, key=link)
def link_seen(row: LinkRow, entry: Entry[ShortlistSeen]) -> LinkRow:
    return replace(row, seen_at=entry.event.seen_at, seen_version=entry.event.version)


@views.starts(ShortlistSeen)
def viewed(entry: Entry[ShortlistSeen]) -> ViewRow:
    fact = entry.event
    return ViewRow(
        position=entry.position,
        shortlist_id=fact.shortlist_id,
        link_id=fact.link_id,
        contact_id=fact.contact_id,
        version=fact.version,
        seen_at=fact.seen_at,
    )


@verdicts.starts(VerdictGiven)
def judged(entry: Entry[VerdictGiven]) -> VerdictRow:
    fact = entry.event
    return VerdictRow(
        shortlist_id=fact.shortlist_id,
        person_id=entry.originator_id,
        contact_id=fact.contact_id,
        position=entry.position,
        version=fact.version,
        verdict=fact.verdict,
        reason=fact.reason,
        text=fact.text,
        given_at=fact.given_at,
    )


@comments.starts(ShortlistCommented, ClientCommented)
def commented(entry: Entry[ShortlistCommented | ClientCommented]) -> CommentRow:
    fact = entry.event
    return CommentRow(
        position=entry.position,
        shortlist_id=fact.shortlist_id,
        contact_id=fact.contact_id,
        person_id=entry.originator_id if isinstance(fact, ClientCommented) else None,
        version=fact.version,
        text=fact.text,
        commented_at=fact.commented_at,
    )


class ShortlistListed(msgspec.Struct, frozen=True, kw_only=True):
    """version   the newest one
    blind     how many of the people on it are
    seen_at   by a client, the last time that was written down
    position  of its first version, to page by
    """

    id: UUID
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    version: int
    drawn_at: datetime
    by: str
    people: int
    blind: int
    seen_at: datetime | None
    position: int


class VersionShown(msgspec.Struct, frozen=True):
    """text  to the client, about all of them"""

    version: int
    drawn_at: datetime
    by: str
    text: str


class Verdict(msgspec.Struct, frozen=True):
    """version  the one that they had before them"""

    contact_id: UUID
    contact: str
    version: int
    verdict: str
    reason: str
    text: str
    given_at: datetime


class PersonOnIt(msgspec.Struct, frozen=True, kw_only=True):
    """headline, text  as this version shows them, apart from what is left out of a blind one"""

    label: str
    person_id: UUID
    person: str
    candidacy_id: UUID
    blind: bool
    headline: str
    text: str
    verdicts: list[Verdict]


class LinkShown(msgspec.Struct, frozen=True):
    """version       the newest one when it was shared
    seen_at       the last time that was written down: once a day in each version
    seen_version  then
    """

    id: UUID
    contact_id: UUID
    contact: str
    version: int
    shared_at: datetime
    by: str
    until_on: date
    withdrawn_at: datetime | None
    reason: str
    seen_at: datetime | None
    seen_version: int | None


class Seen(msgspec.Struct, frozen=True):
    link_id: UUID
    contact_id: UUID
    contact: str
    version: int
    seen_at: datetime


class Comment(msgspec.Struct, frozen=True):
    """label  of whom; null: about all of them"""

    contact_id: UUID
    contact: str
    label: str | None
    version: int
    text: str
    commented_at: datetime


class ShortlistShown(msgspec.Struct, frozen=True, kw_only=True):
    """versions  the newest first, at most 100
    people    on the newest one, or on the one asked for
    views     the newest first, at most 100
    comments  likewise
    """

    id: UUID
    company_id: UUID
    company: str
    job_order_id: UUID
    job_order: str
    versions: list[VersionShown]
    people: list[PersonOnIt]
    links: list[LinkShown]
    views: list[Seen]
    comments: list[Comment]


class OwnVerdict(msgspec.Struct, frozen=True):
    verdict: str
    reason: str
    text: str
    given_at: datetime


class OwnComment(msgspec.Struct, frozen=True):
    text: str
    commented_at: datetime


class Job(msgspec.Struct, frozen=True):
    title: str
    company: str


class CandidateShown(msgspec.Struct, frozen=True, kw_only=True):
    """candidate  the label: what to call them in a verdict or a comment
    available  false: no longer, and nothing else is told
    name       null: they are shown blind
    works_at   where they work now; empty if they are shown blind
    """

    candidate: str
    available: bool
    name: str | None
    works_at: list[Job]
    headline: str
    text: str
    verdict: OwnVerdict | None
    comments: list[OwnComment]


class ClientView(msgspec.Struct, frozen=True, kw_only=True):
    """text      to the client, about all of them; empty once somebody on it is erased
    until_on  the last day on which the link opens; null in a preview
    comments  of whose link it is, about all of them; of a candidate's they stand there
    """

    company: str
    job_order: str
    version: int
    drawn_at: datetime
    text: str
    until_on: date | None
    candidates: list[CandidateShown]
    comments: list[OwnComment]


LISTED = """
SELECT s.shortlist_id, coalesce(c.is_id, s.company_id), coalesce(c.name, ''), s.job_order_id,
       coalesce(j.name, ''),
       s.version, s.drawn_at, s.by, s.people, s.blind, s.seen_at, s.position
FROM shortlist s
LEFT JOIN who c ON c.id = s.company_id
LEFT JOIN directory j ON j.id = s.job_order_id
"""

ON_IT = """
SELECT l.label, l.person_id, coalesce(d.name, ''), l.candidacy_id, l.blind,
       coalesce(p.headline, ''), coalesce(p.text, ''), coalesce(d.is_id, l.person_id),
       coalesce(own.name, '')
FROM shortlist_listed l
JOIN shortlist_version v USING (shortlist_id, version)
LEFT JOIN who d ON d.id = l.person_id
LEFT JOIN directory own ON own.id = l.person_id
LEFT JOIN LATERAL (
    SELECT headline, text FROM shortlist_presentation p
    WHERE p.candidacy_id = l.candidacy_id AND p.position < v.position AND (p.blind OR NOT l.blind)
    ORDER BY p.position DESC LIMIT 1
) p ON true
WHERE l.shortlist_id = %s AND l.version = %s ORDER BY l.place
"""


async def listing(
    cur: Cursor,
    *,
    company_id: UUID | None = None,
    job_order_id: UUID | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[ShortlistListed]:
    """The last begun first; page by passing the last one's position as ``before``. Joins the
    directory for the names."""
    await cur.execute(
        f"{LISTED} WHERE (%(company)s::uuid IS NULL"
        f" OR s.company_id = ANY({everyone('%(company)s::uuid')}))"
        " AND (%(order)s::uuid IS NULL OR s.job_order_id = %(order)s)"
        " AND (%(before)s::bigint IS NULL OR s.position < %(before)s)"
        " ORDER BY s.position DESC LIMIT %(limit)s",
        {"company": company_id, "order": job_order_id, "before": before, "limit": limit},
    )
    names = ShortlistListed.__struct_fields__
    return [ShortlistListed(**dict(zip(names, row, strict=True))) for row in await cur.fetchall()]


async def one(
    cur: Cursor, shortlist_id: UUID, *, version: int | None = None
) -> ShortlistShown | None:
    """None too if there is no such version. Joins the directory for the names."""
    await cur.execute(f"{LISTED} WHERE s.shortlist_id = %s", (shortlist_id,))
    row = await cur.fetchone()
    if row is None:
        return None
    id, company_id, company, job_order_id, job_order, newest, *_ = row
    chosen = version or newest
    if not 1 <= chosen <= newest:
        return None
    labels = dict(
        await _rows(cur, "SELECT DISTINCT person_id, label FROM shortlist_listed", shortlist_id)
    )
    said = await _rows(
        cur,
        "SELECT v.person_id, v.contact_id, coalesce(d.name, ''), v.version, v.verdict, v.reason,"
        " v.text, v.given_at FROM shortlist_verdict v LEFT JOIN who d ON d.id = v.contact_id",
        shortlist_id,
        "ORDER BY v.given_at",
    )
    await cur.execute(ON_IT, (shortlist_id, chosen))
    found = await cur.fetchall()
    people = [
        PersonOnIt(
            label=label,
            person_id=known_as,
            person=name,
            candidacy_id=candidacy_id,
            blind=blind,
            headline=headline,
            text=text,
            verdicts=[Verdict(*verdict) for whose, *verdict in said if whose == person_id],
        )
        for label, person_id, name, candidacy_id, blind, headline, text, known_as, _ in found
    ]
    drawn = await _rows(
        cur,
        "SELECT version, drawn_at, by, text FROM shortlist_version",
        shortlist_id,
        "ORDER BY version DESC LIMIT 100",
    )
    through = await _rows(
        cur,
        "SELECT l.link_id, l.contact_id, coalesce(d.name, ''), l.version, l.shared_at, l.by,"
        " l.until_on, l.withdrawn_at, l.reason, l.seen_at, l.seen_version FROM shortlist_link l"
        " LEFT JOIN who d ON d.id = l.contact_id",
        shortlist_id,
        "ORDER BY l.position",
    )
    looked = await _rows(
        cur,
        "SELECT v.link_id, v.contact_id, coalesce(d.name, ''), v.version, v.seen_at"
        " FROM shortlist_view v LEFT JOIN who d ON d.id = v.contact_id",
        shortlist_id,
        "ORDER BY v.position DESC LIMIT 100",
    )
    told = await _rows(
        cur,
        "SELECT c.person_id, c.contact_id, coalesce(d.name, ''), c.version, c.text, c.commented_at"
        " FROM shortlist_comment c LEFT JOIN who d ON d.id = c.contact_id",
        shortlist_id,
        "ORDER BY c.position DESC LIMIT 100",
    )
    return ShortlistShown(
        id=id,
        company_id=company_id,
        company=company,
        job_order_id=job_order_id,
        job_order=job_order,
        versions=[VersionShown(*each) for each in drawn],
        people=people,
        links=[LinkShown(*each) for each in through],
        views=[Seen(*each) for each in looked],
        comments=[
            Comment(contact_id, contact, labels.get(person_id), *rest)
            for person_id, contact_id, contact, *rest in told
        ],
    )


async def as_client_sees(
    cur: Cursor,
    shortlist_id: UUID,
    *,
    shown: Sequence[Shown],
    link_id: UUID | None = None,
) -> ClientView | None:
    """The newest version, of each no more than ``shown`` allows, and of what clients said only what
    the holder of this link said. Joins the directory for the names. None too if another version was
    drawn than that of ``shown``."""
    await cur.execute(
        "SELECT coalesce(c.name, ''), coalesce(j.name, ''), s.version, v.drawn_at, v.text,"
        " l.until_on, l.contact_id FROM shortlist s"
        " JOIN shortlist_version v USING (shortlist_id, version)"
        " LEFT JOIN shortlist_link l ON l.shortlist_id = s.shortlist_id AND l.link_id = %s"
        " LEFT JOIN who c ON c.id = s.company_id"
        " LEFT JOIN directory j ON j.id = s.job_order_id WHERE s.shortlist_id = %s",
        (link_id, shortlist_id),
    )
    row = await cur.fetchone()
    if row is None:
        return None
    company, job_order, version, drawn_at, text, until_on, contact_id = row
    await cur.execute(ON_IT, (shortlist_id, version))
    found = {row[1]: row for row in await cur.fetchall()}
    if [*found] != [each.listed.person_id for each in shown]:
        return None
    employers = await _names(cur, [id for each in shown for _, id in each.jobs])
    given = {
        person_id: OwnVerdict(*rest)
        for person_id, whose, *rest in await _rows(
            cur,
            "SELECT person_id, contact_id, verdict, reason, text, given_at FROM shortlist_verdict",
            shortlist_id,
        )
        if whose == contact_id
    }

    def hidden(each: Shown) -> list[list[str]]:
        return _hidden(each, found[each.listed.person_id], employers)

    # whose name nobody knows any more cannot be taken out of what was written about all of them
    if any(found[each.listed.person_id][2] == ERASED for each in shown):
        text = ""
    said: dict[UUID | None, list[OwnComment]] = {}
    for person_id, whose, *rest in await _rows(
        cur,
        "SELECT person_id, contact_id, text, commented_at FROM shortlist_comment",
        shortlist_id,
        "ORDER BY position",
    ):
        if whose == contact_id:
            said.setdefault(person_id, []).append(OwnComment(*rest))
    return ClientView(
        company=company,
        job_order=job_order,
        version=version,
        drawn_at=drawn_at,
        text=without(text, [run for each in shown for run in hidden(each)]),
        until_on=until_on,
        candidates=[
            _candidate(
                each,
                found[each.listed.person_id],
                employers,
                given.get(each.listed.person_id),
                said.get(each.listed.person_id, []),
            )
            for each in shown
        ],
        comments=said.get(None, []),
    )


def _candidate(
    shown: Shown,
    row: tuple[Any, ...],
    employers: dict[UUID, str],
    verdict: OwnVerdict | None,
    comments: list[OwnComment],
) -> CandidateShown:
    label, _, name, _, _, headline, text, *_ = row
    if not shown.available:
        return CandidateShown(
            candidate=label, available=False, name=None, works_at=[], headline="", text="",
            verdict=None, comments=[],
        )  # fmt: skip
    jobs = [Job(title, employers.get(id, "")) for title, id in shown.jobs]
    if not shown.named:
        hidden = _hidden(shown, row, employers)
        name, headline, text = None, blinded(headline, hidden), blinded(text, hidden)
        jobs = []
    return CandidateShown(
        candidate=label,
        available=True,
        name=name,
        works_at=jobs,
        headline=headline,
        text=text,
        verdict=verdict,
        comments=comments,
    )


HIDDEN = "[…]"
REACHED_AT = re.compile(
    r"\S+@\S+"  # an e-mail address
    r"|(?:https?://|www\.)\S+|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/\S+"  # a page of theirs
    r"|(?P<number>\+?\(?\d(?:[\s()./-]{0,2}\d){6,})"  # a phone number
)
YEARS_OR_MANY = re.compile(r"(?:19|20)\d\d\s?[-/]\s?(?:19|20)\d\d|\d{1,3}(?:[ .]\d{3})+")
LEGAL = re.compile(r"ag|bv|co|corp|gmbh|inc|kg|limited|ll[cp]|ltd|nv|oy|plc|sa|sarl|sas|se|srl")


def blinded(text: str, hidden: Sequence[list[str]]) -> str:
    """Without addresses and numbers either. Whoever writes a blind presentation leaves all of that
    out: this is for what slipped in."""
    return without(REACHED_AT.sub(_unless_a_count, text), hidden)


def without(text: str, hidden: Sequence[list[str]]) -> str:
    """Without these runs of words, in capitals or not, with accents or not."""
    found = [(plain(word[0]), *word.span()) for word in re.finditer(r"\w+", text)]
    words = [word for word, _, _ in found]
    spans = [
        (found[at][1], found[at + len(run) - 1][2])
        for run in hidden
        if run
        for at in range(len(words) - len(run) + 1)
        if words[at : at + len(run)] == run
    ]
    kept, end = "", 0
    for start, stop in sorted(spans):
        if start >= end:
            kept += text[end:start] + HIDDEN
        end = max(end, stop)
    return kept + text[end:]


def _hidden(shown: Shown, row: tuple[Any, ...], employers: dict[UUID, str]) -> list[list[str]]:
    """Words of the name and of where they work; none of who is shown by name."""
    if shown.available and shown.named:
        return []
    at = (_of_a_company(employers.get(id, "")) for _, id in shown.jobs)
    return [*_of_a_name(row[2]), *_of_a_name(row[-1]), *at]  # also as it was before a merge


def _unless_a_count(found: re.Match[str]) -> str:
    number = found["number"]
    return number if number and YEARS_OR_MANY.fullmatch(number) else HIDDEN


def _of_a_name(name: str) -> list[list[str]]:
    """Each of its words, but no lone letters: they are in every text."""
    return [[plain(word)] for word in re.findall(r"\w+", name) if len(word) > 1]


def _of_a_company(name: str) -> list[str]:
    """Its words, without the legal form at the end, which people leave out."""
    words = [plain(word) for word in re.findall(r"\w+", name)]
    while len(words) > 1 and LEGAL.fullmatch(words[-1]):
        words.pop()
    return words


async def _rows(cur: Cursor, query: str, shortlist_id: UUID, order: str = "") -> list[Any]:
    await cur.execute(f"{query} WHERE shortlist_id = %s {order}".encode(), (shortlist_id,))
    return await cur.fetchall()


async def _names(cur: Cursor, ids: Sequence[UUID]) -> dict[UUID, str]:
    await cur.execute("SELECT id, name FROM directory WHERE id = ANY(%s)", (list(ids),))
    return dict(await cur.fetchall())
