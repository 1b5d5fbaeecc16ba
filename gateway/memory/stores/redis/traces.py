"""Traces over Redis: why each answer was as it was. The oldest go when a tenant has too many."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from gateway.memory.records import Scope, Trace
from gateway.memory.stores import codec
from gateway.memory.stores.codec import Codec, Said
from gateway.memory.stores.redis import forgotten, keys
from gateway.memory.stores.redis import session_scripts as scripts
from gateway.memory.stores.redis.connection import Connection

_traces, _said = Codec(Trace), Codec(Said)
_LATEST = 10_000
_PAGE = 100


class Traces:
    """One tenant keeps `limit` traces."""

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._limit = limit
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._keep = connection.script(scripts.TRACE)
        self._latest = connection.script(scripts.TRACES)
        self._amend = connection.script(scripts.AMEND_TRACE)

    async def keep(self, trace: Trace, began: float | None) -> None:
        """Told again under the same id it is completed: what was erased since the first time stays erased."""
        name = (trace.scope.tenant, trace.id)
        told, known, again = trace, b"", int(name in self._told)
        where = codec.blob(trace.scope.user), codec.blob(trace.session), codec.blob(trace.id)
        while True:
            body = _traces.encode(told)
            asked = (self._limit, *where, body, known, again, forgotten.age(began))
            found = await self._keep(self._base(trace.scope.tenant), *asked)
            if found is None:
                break
            kept = _traces.decode_if_whole(_body(found))
            told, known = _completed(kept, trace) if kept else trace, found
        self._told[name] = None
        while len(self._told) > _LATEST:
            self._told.popitem(last=False)

    async def latest(self, scope: Scope, session: str | None, limit: int) -> list[Trace]:
        """Latest first."""
        user, every = codec.blob(scope.user), int(session is None)
        bodies = await self._latest(self._base(scope.tenant), user, every, codec.blob(session or ""), limit)
        return [trace for body in bodies if (trace := _traces.decode_if_whole(body))]

    async def find(self, tenant: str, id: str) -> Trace | None:
        """One by its id."""
        stored = await self._connection.call("HGET", self._base(tenant) + b"trace", codec.blob(id))
        return _traces.decode(_body(stored)) if stored else None

    async def erase(self, scope: Scope, gone: frozenset[str]) -> None:
        """Remove the traces of these turns, and the text of these memories from all others."""
        base, user = self._base(scope.tenant), codec.blob(scope.user)
        async for id, stored in self._of(base, user):
            await self._erase(base, user, id, stored, gone)

    async def expire(self, scope: Scope, before: float) -> int:
        """Remove those from before that moment; how many."""
        base, user, gone = self._base(scope.tenant), codec.blob(scope.user), 0
        async for id, stored in self._of(base, user):
            said = _said.decode_if_whole(_body(stored)) if stored else None
            if stored and said and said.at < before:
                gone += int(await self._amend(base, user, id, stored, b""))
        return gone

    async def _of(self, base: bytes, user: bytes) -> AsyncIterator[tuple[bytes, bytes | None]]:
        """The user's traces as they are stored, by id; None for one that is gone already."""
        ids: Sequence[bytes] = await self._connection.call("ZRANGE", base + b"traces:" + user, 0, -1)
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            for id, stored in zip(page, await self._connection.call("HMGET", base + b"trace", *page), strict=True):
                yield id, stored

    async def _erase(self, base: bytes, user: bytes, id: bytes, stored: bytes | None, gone: frozenset[str]) -> None:
        """Until nobody has changed it in between."""
        while stored is not None and (new := _without(stored, gone)) is not None:
            if await self._amend(base, user, id, stored, new):
                return
            stored = await self._connection.call("HGET", base + b"trace", id)

    def _base(self, tenant: str) -> bytes:
        return keys.tenant(self._connection.prefix, tenant)


def _body(stored: bytes) -> bytes:
    _, rest = keys.split(stored)
    return keys.split(rest)[1]


def _without(stored: bytes, gone: frozenset[str]) -> bytes | None:
    """What is left of it, "" for nothing; None where it may stay as it is."""
    trace = _traces.decode_if_whole(_body(stored))
    if trace is None or trace.turn in gone:  # of a damaged one nobody knows what text it holds
        return b""
    hits = tuple(hit for hit in trace.hits if not gone & {hit.memory.id, *hit.memory.sources})
    return _traces.encode(replace(trace, hits=hits, injected="")) if len(hits) < len(trace.hits) else None


def _completed(kept: Trace, told: Trace) -> Trace:
    """What is told now, but of its hits only those that the kept one still has."""
    left = {hit.memory.id for hit in kept.hits}
    if all(hit.memory.id in left for hit in told.hits):
        return told
    return replace(told, hits=kept.hits, injected=kept.injected)
