"""How the keys in a Redis are written, by number: stamped, migrated by steps, refused when the number is newer. Knows
no record.

Each base of keys (see keys.py) may carry its stamp, at "<base>format"; without one it is of format 1. The journal's is
the database's. Every script looks at its base's stamp before anything else, so a process that was started before
others migrated is refused from that moment on, whatever it was about to do.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

STEPS: Sequence[str] = ()
"""Lua: step n leads from format n + 1 to the next, and may be cut and begun anew. It stamps the other bases whose keys
it writes, each in the same script as those keys; the journal's is stamped at its end. One that was released is never
changed."""

REFUSED = "FORMAT"
"""The code of what a script answers where a newer Mneme has been."""

_SETTLE = """
local stamp = KEYS[1] .. 'format'
local known = redis.call('GET', stamp)
if not known then
  known = redis.call('EXISTS', KEYS[1] .. 'line') == 1 and '1' or ARGV[1]
  redis.pcall('SET', stamp, known)  -- refused where memory is full: then the next start stamps it
end
return tonumber(known)
"""


def stamp(base: bytes) -> bytes:
    """The key of a base's stamp."""
    return base + b"format"


def guarded(lua: str, latest: int) -> str:
    """The script, refused where its first key's base is of a format beyond `latest`."""
    return f"""
do
  local format = redis.call('GET', KEYS[1] .. 'format')
  if format and (tonumber(format) or math.huge) > {latest} then return redis.error_reply('{REFUSED} is newer') end
end
{lua}"""


async def settle(script: Callable[[str], Callable[..., Awaitable[Any]]], base: bytes, steps: Sequence[str]) -> None:
    """Stamp what lies behind the journal's `base`, and bring it to the latest format. What holds turns and no stamp was
    written before there were any. Processes that start at once do each step once."""
    known = await script(_SETTLE)(base, len(steps) + 1)
    for number in range(known, len(steps) + 1):
        await script(_taken(steps[number - 1]))(base, number)


def _taken(step: str) -> str:
    return f"""
local function step()
{step}
end
if redis.call('GET', KEYS[1] .. 'format') == ARGV[1] then
  step()
  redis.call('SET', KEYS[1] .. 'format', tonumber(ARGV[1]) + 1)
end"""
