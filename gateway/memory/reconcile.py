"""One index made like another while both are written: what is missing or different is put, what is too much is removed.
Repairing and verifying are the same: a pass that found nothing to repair has verified. Knows no adapter.

A pass compares without holding anybody. What it finds it looks at again with the user held, a few turns at a time, and
repairs: so whoever writes meanwhile is neither kept waiting for long nor undone, and a pass that was cut is begun anew.

A memory tells whether it is the same in both, but not whether the vectors beside it are. So an index that was left, and
is written again, is first filled anew: what was written since may hide what was not written before.
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.errors import MemoryUnavailable
from gateway.memory.index import Index, in_line, laid_out, rows_around
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Indexes, Journal, MemoryStore
from gateway.memory.records import FILLING, Memory, Query, Scope, Sparse

T = TypeVar("T")
Say = Callable[[str], None]
_PAGE = 256
_PORTION = 32  # turns for which a user is held: about a second's work for an embedder in this process
_PASSES = 8
_SAMPLES = 3
_ITSELF = 0.99  # the cosine of a text's vector to itself, as engines and embedders round
_TOLD_EVERY = 1000


@dataclass
class Tally:
    """What a pass did. `put` counts writes, and a neighbour may be written twice. `unlike`: users whose memories their
    own texts do not find."""

    anew: bool = False
    users: int = 0
    memories: int = 0
    put: int = 0
    removed: int = 0
    unlike: int = 0

    @property
    def agree(self) -> bool:
        """Whether there was nothing to repair."""
        return not (self.anew or self.put or self.removed or self.unlike)

    def __str__(self) -> str:
        return (
            f"{self.memories} memories of {self.users} users compared: {self.put} put, {self.removed} removed, "
            f"{self.unlike} users not found by their own words"
        )


@dataclass
class _Due:
    """What to look at again: seqs of turns by session, ids of what stands in no line, and what may be too much."""

    turns: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    alone: list[str] = field(default_factory=list)
    extra: list[tuple[str, int, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.turns or self.alone or self.extra)


@dataclass(frozen=True)
class Reconciler:
    """Makes `second`, of that `name` among `indexes`, like `read`, by the policy that turns are laid out by."""

    read: Index
    second: Index
    indexes: Indexes
    name: str
    journal: Journal
    policy: Policy

    async def run(self, say: Say) -> None:
        """Passes until one repairs nothing; then the second index holds everything. MemoryUnavailable when a store or
        an embedder fails, and when passes do not come to an end."""
        mark = ""
        for number in range(1, _PASSES + 1):
            mark, filled = await self._mark(), mark
            tally = await self.compare(_numbered(number, say), anew=mark not in ("", FILLING, filled))
            if tally.unlike and not (tally.put or tally.removed):
                break
            if tally.agree and await self.indexes.catch_up(self.name, mark):
                return say(f"Verified: both indexes agree, and {self.name} holds everything.")
        if tally.unlike:
            raise MemoryUnavailable(
                f"{self.name} holds vectors that its embedder does not make: leave it, drop it, and begin anew."
            )
        raise MemoryUnavailable(
            f"After {_PASSES} passes there is still something to repair: does every process write both indexes?"
        )

    async def compare(self, say: Say, *, anew: bool = False) -> Tally:
        """One pass over every user that either index has. `anew`: what is the same in both is put all the same."""
        tally = Tally(anew)
        stores = (self.read.memories, self.second.memories)
        for tenant in sorted({tenant for store in stores for tenant in await store.tenants()}):
            for user in sorted({user for store in stores for user in await store.users(tenant)}):
                await self._user(Scope(tenant, user), tally, say)
                tally.users += 1
        say(f"{tally}.")
        return tally

    async def _user(self, scope: Scope, tally: Tally, say: Say) -> None:
        due, samples = await self._compared(scope, tally, say)
        for session, seqs in due.turns.items():
            await self._repair_line(scope, session, seqs, tally)
        for ids in _portions(due.alone):
            await self._repair_alone(scope, ids, tally)
        for extra in _portions(sorted(due.extra)):
            await self._remove(scope, [id for _, _, id in extra], tally)
        if not due and samples and not await self._finds_any(scope, samples):
            tally.unlike += 1

    async def _compared(self, scope: Scope, tally: Tally, say: Say) -> tuple[_Due, list[Memory]]:
        """What differs, and some memories that do not."""
        due, samples = _Due(), list[Memory]()
        async for page in _pages(self.read.memories, scope):
            for memory in await self._differing(scope, page, tally):
                if in_line(memory):
                    due.turns[memory.session].append(memory.seq)
                else:
                    due.alone.append(memory.id)
            samples += [m for m in page if m.status == "active" and m.text.strip()][: _SAMPLES - len(samples)]
            before, tally.memories = tally.memories, tally.memories + len(page)
            if before // _TOLD_EVERY < tally.memories // _TOLD_EVERY:
                say(f"{tally} so far …")
        async for page in _pages(self.second.memories, scope):
            due.extra += [(m.session, m.seq, m.id) for m in await self._too_much(scope, page)]
        return due, samples

    async def _differing(self, scope: Scope, memories: Sequence[Memory], tally: Tally) -> Sequence[Memory]:
        if tally.anew:
            return memories
        theirs = {m.id: m for m in await self.second.memories.get(scope, [m.id for m in memories])}
        return [memory for memory in memories if theirs.get(memory.id) != memory]

    async def _too_much(self, scope: Scope, memories: Sequence[Memory]) -> list[Memory]:
        ours = {m.id for m in await self.read.memories.get(scope, [m.id for m in memories])}
        return [memory for memory in memories if memory.id not in ours]

    async def _repair_line(self, scope: Scope, session: str, seqs: Iterable[int], tally: Tally) -> None:
        """Along the line, so that what is beside each other is read and embedded once."""
        due = deque(sorted({*seqs}))
        while due:
            async with self.journal.hold(scope):
                around = await self.read.memories.neighbours(scope, session, due[0], due[0], _PORTION)
                line = [memory for memory in around if memory.seq >= due[0]]
                tally.put += await self._put(scope, session, await self._differing(scope, line, tally))
            end = max((memory.seq for memory in line), default=due[0])
            while due and due[0] <= end:
                due.popleft()

    async def _repair_alone(self, scope: Scope, ids: Sequence[str], tally: Tally) -> None:
        async with self.journal.hold(scope):
            there = await self.read.memories.get(scope, ids)
            tally.put += await self._put(scope, "", await self._differing(scope, there, tally))

    async def _remove(self, scope: Scope, ids: Sequence[str], tally: Tally) -> None:
        """As a deletion does it: the neighbours first."""
        async with self.journal.hold(scope):
            gone = await self._too_much(scope, await self.second.memories.get(scope, ids))
            for session in sorted({memory.session for memory in gone}):
                tally.put += await self._put(scope, session, leaving=[m for m in gone if m.session == session])
            tally.removed += await self.second.memories.delete(scope, [memory.id for memory in gone])

    async def _put(
        self, scope: Scope, session: str, fresh: Sequence[Memory] = (), leaving: Sequence[Memory] = ()
    ) -> int:
        """With the neighbours that the index that is read has; how many that were, neighbours included."""
        rows = await rows_around(self.read.memories, self.policy, scope, session, fresh, leaving)
        if not rows:
            return 0
        (entries,) = await laid_out(self.policy, rows, [self.second.embedder])
        await self.second.memories.put(entries)
        return len(rows)

    async def _finds_any(self, scope: Scope, samples: Sequence[Memory]) -> bool:
        """Whether a memory's own text leads to it, or to one just like it. Who was deleted meanwhile proves nothing."""
        for memory in samples:
            if await self._finds(scope, memory):
                return True
        async with self.journal.hold(scope):
            left = await self.second.memories.get(scope, [memory.id for memory in samples])
            return not left or any([await self._finds(scope, memory) for memory in left])

    async def _finds(self, scope: Scope, memory: Memory) -> bool:
        (vector,) = await self.second.embedder.embed([memory.text])
        found = await self.second.memories.search(scope, Query(vector, Sparse((), ())), _SAMPLES)
        return any(candidate.signals.get("dense_turn", 0.0) > _ITSELF for candidate in found)

    async def _mark(self) -> str:
        return next((each.behind for each in await self.indexes.found() if each.name == self.name), "")


async def _pages(store: MemoryStore, scope: Scope) -> AsyncIterator[Sequence[Memory]]:
    page = await store.browse(scope, limit=_PAGE)
    yield page.items
    while page.cursor is not None:
        page = await store.browse(scope, cursor=page.cursor, limit=_PAGE)
        yield page.items


def _portions(things: Sequence[T]) -> Iterator[Sequence[T]]:
    return (things[at : at + _PORTION] for at in range(0, len(things), _PORTION))


def _numbered(number: int, say: Say) -> Say:
    return lambda text: say(f"Pass {number}: {text}")
