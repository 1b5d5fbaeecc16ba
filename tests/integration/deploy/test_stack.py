"""The stack as docker-compose.yml has it, without containers: HAProxy with its real configuration before gateways that
share a real Redis. Any of them may die."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from statistics import median

import pytest
import pytest_asyncio

from tests.integration.deploy.running import Stack, running_stack
from tests.integration.test_disconnect import event
from tests.support.raw import Response, ask, wire
from tests.support.tools import needs
from tests.support.upstream import SSE, Reply
from tests.unit.deploy.stack import needs_compose

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    needs_compose,
    needs("haproxy", "Debian's haproxy"),
    needs("redis-server", "Debian's redis-server"),
]

EVENTS, PACE = 10, 0.05
STREAM = Reply(headers=SSE, chunks=tuple(event(str(i)) for i in range(EVENTS)), pause=PACE)
SLOWLY = Reply(headers=SSE, chunks=STREAM.chunks, pause=0.1)
SAID = Reply(chunks=(b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Noted."}}]}',))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One for this file. Its tests take gateways away, so they run in their order."""
    async with running_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


async def stream(stack: Stack, user: str, begun: asyncio.Event) -> Response:
    """One streamed question; `begun` is set with its head."""
    async with wire(stack.port) as client:
        await client.send(stack.said("Tell me something long, please.", user, stream=True))
        head = await client.head()
        begun.set()
        body, whole = await client._chunks()
        return Response(head.status, head.headers, body, whole)


async def streams(stack: Stack, number: int) -> list[asyncio.Task[Response]]:
    """So many at once, of as many users, all of them begun; whoever asks after them is answered quickly."""
    stack.worker.default = SLOWLY
    begun = [asyncio.Event() for _ in range(number)]
    running = [asyncio.create_task(stream(stack, f"listener-{i}", b)) for i, b in enumerate(begun)]
    await asyncio.gather(*(each.wait() for each in begun))
    stack.worker.default = SAID
    return running


async def test_events_arrive_as_they_are_sent(stack: Stack) -> None:
    """Nothing is held back on the way through: the usual distance of two events is the worker's."""
    stack.worker.reply(STREAM)
    arrived: list[float] = []
    async with wire(stack.port) as client:
        await client.send(stack.said("Pace yourself, please.", "ada", stream=True))
        await client.head()
        while chunk := await client.chunk():
            arrived += [time.perf_counter()] * chunk.count(b"data: ")

    assert len(arrived) == EVENTS
    assert median(b - a for a, b in pairwise(arrived)) == pytest.approx(PACE, rel=0.9)


async def test_metrics_stay_inside(stack: Stack) -> None:
    """However the path is spelt."""
    answers = [(await ask(stack.port, b"GET", path)).status for path in (b"/metrics", b"/%6detrics", b"/METRICS")]

    assert answers == [404, 404, 404]


async def test_a_gateway_that_is_killed_costs_its_own_answers_only(stack: Stack) -> None:
    """kill -9 while streams run: those of the others are whole, and whoever asks next is answered by another."""
    running = await streams(stack, 6)
    stack.gateways[2].kill()
    after = [(await stack.ask(f"And who answers number {i}?", "bob")).status for i in range(10)]
    ended = await asyncio.gather(*running)

    assert after == [200] * 10
    assert 0 < sum(each.whole for each in ended) < 6
    assert all(each.body.count(b"data: ") == EVENTS for each in ended if each.whole)


async def test_what_was_said_to_one_is_known_to_all(stack: Stack) -> None:
    """At once, while the only writer stands still; and when it goes on, nothing waits and it is still known."""
    stack.worker.default = SAID
    stack.writer.send_signal(signal.SIGSTOP)
    await stack.ask("My sister Ada keeps bees in Riga.", "eve")
    before = [await asks_about_bees(stack, hour) for hour in ("one", "two", "three", "four")]
    waited = await stack.waiting()
    stack.writer.send_signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        while await stack.waiting():
            await asyncio.sleep(0.05)
    after = [await asks_about_bees(stack, hour) for hour in ("five", "six", "seven", "eight")]

    assert (before, waited > 0, after) == ([True] * 4, True, [True] * 4)


async def asks_about_bees(stack: Stack, hour: str) -> bool:
    """Whether the worker is told what was said; each hour begins a conversation, in which nothing is replayed."""
    await stack.ask(f"It is {hour}. Where does my sister Ada keep bees?", "eve")
    return b"bees in Riga" in stack.worker.received[-1].body


async def test_a_gateway_that_leaves_costs_nothing(stack: Stack) -> None:
    """SIGTERM while streams run: every stream ends as it should, and new questions go elsewhere."""
    running = await streams(stack, 4)
    stack.gateways[1].terminate()
    after = [(await stack.ask(f"And who answers number {i} now?", "bob")).status for i in range(10)]
    ended = await asyncio.gather(*running)
    async with asyncio.timeout(20):
        left = await stack.gateways[1].wait()

    assert (after, left) == ([200] * 10, 0)
    assert [(each.whole, each.body.count(b"data: ")) for each in ended] == [(True, EVENTS)] * 4


async def test_a_writer_leaves_when_it_is_told(stack: Stack) -> None:
    """SIGTERM: it ends well, and answers go on."""
    stack.writer.terminate()
    async with asyncio.timeout(20):
        left = await stack.writer.wait()
    answer = await stack.ask("Is anybody still there?", "bob")

    assert (left, answer.status) == (0, 200)


async def test_without_a_worker_it_is_the_gateway_that_answers(stack: Stack) -> None:
    """No gateway is ready then, but callers get OpenAI's error and not the balancer's page."""
    stack.worker.models = stack.worker.default = Reply(raw=b"Nobody speaks HTTP here.\r\n\r\n", drop=True)
    async with asyncio.timeout(20):
        while b"backend 'gateways' has no server" not in await stack.told.readline():
            pass
    answer = await stack.ask("Is anybody there?", "bob")

    assert (answer.status, answer.json()["error"]["code"]) == (502, "upstream_broke")
