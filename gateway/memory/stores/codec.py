"""Records as JSON, ids as bytes, and back, whatever strings they hold. Knows no store and no record's meaning."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from gateway.errors import MemoryUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
_WIDE = b"!"  # never the first byte of JSON


@dataclass(frozen=True, slots=True)
class Said:
    """Of a turn or a trace nothing but when it was said: quick to read out of one that is stored."""

    at: float


class Codec(Generic[T]):
    """For one kind of record. Strings that are no valid Unicode (lone surrogates) come back as they went in."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(kind).decode

    def encode(self, record: T) -> bytes:
        """UTF-8."""
        try:
            return self._encode(record)
        except UnicodeEncodeError:
            return _WIDE + self._encode(_mapped(msgspec.to_builtins(record), _widened))

    def decode(self, raw: bytes) -> T:
        """The record; MemoryUnavailable when the bytes were damaged."""
        try:
            if raw.startswith(_WIDE):
                return msgspec.convert(_mapped(msgspec.json.decode(raw[1:]), _narrowed), self._kind)
            return self._decode(raw)
        except ValueError as failed:
            raise MemoryUnavailable(f"A stored {self._kind.__name__.lower()} is damaged.") from failed

    def decode_if_whole(self, raw: bytes) -> T | None:
        """The record; None, and a line in the log, when the bytes were damaged: the others must not suffer for it."""
        try:
            return self.decode(raw)
        except MemoryUnavailable as damaged:
            log.warning("%s It is left out.", damaged.message)
            return None


def _widened(text: str) -> str:
    """One character per byte, so that every string is valid."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _narrowed(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogatepass")


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(name, change): _mapped(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value


def blob(text: str) -> bytes:
    """An opaque id as bytes; also one that is not valid Unicode."""
    return text.encode("utf-8", "surrogatepass")


def text(raw: bytes) -> str:
    """The id again."""
    return raw.decode("utf-8", "surrogatepass")
