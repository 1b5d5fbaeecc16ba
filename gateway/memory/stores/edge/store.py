"""MemoryStore over Qdrant Edge. Every call runs on its own few threads; no call exists without a scope's filter."""

import asyncio
import base64
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from qdrant_edge import (
    CountRequest,
    Direction,
    EdgeShard,
    FacetRequest,
    FieldCondition,
    Filter,
    OrderBy,
    Query,
    QueryBatchRequest,
    QueryRequest,
    RangeFloat,
    Record,
    ScrollRequest,
    UpdateOperation,
)

from gateway.errors import BadRequest, MemoryUnavailable
from gateway.memory import records
from gateway.memory.records import Candidate, Entry, Memory, Page, Scope
from gateway.memory.stores import directory
from gateway.memory.stores.edge import shard as disk
from gateway.memory.stores.edge.points import (
    BODY,
    SIGNALS,
    equals,
    of_tenant,
    point_id,
    to_memory,
    to_point,
    to_sparse,
    unique,
    unword,
    within,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
_READERS = 2
_ALL_USERS = 1_000_000
_PAGE = 1000


class EdgeStore:
    """See ports.MemoryStore. Made by `open`."""

    def __init__(self, path: Path, dimension: int, shard: EdgeShard, *, syncs: bool) -> None:
        self._path = path
        self._syncs = syncs
        self._dimension = dimension
        self._shard = shard
        # A reader holds one; who swaps the shard holds all of them, so nobody reads while there is none.
        self._turnstile = threading.Semaphore(_READERS)
        self._read_threads = ThreadPoolExecutor(_READERS, "edge-read")
        self._write_thread = ThreadPoolExecutor(1, "edge-write")

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, embedder_identity: str, dimension: int, durability: str = "process"
    ) -> AsyncIterator["EdgeStore"]:
        """The store in `path`; `durability` "power" syncs what is put before it is called done. DataDirectoryRefused
        when it is in use, damaged, or filled by another embedder."""
        directory.make(path)
        with directory.locked(path / "lock"):
            disk.check_stamp(path, embedder_identity, dimension)
            shard = await asyncio.to_thread(disk.open_shard, path, dimension)
            store = cls(path, dimension, shard, syncs=durability == "power")
            try:
                yield store
            finally:
                await asyncio.to_thread(store._close)

    async def put(self, entries: Sequence[Entry]) -> None:
        def job(shard: EdgeShard) -> None:
            shard.update(UpdateOperation.upsert_points([to_point(entry) for entry in entries]))
            if self._syncs:
                shard.flush()

        if entries:
            await self._write(job)

    async def search(self, scope: Scope, query: records.Query, limit: int) -> list[Candidate]:
        def job(shard: EdgeShard) -> list[Candidate]:
            scores = _scores(shard, scope, query, limit)
            found = shard.retrieve([*scores], with_payload=[BODY], with_vector=False)
            return [Candidate(memory, scores[id]) for id, memory in _memories(found).items()]

        return await self._read(job)

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        wanted = [point_id(scope, id) for id in unique(ids)]
        if not wanted:
            return []
        found = await self._read(lambda shard: shard.retrieve([*wanted], with_payload=[BODY], with_vector=False))
        memories = _memories(found)
        return [memories[id] for id in wanted if id in memories]

    async def browse(
        self,
        scope: Scope,
        *,
        session: str | None = None,
        kind: str | None = None,
        pinned: bool | None = None,
        status: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        wanted = {"session": session, "kind": kind, "pinned": pinned, "status": status}
        conditions = [equals(key, value) for key, value in wanted.items() if value is not None]
        request = ScrollRequest(
            offset=_offset(cursor), limit=limit, filter=within(scope, *conditions), with_payload=[BODY]
        )
        points, after = await self._read(lambda shard: shard.scroll(request))
        next_cursor = None if after is None else base64.urlsafe_b64encode(uuid.UUID(str(after)).bytes).decode()
        return Page(tuple(_memories(points).values()), next_cursor)

    async def neighbours(self, scope: Scope, session: str, first: int, last: int, radius: int) -> list[Memory]:
        def turns(around: RangeFloat) -> Filter:
            line = FieldCondition(key="seq", range=around)
            return within(scope, equals("session", session), equals("kind", "turn"), line)

        def job(shard: EdgeShard) -> list[Memory]:
            start = _turns_away(shard, turns, first, radius, Direction.Desc)
            end = _turns_away(shard, turns, last, radius, Direction.Asc)
            found = _memories(_all_points(shard, turns(RangeFloat(gte=start, gt=0, lte=end))))
            return sorted(found.values(), key=lambda memory: (memory.seq, memory.id))

        return await self._read(job)

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        wanted = [point_id(scope, id) for id in unique(ids)]

        def job(shard: EdgeShard) -> int:
            found = shard.retrieve([*wanted], with_payload=False, with_vector=False)
            if found:
                disk.mark_for_rewrite(self._path)
                shard.update(UpdateOperation.delete_points([point.id for point in found]))
            return len(found)

        return await self._write(job) if wanted else 0

    async def forget(self, scope: Scope) -> int:
        def job(shard: EdgeShard) -> int:
            held = shard.count(CountRequest(exact=True, filter=within(scope)))
            if held:
                disk.mark_for_rewrite(self._path)
                shard.update(UpdateOperation.delete_points_by_filter(within(scope)))
            if disk.wants_rewrite(self._path):
                self._rewrite()
            return held

        return await self._write(job)

    async def count(self, scope: Scope) -> int:
        return await self._read(lambda shard: shard.count(CountRequest(exact=True, filter=within(scope))))

    async def users(self, tenant: str) -> dict[str, int]:
        request = FacetRequest("user", limit=_ALL_USERS, exact=True, filter=of_tenant(tenant))
        facet = await self._read(lambda shard: shard.facet(request))
        return {unword(str(hit.value)): hit.count for hit in facet.hits}

    async def ping(self) -> None:
        await self._read(lambda shard: shard.info())

    def _rewrite(self) -> None:
        """Reads go on while the rest is copied; they wait while the new files take the old ones' place."""
        disk.copy_rest(self._path, self._shard, self._dimension)
        for _ in range(_READERS):
            self._turnstile.acquire()
        try:
            self._shard.close()
            self._shard = disk.swap(self._path)
        finally:
            self._turnstile.release(_READERS)

    def _close(self) -> None:
        self._read_threads.shutdown()
        self._write_thread.shutdown()
        try:
            if disk.wants_rewrite(self._path):
                disk.named(self._rewrite)
        except MemoryUnavailable as failed:
            log.error("what was deleted has not left the files yet, the next stop tries again: %s", failed.message)
        finally:
            disk.close_shard(self._path, self._shard)

    async def _read(self, job: Callable[[EdgeShard], T]) -> T:
        def run() -> T:
            with self._turnstile:
                return job(self._shard)

        return await self._run(self._read_threads, run)

    async def _write(self, job: Callable[[EdgeShard], T]) -> T:
        return await self._run(self._write_thread, lambda: job(self._shard))

    async def _run(self, threads: ThreadPoolExecutor, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, lambda: disk.named(job))
        except RuntimeError as failed:  # the threads have ended
            raise MemoryUnavailable("The embedded memory store is closed.") from failed


def _scores(shard: EdgeShard, scope: Scope, query: records.Query, limit: int) -> dict[str, dict[str, float]]:
    """Point id → signal → score, from one batch over the four vectors."""
    only = within(scope, equals("status", "active"))
    dense, sparse = list(query.dense), to_sparse(query.sparse)
    asked = [name for name in SIGNALS if name.startswith("dense") or query.sparse.indices]
    requests = [
        QueryRequest(limit=limit, query=Query.Nearest(dense if n.startswith("dense") else sparse, using=n), filter=only)
        for n in asked
    ]
    scores: dict[str, dict[str, float]] = {}
    for name, points in zip(asked, shard.query_batch(QueryBatchRequest(requests)), strict=True):
        for point in points:
            scores.setdefault(str(point.id), {})[name] = point.score
    return scores


def _turns_away(shard: EdgeShard, turns: Callable[[RangeFloat], Filter], seq: int, count: int, direction: Any) -> int:
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


def _all_points(shard: EdgeShard, only: Filter) -> list[Record]:
    found, offset = [], None
    while True:
        request = ScrollRequest(offset=offset, limit=_PAGE, filter=only, with_payload=[BODY])
        records, offset = shard.scroll(request)
        found += records
        if offset is None:
            return found


def _memories(points: Iterable[Record]) -> dict[str, Memory]:
    """By point id, in the order given; damaged ones are left out."""
    found = {str(point.id): to_memory(point.payload) for point in points}
    return {id: memory for id, memory in found.items() if memory is not None}


def _offset(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return str(uuid.UUID(bytes=base64.urlsafe_b64decode(cursor)))
    except ValueError:
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
