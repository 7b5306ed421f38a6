"""Webhooks: who is sent what is written, as facts.

    add -> disable <-> enable, redrive*, renew the secret*, remove

A webhook is a stream of its own. How far it has got, and what its receiver answered, is no fact
of the business and lies beside the ledger (``workers/webhooks.py``).
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

import msgspec

from . import clock
from .entry import PLAIN, Actor, Aggregate, Event, Instant, Reason, Sealed, words
from .faults import written_like
from .refusals import Conflict, Gone, Invalid

KindName = Annotated[
    str,
    written_like(r"^[a-z_]{1,40}\.[a-z_]{0,60}$(?!\n)", "a kind like person.placed, or person."),
]
SECRET = "whsec_"  # noqa: S105 what it begins with
WITH_AN_OLDER_ONE = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Whose last 32 bits are an IPv4 address: NAT64 (RFC 6052), IPv4-compatible (RFC 4291, 2.5.5.1)."""
NOT_PUBLIC = (
    ipaddress.ip_network("192.0.0.0/24"),  # of protocols (RFC 6890); .192: metadata of Oracle's
    ipaddress.ip_network("168.63.129.16/32"),  # the host, and metadata, of Azure's
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, gone (RFC 7526)
    ipaddress.ip_network("64:ff9b:1::/48"),  # NAT64 of one's own (RFC 8215)
    ipaddress.ip_network("::ffff:0:0:0/96"),  # SIIT: the last 32 bits are IPv4 (RFC 2765)
    ipaddress.ip_network("fec0::/10"),  # site-local (RFC 3879)
    ipaddress.ip_network("3fff::/20"),  # for documents (RFC 9637)
    ipaddress.ip_network("5f00::/16"),  # segments of SRv6 (RFC 9602)
)
"""Which the library takes for global, or did in older versions of Python."""
HOSTS_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
MOST_SECRETS = 5  # that messages of one webhook are signed with: a header has to hold them


class WebhookAdded(Event, frozen=True, kw_only=True, tag="webhook.added"):
    """From now on somebody is sent what is written.

    url     where to; sealed, for addresses hold tokens
    host    of it
    secret  what messages are signed with, as whsec_ and base64; shown once
    kinds   only these, or all that begin alike; none: all
    after   what was written after this position
    ordered  one message after the other; else those that fail do not hold up the next
    """

    stays_sealed: ClassVar[frozenset[str]] = frozenset({"secret", "url"})

    url: Sealed
    host: Annotated[str, written_like(PLAIN, "a host like hooks.example", max_length=253)]
    secret: Sealed
    kinds: tuple[KindName, ...] = ()
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    label: Sealed = ""
    ordered: bool = True

    @property
    def line(self) -> str:
        return f"webhook to {self.host}"


class WebhookSecretRenewed(Event, frozen=True, kw_only=True, tag="webhook.secret_renewed"):
    """Its messages are signed with another secret, and for a while with the ones before it, too.

    secret        as of `webhook.added`; shown once
    old_until_at  none of before signs after this
    """

    may_lie_ahead: ClassVar[bool] = True
    stays_sealed: ClassVar[frozenset[str]] = frozenset({"secret"})

    secret: Sealed
    old_until_at: Instant

    @property
    def line(self) -> str:
        return "webhook's secret renewed"


class WebhookDisabled(Event, frozen=True, kw_only=True, tag="webhook.disabled"):
    """Nothing is sent any more; what was not, waits.

    reason  a code: `failing`, `gone`, `not_allowed` are ours
    """

    reason: Reason = ""

    @property
    def line(self) -> str:
        return "webhook disabled" + (f": {words(self.reason)}" if self.reason else "")


class WebhookEnabled(Event, frozen=True, kw_only=True, tag="webhook.enabled"):
    """It goes on where it was."""

    @property
    def line(self) -> str:
        return "webhook enabled"


class WebhookRedriven(Event, frozen=True, kw_only=True, tag="webhook.redriven"):
    """What was written after this position is sent again, with the ids that it had."""

    after: Annotated[int, msgspec.Meta(ge=0)]

    @property
    def line(self) -> str:
        return f"webhook redriven from {self.after}"


class WebhookRemoved(Event, frozen=True, kw_only=True, tag="webhook.removed"):
    """It is no more."""

    @property
    def line(self) -> str:
        return "webhook removed"


WebhookChanges = WebhookDisabled | WebhookEnabled | WebhookRedriven | WebhookRemoved
WebhookEvents = WebhookAdded | WebhookSecretRenewed | WebhookChanges


class NotAWebhookUrl(Invalid):
    """A webhook is sent to an https address without a user and a fragment; http is for this very
    machine, where the settings allow it."""

    field = "url"


class NotAPublicAddress(Invalid):
    """Nothing is sent to this address: it is private or of this very machine, and the settings
    (LEDGER_WEBHOOK_TARGETS) allow public ones alone."""

    field = "url"


class WebhookIsRemoved(Gone):
    """This webhook was removed: add another."""


class WebhookIsDisabled(Conflict):
    """This webhook is disabled: enable it first."""


class TooManySecrets(Conflict):
    """As many secrets of this webhook are in use as there may be: wait until one of them has ended,
    or let those of before end at once."""


class Webhook(Aggregate):
    """``old_secrets``: each with the instant until which it signs, too; the oldest first."""

    TOPIC = "webhook"

    def __init__(self) -> None:
        self.url = self.secret = self.label = ""
        self.old_secrets: tuple[tuple[str, datetime], ...] = ()
        self.kinds: tuple[str, ...] = ()
        self.status: Literal["enabled", "disabled", "removed"] = "enabled"

    @classmethod
    def add(
        cls,
        *,
        url: str,
        kinds: tuple[str, ...] = (),
        after: int,
        label: str = "",
        ordered: bool = True,
        by: Actor,
    ) -> Self:
        """With a secret of its own. Raises NotAWebhookUrl."""
        fact = WebhookAdded(
            url=url,
            host=_host_of(url),
            secret=_new_secret(),
            kinds=tuple(sorted(set(kinds))),
            after=after,
            label=label,
            ordered=ordered,
        )
        return cls.open(fact, by=by)

    def change(self, change: WebhookChanges, *, by: Actor) -> None:
        """What is so already is a no-op. Raises WebhookIsRemoved, WebhookIsDisabled."""
        if self.status == "removed":
            raise WebhookIsRemoved(id=self.id)
        match change:
            case WebhookRedriven() if self.status == "disabled":
                raise WebhookIsDisabled(id=self.id)
            case WebhookDisabled() if self.status == "disabled":
                return
            case WebhookEnabled() if self.status == "enabled":
                return
        self.enter(change, by=by)

    def renew_secret(self, *, overlap_s: int, by: Actor) -> None:
        """Those of before sign for so long, too, and none of them longer than it did. Raises
        WebhookIsRemoved, TooManySecrets."""
        if self.status == "removed":
            raise WebhookIsRemoved(id=self.id)
        now = clock.now()
        until_at = now + timedelta(seconds=overlap_s)
        if overlap_s and len(self.signing(now)) >= MOST_SECRETS:
            raise TooManySecrets(id=self.id, most=MOST_SECRETS)
        self.enter(WebhookSecretRenewed(secret=_new_secret(), old_until_at=until_at), by=by)

    def signing(self, at: datetime) -> tuple[str, ...]:
        """The secrets that a message of this instant is signed with, the newest first."""
        old = [secret for secret, until_at in self.old_secrets if until_at > at]
        return (self.secret, *reversed(old))

    def apply(self, event: Event) -> None:
        match event:
            case WebhookAdded(url=url, secret=secret, kinds=kinds, label=label):
                self.url, self.secret, self.kinds, self.label = url, secret, kinds, label
            case WebhookSecretRenewed(secret=secret, old_until_at=until_at):
                before = (*self.old_secrets, (self.secret, until_at))
                self.old_secrets = tuple(
                    (each, min(its, until_at)) for each, its in before[1 - MOST_SECRETS :]
                )
                self.secret = secret
            case WebhookDisabled():
                self.status = "disabled"
            case WebhookEnabled():
                self.status = "enabled"
            case WebhookRemoved():
                self.status = "removed"


def _new_secret() -> str:
    return SECRET + base64.b64encode(secrets.token_bytes(32)).decode()


def must_be_public(url: str) -> None:
    """Unless it has a name, which is looked up when something is sent. Raises NotAWebhookUrl,
    NotAPublicAddress."""
    host = _host_of(url)
    with suppress(OSError):  # 127.1 or 2130706433, as the C library reads it
        host = socket.inet_ntoa(socket.inet_aton(host))
    with suppress(ValueError):
        if not is_public(host):
            raise NotAPublicAddress()


def is_public(address: Any) -> bool:
    """Not private, loopback, link-local (where clouds keep credentials), multicast or reserved."""
    ip = ipaddress.ip_address(str(address).partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner:
            ip = inner
        elif any(ip in network for network in WITH_AN_OLDER_ONE):
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.is_global and not ip.is_multicast and not any(ip in each for each in NOT_PUBLIC)


def _host_of(url: str) -> str:
    """Raises NotAWebhookUrl."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise NotAWebhookUrl() from None
    odd = any(sign <= " " or sign > "~" for sign in url) or len(url) > 2_000
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in HOSTS_HERE)
    if odd or not host or not secure or parts.username is not None or parts.fragment:
        raise NotAWebhookUrl()
    return host
