"""The reader as an ASGI application: routes, bodies, server-sent events. Knows HTTP and no word of a prompt.

Serves /health, /v1/models, /v1/chat/completions and /v1/completions. Not embeddings: it has no model that could make
honest ones. A client that leaves ends its stream.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from uuid import uuid4

import orjson

from workers.reader import chat, completion
from workers.reader.errors import Refusal
from workers.reader.options import MODEL
from workers.reader.reply import Json, Reply

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_COMPLETE: Mapping[str, Callable[[bytes, int], Reply]] = {
    "/v1/chat/completions": chat.complete,
    "/v1/completions": completion.complete,
}
_PAGES = ("/health", "/v1/models")


class Reader:
    """`window` is the longest prompt with its answer, in tokens; `delay` passes before each chunk, in seconds."""

    def __init__(self, window: int, delay: float = 0.0) -> None:
        self._window, self._delay = window, delay
        self._started = int(time.time())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        path, method = scope["path"], scope["method"]
        if path not in _PAGES and path not in _COMPLETE:
            return await _send_json(send, 404, {"detail": "Not Found"})
        if method != ("GET" if path in _PAGES else "POST"):
            return await _send_json(send, 405, {"detail": "Method Not Allowed"})
        if path in _PAGES:
            return await (_send(send, 200, b"") if path == "/health" else _send_json(send, 200, self._models()))
        body = await _body(receive)
        if body is None:
            return None
        try:
            reply = await asyncio.to_thread(_COMPLETE[path], body, self._window)
        except Refusal as refusal:
            return await _send_json(send, refusal.status, refusal.body())
        id, created = (
            dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1") or uuid4().hex,
            int(time.time()),
        )
        if not reply.options.stream:
            return await _send_json(send, 200, reply.whole(id, created))
        return await _while_here(self._stream(send, reply.chunks(id, created)), receive)

    async def _stream(self, send: Send, chunks: Iterable[Json]) -> None:
        await send(_head(200, b"text/event-stream; charset=utf-8"))
        for chunk in chunks:
            await asyncio.sleep(self._delay)
            await send(_piece(b"data: " + orjson.dumps(chunk) + b"\n\n"))
        await send(_piece(b"data: [DONE]\n\n"))
        await send(_piece(b"", more=False))

    def _models(self) -> Json:
        model = {
            "id": MODEL,
            "object": "model",
            "created": self._started,
            "owned_by": "mneme",
            "root": MODEL,
            "parent": None,
            "max_model_len": self._window,
            "permission": [],
        }
        return {"object": "list", "data": [model]}


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if the client left before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _while_here(work: Any, receive: Receive) -> None:
    """Do the work until it is done or the client leaves."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        watching = group.create_task(_end_when_gone(working, receive))
        working.add_done_callback(lambda _: watching.cancel())


async def _end_when_gone(working: asyncio.Task[None], receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    working.cancel()


async def _send_json(send: Send, status: int, body: Json) -> None:
    await _send(send, status, orjson.dumps(body), b"application/json")


async def _send(send: Send, status: int, body: bytes, kind: bytes = b"text/plain") -> None:
    await send(_head(status, kind, (b"content-length", b"%d" % len(body))))
    await send(_piece(body, more=False))


def _head(status: int, kind: bytes, *more: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *more]}


def _piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
