"""Referrals: from somebody, to somebody, and a fee that is settled once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from builders import (
    REFERRAL,
    REFERRER,
    added,
    client_passed_on,
    client_referral_fee,
    client_referred,
    consent,
    leave_alone,
    lifted,
    no_consent,
    passed_on,
    referral_fee,
    referred,
    sourced,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.permission import DoNotContact, NoConsent
from ledger_crm.domain.person import Person
from ledger_crm.domain.referral import (
    DatedBackwards,
    FeeIsDue,
    FeeIsSettled,
    NoFeeAgreed,
    NoSuchReferral,
    ReferralIdTaken,
    ReferrerMissing,
)
from scenario import ANA, COMPANY, LATER, NOON, PERSON, given

OTHER = UUID(int=0x3F)

both = pytest.mark.parametrize(
    ("type_", "first", "id", "received", "handed_on", "fee"),
    [
        (Person, sourced(), PERSON, referred, passed_on, referral_fee),
        (Company, added(), COMPANY, client_referred, client_passed_on, client_referral_fee),
    ],
    ids=["candidate", "client"],
)


@both
def test_a_referral_names_somebody_else(
    type_: Any, first: Any, id: UUID, received: Any, handed_on: Any, fee: Any
) -> None:
    nobody = {"by_person_id": None}
    for fact in (received(), received(**nobody, by_company_id=UUID(int=7)), handed_on()):
        given(type_, first, id=id).when(lambda x, f=fact: x.refer(f, by=ANA)).then(fact)  # type: ignore[misc]
    for fact in (
        received(**nobody),
        received(by_person_id=id),
        received(by_company_id=id),
        handed_on(to_person_id=None, to_company_id=None),
        handed_on(to_company_id=id),
    ):
        scene = given(type_, first, id=id).when(lambda x, f=fact: x.refer(f, by=ANA))  # type: ignore[misc]
        scene.then_refused(ReferrerMissing)
    taken = given(type_, first, received(), id=id)
    taken.when(lambda x: x.refer(handed_on(), by=ANA)).then_refused(
        ReferralIdTaken, referral_id=REFERRAL
    )


@both
def test_a_fee_is_told_of_until_it_is_settled(
    type_: Any, first: Any, id: UUID, received: Any, handed_on: Any, fee: Any
) -> None:
    agreed = received(fee_cents=1, by_company_id=OTHER)
    filled_in = {"with_person_id": REFERRER, "with_company_id": OTHER}
    for before, state in (
        ([agreed], "due"),
        ([agreed], "paid"),
        ([agreed], "waived"),
        ([agreed, fee("due")], "paid"),
        ([agreed, fee("due")], "waived"),
    ):
        scene = given(type_, first, *before, id=id)
        acting = scene.when(lambda x, s=state: x.tell_referral_fee(fee(s), by=ANA))  # type: ignore[misc]
        acting.then(fee(state, **filled_in))
    for before, fact, refusal in (
        ([agreed, fee("due")], fee("due"), FeeIsDue),
        ([agreed, fee("paid")], fee("waived"), FeeIsSettled),
        ([agreed, fee("waived")], fee("due"), FeeIsSettled),
        ([received()], fee("due"), NoFeeAgreed),
        ([agreed], fee(referral_id=OTHER), NoSuchReferral),
        ([agreed], fee(told_at=NOON - timedelta(seconds=1)), DatedBackwards),
    ):
        scene = given(type_, first, *before, id=id)
        acting = scene.when(lambda x, f=fact: x.tell_referral_fee(f, by=ANA))  # type: ignore[misc]
        acting.then_refused(refusal)


def test_whoever_asked_us_to_stop_is_not_passed_on() -> None:
    for before, refusal in ((no_consent(), NoConsent), (leave_alone(), DoNotContact)):
        given(Person, sourced(), before).when(lambda p: p.refer(passed_on(), by=ANA)).then_refused(
            refusal
        )
        given(Person, sourced(), before).when(lambda p: p.refer(referred(), by=ANA)).then(
            referred()
        )
    later = passed_on(given_at=LATER)
    for again in ((no_consent(), consent(given_at=LATER)), (leave_alone(), lifted())):
        given(Person, sourced(), *again).when(lambda p: p.refer(later, by=ANA)).then(later)
