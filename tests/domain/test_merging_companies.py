"""Two records of one firm: what they decide together, and where it is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from builders import (
    AGREEMENT,
    DEAL,
    ORDER,
    OTHER_COMPANY,
    added,
    deal_moved,
    deal_opened,
    domain_added,
    fee_agreed,
    firm_absorbed,
    firm_tagged,
    off_limits,
    order_filled,
    order_opened,
    sales,
    target_dropped,
    target_named,
)
from ledger_crm.domain.agreement import FeeEnded
from ledger_crm.domain.company import Company, NoTerms
from ledger_crm.domain.entry import Event
from ledger_crm.domain.firm import FirmUntagged, OwnAncestor, ParentNamed
from ledger_crm.domain.joborder import JobOrderIsOpen
from ledger_crm.domain.merging import CompanyMerged, CompanyUnmerged, LiftedSince, NotMerged
from ledger_crm.domain.permission import OffLimits, OffLimitsLifted
from scenario import ANA, COMPANY, LATER, NOON, folded

SINCE = firm_absorbed(absorbed_at=NOON - timedelta(hours=1))


def whole(ours: list[Event], theirs: list[Event]) -> tuple[Company, Company]:
    """A survivor, and what is merged into it, in hand."""
    survivor = folded(Company, added(), *ours, SINCE, id=COMPANY)
    into = CompanyMerged(survivor_id=COMPANY, merged_at=SINCE.absorbed_at)
    other = folded(Company, added(), *theirs, into, id=OTHER_COMPANY)
    survivor.beside = (other,)
    return survivor, other


def written(company: Company) -> list[Event]:
    return [entry.event for entry in company.collect_events()]


def test_both_are_told_that_they_are_one_and_that_they_are_two() -> None:
    ours, theirs = (folded(Company, added(), id=id) for id in (COMPANY, OTHER_COMPANY))
    ours.absorb(theirs, firm_absorbed(reason="same_name"), by=ANA)
    ours.absorb(theirs, firm_absorbed(reason="same_name"), by=ANA)
    assert written(ours) == [firm_absorbed(reason="same_name")]
    assert written(theirs) == [
        CompanyMerged(survivor_id=COMPANY, merged_at=NOON, reason="same_name")
    ]
    ours.separate(OTHER_COMPANY, at=LATER, by=ANA)
    assert written(ours) == [CompanyUnmerged(other_id=OTHER_COMPANY, unmerged_at=LATER)]
    assert written(theirs) == [CompanyUnmerged(other_id=COMPANY, unmerged_at=LATER)]
    with pytest.raises(NotMerged):
        ours.separate(OTHER_COMPANY, at=LATER, by=ANA)


@pytest.mark.parametrize(
    ("theirs", "command", "expected"),
    [
        ([order_opened()], lambda c: c.fill_job_order(ORDER, at=NOON, by=ANA), order_filled()),
        (
            [deal_opened()],
            lambda c: c.move_deal(DEAL, "qualified", sales(), at=NOON, by=ANA),
            deal_moved(stage="qualified", category="qualified", probability_bp=2500),
        ),
        (
            [fee_agreed()],
            lambda c: c.end_fee(FeeEnded(agreement_id=AGREEMENT, ended_at=LATER), by=ANA),
            FeeEnded(agreement_id=AGREEMENT, ended_at=LATER),
        ),
        (
            [firm_tagged(tag="key")],
            lambda c: c.change(FirmUntagged(tag="key"), by=ANA),
            FirmUntagged(tag="key"),
        ),
        (
            [ParentNamed(parent_id=UUID(int=7))],
            lambda c: c.change(ParentNamed(parent_id=None), by=ANA),
            ParentNamed(parent_id=None),
        ),
    ],
)
def test_what_goes_on_with_something_is_written_where_that_is(
    theirs: list[Event], command: Callable[[Company], Any], expected: Event
) -> None:
    survivor, other = whole([], theirs)
    command(survivor)
    assert (written(survivor), written(other)) == ([], [expected])


def test_what_either_has_already_is_a_no_op_or_refused() -> None:
    survivor, other = whole(
        [], [domain_added(domain="acme.test"), firm_tagged(tag="key"), order_opened()]
    )
    survivor.change(domain_added(domain="acme.test"), by=ANA)
    survivor.change(firm_tagged(tag="key"), by=ANA)
    with pytest.raises(JobOrderIsOpen):
        survivor.open_job_order(order_opened(), by=ANA)
    with pytest.raises(OwnAncestor):
        survivor.change(ParentNamed(parent_id=OTHER_COMPANY), by=ANA)
    assert not [*survivor.pending_events, *other.pending_events]


def test_a_target_that_turned_out_to_be_the_client_can_be_dropped() -> None:
    survivor, _ = whole([order_opened(), target_named(target_id=OTHER_COMPANY)], [])
    dropped = target_dropped(target_id=OTHER_COMPANY)
    survivor.target(dropped, by=ANA)
    assert written(survivor) == [dropped]


def test_terms_that_are_ended_on_one_record_put_out_none_of_the_other() -> None:
    """They did, if they were agreed later: after a merge nobody could be introduced."""
    theirs = fee_agreed(agreement_id=UUID(int=0xA2), agreed_at=NOON - timedelta(minutes=90))
    ended = FeeEnded(agreement_id=theirs.agreement_id, ended_at=NOON - timedelta(minutes=70))
    earlier = fee_agreed(agreed_at=NOON - timedelta(days=9))
    order = order_opened()
    for survivor, _ in (
        whole([order, earlier], [theirs, ended]),
        whole([order, theirs, ended], [earlier]),
    ):
        assert survivor.terms_for(ORDER, NOON).agreement_id == AGREEMENT
    # what is agreed since they are one is of both, also once it is ended
    since = msgspec.structs.replace(theirs, agreed_at=NOON)
    ended = msgspec.structs.replace(ended, ended_at=LATER)
    survivor, _ = whole([order], [earlier])
    survivor.apply(since)
    survivor.apply(ended)
    with pytest.raises(NoTerms):
        survivor.terms_for(ORDER, LATER)


def test_the_terms_agreed_last_are_in_force_on_whichever_record_they_are() -> None:
    theirs = fee_agreed(agreement_id=UUID(int=0xFEE), agreed_at=NOON + timedelta(hours=1))
    survivor, other = whole([fee_agreed(), order_opened()], [theirs])
    assert survivor.terms_for(ORDER, NOON).agreement_id == AGREEMENT
    assert survivor.terms_for(ORDER, LATER).agreement_id == theirs.agreement_id
    first = whole([theirs, order_opened()], [fee_agreed()])[0]
    assert first.terms_for(ORDER, LATER).agreement_id == theirs.agreement_id
    own = msgspec.structs.replace(fee_agreed(), job_order_id=ORDER)
    survivor, other = whole([], [order_opened()])
    survivor.agree_fee(own, by=ANA)
    assert written(other) == [own], "a job order keeps its own terms"


def test_off_limits_of_either_counts_for_both_until_the_survivor_says_otherwise() -> None:
    before = off_limits(agreed_at=NOON - timedelta(days=9))
    for ours, theirs in (([before], []), ([], [before])):
        with pytest.raises(OffLimits):
            whole(ours, theirs)[0].must_be_approachable(LATER)
    lifted = OffLimitsLifted(lifted_at=NOON)
    whole([lifted], [before])[0].must_be_approachable(LATER)
    early = OffLimitsLifted(lifted_at=NOON - timedelta(days=1))
    with pytest.raises(OffLimits):
        whole([early], [before])[0].must_be_approachable(LATER)
    ours = folded(Company, added(), lifted, id=COMPANY)
    theirs = folded(Company, added(), id=OTHER_COMPANY)
    with pytest.raises(LiftedSince):
        ours.absorb(theirs, firm_absorbed(absorbed_at=NOON), by=ANA)
