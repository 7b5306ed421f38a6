"""Traces: one request is one trace, whatever comes of it later links to it, and it names nobody."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import ledger_crm
from api.journey import ADA, NOTE, found, problem, written
from ledger_crm import tracing
from ledger_crm.ledger import Ledger
from ledger_crm.tracing import NotSetUp, must_be_possible, wanted
from ledger_crm.workers import feed
from ledger_crm.workers.relay import Relay

pytestmark = pytest.mark.anyio

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


class Told:
    """What is traced, in the order in which it ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def __call__(self, begins: str = "") -> list[ReadableSpan]:
        return [s for s in self.exporter.get_finished_spans() if s.name.startswith(begins)]

    def one(self, begins: str) -> ReadableSpan:
        [span] = self(begins)
        return span


@pytest.fixture
def told() -> Iterator[Told]:
    told, provider = Told(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(told.exporter))
    tracing.use(provider)
    yield told
    tracing.use(None)


def own(span: ReadableSpan) -> tuple[int, int]:
    assert span.context
    return span.context.trace_id, span.context.span_id


def above(span: ReadableSpan) -> tuple[int, int] | None:
    return (span.parent.trace_id, span.parent.span_id) if span.parent else None


async def test_a_write_is_one_trace_and_what_is_made_of_it_links_to_it(
    ana: httpx.AsyncClient, told: Told, project: Callable[[], None], ledger: Ledger, nats: str
) -> None:
    person = (await written(ana, "/people", ADA))["id"]
    project()
    told.exporter.clear()
    answer = await ana.post(f"/people/{person}/interactions", json=NOTE, headers=SENT)
    position = answer.json()["position"]
    request, command, append = told.one("POST"), told.one("command"), told.one("append")
    assert request.name == "POST /people/{person_id}/interactions"
    assert above(request) == (int(TRACE, 16), int(CALLER, 16)), "its caller's trace goes on here"
    assert above(command) == own(request)
    assert above(append) == own(command)
    assert {own(span)[0] for span in told()} == {int(TRACE, 16)}
    assert dict(append.attributes or {}) == {
        "ledger_crm.entries": 1,
        "ledger_crm.kinds": ("person.note_written",),
        "ledger_crm.position": position,
    }
    assert answer.headers["x-request-id"] == f"{TRACE}-{own(request)[1]:016x}"
    [*_, entry] = (await found(ana, "/events?limit=200"))["items"]
    assert entry["cause"] == answer.headers["x-request-id"]

    told.exporter.clear()
    project()
    await relayed(nats, ledger, position)
    projected = {span.name for span in told("project")}
    assert {"project history", "project search"} <= projected
    assert "project pipelines" not in projected, "it is none of its business"
    for span in (*told("project"), told("publish")[-1]):
        linked = [(link.context.trace_id, link.context.span_id) for link in span.links]
        assert linked[-1] == own(request), span.name
        assert dict(span.attributes or {})["ledger_crm.position"] == position
    parents = await heard(nats, position)
    assert parents[-1] == f"00-{TRACE}-{own(request)[1]:016x}-01", "who consumes it may go on"
    assert parents[0] == "", "a pipeline came of no request"


async def heard(url: str, head: int) -> list[str]:
    """The ``traceparent`` of each message."""
    nc = await feed.connect(url, name="test", reconnect=False)
    stream = nc.jetstream()
    raw = [await stream.get_msg(feed.STREAM, seq) for seq in range(1, head + 1)]
    await nc.close()
    return [(each.headers or {}).get("traceparent", "") for each in raw]


async def relayed(url: str, ledger: Ledger, head: int) -> None:
    stop = asyncio.Event()
    relay = Relay(
        lambda: feed.connect(url, name="test", reconnect=False),
        ledger.rows,
        stop=stop,
        progress=lambda at: stop.set() if at == head else None,
    )
    await relay.run()


async def test_what_is_refused_or_broken_is_told_and_names_nobody(
    ana: httpx.AsyncClient, told: Told, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(ana, "/people", ADA)
    problem(await ana.post("/people", json=ADA), 409, "contact-point-taken")
    refused = told("command")[-1]
    assert (refused.attributes or {})["ledger_crm.refusal"] == "contact-point-taken"
    assert refused.status.is_unset

    def broken(*_: Any) -> Any:
        raise RuntimeError("Ada Byron")

    monkeypatch.setattr(ledger.store, "append_together", broken)
    problem(await ana.post("/people", json={"name": "Charles Babbage"}), 500, "internal-error")
    lost, append = told("POST")[-1], told("append")[-1]
    assert not lost.status.is_ok
    assert not lost.status.is_unset
    assert (append.attributes or {})["error.type"] == "RuntimeError"
    await ana.get("/people?q=Ada%20Byron")
    theirs = {"tracestate": "crm=ada-byron", "baggage": "who=ada-byron"}
    await ana.get("/people", headers=SENT | theirs)
    assert above(told("GET")[-1]) == (int(TRACE, 16), int(CALLER, 16))
    text = "".join(span.to_json() for span in told()).lower()
    for personal in ("ada", "byron", "example.org", "babbage", "consultant:ana"):
        assert not re.search(rf"\b{personal}", text)  # an id may well hold "ada"


async def test_each_command_of_a_batch_is_told_within_it(
    ana: httpx.AsyncClient, told: Told
) -> None:
    commands = [{"path": "/people", "body": {"name": name}} for name in ("Ada", "Charles")]
    answer = await ana.post("/batch", json={"commands": commands})
    assert [each["status"] for each in answer.json()["results"]] == [201, 201]
    batch = told.one("POST /batch")
    assert [above(span) for span in told("POST /people")] == [own(batch)] * 2
    assert above(batch) is None


async def test_a_request_that_nobody_samples_keeps_an_id_of_its_own(
    ana: httpx.AsyncClient, told: Told
) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(told.exporter))
    tracing.use(provider)
    answer = await ana.get("/people", headers=SENT)
    assert len(answer.headers["x-request-id"]) == 32
    assert told() == []
    tracing.use(None)
    answer = await ana.get("/people", headers=SENT)
    assert TRACE not in answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("environ", "asks"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "crm"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://otel:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318", "OTEL_TRACES_EXPORTER": "none"},
            False,
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_it_is_off_unless_the_environment_asks_for_it(environ: dict[str, str], asks: bool) -> None:
    assert wanted(environ) == asks
    must_be_possible(environ)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER cannot be 'zipkin'"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL cannot be 'grpc': write http/protobuf",
        ),
    ],
)
def test_what_cannot_be_had_is_one_line(environ: dict[str, str], says: str) -> None:
    with pytest.raises(NotSetUp, match=says):
        must_be_possible(environ)


def test_while_it_is_off_nothing_of_it_is_loaded() -> None:
    """It costs every command half a second of start."""
    source = Path(ledger_crm.__file__).parent
    for path in source.rglob("*.py"):
        text = path.read_text()
        if "opentelemetry" not in text:
            continue
        assert path.name == "tracing.py"
        for node in ast.parse(text).body:  # what is loaded with the module
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.startswith("opentelemetry") for name in names)
    assert tracing.span("nothing") is tracing.NOTHING
