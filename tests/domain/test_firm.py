"""What we learn of a company after the first day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from builders import (
    added,
    domain_added,
    domain_removed,
    firm_profile,
    firm_tagged,
    firm_untagged,
    owned,
    parent,
)
from ledger_crm.domain.company import Company
from ledger_crm.domain.contact import NotADomain
from ledger_crm.domain.firm import NoSuchDomain, OwnAncestor
from scenario import ANA, COMPANY, given

GROUP = UUID(int=0xC9)


def change(fact: Any) -> Callable[[Any], object]:
    return lambda c: c.change(fact, by=ANA)


@pytest.mark.parametrize(
    "fact", [firm_profile(), domain_added(), parent(), owned(), firm_tagged()], ids=str
)
def test_it_is_written_once(fact: Any) -> None:
    given(Company, added()).when(change(fact)).then(fact)
    if fact != firm_profile():
        given(Company, added(), fact).when(change(fact)).then_nothing()


def test_a_profile_that_says_nothing_is_nothing() -> None:
    given(Company, added()).when(change(firm_profile(name=None))).then_nothing()


def test_what_is_known_no_longer_is_said_so() -> None:
    unknown = firm_profile(name=None, location="")
    given(Company, added()).when(change(unknown)).then(unknown)
    assert unknown.line == "profile changed: location no longer known"


def test_a_company_has_several_domains_each_in_its_one_form() -> None:
    given(Company, added()).when(change(domain_added(domain="WWW.Looms.Example "))).then(
        domain_added(domain="looms.example")
    )
    given(Company, added()).when(change(domain_added(domain="engines.example"))).then_nothing()
    given(Company, added()).when(change(domain_added(domain="looms"))).then_refused(NotADomain)


def test_a_domain_that_is_removed_may_be_had_by_another() -> None:
    gone = domain_removed(domain="engines.example")
    given(Company, added()).when(change(gone)).then(gone)
    assert gone.releases == (("domain", "engines.example"),)
    given(Company, added(), gone).when(change(gone)).then_refused(NoSuchDomain)


def test_it_belongs_to_another_or_to_nobody_but_not_to_itself() -> None:
    nobody = parent(parent_id=None)
    given(Company, added(), parent()).when(change(nobody)).then(nobody)
    given(Company, added()).when(change(nobody)).then_nothing()
    given(Company, added(), id=COMPANY).when(change(parent(parent_id=COMPANY))).then_refused(
        OwnAncestor
    )


def test_a_tag_is_taken_off() -> None:
    given(Company, added(), firm_tagged()).when(change(firm_untagged())).then(firm_untagged())
    given(Company, added()).when(change(firm_untagged())).then_nothing()


def test_an_owner_is_relieved() -> None:
    given(Company, added(), owned()).when(change(owned(owner=""))).then(owned(owner=""))
    assert owned(owner="").line == "owned by nobody"
