"""Sessions over SQLite: what was placed at each turn. Traces stand in traces.py."""

import base64
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.memory.records import Page, Placed, Scope, Trace
from gateway.memory.stores import cursors
from gateway.memory.stores.codec import Codec, blob, text
from gateway.memory.stores.sqlite.database import Database, Job
from gateway.memory.stores.sqlite.forgotten import Forgotten
from gateway.memory.stores.sqlite.schema import who
from gateway.memory.stores.sqlite.traces import Traces

_placements = Codec(Placed)
_CACHED = 10_000
# A request that had recalled a memory when it was erased may still be on its way to `place`.
_ON_THEIR_WAY = 5.0

_PLACE = """
INSERT INTO placements (tenant, user, chain, session, at, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, user, chain) DO UPDATE SET
    session = excluded.session, at = excluded.at, body = excluded.body
"""
_SESSIONS = """
SELECT session, count(*), max(at) AS last FROM placements WHERE tenant = ? AND user = ?
GROUP BY session HAVING (last, session) < (?, ?) ORDER BY last DESC, session DESC LIMIT ?
"""
_PLACEMENTS = """
SELECT at, chain, body FROM placements WHERE tenant = ? AND user = ? AND session = ? AND (at, chain) > (?, ?)
ORDER BY at, chain LIMIT ?
"""
# One by one: a list of them all would be looked for among all that they have.
_NEXT_USER = """
SELECT min(user) FROM (
    SELECT min(user) AS user FROM placements WHERE tenant = :tenant AND user > :after
    UNION ALL SELECT min(user) FROM traces WHERE tenant = :tenant AND user > :after)
"""
_EXPIRE = "DELETE FROM placements WHERE tenant = ? AND user = ? AND at < ?"
# A page at a time, in an order that no placement changes.
_CHAINED = """
SELECT chain, body FROM placements WHERE tenant = ? AND user = ? AND chain >= ? AND chain IS NOT ?
ORDER BY chain LIMIT ?
"""
_FORGET = (
    "DELETE FROM placements WHERE tenant = ? AND user = ?",
    "DELETE FROM traces WHERE tenant = ? AND user = ?",
)
_COUNT = """
SELECT (SELECT count(*) FROM placements WHERE tenant = :tenant AND user = :user)
     + (SELECT count(*) FROM traces WHERE tenant = :tenant AND user = :user)
"""

Key = tuple[str, str, str]


class SqliteSessions:
    """See ports.SessionStore. Keeps `trace_limit` traces per tenant. `clock` is a monotonic one, in seconds."""

    def __init__(self, database: Database, *, trace_limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._cache: OrderedDict[Key, Placed | None] = OrderedDict()
        self._erased: list[tuple[float, Scope, frozenset[str]]] = []
        self._erasures = 0
        self._forgotten = Forgotten()
        self._traces = Traces(database, trace_limit, self._forgotten)
        self._clock = clock

    async def placed(self, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
        keys = {chain: (scope.tenant, scope.user, chain) for chain in chains}
        known = {chain: self._cache[key] for chain, key in keys.items() if key in self._cache}
        unknown = [chain for chain in keys if chain not in known]
        if unknown:
            before = self._erasures
            found = await self._database.read(lambda c: _placed(c, scope, unknown))
            for chain in unknown:
                if self._erasures == before:
                    # Placed meanwhile: the cache is newer than what was read.
                    self._cache.setdefault(keys[chain], found.get(chain))
                known[chain] = self._cache.get(keys[chain], found.get(chain))
        self._shrink()
        return {chain: placed for chain in keys if (placed := known[chain]) is not None}

    async def place(self, scope: Scope, chain: str, placed: Placed, began: float | None = None) -> None:
        key = (scope.tenant, scope.user, chain)

        def prepared() -> Job[Any]:
            # When there is room in the queue, not before: what is erased while we wait must not come back.
            if self._forgotten.outlived(scope, began):
                return _nothing
            kept = self._without_erased(scope, placed)
            row = (*who(scope), blob(chain), blob(kept.session), kept.at, _placements.encode(kept))
            self._cache[key] = kept
            self._cache.move_to_end(key)
            return lambda c: c.execute(_PLACE, row)

        await self._database.enqueue(prepared)

    async def sessions(
        self, scope: Scope, *, cursor: str | None = None, limit: int = 50
    ) -> Page[tuple[str, int, float]]:
        """Asked in the writer's queue, so that what was just placed is found."""
        last, session = _unpack(cursor)
        rows: list[Any] = await self._database.write(
            lambda c: c.execute(_SESSIONS, (*who(scope), last, session, limit + 1)).fetchall()
        )
        items = tuple((text(name), count, at) for name, count, at in rows[:limit])
        return Page(items, _pack(rows[limit - 1][2], rows[limit - 1][0]) if len(rows) > limit else None)

    async def placements(
        self, scope: Scope, session: str, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Placed]:
        """Asked in the writer's queue as well."""
        last, chain = (float("-inf"), b"") if cursor is None else _unpack(cursor)
        values = (*who(scope), blob(session), last, chain, limit + 1)
        rows: list[Any] = await self._database.write(lambda c: c.execute(_PLACEMENTS, values).fetchall())
        items = tuple(placed for *_, body in rows[:limit] if (placed := _placements.decode_if_whole(body)))
        return Page(items, _pack(rows[limit - 1][0], rows[limit - 1][1]) if len(rows) > limit else None)

    async def chained(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[tuple[str, Placed]]:
        """Asked in the writer's queue as well."""
        last = None if cursor is None else _unpack(cursor)[1]
        values = (*who(scope), last or b"", last, limit + 1)
        rows: list[Any] = await self._database.write(lambda c: c.execute(_CHAINED, values).fetchall())
        known = [(text(chain), _placements.decode_if_whole(body)) for chain, body in rows[:limit]]
        items = tuple((chain, placed) for chain, placed in known if placed)
        return Page(items, _pack(0.0, rows[limit - 1][0]) if len(rows) > limit else None)

    async def count(self, scope: Scope) -> int:
        tenant, user = who(scope)
        values = {"tenant": tenant, "user": user}
        return await self._database.write(lambda c: int(c.execute(_COUNT, values).fetchone()[0]))

    async def trace(self, trace: Trace, began: float | None = None) -> None:
        await self._traces.keep(trace, began)

    async def traces(self, scope: Scope, *, session: str | None = None, limit: int = 50) -> list[Trace]:
        return await self._traces.latest(scope, session, limit)

    async def find_trace(self, tenant: str, id: str) -> Trace | None:
        return await self._traces.find(tenant, id)

    async def erase_turns(self, scope: Scope, turns: Sequence[str]) -> None:
        gone = frozenset(turns)
        self._forget_cached(scope, gone)
        await self._database.write(lambda c: _erase_placements(c, scope, gone))
        await self._traces.erase(scope, gone)
        self._forget_cached(scope, gone)

    async def users(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page[str]:
        after = "" if cursor is None else cursors.word(cursor)  # a text stands before every id, also the empty one
        rows = await self._database.read(lambda c: _users(c, blob(tenant), after, limit + 1))
        return Page(tuple(map(text, rows[:limit])), cursors.of_word(rows[limit - 1]) if len(rows) > limit else None)

    async def expire(self, scope: Scope, before: float) -> int:
        placements = await self._database.write(lambda c: c.execute(_EXPIRE, (*who(scope), before)).rowcount)
        if placements:
            self._uncache(scope, before)
        return placements + await self._traces.expire(scope, before)

    async def forget(self, scope: Scope) -> int:
        def job(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(statement, who(scope)).rowcount for statement in _FORGET)

        self._forgotten.stamp(scope)
        self._uncache(scope)
        count = await self._database.write(job)
        self._uncache(scope)
        await self._database.scrub()
        return count

    async def ping(self) -> None:
        await self._database.read(lambda c: c.execute("SELECT 1").fetchone())

    def _forget_cached(self, scope: Scope, gone: frozenset[str]) -> None:
        """Drop what is cached of the scope; `gone` are the ids that must not be placed again."""
        now = self._clock()
        self._erased = [old for old in self._erased if now - old[0] < _ON_THEIR_WAY] + [(now, scope, gone)]
        self._uncache(scope)

    def _uncache(self, scope: Scope, before: float | None = None) -> None:
        """Drop what is cached from before that moment, or all of it; what is being read now is not cached either."""
        self._erasures += 1
        own = [(key, placed) for key, placed in self._cache.items() if key[:2] == (scope.tenant, scope.user)]
        for key in [key for key, placed in own if before is None or (placed and placed.at < before)]:
            del self._cache[key]

    def _without_erased(self, scope: Scope, placed: Placed) -> Placed:
        ids = {*placed.memories}
        for at, where, gone in self._erased:
            if where == scope and self._clock() - at < _ON_THEIR_WAY and ids & gone:
                return replace(placed, text="", memories=(), pinned=False)
        return placed

    def _shrink(self) -> None:
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)


def _nothing(_connection: sqlite3.Connection) -> None:
    """What is left of a job whose user was forgotten."""


def _placed(connection: sqlite3.Connection, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
    statement = "SELECT body FROM placements WHERE tenant = ? AND user = ? AND chain = ?"
    rows = {chain: connection.execute(statement, (*who(scope), blob(chain))).fetchone() for chain in chains}
    found = {chain: _placements.decode_if_whole(row[0]) for chain, row in rows.items() if row}
    return {chain: placed for chain, placed in found.items() if placed}


def _users(connection: sqlite3.Connection, tenant: bytes, after: Any, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        (after,) = connection.execute(_NEXT_USER, {"tenant": tenant, "after": after}).fetchone()
        if after is None:
            break
        found.append(after)
    return found


def _erase_placements(connection: sqlite3.Connection, scope: Scope, gone: frozenset[str]) -> None:
    rows = connection.execute("SELECT chain, body FROM placements WHERE tenant = ? AND user = ?", who(scope)).fetchall()
    for chain, body in rows:
        placed = _placements.decode_if_whole(body)
        if placed is None or placed.turn in gone:  # of a damaged one nobody knows what text it holds
            connection.execute(
                "DELETE FROM placements WHERE tenant = ? AND user = ? AND chain = ?", (*who(scope), chain)
            )
        elif gone & set(placed.memories):
            bare = _placements.encode(replace(placed, text="", memories=(), pinned=False))
            statement = "UPDATE placements SET body = ? WHERE tenant = ? AND user = ? AND chain = ?"
            connection.execute(statement, (bare, *who(scope), chain))


def _pack(last: float, session: bytes) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([last, session])).decode()


def _unpack(cursor: str | None) -> tuple[float, bytes]:
    if cursor is None:
        return float("inf"), b""
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor), type=tuple[float, bytes])
    except (ValueError, msgspec.DecodeError):
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
