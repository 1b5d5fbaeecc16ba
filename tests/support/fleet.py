"""Mneme as many processes: gateways and writers over a real redis-server and the stand-in for Qdrant. Each can be
killed, stopped, silenced and started again at the address that it had. Knows no test."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.gateway import ROOT, _share_models
from tests.support.redis_server import RedisServer, redis_server

SECRET = "a secret of the tests, the same everywhere"
_START_SECONDS = 180.0  # several start at once, on machines that have other things to do
_LEAVE_SECONDS = 40.0


@dataclass
class Process:
    """A program at an address of its own. What it says goes to `log`."""

    command: tuple[str, ...]
    port: int
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    _running: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Return once it answers."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MNEME_")}
        with self.log.open("ab") as log:
            self._running = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *self.command, cwd=ROOT, env={**clean, **self.env}, stdout=log, stderr=log
            )
        async with asyncio.timeout(_START_SECONDS):
            while not await self._answers():
                assert self._running.returncode is None, f"it ended before it answered: {self.log.read_text()}"
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """kill -9; return once it is gone."""
        self.signal(signal.SIGKILL)
        await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send it this."""
        assert self._running is not None
        self._running.send_signal(number)

    async def ended(self) -> int:
        """Its exit status."""
        assert self._running is not None
        async with asyncio.timeout(_LEAVE_SECONDS):
            return await self._running.wait()

    async def close(self) -> None:
        """SIGTERM, and kill -9 for whoever does not come to an end."""
        if self._running is None or self._running.returncode is not None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await self.ended()
        except TimeoutError:
            await self.kill()

    async def _answers(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False


@dataclass(frozen=True)
class Fleet:
    """Everything, running."""

    redis: RedisServer
    qdrant: Process
    gateways: tuple[Process, ...]
    writers: tuple[Process, ...]

    async def indexed(self, gateway: int = 0, seconds: float = 60.0) -> None:
        """Return when nothing waits in the journal."""
        async with httpx.AsyncClient(base_url=self.gateways[gateway].url) as client, asyncio.timeout(seconds):
            while (await client.get("/admin/journal")).json()["pending"]:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_fleet(folder: Path, upstream: str, **knobs: str) -> AsyncIterator[Fleet]:
    """Two gateways and two writers, with MNEME_* from `knobs` for all of them; ended at the end."""
    with redis_server() as redis:
        async with AsyncExitStack() as stack:
            port = free_port()
            qdrant = Process(
                ("tests.support.qdrant_server", str(port), str(folder / "qdrant")), port, folder / "qdrant.log"
            )
            stack.push_async_callback(qdrant.close)
            await qdrant.start()
            shared = {
                "REDIS_URL": redis.url,
                "QDRANT_URL": "http://127.0.0.1:6333",
                "QDRANT_GRPC_PORT": str(port),
                "SECRET": SECRET,
                "UPSTREAM": upstream,
                **{name.upper(): value for name, value in knobs.items()},
            }
            roles = ("gateway", "gateway", "writer", "writer")
            members = [member(role, folder / f"{role}-{number}", shared) for number, role in enumerate(roles)]
            for each in members:
                stack.push_async_callback(each.close)
            await asyncio.gather(*(each.start() for each in members))
            yield Fleet(redis, qdrant, tuple(members[:2]), tuple(members[2:]))


def member(role: str, data: Path, knobs: Mapping[str, str]) -> Process:
    """`mneme gateway` or `mneme writer`, with a data directory of its own; not started yet."""
    _share_models(data)
    port = free_port()
    env = {f"MNEME_{name}": value for name, value in {**knobs, "DATA": str(data), "PORT": str(port)}.items()}
    return Process(("gateway", role), port, data / "log", env)


def free_port() -> int:
    """One that nobody has on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
