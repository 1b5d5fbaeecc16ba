"""The one place where memories change: index turns, edit, delete, forget. Knows no HTTP and no policy's name.

One lock serialises all of it, because indexing a turn also rewrites its neighbours: without the lock, an edit or a
deletion between that reading and that writing would be undone.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gateway.memory import lexical
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore
from gateway.memory.records import Entry, Former, Memory, Scope, Turn

Group = tuple[Scope, str]
_FORMER_KEPT = 20


@dataclass(frozen=True)
class Curator:
    """The ports that change together. `clock` gives seconds since the epoch."""

    memories: MemoryStore
    sessions: SessionStore
    journal: Journal
    embedder: Embedder
    policy: Policy
    clock: Callable[[], float]
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def index(self, limit: int, only: Sequence[str] = ()) -> tuple[Turn, ...]:
        """Claim up to `limit` due turns, index them, mark them done; the turns. Raises with nothing marked.

        `only` narrows the claim to these turn ids: how a poisonous turn is found among healthy ones.
        """
        async with self._lock:
            claimed = await self.journal.claim(limit)
            turns = tuple(t for t in claimed if not only or t.id in only)
            groups: dict[Group, list[Turn]] = {}
            for turn in turns:
                groups.setdefault((turn.scope, turn.session), []).append(turn)
            for (scope, session), members in groups.items():
                fresh = [memory for turn in members for memory in self.policy.keep(turn)]
                await self._write(scope, session, fresh)
            await self.journal.done(turns)
            return turns

    async def add(self, memories: Sequence[Memory]) -> None:
        """Insert or replace memories of any scopes, with their vectors, and freshen their neighbours."""
        async with self._lock:
            groups: dict[Group, list[Memory]] = {}
            for memory in memories:
                groups.setdefault((memory.scope, memory.session), []).append(memory)
            for (scope, session), members in groups.items():
                await self._write(scope, session, members)

    async def edit(self, scope: Scope, id: str, change: Callable[[Memory], Memory]) -> Memory | None:
        """Apply `change` to the current version and store it as the next one; None if there is no such memory."""
        async with self._lock:
            found = await self.memories.get(scope, [id])
            if not found:
                return None
            changed = _next_version(found[0], change(found[0]), self.clock())
            await self._write(scope, changed.session, [changed])
            # What was injected from the former text must not be replayed.
            await self.sessions.erase_turns(scope, [id])
            return changed

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """Remove memories with their evidence and every copy in placements and traces; how many there were."""
        async with self._lock:
            found = await self.memories.get(scope, ids)
            sources = sorted({source for memory in found for source in memory.sources} | set(ids))
            await self.journal.erase(scope, sources)
            await self.sessions.erase_turns(scope, sources)
            return await self.memories.delete(scope, ids)

    async def forget(self, scope: Scope) -> dict[str, int]:
        """Remove the user from every store; how much each one held."""
        async with self._lock:
            return {
                "turns": await self.journal.forget(scope),
                "memories": await self.memories.forget(scope),
                "sessions": await self.sessions.forget(scope),
            }

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless what indexing needs answers."""
        await self.memories.ping()
        await self.embedder.ping()

    async def _write(self, scope: Scope, session: str, fresh: Sequence[Memory]) -> None:
        """Store `fresh` and store anew the neighbours whose surroundings they change."""
        if not fresh:
            return
        radius = self.policy.radius
        row = {memory.id: memory for memory in fresh}
        touched = set(row)
        for seq in sorted({memory.seq for memory in fresh}):
            for memory in await self.memories.neighbours(scope, session, seq, 2 * radius):
                row.setdefault(memory.id, memory)
        line = sorted(row.values(), key=lambda m: (m.seq, m.id))
        places = [i for i, memory in enumerate(line) if memory.id in touched]
        due = sorted({j for i in places for j in range(max(i - radius, 0), min(i + radius + 1, len(line)))})
        await self.memories.put(await self._entries(line, due))

    async def _entries(self, line: Sequence[Memory], due: Sequence[int]) -> list[Entry]:
        radius = self.policy.radius
        nears = [self.policy.near(line[i], line[max(i - radius, 0) : i], line[i + 1 : i + 1 + radius]) for i in due]
        vectors = await self.embedder.embed([line[i].text for i in due] + nears)
        return [
            Entry(
                line[i],
                {"turn": vectors[at], "near": vectors[at + len(due)]},
                {"turn": lexical.document(line[i].text), "near": lexical.document(nears[at])},
            )
            for at, i in enumerate(due)
        ]


def _next_version(old: Memory, new: Memory, now: float) -> Memory:
    former = old.former
    if new.text != old.text:
        former = (*former, Former(old.version, old.text, now))[-_FORMER_KEPT:]
    return replace(new, version=old.version + 1, updated=now, former=former)
