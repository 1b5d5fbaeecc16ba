"""SIGTERM while answers run, on the real process: they end, what they taught is kept, and the process ends well."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from gateway.memory.records import Scope
from tests.integration.test_disconnect import event, said
from tests.support.gateway import Spawned, running_gateway, spawned_gateway
from tests.support.raw import wire
from tests.support.upstream import SSE, Reply, scripted_upstream

DONE = b"data: [DONE]\n\n"
TEXTS = tuple(f"Stream {i}: my boat number {i} lies in Split." for i in range(4))


def port(gateway: Spawned) -> int:
    """Where it listens."""
    return int(gateway.url.rpartition(":")[2])


async def kept(data: Path, url: str) -> dict[str, str]:
    """Text → reply of every memory that a new process finds."""
    async with running_gateway(data, url, drain_seconds=1.0) as gateway:
        page = await gateway.services.memories.browse(Scope("local", "local"), limit=200)
        assert (await gateway.services.journal.lag()).pending == 0
        return {memory.text: memory.reply for memory in page.items}


async def stream(gateway: Spawned, text: str, begun: asyncio.Event) -> bytes:
    """One streamed question; `begun` is set with the first event."""
    async with wire(port(gateway)) as client:
        await client.send(said(text, stream=True))
        await client.head()
        body = await client.chunk()
        begun.set()
        while chunk := await client.chunk():
            body += chunk
        return body


@pytest.mark.slow
async def test_running_answers_end_and_are_kept(tmp_path: Path) -> None:
    """Four streams, two SIGTERMs: every byte arrives, exit status 0, journal and index complete."""
    chunks = (*(event(f"{i} ") for i in range(10)), DONE)
    async with scripted_upstream() as worker:
        worker.default = Reply(headers=SSE, chunks=chunks, pause=0.1)
        async with spawned_gateway(tmp_path, upstream=worker.url, drain_seconds="20") as gateway:
            begun = [asyncio.Event() for _ in TEXTS]
            streams = [asyncio.create_task(stream(gateway, t, b)) for t, b in zip(TEXTS, begun, strict=True)]
            await asyncio.gather(*(event.wait() for event in begun))
            gateway.stop()
            await asyncio.sleep(0.2)
            gateway.stop()
            bodies = await asyncio.gather(*streams)
            async with asyncio.timeout(20):
                status = await gateway.process.wait()
        found = await kept(tmp_path, worker.url)

    assert (bodies, status) == ([b"".join(chunks)] * 4, 0)
    assert found == dict.fromkeys(TEXTS, "0 1 2 3 4 5 6 7 8 9")


@pytest.mark.slow
async def test_an_answer_that_outlasts_the_drain_is_cut_and_kept_as_a_part(tmp_path: Path) -> None:
    """The limit holds, the part that was said is remembered, and the process still ends well."""
    async with scripted_upstream() as worker:
        worker.default = Reply(headers=SSE, chunks=(event("Half of it."),), hang=True)
        async with spawned_gateway(tmp_path, upstream=worker.url, drain_seconds="1") as gateway:
            begun = asyncio.Event()
            streaming = asyncio.create_task(stream(gateway, TEXTS[0], begun))
            await begun.wait()
            began = time.perf_counter()
            gateway.stop()
            async with asyncio.timeout(20):
                status = await gateway.process.wait()
            took = time.perf_counter() - began
            cut = await asyncio.gather(streaming, return_exceptions=True)
        found = await kept(tmp_path, worker.url)

    assert (status, found, isinstance(cut[0], Exception)) == (0, {TEXTS[0]: "Half of it."}, True)
    assert 0.9 < took < 15


@pytest.mark.slow
async def test_a_second_ctrl_c_cuts_at_once_and_keeps_the_part(tmp_path: Path) -> None:
    """Impatience costs the rest of the answer, not the memory of what was said."""
    async with scripted_upstream() as worker:
        worker.default = Reply(headers=SSE, chunks=(event("Half of it."),), hang=True)
        async with spawned_gateway(tmp_path, upstream=worker.url, drain_seconds="60") as gateway:
            begun = asyncio.Event()
            streaming = asyncio.create_task(stream(gateway, TEXTS[0], begun))
            await begun.wait()
            gateway.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.3)
            gateway.process.send_signal(signal.SIGINT)
            async with asyncio.timeout(20):
                status = await gateway.process.wait()
            await asyncio.gather(streaming, return_exceptions=True)
        found = await kept(tmp_path, worker.url)

    assert (status, found) == (0, {TEXTS[0]: "Half of it."})
