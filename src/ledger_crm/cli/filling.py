"""``import`` and ``demo``: many facts at once, through the same commands as everybody's."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Annotated, BinaryIO

import cyclopts
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger_crm.commands import demo as agency
from ledger_crm.commands import importing, mapping
from ledger_crm.ledger import Ledger

from .house import Fault, console, load, opened, progress_wanted, run

Flag = Annotated[bool, cyclopts.Parameter(negative="")]


def register(app: cyclopts.App) -> None:
    app.command(import_, name="import")
    app.command(demo)


def bar() -> Progress:
    """On a terminal only; elsewhere nothing is drawn, so that logs stay readable."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(to_stderr=True),
        disable=not progress_wanted(),
        transient=True,
    )


def import_(
    source: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)],
    *,
    mapping: Annotated[Path, cyclopts.Parameter(name=["--mapping", "-m"])],
    dry_run: Flag = False,
    report: Path | None = None,
    json: Flag = False,
) -> None:
    """Import a CSV file by a mapping from its columns to facts; see docs/importing.md.

    Refused rows are listed with line, column and reason, and the rest go in: exit code 1 then.
    The same file again changes nothing.

    Parameters
    ----------
    source:
        A .csv or .csv.gz file; - for standard input.
    mapping:
        A TOML file: which column becomes which fact.
    dry_run:
        Decide everything, write nothing.
    report:
        Write what became of each row to this file, a JSON line each.
    json:
        Print the summary as JSON.
    """
    chosen, plan = load(), _mapping(mapping)
    with ExitStack() as stack:
        file = _source(stack, source)
        ledger, _ = stack.enter_context(opened(chosen))
        rows = stack.enter_context(_writable(report)) if report else None
        drawn = stack.enter_context(bar())
        size = Path(source).stat().st_size if source != "-" else None
        task = drawn.add_task("importing", total=size)

        def on_row(row: importing.RowReport) -> None:
            if rows:
                rows.write(msgspec.json.encode(row) + b"\n")

        found = run(
            lambda: importing.import_csv(
                ledger,
                file,
                plan,
                dry_run=dry_run,
                on_progress=lambda p: drawn.update(task, completed=p.bytes),
                on_row=on_row,
            )
        )
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        _print(found)
    if found.refused or found.changed:
        sys.exit(1)


def demo(
    *, seed: int = 1, until: date | None = None, size: float = 1.0, json: Flag = False
) -> None:
    """Play two years of an invented agency into the ledger. Again: it changes nothing.

    Parameters
    ----------
    seed:
        The same seed gives the same facts.
    until:
        Its last day (YYYY-MM-DD); otherwise today.
    size:
        Of the agency: 1 is about 20,000 facts.
    json:
        Print the summary as JSON.
    """
    if not 0.01 <= size <= 100:
        raise Fault(f"--size is {size}; write a number from 0.01 to 100")
    with opened(load()) as (ledger, _):
        played = run(lambda: play(ledger, seed=seed, until=until, size=size))
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(played)).decode() + "\n")
        return
    console().print(
        f"{played.companies} companies, {played.people} people, {played.facts} facts up to"
        f" {played.until}; {played.written} of them were new"
    )


async def play(
    ledger: Ledger, *, seed: int, until: date | None, size: float = 1.0
) -> agency.Played:
    """With a progress bar on a terminal."""
    with bar() as drawn:
        task = drawn.add_task("playing two years", total=None)
        return await agency.play(
            ledger,
            seed=seed,
            until=until,
            size=size,
            progress=lambda done, total: drawn.update(task, completed=done, total=total),
        )


def _mapping(path: Path) -> mapping.Mapping:
    return mapping.load_mapping(path)


def _source(stack: ExitStack, source: str) -> BinaryIO:
    if source == "-":
        return sys.stdin.buffer
    return stack.enter_context(_readable(Path(source)))


def _readable(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as fault:
        raise Fault(f"{path}: {fault.strerror}") from None


def _writable(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as fault:
        raise Fault(f"{path}: {fault.strerror}") from None


def _print(found: importing.Report) -> None:
    out = console()
    would = "would be " if found.dry_run else ""
    out.print(
        f"{found.read} rows: {found.imported} {would}imported ({found.facts} facts),"
        f" {found.already} in already, {found.skipped} filtered out,"
        f" {found.changed} changed since they were imported, {found.refused} refused"
    )
    for row in found.listed:
        column = f", column {row.column}" if row.column else ""
        out.print(f"  line {row.line}{column}: {row.reason}", markup=False)
    unlisted = found.refused + found.changed - len(found.listed)
    if unlisted > 0:
        out.print(f"  and {unlisted} more; --report FILE lists all")
