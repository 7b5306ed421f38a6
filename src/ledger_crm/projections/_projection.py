"""What a read model is made of: tables, folds of their rows, queries; one module per question.

A fold is a pure function of a row and an entry. It sees nothing else: no clock, no SQL, no other
row. Whoever drives it decides how rows are fetched and kept, so the same folds run live, in bulk,
in parallel by key, and in memory over a slice of history; and a driver that keeps the rows it
replaces can answer "as of".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date, datetime
from operator import attrgetter
from types import NoneType
from typing import Any, Generic, TypeAlias, TypeVar, get_args, get_type_hints
from uuid import UUID

import msgspec
import psycopg

from ledger_crm.domain.entry import ERASED, Entry, Event
from ledger_crm.domain.privacy import PersonErased

Cursor: TypeAlias = psycopg.AsyncCursor[Any]
Key: TypeAlias = tuple[Any, ...]

OUT_OF_REACH = (psycopg.OperationalError, psycopg.InterfaceError)
"""What a query raises while the database is not there."""

TOOK_TOO_LONG = psycopg.errors.QueryCanceled
"""What it raises when the database ends it: it is there, and a shorter question is answered."""

NOT_BUILT = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
"""What it raises while the tables of a read model are not there, or not yet as it knows them."""

SCHEMA = "read"
"""Where the tables are; whoever connects puts it in the search path."""

SQL_TYPES = {
    bool: "boolean",
    int: "bigint",
    str: "text",
    bytes: "bytea",
    UUID: "uuid",
    date: "date",
    datetime: "timestamptz",
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of one table: fields are columns, ``| None`` is a nullable one."""


R = TypeVar("R", bound=Row)
Pick: TypeAlias = Callable[[Entry[Any]], Any]
Start: TypeAlias = Callable[[Entry[Any]], R | Sequence[R]]
Change: TypeAlias = Callable[[R, Entry[Any]], R | None]  # None: the row goes


class Starting(msgspec.Struct, Generic[R], frozen=True):
    """Makes rows out of an entry alone; one that is there already is replaced."""

    start: Callable[[Entry[Any]], Sequence[R]]


class Changing(msgspec.Struct, Generic[R], frozen=True):
    """Changes the row with this key; if there is none, the one that ``start`` makes. Without a key
    this entry changes nothing."""

    change: Change[R]
    key: Callable[[Entry[Any]], Key | None]
    start: Callable[[Entry[Any]], R] | None


class ChangingEach(msgspec.Struct, Generic[R], frozen=True):
    """Changes every row with this value in this column. For rare events: it is a query."""

    change: Change[R]
    column: str
    value: Pick


Handler: TypeAlias = Starting[R] | Changing[R] | ChangingEach[R]


class Table(Generic[R]):
    """Rows of one shape, identified by the columns in ``key``. ``sql``: indexes, and what else
    the queries need; run after CREATE TABLE. A column that ``each`` names needs an index."""

    def __init__(self, name: str, row: type[R], *, key: str, sql: str = "") -> None:
        self.name, self.row, self.sql = name, row, sql
        self.key = tuple(key.split(", "))
        self.columns = row.__struct_fields__
        getter = attrgetter(*self.columns)
        self.values_of: Callable[[R], tuple[Any, ...]] = getter
        key_getter = attrgetter(*self.key)
        self.key_of: Callable[[R], Key] = (
            key_getter if len(self.key) > 1 else lambda row: (key_getter(row),)
        )
        self.handlers: dict[type[Event], list[Handler[R]]] = {}
        hints = get_type_hints(row)
        self.nullable = {c for c in self.columns if NoneType in get_args(hints[c])}
        self.types = {
            column: next(SQL_TYPES[t] for t in get_args(hint) or (hint,) if t is not NoneType)
            for column, hint in hints.items()
        }

    def starts(self, *events: type[Event]) -> Callable[[Start[R]], Start[R]]:
        """These events, a base class meaning all of its own, start a row, or several."""

        def register(start: Start[R]) -> Start[R]:
            def rows(entry: Entry[Any]) -> Sequence[R]:
                made = start(entry)
                return (made,) if isinstance(made, Row) else made

            self._register(Starting(rows), events)
            return start

        return register

    def on(
        self,
        *events: type[Event],
        key: Pick,
        start: Callable[[Entry[Any]], R] | None = None,
    ) -> Callable[[Change[R]], Change[R]]:
        """These events change the row with this key; those that give None change nothing."""

        def as_tuple(entry: Entry[Any]) -> Key | None:
            found = key(entry)
            return found if found is None or len(self.key) > 1 else (found,)

        def register(change: Change[R]) -> Change[R]:
            self._register(Changing(change, as_tuple, start), events)
            return change

        return register

    def each(self, *events: type[Event], **where: Pick) -> Callable[[Change[R]], Change[R]]:
        """These events change every row with ``column=value``."""
        [(column, value)] = where.items()

        def register(change: Change[R]) -> Change[R]:
            self._register(ChangingEach(change, column, value), events)
            return change

        return register

    def erases(
        self, *columns: str, of: str = "person_id", unless: Callable[[R], bool] = lambda _: False
    ) -> None:
        """Whoever is erased reads as that in these columns; without columns their rows go. It asks
        for nothing that is sealed, so rows come out the same whether it was open before or not.

        of      the column with the person
        unless  rows that stay as they are
        """
        erased = dict.fromkeys(columns, ERASED)

        def empty(row: R, entry: Entry[Any]) -> R | None:
            if unless(row):
                return row
            return msgspec.structs.replace(row, **erased) if erased else None

        self.each(PersonErased, **{of: stream})(empty)

    def _register(self, handler: Handler[R], events: tuple[type[Event], ...]) -> None:
        for event in events:
            self.handlers.setdefault(event, []).append(handler)

    @property
    def ddl(self) -> str:
        columns = "".join(
            f"{column} {type_}{'' if column in self.nullable else ' NOT NULL'}, "
            for column, type_ in self.types.items()
        )
        return f"CREATE TABLE {self.name} ({columns}PRIMARY KEY ({', '.join(self.key)}));{self.sql}"


class Projection:
    """Tables that stand at one position. Raise ``version`` to build them anew from entry 1."""

    def __init__(self, name: str, *tables: Table[Any], version: int) -> None:
        self.name, self.tables, self.version = name, tables, version
        self._handlers: dict[type[Event], list[tuple[Table[Any], Handler[Any]]]] = {}

    def handlers_of(self, event: type[Event]) -> list[tuple[Table[Any], Handler[Any]]]:
        """Of the tables in order, and for each the handlers of the event before its bases'."""
        if event not in self._handlers:
            self._handlers[event] = [
                (table, handler)
                for table in self.tables
                for base in event.__mro__
                for handler in table.handlers.get(base, ())
            ]
        return self._handlers[event]


def plain(text: str) -> str:
    """As names are looked for: without capitals and accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


def all_words(text: str) -> list[str]:
    """Patterns for ``LIKE ALL``: what they fit holds every word of this. Text without a word, such
    as a lone accent, fits nothing; no text fits everything."""
    escaped = re.sub(r"([\\%_])", r"\\\1", plain(text))
    return [f"%{word}%" for word in escaped.split()] or ([""] if text else [])


def stream(entry: Entry[Any]) -> UUID:
    """The key of most rows: the record that the entry was written on."""
    return entry.originator_id
