"""MemoryStore over Qdrant Edge. Every call runs on its own few threads; no call exists without a scope's filter."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from qdrant_edge import (
    CountRequest,
    Direction,
    EdgeShard,
    FacetRequest,
    FieldCondition,
    Filter,
    HasIdCondition,
    RangeFloat,
    UpdateOperation,
)

from gateway.errors import MemoryUnavailable
from gateway.memory import filters
from gateway.memory.records import Candidate, Entry, Memory, Page, Query, Scope
from gateway.memory.stores import directory
from gateway.memory.stores.edge import reads
from gateway.memory.stores.edge import shard as disk
from gateway.memory.stores.edge.indexing import Indexing
from gateway.memory.stores.edge.points import between, equals, matching, of_tenant, to_point, within
from gateway.memory.stores.edge.resident import Residents
from gateway.memory.stores.latest import Points
from gateway.memory.stores.latest import latest as by_time
from gateway.memory.stores.points import (
    BODY,
    PointId,
    admitted,
    from_cursor,
    in_line,
    in_order,
    memories,
    point_id,
    scope_key,
    to_cursor,
    to_payload,
    unique,
    unword,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
_READERS = 2
_ALL = 1_000_000


class EdgeStore:
    """See ports.MemoryStore. Made by `open`.

    A scope that is small and asked about again is kept in RAM and scored whole. The others are asked of the engine's
    index, which chooses by the signals that found a memory. BM25 rarity is the scope's own, except in a scope too large
    to count it at every question: there it is the whole store's.
    """

    def __init__(self, path: Path, dimension: int, shard: EdgeShard, *, syncs: bool) -> None:
        self._path = path
        self._syncs = syncs
        self._dimension = dimension
        self._shard = shard
        # A reader holds one; who swaps the shard holds all of them, so nobody reads while there is none.
        self._turnstile = threading.Semaphore(_READERS)
        self._residents = Residents(dimension)
        self._loads: dict[Scope, Future[None]] = {}
        self._read_threads = ThreadPoolExecutor(_READERS, "edge-read")
        self._write_thread = ThreadPoolExecutor(1, "edge-write")
        self._indexing = Indexing(path, lambda job: self._write_thread.submit(lambda: job(self._shard)), self._replace)

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

    @property
    def name(self) -> str:
        """Its directory's."""
        return self._path.name

    async def put(self, entries: Sequence[Entry]) -> None:
        def job(shard: EdgeShard) -> None:
            points = [to_point(entry) for entry in entries]
            self._indexing.touched(str(point.id) for point in points)
            shard.update(UpdateOperation.upsert_points(points))
            if self._syncs:
                shard.flush()
            self._residents.put(entries)

        if entries:
            await self._write(job, {entry.memory.scope for entry in entries})

    async def amend(self, memories: Sequence[Memory]) -> None:
        def job(shard: EdgeShard) -> None:
            self._indexing.touched(point_id(memory.scope, memory.id) for memory in memories)
            for memory in memories:
                point = HasIdCondition({point_id(memory.scope, memory.id)})
                shard.update(UpdateOperation.set_payload_by_filter(within(memory.scope, point), to_payload(memory)))
            if self._syncs:
                shard.flush()
            for scope in scopes:  # what becomes active again has its vectors in the files only
                self._residents.drop(scope)

        scopes = {memory.scope for memory in memories}
        await self._write(job, scopes)

    async def search(self, scope: Scope, query: Query, limit: int) -> list[Candidate]:
        def job() -> list[Candidate]:
            resident = query.as_of is None  # what is not active is in no RAM
            found = self._residents.search(scope, query, limit) if resident else None
            if found is None:
                with self._turnstile:
                    held = reads.about(self._shard, scope)
                    found = reads.search(self._shard, scope, query, limit, held)
                    self._indexing.asked(self._shard, scope_key(scope), held)
                if resident and scope not in self._loads and self._residents.wants(scope, held):
                    self._loads[scope] = load = self._write_thread.submit(self._load, scope)
                    load.add_done_callback(lambda _: self._loads.pop(scope, None))
            return found

        return await self._run(self._read_threads, job)

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        wanted = [point_id(scope, id) for id in unique(ids)]
        if not wanted:
            return []
        found = await self._read(lambda shard: shard.retrieve([*wanted], with_payload=[BODY], with_vector=False))
        return in_order(memories(found).values(), ids)

    async def browse(
        self,
        scope: Scope,
        only: filters.Filter = filters.EVERYTHING,
        *,
        latest: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        such = matching(only)

        async def scroll(
            bounds: Mapping[str, float], limit: int, *, offset: str | None = None, latest: bool = False
        ) -> tuple[Points, PointId | None]:
            request = reads.page(scope, [*such, *between("at", bounds)], limit, offset=offset, latest=latest)
            return await self._read(lambda shard: shard.scroll(request))

        if latest:
            points, following = await by_time(scroll, cursor, limit)
        else:
            points, after = await scroll({}, limit, offset=from_cursor(cursor))
            following = to_cursor(after)
        return Page(admitted(points, only), following)

    async def neighbours(self, scope: Scope, session: str, first: int, last: int, radius: int) -> list[Memory]:
        def turns(around: RangeFloat) -> Filter:
            line = FieldCondition(key="seq", range=around)
            return within(scope, equals("session", session), equals("kind", "turn"), line)

        def job(shard: EdgeShard) -> list[Memory]:
            start = reads.turns_away(shard, turns, first, radius, Direction.Desc)
            end = reads.turns_away(shard, turns, last, radius, Direction.Asc)
            return in_line(reads.all_memories(shard, turns(RangeFloat(gte=start, gt=0, lte=end))).values())

        return await self._read(job)

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        wanted = [point_id(scope, id) for id in unique(ids)]

        def job(shard: EdgeShard) -> int:
            found = shard.retrieve([*wanted], with_payload=False, with_vector=False)
            if found:
                disk.mark_for_rewrite(self._path)
                self._indexing.touched(str(point.id) for point in found)
                shard.update(UpdateOperation.delete_points([point.id for point in found]))
                self._residents.remove(scope, ids)
            return len(found)

        return await self._write(job, [scope]) if wanted else 0

    async def forget(self, scope: Scope) -> int:
        def job(shard: EdgeShard) -> int:
            held = shard.count(CountRequest(exact=True, filter=within(scope)))
            if held:
                disk.mark_for_rewrite(self._path)
                shard.update(UpdateOperation.delete_points_by_filter(within(scope)))
            self._residents.drop(scope)
            if disk.wants_rewrite(self._path):
                self._rewrite()
            return held

        return await self._write(job, [scope])

    async def count(self, scope: Scope, only: filters.Filter = filters.EVERYTHING) -> int:
        return await self._read(lambda shard: reads.count(shard, scope, only))

    async def users(self, tenant: str) -> dict[str, int]:
        request = FacetRequest("user", limit=_ALL, exact=True, filter=of_tenant(tenant))
        facet = await self._read(lambda shard: shard.facet(request))
        return {unword(str(hit.value)): hit.count for hit in facet.hits}

    async def tenants(self) -> list[str]:
        request = FacetRequest("tenant", limit=_ALL, exact=True)
        facet = await self._read(lambda shard: shard.facet(request))
        return sorted(unword(str(hit.value)) for hit in facet.hits if hit.count)  # it tells also of those who are gone

    async def ping(self) -> None:
        await self._read(lambda shard: shard.info())

    async def settled(self) -> None:
        await asyncio.to_thread(self._indexing.wait)
        await self._write(lambda _: None, ())  # what was to be loaded is loaded before

    async def copy(self, path: Path) -> int:
        """Copy the store's files to a new directory and open them there, which proves them whole; how many memories it
        is. Reads go on meanwhile; writes wait for the copy."""
        await self._write(lambda shard: disk.copy_out(self._path, shard, path), ())
        return await asyncio.to_thread(disk.named, lambda: disk.proven(path, self._dimension))

    def _rewrite(self) -> None:
        """Reads go on while the rest is copied."""
        self._indexing.abandon()
        disk.copy_rest(self._path, self._shard, self._dimension)
        self._replace(lambda: disk.swap(self._path))

    def _replace(self, opened: Callable[[], EdgeShard]) -> None:
        """Close the shard and use what `opened` opens; reads wait meanwhile."""
        for _ in range(_READERS):
            self._turnstile.acquire()
        try:
            self._shard.close()
            self._shard = opened()
        finally:
            self._turnstile.release(_READERS)

    def _load(self, scope: Scope) -> None:
        """On the write thread, so that nothing is written between the reading and the keeping."""
        try:
            disk.named(lambda: self._residents.load(scope, reads.entries(self._shard, scope)))
        except MemoryUnavailable as failed:  # the index goes on answering
            log.warning("a user's memories could not be loaded into RAM: %s", failed.message)

    def _close(self) -> None:
        self._read_threads.shutdown()
        for load in list(self._loads.values()):
            load.cancel()
        self._indexing.close()
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

    async def _write(self, job: Callable[[EdgeShard], T], scopes: Iterable[Scope]) -> T:
        def run() -> T:
            try:
                return job(self._shard)
            except BaseException:  # also the engine's panics: what it did of the job is unknown, so it is asked anew
                for scope in scopes:
                    self._residents.drop(scope)
                raise

        return await self._run(self._write_thread, run)

    async def _run(self, threads: ThreadPoolExecutor, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, lambda: disk.named(job))
        except RuntimeError as failed:  # the threads have ended
            raise MemoryUnavailable("The embedded memory store is closed.") from failed
