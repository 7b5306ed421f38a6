"""/session: consultants sign in and out, and see to their passwords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ledger_crm import sessions
from ledger_crm.commands import signing_in
from ledger_crm.domain.clock import now
from ledger_crm.domain.entry import Actor, Instant
from ledger_crm.domain.fee import Consultant
from ledger_crm.domain.login import LONGEST, InvitationIsOver, Login
from ledger_crm.domain.role import PERMISSIONS
from ledger_crm.ledger import Ledger

from .caller import Caller, Callers
from .problems import SessionMissing, SignInRefused, TooManyGuesses
from .reading import Pool

WRONG_S = 900  # for so long a wrong guess is counted
OF_ACCOUNT, OF_NETWORK = 10, 50  # wrong guesses, after which nobody is heard

Password = Annotated[str, msgspec.Meta(max_length=LONGEST)]


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    consultant: Consultant
    password: Password


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """invitation  as the link has it, lcri_...
    password    of twelve letters at least
    """

    invitation: Annotated[str, msgspec.Meta(max_length=200)]
    password: Password


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """password  the new one, of twelve letters at least
    old       the present one
    """

    old: Password
    password: Password


class Signed(msgspec.Struct, frozen=True):
    """actor        as whom you write: the author of your entries
    through      `key:<id>` or `session:<id>`, as your entries carry it
    csrf_token   what writes send as `X-CSRF-Token`; null: you came with a key, and need none
    until_at     when you have to sign in again at the latest; null: a key's end is its own
    """

    actor: Actor
    role: str
    permissions: Sequence[str]
    through: str
    csrf_token: str | None
    until_at: Instant | None


class SignedOut(msgspec.Struct, frozen=True):
    """The cookie opens nothing any more."""

    ended_at: Instant


@post("/session", tags=["session"])
async def sign_in(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    pool: NamedDependency[Pool],
    callers: NamedDependency[Callers],
    data: JSONBody[SignIn],
) -> Response[Signed]:
    """Sign in

    As a consultant, with a password. The cookie is the session; writes send `csrf_token` besides.
    After ten wrong passwords for one consultant, or fifty from one network, within a quarter of an
    hour nobody is heard for as long."""
    await must_not_guess(request, pool, data.consultant)
    login = await signing_in.admitted(ledger, data.consultant, data.password)
    if login is None:
        await guessed(request, pool, data.consultant)
        raise SignInRefused()
    await sessions.forgive(pool, data.consultant)
    return await begin_session(pool, callers, login)


@post("/session/invitation", tags=["session"])
async def accept_invitation(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    pool: NamedDependency[Pool],
    callers: NamedDependency[Callers],
    data: JSONBody[Acceptance],
) -> Response[Signed]:
    """Set a password by invitation

    With the text of a link of `ledger-crm consultant invite`, once. You are signed in then."""
    await must_not_guess(request, pool)
    try:
        consultant = await signing_in.accept(ledger, data.invitation, data.password)
    except InvitationIsOver:
        await guessed(request, pool)
        raise
    await sessions.forgive(pool, consultant)
    callers.forget()
    login = await signing_in.login_of(ledger, consultant)
    if login is None:
        raise SignInRefused()
    return await begin_session(pool, callers, login)


@get("/session", tags=["session"])
async def read_session(request: Request[Any, Any, Any]) -> Response[Signed]:
    """Who am I

    As whom you write, and what you may; with a key too."""
    state: dict[str, Any] = request.scope["state"]
    return Response(_signed(state.get("caller") or Caller(state["holder"], "")))


@delete("/session", status_code=200, tags=["session"])
async def sign_out(
    request: Request[Any, Any, Any],
    pool: NamedDependency[Pool],
    callers: NamedDependency[Callers],
) -> Response[SignedOut]:
    """Sign out"""
    session = _caller_signed_in(request).session
    assert session
    await sessions.end(pool, session.id)
    callers.forget()
    gone = {"Set-Cookie": callers.terms.set_cookie("", 0)}
    return Response(SignedOut(now()), headers=gone)


@put("/session/password", tags=["session"])
async def change_password(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    pool: NamedDependency[Pool],
    callers: NamedDependency[Callers],
    data: JSONBody[NewPassword],
) -> Response[Signed]:
    """Change your password

    All your sessions end, and another one begins here."""
    actor = _caller_signed_in(request).holder.actor
    await must_not_guess(request, pool, actor)
    if await signing_in.admitted(ledger, actor, data.old) is None:
        await guessed(request, pool, actor)
        raise SignInRefused()
    await signing_in.set_password(ledger, actor, data.password, by=actor)
    callers.forget()
    login = await signing_in.login_of(ledger, actor)
    if login is None:
        raise SignInRefused()
    return await begin_session(pool, callers, login)


async def begin_session(pool: Pool, callers: Callers, login: Login) -> Response[Signed]:
    terms = callers.terms
    session, secret = await sessions.begin(
        pool, login.consultant, login.era, terms.session_lifetime_s, idle_s=terms.session_idle_s
    )
    caller = Caller(login.holder, f"session:{session.id}", session, sessions.csrf_token(secret))
    cookie = terms.set_cookie(secret, terms.session_lifetime_s)
    return Response(_signed(caller), headers={"Set-Cookie": cookie})


async def must_not_guess(request: Request[Any, Any, Any], pool: Pool, account: str = "") -> None:
    """Raises TooManyGuesses."""
    asked = [(network_of(request), OF_NETWORK)] + ([(account, OF_ACCOUNT)] if account else [])
    for about, most in asked:
        if until := await sessions.refused_until(pool, about, most):
            left_s = max(1, int((until - now()).total_seconds()))
            raise TooManyGuesses(retry_after_s=left_s)


async def guessed(request: Request[Any, Any, Any], pool: Pool, *about: str) -> None:
    await sessions.guessed(pool, network_of(request), *about, within_s=WRONG_S)


def network_of(request: Request[Any, Any, Any]) -> str:
    return network(request.client.host if request.client else "")


def network(address: str) -> str:
    """An address without its last part, so that it names no person: /24, or /48 of IPv6."""
    import ipaddress

    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    size = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network(f"{found}/{size}", strict=False))


def _caller_signed_in(request: Request[Any, Any, Any]) -> Caller:
    """Raises SessionMissing."""
    caller: Caller | None = request.scope["state"].get("caller")
    if caller is None or caller.session is None:
        raise SessionMissing()
    return caller


def _signed(caller: Caller) -> Signed:
    holder, session = caller.holder, caller.session
    return Signed(
        holder.actor,
        holder.role,
        [each for each in PERMISSIONS if holder.may(each)],
        caller.through,
        caller.csrf_token if session else None,
        session.until_at if session else None,
    )


HANDLERS: list[Any] = [
    sign_in, accept_invitation, read_session, sign_out, change_password
]  # fmt: skip
