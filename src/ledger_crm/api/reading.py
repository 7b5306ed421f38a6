"""Reads: one query on one snapshot, at a position that the answer names.

Whoever just wrote passes the receipt's position as ``after`` and gets what they wrote, or is told
to try again; never something older without being told. Whoever passes none gets what there is; but
nothing while a read model is built, for half of one denies what is there (``projections``).
"""

from __future__ import annotations

import asyncio
import binascii
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import (
    Annotated,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_type_hints,
)
from uuid import UUID

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from psycopg_pool import AsyncConnectionPool

from ledger_crm.commands.selling import WrongPipeline
from ledger_crm.domain.entry import Instant
from ledger_crm.domain.pipeline import Subject
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger, NoSuchRecord
from ledger_crm.projections import NOT_BUILT, SCHEMA, Cursor, Projection, directory, positions

from .problems import AfterTheHead, Fault, Malformed, ReadModelBehind

P = ParamSpec("P")
T = TypeVar("T")
Id = TypeVar("Id", UUID, str)
Pool: TypeAlias = AsyncConnectionPool[Any]

PATIENCE_S = 2.0  # for a read model that is behind
POLL_S = 0.02

After = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=2**63 - 1,
        description="A position, as receipts name them. The answer holds at least everything up to"
        " there: it waits for that, at most 2 s, then 503.",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="At most so many.")]
Token = Annotated[
    str | None,
    QueryParameter(max_length=200, description="`next` of the page before this one."),
]


Position: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def position(item: Any) -> Position:
    """The place of an item in a list that is ordered by position."""
    return int(item.position)


def moment(item: Any) -> tuple[Instant, Position]:
    """The place of an item in a list that is ordered by the time of the fact."""
    return item.at, item.position


class Page(msgspec.Struct, Generic[T], frozen=True):
    """``next``: pass it as ``cursor`` to get what follows; null on the last page."""

    items: Sequence[T]
    next: str | None


def open_pool(url: str, *, most: int = 8) -> Pool:
    """Connections to the read models, to be opened by the caller. Each transaction is one
    snapshot and writes nothing. Nobody waits long for a database that is away: a request is
    answered in about two seconds, and each one makes the pool try again."""
    options = {
        "search_path": SCHEMA,
        "timezone": "UTC",
        "default_transaction_isolation": "repeatable\\ read",
        "default_transaction_read_only": "on",
        "statement_timeout": "15s",
    }
    return AsyncConnectionPool(
        url,
        kwargs={
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "connect_timeout": 2,
        },
        min_size=1,
        max_size=most,
        max_waiting=200,
        timeout=2.0,
        reconnect_timeout=1.0,
        check=AsyncConnectionPool.check_connection,
        open=False,
        name="read",
    )


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a question names. It must be there, and be what it is asked as: an answer of nothing, or
    of zeros, would say that it is there and that nothing is in it.

    subject  of the pipeline, which a stage is one of too
    """

    person_id: UUID | None = None
    company_id: UUID | None = None
    job_order_id: UUID | None = None
    subject: Subject = "candidate"
    pipeline: str | None = None
    stage: str | None = None

    async def must_be_there(self, cur: Cursor) -> None:
        """Raises NoSuchRecord, WrongPipeline."""
        asked = {"person": self.person_id, "company": self.company_id}
        asked["job_order"] = self.job_order_id
        if ids := [id for id in asked.values() if id]:
            kinds = await directory.kinds(cur, ids)
            for kind, id in asked.items():
                if id and kinds.get(id) != kind:
                    raise NoSuchRecord(**{f"{kind}_id": id})
        if self.pipeline or self.stage:
            found = await directory.stages_of(cur, self.subject, self.pipeline)
            if self.pipeline and not found:
                raise await self._no_pipeline(cur)
            if self.stage and self.stage not in found:
                named = {"pipeline": self.pipeline} if self.pipeline else {}
                raise NoSuchRecord(**named, stage=self.stage)

    async def _no_pipeline(self, cur: Cursor) -> Refusal:
        other = await directory.pipeline(cur, self.pipeline or "")
        if other is None:
            return NoSuchRecord(pipeline=self.pipeline)
        return WrongPipeline(pipeline=self.pipeline, subject=other.subject, wanted=self.subject)


NOTHING = Named()


class View:
    """What handlers read with, for one request."""

    def __init__(self, pool: Pool, ledger: Ledger, after: int | None) -> None:
        self.pool, self.ledger, self.after = pool, ledger, after

    async def one(
        self,
        query: Callable[Concatenate[Cursor, Id, P], Awaitable[T | None]],
        id: Id,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response[T]:
        """Raises NoSuchRecord if the query finds nothing."""

        async def ask(cur: Cursor) -> T:
            if (found := await query(cur, id, *args, **kwargs)) is None:
                raise NoSuchRecord(id=id)
            return found

        found, headers = await self._asked(query, ask)
        if version := getattr(found, "version", None):
            headers["ETag"] = f'"{version}"'
        return Response(found, headers=headers)

    async def answer(
        self,
        query: Callable[Concatenate[Cursor, P], Awaitable[T]],
        named: Named,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response[T]:
        """What is always there, and sometimes empty. Raises as ``Named.must_be_there``."""

        async def ask(cur: Cursor) -> T:
            await named.must_be_there(cur)
            return await query(cur, *args, **kwargs)

        found, headers = await self._asked(query, ask)
        return Response(found, headers=headers)

    async def page(
        self,
        query: Callable[..., Awaitable[list[T]]],
        *args: Any,
        cursor: str | None,
        limit: int,
        at: Callable[[Any], Any],
        named: Named = NOTHING,
        there: tuple[Callable[[Cursor, str], Awaitable[object]], str] | None = None,
        **kwargs: Any,
    ) -> Response[Page[T]]:
        """``at``: where in its order an item stands; what the query knows as ``before``. ``there``:
        what has to find something first. Raises as ``Named.must_be_there``."""
        before = (
            _opened(cursor, get_type_hints(at, include_extras=True)["return"]) if cursor else None
        )

        async def ask(cur: Cursor) -> list[T]:
            await named.must_be_there(cur)
            if there and await there[0](cur, there[1]) is None:
                raise NoSuchRecord(slug=there[1])
            return await query(cur, *args, before=before, limit=limit + 1, **kwargs)

        found, headers = await self._asked(query, ask)
        more = len(found) > limit
        token = _sealed(at(found[limit - 1])) if more else None
        return Response(Page(found[:limit], token), headers=headers)

    async def _asked(
        self, query: Callable[..., Any], ask: Callable[[Cursor], Awaitable[T]]
    ) -> tuple[T, dict[str, str]]:
        """What it gives, and headers. What was written a moment ago is not denied: before
        NoSuchRecord it is asked again, of what the ledger holds now."""
        try:
            async with self._snapshot(query) as (cur, headers):
                return await ask(cur), headers
        except NoSuchRecord:
            if self.after is not None:
                raise
            self.after = await self.ledger.head()
        async with self._snapshot(query) as (cur, headers):
            return await ask(cur), headers

    @asynccontextmanager
    async def _snapshot(
        self, query: Callable[..., Any]
    ) -> AsyncIterator[tuple[Cursor, dict[str, str]]]:
        """A cursor at which everything that the query reads may be read and has got to ``after``:
        its own read model and the directory, which queries join."""
        uses: list[Projection] = [sys.modules[query.__module__].projection, directory.projection]
        until_s = time.monotonic() + PATIENCE_S
        while True:
            async with self.pool.connection() as conn, conn.cursor() as cur:
                stands_at = await _stand_at(cur, uses)
                if stands_at >= (self.after or 0):
                    yield cur, {"Ledger-Position": str(stands_at)}
                    return
            if self.after and self.after > (head := await self.ledger.head()):
                raise AfterTheHead(after=self.after, head=head)
            if time.monotonic() > until_s:
                raise ReadModelBehind(after=self.after or 0, position=max(stands_at, 0))
            await asyncio.sleep(POLL_S)


async def _stand_at(cur: Cursor, uses: list[Projection]) -> int:
    """How far the last of them has got; -1 if one of them may not be read."""
    tables = ", ".join(table.name for use in uses for table in use.tables)
    try:
        # before the snapshot is taken: a table that is made anew meanwhile looks empty
        await cur.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE".encode())
        found = await positions(cur, uses)
    except NOT_BUILT:
        return -1
    return min(found.get(each.name, -1) for each in uses)


async def view(
    pool: NamedDependency[Pool], ledger: NamedDependency[Ledger], after: After = None
) -> View:
    return View(pool, ledger, after)


def _sealed(place: Any) -> str:
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _opened(token: str, type_: type[T]) -> T:
    """Raises Malformed."""
    try:
        document = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return msgspec.json.decode(document, type=type_)
    except (binascii.Error, ValueError):  # msgspec's and Unicode's errors are ValueErrors
        raise Malformed(faults=[Fault("query:cursor", "not a cursor of this list")]) from None
