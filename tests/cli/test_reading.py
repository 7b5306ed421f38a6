"""``read``: what the API gives, on the command line."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn

from builders import added, order_opened, sourced
from conftest import Run
from ledger_crm.api.app import create_app
from ledger_crm.api.snapshots import open_pool
from ledger_crm.commands.catalogue import create_key
from ledger_crm.domain.company import Company
from ledger_crm.domain.person import Person
from ledger_crm.domain.role import Role
from ledger_crm.embedded import Claim
from ledger_crm.ledger import Intent, Ledger, Work
from projections.test_queries import project
from scenario import ANA, COMPANY, KEYRING
from waiting import until


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
    assert found["invoices"] == [
        "as_of", "known", "fields", "sort", "company_id", "overdue_on", "settled",
    ]  # fmt: skip
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
            "people has no filter colour; it has: --as-of, --known, --fields, --sort, --tag",
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


class Served:
    """The API on this test's database, over HTTP, until ``stop``."""

    server: uvicorn.Server | None

    def __init__(self, database: str) -> None:
        self.database, self.server = database, None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        until(lambda: self.server and self.server.started)
        assert self.server
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def key(self, role: Role) -> str:
        with Ledger(self.database, KEYRING) as ledger:
            _, text = asyncio.run(create_key(ledger, actor="consultant:ben", role=role))
            project(self.database, ledger)
        return text

    def stop(self) -> None:
        assert self.server
        self.server.should_exit = True
        self._thread.join()

    async def _serve(self) -> None:
        with Ledger(self.database, KEYRING) as ledger:
            async with open_pool(self.database, most=2) as pool:
                app = create_app(ledger=ledger, pool=pool, feed_position=ledger.head)
                config = uvicorn.Config(
                    app, port=0, log_config=None, access_log=False, lifespan="off"
                )
                self.server = uvicorn.Server(config)
                self.server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
                await self.server.serve()
                await app.state.equipment.callers.visits.settled()


@pytest.fixture
def served(database: str, agency: None) -> Iterator[Served]:
    served = Served(database)
    yield served
    served.stop()


READ: tuple[tuple[str, ...], ...] = (
    ("people",), ("people", "--json", "--limit", "4"), ("people", "--channel", "other"),
    (f"companies/{COMPANY}",), (f"/companies/{COMPANY}/", "--json"), (), ("invoices",),
    ("candidates/counts",), ("people", "--colour", "red"), ("peeple",), ("people/abc",),
    ("revenue", "--by", "moon"), (f"people/{COMPANY}",), ("people", "--as-of", "2020-01-01"),
)  # fmt: skip


def test_a_server_is_asked_that_is_named_and_says_the_same(
    told: Run, served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ledger_crm.cli.reading.PAGE", 3)
    here = {words: told("read", *words) for words in READ}
    monkeypatch.delenv("LEDGER_DATABASE_URL")
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path / "nothing is here"))
    monkeypatch.setenv("LEDGER_API_URL", f"{served.url}/")
    monkeypatch.setenv("LEDGER_API_KEY", served.key("owner"))
    assert {words: told("read", *words) for words in READ} == here

    monkeypatch.setenv("LEDGER_API_KEY", served.key("resourcer"))
    code, out, err = told("read", "fees")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "your role lacks the permission" in err
    monkeypatch.setenv("LEDGER_API_KEY", "lcrm_of_nobody")
    assert "is LEDGER_API_KEY right?" in told("read", "people")[2]
    monkeypatch.delenv("LEDGER_API_KEY")
    assert "set both, or neither" in told("read", "people")[2]


def test_an_invitation_leads_to_the_server_of_this_folder(
    told: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))

    def link() -> str:
        return told("consultant", "invite", "ben")[1]

    with Claim(tmp_path) as claim:
        claim.announce("http://127.0.0.1:4711")
        assert link().startswith("http://127.0.0.1:4711/invitation#")
        with monkeypatch.context() as named:
            named.setenv("LEDGER_PUBLIC_URL", "https://crm.example.com")
            assert link().startswith("https://crm.example.com/invitation#"), "as people type it"
    assert link().startswith("http://127.0.0.1:8000/invitation#"), "where it will run"


def test_a_server_that_is_named_and_away_is_one_line(
    told: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_crm.client.AGAIN_S", 0.0)
    monkeypatch.setenv("LEDGER_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LEDGER_API_KEY", "lcrm_hush")
    code, out, err = told("read", "people")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no answer from http://127.0.0.1:9" in err
    assert "hush" not in err


def test_the_server_of_this_folder_is_asked_if_there_is_one(
    told: Run,
    served: Served,
    databases: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """There is no database in the folder: nobody but the server can have answered."""
    monkeypatch.delenv("LEDGER_DATABASE_URL")
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    with Claim(tmp_path) as claim:
        claim.announce(served.url)
        assert "empty" in told("read", "people")[2], "there is no key"
        key = tmp_path / "api.key"
        key.write_text("lcrm_of_nobody")
        assert "empty" in told("read", "people")[2], "it is not let in, and looks for itself"
        key.write_text(served.key("owner"))
        assert len(json.loads(told("read", "people", "--json")[1])) == 7
        with monkeypatch.context() as named:
            named.setenv("LEDGER_DATABASE_URL", databases(of="template_ledger"))
            assert "not projected yet" in told("read", "people")[2], "that of another database"
        claim.announce("http://127.0.0.1:9")
        assert "empty" in told("read", "people")[2], "that one is gone"
    assert "empty" in told("read", "people")[2], "nobody runs here"
