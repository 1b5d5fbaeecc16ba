"""Two writers think about the same users: under every policy that thinks, over every agenda, what is remembered in the
end is what a single one would have made of it."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.memory.curate import Curator
from gateway.memory.plan import Pace, Planner
from gateway.memory.policies import TABLE
from gateway.memory.policies.base import Policy
from gateway.memory.records import Memory, Scope, Turn
from gateway.memory.reflections import Reflection
from gateway.memory.reviser import Reviser
from gateway.memory.think import Thinker
from gateway.memory.thinking import Told
from tests.contracts.conftest import AGENDAS, JOURNALS, SESSIONS
from tests.support.model import Clock, ModelMemories
from tests.support.quick import chosen
from tests.support.schemas import Filler
from tests.unit.stores.house import Words

THINKING = [name for name in TABLE if chosen(name).thinks]
PAIRS = [(stores, name) for stores in ("sqlite", "redis") for name in THINKING]
USERS = [Scope("acme", "ada"), Scope("acme", "bob")]
PACE = Pace(turns=2)
LEASE_OVER = 10_000.0


class Parrot:
    """A model whose answer depends on nothing but what it is asked, so that who asks first makes no difference."""

    async def ask(self, system: str, prompt: str, schema: Mapping[str, Any], images: Sequence[str] = ()) -> Told:
        """See thinking.Asker."""
        await asyncio.sleep(0.01)
        mark = hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()
        return Told(json.dumps(Filler(f"Ada keeps {mark} bees.", items=2)(schema)), 1)

    async def ping(self) -> None:
        """See thinking.Asker."""


class House:
    """Memories that all writers share, and writers, each with its own way to them where the stores are a server's."""

    def __init__(self, stores: str, path: Path, policy: Policy) -> None:
        self.stores, self.path, self.policy = stores, path, policy
        self.clock = Clock(1_777_593_600.0)
        self.memories = ModelMemories(alive=True)
        self.told: list[Reflection] = []

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[Thinker]:
        """A process's thinker."""
        async with AsyncExitStack() as stack:
            opened: list[Any] = []
            for table in (JOURNALS, SESSIONS, AGENDAS):
                folder = self.path / f"{len(opened)}"  # a file of SQLite's has one owner
                folder.mkdir(exist_ok=True)
                opened.append(await stack.enter_async_context(table[self.stores](folder, self.clock)()))
            yield self.beside(*opened)

    def beside(self, journal: Any, sessions: Any, agenda: Any) -> Thinker:
        """One more over these stores."""
        policies = {self.policy.name: self.policy}
        planner = Planner(agenda, policies, self.policy.name, PACE, self.clock)
        curator = Curator(self.memories, sessions, journal, Words(), self.policy, self.clock, planner)
        reviser = Reviser(curator, agenda, str.strip)
        return Thinker(agenda, journal, reviser, Parrot(), policies, PACE, told=self.told.append)

    @asynccontextmanager
    async def writers(self) -> AsyncIterator[list[Thinker]]:
        """Two. SQLite serves one process, so there they share what they go through."""
        async with self.writer() as first:
            if self.stores == "redis":
                async with self.writer() as second:
                    yield [first, second]
            else:
                yield [first, self.beside(first.journal, first.reviser.curator.sessions, first.agenda)]

    async def hear(self, writer: Thinker) -> None:
        """Five turns of each user, indexed by this writer."""
        for number in range(10):
            id, scope = str(uuid.UUID(int=number + 1)), USERS[number % 2]
            text = f"My sister keeps {number} hives. " + "She tells of them every evening. " * (50 if number > 7 else 1)
            await writer.journal.append(Turn(id, scope, "s", f"{number:032x}", 1000.0 + number, text, "How nice."))
        while await writer.reviser.curator.index(100):
            pass

    async def remembered(self) -> list[Memory]:
        """Everything, but for who thought it when."""
        pages = [await self.memories.browse(scope, limit=10_000) for scope in USERS]
        found = [memory for page in pages for memory in page.items]
        return [replace(m, thought=m.thought and replace(m.thought, reflection="")) for m in found]


async def drained(writer: Thinker, now: float) -> None:
    """Think until nothing is due; each look is later than the lease that the one before took."""
    while await writer.think(now):
        now += LEASE_OVER


async def alone(path: Path, name: str) -> list[Memory]:
    """What a single writer makes of it, over stores that are simple enough to be right."""
    house = House("model", path, chosen(name))
    async with house.writer() as writer:
        await house.hear(writer)
        await drained(writer, house.clock.now + PACE.idle)
    return await house.remembered()


@pytest.mark.parametrize(("stores", "name"), PAIRS)
async def test_two_writers_converge(stores: str, name: str, tmp_path: Path) -> None:
    """They take users as they come, and each other's when a lease is over: every turn is thought about once."""
    house = House(stores, tmp_path, chosen(name))
    async with house.writers() as writers:
        await house.hear(writers[0])
        now = house.clock.now + PACE.idle
        await asyncio.gather(*(drained(writer, now + at * LEASE_OVER) for at, writer in enumerate(writers)))
        await drained(writers[0], now + 100 * LEASE_OVER)

        assert await writers[0].agenda.waiting() == 0
    applied = [turn for each in house.told if each.state == "applied" for turn in each.turns]
    assert sorted(applied) == sorted({*applied}) and len(applied) == 10
    assert await house.remembered() == await alone(tmp_path, name)
