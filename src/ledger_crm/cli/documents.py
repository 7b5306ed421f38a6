"""``documents``: the papers that are made from the code, so that they cannot be wrong.

docs/events.md         the catalogue of facts
docs/schemas/*.json    the shape of each on the feed
docs/asyncapi.yaml     the feed
docs/openapi.json      the API
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import cyclopts
import msgspec

from ledger_crm.domain import AGGREGATES, EVENTS
from ledger_crm.domain.access import ActorName, RoleName, ScopeName
from ledger_crm.domain.entry import Cents, Currency, Event, Reason, Slug, sealed_fields
from ledger_crm.domain.pipeline import Category
from ledger_crm.domain.role import MAY, PERMISSIONS, Role
from ledger_crm.domain.shape import envelope, notes, schema_of, sentence
from ledger_crm.workers import feed

from .house import Fault, console

Flag = Annotated[bool, cyclopts.Parameter(negative="")]

MADE = "made from the code by: ledger-crm documents"
NO_LINE_BREAK = r"(?!\n)"
NAMED = {
    "slug": Slug,
    "category": Category,
    "reason": Reason,
    "minor units": Cents,
    "currency": Currency,
    "actor": ActorName,
    "role": RoleName,
    "permission": ScopeName,
}
WORDS = {"uuid": "id", "date-time": "instant, UTC", "date": "day"}


def documents(folder: Path = Path("docs"), *, check: Flag = False) -> None:
    """Write the documents that are made from the code.

    Parameters
    ----------
    folder:
        Where they go.
    check:
        Write nothing; exit code 2 if one is not as it would be written.
    """
    made = {folder / name: text for name, text in papers().items()}
    stale = [p for p, text in made.items() if not p.exists() or p.read_text() != text]
    gone = [p for p in folder.glob("schemas/*.json") if p not in made]
    if check:
        if stale or gone:
            names = ", ".join(str(path) for path in (*stale, *gone))
            raise Fault(f"not as the code says: {names}; write them with: ledger-crm documents")
        return
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path])
    for path in gone:
        path.unlink()
    console().print(f"{len(stale)} of {len(made)} documents written, {len(gone)} removed")


def papers() -> dict[str, str]:
    """By name."""
    schemas = {f"schemas/{topic}.json": schema_of(event) for topic, event in EVENTS.items()}
    return {
        "events.md": catalogue(),
        "permissions.md": permissions(),
        "asyncapi.yaml": _json(asyncapi()),  # every JSON document is a YAML document
        "openapi.json": _json(openapi()),
        **{name: _json(schema) for name, schema in schemas.items()},
    }


def permissions() -> str:
    from ledger_crm.api.permitted import ROUTES, SOMEBODY

    roles = get_args(Role)
    lines = [
        "# Roles and permissions",
        "",
        f"<!-- {MADE} -->",
        "",
        "A key has a role (`ledger-crm key create consultant:ana --role manager`), and may have",
        "permissions besides (`--scope events.read`); so has a consultant who signs in. What is",
        "not marked here is refused.",
        "",
        "A key that may one thing alone has the role `none`, which may nothing by itself:",
        "`ledger-crm key create integration:prometheus --role none --scope metrics.read`. Without",
        "`--role` it would be an `integration`, which reads people and writes.",
        "",
        f"| permission | {' | '.join(roles)} |",
        f"|---|{'---|' * len(roles)}",
        *(
            f"| `{each}` | {' | '.join('yes' if each in MAY[role] else '' for role in roles)} |"
            for each in PERMISSIONS
        ),
        "",
        "`events.open` is in no role: it is a scope, on top of `events.read`. To add a webhook,",
        "or list what it was sent, one needs `confidential.read` besides, for it is sent",
        "everything; without it one is not told how far a webhook has got. Whoever lacks",
        "`fees.read` is not shown fees, nor shares in them, where they stand among other things;",
        "but who follows the ledger itself (`events.read`) reads it as it is, fees too.",
        "",
        "A confidential job order is seen by its owner, by those who share in it, until it is",
        "staffed by whoever opened it, with `confidential.team` by whoever is in a team with one",
        "of them, and with `confidential.read`. For others nothing names it. Answers to the",
        "equal-opportunity form are shown to nobody; the report counts them.",
        "",
        "## What needs which",
        "",
        "By operation, as the API's document names them.",
        "",
        "| permission | operations |",
        "|---|---|",
        *(f"| `{each}` | {', '.join(sorted(names.split()))} |" for each, names in ROUTES.items()),
        f"| none, but to be somebody | {', '.join(sorted(SOMEBODY))}: each command needs its own |",
    ]
    return "\n".join(lines) + "\n"


def catalogue() -> str:
    lines = [
        "# The events",
        "",
        f"<!-- {MADE} -->",
        "",
        "Every fact that the ledger can hold, by the name under which it is stored: `kind` in the",
        "API, and the subject `crm.<name>.<stream id>` on the feed. *Sealed* fields are encrypted",
        "under the key of the record they are on, and absent from the feed. A field that is not",
        "required is left out where it has its default: nothing, unless one is named. When a fact",
        "happened is its first instant, or `starts_on`; when it was written down is the entry's.",
        "",
        "| word | is |",
        "|---|---|",
    ]
    lines += [f"| *{word}* | {_constraints(_shape(type_))} |" for word, type_ in NAMED.items()]
    for aggregate in AGGREGATES:
        own = {t: e for t, e in EVENTS.items() if t.startswith(f"{aggregate.TOPIC}.")}
        lines += ["", f"## On a {aggregate.TOPIC}"]
        for topic, event in own.items():
            lines += _fact(topic, event)
    return "\n".join([*lines, ""])


def _fact(topic: str, event: type[Event]) -> list[str]:
    _, parts = msgspec.json.schema_components([event], ref_template="{name}")
    own = parts.pop(event.__name__)
    lines = ["", f"### {topic}", "", sentence(event), ""]
    lines += _table(own, notes(event), sealed_fields(event))
    for name, part in parts.items():
        lines += ["", f"A {name.lower()}:", "", *_table(part, _notes_of(part), frozenset())]
    if _overrides(event, "once"):
        lines += ["", "Delivered again, it is a no-op: it is known by the channel's own id."]
    if _overrides(event, "reserves"):
        lines += ["", "It reserves a value that no other record may hold at the same time."]
    return lines


def _table(shape: dict[str, Any], said: dict[str, str], sealed: frozenset[str]) -> list[str]:
    lines = ["| field | is | |", "|---|---|---|"]
    for name, field in shape["properties"].items():
        if name == "kind":
            continue
        marks = ["sealed"] if name in sealed else []
        marks += ["required"] if name in shape["required"] else []
        if default := field.get("default"):
            marks.append(f"default {default}")
        lines.append(f"| `{name}` | {', '.join((_type(field), *marks))} | {said.get(name, '')} |")
    return lines


def _notes_of(shape: dict[str, Any]) -> dict[str, str]:
    """What the docstring of a Struct that is no event says of its fields."""
    lines = (line.strip().partition("  ") for line in shape.get("description", "").splitlines())
    return {name: rest.strip() for name, _, rest in lines}


def _overrides(event: type[Event], name: str) -> bool:
    return getattr(event, name) is not getattr(Event, name)


def _type(field: dict[str, Any]) -> str:
    field = {name: part for name, part in field.items() if name not in ("default", "description")}
    for word, type_ in NAMED.items():
        if field == _shape(type_):
            return f"*{word}*"
    match field:
        case {"$ref": name}:
            return str(name).lower()
        case {"anyOf": either}:
            return " or ".join(_type(one) for one in either if one.get("type") != "null")
        case {"type": "array", "items": item}:
            return f"list of {_type(item)}s{_bounds(field, 'Items')}"
    return _constraints(field)


def _constraints(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    plain = {"string": "text"}.get(field["type"], field["type"])
    word = str(WORDS.get(field.get("format", ""), plain))
    if "pattern" in field:
        pattern = field["pattern"].removesuffix(NO_LINE_BREAK).replace("|", "\\|")
        return f"{word} like `{pattern}`"
    return word + _bounds(field, "imum") + _bounds(field, "Length")


def _bounds(field: dict[str, Any], of: str) -> str:
    """In brackets, how long it may be or how large; the bound of all sealed text says little."""
    low, high = field.get(f"min{of}"), field.get(f"max{of}")
    if low is None and (high is None or high == 65_536):
        return ""
    return f" [{low or 0}..{high:,}]" if high is not None else f" [{low or 0}..]"


def _shape(type_: Any) -> dict[str, Any]:
    return msgspec.json.schema(type_)


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0."""
    messages = {topic: _message(topic, event) for topic, event in EVENTS.items()}
    channels = {
        topic: {
            "address": f"crm.{topic}.{{streamId}}",
            "title": sentence(event),
            "parameters": {"streamId": {"description": "the record it was written on, a UUID"}},
            "messages": {topic: {"$ref": f"#/components/messages/{topic}"}},
            "servers": [{"$ref": "#/servers/nats"}],
        }
        for topic, event in EVENTS.items()
    }
    operations = {
        f"publish.{topic}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{topic}"},
            "messages": [{"$ref": f"#/channels/{topic}/messages/{topic}"}],
        }
        for topic in EVENTS
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ledger CRM: the feed",
            "version": "1",
            "description": (
                f"The ledger on the JetStream stream {feed.STREAM}: every fact once, in order;"
                " position N is stream sequence N. Each message is a CloudEvent 1.0 in structured"
                f" JSON, and its position is in the header {feed.POSITION} too. Sealed fields are"
                f" absent and named. ({MADE})"
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": feed.CONTENT_TYPE,
        "servers": {
            "nats": {
                "host": "localhost:4222",
                "protocol": "nats",
                "description": f"NATS 2.12 or newer with JetStream, stream {feed.STREAM}",
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"envelope": envelope()}},
    }


def _message(topic: str, event: type[Event]) -> dict[str, Any]:
    schema = {name: part for name, part in schema_of(event).items() if name != "$schema"}
    parts = schema.pop("$defs", {})
    inlined = json.loads(json.dumps(schema))
    _inline(inlined, parts)
    inlined.pop("$id")
    return {
        "name": topic,
        "title": sentence(event),
        "contentType": feed.CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {
                feed.POSITION: {"type": "string", "pattern": "^[0-9]+$"},
                "traceparent": {
                    "type": "string",
                    "description": "Of the request that it came of, if that was traced.",
                },
            },
        },
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/envelope"},
                {"properties": {"type": {"const": topic}, "data": inlined}},
            ]
        },
    }


def _inline(schema: Any, parts: dict[str, Any]) -> None:
    """References inside one message mean nothing in the whole document."""
    if isinstance(schema, dict):
        if reference := schema.pop("$ref", None):
            schema.update(json.loads(json.dumps(parts[reference.rpartition("/")[2]])))
        for part in schema.values():
            _inline(part, parts)
    elif isinstance(schema, list):
        for part in schema:
            _inline(part, parts)


@cache
def openapi() -> dict[str, Any]:
    """As the API answers it; nothing of what it is made with is used for it."""
    from ledger_crm.api.app import create_app
    from ledger_crm.api.openapi import document

    nothing = cast("Any", None)
    return document(create_app(ledger=nothing, pool=nothing, feed_position=nothing))


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
