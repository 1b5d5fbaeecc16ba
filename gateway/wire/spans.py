"""Where things stand inside raw JSON bytes, so that they can be cut and extended without re-encoding the rest.

msgspec hands out each value as the bytes it was; walking over keys, colons and commas between them gives the places.
Only ever asked about bytes that a strict parser has accepted.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from gateway.errors import NotSpliceable

_T = TypeVar("_T")
_SPACE = re.compile(rb"[ \t\n\r]*")
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"[ \t\n\r]*:[ \t\n\r]*', re.S)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object: where its key begins, and the span of its value."""

    at: int
    start: int
    end: int


def members(raw: bytes, start: int, end: int) -> dict[str, Member]:
    """The members of the object that stands at [start, end). NotSpliceable when two have the same name: which one
    counts is the worker's to say."""
    found: dict[str, Member] = {}
    at = _inside(raw, start)
    for name, value in _decode(_object, raw, start, end).items():
        key = _KEY.match(raw, at)
        if key is None:
            raise NotSpliceable("Two members have the same name.")
        found[name] = Member(at, key.end(), key.end() + len(value))
        at = _next(raw, key.end() + len(value))
    if at != end - 1:
        raise NotSpliceable("Two members have the same name.")
    return found


def elements(raw: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The spans of the values in the array that stands at [start, end)."""
    found = []
    at = _inside(raw, start)
    for value in _decode(_array, raw, start, end):
        found.append((at, at + len(value)))
        at = _next(raw, at + len(value))
    return found


def skip_space(raw: bytes, at: int) -> int:
    """The first byte from `at` on that is not white space."""
    space = _SPACE.match(raw, at)
    return space.end() if space else at


def _decode(decoder: msgspec.json.Decoder[_T], raw: bytes, start: int, end: int) -> _T:
    try:
        return decoder.decode(memoryview(raw)[start:end])
    except (msgspec.DecodeError, RecursionError) as unreadable:
        raise NotSpliceable(f"The body is nested too deeply or is not JSON: {unreadable}.") from None


def _inside(raw: bytes, start: int) -> int:
    """Behind the opening bracket."""
    return skip_space(raw, start + 1)


def _next(raw: bytes, end: int) -> int:
    """Where the next item begins, or the closing bracket stands."""
    at = skip_space(raw, end)
    return skip_space(raw, at + 1) if raw[at : at + 1] == b"," else at
