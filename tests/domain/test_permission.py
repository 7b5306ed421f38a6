"""Whom we may contact, and who may do so all the same."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from builders import (
    added,
    call,
    consent,
    employed,
    fell_through,
    introduced,
    leave_alone,
    lifted,
    no_consent,
    note,
    off_limits,
    on_limits,
    opened,
    placed,
    replied,
    sent,
    sourced,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Actor, Event
from ledger_crm.domain.interaction import Interaction, Outbound
from ledger_crm.domain.permission import (
    ConsentGiven,
    ConsentWithdrawn,
    DoNotContact,
    DoNotContactLifted,
    DoNotContactSet,
    LastsUntilBefore,
    NoConsent,
    NotAConsultant,
    OffLimits,
    Permissions,
)
from ledger_crm.domain.person import Person
from scenario import ANA, COMPANY, LATER, NOON, folded, given

BEFORE, AFTER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
ROBOT = Actor("system:campaign")


def record(interaction: Interaction, by: Actor = ANA) -> Any:
    return lambda p: p.record(interaction, by=by)


# consent


def test_who_withdrew_consent_is_not_written_to_or_called() -> None:
    for contact in (sent(sent_at=AFTER), call(started_at=AFTER)):
        given(Person, sourced(), no_consent()).when(record(contact)).then_refused(
            NoConsent, since=NOON
        )


def test_consent_that_is_renewed_before_it_ends_goes_on() -> None:
    first = consent(given_at=BEFORE, expires_on=LATER.date())
    renewed = consent(given_at=NOON, expires_on=LATER.date() + timedelta(days=30))
    contact = sent(sent_at=LATER + timedelta(days=20))
    given(Person, sourced(), first, renewed).when(record(contact)).then(contact)


def test_consent_may_be_for_ever() -> None:
    contact = sent(sent_at=LATER)
    given(Person, sourced(), consent(expires_on=date.max)).when(record(contact)).then(contact)


@pytest.mark.parametrize(
    "contact",
    [replied(replied_at=AFTER), note(), call(started_at=AFTER, direction="in")],
)
def test_what_they_say_to_us_and_what_we_note_is_written_down_all_the_same(
    contact: Interaction,
) -> None:
    given(Person, sourced(), no_consent(), leave_alone()).when(record(contact)).then(contact)


def test_what_was_sent_before_they_withdrew_can_be_written_down_after() -> None:
    contact = sent(sent_at=BEFORE)
    given(Person, sourced(), no_consent()).when(record(contact)).then(contact)


def test_consent_given_again_is_consent() -> None:
    again, contact = consent(given_at=AFTER), sent(sent_at=LATER)
    given(Person, sourced(), no_consent(), again).when(record(contact)).then(contact)


def test_consent_that_came_in_late_does_not_undo_what_was_withdrawn_since() -> None:
    late = consent(given_at=BEFORE)
    given(Person, sourced(), no_consent(), late).when(record(sent(sent_at=AFTER))).then_refused(
        NoConsent
    )


def test_consent_ends_after_its_last_day() -> None:
    until = consent(expires_on=LATER.date())
    contact = sent(sent_at=LATER.replace(hour=23))
    given(Person, sourced(), until).when(record(contact)).then(contact)
    too_late = sent(sent_at=LATER + timedelta(days=1))
    given(Person, sourced(), until).when(record(too_late)).then_refused(NoConsent)


# do not contact


def test_who_is_to_be_left_alone_is_left_alone_until_the_end_of_the_day() -> None:
    until = leave_alone(until_on=LATER.date())
    given(Person, sourced(), until).when(record(sent(sent_at=LATER))).then_refused(
        DoNotContact, until_on=LATER.date()
    )
    contact = sent(sent_at=LATER + timedelta(days=1))
    given(Person, sourced(), until).when(record(contact)).then(contact)


def test_it_is_lifted() -> None:
    contact = sent(sent_at=LATER)
    given(Person, sourced(), leave_alone(), lifted(lifted_at=AFTER)).when(record(contact)).then(
        contact
    )


def test_one_of_long_ago_that_comes_in_late_does_not_lift_the_one_in_force() -> None:
    old = leave_alone(set_at=NOON - timedelta(days=900), until_on=date(2024, 1, 1))
    given(Person, sourced(), leave_alone(), old).when(record(sent(sent_at=LATER))).then_refused(
        DoNotContact, since=NOON, until_on=None
    )


def test_it_may_be_lifted_before_we_hear_that_it_was_set() -> None:
    contact = sent(sent_at=LATER + timedelta(days=1))
    given(Person, sourced(), lifted(), leave_alone()).when(record(contact)).then(contact)


def test_the_same_again_is_written_once() -> None:
    for fact in (consent(), no_consent(), leave_alone(), lifted()):
        given(Person, sourced(), fact).when(lambda p, f=fact: p.permit(f, by=ANA)).then_nothing()  # type: ignore[misc]
    for limits in (off_limits(), on_limits()):
        given(Company, added(), limits).when(
            lambda c, f=limits: c.set_off_limits(f, by=ANA)  # type: ignore[misc]
        ).then_nothing()


def test_nothing_lasts_until_before_it_begins() -> None:
    early = {"until_on": NOON.date() - timedelta(days=1)}
    given(Person, sourced()).when(lambda p: p.permit(leave_alone(**early), by=ANA)).then_refused(
        LastsUntilBefore
    )
    given(Company, added()).when(
        lambda c: c.set_off_limits(off_limits(**early), by=ANA)
    ).then_refused(LastsUntilBefore)
    given(Person, sourced()).when(
        lambda p: p.permit(consent(expires_on=early["until_on"]), by=ANA)
    ).then_refused(LastsUntilBefore)


# the override


def test_a_consultant_may_contact_them_all_the_same_and_says_why() -> None:
    contact = sent(sent_at=AFTER, override="She asked me to")
    given(Person, sourced(), no_consent(), leave_alone()).when(record(contact)).then(contact)


def test_a_blank_is_no_reason() -> None:
    contact = sent(sent_at=AFTER, override=" \t")
    given(Person, sourced(), leave_alone()).when(record(contact)).then_refused(DoNotContact)


def test_nobody_else_may() -> None:
    contact = sent(sent_at=AFTER, override="It was planned")
    given(Person, sourced(), no_consent()).when(record(contact, ROBOT)).then_refused(
        NotAConsultant, actor=ROBOT
    )


# off-limits


def test_the_people_of_a_company_that_is_off_limits_are_not_approached() -> None:
    company = folded(Company, added(), off_limits(until_on=date(2026, 12, 31)), id=COMPANY)
    with pytest.raises(OffLimits):
        company.must_be_approachable(AFTER)
    company.must_be_approachable(BEFORE)
    company.must_be_approachable(datetime(2027, 1, 1, tzinfo=NOON.tzinfo))
    folded(Company, added(), off_limits(), on_limits(), id=COMPANY).must_be_approachable(LATER)


def test_their_people_are_who_works_there_and_is_not_our_contact() -> None:
    day = NOON.date()
    works = folded(Person, sourced(), employed(role="employee", starts_on=day))
    assert works.works_at(NOON) == [COMPANY]
    assert works.works_at(NOON - timedelta(days=1)) == []
    left = folded(Person, sourced(), employed(role="employee", ends_on=day))
    assert left.works_at(LATER) == []
    assert folded(Person, sourced(), employed(role="hiring_manager")).works_at(NOON) == []


def test_subsidiaries_are_off_limits_if_the_last_word_says_so() -> None:
    group = added(), off_limits(agreed_at=BEFORE, with_subsidiaries=True)
    below = UUID(int=0xC9)
    with pytest.raises(OffLimits) as refused:
        folded(Company, *group, id=COMPANY).must_be_approachable(AFTER, subsidiary=below)
    assert refused.value.facts == {
        "company_id": below, "agreed_with_id": COMPANY, "since": BEFORE, "until_on": None
    }  # fmt: skip
    for narrowed in ((added(), off_limits()), (*group, off_limits())):
        company = folded(Company, *narrowed, id=COMPANY)
        company.must_be_approachable(AFTER, subsidiary=below)
        with pytest.raises(OffLimits):
            company.must_be_approachable(AFTER)


def test_whom_we_placed_is_one_of_their_people_until_we_know_better() -> None:
    hired = sourced(), opened(), introduced(), placed(starts_on=NOON.date())
    day = {"starts_on": LATER.date()}
    elsewhere = UUID(int=0xC9)
    assert folded(Person, *hired).works_at(NOON - timedelta(days=1)) == []
    assert folded(Person, *hired).works_at(LATER) == [COMPANY]
    assert folded(Person, *hired, fell_through()).works_at(LATER) == []
    # an employment says itself what they are there, and that they went
    hires = employed(role="hiring_manager", **day)
    assert folded(Person, *hired, hires).works_at(LATER) == []
    gone = employed(role="employee", starts_on=NOON.date(), ends_on=NOON.date())
    assert folded(Person, *hired, gone).works_at(LATER) == []
    new = employed(role="employee", company_id=elsewhere, **day)
    assert folded(Person, *hired, new).works_at(NOON) == [COMPANY]
    assert folded(Person, *hired, new).works_at(LATER) == [elsewhere]


# any sequence, against a plain model


instants = st.integers(0, 6).map(lambda n: NOON + timedelta(hours=12 * n))
last_days = st.none() | st.integers(0, 4).map(lambda n: NOON.date() + timedelta(days=n))


class PermissionMachine(RuleBasedStateMachine):
    """Bugs it has to find: somebody who asked us to stop is contacted, or somebody who did not is
    refused. The model keeps what was said, and asks for each moment what was said last by then."""

    def __init__(self) -> None:
        super().__init__()
        self.person: Person = folded(Person, sourced())
        self.told: list[Permissions] = []

    def permit(self, fact: Permissions) -> None:
        try:
            self.person.permit(fact, by=ANA)
        except LastsUntilBefore:
            return
        if self.person.collect_events():
            self.told.append(fact)

    @rule(at=instants, last=last_days)
    def gives(self, at: datetime, last: date | None) -> None:
        self.permit(consent(given_at=at, expires_on=last))

    @rule(at=instants)
    def withdraws(self, at: datetime) -> None:
        self.permit(no_consent(withdrawn_at=at))

    @rule(at=instants, last=last_days)
    def wants_peace(self, at: datetime, last: date | None) -> None:
        self.permit(leave_alone(set_at=at, until_on=last))

    @rule(at=instants)
    def is_back(self, at: datetime) -> None:
        self.permit(lifted(lifted_at=at))

    def last_by(self, at: datetime, *kinds: type[Event]) -> Any:
        found: Any = None
        for fact in self.told:
            said_at = fact.word.said_at
            if isinstance(fact, kinds) and said_at <= at:
                found = found if found and found.word.said_at > said_at else fact
        return found

    @invariant()
    def they_are_contacted_when_they_may_be(self) -> None:
        for hours in range(0, 96, 6):
            at = NOON + timedelta(hours=hours)
            said = self.last_by(at, ConsentGiven, ConsentWithdrawn)
            silent = isinstance(said, ConsentWithdrawn) or (
                said is not None and said.expires_on is not None and at.date() > said.expires_on
            )
            wish = self.last_by(at, DoNotContactSet, DoNotContactLifted)
            alone = isinstance(wish, DoNotContactSet) and (
                wish.until_on is None or at.date() <= wish.until_on
            )
            try:
                self.person.record(sent(str(hours), sent_at=at), by=ANA)
            except (NoConsent, DoNotContact):
                assert silent or alone
            else:
                assert not silent
                assert not alone
            self.person.collect_events()


TestPermissions = PermissionMachine.TestCase
TestPermissions.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)


@drawn(contact=st.sampled_from([sent(), call(), replied(), note()]))
def test_only_contact_that_we_make_can_be_overridden(contact: Interaction) -> None:
    assert isinstance(contact, Outbound) == hasattr(contact, "override")
