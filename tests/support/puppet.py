"""A worker whose every move on a connection is the test's own; for behaviour that is no HTTP, or early, or never."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Puppet:
    """`act` plays each new connection; `opened` counts them; `open` holds those that are not over yet."""

    url: str = ""
    act: Act | None = None
    opened: int = 0
    open: set[asyncio.Task[None]] = field(default_factory=set)

    async def play(self, act: Act) -> None:
        """Play this on every connection from now on; those that the gateway keeps from before are closed."""
        self.act = act
        for task in list(self.open):
            task.cancel()
        await asyncio.sleep(0.05)  # so that whoever pools them hears of it


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """A request's head, with the empty line."""
    return await reader.readuntil(b"\r\n\r\n")


async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request that has no body."""
    while True:
        await read_head(reader)
        writer.write(OK)


@asynccontextmanager
async def puppet_worker() -> AsyncIterator[Puppet]:
    """A listening puppet; without an `act` it obeys."""
    puppet = Puppet()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        puppet.open.add(task)
        puppet.opened += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await (puppet.act or obey)(reader, writer)
        finally:
            puppet.open.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 26)
    puppet.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield puppet
    finally:
        server.close()
        running = list(puppet.open)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
