"""Memories as the embedded engine's points, and THE choke point: the only way from a scope to a filter."""

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_edge import (
    FieldCondition,
    Filter,
    HasIdCondition,
    IsEmptyCondition,
    MatchValue,
    Point,
    RangeFloat,
    SparseVector,
)

from gateway.memory import filters
from gateway.memory.records import Entry, Scope, Sparse
from gateway.memory.stores.points import point_id, scope_key, to_payload, word

Condition = FieldCondition | HasIdCondition | IsEmptyCondition | Filter
UNTOLD = IsEmptyCondition("trust")
"""Points of before trust was one of their fields: only the memory itself tells it."""


def within(scope: Scope, *conditions: Condition, any_of: Sequence[FieldCondition] = ()) -> Filter:
    """Only what belongs to this tenant and this user. Every read, write and deletion of the store goes through here."""
    return Filter(must=[equals("scope", scope_key(scope)), *conditions], should=[*any_of] or None)


def of_tenant(tenant: str) -> Filter:
    """Everything of a tenant: for counting users, never for reading memories."""
    return Filter(must=[equals("tenant", tenant)])


def equals(key: str, value: str | bool) -> FieldCondition:
    """An exact match; words are never patterns."""
    return FieldCondition(key=key, match=MatchValue(word(value) if isinstance(value, str) else value))


def between(key: str, bounds: Mapping[str, float]) -> list[Condition]:
    """A number within gt, gte, lt, lte; nothing without bounds."""
    return [FieldCondition(key=key, range=RangeFloat(**bounds))] if bounds else []


def matching(only: filters.Filter) -> list[Condition]:
    """What such memories match; with a trust asked for, so does whatever does not tell its own: see points.admitted."""
    equal = only.equal
    trust = [Filter(should=[equals("trust", equal.pop("trust")), UNTOLD])] if only.trust else []
    return [*(equals(key, value) for key, value in equal.items()), *trust, *between("at", only.bounds)]


def to_point(entry: Entry) -> Point:
    """A point with four vectors, the fields that filters use, and the memory whole."""
    memory = entry.memory
    vectors: dict[str, Any] = {f"dense_{name}": list(vector) for name, vector in entry.dense.items()}
    vectors |= {f"bm25_{name}": to_sparse(sparse) for name, sparse in entry.sparse.items()}
    return Point(point_id(memory.scope, memory.id), vectors, to_payload(memory))


def to_sparse(sparse: Sparse) -> SparseVector:
    """Terms and their weights, of a memory or of a question."""
    return SparseVector(indices=list(sparse.indices), values=list(sparse.values))
