"""A chat body: what is read from it, what is refused, which turns it has and which hashes they get."""

from typing import Any

import orjson
import pytest

from gateway.errors import NotSpliceable
from gateway.wire import chat
from gateway.wire.chat import Edits


def user(content: Any, **more: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": content, **more}


def assistant(content: Any = None, **more: Any) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": content, **more}


CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
TOOL = {"role": "tool", "tool_call_id": "c1", "content": "42"}
SYSTEM = {"role": "system", "content": "Be brief."}


def body(*told: dict[str, Any], **fields: Any) -> bytes:
    """A request's body."""
    return orjson.dumps({"model": "m", **fields, "messages": told})


def turns(*told: dict[str, Any]) -> chat.Turns:
    """The conversation's turns."""
    return chat.user_turns(chat.read(body(*told)).messages)


def chains(*told: dict[str, Any]) -> tuple[str, ...]:
    """The conversation's hashes."""
    request = chat.read(body(*told))
    return chat.chains(request.messages, chat.user_turns(request.messages))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"messages":[]}',
        b'{"messages":{}}',
        b'{"messages":null}',
        b'{"messages":["hi"]}',
        b'{"messages":[{}]}',
        b'{"messages":[{"role":1}]}',
        b'{"messages":[{"role":"user","content":"\xff"}]}',
        b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"role":"user","content":"a\x00b"}]}',
        b'\xef\xbb\xbf{"messages":[{"role":"user","content":"a"}]}',
        b'{"messages":[{"role":"user","content":"a"}],"seed":NaN}',
        b'{"messages":[{"role":"user","content":"a"}],"seed":1e400}',
        b'{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]}',
        b'{"model":"a","messages":[{"role":"user","content":"a"}],"model":"b"}',
        b'{"messages":[{"role":"user","content":"a","content":"b"}]}',
        b'{"messages":[{"role":"system","role":"user","content":"a"}]}',
        b'{"messages":[{"role":"user","content":"a"}]} {}',
    ],
)
def test_what_cannot_be_rewritten_safely_is_refused(raw: bytes) -> None:
    """Malformed, not a conversation, or ambiguous: NotSpliceable, so that the worker judges it."""
    with pytest.raises(NotSpliceable):
        chat.read(raw)


@pytest.mark.parametrize("depth", [250, 300, 900, 1100, 100_000])
@pytest.mark.parametrize("place", ["part", "call", "tools", "key"])
def test_nesting_is_read_or_refused_at_any_depth(place: str, depth: int) -> None:
    """Wherever it stands, deep nesting ends in NotSpliceable and in no other error."""
    deep = b"[" * depth + b"]" * depth
    message = {
        "part": b'{"role":"user","content":[%s]}' % deep,
        "call": b'{"role":"assistant","tool_calls":%s}' % deep,
        "tools": b'{"role":"user","content":"a"}',
        "key": b'{"role":"user","content":"a","x":%s}' % deep,
    }[place]
    raw = b'{"messages":[%s],"tools":%s}' % (message, deep if place == "tools" else b"[]")
    try:
        request = chat.read(raw)
    except NotSpliceable:
        return

    assert depth <= 1024
    assert chat.splice(request, Edits(insert={0: "x"}, without=("memory",))) == raw.replace(
        b'"content":"a"', b'"content":"x\\n\\na"'
    ).replace(b'"content":[', b'"content":[{"type":"text","text":"x"},')


def test_a_null_character_passes_where_it_is_escaped() -> None:
    """JSON can spell NUL, and it stays spelled as it was."""
    raw = b'{"messages":[{"role":"user","content":"a\\u0000b"}]}'

    assert chat.splice(chat.read(raw), Edits(insert={0: "x"})) == raw.replace(b'"a', b'"x\\n\\na')


def test_fields_that_typed_gateways_lose_keep_their_bytes() -> None:
    """content: null, strict tools, big and odd numbers, unknown members: none is re-encoded."""
    raw = (
        b'{"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"b":1,"a":1.0}}}],\n'
        b'"messages":[{"role":"assistant","content":null,"tool_calls":[]},{"content":"q","role":"user"}],'
        b'"seed":12345678901234567890123,"temperature":0.1000,"vllm_xargs":{"x":[1E5]}}'
    )
    edited = chat.splice(chat.read(raw), Edits(insert={1: "M"}, add={"cache_salt": "s"}))

    assert edited == raw.replace(b'"content":"q"', b'"content":"M\\n\\nq"')[:-1] + b',"cache_salt":"s"}'


@pytest.mark.parametrize("content", [[], [{"type": "image_url", "image_url": {"url": "data:x"}}]])
def test_text_becomes_the_first_part_of_an_array(content: list[Any]) -> None:
    """Pictures stay as they are; nothing is flattened."""
    edited = chat.splice(chat.read(body(user(content))), Edits(insert={0: "M"}))

    assert orjson.loads(edited)["messages"][0]["content"] == [{"type": "text", "text": "M"}, *content]


@pytest.mark.parametrize("message", [assistant("a"), {"role": "user"}, user(None), user(7), user({"a": 1})])
def test_text_goes_nowhere_else(message: dict[str, Any]) -> None:
    """Only a user's string or array takes text in."""
    request = chat.read(body(message))

    assert chat.splice(request, Edits(insert={0: "M"})) == request.raw


def test_a_lone_surrogate_in_the_inserted_text_does_no_harm() -> None:
    """It becomes a question mark: JSON has no way to spell it."""
    edited = chat.splice(chat.read(body(user("q"))), Edits(insert={0: "a\ud800"}))

    assert orjson.loads(edited)["messages"][0]["content"] == "a?\n\nq"


def test_a_conversation_is_never_emptied() -> None:
    """Dropping every message is a mistake of the caller."""
    with pytest.raises(ValueError, match="at least one"):
        chat.splice(chat.read(body(user("a"), user("b"))), Edits(drop=(0, 1)))


def test_the_last_member_can_leave_while_another_comes() -> None:
    """The commas come out right when everything but the messages is replaced."""
    raw = b'{"memory":{"tokens":1},"messages":[{"role":"user","content":"a"}],"user":"u"}'
    edited = chat.splice(chat.read(raw), Edits(without=("memory", "user"), add={"cache_salt": "s"}))

    assert edited == b'{"messages":[{"role":"user","content":"a"}],"cache_salt":"s"}'


def test_keys_come_into_vllm_xargs_beside_what_is_there() -> None:
    """Together with every other edit; where there is no such member it comes at the end, after what was added."""
    there = b'{"memory":{},"messages":[{"role":"user","content":"a"}],"vllm_xargs":{"x":1}}'
    edits = Edits(insert={0: "M"}, without=("memory",), add={"cache_salt": "s"}, xargs={"kv_sink": 64})
    only = Edits(without=("memory", "vllm_xargs"), xargs={"kv_sink": 64})

    assert chat.splice(chat.read(there), edits) == (
        b'{"messages":[{"role":"user","content":"M\\n\\na"}],"vllm_xargs":{"kv_sink":64,"x":1},"cache_salt":"s"}'
    )
    bare = chat.read(there.replace(b',"vllm_xargs":{"x":1}', b""))
    assert chat.splice(bare, edits).endswith(b'],"cache_salt":"s","vllm_xargs":{"kv_sink":64}}')
    assert chat.splice(bare, only).endswith(b'],"vllm_xargs":{"kv_sink":64}}')


def test_a_model_that_is_no_string_is_nobody() -> None:
    """The worker will refuse it; we do not fail over it."""
    assert [chat.read(body(user("a"), model=m)).model for m in ("m", 3, None)] == ["m", "", ""]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}], "b"),
        ([{"type": "text"}, {"type": "text", "text": 3}, 7, None], ""),
        (None, ""),
        (7, ""),
    ],
)
def test_the_text_of_a_message_is_its_string_or_its_text_parts(content: Any, text: str) -> None:
    """Everything else in a content is no text."""
    assert chat.read(body(user(content))).messages[0].text == text


def test_parts_that_are_no_text_are_counted() -> None:
    """A picture counts, a text part does not."""
    content = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x" * 100_000}}]
    message = chat.read(body(user(content))).messages[0]

    assert (message.others, len(message.normal) < 200) == (1, True)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([user("a")], ((0, 0),)),
        ([user("a"), assistant("b"), user("c")], ((0, 0), (2, 2))),
        ([user("a"), user("b")], ((0, 1),)),
        ([SYSTEM, user("a"), assistant("b"), SYSTEM, user("c")], ((1, 1), (4, 4))),
        ([user("a"), assistant(tool_calls=CALLS), TOOL], ((0, 0),)),
        ([user("a"), assistant(tool_calls=CALLS), TOOL, assistant(tool_calls=CALLS), TOOL], ((0, 0),)),
        ([user("a"), assistant(tool_calls=CALLS), TOOL, assistant("b"), user("c")], ((0, 0), (4, 4))),
        ([user("a"), assistant(tool_calls=CALLS), user("never mind")], ((0, 2),)),
        ([user("a"), assistant(tool_calls=[]), user("b")], ((0, 0), (2, 2))),
        ([user("a"), assistant(function_call={"name": "f"}), user("b")], ((0, 2),)),
        ([assistant("hello"), user("a")], ((1, 1),)),
        ([SYSTEM, assistant("hello")], ()),
    ],
)
def test_a_turn_lasts_until_it_is_answered(told: list[dict[str, Any]], expected: chat.Turns) -> None:
    """Unanswered user messages are one turn; the steps of a tool loop belong to the turn that began it."""
    assert turns(*told) == expected


def test_the_chains_of_an_answered_prefix_are_a_prefix_of_the_chains() -> None:
    """What is said later never changes the hash of a turn that was answered."""
    told = [SYSTEM, user("a"), assistant(tool_calls=CALLS), TOOL, assistant("b"), user("c"), assistant("d"), user("e")]

    assert chains(*told[:2]) == chains(*told)[:1]
    assert chains(*told[:6]) == chains(*told)[:2]


def test_each_step_of_a_tool_loop_is_the_same_turn() -> None:
    """Calls and results come after the user's message, so its hash stays."""
    told = [user("a"), assistant(tool_calls=CALLS), TOOL, assistant(tool_calls=CALLS), TOOL]

    assert chains(*told[:1]) == chains(*told[:3]) == chains(*told)


@pytest.mark.parametrize(
    "other",
    [
        [user([{"type": "text", "text": "a"}]), assistant("b"), user("c")],
        [{"content": "a", "role": "user"}, {"content": "b", "role": "assistant"}, user("c")],
        [user("a"), assistant("b", refusal=None, tool_calls=None, annotations=[], reasoning="hm"), user("c")],
        [user("a"), assistant("b", tool_calls=[]), user("c", name="Bob")],
        [{"role": "system", "content": "It is Monday."}, user("a"), assistant("b"), SYSTEM, user("c")],
    ],
    ids=["parts", "key order", "answer's extras", "empty calls", "system prompts"],
)
def test_spelling_does_not_make_another_conversation(other: list[dict[str, Any]]) -> None:
    """Clients send the same words back in another form, and put the date into the system prompt."""
    assert chains(*other) == chains(user("a"), assistant("b"), user("c"))


@pytest.mark.parametrize(
    "other",
    [
        [user("A"), assistant("b"), user("c")],
        [user("a"), assistant("B"), user("c")],
        [user("a"), user("b"), user("c")],
        [user("ab"), assistant(""), user("c")],
        [user("a"), assistant("b"), user([{"type": "text", "text": "c"}, {"type": "image_url", "image_url": {}}])],
        [user("a"), assistant(tool_calls=CALLS), {**TOOL, "content": "43"}, assistant("b"), user("c")],
        [user("a"), assistant(tool_calls=CALLS), TOOL, assistant("b"), user("c")],
        [user("a"), assistant(tool_calls=CALLS), {**TOOL, "tool_call_id": "c2"}, assistant("b"), user("c")],
    ],
)
def test_other_words_make_another_conversation(other: list[dict[str, Any]]) -> None:
    """Whatever was said differently, the last hash differs from all of these."""
    told = [user("a"), assistant("b"), user("c")]

    assert chains(*other)[-1] != chains(*told)[-1]


def test_another_picture_makes_another_conversation() -> None:
    """Parts that are no text count by what they hold."""
    one, two = ([{"type": "image_url", "image_url": {"url": url}}] for url in ("data:1", "data:2"))

    assert chains(user(one)) != chains(user(two))
