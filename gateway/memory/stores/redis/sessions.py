"""Sessions over Redis: what was placed at each turn. Traces stand in traces.py. Keeps nothing in this process: what one
gateway places or erases, the next one's request must see.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.memory.records import Page, Placed, Scope, Trace
from gateway.memory.stores import codec, cursors
from gateway.memory.stores.codec import Codec
from gateway.memory.stores.redis import forgotten, keys
from gateway.memory.stores.redis import session_scripts as scripts
from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.traces import Traces
from gateway.memory.stores.redis.users import Users

_placements = Codec(Placed)
# A request that had recalled a memory when it was erased may still be on its way to `place`.
_ON_THEIR_WAY = 5.0
_PAGE = 100

Member = tuple[float, bytes]


class RedisSessions:
    """See ports.SessionStore. Keeps `trace_limit` traces per tenant. `clock` gives seconds since the epoch."""

    def __init__(self, connection: Connection, *, trace_limit: int, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        self._users = Users(connection)
        self._traces = Traces(connection, trace_limit)
        self._place = connection.script(scripts.PLACE)
        self._bar = connection.script(scripts.BAR)
        self._amend = connection.script(scripts.AMEND_PLACED)
        self._lengths = connection.script(scripts.LENGTHS)
        self._count = connection.script(scripts.COUNT)
        self._expire = connection.script(scripts.EXPIRE)
        self._forget = connection.script(scripts.FORGET)

    async def placed(self, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
        bodies = await self._bodies(scope, [*map(codec.blob, chains)])
        found = {chain: _placements.decode_if_whole(body) for chain, body in zip(chains, bodies, strict=True) if body}
        return {chain: placed for chain, placed in found.items() if placed}

    async def place(self, scope: Scope, chain: str, placed: Placed, began: float | None = None) -> None:
        user, session, ids = codec.blob(scope.user), codec.blob(placed.session), map(codec.blob, placed.memories)
        bodies = _placements.encode(placed), _placements.encode(_bare(placed))
        row = (self._clock(), user, codec.blob(chain), session, placed.at, forgotten.age(began), *bodies, *ids)
        await self._place(self._base(scope), *row)

    async def sessions(
        self, scope: Scope, *, cursor: str | None = None, limit: int = 50
    ) -> Page[tuple[str, int, float]]:
        before = (float("inf"), b"") if cursor is None else keys.unpack(cursor)
        key = self._base(scope) + b"sessions:" + codec.blob(scope.user)
        found = await self._members("ZREVRANGEBYSCORE", key, before[0], limit + 1, lambda member: member < before)
        names = [session for _, session in found[:limit]]
        counts = await self._lengths(self._base(scope), codec.blob(scope.user), *names)
        rows = zip(found[:limit], counts, strict=True)
        return Page(tuple((codec.text(session), count, at) for (at, session), count in rows), _cursor(found, limit))

    async def placements(
        self, scope: Scope, session: str, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Placed]:
        behind = (float("-inf"), b"") if cursor is None else keys.unpack(cursor)
        key = self._base(scope) + b"line:" + keys.joined(codec.blob(scope.user), codec.blob(session))
        found = await self._members("ZRANGEBYSCORE", key, behind[0], limit + 1, lambda member: member > behind)
        bodies = await self._bodies(scope, [chain for _, chain in found[:limit]])
        items = tuple(placed for body in bodies if body and (placed := _placements.decode_if_whole(body)))
        return Page(items, _cursor(found, limit))

    async def chained(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[str, Placed]]:
        key = self._base(scope) + b"placed:" + codec.blob(scope.user)
        at, rows = await self._connection.call("HSCAN", key, cursors.number(cursor), "COUNT", limit)
        known = [(codec.text(chain), _placements.decode_if_whole(keys.split(row)[1])) for chain, row in rows.items()]
        return Page(tuple((chain, placed) for chain, placed in known if placed), str(at) if at else None)

    async def count(self, scope: Scope) -> int:
        return int(await self._count(self._base(scope), codec.blob(scope.user)))

    async def trace(self, trace: Trace, began: float | None = None) -> None:
        await self._traces.keep(trace, began)

    async def traces(self, scope: Scope, *, session: str | None = None, limit: int = 50) -> list[Trace]:
        return await self._traces.latest(scope, session, limit)

    async def find_trace(self, tenant: str, id: str) -> Trace | None:
        return await self._traces.find(tenant, id)

    async def erase_turns(self, scope: Scope, turns: Sequence[str]) -> None:
        gone, user = frozenset(turns), codec.blob(scope.user)
        await self._bar(self._base(scope), self._clock(), _ON_THEIR_WAY, user, *map(codec.blob, gone))
        await self._erase_placements(scope, gone)
        await self._traces.erase(scope, gone)

    async def users(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page[str]:
        return await self._users.of(tenant, cursor, limit)

    async def expire(self, scope: Scope, before: float) -> int:
        gone, at, more = 0, 0, 1
        while more:
            row = (codec.blob(scope.user), before, at, _PAGE)
            expired, at, more = await self._expire(self._base(scope), *row)
            gone += expired
        return gone + await self._traces.expire(scope, before)

    async def forget(self, scope: Scope) -> int:
        count = int(await self._forget(self._base(scope), codec.blob(scope.user)))
        await asyncio.sleep(forgotten.BLUR)
        await self._connection.scrub()
        return count

    async def ping(self) -> None:
        await self._connection.ping()

    async def _erase_placements(self, scope: Scope, gone: frozenset[str]) -> None:
        """What is placed meanwhile is barred already, see PLACE."""
        base, user, at = self._base(scope), codec.blob(scope.user), 0
        while True:
            at, rows = await self._connection.call("HSCAN", base + b"placed:" + user, at, "COUNT", _PAGE)
            for chain, stored in rows.items():
                placed = _placements.decode_if_whole(keys.split(stored)[1])
                if placed is None or placed.turn in gone:  # of a damaged one nobody knows what text it holds
                    await self._amend(base, user, chain, stored, b"")
                elif gone & set(placed.memories):
                    await self._amend(base, user, chain, stored, _placements.encode(_bare(placed)))
            if at == 0:
                return

    async def _bodies(self, scope: Scope, chains: Sequence[bytes]) -> list[bytes | None]:
        """One per chain. A command of nothing would be refused, and a closed store must say so."""
        if not chains:
            await self._connection.ping()
            return []
        key = self._base(scope) + b"placed:" + codec.blob(scope.user)
        stored = await self._connection.call("HMGET", key, *chains)
        return [pair and keys.split(pair)[1] for pair in stored]

    async def _members(
        self, command: str, key: bytes, start: float, count: int, wanted: Callable[[Member], bool]
    ) -> list[Member]:
        """The first `count` that are wanted, from the score `start` on, in the command's order."""
        stop = "+inf" if command == "ZRANGEBYSCORE" else "-inf"
        found: list[Member] = []
        offset = 0
        while len(found) < count:
            flat = await self._connection.call(command, key, start, stop, "WITHSCORES", "LIMIT", offset, _PAGE)
            page = [(float(at), member) for member, at in zip(flat[::2], flat[1::2], strict=True)]
            found += filter(wanted, page)
            offset += _PAGE
            if len(page) < _PAGE:
                break
        return found[:count]

    def _base(self, scope: Scope) -> bytes:
        return keys.tenant(self._connection.prefix, scope.tenant)


def _bare(placed: Placed) -> Placed:
    """The turn stays known; what it rendered does not."""
    return replace(placed, text="", memories=(), pinned=False)


def _cursor(found: Sequence[Member], limit: int) -> str | None:
    return keys.pack(*found[limit - 1]) if len(found) > limit else None
