"""Clients that others generate from our document: without a warning, and they work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from running import running

pytestmark = pytest.mark.campaign

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
PYTHON = shutil.which("openapi-python-client")
TYPES = shutil.which("openapi-typescript")
JOURNEY = """
import sys
from ledger_crm_client.api.events import list_events
from ledger_crm_client.api.people import add_person, read_person, record_interaction
from ledger_crm_client.client import AuthenticatedClient
from ledger_crm_client.models import NewPerson, NoteWritten, PersonShown, Receipt
from ledger_crm_client.models import OtherFact, PersonNoteWrittenFact, Told, Trial

with AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2]) as client:
    ada = NewPerson.from_dict({"name": "Ada Byron"})
    foreseen = add_person.sync(client=client, body=ada, dry_run=True)
    assert isinstance(foreseen, Trial), foreseen
    added = add_person.sync(client=client, body=ada, idempotency_key="ada")
    again = add_person.sync(client=client, body=ada, idempotency_key="ada")
    assert isinstance(added, Receipt) and again == added, (added, again)
    note = NoteWritten.from_dict({"kind": "person.note_written", "text": "Prefers mornings."})
    noted = record_interaction.sync(added.id, client=client, body=note)
    shown = read_person.sync(added.id, client=client, after=noted.position)
    assert isinstance(shown, PersonShown) and shown.name == "Ada Byron", shown
    [*_, told] = list_events.sync(client=client, stream=added.id).items
    assert isinstance(told.fact, PersonNoteWrittenFact), told.fact
    assert told.sealed == ["text"], told
    hidden = Told.from_dict(told.to_dict() | {"fact": {"kind": "hidden"}})
    assert isinstance(hidden.fact, OtherFact), hidden.fact
    to_come = Told.from_dict(told.to_dict() | {"fact": {"kind": "person.flew", "to": "Mars"}})
    assert isinstance(to_come.fact, OtherFact) and to_come.fact["to"] == "Mars", to_come.fact
print("went well")
"""


@pytest.mark.skipif(not PYTHON, reason="openapi-python-client is not on the PATH (PyPI)")
def test_a_python_client_is_generated_and_goes_a_journey(tmp_path: Path) -> None:
    assert PYTHON
    made = tmp_path / "made"
    ours = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it asks for ruff
    ran = subprocess.run(
        [PYTHON, "generate", "--path", DOCUMENT, "--output-path", made],
        env=os.environ | {"PATH": ours}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "WARNING" not in said.upper(), said[:4_000]
    with running(tmp_path / "home") as up:
        key = (Path(up.home) / "api.key").read_text().strip()
        python = Path(PYTHON).resolve().with_name("python")  # which has what it is made of
        went = subprocess.run(
            [python, "-c", JOURNEY, up.url, key], cwd=made, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    assert went.stdout == "went well\n", went.stderr[-3_000:]


@pytest.mark.skipif(not TYPES, reason="openapi-typescript is not on the PATH (npm)")
def test_types_for_typescript_are_generated(tmp_path: Path) -> None:
    assert TYPES
    made = tmp_path / "api.ts"
    ran = subprocess.run([TYPES, DOCUMENT, "-o", made], capture_output=True, text=True, check=False)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "warn" not in said.lower(), said[:4_000]
    assert "read_person" in made.read_text()
