"""A Qdrant, asked and never told: the server, the collection that is read, its copies. Never looks at a point."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qdrant_client import models

from gateway.doctor.finding import Finding, State, shown
from gateway.errors import DataDirectoryRefused, MemoryUnavailable, StoreAway
from gateway.memory.ports import Embedder
from gateway.memory.stores import naming
from gateway.memory.stores.qdrant import Layout, Server, connect
from gateway.memory.stores.qdrant.indexes import Collections
from gateway.memory.stores.qdrant.layout import check_stamp, check_version, stamp_of
from gateway.memory.stores.qdrant.server import Connection, answered

_STATUS: dict[models.CollectionStatus, State] = {
    models.CollectionStatus.GREEN: "ok",
    models.CollectionStatus.YELLOW: "ok",  # it is merging, or building an index: it answers
    models.CollectionStatus.GREY: "warn",
    models.CollectionStatus.RED: "fail",
}


async def look(server: Server) -> list[Finding]:
    """Whether it is there and lets us in. DataDirectoryRefused when it is too old."""
    try:
        async with _connected(server) as connection:
            await check_version(connection.client)
            version = (await answered(connection.client.info())).version
    except DataDirectoryRefused:
        raise
    except MemoryUnavailable as failed:
        advice = "Start it, or mend MNEME_QDRANT_URL, MNEME_QDRANT_GRPC_PORT and MNEME_QDRANT_KEY."
        return [Finding("qdrant", "fail", failed.message, advice)]
    return [Finding("qdrant", "ok", f"{shown(server.url)}, version {version}")]


async def look_at_index(server: Server, layout: Layout, embedder: Embedder) -> list[Finding]:
    """The collection that this embedder reads. DataDirectoryRefused, with the way out, where a start would be
    refused."""
    try:
        async with _connected(server) as connection:
            found = await Collections(connection, layout.collection).found()
            name = naming.read_from(layout.collection, found, embedder.identity)
            if not await answered(connection.client.collection_exists(name)):
                return [Finding("index", "ok", f"the collection {name} is not there yet; the first start makes it")]
            info = await answered(connection.client.get_collection(name))
    except StoreAway:
        return [Finding("index", "skipped", "the Qdrant server does not answer")]
    check_stamp(name, dict(info.config.metadata or {}), stamp_of(embedder.identity, embedder.dimension))
    told = f"the collection {name}, filled by {embedder.identity}, {embedder.dimension} dimensions"
    return [Finding("index", "ok", told), status_of(info), copies_of(info.config.params, layout)]


def status_of(info: models.CollectionInfo) -> Finding:
    """Whether it answers, and how much it holds."""
    state = _STATUS.get(info.status, "warn")
    points = "an unknown number of" if info.points_count is None else info.points_count
    told = f"{info.status.value}, {points} points"
    advice = "" if state == "ok" else "Look at Qdrant's log; after a restart grey waits for the next write to optimise."
    return Finding("index status", state, told, advice)


def copies_of(params: models.CollectionParams, layout: Layout) -> Finding:
    """In a cluster; who does not tell has one."""
    made, done = params.replication_factor or 1, params.write_consistency_factor or 1
    told = f"{made} copies, a write is done with {done}"
    if done > made:
        return Finding("index copies", "fail", told, "No write can be done: lower write_consistency_factor.")
    if (made, done) != (layout.replication_factor, layout.write_consistency_factor):
        wanted = f"{layout.replication_factor} and {layout.write_consistency_factor}"
        advice = f"MNEME_QDRANT_REPLICAS and _WRITTEN say {wanted}; they shape new collections: change this in Qdrant."
        return Finding("index copies", "warn", told, advice)
    if done < made:
        advice = "A read may meet a copy that lacks the latest write: set both to the same number."
        return Finding("index copies", "warn", told, advice)
    return Finding("index copies", "ok", told)


@asynccontextmanager
async def _connected(server: Server) -> AsyncIterator[Connection]:
    with warnings.catch_warnings():  # that a key travels in the clear is said at every start
        warnings.simplefilter("ignore", UserWarning)
        connection = connect(server)
    try:
        yield connection
    finally:
        await connection.close()
