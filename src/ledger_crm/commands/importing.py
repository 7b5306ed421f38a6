"""Import of CSV files: rows become facts by a mapping, through the commands that everybody uses.

    report = await import_csv(ledger, source, load_mapping(path))

A row goes in whole or not at all, and once: it is known again by the mapping's name and its own
key. So a second run changes nothing, and one that was killed goes on where it was. A thousand
rows share a transaction; a row that is refused is left out of it and listed with line, column and
reason, never with a value, and the rest go in.

A quote that is not closed does not swallow what follows: the lines that went into its value are
read again, as rows of their own if they look like rows, and are refused one by one if they may be
the inside of a text (``Lines``).
"""

from __future__ import annotations

import asyncio
import csv
import gc
import gzip
import io
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, BinaryIO, Literal, NamedTuple, Self, cast
from uuid import UUID

import msgspec

from ledger_crm.domain.entry import Actor, Aggregate, Entry, Event
from ledger_crm.domain.refusals import Invalid, Refusal
from ledger_crm.ledger import Intent, Ledger, Repeated, Work
from ledger_crm.store import Claim

from .mapping import ImportFault, Mapping, Planned, RowFault, Sheet, Step, load_mapping

__all__ = ["ImportFault", "Mapping", "Progress", "Report", "RowReport", "import_csv",
           "load_mapping"]  # fmt: skip

IMPORT = Actor("system:import")
CHUNK_ROWS = 1000  # in a transaction, for which all other writers wait
HELD_RECORDS = 20_000  # in memory, before they are forgotten and read again when needed
BLOCK_BYTES = 1 << 18
LINE_BYTES = 1 << 20
ROW_LINES, ROW_CHARS = 1000, 131_072  # at most, of a row with line breaks in its values
MOST = f"{ROW_LINES:,} lines or {ROW_CHARS:,} characters"
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
    type     of a refusal by a rule, as the API has it: /problems/no-consent
    facts    entries it wrote, or would write
    path     of a record in JSON, where it is in its file
    """

    line: int
    outcome: Outcome
    column: str = ""
    reason: str = ""
    facts: int = 0
    path: str = ""
    type: str = ""


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
    with Lines(source, mapping) as lines, _rare_collections():
        rows = lines.rows(mapping.bind(lines.header(), ledger.store.keyring.hash_of))
        await writer.set_up(mapping.before(ledger.store.keyring.hash_of))
        chunk = list(islice(rows, CHUNK_ROWS))
        await writer.decide(chunk)
        while chunk:
            writing = asyncio.create_task(writer.write(chunk))
            await asyncio.sleep(0)  # it starts, and the database works while we go on
            following: list[Row] = []
            fault: BaseException | None = None
            try:
                following = list(islice(rows, CHUNK_ROWS))
                if writer.is_full:
                    await asyncio.wait([writing])
                await writer.decide(following)
            except BaseException as raised:  # to be raised when what is being written is told of
                fault = raised
            if not await writing:
                await writer.write_again(chunk)
                if following and (fault is None or isinstance(fault, Exception)):
                    fault = None  # it came of what then was not written
                    await writer.decide(following)
            note(report, chunk, on_row)
            if on_progress:
                on_progress(Progress(report.read, report.facts, lines.consumed))
            if fault:
                raise fault
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


class Row:
    """``planned`` is None for a row that says nothing, or nothing we can read."""

    __slots__ = ("intent", "planned", "report")

    def __init__(self, line: int, planned: Planned | None, report: RowReport | None = None) -> None:
        self.planned = planned
        self.report = report or RowReport(line, "imported")
        self.intent: Intent | None = None

    def is_(self, outcome: Outcome, column: str = "", reason: str = "", type: str = "") -> None:
        before = self.report
        self.report = RowReport(before.line, outcome, column, reason, path=before.path, type=type)


class Lines:
    """The rows of a file, and what is wrong with those that are none.

    Where a quoted value does not end as it should, either its first quote is stray and the lines
    that went into it are rows, or they are the inside of a text that must not be taken for rows.
    They are rows if each of them has as many columns as the header; else, or where the file is
    cut off, they are refused one by one, and what follows is taken for the inside as well until
    the value ends or a whole stretch of it looks like rows.
    """

    def __init__(self, source: BinaryIO, mapping: Mapping) -> None:
        self.mapping, self.source = mapping, source
        self._own: io.BufferedReader | None = None
        if not hasattr(source, "peek"):
            source = self._own = io.BufferedReader(cast(io.RawIOBase, source))
        self._raw: Any = source
        if self._raw.peek(2)[:2] == b"\x1f\x8b":
            self._raw = gzip.GzipFile(fileobj=source)
        self.line = 0  # read so far
        self.offset = 0  # in bytes, of the end of what was fetched, in the text
        self.broken = ""  # the end of what we got is not the end of the file
        self._first = True
        self._unfinished = False  # the line that was fetched last
        self._faults: dict[int, str] = {}  # of lines that were fetched, by number
        self._fetched = self._decoded()
        self._again: deque[str] = deque()  # to be read before what is fetched
        self._pulled: list[str] = []  # the lines of the record being read
        self._inside = 0  # line that opens a value of which the next line may be the inside
        self._restart()

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
            if fault_of_bytes := self._fault(1):
                raise ImportFault(f"line 1: {fault_of_bytes}: convert the file to UTF-8") from None
            said = str(fault)
            found = _unclosed(self._pulled, self.mapping.delimiter)
            if found.opened is not None and not found.ended:
                said = "a quote is not closed"
            raise ImportFault(f"line 1 is not CSV: {said}") from None
        fault_of_bytes = self._fault(1)
        if self.broken or fault_of_bytes not in ("", UNFINISHED):
            raise ImportFault(f"line 1: {self.broken or fault_of_bytes}")
        if not any(header):
            raise ImportFault("the file has no header: its first line must name the columns")
        return header

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        pulled, width = self._pulled, sheet.width
        while True:
            pulled.clear()
            begins = self.line + 1
            try:
                record = next(self._reader)
            except StopIteration:
                break
            except csv.Error as fault:
                yield from self._not_csv(begins, str(fault), width)
                continue
            if self._inside:
                yield from self._in_doubt(begins, pulled)
                self._inside = 0
                continue
            values = [*map(str.strip, record)]
            more = f"; the row goes on to line {self.line}" if self.line > begins else ""
            if self._faults and (reason := self._fault(begins)):
                yield _refused(begins, "", reason + more)
            elif len(values) != width:
                if len(values) > 1 or any(values):
                    reason = f"has {len(values)} columns, and the header has {width}"
                    yield _refused(begins, "", reason + more)
            else:
                try:
                    planned = sheet(values)
                except RowFault as fault:
                    yield _refused(begins, fault.columns, fault.reason + more)
                else:
                    skipped = None if planned else RowReport(begins, "skipped")
                    yield Row(begins, planned, skipped)
        if self.broken:
            yield _refused(self.line + 1, "", self.broken)

    def _not_csv(self, begins: int, said: str, width: int) -> Iterator[Row]:
        """The record in ``_pulled`` is none. Refuses it, and sees to what is read next."""
        lines, delimiter, within = self._pulled.copy(), self.mapping.delimiter, self._inside
        if (following := self._next()) is not None:
            self._again.appendleft(following)
        found = _unclosed(lines, delimiter, within=bool(within))
        if found.opened is None:  # it is not for a quote
            if within:
                yield from self._in_doubt(begins, lines)
            else:
                yield _refused(begins, "", self._fault(begins) or f"is not CSV: {said}")
            self._inside = 0
            return self._restart()
        own, window = lines[: found.opened + 1], lines[found.opened + 1 :]
        cut = following is None and (self.broken or self._faults.get(self.line) == UNFINISHED)
        are_rows = (
            bool(window) and not cut and not found.amid and _all_rows(window, delimiter, width)
        )
        if within and own:
            yield from self._in_doubt(begins, own)
        if own:
            self._inside = begins + found.opened
        if own and not within:
            if found.ended and not window:
                reason = f"is not CSV: {said}"
            else:
                reason = f"is not CSV: the quote that opens in line {self._inside} is not closed"
                if not found.ended:
                    reason += (
                        " before the end of the file" if following is None else f" within {MOST}"
                    )
                if window:
                    reason += f"; {len(window)} more lines went into it, and are "
                    reason += "read as rows" if are_rows else "refused: they may be inside a text"
            yield _refused(begins, "", self._fault(begins, len(own)) or reason)
        if are_rows:
            self._again.extendleft(reversed(window))
            self.line -= len(window)
            self._inside = 0
        else:
            yield from self._in_doubt(begins + len(own), window)
        self._restart()

    def _in_doubt(self, begins: int, lines: Sequence[str]) -> Iterator[Row]:
        """Lines that may be the inside of a value, each of its own; empty ones are nobody's."""
        reason = f"may be inside the quotes that open in line {self._inside}"
        for number, line in enumerate(lines, begins):
            said = self._fault(number, 1)
            if line.strip():
                yield _refused(number, "", said or reason)

    def _fault(self, begins: int, lines: int = 0) -> str:
        """What is wrong with the bytes of these lines, or of those up to where we are."""
        end = begins + lines if lines else self.line + 1
        found = [self._faults.pop(n, "") for n in range(begins, end)] if self._faults else []
        return next(filter(None, reversed(found)), "")

    def _restart(self) -> None:
        self._reader = csv.reader(
            self._feed(), delimiter=self.mapping.delimiter, skipinitialspace=True, strict=True
        )

    def _feed(self) -> Iterator[str]:
        """Lines for the CSV reader, which asks for as many as the record has. They end where the
        file does, and where a record gets too long."""
        pulled, chars = self._pulled, 0
        while (line := self._next()) is not None:
            chars = chars + len(line) if pulled else len(line)
            if len(pulled) >= ROW_LINES or (pulled and chars > ROW_CHARS):
                self._again.appendleft(line)
                return
            self.line += 1
            pulled.append(line)
            yield f'"{line}' if self._inside and len(pulled) == 1 else line

    def _next(self) -> str | None:
        return self._again.popleft() if self._again else next(self._fetched, None)

    def _decoded(self) -> Iterator[str]:
        encoding = self.mapping.codec
        for number, line in enumerate(self._raw_lines(), 1):
            if self._unfinished:
                self._faults[number] = UNFINISHED
            if 0 in line:
                self._faults[number] = (
                    f"holds a NUL at byte {self.offset + line.index(0)} of the text"
                )
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as fault:
                self._faults[number] = (
                    f"is not {encoding} at byte {self.offset + fault.start} of the text"
                    f" (byte {fault.start + 1} of line {number})"
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
            self._unfinished = not self.mapping.unfinished_last_line
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


class Unclosed(NamedTuple):
    """opened  index of the line that opens a value which does not end as it should; -1: an earlier
            one; None: there is none
    ended   by a quote that nothing may follow but a delimiter or a line end
    amid    and this quote stands amid other text: it does not open a value of its own
    """

    opened: int | None
    ended: bool = False
    amid: bool = False


def _unclosed(lines: Sequence[str], delimiter: str, *, within: bool = False) -> Unclosed:
    """Of the lines that the CSV reader could make no record of. ``within``: a quote is open."""
    opened = -1 if within else None
    state = "quoted" if within else "start"
    last, opens = "\n", False  # the last sign that is no blank; whether the quote opens a value
    for n, line in enumerate(lines):
        for sign in line:
            if state == "quoted":
                if sign == '"':
                    state = "quote"
                    if last != '"':
                        opens = last in (delimiter, "\n")
            elif state == "quote":
                if sign == '"':
                    state = "quoted"
                elif sign == delimiter or sign in "\r\n":
                    state, opened = "start", None
                else:
                    return Unclosed(opened, ended=True, amid=not opens)
            elif sign == delimiter:
                state = "start"
            elif state == "start" and sign == '"':
                state, opened = "quoted", n
            elif sign != " ":
                state = "plain"
            if sign != " ":
                last = sign
    return Unclosed(opened if state == "quoted" else None)


def _all_rows(lines: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether all of them are rows; the last one may have a fault of its own. Text of one column
    is no evidence."""
    if width == 1:
        return False
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        return all(len(record) == width or not any(record) for record in reader)
    except csv.Error:
        return reader.line_num == len(lines)


def _refused(line: int, column: str, reason: str) -> Row:
    return Row(line, None, RowReport(line, "refused", column, reason))


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

    @property
    def is_full(self) -> bool:
        """Has to forget what it holds, for which nothing may be under way."""
        return len(self.work) > HELD_RECORDS and not self.report.dry_run

    async def set_up(self, before: Sequence[Planned]) -> None:
        """What the mapping opens before the rows. Raises ImportFault."""
        rows = [Row(n, planned) for n, planned in enumerate(before, 1)]
        await self.decide(rows)
        if not _fault_of_setup(rows) and not await self.write(rows):
            await self.write_again(rows)
        if fault := _fault_of_setup(rows):
            raise ImportFault(fault)

    async def decide(self, rows: Sequence[Row]) -> None:
        """Every row for itself: what it would write is staged, or its report says why not. What
        is being written counts as written."""
        work = self.work
        if self.is_full:
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
        # another run of this file may have written between our two looks what refuses a row now
        await self._new([row for row in new if row.report.outcome == "refused"])

    async def write(self, rows: Sequence[Row]) -> bool:
        """What is staged for these rows; False if somebody else was quicker: then nothing of it
        is written, and what was decided meanwhile is worthless."""
        if not self.report.dry_run:
            self._kept, self._claimed = {}, {}
        self._remember(rows)
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

    def _remember(self, rows: Sequence[Row]) -> None:
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
            key = f"import:{self.name}:{row.planned.key}"
            row.intent = Intent(by=IMPORT, key=key, fingerprint=row.planned.fingerprint)
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
    own = {_text(step.content[f]) for step in steps for f in step.content if step.columns.get(f)}
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
