"""Where memories lie: the index that is read and, while memories move to another embedder, the one that is written
beside it. Knows nobody who uses them."""

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gateway.errors import SettingsRefused
from gateway.memory import embedders
from gateway.memory.index import Index
from gateway.memory.ports import Embedder, Indexes, MemoryStore, Source
from gateway.memory.records import FILLING
from gateway.memory.stores import naming
from gateway.memory.stores.edge import Directories, EdgeStore
from gateway.settings import Settings

log = logging.getLogger(__name__)

# Imported only where it is asked for: its client takes a second to load.
_QDRANT = "gateway.memory.stores.qdrant"


@dataclass(frozen=True, slots=True)
class Second:
    """The index that is written and not read, and its name among all."""

    index: Index
    name: str
    indexes: Indexes


async def open_indexes(settings: Settings, stack: AsyncExitStack) -> tuple[Index, Second | None]:
    """The index that is read, made where there is none at all, and the second one. DataDirectoryRefused where the first
    was filled by another embedder or does not hold everything. All others are behind from now on."""
    indexes = await listed(settings, stack)
    embedder = await _embedder(settings, stack)
    found = await indexes.found()
    name = naming.read_from(indexes.plain, found, embedder.identity)
    read = Index(await _opened(settings, name, embedder, stack), embedder)
    second = await _second(settings, indexes, stack) if settings.next_embedder else None
    for left in found:
        if left.name not in (name, second and second.name):
            await indexes.fall_behind(left.name)
            told = "the index %s is left: nobody is forgotten there. `mneme reembed --drop %s` removes it"
            log.warning(told, left.name, left.name)
    return read, second


async def listed(settings: Settings, stack: AsyncExitStack) -> Indexes:
    """All indexes of this installation."""
    if not settings.qdrant_url:
        return Directories(settings.data)
    connection = _connection(settings)
    stack.push_async_callback(connection.close)
    indexes: Indexes = import_module(_QDRANT).Collections(connection, settings.qdrant_collection)
    return indexes


def check_embedders(settings: Settings) -> None:
    """SettingsRefused where one is not known."""
    for knob, name in (("MNEME_EMBEDDER", settings.embedder), ("MNEME_NEXT_EMBEDDER", settings.next_embedder)):
        if name not in embedders.TABLE and (name or knob == "MNEME_EMBEDDER"):
            raise SettingsRefused(f"{knob}={name} is not known: choose one of {', '.join(embedders.TABLE)}.")


async def _second(settings: Settings, indexes: Indexes, stack: AsyncExitStack) -> Second:
    """Made where there is none, and behind until it was verified."""
    embedder = await _next_embedder(settings, stack)
    found = await indexes.found()
    name = naming.written_beside(indexes.plain, found, embedder.identity)
    fresh = name not in [standing.name for standing in found]
    return Second(Index(await _opened(settings, name, embedder, stack, beside=fresh), embedder), name, indexes)


async def _opened(
    settings: Settings, name: str, embedder: Embedder, stack: AsyncExitStack, *, beside: bool = False
) -> MemoryStore:
    opening = _qdrant if settings.qdrant_url else _edge
    return await opening(settings, name, embedder, stack, beside)


async def _edge(settings: Settings, name: str, embedder: Embedder, stack: AsyncExitStack, beside: bool) -> MemoryStore:
    if beside:
        await Directories(settings.data).begin(name)
    return await stack.enter_async_context(
        EdgeStore.open(
            settings.data / name,
            embedder_identity=embedder.identity,
            dimension=embedder.dimension,
            durability=settings.durability,
        )
    )


async def _qdrant(
    settings: Settings, name: str, embedder: Embedder, stack: AsyncExitStack, beside: bool
) -> MemoryStore:
    qdrant = import_module(_QDRANT)
    layout = qdrant.Layout(
        name,
        replication_factor=settings.qdrant_replicas,
        write_consistency_factor=settings.qdrant_written,
        tenant_shards=settings.qdrant_tenant_shards,
        behind=FILLING if beside else "",
    )
    opening = qdrant.QdrantStore.open(
        _connection(settings), layout, embedder_identity=embedder.identity, dimension=embedder.dimension
    )
    memories: MemoryStore = await stack.enter_async_context(opening)
    return memories


def _connection(settings: Settings) -> Any:
    qdrant = import_module(_QDRANT)
    return qdrant.connect(
        qdrant.Server(
            settings.qdrant_url,
            settings.qdrant_key.get_secret_value(),
            settings.qdrant_grpc,
            settings.qdrant_grpc_port,
            settings.qdrant_timeout,
        )
    )


async def _embedder(settings: Settings, stack: AsyncExitStack) -> Embedder:
    key = settings.embedder_key.get_secret_value()
    source = Source(settings.data / "models", settings.embedder_url, settings.embedder_model, key)
    return await _running(settings.embedder, source, stack)


async def _next_embedder(settings: Settings, stack: AsyncExitStack) -> Embedder:
    key = settings.next_embedder_key.get_secret_value()
    source = Source(settings.data / "models", settings.next_embedder_url, settings.next_embedder_model, key)
    return await _running(settings.next_embedder, source, stack)


async def _running(name: str, source: Source, stack: AsyncExitStack) -> Embedder:
    module, _, attribute = embedders.TABLE[name].partition(":")
    embedder: Embedder = await stack.enter_async_context(getattr(import_module(module), attribute).open(source))
    return embedder
