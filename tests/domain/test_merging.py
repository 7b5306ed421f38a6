"""Two records of one person: what they decide together, and where it is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from builders import (
    CANDIDACY,
    HOLD,
    ORDER,
    OTHER_PERSON,
    absorbed,
    consent,
    document_added,
    document_removed,
    done,
    employed,
    employment_ended,
    hold_placed,
    hold_released,
    leave_alone,
    lifted,
    merged,
    no_consent,
    opened,
    placed,
    point,
    pooled,
    promised,
    represented,
    sent,
    sourced,
    tagged,
    talent,
    unmerged,
    unpooled,
    untagged,
)
from ledger_crm.domain.candidacy import CandidacyMoved
from ledger_crm.domain.candidate import CandidacyIsOpen, Move
from ledger_crm.domain.entry import Event
from ledger_crm.domain.merging import (
    MOST_TOGETHER,
    BothOnJobOrder,
    BothPlacedThere,
    MergedWithItself,
    NotMerged,
    PermittedSince,
    TooManyMerged,
)
from ledger_crm.domain.permission import DoNotContact, NoConsent
from ledger_crm.domain.person import Person
from ledger_crm.domain.privacy import PersonErased, PersonIsErased, UnderLegalHold
from ledger_crm.domain.refusals import Refusal
from scenario import ANA, COMPANY, LATER, NOON, PERSON, folded

BEFORE = NOON - timedelta(days=9)
SINCE = absorbed(absorbed_at=NOON - timedelta(hours=1))


class Whole:
    """A survivor, and what is merged into it, in hand."""

    def __init__(self, ours: list[Event], theirs: list[Event]) -> None:
        self.survivor = folded(Person, sourced(), *ours, SINCE)
        self.other = folded(Person, sourced(), *theirs, merged(survivor_id=PERSON), id=OTHER_PERSON)
        self.survivor.beside = (self.other,)

    def when(self, command: Callable[[Person], object]) -> Whole:
        self.command = command
        return self

    def then(self, *ours: Event, theirs: tuple[Event, ...] = ()) -> None:
        self.command(self.survivor)
        for one, expected in ((self.survivor, ours), (self.other, theirs)):
            assert [entry.event for entry in one.collect_events()] == list(expected)

    def then_refused(self, refusal: type[Refusal]) -> None:
        with pytest.raises(refusal):
            self.command(self.survivor)
        assert not self.survivor.pending_events
        assert not self.other.pending_events


def of(ours: list[Event], theirs: list[Event]) -> Whole:
    return Whole(ours, theirs)


def two(ours: list[Event], theirs: list[Event]) -> tuple[Person, Person]:
    return folded(Person, sourced(), *ours), folded(Person, sourced(), *theirs, id=OTHER_PERSON)


def test_both_are_told_and_the_same_again_is_nothing_new() -> None:
    ours, theirs = two([], [])
    ours.absorb(theirs, absorbed(reason="same_phone"), by=ANA)
    assert [e.event for e in ours.collect_events()] == [absorbed(reason="same_phone")]
    assert [e.event for e in theirs.collect_events()] == [
        merged(survivor_id=PERSON, reason="same_phone")
    ]
    assert ours.seen == ours.version + theirs.version, "they are one from now on"
    ours.absorb(ours, absorbed(), by=ANA)
    assert not ours.pending_events
    with pytest.raises(MergedWithItself):
        ours.absorb(ours, absorbed(duplicate_id=PERSON), by=ANA)


def test_un_merged_both_are_told_and_nothing_is_left_of_it() -> None:
    whole = of([], [])
    whole.when(lambda p: p.separate(OTHER_PERSON, at=LATER, by=ANA)).then(
        unmerged(other_id=OTHER_PERSON), theirs=(unmerged(other_id=PERSON),)
    )
    assert (whole.other.merged_into, whole.survivor.absorbed) == (None, {})
    assert whole.survivor.seen == whole.survivor.version, "they are two from now on"
    alone = folded(Person, sourced())
    with pytest.raises(NotMerged):
        alone.separate(OTHER_PERSON, at=LATER, by=ANA)


def other_candidacy(fact: Any, **changes: Any) -> Any:
    return replace(fact, candidacy_id=UUID(int=0xCA), **changes)


@pytest.mark.parametrize(
    ("facts", "refusal"), [([], BothOnJobOrder), ([represented(), placed()], BothPlacedThere)]
)
def test_one_person_is_not_on_one_job_order_twice(
    facts: list[Event], refusal: type[Refusal]
) -> None:
    ours, theirs = two(
        [opened(), *facts],
        [other_candidacy(opened()), *map(other_candidacy, facts)],
    )
    with pytest.raises(refusal) as refused:
        ours.absorb(theirs, absorbed(), by=ANA)
    assert refused.value.facts["job_order_ids"] == [ORDER]
    assert not ours.pending_events
    assert not theirs.pending_events
    ours.unseen = frozenset({ORDER})  # whoever merges is not told of it, also by no refusal
    ours.absorb(theirs, absorbed(), by=ANA)
    assert theirs.merged_into == ours.id


def test_nobody_is_merged_with_who_is_erased() -> None:
    ours, theirs = two([], [PersonErased(erased_at=NOON)])
    for survivor, other in ((ours, theirs), (theirs, ours)):
        fact = absorbed(duplicate_id=other.id)
        with pytest.raises(PersonIsErased):
            survivor.absorb(other, fact, by=ANA)


def test_so_many_records_are_hardly_of_one_person() -> None:
    """Each is in hand for every decision, and chains of them are gone through one by one."""
    last = folded(Person, sourced())
    for n in range(2, MOST_TOGETHER + 1):
        one = folded(Person, sourced(), id=UUID(int=n << 64))
        one.absorb(last, absorbed(duplicate_id=last.id), by=ANA)
        last = one
    assert len(last.everyone) == MOST_TOGETHER
    for ours, theirs in ((last, folded(Person, sourced())), (folded(Person, sourced()), last)):
        with pytest.raises(TooManyMerged):
            ours.absorb(theirs, absorbed(duplicate_id=UUID(int=7)), by=ANA)


@pytest.mark.parametrize(
    ("word", "refusal"), [(no_consent, NoConsent), (leave_alone, DoNotContact)]
)
def test_a_no_on_either_record_counts_for_both(word: Any, refusal: type[Refusal]) -> None:
    at = {"withdrawn_at": BEFORE} if word is no_consent else {"set_at": BEFORE}
    message = sent(sent_at=NOON)
    for ours, theirs in (([word(**at)], []), ([], [word(**at)])):
        of(ours, theirs).when(lambda p: p.record(message, by=ANA)).then_refused(refusal)


def test_a_yes_to_the_survivor_lifts_a_no_of_the_other_only_since_they_are_one() -> None:
    no = leave_alone(set_at=BEFORE - timedelta(days=1))
    message = sent(sent_at=LATER)
    of([lifted(lifted_at=BEFORE)], [no]).when(lambda p: p.record(message, by=ANA)).then_refused(
        DoNotContact
    )
    of([lifted(lifted_at=NOON)], [no]).when(lambda p: p.record(message, by=ANA)).then(message)
    given = consent(given_at=NOON)
    of([given], [no_consent(withdrawn_at=BEFORE)]).when(lambda p: p.record(message, by=ANA)).then(
        message
    )


@pytest.mark.parametrize("yes", [consent(given_at=NOON), lifted(lifted_at=NOON)])
def test_a_yes_of_before_does_not_count_by_merging_as_of_an_earlier_day(yes: Event) -> None:
    ours, theirs = two([yes], [leave_alone(set_at=BEFORE), no_consent(withdrawn_at=BEFORE)])
    with pytest.raises(PermittedSince):
        ours.absorb(theirs, absorbed(absorbed_at=NOON), by=ANA)
    ours.absorb(theirs, absorbed(absorbed_at=LATER), by=ANA)
    with pytest.raises(Refusal):
        ours.record(sent(sent_at=LATER), by=ANA)


def test_what_goes_on_with_something_is_written_where_that_is() -> None:
    move = Move(stage="contacted", at=NOON)
    whole = of([], [opened()])
    whole.when(lambda p: p.move(CANDIDACY, move, talent(), by=ANA))
    whole.command(whole.survivor)
    assert not whole.survivor.pending_events
    [entry] = whole.other.collect_events()
    assert isinstance(entry.event, CandidacyMoved)

    for theirs, command, written in (
        ([tagged()], lambda p: p.tag(untagged(), by=ANA), untagged()),
        ([pooled()], lambda p: p.pool(unpooled(), by=ANA), unpooled()),
        ([promised()], lambda p: p.follow_up(done(), by=ANA), done()),
        (
            [document_added()],
            lambda p: p.remove_document(document_removed(), by=ANA),
            document_removed(),
        ),
        ([hold_placed()], lambda p: p.ask_privacy(hold_released(), by=ANA), hold_released()),
        (
            [employed()],
            lambda p: p.end_employment(employment_ended(), by=ANA),
            employment_ended(),
        ),
    ):
        of([], [*theirs]).when(command).then(theirs=(written,))


def test_what_either_has_already_is_a_no_op() -> None:
    email = point()
    of([], [email]).when(lambda p: p.add_contact_point(email.point, email.value, by=ANA)).then()
    of([], [tagged()]).when(lambda p: p.tag(tagged(), by=ANA)).then()
    of([], [employed()]).when(lambda p: p.employ(employed(), by=ANA)).then()
    of([], [pooled()]).when(lambda p: p.pool(pooled(), by=ANA)).then()


def test_a_candidacy_of_either_is_the_one_on_its_job_order() -> None:
    def again(person: Person) -> None:
        person.open_candidacy(talent(), company_id=COMPANY, job_order_id=ORDER, at=NOON, by=ANA)

    of([], [opened()]).when(again).then_refused(CandidacyIsOpen)


def test_a_hold_on_either_keeps_both_and_an_erasure_takes_both() -> None:
    for ours, theirs in (([hold_placed()], []), ([], [hold_placed()])):
        of(ours, theirs).when(lambda p: p.erase(by=ANA)).then_refused(UnderLegalHold)
    whole = of([], [hold_placed(hold_id=HOLD), hold_released()])
    whole.survivor.erase(by=ANA)
    assert whole.survivor.erased
    assert whole.other.erased
    whole.when(lambda p: p.separate(OTHER_PERSON, at=LATER, by=ANA))
    with pytest.raises(PersonIsErased):
        whole.command(whole.survivor)
