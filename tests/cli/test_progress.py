"""What takes long says so: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import pytest

from ledger_crm.cli import house
from ledger_crm.cli.house import Told, bar


def test_where_there_is_no_terminal_it_is_told_in_plain_lines_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(house.time, "monotonic", lambda: now_s)
    with bar() as told:
        assert isinstance(told, Told)
        importing = told.add_task("importing", total=200)
        playing = told.add_task("playing", total=None)
        for second in range(12):
            now_s = 100.0 + second
            told.update(importing, completed=10 * second)
        now_s = 115.0
        told.update(playing, completed=1234)
        now_s = 120.0
        told.update(playing, completed=5, total=10)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "importing, 25 %", "importing, 50 %", "playing, 1,234", "playing, 50 %"
    ]  # fmt: skip
