"""Everything that is read can be read as it was known at a position, an instant or a day: exactly
as a ledger answers that ends there."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.documented import as_made, document
from api.journey import ADA, ENGINES, found, problem, written
from ledger_crm.api.snapshots import open_pool
from ledger_crm.commands.demo import play
from ledger_crm.domain import clock
from ledger_crm.domain.access import Holder
from ledger_crm.domain.candidate import candidacy_id
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.ledger import Ledger
from ledger_crm.projections import AS_KNOWN, SCHEMA, every
from ledger_crm.vault import Vault
from ledger_crm.workers.projector import connect
from projections.driving import Together, driven, of_list, reading, sums
from projections.stories import COMPANIES, ORDERS, PEOPLE, a_full_story
from scenario import ANA, KEYRING

pytestmark = pytest.mark.anyio

ALL = every()
OF_NOW_ALONE = (
    "/content", "/terms", "/preview", "/equal-opportunity/report",
    "/webhooks", "/{webhook_id}", "/deliveries",
)  # fmt: skip
PAST = {"as_of", "known"}
SEED = random.SystemRandom().randrange(2**32)
TRIES = 10
Answers = dict[str, tuple[int, Any]]
ORDER_IDS = [order for orders in ORDERS.values() for order in orders]


async def anybody_may(connection: Any, handler: Any) -> None:
    connection.scope["state"] |= {"actor": ANA, "holder": Holder(actor=ANA, role="owner")}


@asynccontextmanager
async def served(
    app: Litestar, ledger: Ledger, url: str, vault: Vault
) -> AsyncIterator[httpx.AsyncClient]:
    """The read models at ``url``."""
    pool = open_pool(url, most=2)
    await pool.open()
    app.state.equipment.furnish(
        ledger=ledger, pool=pool, feed_position=ledger.head, vault=vault, guard=anybody_may
    )
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://crm") as client:
        yield client
    await pool.close()


def documented() -> dict[str, Any]:
    """Parameters of all that can be read as of a moment, by path."""
    return {
        path: item["get"]["parameters"]
        for path, item in document()["paths"].items()
        if any(each["name"] == "as_of" for each in item.get("get", {}).get("parameters", ()))
        and not path.endswith(OF_NOW_ALONE)
    }


@as_made
async def test_the_document_offers_a_moment_where_one_is_answered(app: Litestar) -> None:
    taken = app.openapi_schema.to_schema()["paths"]
    for path, operations in json.loads(app.state.openapi())["paths"].items():
        names = {each["name"] for each in operations.get("get", {}).get("parameters", ())}
        whole = {each["name"] for each in taken[path].get("get", {}).get("parameters", ())}
        assert names & PAST == (set() if path.endswith(OF_NOW_ALONE) else whole & PAST), path


async def addresses(client: httpx.AsyncClient, chosen: random.Random, of_each: int) -> list[str]:
    """Of every list, and of so many records of each kind, whether they are there or not."""
    candidacies = [candidacy_id(p, o) for p, o in product(PEOPLE, ORDER_IDS)]
    ids: dict[str, list[Any]] = {
        "person_id": await known(client, "/people", PEOPLE),
        "company_id": await known(client, "/companies", COMPANIES),
        "job_order_id": await known(client, "/job-orders", ORDER_IDS),
        "candidacy_id": await known(client, "/candidates", candidacies),
        "number": [1, 2],
    }
    for noun in ("shortlist", "deal", "interview", "offer", "referral", "invoice", "instalment"):
        ids[f"{noun}_id"] = [each["id"] for each in await listed(client, f"/{noun}s")]
    ids["follow_up_id"] = [each["id"] for each in await listed(client, "/follow-ups")]
    ids["agreement_id"] = [each["agreement_id"] for each in await listed(client, "/fees")]
    ids["document_id"] = [
        each["id"]
        for person in ids["person_id"]
        for each in await listed(client, f"/people/{person}/documents")
    ]
    ids["handle"] = [each["consultant"] for each in await listed(client, "/consultants")]
    ids["subject"] = ["person", "company"]
    asked = {
        "by": "client", "since": "2025-01-01", "until": "2026-12-31", "year": "2026", "from": "0",
    }  # fmt: skip
    made = []
    for path, parameters in documented().items():
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        of_slug = await listed(client, "/" + path.split("/")[1]) if "slug" in names else []
        here = ids | {"slug": [each["slug"] for each in of_slug]}
        needed = {
            each["name"]: asked[each["name"]]
            for each in parameters
            if each["in"] == "query" and each.get("required")
        }
        if path == "/revenue":
            needed |= {"since": "2025-01-01T00:00:00Z", "until": "2026-12-31T00:00:00Z"}
        query = "&".join(f"{name}={value}" for name, value in needed.items())
        each_of = list(product(*(here[name] for name in names)))
        for values in chosen.sample(each_of, min(of_each, len(each_of))):
            address = path
            for name, value in zip(names, values, strict=True):
                address = address.replace(f"{{{name}}}", str(value))
            made.append(f"{address}?{query}")
    return made


async def known(client: httpx.AsyncClient, path: str, of_the_story: Iterable[Any]) -> list[Any]:
    """Ids of some that are there, and all of the story if it was told."""
    there = [each["id"] for each in (await found(client, path, limit=100))["items"]]
    story = [str(each) for each in of_the_story]
    return story if set(story) & set(there) else there


async def listed(client: httpx.AsyncClient, path: str) -> list[Any]:
    document = await found(client, path)
    items: list[Any] = document if isinstance(document, list) else document["items"]
    return items


async def answers(client: httpx.AsyncClient, addresses: list[str], more: str = "") -> Answers:
    got = {}
    for address in addresses:
        for _ in range(TRIES):  # a machine that is busy with more than this says: ask again
            answer = await client.get(f"{address}{more}")
            if answer.status_code != 503:
                break
        body = answer.json() if "json" in answer.headers["content-type"] else answer.content
        if answer.status_code != 200:
            body = body["type"]
        got[address] = answer.status_code, body
    return got


async def must_answer_as_then(
    app: Litestar,
    vault: Vault,
    databases: Callable[..., str],
    database: str,
    ledger: Ledger,
    *,
    moments: int,
    of_each: int,
    drawn: int | None = None,
) -> None:
    """Rows of every table, and whatever is asked, are as of there what they are in read models of a
    ledger that ends there, at the moment that its last entry was written. A second ledger is played
    from moment to moment. ``drawn``: so many questions at each of them; None: all."""
    entries, chosen = reading(ledger)(0, 100_000), random.Random(SEED)
    print(f"seed {SEED}")
    driven(database, ALL, of_list(entries), batch=500)
    cut_off, told = databases(), list[Entry[Event]]()
    with (
        Ledger(databases(), KEYRING) as empty,
        connect(database) as whole,
        connect(cut_off) as conn,
    ):
        played = Together(ALL, of_list(told), conn)
        async with served(app, ledger, database, vault) as client:
            everything = await addresses(client, chosen, of_each)
            now = await answers(client, everything)
        assert {200} < {status for status, _ in now.values()} <= {200, 404}
        asked, moved = set[str](), set[str]()
        for position in sorted(chosen.sample(range(30, len(entries)), moments)):
            told += entries[len(told) : position]
            played.catch_up(batch=500)
            differing = sums(whole, AS_KNOWN, position).items() ^ sums(conn, SCHEMA).items()
            assert not differing, f"as of {position}"

            some = everything if drawn is None else chosen.sample(everything, drawn)
            async with served(app, ledger, database, vault) as client:
                then = await answers(client, some, f"&as_of={position}")
            with clock.stopped_at(entries[position - 1].timestamp):
                async with served(app, empty, cut_off, vault) as client:
                    expected = await answers(client, some)
            assert not [each for each in some if then[each] != expected[each]], f"as of {position}"
            asked |= {*some}
            moved |= {each for each in some if then[each] != now[each]}
    assert asked == {*everything}
    assert moved, "the past was like the present"


async def test_everything_is_read_as_it_was_known(
    made_once: Litestar,
    vault: Vault,
    databases: Callable[..., str],
    database: str,
    ledger: Ledger,
) -> None:
    await a_full_story(ledger)
    await must_answer_as_then(made_once, vault, databases, database, ledger, moments=1, of_each=2)


@pytest.mark.campaign
async def test_two_hundred_moments_of_an_agencys_two_years(
    made_once: Litestar,
    vault: Vault,
    databases: Callable[..., str],
    database: str,
    ledger: Ledger,
) -> None:
    """At each of them all rows, and some of the questions; of these each at some moments."""
    await play(ledger, until=date(2026, 11, 23), size=0.01)
    await must_answer_as_then(
        made_once, vault, databases, database, ledger, moments=200, of_each=5, drawn=60
    )


async def test_a_moment_is_a_position_an_instant_or_a_day(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given somebody who was renamed the day after, when they are read as of the day before, the
    old name is told, at the position that the answer names."""
    noon = datetime.combine(clock.today() + timedelta(days=1), time(12), UTC)
    with clock.stopped_at(noon):
        added = await written(ana, "/people", ADA)
    path, known = f"/people/{added['id']}", added["position"]
    with clock.stopped_at(noon + timedelta(days=1)):
        renamed = await written(ana, f"{path}/profile-changes", {"name": "Ada King"})
    project()
    with clock.stopped_at(noon + timedelta(days=2)):
        that_day, an_hour_later = noon.date().isoformat(), (noon + timedelta(hours=1)).isoformat()
        for as_of in (str(known), that_day, an_hour_later):
            answer = await ana.get(path, params={"as_of": as_of})
            assert answer.status_code == 200, answer.text
            assert answer.json()["name"] == ADA["name"]
            assert answer.headers["ledger-as-of"] == str(known)
            assert answer.headers["ledger-position"] == str(renamed["position"])
        for as_of in (str(renamed["position"]), (noon + timedelta(days=1)).date().isoformat()):
            assert (await found(ana, path, as_of=as_of))["name"] == "Ada King"
        assert len((await found(ana, f"{path}/history", as_of=that_day))["items"]) == 2
        assert len((await found(ana, f"{path}/history"))["items"]) == 3
        before = await ana.get(path, params={"as_of": str(known - 2)})
        problem(before, 404, "no-such-record")


async def test_a_forecast_as_it_was_known_next_to_what_is_known_of_that_day_now(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Deciding test 5. Given a deal of 1 March, and another that was told on 5 March of 27
    February, when the forecast of 1 March is read, then it has one as known then, and both by what
    is known now; and neither moves because the first was won since."""
    march = datetime.combine(clock.today() + timedelta(days=1), time(12), UTC)
    deal = {"title": "Search for a CTO", "value_cents": 3_000_000, "currency": "EUR"}
    with clock.stopped_at(march):
        company = (await written(ana, "/companies", ENGINES))["id"]
        first = await written(ana, f"/companies/{company}/deals", deal)
    with clock.stopped_at(march + timedelta(days=4)):
        told_late = {"title": "Two engineers", "value_cents": 1_000_000, "currency": "EUR"}
        happened = (march - timedelta(days=2)).isoformat()
        await written(ana, f"/companies/{company}/deals", told_late | {"opened_at": happened})
        won = f"/companies/{company}/deals/{first['created']}/moves"
        await written(ana, won, {"stage": "won"})
    project()

    with clock.stopped_at(march + timedelta(days=9)):
        day = march.date().isoformat()
        then = await found(ana, "/deals/forecast", as_of=day)
        by_now = await found(ana, "/deals/forecast", as_of=day, known="now")
        today = await found(ana, "/deals/forecast")
    values = [[month["value_cents"] for month in found] for found in (then, by_now, today)]
    assert values == [[3_000_000], [4_000_000], [1_000_000]]


async def test_what_happened_before_the_pipelines_were_defined_is_seen_in_them(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given a history of before the ledger, as every import tells one, when it is read as it was,
    then by the pipelines and teams that are defined now; and as known then, there was nothing."""
    before = clock.now() - timedelta(days=90)
    company = (await written(ana, "/companies", ENGINES))["id"]
    deal = {"title": "Search for a CTO", "value_cents": 3_000_000, "currency": "EUR"}
    happened = (before - timedelta(days=1)).isoformat()
    await written(ana, f"/companies/{company}/deals", deal | {"opened_at": happened})
    project()

    asked = {"as_of": before.isoformat(), "known": "now"}
    [month] = await found(ana, "/deals/forecast", **asked)
    assert month["value_cents"] == 3_000_000
    assert await found(ana, "/candidates/counts", **asked)
    assert await found(ana, "/pipelines", **asked) == await found(ana, "/pipelines")
    assert await found(ana, "/pipelines", as_of=before.isoformat()) == []


async def test_no_moment_is_too_long_ago(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    await written(ana, "/people", ADA)
    project()
    for known in ("then", "now"):
        for path in ("", "/people", "/companies"):
            asked = {"as_of": "0001-01-01", "known": known, "days": 3650}
            assert (await found(ana, f"/engagement/quiet{path}", **asked))["items"] == []


async def test_what_was_not_known_yet_is_waited_for(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Given a write that the read models have not got to, when it is asked as of there, it is
    never answered as of before."""
    await written(ana, "/people", ADA)
    project()
    late = await written(ana, "/companies", ENGINES)
    answer = await ana.get(f"/companies/{late['id']}", params={"as_of": str(late["position"])})
    problem(answer, 503, "read-model-behind")


@pytest.mark.parametrize(
    ("as_of", "says"),
    [
        ("yesterday", "neither a position"),
        ("2026-03-01T12:00:00", "neither a position"),  # whose noon?
        ("2026-02-30", "neither a position"),
        ("2026-W10-1", "neither a position"),
        ("-1", "neither a position"),
        ("9999-12-31", "lies ahead"),
        ("2999-01-01T00:00:00Z", "lies ahead"),
        ("20260301", "20260301 is a position, and the ledger ends at "),
        ("20260301", ": for the day, write 2026-03-01"),
    ],
)
async def test_what_is_no_moment_is_said(
    ana: httpx.AsyncClient, project: Callable[[], None], as_of: str, says: str
) -> None:
    project()
    answer = await ana.get("/people", params={"as_of": as_of})
    [fault] = problem(answer, 400, "malformed")["faults"]
    assert fault["pointer"] == "query:as_of"
    assert says in fault["detail"]


async def test_reports_a_day_apart_do_not_tell_what_somebody_answered(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    answer = await ana.get("/equal-opportunity/report", params={"year": 2026, "as_of": "1"})
    [fault] = problem(answer, 400, "malformed")["faults"]
    assert fault == {"pointer": "query:as_of", "detail": "this is read as of now alone"}


async def test_what_bytes_a_document_had_is_not_asked_of_the_past(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    answer = await ana.get(f"/people/{PEOPLE[0]}/documents/{PEOPLE[1]}/content?as_of=1")
    [fault] = problem(answer, 400, "malformed")["faults"]
    assert fault["pointer"] == "query:as_of"


async def test_how_it_is_known_goes_with_when(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    answer = await ana.get("/people", params={"known": "now"})
    [fault] = problem(answer, 400, "malformed")["faults"]
    assert fault["pointer"] == "query:known"


async def test_a_position_that_nobody_was_told_is_refused(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    project()
    for nobody in (str(10**15), "20260230", "99999999"):  # and no day either
        answer = await ana.get("/people", params={"as_of": nobody})
        found = problem(answer, 422, "after-the-head")
        assert (found["as_of"], "after" in found) == (int(nobody), False)
