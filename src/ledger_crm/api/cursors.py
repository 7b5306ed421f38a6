"""Cursors: where a page ended, and in which list.

A place alone would open any list that is ordered alike, or the same one under other filters, and
tell another page than the next one without a word. So it is shut with what was asked for, and
opens nothing else (decision 0086). Nothing can be read in it, and it is the same each time, or a
page that holds it would never be unchanged.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request

from ledger_crm.sealing import Keyring

from .problems import Fault, Malformed

T = TypeVar("T")

BESIDES = frozenset(("cursor", "limit", "after", "as_of", "known", "fields", "count"))
"""What may be asked otherwise from page to page: how much, in which form, and as of when."""
FOREIGN = (
    "no cursor of this list as it is asked for here: send the filters, the order and the body that"
    " the page had whose `next` it is, or leave it out, to begin again"
)


class Cursors(NamedTuple):
    """``of``: as the function of that name says."""

    keyring: Keyring
    of: str

    def sealed(self, place: Any) -> str:
        shut = self.keyring.shut(msgspec.msgpack.encode(place), self.of)
        return urlsafe_b64encode(shut).decode().rstrip("=")

    def opened(self, token: str, type_: Any) -> Any:
        """Raises Malformed."""
        try:
            shut = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            return msgspec.msgpack.decode(self.keyring.opened(shut, self.of), type=type_)
        except (binascii.Error, ValueError, OverflowError):  # of msgspec and Unicode: ValueErrors
            raise Malformed(faults=[Fault("query:cursor", FOREIGN)]) from None


def of(path: str, asked: Iterable[tuple[str, str]] = (), body: bytes = b"") -> str:
    """Which list: its address, filters and order, in whatever order they are written."""
    parameters = sorted(each for each in asked if each[0] not in BESIDES)
    document = msgspec.json.encode(msgspec.json.decode(body), order="sorted") if body else b""
    return f"{path.rstrip('/')}?{urlencode(parameters, errors='replace')} {document.decode()}"


def of_request(request: Request[Any, Any, Any], body: bytes = b"") -> str:
    return of(request.scope["path"], request.query_params.multi_items(), body)
