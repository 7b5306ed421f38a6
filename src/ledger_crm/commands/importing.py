"""Import of CSV files: rows become facts by a mapping, through the commands that everybody uses.

    report = await import_csv(ledger, source, load_mapping(path))

A row goes in whole or not at all, and once: it is known again by the mapping's name and its own
key. So a second run changes nothing, and one that was killed goes on where it was. Two thousand
rows share a transaction; a row that is refused is left out of it and listed with line, column and
reason, never with a value, and the rest go in.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO
from uuid import UUID

import msgspec

from ledger_crm.domain.entry import Actor, Aggregate, Entry, Event
from ledger_crm.domain.refusals import Invalid, Refusal
from ledger_crm.ledger import Intent, Ledger, Repeated, Work
from ledger_crm.store import Claim

from .ahead import Rows
from .lines import IMPORT, Row, RowReport, intent_of
from .mapping import ImportFault, Mapping, Planned, RowFault, Step, load_mapping

__all__ = ["ImportFault", "Mapping", "Progress", "Report", "RowReport", "import_csv",
           "load_mapping"]  # fmt: skip

CHUNK_ROWS = 2000  # in a transaction, for which all other writers wait
HELD_RECORDS = 20_000  # in memory, before they are forgotten and read again when needed
LISTED = 1000  # refusals kept in the report; ``on_row`` is told all of them
ATTEMPTS = 8  # at one row that others write to as well


class Progress(msgspec.Struct, frozen=True):
    """``bytes`` of the source as it is, compressed or not."""

    rows: int
    facts: int
    bytes: int


class Report(msgspec.Struct, kw_only=True):
    """What became of a file. ``read`` is the sum of the five outcomes; ``facts`` counts entries,
    those of ``[[setup]]`` too; positions are None when nothing was written.

    listed    the first thousand rows that were refused or have changed
    unlisted  how many there are besides
    """

    mapping: str
    dry_run: bool = False
    read: int = 0
    imported: int = 0
    already: int = 0
    changed: int = 0
    refused: int = 0
    skipped: int = 0
    facts: int = 0
    first_position: int | None = None
    last_position: int | None = None
    duration_s: float = 0.0
    listed: list[RowReport] = []
    unlisted: int = 0


async def import_csv(
    ledger: Ledger,
    source: BinaryIO,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_row: Callable[[RowReport], None] | None = None,
) -> Report:
    """Reads ``source``, gzip or not, once and from where it stands.

    ``on_row`` hears of every row, in the file's order, when it is in. A dry run decides all of it
    on the ledger as it is, writes nothing, and holds the records of the whole file in memory.
    Raises ImportFault when nothing of the file can be used, Unavailable; what was written before
    stays, and the same call goes on from there.
    """
    started = time.monotonic()
    report = Report(mapping=mapping.name, dry_run=dry_run)
    writer = Writer(ledger, mapping.name, report)
    hashes = ledger.store.keyring
    with (
        Rows(source, mapping, hashes, chunk_rows=CHUNK_ROWS) as rows,
        _rare_collections(),
    ):
        await writer.set_up(mapping.before(hashes.hash_of))
        chunk = rows.take()
        await writer.decide(chunk)
        while chunk:
            following: list[Row] = []
            fault: BaseException | None = None
            looking: asyncio.Task[list[Row]] | None = None
            try:
                following = rows.take()
            except BaseException as raised:  # to be raised when what is being written is told of
                fault = raised
            writer.remember(chunk)
            if following and not writer.is_full:
                looking = asyncio.create_task(writer.look(following))
                await begun()  # the database looks while we seal
            writing = asyncio.create_task(writer.write())
            await begun()  # and writes while we decide
            try:
                if not looking:
                    await asyncio.wait([writing])
                await writer.decide(following, looking)
            except BaseException as raised:
                fault = fault or raised
            if not await writing:
                await writer.write_again(chunk)
                if following and (fault is None or isinstance(fault, Exception)):
                    fault = None  # it came of what then was not written
                    await writer.decide(following)
            note(report, chunk, on_row)
            if on_progress:
                on_progress(Progress(report.read, report.facts, rows.consumed))
            if fault:
                raise fault
            chunk = following
    report.duration_s = round(time.monotonic() - started, 3)
    return report


async def begun() -> None:
    """Lets what was created get as far as its question to the database."""
    for _ in range(2):
        await asyncio.sleep(0)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """A row leaves no cycles behind, and looking for them costs up to an eighth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 500_000), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def note(report: Report, rows: Sequence[Row], on_row: Callable[[RowReport], None] | None) -> None:
    counts = dict.fromkeys(("imported", "already", "changed", "refused", "skipped"), 0)
    for row in rows:
        counts[row.report.outcome] += 1
        if row.report.outcome in ("refused", "changed"):
            if len(report.listed) < LISTED:
                report.listed.append(row.report)
            else:
                report.unlisted += 1
        if on_row:
            on_row(row.report)
    report.read += len(rows)
    for outcome, count in counts.items():
        setattr(report, outcome, getattr(report, outcome) + count)


class Batch(Work):
    """A work that can go back to a mark, and keeps the facts of one row in the order of its
    steps, also when they are on several streams: a person is employed at a company that is there.
    """

    def __init__(self, ledger: Ledger, by: Actor) -> None:
        super().__init__(ledger, by)
        self._marked = (0, 0)
        self._rested: dict[UUID, int] = {}
        self._order: dict[tuple[UUID, int], int] = {}

    def mark(self) -> None:
        self._marked, self._rested = (len(self._staged), len(self._receipts)), dict(self._read)
        self._order = {}

    def rewind(self) -> None:
        """Forgets what was decided since the mark, and what that rested on; what is staged before
        it stays."""
        staged, receipts = self._marked
        self.undo()
        for entry in self._staged[staged:]:
            self._known.pop(entry.originator_id, None)
        del self._staged[staged:], self._receipts[receipts:]
        self._read = dict(self._rested)

    async def has_written(self, id: UUID, event: Event) -> bool:
        """Or is about to."""
        if not event.once:
            return False
        store = self.ledger.store
        ours = [e for e in (*self._writing, *self._staged) if e.originator_id == id]
        key = store.repetition(id, event).key
        if any(claim.key == key for claim in store.claims_of(ours)):
            return True
        return await super().has_written(id, event)

    @property
    def since(self) -> Sequence[Entry[Event]]:
        """Staged since the mark."""
        return self._staged[self._marked[0] :]

    def fresh(self) -> list[Entry[Event]]:
        """What was decided since the last call, or since the last ``stage``."""
        fresh = [e for e in self.pending() if _place(e) not in self._order]
        for entry in fresh:
            self._order[_place(entry)] = len(self._order)
        return fresh

    def undo(self) -> None:
        super().undo()
        self._order = {}

    def take(self, intent: Intent | None, subject: Aggregate) -> int:
        """``stage``, and how many entries it were."""
        before = len(self._staged)
        self.stage(intent, subject)
        if order := self._order:
            self._staged[before:] = sorted(self._staged[before:], key=lambda e: order[_place(e)])
            self._order = {}
        return len(self._staged) - before


def _place(entry: Entry[Event]) -> tuple[UUID, int]:
    return entry.originator_id, entry.originator_version


Holders = dict[bytes, UUID | None]
"""Of what is claimed, by its key; None: nobody."""

FIELD_OF = {"email": "email", "phone": "phone", "url": "profile_url", "domain": "domain"}
"""Of a reservation's scope: where its value came from, unless the fact calls it ``value``."""


class Writer:
    """Decides rows on one long-lived work, a chunk at a time, and writes them."""

    def __init__(self, ledger: Ledger, name: str, report: Report) -> None:
        self.ledger, self.name, self.report = ledger, name, report
        self.work = Batch(ledger, IMPORT)
        # of the chunk that is being written, or of all that a dry run would have written:
        self._kept: dict[bytes, bytes] = {}
        self._claimed: dict[bytes, UUID] = {}
        self._all_new = True  # the rows of the chunk before

    @property
    def is_full(self) -> bool:
        """Has to forget what it holds, for which nothing may be under way."""
        return len(self.work) > HELD_RECORDS and not self.report.dry_run

    async def set_up(self, before: Sequence[Planned]) -> None:
        """What the mapping opens before the rows. Raises ImportFault."""
        rows = [Row(n, planned) for n, planned in enumerate(before, 1)]
        await self.decide(rows)
        self.remember(rows)
        if not _fault_of_setup(rows) and not await self.write():
            await self.write_again(rows)
        if fault := _fault_of_setup(rows):
            raise ImportFault(fault)

    async def decide(
        self, rows: Sequence[Row], looking: Awaitable[list[Row]] | None = None
    ) -> None:
        """Every row for itself: what it would write is staged, or its report says why not. What
        is being written counts as written. ``looking``: a ``look`` at them that has begun."""
        work = self.work
        if self.is_full and not looking:
            work.forget()
        work.mark()
        new = await (looking or self.look(rows))
        await self._decide(new, None)
        if taken := await self._taken():
            work.rewind()
            await work.load(_ids_of(new))
            await self._decide(new, taken)
        # another run of this file may have written between our two looks what refuses a row now
        await self._new([row for row in new if row.report.outcome == "refused"])

    async def look(self, rows: Sequence[Row]) -> list[Row]:
        """Those that say something and are not in yet; what they are about is in hand. As long as
        all are new, both is asked for at once. What was remembered counts as written."""
        if self._all_new:
            new, _ = await asyncio.gather(self._new(rows), self.work.load(_ids_of(rows)))
        else:
            new = await self._new(rows)
            await self.work.load(_ids_of(new))
        self._all_new = len(new) == sum(row.planned is not None for row in rows)
        return new

    def remember(self, rows: Sequence[Row]) -> None:
        """What is staged for these rows, until the next are remembered: whoever looks while it is
        being written does not find it yet."""
        if not self.report.dry_run:
            self._kept, self._claimed = {}, {}
        for row in rows:
            if row.intent and row.report.outcome == "imported":
                self._kept[row.intent.stored_key] = row.intent.fingerprint
        for claim in self.ledger.store.claims_of(self.work.since):
            self._claimed.setdefault(claim.key, claim.stream_id)

    async def write(self) -> bool:
        """What is staged and remembered; False if somebody else was quicker: then nothing of it
        is written, and what was decided meanwhile is worthless."""
        if self.report.dry_run:
            self.report.facts += len(self.work.since)
            return True
        try:
            self._count(await self.work.commit())
        except (Refusal, Repeated):
            return False
        return True

    async def write_again(self, rows: Sequence[Row]) -> None:
        """Row by row, so that only the row that cannot go in stays out."""
        self._kept, self._claimed = {}, {}
        self.work.forget()
        await self._again([row for row in rows if row.planned])

    async def _again(self, rows: Sequence[Row]) -> None:
        refused: Refusal | Repeated | None = None
        for _ in range(ATTEMPTS if len(rows) == 1 else 1):
            await self.decide(rows)
            try:
                return self._count(await self.work.commit())
            except (Refusal, Repeated) as fault:
                self.work.forget()
                refused = fault
        if len(rows) > 1:
            for row in rows:
                await self._again([row])
        else:
            steps = rows[0].planned.steps if rows[0].planned else []
            said = _said(refused, steps) if isinstance(refused, Refusal) else ""
            type_ = f"/problems/{refused.code}" if isinstance(refused, Refusal) else ""
            rows[0].is_("refused", reason=said or "somebody else is writing the same", type=type_)

    def _count(self, positions: Sequence[int]) -> None:
        report = self.report
        if positions:
            report.facts += len(positions)
            report.first_position = report.first_position or positions[0]
            report.last_position = positions[-1]

    async def _new(self, rows: Sequence[Row]) -> list[Row]:
        """Those that say something and are not in yet."""
        asked = [row for row in rows if row.planned]
        if not asked:
            return []
        keys = [self._intent(row).stored_key for row in asked]
        found = await self.ledger.run(self.ledger.store.receipts, keys)
        kept = {key: fingerprint for key, (fingerprint, *_) in found.items()}
        kept |= {key: self._kept[key] for key in keys if key in self._kept}
        if not kept:
            return asked
        for row, key in zip(asked, keys, strict=True):
            if key in kept:
                _is_in(row, kept[key])
        return [row for row, key in zip(asked, keys, strict=True) if key not in kept]

    def _intent(self, row: Row) -> Intent:
        assert row.planned
        if row.intent is None:
            row.intent = intent_of(self.name, row.planned)
            if row.keys:
                row.intent.is_stored_by(row.keys[0])
                self.ledger.store.hidden.know(*row.keys)
        return row.intent

    async def _decide(self, rows: Sequence[Row], taken: Holders | None) -> None:
        """``taken``: who holds what, as far as it was asked; None: as if nobody held anything."""
        work = self.work
        staged: dict[str, bytes] = {}
        for row in rows:
            intent, planned = self._intent(row), row.planned
            assert planned
            if row.report.outcome != "imported":  # in an attempt before this one
                row.is_("imported")
            if intent.key in staged:
                _is_in(row, staged[intent.key])
                continue
            try:
                subject = await self._apply(planned.steps, taken)
            except RowFault as fault:
                work.undo()
                row.is_("refused", fault.columns, fault.reason, fault.type)
                continue
            if subject is None or not work.has_decided:
                work.undo()
                row.is_("already")
            else:
                row.report.facts = work.take(intent, subject)
                staged[intent.key] = intent.fingerprint

    async def _apply(self, steps: Sequence[Step], taken: Holders | None) -> Aggregate | None:
        """The subject of the last step; None if all of them are there already. Raises RowFault."""
        work, repeated = self.work, set[int]()
        if taken is None and len(steps) == 1:  # as below, for most are
            [step] = steps
            try:
                return await step.do(work, step.id, *step.forms)
            except Refusal as refusal:
                raise _fault_of(refusal, step, steps) from None
        while True:
            subject, held = None, Holders()
            for n, step in enumerate(steps):
                if n in repeated:
                    continue
                try:
                    subject = await step.do(work, step.id, *step.forms)
                    if taken is None:
                        if len(steps) > 1:
                            work.fresh()  # keeps their order
                    elif await self._repeats(step, taken, held):
                        repeated.add(n)
                        break
                except Refusal as refusal:
                    raise _fault_of(refusal, step, steps) from None
            else:
                if taken is not None:
                    taken |= held
                return subject
            work.undo()

    async def _repeats(self, step: Step, taken: Holders, held: Holders) -> bool:
        """Whether the step writes again what is written once; else ``held`` gets what it claims.
        Raises RowFault if another stream holds that."""
        claims = self.ledger.store.claims_of(self.work.fresh())
        if new := [claim for claim in claims if claim.key not in taken]:
            taken |= await self._holders(new)  # of a row that was refused when they were asked for
        for claim in claims:
            holder = taken[claim.key] or held.get(claim.key)
            if claim.reservation is None and holder:
                return True
            if claim.reservation and holder not in (None, claim.stream_id):
                field = FIELD_OF.get(claim.scope, "")
                columns = step.columns.get(field) or step.columns.get("value", "")
                raise RowFault(columns, str(claim.reservation.refusal(holder=holder)))
            held[claim.key] = claim.stream_id
        return False

    async def _taken(self) -> Holders | None:
        """Who holds what, if anything that was staged since the mark is held already."""
        claims = self.ledger.store.claims_of(self.work.since)
        if not claims:
            return None
        holders, seen = await self._holders(claims), dict[bytes, UUID]()
        for claim in claims:
            holder = holders[claim.key] or seen.get(claim.key)
            if holder and (claim.reservation is None or holder != claim.stream_id):
                return holders
            seen[claim.key] = claim.stream_id
        return None

    async def _holders(self, claims: Sequence[Claim]) -> Holders:
        found = await self.ledger.run(self.ledger.store.holders, claims)
        return {c.key: found.get(c.key) or self._claimed.get(c.key) for c in claims}


def _ids_of(rows: Sequence[Row]) -> set[UUID]:
    return {step.id for row in rows if row.planned for step in row.planned.steps}


def _is_in(row: Row, fingerprint: bytes) -> None:
    assert row.intent
    if fingerprint == row.intent.fingerprint:
        row.is_("already")
    else:
        row.is_("changed", reason="is in with other content, and was not applied")


def _fault_of(refusal: Refusal, step: Step, steps: Sequence[Step]) -> RowFault:
    return RowFault(_blamed(refusal, step), _said(refusal, steps), f"/problems/{refusal.code}")


def _blamed(refusal: Refusal, step: Step) -> str:
    """The columns that the refused value comes from; "" if it is not the row's."""
    field = refusal.field if isinstance(refusal, Invalid) else ""
    fields = (field, "value") if field in FIELD_OF.values() else (field,)
    for field in (*fields, str(refusal.facts.get("field", "")), *refusal.facts):
        if columns := step.columns.get(field):
            return columns
    return ""


def _said(refusal: Refusal, steps: Sequence[Step]) -> str:
    """The sentence, and those of its facts that are not the row's own."""
    own = {_text(value) for step in steps for value in step.of_columns().values()}
    facts = [f"{name}: {value}" for name, value in refusal.facts.items() if _text(value) not in own]
    return f"{refusal.sentence} ({', '.join(facts)})" if facts else refusal.sentence


def _text(value: object) -> str:
    return str(value).strip().casefold()


def _fault_of_setup(rows: Sequence[Row]) -> str:
    for row in rows:
        report = row.report
        if report.outcome == "changed":
            return f"setup {report.line}: is in with other content: give the mapping another name"
        if report.outcome == "refused":
            return f"setup {report.line}: {report.reason}"
    return ""
