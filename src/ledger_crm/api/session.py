"""/session: consultants sign in and out, and see to their passwords."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from ledger_crm import sessions, visits
from ledger_crm.commands import signing_in
from ledger_crm.domain.clock import now
from ledger_crm.domain.entry import Actor, Instant
from ledger_crm.domain.fee import Consultant
from ledger_crm.domain.login import LONGEST, InvitationIsOver, Login
from ledger_crm.domain.role import PERMISSIONS
from ledger_crm.ledger import Ledger

from . import rows
from .asking import Since, Until, moment_of
from .caller import Caller, Callers, network_of
from .cursors import Cursors, of_request
from .ordering import Fields
from .problems import SessionMissing, SignInRefused, TooManyGuesses
from .reading import LIMIT, Limit, Page, Position, Token, page_of
from .snapshots import Pool, answered

Password = Annotated[str, msgspec.Meta(max_length=LONGEST)]


Someone = Annotated[
    str | None, QueryParameter(max_length=80, description="Of ours, like `consultant:ana`.")
]
Through = Annotated[
    str | None,
    QueryParameter(max_length=80, description="`key:<id>`, `session:<id>` or `link:<id>`."),
]


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
    return answered_as(
        await sign_in_with_password(request, ledger, pool, callers, data.consultant, data.password)
    )


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
    about = await must_not_guess(request, pool, callers)
    try:
        consultant = await signing_in.accept(ledger, data.invitation, data.password)
    except InvitationIsOver:
        await guessed(request, pool, callers, *about)
        raise
    await answered(sessions.forgive(pool.door, consultant))
    callers.forget()
    login = await signing_in.login_of(ledger, consultant)
    if login is None:
        raise SignInRefused()
    return answered_as(await signed_in(request, pool, callers, login, "invitation"))


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
    gone = await leave(request, pool, callers, _caller_signed_in(request))
    return Response(SignedOut(now()), headers={"Set-Cookie": gone})


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
    caller = _caller_signed_in(request)
    return answered_as(
        await change_own_password(request, ledger, pool, callers, caller, data.old, data.password)
    )


@get("/access-log", tags=["session"])
async def list_access(
    request: Request[Any, Any, Any],
    pool: NamedDependency[Pool],
    ledger: NamedDependency[Ledger],
    callers: NamedDependency[Callers],
    what: FromQuery[visits.What | None] = None,
    actor: Someone = None,
    through: Through = None,
    since: Since = None,
    until: Until = None,
    fields: Fields = None,
    cursor: Token = None,
    limit: Limit = LIMIT,
) -> Response[Page[visits.Seen]]:
    """List who was at the door

    Who signed in, or tried to; which key or link was used, the first time a day from each network;
    what was refused. One row a day of the same, with how often; the newest first. An address is
    without its last part.
    `since` and `until` are by when it was seen."""
    cursors = Cursors(ledger.store.keyring, of_request(request))
    before = cursors.opened(cursor, Position) if cursor else None
    await answered(callers.visits.settled())
    found = await answered(
        visits.listed(
            pool.door, what=what, actor=actor, through=through, since=moment_of(since, "since"),
            until=moment_of(until, "until"), before=before, limit=limit + 1,
        )
    )  # fmt: skip
    return rows.answer(request, page_of(found, limit, visits.number, cursors), {})


async def signed_in(
    request: Request[Any, Any, Any], pool: Pool, callers: Callers, login: Login, how: str
) -> tuple[Caller, str]:
    """And the header that sets the cookie. Whoever was signed in in this browser is signed out: the
    cookie that would do it is gone."""
    terms, before = callers.terms, await callers.signed_in(request)
    session, secret = await answered(
        sessions.begin(
            pool.door, callers.hashes, login.consultant, login.era, terms.session_lifetime_s,
            idle_s=terms.session_idle_s,
            in_place_of=before.session.id if before and before.session else None,
        )
    )  # fmt: skip
    if before:
        callers.visited(request, before, "signed_out")
        callers.forget()
    caller = Caller(login.holder, f"session:{session.id}", session, sessions.csrf_token(secret))
    callers.visited(request, caller, "signed_in", how)
    return caller, terms.set_cookie(secret, terms.session_lifetime_s)


def answered_as(signed: tuple[Caller, str]) -> Response[Signed]:
    caller, cookie = signed
    return Response(_signed(caller), headers={"Set-Cookie": cookie})


async def sign_in_with_password(
    request: Request[Any, Any, Any],
    ledger: Ledger,
    pool: Pool,
    callers: Callers,
    account: str,
    password: str,
) -> tuple[Caller, str]:
    """As ``signed_in``. Raises SignInRefused, TooManyGuesses, Busy, Unavailable."""
    login = await _admitted(request, ledger, pool, callers, account, password)
    return await signed_in(request, pool, callers, login, "password")


async def leave(
    request: Request[Any, Any, Any], pool: Pool, callers: Callers, caller: Caller
) -> str:
    """The header by which the cookie goes."""
    assert caller.session
    await answered(sessions.end(pool.door, caller.session.id))
    callers.visited(request, caller, "signed_out")
    callers.forget()
    return callers.terms.set_cookie("", 0)


async def change_own_password(
    request: Request[Any, Any, Any],
    ledger: Ledger,
    pool: Pool,
    callers: Callers,
    caller: Caller,
    old: str,
    new: str,
) -> tuple[Caller, str]:
    """As ``signed_in``, and all other sessions end. Raises PasswordTooWeak, SignInRefused,
    TooManyGuesses, Busy, Unavailable."""
    actor = caller.holder.actor
    admitted = await _admitted(request, ledger, pool, callers, actor, old)
    if not await signing_in.change_password(ledger, admitted, new):
        raise SignInRefused()
    callers.visited(request, caller, "password_changed")
    callers.forget()
    login = await signing_in.login_of(ledger, actor)
    if login is None:
        raise SignInRefused()
    return await signed_in(request, pool, callers, login, "password")


async def _admitted(
    request: Request[Any, Any, Any],
    ledger: Ledger,
    pool: Pool,
    callers: Callers,
    account: str,
    password: str,
) -> Login:
    """Raises SignInRefused, TooManyGuesses, Busy, Unavailable."""
    await must_not_guess(
        request, pool, callers, ledger, account
    )  # or they would wait for their turn
    async with signing_in.in_turn():
        about = await must_not_guess(request, pool, callers, ledger, account)
        login = await signing_in.admitted(ledger, account, password)
        if login is None:
            known = await signing_in.login_of(ledger, account)
            await guessed(request, pool, callers, *about, whose=known)
            raise SignInRefused()
    await answered(sessions.forgive(pool.door, about[-1]))
    return login


async def must_not_guess(
    request: Request[Any, Any, Any],
    pool: Pool,
    callers: Callers,
    ledger: Ledger | None = None,
    account: str = "",
) -> list[str]:
    """What a wrong one counts for: the network, and the account, which ``ledger`` may know. Raises
    TooManyGuesses."""
    typed, network, terms = account, network_of(request), callers.terms

    async def refused(about: str, most: int) -> datetime | None:
        return await answered(sessions.refused_until(pool.door, about, most))

    until = await refused(network, terms.wrong_from_network)
    if account and not until:
        if await answered(visits.came_from(pool.door, account, network)):
            # who guesses elsewhere keeps nobody out here; \0, for no account has one
            account = f"{account}\0{network}"
        until = await refused(account, terms.wrong_passwords)
    if until:
        known = await signing_in.login_of(ledger, typed) if ledger and typed else None
        whose = known.consultant if known else ""
        callers.visits.note("locked_out", actor=whose, network=network)
        raise TooManyGuesses(retry_after_s=max(1, int((until - now()).total_seconds())))
    return [network, account] if account else [network]


async def guessed(
    request: Request[Any, Any, Any],
    pool: Pool,
    callers: Callers,
    *about: str,
    whose: Login | None = None,
    why: str = "",
) -> None:
    """``about``: as ``must_not_guess`` says. ``whose``: of us; what else was typed is not told.
    ``why``: a code, if it was no password."""
    callers.visits.note(
        "sign_in_failed",
        actor=whose.consultant if whose else "",
        network=network_of(request),
        about=why,
    )
    await answered(sessions.guessed(pool.door, *about, within_s=callers.terms.locked_s))


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
    sign_in, accept_invitation, read_session, sign_out, change_password, list_access
]  # fmt: skip
