"""Questions of which many are answered by one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from ._projection import Cursor, Projection

P = ParamSpec("P")
T = TypeVar("T")


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
        arrays = ", ".join(f"%s::{type_}[]" for type_ in columns.values())
        names = ", ".join(f'"{name}"' for name in columns)

        def answers_of(sql: str, unless: str) -> str:
            return (
                f"SELECT stands.at, ({sql})::text, {unless} FROM unnest({arrays}) WITH ORDINALITY"
                f" AS asked ({names}, nth) CROSS JOIN stands ORDER BY asked.nth"
            )

        self._statements = [answers_of(sql, "false")]
        if short:
            self._statements.insert(0, answers_of(short, unless))

    async def many(
        self, cur: Cursor, asked: Sequence[tuple[Any, ...]], stands: str, home: str = ""
    ) -> tuple[int, list[T | None]]:
        """What ``stands``, a query, says of how far the read models have got; and the answers in
        the order of ``asked``, each as ``asking`` made it. For this to be one snapshot none may be
        taken before: a table that is made anew meanwhile would look empty. ``home``: the views that
        the cursor looks through; what was planned for some is not planned anew for others. Raises
        one of ``NOT_BUILT``."""
        columns = [list(column) for column in zip(*asked, strict=True)]
        for answers in self._statements:  # each says for itself how far they have got
            statement = f"/* {home} */ WITH stands (at) AS MATERIALIZED ({stands}) {answers}"
            await cur.execute(statement.encode(), columns, prepare=True)
            found = await cur.fetchall()
            if not any(needs_more for _, _, needs_more in found):
                break
        return found[0][0], [text and self._decode(text) for _, text, _ in found]

    async def __call__(self, cur: Cursor, *args: P.args, **kwargs: P.kwargs) -> T | None:
        _, [found] = await self.many(cur, [self.asking(*args, **kwargs)], "SELECT 0")
        return found
