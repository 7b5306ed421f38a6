"""Questions of which many are answered by one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from ._projection import Cursor, Projection
from ._standing import standing

P = ParamSpec("P")
T = TypeVar("T")


class Lookup(Generic[P, T]):
    """A question about one record, asked of many at once. The database says how far the read
    models have got and makes the answers in the same statement, so on one snapshot; each is JSON,
    and null where there is nothing.

    answers  the shape of one
    sql      gives it, from the columns of ``asked``
    asking   makes those columns of what a caller gives
    columns  their names and types
    uses     the read models that it reads
    """

    def __init__(
        self,
        answers: Any,
        sql: str,
        asking: Callable[P, tuple[Any, ...]],
        columns: dict[str, str],
        *uses: Projection,
    ) -> None:
        self.asking = asking
        self._decode = msgspec.json.Decoder(answers | None).decode
        arrays = ", ".join(f"%s::{type_}[]" for type_ in columns.values())
        names = ", ".join(f'"{name}"' for name in columns)
        self.statement = (
            f"WITH stands AS MATERIALIZED (SELECT CASE count(*) WHEN {len(uses)}"
            f" THEN min(position) ELSE -1 END AS at FROM ({standing(uses)}) each)"
            f" SELECT stands.at, ({sql})::text FROM unnest({arrays}) WITH ORDINALITY"
            f" AS asked ({names}, nth) CROSS JOIN stands ORDER BY asked.nth"
        ).encode()

    async def many(
        self, cur: Cursor, asked: Sequence[tuple[Any, ...]]
    ) -> tuple[int, list[T | None]]:
        """How far its read models have got, -1 if they may not be read; and the answers in the
        order of ``asked``, each as ``asking`` made it. It must not run on a snapshot that was
        taken before: a table that is made anew meanwhile would look empty. Raises one of
        ``NOT_BUILT``."""
        columns = [list(column) for column in zip(*asked, strict=True)]
        await cur.execute(self.statement, columns, prepare=True)
        found = await cur.fetchall()
        return found[0][0], [text and self._decode(text) for _, text in found]

    async def __call__(self, cur: Cursor, *args: P.args, **kwargs: P.kwargs) -> T | None:
        _, [found] = await self.many(cur, [self.asking(*args, **kwargs)])
        return found
