"""One gateway and one scripted worker for the end-to-end tests: opening it costs seconds, users keep them apart."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.e2e.worker import SHAPED, Worker, understood
from tests.support.gateway import Running, running_gateway
from tests.support.upstream import scripted_upstream


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def the_worker() -> AsyncIterator[Worker]:
    """The worker behind the gateway."""
    async with scripted_upstream() as upstream:
        yield Worker(upstream)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway's data directory."""
    return tmp_path_factory.mktemp("shared-e2e")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(the_worker: Worker, data: Path) -> AsyncIterator[Running]:
    """The gateway, memory on."""
    async with running_gateway(data, the_worker.url) as running:
        yield running


@pytest.fixture
def worker(the_worker: Worker) -> Worker:
    """The same worker, having heard nothing yet."""
    the_worker.upstream.received.clear()
    the_worker.says, the_worker.fills, the_worker.pause = understood, lambda body: SHAPED, 0.0
    return the_worker


@pytest.fixture
def user() -> str:
    """Somebody new, so that nothing is known about them."""
    return f"user-{uuid4().hex}"
