"""What becomes of a deal beside its stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from builders import (
    added,
    deal_changed,
    deal_linked,
    deal_lost,
    deal_opened,
    deal_won,
    order_opened,
    paper_sent,
    paper_signed,
)
from ledger_crm.domain.agreement import NoSuchAgreement
from ledger_crm.domain.company import Company, DealIsOver, NoSuchDeal
from ledger_crm.domain.deal import NothingSent, NotTheLastVersion, SignedAlready
from ledger_crm.domain.joborder import NoSuchJobOrder
from scenario import ANA, given

TERMS = {"paper": "terms"}


def work(fact: Any) -> Callable[[Any], object]:
    return lambda c: c.work_on_deal(fact, by=ANA)


def after(*history: Any) -> Any:
    return given(Company, added(), deal_opened(), *history)


def test_what_we_expect_of_it_changes_until_it_is_over() -> None:
    after().when(work(deal_changed())).then(deal_changed())
    after().when(work(deal_changed(value_cents=None))).then_nothing()
    for end in (deal_won(), deal_lost()):
        after(end).when(work(deal_changed())).then_refused(DealIsOver)
    given(Company, added()).when(work(deal_changed())).then_refused(NoSuchDeal)


def test_each_paper_sent_is_the_next_version_whatever_the_caller_says() -> None:
    after().when(work(paper_sent(version=9))).then(paper_sent(version=1))
    after(paper_sent()).when(work(paper_sent(version=0))).then(paper_sent(version=2))
    after(paper_sent()).when(work(paper_sent(**TERMS))).then(paper_sent(**TERMS))
    assert paper_sent(version=2).line == "proposal revised, version 2"


def test_the_last_version_is_signed_and_once() -> None:
    second = paper_sent(version=2)
    after(paper_sent()).when(work(paper_signed())).then(paper_signed())
    after(paper_sent(), second).when(work(paper_signed())).then_refused(NotTheLastVersion, last=2)
    after(paper_sent(), paper_signed()).when(work(paper_signed())).then_refused(SignedAlready)
    after(paper_sent()).when(work(paper_signed(**TERMS))).then_refused(NothingSent)
    after(paper_sent(), paper_signed(), second).when(work(paper_signed(version=2))).then(
        paper_signed(version=2)
    )


@pytest.mark.parametrize("end", [deal_won(), deal_lost()])
def test_papers_are_signed_and_orders_linked_also_when_it_is_over(end: Any) -> None:
    after(paper_sent(), end).when(work(paper_signed())).then(paper_signed())
    after(order_opened(), end).when(work(deal_linked())).then(deal_linked())


def test_what_came_of_it_is_there() -> None:
    after().when(work(deal_linked())).then_refused(NoSuchJobOrder)
    after(order_opened(), deal_linked()).when(work(deal_linked())).then_nothing()
    unknown = paper_signed(agreement_id=UUID(int=9))
    after(paper_sent()).when(work(unknown)).then_refused(NoSuchAgreement)
