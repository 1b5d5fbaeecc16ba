"""Where things stand inside raw JSON bytes, so that they can be cut and extended without re-encoding the rest.

msgspec hands out each value as the bytes it was; walking over keys, colons and commas between them gives the places.
Only ever asked about bytes that a strict parser has accepted.
"""

import re
from typing import NamedTuple, TypeVar

import msgspec

from gateway.errors import NotSpliceable

_T = TypeVar("_T")
_SPACE = re.compile(rb"[ \t\n\r]*")
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"[ \t\n\r]*:[ \t\n\r]*', re.S)
_BEHIND = re.compile(rb"[ \t\n\r]*(?:,[ \t\n\r]*|(?=[]}]))")
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


class Member(NamedTuple):
    """A member of an object: where its key begins, and the span of its value."""

    at: int
    start: int
    end: int


def members(raw: bytes, start: int, end: int) -> dict[str, Member]:
    """The members of the object that stands at [start, end). NotSpliceable when two have the same name: which one
    counts is the worker's to say."""
    found: dict[str, Member] = {}
    at = skip_space(raw, start + 1)
    for name, value in _decode(_object, raw, start, end).items():
        key = _KEY.match(raw, at)
        begins = key.end() if key else at
        ends = begins + len(value)
        behind = _BEHIND.match(raw, ends)
        # Of two values the decoder hands out the last: walking by its length alone could lead anywhere.
        if not key or not behind or not raw.startswith(memoryview(value), begins):
            break
        found[name] = Member(at, begins, ends)
        at = behind.end()
    if at != end - 1:
        raise NotSpliceable("Two members have the same name.")
    return found


def elements(raw: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The spans of the values in the array that stands at [start, end)."""
    found = []
    at = skip_space(raw, start + 1)
    for value in _decode(_array, raw, start, end):
        found.append((at, at + len(value)))
        behind = _BEHIND.match(raw, at + len(value))
        at = behind.end() if behind else end
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
