"""An OpenTelemetry collector on loopback that keeps what it is sent. Knows OTLP over HTTP and no span's meaning."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True)
class Kept:
    """One span as it arrived; ids in hexadecimal, `parent` "" for a root."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    failed: bool
    notes: dict[str, Any]


@dataclass
class Collector:
    """`url` is what MNEME_OTLP_ENDPOINT takes; `raw` is all that came, undecoded but unpacked."""

    url: str = ""
    spans: list[Kept] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def named(self, name: str) -> list[Kept]:
        """Those of this name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Kept:
        """The only span of this name."""
        (found,) = self.named(name)
        return found

    def under(self, parent: Kept) -> set[str]:
        """The names of a span's children."""
        return {span.name for span in self.spans if span.parent == parent.id}

    def take(self, body: bytes) -> None:
        """One export."""
        self.raw.append(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resources.append(_notes(resource.resource.attributes))
            self.spans += [_kept(span) for scope in resource.scope_spans for span in scope.spans]


@contextmanager
def collector() -> Iterator[Collector]:
    """Listening while the context is open; in a thread, because exporters wait for it while the loop is closed."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            kept.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _kept(span: Any) -> Kept:
    return Kept(
        span.name,
        KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == 2,
        _notes(span.attributes),
    )


def _notes(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)
