"""Logins: which consultants may sign in, as what, and with which password, as facts.

    open* -> invite* -> set password* -> close -> open ...

A login is a stream for each consultant. Of a password we keep what Argon2id makes of it, sealed,
and shown to nobody. Who is signed in right now is no fact of the business and lies beside the
ledger (``sessions.py``); whatever changes who may sign in ends those sessions, by ``era``.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Self, get_args
from uuid import UUID

from .access import Holder, NoSuchRole, NoSuchScope, RoleName, ScopeName
from .clock import now
from .entry import Actor, Aggregate, Event, Sealed, id_of
from .fee import Consultant
from .refusals import Conflict, Forbidden, Invalid
from .role import PERMISSIONS, Role

INVITED_FOR = timedelta(days=7)
INVITATION = "lcri"
SHORTEST, LONGEST = 12, 1_000  # letters of a password


class LoginOpened(Event, frozen=True, kw_only=True, tag="login.opened"):
    """This consultant may sign in. Again: with what is said now, in place of what was.

    role    what they may
    scopes  permissions besides
    email   whom an identity provider knows them as; "": they sign in by password alone
    """

    consultant: Consultant
    role: RoleName
    scopes: tuple[ScopeName, ...] = ()
    email: Sealed = ""

    @property
    def line(self) -> str:
        return f"{self.consultant} may sign in"


class LoginInvited(Event, frozen=True, kw_only=True, tag="login.invited"):
    """They were given a link, to set a password with, once.

    digest  SHA-256 of the link's secret, hex; sealed
    """

    may_lie_ahead: ClassVar[bool] = True
    stays_sealed: ClassVar[frozenset[str]] = frozenset({"digest"})

    digest: Sealed
    until_at: datetime

    @property
    def line(self) -> str:
        return "invited to set a password"

    @property
    def occurred_at(self) -> datetime | None:
        return None


class PasswordSet(Event, frozen=True, kw_only=True, tag="login.password_set"):
    """They have another password.

    hash  by Argon2id, as PHC string; sealed
    """

    stays_sealed: ClassVar[frozenset[str]] = frozenset({"hash"})

    hash: Sealed

    @property
    def line(self) -> str:
        return "password set"


class LoginClosed(Event, frozen=True, kw_only=True, tag="login.closed"):
    """They may not sign in any more."""

    @property
    def line(self) -> str:
        return "may not sign in any more"


LoginEvents = LoginOpened | LoginInvited | PasswordSet | LoginClosed


class LoginIsClosed(Conflict):
    """This consultant may not sign in: open their login first."""


class InvitationIsOver(Forbidden):
    """This invitation is used, replaced or older than seven days, or none of ours: ask for another
    one."""


class PasswordTooWeak(Invalid):
    """A password has at least twelve letters, at most a thousand, at least five different ones, and
    is not made of one's own name."""

    field = "password"


def login_id(consultant: str) -> UUID:
    return id_of("login", consultant)


def must_be_strong(password: str, consultant: str) -> None:
    """Raises PasswordTooWeak."""
    handle = consultant.partition(":")[2]
    rest = password.lower().replace(handle, "")
    strong = SHORTEST <= len(password) <= LONGEST and len(set(password)) >= 5 and len(rest) >= 5
    if not strong:
        raise PasswordTooWeak()


class Login(Aggregate):
    TOPIC = "login"

    def __init__(self) -> None:
        self.consultant = ""
        self.role = ""
        self.scopes: tuple[str, ...] = ()
        self.email = ""
        self.hash = ""
        self.invitation = ""
        self.invited_until: datetime | None = None
        self.open_ = False
        self.era = 0  # sessions that began in an earlier one are over

    @classmethod
    def begin(
        cls, consultant: str, role: str, scopes: Sequence[str], email: str, *, by: Actor
    ) -> Self:
        """Raises NoSuchRole, NoSuchScope."""
        fact = _opening(consultant, role, scopes, email)
        return cls.open(fact, by=by, id=login_id(consultant))

    @property
    def holder(self) -> Holder:
        return Holder(Actor(self.consultant), self.role, self.scopes)

    def say(self, role: str, scopes: Sequence[str], email: str, *, by: Actor) -> None:
        """As ``begin``; what is so already is a no-op."""
        fact = _opening(self.consultant, role, scopes, email)
        if not self.open_ or (fact.role, fact.scopes, email) != (
            self.role, self.scopes, self.email
        ):  # fmt: skip
            self.enter(fact, by=by)

    def invite(self, *, by: Actor) -> str:
        """The link's text, which is shown once; one from before opens nothing any more. Raises
        LoginIsClosed."""
        self._must_be_open()
        secret = secrets.token_hex(32)
        self.enter(LoginInvited(digest=_digest(secret), until_at=now() + INVITED_FOR), by=by)
        return f"{INVITATION}_{secret}_{self.consultant.partition(':')[2]}"

    def must_be_invited(self, secret: str) -> None:
        """Raises InvitationIsOver."""
        if not (
            self.open_
            and self.invitation
            and self.invited_until
            and now() < self.invited_until
            and hmac.compare_digest(self.invitation, _digest(secret))
        ):
            raise InvitationIsOver()

    def set_password(self, hash: str, *, by: Actor) -> None:
        """Raises LoginIsClosed."""
        self._must_be_open()
        self.enter(PasswordSet(hash=hash), by=by)

    def close(self, *, by: Actor) -> None:
        """Raises LoginIsClosed."""
        self._must_be_open()
        self.enter(LoginClosed(), by=by)

    def _must_be_open(self) -> None:
        if not self.open_:
            raise LoginIsClosed(consultant=self.consultant)

    def apply(self, event: Event) -> None:
        match event:
            case LoginOpened():
                self.consultant, self.role, self.scopes = event.consultant, event.role, event.scopes
                self.email, self.open_ = event.email, True
            case LoginInvited(digest=digest, until_at=until_at):
                self.invitation, self.invited_until = digest, until_at
            case PasswordSet(hash=hash):
                self.hash, self.invitation, self.era = hash, "", self.era + 1
            case LoginClosed():
                self.open_, self.hash, self.invitation, self.era = False, "", "", self.era + 1


def invitation_of(text: str) -> tuple[str, str] | None:
    """The consultant, and the secret; None if it is no invitation."""
    match text.split("_", 2):
        case [begins, secret, handle] if begins == INVITATION and handle:
            return f"consultant:{handle}", secret
    return None


def _opening(consultant: str, role: str, scopes: Sequence[str], email: str) -> LoginOpened:
    if role not in get_args(Role):
        raise NoSuchRole(known=", ".join(get_args(Role)))
    if not set(scopes) <= set(PERMISSIONS):
        raise NoSuchScope(known=", ".join(PERMISSIONS))
    return LoginOpened(
        consultant=consultant, role=role, scopes=tuple(sorted(set(scopes))), email=email
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
