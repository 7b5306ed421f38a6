"""Whoever asks with a key or a session: what they see of an answer, and as what they want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Request, Response

from ledger_crm.domain.access import Holder

from . import confidential, cursors, permitted, rows
from .confidential import Hidden
from .ordering import TOTAL, order_of, rank_of, sorted_by
from .reading import Reader


class KeyHolder(Reader):
    def __init__(
        self,
        request: Request[Any, Any, Any],
        hidden: Hidden,
        sort: str | None,
        count: bool,
        body: bytes,
    ) -> None:
        """Raises Malformed."""
        self._request, self._hidden, self._body = request, hidden, body
        self._holder: Holder = request.scope["state"]["holder"]
        self.custom = rows.asked_of(request)
        self.order = order_of(sort, rows.listed(request.route_handler))
        self.count = count

    def asks(self) -> str:
        return cursors.of_request(self._request, self._body)

    async def hidden(self, position: int) -> frozenset[UUID]:
        return await self._hidden.of(self._holder, position)

    def besides(self, found: Any, hidden: frozenset[UUID]) -> Any:
        return confidential.without(found, hidden)

    def told(self, found: Any) -> Any:
        return permitted.shown(found, self._holder)

    def field(self, item: Any, name: str) -> Any:
        return permitted.field(item, name, self._holder)

    def page(self, page: Any, headers: dict[str, str], columns: Sequence[str]) -> Response[Any]:
        return rows.answer(self._request, page, headers, columns)

    def whole(self, found: Any, headers: dict[str, str]) -> Response[Any]:
        if self.order is not None:
            ranked = [(rank_of(getattr(each, self.order.field)), each) for each in found]
            found = [each for _, each in sorted_by(ranked, self.order)]
        if self.count:
            headers |= {TOTAL: str(len(found))}
        return rows.whole(self._request, found, headers)
