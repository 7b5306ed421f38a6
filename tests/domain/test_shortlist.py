"""Whom a client is shown, through which link, and what it may say of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as drawing
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from builders import (
    CANDIDACY,
    CONTACT,
    LINK,
    ORDER,
    SHORTLIST,
    added,
    client_commented,
    closed,
    consent,
    drawn,
    employed,
    employment_ended,
    leave_alone,
    lifted,
    list_commented,
    no_consent,
    on_it,
    opened,
    order_filled,
    order_opened,
    presented,
    seen,
    shared,
    sourced,
    verdict,
    withdrawn,
)
from domain.test_machines import Machine
from ledger_crm.domain.candidate import CandidacyIsClosed, NoSuchCandidacy, candidacy_id
from ledger_crm.domain.clock import stopped_at
from ledger_crm.domain.company import Company
from ledger_crm.domain.joborder import JobOrderIsClosed, NoSuchJobOrder
from ledger_crm.domain.permission import DoNotContact, LastsUntilBefore, NoConsent
from ledger_crm.domain.person import Person
from ledger_crm.domain.shortlist import (
    LINK_DAYS,
    Door,
    LinkIsOver,
    LinkLastsTooLong,
    ListedTwice,
    NoSuchCandidate,
    NoSuchLink,
    NoSuchShortlist,
    NothingSaid,
    RejectionNeedsReason,
    digest_of,
    new_link,
)
from scenario import ANA, COMPANY, LATER, NOON, PERSON, given

BEN, CYD = UUID(int=0xA3), UUID(int=0xA4)
DOOR = Door(COMPANY, SHORTLIST, LINK, CONTACT)
NEXT_DAY = LATER.date()
BEGUN = [added(), order_opened()]
SHARED = [*BEGUN, drawn(), shared()]


def draw(*people: UUID, blind: bool = False, at: Any = NOON) -> Callable[[Any], object]:
    wanted = [(id, candidacy_id(id, ORDER), blind) for id in people]
    return lambda c: c.draw_shortlist(SHORTLIST, ORDER, wanted, at=at, by=ANA)


def share(until_on: date = NEXT_DAY) -> Callable[[Any], object]:
    def sharing(company: Any) -> None:
        with stopped_at(NOON):
            company.share_shortlist(
                SHORTLIST, LINK, contact_id=CONTACT, digest="5" * 64, until_on=until_on, at=NOON,
                by=ANA,
            )  # fmt: skip

    return sharing


def withdraw(link_id: UUID | None = None) -> Callable[[Any], object]:
    return lambda c: c.withdraw_shortlist(SHORTLIST, link_id=link_id, at=NOON, by=ANA)


def see(at: Any = NOON, door: Door = DOOR) -> Callable[[Any], object]:
    return lambda c: c.see_shortlist(door, [PERSON], at=at)


def test_versions_are_counted_and_everybody_keeps_their_label() -> None:
    given(Company, *BEGUN, id=COMPANY).when(draw(PERSON, BEN)).then(drawn(on_it(), on_it(BEN, "B")))
    first = drawn(on_it(), on_it(BEN, "B"))
    given(Company, *BEGUN, first, id=COMPANY).when(draw(CYD, BEN)).then(
        drawn(on_it(CYD, "C"), on_it(BEN, "B"), version=2)
    )
    second = drawn(on_it(CYD, "C"), version=2)
    given(Company, *BEGUN, first, second, id=COMPANY).when(draw(PERSON, blind=True)).then(
        drawn(on_it(blind=True), version=3)
    )


def test_a_shortlist_is_of_a_job_order_in_work_and_names_nobody_twice() -> None:
    given(Company, added()).when(draw(PERSON)).then_refused(NoSuchJobOrder)
    given(Company, *BEGUN, order_filled()).when(draw(PERSON)).then_refused(JobOrderIsClosed)
    given(Company, *BEGUN).when(draw(PERSON, PERSON)).then_refused(ListedTwice, person_id=PERSON)


def test_a_link_lasts_until_a_day_that_is_not_far() -> None:
    given(Company, *BEGUN, drawn()).when(share()).then(shared())
    for day, refusal in (
        (NOON.date() - timedelta(days=1), LastsUntilBefore),
        (NOON.date() + timedelta(days=LINK_DAYS + 1), LinkLastsTooLong),
    ):
        given(Company, *BEGUN, drawn()).when(share(day)).then_refused(refusal)
    given(Company, *BEGUN, drawn()).when(share(NOON.date())).then(shared(until_on=NOON.date()))
    given(Company, *BEGUN).when(share()).then_refused(NoSuchShortlist)


def test_a_link_is_withdrawn_alone_or_with_all_others_and_once() -> None:
    other = shared(link_id=UUID(int=0x72), contact_id=CYD, digest="6" * 64)
    both = given(Company, *SHARED, other).when(withdraw())
    both.then(withdrawn(), withdrawn(link_id=UUID(int=0x72), contact_id=CYD))
    given(Company, *SHARED, other).when(withdraw(LINK)).then(withdrawn())
    given(Company, *SHARED, withdrawn()).when(withdraw()).then_nothing()
    given(Company, *SHARED).when(withdraw(UUID(int=9))).then_refused(NoSuchLink)


def test_a_view_is_written_once_a_day_for_each_version() -> None:
    given(Company, *SHARED).when(see()).then(seen())
    looked = [*SHARED, seen()]
    given(Company, *looked).when(see(NOON + timedelta(hours=11))).then_nothing()
    given(Company, *looked).when(see(LATER)).then(seen(seen_at=LATER))
    newer = [*looked, drawn(on_it(), version=2)]
    given(Company, *newer).when(see()).then(seen(version=2))
    given(Company, *newer, seen(version=2)).when(see()).then_nothing()


def test_a_clock_that_is_behind_at_midnight_makes_no_second_view() -> None:
    given(Company, *SHARED, seen(seen_at=LATER)).when(see()).then_nothing()


@pytest.mark.parametrize(
    "end", [[withdrawn()], [shared(until_on=NOON.date() - timedelta(days=1))]], ids=str
)
def test_a_link_that_is_over_opens_nothing(end: Any) -> None:
    given(Company, *SHARED, *end).when(see()).then_refused(LinkIsOver)
    given(Company, *SHARED, *end).when(
        lambda c: c.comment_shortlist(DOOR, "Hello", at=NOON)
    ).then_refused(LinkIsOver)


def test_a_link_opens_on_its_last_day() -> None:
    given(Company, *SHARED).when(see(LATER)).then(seen(seen_at=LATER))
    given(Company, *SHARED).when(see(LATER + timedelta(days=1))).then_refused(LinkIsOver)


def test_a_comment_says_something() -> None:
    def comment(text: str) -> Callable[[Any], object]:
        return lambda c: c.comment_shortlist(DOOR, text, at=NOON)

    given(Company, *SHARED).when(comment("A strong list")).then(list_commented())
    given(Company, *SHARED).when(comment(" \n")).then_refused(NothingSaid)
    fact = client_commented(text=" ")
    given(Person, sourced(), opened()).when(
        lambda p: p.take_comment(fact, by=DOOR.actor)
    ).then_refused(NothingSaid)


def judge(fact: Any) -> Callable[[Any], object]:
    return lambda p: p.take_verdict(fact, by=DOOR.actor)


def test_a_verdict_stands_until_the_same_contact_gives_another() -> None:
    candidate = [sourced(), opened()]
    given(Person, *candidate).when(judge(verdict())).then(verdict())
    judged = [*candidate, verdict()]
    again = verdict(given_at=LATER, version=2)
    given(Person, *judged).when(judge(again)).then_nothing()
    given(Person, *judged).when(judge(verdict("hold"))).then(verdict("hold"))
    given(Person, *judged).when(judge(verdict(text="Soon"))).then(verdict(text="Soon"))
    other = verdict(contact_id=CYD)
    given(Person, *judged).when(judge(other)).then(other)
    given(Person, *judged, verdict("hold")).when(judge(verdict())).then(verdict())
    given(Person, sourced()).when(judge(verdict())).then_refused(NoSuchCandidacy)


def test_a_rejection_has_a_reason() -> None:
    given(Person, sourced(), opened()).when(judge(verdict("reject"))).then_refused(
        RejectionNeedsReason
    )
    why = verdict("reject", reason="too_far_away")
    given(Person, sourced(), opened()).when(judge(why)).then(why)


def test_what_speaks_for_them_is_theirs() -> None:
    def present(person: Any) -> None:
        person.present(CANDIDACY, blind=False, headline="Programmer", text="", at=NOON, by=ANA)

    given(Person, sourced(), opened()).when(present).then(presented())
    given(Person, sourced()).when(present).then_refused(NoSuchCandidacy)


def presentable(person: Any) -> None:
    person.must_be_presentable(CANDIDACY, LATER)


@pytest.mark.parametrize(
    ("history", "refusal"),
    [
        ([closed()], CandidacyIsClosed),
        ([leave_alone()], DoNotContact),
        ([no_consent()], NoConsent),
        ([consent(expires_on=NOON.date())], NoConsent),
    ],
)
def test_who_wants_to_be_left_alone_or_is_out_of_it_is_not_shown(
    history: Any, refusal: Any
) -> None:
    given(Person, sourced(), opened(), *history).when(presentable).then_refused(refusal)
    given(Person, sourced(), opened(), leave_alone(), lifted()).when(presentable).then_nothing()


def test_where_somebody_works_on_a_day() -> None:
    job = employed(starts_on=NOON.date())

    def at(*history: Any, day: date) -> int:
        return len(given(Person, sourced(), *history).aggregate.jobs_at(day))

    assert at(employed(), day=NOON.date()) == at(job, day=NOON.date()) == 1
    assert at(job, day=NOON.date() - timedelta(days=1)) == 0
    left = employment_ended(ends_on=NOON.date())
    assert at(job, left, day=NOON.date()) == 1
    assert at(job, left, day=LATER.date()) == 0


def test_a_door_is_found_by_the_digest_and_by_nothing_like_it() -> None:
    company = given(Company, *SHARED, id=COMPANY).aggregate
    assert company.door("5" * 64) == DOOR
    assert company.door("5" * 63) is None
    assert company.door("5" * 63 + "6") is None
    assert company.door("") is None


def test_labels_name_only_who_is_on_the_newest_version() -> None:
    found = given(Company, *BEGUN, drawn(on_it(), on_it(BEN, "B")), drawn(on_it(), version=2))
    shortlist = found.aggregate.shortlist(SHORTLIST)
    assert shortlist.candidate("A").person_id == PERSON
    for label in ("B", "a", "C", ""):
        with pytest.raises(NoSuchCandidate):
            shortlist.candidate(label)


@drawing(st.text(max_size=60))
def test_only_a_links_own_text_has_a_digest(text: str) -> None:
    made = new_link()
    assert digest_of(made) != digest_of(new_link())
    assert len(str(digest_of(made))) == 64
    assert made.split("_", 1)[1] not in str(digest_of(made))
    for other in (text, f"lcrm_{text}", f"lcrs{text.replace('_', '')}", f"LCRS_{text}", "lcrs_"):
        if not other.startswith("lcrs_") or other == "lcrs_":
            assert digest_of(other) is None


PEOPLE = [PERSON, BEN, CYD]
LINKS = [UUID(int=n) for n in (1, 2)]


class ShortlistMachine(Machine):
    """One shortlist, three people, two links. Looks for a label that moves, a view that is written
    twice or not at all, a link that opens when it should not."""

    def __init__(self) -> None:
        super().__init__()
        company = Company.add(added(), by=ANA, id=COMPANY)
        company.open_job_order(order_opened(), by=ANA)
        self.begin(company)
        self.version, self.on, self.labels = 0, list[UUID](), dict[UUID, str]()
        self.links: dict[UUID, tuple[date, bool]] = {}
        self.seen: dict[UUID, tuple[int, date]] = {}
        self.now = NOON

    @rule(people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4))
    def draw(self, people: list[UUID]) -> None:
        allowed = len(set(people)) == len(people)
        if self.says(draw(*people, at=self.now), allowed=allowed):
            self.version, self.on = self.version + 1, people
            for id in people:
                self.labels.setdefault(id, "ABCD"[len(self.labels)])

    @rule(id=st.sampled_from(LINKS), days=st.integers(-1, 2))
    def share(self, id: UUID, days: int) -> None:
        last = self.now.date() + timedelta(days=days)

        def sharing(company: Any) -> None:
            with stopped_at(self.now):
                company.share_shortlist(
                    SHORTLIST, id, contact_id=id, digest=id.hex, until_on=last, at=self.now, by=ANA
                )

        if id not in self.links and self.says(sharing, allowed=self.version > 0 and days >= 0):
            self.links[id] = (last, False)

    @rule(id=st.sampled_from([*LINKS, None]))
    def withdraw(self, id: UUID | None) -> None:
        there = self.version > 0 and (id is None or id in self.links)
        facts = self.says(withdraw(id), allowed=there)
        if there:
            hit = [each for each in self.links if id in (None, each)]
            assert len(facts) == sum(not self.links[each][1] for each in hit)
            self.links |= {each: (self.links[each][0], True) for each in hit}

    @rule(id=st.sampled_from(LINKS))
    def see(self, id: UUID) -> None:
        last, withdrawn_ = self.links.get(id, (date.min, True))
        door = Door(COMPANY, SHORTLIST, id, id)
        open_ = not withdrawn_ and self.now.date() <= last
        facts = self.says(see(self.now, door), allowed=open_)
        if open_:
            assert bool(facts) == (self.seen.get(id) != (self.version, self.now.date()))
            self.seen[id] = (self.version, self.now.date())

    @rule()
    def a_day_goes_by(self) -> None:
        self.now += timedelta(days=1)

    @invariant()
    def what_it_decides_on_is_what_we_know(self) -> None:
        found = self.aggregate.shortlists.get(SHORTLIST)
        if found is None:
            assert self.version == 0
            return
        assert found.version == self.version
        assert found.labels == self.labels
        assert [each.person_id for each in found.people] == self.on
        assert {each.label for each in found.people} == {self.labels[id] for id in self.on}
        assert set(found.links) == set(self.links)
        for id in LINKS:
            door = self.aggregate.door(id.hex)
            assert (door and door.link_id) == (id if id in self.links else None)


TestShortlist = ShortlistMachine.TestCase
TestShortlist.settings = settings(max_examples=40, stateful_step_count=25)
