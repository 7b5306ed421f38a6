"""The door to the ledger: read an aggregate, change it, write its entries.

One aggregate: ``ledger.change``. Two or more: a function in ``commands/`` that takes a ``Work``,
and ``ledger.decide``, which runs it, writes what it decided in one transaction, and runs it again
if somebody else was quicker.

Everything is awaited, because a writer may wait for others to share its commit with.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from time import monotonic, sleep
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import msgspec

from . import tracing
from .domain.entry import Actor, Aggregate, Entry, Event, kind
from .domain.merging import RecordIsMerged
from .domain.privacy import PersonErased
from .domain.refusals import Conflict, Invalid, Refusal, Stale, Unknown
from .sealing import DataKey, Keyring
from .store import (
    ALL,
    SNAPSHOT,
    Answered,
    Append,
    Claim,
    Followed,
    Kept,
    Loaded,
    Lost,
    NoRoom,
    Refused,
    Row,
    Save,
    Slow,
    Store,
    Told,
    Undecodable,
    Wanted,
    install,
    refused_by,
)
from .together import Full, NoAnswer, Together

__all__ = [
    "ALL", "Busy", "DiskIsFull", "Followed", "Intent", "Ledger", "Receipt", "Row", "Told",
    "Unavailable", "Undecodable", "Wanted", "Work", "install",
]  # fmt: skip

A = TypeVar("A", bound=Aggregate)
P = ParamSpec("P")
Q = TypeVar("Q")
T = TypeVar("T")

RACE_S = 0.02  # at most, before deciding again
ATTEMPTS = 25  # at one decision, before its caller hears that the record is too busy
PATIENCE = (0.05, 0.2, 0.6)  # seconds between attempts at a database that does not answer
PATIENCE_S = 3.0  # after which none begins: one waits up to 2 s for a connection
QUEUE_S = 10.0  # for a thread, for one's turn at a record, or for a place in a call
ANSWER_S = 35.0  # of a server that hangs; one that works ends a statement after 30 s
HELD = 4_096  # aggregates in memory, between decisions
HELD_S = 60.0  # after which one that nobody used is forgotten
SNAPSHOT_AFTER = 1_000  # entries that had to be read: the next reader is spared them
LOADED_AT_ONCE = 1_024  # streams that are read in one query
LOADED_ALONE = 128  # streams that are read by a query of their own
LOADING = 8_192  # streams that wait to be read; whoever comes then is sent away
SAVED_AT_ONCE_BYTES = 2 * 2**20  # in one transaction
SAVED_ALONE_BYTES = 256 * 2**10  # that have a transaction of their own, as an import's
WAITING_BYTES = 64 * 2**20  # of saves; whoever comes then is sent away


class NoSuchRecord(Unknown):
    """There is nothing in the ledger under this id."""


class StaleVersion(Stale):
    """This record is not at the version that you read: somebody wrote to it since, or there is
    none. Read it again, then decide."""


class AlreadyThere(Conflict):
    """A record with this id exists."""


class PartlyThere(Conflict):
    """Some of these facts are in the ledger already, others are not: send those by themselves."""


class KeyReused(Invalid):
    """This idempotency key was used for another request: take a new key for a new request."""


class Unavailable(Exception):
    """The database does not answer; try again. With an idempotency key nothing happens twice."""


class DiskIsFull(Unavailable):
    """The database's disk is full; nothing of this was written. Whoever runs it has to make
    room."""


class Busy(Unavailable):
    """More is waiting than the ledger takes; nothing of this was written. Try again."""


class Receipt(msgspec.Struct, frozen=True):
    """Proof of writing. ``position``: of the last entry written, in the whole ledger. A query
    given it as ``after`` waits for the read model to get there. ``None``: there was nothing
    new to write."""

    id: UUID
    version: int
    position: int | None


class Intent(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Who wants something, and how to know the same wish again.

    key          of the caller's own choosing; "" for none. Scoped to the actor
    fingerprint  of what was asked under that key
    expected     version of the record that the caller decided on (If-Match)
    """

    by: Actor
    key: str = ""
    fingerprint: bytes = b""
    expected: int | None = None

    @property
    def stored_key(self) -> bytes:
        known: dict[str, bytes] = self.__dict__  # functools takes a lock for this, each time
        if "stored_key" not in known:
            asked = f"{self.by}\x1f{self.key}".encode()
            known["stored_key"] = hashlib.sha256(asked).digest()
        return known["stored_key"]

    def is_stored_by(self, key: bytes) -> None:
        """As somebody else has hashed it."""
        self.__dict__["stored_key"] = key


class Held(msgspec.Struct):
    """An aggregate in memory, with its data key (None: destroyed) if it has one.

    used_s  when it was last left here
    """

    aggregate: Aggregate
    keys: dict[UUID, DataKey | None]
    used_s: float


class Memory:
    """Aggregates as this process left them, the last used ones. Another process may have moved
    them since, or destroyed their keys: what is decided on one is proved by the version and the
    key when it is written, or it is read anew.

    Whoever takes one has it alone, since decisions change what they decide on; it comes back when
    that is written.
    """

    def __init__(self, most: int = HELD) -> None:
        self.most = most
        self._held: dict[UUID, Held] = {}  # the last used are the last

    def take(self, ids: Iterable[UUID]) -> dict[UUID, Held]:
        return {id: held for id in ids if (held := self._held.pop(id, None))}

    def keep(self, held: Held) -> None:
        id = held.aggregate.id
        there = self._held.pop(id, held)
        newer = there if there.aggregate.version > held.aggregate.version else held
        newer.used_s = held.used_s
        self._held[id] = newer
        self.let_go(held.used_s)

    def let_go(self, now_s: float) -> None:
        """Of those that nobody used, or that are too many."""
        while len(self) > self.most or (self and self._oldest().used_s < now_s - HELD_S):
            del self._held[self._oldest().aggregate.id]

    def _oldest(self) -> Held:
        return next(iter(self._held.values()))

    def __len__(self) -> int:
        return len(self._held)


class Sought(NamedTuple):
    """Streams after these versions; and a receipt, by its key, if that is not empty."""

    after: dict[UUID, int]
    receipt: bytes = b""


class Eye(Protocol):
    def __call__(
        self, aggregate: Aggregate, ids: Set[UUID] | None = None, /
    ) -> Awaitable[Set[UUID]]:
        """Of these ids those that whoever decides does not see; None: of those that they name."""


class Work:
    """Aggregates in hand for one decision, or for many that are written together.

    ``get`` gives the same object for the same id. What was read and not written is what the
    decision rests on: the transaction refuses it if that has moved (no write skew).

    eye       of whoever decides: what of an aggregate they do not see; None: they see all
    asks      the key of a receipt, looked for with each stream that is read
    memory    where to look first
    trusting  what is held there is taken as it is, and not read anew: then only what is written
              proves anything
    """

    def __init__(
        self,
        ledger: Ledger,
        by: Actor,
        *,
        of: UUID | None = None,
        expected: int | None = None,
        asks: bytes = b"",
        memory: Memory | None = None,
        trusting: bool = False,
    ) -> None:
        self.ledger, self.by = ledger, by
        self._asks = asks
        self.answered: dict[bytes, Answered] | None = None  # when it was read last; None: not asked
        self._memory, self._trusting = memory, trusting
        self._recalled: set[UUID] = set()  # taken as it is held
        self._of, self._expected = of, expected
        self.eye: Eye | None = None
        self._known: dict[UUID, Aggregate] = {}
        self._keys: dict[UUID, DataKey | None] = {}
        self._made: dict[UUID, bytes] = {}  # keys that are not written yet, wrapped
        self._touched: dict[UUID, Aggregate] = {}  # in order, since the last ``stage``
        self._read: dict[UUID, int] = {}  # and its version, since the last ``commit``
        self._staged: list[Entry[Event]] = []
        self._receipts: list[Kept] = []
        self._writing: Sequence[Entry[Event]] = ()  # by a ``commit`` that is under way
        self.written: Sequence[int] = ()  # positions of the last ``commit``

    async def get(self, type_: type[A], id: UUID, *, itself: bool = False) -> A:
        """One that is merged into another is that one, with all that it has absorbed beside it.
        Raises NoSuchRecord, also when it is of another type; StaleVersion, also if what is in hand
        is of different times and goes round in a circle; RecordIsMerged for who decided on it as it
        was, and with ``itself``."""
        found = self._known.get(id)  # as ``_one``, for most are
        if isinstance(found, type_):
            self._touched[id] = found
        else:
            found = await self._one(type_, id)
        if found.goes_on_as:
            passed = {id}
            while found.goes_on_as:
                found = await self._one(type_, found.goes_on_as)
                if found.id in passed:
                    raise StaleVersion(id=id)
                passed.add(found.id)
            if itself or (self._expected is not None and id == self._of):
                raise RecordIsMerged(id=id, survivor_id=found.id)
        if found.goes_on_with or found.beside:
            await self._gather(found)
        if self._expected is not None and found.id == self._of and found.seen != self._expected:
            raise StaleVersion(id=id, expected=self._expected, found=found.seen)
        if self.eye or found.unseen:
            found.unseen = await self.eye(found) if self.eye else frozenset()
        return found

    async def _one(self, type_: type[A], id: UUID) -> A:
        found = self._known.get(id)
        if found is None:
            await self.load([id])
            found = self._known.get(id)
        if not isinstance(found, type_):
            raise NoSuchRecord(**{f"{type_.TOPIC}_id": id})
        self._touched[id] = found
        return found

    async def _gather(self, found: A, above: tuple[UUID, ...] = ()) -> None:
        """Anew each time: they may be other objects than they were."""
        ids, above = found.goes_on_with, (*above, found.id)
        if not set(above).isdisjoint(ids):
            raise StaleVersion(id=found.id)
        await self.load(ids)
        found.beside = tuple([await self._one(type(found), id) for id in ids])
        for other in found.beside:
            if other.goes_on_with or other.beside:
                await self._gather(other, above)

    async def has(self, id: UUID) -> bool:
        if id not in self._known:
            await self.load([id])
        return id in self._known

    async def has_written(self, id: UUID, event: Event) -> bool:
        """Whether this is on the stream already, by what makes a repetition of it (``once``)."""
        if not event.once:
            return False
        claim = self.ledger.store.repetition(id, event)
        return bool(await self.ledger.run(self.ledger.store.holders, [claim]))

    def knows(self, type_: type[Aggregate]) -> bool:
        """Something of this type is in hand already, also if it is not written yet."""
        return any(isinstance(known, type_) for known in self._known.values())

    async def load(self, ids: Iterable[UUID]) -> None:
        """Reads several at once, for those who know what they will need."""
        if missing := {id for id in ids if id not in self._known}:
            ours = (*self._writing, *self._staged)  # now: a commit may end while we look
            entries: list[Entry[Event]] = []
            folded: dict[UUID, Aggregate] = {}
            gone: set[UUID] = set()
            if after := self._recall(missing, {entry.originator_id for entry in ours}):
                found = await self.ledger.load(after, self._asks)
                if self._memory is not None and self._memory is not self.ledger.memory:
                    raise StaleVersion(id=next(iter(after)))  # what is in hand may be gone
                entries, keys, folded = found.entries, found.keys, found.folded
                self.answered = found.kept if self._asks else None
                # destroyed since: nothing that was read with it may be known any longer
                gone = {id for id in after if self._keys.get(id) and id in keys and not keys[id]}
                self._keys |= keys
            for id in gone & self._known.keys():
                del self._known[id]
            missing -= gone
            for id, aggregate in folded.items():
                if id not in self._known:
                    self._known[id] = aggregate
            there = {(e.originator_id, e.originator_version): e.event for e in entries}
            for entry in (*entries, *ours):
                id, version = entry.originator_id, entry.originator_version
                known = self._known.get(id)
                if id in missing and version > (known.version if known else 0):
                    self._known[id] = entry.mutate(known)
                elif there.get((id, version), entry.event) != entry.event:
                    missing.discard(id)  # a rival was quicker: none of ours will be written
            if len(entries) >= SNAPSHOT_AFTER:
                read = Counter(entry.originator_id for entry in entries)
                for entry in ours:
                    del read[entry.originator_id]
                for id, count in read.items():
                    if count >= SNAPSHOT_AFTER and (known := self._known.get(id)):
                        self.ledger.take_snapshot(known, self._keys.get(id))
            await self.load(gone)

    def _recall(self, ids: Iterable[UUID], ours: set[UUID]) -> dict[UUID, int]:
        """What is left to read, and from which version on; the whole of what is being written."""
        held = self._memory.take(ids) if self._memory is not None else {}
        after = {id: 0 if id in ours else SNAPSHOT for id in ids}
        for id, known in held.items():
            self._known[id] = known.aggregate
            self._keys |= known.keys
            if self._trusting:
                self._recalled.add(id)
                del after[id]
            else:
                after[id] = known.aggregate.version
        return after

    @property
    def trusted(self) -> bool:
        """Some of what is in hand was not read anew."""
        return bool(self._recalled)

    def unless_moved(self, intent: Intent) -> Save:
        """A save that is refused in any case: because something that is in hand has moved, or
        because the receipt is there; and only if it is for neither, because of what it claims."""
        never = Claim(uuid4().bytes, "once", intent_id := uuid4())
        receipts = [Kept(intent.stored_key, b"", intent_id, 0, 0)] if intent.key else ()
        known = self._known.values()
        append = Append(
            claims=(never, never),
            receipts=receipts,
            rests_on={one.id: one.version - len(one.pending_events) for one in known},
            opened=[one.id for one in known if self._keys.get(one.id)],
        )
        return Save((), append)

    def keep(self) -> None:
        """What is in hand as it is written, or as it was read, for the next decision."""
        if self._memory is None:
            return
        now_s = monotonic()
        for id, known in self._known.items():
            if not known.pending_events and self._keys.get(id, True):  # nothing of who is erased
                keys = {id: self._keys[id]} if id in self._keys else {}
                if known.beside:  # each is held for itself
                    known.beside = ()
                if known.unseen:
                    known.unseen = frozenset()
                self._memory.keep(Held(known, keys, now_s))
        self.ledger.tidy_up()

    async def key_of(self, id: UUID) -> DataKey | None:
        """Of this stream, for what lies elsewhere; None: it is destroyed. One that has none yet
        gets it with what is written on it."""
        if id not in self._keys:
            found = await self.ledger.run(self.ledger.store.data_keys, [id])
            if id in found:
                return found[id]
            self._made[id], self._keys[id] = self.ledger.store.keyring.fresh()
        return self._keys[id]

    def add(self, aggregate: A) -> A:
        """A stream that begins here. Raises AlreadyThere if this work has one of that id."""
        if aggregate.id in self._known:
            raise AlreadyThere(id=aggregate.id)
        self._known[aggregate.id] = aggregate
        self._touched[aggregate.id] = aggregate
        return aggregate

    def last(self, aggregate: A) -> A:
        """What is decided on it is written after what is decided on the others."""
        self._touched[aggregate.id] = self._touched.pop(aggregate.id)
        return aggregate

    def pending(self) -> list[Entry[Event]]:
        """What was decided since the last ``stage``."""
        entries: list[Any] = [e for known in self._touched.values() for e in known.pending_events]
        return entries

    def unwritten(self) -> list[Entry[Event]]:
        """What was decided since the last ``commit``."""
        return [*self._staged, *self.pending()]

    @property
    def has_decided(self) -> bool:
        """Since the last ``stage``."""
        return any([known.pending_events for known in self._touched.values()])

    def stage(self, intent: Intent | None = None, subject: Aggregate | None = None) -> None:
        """Takes what was decided since the last call as one command, to be written by ``commit``;
        keeps a receipt for ``intent`` if it has a key."""
        before = len(self._staged)
        for id, known in self._touched.items():
            self._staged += known.collect_events()
            self._read[id] = known.version
        self._touched = {}
        if intent and intent.key and subject is not None:
            self._receipts.append(
                Kept(
                    key=intent.stored_key,
                    fingerprint=intent.fingerprint,
                    stream_id=subject.id,
                    version=subject.seen,
                    offset=len(self._staged) if len(self._staged) > before else 0,
                )
            )

    def undo(self) -> None:
        """Forgets what was decided since the last ``stage``."""
        for id, known in self._touched.items():
            if known.pending_events:  # what was only read is as it was
                del self._known[id]
        self._touched = {}

    def forget(self) -> None:
        """Everything that was read; for a work that goes on after a refusal, or got large."""
        self._known, self._keys, self._touched = {}, {}, {}
        self._read, self._staged, self._receipts, self._made = {}, [], [], {}

    def __len__(self) -> int:
        return len(self._known)

    async def commit(self) -> Sequence[int]:
        """Writes what is staged, in one transaction; the positions.

        Raises AlreadyThere if a stream was being opened, StaleVersion if anything that was read
        has moved, the refusal of a reservation that somebody else holds, Unavailable. After a
        refusal the aggregates in hand are worthless: ``forget``. Meanwhile the next may be decided
        and staged, on what is being written.
        """
        staged, receipts, read = self._staged, self._receipts, self._read
        self._staged, self._receipts, self._read = [], [], {}
        written = {entry.originator_id for entry in staged}
        append = Append(
            claims=self.ledger.store.claims_of(staged),
            releases=self.ledger.store.releases_of(staged),
            receipts=receipts,
            rests_on={id: version for id, version in read.items() if id not in written},
            opened=[id for id in read if self._keys.get(id) and id not in self._made],
            data_keys={id: key for id, key in self._made.items() if id in written},
        )
        positions: Sequence[int] = ()
        if staged or receipts:
            self._writing = staged
            try:
                positions = await self.ledger.append(staged, self._keys, append)
            finally:
                self._writing = ()
            self._made = {id: key for id, key in self._made.items() if id not in written}
            for entry in staged:
                if isinstance(entry.event, PersonErased):  # and with it their key
                    self._keys[entry.originator_id] = None
        self.written = positions
        return positions


class Repeated(Exception):
    """What was to be written once is there: by ``once``, or by the command's own key."""


class NotATwin(Exception):
    """It is refused, and when what that rests on was read no twin of this wish had been written."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class Ledger:
    """Opens the store at ``url``. ``close`` it, or use it as a context manager."""

    def __init__(self, url: str, keyring: Keyring, *, threads: int = 12) -> None:
        self.store = Store(url, keyring, connections=threads + 2)  # to save, and to load
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ledger")
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._given_up_s = 0.0  # when one last waited in vain
        self._has_consultants = False
        self._saving = Together[Save, Sequence[int]](
            "save",
            self._save,
            weigh=lambda save: save.size,
            at_once=SAVED_AT_ONCE_BYTES,
            most=WAITING_BYTES,
            queue_s=QUEUE_S,
            answer_s=ANSWER_S,
            apart=lambda save: save.touches,
        )
        self._loading = Together[Sought, Loaded](
            "load",
            self._load,
            weigh=lambda sought: len(sought.after),
            at_once=LOADED_AT_ONCE,
            most=LOADING,
            queue_s=QUEUE_S,
            answer_s=ANSWER_S,
        )
        self._memory, self._lost = Memory(), 0
        self._tidying: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    def close(self) -> None:
        self._saving.close()
        self._loading.close()
        self._threads.shutdown()
        self.store.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def memory(self) -> Memory:
        """Another one once a connection was lost: whoever answers then may not have all that was
        there (a failover), and nothing that was held is believed any more."""
        if self._lost != self.store.lost:
            self._memory, self._lost = Memory(), self.store.lost
        return self._memory

    async def get(self, type_: type[A], id: UUID) -> A:
        """As it is now, to look at. Raises NoSuchRecord, Unavailable."""
        return await Work(self, Actor("")).get(type_, id)

    async def change(
        self, type_: type[A], id: UUID, command: Callable[[A], object], *, intent: Intent
    ) -> Receipt:
        """One command on one aggregate. Raises NoSuchRecord, StaleVersion, KeyReused,
        Unavailable, and whatever the command refuses with."""

        async def deciding(work: Work) -> A:
            aggregate = await work.get(type_, id)
            command(aggregate)
            return aggregate

        return await self.decide(deciding, intent=intent, of=id)

    async def decide(
        self, decision: Callable[[Work], Awaitable[A]], *, intent: Intent, of: UUID | None = None
    ) -> Receipt:
        """Runs ``decision``, which returns the aggregate that the receipt is for, and writes.

        Whoever loses a race decides again on what the winner wrote; not if that is ``of`` the
        record, and the caller named the version that they decided on. Writers of one record in this
        process take turns, so that only other processes can race them. Raises as ``change``.
        """
        receipt, _ = await self.answer(decision, intent=intent, of=of)
        return receipt

    async def answer(
        self, decision: Callable[[Work], Awaitable[A]], *, intent: Intent, of: UUID | None = None
    ) -> tuple[Receipt, bool]:
        """As ``decide``; and whether it is the answer of an earlier time, by the intent's key."""
        try:
            async with self._turn(of):
                return await self._decide(decision, intent, of)
        except NotATwin as proved:
            raise proved.refusal from None
        except Refusal:  # perhaps because a twin of this wish was quicker
            if found := await self._answered(intent):
                return found, True
            raise

    @asynccontextmanager
    async def _turn(self, of: UUID | None) -> AsyncIterator[None]:
        """At this record. Raises Unavailable, also for those who waited behind one in vain."""
        if of is None:
            yield
            return
        begun_s, turn = monotonic(), self._turns.get(of)
        try:
            if turn is None:
                turn = self._turns[of] = asyncio.Lock()
                await turn.acquire()  # at once: nobody else knows of it
            else:
                async with asyncio.timeout(QUEUE_S):
                    await turn.acquire()
        except TimeoutError:
            raise Unavailable() from None
        try:
            if begun_s < self._given_up_s:
                raise Unavailable()
            yield
        finally:
            turn.release()

    async def _decide(
        self, decision: Callable[[Work], Awaitable[A]], intent: Intent, of: UUID | None
    ) -> tuple[Receipt, bool]:
        """First on what is in memory and without asking for a receipt: what is then written, the
        database has proved to be new and up to date. Any other end is not proved, and is found
        again from what is in the ledger."""
        refused = False  # by what is in memory: if it is again, the receipt is asked for with it
        asks = intent.stored_key if intent.key else b""
        for attempt in range(1, ATTEMPTS + 1):
            first, last = attempt == 1, attempt == ATTEMPTS
            if not first and not refused and (found := await self._answered(intent)):
                return found, True
            work = Work(
                self, intent.by, of=of, expected=intent.expected,
                asks=asks if refused or intent.expected is not None else b"",
                memory=self.memory, trusting=first,
            )  # fmt: skip
            try:
                subject = await decision(work)
                pending = sum([len(one.pending_events) for one in subject.everyone])
                before = subject.seen - pending
                if intent.expected is not None and not before:
                    raise StaleVersion(id=subject.id, expected=intent.expected, found=0)
            except Refusal as refusal:
                work.keep()
                raced = _is_of_a_race(refusal) and not last
                refused = work.trusted
                if refused and not raced:
                    match await self._why(work.unless_moved(intent)):
                        case "reservation_taken":
                            raise NotATwin(refusal) from None
                        case "receipts_pkey" if found := await self._answered(intent):
                            return found, True
                if refused or raced:
                    continue
                if _is_of_a_race(refusal) and intent.expected is None:
                    raise Busy() from None
                # which rests on nothing but what was read, and the receipt was looked for then
                if isinstance(refusal, Stale) and work.answered is not None:
                    if found := _told_of(intent, work.answered):
                        return found, True
                    raise NotATwin(refusal) from None
                raise
            refused = False
            facts = len(work.pending())
            if not facts and work.trusted:
                work.keep()
                continue
            seen = subject.seen
            work.stage(intent, subject)
            try:
                positions = await work.commit()
            except Repeated:
                if found := await self._answered(intent):
                    return found, True
                if facts > 1:  # the others are not there, and must not be dropped in silence
                    raise PartlyThere(id=subject.id) from None
                if intent.key:  # a channel's own id was repeated, under a new key of the caller's
                    await self._keep(intent, subject.id, before)
                return Receipt(subject.id, before, None), False
            except Stale:
                if last and intent.expected is None:  # others were quicker each time
                    raise Busy() from None
                if last:
                    raise
                if not work.trusted:
                    # so that one is first
                    await asyncio.sleep(random.random() * RACE_S)  # noqa: S311
            else:
                work.keep()
                last_position = positions[-1] if positions else None
                return Receipt(subject.id, seen, last_position), False
        raise AssertionError("not reached: the last attempt returns or raises")

    async def _why(self, never: Save) -> str:
        """The rule by which this is refused, with others that are saved just now, whose commit and
        round trip it shares; "": there are none, and to read again costs less. Raises Unavailable,
        Busy."""
        if not self._saving.is_busy:
            return ""
        try:
            await self._together(self._saving, never)
        except Refused as refused:
            return refused_by(refused)
        except DiskIsFull:  # it can still be read
            return ""
        raise AssertionError("not reached: it cannot be written")

    async def _answered(self, intent: Intent) -> Receipt | None:
        """Raises KeyReused."""
        return (await self.receipts([intent])).get(intent.key) if intent.key else None

    async def receipts(self, intents: Sequence[Intent]) -> dict[str, Receipt]:
        """The first answers to those of these wishes that were written, by key. Raises KeyReused
        for one that came with another fingerprint."""
        found = await self.run(self.store.receipts, [intent.stored_key for intent in intents])
        told = {intent.key: _told_of(intent, found) for intent in intents}
        return {key: receipt for key, receipt in told.items() if receipt}

    async def append(
        self, entries: Sequence[Entry[Event]], keys: dict[UUID, DataKey | None], append: Append
    ) -> Sequence[int]:
        """See ``Work.commit``, which is how to call it. Raises Repeated, Busy besides."""
        with tracing.span("append", expected=(Refusal, Repeated), entries=len(entries)) as span:
            if span:
                span.tell(kinds=sorted({kind(entry.event) for entry in entries}))
            positions = await self._append(entries, keys, append)
            if positions:
                span.tell(position=positions[-1])
        return positions

    async def _append(
        self, entries: Sequence[Entry[Event]], keys: dict[UUID, DataKey | None], append: Append
    ) -> Sequence[int]:
        rows, fresh = self.store.sealed(entries, keys)
        fresh = append.data_keys | fresh
        append = msgspec.structs.replace(append, data_keys=fresh)
        try:
            save = Save(rows, append)
            if save.size > SAVED_ALONE_BYTES:
                return await self.run(self.store.append, rows, append)
            return await self._together(self._saving, save)
        except Refused as refused:
            for stream in fresh:  # they were not written, or somebody else's were
                del keys[stream]
            match refused_by(refused):
                case "receipts_pkey":
                    raise Repeated from None
                case "reservation_taken":
                    raise await self._taken(append.claims, entries) from None
                case "entries_pkey" | "data_keys_pkey" if any(
                    e.originator_version == 1 for e in entries
                ):
                    raise await self._conflict(entries) from None
                case "stream_torn":  # the database went back in time, and none of this is there
                    self._memory = Memory()
                    raise StaleVersion(id=entries[0].originator_id) from None
                case "entries_pkey" | "stream_moved" | "data_keys_pkey" | "key_destroyed":
                    raise StaleVersion(id=entries[0].originator_id if entries else None) from None
            raise

    def fingerprint(self, asked: str) -> bytes:
        """Of what is asked under a key. Receipts cannot be erased, and must not confirm a guess of
        what was in a request: so it needs the deployment's key."""
        return self.store.keyring.hash_of("request", asked)

    async def load(self, after: dict[UUID, int], receipt: bytes = b"") -> Loaded:
        """These streams after these versions, and a receipt. Raises Undecodable, Unavailable."""
        if len(after) > LOADED_ALONE:
            return await self.run(self.store.load_after, after, receipt)
        return await self._together(self._loading, Sought(after, receipt))

    def take_snapshot(self, aggregate: Aggregate, key: DataKey | None) -> None:
        """Of how it is now, in its own time; it is no loss if that fails."""
        id, version = aggregate.id, aggregate.version

        def keep(state: bytes) -> None:
            with suppress(Exception):
                self.store.keep_snapshot(id, version, state)

        with suppress(Exception):
            self._threads.submit(keep, self.store.frozen(aggregate, key))

    def tidy_up(self) -> None:
        """Once what is held is too old, also if nobody writes any more: another process may have
        erased whoever is in it."""
        loop = asyncio.get_running_loop()
        if self.memory and not (self._tidying and self._tidying[0] is loop):
            self._tidying = loop, loop.call_later(HELD_S, self._tidy_up)

    def _tidy_up(self) -> None:
        self._tidying = None
        self.memory.let_go(monotonic())
        self.tidy_up()

    async def destroy_key(self, id: UUID) -> None:
        """See ``Store.destroy_key``. This process forgets at once what it holds in clear; others
        within two minutes, and decide nothing on it. Raises Unavailable."""
        await self.run(self.store.destroy_key, id)
        self.memory.take([id])

    async def head(self) -> int:
        """Position of the newest entry, 0 when there is none. Raises Unavailable."""
        return await self.run(self.store.head)

    async def has_consultants(self) -> bool:
        """Whether anybody ever added one; then it stays so. Raises Unavailable."""
        self._has_consultants = self._has_consultants or await self.run(self.store.has_consultants)
        return self._has_consultants

    async def rows(self, *, after: int = 0, limit: int = 1000) -> Sequence[Row]:
        """In ledger order, at most ``limit``, positions > ``after``. Raises Unavailable."""
        return await self.run(lambda: self.store.rows(after=after, limit=limit))

    async def entries(self, *, after: int = 0, limit: int = 1000) -> list[Entry[Event]]:
        """``rows``, opened. Raises Undecodable, Unavailable."""
        return await self.run(lambda: self.store.entries(after=after, limit=limit))

    async def follow(
        self, *, after: int, limit: int, wanted: Wanted = ALL, opens: bool = False
    ) -> Followed:
        """As ``Store.follow``. Raises Undecodable, Unavailable."""
        return await self.run(
            lambda: self.store.follow(after=after, limit=limit, wanted=wanted, opens=opens)
        )

    async def of_kinds(self, *kinds: type[Event]) -> list[Entry[Event]]:
        """All entries of rare kinds, in ledger order; it reads the whole ledger to find them."""
        return await self.run(self.store.of_topics, [kind(event) for event in kinds])

    async def stream(self, id: UUID) -> list[Entry[Event]]:
        """All entries of one stream, in order; their positions are not filled in."""
        return (await self.load({id: 0})).entries

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``call`` in a thread, again if the connection was lost: the pool may hold some that
        died with the server. Raises Unavailable; when one has waited in vain, those who queue
        behind it are told at once, and the next to come asks again. A call that is given up may
        still be answered, and have written."""
        loop, context = asyncio.get_running_loop(), copy_context()
        begun_s = monotonic()

        def in_turn() -> T:
            if begun_s < self._given_up_s or monotonic() > begun_s + QUEUE_S:
                raise Unavailable()
            return context.run(call, *args, **kwargs)

        for wait_s in (*PATIENCE, None):
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await loop.run_in_executor(self._threads, in_turn)
            except (*Lost, TimeoutError) as fault:
                hangs = isinstance(fault, TimeoutError)
                if hangs or wait_s is None or monotonic() + wait_s > begun_s + PATIENCE_S:
                    self._given_up_s = monotonic()
                    raise Unavailable() from None
                await asyncio.sleep(wait_s)
            except Slow:
                raise Unavailable() from None
            except NoRoom:
                raise DiskIsFull() from None
        raise AssertionError("not reached: the last attempt returns or raises")

    async def _together(self, together: Together[Q, T], question: Q) -> T:
        """As ``run``. Raises Busy besides."""
        try:
            return await together.ask(question)
        except Full:
            raise Busy() from None
        except NoAnswer:
            self._given_up_s = monotonic()
            raise Unavailable() from None
        except Slow:
            raise Unavailable() from None
        except NoRoom:
            raise DiskIsFull() from None

    def _save(self, saves: Sequence[Save]) -> Sequence[Sequence[int] | Exception]:
        """In the thread of those who save, and again if the connection was lost. Raises NoAnswer,
        Slow, NoRoom."""

        def save() -> Sequence[Sequence[int] | Exception]:
            try:
                return self.store.append_together(saves)
            except Lost:
                for save in saves:
                    save.doubtful = True
                raise

        return _patiently(save)

    def _load(self, asked: Sequence[Sought]) -> Sequence[Loaded | Exception]:
        """As ``_save``."""
        streams = [sought.after for sought in asked]
        receipts = [sought.receipt for sought in asked if sought.receipt]
        return _patiently(lambda: self.store.load_together(streams, receipts))

    async def _taken(
        self, claims: Sequence[Claim], entries: Sequence[Entry[Event]]
    ) -> Refusal | Repeated:
        holders = await self.run(self.store.holders, claims)
        seen: dict[bytes, UUID] = {}
        for claim in claims:
            holder = holders.get(claim.key) or seen.setdefault(claim.key, claim.stream_id)
            if claim.reservation and holder != claim.stream_id:
                return claim.reservation.refusal(holder=holder)
        times = Counter(claim.key for claim in claims)
        if any(not c.reservation and (c.key in holders or times[c.key] > 1) for c in claims):
            return Repeated()
        return StaleVersion(id=entries[0].originator_id)  # it was given up meanwhile: decide again

    async def _conflict(self, entries: Sequence[Entry[Event]]) -> Refusal:
        opening = [e.originator_id for e in entries if e.originator_version == 1]
        found = (await self.load(dict.fromkeys(opening, 0))).entries
        if found:
            return AlreadyThere(id=found[0].originator_id)
        return StaleVersion(id=entries[0].originator_id)

    async def _keep(self, intent: Intent, id: UUID, version: int) -> None:
        kept = Kept(intent.stored_key, intent.fingerprint, id, version, 0)
        with suppress(Repeated):  # a twin of this request kept it first
            await self.append([], {}, Append(receipts=[kept]))


def _is_of_a_race(refusal: Refusal) -> bool:
    """One that says which version it found is refused by that again."""
    return type(refusal) is StaleVersion and "found" not in refusal.facts


def _told_of(intent: Intent, kept: dict[bytes, Answered]) -> Receipt | None:
    """Raises KeyReused."""
    if found := kept.get(intent.stored_key):
        fingerprint, id, version, position = found
        if fingerprint != intent.fingerprint:
            raise KeyReused(key=intent.key)
        return Receipt(id, version, position)
    return None


def _patiently(call: Callable[[], T]) -> T:
    """Raises NoAnswer."""
    deadline_s = monotonic() + PATIENCE_S
    for wait_s in (*PATIENCE, None):
        try:
            return call()
        except Lost:
            if wait_s is None or monotonic() + wait_s > deadline_s:
                break
            sleep(wait_s)
    raise NoAnswer()
