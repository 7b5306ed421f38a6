"""What docs/analysis.md says is run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from analysis.test_report import text_of
from conftest import Run
from ledger_crm.projections import every

pytestmark = pytest.mark.xdist_group("analysis")

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "analysis.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("ledger-crm ")
]
FOLDS = [
    block
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    if "def fold(" in block or "projection =" in block
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_works(
    told: Run, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    if command.startswith("ledger-crm sql"):
        assert told("export")[0] == 0
    code, out, err = told(*shlex.split(command)[1:])
    assert code == 0, err
    assert out


def test_an_export_has_as_many_tables_as_is_shown() -> None:
    [shown] = re.findall(r"(\d+) tables of read models", TEXT)
    assert int(shown) == sum(len(projection.tables) for projection in every())


@pytest.mark.parametrize("text", FOLDS)
def test_a_fold_that_is_shown_works(told: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "shown.py").write_text(text)
    code, out, err = told("replay", str(tmp_path / "shown.py"))
    assert code == 0, err
    assert out


def test_the_notebook_draws_the_figures_that_are_shown(
    told: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another demo than that of the text, which takes minutes to make: the same questions."""
    cells = re.findall(r"```python\n# notebook\n(.*?)```", TEXT, re.DOTALL)
    assert len(cells) == 4
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ledger").mkdir()
    code, _, err = told("export", ".ledger/export")
    assert code == 0, err
    notebook: dict[str, object] = {}
    for cell in cells:
        exec(cell, notebook)
    for name in ("funnel", "forecast", "retention"):
        drawn, shown = tmp_path / f"{name}.svg", ROOT / "docs" / "analysis" / f"{name}.svg"
        title, *rest = text_of(drawn)[::-1]
        assert title == text_of(shown)[-1], "the figure that is shown is of another question"
        assert len(rest) > 5
