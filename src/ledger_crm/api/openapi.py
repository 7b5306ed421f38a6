"""The OpenAPI document: what the framework derives from the handlers, and what it cannot know.

Paths and parameters are the framework's. Schemas are msgspec's own, because they are what bodies
are checked by: tags, constraints, docstrings. The problems and headers are said here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
from litestar import Litestar, Response, Router
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.routes import HTTPRoute
from litestar.types import Method

from ledger_crm.domain import EVENTS
from ledger_crm.domain.shape import say_moments
from ledger_crm.ledger import Receipt

from . import ageing, calling, facts
from .acting import KEY, READ_AT, Trial
from .answers import Answers, problem
from .batch import Results
from .examples import EXAMPLES
from .malformed import body_of
from .metrics import PLAIN
from .ordering import LISTED, MOST, TOTAL
from .parameters import IN_PATH, IN_QUERY
from .permitted import ANYBODY, BESIDES, NEEDS
from .problems import MEDIA_TYPE, Fault, NoSuchPage, every, status_of
from .rows import NDJSON, SELECTED, Selected, besides, item_of, listed, row_of

DESCRIPTION = """\
One record per person and per company; every interaction is an immutable entry of the ledger.

**Keys.** Send `Authorization: Bearer lcrm_...` with everything but the front page, health and
these pages. `ledger-crm key create` makes one.

**Signing in.** Consultants send their password to `POST /session` and get a cookie, and a token
that they send as `X-CSRF-Token` with each write.

**Roles.** A key has a role, and with it permissions; `x-permission` says which one an operation
needs, and `x-permission-besides` which other. Without it: 403, and its name. Who lacks `fees.read`
is not shown fees, nor shares in them, where they stand among other things.

**Writes** answer with a receipt: the id of the record, its version (also in `ETag`), and the
position of the entry in the ledger. With an `Idempotency-Key` a repetition gets the first answer
again. With `If-Match` a write is refused if the record has changed since you read it; with
`If-None-Match: *` a `PUT` is, if there is such a record already.
With `dry_run=true` nothing is written, and you are told what would be. `/batch` takes many.

**Unchanged.** Every read has an `ETag` of what is answered. Send it as `If-None-Match`, and you are
told 304 for as long as you would be answered the same. Of a record it begins with its version,
which is what `If-Match` looks at; a candidacy, an interview, an offer is part of its person, a job
order, a deal, a shortlist of its company: send the `ETag` of that one.
Answers of 32 KiB and more are compressed with gzip if you accept it; bodies that you send are not:
415, with `Accept-Encoding: identity`. Every `GET` has a `HEAD`, which is answered the same, without
the body.

**Reads** come from read models that follow the ledger within a moment. Pass the position of a
receipt as `after` to read what you wrote; `Ledger-Position` says how far an answer has got. With
`as_of`, a position, an instant or a day, everything is answered as it was known then; with
`known=now` besides, as it was by what is known now.

**Lists** page by `cursor`, which is the `next` of the page before. With `Accept: text/csv` or
`application/x-ndjson` a page is rows, and `Link` leads to the next one. `fields` are those that you
want, `sort` is by one of them, and `count` tells how many there are.

**Versions.** There is one, and it only grows: pass over what you do not know. What goes out of use
says so a year before, in the headers `Deprecation` and `Sunset`, and here.

**Links.** A shortlist's link opens `/portal` and nothing else; an API key does not open that.

**What goes wrong** is an RFC 9457 problem: `type` is stable and leads to its explanation.
"""

TAGS = {
    "people": "Candidates, client contacts, referrers: dated roles of one person.",
    "companies": "Prospects, clients, sources of people.",
    "engagement": "Who heard last of whom, who owes an answer, who has gone quiet.",
    "follow-ups": "What we promised, and what somebody owes today.",
    "pools": "People whom somebody put together, since when and why.",
    "campaigns": "Messages in steps: who is in each, and what they are to be sent next.",
    "teams": "Who of us there is, and who works with whom, on which day.",
    "segments": "Criteria of people or of companies under a name, and who fits them now.",
    "custom fields": "What the agency asks beside what we ask for, typed, and its values.",
    "referrals": "Who was referred to us by whom, whom we referred to whom, what is owed for it.",
    "market": "Target companies of a search, who sits there, and conflicts before an approach.",
    "search": "People and companies by words.",
    "documents": "CVs and other files of people, encrypted under each person's own key.",
    "candidates": "Who is on which job order, and how far.",
    "applications": "Who came to us for which job order, and what we reply.",
    "equal-opportunity": "What applicants answer of themselves: counted, and kept apart from them.",
    "privacy": "Who asked to be forgotten, who is, and who must not be yet.",
    "shortlists": "Whom we show to a client, in versions, and the links that lead there.",
    "portal": "What the holder of a link sees and says: `Authorization: Bearer lcrs_...`.",
    "deals": "What we are selling to whom, and how far.",
    "money": "What clients pay, who was introduced under what, what is due, and whose it is.",
    "pipelines": "The stages that candidacies and deals go through.",
    "events": "The ledger itself, as pages and as a stream, for whoever follows it.",
    "webhooks": "Who is sent what is written, and how that goes.",
    "batch": "Many writes at once, each for itself or all or nothing.",
    "session": "Who is asking: signing in and out, passwords.",
    "metrics": "For Prometheus.",
    "health": "For whoever watches over this process.",
    "front": "Where everything is, and what problems mean.",
}

PROBLEMS = {
    400: "The request is malformed; `faults` lists what is wrong with it.",
    401: "No API key, or none in use, and nobody is signed in; in the portal, no link of ours.",
    403: "Whoever asks lacks the permission, or the token that writes need, or a rule of the house"
    " forbids it.",
    404: "There is no such thing.",
    406: "We answer in JSON, and in what else is named here.",
    409: "What is already there does not allow it, such as an e-mail address that another person "
    "has: `holder` names them.",
    410: "It existed, and was erased or lost.",
    412: "The record has changed since the version in `If-Match`, or there is none; or there is"
    " one, and `If-None-Match` asks that there is none.",
    413: "The body is larger than we take.",
    415: "A body is JSON, and is not compressed.",
    422: "Well formed, and makes no sense here; or the Idempotency-Key was used with another body.",
    429: "More than we take from one caller or link within a minute, or too many wrong guesses.",
    500: "Our fault; `request_id` finds it in our log.",
    503: "The database does not answer, or not in time; too much waits to be written; or the read "
    "model has not got to `after`. Try again.",
}
IF_MATCH = r'^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$'
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` of the answer that you have, or several, or `*`. If you would be"
    " answered the same, you are told 304 and not sent it.",
}
PAST = ("as_of", "known")  # refused where a handler says now_alone
IF_NONE_THERE = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": r"^\*$"},
    "description": "`*`: only if there is none yet. Refused with 412 if there is one.",
}
CSRF_TOKEN = {
    "name": "X-CSRF-Token",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Of who is signed in, whom the cookie alone does not let do this: `GET /session`"
    " tells it. With a key it is not needed.",
}
READING = (400, 401, 403, 404, 406, 410, 422, 429, 500, 503)
ASKING = (400, 401, 403, 404, 406, 413, 415, 422, 429, 500, 503)
ENTERING = (400, 401, 403, 404, 406, 413, 415, 422, 429, 500, 503)
LOOKING = (400, 401, 404, 406, 410, 429, 500, 503)
SAYING = (400, 401, 404, 406, 409, 410, 413, 415, 422, 429, 500, 503)
WRITING = (400, 401, 403, 404, 406, 409, 410, 412, 413, 415, 422, 429, 500, 503)

HEADERS = {
    "Accept-Encoding": "Of a body that was compressed: `identity`, send it as it is.",
    "Content-Encoding": "Of a large answer to who takes it: `gzip`.",
    "Deprecation": "Of what goes out of use: since when (RFC 9745).",
    "Sunset": "Of what goes out of use: from when on it may be gone (RFC 8594).",
    "ETag": "Of a read: what was answered, for `If-None-Match`; of a record and of a receipt it is,"
    " or begins with, the version, for `If-Match`.",
    "Ledger-As-Of": "With `as_of`: the position at which what is answered was known.",
    "Ledger-Position": "The answer holds everything up to this position of the ledger.",
    "Total-Count": f"Of lists, with `count`: how many there are; `{MOST}+` if there are more.",
    "Location": "Where that is read which was made.",
    "Link": 'Of lists as NDJSON or CSV, `rel="next"`: the page that follows.',
    "Idempotency-Replayed": "`true`: this is the first answer again; nothing was done.",
    "RateLimit": "Of a caller: `r` more are taken in the next `t` seconds.",
    "RateLimit-Policy": "How much is taken from one caller: `q` requests within `w` seconds.",
    "Retry-After": "Seconds.",
    "Vary": "Of what else the answer depends on: what is accepted.",
    "WWW-Authenticate": "How to identify yourself.",
    "X-Request-Id": "Of this request. Entries that it wrote carry it as their cause.",
}


COUNTED = ("RateLimit", "RateLimit-Policy")
ENCODED = ("Vary", "Content-Encoding")
UNCHANGED = ("X-Request-Id", *COUNTED, "Ledger-Position", "Ledger-As-Of", TOTAL, "ETag", "Vary")
STREAM = "text/event-stream"
EACH_EVENT = {  # as OpenAPI 3.1 has it, which knows no schema of a stream as a whole
    "type": "object",
    "required": ["data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$", "description": "The position."},
        "event": {"type": "string", "description": "The kind."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Told"},
        },
    },
}


SHAPES: dict[str, dict[str, Any]] = {STREAM: EACH_EVENT}
SOME_PAGE: dict[str, Any] = {"$ref": "#/components/schemas/Selected"}
SOME_LIST: dict[str, Any] = {"type": "array", "items": {"type": "object"}}


class Problem(msgspec.Struct, kw_only=True):
    """RFC 9457. Further members are the facts of the case, such as `holder` or `head`.

    type        address of the explanation; stable
    title       the explanation in a sentence; the same for all of this type
    detail      this case
    request_id  the request, as our log and the entries that it wrote know it
    faults      everything that is wrong with a malformed request
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    faults: list[Fault] | msgspec.UnsetType = msgspec.UNSET


def config() -> OpenAPIConfig:
    key = SecurityScheme(type="http", scheme="bearer", bearer_format="lcrm_<id>_<secret>")
    signed_in = SecurityScheme(
        type="apiKey",
        security_scheme_in="cookie",
        name="ledger_session",
        description="Of `POST /session`; over https it is called `__Host-ledger_session`. Writes"
        " need `X-CSRF-Token` besides, which `GET /session` tells.",
    )
    link = SecurityScheme(type="http", scheme="bearer", bearer_format="lcrs_<secret>")
    return OpenAPIConfig(
        title="Ledger CRM",
        version="1",
        description=DESCRIPTION,
        use_handler_docstrings=True,
        tags=[Tag(name, about) for name, about in TAGS.items()],
        components=Components(security_schemes={"key": key, "session": signed_in, "link": link}),
        operation_id_creator=_operation_id,
        # the framework insists on pages of its own, which load from other hosts: shut them in
        openapi_router=Router(
            "/openapi", route_handlers=[], guards=[_nothing_here], include_in_schema=False
        ),
    )


def document(app: Litestar) -> dict[str, Any]:
    """The framework's, finished."""
    found: dict[str, Any] = app.openapi_schema.to_schema()
    handlers = list(_handlers(app))
    wanted = [type_ for _, _, handler in handlers for type_ in _types_of(handler) if type_]
    types = [*wanted, Trial, Problem, Selected, *EVENTS.values()]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    say_moments(components, types)
    told = facts.told(components)
    for _, _, handler in handlers:
        if name := _alone(body_of(handler)):  # a tag that nothing else could be may be left out
            components[name]["required"] = [
                field for field in components[name].get("required", ()) if field != "kind"
            ]
    for name, schema in components.items():  # generators call by the title what they make of it
        if "." in name:
            schema["title"] = "".join(part.capitalize() for part in name.split(".")[-2:-1])
            schema["title"] += name.rpartition(".")[2]
    # and none of them makes anything of an enum of truths
    components["Trial"]["properties"]["dry_run"] = {"type": "boolean", "const": True}
    components["Told"]["properties"]["fact"] = {"anyOf": facts.TOLD}
    components["Foretold"]["properties"]["fact"]["anyOf"][:1] = facts.TOLD
    components["Result"]["properties"]["answer"] = _answers_of(wanted, components)
    for name in ("Foretold", "Result"):  # which leave out what is as usual
        fields = components[name]["properties"]
        components[name]["properties"] = {n: facts.may_be_absent(of) for n, of in fields.items()}
    schema_of = dict(zip(map(str, wanted), schemas, strict=False))
    found["components"]["schemas"] = dict(sorted((components | told).items()))
    found["components"]["headers"] = {
        name: {"description": about, "schema": {"type": "string"}}
        for name, about in HEADERS.items()
    }
    found["components"]["responses"] = {
        "304": {
            "description": "It is what you have: what `If-None-Match` names.",
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in UNCHANGED},
        }
    } | {str(status): _problem(status, about) for status, about in PROBLEMS.items()}
    found["paths"] = dict(sorted(found["paths"].items()))
    found["components"]["schemas"] |= {"CloudEvent": calling.event()}
    found["webhooks"] = {"entry": {"post": calling.entry()}}
    answers = Answers(found["components"]["schemas"])
    for path, method, handler in handlers:
        _finish(found["paths"][path][method.lower()], handler, schema_of, answers)
        _say_its_age(found["paths"][path][method.lower()], f"{method} {path}")
    found["components"]["examples"] = dict(sorted(answers.made.items()))
    _link(found["paths"])
    _leave_out_what_nothing_names(found)
    return found


def _answers_of(wanted: list[Any], components: dict[str, Any]) -> dict[str, Any]:
    """Of a write: the receipts that have the most first, for who tries one after the other."""
    names = {type_.__name__ for type_ in wanted if _is_receipt(type_)}
    sure = {name: set(components[name]["required"]) for name in names}
    receipts = [n for n in names if n == "Receipt" or sure[n] != sure["Receipt"]]
    receipts.sort(key=lambda name: (-len(sure[name]), name))
    some = [*receipts, "Trial", "Problem"]
    return {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in some]}


def _leave_out_what_nothing_names(found: dict[str, Any]) -> None:
    """Facts that are no bodies."""
    schemas = found["components"]["schemas"]
    named = set(_named([found["paths"], found["webhooks"], found["components"]["responses"]]))
    new = named
    while new:
        new = {ref for name in new for ref in _named(schemas[name])} - named
        named |= new
    for name in schemas.keys() - named:
        del schemas[name]


def _named(thing: Any) -> Iterator[str]:
    match thing:
        case {"$ref": str(ref)} if "/schemas/" in ref:
            yield ref.rpartition("/")[2]
        case dict():
            for each in thing.values():
                yield from _named(each)
        case list():
            for each in thing:
                yield from _named(each)


def _say_its_age(operation: dict[str, Any], name: str) -> None:
    if said := ageing.said_of(name):
        operation["deprecated"] = True
        operation["description"] = f"{said}. {operation['description']}".strip()
        for response in operation["responses"].values():
            if "$ref" not in response:
                response["headers"] |= {
                    each: {"$ref": f"#/components/headers/{each}"}
                    for each in ("Deprecation", "Sunset", "Link")
                }


def _link(paths: dict[str, Any]) -> None:
    """From what makes something to all that is asked of it, or done with it, by its id."""
    named = {path: set(re.findall(r"{(\w+)}", path)) for path in paths}
    for path, operations in paths.items():
        made = operations.get("post", {}).get("responses", {}).get("201")
        within = [re.match(re.escape(path) + r"/{(\w+_id)}", other) for other in paths]
        [own, *_] = [each[1] for each in within if each] + [""]
        if not made or not own:
            continue
        id = "created" if named[path] else "id"
        if id == "created" and not made["content"]["application/json"]["schema"].get(
            "$ref", ""
        ).endswith("/Made"):
            continue  # it says what two have become
        told = {name: f"$request.path.{name}" for name in named[path]}
        told[own] = f"$response.body#/{id}"
        made["links"] = {
            each["operationId"]: {
                "operationId": each["operationId"],
                "parameters": {name: told[name] for name in sorted(named[other])},
            }
            for other, found in paths.items()
            if own in named[other] <= told.keys()
            for each in found.values()
        }


def _finish(
    operation: dict[str, Any],
    handler: HTTPRouteHandler,
    schema_of: dict[str, Any],
    answers: Answers,
) -> None:
    lines = (handler.fn.__doc__ or "").split("\n")
    operation["summary"] = lines[0].strip()
    operation["description"] = "\n".join(line.strip() for line in lines[1:]).strip()
    unheard = (() if listed(handler) else LISTED) + (PAST if handler.opt.get("now_alone") else ())
    operation["parameters"] = [
        each for each in operation.get("parameters", ()) if each["name"] not in unheard
    ]
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _not_null(parameter["schema"])
        of_its_kind = {"path": IN_PATH, "query": IN_QUERY}.get(parameter["in"], {})
        if about := of_its_kind.get(parameter["name"]):
            parameter.setdefault("description", about)
        if parameter["name"] == "If-Match":  # what is wrong with it we say in words of our own
            parameter["schema"]["pattern"] = IF_MATCH
        if parameter["name"] == "Idempotency-Key":
            parameter["schema"]["pattern"] = KEY
    taken, given = _types_of(handler)
    if taken:
        content = {"schema": schema_of[str(taken)]}
        if example := EXAMPLES.get(operation["operationId"]):
            content["examples"] = {
                name: {"summary": name, "value": value} for name, value in example.items()
            }
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    if handler.handler_name in ANYBODY:
        operation["security"] = []
    keyed, writes = bool(operation.get("security")), _is_receipt(given)
    many = given is Results
    linked = operation.get("security") == [{"link": []}]
    if permission := NEEDS.get(handler.handler_name):
        operation["x-permission"] = permission
    if besides_it := BESIDES.get(handler.handler_name):
        operation["x-permission-besides"] = besides_it
    status = str(handler.status_code)
    headers = ["X-Request-Id"]
    if keyed:
        headers += COUNTED
    if writes:
        headers += ["ETag", "Idempotency-Replayed"]
        headers += ["Location"] if handler.handler_name in READ_AT else []
    elif linked and taken:
        headers += ["Idempotency-Replayed"]
    elif (
        keyed
        and not linked
        and not many
        and "session" not in operation["tags"]
        and STREAM not in besides(handler)
    ):
        headers += ["Ledger-Position"]
        if any(each["name"] == "as_of" for each in operation.get("parameters", ())):
            headers += ["Ledger-As-Of"]
        if "version" in getattr(given, "__struct_fields__", ()):
            headers += ["ETag"]
        if listed(handler) and "session" not in operation["tags"]:
            headers += [TOTAL]
    if NDJSON in besides(handler) and not row_of(handler):
        headers += ["Link"]
    tagged = "GET" in handler.http_methods and STREAM not in besides(handler)
    if tagged:
        headers = [*(name for name in headers if name != "ETag"), "ETag", *ENCODED]
        operation.setdefault("parameters", []).append(IF_NONE_MATCH)
    if "PUT" in handler.http_methods:
        operation["parameters"].append(IF_NONE_THERE)
    if keyed and not linked and "GET" not in handler.http_methods:
        operation.setdefault("parameters", []).append(CSRF_TOKEN)
    problems: tuple[int, ...]
    problems = WRITING if writes or many else ASKING if taken else READING if keyed else ()
    if taken and not keyed:
        problems = ENTERING
    if linked:
        problems = SAYING if taken else LOOKING
    operation["responses"] = {
        status: {
            "description": "Written: the receipt." if writes else "What you asked for.",
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
            "content": _content(handler, schema_of.get(str(given), {}), answers),
        },
        **(_trial(status, schema_of.get(str(given), {}), headers, answers) if writes else {}),
        **({"304": {"$ref": "#/components/responses/304"}} if tagged else {}),
        **{str(each): {"$ref": f"#/components/responses/{each}"} for each in problems},
    }
    if not keyed:
        for each in ("400", "404", "406", "500"):
            operation["responses"][each] = {"$ref": f"#/components/responses/{each}"}
        if operation["operationId"] == "ready":  # whoever watches wants to know in what way not
            whole = operation["responses"][status]
            untagged = {name: ref for name, ref in whole["headers"].items() if name != "ETag"}
            operation["responses"]["503"] = {**whole, "headers": untagged}
        operation["security"] = []


def _trial(
    status: str, receipt: dict[str, Any], headers: list[str], answers: Answers
) -> dict[str, Any]:
    """Of a dry run; where what is written is answered 200 too, it is one of the two."""
    trial = {"$ref": "#/components/schemas/Trial"}
    both = status == "200"
    told = headers if both else ["X-Request-Id"]
    schema = {"anyOf": [receipt, trial]} if both else trial
    return {
        "200": {
            "description": "With `dry_run`: what would be written."
            + (" Else written: the receipt." if both else ""),
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in told},
            "content": {"application/json": {"schema": schema, **answers.of(schema)}},
        }
    }


def _content(handler: HTTPRouteHandler, schema: dict[str, Any], answers: Answers) -> dict[str, Any]:
    """JSON as its type says, and what else a handler answers in; a stream is nothing else."""
    shapes = SHAPES | {SELECTED: SOME_PAGE if item_of(handler) else SOME_LIST}
    others = {each: {"schema": shapes.get(each, {"type": "string"})} for each in besides(handler)}
    if SELECTED in others:
        others[SELECTED] |= answers.of(shapes[SELECTED])
    return (
        others
        if {STREAM, PLAIN} & others.keys()
        else {"application/json": {"schema": schema, **answers.of(schema)}} | others
    )


def _problem(status: int, about: str) -> dict[str, Any]:
    headers = ["X-Request-Id"]
    headers += {
        401: ["WWW-Authenticate"], 415: ["Accept-Encoding"], 429: ["Retry-After"],
        503: ["Retry-After"],
    }.get(status, [])  # fmt: skip
    if status != 401:  # who calls is not known
        headers += COUNTED
    return {
        "description": about,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problem(status),
            }
        },
        "x-problem-types": types_of(status),
    }


def types_of(status: int) -> dict[str, str]:
    """What a problem of this status may be, and what that means."""
    return {
        f"/problems/{found.code}": found.sentence
        for found in sorted((each() for each in every()), key=lambda each: each.code)
        if status_of(type(found)) == status
    }


def _alone(body: Any) -> str:
    """The name of a body that is one Struct and no union of them."""
    return str(body.__name__) if isinstance(body, type) else ""


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is not one that may be null."""
    match schema:
        case {"oneOf": [one, {"type": "null"}]}:
            return {**one, **{k: v for k, v in schema.items() if k not in ("oneOf", "description")}}
    return {k: v for k, v in schema.items() if k != "description"}


def _handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    for method in handler.http_methods:
                        yield route.path_format, method, handler


def _types_of(handler: HTTPRouteHandler) -> tuple[Any, Any]:
    """What it takes, None for nothing, and what it gives."""
    given = handler.parsed_fn_signature.return_type.annotation
    return body_of(handler), get_args(given)[0] if get_origin(given) is Response else given


def _is_receipt(given: Any) -> bool:
    return isinstance(given, type) and issubclass(given, Receipt)


def _operation_id(handler: HTTPRouteHandler, _: Method, __: list[Any]) -> str:
    return handler.handler_name


def _nothing_here(_: ASGIConnection[Any, Any, Any, Any], __: BaseRouteHandler) -> None:
    raise NoSuchPage()
