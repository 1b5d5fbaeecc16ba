"""Buckets in the Redis that gateways share: what one of them takes, all others miss. As rates.py, in one script.

A bucket expires a minute after it is full, so only those that were taken from take room.
"""

import time
from collections.abc import Callable, Sequence

from gateway.memory.stores.redis.connection import Connection
from gateway.memory.stores.redis.keys import tenant as base
from gateway.tenants.rates import WINDOW, level, spell
from gateway.tenants.records import Level, Rate

# ARGV: now, the window, whether it must fit, then a name and a spell per bucket. Answers with when each is full and
# how long to wait. Numbers travel as text, for Lua would cut them to integers.
_TAKE = """
local now, window, strict = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local full, waits, fits = {}, {}, true
for i = 4, #ARGV, 2 do
  local known = tonumber(redis.call('GET', KEYS[1] .. 'rate:' .. ARGV[i]) or now)
  local before = math.max(known, now)
  local wait = math.max(before + tonumber(ARGV[i + 1]) - window - now, 0)
  table.insert(full, before)
  table.insert(waits, wait)
  if wait > 0 then fits = false end
end
local answer = {}
for i = 1, #full do
  if fits or not strict then
    full[i] = full[i] + tonumber(ARGV[2 * i + 3])
    local left = math.ceil((full[i] - now) * 1000)
    if left > 0 then
      redis.call('SET', KEYS[1] .. 'rate:' .. ARGV[2 * i + 2], string.format('%.17g', full[i]), 'PX', left + 60000)
    else redis.call('DEL', KEYS[1] .. 'rate:' .. ARGV[2 * i + 2]) end
  end
  table.insert(answer, string.format('%.17g', full[i]))
  table.insert(answer, string.format('%.17g', waits[i]))
end
return answer
"""


class RedisLimiter:
    """See ports.Limiter. `clock` gives seconds since the epoch, to all gateways alike."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._prefix = connection.prefix
        self._clock = clock
        self._take = connection.script(_TAKE)

    async def take(self, tenant: str, rates: Sequence[Rate]) -> list[Level]:
        now = self._clock()
        told = [float(number) for number in await self._run(tenant, rates, now, strict=True)]
        return [level(rate, full - now, wait) for rate, full, wait in zip(rates, told[::2], told[1::2], strict=True)]

    async def correct(self, tenant: str, rates: Sequence[Rate]) -> None:
        await self._run(tenant, rates, self._clock(), strict=False)

    async def _run(self, tenant: str, rates: Sequence[Rate], now: float, *, strict: bool) -> list[bytes]:
        asked = [part for rate in rates for part in (rate.name, repr(spell(rate)))]
        told: list[bytes] = await self._take(base(self._prefix, tenant), repr(now), WINDOW, int(strict), *asked)
        return told
