"""The one clock. Everything that needs to know what time it is asks here, and tests set it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime


def _wall() -> datetime:
    return datetime.now(UTC)


_read: Callable[[], datetime] = _wall


def now() -> datetime:
    """The present instant, UTC, aware."""
    return _read()


def today() -> date:
    """The present day, in UTC."""
    return _read().date()


@contextmanager
def stopped_at(instant: datetime) -> Iterator[None]:
    """For tests: within this block it is ``instant`` (aware), in all threads of the process."""
    global _read
    before, _read = _read, lambda: instant
    try:
        yield
    finally:
        _read = before
