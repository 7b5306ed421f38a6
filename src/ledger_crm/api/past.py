"""Past: which moment ``as_of`` names, and how it is looked back on.

What was known is what the ledger held, so that moment is a position; what was, by what is known
today, is an instant. What depends on the day that it is asked on, as who has gone quiet and what is
due, is answered for the day of that moment.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal

import msgspec
from litestar.params import QueryParameter

from ledger_crm.domain import clock
from ledger_crm.projections import (
    AS_IT_WAS,
    AS_KNOWN,
    WRITTEN,
    WRITTEN_BY,
    Cursor,
    written_at,
    written_by,
)

from .problems import AfterTheHead, Fault, Malformed

AsOf = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=40,
        description="Answers as it was then: a position of the ledger, an instant"
        " (`2026-03-01T12:00:00Z`), or a day, which means its end in UTC. `Ledger-As-Of` says which"
        " position or instant that was. Whoever was erased since is not shown as they were.",
    ),
]
Known = Annotated[
    Literal["then", "now"] | None,
    QueryParameter(
        description="With `as_of`: as was known `then`, which it means if this is left out, or as"
        " it was by what is known `now`, with all that was told later of the time before."
    ),
]
From = Annotated[
    str,
    QueryParameter(
        name="from",
        min_length=1,
        max_length=40,
        description="The one moment: a position, an instant, or a day, which means its end in UTC,"
        " as for `as_of`; 0: before everything.",
    ),
]
To = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=40,
        description="The other moment, in the same manner; now if it is left out.",
    ),
]
ByTime = Annotated[
    Literal["known", "happened"],
    QueryParameter(
        description="`known`: what was known at the one moment next to what was at the other."
        " `happened`: what was so, by what is known today."
    ),
]
UNREADABLE = "neither a position, nor an instant with its offset, nor a day as in 2026-03-01"
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # nothing was before, and days can be taken from it
NO_DASHES = "{} is a position, and the ledger ends at {}: for the day, write {}"
POSITION = re.compile("[1-9][0-9]{0,17}")
AHEAD = "it lies ahead: nobody knows yet"
WITHOUT = "it says how `as_of` is meant, which is not there"


class Then(msgspec.Struct, frozen=True):
    """A moment, and how it is looked back on.

    after  a position that the read models must have got to
    at     what "now" was
    home   of the views to look through
    as_of  what these have to be told
    alike  the same for moments at which about as much was there, and about as much has been
           replaced since; "": of none it is known
    """

    after: int
    at: datetime
    home: str
    as_of: str
    alike: str = ""


class Moment(msgspec.Struct, frozen=True):
    """Where a ``Lookup`` looks, which finds out by itself which moment that is.

    home   as of ``Then``
    found  a query of what the views have to be told, and of the position that is needed for it: it
           takes what is ``asked``
    """

    home: str
    found: str
    asked: str

    def told(self, as_of: str) -> str:
        """As ``Then.as_of``, of what the views were told."""
        return as_of if self.home == AS_KNOWN else datetime.fromisoformat(as_of).isoformat()

    def looking(self, stands: str) -> str:
        """A query: how far the read models have got, which ``stands`` says, -1 if that is not far
        enough; and what the views were told."""
        return (
            f"SELECT CASE WHEN stands.at >= moment.needed THEN stands.at ELSE -1 END,"
            f" set_config('ledger.as_of', moment.as_of, true)"
            f" FROM ({stands}) stands (at), ({self.found}) moment (as_of, needed)"
        )


class Window(msgspec.Struct, frozen=True):
    """Between two moments. ``last``, ``until``: None if that is now."""

    first: int
    since: datetime
    last: int | None
    until: datetime | None


GIVEN = "SELECT %s::text, 0::bigint"  # who asks sees to it that read models are there
GOT_TO = "SELECT at::text, at FROM (SELECT %s::text::bigint) given (at)"
FOUND_BY = f"SELECT low::text, low FROM ({WRITTEN_BY}) found (low)"
LEVEL = "SELECT %s::text, position FROM ledger.head"
LEVEL_AT = f"""SELECT coalesce({WRITTEN}::text, 'epoch'),
    CASE WHEN state IS NULL THEN {2**63 - 1} ELSE h.position END
    FROM ledger.head h LEFT JOIN ledger.entries ON notification_id = %s::text::bigint"""


def given(then: Then) -> Moment:
    return Moment(then.home, GIVEN, then.as_of)


def quickly(as_of: str, known: str | None) -> Moment | None:
    """The moment that ``then`` would find, unless it would refuse; None: it has to be asked."""
    if POSITION.fullmatch(as_of):
        if known == "now":
            return Moment(AS_IT_WAS, LEVEL_AT, as_of)
        return Moment(AS_KNOWN, GOT_TO, as_of)
    at = None if as_of.isdigit() else _instant(as_of)
    if at is None or at > clock.now():
        return None
    if known == "now":
        return Moment(AS_IT_WAS, LEVEL, at.isoformat())
    return Moment(AS_KNOWN, FOUND_BY, at.isoformat())


async def then(
    cur: Cursor,
    as_of: str,
    known: str | None,
    name: str = "as_of",
    among: Sequence[datetime] = (),
) -> Then:
    """``name``: of the parameter; ``among``: moments, as ``happened`` gives them. Raises Malformed,
    AfterTheHead."""
    if as_of.isascii() and as_of.isdigit():
        position = int(as_of)
        head, written = await written_at(cur, min(position or 1, 2**63 - 1))
        if position > head:
            if day := _meant(as_of):
                raise Malformed(faults=[Fault(f"query:{name}", NO_DASHES.format(as_of, head, day))])
            raise AfterTheHead(**{name: position}, head=head)
        at = written or clock.now()
    else:
        instant = _instant(as_of)
        if instant is None:
            raise Malformed(faults=[Fault(f"query:{name}", UNREADABLE)])
        at = instant
        if at > clock.now():
            raise Malformed(faults=[Fault(f"query:{name}", AHEAD)])
        if known == "now":
            head, _ = await written_at(cur, 1)
        else:
            position, head = await written_by(cur, at)
    if known == "now":
        return Then(head, at, AS_IT_WAS, at.isoformat(), alike(bisect(among, at), len(among)))
    return Then(position, at, AS_KNOWN, str(position), alike(position, head))


def alike(before: int, of: int) -> str:
    """Of so many that there are, so many were there before: within half as many or twice."""
    return f"{before.bit_length()} {(of - before).bit_length()}" if before else ""


def _meant(digits: str) -> date | None:
    """The day that somebody means who leaves out the dashes."""
    try:
        return date.fromisoformat(digits) if len(digits) == 8 else None
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    """Of a day its end, or now if that is still to come."""
    if "W" in text:  # Python reads 2026-W10-1, and we promise no weeks
        return None
    try:
        if len(text) != len("2026-03-01"):
            at = datetime.fromisoformat(text)
            return max(at.astimezone(UTC), EARLIEST) if at.tzinfo else None
        day = date.fromisoformat(text)
        return (
            clock.now()
            if day == clock.today()
            else max(datetime.combine(day, time.max, UTC), EARLIEST)
        )
    except (ValueError, OverflowError):
        return None
