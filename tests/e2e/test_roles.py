"""`mneme gateway` and `mneme writer`, two of each, as processes over one Redis and one store, for a real client."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from gateway.memory.stores.redis import Connection
from tests.e2e.sdk import sdk, tell
from tests.e2e.worker import Worker
from tests.support.fleet import Fleet, Process, member, running_fleet

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

FACT = "My boat is called Dace and lies in Split."
QUESTION = "What is my boat called, and where does it lie?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(the_worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Two gateways, two writers."""
    folder = tmp_path_factory.mktemp("fleet")
    async with running_fleet(folder, the_worker.url, recall_deadline="2", drain_seconds="20") as running:
        yield running


async def ask(gateway: Process, text: str) -> None:
    """One message through this gateway, in a conversation of its own."""
    async with sdk(f"{gateway.url}/v1") as client:
        await tell(client, text)


async def forgotten(fleet: Fleet) -> None:
    """Nothing is known of the one local user."""
    async with httpx.AsyncClient(base_url=fleet.gateways[0].url, timeout=60) as client:
        assert (await client.post("/admin/forget")).status_code == 200


async def refused(process: Process) -> str:
    """What it says when it does not start."""
    with pytest.raises(AssertionError, match="ended before"):
        await process.start()
    assert await process.ended() == 1
    return process.log.read_text()


async def test_a_turn_told_here_is_recalled_there_at_once(fleet: Fleet, worker: Worker) -> None:
    """From the journal, before any writer has got to it."""
    for writer in fleet.writers:
        writer.signal(signal.SIGSTOP)
    try:
        await ask(fleet.gateways[0], FACT)
        await ask(fleet.gateways[1], QUESTION)
    finally:
        for writer in fleet.writers:
            writer.signal(signal.SIGCONT)

    assert FACT in worker.prompts[-1]
    await fleet.indexed()
    await forgotten(fleet)


async def test_a_turn_told_here_is_recalled_there_once_indexed(fleet: Fleet, worker: Worker) -> None:
    """By a writer in a process of its own; what it indexed is told by either gateway."""
    await ask(fleet.gateways[1], FACT)
    await fleet.indexed()
    await ask(fleet.gateways[0], QUESTION)

    assert FACT in worker.prompts[-1]
    for gateway in fleet.gateways:
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            texts = [memory["text"] for memory in (await client.get("/admin/memories")).json()["items"]]
            assert texts.count(FACT) == 1
    await fleet.indexed()
    await forgotten(fleet)


async def test_a_writer_tells_how_it_is(fleet: Fleet) -> None:
    """/health/ready and /metrics, and nothing else: it answers no question."""
    async with httpx.AsyncClient(base_url=fleet.writers[0].url) as client:
        ready = (await client.get("/health/ready")).json()
        metrics = (await client.get("/metrics")).text
        asked = await client.post("/v1/chat/completions", json={})

    assert (ready["status"], {*ready["parts"].values()}) == ("ok", {"ok"})
    assert {"memories", "journal", "embedder"} <= {*ready["parts"]}
    assert "mneme_journal_pending 0" in metrics
    assert asked.status_code == 404


@pytest.mark.parametrize("role", ["gateway", "writer"])
@pytest.mark.parametrize(
    "known", [{}, {"REDIS_URL": "redis://127.0.0.1:1", "SECRET": "x" * 32}, {"QDRANT_URL": "http://127.0.0.1:1"}]
)
async def test_a_role_that_could_not_share_is_refused(role: str, known: dict[str, str], tmp_path: Path) -> None:
    """Without MNEME_REDIS_URL or MNEME_QDRANT_URL each process would remember for itself; the message names both."""
    told = await refused(member(role, tmp_path / role, known))

    assert "set MNEME_REDIS_URL and MNEME_QDRANT_URL, or run `mneme serve`" in told


async def test_sigterm_drains_gateway_and_writer(fleet: Fleet, worker: Worker) -> None:
    """Streams end, what was told is in the journal, what a writer had is settled; each ends with status 0, and the
    others go on without it."""
    worker.pause = 0.1
    leaving, staying = fleet.gateways
    async with sdk(f"{leaving.url}/v1") as client:
        stream = await client.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": FACT}], stream=True
        )
        pieces = [await anext(stream)]
        leaving.signal(signal.SIGTERM)
        fleet.writers[0].signal(signal.SIGTERM)
        pieces += [piece async for piece in stream]
    assert {await leaving.ended(), await fleet.writers[0].ended()} == {0}
    worker.pause = 0.0

    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "Understood, that was message 1."
    await ask(staying, QUESTION)
    assert FACT in worker.prompts[-1]
    await fleet.indexed(gateway=1)
    async with Connection.open(fleet.redis.url, durability="process") as connection:
        consumers = await connection.call("XINFO", "CONSUMERS", b"mneme:{journal}:line", "writers")
        assert len(consumers) == 1
    await asyncio.gather(leaving.start(), fleet.writers[0].start())
