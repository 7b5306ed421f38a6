"""The shape of a fact as other services see it: JSON Schema (2020-12) of what is on the feed.

Sealed fields are named and absent. Fields may be added, so none is forbidden; none is renamed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from .entry import Event, kind, sealed_fields

SCHEMAS = "https://ledger-crm.invalid/schemas/"
"""Absolute as CloudEvents asks, on a reserved host: the same fact has the same bytes wherever it
runs. The path is where the API serves the schema."""


@cache
def schema_of(event: type[Event]) -> dict[str, Any]:
    (_,), parts = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    own = parts.pop(event.__name__)
    sealed = sealed_fields(event)
    for part in (own, *parts.values()):
        part.pop("additionalProperties", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{SCHEMAS}{kind(event)}.json",
        "title": kind(event),
        "description": sentence(event),
        "type": "object",
        "properties": {n: p for n, p in own["properties"].items() if n not in sealed},
        "required": [name for name in own["required"] if name not in sealed],
        "x-sealed": sorted(sealed),
        **({"$defs": parts} if parts else {}),
    }


def sentence(event: type[Event]) -> str:
    """What happened, in the first words of the docstring."""
    about, _ = _docstring(event)
    return about


def notes(event: type[Event]) -> dict[str, str]:
    """What the docstrings of the event and its bases say of its fields."""
    found: dict[str, str] = {}
    for base in reversed(event.__mro__):
        if issubclass(base, Event):
            found |= _docstring(base)[1]
    return found


@cache
def _docstring(event: type[Event]) -> tuple[str, dict[str, str]]:
    lines = (event.__dict__.get("__doc__") or "").strip().splitlines()
    blocks = "\n".join(line.strip() for line in lines).split("\n\n")
    about = " ".join(blocks[0].split()) if blocks[0] and "  " not in blocks[0] else ""
    said: dict[str, str] = {}
    name = ""
    for line in "\n".join(blocks[bool(about) :]).splitlines():
        first, gap, rest = line.strip().partition("  ")
        if gap and first in event.__struct_fields__:
            name = first
            said[name] = rest.strip()
        elif name and line.strip():
            said[name] += " " + line.strip()
    return about, said
