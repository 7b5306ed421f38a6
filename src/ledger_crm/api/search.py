"""/search: people and companies by words."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ledger_crm.projections import search

from .reading import NOTHING, Limit, View

Asked = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """q      all of them have to be found, in any order; each may be only begun
    words  the same, by another name: give one of the two
    kind   people or companies only; null: both
    """

    q: Asked = ""
    words: Asked = ""
    kind: search.Kind | None = None

    def __post_init__(self) -> None:
        if bool(self.q) == bool(self.words):
            raise ValueError("give words as q")


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
            search.hits, NOTHING, data.q or data.words, kind=data.kind, besides=besides, limit=limit
        )
    )


HANDLERS = [look_up]
