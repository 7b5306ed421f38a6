"""Questions of which many are answered by one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from ledger_crm import packing

from ._projection import Cursor, Projection

P = ParamSpec("P")
T = TypeVar("T")
PACKED: dict[str, packing.Pack] = {
    "uuid": packing.uuids, "text": packing.texts, "bigint": packing.longs
}  # fmt: skip


class Lookup(Generic[P, T]):
    """A question about one record, asked of many at once. The database says how far the read
    models have got and makes the answers in the same statement, so on one snapshot; each is JSON,
    and null where there is nothing.

    projection  whose question it is
    answers     the shape of an answer
    sql         gives it, from the columns of ``asked``
    asking      makes those columns of what a caller gives
    columns     their names and types
    at_once     so many in one statement
    unless      a condition on ``asked`` under which ``sql`` is needed; else ``short`` says the
                same, for less: what few need is not in the statements of all
    """

    def __init__(
        self,
        projection: Projection,
        answers: Any,
        sql: str,
        asking: Callable[P, tuple[Any, ...]],
        columns: dict[str, str],
        at_once: int,
        *,
        short: str = "",
        unless: str = "false",
    ) -> None:
        self.projection, self.asking, self.at_once = projection, asking, at_once
        self._decode = msgspec.json.Decoder(answers | None).decode
        self._types = tuple(columns.values())
        arrays = ", ".join(f"%s::{type_}[]" for type_ in columns.values())
        names = ", ".join(f'"{name}"' for name in columns)

        def answers_of(sql: str, unless: str) -> str:
            return (
                f"SELECT stands.at, stands.as_of, ({sql})::text, {unless} FROM unnest({arrays})"
                f" WITH ORDINALITY AS asked ({names}, nth) CROSS JOIN stands ORDER BY asked.nth"
            )

        self._statements = [answers_of(sql, "false")]
        if short:
            self._statements.insert(0, answers_of(short, unless))

    async def many(
        self,
        cur: Cursor,
        asked: Sequence[tuple[Any, ...]],
        stands: str,
        given: Sequence[object] = (),
        home: str = "",
    ) -> tuple[int, str | None, list[T | None]]:
        """What ``stands`` says, a query that takes what is ``given``: how far the read models have
        got, and as of when is looked, which it sees to; and the answers in the order of ``asked``,
        each as ``asking`` made it. For this to be one snapshot none may be taken before: a table
        that is made anew meanwhile would look empty. ``home``: the views that the cursor looks
        through; what was planned for some is not planned anew for others. Raises one of
        ``NOT_BUILT``."""
        columns = [*map(_column, self._types, zip(*asked, strict=True))]
        for answers in self._statements:  # each says for itself how far they have got
            # what it gives is there before anything is answered: answers are made of its row,
            # which whoever plans does not know to be one
            begin = f"/* {home} */ WITH stands (at, as_of) AS MATERIALIZED ({stands} LIMIT 1)"
            await cur.execute(f"{begin} {answers}".encode(), [*given, *columns], prepare=True)
            found = await cur.fetchall()
            if not any(needs_more for *_, needs_more in found):
                break
        at, as_of, *_ = found[0]
        return at, as_of, [text and self._decode(text) for _, _, text, _ in found]

    async def __call__(self, cur: Cursor, *args: P.args, **kwargs: P.kwargs) -> T | None:
        _, _, [found] = await self.many(cur, [self.asking(*args, **kwargs)], "SELECT 0, NULL")
        return found


def _column(type_: str, values: Sequence[Any]) -> packing.Packed | list[Any]:
    if type_ in PACKED and None not in values:
        return PACKED[type_](values)
    return list(values)
