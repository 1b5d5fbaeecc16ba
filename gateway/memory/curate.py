"""The one place where memories change: index turns, edit, delete, forget. Knows no HTTP and no policy's name.

Whoever changes a user's memories has the user to themselves, whatever process they are in: indexing a turn also
rewrites its neighbours, and an edit or a deletion between that reading and that writing would be undone. Indexing has
the users whose turns it claimed; all else holds them.

While memories move to another embedder there are two indexes, and every change reaches both or fails: the one that is
read is written last, so that what failed is not seen, and is done again whole.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gateway.memory import watches
from gateway.memory.evidence import resting_on
from gateway.memory.index import Index, laid_alike, laid_out, rows_around
from gateway.memory.plan import Planner
from gateway.memory.policies.base import Policy
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore
from gateway.memory.records import Memory, Scope, Turn
from gateway.memory.versions import next_version

_THOUGHT_AGAIN = 100
_AT_ONCE = 4  # users whose turns are indexed beside each other: one's store answers while another's words are embedded


@dataclass(frozen=True)
class Curator:
    """The ports that change together; `memories` and `embedder` are the index that is read, `second` one that is only
    written. `planner` hears of every turn that was indexed. `clock` gives seconds since the epoch."""

    memories: MemoryStore
    sessions: SessionStore
    journal: Journal
    embedder: Embedder
    policy: Policy
    clock: Callable[[], float]
    planner: Planner
    second: Index | None = None
    # Two claims of one journal may give the same turns.
    _indexing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def index(self, limit: int, only: Sequence[str] = ()) -> tuple[Turn, ...]:
        """Claim up to `limit` due turns, index them, mark them done; the turns. Raises with nothing marked.

        `only` narrows the claim to these turn ids: how a poisonous turn is found among healthy ones.
        """
        async with self._indexing:
            claimed = await self.journal.claim(limit)
            turns = tuple(t for t in claimed if not only or t.id in only)
            users: dict[Scope, list[Turn]] = {}
            for turn in turns:
                users.setdefault(turn.scope, []).append(turn)
            gate = asyncio.Semaphore(_AT_ONCE)
            try:
                async with asyncio.TaskGroup() as tasks:
                    for scope, mine in users.items():
                        tasks.create_task(self._learn(scope, mine, gate))
            except ExceptionGroup as failed:  # the first one ended the others, and says what ailed the batch
                raise failed.exceptions[0] from None
            await self.planner.plan(turns)
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
            edited = await self._edit(scope, await self.memories.get(scope, [id]), change)
            return edited[0] if edited else None

    async def edit_all(self, scope: Scope, ids: Sequence[str], change: Callable[[Memory], Memory]) -> int:
        """Edit those of these memories of which `change` makes something else; how many."""
        async with self.journal.hold(scope):
            found = await self.memories.get(scope, ids)
            return len(await self._edit(scope, [memory for memory in found if change(memory) != memory], change))

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """Remove memories, and turns not indexed yet, with their evidence and every copy in placements, traces and the
        vectors of neighbours; how many there were."""
        async with self.journal.hold(scope):
            found = await self._anywhere(scope, ids)
            sources = sorted({source for memory in found for source in memory.sources} | set(ids))
            waiting = sorted(set(ids) - {memory.id for memory in found})
            count = await self.journal.erase(scope, waiting)
            await self.journal.erase(scope, sources)
            return count + await self.remove(scope, found, sources)

    async def unwatch(self, scope: Scope, id: str) -> bool:
        """Remove a watch with every copy that was injected, and leave its turns; whether there was one."""
        async with self.journal.hold(scope):
            found = [memory for memory in await self.memories.get(scope, [id]) if memory.kind == "watch"]
            for turn in await self.journal.turns(scope, [source for memory in found for source in memory.sources]):
                if turn.watch and watches.wanted(turn).id == id:  # or indexed again it would ask anew
                    await self.journal.append(replace(turn, watch=""))
            if found:
                await self._unplace(scope, [id])
                await self.settle(scope, (), [id])
            return bool(found)

    async def remove(self, scope: Scope, found: Sequence[Memory], sources: Sequence[str]) -> int:
        """Remove memories whose evidence is gone, with every copy of these sources, for who holds the user; how many
        there were."""
        ids = [memory.id for memory in found]
        await self._unlearn()
        made = await self._made_of(scope, sources, ids)
        await self.sessions.erase_turns(scope, [*sources, *(memory.id for memory in made)])
        # The neighbours first: once it is gone, a deletion that was cut here could not find them again.
        for session in sorted({memory.session for memory in found}):
            await self._write(scope, session, leaving=[m for m in found if m.session == session])
        await self.settle(scope, (), [memory.id for memory in made])
        return max([await index.memories.delete(scope, ids) for index in self._indexes()])

    async def settle(self, scope: Scope, memories: Sequence[Memory], gone: Sequence[str]) -> None:
        """Store memories and remove others, for who holds the user."""
        for session in sorted({memory.session for memory in memories}):
            await self._write(scope, session, [memory for memory in memories if memory.session == session])
        if gone:
            for index in self._indexes():
                await index.memories.delete(scope, gone)

    async def forget(self, scope: Scope) -> dict[str, int]:
        """Remove the user from every store; how much each one held. Turns that are under way are not kept either."""
        async with self.journal.hold(scope):
            await self._unlearn()
            erased = {
                "turns": await self.journal.forget(scope),
                **({"second_memories": await self.second.memories.forget(scope)} if self.second else {}),
                "memories": await self.memories.forget(scope),
                "sessions": await self.sessions.forget(scope),
                "thoughts": await self.planner.agenda.forget(scope),
            }
            # What has begun meanwhile may have been told something of it, and could say it again.
            erased["turns"] += await self.journal.forget(scope)
            return erased

    async def held(self, scope: Scope) -> dict[str, int]:
        """How much every store holds of the user, under the names that `forget` gives."""
        return {
            "turns": await self.journal.count(scope),
            "memories": await self.memories.count(scope),
            **({"second_memories": await self.second.memories.count(scope)} if self.second else {}),
            "sessions": await self.sessions.count(scope),
            "thoughts": await self.planner.agenda.count(scope),
        }

    async def ping(self) -> None:
        """Raise MemoryUnavailable unless what indexing needs answers."""
        for index in self._indexes():
            await index.ping()

    def _indexes(self) -> list[Index]:
        """In the order in which they are written: the one that is read comes last."""
        read = Index(self.memories, self.embedder)
        return [self.second, read] if self.second else [read]

    async def _anywhere(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        """As the index that is read has them, or else the other."""
        found = {memory.id: memory for index in self._indexes() for memory in await index.memories.get(scope, ids)}
        return [*found.values()]

    async def _made_of(self, scope: Scope, turns: Sequence[str], ids: Sequence[str]) -> list[Memory]:
        """What reflection made of turns that go: it goes with them, for their words may be in it; what else it was made
        of is thought about again, of much the latest."""
        await self.planner.agenda.erase(scope, turns)
        made = [memory for memory in await resting_on(self.memories, scope, turns) if memory.id not in ids]
        left = [source for memory in made for source in memory.sources if source not in turns]
        if left:
            again = await self.journal.turns(scope, [*dict.fromkeys(left)][-_THOUGHT_AGAIN:])
            await self.planner.again(scope, again, turns[0])
        return made

    async def _unlearn(self) -> None:
        for index in self._indexes():
            await index.embedder.forget()

    async def _edit(self, scope: Scope, found: Sequence[Memory], change: Callable[[Memory], Memory]) -> list[Memory]:
        """The next versions, stored; with new vectors only where something changed that a vector rests on, or where a
        second index may not have these memories yet."""
        edited = [next_version(memory, change(memory), self.clock()) for memory in found]
        if self.second is None and all(map(laid_alike, found, edited)):
            await self.memories.amend(edited)
        else:
            await self.settle(scope, edited, ())
        if edited:
            await self._unplace(scope, [memory.id for memory in edited])
        return edited

    async def _learn(self, scope: Scope, turns: Sequence[Turn], gate: asyncio.Semaphore) -> None:
        """Index turns of one user, session by session; then what they ask to be told of, meet or were told."""
        async with gate:
            for session in dict.fromkeys(turn.session for turn in turns):
                fresh = [memory for turn in turns if turn.session == session for memory in self.policy.keep(turn)]
                await self._write(scope, session, await self._unedited(scope, fresh))
            await self._write(scope, "", await watches.changed(turns, self.memories, self.embedder))

    async def _add(self, scope: Scope, session: str, members: Sequence[Memory]) -> None:
        said = {memory.id: memory.text for memory in members}
        replaced = [m.id for m in await self.memories.get(scope, [*said]) if m.text != said[m.id]]
        await self._write(scope, session, members)
        if replaced:
            await self._unplace(scope, replaced)

    async def _unedited(self, scope: Scope, fresh: Sequence[Memory]) -> list[Memory]:
        """Those whose words nobody edited, with what else was decided about them: a turn told again must not undo what
        was made of it."""
        there = {m.id: m for m in await self.memories.get(scope, [m.id for m in fresh]) if m.version > 1}
        return [told for new in fresh if (told := _told_again(there.get(new.id), new))]

    async def _unplace(self, scope: Scope, ids: Sequence[str]) -> None:
        """What was injected from a former text must not be replayed."""
        await self.sessions.erase_turns(scope, ids)

    async def _write(
        self, scope: Scope, session: str, fresh: Sequence[Memory] = (), leaving: Sequence[Memory] = ()
    ) -> None:
        """Store `fresh`, and store anew what stays beside it or beside `leaving`, without those. All is embedded before
        anything is written."""
        rows = await rows_around(self.memories, self.policy, scope, session, fresh, leaving)
        if not rows:
            return
        indexes = self._indexes()
        laid = await laid_out(self.policy, rows, [index.embedder for index in indexes])
        for index, entries in zip(indexes, laid, strict=True):
            await index.memories.put(entries)


def _told_again(old: Memory | None, new: Memory) -> Memory | None:
    """What a turn's memory becomes when the turn is told again; None where it stays as it is."""
    if old is None:
        return new
    if old.former or (old.text, old.reply) == (new.text, new.reply):
        return None
    return replace(new, status=old.status, pinned=old.pinned, use=old.use, version=old.version)
