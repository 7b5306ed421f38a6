"""SQL over the history, by DuckDB: over an export, or over the read models as they are now.

Nothing is written to the database, whatever the query says: DuckDB is given files, or copies of the
tables that it names, read in one transaction that cannot write.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger_crm.projections import NOT_BUILT, SCHEMA, every, standing

from . import AnalysisFault
from .exporting import arrow_schema, arrow_table, found
from .tables import Found, arrow, missing

ROWS = "ExpectedResultType.QUERY_RESULT"


def over_export(folder: Path, query: str) -> Found:
    """Over ``ledger`` and the tables of the read models. Raises AnalysisFault."""
    exported = found(folder)
    if exported is None:
        raise AnalysisFault(f"there is no export in {folder}: make it with ledger-crm export")
    duck = _duck()
    if exported.position:
        files = str(folder / "ledger" / "*" / "*.parquet").replace("'", "''")
        duck.execute(
            "CREATE VIEW ledger AS SELECT * FROM"
            f" read_parquet('{files}', hive_types = {{'month': VARCHAR}})"
        )
    for path in sorted((folder / "read").glob("*/*.parquet")):
        file = str(path).replace("'", "''")
        duck.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM read_parquet('{file}')")
    return _answer(duck, query)


def over_live(url: str, query: str) -> Found:
    """Over the tables of the read models, as they are now: what is sealed is open in them. Raises
    AnalysisFault, psycopg.Error."""
    duck = _duck()
    owners = {table.name: (p, table) for p in every() for table in p.tables}
    for name, (_, table) in owners.items():  # as tables: of views it does not tell the names
        duck.register("nothing", arrow_schema(table.types).empty_table())
        duck.execute(f"CREATE TABLE {name} AS FROM nothing")
    duck.unregister("nothing")
    named = sorted(_told(lambda: duck.get_table_names(query)) & owners.keys())
    for name in named:
        duck.execute(f"DROP TABLE {name}")
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
    asked = _told(lambda: duck.extract_statements(query))
    if not asked or [str(each) for each in asked[-1].expected_result_type] != [ROWS]:
        raise AnalysisFault("this query gives no rows: write one that does")
    answer = _told(lambda: duck.sql(query))
    table = _told(lambda: answer.to_arrow_table())
    columns = [column.to_pylist() for column in table.columns]
    return Found(tuple(table.column_names), list(zip(*columns, strict=True)))


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
