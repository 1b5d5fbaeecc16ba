"""A chat completion's body: read once, cut and extended in place. Never re-encodes what it was not asked to change."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.errors import NotSpliceable
from gateway.wire import body, spans

Turns = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `text` is its string content, or its text parts joined by a line break.

    `others` counts the parts that are no text. `normal` is a canonical form for hashing: the same however the client
    spells it, and short, because of other parts it holds digests. `start`, `end` are its span in the body; `head` is
    where a user's content begins, None unless that is a string or an array, so that text can be put there.
    """

    role: str
    text: str
    others: int
    calls: bool
    normal: bytes
    start: int
    end: int
    head: int | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A body and what it says. `fields` is all of it, parsed; `members` tells where each of them stands."""

    raw: bytes
    fields: dict[str, Any]
    messages: tuple[Message, ...]
    members: Mapping[str, spans.Member]

    @property
    def model(self) -> str:
        """The model asked for; "" if that is not a string."""
        model = self.fields.get("model")
        return model if isinstance(model, str) else ""


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes to a body. `insert`: message index → text at the head of its content. `drop`: indexes of messages that
    leave. `without`: top-level members that leave. `add`: top-level members that come. `xargs`: keys that come into
    vllm_xargs, where the client has none of that name."""

    insert: Mapping[int, str] = field(default_factory=dict)
    drop: Sequence[int] = ()
    without: Sequence[str] = ()
    add: Mapping[str, str | int] = field(default_factory=dict)
    xargs: Mapping[str, str | int] = field(default_factory=dict)


def read(raw: bytes) -> ChatRequest:
    """The request; NotSpliceable when it is not an object with a non-empty list of messages that each have a role, when
    it or a user's message has two members of the same name, and when it is nested too deeply."""
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as unreadable:
        raise NotSpliceable(f"The body is not JSON: {unreadable.msg}.") from None
    parsed = fields.get("messages") if isinstance(fields, dict) else None
    if not isinstance(parsed, list) or not parsed:
        raise NotSpliceable("The body has no messages.", param="messages")
    if not all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in parsed):
        raise NotSpliceable("Every message is an object with a role.", param="messages")
    members = spans.members(raw, *body.extent(raw))
    place = members["messages"]
    places = spans.elements(raw, place.start, place.end)
    try:
        messages = tuple(_message(raw, message, *at) for message, at in zip(parsed, places, strict=True))
        return ChatRequest(raw, fields, messages, members)
    except orjson.JSONEncodeError:  # it reads deeper than it writes
        raise NotSpliceable("A message is nested too deeply.", param="messages") from None


def splice(request: ChatRequest, edits: Edits) -> bytes:
    """The body with the edits made; every byte that they do not concern stays as it was. ValueError if no message
    would be left."""
    dropped = set(edits.drop)
    if len(dropped & set(range(len(request.messages)))) >= len(request.messages):
        raise ValueError("a conversation needs at least one message")
    changes: list[body.Change] = []
    for index, text in edits.insert.items():
        message = request.messages[index]
        if index not in dropped and message.head is not None and text:
            changes.append(_insertion(request.raw, message.head, text))
    places = [(message.start, message.end) for message in request.messages]
    changes += [(start, end, b"") for start, end in _cuts(places, dropped)]
    changes += _member_changes(request, edits)
    return body.applied(request.raw, changes)


def user_turns(messages: Sequence[Message]) -> Turns:
    """Per turn the indexes of its first and last user message. A turn goes on until an assistant message without tool
    calls has answered it; user messages that follow each other unanswered are one turn."""
    turns: list[tuple[int, int]] = []
    answered = True
    for index, message in enumerate(messages):
        if message.role == "user":
            turns.append((index, index)) if answered else turns.append((turns.pop()[0], index))
            answered = False
        elif message.role == "assistant" and not message.calls:
            answered = True
    return tuple(turns)


def chains(messages: Sequence[Message], turns: Turns) -> tuple[str, ...]:
    """Per turn a 32-digit hash of the conversation up to and including its last user message.

    System and developer messages are left out: clients put the date into them, and it would be another conversation.
    """
    running = hashlib.blake2b(digest_size=16)
    found, at = [], 0
    for _, last in turns:
        for message in messages[at : last + 1]:
            if message.role not in ("system", "developer"):
                running.update(len(message.normal).to_bytes(8, "big") + message.normal)
        at = last + 1
        found.append(running.copy().hexdigest())
    return tuple(found)


def _message(raw: bytes, parsed: dict[str, Any], start: int, end: int) -> Message:
    content = parsed.get("content")
    text = _text(content)
    others = [_digest(part) for part in content if not _is_text(part)] if isinstance(content, list) else []
    return Message(
        role=parsed["role"],
        text=text,
        others=len(others),
        calls=bool(parsed.get("tool_calls") or parsed.get("function_call")),
        normal=_normal(parsed, text, others),
        start=start,
        end=end,
        head=_head(raw, start, end, content) if parsed["role"] == "user" else None,
    )


def _head(raw: bytes, start: int, end: int, content: Any) -> int | None:
    members = spans.members(raw, start, end)
    return members["content"].start if isinstance(content, str | list) else None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str))


def _normal(parsed: dict[str, Any], text: str, others: list[str]) -> bytes:
    named = {name: parsed[name] for name in ("tool_calls", "function_call", "tool_call_id") if parsed.get(name)}
    return orjson.dumps([parsed["role"], text, others, named], option=orjson.OPT_SORT_KEYS)


def _digest(part: Any) -> str:
    return hashlib.blake2b(orjson.dumps(part, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _insertion(raw: bytes, head: int, text: str) -> body.Change:
    """The change that puts `text` at the head of a message's content: before a string, or as a first part."""
    at = head + 1
    safe = text.encode("utf-8", "replace").decode()
    if raw[head] == ord("["):
        part = orjson.dumps({"type": "text", "text": safe})
        return at, at, part if raw[spans.skip_space(raw, at)] == ord("]") else part + b","
    return at, at, orjson.dumps(safe if raw[at] == ord('"') else safe + "\n\n")[1:-1]


def _member_changes(request: ChatRequest, edits: Edits) -> list[body.Change]:
    found = request.members
    gone = {index for index, name in enumerate(found) if name in edits.without}
    changes = [(start, end, b"") for start, end in _cuts([(m.at, m.end) for m in found.values()], gone)]
    inside, new = body.extended(request.raw, found, edits.xargs)
    if new or edits.add:
        text = orjson.dumps({**edits.add, **new})[1:-1]
        last = max(m.end for m in found.values())
        changes.append((last, last, (b"," if len(found) > len(gone) else b"") + text))
    return changes + inside


def _cuts(places: Sequence[tuple[int, int]], gone: set[int]) -> list[tuple[int, int]]:
    """Spans whose removal takes out the items `gone` of a list, each with one of the commas beside it."""
    cuts = []
    kept_before = False
    for index, (start, end) in enumerate(places):
        if index not in gone:
            kept_before = True
        elif kept_before:
            cuts.append((places[index - 1][1], end))
        else:
            cuts.append((start, places[index + 1][0] if index + 1 < len(places) else end))
    return cuts
