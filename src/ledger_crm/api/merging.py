"""/people/{person_id}/merges, /companies/{company_id}/merges and /duplicates: two records become
one, and two again."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ledger_crm.commands import merging
from ledger_crm.domain.clock import now
from ledger_crm.domain.entry import Instant, Reason, Sealed
from ledger_crm.domain.merging import Absorbed, CompanyAbsorbed, PersonAbsorbed
from ledger_crm.ledger import Receipt
from ledger_crm.projections import duplicates, market

from .acting import Act, fields
from .reading import Limit, Named, Page, Token, View
from .snapshots import Reads

A = TypeVar("A", bound=Absorbed)


class Merge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """duplicate_id  the other record of the same person or company
    reason        a code of your own, like `same_phone`
    """

    duplicate_id: UUID
    at: Instant = msgspec.field(default_factory=now, name="absorbed_at")
    reason: Reason = ""
    text: Sealed = ""

    def fact(self, type_: type[A]) -> A:
        return type_(
            duplicate_id=self.duplicate_id,
            absorbed_at=self.at,
            reason=self.reason,
            text=self.text,
        )


class UndoMerge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """reason  a code of your own, like `two_people`"""

    at: Instant = msgspec.field(default_factory=now, name="unmerged_at")
    reason: Reason = ""
    text: Sealed = ""


class Merges(Controller):
    path = "/people/{person_id:uuid}/merges"
    tags = ("people",)

    @post()
    async def merge_people(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[Merge]
    ) -> Response[Receipt]:
        """Merge a duplicate into a person

        From then on there is one: every list, board and history shows it by this id, and the
        duplicate's leads here, in reads and in writes. Nothing is copied or lost, and it can be
        undone. 409 if both are on one job order and neither is out, if the duplicate is merged
        already, or if there were more than 100 records of one person. Consent withdrawn,
        do-not-contact and legal holds of either count for both. The same again changes nothing."""
        return await act.on(person_id, merging.merge, data.fact(PersonAbsorbed))

    @post("/{other_id:uuid}/undo")
    async def undo_merge(
        self,
        act: NamedDependency[Act],
        person_id: FromPath[UUID],
        other_id: FromPath[UUID],
        data: JSONBody[UndoMerge],
    ) -> Response[Receipt]:
        """Un-merge

        They were two after all: each has its own again. What was written meanwhile stays where it
        was written: with a candidacy or a document whose it was, else with this person. What was
        merged later is un-merged first."""
        return await act.on(person_id, merging.unmerge, other_id, **fields(data))


class CompanyMerges(Controller):
    path = "/companies/{company_id:uuid}/merges"
    tags = ("companies",)

    @post()
    async def merge_companies(
        self,
        act: NamedDependency[Act],
        reads: NamedDependency[Reads],
        company_id: FromPath[UUID],
        data: JSONBody[Merge],
    ) -> Response[Receipt]:
        """Merge a duplicate into a company

        From then on there is one: every list, history and report shows it by this id, and the
        duplicate's leads here, in reads and in writes. Nothing is copied or lost, and it can be
        undone. Of fee agreements of either that hold, the last to be agreed is in force; who was
        introduced before keeps their terms. Off-limits of either counts for both. Who was
        introduced to one and hired by the other, within the tail, is flagged as hired past us.
        409 if one belongs to the other, if the duplicate is merged already, or if there were
        more than 100 records of one company. The same again changes nothing, but that it looks
        for such hires again."""
        fact = data.fact(CompanyAbsorbed)
        people = await reads.by_now(market.between, company_id, data.duplicate_id)
        return await act.on(company_id, merging.merge_companies, fact, people)

    @post("/{other_id:uuid}/undo")
    async def undo_company_merge(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        other_id: FromPath[UUID],
        data: JSONBody[UndoMerge],
    ) -> Response[Receipt]:
        """Un-merge companies

        They were two after all: each has its own again. What was written meanwhile stays where it
        was written: with a job order, deal or agreement whose it was, else with this company. What
        was merged later is un-merged first."""
        return await act.on(company_id, merging.unmerge_companies, other_id, **fields(data))


@get("/duplicates", tags=["people"])
async def list_duplicates(
    view: NamedDependency[View],
    person_id: FromQuery[UUID | None] = None,
    why: FromQuery[duplicates.Why | None] = None,
    cursor: Token = None,
    limit: Limit = 50,
) -> Response[Page[duplicates.Duplicate]]:
    """List likely duplicates

    Pairs of records with the same name, in any order of its words, and the same birthday or an
    employer in common; the newest records first. Not those whose birthdays differ, nor those who
    were un-merged. Nothing merges by itself. `person_id`: pairs of theirs. `why`: where this is the
    same, perhaps among others."""
    return await view.page(
        duplicates.listing,
        named=Named(person_id=person_id),
        person_id=person_id,
        why=why,
        cursor=cursor,
        limit=limit,
        at=duplicates.place,
    )


@get("/duplicates/companies", tags=["companies"])
async def list_company_duplicates(
    view: NamedDependency[View],
    company_id: FromQuery[UUID | None] = None,
    why: FromQuery[duplicates.FirmWhy | None] = None,
    cursor: Token = None,
    limit: Limit = 50,
) -> Response[Page[duplicates.CompanyDuplicate]]:
    """List likely duplicates of companies

    Pairs of records with the same name, in any order of its words and without what says the legal
    form, or with domains that differ only in their ending; the newest records first. Not those that
    were un-merged. Nothing merges by itself. `company_id` and `why` as for people."""
    return await view.page(
        duplicates.of_companies,
        named=Named(company_id=company_id),
        company_id=company_id,
        why=why,
        cursor=cursor,
        limit=limit,
        at=duplicates.place,
    )


HANDLERS: list[Any] = [Merges, CompanyMerges, list_duplicates, list_company_duplicates]
