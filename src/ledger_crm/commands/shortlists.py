"""Shortlists: whom a client is shown, through which link, and what it says of them.

Whether somebody may be shown is decided on the ledger itself each time that a link is opened, and
never on a read model: what was withdrawn, closed or erased a moment ago is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from ledger_crm.domain.clock import now, today
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Actor, Reason, Sealed, new_id
from ledger_crm.domain.person import Person
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.shortlist import (
    MOST_PEOPLE,
    ClientCommented,
    ClientVerdict,
    Door,
    Label,
    LinkIsOver,
    Listed,
    NotAContact,
    NotAvailable,
    NothingToShow,
    NotIntroducedYet,
    Shortlist,
    Shown,
    VerdictGiven,
    digest_of,
)
from ledger_crm.ledger import Ledger, StaleVersion, Work
from ledger_crm.store import Claim

from .candidacies import introduce


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to be shown, and how.

    blind     without name and employer
    headline  together with text: what speaks for them. Left out, what was written for the version
              before is shown again
    """

    person_id: UUID
    blind: bool = False
    headline: Sealed = ""
    text: Sealed = ""


Candidates = Annotated[tuple[Candidate, ...], msgspec.Meta(min_length=1, max_length=MOST_PEOPLE)]


async def draw(
    work: Work,
    company_id: UUID,
    *,
    people: Sequence[Candidate],
    at: datetime,
    job_order_id: UUID | None = None,
    shortlist_id: UUID | None = None,
    introduces: bool = False,
    text: str = "",
) -> Company:
    """The first version of a new shortlist, or the next one of ``shortlist_id``: whoever has a link
    sees it at once, so who is on it by name has to be introduced. ``introduces``: this does it.

    Raises NoSuchRecord, NoSuchShortlist, JobOrderIsClosed, ListedTwice, NoSuchCandidacy,
    CandidacyIsClosed, NoConsent, DoNotContact, NothingToShow, and as ``_introduce``."""
    company = await work.get(Company, company_id)
    links = []
    if shortlist_id:
        found = company.shortlist(shortlist_id)
        job_order_id, links = found.job_order_id, found.open_links(today())
    assert job_order_id, "a new shortlist is of a job order"
    company.order_in_work(job_order_id)
    await work.load([each.person_id for each in people])
    drawn = []
    for each in people:
        person = await work.get(Person, each.person_id)
        id = person.candidacy_on(job_order_id)
        await _presentable(work, each.person_id, id)
        drawn.append((person.with_candidacy(id).id, id, each.blind))
        if each.headline or each.text:
            person.present(
                id, blind=each.blind, headline=each.headline, text=each.text, at=at, by=work.by
            )
    if links:
        named = [(person_id, id) for person_id, id, blind in drawn if not blind]
        contact_id = links[0].contact_id if len(links) == 1 else None
        await _introduce(work, named, contact_id, introduces=introduces, at=at)
    work.last(company).draw_shortlist(
        shortlist_id or new_id(),
        job_order_id,
        drawn,
        at=at,
        text=text,
        by=work.by,
    )
    return company


async def share(
    work: Work,
    company_id: UUID,
    shortlist_id: UUID,
    *,
    contact_id: UUID,
    digest: str,
    until_on: date,
    at: datetime,
    introduces: bool = False,
) -> Company:
    """By the link with this digest. Who is on it by name has to be introduced. ``introduces``: this
    does it, to this contact.

    Raises NoSuchRecord, NoSuchShortlist, NotAContact, LastsUntilBefore,
    LinkLastsTooLong, and as ``_introduce``."""
    company = await work.get(Company, company_id)
    found = company.shortlist(shortlist_id)
    contact = await work.get(Person, contact_id)
    if not _works_at(contact, company) or await _erased(work.ledger, [contact_id]):
        raise NotAContact(contact_id=contact_id)
    named = [(each.person_id, each.candidacy_id) for each in found.people if not each.blind]
    await _introduce(work, named, contact_id, introduces=introduces, at=at)
    work.last(company).share_shortlist(
        shortlist_id,
        new_id(),
        contact_id=contact_id,
        digest=digest,
        until_on=until_on,
        at=at,
        by=work.by,
    )
    return company


async def withdraw(
    work: Work,
    company_id: UUID,
    shortlist_id: UUID,
    *,
    link_id: UUID | None = None,
    at: datetime,
    reason: Reason = "",
    text: str = "",
) -> Company:
    """Raises NoSuchRecord, NoSuchShortlist, NoSuchLink."""
    company = await work.get(Company, company_id)
    company.withdraw_shortlist(
        shortlist_id, link_id=link_id, at=at, reason=reason, text=text, by=work.by
    )
    return company


async def door_of(ledger: Ledger, text: str) -> Door | None:
    """Where this link leads; None if it is no link of ours. Found by a keyed hash of the digest, so
    that a guess costs one look at an index. Raises LinkIsOver, Unavailable."""
    digest = digest_of(text)
    if digest is None:
        return None
    claim = Claim(
        ledger.store.keyring.hash_of("shortlist_link", digest), "shortlist_link", new_id()
    )
    holder = (await ledger.run(ledger.store.holders, [claim])).get(claim.key)
    if holder is None:
        return None
    company = await ledger.get(Company, holder)
    door = company.door(digest)
    if door:
        company.shortlist(door.shortlist_id).link(door.link_id).must_open(today())
    return door


class Look(msgspec.Struct, frozen=True):
    """What the holder of a link may see, and whether it is written down already that they did."""

    version: int
    shown: list[Shown]
    seen: bool


async def look(ledger: Ledger, door: Door) -> Look:
    """As it is now. Raises LinkIsOver."""
    work = Work(ledger, door.actor)
    _, found = await _behind(work, door.company_id, door)
    seen = found.link(door.link_id).is_seen(found.version, today())
    return Look(found.version, await showing(work, found), seen)


async def see(work: Work, company_id: UUID, door: Door, looked: Look) -> Company:
    """They saw what they were shown; written down before they are answered, and not before there is
    an answer. Raises LinkIsOver; StaleVersion if another version was drawn meanwhile."""
    company, found = await _behind(work, company_id, door)
    if found.version != looked.version:
        raise StaleVersion(expected=looked.version, found=found.version)
    people = [each.listed.person_id for each in looked.shown if each.available]
    company.see_shortlist(door, people, at=now())
    return company


async def preview(ledger: Ledger, company_id: UUID, shortlist_id: UUID) -> list[Shown]:
    """What the holder of a link would see. Raises NoSuchRecord, NoSuchShortlist."""
    work = Work(ledger, Actor(""))
    company = await work.get(Company, company_id)
    return await showing(work, company.shortlist(shortlist_id))


async def comment(
    work: Work, company_id: UUID, door: Door, *, text: str, candidate: Label | None = None
) -> Company | Person:
    """About one candidate, or about all of them. Raises LinkIsOver, NoSuchCandidate, NotAvailable,
    NothingSaid."""
    company, found = await _behind(work, company_id, door)
    if candidate is None:
        company.comment_shortlist(door, text, at=now())
        return company
    person, listed = await _available(work, found, candidate)
    fact = ClientCommented(
        **_said(door, found, listed), company_id=company_id, commented_at=now(), text=text
    )
    person.take_comment(fact, by=door.actor)
    return person


async def judge(
    work: Work,
    company_id: UUID,
    door: Door,
    *,
    candidate: Label,
    verdict: ClientVerdict,
    reason: Reason = "",
    text: str = "",
) -> Person:
    """Raises LinkIsOver, NoSuchCandidate, NotAvailable, RejectionNeedsReason."""
    _, found = await _behind(work, company_id, door)
    person, listed = await _available(work, found, candidate)
    fact = VerdictGiven(
        **_said(door, found, listed),
        company_id=company_id,
        verdict=verdict,
        given_at=now(),
        reason=reason,
        text=text,
    )
    person.take_verdict(fact, by=door.actor)
    return person


async def showing(work: Work, found: Shortlist) -> list[Shown]:
    """How much may be shown of each of the newest version."""
    ids = [each.person_id for each in found.people]
    await work.load(ids)
    erased = await _erased(work.ledger, ids)
    return [
        _shown(await work.get(Person, each.person_id), each, erased=each.person_id in erased)
        for each in found.people
    ]


def _shown(person: Person, listed: Listed, *, erased: bool) -> Shown:
    try:
        person.must_be_presentable(listed.candidacy_id, now())
    except Refusal:
        return Shown(listed, available=False, named=False)
    named = not listed.blind and person.candidacy(listed.candidacy_id).agreement_id is not None
    jobs = tuple((job.title, job.company_id) for job in person.jobs_at(today()))
    return Shown(listed, available=not erased, named=named, jobs=jobs)


async def _behind(work: Work, company_id: UUID, door: Door) -> tuple[Company, Shortlist]:
    """The link is open, and whose it is still works there. Raises LinkIsOver."""
    company = await work.get(Company, company_id)
    found = company.shortlist(door.shortlist_id)
    found.link(door.link_id).must_open(today())
    contact = await work.get(Person, door.contact_id)
    if not _works_at(contact, company) or await _erased(work.ledger, [door.contact_id]):
        raise LinkIsOver()
    return company, found


async def _available(work: Work, found: Shortlist, label: Label) -> tuple[Person, Listed]:
    """Raises NoSuchCandidate, NotAvailable."""
    listed = found.candidate(label)
    person = await work.get(Person, listed.person_id)
    erased = await _erased(work.ledger, [listed.person_id])
    if not _shown(person, listed, erased=bool(erased)).available:
        raise NotAvailable(candidate=label)
    return person, listed


async def _introduce(
    work: Work,
    named: Sequence[tuple[UUID, UUID]],
    contact_id: UUID | None,
    *,
    introduces: bool,
    at: datetime,
) -> None:
    """Those who are not introduced yet. Raises NotIntroducedYet, and as ``_presentable`` and
    ``introduce``."""
    missing = []
    for person_id, id in named:
        candidacy = (await work.get(Person, person_id)).candidacy(id)
        if candidacy.agreement_id is None:
            missing.append((person_id, id))
    if missing and not introduces:
        raise NotIntroducedYet(person_ids=[person_id for person_id, _ in missing])
    for person_id, id in missing:
        await _presentable(work, person_id, id)
        await introduce(work, person_id, id, at=at, to_person_id=contact_id)


async def _presentable(work: Work, person_id: UUID, id: UUID) -> Person:
    """Now, whatever the day that it is said to be on. Raises NoSuchRecord, NoSuchCandidacy,
    CandidacyIsClosed, NoConsent, DoNotContact, NothingToShow."""
    person = await work.get(Person, person_id)
    person.must_be_presentable(id, now())
    if await _erased(work.ledger, [person_id]):
        raise NothingToShow(person_id=person_id)
    return person


async def _erased(ledger: Ledger, ids: Sequence[UUID]) -> set[UUID]:
    keys = await ledger.run(ledger.store.data_keys, ids)
    return {id for id in ids if keys.get(id) is None}


def _works_at(contact: Person, company: Company) -> bool:
    return any(job.company_id in company.ids for job in contact.jobs_at(today()))


def _said(door: Door, found: Shortlist, listed: Listed) -> dict[str, Any]:
    return {
        "candidacy_id": listed.candidacy_id,
        "job_order_id": found.job_order_id,
        "shortlist_id": door.shortlist_id,
        "link_id": door.link_id,
        "contact_id": door.contact_id,
        "version": found.version,
    }
