"""What was said too long ago goes, with its evidence and every copy: as a deletion, but never what waits to be indexed,
what is pinned, or what an operator noted. Knows no clock, and not how long anybody keeps anything.

First the evidence goes, in the journal, which alone can tell what is indexed; then the memories of which no evidence is
left. So a turn that is told again at any moment in between stays, and is indexed again; and an expiry that was cut is
finished by the next one.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.memory.curate import Curator
from gateway.memory.filters import Filter
from gateway.memory.records import Memory, Scope

NEVER = float("-inf")
"""The moment before which nothing was said."""
_PAGE = 200
_PORTION = 1000  # memories for which a user is held; few of those that stay are embedded anew


@dataclass(frozen=True, slots=True)
class Expired:
    """How much went of a user; `records` are placements and traces."""

    memories: int = 0
    turns: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class Expiry:
    """Over a curator and its ports. Two at once do no harm."""

    curator: Curator

    async def expire(self, scope: Scope, said: float, told: float) -> Expired:
        """Remove what was said before `said`, and placements and traces from before `told` or `said`, whichever is
        later: they hold what was said, too. Moments in seconds since the epoch, NEVER for neither."""
        records = await self.curator.sessions.expire(scope, max(said, told))
        if said == NEVER:
            return Expired(records=records)
        sessions = await self._sessions(scope, said)
        if not sessions:
            return Expired(0, await self._evidence(scope, said), records)
        async with self.curator.journal.hold(scope):
            turns = await self._evidence(scope, said)
        memories = sum([await self._session(scope, session, said) for session in sessions])
        return Expired(memories, turns, records)

    async def _sessions(self, scope: Scope, before: float) -> list[str]:
        """Those that something is due in."""
        found: dict[str, None] = {}
        cursor: str | None = None
        while True:
            due, cursor = await self._due(scope, None, before, cursor)
            found |= dict.fromkeys(memory.session for memory in due)
            if cursor is None:
                return [*found]

    async def _evidence(self, scope: Scope, before: float) -> int:
        """What something pinned rests on stays with it."""
        spared = {source async for memory in self._pinned(scope) for source in memory.sources}
        return await self.curator.journal.expire(scope, before, sparing=spared)

    async def _session(self, scope: Scope, session: str, before: float) -> int:
        """Many at once, so that what is beside each other is not embedded anew to be removed next."""
        count, cursor = 0, None
        while True:
            portion: list[Memory] = []
            async with self.curator.journal.hold(scope):
                while True:
                    due, cursor = await self._due(scope, session, before, cursor)
                    portion += due
                    if cursor is None or len(portion) >= _PORTION:
                        break
                count += await self._remove(scope, portion)
            if cursor is None:
                return count

    async def _remove(self, scope: Scope, due: Sequence[Memory]) -> int:
        """Those that nothing in the journal stands behind any more."""
        sources = [*dict.fromkeys(source for memory in due for source in memory.sources)]
        left: set[str] = set()
        for start in range(0, len(sources), _PAGE):
            left |= {turn.id for turn in await self.curator.journal.turns(scope, sources[start : start + _PAGE])}
        gone = [memory for memory in due if not left & {*memory.sources}]
        if not gone:
            return 0
        ids = {memory.id for memory in gone} | {source for memory in gone for source in memory.sources}
        return await self.curator.remove(scope, gone, sorted(ids))

    async def _due(
        self, scope: Scope, session: str | None, before: float, cursor: str | None
    ) -> tuple[list[Memory], str | None]:
        """A page, without notes, and where the next one begins."""
        old = Filter(session=session, pinned=False, before=before)
        page = await self.curator.memories.browse(scope, old, cursor=cursor, limit=_PAGE)
        return [memory for memory in page.items if memory.kind != "note"], page.cursor

    async def _pinned(self, scope: Scope) -> AsyncIterator[Memory]:
        cursor: str | None = None
        while True:
            page = await self.curator.memories.browse(scope, Filter(pinned=True), cursor=cursor, limit=_PAGE)
            for memory in page.items:
                yield memory
            cursor = page.cursor
            if cursor is None:
                return
