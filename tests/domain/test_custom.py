"""Custom fields: typed, versioned, and asked for where they are required."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders import (
    added,
    deal_opened,
    field_cleared,
    field_defined,
    field_set,
    firm_field_cleared,
    firm_field_set,
    order_opened,
    sourced,
)
from ledger_crm.domain.company import Company, NoSuchDeal
from ledger_crm.domain.custom import (
    MOST_FIELDS,
    Amount,
    Choice,
    ChoicesUnclear,
    CustomFields,
    FieldIsFixed,
    NoSuchField,
    RequiredFieldsMissing,
    TooManyFields,
    rank,
    read,
    shown,
    takes,
    written,
)
from ledger_crm.domain.joborder import NoSuchJobOrder
from ledger_crm.domain.person import Person
from scenario import ANA, PERSON, folded
from scenario import given as having

B, C1 = Choice("b", "Car"), Choice("c1", "Lorry")


def test_a_field_is_renamed_gets_choices_and_is_retired() -> None:
    for later in (
        field_defined(label="Licence"),
        field_defined(choices=(C1, B, Choice("d", "Bus"))),
        field_defined(choices=(B, Choice("c1", "Lorry", retired=True))),
        field_defined(required=True),
        field_defined(retired=True),
        field_defined("shift", type="text"),
    ):
        having(CustomFields, field_defined()).when(lambda f, d=later: f.define(d, by=ANA)).then(
            later
        )
    having(CustomFields, field_defined()).when(
        lambda f: f.define(field_defined(personal=True), by=ANA)
    ).then(field_defined(personal=True))
    having(CustomFields, field_defined()).when(
        lambda f: f.define(field_defined(), by=ANA)
    ).then_nothing()


@pytest.mark.parametrize(
    "later",
    [
        field_defined(type="text"),
        field_defined(type="multi_choice"),
        field_defined(choices=(B,)),
        field_defined(personal=False),
    ],
)
def test_a_field_keeps_its_type_its_choices_and_its_seal(later: Any) -> None:
    if later.type == "text":
        later = field_defined(type="text", choices=())
    having(CustomFields, field_defined()).when(lambda f: f.define(later, by=ANA)).then_refused(
        FieldIsFixed, slug="licence"
    )


@pytest.mark.parametrize(
    "unclear",
    [
        field_defined(choices=()),
        field_defined(choices=(B, B)),
        field_defined(choices=(Choice("b", "Car", retired=True),)),
        field_defined("shift", type="text", choices=(B,)),
        field_defined("shift", type="text", choices=(Choice("b", "Car", retired=True),)),
    ],
)
def test_a_field_of_choices_has_one_in_use_and_no_other_has_any(unclear: Any) -> None:
    having(CustomFields, field_defined()).when(lambda f: f.define(unclear, by=ANA)).then_refused(
        ChoicesUnclear
    )
    with pytest.raises(ChoicesUnclear):
        CustomFields.begin(unclear, by=ANA)


def test_there_is_an_end_to_the_fields_of_one_subject() -> None:
    many = [field_defined(f"f{n}", type="text") for n in range(MOST_FIELDS)]
    having(CustomFields, *many).when(
        lambda f: f.define(field_defined("more"), by=ANA)
    ).then_refused(TooManyFields, most=MOST_FIELDS)
    again = field_defined("f0", type="text", label="Another")
    having(CustomFields, *many).when(lambda f: f.define(again, by=ANA)).then(again)


def test_what_is_required_is_missed_until_it_is_known_or_retired() -> None:
    wanted = field_defined(required=True)
    known = folded(CustomFields, wanted, field_defined("shift", type="text"))
    known.must_not_miss({"licence"})
    with pytest.raises(RequiredFieldsMissing) as refused:
        known.must_not_miss({"shift"}, person_id=PERSON)
    assert refused.value.facts == {"missing": ["licence"], "person_id": PERSON}
    folded(CustomFields, wanted, field_defined(required=True, retired=True)).must_not_miss(())
    with pytest.raises(NoSuchField):
        known.field("none")


def test_a_value_is_set_once_of_each_thing_and_cleared() -> None:
    candidacy = UUID(int=9)
    for before, fact, written_down in (
        ([], field_set(), True),
        ([field_set()], field_set(), False),
        ([field_set()], field_set("c1"), True),
        ([field_set()], field_set(candidacy_id=candidacy), True),
        ([field_set(), field_cleared()], field_set(), True),
        ([field_set()], field_cleared(), True),
        ([], field_cleared(), False),
        ([field_set()], field_cleared(candidacy_id=candidacy), False),
        ([field_set()], field_cleared("other"), False),
    ):
        scene = having(Person, sourced(), *before)
        acting = scene.when(lambda p, f=fact: p.learn(f, by=ANA))  # type: ignore[misc]
        acting.then(fact) if written_down else acting.then_nothing()


def test_a_value_is_of_an_order_or_a_deal_that_is_there() -> None:
    order, deal = order_opened(), deal_opened()
    on_order: dict[str, Any] = {"job_order_id": order.job_order_id}
    on_deal: dict[str, Any] = {"deal_id": deal.deal_id}
    for of in ({}, on_order, on_deal):
        fact, cleared = firm_field_set(**of), firm_field_cleared(**of)
        scene = having(Company, added(), order, deal)
        scene.when(lambda c, f=fact: c.learn(f, by=ANA)).then(fact)
        having(Company, added(), order, deal, fact).when(
            lambda c, f=fact: c.learn(f, by=ANA)
        ).then_nothing()
        having(Company, added(), order, deal, fact).when(
            lambda c, f=cleared: c.learn(f, by=ANA)
        ).then(cleared)
    for of, refusal in ((on_order, NoSuchJobOrder), (on_deal, NoSuchDeal)):
        having(Company, added()).when(
            lambda c, of=of: c.learn(firm_field_set(**of), by=ANA)
        ).then_refused(refusal)


TYPED: list[tuple[str, Any, Any]] = [
    ("text", " Night shift ", "Night shift"),
    ("number", 12, 12),
    ("number", -12.5, -12.5),
    ("number", -0.0, 0),
    ("number", 1.10, 1.1),
    ("number", 999_999_999_999.9999, 999_999_999_999.9999),
    ("money", Amount(125_050, "EUR"), Amount(125_050, "EUR")),
    ("money", Amount(125, "JPY"), Amount(125, "JPY")),
    ("money", Amount(10**15, "JPY"), Amount(10**15, "JPY")),  # of currencies without a minor unit
    ("date", "2026-12-31", "2026-12-31"),
    ("choice", "b", "b"),
    ("multi_choice", ("c1", "b"), ("b", "c1")),
    ("person", "01939B30-11b2-7a44-9c05-7be1d2f3a418", "01939b30-11b2-7a44-9c05-7be1d2f3a418"),
]


@pytest.mark.parametrize(("type_", "given", "kept"), TYPED)
def test_a_value_is_shown_as_it_was_given(type_: Any, given: Any, kept: Any) -> None:
    said = written(field_defined(type=type_), given)
    assert shown(type_, said.text, said.ref_id) == kept
    assert type(shown(type_, said.text, said.ref_id)) is type(kept)


@pytest.mark.parametrize(
    ("type_", "wrong"),
    [
        ("text", ""), ("text", "  "), ("text", 1),
        ("number", "12"), ("number", 0.00001), ("number", 10**12), ("number", 1e300),
        ("money", "12.50 EUR"), ("money", 12),
        ("date", "31.12.2026"), ("date", "20261231"), ("date", "2026-02-30"),
        ("choice", "d"), ("choice", ("b",)),
        ("multi_choice", ("b", "d")), ("multi_choice", ()), ("multi_choice", "b"),
        ("person", "ada"), ("company", 7),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_without_repeating_it(type_: Any, wrong: Any) -> None:
    field = field_defined("f", type=type_)
    with pytest.raises(ValueError, match=r"^f takes ") as refused:
        written(field, wrong)
    assert str(refused.value) == takes(field)


def test_several_choices_are_the_same_in_any_order_of_the_definition() -> None:
    """Else a definition whose choices are swapped would make a new fact of every value."""
    c = Choice("c1", "Lorry")
    for choices in ((B, c), (c, B)):
        field = field_defined(type="multi_choice", choices=choices)
        assert written(field, ("c1", "b", "c1")).text == "b\nc1"


def test_a_retired_choice_is_not_chosen_any_more() -> None:
    field = field_defined(choices=(B, Choice("c1", "Lorry", retired=True)))
    with pytest.raises(ValueError, match=r"one of: b$"):
        written(field, "c1")


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("number", "12.5", 12.5),
        ("number", "12", 12),
        ("number", "12,5", "12,5"),
        ("money", "1250.50 EUR", Amount(125_050, "EUR")),
        ("money", "125 JPY", Amount(125, "JPY")),
        ("money", "1.5 JPY", "1.5 JPY"),
        ("money", "1250 eur", "1250 eur"),
        ("multi_choice", "b, c1", ("b", "c1")),
        ("date", " 2026-12-31", "2026-12-31"),
    ],
)
def test_text_of_a_file_is_read_by_the_type(type_: Any, text: str, value: Any) -> None:
    assert read(field_defined(type=type_), text) == value


@settings(max_examples=50)
@given(st.integers(-(10**15), 10**15), st.integers(-(10**15), 10**15))
@example(10**15 - 1, 10**15)
def test_numbers_are_ranked_as_they_are(one: int, other: int) -> None:
    """Over all that is kept: ten-thousandths, which a float holds exactly enough."""
    ranks = []
    for n in (one, other):
        text = written(field_defined(type="number"), n / 10_000).text
        ranks.append(rank("number", text))
        assert shown("number", text) == n / 10_000
    assert ranks == [one, other]


def test_days_and_amounts_are_ranked() -> None:
    assert rank("date", "2026-03-01") - rank("date", "2026-02-28") == 1  # type: ignore[operator]
    assert rank("money", "12.50 EUR") == 1250
    assert rank("text", "12") is None
