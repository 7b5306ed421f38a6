"""Somebody who was placed asks to be forgotten: no plaintext of theirs is left anywhere, and the
fees and counts still add up.

Against the servers as the user starts them; every value of every table, every document, every
message of the feed, every file and all traces are looked through for their words.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from collecting import Collector, collecting
from ledger_crm.cli.house import running_address
from running import Running, ledger_crm, printed, running
from waiting import until

pytestmark = pytest.mark.xdist_group("forgotten")

AT = "T09:00:00Z"
WORDS = ("quillfeather", "zanthe", "marmalade", "wombat", "+442079460958")
"""In what she said, in what was said of her, and in her names; nobody else's."""
LISTS = ("placements", "commissions", "instalments", "introductions", "invoices")
REPORTS = (
    ("revenue", {"by": "client"}), ("funnel", {"since": "2024-01-01", "until": "2024-12-31"}),
    ("candidates/counts", {}), ("accounts", {}),
)  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("forgotten"), **collector.env) as up:
        yield up


def post(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def read(api: httpx.Client, path: str, **params: Any) -> Any:
    answer = api.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def in_tables(home: Path) -> set[str]:
    """Tables of the whole database in which a word of hers is, in any value."""
    found = set()
    with psycopg.connect(running_address(home / "postgres") or "") as conn:
        tables = conn.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('ledger', 'read')"
        ).fetchall()
        for schema, table in tables:
            for row in conn.execute(SQL("SELECT * FROM {}").format(Identifier(schema, table))):
                values = (v if isinstance(v, bytes) else str(v).encode() for v in row)
                if any(word.encode() in value.lower() for value in values for word in WORDS):
                    found.add(f"{schema}.{table}")
    return found


def in_files(home: Path) -> list[Path]:
    """Files beside the database: documents, the feed's, what was logged."""
    files = [p for p in home.rglob("*") if p.is_file() and "postgres" not in p.parts]
    assert any("nats" in path.parts for path in files), "the feed is looked through"
    return [
        path for path in files
        if any(word.encode() in path.read_bytes().lower() for word in WORDS)
    ]  # fmt: skip


def level(api: httpx.Client) -> bool:
    """Every read model, and the feed."""
    now = read(api, "/health/ready")
    stand = [*(each["position"] for each in now["projections"]), now["feed"]["position"]]
    return {*stand} == {now["head"]}


def books(api: httpx.Client, after: int) -> dict[str, Any]:
    """All reports, and the lists of what is owed, without names."""
    found = {path: read(api, f"/{path}", **asked, after=after) for path, asked in REPORTS}
    for path in LISTS:
        items = read(api, f"/{path}", after=after)["items"]
        found[path] = [item | {"person": None, "to_person": None} for item in items]
    return found


def test_a_placed_person_is_forgotten_and_the_books_add_up(
    up: Running, collector: Collector
) -> None:
    with up.api() as api:
        client = post(api, "/companies", name="Eiderveld Freight", domain="eider.example")["id"]
        firm = f"/companies/{client}"
        post(
            api, f"{firm}/fees", basis="contingent", currency="EUR", rate_bp=2_500,
            guarantee_days=90, agreed_at=f"2024-01-02{AT}",
        )  # fmt: skip
        order = post(
            api, f"{firm}/job-orders", title="Planner", opened_at=f"2024-01-03{AT}", openings=2
        )["created"]
        manager = post(api, "/people", name="Mira Holt", email="mira@eider.example")["id"]
        post(api, f"/people/{manager}/employments", company_id=client, role="hiring_manager")
        api.put("/pools/planners", json={"slug": "planners", "title": "P"}).raise_for_status()
        motto = {"subject": "person", "slug": "motto", "label": "Motto", "type": "text"}
        api.put("/custom-fields/person/motto", json=motto).raise_for_status()

        def placed(name: str, text: str, **known: str) -> tuple[str, str]:
            person = post(api, "/people", name=name, channel="linkedin", **known)["id"]
            way = f"/people/{person}"
            where = {"company_id": client, "job_order_id": order}
            applied = {**where, "applied_at": f"2024-01-05{AT}", "text": text}
            opened = post(api, f"{way}/applications", **applied)["created"]
            at = f"{way}/candidacies/{opened}"
            post(api, f"{at}/rights-to-represent", given_at=f"2024-01-06{AT}")
            post(api, f"{at}/introductions", introduced_at=f"2024-01-10{AT}", text=text)
            post(
                api, f"{at}/placements", placed_at=f"2024-02-01{AT}", starts_on="2024-03-01",
                first_year_pay_cents=60_000_00,
            )  # fmt: skip
            post(api, f"{at}/starts", starts_on="2024-03-01")
            return way, at

        email = "zanthe@quillfeather.example"
        way, at = placed(
            "Zanthe Quillfeather", "I keep a wombat", email=email, phone="+44 20 7946 0958",
            headline="Wombat planner", origin="Marmalade fair",
        )  # fmt: skip
        placed("Kit Awa", "I can plan")
        for said in (
            {"kind": "person.note_written", "text": "Marmalade"},
            {"kind": "person.message_replied", "channel": "email", "message_id": "<1@quillfeather>",
             "thread_id": "wombats", "replied_at": f"2024-01-07{AT}", "text": "I love marmalade"},
        ):  # fmt: skip
            post(api, f"{way}/interactions", **said)
        post(
            api, f"{way}/documents", name="quillfeather.txt", media_type="text/plain",
            content=b64encode(b"Zanthe Quillfeather, wombats").decode(),
        )  # fmt: skip
        post(api, f"{way}/employments", company_id=client, title="Head of Marmalade")
        post(api, f"{way}/follow-ups", due_on="2024-05-01", text="Bring marmalade")
        post(api, f"{way}/pools", kind="person.pooled", pool="planners", text="Wombats")
        post(api, f"{way}/custom-fields", values={"motto": "Wombats first"})
        post(api, f"{way}/profile-changes", location="Marmalade Bay", skills="wombats")
        post(
            api, f"{way}/permissions", kind="person.consent_given", given_at=f"2024-01-05{AT}",
            text="Over marmalade",
        )  # fmt: skip
        asked = post(
            api, f"{way}/privacy", kind="person.erasure_requested",
            requested_at=f"2024-06-03{AT}", text="In a letter about marmalade",
        )  # fmt: skip

        before = books(api, asked["position"])
        assert read(api, "/erasures", after=asked["position"])["items"][0]["due_on"] == "2024-07-03"
        told = in_tables(up.home)
        assert len(told) > 12, "this test can fail"
        assert {table for table in told if table.startswith("ledger.")} == set()
        assert any(up.home.glob("documents/*/*"))

        erased = post(api, f"{way}/erasure", reason="asked_us")

        after = {"after": erased["position"]}
        assert books(api, erased["position"]) == before
        until(lambda: level(api))
        assert in_tables(up.home) == set()
        assert in_files(up.home) == []
        until(lambda: any(b"/erasure" in span.name.encode() for _, span in collector.spans))
        assert not [word for word in WORDS if word.encode() in collector.text]
        assert not any(up.home.glob("documents/*/*"))
        assert read(api, way, **after)["name"] == "[erased]"
        tail = ledger_crm(
            up.home, "events", "tail", "--after", "0", "--limit", str(erased["position"]), "--json"
        ).stdout.decode()
        assert "person.erased" in tail
        assert not [word for word in WORDS if word in tail.lower()]
        rebuilt = ledger_crm(up.home, "projections", "rebuild", "people")
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert in_tables(up.home) == set()
        [listed] = printed(ledger_crm(up.home, "read", "erasures", "--status", "done", "--json"))
        assert (listed["person"], listed["due_on"]) == ("[erased]", "2024-07-03")

        # the agency's books go on, and the address may be somebody else's
        left = post(
            api, f"{at}/fall-throughs", left_on="2024-04-14", reason="moved_away",
            decided_by="candidate",
        )  # fmt: skip
        assert api.post(f"{way}/interactions", json={"kind": "person.note_written", "text": "x"}
                        ).status_code == 410  # fmt: skip
        [fell] = read(api, "/placements", status="fell_through", after=left["position"])["items"]
        assert (fell["fee_cents"], fell["remedy"]) == (15_000_00, "replacement")
        assert post(api, "/people", name="A namesake", email=email)["id"] not in way


def test_one_trace_goes_through_all_workers(up: Running, collector: Collector) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with up.api() as api:
        sent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        answer = api.post("/people", json={"name": "Ada Byron"}, headers=sent)
        assert answer.status_code == 201

    def linked(worker: str, begins: str) -> bool:
        ids = [link.trace_id for span in collector.of(worker, begins) for link in span.links]
        return bytes.fromhex(trace) in ids

    until(lambda: linked("projector", "project history"))
    until(lambda: linked("relay", "publish"))

    def ours() -> list[str]:
        named = [span.name for _, span in collector.spans if span.trace_id == bytes.fromhex(trace)]
        return sorted(named)

    until(lambda: ours() == ["POST /people", "append", "command"])
