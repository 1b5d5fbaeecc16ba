"""What waits for an answer may leave at any moment; the connections it waited for are there afterwards."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from qdrant_client.http.exceptions import ResponseHandlingException

from gateway.errors import MemoryUnavailable
from gateway.memory.embedders.http import HttpEmbedder
from gateway.memory.ports import Source
from gateway.memory.stores.qdrant.server import Server, connect
from gateway.memory.uncut import Uncut
from tests.support.embeddings import answer, embedding_server
from tests.support.upstream import Reply, scripted_upstream

_CROWD, _CHURN = 150, 3.0  # more than the hundred connections that httpx has


async def test_an_embedder_whose_askers_left_answers_the_next_one() -> None:
    """Recall's deadline cancels; the pool of connections used to be empty after some hundreds of these."""
    async with (
        embedding_server(lambda asked: replace(answer(asked), wait=0.05)) as url,
        HttpEmbedder.open(Source(Path("none"), url, "m")) as embedder,
    ):
        await _left_alone(lambda: embedder.embed(["bees"]))

        async with asyncio.timeout(5):
            assert len(await embedder.embed(["the next one"])) == 1


async def test_a_store_over_rest_whose_askers_left_answers_the_next_one() -> None:
    """Qdrant's own client speaks REST through the same pool."""
    async with scripted_upstream(host="127.0.0.2") as server:  # the client takes 127.0.0.1 for a special case
        server.default = Reply(200, chunks=(b'{"result":{"collections":[]},"status":"ok","time":0}',), wait=0.05)
        server.answering = lambda _: server.default
        connection = connect(Server(server.url.removesuffix("/v1"), grpc=False))
        await _left_alone(lambda: connection.client.collection_exists("none"))

        async with asyncio.timeout(5):
            await connection.client.get_collections()
        await connection.close()


async def test_who_leaves_need_not_wait_and_the_call_ends() -> None:
    """At once, whatever the call does; and its failure is nobody's."""
    uncut, going, done = Uncut(), asyncio.Event(), asyncio.Event()

    async def call() -> None:
        await going.wait()
        done.set()
        raise OSError

    asking = asyncio.create_task(_asking(uncut, call))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled() and not done.is_set()

    going.set()
    await asyncio.wait_for(done.wait(), 1)


async def test_what_runs_is_cut_at_the_end() -> None:
    """Nothing outlives what it belongs to."""
    uncut, cut = Uncut(), asyncio.Event()

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    asking = asyncio.create_task(_asking(uncut, call))
    await asyncio.sleep(0.01)
    await uncut.close()

    assert cut.is_set()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()


async def _asking(uncut: Uncut, call: Callable[[], Awaitable[None]]) -> None:
    await uncut(call)


async def _left_alone(call: Callable[[], Awaitable[Any]]) -> None:
    """A crowd asks again and again for a while, and never waits for long."""
    dice, until = random.Random(7), asyncio.get_running_loop().time() + _CHURN

    async def hasty() -> None:
        while asyncio.get_running_loop().time() < until:
            with suppress(TimeoutError, MemoryUnavailable, ResponseHandlingException):
                async with asyncio.timeout(dice.random() * 0.1):
                    await call()

    await asyncio.gather(*(hasty() for _ in range(_CROWD)))
