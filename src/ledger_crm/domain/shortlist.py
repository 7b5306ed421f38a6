"""A shortlist: whom a client is shown for a job order, in versions, and what it says to them.

    draw -> (draw | share -> (see | comment | judge)* -> withdraw)*

What is drawn, shared and seen is on the company's stream. What is said about a candidate, by us or
by the client, is on the candidate's: it is theirs, and goes when they go.

Rules: a link is for one person who works at the client, and opens the newest version until its last
day or until it is withdrawn; nobody is shown by name before being introduced; who is blind has a
label and no name; a label is theirs for good; a rejection has a reason.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from .candidacy import CandidacyFact
from .entry import Actor, CompanyFact, Instant, Reason, Reservation, Sealed, words
from .faults import written_like
from .permission import LastsUntilBefore
from .refusals import Conflict, Forbidden, Gone, Invalid, Unknown

ClientVerdict = Literal["interview", "reject", "hold"]
ClientReason = Literal[
    "skills", "experience", "seniority", "salary", "location", "availability", "language",
    "team_fit", "known_to_us", "not_hiring", "other",
]  # fmt: skip
"""For which a client rejects: from a list, because a reason is clear and goes out on the feed, and
whoever has a link could write a name there."""
Label = Annotated[str, written_like(r"^[A-Z]{1,3}$(?!\n)", "a label like B")]
Version = Annotated[int, msgspec.Meta(ge=1)]

MOST_PEOPLE = 50  # on one version: a client reads no more
LINK_DAYS = 90  # that a link may last: who still decides after that asks for another


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody on a version.

    label  what a client knows them as; theirs on all versions
    blind  without name and employer
    """

    person_id: UUID
    candidacy_id: UUID
    label: Label
    blind: bool = False


class ShortlistFact(CompanyFact, frozen=True, kw_only=True):
    """Common to all on the company's stream."""

    shortlist_id: UUID
    job_order_id: UUID
    version: Version


class ShortlistDrawn(ShortlistFact, frozen=True, kw_only=True, tag="company.shortlist_drawn"):
    """These people, in this order, are the next version: whoever has a link sees it from now on.

    text  to the client, about all of them
    """

    people: Annotated[tuple[Listed, ...], msgspec.Meta(min_length=1, max_length=MOST_PEOPLE)]
    drawn_at: Instant
    text: Sealed = ""

    @property
    def others(self) -> tuple[UUID, ...]:
        return tuple(each.person_id for each in self.people)  # none of them before the others

    @property
    def line(self) -> str:
        blind = sum(each.blind for each in self.people)
        some = f", {blind} of them blind" if blind else ""
        return f"shortlist drawn, version {self.version}: {len(self.people)}{some}"


class LinkFact(ShortlistFact, frozen=True, kw_only=True):
    """Common to all about a link. ``contact_id``: the person at the client whose link it is."""

    link_id: UUID
    contact_id: UUID

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.contact_id,)


class ShortlistShared(LinkFact, frozen=True, kw_only=True, tag="company.shortlist_shared"):
    """A contact got a link to it.

    version   the newest one then
    until_on  the last day on which it opens
    digest    SHA-256 of the link's secret, hex; sealed, so that not even this is on the feed
    """

    stays_sealed: ClassVar[frozenset[str]] = frozenset({"digest"})

    until_on: date
    shared_at: Instant
    digest: Sealed

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        return (Reservation("shortlist_link", self.digest, LinkTaken),)

    @property
    def line(self) -> str:
        return f"shortlist shared, version {self.version}, until {self.until_on}"


class ShortlistWithdrawn(LinkFact, frozen=True, kw_only=True, tag="company.shortlist_withdrawn"):
    """The link opens nothing any more."""

    withdrawn_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        why = f": {words(self.reason)}" if self.reason else ""
        return f"shortlist withdrawn{why}"


class ShortlistSeen(LinkFact, frozen=True, kw_only=True, tag="company.shortlist_seen"):
    """The contact opened it: the first time on that day, UTC, or the first time in that version.

    people  who could be seen on it then
    """

    seen_at: Instant
    people: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=MOST_PEOPLE)]

    @property
    def others(self) -> tuple[UUID, ...]:
        return self.people

    @property
    def line(self) -> str:
        return f"shortlist seen by the client, version {self.version}"


class ShortlistCommented(LinkFact, frozen=True, kw_only=True, tag="company.shortlist_commented"):
    """The contact said something about all of it."""

    commented_at: Instant
    text: Sealed

    @property
    def line(self) -> str:
        return "shortlist commented by the client"


class PresentationWritten(
    CandidacyFact, frozen=True, kw_only=True, tag="person.presentation_written"
):
    """How we present them to the client of this job order. Versions that are drawn from now on show
    it; those before keep what they showed.

    blind  it names neither them nor their employer; only such a one is shown of who is blind
    text   what speaks for them
    """

    blind: bool
    written_at: Instant
    headline: Sealed = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "presentation written" + (", blind" if self.blind else "")


class ClientFact(CandidacyFact, frozen=True, kw_only=True):
    """Common to what a contact says of a candidate on a shortlist.

    version  the one that they had before them
    """

    shortlist_id: UUID
    link_id: UUID
    contact_id: UUID
    version: Version

    @property
    def concerns(self) -> tuple[UUID, ...]:
        return (self.company_id, self.contact_id)


class VerdictGiven(ClientFact, frozen=True, kw_only=True, tag="person.verdict_given"):
    """What the client wants to do with them. Given again, the later one of each contact stands; it
    moves nobody: that is ours to do.

    reason  a code; a rejection has one
    """

    verdict: ClientVerdict
    given_at: Instant
    reason: Reason = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        why = f": {words(self.reason)}" if self.reason else ""
        return f"client's verdict: {self.verdict}{why}"


class ClientCommented(ClientFact, frozen=True, kw_only=True, tag="person.client_commented"):
    """A contact said something about them."""

    commented_at: Instant
    text: Sealed

    @property
    def line(self) -> str:
        return "commented by the client"


ShortlistFacts = (
    ShortlistDrawn | ShortlistShared | ShortlistWithdrawn | ShortlistSeen | ShortlistCommented
)
ClientFacts = PresentationWritten | VerdictGiven | ClientCommented


class NoSuchShortlist(Unknown):
    """This company has no such shortlist."""


class NoSuchLink(Unknown):
    """This shortlist was shared by no such link."""


class ListedTwice(Invalid):
    """Somebody is on this version twice."""

    field = "people"


class NotIntroducedYet(Forbidden):
    """To show somebody to a client by name is to introduce them: introduce them first, say that
    this introduces them, or show them blind."""


class NothingToShow(Gone):
    """This person was erased: there is nothing left that a client could be shown."""


class NotAContact(Invalid):
    """This person does not work at the client, as far as we know: say first that they do."""

    field = "contact_id"


class LinkLastsTooLong(Invalid):
    """A link lasts for 90 days at most."""

    field = "until_on"


class LinkTaken(Conflict):
    """There is a link with this secret: make another."""


class LinkIsOver(Gone):
    """This link has expired or was withdrawn: ask whoever sent it for another."""


class NoSuchCandidate(Unknown):
    """There is nobody under this label on the shortlist."""


class NotAvailable(Conflict):
    """This candidate is no longer available."""


class RejectionNeedsReason(Invalid):
    """A rejection needs a reason."""

    field = "reason"


class NothingSaid(Invalid):
    """A comment says something."""

    field = "text"


class Link(msgspec.Struct):
    """What the next decision on it needs.

    seen  the version and the day of the last view that was written down
    """

    contact_id: UUID
    until_on: date
    digest: str
    withdrawn: bool = False
    seen: tuple[int, date] | None = None

    def opens(self, on: date) -> bool:
        return not self.withdrawn and on <= self.until_on

    def must_open(self, on: date) -> None:
        """Raises LinkIsOver."""
        if not self.opens(on):
            raise LinkIsOver()

    def is_seen(self, version: int, on: date) -> bool:
        """In this version on this day, or later: two clocks at midnight make no second view."""
        return self.seen is not None and version <= self.seen[0] and on <= self.seen[1]


class Shortlist(msgspec.Struct):
    """What the next decision on it needs."""

    job_order_id: UUID
    version: int = 0
    labels: dict[UUID, str] = {}  # of all who were ever on it
    people: tuple[Listed, ...] = ()  # on the newest version
    links: dict[UUID, Link] = {}

    def labelled(self, people: Iterable[tuple[UUID, UUID, bool]]) -> tuple[Listed, ...]:
        """Person, candidacy and whether they are blind, with the label of each. Raises
        ListedTwice."""
        labels, found = dict(self.labels), list[Listed]()
        for person_id, candidacy_id, blind in people:
            if any(each.person_id == person_id for each in found):
                raise ListedTwice(person_id=person_id)
            label = labels.setdefault(person_id, _label(len(labels)))
            found.append(Listed(person_id, candidacy_id, label, blind))
        return tuple(found)

    def must_last(self, until_on: date, *, today: date) -> None:
        """Raises LastsUntilBefore, LinkLastsTooLong."""
        if until_on < today:
            raise LastsUntilBefore(until_on=until_on)
        if until_on > today + timedelta(days=LINK_DAYS):
            raise LinkLastsTooLong(until_on=until_on)

    def link(self, id: UUID) -> Link:
        """Raises NoSuchLink."""
        if id not in self.links:
            raise NoSuchLink(link_id=id)
        return self.links[id]

    def open_links(self, on: date) -> list[Link]:
        return [link for link in self.links.values() if link.opens(on)]

    def candidate(self, label: str) -> Listed:
        """On the newest version. Raises NoSuchCandidate."""
        for each in self.people:
            if each.label == label:
                return each
        raise NoSuchCandidate(candidate=label)

    def apply(self, fact: ShortlistFacts) -> None:
        match fact:
            case ShortlistDrawn():
                self.version, self.people = fact.version, fact.people
                self.labels |= {each.person_id: each.label for each in fact.people}
            case ShortlistShared():
                self.links[fact.link_id] = Link(fact.contact_id, fact.until_on, fact.digest)
            case ShortlistWithdrawn():
                self.links[fact.link_id].withdrawn = True
            case ShortlistSeen():
                self.links[fact.link_id].seen = (fact.version, fact.seen_at.date())


class Door(msgspec.Struct, frozen=True):
    """What a link leads to."""

    company_id: UUID
    shortlist_id: UUID
    link_id: UUID
    contact_id: UUID

    @property
    def actor(self) -> Actor:
        """As whom its holder writes."""
        return Actor(f"portal:{self.contact_id}")


class Shown(msgspec.Struct, frozen=True):
    """How much of somebody a client may see, as it was decided a moment ago.

    available  False: nothing but the label
    named      False: a blind presentation, from which employers are left out as well
    jobs       title and company, where they work now
    """

    listed: Listed
    available: bool
    named: bool
    jobs: tuple[tuple[str, UUID], ...] = ()


def new_link() -> str:
    """The text of a link's secret, which is shown once: 256 random bits."""
    return f"lcrs_{secrets.token_urlsafe(32)}"


def digest_of(text: str) -> str | None:
    """Of a link's text, which is all that we keep of it; None if it is no link's."""
    prefix, _, secret = text.partition("_")
    if prefix != "lcrs" or not secret:
        return None
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """In a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def _label(number: int) -> str:
    """0: A, 25: Z, 26: AA."""
    label = ""
    while number >= 0:
        number, letter = divmod(number, 26)
        label, number = chr(ord("A") + letter) + label, number - 1
    return label
