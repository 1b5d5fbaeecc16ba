"""What is asked of the engine for the store's longer reads: the four signals, a session's line, a whole scope. Never
writes, and never asks without a scope's filter."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from qdrant_edge import (
    CountRequest,
    Direction,
    EdgeShard,
    FieldCondition,
    Filter,
    HasIdCondition,
    IdfParams,
    OrderBy,
    Query,
    QueryBatchRequest,
    QueryRequest,
    RangeFloat,
    Record,
    ScrollRequest,
    SearchParams,
)

from gateway.memory import filters, fuse, records
from gateway.memory.records import Candidate, Entry, Memory, Scope, Sparse
from gateway.memory.stores.edge.points import UNTOLD, Condition, equals, matching, to_sparse, within
from gateway.memory.stores.found import Scores, candidates, gathered, promising
from gateway.memory.stores.latest import AT
from gateway.memory.stores.points import BODY, PointId, admitted, memories, to_memory

_PAGE = 1000
# Vectors come as Python objects, which are made with the interpreter locked: in so small portions that others get on.
_WITH_VECTORS = 64
# Rarity among a scope's own memories means counting them for every term: within the time of a search up to some
# thousands, as long as a search of its own beyond. There the whole store's rarity stands in.
RARITY_COUNTED = 4_000
# Where a scope has a graph, so many of the nearest are kept while walking it: enough for most of the true best.
_WALK = SearchParams(hnsw_ef=128)


def about(shard: EdgeShard, scope: Scope) -> int:
    """About how many memories the scope has, at once whatever their number."""
    return shard.count(CountRequest(exact=False, filter=within(scope)))


def search(shard: EdgeShard, scope: Scope, query: records.Query, limit: int, held: int) -> list[Candidate]:
    """Of the engine's `limit` best by each signal the most promising by the signals that found them, then scored by all
    signals; payloads only of these. `held` is about how many memories the scope has."""
    active = _asked_about(query)
    rarity = SearchParams(idf=IdfParams(within(scope, active))) if held <= RARITY_COUNTED else None
    asked = [name for name in fuse.SIGNALS if name.startswith("dense") or query.sparse.indices]

    def ask(only: Filter, limit: int) -> Scores[PointId]:
        requests = [_request(name, query, only, limit, rarity) for name in asked]
        answers = zip(asked, shard.query_batch(QueryBatchRequest(requests)), strict=True)
        return gathered({name: [(point.id, point.score) for point in points] for name, points in answers})

    found = ask(within(scope, active), limit)
    then = _of_times(shard, scope, query)
    first = promising(found, limit)
    if len(found) > limit or then:  # otherwise every signal found them all
        wanted = {*first, *then}
        found = ask(within(scope, active, HasIdCondition(wanted)), len(wanted))
    best = promising({id: found[id] for id in first if id in found}, limit)
    read = memories(shard.retrieve([*{*best, *then}], with_payload=[BODY], with_vector=False))
    return candidates(best, then, read, found, limit)


def _asked_about(query: records.Query) -> FieldCondition:
    if query.as_of is None:
        return equals("status", "active")
    return FieldCondition(key="at", range=RangeFloat(lte=query.as_of))


def _of_times(shard: EdgeShard, scope: Scope, query: records.Query) -> list[PointId]:
    """What was said in the periods and at the end that are asked for."""
    active, times = _asked_about(query), query.times
    found: list[PointId] = []
    if times.periods:
        said = [FieldCondition(key="at", range=RangeFloat(gte=start, lt=end)) for start, end in times.periods]
        only = within(scope, active, any_of=said)
        nearest = _request("dense_near", query, only, fuse.IN_TIME, None)
        found += [point.id for point in shard.query_batch(QueryBatchRequest([nearest]))[0]]
    if times.end:
        order = OrderBy(key="seq", direction=Direction.Asc if times.end == "first" else Direction.Desc)
        only = within(scope, active, FieldCondition(key="seq", range=RangeFloat(gt=0)))
        request = ScrollRequest(limit=fuse.AT_AN_END, filter=only, with_payload=False, order_by=order)
        found += [point.id for point in shard.scroll(request)[0]]
    return [*dict.fromkeys(found)]


def _request(name: str, query: records.Query, only: Filter, limit: int, rarity: SearchParams | None) -> QueryRequest:
    if name.startswith("dense"):
        return QueryRequest(limit=limit, query=Query.Nearest(list(query.dense), using=name), filter=only, params=_WALK)
    sparse = Query.Nearest(to_sparse(query.sparse), using=name)
    return QueryRequest(limit=limit, query=sparse, filter=only, params=rarity)


def entries(shard: EdgeShard, scope: Scope) -> Iterator[Entry]:
    """Everything active of the scope with its vectors; what is damaged is left out."""
    for point in _points(shard, within(scope, equals("status", "active")), _WITH_VECTORS, with_vector=True):
        memory = to_memory(point.payload)
        if memory is not None:
            held: Any = point.vector or {}
            dense = {name: held[f"dense_{name}"] for name in ("turn", "near")}
            yield Entry(memory, dense, {name: _terms(held.get(f"bm25_{name}")) for name in ("turn", "near")})


def _terms(held: Any) -> Sparse:
    return Sparse(tuple(held.indices), tuple(held.values)) if held else Sparse((), ())


def page(
    scope: Scope, such: Sequence[Condition], limit: int, *, offset: str | None = None, latest: bool = False
) -> ScrollRequest:
    """Such points of the scope in the order of their ids, from `offset` on, or latest first."""
    order = OrderBy(key=AT, direction=Direction.Desc) if latest else None
    only = within(scope, *such)
    return ScrollRequest(offset=offset, limit=limit, filter=only, with_payload=[BODY, AT], order_by=order)


def count(shard: EdgeShard, scope: Scope, only: filters.Filter) -> int:
    """How many such memories there are, exactly."""
    if only.trust is None:
        return shard.count(CountRequest(exact=True, filter=within(scope, *matching(only))))
    such = matching(replace(only, trust=None))
    told = shard.count(CountRequest(exact=True, filter=within(scope, *such, equals("trust", only.trust))))
    return told + len(admitted(_points(shard, within(scope, *such, UNTOLD), _PAGE, with_vector=False), only))


def all_memories(shard: EdgeShard, only: Filter) -> dict[PointId, Memory]:
    """Everything that the filter lets through."""
    return memories(_points(shard, only, _PAGE, with_vector=False))


def _points(shard: EdgeShard, only: Filter, page: int, *, with_vector: bool) -> Iterator[Record]:
    offset = None
    while True:
        request = ScrollRequest(
            offset=offset, limit=page, filter=only, with_payload=[BODY], with_vector=with_vector or None
        )
        found, offset = shard.scroll(request)
        yield from found
        if offset is None:
            return


def turns_away(shard: EdgeShard, turns: Callable[[RangeFloat], Filter], seq: int, count: int, direction: Any) -> int:
    """The seq of the turn that stands `count` turns before or after `seq`, or of the last one there is that way."""
    forward = direction == Direction.Asc
    while count:
        beyond = RangeFloat(gt=seq) if forward else RangeFloat(gt=0, lt=seq)
        order = OrderBy(key="seq", direction=direction)
        request = ScrollRequest(limit=count, filter=turns(beyond), with_payload=["seq"], order_by=order)
        found = {int((point.payload or {})["seq"]) for point in shard.scroll(request)[0]}
        if not found:
            break
        count -= len(found)  # fewer than asked for where several memories are one turn
        seq = max(found) if forward else min(found)
    return seq
