"""Turns on their way to a server: in order, bounded, sent again while it is away, and never lost without a word."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.errors import MemoryUnavailable, StoreAway
from gateway.memory.stores.redis.outbox import Outbox, Row


@dataclass
class Server:
    """Numbers what it is sent; away or full when told so, and slow until the gate opens."""

    away: bool = False
    full: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    batches: list[list[bytes]] = field(default_factory=list)

    async def send(self, rows: Sequence[Row]) -> list[int]:
        """What the outbox calls."""
        await self.gate.wait()
        if self.away:
            raise StoreAway("away")
        if self.full:
            raise MemoryUnavailable("full")
        first = sum(map(len, self.batches))
        self.batches.append([id for _, id, *_ in rows])
        return [first + place for place in range(len(rows))]


def row(number: int) -> Row:
    """A turn."""
    return b"who", b"%d" % number, b"body", "1.0", None


@asynccontextmanager
async def running(server: Server, limit: int = 4096) -> AsyncIterator[Outbox]:
    """Sends until the end of the block, and what is left then."""
    outbox = Outbox(server.send, limit)
    sending = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        outbox.close()
        server.gate.set()
        await asyncio.wait_for(sending, 5)


async def put(outbox: Outbox, numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    """All of them wait."""
    tasks = [asyncio.create_task(outbox.put(row(number))) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_one_batch_is_sent_makes_the_next() -> None:
    """In the order in which it came, and each caller gets the number of its own."""
    server = Server()
    async with running(server) as outbox:
        tasks = await put(outbox, [0])
        await asyncio.sleep(0)
        tasks += await put(outbox, range(1, 200))
        server.gate.set()

        assert await asyncio.gather(*tasks) == [*range(200)]

    assert [len(batch) for batch in server.batches] == [1, 128, 71]
    assert [id for batch in server.batches for id in batch] == [b"%d" % number for number in range(200)]


async def test_a_full_outbox_refuses() -> None:
    """At once, and what waits is still sent."""
    server = Server()
    async with running(server, limit=2) as outbox:
        tasks = await put(outbox, range(2))

        with pytest.raises(MemoryUnavailable, match="queue is full"):
            await outbox.put(row(3))

        server.gate.set()
        assert await asyncio.gather(*tasks) == [0, 1]


async def test_what_the_server_refuses_is_its_callers_to_hear(caplog: pytest.LogCaptureFixture) -> None:
    """The next ones are sent; what nobody waits for is counted in the log."""
    server = Server(full=True)
    async with running(server) as outbox:
        heard, unheard = await put(outbox, range(2))
        unheard.cancel()
        await asyncio.sleep(0)
        server.gate.set()
        with pytest.raises(MemoryUnavailable, match="full"):
            await heard

        server.full = False
        assert await outbox.put(row(2)) == 0
    assert "1 turns that nobody waited for any more are lost" in caplog.text


async def test_a_server_that_is_away_is_asked_again() -> None:
    """Until it is back; one who stopped waiting is served as well."""
    server = Server(away=True)
    server.gate.set()
    async with running(server) as outbox:
        first, second = await put(outbox, range(2))
        await asyncio.sleep(0.2)
        first.cancel()
        server.away = False

        assert await asyncio.wait_for(second, 5) == 1

    assert server.batches == [[b"0", b"1"]]


async def test_flushed_waits_for_what_is_there() -> None:
    """Also for what its caller no longer waits for; not for ever, not for what comes later, and not for others."""
    server = Server()
    async with running(server) as outbox:
        await outbox.flushed(b"who", 0)
        (given_up,) = await put(outbox, [0])
        given_up.cancel()
        with pytest.raises(MemoryUnavailable):
            await outbox.flushed(b"who", 0.05)
        await outbox.flushed(b"another", 0)
        flushing = asyncio.create_task(outbox.flushed(b"who", 5))
        await asyncio.sleep(0)
        server.gate.set()
        await flushing

        assert server.batches == [[b"0"]]


async def test_a_closed_outbox_takes_nothing() -> None:
    """It says so."""
    server = Server()
    async with running(server) as outbox:
        pass

    with pytest.raises(MemoryUnavailable, match="closed"):
        await outbox.put(row(0))
