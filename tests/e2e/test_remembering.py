"""The main job: a plain SDK loop is told something, and another conversation knows it. Nobody else does."""

from pathlib import Path

import pytest
from openai import AsyncOpenAI

from gateway.memory.records import Scope
from tests.e2e.sdk import Conversation, sdk, tell
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

FACT = "My sister Ada keeps bees in Riga."
QUESTION = "Where does my sister Ada keep her bees?"


async def stream(client: AsyncOpenAI, text: str) -> str:
    """One streamed message in a conversation of its own; the reply's text."""
    pieces = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], stream=True
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in pieces])


async def test_a_new_session_knows_what_an_old_one_was_told(worker: Worker, gateway: Running, user: str) -> None:
    """Told in a conversation, indexed, asked in another one: the worker's prompt holds it."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client, system="You are kind.")
        await talk.say("Hello!")
        await talk.say(FACT)
        await talk.say("Thank you.")
        await gateway.indexed()
        await tell(client, QUESTION)

    assert FACT in worker.prompts[-1]
    assert worker.prompts[-1].count("<|user|>") == 1


async def test_the_next_request_already_knows(worker: Worker, gateway: Running, user: str) -> None:
    """Read your writes: ten facts, each asked for at once, none waiting for the writer."""
    names = ["Ada", "Olaf", "Miriam", "Jovan", "Noor", "Pekka", "Lucia", "Tomasz", "Yuki", "Zola"]
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        for number, name in enumerate(names):
            fact = f"My cousin {name} plays the {number + 2}-string guitar."
            await tell(client, fact)
            await tell(client, f"What does my cousin {name} play?")

            assert fact in worker.prompts[-1]


async def test_a_request_may_choose_to_leave_nothing(worker: Worker, gateway: Running, user: str) -> None:
    """Policy `none`, asked for by one request: the turn is neither journalled nor indexed, nor is anything recalled."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await tell(client, FACT, extra_body={"memory": {"policy": "none"}})
        await gateway.indexed()
        await tell(client, QUESTION)

    assert FACT not in worker.prompts[-1]
    assert [m.text for m in (await gateway.services.memories.browse(Scope("local", user))).items] in ([], [QUESTION])


async def test_a_streamed_turn_is_remembered_with_its_reply(worker: Worker, gateway: Running, user: str) -> None:
    """The stream's pieces are kept as the message that they spell."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        worker.says = lambda body: "Bees need a sunny place without wind."
        await stream(client, FACT)
        await gateway.indexed()
        await tell(client, QUESTION)

    assert f"{FACT} | assistant: Bees need a sunny place without wind." in worker.prompts[-1]


async def test_another_user_never_learns_it(worker: Worker, gateway: Running, user: str) -> None:
    """The same question by somebody else reaches the worker as it was asked."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await tell(client, FACT)
    await gateway.indexed()
    for other in (f"{user}x", user[:-1], user.upper(), "", "local"):
        async with sdk(f"{gateway.url}/v1", x_mneme_user=other) as client:
            await tell(client, QUESTION)

        assert FACT not in worker.prompts[-1]


async def test_memory_off_neither_reads_nor_writes(worker: Worker, gateway: Running, user: str) -> None:
    """X-Mneme-Memory: off says so, and leaves nothing behind."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await tell(client, FACT, extra_headers={"X-Mneme-Memory": "off"})
        await tell(client, QUESTION)

    assert FACT not in worker.prompts[-1]


async def test_read_does_not_write(worker: Worker, gateway: Running, user: str) -> None:
    """X-Mneme-Memory: read recalls and keeps nothing."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await tell(client, FACT)
        await tell(client, QUESTION, extra_headers={"X-Mneme-Memory": "read"})
    await gateway.indexed()

    assert FACT in worker.prompts[-1]
    assert await gateway.services.memories.count(Scope("local", user)) == 1


async def test_write_does_not_read(worker: Worker, gateway: Running, user: str) -> None:
    """X-Mneme-Memory: write keeps, and leaves the prompt alone."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        await tell(client, FACT)
        await tell(client, QUESTION, extra_headers={"X-Mneme-Memory": "write"})
    await gateway.indexed()

    assert FACT not in worker.prompts[-1]
    assert await gateway.services.memories.count(Scope("local", user)) == 2


async def test_a_history_sent_again_adds_only_what_is_new(worker: Worker, gateway: Running, user: str) -> None:
    """Ten turns of a client that resends everything are ten memories of one session."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client)
        for number in range(10):
            await talk.say(f"Fact {number}: my locker at station {number} has colour {number * 7}.")
    await gateway.indexed()
    page = await gateway.services.memories.browse(Scope("local", user), limit=200)

    assert sorted(m.text for m in page.items) == sorted(
        f"Fact {n}: my locker at station {n} has colour {n * 7}." for n in range(10)
    )
    assert len({m.session for m in page.items}) == 1


async def test_system_and_tool_text_is_not_learned(worker: Worker, gateway: Running, user: str) -> None:
    """Only what the user and the assistant said is kept."""
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client, system="The operator likes turquoise curtains.")
        talk.messages += [
            {"role": "user", "content": "Is it open?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "The museum sells turquoise umbrellas."},
        ]
        await talk.go_on()
    await gateway.indexed()
    page = await gateway.services.memories.browse(Scope("local", user))

    assert [m.text for m in page.items] == ["Is it open?"]
    assert "turquoise" not in repr(page)


async def test_an_interrupted_turn_is_one_memory(worker: Worker, gateway: Running, user: str) -> None:
    """A user who adds to a question while a tool still works is remembered once, in the same session."""
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    async with sdk(f"{gateway.url}/v1", x_mneme_user=user) as client:
        talk = Conversation(client)
        await talk.say("Is the museum open?", tools=tools)
        call = talk.messages[-1]["tool_calls"][0]
        talk.messages.append({"role": "tool", "tool_call_id": call["id"], "content": "Until six."})
        await talk.say("And the café?")
        await talk.say("Thank you.")
    await gateway.indexed()
    page = await gateway.services.memories.browse(Scope("local", user))

    assert sorted(m.text for m in page.items) == ["Is the museum open?\nAnd the café?", "Thank you."]
    assert len({m.session for m in page.items}) == 1


async def test_a_restart_keeps_everything(worker: Worker, tmp_path: Path, user: str) -> None:
    """What was told before the gateway ended is known after it has started again, and the conversation goes on."""
    async with running_gateway(tmp_path, worker.url) as first, sdk(f"{first.url}/v1", x_mneme_user=user) as client:
        await tell(client, FACT)
        talk = Conversation(client)
        await talk.say(QUESTION)
    before = worker.prompts[-1]
    async with running_gateway(tmp_path, worker.url) as second, sdk(f"{second.url}/v1", x_mneme_user=user) as client:
        talk.client = client
        await talk.say("And what else?")
        grown = worker.prompts[-1]
        await tell(client, "Who keeps bees in Riga?")

    assert FACT in before
    assert grown.startswith(before)
    assert FACT in worker.prompts[-1]
