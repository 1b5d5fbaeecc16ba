"""Chunks → the message they spell, once the answer has ended. Never raises: what cannot be read is an error inside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.wire.sse import events


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answer's choices, whole."""

    index: int
    content: str
    reasoning: str
    refusal: str
    calls: tuple[Call, ...]
    finish: str | None


@dataclass(frozen=True, slots=True)
class Folded:
    """An answer. `error`: it holds an error object, or something unreadable. `done`: it ended as it should."""

    choices: tuple[Choice, ...]
    id: str
    model: str
    usage: Mapping[str, Any]
    error: bool
    done: bool


@dataclass(slots=True)
class _Draft:
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[list[Any]] = field(default_factory=list)  # [stream index, id, name, arguments so far]
    finish: str | None = None


@dataclass(slots=True)
class _Answer:
    drafts: dict[int, _Draft] = field(default_factory=dict)
    id: str = ""
    model: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    error: bool = False
    done: bool = False

    def take(self, payload: bytes, key: str) -> None:
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            chunk = None
        if not isinstance(chunk, dict) or chunk.get("error"):
            self.error = True
            return
        self.id = self.id or _string(chunk.get("id"))
        self.model = self.model or _string(chunk.get("model"))
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        for position, choice in enumerate(_dicts(chunk.get("choices"))):
            index = choice.get("index")
            draft = self.drafts.setdefault(index if isinstance(index, int) else position, _Draft())
            _add(draft, choice.get(key))
            draft.finish = _string(choice.get("finish_reason")) or draft.finish

    def folded(self) -> Folded:
        choices = tuple(
            Choice(
                index,
                "".join(draft.content),
                "".join(draft.reasoning),
                "".join(draft.refusal),
                tuple(Call(id, name, "".join(arguments)) for _, id, name, arguments in draft.calls),
                draft.finish,
            )
            for index, draft in sorted(self.drafts.items())
        )
        return Folded(choices, self.id, self.model, self.usage, self.error, self.done)


def fold_stream(raw: bytes) -> Folded:
    """A captured stream of server-sent events, whole or cut. A last event that was cut in its middle is no error."""
    answer = _Answer()
    payloads = list(events(raw))
    whole = raw.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))
    for position, payload in enumerate(payloads):
        if payload.strip() == b"[DONE]":
            answer.done = True
        elif whole or position < len(payloads) - 1 or _is_json(payload):
            answer.take(payload, "delta")
    return answer.folded()


def fold_json(raw: bytes) -> Folded:
    """The body of an answer that was not streamed."""
    answer = _Answer()
    answer.take(raw, "message")
    answer.done = not answer.error
    return answer.folded()


def _is_json(payload: bytes) -> bool:
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return True


def _add(draft: _Draft, delta: Any) -> None:
    if not isinstance(delta, dict):
        return
    draft.content.append(_string(delta.get("content")))
    # vLLM says `reasoning` now and said `reasoning_content` before; a proxy in between may send both.
    draft.reasoning.append(_string(delta.get("reasoning")) or _string(delta.get("reasoning_content")))
    draft.refusal.append(_string(delta.get("refusal")))
    for call in _dicts(delta.get("tool_calls")):
        _add_call(draft.calls, call)


def _add_call(calls: list[list[Any]], call: dict[str, Any]) -> None:
    """Pieces belong together by index; some servers leave the index out, or use it again for another call."""
    id, index = _string(call.get("id")), call.get("index")
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    name = _string(function.get("name"))
    place = None if name and not id and index is None else _find(calls, id, index)
    if place is None:
        place = [index, id, "", []]
        calls.append(place)
    place[1] = place[1] or id
    place[2] = place[2] or name
    place[3].append(_string(function.get("arguments")))


def _find(calls: list[list[Any]], id: str, index: Any) -> list[Any] | None:
    place: list[Any]
    for place in reversed(calls):
        other_call = bool(id and place[1] and id != place[1])
        same_place = place[0] == index if index is not None else not id
        if not other_call and (same_place or id == place[1] != ""):
            return place
    return None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
