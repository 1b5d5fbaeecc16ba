"""Many at once: every client gets its own answer, and every user a memory of their own."""

import asyncio

import orjson
import pytest

from gateway.memory.records import Scope
from tests.integration.conftest import House
from tests.integration.test_disconnect import event
from tests.support.raw import CHAT, KEY, Response, ask
from tests.support.upstream import SSE, Received, Reply

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CROWD = 150


def echo(received: Received) -> Reply:
    """A stream that repeats the last message in five pieces."""
    said = orjson.loads(received.body)["messages"][-1]["content"].rpartition("\n")[2]
    pieces = (event(said), *(event(f" {i}") for i in range(3)), b"data: [DONE]\n\n")
    return Reply(headers=SSE, chunks=pieces, pause=0.02)


async def one(house: House, i: int) -> Response:
    """The i-th user's question."""
    body = {"messages": [{"role": "user", "content": f"I am sailor number {i} of the fleet."}], "stream": True}
    return await ask(house.port, b"POST", CHAT, orjson.dumps(body), (KEY, (b"x-mneme-user", b"sailor-%d" % i)))


async def test_a_crowd_of_streams_does_not_mix(house: House) -> None:
    """Each stream holds its own client's words, and each user has one memory."""
    house.worker.answering = echo

    answers = await asyncio.gather(*(one(house, i) for i in range(CROWD)))

    house.worker.answering = None
    assert all(a.whole and event(f"I am sailor number {i} of the fleet.") in a.body for i, a in enumerate(answers))
    await house.gateway.indexed()
    memories = house.gateway.services.memories
    assert [await memories.count(Scope("local", f"sailor-{i}")) for i in range(CROWD)] == [1] * CROWD
