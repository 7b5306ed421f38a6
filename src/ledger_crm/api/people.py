"""/people: who they are, what passes between us, where they work, what they are put forward for."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import candidacies, intake
from ledger_crm.domain.candidate import Move
from ledger_crm.domain.clock import now
from ledger_crm.domain.contact import Point, normalised
from ledger_crm.domain.entry import Cents, Instant, Sealed
from ledger_crm.domain.fee import Pay, Shares
from ledger_crm.domain.identity import (
    Employed,
    EmploymentEnded,
    PointChanges,
    ProfileChanged,
    Seniority,
    Source,
    Tags,
)
from ledger_crm.domain.interaction import Interactions
from ledger_crm.domain.permission import Permissions
from ledger_crm.domain.person import Person, PersonSourced
from ledger_crm.domain.segment import Criteria
from ledger_crm.ledger import Receipt
from ledger_crm.projections import history, people

from . import histories
from .acting import Act, Made, alone, fields
from .asking import Custom, Since, Until, asked
from .following import Kinds
from .histories import By
from .reading import Limit, Named, Page, Token, View, position

Tagged = Annotated[str | None, QueryParameter(max_length=40, description="Only with this tag.")]
Skilled = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=80, description="Only with this skill, as one word."),
]
Staged = Annotated[
    str | None,
    QueryParameter(max_length=40, description="Only who is in this stage of a pipeline now."),
]


def fitting(
    tag: str | None,
    skill: str | None,
    stage: str | None,
    channel: Source | None,
    seniority: Seniority | None,
    custom: str | None,
) -> Criteria:
    """Raises Malformed."""
    return Criteria(
        tags=(tag,) if tag else (),
        skills=(skill,) if skill else (),
        stages=(stage,) if stage else (),
        channels=(channel,) if channel else (),
        seniority=(seniority,) if seniority else (),
        custom=asked(custom),
    )


class NewPerson(PersonSourced, frozen=True, kw_only=True, tag="person.sourced"):
    """Somebody we found, and how they can be reached; "" for what is not known."""

    email: Sealed = ""
    phone: Sealed = ""
    profile_url: Sealed = ""

    @property
    def fact(self) -> PersonSourced:
        return PersonSourced(**{n: getattr(self, n) for n in PersonSourced.__struct_fields__})

    @property
    def reachable(self) -> intake.Reachable:
        return intake.Reachable(email=self.email, phone=self.phone, profile_url=self.profile_url)


class ContactPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Kept in one written form: e-mail in lower case, phone in E.164, address as https.

    valid_from_on   the first day on which they are reached there; null: always were
    valid_until_on  the last one
    """

    point: Point
    value: Sealed
    valid_from_on: date | None = None
    valid_until_on: date | None = None


class Lookup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either a contact point and its value, in any written form; or what people have to fit, all of
    it. Words may be parts of words, in capitals or not, with accents or not.

    name      words of the name
    q         words of the name, the headline, the skills and the location, each in any of them
    criteria  as of a segment
    """

    point: Point | None = None
    value: Sealed = ""
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    criteria: Criteria | None = None

    def __post_init__(self) -> None:
        one = (bool(self.point), bool(self.value))
        fitting = bool(self.name or self.q or self.criteria)
        blank = any(words and not words.strip() for words in (self.name, self.q))
        if blank or (one, fitting) not in (((True, True), False), ((False, False), True)):
            raise ValueError("give either a point and its value, or some of name, q and criteria")


class NewCandidacy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """stage  to begin in; "" for the first one of the job order's pipeline"""

    company_id: UUID
    job_order_id: UUID
    stage: str = ""
    at: Instant = msgspec.field(default_factory=now, name="opened_at")
    text: Sealed = ""


class MoveNow(Move, frozen=True, kw_only=True):
    """Where a candidacy goes. Into an exit: with a reason, and who decided. Never into a submitted
    or placed stage: introduce or place instead."""

    at: Instant = msgspec.field(default_factory=now)


class RightToRepresent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: Instant = msgspec.field(default_factory=now, name="given_at")
    text: Sealed = ""


class Introduction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """to_person_id  the client's contact who receives it
    override      why, though they asked us to stop
    """

    at: Instant = msgspec.field(default_factory=now, name="introduced_at")
    to_person_id: UUID | None = None
    override: Sealed = ""
    text: Sealed = ""


class Placement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """placed_at             the offer was accepted
    starts_on             first day at work
    first_year_pay_cents  what the agreement counts as first-year pay, in its currency
    pay                   or the pay by its parts, of which the agreement says what counts
    full_time             a job beside which nobody has another
    override              why, though they are placed full-time elsewhere
    shares                whose placement it is; empty: as the job order is shared, else yours
    replaces_id           the candidacy that fell through, in whose place they come for no fee
    """

    at: Instant = msgspec.field(default_factory=now, name="placed_at")
    starts_on: date
    first_year_pay_cents: Cents | None = None
    pay: Pay | None = None
    full_time: bool = True
    override: Sealed = ""
    shares: Shares = ()
    replaces_id: UUID | None = None


class People(Controller):
    path = "/people"
    tags = ("people",)

    @post()
    async def add_person(
        self, begin: NamedDependency[Act], data: JSONBody[NewPerson]
    ) -> Response[Receipt]:
        """Add a person

        The first fact about them, and their contact points. 409 names the holder if somebody has
        one of these already: it is probably the same person."""
        return await begin.new(intake.source_person, data.fact, data.reachable)

    @get()
    async def list_people(
        self,
        view: NamedDependency[View],
        tag: Tagged = None,
        skill: Skilled = None,
        stage: Staged = None,
        channel: FromQuery[Source | None] = None,
        seniority: FromQuery[Seniority | None] = None,
        custom: Custom = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[people.PersonListed]]:
        """List people

        All, or those who fit everything that is asked for; the newest first. By words, and by more
        criteria: `POST /people/lookups`."""
        criteria = fitting(tag, skill, stage, channel, seniority, custom)
        return await view.seen(
            lambda besides: view.page(
                people.listing,
                criteria,
                on=view.now(),
                besides=besides,
                named=Named(stage=stage),
                cursor=cursor,
                limit=limit,
                at=position,
            )
        )

    @post("/lookups", status_code=200)
    async def look_up_person(
        self,
        view: NamedDependency[View],
        data: JSONBody[Lookup],
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[people.PersonListed]]:
        """Find people by contact point, or by words and criteria

        Who has a contact point: one person or nobody. Or who fits, by words and criteria: the
        newest first. It is a POST so that neither stands in the address of a request, which
        proxies log; it writes nothing."""
        if data.point is None:
            return await view.seen(
                lambda besides: view.page(
                    people.listing,
                    data.criteria or Criteria(),
                    on=view.now(),
                    name=data.name,
                    words=data.q,
                    besides=besides,
                    cursor=cursor,
                    limit=limit,
                    at=position,
                )
            )
        value = normalised(data.point, data.value)
        return await view.page(
            people.holders, data.point, value, cursor=cursor, limit=limit, at=position
        )

    @get("/{person_id:uuid}")
    async def read_person(
        self, view: NamedDependency[View], person_id: FromPath[UUID]
    ) -> Response[people.PersonShown]:
        """Read a person

        Who they are, how to reach them, where they work. `ETag` is the version of the record."""
        return await view.one(people.card, person_id)

    @get("/{person_id:uuid}/history")
    async def read_person_history(
        self,
        view: NamedDependency[View],
        person_id: FromPath[UUID],
        kind: Kinds = None,
        by: By = None,
        since: Since = None,
        until: Until = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[history.HistoryLine]]:
        """Read the full history with a person

        Everything that ever passed between us, as candidate and as client contact, the newest
        first by the time of the fact, which `since` and `until` are of."""
        return await histories.page(
            view, "person", person_id, kind=kind, by=by, since=since, until=until, cursor=cursor,
            limit=limit,
        )  # fmt: skip

    @post("/{person_id:uuid}/contact-points")
    async def add_contact_point(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[ContactPoint],
    ) -> Response[Receipt]:
        """Add a contact point

        One that they have already changes nothing; one that somebody else has is refused with 409
        and the holder."""
        return await act.on(person_id, intake.add_contact_point, **fields(data))

    @post("/{person_id:uuid}/contact-points/changes")
    async def change_contact_point(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[PointChanges],
    ) -> Response[Receipt]:
        """Remove a contact point, or make it primary

        By its `kind`. One that is removed may be somebody else's from then on."""
        return await act.on(person_id, alone(Person, Person.change_contact_point), data)

    @post("/{person_id:uuid}/profile-changes")
    async def change_profile(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[ProfileChanged],
    ) -> Response[Receipt]:
        """Change the profile

        What is left out stays; what is no longer known is named in `cleared`."""
        return await act.on(person_id, alone(Person, Person.change_profile, itself=True), data)

    @post("/{person_id:uuid}/tags")
    async def tag_person(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[Tags]
    ) -> Response[Receipt]:
        """Tag or untag

        By its `kind`. What is so already changes nothing."""
        return await act.on(person_id, alone(Person, Person.tag), data)

    @post("/{person_id:uuid}/employments")
    async def add_employment(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[Employed]
    ) -> Response[Receipt]:
        """Record where they work

        As anybody, or as a client contact such as the hiring manager."""
        return await act.on(person_id, intake.employ, data)

    @post("/{person_id:uuid}/employments/ends")
    async def end_employment(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        data: JSONBody[EmploymentEnded],
    ) -> Response[Receipt]:
        """Record that they leave

        Everything that they are at this company ends on that day."""
        return await act.on(person_id, alone(Person, Person.end_employment), data)

    @post("/{person_id:uuid}/interactions")
    async def record_interaction(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[Interactions]
    ) -> Response[Receipt]:
        """Record an interaction

        A message sent, a reply, a call or a note, by its `kind`. A message that is there already,
        by the channel's own id, changes nothing: `position` is null. We do not write to or call
        who has withdrawn consent, is not to be contacted, or works at a company that is off-limits,
        unless a consultant says why (`override`)."""
        return await act.on(person_id, intake.record, data)

    @post("/{person_id:uuid}/permissions")
    async def record_permission(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[Permissions]
    ) -> Response[Receipt]:
        """Record what they allow

        Consent given or withdrawn, do-not-contact set or lifted, by its `kind`. Whoever asked us
        to stop is not written to or called, unless a consultant says why (`override`)."""
        return await act.on(person_id, intake.permit, data)

    @post("/{person_id:uuid}/candidacies", tags=["candidates"])
    async def open_candidacy(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[NewCandidacy]
    ) -> Response[Made]:
        """Put a person on a job order

        Opens a candidacy in the job order's pipeline."""
        return await act.within(person_id, candidacies.open_candidacy, **fields(data))

    @post("/{person_id:uuid}/candidacies/{candidacy_id:uuid}/moves", tags=["candidates"])
    async def move_candidacy(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[MoveNow],
    ) -> Response[Receipt]:
        """Move a candidacy

        Forward, back, out with a reason, or in again."""
        return await act.on(person_id, candidacies.move, candidacy_id, data)

    @post(
        "/{person_id:uuid}/candidacies/{candidacy_id:uuid}/rights-to-represent",
        tags=["candidates"],
    )
    async def give_right_to_represent(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[RightToRepresent],
    ) -> Response[Receipt]:
        """Record a right to represent

        They let us put them forward for this job order. Given again, it changes nothing."""
        return await act.on(
            person_id, candidacies.give_right_to_represent, candidacy_id, **fields(data)
        )

    @post("/{person_id:uuid}/candidacies/{candidacy_id:uuid}/introductions", tags=["candidates"])
    async def introduce(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[Introduction],
    ) -> Response[Receipt]:
        """Introduce to the client

        Under the terms in force at that moment, which stay theirs. Needs a job order that was open
        then and is now, a right to represent given by then, and a fee agreement. Whoever asked us
        to stop is not introduced, unless a consultant says why (`override`)."""
        return await act.on(person_id, candidacies.introduce, candidacy_id, **fields(data))

    @post("/{person_id:uuid}/candidacies/{candidacy_id:uuid}/placements", tags=["candidates"])
    async def place(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        candidacy_id: FromPath[UUID],
        data: JSONBody[Placement],
    ) -> Response[Receipt]:
        """Place

        They took the job. The fee is computed from the terms at the introduction, and fixed. An
        opening of the job order is filled, with the last one the job order. Nobody is placed
        full-time in two jobs at once, unless a consultant says why (`override`)."""
        return await act.on(person_id, candidacies.place, candidacy_id, **fields(data))
