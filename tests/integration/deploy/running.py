"""docker-compose.yml without containers: its commands and its environment as processes on loopback, with names and
ports exchanged. Qdrant is a stand-in, the worker a script; everything else is what would run. Asserts nothing."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.integration.deploy.names import name_server
from tests.support.gateway import ROOT, _share_models
from tests.support.qdrant_server import Node, serving
from tests.support.raw import CHAT, Response, Wire, ask, request
from tests.support.tools import found
from tests.support.upstream import JSON, Upstream, scripted_upstream
from tests.unit.deploy.stack import services

ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
_WRITER = "127.0.0.4"
_SECONDS = 90.0  # four processes start at once, on machines that have other things to do
_LEAVING = 20.0

Process = asyncio.subprocess.Process


@dataclass(frozen=True)
class Stack:
    """Three gateways over one worker, a writer, and the balancer: where it listens, and what it says."""

    worker: Upstream
    gateways: tuple[Process, ...]
    writer: Process
    port: int
    told: asyncio.StreamReader
    key: str

    def said(self, text: str, user: str, **fields: object) -> bytes:
        """A chat request of that user."""
        body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields})
        return request(b"POST", CHAT, body, (self._authorization, (b"x-mneme-user", user.encode()), *JSON))

    async def ask(self, text: str, user: str) -> Response:
        """Its answer, over a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            client = Wire(reader, writer)
            await client.send(self.said(text, user))
            return await client.response()
        finally:
            writer.close()

    async def waiting(self) -> int:
        """Turns that are not indexed yet, as the operators see it."""
        admin = services()["gateway"]["environment"]["MNEME_ADMIN_KEY"].encode()
        answer = await ask(
            self.port, b"GET", b"/admin/journal?tenant=default", b"", ((b"authorization", b"Bearer " + admin),)
        )
        pending: int = answer.json()["pending"]
        return pending

    @property
    def _authorization(self) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + self.key.encode()


@asynccontextmanager
async def running_stack(folder: Path) -> AsyncIterator[Stack]:
    """Everything, once the balancer has found all gateways; ended at the end."""
    environment = services()["gateway"]["environment"]
    inner, outer, redis_port = free_port(*ADDRESSES, _WRITER), free_port("127.0.0.1"), free_port("127.0.0.1")
    async with AsyncExitStack() as opened:
        worker = await opened.enter_async_context(scripted_upstream())
        await opened.enter_async_context(_redis(folder, redis_port))
        qdrant = await opened.enter_async_context(serving(Node(folder / "qdrant", environment["MNEME_QDRANT_KEY"])))
        exchanged = {
            "MNEME_PORT": str(inner),
            "MNEME_REDIS_URL": environment["MNEME_REDIS_URL"].replace("redis:6379", f"127.0.0.1:{redis_port}"),
            "MNEME_QDRANT_URL": "http://127.0.0.1:6333",
            "MNEME_QDRANT_GRPC_PORT": str(qdrant),
            "MNEME_UPSTREAM": worker.url,
            "MNEME_RECALL_DEADLINE": "2",
        }
        roles = [*((address, "gateway") for address in ADDRESSES), (_WRITER, "writer")]
        *gateways, writer = await asyncio.gather(
            *(opened.enter_async_context(_role(role, folder / at, at, exchanged)) for at, role in roles)
        )
        dns = await opened.enter_async_context(name_server(ADDRESSES))
        places = {"LISTEN": f"127.0.0.1:{outer}", "DNS": dns, "GATEWAYS": f"gateway.example:{inner}"}
        told = await opened.enter_async_context(_balancer(places))
        await _answering(outer)
        yield Stack(worker, tuple(gateways), writer, outer, told, environment["MNEME_KEYS"].partition(":")[0])


def free_port(*addresses: str) -> int:
    """One that is free on all of them."""
    while True:
        with socket.socket() as first:
            first.bind((addresses[0], 0))
            port: int = first.getsockname()[1]
            with suppress(OSError):
                for address in addresses[1:]:
                    with socket.socket() as other:
                        other.bind((address, port))
                return port


@asynccontextmanager
async def _role(name: str, data: Path, address: str, exchanged: dict[str, str]) -> AsyncIterator[Process]:
    service = services()[name]
    _share_models(data)
    env = {**os.environ, **service["environment"], **exchanged, "MNEME_HOST": address, "MNEME_DATA": str(data)}
    async with _process(sys.executable, "-m", *service["command"], env=env) as process:
        await _answering(int(exchanged["MNEME_PORT"]), address, process)
        yield process


@asynccontextmanager
async def _redis(folder: Path, port: int) -> AsyncIterator[Process]:
    service = services()["redis"]
    script = service["command"][0].replace("dir /data", f"dir {folder}\nport {port}\nbind 127.0.0.1")
    async with _process(*service["entrypoint"], script, env={**os.environ, **service["environment"]}) as process:
        yield process


@asynccontextmanager
async def _balancer(places: dict[str, str]) -> AsyncIterator[asyncio.StreamReader]:
    env = {**os.environ, **{f"BALANCER_{name}": place for name, place in places.items()}}
    command = (found("haproxy") or "", "-W", "-db", "-f", str(ROOT / "deploy/haproxy.cfg"))
    async with _process(*command, env=env, stderr=asyncio.subprocess.PIPE) as process:
        assert process.stderr is not None
        yield process.stderr


@asynccontextmanager
async def _process(*command: str, env: dict[str, str], stderr: int | None = None) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, stderr=stderr
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
            process.send_signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(_LEAVING):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answering(port: int, address: str = "127.0.0.1", process: Process | None = None) -> None:
    async with asyncio.timeout(_SECONDS):
        while True:
            assert process is None or process.returncode is None, "it ended before it answered"
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(address, port)
                client = Wire(reader, writer)
                await client.send(request(b"GET", b"/health/live", b"", ()))
                answer = await client.response()
                writer.close()
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)
