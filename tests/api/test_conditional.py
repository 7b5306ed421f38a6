"""What an answer was is told by its ETag; what has not changed is not sent again, what has is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.documented import as_made
from api.journey import ADA, NOTE, ORDER, problem, written
from ledger_crm.api.conditional import conditional, versions
from ledger_crm.commands.catalogue import create_key
from ledger_crm.ledger import Ledger
from ledger_crm.store import Loaded

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ids(ana: httpx.AsyncClient, project: Callable[[], None]) -> dict[str, str]:
    company = (await written(ana, "/companies", {"name": "Engines"}))["id"]
    person = (await written(ana, "/people", ADA))["id"]
    body = {"company_id": company, "role": "hiring_manager", "title": "CTO"}
    position = (await written(ana, f"/people/{person}/employments", body))["position"]
    project()
    return {"person": person, "company": company, "position": position}


PATHS = [
    "/people/{person}", "/people", "/people/{person}/history", "/people/{person}/history?limit=1",
    "/companies/{company}", "/candidates/counts", "/events", "/problems", "/health/live", "/",
    "/pipelines/talent", "/people/{person}?as_of={position}",
    pytest.param("/openapi.json", marks=as_made),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_what_somebody_has_is_not_sent_again(
    ana: httpx.AsyncClient, ids: dict[str, str], path: str
) -> None:
    path = path.format(**ids)
    first = await ana.get(path)
    tag = first.headers["etag"]
    for asked in (tag, f"W/{tag}", f'"x", {tag}', "*", tag.replace('"', "", 1).join(['"', ""])):
        again = await ana.get(path, headers={"If-None-Match": asked})
        assert (again.status_code, again.content) == (304, b""), asked
        assert again.headers["etag"] == tag
        assert again.headers.get("ledger-position") == first.headers.get("ledger-position")
    for asked in ('"x"', tag[:-2] + '"', "", "nonsense"):
        again = await ana.get(path, headers={"If-None-Match": asked})
        assert (again.status_code, again.content) == (200, first.content), asked
    head = await ana.head(path, headers={"If-None-Match": tag})
    assert head.status_code == 304
    assert (await ana.head(path)).headers["etag"] == tag


async def test_the_tag_of_a_record_changes_with_what_is_shown_beside_it(
    ana: httpx.AsyncClient, ids: dict[str, str], project: Callable[[], None], ledger: Ledger
) -> None:
    """An employer that is renamed is no entry of the person."""
    path = f"/people/{ids['person']}"
    before = await ana.get(path)
    body = {"kind": "company.profile_changed", "name": "Difference Engines"}
    await written(ana, f"/companies/{ids['company']}/changes", body)
    project()
    after = await ana.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["version"] == before.json()["version"]
    assert "Difference Engines" in after.text
    _, text = await create_key(ledger, actor="consultant:ben", role="resourcer")
    company = f"/companies/{ids['company']}"
    await written(
        ana, f"{company}/fees",
        {"basis": "contingent", "currency": "EUR", "rate_bp": 2500,
         "agreed_at": "2024-02-01T10:00:00Z"},
    )  # fmt: skip
    project()
    whole = await ana.get(company)
    headers = {"Authorization": f"Bearer {text}", "If-None-Match": whole.headers["etag"]}
    less = await ana.get(company, headers=headers)
    assert less.status_code == 200, "what another role was shown is not what this one has"


async def test_a_history_that_goes_on_is_sent(
    ana: httpx.AsyncClient, ids: dict[str, str], project: Callable[[], None]
) -> None:
    path = f"/people/{ids['person']}/history"
    tag = (await ana.get(path)).headers["etag"]
    receipt = await written(ana, f"/people/{ids['person']}/interactions", NOTE)
    project()
    after = f"{path}?after={receipt['position']}"
    news = await ana.get(after, headers={"If-None-Match": tag})
    assert news.status_code == 200
    assert news.headers["etag"] != tag
    same = await ana.get(after, headers={"If-None-Match": news.headers["etag"]})
    assert same.status_code == 304
    assert int(same.headers["ledger-position"]) >= receipt["position"]


async def test_what_goes_wrong_has_no_tag(ana: httpx.AsyncClient, ids: dict[str, str]) -> None:
    for path in (f"/people/{ids['company']}", "/people?limit=0", "/nowhere"):
        answer = await ana.get(path, headers={"If-None-Match": "*"})
        assert answer.status_code >= 400
        assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "written_down"),
    [
        ('"{v}"', True), ("{read}", True), ('"1", "{v}"', True), ('"{v}","1"', True), ("*", True),
        ('W/"1", "{v}"', True), ('"{v}-0123456789abcdef-gzip"', True),
        ('"1"', False), ('"1", "2"', False), ('"never-ours"', False), ('""', False),
        ('"-0123456789abcdef"', False), ('W/"{v}"', False), ('W/"1", "never"', False),
    ],
)  # fmt: skip
async def test_a_write_is_decided_on_the_version_that_was_seen(
    ana: httpx.AsyncClient, ids: dict[str, str], asked: str, written_down: bool
) -> None:
    await written(ana, f"/people/{ids['person']}/interactions", NOTE)
    read = await ana.get(f"/people/{ids['person']}?after=1")
    receipt = await written(ana, f"/people/{ids['person']}/interactions", NOTE)
    version = receipt["version"]
    asked = asked.format(v=version, read=read.headers["etag"].replace(
        f'"{read.json()["version"]}-', f'"{version}-'))  # fmt: skip
    answer = await ana.post(
        f"/people/{ids['person']}/interactions", json=NOTE, headers={"If-Match": asked}
    )
    if written_down:
        assert answer.status_code == 201, answer.text
        assert answer.json()["version"] == version + 1
    else:
        seen = '"1"' in asked
        code = "weak-tag" if "W/" in asked else "stale-version" if seen else "no-version-in-tag"
        assert problem(answer, 412, code)["found"] == version


async def test_it_may_be_sent_in_two_lines(ana: httpx.AsyncClient, ids: dict[str, str]) -> None:
    path = f"/people/{ids['person']}/interactions"
    version = (await written(ana, path, NOTE))["version"]
    headers = [("If-Match", '"1"'), ("If-Match", f'"{version}"'), *ana.headers.raw]
    asked: Any = [(name, value) for name, value in headers]
    answer = await ana.send(httpx.Request("POST", f"http://crm{path}", json=NOTE, headers=asked))
    assert answer.status_code == 201, answer.text


async def test_any_record_is_a_record(ana: httpx.AsyncClient, ids: dict[str, str]) -> None:
    stages = [{"id": "found", "label": "Found", "category": "sourced"}]
    body = {"slug": "interim", "title": "Interim", "subject": "candidate", "stages": stages}
    anything = {"If-Match": "*"}
    begun = await ana.put("/pipelines/interim", json=body, headers=anything)
    problem(begun, 412, "stale-version")
    assert (await ana.put("/pipelines/interim", json=body)).status_code == 200
    body["title"] = "Interim work"
    assert (await ana.put("/pipelines/interim", json=body, headers=anything)).status_code == 200
    nobody = f"/people/{ids['company']}/interactions"
    problem(await ana.post(nobody, json=NOTE, headers=anything), 404, "no-such-record")


async def test_what_is_to_begin_does_not_write_over_what_is_there(ana: httpx.AsyncClient) -> None:
    pool, begin = {"slug": "rust", "title": "Rust"}, {"If-None-Match": "*"}
    for asked in ('"0"', '"7"', "*"):
        missing = await ana.put("/pools/rust", json=pool, headers={"If-Match": asked})
        assert "there is none" in problem(missing, 412, "stale-version")["title"]
    first = begin | {"Idempotency-Key": "rust"}
    trial = await ana.put("/pools/rust?dry_run=true", json=pool, headers=begin)
    assert trial.status_code == 200, trial.text
    begun = await ana.put("/pools/rust", json=pool, headers=first)
    assert begun.status_code == 200, begun.text
    assert (await ana.put("/pools/rust", json=pool, headers=first)).json() == begun.json()
    for again in (pool, pool | {"title": "Rust and Go"}):
        answer = await ana.put("/pools/rust", json=again, headers=begin)
        assert problem(answer, 412, "already-begun")["found"] == 1
    for asked in ('"1"', "nonsense"):
        answer = await ana.put("/pools/rust", json=pool, headers={"If-None-Match": asked})
        problem(answer, 400, "malformed")
    both = await ana.put("/pools/rust", json=pool, headers=begin | {"If-Match": '"1"'})
    problem(both, 400, "malformed")


async def test_that_it_has_begun_is_found_by_two_looks(
    ana: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At what is in memory, and at the ledger: whoever makes what is missing asks again and again,
    and others wait for the record meanwhile."""
    looks, load = [], ledger.load

    async def counted(*asked: Any) -> Loaded:
        looks.append(asked)
        return await load(*asked)

    monkeypatch.setattr(ledger, "load", counted)
    pool, begin = {"slug": "rust", "title": "Rust"}, {"If-None-Match": "*"}
    assert (await ana.put("/pools/rust", json=pool, headers=begin)).status_code == 200
    for key in ({}, {"Idempotency-Key": "once"}):
        looks.clear()
        answer = await ana.put("/pools/rust", json=pool, headers=begin | key)
        problem(answer, 412, "already-begun")
        assert len(looks) <= 2
    looks.clear()
    answer = await ana.put("/pools/go", json=pool | {"slug": "go"}, headers={"If-Match": "*"})
    problem(answer, 412, "stale-version")
    assert len(looks) <= 2


async def test_if_none_match_guards_no_other_write(
    ana: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    for path, body in (("/people", ADA), (f"/people/{ids['person']}/interactions", NOTE)):
        answer = await ana.post(path, json=body, headers={"If-None-Match": "*"})
        problem(answer, 400, "malformed")


@as_made
async def test_large_answers_are_compressed(anybody: httpx.AsyncClient) -> None:
    plain = await anybody.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for accepted in ("gzip", "br, gzip;q=0.5", "*"):
        packed = await anybody.get("/openapi.json", headers={"Accept-Encoding": accepted})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) < len(plain.content) / 3
        assert packed.headers["vary"] == plain.headers["vary"] == "accept, accept-encoding"
    tag = packed.headers["etag"]
    assert tag == plain.headers["etag"][:-1] + '-gzip"', "other bytes, another strong tag"
    for known in (tag, plain.headers["etag"]):
        headers = {"Accept-Encoding": "gzip", "If-None-Match": known}
        assert (await anybody.get("/openapi.json", headers=headers)).status_code == 304
    for refused in ("gzip;q=0", "br", "gzip;q=0.0, *", ""):
        answer = await anybody.get("/openapi.json", headers={"Accept-Encoding": refused})
        assert "content-encoding" not in answer.headers
    small = await anybody.get("/problems/malformed", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers
    assert small.headers["vary"] == "accept, accept-encoding", "large or not"
    headers = {"If-None-Match": small.headers["etag"]}
    unchanged = await anybody.get("/problems/malformed", headers=headers)
    assert (unchanged.status_code, unchanged.headers["vary"]) == (304, small.headers["vary"])
    assert unchanged.headers.get_list("vary") == [small.headers["vary"]], "once"


async def test_a_stream_goes_through_piece_by_piece() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert len(sent) == 0
        for more in (True, True, False):
            await send({"type": "http.response.body", "body": b"x" * 40_000, "more_body": more})

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await conditional(app)(scope, None, send)  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["http.response.start"] + 3 * [
        "http.response.body"
    ]
    assert not any(name == b"etag" for name, _ in sent[0]["headers"])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**18 - 1)), min_size=1, max_size=20))
def test_versions_are_read_out_of_any_list(tags: list[tuple[bool, int]]) -> None:
    text = " ,\t".join(f'{"W/" if weak else ""}"{number}"' for weak, number in tags)
    strong = tuple(number for weak, number in tags if not weak)
    assert versions([text]) == (strong, any(weak for weak, _ in tags))


async def test_a_tag_without_a_version_is_answered_with_where_to_read_one(
    ana: httpx.AsyncClient, ids: dict[str, str], project: Callable[[], None]
) -> None:
    """Of a candidacy, whose person is written to; of a job order and its company."""
    path = f"/companies/{ids['company']}/job-orders"
    order = (await written(ana, path, ORDER))["created"]
    on = f"/people/{ids['person']}/candidacies"
    opening = {"company_id": ids["company"], "job_order_id": order}
    candidacy = (await written(ana, on, opening))["created"]
    project()
    step = {
        "kind": "company.job_order_changed", "job_order_id": order, "title": "Head of engines",
        "changed_at": "2026-03-09T10:00:00Z",
    }  # fmt: skip
    for read, write, body, record in (
        (f"/candidates/{candidacy}", f"{on}/{candidacy}/moves", {"stage": "screening"}, "people"),
        (f"/job-orders/{order}", f"{path}/steps", step, "companies"),
    ):
        tag = (await ana.get(read)).headers["etag"]
        answer = await ana.post(write, json=body, headers={"If-Match": tag})
        told = problem(answer, 412, "no-version-in-tag")
        assert told["read"] == "/".join(write.split("/")[:3])
        assert told["read"].startswith(f"/{record}/")
        tag = (await ana.get(told["read"])).headers["etag"]
        answer = await ana.post(write, json=body, headers={"If-Match": tag})
        assert answer.status_code == 201, answer.text
