"""Pools are filled by hand, segments by criteria."""

from __future__ import annotations

import pytest

from builders import (
    company_segment_saved,
    pool_defined,
    pooled,
    segment_saved,
    sourced,
    unpooled,
)
from ledger_crm.domain.person import Person
from ledger_crm.domain.pool import Pool, PoolIsRetired
from ledger_crm.domain.segment import CompanyCriteria, Criteria, NoCriteria, Segment
from scenario import ANA, given


def test_a_person_is_in_a_pool_once() -> None:
    given(Person, sourced()).when(lambda p: p.pool(pooled(), by=ANA)).then(pooled())
    given(Person, sourced(), pooled()).when(lambda p: p.pool(pooled(), by=ANA)).then_nothing()
    given(Person, sourced(), pooled()).when(lambda p: p.pool(unpooled(), by=ANA)).then(unpooled())
    given(Person, sourced()).when(lambda p: p.pool(unpooled(), by=ANA)).then_nothing()
    other = pooled("mentors")
    given(Person, sourced(), pooled()).when(lambda p: p.pool(other, by=ANA)).then(other)


def test_a_pool_is_revised_and_the_same_again_is_nothing() -> None:
    later = pool_defined(title="People who speak")
    given(Pool, pool_defined()).when(lambda p: p.revise(later, by=ANA)).then(later)
    given(Pool, later).when(lambda p: p.revise(later, by=ANA)).then_nothing()


def test_a_retired_pool_takes_nobody_in_until_it_is_used_again() -> None:
    given(Pool, pool_defined(retired=True)).when(lambda p: p.must_be_in_use()).then_refused(
        PoolIsRetired, pool="speakers"
    )
    given(Pool, pool_defined(retired=True), pool_defined()).when(
        lambda p: p.must_be_in_use()
    ).then_nothing()


def test_a_segment_is_saved_anew_and_the_same_again_is_nothing() -> None:
    later = segment_saved(criteria=Criteria(tags=("vip",)))
    given(Segment, segment_saved()).when(lambda s: s.save(later, by=ANA)).then(later)
    given(Segment, later).when(lambda s: s.save(later, by=ANA)).then_nothing()


def test_a_segment_of_companies_is_saved_anew_with_another_cadence_and_has_criteria() -> None:
    later = company_segment_saved(cadence_days=42)
    given(Segment, company_segment_saved()).when(lambda s: s.save(later, by=ANA)).then(later)
    given(Segment, later).when(lambda s: s.save(later, by=ANA)).then_nothing()
    all_of_them = company_segment_saved(criteria=CompanyCriteria())
    given(Segment, later).when(lambda s: s.save(all_of_them, by=ANA)).then_refused(NoCriteria)


def test_people_and_companies_may_be_segments_of_one_name() -> None:
    people, companies = segment_saved("north"), company_segment_saved("north")
    assert Segment.begin(people, by=ANA).id != Segment.begin(companies, by=ANA).id


def test_a_segment_is_not_everybody() -> None:
    everybody = segment_saved(criteria=Criteria())
    with pytest.raises(NoCriteria):
        Segment.begin(everybody, by=ANA)
    given(Segment, segment_saved()).when(lambda s: s.save(everybody, by=ANA)).then_refused(
        NoCriteria
    )
