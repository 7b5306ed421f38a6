"""Who calls: the holder of an API key, or a consultant who is signed in, and nobody else."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from ledger_crm import sessions
from ledger_crm.commands import signing_in
from ledger_crm.commands.catalogue import holder_of
from ledger_crm.domain.access import Holder, parts
from ledger_crm.domain.entry import through
from ledger_crm.ledger import Ledger
from ledger_crm.sealing import Hashes
from ledger_crm.sessions import Session
from ledger_crm.visits import Visits, What

from .limits import Guesses, Spending
from .problems import CsrfTokenWrong, KeyMissing, TooManyGuesses
from .snapshots import Pool, answered

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
AwaitedGuard: TypeAlias = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

TRUST_S = 1.0  # a revoked key opens nothing after this long
MOST = 1024  # keys and sessions remembered at once
ADDRESSES = 256  # of one key, that are known as told at once; of further ones each request is noted
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which callers are served.

    secure               the cookie is for https alone: everywhere but on this machine
    url                  where people reach us
    oidc_issuer          the identity provider; "": none
    session_idle_s       a session that nobody used for so long is over
    session_lifetime_s   and so is any after this
    requests_a_minute    of one caller, by each process; 0: as many as they like
    wrong_passwords      for one consultant, after which nobody is heard for ``locked_s``
    wrong_from_network   passwords and invitations, likewise
    remembered_days      what the access log tells of
    webhook_targets      where webhooks may be sent, as the settings say
    wrong_keys           keys and links from one network, by each process, likewise
    """

    secure: bool = False
    url: str = "http://127.0.0.1:8000"
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    session_idle_s: int = 8 * 3600
    session_lifetime_s: int = 7 * 24 * 3600
    requests_a_minute: int = 0
    wrong_passwords: int = 10
    wrong_from_network: int = 50
    wrong_keys: int = 1_000
    locked_s: int = 900
    remembered_days: int = 400
    webhook_targets: str = "public"

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


class Known(NamedTuple):
    """Whoever was let in a moment ago. ``told``: the addresses from which the access log knows that
    this key or session is used."""

    caller: Caller
    until_s: float
    told: set[str]


class Callers:
    """Puts the caller, their holder, and whom they write as, into the request's state. Raises
    KeyMissing, CsrfTokenWrong, TooManyGuesses, TooManyRequests, Unavailable.

    Those who are let in are remembered for ``TRUST_S``, so that a busy client costs the ledger one
    look a second and not one a request.
    """

    def __init__(self, ledger: Ledger, pool: Pool, terms: Terms) -> None:
        self._ledger, self._pool, self.terms = ledger, pool, terms
        self._known: dict[str, Known] = {}
        self._cookie = terms.cookie + "="
        self.spending = Spending(terms.requests_a_minute)
        self.visits = Visits(pool and pool.door, terms.remembered_days)
        self.guesses = Guesses(terms.wrong_keys, terms.locked_s)

    @property
    def hashes(self) -> Hashes:
        """Of this deployment."""
        return self._ledger.store.keyring

    def remembered(
        self,
        state: dict[str, Any],
        address: str,
        method: str,
        authorization: str,
        cookie: str,
        token: str,
    ) -> Caller | None:
        """None: not, or they do not mean it, or they ask too often."""
        caller = self._remembered(self._credential(authorization, cookie) or "", address)
        if caller and caller.means(method, token) and self.spending.takes(state, caller.through):
            return caller
        return None

    def visited(
        self, connection: Connection, caller: Caller | None, what: What, about: str = ""
    ) -> None:
        """For the access log."""
        self.visits.note(
            what,
            actor=caller.holder.actor if caller else "",
            through=caller.through if caller else "",
            network=network_of(connection),
            about=about,
        )

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        headers = connection.headers
        credential = self._credential(headers.get("authorization", ""), headers.get("cookie", ""))
        if credential is None:
            raise KeyMissing()
        address = address_of(connection.scope)
        if (caller := self._remembered(credential, address)) is None:
            self._known.pop(credential, None)
            asked_s, network = time.monotonic(), network_of(connection)
            # a session that is over is no guess: after a night each browser has one
            is_key = not credential.startswith(self._cookie)
            try:
                if is_key:
                    self.guesses.must_be_heard(network, credential)
            except TooManyGuesses:
                self.visits.note("locked_out", network=network)
                raise
            caller = await answered(self._look(credential))
            if caller is None:
                if is_key:
                    self.guesses.wrong(network, credential)
                self.visits.note("key_refused", network=network)
                raise KeyMissing()
            if is_key:
                self.guesses.right(credential)
            if len(self._known) >= MOST:
                self._known.clear()
            known = self._known[credential] = Known(caller, asked_s + TRUST_S, set())
            self._tell(known, address)
        self.spending.must_take(connection.scope["state"], caller.through)
        if not caller.means(connection.scope["method"], headers.get("x-csrf-token", "")):  # type: ignore[typeddict-item]
            self.visited(connection, caller, "refused", handler.handler_name)
            raise CsrfTokenWrong()
        through.set(caller.through)
        connection.scope["state"] |= {
            "actor": caller.holder.actor, "holder": caller.holder, "caller": caller
        }  # fmt: skip

    async def signed_in(self, connection: Connection) -> Caller | None:
        """Whose browser it is, for pages; None: nobody's. Raises Unavailable."""
        credential = self._credential("", connection.headers.get("cookie", ""))
        caller = await answered(self._look(credential)) if credential else None
        if caller:
            self.visited(connection, caller, "session_used")
        return caller

    def forget(self) -> None:
        """So that what was changed here holds at once."""
        self._known.clear()

    def _remembered(self, credential: str, address: str) -> Caller | None:
        known = self._known.get(credential)
        if known is None or time.monotonic() > known.until_s:
            return None
        if address not in known.told:
            self._tell(known, address)
        return known.caller

    def _tell(self, known: Known, address: str) -> None:
        """What was stolen is seen by where it is used from, however busy its owner is."""
        self.visits.note(
            "session_used" if known.caller.session else "key_used",
            actor=known.caller.holder.actor,
            through=known.caller.through,
            network=network(address),
        )
        if len(known.told) < ADDRESSES:
            known.told.add(address)

    async def _look(self, credential: str) -> Caller | None:
        if not credential.startswith(self._cookie):
            found = parts(text := credential.strip())
            key = found and await holder_of(self._ledger, text)
            return Caller(key, f"key:{found[0]}") if found and key else None
        secret = credential.removeprefix(self._cookie)
        if not sessions.is_ours(secret, self.hashes):
            return None
        session = await sessions.find(self._pool.door, secret, idle_s=self.terms.session_idle_s)
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


def address_of(scope: Any) -> str:
    """ "": not known."""
    client = scope.get("client")
    return client[0] if client else ""


def network_of(connection: Connection) -> str:
    return network(address_of(connection.scope))


@lru_cache(1_024)
def network(address: str) -> str:
    """An address without its last part, so that it names no person: /24, or /48 of IPv6. One of
    IPv4 is written as IPv6 where we listen on both, and all of these would be one network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    size = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network(f"{found}/{size}", strict=False))
