"""Who was forgotten of late: what had begun before that is not kept any more, whichever gateway it comes from. Knows no
user's name and no record.

Beside each base of keys stands "<base>forgotten": digests of users, by when, on the server's clock. Clocks of gateways
need not agree: they say how long ago something began, on their own steady one, at the moment of sending it. The way
from there to the server takes a while, so a stamp reaches a little beyond its moment; whoever stamps waits for as long
before they say that they are done.
"""

import time

_KEPT = 86_400  # seconds: no answer takes longer
BLUR = 0.1
"""Seconds by which a stamp reaches beyond its moment."""

# Both begin with a removal where they write, see the scripts.
LUA = f"""
local function server()
  local seconds, micros = unpack(redis.call('TIME'))
  return seconds + micros / 1000000
end
local function stamp(who)
  redis.call('ZREMRANGEBYSCORE', B .. 'forgotten', '-inf', server() - {_KEPT})
  redis.call('ZADD', B .. 'forgotten', string.format('%.6f', server() + {BLUR}), redis.sha1hex(who))
  redis.call('EXPIRE', B .. 'forgotten', {_KEPT})
end
local function outlived(who, age)
  local till = age ~= '' and redis.call('ZSCORE', B .. 'forgotten', redis.sha1hex(who))
  return till and server() - tonumber(age) <= tonumber(till)
end
"""


def age(began: float | None) -> str:
    """How long ago that was by this process's monotonic clock, in seconds; "" where nobody knows."""
    return "" if began is None else repr(time.monotonic() - began)
