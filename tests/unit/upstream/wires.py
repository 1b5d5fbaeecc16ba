"""A connection without a socket: a line on a transport that only notes what is done to it, fed in any pieces."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.upstream.line import Line


@dataclass
class Transport:
    """What a line asks of a transport."""

    written: bytearray = field(default_factory=bytearray)
    aborted: bool = False
    paused: bool = False

    def write(self, data: bytes) -> None:
        """Note it."""
        self.written += data

    def abort(self) -> None:
        """Note it."""
        self.aborted = True

    def is_closing(self) -> bool:
        """Since it was aborted."""
        return self.aborted

    def pause_reading(self) -> None:
        """Note it."""
        self.paused = True

    def resume_reading(self) -> None:
        """Note it."""
        self.paused = False

    def get_write_buffer_size(self) -> int:
        """Everything leaves at once."""
        return 0


@dataclass
class Heard:
    """What an asker got."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def new(first_byte: float = 60.0, idle: float = 60.0) -> tuple[Line, Transport]:
    """A line that was just connected."""
    line, transport = Line(first_byte, idle), Transport()
    line.connection_made(transport)
    return line, transport


def ask(line: Line, *, bodiless: bool = False) -> None:
    """Any request without a body."""
    line.ask(b"GET / HTTP/1.1\r\n\r\n", b"", chunked=False, bodiless=bodiless)


@asynccontextmanager
async def asked(*, bodiless: bool = False) -> AsyncIterator[tuple[Line, Transport]]:
    """A new line with a request on its way."""
    line, transport = new()
    ask(line, bodiless=bodiless)
    try:
        yield line, transport
    finally:
        await line.release()


def feed(line: Line, data: bytes, cuts: Sequence[int] = (), *, close: bool = False) -> None:
    """Let it arrive in pieces that end at `cuts`, and then, with `close`, the end of the connection."""
    ends = [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in zip([0, *ends], ends, strict=False):
        if begin < end and line.open:
            line.data_received(data[begin:end])
    if close:
        if line.open:
            line.eof_received()
        line.connection_lost(None)


async def heard(line: Line) -> Heard:
    """The whole answer; raises what the line raises, and TimeoutError when it would wait for ever."""
    body = bytearray()
    async with asyncio.timeout(5):
        await line.head()
        while data := await line.read():
            body += data
    return Heard(line.status, line.headers, bytes(body))
