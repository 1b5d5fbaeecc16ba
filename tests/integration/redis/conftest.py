"""Stores over a real redis-server: the run's own, or one per test where the test harms it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.memory.stores.redis import Connection, RedisJournal
from tests.support.redis_server import RedisServer, redis_server, shared

Writers = Callable[..., AbstractAsyncContextManager[RedisJournal]]
"""Opens one more process's journal, each over connections of its own."""


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """What this test's keys begin with."""
    return str(tmp_path)


@pytest.fixture
async def connection(prefix: str) -> AsyncIterator[Connection]:
    """To the run's server."""
    async with Connection.open(shared().url, durability="process", prefix=prefix) as opened:
        yield opened


@pytest.fixture
def writers(prefix: str) -> Writers:
    """All over the same journal."""

    @asynccontextmanager
    async def opening(lease: float = 30.0) -> AsyncIterator[RedisJournal]:
        async with (
            Connection.open(shared().url, durability="process", prefix=prefix) as connection,
            RedisJournal.open(connection, lease=lease) as journal,
        ):
            yield journal

    return opening


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that the test may harm."""
    with redis_server() as running:
        yield running
