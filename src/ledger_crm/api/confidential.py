"""Confidential job orders: whoever does not work on one sees nothing that names it.

Looked at where all reads answer (``View``), where callers are let in, where aggregates look for
what a write names (``Sight``), and where the ledger is followed; nowhere else, and by the one set
that is made here. What is confidential now is not seen as of then either.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from functools import cache
from typing import Any, TypeAlias, get_args, get_type_hints
from uuid import UUID

import msgspec

from ledger_crm.commands.drafting import Foreseen
from ledger_crm.domain.access import Holder
from ledger_crm.domain.clock import today
from ledger_crm.domain.entry import Actor, Aggregate, Event
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.role import Permission
from ledger_crm.ledger import NoSuchRecord, Told, Work
from ledger_crm.projections import companies

from .snapshots import DIRECTORY, Reads, level

ALL: Permission = "confidential.read"
TEAM: Permission = "confidential.team"
TRUST_S = 1.0  # who is staffed or joins a team sees it after this long
MOST = 1_024  # callers remembered at once
NONE: frozenset[UUID] = frozenset()
ORDER = "job_order_id"
NAMES = ("id", ORDER)
UNTOLD = "hidden"  # in place of a kind
NOWHERE = UUID(int=0)
SEVERAL = (list, tuple, set, frozenset)
ID_LENGTHS = range(32, 46)  # from bare digits to urn:uuid:
USES = (companies.projection, DIRECTORY)
Decision: TypeAlias = Callable[[Work], Awaitable[Aggregate]]


class Hidden:
    """Ids of the job orders that a caller does not see."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._known: dict[tuple[str, bool], tuple[frozenset[UUID], int, float]] = {}

    def remembered(self, holder: Holder, position: int) -> frozenset[UUID] | None:
        """None: not known, or not of what is known up to there."""
        if holder.may(ALL):
            return NONE
        found = self._known.get((holder.actor, holder.may(TEAM)))
        if found and found[1] >= position and time.monotonic() <= found[2]:
            return found[0]
        return None

    async def of(self, holder: Holder, position: int = 0) -> frozenset[UUID]:
        """As far as there at least. Raises Unavailable, ReadModelBehind."""
        if (known := self.remembered(holder, position)) is not None:
            return known
        who, asked_s = (holder.actor, holder.may(TEAM)), time.monotonic()

        async def attempt() -> tuple[int, tuple[frozenset[UUID]] | None]:
            async with self._reads.snapshot(USES) as (cur, stands_at):
                if stands_at < position:
                    return stands_at, None
                on = today()
                found = await companies.hidden_job_orders(cur, who[0], team=who[1], on=on)
                return stands_at, (found,)

        stands_at, found = await level(attempt, position)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[who] = found, stands_at, asked_s + TRUST_S
        return found


class Sight:
    """What one request may decide on. Whatever it names of a job order that its caller does not
    see is refused as if it were not there, where it is looked for: in the ledger itself, so that
    nothing is told by the order in which a command looks.

    named  ids that the request names, however they are written
    """

    def __init__(self, hidden: Hidden, holder: Holder, named: Iterable[str]) -> None:
        self.named = frozenset(_ids(named))
        self._of, self._holder = hidden, holder
        self._hidden: frozenset[UUID] | None = None
        self._looked_at: dict[UUID, Aggregate] = {}

    async def hidden(self) -> frozenset[UUID]:
        """Raises Unavailable, ReadModelBehind."""
        if self._hidden is None:
            self._hidden = await self._of.of(self._holder)
        return self._hidden

    async def eye(self, aggregate: Aggregate, ids: Set[UUID] | None = None) -> Set[UUID]:
        self._looked_at[aggregate.id] = aggregate
        return await self._unseen(aggregate, self.named if ids is None else ids)

    async def _unseen(self, aggregate: Aggregate, ids: Set[UUID]) -> Set[UUID]:
        of_orders = dict(aggregate.on_job_orders(ids)) if ids else {}
        hidden = await self.hidden() if of_orders else NONE
        return frozenset(id for id, order in of_orders.items() if order in hidden)

    def deciding(self, decision: Decision) -> Decision:
        """As this caller may. Raises as ``decision``, and NoSuchRecord."""

        async def decided(work: Work) -> Aggregate:
            work.eye, self._looked_at = self.eye, {}
            try:
                subject = await decision(work)
            except Refusal as refusal:
                raise await self.told(refusal) from None
            await self.must_be_seen([entry.event for entry in work.pending()])
            return subject

        return decided

    async def must_be_seen(self, found: Sequence[Event]) -> None:
        """By who decided this: a command that did not look for what is named. Raises
        NoSuchRecord."""
        unseen = self.named & frozenset(id for one in self._looked_at.values() for id in one.unseen)
        if not unseen and any(getattr(fact, ORDER, None) in self.named for fact in found):
            unseen = self.named & await self.hidden()
        if unseen:
            raise NoSuchRecord(id=min(unseen))

    async def foreseen(self, found: list[Foreseen]) -> list[Foreseen]:
        """What a dry run may tell of these: of hidden ones not even that they would be."""
        if not any(ORDER.encode() in bytes(entry.fact) for entry in found):
            return found
        hidden = await self.hidden()
        return [entry for entry in found if not is_of(entry.fact, hidden)]

    async def told(self, refusal: Refusal) -> Refusal:
        """Without what it says of others' job orders besides those that were named."""
        if refusal.rests_on and refusal.rests_on in await self.hidden():
            refusal.facts = {}
            return refusal
        said = {
            id
            for value in refusal.facts.values()
            for id in (value if isinstance(value, SEVERAL) else (value,))
            if isinstance(id, UUID)
        } - self.named
        unseen: set[UUID] = set()
        for one in self._looked_at.values():
            unseen |= await self._unseen(one, said)
        if not unseen:
            return refusal
        shown = {}
        for name, value in refusal.facts.items():
            if isinstance(value, SEVERAL):
                shown[name] = [each for each in value if each not in unseen]
            elif not (isinstance(value, UUID) and value in unseen):
                shown[name] = value
        refusal.facts = shown
        return refusal


def without(found: Any, hidden: frozenset[UUID]) -> Any:
    """An answer without all that names one of these. Raises NoSuchRecord if it is one, or is of
    one."""
    if not hidden:
        return found
    shown = _without(found, hidden)
    if shown is GONE:
        raise NoSuchRecord()
    return shown


def texts_of(document: Any) -> Iterator[str]:
    match document:
        case str():
            yield document
        case dict():
            for each in document.values():
                yield from texts_of(each)
        case list():
            for each in document:
                yield from texts_of(each)


def is_of(fact: msgspec.Raw, hidden: frozenset[UUID]) -> bool:
    text = bytes(fact)
    return any(str(id).encode() in text for id in hidden)


def told_of(entry: Told, hidden: frozenset[UUID]) -> Told:
    """An entry as it is told: of a hidden one that something was written, and when. Its stream,
    author and cause tell of what is written beside it, and names of fields tell its kind."""
    if not is_of(entry.fact, hidden):
        return entry
    return Told(
        position=entry.position,
        stream=NOWHERE,
        version=0,
        kind=UNTOLD,
        recorded_at=entry.recorded_at,
        by=Actor(""),
        cause="",
        fact=msgspec.Raw(msgspec.json.encode({"kind": UNTOLD})),
        sealed=(),
    )


def _ids(texts: Iterable[str]) -> Iterator[UUID]:
    for text in texts:
        if len(text) in ID_LENGTHS:
            with suppress(ValueError):
                yield UUID(text)


GONE = object()


def _without(found: Any, hidden: frozenset[UUID]) -> Any:
    match found:
        case UUID() if found in hidden:  # one of several
            return GONE
        case list() | tuple():
            told = [shown for each in found if (shown := _without(each, hidden)) is not GONE]
            same = len(told) == len(found) and all(map(operator.is_, told, found))
            if same:
                return found
            return tuple(told) if isinstance(found, tuple) else told
        case msgspec.Struct():
            changed = {}
            for name in found.__struct_fields__:
                value = getattr(found, name)
                if name in NAMES and value in hidden:
                    return GONE
                if isinstance(value, msgspec.Struct | list | tuple):
                    shown = _without(value, hidden)
                    if shown is GONE:
                        if name not in _may_be_none(type(found)):
                            return GONE
                        shown = None
                    if shown is not value:  # what is left as it was is told as it was
                        changed[name] = shown
            return msgspec.structs.replace(found, **changed) if changed else found
    return found


@cache
def _may_be_none(type_: type) -> frozenset[str]:
    hints = get_type_hints(type_)
    return frozenset(name for name, hint in hints.items() if type(None) in get_args(hint))
