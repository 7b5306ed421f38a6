"""What we learn of a person after the first day."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from builders import (
    employed,
    employment_ended,
    point,
    preferred,
    profile,
    removed,
    sourced,
    tagged,
    untagged,
)
from ledger_crm.domain.contact import NotAnEmailAddress
from ledger_crm.domain.entry import ERASED
from ledger_crm.domain.identity import (
    NoSuchContactPoint,
    NotEmployed,
    NothingChanged,
    skills_of,
)
from ledger_crm.domain.person import (
    EndsBeforeItStarts,
    NameMissing,
    NotADay,
    Person,
    ValidUntilBefore,
)
from scenario import ANA, COMPANY, LATER, NOON, folded, given


def change(fact: Any) -> Any:
    return lambda p: p.change_contact_point(fact, by=ANA)


# the profile


def test_a_profile_says_what_is_new_and_what_is_no_longer_known() -> None:
    fact = profile(skills="Python", seniority="senior", cleared=("address",))
    given(Person, sourced()).when(lambda p: p.change_profile(fact, by=ANA)).then(fact)
    assert fact.line == "profile changed: seniority senior, address no longer known"
    assert fact.told == "skills: Python", "what is sealed is told apart, as it is kept"


@pytest.mark.parametrize(
    ("fact", "refusal"),
    [
        (profile(changed_at=NOON), NothingChanged),
        (profile(skills="Python", cleared=("skills",)), NothingChanged),
        (profile(name=" "), NameMissing),
        (profile(born_on="31.12.1990"), NotADay),
    ],
)
def test_a_change_of_profile_makes_sense(fact: Any, refusal: Any) -> None:
    given(Person, sourced()).when(lambda p: p.change_profile(fact, by=ANA)).then_refused(refusal)


def test_skills_are_counted_without_capitals_and_once() -> None:
    assert skills_of("Python,  machine \n learning\npython, ,C++") == [
        "python", "machine", "learning", "c++",
    ]  # fmt: skip


def test_a_skill_without_end_is_cut() -> None:
    assert skills_of("x" * 5_000) == ["x" * 80]


# tags


def test_a_tag_is_given_once_and_taken_once() -> None:
    given(Person, sourced()).when(lambda p: p.tag(tagged(), by=ANA)).then(tagged())
    given(Person, sourced(), tagged()).when(lambda p: p.tag(tagged(), by=ANA)).then_nothing()
    given(Person, sourced(), tagged()).when(lambda p: p.tag(untagged(), by=ANA)).then(untagged())
    given(Person, sourced()).when(lambda p: p.tag(untagged(), by=ANA)).then_nothing()


# contact points


def test_a_contact_point_is_removed_and_may_come_back() -> None:
    given(Person, sourced(), point()).when(change(removed("ADA@example.org"))).then(removed())
    given(Person, sourced(), point(), removed()).when(
        lambda p: p.add_contact_point("email", "ada@example.org", by=ANA)
    ).then(point())


@pytest.mark.parametrize("fact", [removed(), preferred()])
def test_a_contact_point_that_is_not_theirs_cannot_be_changed(fact: Any) -> None:
    given(Person, sourced(), point("ben@example.org")).when(change(fact)).then_refused(
        NoSuchContactPoint, point="email"
    )
    given(Person, sourced(), point(), removed()).when(change(fact)).then_refused(NoSuchContactPoint)


def test_one_of_a_kind_is_primary() -> None:
    given(Person, sourced(), point()).when(change(preferred())).then(preferred())
    given(Person, sourced(), point(), preferred()).when(change(preferred())).then_nothing()
    back = [point(), preferred(), removed(), point()]
    given(Person, sourced(), *back).when(change(preferred())).then(preferred())


def test_what_is_no_contact_point_cannot_be_removed() -> None:
    given(Person, sourced()).when(change(removed("ada"))).then_refused(NotAnEmailAddress)


def test_a_contact_point_is_valid_from_one_day_to_a_later_one() -> None:
    days = {"valid_from_on": date(2026, 1, 1), "valid_until_on": date(2026, 12, 31)}
    given(Person, sourced()).when(
        lambda p: p.add_contact_point("email", "ada@example.org", **days, by=ANA)
    ).then(point(**days))
    days["valid_until_on"] = date(2025, 12, 31)
    given(Person, sourced()).when(
        lambda p: p.add_contact_point("email", "ada@example.org", **days, by=ANA)
    ).then_refused(ValidUntilBefore)


def test_two_erased_contact_points_still_fold() -> None:
    both = [point(ERASED), point(ERASED), removed(ERASED), preferred(ERASED), removed(ERASED)]
    assert folded(Person, sourced(), *both).version == 6


# where they stopped working


def test_who_leaves_no_longer_works_there() -> None:
    fact = employment_ended(ends_on=date(2026, 3, 2))
    given(Person, sourced(), employed()).when(lambda p: p.end_employment(fact, by=ANA)).then(fact)
    person = folded(Person, sourced(), employed(role="employee"), fact)
    assert person.works_at(NOON) == [COMPANY]
    assert person.works_at(LATER) == []


def test_the_same_employment_written_again_does_not_bring_them_back() -> None:
    given(Person, sourced(), employed(), employment_ended()).when(
        lambda p: p.employ(employed(), by=ANA)
    ).then_nothing()


def test_nobody_leaves_where_they_do_not_work_or_before_they_came() -> None:
    def leave(p: Person) -> None:
        p.end_employment(employment_ended(), by=ANA)

    given(Person, sourced()).when(leave).then_refused(NotEmployed)
    given(Person, sourced(), employed(), employment_ended()).when(leave).then_refused(NotEmployed)
    late = employed(starts_on=date(2027, 1, 1))
    given(Person, sourced(), late).when(leave).then_refused(EndsBeforeItStarts)
