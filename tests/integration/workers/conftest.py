"""Two workers behind one gateway: a stock one that is the default, and one with a KV policy that aliases lead to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.support.gateway import Running, running_gateway
from tests.support.upstream import Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT

NEAR = {"id": "near", "object": "model", "created": 4, "owned_by": "vllm", "root": "near", "odd": [1.0, None]}
FAR = {"id": "far/model", "object": "model", "created": 5, "owned_by": "vllm", "max_model_len": 100_000, "root": "/far"}
STOCK = Reply(404, chunks=(b'{"detail":"Not Found"}',))


def told(value: Any) -> Reply:
    """A JSON answer."""
    return Reply(chunks=(orjson.dumps(value),))


def models(*cards: dict[str, Any]) -> Reply:
    """A list of models."""
    return told({"object": "list", "data": cards})


@dataclass(frozen=True)
class Yard:
    """`near` is the default worker, `far` the one with the policy."""

    near: Upstream
    far: Upstream
    gateway: Running

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.gateway.port


async def known(gateway: Running) -> None:
    """Return when every worker has told what it is."""
    async with asyncio.timeout(20):
        while not all(worker.told for worker in gateway.services.fleet.workers):
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Yard]:
    """The yard of this file."""
    async with scripted_upstream() as near, scripted_upstream() as far:
        near.models, far.models, far.kv = models(NEAR), models(FAR), told(REPORT)
        aliases = {
            "far": {"url": far.url},
            "endless": {"policy": "sink_window"},
            "whole": {"url": far.url, "model": "far/model", "policy": "full"},
            "surprised": {"policy": "surprisal"},
        }
        workers = orjson.dumps(aliases).decode()
        data = tmp_path_factory.mktemp("data")
        async with running_gateway(data, near.url, workers=workers, drain_seconds=1.0) as gateway:
            await known(gateway)
            yield Yard(near, far, gateway)


@pytest.fixture
def yard(opened: Yard) -> Yard:
    """The yard, with workers that have heard nothing yet."""
    for worker in (opened.near, opened.far):
        worker.replies.clear()
        worker.received.clear()
        worker.counted.clear()
    return opened
