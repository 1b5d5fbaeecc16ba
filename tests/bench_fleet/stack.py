"""Redis and the stand-in store as processes, and any number of gateways and writers over them, each on the core that
it is given. Knows no load.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.fleet import SECRET, Process, free_port, member
from tests.support.redis_server import RedisServer, redis_server

_DURABLE = {"appendfsync": "everysec"}  # as the stack in deploy/ has it


@dataclass(frozen=True)
class State:
    """What members share, running. `knobs` are the MNEME_* of whoever shares it."""

    folder: Path
    redis: RedisServer
    store: Process
    knobs: Mapping[str, str]

    async def redis_number(self, name: str, section: str = "memory") -> int:
        """One number of Redis's INFO."""
        told = (await self.redis.command("INFO", section)).decode()
        return int(next(line.partition(":")[2] for line in told.splitlines() if line.startswith(f"{name}:")))

    async def redis_pid(self) -> int:
        """Its process id."""
        return await self.redis_number("process_id", "server")

    @asynccontextmanager
    async def members(self, role: str, count: int, core: int | None, **knobs: str) -> AsyncIterator[list[Process]]:
        """So many `mneme gateway` or `mneme writer`, answering; ended at the end."""
        chosen = {**self.knobs, **{name.upper(): value for name, value in knobs.items()}}
        made = [member(role, self.folder / f"{role}-{number}", chosen) for number in range(count)]
        async with AsyncExitStack() as stack:
            for each in made:
                stack.push_async_callback(each.close)
            with pinned(core):
                await asyncio.gather(*(each.start() for each in made))
            yield made


@asynccontextmanager
async def state(folder: Path, core: int | None = None) -> AsyncIterator[State]:
    """An empty Redis and an empty store; gone at the end."""
    os.makedirs(folder, exist_ok=True)
    with pinned(core):
        servers = redis_server(**_DURABLE)
        redis = servers.__enter__()
    async with AsyncExitStack() as stack:
        stack.callback(servers.__exit__, None, None, None)
        port = free_port()
        command = ("tests.bench_fleet.store", str(port), str(folder / "store"))
        store = Process(command, port, folder / "store.log")
        stack.push_async_callback(store.close)
        with pinned(core):
            await store.start()
        shared = {
            "REDIS_URL": redis.url,
            "QDRANT_URL": "http://127.0.0.1:6333",
            "QDRANT_GRPC_PORT": str(port),
            "SECRET": SECRET,
        }
        yield State(folder, redis, store, shared)


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """What is started meanwhile stays on that core; None: wherever there is room."""
    allowed = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def pid(process: Process) -> int:
    """Of a process that runs."""
    assert process._running is not None
    return process._running.pid
