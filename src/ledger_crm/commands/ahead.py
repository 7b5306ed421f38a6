"""Rows of a large file, read and mapped ahead by a process of their own.

An import is bound by one interpreter, and reading and mapping are a fifth of its time: so they are
done beside the deciding. The first rows are read here, for a small file must not wait for a
process; what was read of it goes to the process too, which passes over those rows and goes on
after them.

Blocks of the source go in by the process's standard input, chunks of rows come out of its standard
output, each after its length; no more are under way than the two pipes hold. The mapping and the
key of the hashes go in first: neither is in its arguments, where others see them. It needs no leash
(``leash``): it reads or writes all the time, and ends with whoever is at the other end.
"""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import selectors
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO, NoReturn, Self
from uuid import UUID

import msgspec

from ledger_crm.sealing import Hashes
from ledger_crm.store import Hidden

from .lines import BLOCK_BYTES, Lines, Row, RowReport, intent_of
from .mapping import ImportFault, Mapping, Planned, Sheet, Step

ALONE_ROWS = 2_000  # are read before the process is started
STARTING_ROWS = 9_000  # more, while it starts
KEPT_BYTES = 1 << 23  # of the source in memory, for the process
PIPE_BYTES = 1 << 20
START = "import sys; sys.path[:] = sys.argv[1:]; from ledger_crm.commands.ahead import main; main()"


class Rows:
    """The rows of a file in chunks, wherever they are read."""

    def __init__(
        self, source: BinaryIO, mapping: Mapping, hashes: Hashes, *, chunk_rows: int
    ) -> None:
        """Raises ImportFault."""
        self.mapping, self.hashes, self.chunk_rows = mapping, hashes, chunk_rows
        self.consumed = 0  # bytes of the source, read so far
        self._source = Copied(source)
        self._lines = Lines(self._source, mapping)
        self._header = self._lines.header()
        self._sheet = mapping.bind(self._header, hashes.hash_of)
        self._rows = self._lines.rows(self._sheet)
        self._taken = 0
        self._beside: Beside | None = None
        self._beside_from = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.__exit__()
        if self._beside:
            self._beside.end()

    def take(self) -> list[Row]:
        """Empty at the end. Raises ImportFault when the process is gone."""
        if self._beside and self._taken >= self._beside_from:
            rows, self.consumed = self._beside.take()
            return rows
        most = self._beside_from - self._taken if self._beside else self.chunk_rows
        rows = list(islice(self._rows, min(most, self.chunk_rows)))
        self._taken += len(rows)
        self.consumed = self._source.tell()
        if self._beside:
            self._beside.feed()  # what was read here
        elif not self._source.ended and (
            self._taken >= ALONE_ROWS or len(self._source.kept) > KEPT_BYTES
        ):
            self._beside_from = self._taken + STARTING_ROWS
            start = Start(
                key=self.hashes.hashing_key,
                mapping=self.mapping,
                read=self._beside_from,
                chunk_rows=self.chunk_rows,
                begun_at=self._source.begun_at,
            )
            self._beside = Beside(start, self._source, self._sheet)
        return rows


class Copied(io.RawIOBase):
    """The source, and what was read of it."""

    def __init__(self, source: BinaryIO) -> None:
        self._read: Callable[[int], bytes | None] = getattr(source, "read1", source.read)
        self.begun_at = 0
        with suppress(OSError, ValueError):
            self.begun_at = source.tell()
        self._at = self.begun_at
        self.kept = bytearray()
        self.ended = False

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, into: Any) -> int:
        block = self.block(len(into))
        into[: len(block)] = block
        return len(block)

    def block(self, most: int = BLOCK_BYTES) -> bytes:
        block = b"" if self.ended else self._read(most) or b""
        self.ended = not block
        self.kept += block
        self._at += len(block)
        return block


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """read      rows that are passed over
    begun_at  where in the source its bytes begin
    """

    key: bytes
    mapping: Mapping
    read: int
    chunk_rows: int
    begun_at: int


class Beside:
    """The process, as seen from here."""

    def __init__(self, start: Start, source: Copied, sheet: Sheet) -> None:
        """What ``source`` keeps goes in first."""
        self._source, self._unpack = source, unpacker(sheet)
        said = pickle.dumps(start)  # constants keep their types
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-c", START, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                process_group=0,  # Ctrl-C is for us; it ends when we do
            )
        except OSError as fault:
            raise ImportFault(f"no process can be started: {fault.strerror}") from None
        assert self._process.stdin
        assert self._process.stdout
        self._into, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._into, self._from):
            os.set_blocking(pipe, False)
            with suppress(OSError, AttributeError):  # narrower ones do
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._going = bytearray(_framed(said))
        self._come = bytearray()
        self._last = self._fed = False

    def feed(self) -> None:
        """As much as the pipe takes, and waits if too much is kept for it."""
        while self._give(more=False):
            if len(self._source.kept) <= KEPT_BYTES:
                return
            with selectors.DefaultSelector() as ready:
                ready.register(self._into, selectors.EVENT_WRITE)
                ready.select()

    def take(self) -> tuple[list[Row], int]:
        """Raises ImportFault."""
        while (body := self._frame()) is None:
            waits = self._give(more=True)
            with selectors.DefaultSelector() as ready:
                ready.register(self._from, selectors.EVENT_READ)
                if waits:
                    ready.register(self._into, selectors.EVENT_WRITE)
                ready.select()
        self._give(more=True)
        return self._unpack(body)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def _give(self, *, more: bool) -> bool:
        """Whether it takes no more now. ``more``: than what is kept; nobody else reads it now."""
        while not self._fed:
            if not self._going:
                if not self._source.kept:
                    if not more:
                        return False
                    self._source.block()
                block = bytes(self._source.kept)
                self._source.kept.clear()
                self._going += _framed(block)
                self._last = not block  # an empty one is the end
            try:
                del self._going[: os.write(self._into, self._going)]
            except BlockingIOError:
                return True
            except BrokenPipeError:  # it has read enough, or is gone: ``take`` will see
                self._fed = True
            else:
                self._fed = self._last and not self._going
        return False

    def _frame(self) -> bytes | None:
        """None: it is not there yet. Raises ImportFault."""
        come = self._come
        while True:
            if len(come) >= 4 and len(come) >= (end := 4 + int.from_bytes(come[:4], "big")):
                body = bytes(come[4:end])
                del come[:end]
                return body
            try:
                block = os.read(self._from, PIPE_BYTES)
            except BlockingIOError:
                return None
            if not block:
                self._gone()
            come += block

    def _gone(self) -> NoReturn:
        status = self._process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise ImportFault(
            f"the process that reads the file ended ({how}): what was written stays, and the same"
            " import again goes on from there"
        )


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


# --- how rows cross -------------------------------------------------------------------------
# What a row does not vary in stays where it is: each side has compiled the mapping for itself.
# JSON, because it keeps the offset of an instant, which is written down as it was given.


def packed(rows: list[Row], name: str, sheet: Sheet, hidden: Hidden, consumed: int) -> bytes:
    reports: list[tuple[int, RowReport]] = []
    planned: list[Any] = []
    facts: list[list[Any]] = [[] for _ in sheet.facts]
    for at, row in enumerate(rows):
        if row.planned is None:
            reports.append((at, row.report))
            continue
        key, fingerprint, steps = row.planned
        asked = intent_of(name, row.planned).stored_key
        said = [step.fact for step in steps]
        planned.append((row.report.line, key, fingerprint, (asked, hidden[asked]), said))
        for step in steps:
            facts[step.fact].append((step.id, step.of_columns(), *step.forms))
    return _encode((consumed, reports, planned, facts))


_encode = msgspec.json.Encoder().encode


def unpacker(sheet: Sheet) -> Callable[[bytes], tuple[list[Row], int]]:
    item: Any = tuple
    facts: Any = [list[item[(UUID, msgspec.Raw, *fact.forms)]] for fact in sheet.facts]
    planned: Any = tuple[int, str, bytes, tuple[bytes, bytes], list[int]]
    chunk = item[int, list[tuple[int, RowReport]], list[planned], item[*facts]]
    decode = msgspec.json.Decoder(chunk).decode

    new: Any = tuple.__new__  # a NamedTuple's own takes three times as long

    def unpack(body: bytes) -> tuple[list[Row], int]:
        consumed, reports, planned, made = decode(body)
        following = [iter(each).__next__ for each in made]
        rows: list[Row] = []
        for line, key, fingerprint, keys, said in planned:
            steps: list[Step] = []
            for n in said:
                kind, do, columns, _ = sheet.facts[n]
                one = following[n]()
                parts = (kind, do, one[0], one[2:], one[1], columns, n)
                steps.append(new(Step, parts))
            row = Row(line, new(Planned, (key, fingerprint, steps)))
            row.keys = keys
            rows.append(row)
        for at, report in reports:
            rows.insert(at, Row(report.line, None, report))
        return rows, consumed

    return unpack


# --- the process ----------------------------------------------------------------------------


class Fed(io.RawIOBase):
    """The source, as it comes in."""

    def __init__(self, pipe: BinaryIO, begun_at: int) -> None:
        self._pipe, self._left, self._at = pipe, 0, begun_at
        self._ended = False

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, into: Any) -> int:
        if not self._left and not self._ended:
            self._left = int.from_bytes(_exactly(self._pipe, 4), "big")
            self._ended = not self._left
        block = _exactly(self._pipe, min(self._left, len(into)))
        into[: len(block)] = block
        self._left -= len(block)
        self._at += len(block)
        return len(block)


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    found = pipe.read(size)
    if len(found) < size:
        sys.exit()  # who started us has gone
    return found


def main() -> None:
    try:
        _read(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(0)  # who started us has gone, and what is left to be written with them
    except Exception as fault:  # whose text may hold what a row holds
        sys.exit(f"reading the file: {type(fault).__name__}")


def _read(pipe: BinaryIO, out: BinaryIO) -> None:
    said = _exactly(pipe, int.from_bytes(_exactly(pipe, 4), "big"))
    start: Start = pickle.loads(said)  # noqa: S301 - by whoever started us
    with Lines(Fed(pipe, start.begun_at), start.mapping) as lines:
        hashes = Hashes(start.key)
        sheet, hidden = start.mapping.bind(lines.header(), hashes.hash_of), Hidden(hashes)
        rows = lines.rows(sheet)
        for _ in islice(rows, start.read):
            pass
        chunk: list[Row] | None = None
        while chunk is None or chunk:
            chunk = list(islice(rows, start.chunk_rows))
            out.write(_framed(packed(chunk, start.mapping.name, sheet, hidden, lines.consumed)))
            out.flush()
