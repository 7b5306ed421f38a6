"""Talent pools: people whom somebody put together by hand, for a reason.

define -> revise*        on the pool
pool -> unpool           on each person: who is in a pool, since when and why, is theirs
"""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

import msgspec

from .entry import Actor, Aggregate, Event, Instant, PersonFact, Reason, Sealed, Slug, id_of, words
from .refusals import Conflict

PoolTitle = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class PoolDefined(Event, frozen=True, kw_only=True, tag="pool.defined"):
    """What a pool is called and for whom it is; each one replaces the one before.

    purpose  for whom it is, in words that name nobody
    retired  nobody new comes in; who is in stays
    """

    slug: Slug
    title: PoolTitle
    purpose: Annotated[str, msgspec.Meta(max_length=500)] = ""
    retired: bool = False

    @property
    def line(self) -> str:
        return f"pool {words(self.slug)} " + ("retired" if self.retired else "defined")


class PersonPooled(PersonFact, frozen=True, kw_only=True, tag="person.pooled"):
    """Somebody put them into a pool."""

    pool: Slug
    reason: Reason = ""
    pooled_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        return f"into pool {words(self.pool)}" + (f": {words(self.reason)}" if self.reason else "")


class PersonUnpooled(PersonFact, frozen=True, kw_only=True, tag="person.unpooled"):
    """Somebody took them out of a pool."""

    pool: Slug
    reason: Reason = ""
    unpooled_at: Instant | None = None
    text: Sealed = ""

    @property
    def line(self) -> str:
        why = f": {words(self.reason)}" if self.reason else ""
        return f"out of pool {words(self.pool)}{why}"


PoolEvents = PoolDefined
Pooling = PersonPooled | PersonUnpooled


class PoolIsRetired(Conflict):
    """This pool is retired: nobody new comes in."""


def pool_id(slug: str) -> UUID:
    return id_of("pool", slug)


class Pool(Aggregate):
    TOPIC = "pool"

    @classmethod
    def define(cls, definition: PoolDefined, *, by: Actor) -> Self:
        return cls.open(definition, by=by, id=pool_id(definition.slug))

    def revise(self, definition: PoolDefined, *, by: Actor) -> None:
        """The same again is a no-op."""
        if definition != self.definition:
            self.enter(definition, by=by)

    def must_be_in_use(self) -> None:
        """Raises PoolIsRetired."""
        if self.definition.retired:
            raise PoolIsRetired(pool=self.definition.slug)

    def apply(self, event: Event) -> None:
        match event:
            case PoolDefined():
                self.definition = event
