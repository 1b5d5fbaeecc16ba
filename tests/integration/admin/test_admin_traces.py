"""/admin/traces: what a trace tells once the answer is whole, be it streamed or not."""

import asyncio
from typing import Any

import orjson
import pytest

from tests.support.admin import Desk
from tests.support.upstream import SSE, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

USAGE = {"prompt_tokens": 40, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 32}}
TOLD = {"prompt": 40, "cached": 32, "completion": 7}
UNTOLD = {"prompt": None, "cached": None, "completion": None}
SAID = {"index": 0, "finish_reason": "stop"}


def plain(**more: Any) -> Reply:
    """A whole answer."""
    choice = {**SAID, "message": {"role": "assistant", "content": "Yes."}}
    return Reply(chunks=(orjson.dumps({"id": "c-1", "choices": [choice], **more}),))


def stream(*last: dict[str, Any]) -> Reply:
    """The same in events, `last` of them before its end."""
    events = [{"id": "c-1", "choices": [{**SAID, "delta": {"content": "Yes."}}]}, *last]
    lines = [*map(orjson.dumps, events), b"[DONE]"]
    return Reply(headers=SSE, chunks=tuple(b"data: " + line + b"\n\n" for line in lines), chunked=True)


async def trace(desk: Desk, user: str, reply: Reply, **body: Any) -> tuple[dict[str, Any], bytes]:
    """What is told of an answer like this, and what the worker was asked for it."""
    desk.worker.reply(reply)
    desk.worker.received.clear()
    said = await desk.client.post(
        "/v1/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": "Does my sister keep bees?"}], **body},
        headers={"authorization": "Bearer acme-key", "x-mneme-user": user},
    )
    (asked,) = desk.worker.received
    async with asyncio.timeout(20):
        while True:  # the client has its answer before the trace is concluded
            told: dict[str, Any] = await desk.get(f"/traces/{said.headers['x-mneme-trace']}")
            if told["answer"]:
                return told, asked.body
            await asyncio.sleep(0.01)


async def test_what_a_plain_answer_took_is_told(desk: Desk, user: str) -> None:
    """As its worker told it."""
    told, _ = await trace(desk, user, plain(usage=USAGE))

    assert (told["usage"], told["answer"]) == (TOLD, "c-1")


async def test_what_a_streamed_answer_took_is_told(desk: Desk, user: str) -> None:
    """Where the client asked for it."""
    last = {"id": "c-1", "choices": [], "usage": USAGE}
    told, _ = await trace(desk, user, stream(last), stream=True, stream_options={"include_usage": True})

    assert (told["usage"], told["answer"]) == (TOLD, "c-1")


async def test_usage_is_not_asked_for_where_the_client_did_not(desk: Desk, user: str) -> None:
    """The stream tells none then, and none is made up."""
    told, asked = await trace(desk, user, stream(), stream=True)

    assert (told["usage"], told["answer"]) == (UNTOLD, "c-1")
    assert b"usage" not in asked


async def test_a_trace_has_the_time_of_every_verb_once_it_is_concluded(desk: Desk, user: str) -> None:
    """The answer's own is that of relay, in which retain lies."""
    told, _ = await trace(desk, user, plain())

    millis = told["millis"]
    assert list(millis) == ["admit", "recall", "compose", "retain", "relay"]
    assert 0 < millis["retain"] < millis["relay"]
