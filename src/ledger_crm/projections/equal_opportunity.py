"""Equal opportunity: how often each answer was given in a year, and nothing of anybody.

One row per year and question. What may be told moves only when TOGETHER further answers are in, or
who compares the report before and after one applicant would know what that one answered. No row
holds an id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.equal_opportunity import (
    QUESTIONS,
    TOGETHER,
    EqualOpportunityAnswered,
    disclosed,
    unpacked,
)

from ._projection import Cursor, Projection, Row, Table


class TallyRow(Row, frozen=True, kw_only=True):
    year: int  # in which it was written down, UTC
    question: str
    told: str = "{}"  # JSON, how often each answer was given: what may be told of
    held: str = "{}"  # the same of those since, of whom there are too few yet
    waiting: int = 0  # how many those are


tallies = Table("equal_opportunity", TallyRow, key="year, question")
projection = Projection("equal_opportunity", tallies, version=1)


def _counting(question: str) -> Callable[[TallyRow, Entry[EqualOpportunityAnswered]], TallyRow]:
    def answered(row: TallyRow, entry: Entry[EqualOpportunityAnswered]) -> TallyRow:
        answers = unpacked(entry.event.answers)
        if answers is None:
            return row
        answer = " ".join(getattr(answers, question).casefold().split())
        held = _counts(row.held) + Counter([answer])
        if row.waiting + 1 < TOGETHER:
            return replace(row, held=_text(held), waiting=row.waiting + 1)
        return replace(row, told=_text(_counts(row.told) + held), held="{}", waiting=0)

    return answered


def _key(question: str) -> Callable[[Entry[EqualOpportunityAnswered]], tuple[int, str]]:
    return lambda entry: (entry.timestamp.year, question)


def _begin(question: str) -> Callable[[Entry[EqualOpportunityAnswered]], TallyRow]:
    return lambda entry: TallyRow(year=entry.timestamp.year, question=question)


for _question in QUESTIONS:
    tallies.on(EqualOpportunityAnswered, key=_key(_question), start=_begin(_question))(
        _counting(_question)
    )


def _counts(text: str) -> Counter[str]:
    return Counter(msgspec.json.decode(text, type=dict[str, int]))


def _text(counts: Counter[str]) -> str:
    return msgspec.json.encode(dict(counts), order="sorted").decode()


class AnswerCount(msgspec.Struct, frozen=True):
    """answer  "": they would not say"""

    answer: str
    people: int


class QuestionReport(msgspec.Struct, frozen=True):
    """others  people who gave answers of which each was given by too few to be told"""

    question: str
    people: int
    answers: list[AnswerCount]
    others: int


async def report(cur: Cursor, *, year: int) -> list[QuestionReport]:
    """By question; the most frequent answer first. Empty while too few have answered."""
    await cur.execute("SELECT question, told FROM equal_opportunity WHERE year = %s", (year,))
    found = {question: _counts(told) for question, told in await cur.fetchall()}
    shown = []
    for question in QUESTIONS:
        if counts := found.get(question):
            told, others = disclosed(counts)
            answers = [AnswerCount(answer, people) for answer, people in told.items()]
            shown.append(QuestionReport(question, counts.total(), answers, others))
    return shown
