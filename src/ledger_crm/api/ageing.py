"""What goes out of use: since when, until when, and what there is instead (docs/versioning.md).

Each answer of such an operation says so: ``Deprecation`` (RFC 9745), ``Sunset`` (RFC 8594) and a
``Link`` to the policy; so does the document.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from email.utils import format_datetime

import msgspec

POLICY = "/docs"
NOTICE_DAYS = 365  # between since and until, at least


class Ageing(msgspec.Struct, frozen=True, kw_only=True):
    """since_on  when it was said
    until_on  from this day on it may be gone
    instead   what to use, in a few words
    """

    since_on: date
    until_on: date
    instead: str


AGEING: dict[str, Ageing] = {}
"""By operation, such as ``GET /engagement/quiet``. Nothing is, yet."""


def headers_of(operation: str) -> list[tuple[bytes, bytes]]:
    if (found := AGEING.get(operation)) is None:
        return []
    since_s = int(_begin(found.since_on).timestamp())
    sunset = format_datetime(_begin(found.until_on), usegmt=True)
    return [
        (b"deprecation", f"@{since_s}".encode()),
        (b"sunset", sunset.encode()),
        (b"link", f'<{POLICY}>; rel="deprecation"'.encode()),
    ]


def said_of(operation: str) -> str:
    """For the document; "": nothing."""
    found = AGEING.get(operation)
    return (
        f"Out of use since {found.since_on}, and may be gone from {found.until_on} on:"
        f" {found.instead}"
        if found
        else ""
    )


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
