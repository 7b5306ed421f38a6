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
_written_then: ContextVar[bool] = ContextVar("written_then", default=True)


def now() -> datetime:
    """The present instant, UTC, aware."""
    return _played.get() or _read()


def written() -> datetime:
    """When what is decided now is written down: now, but for what is played and was not written
    down when it happened."""
    return now() if _written_then.get() else _read()


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
def played_at(instant: datetime, *, written_then: bool = True) -> Iterator[None]:
    """For what is played and not lived: within this block it is ``instant`` (aware), for this task
    alone. It has the microseconds of now: no two attempts are of the same instant.
    ``written_then``: and it is written down as of then, too."""
    token = _played.set(instant.replace(microsecond=_read().microsecond))
    other = _written_then.set(written_then)
    try:
        yield
    finally:
        _written_then.reset(other)
        _played.reset(token)
