"""Signing in: logins and their passwords, and what a session may right now."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from ledger_crm.domain.access import Holder
from ledger_crm.domain.entry import Actor
from ledger_crm.domain.login import (
    InvitationIsOver,
    Login,
    LoginOpened,
    invitation_of,
    login_id,
    must_be_strong,
)
from ledger_crm.ledger import Busy, Intent, Ledger, NoSuchRecord, Receipt, Work
from ledger_crm.sessions import Session

from .catalogue import SETUP
from .teams import has_left, must_be_here

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE = 2  # passwords that are looked at: each takes 64 MiB for a twentieth of a second
WAITING = 100  # for that; beyond, nobody more is heard


class Turns:
    def __init__(self) -> None:
        self.free, self.waiting = asyncio.Semaphore(AT_ONCE), 0


_turns: dict[asyncio.AbstractEventLoop, Turns] = {}


async def open_login(
    work: Work,
    consultant: str,
    *,
    role: str | None,
    scopes: Sequence[str] | None = None,
    email: str | None = None,
) -> Login:
    """What is None stays as it is; a new one is a consultant's. Raises as ``Login.begin``, and
    ConsultantHasLeft."""
    await must_be_here(work, [consultant], None)
    if not await work.has(login_id(consultant)):
        return work.add(
            Login.begin(consultant, role or "consultant", scopes or (), email or "", by=work.by)
        )
    login = await work.get(Login, login_id(consultant))
    login.say(
        role or login.role,
        login.scopes if scopes is None else scopes,
        login.email if email is None else email,
        by=work.by,
    )
    return login


async def invite(
    ledger: Ledger,
    consultant: str,
    *,
    role: str | None = None,
    scopes: Sequence[str] | None = None,
    email: str | None = None,
    by: Actor = SETUP,
) -> str:
    """The text of a link with which they set a password, which nobody can show again. Raises as
    ``open_login``."""
    text = ""

    async def inviting(work: Work) -> Login:
        nonlocal text
        login = await open_login(work, consultant, role=role, scopes=scopes, email=email)
        text = login.invite(by=work.by)
        return login

    await ledger.decide(inviting, intent=Intent(by=by))
    return text


async def set_password(
    ledger: Ledger,
    consultant: str,
    password: str,
    *,
    role: str | None = None,
    scopes: Sequence[str] | None = None,
    email: str | None = None,
    by: Actor = SETUP,
) -> Receipt:
    """All their sessions end. Raises as ``open_login``, and PasswordTooWeak."""
    must_be_strong(password, consultant)
    hash = await _hashed(password)

    async def setting(work: Work) -> Login:
        login = await open_login(work, consultant, role=role, scopes=scopes, email=email)
        login.set_password(hash, by=work.by)
        return login

    return await ledger.decide(setting, intent=Intent(by=by))


async def change_password(ledger: Ledger, admitted: Login, password: str) -> bool:
    """Of who was let in by the one before; all their sessions end. False: their login was closed
    meanwhile, or somebody else set another. Raises PasswordTooWeak."""
    must_be_strong(password, admitted.consultant)
    hash = await _hashed(password)
    as_admitted = True

    async def changing(work: Work) -> Login:
        nonlocal as_admitted
        login = await work.get(Login, admitted.id)
        as_admitted = login.open_ and login.era == admitted.era
        if as_admitted:
            login.set_password(hash, by=work.by)
        return login

    await ledger.decide(changing, intent=Intent(by=Actor(admitted.consultant)))
    return as_admitted


async def accept(ledger: Ledger, text: str, password: str) -> str:
    """By an invitation: who they are. Raises InvitationIsOver, PasswordTooWeak."""
    consultant, secret = invitation_of(text) or ("", "")
    try:
        login = await ledger.get(Login, login_id(consultant))
    except NoSuchRecord:
        raise InvitationIsOver() from None
    login.must_be_invited(secret)
    must_be_strong(password, consultant)
    hash = await _hashed(password)

    async def accepting(work: Work) -> Login:
        found = await work.get(Login, login_id(consultant))
        found.must_be_invited(secret)  # of two at once the second is told that it is used
        found.set_password(hash, by=work.by)
        return found

    await ledger.decide(accepting, intent=Intent(by=Actor(consultant)))
    return consultant


async def close_login(ledger: Ledger, consultant: str, *, by: Actor = SETUP) -> Receipt:
    """All their sessions end. Raises NoSuchRecord, LoginIsClosed."""
    return await ledger.change(
        Login, login_id(consultant), lambda login: login.close(by=by), intent=Intent(by=by)
    )


async def admitted(ledger: Ledger, consultant: str, password: str) -> Login | None:
    """Whose password this is, if they may sign in; None else, after as long. To be asked in one's
    turn. Raises Unavailable."""
    login = await login_of(ledger, consultant)
    hash = login.hash if login else ""
    right = await asyncio.to_thread(lambda: _is(hash or _nobodys(), password))
    return login if right and hash else None


async def login_of(ledger: Ledger, consultant: str) -> Login | None:
    """None: they may not sign in, or are not with us any more."""
    try:
        login = await ledger.get(Login, login_id(consultant))
    except NoSuchRecord:
        return None
    return login if login.open_ and not await has_left(ledger, consultant) else None


async def login_by_email(ledger: Ledger, email: str) -> Login | None:
    """Of whom an identity provider knows by this; None also if there are two."""
    wanted, found = email.casefold(), list[Login]()
    for consultant in {e.event.consultant for e in await ledger.of_kinds(LoginOpened)}:  # type: ignore[attr-defined]
        login = await login_of(ledger, consultant)
        if login and login.email and login.email.casefold() == wanted:
            found.append(login)
    return found[0] if len(found) == 1 else None


async def holder_of(ledger: Ledger, session: Session) -> Holder | None:
    """What whoever is signed in may; None: it is over. Raises Unavailable."""
    login = await login_of(ledger, session.consultant)
    return login.holder if login and login.era == session.era else None


@asynccontextmanager
async def in_turn() -> AsyncIterator[None]:
    """Whoever looks at a password. What was guessed before is counted by then, however many ask at
    once. Raises Busy."""
    loop = asyncio.get_running_loop()
    if loop not in _turns:
        _turns.clear()
        _turns[loop] = Turns()
    turns = _turns[loop]
    if turns.waiting >= WAITING:
        raise Busy()
    turns.waiting += 1
    try:
        await turns.free.acquire()
    finally:
        turns.waiting -= 1
    try:
        yield
    finally:
        turns.free.release()


async def _hashed(password: str) -> str:
    async with in_turn():
        return await asyncio.to_thread(lambda: _hasher().hash(_secret(password)))


def _secret(password: str) -> str:
    """One way to write each letter: keyboards differ in how they write an accent (RFC 8265)."""
    return unicodedata.normalize("NFC", password)


def _is(hash: str, password: str) -> bool:
    from argon2.exceptions import VerificationError

    try:
        return _hasher().verify(hash, _secret(password))
    except VerificationError:
        return False


@cache
def _hasher() -> PasswordHasher:
    """Argon2id by the second choice of RFC 9106: 64 MiB, three passes."""
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody's")
