"""Export: the ledger and every read model as Parquet files, for whatever reads those.

    ledger/month=2026-11/000000000001.parquet    entries, by the month in which they were written
    read/funnel/funnel_step.parquet              rows of a read model's table
    export.json, SCHEMA.md                       how far it is; what is in it

An export stands at one position: its read models are folded here, from the entries that it has, so
what is sealed gets into neither unless it is asked for. Again it adds what is new. Each file is
written beside its place, and takes it whole: whenever it is killed, what is there can be read, and
the next run goes on. A file of the ledger is named after its first entry, and grows by being
replaced with a longer one; so no entry is ever in two. After a kill the ledger's may hold more than
export.json says, which is cut off by position; tables cannot be cut, so they take their places one
after the other when all are written, and meanwhile a mark says so.

What was opened is exported anew once anybody was erased.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from ledger_crm.domain.entry import Entry, Event
from ledger_crm.projections import Projection, every
from ledger_crm.sealing import Keyring
from ledger_crm.slices import Slice, Slices
from ledger_crm.snapshot import PROGRAM
from ledger_crm.storage import hold
from ledger_crm.store import Told

from . import AnalysisFault
from .folding import Tables
from .shelving import DAMAGED, Shelf, is_any_of
from .tables import arrow

FORMAT = 1
AGAIN = "run ledger-crm export again"
ANEW = "remove the export, and make it anew"
RESTORED = f"that was restored from an older backup; {ANEW}"
FILE_ROWS = 50_000  # of the ledger, at most; of a read model in a group
MADE_ROWS = 5_000  # at once: as Python has them they are ten times as large as in a file
STATE = ".folded"  # the read models' rows, without anything sealed
PLACING = ".placing"  # tables are of two positions, until export.json is of the later one
BEGUN = ".begun"  # of which ledger, and what of it: no export.json says so before the first is done

LEDGER = {
    "position": ("bigint", "in the whole ledger: 1, 2, 3 … without holes"),
    "stream": ("text", "id of the person, company, … on whose record it is"),
    "version": ("bigint", "in its stream"),
    "kind": ("text", "of fact, such as person.placed"),
    "recorded_at": ("timestamptz", "when it was written down"),
    "happened_at": ("timestamptz", "when it happened; never later than recorded_at"),
    "by": ("text", "who wrote it"),
    "cause": ("text", "id of the request, or of what else it came of"),
    "fact": ("text", "the fact as JSON, by its kind as docs/events.md says"),
    "sealed": ("text", "names of its fields that are not shown, separated by commas"),
}
LEDGER_TYPES = {name: type_ for name, (type_, _) in LEDGER.items()}


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What ``export.json`` says.

    ledger     which one: a hash of its first entry
    position   of the last entry in it
    opened     what is sealed is in it, in clear
    destroyed  data keys that were destroyed by then
    tables     rows of each table of the read models; empty if it holds the ledger only
    """

    format: int
    ledger: str
    position: int
    opened: bool
    destroyed: int
    tables: dict[str, int]


def export(
    url: str,
    folder: Path,
    *,
    key: bytes | None = None,
    ledger_only: bool = False,
    progress: Callable[[int, int, int], None] = lambda at, after, upto: None,
) -> tuple[Exported, int]:
    """And how many entries were new. ``key``: the deployment's, to export what is sealed, too.
    ``ledger_only``: no read models, which take most of the time.

    Raises AnalysisFault, Undecodable, WrongKey, psycopg.Error.
    """
    arrow()
    keyring = Keyring(key) if key else None
    with _private(folder, is_so=key is not None), Slices(url, keyring) as slices, _alone(folder):
        slices.check_key()
        destroyed, head = slices.destroyed(), slices.head()
        before = found(folder)
        which = _ledger_id(slices)
        _must_go_on(
            folder, before, which, opened=key is not None, ledger_only=ledger_only, head=head
        )
        begun = msgspec.json.encode([FORMAT, which, destroyed if key else None])
        _begins(folder, begun, goes_on=bool(before and before.position))
        ledger = LedgerFiles(folder / "ledger")
        ledger.must_be_of(slices, head)
        if key and before and before.destroyed != destroyed:
            ledger.begin_anew()  # whoever is erased since is in there
        new = head - ledger.position
        with _read_models(folder, mark=slices.mark, keeps=key is None, none=ledger_only) as models:
            begin = min(ledger.position, models.position) if models else ledger.position
            for page in slices.pages(Slice(), after=begin, upto=head):
                for entry, told in zip(page.entries, page.told, strict=True):
                    if entry.position > ledger.position:
                        ledger.add(entry, told)
                    if models and entry.position > models.position:
                        models.add(entry)
                if models:
                    models.relieve()
                progress(page.position, begin, head)
            ledger.flush()
            exported = Exported(
                format=FORMAT, ledger=which, position=head, opened=key is not None,
                destroyed=destroyed, tables=models.write(head) if models else {},
            )  # fmt: skip
        _replace(folder / "SCHEMA.md", schema(models.projections if models else ()).encode())
        content = msgspec.json.format(msgspec.json.encode(exported)) + b"\n"
        _replace(folder / "export.json", content)
        (folder / PLACING).unlink(missing_ok=True)
    return exported, new


@contextmanager
def _read_models(
    folder: Path, *, mark: Callable[[int], str], keeps: bool, none: bool
) -> Iterator[ReadModels | None]:
    """Raises AnalysisFault for what is wrong with their shelf: nothing else here is SQLite's."""
    if none:
        yield None
        return
    try:
        with closing(ReadModels(folder, mark=mark, keeps=keeps)) as models:
            yield models
    except sqlite3.Error as fault:
        then = "; remove it, and do it again" if is_any_of(fault, DAMAGED) else ""
        raise AnalysisFault(f"{folder / STATE}: {fault}{then}") from None


def found(folder: Path) -> Exported | None:
    """How far an export is; None: there is none, or none was ever finished."""
    try:
        return msgspec.json.decode((folder / "export.json").read_bytes(), type=Exported)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise AnalysisFault(f"{folder} is no folder") from None
    except OSError as fault:
        raise AnalysisFault(f"{folder}: {fault.strerror}") from None
    except msgspec.MsgspecError:
        raise AnalysisFault(f"{folder / 'export.json'} is damaged: remove {folder}") from None


def is_of_two_positions(folder: Path) -> bool:
    """Its tables are being replaced, or whoever did that was killed."""
    return (folder / PLACING).exists()


class LedgerFiles:
    """Entries in files of at most FILE_ROWS, each of one month."""

    def __init__(self, folder: Path) -> None:
        """Raises AnalysisFault if a file is damaged or missing."""
        self.folder = folder
        self.position = 0
        self._rows: list[tuple[Any, ...]] = []  # that are in no file yet, after these
        self._made: list[Any] = []
        self._open: tuple[Path, Any] | None = None  # the last file, and what it holds already
        for path in sorted(folder.glob("month=*/*.parquet"), key=lambda path: path.name):
            rows = rows_in(path)
            if rows is None:
                raise AnalysisFault(f"{path} is damaged: {ANEW}")
            if path.stem != f"{self.position + 1:012}":
                raise AnalysisFault(f"{path} does not go on after position {self.position}: {ANEW}")
            self.position += rows
            if rows < FILE_ROWS:
                self._open = path, None

    def must_be_of(self, slices: Slices, head: int) -> None:
        """Raises AnalysisFault if what it ends with is not what this ledger has there."""
        if self.position > head:
            raise AnalysisFault(
                f"{self.folder.parent} is at {self.position}, beyond this ledger's {head}:"
                f" {RESTORED}"
            )
        if not self.position:
            return
        for page in slices.pages(Slice(), after=self.position - 1, upto=self.position):
            [told] = page.told
            if self._last() != (str(told.stream), told.version, told.kind, told.recorded_at):
                raise AnalysisFault(
                    f"{self.folder.parent} has another entry at position {self.position} than this"
                    f" ledger: {RESTORED}"
                )

    def _last(self) -> tuple[Any, ...]:
        path = max(self.folder.glob("month=*/*.parquet"), key=lambda path: path.name)
        names = ["stream", "version", "kind", "recorded_at"]
        _, pq = arrow()
        try:
            rows = pq.ParquetFile(path).read(names)
        except Exception:
            raise AnalysisFault(f"{path} is damaged: {ANEW}") from None
        [row] = rows.slice(rows.num_rows - 1).to_pylist()
        return tuple(row[name] for name in names)

    def begin_anew(self) -> None:
        """File by file, each in the place of the one that is there."""
        self.position, self._open = 0, None

    def add(self, entry: Entry[Event], told: Told) -> None:
        place = self.folder / f"month={told.recorded_at:%Y-%m}"
        path = self._open[0] if self._open else None
        if path is None or path.parent != place or self._held() >= FILE_ROWS:
            self.flush()
            self._open = place / f"{entry.position:012}.parquet", ()
        self._rows.append(
            (
                told.position, str(told.stream), told.version, told.kind, told.recorded_at,
                entry.at, told.by, told.cause, bytes(told.fact).decode(), ",".join(told.sealed),
            )
        )  # fmt: skip
        self.position = entry.position
        if len(self._rows) >= MADE_ROWS:
            self._make()

    def flush(self) -> None:
        self._make()
        if not self._made:
            return
        assert self._open
        pa, _ = arrow()
        path, held = self._open[0], self._before()
        table = pa.concat_tables([held, *self._made] if held else self._made)
        _draft(LEDGER_TYPES, [table], path)
        _place(path)
        self._made, self._open = [], (path, table)

    def _make(self) -> None:
        if self._rows:
            self._made.append(arrow_table(LEDGER_TYPES, self._rows))
            self._rows = []

    def _held(self) -> int:
        before: int = self._before().num_rows if self._before() else 0
        return before + sum(len(table) for table in self._made) + len(self._rows)

    def _before(self) -> Any:
        """What the last file holds already, if this goes on with it."""
        assert self._open
        path, table = self._open
        if table is None:
            _, pq = arrow()
            table = pq.ParquetFile(path).read()
            self._open = path, table
        return table


class ReadModels:
    """All of them, on a shelf beside them, so that the next run folds only what is new; if anything
    was opened, on one that is gone with this run, since it must not outlast an erasure."""

    def __init__(self, folder: Path, *, mark: Callable[[int], str], keeps: bool) -> None:
        self.folder, self.projections = folder, every()
        program = _program(self.projections)
        self._shelf = Shelf(folder / STATE, program, self.projections, mark=mark, lasts=keeps)
        self.position = self._shelf.position
        self._folding: dict[type[Event], list[Tables]] = {}  # by the kinds that came

    def close(self) -> None:
        self._shelf.close()

    def add(self, entry: Entry[Event]) -> None:
        kind = type(entry.event)
        if kind not in self._folding:
            concerned = [p for p in self.projections if p.handlers_of(kind)]
            self._folding[kind] = [Tables(p, rows=self._shelf.rows) for p in concerned]
            self._shelf.news([p.name for p in concerned], are=True)
        for tables in self._folding[kind]:
            tables.fold(entry)
        self.position = entry.position

    def relieve(self) -> None:
        self._shelf.relieve(self.position)

    def write(self, position: int) -> dict[str, int]:
        """How many rows each table has. Without news, what is there stays, unless it is damaged: it
        is derived, and written anew."""
        counts, drafted, with_news = {}, list[Path](), self._shelf.with_news()
        self._shelf.let_go(position)
        for projection in self.projections:
            for table in projection.tables:
                path = self.folder / "read" / projection.name / f"{table.name}.parquet"
                count = None if projection.name in with_news else rows_in(path)
                if count is None:
                    rows = map(table.values_of, self._shelf.rows[table.name].each())
                    count = _draft(table.types, _groups(table.types, rows), path)
                    drafted.append(path)
                counts[table.name] = count
        if drafted:
            _replace(self.folder / PLACING, b"")
            hold(self.folder)
        for path in drafted:
            _place(path)
        there = {f"{p.name}/{table.name}" for p in self.projections for table in p.tables}
        for path in (self.folder / "read").glob("*/*.parquet"):  # of a table that is no more
            if f"{path.parent.name}/{path.stem}" not in there:
                path.unlink()
        self._shelf.news([*with_news], are=False)
        self._shelf.keep(position)
        return counts


def schema(projections: Sequence[Projection]) -> str:
    """What is in an export, for people."""
    lines = [
        "# What is in this export", "",
        "Instants are UTC. What is sealed reads `[sealed]`, unless it was made with `--open`.",
        "", "## ledger", "", "| column | type | is |", "|---|---|---|",
        *(f"| {name} | {type_} | {says} |" for name, (type_, says) in LEDGER.items()),
    ]  # fmt: skip
    for projection in projections:
        for table in projection.tables:
            says = (table.row.__doc__ or "").strip().partition("\n")[0]
            lines += ["", f"## {table.name}", ""]
            if says and not says.startswith(f"{table.row.__name__}("):
                lines += [says, ""]
            lines += [f"Of the read model {projection.name}; key: {', '.join(table.key)}.", ""]
            lines += ["| column | type | |", "|---|---|---|"]
            lines += [
                f"| {name} | {type_} | {'may be null' if name in table.nullable else ''} |"
                for name, type_ in table.types.items()
            ]
    return "\n".join(lines) + "\n"


def arrow_schema(types: dict[str, str]) -> Any:
    pa, _ = arrow()
    kinds = {
        "boolean": pa.bool_(), "bigint": pa.int64(), "text": pa.string(), "bytea": pa.binary(),
        "uuid": pa.string(), "date": pa.date32(), "timestamptz": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    return pa.schema([(name, kinds[type_]) for name, type_ in types.items()])


def arrow_table(types: dict[str, str], rows: Sequence[tuple[Any, ...]]) -> Any:
    pa, _ = arrow()
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    fields = arrow_schema(types)
    for number, type_ in enumerate(types.values()):
        if type_ == "uuid":
            columns[number] = [None if id is None else str(id) for id in columns[number]]
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)],
        schema=fields,
    )


def _groups(types: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    pa, _ = arrow()
    made: list[Any] = []
    rows, count = iter(rows), 0
    while some := list(islice(rows, min(MADE_ROWS, FILE_ROWS - count))):
        made.append(arrow_table(types, some))
        count += len(some)
        if count == FILE_ROWS:
            yield pa.concat_tables(made)
            made, count = [], 0
    if made:
        yield pa.concat_tables(made)


def rows_in(path: Path) -> int | None:
    """None: it is not there, or no Parquet."""
    pa, pq = arrow()
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return None


def _draft(types: dict[str, str], groups: Iterable[Any], path: Path) -> int:
    """Beside its place, as they come: of a large table one group or two are in memory, and not the
    whole. How many rows they were."""
    _, pq = arrow()
    count = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with _beside(path).open("wb") as file:
        with pq.ParquetWriter(file, arrow_schema(types), compression="zstd") as writer:
            for group in groups:
                writer.write_table(group)
                count += len(group)
        file.flush()
        os.fsync(file.fileno())
    return count


def _place(path: Path) -> None:
    _beside(path).replace(path)


def _replace(path: Path, content: bytes) -> None:
    _beside(path).write_bytes(content)
    _place(path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


@contextmanager
def _private(folder: Path, *, is_so: bool) -> Iterator[None]:
    """Whatever is made meanwhile, by whichever library, its owner alone reads; also what was made
    before, by the folder."""
    if not is_so:
        yield
        return
    before = os.umask(0o077)
    try:
        with suppress(OSError):  # it is not there yet, or somebody else's
            folder.chmod(0o700)
        yield
    finally:
        os.umask(before)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises AnalysisFault if another export is at work there, or it holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = {path.name for path in folder.iterdir()} - {
            "ledger", "read", "export.json", "SCHEMA.md", STATE, ".lock",
        }  # fmt: skip
        if any(not name.startswith(".") for name in strange):
            raise AnalysisFault(f"{folder} holds something else: name a folder of its own")
        file = (folder / ".lock").open("w")
    except OSError as fault:
        raise AnalysisFault(f"{folder}: {fault.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AnalysisFault(f"another export is at work in {folder}") from None
        _sweep(folder)  # after one that was killed
        try:
            yield
        finally:
            _sweep(folder)


def _sweep(folder: Path) -> None:
    """On a full disk what was drafted would be in everybody's way."""
    for left in folder.rglob(".*.new"):
        left.unlink()


def _must_go_on(
    folder: Path,
    before: Exported | None,
    which: str,
    *,
    opened: bool,
    ledger_only: bool,
    head: int,
) -> None:
    has_models = (folder / "read").exists()  # also of one that was never finished
    if ledger_only and has_models:
        raise AnalysisFault(
            f"{folder} holds read models too: leave out --ledger-only, or name another folder"
        )
    if before is None:
        return
    if not (ledger_only or has_models):
        raise AnalysisFault(
            f"{folder} holds the ledger only: say --ledger-only, or name another folder"
        )
    if before.format != FORMAT:
        raise AnalysisFault(f"{folder} was made by another version: {ANEW}")
    if before.position and before.ledger != which:
        raise AnalysisFault(f"{folder} is the export of another ledger: name another folder")
    if before.position > head:
        raise AnalysisFault(
            f"{folder} is at {before.position}, beyond this ledger's {head}: {RESTORED}"
        )
    if before.opened != opened:
        has = "holds what is sealed" if before.opened else "holds nothing that is sealed"
        raise AnalysisFault(
            f"{folder} {has}: {'say --open' if before.opened else 'leave out --open'}, or name"
            " another folder"
        )


def _begins(folder: Path, begun: bytes, *, goes_on: bool) -> None:
    """Removes what is left of an export that was never finished, unless it was begun as this is: of
    another ledger, or with what is sealed in clear, it would lie among what is exported now."""
    mark = folder / BEGUN
    if mark.exists() and mark.read_bytes() == begun:
        return
    if not goes_on:
        for path in chain(folder.glob("ledger/month=*/*.parquet"), folder.glob("read/*/*.parquet")):
            path.unlink()
    _replace(mark, begun)


def _ledger_id(slices: Slices) -> str:
    rows, _ = slices.rows(Slice(), after=0, upto=1)
    return hashlib.sha256(rows[0].state).hexdigest()[:32] if rows else ""


def _program(projections: Sequence[Projection]) -> str:
    """Of what decides how read models are folded."""
    digest = hashlib.sha256(PROGRAM)
    for file in sorted(
        files("ledger_crm").joinpath("projections").iterdir(), key=lambda file: file.name
    ):
        if file.name.endswith(".py"):
            digest.update(file.read_bytes())
    digest.update(repr([(p.name, p.version) for p in projections]).encode())
    return digest.hexdigest()
