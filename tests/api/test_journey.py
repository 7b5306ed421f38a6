"""The whole of it, as a client sees it: what is written is what is read, at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, NOTE, ORDER, REPLY, SENT, found, problem, written
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.ledger import Ledger
from ledger_crm.projections import directory, history
from ledger_crm.workers.projector import Driver, Projector, connect
from waiting import PATIENCE_S

pytestmark = pytest.mark.anyio


@contextmanager
def running(projector: Projector) -> Iterator[None]:
    thread = threading.Thread(target=projector.run)
    thread.start()
    try:
        yield
    finally:
        projector.stop()
        thread.join(timeout=PATIENCE_S)
        assert not thread.is_alive()


async def test_one_person_candidate_then_hiring_manager_is_one_record_and_one_history(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    # placed at one company in 2024
    engines = (await written(ana, "/companies", ENGINES))["id"]
    await written(ana, f"/companies/{engines}/fees", FEE)
    order = (await written(ana, f"/companies/{engines}/job-orders", ORDER))["created"]
    ada = (await written(ana, "/people", ADA))["id"]
    await written(ana, f"/people/{ada}/interactions", SENT)
    await written(ana, f"/people/{ada}/interactions", REPLY)
    on_order = {"company_id": engines, "job_order_id": order, "opened_at": "2024-03-03T09:00:00Z"}
    candidacy = (await written(ana, f"/people/{ada}/candidacies", on_order))["created"]
    way = f"/people/{ada}/candidacies/{candidacy}"
    await written(ana, f"{way}/moves", {"stage": "qualified", "at": "2024-03-04T09:00:00Z"})
    await written(ana, f"{way}/rights-to-represent", {"given_at": "2024-03-05T09:00:00Z"})
    await written(ana, f"{way}/introductions", {"introduced_at": "2024-03-06T09:00:00Z"})
    placement = {
        "starts_on": "2024-05-01",
        "first_year_pay_cents": 8_000_000,
        "placed_at": "2024-04-01T09:00:00Z",
    }
    await written(ana, f"{way}/placements", placement)
    # hiring manager at another one in 2026
    looms = (await written(ana, "/companies", {"name": "Looms"}))["id"]
    job = {"company_id": looms, "role": "hiring_manager", "starts_on": "2026-01-01"}
    await written(ana, f"/people/{ada}/employments", job)
    again = await ana.post("/people", json={"name": "A. Byron", "email": "ada@example.org"})
    assert problem(again, 409, "contact-point-taken")["holder"] == ada
    opening = ORDER | {"hiring_manager_id": ada, "opened_at": "2026-02-01T10:00:00Z"}
    last = await written(ana, f"/companies/{looms}/job-orders", opening)
    project()

    history = await found(ana, f"/people/{ada}/history", after=last["position"])
    kinds = [line["kind"] for line in history["items"]]
    assert history["next"] is None
    assert kinds.index("company.job_order_opened") < kinds.index("person.placed")
    assert set(kinds) == {
        "person.sourced", "person.contact_point_added", "person.message_sent",
        "person.message_replied", "person.candidacy_opened", "person.candidacy_moved",
        "person.right_to_represent_given", "person.introduced", "person.placed",
        "person.employed", "company.job_order_opened",
    }  # fmt: skip
    assert {line["by"] for line in history["items"]} == {"consultant:ana"}
    times = [line["at"] for line in history["items"]]
    assert times == sorted(times, reverse=True)

    theirs = await found(ana, f"/companies/{looms}/history")
    kinds = [line["kind"] for line in theirs["items"]]
    assert {"company.added", "company.job_order_opened", "person.employed"} <= set(kinds)
    assert {"person.message_sent", "person.message_replied"} <= set(kinds)  # both sides
    assert "person.placed" not in kinds  # our business with the other client stays there
    other = await found(ana, f"/companies/{engines}/history")
    assert "person.placed" in [line["kind"] for line in other["items"]]

    answer = await ana.post("/people/lookups", json={"point": "email", "value": "ADA@example.org"})
    listed = answer.json()["items"]
    assert [person["id"] for person in listed] == [ada]
    nobody = await ana.post("/people/lookups", json={"point": "email", "value": "eve@example.org"})
    assert nobody.json() == {"items": [], "next": None}
    shown = await found(ana, f"/people/{ada}")
    assert [reach["value"] for reach in shown["contact_points"]] == ["ada@example.org"]
    assert shown["employments"][0]["company"] == "Looms"


async def test_the_pipelines_show_what_was_moved(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    other = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    candidacies = []
    for number, on in enumerate([order, order, other]):
        person = (await written(ana, "/people", {"name": f"Person {number}"}))["id"]
        body = {"company_id": company, "job_order_id": on}
        made = await written(ana, f"/people/{person}/candidacies", body)
        candidacies.append((person, made["created"]))
    person, moved = candidacies[0]
    await written(ana, f"/people/{person}/candidacies/{moved}/moves", {"stage": "screening"})
    deal = {"title": "Retainer", "value_cents": 100_000, "opened_at": "2026-01-01T00:00:00Z"}
    sale = (await written(ana, f"/companies/{company}/deals", deal))["created"]
    moves = f"/companies/{company}/deals/{sale}/moves"
    await written(ana, moves, {"stage": "qualified"})
    project()

    counts = await found(ana, "/candidates/counts", job_order_id=order)
    assert {c["stage"]: (c["now"], c["ever"]) for c in counts if c["ever"]} == {
        "sourced": (1, 2),
        "screening": (1, 1),
    }
    cards = await found(ana, "/candidates", job_order_id=order, pipeline="talent")
    assert [card["id"] for card in cards["items"]] == [moved, candidacies[1][1]]
    assert cards["items"][0]["path"] == ["sourced", "screening"]
    in_stage = await found(ana, "/candidates", stage="sourced")
    assert {card["id"] for card in in_stage["items"]} == {c for _, c in candidacies[1:]}
    one = await found(ana, f"/candidates/{moved}")
    assert [step["stage"] for step in one["steps"]] == ["sourced", "screening"]

    sums = await found(ana, "/deals/counts")
    [at] = [each for each in sums if each["deals"]]
    assert (at["stage"], at["value_cents"], at["weighted_cents"]) == ("qualified", 100_000, 25_000)
    [card] = (await found(ana, "/deals"))["items"]
    assert (card["id"], card["company"]) == (sale, "Analytical Engines")


async def test_who_asked_us_to_stop_is_left_alone_on_every_path(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ada = (await written(ana, "/people", ADA))["id"]
    engines = (await written(ana, "/companies", ENGINES))["id"]
    said, permits = f"/people/{ada}/interactions", f"/people/{ada}/permissions"
    await written(
        ana, permits, {"kind": "person.consent_withdrawn", "withdrawn_at": "2024-03-01T00:00:00Z"}
    )
    refused = problem(await ana.post(said, json=SENT), 403, "no-consent")
    assert refused["since"] == "2024-03-01T00:00:00Z"
    await written(ana, said, SENT | {"override": "She wrote to me first"})
    await written(
        ana, permits, {"kind": "person.consent_given", "given_at": "2024-03-02T00:00:00Z"}
    )
    await written(ana, permits, {
        "kind": "person.do_not_contact_set", "set_at": "2024-03-02T00:00:00Z", "reason": "asked_us",
        "until_on": "2024-03-31",
    })  # fmt: skip
    problem(await ana.post(said, json=SENT | {"message_id": "<3@us>"}), 403, "do-not-contact")
    april = SENT | {"message_id": "<4@us>", "sent_at": "2024-04-01T00:00:00Z"}
    await written(ana, said, april)

    await written(ana, f"/people/{ada}/employments", {"company_id": engines})
    limits = f"/companies/{engines}/off-limits"
    agreed = {"kind": "company.off_limits_agreed", "agreed_at": "2024-05-01T00:00:00Z"}
    await written(ana, limits, agreed)
    may = SENT | {"message_id": "<5@us>", "sent_at": "2024-05-02T00:00:00Z"}
    assert problem(await ana.post(said, json=may), 403, "off-limits")["company_id"] == engines
    project()
    shown = await found(ana, f"/people/{ada}")
    assert shown["consent"]["refuses"] is False
    assert shown["contact"] == {
        "said_at": "2024-03-02T00:00:00Z", "refuses": True, "until_on": "2024-03-31"
    }  # fmt: skip
    company = await found(ana, f"/companies/{engines}")
    assert company["off_limits"]["said_at"] == "2024-05-01T00:00:00Z"
    lift = {"kind": "company.off_limits_lifted", "lifted_at": "2024-05-01T12:00:00Z"}
    await written(ana, limits, lift)
    await written(ana, said, may)
    project()
    assert (await found(ana, f"/companies/{engines}"))["off_limits"]["refuses"] is False
    late = {"kind": "person.consent_withdrawn", "withdrawn_at": "2024-05-01T13:00:00Z"}
    await written(ana, permits, late)
    again = await ana.post(said, json=may)
    assert (again.status_code, again.json()["position"]) == (201, None), "delivered again"
    history = (await found(ana, f"/people/{ada}/history"))["items"]
    told = {(line["line"], line["text"]) for line in history}
    lines = {line for line, _ in told}
    assert {"consent withdrawn", "consent given"} <= lines
    assert "do not contact until 2024-03-31: asked us" in lines
    why = "all the same: She wrote to me first"
    assert ("message sent by email", f"{SENT['text']}\n{why}") in told


async def test_a_read_after_a_receipt_waits_for_the_read_model(
    ana: httpx.AsyncClient, project: Callable[[], None], projector: Projector
) -> None:
    project()  # the tables are there, and stand still
    receipt = await written(ana, "/people", ADA)
    with running(projector):
        path = f"/people/{receipt['id']}"
        answer = await ana.get(path, params={"after": receipt["position"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == "Ada Byron"
    assert int(answer.headers["ledger-position"]) >= receipt["position"]
    assert answer.headers["etag"].startswith(f'"{receipt["version"]}-')


async def test_what_was_written_a_moment_ago_is_not_denied(
    ana: httpx.AsyncClient, project: Callable[[], None], projector: Projector
) -> None:
    project()
    ada = (await written(ana, "/people", ADA))["id"]
    assert (await ana.get(f"/people/{ada}")).status_code == 503, "nobody projects"
    with running(projector):
        assert (await found(ana, f"/people/{ada}"))["name"] == "Ada Byron"
        assert (await found(ana, f"/people/{ada}/history"))["items"]
        problem(await ana.get(f"/people/{UUID(int=7)}"), 404, "no-such-record")


async def test_a_history_that_is_behind_is_not_empty(
    ana: httpx.AsyncClient,
    project: Callable[[], None],
    read: Callable[[int, int], list[Entry[Event]]],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each read model is projected by itself, and the directory may know somebody first."""
    monkeypatch.setattr("ledger_crm.api.reading.PATIENCE_S", 0.1)
    project()
    ada = (await written(ana, "/people", ADA))["id"]
    with connect(database) as conn:
        Driver(directory.projection, read, conn).catch_up()
        answer = await ana.get(f"/people/{ada}/history")
        problem(answer, 503, "read-model-behind")
        Driver(history.projection, read, conn).catch_up()
    assert (await found(ana, f"/people/{ada}/history"))["items"]


async def test_a_read_model_that_stays_behind_is_said_so(
    ana: httpx.AsyncClient, project: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_crm.api.reading.PATIENCE_S", 0.1)
    project()
    receipt = await written(ana, "/people", ADA)
    answer = await ana.get("/people", params={"after": receipt["position"]})
    body = problem(answer, 503, "read-model-behind")
    assert answer.headers["retry-after"] == "1"
    assert body["position"] < body["after"] == receipt["position"]


async def test_a_position_that_was_never_answered_is_refused(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    project()
    answer = await ana.get("/people", params={"after": 1_000})
    assert problem(answer, 422, "after-the-head")["head"] == await ledger.head()


async def test_a_list_pages_to_its_end_without_a_gap(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    made = [(await written(ana, "/people", {"name": f"P{n}"}))["id"] for n in range(5)]
    notes = f"/people/{made[0]}/interactions"
    for n in range(4):  # two of them at the same moment
        at = f"2026-01-0{n // 2 + 1}T00:00:00.123456Z"
        await written(ana, notes, NOTE | {"written_at": at})
    project()
    for path, size in (("/people", 5), (f"/people/{made[0]}/history", 5)):
        seen, cursor = [], None
        while True:
            asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = await found(ana, path, **asked)
            seen += [item["position"] for item in page["items"]]
            if not (cursor := page["next"]):
                break
            assert len(page["items"]) == 2
        assert len(seen) == len(set(seen)) == size


async def test_what_is_not_there_is_not_found(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    nobody = "01939b2e-5c1a-7d0e-8f3b-2a6c4d9e1f70"
    for path in (
        f"/people/{nobody}", f"/people/{nobody}/history", f"/companies/{nobody}",
        f"/companies/{nobody}/history", f"/candidates/{nobody}", "/pipelines/none",
    ):  # fmt: skip
        problem(await ana.get(path), 404, "no-such-record")
    for path in ("/candidates/counts", "/deals/counts"):
        problem(await ana.get(path, params={"pipeline": "none"}), 404, "no-such-record")
    problem(await ana.post(f"/people/{nobody}/interactions", json=NOTE), 404, "no-such-record")


async def test_a_pipeline_is_defined_read_and_revised(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    stages = [{"id": "found", "label": "Found", "category": "sourced"}]
    body = {"slug": "interim", "title": "Interim", "subject": "candidate", "stages": stages}
    answer = await ana.put("/pipelines/interim", json=body)
    assert answer.status_code == 200, answer.text
    stages[0]["label"] = "Spotted"
    answer = await ana.put("/pipelines/interim", json=body, headers={"If-Match": '"1"'})
    assert answer.json()["version"] == 2
    stale = await ana.put("/pipelines/interim", json=body, headers={"If-Match": '"1"'})
    problem(stale, 412, "stale-version")
    matching = {"If-Match": '"1"'}
    unseen = await ana.put("/pipelines/new", json=body | {"slug": "new"}, headers=matching)
    assert unseen.status_code == 412, "nobody saw a version of what is not there"
    elsewhere = await ana.put("/pipelines/other", json=body)
    problem(elsewhere, 422, "slug-differs")
    project()
    listed = [pipeline["slug"] for pipeline in (await ana.get("/pipelines")).json()]
    assert listed == ["interim", "sales", "talent"]
    read = await ana.get("/pipelines/interim")
    assert read.headers["etag"].startswith('"2-')
    assert read.json()["stages"][0]["label"] == "Spotted"
