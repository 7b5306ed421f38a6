"""Whatever anybody makes of the served document, the server answers as it says (schemathesis).

As the owner of a server with something in it, as a client with the link to a shortlist, and as
somebody who is signed in. In the campaign the house is the invented one of two years: once with ids
as they come, mostly of nobody, and what is made is read and changed on (links); once with ids of
what is there. Webhooks are added in dry runs only: they would be sent to addresses that somebody
may have. What is well formed may still be refused (``positive_data_acceptance``): a position that
was never written, an id of nobody.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from running import Running, ledger_crm, printed, running

# One worker: CPython 3.11 fails when two threads parse source at once ("AST constructor recursion
# depth mismatch", python/cpython#106905), which Hypothesis does to describe a lambda.
HOW = {
    "everyday": ("examples,fuzzing", 4, 1_000),
    "campaign": ("examples,coverage,fuzzing,stateful", 20, 25_000),
    "campaign, of what is there": ("examples,fuzzing", 25, 5_000),
}
PASSWORD = "correct horse battery"  # which the document's example changes
CONFIGURED = (
    # a body that is too large is refused too
    '[checks.negative_data_rejection]\nexpected-statuses = ["4xx"]',
    "[phases.stateful.generation]\nmax-examples = 400",  # of them all
    # what was only ever refused to who asked was not tried
    '[warnings]\ndisplay = ["missing_auth"]\nfail-on = true',
)
SIGNED_IN = {"ana": "read_session", "ben": "sign_out", "chidi": "change_password"}  # of the demo
OF_LINKS = ("read_shared_shortlist", "give_verdict", "comment")
RATE = {"rate-limit": "29/m"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("document")) as up:
        yield up


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    guessing = ("LEDGER_WRONG_PASSWORDS", "LEDGER_WRONG_PASSWORDS_FROM_NETWORK")
    with running(
        tmp_path_factory.mktemp("invented"), "--demo", **dict.fromkeys(guessing, "1000000")
    ) as up:
        yield up


@pytest.mark.long
def test_the_server_answers_as_its_document_says(
    up: Running, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with up.api() as api:
        something_to_show(api)
    schemathesis("everyday", up, tmp_path, request, {})
    with up.api() as api:  # the links opened, and were not refused with what is documented, too
        for kind in ("company.shortlist_seen", "company.shortlist_commented"):
            assert found(api, "/events", kind=kind), kind


@pytest.mark.campaign
@pytest.mark.parametrize("how", [how for how in HOW if how != "everyday"])
def test_a_house_of_two_years_answers_as_its_document_says(
    invented: Running, how: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there: dict[str, str] = {}
    if how.endswith("what is there"):
        with invented.api() as api:
            there = {f"path.{name}": id for name, id in what_is_there(api).items()}
    schemathesis(how, invented, tmp_path, request, there)


def schemathesis(
    how: str, up: Running, folder: Path, request: pytest.FixtureRequest, there: dict[str, str]
) -> None:
    phases, examples, least = HOW[how]
    with up.api() as api:
        assert api.get("/openapi.json").status_code == 200  # the first takes its time
        asked = [
            of_webhooks(), of_the_stream(), *of_the_portal(api), *of_sessions(up), of_the_form(up),
            *of_who_comes(),
        ]  # fmt: skip
    written = "\n".join([*CONFIGURED, table("parameters", there), *asked])
    (folder / "schemathesis.toml").write_text(written)
    seed = request.config.getoption("randomly_seed", 1)
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run", f"{up.url}/openapi.json",
            "--header", f"Authorization: Bearer {up.key}",
            *(("--exclude-path-regex", "^/events/stream") if how == "everyday" else ()),
            "--exclude-checks", "positive_data_acceptance",
            "--request-timeout", "60", "--suppress-health-check", "too_slow",  # a busy machine
            "--phases", phases, "--max-examples", str(examples), "--seed", str(seed),
            "--workers", "1", "--no-shrink", "--continue-on-failure", "--no-color",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = ran.stdout + ran.stderr
    assert ran.returncode == 0, told[-12_000:]
    generated = re.search(r"(\d+) generated", told)
    assert generated, told[-2_000:]
    print(generated[0])
    assert int(generated[1]) >= least


def table(name: str, of: dict[str, Any]) -> str:
    lines = (f"{json.dumps(key)} = {json.dumps(value)}" for key, value in of.items())
    return "\n".join([f"[{name}]", *lines])


def operation(which: dict[str, str], said: dict[str, Any]) -> str:
    """``said``: tables by their names, and values."""
    plain = which | {key: value for key, value in said.items() if not isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    inner = [table(f"operations.{n}", of) for n, of in said.items() if isinstance(of, dict)]
    return "\n".join(["[[operations]]", *lines, *inner])


def of_webhooks() -> str:
    return operation(
        {"include-operation-id": "add_webhook"}, {"parameters": {"query.dry_run": True}}
    )


def of_the_stream() -> str:
    """The first few: it does not end, and says nothing for long where there is nothing to tell."""
    return operation(
        {"include-path": "/events/stream"},
        {"max-stream-events": 5, "request-timeout": 10},
    )


def what_is_there(api: httpx.Client) -> dict[str, str]:
    """Ids of a client, a shortlist and a deal of theirs, its job order, and who is on it; and of
    one of everything else, if there is one."""
    [shortlist, *_] = found(api, "/shortlists")
    [card, *_] = found(api, "/candidates", job_order_id=shortlist["job_order_id"])
    [deal, *_] = found(api, "/deals", company_id=shortlist["company_id"])
    ids = {"shortlist_id": shortlist["id"], "deal_id": deal["id"], "candidacy_id": card["id"]}
    for noun in "interview", "offer", "follow_up", "referral", "instalment", "invoice":
        ids |= {f"{noun}_id": each["id"] for each in found(api, f"/{noun}s".replace("_", "-"))[:1]}
    return ids | {name: card[name] for name in ("person_id", "company_id", "job_order_id")}


def something_to_show(api: httpx.Client) -> None:
    """A shortlist, and enough of the client's people to share it with."""
    company = wrote(api, "/companies", {"name": "Engine Works"})["id"]
    at = f"/companies/{company}"
    agreed = {"basis": "contingent", "currency": "EUR", "rate_bp": 2_500}
    wrote(api, f"{at}/fees", agreed | {"agreed_at": "2024-01-02T09:00:00Z"})
    order = {"title": "Engineer", "opened_at": "2024-01-03T09:00:00Z"}
    order_id = wrote(api, f"{at}/job-orders", order)["created"]
    for name in OF_LINKS:
        contact = wrote(api, "/people", {"name": name})["id"]
        boss = {"company_id": company, "role": "hiring_manager"}
        wrote(api, f"/people/{contact}/employments", boss)
    candidate = f"/people/{wrote(api, '/people', {'name': 'Ada'})['id']}"
    on = {"company_id": company, "job_order_id": order_id}
    candidacy = wrote(api, f"{candidate}/candidacies", on)["created"]
    wrote(api, f"{candidate}/candidacies/{candidacy}/rights-to-represent", {})
    shown = {"job_order_id": order_id, "people": [{"person_id": candidate.split("/")[-1]}]}
    drawn = wrote(api, f"{at}/shortlists", shown)
    for path in ("/shortlists", f"{at}/contacts"):
        found(api, path, after=drawn["position"])


def wrote(api: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def of_the_portal(api: httpx.Client) -> list[str]:
    """Each with the link to a shortlist of its own, and as often as is taken of one."""
    asked = []
    for shortlist in found(api, "/shortlists"):
        company = shortlist["company_id"]
        at = f"/companies/{company}/shortlists/{shortlist['id']}/shares"
        for contact in found(api, f"/companies/{company}/contacts"):
            share = {"contact_id": contact["person_id"], "introduces": True}
            answer = api.post(at, json=share)
            if answer.status_code == 201:
                which = {"include-operation-id": OF_LINKS[len(asked)]}
                rate = {} if which["include-operation-id"].startswith("read") else RATE
                headers = {"Authorization": f"Bearer {answer.json()['token']}"}
                asked.append(operation(which, rate | {"headers": headers}))
                if len(asked) == len(OF_LINKS):
                    return asked
    raise AssertionError("too few shortlists can be shared")


def of_sessions(up: Running) -> list[str]:
    """Each of these as a consultant of its own: one ends the session, and one all of theirs."""
    asked = []
    for who, name in SIGNED_IN.items():
        ledger_crm(
            up.home, "consultant", "password", who, "--role", "manager", stdin=PASSWORD.encode()
        )
        with httpx.Client(base_url=up.url, timeout=60) as client:
            body = {"consultant": f"consultant:{who}", "password": PASSWORD}
            answer = client.post("/session", json=body)
            assert answer.status_code == 201, answer.text
            [cookie] = client.cookies.items()
        headers = {
            "Authorization": "",
            "Cookie": "=".join(cookie),
            "X-CSRF-Token": answer.json()["csrf_token"],
        }
        asked.append(operation({"include-operation-id": name}, {"headers": headers}))
    return asked


def of_the_form(up: Running) -> str:
    """That of applicants has the key of an integration: a consultant's is refused."""
    made = printed(ledger_crm(up.home, "key", "create", "integration:website", "--json"))
    headers = {"Authorization": f"Bearer {made['key']}"}
    return operation({"include-operation-id": "answer_equal_opportunity"}, {"headers": headers})


def of_who_comes() -> list[str]:
    """Nobody is anybody yet, and no password or invitation that is made up is right."""
    return [
        operation({"include-operation-id": name}, {"warnings": False})
        for name in ("sign_in", "accept_invitation")
    ]


def found(api: httpx.Client, path: str, **query: str) -> list[dict[str, Any]]:
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items
