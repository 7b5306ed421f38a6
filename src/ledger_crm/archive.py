"""Archive: the ledger in sealed segments, in a folder or a bucket, and back into an empty database.

    segments/000000000001.jsonl.gz   entries as stored, a line each; never changed, never removed
    keys.HASH.jsonl.gz               data keys, wrapped; destroyed ones without; its owner's alone
    reservations.HASH.jsonl.gz, receipts.HASH.jsonl.gz
    webhooks.HASH.jsonl.gz           how far each has got
    documents/                       the vault, as it is
    manifest.json                    which files there are, and the hash of each

Everything personal is ciphertext in it, and what opens that is not: the deployment's key is kept
apart. What has a hash in its name changes, so it is written anew, under the hash of what is in it;
the files of before go when the manifest no longer names them, or a key that was destroyed meanwhile
would live on in a copy.

The manifest is written when all that it names is there, and nothing that it names goes before: a
run that ends anywhere leaves the archive of before, or the new one.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import IsolationLevel
from psycopg.rows import tuple_row

from .sealing import Keyring, WrongKey
from .storage import Storage

FORMAT = 1
SEGMENT = 50_000  # entries, at most
PAGE = 5_000
ELSEWHERE = "take it from another copy, or archive to a new place"
DOCUMENT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")
Progress = Callable[[int, int], None]
Hash: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class ArchiveFault(Exception):
    """One line: what is wrong with an archive, or with where it is to be restored."""


class Line(msgspec.Struct, frozen=True):
    """An entry as it is stored."""

    position: int
    stream: UUID
    version: int
    topic: str
    state: str  # the document, sealed fields as ciphertext: exactly the bytes, in UTF-8


class KeyLine(msgspec.Struct, frozen=True, omit_defaults=True):
    stream: UUID
    created_at: datetime
    wrapped: bytes | None = None
    destroyed_at: datetime | None = None


class ReservationLine(msgspec.Struct, frozen=True):
    key: bytes
    scope: str
    stream: UUID


class ReceiptLine(msgspec.Struct, frozen=True):
    key: bytes
    fingerprint: bytes
    stream: UUID
    version: int
    position: int | None
    recorded_at: datetime


class WebhookLine(msgspec.Struct, frozen=True):
    """Everything up to ``position`` was delivered, or not wanted."""

    webhook: UUID
    since: int
    position: int


class File(msgspec.Struct, frozen=True, kw_only=True):
    """bytes  as it lies there; None: it was written when manifests did not say"""

    name: str
    sha256: Hash
    lines: int
    bytes: int | None = None


class Segment(File, frozen=True, kw_only=True):
    """entries  a hash of its entries, and of all before it"""

    first: int
    last: int
    entries: Hash


class OfAnyFormat(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest of every version says."""

    format: int


class Manifest(OfAnyFormat, frozen=True, kw_only=True):
    """head       position of the last entry in it
    ledger     a hash of the ledger up to there: of another history it is another
    key_check  of the deployment's key that it was sealed with; a hash, not the key
    documents  how many there are in the vault
    webhooks   None: it was made when archives did not hold them
    """

    head: int
    ledger: Hash
    key_check: str | None
    segments: list[Segment]
    keys: File
    reservations: File
    receipts: File
    documents: int
    webhooks: File | None = None

    @property
    def files(self) -> list[File]:
        beside = (self.keys, self.reservations, self.receipts, self.webhooks)
        return [*self.segments, *filter(None, beside)]


class Checked(NamedTuple):
    head: int
    ledger: str


BEGIN = hashlib.sha256(b"ledger-crm archive 1").hexdigest()


def archive(
    url: str, place: Storage, vault: Storage, *, progress: Progress = lambda at, of: None
) -> tuple[Manifest, int]:
    """Adds what is new, and how many entries that was. Raises ArchiveFault if the place holds the
    archive of another ledger, or of a later one, or one that lacks a segment, or another run is at
    it; StorageFault, psycopg.Error."""
    try:
        with _reading(url) as conn:
            _must_be_alone(conn, place)
            shelves = place.shelves()
            before = manifest_of(place) if "manifest.json" in shelves else None
            if before is None and any(
                shelf not in ("segments", "documents") and not shelf.endswith(".gz")
                for shelf in shelves
            ):
                raise ArchiveFault(f"{place} holds something else: name a place of its own")
            [(head,)] = conn.execute("SELECT position FROM ledger.head").fetchall()
            segments = list(before.segments) if before else []
            at, ledger = (segments[-1].last, segments[-1].entries) if segments else (0, BEGIN)
            if before and at:
                _must_be_of(conn, place, before, head)
                _must_be_whole(place, before)
            new = head - at
            for first in range(at + 1, head + 1, SEGMENT):
                last = min(first + SEGMENT - 1, head)
                running = _Running(ledger)
                lines = _lines(conn, first - 1, last, running, lambda at: progress(at, head))
                file = _write(place, f"segments/{first:012}", lines)
                if running.at != last:
                    raise ArchiveFault(f"the ledger has no entry at {running.at + 1}")
                ledger = running.hex
                segments.append(
                    Segment(
                        name=file.name, sha256=file.sha256, lines=file.lines, bytes=file.bytes,
                        first=first, last=last, entries=ledger,
                    )
                )  # fmt: skip
            check = conn.execute("SELECT key_check FROM ledger.deployment").fetchone()
            documents = _added(vault, place.within("documents"))
            manifest = Manifest(
                format=FORMAT, head=head, ledger=ledger, segments=segments,
                key_check=bytes(check[0]).hex() if check else None,
                keys=_write(place, "keys", _keys(conn), hashed=True),
                reservations=_write(place, "reservations", _reservations(conn), hashed=True),
                receipts=_write(place, "receipts", _receipts(conn), hashed=True),
                webhooks=_write(place, "webhooks", _webhooks(conn), hashed=True),
                documents=len(documents),
            )  # fmt: skip
            content = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
            place.put("manifest.json", content)
            for name in _addressed(place.within("documents")) - documents:
                place.within("documents").drop(name)
            for name in place.shelves():
                if name.endswith(".gz") and name not in {file.name for file in manifest.files}:
                    place.drop(name)
    except OSError as fault:
        raise ArchiveFault(f"{fault.filename or place}: {fault.strerror}") from None
    return manifest, new


def manifest_of(place: Storage) -> Manifest:
    """Raises ArchiveFault if there is none, or it is of another format, or has a gap."""
    path = f"{place}/manifest.json"
    try:
        content = place.get("manifest.json")
        format = msgspec.json.decode(content, type=OfAnyFormat).format
        if format != FORMAT:  # whatever else it says
            raise ArchiveFault(
                f"{place} was made by another version: its format is {format}, and this one reads"
                f" {FORMAT}"
            )
        found = msgspec.json.decode(content, type=Manifest)
    except OSError as fault:
        raise ArchiveFault(f"{place} is no archive: {path}: {fault.strerror}") from None
    except msgspec.MsgspecError:
        raise ArchiveFault(f"{path} is damaged: take it from another copy") from None
    at = 0
    for segment in found.segments:
        if segment.first != at + 1 or segment.last < segment.first:
            raise ArchiveFault(f"{path} has a gap after position {at}: take it from another copy")
        at = segment.last
    if at != found.head:
        raise ArchiveFault(f"{path} ends at {at}, and says {found.head}")
    return found


def verify(place: Storage, *, progress: Progress = lambda at, of: None) -> Manifest:
    """Every file is there and is what was written, every entry in its place. Raises
    ArchiveFault."""
    manifest = manifest_of(place)
    ledger = BEGIN
    for segment in manifest.segments:
        ledger = _checked(place, segment, ledger)[1]
        progress(segment.last, manifest.head)
    if ledger != manifest.ledger:
        raise ArchiveFault(f"{place}: its segments are those of another ledger")
    for file, type_ in (
        (manifest.keys, KeyLine), (manifest.reservations, ReservationLine),
        (manifest.receipts, ReceiptLine), (manifest.webhooks, WebhookLine),
    ):  # fmt: skip
        for _ in _decoded(place, file, type_) if file else ():
            pass
    _check_documents(place, manifest)
    return manifest


def against(url: str, manifest: Manifest, *, progress: Progress = lambda at, of: None) -> int:
    """The head of a ledger that begins exactly as the archived one. Raises ArchiveFault if it does
    not; psycopg.Error."""
    with _reading(url) as conn:
        [(head,)] = conn.execute("SELECT position FROM ledger.head").fetchall()
        if head < manifest.head:
            raise ArchiveFault(
                f"the ledger's head is at {head}, and the archive's at {manifest.head}"
            )
        for segment in manifest.segments:
            before = manifest.segments[manifest.segments.index(segment) - 1].entries
            running = _Running(before if segment.first > 1 else BEGIN)
            for _ in _lines(conn, segment.first - 1, segment.last, running, lambda at: None):
                pass
            if running.hex != segment.entries:
                raise ArchiveFault(
                    f"the ledger differs from the archive between positions {segment.first} and"
                    f" {segment.last}"
                )
            progress(segment.last, manifest.head)
    return int(head)


def restore(
    url: str,
    place: Storage,
    vault: Storage,
    keyring: Keyring,
    *,
    progress: Progress = lambda at, of: None,
) -> tuple[Manifest, bool]:
    """Into an empty database, in one transaction: it ends at the archived head, or stays empty. One
    that holds the archived ledger already, to the entry, is left as it is, so that whoever was
    stopped after that can go on; False: so it was. Raises ArchiveFault if it holds anything else,
    or a file is missing or another; WrongKey."""
    manifest = manifest_of(place)
    ours = keyring.hash_of("deployment", "check").hex()
    if manifest.key_check not in (None, ours):
        raise WrongKey("the sealing key is not the one this archive was sealed with")
    _check_documents(place, manifest)
    with psycopg.connect(url, connect_timeout=5, row_factory=tuple_row) as conn:
        [(head,)] = conn.execute("SELECT position FROM ledger.head FOR UPDATE").fetchall()
        if 0 < head == manifest.head:
            against(url, manifest, progress=progress)
            _added(place.within("documents"), vault)
            return manifest, False
        _must_be_empty(conn)
        if manifest.key_check:
            conn.execute(
                "INSERT INTO ledger.deployment (key_check) VALUES (%s) ON CONFLICT DO NOTHING",
                (bytes.fromhex(manifest.key_check),),
            )
        _copy_in(
            conn, "data_keys (stream_id, wrapped, created_at, destroyed_at)",
            ("uuid", "bytea", "timestamptz", "timestamptz"),
            ((k.stream, k.wrapped, k.created_at, k.destroyed_at)
             for k in _decoded(place, manifest.keys, KeyLine)),
        )  # fmt: skip
        ledger = BEGIN
        for segment in manifest.segments:
            lines, ledger = _checked(place, segment, ledger)
            conn.execute("UPDATE ledger.head SET position = %s", (segment.last,))
            _copy_in(
                conn,
                "entries (originator_id, originator_version, topic, state, notification_id)",
                ("uuid", "bigint", "text", "bytea", "bigint"),
                ((e.stream, e.version, e.topic, e.state.encode(), e.position) for e in lines),
            )
            progress(segment.last, manifest.head)
        if ledger != manifest.ledger:
            raise ArchiveFault(f"{place}: its segments are those of another ledger")
        # after the entries: those of whoever is erased were given up with them
        _copy_in(
            conn, "reservations (key, scope, stream_id)", ("bytea", "text", "uuid"),
            ((r.key, r.scope, r.stream)
             for r in _decoded(place, manifest.reservations, ReservationLine)),
        )  # fmt: skip
        _copy_in(
            conn, "receipts (key, fingerprint, stream_id, version, position, recorded_at)",
            ("bytea", "bytea", "uuid", "bigint", "bigint", "timestamptz"),
            ((r.key, r.fingerprint, r.stream, r.version, r.position, r.recorded_at)
             for r in _decoded(place, manifest.receipts, ReceiptLine)),
        )  # fmt: skip
        if manifest.webhooks:
            _copy_in(
                conn, "webhook_standing (webhook_id, since, position)",
                ("uuid", "bigint", "bigint"),
                ((w.webhook, w.since, w.position)
                 for w in _decoded(place, manifest.webhooks, WebhookLine)),
            )  # fmt: skip
        _rebuild_read_models(conn)
        _added(place.within("documents"), vault)
    return manifest, True


class _Running:
    """A hash of entries in order, each bound to all before it."""

    def __init__(self, before: str) -> None:
        self._hash = hashlib.sha256(bytes.fromhex(before))
        self.at = 0

    def add(self, line: Line) -> None:
        state = line.state.encode()
        head = f"{line.position} {line.stream} {line.version} {line.topic} {len(state)}\n"
        self._hash.update(head.encode() + state)
        self.at = line.position

    @property
    def hex(self) -> str:
        return self._hash.hexdigest()


def _reading(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """One snapshot of everything, in which nothing can be written."""
    conn = psycopg.connect(url, connect_timeout=5, row_factory=tuple_row)
    conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
    return conn


def _lines(
    conn: psycopg.Connection[tuple[Any, ...]],
    after: int,
    upto: int,
    running: _Running,
    progress: Callable[[int], None],
) -> Iterator[Line]:
    while after < upto:
        rows = conn.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state"
            " FROM ledger.entries WHERE notification_id > %s AND notification_id <= %s"
            " ORDER BY notification_id LIMIT %s",
            (after, upto, PAGE),
            binary=True,
        ).fetchall()
        if not rows:
            return
        for position, stream, version, topic, state in rows:
            line = Line(position, stream, version, topic, bytes(state).decode())
            running.add(line)
            yield line
        after = rows[-1][0]
        progress(after)


def _keys(conn: psycopg.Connection[tuple[Any, ...]]) -> Iterator[KeyLine]:
    for id, created_at, wrapped, destroyed_at in _each(
        conn, "SELECT stream_id, created_at, wrapped, destroyed_at FROM ledger.data_keys ORDER BY 1"
    ):
        yield KeyLine(id, created_at, wrapped and bytes(wrapped), destroyed_at)


def _reservations(conn: psycopg.Connection[tuple[Any, ...]]) -> Iterator[ReservationLine]:
    for key, scope, id in _each(
        conn, "SELECT key, scope, stream_id FROM ledger.reservations ORDER BY 1"
    ):
        yield ReservationLine(bytes(key), scope, id)


def _receipts(conn: psycopg.Connection[tuple[Any, ...]]) -> Iterator[ReceiptLine]:
    for key, fingerprint, *rest in _each(
        conn,
        "SELECT key, fingerprint, stream_id, version, position, recorded_at FROM ledger.receipts"
        " ORDER BY 1",
    ):
        yield ReceiptLine(bytes(key), bytes(fingerprint), *rest)


def _webhooks(conn: psycopg.Connection[tuple[Any, ...]]) -> Iterator[WebhookLine]:
    """From the first that waits beside the others to be tried again, with all that follows it."""
    for row in _each(
        conn,
        "SELECT webhook_id, since, least(position, (SELECT min(w.position) - 1"
        "   FROM ledger.webhook_waiting w WHERE w.webhook_id = s.webhook_id))"
        " FROM ledger.webhook_standing s ORDER BY 1",
    ):
        yield WebhookLine(*row)


def _each(conn: psycopg.Connection[tuple[Any, ...]], query: str) -> Iterator[tuple[Any, ...]]:
    """Some at a time: there is one for every entry, or for every person."""
    with conn.cursor("each") as rows:
        rows.itersize = PAGE
        rows.execute(query.encode())
        yield from rows


def _must_be_alone(conn: psycopg.Connection[tuple[Any, ...]], place: Storage) -> None:
    """Of two at once each would take the other's files for those of before."""
    lock = "SELECT pg_try_advisory_lock(hashtext('ledger_crm archive'), hashtext(%s))"
    if conn.execute(lock, (str(place),)).fetchone() != (True,):
        raise ArchiveFault(f"another run is archiving to {place}: wait until it is done")


def _must_be_of(
    conn: psycopg.Connection[tuple[Any, ...]], place: Storage, manifest: Manifest, head: int
) -> None:
    """The archive's last segment is this ledger's."""
    segment = manifest.segments[-1]
    if segment.last > head:
        raise ArchiveFault(
            f"{place} is at {segment.last}, beyond this ledger's {head}: it is another ledger's, or"
            " this one was restored from an older backup; name another place"
        )
    running = _Running(manifest.segments[-2].entries if len(manifest.segments) > 1 else BEGIN)
    for _ in _lines(conn, segment.first - 1, segment.last, running, lambda at: None):
        pass
    if running.hex != segment.entries:
        raise ArchiveFault(
            f"{place} is the archive of another ledger, or of this one before it was restored from"
            " an older backup: name another place"
        )


def _must_be_whole(place: Storage, manifest: Manifest) -> None:
    """Every segment lies there, as long as it was written, and the last one is what was written:
    nothing writes them again, so a run that adds to less would call it a backup. All of them are
    read by ``verify``."""
    there = {f"segments/{name}": size for name, size in place.within("segments").sizes()}
    last = manifest.segments[-1]
    for segment in manifest.segments:
        if segment.name not in there:
            raise ArchiveFault(f"{place}/{segment.name} is missing: {ELSEWHERE}")
        if segment.bytes not in (None, there[segment.name]):
            raise ArchiveFault(
                f"{place}/{segment.name} is not what was written: it has {there[segment.name]}"
                f" bytes, and not {segment.bytes}; {ELSEWHERE}"
            )
    with place.reading(last.name) as content:
        if _sha256(content) != last.sha256:
            raise ArchiveFault(
                f"{place}/{last.name} is not what was written: its hash is another; {ELSEWHERE}"
            )


def _must_be_empty(conn: psycopg.Connection[tuple[Any, ...]]) -> None:
    for table in ("entries", "data_keys", "reservations", "receipts"):
        if conn.execute(f"SELECT FROM ledger.{table} LIMIT 1".encode()).fetchone() is not None:
            raise ArchiveFault(
                f"the database is not empty: ledger.{table} has rows; restore into a new one, such"
                " as that of a new LEDGER_HOME"
            )


def _rebuild_read_models(conn: psycopg.Connection[tuple[Any, ...]]) -> None:
    """They stand at the beginning of an empty ledger, and may be read there: not so any more."""
    there = conn.execute("SELECT to_regclass('read.projection_position') IS NOT NULL").fetchone()
    if there == (True,):
        conn.execute("UPDATE read.projection_position SET version = -1")


def _copy_in(
    conn: psycopg.Connection[tuple[Any, ...]],
    into: str,
    types: tuple[str, ...],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    copy_sql = f"COPY ledger.{into} FROM STDIN (FORMAT BINARY)"
    with conn.cursor() as cur, cur.copy(copy_sql.encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _write(
    place: Storage, name: str, lines: Iterable[msgspec.Struct], *, hashed: bool = False
) -> File:
    """In its place whole, with the same bytes for the same lines. ``hashed``: under their hash."""
    encode, count = msgspec.json.Encoder().encode, 0
    with place.draft(name.rpartition("/")[2], private=name == "keys") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0, filename="") as out:
            for line in lines:
                out.write(encode(line) + b"\n")
                count += 1
        size = file.tell()
        file.seek(0)
        sha256 = _sha256(file)
        name = f"{name}.{sha256[:16]}.jsonl.gz" if hashed else f"{name}.jsonl.gz"
        place.keep(file, name)
    return File(name=name, sha256=sha256, lines=count, bytes=size)


L = TypeVar("L", bound=msgspec.Struct)


def _decoded(place: Storage, file: File, type_: type[L]) -> Iterator[L]:
    """Line by line, once its hash is right. Raises ArchiveFault if it is not there, or not what was
    written."""
    path, count = f"{place}/{file.name}", 0
    decode = msgspec.json.Decoder(type_).decode
    try:
        with place.reading(file.name) as content:
            if _sha256(content) != file.sha256:
                raise ArchiveFault(
                    f"{path} is not what was written: its hash is another; take it from another"
                    " copy"
                )
            content.seek(0)
            with gzip.GzipFile(fileobj=content) as lines:
                for line in lines:
                    yield decode(line)
                    count += 1
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.MsgspecError):
        raise ArchiveFault(f"{path} cannot be read, though its hash is right") from None
    except FileNotFoundError:
        raise ArchiveFault(f"{path} is missing: take it from another copy") from None
    except OSError as fault:
        raise ArchiveFault(f"{path}: {fault.strerror}") from None
    if count != file.lines:
        raise ArchiveFault(f"{path} has {count} lines, and not {file.lines}")


def _checked(place: Storage, segment: Segment, before: str) -> tuple[list[Line], str]:
    """Its entries, each in its place."""
    lines, running = list(_decoded(place, segment, Line)), _Running(before)
    for line in lines:
        running.add(line)
    if [line.position for line in lines] != list(range(segment.first, segment.last + 1)):
        raise ArchiveFault(
            f"{place}/{segment.name} does not hold {segment.first} to {segment.last}"
        )
    if running.hex != segment.entries:
        raise ArchiveFault(f"{place}/{segment.name} does not follow those before it")
    return lines, running.hex


def _check_documents(place: Storage, manifest: Manifest) -> None:
    """Those that a run which was killed had added already do no harm."""
    documents, found = place.within("documents"), 0
    for name in sorted(_addressed(documents)):
        if _hash_of(documents.get(name)) != name.rpartition("/")[2]:
            raise ArchiveFault(
                f"{documents}/{name} is not what was written: take it from another copy"
            )
        found += 1
    if found < manifest.documents:
        raise ArchiveFault(f"{documents} has {found} documents, and not {manifest.documents}")


def _added(source: Storage, target: Storage) -> set[str]:
    """Documents that are not there yet. The names of all that are in the source."""
    names = _addressed(source)
    for name in sorted(names - _addressed(target)):
        target.put(name, source.get(name))
    return names


def _addressed(storage: Storage) -> set[str]:
    return {name for name, _ in storage.sizes() if DOCUMENT.fullmatch(name)}


def _sha256(file: Any) -> str:
    """Of all that follows in a file that is open."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
