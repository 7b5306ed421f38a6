"""Whom we may contact, and who may do so all the same."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

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
    leave_alone,
    lifted,
    no_consent,
    note,
    off_limits,
    on_limits,
    replied,
    sent,
    sourced,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.interaction import Interaction, Outbound
from ledger_crm.domain.permission import (
    DoNotContact,
    LastsUntilBefore,
    NoConsent,
    NotAConsultant,
    OffLimits,
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


def test_where_there_is_nothing_to_lift_nothing_is_written() -> None:
    given(Person, sourced()).when(lambda p: p.permit(lifted(), by=ANA)).then_nothing()
    given(Company, added()).when(lambda c: c.set_off_limits(on_limits(), by=ANA)).then_nothing()


def test_nothing_lasts_until_before_it_begins() -> None:
    early = {"until_on": NOON.date() - timedelta(days=1)}
    given(Person, sourced()).when(lambda p: p.permit(leave_alone(**early), by=ANA)).then_refused(
        LastsUntilBefore
    )
    given(Company, added()).when(
        lambda c: c.set_off_limits(off_limits(**early), by=ANA)
    ).then_refused(LastsUntilBefore)


# the override


def test_a_consultant_may_contact_them_all_the_same_and_says_why() -> None:
    contact = sent(sent_at=AFTER, override="She asked me to")
    given(Person, sourced(), no_consent(), leave_alone()).when(record(contact)).then(contact)


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
    folded(Company, added(), off_limits(), on_limits(), id=COMPANY).must_be_approachable(AFTER)


def test_their_people_are_who_works_there_and_is_not_our_contact() -> None:
    day = NOON.date()
    works = folded(Person, sourced(), employed(role="employee", starts_on=day))
    assert works.works_at(NOON) == [COMPANY]
    assert works.works_at(NOON - timedelta(days=1)) == []
    left = folded(Person, sourced(), employed(role="employee", ends_on=day))
    assert left.works_at(LATER) == []
    assert folded(Person, sourced(), employed(role="hiring_manager")).works_at(NOON) == []


# any sequence, against a plain model


instants = st.integers(0, 6).map(lambda n: NOON + timedelta(hours=12 * n))
last_days = st.none() | st.integers(0, 4).map(lambda n: NOON.date() + timedelta(days=n))


class PermissionMachine(RuleBasedStateMachine):
    """Bugs it has to find: somebody who asked us to stop is contacted, or somebody who did not is
    refused. The model keeps the last word of each kind, and asks it on the day."""

    def __init__(self) -> None:
        super().__init__()
        self.person: Person = folded(Person, sourced())
        self.silent_from: datetime | None = None
        self.alone: tuple[datetime, date | None] | None = None

    @rule(at=instants, last=last_days)
    def gives(self, at: datetime, last: date | None) -> None:
        self.person.permit(consent(given_at=at, expires_on=last), by=ANA)
        if self.silent_from is None or at >= self.silent_from:
            ends = last and datetime.combine(last, datetime.min.time(), NOON.tzinfo)
            self.silent_from = ends and ends + timedelta(days=1)

    @rule(at=instants)
    def withdraws(self, at: datetime) -> None:
        self.person.permit(no_consent(withdrawn_at=at), by=ANA)
        self.silent_from = at

    @rule(at=instants, last=last_days)
    def wants_peace(self, at: datetime, last: date | None) -> None:
        if last is None or last >= at.date():
            self.person.permit(leave_alone(set_at=at, until_on=last), by=ANA)
            self.alone = at, last

    @rule(at=instants)
    def is_back(self, at: datetime) -> None:
        self.person.permit(lifted(lifted_at=at), by=ANA)
        if self.alone and at >= self.alone[0]:
            self.alone = None

    @invariant()
    def they_are_contacted_when_they_may_be(self) -> None:
        for hours in range(0, 96, 6):
            at = NOON + timedelta(hours=hours)
            silent = self.silent_from is not None and at >= self.silent_from
            alone = self.alone is not None and (
                at >= self.alone[0] and (self.alone[1] is None or at.date() <= self.alone[1])
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
TestPermissions.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


@drawn(contact=st.sampled_from([sent(), call(), replied(), note()]))
def test_only_contact_that_we_make_can_be_overridden(contact: Interaction) -> None:
    assert isinstance(contact, Outbound) == hasattr(contact, "override")
