"""Quick: what is asked most, answered before the framework goes its way.

Only what goes well is answered here: for a caller who was let in a moment ago, a record
that is there, read with no parameters but ``limit`` and ``after``, or as of a moment; an
interaction with a person that is well-formed, and its refusal. Everything else takes the route that
the documents know, and would have given the same answer, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from litestar.enums import ScopeType
from litestar.serialization import default_serializer
from litestar.types import ASGIApp, Receive, Scope, Send

from ledger_crm.commands import intake
from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import through
from ledger_crm.domain.interaction import Interactions
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.role import FEES, Permission
from ledger_crm.ledger import Ledger
from ledger_crm.projections import history, people

from . import acting, cursors, metrics, past, problems
from .caller import Caller, address_of
from .conditional import versions
from .confidential import ALL, SEVERAL
from .malformed import faults_of
from .permitted import NEEDS
from .reading import LIMIT, MOST_ITEMS, moment, page_of, version_of
from .snapshots import Reads

ID = "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
GET = re.compile(rf"/(people|companies)/{ID}(/history)?")
POST = re.compile(rf"/people/{ID}/interactions")
KINDS = {"people": "person", "companies": "company"}
CARDS = {"people": people.card}
PLAIN = re.compile(r"0|[1-9][0-9]{0,17}")
PARAMETERS = {
    "limit": PLAIN,
    "after": PLAIN,
    "as_of": re.compile("([0-9TZ:.-]|%3A){1,40}"),  # no + among them: which is how a space is sent
    "known": re.compile("then|now"),
}
PLAIN_HOST = re.compile(rb"[0-9A-Za-z.:\[\]-]*")
KEY = re.compile(acting.BARE.pattern.encode())  # one in quotes takes the long way
LOOKED_AT = frozenset(
    (b"host", b"authorization", b"cookie", b"x-csrf-token", b"accept", b"content-type",
     b"content-length", b"content-encoding", b"idempotency-key", b"if-match", b"if-none-match")
)  # fmt: skip
IDENTIFYING = (b"authorization", b"cookie", b"x-csrf-token")
ACCEPTED = (b"*/*", b"application/json")
BODY_BYTES = 16 * 1024  # of an interaction; a longer one takes the long way

SEEN_WHOLE: tuple[Permission, ...] = ("records.read", FEES)
"""Who has these is shown all that is answered here (``permitted``); others take the long way."""
MAY_RECORD: tuple[Permission, ...] = (NEEDS["record_interaction"],)

Known = Callable[[dict[str, Any], str, str, str, str, str], Caller | None]
"""Who calls, by address, method, Authorization, Cookie and X-CSRF-Token, if they were let in with
these three a moment ago and are now. The state of the request comes first: it is told what was
spent."""

Hides = Callable[[Holder, int], frozenset[UUID] | None]
"""The job orders that somebody does not see, by what is known up to a position; None: that is not
known now. Whoever does not see some takes the long way."""

_encode = msgspec.json.Encoder(enc_hook=default_serializer).encode  # as the framework does
_decode = msgspec.json.Decoder(Interactions).decode


class Parameters(NamedTuple):
    limit: int | None
    after: int
    moment: past.Moment | None


class Answer(NamedTuple):
    status: int
    document: object
    headers: dict[str, str]
    media_type: str = "application/json"


def quick(
    app: ASGIApp,
    known: Known,
    reads: Callable[[], Reads],
    ledger: Callable[[], Ledger],
    hidden: Hides,
    body_limit_bytes: int,
) -> ASGIApp:
    """Around ``app``, which answers what is not answered here."""
    most = min(BODY_BYTES, body_limit_bytes)

    async def shortened(scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["type"] == ScopeType.HTTP else ""
        if method == "GET" and (found := GET.fullmatch(scope["path"])):
            noun, id, of_history = found.groups()
            template, may = f"/{noun}/{{{KINDS[noun]}_id}}{of_history or ''}", SEEN_WHOLE
        elif method == "POST" and (found := POST.fullmatch(scope["path"])):
            id, template, may = found[1], "/people/{person_id}/interactions", MAY_RECORD
        else:
            return await app(scope, receive, send)
        headers = _headers(scope)
        caller = _caller(scope, headers, known, may) if headers else None
        if not headers or not caller:
            return await app(scope, receive, send)
        answer: Answer | None = None
        through.set(caller.through)
        try:
            if method == "GET":
                answer, stands_at = await _answer(
                    noun, UUID(id), of_history, scope["query_string"], reads(), ledger()
                )
                if hidden(caller.holder, stands_at) != frozenset():
                    answer = None
            elif _may_be_quick(scope, headers, most):
                body, receive = await _read(receive)
                if len(body) == int(headers[b"content-length"]):  # else they have gone
                    answer = await _record(ledger(), caller, scope["path"], UUID(id), body, headers)
        except Refusal as refusal:
            if _tells_only_of(UUID(id), refusal) or caller.holder.may(ALL):
                answer = Answer(*problems.told(refusal), problems.MEDIA_TYPE)
        except Exception as fault:  # it is said there as everywhere
            scope["state"]["fault"] = fault
        scope["state"]["actor"] = caller.holder.actor
        if answer is None:
            return await app(scope, receive, send)
        scope["path_template"] = template
        await tell(send, answer)

    return shortened


def _tells_only_of(id: UUID, refusal: Refusal) -> bool:
    """What names more, or rests on it, may have to say less: that is decided there."""
    facts = refusal.facts.values()
    return not refusal.rests_on and not any(
        isinstance(fact, (UUID, *SEVERAL)) and fact != id for fact in facts
    )


async def tell(send: Send, answer: Answer) -> None:
    body = _encode(answer.document)
    headers = {
        "content-type": answer.media_type, "content-length": str(len(body)), **answer.headers
    }  # fmt: skip
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": given})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _headers(scope: Scope) -> dict[bytes, bytes] | None:
    """Those that are looked at here; None: which of two the framework takes is its business, and
    so is whoever wants no JSON."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in LOOKED_AT:
            if name in found:
                return None
            found[name] = value
    if not PLAIN_HOST.fullmatch(found.get(b"host", b"")):
        return None
    return found if found.get(b"accept", ACCEPTED[0]) in ACCEPTED else None


def _caller(
    scope: Scope, headers: dict[bytes, bytes], known: Known, needed: tuple[Permission, ...]
) -> Caller | None:
    told = (headers.get(name, b"").decode("latin-1") for name in IDENTIFYING)
    caller = known(scope["state"], address_of(scope), str(scope["method"]), *told)  # type: ignore[typeddict-item]
    return caller if caller and all(map(caller.holder.may, needed)) else None


def _may_be_quick(scope: Scope, headers: dict[bytes, bytes], most: int) -> bool:
    """With a body of at most ``most``."""
    size = headers.get(b"content-length", b"")
    return (
        not scope["query_string"]
        and "draft" not in scope["state"]
        and not {b"if-none-match", b"content-encoding"} & headers.keys()
        and headers.get(b"content-type") == b"application/json"
        and size.isdigit()
        and int(size) <= most
        and bool(KEY.fullmatch(headers.get(b"idempotency-key", b"none")))
    )


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The body, and what gives it once more."""
    read: list[Any] = []
    while not read or read[-1].get("more_body"):
        read.append(await receive())
    left = iter(read)

    async def again() -> Any:
        return next(left, None) or await receive()

    return b"".join([message.get("body", b"") for message in read]), again


async def _record(
    ledger: Ledger,
    caller: Caller,
    path: str,
    id: UUID,
    body: bytes,
    headers: dict[bytes, bytes],
) -> Answer | None:
    """Raises as the command."""
    expected = None
    if (asked := headers.get(b"if-match")) is not None:
        found, weak = versions([asked.decode("latin-1")]) or ((), False)
        if weak or len(found) != 1:
            return None
        [expected] = found
        if not expected:  # no version is called so: it is told there
            return None
    if faults_of(Interactions, body):
        return None
    fact, key = _decode(body), headers.get(b"idempotency-key", b"").decode()
    actor = caller.holder.actor
    intent = acting.intent_of(ledger, actor, "POST", path, body, key, expected)
    receipt, again = await metrics.decided(
        ledger.answer(lambda work: intake.record(work, id, fact), intent=intent, of=id),
        "record_interaction",
    )
    return Answer(201, receipt, acting.headers_of(receipt, again))


async def _answer(
    noun: str, id: UUID, of_history: str | None, query: bytes, reads: Reads, ledger: Ledger
) -> tuple[Answer | None, int]:
    """And where it stands."""
    parameters = _parameters(query)
    if parameters is None:
        return None, 0
    limit = parameters.limit or LIMIT
    found: Any
    look_up: Any
    if of_history:
        look_up, asked = history.of, history.of.asking(id, kind=KINDS[noun], limit=limit + 1)
    elif noun in CARDS and parameters.limit is None:
        look_up, asked = CARDS[noun], CARDS[noun].asking(id)
    else:
        return None, 0
    as_of = None
    if parameters.moment:
        stands_at, as_of, found = await reads.look_back(look_up, asked, parameters.moment)
    else:
        stands_at, found = await reads.look_up(look_up, asked)
    if found is None or stands_at < parameters.after:
        return None, stands_at
    shown = found
    if of_history:
        of = cursors.of(f"/{noun}/{id}/history")
        shown = page_of(found, limit, moment, cursors.Cursors(ledger.store.keyring, of))
    told = {"ledger-as-of": parameters.moment.told(as_of)} if parameters.moment and as_of else {}
    headers = {"ledger-position": str(stands_at), **told, **version_of(shown)}
    return Answer(200, shown, headers), stands_at


def _parameters(query: bytes) -> Parameters | None:
    """None: others, or not as they have to be."""
    found: dict[str, str] = {}
    for pair in filter(None, query.split(b"&")):
        name, _, value = pair.decode("latin-1").partition("=")
        if name in found or name not in PARAMETERS or not PARAMETERS[name].fullmatch(value):
            return None
        found[name] = value
    limit, after = found.get("limit"), int(found.get("after", 0))
    if limit and not 1 <= int(limit) <= MOST_ITEMS:
        return None
    as_of, known = found.get("as_of"), found.get("known")
    moment = past.quickly(as_of.replace("%3A", ":"), known) if as_of else None
    if moment is None and (as_of or known):
        return None
    return Parameters(int(limit) if limit else None, after, moment)
