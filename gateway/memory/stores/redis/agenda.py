"""The agenda over Redis, for many gateways and many writers: turns that are to be thought about, and what came of them.
Keeps them; never judges them.

Every change is one script. A user is claimed by a lease and nothing else, so what a killed process had is given to the
next when that is over: its due turns, and its reflection if it had got that far. Two who intend the same turns, for the
first was only slow, are told apart by the turns: the second finds that they are not due any more.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from gateway.memory.records import Page, Scope
from gateway.memory.reflections import Due, Reflection, Spent
from gateway.memory.stores import cursors
from gateway.memory.stores.codec import Codec, blob, text
from gateway.memory.stores.redis import agenda_scripts as scripts
from gateway.memory.stores.redis import keys
from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.rests import rests_on

log = logging.getLogger(__name__)

_reflections = Codec(Reflection)
_SPENT_FOR = int(timedelta(days=8).total_seconds())


class RedisAgenda:
    """See thinking.Agenda."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._base = b"%b:{agenda}:" % connection.prefix.encode()
        self._add = connection.durable(scripts.ADD)
        self._wake = connection.durable(scripts.WAKE)
        self._claim = connection.script(scripts.CLAIM)
        self._due = connection.script(scripts.DUE)
        self._drop = connection.durable(scripts.DROP)
        self._tried = connection.durable(scripts.TRIED)
        self._intend = connection.durable(scripts.INTEND)
        self._conclude = connection.durable(scripts.CONCLUDE)
        self._unfinished = connection.script(scripts.UNFINISHED)
        self._bury = connection.durable(scripts.BURY)
        self._reflections = connection.script(scripts.REFLECTIONS)
        self._erase = connection.durable(scripts.ERASE)
        self._count = connection.script(scripts.COUNT)
        self._forget = connection.durable(scripts.FORGET)
        self._spend = connection.durable(scripts.SPEND)

    async def add(self, scope: Scope, dues: Sequence[Due], at: float) -> int:
        rows = [part for due in dues for part in (blob(due.turn), due.seq, blob(due.policy), blob(due.stamp))]
        return int(await self._add(self._base, keys.who(scope), at, *rows))

    async def wake(self, scope: Scope, at: float) -> None:
        await self._wake(self._base, keys.who(scope), at)

    async def claim(self, now: float, lease: float) -> Scope | None:
        who = await self._claim(self._base, now, now + lease)
        return keys.scope(who) if who else None

    async def due(self, scope: Scope, limit: int) -> list[Due]:
        rows = await self._due(self._base, keys.who(scope), limit)
        return [Due(text(turn), int(float(seq)), text(policy), text(stamp)) for turn, seq, policy, stamp in rows]

    async def drop(self, scope: Scope, turns: Sequence[str]) -> None:
        await self._drop(self._base, keys.who(scope), *map(blob, turns))

    async def tried(self, scope: Scope) -> int:
        return int(await self._tried(self._base, keys.who(scope)))

    async def intend(self, scope: Scope, reflection: Reflection, stamps: Sequence[str] = ()) -> bool:
        turns = [*map(blob, dict.fromkeys(reflection.turns))]
        under = [*map(blob, stamps)]
        told = (*_row(reflection), len(turns), len(under), *turns, *under, *_sources(reflection))
        return bool(await self._intend(self._base, keys.who(scope), *told))

    async def conclude(self, scope: Scope, reflection: Reflection) -> None:
        await self._conclude(self._base, keys.who(scope), *_row(reflection), *_sources(reflection))

    async def unfinished(self, scope: Scope) -> list[Reflection]:
        rows = await self._unfinished(self._base, keys.who(scope))
        found = [(id, _reflections.decode_if_whole(body)) for id, body in rows]
        if damaged := [id for id, reflection in found if reflection is None]:
            log.error("%d unfinished reflections are damaged; they are removed", len(damaged))
            await self._bury(self._base, keys.who(scope), *damaged)
        return [reflection for _, reflection in found if reflection]

    async def reflection(self, scope: Scope, id: str) -> Reflection | None:
        body = await self._connection.call("HGET", self._base + b"bodies:" + keys.who(scope), blob(id))
        return _reflections.decode(body) if body else None

    async def reflections(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Reflection]:
        before = "+inf" if cursor is None else f"({cursors.number(cursor)}"
        rows = await self._reflections(self._base, keys.who(scope), before, limit + 1)
        found = tuple(kept for _, body in rows[:limit] if (kept := _reflections.decode_if_whole(body)))
        return Page(found, str(int(rows[limit - 1][0])) if len(rows) > limit else None)

    async def erase(self, scope: Scope, turns: Sequence[str]) -> int:
        return int(await self._erase(self._base, keys.who(scope), *map(blob, turns)))

    async def spend(self, tenant: str, day: str, spent: Spent) -> Spent:
        told = (blob(tenant), day, spent.calls, spent.tokens, _SPENT_FOR)
        return Spent(*await self._spend(self._base, *told))

    async def spent(self, tenant: str, day: str) -> Spent:
        key = self._base + b"spent:" + keys.joined(blob(tenant), day.encode())
        calls, tokens = await self._connection.call("HMGET", key, "calls", "tokens")
        return Spent(int(calls or 0), int(tokens or 0))

    async def waiting(self) -> int:
        return int(await self._connection.call("GET", self._base + b"waiting") or 0)

    async def count(self, scope: Scope) -> int:
        return int(await self._count(self._base, keys.who(scope)))

    async def forget(self, scope: Scope) -> int:
        count = int(await self._forget(self._base, keys.who(scope)))
        await self._connection.scrub()
        return count

    async def ping(self) -> None:
        await self._connection.ping()


def _row(reflection: Reflection) -> tuple[bytes, bytes, float, int]:
    body, intended = _reflections.encode(reflection), int(reflection.state == "intended")
    return blob(reflection.id), body, reflection.at, intended


def _sources(reflection: Reflection) -> list[bytes]:
    return sorted(map(blob, rests_on(reflection)))
