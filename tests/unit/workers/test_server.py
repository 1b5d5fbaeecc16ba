"""The reader as an ASGI application, without a socket."""

import asyncio
from typing import Any

import orjson
import pytest

from workers.reader.server import Message, Reader

BODY = b'{"messages": [{"role": "user", "content": "Bees hum. Do bees hum?"}], "stream": true}'


class Client:
    """One request and what came back. The client stays until `leave` is set."""

    def __init__(self, method: str, path: str, *parts: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.scope = {"type": "http", "method": method, "path": path, "headers": headers}
        self.leave = asyncio.Event()
        self.status, self.body, self.ended = 0, b"", False
        self._parts = list(parts)

    async def receive(self) -> Message:
        """The body part by part, then the client's leaving."""
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Note what the reader says."""
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        self.ended = message.get("more_body") is False

    async def call(self, reader: Reader) -> Any:
        """Ask; the body parsed, if it is JSON."""
        async with asyncio.timeout(10):
            await reader(self.scope, self.receive, self.send)
        return orjson.loads(self.body) if self.body.startswith(b"{") else self.body


async def test_health_is_an_empty_200() -> None:
    """As vLLM's."""
    client = Client("GET", "/health")

    assert (await client.call(Reader(100)), client.status, client.ended) == (b"", 200, True)


async def test_models_tell_the_window() -> None:
    """vLLM's list, with the length that a prompt may have."""
    models = await Client("GET", "/v1/models").call(Reader(100))

    assert [(model["id"], model["owned_by"], model["max_model_len"]) for model in models["data"]] == [
        ("mneme-reader", "mneme", 100)
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("POST", "/v1/embeddings", 404, "Not Found"),
        ("GET", "/", 404, "Not Found"),
        ("GET", "/v1/chat/completions", 405, "Method Not Allowed"),
        ("POST", "/v1/models", 405, "Method Not Allowed"),
    ],
)
async def test_what_is_not_served_is_said_as_fastapi_does(method: str, path: str, status: int, detail: str) -> None:
    """vLLM leaves unknown paths and methods to its framework."""
    client = Client(method, path, b"{}")

    assert (await client.call(Reader(100)), client.status) == ({"detail": detail}, status)


async def test_a_body_may_come_in_parts() -> None:
    """And an id given by the caller names the answer."""
    client = Client("POST", "/v1/chat/completions", BODY[:20], BODY[20:], headers=((b"x-request-id", b"abc"),))
    await client.call(Reader(100))

    assert client.body.startswith(b'data: {"id":"chatcmpl-abc",')
    assert client.body.endswith(b"data: [DONE]\n\n")
    assert client.ended


async def test_a_client_that_leaves_ends_its_stream() -> None:
    """The work stops at once, not when the answer would have been whole."""
    client = Client("POST", "/v1/chat/completions", BODY)
    answering = asyncio.create_task(client.call(Reader(100, delay=3600)))
    while not client.status:
        await asyncio.sleep(0)
    client.leave.set()
    await answering

    assert (client.status, client.ended) == (200, False)


async def test_a_client_that_leaves_before_its_body_is_not_answered() -> None:
    """There is nobody to answer."""
    client = Client("POST", "/v1/chat/completions")
    client.leave.set()
    await client.call(Reader(100))

    assert client.status == 0
