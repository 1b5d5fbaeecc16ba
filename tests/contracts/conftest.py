"""The tables of implementations, one per seam. A new adapter is one more line here, and passes the whole suite."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.memory.embedders.http import HttpEmbedder
from gateway.memory.embedders.minilm import MiniLM
from gateway.memory.ports import Embedder, Journal, MemoryStore, SessionStore, Source
from gateway.memory.stores.edge import EdgeStore
from gateway.memory.stores.redis import Connection, RedisAgenda, RedisJournal, RedisSessions
from gateway.memory.stores.sqlite import Database, SqliteAgenda, SqliteJournal, SqliteSessions
from gateway.memory.stores.traced import Traced
from gateway.memory.thinking import Agenda
from gateway.tenants.ports import Limiter, Registry
from gateway.tenants.rates import LocalLimiter
from gateway.tenants.stores.redis import RedisRegistry
from gateway.tenants.stores.redis_rates import RedisLimiter
from gateway.tenants.stores.sqlite import SqliteRegistry
from gateway.tracing import UNTRACED
from tests.contracts.samples import DIMENSION, TRACES_KEPT
from tests.support.embeddings import embedding_server
from tests.support.gateway import ROOT
from tests.support.model import Clock, ModelMemories
from tests.support.model_agenda import ModelAgenda
from tests.support.model_tenants import ModelLimiter, ModelRegistry
from tests.support.model_turns import ModelJournal, ModelSessions
from tests.support.qdrant import REAL, local_store, real_store, remove_real_collections, wire_store
from tests.support.redis_server import shared

Opening = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens the same store again and again: what was told stays."""


def model_memories(_path: Path, _clock: Clock) -> Opening:
    """The model itself passes its own suite."""
    return _alive(ModelMemories())


def traced_memories(_path: Path, _clock: Clock) -> Opening:
    """The model, with a span around what is done."""
    model = ModelMemories()

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        with model.open():
            yield Traced(model, UNTRACED)

    return opening


def edge(path: Path, _clock: Clock) -> Opening:
    """Qdrant's engine in this process."""
    return lambda: EdgeStore.open(path / "memories", embedder_identity="test", dimension=DIMENSION)


def qdrant_local(path: Path, _clock: Clock) -> Opening:
    """The client's own mode, without a server."""
    return lambda: local_store(path / "qdrant", dimension=DIMENSION)


def qdrant_wire(path: Path, _clock: Clock) -> Opening:
    """Its wire and its engine, in a server of the test's own."""
    return lambda: wire_store(path / "qdrant", dimension=DIMENSION)


def qdrant_server(path: Path, _clock: Clock) -> Opening:
    """A real server, if the environment names one."""
    if not REAL:
        pytest.skip("needs MNEME_TEST_QDRANT, the URL of a Qdrant server")
    return lambda: real_store(path, dimension=DIMENSION)


def model_sessions(_path: Path, _clock: Clock) -> Opening:
    """The model itself."""
    return _alive(ModelSessions(trace_limit=TRACES_KEPT))


def sqlite_sessions(path: Path, clock: Clock) -> Opening:
    """One file."""
    return _sqlite(path, lambda database: SqliteSessions(database, trace_limit=TRACES_KEPT, clock=clock))


def model_journal(_path: Path, clock: Clock) -> Opening:
    """The model itself."""
    return _alive(ModelJournal(clock=clock))


def sqlite_journal(path: Path, clock: Clock) -> Opening:
    """One file."""
    return _sqlite(path, lambda database: SqliteJournal(database, clock))


def redis_sessions(path: Path, clock: Clock) -> Opening:
    """One real server for all tests; each has a prefix of its own."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        async with _redis(path) as connection:
            yield RedisSessions(connection, trace_limit=TRACES_KEPT, clock=clock)

    return opening


def redis_journal(path: Path, clock: Clock) -> Opening:
    """The same server."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        async with _redis(path) as connection, RedisJournal.open(connection, clock=clock) as journal:
            yield journal

    return opening


def model_agenda(_path: Path, _clock: Clock) -> Opening:
    """The model itself."""
    return _alive(ModelAgenda())


def sqlite_agenda(path: Path, _clock: Clock) -> Opening:
    """One file."""
    return _sqlite(path, SqliteAgenda)


def redis_agenda(path: Path, _clock: Clock) -> Opening:
    """The run's server."""
    return _over_redis(path, RedisAgenda)


def model_registry(_path: Path, _clock: Clock) -> Opening:
    """The model itself."""
    return _alive(ModelRegistry())


def sqlite_registry(path: Path, _clock: Clock) -> Opening:
    """One file."""
    return _sqlite(path, SqliteRegistry)


def redis_registry(path: Path, _clock: Clock) -> Opening:
    """The run's server."""
    return _over_redis(path, RedisRegistry)


def model_limiter(_path: Path, clock: Clock) -> Opening:
    """The model itself."""
    return _over(lambda: ModelLimiter(clock))


def local_limiter(_path: Path, clock: Clock) -> Opening:
    """In this process."""
    return _over(lambda: LocalLimiter(clock))


def redis_limiter(path: Path, clock: Clock) -> Opening:
    """The run's server."""
    return _over_redis(path, lambda connection: RedisLimiter(connection, clock))


def minilm() -> AbstractAsyncContextManager[Embedder]:
    """The packaged weights; the built graph is shared by all test runs."""
    return MiniLM.open(Source(ROOT / "build" / "test-models"))


@asynccontextmanager
async def http() -> AsyncIterator[Embedder]:
    """An endpoint on loopback that hashes words."""
    async with embedding_server() as url, HttpEmbedder.open(Source(ROOT, url, "words", "key")) as embedder:
        yield embedder


MEMORIES = {
    "model": model_memories,
    "traced": traced_memories,
    "edge": edge,
    "qdrant-local": qdrant_local,
    "qdrant-wire": qdrant_wire,
    "qdrant-server": qdrant_server,
}
SESSIONS = {"model": model_sessions, "sqlite": sqlite_sessions, "redis": redis_sessions}
JOURNALS = {"model": model_journal, "sqlite": sqlite_journal, "redis": redis_journal}
AGENDAS = {"model": model_agenda, "sqlite": sqlite_agenda, "redis": redis_agenda}
REGISTRIES = {"model": model_registry, "sqlite": sqlite_registry, "redis": redis_registry}
LIMITERS = {"model": model_limiter, "local": local_limiter, "redis": redis_limiter}
EMBEDDERS = {"minilm": minilm, "http": http}


@pytest.fixture(scope="session", autouse=True)
def real_collections() -> Iterator[None]:
    """A real server is left as it was found."""
    yield
    asyncio.run(remove_real_collections())


@pytest.fixture
def clock() -> Clock:
    """The clock that the stores go by."""
    return Clock()


@pytest.fixture(params=MEMORIES)
def memories_of(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opening:
    """Opens one memory store, again if need be."""
    return MEMORIES[request.param](tmp_path, clock)


@pytest.fixture
async def memories(memories_of: Opening) -> AsyncIterator[MemoryStore]:
    """An open memory store, empty."""
    async with memories_of() as store:
        yield store


@pytest.fixture(params=SESSIONS)
def sessions_of(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opening:
    """Opens one session store, again if need be."""
    return SESSIONS[request.param](tmp_path, clock)


@pytest.fixture
async def sessions(sessions_of: Opening) -> AsyncIterator[SessionStore]:
    """An open session store, empty."""
    async with sessions_of() as store:
        yield store


@pytest.fixture(params=JOURNALS)
def journal_of(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opening:
    """Opens one journal, again if need be."""
    return JOURNALS[request.param](tmp_path, clock)


@pytest.fixture
async def journal(journal_of: Opening) -> AsyncIterator[Journal]:
    """An open journal, empty."""
    async with journal_of() as store:
        yield store


@pytest.fixture(params=AGENDAS)
def agenda_of(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opening:
    """Opens one agenda, again if need be."""
    return AGENDAS[request.param](tmp_path, clock)


@pytest.fixture
async def agenda(agenda_of: Opening) -> AsyncIterator[Agenda]:
    """An open agenda, empty."""
    async with agenda_of() as opened:
        yield opened


@pytest.fixture(params=REGISTRIES)
def registry_of(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opening:
    """Opens one registry, again if need be."""
    return REGISTRIES[request.param](tmp_path, clock)


@pytest.fixture
async def registry(registry_of: Opening) -> AsyncIterator[Registry]:
    """An open registry, empty."""
    async with registry_of() as opened:
        yield opened


@pytest.fixture(params=LIMITERS)
async def limiter(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Limiter]:
    """A limiter whose buckets are full."""
    async with LIMITERS[request.param](tmp_path, clock)() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=EMBEDDERS)
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    """An open embedder."""
    async with EMBEDDERS[request.param]() as embedder:
        yield embedder


def _alive(model: Any) -> Opening:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        with model.open():
            yield model

    return opening


def _sqlite(path: Path, over: Callable[[Database], Any]) -> Opening:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        async with Database.open(path / "mneme.db", durability="process") as database:
            yield over(database)

    return opening


def _redis(path: Path) -> AbstractAsyncContextManager[Connection]:
    return Connection.open(shared().url, durability="process", prefix=str(path))


def _over_redis(path: Path, over: Callable[[Connection], Any]) -> Opening:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        async with _redis(path) as connection:
            yield over(connection)

    return opening


def _over(make: Callable[[], Any]) -> Opening:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        yield make()

    return opening
