"""The journal over SQLite. Keeps turns as they are told; never judges them."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import orjson

from gateway.errors import BadRequest
from gateway.memory.records import Dead, Lag, Page, Scope, Turn
from gateway.memory.stores.sqlite.database import Database
from gateway.memory.stores.sqlite.schema import who

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Turn).decode

_APPEND = """
INSERT INTO turns (tenant, user, id, body, since) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (tenant, user, id) DO UPDATE SET
    body = excluded.body, state = 'pending', revision = revision + 1, attempts = 0, due = 0, error = ''
RETURNING seq
"""
_CLAIM = "SELECT seq, body, revision FROM turns WHERE state = 'pending' AND due <= ? ORDER BY seq LIMIT ?"
_DONE = "UPDATE turns SET state = 'done' WHERE seq = ? AND revision = ? AND state = 'pending'"
_FAIL = """
UPDATE turns SET attempts = attempts + 1, error = ?, due = ?,
    state = CASE WHEN attempts + 1 >= ? THEN 'dead' ELSE 'pending' END
WHERE seq = ? AND state = 'pending' RETURNING state
"""
_PENDING = "SELECT seq, body FROM turns WHERE tenant = ? AND user = ? AND state <> 'done' ORDER BY seq DESC LIMIT ?"
_DEAD = "SELECT seq, body, attempts, error FROM turns WHERE state = 'dead' AND seq > ? ORDER BY seq LIMIT ?"
_REPLAY = "UPDATE turns SET state = 'pending', attempts = 0, due = 0 WHERE state = 'dead'"
_REPLAY_THESE = f"{_REPLAY} AND id IN (SELECT value FROM json_each(?))"  # noqa: S608  # both halves are literals
_TURNS = "SELECT seq, id, body FROM turns WHERE tenant = ? AND user = ? AND id IN (SELECT value FROM json_each(?))"
_ERASE = "DELETE FROM turns WHERE tenant = ? AND user = ? AND id IN (SELECT value FROM json_each(?))"
_LAG = "SELECT state, count(*), min(since) FROM turns WHERE state <> 'done' GROUP BY state"


class SqliteJournal:
    """See ports.Journal. `clock` gives seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._claimed: dict[int, int] = {}  # seq → revision, so that a turn replaced meanwhile is not marked done

    async def append(self, turn: Turn) -> int:
        row = (*who(turn.scope), turn.id, _encode(turn), self._clock())
        return await self._database.write(lambda c: int(c.execute(_APPEND, row).fetchone()[0]))

    async def claim(self, limit: int) -> list[Turn]:
        rows = await self._database.read(lambda c: c.execute(_CLAIM, (self._clock(), limit)).fetchall())
        self._claimed.update((seq, revision) for seq, _, revision in rows)
        return [_turn(seq, body) for seq, body, _ in rows]

    async def done(self, turns: Sequence[Turn]) -> None:
        rows = [(turn.seq, self._claimed.pop(turn.seq, 0)) for turn in turns]
        if rows:
            await self._database.write(lambda c: c.executemany(_DONE, rows))

    async def fail(self, turn: Turn, error: str, *, attempts: int, delay: float) -> bool:
        self._claimed.pop(turn.seq, None)
        row = (error, self._clock() + delay, attempts, turn.seq)
        found = await self._database.write(lambda c: c.execute(_FAIL, row).fetchone())
        return bool(found and found[0] == "dead")

    async def pending(self, scope: Scope, limit: int = 50) -> list[Turn]:
        rows = await self._database.read(lambda c: c.execute(_PENDING, (*who(scope), limit)).fetchall())
        return [_turn(seq, body) for seq, body in rows]

    async def turns(self, scope: Scope, ids: Sequence[str]) -> list[Turn]:
        found = await self._database.read(lambda c: _by_id(c, scope, ids))
        return [found[id] for id in ids if id in found]

    async def dead(self, *, cursor: str | None = None, limit: int = 50) -> Page[Dead]:
        after = _after(cursor)
        rows = await self._database.read(lambda c: c.execute(_DEAD, (after, limit + 1)).fetchall())
        letters = tuple(Dead(_turn(seq, body), attempts, error) for seq, body, attempts, error in rows[:limit])
        return Page(letters, str(rows[limit - 1][0]) if len(rows) > limit else None)

    async def replay(self, ids: Sequence[str]) -> int:
        if ids:
            return await self._database.write(lambda c: c.execute(_REPLAY_THESE, (_list(ids),)).rowcount)
        return await self._database.write(lambda c: c.execute(_REPLAY).rowcount)

    async def lag(self) -> Lag:
        rows = await self._database.read(lambda c: c.execute(_LAG).fetchall())
        counts = {state: (count, since) for state, count, since in rows}
        pending, since = counts.get("pending", (0, self._clock()))
        return Lag(pending, counts.get("dead", (0, 0))[0], max(self._clock() - since, 0.0) if pending else 0.0)

    async def erase(self, scope: Scope, ids: Sequence[str]) -> int:
        return await self._database.write(lambda c: c.execute(_ERASE, (*who(scope), _list(ids))).rowcount)

    async def forget(self, scope: Scope) -> int:
        statement = "DELETE FROM turns WHERE tenant = ? AND user = ?"
        count = await self._database.write(lambda c: c.execute(statement, who(scope)).rowcount)
        await self._database.scrub()
        return count

    async def ping(self) -> None:
        await self._database.read(lambda c: c.execute("SELECT 1").fetchone())


def _turn(seq: int, body: bytes) -> Turn:
    return replace(_decode(body), seq=seq)


def _by_id(connection: sqlite3.Connection, scope: Scope, ids: Sequence[str]) -> dict[str, Turn]:
    rows: list[Any] = connection.execute(_TURNS, (*who(scope), _list(ids))).fetchall()
    return {id: _turn(seq, body) for seq, id, body in rows}


def _list(ids: Sequence[str]) -> str:
    return orjson.dumps(list(ids)).decode()


def _after(cursor: str | None) -> int:
    try:
        return int(cursor or 0)
    except ValueError:
        raise BadRequest("The cursor is not one that this list gave out.", param="cursor") from None
