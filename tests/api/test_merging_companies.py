"""Two records of one firm become one over the API, and two again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.journey import FEE, ORDER, SENT, found, problem, written
from ledger_crm.projections import market

pytestmark = pytest.mark.anyio

ACME = {
    "name": "Acme", "domain": "acme.example", "added_at": "2024-01-01T09:00:00Z",
}  # fmt: skip
TWIN = {
    "name": "ACME GmbH", "domain": "acme.test", "industry": "Engines",
    "added_at": "2024-01-02T09:00:00Z",
}  # fmt: skip
LISTS = (
    "/off-limits?on=2024-06-01", "/off-limits?on=2024-03-10&company_id={acme}",
    "/companies", "/companies?q=acme", "/companies?tag=key", "/companies?domain=acme.test",
    "/companies?industry=engines", "/companies?owner=consultant:ana",
    "/companies?parent_id={twin}", "/job-orders", "/job-orders?company_id={twin}", "/accounts",
    "/deals?pipeline=sales", "/deals?pipeline=sales&company_id={twin}",
    "/deals/counts?pipeline=sales&company_id={acme}", "/deals/forecast?pipeline=sales",
    "/fees", "/renewals", "/candidates", "/candidates?company_id={twin}", "/applications",
    "/introductions?company_id={acme}", "/placements?company_id={twin}", "/interviews",
    "/instalments?company_id={acme}", "/invoices?company_id={acme}", "/remedies", "/commissions",
    "/follow-ups?company_id={acme}", "/referrals?company_id={acme}", "/shortlists",
    "/engagement?kind=company", "/engagement/quiet/companies?days=30",
    "/day?on=2027-01-01&owner=consultant:ana",
    "/revenue?by=client", "/revenue?by=industry", "/people/{ada}", "/people/{ada}/history",
    "/people/{ada}/conflicts?on=2024-06-01",
    "/funnel?since=2024-01-01&until=2027-12-31&by=client",
)  # fmt: skip
OF_ONE = (
    "", "/history", "/account", "/contacts", "/engagement", "/fees", "/conflicts?on=2024-06-01",
    "/off-limits?on=2024-06-01",
)  # fmt: skip


class Two:
    """Acme, and a duplicate of it that has a past of its own."""

    def __init__(self, ana: httpx.AsyncClient, project: Callable[[], None]) -> None:
        self.ana, self.project = ana, project
        self.tail: str | None = None  # an agreement of Acme's with one

    async def begin(self) -> None:
        ana = self.ana
        self.acme = (await written(ana, "/companies", ACME))["id"]
        self.twin = (await written(ana, "/companies", TWIN))["id"]
        self.child = (await written(ana, "/companies", {"name": "Acme Pumps"}))["id"]
        self.ada = (await written(ana, "/people", {"name": "Ada Byron"}))["id"]
        self.orders, self.fees = {}, {}
        await self.changed(self.twin, "tagged", tag="big")
        for id in (self.acme, self.twin):
            of = f"/companies/{id}"
            await self.changed(id, "tagged", tag="key")
            rate = {"rate_bp": 2000 if id == self.acme else 3000}
            later = {} if id == self.acme else {"agreed_at": "2024-02-02T10:00:00Z"}
            self.fees[id] = (await written(ana, f"{of}/fees", FEE | rate | later))["created"]
            self.orders[id] = (await written(ana, f"{of}/job-orders", ORDER))["created"]
            await written(ana, f"{of}/deals", {"title": "More", "opened_at": ORDER["opened_at"]})
            promise = {"due_on": "2026-12-01", "text": "Ask", "owner": "consultant:ana"}
            await written(ana, f"{of}/follow-ups", promise)
        await self.changed(self.twin, "owner_assigned", owner="consultant:ana")
        await self.changed(self.child, "parent_named", parent_id=self.twin)
        job = {"company_id": self.twin, "starts_on": "2024-01-01"}
        await written(ana, f"/people/{self.ada}/employments", job)
        limits = {"kind": "company.off_limits_agreed", "agreed_at": "2024-03-01T00:00:00Z"}
        await written(ana, f"/companies/{self.twin}/off-limits", limits | {"text": "A year"})
        short = limits | {"agreed_at": "2024-03-05T00:00:00Z", "until_on": "2024-03-20"}
        await written(ana, f"/companies/{self.acme}/off-limits", short)
        body = {"company_id": self.twin, "job_order_id": self.orders[self.twin]}
        await written(ana, f"/people/{self.ada}/candidacies", body)

    async def changed(self, company: str, kind: str, **fields: Any) -> dict[str, Any]:
        fact = {"kind": f"company.{kind}", **fields}
        return await written(self.ana, f"/companies/{company}/changes", fact)

    async def merge(self, survivor: str = "", duplicate: str = "") -> dict[str, Any]:
        body = {"duplicate_id": duplicate or self.twin, "reason": "same_name"}
        return await written(self.ana, f"/companies/{survivor or self.acme}/merges", body)

    async def undo(self) -> dict[str, Any]:
        path = f"/companies/{self.acme}/merges/{self.twin}/undo"
        return await written(self.ana, path, {"reason": "two_firms"})

    async def answers(self) -> dict[str, Any]:
        """Everything that is told of them, but that they were merged."""
        self.project()
        paths = [path.format(acme=self.acme, twin=self.twin, ada=self.ada) for path in LISTS]
        paths += [f"/companies/{id}{path}" for id in (self.acme, self.twin) for path in OF_ONE]
        answers = [await self.ana.get(path) for path in paths]  # in turn: four connections answer
        told = {}
        for words in ("acme", "gmbh"):
            asked = {"words": words}
            told[words] = (await self.ana.post("/search/lookups", json=asked)).json()
        for path, answer in zip(paths, answers, strict=True):
            assert answer.status_code == 200, (path, answer.text)
            body = answer.json()
            if isinstance(body, dict):
                body.pop("version", None)
                if "items" in body:
                    merges = ("company.absorbed", "company.merged", "company.unmerged")
                    body["items"] = [i for i in body["items"] if i.get("kind") not in merges]
            told[path] = body
        return told


@pytest.fixture
async def two(ana: httpx.AsyncClient, project: Callable[[], None]) -> Two:
    two = Two(ana, project)
    await two.begin()
    return two


async def test_merged_they_are_one_firm_and_un_merged_as_they_were(two: Two) -> None:
    before = await two.answers()
    await two.merge()
    assert (await two.merge())["position"] is None

    merged = await two.answers()
    for path, body in merged.items():
        told = {**body, "absorbed": []} if isinstance(body, dict) else body
        assert two.twin not in str(told), path
    for path in OF_ONE:
        of_old = merged[f"/companies/{two.twin}{path}"]
        assert merged[f"/companies/{two.acme}{path}"] == of_old, path
    card = merged[f"/companies/{two.acme}"]
    assert (card["id"], card["name"], card["industry"]) == (two.acme, "Acme", "Engines")
    assert (card["owner"], card["tags"]) == ("consultant:ana", ["big", "key"])
    [shown] = [each for each in merged["/companies"]["items"] if each["id"] == two.acme]
    assert shown["tags"] == ["big", "key"]
    assert card["domains"] == ["acme.example", "acme.test"]
    assert [each["id"] for each in card["children"]] == [two.child]
    assert [each["id"] for each in card["absorbed"]] == [two.twin]
    assert {each["id"] for each in card["job_orders"]} == {*two.orders.values()}
    assert {each["id"] for each in card["fees"]} == {*two.fees.values()}
    limits = card["off_limits"]
    assert (limits["refuses"], limits["until_on"]) == (True, None), "not the one that is over"
    for path in ("tag=key", "domain=acme.test", "industry=engines", "owner=consultant:ana"):
        items = merged[f"/companies?{path}"]["items"]
        assert [each["id"] for each in items] == [two.acme], path
    account = merged[f"/companies/{two.acme}/account"]
    assert (account["orders"], account["open_orders"]) == (2, 2)
    assert len(merged[f"/job-orders?company_id={two.twin}"]["items"]) == 2
    assert len(merged[f"/deals?pipeline=sales&company_id={two.twin}"]["items"]) == 2
    assert [hit["id"] for hit in merged["gmbh"]["items"] if hit["kind"] == "company"] == [two.acme]
    of_both = [before[f"/companies/{id}/history"]["items"] for id in (two.acme, two.twin)]
    history = merged[f"/companies/{two.acme}/history"]["items"]
    assert len(history) == sum(map(len, of_both))
    lines = (await found(two.ana, f"/companies/{two.twin}/history"))["items"]
    assert "a duplicate merged into this record: same name" in [line["line"] for line in lines]

    await two.undo()
    assert await two.answers() == before
    refused = await two.ana.post(f"/companies/{two.acme}/merges/{two.twin}/undo", json={})
    problem(refused, 404, "not-merged")


async def test_as_of_a_moment_before_they_are_two(two: Two) -> None:
    two.project()
    before = await found(two.ana, f"/companies/{two.twin}")
    position = (await two.merge())["position"]
    two.project()
    then = await found(two.ana, f"/companies/{two.twin}", as_of=position - 2)
    assert (then["id"], then["name"]) == (two.twin, "ACME GmbH")
    assert then == before
    assert (await found(two.ana, f"/companies/{two.twin}", as_of=position))["id"] == two.acme


async def test_they_decide_as_one_by_whichever_id(two: Two) -> None:
    """Terms, off-limits, domains, open job orders and owners are those of both."""
    ana, old, new = two.ana, f"/companies/{two.twin}", f"/companies/{two.acme}"
    two.project()
    etag = (await ana.get(old)).headers["etag"]
    bob = (await written(ana, "/people", {"name": "Bob"}))["id"]
    await written(
        ana, f"/people/{bob}/employments", {"company_id": two.acme, "starts_on": "2024-01-01"}
    )
    message = SENT | {"sent_at": "2024-04-01T09:00:00Z"}
    await written(ana, f"/people/{bob}/interactions", message)
    bolt = (await written(ana, "/companies", {"name": "Bolt"}))["id"]
    search = (await written(ana, f"/companies/{bolt}/job-orders", ORDER))["created"]
    for target_id in (two.acme, two.twin):
        await targeted(ana, bolt, search, target_id, "named")
    await two.merge()

    refused = await ana.post(f"{old}/changes", json=tagged("x"), headers={"If-Match": etag})
    assert problem(refused, 409, "record-is-merged")["survivor_id"] == two.acme
    profile = {"kind": "company.profile_changed", "location": "Ulm"}
    problem(await ana.post(f"{old}/changes", json=profile), 409, "record-is-merged")
    refused = await ana.post(f"{old}/merges", json={"duplicate_id": two.child})
    problem(refused, 409, "record-is-merged")

    await targeted(ana, bolt, search, two.acme, "dropped")
    two.project()
    assert (await found(ana, f"/job-orders/{search}/market-map"))["targets"] == [], "by either id"

    message |= {"message_id": "<2@us>"}
    refused = await ana.post(f"/people/{bob}/interactions", json=message)
    problem(refused, 403, "off-limits")
    own = f"{new}/job-orders/{two.orders[two.acme]}/terms"
    assert (await found(ana, own))["agreement_id"] == two.fees[two.twin], "agreed last"
    assert (await found(ana, own, at="2024-02-01T12:00:00Z"))["agreement_id"] == two.fees[two.acme]
    for domain in ("acme.example", "acme.test"):
        added = await two.changed(two.twin, "domain_added", domain=domain)
        assert added["position"] is None, "it is theirs already"
    taken = await ana.post("/companies", json={"name": "Acme", "domain": "acme.test"})
    holder = problem(taken, 409, "domain-taken")["holder"]
    two.project()
    assert (await found(ana, f"/companies/{holder}"))["id"] == two.acme
    owned = await two.changed(two.acme, "owner_assigned", owner="consultant:ana")
    assert owned["position"] is None, "she is"
    hold = {
        "kind": "company.job_order_held", "job_order_id": two.orders[two.twin], "reason": "x",
        "held_at": "2024-04-02T09:00:00Z",
    }  # fmt: skip
    await written(ana, f"{new}/job-orders/steps", hold)
    told = await written(ana, f"{old}/interactions", {"kind": "company.note_written", "text": "Hm"})
    assert told["id"] == two.acme

    await two.undo()
    two.project()
    theirs = [line["kind"] for line in (await found(ana, f"{old}/history"))["items"]]
    assert "company.job_order_held" in theirs
    assert "company.note_written" not in theirs
    assert (await found(ana, own))["agreement_id"] == two.fees[two.acme]


async def test_a_firm_is_listed_by_what_it_is_whichever_record_says_so(
    ana: httpx.AsyncClient, project: Callable[[], None]
) -> None:
    ids = {}
    for name in ("Client", "Its twin", "Prospect", "Another"):
        ids[name] = (await written(ana, "/companies", {"name": name}))["id"]
    await written(ana, f"/companies/{ids['Client']}/job-orders", ORDER)
    for name, twin in (("Its twin", "Client"), ("Prospect", "Another")):
        merge = {"duplicate_id": ids[twin]}
        await written(ana, f"/companies/{ids[name]}/merges", merge)
    project()

    async def listed(status: str) -> list[str]:
        items = (await found(ana, "/accounts", status=status))["items"]
        return [each["company"] for each in items]

    assert (await listed("active"), await listed("prospect")) == (["Its twin"], ["Prospect"])
    assert await listed("qualified") == []


async def test_who_was_introduced_keeps_the_terms_of_then_also_un_merged(two: Two) -> None:
    """Under an agreement of the other record: it stays the evidence, and the fee is by it."""
    ana = two.ana
    await two.merge()
    bob = (await written(ana, "/people", {"name": "Bob"}))["id"]
    body = {"company_id": two.twin, "job_order_id": two.orders[two.acme]}
    candidacy = (await written(ana, f"/people/{bob}/candidacies", body))["created"]
    path = f"/people/{bob}/candidacies/{candidacy}"
    await written(ana, f"{path}/rights-to-represent", {"given_at": "2024-03-01T09:00:00Z"})
    await written(ana, f"{path}/introductions", {"introduced_at": "2024-03-02T09:00:00Z"})
    await two.undo()
    placed = {
        "placed_at": "2024-04-02T09:00:00Z", "starts_on": "2024-05-01",
        "first_year_pay_cents": 10_000_000,
    }  # fmt: skip
    await written(ana, f"{path}/placements", placed)
    await written(ana, f"{path}/starts", {"starts_on": "2024-05-01"})
    two.project()
    [shown] = (await found(ana, "/introductions", person_id=bob))["items"]
    assert (shown["company_id"], shown["agreement_id"]) == (two.acme, two.fees[two.twin])
    [due] = (await found(ana, "/instalments", company_id=two.acme))["items"]
    assert due["amount_cents"] == 3_000_000, "30 %, as the other record's agreement says"
    assert (await found(ana, "/instalments", company_id=two.twin))["items"] == []


async def test_who_was_introduced_to_one_and_hired_by_the_other_was_hired_past_us(two: Two) -> None:
    """Given people introduced to Acme under a tail and hired by its other record, or by a daughter
    of that; when the two are merged; then they are flagged, and stay so: it is evidence."""
    ana = two.ana

    async def past_us() -> dict[str, str]:
        two.project()
        items = (await found(ana, "/introductions", hired_past_us=True))["items"]
        return {each["person"]: each["hired_on"] for each in items}

    bob = await hired(two, "Bob", starts_on="2024-06-01")
    await hired(two, "Kim", starts_on="2024-07-01", company_id=two.child)
    await hired(two, "Too late", starts_on="2025-03-03")
    await hired(two, "Before", starts_on="2023-03-03")
    await hired(two, "Some day")
    assert await past_us() == {}
    tried = await ana.post(
        f"/companies/{two.acme}/merges", json={"duplicate_id": two.twin}, params={"dry_run": True}
    )
    assert sorted(each["kind"] for each in tried.json()["entries"]) == [
        "company.absorbed", "company.merged", *["person.backdoor_suspected"] * 2
    ]  # fmt: skip
    late = await hired(two, "Late", starts_on="2024-08-01")  # which no read model knows yet
    receipt = await two.merge()
    assert receipt["id"] == two.acme
    assert await past_us() == {"Bob": "2024-06-01", "Kim": "2024-07-01"}
    assert (await two.merge())["position"], "looked for again"
    flagged = {"Bob": "2024-06-01", "Kim": "2024-07-01", "Late": "2024-08-01"}
    assert await past_us() == flagged
    assert (await two.merge())["position"] is None, "and once"
    for path in (f"/people/{bob}", f"/people/{late}", f"/companies/{two.acme}"):
        lines = [each["line"] for each in (await found(ana, f"{path}/history"))["items"]]
        assert "hired past us, within the tail until 2025-03-02" in lines
    await two.undo()
    assert await past_us() == flagged


async def test_of_more_hires_past_us_than_one_merge_looks_at_the_same_merge_finds_the_rest(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were flagged, or placed there by us, or are no hires past us, were looked at
    again, and the rest never."""
    monkeypatch.setattr(market, "MOST", 1)
    orders = f"/companies/{two.acme}/job-orders"
    two.orders[two.acme] = (await written(two.ana, orders, ORDER | {"openings": 9}))["created"]
    for each in "123":
        await hired(two, "Placed " + each, company_id=two.acme, placed=True)
        await hired(two, "Too late " + each, starts_on="2025-03-03")
    names = ["Bob", "Kim", "Lee"]
    for name in names:
        await hired(two, name, starts_on="2024-06-01")
    for n in (1, 2, 3):
        two.project()
        assert (await two.merge())["position"], f"the hire {n}"
    two.project()
    assert (await two.merge())["position"] is None
    items = (await found(two.ana, "/introductions", hired_past_us=True))["items"]
    assert sorted(each["person"] for each in items) == names


async def test_what_forbids_a_merge_of_companies_is_told(two: Two) -> None:
    ana, new = two.ana, f"/companies/{two.acme}/merges"
    problem(await ana.post(new, json={"duplicate_id": two.acme}), 422, "merged-with-itself")
    problem(await ana.post(new, json={"duplicate_id": two.ada}), 404, "no-such-record")
    for survivor, other in ((two.twin, two.child), (two.child, two.twin)):
        refused = await ana.post(f"/companies/{survivor}/merges", json={"duplicate_id": other})
        problem(refused, 409, "belong-together")
    await two.merge()
    refused = await ana.post(new, json={"duplicate_id": two.child})
    problem(refused, 409, "belong-together")
    third = (await written(ana, "/companies", {"name": "Third"}))["id"]
    refused = await ana.post(f"/companies/{third}/merges", json={"duplicate_id": two.twin})
    assert problem(refused, 409, "record-is-merged")["survivor_id"] == two.acme
    circle = {"kind": "company.parent_named", "parent_id": two.child}
    problem(await ana.post(f"/companies/{two.acme}/changes", json=circle), 422, "own-ancestor")


async def test_off_limits_that_is_lifted_on_one_that_is_merged_further_is_lifted(two: Two) -> None:
    """Given that Acme absorbed its twin, which was off limits, and lifted it; when Acme is merged
    into a third record; then it is still lifted: nobody is kept from approaching them."""
    ana = two.ana
    third = (await written(ana, "/companies", {"name": "Third"}))["id"]
    merges = f"/companies/{two.acme}/merges"
    await written(ana, merges, {"duplicate_id": two.twin, "absorbed_at": "2024-04-01T00:00:00Z"})
    lifted = {"kind": "company.off_limits_lifted", "lifted_at": "2024-04-02T00:00:00Z"}
    await written(ana, f"/companies/{two.acme}/off-limits", lifted)
    merges = f"/companies/{third}/merges"
    await written(ana, merges, {"duplicate_id": two.acme, "absorbed_at": "2024-05-01T00:00:00Z"})
    two.project()
    assert (await found(ana, "/off-limits", on="2024-06-01"))["items"] == []
    assert (await found(ana, f"/companies/{third}"))["off_limits"]["refuses"] is False
    assert (await found(ana, f"/people/{two.ada}/conflicts", on="2024-06-01"))["free"]
    message = SENT | {"sent_at": "2024-06-01T09:00:00Z"}
    await written(ana, f"/people/{two.ada}/interactions", message)


OF_A_PAIR = ("company_id", "duplicate_id")


async def test_likely_duplicates_are_proposed_until_somebody_decided(two: Two) -> None:
    path = "/duplicates/companies"

    async def pairs() -> list[tuple[str, str, list[str]]]:
        two.project()
        items = (await found(two.ana, path))["items"]
        return [(each["company"], each["duplicate"], each["why"]) for each in items]

    await written(two.ana, "/companies", {"name": "Acme", "domain": "pumps.example"})
    acme, gmbh = ("Acme", "Acme", ["name"]), ("Acme", "ACME GmbH", ["domain", "name"])
    assert await pairs() == [("ACME GmbH", "Acme", ["name"]), acme, gmbh]
    first = (await found(two.ana, path, limit=1))["next"]
    assert len((await found(two.ana, path, cursor=first))["items"]) == 2
    by_domain = await found(two.ana, path, why="domain")
    assert [each["duplicate"] for each in by_domain["items"]] == ["ACME GmbH"]
    ids = {each[name] for each in (await found(two.ana, path))["items"] for name in OF_A_PAIR}
    for id in ids:
        theirs = (await found(two.ana, path, company_id=id))["items"]
        assert len(theirs) == 2, "three of one name are two pairs for each"
        assert all(id in (each["company_id"], each["duplicate_id"]) for each in theirs)
    await two.merge()
    assert await pairs() == [acme]
    await two.undo()
    assert await pairs() == [("ACME GmbH", "Acme", ["name"]), acme]


async def hired(two: Two, name: str, *, placed: bool = False, **job: Any) -> str:
    """Somebody introduced to Acme under a tail, and employed at its other record."""
    ana, order = two.ana, two.orders[two.acme]
    if two.tail is None:
        tail = FEE | {"agreed_at": "2024-02-03T10:00:00Z", "tail_months": 12}
        two.tail = (await written(ana, f"/companies/{two.acme}/fees", tail))["created"]
    person = (await written(ana, "/people", {"name": name}))["id"]
    body = {"company_id": two.acme, "job_order_id": order}
    candidacy = (await written(ana, f"/people/{person}/candidacies", body))["created"]
    path = f"/people/{person}/candidacies/{candidacy}"
    await written(ana, f"{path}/rights-to-represent", {"given_at": "2024-03-01T09:00:00Z"})
    await written(ana, f"{path}/introductions", {"introduced_at": "2024-03-02T09:00:00Z"})
    if placed:
        start = {"starts_on": "2024-05-01", "first_year_pay_cents": 1}
        await written(ana, f"{path}/placements", start | {"placed_at": "2024-04-02T09:00:00Z"})
        job["starts_on"] = "2024-05-01"
    await written(ana, f"/people/{person}/employments", {"company_id": two.twin} | job)
    return str(person)


async def targeted(ana: httpx.AsyncClient, company: str, search: str, id: str, what: str) -> None:
    fact = {"kind": f"company.target_{what}", f"{what}_at": ORDER["opened_at"]}
    named = fact | {"job_order_id": search, "target_id": id}
    await written(ana, f"/companies/{company}/job-orders/targets", named)


def tagged(tag: str) -> dict[str, Any]:
    return {"kind": "company.tagged", "tag": tag}
