"""The real process with its own event loop (uvloop): what the tests see inside their own loop holds there too."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pytest
import pytest_asyncio
import uvicorn
import uvloop

from gateway.server import configure
from tests.integration.test_disconnect import event, said
from tests.support.gateway import ROOT, spawned_gateway
from tests.support.puppet import Puppet, puppet_worker, read_head
from tests.support.raw import ask, wire
from tests.support.upstream import scripted_upstream

pytestmark = pytest.mark.slow
in_one_loop = pytest.mark.asyncio(loop_scope="module")

EVENTS, PACE = 12, 0.05


@dataclass(frozen=True)
class Process:
    """A puppet and the process in front of it."""

    puppet: Puppet
    port: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """One process for this file."""
    data = tmp_path_factory.mktemp("data")
    async with puppet_worker() as puppet, spawned_gateway(data, upstream=puppet.url) as gateway:
        yield Process(puppet, int(gateway.url.rpartition(":")[2]))


@in_one_loop
async def test_events_arrive_as_they_are_sent(process: Process) -> None:
    """Small events are not collected on the way: each arrives before the worker sends the next one."""
    sent: list[float] = []

    async def paced(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/chat/" not in await read_head(reader):  # the gateway asks for models and policies by itself
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for i in range(10, 10 + EVENTS):
            sent.append(time.perf_counter())
            writer.write(b"%x\r\n%s\r\n" % (len(event(str(i))), event(str(i))))
            await asyncio.sleep(PACE)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    await process.puppet.play(paced)
    arrived: list[float] = []
    async with wire(process.port) as client:
        await client.send(said("Pace yourself, please.", stream=True))
        await client.head()
        while chunk := await client.chunk():
            # A busy machine may deliver two events in one piece; what counts is the usual delay.
            arrived += [time.perf_counter()] * chunk.count(b"data: ")

    assert len(arrived) == EVENTS
    assert median(there - here for here, there in zip(sent, arrived, strict=True)) < PACE


@in_one_loop
async def test_leaving_aborts_the_worker(process: Process) -> None:
    """Before the first byte."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/chat/" not in await read_head(reader):
            return
        asked.set()
        while await reader.read(65536):
            pass
        gone.set()

    await process.puppet.play(silent)
    async with wire(process.port) as client:
        await client.send(said("Never mind, thank you."))
        async with asyncio.timeout(5):
            await asked.wait()
        began = time.perf_counter()
        client.leave()
        async with asyncio.timeout(5):
            await gone.wait()

    assert time.perf_counter() - began < 1.0


@in_one_loop
@pytest.mark.parametrize(
    ("data", "status"), [(b"hello\r\n\r\n", 400), (b"GET /v1/x HTTP/1.1\r\nx: " + b"a" * 3_000_000, 431)]
)
async def test_what_is_no_request_is_refused_and_the_next_one_served(
    process: Process, data: bytes, status: int
) -> None:
    """The refusal arrives although the client is still sending."""
    async with wire(process.port) as client:
        sending = asyncio.create_task(client.send(data))
        answer = await client.response()
        sending.cancel()

    assert (answer.status, "error" in orjson.loads(answer.body)) == (status, True)
    assert (await ask(process.port, b"GET", b"/health/live")).status == 200


def test_events_do_not_wait_for_each_other_on_the_wire() -> None:
    """TCP_NODELAY is set on connections that are accepted under uvloop."""

    async def serve() -> int:
        server = uvicorn.Server(configure(_silent, "127.0.0.1", 0, 0.0))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        async with wire(server.servers[0].sockets[0].getsockname()[1]):
            while not server.server_state.connections:
                await asyncio.sleep(0.01)
            (connection,) = server.server_state.connections
            accepted = connection.transport.get_extra_info("socket")
            set_to: int = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        server.should_exit = True
        await serving
        return set_to

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(serve()) == 1


async def _silent(scope: Any, receive: Any, send: Any) -> None:
    """An application that nobody asks."""


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """Exit status 1, and one line that says which and what to do."""
    async with scripted_upstream() as other:
        port = other.url.rpartition(":")[2].removesuffix("/v1")
        env = {**os.environ, "MNEME_DATA": str(tmp_path), "MNEME_PORT": port, "MNEME_UPSTREAM": other.url}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", cwd=ROOT, env=env, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()

    assert process.returncode == 1
    assert (
        said.decode().splitlines()[-1].startswith(f"mneme: Cannot listen on 127.0.0.1:{port} (Address already in use)")
    )
