"""``replay``, ``export``, ``sql``, ``changes``: what analysts do with the history. None of it
writes to the ledger."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import cyclopts
import msgspec

from ledger_crm import settings as configuration
from ledger_crm.analysis import AnalysisFault
from ledger_crm.analysis.tables import (
    Format,
    Found,
    format_of,
    found_in,
    put,
    written,
)
from ledger_crm.domain import EVENTS
from ledger_crm.sealing import Keyring
from ledger_crm.settings import Settings
from ledger_crm.slices import Slice, Slices
from ledger_crm.storage import must_be_folder

from .house import (
    Fault,
    Processes,
    bar,
    console,
    load,
    looked_at,
    opened,
    plain,
    print_columns,
    run,
)

Flag = Annotated[bool, cyclopts.Parameter(negative="")]
SHOWN = 200  # rows of a table on the terminal


def replay(
    file: Path,
    /,
    *,
    kind: list[str] | None = None,
    stream: list[UUID] | None = None,
    after: int = 0,
    upto: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    open: Flag = False,
    keep: Path | None = None,
    processes: Processes = 1,
    instead: Path | None = None,
    table: str = "",
    format: Format | None = None,
    out: Path | None = None,
) -> None:
    """Run your own fold over the ledger: a Python file with fold(state, entry), or with a
    projection. It runs as you do, in memory, and writes nothing. See docs/analysis.md.

    Parameters
    ----------
    file:
        The Python file.
    kind:
        Only facts of this kind, or that begin so (person.); repeatable.
    stream:
        Only facts on this record; repeatable.
    after:
        Only what comes after this position.
    upto:
        Only what comes up to this position.
    since:
        Only what was written down from this moment on; UTC without an offset.
    until:
        Only what was written down before this moment.
    open:
        Open what is sealed, of whoever is not erased: it takes the deployment's key. Otherwise it
        reads [sealed].
    keep:
        Remember the state in this file, and go on from there: after Ctrl-C, or with what is new;
        with as many --processes as before. That of --instead is in one beside it, which ends in
        .instead.
    processes:
        Share the streams out among so many processes, at most 64, if the file says PARALLEL =
        "stream", and that of --instead too.
    instead:
        A Python file with instead(state, entry): another history, shown next to the real one.
    table:
        Which table of a projection to show, if it has several.
    format:
        table, csv, json or parquet; otherwise as the file of --out is called.
    out:
        Write it to this file.
    """
    from ledger_crm.analysis import replaying

    chosen, shape = load(), format_of(out, format)
    fold = replaying.Fold(file)
    _must_be_one_of(fold.tables(), table, file)
    wanted = Slice(
        kinds=_kinds(kind), streams=tuple(stream) if stream else None, after=_position(after),
        upto=None if upto is None else _position(upto), since=_utc(since), until=_utc(until),
    )  # fmt: skip
    if wanted.upto is not None and wanted.after >= wanted.upto:
        raise Fault(f"nothing comes after {after:d} and up to {upto:d}")
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise Fault(f"nothing is from {wanted.since} on and before {wanted.until}")
    other = replaying.Instead(instead) if instead else None
    replaying.must_go_together(fold, opens=open, keep=keep, processes=processes, instead=other)
    if keep and (kept := replaying.kept_by(keep)) and processes not in kept:
        _aside(
            f"{keep} was kept with --processes {' and '.join(map(str, sorted(kept)))}: with"
            f" {processes} it begins anew"
        )
    with looked_at(chosen) as url, bar() as drawn:
        task = drawn.add_task("replaying", total=None)
        histories = [
            replaying.replay(
                fold, url, wanted,
                key=sealing_key(chosen) if open else None, keep=keep, processes=processes,
                instead=history,
                progress=lambda at, begin, end: drawn.update(
                    task, completed=at - begin, total=end - begin
                ),
            )
            for history in ([None, other] if other else [None])
        ]  # fmt: skip
    results = []
    for history in histories:
        result = fold.result(history.state)
        try:
            results.append(found_in(result[table] if table else result))
        except AnalysisFault as fault:
            raise Fault(f"{file}: {fault}") from None
    found = histories[0]
    write(_beside(*results) if other else results[0], shape, out)
    if found.left_out:
        _aside(
            f"{found.left_out} entries would change rows that began before the slice; they were"
            " left out"
        )
    _aside(f"{found.entries:,} entries folded, up to position {found.position}")


def _beside(real: Found, other: Found) -> Found:
    rows = [{"history": "real"} | row for row in real.documents()]
    return found_in([*rows, *({"history": "instead"} | row for row in other.documents())])


def export(
    folder: Path | None = None,
    /,
    *,
    open: Flag = False,
    ledger_only: Flag = False,
    json: Flag = False,
) -> None:
    """Write the ledger and every read model as Parquet files; again, it adds what is new. See
    docs/analysis.md.

    Parameters
    ----------
    folder:
        Where they go; otherwise LEDGER_HOME/export.
    open:
        What is sealed too, of whoever is not erased: it takes the deployment's key.
    ledger_only:
        No read models: they take most of the time.
    json:
        Print what is in it as JSON.
    """
    from ledger_crm.analysis import exporting

    chosen = load()
    folder = must_be_folder(folder or chosen.home / "export")
    with looked_at(chosen) as url, bar() as drawn:
        task = drawn.add_task("exporting", total=None)
        exported, new = exporting.export(
            url, folder,
            key=sealing_key(chosen) if open else None,
            ledger_only=ledger_only,
            progress=lambda at, begin, end: drawn.update(
                task, completed=at - begin, total=end - begin
            ),
        )  # fmt: skip
    if json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(exported)) + b"\n")
        return
    console().print(
        f"{folder} is at {exported.position}, {new} of them new; {len(exported.tables)} tables of"
        f" read models, {'with' if exported.opened else 'without'} what is sealed",
        markup=False,
    )


def sql(
    query: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)],  # a comment, perhaps
    /,
    *,
    folder: Annotated[Path | None, cyclopts.Parameter(name="--export")] = None,
    live: Flag = False,
    format: Format | None = None,
    out: Path | None = None,
) -> None:
    """Ask the history in SQL, as DuckDB speaks it: over an export, which has the ledger and every
    read model, or over the read models as they are now.

    Parameters
    ----------
    query:
        For example: SELECT kind, count(*) FROM ledger GROUP BY kind
    folder:
        Of the export; otherwise LEDGER_HOME/export.
    live:
        Over the read models of the running house. What is sealed is open in them, so it takes the
        deployment's key.
    format:
        table, csv, json or parquet; otherwise as the file of --out is called.
    out:
        Write it to this file.
    """
    from ledger_crm.analysis import querying

    chosen, shape = load(), format_of(out, format)
    if live and folder:
        raise Fault("--live and --export are two places to ask: say one of them")
    if live:
        key = sealing_key(chosen)
        with looked_at(chosen) as url:
            with Slices(url, Keyring(key)) as slices:
                slices.check_key()
            found = querying.over_live(url, query)
    else:
        found = querying.over_export(must_be_folder(folder or chosen.home / "export"), query)
    write(found, shape, out)


def changes(
    table: str,
    /,
    *,
    from_: Annotated[str, cyclopts.Parameter(name="--from")],
    to: str = "",
    format: Format | None = None,
    out: Path | None = None,
) -> None:
    """Show what is different in a table of a read model between two moments, as it was known at
    each: rows that came, went and changed. What is sealed is open in it, so it takes the
    deployment's key. Lists of what changed in a pipeline: ledger-crm read candidates/changes.

    Parameters
    ----------
    table:
        As SCHEMA.md of an export names it.
    from_:
        The one moment: a position, an instant, or a day, which means its end in UTC.
    to:
        The other moment; otherwise now.
    format:
        table, csv, json or parquet; otherwise as the file of --out is called.
    out:
        Write it to this file.
    """
    from ledger_crm.analysis import differences
    from ledger_crm.api.problems import AfterTheHead, Malformed
    from ledger_crm.api.snapshots import Reads, open_pool

    async def positions() -> tuple[int, int]:
        async with open_pool(url, most=1) as pool:
            head = await ledger.head()
            window = await Reads(pool).window(from_, to or None)
            return window.first, head if window.last is None else window.last

    chosen, shape = load(), format_of(out, format)
    with opened(chosen, to_look=True) as (ledger, url):
        try:
            first, last = run(positions)
        except Malformed as malformed:
            [wrong] = malformed.facts["faults"]
            raise Fault(f"--{wrong.pointer.removeprefix('query:')}: {wrong.detail}") from None
        except AfterTheHead as ahead:
            raise Fault(str(ahead)) from None
        found = differences.between(url, table, first, last)
    write(found, shape, out)
    _aside(f"between positions {first} and {last}")


def write(found: Found, shape: Format, out: Path | None) -> None:
    """To a file, or to the terminal."""
    if shape == "table":
        _show(found)
    elif out is None:
        sys.stdout.buffer.write(written(found, shape))
    else:
        put(written(found, shape), out, private=True)
        _aside(f"{len(found.rows):,} rows in {out}")


def _show(found: Found) -> None:
    if not found.rows:
        console(to_stderr=True).print("nothing")
        return
    shown = found.rows[:SHOWN]
    print_columns([found.names, *([_cell(value) for value in row] for row in shown)])
    if more := len(found.rows) - len(shown):
        _aside(f"and {more:,} more rows: --format csv shows all")


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.12g}"
        case str():
            return plain(value)
        case datetime():
            with suppress(OverflowError):  # it is not there in UTC
                value = value.astimezone(UTC) if value.tzinfo else value
            return value.isoformat(" ", "seconds") if value.tzinfo else str(value)
        case dict() | list() | tuple():
            return plain(msgspec.json.encode(value, enc_hook=str).decode())
    return plain(str(value))


def _must_be_one_of(tables: Sequence[str], name: str, file: Path) -> None:
    """Before anything is folded."""
    if name and not tables:
        raise Fault(f"--table is for a file with several tables; {file} gives one result")
    if tables and name not in tables:
        which = f"there is no table {name}" if name else "say which table: --table"
        raise Fault(f"{which}; there are {', '.join(tables)}")


def _kinds(said: Sequence[str] | None) -> tuple[str, ...] | None:
    """By their stored names, whole or, with a dot at the end, begun."""
    if not said:
        return None
    found: dict[str, None] = {}
    for each in said:
        names = [n for n in EVENTS if n == each or (each.endswith(".") and n.startswith(each))]
        if not names:
            raise Fault(f"there is no kind of fact {each}; see docs/events.md")
        found |= dict.fromkeys(names)
    return tuple(found)


def _position(at: int) -> int:
    if at < 0:
        raise Fault(f"position {at} does not exist; the first is 1")
    return at


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo:
        return moment
    return moment.replace(tzinfo=UTC)


def sealing_key(chosen: Settings) -> bytes:
    """To open what is sealed. Nothing is made: a key that is missing is a fault."""
    file = chosen.home / "sealing.key"
    if chosen.sealing_key is None and not file.exists():
        raise Fault(
            f"{file} is not there: who opens what is sealed needs it, or LEDGER_SEALING_KEY"
        )
    return configuration.sealing_key(chosen)


def _aside(line: str) -> None:
    print(f"ledger-crm: {line}", file=sys.stderr, flush=True)
