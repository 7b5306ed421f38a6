"""Target companies of a search."""

from __future__ import annotations

from uuid import UUID

from builders import (
    ORDER,
    added,
    order_filled,
    order_held,
    order_opened,
    target_dropped,
    target_named,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.joborder import JobOrderIsClosed, NoSuchJobOrder
from ledger_crm.domain.market import TargetIsClient
from scenario import ANA, COMPANY, given

SEARCH = (added(), order_opened())


def test_a_target_is_named_once_and_dropped_once() -> None:
    named, dropped = target_named(), target_dropped()
    given(Company, *SEARCH).when(lambda c: c.target(named, by=ANA)).then(named)
    given(Company, *SEARCH, named).when(
        lambda c: c.target(target_named(reason="again"), by=ANA)
    ).then_nothing()
    given(Company, *SEARCH, named).when(lambda c: c.target(dropped, by=ANA)).then(dropped)
    given(Company, *SEARCH, named, dropped).when(lambda c: c.target(named, by=ANA)).then(named)
    given(Company, *SEARCH).when(lambda c: c.target(dropped, by=ANA)).then_nothing()
    other = target_named(target_id=UUID(int=0xCA))
    given(Company, *SEARCH, named).when(lambda c: c.target(other, by=ANA)).then(other)


def test_a_target_is_of_a_search_that_is_not_over_and_not_the_client() -> None:
    own = target_named(target_id=COMPANY)
    given(Company, *SEARCH, id=COMPANY).when(lambda c: c.target(own, by=ANA)).then_refused(
        TargetIsClient
    )
    given(Company, added()).when(lambda c: c.target(target_named(), by=ANA)).then_refused(
        NoSuchJobOrder, job_order_id=ORDER
    )
    over = (*SEARCH, target_named(target_id=UUID(int=0xCA)), order_filled())
    given(Company, *over).when(lambda c: c.target(target_named(), by=ANA)).then_refused(
        JobOrderIsClosed
    )
    dropped = target_dropped(target_id=UUID(int=0xCA))
    given(Company, *over).when(lambda c: c.target(dropped, by=ANA)).then(dropped)
    given(Company, *SEARCH, order_held()).when(lambda c: c.target(target_named(), by=ANA)).then(
        target_named()
    )
