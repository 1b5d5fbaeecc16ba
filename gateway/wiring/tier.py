"""The memory tier as settings say: embedded in this process, or in a Redis and a Qdrant that others share. Knows nobody
who uses it."""

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gateway.errors import DataDirectoryRefused, SettingsRefused
from gateway.memory import embedders, policies
from gateway.memory.curate import Curator
from gateway.memory.embedders import minilm_words
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore, Source
from gateway.memory.stores import directory
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from gateway.memory.stores.traced import traced
from gateway.memory.words import Words
from gateway.seal import Seal, open_secret
from gateway.services import Ping
from gateway.settings import Settings
from gateway.tenants.ports import Limiter, Registry
from gateway.tenants.rates import LocalLimiter
from gateway.tenants.stores.sqlite import SqliteRegistry
from gateway.tracing import Tracer

log = logging.getLogger(__name__)

# Imported only where they are asked for: their clients take a second to load.
_REDIS, _QDRANT = "gateway.memory.stores.redis", "gateway.memory.stores.qdrant"
_TENANTS, _RATES = "gateway.tenants.stores.redis", "gateway.tenants.stores.redis_rates"

Kept = tuple[Journal, SessionStore, Registry, Limiter]


@dataclass(frozen=True, slots=True)
class Tier:
    """All that remembers, opened; `pings` by part."""

    memories: MemoryStore
    sessions: SessionStore
    journal: Journal
    embedder: Embedder
    policies: Mapping[str, Policy]
    curator: Curator
    registry: Registry
    limiter: Limiter

    @property
    def pings(self) -> dict[str, Ping]:
        """What /health/ready asks."""
        return {
            "memories": self.memories.ping,
            "sessions": self.sessions.ping,
            "journal": self.journal.ping,
            "embedder": self.embedder.ping,
            "registry": self.registry.ping,
        }


@asynccontextmanager
async def open_tier(settings: Settings, tracer: Tracer) -> AsyncIterator[Tier]:
    """Opened in order, closed in reverse. `tracer` keeps spans of what is done with memories."""
    _check_names(settings)
    async with AsyncExitStack() as stack:
        directory.make(settings.data)
        kept = await (_redis if settings.redis_url.get_secret_value() else _sqlite)(settings, stack)
        journal, sessions, registry, limiter = kept
        embedder = await _embedder(settings, stack)
        memories = traced(await (_qdrant if settings.qdrant_url else _edge)(settings, embedder, stack), tracer)
        words = await _words(settings)
        known: dict[str, Policy] = {name: _named(target).over(words) for name, target in policies.TABLE.items()}
        curator = Curator(memories, sessions, journal, embedder, known[settings.policy], time.time)
        yield Tier(memories, sessions, journal, embedder, known, curator, registry, limiter)


def sealed(settings: Settings) -> Seal:
    """With the secret that all replicas are given, or this data directory's own."""
    told = settings.secret.get_secret_value()
    secret = hashlib.sha256(told.encode()).digest() if told else open_secret(settings.data / "secret")
    return Seal(secret, settings.cache_salt)


async def _sqlite(settings: Settings, stack: AsyncExitStack) -> Kept:
    opening = Database.open(settings.data / "mneme.db", durability=settings.durability)
    database = await stack.enter_async_context(opening)
    sessions = SqliteSessions(database, trace_limit=settings.trace_limit)
    return SqliteJournal(database), sessions, SqliteRegistry(database), LocalLimiter()


async def _redis(settings: Settings, stack: AsyncExitStack) -> Kept:
    redis, tenants, rates = (import_module(module) for module in (_REDIS, _TENANTS, _RATES))
    url = settings.redis_url.get_secret_value()
    connection = await stack.enter_async_context(redis.Connection.open(url, durability=settings.durability))
    journal: Journal = await stack.enter_async_context(redis.RedisJournal.open(connection))
    sessions = redis.RedisSessions(connection, trace_limit=settings.trace_limit)
    return journal, sessions, tenants.RedisRegistry(connection), rates.RedisLimiter(connection)


async def _edge(settings: Settings, embedder: Embedder, stack: AsyncExitStack) -> MemoryStore:
    return await stack.enter_async_context(
        EdgeStore.open(
            settings.data / "memories",
            embedder_identity=embedder.identity,
            dimension=embedder.dimension,
            durability=settings.durability,
        )
    )


async def _qdrant(settings: Settings, embedder: Embedder, stack: AsyncExitStack) -> MemoryStore:
    qdrant = import_module(_QDRANT)
    server = qdrant.Server(
        settings.qdrant_url,
        settings.qdrant_key.get_secret_value(),
        settings.qdrant_grpc,
        settings.qdrant_grpc_port,
        settings.qdrant_timeout,
    )
    layout = qdrant.Layout(
        settings.qdrant_collection,
        replication_factor=settings.qdrant_replicas,
        write_consistency_factor=settings.qdrant_written,
        tenant_shards=settings.qdrant_tenant_shards,
    )
    opening = qdrant.QdrantStore.open(
        qdrant.connect(server), layout, embedder_identity=embedder.identity, dimension=embedder.dimension
    )
    memories: MemoryStore = await stack.enter_async_context(opening)
    return memories


async def _embedder(settings: Settings, stack: AsyncExitStack) -> Embedder:
    key = settings.embedder_key.get_secret_value()
    source = Source(settings.data / "models", settings.embedder_url, settings.embedder_model, key)
    embedder: Embedder = await stack.enter_async_context(_named(embedders.TABLE[settings.embedder]).open(source))
    return embedder


async def _words(settings: Settings) -> Words:
    """MiniLM's table, whichever embedder there is; without the weights words are told apart by their letters only."""
    try:
        return await minilm_words.words(settings.data / "models")
    except DataDirectoryRefused as missing:
        if settings.embedder == "minilm":
            raise
        log.warning("recall goes without word vectors: %s", missing.message)
        return Words.none()


def _named(target: str) -> Any:
    """What a line of a table names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _check_names(settings: Settings) -> None:
    for knob, name, table in (
        ("MNEME_POLICY", settings.policy, policies.TABLE),
        ("MNEME_EMBEDDER", settings.embedder, embedders.TABLE),
    ):
        if name not in table:
            raise SettingsRefused(f"{knob}={name} is not known: choose one of {', '.join(table)}.")
