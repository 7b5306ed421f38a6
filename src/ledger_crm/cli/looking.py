"""What is there, and how it stands: events, projections, feed, settings, doctor."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
import psycopg
from rich.table import Table

from ledger_crm import settings as configuration
from ledger_crm.domain.entry import Entry, Event, kind
from ledger_crm.ledger import Ledger, Unavailable
from ledger_crm.projections import SCHEMA, Projection, Standing, every, standings
from ledger_crm.settings import Settings, SettingsError
from ledger_crm.workers import projector

from .filling import bar
from .house import FAULTS, Fault, broker, console, explained, load, opened, run, running_address

Flag = Annotated[bool, cyclopts.Parameter(negative="")]


def register(app: cyclopts.App) -> None:
    events = cyclopts.App(name="events", help="Follow the feed; look at an entry.")
    events.command(tail)
    events.command(show)
    projections = cyclopts.App(
        name="projections", help="How level the read models are; rebuild one."
    )
    projections.command(projections_status, name="status")
    projections.command(rebuild)
    feed = cyclopts.App(name="feed", help="How level the feed is; compare or rebuild it.")
    feed.command(feed_status, name="status")
    feed.command(audit)
    feed.command(feed_rebuild, name="rebuild")
    for commands in (events, projections, feed):
        app.command(commands)
    app.command(settings)
    app.command(doctor)


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
    from ledger_crm.workers import feed

    if (after is not None and after < 0) or (limit is not None and limit < 1):
        raise Fault("--after is a position, 0 or more, and --limit a count, 1 or more")
    url = broker(load())

    async def following() -> None:
        nc = await _connected(url)
        try:
            start = max(await feed.position(nc) - 10, 0) if after is None else after
            shown = 0
            async with aclosing(feed.tail(nc, start)) as messages:
                async for message in messages:
                    print(_wire(message.payload, json), flush=True)
                    shown += 1
                    if shown == limit:
                        break
        finally:
            await nc.close()

    run(following)


def show(position: int, *, json: Flag = False) -> None:
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
    with opened(load()) as (ledger, _):
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
            console().print(f"{name:12} {value}", markup=False)
    for name, value in document["event"].items():
        console().print(f"  {name:10} {value}", markup=False)


def projections_status(*, json: Flag = False) -> None:
    """Where each read model stands, and how far behind the newest entry.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    with opened(load()) as (_, url):
        head, found = run(lambda: _standings(url))
    if json:
        _print_json({"head": head, "projections": found})
        return
    table = Table("projection", "version", "position", "behind", "seconds", "halted because")
    for one in found:
        table.add_row(
            one.name,
            str(one.version),
            str(one.position),
            str(one.lag_events),
            f"{one.lag_s:g}",
            one.fault or "",
        )
    console().print(table)
    console().print(f"the ledger's head is at {head}")


def rebuild(name: str) -> None:
    """Build a read model anew from the first entry; until it is level, it is behind.

    Parameters
    ----------
    name:
        As projections status shows it.
    """
    found = {projection.name: projection for projection in every()}
    if name not in found:
        raise Fault(f"there is no projection {name}; there are {', '.join(found)}")
    with opened(load()) as (ledger, url), projector.connect(url) as conn, bar() as drawn:
        task = drawn.add_task(f"rebuilding {name}", total=run(ledger.head))
        started = time.monotonic()
        head = _rebuilt(found[name], ledger, url, conn, lambda at: drawn.update(task, completed=at))
    console().print(f"{name} is level at {head}, after {time.monotonic() - started:.1f} s")


def feed_status(*, json: Flag = False) -> None:
    """Where the feed stands, and how far behind the newest entry.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    from ledger_crm.workers import feed

    async def looked() -> dict[str, Any]:
        nc = await _connected(url)
        try:
            at, head = await feed.position(nc), await ledger.head()
            return {"head": head, "position": at, "lag_events": max(head - at, 0)}
        finally:
            await nc.close()

    chosen = load()
    url = broker(chosen)
    with opened(chosen) as (ledger, _):
        found = run(looked)
    if json:
        _print_json(found)
    else:
        console().print(
            f"the feed is at {found['position']}, {found['lag_events']} behind the ledger"
        )


def audit() -> None:
    """Compare the feed with the ledger, message by message: exit code 1 if they differ."""
    from ledger_crm.workers import feed

    async def compared() -> Any:
        nc = await _connected(url)
        try:
            return await feed.audit(nc, ledger.rows)
        finally:
            await nc.close()

    chosen = load()
    url = broker(chosen)
    with opened(chosen) as (ledger, _):
        difference = run(compared)
    if difference is not None:
        console().print(f"the feed differs: {difference}", markup=False)
        console().print("build it anew from the ledger with: ledger-crm feed rebuild")
        sys.exit(1)
    console().print("the feed is exactly the ledger")


def feed_rebuild() -> None:
    """Delete the stream and publish the ledger from its first entry."""
    from ledger_crm.workers import relay

    async def rebuilt() -> int:
        nc = await _connected(url)
        with bar() as drawn:
            task = drawn.add_task("publishing", total=await ledger.head())
            try:
                return await relay.rebuild(
                    nc, ledger.rows, progress=lambda at: drawn.update(task, completed=at)
                )
            finally:
                await nc.close()

    chosen = load()
    url = broker(chosen)
    with opened(chosen) as (ledger, _):
        at = run(rebuilt)
    console().print(f"the feed is at {at}")


def settings(*, json: Flag = False) -> None:
    """Print what is in force and where it comes from; secrets are masked.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    lines = configuration.describe(load())
    if json:
        _print_json([line._asdict() for line in lines])
        return
    table = Table("variable", "value", "from", "what it is")
    for line in lines:
        table.add_row(*(str(part) for part in line))
    console().print(table)


def doctor(*, json: Flag = False) -> None:
    """Check the set-up and say what to do; exit code 1 if something is wrong.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    found = list(_checks())
    if json:
        _print_json([{"check": n, "ok": ok, "says": says} for n, ok, says in found])
    else:
        for name, ok, says in found:
            console().print(f"{'ok  ' if ok else 'FAIL'}  {name:12} {says}", markup=False)
    if not all(ok for _, ok, _ in found):
        sys.exit(1)


def _checks() -> Iterator[tuple[str, bool, str]]:
    """Name, whether it is as it should be, and what it is or what to do."""
    yield "software", True, f"ledger-crm {version('ledger-crm')}, Python {sys.version.split()[0]}"
    try:
        chosen = load()
    except SettingsError as fault:
        yield "settings", False, str(fault)
        return
    yield "settings", True, f"{len(chosen.given)} from the environment; see: ledger-crm settings"
    yield _folder(chosen.home)
    embedded = chosen.database_url is None
    if embedded and not running_address(chosen.home / "postgres"):
        yield "running", True, "nothing runs on this folder; start it with: ledger-crm up"
    try:
        with opened(chosen) as (ledger, url):
            head = run(ledger.head)
            yield "database", True, f"answers; schema and sealing key fit; head at {head}"
            behind = run(lambda: _standings(url))[1]
    except (psycopg.OperationalError, Unavailable):
        if chosen.database_url:
            where = f"{configuration.masked(chosen.database_url)}; is LEDGER_DATABASE_URL right?"
        else:
            where = f"the embedded one; see {chosen.home / 'postgres' / 'postgres.log'}"
        yield "database", False, f"no answer from {where}"
        return
    except FAULTS as fault:
        yield "database", False, explained(fault)
        return
    except OSError as fault:
        yield "database", False, f"{type(fault).__name__}: {fault.strerror or 'no answer'}"
        return
    for one in behind:
        if one.fault:
            says = f"halted at {one.position}: {one.fault}"
        elif one.lag_events:
            says = f"{one.lag_events} entries behind; a projector must run: ledger-crm up"
        else:
            says = "level"
        yield one.name, one.fault is None and (one.lag_s < 60 or one.lag_events == 0), says
    yield _feed(chosen, head)


def _folder(home: Path) -> tuple[str, bool, str]:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return "folder", free > 500_000_000, f"{home}, {free / 1e9:.1f} GB free on its disk"


def _feed(chosen: Settings, head: int) -> tuple[str, bool, str]:
    from ledger_crm.workers import feed

    async def looked() -> int:
        nc = await _connected(url)
        try:
            return await feed.position(nc)
        finally:
            await nc.close()

    try:
        url = broker(chosen)
        at = run(looked)
    except Fault as fault:
        idle = chosen.nats_url is None and not running_address(chosen.home / "postgres")
        return "feed", idle, str(fault)
    return "feed", True, f"at {at}, {max(head - at, 0)} behind the ledger"


async def _connected(url: str) -> Any:
    """Raises Fault if no broker answers."""
    import nats.errors

    from ledger_crm.workers import feed

    try:
        return await feed.connect(url, name="cli", reconnect=False)
    except (nats.errors.Error, OSError):
        raise Fault("the broker does not answer; see: ledger-crm doctor") from None


async def _standings(url: str) -> tuple[int, list[Standing]]:
    async with (
        await psycopg.AsyncConnection.connect(url, options=f"-c search_path={SCHEMA}") as conn,
        conn.cursor() as cur,
    ):
        return await standings(cur, every())


def _rebuilt(
    projection: Projection,
    ledger: Ledger,
    url: str,
    conn: projector.Connection,
    progress: Callable[[int], None],
) -> int:
    """By ourselves if nobody leads it; else by whoever does. The position reached."""
    if projector.try_to_lead(conn, projection.name):
        driver = projector.Driver(
            projection, lambda after, limit: ledger.store.entries(after=after, limit=limit), conn
        )
        driver.rebuild()
        return driver.catch_up(progress=progress)
    head = run(ledger.head)
    projector.ask_to_rebuild(conn, projection.name)
    while True:
        _, [now] = run(lambda: _one(url, projection))
        progress(now.position)
        if now.fault:
            raise Fault(f"{projection.name} halted at {now.position}: {now.fault}")
        if now.position >= head:
            return now.position
        time.sleep(0.1)


async def _one(url: str, projection: Projection) -> tuple[int, list[Standing]]:
    head, found = await _standings(url)
    return head, [one for one in found if one.name == projection.name]


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
        return payload.decode()
    said = msgspec.json.decode(payload)
    facts = " ".join(f"{k}={v}" for k, v in said["data"].items() if k != "kind")
    return f"{said['id']:>8}  {said['time'][:19]}  {said['type']:28} {said['subject']}  {facts}"


def _print_json(found: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
