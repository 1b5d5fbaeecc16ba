"""One filled store, asked: by users it has not heard from, then by users it has. Knows ports, no adapter."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.evals.speed.clocked import Clocked
from gateway.evals.speed.made import SESSION, Maker, turns
from gateway.memory.records import Memory, Scope
from gateway.services import Services

# Users who come back. So few that a store which keeps some in RAM can keep all of them.
_REGULARS = 5
# Questions after which a store that prepares itself for a user has begun to.
_ACQUAINTANCE = 3
_BATCH = 32  # as the writer indexes
_TURNS_SCOPE = Scope("evaluation", "indexing")


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of one question: all of it, and its parts; `rest` is ranking, and what no part accounts for. `cpu`
    is what all threads of this process worked meanwhile: it says more than the others where the machine is busy."""

    whole: float
    embed: float
    search: float
    cpu: float

    @property
    def rest(self) -> float:
        return self.whole - self.embed - self.search


@dataclass(frozen=True, slots=True)
class Asked:
    """`first` questions of users not heard from since the store was filled, and `later` ones of users who were. `fill`
    and `settle` are the seconds to write the memories and then to build whatever the store builds; bytes of disk,
    memory of this process in MiB."""

    memories: int
    users: int
    fill: float
    settle: float
    first: tuple[Timing, ...]
    later: tuple[Timing, ...]
    disk: int
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Examination:
    """Services on fresh stores, what they are filled with, and the unseen questions still to be asked."""

    services: Services
    maker: Maker
    unseen: Iterator[str]

    async def fill(self, memories: int) -> tuple[float, float]:
        """Seconds: writing, and then until the store has nothing left to build."""
        began = time.perf_counter()
        for entries in self.maker.make(memories):
            await self.services.memories.put(entries)
        filled = time.perf_counter()
        await self.ask(self.maker.scope(0))
        await self.services.memories.settled()
        return filled - began, time.perf_counter() - filled

    async def first(self, questions: int) -> tuple[Timing, ...]:
        """One question of each of so many users, but for the one whom `fill` asked: none of a single user."""
        users = range(1, min(self.maker.users, questions + 1))
        return tuple([await self.ask(self.maker.scope(user)) for user in users])

    async def later(self, questions: int) -> tuple[Timing, ...]:
        """Of users who have asked before, in turns."""
        regulars = [self.maker.scope(user) for user in range(min(self.maker.users, _REGULARS))]
        for scope in regulars * _ACQUAINTANCE:
            await self.ask(scope)
            await self.services.memories.settled()
        return tuple([await self.ask(regulars[i % len(regulars)]) for i in range(questions)])

    async def ask(self, scope: Scope) -> Timing:
        """One unseen question, through the gateway's own recall."""
        story = self.services.story
        embedder: Any = Clocked(self.services.embedder)
        memories: Any = Clocked(self.services.memories)
        recaller = replace(story.rememberer.recaller, embedder=embedder, memories=memories)
        question, policy = next(self.unseen), self.services.policies[story.default_policy]
        began, worked = time.perf_counter(), time.process_time()
        await recaller.recall(policy, scope, question, self.services.clock())
        whole, cpu = (time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000
        return Timing(whole, embedder.millis.get("embed", 0.0), memories.millis.get("search", 0.0), cpu)


async def indexed(services: Services, said: Sequence[str], number: int, seed: int) -> float:
    """Turns per second, of so many: embedded, written, and their neighbours anew."""
    texts = turns(said, seed)
    memories = [
        Memory(f"turn {i}", _TURNS_SCOPE, f"session {i // SESSION}", next(texts), seq=i + 1) for i in range(number)
    ]
    began = time.perf_counter()
    for at in range(0, number, _BATCH):
        await services.curator.add(memories[at : at + _BATCH])
    return number / (time.perf_counter() - began)


def disk_bytes(path: Path) -> int:
    """What the files below `path` take, holes left out."""
    return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())


def rss_mib() -> float:
    """What this process holds in RAM now, mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
