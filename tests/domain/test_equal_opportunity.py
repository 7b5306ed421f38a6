"""Equal-opportunity answers are counted, and nobody's."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from builders import equally_answered
from ledger_crm.domain.entry import ERASED, Actor, Entry, cause
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
    row, told, since = TallyRow(year=2026, question="gender"), Counter[str](), 0
    [handler] = [
        each
        for each in tallies.handlers[EqualOpportunityAnswered]
        if each.key(_entry("", NOON)) == (2026, "gender")  # type: ignore[union-attr]
    ]
    for gender in genders:
        row = handler.change(row, _entry(gender, NOON))  # type: ignore[union-attr, assignment]
        after, since = Counter(msgspec.json.decode(row.told, type=dict[str, int])), since + 1
        if after != told:
            assert (after - told).total() == since == TOGETHER
            told, since = after, 0
    assert told.total() == len(genders) // TOGETHER * TOGETHER


def _entry(gender: str, at: datetime) -> Entry[Any]:
    return Entry(
        originator_id=UUID(int=1), originator_version=1, timestamp=at, by=FORM,
        event=equally_answered(gender),
    )  # fmt: skip
