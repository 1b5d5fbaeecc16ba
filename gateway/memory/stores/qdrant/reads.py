"""What is asked of a collection for the store's longer reads: the four signals, and a session's line."""

from collections.abc import Mapping, Sequence

from qdrant_client import models

from gateway.memory import fuse
from gateway.memory.records import Candidate, Memory, Query, Scope, Sparse, Vector
from gateway.memory.stores.found import candidates, gathered, promising
from gateway.memory.stores.points import PointId, in_line, memories
from gateway.memory.stores.qdrant.collection import Collection
from gateway.memory.stores.qdrant.points import Condition, between, equals
from gateway.memory.stores.qdrant.server import Scored

# Every memory has a vector for it: it brings the memories themselves.
_WITH_BODIES = "dense_turn"


async def search(collection: Collection, scope: Scope, query: Query, limit: int) -> list[Candidate]:
    """One call brings each signal's `limit` best and what was said at the times asked for. Where a signal had more to
    tell, a second one has it score what the others found: the answer is the one of a search of everything.

    Prefetching the union below each signal would do it in one call, and search for it four times: measured with the
    engine in this process, 22 ms instead of 5 in a scope of 4,000.
    """
    signals: dict[str, Vector | Sparse] = {"dense_turn": query.dense, "dense_near": query.dense}
    if query.sparse.indices:
        signals |= {"bm25_turn": query.sparse, "bm25_near": query.sparse}
    about = _asked_about(query)
    asked = [_asked(collection, scope, about, name, vector, limit) for name, vector in signals.items()]
    answers = await collection.query([*asked, *_of_times(collection, scope, query)])
    found = dict(zip(signals, answers, strict=False))
    union = [*gathered(_told(found))]
    then = [*dict.fromkeys(point.id for points in answers[len(signals) :] for point in points)]
    left = {name: _left(points, [*dict.fromkeys([*union, *then])], limit) for name, points in found.items()}
    left = {name: ids for name, ids in left.items() if ids}
    if left:
        asked = [
            _asked(collection, scope, about, name, signals[name], len(ids), models.HasIdCondition(has_id=ids))
            for name, ids in left.items()
        ]
        more = dict(zip(left, await collection.query(asked), strict=True))
        found = {name: [*points, *more.get(name, ())] for name, points in found.items()}
    scores = gathered(_told(found))
    best = promising({id: scores[id] for id in union}, limit)
    read = memories(point for point in found[_WITH_BODIES] if point.id in best or point.id in then)
    return candidates(best, then, read, scores, limit)


async def neighbours(
    collection: Collection, scope: Scope, session: str, first: int, last: int, radius: int
) -> list[Memory]:
    """See ports.MemoryStore."""
    line = (equals("session", session), equals("kind", "turn"))
    start = await _turns_away(collection, scope, line, first, radius, forward=False)
    end = await _turns_away(collection, scope, line, last, radius, forward=True)
    return in_line(memories(await collection.all(scope, *line, between("seq", gte=start, gt=0, lte=end))).values())


def _asked_about(query: Query) -> Condition:
    return equals("status", "active") if query.as_of is None else between("at", lte=query.as_of)


def _asked(
    collection: Collection,
    scope: Scope,
    about: Condition,
    name: str,
    vector: Vector | Sparse,
    limit: int,
    *only: Condition,
) -> models.QueryRequest:
    return collection.nearest(scope, about, name, vector, limit, *only, with_body=name == _WITH_BODIES)


def _left(points: Sequence[Scored], ids: Sequence[PointId], limit: int) -> list[PointId]:
    """Of the ids those that the signal may know and has not told, because it told `limit` already."""
    if len(points) < limit:
        return []
    told = {point.id for point in points}
    return [id for id in ids if id not in told]


def _told(found: Mapping[str, Sequence[Scored]]) -> dict[str, list[tuple[PointId, float]]]:
    return {name: [(point.id, point.score) for point in points] for name, points in found.items()}


def _of_times(collection: Collection, scope: Scope, query: Query) -> list[models.QueryRequest]:
    """For what was said in the periods and at the end that are asked for."""
    times, about, requests = query.times, _asked_about(query), []
    if times.periods:
        said = [between("at", gte=start, lt=end) for start, end in times.periods]
        requests.append(collection.nearest(scope, about, "dense_near", query.dense, fuse.IN_TIME, any_of=said))
    if times.end:
        direction = models.Direction.ASC if times.end == "first" else models.Direction.DESC
        order = models.OrderBy(key="seq", direction=direction)
        requests.append(collection.ordered(scope, order, fuse.AT_AN_END, about, between("seq", gt=0)))
    return requests


async def _turns_away(
    collection: Collection, scope: Scope, line: Sequence[Condition], seq: int, count: int, *, forward: bool
) -> int:
    """The seq of the turn that stands `count` turns before or after `seq`, or of the last one there is that way."""
    order = models.OrderBy(key="seq", direction=models.Direction.ASC if forward else models.Direction.DESC)
    while count:
        beyond = between("seq", gt=seq) if forward else between("seq", gt=0, lt=seq)
        points, _ = await collection.page(scope, *line, beyond, limit=count, order=order, fields=["seq"])
        found = {int((point.payload or {})["seq"]) for point in points}
        if not found:
            break
        count -= len(found)  # fewer than asked for where several memories are one turn
        seq = max(found) if forward else min(found)
    return seq
