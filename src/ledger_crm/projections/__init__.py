"""Read models. A module here is a projection: adding one is adding a file."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ._projection import (
    NOT_BUILT,
    OUT_OF_REACH,
    SCHEMA,
    Changing,
    ChangingEach,
    Cursor,
    Handler,
    Key,
    Projection,
    Row,
    Starting,
    Table,
)
from ._standing import POSITIONS, Standing, positions, standings

__all__ = [
    "NOT_BUILT",
    "OUT_OF_REACH",
    "POSITIONS",
    "SCHEMA",
    "Changing",
    "ChangingEach",
    "Cursor",
    "Handler",
    "Key",
    "Projection",
    "Row",
    "Standing",
    "Starting",
    "Table",
    "every",
    "positions",
    "standings",
]


def every() -> list[Projection]:
    """The ``projection`` of each public module of this package, by name."""
    names = sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))
    return [import_module(f"{__name__}.{name}").projection for name in names]
