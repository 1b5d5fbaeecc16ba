"""Messages, and the prompt that they become. Pure; refuses what is not a conversation.

The template is a line `<|role|>` and the text, message after message, and at the end `<|assistant|>` and a line break.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.reader.errors import malformed


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `text` is its string content, or its text parts joined by line breaks; `calls` its tool calls, each
    as `name(arguments)`."""

    role: str
    text: str
    calls: tuple[str, ...] = ()


def messages(value: Any) -> tuple[Message, ...]:
    """The body's `messages`; Refusal unless it is a list of at least one message."""
    if not isinstance(value, list) or not value:
        raise malformed("`messages` must be a list of at least one message.", "messages")
    return tuple(_message(item, f"messages[{index}]") for index, item in enumerate(value))


def render(conversation: Sequence[Message], *, go_on: bool) -> str:
    """The whole prompt. `go_on`: the last message is to be continued, so nothing follows its text."""
    parts = [f"<|{m.role}|>\n" + "\n".join([m.text, *m.calls] if m.text else m.calls) for m in conversation]
    return "\n".join(parts if go_on else [*parts, "<|assistant|>\n"])


def _message(item: Any, place: str) -> Message:
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        raise malformed(f"`{place}` must be an object with a `role`.", "messages")
    calls = item.get("tool_calls") or []
    if not isinstance(calls, list):
        raise malformed(f"`{place}.tool_calls` must be a list.", "messages")
    return Message(item["role"], _text(item.get("content"), place), tuple(_call(call, place) for call in calls))


def _text(content: Any, place: str) -> str:
    """Parts that are not text (images, audio) are accepted and not read."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise malformed(f"`{place}.content` must be a string or a list of parts.", "messages")
    texts = [part["text"] for part in content if "text" in part]
    if not all(isinstance(text, str) for text in texts):
        raise malformed(f"`{place}.content` has a text part without text.", "messages")
    return "\n".join(texts)


def _call(call: Any, place: str) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise malformed(f"`{place}.tool_calls` must hold function calls.", "messages")
    return f"{function['name']}({function.get('arguments') or ''})"
