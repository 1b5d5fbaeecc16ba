"""Memories as a server's points, and THE choke point: the only way from a scope to a filter."""

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from gateway.memory.filters import Filter
from gateway.memory.records import Entry, Scope, Sparse
from gateway.memory.stores.points import point_id, scope_key, to_payload, word

Condition = models.FieldCondition | models.HasIdCondition | models.IsEmptyCondition | models.Filter
UNTOLD = models.IsEmptyCondition(is_empty=models.PayloadField(key="trust"))
"""Points of before trust was one of their fields: only the memory itself tells it."""


def within(scope: Scope, *conditions: Condition, any_of: Sequence[Condition] = ()) -> models.Filter:
    """Only what belongs to this tenant and this user. Every read, count and deletion of the store goes through here."""
    return models.Filter(must=[equals("scope", scope_key(scope)), *conditions], should=[*any_of] or None)


def of_tenant(tenant: str) -> models.Filter:
    """Everything of a tenant: for counting users, never for reading memories."""
    return models.Filter(must=[equals("tenant", tenant)])


def equals(key: str, value: str | bool) -> models.FieldCondition:
    """An exact match; words are never patterns."""
    held = word(value) if isinstance(value, str) else int(value)
    return models.FieldCondition(key=key, match=models.MatchValue(value=held))


def between(key: str, **bounds: float) -> models.FieldCondition:
    """A number within gt, gte, lt, lte."""
    return models.FieldCondition(key=key, range=models.Range(**bounds))


def matching(only: Filter) -> list[Condition]:
    """What such memories match; with a trust asked for, so does whatever does not tell its own: see points.admitted."""
    equal = only.equal
    trust = [models.Filter(should=[equals("trust", equal.pop("trust")), UNTOLD])] if only.trust else []
    when = [between("at", **only.bounds)] if only.bounds else []
    return [*(equals(key, value) for key, value in equal.items()), *trust, *when]


def among(scope: Scope, ids: Sequence[str]) -> models.HasIdCondition:
    """The points of these memories."""
    return models.HasIdCondition(has_id=[point_id(scope, id) for id in ids])


def to_point(entry: Entry) -> models.PointStruct:
    """A point with four vectors, the fields that filters use, and the memory whole."""
    memory = entry.memory
    vectors: dict[str, Any] = {f"dense_{name}": list(vector) for name, vector in entry.dense.items()}
    vectors |= {f"bm25_{name}": to_sparse(sparse) for name, sparse in entry.sparse.items()}
    return models.PointStruct(id=point_id(memory.scope, memory.id), vector=vectors, payload=to_payload(memory))


def to_sparse(sparse: Sparse) -> models.SparseVector:
    """Terms and their weights, of a memory or of a question."""
    return models.SparseVector(indices=list(sparse.indices), values=list(sparse.values))
