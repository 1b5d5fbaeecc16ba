"""The three Qdrants of the tests: the client's own mode without a server, the stand-in server, and a real one if the
environment names it. Knows no test."""

import os
import uuid
import warnings
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from qdrant_client import AsyncQdrantClient

from gateway.memory.stores.qdrant import Connection, Layout, QdrantStore, Server, connect
from tests.support.qdrant_server import Node, serving

REAL = os.environ.get("MNEME_TEST_QDRANT", "")
"""URL of a server's REST port; its gRPC port is the usual one."""
_made: set[str] = set()


@asynccontextmanager
async def local_store(path: Path, *, identity: str = "test", dimension: int) -> AsyncIterator[QdrantStore]:
    """A store over files, which stay. Without indexes, which this mode warns that it cannot have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect")
        local = Connection(AsyncQdrantClient(path=str(path)))
        async with QdrantStore.open(local, Layout(), embedder_identity=identity, dimension=dimension) as store:
            yield store


@asynccontextmanager
async def wire_store(path: Path, *, dimension: int) -> AsyncIterator[QdrantStore]:
    """A store over a stand-in server of its own, whose files stay."""
    async with serving(Node(path)) as port, store_on(port, dimension=dimension) as store:
        yield store


def store_on(
    port: int, layout: Layout | None = None, *, key: str = "", identity: str = "test", dimension: int
) -> AbstractAsyncContextManager[QdrantStore]:
    """A store over the server on this port of loopback."""
    connection = connect(Server("http://127.0.0.1", key, grpc_port=port))
    return QdrantStore.open(connection, layout or Layout(), embedder_identity=identity, dimension=dimension)


@asynccontextmanager
async def real_store(path: Path, *, dimension: int) -> AsyncIterator[QdrantStore]:
    """A store in a collection of the path's own on the server that the environment names; it stays."""
    layout = Layout(f"mneme-test-{uuid.uuid5(uuid.NAMESPACE_URL, str(path))}")
    _made.add(layout.collection)
    opened = QdrantStore.open(connect(Server(REAL)), layout, embedder_identity="test", dimension=dimension)
    async with opened as store:
        yield store


async def remove_real_collections() -> None:
    """Those that `real_store` made."""
    if not _made:
        return
    client = connect(Server(REAL)).client
    for name in sorted(_made):
        await client.delete_collection(name)
    await client.close()
