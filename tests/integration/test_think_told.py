"""What thinking tells of itself, over real sockets: spans as a collector gets them, metrics, and no text in either."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.support.collector import Collector, collector
from tests.support.gateway import Running, running_gateway
from tests.support.raw import chat
from tests.support.upstream import Received, Reply, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID, CANARY = "Tell me all about bees.", "canarytext"
USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


def answered(received: Received) -> Reply:
    """A long answer to a user; to reflection a summary of it."""
    thinking = b"json_schema" in received.body
    said = orjson.dumps({"user": "asked about bees", "assistant": f"{CANARY} much"}).decode()
    text = said if thinking else f"Bees {CANARY} are many. " * 80
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    told = {"id": "c-1", "model": "thinker-1", "choices": [choice], "usage": USAGE}
    return Reply(chunks=(orjson.dumps(told),))


@dataclass
class Seen:
    """What the collector, the model and a scrape got."""

    collector: Collector
    asked: list[Received]
    metrics: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """A gateway that was told something, thought about it, and stopped."""
    with collector() as kept:
        async with scripted_upstream() as worker:
            worker.answering = answered
            data = tmp_path_factory.mktemp("data")
            knobs = {"policy": "scm", "reflect_model": "thinker", "reflect_turns": 1, "otlp_endpoint": kept.url}
            async with running_gateway(data, worker.url, **knobs) as gateway:
                await chat(gateway.port, SAID)
                metrics = await thought(gateway)
        asked = [received for received in worker.received if b"json_schema" in received.body]
        yield Seen(kept, asked, metrics)


async def thought(gateway: Running) -> str:
    """The metrics once a reflection stands in them."""
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while "mneme_reflections_total{" not in (text := (await client.get(f"{gateway.url}/metrics")).text):
            await asyncio.sleep(0.05)
        return text


async def test_thinking_is_a_trace_of_its_own(seen: Seen) -> None:
    """It names the requests that told its turns, the policy, and what came of it; below are what it asked and wrote."""
    told = seen.collector.one("POST /v1/chat/completions").notes["mneme.request.id"]
    span = seen.collector.one("think")

    assert (span.kind, span.parent, span.failed) == ("internal", "", False)
    assert span.notes == {
        "mneme.policy": "scm",
        "mneme.turns": 1,
        "mneme.request.id": [told],
        "mneme.outcome": "applied",
        "mneme.calls": 1,
    }
    assert seen.collector.under(span) == {"chat thinker", "upsert_memory"}


async def test_what_reflection_asks_is_a_genai_span(seen: Seen) -> None:
    """As a question to a worker is; the model's server is told of it, with the key that it wants."""
    span = seen.collector.one("chat thinker")
    (asked,) = seen.asked

    assert (span.kind, span.failed, span.notes["http.response.status_code"]) == ("client", False, 200)
    assert span.notes["gen_ai.operation.name"] == "chat"
    assert (span.notes["gen_ai.request.model"], span.notes["gen_ai.response.model"]) == ("thinker", "thinker-1")
    assert (span.notes["gen_ai.usage.input_tokens"], span.notes["gen_ai.usage.output_tokens"]) == (30, 12)
    assert (asked.header(b"traceparent") or b"").split(b"-")[1:3] == [span.trace.encode(), span.id.encode()]


async def test_no_span_of_thinking_holds_a_text(seen: Seen) -> None:
    """Neither what was said nor what was made of it."""
    assert all(CANARY.encode() not in raw and SAID.encode() not in raw for raw in seen.collector.raw)


async def test_thinking_is_counted(seen: Seen) -> None:
    """What came of it, what it asked and took, how long it was; and nothing is due any more."""
    for line in (
        'mneme_reflections_total{policy="scm",result="applied"} 1.0',
        "mneme_reflect_calls_total 1.0",
        "mneme_reflect_tokens_total 42.0",
        "mneme_think_seconds_count 1.0",
        "mneme_thoughts_due 0.0",
    ):
        assert f"\n{line}\n" in seen.metrics
