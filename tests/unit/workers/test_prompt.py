"""How messages become the reader's prompt."""

from typing import Any

import pytest

from workers.reader.errors import Refusal
from workers.reader.prompt import Message, messages, render


def test_the_template_is_a_role_line_and_the_text() -> None:
    """Message after message, and at the end the assistant's turn."""
    conversation = messages([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}])

    assert render(conversation, go_on=False) == "<|system|>\nBe kind.\n<|user|>\nHi\n<|assistant|>\n"


def test_a_final_message_can_be_continued() -> None:
    """Nothing follows the text that is to go on."""
    conversation = messages([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}])

    assert render(conversation, go_on=True) == "<|user|>\nHi\n<|assistant|>\nWell,"


def test_text_parts_are_joined_and_others_ignored() -> None:
    """A content array is read for its text; pictures are accepted."""
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    content = [{"type": "text", "text": "one"}, picture, {"type": "text", "text": "two"}]

    assert messages([{"role": "user", "content": content}]) == (Message("user", "one\ntwo"),)


def test_tool_calls_stand_in_the_prompt() -> None:
    """A message without content shows its calls."""
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at":"bees"}'}}
    conversation = messages([{"role": "assistant", "content": None, "tool_calls": [call]}])

    assert render(conversation, go_on=True) == '<|assistant|>\nlook({"at":"bees"})'


def test_an_unknown_role_is_rendered_as_it_is() -> None:
    """Roles are names; the template knows none."""
    assert render(messages([{"role": "narrator", "content": "x"}]), go_on=True) == "<|narrator|>\nx"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "hello",
        ["hello"],
        [{"content": "no role"}],
        [{"role": 1, "content": "x"}],
        [{"role": "user", "content": 5}],
        [{"role": "user", "content": ["x"]}],
        [{"role": "user", "content": [{"type": "text", "text": 5}]}],
        [{"role": "assistant", "tool_calls": "x"}],
        [{"role": "assistant", "tool_calls": [{"function": {}}]}],
    ],
)
def test_what_is_no_conversation_is_refused(value: Any) -> None:
    """Wrong types are the caller's error, never a crash."""
    with pytest.raises(Refusal) as refused:
        messages(value)

    assert refused.value.status == 400
