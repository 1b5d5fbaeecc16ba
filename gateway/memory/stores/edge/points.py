"""Memories as Qdrant points and back, and THE choke point: the only way from a scope to a filter."""

import hashlib
import math
import re
import uuid
from collections.abc import Sequence
from typing import Any

import orjson
from qdrant_edge import FieldCondition, Filter, HasIdCondition, MatchValue, Point, SparseVector

from gateway.memory.records import Entry, Memory, Scope, Sparse
from gateway.memory.stores.codec import Codec

BODY = "body"
INDEXED_WORDS = ("scope", "tenant", "user", "session", "status", "kind")

_POINTS = uuid.UUID("6d6e656d-6500-4000-8000-706f696e7400")
_ESCAPED = re.compile(r"\\\\|\\u([0-9a-f]{4})")
_memories = Codec(Memory)


def within(scope: Scope, *conditions: FieldCondition | HasIdCondition, any_of: Sequence[FieldCondition] = ()) -> Filter:
    """Only what belongs to this tenant and this user. Every read, write and deletion of the store goes through here."""
    return Filter(must=[equals("scope", scope_key(scope)), *conditions], should=[*any_of] or None)


def of_tenant(tenant: str) -> Filter:
    """Everything of a tenant: for counting users, never for reading memories."""
    return Filter(must=[equals("tenant", tenant)])


def equals(key: str, value: str | bool) -> FieldCondition:
    """An exact match; words are never patterns."""
    return FieldCondition(key=key, match=MatchValue(word(value) if isinstance(value, str) else value))


def scope_key(scope: Scope) -> str:
    """A digest of both parts, kept apart: no tenant or user id, however spelled, can look like another pair."""
    parts = [part.encode("utf-8", "surrogatepass").hex() for part in (scope.tenant, scope.user)]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def point_id(scope: Scope, id: str) -> str:
    """The same memory id in two scopes is two points."""
    return str(uuid.uuid5(_POINTS, f"{scope_key(scope)} {word(id)}"))


def to_point(entry: Entry) -> Point:
    """A point with four vectors, the fields that filters use, and the memory whole."""
    memory = entry.memory
    vectors: dict[str, Any] = {f"dense_{name}": list(vector) for name, vector in entry.dense.items()}
    vectors |= {f"bm25_{name}": _sparse(sparse) for name, sparse in entry.sparse.items()}
    payload = {
        "scope": scope_key(memory.scope),
        "tenant": word(memory.scope.tenant),
        "user": word(memory.scope.user),
        "session": word(memory.session),
        "status": memory.status,
        "kind": memory.kind,
        "pinned": int(memory.pinned),  # the engine's MatchValue takes True for the integer 1
        "seq": memory.seq,
        "at": memory.at if math.isfinite(memory.at) else 0.0,
        BODY: _memories.encode(memory).decode(),
    }
    return Point(point_id(memory.scope, memory.id), vectors, payload)


def to_memory(payload: dict[str, Any] | None) -> Memory | None:
    """The memory that a point holds; None, and a line in the log, when it is damaged."""
    return _memories.decode_if_whole((payload or {}).get(BODY, "").encode())


def to_sparse(sparse: Sparse) -> SparseVector:
    """A query's terms."""
    return _sparse(sparse)


def _sparse(sparse: Sparse) -> SparseVector:
    return SparseVector(indices=list(sparse.indices), values=list(sparse.values))


def word(text: str) -> str:
    """An id as the engine can hold it, which is valid Unicode; different ids stay different."""
    return text.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()


def unword(word: str) -> str:
    """The id again."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "\\", word)


def unique(ids: Sequence[str]) -> list[str]:
    """The ids once each, in order."""
    return list(dict.fromkeys(ids))
