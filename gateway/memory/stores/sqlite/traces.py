"""Traces over SQLite: why each answer was as it was. The oldest go when a tenant has too many."""

import logging
import sqlite3
from collections import Counter, OrderedDict
from dataclasses import replace
from typing import Any

from gateway.memory.records import Scope, Trace
from gateway.memory.stores.codec import Codec, Said, blob
from gateway.memory.stores.sqlite.database import Database, change, select
from gateway.memory.stores.sqlite.forgotten import Forgotten
from gateway.memory.stores.sqlite.schema import who

log = logging.getLogger(__name__)

_traces, _said = Codec(Trace), Codec(Said)
_TRIM_EVERY = 64
_LATEST = 10_000
_WARN_EVERY = 1000
_LOOKED_AT = 64

_KEEP = """
INSERT INTO traces (tenant, user, id, session, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (tenant, id) DO UPDATE SET user = excluded.user, session = excluded.session, body = excluded.body
"""
_FIND = "SELECT body FROM traces WHERE tenant = ? AND user = ? AND id = ?"
_OF = "SELECT number, body FROM traces WHERE tenant = ? AND user = ?"
_FROM = "SELECT number, body FROM traces WHERE tenant = ? AND user = ? AND number > ? ORDER BY number LIMIT ?"
_REMOVE = "DELETE FROM traces WHERE number = ?"
_TRIM = """
DELETE FROM traces WHERE tenant = :tenant AND number <= (
    SELECT number FROM traces WHERE tenant = :tenant ORDER BY number DESC LIMIT 1 OFFSET :limit)
"""


class Traces:
    """One tenant keeps `limit` traces, and a few more for a while. `dropped` counts those that nobody had time for."""

    def __init__(self, database: Database, limit: int, forgotten: Forgotten) -> None:
        self._database = database
        self._limit = limit
        self._forgotten = forgotten
        self._kept: Counter[str] = Counter()
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.dropped = 0

    async def keep(self, trace: Trace, began: float | None) -> None:
        """Queue the trace, or drop it when the disk does not keep up.

        Told again under the same id it is completed: what was erased since the first time stays erased.
        """
        trims = self._kept[trace.scope.tenant] % _TRIM_EVERY == 0
        again = (trace.scope.tenant, trace.id) in self._told

        def job(connection: sqlite3.Connection) -> None:
            row = (*who(trace.scope), blob(trace.id))
            found = connection.execute(_FIND, row).fetchone()
            if (found or not again) and not self._forgotten.outlived(trace.scope, began):
                kept = _traces.decode_if_whole(found[0]) if found else None
                now = _completed(kept, trace) if kept else trace
                connection.execute(_KEEP, (*row, blob(trace.session), _traces.encode(now)))
            if trims:
                connection.execute(_TRIM, {"tenant": row[0], "limit": self._limit})

        if not await self._database.offer(job):
            self.dropped += 1
            if self.dropped % _WARN_EVERY == 1:
                log.warning("the disk does not keep up: %d traces dropped so far", self.dropped)
            return
        self._kept[trace.scope.tenant] += 1
        self._told[trace.scope.tenant, trace.id] = None
        while len(self._told) > _LATEST:
            self._told.popitem(last=False)

    async def latest(self, scope: Scope, session: str | None, limit: int) -> list[Trace]:
        """Latest first. Asked in the writer's queue, so that a trace just kept is found."""
        statement = "SELECT body FROM traces WHERE tenant = ? AND user = ?"
        values: tuple[Any, ...] = who(scope)
        if session is not None:
            statement, values = statement + " AND session = ?", (*values, blob(session))
        statement += " ORDER BY number DESC LIMIT ?"
        rows: list[Any] = await self._database.write(lambda c: c.execute(statement, (*values, limit)).fetchall())
        return [trace for row in rows if (trace := _traces.decode_if_whole(row[0]))]

    async def find(self, tenant: str, id: str) -> Trace | None:
        """One by its id. Asked in the writer's queue as well."""
        statement = "SELECT body FROM traces WHERE tenant = ? AND id = ?"
        row = await self._database.write(lambda c: c.execute(statement, (blob(tenant), blob(id))).fetchone())
        return _traces.decode(row[0]) if row else None

    async def erase(self, scope: Scope, gone: frozenset[str]) -> None:
        """Remove the traces of these turns, and the text of these memories from all others."""

        def job(connection: sqlite3.Connection) -> None:
            for number, body in connection.execute(_OF, who(scope)).fetchall():
                trace = _traces.decode_if_whole(body)
                if trace is None or trace.turn in gone:  # of a damaged one nobody knows what text it holds
                    connection.execute(_REMOVE, (number,))
                    continue
                hits = tuple(hit for hit in trace.hits if not gone & {hit.memory.id, *hit.memory.sources})
                if len(hits) < len(trace.hits):
                    bare = _traces.encode(replace(trace, hits=hits, injected=""))
                    connection.execute("UPDATE traces SET body = ? WHERE number = ?", (bare, number))

        await self._database.write(job)

    async def expire(self, scope: Scope, before: float) -> int:
        """Remove those from before that moment; how many. A few at a time: others wait for the threads, too."""
        after, gone = 0, 0
        while True:
            rows = await self._database.read(select(_FROM, *who(scope), after, _LOOKED_AT))
            old = [(number,) for number, body in rows if (said := _said.decode_if_whole(body)) and said.at < before]
            if old:
                gone += await self._database.write(change(_REMOVE, old))
            if len(rows) < _LOOKED_AT:
                return gone
            after = rows[-1][0]


def _completed(kept: Trace, told: Trace) -> Trace:
    """What is told now, but of its hits only those that the kept one still has."""
    left = {hit.memory.id for hit in kept.hits}
    if all(hit.memory.id in left for hit in told.hits):
        return told
    return replace(told, hits=kept.hits, injected=kept.injected)
