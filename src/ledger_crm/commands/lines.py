"""Lines of a CSV file: the rows that they are, mapped, and what is wrong with those that are none.

A quote that is not closed does not swallow what follows: the lines that went into its value are
read again, as rows of their own if they look like rows, and are refused one by one if they may be
the inside of a text.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Literal, NamedTuple, Self, cast

import msgspec

from ledger_crm.domain.entry import Actor
from ledger_crm.ledger import Intent

from .mapping import ImportFault, Mapping, Planned, RowFault, Sheet

IMPORT = Actor("system:import")
BLOCK_BYTES = 1 << 18
LINE_BYTES = 1 << 20
ROW_LINES, ROW_CHARS = 1000, 131_072  # at most, of a row with line breaks in its values
MOST = f"{ROW_LINES:,} lines or {ROW_CHARS:,} characters"

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


def intent_of(name: str, planned: Planned) -> Intent:
    """``name``: the mapping's."""
    return Intent(by=IMPORT, key=f"import:{name}:{planned.key}", fingerprint=planned.fingerprint)


class Row:
    """``planned`` is None for a row that says nothing, or nothing we can read. ``keys``: of its
    receipt, as asked for and as kept, if another process has hashed them."""

    __slots__ = ("intent", "keys", "planned", "report")

    def __init__(self, line: int, planned: Planned | None, report: RowReport | None = None) -> None:
        self.planned = planned
        self.report = report or RowReport(line, "imported")
        self.intent: Intent | None = None
        self.keys: tuple[bytes, bytes] | None = None

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

    def __init__(self, source: BinaryIO | io.RawIOBase, mapping: Mapping) -> None:
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
