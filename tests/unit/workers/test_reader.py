"""The reader as a process, asked by the official client over a real socket."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.support.reader import MODEL, ROOT, Reader, spawned_reader

MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Ada keeps bees in Riga."},
    {"role": "user", "content": "Where does Ada keep bees?"},
]
ANSWER = "I quote:\n- Ada keeps bees in Riga."


class Place(BaseModel):
    """What a client may want to parse."""

    name: str
    visited: bool


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """One reader for all tests here that leave it running."""
    with spawned_reader("--max-model-len", "1000") as running:
        yield running


@pytest.fixture
def client(reader: Reader) -> Iterator[openai.OpenAI]:
    """The official client."""
    with openai.OpenAI(base_url=reader.url, api_key="none", max_retries=0) as client:
        yield client


def test_the_client_lists_the_model(client: openai.OpenAI) -> None:
    """And the window that was chosen on the command line."""
    model = client.models.list().data[0]

    assert (model.id, model.model_extra and model.model_extra["max_model_len"]) == (MODEL, 1000)


def test_the_client_is_answered(client: openai.OpenAI) -> None:
    """Several choices in one object."""
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, n=2)

    assert [choice.message.content for choice in answer.choices] == [ANSWER, ANSWER]


def test_the_client_streams(client: openai.OpenAI) -> None:
    """The accumulated stream is the answer, with its usage."""
    with client.chat.completions.stream(
        model=MODEL,
        messages=MESSAGES,
        stream_options={"include_usage": True},
    ) as stream:
        answer = stream.get_final_completion()

    assert answer.choices[0].message.content == ANSWER
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_the_client_parses(client: openai.OpenAI) -> None:
    """A pydantic model as response format comes back as an instance of it."""
    answer = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Place)

    assert answer.choices[0].message.parsed == Place(name="Ada keeps bees in Riga.", visited=False)


def test_the_client_streams_a_tool_call_and_parses_it(client: openai.OpenAI) -> None:
    """The pieces of a call make arguments that the tool's model accepts."""
    with client.chat.completions.stream(
        model=MODEL,
        messages=MESSAGES,
        tools=[openai.pydantic_function_tool(Place)],
        tool_choice="required",
    ) as stream:
        answer = stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls

    assert calls is not None
    assert calls[0].function.parsed_arguments == Place(name="Ada keeps bees in Riga.", visited=False)


def test_the_client_completes_text(client: openai.OpenAI) -> None:
    """The older route, streamed."""
    prompt = "Ada keeps bees in Riga. Where does Ada keep bees?"
    stream = client.completions.create(model=MODEL, prompt=prompt, max_tokens=50, stream=True)

    assert "".join(chunk.choices[0].text for chunk in stream) == ANSWER


def test_the_client_sees_a_long_prompt_refused(client: openai.OpenAI) -> None:
    """As its own class of error, with the body's fields."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "bee " * 2000}])

    assert (refused.value.type, refused.value.param) == ("BadRequestError", "input_tokens")


def test_the_client_sees_an_unknown_model_refused(client: openai.OpenAI) -> None:
    """404, as from vLLM."""
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-5", messages=MESSAGES)


def test_closing_stdin_ends_it() -> None:
    """So does the death of whoever holds the other end."""
    with spawned_reader() as reader:
        assert reader.process.stdin is not None
        reader.process.stdin.close()

        assert reader.process.wait(20) == 0


def test_sigterm_ends_it_cleanly() -> None:
    """Without a traceback and as a success."""
    with spawned_reader() as reader:
        reader.process.send_signal(signal.SIGTERM)

        assert reader.process.wait(20) == 0


@pytest.mark.slow
def test_a_stream_that_is_under_way_does_not_hold_it_up() -> None:
    """It gets a few seconds to end, then it is cut."""
    request = {"messages": MESSAGES, "stream": True}
    with (
        spawned_reader("--delay", "60") as reader,
        httpx.stream("POST", f"{reader.url}/chat/completions", json=request) as answer,
    ):
        reader.process.send_signal(signal.SIGTERM)

        assert (answer.status_code, reader.process.wait(20)) == (200, 0)


def test_it_dies_with_a_parent_that_is_killed() -> None:
    """kill -9 of the parent closes the pipe, and the port is free again."""
    parent = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-m', 'workers.reader', '--follow-stdin'], stdin=subprocess.PIPE); "
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("reader ready ")
        process.kill()

        assert process.stdout.read() == ""  # the pipe ends when the last process that could write to it has gone
