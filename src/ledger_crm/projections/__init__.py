"""Read models. A module here is a projection: adding one is adding a file."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ._lookup import Lookup
from ._projection import (
    AS_IT_WAS,
    AS_KNOWN,
    BLOCK,
    HELD_FROM,
    HELD_UNTIL,
    KNOWN_FROM,
    KNOWN_UNTIL,
    LAST,
    NEXT,
    NO_ROOM,
    NOT_BUILT,
    OUT_OF_REACH,
    PAST,
    SCHEMA,
    TOOK_TOO_LONG,
    Changing,
    ChangingEach,
    Cursor,
    Handler,
    Key,
    Marked,
    Projection,
    Row,
    Starting,
    Table,
    plain,
)
from ._standing import (
    POSITIONS,
    WRITTEN,
    WRITTEN_BY,
    Standing,
    age_of,
    happened,
    positions,
    standing,
    standings,
    written_at,
    written_by,
    written_each,
)
from ._team import Team

__all__ = [
    "AS_IT_WAS",
    "AS_KNOWN",
    "BLOCK",
    "HELD_FROM",
    "HELD_UNTIL",
    "KNOWN_FROM",
    "KNOWN_UNTIL",
    "LAST",
    "NEXT",
    "NOT_BUILT",
    "NO_ROOM",
    "OUT_OF_REACH",
    "PAST",
    "POSITIONS",
    "SCHEMA",
    "TOOK_TOO_LONG",
    "WRITTEN",
    "WRITTEN_BY",
    "Changing",
    "ChangingEach",
    "Cursor",
    "Handler",
    "Key",
    "Lookup",
    "Marked",
    "Projection",
    "Row",
    "Standing",
    "Starting",
    "Table",
    "Team",
    "age_of",
    "every",
    "happened",
    "plain",
    "positions",
    "standing",
    "standings",
    "written_at",
    "written_by",
    "written_each",
]


def every() -> list[Projection]:
    """The ``projection`` of each public module of this package, by name."""
    names = sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))
    return [import_module(f"{__name__}.{name}").projection for name in names]
