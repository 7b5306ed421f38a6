"""The one clock. Everything that needs to know what time it is asks here, and tests set it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime


def _wall() -> datetime:
    return datetime.now(UTC)


_read: Callable[[], datetime] = _wall
_played: ContextVar[datetime | None] = ContextVar("played", default=None)


def now() -> datetime:
    """The present instant, UTC, aware."""
    return _played.get() or _read()


def today() -> date:
    """The present day, in UTC."""
    return now().date()


@contextmanager
def stopped_at(instant: datetime) -> Iterator[None]:
    """For tests: within this block it is ``instant`` (aware), in all threads of the process."""
    global _read
    before, _read = _read, lambda: instant
    try:
        yield
    finally:
        _read = before


@contextmanager
def played_at(instant: datetime) -> Iterator[None]:
    """For what is played and not lived: within this block it is ``instant`` (aware), for this task
    alone. It has the microseconds of now: no two attempts are of the same instant."""
    token = _played.set(instant.replace(microsecond=_read().microsecond))
    try:
        yield
    finally:
        _played.reset(token)
