"""Turns on their way to Redis: kept here, in order, while it is away or full. Knows no turn's meaning.

What waits while one batch is on its way makes the next batch. A caller may stop waiting; its turn goes on.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.errors import MemoryUnavailable, StoreAway

log = logging.getLogger(__name__)

Row = tuple[bytes, bytes, bytes, str, float | None]
"""Whose it is, its id, its body, when it was said, and when it began, see ports.Journal.append."""

_BATCH = 128  # Redis does nothing else meanwhile: some milliseconds
_LIMIT = 4096
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(slots=True)
class _Parcel:
    row: Row
    future: asyncio.Future[int]
    heard: bool = True
    """Somebody waits for the number."""


class Outbox:
    """Sends by `send`, which answers with a number per row. At most `limit` rows wait."""

    def __init__(self, send: Callable[[Sequence[Row]], Awaitable[list[int]]], limit: int = _LIMIT) -> None:
        self._send = send
        self._limit = limit
        self._parcels: deque[_Parcel] = deque()
        self._some = asyncio.Event()
        self._closed = False

    async def put(self, row: Row) -> int:
        """The row's number once it is written. MemoryUnavailable when it was refused, or there is no room."""
        if self._closed:
            raise MemoryUnavailable("The journal is closed.")
        if len(self._parcels) >= self._limit:
            raise MemoryUnavailable("Redis does not keep up: the journal's queue is full.")
        parcel = _Parcel(row, asyncio.get_running_loop().create_future())
        self._parcels.append(parcel)
        self._some.set()
        try:
            return await asyncio.shield(parcel.future)
        except asyncio.CancelledError:
            parcel.heard = False
            raise

    async def flushed(self, who: bytes, seconds: float) -> None:
        """Return once what waits now of that user is written. MemoryUnavailable when it is not within so many seconds.

        Others' turns may wait for longer: forgetting is how a full Redis gets room for them."""
        waiting = [parcel.future for parcel in self._parcels if parcel.row[0] == who]
        if not waiting:
            return
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait(waiting)
        except TimeoutError:
            raise MemoryUnavailable("Redis does not keep up: turns still wait to be journalled.") from None

    async def run(self) -> None:
        """Send until closed and empty, or until closed and refused."""
        pause = _FIRST_PAUSE
        while not (self._closed and not self._parcels):
            await self._some.wait()
            self._some.clear()
            while self._parcels:
                away = await self._step()
                if away is None:
                    pause = _FIRST_PAUSE
                    continue
                if self._closed:
                    return self._drop(len(self._parcels), away)
                if pause == _FIRST_PAUSE:
                    log.warning("%s %d turns wait for it", away.message, len(self._parcels))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Nothing more comes; `run` ends when it has tried what is left."""
        self._closed = True
        self._some.set()

    async def _step(self) -> StoreAway | None:
        """Send the oldest; the reason when they must be sent again."""
        batch = [*islice(self._parcels, _BATCH)]
        try:
            numbers = await self._send([parcel.row for parcel in batch])
        except StoreAway as away:
            return away
        except MemoryUnavailable as failed:
            self._drop(len(batch), failed)
            return None
        for number in numbers:
            self._parcels.popleft().future.set_result(number)
        return None

    def _drop(self, count: int, failed: MemoryUnavailable) -> None:
        unheard = 0
        for _ in range(count):
            parcel = self._parcels.popleft()
            if parcel.heard:
                parcel.future.set_exception(failed)
            else:
                parcel.future.cancel()
                unheard += 1  # its caller was told that it stays queued
        if unheard:
            log.error("%d turns that nobody waited for any more are lost: %s", unheard, failed.message)
