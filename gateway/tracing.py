"""What spans are asked of whoever keeps them; and nobody, who keeps none and costs nothing. Knows no exporter.

Rule: an attribute never holds a user, a session or a key; a text only where a tracer was told to keep `content`.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from gateway.errors import MnemeError

Value = str | bool | int | float | Sequence[str]
Notes = Mapping[str, Value]
Headers = list[tuple[bytes, bytes]]
_NONE: Notes = {}
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Said:
    """What is told of a worker's whole answer; `usage` is the object of that name, `text` what the assistant said."""

    id: str
    model: str
    finished: Sequence[str]
    usage: Mapping[str, Any]
    text: str


class Span(Protocol):
    """One thing that takes time. It ends with the context that it was opened as; what that raises is its error."""

    def note(self, notes: Notes) -> None:
        """Say more about it."""

    def rename(self, name: str) -> None:
        """Its name, where that is known only later."""

    def ended(self, status: int, broke: MnemeError | None = None) -> None:
        """The HTTP status that it ended with, and what it broke off with after that, if it did."""


class Tracer(Protocol):
    """Whoever keeps spans. A span that is opened within another one, in the same task or a child of it, is its child.
    `keeps`: whether there is any use in noting things; `content`: whether texts may be noted."""

    keeps: bool
    content: bool

    def request(self, name: str, headers: Mapping[bytes, bytes]) -> AbstractContextManager[Span]:
        """A request of a client's; it goes on with the trace that its headers name (W3C traceparent)."""

    def asking(self, path: str, url: str, fields: Mapping[str, Any]) -> AbstractContextManager[Span]:
        """A question to a worker: the path after /v1, the worker's base URL, the body's members as far as known."""

    def span(self, name: str, notes: Notes = _NONE) -> AbstractContextManager[Span]:
        """A piece of our own work."""

    def memory(self, operation: str, notes: Notes = _NONE) -> AbstractContextManager[Span]:
        """An operation on the memory store, named as the conventions name it."""

    def look(self, name: str) -> AbstractContextManager[Span]:
        """A look for work, which leaves no span unless something is noted on it, or raised in it."""

    def note(self, notes: Notes) -> None:
        """Say more about the innermost open span."""

    def answered(self, said: Said) -> None:
        """What the worker's answer tells about itself, on the innermost open span."""

    def onward(self, headers: Headers) -> Headers:
        """The headers with which a request goes on to a worker, which name the innermost open span."""

    def trace(self) -> str:
        """The trace that is going on, in hexadecimal; "" for none."""


class _NoSpan:
    """The context and the span that nothing keeps."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def note(self, notes: Notes) -> None:
        return None

    def rename(self, name: str) -> None:
        return None

    def ended(self, status: int, broke: MnemeError | None = None) -> None:
        return None


_NO_SPAN = _NoSpan()


class Untraced:
    """Keeps nothing, and hands headers on as they are."""

    keeps = content = False

    def request(self, name: str, headers: Mapping[bytes, bytes]) -> AbstractContextManager[Span]:
        return _NO_SPAN

    def asking(self, path: str, url: str, fields: Mapping[str, Any]) -> AbstractContextManager[Span]:
        return _NO_SPAN

    def span(self, name: str, notes: Notes = _NONE) -> AbstractContextManager[Span]:
        return _NO_SPAN

    def memory(self, operation: str, notes: Notes = _NONE) -> AbstractContextManager[Span]:
        return _NO_SPAN

    def look(self, name: str) -> AbstractContextManager[Span]:
        return _NO_SPAN

    def note(self, notes: Notes) -> None:
        return None

    def answered(self, said: Said) -> None:
        return None

    def onward(self, headers: Headers) -> Headers:
        return headers

    def trace(self) -> str:
        return ""


UNTRACED = Untraced()


def caller_trace(traceparent: bytes | None) -> str:
    """The trace id in a W3C traceparent header; "" where there is none that can be read."""
    found = _TRACEPARENT.match(traceparent or b"")
    return found[1].decode() if found and found[1].strip(b"0") else ""
