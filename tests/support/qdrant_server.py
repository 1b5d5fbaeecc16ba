"""A stand-in for a Qdrant server, which cannot be had here: its real wire (gRPC) before its real engine (Edge). One
node, one shard; only the calls that Mneme makes. `python -m tests.support.qdrant_server PORT DIRECTORY` runs one alone.

What it cannot show: replication, write consistency, the optimizers of a server, REST.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import payload_to_grpc

from tests.support.qdrant_engine import Held, load

VERSION = "1.20.0"
_KINDS = {
    wire.FieldType.FieldTypeKeyword: wire.PayloadSchemaType.Keyword,
    wire.FieldType.FieldTypeInteger: wire.PayloadSchemaType.Integer,
    wire.FieldType.FieldTypeFloat: wire.PayloadSchemaType.Float,
}


class Refused(Exception):
    """Answered with this status instead."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code, self.details = code, details


class Node:
    """All collections below a directory. `asked` are the calls that came, `failing` is the status of every one to come,
    `pretended` are the names of writes that are acknowledged and not done; `busy`: it says that it is building."""

    def __init__(self, path: Path, key: str = "", version: str = VERSION) -> None:
        self.key, self.version = key, version
        self.asked: list[tuple[str, Any]] = []
        self.failing: grpc.StatusCode | None = None
        self.pretended: set[str] = set()
        self.busy = False
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        self._held = {file.parent.name: load(file.parent) for file in path.glob("*/made")}
        self._readers, self._writer = ThreadPoolExecutor(2), ThreadPoolExecutor(1)

    def held(self, name: str) -> Held:
        """The collection of that name."""
        if name not in self._held:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Collection `{name}` doesn't exist!")
        return self._held[name]

    def has(self, name: str) -> bool:
        """Whether there is one."""
        return name in self._held

    def names(self) -> list[str]:
        """Of all that there are."""
        return [*self._held]

    def drop(self, name: str) -> None:
        """Without a trace."""
        self.held(name).close()
        del self._held[name]
        shutil.rmtree(self._path / name)

    def create(self, request: wire.CreateCollection) -> None:
        """A new one."""
        if self.has(request.collection_name):
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Collection `{request.collection_name}` already exists!")
        self._held[request.collection_name] = Held(self._path / request.collection_name, request)

    async def read(self, job: Callable[[], Any]) -> Any:
        """On a thread for reading."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, job)

    async def write(self, job: Callable[[], Any]) -> Any:
        """On the one thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, job)

    def close(self) -> None:
        """Close every collection."""
        self._readers.shutdown()
        self._writer.shutdown()
        for held in self._held.values():
            held.close()


class Root(wire.QdrantServicer):
    """Who is there."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def HealthCheck(self, _request: Any, _context: Any) -> Any:
        """The version."""
        return wire.HealthCheckReply(title="stand-in", version=self._node.version)


class Collections(wire.CollectionsServicer):
    """Collections, made and described."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def CollectionExists(self, request: Any, _context: Any) -> Any:
        """Yes or no."""
        there = self._node.has(request.collection_name)
        return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=there))

    async def Create(self, request: Any, _context: Any) -> Any:
        """As asked."""
        await self._node.write(lambda: self._node.create(request))
        return wire.CollectionOperationResponse(result=True)

    async def List(self, _request: Any, _context: Any) -> Any:
        """Their names."""
        told = [wire.CollectionDescription(name=name) for name in self._node.names()]
        return wire.ListCollectionsResponse(collections=told)

    async def Update(self, request: Any, _context: Any) -> Any:
        """What is noted on one; the rest stays as it was made."""
        held = self._node.held(request.collection_name)
        await self._node.write(lambda: held.note(request.metadata))
        return wire.CollectionOperationResponse(result=True)

    async def Delete(self, request: Any, _context: Any) -> Any:
        """With all that it holds."""
        await self._node.write(lambda: self._node.drop(request.collection_name))
        return wire.CollectionOperationResponse(result=True)

    async def Get(self, request: Any, _context: Any) -> Any:
        """What it was made of, and its indexes."""
        held = self._node.held(request.collection_name)
        config = wire.CollectionConfig(
            params=wire.CollectionParams(
                vectors_config=held.made.vectors_config, sparse_vectors_config=held.made.sparse_vectors_config
            ),
            hnsw_config=wire.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000),
            optimizer_config=wire.OptimizersConfigDiff(
                deleted_threshold=0.2, vacuum_min_vector_number=1_000, default_segment_number=1, flush_interval_sec=5
            ),
            wal_config=wire.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
            metadata=held.made.metadata,
        )
        kinds = {
            name: wire.PayloadSchemaInfo(data_type=_KINDS[index.field_type]) for name, index in held.indexes.items()
        }
        info = wire.CollectionInfo(
            status=wire.CollectionStatus.Yellow if self._node.busy else wire.CollectionStatus.Green,
            optimizer_status=wire.OptimizerStatus(ok=True),
            config=config,
            payload_schema=kinds,
        )
        return wire.GetCollectionInfoResponse(result=info)

    async def CreateShardKey(self, request: Any, _context: Any) -> Any:
        """A shard by name."""
        self._node.held(request.collection_name).add_key(request.request.shard_key.keyword)
        return wire.CreateShardKeyResponse(result=True)

    async def ListShardKeys(self, request: Any, _context: Any) -> Any:
        """Their names."""
        keys = self._node.held(request.collection_name).shard_keys
        told = [wire.ShardKeyDescription(key=wire.ShardKey(keyword=key)) for key in sorted(keys)]
        return wire.ListShardKeysResponse(shard_keys=told)


class Points(wire.PointsServicer):
    """Points, written and read."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def CreateFieldIndex(self, request: Any, _context: Any) -> Any:
        """An index on a field."""
        held = self._node.held(request.collection_name)
        await self._node.write(lambda: held.index(request))
        return _done()

    async def Upsert(self, request: Any, _context: Any) -> Any:
        """Insert or replace."""
        held = self._collection(request)
        await self._node.write(lambda: held.put(request.points))
        return _done()

    async def UpdateBatch(self, request: Any, _context: Any) -> Any:
        """Fields of many points, each by a filter."""
        held = self._node.held(request.collection_name)
        for change in request.operations:
            if change.WhichOneof("operation") != "set_payload":
                raise ValueError(f"A change of this kind is not known: {change}")
            _check_key(held, change.set_payload)
            await self._node.write(partial(held.set_payload, change.set_payload))
        done = wire.UpdateResult(status=wire.UpdateStatus.Completed)
        return wire.UpdateBatchResponse(result=[done] * len(request.operations))

    async def Delete(self, request: Any, _context: Any) -> Any:
        """By filter."""
        held = self._collection(request)
        await self._node.write(lambda: held.delete(request.points.filter))
        return _done()

    async def QueryBatch(self, request: Any, _context: Any) -> Any:
        """Several questions."""
        held = self._node.held(request.collection_name)
        for query in request.query_points:
            _check_key(held, query)
        answers = await self._node.read(lambda: held.query(request.query_points))
        told = [
            wire.BatchResult(
                result=[
                    wire.ScoredPoint(id=_id(p), payload=payload_to_grpc(p.payload or {}), score=p.score) for p in points
                ]
            )
            for points in answers
        ]
        return wire.QueryBatchResponse(result=told)

    async def Scroll(self, request: Any, _context: Any) -> Any:
        """A page."""
        held = self._collection(request)
        points, after = await self._node.read(lambda: held.scroll(request))
        told = [wire.RetrievedPoint(id=_id(p), payload=payload_to_grpc(p.payload or {})) for p in points]
        return wire.ScrollResponse(result=told, next_page_offset=after and wire.PointId(uuid=str(after)))

    async def Count(self, request: Any, _context: Any) -> Any:
        """Exactly."""
        held = self._collection(request)
        count = await self._node.read(lambda: held.count(request.filter))
        return wire.CountResponse(result=wire.CountResult(count=count))

    async def Facet(self, request: Any, _context: Any) -> Any:
        """Values of a field. A read that names no shard goes to all of them."""
        held = self._node.held(request.collection_name)
        if request.HasField("filter"):
            _check_key(held, request)
        hits = await self._node.read(lambda: held.facet(request))
        told = [wire.FacetHit(value=wire.FacetValue(string_value=str(hit.value)), count=hit.count) for hit in hits]
        return wire.FacetResponse(hits=told)

    def _collection(self, request: Any) -> Held:
        held = self._node.held(request.collection_name)
        _check_key(held, request)
        return held


class Door(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Notes every call, lets in who has the key, and says what went wrong."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Around the method's own handler."""
        handler, node = await continuation(details), self._node
        name = details.method.rpartition("/")[2]
        known = dict(details.invocation_metadata).get("api-key", "")

        async def handle(request: Any, context: Any) -> Any:
            node.asked.append((name, request))
            try:
                if node.failing is not None:
                    raise Refused(node.failing, "as the test wants it")
                if known != node.key:
                    raise Refused(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key")
                return _done() if name in node.pretended else await handler.unary_unary(request, context)
            except Refused as refused:
                await context.abort(refused.code, refused.details)

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


@asynccontextmanager
async def serving(node: Node, port: int = 0) -> AsyncIterator[int]:
    """The node on loopback; the port."""
    server = grpc.aio.server(interceptors=[Door(node)], options=[("grpc.so_reuseport", 0)])
    rooms: list[tuple[Any, Any]] = [
        (wire.add_QdrantServicer_to_server, Root(node)),
        (wire.add_CollectionsServicer_to_server, Collections(node)),
        (wire.add_PointsServicer_to_server, Points(node)),
    ]
    for add, room in rooms:
        add(room, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)
        node.close()


def _check_key(held: Held, request: Any) -> None:
    if held.custom and not request.shard_key_selector.shard_keys:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "Shard key not specified")


def _id(point: Any) -> Any:
    return wire.PointId(uuid=str(point.id))


def _done() -> Any:
    return wire.PointsOperationResponse(result=wire.UpdateResult(status=wire.UpdateStatus.Completed))


async def _main(port: int, path: Path) -> None:
    async with serving(Node(path), port) as bound:
        print(f"listening on {bound}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
