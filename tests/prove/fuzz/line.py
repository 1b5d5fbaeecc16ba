"""One connection of a client that follows no rule: what is sent in which pieces, and what comes back. Knows no JSON."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.prove.fuzz.found import Found
from tests.prove.fuzz.subject import SILENCE

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) [A-Z]")
_WAIT = 3 * SILENCE
_BREATH = 0.001
_TRACES = (b"Traceback (most recent", b'.py", line ', b'.py\\", line ')


@dataclass(frozen=True)
class Heard:
    """All bytes that came back, the statuses in them, and whether the other side closed the connection."""

    raw: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """Of the answers, in order."""
        return [int(found[1]) for found in _STATUS.finditer(self.raw)]


async def exchange(port: int, pieces: Sequence[bytes], *, leaves: bool = False) -> Heard:
    """Send the pieces one after the other, so that each is read alone, and listen until the other side closes or has
    said nothing for longer than it waits for anything but a head. `leaves`: hang up at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(_BREATH)
        return Heard(b"", False) if leaves else await _listen(reader)
    finally:
        writer.transport.abort()


async def _listen(reader: asyncio.StreamReader) -> Heard:
    raw = b""
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(_WAIT):
                try:
                    more = await reader.read(1 << 16)
                except ConnectionError:
                    more = b""
            if not more:
                return Heard(raw, True)
            raw += more
    return Heard(raw, False)


def blame(sent: object, statuses: Sequence[int], raw: bytes) -> None:
    """Found, if one of the answers is a 5xx or tells a stack."""
    if any(status >= 500 for status in statuses):
        raise Found("5xx", f"{list(statuses)}\nsent {_short(sent)}\ngot {_short(raw)}")
    if any(trace in raw for trace in _TRACES):
        raise Found("other", f"a stack in an answer\nsent {_short(sent)}\ngot {_short(raw)}")


def _short(what: object) -> str:
    text = repr(what)
    return text if len(text) < 700 else f"{text[:500]} … {text[-150:]}"
