"""The house that a command works in: settings, servers, the ledger.

External servers are taken as they are. Embedded ones are found where ``up`` runs them; if it does
not, a command that needs the database starts it for as long as it takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psycopg

from ledger_crm import embedded, settings
from ledger_crm.commands.mapping import ImportFault
from ledger_crm.domain.refusals import Refusal
from ledger_crm.embedded import EmbeddedError, Postgres
from ledger_crm.ledger import Ledger, Unavailable, Undecodable, install
from ledger_crm.sealing import Keyring, WrongKey
from ledger_crm.settings import Settings, SettingsError
from ledger_crm.store import Lost

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

APP_ROLE = "ledger_app"
OWNER_ROLE = "ledger_owner"  # of the embedded cluster


class Fault(Exception):
    """One line: what is wrong and what to do."""


FAULTS = (
    Fault,
    SettingsError,
    EmbeddedError,
    ImportFault,
    Refusal,
    Unavailable,
    Undecodable,
    WrongKey,
    psycopg.Error,
)


def explained(fault: BaseException) -> str:
    """One line for people. A database's own words may hold what was typed: only its kind."""
    if isinstance(fault, psycopg.OperationalError):
        return "the database does not answer; see: ledger-crm doctor"
    if isinstance(fault, psycopg.Error):
        return f"the database refused: {type(fault).__name__}; see: ledger-crm doctor"
    if isinstance(fault, Unavailable):
        return "the database does not answer; try again, or see: ledger-crm doctor"
    return " ".join(str(fault).split())


def load() -> Settings:
    """Raises SettingsError."""
    return settings.load(os.environ)


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


@contextmanager
def opened(chosen: Settings) -> Iterator[tuple[Ledger, str]]:
    """The ledger, and the url of its database. Raises as ``database``; WrongKey."""
    with database(chosen) as url, ledger_at(url, chosen) as ledger:
        yield ledger, url


@contextmanager
def ledger_at(url: str, chosen: Settings) -> Iterator[Ledger]:
    """Raises Unavailable, WrongKey."""
    keyring = Keyring(settings.sealing_key(chosen))
    with ExitStack() as stack:
        try:
            ledger = stack.enter_context(Ledger(url, keyring))
            ledger.store.check_key()
        except Lost:
            raise Unavailable() from None
        yield ledger


def run(work: Callable[[], Awaitable[T]]) -> T:
    import asyncio

    async def running() -> T:
        return await work()

    return asyncio.run(running())
