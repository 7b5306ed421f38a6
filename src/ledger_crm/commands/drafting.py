"""Drafting: commands are decided, one upon another, and written together or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from ledger_crm.domain.entry import Actor, Aggregate, Entry, Event, kind
from ledger_crm.ledger import Intent, Ledger, PartlyThere, Receipt, Repeated, StaleVersion, Work
from ledger_crm.store import decode_stored


class Foreseen(msgspec.Struct, frozen=True):
    """An entry that would be written. ``fact`` and ``sealed`` as in ``Told``."""

    stream: UUID
    version: int
    kind: str
    fact: msgspec.Raw
    sealed: Sequence[str]


class Draft(Work):
    """A work for many commands. What is decided is staged, for one ``commit`` by whoever made it.

    trying  there will be none
    """

    def __init__(self, ledger: Ledger, by: Actor, *, trying: bool) -> None:
        super().__init__(ledger, by)
        self.trying = trying
        self.drafted: list[Entry[Event]] = []
        self.foreseen: list[Foreseen] = []  # of the last command

    async def answer(
        self,
        decision: Callable[[Work], Awaitable[Aggregate]],
        *,
        intent: Intent,
        of: UUID | None = None,
    ) -> tuple[Receipt, bool]:
        """As ``Ledger.answer``, but the receipt is of what would be written, and has no position
        yet. Raises what ``commit`` would, as far as can be seen now."""
        self.foreseen = []
        if intent.key and (found := (await self.ledger.receipts([intent])).get(intent.key)):
            return found, True
        self._of, self._expected = of, intent.expected
        facts: list[Entry[Event]] = []
        try:
            subject = await decision(self)
            facts, seen = self.pending(), subject.seen
            before = seen - sum([len(one.pending_events) for one in subject.everyone])
            if intent.expected is not None and not before:
                raise StaleVersion(id=subject.id, expected=intent.expected, found=0)
            self.foreseen = self._foreseen(facts)
            await self._must_fit(facts)
        except Repeated:
            self.undo()
            self.foreseen = []
            if len(facts) > 1:
                raise PartlyThere(id=subject.id) from None
            return Receipt(subject.id, before, None), False
        except Exception:
            self.undo()
            self.foreseen = []
            raise
        self.stage(intent, subject)
        self.drafted += facts
        return Receipt(subject.id, seen, None), False

    def _foreseen(self, facts: Sequence[Entry[Event]]) -> list[Foreseen]:
        """Raises DoesNotFit, NulInText."""
        rows, _ = self.ledger.store.sealed(facts, dict(self._keys))
        found = []
        for entry, row in zip(facts, rows, strict=True):
            stored = decode_stored(row.state)
            found.append(
                Foreseen(
                    entry.originator_id,
                    entry.originator_version,
                    kind(entry.event),
                    msgspec.Raw(bytes(stored.event)),
                    list(stored.sealed or ()),
                )
            )
        return found

    async def _must_fit(self, facts: Sequence[Entry[Event]]) -> None:
        """Beside what is in the ledger, and what is drafted before it. Raises Repeated, and the
        refusal of a reservation."""
        store, everything = self.ledger.store, [*self.drafted, *facts]
        claims = store.claims_of(everything)
        if not store.claims_of(facts):
            return
        given_back = {(each.key, each.stream_id) for each in store.releases_of(everything)}
        holders = await self.ledger.run(store.holders, claims)
        first: dict[bytes, UUID] = {}
        for claim in claims:
            holder = holders.get(claim.key)
            if holder is None or (claim.key, holder) in given_back:
                holder = first.get(claim.key)
            first.setdefault(claim.key, claim.stream_id)
            if claim.reservation is None and holder is not None:
                raise Repeated()
            if claim.reservation and holder not in (None, claim.stream_id):
                raise claim.reservation.refusal(holder=holder)
