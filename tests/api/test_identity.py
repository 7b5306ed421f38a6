"""Who somebody is, as it changes: over the API, in lists and in the history."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from api.journey import ADA, ENGINES, ORDER, found, problem, written

pytestmark = pytest.mark.anyio


async def test_a_profile_grows_and_people_are_found_by_it(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA | {"found_by": "consultant:ben"}))["id"]
    eve = (await written(ana, "/people", {"name": "Eve", "channel": "event"}))["id"]
    person = f"/people/{ada}"
    await written(ana, f"{person}/profile-changes", {
        "name": "Ada Lovelace", "skills": "Python, Number Theory", "seniority": "senior",
        "location": "London", "address": "St James",
    })  # fmt: skip
    await written(ana, f"{person}/profile-changes", {"cleared": ["address"]})
    await written(ana, f"{person}/tags", {"kind": "person.tagged", "tag": "speaker"})
    await written(ana, f"{person}/tags", {"kind": "person.tagged", "tag": "vip"})
    await written(ana, f"{person}/tags", {"kind": "person.untagged", "tag": "vip"})
    await written(ana, f"/people/{eve}/profile-changes", {"skills": "python"})
    company = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    await written(ana, f"/people/{eve}/candidacies", {"company_id": company, "job_order_id": order})
    project()

    shown = await found(ana, person)
    assert (shown["name"], shown["address"]) == ("Ada Lovelace", "")
    assert (shown["tags"], shown["found_by"]) == (["speaker"], "consultant:ben")
    assert (await found(ana, f"/people/{eve}"))["found_by"] == "consultant:ana"
    for asked, expected in (
        ({"tag": "speaker"}, [ada]),
        ({"tag": "vip"}, []),
        ({"skill": "PYTHON"}, [eve, ada]),
        ({"skill": "number theory"}, [ada]),
        ({"skill": "python", "seniority": "senior"}, [ada]),
        ({"channel": "event"}, [eve]),
        ({"stage": "sourced"}, [eve]),
        ({"stage": "screening"}, []),
    ):
        listed = (await found(ana, "/people", **asked))["items"]
        assert [each["id"] for each in listed] == expected, asked
    for body, expected in (
        ({"q": "pyth"}, [eve, ada]),
        ({"q": "LONDON number lov"}, [ada]),
        ({"q": "london", "criteria": {"channels": ["event"]}}, []),
        ({"q": "python", "criteria": {"stages": ["sourced"]}}, [eve]),
        ({"name": "lov ada", "criteria": {"tags": ["speaker"]}}, [ada]),
        ({"name": "ada", "q": "rust"}, []),
        ({"criteria": {"seniority": ["senior"]}}, [ada]),
    ):
        answer = await ana.post("/people/lookups", json=body, params={"fields": "id"})
        assert [each["id"] for each in answer.json()["items"]] == expected, body
    for body in ({}, {"q": " "}, {"point": "email", "value": "a@b.example", "q": "ada"}):
        problem(await ana.post("/people/lookups", json=body), 400, "malformed")
    problem(await ana.get("/people", params={"stage": "none"}), 404, "no-such-record")
    [card] = (await found(ana, "/candidates", person_id=eve))["items"]
    assert card["person"] == "Eve"
    told = [
        (each["line"], each["text"]) for each in (await found(ana, f"{person}/history"))["items"]
    ]
    assert told[:5] == [
        ("no longer tagged vip", ""),
        ("tagged vip", ""),
        ("tagged speaker", ""),
        ("profile changed: address no longer known", ""),
        (
            "profile changed: seniority senior",
            "name: Ada Lovelace\naddress: St James\nlocation: London\n"
            "skills: Python, Number Theory",
        ),
    ]


async def test_a_contact_point_passes_from_one_person_to_another(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    ben = (await written(ana, "/people", {"name": "Ben"}))["id"]
    work = {"point": "email", "value": "ada@work.example", "valid_until_on": "2026-12-31"}
    await written(ana, f"/people/{ada}/contact-points", work)
    changes = f"/people/{ada}/contact-points/changes"
    email = {"point": "email", "value": "ada@work.example"}
    await written(ana, changes, email | {"kind": "person.contact_point_preferred"})
    project()
    points = (await found(ana, f"/people/{ada}"))["contact_points"]
    assert [(each["value"], each["primary"]) for each in points] == [
        ("ada@work.example", True),
        ("ada@example.org", False),
    ]
    assert points[0]["valid_until_on"] == "2026-12-31"

    taken = await ana.post(f"/people/{ben}/contact-points", json=email)
    assert problem(taken, 409, "contact-point-taken")["holder"] == ada
    await written(
        ana, changes, email | {"kind": "person.contact_point_removed", "reason": "left_us"}
    )
    await written(ana, f"/people/{ben}/contact-points", email)
    again = await ana.post(f"/people/{ada}/contact-points", json=email)
    assert problem(again, 409, "contact-point-taken")["holder"] == ben
    gone = email | {"kind": "person.contact_point_removed"}
    problem(await ana.post(changes, json=gone), 404, "no-such-contact-point")
    project()
    [left] = (await found(ana, f"/people/{ada}"))["contact_points"]
    assert (left["value"], left["primary"]) == ("ada@example.org", True)
    answer = await ana.post("/people/lookups", json=email)
    assert [each["id"] for each in answer.json()["items"]] == [ben]


async def test_who_leaves_a_company_may_be_approached(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/people/{ada}/employments", {"company_id": engines, "title": "CTO"})
    limits = {"kind": "company.off_limits_agreed", "agreed_at": "2024-01-01T00:00:00Z"}
    await written(ana, f"/companies/{engines}/off-limits", limits)
    call = {"kind": "person.call_held", "started_at": "2024-03-02T09:00:00Z", "duration_s": 60}
    said = f"/people/{ada}/interactions"
    problem(await ana.post(said, json=call), 403, "off-limits")
    ends = {"company_id": engines, "ends_on": "2024-03-01"}
    await written(ana, f"/people/{ada}/employments/ends", ends)
    await written(ana, said, call)
    again = await ana.post(f"/people/{ada}/employments/ends", json=ends)
    problem(again, 404, "not-employed")
    project()
    [job] = (await found(ana, f"/people/{ada}"))["employments"]
    assert job["ends_on"] == "2024-03-01"
    history = await found(ana, f"/companies/{engines}/history")
    assert "employment ends on 2024-03-01" in [line["line"] for line in history["items"]]
