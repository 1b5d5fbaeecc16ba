"""The length of a prompt's head, told to a worker whose KV policy keeps sinks: right, stable, and never at any cost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from gateway.memory.records import Memory, Scope
from tests.integration.test_splice import ANSWER
from tests.integration.workers.conftest import FAR, NEAR, known, models, told
from tests.support.gateway import Running, running_gateway
from tests.support.raw import OFF, Response, chat
from tests.support.upstream import Reply, Upstream, scripted_upstream
from tests.support.workers import REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = told({"count": 77, "max_model_len": 512, "tokens": []})
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
FACT = "My sister Ada keeps bees in Riga."


@dataclass
class House:
    """A worker with sinks and a window, and the gateway in front of it; a system prompt that nobody else uses."""

    worker: Upstream
    gateway: Running
    system: str

    @property
    def head(self) -> dict[str, Any]:
        """The system message."""
        return {"role": "system", "content": self.system}

    async def say(self, *told: Any, headers: tuple[tuple[bytes, bytes], ...] = (), **fields: Any) -> Response:
        """A request after the system message; texts are the user's and the assistant's in turn."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(told)]
        return await chat(
            self.gateway.port, "", *headers, messages=[self.head, *messages], **{"model": "far/model", **fields}
        )

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What the worker was sent."""
        return [orjson.loads(received.body) for received in self.worker.received]

    @property
    def sinks(self) -> list[Any]:
        """The sink in each of them."""
        return [body.get("vllm_xargs", {}).get("kv_sink") for body in self.sent]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Upstream, Running]]:
    """The worker and the gateway of this file."""
    async with scripted_upstream() as worker:
        worker.models, worker.kv = models(FAR), told(REPORT)
        async with running_gateway(tmp_path_factory.mktemp("data"), worker.url, drain_seconds=1.0) as gateway:
            await known(gateway)
            yield worker, gateway


@pytest.fixture
def house(opened: tuple[Upstream, Running]) -> House:
    """The house, with a worker that has heard nothing yet and counts."""
    worker, gateway = opened
    worker.received.clear()
    worker.counted.clear()
    worker.replies.clear()
    worker.default, worker.tokenize = ANSWER, COUNT
    return House(worker, gateway, f"Be brief. ({uuid4()})")


async def test_the_head_s_length_is_the_sink(house: House) -> None:
    """System message and tools, counted by the worker itself, in whole blocks; a user message closes them, as
    templates want it."""
    await house.say("Hello there", tools=TOOLS)

    (counted,) = house.worker.counted
    assert house.sinks == [96]
    assert orjson.loads(counted.body) == {
        "model": "far/model",
        "tools": TOOLS,
        "messages": [house.head, {"role": "user", "content": ""}],
        "add_generation_prompt": False,
    }


async def test_the_same_head_has_the_same_sink_all_along(house: House) -> None:
    """It is asked for once, and every prompt of the conversation begins with the one before."""
    turns = ["Hello there", "Good day.", "How are you?", "Fine.", "And now?"]
    for end in (1, 3, 5):
        await house.say(*turns[:end])
        house.worker.tokenize = Reply(500)

    bodies = [received.body for received in house.worker.received]
    assert (house.sinks, len(house.worker.counted)) == ([96, 96, 96], 1)
    assert bodies[1].startswith(bodies[0][: bodies[0].index(b'}],"cache_salt"')])


async def test_what_is_pinned_belongs_to_the_head(house: House) -> None:
    """With its block, as it stands before the first words of the user; later turns replay it, and ask for nothing."""
    user = (b"x-mneme-user", str(uuid4()).encode())
    note = Memory(
        str(uuid4()), Scope("local", user[1].decode()), "", "Call me Flint.", kind="note", pinned=True, at=1e9
    )
    await house.gateway.services.curator.add([note])

    await house.say("Hello there", headers=(user,))
    await house.say("Hello there", "Aye.", "What now?", headers=(user,))

    heads = [orjson.loads(counted.body)["messages"][-1]["content"] for counted in house.worker.counted]
    first = house.sent[0]["messages"][1]["content"]
    assert heads[-1] + "\n\nHello there" == first
    assert ("Call me Flint." in heads[-1], house.sinks) == (True, [96, 96])
    assert [head for head in heads if head] == heads[-1:]


async def test_what_was_recalled_does_not_belong_to_the_head(house: House) -> None:
    """It is another text in every conversation, and would be another prefix of the cache."""
    user = (b"x-mneme-user", str(uuid4()).encode())
    await chat(house.gateway.port, FACT, user, model="far/model")
    await house.gateway.indexed()
    house.worker.received.clear()

    await house.say("Where does my sister Ada keep bees?", headers=(user,))
    await house.say("Hello there", headers=(user,))

    assert FACT in house.sent[0]["messages"][1]["content"]
    assert (house.sinks, len(house.worker.counted)) == ([96, 96], 1)


async def test_with_memory_off_nothing_is_asked_or_added(house: House) -> None:
    """The body arrives as it was sent."""
    await house.say("Hello there", headers=(OFF,))

    assert house.sent == [{"model": "far/model", "messages": [house.head, {"role": "user", "content": "Hello there"}]}]
    assert house.worker.counted == []


async def test_a_prompt_without_a_head_has_no_sink_of_ours(house: House) -> None:
    """The worker's own will do."""
    await chat(house.gateway.port, "Hello there", model="far/model")

    assert (house.sinks, house.worker.counted) == ([None], [])


async def test_a_head_that_the_worker_keeps_anyway_is_not_told(house: House) -> None:
    """A smaller sink than its own would keep less, and split its prefix cache."""
    house.worker.tokenize = told({"count": 32})

    answer = await house.say("Hello there")

    assert (house.sinks, answer.skipped) == ([None], [b""])


@pytest.mark.parametrize("xargs", [{"kv_sink": 5}, {"kv_policy": "full"}, {"kv_policy": "duo"}])
async def test_whoever_chose_a_sink_or_another_policy_keeps_it(house: House, xargs: dict[str, Any]) -> None:
    """The client's word is the last."""
    await house.say("Hello there", vllm_xargs=xargs)

    assert (house.sent[0]["vllm_xargs"], house.worker.counted) == (xargs, [])


async def test_the_sink_comes_beside_what_the_client_asks_for(house: House) -> None:
    """Its own keys stay."""
    await house.say("Hello there", vllm_xargs={"kv_window": 512, "kv_policy": "sink_window"})

    assert house.sent[0]["vllm_xargs"] == {"kv_sink": 96, "kv_window": 512, "kv_policy": "sink_window"}


@pytest.mark.parametrize("tokenize", [Reply(404), Reply(drop=True, chunked=True), Reply(chunks=(b"?",))])
async def test_a_worker_that_cannot_count_costs_no_answer(house: House, tokenize: Reply) -> None:
    """The prompt goes without a sink, and a header says so."""
    house.worker.tokenize = tokenize

    answer = await house.say("Hello there")

    assert (answer.status, house.sinks, answer.skipped) == (200, [None], [b"sink-unknown"])
    assert "cache_salt" in house.sent[0]


async def test_a_slow_count_is_left_out_once(tmp_path: Path) -> None:
    """The first prompt does not wait for it beyond the deadline; from the second on it is there, and stays."""
    async with scripted_upstream() as worker:
        worker.models, worker.kv, worker.default = models(FAR), told(REPORT), ANSWER
        worker.tokenize = Reply(chunks=COUNT.chunks, wait=1.0)
        async with running_gateway(tmp_path, worker.url, recall_deadline=0.2) as gateway:
            await known(gateway)
            house = House(worker, gateway, "Be slow.")
            first = await house.say("Hello there")
            async with asyncio.timeout(20):
                while gateway.services.story.scribe.sinks._asked:
                    await asyncio.sleep(0.01)
            worker.received.clear()
            second = await house.say("Hello there", "Good day.", "How are you?")
            await house.say("Hello there", "Good day.", "How are you?", "Fine.", "And now?")

    assert (b"sink-unknown" in first.skipped, b"sink-unknown" in second.skipped) == (True, False)
    assert (house.sinks, len(worker.counted)) == ([96, 96], 1)


async def test_a_stock_worker_is_not_asked(tmp_path: Path) -> None:
    """Neither to count nor for a sink."""
    async with scripted_upstream() as worker:
        worker.models, worker.default, worker.tokenize = models(NEAR), ANSWER, COUNT
        async with running_gateway(tmp_path, worker.url) as gateway:
            await known(gateway)
            house = House(worker, gateway, "Be plain.")
            await house.say("Hello there", model="near")

    assert (worker.counted, "vllm_xargs" in house.sent[0]) == ([], False)


async def test_a_sink_that_the_worker_refuses_is_not_sent_again(house: House) -> None:
    """The client's own prompt is answered, and the next turn goes without it at the first try."""
    house.worker.reply(Reply(400), ANSWER)
    refused = await house.say("Hello there")
    after = await house.say("Hello there", "Good day.", "How are you?")

    assert (refused.status, refused.skipped, house.sinks) == (200, [b"refused-by-worker"], [96, None, None])
    assert after.skipped == [b""]


async def test_a_dry_run_shows_the_sink(house: House) -> None:
    """It is what would be sent."""
    async with house.gateway.client() as client:
        body = {"model": "far/model", "messages": [house.head, {"role": "user", "content": "Hello there"}]}
        told = (await client.post("/admin/recall", json=body)).json()

    assert orjson.loads(told["body"])["vllm_xargs"] == {"kv_sink": 96}
