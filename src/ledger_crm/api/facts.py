"""Facts as answers tell them, in the OpenAPI document: one schema a kind, told apart by it.

A body holds a whole fact. What is told of one may lack what is sealed; one on a job order that
the caller does not see is `hidden`, and no more; and clients are older than kinds yet to come.
So ``Fact`` is one of those that there are, and beside it stands ``OtherFact``, which is any.
"""

from __future__ import annotations

import json
from typing import Any

from ledger_crm.domain import EVENTS
from ledger_crm.domain.entry import Event, kind, sealed_fields

FACT, OTHER = "Fact", "OtherFact"
TOLD: list[dict[str, Any]] = [
    {"$ref": f"#/components/schemas/{name}"} for name in (FACT, OTHER)
]  # in this order: a client that tries one after the other takes the first that fits


def told(components: dict[str, Any]) -> dict[str, Any]:
    """``components``: of the events too, as bodies."""
    each = {name_of(event): _told(event, components[event.__name__]) for event in EVENTS.values()}
    refs = {kind(e): f"#/components/schemas/{name_of(e)}" for e in EVENTS.values()}
    return each | {
        FACT: {
            "title": FACT,
            "description": "What happened, by its `kind`. Fields named in `x-sealed` are absent for"
            " who may not open them, and once their key is destroyed; `sealed` beside the fact"
            " names those that are.",
            "oneOf": [{"$ref": ref} for _, ref in sorted(refs.items())],
            "discriminator": {"propertyName": "kind", "mapping": dict(sorted(refs.items()))},
        },
        OTHER: {
            "title": OTHER,
            "description": "A fact that is not told, for it is about a confidential job order that"
            " you do not see: its kind is `hidden`; or one that this document does not know yet.",
            "type": "object",
            "properties": {"kind": {"type": "string"}},
            "required": ["kind"],
        },
    }


def name_of(event: type[Event]) -> str:
    """``PersonTaggedFact``: classes are called alike on several kinds of streams."""
    return "".join(word.capitalize() for word in kind(event).replace(".", "_").split("_")) + FACT


def _told(event: type[Event], body: dict[str, Any]) -> dict[str, Any]:
    sealed = sealed_fields(event)
    fields = {n: of for n, of in body["properties"].items() if n not in event.stays_sealed}
    found = body | {
        "title": name_of(event),
        "properties": {name: may_be_absent(of) for name, of in fields.items()}
        | {"kind": {"type": "string", "const": kind(event)}},
        "required": [name for name in body["required"] if name not in sealed],
        **({"x-sealed": sorted(sealed)} if sealed else {}),
    }
    found.pop("additionalProperties", None)  # fields may be added
    return found


def may_be_absent(field: dict[str, Any]) -> dict[str, Any]:
    """Generators take one that has a default for one that is always there."""
    if "default" not in field:
        return field
    field = dict(field)
    usual = field.pop("default")
    return field | {"description": f"`{json.dumps(usual)}` if absent."}
