"""Packing: arrays as the database takes them, each made for all of its values at once; and JSON as
it gives it, read by msgspec.

psycopg looks at each value of an array for itself, which takes as long as all else that an append
or a lookup costs here, and reads JSON as slowly as Python does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct, pack
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types.json import set_json_loads


class Packed(bytes):
    """An array as the database takes it."""


class _AsItIs(Dumper):
    format = Format.BINARY  # and of the type that the statement says

    def dump(self, obj: Packed) -> Packed:
        return obj


Pack = Callable[[Sequence[Any]], Packed]
"""Of one value at least, none of which is None; integers are not negative."""

psycopg.adapters.register_dumper(Packed, _AsItIs)
set_json_loads(msgspec.json.decode)
_length = Struct(">i").pack
_array = Struct(">iiIii").pack  # dimensions, nulls, type of what is in it, how many, from


def uuids(ids: Sequence[UUID]) -> Packed:
    return Packed(
        b"\0\0\0\x10".join([_array(1, 0, 2950, len(ids), 1), *[id.int.to_bytes(16) for id in ids]])
    )


def ints(values: Sequence[int]) -> Packed:
    n, first = len(values), values[0]
    if values.count(first) == n:  # as in a save that is written alone
        return Packed(_array(1, 0, 23, n, 1) + pack(">ii", 4, first) * n)
    sized = [each for value in values for each in (4, value)]
    return Packed(_array(1, 0, 23, n, 1) + pack(f">{2 * n}i", *sized))


def longs(values: Sequence[int]) -> Packed:
    begin = _array(1, 0, 20, len(values), 1)
    return Packed(b"\0\0\0\x08".join([begin, *[value.to_bytes(8) for value in values]]))


def flags(values: Sequence[bool]) -> Packed:
    said = b"".join([b"\0\0\0\1" + bytes([value]) for value in values])
    return Packed(_array(1, 0, 16, len(values), 1) + said)


def texts(texts: Sequence[str]) -> Packed:
    return raws([text.encode() for text in texts], type_=25)


def raws(values: Sequence[bytes], *, type_: int = 17) -> Packed:
    parts = [part for value in values for part in (_length(len(value)), value)]
    return Packed(b"".join([_array(1, 0, type_, len(values), 1), *parts]))
