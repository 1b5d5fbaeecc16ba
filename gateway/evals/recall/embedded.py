"""The gateway's own parts in this process, on stores that live as long as the evaluation. Knows no adapter."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.evals.recall.sample import Sample, kept
from gateway.evals.recall.subject import Found, Told
from gateway.memory.policies.base import Policy
from gateway.memory.recall import gist
from gateway.memory.records import Candidate, Scope
from gateway.services import Services

Opener = Callable[[Path], AbstractAsyncContextManager[Services]]
"""Opens services whose data directory is the one given."""

_SCOPE = Scope("evaluation", "everyone")
_BATCH = 32  # as the admin API imports


@dataclass(frozen=True, slots=True)
class Embedded:
    """See subject.Subject. Made by `open`."""

    services: Services

    @classmethod
    @asynccontextmanager
    async def open(cls, opener: Opener) -> AsyncIterator["Embedded"]:
        """On fresh stores in a temporary directory, which is removed in the end."""
        with TemporaryDirectory(prefix="mneme-eval-") as data:
            async with opener(Path(data)) as services:
                yield cls(services)

    @property
    def identity(self) -> dict[str, str]:
        return {"where": "embedded", "policy": repr(self.policy), "embedder": self.services.embedder.identity}

    async def tell(self, sample: Sample) -> Told:
        memories = kept(sample, self.policy, _SCOPE)
        began = time.perf_counter()
        for at in range(0, len(memories), _BATCH):
            await self.services.curator.add(memories[at : at + _BATCH])
        return Told(len(memories), time.perf_counter() - began)

    async def ask(self, question: str, at: float) -> Found:
        recaller = self.services.story.rememberer.recaller
        began = time.perf_counter()
        recall = await recaller.recall(self.policy, _SCOPE, question, at or self.services.clock())
        return Found(recall.hits, (time.perf_counter() - began) * 1000)

    async def candidates(self, question: str, at: float) -> tuple[list[Candidate], float]:
        """What recall would rank for the question, and as at which moment."""
        recaller, now = self.services.story.rememberer.recaller, at or self.services.clock()
        return await recaller.candidates(self.policy, _SCOPE, gist(question), now), now

    async def forget(self) -> None:
        await self.services.curator.forget(_SCOPE)

    @property
    def policy(self) -> Policy:
        """Whose recall it is."""
        return self.services.policies[self.services.story.default_policy]
