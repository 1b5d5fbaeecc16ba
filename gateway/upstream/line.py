"""One HTTP/1.1 connection to a worker, over httptools: bytes in, bytes out. Knows no header's meaning beyond framing,
and no error of ours.

Written for this path because a general client costs more CPU than all the rest of a request (make bench), and because
a gateway must know two things that general clients keep to themselves: whether a connection had been used before, and
whether a byte of the answer came back.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httptools

# What is held of an answer that its client does not fetch, before the worker is made to wait; what is larger than that
# goes out in pieces, so that writing it never holds up the other answers.
_HELD = 1 << 18
# Of a head, and of what may come between two pieces of a body: chunk extensions, trailers.
_LONGEST = 1 << 16
_SWITCHING = 101
_CODING = b"transfer-encoding"


class NotHttp(Exception):
    """What came back cannot be read."""


class Silence(Exception):
    """Nothing came for as long as the asker was ready to wait."""


class Line(asyncio.Protocol):
    """Asked once at a time: `ask`, `head`, `read` until b"", `release`. `used`: it has carried an answer before;
    `heard`: some of this answer has come. `first_byte` and `idle` are seconds of silence that fail a request."""

    def __init__(self, first_byte: float, idle: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._first_byte, self._idle = first_byte, idle
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport
        self._clock: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._upload: asyncio.Task[None] | None = None
        self._body: list[bytes] = []
        self.used = self.heard = self.lost = False
        self.ended = True
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.failed: Exception | None = None

    def connection_made(self, transport: Any) -> None:
        """Called by the loop."""
        self._transport = transport

    def ask(self, head: bytes, body: bytes | AsyncIterator[bytes], *, chunked: bool, bodiless: bool) -> None:
        """Send a request. A body that is not bytes goes out as it comes, and what its source raises becomes the
        request's failure. `chunked`: it needs that framing; `bodiless`: the answer has no body, because HEAD was asked.
        """
        self.heard = self.ended = self._head_whole = self._keep = self._paused = False
        self.headers, self._body, self._held, self._framing = [], [], 0, 0
        self._bodiless, self._patience = bodiless, self._first_byte
        self._parser = httptools.HttpResponseParser(self)
        self._touched, self._unsent, self._sent = self._loop.time(), 0, False
        if not self.open:  # lost, or spoken to before it was asked
            self._fail(ConnectionResetError())
            return
        self._clock = self._loop.call_later(min(self._first_byte, self._idle), self._check)
        if isinstance(body, bytes) and len(body) < _HELD:
            self._transport.write(head + body)
            self._sent = True
            return
        self._transport.write(head)
        pieces = _sliced(body) if isinstance(body, bytes) else body
        self._upload = self._loop.create_task(self._send(pieces, chunked))  # awaited in release

    async def head(self) -> None:
        """Returns when `status` and `headers` are there; raises ConnectionError, NotHttp, Silence, or what the body's
        own source raised."""
        while not self._head_whole:
            if self.failed is not None:
                raise self.failed
            await self._wait()

    async def read(self) -> bytes:
        """The next bytes of the body, b"" after the last; raises like `head`."""
        while not self._body:
            if self.ended:
                return b""
            if self.failed is not None:
                raise self.failed
            await self._wait()
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body, self._held = [], 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    @property
    def sent(self) -> bool:
        """Whether the whole request is on its way."""
        return self._sent

    @property
    def drained(self) -> bool:
        """Whether `read` has nothing more to give."""
        return self.ended and not self._body

    @property
    def open(self) -> bool:
        """Whether it can still be written to."""
        return not self.lost and not self._transport.is_closing()

    async def release(self) -> bool:
        """The answer is over or unwanted, and nothing of the request goes on. True if the connection can be asked
        again; it is closed if not. May be called twice."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        upload, self._upload = self._upload, None
        self.used = self.ended and self._keep and self._sent and not self._paused and self.open
        if not self.used:
            self.abort()
        if upload is not None:
            upload.cancel()
            await asyncio.wait((upload,))
        return self.used

    def abort(self) -> None:
        """Cut it; the worker sees that at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self.ended or self.failed is not None:  # nobody asked, or nobody listens any more
            self.abort()
            return
        self.heard, self._touched = True, self._loop.time()
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(NotHttp())
            return
        if self._framing > _LONGEST and not self.ended:
            self._fail(NotHttp())

    def eof_received(self) -> None:
        """Called by the loop. An answer without a length ends with its connection; any other is cut by that."""
        if self.ended:
            return
        if self._head_whole and self.failed is None and not self._framed():
            self._end()
        else:
            self._fail(ConnectionResetError())

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.lost = True
        self._writable.set()
        if not self.ended:
            self._fail(ConnectionResetError())

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._writable.set()

    def on_message_begin(self) -> None:
        """Called by the parser. Whoever begins a second answer to one question is not asked another."""
        if self.ended:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser, for trailers too."""
        if self._head_whole:
            return
        if len(name) == len(_CODING) and name.lower() == _CODING and value.rstrip(b" ").lower() != b"chunked":
            raise NotHttp  # nobody offered it (nor does the parser see through a tab); data_received is told
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Called by the parser, also for 100 Continue and the like, which are nobody's answer."""
        if self._head_whole:
            return
        self.status = self._parser.get_status_code()
        size = sum([len(name) + len(value) for name, value in self.headers])
        if size > _LONGEST or self.status < 100 or self.status == _SWITCHING:
            raise NotHttp
        if self.status < 200:
            self.headers = []
            return
        self._head_whole, self._patience, self._framing = True, self._idle, 0
        self._keep = self._parser.should_keep_alive() and not self._bodiless
        self.ended = self._bodiless
        self._wake()

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        if self.ended:
            return
        self._framing = 0
        self._body.append(data)
        self._held += len(data)
        if self._held > _HELD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._head_whole:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._wake()

    def _framed(self) -> bool:
        """Whether the answer itself says where its body ends."""
        return any(name.lower() in (b"content-length", _CODING) for name, _ in self.headers)

    async def _send(self, pieces: AsyncIterator[bytes], chunked: bool) -> None:
        try:
            async for piece in pieces:
                await self._writable.wait()
                if self.ended or self.failed is not None:  # an early answer: nobody reads the rest
                    return
                self._touched = self._loop.time()
                if piece:
                    self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                self._transport.write(b"0\r\n\r\n")
            self._sent = True
        except Exception as failed:  # noqa: BLE001  # whatever it is, it is the asker's to see
            self._fail(failed)

    def _check(self) -> None:
        """One timer per request, set anew only when it is due: most never are. What still leaves is no silence; nor is
        an answer that its own client does not fetch."""
        now, unsent = self._loop.time(), self._transport.get_write_buffer_size()
        if self._paused or unsent != self._unsent:
            self._touched, self._unsent = now, unsent
        rest = self._touched + self._patience - now
        if rest > 0:
            self._clock = self._loop.call_later(rest, self._check)
        elif not self.ended:
            self._fail(Silence())

    def _fail(self, error: Exception) -> None:
        self.failed = self.failed or error
        self.abort()
        self._wake()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def _sliced(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), _HELD):
        yield body[at : at + _HELD]
