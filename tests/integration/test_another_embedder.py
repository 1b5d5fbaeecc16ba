"""A gateway moves to another embedder, with both real: what it was told at any time is found at every time."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import FILLING, Scope
from gateway.memory.stores.edge import Directories
from gateway.memory.stores.naming import suffixed
from tests.support.embeddings import answer, embedding_server, told
from tests.support.gateway import ROOT, Running, running_gateway
from tests.support.upstream import Reply

OLD = suffixed("memories", "all-MiniLM-L6-v2")
NEW = suffixed("memories", "http:hashed")
LOCAL = Scope("local", "local")
FACTS = ["My sister Ada keeps bees in Riga.", "My boat is called Dace.", "The blue parcel stands on shelf nine."]


class Endpoint:
    """An embedding endpoint that can be away."""

    away = False
    url = ""

    def __call__(self, asked: dict[str, Any]) -> Reply:
        """Refuses everything meanwhile."""
        return told({}, 503) if self.away else answer(asked)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """It answers."""
    endpoint = Endpoint()
    async with embedding_server(endpoint) as endpoint.url:
        yield endpoint


def minilm_first(endpoint: Endpoint) -> dict[str, str]:
    """Reads MiniLM's index, writes both."""
    return {"next_embedder": "http", "next_embedder_url": endpoint.url, "next_embedder_model": "hashed"}


def http_first(endpoint: Endpoint) -> dict[str, str]:
    """Reads the endpoint's index, writes both."""
    return {**http_alone(endpoint), "next_embedder": "minilm"}


def http_alone(endpoint: Endpoint) -> dict[str, str]:
    """What is left at the end."""
    return {"embedder": "http", "embedder_url": endpoint.url, "embedder_model": "hashed"}


async def tell(gateway: Running, text: str) -> None:
    """One turn."""
    async with gateway.client(timeout=30) as client:
        body = {"model": "mneme-reader", "messages": [{"role": "user", "content": text}]}
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200


async def finds(gateway: Running, *texts: str) -> bool:
    """Whether each is recalled, once, for a question in its own words."""
    async with gateway.client(timeout=30) as client:
        for text in texts:
            body = {"model": "mneme-reader", "messages": [{"role": "user", "content": f"Is it so: {text}?"}]}
            preview = (await client.post("/admin/recall", json=body)).json()
            assert preview["skipped"] == []
            if [hit["memory"]["text"] for hit in preview["hits"]].count(text) != 1:
                return False
    return True


async def verified(data: Path, name: str = NEW) -> None:
    """Return once that index holds everything."""
    async with asyncio.timeout(30):
        while [s for s in await Directories(data).found() if s.name == name and s.behind]:
            await asyncio.sleep(0.05)


async def command(data: Path, *words: str, **knobs: str) -> tuple[int, str]:
    """`mneme reembed` as a process: its exit status, and what it said."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MNEME_")}
    env |= {"MNEME_DATA": str(data)} | {f"MNEME_{k.upper()}": v for k, v in knobs.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "reembed", *words),
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_every_step_finds_what_was_told_before(endpoint: Endpoint, tmp_path: Path) -> None:
    """From one embedder to the other and alone with it; the gateway fills and verifies the new index by itself."""
    async with running_gateway(tmp_path, "") as gateway:
        await tell(gateway, FACTS[0])
        await gateway.indexed()
    async with running_gateway(tmp_path, "", **minilm_first(endpoint)) as gateway:
        await tell(gateway, FACTS[1])
        assert await finds(gateway, *FACTS[:2])
        await gateway.indexed()
        await verified(tmp_path)
    async with running_gateway(tmp_path, "", **http_first(endpoint)) as gateway:
        assert await finds(gateway, *FACTS[:2])
        await tell(gateway, FACTS[2])
        assert await finds(gateway, *FACTS)
        await gateway.indexed()
    async with running_gateway(tmp_path, "", **minilm_first(endpoint)) as gateway:
        assert await finds(gateway, *FACTS)
    async with running_gateway(tmp_path, "", **http_alone(endpoint)) as gateway:
        assert await finds(gateway, *FACTS)
        assert gateway.services.embedder.identity == "http:hashed"

    assert {s.name: bool(s.behind) for s in await Directories(tmp_path).found()} == {"memories": True, NEW: False}


async def test_an_index_that_lacks_something_is_never_read(endpoint: Endpoint, tmp_path: Path) -> None:
    """Neither before it was verified, nor once something was told without it; filled again, it is."""
    async with running_gateway(tmp_path, "") as gateway:
        await tell(gateway, FACTS[0])
    await Directories(tmp_path).begin(NEW)
    with pytest.raises(DataDirectoryRefused, match="MNEME_NEXT_EMBEDDER"):
        async with running_gateway(tmp_path, "", **http_alone(endpoint)):
            pass
    async with running_gateway(tmp_path, "", **minilm_first(endpoint)):
        await verified(tmp_path)
    async with running_gateway(tmp_path, "") as gateway:  # taken back
        await tell(gateway, FACTS[1])
    with pytest.raises(DataDirectoryRefused, match="does not hold everything"):
        async with running_gateway(tmp_path, "", **http_first(endpoint)):
            pass
    async with running_gateway(tmp_path, "", **minilm_first(endpoint)):
        await verified(tmp_path)
    async with running_gateway(tmp_path, "", **http_alone(endpoint)) as gateway:
        assert await finds(gateway, *FACTS[:2])


async def test_while_the_new_embedder_is_away_answers_come_and_turns_wait(endpoint: Endpoint, tmp_path: Path) -> None:
    """What was told meanwhile is recalled, readiness names the part, and all is indexed when it is back."""
    async with running_gateway(tmp_path, "", **minilm_first(endpoint)) as gateway:
        await tell(gateway, FACTS[0])
        await gateway.indexed()
        endpoint.away = True
        await tell(gateway, FACTS[1])
        assert await finds(gateway, *FACTS[:2])
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            ready = (await client.get("/health/ready")).json()
        assert (ready["status"], ready["parts"]["second_index"]) == ("degraded", "failing")
        assert (await gateway.services.journal.lag()).pending == 1

        endpoint.away = False
        await gateway.indexed()
        assert await finds(gateway, *FACTS[:2])
        assert gateway.services.curator.second
        assert await gateway.services.curator.second.memories.count(LOCAL) == 2


async def test_the_certificate_counts_both(endpoint: Endpoint, tmp_path: Path) -> None:
    """Erased and left, by the names of both."""
    async with running_gateway(tmp_path, "", **minilm_first(endpoint)) as gateway, gateway.client() as client:
        await tell(gateway, FACTS[0])
        await gateway.indexed()
        certificate = (await client.post("/admin/forget")).json()
        verdict = (await client.post("/admin/forget/verify", json=certificate)).json()

    assert (certificate["erased"]["memories"], certificate["erased"]["second_memories"]) == (1, 1)
    assert (certificate["remains"]["memories"], certificate["remains"]["second_memories"]) == (0, 0)
    assert verdict["genuine"] and verdict["forgotten"]


@pytest.mark.slow
async def test_the_command_fills_and_removes_what_nobody_uses(endpoint: Endpoint, tmp_path: Path) -> None:
    """It refuses a directory in use, an index that is needed, and to begin without an aim; the way is told."""
    knobs = minilm_first(endpoint)
    async with running_gateway(tmp_path, "") as gateway:
        for fact in FACTS:
            await tell(gateway, fact)
        await gateway.indexed()
        assert "in use by another process" in (await command(tmp_path, **knobs))[1]
    assert "set MNEME_NEXT_EMBEDDER" in (await command(tmp_path))[1]

    status, said = await command(tmp_path, **knobs)

    assert (status, said.count("Verified: both indexes agree")) == (0, 1)
    status, said = await command(tmp_path, "--drop", "memories")  # nobody has started without it yet
    assert status == 1
    assert f"memories of all-MiniLM-L6-v2; {NEW} of http:hashed" in said
    async with running_gateway(tmp_path, "", **http_alone(endpoint)) as gateway:
        status, said = await command(tmp_path, "--drop", "memories")
        assert (status, said) == (0, "memories is removed, with all that it held.\n")
        assert await finds(gateway, *FACTS)
    with pytest.raises(DataDirectoryRefused, match="There is no index of embedder all-MiniLM-L6-v2"):
        async with running_gateway(tmp_path, ""):
            pass
    async with running_gateway(tmp_path, "", **http_first(endpoint)) as gateway:
        await verified(tmp_path, OLD)
        assert [s.name for s in await Directories(tmp_path).found() if s.behind != FILLING] == [OLD, NEW]
