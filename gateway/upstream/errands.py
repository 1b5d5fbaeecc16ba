"""Small jobs beside the requests: a bounded line and a few hands. Never grows, never holds up a request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


class Errands:
    """At most `waiting` jobs in line for `hands` that do one at a time."""

    def __init__(self, hands: int, waiting: int) -> None:
        self._hands = hands
        self._line: asyncio.Queue[Job] = asyncio.Queue(waiting)

    def offer(self, job: Job) -> bool:
        """Put a job in line; False when the line is full, and it will not be done."""
        try:
            self._line.put_nowait(job)
        except asyncio.QueueFull:
            return False
        return True

    async def run(self) -> None:
        """Do what is in line, for as long as this runs."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._hands):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            job = await self._line.get()
            try:
                await job()
            except Exception:  # a bug in one job is no reason to do no other any more
                log.exception("an errand failed")
