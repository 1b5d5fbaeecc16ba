"""Quotas: a turn is not kept where there is no room; counts are a while old, and a slow one stops nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
import pytest

from gateway.admit import MODES, Key, Quota
from gateway.ask import Ask, Tale
from gateway.memory.filters import EVERYTHING, Filter
from gateway.memory.policies.none import Nothing
from gateway.memory.records import Scope
from gateway.question import Question, read, understand
from gateway.tenants.quotas import Quotas
from tests.contracts.samples import entry, memory
from tests.support.model import Clock, ModelMemories
from tests.support.workers import quiet_worker, straight

BODY = orjson.dumps({"messages": [{"role": "user", "content": "hello"}]})


@dataclass
class Memories(ModelMemories):
    """Counts what it is asked, and may be slow."""

    asked: int = 0
    slow: bool = False

    async def count(self, scope: Scope, only: Filter = EVERYTHING) -> int:
        """See the port."""
        self.asked += 1
        if self.slow:
            await asyncio.sleep(60)
        return await super().count(scope, only)


@dataclass
class House:
    """Quotas over memories: ada of acme has two, bob one."""

    memories: Memories
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.memories, 0.05, self.clock)

    async def held(self, quota: Quota, user: str = "ada", mode: str = "on", policy: str = "other") -> tuple[bool, bool]:
        """Whether ada's turn is read for and written."""
        tale, key = Tale("x", mode), Key("acme", user, quota)
        ask = Ask("POST", "/chat/completions", [], {}, BODY, straight(quiet_worker()))
        request = read(ask, MODES[mode], tale)
        assert request
        policies = {"none": Nothing(), "other": Nothing(name="other", keeps=True)}
        found = understand(ask, request, key, MODES[mode], tale, policies=policies, default=policy, budget=100, now=5.0)
        assert found
        told: Question = await self.quotas.held_to(found, key, tale)
        assert (tale.skipped == ["quota-exceeded"]) == (found.writes and not told.writes)
        return told.mode.reads, told.writes


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Open."""
    memories = Memories()
    with memories.open():
        await memories.put([entry(memory("1", Scope("acme", "ada"))), entry(memory("2", Scope("acme", "ada")))])
        await memories.put([entry(memory("3", Scope("acme", "bob")))])
        yield House(memories)


@pytest.mark.parametrize(
    ("quota", "kept"),
    [
        (Quota(), True),
        (Quota(memories_per_user=3), True),
        (Quota(memories_per_user=2), False),
        (Quota(memories=4), True),
        (Quota(memories=3), False),
        (Quota(memories_per_user=3, memories=3), False),
    ],
)
async def test_a_turn_is_kept_while_there_is_room(house: House, quota: Quota, kept: bool) -> None:
    """Of the user and of the whole tenant; recall goes on either way, and the tale says why."""
    assert await house.held(quota) == (True, kept)


@pytest.mark.parametrize(("mode", "policy"), [("read", "other"), ("on", "none")])
async def test_what_is_not_kept_anyway_is_not_counted(house: House, mode: str, policy: str) -> None:
    """Nor without a quota."""
    await house.held(Quota(1), mode=mode, policy=policy)
    await house.held(Quota())

    assert house.memories.asked == 0


async def test_counts_are_believed_for_a_while(house: House) -> None:
    """Then asked for again: who was forgotten has room."""
    assert await house.held(Quota(2)) == (True, False)
    await house.memories.forget(Scope("acme", "ada"))
    assert await house.held(Quota(2)) == (True, False)
    assert house.memories.asked == 1
    house.clock.now += 5.0

    assert await house.held(Quota(2)) == (True, True)


async def test_a_store_that_does_not_count_keeps_nothing_from_being_kept(house: House) -> None:
    """Neither a slow one nor one that is away."""
    house.memories.slow = True
    assert await house.held(Quota(1)) == (True, True)
    house.memories.slow, house.memories.alive = False, False

    assert await house.held(Quota(1)) == (True, True)


async def test_a_bounded_number_of_counts_is_remembered(house: House) -> None:
    """The latest ten thousand."""
    for number in range(10_001):
        await house.held(Quota(9), str(number))
    assert house.memories.asked == 10_001
    for user, asked in (("10000", 10_001), ("0", 10_002)):
        await house.held(Quota(9), user)
        assert house.memories.asked == asked
