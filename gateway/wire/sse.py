"""Server-sent events, as bytes: when a stream says that it is done, and what its events hold. Knows no JSON."""

import re
from collections.abc import Iterator

_DONE = re.compile(rb"[\r\n]data: ?\[DONE\]")
_TAIL = len(b"\ndata: [DONE]") - 1
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class EndMark:
    """Tells when `data: [DONE]` has passed. Keeps a few bytes, so that any way of cutting the stream gives the same."""

    __slots__ = ("_passed", "_tail")

    def __init__(self) -> None:
        self._tail = b"\n"  # the stream begins at a line's beginning; later tails begin anywhere
        self._passed = False

    def feed(self, chunk: bytes) -> bool:
        """True from the piece on that completes the mark."""
        if not self._passed:
            window = self._tail + chunk
            if b"[DONE]" in window and _DONE.search(window):
                self._passed = True
            self._tail = window[-_TAIL:]
        return self._passed


def events(raw: bytes) -> Iterator[bytes]:
    """The data of each event, in order, by the rules of the HTML standard; a last event that was cut counts too."""
    data: list[bytes] = []
    for line in _LINE_END.split(raw.removeprefix(_BOM)):
        if not line:
            if data:
                yield b"\n".join(data)
            data = []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
    if data:
        yield b"\n".join(data)
