"""What changes while somebody looks: server-sent events, each a piece of a page. Knows no API of its own.

A stream ends when the gateway stops, so that an open page never holds up its end; browsers come back by themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response, StreamingResponse

from gateway.errors import MnemeError
from gateway.pages.visitor import Visitor

_EVERY = 2.0
_PAGE = 20
_LONGEST = 600.0  # a revoked key, or a cookie that ran out, looks on no longer than this


async def memories(visitor: Visitor) -> Response:
    """How many memories came in since the page was opened, as far as one page of the latest tells: counting all of them
    would cost much where there are many."""
    newest: float | None = None

    async def look() -> tuple[str, str] | None:
        nonlocal newest
        told = await visitor.api.get("/memories", order="latest", limit=_PAGE, **visitor.whose)
        said = [float(memory["at"]) for memory in told["items"]]
        if newest is None:
            newest = max(said, default=0.0)
        more = sum(at > newest for at in said)
        return ("grown", visitor.fill("parts/grown.html", more=more, most=_PAGE)) if more else None

    return stream(visitor, look)


def stream(visitor: Visitor, look: Callable[[], Awaitable[tuple[str, str] | None]], every: float = _EVERY) -> Response:
    """Look again and again, and send what is new: an event's name and its HTML, None for nothing. What the API cannot
    tell now, it may tell the next time."""

    async def events() -> AsyncIterator[bytes]:
        yield b"retry: 3000\n\n"
        sent: tuple[str, str] | None = None
        ends = asyncio.get_running_loop().time() + _LONGEST
        while asyncio.get_running_loop().time() < ends:
            try:
                told = await look()
            except MnemeError:
                told = None
            if told is not None and told != sent:
                yield _event(*told)
                sent = told
            else:
                yield b": still here\n\n"  # or nobody would notice that the browser is gone
            try:
                async with asyncio.timeout(every):
                    await visitor.closing.wait()
                return
            except TimeoutError:
                continue

    return StreamingResponse(events(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"event: {name}\n{lines}\n".encode()
