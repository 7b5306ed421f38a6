"""Erasure and legal hold: who may be forgotten, and what goes on about whoever is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from builders import (
    CANDIDACY,
    HOLD,
    REFERRAL,
    arranged,
    called_off,
    consent,
    document_added,
    document_removed,
    done,
    employed,
    employment_ended,
    erased,
    erasure_deferred,
    erasure_requested,
    fee_agreed,
    field_cleared,
    hold_placed,
    hold_released,
    introduced,
    leave_alone,
    note,
    offer_declined,
    offer_made,
    opened,
    placed,
    point,
    pooled,
    preferred,
    promised,
    referral_fee,
    referred,
    represented,
    researched,
    sent,
    snoozed,
    sourced,
    started,
    tagged,
    talent,
    unpooled,
    untagged,
    verdict,
)
from ledger_crm.domain.candidacy import CandidacyClosed
from ledger_crm.domain.candidate import Move
from ledger_crm.domain.clock import stopped_at
from ledger_crm.domain.entry import ERASED, Event
from ledger_crm.domain.fee import Share
from ledger_crm.domain.interview import InterviewCalledOff, OfferDeclined
from ledger_crm.domain.permission import LastsUntilBefore
from ledger_crm.domain.person import Person
from ledger_crm.domain.placement import CommissionSplit, FellThrough, PlacementStarted
from ledger_crm.domain.privacy import (
    HoldIdTaken,
    NoErasureRequested,
    NoSuchHold,
    PersonIsErased,
    UnderLegalHold,
    due_on,
)
from ledger_crm.domain.referral import CandidateReferralFee
from scenario import ANA, COMPANY, LATER, NOON, PERSON, folded, given

LIVED = [
    sourced(), point("ada@example.org"), preferred("ada@example.org"), employed(), tagged(),
    pooled(), leave_alone(), promised(), document_added(), referred(fee_cents=1), hold_placed(),
    hold_released(), opened(), verdict(), represented(), introduced(), arranged(), offer_made(),
]  # fmt: skip
PLACED = [*LIVED, placed()]
ALL_OURS = (Share(consultant=ANA, share_bp=10_000),)


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        ("2026-03-02", "2026-04-02"),
        ("2026-01-31", "2026-02-28"),
        ("2028-01-30", "2028-02-29"),
        ("2026-12-15", "2027-01-15"),
        ("2026-11-30", "2026-12-30"),
    ],
)
def test_a_request_is_due_within_one_month(asked: str, due: str) -> None:
    assert due_on(datetime.fromisoformat(asked).replace(tzinfo=UTC)) == date.fromisoformat(due)


def test_a_request_is_deferred_and_carried_out() -> None:
    given(Person, sourced()).when(
        lambda p: p.ask_privacy(erasure_requested(), by=ANA)
    ).then(erasure_requested())  # fmt: skip
    given(Person, sourced(), erasure_requested()).when(
        lambda p: p.ask_privacy(erasure_deferred(), by=ANA)
    ).then(erasure_deferred())
    with stopped_at(LATER):
        given(Person, sourced(), erasure_requested(), erasure_deferred()).when(
            lambda p: p.erase(reason="asked_us", by=ANA)
        ).then(erased(erased_at=LATER, reason="asked_us"))


def test_who_never_asked_can_be_erased_too() -> None:
    with stopped_at(NOON):
        given(Person, sourced()).when(lambda p: p.erase(by=ANA)).then(erased())


def test_what_is_so_already_is_not_written_again() -> None:
    asked = given(Person, sourced(), erasure_requested())
    asked.when(
        lambda p: p.ask_privacy(erasure_requested(requested_at=LATER), by=ANA)
    ).then_nothing()
    over = given(Person, sourced(), hold_placed(), hold_released())
    over.when(lambda p: p.ask_privacy(hold_released(), by=ANA)).then_nothing()
    given(Person, sourced(), erased()).when(lambda p: p.erase(by=ANA)).then_nothing()


def test_there_has_to_be_something_to_defer_and_to_release() -> None:
    given(Person, sourced()).when(
        lambda p: p.ask_privacy(erasure_deferred(), by=ANA)
    ).then_refused(NoErasureRequested)  # fmt: skip
    given(Person, sourced(), erasure_requested()).when(
        lambda p: p.ask_privacy(erasure_deferred(until_on=date(2026, 3, 1)), by=ANA)
    ).then_refused(LastsUntilBefore)
    given(Person, sourced()).when(
        lambda p: p.ask_privacy(hold_released(), by=ANA)
    ).then_refused(NoSuchHold, hold_id=HOLD)  # fmt: skip
    given(Person, sourced(), hold_placed(), hold_released()).when(
        lambda p: p.ask_privacy(hold_placed(), by=ANA)
    ).then_refused(HoldIdTaken)


def test_under_a_legal_hold_nobody_is_erased() -> None:
    other = CANDIDACY
    held = given(Person, sourced(), hold_placed(hold_id=other), hold_placed(), hold_released())
    held.when(lambda p: p.erase(by=ANA)).then_refused(UnderLegalHold, hold_ids=[other])


FURTHER: dict[str, Callable[[Person], object]] = {
    "the profile": lambda p: p.change_profile(None, by=ANA),  # type: ignore[arg-type]
    "a tag": lambda p: p.tag(untagged(), by=ANA),
    "a message": lambda p: p.record(sent(), by=ANA),
    "consent": lambda p: p.permit(consent(), by=ANA),
    "the same again": lambda p: p.permit(leave_alone(), by=ANA),
    "a snooze": lambda p: p.snooze_quiet(snoozed(), by=ANA),
    "a pool": lambda p: p.pool(unpooled(), by=ANA),
    "a field": lambda p: p.learn(field_cleared(), by=ANA),
    "a referral": lambda p: p.refer(referred(), by=ANA),
    "research": lambda p: p.research(researched(), by=ANA),
    "a document": lambda p: p.add_document(document_added(), by=ANA),
    "a document less": lambda p: p.remove_document(document_removed(), by=ANA),
    "a promise": lambda p: p.promise(promised(), by=ANA),
    "a promise kept": lambda p: p.follow_up(done(), by=ANA),
    "an address": lambda p: p.add_contact_point("email", "ada@example.org", by=ANA),
    "an address less": lambda p: p.change_contact_point(preferred("a@example.org"), by=ANA),
    "a job": lambda p: p.employ(employed(), by=ANA),
    "a job less": lambda p: p.end_employment(employment_ended(), by=ANA),
    "a verdict": lambda p: p.take_verdict(verdict(), by=ANA),
    "an interview": lambda p: p.progress(arranged(interview_id=PERSON), by=ANA),
    "a request": lambda p: p.ask_privacy(erasure_requested(), by=ANA),
    "a hold": lambda p: p.ask_privacy(hold_placed(hold_id=PERSON), by=ANA),
    "a right": lambda p: p.give_right_to_represent(CANDIDACY, at=NOON, by=ANA),
    "a stage": lambda p: p.move(CANDIDACY, Move(stage="screening", at=NOON), talent(), by=ANA),
    "a presentation": lambda p: p.must_be_presentable(CANDIDACY, NOON),
    "a note": lambda p: p.enter(note(), by=ANA),
}


@pytest.mark.parametrize("further", FURTHER.values(), ids=FURTHER)
def test_about_whoever_is_erased_nothing_further_is_written(
    further: Callable[[Person], object],
) -> None:
    given(Person, *LIVED, erased()).when(further).then_refused(PersonIsErased, person_id=PERSON)


TERMS = fee_agreed(guarantee_days=90)
FIRST = NOON.date()
OUT = Move(stage="withdrawn", at=NOON, reason="erased", decided_by="candidate")
GOES_ON: list[tuple[list[Any], type[Event], Callable[[Person], object]]] = [
    (PLACED, PlacementStarted,
     lambda p: p.start(CANDIDACY, terms=TERMS, starts_on=FIRST, by=ANA)),
    ([*PLACED, started(starts_on=FIRST)], FellThrough,
     lambda p: p.fall_through(
        CANDIDACY, terms=TERMS, left_on=FIRST, reason="left", decided_by="candidate", by=ANA)),
    (PLACED, CommissionSplit,
     lambda p: p.split_commission(CANDIDACY, shares=ALL_OURS, at=NOON, by=ANA)),
    (PLACED, CandidateReferralFee, lambda p: p.tell_referral_fee(referral_fee("paid"), by=ANA)),
    (LIVED, CandidacyClosed, lambda p: p.move(CANDIDACY, OUT, talent(), by=ANA)),
    (LIVED, InterviewCalledOff, lambda p: p.progress(called_off(), by=ANA)),
    (LIVED, OfferDeclined, lambda p: p.progress(offer_declined(), by=ANA)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("history", "fact", "command"), GOES_ON, ids=[fact.__name__ for _, fact, _ in GOES_ON]
)
def test_the_books_go_on(
    history: list[Event], fact: type[Event], command: Callable[[Person], object]
) -> None:
    person = folded(Person, *history, erased())
    with stopped_at(LATER):
        command(person)
    assert [type(entry.event) for entry in person.collect_events()] == [fact]


def test_what_is_held_of_whoever_is_erased_says_nothing() -> None:
    """In the memory of a process that wrote it, and in a snapshot."""
    person = folded(Person, *PLACED, erased())
    assert person.candidacies[CANDIDACY].placed
    assert REFERRAL in person.referrals.kept
    left = str({name: value for name, value in vars(person).items() if name != "candidacies"})
    assert "ada" not in left.lower()
    assert not person.points | person.tags | person.pools
    assert not person.documents or set(person.documents.values()) <= {ERASED}
    assert not person.candidacies[CANDIDACY].verdicts
    assert COMPANY not in {job.company_id for job in person.employments}
