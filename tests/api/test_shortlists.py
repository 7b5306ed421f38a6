"""Shortlists as we draw them and as a client sees them; and the portal as an attacker tries it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from api.documented import Documented
from api.journey import ENGINES, FEE, ORDER, faults, found, problem, written
from ledger_crm.api import portal
from ledger_crm.domain.clock import now, stopped_at
from ledger_crm.domain.shortlist import ShortlistSeen, digest_of
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

Project = Callable[[], None]


class Client:
    """A client company with a job order, and a list of people for it: Ada, Ben, Cyd."""

    def __init__(self, ana: httpx.AsyncClient, company: str, order: str, manager: str) -> None:
        self.ana, self.company, self.order, self.manager = ana, company, order, manager
        self.people: dict[str, str] = {}
        self.candidacies: dict[str, str] = {}

    @property
    def path(self) -> str:
        return f"/companies/{self.company}/shortlists"

    async def candidate(self, name: str, *, represented: bool = True, **more: Any) -> str:
        person = (await written(self.ana, "/people", {"name": name} | more))["id"]
        where = {"company_id": self.company, "job_order_id": self.order}
        made = await written(self.ana, f"/people/{person}/candidacies", where)
        way = f"/people/{person}/candidacies/{made['created']}"
        if represented:
            given = {"given_at": "2024-03-01T08:00:00Z"}
            await written(self.ana, f"{way}/rights-to-represent", given)
        self.people[name], self.candidacies[name] = person, way
        return person

    async def draw(self, *people: dict[str, Any], **more: Any) -> str:
        body = {"job_order_id": self.order, "people": list(people)} | more
        return str((await written(self.ana, self.path, body))["created"])

    async def share(self, shortlist: str, **more: Any) -> dict[str, Any]:
        body = {"contact_id": self.manager, "introduces": True} | more
        return await written(self.ana, f"{self.path}/{shortlist}/shares", body)


async def a_client(ana: httpx.AsyncClient, name: str = "Analytical Engines Ltd") -> Client:
    company = (await written(ana, "/companies", {"name": name}))["id"]
    await written(ana, f"/companies/{company}/fees", FEE)
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    manager = (await written(ana, "/people", {"name": f"Manager of {name}"}))["id"]
    job = {"company_id": company, "role": "hiring_manager"}
    await written(ana, f"/people/{manager}/employments", job)
    return Client(ana, company, order, manager)


@pytest.fixture
async def client(ana: httpx.AsyncClient) -> Client:
    return await a_client(ana)


@pytest.fixture
async def browser(app: Litestar, project: Project) -> AsyncIterator[Callable[..., Any]]:
    """Answers of the portal to the holder of a link. The read models are level when it asks."""
    documented = Documented()
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as http:
        http.event_hooks = {"response": [documented.must_be]}

        async def ask(
            token: str | None, path: str = "/portal/shortlist", body: Any = None, **headers: str
        ) -> httpx.Response:
            project()
            sent: dict[str, Any] = headers
            if token is not None:
                sent = headers | {"Authorization": f"Bearer {token}".encode()}
            if body is None:
                return await http.get(path, headers=sent)
            return await http.post(path, json=body, headers=sent)

        yield ask


async def sees(browser: Any, token: str) -> dict[str, Any]:
    answer = await browser(token)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def by_label(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["candidate"]: each for each in view["candidates"]}


@pytest.fixture(autouse=True)
def _never_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody projects while a request waits here."""
    monkeypatch.setattr("ledger_crm.api.reading.PATIENCE_S", 0.0)


# the way it is meant


async def test_a_shortlist_is_drawn_shared_seen_judged_and_withdrawn(
    client: Client, browser: Any, project: Project, ledger: Ledger
) -> None:
    ana = client.ana
    elsewhere = (await written(ana, "/companies", {"name": "Difference Works"}))["id"]
    ada = await client.candidate("Ada Byron")
    job = {"company_id": elsewhere, "title": "Programmer"}
    await written(ana, f"/people/{ada}/employments", job)
    ben = await client.candidate("Ben Oduya")
    shortlist = await client.draw(
        {"person_id": ada, "headline": "Programmer", "text": "The first of them."},
        {"person_id": ben, "blind": True, "headline": "Mathematician"},
        text="Two who are free in June.",
    )
    token = (await client.share(shortlist))["token"]

    view = await sees(browser, token)
    assert (view["company"], view["job_order"]) == ("Analytical Engines Ltd", "Engineer")
    assert (view["version"], view["text"]) == (1, "Two who are free in June.")
    first, second = view["candidates"]
    assert (first["candidate"], first["name"], first["headline"]) == (
        "A",
        "Ada Byron",
        "Programmer",
    )
    assert first["works_at"] == [{"title": "Programmer", "company": "Difference Works"}]
    assert (second["candidate"], second["name"], second["works_at"]) == ("B", None, [])
    assert second["headline"] == "Mathematician"

    for path, body in (
        ("verdicts", {"candidate": "A", "verdict": "interview", "text": "Any day."}),
        ("verdicts", {"candidate": "B", "verdict": "hold"}),
        ("verdicts", {"candidate": "B", "verdict": "reject", "reason": "location"}),
        ("comments", {"text": "A strong list."}),
        ("comments", {"candidate": "A", "text": "Would she relocate?"}),
    ):
        answer = await browser(token, f"/portal/{path}", body)
        assert answer.status_code == 201, answer.text
        assert [*answer.json()] == ["heard_at"]

    view, seen = await sees(browser, token), await browser(token)
    tag = seen.headers["etag"]
    assert re.fullmatch('"-[0-9a-f]{16}"', tag), "a digest, and no number of ours"
    unchanged = await browser(token, **{"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert "ledger-position" not in unchanged.headers
    again = {"candidate": "B", "verdict": "hold"}
    assert (await browser(token, "/portal/verdicts", again)).status_code == 201
    assert (await browser(token, **{"If-None-Match": tag})).status_code == 200
    again = {"candidate": "B", "verdict": "reject", "reason": "location"}
    assert (await browser(token, "/portal/verdicts", again)).status_code == 201
    assert by_label(view)["A"]["verdict"]["text"] == "Any day."
    assert by_label(view)["B"]["verdict"]["reason"] == "location"
    assert [each["text"] for each in by_label(view)["A"]["comments"]] == ["Would she relocate?"]
    assert [each["text"] for each in view["comments"]] == ["A strong list."]

    project()
    shown = await found(ana, f"/shortlists/{shortlist}")
    assert [each["person"] for each in shown["people"]] == ["Ada Byron", "Ben Oduya"]
    assert [v["verdict"] for v in shown["people"][0]["verdicts"]] == ["interview"]
    assert [(each["version"], each["contact_id"]) for each in shown["views"]] == [
        (1, client.manager)
    ]
    assert [each["label"] for each in shown["comments"]] == ["A", None]
    [card] = (await found(ana, "/candidates", person_id=ben))["items"]
    assert (card["client_verdict"], card["closed"]) == ("reject", False)

    for path in (f"/people/{ada}", f"/companies/{client.company}", f"/people/{client.manager}"):
        lines = {line["line"]: line for line in (await found(ana, f"{path}/history"))["items"]}
        assert lines["shortlist seen by the client, version 1"]["by"] == f"portal:{client.manager}"
        assert lines["client's verdict: interview"]["text"] == "Any day."
        assert "commented by the client" in lines
    drawn = "shortlist drawn, version 1: 2, 1 of them blind"
    for path in (f"/people/{ben}", f"/companies/{client.company}"):
        lines = {line["line"] for line in (await found(ana, f"{path}/history"))["items"]}
        assert drawn in lines

    withdrawal = {"reason": "order_filled"}
    await written(ana, f"{client.path}/{shortlist}/withdrawals", withdrawal)
    problem(await browser(token), 410, "link-is-over")
    project()
    [link] = (await found(ana, f"/shortlists/{shortlist}"))["links"]
    assert (link["reason"], link["seen_version"]) == ("order_filled", 1)


async def test_showing_somebody_by_name_is_an_introduction(
    client: Client, browser: Any, project: Project
) -> None:
    ana = client.ana
    ada = await client.candidate("Ada Byron")
    ben = await client.candidate("Ben Oduya", represented=False)
    cyd = await client.candidate("Cyd Tan")
    shortlist = await client.draw(
        {"person_id": ada}, {"person_id": ben, "blind": True}, {"person_id": cyd}
    )
    shares = f"{client.path}/{shortlist}/shares"
    refused = await ana.post(shares, json={"contact_id": client.manager})
    assert problem(refused, 403, "not-introduced-yet")["person_ids"] == [ada, cyd]

    await written(ana, f"{client.candidacies['Cyd Tan']}/introductions", {})
    shared_at = "2024-03-01T09:00:00Z"
    receipt = await client.share(shortlist, shared_at=shared_at)
    project()
    [one] = (await found(ana, "/introductions", person_id=ada))["items"]
    assert (one["to_person_id"], one["introduced_at"]) == (client.manager, shared_at)
    assert (await found(ana, "/introductions", person_id=ben))["items"] == []
    [before] = (await found(ana, "/introductions", person_id=cyd))["items"]
    assert before["to_person_id"] is None, "introduced once, and not again"

    versions = f"{client.path}/{shortlist}/versions"
    named = {"people": [{"person_id": ada}, {"person_id": ben}]}
    refused = await ana.post(versions, json=named)
    assert problem(refused, 403, "not-introduced-yet")["person_ids"] == [ben]
    refused = await ana.post(versions, json=named | {"introduces": True})
    problem(refused, 403, "no-right-to-represent")
    assert (await sees(browser, receipt["token"]))["version"] == 1
    await written(ana, f"{client.candidacies['Ben Oduya']}/rights-to-represent", {})
    await written(ana, versions, named | {"introduces": True})
    assert by_label(await sees(browser, receipt["token"]))["B"]["name"] == "Ben Oduya"


async def test_a_version_shows_what_was_written_before_it(
    client: Client, browser: Any, project: Project
) -> None:
    ana, ada = client.ana, await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada, "headline": "One"})
    token = (await client.share(shortlist))["token"]
    versions = f"{client.path}/{shortlist}/versions"
    await written(ana, versions, {"people": [{"person_id": ada, "headline": "Two"}]})
    await written(ana, versions, {"people": [{"person_id": ada}]})
    view = await sees(browser, token)
    assert (view["version"], view["candidates"][0]["headline"]) == (3, "Two")
    project()
    for version, headline in ((1, "One"), (2, "Two"), (3, "Two")):
        shown = await found(ana, f"/shortlists/{shortlist}", version=version)
        assert shown["people"][0]["headline"] == headline
        assert [each["version"] for each in shown["versions"]] == [3, 2, 1]
    problem(await ana.get(f"/shortlists/{shortlist}?version=4"), 404, "no-such-record")
    [listed] = (await found(ana, "/shortlists", job_order_id=client.order))["items"]
    assert (listed["id"], listed["version"], listed["people"]) == (shortlist, 3, 1)
    assert listed["seen_at"]


async def test_a_preview_is_what_the_client_sees_and_no_view(
    client: Client, browser: Any, project: Project, ledger: Ledger
) -> None:
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada, "headline": "One"})
    project()
    path = f"{client.path}/{shortlist}/preview"
    before = await found(client.ana, path)
    assert before["candidates"][0]["name"] is None, "nobody is shown by name before an introduction"
    token = (await client.share(shortlist))["token"]
    project()
    preview = await found(client.ana, path)
    assert await ledger.of_kinds(ShortlistSeen) == []
    view = await sees(browser, token)
    assert preview | {"until_on": view["until_on"]} == view


async def test_a_thousand_reloads_are_one_fact_and_each_version_another(
    client: Client, browser: Any, ledger: Ledger
) -> None:
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    token = (await client.share(shortlist))["token"]
    for _ in range(5):
        await sees(browser, token)
    versions = f"{client.path}/{shortlist}/versions"
    await written(client.ana, versions, {"people": [{"person_id": ada}]})
    for _ in range(5):
        await sees(browser, token)
    seen = [entry.event for entry in await ledger.of_kinds(ShortlistSeen)]
    assert [fact.version for fact in seen] == [1, 2]
    assert [str(id) for fact in seen for id in fact.people] == [ada, ada]
    with stopped_at(now() + timedelta(days=1)):
        await sees(browser, token)
    assert len(await ledger.of_kinds(ShortlistSeen)) == 3


async def test_the_secret_is_shown_once_and_only_its_hash_is_kept(
    client: Client, ledger: Ledger, project: Project, database: str
) -> None:
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    path, body = f"{client.path}/{shortlist}/shares", {"contact_id": client.manager}
    body |= {"introduces": True}  # type: ignore[dict-item]
    key = {"Idempotency-Key": "one"}
    first = (await client.ana.post(path, json=body, headers=key)).json()
    again = await client.ana.post(path, json=body, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first | {"token": None}
    project()
    [link] = (await found(client.ana, f"/shortlists/{shortlist}"))["links"]
    assert first["created"] == link["id"]
    secret = first["token"].partition("_")[2]
    assert len(secret) == 43
    project()
    stored = b"".join(row.state for row in await ledger.rows())
    digest = digest_of(first["token"])
    assert digest == hashlib.sha256(secret.encode()).hexdigest()
    for text in (secret, digest):
        assert text.encode() not in stored
        shown = await client.ana.get(f"/shortlists/{shortlist}")
        assert text not in shown.text
        for at in (f"/companies/{client.company}/history", f"/people/{client.manager}/history"):
            assert text not in (await client.ana.get(at)).text


@pytest.mark.parametrize("who", ["nobody there", "left", "elsewhere"])
async def test_only_who_works_at_the_client_gets_a_link(client: Client, who: str) -> None:
    ana, ada = client.ana, await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada, "blind": True})
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]
    if who == "left":
        job = {"company_id": client.company, "ends_on": "2020-01-01"}
        await written(ana, f"/people/{eve}/employments", job)
    if who == "elsewhere":
        other = (await written(ana, "/companies", ENGINES))["id"]
        await written(ana, f"/people/{eve}/employments", {"company_id": other})
    path = f"{client.path}/{shortlist}/shares"
    answer = await ana.post(path, json={"contact_id": eve})
    assert problem(answer, 422, "not-a-contact")["field"] == "contact_id"
    days = {"until_on": str((now() + timedelta(days=91)).date())}
    answer = await ana.post(path, json={"contact_id": client.manager} | days)
    problem(answer, 422, "link-lasts-too-long")
    answer = await ana.post(path, json={"contact_id": client.manager, "until_on": "2020-01-01"})
    problem(answer, 422, "lasts-until-before")


async def test_sharing_introduces_nobody_who_may_not_be_shown(
    client: Client, ledger: Ledger, project: Project
) -> None:
    """Also if they were free on the day that it is said to be."""
    ana, ada = client.ana, await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    stop = {"kind": "person.do_not_contact_set", "set_at": "2025-03-02T12:00:00Z"}
    await written(ana, f"/people/{ada}/permissions", stop)
    before = {"shared_at": "2024-03-02T12:00:00Z"}
    body = {"contact_id": client.manager, "introduces": True} | before
    answer = await ana.post(f"{client.path}/{shortlist}/shares", json=body)
    problem(answer, 403, "do-not-contact")
    project()
    assert (await found(ana, "/introductions"))["items"] == []
    assert (await found(ana, f"/shortlists/{shortlist}"))["links"] == []


async def test_nobody_is_listed_who_may_not_be_shown(client: Client, ledger: Ledger) -> None:
    ana, ada = client.ana, await client.candidate("Ada Byron")
    eve = (await written(ana, "/people", {"name": "Eve"}))["id"]

    async def listing(*people: str) -> httpx.Response:
        body = {"job_order_id": client.order, "people": [{"person_id": id} for id in people]}
        return await ana.post(client.path, json=body)

    problem(await listing(eve), 404, "no-such-candidacy")
    problem(await listing(ada, ada), 422, "listed-twice")
    assert "/people" in faults(await listing())
    problem(await ana.post(f"{client.path}/{eve}/versions", json={"people": [{"person_id": ada}]}),
            404, "no-such-shortlist")  # fmt: skip
    at = "2024-03-02T12:00:00Z"
    stop = {"kind": "person.do_not_contact_set", "set_at": at}
    await written(ana, f"/people/{ada}/permissions", stop)
    problem(await listing(ada), 403, "do-not-contact")
    ben = await client.candidate("Ben Oduya")
    ledger.store.destroy_key(UUID(ben))
    problem(await listing(ben), 410, "nothing-to-show")


# the way it is not meant


@pytest.fixture
async def two(ana: httpx.AsyncClient, browser: Any) -> tuple[Client, Client, str, str]:
    """Two clients, who know nothing of each other; Ada is a candidate of both. And their links."""
    acme, bolt = await a_client(ana, "Acme"), await a_client(ana, "Bolt")
    ada = await acme.candidate("Ada Byron", email="ada@example.org", headline="INTERNAL-HEADLINE")
    tokens = []
    for client in (acme, bolt):
        if client is bolt:
            where = {"company_id": bolt.company, "job_order_id": bolt.order}
            made = (await written(ana, f"/people/{ada}/candidacies", where))["created"]
            await written(ana, f"/people/{ada}/candidacies/{made}/rights-to-represent", {})
        note = {"kind": "person.note_written", "text": "INTERNAL-NOTE"}
        await written(ana, f"/people/{ada}/interactions", note)
        mine = f"Only for {client.company}"
        other = await client.candidate(f"Other{client.company[-6:]} Person")
        shortlist = await client.draw({"person_id": ada, "text": mine}, {"person_id": other})
        tokens.append((await client.share(shortlist))["token"])
    return acme, bolt, *tokens


async def test_a_link_shows_nothing_of_others_and_no_ids(
    two: tuple[Client, Client, str, str], browser: Any
) -> None:
    acme, bolt, to_acme, to_bolt = two
    for text in ("FOR-BOLT-ONLY",):
        body = {"candidate": "A", "verdict": "hold", "text": text}
        assert (await browser(to_bolt, "/portal/verdicts", body)).status_code == 201
        body = {"candidate": "A", "text": text}
        assert (await browser(to_bolt, "/portal/comments", body)).status_code == 201
        assert (await browser(to_bolt, "/portal/comments", {"text": text})).status_code == 201
    answer = await browser(to_acme)
    shown = answer.text
    assert "Ada Byron" in shown
    assert f"Only for {acme.company}" in shown
    hidden = [
        "Bolt", f"Only for {bolt.company}", "FOR-BOLT-ONLY", "INTERNAL", "ada@example.org",
        f"Other{bolt.company[-6:]}", "2500", "rate", "fee", "salary",
    ]  # fmt: skip
    assert [word for word in hidden if word.casefold() in shown.casefold().replace(
        f"only for {acme.company}", "")] == []  # fmt: skip
    ids = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", shown)
    assert set(ids) == {acme.company}, "only the one in our own words"
    assert "ledger-position" not in answer.headers
    assert answer.headers["etag"].startswith('"-'), "without a version"


async def test_another_contact_of_the_same_client_does_not_see_what_the_first_said(
    client: Client, browser: Any
) -> None:
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    first = (await client.share(shortlist))["token"]
    hr = (await written(client.ana, "/people", {"name": "Helen"}))["id"]
    await written(client.ana, f"/people/{hr}/employments", {"company_id": client.company})
    second = (await client.share(shortlist, contact_id=hr))["token"]
    said = {"candidate": "A", "verdict": "reject", "reason": "other", "text": "Do not tell Helen"}
    assert (await browser(first, "/portal/verdicts", said)).status_code == 201
    for about in ({}, {"candidate": "A"}):
        told = {"text": "Do not tell Helen"} | about
        assert (await browser(first, "/portal/comments", told)).status_code == 201
    answer = await browser(second)
    assert answer.json()["candidates"][0]["verdict"] is None
    assert "Helen" not in answer.text
    assert "Helen" in (await browser(first)).text


async def test_what_is_said_by_one_link_does_not_pass_for_said_by_another(
    client: Client, browser: Any
) -> None:
    """Of the same contact, whose browser numbers what it sends, about another "A"."""
    ada = await client.candidate("Ada Byron")
    one, two = [
        (await client.share(await client.draw({"person_id": ada})))["token"] for _ in range(2)
    ]
    said, key = {"candidate": "A", "verdict": "hold"}, {"Idempotency-Key": "1"}
    assert (await browser(one, "/portal/verdicts", said, **key)).status_code == 201
    problem(await browser(two, "/portal/verdicts", said, **key), 422, "key-reused")
    assert (await browser(one, "/portal/verdicts", said, **key)).status_code == 201


def tampered(token: str) -> list[str]:
    prefix, secret = token.split("_", 1)
    other = "B" if secret[0] == "A" else "A"
    return [
        f"{prefix}_{other}{secret[1:]}",
        f"{token}x", token[:-1], token.swapcase(), f"lcrm_{secret}", secret, prefix, f"{prefix}_",
        f"{token}\u00e9", f"{prefix}__{secret}", f"{prefix}_{'A' * 43}", f"{prefix}_{'A' * 4000}",
        f"{prefix}_{hashlib.sha256(secret.encode()).hexdigest()}",
    ]  # fmt: skip


async def test_what_is_guessed_or_tampered_with_opens_nothing(
    two: tuple[Client, Client, str, str], browser: Any
) -> None:
    _, _, token, _ = two
    for guess in (None, "", *tampered(token)):
        answer = await browser(guess)
        body = problem(answer, 401, "link-missing")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert set(body) == {"type", "title", "status", "detail", "request_id"}
        if guess and len(guess) > len("lcrs_"):
            assert guess not in answer.text
    basic = await browser(None, Authorization=f"Basic {token}")
    problem(basic, 401, "link-missing")
    for path in (f"/portal/shortlist?token={token}", f"/portal/{token}", "/portal"):
        assert (await browser(None, path)).status_code in (401, 404)


async def test_a_link_has_no_powers_of_a_key_and_a_key_none_of_a_link(
    two: tuple[Client, Client, str, str], browser: Any, ana: httpx.AsyncClient, key: str
) -> None:
    acme, _, token, _ = two
    spec = Documented().spec
    ids = {
        "company_id": acme.company, "job_order_id": acme.order,
        "person_id": acme.people["Ada Byron"], "slug": "talent",
        "number": "1",
    }  # fmt: skip
    tried = 0
    for template, item in spec["paths"].items():
        for method, operation in item.items():
            if operation["security"] == []:
                continue
            path = re.sub(r"\{(\w+)\}", lambda m: ids.get(m[1], acme.order), template)
            secret = key if template.startswith("/portal") else token
            answer = await ana.request(
                method, path, headers={"Authorization": f"Bearer {secret}"}, json={}
            )
            code = "link-missing" if template.startswith("/portal") else "key-missing"
            problem(answer, 401, code)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize("end", ["expired", "withdrawn", "contact left", "contact erased"])
async def test_a_link_that_is_over_opens_nothing(
    client: Client, browser: Any, end: str, ledger: Ledger
) -> None:
    ana, ada = client.ana, await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    shared = await client.share(shortlist)
    token, moment = shared["token"], now()
    await sees(browser, token)
    match end:
        case "expired":
            moment += timedelta(days=15)
        case "withdrawn":
            body = {"link_id": shared["created"]}
            await written(ana, f"{client.path}/{shortlist}/withdrawals", body)
        case "contact left":
            left = {"company_id": client.company, "ends_on": "2024-12-31"}
            await written(ana, f"/people/{client.manager}/employments/ends", left)
        case _:
            ledger.store.destroy_key(UUID(client.manager))
    with stopped_at(moment):
        answers = [
            await browser(token),
            await browser(token, "/portal/verdicts", {"candidate": "A", "verdict": "hold"}),
            await browser(token, "/portal/comments", {"text": "Hello"}),
        ]
    for answer in answers:
        body = problem(answer, 410, "link-is-over")
        assert set(body) == {"type", "title", "status", "detail", "request_id"}
        assert "Ada" not in answer.text


async def test_who_was_taken_off_is_gone_and_cannot_be_judged(client: Client, browser: Any) -> None:
    ada, ben = await client.candidate("Ada Byron"), await client.candidate("Ben Oduya")
    shortlist = await client.draw({"person_id": ada}, {"person_id": ben})
    token = (await client.share(shortlist))["token"]
    assert "Ben Oduya" in (await browser(token)).text
    versions = f"{client.path}/{shortlist}/versions"
    await written(client.ana, versions, {"people": [{"person_id": ada}]})
    assert "Ben" not in (await browser(token)).text
    for path, rest in (("verdicts", {"verdict": "hold"}), ("comments", {"text": "Hello"})):
        for label in ("B", "C"):
            answer = await browser(token, f"/portal/{path}", {"candidate": label} | rest)
            body = problem(answer, 404, "no-such-candidate")
            assert set(body) == {"type", "title", "status", "detail", "request_id", "candidate"}
    for label in (ben, "b", "", "A\n"):
        answer = await browser(token, "/portal/verdicts", {"candidate": label, "verdict": "hold"})
        assert "/candidate" in faults(answer)


@pytest.mark.parametrize(
    "why", ["do not contact", "no consent", "closed", "erased", "erased for ever"]
)
async def test_who_may_no_longer_be_shown_is_a_label_and_nothing_else(
    client: Client, browser: Any, why: str, ledger: Ledger
) -> None:
    ana = client.ana
    ada, ben = await client.candidate("Ada Byron"), await client.candidate("Ben Oduya")
    shortlist = await client.draw(
        {"person_id": ada, "headline": "Programmer"}, {"person_id": ben}, text="Ada is the one"
    )
    token = (await client.share(shortlist))["token"]
    said = {"candidate": "A", "verdict": "interview", "text": "Ada please"}
    assert (await browser(token, "/portal/verdicts", said)).status_code == 201
    at = datetime.now(UTC).isoformat()
    match why:
        case "do not contact":
            stop = {"kind": "person.do_not_contact_set", "set_at": at}
            await written(ana, f"/people/{ada}/permissions", stop)
        case "no consent":
            stop = {"kind": "person.consent_withdrawn", "withdrawn_at": at}
            await written(ana, f"/people/{ada}/permissions", stop)
        case "closed":
            out = {"stage": "withdrawn", "reason": "other_job", "decided_by": "candidate"}
            await written(ana, f"{client.candidacies['Ada Byron']}/moves", out)
        case "erased for ever":
            await written(ana, f"/people/{ada}/erasure", {})
        case _:
            ledger.store.destroy_key(UUID(ada))
    answer = await browser(token)
    assert "Ada" not in answer.text
    assert "Programmer" not in answer.text
    gone, there = answer.json()["candidates"]
    assert gone == {
        "candidate": "A", "available": False, "name": None, "works_at": [], "headline": "",
        "text": "", "verdict": None, "comments": [],
    }  # fmt: skip
    assert there["name"] == "Ben Oduya"
    for path, rest in (("verdicts", {"verdict": "hold"}), ("comments", {"text": "Hello"})):
        refused = await browser(token, f"/portal/{path}", {"candidate": "A"} | rest)
        body = problem(refused, 409, "not-available")
        assert set(body) == {"type", "title", "status", "detail", "request_id", "candidate"}


async def test_who_is_blind_is_not_told_by_what_was_written_of_them(
    client: Client, browser: Any
) -> None:
    ana = client.ana
    works = (await written(ana, "/companies", {"name": "Difference Works GmbH"}))["id"]
    zoe = await client.candidate("Zoë Byron-Lovelace")
    job = {"company_id": works, "title": "Head of Looms"}
    await written(ana, f"/people/{zoe}/employments", job)
    told = (
        "ZOE BYRON is at Difference works since 2019-2021; lovelace's mail is zoe@work.example,"
        " +44 20 7946 0958, https://www.linkedin.com/in/zoe, linkedin.com/in/zb. Saved 10 000 000."
    )
    shortlist = await client.draw(
        {"person_id": zoe, "headline": "Named: Head of Looms", "text": "Zoë Byron, by name"},
    )
    versions = f"{client.path}/{shortlist}/versions"
    await written(ana, versions, {"people": [{"person_id": zoe, "blind": True}]})
    token = (await client.share(shortlist))["token"]
    [shown] = (await sees(browser, token))["candidates"]
    assert (shown["headline"], shown["text"]) == ("", ""), "what was written of them by name stays"
    person = {"person_id": zoe, "blind": True, "headline": "Zoë, a lead", "text": told}
    await written(ana, versions, {"people": [person], "text": "Byron is strong"})
    answer = await browser(token)
    for word in (
        "zo",
        "byron",
        "lovelace",
        "difference",
        "works",
        "looms",
        "7946",
        "linkedin",
        "@",
    ):
        hidden = answer.text.casefold().replace("works_at", "")
        assert word not in hidden, word
    [shown] = answer.json()["candidates"]
    assert "2019-2021" in shown["text"]
    assert "10 000 000" in shown["text"]


async def test_a_refusal_in_the_portal_tells_nothing_of_ours(client: Client, browser: Any) -> None:
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    token = (await client.share(shortlist))["token"]
    answer = await browser(token, "/portal/verdicts", {"candidate": "A", "verdict": "reject"})
    assert problem(answer, 422, "rejection-needs-reason")["field"] == "reason"
    answer = await browser(token, "/portal/comments", {"text": "  "})
    assert problem(answer, 422, "nothing-said")["field"] == "text"
    named = {"candidate": "A", "verdict": "reject", "reason": "ada_byron", "text": "x" * 4001}
    assert {"/reason", "/text"} <= faults(await browser(token, "/portal/verdicts", named)).keys()
    sent = {"candidate": "A", "verdict": "Zyxw", "text": ["Zyxw"], "person_id": ada}
    answer = await browser(token, "/portal/verdicts", sent)
    assert {"/verdict", "/text", "/person_id"} <= faults(answer).keys()
    key = {"Idempotency-Key": "one"}
    body = {"candidate": "A", "verdict": "hold"}
    first, again = [await browser(token, "/portal/verdicts", body, **key) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json(), "the first answer again"
    replayed = [each.headers.get("idempotency-replayed") for each in (first, again)]
    assert replayed == [None, "true"]
    answer = await browser(token, "/portal/verdicts", body | {"text": "x"}, **key)
    reused = answer
    problem(reused, 422, "key-reused")
    for answer in (reused, await browser(token), await browser("lcrs_x")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        for id in (ada, client.company, shortlist, client.manager, "Ada B"):
            assert answer.status_code == 200 or id not in answer.text


async def test_a_link_cannot_flood_the_ledger_or_the_server(
    client: Client, browser: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal, "TAKEN", {"GET": 2, "POST": 3})
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    token, other = [(await client.share(shortlist))["token"] for _ in range(2)]
    for n in range(3):
        answer = await browser(token, "/portal/comments", {"text": f"Comment {n}"})
        assert answer.status_code == 201
        assert answer.headers["ratelimit-policy"] == '"link";q=3;w=60'
        assert answer.headers["ratelimit"].startswith(f'"link";r={2 - n};t=')
    head = await ledger.head()
    answer = await browser(token, "/portal/comments", {"text": "One more"})
    problem(answer, 429, "too-much-asked")
    assert 30 < int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit"] == f'"link";r=0;t={answer.headers["retry-after"]}'
    assert await ledger.head() == head
    for _ in range(2):
        await sees(browser, token)
    problem(await browser(token), 429, "too-much-asked")
    await sees(browser, other)
    monkeypatch.setattr(portal, "TAKEN_S", 0.0)
    await sees(browser, token)


async def test_a_read_model_that_is_behind_shows_nothing_old_and_nobody_saw_it(
    client: Client, browser: Any, ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    token = (await client.share(shortlist))["token"]  # and nobody projects it
    answer = await ana.get("/portal/shortlist", headers={"Authorization": f"Bearer {token}"})
    body = problem(answer, 503, "read-model-behind")
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert await ledger.of_kinds(ShortlistSeen) == []
    await sees(browser, token)
    assert len(await ledger.of_kinds(ShortlistSeen)) == 1


async def test_a_version_that_is_drawn_meanwhile_is_looked_at_again(
    client: Client, browser: Any, ledger: Ledger, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody saw a version that they were not shown."""
    ada = await client.candidate("Ada Byron")
    shortlist = await client.draw({"person_id": ada})
    token = (await client.share(shortlist))["token"]
    saw, left = portal._saw, [1]

    async def drawing_first(*args: Any) -> None:
        if left.pop() if left else 0:
            versions = f"{client.path}/{shortlist}/versions"
            await written(client.ana, versions, {"people": [{"person_id": ada}]})
            project()
        await saw(*args)

    monkeypatch.setattr(portal, "_saw", drawing_first)
    assert (await sees(browser, token))["version"] == 2
    assert [entry.event.version for entry in await ledger.of_kinds(ShortlistSeen)] == [2]
