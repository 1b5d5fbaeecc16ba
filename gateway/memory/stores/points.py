"""Memories under ids and names that Qdrant can hold, and back: the same whether its engine is in this process or on a
server. Knows no engine, and makes no filter."""

import base64
import hashlib
import math
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import orjson

from gateway.errors import BadRequest
from gateway.memory.filters import Filter
from gateway.memory.records import Memory, Scope
from gateway.memory.stores.codec import Codec

PointId = uuid.UUID | int | str
BODY = "body"
INDEXED_WORDS = ("scope", "tenant", "user", "session", "status", "kind", "trust", "policy")
INDEXED_NUMBERS = ("seq", "pinned")

_POINTS = uuid.UUID("6d6e656d-6500-4000-8000-706f696e7400")
_ESCAPED = re.compile(r"\\\\|\\u([0-9a-f]{4})")
_memories = Codec(Memory)

Id = TypeVar("Id", bound=PointId, covariant=True)


class Read(Protocol[Id]):
    """A point as an engine gives it back."""

    @property
    def id(self) -> Id: ...

    @property
    def payload(self) -> dict[str, Any] | None: ...


def scope_key(scope: Scope) -> str:
    """A digest of both parts, kept apart: no tenant or user id, however spelled, can look like another pair."""
    parts = [part.encode("utf-8", "surrogatepass").hex() for part in (scope.tenant, scope.user)]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def point_id(scope: Scope, id: str) -> str:
    """The same memory id in two scopes is two points."""
    return str(uuid.uuid5(_POINTS, f"{scope_key(scope)} {word(id)}"))


def to_payload(memory: Memory) -> dict[str, Any]:
    """The fields that filters use, and the memory whole."""
    return {
        "scope": scope_key(memory.scope),
        "tenant": word(memory.scope.tenant),
        "user": word(memory.scope.user),
        "session": word(memory.session),
        "status": memory.status,
        "kind": memory.kind,
        "trust": memory.trust,
        "policy": word(memory.thought.policy) if memory.thought else "",
        "pinned": int(memory.pinned),  # the engine's match takes True for the integer 1
        "seq": memory.seq,
        "at": memory.at if math.isfinite(memory.at) else 0.0,
        BODY: _memories.encode(memory).decode(),
    }


def to_memory(payload: dict[str, Any] | None) -> Memory | None:
    """The memory that a point holds; None, and a line in the log, when it is damaged."""
    return _memories.decode_if_whole((payload or {}).get(BODY, "").encode())


def memories(points: Iterable[Read[Id]]) -> dict[Id, Memory]:
    """By point id, in the order given; damaged ones are left out."""
    found = {point.id: to_memory(point.payload) for point in points}
    return {id: memory for id, memory in found.items() if memory is not None}


def admitted(points: Iterable[Read[Id]], only: Filter) -> tuple[Memory, ...]:
    """Of points that an engine let through the memories that are meant: older ones do not tell their trust beside
    themselves, so an engine lets them all through."""
    return tuple(memory for memory in memories(points).values() if only.trust in (None, memory.trust))


def in_order(found: Iterable[Memory], ids: Sequence[str]) -> list[Memory]:
    """Those of `ids` that were found, in the order asked."""
    by_id = {memory.id: memory for memory in found}
    return [by_id[id] for id in unique(ids) if id in by_id]


def in_line(found: Iterable[Memory]) -> list[Memory]:
    """As they stand in a session."""
    return sorted(found, key=lambda memory: (memory.seq, memory.id))


def word(text: str) -> str:
    """An id as the engine can hold it, which is valid Unicode; different ids stay different."""
    return text.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()


def unword(word: str) -> str:
    """The id again."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "\\", word)


def unique(ids: Sequence[str]) -> list[str]:
    """The ids once each, in order."""
    return list(dict.fromkeys(ids))


def to_cursor(after: PointId | None) -> str | None:
    """The point that a next page begins with, for the caller to hold."""
    return None if after is None else base64.urlsafe_b64encode(uuid.UUID(str(after)).bytes).decode()


def from_cursor(cursor: str | None) -> str | None:
    """That point again; BadRequest for a cursor that no list gave out."""
    if cursor is None:
        return None
    try:
        return str(uuid.UUID(bytes=base64.urlsafe_b64decode(cursor)))
    except ValueError:
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
