"""Promise 9: a conversation far longer than the model's window goes on; what left the prompt can be recalled."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from gateway.memory.budget import tokens
from gateway.memory.records import Memory, Scope
from tests.e2e.sdk import Marathon, sdk
from tests.e2e.worker import SMALL, WINDOW, Worker
from tests.support.gateway import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "The code word of my treasure chest is heliotrope."
PINNED = "Always address me as Captain Flint."
ANSWER = 400
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
TOPICS = ["the harbour", "a lantern", "my old coat", "the weather vane", "some bread", "a broken oar", "the tide"]


def filler(number: int) -> str:
    """Small talk, every time about something else."""
    return f"Entry {number} of the log: {TOPICS[number % len(TOPICS)]} looked like number {number * 37} again today."


def long_reply(body: dict[str, Any]) -> str:
    """Some forty words; one to begin with."""
    if len(body["messages"]) <= 2:
        return "Aye."
    return f"Noted as item {len(body['messages'])}. " + "The log is kept with care, and nothing else is due. " * 4


def changes(prompts: list[str]) -> int:
    """How often a prompt did not begin with the one before it."""
    return sum(not after.startswith(before) for before, after in pairwise(prompts))


async def pin(gateway: Running, user: str, text: str) -> str:
    """A note that every conversation of the user starts with; its id."""
    scope = Scope("local", user)
    note = Memory(str(uuid4()), scope, "", text, kind="note", trust="operator", pinned=True, at=1.7e9)
    await gateway.services.curator.add([note])
    return note.id


def long_talk(client: Any) -> Marathon:
    """A conversation with the model whose window is small."""
    options = {"model": SMALL, "max_tokens": ANSWER, "extra_body": {"memory": {"tokens": 100}}}
    return Marathon(client, system="You keep a log.", **options)


@pytest.mark.slow
async def test_two_hundred_turns_in_a_small_window(worker: Worker, gateway: Running, user: str) -> None:
    """Every prompt leaves room for the answer, the beginning of the prompt changes rarely, what was pinned stays, and
    what left the prompt comes back when it is asked for."""
    worker.says = long_reply
    await pin(gateway, user, PINNED)
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = long_talk(client)
        await talk.say(SECRET)
        for number in range(199):
            await talk.say(filler(number))
        lacking = worker.prompts[-1]
        await talk.say("What is the code word of my treasure chest?")

    prompts, longest = worker.prompts, max(tokens(prompt) for prompt in worker.prompts)
    print(f"{changes(prompts)} prefix changes in {len(prompts)} prompts, the longest of {longest} tokens")
    assert sum(tokens(str(message["content"])) for message in talk.messages) > 3 * WINDOW
    assert longest + ANSWER <= WINDOW
    assert 3 <= changes(prompts) <= 20
    assert all(PINNED in prompt for prompt in prompts)
    assert f"<|user|>{SECRET}" not in lacking
    assert prompts[-1].count(SECRET) == 1


async def test_a_retry_across_a_compaction_sends_the_same_bytes(worker: Worker, gateway: Running, user: str) -> None:
    """Every request is sent twice, also the ones at which the history is cut."""
    worker.says = long_reply
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user, x_mneme_memory="read") as client:
        talk = long_talk(client)
        for number in range(40):
            await talk.say(filler(number))
            talk.messages.pop()
            await talk.go_on()

    bodies = [received.body for received in worker.upstream.received]
    assert bodies[::2] == bodies[1::2]
    assert changes(worker.prompts[::2]) >= 1


async def test_a_long_tool_loop_is_cut_in_large_steps(worker: Worker, gateway: Running, user: str) -> None:
    """A loop whose results fill the window drops turns before it, and only rarely; its pinned text stays."""
    worker.says = long_reply
    await pin(gateway, user, PINNED)
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user, x_mneme_memory="read") as client:
        talk = long_talk(client)
        for number in range(18):
            await talk.say(filler(number))
        worker.upstream.received.clear()
        await talk.say("What is the weather?", tools=TOOLS)
        for step in range(20):
            call = talk.messages[-1].get("tool_calls") or [{"id": f"call_{step}"}]
            if step:
                function = {"name": "weather", "arguments": "{}"}
                talk.messages[-1] = {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": call[0]["id"], "type": "function", "function": function}],
                }
            talk.messages.append({"role": "tool", "tool_call_id": call[0]["id"], "content": "Wind and rain. " * 12})
            await talk.go_on(tools=TOOLS)

    prompts = worker.prompts
    assert 1 <= changes(prompts) <= 2
    assert all(PINNED in prompt for prompt in prompts)


async def test_a_deleted_note_leaves_and_the_other_one_comes_back(worker: Worker, gateway: Running, user: str) -> None:
    """Both were pinned into one block: deleting one takes it out of a running conversation, and only that one."""
    gone = await pin(gateway, user, "Never mention the lighthouse.")
    await pin(gateway, user, PINNED)
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = long_talk(client)
        await talk.say("Good morning.")
        await gateway.services.curator.delete(Scope("local", user), [gone])
        await talk.say("And now?")

    before, after = worker.prompts
    assert "lighthouse" in before
    assert PINNED in before
    assert "lighthouse" not in after
    assert after.count(PINNED) == 1


async def test_two_branches_beyond_the_window_each_stay_put(worker: Worker, gateway: Running, user: str) -> None:
    """Two continuations of one long conversation, turn by turn in parallel, do not move each other's cut."""
    worker.says = long_reply
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user, x_mneme_memory="read") as client:
        trunk = long_talk(client)
        for number in range(10):
            await trunk.say(filler(number))
        worker.upstream.received.clear()
        left, right = long_talk(client), long_talk(client)
        left.messages, right.messages = list(trunk.messages), list(trunk.messages)
        for number in range(40):
            await left.say(filler(1000 + number))
            await right.say(filler(2000 + number))

    assert 1 <= changes(worker.prompts[::2]) <= 6
    assert 1 <= changes(worker.prompts[1::2]) <= 6


async def test_a_store_that_is_too_slow_costs_no_turn_and_no_window(worker: Worker, tmp_path: Path) -> None:
    """With a deadline that always passes, and MNEME_CONTEXT_TOKENS instead of what the worker says: every prompt still
    fits, a header names what was skipped, and a turn sent twice is one turn. Only the first one stands alone: its
    words might have been an older conversation's."""
    worker.says = long_reply
    slow = {"recall_deadline": 1e-9, "context_tokens": 1200}
    async with running_gateway(tmp_path, worker.url, **slow) as own, sdk(f"{own.url}/v1") as client:
        talk = Marathon(client, max_tokens=300)
        for number in range(20):
            await talk.say(filler(number))
        talk.messages.pop()
        raw = await client.chat.completions.with_raw_response.create(model=SMALL, messages=talk.messages)
        await own.indexed()
        page = await own.services.memories.browse(Scope("local", "local"), limit=200)

    longest = max(tokens(prompt) for prompt in worker.prompts)
    assert "recall-deadline" in raw.headers["x-mneme-skipped"]
    assert longest + 300 <= 1200 < sum(tokens(message["content"]) for message in talk.messages)
    assert sorted(memory.text for memory in page.items) == sorted(filler(number) for number in range(20))
    assert sorted(Counter(memory.session for memory in page.items).values()) == [1, 19]
