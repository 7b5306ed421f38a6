"""Client: the API from Python, so that nobody writes retries, pages and following once more.

    with Client("http://127.0.0.1:8000", key) as crm:
        ada = crm.write("/people", {"name": "Ada Byron"})
        crm.write(f"/people/{ada.id}/tags", {"kind": "person.tagged", "tag": "vip"})
        for person in crm.pages("/people", tag="vip"):
            print(person["name"])
        found = crm.ask("/search/lookups", {"q": "ada"})
        engineers = list(crm.pages("/people/lookups", body={"q": "engineer"}))
        for entry in crm.follow(after=ada.position or 0):
            print(entry.position, entry.kind)

``AsyncClient`` has the same methods, to be awaited and iterated with ``async``. A write is sent
with an Idempotency-Key, so trying again does nothing twice; a read asks for what this client wrote
(``after``). Parameters are given by name, or stand in the path after a ``?``; None is none. What is
refused is a ``Problem``. Where it is told when to come back, it comes back then, or raises a
``Problem`` with ``retry_after_s`` if that is too long to wait. Shapes are yours to name: any type
that msgspec can decode, or none for plain dicts and lists.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from typing import Any, Literal, TypeVar, overload
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import httpx
import msgspec

from ledger_crm import retry_after

__all__ = ["AsyncClient", "Client", "Entry", "Problem", "Receipt", "Trial"]

T = TypeVar("T")
ATTEMPTS = 6
AGAIN_S = 0.2  # before the second attempt; then twice as long each time
LONGEST_S = 30.0  # of our own accord, however often it failed
PATIENCE_S = 60.0
TIMEOUT_S = 30.0
SILENCE_S = 45.0  # of a stream that says every 15 s that it is there
NOT_BEHIND = (
    "/events", "/health", "/metrics", "/problems", "/schemas", "/openapi.json", "/session",
    "/access-log", "/portal",
)  # fmt: skip
"""What begins like this takes no ``after``, or means another thing by it; nor does ``/``."""
AGAIN = frozenset((429, 502, 503, 504))
NEVER_SENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""No address, or a header that cannot be one: it stays so, however often it is tried."""

Steps = Generator[httpx.Request | float, httpx.Response | httpx.TransportError | None, T]
"""What is to be sent, or how many seconds to wait; the two clients do that in their own ways."""


class Receipt(msgspec.Struct, frozen=True):
    """position  None: there was nothing new to write
    created   id of what was made inside the record
    """

    id: UUID
    version: int
    position: int | None
    created: UUID | None = None
    secret: str | None = None
    token: str | None = None


class Trial(msgspec.Struct, frozen=True):
    """What a dry run foresees."""

    id: UUID
    version: int
    entries: list[dict[str, Any]]
    replayed: bool = False


class Entry(msgspec.Struct, frozen=True):
    """Of the ledger. ``sealed`` names fields of the fact that are not shown; ``through`` is the key
    or session that it was written through, like `key:<id>`, or ""."""

    position: int
    stream: UUID
    version: int
    kind: str
    recorded_at: str
    by: str
    cause: str
    fact: dict[str, Any]
    sealed: list[str]
    through: str = ""


class Problem(Exception):
    """The API said no (RFC 9457).

    code   like `no-such-record`
    facts  of the case, such as `holder` or `faults`
    retry_after_s  when to try again, if the answer says that; else None
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        facts: dict[str, Any],
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.facts = status, code, facts
        self.retry_after_s = retry_after_s


class _Calls:
    """What both clients do, without doing it."""

    def __init__(self, url: str, key: str, attempts: int, patience_s: float) -> None:
        if not re.fullmatch("[!-~]+", key):  # whoever sends it would say what it is
            raise ValueError("key: an API key as it was shown, without spaces and line breaks")
        self._url, self._attempts, self._patience_s = url.rstrip("/"), attempts, patience_s
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": "ledger-crm-client"}
        self.position = 0
        """Of the last write of this client; reads ask for what was known there."""
        self.stood_at: int | None = None
        """Where the ledger was, of which the last answer to a read holds everything
        (``Ledger-Position``); None if it said nothing of that."""
        self.total_count: str | None = None
        """How many there are of the list that was read last, if it was asked with ``count=True``
        (``Total-Count``): `42`, or `10000+` if there are more; else None."""

    def _request(
        self, method: str, path: str, *, timeout_s: float = TIMEOUT_S, **rest: Any
    ) -> httpx.Request:
        rest["headers"] = self._headers | rest.get("headers", {})
        rest["extensions"] = {
            "timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        }
        return httpx.Request(method, self._url + path, **rest)

    def _sent(self, request: httpx.Request) -> Steps[httpx.Response]:
        """Until there is an answer. Raises Problem, at once if it is to be tried again later than
        is waited for; httpx.TransportError after the last attempt."""
        for attempt in range(1, self._attempts + 1):
            answer = yield request
            last = attempt == self._attempts
            wait_s = _pause_s(attempt - 1)
            if isinstance(answer, httpx.TransportError):
                if last or isinstance(answer, NEVER_SENT):
                    raise answer
            else:
                assert answer is not None
                if answer.is_success:
                    return answer
                if last:
                    raise _problem(answer)
                wait_s = max(wait_s, self._asked_s(answer))
            yield wait_s
        raise AssertionError("not reached: the last attempt returns or raises")

    def _asked_s(self, answer: httpx.Response) -> float:
        """How long we are asked to wait. Raises Problem, if it is not to be tried again."""
        asked_s = _retry_after_s(answer) or 0.0
        if answer.status_code not in AGAIN or asked_s > self._patience_s:
            raise _problem(answer)
        return asked_s

    def _read(self, request: httpx.Request) -> Steps[httpx.Response]:
        answer = yield from self._sent(request)
        told = answer.headers.get("ledger-position")
        self.stood_at = None if told is None else int(told)
        self.total_count = answer.headers.get("total-count")
        return answer

    def _get(self, path: str, type: Any, params: dict[str, Any]) -> Steps[Any]:
        answer = yield from self._read(self._getting(path, params))
        return _decoded(answer, type)

    def _getting(self, path: str, params: dict[str, Any]) -> httpx.Request:
        path, params = self._after(*_parted(path, params))
        return self._request("GET", path, params=params)

    def _ask(self, path: str, body: Any, type: Any, params: dict[str, Any]) -> Steps[Any]:
        answer = yield from self._read(self._asking(path, body, params))
        return _decoded(answer, type)

    def _asking(self, path: str, body: Any, params: dict[str, Any]) -> httpx.Request:
        content, headers = msgspec.json.encode(body), {"Content-Type": "application/json"}
        path, params = self._after(*_parted(path, params))
        return self._request("POST", path, headers=headers, params=params, content=content)

    def _page(
        self, path: str, body: Any, params: dict[str, Any]
    ) -> Steps[tuple[list[Any], str | None]]:
        if params["cursor"] and path.startswith("/events"):  # where it begins, which is in it
            params["after"] = None
        asks = body is not None
        request = self._asking(path, body, params) if asks else self._getting(path, params)
        answer = yield from self._read(request)
        match _decoded(answer, Any):
            case {"items": list(items), "next": None | str() as cursor}:
                return items, cursor
            case list(items):
                return items, None
        reads = "ask(path, body)" if asks else "get(path)"
        raise _unlike(answer, "no-list", f"is no list: {reads} reads it")

    def _after(self, path: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        behind = path != "/" and not path.startswith(NOT_BEHIND)
        if self.position and "as_of" not in params and behind:
            return path, {"after": self.position} | params
        return path, params

    def _write(
        self,
        path: str,
        body: Any,
        method: str,
        key: str | None,
        if_match: str | None,
        if_none_match: str | None,
        dry_run: bool,
    ) -> Steps[Any]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": _key(key)}
        for name, tag in (("If-Match", if_match), ("If-None-Match", if_none_match)):
            if tag is not None:
                headers[name] = tag
        path, params = _parted(path, {"dry_run": "true" if dry_run else None})
        content = msgspec.json.encode(body)
        answer = yield from self._sent(
            self._request(method, path, headers=headers, params=params, content=content)
        )
        if dry_run:
            return _decoded(answer, Trial)
        try:
            receipt: Receipt = _decoded(answer, Receipt)
        except msgspec.ValidationError:
            none = "answered, but with no receipt; ask(path, body) is for what only reads"
            raise _unlike(answer, "no-receipt", none) from None
        self.position = max(self.position, receipt.position or 0)
        return receipt

    def _batch(
        self, commands: Sequence[dict[str, Any]], whole: bool, key: str | None, dry_run: bool
    ) -> Steps[list[dict[str, Any]]]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": _key(key)}
        params = {"dry_run": "true"} if dry_run else {}
        content = msgspec.json.encode({"commands": commands, "all_or_nothing": whole})
        answer = yield from self._sent(
            self._request("POST", "/batch", headers=headers, params=params, content=content)
        )
        results: list[dict[str, Any]] = msgspec.json.decode(answer.content)["results"]
        for each in results:
            self.position = max(self.position, each["answer"].get("position") or 0)
        return results

    def _stream(self, after: int, kinds: Sequence[str]) -> httpx.Request:
        params = {"kind": ",".join(kinds)} if kinds else {}
        headers = {"Last-Event-ID": str(after), "Accept": "text/event-stream"}
        return self._request(
            "GET", "/events/stream", params=params, headers=headers, timeout_s=SILENCE_S
        )


class Client(_Calls):
    """
    attempts    of each request, with longer and longer pauses
    patience_s  the longest that the server may ask to wait; if it asks for more, nothing is tried
                again
    transport   of httpx, for tests and for those who need a proxy
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        attempts: int = ATTEMPTS,
        patience_s: float = PATIENCE_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, attempts, patience_s)
        self._http = httpx.Client(transport=transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    @overload
    def get(self, path: str, type: type[T], **params: Any) -> T: ...
    @overload
    def get(self, path: str, **params: Any) -> Any: ...
    def get(self, path: str, type: Any = Any, **params: Any) -> Any:
        """One answer. Raises Problem; msgspec.ValidationError if it is no ``type``; ValueError,
        before anything is sent, if ``path`` does not begin with a /."""
        return self._done(self._get(path, type, params))

    @overload
    def ask(self, path: str, body: Any, type: type[T], **params: Any) -> T: ...
    @overload
    def ask(self, path: str, body: Any, **params: Any) -> Any: ...
    def ask(self, path: str, body: Any, type: Any = Any, **params: Any) -> Any:
        """As ``get``, of what is read by POST so that no names stand in an address: ``/search``,
        ``/people`` and ``/segments`` have ``/lookups``. A page at a time: ``cursor=``; all pages of
        a list: ``pages(path, body=…)``."""
        return self._done(self._ask(path, body, type, params))

    @overload
    def pages(
        self, path: str, type: type[T], *, body: Any = None, **params: Any
    ) -> Iterator[T]: ...
    @overload
    def pages(self, path: str, *, body: Any = None, **params: Any) -> Iterator[Any]: ...
    def pages(
        self, path: str, type: Any = Any, *, body: Any = None, **params: Any
    ) -> Iterator[Any]:
        """Every item of a list, a page at a time, if it has pages, from ``cursor`` on if one is
        given; with ``body`` of one that is read by POST, as by ``ask``. Raises as ``get``; Problem
        also if it is no list."""
        path, params = _parted(path, params)
        cursor = params.pop("cursor", None)
        while True:
            items, cursor = self._done(self._page(path, body, {**params, "cursor": cursor}))
            for item in items:
                yield msgspec.convert(item, type)
            if cursor is None:
                return

    def write(
        self,
        path: str,
        body: Any,
        *,
        method: str = "POST",
        key: str | None = None,
        if_match: str | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> Receipt:
        """``key``: of your own choosing; None: a new one for this call. Raises Problem; ValueError
        if it is no key, before anything is sent."""
        receipt: Receipt = self._done(
            self._write(path, body, method, key, if_match, if_none_match, False)
        )
        return receipt

    def try_out(
        self,
        path: str,
        body: Any,
        *,
        method: str = "POST",
        key: str | None = None,
        if_match: str | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> Trial:
        """What ``write`` would do. Raises as ``write``."""
        trial: Trial = self._done(
            self._write(path, body, method, key, if_match, if_none_match, True)
        )
        return trial

    def batch(
        self,
        commands: Sequence[dict[str, Any]],
        *,
        all_or_nothing: bool = False,
        key: str | None = None,
        dry_run: bool = False,
    ) -> list[dict[str, Any]]:
        """Results, as ``/batch`` says; of a dry run, what each would do. ``key``: as for ``write``,
        for those of the commands that have none. Raises as ``write``."""
        return self._done(self._batch(commands, all_or_nothing, key, dry_run))

    def follow(self, *, after: int = 0, kinds: Sequence[str] = ()) -> Iterator[Entry]:
        """Entries after a position, for ever; none is left out, none told twice. Raises Problem,
        also if the server asks to be left alone for longer than is waited for; and
        httpx.TransportError if what is asked can never be sent."""
        lines, failures = _Lines(after), 0
        while True:
            asked_s = 0.0
            try:
                request = self._stream(lines.last, kinds)
                answer = self._http.send(request, stream=True)
                try:
                    if not answer.is_success:
                        answer.read()
                        asked_s = self._asked_s(answer)
                    else:
                        _must_be_stream(answer)
                        lines.begin()
                        for line in answer.iter_lines():
                            if entry := lines.hear(line):
                                failures = 0
                                yield entry
                finally:
                    answer.close()
            except NEVER_SENT:
                raise
            except httpx.TransportError:
                pass
            failures += 1
            time.sleep(max(_pause_s(failures), asked_s))

    def _done(self, steps: Steps[T]) -> T:
        heard: Any = None
        try:
            while True:
                step = steps.send(heard)
                heard = None
                if isinstance(step, httpx.Request):
                    try:
                        heard = self._http.send(step)
                    except httpx.TransportError as fault:
                        heard = fault
                else:
                    time.sleep(step)
        except StopIteration as over:
            found: T = over.value
            return found


class AsyncClient(_Calls):
    """As ``Client``."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        attempts: int = ATTEMPTS,
        patience_s: float = PATIENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, attempts, patience_s)
        self._http = httpx.AsyncClient(transport=transport)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    @overload
    async def get(self, path: str, type: type[T], **params: Any) -> T: ...
    @overload
    async def get(self, path: str, **params: Any) -> Any: ...
    async def get(self, path: str, type: Any = Any, **params: Any) -> Any:
        return await self._done(self._get(path, type, params))

    @overload
    async def ask(self, path: str, body: Any, type: type[T], **params: Any) -> T: ...
    @overload
    async def ask(self, path: str, body: Any, **params: Any) -> Any: ...
    async def ask(self, path: str, body: Any, type: Any = Any, **params: Any) -> Any:
        return await self._done(self._ask(path, body, type, params))

    @overload
    def pages(
        self, path: str, type: type[T], *, body: Any = None, **params: Any
    ) -> AsyncIterator[T]: ...
    @overload
    def pages(self, path: str, *, body: Any = None, **params: Any) -> AsyncIterator[Any]: ...
    async def pages(
        self, path: str, type: Any = Any, *, body: Any = None, **params: Any
    ) -> AsyncIterator[Any]:
        path, params = _parted(path, params)
        cursor = params.pop("cursor", None)
        while True:
            items, cursor = await self._done(self._page(path, body, {**params, "cursor": cursor}))
            for item in items:
                yield msgspec.convert(item, type)
            if cursor is None:
                return

    async def write(
        self,
        path: str,
        body: Any,
        *,
        method: str = "POST",
        key: str | None = None,
        if_match: str | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> Receipt:
        receipt: Receipt = await self._done(
            self._write(path, body, method, key, if_match, if_none_match, False)
        )
        return receipt

    async def try_out(
        self,
        path: str,
        body: Any,
        *,
        method: str = "POST",
        key: str | None = None,
        if_match: str | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> Trial:
        trial: Trial = await self._done(
            self._write(path, body, method, key, if_match, if_none_match, True)
        )
        return trial

    async def batch(
        self,
        commands: Sequence[dict[str, Any]],
        *,
        all_or_nothing: bool = False,
        key: str | None = None,
        dry_run: bool = False,
    ) -> list[dict[str, Any]]:
        return await self._done(self._batch(commands, all_or_nothing, key, dry_run))

    async def follow(self, *, after: int = 0, kinds: Sequence[str] = ()) -> AsyncIterator[Entry]:
        lines, failures = _Lines(after), 0
        while True:
            asked_s = 0.0
            try:
                request = self._stream(lines.last, kinds)
                answer = await self._http.send(request, stream=True)
                try:
                    if not answer.is_success:
                        await answer.aread()
                        asked_s = self._asked_s(answer)
                    else:
                        _must_be_stream(answer)
                        lines.begin()
                        async for line in answer.aiter_lines():
                            if entry := lines.hear(line):
                                failures = 0
                                yield entry
                finally:
                    await answer.aclose()
            except NEVER_SENT:
                raise
            except httpx.TransportError:
                pass
            failures += 1
            await asyncio.sleep(max(_pause_s(failures), asked_s))

    async def _done(self, steps: Steps[T]) -> T:
        heard: Any = None
        try:
            while True:
                step = steps.send(heard)
                heard = None
                if isinstance(step, httpx.Request):
                    try:
                        heard = await self._http.send(step)
                    except httpx.TransportError as fault:
                        heard = fault
                else:
                    await asyncio.sleep(step)
        except StopIteration as over:
            found: T = over.value
            return found


class _Lines:
    """Of text/event-stream, to entries; ``last`` is where to come back. ``begin`` on each
    connection: what one was cut off in is told whole by the next."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.begin()

    def begin(self) -> None:
        self._fields: dict[str, str] = {}

    def hear(self, line: str) -> Entry | None:
        if line:
            name, _, value = line.partition(": ")
            self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        self.last = int(fields.get("id", self.last))
        return msgspec.json.decode(fields["data"], type=Entry) if "data" in fields else None


def _pause_s(failures: int) -> float:
    return min(AGAIN_S * 2.0 ** min(failures, 10) * (0.5 + random.random()), LONGEST_S)  # noqa: S311


def _key(given: str | None) -> str:
    """Raises ValueError. An empty one is no wish for a new one: whoever made it of something that
    is missing believes that sending twice does it once."""
    if given is None:
        return uuid4().hex
    if not given.strip() or not given.isascii() or not given.isprintable():
        raise ValueError("key: 1 to 255 visible ASCII characters, or None for a new one")
    return given


def _parted(path: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path, and what is asked: in it, and beside it, but what is None there. Raises
    ValueError."""
    if not path.startswith("/"):  # it would go on as the name of the host
        raise ValueError("path: write it from the / on, like /people")
    path, _, query = path.partition("?")
    said = parse_qs(query, keep_blank_values=True)
    beside = {name: value for name, value in params.items() if value is not None}
    if both := said.keys() & beside.keys():
        raise ValueError(f"{min(both)}: in the path, and beside it too")
    return path, said | beside


def _retry_after_s(answer: httpx.Response) -> float | None:
    asked, said_at = (answer.headers.get(name, "") for name in ("retry-after", "date"))
    return retry_after.seconds(asked, said_at=said_at)


def _decoded(answer: httpx.Response, type: Any) -> Any:
    """Raises Problem, msgspec.ValidationError."""
    if answer.headers.get("content-type", "").partition(";")[0].endswith("json"):
        return msgspec.json.decode(answer.content, type=type)
    what = answer.headers.get("content-type") or "nothing"
    raise _unlike(answer, "no-json", f"is {what}, and this client reads JSON")


def _must_be_stream(answer: httpx.Response) -> None:
    """Raises Problem: something between us answers in its own name."""
    what = answer.headers.get("content-type", "nothing")
    if not what.startswith("text/event-stream"):
        raise _unlike(answer, "no-stream", f"is {what}, and this client follows events")


def _unlike(answer: httpx.Response, code: str, what: str) -> Problem:
    asked = f"{answer.request.method} {answer.request.url.path}"
    return Problem(answer.status_code, code, f"{asked} {what}", {})


def _problem(answer: httpx.Response) -> Problem:
    try:
        facts: dict[str, Any] = msgspec.json.decode(answer.content)
        code = facts["type"].rpartition("/")[2]
        detail = facts["detail"]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):  # of a proxy between us
        code, detail, facts = "", f"{answer.status_code} and no explanation", {}
    return Problem(answer.status_code, code, detail, facts, _retry_after_s(answer))
