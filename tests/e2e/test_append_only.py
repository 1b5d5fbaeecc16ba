"""Promise 2: the prompt only grows. Every prompt that the worker receives begins with all of the one before."""

import json
import re
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from openai import AsyncOpenAI

from gateway.memory.records import Memory, Scope
from tests.e2e.sdk import Conversation, sdk, tell
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

FACTS = [
    "My sister Ada keeps bees in Riga.",
    "My brother Olaf carves wooden birds in Tromsø.",
    "Our dog Biscuit is afraid of thunder.",
    "I am allergic to walnuts.",
    "My bicycle is green and its frame is 54 centimetres.",
    "We spend August in a hut near Bergen.",
    "My daughter Noor plays the cello.",
    "I work as a bookbinder on Canal Street.",
    "My favourite soup is borscht with dill.",
    "Grandmother's ring has a small blue stone.",
]
QUESTIONS = [
    "Where does my sister Ada keep bees?",
    "What does my brother Olaf carve?",
    "What is our dog Biscuit afraid of?",
    "Which nuts am I allergic to?",
    "What colour is my bicycle?",
    "Where do we spend August?",
    "What does my daughter Noor play?",
    "Where do I work as a bookbinder?",
    "What is my favourite soup?",
    "What stone has grandmother's ring?",
]
BUDGET = {"memory": {"tokens": 70}}
"""Room for two or three of the facts, so that every turn has something new to recall."""
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


async def taught(client: AsyncOpenAI, gateway: Running) -> None:
    """Ten facts, each told in a conversation of its own."""
    for fact in FACTS:
        await tell(client, fact)
    await gateway.indexed()


def blocks(prompt: str) -> int:
    """How many recalled blocks stand in a prompt."""
    return prompt.count("<mneme-memory ")


def assert_only_grows(prompts: list[str]) -> None:
    """Each is the beginning of the next one."""
    for number, (before, after) in enumerate(pairwise(prompts)):
        assert after.startswith(before), f"prompt {number + 1} does not begin with the one before it"


async def test_conversations_with_the_same_pins_begin_alike(worker: Worker, gateway: Running, user: str) -> None:
    """To the end of the last pinned line, whatever they recall: a prefix cache finds there what another one left."""
    notes = [(1.7e9, "Call me Flint."), (3e9, "Answer in verse.")]  # older and newer than all that is recalled
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        scope = Scope("local", user)
        pinned = [Memory(str(uuid4()), scope, "", text, kind="note", pinned=True, at=at) for at, text in notes]
        await gateway.services.curator.add(pinned)
        worker.upstream.received.clear()
        for question in QUESTIONS:
            talk = Conversation(client, system="You are kind.", extra_body={"memory": {"tokens": 110}})
            await talk.say(question)

    prompts = worker.prompts
    head, _, _ = prompts[0].partition("Answer in verse.\n")
    first, _, second = head.rpartition("note: Call me Flint.\n")
    assert first.count("[") == second.count("[") == 1 and second.endswith("] note: ")
    assert all(prompt.startswith(f"{head}Answer in verse.\n[") for prompt in prompts)
    assert all(fact in prompt for fact, prompt in zip(FACTS, prompts, strict=True))


async def test_twenty_turns_only_grow(worker: Worker, gateway: Running, user: str) -> None:
    """Plain conversation, ten of its turns recall something new; what is said in between recalls nothing twice."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        talk = Conversation(client, system="You are kind.", extra_body=BUDGET)
        for question in QUESTIONS:
            await talk.say(question)
            await talk.say(f"Thank you. Once more, please: {question.lower()}")

    prompts = worker.prompts
    assert len(prompts) == 20
    assert_only_grows(prompts)
    assert blocks(prompts[-1]) >= 1
    assert [prompts[-1].count(fact) for fact in FACTS] == [1] * len(FACTS)


async def test_tool_loops_only_grow(worker: Worker, gateway: Running, user: str) -> None:
    """Ten turns of two steps each: the step after a tool's result replays, and recalls nothing new."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        talk = Conversation(client, tools=TOOLS, extra_body=BUDGET)
        for question in QUESTIONS:
            await talk.say(question)
            call = talk.messages[-1]["tool_calls"][0]
            # The result holds words of another memory: they must not set off a recall.
            talk.messages.append({"role": "tool", "tool_call_id": call["id"], "content": "Noor plays the cello."})
            await talk.go_on()

    prompts = worker.prompts
    assert len(prompts) == 20
    assert_only_grows(prompts)
    assert all(blocks(prompts[i]) == blocks(prompts[i + 1]) for i in range(0, 20, 2))
    assert prompts[-1].count(f"user: {FACTS[0]}") == 1


async def test_a_retry_sends_the_same_bytes(worker: Worker, gateway: Running, user: str) -> None:
    """The same request three times, with a new memory in between: three times the same body."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        talk = Conversation(client, extra_body=BUDGET)
        await talk.say(QUESTIONS[0])
        talk.messages.append({"role": "user", "content": QUESTIONS[1]})
        again: Any = {"model": MODEL, "messages": talk.messages, "extra_body": BUDGET}
        await client.chat.completions.create(**again)
        await tell(client, "My brother Olaf carves chess pieces too.")
        await client.chat.completions.create(**again)
        await client.chat.completions.create(**again)

    first, other, second, third = (received.body for received in worker.upstream.received[1:])
    assert b"chess pieces" in other
    assert FACTS[1] in json.loads(first)["messages"][-1]["content"]
    assert first == second == third


async def test_regenerating_sends_the_same_prompt(worker: Worker, gateway: Running, user: str) -> None:
    """The last answer is thrown away and asked for again: nothing is recalled anew, and the next turn goes on."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        talk = Conversation(client, extra_body=BUDGET)
        await talk.say(QUESTIONS[0])
        await talk.say(QUESTIONS[1])
        talk.messages.pop()
        worker.says = lambda body: "Another answer."
        await talk.go_on()
        await talk.say(QUESTIONS[2])

    prompts = worker.prompts
    assert prompts[1] == prompts[2]
    assert_only_grows(prompts)


async def test_an_edited_history_keeps_what_stands_before_the_edit(worker: Worker, gateway: Running, user: str) -> None:
    """Turn three is written anew: turns one and two are replayed as they were, and the new turn recalls for itself."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        talk = Conversation(client, extra_body=BUDGET)
        for question in QUESTIONS[:4]:
            await talk.say(question)
        del talk.messages[4:]
        await talk.say(QUESTIONS[6])

    prompts = worker.prompts
    assert prompts[4].startswith(prompts[1])
    assert FACTS[6] in prompts[4]


async def test_two_branches_each_only_grow(worker: Worker, gateway: Running, user: str) -> None:
    """A conversation that goes on in two ways, turn by turn in parallel: neither disturbs the other."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        trunk = Conversation(client, extra_body=BUDGET)
        for question in QUESTIONS[:2]:
            await trunk.say(question)
        left, right = (Conversation(client, extra_body=BUDGET) for _ in range(2))
        left.messages, right.messages = list(trunk.messages), list(trunk.messages)
        for at in range(2, 8, 2):
            await left.say(QUESTIONS[at])
            await right.say(QUESTIONS[at + 1])

    prompts = worker.prompts
    assert_only_grows(prompts[1:2] + prompts[2::2])
    assert_only_grows(prompts[1:2] + prompts[3::2])


async def test_a_question_in_the_middle_of_a_tool_loop_only_grows(worker: Worker, gateway: Running, user: str) -> None:
    """A user who interrupts a tool loop with another message does not undo what was recalled before."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        talk = Conversation(client, tools=TOOLS, extra_body=BUDGET)
        await talk.say(QUESTIONS[0])
        call = talk.messages[-1]["tool_calls"][0]
        talk.messages.append({"role": "tool", "tool_call_id": call["id"], "content": "Sunny."})
        await talk.say(QUESTIONS[1])

    before, after = worker.prompts
    assert FACTS[0] in before
    assert after.startswith(before)


async def test_content_arrays_only_grow(worker: Worker, gateway: Running, user: str) -> None:
    """Messages made of parts: the recalled text is a part of its own, and it is replayed."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        worker.upstream.received.clear()
        talk = Conversation(client, extra_body=BUDGET)
        for question in QUESTIONS[:5]:
            await talk.say([{"type": "text", "text": question}])

    assert_only_grows(worker.prompts)
    assert worker.bodies[0]["messages"][-1]["content"][1] == {"type": "text", "text": QUESTIONS[0]}


async def test_the_headers_count_what_went_in(worker: Worker, gateway: Running, user: str) -> None:
    """x-mneme-count is the number of lines in the turn's block, x-mneme-tokens its size within the budget."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await taught(client, gateway)
        talk = Conversation(client, extra_body=BUDGET)
        for question in QUESTIONS[:5]:
            talk.messages.append({"role": "user", "content": question})
            raw = await client.chat.completions.with_raw_response.create(
                model=MODEL, messages=talk.messages, extra_body=BUDGET
            )
            talk.messages.append({"role": "assistant", "content": "Fine."})
            last = worker.bodies[-1]["messages"][-1]["content"]
            print(f"{raw.headers['x-mneme-tokens']:>5} tokens in {raw.headers['x-mneme-count']} memories: {question}")

            assert len(re.findall(r"^\[.*?\] user: ", last, re.M)) == int(raw.headers["x-mneme-count"])
            assert abs(int(raw.headers["x-mneme-tokens"]) - (len(last) - len(question)) / 4) <= 2


async def test_what_the_history_says_is_not_recalled(worker: Worker, gateway: Running, user: str) -> None:
    """A fact told earlier in the same conversation is not put into the prompt a second time."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client, extra_body=BUDGET)
        await talk.say(FACTS[0])
        await talk.say("Hm.")
        await gateway.indexed()
        await talk.say(QUESTIONS[0])

    assert worker.prompts[-1].count(FACTS[0]) == 1
