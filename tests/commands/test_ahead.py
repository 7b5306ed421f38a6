"""Rows that a process of its own reads are those that would have been read here."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger_crm.commands import ahead, importing
from ledger_crm.commands.importing import ImportFault, import_csv
from ledger_crm.commands.lines import Row, intent_of
from ledger_crm.commands.mapping import read_mapping
from ledger_crm.ledger import Ledger
from ledger_crm.store import Hidden
from running import alive
from scenario import KEYRING
from waiting import PATIENCE_S, until

pytestmark = pytest.mark.anyio

MAPPING = """
name = "people"
key = "{id}"
where = { id = { not = "nobody" } }
[[fact]]
kind = "person.sourced"
person_id = "{id}"
name = "{name|title}"
email = "{email}"
sourced_at = "{at}"
[[fact]]
kind = "person.note_written"
when = { note = { empty = false } }
person_id = "{id}"
text = "{note}"
written_at = 2024-01-01T00:00:00Z
"""
HEADER = "id,name,email,at,note\n"
AT = "2024-03-01T09:00:00+02:00"
GOOD = [f"{n},ana {n},a{n}@example.org,{AT},{'said' * (n % 2)}\n" for n in range(40)]


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is started after two rows and reads from the fifth on, three at a time."""
    monkeypatch.setattr(importing, "CHUNK_ROWS", 3)
    monkeypatch.setattr(ahead, "ALONE_ROWS", 1)
    monkeypatch.setattr(ahead, "STARTING_ROWS", 2)


def text(*rows: str, at: int = 20) -> bytes:
    return "".join([HEADER, *GOOD[:at], *rows, *GOOD[at:]]).encode()


NOISE = os.urandom(99_000).hex().encode() + b"\n"
FILES = {
    "good": text(),
    "ends where the process begins": text()[: len("".join([HEADER, *GOOD[:5]]))],
    "ends a row later": text()[: len("".join([HEADER, *GOOD[:6]]))],
    "refused and skipped": text(
        "x,Bo,,yesterday,\n", "nobody,,,,\n", f",Bo,,{AT},\n", "1,2\n", "\n"
    ),
    "line breaks": text(f'x,Bo,,{AT},"one\ntwo\n"\n'),
    "a quote is not closed": text(f'x,"Bo,,{AT},\n'),
    "a quote is open where the process begins": text(f'x,"Bo,,{AT},\n', at=4),
    "a quote amid text": text(f'x,"Bo"b,,{AT},\n'),
    "the last line is unfinished": text() + b"x,Bo",
    "not of the encoding": text(f"x,Zoë,,{AT},\n") + b"y,Zo\xeb,,,\n",
    "NUL": text(f"x,Z\0oe,,{AT},\n"),
    "compressed": gzip.compress(text() + NOISE + text()),
    "cut": gzip.compress(text() + NOISE + text())[:70_000],
    "too long a line": text("x" * 1_100_000),
}


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("name", FILES)
def test_a_row_is_the_same_wherever_it_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = list(rows_of(FILES[name], beside=True))
    monkeypatch.setattr(ahead, "ALONE_ROWS", 1_000_000)
    here = list(rows_of(FILES[name], beside=False))

    assert [said(row) for row in beside] == [said(row) for row in here]


async def test_of_a_dead_process_is_told_and_the_import_goes_on_from_there(
    ledger: Ledger, early: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = text()
    begin, take = ahead.Beside.__init__, ahead.Beside.take

    def begin_late(self: ahead.Beside, *given: Any) -> None:
        begin(self, *given)
        os.kill(self._process.pid, signal.SIGSTOP)  # or it may be through with so short a file

    def take_late(self: ahead.Beside) -> Any:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return take(self)

    with monkeypatch.context() as patch:
        patch.setattr(ahead.Beside, "__init__", begin_late)
        patch.setattr(ahead.Beside, "take", take_late)
        with pytest.raises(ImportFault, match=r"ended \(signal 9\): what was written stays"):
            await import_csv(ledger, io.BytesIO(source), read_mapping(MAPPING))
    head = await ledger.head()
    again = await import_csv(ledger, io.BytesIO(source), read_mapping(MAPPING))

    assert head
    assert again.already
    assert (again.already + again.imported, again.refused) == (40, 0)
    assert again.first_position == head + 1
    assert await ledger.head() == 100


@pytest.mark.usefixtures("early")
def test_nobody_else_sees_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with ahead.Rows(io.BytesIO(text()), read_mapping(MAPPING), KEYRING, chunk_rows=3) as rows:
        while not rows._beside:
            rows.take()
        at = Path(f"/proc/{rows._beside._process.pid}")
        until((at / "environ").read_bytes)  # it has none at first: exec lets go of us before
        shown = (at / "cmdline").read_bytes() + (at / "environ").read_bytes()
        assert KEYRING.hashing_key not in shown
        assert KEYRING.hashing_key.hex().encode() not in shown


WAITS = """
import os, signal, sys
from ledger_crm.commands import ahead
from ledger_crm.commands.mapping import read_mapping
from ledger_crm.sealing import Keyring
from ledger_crm.store import Hidden
ahead.ALONE_ROWS, ahead.STARTING_ROWS = 1, 2
signal.signal(signal.SIGINT, signal.default_int_handler)  # as the program does; some start us deaf
with os.fdopen(0, "rb", buffering=0) as source:
    with ahead.Rows(source, read_mapping(sys.argv[1]), Keyring(b"k" * 32), chunk_rows=3) as rows:
        while rows.take():
            print(rows._beside and rows._beside._process.pid, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_leaves_no_process_behind(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, MAPPING],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        process_group=0,
    ) as reader:  # fmt: skip
        assert reader.stdin
        assert reader.stdout
        reader.stdin.write(text().decode())
        reader.stdin.flush()  # and it stays open
        pid = int(next(line for line in reader.stdout if line.strip() != "None"))
        os.killpg(reader.pid, how)
        reader.wait(PATIENCE_S)

    until(lambda: not alive(pid))


# --- given, when ----------------------------------------------------------------------------


def rows_of(source: bytes, *, beside: bool) -> Iterator[Row]:
    mapping = read_mapping(MAPPING)
    with ahead.Rows(io.BytesIO(source), mapping, KEYRING, chunk_rows=3) as rows:
        while chunk := rows.take():
            yield from chunk
        assert bool(rows._beside and rows._taken >= rows._beside_from) == beside
        assert 0 < rows.consumed <= len(source)


def said(row: Row) -> Any:
    if row.planned is None:
        return row.report
    key, fingerprint, steps = row.planned
    if row.keys:
        asked = intent_of("people", row.planned).stored_key
        assert row.keys == (asked, Hidden(KEYRING)[asked])
    return row.report, key, fingerprint, [
        (s.kind, s.do, s.id, s.forms, str(s.forms), s.columns, s.fact,
         {field: str(value) for field, value in s.of_columns().items()})
        for s in steps
    ]  # fmt: skip
