"""The journal over SQLite. Keeps turns as they are told; never judges them."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from gateway.memory.records import Dead, Kept, Lag, Page, Scope, Turn
from gateway.memory.stores import cursors
from gateway.memory.stores.codec import Codec, Said, blob, text
from gateway.memory.stores.sqlite.database import Database, change, select
from gateway.memory.stores.sqlite.forgotten import Forgotten
from gateway.memory.stores.sqlite.holds import Holds
from gateway.memory.stores.sqlite.schema import who

log = logging.getLogger(__name__)

_turns, _said = Codec(Turn), Codec(Said)
_LOOKED_AT = 512  # turns at once: others wait for the thread that reads
_DAMAGED = "The stored turn is damaged; what it said is lost."

_APPEND = """
INSERT INTO turns (tenant, user, id, body, since) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (tenant, user, id) DO UPDATE SET
    since = CASE state WHEN 'pending' THEN since ELSE excluded.since END,
    body = excluded.body, state = 'pending', revision = revision + 1, attempts = 0, due = 0, error = ''
RETURNING seq
"""
_CLAIM = """
SELECT seq, body, revision, tenant, user FROM turns
WHERE state = 'pending' AND due <= ? AND seq > ? ORDER BY seq LIMIT ?
"""
_BURY = "UPDATE turns SET state = 'dead', error = ? WHERE seq = ? AND revision = ? AND state = 'pending'"
_DONE = "UPDATE turns SET state = 'done' WHERE seq = ? AND revision = ? AND state = 'pending'"
_FAIL = """
UPDATE turns SET attempts = attempts + 1, error = ?, due = ?,
    state = CASE WHEN attempts + 1 >= ? THEN 'dead' ELSE 'pending' END
WHERE seq = ? AND revision = ? AND state = 'pending' RETURNING state
"""
# The user's numbers come from an index, and then as many turns as are asked for.
_KEPT = """
SELECT state, error, attempts, seq, body, tenant, user, id FROM turns WHERE seq IN (
    SELECT seq FROM turns WHERE tenant = ? AND user = ? AND seq > ? ORDER BY seq LIMIT ?) ORDER BY seq
"""
# One by one: a list of them all would be looked for among all their turns.
_NEXT_USER = "SELECT tenant, user FROM turns WHERE (tenant, user) > (?, ?) ORDER BY tenant, user LIMIT 1"
_PUT_BACK = """
INSERT INTO turns (seq, tenant, user, id, body, state, attempts, since, error) SELECT
    CASE WHEN :seq < 1 OR EXISTS (SELECT 1 FROM turns WHERE seq = :seq) THEN NULL ELSE :seq END,
    :tenant, :user, :id, :body, :state, :attempts, :since, :error
WHERE NOT EXISTS (SELECT 1 FROM turns WHERE tenant = :tenant AND user = :user AND id = :id)
"""
_INDEXED = """
SELECT id, body, seq, revision FROM turns WHERE tenant = ? AND user = ? AND state = 'done' AND id > ?
ORDER BY id LIMIT ?
"""
_EXPIRE = "DELETE FROM turns WHERE seq = ? AND revision = ? AND state = 'done'"
_PENDING = "SELECT seq, body FROM turns WHERE tenant = ? AND user = ? AND state <> 'done' ORDER BY seq DESC LIMIT ?"
_DEAD = """
SELECT seq, body, tenant, user, id, attempts, error FROM turns WHERE state = 'dead' AND seq > ? ORDER BY seq LIMIT ?
"""
_REPLAY = "UPDATE turns SET state = 'pending', attempts = 0, due = 0 WHERE state = 'dead'"
_REPLAY_THIS = f"{_REPLAY} AND id = ?"
_TURN = "SELECT seq, body, tenant, user, id FROM turns WHERE tenant = ? AND user = ? AND id = ?"
_ERASE = "DELETE FROM turns WHERE tenant = ? AND user = ? AND id = ?"
_LAG = "SELECT state, count(*), min(since) FROM turns WHERE state <> 'done' GROUP BY state"


class SqliteJournal:
    """See ports.Journal. `clock` gives seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._holds = Holds()  # and what was claimed, so that a turn replaced meanwhile is not marked done
        self._forgotten = Forgotten()

    async def append(self, turn: Turn, began: float | None = None) -> int:
        row = (*who(turn.scope), blob(turn.id), _turns.encode(turn), self._clock())

        def job(connection: Connection) -> int:
            if self._forgotten.outlived(turn.scope, began):
                return 0
            return int(connection.execute(_APPEND, row).fetchone()[0])

        return await self._database.write(job)

    async def claim(self, limit: int) -> list[Turn]:
        self._holds.let_go()
        turns, damaged = [], []
        for seq, body, revision, tenant, user in await self._due(limit):
            if turn := _turn(seq, body):
                self._holds.claim(seq, Scope(text(tenant), text(user)), revision)
                turns.append(turn)
            else:
                damaged.append((_DAMAGED, seq, revision))
        if not damaged:
            return turns
        log.error("%d turns in the journal are damaged; they are dead letters now", len(damaged))
        await self._database.write(lambda c: c.executemany(_BURY, damaged))
        return turns or await self.claim(limit)  # none would mean that nothing waits

    async def done(self, turns: Sequence[Turn]) -> None:
        rows = [(turn.seq, self._holds.settle(turn.seq)) for turn in turns]
        if rows:
            await self._database.write(lambda c: c.executemany(_DONE, rows))

    async def fail(self, turn: Turn, error: str, *, attempts: int, delay: float) -> bool:
        safe = error.encode("utf-8", "backslashreplace").decode()
        row = (safe, self._clock() + delay, attempts, turn.seq, self._holds.settle(turn.seq))
        found = await self._database.write(lambda c: c.execute(_FAIL, row).fetchone())
        return bool(found and found[0] == "dead")

    def hold(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        return self._holds.hold(scope)

    async def pending(self, scope: Scope, limit: int = 50) -> list[Turn]:
        rows = await self._database.read(lambda c: c.execute(_PENDING, (*who(scope), limit)).fetchall())
        return [turn for seq, body in rows if (turn := _turn(seq, body))]

    async def turns(self, scope: Scope, ids: Sequence[str]) -> list[Turn]:
        keys = _keys(scope, ids)
        rows = await self._database.read(lambda c: [row for key in keys for row in c.execute(_TURN, key)])
        return [_turn_or_shell(*row) for row in rows]

    async def scopes(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[Scope]:
        whose = None if tenant is None else blob(tenant)
        # A text stands before every id, also the empty one.
        after = ("" if whose is None else whose, "") if cursor is None else cursors.pair(cursor)
        rows = await self._database.read(lambda c: _users(c, whose, after, limit + 1))
        found = tuple(Scope(text(tenant), text(user)) for tenant, user in rows[:limit])
        return Page(found, cursors.of_pair(*rows[limit - 1]) if len(rows) > limit else None)

    async def kept(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Kept]:
        rows = await self._database.read(select(_KEPT, *who(scope), cursors.number(cursor), limit + 1))
        found = tuple(Kept(_turn_or_shell(*row), state, error, tries) for state, error, tries, *row in rows[:limit])
        return Page(found, str(found[-1].turn.seq) if len(rows) > limit else None)

    async def put_back(self, scope: Scope, kept: Sequence[Kept]) -> None:
        rows = [_row(scope, each, self._clock()) for each in kept]
        await self._database.write(lambda c: c.executemany(_PUT_BACK, rows))

    async def dead(self, *, cursor: str | None = None, limit: int = 50) -> Page[Dead]:
        after = cursors.number(cursor)
        rows = await self._database.read(lambda c: c.execute(_DEAD, (after, limit + 1)).fetchall())
        letters = tuple(Dead(_turn_or_shell(*row), attempts, error) for *row, attempts, error in rows[:limit])
        return Page(letters, str(rows[limit - 1][0]) if len(rows) > limit else None)

    async def replay(self, ids: Sequence[str]) -> int:
        if ids:
            keys = [(blob(id),) for id in dict.fromkeys(ids)]
            return await self._database.write(lambda c: c.executemany(_REPLAY_THIS, keys).rowcount)
        return await self._database.write(lambda c: c.execute(_REPLAY).rowcount)

    async def lag(self) -> Lag:
        rows = await self._database.read(lambda c: c.execute(_LAG).fetchall())
        counts = {state: (count, since) for state, count, since in rows}
        pending, since = counts.get("pending", (0, self._clock()))
        return Lag(pending, counts.get("dead", (0, 0))[0], max(self._clock() - since, 0.0) if pending else 0.0)

    async def count(self, scope: Scope) -> int:
        statement = "SELECT count(*) FROM turns WHERE tenant = ? AND user = ?"
        return await self._database.write(lambda c: int(c.execute(statement, who(scope)).fetchone()[0]))

    async def erase(self, scope: Scope, ids: Sequence[str]) -> int:
        keys = _keys(scope, ids)
        return await self._database.write(lambda c: c.executemany(_ERASE, keys).rowcount) if keys else 0

    async def expire(self, scope: Scope, before: float, *, sparing: Collection[str] = ()) -> int:
        spared, gone = {*map(blob, sparing)}, 0
        after: str | bytes = ""  # see scopes
        while True:
            rows = await self._database.read(select(_INDEXED, *who(scope), after, _LOOKED_AT))
            due = [row[2:] for row in rows if row[0] not in spared and _is_from_before(row[1], before)]
            if due:
                gone += await self._database.write(change(_EXPIRE, due))
            if len(rows) < _LOOKED_AT:
                return gone
            after = rows[-1][0]

    async def forget(self, scope: Scope) -> int:
        statement = "DELETE FROM turns WHERE tenant = ? AND user = ?"
        self._forgotten.stamp(scope)
        count = await self._database.write(lambda c: c.execute(statement, who(scope)).rowcount)
        await self._database.scrub()
        return count

    async def copy(self, path: Path) -> int:
        """Copy the database that the journal is in to a new file; how many turns the copy holds."""
        return await self._database.copy(path, lambda c: int(c.execute("SELECT count(*) FROM turns").fetchone()[0]))

    async def ping(self) -> None:
        await self._database.read(lambda c: c.execute("SELECT 1").fetchone())

    async def _due(self, limit: int) -> list[Any]:
        """Rows of the oldest due turns whose users nobody holds, or waits to hold, when this returns."""
        found: list[Any] = []
        after, now = 0, self._clock()
        while True:
            rows = await self._database.read(select(_CLAIM, now, after, limit))
            found = [row for row in (*found, *rows) if self._holds.gives(Scope(text(row[3]), text(row[4])))]
            if len(found) >= limit or len(rows) < limit:
                return found[:limit]
            after = rows[-1][0]


def _turn(seq: int, body: bytes) -> Turn | None:
    turn = _turns.decode_if_whole(body)
    return replace(turn, seq=seq) if turn else None


def _turn_or_shell(seq: int, body: bytes, tenant: bytes, user: bytes, id: bytes) -> Turn:
    """Of a damaged turn what the columns know: whose it is, so that it can be shown and erased."""
    shell = Turn(text(id), Scope(text(tenant), text(user)), "", "", 0.0, "", "", seq=seq)
    return _turn(seq, body) or shell


def _keys(scope: Scope, ids: Sequence[str]) -> list[tuple[bytes, bytes, bytes]]:
    """One per id and no id twice."""
    return [(*who(scope), blob(id)) for id in dict.fromkeys(ids)]


def _users(connection: Connection, tenant: bytes | None, after: Any, count: int) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    while len(found) < count and (after := connection.execute(_NEXT_USER, after).fetchone()):
        if tenant not in (None, after[0]):
            break
        found.append(after)
    return found


def _row(scope: Scope, kept: Kept, now: float) -> dict[str, Any]:
    tenant, user = who(scope)
    error = kept.error.encode("utf-8", "backslashreplace").decode()
    body = _turns.encode(replace(kept.turn, scope=scope))
    told = {"seq": kept.turn.seq, "state": kept.state, "attempts": kept.attempts, "error": error, "since": now}
    return {**told, "tenant": tenant, "user": user, "id": blob(kept.turn.id), "body": body}


def _is_from_before(body: bytes, moment: float) -> bool:
    said = _said.decode_if_whole(body)
    return said is not None and said.at < moment
