"""Many writes at once, and writes that are only tried: each by the rules of the single one."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, NOTE, ORDER, REPLY, SENT, faults, problem, written
from ledger_crm.commands.catalogue import create_key
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ada(ana: httpx.AsyncClient) -> str:
    return "/people/" + (await written(ana, "/people", ADA))["id"]


def command(path: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"path": path, "body": body, **more}


async def sent(
    client: httpx.AsyncClient, *commands: dict[str, Any], whole: bool = False, **rest: Any
) -> httpx.Response:
    body = {"commands": list(commands), "all_or_nothing": whole}
    return await client.post("/batch", json=body, **rest)


async def results(*args: Any, **rest: Any) -> list[dict[str, Any]]:
    answer = await sent(*args, **rest)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


DRY = {"params": {"dry_run": "true"}}
BAD = {"kind": "person.note_written", "txt": "?"}


async def test_each_command_has_the_result_that_it_would_have_alone(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    before = await ledger.head()
    found = await results(
        ana,
        command(f"{ada}/interactions", NOTE),
        command(f"{ada}/interactions", BAD),
        command("/people", {"name": "Twin", "email": ADA["email"]}),
        command(f"{ada}/tags", {"kind": "person.tagged", "tag": "vip"}, if_match='"1"'),
        command(f"{ada}/tags", {"kind": "person.tagged", "tag": "vip"}),
        command("/nowhere", {}),
    )
    assert [each["status"] for each in found] == [201, 400, 409, 412, 201, 404]
    alone = await ana.post(f"{ada}/interactions", json=BAD)
    assert found[1]["answer"] | {"request_id": ""} == alone.json() | {"request_id": ""}
    assert found[2]["answer"]["type"] == "/problems/contact-point-taken"
    assert found[0]["etag"] == f'"{found[0]["answer"]["version"]}"'
    assert found[4]["answer"]["position"] == await ledger.head() == before + 2
    entries = await ledger.entries(after=before)
    assert {entry.by for entry in entries} == {"consultant:ana"}
    assert len({entry.cause for entry in entries}) == 2, "each is a request of its own"


async def test_all_or_nothing_is_written_in_one_transaction(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    before = await ledger.head()
    wanted = [
        command("/people", {"name": "Grace"}),
        command(f"{ada}/interactions", NOTE),
        command(f"{ada}/tags", {"kind": "person.tagged", "tag": "vip"}),
        command(f"{ada}/tags", {"kind": "person.tagged", "tag": "vip"}),
    ]
    found = await results(ana, *wanted, whole=True)
    assert [each["status"] for each in found] == [201] * 4
    head = await ledger.head()
    positions = [each["answer"]["position"] for each in found]
    assert positions == [before + 1, before + 2, before + 3, None], "the last changes nothing"
    assert head == before + 3
    versions = [each["answer"]["version"] for each in found]
    assert versions[2] == versions[1] + 1 == versions[3]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        (command("/people", {"name": "Twin", "email": ADA["email"]}), 409, "contact-point-taken"),
        (command("{ada}/interactions", BAD), 400, "malformed"),
        (command("{ada}/interactions", NOTE, if_match='"1"'), 412, "stale-version"),
        (command("/people/01939b30-11b2-7a44-9c05-7be1d2f3a418/tags",
                 {"kind": "person.tagged", "tag": "x"}), 404, "no-such-record"),
        (command("{ada}/erasure", {}), 422, "not-in-one"),
        (command("{ada}/documents", {"name": "cv.txt", "media_type": "text/plain",
                 "content": base64.b64encode(b"x").decode()}), 422, "not-in-one"),
        (command("/people", {"name": "New"}, if_match='"1"'), 400, "malformed"),
    ],
)  # fmt: skip
async def test_one_that_is_refused_keeps_all_from_being_written(
    ana: httpx.AsyncClient,
    ada: str,
    ledger: Ledger,
    wrong: dict[str, Any],
    status: int,
    code: str,
) -> None:
    before = await ledger.head()
    wrong = wrong | {"path": wrong["path"].format(ada=ada)}
    good = command(f"{ada}/interactions", NOTE)
    answer = await sent(ana, good, wrong, good, whole=True)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/problems/{code}"
    assert answer.json()["command"] == 1
    assert await ledger.head() == before
    assert (await results(ana, good))[0]["status"] == 201


@pytest.mark.parametrize("before", ["nothing", "a replay", "a write"])
@pytest.mark.parametrize(
    "keeping",
    [
        command("/documents", {"name": "cv.txt", "media_type": "text/plain",
                "content": base64.b64encode(b"x").decode()}),
        command("/erasure", {}),
    ],
    ids=["document", "erasure"],
)  # fmt: skip
async def test_what_keeps_files_is_in_no_transaction_wherever_it_stands(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger, keeping: dict[str, Any], before: str
) -> None:
    """It would be answered as written, and the file never be there."""
    note = command(f"{ada}/interactions", NOTE, idempotency_key="note")
    if before == "a replay":
        await results(ana, note)
    head = await ledger.head()
    keeping = keeping | {"path": f"{ada}{keeping['path']}"}

    answer = await sent(ana, *([note] if before != "nothing" else []), keeping, whole=True)

    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "/problems/not-in-one"
    assert await ledger.head() == head


async def test_equal_opportunity_answers_are_written_beside_nobody(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    before = await ledger.head()
    answers = command("/equal-opportunity/answers", {"gender": "woman"})
    for path in ("/equal-opportunity/answers", "/equal-opportunity/answers/"):
        for whole in (True, False):
            answer = await sent(
                ana, command("/people", {"name": "Grace"}), answers | {"path": path}, whole=whole
            )
            [fault] = problem(answer, 400, "malformed")["faults"]
            assert fault["pointer"] == "/commands/1/path"
    assert await ledger.head() == before


async def test_commands_of_one_batch_see_each_other(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    """Two may not take the same address, and what one gives back another may have."""
    before = await ledger.head()
    mail = {"name": "Grace", "email": "grace@example.org"}
    twice = await sent(ana, command("/people", mail), command("/people", mail), whole=True)
    assert (twice.status_code, twice.json()["command"]) == (409, 1)
    assert await ledger.head() == before
    given_back = {
        "kind": "person.contact_point_removed", "point": "email", "value": "ada@example.org"
    }  # fmt: skip
    handed_on = await results(
        ana,
        command(f"{ada}/contact-points/changes", given_back),
        command("/people", {"name": "Ada the Second", "email": "ada@example.org"}),
        whole=True,
    )
    assert [each["status"] for each in handed_on] == [201, 201]
    version = handed_on[0]["answer"]["version"]
    on_what_is_drafted = await results(
        ana,
        command(f"{ada}/interactions", NOTE, if_match=f'"{version}"'),
        command(f"{ada}/interactions", NOTE, if_match=f'"{version + 1}"'),
        whole=True,
    )
    assert on_what_is_drafted[1]["answer"]["version"] == version + 2


@pytest.mark.parametrize("whole", [False, True])
async def test_sent_again_nothing_is_done_twice(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger, whole: bool
) -> None:
    key = {"headers": {"Idempotency-Key": "monday"}}
    wanted = [command(f"{ada}/interactions", NOTE), command("/people", {"name": "Grace"})]
    first = await results(ana, *wanted, whole=whole, **key)
    head = await ledger.head()
    again = await results(ana, *wanted, whole=whole, **key)
    assert [each["answer"] for each in again] == [each["answer"] for each in first]
    assert all(each["replayed"] for each in again)
    assert await ledger.head() == head
    other = await sent(ana, command(f"{ada}/interactions", SENT), whole=True, **key)
    assert problem_of(other, whole=True) == (422, "/problems/key-reused")
    heard = await results(
        ana, *[command(f"{ada}/interactions", REPLY) for _ in range(2)], whole=whole
    )
    assert [each["answer"]["position"] for each in heard] == [head + 1, None], "a redelivery"


def problem_of(answer: httpx.Response, *, whole: bool) -> tuple[int, str]:
    body = answer.json()
    return answer.status_code, body["type"]


async def test_permissions_are_those_of_each_route(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    _, text = await create_key(ledger, actor="consultant:ben", role="read_only")
    ben = {"Authorization": f"Bearer {text}"}
    before = await ledger.head()
    found = await results(ana, command(f"{ada}/interactions", NOTE), headers=ben)
    assert (found[0]["status"], found[0]["answer"]["permission"]) == (403, "records.write")
    for rest in ({"whole": True}, DRY):
        answer = await sent(ana, command(f"{ada}/interactions", NOTE), headers=ben, **rest)
        assert "/problems/not-permitted" in answer.text
    assert await ledger.head() == before
    problem(await sent(ana, command("/people", ADA), headers={"Authorization": ""}), 401,
            "key-missing")  # fmt: skip


async def test_who_may_one_write_alone_may_send_many_of_it(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    """A batch reads nothing: it needs no permission to read."""
    _, text = await create_key(
        ledger, actor="integration:mailbox", role="none", scopes=["records.write"]
    )
    alone = {"Authorization": f"Bearer {text}"}
    note, deal = command(f"{ada}/interactions", NOTE), command("/companies", {})
    for whole in (False, True):
        found = await results(ana, note, note, whole=whole, headers=alone)
        assert [each["status"] for each in found] == [201, 201]
    other = command("/pipelines/p", {}, method="PUT")
    found = await results(ana, note, other, deal, headers=alone, **DRY)
    assert [each["status"] for each in found] == [200, 403, 400]
    assert found[1]["answer"]["permission"] == "catalogue.write"
    assert found[0]["answer"]["entries"][0].keys() == {"stream", "version", "kind"}


@pytest.mark.parametrize("whole", [False, True])
async def test_a_command_may_ask_that_there_is_none_yet(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger, whole: bool
) -> None:
    pool = {"slug": "speakers", "title": "Speakers"}
    put = command("/pools/speakers", pool, method="PUT", if_none_match="*")
    [first] = await results(ana, put, whole=whole)
    assert first["status"] == 200
    answer = await sent(ana, put, whole=whole)
    refused = answer.json() if whole else answer.json()["results"][0]["answer"]
    assert (refused["type"], refused["status"]) == ("/problems/already-begun", 412)
    wrong = command(f"{ada}/interactions", NOTE, if_none_match="*")
    assert "header:If-None-Match" in (await sent(ana, wrong, whole=whole)).text
    assert "/commands/0/if_none_match" in faults(await sent(ana, put | {"if_none_match": '"7"'}))


async def test_a_key_of_a_batch_is_the_same_in_quotes_and_bare(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    note = command(f"{ada}/interactions", NOTE)
    own = command(f"{ada}/interactions", SENT, idempotency_key="own")
    first = await results(ana, note, own, headers={"Idempotency-Key": '"a \\"monday\\""'})
    assert [each["status"] for each in first] == [201, 201]
    own["idempotency_key"] = '"own"'
    again = await results(ana, note, own, headers={"Idempotency-Key": '"a \\"monday\\""'})
    assert [each["answer"] for each in again] == [each["answer"] for each in first]
    assert all(each["replayed"] for each in again)
    answer = await sent(ana, own | {"idempotency_key": '"own'})
    assert "/commands/0/idempotency_key" in faults(answer)
    twins = await sent(ana, own, own | {"idempotency_key": "own"})
    assert "/commands/1/idempotency_key" in faults(twins)


async def test_what_is_no_batch_is_malformed(ana: httpx.AsyncClient, ada: str) -> None:
    for path in ("/batch", "/portal/verdicts", "/people/lookups", "/%62atch", "/sign-in"):
        assert faults(await sent(ana, command(path, {})))["/commands/0/path"], path
    for path in ("people", "/people?x=1", "//host/people", ""):
        assert (await sent(ana, command(path, {}))).status_code in (400, 200), path
    twins = [command(f"{ada}/tags", {}, idempotency_key="k")] * 2
    assert "/commands/1/idempotency_key" in faults(await sent(ana, *twins))
    assert faults(await sent(ana))
    assert faults(await sent(ana, *[command("/people", {})] * 101))
    long = {"headers": {"Idempotency-Key": "x" * 252}}
    assert "header:Idempotency-Key" in faults(await sent(ana, command("/people", ADA), **long))
    guarded = {"headers": {"If-Match": '"1-x"', "If-None-Match": "*"}}  # of which?
    assert faults(await sent(ana, command("/people", ADA), **guarded)).keys() == {
        "header:If-Match", "header:If-None-Match"
    }  # fmt: skip


async def test_batches_that_race_are_each_written_whole(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    before = await ledger.head()
    note = command(f"{ada}/interactions", NOTE)
    answers = await asyncio.gather(*[sent(ana, note, note, note, whole=True) for _ in range(6)])
    assert [answer.status_code for answer in answers] == [200] * 6
    positions = [
        [each["answer"]["position"] for each in answer.json()["results"]] for answer in answers
    ]
    assert sorted(each for one in positions for each in one) == list(range(before + 1, before + 19))
    for one in positions:
        assert one == list(range(one[0], one[0] + 3)), "nothing of another is between"


async def test_a_dry_run_foresees_what_is_written_and_writes_nothing(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    """Along a story, each step tried first."""

    async def step(path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
        before = await ledger.head()
        trial = await ana.request(method, path, json=body, **DRY)
        assert trial.status_code == 200, trial.text
        assert await ledger.head() == before, f"{path} was written"
        answer = await ana.request(method, path, json=body)
        assert answer.status_code in (200, 201), answer.text
        receipt: dict[str, Any] = answer.json()
        told = (await ana.get("/events", params={"after": before})).json()["items"]
        foreseen = trial.json()
        assert foreseen["version"] == receipt["version"]
        assert [(e["kind"], e["version"], e.get("sealed", [])) for e in foreseen["entries"]] == [
            (e["kind"], e["version"], e["sealed"]) for e in told
        ]
        for ours, theirs in zip(foreseen["entries"], told, strict=True):
            assert ours["fact"].keys() == theirs["fact"].keys()
        return receipt

    ada = "/people/" + (await step("/people", ADA))["id"]
    company_id = (await step("/companies", ENGINES))["id"]
    company = f"/companies/{company_id}"
    await step(f"{ada}/interactions", SENT)
    await step(f"{ada}/interactions", REPLY)
    await step(f"{ada}/tags", {"kind": "person.tagged", "tag": "vip"})
    await step(f"{ada}/employments", {"company_id": company_id, "role": "hiring_manager"})
    await step(f"{company}/fees", FEE)
    order = (await step(f"{company}/job-orders", ORDER))["created"]
    await step(f"{company}/deals", {"title": "Retainer"})
    await step(f"{ada}/candidacies", {"job_order_id": order, "company_id": company_id})
    stages = [{"id": "found", "label": "Found", "category": "sourced"}]
    body = {"slug": "interim", "title": "Interim", "subject": "candidate", "stages": stages}
    await step("/pipelines/interim", body, "PUT")
    content = {"name": "cv.txt", "media_type": "text/plain"}
    content["content"] = base64.b64encode(b"Mathematics").decode()
    await step(f"{ada}/documents", content)
    resume = {"basics": {"name": "Ada Byron", "email": "ada@example.org"}}
    for matching in ({}, {"If-Match": "*"}):
        tried = await ana.post(f"{ada}/resumes", json=resume, headers=matching, **DRY)
        assert tried.status_code == 200, tried.text
    await written(ana, f"{ada}/resumes", resume)
    await step(f"{ada}/erasure", {})
    erased = await ana.post(f"{ada}/resumes", json=resume, **DRY)
    problem(erased, 410, "person-is-erased")


async def test_a_dry_run_is_refused_as_the_write_would_be(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    before = await ledger.head()
    twin = {"name": "Twin", "email": ADA["email"]}
    problem(await ana.post("/people", json=twin, **DRY), 409, "contact-point-taken")
    stale = await ana.post(f"{ada}/interactions", json=NOTE, headers={"If-Match": '"1"'}, **DRY)
    problem(stale, 412, "stale-version")
    problem(await ana.post(f"{ada}/interactions", json=BAD, **DRY), 400, "malformed")
    for wrong in ("perhaps", ""):
        answer = await ana.post("/people", json=ADA, params={"dry_run": wrong})
        problem(answer, 400, "malformed")
    for path in ("/people", ada):
        assert (await ana.get(path, **DRY)).status_code == 400, "a read has none"
    assert await ledger.head() == before


async def test_a_dry_run_tells_of_a_wish_that_was_answered(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    key = {"headers": {"Idempotency-Key": "one"}}
    tried = await ana.post(f"{ada}/interactions", json=NOTE, **key, **DRY)
    assert (tried.json()["replayed"], len(tried.json()["entries"])) == (False, 1)
    receipt = await written(ana, f"{ada}/interactions", NOTE, **{"Idempotency-Key": "one"})
    again = (await ana.post(f"{ada}/interactions", json=NOTE, **key, **DRY)).json()
    assert (again["replayed"], again["entries"]) == (True, [])
    assert again["version"] == receipt["version"]
    other = await ana.post(f"{ada}/interactions", json=SENT, **key, **DRY)
    problem(other, 422, "key-reused")
    await written(ana, f"{ada}/interactions", REPLY)
    heard = (await ana.post(f"{ada}/interactions", json=REPLY, **DRY)).json()
    assert heard["entries"] == [], "a redelivery is nothing new"


async def test_a_dry_run_shows_facts_to_those_who_may_follow_and_what_is_sealed_to_nobody(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger
) -> None:
    whole = await ana.post(f"{ada}/interactions", json=SENT, **DRY)
    [entry] = whole.json()["entries"]
    assert entry["fact"]["channel"] == "email"
    assert entry["sealed"] == ["message_id", "text"]
    assert SENT["text"] not in whole.text
    _, text = await create_key(ledger, actor="consultant:ben")
    ben = {"headers": {"Authorization": f"Bearer {text}"}}
    less = await ana.post(f"{ada}/interactions", json=SENT, **DRY, **ben)
    [entry] = less.json()["entries"]
    assert entry.keys() == {"stream", "version", "kind"}


async def test_a_dry_run_of_a_batch_goes_on_upon_what_it_decided(
    ana: httpx.AsyncClient, ada: str, ledger: Ledger, project: Callable[[], None]
) -> None:
    before = await ledger.head()
    mail = {"name": "Grace", "email": "grace@example.org"}
    wanted = [
        command("/people", mail), command("/people", mail), command(f"{ada}/interactions", BAD),
        command(f"{ada}/interactions", NOTE), command(f"{ada}/interactions", NOTE),
    ]  # fmt: skip
    found = await results(ana, *wanted, **DRY)
    assert [each["status"] for each in found] == [200, 409, 400, 200, 200]
    assert found[4]["answer"]["version"] == found[3]["answer"]["version"] + 1
    whole = await sent(ana, *wanted, whole=True, **DRY)
    assert (whole.status_code, whole.json()["command"]) == (409, 1)
    assert [each["status"] for each in await results(ana, *wanted[3:], whole=True, **DRY)] == [
        200, 200
    ]  # fmt: skip
    assert await ledger.head() == before
