"""/shortlists: whom we show to a client, in versions, and the links that lead there."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ledger_crm.commands import shortlists as commands
from ledger_crm.commands.shortlists import Candidates
from ledger_crm.domain.clock import now, today
from ledger_crm.domain.entry import Instant, Reason, Sealed
from ledger_crm.domain.shortlist import digest_of, new_link
from ledger_crm.ledger import Ledger, Receipt
from ledger_crm.projections import shortlists

from .acting import Act, Made, fields
from .reading import Limit, Named, Page, Token, View, position

USUAL_DAYS = 14

OfVersion = Annotated[
    int | None, QueryParameter(ge=1, le=2**31 - 1, description="Left out: the newest one.")
]


class NewShortlist(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """text  to the client, about all of them"""

    job_order_id: UUID
    people: Candidates
    text: Sealed = ""
    at: Instant = msgspec.field(default_factory=now, name="drawn_at")


class NextVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """people      all of them, in the order in which they are shown
    introduces  those who are on it by name and not introduced yet are introduced by this, under the
                terms in force; else they are refused while somebody has a link
    """

    people: Candidates
    introduces: bool = False
    text: Sealed = ""
    at: Instant = msgspec.field(default_factory=now, name="drawn_at")


class NewShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """contact_id  somebody who works at the client
    until_on    the last day on which the link opens; left out: the 14th from today
    introduces  those who are on it by name and not introduced yet are introduced by this, to this
                contact and under the terms in force; else they are refused
    """

    contact_id: UUID
    until_on: date | None = None
    introduces: bool = False
    at: Instant = msgspec.field(default_factory=now, name="shared_at")


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """link_id  null: all of them"""

    link_id: UUID | None = None
    reason: Reason = ""
    text: Sealed = ""
    at: Instant = msgspec.field(default_factory=now, name="withdrawn_at")


class Shared(Made, frozen=True):
    """token  the link's secret, which nobody can show again; null in a repeated answer: withdraw
    that link and share again if the first answer was lost
    """

    token: str | None


class Shortlists(Controller):
    path = "/"
    tags = ("shortlists",)

    @get("/shortlists")
    async def list_shortlists(
        self,
        view: NamedDependency[View],
        company_id: FromQuery[UUID | None] = None,
        job_order_id: FromQuery[UUID | None] = None,
        cursor: Token = None,
        limit: Limit = 50,
    ) -> Response[Page[shortlists.ShortlistListed]]:
        """List shortlists

        Over all, of a company or of a job order; the last begun first."""
        return await view.page(
            shortlists.listing,
            named=Named(company_id=company_id, job_order_id=job_order_id),
            company_id=company_id,
            job_order_id=job_order_id,
            cursor=cursor,
            limit=limit,
            at=position,
        )

    @get("/shortlists/{shortlist_id:uuid}")
    async def read_shortlist(
        self, view: NamedDependency[View], shortlist_id: FromPath[UUID], version: OfVersion = None
    ) -> Response[shortlists.ShortlistShown]:
        """Read a shortlist

        Its versions, who is on the newest one or on the one asked for, who has a link, who saw
        which version when, and what they said."""
        return await view.one(shortlists.one, shortlist_id, version=version)

    @get("/companies/{company_id:uuid}/shortlists/{shortlist_id:uuid}/preview", now_alone=True)
    async def preview_shortlist(
        self,
        view: NamedDependency[View],
        ledger: NamedDependency[Ledger],
        company_id: FromPath[UUID],
        shortlist_id: FromPath[UUID],
    ) -> Response[shortlists.ClientView]:
        """Preview a shortlist

        As a contact with a link would see it now. No view of it is written down."""
        view.must_be_now()
        await view.one(shortlists.one, shortlist_id, version=None)  # if they see it
        shown = await commands.preview(ledger, company_id, shortlist_id)
        return await view.one(shortlists.as_client_sees, shortlist_id, shown=shown)

    @post("/companies/{company_id:uuid}/shortlists")
    async def draw_shortlist(
        self, act: NamedDependency[Act], company_id: FromPath[UUID], data: JSONBody[NewShortlist]
    ) -> Response[Made]:
        """Draw up a shortlist

        Of people who have a candidacy on this job order. `headline` and `text` are what speaks for
        each. Nobody sees it before it is shared."""
        return await act.within(company_id, commands.draw, **fields(data))

    @post("/companies/{company_id:uuid}/shortlists/{shortlist_id:uuid}/versions")
    async def draw_version(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        shortlist_id: FromPath[UUID],
        data: JSONBody[NextVersion],
    ) -> Response[Made]:
        """Draw the next version

        Whoever has a link sees it from now on. Everybody keeps their label; who is left out is not
        shown any more."""
        return await act.within(
            company_id, commands.draw, shortlist_id=shortlist_id, **fields(data)
        )

    @post("/companies/{company_id:uuid}/shortlists/{shortlist_id:uuid}/shares")
    async def share_shortlist(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        shortlist_id: FromPath[UUID],
        data: JSONBody[NewShare],
    ) -> Response[Shared]:
        """Share a shortlist

        With one person at the client, by a link of their own. `token` is shown this once: send it
        as `Authorization: Bearer lcrs_...` to `/portal`. Showing somebody by name is an
        introduction: 403 names those who are not introduced yet."""
        token = new_link()
        asked = fields(data) | {"digest": digest_of(token), "until_on": _last(data.until_on)}
        answer = await act.within(company_id, commands.share, shortlist_id, **asked)
        if not isinstance(answer.content, Made):
            return answer  # of a dry run
        first = "Idempotency-Replayed" not in answer.headers
        made: dict[str, Any] = msgspec.structs.asdict(answer.content)
        return Response(Shared(**made, token=token if first else None), headers=answer.headers)

    @post("/companies/{company_id:uuid}/shortlists/{shortlist_id:uuid}/withdrawals")
    async def withdraw_shortlist(
        self,
        act: NamedDependency[Act],
        company_id: FromPath[UUID],
        shortlist_id: FromPath[UUID],
        data: JSONBody[Withdrawal],
    ) -> Response[Receipt]:
        """Withdraw a shortlist

        From one contact or from all: their links open nothing any more."""
        return await act.on(company_id, commands.withdraw, shortlist_id, **fields(data))


def _last(until_on: date | None) -> date:
    return until_on or today() + timedelta(days=USUAL_DAYS)
