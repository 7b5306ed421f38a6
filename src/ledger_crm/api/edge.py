"""The edge: every request gets an id, every answer carries it, and one line is logged for it.

A line says who asked for which route and how that went. It holds no address as asked, no query
and no body: names and e-mail addresses travel there.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from ledger_crm import tracing
from ledger_crm.domain.entry import cause, through

from . import ageing
from .metrics import METHODS, requested

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
]
HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")
PRIVATE = (b"cache-control", b"no-store")
TRACE = b"traceparent"  # tracestate is the caller's own text, and would be in each span

log = structlog.get_logger("ledger_crm.api")


def edge(app: ASGIApp) -> ASGIApp:
    """Around everything, so that it also sees what no route answers."""

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        asked = scope["method"]
        if asked == "HEAD":  # as GET, without the body (RFC 9110, 9.3.2)
            scope = {**scope, "method": "GET", "head": True}  # type: ignore[assignment]
        span = tracing.span("request", role="server", sent=_trace_of(scope))
        # ours: what a client sends would be kept in clear, for ever; but for the trace that it is
        # part of, in which it is 16 bytes
        request_id = span.id or uuid7().hex
        token, came = cause.set(request_id), through.set("")
        status, began_s = 0, time.monotonic()

        async def send_traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = list(message.get("headers", []))
                if asked == "OPTIONS" or status == 405:
                    given = [_with_head(*each) for each in given]
                private = [] if any(name == PRIVATE[0] for name, _ in given) else [PRIVATE]
                allowance = scope.get("state", {}).get("allowance", ())
                secure = [HTTPS_ONLY] if scope.get("scheme") == "https" else []
                message["headers"] = [
                    *given, *HEADERS, *private, *allowance, *secure,
                    *ageing.headers_of(f"{scope['method']} {scope.get('path_template', '')}"),
                    (b"x-request-id", request_id.encode()),
                ]  # fmt: skip
            elif asked == "HEAD" and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        with span:
            try:
                await app(scope, receive, send_traced)
            finally:
                state: dict[str, Any] = scope.get("state", {})
                took_s, route = time.monotonic() - began_s, scope.get("path_template", "-")
                requested(asked, route, status, took_s)
                if span:
                    known = asked if asked in METHODS else "_OTHER"
                    span.tell(method=known, route=route, status=status)
                    span.end_as(f"{known} {route}", failed=not status or status >= 500)
                log.info(
                    "request",
                    method=asked,
                    route=route,
                    status=status,
                    duration_ms=round(took_s * 1000, 1),
                    request_id=request_id,
                    actor=state.get("actor", "-"),
                )
                cause.reset(token)
                through.reset(came)

    return traced


def _with_head(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Of Allow: there is a HEAD wherever there is a GET."""
    methods = value.split(b", ")
    if name == b"allow" and b"GET" in methods:
        value = b", ".join(sorted({*methods, b"HEAD"}))
    return name, value


def _trace_of(scope: Scope) -> dict[str, str] | None:
    """What the caller says of the trace that this is part of."""
    if not tracing.is_on():
        return None
    return {
        name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == TRACE
    }
