"""The event store: the one module that knows the library ``eventsourcing`` and the ledger's tables.

    Recorder      the library's PostgreSQL recorder, with dense positions and, in the same
                  transaction, what an append is made of besides entries (``Append``)
    EntryMapper   entry <-> stored row; sealing and opening of personal fields
    Store         both, over one pool; synchronous, the door in ``ledger.py`` makes it awaitable
    Save          what one command writes: entries, and what is written with them

Saves are written by one call of a function in the database (``schema/0002_append.sql``), as many
as there are: one round trip, one transaction, one fsync, and each is judged for itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib.resources import files
from operator import attrgetter
from select import POLLIN, poll
from typing import Annotated, Any, NamedTuple, NoReturn, TypeAlias
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    JSONTranscoder,
    Mapper,
    Notification,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from msgspec import structs
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row

from .domain import EVENTS
from .domain.entry import (
    CLOCKS_DIFFER,
    ERASED,
    Actor,
    Aggregate,
    Entry,
    Event,
    Instant,
    Reservation,
    kind,
    sealed_fields,
)
from .domain.refusals import Invalid
from .packing import Pack, Packed, flags, ints, longs, raws, texts, uuids
from .sealing import DataKey, Hashes, Keyring, UnknownFormat, WrongKey, seal, unseal
from .snapshot import PROGRAM, frozen, thawed


class Row(msgspec.Struct, frozen=True, gc=False):
    """An entry as stored; ``id`` is its position, 0 where that is not asked for. What leaves the
    house (relay, archive) is rows, so that personal fields stay sealed. The library's own
    ``Notification`` has the same fields and takes twenty times as long to make."""

    originator_id: UUID
    originator_version: int
    topic: str
    state: bytes
    id: int = 0


AnyRow: TypeAlias = Row | StoredEvent


Lost = (OperationalError, InterfaceError)
"""The database did not answer; what was asked of it may or may not have happened."""

Refused = IntegrityError
"""The database refused an append; ``refused_by`` tells which of its rules did."""


class Slow(Exception):
    """The database ended a statement that took too long. Nothing of it happened."""


class NoRoom(Exception):
    """The database's disk is full. Nothing of what was asked happened."""


class RefusedBy(IntegrityError):
    """``rule``: the name of the database's rule, as ``refused_by`` tells it."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class NotDurable(Exception):
    """This database answers before what it was told is on its disk, by synchronous_commit = off:
    what we acknowledge could be lost. Take that back where it is set: for the server, the database
    or the role."""


class Undecodable(Exception):
    """An entry that this version of the software cannot read. Names where, never what."""

    def __init__(self, topic: str, position: int, stream: UUID, version: int, why: str) -> None:
        at = f"position {position}" if position else f"version {version} of stream {stream}"
        super().__init__(f"entry at {at} with topic {topic} cannot be read: {why}")
        self.topic, self.position = topic, position


class NulInText(Invalid):
    """Text must not hold the character NUL (U+0000): no read model could keep it."""


class DoesNotFit(Invalid):
    """A value is not what this field of the fact can hold."""


class Claim(msgspec.Struct, frozen=True):
    """A row of the reservations table. ``reservation`` is None where a repeat is a no-op."""

    key: bytes
    scope: str
    stream_id: UUID
    reservation: Reservation | None = None


class Kept(msgspec.Struct, frozen=True):
    """A row of the receipts table, to be written. ``offset``: which of the entries written with
    it, counted from 1, is the command's last; 0: it wrote none."""

    key: bytes
    fingerprint: bytes
    stream_id: UUID
    version: int
    offset: int


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the transaction besides the entries.

    releases   reservations that streams give back
    rests_on   versions of streams that were read and not written
    opened     streams that were read some time ago, with a key that may be destroyed by now
    data_keys  wrapped keys of streams that had none
    """

    claims: Sequence[Claim] = ()
    releases: Sequence[Claim] = ()
    receipts: Sequence[Kept] = ()
    rests_on: dict[UUID, int] = {}
    opened: Sequence[UUID] = ()
    data_keys: dict[UUID, bytes] = {}


class Save(msgspec.Struct, eq=False):
    """doubtful  it was sent before and nobody answered: its rows may be there already"""

    rows: Sequence[StoredEvent]
    append: Append = Append()
    doubtful: bool = False

    @property
    def size(self) -> int:
        """In bytes, about."""
        with_it = self.append
        size = sum([len(row.state) + 120 for row in self.rows])
        size += 40 * (len(with_it.rests_on) + len(with_it.opened))
        return size + 160 * (
            len(with_it.claims)
            + len(with_it.releases)
            + len(with_it.receipts)
            + len(with_it.data_keys)
        )

    @property
    def touches(self) -> tuple[set[UUID | bytes], set[UUID | bytes]]:
        """What it changes, which another save in the same call must neither change nor look at, for
        one of them would be judged too early; and what it looks at."""
        with_it = self.append
        touched: set[UUID | bytes] = {_uuid(row) for row in self.rows}
        touched.update(with_it.data_keys)
        touched.update(claim.key for claim in (*with_it.claims, *with_it.releases))
        touched.update(receipt.key for receipt in with_it.receipts)
        return touched, set(with_it.rests_on)


class Stored(msgspec.Struct, omit_defaults=True):
    """The document in ``state``. Sealed fields lie apart from the clear ones."""

    timestamp: datetime
    by: Actor
    event: msgspec.Raw
    cause: str = ""
    originator_topic: str = ""
    sealed: dict[str, str] = {}
    through: str = ""


class Told(msgspec.Struct, frozen=True):
    """An entry, as whoever follows the ledger hears of it.

    recorded_at  when it was written down
    by           who wrote it
    cause        id of the request, or of what else it came of
    fact         by its kind
    sealed       names of fields of the fact that are not shown
    through      the key or session that it was written through, like `key:<id>`; "": none

    Of one on a confidential job order that the caller does not see there are `position` and
    `recorded_at`: its `kind` is `hidden`, its `stream` all zeros, and what else there is empty.
    """

    position: int
    stream: UUID
    version: int
    kind: str
    recorded_at: Instant
    by: Actor
    cause: str
    fact: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
    sealed: Sequence[str]
    through: str = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; nothing set: all of them. ``until``: before that moment."""

    kinds: tuple[str, ...] | None = None
    stream: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = Wanted()


class Followed(NamedTuple):
    """position  whatever was asked for up to here has been told
    head      of the ledger when it was asked
    over      what comes after ``position`` is none of it, now and for ever
    """

    entries: list[Told]
    position: int
    head: int
    over: bool


SCANNED = 5_000  # entries that are looked at for one page
SHARED = 50_000  # positions that one of several who share the streams looks through at once
PAGE_BYTES = 2**20  # that one page holds, or one entry that is larger

_NO_CLAIM = (Event.once, Event.reserves, Event.releases)
decode_stored = msgspec.json.Decoder(Stored).decode
_upcast = {t for t, e in EVENTS.items() if e.upcast.__func__ is not Event.upcast.__func__}  # type: ignore[attr-defined]
_claiming = {e for e in EVENTS.values() if (e.once, e.reserves, e.releases) != _NO_CLAIM}
_encoder = msgspec.json.Encoder()


@cache
def _decoder(topic: str) -> msgspec.json.Decoder[Event]:
    """Made when one is met: each process made hundreds at its start, a twelfth of that."""
    return msgspec.json.Decoder(EVENTS[topic])


class EntryMapper(Mapper[UUID]):
    """Entry <-> stored row, with the data keys of the streams in hand: ``keys`` has None for a
    destroyed one. Made for each batch, so that a destroyed key is forgotten with it.

    keyring  None: it only reads
    shut     what a sealed field reads as whose key is not in hand
    """

    def __init__(
        self,
        keyring: Keyring | None,
        keys: dict[UUID, DataKey | None],
        *,
        shut: str = ERASED,
    ) -> None:
        super().__init__(JSONTranscoder())
        self.keyring, self.keys, self.shut = keyring, keys, shut
        self.fresh: dict[UUID, bytes] = {}

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Raises DoesNotFit, NulInText rather than write what could not be read again."""
        entry: Entry[Event] = domain_event
        event, stream, version = entry.event, entry.originator_id, entry.originator_version
        topic, names, texts_of = _written_as(type(event))
        encoded = _encoder.encode(event)
        if b"\\u0000" in encoded and _has_nul(msgspec.json.decode(encoded)):
            raise NulInText(kind=topic)
        try:
            _decoder(topic).decode(encoded)
        except msgspec.ValidationError as fault:
            where = str(fault).rpartition(" - at ")[2].strip("`$.")  # not what was there
            raise DoesNotFit(kind=topic, at=where) from None
        document = Stored(
            entry.timestamp, entry.by, msgspec.Raw(encoded), entry.cause, entry.originator_topic,
            through=entry.through,
        )  # fmt: skip
        if names and any(texts_of(event)):
            clear: dict[str, Any] = msgspec.json.decode(encoded)
            if texts := {name: clear.pop(name) for name in names if name in clear}:
                key = self._key(stream)
                document.event = msgspec.Raw(_encoder.encode(clear))
                document.sealed = {
                    name: ""
                    if key is None
                    else seal(key, text, topic=topic, stream=stream, version=version, field=name)
                    for name, text in sorted(texts.items())
                }
        return StoredEvent(stream, version, topic, _encoder.encode(document))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Raises Undecodable; its text carries no payload."""
        return self.opened(stored_event, decode_stored(stored_event.state))

    def opened(self, row: AnyRow, document: Stored) -> Entry[Event]:
        position = getattr(row, "id", 0)
        if row.topic not in EVENTS:
            self._undecodable(row, position, "no such topic in this version")
        try:
            stored: bytes | msgspec.Raw = document.event
            if document.sealed:
                key = self.keys.get(_uuid(row))
                texts = {n: self._open(key, row, n, text) for n, text in document.sealed.items()}
                # one object of two, both as we wrote them and never empty: twice as fast as dicts
                stored = bytes(document.event)[:-1] + b"," + _encoder.encode(texts)[1:]
            if row.topic in _upcast:
                clear = EVENTS[row.topic].upcast(msgspec.json.decode(stored))
                event = msgspec.convert(clear, EVENTS[row.topic], strict=True)
            else:
                event = _decoder(row.topic).decode(stored)
            return Entry(
                originator_id=_uuid(row),
                originator_version=row.originator_version,
                position=position,
                timestamp=document.timestamp,
                by=document.by,
                event=event,
                cause=document.cause,
                originator_topic=document.originator_topic,
                through=document.through,
            )
        except (msgspec.MsgspecError, ValueError) as fault:
            self._undecodable(row, position, type(fault).__name__)

    def told(self, row: Row | Notification, document: Stored) -> Told:
        """As it was written; with what its key opens, if that is at hand. Raises Undecodable."""
        fact, names = document.event, sorted(document.sealed)
        if key := self.keys.get(_uuid(row)):
            event = EVENTS.get(row.topic)
            keep = event.stays_sealed if event else names
            try:
                texts = {
                    name: self._open(key, row, name, text)
                    for name, text in document.sealed.items()
                    if text and name not in keep
                }
            except ValueError as fault:
                self._undecodable(row, row.id, type(fault).__name__)
            names = [name for name in names if name not in texts]
            if texts:
                fact = msgspec.Raw(bytes(fact)[:-1] + b"," + _encoder.encode(texts)[1:])
        return Told(
            row.id, _uuid(row), row.originator_version, row.topic, document.timestamp,
            document.by, document.cause, fact, names, document.through,
        )  # fmt: skip

    def _open(self, key: DataKey | None, row: AnyRow, name: str, sealed: str) -> str:
        if key is None or not sealed:
            return self.shut
        return unseal(
            key,
            sealed,
            topic=row.topic,
            stream=_uuid(row),
            version=row.originator_version,
            field=name,
        )

    def _key(self, stream: UUID) -> DataKey | None:
        if stream not in self.keys:
            assert self.keyring, "to write, it takes one"
            self.fresh[stream], self.keys[stream] = self.keyring.fresh()
        return self.keys[stream]

    def _undecodable(self, row: AnyRow, position: int, why: str) -> NoReturn:
        raise Undecodable(row.topic, position, _uuid(row), row.originator_version, why) from None


class Datastore(PostgresDatastore):
    """The library's pool. A server that takes no writes any more (SQLSTATE 25006: it was the
    primary until a failover) counts as lost, like one that is away. One that has ended a statement
    (57014: it took too long), or has no room for what it writes (53100), does not: it is there, and
    nothing of the statement happened.

    lost  how many connections ended, while they were used or before
    """

    lost = 0

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[Any]]:
        with self._lasting() as conn:
            try:
                yield conn
            except psycopg.errors.ReadOnlySqlTransaction as standby:
                conn.close()  # the address may lead to the new primary by now
                self.pool.drain()  # and the others lead where this one did
                raise psycopg.OperationalError("the server takes no writes") from standby
            except psycopg.errors.QueryCanceled as slow:
                raise Slow() from slow
            except psycopg.errors.DiskFull as full:
                raise NoRoom() from full
            finally:
                self.lost += conn.closed

    @contextmanager
    def _lasting(self) -> Iterator[psycopg.Connection[Any]]:
        while True:
            with super().get_connection() as conn:
                if has_ended(conn):
                    self.lost += 1
                    continue  # the pool makes another
                yield conn
                return


def has_ended(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server ended this idle connection: it is known before anything is sent, for the
    end lies there to be read. Asks nobody."""
    try:
        coming = poll()
        coming.register(conn, POLLIN)
        while coming.poll(0):
            conn.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return False


class Recorder(PostgresApplicationRecorder):
    """Entries at dense positions, and what is appended with them, together or not at all.

    The library's retry is taken off: whether an append may be repeated is for the door to say,
    which can find out whether the first attempt was written.
    """

    select_events = PostgresApplicationRecorder.select_events.__wrapped__
    select_notifications = PostgresApplicationRecorder.select_notifications.__wrapped__

    def __init__(self, datastore: PostgresDatastore) -> None:
        if datastore.enable_db_functions:
            raise ValueError(
                "POSTGRES_ENABLE_DB_FUNCTIONS drops the append lock, and readers then skip entries"
            )
        super().__init__(datastore, events_table_name="entries")

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, append: Append | None = None, **_: Any
    ) -> Sequence[int] | None:
        [answer] = self.insert_together([Save(stored_events, append or Append())])
        if isinstance(answer, IntegrityError):
            raise answer
        return list(answer) or None

    def insert_together(self, saves: Sequence[Save]) -> list[Sequence[int] | RefusedBy]:
        """The positions of each save's entries, or by which rule it was refused.

        Raises IntegrityError if no save was written, because one breaks a rule that only a trigger
        or an index can see, or because two of them want the same.
        """
        with (
            self.datastore.get_connection() as conn,
            conn.cursor(row_factory=tuple_row, binary=True) as curs,
        ):
            [(at, refused, rules)] = curs.execute(APPEND, _columns_of(saves), prepare=True)
        why = dict(zip(refused, rules, strict=True))
        answers: list[Sequence[int] | RefusedBy] = []
        for number, save in enumerate(saves):
            if number in why:
                answers.append(RefusedBy(why[number]))
            else:
                answers.append(range(at + 1, at + 1 + len(save.rows)))
                at += len(save.rows)
        return answers

    def create_table(self) -> None:
        """Nothing: the tables come from ``schema/``."""


APPEND = (
    "SELECT * FROM ledger.append("
    "%b::int[], %b::uuid[], %b::bigint[], %b::text[], %b::bytea[],"
    " %b::int[], %b::uuid[], %b::bigint[],"
    " %b::int[], %b::uuid[],"
    " %b::int[], %b::uuid[], %b::bytea[],"
    " %b::int[], %b::bytea[], %b::text[], %b::uuid[], %b::boolean[],"
    " %b::int[], %b::bytea[], %b::uuid[],"
    " %b::int[], %b::bytea[], %b::bytea[], %b::uuid[], %b::bigint[], %b::bigint[])"
)


SNAPSHOT = -1
"""After this version: after the snapshot, if there is one."""
AFTER_ALL = 2**62  # versions: whatever else there is comes first

RECEIPTS = (
    "SELECT r.stream_id, 0, 'receipt', r.key || int8send(r.version)"
    "   || int8send(coalesce(r.position, 0)) || r.fingerprint"
    " FROM ledger.receipts r WHERE r.key = ANY(%b::bytea[])"
)
LOAD = (
    "WITH w AS MATERIALIZED ("
    " SELECT u.id, CASE WHEN NOT u.snapshot THEN u.version WHEN s.version IS NULL THEN 0"
    "   ELSE least(s.version, u.version) END AS version, s.version AS folded, s.state"
    " FROM unnest(%b::uuid[], %b::bigint[], %b::boolean[]) AS u (id, version, snapshot)"
    " LEFT JOIN ledger.snapshots s ON u.snapshot AND s.stream_id = u.id AND s.program = %b)"
    " SELECT e.originator_id, e.originator_version, e.topic, e.state"
    " FROM w JOIN ledger.entries e ON e.originator_id = w.id AND e.originator_version > w.version"
    " UNION ALL SELECT k.stream_id, 0, '', k.wrapped"
    " FROM w JOIN ledger.data_keys k ON k.stream_id = w.id"
    " UNION ALL SELECT w.id, -w.folded, '', w.state FROM w WHERE w.state IS NOT NULL"
    f" UNION ALL {RECEIPTS} ORDER BY 1, 2"
)
"""Streams after a version, their data keys as version 0, and snapshots as versions below that; and
receipts."""

LOAD_AFTER = (
    "SELECT e.originator_id, e.originator_version, e.topic, e.state"
    " FROM unnest(%b::uuid[], %b::bigint[]) AS w (id, version)"
    " JOIN ledger.entries e ON e.originator_id = w.id AND e.originator_version > w.version"
    " UNION ALL SELECT k.stream_id, 0, '', k.wrapped"
    " FROM ledger.data_keys k WHERE k.stream_id = ANY(%b::uuid[])"
    f" UNION ALL {RECEIPTS} ORDER BY 1, 2"
)
"""As ``LOAD``, for whoever wants no snapshot: it is done in half the time."""


def _columns_of(saves: Sequence[Save]) -> list[Packed | None]:
    """The arguments of ``ledger.append``: an array for each column, None for one without rows.
    The library's array of composites costs twenty times as much."""
    entries: list[tuple[Any, ...]] = []
    rests: list[tuple[Any, ...]] = []
    opened: list[tuple[Any, ...]] = []
    keys: list[tuple[Any, ...]] = []
    claims: list[tuple[Any, ...]] = []
    releases: list[tuple[Any, ...]] = []
    receipts: list[tuple[Any, ...]] = []
    for number, save in enumerate(saves):
        before, with_it = len(entries), save.append
        for r in save.rows:
            entries.append((number, r.originator_id, r.originator_version, r.topic, r.state))
        for id, version in with_it.rests_on.items():
            rests.append((number, id, version))
        for id in with_it.opened:
            opened.append((number, id))
        for id, wrapped in with_it.data_keys.items():
            keys.append((number, id, wrapped))
        for c in with_it.claims:
            claims.append((number, c.key, c.scope, c.stream_id, c.reservation is None))
        for c in with_it.releases:
            releases.append((number, c.key, c.stream_id))
        for k in with_it.receipts:
            nth = before + k.offset if k.offset else 0
            receipts.append((number, k.key, k.fingerprint, k.stream_id, k.version, nth))
    tables: tuple[tuple[list[tuple[Any, ...]], tuple[Pack, ...]], ...] = (
        (entries, (ints, uuids, longs, texts, raws)),
        (rests, (ints, uuids, longs)),
        (opened, (ints, uuids)),
        (keys, (ints, uuids, raws)),
        (claims, (ints, raws, texts, uuids, flags)),
        (releases, (ints, raws, uuids)),
        (receipts, (ints, raws, raws, uuids, longs, longs)),
    )
    columns: list[Packed | None] = []
    for rows, types in tables:
        if rows:
            of_columns = zip(types, zip(*rows, strict=True), strict=True)
            columns += [packed(values) for packed, values in of_columns]
        else:
            columns += [None] * len(types)
    return columns


Answered = tuple[bytes, UUID, int, int | None]
"""What a receipt says: fingerprint, stream, version, position."""


class Loaded(NamedTuple):
    """entries  in order, stream by stream
    keys     the streams' data keys; None: destroyed
    folded   the streams that a snapshot was found of: the entries are what came after
    kept     the receipts that are there, of those that were asked for with it
    """

    entries: list[Entry[Event]]
    keys: dict[UUID, DataKey | None]
    folded: dict[UUID, Aggregate]
    kept: dict[bytes, Answered]


class Store:
    """The ledger's tables, synchronous. Every method may raise one of ``Lost``."""

    def __init__(self, url: str, keyring: Keyring, *, connections: int = 12) -> None:
        self.keyring = keyring
        self._datastore = datastore(url, connections=connections)
        self.recorder = Recorder(self._datastore)
        # a caller's key may be made of an address, and receipts cannot be erased; it is looked for,
        # and then written
        self.hidden = Hidden(keyring)

    @property
    def lost(self) -> int:
        """How many connections ended, while they were used or before."""
        return self._datastore.lost

    def close(self) -> None:
        self.recorder.datastore.close()

    def check_key(self) -> None:
        """The first deployment key stays the only one. Raises WrongKey."""
        ours = self.keyring.hash_of("deployment", "check")
        kept = self._select(
            "INSERT INTO ledger.deployment (key_check) VALUES (%s)"
            " ON CONFLICT (one) DO NOTHING RETURNING key_check",
            (ours,),
        )  # a statement of its own: what another process kept meanwhile is seen by the next one
        [(check,)] = kept or self._select("SELECT key_check FROM ledger.deployment")
        if bytes(check) != ours:
            raise WrongKey("the sealing key is not the one this database was sealed with")

    def check_durable(self) -> None:
        """Raises NotDurable."""
        [(committing,)] = self._select("SELECT current_setting('synchronous_commit')")
        if committing == "off":
            raise NotDurable(" ".join((NotDurable.__doc__ or "").split()))

    def head(self) -> int:
        """Position of the newest entry, 0 when there is none."""
        [(position,)] = self._select("SELECT position FROM ledger.head")
        return int(position)

    def has_consultants(self) -> bool:
        """By an index of its own (``schema/0009_consultants.sql``)."""
        [(there,)] = self._select(
            "SELECT EXISTS (SELECT FROM ledger.entries WHERE topic = 'consultant.added')"
        )
        return bool(there)

    def rows(self, *, after: int, limit: int) -> Sequence[Row]:
        """As the recorder's ``select_notifications``, which makes a dict of every row."""
        found = self._select(
            "SELECT originator_id, originator_version, topic, state, notification_id"
            " FROM ledger.entries WHERE notification_id > %s ORDER BY notification_id LIMIT %s",
            (after, limit),
        )
        return [Row(*row) for row in found]

    def entries(self, *, after: int, limit: int) -> list[Entry[Event]]:
        return self._opened(self.rows(after=after, limit=limit))

    def share(
        self, *, after: int, upto: int, number: int, of: int, topics: Sequence[str], limit: int
    ) -> tuple[list[Entry[Event]], int]:
        """Entries of these topics on the streams of one of so many who share them, ``number`` from
        0; and up to where that is all. However little is wanted, no more than SHARED positions are
        looked through."""
        end = min(upto, after + SHARED)
        found = self._select(
            "SELECT originator_id, originator_version, topic, state, notification_id"
            " FROM ledger.entries WHERE notification_id > %s AND notification_id <= %s"
            " AND topic = ANY(%s) AND (uuid_hash(originator_id)::bigint & 1073741823) %% %s = %s"
            " ORDER BY notification_id LIMIT %s",
            (after, end, list(topics), of, number, limit),
        )
        rows = [Row(*row) for row in found]
        return self._opened(rows), rows[-1].id if len(rows) == limit else end

    def count(self, *, after: int, upto: int) -> int:
        """Of entries after the one position up to the other."""
        [(count,)] = self._select(
            "SELECT count(*) FROM ledger.entries WHERE notification_id > %s"
            " AND notification_id <= %s",
            (after, upto),
        )
        return int(count)

    def follow(
        self, *, after: int, limit: int, wanted: Wanted = ALL, opens: bool = False
    ) -> Followed:
        """What was written after a position, in order. However little is found, no more than
        SCANNED entries are looked at, or those of one stream. ``opens``: sealed fields too, of
        whoever is not erased. Raises Undecodable."""
        head = self.head()  # first: everything up to there is seen by what is asked after it
        if wanted.since:
            after = max(after, self._before(wanted.since - CLOCKS_DIFFER, after, head))
        upto = head if wanted.stream else min(after + SCANNED, head)
        rows, cut = self._page(after, upto, limit, wanted)
        position = max(after, rows[-1].id if cut else upto)
        told = [
            entry
            for entry in self._told(rows, opens=opens)
            if (wanted.since is None or entry.recorded_at >= wanted.since)
            and (wanted.until is None or entry.recorded_at < wanted.until)
        ]
        over = wanted.until is not None and not self._is_before(
            wanted.until + CLOCKS_DIFFER, position
        )
        return Followed(told, position, head, over)

    def _page(self, after: int, upto: int, limit: int, wanted: Wanted) -> tuple[list[Row], bool]:
        """And whether there may be more of them up to there."""
        only, values = "", list[Any]()
        if wanted.stream:
            only, values = " AND originator_id = %s", [wanted.stream]
        if wanted.kinds is not None:
            only, values = f"{only} AND topic = ANY(%s)", [*values, list(wanted.kinds)]
        # of one stream by its own index, whose order is the ledger's
        order = "originator_version" if wanted.stream else "notification_id"
        found = self._select(
            "SELECT originator_id, originator_version, topic, state, notification_id, found FROM ("
            "  SELECT *, count(*) OVER () AS found, octet_length(state) AS size,"
            "   sum(octet_length(state)) OVER (ORDER BY notification_id) AS so_far FROM ("
            "    SELECT * FROM ledger.entries WHERE notification_id > %s AND notification_id <= %s"
            f"   {only} ORDER BY {order} LIMIT %s) page"
            " ) sized WHERE so_far - size < %s ORDER BY notification_id",
            [after, upto, *values, limit, PAGE_BYTES],
        )
        rows = [Row(*row[:5]) for row in found]
        return rows, bool(found) and (found[0][5] == limit or found[0][5] > len(rows))

    def _before(self, moment: datetime, after: int, head: int) -> int:
        """A position up to which everything was written before a moment."""
        low, high = after, head + 1
        while high - low > 1:
            middle = (
                (low + high) // 2 if low > after else low + 1
            )  # mostly the first is late enough
            if self._is_before(moment, middle):
                low = middle
            else:
                high = middle
        return low

    def _is_before(self, moment: datetime, position: int) -> bool:
        found = self._select(
            "SELECT state FROM ledger.entries WHERE notification_id = %s", (position,)
        )
        return not found or decode_stored(found[0][0]).timestamp < moment

    def _told(self, rows: Sequence[Row], *, opens: bool) -> list[Told]:
        documents = _documents(rows)
        keys = self._keys_of(rows, documents) if opens else {}
        mapper = EntryMapper(self.keyring, keys)
        return [mapper.told(row, doc) for row, doc in zip(rows, documents, strict=True)]

    def of_topics(self, topics: Sequence[str]) -> list[Entry[Event]]:
        found: list[Notification] = []
        while page := self.recorder.select_notifications(
            found[-1].id if found else 0, 1_000, topics=list(topics), inclusive_of_start=False
        ):
            found.extend(page)
        return self._opened(found)

    def load(self, ids: Sequence[UUID]) -> tuple[list[Entry[Event]], dict[UUID, DataKey | None]]:
        """The entries of these streams, stream by stream and in order, and their data keys."""
        found = self.load_after(dict.fromkeys(ids, 0))
        return found.entries, found.keys

    def load_after(self, streams: dict[UUID, int], receipt: bytes = b"") -> Loaded:
        """What came after these versions; and a receipt, by its key."""
        [found] = self.load_together([streams], [receipt] if receipt else [])
        if isinstance(found, Exception):
            raise found
        return found

    def load_together(
        self, asked: Sequence[dict[UUID, int]], receipts: Sequence[bytes] = ()
    ) -> list[Loaded | Exception]:
        """For each of them what ``load`` finds, but only after these versions, and any of these
        receipts; or Undecodable, WrongKey, UnknownFormat. One query, and one more where a snapshot
        cannot be opened."""
        since: dict[UUID, int] = {}
        folded_too: set[UUID] = set()
        for streams in asked:
            for id, version in streams.items():
                if version == SNAPSHOT:
                    folded_too.add(id)
                    since.setdefault(id, AFTER_ALL)
                else:
                    since[id] = min(version, since.get(id, version))
        rows: dict[UUID, list[Row]] = {}
        keys: dict[UUID, DataKey | None] = {}
        shut: dict[UUID, Exception] = {}
        snapshots: dict[UUID, tuple[int, bytes]] = {}
        hidden, kept = {self.hidden[key]: key for key in receipts}, dict[bytes, Answered]()
        ids, versions = uuids([*since]), longs([*since.values()])
        wanted = raws([*hidden]) if hidden else None
        if folded_too:
            of_folded = flags([id in folded_too for id in since])
            there = self._select(LOAD, (ids, versions, of_folded, PROGRAM, wanted))
        else:
            there = self._select(LOAD_AFTER, (ids, versions, ids, wanted))
        for id, version, topic, state in there:
            if topic == "receipt":
                key, of, at = hidden[state[:32]], state[32:40], int.from_bytes(state[40:48])
                kept[key] = (state[48:], id, int.from_bytes(of), at or None)
            elif version > 0:
                rows.setdefault(id, []).append(Row(id, version, topic, state))
            elif version < 0:
                snapshots[id] = (-version, state)
            else:
                try:
                    keys[id] = self.keyring.unwrap(state) if state else None
                except (WrongKey, UnknownFormat) as fault:  # of who asks for this stream
                    shut[id] = fault
        found: list[Loaded | Exception] = []
        for streams in asked:
            if faults := [shut[id] for id in streams if id in shut]:
                found.append(faults[0])
                continue
            begin = {
                id: snapshots.get(id, (0,))[0] if version == SNAPSHOT else version
                for id, version in streams.items()
            }
            theirs = [
                row
                for id, version in begin.items()
                for row in rows.get(id, ())
                if row.originator_version > version
            ]
            have = {id: keys[id] for id in streams if id in keys}
            try:
                folded = {
                    id: thawed(state, have.get(id) or self.keyring.own, stream=id, version=version)
                    for id, (version, state) in snapshots.items()
                    if streams.get(id) == SNAPSHOT
                }
            except ValueError:  # as if there were none
                found += self.load_together(
                    [{id: max(version, 0) for id, version in streams.items()}], receipts
                )
                continue
            try:
                found.append(Loaded(self._opened(theirs, have), have, folded, kept))
            except Undecodable as fault:
                found.append(fault)
        return found

    def keep_snapshot(self, stream_id: UUID, version: int, state: bytes) -> None:
        """Of a stream at a version, unless there is a newer one or whoever it is of is erased."""
        self._select(
            "INSERT INTO ledger.snapshots AS s (stream_id, version, program, state)"
            " SELECT v.* FROM (VALUES (%b::uuid, %b::bigint, %b::bytea, %b::bytea))"
            "   AS v (id, version, program, state)"
            " WHERE NOT EXISTS (SELECT FROM ledger.data_keys k"
            "   WHERE k.stream_id = v.id AND k.destroyed_at IS NOT NULL)"
            " ON CONFLICT (stream_id) DO UPDATE"
            " SET version = excluded.version, program = excluded.program, state = excluded.state,"
            " taken_at = now() WHERE s.program <> excluded.program OR s.version < excluded.version"
            " RETURNING version",
            (stream_id, version, PROGRAM, state),
        )

    def frozen(self, aggregate: Aggregate, key: DataKey | None) -> bytes:
        """For ``keep_snapshot``."""
        return frozen(aggregate, key or self.keyring.own)

    def data_keys(self, ids: Iterable[UUID]) -> dict[UUID, DataKey | None]:
        rows = self._select(
            "SELECT stream_id, wrapped FROM ledger.data_keys WHERE stream_id = ANY(%b)",
            (list(ids),),
        )
        return {id: self.keyring.unwrap(wrapped) if wrapped else None for id, wrapped in rows}

    def destroy_key(self, stream_id: UUID) -> None:
        """What this stream sealed, and will seal, reads as erased from now on. For ever.

        In its turn at the head, so that whatever is written before was also answered before, and
        what comes after sees it.
        """
        self._select(
            "WITH dropped AS (DELETE FROM ledger.snapshots WHERE stream_id = %b)"
            " INSERT INTO ledger.data_keys (stream_id, destroyed_at)"
            " SELECT %b, now() FROM (SELECT FROM ledger.head FOR UPDATE) AS turn"
            " ON CONFLICT (stream_id) DO UPDATE SET wrapped = NULL, destroyed_at = now()"
            " RETURNING stream_id",
            (stream_id, stream_id),
        )

    def sealed(
        self, entries: Sequence[Entry[Event]], keys: dict[UUID, DataKey | None]
    ) -> tuple[list[StoredEvent], dict[UUID, bytes]]:
        """The rows to append, and wrapped data keys that were made for it; ``keys`` has them."""
        mapper = EntryMapper(self.keyring, keys)
        return [mapper.to_stored_event(entry) for entry in entries], mapper.fresh

    def append(self, rows: Sequence[StoredEvent], append: Append) -> Sequence[int]:
        """One save, which may be the repetition of one that was in doubt. Raises Refused, Lost."""
        [answer] = self.append_together([Save(rows, append, doubtful=True)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def append_together(self, saves: Sequence[Save]) -> list[Sequence[int] | Exception]:
        """For each save its positions, or why it was refused; a refused one leaves the others
        alone. Those of the first time if it is ``doubtful`` and exactly these rows are there
        already: a connection cut at COMMIT looks like any other. Raises Lost, and then all of them
        are in doubt, or none was written."""
        hidden = [Save(save.rows, self._with_hidden_keys(save.append)) for save in saves]
        try:
            answers = list[Sequence[int] | Exception](self.recorder.insert_together(hidden))
        except IntegrityError as refused:
            if len(saves) > 1:  # one of them broke what only a trigger or an index can see
                return [self._append_alone(save) for save in saves]
            answers = [refused]
        for number, save in enumerate(saves):
            if save.doubtful and save.rows and isinstance(answers[number], IntegrityError):
                answers[number] = self._written(save.rows) or answers[number]
        return answers

    def _append_alone(self, save: Save) -> Sequence[int] | Exception:
        """Those before it are written, whatever becomes of it."""
        try:
            [answer] = self.append_together([save])
        except (Slow, NoRoom) as fault:
            return fault
        return answer

    def _with_hidden_keys(self, append: Append) -> Append:
        hidden = [
            Kept(self.hidden[kept.key], kept.fingerprint, kept.stream_id, kept.version, kept.offset)
            for kept in append.receipts
        ]
        return structs.replace(append, receipts=hidden) if hidden else append

    def receipts(self, keys: Sequence[bytes]) -> dict[bytes, Answered]:
        """What is kept under these keys."""
        asked = {self.hidden[key]: key for key in keys}
        rows = self._select(
            "SELECT key, fingerprint, stream_id, version, position FROM ledger.receipts"
            " WHERE key = ANY(%b)",
            (list(asked),),
        )
        return {asked[bytes(k)]: (bytes(f), id, version, at) for k, f, id, version, at in rows}

    def holders(self, claims: Sequence[Claim]) -> dict[bytes, UUID]:
        rows = self._select(
            "SELECT key, stream_id FROM ledger.reservations WHERE key = ANY(%b)",
            ([claim.key for claim in claims],),
        )
        return {bytes(key): id for key, id in rows}

    def repetition(self, stream_id: UUID, event: Event) -> Claim:
        return Claim(self.keyring.hash_of(f"once:{stream_id}", event.once), "once", stream_id)

    def claims_of(self, entries: Iterable[Entry[Event]]) -> list[Claim]:
        """What these entries reserve and do not give back, and what makes a repetition of them."""
        claims: list[Claim] = []
        for entry in entries:
            stream_id, event = entry.originator_id, entry.event
            if type(event) not in _claiming:
                continue
            if event.once:
                claims.append(self.repetition(stream_id, event))
            for reservation in event.reserves:
                key = self.keyring.hash_of(reservation.scope, reservation.value)
                claims.append(Claim(key, reservation.scope, stream_id, reservation))
            for given in self.releases_of([entry]):
                claims = [c for c in claims if (c.key, c.stream_id) != (given.key, stream_id)]
        return claims

    def releases_of(self, entries: Iterable[Entry[Event]]) -> list[Claim]:
        """What these entries give back."""
        return [
            Claim(self.keyring.hash_of(scope, value), scope, entry.originator_id)
            for entry in entries
            if type(entry.event) in _claiming
            for scope, value in entry.event.releases
        ]

    def _written(self, stored: Sequence[StoredEvent]) -> Sequence[int]:
        """Their positions if exactly these rows are in the ledger: nonces and instants make any
        two attempts differ, so equal bytes are our own."""
        rows = self._select(
            "SELECT e.notification_id, e.topic, e.state FROM ledger.entries first"
            " JOIN ledger.entries e ON e.notification_id >= first.notification_id"
            " AND e.notification_id < first.notification_id + %s"
            " WHERE first.originator_id = %s AND first.originator_version = %s"
            " ORDER BY e.notification_id",
            (len(stored), stored[0].originator_id, stored[0].originator_version),
        )
        there = [(topic, bytes(state)) for _, topic, state in rows]
        if there != [(row.topic, row.state) for row in stored]:
            return ()
        return range(rows[0][0], rows[0][0] + len(rows))

    def _opened(
        self, rows: Sequence[AnyRow], keys: dict[UUID, DataKey | None] | None = None
    ) -> list[Entry[Event]]:
        documents = _documents(rows)
        mapper = EntryMapper(self.keyring, self._keys_of(rows, documents) if keys is None else keys)
        return [mapper.opened(row, doc) for row, doc in zip(rows, documents, strict=True)]

    def _keys_of(
        self, rows: Sequence[AnyRow], documents: Sequence[Stored]
    ) -> dict[UUID, DataKey | None]:
        sealed = {_uuid(r) for r, d in zip(rows, documents, strict=True) if d.sealed}
        return self.data_keys(sealed) if sealed else {}

    def _select(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with (
            self.recorder.datastore.get_connection() as conn,
            conn.cursor(row_factory=tuple_row) as cur,
        ):
            return cur.execute(sql, values, prepare=True, binary=True).fetchall()


class Hidden(dict[bytes, bytes]):
    """Keys of receipts as they are kept, by what they are asked for by."""

    MOST = 16_384

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes

    def __missing__(self, key: bytes) -> bytes:
        self.know(key, hidden := self._hashes.hash_of("receipt", key.hex()))
        return hidden

    def know(self, key: bytes, hidden: bytes) -> None:
        if len(self) >= self.MOST:
            self.clear()
        self[key] = hidden


def _documents(rows: Sequence[AnyRow]) -> list[Stored]:
    """Raises Undecodable."""
    documents = []
    for row in rows:
        try:
            documents.append(decode_stored(row.state))
        except msgspec.MsgspecError as fault:
            position = getattr(row, "id", 0)
            raise Undecodable(
                row.topic, position, _uuid(row), row.originator_version, type(fault).__name__
            ) from None
    return documents


def _has_nul(document: Any) -> bool:
    if isinstance(document, dict):
        return any(_has_nul(value) for value in document.values())
    if isinstance(document, list):
        return any(_has_nul(value) for value in document)
    return isinstance(document, str) and "\x00" in document


@cache
def _written_as(
    event: type[Event],
) -> tuple[str, frozenset[str], Callable[[Event], tuple[Any, ...]]]:
    """The topic; the names of what is sealed; and of an event the texts of these: if all are empty,
    and need not be there, nothing of them is written."""
    topic, names = kind(event), sealed_fields(event)
    given = {f.name: f for f in msgspec.structs.fields(event)}
    if any(given[name].default != "" for name in names):
        return topic, names, lambda _: (True,)
    first = sorted(names)[:1]
    texts: Any = attrgetter(*names, *first) if names else lambda _: ()  # a tuple also of one
    return topic, names, texts


def _uuid(row: AnyRow) -> UUID:
    assert isinstance(row.originator_id, UUID), "our streams have no other ids"
    return row.originator_id


def refused_by(refused: IntegrityError) -> str:
    """The name of the database's rule: ``entries_pkey``, ``stream_moved``, ..."""
    if isinstance(refused, RefusedBy):
        return refused.rule
    cause = refused.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""


WITHOUT_WHOLE_TABLES = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
)


def datastore(url: str, *, connections: int) -> Datastore:
    """The library's pool over any libpq URL. Settings are passed explicitly: the library would
    let the process environment override them."""
    parts: dict[str, Any] = dict(conninfo_to_dict(url))
    store = Datastore(
        dbname=str(parts.pop("dbname", "")),
        host=str(parts.pop("host", "")),
        user=str(parts.pop("user", "")),
        password=str(parts.pop("password", "")),
        port=str(parts.pop("port", "") or 5432),
        connect_timeout=2,
        idle_in_transaction_session_timeout=10,
        pool_size=2,
        max_overflow=connections - 2,
        schema="ledger",
    )
    assert isinstance(store.pool.kwargs, dict)
    # a server that hangs is as good as one that is away; on a socket of this machine nothing but
    # the door's own patience ends the wait
    parts.setdefault("tcp_user_timeout", "15000")
    parts.setdefault("options", "-c statement_timeout=30s")
    # Prepared is what says so. Such a plan may be older than the rows: one made while the ledger
    # was empty must not read all of it, and nothing here ever wants to.
    parts["options"] = f"{parts['options']} {WITHOUT_WHOLE_TABLES}"
    store.pool.kwargs.update(parts, connect_timeout=2, prepare_threshold=1_000_000_000)
    return store


def install(url: str) -> list[str]:
    """Brings the schema up to date, as its owner; the names of what was applied.

    Raises RuntimeError if an applied file has changed since, or the database is newer than this
    software; psycopg.Error as it comes.
    """
    scripts = sorted(f for f in files(__package__).joinpath("schema").iterdir())  # type: ignore[type-var]
    applied = []
    with psycopg.connect(url) as conn:
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('ledger_crm schema'))")
        # Asked first: IF NOT EXISTS needs the right to create also where there is nothing to do,
        # and then no command would work without the owner's address.
        if conn.execute("SELECT to_regclass('public.ledger_crm_schema')").fetchone() == (None,):
            conn.execute(
                "CREATE TABLE public.ledger_crm_schema"
                " (name text PRIMARY KEY, sha256 text NOT NULL,"
                "  applied_at timestamptz NOT NULL DEFAULT now())"
            )
        rows = conn.execute("SELECT name, sha256 FROM public.ledger_crm_schema").fetchall()
        done: dict[str, str] = dict(rows)
        for script in scripts:
            text = script.read_text()
            digest = hashlib.sha256(text.encode()).hexdigest()
            if script.name not in done:
                conn.execute(text)
                conn.execute(
                    "INSERT INTO public.ledger_crm_schema VALUES (%s, %s)", (script.name, digest)
                )
                applied.append(script.name)
            elif done.pop(script.name) != digest:
                raise RuntimeError(f"schema file {script.name} was applied with another content")
        if newer := sorted(done.keys() - {script.name for script in scripts}):
            raise RuntimeError(f"the database is newer than this software: {json.dumps(newer)}")
    return applied
