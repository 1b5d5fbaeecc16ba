"""MemoryStore as a plain dictionary: what the adapters are compared with. Knows no file and no engine."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import mul
from typing import TypeVar

from gateway.errors import BadRequest, MemoryUnavailable
from gateway.memory.filters import EVERYTHING, Filter
from gateway.memory.fuse import AT_AN_END, IN_TIME, SIGNALS, column, promise, shortlist
from gateway.memory.records import (
    Candidate,
    Entry,
    Memory,
    Page,
    Query,
    Scope,
    Sparse,
)

T = TypeVar("T")


@dataclass
class Clock:
    """A clock that the test sets; seconds."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Life:
    """Open or closed; what was told stays in between."""

    alive: bool = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Alive until the end of the block."""
        self.alive = True
        try:
            yield
        finally:
            self.alive = False

    async def ping(self) -> None:
        """See the ports."""
        if not self.alive:
            raise MemoryUnavailable("The model is closed.")


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """The inner product."""
    return math.fsum(map(mul, a, b))


def told(cursor: str) -> str:
    """What a cursor holds; BadRequest for a foreign one."""
    if not cursor.startswith("after "):
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor")
    return cursor.removeprefix("after ")


def page(rows: Sequence[T], cursor: str | None, limit: int) -> Page[T]:
    """For lists that nobody inserts into between two pages; the cursor is how many were shown."""
    start = 0 if cursor is None else int(told(cursor))
    return Page(tuple(rows[start : start + limit]), f"after {start + limit}" if len(rows) > start + limit else None)


@dataclass
class ModelMemories(Life):
    """ports.MemoryStore."""

    rows: dict[tuple[Scope, str], Entry] = field(default_factory=dict)

    async def put(self, entries: Sequence[Entry]) -> None:
        """See the port."""
        await self.ping()
        self.rows.update(((entry.memory.scope, entry.memory.id), entry) for entry in entries)

    async def amend(self, memories: Sequence[Memory]) -> None:
        """See the port."""
        await self.ping()
        held = {(memory.scope, memory.id): memory for memory in memories}
        self.rows.update({key: replace(self.rows[key], memory=held[key]) for key in held if key in self.rows})

    async def search(self, scope: Scope, query: Query, limit: int) -> list[Candidate]:
        """See the port."""
        await self.ping()
        asked_about = [e for e in self._of(scope) if _asked_about(query, e.memory)]
        active = sorted(asked_about, key=lambda e: e.memory.id)
        found: list[dict[str, float]] = [{} for _ in active]
        for name in ("turn", "near"):
            held = [entry.sparse[name] for entry in active]
            for i, entry in enumerate(active):
                found[i][f"dense_{name}"] = dot(query.dense, entry.dense[name])
                if words := _bm25(query.sparse, held[i], held):
                    found[i][f"bm25_{name}"] = words
        union = sorted({i for signal in SIGNALS for i in _best(found, signal, limit)})
        signals = [found[i] for i in union]
        promises = promise([column(signals, signal) for signal in SIGNALS])
        best = shortlist(promises, [active[i].memory.id for i in union], limit)
        chosen = [union[place] for place in best]
        chosen += [i for i in _of_times(query, active, found) if i not in chosen]
        return [Candidate(active[i].memory, found[i]) for i in chosen]

    async def get(self, scope: Scope, ids: Sequence[str]) -> list[Memory]:
        """See the port."""
        await self.ping()
        return [self.rows[scope, id].memory for id in dict.fromkeys(ids) if (scope, id) in self.rows]

    async def browse(
        self,
        scope: Scope,
        only: Filter = EVERYTHING,
        *,
        latest: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        """See the port."""
        await self.ping()
        line = {(-m.at if latest else 0.0, m.id): m for m in self._such(scope, only)}
        behind = None if cursor is None else _place(told(cursor))
        left = sorted(place for place in line if behind is None or place > behind)
        shown = tuple(line[place] for place in left[:limit])
        return Page(shown, "after {} {}".format(*left[limit - 1]) if len(left) > limit else None)

    async def neighbours(self, scope: Scope, session: str, first: int, last: int, radius: int) -> list[Memory]:
        """See the port."""
        await self.ping()
        own = [e.memory for e in self._of(scope) if e.memory.session == session and e.memory.kind == "turn"]
        turns = sorted({m.seq for m in own if m.seq})
        before, after = [s for s in turns if s < first], [s for s in turns if s > last]
        near = {*before[max(len(before) - radius, 0) :], *(s for s in turns if first <= s <= last), *after[:radius]}
        return sorted((m for m in own if m.seq in near), key=lambda m: (m.seq, m.id))

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """See the port."""
        await self.ping()
        return len([id for id in set(ids) if self.rows.pop((scope, id), None)])

    async def forget(self, scope: Scope) -> int:
        """See the port."""
        return await self.delete(scope, [id for where, id in self.rows if where == scope])

    async def count(self, scope: Scope, only: Filter = EVERYTHING) -> int:
        """See the port."""
        await self.ping()
        return len(self._such(scope, only))

    async def users(self, tenant: str) -> dict[str, int]:
        """See the port."""
        await self.ping()
        names = [scope.user for scope, _ in self.rows if scope.tenant == tenant]
        return {name: names.count(name) for name in names}

    async def tenants(self) -> list[str]:
        """See the port."""
        await self.ping()
        return sorted({scope.tenant for scope, _ in self.rows})

    async def settled(self) -> None:
        """See the port."""
        await self.ping()

    def _of(self, scope: Scope) -> list[Entry]:
        return [entry for (where, _), entry in self.rows.items() if where == scope]

    def _such(self, scope: Scope, only: Filter) -> list[Memory]:
        return [entry.memory for entry in self._of(scope) if _meant(entry.memory, only)]


def _meant(memory: Memory, only: Filter) -> bool:
    """In other words than the gateway's own."""
    return (
        only.session in (None, memory.session)
        and only.kind in (None, memory.kind)
        and only.pinned in (None, memory.pinned)
        and only.status in (None, memory.status)
        and only.trust in (None, memory.trust)
        and (only.policy is None or only.policy == (memory.thought.policy if memory.thought else ""))
        and not (only.after is not None and memory.at < only.after)
        and not (only.before is not None and memory.at >= only.before)
    )


def _place(cursor: str) -> tuple[float, str]:
    """Behind what a listing goes on."""
    at, _, id = cursor.partition(" ")
    return float(at), id


def _asked_about(query: Query, memory: Memory) -> bool:
    return memory.status == "active" if query.as_of is None else memory.at <= query.as_of


def _of_times(query: Query, active: Sequence[Entry], found: Sequence[dict[str, float]]) -> list[int]:
    """Places of what was said in the periods and at the end that the query asks for."""
    times = query.times
    then = [i for i, e in enumerate(active) if any(start <= e.memory.at < end for start, end in times.periods)]
    chosen = sorted(then, key=lambda i: -found[i]["dense_near"])[:IN_TIME]
    line = sorted((i for i, e in enumerate(active) if e.memory.seq), key=lambda i: active[i].memory.seq)
    ends = {"first": line[:AT_AN_END], "last": line[-AT_AN_END:], "": []}
    return [*dict.fromkeys([*chosen, *ends[times.end]])]


def _best(found: Sequence[dict[str, float]], signal: str, limit: int) -> list[int]:
    """Of equals the ones that come first."""
    having = [i for i, signals in enumerate(found) if signal in signals]
    return sorted(having, key=lambda i: -found[i][signal])[:limit]


def _bm25(asked: Sparse, held: Sparse, documents: Sequence[Sparse]) -> float:
    """Weights times rarity, which is counted among these documents."""
    weights, score = dict(zip(held.indices, held.values, strict=True)), 0.0
    for term, weight in zip(asked.indices, asked.values, strict=True):
        having = len([document for document in documents if term in document.indices])
        rarity = math.log((len(documents) - having + 0.5) / (having + 0.5) + 1)
        score += weight * weights.get(term, 0.0) * rarity
    return score
