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
        "Ada\u2028the\u2029first\x85",
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
    assert [[*row] for row in rows] == [[*_without_fields(item)] for item in people]
    for row, item in zip(rows, people, strict=True):
        for name, value in _without_fields(item).items():
            shown = row[name]
            if isinstance(value, str):
                computed = value.startswith(("=", "-x", "+49 30"))
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


def _without_fields(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "custom"}


async def test_each_custom_field_is_a_column_in_the_form_that_an_import_takes(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    fields: list[tuple[str, str, dict[str, Any]]] = [
        ("person", "notice_weeks", {"type": "number"}),
        ("person", "unheard_of", {"type": "text"}),
        ("company", "budget", {"type": "money"}),
        ("job_order", "languages", {
            "type": "multi_choice", "choices": [{"id": c, "label": c} for c in ("de", "en")],
        }),
        ("deal", "source", {"type": "text"}),
        ("placement", "cost_centre", {"type": "text"}),
    ]  # fmt: skip
    for subject, slug, more in fields:
        body = {"subject": subject, "slug": slug, "label": slug, **more}
        answer = await ana.put(f"/custom-fields/{subject}/{slug}", json=body)
        assert answer.status_code in (200, 201)
    ada = (await written(ana, "/people", ADA))["id"]
    await written(ana, "/people", {"name": "Eve"})
    acme = (await written(ana, "/companies", {"name": "Acme"}))["id"]
    at = f"/companies/{acme}"
    opened = {"title": "Pilot", "opened_at": "2024-01-02T00:00:00Z"}
    order = (await written(ana, f"{at}/job-orders", opened))["created"]
    deal = (await written(ana, f"{at}/deals", {"title": "Two pilots"}))["created"]
    for path, slug, value in (
        (f"/people/{ada}", "notice_weeks", 6),
        (at, "budget", {"amount_cents": 1250, "currency": "EUR"}),
        (f"{at}/job-orders/{order}", "languages", ["de", "en"]),
        (f"{at}/deals/{deal}", "source", "=cmd()"),
    ):
        await written(ana, f"{path}/custom-fields", {"values": {slug: value}})
    project()

    async def listed(path: str) -> list[dict[str, str]]:
        answer = await ana.get(path, headers={"Accept": "text/csv"})
        assert answer.status_code == 200, answer.text
        assert "custom" not in answer.text.partition("\r\n")[0].split(",")
        return table(answer)

    eve, first = await listed("/people")
    assert (first["custom.notice_weeks"], first["custom.unheard_of"]) == ("6", "")
    assert (eve["custom.notice_weeks"], eve["custom.unheard_of"]) == ("", "")
    assert [row["custom.budget"] for row in await listed("/companies")] == ["12.50 EUR"]
    assert [row["custom.languages"] for row in await listed("/job-orders")] == ["de,en"]
    assert [row["custom.source"] for row in await listed("/deals")] == ["'=cmd()"]
    answer = await ana.get("/placements", headers={"Accept": "text/csv"})
    assert answer.text.endswith(",custom.cost_centre\r\n")
    by_name = {item["name"]: item["custom"] for item in (await found(ana, "/people"))["items"]}
    assert by_name == {ADA["name"]: {"notice_weeks": 6}, "Eve": {}}
