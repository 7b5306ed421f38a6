"""/search: people and companies by words."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ledger_crm.projections import search

from .reading import NOTHING, Limit, View


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """words  all of them have to be found, in any order; each may be only begun
    kind   people or companies only; null: both
    """

    words: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    kind: search.Kind | None = None


@post("/search/lookups", status_code=200, tags=["search"])
async def look_up(
    view: NamedDependency[View],
    data: JSONBody[Words],
    limit: Limit = 20,
) -> Response[search.Hits]:
    """Find people and companies by words

    In names, headlines, skills, places, industries, notes, job titles, e-mail addresses, job
    orders and custom fields, without regard to
    capitals and accents; names also with a typo, where the database can. The best first. It is a
    POST so that names do not stand in the address of a request; it writes nothing."""
    return await view.seen(
        lambda besides: view.answer(
            search.hits, NOTHING, data.words, kind=data.kind, besides=besides, limit=limit
        )
    )


HANDLERS = [look_up]
