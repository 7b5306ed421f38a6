"""What the API promised, it keeps; what goes out of use says so, a year before.

golden/api.txt is what was ever promised. New promises are appended to it:

    python tests/test_versioning.py

golden/api_never_kept.txt is what of that was promised by mistake and refused from the first day on.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "api.txt"
NEVER_KEPT = set((HERE / "golden" / "api_never_kept.txt").read_text().splitlines())
DOCUMENT = HERE.parent / "docs" / "openapi.json"
DEMANDS = "must "  # what a request has to have: nothing is ever added to that
BOUND = "bound "  # of what is taken: it may get wider, and none is ever added
MOST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems"}
LEAST = {"minimum", "exclusiveMinimum", "minLength", "minItems"}


def promises(document: dict[str, Any]) -> set[str]:
    """A line for each thing that somebody may rely on."""
    said: set[str] = set()
    taken: set[str] = set()
    given: set[str] = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            said.add(name)
            for each in operation.get("parameters", ()):
                parameter = f"{name} {each['in']}:{each['name']}"
                said.add(f"{parameter}: {type_of(each['schema'])}")
                said |= {f"{parameter} takes {word}" for word in words_of(each["schema"])}
                said |= set(bounds_of(parameter, each["schema"]))
                if each.get("required"):
                    said.add(f"{DEMANDS}{parameter}")
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                said.add(f"{name} takes {media_type} {type_of(content['schema'])}")
                said |= {f"{name} takes {ref}" for ref in members(content["schema"])}
                said |= set(bounds_of(f"{name} takes {media_type}", content["schema"]))
                taken |= set(references(content["schema"]))
            for status, response in operation["responses"].items():
                said.add(f"{name} {status}")
                if "$ref" in response:
                    said.add(f"{name} {status} is {response['$ref'].rpartition('/')[2]}")
                else:
                    said |= set(told_by(f"{name} {status}", response))
                    given |= set(references(response))
    for name, item in document.get("webhooks", {}).items():  # who is called is who is told
        for each in item["post"]["parameters"]:
            said.add(f"webhook {name} {each['in']}:{each['name']}")
        for media_type, content in item["post"]["requestBody"]["content"].items():
            said.add(f"webhook {name} {media_type} {type_of(content['schema'])}")
            given |= set(references(content["schema"]))
    for name, response in document["components"].get("responses", {}).items():
        said |= set(told_by(f"response {name}", response))
        given |= set(references(response))
    schemas = document["components"]["schemas"]
    for name in closed(taken, schemas):
        schema = schemas[name]
        said |= {f"{name} takes {word}" for word in (*words_of(schema), *members(schema))}
        for field, of in schema.get("properties", {}).items():
            said.add(f"{name} takes {field}: {type_of(of)}")
            said |= {f"{name}.{field} takes {each}" for each in (*words_of(of), *members(of))}
            said |= set(bounds_of(f"{name} takes {field}", of))
        said |= {f"{DEMANDS}{name}.{field}" for field in schema.get("required", ())}
    for name in closed(given, schemas):
        schema = schemas[name]
        sure = set(schema.get("required", ()))
        said |= {
            f"{name} has {field}: {type_}{'' if field in sure else ', or not'}"
            for field, of in schema.get("properties", {}).items()
            for type_ in types_of(of, schemas)
        }
        said |= {
            f"{name} has {field}: {json.dumps(of['const'])} alone"
            for field, of in schema.get("properties", {}).items()
            if "const" in of
        }
    return said


def told_by(name: str, response: dict[str, Any]) -> Iterator[str]:
    for media_type, content in response.get("content", {}).items():
        yield f"{name} {media_type} {type_of(content['schema'])}"
    if not response.get("content"):
        yield f"{name} without a body"
    yield from (f"{name} header:{each}" for each in response.get("headers", ()))
    yield from (f"{name} problem:{each}" for each in response.get("x-problem-types", ()))


def bounds_of(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """But of what has a name: that is told of by its own."""
    for word in sorted({*MOST, *LEAST, "pattern"} & schema.keys()):
        yield f"{BOUND}{name}: {word} {json.dumps(schema[word])}"
    for inner, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(inner), dict):
            yield from bounds_of(name + mark, schema[inner])
    some = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    some = [each for each in some if each.get("type") != "null"]
    for place, each in enumerate(some):
        yield from bounds_of(f"{name}|{place}" if place else name, each)


def type_of(schema: dict[str, Any]) -> str:
    match schema:
        case {"$ref": str(ref)}:
            return ref.rpartition("/")[2]
        case {"anyOf": [*some]} | {"oneOf": [*some]}:
            known = [type_of(each) for each in some if each.get("type") != "null"]
            one = known[0] if len(known) == 1 else "one of several"
            return one + ("?" if len(known) < len(some) else "")
        case {"enum": _} | {"const": _}:
            return "word"
        case {"type": "array"}:
            return f"{type_of(schema.get('items', {}))}[]"
        case {"type": [*some]}:
            return "|".join(sorted(some))
    return f"{schema.get('type', 'anything')} {schema.get('format', '')}".strip()


def types_of(schema: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """One of several objects is an object, too."""
    some = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    known = [each for each in some if each.get("type") != "null"]
    if len(known) > 1 and all(is_object(each, schemas) for each in known):
        return {type_of(schema), "object" + ("?" if len(known) < len(some) else "")}
    return {type_of(schema)}


def is_object(schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return is_object(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    some = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return schema.get("type") == "object" or bool(some and all(is_object(s, schemas) for s in some))


def words_of(schema: dict[str, Any]) -> list[str]:
    """That may be said."""
    found = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found += words_of(each)
    return [json.dumps(word) for word in found if word is not None]


def members(schema: dict[str, Any]) -> list[str]:
    """That it is one of."""
    some = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return [each["$ref"].rpartition("/")[2] for each in some if "$ref" in each]


def references(thing: Any) -> Iterator[str]:
    match thing:
        case {"$ref": str(ref)} if "/schemas/" in ref:
            yield ref.rpartition("/")[2]
        case dict():
            for each in thing.values():
                yield from references(each)
        case list():
            for each in thing:
                yield from references(each)


def closed(names: set[str], schemas: dict[str, Any]) -> set[str]:
    """With all that they refer to."""
    found: set[str] = set()
    new = set(names)
    while new:
        found |= new
        new = {ref for name in new for ref in references(schemas[name])} - found
    return found


def committed() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DOCUMENT.read_bytes())
    return document


def breaks(promised: set[str], now: set[str]) -> list[str]:
    """What is not kept, and what is demanded of who asked without it."""
    missing = {line for line in promised - now - NEVER_KEPT if as_a_moment(line) not in now}
    broken = {line for line in missing if not line.startswith((DEMANDS, BOUND))}
    broken |= set(narrowed(promised, now))
    before = {asked(line) for line in promised} | {line.split(" takes ")[0] for line in promised}
    broken |= {
        line for line in now - promised if line.startswith(DEMANDS) and asked(line) in before
    }
    return sorted(broken)


def as_a_moment(line: str) -> str:
    """A text that is told keeps what it was when it is said to be a moment, and no other."""
    return re.sub(r"^(\S+ has \w+: string)(?=[\[?,]|$)", r"\1 date-time", line)


def narrowed(promised: set[str], now: set[str]) -> Iterator[str]:
    """Bounds that leave out something which was taken."""
    were: dict[str, list[Any]] = {}
    for line in promised:
        if line.startswith(BOUND):
            about, value = split(line)
            were.setdefault(about, []).append(value)
    known = {re.split(r"(?<=\S): | (?=\S+$)", line)[0] for line in promised} | promised
    for line in now - promised:
        if not line.startswith(BOUND):
            continue
        about, value = split(line)
        word = about.rpartition(" ")[2]
        if about not in were:
            if re.sub(r"(\[\]|{}|\|\d+)*: \w+$", "", about.removeprefix(BOUND)) in known:
                yield line
        elif not (
            (word in MOST and value >= max(were[about]))
            or (word in LEAST and value <= min(were[about]))
        ):
            yield line


def split(line: str) -> tuple[str, Any]:
    """What a bound is about, with its word, and its value."""
    found = re.fullmatch(r"(.+?: \w+) (.+)", line)
    assert found
    return found[1], json.loads(found[2])


def asked(line: str) -> str:
    """The operation, or the schema, that a line is about."""
    return re.split(r"[ .](?=\S+$)", line.removeprefix(DEMANDS))[0]


def test_what_was_promised_is_kept() -> None:
    """docs/openapi.json is what the server says: tests/test_documents.py."""
    promised, now = set(GOLDEN.read_text().splitlines()), promises(committed())
    assert not breaks(promised, now), "see docs/versioning.md"
    assert promised - now >= NEVER_KEPT
    assert now <= promised, "append what is new: python tests/test_versioning.py"


@pytest.mark.parametrize(
    "break_",
    [
        lambda d: d["paths"].pop("/pools"),
        lambda d: d["paths"]["/people"]["get"]["parameters"].pop(0),
        lambda d: d["components"]["schemas"]["PersonShown"]["properties"].pop("headline"),
        lambda d: d["components"]["schemas"]["PersonShown"]["required"].remove("name"),
        lambda d: d["components"]["schemas"]["PersonShown"]["properties"]["sourced_at"].pop(
            "format"
        ),
        lambda d: d["components"]["schemas"]["PersonShown"]["properties"]["name"].update(
            format="uuid"
        ),
        lambda d: d["components"]["schemas"]["Receipt"]["properties"].update(
            version={"type": "string"}
        ),
        lambda d: d["components"]["schemas"]["NewPerson"]["properties"].pop("channel"),
        lambda d: d["components"]["schemas"]["NewPerson"]["properties"].pop("name"),
        lambda d: d["paths"]["/people"]["post"]["responses"].pop("201"),
        lambda d: limit_of(d).update(maximum=limit_of(d)["maximum"] - 1),
        lambda d: limit_of(d).update(minimum=2),
        lambda d: d["components"]["schemas"]["NewPerson"]["properties"]["name"].update(maxLength=9),
        lambda d: d["components"]["schemas"]["NewPerson"]["properties"]["name"].update(pattern="x"),
        lambda d: d["components"]["responses"]["304"].update(
            content={"text/plain": {"schema": {"type": "string"}}}
        ),
        lambda d: d["components"]["responses"]["404"]["x-problem-types"].clear(),
        lambda d: d["components"]["responses"]["429"]["headers"].pop("Retry-After"),
        lambda d: d["webhooks"].pop("entry"),
        lambda d: d["webhooks"]["entry"]["post"]["parameters"].pop(0),
        lambda d: d["components"]["schemas"]["CloudEvent"]["properties"].pop("sequence"),
    ],
)
def test_what_would_break_somebody_is_found(break_: Any) -> None:
    document = committed()
    before = promises(document)
    break_(document)
    assert breaks(before, promises(document))


def limit_of(document: dict[str, Any]) -> dict[str, Any]:
    parameters = document["paths"]["/people"]["get"]["parameters"]
    found: dict[str, Any] = next(each for each in parameters if each["name"] == "limit")["schema"]
    return found


def test_what_takes_more_than_before_breaks_nobody() -> None:
    document = committed()
    before = promises(document)
    limit_of(document).update(maximum=10**6, minimum=-5)
    document["components"]["schemas"]["NewPerson"]["properties"]["name"].pop("maxLength")
    document["components"]["schemas"]["NewPerson"]["properties"]["nick"] = {"maxLength": 9}
    assert not breaks(before, promises(document))


def test_something_that_a_request_must_have_is_found() -> None:
    document = committed()
    before = promises(document)
    document["components"]["schemas"]["NewPerson"]["required"].append("headline")
    assert breaks(before, promises(document)) == [f"{DEMANDS}NewPerson.headline"]
    document = committed()
    document["paths"]["/pools"]["get"].setdefault("parameters", []).append(
        {"name": "retired", "in": "query", "required": True, "schema": {"type": "boolean"}}
    )
    [needed] = breaks(before, promises(document))
    assert needed == f"{DEMANDS}GET /pools query:retired"


def test_what_goes_out_of_use_is_said_a_year_before() -> None:
    from ledger_crm.api.ageing import AGEING, NOTICE_DAYS

    operations = {
        f"{method.upper()} {path}" for path, each in committed()["paths"].items() for method in each
    }
    assert AGEING.keys() <= operations
    for ageing in AGEING.values():
        assert ageing.until_on - ageing.since_on >= timedelta(days=NOTICE_DAYS)
        assert ageing.instead
        assert ageing.since_on >= date(2026, 11, 30)


if __name__ == "__main__":
    old = GOLDEN.read_text().splitlines() if GOLDEN.exists() else []
    new = sorted(promises(committed()) - set(old))
    if old and (broken := breaks(set(old), promises(committed()))):
        sys.exit(f"these are broken, see docs/versioning.md: {broken}")
    GOLDEN.write_text("".join(f"{line}\n" for line in old + new))
    sys.stdout.write(f"{len(new)} promises added\n")
