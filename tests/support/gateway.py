"""The real gateway over a real socket: in this process, or as a child that can be killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import uvicorn

from gateway.app import build_app
from gateway.server import HeadLimits, configure
from gateway.services import Services
from gateway.settings import LOCAL_KEY, Settings
from gateway.wiring import open_services

ROOT = Path(__file__).parents[2]
AUTH = {"authorization": f"Bearer {LOCAL_KEY}"}
_START_SECONDS = 120.0  # on machines that have other things to do
_MODELS = ROOT / "build" / "test-models"


@dataclass(frozen=True)
class Running:
    """A gateway that answers. `url` has no path; `port` is where it listens on 127.0.0.1."""

    url: str
    port: int
    services: Services

    def client(self, **options: Any) -> httpx.AsyncClient:
        """An HTTP client with the local key."""
        return httpx.AsyncClient(base_url=self.url, headers={**AUTH, **options.pop("headers", {})}, **options)

    async def indexed(self) -> None:
        """Return when the writer has nothing left to do."""
        async with asyncio.timeout(20):
            while (await self.services.journal.lag()).pending:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running_gateway(data: Path, upstream: str, **settings: Any) -> AsyncIterator[Running]:
    """The gateway in this process and loop, on a port of the system's choice; `settings` as in gateway/settings.py, and
    `limits` of a request's head."""
    _share_models(data)
    limits = settings.pop("limits", HeadLimits())
    chosen = Settings(**{"data": data, "upstream": upstream, "recall_deadline": 2.0, "port": 0, **settings})
    async with open_services(chosen) as services:
        server = uvicorn.Server(configure(build_app(services), "127.0.0.1", 0, chosen.drain_seconds, limits))
        serving = asyncio.create_task(server.serve())
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not server.started:
                    await asyncio.sleep(0.005)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Running(f"http://127.0.0.1:{port}", port, services)
        finally:
            server.should_exit = True
            await serving


@dataclass
class Spawned:
    """`mneme serve` as a child process; `url` has no path."""

    url: str
    process: asyncio.subprocess.Process
    banner: str

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def spawned_gateway(data: Path, *, stderr: IO[bytes] | None = None, **knobs: str) -> AsyncIterator[Spawned]:
    """`python -m gateway serve` with MNEME_* from `knobs` (upstream="…", port="0", …); ended at the end. What it logs
    goes to `stderr`."""
    _share_models(data)
    env = {k: v for k, v in os.environ.items() if not k.startswith("MNEME_")}
    env |= {"MNEME_DATA": str(data), "MNEME_PORT": "0"} | {f"MNEME_{k.upper()}": v for k, v in knobs.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "serve", cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE, stderr=stderr
    )
    try:
        async with asyncio.timeout(_START_SECONDS):
            banner = await _banner(process)
        url = next(word for word in banner.split() if word.startswith("http")).removesuffix("/v1")
        yield Spawned(url, process, banner)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(20):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()


def _share_models(data: Path) -> None:
    """The embedder's built graph takes a second to make and is the same for every data directory."""
    _MODELS.mkdir(parents=True, exist_ok=True)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (data / "models").exists():
        (data / "models").symlink_to(_MODELS)


async def _banner(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "Ctrl-C" not in lines[-1]:
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("the gateway ended before it was ready: " + "".join(lines))
        lines.append(line.decode())
    return "".join(lines)
