"""The agenda over SQLite: turns that are to be thought about, and what came of them. Keeps them; never judges them.

A user stands in `agenda` as long as they have due turns or unfinished reflections. Until then they can be claimed: who
died in the middle of a reflection leaves it to the next, though none of its turns is due any more.
"""

import logging
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from gateway.memory.records import Page, Scope
from gateway.memory.reflections import Due, Reflection, Spent
from gateway.memory.stores import cursors
from gateway.memory.stores.codec import Codec, blob, text
from gateway.memory.stores.rests import rests_on
from gateway.memory.stores.sqlite.database import Database
from gateway.memory.stores.sqlite.schema import who

log = logging.getLogger(__name__)

_reflections = Codec(Reflection)
_LARGEST = 2**63 - 1

_ADD = """
INSERT INTO dues (tenant, user, turn, seq, policy, stamp) SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE NOT EXISTS (SELECT 1 FROM thought WHERE tenant = ?1 AND user = ?2 AND turn = ?3 AND stamp = ?6)
ON CONFLICT (tenant, user, turn) DO UPDATE SET seq = excluded.seq, policy = excluded.policy, stamp = excluded.stamp
"""
_SCHEDULE = """
INSERT INTO agenda (tenant, user, at) VALUES (?, ?, ?)
ON CONFLICT (tenant, user) DO UPDATE SET at = max(excluded.at, lease)
"""
_WAKE = "UPDATE agenda SET at = ?, lease = 0 WHERE tenant = ? AND user = ?"
_CLAIM = """
UPDATE agenda SET at = :until, lease = :until WHERE (tenant, user) =
    (SELECT tenant, user FROM agenda WHERE at <= :now ORDER BY at, tenant, user LIMIT 1)
RETURNING tenant, user
"""
_RELEASE = "UPDATE agenda SET at = 0, lease = 0 WHERE lease > 0"
_DUE = "SELECT turn, seq, policy, stamp FROM dues WHERE tenant = ? AND user = ? ORDER BY seq, turn LIMIT ?"
_IS_DUE = "SELECT stamp FROM dues WHERE tenant = ? AND user = ? AND turn = ?"
_HOW_MANY_DUE = "SELECT count(*) FROM dues WHERE tenant = ? AND user = ?"
_THOUGHT = """
INSERT INTO thought (tenant, user, turn, stamp)
SELECT tenant, user, turn, stamp FROM dues WHERE tenant = ? AND user = ? AND turn = ?
ON CONFLICT (tenant, user, turn) DO UPDATE SET stamp = excluded.stamp
"""
_DROP = "DELETE FROM dues WHERE tenant = ? AND user = ? AND turn = ?"
_UNTHINK = "DELETE FROM thought WHERE tenant = ? AND user = ? AND turn = ?"
_TRIED = "UPDATE agenda SET tries = tries + 1 WHERE tenant = ? AND user = ? RETURNING tries"
_BEGIN_ANEW = "UPDATE agenda SET tries = 0 WHERE tenant = ? AND user = ?"
_STAND = "INSERT INTO agenda (tenant, user, at) VALUES (?, ?, ?) ON CONFLICT (tenant, user) DO NOTHING"
_LEAVE = """
DELETE FROM agenda WHERE tenant = :tenant AND user = :user
    AND NOT EXISTS (SELECT 1 FROM dues WHERE tenant = :tenant AND user = :user)
    AND NOT EXISTS (SELECT 1 FROM reflections WHERE tenant = :tenant AND user = :user AND intended)
"""
_KEEP = "INSERT INTO reflections (tenant, user, id, intended, body) VALUES (?, ?, ?, ?, ?) RETURNING number"
_REPLACE = "UPDATE reflections SET intended = ?, body = ? WHERE number = ?"
_REST = "INSERT INTO rests (tenant, user, source, number) VALUES (?, ?, ?, ?)"
_NUMBER = "SELECT number FROM reflections WHERE tenant = ? AND user = ? AND id = ?"
_RESTING = "SELECT number FROM rests WHERE tenant = ? AND user = ? AND source = ?"
_UNREST = "DELETE FROM rests WHERE number = ?"
_UNKEEP = "DELETE FROM reflections WHERE number = ?"
_UNFINISHED = "SELECT number, body FROM reflections WHERE tenant = ? AND user = ? AND intended ORDER BY number"
_REFLECTION = "SELECT body FROM reflections WHERE tenant = ? AND user = ? AND id = ?"
_REFLECTIONS = """
SELECT number, body FROM reflections WHERE tenant = ? AND user = ? AND number < ? ORDER BY number DESC LIMIT ?
"""
_SPEND = """
INSERT INTO spending (day, tenant, calls, tokens) VALUES (?, ?, ?, ?)
ON CONFLICT (day, tenant) DO UPDATE SET calls = calls + excluded.calls, tokens = tokens + excluded.tokens
RETURNING calls, tokens
"""
_SPENT = "SELECT calls, tokens FROM spending WHERE day = ? AND tenant = ?"
_LONG_AGO = "DELETE FROM spending WHERE day < date(?, '-8 days')"
_COUNT = """
SELECT (SELECT count(*) FROM (SELECT turn FROM dues WHERE tenant = :tenant AND user = :user
        UNION SELECT turn FROM thought WHERE tenant = :tenant AND user = :user))
    + (SELECT count(*) FROM reflections WHERE tenant = :tenant AND user = :user)
"""
_FORGET = (
    "DELETE FROM agenda WHERE tenant = ? AND user = ?",
    "DELETE FROM dues WHERE tenant = ? AND user = ?",
    "DELETE FROM thought WHERE tenant = ? AND user = ?",
    "DELETE FROM rests WHERE tenant = ? AND user = ?",
    "DELETE FROM reflections WHERE tenant = ? AND user = ?",
)


class SqliteAgenda:
    """See thinking.Agenda."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, scope: Scope, dues: Sequence[Due], at: float) -> int:
        rows = [(*who(scope), blob(due.turn), due.seq, blob(due.policy), blob(due.stamp)) for due in dues]

        def job(connection: Connection) -> int:
            if connection.executemany(_ADD, rows).rowcount > 0:
                connection.execute(_SCHEDULE, (*who(scope), at))
            return int(connection.execute(_HOW_MANY_DUE, who(scope)).fetchone()[0])

        return await self._database.write(job)

    async def wake(self, scope: Scope, at: float) -> None:
        await self._database.write(lambda c: c.execute(_WAKE, (at, *who(scope))))

    async def claim(self, now: float, lease: float) -> Scope | None:
        times = {"now": now, "until": now + lease}
        row = await self._database.write(lambda c: c.execute(_CLAIM, times).fetchone())
        return Scope(text(row[0]), text(row[1])) if row else None

    async def release(self) -> None:
        """Nobody has claimed anybody: for whoever has just opened the file, and alone uses it."""
        await self._database.write(lambda c: c.execute(_RELEASE))

    async def due(self, scope: Scope, limit: int) -> list[Due]:
        rows = await self._database.read(lambda c: c.execute(_DUE, (*who(scope), limit)).fetchall())
        return [Due(text(turn), seq, text(policy), text(stamp)) for turn, seq, policy, stamp in rows]

    async def drop(self, scope: Scope, turns: Sequence[str]) -> None:
        keys = _keys(scope, turns)

        def job(connection: Connection) -> None:
            connection.executemany(_DROP, keys)
            _leave(connection, scope)

        await self._database.write(job)

    async def tried(self, scope: Scope) -> int:
        row = await self._database.write(lambda c: c.execute(_TRIED, who(scope)).fetchone())
        return int(row[0]) if row else 0

    async def intend(self, scope: Scope, reflection: Reflection, stamps: Sequence[str] = ()) -> bool:
        keys, id, body = _keys(scope, reflection.turns), blob(reflection.id), _reflections.encode(reflection)
        intended, under = reflection.state == "intended", [blob(stamp) for stamp in stamps]

        def job(connection: Connection) -> bool:
            due = [connection.execute(_IS_DUE, key).fetchone() for key in keys]
            if None in due or (under and [stamp for (stamp,) in due] != under):
                return False
            connection.executemany(_THOUGHT, keys)
            connection.executemany(_DROP, keys)
            connection.execute(_BEGIN_ANEW, who(scope))
            _unkeep(connection, connection.execute(_NUMBER, (*who(scope), id)).fetchall())
            (number,) = connection.execute(_KEEP, (*who(scope), id, intended, body)).fetchone()
            _rest(connection, scope, reflection, number)
            return True

        return await self._database.write(job)

    async def conclude(self, scope: Scope, reflection: Reflection) -> None:
        id, body = blob(reflection.id), _reflections.encode(reflection)
        intended = reflection.state == "intended"

        def job(connection: Connection) -> None:
            if found := connection.execute(_NUMBER, (*who(scope), id)).fetchone():
                connection.execute(_REPLACE, (intended, body, *found))
                connection.execute(_UNREST, found)
                _rest(connection, scope, reflection, *found)

        await self._database.write(job)

    async def unfinished(self, scope: Scope) -> list[Reflection]:
        rows = await self._database.read(lambda c: c.execute(_UNFINISHED, who(scope)).fetchall())
        found = [(number, _reflections.decode_if_whole(body)) for number, body in rows]
        if damaged := [(number,) for number, reflection in found if reflection is None]:
            log.error("%d unfinished reflections are damaged; they are removed", len(damaged))
            await self._database.write(lambda c: _bury(c, scope, damaged))
        return [reflection for _, reflection in found if reflection]

    async def reflection(self, scope: Scope, id: str) -> Reflection | None:
        row = await self._database.read(lambda c: c.execute(_REFLECTION, (*who(scope), blob(id))).fetchone())
        return _reflections.decode(row[0]) if row else None

    async def reflections(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Reflection]:
        asked = (*who(scope), _LARGEST if cursor is None else cursors.number(cursor), limit + 1)
        rows = await self._database.read(lambda c: c.execute(_REFLECTIONS, asked).fetchall())
        found = tuple(kept for _, body in rows[:limit] if (kept := _reflections.decode_if_whole(body)))
        return Page(found, str(rows[limit - 1][0]) if len(rows) > limit else None)

    async def erase(self, scope: Scope, turns: Sequence[str]) -> int:
        keys = _keys(scope, turns)

        def job(connection: Connection) -> int:
            resting = {number for key in keys for number in connection.execute(_RESTING, key)}
            connection.executemany(_DROP, keys)
            connection.executemany(_UNTHINK, keys)
            _bury(connection, scope, [*resting])
            return len(resting)

        return await self._database.write(job)

    async def spend(self, tenant: str, day: str, spent: Spent) -> Spent:
        row = (day, blob(tenant), spent.calls, spent.tokens)

        def job(connection: Connection) -> Spent:
            connection.execute(_LONG_AGO, (day,))
            return Spent(*connection.execute(_SPEND, row).fetchone())

        return await self._database.write(job)

    async def spent(self, tenant: str, day: str) -> Spent:
        row = await self._database.read(lambda c: c.execute(_SPENT, (day, blob(tenant))).fetchone())
        return Spent(*row) if row else Spent()

    async def waiting(self) -> int:
        return await self._database.read(lambda c: int(c.execute("SELECT count(*) FROM dues").fetchone()[0]))

    async def count(self, scope: Scope) -> int:
        return await self._database.write(lambda c: _count(c, scope))

    async def forget(self, scope: Scope) -> int:
        def job(connection: Connection) -> int:
            count = _count(connection, scope)
            for statement in _FORGET:
                connection.execute(statement, who(scope))
            return count

        count = await self._database.write(job)
        await self._database.scrub()
        return count

    async def ping(self) -> None:
        await self._database.read(lambda c: c.execute("SELECT 1").fetchone())


def _keys(scope: Scope, turns: Sequence[str]) -> list[tuple[bytes, bytes, bytes]]:
    """One per turn and no turn twice."""
    return [(*who(scope), blob(turn)) for turn in dict.fromkeys(turns)]


def _named(scope: Scope) -> dict[str, bytes]:
    tenant, user = who(scope)
    return {"tenant": tenant, "user": user}


def _count(connection: Connection, scope: Scope) -> int:
    return int(connection.execute(_COUNT, _named(scope)).fetchone()[0])


def _rest(connection: Connection, scope: Scope, reflection: Reflection, number: int) -> None:
    """On what it rests; and whether its user stands on the agenda."""
    sources = sorted(map(blob, rests_on(reflection)))
    connection.executemany(_REST, [(*who(scope), source, number) for source in sources])
    if reflection.state == "intended":
        connection.execute(_STAND, (*who(scope), reflection.at))
    else:
        _leave(connection, scope)


def _leave(connection: Connection, scope: Scope) -> None:
    """Where nothing is left to be done about the user."""
    connection.execute(_LEAVE, _named(scope))


def _unkeep(connection: Connection, numbers: Sequence[Any]) -> None:
    connection.executemany(_UNREST, numbers)
    connection.executemany(_UNKEEP, numbers)


def _bury(connection: Connection, scope: Scope, numbers: Sequence[Any]) -> None:
    _unkeep(connection, numbers)
    _leave(connection, scope)
