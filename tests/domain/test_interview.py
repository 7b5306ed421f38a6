"""What may happen between the client and whom we introduced."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from builders import (
    CANDIDACY,
    INTERVIEW,
    OFFER,
    arranged,
    called_off,
    closed,
    feedback,
    held,
    interview_moved,
    introduced,
    offer_accepted,
    offer_changed,
    offer_declined,
    offer_made,
    offer_withdrawn,
    opened,
    reopened,
    represented,
    sourced,
)
from domain.test_machines import Machine
from ledger_crm.domain.candidate import CandidacyIsClosed, NoSuchCandidacy
from ledger_crm.domain.clock import stopped_at
from ledger_crm.domain.entry import IdTaken
from ledger_crm.domain.interview import (
    BeforeItIsArranged,
    EndsBeforeItIsMade,
    InterviewIsOver,
    NoSuchInterview,
    NoSuchOffer,
    NotAnInterviewer,
    NotHeldYet,
    NotPutForward,
    OfferHasExpired,
    OfferIsAccepted,
    OfferIsOpen,
    OfferIsOver,
    WhyMissing,
)
from ledger_crm.domain.person import Person
from scenario import ANA, NOON, PERSON, given

PUT_FORWARD = [sourced(), opened(), represented(), introduced()]
BEN = UUID(int=0xA2)


def progress(fact: Any) -> Callable[[Any], object]:
    return lambda p: p.progress(fact, by=ANA)


def after(*history: Any) -> Any:
    return given(Person, *PUT_FORWARD, *history)


def test_an_interview_is_arranged_moved_held_and_judged() -> None:
    after().when(progress(arranged())).then(arranged())
    after(arranged()).when(progress(interview_moved())).then(interview_moved())
    after(arranged(), interview_moved()).when(progress(held())).then(held())
    after(arranged(), held()).when(progress(feedback())).then(feedback())


def test_company_and_job_order_are_the_candidacys() -> None:
    fact = arranged(company_id=None, job_order_id=UUID(int=9))
    after().when(progress(fact)).then(arranged())


def test_an_interview_may_lie_ahead() -> None:
    ahead = arranged(starts_at=NOON + timedelta(days=400))
    with stopped_at(NOON):
        after().when(progress(ahead)).then(ahead)
    early = arranged(starts_at=NOON - timedelta(hours=1))
    after().when(progress(early)).then_refused(BeforeItIsArranged)


@pytest.mark.parametrize("fact", [arranged(), offer_made()])
def test_nobody_is_interviewed_or_offered_anything_before_being_introduced(fact: Any) -> None:
    given(Person, *PUT_FORWARD[:-1]).when(progress(fact)).then_refused(NotPutForward)
    given(Person, sourced()).when(progress(fact)).then_refused(NoSuchCandidacy)
    after(closed()).when(progress(fact)).then_refused(CandidacyIsClosed)


@pytest.mark.parametrize("end", [held(), called_off()])
def test_what_is_over_is_neither_moved_nor_held(end: Any) -> None:
    for fact in (interview_moved(), held(), called_off()):
        after(arranged(), end).when(progress(fact)).then_refused(InterviewIsOver)


def test_there_is_no_feedback_before_it_was_held() -> None:
    for history in ([arranged()], [arranged(), called_off()]):
        after(*history).when(progress(feedback())).then_refused(NotHeldYet)
    after().when(progress(feedback())).then_refused(NoSuchInterview, interview_id=INTERVIEW)


def test_only_interviewers_have_a_say_or_nobody_in_particular() -> None:
    someone = feedback(interviewer_id=UUID(int=0xA9))
    after(arranged(), held()).when(progress(someone)).then_refused(NotAnInterviewer)
    nobody = feedback(interviewer_id=None)
    after(arranged(), held()).when(progress(nobody)).then(nobody)


def test_what_comes_late_to_a_closed_candidacy_is_written_down_all_the_same() -> None:
    after(arranged(), closed()).when(progress(held())).then(held())
    after(arranged(), held(), closed()).when(progress(feedback())).then(feedback())
    after(offer_made(), closed()).when(progress(offer_declined())).then(offer_declined())


@pytest.mark.parametrize("end", [offer_accepted(), offer_declined(), offer_withdrawn()])
def test_an_offer_is_changed_and_answered_once(end: Any) -> None:
    after(offer_made()).when(progress(offer_changed())).then(offer_changed())
    after(offer_made(), offer_changed()).when(progress(end)).then(end)
    for fact in (offer_changed(), offer_accepted(), offer_declined(), offer_withdrawn()):
        after(offer_made(), end).when(progress(fact)).then_refused(OfferIsOver, offer_id=OFFER)
    after().when(progress(end)).then_refused(NoSuchOffer)


def test_there_is_one_offer_at_a_time() -> None:
    other = offer_made(offer_id=UUID(int=2))
    after(offer_made()).when(progress(other)).then_refused(OfferIsOpen, offer_id=OFFER)
    after(offer_made(), offer_declined()).when(progress(other)).then(other)


def test_an_offer_is_accepted_until_its_last_day_which_is_not_before_it_is_made() -> None:
    until = NOON.date()
    early, late = until - timedelta(days=1), NOON + timedelta(days=1)
    after().when(progress(offer_made(expires_on=early))).then_refused(EndsBeforeItIsMade)
    after(offer_made()).when(progress(offer_changed(expires_on=early))).then_refused(
        EndsBeforeItIsMade
    )
    on_it, too_late = offer_accepted(accepted_at=NOON), offer_accepted(accepted_at=late)
    after(offer_made(expires_on=until)).when(progress(on_it)).then(on_it)
    after(offer_made(expires_on=until)).when(progress(too_late)).then_refused(
        OfferHasExpired, offer_id=OFFER, expires_on=until
    )
    longer = offer_changed(expires_on=late.date())
    after(offer_made(expires_on=until), longer).when(progress(too_late)).then(too_late)


def test_who_accepted_an_offer_is_made_no_other_until_that_is_off() -> None:
    other = offer_made(offer_id=UUID(int=2))
    taken = [offer_made(), offer_accepted()]
    after(*taken).when(progress(other)).then_refused(OfferIsAccepted, offer_id=OFFER)
    after(*taken, closed(), reopened()).when(progress(other)).then(other)


@pytest.mark.parametrize("fact", [called_off, offer_declined, offer_withdrawn])
def test_what_does_not_come_to_pass_has_a_reason(fact: Any) -> None:
    after(arranged(), offer_made()).when(progress(fact(reason=""))).then_refused(WhyMissing)


def test_no_id_is_used_twice() -> None:
    after(arranged(), held()).when(progress(arranged())).then_refused(IdTaken, holder=PERSON)
    after(offer_made(), offer_declined()).when(progress(offer_made())).then_refused(IdTaken)


class ProgressMachine(Machine):
    """Two interviews and two offers on one candidacy."""

    def __init__(self) -> None:
        super().__init__()
        person = Person.source(sourced(), by=ANA, id=PERSON)
        for fact in PUT_FORWARD[1:]:
            person.enter(fact, by=ANA)
        self.begin(person)
        self.interviews: dict[UUID, str] = {}
        self.offers: dict[UUID, bool] = {}
        self.accepted = False

    ids = st.sampled_from([UUID(int=1), UUID(int=2)])

    @rule(id=ids)
    def arrange(self, id: UUID) -> None:
        fact = arranged(interview_id=id)
        if self.says(progress(fact), allowed=id not in self.interviews):
            self.interviews[id] = ""

    @rule(id=ids, to=st.sampled_from(["", "held", "called off"]))
    def go_on(self, id: UUID, to: str) -> None:
        fact = {"": interview_moved, "held": held, "called off": called_off}[to]
        if self.says(progress(fact(interview_id=id)), allowed=self.interviews.get(id) == ""):
            self.interviews[id] = to

    @rule(id=ids)
    def judge(self, id: UUID) -> None:
        fact = feedback(interview_id=id)
        self.says(progress(fact), allowed=self.interviews.get(id) == "held")

    @rule(id=ids)
    def offer(self, id: UUID) -> None:
        free = all(self.offers.values()) and id not in self.offers and not self.accepted
        if self.says(progress(offer_made(offer_id=id)), allowed=free):
            self.offers[id] = False

    @rule(id=ids, answer=st.sampled_from([offer_accepted, offer_declined, offer_withdrawn]))
    def answer(self, id: UUID, answer: Any) -> None:
        if self.says(progress(answer(offer_id=id)), allowed=self.offers.get(id) is False):
            self.offers[id] = True
            self.accepted |= answer is offer_accepted

    @invariant()
    def what_it_decides_on_is_what_we_know(self) -> None:
        found = self.aggregate.candidacies[CANDIDACY].progress
        assert {id: each.over for id, each in found.interviews.items()} == self.interviews
        assert {id: each.over for id, each in found.offers.items()} == self.offers
        assert sum(not over for over in self.offers.values()) <= 1


TestProgress = ProgressMachine.TestCase
TestProgress.settings = settings(max_examples=40, stateful_step_count=25)
