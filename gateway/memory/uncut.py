"""Calls that end by themselves, though who made them has left. Knows no call.

httpx loses a connection for good where a request is cancelled at a wrong moment (encode/httpcore#1093), until none is
left and nothing is answered any more; and recall, which has a deadline, cancels whatever is late.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
_AT_ONCE = 50  # fewer than the hundred connections that httpx has, so that no call waits for one


class Uncut:
    """Holds the calls that run, until they end or `close`."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Future[Any]] = set()

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """What it gives or raises. Who is cancelled leaves at once: the call is not made, or, if it was, goes on, so
        that it needs a limit of its own."""
        await self._room.acquire()
        running = asyncio.ensure_future(call())
        self._running.add(running)
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    async def close(self) -> None:
        """Now they are cut."""
        left = [*self._running]
        for running in left:
            running.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        self._room.release()
