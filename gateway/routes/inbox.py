"""A request's body as it arrives, and the moment its client leaves. Knows ASGI's receive and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from gateway.errors import BodyTimeout

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):  # no error: people close windows
    """The client left before its request was whole."""


class Inbox:
    """Wraps one request's `receive`; `patience` is the longest silence between two pieces of the body, in seconds."""

    def __init__(self, receive: Receive, patience: float) -> None:
        self._receive = receive
        self._patience = patience
        self._whole = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. BodyTimeout when it stops arriving, ClientGone when nobody is left to send it."""
        more = True
        while more:
            try:
                async with asyncio.timeout(self._patience):
                    message = await self._receive()
            except TimeoutError:
                raise BodyTimeout(f"No more of the body arrived for {self._patience:g} s.") from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            if not more:
                self._whole.set()
            if piece := message.get("body", b""):
                yield piece

    async def read(self, limit: int) -> bytes | AsyncIterator[bytes]:
        """The whole body, or, when it is larger than `limit` bytes, an iterator over all of it."""
        held: list[bytes] = []
        size = 0
        pieces = self.pieces()
        async for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > limit:
                return _chain(held, pieces)
        return b"".join(held)

    async def left(self) -> None:
        """Returns when the client has left, or when its answer is complete."""
        await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _chain(held: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for piece in held:
        yield piece
    async for piece in rest:
        yield piece


async def while_here(work: Awaitable[None], inbox: Inbox, answered: Callable[[], bool]) -> None:
    """Do the work, but stop it the moment the client leaves: in the queue, during prefill, mid-stream alike.

    Once it is `answered`, leaving is nobody's loss, and what is left of the work goes on.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("while_here runs inside a task")
    gone = False

    async def watch() -> None:
        nonlocal gone
        await inbox.left()
        if answered():
            return
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        await work
    except asyncio.CancelledError:
        if not gone or task.uncancel():
            raise
    finally:
        watcher.cancel()
