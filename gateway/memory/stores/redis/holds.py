"""Users held by this process while it changes their memories: no writer is given their turns. Knows no turn.

A held user stands in no line, so nobody can be given their turns. A hold is a lease like a claim: renewed while its
holder lives, and over some seconds after it has died; whoever claims next puts the user back into the line. Who waits
for a user says so, and claims let that user go: a long backlog does not keep an edit waiting.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.errors import MemoryUnavailable
from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.journal_scripts import BASE

log = logging.getLogger(__name__)

POLL = 0.05
_FIRST_POLL = 0.005
_WANTED = 1000
"""Milliseconds for which a wait is known; who goes on waiting says so again."""

# Begins with a removal, so that full memory does not refuse it: forgetting must work then.
HOLD = f"""{BASE}
local who, name, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('ZREM', WANTED, who)
local _, has, idle = holder(who)
if (has and idle < lease) or held(who) then
  redis.call('ZADD', WANTED, clock() + tonumber(ARGV[4]), who)
  return 0
end
leave(who)
redis.call('HSET', HOLDERS, who, name)
redis.call('ZADD', HOLDS, clock() + lease, who)
return 1
"""

RELEASE = f"""{BASE}
if redis.call('HGET', HOLDERS, ARGV[2]) == ARGV[3] then unhold(ARGV[2], tonumber(ARGV[1])) end
"""

RENEW = f"""{BASE}
local kept = {{}}
for i = 2, #ARGV, 2 do
  local ours = redis.call('HGET', HOLDERS, ARGV[i]) == ARGV[i + 1]
  if ours then redis.call('ZADD', HOLDS, clock() + tonumber(ARGV[1]), ARGV[i]) end
  kept[#kept + 1] = ours and 1 or 0
end
return kept
"""


@dataclass(frozen=True, slots=True)
class _Hold:
    name: str
    limit: asyncio.Timeout


class Holds:
    """Over the journal whose keys begin with `base`. `lease` is in seconds; `clock` is the journal's."""

    def __init__(self, connection: Connection, base: bytes, clock: Callable[[], float], lease: float) -> None:
        self._base = base
        self._clock = clock
        self._lease = lease
        self._own: dict[bytes, _Hold] = {}
        self._hold = connection.script(HOLD)
        self._release = connection.script(RELEASE)
        self._renew = connection.script(RENEW)

    @asynccontextmanager
    async def hold(self, who: bytes) -> AsyncIterator[None]:
        """See ports.Journal. A hold that was not renewed in time ends the block: somebody else may have the user."""
        name, limit = uuid.uuid4().hex, asyncio.timeout(None)
        try:
            asked = await self._taken(who, name)
            async with limit:
                limit.reschedule(asked + self._lease)
                self._own[who] = _Hold(name, limit)
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise MemoryUnavailable("The user was not held long enough: Redis did not answer in between.") from None
        finally:
            if self.name(who) == name:
                del self._own[who]
            await self._let_go(who, name)

    def name(self, who: bytes) -> str:
        """Under which this process holds the user; "" where it does not."""
        own = self._own.get(who)
        return own.name if own else ""

    async def renew(self) -> None:
        """For another lease; one that is lost ends at once."""
        if not self._own:
            return
        asked, own = asyncio.get_running_loop().time(), dict(self._own)
        rows = [part for who, hold in own.items() for part in (who, hold.name)]
        kept = await self._renew(self._base, int(self._lease * 1000), *rows)
        for (who, hold), still in zip(own.items(), kept, strict=True):
            if self._own.get(who) is hold and not hold.limit.expired():
                hold.limit.reschedule(asked + self._lease * still)

    async def _taken(self, who: bytes, name: str) -> float:
        """The loop's time when it was asked for with success."""
        pause = _FIRST_POLL
        try:
            async with asyncio.timeout(2 * self._lease):
                while True:
                    asked = asyncio.get_running_loop().time()
                    if await self._hold(self._base, who, name, int(self._lease * 1000), _WANTED):
                        return asked
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, POLL)
        except TimeoutError:
            raise MemoryUnavailable("Somebody does not come to an end with the turns of this user.") from None

    async def _let_go(self, who: bytes, name: str) -> None:
        try:
            await self._release(self._base, self._clock(), who, name)
        except MemoryUnavailable as failed:
            log.warning("a held user is let go only after %g s: %s", self._lease, failed.message)
