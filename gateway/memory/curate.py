"""The one place where memories change: index turns, edit, delete, forget. Knows no HTTP and no policy's name.

Whoever changes a user's memories has the user to themselves, whatever process they are in: indexing a turn also
rewrites its neighbours, and an edit or a deletion between that reading and that writing would be undone. Indexing has
the users whose turns it claimed; all else holds them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gateway.memory import lexical
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore
from gateway.memory.records import Entry, Former, Memory, Scope, Sparse, Turn, Vector

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
    # Two claims of one journal may give the same turns.
    _indexing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def index(self, limit: int, only: Sequence[str] = ()) -> tuple[Turn, ...]:
        """Claim up to `limit` due turns, index them, mark them done; the turns. Raises with nothing marked.

        `only` narrows the claim to these turn ids: how a poisonous turn is found among healthy ones.
        """
        async with self._indexing:
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
        scopes: dict[Scope, dict[str, list[Memory]]] = {}
        for memory in memories:
            scopes.setdefault(memory.scope, {}).setdefault(memory.session, []).append(memory)
        for scope, sessions in scopes.items():
            async with self.journal.hold(scope):
                for session, members in sessions.items():
                    await self._add(scope, session, members)

    async def edit(self, scope: Scope, id: str, change: Callable[[Memory], Memory]) -> Memory | None:
        """Apply `change` to the current version and store it as the next one; None if there is no such memory."""
        async with self.journal.hold(scope):
            found = await self.memories.get(scope, [id])
            if not found:
                return None
            changed = _next_version(found[0], change(found[0]), self.clock())
            await self._write(scope, changed.session, [changed])
            await self._unplace(scope, [id])
            return changed

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """Remove memories, and turns not indexed yet, with their evidence and every copy in placements, traces and the
        vectors of neighbours; how many there were."""
        async with self.journal.hold(scope):
            found = await self.memories.get(scope, ids)
            sources = sorted({source for memory in found for source in memory.sources} | set(ids))
            waiting = sorted(set(ids) - {memory.id for memory in found})
            await self.embedder.forget()
            count = await self.journal.erase(scope, waiting)
            await self.journal.erase(scope, sources)
            await self.sessions.erase_turns(scope, sources)
            # The neighbours first: once it is gone, a deletion that was cut here could not find them again.
            for session in sorted({memory.session for memory in found}):
                await self._write(scope, session, leaving=[m for m in found if m.session == session])
            return count + await self.memories.delete(scope, ids)

    async def forget(self, scope: Scope) -> dict[str, int]:
        """Remove the user from every store; how much each one held."""
        async with self.journal.hold(scope):
            await self.embedder.forget()
            return {
                "turns": await self.journal.forget(scope),
                "memories": await self.memories.forget(scope),
                "sessions": await self.sessions.forget(scope),
            }

    async def held(self, scope: Scope) -> dict[str, int]:
        """How much every store holds of the user, under the names that `forget` gives."""
        return {
            "turns": await self.journal.count(scope),
            "memories": await self.memories.count(scope),
            "sessions": await self.sessions.count(scope),
        }

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless what indexing needs answers."""
        await self.memories.ping()
        await self.embedder.ping()

    async def _add(self, scope: Scope, session: str, members: Sequence[Memory]) -> None:
        said = {memory.id: memory.text for memory in members}
        replaced = [m.id for m in await self.memories.get(scope, [*said]) if m.text != said[m.id]]
        await self._write(scope, session, members)
        if replaced:
            await self._unplace(scope, replaced)

    async def _unedited(self, scope: Scope, fresh: Sequence[Memory]) -> list[Memory]:
        """Those that nobody edited: a turn told again must not undo what was made of it."""
        edited = {m.id for m in await self.memories.get(scope, [m.id for m in fresh]) if m.version > 1}
        return [memory for memory in fresh if memory.id not in edited]

    async def _unplace(self, scope: Scope, ids: Sequence[str]) -> None:
        """What was injected from a former text must not be replayed."""
        await self.sessions.erase_turns(scope, ids)

    async def _write(
        self, scope: Scope, session: str, fresh: Sequence[Memory] = (), leaving: Sequence[Memory] = ()
    ) -> None:
        """Store `fresh`, and store anew what stays beside it or beside `leaving`, without those. A note stands alone,
        and so does what has no place in the line."""
        own = {memory.id: memory for memory in fresh}
        rows: list[Row] = [(memory, (), ()) for memory in own.values() if not _stands_in_line(memory)]
        touched = [memory for memory in (*own.values(), *leaving) if _stands_in_line(memory)]
        if touched:
            first, last = min(m.seq for m in touched), max(m.seq for m in touched)
            around = await self.memories.neighbours(scope, session, first, last, 2 * self.policy.radius)
            rows += _rows({m.id: m for m in (*around, *touched)}, touched, leaving, self.policy.radius)
        if rows:
            await self.memories.put(await self._entries(rows))

    async def _entries(self, rows: Sequence[Row]) -> list[Entry]:
        texts = [*dict.fromkeys(m.text for memory, before, after in rows for m in (memory, *before, *after))]
        # Beside each other, and beside requests: the terms of a batch take longer than a request should wait for.
        embedded, terms = await asyncio.gather(self.embedder.embed(texts), asyncio.to_thread(self._terms, rows))
        vectors = dict(zip(texts, embedded, strict=True))
        arrays = {text: np.asarray(vector) for text, vector in vectors.items()}
        entries = []
        for (memory, before, after), sparse in zip(rows, terms, strict=True):
            blended = _blend(arrays, memory, before, after, self.policy.blend)
            entries.append(Entry(memory, {"turn": vectors[memory.text], "near": blended}, sparse))
        return entries

    def _terms(self, rows: Sequence[Row]) -> list[dict[str, Sparse]]:
        return [
            {
                "turn": lexical.document(memory.text),
                "near": lexical.document(self.policy.near(memory, before, after)),
            }
            for memory, before, after in rows
        ]


def _stands_in_line(memory: Memory) -> bool:
    return memory.kind == "turn" and memory.seq > 0


def _rows(known: Mapping[str, Memory], touched: Sequence[Memory], leaving: Sequence[Memory], radius: int) -> list[Row]:
    """Of a session's line those within `radius` places of one that is touched, each with what will stand around it. The
    pieces of a long turn have a place each."""
    line = sorted(known.values(), key=lambda m: (m.seq, m.id))
    ids, gone = {memory.id for memory in touched}, {memory.id for memory in leaving}
    places = [i for i, memory in enumerate(line) if memory.id in ids]
    due = {line[j].id for i in places for j in range(max(i - radius, 0), min(i + radius + 1, len(line)))}
    stays = [memory for memory in line if memory.id not in gone]
    return [
        (memory, stays[max(i - radius, 0) : i], stays[i + 1 : i + 1 + radius])
        for i, memory in enumerate(stays)
        if memory.id in due
    ]


def _blend(
    vectors: Mapping[str, np.ndarray[Any, Any]],
    memory: Memory,
    before: Sequence[Memory],
    after: Sequence[Memory],
    weights: Sequence[float],
) -> Vector:
    """The unit vector between the memory's own and its neighbours', each weighed by its distance."""
    around = [(1 + i, m) for side in (reversed(before), after) for i, m in enumerate(side)]
    weighed = [weights[at] * vectors[m.text] for at, m in [(0, memory), *around]]
    blended = np.sum(weighed, axis=0)
    unit: list[float] = (blended / (np.linalg.norm(blended) or 1.0)).tolist()
    return unit


def _next_version(old: Memory, new: Memory, now: float) -> Memory:
    former = old.former
    if new.text != old.text:
        former = (*former, Former(old.version, old.text, now))[-_FORMER_KEPT:]
    return replace(new, version=old.version + 1, updated=now, former=former)
