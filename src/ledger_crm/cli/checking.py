"""``doctor``: what is wrong with the set-up and what to do about it. It makes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Literal, NamedTuple

import cyclopts
import msgspec
import psycopg

from ledger_crm import settings as configuration
from ledger_crm.embedded import EmbeddedError, Nats, Postgres
from ledger_crm.projections import (
    NEXT,
    NOT_BUILT,
    SCHEMA,
    NoProjection,
    Standing,
    every,
    standings,
    webhooks,
    written_each,
)
from ledger_crm.projections.webhooks import Backlog
from ledger_crm.sealing import Keyring
from ledger_crm.settings import Settings, SettingsError
from ledger_crm.storage import StorageFault, storage_at
from ledger_crm.workers.beside import IS_LED, row_of, with_parts

from .house import connected, console, load, looked_at, pace, plain, run, running_address, told

BEHIND_S = 10.0  # as old may be what is not projected yet, if nothing moves
UNTRIED_S = 60.0  # as long may something be due to a webhook: an attempt takes 15 s
WATCHED_S = 1.5  # so long we look whether it moves
MOVES = 4  # so many are enough to say how fast
SPACE_BYTES = 500_000_000

State = Literal["ok", "warn", "FAIL"]


class Check(NamedTuple):
    name: str
    state: State
    says: str


def doctor(*, json: Annotated[bool, cyclopts.Parameter(negative="")] = False) -> None:
    """Check the set-up and say what to do; exit code 1 if something is wrong.

    Parameters
    ----------
    json:
        Print it as JSON.
    """
    found = list(_checks())
    if json:
        document = [
            {"check": one.name, "ok": one.state != "FAIL", "state": one.state, "says": one.says}
            for one in found
        ]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")
    else:
        for one in found:
            console().print(f"{one.state:4}  {one.name:12} {plain(one.says)}", markup=False)
    if any(one.state == "FAIL" for one in found):
        sys.exit(1)


def entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def wrong_with(
    one: Standing, *, per_s: float | None, idle: bool = False, runs: bool = False
) -> tuple[bool, str]:
    """Whether something is, with a read model, and how it stands. ``per_s``: None, it does not
    move; ``runs``: somebody leads one at least."""
    if one.fault:
        return True, f"halted at {one.position}: {one.fault}"
    if not one.lag_events:
        return False, "level"
    behind = f"{entries(one.lag_events)} behind"
    if idle:
        return False, f"{behind}; it catches up when ledger-crm up runs"
    if per_s is not None or one.lag_s <= BEHIND_S:
        how = f": {pace(one.lag_events, per_s)}" if per_s else ""
        return False, f"{behind}, {one.lag_s:.1f} s, catching up{how}"
    halts = "; a projector must run: ledger-crm up, or ledger-crm worker projector"
    if runs:
        halts = ", though a projector runs: its log says what it waits for"
    return True, f"{behind} for {one.lag_s:.0f} s, and does not move{halts}"


def wrong_with_feed(at: int, head: int, *, moves: bool) -> tuple[bool, str]:
    """As ``wrong_with``."""
    if at > head:
        return True, (
            f"at {at}, beyond the ledger's head at {head}: it is the stream of another ledger, or"
            " this ledger was restored from an older backup; check LEDGER_DATABASE_URL and"
            " LEDGER_NATS_URL, and if they are right: ledger-crm feed rebuild"
        )
    if at == head:
        return False, f"at {at}, level"
    behind = f"at {at}, {entries(head - at)} behind the ledger"
    if moves:
        return False, f"{behind}, catching up"
    return True, (
        f"{behind}, and does not move; a relay must run: ledger-crm up, or ledger-crm worker relay;"
        " if one does, its log says what it waits for"
    )


def wrong_with_webhooks(found: list[Backlog], *, idle: bool) -> Check:
    """That a receiver fails is not ours."""
    untried = [each for each in found if each.untried_s > UNTRIED_S]
    if untried and not idle:
        longest_s = max(each.untried_s for each in untried)
        return Check(
            "sending", "FAIL",
            f"nothing was tried for {longest_s:.0f} s of what is due to"
            f" {', '.join(each.id for each in untried)}; a sender must run: ledger-crm up, or"
            " ledger-crm worker webhooks; if one does, its log says what it waits for",
        )  # fmt: skip
    if off := [each.id for each in found if each.disabled]:
        return Check("sending", "warn", f"disabled, and sent nothing: {', '.join(off)}")
    return Check("sending", "ok", "what is due to webhooks is sent")


@asynccontextmanager
async def _cursor(url: str) -> AsyncIterator[psycopg.AsyncCursor[Any]]:
    async with (
        await psycopg.AsyncConnection.connect(
            url, options=f"-c search_path={SCHEMA}", connect_timeout=5, autocommit=True
        ) as conn,
        conn.cursor() as cur,
    ):
        yield cur


async def standings_at(url: str) -> tuple[int, list[Standing]]:
    async with _cursor(url) as cur:
        return await standings(cur, every())


async def backlogs_at(url: str, head: int) -> list[Backlog]:
    async with _cursor(url) as cur:
        return await webhooks.backlogs(cur, head, written_each)


async def watched(url: str) -> tuple[int, list[Standing], dict[str, float], bool]:
    """The head, how the read models stand, of those that are late or built beside how many
    entries a second they get on (0: it has just begun anew, or waits for indexes that are made), by
    what their positions are kept under, and whether a projector runs. Who does not move is
    missing."""
    async with _cursor(url) as cur:
        head, found = await standings(cur, every())
        began = await _positions(cur)
        late = {one.name for one in found if one.lag_s > BEHIND_S and not one.fault}
        late |= {row_of(NEXT, one.name) for one in found} & began.keys()
        moves = {name: [(monotonic(), began.get(name, 0))] for name in late}
        anew, indexed = set[str](), set[str]()

        async def all_moved() -> bool:
            now = await _positions(cur)
            indexed.update(await _indexed(cur))
            for name, seen in moves.items():
                at = now.get(name, 0)
                if at < seen[-1][1]:
                    anew.add(name)
                    seen.clear()
                if not seen or at > seen[-1][1]:
                    seen.append((monotonic(), at))
            return all(len(seen) > MOVES for seen in moves.values())

        if late:
            await _within(all_moved, bool)
        led = {one.name for one in found} & await _led(cur)
    if indexed & led:  # they are made for one after the other, and then all get on
        anew |= late & led
    paces = {name: _per_s(seen) for name, seen in moves.items() if len(seen) > 1}
    return head, found, dict.fromkeys(anew, 0.0) | paces, bool(led)


async def _positions(cur: psycopg.AsyncCursor[Any]) -> dict[str, int]:
    try:
        await cur.execute("SELECT name, position FROM projection_position")
    except psycopg.errors.UndefinedTable:
        return {}
    return with_parts(dict(await cur.fetchall()))


async def _led(cur: psycopg.AsyncCursor[Any]) -> set[str]:
    try:
        await cur.execute(f"SELECT name FROM projection_position WHERE {IS_LED}")
    except NOT_BUILT:
        return set()
    return {name for (name,) in await cur.fetchall()}


async def _indexed(cur: psycopg.AsyncCursor[Any]) -> set[str]:
    """Of which the indexes are being made, by what their positions are kept under."""
    try:
        await cur.execute(
            "SELECT name FROM projection_position WHERE NOT indexed AND relations && ARRAY("
            "SELECT relname::text FROM pg_stat_progress_create_index p JOIN pg_class c"
            " ON c.oid = p.relid WHERE p.datname = current_database())"
        )
    except NOT_BUILT:
        return set()
    return {name for (name,) in await cur.fetchall()}


def _per_s(seen: list[tuple[float, int]]) -> float:
    """From one move to another, if there were several: when the first one began is not known."""
    (since_s, began), (until_s, ended) = seen[1 if len(seen) > 2 else 0], seen[-1]
    return (ended - began) / (until_s - since_s)


async def feed_watched(position: Callable[[], Awaitable[int]], head: int) -> tuple[int, bool]:
    """Where the feed is, and whether it moves, if it is behind."""
    at = now = await position()
    if at < head:
        now = await _within(position, lambda now: now > at)
    return (at, True) if at < now < head else (now, False)


async def _within(ask: Callable[[], Awaitable[Any]], enough: Callable[[Any], bool]) -> Any:
    until = monotonic() + WATCHED_S
    # Another process moves: no event of ours tells.
    while not enough(answer := await ask()) and monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return answer


def _checks() -> Iterator[Check]:
    python = sys.version.split()[0]
    yield Check("software", "ok", f"ledger-crm {version('ledger-crm')}, Python {python}")
    try:
        chosen = load()
    except SettingsError as fault:
        yield Check("settings", "FAIL", str(fault))
        return
    given = len(chosen.given)
    yield Check("settings", "ok", f"{given} from the environment; see: ledger-crm settings")
    yield _folder(chosen.home)
    if chosen.documents:  # else they are in that folder
        yield _documents(chosen.documents)
    yield from _programs(chosen)
    idle = not (chosen.database_url or running_address(chosen.home / "postgres"))
    if idle:
        yield Check("running", "ok", "nothing runs on this folder; start it with: ledger-crm up")
    try:
        with looked_at(chosen) as url:
            with psycopg.connect(url, autocommit=True, connect_timeout=5) as conn:
                head = _head(conn)
                yield Check("database", "ok", f"answers; its schema fits; head at {head}")
                yield _sealing_key(conn, chosen)
                yield _ledger(conn)
                if chosen.database_url:
                    yield _role(conn)
                if (archiver := archiver_of(conn)).on:
                    yield wrong_with_archiving(archiver)
            head, found, paces, runs = run(lambda: watched(url))
            for one in found:
                wrong, says = wrong_with(one, per_s=paces.get(one.name), idle=idle, runs=runs)
                yield Check(one.name, "FAIL" if wrong else "ok", says)
            if behind := run(lambda: backlogs_at(url, head)):
                yield wrong_with_webhooks(behind, idle=idle)
    except NoProjection as fault:
        yield Check("read models", "FAIL", str(fault))
    except psycopg.OperationalError:
        if chosen.database_url:
            where = f"{configuration.masked(chosen.database_url)}; is LEDGER_DATABASE_URL right?"
        else:
            where = f"the embedded one; see {chosen.home / 'postgres' / 'postgres.log'}"
        yield Check("database", "FAIL", f"no answer from {where}")
        return
    except Exception as fault:
        if (code_and_line := told(fault)) is None:
            raise
        yield Check("database", "FAIL", code_and_line[1])
        return
    yield _feed(chosen, head, idle=idle)


def _whose(folder: Path) -> str:
    """And what to do about it."""
    owner, us = folder.stat().st_uid, os.geteuid()
    if owner == us:
        return f"{folder} is yours, and not to be written to: chmod u+rwx it"
    return f"{folder} belongs to user {owner}, and you are {us}. Set LEDGER_HOME to another"


def _folder(home: Path) -> Check:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    says = f"{home}, {free / 1e9:.1f} GB free on its disk"
    if free < SPACE_BYTES:
        return Check("folder", "FAIL", f"{says}: free some")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return Check("folder", "FAIL", f"{says}; no permission: {_whose(there)}")
    return Check("folder", "ok", says)


def _documents(place: str) -> Check:
    try:
        storage_at(place).shelves()
    except (StorageFault, OSError) as fault:
        code_and_line = told(fault)
        return Check("documents", "FAIL", code_and_line[1] if code_and_line else str(fault))
    return Check("documents", "ok", f"{place} answers")


def _programs(chosen: Settings) -> Iterator[Check]:
    """Of the servers that are embedded: ``up`` would refuse to start without them."""
    servers = [] if chosen.database_url else [Postgres(chosen.home, chosen.postgres_bin)]
    brokers = [] if chosen.nats_url else [Nats(chosen.home, chosen.nats_bin)]
    for server in (*servers, *brokers):
        try:
            yield Check(server.name, "ok", f"embedded: {server.where()}")
        except EmbeddedError as fault:
            yield Check(server.name, "FAIL", str(fault))


def _sealing_key(conn: psycopg.Connection[Any], chosen: Settings) -> Check:
    file = chosen.home / "sealing.key"
    restore = (
        f"restore {'LEDGER_SEALING_KEY' if chosen.sealing_key else file} from your backup; without"
        " it no name and no message can be read"
    )
    kept = conn.execute("SELECT key_check FROM ledger.deployment").fetchone()
    if chosen.sealing_key is None and not file.exists():
        if kept is None:
            return Check("sealing key", "ok", f"none yet; it is made as {file}")
        return Check("sealing key", "FAIL", f"{file} is not there: {restore}")
    try:
        keyring = Keyring(configuration.sealing_key(chosen))
    except SettingsError as fault:
        return Check("sealing key", "FAIL", str(fault))
    if kept and bytes(kept[0]) != keyring.hash_of("deployment", "check"):
        says = f"it is not the one that this database was sealed with: {restore}"
        return Check("sealing key", "FAIL", says)
    return Check("sealing key", "ok", "it is the one that this database was sealed with")


def _head(conn: psycopg.Connection[Any]) -> int:
    [(head,)] = conn.execute("SELECT position FROM ledger.head").fetchall()
    return int(head)


def _ledger(conn: psycopg.Connection[Any]) -> Check:
    """Cheap: the two ends by index, and what guards all between. Each entry: feed audit."""
    off = conn.execute(
        "SELECT tgname || ' on ' || tgrelid::regclass FROM pg_trigger"
        " WHERE NOT tgisinternal AND tgenabled NOT IN ('O', 'A') AND tgrelid IN"
        "   (SELECT oid FROM pg_class WHERE relnamespace = 'ledger'::regnamespace)"
        " UNION ALL SELECT name || ' on ledger.entries' FROM unnest(%s::text[]) AS name"
        "   WHERE NOT EXISTS (SELECT FROM pg_trigger"
        "     WHERE tgrelid = 'ledger.entries'::regclass AND tgname = name)",
        (["append_only", "dense_positions"],),
    ).fetchall()
    if off:
        names = ", ".join(name for (name,) in off)
        return Check(
            "ledger",
            "FAIL",
            f"switched off: {names}; entries may have been changed since. Find out who did, compare"
            " with your backup, and run as the owner: ALTER TABLE ... ENABLE TRIGGER ...",
        )
    [(first, last, now)] = conn.execute(
        "SELECT coalesce(min(notification_id), 0), coalesce(max(notification_id), 0),"
        " (SELECT position FROM ledger.head) FROM ledger.entries"
    ).fetchall()
    if last != now or first != min(now, 1):
        return Check(
            "ledger",
            "FAIL",
            f"its head is at {now}, and its entries go from {first} to {last}: some are missing;"
            " restore it from your backup",
        )
    return Check("ledger", "ok", f"its guards are on; entries go to {last}" if now else "empty yet")


def _role(conn: psycopg.Connection[Any]) -> Check:
    [(role, superuser, owner)] = conn.execute(
        "SELECT rolname, rolsuper, pg_has_role(rolname, relowner, 'MEMBER')"
        " FROM pg_roles, pg_class"
        " WHERE rolname = current_user AND pg_class.oid = 'ledger.entries'::regclass"
    ).fetchall()
    if superuser or owner:
        what = "is a superuser" if superuser else "owns the ledger's tables"
        return Check(
            "role",
            "warn",
            f"{role} of LEDGER_DATABASE_URL {what}, and so could switch off what refuses changes:"
            " let the workers be ledger_app; deploy/roles.sql makes it",
        )
    return Check("role", "ok", f"{role} adds entries, and can change none")


class Archiver(NamedTuple):
    """Of WAL. ``timeout_s``: 0, a file is archived when it is full."""

    on: bool
    timeout_s: int
    archived_at: datetime | None
    failed_at: datetime | None
    failed: str  # file


def archiver_of(conn: psycopg.Connection[Any]) -> Archiver:
    [row] = conn.execute(
        "SELECT current_setting('archive_mode') <> 'off',"
        " (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'),"
        " last_archived_time, last_failed_time, coalesce(last_failed_wal, '')"
        " FROM pg_stat_archiver"
    ).fetchall()
    return Archiver(*row)


def wrong_with_archiving(one: Archiver) -> Check:
    """Its own log is the only other place that says so, while WAL fills the disk, and a backup goes
    back to nothing."""
    at = f"{one.archived_at:%Y-%m-%d %H:%M:%S%z}" if one.archived_at else ""
    if one.failed_at and (one.archived_at is None or one.failed_at > one.archived_at):
        last = f"the last file that was went at {at}" if at else "none ever was"
        return Check(
            "WAL archive",
            "FAIL",
            f"{one.failed} cannot be archived, and {last}: the server's log says why. Is the folder"
            " of archive_command there, with space, and may the server's user write to it?",
        )
    if not at:
        return Check(
            "WAL archive",
            "warn",
            "archive_mode is on, and nothing has been archived: look again in a minute; then see to"
            " archive_command and archive_timeout, as deploy/README.md says",
        )
    if not one.timeout_s:
        return Check(
            "WAL archive",
            "warn",
            f"the last file went at {at}; what is written since is archived when it has grown to"
            " 16 MB: set archive_timeout = 60, and it is after a minute",
        )
    return Check("WAL archive", "ok", f"the last file went at {at}")


def _feed(chosen: Settings, head: int, *, idle: bool) -> Check:
    from ledger_crm.workers import feed

    async def looked() -> tuple[int, bool]:
        async with connected(chosen) as nc:
            return await feed_watched(lambda: feed.position(nc), head)

    if idle and chosen.nats_url is None:
        return Check("feed", "ok", "its broker starts with: ledger-crm up")
    try:
        at, moves = run(looked)
    except Exception as fault:
        if (code_and_line := told(fault)) is None:
            raise
        return Check("feed", "FAIL", code_and_line[1])
    wrong, says = wrong_with_feed(at, head, moves=moves)
    if wrong and idle and at < head:  # a broker of one's own, and nothing of ours runs
        return Check("feed", "ok", f"at {at}, {entries(head - at)} behind; up publishes them")
    return Check("feed", "FAIL" if wrong else "ok", says)
