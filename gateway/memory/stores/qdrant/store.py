"""MemoryStore over a Qdrant server. Keeps nothing of its own, so any number of gateways and writers may share one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from qdrant_client import models

from gateway.errors import MemoryUnavailable
from gateway.memory.filters import EVERYTHING, Filter
from gateway.memory.records import Candidate, Entry, Memory, Page, Query, Scope
from gateway.memory.stores.latest import AT, Points
from gateway.memory.stores.latest import latest as by_time
from gateway.memory.stores.points import (
    BODY,
    PointId,
    admitted,
    from_cursor,
    in_order,
    memories,
    to_cursor,
    unique,
    unword,
)
from gateway.memory.stores.qdrant import reads
from gateway.memory.stores.qdrant.collection import Collection
from gateway.memory.stores.qdrant.layout import Layout, prepare
from gateway.memory.stores.qdrant.points import UNTOLD, among, between, equals, matching
from gateway.memory.stores.qdrant.server import Connection

_LATEST = models.OrderBy(key=AT, direction=models.Direction.DESC)
_LOOK_EVERY, _LOOKS = 0.5, 1200  # for ten minutes: a server may have other collections to build, too


class QdrantStore:
    """See ports.MemoryStore. Made by `open`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    @classmethod
    @asynccontextmanager
    async def open(
        cls, connection: Connection, layout: Layout, *, embedder_identity: str, dimension: int
    ) -> AsyncIterator["QdrantStore"]:
        """The store in the layout's collection, which is made if there is none; the connection is closed at the end.
        DataDirectoryRefused when another embedder filled it; MemoryUnavailable when the server does not answer."""
        try:
            await prepare(connection.client, layout, embedder_identity, dimension)
            yield cls(Collection(connection, layout))
        finally:
            await connection.close()

    async def put(self, entries: Sequence[Entry]) -> None:
        latest = {(entry.memory.scope, entry.memory.id): entry for entry in entries}
        for tenant in {scope.tenant for scope, _ in latest}:
            await self._collection.put(tenant, [e for (scope, _), e in latest.items() if scope.tenant == tenant])

    async def amend(self, memories: Sequence[Memory]) -> None:
        for tenant in {memory.scope.tenant for memory in memories}:
            await self._collection.amend(tenant, [memory for memory in memories if memory.scope.tenant == tenant])

    async def search(self, scope: Scope, query: Query, limit: int) -> list[Candidate]:
        return await reads.search(self._collection, scope, query, limit)

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        if not ids:
            return []
        return in_order(memories(await self._collection.all(scope, among(scope, unique(ids)))).values(), ids)

    async def browse(
        self,
        scope: Scope,
        only: Filter = EVERYTHING,
        *,
        latest: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        such = matching(only)

        async def scroll(
            bounds: Mapping[str, float], limit: int, *, offset: str | None = None, latest: bool = False
        ) -> tuple[Points, PointId | None]:
            when = [between(AT, **bounds)] if bounds else []
            order = _LATEST if latest else None
            return await self._collection.page(
                scope, *such, *when, limit=limit, offset=offset, order=order, fields=[BODY, AT]
            )

        if latest:
            points, following = await by_time(scroll, cursor, limit)
        else:
            points, after = await scroll({}, limit, offset=from_cursor(cursor))
            following = to_cursor(after)
        return Page(admitted(points, only), following)

    async def neighbours(self, scope: Scope, session: str, first: int, last: int, radius: int) -> list[Memory]:
        return await reads.neighbours(self._collection, scope, session, first, last, radius)

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        own = among(scope, unique(ids))
        held = await self._collection.count(scope, own)
        if held:
            await self._collection.delete(scope, own)
        return held

    async def forget(self, scope: Scope) -> int:
        held = await self._collection.count(scope)
        await self._collection.delete(scope)
        left = await self._collection.count(scope)
        if left:
            raise MemoryUnavailable(f"The Qdrant server still holds {left} of {held} memories that it was to forget.")
        return held

    async def count(self, scope: Scope, only: Filter = EVERYTHING) -> int:
        if only.trust is None:
            return await self._collection.count(scope, *matching(only))
        such = matching(replace(only, trust=None))
        told = await self._collection.count(scope, *such, equals("trust", only.trust))
        return told + len(admitted(await self._collection.all(scope, *such, UNTOLD), only))

    async def users(self, tenant: str) -> dict[str, int]:
        return {unword(user): held for user, held in (await self._collection.users(tenant)).items()}

    async def tenants(self) -> list[str]:
        return sorted(map(unword, await self._collection.tenants()))

    async def settled(self) -> None:
        for _ in range(_LOOKS):
            if not await self._collection.busy():
                return
            await asyncio.sleep(_LOOK_EVERY)

    async def ping(self) -> None:
        if not await self._collection.exists():
            raise MemoryUnavailable("The Qdrant server answers, but has no collection of Mneme's any more.")
