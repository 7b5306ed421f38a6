"""Tracing: how long requests, commands, appends, read models and the feed took, for OpenTelemetry.

Off unless the standard ``OTEL_*`` variables ask for it: then nothing of it is imported, and a span
is one look at a variable. The id of a request that is traced names its span, and entries carry it
as their cause: so whoever works on an entry later, in another process, links to where it came from,
and whoever hears of it on the feed may go on with that trace.

Spans tell kinds, positions, templates of routes, statuses and counts; never names, ids of records,
addresses as they were asked, or the text of an exception.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import structlog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

Role: TypeAlias = Literal["server", "internal", "producer", "consumer"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
SPAN = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")  # as an id of a request
MOST = 128  # links of one span
END_S = 2.0  # for what was not sent yet, when a process ends


log = structlog.get_logger("tracing")


class NotSetUp(Exception):
    """Traces are asked for and cannot be had. One line: which variable, and what to do."""


class Nothing:
    """A span while tracing is off."""

    id = ""
    sending: Mapping[str, str] = {}

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def tell(self, **_: Any) -> None:
        pass

    def end_as(self, name: str, *, failed: bool) -> None:
        pass


NOTHING = Nothing()
_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def is_on() -> bool:
    return _tracer is not None


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether anybody asks for traces: by naming where they go, or how."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    how = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    return how != "none" if how else any(environ.get(name) for name in ENDPOINTS)


def must_be_possible(environ: Mapping[str, str]) -> None:
    """Raises NotSetUp."""
    if not wanted(environ):
        return
    how = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if how != "otlp":
        raise NotSetUp(f"OTEL_TRACES_EXPORTER cannot be {how!r}: write otlp, or none")
    for name in PROTOCOLS:
        if (protocol := environ.get(name, "").strip()) not in ("", PROTOCOL):
            raise NotSetUp(f"{name} cannot be {protocol!r}: write {PROTOCOL}")
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError:
        asks = next((n for n in ("OTEL_TRACES_EXPORTER", *ENDPOINTS) if environ.get(n)), "OTEL_*")
        raise NotSetUp(
            f"{asks} asks for traces, which need: pip install 'ledger-crm[tracing]'; "
            "or set OTEL_TRACES_EXPORTER=none"
        ) from None


@contextmanager
def traced(environ: Mapping[str, str], worker: str) -> Iterator[None]:
    """A process, if its environment asks for it. Raises NotSetUp."""
    begin(environ, worker)
    try:
        yield
    finally:
        end()


def begin(environ: Mapping[str, str], worker: str) -> None:
    must_be_possible(environ)
    if not wanted(environ):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    found = Resource.create({"ledger_crm.worker": worker})
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: "ledger-crm"}))
    provider = TracerProvider(resource=found)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)
    library = logging.getLogger("opentelemetry")
    library.addHandler(Said(logging.WARNING))
    library.propagate = False


class Said(logging.Handler):
    """What the library complains of, as our log says it: without the values, which name hosts and
    may hold passwords."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("traces are not sent as they should be", why=str(record.msg))


def use(provider: TracerProvider | None) -> None:
    """From now on; None: off."""
    global _provider, _tracer
    _provider = provider
    ours = "ledger_crm"
    _tracer = provider.get_tracer(ours, version("ledger-crm")) if provider else None


def end() -> None:
    """Sends what was not sent yet, and waits for that only so long."""
    if _provider is not None:
        going = threading.Thread(target=_provider.shutdown, daemon=True)
        use(None)
        going.start()
        going.join(END_S)


def span(
    name: str,
    *,
    role: Role = "internal",
    causes: Iterable[str] = (),
    sent: Mapping[str, str] | None = None,
    expected: type[Exception] | tuple[type[Exception], ...] = (),
    **told: Any,
) -> Span | Nothing:
    """A context manager, in which further spans are its children. False while tracing is off.

    causes    of entries: linked to, where they were traced
    sent      headers of a request by which it is part of its caller's trace (W3C Trace Context)
    expected  what may be raised without being a failure
    told      see ``Span.tell``
    """
    if _tracer is None:
        return NOTHING
    return Span(_tracer, name, role, causes, sent, expected, told)


class Span:
    def __init__(
        self,
        tracer: Tracer,
        name: str,
        role: Role,
        causes: Iterable[str],
        sent: Mapping[str, str] | None,
        expected: type[Exception] | tuple[type[Exception], ...],
        told: Mapping[str, Any],
    ) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._expected = expected
        parent = TraceContextTextMapPropagator().extract(sent) if sent else None
        self._span = tracer.start_span(
            name,
            parent,
            kind=trace.SpanKind[role.upper()],
            links=_links(causes),
            attributes=_named(told),
        )

    @property
    def id(self) -> str:
        """For the cause of entries; "" if nobody will hear of this span."""
        context = self._span.get_span_context()
        sampled = context.is_valid and context.trace_flags.sampled
        return f"{context.trace_id:032x}-{context.span_id:016x}" if sampled else ""

    @property
    def sending(self) -> Mapping[str, str]:
        """Headers by which whoever is sent something goes on with this trace."""
        return goes_on(self.id)

    def tell(self, **told: Any) -> None:
        """Attributes, under our name."""
        self._span.set_attributes(_named(told))

    def end_as(self, name: str, *, failed: bool) -> None:
        """What it was is known at its end."""
        from opentelemetry.trace import StatusCode

        self._span.update_name(name)
        if failed:
            self._span.set_status(StatusCode.ERROR)

    def __enter__(self) -> Span:
        from opentelemetry import context, trace

        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        from opentelemetry import context
        from opentelemetry.trace import StatusCode

        context.detach(self._token)
        if type_ is not None:
            self._span.set_attribute("error.type", type_.__name__)
            if issubclass(type_, Exception) and not issubclass(type_, self._expected):
                self._span.set_status(StatusCode.ERROR)  # without what it says
        self._span.end()


def goes_on(cause: str) -> Mapping[str, str]:
    """Headers by which somebody goes on with the trace that an entry came of (W3C Trace Context);
    none if it was not traced."""
    match = SPAN.fullmatch(cause)
    return {"traceparent": f"00-{match[1]}-{match[2]}-01"} if match else {}


def _links(causes: Iterable[str]) -> list[Any]:
    """Each once, in order."""
    from opentelemetry.trace import Link, SpanContext, TraceFlags

    sampled = TraceFlags(TraceFlags.SAMPLED)
    found = dict.fromkeys(match.groups() for each in causes if (match := SPAN.fullmatch(each)))
    return [
        Link(SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=sampled))
        for trace, span in islice(found, MOST)
    ]


def _named(told: Mapping[str, Any]) -> dict[str, Any]:
    """As OpenTelemetry calls them, where it has a name."""
    return {NAMES.get(name, f"ledger_crm.{name}"): value for name, value in told.items()}


NAMES = {
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
}
