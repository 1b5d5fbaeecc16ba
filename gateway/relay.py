"""The worker's bytes to the client, untouched, with a copy kept aside. Never parses, never re-frames.

Rule (promise 3): the last byte is held back until the turn is durable. In a stream that is the piece that completes
`data: [DONE]`; in any other answer it is the last piece.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import orjson

from gateway.errors import UpstreamError
from gateway.upstream.client import Answer, Headers
from gateway.wire.sse import EndMark

Learn = Callable[[bytes, bool], Awaitable[None]]
"""Told once what the worker said: the raw bytes, and whether they are all of it."""


class Client(Protocol):
    """The one who asked, as far as an answer is concerned."""

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head."""

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        """Send a piece of the body; with more=False the last one."""


async def relay(answer: Answer, client: Client, extra: Headers) -> UpstreamError | None:
    """Pass the answer on as it comes; what it broke off with, if it did."""
    await client.start(answer.status, answer.headers + extra)
    more = True
    try:
        async for chunk in answer.chunks():
            more = not answer.ended
            await client.write(chunk, more=more)
    except UpstreamError as broke:
        await _tell(answer, client, broke)
        return broke
    if more:
        await client.write(b"", more=False)
    return None


async def relay_and_learn(answer: Answer, client: Client, extra: Headers, learn: Learn) -> UpstreamError | None:
    """Pass the answer on as it comes; `learn` has returned before the client can know that it is whole. What it broke
    off with, if it did.

    When the client leaves, the upstream is aborted first and what was said so far is learned as a part.
    """
    copy = bytearray()
    await client.start(answer.status, answer.headers + extra)
    try:
        if is_stream(answer):
            await _stream(answer, client, copy, learn)
        else:
            await _whole(answer, client, copy, learn)
    except UpstreamError as broke:
        await learn(bytes(copy), False)
        await _tell(answer, client, broke)
        return broke
    except asyncio.CancelledError:
        answer.close()
        await learn(bytes(copy), False)
        raise
    return None


async def _stream(answer: Answer, client: Client, copy: bytearray, learn: Learn) -> None:
    end, learned = EndMark(), False
    async for chunk in answer.chunks():
        copy += chunk
        if not learned and end.feed(chunk):
            await learn(bytes(copy), True)
            learned = True
        await client.write(chunk)
    if not learned:
        await learn(bytes(copy), True)
    await client.write(b"", more=False)


async def _whole(answer: Answer, client: Client, copy: bytearray, learn: Learn) -> None:
    held = b""
    async for chunk in answer.chunks():
        copy += chunk
        if held:
            await client.write(held)
        held = chunk
    await learn(bytes(copy), True)
    await client.write(held, more=False)


async def _tell(answer: Answer, client: Client, broke: UpstreamError) -> None:
    """The head has gone, so the status cannot change: a stream gets an error event, anything else stays unfinished,
    which the server turns into a connection closed too early, as the worker's was."""
    if is_stream(answer) and not any(name.lower() == b"content-length" for name, _ in answer.headers):
        await client.write(b"\n\ndata: " + orjson.dumps(broke.body()) + b"\n\n", more=False)


def plain_coding(headers: Headers) -> Headers:
    """The headers of a question whose answer must be read here: they ask for no compression."""
    return [*((n, v) for n, v in headers if n != b"accept-encoding"), (b"accept-encoding", b"identity")]


def is_stream(answer: Answer) -> bool:
    """Whether the answer is a stream of server-sent events."""
    return any(n.lower() == b"content-type" and v.lower().startswith(b"text/event-stream") for n, v in answer.headers)
