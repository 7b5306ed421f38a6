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
        "importing, 25 %, 10 a second, 15 s left",
        "importing, 50 %, 10 a second, 10 s left",
        "playing, 1,234",
        "playing, 50 %",
    ]


def test_what_goes_on_is_told_by_how_fast_it_is_now(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given one that goes on where it was stopped, and one that is begun anew on the way."""
    now_s = 100.0
    monkeypatch.setattr(house.time, "monotonic", lambda: now_s)
    with bar() as told:
        building = told.add_task("building", total=1_000_000)
        for second, at in enumerate([900_000, 910_000, 0, 20, 40, 60, 80, 100, 120, 140, 160]):
            now_s = 100.0 + second
            told.update(building, completed=at)
    assert capsys.readouterr().err.splitlines() == [
        "building, 0 %, 20 a second, 13 h 53 min left",
        "building, 0 %, 20 a second, 13 h 53 min left",
    ]
    now_s = 200.0
    with bar() as told:
        building = told.add_task("building", total=1_000)
        told.update(building, completed=400)
        now_s = 205.0
        told.update(building, completed=405)
    assert capsys.readouterr().err == "building, 40 %, 1 a second, 9 min 55 s left\n"
