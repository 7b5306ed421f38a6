"""SQL over the history, by DuckDB: over an export, or over the read models as they are now.

Nothing is written to the database, whatever the query says: DuckDB is given files, or copies of the
tables that it names, read in one transaction that cannot write.
"""

from __future__ import annotations

import glob
import re
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger_crm.projections import NOT_BUILT, SCHEMA, every, standing

from . import AnalysisFault
from .exporting import (
    AGAIN,
    LedgerFiles,
    arrow_schema,
    arrow_table,
    found,
    is_of_two_positions,
    rows_in,
)
from .tables import Found, arrow, missing

ROWS, SEVERAL = "ExpectedResultType.QUERY_RESULT", "StatementType.MULTI"


def over_export(folder: Path, query: str) -> Found:
    """Over ``ledger`` and the tables of the read models, at the position of the export. What cannot
    be read stops only who names it. Raises AnalysisFault."""
    exported = found(folder)
    if exported is None:
        raise AnalysisFault(f"there is no export in {folder}: make it with ledger-crm export")
    duck, named = _duck(), _words(query)
    paths = {path.stem: path for path in (folder / "read").glob("*/*.parquet")}
    made = {
        name: partial(_table, duck, folder, name, paths.get(name))
        for name in paths.keys() | exported.tables.keys()
    }
    asks_tables = bool(named & made.keys())
    if exported.position:
        made["ledger"] = partial(_ledger, duck, folder, exported.position)
    for name, make in sorted(made.items()):
        try:
            make()
        except AnalysisFault:
            if name in named:
                raise
    answer = _answer(duck, query)
    if asks_tables and (is_of_two_positions(folder) or found(folder) != exported):
        raise AnalysisFault(f"{folder} was exported anew meanwhile: ask again")
    return answer


def _ledger(duck: Any, folder: Path, position: int) -> None:
    """Up to there: an export that was not finished may have left more. Raises AnalysisFault if one
    of its files is damaged or missing."""
    there = LedgerFiles(folder / "ledger").position
    if there < position:
        raise AnalysisFault(f"{folder} has entries up to {there} only, of {position}: {AGAIN}")
    files = f"{_quoted(folder)} || '/ledger/month=*/*.parquet'"
    rows = f"read_parquet({files}, hive_types = {{'month': VARCHAR}}) WHERE position <= {position}"
    _told(lambda: duck.execute(f"CREATE VIEW ledger AS FROM {rows}"))


def _table(duck: Any, folder: Path, name: str, path: Path | None) -> None:
    """Raises AnalysisFault if it is missing or damaged, or of another position than others."""
    if is_of_two_positions(folder):
        raise AnalysisFault(f"the export in {folder} is not finished: {AGAIN}")
    if path is None:
        raise AnalysisFault(f"{folder} has lost the table {name}: {AGAIN}")
    if rows_in(path) is None:
        raise AnalysisFault(f"{path} is damaged: {AGAIN}")
    rows = f"read_parquet({_quoted(path)}, hive_partitioning = false)"
    _told(lambda: duck.execute(f"CREATE VIEW {path.stem} AS FROM {rows}"))


def _quoted(path: Path) -> str:
    return "'" + glob.escape(str(path)).replace("'", "''") + "'"


def _words(query: str) -> set[str]:
    """Among them each table that it names: DuckDB tells those of a single statement, and not of
    each that it knows."""
    return {word.lower() for word in re.findall(r"\w+", query)}


def over_live(url: str, query: str) -> Found:
    """Over the tables of the read models, as they are now: what is sealed is open in them. Raises
    AnalysisFault, psycopg.Error."""
    duck = _duck()
    owners = {table.name: (p, table) for p in every() for table in p.tables}
    named = sorted(owners.keys() & _words(query))
    for name in owners.keys() - named:  # there to be described
        duck.register(name, arrow_schema(owners[name][1].types).empty_table())
    with psycopg.connect(
        url, connect_timeout=5, row_factory=tuple_row, options=f"-c search_path={SCHEMA}"
    ) as conn:
        conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
        for name in named:
            projection, table = owners[name]
            try:
                there = conn.execute(standing([projection]).encode()).fetchone()
            except NOT_BUILT:
                there = None
            if there is None:
                raise AnalysisFault(f"{name} is not projected yet; ledger-crm up fills it")
            columns = SQL(", ").join(map(Identifier, table.columns))
            asked = SQL("SELECT {} FROM {}").format(columns, Identifier(name))
            rows = conn.execute(asked, binary=True).fetchall()
            duck.register(name, arrow_table(table.types, rows))
    return _answer(duck, query)


def _answer(duck: Any, query: str) -> Found:
    if any("\ud800" <= sign <= "\udfff" for sign in query):  # from a terminal of another kind
        raise AnalysisFault("this query is no UTF-8")
    asked = _told(lambda: duck.extract_statements(query))
    if not asked or not _gives_rows(asked[-1]):
        raise AnalysisFault("this query gives no rows: write one that does")
    table = _until_stopped(duck, lambda: _told(lambda: duck.sql(query).to_arrow_table()))
    columns = [_values(*each) for each in zip(table.column_names, table.columns, strict=True)]
    return Found(_distinct(table.column_names), list(zip(*columns, strict=True)))


def _until_stopped(duck: Any, call: Callable[[], Any]) -> Any:
    """In a thread of its own: in that which hears Ctrl-C, DuckDB does not stop, or says so by an
    error that is none of its own."""
    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(call).result()
        except KeyboardInterrupt:  # maybe before it is known what was begun
            after_it = pool.submit(int)
            while not after_it.done():  # what is about to begin does not hear it yet
                duck.interrupt()
                wait([after_it], timeout=0.05)
            raise


def _gives_rows(statement: Any) -> bool:
    """PIVOT is several in one, of which it does not say what they give."""
    found = [str(each) for each in statement.expected_result_type]
    return found == [ROWS] or str(statement.type) == SEVERAL


def _values(name: str, column: Any) -> list[Any]:
    """Sums of whole numbers are whole numbers, and intervals text. Raises AnalysisFault."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        raise AnalysisFault(
            f"column {name} holds moments that are too far off, or too fine: CAST(… AS VARCHAR)"
        ) from None
    if getattr(column.type, "scale", None) == 0:
        return [None if value is None else int(value) for value in values]
    if "interval" in str(column.type):  # also within lists and the like
        return [_with_spans(value) for value in values]
    return values


def _with_spans(value: Any) -> Any:
    """As ISO 8601 writes them, in the units that they have: a month is no number of days, and a day
    none of seconds."""
    match value:
        case (int(months), int(days), int(nanoseconds)) if hasattr(value, "nanoseconds"):
            seconds = f"{Decimal(nanoseconds).scaleb(-9).normalize():f}"
            span = f"{months}M" * bool(months) + f"{days}D" * bool(days)
            return f"P{span}" + f"T{seconds}S" * bool(nanoseconds or not span)
        case dict():
            return {name: _with_spans(each) for name, each in value.items()}
        case list() | tuple():
            return [_with_spans(each) for each in value]
    return value


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Of two tables that are joined both may have it: the second one is told apart."""
    found: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in count(2))
        found[next(each for each in chain((name,), numbered) if each not in found)] = None
    return tuple(found)


def _duck() -> Any:
    """In memory, in UTC, and never fetching anything from elsewhere."""
    try:
        import duckdb
    except ImportError:
        raise AnalysisFault(missing("SQL", "duckdb")) from None
    arrow()
    duck = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    duck.execute("SET TimeZone = 'UTC'")
    duck.execute("SET enable_progress_bar = false")  # it is drawn where rows are to be
    return duck


def _told(call: Callable[[], Any]) -> Any:
    """Raises AnalysisFault with what DuckDB says, in one line."""
    import duckdb

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except duckdb.Error as fault:
        said = str(fault).partition("\n\nLINE")[0]
        raise AnalysisFault(" ".join(said.split())) from None
