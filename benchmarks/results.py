"""What was measured: kept, shown, and held against the floors."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of ``runs`` pairs, each the limit and then ours.

    ratio   median of ours ÷ limit, pair by pair; ``spread`` is its least and greatest
    floor   the ratio that is promised; None: nothing is, yet
    values, limits  of each pair, in the order of measuring
    """

    name: str
    value: float
    unit: str
    limit: float
    limit_name: str
    ratio: float
    floor: float | None
    runs: int
    spread: tuple[float, float]
    values: list[float]
    limits: list[float]
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.floor is None or self.ratio >= self.floor


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """``machine``: what the absolute numbers depend on."""

    machine: dict[str, str]
    figures: list[Figure]


def figure(
    name: str,
    unit: str,
    limit_name: str,
    floor: float | None,
    pairs: Sequence[tuple[float, float]],
    note: str = "",
) -> Figure:
    """Of ``pairs`` of (limit, ours)."""
    ratios = [ours / limit for limit, ours in pairs]
    limits, values = ([_short(number) for number in column] for column in zip(*pairs, strict=True))
    return Figure(
        name=name,
        value=_short(median(ours for _, ours in pairs)),
        unit=unit,
        limit=_short(median(limit for limit, _ in pairs)),
        limit_name=limit_name,
        ratio=round(median(ratios), 3),
        floor=floor,
        runs=len(pairs),
        spread=(round(min(ratios), 3), round(max(ratios), 3)),
        values=values,
        limits=limits,
        note=note,
    )


def line(figure: Figure) -> str:
    return msgspec.json.encode(figure).decode()


def written(results: Results) -> bytes:
    return msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"


def read(text: bytes) -> Results:
    """Raises msgspec.MsgspecError."""
    return msgspec.json.decode(text, type=Results)


def table(results: Results) -> str:
    """Markdown."""
    lines = [
        "| figure | ratio | least to greatest | floor | ours | limit | what the limit is |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for f in results.figures:
        low, high = f.spread
        floor = "" if f.floor is None else f"{f.floor:g}"
        lines.append(
            f"| `{f.name}` | **{f.ratio:.2f}** | {low:.2f} to {high:.2f} | {floor}"
            f" | {f.value:,.0f} {f.unit} | {f.limit:,.0f} | {f.limit_name} |"
        )
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    runs = sorted({f.runs for f in results.figures})
    counted = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    return "\n".join([*lines, "", f"Medians of {counted} pairs; {machine}."])


def broken(figures: Sequence[Figure]) -> list[str]:
    """A line for each figure that is under its floor."""
    return [
        f"{f.name}: {f.ratio:.3f} of: {f.limit_name}; the floor is {f.floor:g}"
        for f in figures
        if not f.holds
    ]


def _short(number: float) -> float:
    return round(number, 3 if number < 10 else 0)
