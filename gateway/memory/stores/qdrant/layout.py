"""How memories are laid out on a server: the collection is made, stamped with its embedder, indexed; or refused. Knows
no memory."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from qdrant_client import AsyncQdrantClient, models

from gateway.errors import DataDirectoryRefused, MemoryUnavailable
from gateway.memory.stores.naming import filled_by_another
from gateway.memory.stores.points import INDEXED_NUMBERS, INDEXED_WORDS
from gateway.memory.stores.qdrant.server import answered

SHARED_SHARD = "shared"
"""With shards by tenant, where every tenant lives who has none of their own."""

MARK = "behind"
"""In a stamp: that the collection does not hold everything. Empty, or not there, where it does."""
_FORMAT = 1
# The first that counts rarity among one user's memories; an older one would weigh words by what all users say.
_OLDEST = (1, 19)
# Scanning so many vectors takes a millisecond or two, and so do the links of a graph: beyond, a scope gets a graph.
_SCANNED = 4_000
# Links per vector, and candidates looked at while linking and, as nothing else is said, while walking.
_LINKS, _LINKING = 16, 128
_TENANT = "scope"


@dataclass(frozen=True, slots=True)
class Layout:
    """What is decided when the collection is made. A write is done when `write_consistency_factor` of the
    `replication_factor` copies have it: the same number of both, and whoever reads next sees it whichever copy answers.
    With `tenant_shards` an operator can give a large tenant a shard of its own, by the tenant's name. `behind` is the
    mark that a new one is made with."""

    collection: str = "mneme"
    replication_factor: int = 1
    write_consistency_factor: int = 1
    on_disk_payload: bool = True
    tenant_shards: bool = False
    behind: str = ""


async def prepare(client: AsyncQdrantClient, layout: Layout, identity: str, dimension: int) -> None:
    """Make what is missing. DataDirectoryRefused when the server is too old, or when the collection is not Mneme's or
    was filled by another embedder."""
    await check_version(client)
    stamp = stamp_of(identity, dimension)
    name = layout.collection
    await _ensure(lambda: answered(client.collection_exists(name)), lambda: _create(client, layout, dimension, stamp))
    info = await answered(client.get_collection(name))
    check_stamp(name, info.config.metadata or {}, stamp)
    if layout.tenant_shards:
        make = partial(client.create_shard_key, name, SHARED_SHARD)
        await _ensure(lambda: _has_shared_shard(client, name), lambda: answered(make()))
    for field, schema in _indexes().items():
        if field not in info.payload_schema:
            await answered(client.create_payload_index(name, field, schema))


async def _ensure(there: Callable[[], Awaitable[bool]], make: Callable[[], Awaitable[object]]) -> None:
    """Make it unless it is there. Another gateway that starts at the same time may be quicker."""
    if await there():
        return
    try:
        await make()
    except MemoryUnavailable:
        if not await there():
            raise


def stamp_of(identity: str, dimension: int) -> dict[str, Any]:
    """What a collection of this embedder is stamped with."""
    return {"format": _FORMAT, "embedder": identity, "dimension": dimension}


async def check_version(client: AsyncQdrantClient) -> None:
    """DataDirectoryRefused when the server is too old."""
    told = (await answered(client.info())).version
    found = re.match(r"v?(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise DataDirectoryRefused(f"The Qdrant server is version {told}: Mneme needs {oldest} or newer.")


async def _create(client: AsyncQdrantClient, layout: Layout, dimension: int, stamp: dict[str, Any]) -> None:
    """Without links between all vectors (m=0), only between those of one scope: no question ever looks further, so
    there are none to make, and none to walk in vain, for scopes that are small enough to be scanned."""
    links = models.HnswConfigDiff(
        m=0,
        payload_m=_LINKS,
        ef_construct=_LINKING,
        full_scan_threshold=max(_SCANNED * dimension * 4 // 1024, 10),
    )
    dense = models.VectorParams(size=dimension, distance=models.Distance.COSINE, hnsw_config=links)
    sparse = models.SparseVectorParams(modifier=models.Modifier.IDF)
    await answered(
        client.create_collection(
            layout.collection,
            vectors_config={"dense_turn": dense, "dense_near": dense},
            sparse_vectors_config={"bm25_turn": sparse, "bm25_near": sparse},
            sharding_method=models.ShardingMethod.CUSTOM if layout.tenant_shards else None,
            replication_factor=layout.replication_factor,
            write_consistency_factor=layout.write_consistency_factor,
            on_disk_payload=layout.on_disk_payload,
            metadata=stamp | ({MARK: layout.behind} if layout.behind else {}),
        )
    )


def _indexes() -> dict[str, models.PayloadSchemaType | Any]:
    """What filters use. A server lays out what has one tenant's value side by side: here it is the scope, because a
    question is always one user's."""
    words = {
        name: models.KeywordIndexParams(
            type=models.KeywordIndexType.KEYWORD, is_tenant=name == _TENANT, enable_hnsw=name == _TENANT
        )
        for name in INDEXED_WORDS
    }
    number = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, enable_hnsw=False)
    moment = models.FloatIndexParams(type=models.FloatIndexType.FLOAT, enable_hnsw=False)
    return {**words, **dict.fromkeys(INDEXED_NUMBERS, number), "at": moment}


async def _has_shared_shard(client: AsyncQdrantClient, name: str) -> bool:
    found = await answered(client.list_shard_keys(name))
    return any(shard.key == SHARED_SHARD for shard in found.shard_keys or [])


def check_stamp(name: str, found: dict[str, Any], stamp: dict[str, Any]) -> None:
    """DataDirectoryRefused when what was found on a collection is not that stamp."""
    if "format" not in found:
        raise DataDirectoryRefused(f"The collection {name} has no stamp: it is not Mneme's. Name another one.")
    if found["format"] != _FORMAT:
        raise DataDirectoryRefused(
            f"The collection {name} has format {found['format']}, this Mneme reads {_FORMAT}: "
            "run the version that made it."
        )
    if any(found.get(key) != value for key, value in stamp.items()):
        raise DataDirectoryRefused(filled_by_another(f"The collection {name}", found, stamp))
