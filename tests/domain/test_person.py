"""What may happen to a person, and what it takes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from builders import (
    AGREEMENT,
    CANDIDACY,
    ORDER,
    call,
    closed,
    employed,
    fee_agreed,
    introduced,
    moved,
    note,
    opened,
    placed,
    point,
    reopened,
    replied,
    represented,
    sent,
    sourced,
    talent,
)
from ledger_crm.domain.candidate import (
    CandidacyIsClosed,
    CandidacyIsOpen,
    CandidacyIsPlaced,
    Move,
    NoRightToRepresent,
    NoSuchCandidacy,
    NotABeginning,
    NotByMoving,
    NotIntroduced,
    ReasonMissing,
    WrongSide,
    candidacy_id,
)
from ledger_crm.domain.clock import stopped_at
from ledger_crm.domain.contact import NotAnEmailAddress
from ledger_crm.domain.entry import Event, NotYet
from ledger_crm.domain.interaction import Interaction
from ledger_crm.domain.interview import NotPutForward
from ledger_crm.domain.person import EndsBeforeItStarts, NameMissing, NotADay, NotOneLine, Person
from ledger_crm.domain.pipeline import NoSuchStage, Stage, StageIsRetired
from scenario import ANA, BEN, COMPANY, LATER, NOON, PERSON, given

UNKNOWN = UUID(int=0xBAD)


def open_candidacy(person: Person, stage: str = "", order: UUID = ORDER) -> UUID:
    return person.open_candidacy(
        talent(), company_id=COMPANY, job_order_id=order, at=NOON, stage=stage, by=ANA
    )


def move(to: str, id: UUID = CANDIDACY, **rest: Any) -> Any:
    return lambda p: p.move(id, Move(stage=to, at=NOON, **rest), talent(), by=ANA)


def introduce(agreement_id: UUID = AGREEMENT, id: UUID = CANDIDACY) -> Any:
    terms = fee_agreed(agreement_id=agreement_id)
    return lambda p: p.introduce(id, talent(), terms=terms, at=NOON, by=ANA)


def place(id: UUID = CANDIDACY) -> Any:
    return lambda p: p.place(
        id,
        talent(),
        at=NOON,
        starts_on=LATER.date(),
        first_year_pay_cents=8_000_000,
        fee_cents=2_000_000,
        currency="EUR",
        by=ANA,
    )


# who they are


def test_somebody_is_sourced() -> None:
    person = Person.source(sourced(), by=BEN)
    [entry] = person.collect_events()
    assert (entry.event, entry.by, entry.originator_topic) == (sourced(), BEN, "person")  # type: ignore[attr-defined]


SOUGHT = {"origin": "a search for rust", "found_by": BEN, "lawful_basis": "consent"}


@pytest.mark.parametrize(
    ("fact", "line", "told"),
    [
        (sourced(), "sourced by linkedin, on legitimate interest", ""),
        (sourced(**SOUGHT), f"sourced by linkedin, found by {BEN}, on consent", SOUGHT["origin"]),
        (employed(), "employed as hiring manager", "CTO"),
        (sent(override="She asked"), "message sent by email", "Hello\nall the same: She asked"),
        (introduced(override="He asked"), "introduced to the client", "all the same: He asked"),
        (closed(), "closed as rejected by client: salary too low", ""),
        (closed(text="Sorry", decider="Charles"), "closed as rejected by client: salary too low",
         "Sorry\ndecided by: Charles"),
    ],
)  # fmt: skip
def test_a_history_tells_who_what_and_why(fact: Event, line: str, told: str) -> None:
    assert (fact.line, fact.told) == (line, told)


@pytest.mark.parametrize("name", ["Ada\nByron", "\x1b[31mEve", "A\x7f"])
def test_a_name_steers_no_terminal(name: str) -> None:
    with pytest.raises(NotOneLine):
        Person.source(sourced(name=name), by=ANA)


@pytest.mark.parametrize("name", ["", " ", "\n\t", "\u200b"])
def test_nobody_is_nameless(name: str) -> None:
    with pytest.raises(NameMissing):
        Person.source(sourced(name=name), by=ANA)


def test_a_contact_point_is_kept_in_its_one_form() -> None:
    given(Person, sourced()).when(
        lambda p: p.add_contact_point("email", " Ada@Example.ORG ", by=ANA)
    ).then(point("ada@example.org"))


def test_a_contact_point_they_have_is_not_added_again() -> None:
    given(Person, sourced(), point("ada@example.org")).when(
        lambda p: p.add_contact_point("email", "ADA@example.org", by=ANA)
    ).then_nothing()


def test_what_is_no_contact_point_is_refused() -> None:
    given(Person, sourced()).when(
        lambda p: p.add_contact_point("email", "ada", by=ANA)
    ).then_refused(NotAnEmailAddress)


def test_they_work_somewhere() -> None:
    fact = employed(starts_on=date(2026, 3, 1), ends_on=date(2026, 3, 1))
    given(Person, sourced()).when(lambda p: p.employ(fact, by=ANA)).then(fact)


def test_they_may_work_at_two_places() -> None:
    other = employed(company_id=UUID(int=7))
    given(Person, sourced(), employed()).when(lambda p: p.employ(other, by=ANA)).then(other)


def test_no_employment_ends_before_it_starts() -> None:
    fact = employed(starts_on=date(2026, 3, 2), ends_on=date(2026, 3, 1))
    given(Person, sourced()).when(lambda p: p.employ(fact, by=ANA)).then_refused(EndsBeforeItStarts)


# what passes between us


@pytest.mark.parametrize("interaction", [sent(), replied(), call(), note()])
def test_what_passes_is_recorded(interaction: Interaction) -> None:
    given(Person, sourced()).when(lambda p: p.record(interaction, by=ANA)).then(interaction)


def test_two_calls_are_two_calls() -> None:
    given(Person, sourced(), call()).when(lambda p: p.record(call(), by=ANA)).then(call())


def test_a_message_is_once_per_channel() -> None:
    assert sent("1").once != sent("1", channel="linkedin").once
    assert sent("1").once
    assert not call().once


# a candidacy


def test_a_candidacy_begins_in_the_first_stage() -> None:
    given(Person, sourced()).when(open_candidacy).then(opened("sourced"))


def test_a_candidacy_begins_where_it_is_said_to() -> None:
    given(Person, sourced()).when(lambda p: open_candidacy(p, "screening")).then(
        opened("screening")
    )


def test_a_candidacy_has_the_same_id_whoever_opens_it() -> None:
    assert candidacy_id(PERSON, ORDER) == CANDIDACY
    assert candidacy_id(ORDER, PERSON) != CANDIDACY


def test_nobody_is_twice_on_one_job_order() -> None:
    for history in ([opened()], [opened(), closed()], [opened(), placed()]):
        given(Person, sourced(), *history).when(open_candidacy).then_refused(
            CandidacyIsOpen, candidacy_id=CANDIDACY
        )


def test_they_may_be_on_two_job_orders() -> None:
    other = UUID(int=2)
    fact = opened(job_order_id=other, candidacy_id=candidacy_id(PERSON, other))
    given(Person, sourced(), opened()).when(lambda p: open_candidacy(p, order=other)).then(fact)


@pytest.mark.parametrize("stage", ["submitted", "placed", "withdrawn", "rejected_by_us"])
def test_no_candidacy_begins_where_one_gets_by_deeds(stage: str) -> None:
    given(Person, sourced()).when(lambda p: open_candidacy(p, stage)).then_refused(
        NotABeginning, stage=stage
    )


def test_no_candidacy_begins_in_a_stage_that_is_not_there() -> None:
    given(Person, sourced()).when(lambda p: open_candidacy(p, "nirvana")).then_refused(NoSuchStage)


@pytest.mark.parametrize("to", ["contacted", "qualified", "replied", "sourced"])
def test_a_candidacy_moves_forward_and_back_and_may_leap(to: str) -> None:
    given(Person, sourced(), opened("screening")).when(move(to)).then(moved(to))


def test_nobody_is_moved_who_is_not_there() -> None:
    given(Person, sourced(), opened()).when(move("offer", id=UNKNOWN)).then_refused(
        NoSuchCandidacy, candidacy_id=UNKNOWN
    )


def test_nobody_is_moved_into_a_stage_that_is_not_there() -> None:
    given(Person, sourced(), opened()).when(move("nirvana")).then_refused(NoSuchStage)


def test_nobody_is_moved_into_a_retired_stage() -> None:
    pipeline = talent(
        Stage("sourced", "Sourced", "sourced"),
        Stage("old", "Old", "screening", retired=True),
    )
    given(Person, sourced(), opened()).when(
        lambda p: p.move(CANDIDACY, Move(stage="old", at=NOON), pipeline, by=ANA)
    ).then_refused(StageIsRetired)


@pytest.mark.parametrize("to", ["submitted", "placed"])
def test_nobody_is_introduced_or_placed_by_being_moved(to: str) -> None:
    given(Person, sourced(), opened(), represented()).when(move(to)).then_refused(NotByMoving)


@pytest.mark.parametrize("to", ["offer", "withdrawn", "sourced"])
def test_who_is_placed_is_not_moved_any_more(to: str) -> None:
    history = [sourced(), opened(), represented(), introduced(), placed()]
    given(Person, *history).when(move(to)).then_refused(CandidacyIsPlaced)


@pytest.mark.parametrize(
    ("decided_by", "decider"),
    [("us", "Ana"), ("client", "Charles"), ("client", ""), ("candidate", ""), ("rule", "visa")],
)
def test_an_exit_says_why_and_who_decided(decided_by: Any, decider: str) -> None:
    why: Any = {"reason": "no_visa", "decided_by": decided_by, "decider": decider}
    given(Person, sourced(), opened()).when(move("withdrawn", **why)).then(
        closed("withdrawn", **why)
    )


@pytest.mark.parametrize(
    "why",
    [
        {},
        {"reason": "no_visa"},
        {"decided_by": "us", "decider": "Ana"},
        {"reason": "no_visa", "decided_by": "us"},
        {"reason": "no_visa", "decided_by": "rule"},
        {"reason": "no_visa", "decider": "Ana"},
    ],
    ids=str,
)
def test_no_exit_without_a_reason_and_a_human_or_a_rule(why: Any) -> None:
    given(Person, sourced(), opened()).when(move("rejected_by_us", **why)).then_refused(
        ReasonMissing
    )


@pytest.mark.parametrize(
    ("to", "decided_by", "allowed"),
    [
        ("rejected_by_us", "us", True), ("rejected_by_us", "rule", True),
        ("rejected_by_us", "client", False), ("rejected_by_us", "candidate", False),
        ("rejected_by_client", "client", True), ("rejected_by_client", "us", False),
        ("rejected_by_client", "rule", False), ("rejected_by_client", "candidate", False),
    ],
)  # fmt: skip
def test_a_rejection_is_of_the_side_of_its_exit_and_names_a_human_or_a_rule(
    to: str, decided_by: Any, allowed: bool
) -> None:
    why: Any = {"reason": "skills", "decided_by": decided_by, "decider": "Charles"}
    case = given(Person, sourced(), opened()).when(move(to, **why))
    if allowed:
        case.then(closed(to, **why))
        for nobody in ("", " \t"):
            unnamed = move(to, **why | {"decider": nobody})
            given(Person, sourced(), opened()).when(unnamed).then_refused(ReasonMissing)
    else:
        case.then_refused(WrongSide, decided_by=decided_by)


def test_closed_again_the_later_decision_is_recorded_too() -> None:
    why: Any = {"reason": "changed_their_mind", "decided_by": "candidate"}
    given(Person, sourced(), opened(), closed()).when(move("withdrawn", **why)).then(
        closed("withdrawn", **why)
    )


def test_a_closed_candidacy_comes_back_by_being_moved() -> None:
    given(Person, sourced(), opened(), closed()).when(move("screening")).then(reopened("screening"))


def test_what_came_back_moves_on() -> None:
    given(Person, sourced(), opened(), closed(), reopened()).when(move("qualified")).then(
        moved("qualified")
    )


OF_THE_CLIENT = pytest.mark.parametrize("to", ["client_interview", "final_interview", "offer"])


@OF_THE_CLIENT
def test_nobody_comes_to_an_interview_or_an_offer_without_having_been_introduced(to: str) -> None:
    there = [sourced(), opened(), represented()]
    given(Person, *there).when(move(to)).then_refused(NotPutForward, candidacy_id=CANDIDACY)
    given(Person, *there, closed()).when(move(to)).then_refused(NotPutForward)
    given(Person, sourced()).when(lambda p: open_candidacy(p, to)).then_refused(NotABeginning)


@OF_THE_CLIENT
def test_who_was_introduced_goes_on_there_and_comes_back_there(to: str) -> None:
    there = [sourced(), opened(), represented(), introduced()]
    given(Person, *there).when(move(to)).then(moved(to))
    given(Person, *there, closed()).when(move(to)).then(reopened(to))


@OF_THE_CLIENT
def test_what_happened_elsewhere_is_told_without_an_introduction_here(to: str) -> None:
    given(Person, sourced(), opened()).when(
        lambda p: p.move(CANDIDACY, Move(stage=to, at=NOON), talent(), past=True, by=ANA)
    ).then(moved(to))


# introductions


def test_they_let_us_represent_them() -> None:
    given(Person, sourced(), opened()).when(
        lambda p: p.give_right_to_represent(CANDIDACY, at=NOON, by=ANA)
    ).then(represented())


def test_the_right_given_again_is_a_no_op() -> None:
    given(Person, sourced(), opened(), represented()).when(
        lambda p: p.give_right_to_represent(CANDIDACY, at=LATER, by=ANA)
    ).then_nothing()


def test_the_right_is_for_one_job_order() -> None:
    other = candidacy_id(PERSON, UUID(int=2))
    given(
        Person,
        sourced(),
        opened(),
        represented(),
        opened(job_order_id=UUID(int=2), candidacy_id=other),
    ).when(introduce(id=other)).then_refused(NoRightToRepresent, candidacy_id=other)


def test_nobody_is_represented_who_is_not_there() -> None:
    given(Person, sourced()).when(
        lambda p: p.give_right_to_represent(CANDIDACY, at=NOON, by=ANA)
    ).then_refused(NoSuchCandidacy)


def test_an_introduction_keeps_the_terms_in_force() -> None:
    given(Person, sourced(), opened(), represented()).when(introduce()).then(introduced())


def test_nobody_is_introduced_without_a_right_to_represent() -> None:
    given(Person, sourced(), opened()).when(introduce()).then_refused(NoRightToRepresent)


def test_nobody_is_introduced_who_is_out() -> None:
    given(Person, sourced(), opened(), represented(), closed()).when(introduce()).then_refused(
        CandidacyIsClosed
    )


def test_nobody_is_introduced_who_is_not_there() -> None:
    given(Person, sourced()).when(introduce()).then_refused(NoSuchCandidacy)


def test_introduced_again_the_first_terms_stay() -> None:
    """Else a fee that was agreed could be changed by sending the same person again."""
    given(Person, sourced(), opened(), represented(), introduced()).when(
        introduce(agreement_id=UUID(int=2))
    ).then(introduced(agreement_id=AGREEMENT))


def test_the_terms_of_the_introduction_outlive_an_exit() -> None:
    history = [sourced(), opened(), represented(), introduced(), closed(), reopened()]
    given(Person, *history).when(introduce(agreement_id=UUID(int=2))).then(introduced())


# placements


def test_who_was_introduced_is_placed_on_the_terms_of_the_introduction() -> None:
    given(Person, sourced(), opened(), represented(), introduced()).when(place()).then(placed())


def test_nobody_is_placed_before_being_introduced() -> None:
    given(Person, sourced(), opened(), represented()).when(place()).then_refused(NotIntroduced)


def test_nobody_is_placed_who_is_out() -> None:
    given(Person, sourced(), opened(), represented(), introduced(), closed()).when(
        place()
    ).then_refused(CandidacyIsClosed)


def test_nobody_is_placed_twice_on_one_candidacy() -> None:
    given(Person, sourced(), opened(), represented(), introduced(), placed()).when(
        place()
    ).then_refused(CandidacyIsPlaced)


def test_nobody_is_placed_who_is_not_there() -> None:
    given(Person, sourced()).when(place()).then_refused(NoSuchCandidacy)


def test_nobody_is_introduced_again_once_placed() -> None:
    given(Person, sourced(), opened(), represented(), introduced(), placed()).when(
        introduce()
    ).then_refused(CandidacyIsPlaced)


def test_the_same_employment_is_written_once() -> None:
    given(Person, sourced(), employed()).when(lambda p: p.employ(employed(), by=ANA)).then_nothing()


@pytest.mark.parametrize("day", ["1990W011", "19901231", "31.12.1990", "1990-02-30"])
def test_a_day_of_birth_is_written_in_one_way(day: str) -> None:
    with pytest.raises(NotADay):
        Person.source(sourced(born_on=day), by=ANA)


def test_what_has_not_happened_is_not_written_down() -> None:
    """It would be the newest of their history for ever."""
    with stopped_at(NOON):
        tomorrow = NOON + timedelta(days=1)  # in some time zone it is
        given(Person, sourced()).when(
            lambda p: p.record(replied(replied_at=tomorrow), by=ANA)
        ).then(replied(replied_at=tomorrow))
        later = tomorrow + timedelta(seconds=1)
        given(Person, sourced()).when(
            lambda p: p.record(replied(replied_at=later), by=ANA)
        ).then_refused(NotYet, field="replied_at")
        with pytest.raises(NotYet):
            Person.source(sourced(sourced_at=later), by=ANA)
