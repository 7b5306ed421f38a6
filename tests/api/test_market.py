"""The market map of a search, and what stands in the way of approaching somebody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import ENGINES, FEE, ORDER, found, problem, written
from ledger_crm.commands.catalogue import create_key
from ledger_crm.ledger import Ledger

pytestmark = pytest.mark.anyio

ON = "2024-06-01"
AT = "2024-05-02T09:00:00Z"


async def company(client: httpx.AsyncClient, name: str) -> str:
    return str((await written(client, "/companies", {"name": name}))["id"])


async def at(client: httpx.AsyncClient, name: str, company_id: str, **job: Any) -> str:
    person = str((await written(client, "/people", {"name": name}))["id"])
    await written(client, f"/people/{person}/employments", {"company_id": company_id} | job)
    return person


async def on_order(client: httpx.AsyncClient, person: str, of: str, order: str) -> str:
    body = {"company_id": of, "job_order_id": order, "opened_at": AT}
    opened = (await written(client, f"/people/{person}/candidacies", body))["created"]
    return f"/people/{person}/candidacies/{opened}"


async def test_a_search_is_mapped_before_anybody_is_approached(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    engines = (await written(ana, "/companies", ENGINES))["id"]
    bolt, cog, dyno = [await company(ana, name) for name in ("Bolt", "Cog", "Dyno")]
    orders = f"/companies/{engines}/job-orders"
    search = (await written(ana, orders, ORDER | {"title": "Director"}))["created"]
    three = ORDER | {"openings": 3}
    other = (await written(ana, f"/companies/{cog}/job-orders", three))["created"]
    await written(ana, f"/companies/{cog}/fees", FEE)
    for target, reason in ((bolt, "same_products"), (cog, ""), (dyno, "")):
        named = {"kind": "company.target_named", "job_order_id": search, "target_id": target,
                 "named_at": AT, "reason": reason}  # fmt: skip
        await written(ana, f"{orders}/targets", named)
    assert (await written(ana, f"{orders}/targets", named))["position"] is None
    dropped = named | {"kind": "company.target_dropped", "dropped_at": AT}
    del dropped["named_at"]
    await written(ana, f"{orders}/targets", dropped)

    kim = await at(ana, "Kim", bolt, title="CTO", starts_on="2020-01-01")
    lee = await at(ana, "Lee", bolt, role="hiring_manager")
    await at(ana, "Moe", bolt, ends_on="2024-05-31")
    await at(ana, "Nia", bolt, starts_on="2024-06-02")
    oli = await at(ana, "Oli", cog)
    pam = await at(ana, "Pam", engines)
    dee = await at(ana, "Dee", dyno)
    for person, standing in ((kim, "identified"), (kim, "to_approach"), (dee, "not_suitable")):
        research = {"company_id": engines, "job_order_id": search, "researched_at": AT,
                    "standing": standing, "text": f"Found {standing}"}  # fmt: skip
        await written(ana, f"/people/{person}/research", research)
    limits = {"kind": "company.off_limits_agreed", "agreed_at": AT, "until_on": "2025-12-31",
              "text": "Since we placed their CFO"}  # fmt: skip
    await written(ana, f"/companies/{bolt}/off-limits", limits)
    await on_order(ana, kim, cog, other)
    await on_order(ana, kim, engines, search)
    out = await on_order(ana, lee, cog, other)
    leaving = {"stage": "withdrawn", "reason": "pay", "decided_by": "candidate"}
    await written(ana, f"{out}/moves", leaving)
    way = await on_order(ana, oli, cog, other)
    await written(ana, f"{way}/rights-to-represent", {"given_at": AT})
    await written(ana, f"{way}/introductions", {"introduced_at": AT})
    job = {"starts_on": "2024-05-10", "first_year_pay_cents": 1, "placed_at": AT}
    await written(ana, f"{way}/placements", job)
    alone = {"kind": "person.do_not_contact_set", "set_at": AT, "until_on": "2024-12-31",
             "text": "Asked for peace"}  # fmt: skip
    await written(ana, f"/people/{dee}/permissions", alone)
    await written(
        ana, f"/people/{dee}/permissions", {"kind": "person.consent_withdrawn", "withdrawn_at": AT}
    )
    project()

    map_ = await found(ana, f"/job-orders/{search}/market-map", on=ON)
    assert (map_["job_order"], map_["company_id"]) == ("Director", engines)
    [at_bolt, at_cog] = map_["targets"]
    assert (at_bolt["company"], at_bolt["reason"], at_bolt["named_by"]) == (
        "Bolt", "same_products", "consultant:ana"
    )  # fmt: skip
    assert (at_bolt["off_limits"], at_bolt["off_limits_until_on"]) == (True, "2025-12-31")
    assert at_bolt["off_limits_text"] == "Since we placed their CFO"
    assert (at_bolt["client"], at_cog["client"], at_cog["open_orders"]) == (False, True, 1)
    assert at_cog["last_start_on"] == "2024-05-10"
    people = {each["person"]: each for each in (*at_bolt["people"], *at_cog["people"])}
    assert set(people) == {"Kim", "Lee", "Oli"}
    assert people["Kim"]["standing"] == "to_approach"
    assert people["Kim"]["research_text"] == "Found to_approach"
    assert people["Kim"]["seats"][0]["title"] == "CTO"
    assert people["Kim"]["obstacles"] == [
        {"what": "off_limits", "company_id": bolt, "company": "Bolt", "until_on": "2025-12-31",
         "text": "Since we placed their CFO", "agreed_with_id": bolt, "agreed_with": "Bolt"}
    ]  # fmt: skip
    assert [(s["job_order"], s["company"]) for s in people["Kim"]["active_in"]] == [
        ("Engineer", "Cog")
    ]  # fmt: skip
    assert people["Lee"]["free"], "who hires there is our contact"
    assert [o["what"] for o in people["Oli"]["obstacles"]] == ["placed_by_us"]
    assert people["Oli"]["active_in"] == []
    assert people["Lee"]["active_in"] == []
    [dee_found] = map_["elsewhere"]
    assert (dee_found["person_id"], dee_found["standing"]) == (dee, "not_suitable")
    assert [(o["what"], o["until_on"], o["text"]) for o in dee_found["obstacles"]] == [
        ("no_consent", None, ""), ("do_not_contact", "2024-12-31", "Asked for peace")
    ]  # fmt: skip

    check = await found(ana, f"/people/{kim}/conflicts", on=ON, job_order_id=other)
    assert [s["job_order"] for s in check["active_in"]] == ["Director"]
    check = await found(ana, f"/people/{kim}/conflicts", on=ON)
    assert {s["job_order"] for s in check["active_in"]} == {"Director", "Engineer"}

    # the day decides who sits where, and what holds
    await written(ana, f"/companies/{cog}/job-orders/{other}/fillings", {})
    project()
    later = await found(ana, f"/job-orders/{search}/market-map", on="2026-01-01")
    assert later["targets"][0]["off_limits"] is False
    assert {p["person"] for p in later["targets"][0]["people"]} == {"Kim", "Lee", "Nia"}
    assert later["targets"][1]["client"] is False, "the last one started more than a year ago"
    assert [o["what"] for o in later["elsewhere"][0]["obstacles"]] == ["no_consent"]

    assert (await found(ana, f"/people/{pam}/conflicts", on=ON))["free"]
    firm = await found(ana, f"/companies/{engines}/conflicts", on=ON)
    assert (firm["client"], firm["open_orders"], firm["off_limits"]) == (True, 1, False)
    says = "target company named: same products"
    told = (await found(ana, f"/companies/{bolt}/history"))["items"]
    assert says not in {line["line"] for line in told}, "whose search it is, is the client's"
    told = (await found(ana, f"/companies/{engines}/history"))["items"]
    assert says in {line["line"] for line in told}
    told = (await found(ana, f"/people/{kim}/history"))["items"]
    assert "researched for a search: to approach" in {line["line"] for line in told}
    told = (await found(ana, f"/companies/{engines}/history"))["items"]
    assert "researched for a search: not suitable" in {line["line"] for line in told}
    others = (await found(ana, f"/companies/{bolt}/history"))["items"]
    assert not {line["line"] for line in others if "researched" in line["line"]}, "not theirs"

    # an approach that the check warned of is refused where it is made
    sent = {"kind": "person.message_sent", "channel": "email", "message_id": "<9@us>",
            "sent_at": "2024-06-01T09:00:00Z"}  # fmt: skip
    problem(await ana.post(f"/people/{kim}/interactions", json=sent), 403, "off-limits")
    # and a search that is over leaves nobody active in it
    await written(ana, f"{orders}/{search}/cancellations", {"reason": "budget"})
    problem(await ana.post(f"{orders}/targets", json=named), 409, "job-order-is-closed")
    problem(await ana.post(f"/people/{pam}/research", json=research), 409, "job-order-is-closed")
    project()
    check = await found(ana, f"/people/{kim}/conflicts", on=ON)
    assert check["active_in"] == []

    own = named | {"target_id": engines}
    problem(await ana.post(f"{orders}/targets", json=own), 422, "target-is-client")
    none = named | {"target_id": kim}
    problem(await ana.post(f"{orders}/targets", json=none), 404, "no-such-record")
    for path in (f"/job-orders/{kim}/market-map", f"/people/{bolt}/conflicts",
                 f"/companies/{kim}/conflicts"):  # fmt: skip
        problem(await ana.get(path), 404, "no-such-record")


async def test_whom_we_placed_sits_there_though_nobody_wrote_an_employment(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    """Poaching from a client those whom we placed there is what the check is for."""
    engines = (await written(ana, "/companies", ENGINES))["id"]
    cog, bolt = [await company(ana, name) for name in ("Cog", "Bolt")]
    orders = f"/companies/{engines}/job-orders"
    search = (await written(ana, orders, ORDER))["created"]
    await written(ana, f"{orders}/targets", {
        "kind": "company.target_named", "job_order_id": search, "target_id": cog, "named_at": AT,
    })  # fmt: skip
    five = ORDER | {"title": "Turner", "openings": 5}
    other = (await written(ana, f"/companies/{cog}/job-orders", five))["created"]
    await written(ana, f"/companies/{cog}/fees", FEE)
    limits = {"kind": "company.off_limits_agreed", "agreed_at": AT}
    await written(ana, f"/companies/{cog}/off-limits", limits)
    ways = {}
    for name, starts_on in {
        "Stays": "2024-05-10", "Fell": "2024-05-10", "Went on": "2024-05-10", "Left": "2024-05-10",
        "To come": "2024-07-01",
    }.items():  # fmt: skip
        # where they were before does not end by itself
        person = await at(ana, name, bolt, starts_on="2020-01-01")
        way = ways[name] = await on_order(ana, person, cog, other)
        await written(ana, f"{way}/rights-to-represent", {"given_at": AT})
        await written(ana, f"{way}/introductions", {"introduced_at": AT})
        job = {"starts_on": starts_on, "first_year_pay_cents": 1, "placed_at": AT}
        await written(ana, f"{way}/placements", job)
    fell = {"left_on": "2024-05-20", "reason": "other_offer", "decided_by": "candidate"}
    await written(ana, f"{ways['Fell']}/fall-throughs", fell)
    people = {name: way.partition("/candidacies")[0] for name, way in ways.items()}
    went = {"company_id": bolt, "starts_on": "2024-05-25"}
    await written(ana, f"{people['Went on']}/employments", went)
    left = {"company_id": cog, "starts_on": "2024-05-10", "ends_on": "2024-05-28"}
    await written(ana, f"{people['Left']}/employments", left)
    project()

    checks = {name: await found(ana, f"{of}/conflicts", on=ON) for name, of in people.items()}
    assert {name for name, check in checks.items() if not check["free"]} == {"Stays"}
    assert [(o["what"], o["company"]) for o in checks["Stays"]["obstacles"]] == [
        ("off_limits", "Cog"), ("placed_by_us", "Cog")
    ]  # fmt: skip
    assert checks["Stays"]["seats"][-1] == {
        "company_id": cog, "company": "Cog", "title": "Turner", "role": "employee",
        "starts_on": "2024-05-10", "ends_on": None, "job_order_id": other,
    }  # fmt: skip
    [at_cog] = (await found(ana, f"/job-orders/{search}/market-map", on=ON))["targets"]
    assert [each["person"] for each in at_cog["people"]] == ["Stays"]
    assert (await found(ana, f"{people['Stays']}/conflicts", on="2024-05-09"))["free"]
    assert not (await found(ana, f"{people['To come']}/conflicts", on="2024-07-01"))["free"]

    async def protected() -> tuple[int, int]:
        [agreed] = (await found(ana, "/off-limits", on=ON))["items"]
        listed = (await found(ana, f"/companies/{cog}/off-limits", on=ON))["people"]
        assert len(listed) == agreed["people"]
        return agreed["people"], agreed["placed"]

    assert await protected() == (1, 1)
    await written(ana, f"{people['Stays']}/erasure", {"reason": "asked_us"})
    project()
    assert await protected() == (0, 0), "who is erased cannot be approached"


async def test_an_agreement_with_a_group_protects_the_people_below_it_and_whom_we_placed(
    ana: httpx.AsyncClient, ledger: Ledger, project: Callable[[], None]
) -> None:
    group, works, shop, bolt = [
        await company(ana, name) for name in ("Group", "Works", "Shop", "Bolt")
    ]
    for below, above in ((shop, works), (works, group)):
        named = {"kind": "company.parent_named", "parent_id": above}
        await written(ana, f"/companies/{below}/changes", named)
    kim = await at(ana, "Kim", shop, role="employee")
    lee = await at(ana, "Lee", shop, role="hiring_manager")
    vic = await at(ana, "Vic", bolt, role="employee", ends_on="2024-05-01")
    order = (await written(ana, f"/companies/{works}/job-orders", ORDER))["created"]
    await written(ana, f"/companies/{works}/fees", FEE)
    way = await on_order(ana, vic, works, order)
    await written(ana, f"{way}/rights-to-represent", {"given_at": AT})
    await written(ana, f"{way}/introductions", {"introduced_at": AT})
    job = {"starts_on": "2024-05-10", "first_year_pay_cents": 1, "placed_at": AT}
    await written(ana, f"{way}/placements", job)
    own = {"kind": "company.off_limits_agreed", "agreed_at": AT}
    alone = own | {"until_on": "2024-12-31", "text": "Works alone"}
    await written(ana, f"/companies/{works}/off-limits", alone)

    def message(at: str, **rest: Any) -> dict[str, Any]:
        message_id = f"<{at}{len(rest)}@us>"
        return {"kind": "person.message_sent", "channel": "email", "sent_at": f"{at}T09:00:00Z",
                "message_id": message_id} | rest  # fmt: skip

    async def refused(person: str, at: str, works_at: str, agreed_with: str) -> None:
        answer = await ana.post(f"/people/{person}/interactions", json=message(at))
        told = problem(answer, 403, "off-limits")
        assert (told["company_id"], told["agreed_with_id"]) == (works_at, agreed_with)

    # of its own people and of those below only if it says so
    await refused(vic, "2024-05-11", works, works)
    await written(ana, f"/people/{vic}/interactions", message("2024-05-09"))
    await written(ana, f"/people/{kim}/interactions", message("2024-05-11"))
    whole = own | {"with_subsidiaries": True, "text": "All of us"}
    await written(ana, f"/companies/{group}/off-limits", whole)
    await refused(kim, "2024-05-12", shop, group)
    await written(ana, f"/people/{lee}/interactions", message("2024-05-12"))  # our contact there
    why = message("2024-05-12", override="She wrote to us first")
    await written(ana, f"/people/{kim}/interactions", why)
    _, text = await create_key(ledger, actor="integration:campaign")
    robot = await ana.post(
        f"/people/{kim}/interactions", json=message("2024-05-12", override="Planned", text=""),
        headers={"Authorization": f"Bearer {text}"},
    )  # fmt: skip
    problem(robot, 403, "not-a-consultant")
    project()

    check = await found(ana, f"/people/{vic}/conflicts", on=ON)
    assert [(o["what"], o["agreed_with"], o["until_on"]) for o in check["obstacles"]] == [
        ("off_limits", "Works", "2024-12-31"), ("off_limits", "Group", None),
        ("placed_by_us", None, None),
    ]  # fmt: skip
    assert (await found(ana, f"/people/{lee}/conflicts", on=ON))["free"]
    firm = await found(ana, f"/companies/{works}/conflicts", on=ON)
    assert (firm["off_limits_until_on"], firm["off_limits_text"]) == (None, "All of us")
    assert (await found(ana, f"/companies/{works}"))["off_limits"]["with_subsidiaries"] is False

    of_group = await found(ana, f"/companies/{group}/off-limits", on=ON)
    assert of_group["own"]["with_subsidiaries"] is True
    assert [each["company"] for each in of_group["companies"]] == ["Group", "Works", "Shop"]
    assert [(p["person"], p["company"], p["why"]) for p in of_group["people"]] == [
        ("Kim", "Shop", "employed"), ("Vic", "Works", "placed")
    ]  # fmt: skip
    of_works = await found(ana, f"/companies/{works}/off-limits", on=ON)
    assert [p["person"] for p in of_works["people"]] == ["Vic"]
    assert [each["agreed_with"] for each in of_works["above"]] == ["Group"]
    later = await found(ana, f"/companies/{works}/off-limits", on="2025-01-01")
    assert (later["own"], later["people"]) == (None, [])
    assert [each["agreed_with"] for each in later["above"]] == ["Group"]
    problem(await ana.get(f"/companies/{kim}/off-limits"), 404, "no-such-record")

    async def listed(**asked: Any) -> list[tuple[str, bool, str | None, int, int, int]]:
        return [
            (each["agreed_with"], each["with_subsidiaries"], each["until_on"], each["companies"],
             each["people"], each["placed"])
            for each in (await found(ana, "/off-limits", **asked))["items"]
        ]  # fmt: skip

    of_whole = ("Group", True, None, 3, 2, 1)
    alone_at_works = ("Works", False, "2024-12-31", 1, 1, 1)
    assert await listed(on=ON) == [of_whole, alone_at_works], "the last written down first"
    assert await listed(on="2024-04-30") == [], "before they were agreed"
    before_vic_began = ("Works", False, "2024-12-31", 1, 0, 0)
    assert before_vic_began in await listed(on="2024-05-09")
    assert await listed(on="2024-12-31") == [of_whole, alone_at_works]
    assert await listed(on="2025-01-01") == [of_whole]
    assert await listed(on=ON, company_id=works) == [alone_at_works]
    assert await listed(on=ON, company_id=shop) == []
    assert await listed(on=ON, ends_before="2024-12-31") == []
    assert await listed(on=ON, ends_before="2025-01-01") == [alone_at_works]
    first = await found(ana, "/off-limits", on=ON, limit=1)
    assert (first["items"][0]["text"], first["items"][0]["agreed_at"]) == ("All of us", AT)
    assert await listed(on=ON, limit=1, cursor=first["next"]) == [alone_at_works]
    problem(await ana.get("/off-limits", params={"company_id": kim}), 404, "no-such-record")
    withdrawn = {"kind": "person.consent_withdrawn", "withdrawn_at": AT}
    await written(ana, f"/people/{lee}/permissions", withdrawn)
    project()
    assert len(await listed(on=ON)) == 2, "it is about companies"

    # who no longer belongs to them is free, and so is who does when it is lifted
    await written(ana, f"/companies/{shop}/changes", named | {"parent_id": None})
    await written(ana, f"/people/{kim}/interactions", message("2024-05-13"))
    lifted = {"kind": "company.off_limits_lifted", "lifted_at": "2025-01-01T00:00:00Z"}
    await refused(vic, "2025-01-02", works, group)
    await written(ana, f"/companies/{group}/off-limits", lifted)
    await written(ana, f"/people/{vic}/interactions", message("2025-01-02"))
    project()
    assert await listed(on="2025-01-01") == []
