"""What needs no key: pages, the OpenAPI document, problems explained, health."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import date
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import msgspec
import psycopg
import pytest
from jsonschema import Draft202012Validator
from litestar import Litestar

from api.documented import Documented, as_made
from api.journey import ADA, NOTE, found, problem, written
from conftest import Run
from ledger_crm.api import front, openapi, problems, snapshots
from ledger_crm.api.ageing import AGEING, Ageing
from ledger_crm.api.examples import EXAMPLES
from ledger_crm.api.malformed import faults_of
from ledger_crm.api.openapi import _handlers, _types_of
from ledger_crm.api.permitted import ANYBODY
from ledger_crm.api.snapshots import Pool
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from waiting import PATIENCE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
async def spec(anybody: httpx.AsyncClient) -> dict[str, Any]:
    spec: dict[str, Any] = await found(anybody, "/openapi.json")
    return spec


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def references(thing: Any) -> Iterator[str]:
    match thing:
        case {"$ref": str(ref)}:
            yield ref
        case dict():
            for value in thing.values():
                yield from references(value)
        case list():
            for value in thing:
                yield from references(value)


@as_made
async def test_the_first_page_leads_to_every_list(
    anybody: httpx.AsyncClient, spec: dict[str, Any]
) -> None:
    links = set((await anybody.get("/")).json()["links"].values())
    lists = {
        path
        for path, method, operation in operations(spec)
        if method == "get"
        and re.fullmatch(r"/[a-z-]+", path)
        and not any(p.get("required") for p in operation.get("parameters", ()))
    }
    assert lists <= links
    assert "/people" in lists


@as_made
async def test_the_document_is_sound(spec: dict[str, Any]) -> None:
    assert spec["openapi"].startswith("3.1")
    for ref in set(references(spec)):
        at: Any = spec
        for step in ref.removeprefix("#/").split("/"):
            at = at[step]
    for schema in spec["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in spec["tags"]}
    for path, method, operation in operations(spec):
        assert operation["summary"], path
        assert set(operation["tags"]) <= tags
        named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        keyed = not {"health", "front"} & {*operation["tags"]}
        keyed = keyed and operation["operationId"] not in ANYBODY
        schemes = ["link"] if "portal" in operation["tags"] else ["key", "session"]
        assert operation["security"] == ([{each: []} for each in schemes] if keyed else [])
        if keyed:
            assert {"400", "401", "404", "503"} <= set(operation["responses"])
        signed = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "header"}
        writes = method != "get" and "session" in schemes and keyed
        assert ("X-CSRF-Token" in signed) == writes, f"{method} {path}"
        if path.endswith("/lookups"):  # it asks
            assert {"413", "415", "422"} <= set(operation["responses"])
        elif method == "post" and keyed:
            headers = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
            assert "Idempotency-Key" in headers
            assert {"409", "413", "415", "422"} <= set(operation["responses"])


NO_DAYS = {
    "born_on",  # sealed, so a text; "" if it is not known
    "fee_on",  # what it is owed for: referral, start
    "went_on",  # how many
    "works_at",  # jobs
}


@as_made
async def test_every_moment_and_every_day_says_that_it_is_one(spec: dict[str, Any]) -> None:
    """A generated client makes of them what they are."""
    looked = 0
    told = [
        (f"{schema}.{name}", name, of)
        for schema, whole in spec["components"]["schemas"].items()
        for name, of in whole.get("properties", {}).items()
    ] + [
        (f"{method} {path} {each['name']}", each["name"], each["schema"])
        for path, method, operation in operations(spec)
        for each in operation.get("parameters", ())
    ]
    for where, name, of in told:
        wanted = {"_at": "date-time", "_on": "date"}.get(name[-3:])
        if wanted is None or name in NO_DAYS:
            continue
        some = of.get("anyOf", [of])
        [one] = [each.get("items", each) for each in some if each.get("type") != "null"]
        assert one.get("format") == wanted, f"{where}: {of}"
        looked += 1
    assert looked > 300
    history = spec["components"]["schemas"]["HistoryLine"]["properties"]
    assert history["at"]["format"] == "date-time"
    assert "format" not in history["line"]


@as_made
async def test_what_goes_out_of_use_says_so_in_each_answer_and_in_the_document(
    ana: httpx.AsyncClient,
    app: Litestar,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also in those that no handler makes: of what is unchanged, refused or answered before the
    framework."""
    old = Ageing(since_on=date(2026, 12, 1), until_on=date(2027, 12, 1), instead="GET /segments")
    monkeypatch.setitem(AGEING, "GET /pools", old)
    for answer in (await ana.get("/pools"), await ana.get("/pools?strange=1")):
        assert answer.headers["deprecation"] == "@1796083200"
        assert answer.headers["sunset"] == "Wed, 01 Dec 2027 00:00:00 GMT"
        assert 'rel="deprecation"' in answer.headers["link"]
    assert "deprecation" not in (await ana.get("/segments")).headers
    for aged in ("GET /people/{person_id}", "POST /people/{person_id}/interactions"):
        monkeypatch.setitem(AGEING, aged, old)
    person = f"/people/{(await written(ana, '/people', ADA))['id']}"
    project()
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 60.0)
    note = {"json": NOTE}
    for status, method, path, headers, sent in (
        (200, "GET", person, {}, {}),
        (200, "HEAD", person, {}, {}),
        (304, "GET", person, {"If-None-Match": (await ana.get(person)).headers["etag"]}, {}),
        (401, "GET", person, {"Authorization": "Bearer lcrm_none"}, {}),
        (404, "GET", f"/people/{UUID(int=1)}", {}, {}),
        (406, "GET", "/pools", {"Accept": "text/html"}, {}),
        (201, "POST", f"{person}/interactions", {}, note),
        (412, "POST", f"{person}/interactions", {"If-Match": '"99"'}, note),
        (415, "POST", f"{person}/interactions", {"Content-Type": "text/plain"}, note),
        (413, "POST", f"{person}/interactions", {}, {"json": NOTE | {"text": "x" * 2**21}}),
    ):
        answer = await ana.request(method, path, headers=headers, **sent)
        assert answer.status_code == status, answer.text
        assert answer.headers["deprecation"] == "@1796083200", (method, path, status)
    operation = openapi.document(app)["paths"]["/pools"]["get"]
    assert operation["deprecated"]
    assert "may be gone from 2027-12-01 on: GET /segments" in operation["description"]
    assert {"Deprecation", "Sunset"} <= operation["responses"]["200"]["headers"].keys()


@as_made
async def test_every_route_is_documented(app: Litestar, spec: dict[str, Any]) -> None:
    routes = {
        (route.path_format, method.lower())
        for route in app.routes
        for method in route.methods
        if method != "OPTIONS"
        and not route.path.startswith(
            ("/docs", "/openapi", "/invitation", "/session/oidc", "/sign-in")
        )
    }
    assert routes == {(path, method) for path, method, _ in operations(spec)}


async def test_every_write_has_examples_that_are_what_it_takes(app: Litestar) -> None:
    writes = {
        handler.handler_name: taken
        for _, _, handler in _handlers(app)
        if (taken := _types_of(handler)[0])
    }
    assert writes.keys() == EXAMPLES.keys()
    spec = Documented().spec
    for name, taken in writes.items():
        [schema] = [
            operation["requestBody"]["content"]["application/json"]["schema"]
            for _, _, operation in operations(spec)
            if operation["operationId"] == name
        ]
        for example in EXAMPLES[name].values():
            assert faults_of(taken, msgspec.json.encode(example)) == []
            whole = schema | {"components": spec["components"]}
            Draft202012Validator(whole).validate(example)


async def test_the_pages_load_nothing_from_other_hosts(anybody: httpx.AsyncClient) -> None:
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css", "/invitation", "/sign-in"):
        answer = await anybody.get(path, headers={"Accept": "text/html,*/*"})
        assert answer.status_code == 200
        assert "//" not in re.sub(r"^\s*//.*$", "", answer.text, flags=re.MULTILINE)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    page = (await anybody.get("/docs")).text
    assert "<script>" not in page
    assert "style=" not in page
    for link in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (await anybody.get(link)).status_code in (200, 503), link


async def test_the_front_page_leads_on(ana: httpx.AsyncClient, project: Callable[[], None]) -> None:
    project()
    links = (await found(ana, "/"))["links"]
    for path in links.values():
        assert (await ana.get(path)).status_code == 200, path


async def test_every_problem_is_explained_under_its_type(anybody: httpx.AsyncClient) -> None:
    listed = await found(anybody, "/problems")
    assert len(listed) == len(list(problems.every())) > 40
    assert len({each["type"] for each in listed}) == len(listed)
    for each in listed:
        assert await found(anybody, each["type"]) == each
        assert len(each["title"]) > 10
        assert "`" not in each["title"]


async def test_ready_says_how_far_everything_is(
    ana: httpx.AsyncClient, project: Callable[[], None], ledger: Ledger
) -> None:
    project()
    await written(ana, "/people", ADA)
    body = await found(ana, "/health/ready")
    assert (body["status"], body["head"]) == ("ready", await ledger.head())
    assert {each["name"] for each in body["projections"]} == {p.name for p in every()}
    assert {each["lag_events"] for each in body["projections"]} == {2}
    assert body["feed"] == {"position": body["head"], "lag_events": 0}
    assert await found(ana, "/health/live") == {"status": "live"}


async def test_ready_without_a_broker_is_degraded(
    app: Litestar, ledger: Ledger, pool: Pool, project: Callable[[], None]
) -> None:
    async def away() -> int:
        raise ConnectionError

    project()
    app.state.equipment.furnish(ledger=ledger, pool=pool, feed_position=away)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as client:
        body = await found(client, "/health/ready")
    assert (body["status"], body["feed"]["position"]) == ("degraded", None)


async def test_a_database_that_is_away_is_said_so_and_comes_back_by_itself(
    ana: httpx.AsyncClient, project: Callable[[], None], database: str, owner_database: str
) -> None:
    project()
    person = (await written(ana, "/people", ADA))["id"]
    project()
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    admin = psycopg.conninfo.make_conninfo(owner_database, dbname="postgres")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        note = {"kind": "person.note_written", "text": "Kept?"}
        for answer in (
            await ana.get(f"/people/{person}"),
            await ana.post(f"/people/{person}/interactions", json=note),
        ):
            problem(answer, 503, "unavailable")
            assert answer.headers["retry-after"] == "1"
        ready = await ana.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        assert (await ana.get("/health/live")).status_code == 200
        conn.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await written(ana, f"/people/{person}/interactions", note)
    assert (await ana.get(f"/people/{person}")).status_code == 200


async def test_connections_that_a_server_ended_are_used_for_nothing(
    ana: httpx.AsyncClient, pool: Pool, ledger: Ledger, database: str, owner_database: str
) -> None:
    async with AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(pool.connection())
            held.enter_context(ledger.store.recorder.datastore.get_connection())
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with psycopg.connect(owner_database, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            (name,),
        )
    for _ in range(3):
        await found(ana, "/access-log")
        await written(ana, "/people", {"name": "Ada Byron"})


async def test_a_full_disk_is_told_as_that_and_nothing_is_written(
    ana: httpx.AsyncClient,
    told: Run,
    project: Callable[[], None],
    ledger: Ledger,
    owner_database: str,
) -> None:
    """The server says so of itself, by a trigger: its code is that of a write without room."""
    person = (await written(ana, "/people", ADA))["id"]
    project()
    head, note = await ledger.head(), {"kind": "person.note_written", "text": "Kept?"}
    with psycopg.connect(owner_database, autocommit=True) as conn:
        conn.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'No space left on device' USING ERRCODE = '53100'; END $$"
        )
        conn.execute(
            "CREATE TRIGGER no_room BEFORE INSERT ON ledger.entries EXECUTE FUNCTION no_room()"
        )
        began_s = monotonic()
        where = f"/people/{person}/interactions"
        answer = await ana.post(where, json=note, headers={"Idempotency-Key": "one"})
        problem(answer, 503, "disk-full")
        assert answer.headers["retry-after"] == "60"
        assert monotonic() - began_s < PATIENCE_S
        assert await ledger.head() == head
        code, _, err = await asyncio.to_thread(told, "key", "create", "consultant:ana")
        assert (code, err.count("\n"), "disk is full" in err) == (2, 1, True), err
        assert (await ana.get(f"/people/{person}")).status_code == 200
        conn.execute("DROP TRIGGER no_room ON ledger.entries")
    await written(ana, where, note, **{"Idempotency-Key": "one"})
    assert await ledger.head() == head + 1


async def test_of_a_database_that_hangs_everybody_hears_in_time(
    ana: httpx.AsyncClient,
    project: Callable[[], None],
    owner_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lock that a migration would take stands for it: the server says nothing."""
    project()
    person = (await written(ana, "/people", ADA))["id"]
    project()
    monkeypatch.setattr(front, "ANSWER_S", 0.5)
    monkeypatch.setattr(snapshots, "ANSWER_S", 0.5)
    with psycopg.connect(owner_database) as conn:
        began_s = monotonic()
        conn.execute("LOCK TABLE ledger.head, read.person, read.history, read.company")
        answers = await asyncio.gather(
            *(ana.get(f"/people/{person}") for _ in range(10)),
            ana.get(f"/people/{person}/history"),
            ana.get("/companies"),
        )
        for answer in answers:
            problem(answer, 503, "unavailable")
        ready = await ana.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        assert monotonic() - began_s < PATIENCE_S
    assert (await ana.get(f"/people/{person}")).status_code == 200
