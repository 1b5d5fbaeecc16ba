"""All stores of an installation, filled and compared without a gateway before them: embedded, shared, or the models.
Knows no route."""

import hashlib
import math
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.backup.lines import Counts
from gateway.backup.restore import restored
from gateway.backup.write import written
from gateway.memory.curate import Curator
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Vector
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.redis import Connection, RedisJournal, RedisSessions
from gateway.memory.stores.sqlite import Database, SqliteJournal, SqliteSessions
from gateway.memory.words import Words
from gateway.tenants.ports import Registry
from gateway.tenants.stores.redis import RedisRegistry
from gateway.tenants.stores.sqlite import SqliteRegistry
from tests.support.model import ModelMemories
from tests.support.model_tenants import ModelRegistry
from tests.support.model_turns import ModelJournal, ModelSessions
from tests.support.planner import unthinking
from tests.support.qdrant import wire_store
from tests.support.redis_server import shared as shared_redis

DIMENSION = 8


class Digests:
    """An embedder for any text, whose vectors mean nothing."""

    identity = "digests"
    dimension = DIMENSION

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ports.Embedder."""
        return [_unit(hashlib.blake2b(_bytes(text), digest_size=DIMENSION).digest()) for text in texts]

    async def forget(self) -> None:
        """See ports.Embedder."""

    async def ping(self) -> None:
        """See ports.Embedder."""


@dataclass(frozen=True)
class Installation:
    """Stores that a backup is made of, and restored into. Nothing is indexed here."""

    curator: Curator
    registry: Registry

    async def backup(self) -> list[bytes]:
        """The lines."""
        pieces = [piece async for piece in written(self.curator, self.registry)]
        return b"".join(pieces).splitlines(keepends=True)

    async def restore(self, lines: Iterable[bytes]) -> Counts:
        """Takes them in."""
        return await restored(_numbered(lines), self.curator, self.registry, lambda: None)


@asynccontextmanager
async def modelled() -> AsyncIterator[Installation]:
    """Plain dictionaries."""
    memories, sessions, journal, registry = ModelMemories(), ModelSessions(), ModelJournal(), ModelRegistry()
    with memories.open(), sessions.open(), journal.open(), registry.open():
        yield _installed(memories, sessions, journal, registry)


@asynccontextmanager
async def embedded(path: Path) -> AsyncIterator[Installation]:
    """As in a data directory."""
    async with (
        Database.open(path / "mneme.db", durability="process") as database,
        EdgeStore.open(path / "memories", embedder_identity="digests", dimension=DIMENSION) as memories,
    ):
        sessions = SqliteSessions(database, trace_limit=10)
        yield _installed(memories, sessions, SqliteJournal(database), SqliteRegistry(database))


@asynccontextmanager
async def shared(path: Path) -> AsyncIterator[Installation]:
    """A real Redis, and the stand-in for Qdrant; new every time."""
    prefix = uuid.uuid4().hex
    async with (
        Connection.open(shared_redis().url, durability="process", prefix=prefix) as connection,
        RedisJournal.open(connection) as journal,
        wire_store(path / prefix, dimension=DIMENSION) as memories,
    ):
        yield _installed(memories, RedisSessions(connection, trace_limit=10), journal, RedisRegistry(connection))


def _installed(memories: Any, sessions: Any, journal: Any, registry: Any) -> Installation:
    policy = Verbatim().over(Words.none())
    curator = Curator(memories, sessions, journal, Digests(), policy, lambda: 5.0, unthinking())
    return Installation(curator, registry)


async def _numbered(lines: Iterable[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, 1):
        yield number, line


def _unit(digest: bytes) -> Vector:
    length = math.hypot(*digest, 1.0)
    return [part / length for part in digest[1:]] + [math.sqrt(1 - sum((part / length) ** 2 for part in digest[1:]))]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
