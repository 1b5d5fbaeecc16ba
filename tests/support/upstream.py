"""A worker that says what the test tells it to, byte by byte, over a real socket. Knows HTTP framing and no JSON."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Headers = Sequence[tuple[bytes, bytes]]
SSE: Headers = ((b"content-type", b"text/event-stream; charset=utf-8"),)
JSON: Headers = ((b"content-type", b"application/json"),)


@dataclass(frozen=True)
class Received:
    """One request as it arrived: the target after the host, raw headers with lower-case names, the body's bytes."""

    method: bytes
    target: bytes
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The last value of a header."""
        return dict(self.headers).get(name)


@dataclass(frozen=True)
class Reply:
    """What to answer. `chunks` go out one by one, `pause` seconds before each; a single chunk without `chunked` gets a
    content-length. `wait` seconds pass before the head. `drop` cuts the connection after the chunks; `hang` leaves it
    open and silent. `held` keeps the last chunk back until it is set. `raw` is sent as it stands, in place of head and
    chunks."""

    status: int = 200
    headers: Headers = JSON
    chunks: Sequence[bytes] = (b"{}",)
    chunked: bool = False
    pause: float = 0.0
    wait: float = 0.0
    drop: bool = False
    hang: bool = False
    held: asyncio.Event | None = None
    raw: bytes = b""


@dataclass
class Upstream:
    """`url` is the base URL with /v1. `replies` are used up in order; then `answering`, if any, makes up an answer;
    then `default` answers. What the gateway asks for by itself has its own answers and does not stand in `received`:
    GET /v1/models, GET /kv and GET /kv/requests (a stock worker's, unless told otherwise), and POST /tokenize, which
    stands in `counted`.
    """

    url: str = ""
    default: Reply = field(default_factory=Reply)
    answering: Callable[[Received], Reply] | None = None
    models: Reply = field(default_factory=lambda: Reply(chunks=(b'{"object":"list","data":[]}',)))
    kv: Reply = field(default_factory=lambda: Reply(404, chunks=(b'{"detail":"Not Found"}',)))
    held: Reply = field(default_factory=lambda: Reply(404, chunks=(b'{"detail":"Not Found"}',)))
    tokenize: Reply = field(default_factory=lambda: Reply(404, chunks=(b'{"detail":"Not Found"}',)))
    counted: list[Received] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    asked: Received | None = None
    """The last question for /kv/requests."""
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away before its answer was whole."""
    connections: int = 0

    def reply(self, *replies: Reply) -> None:
        """Say this next."""
        self.replies += replies

    def next(self, received: Received) -> Reply:
        """What to say to this; notes it."""
        if received.method == b"GET" and received.target == b"/v1/models":
            return self.models
        if received.method == b"GET" and received.target == b"/kv":
            return self.kv
        if received.method == b"GET" and received.target == b"/kv/requests":
            self.asked = received
            return self.held
        if received.target == b"/tokenize":
            self.counted.append(received)
            return self.tokenize
        self.received.append(received)
        if self.replies:
            return self.replies.pop(0)
        return self.answering(received) if self.answering else self.default


@asynccontextmanager
async def scripted_upstream(port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[Upstream]:
    """A scripted worker on a loopback address; every open connection is cut at the end."""
    upstream = Upstream()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        upstream.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await _converse(upstream, reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, port, limit=1 << 26)
    upstream.url = f"http://{host}:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield upstream
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _converse(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        reply = upstream.next(await _read(reader))
        answering = asyncio.ensure_future(_answer(writer, reply))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done() or isinstance(answering.exception(), ConnectionError):
            upstream.aborted.set()
            answering.cancel()
            gone.cancel()
            return
        answering.result()
        if reply.drop:
            gone.cancel()
            return
        first = await gone
        if not first:
            return
        reader._buffer[:0] = first  # type: ignore[attr-defined]  # the peeked byte belongs to the next request


async def _read(reader: asyncio.StreamReader) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    method, target, _ = first.split(b" ", 2)
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    fields = dict(headers)
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
    return Received(method, target, headers, body)


async def _answer(writer: asyncio.StreamWriter, reply: Reply) -> None:
    await asyncio.sleep(reply.wait)
    if reply.raw:
        writer.write(reply.raw)
        await writer.drain()
        return
    chunked = reply.chunked or len(reply.chunks) != 1 or reply.hang
    head = [b"HTTP/1.1 %d X" % reply.status, *(name + b": " + value for name, value in reply.headers)]
    head.append(b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(reply.chunks[0]))
    writer.write(b"\r\n".join(head) + b"\r\n\r\n")
    for left, chunk in zip(range(len(reply.chunks), 0, -1), reply.chunks, strict=True):
        await asyncio.sleep(reply.pause)
        if reply.held and left == 1:
            await reply.held.wait()
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
        await writer.drain()
    if reply.hang:
        await asyncio.sleep(3600)
    if chunked and not reply.drop:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
