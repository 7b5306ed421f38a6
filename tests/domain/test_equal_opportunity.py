"""Equal-opportunity answers are counted, and nobody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from builders import equally_answered
from ledger_crm.domain.entry import ERASED, UNOPENED, Actor, Entry, cause
from ledger_crm.domain.equal_opportunity import (
    QUESTIONS,
    SIZE_BYTES,
    SMALLEST,
    TOGETHER,
    Answers,
    EqualOpportunityAnswered,
    EqualOpportunityForm,
    NotByAConsultant,
    disclosed,
    packed,
    unpacked,
)
from ledger_crm.projections.equal_opportunity import TallyRow, tallies
from ledger_crm.store import EntryMapper
from scenario import ANA, KEYRING, NOON

FORM = Actor("integration:website")
few_words = st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=80).filter(
    lambda text: "\x7f" not in text
)
any_answers = st.builds(Answers, **dict.fromkeys(QUESTIONS, few_words))
counts = st.dictionaries(st.text(max_size=3), st.integers(1, 30), max_size=8)


def answered(answers: Answers) -> Entry[Any]:
    [entry] = EqualOpportunityForm.answer(answers, by=FORM).collect_events()
    return entry  # type: ignore[return-value]


def test_a_consultant_does_not_answer_for_somebody() -> None:
    with pytest.raises(NotByAConsultant):
        EqualOpportunityForm.answer(Answers(gender="woman"), by=ANA)


def test_an_answer_says_nothing_of_whom_it_is_from() -> None:
    """Not the request that it came with either, which may have brought the application, nor, by its
    id, when it was made."""
    token = cause.set("request-7")
    try:
        entry = answered(Answers(gender="woman"))
    finally:
        cause.reset(token)
    assert entry.cause == ""
    assert entry.originator_id.version == 4
    assert entry.event.concerns == ()
    assert entry.event.once == ""
    assert entry.event.reserves == ()
    assert entry.event.__struct_fields__ == ("answers",)


@hypothesis.given(answers=any_answers)
def test_every_answer_is_as_long_as_any_other(answers: Answers) -> None:
    """Ciphertext tells the length: else "woman" and "man" could be told apart without a key."""
    assert unpacked(packed(answers)) == answers
    assert len(packed(answers).encode()) == SIZE_BYTES
    stored = [
        EntryMapper(KEYRING, {}).to_stored_event(
            Entry(
                originator_id=UUID(int=1),
                originator_version=1,
                timestamp=NOON,
                by=FORM,
                event=EqualOpportunityAnswered(answers=packed(one)),
            )
        )
        for one in (answers, Answers())
    ]
    assert len({len(row.state) for row in stored}) == 1
    assert {*msgspec.json.decode(stored[0].state)["event"]} == {"kind"}


def test_who_is_erased_is_not_counted() -> None:
    assert unpacked(ERASED) is None
    assert unpacked(UNOPENED) is None


@hypothesis.given(counts=counts)
def test_no_number_that_is_told_is_of_few(counts: dict[str, int]) -> None:
    told, others = disclosed(counts)
    assert all(n >= SMALLEST for n in told.values())
    assert others == 0 or others >= SMALLEST or not told
    assert sum(told.values()) + others == sum(counts.values()), "none is dropped"
    assert all(counts[answer] == n for answer, n in told.items())
    assert [*told.values()] == sorted(told.values(), reverse=True)


def test_the_others_cannot_be_told_by_taking_away() -> None:
    """Of 20 of whom 19 are told, the one who is left would be known as well."""
    assert disclosed({"a": 12, "b": 7, "c": 1}) == ({"a": 12}, 8)
    assert disclosed({"a": 12, "b": 7, "c": 5}) == ({"a": 12, "b": 7, "c": 5}, 0)
    assert disclosed({"a": 19, "b": 1}) == ({}, 20)


@hypothesis.given(genders=st.lists(st.sampled_from(["woman", "man", "other", ""]), max_size=45))
def test_what_is_told_never_moves_by_one_person(genders: list[str]) -> None:
    """Whoever asks for the report after each applicant sees it move for TOGETHER of them, or not at
    all."""
    told, since = Counter[str](), 0
    for row in _rows(genders):
        after, since = _told(row) + _others(row), since + 1
        if after != told:
            assert (after - told).total() == since == TOGETHER
            told, since = after, 0
    assert told.total() == len(genders) // TOGETHER * TOGETHER


@hypothesis.given(genders=st.lists(st.sampled_from("aaaaaaabbbcd"), max_size=120))
@hypothesis.example(genders=[*"aaaaabbbbb", *"aaaaaaaaab"])
@hypothesis.example(genders=[*"abcdefghij", *"aaaaaaaaab"])
def test_no_number_moves_by_few(genders: list[str]) -> None:
    """Whoever takes a report from the next one finds no number of few either."""
    told, others = Counter[str](), 0
    for row in _rows(genders):
        after, rest = _told(row), _others(row).total()
        moves = [after[answer] - told[answer] for answer in after | told] + [abs(rest - others)]
        assert all(moved == 0 or moved >= SMALLEST for moved in moves)
        assert rest == 0 or rest >= SMALLEST
        told, others = after, rest


def test_an_answer_is_told_as_soon_as_enough_gave_it() -> None:
    """Holding back a whole question until every answer of it is frequent would never end."""
    *_, row = _rows([*"aaaaabbbbb", *"aaaaaaaaab"])
    assert (_told(row), _others(row).total()) == (Counter(a=5, b=5), 10)
    *_, row = _rows([*"aaaaabbbbb", *("aaaaaaaaab" * 5)])
    assert (_told(row), _others(row).total()) == (Counter(a=50, b=10), 0)


@hypothesis.given(
    genders=st.lists(st.sampled_from("aaabbc"), min_size=TOGETHER, max_size=60), data=st.data()
)
def test_who_is_erased_takes_nine_others_along(genders: list[str], data: st.DataObject) -> None:
    """Or the report that is built anew would tell what they answered, by taking away; and if the
    next one took their place, also what everybody answered at whom a ten begins."""
    gone = data.draw(st.integers(0, len(genders) - 1))
    *_, rebuilt = _rows([None if n == gone else gender for n, gender in enumerate(genders)])
    first = gone // TOGETHER * TOGETHER
    rows = _rows(genders[:first] + genders[first + TOGETHER :])
    without = rows[-1] if rows else TallyRow(year=2026, question="gender")
    if len(genders) >= first + TOGETHER:
        assert rebuilt == without
    assert (_told(rebuilt), _others(rebuilt)) == (_told(without), _others(without))


def _rows(genders: Iterable[str | None]) -> list[TallyRow]:
    """After each form. None: erased."""
    row, rows = TallyRow(year=2026, question="gender"), []
    [handler] = [
        each
        for each in tallies.handlers[EqualOpportunityAnswered]
        if each.key(_entry("", NOON)) == (2026, "gender")  # type: ignore[union-attr]
    ]
    for gender in genders:
        row = handler.change(row, _entry(gender, NOON))  # type: ignore[union-attr, assignment]
        rows.append(row)
    return rows


def _told(row: TallyRow) -> Counter[str]:
    return Counter(msgspec.json.decode(row.told, type=dict[str, int]))


def _others(row: TallyRow) -> Counter[str]:
    return Counter(msgspec.json.decode(row.others, type=dict[str, int]))


def _entry(gender: str | None, at: datetime) -> Entry[Any]:
    erased = EqualOpportunityAnswered(answers=ERASED)
    return Entry(
        originator_id=UUID(int=1), originator_version=1, timestamp=at, by=FORM,
        event=erased if gender is None else equally_answered(gender),
    )  # fmt: skip
