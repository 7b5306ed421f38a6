"""``read``: any list or record that the API gives, on the command line.

It is the API's own answer: so every list, filter, refusal and paging rule is there that is there
over HTTP, and a new one needs nothing here. Who answers is the server that is named, else the one
that runs on this folder, which takes a tenth of the time; else the API is asked in this process,
and whoever may open the database needs no key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast
from urllib.parse import quote, urlencode

import cyclopts
import msgspec
from httpx import TransportError

from ledger_crm.client import Client, Problem
from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import Actor
from ledger_crm.ledger import Ledger
from ledger_crm.settings import Settings

from .house import Fault, console, load, opened, plain, print_columns, run, running_address

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

PAGE = 200
EVERYTHING = 100_000
PAGING = ("cursor", "limit")
UNASKED = ("after", "count")  # what is read is level, and counted by who prints it
JSON = "application/json"


def read(
    what: str = "",
    /,
    *,
    limit: Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=1))] = 50,
    json: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    **filters: str,
) -> None:
    """Read a list or a record, as the API gives it; without WHAT: which there are.

    ``read people --tag vip``, ``read job-orders --status open``, ``read people/ID/history``,
    ``read revenue --by month``. What is sealed is opened: it is for people who may see it.

    Parameters
    ----------
    what:
        Its path in the API.
    limit:
        At most so many of a list.
    json:
        Print it as JSON.
    filters:
        As the API names them.
    """
    filters = {name.replace("-", "_"): value for name, value in filters.items()}
    what = what.strip("/")

    def found_by(source: Source) -> Any:
        catalogue = _catalogue(source)
        if what:
            names = _filters(catalogue, what, filters)
            return source.answer(what, limit if "cursor" in names else None, filters)
        return [
            {"what": path, "filters": [name for name in names if name not in PAGING]}
            for path, names in catalogue.items()
        ]

    found = _asked(found_by)
    found = found[:limit] if what and isinstance(found, list) else found
    if json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    elif isinstance(found, dict):
        print_columns([(name, _cell(value)) for name, value in found.items()] or [("", "")])
    elif found:
        _print_table(found)
    else:
        console(to_stderr=True).print("nothing")


def asked(what: str, **filters: str) -> Any:
    """The API's answer, of a list all of it. Raises Fault."""

    def found_by(source: Source) -> Any:
        names = next(n for path, n in _catalogue(source).items() if _is(path, what))
        return source.answer(what, EVERYTHING if "limit" in names else None, filters)

    return _asked(found_by)


class Source(Protocol):
    """Who answers."""

    def document(self) -> Any:
        """Of the API, in OpenAPI."""

    def answer(self, what: str, most: int | None, filters: dict[str, str]) -> Any:
        """Of a list in pages the items, ``most`` of them or somewhat more. Raises Fault."""


class Away(Fault):
    """No answer from a server, or none for us."""


def _asked(ask: Callable[[Source], Any]) -> Any:
    """Raises Fault."""
    chosen = load()
    if chosen.api_url:
        with Client(chosen.api_url, chosen.api_key) as crm:
            return ask(Server(crm, chosen.api_url))
    if here := _here(chosen):
        address, key = here
        with suppress(Away), Client(address, key, attempts=1) as crm:
            return ask(Server(crm, address))
    return ask(ThisProcess(chosen))


def _here(chosen: Settings) -> tuple[str, str] | None:
    """The server that runs on this folder, and the key of its owner; None if there is none, or the
    database is named, which may be another."""
    if chosen.database_url:
        return None
    with suppress(OSError):
        key = (chosen.home / "api.key").read_text().strip()
        if key and (address := running_address(chosen.home)):
            return address, key
    return None


class Server:
    def __init__(self, crm: Client, address: str) -> None:
        self.crm, self.address = crm, address

    def document(self) -> Any:
        return self._heard("openapi.json", lambda: self.crm.get("/openapi.json"))

    def answer(self, what: str, most: int | None, filters: dict[str, str]) -> Any:
        path, first = f"/{quote(what)}", min(most or PAGE, PAGE)
        if most is None:
            return self._heard(what, lambda: self.crm.get(path, **filters))
        pages = self.crm.pages(path, limit=first, **filters)
        return self._heard(what, lambda: list(islice(pages, most)))

    def _heard(self, what: str, ask: Callable[[], Any]) -> Any:
        """Raises Away, and Fault with what the problem says."""
        try:
            return ask()
        except TransportError as fault:
            kind = type(fault).__name__
            raise Away(
                f"no answer from {self.address} ({kind}); is LEDGER_API_URL right?"
            ) from None
        except Problem as problem:
            if problem.status == 401:
                raise Away(f"{self.address}: {problem}; is LEDGER_API_KEY right?") from None
            raise Fault(_says(what, problem.status, str(problem))) from None


class ThisProcess:
    """The whole application, in here."""

    def __init__(self, chosen: Settings) -> None:
        self.chosen = chosen

    def document(self) -> Any:
        return _application()[1]

    def answer(self, what: str, most: int | None, filters: dict[str, str]) -> Any:
        with opened(self.chosen, to_look=True) as (ledger, url):
            return run(lambda: self._answer(ledger, url, what, most, filters))

    async def _answer(
        self, ledger: Ledger, url: str, what: str, most: int | None, filters: dict[str, str]
    ) -> Any:
        from ledger_crm.api.snapshots import open_pool

        app, _ = _application()
        async with open_pool(url, most=1) as pool:
            app.state.equipment.furnish(
                ledger=ledger, pool=pool, feed_position=ledger.head, guard=_is_here
            )
            if most is None:
                return await _answer(app, what, filters)
            items: list[Any] = []
            query: dict[str, Any] = {**filters, "limit": min(most, PAGE)}
            while True:
                page = await _answer(app, what, query)
                items += page["items"]
                if page["next"] is None or len(items) >= most:
                    return items
                query["cursor"] = page["next"]


@cache
def _application() -> tuple[Litestar, Any]:
    """Not furnished yet, and its document: they take a second or two."""
    from ledger_crm.api.app import create_app
    from ledger_crm.api.openapi import document

    nothing = cast("Any", None)
    app = create_app(ledger=nothing, pool=nothing, feed_position=nothing)
    return app, document(app)


def _catalogue(source: Source) -> dict[str, list[str]]:
    """What can be read, and by which parameters: all that answers with JSON to whoever has a key.
    It is in the API's document, for which nothing is opened."""
    found = {}
    for path, operations in source.document()["paths"].items():
        asked = operations.get("get")
        if asked is None or {"key": []} not in asked.get("security", ()):
            continue
        if JSON in asked["responses"]["200"].get("content", ()):
            names = [p["name"] for p in asked.get("parameters", ()) if p["in"] == "query"]
            found[path.strip("/")] = [name for name in names if name not in UNASKED]
    return found


def _filters(catalogue: dict[str, list[str]], what: str, asked: dict[str, str]) -> list[str]:
    """Its parameters. Raises Fault if it is not there, or has no such filter."""
    found = next((names for path, names in catalogue.items() if _is(path, what)), None)
    if found is None:
        raise Fault(f"there is no {what} to read; see which there are: ledger-crm read")
    names = [name for name in found if name not in PAGING]
    if wrong := sorted(asked.keys() - set(names)):
        known = ", ".join(f"--{name.replace('_', '-')}" for name in names) or "none"
        raise Fault(f"{what} has no filter {', '.join(wrong)}; it has: {known}")
    return found


async def _is_here(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Whoever may open the database."""
    actor = Actor("system:cli")
    connection.scope["state"] |= {"actor": actor, "holder": Holder(actor)}


def _is(path: str, what: str) -> bool:
    pattern, words = path.split("/"), what.split("/")
    return len(pattern) == len(words) and all(
        part == word or (part.startswith("{") and word)
        for part, word in zip(pattern, words, strict=True)
    )


async def _answer(app: Litestar, what: str, query: dict[str, Any]) -> Any:
    """Raises Fault with what the problem says."""
    sent: list[Any] = []
    path = f"/{what}"
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": quote(path).encode(), "root_path": "",
        "query_string": urlencode(query).encode(), "headers": [(b"accept", JSON.encode())],
        "client": None, "server": ("cli", 0), "state": {}, "extensions": {},
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status = next(message["status"] for message in sent if "status" in message)
    body = msgspec.json.decode(b"".join(message.get("body", b"") for message in sent))
    if status != 200:
        raise Fault(_says(what, status, body["detail"]))
    return body


def _says(what: str, status: int, detail: str) -> str:
    hint = "; ledger-crm up fills the read models" if status == 503 else ""
    return f"{what}: {detail}{hint}"


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Columns in which anything is, the id first."""
    shown = [name for name in rows[0] if name != "position"]  # which is there to page by
    names = [name for name in shown if any(row.get(name) not in (None, "", []) for row in rows)]
    names.sort(key=lambda name: name != "id")
    print_columns([names, *([_cell(row.get(name)) for name in names] for row in rows)])


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
        case dict() | list():
            return msgspec.json.encode(value).decode()
    return plain(str(value))
