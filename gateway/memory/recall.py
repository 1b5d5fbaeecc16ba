"""What is known that helps this question. Drives a policy against the ports; decides nothing itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.memory import lexical, watches
from gateway.memory.filters import Filter
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore
from gateway.memory.records import Candidate, Hit, Memory, Query, Recall, Scope, Sparse, Vector
from gateway.memory.versions import as_of
from gateway.memory.wary import wary

_QUESTION_HEAD = 600
_QUESTION_TAIL = 1400
# Of so many turns that are not indexed yet, those that share the most words with the question are embedded for it.
_PENDING, _PROMISING = 100, 8
# The store weighs terms by rarity; a turn that is not indexed yet has no such weights, so it gets a middling one.
_PENDING_IDF = 3.0
# Where links are followed: from so many memories, so far, and no weaker.
_ENTRIES, _HOPS, _FLOOR = 20, 2, 0.1


@dataclass(frozen=True, slots=True)
class Recaller:
    """The ports that recall reads. `patience` is how long the vectors of turns not indexed yet may take, in seconds."""

    memories: MemoryStore
    journal: Journal
    embedder: Embedder
    patience: float

    async def recall(
        self, policy: Policy, scope: Scope, question: str, now: float, moment: float | None = None
    ) -> Recall:
        """Rank everything the scope knows against the question, indexed or not. With a `moment`, what was believed
        then, as if it had been asked then. MemoryUnavailable when a part fails."""
        asked = gist(question)
        if not policy.width or not asked.strip():
            return Recall()
        now = now if moment is None else min(now, moment)
        return Recall(tuple(wary(policy.rank(asked, await self.candidates(policy, scope, asked, now, moment), now))))

    async def candidates(
        self, policy: Policy, scope: Scope, asked: str, now: float, moment: float | None = None
    ) -> list[Candidate]:
        """What is ranked for a question of which only the gist is left."""
        vectors, waiting = await asyncio.gather(self.embedder.embed([asked]), self.journal.pending(scope, _PENDING))
        query = Query(vectors[0], lexical.query(asked), policy.times(asked, now), moment)
        found = [
            Candidate(memory, candidate.signals)
            for candidate in await self.memories.search(scope, query, policy.width)
            if (memory := standing(candidate.memory, moment)) and reads(policy.name, memory)
        ]
        if policy.follows:
            found += await self._linked(policy, scope, found, moment)
        indexed = {candidate.memory.id for candidate in found}
        told = [turn for turn in waiting if moment is None or turn.at <= moment]
        fresh = [m for turn in told for m in policy.keep(turn) if m.id not in indexed]
        return found + await self._unindexed(fresh, query)

    async def told(self, scope: Scope) -> list[Hit]:
        """What the user asked to be told of, has been said since, and was not told yet."""
        return wary(await watches.telling(self.memories, self.journal, scope))

    async def pinned(self, scope: Scope, moment: float | None = None, limit: int = 20) -> tuple[Memory, ...]:
        """What the user's conversations always start with; of it what was believed at a moment, if there is one."""
        found = (await self.memories.browse(scope, Filter(pinned=True, status="active"), limit=limit)).items
        return tuple(memory for each in found if (memory := standing(each, moment)))

    async def _linked(
        self, policy: Policy, scope: Scope, found: Sequence[Candidate], moment: float | None
    ) -> list[Candidate]:
        """Memories that those found are linked to, with what reaches them along the strongest way as `links`: each step
        carries on the share `follows` of it, times the link's weight (spreading activation, Hindsight)."""
        reached = {c.memory.id: c.signals.get("dense_turn", 0.0) for c in found[:_ENTRIES]}
        frontier, known, linked = [c.memory for c in found[:_ENTRIES]], {c.memory.id for c in found}, []
        for _ in range(_HOPS):
            come: dict[str, float] = {}
            for memory in frontier:
                for link in memory.thought.links if memory.thought else ():
                    come[link.to] = max(come.get(link.to, 0.0), reached[memory.id] * link.weight * policy.follows)
            new = [id for id in sorted(come, key=lambda id: -come[id]) if id not in known and come[id] >= _FLOOR]
            frontier = [
                linking
                for each in (await self.memories.get(scope, new[:_ENTRIES]) if new else [])
                if (linking := standing(each, moment)) and reads(policy.name, linking)
            ]
            known.update(new)
            reached.update(come)
            linked += [Candidate(memory, {"links": come[memory.id]}) for memory in frontier]
        return linked

    async def _unindexed(self, memories: Sequence[Memory], query: Query) -> list[Candidate]:
        """Read your writes (promise 4): turns that the writer has not got to are scored here and now."""
        if not memories:
            return []
        words = {m.id: _overlap(lexical.document(m.text), query.sparse) * _PENDING_IDF for m in memories}
        promising = sorted(memories, key=lambda m: (words[m.id], m.seq), reverse=True)[:_PROMISING]
        meant = dict(zip((m.id for m in promising), await self._likeness(promising, query), strict=False))
        found = []
        for memory in promising:
            signals = {"dense_turn": meant[memory.id], "dense_near": meant[memory.id]} if memory.id in meant else {}
            if bm25 := words[memory.id]:
                signals |= {"bm25_turn": bm25, "bm25_near": bm25}
            if signals:
                found.append(Candidate(memory, signals))
        return found

    async def _likeness(self, memories: Sequence[Memory], query: Query) -> list[float]:
        """Cosines; none when the embedder is busy, because words alone must do then."""
        try:
            async with asyncio.timeout(self.patience):
                return [_dot(vector, query.dense) for vector in await self.embedder.embed([m.text for m in memories])]
        except TimeoutError:
            return []


def reads(policy: str, memory: Memory) -> bool:
    """Whether a memory is one that a policy looks at: what was said, an operator's note, or what it made itself."""
    return memory.thought is None or memory.thought.policy == policy


def standing(memory: Memory, moment: float | None) -> Memory | None:
    """The memory as it counts: now, if it is active, or as it was believed at a moment, if it was."""
    if moment is None:
        return memory if memory.status == "active" else None
    return as_of(memory, moment)


def gist(question: str) -> str:
    """The part of a long message that says what is wanted: its beginning and its end."""
    if len(question) <= _QUESTION_HEAD + _QUESTION_TAIL:
        return question
    return f"{question[:_QUESTION_HEAD]} {question[-_QUESTION_TAIL:]}"


def _dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _overlap(a: Sparse, b: Sparse) -> float:
    weights = dict(zip(b.indices, b.values, strict=True))
    return sum(value * weights.get(index, 0.0) for index, value in zip(a.indices, a.values, strict=True))
