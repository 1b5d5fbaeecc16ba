"""A body as it arrives, and the moment its client leaves."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from gateway.errors import BodyTimeout
from gateway.routes.inbox import ClientGone, Inbox, while_here

LEFT: dict[str, Any] = {"type": "http.disconnect"}


class Line:
    """An ASGI `receive` that gives what was put in, and then waits."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.queue: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        for message in messages:
            self.queue.put_nowait(message)

    async def __call__(self) -> MutableMapping[str, Any]:
        return await self.queue.get()


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    """A piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


async def collected(body: bytes | AsyncIterator[bytes]) -> list[bytes]:
    """The pieces of a body that came as an iterator."""
    assert not isinstance(body, bytes)
    return [part async for part in body]


async def test_a_body_is_put_together() -> None:
    """Empty pieces and missing members included."""
    line = Line(piece(b"a"), piece(b""), {"type": "http.request", "more_body": True}, piece(b"b", more=False))

    assert await Inbox(line, 5).read(100) == b"ab"


async def test_a_body_of_exactly_the_limit_is_held() -> None:
    """One byte more and it passes by."""
    assert await Inbox(Line(piece(b"abc", more=False)), 5).read(3) == b"abc"
    assert await collected(await Inbox(Line(piece(b"abcd", more=False)), 5).read(3)) == [b"abcd"]


async def test_a_body_too_large_to_hold_still_arrives_whole() -> None:
    """What was held comes first, then the rest as it arrives."""
    line = Line(piece(b"ab"), piece(b"cd"), piece(b"ef"), piece(b"", more=False))

    assert await collected(await Inbox(line, 5).read(3)) == [b"ab", b"cd", b"ef"]


async def test_a_body_that_stops_arriving_is_refused() -> None:
    """After the time that a pause may take."""
    with pytest.raises(BodyTimeout, match=r"0\.01"):
        await Inbox(Line(piece(b"a")), 0.01).read(100)


async def test_a_client_that_leaves_while_sending_is_gone() -> None:
    """There is nobody to answer."""
    with pytest.raises(ClientGone):
        await Inbox(Line(piece(b"a"), LEFT), 5).read(100)


async def test_leaving_is_seen_only_after_the_body() -> None:
    """Until then the pieces are the reader's."""
    line = Line(piece(b"a"), piece(b"b", more=False), LEFT)
    inbox = Inbox(line, 5)
    leaving = asyncio.create_task(inbox.left())
    await asyncio.sleep(0)

    assert await inbox.read(100) == b"ab"
    await asyncio.wait_for(leaving, 5)


async def test_work_ends_when_the_client_leaves() -> None:
    """Quietly: the work is cancelled, the caller goes on."""
    line, ended = Line(piece(b"", more=False)), asyncio.Event()
    inbox = Inbox(line, 5)
    await inbox.read(1)

    async def work() -> None:
        line.queue.put_nowait(LEFT)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    await while_here(work(), inbox, lambda: False)

    assert ended.is_set()


async def test_work_that_is_answered_is_not_cut() -> None:
    """A client that leaves with its answer takes nothing with it."""
    line, ended = Line(piece(b"", more=False)), asyncio.Event()
    inbox = Inbox(line, 5)
    await inbox.read(1)

    async def work() -> None:
        line.queue.put_nowait(LEFT)
        await asyncio.sleep(0.02)
        ended.set()

    await while_here(work(), inbox, lambda: True)

    assert ended.is_set()


async def test_work_that_fails_says_so() -> None:
    """Its own error comes through."""

    async def work() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await while_here(work(), Inbox(Line(), 5), lambda: False)


async def test_a_cancel_from_outside_is_not_swallowed() -> None:
    """Only the client's leaving is quiet."""
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(while_here(work(), Inbox(Line(), 5), lambda: False))
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
