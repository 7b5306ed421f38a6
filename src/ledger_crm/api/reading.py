"""Reads: one snapshot, at a position that the answer names.

Whoever just wrote passes the receipt's position as ``after`` and gets what they wrote, or is told
to try again; never something older without being told. Whoever passes none gets what there is; but
nothing while a read model is built, for half of one denies what is there (``projections``).
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence, Set
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
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
from litestar.params import QueryParameter

from ledger_crm.commands.selling import WrongPipeline
from ledger_crm.domain import clock
from ledger_crm.domain.custom import Subject as Asked
from ledger_crm.domain.entry import Actor, Aggregate, Instant
from ledger_crm.domain.pipeline import Subject
from ledger_crm.domain.refusals import Refusal
from ledger_crm.ledger import Ledger, NoSuchRecord, Unavailable, Work
from ledger_crm.projections import Cursor, Lookup, directory

from . import ordering
from .cursors import Cursors
from .ordering import Order, Rank, Ranked, rank_of
from .past import AHEAD, Then, Window
from .problems import AfterTheHead, Fault, Malformed, ReadModelBehind, TooManyToSort
from .snapshots import DIRECTORY, PATIENCE_S, POLL_S, Attempt, Reads, answered

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
Id = TypeVar("Id", UUID, str)

ATTEMPTS = 5  # while what is hidden changes

After = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=2**63 - 1,
        description="A position, as receipts name them. The answer holds at least everything up to"
        " there: it waits for that, at most 2 s, then 503.",
    ),
]
LIMIT, MOST_ITEMS = 50, 200
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ITEMS, description="At most so many.")]
Token = Annotated[
    str | None,
    QueryParameter(
        max_length=1_000,
        description="`next` of the page before this one, which was asked for with the same filters,"
        " order and body: one of another list is refused.",
    ),
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


@cache
def _place_of(at: Callable[[Any], Any]) -> Any:
    """Of what type it is."""
    return get_type_hints(at, include_extras=True)["return"]


def page_of(found: Sequence[T], limit: int, at: Callable[[Any], Any], cursors: Cursors) -> Page[T]:
    """``found`` is one more than ``limit`` if there is more. ``at``: as for ``View.page``."""
    more = len(found) > limit
    return Page(found[:limit], cursors.sealed(at(found[limit - 1])) if more else None)


def version_of(found: object) -> dict[str, str]:
    """As a header."""
    version = getattr(found, "version", None)
    return {"ETag": f'"{version}"'} if version else {}


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a question names. It must be there, and be what it is asked as: an answer of nothing, or
    of zeros, would say that it is there and that nothing is in it.

    subject                of the pipeline, which a stage is one of too
    owner, consultant, by  one of us, as the parameter is called
    """

    person_id: UUID | None = None
    company_id: UUID | None = None
    job_order_id: UUID | None = None
    subject: Subject = "candidate"
    pipeline: str | None = None
    stage: str | None = None
    team: str | None = None
    owner: str | None = None
    consultant: str | None = None
    by: str | None = None

    @property
    def ids(self) -> dict[str, UUID]:
        asked = (
            (name, getattr(self, name)) for name in ("person_id", "company_id", "job_order_id")
        )
        return {name: id for name, id in asked if id}

    async def must_be_there(self, cur: Cursor, hidden: frozenset[UUID]) -> None:
        """And not be one of the hidden ones. Raises NoSuchRecord, WrongPipeline."""
        if self.ids:
            kinds = await directory.kinds(cur, list(self.ids.values()))
            for name, id in self.ids.items():
                if kinds.get(id) != name.removesuffix("_id") or id in hidden:
                    raise NoSuchRecord(**{name: id})
        if self.pipeline or self.stage:
            found = await directory.stages_of(cur, self.subject, self.pipeline)
            if self.pipeline and not found:
                raise await self._no_pipeline(cur)
            if self.stage and self.stage not in found:
                named = {"pipeline": self.pipeline} if self.pipeline else {}
                raise NoSuchRecord(**named, stage=self.stage)
        if self.team and not await directory.has_team(cur, self.team):
            raise NoSuchRecord(team=self.team)

    async def must_be_of_us(self, cur: Cursor) -> None:
        """Asked where nothing was found of theirs: what is found is somebody's, whether they are on
        record or not. Raises Malformed."""
        for name in ("owner", "consultant", "by"):
            if (who := getattr(self, name)) is None:
                continue
            if not OF_US.fullmatch(who):
                raise Malformed(faults=[Fault(f"query:{name}", LIKE_US)])
            if who.startswith(CONSULTANT) and (others := await directory.others(cur, who)):
                handles = [each.removeprefix(CONSULTANT) for each in others]
                near = get_close_matches(who.removeprefix(CONSULTANT), handles, n=1)
                hint = f"did you mean {CONSULTANT}{near[0]}?" if near else WHO_IS
                raise Malformed(faults=[Fault(f"query:{name}", f"none of us is {who}; {hint}")])

    async def _no_pipeline(self, cur: Cursor) -> Refusal:
        other = await directory.pipeline(cur, self.pipeline or "")
        if other is None:
            return NoSuchRecord(pipeline=self.pipeline)
        return WrongPipeline(pipeline=self.pipeline, subject=other.subject, wanted=self.subject)


NOTHING = Named()
OF_US = re.compile(r"[a-z]+:[a-z0-9][a-z0-9._-]{0,62}")
LIKE_US = "write one of us like consultant:ana"
CONSULTANT, WHO_IS = "consultant:", "GET /consultants tells who is"


class Reader:
    """Whoever asks, and how: this one sees all there is, and wants it as it is.

    custom  whose custom fields are columns of a page
    order   of a list, instead of its own
    count   tell how many are in it
    """

    custom: Asked | None = None
    order: Order | None = None
    count = False

    def asks(self) -> str:
        """For which list, as its cursors are bound to it."""
        return ""

    async def hidden(self, position: int) -> frozenset[UUID]:
        """Job orders that they do not see, of what is known up to there at least."""
        return frozenset()

    def besides(self, found: Any, hidden: frozenset[UUID]) -> Any:
        """Without all that names one of these. Raises NoSuchRecord if it is one."""
        return found

    def told(self, found: Any) -> Any:
        """Without the fields that are not for them."""
        return found

    def field(self, item: Any, name: str) -> Any:
        """A single value, as it is told."""
        return getattr(item, name)

    def page(self, page: Any, headers: dict[str, str], columns: Sequence[str]) -> Response[Any]:
        """``columns``: custom fields."""
        return Response(page, headers=headers)

    def whole(self, found: Any, headers: dict[str, str]) -> Response[Any]:
        """What has no pages."""
        return Response(found, headers=headers)


EVERYTHING = Reader()


class View:
    """What handlers read with, for one request."""

    def __init__(
        self,
        reads: Reads,
        ledger: Ledger,
        after: int | None,
        reader: Reader = EVERYTHING,
        then: Then | None = None,
    ) -> None:
        """``then``: when what is asked for was known, None being now."""
        self.reads, self.ledger, self.after, self.then = reads, ledger, after, then
        self.reader = reader
        if then:
            self.after = max(then.after, after or 0)

    def now(self) -> datetime:
        """For what depends on when it is asked."""
        return self.then.at if self.then else clock.now()

    def today(self) -> date:
        return self.now().date()

    async def window(self, begin: str, end: str | None) -> Window:
        """What is read has to have got to its end. Raises Malformed, AfterTheHead."""
        found = await self.reads.window(begin, end)
        for name, at in (("from", found.since), ("to", found.until)):
            if self.then and at and at > self.then.at:
                raise Malformed(faults=[Fault(f"query:{name}", AHEAD)])
        self.after = max(found.last or found.first, self.after or 0)
        return found

    def must_be_now(self) -> None:
        """For what no past is kept of, or is asked of the ledger itself. Raises Malformed."""
        if self.then:
            raise Malformed(faults=[Fault("query:as_of", "this is read as of now alone")])

    async def one(
        self,
        query: Callable[Concatenate[Cursor, Id, P], Awaitable[T | None]],
        id: Id,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response[T]:
        """Raises NoSuchRecord if the query finds nothing."""
        hidden = await self.reader.hidden(0)

        async def ask(cur: Cursor) -> T:
            found = None if id in hidden else await query(cur, id, *args, **kwargs)
            return _there(found, id=id)

        if isinstance(query, Lookup):
            attempt = self._together(query, query.asking(id, *args, **kwargs), id=id)
        else:
            attempt = self._alone(query, ask)
        found, headers = await self._asked(attempt)
        try:
            shown = await self.shown(found, headers)
        except NoSuchRecord:
            raise NoSuchRecord(id=id) from None
        return self.reader.whole(shown, headers | version_of(found))

    async def answer(
        self,
        query: Callable[Concatenate[Cursor, P], Awaitable[T]],
        named: Named,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response[T]:
        """What is always there, and sometimes empty. Raises as ``Named.must_be_there``."""
        hidden = await self._unseen(named)

        async def ask(cur: Cursor) -> T:
            await named.must_be_there(cur, hidden)
            answer = await query(cur, *args, **kwargs)
            if _is_empty(answer):
                await named.must_be_of_us(cur)
            return answer

        found, headers = await self._asked(self._alone(query, ask))
        return self.reader.whole(await self.shown(found, headers), headers)

    async def seen(self, ask: Callable[[frozenset[UUID]], Awaitable[Response[T]]]) -> Response[T]:
        """What is found or counted by job orders, without those that whoever asks does not see:
        ``ask`` is given these. Raises Unavailable if these never stay the same."""
        besides = await self.reader.hidden(0)
        for _ in range(ATTEMPTS):
            answer = await ask(besides)
            known = await self.reader.hidden(int(answer.headers["Ledger-Position"]))
            if known == besides:
                return answer
            besides = known  # one became confidential meanwhile
        raise Unavailable()

    async def decided(self, ask: Callable[[Work], Awaitable[T]]) -> Response[T]:
        """What a rule makes of the ledger itself, which is never behind. Raises AfterTheHead, and
        as ``must_be_now``."""
        self.must_be_now()
        head = await self.ledger.head()
        if self.after is not None and self.after > head:
            raise AfterTheHead(after=self.after, head=head)
        headers, work = {"Ledger-Position": str(head)}, Work(self.ledger, Actor(""))
        hidden = await self.reader.hidden(head)

        async def eye(_: Aggregate, __: Set[UUID] | None = None) -> Set[UUID]:
            return hidden

        work.eye = eye
        return self.reader.whole(await self.shown(await ask(work), headers), headers)

    async def _unseen(self, named: Named) -> frozenset[UUID]:
        """What is looked for, and is not there for whoever asks."""
        return await self.reader.hidden(0) if named.job_order_id else frozenset()

    async def shown(self, found: Any, headers: dict[str, str]) -> Any:
        hidden = await self.reader.hidden(int(headers["Ledger-Position"]))
        return self.reader.told(self.reader.besides(found, hidden))

    async def _besides(self, items: list[T], headers: dict[str, str]) -> list[T]:
        """Of the whole of a list: what is hidden is not counted, and nothing is told by its
        order."""
        hidden = await self.reader.hidden(int(headers["Ledger-Position"]))
        if not hidden:
            return items
        return await ordering.in_turns(lambda some: self.reader.besides(some, hidden), items)

    async def page(
        self,
        query: Callable[..., Awaitable[list[T] | None]],
        *args: Any,
        cursor: str | None,
        limit: int,
        at: Callable[[Any], Any],
        named: Named = NOTHING,
        there: tuple[Callable[[Cursor, Any], Awaitable[object]], str | UUID] | None = None,
        **kwargs: Any,
    ) -> Response[Page[T]]:
        """``at``: where in its order an item stands; what the query knows as ``before``. ``there``:
        what has to find something first. Raises as ``Named.must_be_there``; a ``Lookup`` sees to
        that itself, and finds None."""
        place: Any = _place_of(at)
        hidden = await self._unseen(named)

        async def found(before: Any, most: int) -> tuple[list[T], dict[str, str]]:
            async def ask(cur: Cursor) -> list[T]:
                await named.must_be_there(cur, hidden)
                if there and await there[0](cur, there[1]) is None:
                    raise NoSuchRecord(**{"slug" if isinstance(there[1], str) else "id": there[1]})
                items = await query(cur, *args, before=before, limit=most, **kwargs)
                if not items and before is None:
                    await named.must_be_of_us(cur)
                return items or []

            if isinstance(query, Lookup):
                asked = query.asking(*args, before=before, limit=most, **kwargs)
                return await self._asked(self._together(query, asked, **named.ids))
            return await self._asked(self._alone(query, ask))

        async def visible(before: Any, most: int) -> tuple[list[T], dict[str, str]]:
            """As many as that, however many lie between that the reader does not see: a page that
            is short, or a cursor that is none of its items', would tell of them."""
            items, headers = await found(before, most)
            seen, more, step = await self._besides(items, headers), len(items) == most, most
            while more and len(seen) < most:
                step = min(2 * step, ordering.MOST)
                items, now = await found(at(items[-1]), step)
                seen, more = seen + await self._besides(items, now), len(items) == step
            return seen[:most], headers

        order, total = self.reader.order, {}
        cursors = Cursors(self.ledger.store.keyring, self.reader.asks())
        if order is None:
            before = cursors.opened(cursor, place) if cursor else None
            items, headers = await visible(before, limit + 1)
            page = page_of(items, limit, at, cursors)
        if order is not None or self.reader.count:
            items, whole = await found(None, ordering.MOST + 1)
            many = len(items) > ordering.MOST  # of all: what is hidden may be among these
            if order is not None and many:
                raise TooManyToSort(most=ordering.MOST)
            items = await self._besides(items, whole)
            if self.reader.count:
                total = {ordering.TOTAL: f"{ordering.MOST}+" if many else str(len(items))}
        if order is not None:
            headers = whole
            page = await self._sorted(items, order, cursor, limit, at, found, cursors)
        shown = await self.shown(page, headers)
        return self.reader.page(shown, headers | total, await self._columns())

    async def _sorted(
        self,
        items: Sequence[T],
        order: Order,
        cursor: str | None,
        limit: int,
        at: Callable[[Any], Any],
        found: Callable[[Any, int], Awaitable[tuple[list[T], dict[str, str]]]],
        cursors: Cursors,
    ) -> Page[T]:
        """``items``: all, in the list's own order; ``found``: those after a place in it."""

        def ranked(some: Sequence[T]) -> list[Ranked[T]]:
            return [(rank_of(self.reader.field(each, order.field)), each) for each in some]

        rest: Sequence[Ranked[T]]
        rest = ordering.sorted_by(await ordering.in_turns(ranked, items), order)
        if cursor:
            place: Any = _place_of(at)
            wanted: Any = tuple[Rank, place]
            rank, last = cursors.opened(cursor, wanted)
            places = [at(each) for each in items]
            if last in places:
                later = places[places.index(last) + 1 :]
            else:  # it has gone: what follows is what the database says
                later = [at(each) for each in (await found(last, ordering.MOST))[0]]
            behind = frozenset(later)
            rest = ordering.after(rest, order, rank, lambda item: at(item) in behind)
        shown = [item for _, item in rest[:limit]]
        if len(rest) <= limit:
            return Page(shown, None)
        rank, last = rest[limit - 1][0], at(shown[-1])
        return Page(shown, cursors.sealed((rank, last)))

    async def _columns(self) -> list[str]:
        """The same on every page: those that are defined."""
        subject = self.reader.custom
        if subject is None:
            return []

        async def ask(cur: Cursor) -> list[directory.FieldShown]:
            return await directory.custom_fields(cur, subject=subject)

        fields, _ = await self._asked(self._alone(directory.custom_fields, ask))
        return [field.slug for field in fields]

    async def _asked(self, attempt: Attempt[T]) -> tuple[T, dict[str, str]]:
        """What it gives, and headers. What was written a moment ago is not denied: before
        NoSuchRecord it is asked again, of what the ledger holds now."""
        try:
            return await self._level(attempt)
        except NoSuchRecord:
            if self.after is not None:
                raise
            self.after = await self.ledger.head()
        return await self._level(attempt)

    async def _level(self, attempt: Attempt[T]) -> tuple[T, dict[str, str]]:
        """As soon as everything that is read has got to ``after``."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            stands_at, answer = await attempt()
            if answer:
                told = {"Ledger-As-Of": self.then.as_of} if self.then else {}
                return answer[0], {"Ledger-Position": str(stands_at)} | told
            if self.after and self.after > (head := await self.ledger.head()):
                raise AfterTheHead(after=self.after, head=head)
            if time.monotonic() > until_s:
                raise ReadModelBehind(after=self.after or 0, position=max(stands_at, 0))
            await asyncio.sleep(POLL_S)

    def _together(
        self, lookup: Lookup[Q, T], asked: tuple[Any, ...], **named: object
    ) -> Attempt[T]:
        async def attempt() -> tuple[int, tuple[T] | None]:
            # apart, or mypy takes T for T | None
            looking = self.reads.look_up(lookup, asked, self.then)
            stands_at, found = await looking
            if stands_at < (self.after or 0):
                return stands_at, None
            return stands_at, (_there(found, **named),)

        return attempt

    def _alone(
        self, query: Callable[..., Any], ask: Callable[[Cursor], Awaitable[T]]
    ) -> Attempt[T]:
        projection = sys.modules[query.__module__].projection
        if not projection.keeps_past:
            self.must_be_now()

        async def attempt() -> tuple[int, tuple[T] | None]:
            async with self.reads.snapshot((projection, DIRECTORY), self.then) as (cur, stands_at):
                if stands_at < (self.after or 0):
                    return stands_at, None
                return stands_at, (await ask(cur),)

        return lambda: answered(attempt())


def _is_empty(found: Any) -> bool:
    """A list, or all that a whole is made of lists of."""
    if isinstance(found, msgspec.Struct):
        parts = [getattr(found, name) for name in found.__struct_fields__]
        return not any(isinstance(part, list) and part for part in parts)
    return not found


def _there(found: T | None, **named: object) -> T:
    if found is None:
        raise NoSuchRecord(**named)
    return found
