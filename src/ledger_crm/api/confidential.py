"""Confidential job orders: whoever does not work on one sees nothing that names it.

Looked at where all reads answer (``View``), where callers are let in, where aggregates look for
what a write names (``Sight``), and where the ledger is followed; nowhere else, and by the one set
that is made here. What is confidential now is not seen as of then either.
"""

from __future__ import annotations

import operator
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, TypeAlias, get_args, get_type_hints
from uuid import UUID

import msgspec

from ledger_crm.commands.drafting import Foreseen
from ledger_crm.domain.access import Holder
from ledger_crm.domain.clock import today
from ledger_crm.domain.company import Company
from ledger_crm.domain.entry import Actor, Aggregate, Event, kind
from ledger_crm.domain.joborder import JobOrder, JobOrderOpened
from ledger_crm.domain.refusals import Refusal
from ledger_crm.domain.role import Permission
from ledger_crm.ledger import Ledger, NoSuchRecord, Told, Work
from ledger_crm.projections import companies

from .problems import ReadModelBehind
from .snapshots import DIRECTORY, Reads, level

ALL: Permission = "confidential.read"
TEAM: Permission = "confidential.team"
TRUST_S = 1.0  # who is staffed or joins a team sees it after this long
MOST = 1_024  # callers remembered at once
NONE: frozenset[UUID] = frozenset()
ORDER = "job_order_id"
COMPANY = "company_id"
NAMES = ("id", ORDER)
UNTOLD = "hidden"  # in place of a kind
NOWHERE = UUID(int=0)
SEVERAL = (list, tuple, set, frozenset)
ID_LENGTHS = range(32, 46)  # from bare digits to urn:uuid:
USES = (companies.projection, DIRECTORY)
Decision: TypeAlias = Callable[[Work], Awaitable[Aggregate]]


class OfAnOrder(msgspec.Struct, frozen=True):
    """What a fact says of that."""

    job_order_id: UUID | None = None
    company_id: UUID | None = None


class Known(NamedTuple):
    """Of confidential job orders those that a caller does not see, and those that they do, as far
    as a position of the ledger."""

    hidden: frozenset[UUID]
    shown: frozenset[UUID]
    position: int


class Hidden:
    """Ids of the job orders that a caller does not see."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._known: dict[tuple[str, bool], tuple[Known, float]] = {}
        self._behind_until_s = 0.0  # somebody waited in vain: till then nobody else does

    def remembered(self, holder: Holder, position: int) -> frozenset[UUID] | None:
        """None: not known, or not of what is known up to there."""
        known = self._remembered(holder, position)
        return known and known.hidden

    async def of(self, holder: Holder, position: int = 0) -> frozenset[UUID]:
        """As far as there at least. Raises Unavailable, ReadModelBehind."""
        return (await self.known(holder, position)).hidden

    async def known(self, holder: Holder, position: int = 0) -> Known:
        """As ``of``."""
        if (known := self._remembered(holder, position)) is not None:
            return known
        who, asked_s = (holder.actor, holder.may(TEAM)), time.monotonic()

        async def attempt() -> tuple[int, tuple[dict[UUID, bool]] | None]:
            async with self._reads.snapshot(USES) as (cur, stands_at):
                if stands_at < position:
                    return stands_at, None
                on = today()
                found = await companies.confidential_job_orders(cur, who[0], team=who[1], on=on)
                return stands_at, (found,)

        behind = asked_s < self._behind_until_s
        try:
            stands_at, found = await level(attempt, position, patience_s=0.0 if behind else None)
        except ReadModelBehind:
            if not behind:  # or who asks often would never wait again
                self._behind_until_s = time.monotonic() + TRUST_S
            raise
        if len(self._known) >= MOST:
            self._known.clear()
        shown = frozenset(order for order, is_shown in found.items() if is_shown)
        known = Known(frozenset(found) - shown, shown, stands_at)
        self._known[who] = known, asked_s + TRUST_S
        return known

    def _remembered(self, holder: Holder, position: int) -> Known | None:
        if holder.may(ALL):
            return ALL_SEEN
        known, until_s = self._known.get((holder.actor, holder.may(TEAM)), (None, 0.0))
        fresh = known and known.position >= position and time.monotonic() <= until_s
        return known if fresh else None


class NotKnownYet(Exception):
    """Whether a job order is hidden. No refusal: it is to be learned, and decided again."""


ALL_SEEN = Known(NONE, NONE, sys.maxsize)


class Sight:
    """What one request may decide on. Whatever it names of a job order that its caller does not
    see is refused as if it were not there, where it is looked for: in the ledger itself, so that
    nothing is told by the order in which a command looks, nor while read models are behind.

    named  ids that the request names, however they are written
    """

    def __init__(
        self, ledger: Ledger, hidden: Hidden, holder: Holder, named: Iterable[str]
    ) -> None:
        self.named = frozenset(_ids(named))
        self._ledger, self._of, self._holder = ledger, hidden, holder
        self._known: Known | None = None
        self._learned = False
        self._work: Work | None = None
        self._looked_at: dict[UUID, Aggregate] = {}
        self._plain: set[UUID] = set()  # orders that are not confidential, while it is decided

    async def hidden(self, orders: Mapping[UUID, UUID | None]) -> frozenset[UUID]:
        """Of these orders, each with its company, if that is known. Raises NotKnownYet where one is
        confidential in the ledger and in no read model; Unavailable, ReadModelBehind."""
        if self._known is None:
            self._known = await self._of.known(self._holder)
        begun = self._begun()
        unknown = set[UUID]()
        for order in orders.keys() - self._known.hidden - self._known.shown - self._plain - begun:
            if not await self._is_confidential(order, orders[order]):
                self._plain.add(order)
            elif not self._learned:
                raise NotKnownYet()
            else:  # since then
                unknown.add(order)
        return (self._known.hidden | unknown) & orders.keys()

    async def learn(self) -> None:
        """What is written by now. Not while somebody waits for their turn at the record: read
        models may be away. Raises Unavailable, ReadModelBehind."""
        self._known = await self._of.known(self._holder, await self._ledger.head())
        self._learned = True

    def _begun(self) -> frozenset[UUID]:
        """Orders that are opened by what is decided here, and are nobody else's yet."""
        if self._work is None:
            return NONE
        facts = [entry.event for entry in self._work.unwritten()]
        return frozenset(fact.job_order_id for fact in facts if isinstance(fact, JobOrderOpened))

    async def _is_confidential(self, order: UUID, company_id: UUID | None) -> bool:
        """As it is in the ledger; of one that nothing here tells the company of, as if it were."""
        for one in self._looked_at.values():
            for _, _, its_company in one.on_job_orders({order}):
                if isinstance(one, Company):
                    return one.together(_orders)[order].confidential
                company_id = its_company
        if company_id is None:
            return True
        work = Work(self._ledger, Actor(""), memory=self._ledger.memory)
        try:
            there = (await work.get(Company, company_id)).together(_orders)
            return order in there and there[order].confidential
        except NoSuchRecord:  # it begins here
            return False
        finally:
            work.keep()

    async def eye(self, aggregate: Aggregate, ids: Set[UUID] | None = None) -> Set[UUID]:
        self._looked_at[aggregate.id] = aggregate
        return await self._unseen(aggregate, self.named if ids is None else ids)

    async def _unseen(self, aggregate: Aggregate, ids: Set[UUID]) -> Set[UUID]:
        found = [*aggregate.on_job_orders(ids)] if ids else []
        if not found:
            return NONE
        hidden = await self.hidden({order: company for _, order, company in found})
        return frozenset(id for id, order, _ in found if order in hidden)

    def deciding(self, decision: Decision) -> Decision:
        """As this caller may. Raises as ``decision``, and NoSuchRecord."""

        async def decided(work: Work) -> Aggregate:
            work.eye, self._work, self._looked_at, self._plain = self.eye, work, {}, set()
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
        orders = {getattr(fact, ORDER, None): getattr(fact, COMPANY, None) for fact in found}
        if not unseen and (named := {id: orders[id] for id in orders.keys() & self.named if id}):
            unseen = await self.hidden(named)
        if unseen:
            raise NoSuchRecord(id=min(unseen))

    async def foreseen(self, found: list[Foreseen]) -> list[Foreseen]:
        """What a dry run may tell of these: of hidden ones not even that they would be."""
        facts = [msgspec.json.decode(one.fact, type=OfAnOrder) for one in found]
        orders = {fact.job_order_id: fact.company_id for fact in facts if fact.job_order_id}
        for one, fact in zip(found, facts, strict=True):
            if one.kind == kind(JobOrderOpened) and fact.job_order_id:
                orders.pop(fact.job_order_id, None)
        try:
            hidden = await self.hidden(orders)
        except NotKnownYet:
            await self.learn()
            hidden = await self.hidden(orders)
        return [entry for entry in found if not is_of(entry.fact, hidden)]

    async def told(self, refusal: Refusal) -> Refusal:
        """Without what it says of others' job orders besides those that were named."""
        if refusal.rests_on and await self.hidden({refusal.rests_on: None}):
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


def _orders(company: Company) -> dict[UUID, JobOrder]:
    return company.job_orders


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
