"""/people/{person_id}/privacy, .../erasure and /erasures: who is to be forgotten, and who is."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands.documents import drop_all
from ledger_crm.domain.entry import Reason
from ledger_crm.domain.person import Person
from ledger_crm.domain.privacy import PrivacyFacts
from ledger_crm.ledger import Ledger, Receipt
from ledger_crm.projections import erasures
from ledger_crm.vault import Vault

from .acting import Act, alone, fields
from .reading import Limit, Page, Token, View

DueBy = Annotated[
    date | None,
    QueryParameter(description="Only those that are due by this day, and not done."),
]


class ErasureNow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """reason  a code of your own, like `asked_us` or `kept_long_enough`"""

    reason: Reason = ""


@get("/erasures", tags=["privacy"])
async def list_erasures(
    view: NamedDependency[View],
    status: FromQuery[erasures.Status | None] = None,
    due_by: DueBy = None,
    on: FromQuery[date | None] = None,
    cursor: Token = None,
    limit: Limit = 50,
) -> Response[Page[erasures.Erasure]]:
    """List erasures

    Requested, deferred, held and done; the first due first. A request is due "without undue delay
    and in any event within one month of receipt of the request" (GDPR, Art. 12(3)), or by the day
    until which it is deferred. Overdue is told as of today, or of another day."""
    return await view.page(
        erasures.listing,
        on=on or view.today(),
        status=status,
        due_by=due_by,
        cursor=cursor,
        limit=limit,
        at=erasures.due,
    )


class OfPeople(Controller):
    path = "/people/{person_id:uuid}"
    tags = ("privacy",)

    @post("/privacy")
    async def record_privacy(
        self, act: NamedDependency[Act], person_id: FromPath[UUID], data: JSONBody[PrivacyFacts]
    ) -> Response[Receipt]:
        """Record a request to be erased, or a legal hold

        By its `kind`: a request, its deferral with a reason and a day, a legal hold that is placed
        or released. Nothing is erased by it."""
        return await act.on(person_id, alone(Person, Person.ask_privacy), data)

    @post("/erasure")
    async def erase_person(
        self,
        act: NamedDependency[Act],
        ledger: NamedDependency[Ledger],
        vault: NamedDependency[Vault],
        person_id: FromPath[UUID],
        data: JSONBody[ErasureNow],
    ) -> Response[Receipt]:
        """Erase a person

        For ever: the key to what was said of them is destroyed, their documents are deleted, their
        e-mail address may be somebody else's. What they were placed for stays, without a name. All
        records that are merged into theirs are erased with it. 409 if a legal hold is placed on any
        of them, or if this is one that is merged into another. Again, it changes nothing, and
        deletes what a crash left of the documents."""
        try:
            return await act.on(person_id, alone(Person, Person.erase, itself=True), **fields(data))
        finally:  # it may be written though the answer was lost; who is not erased keeps theirs
            await drop_all(ledger, vault, person_id)


HANDLERS: list[Any] = [list_erasures, OfPeople]
