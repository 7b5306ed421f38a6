"""The question that no agency can answer: our full history with this person, and with this company.

One person is imported, messaged, replies, is placed, is then employed there as hiring manager, and
opens a job order: one record, by the same e-mail address; both histories in one request each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from running import Running, everything, ledger_crm, printed

pytestmark = pytest.mark.xdist_group("agency")

MAPPING = """
name = "candidates"
key = "{email}"

[[fact]]
kind = "person.sourced"
person_id = "{email}"
name = "{name}"
email = "{email}"
sourced_at = "{since}"
"""
FACTS = [
    "person.sourced", "person.contact_point_added", "person.message_sent",
    "person.message_replied", "person.candidacy_opened", "person.right_to_represent_given",
    "person.introduced", "person.placed", "person.employed", "company.job_order_opened",
]  # fmt: skip
PAST = {
    "company.added", "company.fee_agreed", "company.job_order_opened", "company.job_order_filled",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(agency: Running) -> Path:
    return agency.home


@pytest.fixture(scope="module")
def api(agency: Running) -> Iterator[httpx.Client]:
    with agency.api() as api:
        yield api


def post(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def looked_up(api: httpx.Client, email: str, after: int) -> list[dict[str, Any]]:
    asked = {"point": "email", "value": email}
    found: list[dict[str, Any]] = api.post(
        "/people/lookups", json=asked, params={"after": after}
    ).json()["items"]
    return found


def test_one_record_and_all_of_it_from_both_sides(api: httpx.Client, home: Path) -> None:
    (home / "candidates.toml").write_text(MAPPING)
    csv = b"name,email,since\nLin Obi,Lin@Example.org,2024-01-05T09:00:00Z\n"
    words = ("import", "-", "-m", str(home / "candidates.toml"), "--json")
    report = printed(ledger_crm(home, *words, stdin=csv))
    after = report["last_position"]
    [lin] = looked_up(api, "lin@example.org", after)

    client = post(api, "/companies", name="Eiderveld Freight")["id"]
    post(
        api, f"/companies/{client}/fees", basis="contingent", currency="EUR", rate_bp=2_000,
        agreed_at="2024-01-02T09:00:00Z",
    )  # fmt: skip
    order = post(
        api, f"/companies/{client}/job-orders", title="Planner", opened_at="2024-01-03T09:00:00Z"
    )["created"]
    person = f"/people/{lin['id']}"
    post(
        api, f"{person}/interactions", kind="person.message_sent", channel="email",
        message_id="<1@us>", sent_at="2024-01-06T09:00:00Z", text="Would you?",
    )  # fmt: skip
    post(
        api, f"{person}/interactions", kind="person.message_replied", channel="email",
        message_id="<1@lin>", replied_at="2024-01-07T09:00:00Z", text="I would.",
    )  # fmt: skip
    candidacy = post(
        api, f"{person}/candidacies", company_id=client, job_order_id=order,
        opened_at="2024-01-08T09:00:00Z",
    )["created"]  # fmt: skip
    at = f"{person}/candidacies/{candidacy}"
    post(api, f"{at}/rights-to-represent", given_at="2024-01-09T09:00:00Z")
    post(api, f"{at}/introductions", introduced_at="2024-01-10T09:00:00Z")
    post(
        api, f"{at}/placements", placed_at="2024-02-01T09:00:00Z", starts_on="2024-03-01",
        first_year_pay_cents=60_000_00,
    )  # fmt: skip
    post(
        api, f"{person}/employments", company_id=client, role="hiring_manager",
        starts_on="2026-03-01",
    )  # fmt: skip
    last = post(
        api, f"/companies/{client}/job-orders", title="Deputy", opened_at="2026-04-01T09:00:00Z",
        hiring_manager_id=lin["id"],
    )  # fmt: skip

    again = api.post("/people", json={"name": "L. Obi", "email": "lin@example.org"})
    assert (again.status_code, again.json()["holder"]) == (409, lin["id"])

    read = {"after": last["position"], "limit": 200}
    theirs = api.get(f"{person}/history", params=read).json()
    ours = api.get(f"/companies/{client}/history", params=read).json()
    assert theirs["next"] is ours["next"] is None
    assert sorted(line["kind"] for line in theirs["items"]) == sorted(FACTS)
    assert [line["at"] for line in theirs["items"]] == sorted(
        (line["at"] for line in theirs["items"]), reverse=True
    )
    assert {line["kind"] for line in ours["items"]} == set(FACTS) | PAST
    assert "I would." in [line["text"] for line in ours["items"]]
    placed = api.get(f"/candidates/{candidacy}").json()["card"]
    assert (placed["fee_cents"], placed["currency"]) == (12_000_00, "EUR")


def test_the_companies_of_an_index_and_the_people_of_a_register(
    api: httpx.Client, home: Path, shared_data: Path
) -> None:
    mappings = Path(__file__).parents[2] / "docs" / "mappings"
    before = len(list(everything(api, "/companies"))), len(list(everything(api, "/people")))
    sp500 = ("companies/sp500_constituents.csv", "sp500.toml")
    febrl = ("febrl/dataset1.csv", "febrl.toml")
    for file, mapping in (sp500, febrl):
        words = ("import", str(shared_data / file), "-m", str(mappings / mapping), "--json")
        report = printed(ledger_crm(home, *words))
    after = report["last_position"]
    assert len(list(everything(api, "/companies", after=after))) == before[0] + 503
    assert len(list(everything(api, "/people", after=after))) == before[1] + 500
