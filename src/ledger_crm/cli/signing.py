"""``consultant``: who of us may sign in."""

from __future__ import annotations

import sys
from typing import Annotated

import cyclopts

from ledger_crm.commands import signing_in
from ledger_crm.domain.login import LONGEST, LoginClosed, LoginEvents, LoginOpened, PasswordSet
from ledger_crm.domain.role import Permission, Role
from ledger_crm.ledger import Ledger

from .house import Fault, console, load, opened, print_columns, run, running_address

consultant = cyclopts.App(name="consultant", help="Say who of us may sign in, and as what.")

Who = Annotated[str, cyclopts.Parameter(help="A consultant, like ana or consultant:ana.")]
As = Annotated[
    Role | None,
    cyclopts.Parameter(help="What they may; as before, or consultant if there was no before."),
]
Besides = Annotated[
    tuple[Permission, ...] | None,
    cyclopts.Parameter(negative="", help="A permission besides; several by --scope again."),
]
Mail = Annotated[
    str | None, cyclopts.Parameter(help="Whom an identity provider (OIDC) knows them as.")
]


@consultant.command
def password(who: Who, /, *, role: As = None, scope: Besides = None, email: Mail = None) -> None:
    """Set a password, and let them sign in with it. It is asked for, or read from the first line of
    standard input; never given as a word of the command, which others on this machine see."""
    actor, chosen = _actor(who), _asked()
    with opened(load()) as (ledger, _):
        run(
            lambda: signing_in.set_password(
                ledger, actor, chosen, role=role, scopes=scope, email=email
            )
        )
    console().print(f"{actor} may sign in with it; wherever they were, they are signed out")


@consultant.command
def invite(who: Who, /, *, role: As = None, scope: Besides = None, email: Mail = None) -> None:
    """Let somebody set their own password, by a link that opens once, within seven days."""
    actor, settings = _actor(who), load()
    with opened(settings) as (ledger, _):
        text = run(lambda: signing_in.invite(ledger, actor, role=role, scopes=scope, email=email))
    url = settings.public_url or running_address(settings.home) or settings.url
    console().print(f"{url}/invitation#{text}\nThis is the only time it is shown.")


@consultant.command
def close(who: Who, /) -> None:
    """Let somebody sign in no more; wherever they are, they are signed out within a second. Their
    keys are revoked apart."""
    actor = _actor(who)
    with opened(load()) as (ledger, _):
        run(lambda: signing_in.close_login(ledger, actor))
    console().print(f"{actor} may not sign in any more")


@consultant.command(name="list")
def list_() -> None:
    """List who may sign in: as what, and since when they have their password."""
    with opened(load()) as (ledger, _):
        rows = run(lambda: _all(ledger))
    print_columns([("consultant", "may", "password"), *rows])


async def _all(ledger: Ledger) -> list[tuple[str, str, str]]:
    """From the ledger itself, as ``keys._all``."""
    found: dict[object, tuple[str, str, str]] = {}
    for entry in await ledger.of_kinds(*LoginEvents.__args__):
        id, event = entry.originator_id, entry.event
        match event:
            case LoginOpened(consultant=consultant, role=role, scopes=scopes):
                may = ", ".join([role, *scopes])
                found[id] = (consultant, may, found.get(id, ("", "", "none yet"))[2])
            case PasswordSet():
                found[id] = (*found[id][:2], f"{entry.timestamp:%Y-%m-%d %H:%M}")
            case LoginClosed():
                found.pop(id)
    return sorted(found.values())


def _actor(who: str) -> str:
    return who if ":" in who else f"consultant:{who}"


def _asked() -> str:
    """Raises Fault."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(LONGEST + 2).rstrip("\r\n")
    from getpass import getpass

    chosen = getpass("Password: ")
    if getpass("Again: ") != chosen:
        raise Fault("these are two different passwords; nothing was changed")
    return chosen
