"""Charts say what the API says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conftest import Run
from ledger_crm.analysis.drawing import Panel, Series, draw
from ledger_crm.domain.entry import words

pytestmark = pytest.mark.xdist_group("analysis")

PERIOD = ("--from", "2025-01-01", "--to", "2026-11-01")


def text_of(svg: Path) -> list[str]:
    """Everything that is written in it."""
    root = ElementTree.parse(svg).getroot()
    return [
        "".join(each.itertext()).strip().replace("\\$", "$")
        for each in root.iter("{http://www.w3.org/2000/svg}text")
    ]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_funnel_and_the_time_in_stage_are_those_of_the_api(told: Run, tmp_path: Path) -> None:
    _, out, _ = told("read", "funnel", "--since", "2025-01-01", "--until", "2026-11-01", "--json")
    lines = json.loads(out)
    assert len(lines) > 10
    code, out, err = told("report", "funnel", *PERIOD, "--out", "f.svg")
    assert (code, out.startswith("f.svg: Funnel, 2025-01-01 until 2026-11-01")) == (0, True), err
    text = text_of(tmp_path / "f.svg")
    for line in lines:
        assert words(line["category"]) in text
        assert str(line["entered"]) in text
        if line["conversion_bp"] is not None:
            shown = f"{line['went_on']} ({line['conversion_bp'] / 100:.1f} %)" in text
            assert shown == (line["category"] != "placed"), "nobody goes on from there"
    assert told("report", "time-in-stage", *PERIOD, "--out", "t.svg")[0] == 0
    text = text_of(tmp_path / "t.svg")
    stayed = [line for line in lines if line["median_days"] is not None]
    assert {f"{line['median_days']:g}" for line in stayed} <= set(text)
    never = {words(line["category"]) for line in lines} - {words(x["category"]) for x in stayed}
    assert not never & set(text)


def test_revenue_is_that_of_the_api(told: Run, tmp_path: Path) -> None:
    _, out, _ = told(
        "read", "revenue", "--by", "client", "--since", "2025-01-01T00:00:00Z",
        "--until", "2026-11-01T00:00:00Z", "--json",
    )  # fmt: skip
    lines = [line for line in json.loads(out) if line.get("agreed_cents")]
    assert lines
    code, _, err = told("report", "revenue", *PERIOD, "--out", "r.svg")
    assert code == 0, err
    text = text_of(tmp_path / "r.svg")
    for line in lines:
        assert line["label"] in text
        assert f"{line['agreed_cents'] / 100:,.2f}" in text


def test_gone_quiet_names_companies_and_no_people(told: Run, tmp_path: Path) -> None:
    _, out, _ = told(
        "read", "engagement/quiet", "--kind", "company", "--days", "1", "--json", "--limit", "200"
    )
    companies = json.loads(out)
    assert companies
    code, _, err = told("report", "gone-quiet", "--days", "1", "--out", "q.svg")
    assert code == 0, err
    text = text_of(tmp_path / "q.svg")
    assert {each["name"] for each in companies[:20]} <= set(text)
    assert "Companies with whom nothing passed for 1 day" in text
    people = json.loads(told("read", "people", "--json", "--limit", "200")[1])
    assert not {each["name"] for each in people} & set(text)


def test_a_forecast_is_drawn_as_known_then_next_to_what_is_known_now(
    told: Run, tmp_path: Path
) -> None:
    histories = [
        json.loads(told("read", "deals/forecast", "--as-of", "2026-03-01", *more, "--json")[1])
        for more in ((), ("--known", "now"))
    ]
    assert all(histories)
    code, out, err = told("report", "forecast", "--as-of", "2026-03-01", "--out", "f.svg")
    assert (code, out) == (0, "f.svg: Forecast, as of 2026-03-01\n"), err
    text = text_of(tmp_path / "f.svg")
    assert {"as known then", "by what is known now"} <= set(text)
    for line in (line for lines in histories for line in lines):
        assert f"{line['weighted_cents'] / 100:,.2f}" in text
        assert (line["month"][:7] if line["month"] else "no day") in text


def test_retention_counts_only_clients_whose_quarter_is_over(told: Run, tmp_path: Path) -> None:
    """Counted anew out of a replay of the worked example, whose newest quarter is not over."""
    example = Path(__file__).parents[2] / "docs" / "analysis" / "client_retention.py"
    cohorts = json.loads(told("replay", str(example), "--format", "json")[1])
    code, _, err = told("report", "retention", "--out", "r.svg")
    assert code == 0, err
    text = text_of(tmp_path / "r.svg")
    followed = [c for c in cohorts if c["q2"] is not None]  # so that its first quarter is over
    again, of = sum(c["q1"] for c in followed), sum(c["clients"] for c in followed)
    assert f"{100 * again / of:.1f} % ({again} of {of})" in text


def test_gone_quiet_as_of_a_day_is_silence_until_then(told: Run, tmp_path: Path) -> None:
    asked = ("--as-of", "2026-06-01", "--days", "20")
    found = json.loads(
        told("read", "engagement/quiet", "--kind", "company", *asked, "--json", "--limit", "1")[1]
    )
    assert told("report", "gone-quiet", *asked, "--out", "q.svg")[0] == 0
    silent = datetime(2026, 6, 2, tzinfo=UTC) - datetime.fromisoformat(found[0]["touched_at"])
    assert str(silent.days) in text_of(tmp_path / "q.svg")


def test_as_of_another_day_it_is_another_chart(told: Run, tmp_path: Path) -> None:
    for name, more in (("now", ()), ("then", ("--as-of", "2000"))):
        code, _, err = told("report", "funnel", *PERIOD, *more, "--out", f"{name}.svg")
        assert code == 0, err
    assert text_of(tmp_path / "now.svg") != text_of(tmp_path / "then.svg")
    assert any("as of 2000" in line for line in text_of(tmp_path / "then.svg"))


def bars(labels: list[str], values: list[float]) -> list[Panel]:
    said = [f"{value:,.0f}" for value in values]
    return [Panel("Fees", "EUR", labels, [Series("agreed", values, said)], "the 20 largest of 31")]


def test_numbers_on_the_axis_are_written_out_and_names_are_cut_not_the_chart(
    tmp_path: Path,
) -> None:
    """And nothing is said of signs that a font lacks: warnings, which are errors here, quote
    them."""
    long = "Ltd. " * 40
    draw("Fees", bars([long, "\u6771\u4eac"], [7_500_000, 1_000_000]), tmp_path / "x.svg")
    text = text_of(tmp_path / "x.svg")
    assert {"2,000,000", "6,000,000", "EUR; the 20 largest of 31"} <= set(text)
    [cut] = [line for line in text if line.startswith("Ltd.")]
    assert (cut.endswith("…"), len(cut) <= 40) == (True, True)


def test_of_nothing_but_zeros_the_axis_begins_at_0(tmp_path: Path) -> None:
    draw("Fees", bars(["Acme"], [0]), tmp_path / "x.svg")
    assert {"0", "1"} <= set(text_of(tmp_path / "x.svg"))
    assert not any("\u2212" in line for line in text_of(tmp_path / "x.svg"))


def test_the_same_figures_are_the_same_bytes(told: Run, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        assert told("report", "funnel", *PERIOD, "--out", name)[0] == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("funnel", "--out", "x.svg"), "--from DAY and --to DAY"),
        (("funnel", "--from", "2026-02-01", "--to", "2026-01-01", "--out", "x.svg"), "after --to"),
        (("retention", "--from", "2026-02-01", "--out", "x.svg"), "retention knows no --from"),
        (("gone-quiet", "--pipeline", "talent", "--out", "x.svg"), "knows no --pipeline"),
        (("funnel", *PERIOD, "--days", "3", "--out", "x.svg"), "funnel knows no --days"),
        (("funnel", *PERIOD, "--out", "x.docx"), "call it .svg or .png"),
        (("funnel", *PERIOD, "--out", "/no/such/x.svg"), "/no/such/x.svg: No such file"),
        (("funnel", *PERIOD), "out"),
        (("weather", *PERIOD, "--out", "x.svg"), "weather"),
        (("funnel", *PERIOD, "--pipeline", "nosuch", "--out", "x.svg"), "funnel: "),
        (("revenue", "--from", "1990-01-01", "--to", "1990-02-01", "--out", "x.svg"), "nothing to"),
        (("forecast", "--out", "x.svg"), "say --as-of DAY"),
        (
            ("forecast", "--as-of", "1990-01-01", "--out", "x.svg"),
            "no pipeline of deals yet at --as-of 1990-01-01, and so nothing to forecast: say a",
        ),
        (
            ("forecast", "--as-of", "2026-03-01", "--pipeline", "talent", "--out", "x.svg"),
            "there was no pipeline of deals called talent at --as-of 2026-03-01; there were sales",
        ),
        (("forecast", "--as-of", "March", "--out", "x.svg"), "nor a day as in 2026-03-01"),
        (("gone-quiet", "--days", "0", "--out", "x.svg"), "--days. Must be >= 1."),
        (("gone-quiet", "--days", "3651", "--out", "x.svg"), "--days. Must be <= 3650."),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_is_one_line(
    told: Run, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    code, out, err = told("report", *words)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert says in err
    assert not list(tmp_path.iterdir())
