"""A collector of OpenTelemetry's, as far as tests ask it: what it was sent, over HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Collector:
    """``spans``: what it was sent so far, each with the worker that sent it. ``text``: all of it.
    ``env``: by which a house sends it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.text = b""
        collector = self

        class Receiving(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces" and self.headers["X-Token"] == "secret":
                    collector.text += body.lower()
                    collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Receiving)
        self.env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-token=secret",
            "OTEL_SERVICE_NAME": "agency",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for each in sent.resource_spans:
            about = {a.key: a.value.string_value for a in each.resource.attributes}
            assert about["service.name"] == "agency"
            for scope in each.scope_spans:
                self.spans += [(about["ledger_crm.worker"], span) for span in scope.spans]

    def of(self, worker: str, begins: str) -> list[Any]:
        return [
            span for sent, span in self.spans if sent == worker and span.name.startswith(begins)
        ]


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
