"""Real stores, a fake embedder at the seam, and a writer over them: what the tests of indexing live in."""

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway.errors import MemoryUnavailable, StoreAway
from gateway.memory.curate import Curator
from gateway.memory.records import Scope, Turn, Vector
from gateway.memory.reflect import Writer
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.sqlite import SqliteJournal, SqliteSessions
from tests.contracts.samples import ADA, query
from tests.support.embeddings import DIMENSION, hashed
from tests.support.model import Clock


@dataclass
class Words:
    """Hashed words; fails for texts with "poison", and for all when `away`, which it is, once `leaving`, when it is
    asked for something; gives up while `slow`; answers when the `gate` opens. Counts what it was asked."""

    away: bool = False
    leaving: bool = False
    slow: bool = False
    gate: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)
    forgot: int = 0
    identity: str = "words"
    dimension: int = DIMENSION

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ports.Embedder."""
        self.away = self.away or self.leaving
        await self.ping()
        if self.slow:
            raise StoreAway("slow")
        self.asked += texts
        if self.gate:
            await self.gate.wait()
        if any("poison" in text for text in texts):
            raise IndexError("poison")
        return [[x / math.hypot(*vector) for x in vector] for vector in map(hashed, texts)]

    async def forget(self) -> None:
        """See ports.Embedder."""
        self.forgot += 1

    async def ping(self) -> None:
        """See ports.Embedder."""
        if self.away:
            raise MemoryUnavailable("away")


@dataclass
class Others(Words):
    """Vectors that `Words` does not make."""

    identity: str = "others"

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """See ports.Embedder."""
        return [[*reversed(vector)] for vector in await super().embed(texts)]


@dataclass
class House:
    """Everything that indexing needs."""

    curator: Curator
    memories: EdgeStore
    sessions: SqliteSessions
    journal: SqliteJournal
    words: Words
    clock: Clock
    counts: dict[str, int] = field(default_factory=dict)

    async def say(self, *texts: str, scope: Scope = ADA, session: str = "s") -> list[Turn]:
        """Journal one turn per text."""
        return [await self._say(text, scope, session) for text in texts]

    async def said(self, scope: Scope = ADA) -> list[str]:
        """What is indexed, in order."""
        return [m.text for m in sorted((await self.memories.browse(scope)).items, key=lambda m: m.seq)]

    async def near(self, word: str) -> set[str]:
        """The texts whose neighbourhood holds the word."""
        (vector,) = await self.words.embed([word])
        found = await self.memories.search(ADA, query(vector), 100)
        return {c.memory.text for c in found if c.signals["dense_near"] > 0.1}

    def writer(self) -> Writer:
        """It counts into `counts`."""
        return Writer(self.curator, self.journal, self._count, idle=0.01)

    def _count(self, result: str, number: int) -> None:
        self.counts[result] = self.counts.get(result, 0) + number

    async def _say(self, text: str, scope: Scope, session: str) -> Turn:
        id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope} {session} {text}"))
        turn = Turn(id, scope, session, f"chain {id}", 1.0, text, "")
        return replace(turn, seq=await self.journal.append(turn))


@asynccontextmanager
async def written(house: House) -> AsyncIterator[None]:
    """A writer runs meanwhile, and finishes what is due at the end."""
    writer = house.writer()
    running = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        writer.stop()
        await running
