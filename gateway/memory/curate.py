"""The one place where memories change: index turns, edit, delete, forget. Knows no HTTP and no policy's name.

One lock serialises all of it, because indexing a turn also rewrites its neighbours: without the lock, an edit or a
deletion between that reading and that writing would be undone.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gateway.memory import lexical
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore
from gateway.memory.records import Entry, Former, Memory, Scope, Turn, Vector

Group = tuple[Scope, str]
Row = tuple[Memory, Sequence[Memory], Sequence[Memory]]
"""A memory with the turns before and after it."""
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
                await self._write(scope, session, await self._unedited(scope, fresh))
            await self.journal.done(turns)
            return turns

    async def add(self, memories: Sequence[Memory]) -> None:
        """Insert or replace memories of any scopes, with their vectors, and freshen their neighbours."""
        async with self._lock:
            groups: dict[Group, list[Memory]] = {}
            for memory in memories:
                groups.setdefault((memory.scope, memory.session), []).append(memory)
            for (scope, session), members in groups.items():
                said = {memory.id: memory.text for memory in members}
                replaced = [m.id for m in await self.memories.get(scope, [*said]) if m.text != said[m.id]]
                await self._write(scope, session, members)
                if replaced:
                    await self._unplace(scope, replaced)

    async def edit(self, scope: Scope, id: str, change: Callable[[Memory], Memory]) -> Memory | None:
        """Apply `change` to the current version and store it as the next one; None if there is no such memory."""
        async with self._lock:
            found = await self.memories.get(scope, [id])
            if not found:
                return None
            changed = _next_version(found[0], change(found[0]), self.clock())
            await self._write(scope, changed.session, [changed])
            await self._unplace(scope, [id])
            return changed

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """Remove memories with their evidence and every copy in placements, traces and the vectors of neighbours; how
        many there were."""
        async with self._lock:
            found = await self.memories.get(scope, ids)
            sources = sorted({source for memory in found for source in memory.sources} | set(ids))
            await self.embedder.forget()
            beside = await self._beside(scope, found)
            await self.journal.erase(scope, sources)
            await self.sessions.erase_turns(scope, sources)
            count = await self.memories.delete(scope, ids)
            for session, neighbours in beside.items():
                await self._write(scope, session, neighbours)
            return count

    async def forget(self, scope: Scope) -> dict[str, int]:
        """Remove the user from every store; how much each one held."""
        async with self._lock:
            await self.embedder.forget()
            return {
                "turns": await self.journal.forget(scope),
                "memories": await self.memories.forget(scope),
                "sessions": await self.sessions.forget(scope),
            }

    async def held(self, scope: Scope) -> dict[str, int]:
        """How much every store holds of the user, under the names that `forget` gives."""
        async with self._lock:
            return {
                "turns": await self.journal.count(scope),
                "memories": await self.memories.count(scope),
                "sessions": await self.sessions.count(scope),
            }

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless what indexing needs answers."""
        await self.memories.ping()
        await self.embedder.ping()

    async def _unedited(self, scope: Scope, fresh: Sequence[Memory]) -> list[Memory]:
        """Those that nobody edited: a turn told again must not undo what was made of it."""
        edited = {m.id for m in await self.memories.get(scope, [m.id for m in fresh]) if m.version > 1}
        return [memory for memory in fresh if memory.id not in edited]

    async def _beside(self, scope: Scope, leaving: Sequence[Memory]) -> dict[str, list[Memory]]:
        """Session → the memories that stay but were indexed together with one that leaves."""
        gone = {memory.id for memory in leaving}
        found: dict[str, dict[str, Memory]] = {}
        for memory in leaving:
            if memory.kind == "turn":
                beside = await self.memories.neighbours(scope, memory.session, memory.seq, self.policy.radius)
                found.setdefault(memory.session, {}).update((m.id, m) for m in beside if m.id not in gone)
        return {session: [*memories.values()] for session, memories in found.items()}

    async def _unplace(self, scope: Scope, ids: Sequence[str]) -> None:
        """What was injected from a former text must not be replayed."""
        await self.sessions.erase_turns(scope, ids)

    async def _write(self, scope: Scope, session: str, fresh: Sequence[Memory]) -> None:
        """Store `fresh` and store anew the neighbours whose surroundings they change. A note stands alone."""
        if not fresh:
            return
        radius = self.policy.radius
        row = {memory.id: memory for memory in fresh if memory.kind == "turn"}
        touched = set(row)
        for seq in sorted({memory.seq for memory in row.values()}):
            for memory in await self.memories.neighbours(scope, session, seq, 2 * radius):
                row.setdefault(memory.id, memory)
        line = sorted(row.values(), key=lambda m: (m.seq, m.id))
        places = [i for i, memory in enumerate(line) if memory.id in touched]
        due = sorted({j for i in places for j in range(max(i - radius, 0), min(i + radius + 1, len(line)))})
        rows: list[Row] = [(line[i], line[max(i - radius, 0) : i], line[i + 1 : i + 1 + radius]) for i in due]
        rows += [(note, (), ()) for note in {memory.id: memory for memory in fresh if memory.kind == "note"}.values()]
        await self.memories.put(await self._entries(rows))

    async def _entries(self, rows: Sequence[Row]) -> list[Entry]:
        texts = [*dict.fromkeys(m.text for memory, before, after in rows for m in (memory, *before, *after))]
        vectors = dict(zip(texts, await self.embedder.embed(texts), strict=True))
        entries = []
        for memory, before, after in rows:
            near = self.policy.near(memory, before, after)
            blended = _blend(vectors, memory, before, after, self.policy.blend)
            dense = {"turn": vectors[memory.text], "near": blended}
            entries.append(
                Entry(memory, dense, {"turn": lexical.document(memory.text), "near": lexical.document(near)})
            )
        return entries


def _blend(
    vectors: Mapping[str, Vector],
    memory: Memory,
    before: Sequence[Memory],
    after: Sequence[Memory],
    weights: Sequence[float],
) -> Vector:
    """The unit vector between the memory's own and its neighbours', each weighed by its distance."""
    around = [(1 + i, m) for side in (reversed(before), after) for i, m in enumerate(side)]
    weighed = [weights[at] * np.asarray(vectors[m.text]) for at, m in [(0, memory), *around]]
    blended = np.sum(weighed, axis=0)
    unit: list[float] = (blended / (np.linalg.norm(blended) or 1.0)).tolist()
    return unit


def _next_version(old: Memory, new: Memory, now: float) -> Memory:
    former = old.former
    if new.text != old.text:
        former = (*former, Former(old.version, old.text, now))[-_FORMER_KEPT:]
    return replace(new, version=old.version + 1, updated=now, former=former)
