"""A client that sends and reads bytes over a real socket, so that nothing between the test and the wire mends them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.settings import LOCAL_KEY

Headers = Sequence[tuple[bytes, bytes]]
KEY: tuple[bytes, bytes] = (b"authorization", b"Bearer " + LOCAL_KEY.encode())
OFF: tuple[bytes, bytes] = (b"x-mneme-memory", b"off")
CHAT = b"/v1/chat/completions"


@dataclass(frozen=True)
class Response:
    """An answer as it came: header names in lower case, the body without its framing; `whole` if it ended properly."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool

    def header(self, name: bytes) -> bytes | None:
        """The last value of a header."""
        return dict(self.headers).get(name)

    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body)

    @property
    def skipped(self) -> list[bytes]:
        """What memory says it skipped."""
        return (self.header(b"x-mneme-skipped") or b"").split(b",")


@dataclass
class Wire:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes; a connection that the other side has closed is no error, its answer is read all the same."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return

    async def head(self) -> Response:
        """The head of the next answer, its body unread."""
        lines = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        pairs = [line.partition(b":") for line in lines[1:]]
        return Response(int(lines[0].split(b" ")[1]), [(n.lower(), v.strip()) for n, _, v in pairs], b"", False)

    async def response(self, *, bodiless: bool = False) -> Response:
        """The next answer, whole or cut."""
        head = await self.head()
        if bodiless or head.status in (204, 304):
            return Response(head.status, head.headers, b"", True)
        if head.header(b"transfer-encoding") == b"chunked":
            body, whole = await self._chunks()
        elif (length := head.header(b"content-length")) is not None:
            body, whole = await self._exactly(int(length))
        else:
            body, whole = await self.reader.read(), True
        return Response(head.status, head.headers, body, whole)

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readline()
        return data

    async def ask(self, method: bytes, target: bytes, body: bytes = b"", headers: Headers = (KEY,)) -> Response:
        """Send a whole request and read its answer."""
        await self.send(request(method, target, body, headers))
        return await self.response(bodiless=method == b"HEAD")

    def leave(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()

    async def _chunks(self) -> tuple[bytes, bool]:
        body = b""
        try:
            while data := await self.chunk():
                body += data
        except (ValueError, asyncio.IncompleteReadError, ConnectionError):
            return body, False
        return body, True

    async def _exactly(self, length: int) -> tuple[bytes, bool]:
        try:
            return await self.reader.readexactly(length), True
        except asyncio.IncompleteReadError as cut:
            return cut.partial, False


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """A connection to 127.0.0.1; gone at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def request(method: bytes, target: bytes, body: bytes = b"", headers: Headers = (KEY,)) -> bytes:
    """A request's bytes; a content-length is added where there is a body and no framing of it."""
    given = {name.lower() for name, _ in headers}
    lines = [method + b" " + target + b" HTTP/1.1"]
    if b"host" not in given:
        lines.append(b"host: localhost")
    lines += [name + b": " + value for name, value in headers]
    if body and not given & {b"content-length", b"transfer-encoding"}:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def ask(port: int, method: bytes, target: bytes, body: bytes = b"", headers: Headers = (KEY,)) -> Response:
    """One request on a connection of its own."""
    async with wire(port) as connection:
        return await connection.ask(method, target, body, headers)


async def chat(port: int, text: str, *extra: tuple[bytes, bytes], **fields: Any) -> Response:
    """One question to the chat route, as the local user; `extra` headers, `fields` of the body."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    headers = (KEY, (b"content-type", b"application/json"), *extra)
    return await ask(port, b"POST", CHAT, orjson.dumps(body), headers)
