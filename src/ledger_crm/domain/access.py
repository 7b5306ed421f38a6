"""API keys: who may talk to us, as facts.

    create -> revoke, or its last day is over

A key reads ``lcrm_<id>_<secret>``: the id names its stream, so a request is checked against the
ledger itself and a revoked key is refused within a second. Of the secret (256 random bits) we keep
a SHA-256, which is enough where nothing can be guessed. The id is made from that digest: a made-up
key names no stream of ours, and is refused without looking.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import date
from typing import Annotated, ClassVar, Self, get_args
from uuid import UUID

import msgspec

from .entry import Actor, Aggregate, Event, Sealed, id_of
from .faults import written_like
from .refusals import Conflict, Invalid
from .role import BEFORE_ROLES, MAY, PERMISSIONS, KeyRole, Permission, usual

ActorName = Annotated[
    str, written_like(r"^[a-z]+:[a-z0-9][a-z0-9._-]{0,62}$(?!\n)", "a name like consultant:ana")
]


# Stored by their names, of which one may no longer be known: it lets nobody do anything.
RoleName = Annotated[str, written_like(r"^([a-z_]{1,40})?$(?!\n)", "a role like consultant")]
ScopeName = Annotated[
    str, written_like(r"^[a-z_]{1,40}\.[a-z_]{1,40}$(?!\n)", "a permission like events.open")
]


class Holder(msgspec.Struct, frozen=True):
    """Of a key: whom they write as, and what they may."""

    actor: Actor
    role: str = BEFORE_ROLES
    scopes: tuple[str, ...] = ()

    def may(self, permission: Permission) -> bool:
        return permission in MAY.get(self.role, ()) or permission in self.scopes


class KeyCreated(Event, frozen=True, kw_only=True, tag="key.created"):
    """Somebody, or something, may talk to us.

    actor   whom its holder writes as
    role    what it may; "" for keys from before there were roles, which may what they could then
    scopes  permissions besides
    digest  SHA-256 of the secret, hex; sealed, so that not even this is on the feed
    until_on  the last day on which it opens anything; None: until it is revoked
    """

    stays_sealed: ClassVar[frozenset[str]] = frozenset({"digest"})

    actor: ActorName
    role: RoleName = BEFORE_ROLES
    scopes: tuple[ScopeName, ...] = ()
    label: Sealed = ""
    digest: Sealed
    until_on: date | None = None

    @property
    def line(self) -> str:
        return f"key created for {self.actor}"


class KeyRevoked(Event, frozen=True, kw_only=True, tag="key.revoked"):
    """It opens nothing any more."""

    reason: Sealed = ""

    @property
    def line(self) -> str:
        return "key revoked"


KeyEvents = KeyCreated | KeyRevoked


class KeyIsRevoked(Conflict):
    """This key is revoked."""


class NoSuchActor(Invalid):
    """An actor is written like consultant:ana or integration:website; system: is our own."""

    field = "actor"


class NoSuchRole(Invalid):
    """There is no such role."""

    field = "role"


class NoSuchScope(Invalid):
    """A scope is a permission, and there is no such one."""

    field = "scopes"


class OpensNothing(Invalid):
    """A key with the role none may only what its scopes say: name a permission."""

    field = "scopes"


class ApiKey(Aggregate):
    TOPIC = "key"

    def __init__(self) -> None:
        self.actor = Actor("")
        self.role = BEFORE_ROLES
        self.scopes: tuple[str, ...] = ()
        self.digest = ""
        self.until_on: date | None = None
        self.revoked = False

    @classmethod
    def create(
        cls,
        *,
        actor: str,
        role: str | None = None,
        scopes: Sequence[str] = (),
        label: str = "",
        until_on: date | None = None,
        by: Actor,
    ) -> tuple[Self, str]:
        """The key, and its text, which is shown once. ``role``: None for the usual one of such an
        actor. Raises NoSuchActor, NoSuchRole, NoSuchScope, OpensNothing."""
        try:
            msgspec.convert(actor, ActorName)
        except msgspec.ValidationError:
            raise NoSuchActor(actor=actor) from None
        if actor.startswith("system:"):
            raise NoSuchActor(actor=actor)
        if role is not None and role not in get_args(KeyRole):
            raise NoSuchRole(known=", ".join(get_args(KeyRole)))
        if not set(scopes) <= set(PERMISSIONS):
            raise NoSuchScope(known=", ".join(PERMISSIONS))
        if role == "none" and not scopes:
            raise OpensNothing()
        secret = secrets.token_urlsafe(32)
        id = _id_of(secret)
        fact = KeyCreated(
            actor=actor,
            role=role or usual(actor),
            scopes=tuple(sorted(set(scopes))),
            label=label,
            digest=_digest(secret),
            until_on=until_on,
        )
        return cls.open(fact, by=by, id=id), f"lcrm_{id.hex}_{secret}"

    @property
    def holder(self) -> Holder:
        return Holder(self.actor, self.role, self.scopes)

    def admits(self, secret: str, on: date) -> bool:
        over = self.revoked or (self.until_on is not None and on > self.until_on)
        return not over and hmac.compare_digest(self.digest, _digest(secret))

    def revoke(self, *, reason: str = "", by: Actor) -> None:
        """Raises KeyIsRevoked."""
        if self.revoked:
            raise KeyIsRevoked(id=self.id)
        self.enter(KeyRevoked(reason=reason), by=by)

    def apply(self, event: Event) -> None:
        match event:
            case KeyCreated(actor=actor, role=role, scopes=scopes, digest=digest):
                self.actor, self.digest = Actor(actor), digest
                self.role, self.scopes, self.until_on = role, scopes, event.until_on
            case KeyRevoked():
                self.revoked = True


def parts(text: str) -> tuple[UUID, str] | None:
    """The id and the secret of a key's text; None if it is no key."""
    match text.split("_", 2):
        case ["lcrm", id, secret] if id == _id_of(secret).hex:
            return UUID(hex=id), secret
    return None


def _id_of(secret: str) -> UUID:
    return id_of("key", _digest(secret))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
