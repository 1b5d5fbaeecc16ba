"""The lines of a backup: what each kind holds, as JSON and back. Pure; knows no store and no HTTP.

A line is an object with one member, whose name is its kind:

    {"mneme": …}                               the head, first
    {"tenant": …}, {"key": …}                  who may ask
    {"turn": …}, {"memory": …}, {"placed": …}  a user's, one user after the other
    {"end": …}                                 how many there were of each, last: without it the backup was cut
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.memory.records import Kept, Memory, Placed, Scope
from gateway.tenants.records import KeyCard, Tenant

FORMAT = 1
LONGEST = 16 << 20
"""Bytes of a line. The longest that Mneme writes is a memory with twenty former texts, of 4 MiB if all is escaped."""
_MOST = 1 << 53
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Head:
    """Which format this is, who wrote it and when (seconds since 1970), and whose vectors are not in it."""

    format: int
    version: str
    embedder: str
    at: float


@dataclass(frozen=True, slots=True)
class Issued:
    """A key without its secret: the secret's SHA-256 in hex, by which it is known, and its card."""

    digest: str
    card: KeyCard


@dataclass(frozen=True, slots=True)
class Placement:
    """What happened at the turn of a user's conversation that has this chain."""

    scope: Scope
    chain: str
    placed: Placed


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines of each kind."""

    tenants: int = 0
    keys: int = 0
    turns: int = 0
    memories: int = 0
    placements: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{number} {kind}" for kind, number in asdict(self).items())


Record = Head | Tenant | Issued | Kept | Memory | Placement | Counts
_KINDS: dict[str, type[Record]] = {
    "mneme": Head,
    "tenant": Tenant,
    "key": Issued,
    "turn": Kept,
    "memory": Memory,
    "placed": Placement,
    "end": Counts,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_BEGINS = re.compile(rb'\{"(%s)":' % "|".join(_KINDS).encode())
_COUNTED: dict[type[Record], str] = {
    Tenant: "tenants",
    Issued: "keys",
    Kept: "turns",
    Memory: "memories",
    Placement: "placements",
}


class Tally:
    """Counts records as they come."""

    def __init__(self) -> None:
        self._seen = dict.fromkeys(_COUNTED.values(), 0)

    def add(self, record: Record) -> None:
        """One more of its kind; head and end are of none."""
        if (name := _COUNTED.get(type(record))) is not None:
            self._seen[name] += 1

    @property
    def counts(self) -> Counts:
        """So far."""
        return Counts(**self._seen)


class Watch:
    """Sees a backup pass in pieces of any size, and knows in the end whether it was whole. Does not read what it
    says."""

    def __init__(self) -> None:
        self._seen = dict.fromkeys(_COUNTED.values(), 0)
        self._last = b""
        self._rest = b""

    def see(self, piece: bytes) -> None:
        """The next piece."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in filter(None, map(bytes.strip, lines)):
            self._last = line
            if (begins := _BEGINS.match(line)) and (name := _COUNTED.get(_KINDS[begins[1].decode()])):
                self._seen[name] += 1

    def counts(self) -> Counts:
        """How much there was; BadRequest if it was not a whole backup."""
        try:
            end = decode(self._last)
        except BadRequest:
            end = None
        return whole(end, Counts(**self._seen))


def whole(last: Record | None, seen: Counts) -> Counts:
    """How much a backup holds whose last line is this; BadRequest if it is not whole."""
    if not isinstance(last, Counts):
        raise BadRequest("The last line is missing: this is no backup, or one that was cut.")
    if last != seen:
        raise BadRequest(f"This backup is not whole: the last line tells of {last}; there are {seen}.")
    return last


def encode(record: Record) -> bytes:
    """The line, with its end. What is no valid Unicode (lone surrogates) is told as its escape."""
    told = {_NAMES[type(record)]: record}
    try:
        return msgspec.json.encode(told) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(told)).encode() + b"\n"


def decode(line: bytes) -> Record:
    """The record; BadRequest says what is wrong with the line. A member that this Mneme does not know is refused: what
    it says would be lost."""
    if len(line) > LONGEST:
        raise BadRequest(f"it is longer than {LONGEST >> 20} MiB.")
    try:
        told = json.loads(line)  # unlike msgspec it takes lone surrogates, which ids may hold
        if not (isinstance(told, dict) and len(told) == 1):
            raise ValueError("no object with one member")
        (name,) = told
        record = msgspec.convert(told[name], _KINDS[name])
        _check(told[name], msgspec.to_builtins(record))
        if isinstance(record, Issued) and not _DIGEST.fullmatch(record.digest):
            raise ValueError("no digest")
    except (ValueError, TypeError, KeyError, RecursionError) as wrong:  # msgspec's errors are ValueErrors
        raise BadRequest(f"it is damaged, or no line of a backup ({_why(wrong)}).") from None
    return record


def _check(told: Any, known: Any) -> None:
    """ValueError for what the record has no place for, and for numbers that no store can hold."""
    if isinstance(told, Mapping):
        for name, value in told.items():
            if name not in known:
                raise ValueError(f"nothing is known of {name[:100]!r}")
            _check(value, known[name])
    elif isinstance(told, list):
        for value, other in zip(told, known, strict=True):
            _check(value, other)
    elif isinstance(told, int | float) and not (math.isfinite(told) and abs(told) < _MOST):
        raise ValueError("a number is out of range")


def _why(wrong: Exception) -> str:
    """Never the text of the line: a refusal may be logged."""
    if isinstance(wrong, json.JSONDecodeError):
        return f"no JSON from byte {wrong.pos} on"
    if isinstance(wrong, UnicodeDecodeError):
        return "no UTF-8"
    return str(wrong) if isinstance(wrong, ValueError) else "of no known kind"
