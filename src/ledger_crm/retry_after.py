"""When to come back, as an answer of HTTP says it: for who asks, and for who sends."""

from __future__ import annotations

from email.utils import parsedate_to_datetime


def seconds(asked: str, *, said_at: str) -> float | None:
    """Of ``Retry-After``, which is a number of them or a date (RFC 9110, 10.2.3), counted from
    ``Date``, by the clock of who says it. None: it says nothing of that."""
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        wait = parsedate_to_datetime(asked) - parsedate_to_datetime(said_at)
    except (ValueError, TypeError, OverflowError):  # no dates, or only one with a zone
        return None
    return max(wait.total_seconds(), 0.0)
