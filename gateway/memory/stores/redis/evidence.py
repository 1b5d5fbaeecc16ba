"""What the journal holds of each user beside the line of work: who has turns, all of one user's, those put back from
another journal, and those that are old enough to go. Never decides which those are.

Who has turns stands in a set that appending and erasing keep. A database from before there was one is looked through
once, when a journal is opened over it (SCAN, page by page), and after that `listed` is there. While gateways of such a
version still run beside newer ones, a user whom they alone serve is missing until a newer process meets their turns.

All of a user's turns stand in a hash, by id: a page of them by number means a look at all their rows, of some 60 bytes
each, a thousand at a time. Turns that are old enough to go are looked for among all of a user's, too, but only where
`oldest` does not say that there are none.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest

import msgspec

from gateway.errors import MemoryUnavailable
from gateway.memory.records import Kept, Page, Scope, Turn
from gateway.memory.stores import cursors
from gateway.memory.stores.codec import Codec, Said, blob
from gateway.memory.stores.redis import keys
from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.journal_scripts import BASE
from gateway.memory.stores.redis.stored import turn_or_shell

_turns, _said = Codec(Turn), Codec(Said)
_rows = msgspec.msgpack.Decoder(tuple[int, str, int, int, float, float, str])
_ROWS, _BODIES = 1000, 100  # looked at per call

LIST = f"""{BASE}
for _, who in ipairs(ARGV) do
  if redis.call('EXISTS', B .. 'rows:' .. who) == 1 then redis.call('ZADD', SCOPES, 0, who) end
end
"""

TURNS = f"""{BASE}
local who, answer = ARGV[1], {{}}
for i = 2, #ARGV do
  local row = row_of(who, ARGV[i])
  if row then
    local body = redis.call('HGET', B .. 'bodies:' .. who, ARGV[i])
    answer[#answer + 1] = {{ARGV[i], row[STATE], row[ERROR], row[TRIES], body}}
  end
end
return answer
"""

# A number counts where turns are told apart by it: among all that wait, and among all dead letters.
PUT_BACK = f"""{BASE}
local now, who = tonumber(ARGV[1]), ARGV[2]
for i = 3, #ARGV, 7 do
  local id, state, seq, tries, at = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 5]
  if not row_of(who, id) then
    local taken = seq < 1 or state == 'pending' and redis.call('ZSCORE', SINCE, ARGV[i + 2])
      or state == 'dead' and redis.call('ZCOUNT', DEAD, seq, seq) > 0
    if taken then seq = redis.call('INCR', B .. 'seq')
    elseif seq > tonumber(redis.call('GET', B .. 'seq') or 0) then redis.call('SET', B .. 'seq', ARGV[i + 2]) end
    speaks(who, at)
    local row = {{seq, 'new', 1, 0, 0, now, ARGV[i + 4]}}
    if state == 'pending' then wait(who, id, row) end
    row[TRIES] = tries
    if state == 'pending' then keep(who, id, row) else wait_no_more(who, id, row, state) end
    redis.call('HSET', B .. 'bodies:' .. who, id, string.format('%d:', seq) .. ARGV[i + 6])
  end
end
"""

# Only as it was looked at: a turn that was told again meanwhile was said then, and waits.
EXPIRE = f"""{BASE}
local who, count = ARGV[1], 0
for i = 2, #ARGV, 2 do
  local row = row_of(who, ARGV[i])
  if row and row[STATE] == 'done' and redis.call('HGET', B .. 'bodies:' .. who, ARGV[i]) == ARGV[i + 1] then
    remove(who, ARGV[i], row)
    count = count + 1
  end
end
return count
"""

# Unless somebody has said something older meanwhile.
LOOKED = f"""{BASE}
local who, known, oldest = ARGV[1], ARGV[2], ARGV[3]
if (redis.call('HGET', OLDEST, who) or '') ~= known or redis.call('EXISTS', B .. 'rows:' .. who) == 0 then return end
if oldest == '' then redis.call('HDEL', OLDEST, who) else redis.call('HSET', OLDEST, who, oldest) end
"""


class Evidence:
    """Over the journal whose keys begin with `base`."""

    def __init__(self, connection: Connection, base: bytes, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._base = base
        self._clock = clock
        self._list = connection.script(LIST)
        self._turns = connection.script(TURNS)
        self._put_back = connection.durable(PUT_BACK)
        self._expire = connection.script(EXPIRE)
        self._looked = connection.script(LOOKED)

    async def find_users(self) -> None:
        """Once per database: list who has turns from before there was a list."""
        if await self._connection.call("EXISTS", self._base + b"listed"):
            return
        rows = self._base + b"rows:"
        async for found in self._connection.scan(keys.pattern(rows)):
            await self._list(self._base, *(key.removeprefix(rows) for key in found))
        await self._connection.call("SET", self._base + b"listed", 1)

    async def scopes(self, tenant: str | None, cursor: str | None, limit: int) -> Page[Scope]:
        """See ports.Journal."""
        first, last = b"-", b"+"
        if tenant is not None:
            whose = keys.joined(blob(tenant), b"")
            first, last = b"[" + whose, b"(" + whose + b"\xff"  # no id has that byte
        if cursor is not None:
            first = b"(" + keys.joined(*cursors.pair(cursor))
        asked = ("ZRANGEBYLEX", self._base + b"scopes", first, last, "LIMIT", 0, limit + 1)
        found = await self._connection.call(*asked)
        after = cursors.of_pair(*keys.split(found[limit - 1])) if len(found) > limit else None
        return Page(tuple(map(keys.scope, found[:limit])), after)

    async def kept(self, who: bytes, cursor: str | None, limit: int) -> Page[Kept]:
        """See ports.Journal."""
        found = await self._after(who, cursor, limit + 1)
        asked = [id for _, id in found[:limit]]
        rows = await self._turns(self._base, who, *asked)
        items = tuple(
            Kept(turn_or_shell(body, who, id), state.decode(), error.decode(), tries)
            for id, state, error, tries, body in rows
        )
        seq, last = found[limit - 1] if len(found) > limit else (0, b"")
        return Page(items, cursors.of_pair(b"%d" % seq, last) if seq else None)

    async def put_back(self, who: bytes, scope: Scope, kept: Sequence[Kept]) -> None:
        """See ports.Journal."""
        rows: list[bytes | str | int | float] = []
        for each in kept:
            turn, error = replace(each.turn, scope=scope), each.error.encode("utf-8", "backslashreplace")
            rows += (blob(turn.id), each.state, turn.seq, each.attempts, error, repr(turn.at), _turns.encode(turn))
        await self._put_back(self._base, self._clock(), who, *rows)

    async def expire(self, who: bytes, before: float, spared: Collection[bytes]) -> int:
        """See ports.Journal."""
        known = await self._connection.call("HGET", self._base + b"oldest", who)
        if known is not None and float(known) >= before:
            return 0
        gone, at, left = 0, 0, float("inf")
        while True:
            at, bodies = await self._connection.call("HSCAN", self._base + b"bodies:" + who, at, "COUNT", _BODIES)
            said = _times(bodies)
            due = [id for id, moment in said.items() if moment < before and id not in spared]
            expired = int(await self._expire(self._base, who, *(part for id in due for part in (id, bodies[id]))))
            stay = said if expired < len(due) else said.keys() - {*due}  # which of them stays, the script does not say
            gone, left = gone + expired, min(left, *(said[id] for id in stay), float("inf"))
            if int(at) == 0:
                break
        await self._looked(self._base, who, known or b"", "" if left == float("inf") else repr(left))
        return gone

    async def _after(self, who: bytes, cursor: str | None, count: int) -> list[tuple[int, bytes]]:
        """Numbers and ids of the next turns behind the cursor, at most so many."""
        first, last = (b"0", b"") if cursor is None else cursors.pair(cursor)
        behind = (cursors.number(first.decode("latin-1")), last)
        found: set[tuple[int, bytes]] = set()
        at = 0
        while True:
            at, rows = await self._connection.call("HSCAN", self._base + b"rows:" + who, at, "COUNT", _ROWS)
            found |= {place for id, row in rows.items() if (place := (_seq(row), id)) > behind}
            found = {*nsmallest(count, found)}
            if int(at) == 0:
                return sorted(found)


def _times(bodies: Mapping[bytes, bytes]) -> dict[bytes, float]:
    """When they were said; damaged ones are left out."""
    said = {id: _said.decode_if_whole(stored.partition(b":")[2]) for id, stored in bodies.items()}
    return {id: each.at for id, each in said.items() if each}


def _seq(row: bytes) -> int:
    try:
        return _rows.decode(row)[0]
    except msgspec.DecodeError as failed:
        raise MemoryUnavailable("A stored turn's row is damaged.") from failed
