"""Agenda as plain dictionaries: what the adapters are compared with. Knows no file."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.memory.records import Page, Scope
from gateway.memory.reflections import Due, Reflection, Spent
from tests.support.model import Life, page


@dataclass
class _Standing:
    """Of a user who has due turns or unfinished reflections."""

    at: float
    lease: float = 0.0
    tries: int = 0


@dataclass
class ModelAgenda(Life):
    """thinking.Agenda."""

    dues: dict[tuple[Scope, str], Due] = field(default_factory=dict)
    thought: dict[tuple[Scope, str], str] = field(default_factory=dict)
    users: dict[Scope, _Standing] = field(default_factory=dict)
    held: dict[tuple[Scope, str], Reflection] = field(default_factory=dict)
    spending: dict[tuple[str, str], Spent] = field(default_factory=dict)

    async def add(self, scope: Scope, dues: Sequence[Due], at: float) -> int:
        """See the port."""
        await self.ping()
        fresh = [due for due in dues if self.thought.get((scope, due.turn)) != due.stamp]
        self.dues.update(((scope, due.turn), due) for due in fresh)
        if fresh:
            standing = self.users.setdefault(scope, _Standing(at))
            standing.at = max(at, standing.lease)
        return len(await self.due(scope, len(self.dues)))

    async def wake(self, scope: Scope, at: float) -> None:
        """See the port."""
        await self.ping()
        if standing := self.users.get(scope):
            standing.at, standing.lease = at, 0.0

    async def claim(self, now: float, lease: float) -> Scope | None:
        """See the port."""
        await self.ping()
        ready = [(standing.at, scope) for scope, standing in self.users.items() if standing.at <= now]
        if not ready:
            return None
        _, scope = min(ready, key=lambda pair: pair[0])
        self.users[scope].at = self.users[scope].lease = now + lease
        return scope

    async def due(self, scope: Scope, limit: int) -> list[Due]:
        """See the port."""
        await self.ping()
        own = [due for (where, _), due in self.dues.items() if where == scope]
        return sorted(own, key=lambda due: (due.seq, due.turn.encode("utf-8", "surrogatepass")))[:limit]

    async def drop(self, scope: Scope, turns: Sequence[str]) -> None:
        """See the port."""
        await self.ping()
        for turn in turns:
            self.dues.pop((scope, turn), None)
        self._leave(scope)

    async def tried(self, scope: Scope) -> int:
        """See the port."""
        await self.ping()
        standing = self.users.get(scope, _Standing(0.0, tries=-1))
        standing.tries += 1
        return standing.tries

    async def intend(self, scope: Scope, reflection: Reflection, stamps: Sequence[str] = ()) -> bool:
        """See the port."""
        await self.ping()
        if not all((scope, turn) in self.dues for turn in reflection.turns):
            return False
        if stamps and [self.dues[scope, turn].stamp for turn in reflection.turns] != [*stamps]:
            return False
        for turn in {*reflection.turns}:
            self.thought[scope, turn] = self.dues.pop((scope, turn)).stamp
        self.held.pop((scope, reflection.id), None)
        self.held[scope, reflection.id] = reflection
        self.users.setdefault(scope, _Standing(reflection.at)).tries = 0
        self._leave(scope)
        return True

    async def conclude(self, scope: Scope, reflection: Reflection) -> None:
        """See the port."""
        await self.ping()
        if (scope, reflection.id) in self.held:
            self.held[scope, reflection.id] = reflection
            self.users.setdefault(scope, _Standing(reflection.at))
            self._leave(scope)

    async def unfinished(self, scope: Scope) -> list[Reflection]:
        """See the port."""
        await self.ping()
        return [one for one in self._of(scope) if one.state == "intended"]

    async def reflection(self, scope: Scope, id: str) -> Reflection | None:
        """See the port."""
        await self.ping()
        return self.held.get((scope, id))

    async def reflections(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Reflection]:
        """See the port."""
        await self.ping()
        return page(self._of(scope)[::-1], cursor, limit)

    async def erase(self, scope: Scope, turns: Sequence[str]) -> int:
        """See the port."""
        await self.drop(scope, turns)
        for turn in turns:
            self.thought.pop((scope, turn), None)
        resting = [one.id for one in self._of(scope) if {*turns} & _all_of(one)]
        for id in resting:
            del self.held[scope, id]
        self._leave(scope)
        return len(resting)

    async def spend(self, tenant: str, day: str, spent: Spent) -> Spent:
        """See the port."""
        before = await self.spent(tenant, day)
        self.spending[tenant, day] = Spent(before.calls + spent.calls, before.tokens + spent.tokens)
        return self.spending[tenant, day]

    async def spent(self, tenant: str, day: str) -> Spent:
        """See the port."""
        await self.ping()
        return self.spending.get((tenant, day), Spent())

    async def waiting(self) -> int:
        """See the port."""
        await self.ping()
        return len(self.dues)

    async def count(self, scope: Scope) -> int:
        """See the port."""
        await self.ping()
        turns = {turn for where, turn in (*self.dues, *self.thought) if where == scope}
        return len(turns) + len(self._of(scope))

    async def forget(self, scope: Scope) -> int:
        """See the port."""
        known = await self.count(scope)
        self.users.pop(scope, None)
        self.dues = {key: due for key, due in self.dues.items() if key[0] != scope}
        self.thought = {key: stamp for key, stamp in self.thought.items() if key[0] != scope}
        self.held = {key: one for key, one in self.held.items() if key[0] != scope}
        return known

    def _of(self, scope: Scope) -> list[Reflection]:
        return [one for (where, _), one in self.held.items() if where == scope]

    def _leave(self, scope: Scope) -> None:
        unfinished = any(one.state == "intended" for one in self._of(scope))
        if not unfinished and not any(where == scope for where, _ in self.dues):
            self.users.pop(scope, None)


def _all_of(reflection: Reflection) -> set[str]:
    """Every id whose text it may repeat."""
    found = {*reflection.turns}
    for memory in (*reflection.before, *reflection.after):
        found |= {memory.id, *memory.sources}
    return found
