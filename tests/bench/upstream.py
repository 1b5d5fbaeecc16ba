"""A worker that costs next to nothing, so that what is measured is the way to it. Knows HTTP framing and no JSON.

A request says in fields that every gateway passes on what it wants: `max_tokens` events, `seed` milliseconds apart.
"""

import asyncio
import re
import sys
from typing import Any

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n"
_WHOLE = _HEAD % b"application/json" + b"content-length: %d\r\n\r\n%s"
_STREAM = _HEAD % b"text/event-stream" + b"transfer-encoding: chunked\r\n\r\n"
_MODELS = b'{"object":"list","data":[{"id":"bench","object":"model","created":1,"owned_by":"bench"}]}'
_ANSWER = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1,"model":"bench","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"She keeps them in a garden behind the old mill, as she told you in spring."},'
    b'"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":18,"total_tokens":58}}'
)
_DELTA = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"bench","choices":[{"index":0,'
    b'"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}\n\n'
)
_STOP = _DELTA.replace(b'"finish_reason":null', b'"finish_reason":"stop"').replace(b'{"content":" word"}', b"{}")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_EVENTS = re.compile(rb'"max_tokens":\s*(\d+)')
_GAP = re.compile(rb'"seed":\s*(\d+)')


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_EVENT, _LAST = _chunk(_DELTA), _chunk(_STOP) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Worker(asyncio.Protocol):
    """One connection; requests come one after another."""

    def connection_made(self, transport: Any) -> None:
        """Start with nothing read."""
        self._transport: asyncio.Transport = transport
        self._loop = asyncio.get_running_loop()
        self._read = b""

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is whole."""
        self._read += data
        end = self._read.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        length = _LENGTH.search(self._read, 0, end)
        if length is None and self._read.startswith(b"POST"):
            whole = self._read.endswith(b"0\r\n\r\n")
        else:
            whole = len(self._read) >= end + (int(length[1]) if length else 0)
        if whole:
            request, self._read = self._read, b""
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET"):
            self._transport.write(_WHOLE % (len(_MODELS), _MODELS))
            return
        if b'"stream":true' not in request and b'"stream": true' not in request:
            self._transport.write(_WHOLE % (len(_ANSWER), _ANSWER))
            return
        events, gap = _EVENTS.search(request), _GAP.search(request)
        self._transport.write(_STREAM)
        self._next(int(events[1]) if events else 1, int(gap[1]) / 1000 if gap else 0)

    def _next(self, left: int, gap: float) -> None:
        """Each event leaves in a turn of the loop of its own, so that none is merged with the next one here."""
        if self._transport.is_closing():
            return
        if left <= 1:  # the last one closes the answer and comes with [DONE], as vLLM sends them
            self._transport.write(_LAST)
            return
        self._transport.write(_EVENT)
        if gap:
            self._loop.call_later(gap, self._next, left - 1, gap)
        else:
            self._loop.call_soon(self._next, left - 1, gap)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Worker, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
