"""What every list in pages can be asked besides its filters: which fields, in which order, and how
many there are in all (docs/reading.md).

A list has an order of its own, by which the database finds a page without looking at the rest. For
another one, and to count, the whole list is read, as its caller may see it, so only up to ``MOST``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import inspect

from ledger_crm.projections import plain

from .problems import Fault, Malformed, TooManyToSort

MOST = 10_000
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
        f" comes last. Of lists of up to {MOST:,} items.",
    ),
]
Count = Annotated[
    bool,
    QueryParameter(description=f"Tell in `{TOTAL}` how many there are, up to {MOST:,}."),
]

T = TypeVar("T")


class Order(NamedTuple):
    field: str
    down: bool


def order_of(sort: str | None, item: Any) -> Order | None:
    """Raises Malformed."""
    if not sort:
        return None
    order = Order(sort.removeprefix("-"), sort.startswith("-"))
    if order.field not in fields_of(None, item):
        raise Malformed(faults=[Fault("query:sort", expected(item))])
    if order.field not in sortable(item):
        raise Malformed(faults=[Fault("query:sort", "this field is no single value")])
    return order


def fields_of(asked: str | None, item: Any) -> list[str]:
    """All, if none are asked for. Raises Malformed."""
    known = [each.encode_name for each in msgspec.structs.fields(item)]
    if asked is None:
        return known
    chosen = list(dict.fromkeys(each.strip() for each in asked.split(",")))
    if not set(chosen) <= set(known):
        raise Malformed(faults=[Fault("query:fields", expected(item))])
    return chosen


def expected(item: Any) -> str:
    return f"expected some of {', '.join(fields_of(None, item))}"


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


def sorted_by(items: Sequence[T], order: Order) -> list[T]:
    """Equals stay in the list's own order. Raises Malformed, TooManyToSort."""
    if len(items) > MOST:
        raise TooManyToSort(most=MOST)
    known = [each for each in items if getattr(each, order.field) is not None]
    rest = [each for each in items if getattr(each, order.field) is None]
    return [*sorted(known, key=lambda each: _rank(each, order), reverse=order.down), *rest]


def after(items: Sequence[T], order: Order, place: Any, at: Callable[[Any], Any]) -> Sequence[T]:
    """``place``: of the last item of the page before, as ``place_of`` says. If that has gone, or
    is somewhere else now, what comes where it was."""
    rank, where = place
    for n, each in enumerate(items):
        if at(each) == where and _rank(each, order) == rank:
            return items[n + 1 :]
    for n, each in enumerate(items):
        now = _rank(each, order)
        if now is None or (rank is not None and (now <= rank if order.down else now >= rank)):
            return items[n:]
    return ()


def place_of(item: Any, order: Order, at: Callable[[Any], Any]) -> tuple[Any, Any]:
    return _rank(item, order), at(item)


def _rank(item: Any, order: Order) -> Any:
    """Of one kind for a field, and the same as JSON. Raises Malformed."""
    match getattr(item, order.field):
        case None:
            return None
        case Enum(value=value) | (str() as value):
            return plain(str(value))
        case bool() | int() | float() as value:
            return value
        case datetime() as value:
            return value.timestamp()
        case date() as value:
            return value.toordinal()
        case UUID() as value:
            return str(value)
    raise Malformed(faults=[Fault("query:sort", "this field is no single value")])


Rank = str | float | int | None
