"""JSON Resume over the API."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from api.journey import ENGINES, faults, found, problem, written

pytestmark = pytest.mark.anyio

RESUME = {
    "basics": {
        "name": "Ada Byron", "label": "Programmer", "email": "ada@example.org",
        "phone": "+44 20 7946 0958", "url": "https://ada.example", "summary": "Notes on an engine",
        "location": {"address": "St James", "city": "London", "countryCode": "GB"},
        "profiles": [{"network": "LinkedIn", "url": "https://www.linkedin.com/in/Ada"}],
    },
    "work": [{"name": "Analytical Engines", "position": "Analyst", "startDate": "1842-01"}],
    "skills": [{"name": "Mathematics", "level": "Master", "keywords": ["Bernoulli numbers"]}],
    "interests": [{"name": "Poetry"}],
}  # fmt: skip


async def test_a_resume_goes_onto_the_record_and_all_of_it_is_kept(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = f"/people/{(await written(ana, '/people', {'name': 'A. B.'}))['id']}"
    taken = await written(ana, f"{ada}/resumes", RESUME)
    assert taken["only_kept"] == ["/basics/summary", "/interests", "/work"]
    company = (await written(ana, "/companies", ENGINES))["id"]
    job = {"company_id": company, "title": "Analyst", "starts_on": "2024-01-01"}
    await written(ana, f"{ada}/employments", job)
    project()

    shown = await found(ana, ada)
    assert (shown["name"], shown["headline"], shown["location"]) == (
        "Ada Byron", "Programmer", "London, GB",
    )  # fmt: skip
    assert shown["skills"] == "Mathematics\nBernoulli numbers"
    assert {each["value"] for each in shown["contact_points"]} == {
        "ada@example.org", "+442079460958", "https://ada.example", "https://linkedin.com/in/ada",
    }  # fmt: skip
    [document] = await found(ana, f"{ada}/documents")
    kept = await found(ana, f"{ada}/documents/{document['id']}/content")
    assert msgspec.json.decode(b64decode(kept["content"])) == RESUME

    out = await found(ana, f"{ada}/resume")
    assert out["basics"] == {
        "name": "Ada Byron", "label": "Programmer", "email": "ada@example.org",
        "phone": "+442079460958", "url": "https://ada.example",
        "location": {"address": "St James", "city": "London, GB"},
        "profiles": [{"url": "https://linkedin.com/in/ada"}],
    }  # fmt: skip
    assert out["work"] == [
        {"name": "Analytical Engines", "position": "Analyst", "startDate": "2024-01-01"}
    ]
    assert out["skills"] == [{"name": "Mathematics"}, {"name": "Bernoulli numbers"}]


async def test_a_resume_is_taken_in_once_and_whole_or_not_at_all(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = f"/people/{(await written(ana, '/people', {'name': 'Ada'}))['id']}"
    eve = f"/people/{(await written(ana, '/people', {'name': 'Eve'}))['id']}"
    await written(ana, f"{ada}/resumes", RESUME)
    problem(await ana.post(f"{ada}/resumes", json=RESUME), 409, "document-there")
    problem(await ana.post(f"{eve}/resumes", json=RESUME), 409, "contact-point-taken")
    wrong = {"basics": {"name": "Eva", "email": "eva at home"}}
    problem(await ana.post(f"{eve}/resumes", json=wrong), 422, "not-an-email-address")
    vacancy = await ana.post(f"{eve}/resumes", json={"title": "Engineer", "skills": []})
    assert faults(vacancy)["/basics"] == "required and missing"
    project()
    shown = await found(ana, eve)
    assert (shown["name"], shown["contact_points"]) == ("Eve", [])


async def test_the_sample_of_the_standard_is_taken_in(
    ana: httpx.AsyncClient, project: Callable[[], None], shared_data: Path
) -> None:
    sample = msgspec.json.decode((shared_data / "json-resume" / "sample.resume.json").read_bytes())
    hendriks = f"/people/{(await written(ana, '/people', {'name': 'R.'}))['id']}"
    taken = await written(ana, f"{hendriks}/resumes", sample)
    assert {"/basics/summary", "/work", "/education"} <= set(taken["only_kept"])
    assert "/basics/phone" not in taken["only_kept"], "it is one of the US, as it says where he is"
    project()
    shown = await found(ana, hendriks)
    points = {each["point"]: each["value"] for each in shown["contact_points"]}
    assert (points["email"], points["phone"]) == ("richard.hendriks@mail.com", "+19125554321")


@pytest.mark.parametrize("place", [{}, {"countryCode": "DE"}, {"countryCode": "Oz"}])
async def test_a_phone_that_cannot_be_told_is_kept_and_said(
    ana: httpx.AsyncClient, project: Callable[[], None], place: dict[str, str]
) -> None:
    ada = f"/people/{(await written(ana, '/people', {'name': 'Ada'}))['id']}"
    vague = {"basics": {"name": "Ada", "phone": "call me", "location": place}}
    assert (await written(ana, f"{ada}/resumes", vague))["only_kept"] == ["/basics/phone"]
    project()
    assert (await found(ana, ada))["contact_points"] == []
    assert len(await found(ana, f"{ada}/documents")) == 1
