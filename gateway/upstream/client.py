"""One worker over HTTP: sends bytes, yields bytes, maps every transport error. Never looks inside a body."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from gateway.errors import BadRequest, UpstreamBroke, UpstreamTimeout
from gateway.upstream.line import Line, NotHttp, Silence
from gateway.upstream.origin import Origin

Headers = list[tuple[bytes, bytes]]
Body = bytes | AsyncIterator[bytes]

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding"
    b" upgrade host".split()
)
# The key was issued by us and for us; `expect` was answered by our own server, and a worker that knows no 100 would be
# waited for in vain.
_OURS = frozenset((b"authorization", b"expect"))
_OUR_PREFIX = b"x-mneme-"
# vLLM and uvicorn close an idle connection after 5 s; ours must go first (gateway-peers: the keep-alive race).
_KEEP_ALIVE = 4.0
_STATUSES = range(200, 600)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NO_BODY_EXPECTED = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
_NOT_HTTP = "The worker's answer is not HTTP."
_UNSAFE = "The request's method, path or headers cannot be written as HTTP."


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: to connect, for the first byte, between two bytes. There is no total."""

    connect: float
    first_byte: float
    idle: float


class Answer:
    """A worker's answer whose head has arrived. `chunks` yields the body's bytes as they come, still encoded."""

    def __init__(self, line: Line, idle: float) -> None:
        self._line = line
        self._idle = idle
        self.status = line.status
        self.headers: Headers = _end_to_end(line.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises UpstreamBroke when the body ends too early, UpstreamTimeout when it falls silent."""
        while not self.ended:
            try:
                chunk = await self._line.read()
            except Silence:
                raise UpstreamTimeout(f"The worker sent nothing for {self._idle:g} s.") from None
            except (ConnectionError, NotHttp) as broke:
                raise UpstreamBroke("The worker's answer broke off.") from broke
            if chunk:
                yield chunk

    @property
    def ended(self) -> bool:
        """Whether `chunks` has yielded the last byte."""
        return self._line.drained

    async def whole(self) -> bytes:
        """The rest of the body at once; for answers known to be short, such as a refusal."""
        return b"".join([chunk async for chunk in self.chunks()])

    def close(self) -> None:
        """Abort, unless it has ended: the worker sees its connection close and stops generating."""
        if not self._line.ended:
            self._line.abort()


@dataclass(frozen=True, slots=True)
class _Request:
    head: bytes
    body: Body
    chunked: bool
    bodiless: bool


class Upstream:
    """Connections to one base URL such as http://127.0.0.1:8000/v1; those at rest are kept for a while.

    SettingsRefused when the URL or the key cannot be used. `at` is the address to connect to, where the URL's host has
    several.
    """

    def __init__(self, base_url: str, key: str, patience: Patience, at: str = "") -> None:
        self._origin = Origin.read(base_url, key, at)
        self._patience = patience
        self._resting: list[tuple[float, Line]] = []
        self._busy: set[Line] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cut all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        lines = [*self._busy, *(line for _, line in self._resting)]
        self._resting.clear()
        for line in lines:
            line.abort()
        await asyncio.sleep(0)  # the loop closes them in its next round

    @asynccontextmanager
    async def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        body: Body,
        *,
        beside: bool = False,
        within: float = math.inf,
    ) -> AsyncIterator[Answer]:
        """One request. `path` begins after the base URL, or after what stands before its /v1 when it is to go `beside`,
        and may carry a query, both as raw text. `within` is how many seconds connecting may take at most.

        Asks again only when nothing can have been done: the connection was an old one that the worker had already
        closed, and not one byte came back. What the body's own source raises comes out as it is. BadRequest when
        method, path or headers would not stay what they are on the wire.
        """
        request = self._request(method, path, headers, body, self._origin.site if beside else self._origin.root)
        within = min(within, self._patience.connect)
        line = self._rested() or await self._connect(within)
        try:
            try:
                await self._ask(line, request)
            except _StaleConnection:
                await self._leave(line)
                line = await self._connect(within)
                await self._ask(line, request)
            yield self._answer(line)
        finally:
            await self._leave(line)

    async def _ask(self, line: Line, request: _Request) -> None:
        self._busy.add(line)
        line.ask(request.head, request.body, chunked=request.chunked, bodiless=request.bodiless)
        try:
            await line.head()
        except Silence:
            raise UpstreamTimeout(f"The worker sent no first byte in {self._patience.first_byte:g} s.") from None
        except NotHttp as broke:
            raise UpstreamBroke(_NOT_HTTP) from broke
        except ConnectionError as broke:
            if not line.heard and isinstance(request.body, bytes):
                if line.used:
                    raise _StaleConnection("The worker had closed an idle connection.") from broke
                if not line.sent:
                    raise Unsent("The worker closed the connection before it had the whole request.") from broke
            raise UpstreamBroke("The worker closed the connection before it answered.") from broke

    def _answer(self, line: Line) -> Answer:
        answer = Answer(line, self._patience.idle)
        if answer.status not in _STATUSES or _CONTROL.search(b"".join([value for _, value in line.headers])):
            raise UpstreamBroke(_NOT_HTTP)
        return answer

    async def _connect(self, within: float) -> Line:
        return await self._origin.connect(lambda: Line(self._patience.first_byte, self._patience.idle), within)

    async def _leave(self, line: Line) -> None:
        """Nothing more is wanted of it; if it is whole, it rests until it is asked again."""
        if line not in self._busy:
            return
        self._busy.discard(line)
        if await line.release():
            now = asyncio.get_running_loop().time()
            self._resting.append((now, line))
            if self._sweeper is None:
                self._sweep(now)

    def _rested(self) -> Line | None:
        """The connection that was used last, so that those beyond need go cold and are closed."""
        now = asyncio.get_running_loop().time()
        while self._resting:
            since, line = self._resting.pop()
            if line.open and now - since < _KEEP_ALIVE:
                return line
            line.abort()
        return None

    def _sweep(self, now: float | None = None) -> None:
        """Close what has rested for too long. One timer for all, while any rests."""
        loop = asyncio.get_running_loop()
        now = loop.time() if now is None else now
        while self._resting and now - self._resting[0][0] >= _KEEP_ALIVE:
            self._resting.pop(0)[1].abort()
        since = self._resting[0][0] if self._resting else None
        self._sweeper = None if since is None else loop.call_at(since + _KEEP_ALIVE, self._sweep)

    def _request(
        self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]], body: Body, root: bytes
    ) -> _Request:
        """The caller's headers go along byte for byte, less hop-by-hop ones and ours; a length is that of the body we
        send."""
        size = len(body) if isinstance(body, bytes) else None
        kept, told = list(self._origin.headers), False
        for name, value in _end_to_end(headers):
            if name in _OURS or name.startswith(_OUR_PREFIX):
                continue
            if name == b"content-length":
                told = True
                value = value if size is None else b"%d" % size
            kept.append(name + b": " + value)
        chunked = size is None and not told
        if chunked:
            kept.append(b"transfer-encoding: chunked")
        elif not told and (size or method not in _NO_BODY_EXPECTED):
            kept.append(b"content-length: %d" % (size or 0))
        return _Request(_head(method, root, path, kept), body, chunked, method == "HEAD")


class Unsent(UpstreamBroke):
    """The worker has not got the whole request, and said nothing: it cannot have acted on it."""


class _StaleConnection(UpstreamBroke):
    """A connection at rest that the worker had closed: nothing was read, asking once more is safe."""


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Without those that concern one connection only: the known ones, and those that `Connection` names."""
    kept = list(headers)
    gone = _HOP_BY_HOP
    for name, value in kept:
        if name.lower() == b"connection":
            gone = gone.union(token.strip().lower() for token in value.split(b","))
    return [(name, value) for name, value in kept if name.lower() not in gone]


def _head(method: str, root: bytes, path: str, lines: list[bytes]) -> bytes:
    try:
        target = root + path.encode("latin-1")
        first = b"%s %s HTTP/1.1" % (method.encode("ascii"), target if target[:1] == b"/" else b"/" + target)
    except UnicodeEncodeError:
        raise BadRequest(_UNSAFE) from None
    head = b"\r\n".join([first, *lines, b"", b""])
    ends = len(lines) + 2
    if len(first.split()) != 3 or head.count(b"\r") != ends or head.count(b"\n") != ends or b"\0" in head:
        raise BadRequest(_UNSAFE)
    return head
