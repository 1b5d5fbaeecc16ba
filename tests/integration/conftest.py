"""One worker and one gateway per test file, because starting them costs more than most tests; scripts are per test."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.support.gateway import Running, running_gateway
from tests.support.upstream import Upstream, scripted_upstream


@dataclass(frozen=True)
class House:
    """The worker and the gateway in front of it."""

    worker: Upstream
    gateway: Running

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.gateway.port

    @property
    def worker_port(self) -> int:
        """Where the worker listens."""
        return int(self.worker.url.split(":")[2].split("/")[0])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The house, empty."""
    async with (
        scripted_upstream() as worker,
        running_gateway(tmp_path_factory.mktemp("data"), worker.url, drain_seconds=1.0) as gateway,
    ):
        yield House(worker, gateway)


@pytest.fixture
def house(built: House) -> House:
    """The house, with a worker that has heard nothing yet."""
    built.worker.replies.clear()
    built.worker.received.clear()
    built.worker.aborted = asyncio.Event()
    return built
