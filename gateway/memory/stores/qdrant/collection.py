"""What can be asked of a collection: always of one scope, never with a filter of the asker's own. Knows the server's
calls; not what they are for."""

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from gateway.memory.records import Entry, Memory, Scope, Sparse, Vector
from gateway.memory.stores.points import BODY, PointId, to_payload, word
from gateway.memory.stores.qdrant.layout import SHARED_SHARD, Layout
from gateway.memory.stores.qdrant.points import Condition, among, of_tenant, to_point, to_sparse, within
from gateway.memory.stores.qdrant.server import Connection, Scored, answered, ask

_PAGE = 1000
_PORTION = 128  # entries of some 10 kB, in messages that a server takes
_ALL = 1_000_000


class Collection:
    """Every call raises MemoryUnavailable when the server does not answer. What was written is durable, and was applied
    in the same order everywhere, when the call returns."""

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self._connection = connection
        self._client = connection.client
        self._name = layout.collection
        self._tenant_shards = layout.tenant_shards

    async def put(self, tenant: str, entries: Sequence[Entry]) -> None:
        """Insert or replace; all of one tenant."""
        for start in range(0, len(entries), _PORTION):
            await answered(
                self._client.upsert(
                    self._name,
                    [to_point(entry) for entry in entries[start : start + _PORTION]],
                    wait=True,
                    ordering=models.WriteOrdering.STRONG,
                    shard_key_selector=self._shards(tenant),
                )
            )

    async def amend(self, tenant: str, memories: Sequence[Memory]) -> None:
        """Replace what is held of memories beside their vectors; all of one tenant."""
        for start in range(0, len(memories), _PORTION):
            changes: list[models.UpdateOperation] = [
                models.SetPayloadOperation(
                    set_payload=models.SetPayload(
                        payload=to_payload(memory),
                        filter=within(memory.scope, among(memory.scope, [memory.id])),
                        shard_key=self._shards(tenant),
                    )
                )
                for memory in memories[start : start + _PORTION]
            ]
            strong = models.WriteOrdering.STRONG
            await answered(self._client.batch_update_points(self._name, changes, wait=True, ordering=strong))

    def nearest(
        self,
        scope: Scope,
        about: Condition,
        using: str,
        asked: Vector | Sparse,
        limit: int,
        *conditions: Condition,
        any_of: Sequence[Condition] = (),
        with_body: bool = False,
    ) -> models.QueryRequest:
        """A question about such memories, for `query`; words weigh by their rarity among those of the scope."""
        sparse = isinstance(asked, Sparse)
        own = models.IdfCorpusParams(corpus=within(scope, about))
        return models.QueryRequest(
            query=models.NearestQuery(nearest=to_sparse(asked) if isinstance(asked, Sparse) else list(asked)),
            using=using,
            params=models.SearchParams(idf=own) if sparse else None,
            filter=within(scope, about, *conditions, any_of=any_of),
            limit=limit,
            with_payload=[BODY] if with_body else False,
            shard_key=self._shards(scope.tenant),
        )

    def ordered(self, scope: Scope, order: models.OrderBy, limit: int, *conditions: Condition) -> models.QueryRequest:
        """The first memories in an order, for `query`."""
        return models.QueryRequest(
            query=models.OrderByQuery(order_by=order),
            filter=within(scope, *conditions),
            limit=limit,
            with_payload=False,
            shard_key=self._shards(scope.tenant),
        )

    async def query(self, requests: Sequence[models.QueryRequest]) -> list[Sequence[Scored]]:
        """All in one call; an answer for each."""
        return await ask(self._connection, self._name, requests)

    async def page(
        self,
        scope: Scope,
        *conditions: Condition,
        limit: int,
        offset: PointId | None = None,
        order: models.OrderBy | None = None,
        fields: Sequence[str] = (BODY,),
    ) -> tuple[list[models.Record], PointId | None]:
        """Points, and with which one the next page begins."""
        return await answered(
            self._client.scroll(
                self._name,
                within(scope, *conditions),
                limit=limit,
                order_by=order,
                offset=offset,
                with_payload=list(fields),
                shard_key_selector=self._shards(scope.tenant),
            )
        )

    async def all(self, scope: Scope, *conditions: Condition) -> list[models.Record]:
        """Every point, page by page."""
        found, offset = await self.page(scope, *conditions, limit=_PAGE)
        while offset is not None:
            more, offset = await self.page(scope, *conditions, limit=_PAGE, offset=offset)
            found += more
        return found

    async def count(self, scope: Scope, *conditions: Condition) -> int:
        """How many points there are, exactly."""
        shards, only = self._shards(scope.tenant), within(scope, *conditions)
        return (await answered(self._client.count(self._name, only, exact=True, shard_key_selector=shards))).count

    async def delete(self, scope: Scope, *conditions: Condition) -> None:
        """Remove them."""
        await answered(
            self._client.delete(
                self._name,
                models.FilterSelector(filter=within(scope, *conditions)),
                wait=True,
                ordering=models.WriteOrdering.STRONG,
                shard_key_selector=self._shards(scope.tenant),
            )
        )

    async def users(self, tenant: str) -> dict[str, int]:
        """How many points each user of the tenant has."""
        facet = await answered(
            self._client.facet(
                self._name,
                "user",
                of_tenant(tenant),
                limit=_ALL,
                exact=True,
                shard_key_selector=self._shards(tenant),
            )
        )
        return {str(hit.value): hit.count for hit in facet.hits}

    async def tenants(self) -> list[str]:
        """Who has points, wherever they lie."""
        facet = await answered(self._client.facet(self._name, "tenant", limit=_ALL, exact=True))
        return [str(hit.value) for hit in facet.hits if hit.count]  # it tells also of those who are gone

    async def exists(self) -> bool:
        """Whether it is there, and so the server."""
        return await answered(self._client.collection_exists(self._name))

    async def busy(self) -> bool:
        """Whether the server is rebuilding its pieces."""
        info = await answered(self._client.get_collection(self._name))
        return info.status == models.CollectionStatus.YELLOW

    def _shards(self, tenant: str) -> Any:
        if not self._tenant_shards:
            return None
        return models.ShardKeyWithFallback(target=word(tenant), fallback=SHARED_SHARD)
