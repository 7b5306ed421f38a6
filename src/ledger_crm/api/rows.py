"""Lists as rows: a page as NDJSON or CSV, for whoever asks for it by ``Accept``.

A row is an item, as in JSON; in CSV each custom field of what is listed has a column of its own,
whether it is known of anybody or not, with the value in the form that an import takes. What a page
says besides, that more follows, is in ``Link``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, get_args, get_origin
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from ledger_crm.cells import cell, row
from ledger_crm.domain.custom import Subject
from ledger_crm.domain.fee import amount
from ledger_crm.projections import companies, deals, people, placements

from .ordering import fields_of
from .reading import Page

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
SELECTED = "application/vnd.ledger-crm.selected+json"
"""A list of which some fields were asked for: a client that was made from the document would not
find in it what its items have for sure."""

BREAKS = tuple((c.encode(), b"\\u%04x" % ord(c)) for c in "\x85\u2028\u2029")


class Selected(msgspec.Struct, frozen=True):
    """Of each item what was asked for. ``next``: as of a page."""

    items: Sequence[dict[str, Any]]
    next: str | None


SUBJECTS: dict[Any, Subject] = {
    people.PersonListed: "person",
    companies.CompanyListed: "company",
    companies.JobOrderListed: "job_order",
    deals.DealCard: "deal",
    placements.PlacementShown: "placement",
}
"""Of whose custom fields an item has values."""


def besides(handler: BaseRouteHandler) -> Sequence[str]:
    """Media types that this handler answers in, besides JSON."""
    if (said := handler.opt.get("media_types")) is not None:
        return tuple(said)
    return (NDJSON, CSV, SELECTED) if listed(handler) else ()


def wanted(request: Request[Any, Any, Any]) -> str:
    """The media type to answer in: of those that we have, the one that is liked best."""
    offers = []
    for offer in request.headers.get("accept", "").lower().split(","):
        name, *rest = (each.strip() for each in offer.split(";"))
        q = next((each[2:] for each in rest if each.startswith("q=")), "1")
        offers.append((-float(q) if re.fullmatch(r"[01](\.\d{0,3})?", q) else -1.0, name))
    have = besides(request.route_handler)
    for less, name in sorted(offers, key=lambda offer: offer[0]):
        if name in have and less:
            return name
        if less and name == "text/*" and CSV in have:
            return CSV
        if name in (JSON, "application/*", "*/*"):
            break
    return JSON


def asked_of(request: Request[Any, Any, Any]) -> Subject | None:
    """Whose custom fields are columns of the answer; None: there are none."""
    return SUBJECTS.get(item_of(request.route_handler)) if wanted(request) == CSV else None


def answer(
    request: Request[Any, Any, Any],
    page: Any,
    headers: dict[str, str],
    columns: Sequence[str] = (),
    *,
    without: str = "",
) -> Response[Any]:
    """``page``: has ``items`` and ``next``. ``columns``: custom fields. ``without``: a parameter
    that ``cursor`` replaces."""
    media_type, item = wanted(request), item_of(request.route_handler)
    fields = fields_of(request.query_params.get("fields"), item) if item else []
    some = "fields" in request.query_params
    if media_type in (JSON, SELECTED):
        if not some and media_type == JSON:
            return Response(page, headers=headers)
        chosen = Selected([_chosen(each, fields) for each in page.items], page.next)
        return Response(chosen, headers=headers, media_type=SELECTED)
    if page.next:
        asked = {n: value for n, value in request.query_params.items() if n != without}
        asked["cursor"] = page.next
        path = request.url.path.lstrip("/")  # or it would lead to a host of that name
        headers["Link"] = f'</{path}?{urlencode(asked)}>; rel="next"'
    return _as_rows(media_type, headers, item, page.items, columns, fields if some else None)


def whole(request: Request[Any, Any, Any], found: Any, headers: dict[str, str]) -> Response[Any]:
    """What has no pages: rows, if it is a list of such."""
    media_type, row = wanted(request), row_of(request.route_handler)
    asked = request.query_params.get("fields")
    if row is None or (asked is None and media_type == JSON):
        return Response(found, headers=headers)
    fields = fields_of(asked, row)
    if media_type in (JSON, SELECTED):
        chosen = [_chosen(each, fields) for each in found]
        return Response(chosen, headers=headers, media_type=SELECTED)
    return _as_rows(media_type, headers, row, found, fields=fields if asked else None)


def _as_rows(
    media_type: str,
    headers: dict[str, str],
    row: Any,
    items: Sequence[Any],
    columns: Sequence[str] = (),
    fields: Sequence[str] | None = None,
) -> Response[Any]:
    """``fields``: None for all."""
    if media_type == NDJSON:
        chosen = items if fields is None else [_chosen(each, fields) for each in items]
        lines = b"".join(line(each) + b"\n" for each in chosen)
        return Response(lines, headers=headers, media_type=NDJSON)
    assert row, "only lists are rows"
    lines = table(row, items, columns, fields)
    return Response(lines, headers=headers, media_type=f"{CSV}; header=present")


def line(document: Any) -> bytes:
    """As JSON in one line, whoever reads it: httpx and Python's ``splitlines`` end one where
    Unicode does, too, and JSON escapes none of these."""
    text = msgspec.json.encode(document)
    if not text.isascii():
        for sign, escaped in BREAKS:
            text = text.replace(sign, escaped)
    return text


def table(
    item: type[msgspec.Struct],
    items: Sequence[msgspec.Struct],
    columns: Sequence[str] = (),
    fields: Sequence[str] | None = None,
) -> bytes:
    """As RFC 4180 has it, in UTF-8: what is no single value is JSON, null is empty. ``columns``:
    custom fields, each a column after the others. ``fields``: None for all."""
    names = list(fields_of(None, item) if fields is None else fields)
    if item in SUBJECTS and "custom" in names:
        names.remove("custom")
    else:
        columns = ()
    rows = [row(names + [f"custom.{field}" for field in columns])]
    for each in items:
        values = msgspec.to_builtins(each)
        known = [cell(_in_a_file(values["custom"].get(field))) for field in columns]
        rows.append(row([cell(values.get(name)) for name in names] + known))
    return "".join(rows).encode()


def _chosen(item: Any, fields: Sequence[str]) -> dict[str, Any]:
    """Of a struct whose fields are called as in JSON."""
    return {name: getattr(item, name) for name in fields}


def _in_a_file(value: Any) -> Any:
    """Of a custom field, as ``domain.custom.read`` takes it."""
    match value:
        case {"amount_cents": cents, "currency": currency}:
            return amount(cents, currency)
        case list() | tuple():
            return ",".join(value)
    return value


def listed(handler: BaseRouteHandler) -> Any:
    """Of the lists that this handler answers, in pages or whole; None: it answers none."""
    return item_of(handler) or row_of(handler)


@cache
def row_of(handler: BaseRouteHandler) -> Any:
    """Of the lists without pages that this handler reads; None: it reads none."""
    assert isinstance(handler, HTTPRouteHandler)
    signature = handler.parsed_fn_signature
    given = signature.return_type.annotation
    found = get_args(given)[0] if get_origin(given) is Response else None
    if get_origin(found) is not list or "view" not in signature.parameters:
        return None
    [row] = get_args(found)
    return row if isinstance(row, type) and issubclass(row, msgspec.Struct) else None


@cache
def item_of(handler: BaseRouteHandler) -> Any:
    """Of the pages that this handler answers; None: it answers none."""
    assert isinstance(handler, HTTPRouteHandler)
    given = handler.parsed_fn_signature.return_type.annotation
    page = get_args(given)[0] if get_origin(given) is Response else None
    return get_args(page)[0] if get_origin(page) is Page else None
