"""Traces over SQLite: why each answer was as it was. The oldest go when a tenant has too many."""

import sqlite3
from asyncio import Future
from dataclasses import replace
from typing import Any

import msgspec

from gateway.memory.records import Scope, Trace
from gateway.memory.stores.sqlite.database import Database
from gateway.memory.stores.sqlite.schema import blob, who

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Trace).decode
_TRIM_EVERY = 256

_KEEP = """
INSERT INTO traces (tenant, user, id, session, turn, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body
"""
_OF = "SELECT number, turn, body FROM traces WHERE tenant = ? AND user = ?"
_TRIM = """
DELETE FROM traces WHERE tenant = :tenant AND number <= (
    SELECT number FROM traces WHERE tenant = :tenant ORDER BY number DESC LIMIT 1 OFFSET :limit)
"""


class Traces:
    """One tenant keeps `limit` traces, and at most a few hundred more for a while."""

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._kept = 0

    def keep(self, trace: Trace) -> Future[Any]:
        """Queue the trace; told again under the same id it is replaced."""
        self._kept += 1
        trims = self._kept % _TRIM_EVERY == 0
        row = (*who(trace.scope), trace.id, blob(trace.session), trace.turn, _encode(trace))

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(_KEEP, row)
            if trims:
                connection.execute(_TRIM, {"tenant": row[0], "limit": self._limit})

        return self._database.write_soon(job)

    async def latest(self, scope: Scope, session: str | None, limit: int) -> list[Trace]:
        """Latest first."""
        statement = "SELECT body FROM traces WHERE tenant = ? AND user = ?"
        values: tuple[Any, ...] = who(scope)
        if session is not None:
            statement, values = statement + " AND session = ?", (*values, blob(session))
        statement += " ORDER BY number DESC LIMIT ?"
        rows: list[Any] = await self._database.write(lambda c: c.execute(statement, (*values, limit)).fetchall())
        return [_decode(row[0]) for row in rows]

    async def find(self, tenant: str, id: str) -> Trace | None:
        """One by its id. Asked in the writer's queue, so that a trace just kept is found."""
        statement = "SELECT body FROM traces WHERE tenant = ? AND id = ?"
        row = await self._database.write(lambda c: c.execute(statement, (blob(tenant), id)).fetchone())
        return _decode(row[0]) if row else None

    async def erase(self, scope: Scope, gone: frozenset[str]) -> None:
        """Remove the traces of these turns, and the text of these memories from all others."""

        def job(connection: sqlite3.Connection) -> None:
            for number, turn, body in connection.execute(_OF, who(scope)).fetchall():
                trace = _decode(body)
                hits = tuple(hit for hit in trace.hits if not gone & {hit.memory.id, *hit.memory.sources})
                if turn in gone:
                    connection.execute("DELETE FROM traces WHERE number = ?", (number,))
                elif len(hits) < len(trace.hits):
                    bare = _encode(replace(trace, hits=hits, injected=""))
                    connection.execute("UPDATE traces SET body = ? WHERE number = ?", (bare, number))

        await self._database.write(job)
