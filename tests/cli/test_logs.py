"""Lines of the log: each one once and whole, those of one turn of a loop in one write."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from uuid import UUID

import pytest

from ledger_crm.cli import logs
from ledger_crm.cli.logs import PIPE_BYTES, Lines, as_json


class Written(io.BytesIO):
    writes = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.writes += 1
        assert data.endswith(b"\n")
        assert len(data) <= PIPE_BYTES or data.count(b"\n") == 1
        return super().write(data)


def test_lines_of_one_turn_are_one_write_and_none_waits_longer() -> None:
    to = Written()
    lines = Lines(to)

    async def turns() -> None:
        for turn in range(3):
            for n in range(4):
                lines.info(b"%d-%d" % (turn, n))
            await asyncio.sleep(0)
            assert to.writes == turn + 1
        lines.info(b"last")

    asyncio.run(turns())

    assert to.getvalue().split() == [
        *(b"%d-%d" % (turn, n) for turn in range(3) for n in range(4)), b"last"
    ]  # fmt: skip


def test_no_write_is_more_than_a_pipe_takes_in_one_piece() -> None:
    """But for a line that is longer by itself."""
    to = Written()
    lines = Lines(to)
    said = [b"%03d " % n + b"x" * (n * 37 % 900) for n in range(100)] + [b"y" * 9_000, b"last"]

    async def turn() -> None:
        for line in said:
            lines.info(line)
        assert to.writes == 0

    asyncio.run(turn())
    assert to.getvalue().splitlines() == said
    assert to.writes < 30


def test_a_warning_waits_for_nothing_and_nothing_comes_after_it_that_was_before() -> None:
    to = Written()
    lines = Lines(to)

    async def turn() -> None:
        lines.info(b"one")
        lines.warning(b"two")
        assert to.getvalue() == b"one\ntwo\n"
        lines.info(b"three")
        assert to.writes == 1

    asyncio.run(turn())
    assert to.getvalue() == b"one\ntwo\nthree\n"


def test_what_is_held_at_the_end_of_the_program_is_written() -> None:
    script = (
        "import asyncio, sys; from ledger_crm.cli.logs import Lines\n"
        "lines = Lines(sys.stderr.buffer)\n"
        "loop = asyncio.new_event_loop()\n"
        "async def say(): lines.info(b'the last word')\n"
        "loop.run_until_complete(say())\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert said.stderr == b"the last word\n"


def test_a_line_says_what_how_grave_and_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "now", lambda: datetime(2026, 3, 1, 9, 30, 0, 250_000, UTC))

    assert as_json(None, "info", {"n": 2, "event": "said", "id": UUID(int=1)}) == (
        b'{"n":2,"event":"said","id":"00000000-0000-0000-0000-000000000001",'
        b'"level":"info","timestamp":"2026-03-01T09:30:00.250000Z"}'
    )


def test_half_a_character_is_no_fault_of_the_log() -> None:
    line = json.loads(as_json(None, "info", {"file": "\udcff", "id": UUID(int=1), "n": 2}))

    datetime.fromisoformat(line.pop("timestamp"))
    assert line == {"file": "\udcff", "id": str(UUID(int=1)), "n": 2, "level": "info"}


def test_a_loop_that_is_gone_leaves_nothing_behind_for_the_next() -> None:
    to = Written()
    lines = Lines(to)
    gone = asyncio.new_event_loop()

    async def say(text: bytes) -> None:
        lines.info(text)

    gone.run_until_complete(say(b"one"))
    gone.close()
    asyncio.run(say(b"two"))
    assert to.getvalue() == b"one\ntwo\n"


def test_threads_and_a_loop_lose_and_tear_no_line() -> None:
    to = Written()
    lines = Lines(to)

    def many(who: int) -> None:
        for n in range(200):
            lines.info(b"%d-%d" % (who, n))

    async def in_a_loop() -> None:
        for n in range(200):
            lines.info(b"loop-%d" % n)
            await asyncio.sleep(0)

    threads = [threading.Thread(target=many, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(in_a_loop())
    for thread in threads:
        thread.join()

    found = to.getvalue().split()
    assert len(found) == len(set(found)) == 1000
    assert [line for line in found if line.startswith(b"loop-")] == [
        b"loop-%d" % n for n in range(200)
    ]
