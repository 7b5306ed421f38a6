"""The house that a command works in: settings, servers, the ledger.

External servers are taken as they are. Embedded ones are found where ``up`` runs them; if it does
not, a command that needs the database starts it for as long as it takes. What only looks makes
nothing: no cluster, no schema, no key (``looked_at``).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, Self, TypeVar, cast

import cyclopts
import psycopg

from ledger_crm import embedded, settings
from ledger_crm.analysis import AnalysisFault
from ledger_crm.commands.mapping import ImportFault
from ledger_crm.domain.refusals import Refusal
from ledger_crm.embedded import EmbeddedError, Postgres
from ledger_crm.ledger import DiskIsFull, Ledger, Unavailable, Undecodable, install
from ledger_crm.sealing import Keyring, WrongKey
from ledger_crm.settings import Settings, SettingsError
from ledger_crm.storage import StorageFault
from ledger_crm.store import Lost, NotDurable
from ledger_crm.tracing import NotSetUp

if TYPE_CHECKING:
    from nats.aio.client import Client
    from rich.console import Console
    from rich.progress import TaskID

T = TypeVar("T")

APP_ROLE = "ledger_app"
OWNER_ROLE = "ledger_owner"  # of the embedded cluster


Processes = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=1, lte=64))]

BROKER_S = 5.0  # to connect; each address of several may take two


class Fault(Exception):
    """One line: what is wrong and what to do."""


class Empty(Fault):
    """There is no ledger yet."""


class Interrupted(Fault):
    """By Ctrl-C."""


# What was typed or set, or a server that is named there: exit code 2.
_INPUT = (
    Fault,
    AnalysisFault,
    SettingsError,
    NotSetUp,
    NotDurable,
    EmbeddedError,
    ImportFault,
    Refusal,
    Unavailable,
    Undecodable,
    WrongKey,
    psycopg.Error,
)


def told(fault: Exception) -> tuple[int, str] | None:
    """Exit code, and one line for people; None: a fault of ours, which wants its traceback.

    A database's own words may hold what was typed: only its kind is told.
    """
    if isinstance(fault, Empty):
        return 1, str(fault)
    if isinstance(fault, Interrupted):
        return 130, str(fault)
    if isinstance(fault, _INPUT):
        return 2, explained(fault)
    if isinstance(fault.__cause__, psycopg.Error):  # as the event store's library passes them on
        return 1, explained(fault.__cause__)
    if isinstance(fault, OSError):
        where = f"{fault.filename}: " if fault.filename else ""
        return 1, f"{where}{fault.strerror or type(fault).__name__}"
    if isinstance(fault, StorageFault):
        return 2, explained(fault)
    archives = sys.modules.get("ledger_crm.archive")  # loaded by the commands that need it
    if archives and isinstance(fault, archives.ArchiveFault):
        return 2, explained(fault)
    read_models = sys.modules.get("ledger_crm.projections")  # likewise
    if read_models and isinstance(fault, read_models.NoProjection):
        return 2, explained(fault)
    if "nats" not in sys.modules:  # 0.2 s to import, and then none of these was raised
        return None
    import nats.errors

    from ledger_crm.workers.feed import Halted
    from ledger_crm.workers.relay import Refused

    if isinstance(fault, Halted | Refused):
        return 1, " ".join(str(fault).split())
    if isinstance(fault, nats.errors.Error):
        return 1, f"the broker does not answer ({type(fault).__name__}); see: ledger-crm doctor"
    return None


def explained(fault: BaseException) -> str:
    """One line for people."""
    if isinstance(fault, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        return f"the database has no schema of ours, or an older one: {_MIGRATE}"
    if isinstance(fault, psycopg.errors.InsufficientPrivilege):
        return (
            "the database refused: its role may not do this; set LEDGER_DATABASE_OWNER_URL to one"
            " that owns the database, and: ledger-crm migrate"
        )
    if isinstance(fault, psycopg.errors.DiskFull | DiskIsFull):
        return "the database's disk is full: make room there, and try again"
    if isinstance(fault, psycopg.OperationalError):
        return "the database does not answer; see: ledger-crm doctor"
    if isinstance(fault, psycopg.Error):
        return f"the database refused: {type(fault).__name__}; see: ledger-crm doctor"
    if isinstance(fault, Unavailable):
        return "the database does not answer; try again, or see: ledger-crm doctor"
    if isinstance(fault, WrongKey):
        return f"{fault}: restore LEDGER_SEALING_KEY, or sealing.key in LEDGER_HOME, from a backup"
    return " ".join(str(fault).split())


_MIGRATE = "run ledger-crm up, or ledger-crm migrate as its owner"


def plain(text: str) -> str:
    """What others wrote must not steer the terminal: what cannot be printed is shown escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Nothing is cut: what does not fit the terminal goes on in its next line."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        console().print(plain("  ".join(cells)).rstrip(), markup=False)


def load() -> Settings:
    """Raises SettingsError."""
    return settings.load(os.environ)


class Drawn(Protocol):
    """What is told of work that takes long, by whatever tells it."""

    def add_task(self, description: str, /, *, total: float | None) -> TaskID: ...

    def update(self, task: TaskID, /, *, completed: float, total: float | None = None) -> None: ...


class Told:
    """Progress where there is no terminal: a plain line now and then of what takes long."""

    EVERY_S = 5.0

    def __init__(self) -> None:
        self._tasks: list[tuple[str, float | None]] = []
        self._began: dict[TaskID, tuple[float, float]] = {}  # how far it was when, s
        self._next_s = time.monotonic() + self.EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add_task(self, description: str, /, *, total: float | None) -> TaskID:
        self._tasks.append((description, total))
        return cast("TaskID", len(self._tasks) - 1)

    def update(self, task: TaskID, /, *, completed: float, total: float | None = None) -> None:
        now_s = time.monotonic()
        began, since_s = self._began.setdefault(task, (completed, now_s))
        if completed < began:  # it began anew
            self._began[task] = began, since_s = completed, now_s
        if now_s < self._next_s:
            return
        self._next_s = now_s + self.EVERY_S
        description, known = self._tasks[task]
        of = total or known
        share = f"{100 * completed / of:.0f} %" if of else f"{completed:,.0f}"
        line = [description, share]
        if of and completed > began:
            line.append(pace(max(of - completed, 0), (completed - began) / (now_s - since_s)))
        print(", ".join(line), file=sys.stderr, flush=True)


def pace(left: float, per_s: float) -> str:
    """How fast it moves, and how long it will still take if it goes on so."""
    left_s = round(left / per_s)
    if left_s < 60:
        says = f"{left_s} s"
    elif left_s < 3600:
        says = f"{left_s // 60} min {left_s % 60} s"
    else:
        says = f"{left_s // 3600} h {left_s % 3600 // 60} min"
    return f"{per_s:,.0f} a second, {says} left"


def bar() -> AbstractContextManager[Drawn]:
    """A bar on a terminal, plain lines elsewhere."""
    if not progress_wanted():
        return Told()
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
        console=console(to_stderr=True),
        transient=True,
    )


def console(*, to_stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=to_stderr, highlight=False, soft_wrap=True)


def progress_wanted() -> bool:
    return sys.stderr.isatty()


def app_url(owner_url: str) -> str:
    """The embedded database, as the application's role."""
    return owner_url.replace(f"//{OWNER_ROLE}@", f"//{APP_ROLE}@", 1)


def prepare(owner_url: str, *, embedded_server: bool) -> list[str]:
    """The schema up to date; in the embedded cluster the application's role too."""
    if embedded_server:
        with psycopg.connect(owner_url, autocommit=True) as conn:
            conn.execute(
                "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app')"
                " THEN CREATE ROLE ledger_app LOGIN; END IF; END $$"
            )
    try:
        return install(owner_url)
    except RuntimeError as fault:
        raise Fault(str(fault)) from None


@contextmanager
def database(chosen: Settings) -> Iterator[str]:
    """The url of the application's database, its schema up to date. Raises EmbeddedError."""
    if chosen.database_url:
        prepare(chosen.owner_url or chosen.database_url, embedded_server=False)
        yield chosen.database_url
    elif running := running_address(chosen.home / "postgres"):
        yield app_url(running)
    else:
        with Postgres(chosen.home / "postgres", chosen.postgres_bin) as server:
            prepare(server.url, embedded_server=True)
            yield app_url(server.url)


@contextmanager
def looked_at(chosen: Settings) -> Iterator[str]:
    """As ``database``, and makes nothing. Raises Empty."""
    embedded_folder = chosen.home / "postgres"
    if chosen.database_url:
        url = chosen.database_url
        _must_be_ours(url)
        yield url
    elif running := running_address(embedded_folder):
        url = app_url(running)
        _must_be_ours(url)
        yield url
    elif embedded.is_empty(embedded_folder):
        raise Empty(f"empty: there is no ledger in {chosen.home}; run ledger-crm up")
    else:
        with Postgres(embedded_folder, chosen.postgres_bin) as server:
            _must_be_ours(server.url)
            yield app_url(server.url)


def _must_be_ours(url: str) -> None:
    """Raises Empty; Fault if the schema is of another version of this software."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as conn:
        there = conn.execute("SELECT to_regclass('public.ledger_crm_schema') IS NOT NULL")
        if there.fetchone() != (True,):
            raise Empty(f"empty: the database has no ledger; {_MIGRATE}")
        rows = conn.execute("SELECT name FROM public.ledger_crm_schema").fetchall()
    applied = {name for (name,) in rows}
    ours = {script.name for script in files("ledger_crm").joinpath("schema").iterdir()}
    if missing := sorted(ours - applied):
        raise Fault(f"the database's schema lacks {', '.join(missing)}: {_MIGRATE}")
    if newer := sorted(applied - ours):
        raise Fault(f"the database is newer than this software: {', '.join(newer)}")


def running_address(folder: Path) -> str:
    """Of the embedded server on this folder; "": none runs."""
    found = embedded.holder(folder)
    return found.address if found else ""


def broker(chosen: Settings) -> str:
    """Raises Fault when there is none."""
    url = chosen.nats_url or running_address(chosen.home / "nats")
    if not url:
        raise Fault("no broker runs here: start it with ledger-crm up, or set LEDGER_NATS_URL")
    return url


@asynccontextmanager
async def connected(chosen: Settings) -> AsyncIterator[Client]:
    """To the broker, wherever it is now. Raises Fault if it does not answer, or has no JetStream
    when it is first asked."""
    import asyncio

    import nats.errors
    from nats.js.errors import ServiceUnavailableError

    from ledger_crm.workers import feed

    url = broker(chosen)
    if chosen.nats_url:
        where, hint = settings.masked(url), "is LEDGER_NATS_URL right?"
    else:
        where, hint = "the embedded broker", f"see {chosen.home / 'nats' / 'nats-server.log'}"

    try:
        async with asyncio.timeout(BROKER_S):
            nc = await feed.connect(url, name="cli", reconnect=False)
    except nats.errors.AuthorizationError:
        raise Fault(f"{where} does not let us in; {hint}") from None
    except (nats.errors.Error, OSError, ValueError):
        raise Fault(f"no answer from {where}; {hint}") from None
    try:
        try:
            await feed.position(nc)
        except ServiceUnavailableError:
            raise Fault(
                f"{where} has no JetStream: start nats-server with it (-js, or deploy/nats.conf)"
            ) from None
        except nats.errors.Error as fault:
            raise Fault(f"no answer from {where} ({type(fault).__name__}); {hint}") from None
        yield nc
    finally:
        with suppress(nats.errors.Error, OSError):
            async with asyncio.timeout(1):
                await nc.close()


@contextmanager
def opened(chosen: Settings, *, to_look: bool = False) -> Iterator[tuple[Ledger, str]]:
    """The ledger, and the url of its database. Raises as ``database``, or as ``looked_at`` if
    nothing is to be made; WrongKey, NotDurable."""
    with looked_at(chosen) if to_look else database(chosen) as url:
        file = chosen.home / "sealing.key"
        if to_look and chosen.sealing_key is None and not file.exists():
            raise Fault(f"{file} is not there: restore it from a backup, or set LEDGER_SEALING_KEY")
        with ledger_at(url, chosen) as ledger:
            yield ledger, url


@contextmanager
def ledger_at(url: str, chosen: Settings) -> Iterator[Ledger]:
    """Raises Unavailable, WrongKey, NotDurable."""
    keyring = Keyring(settings.sealing_key(chosen))
    with ExitStack() as stack:
        try:
            ledger = stack.enter_context(Ledger(url, keyring))
            ledger.store.check_key()
            ledger.store.check_durable()
        except Lost:
            raise Unavailable() from None
        yield ledger


def run(work: Callable[[], Awaitable[T]]) -> T:
    import asyncio

    async def running() -> T:
        return await work()

    return asyncio.run(running())
