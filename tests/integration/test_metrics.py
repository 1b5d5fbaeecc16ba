"""/metrics over the life of a gateway: what came of recalls, what workers cached and broke, what runs and how late."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest

from tests.integration.conftest import House
from tests.integration.test_disconnect import event, said, until
from tests.integration.test_health import number
from tests.support.gateway import running_gateway
from tests.support.raw import chat, wire
from tests.support.upstream import SSE, Reply, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTCOMES = ("hit", "silent", "skipped")


async def outcomes(house: House) -> list[float]:
    """The three counters."""
    return [await number(house, f'mneme_recalls_total{{outcome="{outcome}"}}') for outcome in OUTCOMES]


def spoken(**usage: Any) -> Reply:
    """A whole answer that tells its usage."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    return Reply(chunks=(orjson.dumps({"choices": [choice], "usage": usage}),))


async def test_what_came_of_a_recall_is_counted(house: House) -> None:
    """Nothing to be found, then what was told; and neither for a question that is asked again, or without memory."""
    before = await outcomes(house)
    house.worker.default = spoken()
    await chat(house.port, "My sister Ada keeps bees in Riga.")
    await chat(house.port, "Where does my sister Ada keep her bees?")
    await chat(house.port, "Where does my sister Ada keep her bees?", (b"x-mneme-memory", b"write"))
    await chat(house.port, "Where does my sister Ada keep her bees?", (b"x-mneme-memory", b"off"))

    assert await outcomes(house) == [before[0] + 1, before[1] + 1, before[2]]


async def test_a_recall_that_came_too_late_is_counted(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As skipped."""
    async with (
        scripted_upstream() as worker,
        running_gateway(tmp_path_factory.mktemp("data"), worker.url, recall_deadline=1e-6) as gateway,
    ):
        await chat(gateway.port, "Where does my sister Ada keep her bees?")
        house = House(worker, gateway)

        assert await outcomes(house) == [0, 0, 1]


async def test_what_the_worker_had_cached_is_counted(house: House) -> None:
    """Of answers that tell it."""
    names = ("mneme_prompt_tokens_total", "mneme_cached_tokens_total")
    before = [await number(house, name) for name in names]
    house.worker.reply(spoken(prompt_tokens=40, prompt_tokens_details={"cached_tokens": 32}), spoken(prompt_tokens=9))

    await chat(house.port, "How much of this do you know?")
    await chat(house.port, "And of this?")

    assert [await number(house, name) for name in names] == [before[0] + 40, before[1] + 32]


async def test_how_workers_fail_is_counted(house: House) -> None:
    """Before the head and after it, with memory and without."""
    name = 'mneme_upstream_errors_total{kind="broke"}'
    before = await number(house, name)
    cut = Reply(headers=SSE, chunks=(event("half"),), chunked=True, drop=True)
    house.worker.reply(Reply(raw=b"no http", drop=True), cut, cut)

    await chat(house.port, "Say nothing.")
    await chat(house.port, "Say half of it.", stream=True)
    await chat(house.port, "Say half of it.", (b"x-mneme-memory", b"off"), stream=True)

    assert await number(house, name) == before + 3


async def test_requests_in_flight_are_those_that_are_answered(house: House) -> None:
    """One while its answer goes on, none when its client has left."""
    house.worker.reply(Reply(headers=SSE, chunks=(event("so far"),), hang=True))
    async with wire(house.port) as client:
        await client.send(said("Go on for ever.", stream=True))
        await client.head()
        running = await number(house, "mneme_requests_in_flight")
        client.leave()
        await until(lambda: house.gateway.services.telemetry.running == 0)

    assert (running, await number(house, "mneme_requests_in_flight")) == (1, 0)


async def test_tasks_are_counted_and_go_with_what_they_were_for(house: House) -> None:
    """More of them while answers go on, and as many as before when their clients have left."""
    before = await number(house, "mneme_tasks")
    house.worker.reply(*[Reply(headers=SSE, chunks=(event("so far"),), hang=True)] * 3)
    async with AsyncExitStack() as stack:
        for each in range(3):
            client = await stack.enter_async_context(wire(house.port))
            await client.send(said(f"Go on for ever, {each} times.", stream=True))
            await client.head()
        running = await number(house, "mneme_tasks")
    await until(lambda: house.gateway.services.telemetry.running == 0)

    assert running >= before + 3
    async with asyncio.timeout(10):
        while await number(house, "mneme_tasks") > before:
            await asyncio.sleep(0.05)


async def test_indexing_tells_its_lag_and_the_loop_its_delay(house: House) -> None:
    """The writer's clock goes with what it indexes, the loop's with time."""
    lags, batches = "mneme_index_lag_seconds_count", 'mneme_verb_seconds_count{verb="reflect"}'
    await house.gateway.indexed()
    before = [await number(house, lags), await number(house, batches)]
    house.worker.reply(spoken())
    await chat(house.port, "Index this soon.")
    async with asyncio.timeout(10):
        while not (await number(house, batches) > before[1] and await number(house, "mneme_loop_delay_seconds_count")):
            await asyncio.sleep(0.05)

    assert [await number(house, lags), await number(house, batches)] == [before[0] + 1, before[1] + 1]
