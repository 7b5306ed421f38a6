"""What a change costs: a new read model is one new file, a new interaction one Struct."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ledger_crm
from ledger_crm import projections
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.workers.projector import Projector, connect
from projections.driving import positions, reading, running
from projections.stories import PEOPLE, a_full_story
from waiting import PATIENCE_S, until

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


@pytest.fixture
def new_read_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "notes.py").write_text(NEW_READ_MODEL)
    monkeypatch.setattr(projections, "__path__", [*projections.__path__, str(tmp_path)])
    yield
    sys.modules.pop("ledger_crm.projections.notes", None)


@pytest.mark.usefixtures("new_read_model")
def test_a_new_read_model_is_one_new_file(ledger: Ledger, database: str) -> None:
    asyncio.run(a_full_story(ledger))
    head = asyncio.run(ledger.head())

    with running(Projector(database, reading(ledger), every())):
        until(lambda: positions(database).get("notes") == head)

    with connect(database) as conn:
        rows = conn.execute("SELECT person_id, notes FROM noted").fetchall()
    assert rows == [(PEOPLE[0], 3)]


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
