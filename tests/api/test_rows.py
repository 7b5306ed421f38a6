"""Lists as rows: the same items, in the same order, as NDJSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from api.journey import ADA, found, problem, written

pytestmark = pytest.mark.anyio


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline=""), strict=True))


@pytest.fixture
async def people(ana: httpx.AsyncClient, project: Callable[[], None]) -> list[dict[str, Any]]:
    strange = [
        'Ada, "the first"',
        "Ada; or Ada",
        "=HYPERLINK(1)",
        "+49 30 1234",
        "-x",
        "Ünal",
    ]
    for name in strange:
        person = (await written(ana, "/people", {"name": name}))["id"]
        fact = {"kind": "person.tagged", "tag": "vip"}
        await written(ana, f"/people/{person}/tags", fact)
    project()
    items: list[dict[str, Any]] = (await found(ana, "/people"))["items"]
    return items


async def test_a_list_is_rows_of_its_items_page_by_page(
    ana: httpx.AsyncClient, people: list[dict[str, Any]]
) -> None:
    lines: list[Any] = []
    rows: list[dict[str, str]] = []
    for accept, add in (
        ("application/x-ndjson", lambda a: lines.extend(map(msgspec.json.decode, a.iter_lines()))),
        ("text/html;q=0.9, text/csv, application/json;q=0.5", lambda a: rows.extend(table(a))),
    ):
        path: str | None = "/people?limit=4&tag=vip"
        while path:
            answer = await ana.get(path, headers={"Accept": accept})
            assert answer.status_code == 200
            assert answer.headers["ledger-position"]
            add(answer)
            link = answer.headers.get("link", "")
            assert link.endswith('; rel="next"') or not link
            path = link.partition(">")[0].removeprefix("<") or None
    assert lines == people
    assert [row.keys() for row in rows] == [item.keys() for item in people]
    for row, item in zip(rows, people, strict=True):
        for name, value in item.items():
            shown = row[name]
            if isinstance(value, str):
                computed = value.startswith(("=", "-x"))
                assert shown == ("'" + value if computed else value)
            else:
                assert (msgspec.json.decode(shown) if shown else None) == value


async def test_an_empty_list_still_names_its_columns(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    answer = await ana.get("/people", headers={"Accept": "text/csv"})
    assert table(answer) == []
    assert answer.text.startswith("id,")
    assert (await ana.get("/people", headers={"Accept": "application/x-ndjson"})).content == b""


async def test_whoever_likes_json_better_gets_it_and_what_is_no_list_is_no_rows(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    person = (await written(ana, "/people", ADA))["id"]
    project()
    for accept in (
        "*/*",
        "application/json, text/csv",
        "text/csv;q=0, application/json",
        "*/*,text/csv",
    ):
        answer = await ana.get("/people", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json"
    problem(
        await ana.get(f"/people/{person}", headers={"Accept": "text/csv"}), 406, "not-acceptable"
    )
    history = await ana.get(f"/people/{person}/history", headers={"Accept": "text/csv"})
    assert table(history)[0]["kind"] == "person.contact_point_added"
