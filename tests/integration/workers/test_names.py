"""Replicas behind a name, over real sockets: the name's addresses change, and the requests follow without a restart."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest_asyncio

from gateway.upstream.aliases import Alias
from gateway.upstream.client import Patience, Upstream
from gateway.upstream.fleet import Fleet
from gateway.upstream.muster import open_fleet
from gateway.upstream.named import Named
from gateway.upstream.pool import Pool
from gateway.upstream.worker import Worker
from tests.integration.workers.conftest import NEAR, models
from tests.support.upstream import Reply, scripted_upstream
from tests.support.upstream import Upstream as Scripted

PATIENCE = Patience(2.0, 10.0, 10.0)
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@dataclass
class Town:
    """Three replicas with one port, and which of them the name has."""

    replicas: list[Scripted]
    port: int
    addresses: Sequence[str] = field(default=HOSTS[:2])

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """What a resolver is."""
        assert (host, port) == ("workers.test", self.port)
        return self.addresses

    @property
    def url(self) -> str:
        """The base URL by name."""
        return f"http://workers.test:{self.port}/v1"

    @property
    def heard(self) -> list[bool]:
        """Which replicas got a request; forgotten when it is told."""
        heard = [bool(replica.received) for replica in self.replicas]
        for replica in self.replicas:
            replica.received.clear()
        return heard

    async def ask(self, fleet: Fleet) -> None:
        """Twenty requests of as many conversations."""
        for i in range(20):
            async with fleet.passage(fleet.default, i.to_bytes(16, "big")).send("GET", "/x", [], b"") as answer:
                await answer.whole()


@pytest_asyncio.fixture
async def town() -> AsyncIterator[Town]:
    """The town."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(scripted_upstream(host=HOSTS[0]))
        port = int(first.url.rpartition(":")[2].removesuffix("/v1"))
        rest = [await stack.enter_async_context(scripted_upstream(port, host)) for host in HOSTS[1:]]
        replicas = [first, *rest]
        for replica in replicas:
            replica.models = models(NEAR)
        yield Town(replicas, port)


async def test_requests_follow_the_addresses_of_a_name(town: Town) -> None:
    """Those that it has when a fleet opens, and those that it has later; each is asked under the name."""
    async with open_fleet([f"dns+{town.url}"], "", {}, PATIENCE, resolve=town.resolve) as fleet:
        await town.ask(fleet)
        host = town.replicas[0].received[0].header(b"host")
        before = town.heard
        town.addresses = HOSTS[1:]
        (name,) = fleet.default.watched
        assert isinstance(name, Named)
        await name.look()
        await town.ask(fleet)

    assert (before, town.heard) == ([True, True, False], [False, True, True])
    assert host == f"workers.test:{town.port}".encode()


async def test_a_replica_that_leaves_ends_what_it_says(town: Town) -> None:
    """Its stream goes on after the name has lost it; its connections are closed when nothing runs there any more."""
    reply = Reply(chunks=(b"a", b"b", b"c", b"d"), pause=0.15)
    town.replicas[0].reply(reply)
    town.addresses = HOSTS[:1]
    opened: list[Worker] = []

    def open(url: str, address: str) -> Worker:
        opened.append(Worker(Upstream(town.url, "", PATIENCE, address), url))
        return opened[-1]

    async with Named(town.url, open, town.resolve, every=0.05) as name:
        pool = Pool((), [name])
        fleet = Fleet([pool], {}, {})
        watching = asyncio.create_task(fleet.watch())
        async with fleet.passage(pool, None).send("GET", "/x", [], b"") as answer:
            town.addresses = HOSTS[1:2]
            async with asyncio.timeout(5):
                while opened[0] in pool.replicas:
                    await asyncio.sleep(0.01)
            said = await answer.whole()
        await town.ask(fleet)
        async with asyncio.timeout(5):
            while not opened[-1].reachable:
                await asyncio.sleep(0.01)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert (said, town.heard) == (b"abcd", [True, True, False])
    assert [worker.url for worker in opened] == [f"http://{host}:{town.port}/v1" for host in HOSTS[:2]]


async def test_a_pool_may_have_names_and_urls(town: Town) -> None:
    """And a worker that two lists name is one and the same."""
    third = town.replicas[2].url
    aliases = {"third": Alias(third)}
    async with open_fleet([f"dns+{town.url}", third], "", aliases, PATIENCE, resolve=town.resolve) as fleet:
        await town.ask(fleet)
        alone = fleet.homes["third"].replicas

    assert town.heard == [True, True, True]
    assert [worker.url for worker in fleet.workers] == [third, *(f"http://{host}:{town.port}/v1" for host in HOSTS[:2])]
    assert alone == (fleet.workers[0],)
