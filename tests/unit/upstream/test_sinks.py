"""The head of a prompt in the worker's own tokens: asked once, the same ever after, never waited for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from gateway.upstream.client import Patience
from gateway.upstream.client import Upstream as Client
from gateway.upstream.errands import Errands
from gateway.upstream.sinks import Sinks
from gateway.upstream.worker import Worker
from tests.support.upstream import Reply, Upstream, scripted_upstream

HEAD = b'{"model":"m","messages":[{"role":"system","content":"Be brief."}]}'
COUNT = Reply(chunks=(b'{"count": 57, "max_model_len": 512, "tokens": [1, 2]}',))
LONG = 30.0


@dataclass
class Desk:
    """Sinks, and the worker that counts."""

    sinks: Sinks
    worker: Worker
    scripted: Upstream

    async def count(self, head: bytes = HEAD, patience: float = LONG) -> int | None:
        """Tokens of a head."""
        return await self.sinks.count(self.worker, head, patience)

    async def heard(self, times: int) -> None:
        """Return when the worker has been asked so often, and has answered."""
        async with asyncio.timeout(10):
            while len(self.scripted.counted) < times or self.sinks._asked:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def desk(tokenize: Reply = COUNT, errands: Errands | None = None) -> AsyncIterator[Desk]:
    """A desk whose worker answers /tokenize so."""
    errands = errands or Errands(hands=2, waiting=8)
    async with scripted_upstream() as scripted, Client(scripted.url, "", Patience(5.0, 30.0, 30.0)) as client:
        scripted.tokenize = tokenize
        running = asyncio.create_task(errands.run())
        try:
            yield Desk(Sinks(errands), Worker(client, scripted.url), scripted)
        finally:
            running.cancel()


async def test_a_head_is_counted_by_its_worker_once() -> None:
    """At /tokenize beside its /v1, as JSON; the second time nobody is asked."""
    async with desk() as ours:
        counts = [await ours.count(), await ours.count(patience=0.0)]

    (asked,) = ours.scripted.counted
    assert counts == [57, 57]
    assert (asked.method, asked.target, asked.body) == (b"POST", b"/tokenize", HEAD)
    assert asked.header(b"content-type") == b"application/json"


async def test_those_who_ask_at_once_share_one_question() -> None:
    """Also with what was expected."""
    async with desk(Reply(chunks=COUNT.chunks, wait=0.05)) as ours:
        ours.sinks.expect(ours.worker, HEAD)
        counts = await asyncio.gather(*(ours.count() for _ in range(5)))

    assert (counts, len(ours.scripted.counted)) == ([57] * 5, 1)


async def test_every_head_has_its_own_number() -> None:
    """Another text, another count."""
    async with desk() as ours:
        await ours.count()
        ours.scripted.tokenize = Reply(chunks=(b'{"count": 8}',))

        assert await ours.count(b'{"model":"m"}') == 8
        assert await ours.count() == 57


async def test_a_slow_count_is_left_out_and_known_the_next_time() -> None:
    """Nobody waits longer than they are ready to; the question goes on."""
    async with desk(Reply(chunks=COUNT.chunks, wait=0.2)) as ours:
        first = await ours.count(patience=0.01)
        await ours.heard(1)

        assert (first, await ours.count(patience=0.0)) == (None, 57)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, chunks=(b'{"detail":"Not Found"}',)),
        Reply(400, chunks=(b'{"error":{}}',)),
        Reply(chunks=(b"<html>",)),
        Reply(chunks=(b'{"count":"many"}',)),
        Reply(chunks=(b'{"cou',), drop=True, chunked=True),
    ],
    ids=["no-such-page", "refused", "not-json", "no-count", "broken-off"],
)
async def test_what_cannot_be_counted_is_not_asked_again_and_again(reply: Reply) -> None:
    """Nor waited for: for a while it simply has no number."""
    async with desk(reply) as ours:
        counts = [await ours.count(), await ours.count()]

    assert (counts, len(ours.scripted.counted)) == ([None, None], 1)


async def test_a_number_once_known_is_kept_whatever_happens_to_the_worker() -> None:
    """The worker's prefix cache goes by it."""
    async with desk() as ours:
        await ours.count()
        ours.scripted.tokenize = Reply(500)
        ours.sinks.expect(ours.worker, HEAD)

        assert await ours.count() == 57


async def test_a_sink_that_was_refused_is_not_asked_for_again() -> None:
    """The head counts for nothing from then on."""
    async with desk() as ours:
        await ours.count()
        ours.sinks.refuse(ours.worker, HEAD)

        assert await ours.count() == 0


async def test_when_too_many_are_in_line_nobody_waits() -> None:
    """The head goes without, and is asked for by the next one who wants it."""
    async with desk(errands=Errands(hands=0, waiting=1)) as ours:
        ours.sinks.expect(ours.worker, b"{}")

        assert await ours.count(patience=0.01) is None
        assert not ours.scripted.counted
