"""What a change costs: a new read model is one new file, a new interaction one Struct."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ledger_crm
from conftest import Run
from ledger_crm import projections
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.workers.projector import Projector, connect
from projections.driving import positions, reading, running
from projections.stories import PEOPLE, a_full_story
from waiting import PATIENCE_S, until

EXAMPLES = Path(__file__).parents[2] / "docs" / "analysis"
WORKED = ("first_reply", "pipeline_velocity", "client_retention")

NEW_READ_MODEL = '''
"""Notes: how many we wrote about whom."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from ledger_crm.domain.entry import Entry
from ledger_crm.domain.interaction import NoteWritten

from ._projection import Cursor, Projection, Row, Table, stream


class Noted(Row, frozen=True, kw_only=True):
    person_id: UUID
    notes: int = 0


noted = Table("noted", Noted, key="person_id")
projection = Projection("notes", noted, version=1)


@noted.on(NoteWritten, key=stream, start=lambda entry: Noted(person_id=entry.originator_id))
def written(row: Noted, entry: Entry[NoteWritten]) -> Noted:
    return replace(row, notes=row.notes + 1)
'''

NEW_INTERACTION = '''

class GiftSent(Interaction, frozen=True, kw_only=True, tag="person.gift_sent"):
    """We sent a gift."""

    held_at: Instant
    place: Sealed = ""
    text: Sealed = ""

    @property
    def line(self) -> str:
        return "gift"

'''

OVER_ALL_EDGES = """
import asyncio, json, sys
import httpx
from ledger_crm.api.app import create_app
from ledger_crm.api.snapshots import open_pool
from ledger_crm.commands.catalogue import create_key
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.sealing import Keyring
from ledger_crm.workers.feed import message_of
from ledger_crm.workers.projector import Driver, connect

url = sys.argv[1]


async def main(ledger):
    _, key = await create_key(ledger, actor="consultant:ana")
    async with open_pool(url) as pool:
        app = create_app(ledger=ledger, pool=pool, feed_position=ledger.head)
        transport, headers = httpx.ASGITransport(app=app), {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://crm", headers=headers
        ) as api:
            ada = (await api.post("/people", json={"name": "Ada"})).json()["id"]
            met = {"kind": "person.gift_sent", "held_at": "2026-03-02T12:00:00Z",
                   "place": "the Analytical Society", "text": "Likes engines"}
            answer = await api.post(f"/people/{ada}/interactions", json=met)
            with connect(url) as conn:
                for projection in every():
                    Driver(
                        projection, lambda a, n: ledger.store.entries(after=a, limit=n), conn
                    ).catch_up()
            after = {"after": answer.json()["position"]}
            history = (await api.get(f"/people/{ada}/history", params=after)).json()
            schema = (await api.get("/openapi.json")).text
            rows = await ledger.rows()
            print(json.dumps({
                "status": answer.status_code,
                "history": history["items"][-1],
                "in the schema": "person.gift_sent" in schema and "held_at" in schema,
                "subject": message_of(rows[-1]).subject,
                "payload": message_of(rows[-1]).payload.decode(),
            }))


with Ledger(url, Keyring(b"k" * 32)) as ledger:
    asyncio.run(main(ledger))
"""


Drop = Callable[[str, str], Path]


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drop]:
    """A file, under its name, as one more of ``projections/``."""
    monkeypatch.setattr(projections, "__path__", [*projections.__path__, str(tmp_path)])

    def dropped(name: str, text: str) -> Path:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return tmp_path / f"{name}.py"

    yield dropped
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(f"{projections.__name__}.{file.stem}", None)


def test_a_new_read_model_is_one_new_file(ledger: Ledger, database: str, drop: Drop) -> None:
    drop("notes", NEW_READ_MODEL)
    asyncio.run(a_full_story(ledger))
    head = asyncio.run(ledger.head())

    with running(Projector(database, reading(ledger), every())):
        until(lambda: positions(database).get("notes") == head)

    with connect(database) as conn:
        rows = conn.execute("SELECT person_id, notes FROM noted").fetchall()
    assert rows == [(PEOPLE[0], 3)]


def test_each_worked_example_is_a_new_file(
    ledger: Ledger, database: str, drop: Drop, told: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """All that docs/analysis.md has to begin with, put there as they are."""
    for name in WORKED:
        drop(name, (EXAMPLES / f"{name}.py").read_text())
    asyncio.run(a_full_story(ledger))
    head = asyncio.run(ledger.head())

    with running(Projector(database, reading(ledger), every())):
        until(lambda: {positions(database).get(name) for name in WORKED} == {head})

    capfd.readouterr()  # the projector's log
    code, out, err = told("projections", "status", "--json")
    assert code == 0, err
    level = {one["name"] for one in json.loads(out)["projections"] if one["position"] == head}
    assert level >= {*WORKED}
    assert told("projections", "rebuild", "pipeline_velocity")[0] == 0


@pytest.mark.parametrize("name", ["fees_by_year", "fairness", "what_if_fee"])
def test_a_file_that_is_no_read_model_is_one_line_which_names_it(
    name: str, drop: Drop, told: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker would end on it, and be started, again and again."""
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path / "home"))
    file = drop(name, (EXAMPLES / f"{name}.py").read_text())
    for words in (("projections", "status"), ("up",), ("worker", "projector")):
        code, out, err = told(*words)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(f"ledger-crm: {file} has no projection")
    assert not (tmp_path / "home").exists(), "nothing was started"
    code, out, _ = told("doctor", "--json")
    assert code == 1
    says = {one["check"]: one["says"] for one in json.loads(out) if not one["ok"]}
    assert says["read models"].startswith(f"{file} has no projection, so it is no read model: ")


def test_what_is_called_projection_and_is_none_is_told_too(drop: Drop, told: Run) -> None:
    file = drop("mine", "projection = 7")
    code, _, err = told("projections", "status")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{file} has no projection" in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def fold(:", "cannot be read (SyntaxError: "),
        ("import nothing_of_the_kind", "cannot be read (ModuleNotFoundError: "),
        ("1 / 0", "cannot be read (ZeroDivisionError: "),
        ("from ledger_crm.projections.people import projection", "is a second projection named"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    drop: Drop, told: Run, text: str, says: str
) -> None:
    file = drop("zz_mine", text)
    code, _, err = told("projections", "status")
    assert (code, err.count("\n")) == (2, 1), err
    assert err.startswith(f"ledger-crm: {file} {says}")


def test_a_new_interaction_is_one_struct(database: str, tmp_path: Path) -> None:
    """In a copy of the source, so that nothing but the one file can have been touched."""
    source = Path(ledger_crm.__file__).parent
    shutil.copytree(source, tmp_path / "ledger_crm", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "ledger_crm" / "domain" / "interaction.py"
    body, registry = file.read_text().split("\nInteractions = (\n")
    file.write_text(f"{body}{NEW_INTERACTION}\nInteractions = (\n    GiftSent | {registry}")

    done = subprocess.run(
        [sys.executable, "-c", OVER_ALL_EDGES, database],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # after its log
    assert found["status"] == 201
    assert found["in the schema"]
    line = found["history"]
    assert (line["kind"], line["line"], line["text"], line["at"]) == (
        "person.gift_sent", "gift", "Likes engines", "2026-03-02T12:00:00Z",
    )  # fmt: skip
    assert found["subject"].startswith("crm.person.gift_sent.")
    assert "Analytical" not in found["payload"]
    assert json.loads(found["payload"])["sealed"] == "place,text"
