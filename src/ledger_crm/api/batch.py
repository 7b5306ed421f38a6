"""/batch: many writes at once, each as if it had been sent alone.

Each goes through the whole application, so its rules, its permission and its faults are those of
its route. With ``all_or_nothing`` they share a draft, which is written in one transaction.
"""

from __future__ import annotations

import asyncio
import random
import re
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ledger_crm.commands.drafting import Draft
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.faults import written_like
from ledger_crm.domain.refusals import Refusal, Stale
from ledger_crm.ledger import ATTEMPTS, RACE_S, Ledger, Repeated

from .acting import KEY, NO_KEY, DryRun, IdempotencyKey, as_header, key_in, key_of
from .problems import MEDIA_TYPE, Fault, Malformed

MOST = 100
SUFFIX = 4  # ":99" and one to spare

Path = Annotated[
    str, written_like(r"^/[A-Za-z0-9._~%/-]{1,500}$(?!\n)", "a path like /people, without a query")
]
Key = Annotated[str, written_like(KEY + r"(?!\n)", "1 to 255 visible characters")]
Tags = Annotated[str, msgspec.Meta(max_length=1_000)]


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One write, as it would be sent alone.

    idempotency_key  as the header; without it the batch's own, with a colon and the place
    if_match         as the header
    if_none_match    as the header: `*`, with PUT
    """

    method: Literal["POST", "PUT"] = "POST"
    path: Path
    body: dict[str, Any]
    idempotency_key: Key | None = None
    if_match: Tags | None = None
    if_none_match: Literal["*"] | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """all_or_nothing  in one transaction: the first that is refused keeps all from being written"""

    commands: Annotated[list[Command], msgspec.Meta(min_length=1, max_length=MOST)]
    all_or_nothing: bool = False


ALONE = "/equal-opportunity/answers/"  # never written with a person, nor beside one (decision 26)
CALLERS = frozenset((b"authorization", b"cookie", b"x-csrf-token", b"host"))


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the command would have been answered alone.

    status    of HTTP; 200 of a dry run
    answer    the receipt, the problem, or what a dry run foresees
    etag      as the header
    replayed  it is the first answer again
    """

    status: int
    answer: dict[str, Any]
    etag: str = ""
    replayed: bool = False


class Results(msgspec.Struct, frozen=True):
    """One for each command, in their order."""

    results: list[Result]


@post("/batch", status_code=200, tags=["batch"])
async def send_batch(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    data: JSONBody[Batch],
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[Results]:
    """Send many writes at once

    In order, each as if it had been sent alone: by the permission and the rules of its own route,
    with its own result; the batch itself needs no permission. A refused one leaves the others
    alone; with `all_or_nothing` it keeps all of them from being written, and is answered as it
    would be alone, with `command`, its place. `If-Match` and `If-None-Match` are by what those
    before it decide. What keeps files (documents, resumes, erasure) is never part of
    `all_or_nothing`, and equal-opportunity answers of no batch. Its `Idempotency-Key` is that of
    each command, with its place: sent again with one more, only that one is done."""
    if besides := [name for name in ("If-Match", "If-None-Match") if name in request.headers]:
        why = "a batch has none: say it of each command"
        raise Malformed(faults=[Fault(f"header:{name}", why) for name in besides])
    key = key_in(request) if idempotency_key is not None else ""
    _must_make_sense(data, key)
    if data.all_or_nothing:
        return await _together(request, ledger, data, key, dry_run)
    by = Actor(request.scope["state"]["actor"])
    draft = Draft(ledger, by, trying=True) if dry_run else None
    results = [
        (await _sent(request, command, _key(command, key, place), draft))[0]
        for place, command in enumerate(data.commands)
    ]
    return Response(Results(results))


async def _together(
    request: Request[Any, Any, Any],
    ledger: Ledger,
    data: Batch,
    key: str,
    dry_run: bool,
) -> Response[Any]:
    by, raced = Actor(request.scope["state"]["actor"]), None
    for _ in range(ATTEMPTS):
        draft, results, ends = Draft(ledger, by, trying=dry_run), list[Result](), list[int]()
        for place, command in enumerate(data.commands):
            before = len(draft.drafted)
            result, waits = await _sent(request, command, _key(command, key, place), draft)
            if result.status >= 400:
                problem = {**result.answer, "command": place}
                return Response(
                    problem, status_code=result.status, media_type=MEDIA_TYPE, headers=waits
                )
            results.append(result)
            ends.append(len(draft.drafted) if len(draft.drafted) > before else 0)
        if dry_run:
            return Response(Results(results))
        try:
            positions = await draft.commit()
        except (Refusal, Repeated) as fault:  # somebody was quicker: decided again, it is told why
            raced = fault if isinstance(fault, Refusal) else raced
            await asyncio.sleep(random.random() * RACE_S)  # noqa: S311 so that one is first
            continue
        for result, end in zip(results, ends, strict=True):
            if end:
                result.answer["position"] = positions[end - 1]
        return Response(Results(results))
    raise raced or Stale()


async def _sent(
    request: Request[Any, Any, Any], command: Command, key: str, draft: Draft | None
) -> tuple[Result, dict[str, str]]:
    """Through the application, as if it had come from outside; and Retry-After as a header, if it
    is told to try again."""
    body, sent = msgspec.json.encode(command.body), False
    headers = [
        *(each for each in request.scope["headers"] if each[0] in CALLERS),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if key:
        headers.append((b"idempotency-key", as_header(key).encode()))
    if command.if_match is not None:
        headers.append((b"if-match", command.if_match.encode("latin-1", "replace")))
    if command.if_none_match is not None:
        headers.append((b"if-none-match", command.if_none_match.encode()))
    scope: dict[str, Any] = {
        **{name: request.scope.get(name) for name in ("asgi", "http_version", "scheme")},
        **{name: request.scope.get(name) for name in ("server", "client", "root_path")},
        "type": "http",
        "method": command.method,
        "path": unquote(command.path),
        "raw_path": quote(unquote(command.path)).encode(),
        "query_string": b"",
        "headers": headers,
        "state": {} if draft is None else {"draft": draft},
    }
    told: list[Any] = []

    async def receive() -> Any:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    await request.app(scope, receive, send)  # type: ignore[arg-type]
    if "allowance" in scope["state"]:  # each is a request: what is left is less by now
        request.scope["state"]["allowance"] = scope["state"]["allowance"]
    given = {name.decode(): value.decode() for name, value in told[0].get("headers", ())}
    answer: dict[str, Any] = msgspec.json.decode(b"".join([each["body"] for each in told[1:]]))
    result = Result(
        told[0]["status"], answer, given.get("etag", ""), "idempotency-replayed" in given
    )
    return result, {"Retry-After": given["retry-after"]} if "retry-after" in given else {}


def _key(command: Command, of_all: str, place: int) -> str:
    """ "" also of one that ``_must_make_sense`` refuses."""
    if command.idempotency_key is not None:
        return key_of(command.idempotency_key) or ""
    return f"{of_all}:{place}" if of_all else ""


def _must_make_sense(data: Batch, key: str) -> None:
    """Raises Malformed."""
    faults, seen = list[Fault](), set[str]()
    if len(key) > 255 - SUFFIX:
        faults.append(Fault("header:Idempotency-Key", "of a batch: at most 251 characters"))
    for place, command in enumerate(data.commands):
        path = re.sub("/+", "/", unquote(command.path) + "/")  # as the router takes it
        at = f"/commands/{place}"
        if re.match("/(batch|portal|events|session|sign-in)/", path) or path.endswith("/lookups/"):
            faults.append(Fault(f"{at}/path", "this is no write that a key may send"))
        if path == ALONE:
            faults.append(Fault(f"{at}/path", "send it alone: beside others it tells whose it is"))
        if "\0" in path:
            faults.append(Fault(f"{at}/path", "contains the character U+0000"))
        chosen = _key(command, key, place)
        if command.idempotency_key is not None and not chosen:
            faults.append(Fault(f"{at}/idempotency_key", NO_KEY))
        if chosen and chosen in seen:
            faults.append(Fault(f"{at}/idempotency_key", "another command of the batch has it"))
        seen.add(chosen)
    if faults:
        raise Malformed(faults=faults)


HANDLERS = [send_batch]
