"""Consultants and teams: what each is given, and what a team's lists and sums are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ADA, ENGINES, FEE, ORDER, faults, found, problem, written
from api.test_money import introduced
from ledger_crm.api import caller
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain.clock import now
from ledger_crm.domain.consultant import ConsultantHasLeft, NoSuchConsultant
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

ANA, BEN, CYD = ("consultant:ana", "consultant:ben", "consultant:cyd")
THIRDS = [
    {"consultant": who, "share_bp": share} for who, share in ((ANA, 3334), (BEN, 3333), (CYD, 3333))
]


async def define(ana: httpx.AsyncClient, slug: str, *members: tuple[str, str]) -> None:
    team = {"slug": slug, "title": slug.title()}
    assert (await ana.put(f"/teams/{slug}", json=team)).status_code == 200
    for who, day in members:
        await join(ana, slug, who, day)


async def join(ana: httpx.AsyncClient, slug: str, who: str, day: str) -> None:
    fact = {"kind": "team.joined", "consultant": who, "joined_on": day}
    await written(ana, f"/teams/{slug}/members", fact)


async def leave(ana: httpx.AsyncClient, slug: str, who: str, day: str) -> None:
    fact = {"kind": "team.left", "consultant": who, "left_on": day}
    await written(ana, f"/teams/{slug}/members", fact)


async def three(ana: httpx.AsyncClient) -> None:
    for who, name in ((ANA, "Ana Lopez"), (BEN, "Ben Ode"), (CYD, "Cyd Ray")):
        await written(ana, "/consultants", {"consultant": who, "name": name})


async def test_who_was_in_a_team_when_is_told_whatever_was_said_first(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    await three(ana)
    await define(ana, "north", (ANA, "2024-03-01"), (BEN, "2024-01-01"))
    await define(ana, "south", (BEN, "2024-01-01"))
    await leave(ana, "north", ANA, "2024-06-30")
    await join(ana, "north", ANA, "2024-01-15")  # told late
    await leave(ana, "north", ANA, "2024-02-10")
    again = {"kind": "team.left", "consultant": ANA, "left_on": "2024-02-10"}
    assert (await written(ana, "/teams/north/members", again))["position"] is None
    project()

    told = await found(ana, "/teams/north/members")
    assert [(each["name"], each["joined_on"], each["until_on"]) for each in told] == [
        ("Ana Lopez", "2024-01-15", "2024-02-10"),
        ("Ana Lopez", "2024-03-01", "2024-06-30"),
        ("Ben Ode", "2024-01-01", None),
    ]
    for day, who in (
        ("2023-12-31", []), ("2024-02-10", [ANA, BEN]), ("2024-02-11", [BEN]),
        ("2024-03-01", [ANA, BEN]), ("2024-07-01", [BEN]),
    ):  # fmt: skip
        assert (await found(ana, "/teams/north", on=day))["members"] == who
        on_day = await found(ana, "/teams/north/members", on=day)
        assert [each["consultant"] for each in on_day] == who
    listed = await found(ana, "/consultants", on="2024-03-01")
    assert {each["consultant"]: each["teams"] for each in listed} == {
        ANA: ["north"], BEN: ["north", "south"], CYD: []
    }  # fmt: skip
    assert [each["slug"] for each in await found(ana, "/teams")] == ["north", "south"]

    retired = {"slug": "north", "title": "The North", "retired": True}
    assert (await ana.put("/teams/north", json=retired)).status_code == 200
    cyd = {"kind": "team.joined", "consultant": CYD, "joined_on": "2024-03-01"}
    problem(await ana.post("/teams/north/members", json=cyd), 409, "team-is-retired")
    nobody = cyd | {"consultant": "consultant:eve"}
    problem(await ana.post("/teams/south/members", json=nobody), 404, "no-such-consultant")
    problem(await ana.post("/teams/none/members", json=cyd), 404, "no-such-record")
    out = {"kind": "team.left", "consultant": CYD, "left_on": "2024-03-01"}
    problem(await ana.post("/teams/south/members", json=out), 409, "not-in-team")
    problem(await ana.put("/teams/other", json=retired), 422, "slug-differs")
    wrong = await ana.post("/teams/south/members", json=cyd | {"consultant": "eve"})
    assert "/consultant" in faults(wrong)
    project()
    assert (await found(ana, "/teams/north"))["title"] == "The North"
    of_none = ("/teams/none", "/teams/none/members", "/consultants/eve", "/commissions?team=none")
    for path in (*of_none, "/revenue?by=client&team=none"):
        problem(await ana.get(path), 404, "no-such-record")


async def test_who_left_keeps_what_is_theirs_and_is_given_nothing_new(
    ana: httpx.AsyncClient,
    ledger: Ledger,
    project: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caller, "TRUST_S", 600.0)  # her key opens for as long after she has left
    await three(ana)
    engines = (await written(ana, "/companies", ENGINES))["id"]
    bolt = (await written(ana, "/companies", {"name": "Bolt"}))["id"]
    order = (await written(ana, f"/companies/{engines}/job-orders", ORDER))["created"]
    await written(ana, f"/companies/{engines}/fees", FEE)
    ada = (await written(ana, "/people", ADA))["id"]
    owned = {"kind": "company.owner_assigned", "owner": BEN}
    await written(ana, f"/companies/{engines}/changes", owned)
    staffed: dict[str, Any] = {
        "kind": "company.job_order_staffed", "job_order_id": order, "owner": BEN,
        "staffed_at": "2024-02-02T10:00:00Z", "shares": [{"consultant": BEN, "share_bp": 10_000}],
    }  # fmt: skip
    steps = f"/companies/{engines}/job-orders/steps"
    await written(ana, steps, staffed)
    left = {"kind": "consultant.left", "left_on": "2024-06-30"}
    await written(ana, "/consultants/ben/changes", left)
    assert (await written(ana, "/consultants/ben/changes", left))["position"] is None
    again = await ana.post("/consultants", json={"consultant": BEN, "name": "Ben"})
    problem(again, 409, "already-there")

    async def refused(path: str, body: dict[str, Any]) -> None:
        told = problem(await ana.post(path, json=body), 409, "consultant-has-left")
        assert told["consultant"] == BEN

    halves = [{"consultant": who, "share_bp": 5_000} for who in (ANA, BEN)]
    other = (await written(ana, f"/companies/{bolt}/job-orders", ORDER))["created"]
    late = staffed | {"staffed_at": "2024-07-01T00:00:00Z"}
    await refused(f"/companies/{bolt}/changes", owned)
    await refused(f"/companies/{bolt}/job-orders/steps", late | {"job_order_id": other})
    await refused(f"/people/{ada}/follow-ups", {"due_on": "2026-01-01", "owner": BEN})
    await define(ana, "north")
    await refused(
        "/teams/north/members",
        {"kind": "team.joined", "consultant": BEN, "joined_on": "2024-07-01"},
    )
    with pytest.raises(ConsultantHasLeft):
        await create_key(ledger, actor=BEN)
    # what is told late is of a day on which he was here, and what is his he may keep
    before = owned | {"assigned_at": "2024-06-30T23:00:00Z"}
    await written(ana, f"/companies/{bolt}/changes", before)
    assert (await written(ana, f"/companies/{engines}/changes", owned))["position"] is None
    await written(ana, steps, late | {"shares": halves})
    _, way = await introduced(ana, engines, order)
    placed = {"starts_on": "2024-09-01", "first_year_pay_cents": 8_000_000}
    await written(ana, f"{way}/placements", placed | {"placed_at": "2024-07-02T00:00:00Z"})
    await written(ana, f"{way}/commissions", {"shares": halves})
    await written(ana, f"{way}/commissions", {"shares": [halves[0] | {"share_bp": 10_000}]})
    await refused(f"{way}/commissions", {"shares": halves})  # no longer his, nor of his days
    # without shares the whole commission is of whoever places: no longer hers either
    plain = (await written(ana, f"/companies/{engines}/job-orders", ORDER))["created"]
    _, alone = await introduced(ana, engines, plain)
    await written(ana, "/consultants/ana/changes", left)
    late_on = placed | {"placed_at": "2024-07-02T00:00:00Z", "override": "Half a week each"}
    told = problem(await ana.post(f"{alone}/placements", json=late_on), 409, "consultant-has-left")
    assert told["consultant"] == ANA
    back = {"kind": "consultant.returned", "returned_on": now().date().isoformat()}
    await written(ana, "/consultants/ben/changes", back)
    await written(ana, f"/people/{ada}/follow-ups", {"due_on": "2026-01-01", "owner": BEN})
    project()
    assert (await found(ana, "/companies", owner=BEN))["items"] != []
    assert (await found(ana, "/consultants/ben"))["left_on"] is None


async def test_a_key_is_of_somebody_on_record_where_others_are(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    slip = "consultant:amna"
    assert await create_key(ledger, actor=slip, of_anybody=False), "nobody is, yet"
    await three(ana)
    with pytest.raises(NoSuchConsultant):
        await create_key(ledger, actor=slip, of_anybody=False)
    for actor in (ANA, "integration:website"):
        assert await create_key(ledger, actor=actor, of_anybody=False)


async def test_what_a_team_gets_is_summed_to_the_cent_however_it_is_asked(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Three share by thirds; one of them goes over to the other team before the client pays."""
    await three(ana)
    await define(ana, "north", (ANA, "2024-01-01"), (BEN, "2024-01-01"))
    await define(ana, "south", (CYD, "2024-01-01"), (BEN, "2024-05-10"))
    await leave(ana, "north", BEN, "2024-05-09")
    for name, industry, pays in (("Bolt", "steel", (4_000_003, 4_000_005)), ("Acme", "", (9,))):
        adding = {"name": name, "industry": industry}
        company = (await written(ana, "/companies", adding))["id"]
        asked = ORDER | {"openings": len(pays)}
        order = (await written(ana, f"/companies/{company}/job-orders", asked))["created"]
        await written(ana, f"/companies/{company}/fees", FEE | {"guarantee_days": 365})
        for pay in pays:
            _, way = await introduced(ana, company, order, f"For {pay}")
            placing = {"placed_at": "2024-03-06T09:00:00Z", "starts_on": "2024-05-01"}
            placing |= {"first_year_pay_cents": pay, "shares": THIRDS}
            await written(ana, f"{way}/placements", placing)
            await written(ana, f"{way}/starts", {"starts_on": "2024-05-01"})
        project()
        for part in (await found(ana, "/instalments", company_id=company))["items"]:
            bill = {"instalment_id": part["id"], "number": part["id"][-8:], "currency": "EUR"}
            bill |= {"amount_cents": part["amount_cents"], "raised_at": "2024-05-02T09:00:00Z"}
            invoice = (await written(ana, f"/companies/{company}/invoices", bill))["created"]
            money = {"invoice_id": invoice, "amount_cents": part["amount_cents"]}
            money |= {"currency": "EUR", "paid_at": "2024-05-20T09:00:00Z"}
            await written(ana, f"/companies/{company}/invoices/payments", money)
    project()

    async def sums(by: str, **of: str) -> dict[tuple[str, str], int]:
        lines = await found(ana, "/revenue", by=by, on="2024-06-01", **of)
        return {
            (line["key"], name): cents
            for line in lines
            for name, cents in line.items()
            if name.endswith("_cents") and cents
        }

    totals: dict[tuple[str, str], dict[str, int]] = {}
    for by in ("client", "month", "industry", "consultant"):
        everything = await sums(by)
        teams = {slug: await sums(by, team=slug) for slug in ("north", "south")}
        together = {
            key: sum(team.get(key, 0) for team in teams.values())
            for key in {key for team in teams.values() for key in team}
        }
        assert together == everything, by
        for slug, team in teams.items():
            totals[by, slug] = {
                name: sum(cents for (_, each), cents in team.items() if each == name)
                for name in {name for _, name in team}
            }
    for slug in ("north", "south"):
        each_way = [totals[by, slug] for by in ("client", "month", "industry", "consultant")]
        assert all(way == each_way[0] for way in each_way), slug
    north, south = totals["client", "north"], totals["client", "south"]
    assert north["agreed_cents"] > south["agreed_cents"], "Ben was in the north"
    assert north["paid_cents"] < south["paid_cents"], "and then in the south"
    assert north["at_risk_cents"] < south["at_risk_cents"], "by the day that was asked for"

    async def parts(**of: str) -> list[int]:
        listed = (await found(ana, "/commissions", **of))["items"]
        return [part["cents"] for each in listed for part in each["parts"]]

    whole, northern, southern = await parts(), await parts(team="north"), await parts(team="south")
    assert (len(whole), len(northern), len(southern)) == (9, 6, 3)
    assert await parts(team="north", consultant=BEN)
    assert await parts(team="south", consultant=BEN) == [], "what others of it got is not his"
    assert sum(northern) + sum(southern) == sum(whole)
    assert sum(northern) == north["agreed_cents"], "both go by the day of the placement"


async def test_lists_and_days_of_a_team_are_those_of_its_consultants(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    await three(ana)
    await define(ana, "north", (ANA, "2024-01-01"), (BEN, "2024-01-01"))
    await leave(ana, "north", BEN, "2024-12-31")
    ada = (await written(ana, "/people", ADA))["id"]
    of: dict[str, str] = {}
    for who in (ANA, BEN, CYD):
        company = of[who] = (await written(ana, "/companies", {"name": who}))["id"]
        owned = {"kind": "company.owner_assigned", "owner": who}
        await written(ana, f"/companies/{company}/changes", owned)
        ending = FEE | {"ends_on": "2024-12-31"}
        await written(ana, f"/companies/{company}/fees", ending)
        await written(ana, f"/people/{ada}/follow-ups", {"due_on": "2024-12-01", "owner": who})
    orders = {}
    for owner, sharer in ((ANA, ANA), (CYD, ANA), (CYD, CYD)):
        base = f"/companies/{of[owner]}/job-orders"
        order = orders[owner, sharer] = (await written(ana, base, ORDER))["created"]
        staffed = {
            "kind": "company.job_order_staffed", "job_order_id": order, "owner": owner,
            "staffed_at": "2024-02-02T10:00:00Z",
            "shares": [{"consultant": sharer, "share_bp": 10_000}],
        }  # fmt: skip
        await written(ana, f"{base}/steps", staffed)
    project()

    async def owners(path: str, **asked: str) -> set[str]:
        answer = await found(ana, path, team="north", **asked)
        items = answer["items"] if isinstance(answer, dict) else answer
        return {each["owner"] for each in items}

    # of today
    assert await owners("/follow-ups") == {ANA}
    assert await owners("/companies") == {ANA}
    assert await owners("/companies", owner=CYD) == set()
    mine = (await found(ana, "/job-orders", team="north"))["items"]
    assert {each["id"] for each in mine} == {orders[ANA, ANA], orders[CYD, ANA]}
    # of the day that is asked for
    assert await owners("/renewals", on="2024-12-31") == {ANA, BEN}
    assert await owners("/renewals", on="2025-01-01") == {ANA}
    for on, who in (("2024-12-31", {ANA, BEN}), ("2025-01-01", {ANA})):
        day = await found(ana, "/day", team="north", on=on)
        assert {each["owner"] for each in day["follow_ups"]} == who
        assert {each["owner"] for each in day["renewals"]} == who
    alone = await found(ana, "/day", team="north", owner=BEN, on="2024-12-31")
    assert {each["owner"] for each in alone["follow_ups"]} == {BEN}
    # the boards, of today
    for who, owned_by in of.items():
        deal = {"title": who, "value_cents": 100, "expected_close_on": "2024-12-01"}
        await written(ana, f"/companies/{owned_by}/deals", deal)
    for (owner, _), order in orders.items():
        on = {"company_id": of[owner], "job_order_id": order}
        await written(ana, f"/people/{ada}/candidacies", on)
    project()
    assert [each["title"] for each in (await found(ana, "/deals", team="north"))["items"]] == [ANA]
    for path, name in (("/deals/counts", "deals"), ("/deals/forecast", "deals")):
        assert sum(each[name] for each in await found(ana, path, team="north")) == 1
        assert sum(each[name] for each in await found(ana, path)) == 3
    mine = (await found(ana, "/candidates", team="north", stage="sourced"))["items"]
    assert {each["job_order_id"] for each in mine} == {orders[ANA, ANA], orders[CYD, ANA]}
    assert len((await found(ana, "/candidates"))["items"]) == 3
    hers = (await found(ana, "/candidates", consultant=ANA))["items"]
    assert {each["job_order_id"] for each in hers} == {orders[ANA, ANA], orders[CYD, ANA]}
    theirs = (await found(ana, "/candidates", company_id=of[CYD]))["items"]
    assert {each["company_id"] for each in theirs} == {of[CYD]}
    assert sum(each["now"] for each in await found(ana, "/candidates/counts", team="north")) == 2
    for path in ("/day", "/deals/forecast", "/candidates/counts"):
        problem(await ana.get(path, params={"team": "none"}), 404, "no-such-record")


async def test_what_each_of_us_did_is_counted_by_its_day_and_of_whom_was_in_a_team(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    await three(ana)
    await define(ana, "north", (ANA, "2024-03-04"))
    company = (await written(ana, "/companies", ENGINES))["id"]
    order = (await written(ana, f"/companies/{company}/job-orders", ORDER))["created"]
    await written(ana, f"/companies/{company}/fees", FEE)
    ada, way = await introduced(ana, company, order, at="2024-03-06T09:00:00Z")

    async def acts(fact: dict[str, Any], path: str, key: str = "") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        await written(ana, path, fact, **headers)

    _, bens = await create_key(ledger, actor=BEN)
    _, robots = await create_key(ledger, actor="integration:mail")
    said = f"/people/{ada}/interactions"
    call = {"kind": "person.call_held", "duration_s": 60, "started_at": "2024-03-03T23:59:00Z"}
    await acts(call, said)
    await acts(call | {"started_at": "2024-03-04T00:00:00Z", "direction": "in"}, said)
    await acts(call | {"started_at": "2024-03-05T00:00:00Z"}, said, bens)
    for n, key in enumerate(("", "", robots)):
        sent = {"kind": "person.message_sent", "channel": "email", "message_id": f"<{n}@us>"}
        await acts(sent | {"sent_at": "2024-03-04T09:00:00Z"}, said, key)
    again = sent | {"message_id": "<0@us>", "sent_at": "2024-03-04T09:00:00Z"}
    assert (await written(ana, said, again))["position"] is None
    project()

    async def did(**asked: str) -> dict[str, tuple[int, ...]]:
        counts = ("messages", "calls", "meetings", "introductions", "interviews", "placements")
        return {
            line["consultant"]: tuple(line[name] for name in counts)
            for line in await found(ana, "/activity", **asked)
        }

    march = {"since": "2024-03-01", "until": "2024-04-01"}
    assert await did(**march) == {ANA: (2, 2, 0, 1, 0, 0), BEN: (0, 1, 0, 0, 0, 0)}
    assert await did(**march, team="north") == {ANA: (2, 1, 0, 1, 0, 0)}
    assert await did(since="2024-03-04", until="2024-03-05") == {ANA: (2, 1, 0, 0, 0, 0)}
    assert await did(since="2024-04-01", until="2024-05-01") == {}
    await written(ana, f"{way}/placements", {
        "starts_on": "2024-05-01", "first_year_pay_cents": 1, "placed_at": "2024-04-02T09:00:00Z",
    })  # fmt: skip
    project()
    assert await did(since="2024-04-01", until="2024-05-01") == {ANA: (0, 0, 0, 0, 0, 1)}


async def test_where_we_are_on_record_nothing_is_given_to_a_name_that_is_not(
    ana: httpx.AsyncClient, ledger: Ledger
) -> None:
    company = f"/companies/{(await written(ana, '/companies', ENGINES))['id']}"
    order = (await written(ana, f"{company}/job-orders", ORDER))["created"]
    person = f"/people/{(await written(ana, '/people', {'name': 'Ada'}))['id']}"
    ghost, at = "consultant:anna", "2024-03-01T09:00:00Z"  # a slip
    owned = {
        "kind": "company.owner_assigned",
        "owner": ghost,
        "assigned_at": "2024-03-01T09:00:00Z",
    }
    staffed = {
        "kind": "company.job_order_staffed", "job_order_id": order, "owner": ANA,
        "staffed_at": at,
        "shares": [{"consultant": who, "share_bp": 5_000} for who in (ANA, ghost)],
    }  # fmt: skip
    bodies: dict[str, dict[str, Any]] = {
        f"{company}/changes": owned,
        f"{person}/follow-ups": {"due_on": "2024-03-09", "owner": ghost},
        f"{company}/job-orders/steps": staffed,
        "/people": {"name": "Cy", "found_by": ghost},
    }
    for path, body in bodies.items():
        await written(ana, path, body)  # nobody is on record

    await written(ana, "/consultants", {"consultant": BEN, "name": "Ben"})
    _, robot = await create_key(ledger, actor="integration:mail", role="consultant")
    for key in ({}, {"Authorization": f"Bearer {robot}"}):  # neither of them is on record
        for n, (path, body) in enumerate(bodies.items()):
            field = "found_by" if "found_by" in body else "owner"
            again = body | {field: f"{ghost}{n}"}
            answer = await ana.post(path, json=again, headers=key)
            assert problem(answer, 404, "no-such-consultant")["consultant"].startswith(ghost)
    both = {"commands": [{"path": path, "body": body} for path, body in bodies.items()]}
    some = (await ana.post("/batch", json=both)).json()["results"]
    assert [each["status"] for each in some] == [201, 404, 201, 404]  # what is theirs stays
    await written(ana, f"{person}/follow-ups", {"due_on": "2024-03-09"})  # of whoever writes it
    await written(ana, "/consultants", {"consultant": ghost, "name": "Anna"})
    gone = {"kind": "consultant.left", "left_on": "2024-03-31"}
    await written(ana, "/consultants/anna/changes", gone)
    bodies[f"{person}/follow-ups"]["promised_at"] = at
    for path, body in bodies.items():
        await written(ana, path, body)  # who left is known, and was here then


async def test_a_list_of_somebody_who_is_none_of_us_is_refused_and_not_empty(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    old, cyd = "consultant:zoe", {"name": "Cy", "found_by": "consultant:cyd"}
    company = (await written(ana, "/companies", ENGINES))["id"]
    owned = {"kind": "company.owner_assigned", "owner": old, "assigned_at": "2024-03-01T09:00:00Z"}
    await written(ana, f"/companies/{company}/changes", owned)
    person = (await written(ana, "/people", cyd))["id"]
    project()
    assert (await found(ana, "/follow-ups", owner="consultant:anybody"))["items"] == []
    await written(
        ana, "/consultants", {"consultant": BEN, "name": "Ben"}
    )  # from now on one can tell
    await create_key(ledger, actor="integration:mail", role="integration")
    project()
    before = (await ana.get("/people")).headers["Ledger-Position"]
    await written(ana, "/consultants", {"consultant": "consultant:eve", "name": "Eve"})
    left = {"kind": "consultant.left", "left_on": "2024-03-31"}
    await written(ana, "/consultants/eve/changes", left)
    project()
    days = {"since": "2024-01-01", "until": "2024-02-01"}
    lists: dict[str, tuple[str, dict[str, Any]]] = {
        "/companies": ("owner", {}), "/job-orders": ("consultant", {}),
        "/candidates": ("consultant", {}), "/follow-ups": ("owner", {}), "/day": ("owner", {}),
        "/renewals": ("owner", {}), "/engagement/quiet/people": ("owner", {}),
        "/engagement/quiet/companies": ("owner", {}), "/commissions": ("consultant", {}),
        "/funnel": ("consultant", days), f"/people/{person}/history": ("by", {}),
    }  # fmt: skip
    for path, (name, more) in lists.items():
        for slip, said in (
            ("consultant:benn", "none of us is consultant:benn; did you mean consultant:ben?"),
            ("consultant:qqq", "none of us is consultant:qqq; GET /consultants tells who is"),
            ("ben", "write one of us like consultant:ana"),
            ("Ada Byron", "write one of us like consultant:ana"),
        ):
            asked = {name: slip} | more
            assert faults(await ana.get(path, params=asked)) == {f"query:{name}": said}, path
        for known in (ANA, BEN, "consultant:eve", "integration:mail", "integration:gone"):
            for when in {}, {"as_of": before}:  # also before they were
                await found(ana, path, **{name: known} | more | when)
    assert [each["id"] for each in (await found(ana, "/companies", owner=old))["items"]] == [
        company
    ]
    nothing = await ana.get("/companies", params={"owner": BEN, "limit": 1})
    assert nothing.json() == {"items": [], "next": None}
