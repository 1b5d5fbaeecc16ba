"""Sessions over SQLite: what was placed at each turn, and where a history was cut. Traces stand in traces.py."""

import base64
import logging
import sqlite3
import time
from asyncio import Future
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.memory.records import Page, Placed, Scope, Trace
from gateway.memory.stores.sqlite.database import Database
from gateway.memory.stores.sqlite.schema import blob, text, who
from gateway.memory.stores.sqlite.traces import Traces

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Placed).decode
_CACHED = 50_000

_PLACE = """
INSERT INTO placements (tenant, user, chain, session, turn, at, body) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, user, chain) DO UPDATE SET
    session = excluded.session, turn = excluded.turn, at = excluded.at, body = excluded.body
"""
_CUT = "INSERT INTO cuts VALUES (?, ?, ?, ?) ON CONFLICT (tenant, user, session) DO UPDATE SET chain = excluded.chain"
_SESSIONS = """
SELECT session, count(*), max(at) AS last FROM placements WHERE tenant = ? AND user = ?
GROUP BY session HAVING (last, session) < (?, ?) ORDER BY last DESC, session DESC LIMIT ?
"""

_FORGET = (
    "DELETE FROM placements WHERE tenant = ? AND user = ?",
    "DELETE FROM cuts WHERE tenant = ? AND user = ?",
    "DELETE FROM traces WHERE tenant = ? AND user = ?",
)

Key = tuple[str, str, str]


class SqliteSessions:
    """See ports.SessionStore. Keeps `trace_limit` traces per tenant."""

    def __init__(self, database: Database, *, trace_limit: int, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._cache: OrderedDict[Key, Placed | None] = OrderedDict()
        self._traces = Traces(database, trace_limit)
        self._clock = clock

    async def placed(self, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
        keys = {chain: (scope.tenant, scope.user, chain) for chain in chains}
        unknown = [chain for chain, key in keys.items() if key not in self._cache]
        if unknown:
            found = await self._database.read(lambda c: _placed(c, scope, unknown))
            for chain in unknown:
                # Written meanwhile: the cache is newer than what was read.
                self._cache.setdefault(keys[chain], found.get(chain))
        known = {chain: self._cache.get(key) for chain, key in keys.items()}
        self._shrink()
        return {chain: placed for chain, placed in known.items() if placed is not None}

    async def place(self, scope: Scope, chain: str, placed: Placed) -> None:
        self._cache[scope.tenant, scope.user, chain] = placed
        self._cache.move_to_end((scope.tenant, scope.user, chain))
        row = (*who(scope), chain, blob(placed.session), placed.turn, placed.at, _encode(placed))
        self._database.write_soon(lambda c: c.execute(_PLACE, row)).add_done_callback(_log_failure)

    async def cut(self, scope: Scope, session: str) -> str | None:
        statement = "SELECT chain FROM cuts WHERE tenant = ? AND user = ? AND session = ?"
        row = await self._database.read(lambda c: c.execute(statement, (*who(scope), blob(session))).fetchone())
        return row[0] if row else None

    async def set_cut(self, scope: Scope, session: str, chain: str) -> None:
        await self._database.write(lambda c: c.execute(_CUT, (*who(scope), blob(session), chain)))

    async def sessions(
        self, scope: Scope, *, cursor: str | None = None, limit: int = 50
    ) -> Page[tuple[str, int, float]]:
        last, session = _unpack(cursor)
        rows: list[Any] = await self._database.read(
            lambda c: c.execute(_SESSIONS, (*who(scope), last, session, limit + 1)).fetchall()
        )
        items = tuple((text(name), count, at) for name, count, at in rows[:limit])
        return Page(items, _pack(rows[limit - 1][2], rows[limit - 1][0]) if len(rows) > limit else None)

    async def trace(self, trace: Trace) -> None:
        self._traces.keep(trace).add_done_callback(_log_failure)

    async def traces(self, scope: Scope, *, session: str | None = None, limit: int = 50) -> list[Trace]:
        return await self._traces.latest(scope, session, limit)

    async def find_trace(self, tenant: str, id: str) -> Trace | None:
        return await self._traces.find(tenant, id)

    async def erase_turns(self, scope: Scope, turns: Sequence[str]) -> None:
        gone = frozenset(turns)
        self._drop_cached(scope)
        await self._database.write(lambda c: _erase_placements(c, scope, gone))
        await self._traces.erase(scope, gone)
        self._drop_cached(scope)

    async def forget(self, scope: Scope) -> int:
        def job(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(statement, who(scope)).rowcount for statement in _FORGET)

        count = await self._database.write(job)
        self._drop_cached(scope)
        await self._database.scrub()
        return count

    async def ping(self) -> None:
        await self._database.read(lambda c: c.execute("SELECT 1").fetchone())

    def _drop_cached(self, scope: Scope) -> None:
        for key in [key for key in self._cache if key[:2] == (scope.tenant, scope.user)]:
            del self._cache[key]

    def _shrink(self) -> None:
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)


def _placed(connection: sqlite3.Connection, scope: Scope, chains: Sequence[str]) -> dict[str, Placed]:
    statement = "SELECT body FROM placements WHERE tenant = ? AND user = ? AND chain = ?"
    rows = {chain: connection.execute(statement, (*who(scope), chain)).fetchone() for chain in chains}
    return {chain: _decode(row[0]) for chain, row in rows.items() if row}


def _erase_placements(connection: sqlite3.Connection, scope: Scope, gone: frozenset[str]) -> None:
    rows = connection.execute("SELECT chain, body FROM placements WHERE tenant = ? AND user = ?", who(scope)).fetchall()
    for chain, body in rows:
        placed = _decode(body)
        if placed.turn in gone:
            connection.execute(
                "DELETE FROM placements WHERE tenant = ? AND user = ? AND chain = ?", (*who(scope), chain)
            )
        elif gone & set(placed.memories):
            bare = _encode(replace(placed, text="", memories=()))
            statement = "UPDATE placements SET body = ? WHERE tenant = ? AND user = ? AND chain = ?"
            connection.execute(statement, (bare, *who(scope), chain))


def _log_failure(future: "Future[Any]") -> None:
    """Nobody waits for these writes, so nobody else would hear of it."""
    if not future.cancelled() and (failed := future.exception()) is not None:
        log.error("a queued write failed: %s", failed)


def _pack(last: float, session: bytes) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([last, session])).decode()


def _unpack(cursor: str | None) -> tuple[float, bytes]:
    if cursor is None:
        return float("inf"), b""
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor), type=tuple[float, bytes])
    except (ValueError, msgspec.DecodeError):
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
