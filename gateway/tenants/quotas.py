"""Whether there is room for one more turn: who has as many memories as may be is answered, and nothing new is kept.

Counts are a few seconds old, and turns that the writer has not got to are not in them: a quota is no exact number.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.admit import Key
from gateway.ask import Tale
from gateway.errors import MemoryUnavailable
from gateway.memory.ports import MemoryStore
from gateway.memory.records import Scope
from gateway.question import Question

_FRESH = 5.0
_FRESH_OF_TENANT = 30.0  # all its users are counted
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Quotas:
    """`deadline` is how many seconds a count may take; one that does not come in time keeps nothing from being kept."""

    memories: MemoryStore
    deadline: float
    clock: Callable[[], float] = time.monotonic
    _counts: OrderedDict[Scope | str, tuple[float, int]] = field(default_factory=OrderedDict)

    async def held_to(self, question: Question, key: Key, tale: Tale) -> Question:
        """The question; one whose turn is not kept, where there is no room for it."""
        if not question.writes or await self._room(key, question.scope):
            return question
        tale.skip("quota-exceeded")
        return replace(question, mode=replace(question.mode, writes=False))

    async def _room(self, key: Key, scope: Scope) -> bool:
        quota = key.quota
        try:
            async with asyncio.timeout(self.deadline):
                if quota.memories_per_user and await self._of_user(scope) >= quota.memories_per_user:
                    return False
                return not quota.memories or await self._of_tenant(scope.tenant) < quota.memories
        except (MemoryUnavailable, TimeoutError):
            return True

    async def _of_user(self, scope: Scope) -> int:
        if (known := self._known(scope)) is not None:
            return known
        return self._keep(scope, await self.memories.count(scope), _FRESH)

    async def _of_tenant(self, tenant: str) -> int:
        if (known := self._known(tenant)) is not None:
            return known
        return self._keep(tenant, sum((await self.memories.users(tenant)).values()), _FRESH_OF_TENANT)

    def _known(self, whose: Scope | str) -> int | None:
        until, count = self._counts.get(whose, (0.0, 0))
        return count if self.clock() < until else None

    def _keep(self, whose: Scope | str, count: int, fresh: float) -> int:
        self._counts[whose] = self.clock() + fresh, count
        self._counts.move_to_end(whose)
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return count
