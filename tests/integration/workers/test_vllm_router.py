"""Behind vllm-router, the real one: a session's turns reach the same engine, because the gateway names the session."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.test_splice import ANSWER
from tests.integration.workers.conftest import NEAR, models
from tests.support.gateway import ROOT, running_gateway
from tests.support.raw import CHAT, ask, chat
from tests.support.upstream import Upstream, scripted_upstream

ROUTER = ROOT / ".venv-vllm-router" / "bin" / "vllm-router"

pytestmark = pytest.mark.skipif(not ROUTER.exists(), reason="no vllm-router here: make bench-peers installs it")


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@asynccontextmanager
async def router(*engines: Upstream) -> AsyncIterator[int]:
    """The router in front of these engines; its port, when it answers."""
    port, metrics = free_port(), free_port()
    options = {"--port": port, "--prometheus-port": metrics, "--policy": "consistent_hash", "--log-level": "error"}
    words = [str(word) for pair in options.items() for word in pair]
    urls = [engine.url.removesuffix("/v1") for engine in engines]
    process = await asyncio.create_subprocess_exec(
        ROUTER, *words, "--disable-retries", "--worker-urls", *urls, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while not await healthy(port):
                await asyncio.sleep(0.1)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def healthy(port: int) -> bool:
    """Whether it would send a request on."""
    try:
        return (await ask(port, b"GET", b"/health")).status == 200
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


@pytest.mark.slow
async def test_a_session_reaches_the_same_engine_through_the_router(tmp_path: Path) -> None:
    """All its turns, and sessions are spread over both engines; their memory works as without a router."""
    async with scripted_upstream() as one, scripted_upstream() as two:
        for engine in (one, two):
            engine.models, engine.default = models(NEAR), ANSWER
        async with (
            router(one, two) as port,
            running_gateway(tmp_path, f"http://127.0.0.1:{port}/v1", affinity_header="X-Session-ID") as gateway,
        ):
            reached: list[list[int]] = []
            for name in range(12):
                for turn in range(3):
                    answer = await chat(gateway.port, f"Hello {turn}", (b"x-mneme-session", b"%d" % name), model="near")
                    assert (answer.status, answer.header(b"x-mneme-mode")) == (200, b"on")
                reached.append([sum(r.target == CHAT for r in engine.received) for engine in (one, two)])
                one.received.clear()
                two.received.clear()

    assert {tuple(sorted(turns)) for turns in reached} == {(0, 3)}
    assert {turns.index(3) for turns in reached} == {0, 1}
