"""The contract of whoever keeps spans, and of nobody, who keeps none: what is done is done all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from gateway.errors import UpstreamBroke
from gateway.otlp import open_otlp
from gateway.tracing import UNTRACED, Said, Span, Tracer
from tests.support.collector import collector

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {b"traceparent": f"00-{TRACE}-b7ad6b7169203331-01".encode(), b"tracestate": b"a=b"}
HEADERS = [(b"accept", b"*/*"), (b"x-odd", b"\xff\xfe")]

OPENINGS: dict[str, Callable[[Tracer], AbstractContextManager[Span]]] = {
    "request": lambda tracer: tracer.request("POST /v1/*", CALLER),
    "asking": lambda tracer: tracer.asking("/chat/completions", "http://127.0.0.1:1/v1", {}),
    "span": lambda tracer: tracer.span("admit"),
    "memory": lambda tracer: tracer.memory("search_memory"),
    "look": lambda tracer: tracer.look("reflect"),
}
opened = pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)


@pytest.fixture(params=["nobody", "otlp"])
async def tracer(request: pytest.FixtureRequest) -> AsyncIterator[Tracer]:
    """One of them."""
    if request.param == "nobody":
        yield UNTRACED
        return
    with collector() as kept:
        async with open_otlp(kept.url, content=False) as tracer:
            yield tracer


@opened
async def test_what_is_raised_in_a_span_comes_out(
    tracer: Tracer, opening: Callable[[Tracer], AbstractContextManager[Span]]
) -> None:
    """As itself, also what ends a task."""
    for error in (UpstreamBroke("x"), ValueError("x"), asyncio.CancelledError()):
        with pytest.raises(type(error)) as raised, opening(tracer):
            raise error

        assert raised.value is error


@opened
async def test_anything_may_be_said_of_a_span(
    tracer: Tracer, opening: Callable[[Tracer], AbstractContextManager[Span]]
) -> None:
    """A name, notes, a status, an error; and, inside, of the innermost one."""
    with opening(tracer) as span:
        span.rename("another")
        span.note({"mneme.turns": 1, "mneme.request.id": ["a", "b"], "mneme.whole": True})
        tracer.note({"mneme.tokens": 2})
        tracer.answered(Said("", "", [], {"prompt_tokens": "many", "prompt_tokens_details": 3}, ""))
        span.ended(502, UpstreamBroke("x"))


@pytest.mark.parametrize(
    "fields",
    [
        {"model": None, "messages": None},
        {"model": 3, "messages": [None, {"content": 3}, {"role": "user", "content": [{"text": 1}, "x"]}]},
        {"stream": "yes", "max_tokens": True, "temperature": "hot", "n": [1], "top_p": None},
    ],
)
async def test_a_body_may_hold_anything(tracer: Tracer, fields: dict[str, Any]) -> None:
    """What is no number, no word, no message is no attribute."""
    with tracer.asking("/chat/completions?x=1", "https://user:pass@host/v1", fields) as span:
        span.ended(200)


async def test_headers_go_on_as_they_are(tracer: Tracer) -> None:
    """All but those that name the trace, in order and byte for byte."""
    with tracer.request("POST /v1/*", CALLER):
        onward = tracer.onward([*HEADERS, *CALLER.items()])

    assert onward[:2] == HEADERS
    assert [name for name, _ in onward] == [b"accept", b"x-odd", b"traceparent", b"tracestate"]
    assert TRACE.encode() in dict(onward)[b"traceparent"]


async def test_outside_of_a_span_nothing_is_named(tracer: Tracer) -> None:
    """No trace goes on, and headers stay as they are."""
    tracer.note({"mneme.turns": 1})

    assert tracer.trace() == ""
    assert tracer.onward(HEADERS) == HEADERS
