"""Confidential job orders: whoever does not work on one finds nothing that names it, anywhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar

from api.journey import ADA, ENGINES, FEE, ORDER, found, problem, written
from ledger_crm.api import caller, confidential, snapshots
from ledger_crm.api.examples import EXAMPLES
from ledger_crm.api.openapi import _handlers, _types_of
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain.access import Holder
from ledger_crm.domain.clock import now
from ledger_crm.domain.entry import Actor, new_id
from ledger_crm.ledger import Ledger, NoSuchRecord

pytestmark = pytest.mark.anyio

TITLE = "Successor of the treasurer"
CID, BEN = "consultant:cid", "consultant:ben"
MIA, NORA = "consultant:mia", "consultant:nora"

AT = "2024-05-01T09:00:00Z"

Keys = dict[str, dict[str, str]]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidential, "TRUST_S", 0.0)


@pytest.fixture
async def keys(ledger: Ledger, key: str) -> Keys:
    headers = {}
    for actor, role in (
        (CID, "consultant"), (BEN, "consultant"), (MIA, "manager"), (NORA, "manager"),
        ("integration:warehouse", "analyst"), ("consultant:owner", "owner"),
    ):  # fmt: skip
        _, text = await create_key(ledger, actor=actor, role=role)
        headers[actor.partition(":")[2]] = {"Authorization": f"Bearer {text}"}
    return headers


@pytest.fixture
async def search(ana: httpx.AsyncClient, project: Callable[[], None]) -> dict[str, str]:
    """A confidential one that cid works on, with somebody on it; mia is in a team with cid."""
    company = (await written(ana, "/companies", ENGINES))["id"]
    path = f"/companies/{company}/job-orders"
    order = (await written(ana, path, ORDER | {"title": TITLE, "confidential": True}))["created"]
    staffed = {
        "kind": "company.job_order_staffed",
        "job_order_id": order,
        "staffed_at": AT,
        "owner": CID,
        "shares": [{"consultant": CID, "share_bp": 10_000}],
    }
    await written(ana, f"{path}/steps", staffed)
    person = (await written(ana, "/people", ADA))["id"]
    opening = {"company_id": company, "job_order_id": order}
    candidacy = (await written(ana, f"/people/{person}/candidacies", opening))["created"]
    way = f"/people/{person}/candidacies/{candidacy}/rights-to-represent"
    await written(ana, way, {})
    drawn = {"job_order_id": order, "people": [{"person_id": person, "headline": "Fits"}]}
    shortlist = (await written(ana, f"/companies/{company}/shortlists", drawn))["created"]
    for who, name in ((CID, "Cid"), (MIA, "Mia"), (NORA, "Nora")):
        await written(ana, "/consultants", {"consultant": who, "name": name})
    await ana.put("/teams/north", json={"slug": "north", "title": "North"})
    for who in (CID, MIA):
        joined = {"kind": "team.joined", "consultant": who, "joined_on": "2024-01-01"}
        await written(ana, "/teams/north/members", joined)
    project()
    return {
        "company": company, "order": order, "person": person, "candidacy": candidacy,
        "shortlist": shortlist, "bare": order.replace("-", "").upper(),
    }  # fmt: skip


LISTS = (
    "/job-orders", "/job-orders?status=open", "/candidates", "/candidates?person_id={person}",
    "/people/{person}/history", "/companies/{company}/history", "/companies/{company}",
    "/people/{person}", "/shortlists", "/applications", "/day",
    "/accounts", "/interviews", "/offers", "/fees", "/introductions", "/placements",
    "/candidates/changes?from=0", "/candidates/changes/stages?from=0",
    "/candidates/changes?from=0&company_id={company}",
)  # fmt: skip
OF_IT = (
    "/job-orders/{order}", "/candidates/{candidacy}", "/job-orders/{order}/posting",
    "/candidates?job_order_id={order}", "/job-orders/{order}/screening",
    "/candidates/counts?job_order_id={order}", "/shortlists/{shortlist}",
    "/companies/{company}/shortlists/{shortlist}/preview", "/job-orders/{order}/market-map",
    "/candidates/counts?job_order_id={bare}", "/candidates?job_order_id={bare}",
    "/candidates/changes?from=0&job_order_id={order}",
    "/candidates/changes/stages?from=0&job_order_id={order}",
)  # fmt: skip


async def test_whoever_does_not_work_on_it_finds_nothing_that_names_it(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    project()
    for who, sees in (
        ("owner", True), ("cid", True), ("mia", True), ("ben", False), ("nora", False),
        ("warehouse", False),
    ):  # fmt: skip
        head, told = (await ana.get("/people")).headers["Ledger-Position"], ""
        for path in LISTS:
            for accept in ("application/json", "text/csv"):
                headers = keys[who] | {"Accept": f"{accept}, application/json;q=0.1"}
                for again in ("", f"as_of={head}"):
                    url = path.format(**search)
                    url += ("&" if "?" in url else "?") + again if again else ""
                    answer = await ana.get(url, headers=headers)
                    if answer.status_code == 200:
                        told += answer.text
                    else:
                        assert answer.status_code == 403 or as_of_now_alone(answer), answer.text
        words = {"words": "treasurer successor"}  # by which its client is found
        hits = await ana.post("/search/lookups", json=words, headers=keys[who])
        assert [each["id"] for each in hits.json()["items"]] == [search["company"]] * sees, who
        assert (TITLE in told) == sees, who
        assert (search["order"] in told) == sees, who
        for path in OF_IT:
            answer = await ana.get(path.format(**search), headers=keys[who])
            if sees:
                assert answer.status_code == 200, (who, path, answer.text)
            else:
                problem(answer, 404, "no-such-record")


def as_of_now_alone(answer: httpx.Response) -> bool:
    return answer.status_code == 400 and "as of now alone" in answer.text


async def test_it_is_asked_for_as_if_it_were_not_there_whatever_else_is_asked(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    """Whoever keeps an id from before would be told that it has become confidential."""
    project()
    order, company, made_up = search["order"], search["company"], str(uuid4())
    of, among = f"/job-orders/{order}", f"job_order_id={order}"
    for path in (
        of, f"{of}/posting", f"{of}/screening", f"{of}/market-map", f"{of}?after=999999",
        f"{of}?as_of=999999", f"/companies/{company}{of}/terms",
        f"/companies/{made_up}{of}/terms", f"/people/{search['person']}/conflicts?{among}",
        f"/candidates?{among}", f"/candidates?{among}&limit=0", f"/candidates?{among}&stage=nope",
        f"/candidates?{among}&after=999999", f"/candidates?{among}&cursor=nope",
        f"/candidates?{among}&{among}", f"/candidates?{among}&company_id={made_up}",
        f"/candidates/counts?{among}", f"/candidates/counts?{among}&team=nope",
        f"/candidates/changes?from=0&{among}", f"/candidates/changes?from=999999&{among}",
        f"/candidates/changes/stages?from=0&{among}", f"/applications?{among}",
        f"/interviews?{among}", f"/offers?{among}", f"/shortlists?{among}",
        f"/people?{among}", f"/placements?{among}",
    ):  # fmt: skip
        answers = [
            await ana.get(path.replace(order, id), headers=keys["ben"]) for id in (order, made_up)
        ]
        hidden, none = [
            msgspec.json.decode(each.content.replace(order.encode(), made_up.encode()))
            | {"request_id": ""}
            for each in answers
        ]
        assert answers[0].status_code == answers[1].status_code < 500, path
        assert hidden == none, path


async def test_nobody_is_found_or_counted_by_a_candidacy_that_one_may_not_see(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    card = (await found(ana, f"/candidates/{search['candidacy']}"))["card"]
    criteria = {"stages": [card["stage"]]}
    saved = {"slug": "in_play", "title": "In play", "criteria": criteria, "cadence_days": 30}
    answer = await ana.put("/segments/in_play", json=saved)
    assert answer.status_code == 200, answer.text
    project()
    head = (await ana.get("/people")).headers["Ledger-Position"]
    for who, sees in (("cid", True), ("mia", True), ("ben", False), ("nora", False)):

        async def people(path: str, who: str = who) -> list[str]:
            answer = await ana.get(path, headers=keys[who])
            assert answer.status_code == 200, answer.text
            return [each["id"] for each in answer.json()["items"]]

        expected = [search["person"]] * sees
        for again in ("", f"&as_of={head}", "&sort=name"):
            assert await people(f"/people?stage={card['stage']}{again}") == expected, who
        assert await people("/people") == [search["person"]], "they themselves are no secret"
        assert await people("/segments/in_play/people") == expected
        assert await people("/segments/in_play/quiet") == []
        tried = await ana.post("/segments/lookups", json=criteria, headers=keys[who])
        assert [each["id"] for each in tried.json()["items"]] == expected
        lookup = {"q": "a", "criteria": criteria}
        tried = await ana.post("/people/lookups", json=lookup, headers=keys[who])
        assert [each["id"] for each in tried.json()["items"]] == expected
        segment = (await ana.get("/segments/in_play", headers=keys[who])).json()
        [listed] = (await ana.get("/segments", headers=keys[who])).json()
        assert segment["people"] == listed["people"] == sees
        counts = (await ana.get("/candidates/counts", headers=keys[who])).json()
        assert sum(each["now"] for each in counts) == sees
        assert sum(each["ever"] > 0 for each in counts) == sees
        for only in ("", f"&company_id={search['company']}"):
            path = f"/candidates/changes/stages?from=0{only}"
            stages = (await ana.get(path, headers=keys[who])).json()
            assert sum(each["entered"] for each in stages) == sees, who
            assert sum(each["after"] for each in stages) == sees, who


async def test_whoever_is_put_forward_on_it_alone_is_not_in_the_history_of_its_client(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    """What passes between us and them names no job order, and tells who may get the chair."""
    company = search["company"]
    path = f"/companies/{company}"
    order = (await written(ana, f"{path}/job-orders", ORDER))["created"]
    names = {"Ada Byron": search["person"]}
    for name, on in (
        ("Charles Babbage", order), ("Mary Somerville", ""), ("Augusta King", ""),
        ("Lord Byron", ""),
    ):  # fmt: skip
        person = names[name] = (await written(ana, "/people", {"name": name}))["id"]
        for of in filter(None, (on, search["order"] if name != "Augusta King" else "")):
            opening = {"company_id": company, "job_order_id": of}
            await written(ana, f"/people/{person}/candidacies", opening)
    employed = {"company_id": company, "title": "Head"}
    await written(ana, f"/people/{names['Mary Somerville']}/employments", employed)
    for name in "Ada Byron", "Lord Byron":
        note = {"kind": "person.note_written", "text": f"{name} is ready to go"}
        await written(ana, f"/people/{names[name]}/interactions", note)
    project()
    head = (await ana.get("/people")).headers["Ledger-Position"]

    async def told(who: str, again: str) -> set[str]:
        """Whose coming to us is in it."""
        url = f"{path}/history?limit=200&{again}"
        answer = await ana.get(url, headers=keys[who])
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        counted = await ana.get(f"{url}&count=true", headers=keys[who])
        assert counted.headers["Total-Count"] == str(len(items))
        csv = await ana.get(url, headers=keys[who] | {"Accept": "text/csv"})
        shown = {name for name, id in names.items() if id in answer.text}
        assert shown == {name for name in names if name in csv.text}
        assert "ready to go" in answer.text or not shown & {"Ada Byron", "Lord Byron"}
        return shown

    there = {"Charles Babbage", "Mary Somerville"}
    for again in (
        "", f"as_of={head}", f"as_of={now():%Y-%m-%dT%H:%M:%S.%fZ}&known=now",
        "kind=person.sourced", "by=consultant:ana", "since=2020-01-01", "sort=kind",
    ):  # fmt: skip
        for who in ("ben", "nora"):
            assert await told(who, again) == there, (who, again)
        if "kind=" not in again:
            for who in ("owner", "cid", "mia"):
                assert await told(who, again) == there | {"Ada Byron", "Lord Byron"}, (who, again)

    # whoever turns out to be somebody who works there belongs to it by that
    await written(ana, f"/people/{names['Augusta King']}/employments", employed)
    merge = {"duplicate_id": names["Lord Byron"]}
    await written(ana, f"/people/{names['Augusta King']}/merges", merge)
    project()
    theirs = await ana.get(f"{path}/history?limit=200", headers=keys["ben"])
    assert "Lord Byron is ready to go" in theirs.text
    assert "Ada Byron is ready to go" not in theirs.text


async def test_what_is_part_of_it_is_not_read_alone_either(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    person, candidacy = search["person"], search["candidacy"]
    await written(ana, f"/companies/{search['company']}/fees", FEE)
    way = f"/people/{person}/candidacies/{candidacy}"
    await written(ana, f"{way}/introductions", {})
    meeting = {
        "kind": "person.interview_arranged", "candidacy_id": candidacy, "duration_s": 3600,
        "starts_at": "2030-05-08T09:00:00Z", "form": "video", "arranged_at": now().isoformat(),
    }  # fmt: skip
    interview = (await written(ana, f"/people/{person}/interviews", meeting))["created"]
    offered = {
        "kind": "person.offer_made", "candidacy_id": candidacy, "first_year_pay_cents": 8_000_000,
        "currency": "EUR", "made_at": now().isoformat(),
    }  # fmt: skip
    offer = (await written(ana, f"/people/{person}/offers", offered))["created"]
    project()
    for path in f"/interviews/{interview}", f"/offers/{offer}":
        for who, sees in (("cid", True), ("ben", False), ("warehouse", False)):
            answer = await ana.get(path, headers=keys[who])
            assert (search["order"] in answer.text) == sees
            if not sees:
                nothing = await ana.get(f"{path[:-12]}{'0' * 12}", headers=keys[who])
                assert [*problem(answer, 404, "no-such-record")] == [*nothing.json()]


async def test_no_page_is_short_and_no_cursor_ends_at_what_is_hidden(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    """Either would tell that something is there."""
    company, open_to_all = search["company"], dict[str, str]()
    path = f"/companies/{company}/job-orders"
    order = (await written(ana, path, ORDER))["created"]
    for n in range(8):  # seen and hidden ones, the last of them hidden
        person = (await written(ana, "/people", {"name": f"Person {n}"}))["id"]
        of = order if n in (1, 2, 5) else search["order"]
        opening = {"company_id": company, "job_order_id": of}
        made = await written(ana, f"/people/{person}/candidacies", opening)
        if of == order:
            open_to_all[made["created"]] = person
    project()
    for listed, many in ("/candidates", 3), (f"/companies/{company}/history", 5):
        for limit in 1, 2, 3, 200:
            told, pages, cursor = list[Any](), 0, {}
            while cursor is not None:
                asked = {"limit": limit} | cursor
                page = (await ana.get(listed, params=asked, headers=keys["ben"])).json()
                told, pages = told + page["items"], pages + 1
                assert page["next"] is None or len(page["items"]) == limit
                cursor = {"cursor": page["next"]} if page["next"] else None
            whole = (await ana.get(listed, params={"limit": 200}, headers=keys["ben"])).json()
            assert told == whole["items"]
            assert len(told) >= many
            assert pages == -(-len(told) // limit), "nor is one empty"
    cards = (await ana.get("/candidates", headers=keys["ben"])).json()["items"]
    assert [each["id"] for each in cards] == list(open_to_all)[::-1]
    assert len((await found(ana, "/candidates"))["items"]) == 9


async def test_the_short_way_is_as_the_long_one(
    ana: httpx.AsyncClient,
    search: dict[str, str],
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caller, "TRUST_S", 60.0)
    monkeypatch.setattr(confidential, "TRUST_S", 60.0)
    path = f"/companies/{search['company']}/history"
    for who, sees in (("ben", False), ("cid", True)):
        for _ in range(3):
            answer = await ana.get(path, headers=keys[who])
            assert (search["order"] in answer.text) == sees, who


async def test_who_follows_the_ledger_is_told_that_something_was_written_and_not_what(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys
) -> None:
    whole = (await found(ana, "/events?limit=200"))["items"]
    answer = await ana.get("/events?limit=200", headers=keys["warehouse"])
    told = answer.json()["items"]
    assert [each["position"] for each in told] == [each["position"] for each in whole]
    assert search["order"] not in answer.text
    of_it = {e["position"] for e in whole if search["order"] in msgspec.json.encode(e).decode()}
    kinds = {each["kind"] for each in whole if each["position"] in of_it}
    assert kinds >= {
        "company.job_order_opened", "person.candidacy_opened", "person.presentation_written",
        "company.shortlist_drawn",
    }  # fmt: skip
    for was, each in zip(whole, told, strict=True):
        untold = {
            "position": was["position"], "recorded_at": was["recorded_at"], "kind": "hidden",
            "stream": str(UUID(int=0)), "version": 0, "by": "", "cause": "", "through": "",
            "fact": {"kind": "hidden"}, "sealed": [],
        }  # fmt: skip
        assert each == (untold if was["position"] in of_it else was)
    lines = await ana.get(
        "/events?limit=200", headers=keys["warehouse"] | {"Accept": "application/x-ndjson"}
    )
    assert [msgspec.json.decode(line) for line in lines.text.splitlines()] == told


async def test_what_is_hidden_is_not_found_by_kind_or_stream_and_no_page_ends_at_it(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    person = search["person"]
    await written(
        ana, f"/people/{person}/interactions", {"kind": "person.note_written", "text": "x"}
    )
    other = await written(ana, "/people", {"name": "Charles Babbage"})
    project()
    head = (await ana.get("/people")).headers["Ledger-Position"]
    for asked in ("kind=person.candidacy_opened", "kind=person.candidacy_opened,person.sourced"):
        assert search["order"] in (await ana.get(f"/events?{asked}")).text, "that is no attack"
    for limit in (1, 2, 200):
        for kind, streams in (
            ("person.candidacy_opened", []),
            ("person.candidacy_opened,person.sourced", [person, other["id"]]),
        ):
            for stream in ("", f"&stream={person}"):
                pages, cursor, expected = [], "", [s for s in streams if not stream or s == person]
                while not pages or pages[-1]["next"]:
                    url = f"/events?kind={kind}&limit={limit}{stream}{cursor}"
                    pages.append((await ana.get(url, headers=keys["warehouse"])).json())
                    cursor = f"&cursor={pages[-1]['next']}"
                items = [each for page in pages for each in page["items"]]
                assert [each["stream"] for each in items] == expected
                ends = {page["position"] for page in pages} - {int(head)}
                assert ends <= {each["position"] for each in items}
    url = f"/events?stream={person}&limit=200"
    told = (await ana.get(url, headers=keys["warehouse"])).json()["items"]
    assert {each["kind"] for each in told} >= {"person.sourced", "person.note_written"}
    assert "hidden" not in {each["kind"] for each in told}


async def test_a_webhook_is_added_by_who_may_be_told_everything(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    hook = {"url": "https://payroll.example/hooks"}
    for scopes, status in ((["webhooks.write"], 403), (["webhooks.write", confidential.ALL], 201)):
        _, text = await create_key(ledger, actor="integration:hr", role="analyst", scopes=scopes)
        headers = {"Authorization": f"Bearer {text}"}
        answer = await ana.post("/webhooks", json=hook, headers=headers)
        assert answer.status_code == status, answer.text
    assert status == 201


ON_AN_ORDER = {
    "job_order_id", "candidacy_id", "interview_id", "offer_id", "agreement_id", "shortlist_id",
    "instalment_id",
}  # fmt: skip
"""What a write may name that is on a job order, or is one."""
OF_NO_ORDER = {
    "person_id", "company_id", "other_id", "duplicate_id", "target_id", "parent_id", "contact_id",
    "hiring_manager_id", "interviewer_id", "interviewer_ids", "to_person_id", "to_company_id",
    "by_person_id", "by_company_id", "with_person_id", "with_company_id", "signed_by_id",
    "partner_id", "mentions", "referral_id", "deal_id", "document_id", "follow_up_id", "hold_id",
    "webhook_id", "value",
    "link_id",  # of the shortlist that is named with it
    "replaces_id",  # in the books of the order that is named with it, or there is none
    "invoice_id",  # which managers see: decision 56
}  # fmt: skip


def named_in(type_: Any) -> Iterator[str]:
    """Names of the fields of a body that hold ids, however deep."""
    match type_:
        case msgspec.inspect.StructType(fields=fields):
            for field in fields:
                if holds_ids(field.type):
                    yield field.encode_name
                yield from named_in(field.type)
        case msgspec.inspect.UnionType(types=types):
            for each in types:
                yield from named_in(each)
        case msgspec.inspect.Metadata(type=inner):
            yield from named_in(inner)
        case (
            msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item)
        ):
            yield from named_in(item)
        case msgspec.inspect.DictType(value_type=value):
            yield from named_in(value)


def holds_ids(type_: Any) -> bool:
    match type_:
        case msgspec.inspect.UUIDType():
            return True
        case msgspec.inspect.UnionType(types=types):
            return any(map(holds_ids, types))
        case msgspec.inspect.Metadata(type=inner):
            return holds_ids(inner)
        case (
            msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item)
        ):
            return holds_ids(item)
    return False


def believable(member: type[msgspec.Struct], name: str) -> dict[str, Any]:
    """A body of this kind: an example, or what has to be in it."""
    tag = member.__struct_config__.tag
    for example in EXAMPLES[name].values():
        if "kind" not in example or example["kind"] == tag:
            return dict(example)
    body: dict[str, Any] = {"kind": tag}
    for field in msgspec.structs.fields(member):
        if field.required:
            by_end = {"_at": AT, "_on": "2026-06-01", "_id": str(uuid4())}
            body[field.encode_name] = by_end.get(field.encode_name[-3:], 1)
    for field in msgspec.structs.fields(member):
        if field.encode_name == "reason":
            body["reason"] = "budget"
    return body


Attack = tuple[str, str, str, dict[str, Any], list[str]]


def attacks(app: Litestar) -> Iterator[Attack]:
    """Each write that names something of a job order: its name, method, template, body, and the
    fields by which it does."""
    for path, method, handler in _handlers(app):
        if method.lower() not in ("post", "put") or path.startswith("/portal"):
            continue
        name, taken = handler.handler_name, _types_of(handler)[0]
        in_path = re.findall(r"{(\w+_id)", path)
        members = get_args(taken) if taken and not isinstance(taken, type) else (taken,)
        for member in members:
            if member is None or not isinstance(member, type):
                continue
            makes = {
                field.encode_name
                for field in msgspec.structs.fields(member)
                if field.default_factory is new_id
            }
            in_body = {*named_in(msgspec.inspect.type_info(member))} - makes
            strange = {*in_path, *in_body} - ON_AN_ORDER - OF_NO_ORDER
            assert not strange, f"{name}: say here whether {strange} may be of a job order"
            if things := sorted(ON_AN_ORDER & {*in_path, *in_body}):
                yield name, method, path, believable(member, name), things


@pytest.fixture
async def things(
    ana: httpx.AsyncClient, search: dict[str, str], project: Callable[[], None]
) -> dict[str, str]:
    """All that may be on the confidential one."""
    company, order, person = search["company"], search["order"], search["person"]
    fee = EXAMPLES["agree_fee"]["a retained search in thirds"] | {
        "job_order_id": order, "agreed_at": ORDER["opened_at"], "tail_months": 12,
    }  # fmt: skip
    agreement = (await written(ana, f"/companies/{company}/fees", fee))["created"]
    on = f"/people/{person}/candidacies/{search['candidacy']}"
    await written(ana, f"{on}/introductions", {})
    beside = {"candidacy_id": search["candidacy"]}
    interview = EXAMPLES["record_interview"]["arranged"] | beside | {"interviewer_ids": []}
    offer = EXAMPLES["record_offer"]["made"] | beside | {"currency": "EUR"}
    made = {
        "interview_id": (await written(ana, f"/people/{person}/interviews", interview))["created"],
        "offer_id": (await written(ana, f"/people/{person}/offers", offer))["created"],
    }
    for subject, slug, type_ in (
        ("job_order", "team_size", "number"), ("placement", "cost_centre", "text"),
    ):  # fmt: skip
        field = {"subject": subject, "slug": slug, "label": "Asked", "type": type_}
        answer = await ana.put(f"/custom-fields/{subject}/{slug}", json=field)
        assert answer.status_code in (200, 201), answer.text
    other = (await written(ana, "/companies", {"name": "Weavers"}))["id"]
    boss = (await written(ana, "/people", {"name": "George Airy"}))["id"]
    job = {"company_id": company, "title": "Head", "role": "hiring_manager"}
    await written(ana, f"/people/{boss}/employments", job)
    deal = (await written(ana, f"/companies/{company}/deals", {"title": "Search"}))["created"]
    project()
    [due] = (await found(ana, f"/instalments?company_id={company}"))["items"]
    return made | {
        "company_id": company, "person_id": person, "target_id": other, "job_order_id": order,
        "candidacy_id": search["candidacy"], "shortlist_id": search["shortlist"],
        "agreement_id": agreement, "instalment_id": due["id"], "deal_id": deal,
        "signed_by_id": boss, "to_person_id": boss, "hiring_manager_id": boss,
    }  # fmt: skip


async def test_a_write_that_names_something_of_it_is_answered_as_if_there_were_none(
    ana: httpx.AsyncClient, app: Litestar, things: dict[str, str], keys: Keys
) -> None:
    """By each route that there is, in each of its forms, by whoever has the permission and not the
    sight; sent alone, and in a batch."""

    def as_sent(attack: Attack, ids: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
        _, method, template, body, fields = attack
        path = re.sub(r"{(\w+?)(:\w+)?}", lambda name: ids[name[1]], template)
        in_path = re.findall(r"{(\w+_id)", template)
        asked = {*fields, *body} - {*in_path}
        told: dict[str, Any] = {name: id for name, id in ids.items() if name in asked}
        if "people" in body:
            told["people"] = [{"person_id": ids["person_id"], "headline": "Fits"}]
        return method, path, body | told

    async def answer(who: str, attack: Attack, ids: dict[str, str]) -> tuple[int, str, str]:
        method, path, body = as_sent(attack, ids)
        url = f"{path}?dry_run=true"
        said = await ana.request(method, url, json=body, headers=keys[who])
        text = said.text.replace(said.headers["x-request-id"], "")
        for id in {*ids.values(), *things.values()}:
            text = text.replace(id, "")
        return said.status_code, said.json().get("type", ""), text

    every = [*attacks(app)]
    assert len({name for name, *_ in every}) > 25, "there are fewer than there were"
    unknown = things | {name: str(uuid4()) for name in ON_AN_ORDER}
    for attack in every:
        name, _, _, _, fields = attack
        seen, unseen = await answer("owner", attack, things), await answer("nora", attack, things)
        nothing = await answer("nora", attack, unknown)
        assert seen != await answer("owner", attack, unknown), f"{name}: that is no attack: {seen}"
        assert seen[0] not in (400, 415), f"{name}: {seen}"
        assert unseen == nothing, name
        for field in fields if len(fields) > 1 else ():  # the other one is nobody's, or theirs
            one = unknown | {field: things[field]}
            assert await answer("nora", attack, one) == nothing, f"{name} by {field}"

    commands = []
    for attack in every:
        method, path, body = as_sent(attack, things)
        commands.append({"method": method.upper(), "path": path, "body": body})
    for together in (False, True):
        for command in commands if together else (None,):
            batch = {"commands": [command] if command else commands, "all_or_nothing": together}
            said = await ana.post("/batch?dry_run=true", json=batch, headers=keys["nora"])
            results = [said.status_code] if together else [
                each["status"] for each in said.json()["results"]
            ]  # fmt: skip
            assert {*results} == {404}, said.text


async def test_an_id_of_it_is_refused_however_it_is_written(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys
) -> None:
    other = (await written(ana, "/people", {"name": "Charles Babbage"}))["id"]
    named = f'"job_order_id": "{search["order"]}"'
    for written_so in (
        named, named.upper().replace("JOB_ORDER_ID", "job_order_id"), named.replace("-", ""),
        named.replace("job_order", "job\\u005forder"),
    ):  # fmt: skip
        body = f'{{"company_id": "{search["company"]}", {written_so}}}'
        headers = keys["ben"] | {"Content-Type": "application/json"}
        answer = await ana.post(f"/people/{other}/candidacies", content=body, headers=headers)
        problem(answer, 404, "no-such-job-order")


async def test_a_merge_does_not_tell_that_both_are_on_it(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    """Answered as with somebody who is on none; those who see the order have them on it twice."""
    person, order = search["person"], search["order"]
    twin, nobody = [
        (await written(ana, "/people", {"name": name}))["id"] for name in ("A. Byron", "A. King")
    ]
    opening = {"company_id": search["company"], "job_order_id": order}
    other = (await written(ana, f"/people/{twin}/candidacies", opening))["created"]
    project()
    path = f"/people/{person}/merges"

    async def tried(duplicate: str, who: str) -> httpx.Response:
        merge = {"duplicate_id": duplicate}
        return await ana.post(f"{path}?dry_run=true", json=merge, headers=keys[who])

    for who in ("owner", "cid", "mia"):
        told = problem(await tried(twin, who), 409, "both-on-job-order")
        assert told["job_order_ids"] == [order]
    for who in ("ben", "nora"):
        said, control = await tried(twin, who), await tried(nobody, who)
        assert said.status_code == control.status_code == 200, said.text
        kinds = [[each["kind"] for each in one.json()["entries"]] for one in (said, control)]
        assert kinds[0] == kinds[1]
    answer = await ana.post(path, json={"duplicate_id": twin}, headers=keys["ben"])
    assert answer.status_code == 201, answer.text
    project()
    board = (await ana.get(f"/candidates?job_order_id={order}", headers=keys["cid"])).json()
    cards = {each["id"]: each["person_id"] for each in board["items"]}
    assert cards == {search["candidacy"]: person, other: person}
    way = f"/people/{person}/candidacies/{other}/moves"
    closing = EXAMPLES["move_candidacy"]["out"]
    shut = await ana.post(way, json=closing, headers=keys["cid"])
    assert shut.status_code == 201, shut.text


async def test_a_hire_past_us_from_it_is_not_told(
    ana: httpx.AsyncClient, things: dict[str, str], keys: Keys, ledger: Ledger
) -> None:
    _, text = await create_key(ledger, actor=NORA, role="manager", scopes=["events.read"])
    follows = {"Authorization": f"Bearer {text}"}
    url = f"/people/{things['person_id']}/employments?dry_run=true"
    job = {"company_id": things["company_id"], "title": "Treasurer"}
    versions = []
    for headers, shown in ((keys["owner"], True), (keys["nora"], False), (follows, False)):
        said = (await ana.post(url, json=job, headers=headers)).json()
        flagged = [e for e in said["entries"] if e["kind"] == "person.backdoor_suspected"]
        assert len(flagged) == shown
        assert len(said["entries"]) == 1 + shown
        versions.append(said["version"])
    assert versions == [versions[0], versions[0] - 1, versions[0] - 1]


async def test_nobody_is_found_by_what_a_candidacy_on_it_is_asked(
    ana: httpx.AsyncClient, things: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    on = f"/people/{things['person_id']}/candidacies/{things['candidacy_id']}"
    place = {"starts_on": "2026-06-01", "first_year_pay_cents": 8_500_000}
    await written(ana, f"{on}/placements", place)
    await written(ana, f"{on}/custom-fields", {"values": {"cost_centre": "Zanzibar"}})
    project()
    for who, sees in (("owner", True), ("cid", True), ("ben", False), ("nora", False)):
        hits = await ana.post("/search/lookups", json={"words": "zanzibar"}, headers=keys[who])
        expected = [things["person_id"]] * sees
        assert [each["id"] for each in hits.json()["items"]] == expected, who


async def test_the_check_before_an_approach_does_not_tell_whom_it_brought_where(
    ana: httpx.AsyncClient,
    things: dict[str, str],
    keys: Keys,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only that they are not to be approached, where a rule refuses it."""
    monkeypatch.setattr(caller, "TRUST_S", 60.0)
    person, company = things["person_id"], things["company_id"]
    on = f"/people/{person}/candidacies/{things['candidacy_id']}"
    day = now().date().isoformat()
    await written(ana, f"{on}/placements", {"starts_on": day, "first_year_pay_cents": 8_500_000})
    orders = f"/companies/{things['target_id']}/job-orders"
    search = (await written(ana, orders, ORDER))["created"]
    await written(ana, f"{orders}/targets", {
        "kind": "company.target_named", "job_order_id": search, "target_id": company,
        "named_at": AT,
    })  # fmt: skip
    project()
    head = (await ana.get("/people")).headers["Ledger-Position"]
    others, team = ("ben", "nora", "warehouse"), ("owner", "cid", "mia")

    async def told(who: str, path: str) -> Any:
        now_and_then = [
            await ana.get(f"{path}?on={day}{again}", headers=keys[who])
            for again in ("", f"&as_of={head}")
        ]
        assert {each.status_code for each in now_and_then} == {200}, now_and_then[0].text
        assert now_and_then[0].content == now_and_then[1].content
        if who in others and path.startswith("/people"):
            assert company not in now_and_then[0].text
        return now_and_then[0].json()

    async def found_there(who: str) -> list[str]:
        [target] = (await told(who, f"/job-orders/{search}/market-map"))["targets"]
        return [each["person_id"] for each in target["people"] if each["person_id"] == person]

    for who in others:
        check = await told(who, f"/people/{person}/conflicts")
        assert (check["free"], check["obstacles"], check["seats"]) == (True, [], []), who
        assert await found_there(who) == [], who
    for who in team:
        check = await told(who, f"/people/{person}/conflicts")
        assert [each["what"] for each in check["obstacles"]] == ["placed_by_us"], who
        assert await found_there(who) == [person], who

    off_limits = {"kind": "company.off_limits_agreed", "agreed_at": AT, "text": "Our client"}
    await written(ana, f"/companies/{company}/off-limits", off_limits)
    project()
    head = (await ana.get("/people")).headers["Ledger-Position"]
    unsaid = {
        "what": "off_limits", "company_id": None, "company": None, "until_on": None, "text": "",
        "agreed_with_id": None, "agreed_with": None,
    }  # fmt: skip
    for who in (*others, *team):
        check = await told(who, f"/people/{person}/conflicts")
        shown = await told(who, f"/companies/{company}/off-limits")
        [agreed] = (await told(who, "/off-limits"))["items"]
        assert not check["free"]
        if who in others:
            assert (check["obstacles"], check["seats"]) == ([unsaid], []), who
            assert (shown["people"], agreed["people"], agreed["placed"]) == ([], 0, 0), who
        else:
            assert [each["what"] for each in check["obstacles"]] == ["off_limits", "placed_by_us"]
            assert [each["person_id"] for each in shown["people"]] == [person], who
            assert (agreed["people"], agreed["placed"]) == (1, 1), who

    # and the refusal says no more than the check
    message = {"kind": "person.message_sent", "channel": "email", "message_id": "<7@us>"}
    message["sent_at"] = now().isoformat()

    async def refused(who: str) -> set[str]:
        """The facts of it."""
        facts = []
        for asked in ("", "", "?dry_run=true"):  # the second takes the short way
            url = f"/people/{person}/interactions{asked}"
            answer = await ana.post(url, json=message, headers=keys[who])
            facts.append(set(problem(answer, 403, "off-limits")))
            assert (company in answer.text) == ("company_id" in answer.json())
        assert facts[0] == facts[1] == facts[2]
        return facts[0] - {"type", "title", "status", "detail", "request_id"}

    assert [await refused(who) for who in ("ben", "nora")] == [set(), set()]
    assert await refused("cid") == {"company_id", "agreed_with_id", "since", "until_on"}

    # where they work is no secret once somebody wrote it down; that we brought them is
    job = {"company_id": company, "title": "Treasurer", "starts_on": day}
    await written(ana, f"/people/{person}/employments", job)
    project()
    check = await ana.get(f"/people/{person}/conflicts?on={day}", headers=keys["ben"])
    assert [(each["what"], each["company_id"]) for each in check.json()["obstacles"]] == [
        ("off_limits", company)
    ]
    assert await refused("ben") == await refused("cid")


async def test_one_that_no_read_model_knows_yet_is_not_written_to_by_who_does_not_see_it(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    search: dict[str, str],
    keys: Keys,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger knows that it is confidential; by whom it is seen is known where it is read."""
    monkeypatch.setattr(snapshots, "PATIENCE_S", 0.05)
    person, company = search["person"], search["company"]
    path = f"/companies/{company}/job-orders"

    async def opened(**order: Any) -> tuple[str, str]:
        made = (await written(ana, path, ORDER | order))["created"]
        opening = {"company_id": company, "job_order_id": made}
        return made, (await written(ana, f"/people/{person}/candidacies", opening))["created"]

    async def answers(order: str, candidacy: str, who: str = "ben") -> list[tuple[int, str]]:
        cancelled = {
            "kind": "company.job_order_cancelled", "job_order_id": order, "reason": "frozen",
            "cancelled_at": AT,
        }  # fmt: skip
        another = {"company_id": company, "job_order_id": order}
        told = []
        for way, body in (
            (f"/people/{person}/candidacies/{candidacy}/moves", {"stage": "screening"}),
            (f"/people/{person}/candidacies", another),
            (f"{path}/steps", cancelled),
        ):
            for trying in ("?dry_run=true", ""):
                answer = await ana.post(way + trying, json=body, headers=keys[who])
                told.append((answer.status_code, answer.json().get("type", "")))
        return told

    later = await opened()
    project()
    change = {"kind": "company.job_order_changed", "confidential": True, "changed_at": AT}
    await written(ana, f"{path}/steps", change | {"job_order_id": later[0]})
    new = await opened(confidential=True)
    head = await ledger.head()
    for one in new, later:
        assert await answers(*one) == [(503, "/problems/read-model-behind")] * 6
    assert await ledger.head() == head
    way = f"/people/{person}/candidacies/{search['candidacy']}/moves"
    moved = await ana.post(way, json={"stage": "screening"}, headers=keys["cid"])
    assert moved.status_code == 201, "who is known to work on one waits for nothing"
    plain = [status for status, _ in await answers(*await opened())]
    assert plain == [200, 201, 409, 409, 200, 201], "nothing waits for what is no secret"
    project()
    for one in new, later:
        assert {status for status, _ in await answers(*one)} == {404}
        assert [status for status, _ in await answers(*one, "owner")] == plain


async def test_whoever_waits_for_a_read_model_keeps_nobody_else_from_the_record(
    ana: httpx.AsyncClient,
    search: dict[str, str],
    keys: Keys,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confidential, "TRUST_S", 1.0)
    path = f"/companies/{search['company']}/job-orders"
    secret = ORDER | {"confidential": True}
    order = (await written(ana, path, secret))["created"]
    held = {
        "kind": "company.job_order_held", "job_order_id": order, "reason": "frozen", "held_at": AT
    }  # fmt: skip
    both = [
        asyncio.create_task(ana.post(f"{path}/steps", json=held, headers=keys[who]))
        for who in ("ben", "nora")
    ]
    for _ in range(3):
        other = await ana.post(path, json=ORDER, headers=keys["owner"])
        assert other.status_code == 201
    assert not any(waiting.done() for waiting in both)
    project()
    for waiting in both:
        problem(await waiting, 404, "no-such-job-order")


async def test_who_opens_one_may_try_it_and_go_on_with_it_at_once(
    ana: httpx.AsyncClient,
    search: dict[str, str],
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "PATIENCE_S", 0.05)
    path, mine = f"/companies/{search['company']}/job-orders", str(new_id())
    opening = ORDER | {"confidential": True, "job_order_id": mine}
    answer = await ana.post(f"{path}?dry_run=true", json=opening, headers=keys["ben"])
    assert answer.status_code == 200, answer.text
    put_forward = {"company_id": search["company"], "job_order_id": mine}
    commands = [
        {"method": "POST", "path": path, "body": opening},
        {"method": "POST", "path": f"/people/{search['person']}/candidacies", "body": put_forward},
    ]
    batch = {"commands": commands, "all_or_nothing": True}
    for trying in ("?dry_run=true", ""):
        answer = await ana.post(f"/batch{trying}", json=batch, headers=keys["ben"])
        assert answer.status_code == 200, answer.text


async def test_who_takes_the_id_of_one_is_not_told_whose_it_is(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys
) -> None:
    company = (await written(ana, "/companies", {"name": "Another"}))["id"]
    order = (
        await written(
            ana, f"/companies/{search['company']}/job-orders", ORDER | {"confidential": True}
        )
    )["created"]
    same = ORDER | {"job_order_id": order}
    for trying in ("?dry_run=true", ""):
        path = f"/companies/{company}/job-orders{trying}"
        answer = await ana.post(path, json=same, headers=keys["ben"])
        assert answer.status_code == 409
        assert search["company"] not in answer.text


async def test_who_opens_one_sees_it_until_it_is_staffed(
    ana: httpx.AsyncClient, search: dict[str, str], keys: Keys, project: Callable[[], None]
) -> None:
    path = f"/companies/{search['company']}/job-orders"
    mine = ORDER | {"title": "His own", "confidential": True}
    made = (await ana.post(path, json=mine, headers=keys["ben"])).json()["created"]
    project()
    assert (await ana.get(f"/job-orders/{made}", headers=keys["ben"])).status_code == 200
    problem(await ana.get(f"/job-orders/{made}", headers=keys["cid"]), 404, "no-such-record")
    changed = {
        "kind": "company.job_order_changed", "job_order_id": made, "confidential": False,
        "changed_at": AT,
    }  # fmt: skip
    await written(ana, f"{path}/steps", changed)
    project()
    assert (await ana.get(f"/job-orders/{made}", headers=keys["cid"])).status_code == 200


class Line(msgspec.Struct, frozen=True):
    job_order_id: UUID | None


class Whole(msgspec.Struct, frozen=True):
    last: Line | None
    lines: list[Line]
    job_orders: list[UUID]


class Brief(msgspec.Struct, frozen=True, omit_defaults=True):
    lines: tuple[Line, ...] = ()
    tags: tuple[str, ...] = ()


def test_what_names_none_is_told_to_the_byte_as_to_those_who_see_all() -> None:
    """Or each answer tells whether anything is hidden from whoever asks."""
    one = UUID(int=1)
    for brief in (Brief(), Brief(lines=(Line(None),), tags=("vip",))):
        assert confidential.without(brief, frozenset({one})) is brief
    assert confidential.without(Brief(lines=(Line(one),)), frozenset({one})) == Brief()


def test_what_names_a_hidden_one_is_gone_however_deep() -> None:
    one, two = UUID(int=1), UUID(int=2)
    whole = Whole(Line(one), [Line(two), Line(one), Line(None)], [one, two])
    shown = confidential.without(whole, frozenset({one}))
    assert shown == Whole(None, [Line(two), Line(None)], [two])
    with pytest.raises(NoSuchRecord):
        confidential.without(Line(one), frozenset({one}))
    assert confidential.without(whole, frozenset()) is whole
    holder: Any = Holder(Actor(BEN), "consultant")
    assert not holder.may(confidential.ALL)
