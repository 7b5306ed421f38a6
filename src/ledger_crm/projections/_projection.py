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
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar, get_args, get_type_hints
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

NO_ROOM = psycopg.errors.DiskFull
"""What it raises when its disk is full: it is there, and whoever runs it has to make room."""

NOT_BUILT = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
"""What it raises while the tables of a read model are not there, or not yet as it knows them."""

SCHEMA, PAST = "read", "past"
"""Where the tables are, and where the rows are that they had before."""

NEXT, LAST = "next_", "last_"
"""What the names of these schemas begin with for a read model that is built beside the one that is
read, and for one that was replaced (``workers/beside.py``)."""

AS_KNOWN, AS_IT_WAS = "as_known", "as_it_was"
"""Where views of the same names show both, for whoever puts one of these in front of the search
path: as they were known at the position in the setting ``ledger.as_of``; or as all was at the
instant in it, by what is known today."""

FEW = 500  # rows, which are put in order in less time than others are looked through for them
BLOCK = 2_000  # positions, of which is kept since when a row with one of them held at the earliest
ORDERED = re.compile(r"(CREATE INDEX \w+ ON \w+ \([\w ,]+)\)")

KNOWN_FROM, KNOWN_UNTIL = "known_from", "known_until"
HELD_FROM, HELD_UNTIL = "held_from", "held_until"
"""Columns of rows of the past; of those of the present, the two that begin. The positions of the
entries that made and replaced one, and when the facts happened that did (``workers/rows.py``)."""

_LONGEST_S = 190_000_000_000  # 6,020 years: what held began in year 1, and days go back to 4713 BC
_CLASSES = {
    KNOWN_FROM: f"'{{{','.join(str(4**n) for n in range(30))}}}'::bigint[]",
    HELD_FROM: f"'{{{','.join(f'{s} s' for s in (*(4**n for n in range(19)), _LONGEST_S))}}}'"
    "::interval[]",
}
_LASTED = {
    since: f"unnest({classes}) WITH ORDINALITY lasted (less_than, nth)"
    for since, classes in _CLASSES.items()
}

SQL_TYPES = {
    bool: "boolean",
    int: "bigint",
    str: "text",
    bytes: "bytea",
    UUID: "uuid",
    date: "date",
    datetime: "timestamptz",
}


class Marked(psycopg.AsyncCursor[Any]):
    """A cursor whose statements are planned apart from those without its mark."""

    def __init__(self, conn: Any, mark: str) -> None:
        super().__init__(conn)
        self._mark = f"/* {mark} */ ".encode() if mark else b""

    async def execute(self, query: Any, *args: Any, **more: Any) -> Self:
        if self._mark:
            query = self._mark + (query.encode() if isinstance(query, str) else query)
        return await super().execute(query, *args, **more)


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
    this entry changes nothing. ``forgets``: the row becomes, and always was, what is made of it."""

    change: Change[R]
    key: Callable[[Entry[Any]], Key | None]
    start: Callable[[Entry[Any]], R] | None
    forgets: bool = False


class ChangingEach(msgspec.Struct, Generic[R], frozen=True):
    """Changes every row with this value in this column; ``forgets``: they become, and always were,
    what is made of them. For rare events: it is a query."""

    change: Change[R]
    column: str
    value: Pick
    forgets: bool = False


def _values_of(columns: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Of a row, also if there is one alone, of which a getter would make no tuple."""
    getter = attrgetter(*columns)
    return getter if len(columns) > 1 else lambda row: (getter(row),)


Handler: TypeAlias = Starting[R] | Changing[R] | ChangingEach[R]


class Table(Generic[R]):
    """Rows of one shape, identified by the columns in ``key``. A column that ``each`` names needs
    an index.

    sql         indexes, also for the rows that it had before: those that begin with a column that
                ``each`` names are made with the table, the others once it is built (decision 90)
    views       what else queries need, over this table and those before it; run last
    keeps_past  whether what a row was is kept. Not where that would tell what the present does
                not, as of counts: two of them one entry apart say what that entry says
    stays       whether no row of it ever goes
    defines     whether its facts say how one looks at others, and happened at no time: what was, by
                what is known now, is looked at as is defined now
    """

    def __init__(
        self,
        name: str,
        row: type[R],
        *,
        key: str,
        sql: str = "",
        views: str = "",
        keeps_past: bool = True,
        stays: bool = False,
        defines: bool = False,
    ) -> None:
        self.name, self.row, self.sql, self.views = name, row, sql, views
        self.keeps_past, self.stays, self.defines = keeps_past, stays, defines
        self.key = tuple(key.split(", "))
        self.columns = row.__struct_fields__
        self.values_of, self.key_of = _values_of(self.columns), _values_of(self.key)
        self.handlers: dict[type[Event], list[Handler[R]]] = {}
        hints = get_type_hints(row)
        self.nullable = {c for c in self.columns if NoneType in get_args(hints[c])}
        self.reach = f"{name}_reach"
        self.has_position = "position" in {*self.columns} - self.nullable
        self.in_pages = self.has_position and keeps_past and "position DESC" in sql
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
        forgets: bool = False,
    ) -> Callable[[Change[R]], Change[R]]:
        """These events change the row with this key; those that give None change nothing.
        ``forgets``: the row becomes, and always was, what is made of it: for what may be known no
        longer, and a row built anew from then on comes out the same."""

        def as_tuple(entry: Entry[Any]) -> Key | None:
            found = key(entry)
            return found if found is None or len(self.key) > 1 else (found,)

        def register(change: Change[R]) -> Change[R]:
            self._register(Changing(change, as_tuple, start, forgets), events)
            return change

        return register

    def each(
        self, *events: type[Event], forgets: bool = False, **where: Pick
    ) -> Callable[[Change[R]], Change[R]]:
        """These events change every row with ``column=value``; ``forgets``: as for ``on``."""
        [(column, value)] = where.items()

        def register(change: Change[R]) -> Change[R]:
            self._register(ChangingEach(change, column, value, forgets), events)
            return change

        return register

    def erases(
        self, *columns: str, of: str = "person_id", unless: Callable[[R], bool] = lambda _: False
    ) -> None:
        """Whoever is erased reads as that in these columns, and always did; without columns their
        rows go, and never were. It asks for nothing that is sealed, so rows come out the same
        whether it was open before or not.

        of      the column with the person
        unless  rows that stay as they are
        """
        erased = dict.fromkeys(columns, ERASED)

        def empty(row: R, entry: Entry[Any]) -> R | None:
            if unless(row):
                return row
            return msgspec.structs.replace(row, **erased) if erased else None

        self.each(PersonErased, forgets=True, **{of: stream})(empty)

    def _register(self, handler: Handler[R], events: tuple[type[Event], ...]) -> None:
        for event in events:
            self.handlers.setdefault(event, []).append(handler)

    def ddl(self, beside: str = "", *, indexed: bool = True) -> str:
        """Makes the table, that of the rows that it had before, and the views of both; drops what
        there was. ``beside``: what the names of the schemas begin with; ``indexed``: with all of
        its indexes, and not with those alone by which folds look for rows."""
        read, past = f"{beside}{SCHEMA}", f"{beside}{PAST}"
        columns = "".join(
            f"{column} {type_}{'' if column in self.nullable else ' NOT NULL'}, "
            for column, type_ in self.types.items()
        )
        key = ", ".join(self.key)
        made = f"""
            DROP TABLE IF EXISTS {read}.{self.name}, {past}.{self.name} CASCADE;
            DROP TABLE IF EXISTS {past}.{self.reach};
            CREATE TABLE {read}.{self.name}
                ({columns}{KNOWN_FROM} bigint NOT NULL DEFAULT 0,
                {HELD_FROM} timestamptz NOT NULL DEFAULT 'epoch', PRIMARY KEY ({key}));
            {self.views};
            """
        if self.keeps_past:
            made += f"""
                CREATE TABLE {past}.{self.name}
                    ({columns}{KNOWN_FROM} bigint, {KNOWN_UNTIL} bigint,
                    {HELD_FROM} timestamptz, {HELD_UNTIL} timestamptz);
                CREATE INDEX ON {past}.{self.name} ({key}, {HELD_UNTIL});
                """
        made += self._indexed(self._indexes()[0], beside)
        if indexed:
            made += self.indexes(beside)
        if not self.keeps_past:
            return made
        if self.in_pages:
            made += f"""CREATE TABLE {past}.{self.reach}
                (block bigint PRIMARY KEY, since timestamptz NOT NULL);"""
        for home, since, until, type_ in (
            (AS_KNOWN, KNOWN_FROM, KNOWN_UNTIL, "bigint"),
            (AS_IT_WAS, HELD_FROM, HELD_UNTIL, "timestamptz"),
        ):
            # The setting stands bare, so that who plans knows it, and how much was there.
            at = f"current_setting('ledger.as_of')::{type_}"
            viewed = self._joined if self.stays else self._appended
            made += f"""
                CREATE VIEW {beside}{home}.{self.name} AS
                {viewed(f"{read}.{self.name}", f"{past}.{self.name}", since, until, at)};
                SET LOCAL search_path = {beside}{home}; {self.views};
                """
        return f"{made} SET LOCAL search_path = {read}, {SCHEMA};"

    def indexes(self, beside: str = "") -> str:
        """Makes those that ``ddl`` leaves out, by which readers look for rows: of many rows at once
        in less time than one by one, in whatever order these come."""
        made = self._indexed(self._indexes()[1], beside)
        if self.keeps_past:
            for since, until in ((KNOWN_FROM, KNOWN_UNTIL), (HELD_FROM, HELD_UNTIL)):
                made += f"""
                    CREATE INDEX ON {beside}{PAST}.{self.name} ({_lasted(since, until)});"""
        return made

    def _indexed(self, sql: str, beside: str) -> str:
        """The table, and that of the rows that it had before."""
        made = f"SET LOCAL search_path = {beside}{SCHEMA}, {SCHEMA}; {sql};"
        if self.keeps_past:
            with_until = ORDERED.sub(rf"\1, {KNOWN_UNTIL}, {HELD_UNTIL})", sql)
            made += f"""SET LOCAL search_path = {beside}{PAST}; {with_until};
                SET LOCAL search_path = {beside}{SCHEMA}, {SCHEMA};"""
        return made

    def _indexes(self) -> tuple[str, str]:
        """One for each column that ``each`` names, and the others."""
        by_folds, further = "", self.sql
        for handlers in self.handlers.values():
            for column in {h.column for h in handlers if isinstance(h, ChangingEach)}:
                of = rf"CREATE INDEX \w+ ON {self.name} \({column}\b[^;]*?\)\s*(?:;|$)"
                if found := re.search(of, further):
                    by_folds += found[0]
                    further = further.replace(found[0], "")
        return by_folds, further

    def _appended(self, present: str, past: str, since: str, until: str, at: str) -> str:
        """Of rows present and past those that were there. An arm with a condition of its own is
        read whole, for its order is not seen from outside, so all conditions stand there. Where
        few rows of the past were there, they are found one by one, and put in order: to look
        through an index in that order finds none of them for long. Else they are dense in it. And
        what had not happened is passed over in blocks (decision 84)."""
        columns = [*self.columns, KNOWN_FROM, HELD_FROM]
        names, never = ", ".join(columns), "'infinity'" if until == HELD_UNTIL else 2**63 - 1
        arms = f"""SELECT {names}, {never} AS {until}, 0 AS arm FROM {present}
            UNION ALL SELECT {names}, {until}, 1 FROM {past}"""
        there = f"{since} <= {at} AND {until} > {at}"
        if self.has_position and since == KNOWN_FROM:
            there += f" AND position <= {at}"
        if self.in_pages:
            if since == HELD_FROM:
                there += f""" AND position <= (SELECT (block + 1) * {BLOCK} FROM {past}_reach
                    WHERE since <= (SELECT {at}) ORDER BY block DESC LIMIT 1)"""
            unordered = ", ".join("position + 0" if c == "position" else c for c in columns)
            found = f"""SELECT stored FROM {_LASTED[since]} CROSS JOIN LATERAL
                (SELECT ctid AS stored FROM {past} WHERE {_class(since, until)} = lasted.nth - 1
                AND {since} > {at} - lasted.less_than AND {since} <= {at} AND {until} > {at}
                OFFSET 0) each_class LIMIT {FEW}"""
            arms += f""" UNION ALL SELECT {unordered}, {until}, 2 FROM {past}
                WHERE ctid = ANY(ARRAY({found}))"""
            few = f"(SELECT count(*) < {FEW} FROM ({found}) found)"
            # Those found were there: to read the moment again for each takes as long as the rest.
            there = f"(arm = 2 OR {there}) AND (arm = 0 OR (arm = 2) = {few})"
        return f"SELECT {names} FROM ({arms}) every WHERE {there}"

    def _joined(self, present: str, past: str, since: str, until: str, at: str) -> str:
        """The same where every row of the past has a successor. Who plans knows then that there is
        one for each key, which of rows that are appended nobody knows."""
        [key] = self.key
        columns = ", ".join(
            f"CASE WHEN p.{key} IS NULL THEN n.{column} ELSE p.{column} END AS {column}"
            for column in (*self.columns, KNOWN_FROM, HELD_FROM)
            if column != key
        )
        return f"""SELECT n.{key}, {columns} FROM {present} n
            LEFT JOIN {past} p ON p.{key} = n.{key} AND p.{since} <= {at} AND p.{until} > {at}
            WHERE n.{since} <= {at} OR p.{key} IS NOT NULL"""


def _lasted(since: str, until: str) -> str:
    """For an index of spans, by how long they are, in classes of which each is four times the one
    before, and by when they began. Of spans around a moment, one of a class began at most so long
    before it: they are found without looking at many others."""
    return f"({_class(since, until)}), {since}, {until}"


def _class(since: str, until: str) -> str:
    return f"width_bucket({until} - {since}, {_CLASSES[since]})"


class Projection:
    """Tables that stand at one position. Raise ``version`` to build them anew from entry 1.

    parallel  "stream": no row of it is touched by entries of two streams, so processes that build
              it may share the streams out (``workers/parts.py``)
    """

    def __init__(
        self,
        name: str,
        *tables: Table[Any],
        version: int,
        parallel: Literal["", "stream"] = "",
    ) -> None:
        self.name, self.tables, self.version, self.parallel = name, tables, version, parallel
        self.keeps_past = all(table.keeps_past for table in tables)
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


FITS_NOTHING = ["", "_"]  # "" alone fits what is empty


def all_words(text: str) -> list[str]:
    """Patterns for ``LIKE ALL``: what they fit holds every word of this. Text without a word, such
    as a lone accent, fits nothing; no text fits everything."""
    escaped = re.sub(r"([\\%_])", r"\\\1", plain(text))
    return [f"%{word}%" for word in escaped.split()] or (FITS_NOTHING if text else [])


async def found_if_few(cur: Cursor, query: str, values: dict[str, Any]) -> list[UUID] | None:
    """The ids that this query finds; None: they are many. Where few rows are wanted, it takes long
    to come upon them in the order of a list, and who plans one does not know that they are few."""
    await cur.execute(
        # planned as if all were wanted: for some, it would look at every row until it has them
        f"WITH found (id) AS MATERIALIZED ({query}) SELECT id FROM found LIMIT {FEW + 1}".encode(),
        values,
    )
    found = [id for (id,) in await cur.fetchall()]
    return found if len(found) <= FEW else None


def newest_first(rows: str, before: int | None, limit: int) -> str:
    """The end of a query for a page, which may take ``before``. How many are asked for stands in
    it, and whether they are before something: a plan that is kept would be one for all pages of
    any length, and is not kept for that. ``rows``: an alias; a condition goes before this."""
    further = f" AND {rows}.position < %(before)s" if before is not None else ""
    return f"{further} ORDER BY {rows}.position DESC LIMIT {limit:d}"


def stream(entry: Entry[Any]) -> UUID:
    """The key of most rows: the record that the entry was written on."""
    return entry.originator_id
