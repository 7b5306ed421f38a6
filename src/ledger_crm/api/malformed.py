"""What is wrong with a request before anybody asks what it means: all of it, not the first.

A decoder stops where it stumbles. When it does, the raw document is walked next to the type that
was wanted, and every fault is listed with a pointer (RFC 6901). Values are never repeated: they
may be personal, and faults are shown and logged.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from itertools import chain, islice
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, QueryParameter

from ledger_crm.domain.faults import in_words

from .asking import moment_of
from .ordering import LISTED
from .problems import Fault, Malformed, NotAcceptable, UnsupportedEncoding, UnsupportedMediaType
from .rows import besides, listed

MOST = 100  # faults told at once
DEEPEST = 100  # lists and objects within each other; a decoder takes more, and who walks does not
LARGE_BYTES = 64 * 1024  # of a body, that is looked through beside the event loop
TWICE = "given more than once"
TOO_DEEP = "the body is nested too deeply"


async def must_be_well_formed(request: Request[Any, Any, Any]) -> None:
    """Runs before each handler of the API. Raises Malformed, NotAcceptable, UnsupportedMediaType,
    UnsupportedEncoding; the framework's 413 if the body is too large."""
    handler = request.scope["route_handler"]
    assert isinstance(handler, HTTPRouteHandler)
    _must_be_acceptable(request.headers.get("accept", ""), besides(handler))
    faults = list(islice(_parameter_faults(handler, request), MOST))
    wanted = body_of(handler)
    if wanted is not None:
        content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content != "application/json":  # a patch, which is +json too, means something else
            raise UnsupportedMediaType()
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise UnsupportedEncoding()
        body = await request.body()
        if len(body) > LARGE_BYTES:  # others are answered meanwhile
            faults += await asyncio.to_thread(faults_of, wanted, body)
        else:
            faults += faults_of(wanted, body)
    if faults:
        raise Malformed(faults=faults)


def faults_of(wanted: Any, body: bytes) -> list[Fault]:
    """What keeps ``body`` from being a ``wanted``; empty when nothing does. At most ``MOST``."""
    if not body.strip():
        return [Fault("", "the body is empty")]
    try:
        document = msgspec.json.decode(body)
    except RecursionError:
        return [Fault("", TOO_DEEP)]
    except msgspec.DecodeError as fault:
        return [_syntax(body, str(fault))]
    if body.count(b"[") + body.count(b"{") > DEEPEST and _is_deeper(document, DEEPEST):
        return [Fault("", TOO_DEEP)]
    twice = [] if _once(document, body) else _twice(body)
    try:
        _decoder(wanted).decode(body)
    except msgspec.ValidationError as fault:
        found = chain(twice, _walk(wanted, document, ""))  # only as far as it is told
        # what a fact says of itself as a whole
        return list(islice(found, MOST)) or [Fault("", in_words(str(fault)))]
    unstorable = _unstorable(document, "") if b"\\u0000" in body else ()
    return list(islice(chain(twice, unstorable), MOST))


@cache
def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    """To make one for a fact that may be of many kinds takes twenty times as long as to use it."""
    return msgspec.json.Decoder(wanted)


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return not levels or any(_is_deeper(each, levels - 1) for each in inner)


def _once(document: Any, body: bytes) -> bool:
    """Whether each name is given once for sure, at a glance: there are as many colons as names and
    texts of the document have. A name given twice would be missing there, with its colon."""
    return b"\\u" not in body and body.count(b":") == _colons(document)


def _colons(value: Any) -> int:
    match value:
        case str():
            return value.count(":")
        case dict():
            return sum([1 + name.count(":") + _colons(inner) for name, inner in value.items()])
        case list():
            return sum(map(_colons, value))
    return 0


def _twice(body: bytes) -> list[Fault]:
    """Names that an object gives more than once: of two values we would keep one, and perhaps not
    the one that was meant, or that somebody checked before us."""
    repeated: list[tuple[dict[str, Any], list[str]]] = []

    def paired(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            times = Counter(name for name, _ in pairs)
            repeated.append((found, [name for name in found if times[name] > 1]))
        return found

    document = json.loads(body, object_pairs_hook=paired)
    if not repeated:
        return []
    names_of = {id(found): names for found, names in repeated}
    return list(islice(_told(document, "", names_of), MOST)) or [Fault("", TWICE)]


def _told(value: Any, at: str, names_of: dict[int, list[str]]) -> Iterator[Fault]:
    match value:
        case dict():
            for name in names_of.get(id(value), ()):
                yield Fault(f"{at}/{_token(name)}", TWICE)
            for name, inner in value.items():
                yield from _told(inner, f"{at}/{_token(name)}", names_of)
        case list():
            for i, inner in enumerate(value):
                yield from _told(inner, f"{at}/{i}", names_of)


def _syntax(body: bytes, message: str) -> Fault:
    """Where the JSON breaks, by the other decoder, which counts lines."""
    try:
        json.loads(body, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        what = _begun_small(fault.msg)
        return Fault("", f"not JSON: {what} at line {fault.lineno} column {fault.colno}")
    except UnicodeDecodeError:
        return Fault("", "the body is not UTF-8")
    except ValueError:
        pass
    said = message.partition(" - at `")[0].removeprefix("JSON is malformed: ")
    if said == "Input data was truncated":  # so it says of half a surrogate pair too
        said = "a text ends in the middle of a character, or the body in the middle of a value"
    return Fault("", f"not JSON: {_begun_small(said)}")


def _begun_small(sentence: str) -> str:
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def _no_constant(_: str) -> None:
    raise ValueError


def _walk(wanted: Any, value: Any, at: str) -> Iterator[Fault]:
    with suppress(msgspec.ValidationError):  # what is well is not walked: of many, few are wrong
        msgspec.convert(value, wanted)
        return
    bare = _bare(wanted)
    if bare is Any:
        return
    union = isinstance(bare, UnionType) or get_origin(bare) is Union
    members = get_args(bare) if union else (bare,)
    structs = [m for m in map(_bare, members) if isinstance(m, type) and _is_struct(m)]
    if value is None and NoneType in members:
        return
    only = len(structs) + (NoneType in members) == len(members)
    if structs and (only or isinstance(value, dict)):
        if not isinstance(value, dict):
            yield Fault(at, f"expected an object, got {_word(value)}")
        else:
            yield from _struct(structs, value, at)
    elif get_origin(bare) in (list, tuple, set, frozenset):
        yield from _items(wanted, bare, value, at)
    elif words := _one_of(wanted):
        if value not in words:
            yield Fault(at, f"expected one of {', '.join(map(str, words))}")
    else:
        yield from _leaf(wanted, value, at)


def _struct(structs: list[Any], value: dict[str, Any], at: str) -> Iterator[Fault]:
    field = structs[0].__struct_config__.tag_field
    kinds = {struct.__struct_config__.tag: struct for struct in structs}
    given = value.get(field) if field else None
    if field and (len(structs) > 1 or field in value) and given not in _hashables(given, kinds):
        known = ", ".join(sorted(map(str, kinds)))
        what = "unknown kind" if field in value else "the kind is missing"
        yield Fault(f"{at}/{field}", f"{what}; known are {known}")
        return
    struct = kinds[given] if given is not None else structs[0]
    fields = {f.encode_name: f for f in msgspec.structs.fields(struct)}
    for name in value:
        if name not in fields and name != field:
            near = get_close_matches(name[:80], fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield Fault(f"{at}/{_token(name)}", f"unknown field{hint}")
    for name, wanted in fields.items():
        if name in value:
            yield from _walk(wanted.type, value[name], f"{at}/{name}")
        elif wanted.required:
            yield Fault(f"{at}/{name}", "required and missing")


def _items(wanted: Any, bare: Any, value: Any, at: str) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield Fault(at, f"expected a list, got {_word(value)}")
        return
    item, well = get_args(bare)[0], True
    for i, each in enumerate(value):
        for fault in _walk(item, each, f"{at}/{i}"):
            well = False
            yield fault
    if well:
        yield from _leaf(wanted, value, at)


def _leaf(wanted: Any, value: Any, at: str, *, strict: bool = True) -> Iterator[Fault]:
    try:
        msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as fault:
        yield Fault(at, in_words(str(fault)))


def _unstorable(document: Any, at: str) -> Iterator[Fault]:
    """PostgreSQL has no U+0000 in text: one in a read model's row would halt its projection."""
    match document:
        case str() if "\0" in document:
            yield Fault(at, "contains the character U+0000")
        case dict():
            for name, value in document.items():
                yield from _unstorable(value, f"{at}/{_token(name)}")
        case list():
            for i, value in enumerate(document):
                yield from _unstorable(value, f"{at}/{i}")


def _parameter_faults(
    handler: HTTPRouteHandler, request: Request[Any, Any, Any]
) -> Iterator[Fault]:
    """A parameter that we ignored would be a promise that we do not keep: ``as_of`` above all."""
    types = _types_of(handler)
    for name in dict.fromkeys(request.query_params.keys()):
        if name not in types:
            there = f"known are {', '.join(sorted(types))}" if types else "there are none here"
            yield Fault(f"query:{_token(name)}", f"unknown parameter; {there}")
        elif len(given := request.query_params.getall(name)) > 1:
            yield Fault(f"query:{name}", f"given {len(given)} times; one of them would be ignored")
        elif not str(given[0]):
            yield Fault(f"query:{name}", "is empty: leave it out, or give a value")
        elif "\0" in str(given[0]):
            yield Fault(f"query:{name}", "contains the character U+0000")
        elif "\ufffd" in str(given[0]):  # which the framework puts in the place of such bytes
            yield Fault(f"query:{name}", "contains bytes that are not UTF-8, or U+FFFD, their mark")
        elif str(given[0]).lower() == "null" and name in _never_null(handler):
            yield Fault(f"query:{name}", "null is no value: leave it out")
        elif name in _instants_of(handler) and not re.search(r"[-T:]", str(given[0])[1:]):
            yield Fault(f"query:{name}", "write an instant like 2026-03-01T12:00:00Z")
        elif (words := _words_of(handler).get(name)) and str(given[0]) not in words:
            yield Fault(f"query:{name}", f"expected one of {', '.join(words)}")
        else:
            yield from _leaf(types[name], given[0], f"query:{name}", strict=False)
    for name in sorted(_required_of(handler) - request.query_params.keys()):
        yield Fault(f"query:{name}", "required and missing")
    if _ends_before_it_begins(request.query_params):
        yield Fault("query:until", "it lies before `since`")
    for name, value in request.path_params.items():
        if "\0" in str(value):
            yield Fault(f"path:{name}", "contains the character U+0000")


def _ends_before_it_begins(asked: Mapping[str, str]) -> bool:
    """A list, or a sum, of no time at all looks like one of a time in which nothing was."""
    try:
        since, until = (moment_of(asked.get(name), name) for name in ("since", "until"))
    except Malformed:  # it is told where it is read
        return False
    return since is not None and until is not None and until < since


@cache
def _types_of(handler: HTTPRouteHandler) -> dict[str, Any]:
    """Of each parameter."""
    return {name: type_ for name, _, type_ in _query_of(handler)}


@cache
def _required_of(handler: HTTPRouteHandler) -> frozenset[str]:
    return frozenset(name for name, optional, _ in _query_of(handler) if not optional)


@cache
def _never_null(handler: HTTPRouteHandler) -> frozenset[str]:
    """Those that take no text: the framework reads ``null`` there as if they were left out."""
    return frozenset(name for name, _, type_ in _query_of(handler) if _is_null(type_))


@cache
def _instants_of(handler: HTTPRouteHandler) -> frozenset[str]:
    """The framework reads a number there as seconds since 1970."""
    return frozenset(name for name, _, type_ in _query_of(handler) if _is_instant(type_))


@cache
def _words_of(handler: HTTPRouteHandler) -> dict[str, tuple[str, ...]]:
    """Of each that takes one of some words, those."""
    found = {}
    for name, _, type_ in _query_of(handler):
        words = _one_of(type_)
        if words and all(isinstance(word, str) for word in words):
            found[name] = words
    return found


def _one_of(wanted: Any) -> tuple[Any, ...]:
    """The values of which one is wanted, or null; (): it is no such type."""
    bare = _bare(wanted)
    if isinstance(bare, UnionType) or get_origin(bare) is Union:
        one, *others = [m for m in map(_bare, get_args(bare)) if m is not NoneType]
        bare = None if others else one
    return get_args(bare) if get_origin(bare) is Literal else ()


def _is_instant(type_: Any) -> bool:
    try:
        return isinstance(msgspec.convert("0", type_, strict=False), datetime)
    except msgspec.ValidationError:
        return False


def _is_null(type_: Any) -> bool:
    try:
        return msgspec.convert("null", type_, strict=False) is None
    except msgspec.ValidationError:
        return False


def _query_of(handler: HTTPRouteHandler) -> Iterator[tuple[str, bool, Any]]:
    """Of each its name, whether it may be left out, and its type, with its bounds."""
    there, models = handler.resolve_dependencies(), [handler.signature_model]
    besides_filters = () if listed(handler) else LISTED
    for model in models:  # which grow: only what is used, and what that uses
        models += [there[name].signature_model for name in model._fields if name in there]
        for name, parameter in model._fields.items():
            if name in besides_filters:
                continue
            if isinstance(kwarg := parameter.kwarg_definition, QueryParameter):
                optional = parameter.has_default or parameter.is_optional
                yield kwarg.name or name, optional, model.__annotations__[name]


@cache
def body_of(handler: HTTPRouteHandler) -> Any:
    """What this handler takes; None if it takes no body."""
    data = handler.parsed_fn_signature.parameters.get("data")
    if data is None or not isinstance(data.kwarg_definition, BodyKwarg):
        return None
    return data.annotation


def _must_be_acceptable(accept: str, others: Sequence[str]) -> None:
    """``others``: besides JSON."""
    offers = [offer.partition(";")[0].strip().lower() for offer in accept.split(",")]
    taken = {"*/*", "application/*", "application/json", *others}
    taken |= {"text/*"} if "text/csv" in others else set()
    if accept and not taken & set(offers):
        raise NotAcceptable()


def _bare(wanted: Any) -> Any:
    return get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted


def _is_struct(wanted: type) -> bool:
    return issubclass(wanted, msgspec.Struct)


def _hashables(given: Any, kinds: dict[Any, Any]) -> Any:
    return kinds if isinstance(given, str) else ()


def _token(name: str) -> str:
    return name[:80].replace("~", "~0").replace("/", "~1")


def _word(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
