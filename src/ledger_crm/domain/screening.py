"""Screening: what a job order asks of whoever applies, and whether they answered it.

A question never decides: who answers what the job order does not accept is shown as such, and a
human rejects them or does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from .entry import LETTERS, Sealed, Slug, Words
from .faults import written_like
from .refusals import Invalid

Asked = Annotated[
    str, written_like(LETTERS, "plain text in one line, of at least one letter", max_length=500)
]
YES_NO = ("yes", "no")


class Question(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """id        by which it is answered; never shown
    asked     the question itself
    form      how it is answered; ``yes_no`` by ``yes`` or ``no``
    options   of a ``choice``, one of which is the answer
    required  nobody applies without an answer
    accepts   the answers with which somebody qualifies; none: all of them
    """

    id: Slug
    asked: Asked
    form: Literal["text", "yes_no", "choice"] = "text"
    options: Annotated[tuple[Words, ...], msgspec.Meta(max_length=40)] = ()
    required: bool = False
    accepts: Annotated[tuple[Words, ...], msgspec.Meta(max_length=40)] = ()

    @property
    def allowed(self) -> tuple[str, ...]:
        """The answers that it may have; none: any text."""
        return YES_NO if self.form == "yes_no" else self.options

    def qualifies(self, text: str) -> bool | None:
        """None: whatever they answer is as good."""
        return text in self.accepts if self.accepts else None


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """question  its id
    text      of a question with options: one of them, in the same letters
    """

    question: Slug
    text: Sealed


Questions = Annotated[tuple[Question, ...], msgspec.Meta(max_length=40)]
Answers = Annotated[tuple[Answer, ...], msgspec.Meta(max_length=40)]


class QuestionTwice(Invalid):
    """Two screening questions have the same id."""

    field = "questions"


class OptionsUnclear(Invalid):
    """A choice needs two different options at least, and any other question has none."""

    field = "questions"


class NeverAnswered(Invalid):
    """What a screening question accepts is not among the answers that it may have."""

    field = "questions"


class NotAsked(Invalid):
    """This job order has no such screening question."""

    field = "answers"


class AnsweredTwice(Invalid):
    """A screening question has one answer."""

    field = "answers"


class NotAnOption(Invalid):
    """The answer is none of the options of this screening question."""

    field = "answers"


class AnswerMissing(Invalid):
    """A required screening question has no answer."""

    field = "answers"


def must_make_sense(questions: Sequence[Question]) -> None:
    """Raises QuestionTwice, OptionsUnclear, NeverAnswered."""
    for id, times in Counter(question.id for question in questions).items():
        if times > 1:
            raise QuestionTwice(question=id)
    for question in questions:
        several = len(set(question.options)) > 1 and "" not in question.options
        clear = several and len(set(question.options)) == len(question.options)
        if not clear if question.form == "choice" else question.options:
            raise OptionsUnclear(question=question.id)
        if question.accepts and not set(question.accepts) <= set(question.allowed):
            raise NeverAnswered(question=question.id)


def must_answer(questions: Sequence[Question], answers: Sequence[Answer]) -> None:
    """What was answered is not repeated. Raises NotAsked, AnsweredTwice, NotAnOption,
    AnswerMissing."""
    asked = {question.id: question for question in questions}
    for id, times in Counter(answer.question for answer in answers).items():
        if id not in asked:
            raise NotAsked(question=id)
        if times > 1:
            raise AnsweredTwice(question=id)
    for answer in answers:
        allowed = asked[answer.question].allowed
        if allowed and answer.text not in allowed:
            raise NotAnOption(question=answer.question, options=list(allowed))
    answered = {answer.question for answer in answers if answer.text.strip()}
    if missing := [q.id for q in questions if q.required and q.id not in answered]:
        raise AnswerMissing(questions=missing)
