"""The official Python client sees no difference: the worker directly, the gateway with memory off, and with it on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionToolParam
from pydantic import BaseModel

from gateway.memory.records import Scope
from gateway.settings import LOCAL_KEY
from tests.e2e.sdk import sdk
from tests.e2e.worker import MODEL, Worker
from tests.support.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO: Any = [{"role": "user", "content": "Hello, my sister Ada keeps bees in Riga."}]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
Call = Callable[[AsyncOpenAI], Awaitable[Any]]
Alike = Callable[[Call], Awaitable[Any]]


class Person(BaseModel):
    """What the parse helper is asked for."""

    name: str
    hives: int


@pytest.fixture
def alike(worker: Worker, gateway: Running, user: str) -> Alike:
    """Makes a call on all three ways, asserts that it gives the same, and returns it."""

    async def compare(call: Call) -> Any:
        url = f"{gateway.url}/v1"
        async with AsyncExitStack() as stack:
            direct = await call(await stack.enter_async_context(sdk(worker.url)))
            off = await call(await stack.enter_async_context(sdk(url, x_mneme_memory="off")))
            on = await call(await stack.enter_async_context(sdk(url, x_mneme_user=user)))
        assert off == direct
        assert on == direct
        return direct

    return compare


async def test_a_completion_is_the_same(alike: Alike) -> None:
    """chat.completions.create, with two choices."""

    async def call(client: AsyncOpenAI) -> Any:
        return (await client.chat.completions.create(model=MODEL, messages=HELLO, n=2)).model_dump()

    assert len((await alike(call))["choices"]) == 2


async def test_a_stream_is_the_same(alike: Alike) -> None:
    """stream=True: the same chunks, the usage chunk included."""

    async def call(client: AsyncOpenAI) -> Any:
        stream = await client.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        return [chunk.model_dump() async for chunk in stream]

    assert (await alike(call))[-1]["usage"]["total_tokens"] == 12


async def test_the_stream_helper_gives_the_same_events(alike: Alike) -> None:
    """.stream() with its accumulated final completion."""

    async def call(client: AsyncOpenAI) -> Any:
        async with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_completion()
        return kinds, final.choices[0].message.content

    assert (await alike(call))[1] == "Understood, that was message 1."


async def test_tool_calls_are_the_same(alike: Alike) -> None:
    """A tool call in one piece."""

    async def call(client: AsyncOpenAI) -> Any:
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS)
        return answer.choices[0].model_dump()

    assert (await alike(call))["finish_reason"] == "tool_calls"


async def test_streamed_tool_calls_are_the_same(alike: Alike) -> None:
    """A tool call whose arguments come in pieces, put together by the client."""

    async def call(client: AsyncOpenAI) -> Any:
        async with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=TOOLS) as stream:
            final = await stream.get_final_completion()
        calls = final.choices[0].message.tool_calls or []
        return [(c.id, c.function.name, c.function.arguments) for c in calls]

    assert json.loads((await alike(call))[0][2]) == {"city": "Riga"}


async def test_a_tool_loop_ends_the_same(alike: Alike) -> None:
    """The call's result goes back, the answer comes."""

    async def call(client: AsyncOpenAI) -> Any:
        messages = list(HELLO)
        first = await client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        asked = first.choices[0].message
        messages.append(asked.model_dump(exclude_unset=True))
        messages += [{"role": "tool", "tool_call_id": c.id, "content": "Sunny."} for c in asked.tool_calls or ()]
        second = await client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        return second.choices[0].message.content

    assert await alike(call) == "Understood, that was message 3."


async def test_parse_gives_the_same_object(alike: Alike) -> None:
    """.parse() with a pydantic model."""

    async def call(client: AsyncOpenAI) -> Any:
        answer = await client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Person)
        return answer.choices[0].message.parsed

    assert await alike(call) == Person(name="Ada", hives=3)


async def test_the_other_endpoints_are_the_same(alike: Alike) -> None:
    """Embeddings, models, legacy completions and responses pass through."""

    async def call(client: AsyncOpenAI) -> Any:
        return [
            (await client.embeddings.create(model=MODEL, input="bees", encoding_format="float")).model_dump(),
            [model.model_dump() async for model in client.models.list()],
            (await client.completions.create(model=MODEL, prompt="My sister keeps bees")).model_dump(),
            (await client.responses.create(model=MODEL, input="Hello")).output_text,
        ]

    assert (await alike(call))[-1] == "Hello."


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (418, openai.APIStatusError),
    ],
)
async def test_a_worker_error_keeps_its_class(alike: Alike, status: int, kind: type[openai.APIStatusError]) -> None:
    """The worker's refusal raises the class that its status stands for, with the worker's own body."""

    async def call(client: AsyncOpenAI) -> Any:
        with pytest.raises(kind) as caught:
            await client.chat.completions.create(model=f"error-{status}", messages=HELLO)
        return type(caught.value), caught.value.body

    assert (await alike(call))[1]["message"] == f"The worker says {status}."


async def test_an_unknown_key_is_an_authentication_error(gateway: Running) -> None:
    """The gateway's own refusal is one that the client knows, with OpenAI's code."""
    async with sdk(f"{gateway.url}/v1", key="somebody-elses") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model=MODEL, messages=HELLO)

    assert caught.value.code == "invalid_api_key"


async def test_a_bad_memory_option_is_a_bad_request(gateway: Running, worker: Worker) -> None:
    """It names the option, and the worker is not asked."""
    async with sdk(f"{gateway.url}/v1") as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model=MODEL, messages=HELLO, extra_body={"memory": {"policy": "nope"}})

    assert (caught.value.param, worker.bodies) == ("memory.policy", [])


async def test_the_memory_object_is_stripped(gateway: Running, worker: Worker) -> None:
    """extra_body={"memory": …} is for the gateway; the worker's other extras stay."""
    async with sdk(f"{gateway.url}/v1") as client:
        await client.chat.completions.create(
            model=MODEL, messages=HELLO, extra_body={"memory": {"tokens": 0}, "top_k": 7}
        )

    assert worker.bodies[0] == {"messages": HELLO, "model": MODEL, "top_k": 7} | {
        "cache_salt": worker.bodies[0]["cache_salt"]
    }


async def test_raw_headers_tell_what_memory_did(gateway: Running, user: str) -> None:
    """with_raw_response shows mode, count, tokens, milliseconds and the trace."""
    async with sdk(f"{gateway.url}/v1") as client:
        raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, user=user)

    told = {name: value for name, value in raw.headers.items() if name.startswith("x-mneme-")}
    assert told["x-mneme-mode"] == "on"
    assert told["x-mneme-count"] == told["x-mneme-tokens"] == "0"
    assert float(told["x-mneme-ms"]) > 0
    assert (await gateway.services.sessions.find_trace("local", told["x-mneme-trace"])) is not None


@pytest.mark.parametrize(
    "named",
    [
        lambda user: {"extra_headers": {"X-Mneme-User": user}},
        lambda user: {"user": user},
        lambda user: {"safety_identifier": user},
        lambda user: {"metadata": {"user_id": user}},
    ],
    ids=["header", "user", "safety_identifier", "metadata"],
)
async def test_the_user_may_be_named_in_four_ways(
    gateway: Running, user: str, named: Callable[[str], dict[str, Any]]
) -> None:
    """Each of them files the turn under that user."""
    async with sdk(f"{gateway.url}/v1") as client:
        await client.chat.completions.create(model=MODEL, messages=HELLO, **named(user))
    await gateway.indexed()

    assert await gateway.services.memories.count(Scope("local", user)) == 1


async def test_the_sync_client_works_too(gateway: Running) -> None:
    """Whole and streamed, from a thread that knows no event loop."""

    def talk() -> tuple[str | None, str]:
        with OpenAI(base_url=f"{gateway.url}/v1", api_key=LOCAL_KEY, max_retries=0) as client:
            whole = client.chat.completions.create(model=MODEL, messages=HELLO)
            stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            pieces = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        return whole.choices[0].message.content, pieces

    whole, streamed = await asyncio.to_thread(talk)

    assert whole == streamed == "Understood, that was message 1."
