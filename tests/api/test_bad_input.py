"""Bad input: one clear answer that says what, where and what to do; and nothing is written."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from structlog.testing import capture_logs

from api.documented import Documented
from api.journey import (
    ADA,
    ENGINES,
    FEE,
    NOTE,
    ORDER,
    REPLY,
    SENT,
    faults,
    problem,
    written,
)
from ledger_crm.api.acting import as_header, key_of
from ledger_crm.api.malformed import MOST
from ledger_crm.commands.catalogue import create_key, revoke_key
from ledger_crm.domain.clock import today
from ledger_crm.domain.faults import in_words
from ledger_crm.ledger import Ledger
from ledger_crm.together import Full

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ada(ana: httpx.AsyncClient, ledger: Ledger) -> AsyncIterator[str]:
    """Her record's path; whatever is sent there, nothing must be written."""
    receipt = await written(ana, "/people", ADA)
    yield f"/people/{receipt['id']}"
    assert await ledger.head() == receipt["position"]


async def put_on_order(client: httpx.AsyncClient) -> tuple[str, str, str]:
    """A company's path, and a person's and their candidacy's."""
    company = (await written(client, "/companies", ENGINES))["id"]
    order = (await written(client, f"/companies/{company}/job-orders", ORDER))["created"]
    person = (await written(client, "/people", {"name": "Charles"}))["id"]
    body = {"company_id": company, "job_order_id": order}
    made = (await written(client, f"/people/{person}/candidacies", body))["created"]
    return f"/companies/{company}", f"/people/{person}", f"/people/{person}/candidacies/{made}"


@pytest.mark.parametrize("path", ["interactions", "tags"])
async def test_who_leaves_amid_what_they_send_is_no_fault_of_ours(
    ana: httpx.AsyncClient, ada: str, app: Litestar, path: str
) -> None:
    """An alarm on errors would wake somebody for it."""
    began = [{"type": "http.request", "body": b'{"kind"', "more_body": True}]
    said: list[Any] = []

    async def receive() -> Any:
        return began.pop() if began else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    request = ana.build_request("POST", f"{ada}/{path}", json={"kind": "person.tagged"})
    scope: Any = {
        "type": "http", "method": "POST", "path": f"{ada}/{path}", "query_string": b"",
        "raw_path": request.url.raw_path, "scheme": "http", "root_path": "", "app": app,
        "client": ("127.0.0.1", 1), "server": ("crm", 80), "http_version": "1.1",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }  # fmt: skip
    with capture_logs() as logs:
        await app(scope, receive, send)
    assert said[0]["status"] == 400
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_an_unknown_kind_is_refused_with_those_that_are_known(
    ana: httpx.AsyncClient, ada: str
) -> None:
    answer = await ana.post(f"{ada}/interactions", json={"kind": "person.telegram_sent"})
    [(pointer, detail)] = faults(answer).items()
    assert pointer == "/kind"
    assert "person.message_sent" in detail
    assert "telegram" not in answer.text
    answer = await ana.post(f"{ada}/interactions", json={"text": "no kind"})
    assert "missing" in faults(answer)["/kind"]


async def test_every_fault_of_a_body_is_listed_and_no_value_repeated(
    ana: httpx.AsyncClient, ada: str
) -> None:
    body = {
        "kind": "person.call_held",
        "started_at": "SECRET yesterday",
        "duration_s": "SECRET",
        "direction": "SECRET sideways",
        "company_id": "SECRET",
        "txt": "SECRET",
        "text": 5,
    }
    answer = await ana.post(f"{ada}/interactions", json=body)
    found = faults(answer)
    assert set(found) == {
        "/started_at", "/duration_s", "/direction", "/company_id", "/txt", "/text"
    }  # fmt: skip
    assert found["/txt"] == "unknown field; did you mean text?"
    assert found["/duration_s"] == "expected a whole number, got text"
    assert found["/direction"] == "expected one of out, in"
    assert "SECRET" not in answer.text


async def test_a_word_that_a_list_does_not_know_is_answered_with_those_it_does(
    ana: httpx.AsyncClient,
) -> None:
    answer = await ana.get("/offers", params={"status": "SECRET", "known": "never"})
    assert faults(answer) == {
        "query:status": "expected one of open, accepted, declined, withdrawn",
        "query:known": "expected one of then, now",
    }
    assert "SECRET" not in answer.text


async def test_missing_and_nested_faults_have_a_pointer(ana: httpx.AsyncClient, ada: str) -> None:
    assert faults(await ana.post("/people", json={}))["/name"] == "required and missing"
    body = {"slug": "X", "title": "", "subject": "candidate"}
    stages = [{"id": "a", "label": 7, "category": "sourced"}, {"id": "b", "category": "nowhere"}, 1]
    found = faults(await ana.put("/pipelines/x", json=body | {"stages": stages}))
    assert set(found) == {
        "/slug", "/title", "/stages/0/label", "/stages/1/label", "/stages/1/category", "/stages/2"
    }  # fmt: skip


NOT_WANTED = {
    b"": "empty",
    b"{": "line 1",
    b'{"name": "Ada",\n "origin" "x"}': "line 2 column 11",
    b'{"name": "Ada"} {}': "not JSON",
    b'{"name": NaN}': "not JSON",
    b'{"name": "\xff"}': "not UTF-8",
    b"[" * 100_000: "nested too deeply",
    b'{"a":' * 700 + b"1" + b"}" * 700: "nested too deeply",
    b"[]": "expected an object, got a list",
    b"null": "expected an object, got null",
    b'{"name": "A\\u0000da"}': "U+0000",
    b'{"name": "Ada", "sourced_at": "0001-01-01T00:00:00+05:00"}': "years 1 to 9999",
    b'{"name": "Ada", "sourced_at": "2026-01-01T00:00:00"}': "timezone",
    b'{"name": 1e999}': "",
}


async def test_what_is_not_the_json_we_want_is_malformed(ana: httpx.AsyncClient, ada: str) -> None:
    headers = {"Content-Type": "application/json"}
    for body, says in NOT_WANTED.items():
        answer = await ana.post("/people", content=body, headers=headers)
        assert says in " ".join(faults(answer).values()), body[:80]


@pytest.mark.parametrize("last", ["n39999", "n40000"], ids=["given twice", "unknown"])
async def test_a_body_of_many_names_is_looked_at_in_no_time(
    anybody: httpx.AsyncClient, last: str
) -> None:
    """Anybody may send one, and nobody else is answered meanwhile."""
    names = [*(f"n{n}" for n in range(40_000)), last]
    body = "{" + ",".join(f'"{name}":1' for name in names) + "}"
    headers, began_s = {"Content-Type": "application/json"}, time.process_time()
    assert len(faults(await anybody.post("/session", content=body, headers=headers))) == 100
    assert time.process_time() - began_s < 1


async def test_while_a_large_body_is_looked_through_others_are_answered(
    ana: httpx.AsyncClient, ada: str
) -> None:
    asked = json.dumps({"text": [1] * 300_000}).encode()
    async with asyncio.TaskGroup() as group:
        begun_s = time.monotonic()
        headers = {"Content-Type": "application/json"}
        sending = ana.post(f"{ada}/interactions", content=asked, headers=headers)
        sent = group.create_task(sending)
        gaps_s, last_s = [], begun_s
        while not sent.done():
            await asyncio.sleep(0)
            gaps_s.append(time.monotonic() - last_s)
            last_s += gaps_s[-1]
    assert faults(sent.result())
    assert max(gaps_s) < (last_s - begun_s) / 2, "all of it in one piece"


async def test_no_more_faults_of_parameters_are_told_than_of_a_body(
    ana: httpx.AsyncClient,
) -> None:
    asked = {f"p{n}": 1 for n in range(300)}
    answer = problem(await ana.get("/people", params=asked), 400, "malformed")
    assert len(answer["faults"]) == MOST


async def test_a_body_of_two_megabytes_is_too_large(ana: httpx.AsyncClient, ada: str) -> None:
    answer = await ana.post(f"{ada}/interactions", json=NOTE | {"text": "x" * 2_000_000})
    problem(answer, 413, "body-too-large")


async def test_a_body_that_does_not_say_its_size_is_read_up_to_the_limit(
    ana: httpx.AsyncClient, ada: str
) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    answer = await ana.post(f"{ada}/interactions", content=endless(), headers=headers)
    problem(answer, 413, "body-too-large")
    assert read < 20


async def test_text_may_be_as_long_as_it_says_and_no_longer(
    ana: httpx.AsyncClient, ada: str
) -> None:
    answer = await ana.post(f"{ada}/interactions", json=NOTE | {"text": "x" * 70_000})
    assert "65536" in faults(answer)["/text"]


async def test_a_stage_that_is_not_in_the_pipeline_is_refused_with_those_that_are(
    ana: httpx.AsyncClient,
) -> None:
    company, _, candidacy = await put_on_order(ana)
    answer = await ana.post(f"{candidacy}/moves", json={"stage": "nirvana"})
    assert "screening" in problem(answer, 404, "no-such-stage")["stages"]
    deal = (await written(ana, f"{company}/deals", {"title": "A"}))["created"]
    answer = await ana.post(f"{company}/deals/{deal}/moves", json={"stage": "screening"})
    problem(answer, 404, "no-such-stage")


async def test_rules_of_the_house_are_problems_with_their_own_type(
    ana: httpx.AsyncClient,
) -> None:
    company, _, candidacy = await put_on_order(ana)
    answer = await ana.post(f"{candidacy}/introductions", json={})
    problem(answer, 403, "no-terms")
    await written(ana, f"{company}/fees", FEE)
    problem(await ana.post(f"{candidacy}/introductions", json={}), 403, "no-right-to-represent")
    rejected = {"stage": "rejected_by_us"}
    answer = await ana.post(f"{candidacy}/moves", json=rejected)
    assert problem(answer, 422, "reason-missing")["field"] == "reason"
    incomplete = FEE | {"rate_bp": 0}
    answer = await ana.post(f"{company}/fees", json=incomplete)
    problem(answer, 422, "terms-incomplete")


async def test_an_email_that_another_person_holds_names_the_holder(
    ana: httpx.AsyncClient, ada: str
) -> None:
    body = {"name": "Somebody", "email": "ADA@example.org"}
    answer = await ana.post("/people", json=body)
    found = problem(answer, 409, "contact-point-taken")
    assert found["holder"] == ada.removeprefix("/people/")
    assert "ada@" not in answer.text.lower()
    answer = await ana.post("/people", json={"name": "Somebody", "email": "nobody at home"})
    assert problem(answer, 422, "not-an-email-address")["field"] == "email"
    assert "nobody" not in answer.text


async def test_a_stale_version_is_refused(ana: httpx.AsyncClient, ada: str) -> None:
    path = f"{ada}/interactions"
    answer = await ana.post(path, json=NOTE, headers={"If-Match": '"1"'})
    found = problem(answer, 412, "stale-version")
    assert (found["expected"], found["found"]) == (1, 2)
    for wrong in ("2", "", '"two', '"2" "1"', '"2",', '*, "2"', "W/*", 'w/"2"', '"2"x'):
        answer = await ana.post(path, json=NOTE, headers={"If-Match": wrong})
        assert "If-Match" in str(faults(answer))
    answer = await ana.post("/people", json={"name": "New"}, headers={"If-Match": '"1"'})
    assert "header:If-Match" in faults(answer)


async def test_the_version_that_was_seen_is_accepted(ana: httpx.AsyncClient) -> None:
    receipt = await written(ana, "/people", ADA)
    path = f"/people/{receipt['id']}/interactions"
    matching = {"If-Match": f'"{receipt["version"]}"'}
    assert (await written(ana, path, NOTE, **matching))["version"] == receipt["version"] + 1


async def test_the_same_key_and_body_get_the_first_answer_again(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    company = (await written(ana, "/companies", ENGINES))["id"]
    for path, body in (
        ("/people", ADA),
        (f"/companies/{company}/job-orders", ORDER),
        (f"/companies/{company}/fees", FEE),
        (f"/companies/{company}/deals", {"title": "Retainer"}),
    ):
        headers = {"Idempotency-Key": f"wish {path}".replace(" ", "-")}
        first = await ana.post(path, json=body, headers=headers)
        head = await ledger.head()
        again = await ana.post(path, json=body, headers=headers)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        assert await ledger.head() == head


async def test_the_same_key_with_another_body_is_refused(ana: httpx.AsyncClient, ada: str) -> None:
    path, headers = f"{ada}/contact-points", {"Idempotency-Key": "k1"}
    point = {"point": "email", "value": "ada@example.org"}  # hers already: nothing is written
    assert (await ana.post(path, json=point, headers=headers)).status_code == 201
    for other, body in ((path, point | {"point": "phone"}), (f"{ada}/interactions", NOTE)):
        answer = await ana.post(other, json=body, headers=headers)
        problem(answer, 422, "key-reused")
    no_texts = ('"', '""', '"k', '"k"1', '"k";a=1', '"k\\1"', '"k\t"')
    for wrong in ("", "two words", "x" * 256, *no_texts):
        answer = await ana.post(path, json=point, headers={"Idempotency-Key": wrong})
        assert "1 to 255" in faults(answer)["header:Idempotency-Key"], wrong
    twice = [("Idempotency-Key", "k1"), ("Idempotency-Key", "k1")]
    answer = await ana.post(path, json=point, headers=twice)
    assert faults(answer) == {"header:Idempotency-Key": "given more than once"}


async def test_a_key_is_the_same_in_quotes_and_bare(ana: httpx.AsyncClient, ledger: Ledger) -> None:
    """As the draft has it, and as many send it; by the short way and the long one."""
    path = f"/people/{(await written(ana, '/people', ADA))['id']}/interactions"
    for first, second in (("k1", '"k1"'), ('"k\\"2"', 'k"2'), ('"a b"', '"a b"')):
        receipt = await written(ana, path, NOTE, **{"Idempotency-Key": first})
        head = await ledger.head()
        again = await ana.post(path, json=NOTE, headers={"Idempotency-Key": second})
        assert (again.json(), again.headers["idempotency-replayed"]) == (receipt, "true")
        assert await ledger.head() == head
        other = await ana.post(path, json=SENT, headers={"Idempotency-Key": second})
        problem(other, 422, "key-reused")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255))
def test_whatever_a_key_is_it_can_be_said_in_a_header(key: str) -> None:
    assert key_of(as_header(key)) == key


async def test_a_message_delivered_twice_is_recorded_once(ana: httpx.AsyncClient) -> None:
    person = (await written(ana, "/people", ADA))["id"]
    path = f"/people/{person}/interactions"
    await written(ana, path, SENT)
    first = await written(ana, path, REPLY)
    again = await written(ana, path, REPLY | {"text": "Yes!"})
    assert again == {"id": person, "version": first["version"], "position": None}


async def test_when_too_much_waits_to_be_written_the_next_is_told_when_to_come(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any) -> None:
        raise Full

    monkeypatch.setattr(ledger._saving, "ask", full)
    answer = await ana.post(f"{ada}/interactions", json=NOTE)
    problem(answer, 503, "too-busy")
    assert answer.headers["retry-after"] == "1"


async def test_without_a_key_in_use_nobody_gets_in(anybody: httpx.AsyncClient, key: str) -> None:
    _, id, secret = key.split("_", 2)
    for wrong in (
        None, "", "Bearer", "Bearer nonsense", f"Basic {key}", f"Bearer lcrm_{id}_wrong",
        f"Bearer lcrm_{'0' * 32}_{secret}",
    ):  # fmt: skip
        headers = {"Authorization": wrong} if wrong is not None else {}
        for answer in (
            await anybody.get("/people", headers=headers),
            await anybody.post("/people", json={"name": 1}, headers=headers),
        ):
            problem(answer, 401, "key-missing")
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_opens_nothing_after_its_last_day(
    anybody: httpx.AsyncClient, ledger: Ledger
) -> None:
    for days, status in ((0, 200), (-1, 401)):
        until = today() + timedelta(days=days)
        _, text = await create_key(ledger, actor="consultant:ana", until_on=until)
        answer = await anybody.get("/session", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == status


async def test_a_revoked_key_opens_nothing_once_its_second_is_over(
    anybody: httpx.AsyncClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt, text = await create_key(ledger, actor="integration:website")
    anybody.headers["Authorization"] = f"Bearer {text}"
    await written(anybody, "/people", ADA)
    monkeypatch.setattr("ledger_crm.api.caller.TRUST_S", 0.0)
    await written(anybody, "/people", {"name": "Another"})
    await revoke_key(ledger, receipt.id)
    import time

    later_s = time.monotonic() + 1.01
    monkeypatch.setattr("ledger_crm.api.caller.time.monotonic", lambda: later_s)
    problem(await anybody.get("/people"), 401, "key-missing")


async def test_an_unknown_parameter_is_refused_not_ignored(
    ana: httpx.AsyncClient, ada: str
) -> None:
    answer = await ana.get("/people", params={"as_on": "2026-01-01", "limitt": 5})
    found = faults(answer)
    assert set(found) == {"query:as_on", "query:limitt"}
    assert "limit" in found["query:limitt"]
    for value in ("null", "NULL"):
        answer = await ana.get("/candidates", params={"person_id": value, "as_of": "1"})
        assert list(faults(answer)) == ["query:person_id"], "not all of them"
    for value in ("0", "0.5", "-1", "1e9"):
        answer = await ana.get("/events", params={"until": value})
        assert list(faults(answer)) == ["query:until"], "no seconds since 1970"
    assert "query:dryrun" in faults(await ana.post("/people?dryrun=1", json=ADA))


async def test_what_ends_before_it_begins_is_refused_wherever_there_is_a_time(
    ana: httpx.AsyncClient,
) -> None:
    """It would look like a time in which nothing was."""
    document, asked = (await ana.get("/openapi.json")).json(), 0
    for path, methods in document["paths"].items():
        names = {each["name"] for each in methods.get("get", {}).get("parameters", ())}
        if not names >= {"since", "until"}:
            continue
        at = "T00:00:00Z" if path == "/events" else ""
        backwards = {"since": f"2026-05-01{at}", "until": f"2026-01-01{at}"}
        answer = await ana.get(re.sub("{[a-z_]+}", str(UUID(int=1)), path), params=backwards)
        assert faults(answer)["query:until"] == "it lies before `since`", path
        asked += 1
    assert asked > 7


async def test_a_parameter_without_a_value_is_refused_in_every_list_and_not_ignored(
    ana: httpx.AsyncClient, ada: str
) -> None:
    document = Documented().spec
    asked = 0
    for path, methods in document["paths"].items():
        names = [each["name"] for each in methods.get("get", {}).get("parameters", ())
                 if each["in"] == "query"]  # fmt: skip
        if names and methods["get"]["security"] and "{" not in path:
            answer = await ana.get(path, params=dict.fromkeys(names, ""))
            found = faults(answer)
            assert set(found) == {f"query:{name}" for name in names}, path
            assert set(found.values()) == {"is empty: leave it out, or give a value"}, path
            asked += len(names)
    assert asked > 200
    assert "query:tag" in faults(await ana.get("/people?tag")), "also without its ="
    assert "query:dry_run" in faults(await ana.post("/people?dry_run=", json=ADA))
    assert "query:limit" in faults(await ana.get(f"{ada}/history?limit=")), "the short way too"


async def test_a_parameter_that_makes_no_sense_is_malformed(
    ana: httpx.AsyncClient, ada: str
) -> None:
    huge = "9" * 30
    for name, values in {
        "limit": ("0", "201", "x", huge),
        "after": ("-1", "x", huge),
        "cursor": ("%00", "MQ.", "InNlY3JldCI", "gA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ"),
    }.items():
        for value in values:
            answer = await ana.get(f"/people?{name}={value}")
            assert list(faults(answer)) == [f"query:{name}"], value
    assert list(faults(await ana.get("/pipelines/a%00b"))) == ["path:slug"]


async def test_all_that_is_wrong_with_the_parameters_and_the_body_is_told_at_once(
    ana: httpx.AsyncClient, ada: str
) -> None:
    answer = await ana.get("/people?limit=0&after=x&known=never&tag=&count=maybe&limitt=5")
    wrong = ("limit", "after", "known", "tag", "count", "limitt")
    assert set(faults(answer)) == {f"query:{name}" for name in wrong}
    answer = await ana.post("/people?dry_run=perhaps", json={"name": 1})
    assert faults(answer) == {
        "query:dry_run": "expected true or false, got text",
        "/name": "expected text, got a whole number",
    }


async def test_bytes_that_are_no_text_are_refused_and_not_looked_for(
    ana: httpx.AsyncClient,
) -> None:
    """They were replaced, and the list of what was then looked for was empty."""
    for sent in ("%ff", "caf%e9", "%ed%a0%80", "%c3"):
        assert "UTF-8" in faults(await ana.get(f"/people?tag={sent}"))["query:tag"]
    assert (await ana.get("/people?tag=caf%c3%a9")).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/problems", "/problems/malformed", "/schemas/person.tagged.json", "/health/live",
     "/health/ready"],
)  # fmt: skip
async def test_what_needs_no_key_ignores_no_parameter_either(
    anybody: httpx.AsyncClient, path: str
) -> None:
    answer = await anybody.get(path, params={"as_of": "2026-01-01"})
    assert faults(answer) == {"query:as_of": "unknown parameter; there are none here"}
    answer = await anybody.get(path, headers={"Accept": "text/csv"})
    problem(answer, 406, "not-acceptable")


async def test_no_regular_expression_is_told() -> None:
    """And it was told as Python writes it, each backslash twice."""
    document = Documented().spec
    asked = [operation.get("parameters", ()) for each in document["paths"].values()
             for operation in each.values()]  # fmt: skip
    schemas: list[Any] = [each for some in asked for each in some if each["in"] == "query"]
    schemas.append(document["components"]["schemas"])
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(schemas)))
    assert len(patterns) > 15
    for pattern in map(json.loads, patterns):
        said = in_words(f"Expected `str` matching regex {pattern!r}")
        assert said.startswith("is not "), said


async def test_a_board_that_is_not_there_is_not_an_empty_one(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    for path in ("/candidates?pipeline=none", "/candidates?pipeline=talent&stage=none"):
        problem(await ana.get(path), 404, "no-such-record")
    for path in ("/deals?pipeline=none", "/deals?stage=none"):
        problem(await ana.get(path), 404, "no-such-record")
    assert (await ana.get("/candidates?pipeline=talent&stage=offer")).json()["items"] == []


async def test_head_is_get_without_the_body(
    ana: httpx.AsyncClient, ada: str, project: Callable[[], None]
) -> None:
    project()
    got, head = await ana.get(ada), await ana.head(ada)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    assert (await ana.head("/nowhere")).status_code == 404


async def test_what_http_itself_refuses_is_a_problem_too(ana: httpx.AsyncClient, ada: str) -> None:
    problem(await ana.get("/nowhere"), 404, "no-such-page")
    assert problem(await ana.get("/people/x"), 404, "not-an-id")["parameter"] == "person_id"
    problem(await ana.get("/problems/none"), 404, "no-such-page")
    problem(await ana.get("/openapi/swagger"), 404, "no-such-page")
    assert {"GET", "HEAD", "POST"} <= problem_of_method(await ana.delete("/people"))
    assert "HEAD" not in problem_of_method(await ana.delete("/batch"))
    for other in ("x-www-form-urlencoded", "merge-patch+json", "json-patch+json", "jsonx", "+json"):
        headers = {"Content-Type": f"application/{other}"}
        answer = await ana.post("/people", json={"name": "Ada"}, headers=headers)
        problem(answer, 415, "unsupported-media-type")
        assert "accept-encoding" not in answer.headers
    for path, body in (("/people", ADA), (f"{ada}/interactions", NOTE)):
        for encoding, content in (("gzip", gzip.compress), ("gzip", bytes), ("br", bytes)):
            headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
            packed = content(json.dumps(body).encode())
            answer = await ana.post(path, content=packed, headers=headers)
            problem(answer, 415, "unsupported-encoding")
            assert answer.headers["accept-encoding"] == "identity"
    plain = {"Content-Encoding": "identity"}
    answer = await ana.post(f"{ada}/interactions?dry_run=true", json=NOTE, headers=plain)
    assert answer.status_code == 200
    answer = await ana.get("/people", headers={"Accept": "text/html"})
    problem(answer, 406, "not-acceptable")


def problem_of_method(answer: httpx.Response) -> set[str]:
    problem(answer, 405, "method-not-allowed")
    return set(answer.headers["allow"].split(", "))


async def test_a_bug_of_ours_leaks_nothing(
    ana: httpx.AsyncClient,
    ada: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("SECRET")

    monkeypatch.setattr("ledger_crm.ledger.Ledger.answer", broken)
    answer = await ana.post(f"{ada}/interactions", json=NOTE | {"text": "SECRET"})
    problem(answer, 500, "internal-error")
    assert "SECRET" not in answer.text
    logged = capfd.readouterr()
    assert "SECRET" not in logged.out + logged.err
    assert "RuntimeError" in logged.out + logged.err


async def test_a_line_per_request_is_logged_and_holds_no_personal_data(
    ana: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    await written(ana, "/people", ADA, **{"X-Request-Id": "req-7"})
    await ana.post("/people/lookups", json={"point": "email", "value": "ada@example.org"})
    await ana.get("/Ada-Byron")
    logged = re.sub(r"[0-9a-f]{32}", "", "".join(capfd.readouterr()).lower())  # ids of requests
    assert "consultant:ana" in logged
    assert "ada" not in logged.replace("consultant:ana", "")
    assert "byron" not in logged


async def test_the_request_is_the_cause_of_what_it_writes(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    answer = await ana.post("/people", json=ADA, headers={"X-Request-Id": "ada.byron"})
    entry = (await ledger.entries())[-1]
    assert entry.cause == answer.headers["x-request-id"] != "ada.byron"
    assert entry.by == "consultant:ana"


@pytest.mark.parametrize(
    ("path", "missing"),
    [("/revenue", {"query:by"}), ("/activity", {"query:since", "query:until"}),
     ("/funnel?by=client", {"query:since", "query:until"})],
)  # fmt: skip
async def test_a_parameter_that_is_missing_is_named(
    ana: httpx.AsyncClient, path: str, missing: set[str]
) -> None:
    told = faults(await ana.get(path))
    assert told == dict.fromkeys(missing, "required and missing")
