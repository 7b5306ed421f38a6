"""What is there, and how it stands: events, projections, feed, settings."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Annotated, Any

import cyclopts
import msgspec

from ledger_crm import settings as configuration
from ledger_crm.domain.entry import Entry, Event, kind
from ledger_crm.ledger import Ledger
from ledger_crm.projections import Projection, Standing, every
from ledger_crm.workers import beside, building, parts, projector
from ledger_crm.workers.rows import NoSuchRow

from .checking import feed_watched, standings_at, watched, wrong_with, wrong_with_feed
from .house import (
    Fault,
    Processes,
    bar,
    broker,
    connected,
    console,
    load,
    looked_at,
    opened,
    pace,
    plain,
    print_columns,
    run,
    running_address,
)

RETRY_S = 0.25

Flag = Annotated[bool, cyclopts.Parameter(negative="")]

events = cyclopts.App(name="events", help="Follow the feed; look at an entry.")
projections = cyclopts.App(name="projections", help="How level the read models are; rebuild one.")
feed_commands = cyclopts.App(name="feed", help="How level the feed is; compare or rebuild it.")


@events.command
def tail(*, after: int | None = None, limit: int | None = None, json: Flag = False) -> None:
    """Follow the feed as other services see it; Ctrl-C ends it.

    Parameters
    ----------
    after:
        Begin after this position; otherwise ten entries before the newest.
    limit:
        End after so many.
    json:
        Print each event as it is on the wire, a line each.
    """
    if (after is not None and after < 0) or (limit is not None and limit < 1):
        raise Fault("--after is a position, 0 or more, and --limit a count, 1 or more")
    run(lambda: _follow(after, limit, json))


async def _follow(after: int | None, limit: int | None, json: bool) -> None:
    """For ever, also when the broker goes and comes again, at another address too."""
    import nats.errors

    from ledger_crm.workers import feed

    chosen, at, shown, away = load(), after, 0, False
    while True:
        try:
            async with connected(chosen) as nc:
                newest = await feed.position(nc)
                if away:
                    _aside(f"the broker is back; going on after position {at}")
                elif after is not None and after > newest:
                    _aside(f"the feed is at {newest}; waiting for it to pass {after}")
                away, at = False, max(newest - 10, 0) if at is None else at
                async with aclosing(feed.tail(nc, at)) as messages:
                    async for message in messages:
                        print(_wire(message.payload, json), flush=True)
                        at, shown = message.position, shown + 1
                        if shown == limit:
                            return
        except BrokenPipeError:
            raise
        except (Fault, nats.errors.Error, OSError):
            if at is None:
                raise
            if not away:
                _aside(f"the broker is away; waiting for it to go on after position {at}")
            away = True
            await asyncio.sleep(RETRY_S)


def _aside(line: str) -> None:
    print(f"ledger-crm: {line}", file=sys.stderr, flush=True)


@events.command
def show(position: int, /, *, json: Flag = False) -> None:
    """Show one entry of the ledger, opened: it may hold personal data.

    Parameters
    ----------
    position:
        1 is the first entry.
    json:
        Print it as JSON.
    """
    if position < 1:
        raise Fault(f"position {position} does not exist; the first is 1")
    with opened(load(), to_look=True) as (ledger, _):
        head = run(ledger.head)
        if position > head:
            raise Fault(f"position {position} does not exist yet; the newest is {head}")
        [entry] = run(lambda: ledger.entries(after=position - 1, limit=1))
    document = _document(entry)
    if json:
        _print_json(document)
        return
    for name, value in document.items():
        if name != "event":
            console().print(f"{name:12} {plain(str(value))}", markup=False)
    for name, value in document["event"].items():
        console().print(f"  {name:10} {plain(str(value))}", markup=False)


@projections.command(name="status")
def projections_status(*, json: Flag = False) -> None:
    """Where each read model stands, and when one that is being built will be there: exit code 1 if
    one halted, or is behind and does not move.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    chosen = load()
    idle = not (chosen.database_url or running_address(chosen.home / "postgres"))
    with looked_at(chosen) as url:
        head, found, paces, runs = run(lambda: watched(url))
        with projector.connect(url) as conn:
            kept = beside.kept(conn)
    judged = [wrong_with(one, per_s=paces.get(one.name), idle=idle, runs=runs) for one in found]
    if json:
        _print_json(
            {
                "head": head,
                "projections": [_with_pace(one, head, paces.get(one.name)) for one in found],
                "beside": [_with_pace(one, head, _pace_of(one, paces)) for one in kept],
            }
        )
    else:
        rows = [
            (one.name, str(one.version), str(one.position), says)
            for one, (_, says) in zip(found, judged, strict=True)
        ]
        print_columns([("projection", "version", "position", "how it stands"), *rows])
        console().print(f"the ledger's head is at {head}")
        for one in kept:
            says = _says(one, head, _pace_of(one, paces))
            console().print(
                f"beside {one.projection}: version {one.version} at {one.position}, {says}"
            )
    if any(wrong for wrong, _ in judged):
        sys.exit(1)


def _pace_of(one: beside.Kept, paces: dict[str, float]) -> float | None:
    return paces.get(beside.row_of(one.what, one.projection))


def _with_pace(one: Standing | beside.Kept, head: int, per_s: float | None) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(one)
    return said | {
        "entries_per_s": None if per_s is None else round(per_s),
        "left_s": round(max(head - one.position, 0) / per_s, 1) if per_s else None,
    }


def _says(one: beside.Kept, head: int, per_s: float | None) -> str:
    if one.what == "last":
        return "replaced, to go back to"
    if one.led:
        share = f"being built, {100 * one.position / max(head, 1):.0f} %"
        return f"{share}, {pace(max(head - one.position, 0), per_s)}" if per_s else share
    if one.version not in {p.version for p in every() if p.name == one.projection}:
        return "prepared for another version of this software"
    return f"begun, and nobody is at it; ledger-crm projections rebuild {one.projection} goes on"


@projections.command
def rebuild(
    name: str,
    /,
    *,
    parallel: Processes = 1,
    blue_green: Flag = False,
    in_place: Flag = False,
    json: Flag = False,
) -> None:
    """Build a read model anew from the first entry, beside the one that is read meanwhile (blue and
    green); level, it takes its place, and what it replaced is kept. Stopped, it goes on where it
    was.

    Parameters
    ----------
    name:
        As projections status shows it.
    parallel:
        By so many processes, at most 64, each with some of the records, if the read model can be
        shared out.
    blue_green:
        Beside the one that is read, as it does without this word too.
    in_place:
        Empty it first: it needs no space twice, and cannot be read until it is level.
    json:
        Print where it got, and how long it took, as JSON.
    """
    projection, started, differing = _named(name), time.monotonic(), None
    if in_place and blue_green:
        raise Fault("--in-place and --blue-green are two ways to build it: say one of them")
    if in_place and parallel > 1:
        raise Fault("--in-place is done by one process: leave out --parallel")
    if parallel > 1 and not projection.parallel:
        says = f"{name} has rows that several records change, so one process builds it"
        console(to_stderr=True).print(f"ledger-crm: {says}")
    chosen = load()
    with opened(chosen, to_look=True) as (ledger, url), bar() as drawn:
        key = configuration.sealing_key(chosen)
        shared = parts.Shared(parallel, key) if parallel > 1 else None
        task = drawn.add_task(f"rebuilding {name}", total=run(ledger.head))

        def progress(at: int) -> None:
            drawn.update(task, completed=at)

        with _building(name):
            if in_place:
                with projector.connect(url) as conn:
                    head = _rebuilt(projection, ledger, url, conn, progress)
            else:
                swapped = building.rebuild(url, projection, _reading(ledger), progress, shared)
                head, differing = swapped.position, swapped.differing
    took_s = round(time.monotonic() - started, 3)
    if json:
        told = {} if in_place else {"differing": differing}
        _print_json({"projection": name, "position": head, "duration_s": took_s, **told})
        return
    console().print(f"{name} is level at {head}, after {took_s:.1f} s")
    if differing:
        console().print(f"other than before: {', '.join(differing)}")
    elif not in_place:
        same = "as before, row by row" if differing == [] else "not compared with the one before"
        console().print(same)


@projections.command
def prepare() -> None:
    """Build beside those read models that this version of the software has in another shape, while
    another version runs; when this one is started, they take their places at once."""
    with opened(load(), to_look=True) as (ledger, url), bar() as drawn:
        with projector.connect(url) as conn:
            stored = beside.versions(conn)
        changed = [p for p in every() if stored.get(p.name, p.version) != p.version]
        for projection in changed:
            task = drawn.add_task(f"preparing {projection.name}", total=run(ledger.head))
            with _building(projection.name):
                building.build(
                    url, projection, _reading(ledger),
                    lambda at, task=task: drawn.update(task, completed=at),  # type: ignore[misc]
                )  # fmt: skip
    names = ", ".join(projection.name for projection in changed)
    console().print(f"prepared: {names}" if names else "nothing to prepare: all have this shape")


@projections.command
def rollback(name: str, /) -> None:
    """Read again what the last rebuild of a read model replaced; it catches up from there.

    Parameters
    ----------
    name:
        As projections status shows it.
    """
    projection = _named(name)
    with opened(load(), to_look=True) as (_, url), _building(name):
        try:
            position = building.go_back(url, projection)
        except beside.NothingKept:
            raise Fault(
                f"there is nothing to go back to: none of {name}'s version {projection.version} is"
                " kept, or somebody was erased since"
            ) from None
    console().print(f"{name} is what it was before, and goes on at {position}")


@contextmanager
def _building(name: str) -> Iterator[None]:
    """Raises Fault for what it halts on, and if somebody else is at it."""
    try:
        yield
    except building.Busy as busy:
        raise Fault(f"{busy}; try again") from None
    except projector.NotLeading:
        raise Fault(f"somebody else is at {name}; try again") from None
    except (projector.Hole, NoSuchRow) as fault:
        raise Fault(f"{name} halted: {fault}") from None
    except (parts.PartFault, beside.Unmakable) as fault:
        raise Fault(str(fault)) from None


def _named(name: str) -> Projection:
    found = {projection.name: projection for projection in every()}
    if name not in found:
        raise Fault(f"there is no projection {name}; there are {', '.join(found)}")
    return found[name]


def _reading(ledger: Ledger) -> projector.Read:
    return lambda after, limit: ledger.store.entries(after=after, limit=limit)


@feed_commands.command(name="status")
def feed_status(*, json: Flag = False) -> None:
    """Where the feed stands: exit code 1 if it is beyond the ledger, or behind and does not move.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    from ledger_crm.workers import feed

    async def looked() -> tuple[int, int, bool]:
        async with connected(chosen) as nc:
            head = await ledger.head()
            at, moves = await feed_watched(lambda: feed.position(nc), head)
            return head, at, moves

    chosen = load()
    broker(chosen)
    with opened(chosen, to_look=True) as (ledger, _):
        head, at, moves = run(looked)
        if at > head:  # written while we looked
            head = run(ledger.head)
    wrong, says = wrong_with_feed(at, head, moves=moves)
    if json:
        _print_json({"head": head, "position": at, "lag_events": head - at})
    else:
        console().print(f"the feed is {says}", markup=False)
    if wrong:
        sys.exit(1)


@feed_commands.command
def audit() -> None:
    """Compare the feed with the ledger, message by message: exit code 1 if they differ."""
    from ledger_crm.workers import feed

    async def compared() -> Any:
        async with connected(chosen) as nc:
            return await feed.audit(nc, ledger.rows)

    chosen = load()
    broker(chosen)
    with opened(chosen, to_look=True) as (ledger, _):
        difference = run(compared)
    if difference is not None:
        where = f"at position {difference.position}: " if difference.position else ""
        console().print(f"the feed differs: {where}{difference.what}", markup=False)
        console().print("build it anew from the ledger with: ledger-crm feed rebuild")
        sys.exit(1)
    console().print("the feed is exactly the ledger")


@feed_commands.command(name="rebuild")
def feed_rebuild() -> None:
    """Delete the stream and publish the ledger from its first entry."""
    from ledger_crm.workers import relay

    async def rebuilt() -> int:
        async with connected(chosen) as nc:
            with bar() as drawn:
                task = drawn.add_task("publishing", total=await ledger.head())
                return await relay.rebuild(
                    nc, ledger.rows, progress=lambda at: drawn.update(task, completed=at)
                )

    chosen = load()
    broker(chosen)
    with opened(chosen, to_look=True) as (ledger, _):  # that of no ledger would empty the stream
        at = run(rebuilt)
    console().print(f"the feed is at {at}")


def settings(*, json: Flag = False) -> None:
    """Print what is in force and where it comes from; secrets are masked.

    A variable that is empty counts as one that is not set.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    lines = configuration.describe(load())
    if json:
        _print_json([line._asdict() for line in lines])
        return
    for line in lines:
        said = f"{line.variable} = {plain(line.value)}   ({line.source})\n    {line.meaning}"
        console().print(said, markup=False)


def _rebuilt(
    projection: Projection,
    ledger: Ledger,
    url: str,
    conn: beside.Connection,
    progress: Callable[[int], None],
) -> int:
    """By ourselves if nobody leads it; else by whoever does. The position reached."""
    head, asked, emptied = run(ledger.head), False, False
    while True:
        if projector.try_to_lead(conn, projection.name):  # or whoever led it has gone meanwhile
            driver = projector.Driver(projection, _reading(ledger), conn)
            with suppress(projector.NotLeading):  # somebody else asks for the same: begin again
                if not emptied:
                    driver.rebuild()
                    emptied = True
                position = driver.catch_up(progress=progress)
                driver.analyse()
                return position
            continue
        if not asked:
            projector.ask_to_rebuild(conn, projection.name)
            asked = True
        now = run(lambda: _one(url, projection))
        progress(now.position)
        if now.fault:
            raise Fault(f"{projection.name} halted at {now.position}: {now.fault}")
        if now.position >= head:
            return now.position
        time.sleep(0.1)


async def _one(url: str, projection: Projection) -> Standing:
    return next(s for s in (await standings_at(url))[1] if s.name == projection.name)


def _document(entry: Entry[Event]) -> dict[str, Any]:
    return {
        "position": entry.position,
        "kind": kind(entry.event),
        "stream": entry.originator_id,
        "version": entry.originator_version,
        "recorded_at": entry.timestamp,
        "by": entry.by,
        "cause": entry.cause,
        "event": msgspec.to_builtins(entry.event),
    }


def _wire(payload: bytes, json: bool) -> str:
    if json:
        text = payload.decode()
        return _NOT_PRINTED.sub(_as_json, text) if sys.stdout.isatty() else text
    said = msgspec.json.decode(payload)
    facts = " ".join(f"{k}={v}" for k, v in said["data"].items() if k != "kind")
    line = f"{said['id']:>8}  {said['time'][:19]}  {said['type']:28} {said['subject']}  {facts}"
    return plain(line)


_NOT_PRINTED = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def _as_json(found: re.Match[str]) -> str:
    """JSON leaves these as they are, and some terminals obey them."""
    return f"\\u{ord(found[0]):04x}"


def _print_json(found: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
