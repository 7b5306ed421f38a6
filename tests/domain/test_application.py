"""Who applies, what they have to answer, and what we write to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from builders import (
    CANDIDACY,
    MOTIVATION,
    ORDER,
    RIGHT_TO_WORK,
    added,
    answered,
    applied,
    closed,
    introduced,
    moved,
    opened,
    order_filled,
    order_opened,
    placed,
    represented,
    screening,
    sourced,
    talent,
    template_defined,
)
from ledger_crm.domain.application import AlreadyApplied
from ledger_crm.domain.candidacy import CandidacyReopened
from ledger_crm.domain.candidate import CandidacyIsPlaced
from ledger_crm.domain.company import Company
from ledger_crm.domain.joborder import JobOrderIsClosed
from ledger_crm.domain.person import Person
from ledger_crm.domain.screening import (
    Answer,
    AnsweredTwice,
    AnswerMissing,
    NeverAnswered,
    NotAnOption,
    NotAsked,
    OptionsUnclear,
    Question,
    QuestionTwice,
    must_answer,
)
from ledger_crm.domain.template import (
    PLACEHOLDERS,
    ClientNotNamed,
    Template,
    UnknownPlaceholder,
    filled,
    placeholders,
)
from scenario import ANA, COMPANY, NOON, given

YES = Answer(question="right_to_work", text="yes")
NO = Answer(question="right_to_work", text="no")


def applies(*answers: Answer, asked: tuple[Question, ...] = ()) -> Callable[[Any], object]:
    return lambda p: p.take_application(
        talent(), asked, company_id=COMPANY, job_order_id=ORDER, at=NOON, channel="job_board",
        source="stepstone", answers=answers, by=ANA,
    )  # fmt: skip


def test_who_applies_is_on_the_job_order_in_its_first_stage_with_what_they_answered() -> None:
    given(Person, sourced()).when(applies(YES, asked=(RIGHT_TO_WORK,))).then(
        opened(text=""), applied(), answered()
    )


def test_whom_we_found_before_they_applied_stays_where_they_are() -> None:
    given(Person, sourced(), opened(), moved()).when(applies()).then(applied())


def test_nobody_applies_twice_at_once() -> None:
    given(Person, sourced(), opened(), applied()).when(applies()).then_refused(
        AlreadyApplied, candidacy_id=CANDIDACY
    )
    history = [sourced(), opened(), represented(), introduced(), placed()]
    given(Person, *history).when(applies()).then_refused(CandidacyIsPlaced)


def test_who_was_rejected_applies_anew_and_begins_anew() -> None:
    first = talent().first()
    back = CandidacyReopened(
        candidacy_id=CANDIDACY, company_id=COMPANY, job_order_id=ORDER, stage=first.id,
        category=first.category, reopened_at=NOON,
    )  # fmt: skip
    over = [sourced(), opened(), applied(), closed()]
    given(Person, *over).when(applies()).then(back, applied())
    given(Person, *over, back).when(applies()).then(applied())  # by us, before they came again


def test_an_answer_that_is_not_accepted_rejects_nobody() -> None:
    """A human does, or does not."""
    assert RIGHT_TO_WORK.qualifies("no") is False
    given(Person, sourced()).when(applies(NO, asked=(RIGHT_TO_WORK,))).then(
        opened(text=""), applied(), answered(text="no")
    )
    assert MOTIVATION.qualifies("anything") is None


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ((), AnswerMissing),
        ((Answer(question="right_to_work", text="maybe"),), NotAnOption),
        ((YES, Answer(question="shoe_size", text="44")), NotAsked),
        ((YES, NO), AnsweredTwice),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_asked_is_answered(answers: tuple[Answer, ...], refusal: Any) -> None:
    given(Person, sourced()).when(
        applies(*answers, asked=(RIGHT_TO_WORK, MOTIVATION))
    ).then_refused(refusal)


def test_a_blank_is_no_answer() -> None:
    needed = Question(id="motivation", asked="Why?", required=True)
    with pytest.raises(AnswerMissing):
        must_answer([needed], [Answer(question="motivation", text=" ")])


def test_no_refusal_repeats_what_was_answered() -> None:
    said = Answer(question="right_to_work", text="I am Ada Byron")
    with pytest.raises(NotAnOption) as refused:
        must_answer([RIGHT_TO_WORK], [said])
    assert "Ada" not in str(refused.value)


def test_questions_are_set_for_a_job_order_until_it_is_over() -> None:
    def sets(fact: Any) -> Callable[[Any], object]:
        return lambda c: c.step(fact, by=ANA)

    order = [added(), order_opened()]
    given(Company, *order, id=COMPANY).when(sets(screening())).then(screening())
    given(Company, *order, screening(), id=COMPANY).when(sets(screening())).then_nothing()
    other = screening(MOTIVATION)
    given(Company, *order, screening(), id=COMPANY).when(sets(other)).then(other)
    given(Company, *order, order_filled(), id=COMPANY).when(sets(other)).then_refused(
        JobOrderIsClosed
    )


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"form": "choice"}, OptionsUnclear),
        ({"form": "choice", "options": ("a",)}, OptionsUnclear),
        ({"form": "choice", "options": ("a", "a")}, OptionsUnclear),
        ({"form": "choice", "options": ("a", "b", "b")}, OptionsUnclear),
        ({"form": "choice", "options": ("a", "b", "")}, OptionsUnclear),
        ({"form": "text", "options": ("a", "b")}, OptionsUnclear),
        ({"form": "yes_no", "options": ("a", "b")}, OptionsUnclear),
        ({"form": "yes_no", "accepts": ("maybe",)}, NeverAnswered),
        ({"form": "text", "accepts": ("Python",)}, NeverAnswered),
    ],
    ids=str,
)
def test_a_question_can_be_answered(changes: dict[str, Any], refusal: Any) -> None:
    fact = screening(Question(id="q", asked="?", **changes))
    given(Company, added(), order_opened(), id=COMPANY).when(
        lambda c: c.step(fact, by=ANA)
    ).then_refused(refusal, question="q")


def test_no_two_questions_have_one_id() -> None:
    fact = screening(MOTIVATION, MOTIVATION)
    given(Company, added(), order_opened(), id=COMPANY).when(
        lambda c: c.step(fact, by=ANA)
    ).then_refused(QuestionTwice)


# templates


def test_a_template_is_defined_and_revised() -> None:
    begun = Template.define(template_defined(), by=ANA)
    assert [entry.event for entry in begun.collect_events()] == [template_defined()]
    later = template_defined(text="Good day {{name}}")
    given(Template, template_defined()).when(lambda t: t.revise(later, by=ANA)).then(later)
    given(Template, later).when(lambda t: t.revise(later, by=ANA)).then_nothing()


@pytest.mark.parametrize("text", ["{{salary}}", "Dear {{", "}} you", "{{}}", "{{a{{name}}}}"])
def test_a_template_has_only_places_that_we_can_fill(text: str) -> None:
    for bad in (template_defined(text=text), template_defined(subject=text)):
        given(Template, template_defined()).when(lambda t, b=bad: t.revise(b, by=ANA)).then_refused(
            UnknownPlaceholder
        )
    with pytest.raises(UnknownPlaceholder):
        Template.define(template_defined(text=text), by=ANA)


@hypothesis.given(values=st.fixed_dictionaries({p: st.text() for p in PLACEHOLDERS}))
def test_a_filled_template_holds_each_value_as_it_is(values: dict[str, str]) -> None:
    """Also one that looks like a placeholder: a name cannot make us write something else."""
    text = "|".join(f"{{{{ {name} }}}}" for name in PLACEHOLDERS)
    assert placeholders(text) == set(PLACEHOLDERS)
    assert filled(text, values) == "|".join(values[name] for name in PLACEHOLDERS)


def test_the_client_of_a_confidential_job_order_is_not_named() -> None:
    assert filled("{{name}}", {"name": "Ada"}) == "Ada"
    with pytest.raises(ClientNotNamed):
        filled("{{name}} at {{company}}", {"name": "Ada"})
