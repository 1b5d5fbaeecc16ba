"""A chat completion's body to its answer, and the answer in the shapes of the wire."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.reader.chat import complete
from workers.reader.errors import Refusal
from workers.reader.reply import Json

MESSAGES = [
    {"role": "system", "content": "Ada keeps bees in Riga."},
    {"role": "user", "content": "Where does Ada keep bees?"},
]
ANSWER = "I quote:\n- Ada keeps bees in Riga."
TOOLS = [
    {"type": "function", "function": {"name": "sleep"}},
    {"type": "function", "function": {"name": "look", "parameters": {"properties": {"at": {"type": "string"}}}}},
]


def body(**more: Any) -> bytes:
    """The body of a request that Riga answers."""
    return orjson.dumps({"messages": MESSAGES, **more})


def whole(**more: Any) -> Any:
    """The answer as one object."""
    return complete(body(**more), 1000).whole("id", 0)


def chunks(**more: Any) -> list[Json]:
    """The answer's chunks."""
    return list(complete(body(stream=True, **more), 1000).chunks("id", 0))


def refusal(raw: bytes, window: int = 1000) -> Any:
    """The error object that a body gets."""
    with pytest.raises(Refusal) as refused:
        complete(raw, window)
    return refused.value.body()["error"]


def spelt(stream: list[Json], index: int = 0) -> str:
    """The content that a choice's chunks spell."""
    choices = [choice for chunk in stream for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_the_model_may_be_left_out() -> None:
    """vLLM serves its only model then; so does the reader, and it says which."""
    assert whole()["model"] == "mneme-reader"


def test_the_answer_stands_in_the_message() -> None:
    """As one object: role, content, why it ended, and no tool calls."""
    choice = whole()["choices"][0]

    assert choice["message"] == {"role": "assistant", "content": ANSWER, "refusal": None, "tool_calls": []}
    assert choice["finish_reason"] == "stop"


def test_usage_adds_up_over_all_choices() -> None:
    """The prompt counts once, what was written counts per choice."""
    one, three = whole()["usage"], whole(n=3)["usage"]

    assert three["prompt_tokens"] == one["prompt_tokens"]
    assert three["completion_tokens"] == 3 * one["completion_tokens"]
    assert three["total_tokens"] == three["prompt_tokens"] + three["completion_tokens"]


@given(st.integers(1, 40), st.lists(st.sampled_from(["Riga", "a k", "s\n", "."]), max_size=2), st.booleans())
def test_a_stream_spells_the_whole_answer(limit: int, stop: list[str], keep: bool) -> None:
    """Whatever cuts it: the chunks of each choice joined are the message, and both end for the same reason."""
    options: Json = {"n": 2, "max_tokens": limit, "stop": stop, "include_stop_str_in_output": keep}
    stream, choices = chunks(**options), whole(**options)["choices"]

    assert [spelt(stream, index) for index in (0, 1)] == [choice["message"]["content"] for choice in choices]
    assert [c["choices"][0]["finish_reason"] for c in stream[-2:]] == [choice["finish_reason"] for choice in choices]


def test_a_stream_begins_with_the_role_and_ends_with_the_reason() -> None:
    """Role, several pieces, finish; the choices of one answer side by side."""
    stream = chunks(n=2)

    assert stream[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["index"] for chunk in stream[:4]] == [0, 1, 0, 1]
    assert len(stream) > 8
    assert stream[-1]["choices"][0] == {
        "index": 1,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
        "stop_reason": None,
    }


def test_usage_is_streamed_only_on_request() -> None:
    """Without stream options no chunk carries usage; with them the last one does, and it has no choices."""
    assert not any("usage" in chunk for chunk in chunks())
    assert chunks(stream_options={"include_usage": True})[-1] == {
        "id": "chatcmpl-id",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "mneme-reader",
        "choices": [],
        "usage": whole()["usage"],
    }


def test_continuous_usage_grows_to_the_whole() -> None:
    """Every chunk says how much was written by then."""
    stream = chunks(stream_options={"include_usage": True, "continuous_usage_stats": True})
    written = [chunk["usage"]["completion_tokens"] for chunk in stream]

    assert written[0] == 0
    assert written == sorted(written)
    assert written[-1] == whole()["usage"]["completion_tokens"]


def test_the_prompt_is_shown_on_request() -> None:
    """return_prompt_text: in the object, and in the first chunk only."""
    prompt = "<|system|>\nAda keeps bees in Riga.\n<|user|>\nWhere does Ada keep bees?\n<|assistant|>\n"

    assert whole(return_prompt_text=True)["prompt_text"] == prompt
    assert [chunk.get("prompt_text") for chunk in chunks(return_prompt_text=True)][:2] == [prompt, None]


def test_a_stop_string_is_named() -> None:
    """vLLM says in stop_reason which one it was."""
    choice = whole(stop="Riga")["choices"][0]

    assert (choice["message"]["content"], choice["stop_reason"]) == (ANSWER.partition("Riga")[0], "Riga")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_length_ends_the_answer(name: str) -> None:
    """Both spellings limit, and the reason says so."""
    choice = whole(**{name: 4})["choices"][0]

    assert (choice["message"]["content"], choice["finish_reason"]) == ("I quote:\n-", "length")


def test_a_required_tool_is_called_with_fitting_arguments() -> None:
    """The first tool, its strings filled with the best sentence."""
    choice = whole(tools=TOOLS[1:], tool_choice="required")["choices"][0]
    call = choice["message"]["tool_calls"][0]

    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (
        "look",
        {"at": "Ada keeps bees in Riga."},
    )


def test_a_named_tool_is_called() -> None:
    """The one that tool_choice names, and as in vLLM the reason stays "stop"; no parameters are no arguments."""
    choice = whole(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "sleep"}})["choices"][0]

    assert choice["finish_reason"] == "stop"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "sleep", "arguments": "{}"}


def test_tools_that_need_not_be_called_are_ignored() -> None:
    """The reader never decides to call one."""
    assert whole(tools=TOOLS, tool_choice="auto")["choices"][0]["message"]["content"] == ANSWER


def test_a_streamed_call_is_opened_and_then_filled() -> None:
    """Name and id first, the arguments in pieces under the same index."""
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(tools=TOOLS[1:], tool_choice="required")]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]

    assert (calls[0]["function"]["name"], calls[0]["type"], calls[0]["index"]) == ("look", "function", 0)
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"at": "Ada keeps bees in Riga."}


def test_a_json_schema_shapes_the_answer() -> None:
    """response_format: the content is an object of that schema."""
    shape = {"type": "object", "properties": {"place": {"type": "string"}, "sure": {"type": "boolean"}}}
    format = {"type": "json_schema", "json_schema": {"name": "Answer", "schema": shape}}

    assert json.loads(whole(response_format=format)["choices"][0]["message"]["content"]) == {
        "place": "Ada keeps bees in Riga.",
        "sure": False,
    }


def test_a_json_object_is_some_object() -> None:
    """Without a schema the answer is its only member."""
    content = whole(response_format={"type": "json_object"})["choices"][0]["message"]["content"]

    assert json.loads(content) == {"answer": "Ada keeps bees in Riga."}


def test_another_model_is_not_found() -> None:
    """vLLM's body, with an integer code."""
    assert refusal(body(model="gpt-5")) == {
        "message": "The model `gpt-5` does not exist.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }


def test_a_prompt_that_is_too_long_is_refused() -> None:
    """The length names the window, what was asked for and what the prompt has."""
    error = refusal(body(max_tokens=50), window=60)

    assert error["message"].startswith("This model's maximum context length is 60 tokens. However, you asked for 50")
    assert (error["type"], error["param"], error["code"]) == ("BadRequestError", "input_tokens", 400)


def test_a_prompt_that_fills_the_window_leaves_no_room() -> None:
    """Without max_tokens there must be room for one token, and the answer ends where the window does."""
    prompt = whole()["usage"]["prompt_tokens"]

    assert refusal(body(), window=prompt)["param"] == "input_tokens"
    assert complete(body(), prompt + 2).choices[0].written.tokens == 2


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff", b"[]", b"null", b'"x"', b"[" * 5000, b'{"messages": "\\ud800"}', b"{}"],
    ids=["empty", "cut", "not utf-8", "list", "null", "string", "deep", "surrogate", "no messages"],
)
def test_a_body_that_is_none_is_a_bad_request(raw: bytes) -> None:
    """Malformed bodies are named after the HTTP phrase, as vLLM does."""
    error = refusal(raw)

    assert (error["type"], error["code"]) == ("Bad Request", 400)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": 1},
        {"stream": "yes"},
        {"n": True},
        {"n": 0},
        {"n": 1000},
        {"stop": 5},
        {"stop": [1]},
        {"stop": ""},
        {"max_tokens": "7"},
        {"max_tokens": 0},
        {"stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_usage": 1}},
        {"tool_choice": "required"},
        {"tool_choice": {"function": {"name": "fly"}}, "tools": TOOLS},
        {"tool_choice": "required", "tools": ["look"]},
        {"response_format": {"type": "json_schema"}},
        {"response_format": "json"},
        {"return_prompt_text": "yes"},
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    """A wrong type or value is the caller's error, and `param` says where."""
    error = refusal(body(**wrong))

    assert (error["code"], bool(error["param"])) == (400, True)


def test_a_null_option_is_as_good_as_none() -> None:
    """Clients send null for what they leave open."""
    nulls = ("model", "n", "stop", "max_tokens", "stream", "stream_options", "tools", "tool_choice", "response_format")

    assert whole(**dict.fromkeys(nulls)) == whole()
