"""Custom fields over the API: defined, set, shown, filtered by, searched for, required."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, ORDER, faults, found, problem, written
from ledger_crm.domain.custom import CustomFieldSet, FirmFieldSet
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

LICENCES = [{"id": "b", "label": "Car"}, {"id": "c1", "label": "Lorry"}]


async def defined(
    client: httpx.AsyncClient, subject: str, slug: str, type_: str, **rest: Any
) -> dict[str, Any]:
    body = {"subject": subject, "slug": slug, "label": slug.title(), "type": type_} | rest
    answer = await client.put(f"/custom-fields/{subject}/{slug}", json=body)
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


async def ids(client: httpx.AsyncClient, path: str, custom: str, id: str = "id") -> list[str]:
    return [item[id] for item in (await found(client, path, custom=custom))["items"]]


async def test_a_definition_is_kept_in_versions(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    licence = {"label": "Driving licence", "choices": LICENCES}
    assert (await defined(ana, "person", "licence", "choice", **licence))["version"] == 1
    assert (await defined(ana, "person", "licence", "choice", **licence))["position"] is None
    more = licence | {"choices": [*LICENCES, {"id": "d", "label": "Bus"}], "required": True}
    assert (await defined(ana, "person", "licence", "choice", **more))["version"] == 2
    await defined(ana, "company", "size", "number", retired=True)
    project()

    every = await found(ana, "/custom-fields")
    assert [(f["subject"], f["slug"], f["retired"]) for f in every] == [
        ("company", "size", True), ("person", "licence", False)
    ]  # fmt: skip
    one = await found(ana, "/custom-fields/person/licence")
    assert one == (await found(ana, "/custom-fields", subject="person"))[0]
    assert [choice["id"] for choice in one["choices"]] == ["b", "c1", "d"]
    assert (one["version"], one["personal"]) == (2, True)
    assert one["required_before"] == "they are introduced"

    body = {"subject": "person", "slug": "licence", "label": "x", "type": "text"}
    fixed = await ana.put("/custom-fields/person/licence", json=body)
    assert problem(fixed, 422, "field-is-fixed")["choices_missing"] == ["b", "c1", "d"]
    problem(await ana.put("/custom-fields/deal/licence", json=body), 422, "slug-differs")
    problem(await ana.get("/custom-fields/deal/licence"), 404, "no-such-record")
    unclear = await ana.put("/custom-fields/person/x", json=body | {"slug": "x", "type": "choice"})
    problem(unclear, 422, "choices-unclear")
    kind = await ana.put("/custom-fields/person/x", json=body | {"type": "colour"})
    assert "expected one of text, number" in faults(kind)["/type"]


async def test_values_are_typed_shown_filtered_by_and_found(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    types = {"shift": "text", "weeks": "number", "wish": "money", "free_from": "date",
             "mentor": "person", "dream": "company"}  # fmt: skip
    for slug, type_ in types.items():
        await defined(ana, "person", slug, type_)
    await defined(ana, "person", "licence", "choice", choices=LICENCES)
    await defined(ana, "person", "tongues", "multi_choice", choices=LICENCES, personal=False)
    values = {
        "shift": "Nights, only in Zürich", "weeks": 6.5, "free_from": "2026-06-01",
        "wish": {"amount_cents": 6_500_000, "currency": "EUR"}, "mentor": eve, "dream": engines,
        "licence": "c1", "tongues": ["c1", "b"],
    }  # fmt: skip
    at = f"/people/{ada}/custom-fields"
    when = "2026-02-03T09:00:00Z"
    await written(ana, at, {"values": values, "set_at": when})
    assert (await written(ana, at, {"values": values}))["position"] is None
    other = {"values": {"weeks": 2, "licence": "b", "mentor": ada}}
    await written(ana, f"/people/{eve}/custom-fields", other)
    project()

    card = await found(ana, f"/people/{ada}")
    assert card["custom"] == values | {"tongues": ["b", "c1"]}
    told = (await found(ana, f"/people/{ada}/history"))["items"]
    lines = {line["line"]: line["text"] for line in told if line["at"] == when}
    assert lines["weeks set"] == "6.5"
    assert lines["wish set"] == "65000.00 EUR"
    assert lines["tongues: b c1"] == ""
    for id in (eve, engines):
        path = f"/companies/{id}" if id == engines else f"/people/{id}"
        assert "Ada Byron" in {
            line["person"] for line in (await found(ana, f"{path}/history"))["items"]
        }, "they are named in it"
    sealed = {
        e.event.field: e.event.text
        for e in await ledger.entries(after=0, limit=100)
        if isinstance(e.event, CustomFieldSet) and e.originator_id.hex == ada.replace("-", "")
    }
    assert [slug for slug, text in sealed.items() if not text] == ["mentor", "dream", "tongues"]

    for custom, expected in {
        "licence:c1": [ada], "licence:b|c1": [eve, ada], "tongues:b": [ada], "tongues:": [eve],
        "tongues:*": [ada], "weeks:2..6.5": [eve, ada], "weeks:..6.4": [eve], "weeks:6.5": [ada],
        "weeks:2;licence:c1": [], "free_from:2026-06-01..": [ada], "free_from:2026-06-02..": [],
        "wish:60000.00 EUR..70000 EUR": [ada], "wish:60000 USD..": [], "wish:65000.00 EUR": [ada],
        f"mentor:{eve}": [ada], f"dream:{engines}": [ada], "shift:": [eve],
    }.items():  # fmt: skip
        assert await ids(ana, "/people", custom) == expected, custom

    async def trying(*custom: dict[str, Any]) -> list[str]:
        answer = await ana.post("/segments/lookups", json={"custom": custom})
        assert answer.status_code == 200, answer.text
        return [person["id"] for person in answer.json()["items"]]

    assert await trying({"field": "shift", "any_of": ["nights ZURICH"]}) == [ada]
    assert await trying({"field": "shift", "any_of": ["days", "nig"]}) == [ada]
    assert await trying({"field": "shift", "any_of": ["nights days"]}) == []
    assert await trying({"field": "weeks", "at_least": 2.5}) == [ada]
    euro = {"amount_cents": 6_500_001, "currency": "EUR"}
    assert await trying({"field": "wish", "at_most": euro}) == [ada]
    assert await trying({"field": "wish", "at_least": euro}) == []
    assert await trying({"field": "licence", "known": True}, {"field": "weeks", "any_of": [2]}) == [
        eve
    ]
    saved = {"slug": "lorries", "title": "Lorries",
             "criteria": {"custom": [{"field": "licence", "any_of": ["c1"]}]}}  # fmt: skip
    assert (await ana.put("/segments/lorries", json=saved)).status_code == 200
    hits = await ana.post("/search/lookups", json={"words": "night zuri"})
    assert [(h["id"], h["found_in"]) for h in hits.json()["items"]] == [(ada, ["fields"])]

    await written(ana, at, {"values": {"licence": "b", "shift": None}})
    project()
    assert (await found(ana, "/segments/lorries"))["people"] == 0
    assert await ids(ana, "/people", "shift:*") == []
    assert (await ana.post("/search/lookups", json={"words": "zurich"})).json()["items"] == []
    assert "shift" not in (await found(ana, f"/people/{ada}"))["custom"]


async def test_a_value_that_is_wrong_says_what_where_and_what_to_do(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    at = f"/people/{ada}/custom-fields"
    none = await ana.post(at, json={"values": {"licence": "b"}})
    assert problem(none, 404, "no-such-field")["known"] == []
    await defined(ana, "person", "licence", "choice", choices=LICENCES, required=True)
    await defined(ana, "person", "weeks", "number")
    await defined(ana, "person", "shift", "text")
    await defined(ana, "person", "old", "text", retired=True)
    await defined(ana, "person", "mentor", "person")

    wrong = await ana.post(at, json={"values": {"licence": "Zq", "weeks": "Zq"}})
    body = problem(wrong, 422, "wrong-field-value")
    assert body["wrong"] == (
        "licence takes one of: b, c1; weeks takes a number like 12.5, with at most 4 decimals"
    )
    assert "Zq" not in wrong.text
    half = {"values": {"weeks": 4, "licence": "d"}}
    problem(await ana.post(at, json=half), 422, "wrong-field-value")
    other = await ana.post(at, json={"values": {"licences": "b"}})
    assert problem(other, 404, "no-such-field")["known"] == [
        "licence", "mentor", "old", "shift", "weeks"
    ]  # fmt: skip
    problem(await ana.post(at, json={"values": {"old": "x"}}), 409, "field-is-retired")
    await written(ana, at, {"values": {"old": None}})
    problem(await ana.post(at, json={"values": {"licence": None}}), 409, "field-is-required")
    nobody = {"values": {"mentor": "01939b30-11b2-7a44-9c05-7be1d2f3a418"}}
    problem(await ana.post(at, json=nobody), 404, "no-such-record")
    assert faults(await ana.post(at, json={"values": {"Weeks": 1}}))
    assert faults(await ana.post(at, json={"values": {"weeks": True}}))
    assert "/values" in faults(await ana.post(at, json={"values": {}}))
    project()
    assert (await found(ana, f"/people/{ada}"))["custom"] == {}

    for custom, code in {
        "none:1": (404, "no-such-field"), "weeks:x": (422, "wrong-field-value"),
        "licence:d": (422, "wrong-field-value"), "licence:b..c1": (422, "wrong-field-value"),
        "shift:night": (422, "personal-in-address"), "weeks": (400, "malformed"),
        "Weeks:1": (400, "malformed"), ";": (400, "malformed"),
        ";".join(["weeks:1"] * 21): (400, "malformed"),
        f"weeks:{'|'.join(['1'] * 21)}": (400, "malformed"),
    }.items():  # fmt: skip
        problem(await ana.get("/people", params={"custom": custom}), *code)
    assert await ids(ana, "/people", "shift:") == [ada]
    assert await ids(ana, "/people", ";".join(["weeks:"] * 20)) == [ada]
    assert await ids(ana, "/people", f"weeks:{'|'.join(['1'] * 20)}") == []
    segment = {"slug": "s", "title": "S", "criteria": {"custom": [{"field": "none"}]}}
    problem(await ana.put("/segments/s", json=segment), 404, "no-such-field")
    segment["criteria"] = {"custom": [{"field": "weeks", "at_least": "4"}]}
    problem(await ana.put("/segments/s", json=segment), 422, "wrong-field-value")
    unknown = {"custom": [{"field": "weeks", "at_least": 4, "most": 5}]}
    assert set(faults(await ana.post("/segments/lookups", json=unknown))) == {"/custom/0/most"}


async def test_what_is_required_is_asked_for_where_it_counts(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    for subject in ("person", "company", "job_order", "deal", "placement"):
        await defined(ana, subject, f"of_{subject}", "text", required=True, personal=False)
    ada = (await written(ana, "/people", ADA))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    person, company = f"/people/{ada}", f"/companies/{engines}"

    async def missing(path: str, body: dict[str, Any], *fields: str) -> None:
        answer = await ana.post(path, json=body)
        said = problem(answer, 409, "required-fields-missing")
        assert said["missing"] == list(fields), answer.text

    async def known(path: str, field: str) -> None:
        await written(ana, f"{path}/custom-fields", {"values": {field: f"Known {field}"}})

    await missing(f"{company}/job-orders", ORDER, "of_company")
    await known(company, "of_company")
    order = (await written(ana, f"{company}/job-orders", ORDER))["created"]
    await written(ana, f"{company}/fees", FEE)
    deal = (await written(ana, f"{company}/deals", {"title": "Two"}))["created"]
    await missing(f"{company}/deals/{deal}/moves", {"stage": "won"}, "of_deal")
    await written(ana, f"{company}/deals/{deal}/moves", {"stage": "contacted"})
    await known(f"{company}/deals/{deal}", "of_deal")
    await written(ana, f"{company}/deals/{deal}/moves", {"stage": "won"})

    body = {"company_id": engines, "job_order_id": order}
    opened = (await written(ana, f"{person}/candidacies", body))["created"]
    way = f"{person}/candidacies/{opened}"
    await written(ana, f"{way}/rights-to-represent", {"given_at": "2024-03-01T10:00:00Z"})
    problem(
        await ana.post(f"{way}/custom-fields", json={"values": {"of_placement": "x"}}),
        409, "not-placed",
    )  # fmt: skip
    await missing(f"{way}/introductions", {}, "of_person")
    contact = (await written(ana, "/people", {"name": "Bo"}))["id"]
    await written(ana, f"/people/{contact}/employments", {"company_id": engines})
    listed = {"job_order_id": order, "people": [{"person_id": ada}]}
    shortlist = (await written(ana, f"{company}/shortlists", listed))["created"]
    shared = {"contact_id": contact, "introduces": True}
    await missing(f"{company}/shortlists/{shortlist}/shares", shared, "of_person")
    await known(person, "of_person")
    await missing(f"{way}/introductions", {}, "of_job_order")
    await known(f"{company}/job-orders/{order}", "of_job_order")
    await written(ana, f"{way}/introductions", {"introduced_at": "2024-03-01T10:00:00Z"})
    placed = {"starts_on": "2024-04-01", "first_year_pay_cents": 8_000_000}
    await written(ana, f"{way}/placements", placed | {"placed_at": "2024-03-02T10:00:00Z"})
    await missing(f"{way}/starts", {"starts_on": "2024-04-01"}, "of_placement")
    await known(way, "of_placement")
    await written(ana, f"{way}/starts", {"starts_on": "2024-04-01"})
    project()

    for path, id in {
        "/people": "id", "/companies": "id", "/job-orders": "id", "/deals": "id",
        "/placements": "candidacy_id",
    }.items():  # fmt: skip
        subject = {"/people": "person", "/companies": "company"}.get(path)
        subject = subject or path.strip("/").replace("-", "_").removesuffix("s")
        assert len(await ids(ana, path, f"of_{subject}:known OF", id)) == 1, path
        assert await ids(ana, path, f"of_{subject}:unknown", id) == []
        problem(await ana.get(path, params={"custom": "none:1"}), 404, "no-such-field")
    shown = await found(ana, company)
    assert shown["custom"] == {"of_company": "Known of_company"}
    assert shown["job_orders"][0]["custom"] == {"of_job_order": "Known of_job_order"}
    [one] = (await found(ana, "/placements"))["items"]
    assert one["custom"] == {"of_placement": "Known of_placement"}
    lines = {line["line"]: line for line in (await found(ana, f"{company}/history"))["items"]}
    assert lines["of job order: Known of_job_order"]["job_order"] == "Engineer"
    assert lines["of placement: Known of_placement"]["person"] == "Ada Byron"
    hits = await ana.post("/search/lookups", json={"words": "known of_deal"})
    assert [hit["name"] for hit in hits.json()["items"]] == ["Analytical Engines"]
    feed = [e.event for e in await ledger.entries(after=0, limit=200)]
    assert sum(isinstance(e, CustomFieldSet | FirmFieldSet) for e in feed) == 5


async def test_criteria_that_cannot_be_read_are_not_kept(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """One segment that cannot be counted would break the list of all of them."""
    await defined(ana, "person", "hobby", "text")
    await defined(ana, "person", "licence", "choice", choices=LICENCES)
    await defined(ana, "person", "tongues", "multi_choice", choices=LICENCES)
    for custom in (
        {"field": "hobby", "at_least": "a"}, {"field": "licence", "at_most": "b"},
        {"field": "tongues", "at_least": "b"}, {"field": "tongues", "any_of": ["b,c1"]},
    ):  # fmt: skip
        body = {"slug": "bad", "title": "Bad", "criteria": {"custom": [custom]}}
        refused = await ana.put("/segments/bad", json=body)
        problem(refused, 422, "wrong-field-value")
        project()
        looked = await ana.post("/segments/lookups", json=body["criteria"])
        problem(looked, 422, "wrong-field-value")
    kept = {"custom": [{"field": "licence", "any_of": ["b"]},
                       {"field": "tongues", "any_of": ["c1"]}]}  # fmt: skip
    body = {"slug": "drivers", "title": "Drivers", "criteria": kept}
    assert (await ana.put("/segments/drivers", json=body)).status_code == 200
    fewer = [choice | {"retired": choice["id"] == "b"} for choice in LICENCES]
    await defined(ana, "person", "licence", "choice", choices=fewer)
    again = await ana.put("/segments/drivers", json=body | {"title": "Who drives"})
    assert again.status_code == 200, "a choice that is retired is still looked for"
    project()
    assert [each["slug"] for each in await found(ana, "/segments")] == ["drivers"]
