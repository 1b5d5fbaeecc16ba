"""Spans to an OpenTelemetry collector, by OTLP over HTTP, in the background. Imported only where a collector is named.

Names follow OpenTelemetry's semantic conventions for HTTP and for generative AI (the latter are in development;
docs/observability.md lists what is kept of them). A collector that is away costs spans, and nothing else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import __version__
from gateway.errors import MnemeError
from gateway.tracing import Headers, Notes, Said, Span

# How long the collector may take to answer, in seconds: it is waited for once more when the gateway stops.
_PATIENCE = 3
_OPERATIONS = {
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/responses": "chat",
    "/messages": "chat",
}
# Of the body's members, those that the conventions have an attribute for; and the types in which they are believed.
_ASKED: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "stream": ("gen_ai.request.stream", bool),
    "max_tokens": ("gen_ai.request.max_tokens", int),
    "max_completion_tokens": ("gen_ai.request.max_tokens", int),
    "temperature": ("gen_ai.request.temperature", (int, float)),
    "top_p": ("gen_ai.request.top_p", (int, float)),
    "n": ("gen_ai.request.choice.count", int),
}
_LONGEST_NAME = 200
_NONE: Notes = {}
_carrier = TraceContextTextMapPropagator()
_CARRIED = frozenset(name.encode() for name in _carrier.fields)


@asynccontextmanager
async def open_otlp(endpoint: str, content: bool) -> AsyncIterator["Otlp"]:
    """A tracer that sends to `endpoint`/v1/traces while this is open; what it still holds leaves at the end. What
    OTEL_* says about headers, certificates, sampling and the resource is obeyed."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_PATIENCE)
    ours = Resource.create({"service.name": "mneme", "service.version": __version__})
    resource = ours.merge(OTELResourceDetector().detect())  # create would let ours prevail
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield Otlp(provider.get_tracer("mneme", __version__), content)
    finally:
        await asyncio.to_thread(provider.shutdown)


class _Kept:
    """A span of OpenTelemetry's."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span
        self.noted = False

    def note(self, notes: Notes) -> None:
        self.noted = True
        self.span.set_attributes(notes)

    def rename(self, name: str) -> None:
        self.span.update_name(name)

    def ended(self, status: int, broke: MnemeError | None = None) -> None:
        self.span.set_attribute("http.response.status_code", status)
        if broke is not None:
            self.fail(_kind(broke))
        elif status >= self._failing:
            self.fail(str(status))

    def fail(self, kind: str) -> None:
        """Its kind only: what an exception says may quote what it choked on."""
        self.noted = True
        self.span.set_attribute("error.type", kind)
        self.span.set_status(StatusCode.ERROR)

    @property
    def _failing(self) -> int:
        """What the caller did wrong is an error of the one who asks, and none of the one who answers."""
        return 500 if getattr(self.span, "kind", None) == SpanKind.SERVER else 400


class Otlp:
    """See tracing.Tracer."""

    def __init__(self, tracer: trace.Tracer, content: bool) -> None:
        self._tracer = tracer
        self.keeps, self.content = True, content

    @contextmanager
    def request(self, name: str, headers: Mapping[bytes, bytes]) -> Iterator[Span]:
        told = {name.decode(): headers[name].decode("latin-1") for name in _CARRIED if name in headers}
        with self._open(name, SpanKind.SERVER, _NONE, _carrier.extract(told, Context())) as span:
            yield span

    @contextmanager
    def asking(self, path: str, url: str, fields: Mapping[str, Any]) -> Iterator[Span]:
        operation, model = _OPERATIONS.get(path.partition("?")[0], ""), fields.get("model")
        notes = _address(url)
        if operation:
            notes |= {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai"} | _asked(fields)
        if self.content and isinstance(fields.get("messages"), list):
            notes["gen_ai.input.messages"] = _messages(fields["messages"])
        name = f"{operation or 'ask'} {model[:_LONGEST_NAME] if isinstance(model, str) else ''}"
        with self._open(name.rstrip(), SpanKind.CLIENT, notes) as span:
            yield span

    def span(self, name: str, notes: Notes = _NONE) -> AbstractContextManager[Span]:
        return self._open(name, SpanKind.INTERNAL, notes)

    def memory(self, operation: str, notes: Notes = _NONE) -> AbstractContextManager[Span]:
        return self._open(operation, SpanKind.CLIENT, {"gen_ai.operation.name": operation, **notes})

    @contextmanager
    def look(self, name: str) -> Iterator[Span]:
        span = self._tracer.start_span(name, Context())
        kept = _Kept(span)
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                yield kept
            except BaseException as error:  # whatever ends it is noted, and goes on
                kept.fail(_kind(error))
                raise
            finally:
                if kept.noted:  # a span that never ends is never sent
                    span.end()

    def note(self, notes: Notes) -> None:
        trace.get_current_span().set_attributes(notes)

    def answered(self, said: Said) -> None:
        span = trace.get_current_span()
        if not span.is_recording():
            return
        span.set_attributes(_answered(said))
        if self.content:
            spoken = {"role": "assistant", "parts": [{"type": "text", "content": said.text}]}
            spoken["finish_reason"] = next(iter(said.finished), "")
            span.set_attribute("gen_ai.output.messages", json.dumps([spoken]))

    def onward(self, headers: Headers) -> Headers:
        told: dict[str, str] = {}
        _carrier.inject(told)
        ours = [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
        gone = _CARRIED if ours else frozenset()
        return [*((name, value) for name, value in headers if name not in gone), *ours]

    def trace(self) -> str:
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else ""

    @contextmanager
    def _open(self, name: str, kind: SpanKind, notes: Notes, parent: Context | None = None) -> Iterator[_Kept]:
        with self._tracer.start_as_current_span(
            name, parent, kind, notes, record_exception=False, set_status_on_exception=False
        ) as span:
            kept = _Kept(span)
            try:
                yield kept
            except BaseException as error:  # whatever ends it is noted, and goes on
                kept.fail(_kind(error))
                raise


def _kind(error: BaseException) -> str:
    return (error.code if isinstance(error, MnemeError) else None) or type(error).__name__


def _address(url: str) -> dict[str, Any]:
    """Without the credentials that may stand in it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


def _asked(fields: Mapping[str, Any]) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    for member, (attribute, kind) in _ASKED.items():
        value = fields.get(member)
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            notes[attribute] = value
    if isinstance(model := fields.get("model"), str):
        notes["gen_ai.request.model"] = model[:_LONGEST_NAME]
    return notes


def _answered(said: Said) -> dict[str, Any]:
    notes: dict[str, Any] = {"gen_ai.response.finish_reasons": list(said.finished)}
    for attribute, name in (("gen_ai.response.id", said.id), ("gen_ai.response.model", said.model)):
        if name:
            notes[attribute] = name[:_LONGEST_NAME]
    details = said.usage.get("prompt_tokens_details")
    counts = {
        "gen_ai.usage.input_tokens": said.usage.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": said.usage.get("completion_tokens"),
        "gen_ai.usage.cache_read.input_tokens": details.get("cached_tokens") if isinstance(details, dict) else None,
    }
    return notes | {attribute: count for attribute, count in counts.items() if type(count) is int}


def _messages(messages: Sequence[Any]) -> str:
    """As the conventions spell a history; parts that are no text are left out."""
    told = []
    for message in messages:
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        pieces = content if isinstance(content, list) else [{"text": content}]
        texts = [piece.get("text") for piece in pieces if isinstance(piece, dict)]
        parts = [{"type": "text", "content": text} for text in texts if isinstance(text, str)]
        told.append({"role": str(message.get("role")), "parts": parts})
    return json.dumps(told)
