"""One Redis: a pool of connections, checked when it is opened; every failure gets a name. Knows no key's meaning
but the stamp's.

What a failure says is its kind, never Redis's own words: those may quote a command, and a command holds text.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from redis import exceptions as foreign
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.errors import MemoryUnavailable, SettingsRefused, StoreAway, StoreRefused
from gateway.memory.stores.redis import formats, keys

log = logging.getLogger(__name__)

Script = Callable[..., Awaitable[Any]]
"""Runs a registered script over its arguments, all of it or nothing."""

_POOL = 64
_PATIENCE = 1.0
_REST = 1.0  # after a silence, calls fail at once for so long: an answer must not wait for each of them
_SYNC_SECONDS = 3.0  # appendfsync everysec may take two
_POLL = 0.05
_SCANNED = 1000
_SCRUB_SECONDS = 10.0
_LEAST, _WAITAOF = (7, 0), (7, 2)

_NEWER = (
    "What lies in this Redis was written by a newer Mneme; this one reads format {}: upgrade it, or restore what was "
    "backed up before the upgrade."
)
# It cannot write to its disk, or to enough replicas: that passes.
_NOT_NOW = ("MISCONF", "NOREPLICAS")
_AWAY = (foreign.ConnectionError, foreign.TimeoutError, foreign.ReadOnlyError, foreign.TryAgainError, OSError)


class Connection:
    """Made by `open`. All keys begin with `prefix`."""

    def __init__(self, client: "Redis", prefix: str, patience: float, latest: int) -> None:
        self._client = client
        self._latest = latest
        self._patience = patience
        self._syncs = False
        self._rests_until = 0.0
        self._closed = False
        self.prefix = prefix

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        durability: Literal["process", "power"],
        prefix: str = "mneme",
        patience: float = _PATIENCE,
        size: int = _POOL,
        steps: Sequence[str] = formats.STEPS,
    ) -> AsyncIterator["Connection"]:
        """Redis at `url` (redis://, rediss://, unix://), over at most `size` connections, each answer awaited for
        `patience` seconds. What lies there is brought to the latest format by `steps`. StoreRefused if it is of a newer
        one or if the server would lose what it is told, StoreAway if there is none."""
        retry = Retry(NoBackoff(), 1, supported_errors=(foreign.ConnectionError,))  # the server has been restarted
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=size,
                timeout=patience,
                socket_timeout=None,  # with one it may take a cancelled call for an answered one; see _named
                socket_connect_timeout=patience,
                retry=retry,
                protocol=2,  # so that a reply has one shape, whatever the server speaks
            )
        except ValueError:
            raise SettingsRefused("The URL of Redis must start with redis://, rediss:// or unix://.") from None
        connection = cls(Redis.from_pool(pool), prefix, patience, len(steps) + 1)
        try:
            await connection._check(durability)
            await formats.settle(connection.script, keys.journal(prefix), steps)
            yield connection
        finally:
            connection._closed = True
            await connection._client.aclose()

    def script(self, lua: str) -> Script:
        """The script, to be called with its first key and its arguments; loaded anew where the server lost it."""
        registered = self._client.register_script(formats.guarded(lua, self._latest))

        async def run(key: bytes, *arguments: bytes | str | int | float) -> Any:
            async with self._named():
                return await registered(keys=[key], args=list(arguments))

        return run

    async def call(self, *command: bytes | str | int | float) -> Any:
        """One command."""
        async with self._named():
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """All keys that match, a page at a time; a look at everything that the server holds."""
        at = 0
        while True:
            at, found = await self.call("SCAN", at, "MATCH", pattern, "COUNT", _SCANNED)
            yield found
            if int(at) == 0:
                return

    def durable(self, lua: str) -> Script:
        """The same as `script`, and on return the disk has what it wrote, where durability asks for that."""
        plain = self.script(lua)
        registered = self._client.register_script(formats.guarded(lua, self._latest))

        async def run(key: bytes, *arguments: bytes | str | int | float) -> Any:
            if not self._syncs:
                return await plain(key, *arguments)
            patience = self._patience + _SYNC_SECONDS
            async with self._named(patience), self._client.pipeline(transaction=False) as pipe:
                await registered(keys=[key], args=list(arguments), client=pipe)
                pipe.execute_command("WAITAOF", 1, 0, int(_SYNC_SECONDS * 1000))
                result, told = await pipe.execute(raise_on_error=False)  # else it puts the command before the code
                if failed := next((each for each in (result, told) if isinstance(each, Exception)), None):
                    raise failed
            if not told[0]:
                raise StoreAway("Redis has not written to its disk in time.")
            return result

        return run

    async def ping(self) -> None:
        """MemoryUnavailable unless the server answers."""
        await self.call("PING")

    async def scrub(self) -> None:
        """Make deleted text leave the append-only file: it is written anew. Where that takes longer than we wait, it
        goes on in the server."""
        try:
            async with asyncio.timeout(_SCRUB_SECONDS):
                await self._rewritten()  # one that began before us may hold what we deleted
                await self._rewrite()
                await self._rewritten()
        except StoreAway:
            raise
        except MemoryUnavailable as failed:
            log.warning("forgotten text stays in Redis's append-only file until that is rewritten: %s", failed.message)
        except TimeoutError:
            log.warning("Redis still rewrites its append-only file; until then it holds text that was forgotten")

    async def _rewrite(self) -> None:
        try:
            await self.call("BGREWRITEAOF")
        except MemoryUnavailable:
            if not await self._rewriting():
                raise
            # Somebody else's has just begun, so after what we deleted: it serves as well.

    async def _rewritten(self) -> None:
        while True:
            if not await self._rewriting():
                return
            await asyncio.sleep(_POLL)

    async def _rewriting(self) -> bool:
        known = await self._info("persistence")
        return bool(known.get("aof_rewrite_in_progress") or known.get("aof_rewrite_scheduled"))

    async def _info(self, section: str) -> Mapping[str, Any]:
        async with self._named():
            found: Mapping[str, Any] = await self._client.info(section)
            return found

    async def _check(self, durability: str) -> None:
        persistence, memory = await self._info("persistence"), await self._info("memory")
        version = str((await self._info("server")).get("redis_version", "0"))
        known = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        if known < _LEAST:
            raise StoreRefused(f"Redis 7.0 or later is needed; this is {version}.")
        if not persistence.get("aof_enabled"):
            raise StoreRefused("Redis keeps no append-only file, so it would lose turns: set appendonly yes.")
        if memory.get("maxmemory_policy") != "noeviction":
            raise StoreRefused(
                f"Redis would evict turns when its memory is full (maxmemory-policy {memory.get('maxmemory_policy')}):"
                " set maxmemory-policy noeviction."
            )
        if durability == "power" and not await self._always_syncs():
            if known < _WAITAOF:
                raise StoreRefused(
                    f"MNEME_DURABILITY=power needs appendfsync always, or Redis 7.2 (this is {version}), which can say"
                    " when its disk has a turn."
                )
            self._syncs = True

    async def _always_syncs(self) -> bool:
        """Then a reply says that the disk has it. A server that does not tell its settings is taken at its worst."""
        try:
            return bool(await self.call("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"always"])
        except StoreAway:
            raise
        except MemoryUnavailable:
            return False

    @asynccontextmanager
    async def _named(self, patience: float = 0.0) -> AsyncIterator[None]:
        """In time, or given up; failures as ours. `from None`: the chain would carry the command's text into logs."""
        if self._closed:
            raise MemoryUnavailable("The connection to Redis is closed.")
        if time.monotonic() < self._rests_until:
            raise StoreAway("Redis did not answer a moment ago.")
        try:
            async with asyncio.timeout(patience or self._patience):
                yield
        except TimeoutError:
            self._rests_until = time.monotonic() + _REST
            raise StoreAway(f"Redis does not answer within {patience or self._patience:g} s.") from None
        except foreign.OutOfMemoryError:
            raise StoreAway("Redis is out of memory: raise its maxmemory, or forget something.") from None
        except _AWAY as failed:
            raise StoreAway(f"Redis does not answer ({_kind(failed)}).") from None
        except foreign.RedisError as failed:
            kind = _kind(failed)
            if kind == formats.REFUSED:
                raise StoreRefused(_NEWER.format(self._latest)) from None
            raise (StoreAway if kind in _NOT_NOW else MemoryUnavailable)(f"Redis refuses ({kind}).") from None


def _kind(failed: Exception) -> str:
    """The code that Redis puts in front (MISCONF, NOPERM, …), else the error's class."""
    code = str(failed).split(" ", 1)[0]
    return code if code.isalpha() and code.isupper() else type(failed).__name__
