"""``read``: any list or record that the API gives, on the command line.

It is the API's own answer, asked for in this process: so every list, filter, refusal and paging
rule is there that is there over HTTP, and a new one needs nothing here. Whoever may open the
database needs no key.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import cyclopts
import msgspec

from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import Actor
from ledger_crm.ledger import Ledger

from .documents import openapi
from .house import Fault, console, load, opened, plain, print_columns, run

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

PAGE = 200
EVERYTHING = 100_000
PAGING = ("cursor", "limit")
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
    what, found = what.strip("/"), _catalogue()
    if what:
        names = _filters(found, what, filters)
        most = limit if "cursor" in names else None
        with opened(load(), to_look=True) as (ledger, url):
            found = run(lambda: _found(ledger, url, what, most, filters))
        found = found[:limit] if isinstance(found, list) else found
    else:
        found = [
            {"what": path, "filters": [name for name in names if name not in PAGING]}
            for path, names in found.items()
        ]
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
    most = EVERYTHING if "limit" in _parameters(what) else None
    with opened(load(), to_look=True) as (ledger, url):
        return run(lambda: _found(ledger, url, what, most, filters))


def _parameters(what: str) -> list[str]:
    return next(names for path, names in _catalogue().items() if _is(path, what))


def _catalogue() -> Any:
    """What can be read, and by which parameters: all that answers with JSON to whoever has a key.
    It is in the API's document, for which nothing is opened."""
    found = {}
    for path, operations in openapi()["paths"].items():
        asked = operations.get("get")
        if asked is None or {"key": []} not in asked.get("security", ()):
            continue
        if JSON in asked["responses"]["200"].get("content", ()):
            names = [p["name"] for p in asked.get("parameters", ()) if p["in"] == "query"]
            found[path.strip("/")] = [name for name in names if name != "after"]
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


async def _found(
    ledger: Ledger, url: str, what: str, most: int | None, filters: dict[str, str]
) -> Any:
    """The answer; of a list in pages the items, ``most`` of them or somewhat more."""
    from ledger_crm.api.app import create_app
    from ledger_crm.api.reading import open_pool

    async with open_pool(url, most=1) as pool:
        app = create_app(ledger=ledger, pool=pool, feed_position=ledger.head, guard=_is_here)
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
        hint = "; ledger-crm up fills the read models" if status == 503 else ""
        raise Fault(f"{what}: {body.get('detail') or body['title']}{hint}")
    return body


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
