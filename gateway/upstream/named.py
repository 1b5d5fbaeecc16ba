"""The replicas behind one name, as DNS tells them: looked up again and again, so that they come and go without a
restart. Knows no request.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import SettingsRefused
from gateway.upstream.worker import Worker

log = logging.getLogger(__name__)

SCHEME = "dns+"
_EVERY = 5.0
_PATIENCE = 5.0
_PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host's addresses for a port; OSError when nobody knows."""
Opened = Callable[[str, str], Worker]
"""A worker by its base URL and the address to connect to ("" for all that the URL's host has)."""


async def resolved(host: str, port: int) -> Sequence[str]:
    """As the system resolves names, in one of the loop's own threads."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Named:
    """`here` are the replicas that the name had when it was last told. One that the name has no more gets no new
    requests, and those that run there end in peace. A look-up that fails changes nothing."""

    def __init__(self, url: str, opened: Opened, resolve: Resolve = resolved, every: float = _EVERY) -> None:
        """`url` is a base URL; `every` the seconds between look-ups. SettingsRefused if it cannot be read."""
        self._url = url
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as wrong:
            raise SettingsRefused(f"The upstream's URL cannot be read: {wrong}.") from None
        self._user = parts.netloc.rpartition("@")[0]
        self._opened = opened
        self._resolve = resolve
        self._every = every
        self.here: tuple[Worker, ...] = ()
        self._leaving: list[Worker] = []
        self._lost = False

    async def look(self) -> None:
        """Ask now who stands behind the name."""
        try:
            async with asyncio.timeout(_PATIENCE):
                addresses = await self._resolve(self._host, self._port)
        except (OSError, TimeoutError, UnicodeError):  # the last: what cannot be a name at all
            addresses = ()
        if self._lost != (not addresses):
            self._lost = not addresses
            say = "the name %s does not resolve; its last known replicas stay" if self._lost else "the name %s resolves"
            log.warning(say, self._host)
        if self._lost:
            return
        known = {worker.url: worker for worker in (*self.here, *self._leaving)}
        urls = {self._at(address): address for address in sorted(set(addresses))}
        self.here = tuple(known.get(url) or self._opened(self._at(at), at) for url, at in urls.items())
        self._leaving = [worker for url, worker in known.items() if url not in urls]

    async def watch(self) -> None:
        """Look now and then, and watch every replica while it is there, for as long as this runs."""
        watching: dict[Worker, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                for worker in [worker for worker in watching if worker not in self.here]:
                    watching.pop(worker).cancel()
                for worker in self.here:
                    if worker not in watching:
                        watching[worker] = tasks.create_task(worker.watch())
                await self._let_go()
                await asyncio.sleep(self._every)
                await self.look()

    async def close(self) -> None:
        """Cut all connections."""
        for worker in (*self.here, *self._leaving):
            await worker.upstream.close()

    async def __aenter__(self) -> "Named":
        await self.look()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.close()

    async def _let_go(self) -> None:
        """Close those that have left and have nothing more to say."""
        idle = [worker for worker in self._leaving if not worker.standing.running]
        self._leaving = [worker for worker in self._leaving if worker not in idle]
        for worker in idle:
            await worker.upstream.close()

    def _at(self, address: str) -> str:
        """The base URL of the replica at an address: it tells it from its fellows."""
        spelled = f"[{address}]" if ":" in address else address
        user = f"{self._user}@" if self._user else ""
        return urlsplit(self._url)._replace(netloc=f"{user}{spelled}:{self._port}").geturl()
