"""Who calls: the holder of an API key, or a consultant who is signed in, and nobody else."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from ledger_crm import sessions
from ledger_crm.commands import signing_in
from ledger_crm.commands.catalogue import holder_of
from ledger_crm.domain.access import Holder, parts
from ledger_crm.domain.entry import through
from ledger_crm.ledger import Ledger
from ledger_crm.sessions import Session

from .problems import CsrfTokenWrong, KeyMissing
from .reading import Pool

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
AwaitedGuard: TypeAlias = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

TRUST_S = 1.0  # a revoked key opens nothing after this long
MOST = 1024  # keys and sessions remembered at once
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which callers are served.

    secure               the cookie is for https alone: everywhere but on this machine
    session_idle_s       a session that nobody used for so long is over
    session_lifetime_s   and so is any after this
    """

    secure: bool = False
    session_idle_s: int = 8 * 3600
    session_lifetime_s: int = 7 * 24 * 3600

    @property
    def cookie(self) -> str:
        return "__Host-ledger_session" if self.secure else "ledger_session"

    def set_cookie(self, secret: str, lifetime_s: int) -> str:
        """The header. Strict would keep whoever follows a link to us signed out; a write needs the
        token besides."""
        secure = "; Secure" if self.secure else ""
        return (
            f"{self.cookie}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lifetime_s}{secure}"
        )


class Caller(msgspec.Struct, frozen=True):
    """through  key:<id> or session:<id>
    session  of whoever is signed in, and what they send with each write
    """

    holder: Holder
    through: str
    session: Session | None = None
    csrf_token: str = ""

    def means(self, method: str, token: str) -> bool:
        """No other site sends this in their name."""
        return (
            self.session is None
            or method in SAFE
            or hmac.compare_digest(self.csrf_token.encode(), token.encode())
        )


class Callers:
    """Puts the caller, their holder, and whom they write as, into the request's state. Raises
    KeyMissing, CsrfTokenWrong, Unavailable.

    Those who are let in are remembered for ``TRUST_S``, so that a busy client costs the ledger one
    look a second and not one a request.
    """

    def __init__(self, ledger: Ledger, pool: Pool, terms: Terms) -> None:
        self._ledger, self._pool, self.terms = ledger, pool, terms
        self._known: dict[str, tuple[Caller, float]] = {}
        self._cookie = terms.cookie + "="

    def remembered(self, method: str, authorization: str, cookie: str, token: str) -> Caller | None:
        """None: not, or they do not mean it."""
        caller = self._remembered(self._credential(authorization, cookie) or "")
        return caller if caller and caller.means(method, token) else None

    async def __call__(self, connection: Connection, _: BaseRouteHandler) -> None:
        headers = connection.headers
        credential = self._credential(headers.get("authorization", ""), headers.get("cookie", ""))
        if credential is None:
            raise KeyMissing()
        if (caller := self._remembered(credential)) is None:
            self._known.pop(credential, None)
            asked_s = time.monotonic()
            caller = await self._look(credential)
            if caller is None:
                raise KeyMissing()
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[credential] = (caller, asked_s + TRUST_S)
        if not caller.means(connection.scope["method"], headers.get("x-csrf-token", "")):  # type: ignore[typeddict-item]
            raise CsrfTokenWrong()
        through.set(caller.through)
        connection.scope["state"] |= {
            "actor": caller.holder.actor, "holder": caller.holder, "caller": caller
        }  # fmt: skip

    def forget(self) -> None:
        """So that what was changed here holds at once."""
        self._known.clear()

    def _remembered(self, credential: str) -> Caller | None:
        caller, until_s = self._known.get(credential, (None, 0.0))
        return caller if time.monotonic() <= until_s else None

    async def _look(self, credential: str) -> Caller | None:
        if not credential.startswith(self._cookie):
            found = parts(text := credential.strip())
            key = found and await holder_of(self._ledger, text)
            return Caller(key, f"key:{found[0]}") if found and key else None
        secret = credential.removeprefix(self._cookie)
        session = await sessions.find(self._pool, secret, idle_s=self.terms.session_idle_s)
        if session is None:
            return None
        holder = await signing_in.holder_of(self._ledger, session)
        if holder is None:
            return None
        return Caller(holder, f"session:{session.id}", session, sessions.csrf_token(secret))

    def _credential(self, authorization: str, cookie: str) -> str | None:
        """The text of a key; or the name and value of the session's cookie, if no other way to
        identify oneself is used."""
        if authorization:
            scheme, _, text = authorization.partition(" ")
            text = text if scheme.lower() == "bearer" else ""
            return text if text and not text.startswith(self._cookie) else None
        if self._cookie in cookie:
            for each in cookie.split(";"):
                if (each := each.strip()).startswith(self._cookie):
                    return each
        return None
