"""The shape of a fact as other services see it: JSON Schema (2020-12) of what is on the feed.

Sealed fields are named and absent. Fields may be added, so none is forbidden; none is renamed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from .entry import Event, kind, sealed_fields

SCHEMAS = "https://ledger-crm.invalid/schemas/"
"""Absolute as CloudEvents asks, on a reserved host: the same fact has the same bytes wherever it
runs. The path is where the API serves the schema."""


@cache
def schema_of(event: type[Event]) -> dict[str, Any]:
    (_,), parts = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    say_moments(parts, [event])
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


def envelope() -> dict[str, Any]:
    """What an entry is in when it leaves the house, with ``data`` for the fact."""
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "CloudEvents 1.0",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "the position, in digits"},
            "source": {"const": "/ledger"},
            "type": text,
            "subject": {"type": "string", "format": "uuid", "description": "the record"},
            "time": {"type": "string", "format": "date-time", "description": "when written down"},
            "datacontenttype": {"const": "application/json"},
            "dataschema": {
                "type": "string",
                "format": "uri",
                "description": "the name of the schema of data: nobody answers at its host, which"
                " is reserved; the API serves it at this path, and docs/schemas has it",
            },
            "sequence": {"type": "string", "description": "the position as 20 digits, which sort"},
            "streamversion": {"type": "integer", "description": "of the record"},
            "sealed": {"type": "string", "description": "fields that are not here, by comma"},
            "data": {"type": "object"},
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
    }


def say_moments(schemas: dict[str, Any], types: Iterable[Any]) -> None:
    """That fields are moments, in schemas by their names that were made of these types: they are
    made without that where a type does not demand an offset. All that we tell has one."""
    for struct in _structs(inspect.multi_type_info(types), {}).values():
        names = (f"{struct.cls.__module__}.{struct.cls.__qualname__}", struct.cls.__name__)
        schema: dict[str, Any] = next((schemas[name] for name in names if name in schemas), {})
        for field in struct.fields:
            if told := schema.get("properties", {}).get(field.encode_name):
                _say_moment(told, field.type)


def _structs(
    types: Iterable[inspect.Type], found: dict[Any, inspect.StructType]
) -> dict[Any, inspect.StructType]:
    """With all that are in them."""
    for type_ in types:
        if isinstance(type_, inspect.StructType):
            if type_.cls not in found:
                found[type_.cls] = type_
                _structs((field.type for field in type_.fields), found)
        else:
            _structs(_parts(type_), found)
    return found


def _parts(type_: inspect.Type) -> Iterable[inspect.Type]:
    match type_:
        case inspect.UnionType(types=types) | inspect.TupleType(item_types=types):
            return types
        case inspect.CollectionType(item_type=part) | inspect.DictType(value_type=part):
            return (part,)
        case inspect.Metadata(type=part):
            return (part,)
    return ()


def _say_moment(schema: dict[str, Any], type_: inspect.Type) -> None:
    if isinstance(type_, inspect.Metadata):
        _say_moment(schema, type_.type)
    elif isinstance(type_, inspect.DateTimeType):
        some = schema.get("anyOf", (schema,))
        for each in some:
            if each.get("type") == "string":
                each["format"] = "date-time"
    elif isinstance(type_, inspect.UnionType):
        if not any(isinstance(part, inspect.StrType) for part in type_.types):
            for part in type_.types:
                _say_moment(schema, part)
    elif isinstance(type_, inspect.CollectionType):
        _say_moment(schema.get("items", {}), type_.item_type)


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
