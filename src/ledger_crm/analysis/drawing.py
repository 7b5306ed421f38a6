"""Charts of reports, as SVG or PNG: bars with their numbers written beside them.

The same figures give the same bytes. Text stays text in SVG, so it can be searched and read aloud.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from . import AnalysisFault
from .tables import missing, put

COLOURS = ("#2f5d8a", "#e08e45", "#5b9279")  # told apart also by who sees no red or green
KINDS = (".svg", ".png")
LABEL = 40  # characters of one, at most: a longer one takes the room of the bars
LARGE = 1_000_000  # of such numbers fewer stand beside each other


class Series(NamedTuple):
    """``said``: what is written beside each bar."""

    name: str
    values: Sequence[float]
    said: Sequence[str]


class Panel(NamedTuple):
    """One set of bars, from above.

    unit  of its axis
    note  what else is said under it
    """

    title: str
    unit: str
    labels: Sequence[str]
    series: Sequence[Series]
    note: str = ""


def must_be_drawable(out: Path) -> None:
    """Raises AnalysisFault."""
    if out.suffix.lower() not in KINDS:
        raise AnalysisFault(f"{out}: call it .svg or .png")
    _plotting()


def draw(title: str, panels: Sequence[Panel], out: Path) -> None:
    """Raises AnalysisFault if it cannot be written."""
    matplotlib, figure = _plotting()
    rows = [max(len(panel.labels) * len(panel.series), 1) for panel in panels]
    settings = {"svg.fonttype": "none", "svg.hashsalt": "ledger-crm", "font.size": 10}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # of signs that the font lacks, and labels that do not fit: they quote names
        warnings.simplefilter("ignore", UserWarning)
        drawn = figure.Figure(figsize=(10, 1.4 + 0.34 * sum(rows) + 0.7 * len(panels)), dpi=120)
        drawn.suptitle(_plain(title), x=0.02, ha="left", fontsize=13, fontweight="bold")
        axes = drawn.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": rows})
        for panel, [axis] in zip(panels, axes, strict=True):
            _bars(axis, panel)
        drawn.tight_layout(rect=(0, 0, 1, 0.98))
        kind = out.suffix.lower().lstrip(".")
        content, metadata = io.BytesIO(), {"Date": None} if kind == "svg" else {"Software": None}
        drawn.savefig(content, format=kind, metadata=metadata)
    put(content.getvalue(), out)


def _bars(axis: Any, panel: Panel) -> None:
    height = 0.8 / len(panel.series)
    for number, series in enumerate(panel.series):
        places = [row + (number - (len(panel.series) - 1) / 2) * height for row in _rows(panel)]
        bars = axis.barh(
            places, series.values, height, color=COLOURS[number], label=_plain(series.name)
        )
        axis.bar_label(bars, labels=[_plain(each) for each in series.said], padding=4, fontsize=9)
    axis.set_yticks(_rows(panel), labels=[_plain(_short(label)) for label in panel.labels])
    axis.invert_yaxis()
    axis.set_title(_plain(panel.title), loc="left", fontsize=10)
    axis.set_xlabel(_plain("; ".join(filter(None, (panel.unit, panel.note)))))
    axis.margins(x=0.18)
    axis.set_xlim(left=min(0, *axis.get_xlim()))
    largest = max((abs(value) for series in panel.series for value in series.values), default=0)
    if not largest:  # there is nothing to go by, and it would go below 0
        axis.set_xlim(0, 1)
    if largest >= LARGE:
        axis.locator_params(axis="x", nbins=5)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.6f}".rstrip("0").rstrip("."))
    axis.spines[["top", "right"]].set_visible(False)
    if len(panel.series) > 1:
        axis.legend(
            loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=len(panel.series),
            frameon=False, fontsize=9,
        )  # fmt: skip


def _rows(panel: Panel) -> list[int]:
    return list(range(len(panel.labels)))


def _short(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1].rstrip()}…"


def _plain(text: str) -> str:
    """What others wrote is no formula: matplotlib would typeset what stands between dollars."""
    return text.replace("$", r"\$")


def _plotting() -> tuple[Any, Any]:
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError:
        raise AnalysisFault(missing("a chart", "matplotlib")) from None
    return matplotlib, matplotlib.figure
