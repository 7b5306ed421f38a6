"""Import of CSV files: rows become facts by a mapping, through the commands that everybody uses.

    report = await import_csv(ledger, source, load_mapping(path))

A row goes in whole or not at all, and once: it is known again by the mapping's name and its own
key. So a second run changes nothing, and one that was killed goes on where it was. A thousand
rows share a transaction; a row that is refused is left out of it and listed with line, column and
reason, never with a value, and the rest go in.
"""

from __future__ import annotations

import asyncio
import csv
import gc
import gzip
import io
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, BinaryIO, Literal, Self, cast
from uuid import UUID

import msgspec

from ledger_crm.domain.entry import Actor, Aggregate, Entry, Event
from ledger_crm.domain.refusals import Invalid, Refusal
from ledger_crm.ledger import Intent, Ledger, Repeated, Work

from .mapping import ImportFault, Mapping, Planned, RowFault, Sheet, Step, load_mapping

__all__ = ["ImportFault", "Mapping", "Progress", "Report", "RowReport", "import_csv",
           "load_mapping"]  # fmt: skip

IMPORT = Actor("system:import")
CHUNK_ROWS = 1000  # in a transaction, for which all other writers wait
HELD_RECORDS = 20_000  # in memory, before they are forgotten and read again when needed
BLOCK_BYTES = 1 << 18
LINE_BYTES = 1 << 20
LISTED = 1000  # refusals kept in the report; ``on_row`` is told all of them
ATTEMPTS = 8  # at one row that others write to as well

UNFINISHED = (
    "the last line has no line end, so it may be half-written: complete it, or say"
    " unfinished_last_line = true in the mapping"
)

Outcome = Literal["imported", "already", "changed", "refused", "skipped"]


class RowReport(msgspec.Struct, omit_defaults=True):
    """What became of a row.

    line     where it begins, the header being line 1; 0 for what ``[[setup]]`` writes
    outcome  imported; already: in since an earlier run; changed: in, with other content, and not
             applied; refused; skipped: not asked for
    column   the columns that are to blame, if it is theirs
    facts    entries it wrote, or would write
    """

    line: int
    outcome: Outcome
    column: str = ""
    reason: str = ""
    facts: int = 0


class Progress(msgspec.Struct, frozen=True):
    """``bytes`` of the source as it is, compressed or not."""

    rows: int
    facts: int
    bytes: int


class Report(msgspec.Struct, kw_only=True):
    """What became of a file. ``read`` is the sum of the five outcomes; ``facts`` counts entries,
    those of ``[[setup]]`` too; positions are None when nothing was written.

    listed  the first thousand rows that were refused or have changed
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
    writer = Writer(ledger, mapping, report)
    with Lines(source, mapping) as lines, _rare_collections():
        rows = lines.rows(mapping.bind(lines.header()))
        await writer.set_up()
        chunk = list(islice(rows, CHUNK_ROWS))
        while chunk:
            await writer.decide(chunk)
            writing = asyncio.create_task(writer.commit(chunk))
            await asyncio.sleep(0)  # it starts, and the database works while we read on
            try:
                following = list(islice(rows, CHUNK_ROWS))
            finally:
                await writing
            _note(report, chunk, on_row)
            if on_progress:
                on_progress(Progress(report.read, report.facts, lines.consumed))
            chunk = following
    report.duration_s = round(time.monotonic() - started, 3)
    return report


@contextmanager
def _rare_collections() -> Iterator[None]:
    """A row leaves no cycles behind, and looking for them costs an eighth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 50_000), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _note(report: Report, rows: Sequence[Row], on_row: Callable[[RowReport], None] | None) -> None:
    counts = dict.fromkeys(("imported", "already", "changed", "refused", "skipped"), 0)
    for row in rows:
        counts[row.report.outcome] += 1
        if row.report.outcome in ("refused", "changed") and len(report.listed) < LISTED:
            report.listed.append(row.report)
        if on_row:
            on_row(row.report)
    report.read += len(rows)
    for outcome, count in counts.items():
        setattr(report, outcome, getattr(report, outcome) + count)


class Wish(Intent, frozen=True, kw_only=True):
    """Its stored key is needed three times, and is a hash."""

    stored_key: bytes


class Row:
    """``planned`` is None for a row that says nothing, or nothing we can read."""

    __slots__ = ("intent", "planned", "report")

    def __init__(self, line: int, planned: Planned | None, report: RowReport | None = None) -> None:
        self.planned = planned
        self.report = report or RowReport(line, "imported")
        self.intent: Wish | None = None

    def is_(self, outcome: Outcome, column: str = "", reason: str = "") -> None:
        self.report = RowReport(self.report.line, outcome, column, reason)


class Lines:
    """The rows of a file, and what is wrong with those that are none."""

    def __init__(self, source: BinaryIO, mapping: Mapping) -> None:
        self.mapping, self.source = mapping, source
        self._own: io.BufferedReader | None = None
        if not hasattr(source, "peek"):
            source = self._own = io.BufferedReader(cast(io.RawIOBase, source))
        self._raw: Any = source
        if self._raw.peek(2)[:2] == b"\x1f\x8b":
            self._raw = gzip.GzipFile(fileobj=source)
        self.line = 0  # read so far
        self.offset = 0  # in bytes, of the end of that line, in the text
        self.fault = ""  # of the record being read
        self.broken = ""  # the end of what we got is not the end of the file
        self._first = True
        self._reader = csv.reader(
            self._lines(), delimiter=mapping.delimiter, skipinitialspace=True, strict=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._own:
            self._own.detach()  # or it would close a source that is not ours

    @property
    def consumed(self) -> int:
        """Bytes of the source, read so far."""
        with suppress(OSError, ValueError):
            return self.source.tell()
        return self.offset

    def header(self) -> list[str]:
        """Raises ImportFault."""
        try:
            header = [name.strip() for name in next(self._reader, [])]
        except csv.Error as fault:
            raise ImportFault(f"line 1 is not CSV: {fault}") from None
        if self.broken or self.fault not in ("", UNFINISHED):
            raise ImportFault(f"line 1: {self.broken or self.fault}")
        if not any(header):
            raise ImportFault("the file has no header: its first line must name the columns")
        return header

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        reader, width = self._reader, sheet.width
        while True:
            begins = self.line + 1
            self.fault = ""
            try:
                record = next(reader)
            except StopIteration:
                break
            except csv.Error as fault:
                yield _refused(begins, "", self.fault or f"is not CSV: {fault}")
                continue
            values = [value.strip() for value in record]
            if self.fault:
                yield _refused(begins, "", self.fault)
            elif len(values) != width:
                if len(values) > 1 or any(values):
                    reason = f"has {len(values)} columns, and the header has {width}"
                    yield _refused(begins, "", reason)
            else:
                try:
                    planned = sheet(values)
                except RowFault as fault:
                    yield _refused(begins, fault.columns, fault.reason)
                else:
                    skipped = None if planned else RowReport(begins, "skipped")
                    yield Row(begins, planned, skipped)
        if self.broken:
            yield _refused(self.line + 1, "", self.broken)

    def _lines(self) -> Iterator[str]:
        encoding = self.mapping.codec
        for line in self._raw_lines():
            self.line += 1
            if 0 in line:
                self.fault = f"holds a NUL at byte {self.offset + line.index(0)} of the text"
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as fault:
                self.fault = (
                    f"is not {encoding} at byte {self.offset + fault.start} of the text"
                    f" (byte {fault.start + 1} of line {self.line})"
                )
                text = line.decode(encoding, "replace")
            self.offset += len(line)
            yield text

    def _raw_lines(self) -> Iterator[bytes]:
        rest = b""
        while block := self._block():
            if self._first:
                block = block.removeprefix(b"\xef\xbb\xbf")
                self._first = False
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield line + b"\n"
            if len(rest) > LINE_BYTES:
                self.broken = f"the line is longer than {LINE_BYTES} bytes: is this CSV?"
        if rest and not self.broken:
            if not self.mapping.unfinished_last_line:
                self.fault = UNFINISHED
            yield rest

    def _block(self) -> bytes:
        """Empty at the end, also when that is not where it should be: see ``broken``."""
        if not self.broken:
            try:
                block: bytes = self._raw.read1(BLOCK_BYTES)
                return block
            except EOFError:
                self.broken = "the compressed file ends here, before its end: get it again"
            except (zlib.error, gzip.BadGzipFile):
                self.broken = "the compressed file is damaged here: get it again"
        return b""


def _refused(line: int, column: str, reason: str) -> Row:
    return Row(line, None, RowReport(line, "refused", column, reason))


class Batch(Work):
    """A work that can go back to a mark, and keeps the facts of one row in the order of its
    steps, also when they are on several streams: a person is employed at a company that is there.
    """

    def __init__(self, ledger: Ledger, by: Actor) -> None:
        super().__init__(ledger, by)
        self._marked = (0, 0)
        self._order: dict[tuple[UUID, int], int] = {}

    def mark(self) -> None:
        self._marked = len(self._staged), len(self._receipts)
        self._order = {}

    def rewind(self) -> None:
        """Forgets what was decided since the mark; what is staged before it stays."""
        staged, receipts = self._marked
        self.undo()
        for entry in self._staged[staged:]:
            self._known.pop(entry.originator_id, None)
        del self._staged[staged:], self._receipts[receipts:]

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


FIELD_OF = {"email": "email", "phone": "phone", "url": "profile_url", "domain": "domain"}
"""Of a reservation's scope: where its value came from, unless the fact calls it ``value``."""


class Writer:
    """Decides rows on one long-lived work, a chunk at a time, and writes them."""

    def __init__(self, ledger: Ledger, mapping: Mapping, report: Report) -> None:
        self.ledger, self.mapping, self.report = ledger, mapping, report
        self.work = Batch(ledger, IMPORT)
        # of a dry run, in place of what it would have written:
        self._kept: dict[bytes, bytes] = {}
        self._claimed: dict[bytes, UUID] = {}

    async def set_up(self) -> None:
        """What the mapping opens before the rows. Raises ImportFault."""
        rows = [Row(n, planned) for n, planned in enumerate(self.mapping.before(), 1)]
        await self.decide(rows)
        if not _fault_of_setup(rows):
            await self.commit(rows)
        if fault := _fault_of_setup(rows):
            raise ImportFault(fault)

    async def decide(self, rows: Sequence[Row]) -> None:
        """Every row for itself: what it would write is staged, or its report says why not."""
        work = self.work
        if len(work) > HELD_RECORDS and not self.report.dry_run:
            work.forget()
        work.mark()
        new = await self._new(rows)
        wanted = {step.id for row in new for step in row.planned.steps}  # type: ignore[union-attr]
        await work.load(wanted)
        await self._decide(new, None)
        if taken := await self._taken():
            work.rewind()
            await work.load(wanted)
            await self._decide(new, taken)

    async def commit(self, rows: Sequence[Row]) -> None:
        """Writes what is staged for these rows; if somebody else was quicker, row by row, so
        that only the row that cannot go in stays out."""
        if self.report.dry_run:
            return self._pretend(rows)
        try:
            self._count(await self.work.commit())
        except (Refusal, Repeated):
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
            rows[0].is_("refused", reason=str(refused) or "somebody else is writing the same")

    def _pretend(self, rows: Sequence[Row]) -> None:
        self.report.facts += len(self.work.since)
        for row in rows:
            if row.intent and row.report.outcome == "imported":
                self._kept[row.intent.stored_key] = row.intent.fingerprint
        for claim in self.ledger.store.claims_of(self.work.since):
            self._claimed.setdefault(claim.key, claim.stream_id)

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
        for row in asked:
            if row.report.outcome != "imported":  # in an attempt before this one
                row.is_("imported")
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

    def _intent(self, row: Row) -> Wish:
        assert row.planned
        if row.intent is None:
            key = f"import:{self.mapping.name}:{row.planned.key}"
            plain = Intent(by=IMPORT, key=key, fingerprint=row.planned.fingerprint)
            row.intent = Wish(
                by=IMPORT,
                key=key,
                fingerprint=plain.fingerprint,
                stored_key=plain.stored_key,
            )
        return row.intent

    async def _decide(self, rows: Sequence[Row], taken: dict[bytes, UUID] | None) -> None:
        """``taken``: who holds what these rows reserve; None: as if nobody held anything."""
        work = self.work
        staged: dict[str, bytes] = {}
        for row in rows:
            intent, planned = self._intent(row), row.planned
            assert planned
            if intent.key in staged:
                _is_in(row, staged[intent.key])
                continue
            try:
                subject = await self._apply(planned.steps, taken)
            except RowFault as fault:
                work.undo()
                row.is_("refused", fault.columns, fault.reason)
                continue
            if subject is None:
                row.is_("already")
            else:
                row.report.facts = work.take(intent, subject)
                staged[intent.key] = intent.fingerprint

    async def _apply(
        self, steps: Sequence[Step], taken: dict[bytes, UUID] | None
    ) -> Aggregate | None:
        """The subject of the last step; None if all of them are there already. Raises RowFault."""
        work, repeated = self.work, set[int]()
        while True:
            subject, held = None, dict[bytes, UUID]()
            for n, step in enumerate(steps):
                if n in repeated:
                    continue
                try:
                    subject = await step.do(work, step.id, *step.forms)
                    if taken is None:
                        if len(steps) > 1:
                            work.fresh()  # keeps their order
                    elif self._repeats(step, taken, held):
                        repeated.add(n)
                        break
                except Refusal as refusal:
                    raise RowFault(_blamed(refusal, step), str(refusal)) from None
            else:
                if taken is not None:
                    taken |= held
                return subject
            work.undo()

    def _repeats(self, step: Step, taken: dict[bytes, UUID], held: dict[bytes, UUID]) -> bool:
        """Whether the step writes again what is written once; else ``held`` gets what it claims.
        Raises RowFault if another stream holds that."""
        for claim in self.ledger.store.claims_of(self.work.fresh()):
            holder = taken.get(claim.key) or held.get(claim.key)
            if claim.reservation is None and holder:
                return True
            if claim.reservation and holder not in (None, claim.stream_id):
                field = FIELD_OF.get(claim.scope, "")
                columns = step.columns.get(field) or step.columns.get("value", "")
                raise RowFault(columns, str(claim.reservation.refusal(holder=holder)))
            held[claim.key] = claim.stream_id
        return False

    async def _taken(self) -> dict[bytes, UUID] | None:
        """Who holds what, if anything that was staged since the mark is held already."""
        store = self.ledger.store
        claims = store.claims_of(self.work.since)
        if not claims:
            return None
        holders = await self.ledger.run(store.holders, claims)
        holders |= {c.key: self._claimed[c.key] for c in claims if c.key in self._claimed}
        seen: dict[bytes, UUID] = {}
        for claim in claims:
            holder = holders.get(claim.key) or seen.get(claim.key)
            if holder and (claim.reservation is None or holder != claim.stream_id):
                return holders
            seen[claim.key] = claim.stream_id
        return None


def _is_in(row: Row, fingerprint: bytes) -> None:
    assert row.intent
    if fingerprint == row.intent.fingerprint:
        row.is_("already")
    else:
        row.is_("changed", reason="is in with other content, and was not applied")


def _blamed(refusal: Refusal, step: Step) -> str:
    """The columns that the refused value comes from; "" if it is not the row's."""
    fields = [refusal.field] if isinstance(refusal, Invalid) else []
    for field in (*fields, *refusal.facts):
        if columns := step.columns.get(field):
            return columns
    return ""


def _fault_of_setup(rows: Sequence[Row]) -> str:
    for row in rows:
        report = row.report
        if report.outcome == "changed":
            return f"setup {report.line}: is in with other content: give the mapping another name"
        if report.outcome == "refused":
            return f"setup {report.line}: {report.reason}"
    return ""
