"""A sweep goes on past a user who cannot be had, ends where a store is away, and never ends its process."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.errors import MemoryUnavailable, StoreAway
from gateway.memory.curate import Curator
from gateway.memory.expiry import Expiry
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Page, Scope
from gateway.tenants.records import Retention, Tenant
from gateway.tenants.sweep import Sweeper
from tests.contracts.samples import entry, memory
from tests.support.model import Clock, ModelMemories
from tests.support.model_tenants import ModelRegistry
from tests.support.model_turns import ModelJournal, ModelSessions
from tests.support.planner import unthinking
from tests.unit.stores.house import Words


@dataclass
class Choosy(ModelMemories):
    """Fails for one user, and for everybody once it is `away`."""

    failing: str = ""
    raises: Exception = field(default_factory=lambda: MemoryUnavailable("my secret"))
    away: bool = False
    asked: list[str] = field(default_factory=list)

    async def browse(self, scope: Scope, *asked: Any, **page: Any) -> Page[Memory]:
        """See the port."""
        self.asked.append(scope.user)
        if scope.user == self.failing:
            raise self.raises
        return await super().browse(scope, *asked, **page)

    async def ping(self) -> None:
        """See the port."""
        if self.away:
            raise StoreAway("away")
        await super().ping()


@dataclass
class Parts:
    """Everything that a sweep needs; two old memories of three users each."""

    memories: Choosy = field(default_factory=Choosy)
    journal: ModelJournal = field(default_factory=ModelJournal)
    sessions: ModelSessions = field(default_factory=ModelSessions)
    registry: ModelRegistry = field(default_factory=ModelRegistry)
    clock: Clock = field(default_factory=lambda: Clock(1e9))
    gone: Counter[str] = field(default_factory=Counter)
    stack: ExitStack = field(default_factory=ExitStack)

    async def sweeper(self) -> Sweeper:
        """Over all of them, opened."""
        for part in (self.memories, self.journal, self.sessions, self.registry):
            self.stack.enter_context(part.open())
        await self.registry.keep_tenant(Tenant("acme", retention=Retention(30)))
        for user in ("ada", "bob", "cleo"):
            await self.memories.put([entry(memory(id, Scope("acme", user), sources=())) for id in "ab"])
        curator = Curator(self.memories, self.sessions, self.journal, Words(), Verbatim(), self.clock, unthinking())
        return Sweeper(self.registry, Expiry(curator), self._count, self.clock, first=0.0, every=0.01)

    async def left(self) -> dict[str, int]:
        """How many memories each user has."""
        return await self.memories.users("acme")

    def _count(self, what: str, n: int) -> None:
        self.gone[what] += n


@pytest.fixture
def parts() -> Any:
    """Closed afterwards."""
    made = Parts()
    with made.stack:
        yield made


async def test_everybodys_old_memories_go(parts: Parts) -> None:
    """And are counted."""
    sweeper = await parts.sweeper()
    await sweeper.sweep()

    assert await parts.left() == {}
    assert parts.gone == {"memories": 6, "turns": 0, "records": 0}


async def test_who_cannot_be_had_keeps_nobody_else(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells how many were left, and not who."""
    parts.memories.failing = "bob"
    sweeper = await parts.sweeper()
    await sweeper.sweep()

    assert await parts.left() == {"bob": 2}
    assert "of 1 users of a tenant" in caplog.text
    assert "bob" not in caplog.text


async def test_a_store_that_is_away_ends_the_sweep(parts: Parts) -> None:
    """Nobody else is tried."""
    parts.memories.failing = "ada"
    sweeper = await parts.sweeper()
    users = await parts.left()

    async def known(tenant: str) -> dict[str, int]:
        parts.memories.away = True
        return users

    parts.memories.users = known  # type: ignore[method-assign]  # it goes away just then
    with pytest.raises(StoreAway):
        await sweeper.sweep()
    assert parts.memories.asked == ["ada"]


@pytest.mark.parametrize("raised", [MemoryUnavailable("away"), IndexError("a bug")])
async def test_nothing_ends_the_sweeper(parts: Parts, raised: Exception) -> None:
    """Neither a store nor a defect: the next sweep does what was left."""
    parts.memories.failing, parts.memories.raises = "ada", raised
    sweeping = asyncio.create_task((await parts.sweeper()).run())
    async with asyncio.timeout(5):
        while parts.memories.asked.count("ada") < 3:
            await asyncio.sleep(0.005)
        parts.memories.failing = ""
        while await parts.left():
            await asyncio.sleep(0.005)
    assert not sweeping.done()
    sweeping.cancel()
    await asyncio.wait({sweeping})


async def test_only_tenants_with_a_retention_are_looked_at(parts: Parts) -> None:
    """Page by page of the registry."""
    sweeper = await parts.sweeper()
    for number in range(1100):
        await parts.registry.keep_tenant(Tenant(f"tenant {number}"))
    await parts.registry.keep_tenant(Tenant("zeta", retention=Retention(1)))
    await parts.memories.put([entry(memory("m", Scope(tenant, "zoe"))) for tenant in ("zeta", "tenant 7")])
    parts.memories.asked.clear()
    await sweeper.sweep()

    assert await parts.memories.tenants() == ["tenant 7"]
    assert {*parts.memories.asked} == {"ada", "bob", "cleo", "zoe"}


async def test_days_are_counted_from_now(parts: Parts) -> None:
    """To the second."""
    sweeper = await parts.sweeper()
    edge = parts.clock.now - 30 * 86_400
    await parts.memories.put([entry(replace(memory(str(at), sources=()), at=edge + at)) for at in (-1.0, 0.0, 1.0)])
    await sweeper.sweep()

    assert sorted(m.at - edge for m in (await parts.memories.browse(Scope("acme", "ada"))).items) == [0.0, 1.0]
