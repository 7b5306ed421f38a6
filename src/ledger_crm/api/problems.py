"""Whatever goes wrong, as an RFC 9457 problem: a stable ``type``, and the facts of the case.

A refusal of the domain is a problem by its kind; what only HTTP knows is refused here, by the
same grammar. 400 is for what is malformed, 422 for what is well formed and makes no sense.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from ledger_crm.domain.entry import cause
from ledger_crm.domain.faults import in_words
from ledger_crm.domain.refusals import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Refusal,
    Stale,
    Unknown,
)
from ledger_crm.ledger import Busy, DiskIsFull
from ledger_crm.ledger import Unavailable as LedgerUnavailable
from ledger_crm.projections import NO_ROOM, OUT_OF_REACH, TOOK_TOO_LONG
from ledger_crm.storage import StorageFault

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[Refusal], int] = {
    Unknown: 404,
    Forbidden: 403,
    Conflict: 409,
    Gone: 410,
    Stale: 412,
    Invalid: 422,
}

log = structlog.get_logger("ledger_crm.api")


class Fault(msgspec.Struct, frozen=True):
    """pointer  to a place in the body, such as ``/stages/0/label``; ``query:limit`` for a
    parameter, ``header:If-Match`` for a header; "" for the whole body"""

    pointer: str
    detail: str


class HttpProblem(Refusal):
    """What only HTTP can be wrong about."""

    status: ClassVar[int]
    headers: ClassVar[Mapping[str, str]] = {}


class Malformed(HttpProblem):
    """This request is malformed; faults lists what is wrong with it."""

    status = 400


class KeyMissing(HttpProblem):
    """This needs an API key in use, or somebody who is signed in: send Authorization: Bearer
    lcrm_..., or the cookie of POST /session."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="ledger-crm"'}


class NotPermitted(HttpProblem):
    """You are not allowed this: your role lacks the permission that is named."""

    status = 403


class CsrfTokenWrong(HttpProblem):
    """Who is signed in sends X-CSRF-Token with each write: GET /session tells it. It keeps other
    sites from writing in your name."""

    status = 403


class TooManyToSort(HttpProblem):
    """There are too many to sort them: narrow them by a filter, or take them in the order that the
    list has."""

    status = 422


class FormIsOld(HttpProblem):
    """This form is not the one that you were given: fill it in again."""

    status = 403


class SignInRefused(HttpProblem):
    """This is not the password of a consultant who may sign in."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Password realm="ledger-crm"'}


class SignInCancelled(SignInRefused):
    """Nobody signed in at the identity provider: it was cancelled there, or is not allowed."""


class SignInIsOver(SignInRefused):
    """This sign-in is over, or was begun in another browser: begin it again."""


class AddressUnknown(SignInRefused):
    """The identity provider says who you are, but nobody who may sign in here has your e-mail
    address: ask whoever runs Ledger CRM in your house to write it down."""


class AddressNotVerified(SignInRefused):
    """The identity provider does not say that your e-mail address is verified: ask whoever runs
    it."""


class ProviderNotBelieved(SignInRefused):
    """What the identity provider says of you cannot be believed: whoever runs Ledger CRM in your
    house finds the reason in the access log."""


class ProviderAway(HttpProblem):
    """The identity provider does not answer, or not as it should. Try again, or sign in with a
    password."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}


class SessionMissing(HttpProblem):
    """This is for who is signed in; you came with an API key."""

    status = 403


class TooManyRequests(HttpProblem):
    """More than we take from one caller within a minute: RateLimit says when more is taken."""

    status = 429


class TooManyGuesses(HttpProblem):
    """This was guessed wrong too often, or from where you are: wait, and try again."""

    status = 429


class LinkMissing(HttpProblem):
    """This needs the link to a shortlist: send Authorization: Bearer lcrs_..."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="ledger-crm portal"'}


class TooMuchAsked(HttpProblem):
    """This link was used more often within a minute than people do: wait a little."""

    status = 429


class NoSuchPage(HttpProblem):
    """There is nothing at this address; /docs lists what there is."""

    status = 404


class NotAnId(HttpProblem):
    """This address is that of one record, and what stands in the place of its id is not an id; ids
    are UUIDs, as receipts and lists name them."""

    status = 404


class MethodNotAllowed(HttpProblem):
    """This address does not know this method; Allow lists those that it knows."""

    status = 405


class NotAcceptable(HttpProblem):
    """We answer in JSON: accept application/json, or what else the documents name there."""

    status = 406


class BodyTooLarge(HttpProblem):
    """This body is larger than we take."""

    status = 413


class HeadTooLarge(HttpProblem):
    """The head of a request takes at most 64 KiB: its address and its headers."""

    status = 431


class UnsupportedMediaType(HttpProblem):
    """A body is JSON: send Content-Type: application/json."""

    status = 415


class UnsupportedEncoding(HttpProblem):
    """A body is not compressed: send it without Content-Encoding."""

    status = 415
    headers: ClassVar[Mapping[str, str]] = {"Accept-Encoding": "identity"}


class AfterTheHead(HttpProblem):
    """This position lies beyond the newest entry of the ledger, which is at head: nobody was ever
    answered such a position."""

    status = 422


class InternalError(HttpProblem):
    """Something went wrong on our side; request_id finds it in our log."""

    status = 500


class Unavailable(HttpProblem):
    """The database does not answer. Try again; with the same Idempotency-Key nothing is done
    twice."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class DiskFull(HttpProblem):
    """The database's disk is full: nothing of this was written. Whoever runs it has to make room;
    then try again."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "60"}


class DocumentsAway(HttpProblem):
    """Where documents are kept does not answer. Try again; with the same Idempotency-Key nothing is
    done twice."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}


class TookTooLong(HttpProblem):
    """The answer takes longer than we let one take. Ask for less: a shorter period, or one client,
    consultant or team."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}


class TooBusy(HttpProblem):
    """More is waiting to be written than we take. Nothing was written: try again."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class TooManyFollowers(HttpProblem):
    """As many follow the ledger here as we take, or this process is about to stop: come back."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}


class ReadModelBehind(HttpProblem):
    """What you ask for is not projected yet. It is on its way: try again."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


HTTP: dict[int, type[HttpProblem]] = {
    404: NoSuchPage,
    405: MethodNotAllowed,
    406: NotAcceptable,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
}


def status_of(refusal: type[Refusal]) -> int:
    """Raises StopIteration if a refusal descends from none of the kinds: a bug."""
    if issubclass(refusal, HttpProblem):
        return refusal.status
    return next(STATUS[base] for base in refusal.__mro__ if base in STATUS)


def every(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """All that may be answered; the kinds themselves are not."""
    for refusal in kind.__subclasses__():
        if refusal not in STATUS and refusal is not HttpProblem and refusal.over_http:
            yield refusal
        yield from every(refusal)


def refused(request: Request[Any, Any, Any], refusal: Refusal) -> Response[dict[str, Any]]:
    status, body, headers = told(refusal)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def told(refusal: Refusal) -> tuple[int, dict[str, Any], dict[str, str]]:
    """The status, the problem, and headers."""
    status = status_of(type(refusal))
    facts = dict(refusal.facts)
    if isinstance(refusal, Invalid) and refusal.field:
        facts.setdefault("field", refusal.field)
    if isinstance(refusal, Malformed):
        faults = refusal.facts["faults"]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        detail = f"{faults[0].pointer or 'the request'}: {faults[0].detail}{more}"
    else:
        detail = str(refusal)
    body = facts | {
        "type": f"/problems/{refusal.code}",
        "title": refusal.sentence,
        "status": status,
        "detail": detail,
        "request_id": cause.get(),
    }
    return status, body, headers_of(refusal)


def headers_of(refusal: Refusal) -> dict[str, str]:
    headers = dict(refusal.headers) if isinstance(refusal, HttpProblem) else {}
    if "retry_after_s" in refusal.facts:
        headers["Retry-After"] = str(refusal.facts["retry_after_s"])
    return headers


def out_of_reach(request: Request[Any, Any, Any], _: Exception) -> Response[dict[str, Any]]:
    return refused(request, Unavailable())


def disk_full(request: Request[Any, Any, Any], _: Exception) -> Response[dict[str, Any]]:
    log.error("disk full", request_id=cause.get())
    return refused(request, DiskFull())


def documents_away(
    request: Request[Any, Any, Any], fault: StorageFault
) -> Response[dict[str, Any]]:
    log.error("documents away", fault=str(fault), request_id=cause.get())
    return refused(request, DocumentsAway())


def took_too_long(request: Request[Any, Any, Any], _: Exception) -> Response[dict[str, Any]]:
    return refused(request, TookTooLong())


def too_busy(request: Request[Any, Any, Any], _: Exception) -> Response[dict[str, Any]]:
    return refused(request, TooBusy())


LEFT = "client disconnected prematurely"
"""The framework's words for who is gone before all of the body came; its status is 500."""

WRONG_HOST = "Invalid host header"
"""Its words for that."""


def http(request: Request[Any, Any, Any], fault: HTTPException) -> Response[dict[str, Any]]:
    """What the framework refuses with; its own words stay inside."""
    if isinstance(fault, ValidationException):
        return refused(request, Malformed(faults=_faults(fault)))
    if fault.detail == LEFT:
        return refused(request, Malformed(faults=[Fault("", "the body ends before its length")]))
    if fault.status_code == 400:  # what came is not what HTTP says it is
        what = Fault("", "is no request")
        if fault.detail == WRONG_HOST:
            what = Fault("header:Host", "is no name of a server")
        return refused(request, Malformed(faults=[what]))
    if fault.status_code >= 500 or fault.status_code not in HTTP:
        return broken(request, fault)
    if fault.status_code == 404 and (name := _not_an_id(request)):
        return refused(request, NotAnId(parameter=name))
    response = refused(request, HTTP[fault.status_code]())
    if allow := (fault.headers or {}).get("allow"):
        response.headers["Allow"] = allow
    return response


def broken(request: Request[Any, Any, Any], fault: Exception) -> Response[dict[str, Any]]:
    """Where it broke is logged; the text of the exception is not, it may hold anything."""
    frames = traceback.extract_tb(fault.__traceback__)[-6:]
    where = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
    log.error("broken", fault=type(fault).__name__, where=where, request_id=cause.get())
    return refused(request, InternalError())


def _faults(fault: ValidationException) -> list[Fault]:
    found = fault.extra if isinstance(fault.extra, list) else []
    return [Fault(_place(each), in_words(each["message"])) for each in found] or [
        Fault("", "a parameter is not what it should be")
    ]


def _not_an_id(request: Request[Any, Any, Any]) -> str | None:
    """The first parameter that keeps this address from being one of ours, if that is an id."""
    parts = request.url.path.strip("/").split("/")
    for route in request.app.routes:
        if len(route.path_components) != len(parts):
            continue
        wrong = [
            wanted
            for part, wanted in zip(parts, route.path_components, strict=True)
            if not _fits(part, wanted)
        ]
        ids = [one.name for one in wrong if not isinstance(one, str) and one.type is UUID]
        if ids and len(ids) == len(wrong):
            return ids[0]
    return None


def _fits(part: str, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return part == wanted
    try:
        wanted.type(part)
    except ValueError:
        return False
    return True


def _place(fault: dict[str, Any]) -> str:
    source, key = fault.get("source", "request"), str(fault.get("key", ""))
    source = getattr(source, "value", source)
    return f"{source}:{key.replace('_', '-').title() if source == 'header' else key}"


HANDLERS: dict[int | type[Exception], Any] = {
    Refusal: refused,
    Busy: too_busy,
    LedgerUnavailable: out_of_reach,
    DiskIsFull: disk_full,
    NO_ROOM: disk_full,
    StorageFault: documents_away,
    **dict.fromkeys(OUT_OF_REACH, out_of_reach),
    TOOK_TOO_LONG: took_too_long,
    HTTPException: http,
    Exception: broken,
}
