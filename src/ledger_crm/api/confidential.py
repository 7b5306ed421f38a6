"""Confidential job orders: whoever does not work on one sees nothing that names it.

Looked at where all reads answer (``View``), where callers are let in, where writes begin, and where
the ledger is followed; nowhere else, and by the one set that is made here. What is confidential now
is not seen as of then either.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec

from ledger_crm.domain import EVENTS
from ledger_crm.domain.access import Holder
from ledger_crm.domain.clock import today
from ledger_crm.domain.role import Permission
from ledger_crm.ledger import NoSuchRecord, Told
from ledger_crm.projections import companies

from .reading import DIRECTORY, Reads, level

ALL: Permission = "confidential.read"
TEAM: Permission = "confidential.team"
TRUST_S = 1.0  # who is staffed or joins a team sees it after this long
MOST = 1_024  # callers remembered at once
NONE: frozenset[UUID] = frozenset()
NAMES = ("id", "job_order_id")
ID_LENGTHS = range(32, 46)  # from bare digits to urn:uuid:
USES = (companies.projection, DIRECTORY)


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


def without(found: Any, hidden: frozenset[UUID]) -> Any:
    """An answer without all that names one of these. Raises NoSuchRecord if it is one, or is of
    one."""
    if not hidden:
        return found
    shown = _without(found, hidden)
    if shown is GONE:
        raise NoSuchRecord()
    return shown


def must_name_none(asked: Iterable[str], hidden: frozenset[UUID]) -> None:
    """None of these texts is the id of one of these, however it is written. Raises
    NoSuchRecord."""
    for text in asked:
        if len(text) in ID_LENGTHS and (id := _id(text)) in hidden:
            raise NoSuchRecord(job_order_id=id)


def may_name_one(body: bytes) -> bool:
    """At a glance: names may be escaped in JSON."""
    return b"job_order" in body or b"\\u" in body


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


def told_of(entry: Told, hidden: frozenset[UUID]) -> Told:
    """An entry as it is told: of a hidden one that something was written, and not what."""
    fact = bytes(entry.fact)
    if not any(str(id).encode() in fact for id in hidden):
        return entry
    event = EVENTS.get(entry.kind)
    names = sorted(event.__struct_fields__) if event else list(entry.sealed)
    shut = msgspec.Raw(msgspec.json.encode({"kind": entry.kind}))
    return msgspec.structs.replace(entry, fact=shut, sealed=names)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


GONE = object()


def _without(found: Any, hidden: frozenset[UUID]) -> Any:
    match found:
        case UUID() if found in hidden:  # one of several
            return GONE
        case list() | tuple():
            return [shown for each in found if (shown := _without(each, hidden)) is not GONE]
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
                    changed[name] = shown
            return msgspec.structs.replace(found, **changed) if changed else found
    return found


@cache
def _may_be_none(type_: type) -> frozenset[str]:
    hints = get_type_hints(type_)
    return frozenset(name for name, hint in hints.items() if type(None) in get_args(hint))
