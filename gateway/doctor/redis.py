"""A Redis, asked and never told: whether it would lose turns, what lies there, what waits. Knows no record.

What it says of a failure is its kind only: its words may hold a password.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from redis import exceptions as foreign
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.doctor.finding import Finding, shown
from gateway.doctor.waiting import waiting
from gateway.memory.stores.redis import formats, keys

_SECONDS = 3.0
_LEAST, _WAITAOF = (7, 0), (7, 2)
_FULL, _NEARLY = 0.95, 0.8
# A turn is due by the gateways' clocks, and what was erased is barred for five seconds.
_APART, _FAR_APART = 1.0, 5.0

Info = Mapping[str, Any]


async def look(
    url: str, durability: str, prefix: str = "mneme", clock: Callable[[], float] = time.time
) -> list[Finding]:
    """All that one Redis tells. `clock` is this machine's."""
    where = shown(url)
    try:
        once = Retry(NoBackoff(), 0)
        client = Redis.from_url(url, protocol=2, retry=once, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
    except ValueError:
        return [Finding("redis", "fail", "MNEME_REDIS_URL must start with redis://, rediss:// or unix://")]
    try:
        info = cast(Info, await client.info())
        version = tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdecimal())
        return [
            _server(where, info, version),
            _persistence(info, await _fsync(client), version, durability),
            _eviction(info),
            _room(info),
            await _format(client, keys.journal(prefix)),
            await _journal(client, keys.journal(prefix), clock()),
            await _clock(client, clock),
        ]
    except (foreign.RedisError, OSError) as failed:
        return [_failed(where, failed)]
    finally:
        await client.aclose()


def _failed(where: str, failed: Exception) -> Finding:
    refusal = (foreign.AuthenticationError, foreign.NoPermissionError)
    reason = next((each for each in (failed, failed.__cause__) if isinstance(each, refusal)), None)
    if reason is not None:
        advice = "See user and password in MNEME_REDIS_URL, and what that user may do."
        return Finding("redis", "fail", f"{where} does not let us in ({type(reason).__name__})", advice)
    advice = "Start it, or mend MNEME_REDIS_URL; until then answers go on without memory."
    return Finding("redis", "fail", f"{where} does not answer ({type(failed).__name__})", advice)


def _server(where: str, info: Info, version: tuple[int, ...]) -> Finding:
    told = f"{where}, version {info.get('redis_version')}"
    if version < _LEAST:
        return Finding("redis", "fail", told, "Redis 7.0 or later is needed.")
    return Finding("redis", "ok", told)


async def _fsync(client: "Redis") -> str:
    """ "" where it does not tell its settings."""
    try:
        told = cast(Info, await client.config_get("appendfsync"))
    except foreign.ResponseError:
        return ""
    return str(told.get("appendfsync", ""))


def _persistence(info: Info, fsync: str, version: tuple[int, ...], durability: str) -> Finding:
    name, told = "redis persistence", f"appendonly yes, appendfsync {fsync or 'not told'}"
    if not info.get("aof_enabled"):
        return Finding(name, "fail", "appendonly no: a restart loses turns", "Set appendonly yes.")
    if info.get("aof_last_write_status") != "ok":
        return Finding(name, "fail", "its append-only file cannot be written", "Look at its disk, and at its log.")
    if fsync == "always":
        return Finding(name, "ok", told)
    if durability == "power" and version < _WAITAOF:
        advice = "MNEME_DURABILITY=power needs appendfsync always, or Redis 7.2."
        return Finding(name, "fail", told, advice)
    if durability == "power":
        return Finding(name, "ok", f"{told}; every turn waits for the disk (WAITAOF)")
    if fsync == "no":
        return Finding(name, "warn", told, "Whatever kills Redis may lose half a minute: set appendfsync always.")
    return Finding(name, "ok", f"{told}: whatever kills Redis may lose the last second or two")


def _eviction(info: Info) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        told = f"maxmemory-policy {policy}: it would drop turns when it is full"
        return Finding("redis eviction", "fail", told, "Set maxmemory-policy noeviction.")
    return Finding("redis eviction", "ok", "maxmemory-policy noeviction")


def _room(info: Info) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return Finding("redis memory", "ok", f"{used >> 20} MiB used, no maxmemory")
    told = f"{used >> 20} of {most >> 20} MiB used"
    if used > _NEARLY * most:
        advice = "Raise maxmemory, or forget something: a full Redis takes no turn."
        return Finding("redis memory", "fail" if used > _FULL * most else "warn", told, advice)
    return Finding("redis memory", "ok", told)


async def _format(client: "Redis", base: bytes) -> Finding:
    stamp, latest = await client.get(formats.stamp(base)), len(formats.STEPS) + 1
    if stamp is None:
        there = await client.exists(base + b"line")
        told = "format 1, not stamped yet" if there else "holds nothing of Mneme yet"
        return Finding("redis format", "ok", f"{told}; the next start stamps it")
    found = int(stamp) if stamp.isdigit() else latest + 1
    if found > latest:
        advice = "Upgrade this Mneme, or restore what was backed up before the upgrade."
        return Finding("redis format", "fail", f"written by a newer Mneme; this one reads format {latest}", advice)
    if found < latest:
        advice = "Stop all gateways and writers first, and back up: there is no way back."
        return Finding("redis format", "warn", f"format {found}; the next start brings it to {latest}", advice)
    return Finding("redis format", "ok", f"format {found}")


async def _journal(client: "Redis", base: bytes, now: float) -> Finding:
    pending, dead = int(await client.zcard(base + b"since")), int(await client.zcard(base + b"dead"))
    oldest = await client.zrange(base + b"since", 0, 0, withscores=True)
    return waiting(pending, dead, max(now - float(oldest[0][1]), 0.0) if oldest else 0.0)


async def _clock(client: "Redis", clock: Callable[[], float]) -> Finding:
    before = clock()
    seconds, micros = await client.time()
    apart = abs(seconds + micros / 1e6 - (before + clock()) / 2)
    told = f"{apart:.1f} s apart from Redis's"
    if apart > _APART:
        advice = "Have both machines follow a time server: turns become due by this clock."
        return Finding("clock", "fail" if apart > _FAR_APART else "warn", told, advice)
    return Finding("clock", "ok", told)
