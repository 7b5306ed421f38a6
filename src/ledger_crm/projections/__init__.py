"""Read models. A module here is a projection: adding one is adding a file."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType

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
    "NoProjection",
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


class NoProjection(Exception):
    """A file of this package is no read model."""


def every() -> list[Projection]:
    """The ``projection`` of each public module of this package, by name. Raises NoProjection."""
    found: dict[str, Projection] = {}
    for name in sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_")):
        projection = _of(module := _imported(f"{__name__}.{name}"))
        if projection.name in found:
            raise NoProjection(
                f"{module.__file__} is a second projection named {projection.name}: give it another"
                " name, or take it out of that folder"
            )
        found[projection.name] = projection
    return [*found.values()]


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as fault:  # of a file that was dropped in, whatever it does
        said = f"{type(fault).__name__}: {fault}".partition("\n")[0]
        spec = find_spec(name)
        raise NoProjection(
            f"{spec and spec.origin} cannot be read ({said}): mend it, or take it out of that"
            " folder"
        ) from fault


def _of(module: ModuleType) -> Projection:
    found = getattr(module, "projection", None)
    if not isinstance(found, Projection):
        raise NoProjection(
            f"{module.__file__} has no projection, so it is no read model: take it out of that"
            " folder, or give it one, as docs/analysis.md says; a fold alone is for ledger-crm"
            " replay"
        )
    return found
