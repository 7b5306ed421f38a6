"""What we promised, and what becomes of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from builders import (
    FOLLOW_UP,
    added,
    company_done,
    company_promised,
    company_put_off,
    done,
    promised,
    put_off,
    sourced,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.followup import FollowUpIdTaken, FollowUpIsDone, NoSuchFollowUp
from ledger_crm.domain.permission import LastsUntilBefore
from ledger_crm.domain.person import Person
from scenario import ANA, given


def change(fact: Any) -> Any:
    return lambda p: p.follow_up(fact, by=ANA)


def test_something_is_promised_put_off_and_done() -> None:
    given(Person, sourced()).when(lambda p: p.promise(promised(), by=ANA)).then(promised())
    given(Person, sourced(), promised()).when(change(put_off())).then(put_off())
    given(Person, sourced(), promised(), put_off()).when(change(done())).then(done())


@pytest.mark.parametrize("fact", [done(), put_off()])
def test_what_was_not_promised_or_is_done_is_not_changed(fact: Any) -> None:
    given(Person, sourced()).when(change(fact)).then_refused(NoSuchFollowUp, follow_up_id=FOLLOW_UP)
    given(Person, sourced(), promised(), done()).when(change(fact)).then_refused(FollowUpIsDone)


def test_a_promise_is_put_off_to_a_day_that_has_not_passed() -> None:
    passed = put_off(until_on=date(2026, 3, 1))
    given(Person, sourced(), promised()).when(change(passed)).then_refused(LastsUntilBefore)


def test_an_id_is_of_one_promise() -> None:
    for before in ([promised()], [promised(), done()]):
        given(Person, sourced(), *before).when(
            lambda p: p.promise(promised(text="again"), by=ANA)
        ).then_refused(FollowUpIdTaken)


def test_a_company_is_promised_something_as_a_person_is() -> None:
    first, later, over = company_promised(), company_put_off(), company_done()
    given(Company, added()).when(lambda c: c.promise(first, by=ANA)).then(first)
    given(Company, added(), first).when(change(later)).then(later)
    given(Company, added(), first, later).when(change(over)).then(over)
    given(Company, added(), first).when(lambda c: c.promise(first, by=ANA)).then_refused(
        FollowUpIdTaken
    )
    passed = company_put_off(until_on=date(2026, 3, 1))
    given(Company, added(), first).when(change(passed)).then_refused(LastsUntilBefore)
    for fact in (over, later):
        given(Company, added()).when(change(fact)).then_refused(NoSuchFollowUp)
        given(Company, added(), first, over).when(change(fact)).then_refused(FollowUpIsDone)
