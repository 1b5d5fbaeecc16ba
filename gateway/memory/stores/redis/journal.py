"""The journal over Redis, for many gateways and many writers. Keeps turns as they are told; never judges them.

Who indexes what. A consumer group gives each entry of a stream to one consumer. So an entry is not a turn but a user
who has turns that are due, and no user is in the stream twice: whoever was given the entry has the user, and nobody
else is given a turn of theirs until it is settled. That is the whole order: within a user by running number and by one
writer at a time; among users the oldest turns first; and no partition in which a slow user could hold up others.

What a dead writer had. The group knows for how long an entry has not been touched. A live writer touches its own while
it works; one that was killed does not, and after `lease` seconds XAUTOCLAIM gives its users, all their turns with them,
to the next who claims. Nothing else must be cleaned up: the turns were pending all the time, and a turn is marked done
only at the revision that was indexed. A writer that was only slow may then index a turn again, to the same effect.

Why not a turn per entry: two turns of a user would go to two writers. Why not streams per partition with a lock:
writers that fill their batches with the oldest turns would lock nearly all of them, and wait for each other.

Who else changes a user's memories holds the user meanwhile, see holds.py: then they stand in no line, and no writer is
given their turns.

What is settled leaves the stream (XACK, XDEL), so its length is the number of users who wait, and it is never trimmed.
Every change is one script, so a process that dies in the middle leaves it whole. Redis writes its append-only file
before it replies, but for the moments in which `appendfsync everysec` is syncing: where Redis itself may be killed, set
`appendfsync always`.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Dead, Kept, Lag, Page, Scope, Turn
from gateway.memory.stores import codec, cursors
from gateway.memory.stores.codec import Codec
from gateway.memory.stores.redis import forgotten, keys
from gateway.memory.stores.redis import journal_lists as lists
from gateway.memory.stores.redis import journal_scripts as scripts
from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.evidence import Evidence
from gateway.memory.stores.redis.holds import POLL, Holds
from gateway.memory.stores.redis.outbox import Outbox, Row
from gateway.memory.stores.redis.stored import shell, turn_or_shell
from gateway.memory.stores.redis.stored import turn as read

log = logging.getLogger(__name__)

_turns = Codec(Turn)
_DAMAGED = "The stored turn is damaged; what it said is lost."
_LEASE = 30.0
_USERS = 32
"""Looked at per claim, at least: among so many the oldest turns come first."""
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Claim:
    who: bytes
    id: bytes
    revision: int


class RedisJournal:
    """See ports.Journal. Made by `open`. `clock` gives seconds since the epoch, to all processes alike."""

    def __init__(self, connection: Connection, clock: Callable[[], float], lease: float) -> None:
        self._connection = connection
        self._clock = clock
        self._lease = lease
        self._base = keys.journal(connection.prefix)
        self._writer = uuid.uuid4().hex
        self._claimed: dict[int, _Claim] = {}  # by seq; so that a turn replaced meanwhile is not marked done
        self._outbox = Outbox(self._send)
        self._holds = Holds(connection, self._base, clock, lease)
        self._evidence = Evidence(connection, self._base, clock)
        self._forgotten: set[bytes] = set()  # users who are held and of whom nothing shall be left in files
        self._append = connection.durable(scripts.APPEND)
        self._claim = connection.script(scripts.CLAIM)
        self._done = connection.script(scripts.DONE)
        self._fail = connection.script(scripts.FAIL)
        self._renew = connection.script(scripts.RENEW)
        self._erase = connection.script(scripts.ERASE)
        self._pending = connection.script(lists.PENDING)
        self._letters = connection.script(lists.LETTERS)
        self._replay = connection.script(scripts.REPLAY)
        self._lag = connection.script(lists.LAG)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, connection: Connection, *, clock: Callable[[], float] = time.time, lease: float = _LEASE
    ) -> AsyncIterator["RedisJournal"]:
        """The journal of this connection's prefix. What a killed writer had is taken over after `lease` seconds; what
        this one has is let go at the end, when also the turns that still wait for Redis are tried once more."""
        journal = cls(connection, clock, lease)
        await connection.script(scripts.ARRIVE)(journal._base, int(lease * 1000))
        await journal._evidence.find_users()
        failed: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            sending, renewing = tasks.create_task(journal._outbox.run()), tasks.create_task(journal._renewing())
            try:
                yield journal
            except Exception as error:  # noqa: BLE001  # raised again below, as itself instead of inside a group
                failed = error
            finally:
                journal._outbox.close()
                await asyncio.wait({sending})
                renewing.cancel()
                await journal._depart()
        if failed is not None:
            raise failed

    async def append(self, turn: Turn, began: float | None = None) -> int:
        row = (keys.who(turn.scope), codec.blob(turn.id), _turns.encode(turn), repr(turn.at), began)
        return await self._outbox.put(row)

    async def claim(self, limit: int) -> list[Turn]:
        lease, window = int(self._lease * 1000), max(limit, _USERS)
        rows = await self._claim(self._base, self._clock(), self._writer, lease, limit, window)
        kept = {who for _, who, *_ in rows}  # the claim let all others go
        self._claimed = {seq: claim for seq, claim in self._claimed.items() if claim.who in kept}
        turns, damaged = [], []
        for seq, who, id, revision, body in rows:
            self._claimed[seq] = _Claim(who, id, revision)
            if turn := read(body):
                turns.append(turn)
            else:
                damaged.append(shell(seq, who, id))
        for lost in damaged:
            log.error("a turn in the journal is damaged; it is a dead letter now")
            await self.fail(lost, _DAMAGED, attempts=1, delay=0)
        return turns if turns or not damaged else await self.claim(limit)  # none would mean that nothing waits

    async def done(self, turns: Sequence[Turn]) -> None:
        found = [claim for turn in turns if (claim := self._claimed.pop(turn.seq, None))]
        rows = [part for claim in found for part in (claim.who, claim.id, claim.revision)]
        settled = {claim.who for claim in found} - self._held()
        await self._done(self._base, self._clock(), self._writer, len(found), *rows, *settled)

    async def fail(self, turn: Turn, error: str, *, attempts: int, delay: float) -> bool:
        claim = self._claimed.pop(turn.seq, None) or _Claim(keys.who(turn.scope), codec.blob(turn.id), 0)
        safe, settled = error.encode("utf-8", "backslashreplace"), int(claim.who not in self._held())
        row = (claim.who, claim.id, claim.revision, safe, attempts, delay, settled)
        return bool(await self._fail(self._base, self._clock(), self._writer, *row))

    @asynccontextmanager
    async def hold(self, scope: Scope) -> AsyncIterator[None]:
        who = keys.who(scope)
        try:
            async with self._holds.hold(who):
                yield
            if who in self._forgotten:
                await self._connection.scrub()  # only now, since letting go names the user once more
        finally:
            self._forgotten.discard(who)

    async def pending(self, scope: Scope, limit: int = 50) -> list[Turn]:
        bodies = await self._pending(self._base, keys.who(scope), limit)
        return [turn for body in bodies if (turn := read(body))]

    async def turns(self, scope: Scope, ids: Sequence[str]) -> list[Turn]:
        if not ids:
            await self._connection.ping()
            return []
        who, wanted = keys.who(scope), [*map(codec.blob, dict.fromkeys(ids))]
        bodies = await self._connection.call("HMGET", self._base + b"bodies:" + who, *wanted)
        return [turn_or_shell(body, who, id) for id, body in zip(wanted, bodies, strict=True) if body]

    async def scopes(self, *, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[Scope]:
        return await self._evidence.scopes(tenant, cursor, limit)

    async def kept(self, scope: Scope, *, cursor: str | None = None, limit: int = 50) -> Page[Kept]:
        return await self._evidence.kept(keys.who(scope), cursor, limit)

    async def put_back(self, scope: Scope, kept: Sequence[Kept]) -> None:
        await self._evidence.put_back(keys.who(scope), scope, kept)

    async def dead(self, *, cursor: str | None = None, limit: int = 50) -> Page[Dead]:
        rows = await self._letters(self._base, cursors.number(cursor), limit + 1)
        letters = tuple(
            Dead(turn_or_shell(body, who, id), tries, error.decode()) for _, who, id, body, tries, error in rows[:limit]
        )
        return Page(letters, str(rows[limit - 1][0]) if len(rows) > limit else None)

    async def replay(self, ids: Sequence[str]) -> int:
        return int(await self._replay(self._base, *map(codec.blob, dict.fromkeys(ids))))

    async def lag(self) -> Lag:
        pending, dead, *oldest = await self._lag(self._base)
        return Lag(pending, dead, max(self._clock() - float(oldest[0]), 0.0) if oldest else 0.0)

    async def count(self, scope: Scope) -> int:
        who = keys.who(scope)
        await self._outbox.flushed(who, _FLUSH_SECONDS)
        return int(await self._connection.call("HLEN", self._base + b"rows:" + who))

    async def erase(self, scope: Scope, ids: Sequence[str]) -> int:
        return await self._erased(scope, 0, [*map(codec.blob, dict.fromkeys(ids))])

    async def expire(self, scope: Scope, before: float, *, sparing: Collection[str] = ()) -> int:
        return await self._evidence.expire(keys.who(scope), before, {*map(codec.blob, sparing)})

    async def forget(self, scope: Scope) -> int:
        count, who = await self._erased(scope, 1, []), keys.who(scope)
        await asyncio.sleep(forgotten.BLUR)
        if self._holds.name(who):
            self._forgotten.add(who)
        else:
            await self._connection.scrub()
        return count

    async def ping(self) -> None:
        await self._connection.ping()

    async def _send(self, rows: Sequence[Row]) -> list[int]:
        parts = [part for *row, began in rows for part in (*row, forgotten.age(began))]
        numbers: list[int] = await self._append(self._base, self._clock(), *parts)
        return numbers

    async def _erased(self, scope: Scope, every: int, ids: Sequence[bytes]) -> int:
        """Once nobody else is at work on the user: a writer would put back into memory what goes."""
        who, lease = keys.who(scope), int(self._lease * 1000)
        await self._outbox.flushed(who, _FLUSH_SECONDS)
        try:
            async with asyncio.timeout(2 * self._lease):
                while True:
                    row = (self._clock(), self._writer, lease, who, every, self._holds.name(who), *ids)
                    if (count := int(await self._erase(self._base, *row))) >= 0:
                        return count
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise MemoryUnavailable("A writer does not come to an end with the turns of this user.") from None

    async def _renewing(self) -> None:
        """What is claimed or held stays ours while we are alive."""
        while True:
            await asyncio.sleep(self._lease / 3)
            try:
                if held := self._held():
                    await self._renew(self._base, self._writer, *held)
                await self._holds.renew()
            except MemoryUnavailable as failed:
                log.warning("claims could not be renewed: %s", failed.message)

    async def _depart(self) -> None:
        try:
            await self._connection.script(scripts.DEPART)(self._base, self._clock(), self._writer)
        except MemoryUnavailable as failed:
            log.warning("what was claimed is let go only after %g s: %s", self._lease, failed.message)

    def _held(self) -> set[bytes]:
        return {claim.who for claim in self._claimed.values()}
