"""SessionStore and Journal as plain dictionaries: what the adapters are compared with. Know no file."""

import asyncio
import time
from ast import literal_eval
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.memory.records import Dead, Kept, Lag, Page, Placed, Scope, Trace, Turn
from tests.support.model import Clock, Life, page, told


@dataclass
class ModelSessions(Life):
    """ports.SessionStore."""

    trace_limit: int = 1000
    turns: dict[tuple[Scope, str], Placed] = field(default_factory=dict)
    kept: dict[tuple[str, str], Trace] = field(default_factory=dict)
    gone: dict[Scope, float] = field(default_factory=dict)

    async def placed(self, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
        """See the port."""
        await self.ping()
        return {chain: self.turns[scope, chain] for chain in chains if (scope, chain) in self.turns}

    async def place(self, scope: Scope, chain: str, placed: Placed, began: float | None = None) -> None:
        """See the port."""
        await self.ping()
        if not _outlived(self.gone, scope, began):
            self.turns[scope, chain] = placed

    async def sessions(
        self, scope: Scope, *, cursor: str | None = None, limit: int = 50
    ) -> Page[tuple[str, int, float]]:
        """See the port."""
        await self.ping()
        own = [placed for (where, _), placed in self.turns.items() if where == scope]
        names = {placed.session for placed in own}
        found = [(name, [placed.at for placed in own if placed.session == name]) for name in names]
        rows = sorted(((name, len(ats), max(ats)) for name, ats in found), key=lambda r: (r[2], r[0]), reverse=True)
        return page(rows, cursor, limit)

    async def placements(
        self, scope: Scope, session: str, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Placed]:
        """See the port."""
        await self.ping()
        own = [(p.at, chain, p) for (where, chain), p in self.turns.items() if where == scope]
        found = [placed for _, _, placed in sorted(own, key=lambda row: row[:2]) if placed.session == session]
        return page(found, cursor, limit)

    async def chained(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[str, Placed]]:
        """See the port."""
        await self.ping()
        return page(sorted((chain, p) for (where, chain), p in self.turns.items() if where == scope), cursor, limit)

    async def trace(self, trace: Trace, began: float | None = None) -> None:
        """See the port."""
        await self.ping()
        if _outlived(self.gone, trace.scope, began):
            return
        self.kept[trace.scope.tenant, trace.id] = trace
        own = [key for key in self.kept if key[0] == trace.scope.tenant]
        for key in own[: max(len(own) - self.trace_limit, 0)]:
            del self.kept[key]

    async def traces(self, scope: Scope, *, session: str | None = None, limit: int = 50) -> list[Trace]:
        """See the port."""
        await self.ping()
        own = [t for t in reversed(self.kept.values()) if t.scope == scope and session in (None, t.session)]
        return own[:limit]

    async def find_trace(self, tenant: str, id: str) -> Trace | None:
        """See the port."""
        await self.ping()
        return self.kept.get((tenant, id))

    async def erase_turns(self, scope: Scope, turns: Sequence[str]) -> None:
        """See the port."""
        await self.ping()
        gone = set(turns)
        for key, placed in [*self.turns.items()]:
            if key[0] == scope and placed.turn in gone:
                del self.turns[key]
            elif key[0] == scope and gone & {*placed.memories}:
                self.turns[key] = replace(placed, text="", memories=())
        for name, trace in [*self.kept.items()]:
            left = tuple(hit for hit in trace.hits if not gone & {hit.memory.id, *hit.memory.sources})
            if trace.scope == scope and trace.turn in gone:
                del self.kept[name]
            elif trace.scope == scope and left != trace.hits:
                self.kept[name] = replace(trace, hits=left, injected="")

    async def users(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page[str]:
        """See the port."""
        await self.ping()
        owners = {key[0] for key in self.turns} | {trace.scope for trace in self.kept.values()}
        after = None if cursor is None else told(cursor)
        rest = sorted(s.user for s in owners if s.tenant == tenant and (after is None or s.user > after))
        return Page(tuple(rest[:limit]), f"after {rest[limit - 1]}" if len(rest) > limit else None)

    async def expire(self, scope: Scope, before: float) -> int:
        """See the port."""
        held = await self.count(scope)
        self.turns = {k: placed for k, placed in self.turns.items() if k[0] != scope or placed.at >= before}
        self.kept = {name: trace for name, trace in self.kept.items() if trace.scope != scope or trace.at >= before}
        return held - await self.count(scope)

    async def count(self, scope: Scope) -> int:
        """See the port."""
        await self.ping()
        owners = [key[0] for key in self.turns] + [trace.scope for trace in self.kept.values()]
        return owners.count(scope)

    async def forget(self, scope: Scope) -> int:
        """See the port."""
        self.gone[scope] = time.monotonic()
        held = await self.count(scope)
        self.turns = {key: value for key, value in self.turns.items() if key[0] != scope}
        self.kept = {key: trace for key, trace in self.kept.items() if trace.scope != scope}
        return held


@dataclass
class _Row:
    turn: Turn
    since: float
    state: Literal["pending", "done", "dead"] = "pending"
    revision: int = 1
    attempts: int = 0
    due: float = 0.0
    error: str = ""


@dataclass
class ModelJournal(Life):
    """ports.Journal."""

    clock: Clock = field(default_factory=Clock)
    rows: dict[tuple[Scope, str], _Row] = field(default_factory=dict)
    claimed: dict[int, int] = field(default_factory=dict)
    holders: Counter[Scope] = field(default_factory=Counter)
    held: set[Scope] = field(default_factory=set)
    gone: dict[Scope, float] = field(default_factory=dict)
    last: int = 0

    async def append(self, turn: Turn, began: float | None = None) -> int:
        """See the port."""
        await self.ping()
        if _outlived(self.gone, turn.scope, began):
            return 0
        old = self.rows.get((turn.scope, turn.id))
        self.last += old is None
        new = _Row(replace(turn, seq=old.turn.seq if old else self.last), self.clock())
        if old:
            new.revision, new.since = old.revision + 1, old.since if old.state == "pending" else new.since
        self.rows[turn.scope, turn.id] = new
        return new.turn.seq

    async def claim(self, limit: int) -> list[Turn]:
        """See the port."""
        due = [row for row in self._in("pending") if row.due <= self.clock() and not self.holders[row.turn.scope]][
            :limit
        ]
        await self.ping()
        for row in self.rows.values():
            if self.holders[row.turn.scope]:
                self.claimed.pop(row.turn.seq, None)
        self.claimed.update({row.turn.seq: row.revision for row in due})
        return [row.turn for row in due]

    async def done(self, turns: Sequence[Turn]) -> None:
        """See the port."""
        await self.ping()
        for turn in turns:
            row = self._claimed(turn)
            if row:
                row.state = "done"

    async def fail(self, turn: Turn, error: str, *, attempts: int, delay: float) -> bool:
        """See the port."""
        await self.ping()
        row = self._claimed(turn)
        if row is None:
            return False
        row.attempts, row.error, row.due = row.attempts + 1, error, self.clock() + delay
        row.state = "dead" if row.attempts >= attempts else "pending"
        return row.state == "dead"

    @asynccontextmanager
    async def hold(self, scope: Scope) -> AsyncIterator[None]:
        """See the port."""
        self.holders[scope] += 1
        try:
            while scope in self.held or any(
                r.turn.scope == scope and r.turn.seq in self.claimed for r in self._in("pending")
            ):
                await asyncio.sleep(0.001)
            self.held.add(scope)
            try:
                yield
            finally:
                self.held.discard(scope)
        finally:
            self.holders[scope] -= 1

    async def pending(self, scope: Scope, limit: int = 50) -> list[Turn]:
        """See the port."""
        await self.ping()
        found = [row.turn for row in self._in("pending", "dead") if row.turn.scope == scope]
        return found[::-1][:limit]

    async def turns(self, scope: Scope, ids: Sequence[str]) -> list[Turn]:
        """See the port."""
        await self.ping()
        return [self.rows[scope, id].turn for id in dict.fromkeys(ids) if (scope, id) in self.rows]

    async def scopes(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[Scope]:
        """See the port."""
        await self.ping()
        after = () if cursor is None else literal_eval(told(cursor))
        names = {(s.tenant, s.user) for s, _ in self.rows if tenant in (None, s.tenant)}
        rest = sorted(name for name in names if name > after)
        next_page = f"after {rest[limit - 1]!r}" if len(rest) > limit else None
        return Page(tuple(Scope(*name) for name in rest[:limit]), next_page)

    async def kept(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Kept]:
        """See the port."""
        await self.ping()
        own = [row for row in self._in("pending", "done", "dead") if row.turn.scope == scope]
        return page([Kept(row.turn, row.state, row.error, row.attempts) for row in own], cursor, limit)

    async def put_back(self, scope: Scope, kept: Sequence[Kept]) -> None:
        """See the port."""
        await self.ping()
        for each in kept:
            if (scope, each.turn.id) in self.rows:
                continue
            taken = each.turn.seq < 1 or any(row.turn.seq == each.turn.seq for row in self.rows.values())
            seq = self.last + 1 if taken else each.turn.seq
            self.last = max(self.last, seq)
            turn = replace(each.turn, scope=scope, seq=seq)
            row = _Row(turn, self.clock(), each.state, attempts=each.attempts, error=each.error)
            self.rows[scope, turn.id] = row

    async def dead(self, *, cursor: str | None = None, limit: int = 50) -> Page[Dead]:
        """See the port."""
        await self.ping()
        return page([Dead(row.turn, row.attempts, row.error) for row in self._in("dead")], cursor, limit)

    async def replay(self, ids: Sequence[str]) -> int:
        """See the port."""
        await self.ping()
        found = [row for row in self._in("dead") if not ids or row.turn.id in ids]
        for row in found:
            row.state, row.attempts, row.due = "pending", 0, 0.0
        return len(found)

    async def lag(self) -> Lag:
        """See the port."""
        await self.ping()
        waiting = self._in("pending")
        oldest = max((self.clock() - row.since for row in waiting), default=0.0)
        return Lag(len(waiting), len(self._in("dead")), max(oldest, 0.0))

    async def count(self, scope: Scope) -> int:
        """See the port."""
        await self.ping()
        return [where for where, _ in self.rows].count(scope)

    async def erase(self, scope: Scope, ids: Sequence[str]) -> int:
        """See the port."""
        await self.ping()
        return len([id for id in set(ids) if self.rows.pop((scope, id), None)])

    async def expire(self, scope: Scope, before: float, *, sparing: Collection[str] = ()) -> int:
        """See the port."""
        old = [row.turn for row in self._in("done") if row.turn.scope == scope and row.turn.at < before]
        return await self.erase(scope, [turn.id for turn in old if turn.id not in sparing])

    async def forget(self, scope: Scope) -> int:
        """See the port."""
        self.gone[scope] = time.monotonic()
        return await self.erase(scope, [id for where, id in self.rows if where == scope])

    def _in(self, *states: str) -> list[_Row]:
        return sorted((row for row in self.rows.values() if row.state in states), key=lambda row: row.turn.seq)

    def _claimed(self, turn: Turn) -> _Row | None:
        revision = self.claimed.pop(turn.seq, 0)
        row = self.rows.get((turn.scope, turn.id))
        return row if row and row.state == "pending" and row.revision == revision else None


def _outlived(gone: dict[Scope, float], scope: Scope, began: float | None) -> bool:
    return began is not None and scope in gone and began <= gone[scope]
