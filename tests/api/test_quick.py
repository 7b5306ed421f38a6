"""What is answered before the framework is answered as the framework would, or not there at all."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import pytest

from api.journey import ADA, problem, written
from ledger_crm.api import caller, problems, quick, snapshots
from ledger_crm.api.snapshots import Reads
from ledger_crm.commands.catalogue import create_key, revoke_key
from ledger_crm.domain import clock
from ledger_crm.ledger import Ledger, Unavailable

pytestmark = pytest.mark.anyio

LONG_WAY = {"Accept": "application/json, */*"}  # which only the framework understands


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine would take the long way."""
    monkeypatch.setattr(caller, "TRUST_S", 60.0)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each question that looked like one for here was answered here."""
    found: list[bool] = []
    answer = quick._answer

    async def watched(*args: Any) -> Any:
        said = await answer(*args)
        found.append(said[0] is not None)
        return said

    async def watched_record(*args: Any) -> Any:
        said = await record(*args)
        found.append(said is not None)
        return said

    record = quick._record
    monkeypatch.setattr(quick, "_answer", watched)
    monkeypatch.setattr(quick, "_record", watched_record)
    return found


@pytest.fixture
async def ids(ana: httpx.AsyncClient, project: Callable[[], None]) -> dict[str, str]:
    company = (await written(ana, "/companies", {"name": "Engines"}))["id"]
    person = (await written(ana, "/people", ADA))["id"]
    await written(
        ana, f"/people/{person}/employments", {"company_id": company, "role": "hiring_manager"}
    )
    for n in range(3):
        note = {"kind": "person.note_written", "text": f"Likes «engines» {n}"}
        await written(ana, f"/people/{person}/interactions", note)
    project()
    return {"person": person, "company": company}


def told(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    headers = dict(answer.headers)
    headers.pop("x-request-id")
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize(
    ("path", "here"),
    [
        ("/people/{person}", True),
        ("/people/{person}?after=1", True),
        ("/people/{person}/history", True),
        ("/people/{person}/history?limit=2", True),
        ("/people/{person}/history?after=3&limit=1", True),
        ("/people/{person}/history?limit=200", True),
        ("/companies/{company}/history?limit=3", True),
        ("/companies/{company}", False),
        ("/people/{person}?limit=2", False),
        ("/people/{person}?after=999999", False),
        ("/people/{person}?after=-1", False),
        ("/people/{person}?after=", False),
        ("/people/{person}?after=1&after=1", False),
        ("/people/{person}?after=0", True),
        ("/people/{person}?after=01", False),
        ("/people/{person}/history?limit=05", False),
        ("/people/{person}?as_of=2", False),
        ("/people/{person}/history?limit=0", False),
        ("/people/{person}/history?limit=201", False),
        ("/people/{person}/history?limit=٣", False),
        ("/people/{company}", False),
        ("/people/{company}/history", False),
    ],
)
async def test_it_is_the_same_answer_byte_by_byte(
    ana: httpx.AsyncClient,
    ids: dict[str, str],
    answered: list[bool],
    path: str,
    here: bool,
) -> None:
    path = path.format(**ids)
    long_way = await ana.get(path, headers=LONG_WAY)
    answered.clear()
    short, only_headers = await ana.get(path), await ana.head(path)
    assert answered == [here] * 2
    if here:
        assert told(short) == told(long_way)
        assert dict(only_headers.headers).keys() == dict(short.headers).keys()
        assert only_headers.content == b""
    else:
        assert short.status_code == long_way.status_code
        assert short.json().keys() == long_way.json().keys()


SEED = random.SystemRandom().randrange(2**32)


@pytest.mark.parametrize("host", ["crm.example:8000", "[::1]:8000", "127.0.0.1"])
async def test_however_the_server_is_called_it_is_answered_here(
    ana: httpx.AsyncClient, ids: dict[str, str], answered: list[bool], host: str
) -> None:
    await ana.get(f"/people/{ids['person']}")
    answered.clear()
    assert (await ana.get(f"/people/{ids['person']}", headers={"Host": host})).status_code == 200
    assert answered == [True]


async def test_what_is_no_name_of_a_server_is_told_wherever_it_is_sent(
    ana: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    person = f"/people/{ids['person']}"
    for path in ("/people", person, person, f"{person}/history"):
        answer = await ana.get(path, headers={"Host": "a b"})
        [fault] = problem(answer, 400, "malformed")["faults"]
        assert fault["pointer"] == "header:Host"


async def test_as_of_any_moment_it_is_the_same_answer_byte_by_byte(
    ana: httpx.AsyncClient,
    ids: dict[str, str],
    answered: list[bool],
    ledger: Ledger,
    project: Callable[[], None],
) -> None:
    """Given somebody who was erased since and somebody who was not, when they are read as of
    positions, instants and days, as known then and now, all that is there is answered here, and
    what the framework says of all is the same."""
    gone = (await written(ana, "/people", ADA | {"email": "eve@example.org"}))["id"]
    await written(ana, f"/people/{gone}/interactions", NOTE)
    named = {"name": "Ada King"}
    await written(ana, f"/people/{ids['person']}/profile-changes", named)
    erased = await ana.post(f"/people/{gone}/erasure", json={})
    assert erased.status_code == 201, erased.text
    project()
    head, drawn = await ledger.head(), random.Random(SEED)
    print(f"seed {SEED}")
    entries = await ledger.entries(after=0, limit=head)
    instants = [drawn.choice(entries).timestamp.isoformat() for _ in range(2)]
    day = clock.today()
    moments = [
        *(str(n) for n in drawn.sample(range(1, head + 1), 4)), str(head), "0", "007",
        *(each.replace("+00:00", "Z") for each in instants), str(day - timedelta(days=1)),
        "0001-01-01", str(day + timedelta(days=1)), str(head + 1), "yesterday", "-1", "9" * 30,
    ]  # fmt: skip
    paths = [
        f"/people/{ids['person']}", f"/people/{gone}", f"/people/{ids['person']}/history",
        f"/people/{gone}/history", f"/companies/{ids['company']}/history",
    ]  # fmt: skip
    here = 0
    for path, moment, known in product(paths, moments, ("then", "now")):
        asked = {"as_of": moment}
        asked |= {"known": known} if known == "now" or drawn.random() < 0.5 else {}
        asked |= drawn.choice(({}, {"after": "3"}, {"after": str(head)}))
        asked |= {"limit": "2"} if path.endswith("history") and drawn.random() < 0.5 else {}
        answered.clear()
        short = await ana.get(path, params=asked)
        was_here = True in answered
        long_way = await ana.get(path, params=asked, headers=LONG_WAY)
        assert was_here or short.status_code != 200 or moment in ("0", "007"), asked
        here += was_here
        if short.status_code == 200:
            assert told(short) == told(long_way), asked
        else:
            said = ({**each.json(), "request_id": ""} for each in (short, long_way))
            assert next(said) == next(said), asked
    assert here > len(moments)


NOTE = {"kind": "person.note_written", "text": "Prefers to be called after six."}
WRITTEN = {"Content-Type": "application/json"}


async def test_an_interaction_is_recorded_as_the_framework_would(
    ana: httpx.AsyncClient,
    ids: dict[str, str],
    answered: list[bool],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is the same wish, whichever way it comes the second time."""
    monkeypatch.setattr(caller, "TRUST_S", 60.0)
    path = f"/people/{ids['person']}/interactions"
    for first, second in (({}, LONG_WAY), (LONG_WAY, {})):
        key = {"Idempotency-Key": f"wish-{len(first)}"}
        once = await ana.post(path, json=NOTE, headers=key | first)
        again = await ana.post(path, json=NOTE, headers=key | second)
        assert (once.status_code, again.status_code) == (201, 201), once.text
        assert once.content == again.content
        assert again.headers["idempotency-replayed"] == "true"
        replayed = told(again)[2].keys() - told(once)[2].keys()
        assert replayed == {"idempotency-replayed"}
        assert told(await ana.post(path, json=NOTE, headers=key)) == told(again)
    assert answered == [True] * 4
    before = await ledger.head()
    assert (await ana.post(path, json=NOTE)).status_code == 201
    assert await ledger.head() == before + 1
    [entry] = await ledger.entries(after=before, limit=1)
    assert entry.by == "consultant:ana"
    assert entry.cause


async def test_while_read_models_are_behind_an_interaction_is_recorded_and_not_read_too_early(
    ana: httpx.AsyncClient,
    ids: dict[str, str],
    answered: list[bool],
    ledger: Ledger,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is decided on the ledger alone, also for who may not see everything and for somebody whom
    no read model knows; what was before it is not answered to who asks for what is after it."""
    monkeypatch.setattr(caller, "TRUST_S", 60.0)
    monkeypatch.setattr(snapshots, "PATIENCE_S", 0.05)
    _, text = await create_key(ledger, actor="consultant:ben", role="resourcer")
    ben = {"Authorization": f"Bearer {text}"}
    new = (await written(ana, "/people", {"name": "Charles"}))["id"]
    await ana.get("/session", headers=ben)
    answered.clear()
    for person in (ids["person"], new):
        for who in ({}, ben):
            answer = await ana.post(f"/people/{person}/interactions", json=NOTE, headers=who)
            assert answer.status_code == 201, answer.text
    assert answered == [True] * 4
    after, path = {"after": answer.json()["position"]}, f"/people/{ids['person']}/history"
    for way in ({}, LONG_WAY):
        behind = await ana.get(path, params=after, headers=way)
        problem(behind, 503, "read-model-behind")
    project()
    said = await ana.get(path, params=after)
    assert said.text.count(NOTE["text"]) == 2
    assert answered[4:] == [False, True]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"headers": {"If-Match": '"999"'}}, 412),
        ({"headers": {"If-Match": 'W/"1"'}}, 412),
        ({"headers": {"If-Match": '"1", "2"'}}, 412),
        ({"headers": {"If-Match": "*"}}, 201),
        ({"headers": {"If-Match": "nonsense"}}, 400),
        ({"headers": {"Idempotency-Key": "a b"}}, 400),
        ({"headers": {"Idempotency-Key": "x" * 256}}, 400),
        ({"headers": {"Content-Type": "text/plain"}}, 415),
        ({"headers": {"Accept": "text/html"}}, 406),
        ({"headers": {"Content-Type": "application/json; charset=utf-8"}}, 201),
        ({"params": {"as_of": "2"}}, 400),
        ({"content": b""}, 400),
        ({"content": b'{"kind": "person.note_written", "text": "a", "text": "b"}'}, 400),
        ({"content": b'{"kind": "person.note_written", "text": "\\u0000"}'}, 400),
        ({"content": b'{"kind": "person.placed"}'}, 400),
        ({"content": b'{"kind": "person.note_written", "text": "%s"}' % (b"x" * 20_000)}, 201),
        ({"content": b'{"kind": "person.note_written", "text": "%s"}' % (b"x" * 2_000_000)}, 413),
    ],
)
async def test_an_interaction_that_is_not_as_it_has_to_be_takes_the_long_way(
    ana: httpx.AsyncClient,
    ids: dict[str, str],
    answered: list[bool],
    change: dict[str, Any],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caller, "TRUST_S", 60.0)
    path = f"/people/{ids['person']}/interactions"
    asked = {"content": json.dumps(NOTE).encode(), **change}
    asked["headers"] = WRITTEN | asked.get("headers", {})
    for _ in range(2):  # the first lets the key in
        answer = await ana.post(path, **asked)
        assert answer.status_code == status, answer.text
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
    assert True not in answered


async def test_on_a_version_it_is_recorded_or_refused_as_the_framework_would(
    ana: httpx.AsyncClient, ids: dict[str, str], answered: list[bool]
) -> None:
    path = f"/people/{ids['person']}/interactions"
    read = await ana.get(f"/people/{ids['person']}")
    on = {"If-Match": read.headers["etag"]}
    once = await ana.post(path, json=NOTE, headers=on | {"Idempotency-Key": "on-a-version"})
    assert (once.status_code, answered[-1]) == (201, True)
    stale = [await ana.post(path, json=NOTE, headers=on | way) for way in ({}, LONG_WAY)]
    refused, long_way = ({**each.json(), "request_id": ""} for each in stale)
    assert refused == long_way
    problem(stale[0], 412, "stale-version")
    for none in ('"0"', '"00"', '"0-0123456789abcdef"'):
        ways: tuple[dict[str, str], ...] = ({}, LONG_WAY)
        both = [await ana.post(path, json=NOTE, headers={"If-Match": none} | way) for way in ways]
        said, long_way = ({**each.json(), "request_id": ""} for each in both)
        assert said == long_way
    receipt = {"If-Match": once.headers["etag"]}
    assert (await ana.post(path, json=NOTE, headers=receipt)).status_code == 201


async def test_a_refusal_is_said_here_byte_by_byte_as_the_framework_says_it(
    ana: httpx.AsyncClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given somebody who was erased, one who withdrew their consent, and one who is there, each is
    refused for a reason of its own, and only the long way asks the framework to say so."""
    gone = (await written(ana, "/people", ADA | {"email": "eve@example.org"}))["id"]
    await written(ana, f"/people/{gone}/erasure", {"reason": "asked_us"})
    silent = (await written(ana, "/people", ADA | {"email": "dee@example.org"}))["id"]
    stopped = {"kind": "person.consent_withdrawn", "withdrawn_at": "2026-01-05T09:00:00Z"}
    await written(ana, f"/people/{silent}/permissions", stopped)
    sent = {"kind": "person.message_sent", "channel": "email", "message_id": "m-1"}
    sent["sent_at"] = "2026-01-06T09:00:00Z"
    ahead = NOTE | {"written_at": "2999-01-01T00:00:00Z"}
    used = {"Idempotency-Key": "used"}
    path = f"/people/{ids['person']}/interactions"
    assert (await ana.post(path, json=NOTE, headers=used)).status_code == 201
    asked = [
        (ids["person"], NOTE, {"If-Match": '"999"'}, 412), (ids["company"], NOTE, {}, 404),
        (gone, NOTE, {}, 410), (silent, sent, {}, 403), (ids["person"], ahead, {}, 422),
        (ids["person"], sent, used, 422),
    ]  # fmt: skip
    framework, refused = [], problems.told

    def watched(refusal: Any) -> Any:
        framework.append(sys._getframe(1).f_code.co_name == "refused")
        return refused(refusal)

    monkeypatch.setattr(problems, "told", watched)
    for id, fact, headers, status in asked:
        said = []
        for way in ({}, LONG_WAY):
            answer = await ana.post(f"/people/{id}/interactions", json=fact, headers=headers | way)
            assert answer.status_code == status, answer.text
            request_id = answer.headers["x-request-id"].encode()
            given, content, told_by = told(answer)
            said.append((given, content.replace(request_id, b""), told_by))
        assert said[0] == said[1]
    assert framework == [False, True] * len(asked)


async def test_a_refused_interaction_is_decided_once(
    ana: httpx.AsyncClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "TRUST_S", 60.0)
    stopped = {"kind": "person.consent_withdrawn", "withdrawn_at": "2026-01-05T09:00:00Z"}
    await written(ana, f"/people/{ids['person']}/permissions", stopped)
    decided, answer = 0, Ledger.answer

    async def counted(*args: Any, **rest: Any) -> Any:
        nonlocal decided
        decided += 1
        return await answer(*args, **rest)

    monkeypatch.setattr(Ledger, "answer", counted)
    sent = {"kind": "person.message_sent", "channel": "email", "message_id": "m-1"}
    sent["sent_at"] = "2026-01-06T09:00:00Z"
    path = f"/people/{ids['person']}/interactions"
    refused = await ana.post(path, json=sent)
    assert decided == 1
    long_way = await ana.post(path, json=sent, headers=LONG_WAY)
    problem(refused, 403, "no-consent")
    assert refused.json() | {"request_id": ""} == long_way.json() | {"request_id": ""}
    nobody = f"/people/{ids['company']}/interactions"
    problem(await ana.post(nobody, json=NOTE), 404, "no-such-record")


async def test_who_may_not_write_does_not_write_here(
    ana: httpx.AsyncClient, ids: dict[str, str], answered: list[bool], ledger: Ledger
) -> None:
    _, text = await create_key(ledger, actor="consultant:ben", role="analyst")
    for _ in range(2):
        answer = await ana.post(
            f"/people/{ids['person']}/interactions",
            json=NOTE, headers={"Authorization": f"Bearer {text}"},
        )  # fmt: skip
        problem(answer, 403, "not-permitted")
    assert not answered


async def test_a_key_that_is_no_longer_trusted_or_never_was_opens_nothing_here(
    ana: httpx.AsyncClient,
    ids: dict[str, str],
    key: str,
    answered: list[bool],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receipt, text = await create_key(ledger, actor="consultant:ben")
    path, ben = f"/people/{ids['person']}", {"Authorization": f"Bearer {text}"}
    for taken_here in (False, True):
        answered.clear()
        assert (await ana.get(path, headers=ben)).status_code == 200
        assert answered == [True] * taken_here, "the first time the ledger is asked"
    await revoke_key(ledger, receipt.id)

    later_s = time.monotonic() + 61.0
    monkeypatch.setattr("ledger_crm.api.caller.time.monotonic", lambda: later_s)
    problem(await ana.get(path, headers=ben), 401, "key-missing")
    answered.clear()
    for header in (text, "", "Bearer lcrm_guessed", f"Basic {text}", f"bearer {text}"):
        problem(await ana.get(path, headers={"Authorization": header}), 401, "key-missing")
    assert not answered
    with_one_too_many = [("Authorization", ""), ("Authorization", f"Bearer {key}")]
    request = httpx.Request("GET", f"http://crm{path}", headers=with_one_too_many)
    problem(await ana.send(request), 401, "key-missing")
    assert not answered


async def test_what_goes_wrong_is_said_as_everywhere(
    ana: httpx.AsyncClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def away(*_: Any) -> Any:
        nonlocal asked
        asked += 1
        raise Unavailable()

    monkeypatch.setattr(Reads, "look_up", away)
    answer = await ana.get(f"/people/{ids['person']}")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]
    assert asked == 1, "nobody waits twice for a database that is away"
