"""Memories as Qdrant points and back, and THE choke point: the only way from a scope to a filter."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from qdrant_edge import FieldCondition, Filter, MatchValue, Point, SparseVector

from gateway.memory.records import Entry, Memory, Scope, Sparse

SIGNALS = ("dense_turn", "dense_near", "bm25_turn", "bm25_near")
BODY = "body"
INDEXED_WORDS = ("scope", "tenant", "user", "session", "status", "kind")

_POINTS = uuid.UUID("6d6e656d-6500-4000-8000-706f696e7400")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Memory).decode


def within(scope: Scope, *conditions: FieldCondition) -> Filter:
    """Only what belongs to this tenant and this user. Every read, write and deletion of the store goes through here."""
    return Filter(must=[equals("scope", scope_key(scope)), *conditions])


def of_tenant(tenant: str) -> Filter:
    """Everything of a tenant: for counting users, never for reading memories."""
    return Filter(must=[equals("tenant", _safe(tenant))])


def equals(key: str, value: str | bool) -> FieldCondition:
    """An exact match; words are never patterns."""
    return FieldCondition(key=key, match=MatchValue(_safe(value) if isinstance(value, str) else value))


def scope_key(scope: Scope) -> str:
    """A digest of both parts, kept apart: no tenant or user id, however spelled, can look like another pair."""
    parts = [part.encode("utf-8", "surrogatepass").hex() for part in (scope.tenant, scope.user)]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def point_id(scope: Scope, id: str) -> str:
    """The same memory id in two scopes is two points."""
    return str(uuid.uuid5(_POINTS, f"{scope_key(scope)} {_safe(id)}"))


def to_point(entry: Entry) -> Point:
    """A point with four vectors, the fields that filters use, and the memory whole."""
    memory = entry.memory
    vectors: dict[str, Any] = {f"dense_{name}": list(vector) for name, vector in entry.dense.items()}
    vectors |= {f"bm25_{name}": _sparse(sparse) for name, sparse in entry.sparse.items()}
    payload = {
        "scope": scope_key(memory.scope),
        "tenant": _safe(memory.scope.tenant),
        "user": _safe(memory.scope.user),
        "session": _safe(memory.session),
        "status": memory.status,
        "kind": memory.kind,
        "pinned": memory.pinned,
        "seq": memory.seq,
        BODY: _encode(memory).decode(),
    }
    return Point(point_id(memory.scope, memory.id), vectors, payload)


def to_memory(payload: dict[str, Any] | None) -> Memory:
    """The memory that a point holds. ValueError when it holds none."""
    if payload is None:
        raise ValueError("a point without payload")
    return _decode(payload[BODY])


def to_sparse(sparse: Sparse) -> SparseVector:
    """A query's terms."""
    return _sparse(sparse)


def _sparse(sparse: Sparse) -> SparseVector:
    return SparseVector(indices=list(sparse.indices), values=list(sparse.values))


def _safe(text: str) -> str:
    """What the engine can hold: valid Unicode. Scopes do not rest on this, see scope_key."""
    return text.encode("utf-8", "backslashreplace").decode()


def unique(ids: Sequence[str]) -> list[str]:
    """The ids once each, in order."""
    return list(dict.fromkeys(ids))
