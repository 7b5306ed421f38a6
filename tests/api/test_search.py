"""Search over the API: the words that people type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from api.journey import ENGINES, NOTE, ORDER, faults, found, written

pytestmark = pytest.mark.anyio


async def asked(client: httpx.AsyncClient, words: str, **more: Any) -> list[tuple[str, list[str]]]:
    answer = await client.post("/search/lookups", json={"words": words} | more)
    assert answer.status_code == 200, answer.text
    return [(hit["name"], hit["found_in"]) for hit in answer.json()["items"]]


async def names(client: httpx.AsyncClient, words: str, **more: Any) -> list[str]:
    return [name for name, _ in await asked(client, words, **more)]


@pytest.fixture
async def everybody(ana: httpx.AsyncClient, project: Callable[[], None]) -> None:
    people = [
        {"name": "Ada Byron", "headline": "Analyst of engines"},
        {"name": "José Müller-Lüdenscheidt"},
        {"name": "Grace Hopper", "headline": "Rear admiral"},
        {"name": "Eve O'Neill"},
    ]
    ids = [(await written(ana, "/people", person))["id"] for person in people]
    profile = {"skills": "Python, C++, COBOL", "location": "New York"}
    await written(ana, f"/people/{ids[2]}/profile-changes", profile)
    await written(ana, f"/people/{ids[3]}/interactions", NOTE | {"text": "Knows engines & Python"})
    await written(ana, "/companies", ENGINES | {"industry": "Machinery"})
    project()


@pytest.mark.usefixtures("everybody")
async def test_people_and_companies_are_found_by_what_is_written_of_them(
    ana: httpx.AsyncClient,
) -> None:
    assert await names(ana, "byron ADA") == ["Ada Byron"]
    assert await names(ana, "ad byr") == ["Ada Byron"]
    assert await names(ana, "jose muller") == ["José Müller-Lüdenscheidt"]
    assert await names(ana, "ludenscheidt") == ["José Müller-Lüdenscheidt"]
    assert await names(ana, "cobol") == ["Grace Hopper"]
    assert await names(ana, "york admiral") == ["Grace Hopper"]
    assert await names(ana, "o'neill") == ["Eve O'Neill"]
    assert await names(ana, "machinery") == ["Analytical Engines"]
    assert await names(ana, "engines.example") == ["Analytical Engines"]
    assert await names(ana, "nobody") == []


@pytest.mark.usefixtures("everybody")
async def test_a_name_comes_before_a_headline_and_that_before_a_note(
    ana: httpx.AsyncClient,
) -> None:
    assert await asked(ana, "engines") == [
        ("Analytical Engines", ["profile", "name"]),
        ("Ada Byron", ["profile"]),
        ("Eve O'Neill", ["notes"]),
    ]
    assert await names(ana, "engines", kind="company") == ["Analytical Engines"]
    assert await names(ana, "engines", kind="person") == ["Ada Byron", "Eve O'Neill"]
    answer = await ana.post("/search/lookups", json={"words": "engines"}, params={"limit": 1})
    assert len(answer.json()["items"]) == 1


@pytest.mark.usefixtures("everybody")
async def test_a_name_is_found_with_a_typo(ana: httpx.AsyncClient) -> None:
    assert await asked(ana, "hoper") == [("Grace Hopper", ["name"])]
    assert await names(ana, "mueller ludenscheit") == ["José Müller-Lüdenscheidt"]
    assert (await found(ana, "/health/ready"))["search"] == "typo-tolerant"


@pytest.mark.usefixtures("everybody")
async def test_a_skill_is_found_with_a_typo(ana: httpx.AsyncClient) -> None:
    assert await asked(ana, "pythn") == [("Grace Hopper", ["skill"])]
    assert await asked(ana, "kotlin") == []


@pytest.mark.usefixtures("everybody")
async def test_without_trigrams_words_are_found_and_it_is_said(
    ana: httpx.AsyncClient, owner_database: str
) -> None:
    with psycopg.connect(owner_database) as conn:
        conn.execute("DROP EXTENSION pg_trgm CASCADE")
    assert await names(ana, "hopper") == ["Grace Hopper"]
    assert await names(ana, "hoper") == []
    answer = await ana.post("/search/lookups", json={"q": "hopper"})
    assert answer.json()["typos"] is False
    assert (await found(ana, "/health/ready"))["search"] == "exact words only: no pg_trgm"


@pytest.mark.usefixtures("everybody")
@pytest.mark.parametrize(
    "words",
    ["' | 'x", "& !", "a:*", "\\", "''", "%", "<->", "ada' & 'x", "++", "\u200b", "🔐", "-"],
)
async def test_words_are_words_and_no_operators(ana: httpx.AsyncClient, words: str) -> None:
    await asked(ana, words)


async def test_search_needs_a_word(ana: httpx.AsyncClient, project: Callable[[], None]) -> None:
    project()
    assert "/words" in faults(await ana.post("/search/lookups", json={"words": ""}))
    for neither in ({}, {"q": "ada", "words": "ada"}):
        answer = await ana.post("/search/lookups", json=neither)
        assert "q" in faults(answer)[""]
    assert await asked(ana, "   ") == []


async def test_people_are_found_by_title_and_address_and_companies_by_what_they_ask_for(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    ada = (await written(ana, "/people", {"name": "Ada", "email": "ada.b@example.org"}))["id"]
    await written(ana, "/people", {"name": "Eve", "email": "eve@example.org"})
    job = {"company_id": company, "title": "Chief Technology Officer"}
    await written(ana, f"/people/{ada}/employments", job)
    order = ORDER | {"title": "Difference Engineer", "requisition": "REQ-2024-17"}
    opened = (await written(ana, f"/companies/{company}/job-orders", order))["created"]
    project()
    assert await asked(ana, "technology officer") == [("Ada", ["fields"])]
    assert await asked(ana, "ADA.B@example.org") == [("Ada", ["fields"])]
    assert await asked(ana, "difference") == [("Analytical Engines", ["fields"])]
    assert await asked(ana, "req-2024-17") == [("Analytical Engines", ["fields"])]

    changed = {"kind": "company.job_order_changed", "job_order_id": opened, "title": "Weaver"}
    changed["changed_at"] = "2024-03-01T09:00:00Z"
    await written(ana, f"/companies/{company}/job-orders/steps", changed)
    gone = {"kind": "person.contact_point_removed", "point": "email", "value": "ada.b@example.org"}
    await written(ana, f"/people/{ada}/contact-points/changes", gone)
    project()
    assert await names(ana, "difference") == []
    assert await names(ana, "weaver") == await names(ana, "req-2024-17") == ["Analytical Engines"]
    assert await names(ana, "ada.b@example.org") == []
