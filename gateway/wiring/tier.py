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

from gateway.backup.snapshot import Snapshots
from gateway.errors import DataDirectoryRefused, SettingsRefused
from gateway.memory import block, policies
from gateway.memory.curate import Curator
from gateway.memory.embedders import minilm_words
from gateway.memory.plan import Pace, Planner
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore
from gateway.memory.reconcile import Reconciler
from gateway.memory.redact import redact
from gateway.memory.reviser import Reviser
from gateway.memory.stores import directory
from gateway.memory.stores.sqlite import Database, SqliteAgenda, SqliteJournal, SqliteSessions
from gateway.memory.stores.traced import traced
from gateway.memory.thinking import Agenda
from gateway.memory.words import Words
from gateway.seal import Seal, open_secret
from gateway.services import Ping
from gateway.settings import Settings
from gateway.tenants.ports import Limiter, Registry
from gateway.tenants.rates import LocalLimiter
from gateway.tenants.stores.sqlite import SqliteRegistry
from gateway.tracing import Tracer
from gateway.wiring.indexes import check_embedders, open_indexes
from gateway.wiring.snapshot import snapshots

log = logging.getLogger(__name__)

# Imported only where they are asked for: their clients take a second to load.
_REDIS = "gateway.memory.stores.redis"
_TENANTS, _RATES = "gateway.tenants.stores.redis", "gateway.tenants.stores.redis_rates"

Kept = tuple[Journal, SessionStore, Agenda, Registry, Limiter]


@dataclass(frozen=True, slots=True)
class Tier:
    """All that remembers, opened; `pings` by part. `memories` and `embedder` are the index that is read; `reconciler`
    makes the second one like it, while there is one."""

    memories: MemoryStore
    sessions: SessionStore
    journal: Journal
    embedder: Embedder
    policies: Mapping[str, Policy]
    curator: Curator
    reviser: Reviser
    registry: Registry
    limiter: Limiter
    snapshot: Snapshots | None
    reconciler: Reconciler | None = None

    @property
    def pings(self) -> dict[str, Ping]:
        """What /health/ready asks."""
        return {
            "memories": self.memories.ping,
            "sessions": self.sessions.ping,
            "journal": self.journal.ping,
            "agenda": self.reviser.agenda.ping,
            "embedder": self.embedder.ping,
            "registry": self.registry.ping,
            **({"second_index": self.reconciler.second.ping} if self.reconciler else {}),
        }


@asynccontextmanager
async def open_tier(settings: Settings, tracer: Tracer) -> AsyncIterator[Tier]:
    """Opened in order, closed in reverse. `tracer` keeps spans of what is done with memories."""
    check_names(settings)
    async with AsyncExitStack() as stack:
        directory.make(settings.data)
        kept = await (_redis if settings.redis_url.get_secret_value() else _sqlite)(settings, stack)
        journal, sessions, agenda, registry, limiter = kept
        read, second = await open_indexes(settings, stack)
        memories, embedder = traced(read.memories, tracer), read.embedder
        words = await _words(settings)
        known: dict[str, Policy] = {name: _named(target).over(words) for name, target in policies.TABLE.items()}
        policy = known[settings.policy]
        beside = second.index if second else None
        planner = Planner(agenda, known, settings.policy, _pace(settings), time.time)
        curator = Curator(memories, sessions, journal, embedder, policy, time.time, planner, beside)
        reviser = Reviser(curator, agenda, _redacted if settings.redact else _stripped)
        reconciler = Reconciler(read, second.index, second.indexes, second.name, journal, policy) if second else None
        snapshot = snapshots(settings.data, journal, [read.memories, *([second.index.memories] if second else [])])
        yield Tier(
            memories, sessions, journal, embedder, known, curator, reviser, registry, limiter, snapshot, reconciler
        )


def sealed(settings: Settings) -> Seal:
    """With the secret that all replicas are given, or this data directory's own."""
    told = settings.secret.get_secret_value()
    secret = hashlib.sha256(told.encode()).digest() if told else open_secret(settings.data / "secret")
    return Seal(secret, settings.cache_salt)


async def _sqlite(settings: Settings, stack: AsyncExitStack) -> Kept:
    opening = Database.open(settings.data / "mneme.db", durability=settings.durability)
    database = await stack.enter_async_context(opening)
    sessions = SqliteSessions(database, trace_limit=settings.trace_limit)
    agenda = SqliteAgenda(database)
    await agenda.release()
    return SqliteJournal(database), sessions, agenda, SqliteRegistry(database), LocalLimiter()


async def _redis(settings: Settings, stack: AsyncExitStack) -> Kept:
    redis, tenants, rates = (import_module(module) for module in (_REDIS, _TENANTS, _RATES))
    url = settings.redis_url.get_secret_value()
    connection = await stack.enter_async_context(redis.Connection.open(url, durability=settings.durability))
    journal: Journal = await stack.enter_async_context(redis.RedisJournal.open(connection))
    sessions = redis.RedisSessions(connection, trace_limit=settings.trace_limit)
    agenda: Agenda = redis.RedisAgenda(connection)
    return journal, sessions, agenda, tenants.RedisRegistry(connection), rates.RedisLimiter(connection)


def _pace(settings: Settings) -> Pace:
    return Pace(
        turns=settings.reflect_turns,
        idle=settings.reflect_idle,
        calls=settings.reflect_calls,
        tokens=settings.reflect_tokens,
    )


def _stripped(text: str) -> str:
    """What may be stored of a text that a model wrote: nothing that we recalled."""
    return block.strip(text).strip()


def _redacted(text: str) -> str:
    """And no secret."""
    return redact(block.strip(text)).strip()


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


def check_names(settings: Settings) -> None:
    """SettingsRefused where a policy or an embedder is not known."""
    if settings.policy not in policies.TABLE:
        known = ", ".join(policies.TABLE)
        raise SettingsRefused(f"MNEME_POLICY={settings.policy} is not known: choose one of {known}.")
    check_embedders(settings)
