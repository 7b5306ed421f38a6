"""Rows of one table in memory: as stored, and as a batch has made them; and what they were before.

A row that is replaced goes among those of the past, with two spans. It was *known* from the entry
that made it until the one that replaced it. It *held* from when the one fact happened until the
other did, by what is known today: a fact that is told late changes what held since then, and not
what was known. So for each key there are two lines, each without overlaps: by position, the rows
that a ledger would show that ends there; by time, those that it would show if it had no fact that
happened later. Most facts come in order, and then one row of the past stands in both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import psycopg

from ledger_crm import packing
from ledger_crm.domain.entry import Entry, Event
from ledger_crm.projections import (
    BLOCK,
    HELD_FROM,
    HELD_UNTIL,
    KNOWN_FROM,
    KNOWN_UNTIL,
    PAST,
    Changing,
    ChangingEach,
    Handler,
    Key,
    Row,
    Starting,
    Table,
)

R = TypeVar("R", bound=Row)
Cursor: TypeAlias = psycopg.Cursor[Any]
Touched: TypeAlias = Sequence[tuple[Key, R | None]]
Make: TypeAlias = Callable[[R | None], R | None]

KEPT_ROWS = 100_000  # of one table in memory, between batches, by whoever has only one read model
EVER, EPOCH = datetime.min.replace(tzinfo=UTC), datetime.fromtimestamp(0, UTC)
SPANS = {
    KNOWN_FROM: "bigint",
    KNOWN_UNTIL: "bigint",
    HELD_FROM: "timestamptz",
    HELD_UNTIL: "timestamptz",
}
PACKED: dict[str, packing.Pack] = {"uuid": packing.uuids, "text": packing.texts}


class NoSuchRow(Exception):
    """A read model was told to change a row that it does not have."""


class Present(NamedTuple, Generic[R]):
    """What is there under a key; ``row`` is None if nothing is, since the fact of then."""

    row: R | None
    known_from: int
    held_from: datetime


NOBODY: Touched[Any] = []
NOTHING: Present[Any] = Present(None, 0, EVER)


class Version(Generic[R]):
    """A row of the past. One of its spans is None where it stands in the other line alone.
    ``place``: where it is stored; None: it is not yet."""

    __slots__ = ("changed", "held", "known", "place", "row")

    def __init__(
        self,
        row: R,
        known: tuple[int, int] | None,
        held: tuple[datetime, datetime] | None,
        place: str | None = None,
    ) -> None:
        self.row, self.place, self.changed = row, place, False
        self.known = known if known and known[0] < known[1] else None
        self.held = held if held and held[0] < held[1] else None

    @property
    def spans(self) -> tuple[Any, ...]:
        return (*(self.known or (None, None)), *(self.held or (None, None)))


class Rows(Generic[R]):
    """Of one table. Nobody else writes it, so what was fetched stays for the next batch."""

    def __init__(self, table: Table[R], beside: str = "", kept: int = KEPT_ROWS) -> None:
        self.table, self._kept = table, kept
        self._stored: dict[Key, Present[R]] = {}
        self._now: dict[Key, Present[R]] = {}  # what this batch made of it
        self._past: dict[Key, list[Version[R]]] = {}  # made by this batch, or loaded to be changed
        self._loaded: dict[Key, datetime] = {}  # all that held after this is among them
        self._reach: dict[int, datetime] = {}  # by block of positions, as far as is known here
        self._further: dict[int, datetime] = {}  # of it, what is not stored yet
        self._by_key = any(
            isinstance(h, Changing) for handlers in table.handlers.values() for h in handlers
        )
        self.grows = not self._by_key and "position" in table.key  # a new one each time
        self._bare = table.columns == table.key  # one that is made again is the one that is there
        self._types = [table.types[column] for column in table.columns]
        self._packs, self._key_packs = self._packed(table.columns), self._packed(table.key)
        names, key = ", ".join(table.columns), ", ".join(table.key)
        present, spans = f"{names}, {KNOWN_FROM}, {HELD_FROM}", ", ".join(SPANS)
        past, keys = f"{beside}{PAST}.{table.name}", self._arrays(table.key)
        changes = ", ".join(
            f"{column} = excluded.{column}"
            for column in (*table.columns, KNOWN_FROM, HELD_FROM)
            if column not in table.key
        )
        among = f"({key}) IN (SELECT * FROM unnest({keys}))"
        self._copy = f"COPY {table.name} ({present}) FROM STDIN (FORMAT BINARY)"
        self._copy_past = f"COPY {past} ({names}, {spans}) FROM STDIN (FORMAT BINARY)"
        self._select = f"SELECT {present} FROM {table.name} WHERE"
        self._select_keys = f"{self._select} {among}"
        self._select_gone = (
            f"SELECT {key}, {HELD_UNTIL} FROM unnest({keys}) AS asked ({key})"
            f" CROSS JOIN LATERAL (SELECT {HELD_UNTIL} FROM {past} p"
            f" WHERE {' AND '.join(f'p.{c} = asked.{c}' for c in table.key)}"
            f" AND {HELD_UNTIL} IS NOT NULL ORDER BY {HELD_UNTIL} DESC LIMIT 1) newest"
        )
        self._select_past = (
            f"SELECT p.ctid::text, {', '.join(f'p.{c}' for c in (*table.columns, *SPANS))}"
            f" FROM unnest({keys}, %b::timestamptz[], %b::timestamptz[])"
            f" AS asked ({key}, since, before) JOIN {past} p USING ({key})"
            f" WHERE p.{HELD_UNTIL} > asked.since"
            f" AND (asked.before IS NULL OR p.{HELD_UNTIL} <= asked.before)"
        )
        self._select_keys_of = f"SELECT DISTINCT {key} FROM {past} WHERE {HELD_UNTIL} > %b AND"
        self._delete = f"DELETE FROM {table.name} WHERE {among}"
        self._delete_past = f"DELETE FROM {past} WHERE ctid = ANY(%b::text[]::tid[])"
        self._upsert = (
            f"INSERT INTO {table.name} ({present}) SELECT * FROM"
            f" unnest({self._arrays(table.columns)}, %b::bigint[], %b::timestamptz[])"
            f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
        )
        self._reach_further = (
            f"INSERT INTO {past}_reach SELECT * FROM unnest(%b::bigint[], %b::timestamptz[])"
            " AS further (block, since) ORDER BY block ON CONFLICT (block) DO UPDATE"
            f" SET since = least({table.reach}.since, excluded.since)"
        )
        take = "DELETE FROM {} WHERE {{}} RETURNING {}, {}"
        self._take = take.format(
            table.name, names, f"{KNOWN_FROM}, NULL::bigint, {HELD_FROM}, NULL::timestamptz"
        )
        self._take_past = take.format(past, names, spans)

    def forget(self) -> None:
        self._stored, self._reach, self._further = {}, {}, {}
        self._begin()

    def touched(self, handler: Handler[R], entry: Entry[Event]) -> Touched[R]:
        """Keys that the entry is about, and the rows that it starts; none of ``ChangingEach``,
        which have to be looked for. NOBODY: it is about nothing here."""
        if isinstance(handler, Starting):
            rows = handler.start(entry)
            return [(self.table.key_of(row), row) for row in rows] if rows else NOBODY
        if isinstance(handler, Changing):
            key = handler.key(entry)
            return ((key, None),) if key else NOBODY
        return ()

    def fetch(self, asked: Sequence[tuple[Key, datetime]], cur: Cursor) -> None:
        """What is there under these keys, and of those about which a fact is told late, from when
        on the rows that held since."""
        if len(self._stored) > self._kept or not self._by_key:
            self._stored = {}
        self._fetch({key for key, _ in asked if key not in self._stored}, cur)
        if self.table.keeps_past:
            late: dict[Key, datetime] = {}
            for key, at in asked:
                if at < self._stored[key].held_from:
                    late[key] = min(at, late.get(key, at))
            self._load(late, cur)

    def fold(
        self,
        handler: Handler[R],
        entry: Entry[Event],
        at: datetime,
        touched: Touched[R],
        cur: Cursor,
    ) -> None:
        """``at``: when the fact happened. Raises NoSuchRow: the history says something that this
        read model believes cannot be."""
        position = entry.position or 0
        if self.table.defines:
            at = EPOCH
        if isinstance(handler, Starting):
            for key, row in touched:
                if self.grows:
                    self._now[key] = Present(row, position, at)
                else:
                    self._apply(key, lambda _, row=row: row, position, at, cur, again=True)  # type: ignore[misc]
        elif isinstance(handler, Changing):
            for key, _ in touched:
                self._change(key, handler, entry, at, cur)
        else:
            self._change_each(handler, entry, at, cur)

    def write_reach(self, cur: Cursor) -> None:
        """Once all tables are written: those who build other parts wait for a block of it."""
        if self._further:
            cur.execute(self._reach_further, _columns(self._further.items()))
            self._further = {}

    def write(self, cur: Cursor) -> None:
        gone = [key for key, now in self._now.items() if now.row is None]
        made = {
            key: (*self.table.values_of(now.row), now.known_from, now.held_from)
            for key, now in self._now.items()
            if now.row is not None
        }
        assert not (gone and self.table.stays), f"{self.table.name} says that its rows stay"
        if self.table.in_pages:
            for now in self._now.values():
                if now.row is not None:
                    self._held(now.row, now.held_from)
        if gone:
            cur.execute(self._delete, _columns(gone, self._key_packs))
        if self.grows:
            there = {key: made.pop(key) for key in made.keys() & self._stored.keys()}
            self._copied(self._copy, made.values(), (KNOWN_FROM, HELD_FROM), cur)
            made = there
        if made:
            cur.execute(self._upsert, _columns(made.values(), self._packs))
        versions = [version for line in self._past.values() for version in line]
        if replaced := [v.place for v in versions if v.place and v.changed]:
            cur.execute(self._delete_past, (replaced,))
        made_past = [v for v in versions if v.changed or not v.place]
        if self.table.in_pages:
            for version in made_past:
                if version.held:
                    self._held(version.row, version.held[0])
        self._copied_past(made_past, cur)
        self._stored |= self._now
        if self.grows:  # nobody asks for one of them again
            self._stored = {}
        self._begin()

    def _held(self, row: Any, since: datetime) -> None:
        block = row.position // BLOCK
        if (before := self._reach.get(block)) is None or since < before:
            self._reach[block] = self._further[block] = since

    def _begin(self) -> None:
        self._now, self._past, self._loaded = {}, {}, {}

    def _change(
        self, key: Key, handler: Changing[R], entry: Entry[Event], at: datetime, cur: Cursor
    ) -> None:
        start, change = handler.start, handler.change
        if self._present(key).row is None and not start:
            raise NoSuchRow(f"table {self.table.name} has no row for the entry at {entry.position}")
        if handler.forgets:
            where = " AND ".join(f"{column} = %b" for column in self.table.key)
            self._forget(handler, entry, where, key, cur)
            return

        def make(row: R | None) -> R | None:
            before = start(entry) if row is None and start else row
            return None if before is None else change(before, entry)

        self._apply(key, make, entry.position or 0, at, cur)

    def _change_each(
        self, handler: ChangingEach[R], entry: Entry[Event], at: datetime, cur: Cursor
    ) -> None:
        self.write(cur)
        column, value = handler.column, handler.value(entry)
        if handler.forgets:
            self._forget(handler, entry, f"{column} = %b", (value,), cur)
            return
        keys = self._keep(cur.execute(f"{self._select} {column} = %b", (value,), binary=True))
        if self.table.keeps_past:
            had = cur.execute(f"{self._select_keys_of} {column} = %b", (at, value), binary=True)
            keys += sorted({key for key in had if key not in keys}, key=str)
            self._fetch({key for key in keys if key not in self._stored}, cur)

        def make(row: R | None) -> R | None:
            return (
                row if row is None or getattr(row, column) != value else handler.change(row, entry)
            )

        for key in keys:
            self._apply(key, make, entry.position or 0, at, cur)

    def _present(self, key: Key) -> Present[R]:
        return self._now.get(key) or self._stored.get(key) or NOTHING

    def _apply(
        self,
        key: Key,
        make: Make[R],
        position: int,
        at: datetime,
        cur: Cursor,
        *,
        again: bool = False,
    ) -> None:
        """``again``: what it makes is new, also if it is the same."""
        before = self._present(key)
        after = make(before.row)
        is_new = (again and not self._bare) or after != before.row
        if not self.table.keeps_past:
            if is_new:
                self._now[key] = Present(after, 0, EPOCH)
            return
        since = before.held_from
        late = at < since
        if late:
            self._rewrite(key, make, at, since, cur)
        if is_new:
            if before.row is not None:
                held = None if late else (since, at)
                version = Version(before.row, (before.known_from, position), held)
                self._past.setdefault(key, []).append(version)
            self._now[key] = Present(after, position, since if late else at)
        if after is None and at <= since:  # else it is gone since ``at``, as is stored
            self.write(cur)
            self._fetch_again({key}, cur)

    def _rewrite(
        self, key: Key, make: Make[R], since: datetime, until: datetime, cur: Cursor
    ) -> None:
        """What held in this time is what the fact makes of it."""
        self._load({key: since}, cur)
        line = self._past.setdefault(key, [])
        reached, made = since, []

        def held(row: R | None, span: tuple[datetime, datetime]) -> None:
            if row is not None and span[0] < span[1]:
                made.append(Version(row, None, span))

        for version in sorted(
            (v for v in line if v.held and v.held[1] > since), key=lambda v: v.held or (EVER, EVER)
        ):
            assert version.held
            begin, end = max(version.held[0], since), version.held[1]
            if reached < begin:
                held(make(None), (reached, begin))
            if (after := make(version.row)) != version.row:
                before = (version.held[0], begin)
                version.held, version.changed = before if before[0] < begin else None, True
                held(after, (begin, end))
            reached = end
        if reached < until:
            held(make(None), (reached, until))
        line += made

    def _forget(
        self,
        handler: Changing[R] | ChangingEach[R],
        entry: Entry[Event],
        where: str,
        values: tuple[Any, ...],
        cur: Cursor,
    ) -> None:
        """The rows are what ``handler`` makes of them, and were in the past what it makes of what
        they were. Those that differed only in what is forgotten are one, as they are when they are
        built anew."""
        self.write(cur)
        takes = (self._take_past, self._take)[not self.table.keeps_past :]
        known: dict[Key, list[tuple[Any, Any, R]]] = {}
        held: dict[Key, list[tuple[Any, Any, R]]] = {}
        touched: set[Key] = set()
        for take in takes:
            for *columns, known_from, known_until, held_from, held_until in cur.execute(
                take.format(where), values, binary=True
            ).fetchall():
                row = self._row(columns)
                key = self.table.key_of(row)
                touched.add(key)
                if (after := handler.change(row, entry)) is None:
                    assert not self.table.stays, f"{self.table.name} says that its rows stay"
                    continue
                if known_from is not None:
                    known.setdefault(key, []).append((known_from, known_until, after))
                if held_from is not None:
                    held.setdefault(key, []).append((held_from, held_until, after))
        present, past = [], []
        for key in known.keys() | held.keys():
            by_position, by_time = _joined(known.get(key, [])), _joined(held.get(key, []))
            if by_position and by_position[-1][1] is None:
                (known_from, _, row), (held_from, _, _) = by_position.pop(), by_time.pop()
                present.append((*self.table.values_of(row), known_from, held_from))
            past += [Version(row, (begin, end), None) for begin, end, row in by_position]
            past += [Version(row, None, (begin, end)) for begin, end, row in by_time]
        self._copied(self._copy, present, (KNOWN_FROM, HELD_FROM), cur)
        self._copied_past(past, cur)
        self._fetch_again(touched, cur)

    def _load(self, since: dict[Key, datetime], cur: Cursor) -> None:
        """Rows of the past that held after that, of each key."""
        asked = []
        for key, at in since.items():
            loaded = self._loaded.get(key)
            if loaded is None or at < loaded:
                asked.append((*key, at, loaded))
                self._loaded[key] = at
        if not asked:
            return
        for place, *values in cur.execute(
            self._select_past, _columns(asked, self._key_packs), binary=True
        ).fetchall():
            row, spans = self._row(values[: -len(SPANS)]), values[-len(SPANS) :]
            known = None if spans[0] is None else (spans[0], spans[1])
            version = Version(row, known, (spans[2], spans[3]), place)
            self._past.setdefault(self.table.key_of(row), []).append(version)

    def _copied_past(self, versions: Sequence[Version[R]], cur: Cursor) -> None:
        rows = [(*self.table.values_of(v.row), *v.spans) for v in versions if v.known or v.held]
        self._copied(self._copy_past, rows, tuple(SPANS), cur)

    def _copied(
        self, copying: str, rows: Collection[tuple[Any, ...]], spans: Sequence[str], cur: Cursor
    ) -> None:
        if not rows:
            return
        with cur.copy(copying) as copy:
            copy.set_types([*self._types, *(SPANS[name] for name in spans)])
            for row in rows:
                copy.write_row(row)

    def _fetch_again(self, keys: set[Key], cur: Cursor) -> None:
        """What is there is what one finds who begins here: since when a key has nothing is told by
        the rows that held before, and these have changed."""
        for key in keys:
            self._stored.pop(key, None)
        self._fetch(keys, cur)

    def _fetch(self, missing: set[Key], cur: Cursor) -> None:
        if not missing:
            return
        keys = list(missing)
        found = set(
            self._keep(cur.execute(self._select_keys, _columns(keys, self._key_packs), binary=True))
        )
        gone = [key for key in keys if key not in found]
        self._stored |= dict.fromkeys(gone, NOTHING)
        if gone and self.table.keeps_past and not self.table.stays:
            for *key, at in cur.execute(
                self._select_gone, _columns(gone, self._key_packs), binary=True
            ):
                self._stored[tuple(key)] = Present(None, 0, at)

    def _keep(self, cur: Cursor) -> list[Key]:
        keys = []
        for *values, known_from, held_from in cur:
            row = self._row(values)
            keys.append(key := self.table.key_of(row))
            self._stored[key] = Present(row, known_from, held_from)
        return keys

    def _row(self, values: Sequence[Any]) -> R:
        return self.table.row(**dict(zip(self.table.columns, values, strict=True)))

    def _packed(self, columns: Iterable[str]) -> list[packing.Pack | type[list[Any]]]:
        table = self.table
        return [list if c in table.nullable else PACKED.get(table.types[c], list) for c in columns]

    def _arrays(self, columns: Iterable[str]) -> str:
        return ", ".join(f"%b::{self.table.types[column]}[]" for column in columns)


def _joined(line: list[tuple[Any, Any, R]]) -> list[tuple[Any, Any, R]]:
    """In order, those that are the same and follow each other as one."""
    joined: list[tuple[Any, Any, R]] = []
    for begin, end, row in sorted(line, key=lambda each: each[0]):
        if joined and joined[-1][1] == begin and joined[-1][2] == row:
            begin = joined.pop()[0]
        joined.append((begin, end, row))
    return joined


def _columns(
    rows: Iterable[tuple[Any, ...]], packs: Iterable[packing.Pack | type[list[Any]]] = ()
) -> list[Any]:
    """An array of each, of which those that there is no pack for are made by psycopg."""
    packs = chain(packs, repeat(list))
    return [pack(column) for column, pack in zip(zip(*rows, strict=True), packs, strict=False)]
