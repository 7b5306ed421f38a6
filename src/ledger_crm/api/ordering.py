"""What every list can be asked besides its filters: which fields, in which order, and how many
there are in all (docs/reading.md).

One in pages has an order of its own, by which the database finds a page without looking at the
rest. For another one, and to count, the whole list is read, as its caller may see it, so only up to
``MOST``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from enum import Enum
from functools import cache
from operator import itemgetter
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

import msgspec
from litestar.params import QueryParameter
from msgspec import inspect

from ledger_crm.projections import plain

from .problems import Fault, Malformed

MOST = 10_000
TURN = 200  # items, at once
TEXT = 64  # signs of a text by which it is sorted: a cursor holds them
LISTED = ("fields", "sort", "count")
TOTAL = "Total-Count"
SINGLE = (
    *(inspect.NoneType, inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType),
    *(inspect.DateType, inspect.DateTimeType, inspect.UUIDType),
    *(inspect.EnumType, inspect.LiteralType),
)

Fields = Annotated[
    str | None,
    QueryParameter(
        max_length=1_000,
        description="Only these fields of each item, with commas between, in this order.",
    ),
]
Sort = Annotated[
    str | None,
    QueryParameter(
        max_length=100,
        description="By this field of the items; `-` before it: the greatest first. Whose is null"
        f" comes last; texts by their first {TEXT} signs. Of lists of up to {MOST:,} items.",
    ),
]
Count = Annotated[
    bool,
    QueryParameter(description=f"Tell in `{TOTAL}` how many there are, up to {MOST:,}."),
]

T = TypeVar("T")
R = TypeVar("R")
Rank: TypeAlias = str | float | int | None
Ranked: TypeAlias = tuple[Rank, T]


class Order(NamedTuple):
    field: str
    down: bool


def order_of(sort: str | None, item: Any) -> Order | None:
    """Raises Malformed."""
    if not sort:
        return None
    order = Order(sort.removeprefix("-"), sort.startswith("-"))
    if order.field not in _names_of(item):
        can = [name for name in _names_of(item) if name in sortable(item)]
        raise Malformed(faults=[Fault("query:sort", _one_of(can))])
    if order.field not in sortable(item):
        raise Malformed(faults=[Fault("query:sort", "this field is no single value")])
    return order


def fields_of(asked: str | None, item: Any) -> list[str]:
    """All, if none are asked for. Raises Malformed."""
    known = _names_of(item)
    if asked is None:
        return [*known]
    chosen = list(dict.fromkeys(each.strip() for each in asked.split(",")))
    if not set(chosen) <= set(known):
        raise Malformed(faults=[Fault("query:fields", _one_of(known))])
    return chosen


@cache
def _names_of(item: Any) -> tuple[str, ...]:
    return tuple(each.encode_name for each in msgspec.structs.fields(item))


def _one_of(names: Iterable[str]) -> str:
    return f"expected some of {', '.join(names)}"


@cache
def sortable(item: Any) -> frozenset[str]:
    """Fields that are a single value, or none, by what they are declared as."""
    declared: Any = inspect.type_info(item)
    return frozenset(
        each.encode_name for each in declared.fields if all(map(_is_single, _kinds(each.type)))
    )


def _kinds(declared: Any) -> Iterator[Any]:
    match declared:
        case inspect.Metadata():
            yield from _kinds(declared.type)
        case inspect.UnionType():
            for each in declared.types:
                yield from _kinds(each)
        case _:
            yield declared


def _is_single(kind: Any) -> bool:
    return isinstance(kind, SINGLE)


async def in_turns(work: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
    """Others are served meanwhile: of ten thousand at once, they would wait for all."""
    done: list[R] = []
    for n in range(0, len(items), TURN):
        done += work(items[n : n + TURN])
        await asyncio.sleep(0)
    return done


def sorted_by(ranked: Sequence[Ranked[T]], order: Order) -> list[Ranked[T]]:
    """Equals stay in the list's own order."""
    known = [each for each in ranked if each[0] is not None]
    rest = [each for each in ranked if each[0] is None]
    return [*sorted(known, key=itemgetter(0), reverse=order.down), *rest]


def after(
    ranked: Sequence[Ranked[T]], order: Order, rank: Rank, later: Callable[[T], bool]
) -> Sequence[Ranked[T]]:
    """What follows an item that had this rank, wherever that is now. ``later``: whether one comes
    after it in the list's own order, as equals do."""
    for n, (now, item) in enumerate(ranked):
        if _is_beyond(now, rank, order) or (now == rank and later(item)):
            return ranked[n:]
    return ()


def _is_beyond(now: Any, rank: Any, order: Order) -> bool:
    if now is None or rank is None:
        return rank is not None
    return bool(now < rank if order.down else now > rank)


def rank_of(value: Any) -> Rank:
    """Of one kind for a field, short, and the same when it was carried by a client."""
    match value:
        case None:
            return None
        case Enum(value=word):
            return rank_of(str(word))
        case str():
            return plain(value[:TEXT])[:TEXT]
        case bool():
            return int(value)
        case int() | float():
            return value
        case datetime():
            return value.timestamp()
        case date():
            return value.toordinal()
    return str(value)  # an id
