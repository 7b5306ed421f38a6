"""The benchmarks' own arithmetic: what is printed, and when ``--check`` complains."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from ledger_crm.projections import history, people

ROOT = Path(__file__).parents[1]
Program = Callable[..., tuple[int, str, str]]


@pytest.fixture
def benchmarks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Program]:
    """The exit code of ``python -m benchmarks``, and what it says."""
    monkeypatch.syspath_prepend(ROOT)
    main = importlib.import_module("benchmarks.__main__").main

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as end:
            code, _ = 1, print(end.code, file=sys.stderr)
        said = capsys.readouterr()
        return code, said.out, said.err

    logging = structlog.get_config()
    yield run
    structlog.configure(**logging)


def kept(folder: Path, *, ratio: float, floor: float | None) -> Path:
    """The results of a run, as --json writes them."""
    figure: dict[str, Any] = {
        "name": "import",
        "value": 20_000.0 * ratio,
        "unit": "facts/s",
        "limit": 20_000.0,
        "limit_name": "COPY of the same rows",
        "ratio": ratio,
        "floor": floor,
        "runs": 2,
        "spread": [ratio, ratio + 0.01],
        "values": [1.0, 2.0],
        "limits": [1.0, 2.0],
    }
    path = folder / "results.json"
    path.write_text(json.dumps({"machine": {"cores": "2"}, "figures": [figure]}))
    return path


@pytest.mark.parametrize(
    ("ratio", "floor", "code"), [(0.079, 0.08, 1), (0.08, 0.08, 0), (0.001, None, 0)]
)
def test_check_fails_under_a_floor_and_only_there(
    benchmarks: Program, tmp_path: Path, ratio: float, floor: float | None, code: int
) -> None:
    checked, _, said = benchmarks("--check", "--table", kept(tmp_path, ratio=ratio, floor=floor))
    assert checked == code
    assert ("under its floor: import" in said) == bool(code)


def test_without_check_a_broken_floor_is_only_said(benchmarks: Program, tmp_path: Path) -> None:
    code, _, said = benchmarks("--table", kept(tmp_path, ratio=0.01, floor=0.08))
    assert code == 0
    assert "under its floor: import" in said


def test_a_figure_is_one_line_of_json_and_holds_the_medians_of_its_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    results = importlib.import_module("benchmarks.results")
    pairs = [(100.0, 10.0), (200.0, 30.0), (100.0, 40.0)]
    line = results.line(results.figure("import", "facts/s", "COPY", 0.08, pairs))
    assert "\n" not in line
    found = json.loads(line)
    needed = {"name", "value", "unit", "limit", "limit_name", "ratio", "floor", "runs", "spread"}
    assert found.keys() >= needed
    assert (found["value"], found["limit"], found["ratio"]) == (30, 100, 0.15)
    assert (found["runs"], found["spread"]) == (3, [0.1, 0.4])


def test_an_unknown_figure_is_refused_with_the_names_of_those_there_are(
    benchmarks: Program,
) -> None:
    code, _, said = benchmarks("--only", "speed")
    assert code == 1
    assert "rebuild_history" in said


def test_a_file_that_holds_no_results_is_refused_in_a_line(
    benchmarks: Program, tmp_path: Path
) -> None:
    (other := tmp_path / "other.json").write_text("[]")
    code, _, said = benchmarks("--table", other)
    assert code == 1
    assert str(other) in said


def test_the_documented_table_is_what_the_committed_results_say(benchmarks: Program) -> None:
    _, table, _ = benchmarks("--table", ROOT / "docs/performance.json")
    assert table
    assert table in (ROOT / "docs/performance.md").read_text()


@pytest.mark.parametrize("name", ["person", "history"])
def test_pgbench_is_given_the_statement_of_the_api_for_one_of_many(
    monkeypatch: pytest.MonkeyPatch, database: str, name: str
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    requests = importlib.import_module("benchmarks.requests")
    asks: dict[str, Callable[[Any], Any]] = {
        "person": lambda cur: people.card(cur, requests.SOMEBODY),
        "history": lambda cur: history.of(
            cur, requests.SOMEBODY, kind="person", before=None, limit=51
        ),
    }
    text = requests.statement(database, asks[name])
    assert requests.ONE_OF_THEM in text
    assert "bytea" not in text, "what is packed nobody can put another in the place of"


@pytest.mark.parametrize(
    ("name", "unit", "cost", "ratio", "said"),
    [
        ("get_person", "µs", 900.0, 1.5, ""),
        ("get_person", "µs", 900.0, 1.51, "1.51 of 1.5"),
        ("import", "µs", 900.0, 3.0, ""),  # is neither a read, nor a page, nor a command
        ("memory_api", "MB", 251.0, 1.0, "251 MB of 250"),
    ],
)
def test_what_grows_with_the_ledger_is_complained_of(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    unit: str,
    cost: float,
    ratio: float,
    said: str,
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    scale = importlib.import_module("benchmarks.scale")
    point = {"name": name, "entries": 10_000_000, "cost": cost, "unit": unit, "ratio": ratio,
             "spread": [ratio, ratio]}  # fmt: skip
    (path := tmp_path / "scale.json").write_text(json.dumps([point]))
    assert scale.main(["--draw", str(path), "--check"]) == bool(said)
    assert said in capsys.readouterr().err
