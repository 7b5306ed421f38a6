"""Equal opportunity: how often each answer was given in a year, and nothing of anybody.

One row per year and question. What may be told moves only when TOGETHER further answers are in, or
who compares the report before and after one applicant would know what that one answered; and each
number of it moves by none or by enough (``disclosed``). A form that is erased takes its place among
its ten, none of whom is told when the rows are built anew: without one of them the report would
tell that one by taking away, and with another in its place all that follow. No row holds an id.
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
    told: str = "{}"  # JSON, how often each answer was given: what is told by name
    others: str = "{}"  # the same of those who are told as others
    held: str = "{}"  # the same of those since, of whom there are too few yet
    waiting: int = 0  # how many those are
    erased: bool = False  # one of them or more is


tallies = Table("equal_opportunity", TallyRow, key="year, question", keeps_past=False)
projection = Projection("equal_opportunity", tallies, version=3)


def _counting(question: str) -> Callable[[TallyRow, Entry[EqualOpportunityAnswered]], TallyRow]:
    def answered(row: TallyRow, entry: Entry[EqualOpportunityAnswered]) -> TallyRow:
        answers = unpacked(entry.event.answers)
        held = _counts(row.held)
        if answers:
            held[" ".join(getattr(answers, question).casefold().split())] += 1
        erased = row.erased or answers is None
        if row.waiting + 1 < TOGETHER:
            return replace(row, held=_text(held), waiting=row.waiting + 1, erased=erased)
        row = replace(row, held="{}", waiting=0, erased=False)
        return row if erased else _told(row, held)

    return answered


def _told(row: TallyRow, held: Counter[str]) -> TallyRow:
    others = _counts(row.others)
    named, _ = disclosed(others + held, before=others.total())
    told = _counts(row.told) + Counter(named)
    return replace(row, told=_text(told), others=_text(others + held - Counter(named)))


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
    """people   by tens, and none of a ten of which one is erased
    answers  those of which so many more were given that it may be told
    others   people whose answers are not told by name, or not yet
    """

    question: str
    people: int
    answers: list[AnswerCount]
    others: int


async def report(cur: Cursor, *, year: int) -> list[QuestionReport]:
    """By question; the most frequent answer first. Empty while too few have answered."""
    await cur.execute(
        "SELECT question, told, others FROM equal_opportunity WHERE year = %s", (year,)
    )
    found = {
        question: (_counts(told), _counts(rest)) for question, told, rest in await cur.fetchall()
    }
    shown = []
    for question in QUESTIONS:
        told, others = found.get(question, (Counter[str](), Counter[str]()))
        if people := told.total() + others.total():
            in_order = sorted(told.items(), key=lambda count: (-count[1], count[0]))
            answers = [AnswerCount(*each) for each in in_order]
            shown.append(QuestionReport(question, people, answers, others.total()))
    return shown
