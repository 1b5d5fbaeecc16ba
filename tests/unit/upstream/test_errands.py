"""Jobs beside the requests: a few at a time, a bounded line, and one that fails takes no other with it."""

import asyncio
from functools import partial

import pytest

from gateway.upstream.errands import Errands


async def test_jobs_are_done_by_as_many_hands_as_there_are() -> None:
    """Two at once, the third when one of them is through."""
    errands, begun, go = Errands(hands=2, waiting=8), asyncio.Queue[int](), asyncio.Event()

    async def job(number: int) -> None:
        begun.put_nowait(number)
        await go.wait()

    for number in range(3):
        assert errands.offer(partial(job, number))
    running = asyncio.create_task(errands.run())
    async with asyncio.timeout(5):
        first = [await begun.get(), await begun.get()]
        alone = begun.empty()
        go.set()
        third = await begun.get()
    running.cancel()

    assert (first, alone, third) == ([0, 1], True, 2)


async def test_a_full_line_takes_no_more() -> None:
    """Whoever offers is told, and decides."""

    async def job() -> None: ...

    errands = Errands(hands=1, waiting=2)

    assert [errands.offer(job) for _ in range(3)] == [True, True, False]


async def test_a_job_that_breaks_is_logged_and_the_next_one_done(caplog: pytest.LogCaptureFixture) -> None:
    """One bug does not end all errands."""
    errands, done = Errands(hands=1, waiting=2), asyncio.Event()

    async def breaks() -> None:
        raise ValueError("a bug")

    async def works() -> None:
        done.set()

    errands.offer(breaks)
    errands.offer(works)
    running = asyncio.create_task(errands.run())
    async with asyncio.timeout(5):
        await done.wait()
    running.cancel()

    assert "an errand failed" in caplog.text
