"""The way to a Qdrant server, and what its failures are called. Never knows what a question is about."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import grpc
import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.conversions.conversion import RestToGrpc, grpc_to_payload
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from gateway.errors import MemoryUnavailable, StoreAway
from gateway.memory.stores.points import PointId, Read
from gateway.memory.uncut import Uncut

T = TypeVar("T")
# Milliseconds. Left alone, a channel waits up to two minutes before it looks again for a server that was away. `min`
# is, for all its name, how long a busy server may take to shake hands.
_LOOKS_AGAIN = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.min_reconnect_backoff_ms": 5_000,
}
# What the client lets through: both wires' errors, its own, and bare ones where it was closed.
_FOREIGN = (
    grpc.RpcError,
    grpc.aio.BaseError,
    ApiException,
    QdrantException,
    httpx.HTTPError,
    OSError,
    RuntimeError,
)
# What passes by itself: the server is away, slow or busy. All else it would say again.
_NOT_NOW = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
)
_AWAY = (ResponseHandlingException, ResourceExhaustedResponse, httpx.TransportError, OSError)


class Scored(Read[PointId], Protocol):
    """A point that answers a question."""

    @property
    def score(self) -> float: ...


class Found(NamedTuple):
    """See Scored."""

    id: str
    score: float
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Server:
    """`url` has the port for REST; with `grpc`, calls go to `grpc_port` of the same host. A call may take `timeout`
    seconds."""

    url: str
    key: str = field(default="", repr=False)
    grpc: bool = True
    grpc_port: int = 6334
    timeout: int = 5


@dataclass(frozen=True, slots=True)
class Connection:
    """A client, and whether it speaks `grpc`: then questions go past the client's own types, see ask. Over REST calls
    are `uncut`."""

    client: AsyncQdrantClient
    grpc: bool = False
    timeout: int = 5
    uncut: Uncut = field(default_factory=Uncut)

    async def close(self) -> None:
        """With whatever is under way."""
        await self.uncut.close()
        await self.client.close()


def connect(server: Server) -> Connection:
    """Nothing is asked of the server yet."""
    client = AsyncQdrantClient(
        url=server.url,
        api_key=server.key or None,
        prefer_grpc=server.grpc,
        grpc_port=server.grpc_port,
        grpc_options=dict(_LOOKS_AGAIN),
        timeout=server.timeout,
        check_compatibility=False,  # it would ask in a thread of its own, and only warn: see layout.prepare
    )
    connection = Connection(client, server.grpc, server.timeout)
    if not server.grpc:
        client.http.client.add_middleware(lambda request, send: connection.uncut(lambda: send(request)))
    return connection


async def answered(call: Awaitable[T]) -> T:
    """The answer; MemoryUnavailable, whatever way the client says that there is none, and of its kinds StoreAway where
    there may be one later."""
    try:
        return await call
    except _FOREIGN as failed:
        kind = StoreAway if _passes(failed) else MemoryUnavailable
        raise kind(f"The Qdrant server failed: {_told(failed)}") from failed
    except ValueError as failed:  # it quotes what could not be read, which may be somebody's text
        raise MemoryUnavailable(f"The Qdrant server was not understood ({type(failed).__name__}).") from None


async def ask(
    connection: Connection, collection: str, requests: Sequence[models.QueryRequest]
) -> list[Sequence[Scored]]:
    """Several questions in one call; the points that answer each. Over gRPC without the client's copies of what is
    asked and its objects for what is told: they took 40 % of a search's time on our side."""
    if not connection.grpc:
        answers = await answered(connection.client.query_batch_points(collection, requests))
        return [answer.points for answer in answers]
    batch = wire.QueryBatchPoints(
        collection_name=collection,
        query_points=[RestToGrpc.convert_query_request(request, collection) for request in requests],
    )
    told = await answered(connection.client.grpc_points.QueryBatch(batch, timeout=connection.timeout))
    return [[Found(p.id.uuid, p.score, grpc_to_payload(p.payload)) for p in each.result] for each in told.result]


def _passes(failed: BaseException) -> bool:
    if isinstance(failed, grpc.aio.AioRpcError):
        return failed.code() in _NOT_NOW
    return isinstance(failed, _AWAY) or (isinstance(failed, UnexpectedResponse) and (failed.status_code or 0) >= 500)


def _told(failed: BaseException) -> str:
    if isinstance(failed, grpc.aio.AioRpcError):
        return f"{failed.code().name}: {failed.details()}"
    return str(failed) or type(failed).__name__
