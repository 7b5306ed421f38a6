"""``report``: charts of what the API's reports say, as SVG or PNG."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts

from ledger_crm.analysis.drawing import Panel, Series, draw, must_be_drawable
from ledger_crm.domain import clock
from ledger_crm.domain.entry import words
from ledger_crm.domain.pipeline import EXITS

from .house import Fault, console, load, looked_at, run
from .reading import asked

if TYPE_CHECKING:
    from ledger_crm.api.past import Then

What = Literal["funnel", "time-in-stage", "revenue", "gone-quiet", "forecast", "retention"]
Days = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=1, lte=3650))]
PERIOD = ("--from", "--to")
OF: dict[What, tuple[str, ...]] = {  # what each is asked with
    "funnel": (*PERIOD, "--pipeline"),
    "time-in-stage": (*PERIOD, "--pipeline"),
    "revenue": PERIOD,
    "gone-quiet": ("--days",),
    "forecast": ("--pipeline",),
    "retention": (),
}
QUIET_DAYS = 90
SHOWN = 20  # bars of a panel
QUARTERS = 9  # that clients are followed for, the first among them


def report(
    what: What,
    /,
    *,
    out: Path,
    from_: Annotated[date | None, cyclopts.Parameter(name="--from")] = None,
    to: date | None = None,
    as_of: str = "",
    pipeline: str = "",
    days: Days | None = None,
) -> None:
    """Draw a report: how far candidacies come, how long they stay, revenue by client, which
    companies have gone quiet, the forecast of a day as known then and now, or how many clients come
    back. The figures are those of the API; see ledger-crm read.

    Parameters
    ----------
    what:
        funnel, time-in-stage, revenue, gone-quiet, forecast or retention.
    out:
        A file called .svg or .png.
    from_:
        The first day, in UTC.
    to:
        The day after the last one.
    as_of:
        As known then: a position, an instant, or a day, which means its end in UTC. Of the
        forecast: which day's; it needs one.
    pipeline:
        Of the funnel, the time in stage and the forecast: only this one, by its slug.
    days:
        Of gone-quiet: companies with whom nothing passed for at least so many days, 1 to 3650;
        otherwise 90.
    """
    must_be_drawable(out)
    said = {"--from": from_, "--to": to, "--pipeline": pipeline or None, "--days": days}
    if idle := [word for word, value in said.items() if value is not None and word not in OF[what]]:
        raise Fault(f"{what} knows no {', '.join(idle)}: leave that out")
    known = {"as_of": as_of} if as_of else {}
    if what == "gone-quiet":
        title, panels = _gone_quiet(QUIET_DAYS if days is None else days, known)
    elif what == "retention":
        title, panels = _retention(known)
    elif what == "forecast":
        if not as_of:
            raise Fault("the forecast is one of a day: say --as-of DAY")
        title, panels = _forecast(as_of, pipeline)
    else:
        if from_ is None or to is None:
            raise Fault(
                f"{what} is of a period: say --from DAY and --to DAY, the day after its last"
            )
        if from_ >= to:
            how = "lies after" if from_ > to else "is"
            raise Fault(f"--from {from_} {how} --to {to}, which is the day after the last one")
        if what == "revenue":
            title, panels = _revenue(from_, to, known)
        else:
            of = {"pipeline": pipeline} if pipeline else {}
            lines = asked("funnel", since=str(from_), until=str(to), **of, **known)
            title, panels = (_funnel if what == "funnel" else _time_in_stage)(lines)
            title += f" in {words(pipeline)}" if pipeline else ""
        title += f", {from_} until {to}"
    title += f", as of {as_of}" if as_of else ""
    if not any(panel.labels for panel in panels):
        raise Fault(f"there is nothing to draw: {title}")
    draw(title, panels, out)
    console().print(f"{out}: {title}", markup=False)


def _funnel(lines: list[dict[str, Any]]) -> tuple[str, list[Panel]]:
    on = [line for line in lines if line["category"] not in EXITS]
    out = [line for line in lines if line["category"] in EXITS]
    panels = [
        Panel(
            "Came there, and went on", "candidacies", [words(line["category"]) for line in on],
            [
                Series("came", [line["entered"] for line in on],
                       [str(line["entered"]) for line in on]),
                Series("went on", [line["went_on"] for line in on], [_share(line) for line in on]),
            ],
        )
    ]  # fmt: skip
    if out:
        counts = [line["entered"] for line in out]
        panels.append(
            Panel("Ended there", "candidacies", [words(line["category"]) for line in out],
                  [Series("ended", counts, list(map(str, counts)))])
        )  # fmt: skip
    return "Funnel", panels


def _share(line: dict[str, Any]) -> str:
    """Who is placed is at the end, and not lost: nothing is said of how many went on."""
    if line["category"] == "placed" and not line["went_on"]:
        return ""
    return f"{line['went_on']} ({line['conversion_bp'] / 100:.1f} %)"


def _time_in_stage(lines: list[dict[str, Any]]) -> tuple[str, list[Panel]]:
    stayed = [line for line in lines if line["median_days"] is not None]
    days = [line["median_days"] for line in stayed]
    labels = [words(line["category"]) for line in stayed]
    bars = Series("median", days, [f"{each:g}" for each in days])
    return "Time in stage", [Panel("Median, until the next step", "days", labels, [bars])]


def _revenue(since: date, until: date, known: dict[str, str]) -> tuple[str, list[Panel]]:
    """By client, the largest first, a panel for each currency."""
    period = {"since": f"{since}T00:00:00Z", "until": f"{until}T00:00:00Z"}
    by_currency = defaultdict[str, list[dict[str, Any]]](list)
    for line in asked("revenue", by="client", **period, **known):
        if line.get("agreed_cents", 0) or line.get("paid_cents", 0):
            by_currency[line["currency"]].append(line)
    panels = []
    for currency, lines in sorted(by_currency.items()):
        lines.sort(key=lambda line: (-line.get("agreed_cents", 0), line["label"]))
        shown = lines[:SHOWN]
        series = []
        for name in ("agreed", "paid"):
            amounts = [line.get(f"{name}_cents", 0) / 100 for line in shown]
            series.append(Series(name, amounts, [f"{amount:,.2f}" for amount in amounts]))
        labels = [line["label"] for line in shown]
        panels.append(Panel(currency, currency, labels, series, _of("largest", lines)))
    return "Fees by client", panels


def _gone_quiet(days: int, known: dict[str, str]) -> tuple[str, list[Panel]]:
    """The longest silent first. Companies: a chart is no place for people's names."""
    found = asked("engagement/quiet", kind="company", days=str(days), **known)
    now, shown = _moment(known), found[:SHOWN]
    silent = [(now - datetime.fromisoformat(each["touched_at"])).days for each in shown]
    bars = Series("silent", silent, [f"{each}" for each in silent])
    labels, note = [each["name"] for each in shown], _of("longest", found)
    title = f"Companies with whom nothing passed for {days} day{'s' * (days != 1)}"
    return title, [Panel("Since anything passed between us", "days", labels, [bars], note)]


def _of(which: str, lines: list[dict[str, Any]]) -> str:
    """What is left out."""
    return f"the {SHOWN} {which} of {len(lines)}" if len(lines) > SHOWN else ""


def _moment(known: dict[str, str]) -> datetime:
    """When "now" was."""
    from ledger_crm.api.snapshots import Reads, open_pool

    async def looked() -> Then | None:
        async with open_pool(url, most=1) as pool:
            return await Reads(pool).moment(known["as_of"], None)

    if not known:
        return clock.now()
    with looked_at(load()) as url:
        then = run(looked)
    assert then
    return then.at


def _forecast(as_of: str, pipeline: str) -> tuple[str, list[Panel]]:
    """Weighted, by month of expected close, a panel for each currency: as known then, and of that
    day by what is known now."""
    known = [each["slug"] for each in asked("pipelines", as_of=as_of) if each["subject"] == "deal"]
    if not known:
        raise Fault(
            f"there was no pipeline of deals yet at --as-of {as_of}, and so nothing to forecast:"
            " say a later moment"
        )
    if pipeline and pipeline not in known:
        raise Fault(
            f"there was no pipeline of deals called {pipeline} at --as-of {as_of}; there were"
            f" {', '.join(known)}"
        )
    of = {"pipeline": pipeline} if pipeline else {}
    histories = {
        "as known then": asked("deals/forecast", as_of=as_of, **of),
        "by what is known now": asked("deals/forecast", as_of=as_of, known="now", **of),
    }
    weighted = {
        (name, line["currency"], line["month"]): line["weighted_cents"]
        for name, lines in histories.items()
        for line in lines
    }
    panels = []
    for currency in sorted({currency for _, currency, _ in weighted}):
        months = sorted({m for _, c, m in weighted if c == currency}, key=lambda m: m or "z")
        series = []
        for name in histories:
            amounts = [weighted.get((name, currency, month), 0) / 100 for month in months]
            series.append(Series(name, amounts, [f"{amount:,.2f}" for amount in amounts]))
        labels = [month[:7] if month else "no day" for month in months]
        panels.append(Panel(f"{currency}, weighted by the chance to win", currency, labels, series))
    return "Forecast", panels


def _retention(known: dict[str, str]) -> tuple[str, list[Panel]]:
    """Of clients by quarters since they first asked us for somebody; of those only for whom that
    quarter is over."""
    asking = defaultdict[str, set[int]](set)
    for order in asked("job-orders", **known):
        asking[order["company_id"]].add(_quarter(datetime.fromisoformat(order["opened_at"])))
    this = _quarter(_moment(known))
    shares, said, labels = [], [], []
    for n in range(1, QUARTERS):
        of = [quarters for quarters in asking.values() if min(quarters) + n < this]
        if of:
            again = sum(min(quarters) + n in quarters for quarters in of)
            shares.append(100 * again / len(of))
            said.append(f"{shares[-1]:.1f} % ({again} of {len(of)})")
            labels.append("1 quarter later" if n == 1 else f"{n} quarters later")
    bars = Series("asked again", shares, said)
    title = "Asked us for somebody, by time since they first did"
    return "Client retention", [Panel(title, "% of clients", labels, [bars])]


def _quarter(at: datetime) -> int:
    """Counted from the year 0."""
    return at.year * 4 + (at.month - 1) // 3
