"""``read``: what the API gives, on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from builders import added, order_opened, sourced
from conftest import Run
from ledger_crm.domain.company import Company
from ledger_crm.domain.person import Person
from ledger_crm.ledger import Intent, Ledger, Work
from projections.test_queries import project
from scenario import ANA, COMPANY, KEYRING


@pytest.fixture
def template(read_models: str) -> str:
    return read_models


@pytest.fixture
def agency(database: str) -> None:
    """Seven people, and a company that asks for two."""

    async def begin(work: Work) -> Company:
        for n in range(7):
            work.add(
                Person.source(sourced(name=f"P{n}", channel="event" if n else "other"), by=ANA)
            )
        company = work.add(Company.add(added(name="Engines"), by=ANA, id=COMPANY))
        for n, title in enumerate(("Engineer", "Weaver"), 1):
            order = order_opened(job_order_id=UUID(int=n), title=title, must_haves=("English",))
            company.open_job_order(order, by=ANA)
        return company

    with Ledger(database, KEYRING) as ledger:
        asyncio.run(ledger.decide(begin, intent=Intent(by=ANA)))
        project(database, ledger)


@pytest.mark.usefixtures("agency")
def test_a_list_is_a_table_with_the_id_first(told: Run) -> None:
    code, out, err = told("read", "job-orders", "--company-id", str(COMPANY))
    titles, *rows = out.splitlines()
    assert (code, err, len(rows)) == (0, "", 2)
    assert titles.split()[:2] == ["id", "title"]
    assert "position" not in titles, "that is to page by"
    assert "owner" not in titles, "nobody has one"
    assert [row.split()[:2] for row in rows] == [
        [str(UUID(int=2)), "Weaver"], [str(UUID(int=1)), "Engineer"]
    ]  # fmt: skip
    assert "English" in rows[0]


@pytest.mark.usefixtures("agency")
def test_a_list_is_as_long_as_it_is_or_as_was_asked_for(
    told: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the API gives at once."""
    monkeypatch.setattr("ledger_crm.cli.reading.PAGE", 3)

    def names(*words: str) -> list[str]:
        return [
            person["name"] for person in json.loads(told("read", "people", "--json", *words)[1])
        ]

    everybody = [f"P{n}" for n in reversed(range(7))]
    assert names() == everybody
    assert names("--limit", "4") == everybody[:4]
    assert names("--channel", "other") == ["P0"]


@pytest.mark.usefixtures("agency")
def test_a_record_is_a_line_for_each_of_its_fields(told: Run) -> None:
    code, out, _ = told("read", f"companies/{COMPANY}")
    assert code == 0
    assert ["name", "Engines"] in [line.split() for line in out.splitlines()]
    assert json.loads(told("read", f"/companies/{COMPANY}", "--json")[1])["name"] == "Engines"
    assert "Engineer" in told("read", f"companies/{COMPANY}/history")[1]


def test_it_says_what_there_is_to_read_and_by_what(
    told: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And opens, or makes, nothing for it."""
    monkeypatch.delenv("LEDGER_DATABASE_URL")
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path / "home"))
    code, out, _ = told("read", "--json")
    assert not (tmp_path / "home").exists()
    found = {each["what"]: each["filters"] for each in json.loads(out)}
    assert code == 0
    assert found["invoices"] == ["as_of", "known", "company_id", "overdue_on", "settled"]
    assert {"people/{person_id}/history", "deals/forecast", "commissions", "day"} <= set(found)
    assert not [what for what in found if what.startswith(("health", "portal", "problems"))]


@pytest.mark.usefixtures("agency")
def test_of_nothing_it_says_nothing(told: Run) -> None:
    assert told("read", "invoices") == (0, "", "nothing\n")
    assert told("read", "invoices", "--json")[1] == "[]\n"


@pytest.mark.usefixtures("agency")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("peeple",), "there is no peeple to read; see which there are: ledger-crm read"),
        (
            ("people", "--colour", "red"),
            "people has no filter colour; it has: --as-of, --known, --tag",
        ),
        (("revenue", "--by", "moon"), "revenue: query:by: "),
        (("people/abc",), "people/abc: "),
        ((f"people/{COMPANY}",), f"people/{COMPANY}: "),
        (("people", "--limit", "0"), "limit"),
        (("health/ready",), "there is no health/ready"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_one_line(told: Run, words: tuple[str, ...], says: str) -> None:
    code, out, err = told("read", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_what_is_not_built_yet_is_said(
    told: Run, databases: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = databases(of="template_ledger")
    monkeypatch.setenv("LEDGER_DATABASE_URL", database)
    code, out, err = told("read", "people")
    assert (code, out) == (2, "")
    assert "not projected yet" in err
    assert "ledger-crm up" in err
