"""A memory store whose operations are spans: search_memory, upsert_memory, delete_memory. Decides nothing; the texts of
memories go into a span only where the tracer was told to keep content.
"""

import json
from collections.abc import Sequence

from gateway.memory.filters import EVERYTHING, Filter
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Candidate, Entry, Memory, Page, Query, Scope
from gateway.tracing import Span, Tracer

_COUNT = "gen_ai.memory.record.count"


def traced(store: MemoryStore, tracer: Tracer) -> MemoryStore:
    """The store as it is where nobody keeps spans."""
    return Traced(store, tracer) if tracer.keeps else store


class Traced:
    """See ports.MemoryStore."""

    def __init__(self, store: MemoryStore, tracer: Tracer) -> None:
        self._store = store
        self._tracer = tracer

    async def put(self, entries: Sequence[Entry]) -> None:
        with self._tracer.memory("upsert_memory", {_COUNT: len(entries)}) as span:
            self._show(span, [entry.memory for entry in entries])
            await self._store.put(entries)

    async def amend(self, memories: Sequence[Memory]) -> None:
        with self._tracer.memory("upsert_memory", {_COUNT: len(memories)}) as span:
            self._show(span, memories)
            await self._store.amend(memories)

    async def search(self, scope: Scope, query: Query, limit: int) -> list[Candidate]:
        with self._tracer.memory("search_memory") as span:
            found = await self._store.search(scope, query, limit)
            span.note({_COUNT: len(found)})
            self._show(span, [candidate.memory for candidate in found])
            return found

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        return await self._store.get(scope, ids)

    async def browse(
        self,
        scope: Scope,
        only: Filter = EVERYTHING,
        *,
        latest: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        return await self._store.browse(scope, only, latest=latest, cursor=cursor, limit=limit)

    async def neighbours(self, scope: Scope, session: str, first: int, last: int, radius: int) -> list[Memory]:
        return await self._store.neighbours(scope, session, first, last, radius)

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        one = {"gen_ai.memory.record.id": ids[0]} if len(ids) == 1 else {}
        with self._tracer.memory("delete_memory", {_COUNT: len(ids), **one}):
            return await self._store.delete(scope, ids)

    async def forget(self, scope: Scope) -> int:
        """As the conventions have it: a delete_memory that names no record means all of them."""
        with self._tracer.memory("delete_memory") as span:
            count = await self._store.forget(scope)
            span.note({_COUNT: count})
            return count

    async def count(self, scope: Scope, only: Filter = EVERYTHING) -> int:
        return await self._store.count(scope, only)

    async def users(self, tenant: str) -> dict[str, int]:
        return await self._store.users(tenant)

    async def tenants(self) -> list[str]:
        return await self._store.tenants()

    async def settled(self) -> None:
        await self._store.settled()

    async def ping(self) -> None:
        await self._store.ping()

    def _show(self, span: Span, memories: Sequence[Memory]) -> None:
        if self._tracer.content:
            records = [{"id": memory.id, "content": memory.text} for memory in memories]
            span.note({"gen_ai.memory.records": json.dumps(records)})
