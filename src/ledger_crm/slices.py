"""Slices of the ledger, for whoever reads much of it and writes nothing: replay, export, archive.

Over one connection that cannot write. What is sealed is opened for whoever brings the deployment's
key; without it the ledger is read all the same, and sealed fields read as ``UNOPENED``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import tuple_row

from .domain import EVENTS
from .domain.entry import CLOCKS_DIFFER, UNOPENED, Entry, Event
from .sealing import DataKey, Keyring, WrongKey
from .store import WITHOUT_WHOLE_TABLES, EntryMapper, Row, Stored, Told, Undecodable, decode_stored

PAGE = 2_000  # entries in memory at once
EVERYWHERE = 2**62  # a position beyond all
LOOKED_AT = 50_000  # positions that one query looks through, however rare what is wanted


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; nothing set: all that are there when it is begun.

    after, upto   positions: entries after the one, and up to the other
    since, until  when they were written down: from the one on, and before the other
    """

    kinds: tuple[str, ...] | None = None
    streams: tuple[UUID, ...] | None = None
    after: int = 0
    upto: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def whole(self) -> bool:
        """Whether it begins with the first entry, and leaves none out."""
        return not (self.after or self.since or self.streams is not None)


class Part(NamedTuple):
    """Which of several that share the streams among them: ``number`` from 0."""

    number: int = 0
    of: int = 1


ALL = Part()


class Page(NamedTuple):
    """entries   what can be folded
    told      the same, as whoever follows the ledger is told of it
    position  whatever is wanted up to there has been read
    """

    entries: list[Entry[Event]]
    told: list[Told]
    position: int


class Around(NamedTuple):
    """Everything up to ``first`` was written before a moment, and nothing after ``last``."""

    first: int
    last: int


class Slices:
    """Reads the ledger at ``url``, with a keyring opened. Raises psycopg.Error as it comes."""

    def __init__(self, url: str, keyring: Keyring | None = None) -> None:
        self.keyring = keyring
        self._found: dict[tuple[datetime, int], Around] = {}
        self.conn = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=5,
            row_factory=tuple_row,
            options=f"-c default_transaction_read_only=on {WITHOUT_WHOLE_TABLES}",
        )

    def close(self) -> None:
        self.conn.close()

    def __enter__(self) -> Slices:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_key(self) -> None:
        """Raises WrongKey if the deployment's key is not that of this database."""
        kept = self._select("SELECT key_check FROM ledger.deployment")
        if (
            self.keyring
            and kept
            and bytes(kept[0][0]) != self.keyring.hash_of("deployment", "check")
        ):
            raise WrongKey("the sealing key is not the one this database was sealed with")

    def head(self) -> int:
        [(head,)] = self._select("SELECT position FROM ledger.head")
        return int(head)

    def mark(self, position: int) -> str:
        """A hash of the entry there; "": there is none. In a ledger that was restored from an older
        backup, and has grown since, it is another: whoever goes on by position looks at it."""
        rows, _ = self.rows(Slice(), after=position - 1, upto=position)
        if not rows:
            return ""
        [row] = rows
        ids = f"{row.id} {row.originator_id} {row.originator_version} {row.topic}\n"
        return hashlib.sha256(ids.encode() + row.state).hexdigest()

    def bounds(self, wanted: Slice) -> tuple[int, int]:
        """After which position, and up to which, it lies; clocks of processes differ, so it is a
        little wider where it is asked for by moments."""
        head = self.head()
        upto = head if wanted.upto is None else min(wanted.upto, head)
        if wanted.until:
            upto = min(upto, self._around(wanted.until, wanted.after).last)
        after = min(wanted.after, upto)
        if wanted.since:
            after = min(self._around(wanted.since, wanted.after).first, upto)
        return after, upto

    def pages(
        self, wanted: Slice, *, after: int, upto: int, part: Part = ALL, page: int = PAGE
    ) -> Iterator[Page]:
        """In ledger order; some may be empty, and tell how far it got. Raises Undecodable."""
        while after < upto:
            rows, after = self.rows(wanted, after=after, upto=upto, part=part, limit=page)
            yield Page(*self._opened(rows, wanted), after)

    def rows(
        self, wanted: Slice, *, after: int, upto: int, part: Part = ALL, limit: int = PAGE
    ) -> tuple[list[Row], int]:
        """As stored, and up to where that is all; not looked at by when they were written."""
        end = min(upto, after + LOOKED_AT)
        only, values = "", list[Any]((after, end))
        if wanted.kinds is not None:
            only, values = f"{only} AND topic = ANY(%s)", [*values, list(wanted.kinds)]
        if wanted.streams is not None:
            only, values = f"{only} AND originator_id = ANY(%s)", [*values, list(wanted.streams)]
        if part.of > 1:
            only = f"{only} AND (uuid_hash(originator_id)::bigint & 1073741823) %% %s = %s"
            values += [part.of, part.number]
        found = self._select(
            "SELECT originator_id, originator_version, topic, state, notification_id"
            f" FROM ledger.entries WHERE notification_id > %s AND notification_id <= %s{only}"
            " ORDER BY notification_id LIMIT %s",
            [*values, limit],
        )
        rows = [Row(*row) for row in found]
        return rows, rows[-1].id if len(rows) == limit else end

    def destroyed(self) -> int:
        """How many data keys have been destroyed so far."""
        [(count,)] = self._select(
            "SELECT count(*) FROM ledger.data_keys WHERE destroyed_at IS NOT NULL"
        )
        return int(count)

    def _opened(self, rows: Sequence[Row], wanted: Slice) -> tuple[list[Entry[Event]], list[Told]]:
        documents = [(row, _document(row)) for row in rows]
        if wanted.since or wanted.until:
            documents = [(r, doc) for r, doc in documents if self._is_within(r, doc, wanted)]
        keys = self._keys_of(documents)
        opened = EntryMapper(self.keyring, keys)
        shut = EntryMapper(None, {}, shut=UNOPENED)
        entries = [
            (opened if self.keyring and not _stays_sealed(row) else shut).opened(row, document)
            for row, document in documents
        ]
        return entries, [opened.told(row, document) for row, document in documents]

    def _keys_of(self, documents: Sequence[tuple[Row, Stored]]) -> dict[UUID, DataKey | None]:
        sealed = {row.originator_id for row, document in documents if document.sealed}
        if not self.keyring or not sealed:
            return {}
        found = self._select(
            "SELECT stream_id, wrapped FROM ledger.data_keys WHERE stream_id = ANY(%s)",
            (list(sealed),),
        )
        return {id: self.keyring.unwrap(wrapped) if wrapped else None for id, wrapped in found}

    def _is_within(self, row: Row, document: Stored, wanted: Slice) -> bool:
        def is_before(moment: datetime) -> bool:
            """So that of two slices, up to a moment and from then on, each entry is in one: by when
            it was written, but by its position where no clock differs so much from the others'."""
            first, last = self._around(moment, wanted.after)
            return row.id <= first or (row.id <= last and document.timestamp < moment)

        return not (wanted.since and is_before(wanted.since)) and (
            wanted.until is None or is_before(wanted.until)
        )

    def _around(self, moment: datetime, after: int) -> Around:
        if (moment, after) not in self._found:
            first, last = after, EVERYWHERE
            with suppress(OverflowError):  # nothing is before it
                first = self._before(moment - CLOCKS_DIFFER, after)
            with suppress(OverflowError):  # or after it
                last = self._before(moment + CLOCKS_DIFFER, after)
            self._found[moment, after] = Around(first, max(first, last))
        return self._found[moment, after]

    def _before(self, moment: datetime, after: int) -> int:
        """A position up to which entries were written before a moment. Looked for by the same
        halves, whatever a slice ends with, or one might not fit the other."""
        low, high, head = after, EVERYWHERE, self.head()
        while high - low > 1:
            middle = (low + high) // 2
            if middle > head:
                high = middle
                continue
            [row] = self.rows(Slice(), after=middle - 1, upto=middle)[0]
            if _document(row).timestamp < moment:
                low = middle
            else:
                high = middle
        return low

    def _select(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.conn.execute(sql.encode(), values, binary=True).fetchall()


def _document(row: Row) -> Stored:
    try:
        return decode_stored(row.state)
    except msgspec.MsgspecError as fault:
        assert isinstance(row.originator_id, UUID), "our streams have no other ids"
        raise Undecodable(
            row.topic, row.id, row.originator_id, row.originator_version, type(fault).__name__
        ) from None


def _stays_sealed(row: Row) -> bool:
    """What is kept to be compared or counted is opened to nobody who reads the ledger."""
    return bool(row.topic in EVENTS and EVENTS[row.topic].stays_sealed)
