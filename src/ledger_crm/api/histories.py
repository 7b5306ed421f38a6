"""What ever passed between us and a person or a company, whole or narrowed."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from litestar.params import QueryParameter

from ledger_crm.projections import history

from .asking import moment_of
from .following import kinds_of
from .reading import Named, Page, View, moment

By = Annotated[
    str | None,
    QueryParameter(max_length=80, description="Only what this one wrote down, consultant:ana."),
]


async def page(
    view: View,
    of: Literal["person", "company"],
    id: UUID,
    *,
    kind: str | None,
    by: str | None,
    since: str | None,
    until: str | None,
    cursor: str | None,
    limit: int,
) -> Response[Page[history.HistoryLine]]:
    """Who belongs to a company by job orders alone that whoever asks does not see, does not belong
    to it for them. Raises as ``View.page`` and ``View.seen``, and Malformed."""
    named = Named(person_id=id, by=by) if of == "person" else Named(company_id=id, by=by)
    asked: dict[str, Any] = {"cursor": cursor, "limit": limit, "at": moment, "named": named}
    narrowed = (kind, by, since, until) != (None, None, None, None)

    async def ask(besides: frozenset[UUID]) -> Response[Page[history.HistoryLine]]:
        if not narrowed and not besides:
            return await view.page(history.of, id, kind=of, **asked)
        return await view.page(
            history.fitting,
            id,
            kind=of,
            kinds=kinds_of(kind),
            by=by,
            since=moment_of(since, "since"),
            until=moment_of(until, "until"),
            besides=besides,
            **asked,
        )

    return await (view.seen(ask) if of == "company" else ask(frozenset()))
