"""The tasks that a process runs beside its requests, owned in one place. Knows none of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from gateway.memory.reflect import Writer

Task = Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def working(writer: Writer | None, beside: Iterable[Task], drain_seconds: float) -> AsyncIterator[None]:
    """Runs them until the end of the block: the writer until nothing is pending, or for `drain_seconds` more; what runs
    `beside` the requests ends at once."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run()) if writer else None
        running = [tasks.create_task(task()) for task in beside]
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised again below, as itself instead of inside a group
            failed = error
        finally:
            for task in running:
                task.cancel()
            if writer and writing:
                writer.stop()
                await asyncio.wait({writing}, timeout=drain_seconds)
                writing.cancel()
    if failed is not None:
        raise failed
