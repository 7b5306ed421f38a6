"""Custom fields and teams as filters of lists."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from ledger_crm.domain.entry import Instant, Slug
from ledger_crm.domain.faults import written_like
from ledger_crm.domain.segment import InAddress
from ledger_crm.projections import Team

from .problems import Fault, Malformed

MOST = 20  # fields, and values of each, as in criteria: each is a query of its own

Custom = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=1000,
        description="Only those whose custom fields are these: `field:value`, `field:one|another`,"
        " `field:from..to` of a number, a day or money (`100.00 EUR`), `field:*` for anything and"
        " `field:` for nothing known; several with `;` between. What is personal text is not asked"
        " for in an address, which proxies log: POST criteria instead. At most 20 fields, and 20"
        " values of each.",
    ),
]

Words = Annotated[
    str | None,
    QueryParameter(
        max_length=200,
        pattern=written_like(r"\S", "words: there are only spaces").pattern,
        description="Only those that hold all of these words, or parts of words, in capitals or"
        " not, with accents or not.",
    ),
]

OfTeam = Annotated[
    str | None,
    QueryParameter(max_length=40, description="Only of consultants of the team with this slug."),
]


Since = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=40, description="From this day (UTC) or moment on."),
]
Until = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=40, description="Before this day (UTC) or moment."),
]


def moment_of(text: str | None, name: str) -> datetime | None:
    """A day is its first moment, in UTC. Raises Malformed."""
    if text is None:
        return None
    try:
        return datetime.combine(msgspec.convert(text, date, strict=False), time(), UTC)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(text, Instant, strict=False)
    except msgspec.ValidationError:
        how = "write a day like 2026-03-01, or a moment like 2026-03-01T09:00:00Z"
        raise Malformed(faults=[Fault(f"query:{name}", how)]) from None


def team_on(slug: str | None, on: date) -> Team | None:
    """Its members of that day."""
    return Team(slug, on) if slug else None


def asked(custom: str | None) -> tuple[InAddress, ...]:
    """Raises Malformed."""
    if custom is None:
        return ()
    parts = custom.split(";")
    if len(parts) > MOST or any(part.count("|") >= MOST for part in parts):
        many = f"ask for at most {MOST} fields, and {MOST} values of each"
        raise Malformed(faults=[Fault("query:custom", many)])
    found = []
    for part in parts:
        name, colon, what = (each.strip() for each in part.partition(":"))
        try:
            field = msgspec.convert(name, Slug)
        except msgspec.ValidationError:
            colon = ""
        if not colon:
            raise Malformed(faults=[Fault("query:custom", "write it like field:value")])
        least, between, most = (each.strip() for each in what.partition(".."))
        if what in ("", "*"):
            found.append(InAddress(field=field, known=what == "*"))
        elif between:
            found.append(InAddress(field=field, at_least=least or None, at_most=most or None))
        else:
            any_of = tuple(each.strip() for each in what.split("|"))
            found.append(InAddress(field=field, any_of=any_of))
    return tuple(found)
