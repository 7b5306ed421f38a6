"""The grammar of the ledger: an *event* is a fact, an *entry* is the fact written down.

    Event      what happened, in a recruiter's words; one Struct each, never edited
    Entry      event + stream id + version + position + instant + author: a line of the ledger
    Aggregate  one stream of entries folded into what the next decision needs

Nothing here knows of SQL, HTTP or NATS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from hashlib import sha1
from typing import Annotated, Any, ClassVar, Generic, NewType, Self, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from eventsourcing.domain import BaseAggregate, CanInitAggregate, CanMutateAggregate
from eventsourcing.utils import register_topic, resolve_topic
from uuid_utils.compat import uuid7

from . import clock
from .faults import written_like
from .refusals import Conflict, Invalid, Refusal

Actor = NewType("Actor", str)
"""Who wrote the entry: ``consultant:ana``, ``portal:acme``, ``system:import``."""

Sealed = Annotated[str, msgspec.Meta(max_length=65_536, extra={"sealed": True})]
"""Text that says something about a person: stored under that person's key, absent from the feed."""

ERASED = "[erased]"
"""What a sealed field reads as once its key is destroyed."""

UNOPENED = "[sealed]"
"""What a sealed field reads as to whoever reads the ledger without opening it."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment with an offset; kept as UTC."""

# $ alone also matches before a line break at the end
Slug = Annotated[
    str,
    written_like(
        r"^[a-z][a-z0-9_]{0,39}$(?!\n)", "a name like final_interview: lower case, at most 40"
    ),
]
"""A name for machines that people can read: lower case, digits, underscore, at most 40."""

Reason = Annotated[
    str,
    written_like(
        r"^([a-z][a-z0-9_]{0,39})?$(?!\n)", "a code like salary_too_low: words go into the text"
    ),
]
"""A reason from the agency's own list, as a code like ``salary_too_low``: it is counted in reports
and goes out on the feed. What a person said about it is the fact's sealed ``text``."""

PLAIN = r"^[^\x00-\x1f\x7f]*$"
Words = Annotated[str, written_like(PLAIN, "plain text in one line", max_length=200)]
LETTERS = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
Title = Annotated[
    str, written_like(LETTERS, "plain text in one line, of at least one letter", max_length=200)
]

Cents = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
"""Minor units of a currency: 12 345 is 123.45 EUR, or 12,345 JPY."""

Currency = Annotated[str, written_like(r"^[A-Z]{3}$(?!\n)", "a currency like EUR (ISO 4217)")]
"""ISO 4217 alphabetic code."""


def words(code: str) -> str:
    """A code as people read it: ``salary too low``."""
    return code.replace("_", " ")


Somebody = Annotated[
    str,
    written_like(
        r"^([a-z]+:[a-z0-9][a-z0-9._-]{0,62})?$(?!\n)", "somebody of ours, like consultant:ana"
    ),
]
"""Who of us, as actors are written; "" where nobody is named."""

cause: ContextVar[str] = ContextVar("cause", default="")
"""Id of the request or entry being answered; set at the edge, copied into each entry."""

through: ContextVar[str] = ContextVar("through", default="")
"""Which key, session or link the request came by, like ``key:<id>``; copied into each entry."""

new_id = uuid7
"""A fresh id; sorts by time of making (RFC 9562, version 7)."""

_NAMESPACE = uuid5(NAMESPACE_URL, "https://ledger-crm.invalid/streams")
_BEGUN = sha1(_NAMESPACE.bytes, usedforsecurity=False)


def id_of(*names: str) -> UUID:
    """The id that belongs to these names, the same every time: ``id_of("pipeline", "talent")``."""
    made = _BEGUN.copy()  # as uuid5, without beginning anew each time
    made.update("\x1f".join(names).encode())
    number = int.from_bytes(made.digest()[:16])
    return UUID(int=number & ~(0xF << 76 | 0b11 << 62) | 5 << 76 | 0b10 << 62)


class OutOfTime(Invalid, ValueError):
    """An instant needs an offset from UTC, and lies within the years 1 to 9999."""


class NotYet(Invalid):
    """This lies in the future: what is written down here has happened."""


class IdTaken(Conflict):
    """This id belongs to something else: leave it out, and what you make gets one of its own."""


class Reservation(msgspec.Struct, frozen=True):
    """A value that one stream at a time may hold, such as an e-mail address.

    value    normalised; what is kept of it is a keyed hash
    refusal  what to tell whoever comes second
    """

    scope: str
    value: str
    refusal: type[Refusal]


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """A fact. The class may be renamed or moved; its ``tag`` is stored and is for ever.

    Evolve by adding fields with defaults. A change of meaning is a new event. A stored shape that
    no longer decodes is brought up by ``upcast``.
    """

    may_lie_ahead: ClassVar[bool] = False
    stays_sealed: ClassVar[frozenset[str]] = frozenset()
    """Sealed fields that are opened to nobody who follows the ledger."""

    def __post_init__(self) -> None:
        for name in _instants(type(self)):
            instant = getattr(self, name)
            if instant is not None and instant.tzinfo is None:
                raise OutOfTime(field=name)
            if instant is not None and instant.tzinfo is not UTC:
                try:
                    utc = instant.astimezone(UTC)
                except OverflowError:
                    raise OutOfTime(field=name) from None
                msgspec.structs.force_setattr(self, name, utc)

    @classmethod
    def upcast(cls, document: dict[str, Any]) -> dict[str, Any]:
        """The stored document in today's shape; sealed fields are open already."""
        return document

    @property
    def once(self) -> str:
        """The same non-empty key is written once per stream; written again it is a no-op."""
        return ""

    @property
    def reserves(self) -> tuple[Reservation, ...]:
        """Taken in the transaction that writes the entry, refused if another stream holds one."""
        return ()

    @property
    def releases(self) -> tuple[tuple[str, str], ...]:
        """Scope and value of reservations that this stream gives back, in the same transaction."""
        return ()

    @property
    def concerns(self) -> tuple[UUID, ...]:
        """Other people and companies in whose history this belongs; the counterpart first."""
        return ()

    @property
    def others(self) -> tuple[UUID, ...]:
        """Those whom it concerns besides the counterpart."""
        return self.concerns[1:]

    @property
    def line(self) -> str:
        """One line for a history; nothing personal, it is copied into read models."""
        raise NotImplementedError

    @property
    def told(self) -> str:
        """What was said, for a history: of sealed fields, and therefore gone with their key."""
        text: str = getattr(self, "text", "")
        override: str = getattr(self, "override", "")
        if not override:
            return text
        return "\n".join(filter(None, (text, f"all the same: {override}")))

    @property
    def occurred_at(self) -> datetime | None:
        """When it happened, by the event's own first instant or day; None: when it was written."""
        for name in _times(type(self)):
            value: datetime | date | None = getattr(self, name)
            if isinstance(value, datetime):
                return value
            if value is not None:
                return datetime.combine(value, time(), UTC)
        return None


class PersonFact(Event, frozen=True, kw_only=True):
    """On a person's stream. What it ``concerns`` first is the company that it was about."""


class CompanyFact(Event, frozen=True, kw_only=True):
    """On a company's stream. What it ``concerns`` first is the person that it was about."""


@cache
def _fields(event: type[Event]) -> dict[str, Any]:
    return {f.name: f.type for f in msgspec.inspect.type_info(event).fields}  # type: ignore[attr-defined]


def _is(type_: Any, wanted: type) -> bool:
    members = type_.types if isinstance(type_, msgspec.inspect.UnionType) else (type_,)
    plain = (m.type if isinstance(m, msgspec.inspect.Metadata) else m for m in members)
    return any(isinstance(m, wanted) for m in plain)


@cache
def _instants(event: type[Event]) -> tuple[str, ...]:
    return tuple(n for n, t in _fields(event).items() if _is(t, msgspec.inspect.DateTimeType))


DAYS = ("starts_on", "left_on", "ended_on")


@cache
def _times(event: type[Event]) -> tuple[str, ...]:
    """Fields that say when, in order of declaration: ``_at``, else a day of ``DAYS``."""
    return (*_instants(event), *(n for n in _fields(event) if n in DAYS))


def kind(event: Event | type[Event]) -> str:
    """The stored name, e.g. ``person.message_replied``: topic, API ``kind``, NATS subject."""
    return str(event.__struct_config__.tag)


@cache
def sealed_fields(event: type[Event]) -> frozenset[str]:
    """Names of the fields that are stored under the key of the stream's owner. Raises ValueError on
    one that is not plain text of the event itself: it would be stored in clear."""
    names = frozenset(
        name
        for name, type_ in _fields(event).items()
        if isinstance(type_, msgspec.inspect.Metadata) and (type_.extra or {}).get("sealed")
    )
    if _sealed_somewhere(event) != len(names):
        raise ValueError(f"{kind(event)} seals what cannot be sealed: text of its own only")
    return names


def _sealed_somewhere(event: type[Event]) -> int:
    """How often anything in this event, at any depth, is marked as sealed."""

    def marks(type_: Any) -> int:
        inspect = msgspec.inspect
        match type_:
            case inspect.Metadata(type=inner, extra=extra):
                return bool((extra or {}).get("sealed")) + marks(inner)
            case inspect.UnionType(types=types):
                return sum(map(marks, types))
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                return marks(item)
            case inspect.DictType(key_type=key, value_type=value):
                return marks(key) + marks(value)
            case inspect.StructType(fields=fields):
                return sum(marks(field.type) for field in fields)
        return 0

    return sum(map(marks, _fields(event).values()))


E_co = TypeVar("E_co", bound=Event, covariant=True)


class Entry(
    msgspec.Struct,
    CanInitAggregate[UUID],
    Generic[E_co],
    frozen=True,
    kw_only=True,
    omit_defaults=True,
):
    """One line of the ledger. ``timestamp`` is when it was written, UTC; when the thing
    happened is the event's own business (``replied_at``, ``starts_on``)."""

    TOPIC: ClassVar[str] = "entry"

    originator_id: UUID
    originator_version: int
    position: int = 0  # in the whole ledger: 1, 2, 3, ... without holes; 0 until written
    timestamp: datetime
    by: Actor
    event: E_co
    cause: str = msgspec.field(default_factory=cause.get)
    originator_topic: str = ""  # the aggregate's TOPIC, on the first entry of a stream
    through: str = msgspec.field(default_factory=through.get)  # "": no request of a key's

    @property
    def at(self) -> datetime:
        """When it happened, as far as anybody said; else when it was written, and never later: what
        is agreed for a day to come is known from now on."""
        said, written = self.event.occurred_at, self.timestamp
        return written if said is None or said > written else said

    @classmethod
    def create_timestamp(cls) -> datetime:
        return clock.written()

    def mutate(self, aggregate: Any) -> Any:
        if aggregate is not None:
            return CanMutateAggregate.mutate(self, aggregate)
        # as the library's, without looking which of an entry's fields a beginning might want: none
        type_: type[Aggregate] = resolve_topic(self.originator_topic)
        begun = type_.__new__(type_)
        begun.__base_init__(self.originator_id, self.originator_version, self.timestamp)
        begun.__init__()  # type: ignore[misc]
        self.apply(begun)
        return begun

    def apply(self, aggregate: Any) -> None:
        aggregate.apply(self.event)

    def _as_dict(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


register_topic(Entry.TOPIC, Entry)


class Aggregate(BaseAggregate[UUID]):
    """A stream and the state its commands decide on. Subclasses set ``TOPIC``, write
    commands that ``enter`` events, and one ``apply`` that cannot fail."""

    TOPIC: ClassVar[str]

    beside: tuple[Any, ...] = ()
    """Those that are merged into it, in hand: whoever loads an aggregate for a decision brings them
    (``Work.get``)."""

    unseen: Set[UUID] = frozenset()
    """Ids that whoever decides now has named and may not see: for them there is nothing under
    these (``Work.get``)."""

    @property
    def goes_on_as(self) -> UUID | None:
        """The record that it is merged into (``domain.merging``)."""
        return None

    @property
    def goes_on_with(self) -> Sequence[UUID]:
        """The records that are merged into it."""
        return ()

    @property
    def everyone(self) -> list[Self]:
        """All records of whom this is about, itself first."""
        return [self, *(one for other in self.beside for one in other.everyone)]

    def on_job_orders(self, ids: Set[UUID]) -> Iterator[tuple[UUID, UUID, UUID]]:
        """Of these those that are of something here that is on a job order, or of one: each with
        its job order, and the company that it is of."""
        return iter(())

    @property
    def seen(self) -> int:
        """The version of all of them together, as readers know it: any entry raises it."""
        return sum([one.version for one in self.everyone]) if self.beside else self.version

    @staticmethod
    def create_id(*_: Any, **__: Any) -> UUID:
        return new_id()

    @classmethod
    def open(cls, event: Event, *, by: Actor, id: UUID | None = None) -> Self:
        """Raises NotYet."""
        _must_have_happened(event, clock.now())
        entry = Entry(
            originator_id=id or cls.create_id(),
            originator_version=cls.INITIAL_VERSION,
            timestamp=clock.written(),
            by=by,
            event=event,
            originator_topic=cls.TOPIC,
        )
        begun: Self = entry.mutate(None)
        begun.pending_events.append(entry)
        return begun

    def enter(self, event: Event, *, by: Actor) -> None:
        """Raises NotYet."""
        _must_have_happened(event, clock.now())
        # as the library's ``trigger_event``, without what that asks each time, and we know
        entry = Entry(
            originator_id=self.id,
            originator_version=self.version + 1,
            timestamp=clock.written(),
            by=by,
            event=event,
        )
        self.apply(event)
        self.version, self.modified_on = entry.originator_version, entry.timestamp
        self.pending_events.append(entry)

    def collect_events(self) -> Sequence[Any]:
        """As the library's, at once."""
        pending = self.pending_events
        if not pending:
            return ()
        collected = [*pending]
        pending.clear()
        return collected

    def apply(self, event: Event) -> None:
        raise NotImplementedError


CLOCKS_DIFFER = timedelta(days=1)  # by a time zone that was left out, at most


def _must_have_happened(event: Event, now: datetime) -> None:
    """One fact of the year 2999 would be the newest of a history for ever."""
    if event.may_lie_ahead:
        return
    latest = now + CLOCKS_DIFFER
    for name in _instants(type(event)):
        instant = getattr(event, name)
        if instant is not None and instant > latest:
            raise NotYet(field=name)
