"""An answer in the shapes of the wire: one object, or the chunks of a stream. Pure; never knows how it was found."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal
from uuid import uuid4

from workers.reader.options import MODEL, Options
from workers.reader.writing import Written, pieces

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice. `function` is the name of the function that it calls with its text as arguments, if it calls one."""

    written: Written
    finish: str
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `prompt_text` is the rendered prompt, if the client asked for it."""

    kind: Literal["chat", "text"]
    options: Options
    prompt_tokens: int
    choices: tuple[Choice, ...]
    prompt_text: str | None = None

    def whole(self, id: str, created: int) -> Json:
        """The body of an answer that is not streamed. `created` in seconds since the epoch."""
        frame = self._frame(id, created, streamed=False)
        render = _chat_choice if self.kind == "chat" else _text_choice
        choices = [render(index, choice) for index, choice in enumerate(self.choices)]
        written = sum(choice.written.tokens for choice in self.choices)
        return {**frame, "choices": choices, "usage": self._usage(written), **self._prompt()}

    def chunks(self, id: str, created: int) -> Iterator[Json]:
        """The chunks of a stream, in the order in which they are sent."""
        frame = self._frame(id, created, streamed=True)
        first = self._prompt()
        for step in self._steps():
            usage = {"usage": self._usage(step.tokens)} if self.options.usage_always else {}
            yield {**frame, "choices": [step.choice], **usage, **first}
            first = {}
        if self.options.usage_last:
            yield {**frame, "choices": [], "usage": self._usage(sum(c.written.tokens for c in self.choices))}

    def _steps(self) -> Iterator["_Step"]:
        """Chunk by chunk, the choices side by side."""
        steps = _chat_steps if self.kind == "chat" else _text_steps
        for row in zip_longest(*(steps(index, choice) for index, choice in enumerate(self.choices))):
            yield from (step for step in row if step is not None)

    def _frame(self, id: str, created: int, *, streamed: bool) -> Json:
        if self.kind == "text":
            return {"id": f"cmpl-{id}", "object": "text_completion", "created": created, "model": MODEL}
        name = "chat.completion.chunk" if streamed else "chat.completion"
        return {"id": f"chatcmpl-{id}", "object": name, "created": created, "model": MODEL}

    def _usage(self, written: int) -> Json:
        total = self.prompt_tokens + written
        return {"prompt_tokens": self.prompt_tokens, "total_tokens": total, "completion_tokens": written}

    def _prompt(self) -> Json:
        return {} if self.prompt_text is None else {"prompt_text": self.prompt_text}


@dataclass(frozen=True, slots=True)
class _Step:
    """What one chunk says of one choice, and how many tokens the choice has by then."""

    choice: Json
    tokens: int


def _chat_choice(index: int, choice: Choice) -> Json:
    text = choice.written.text
    message = {
        "role": "assistant",
        "content": text if choice.function is None else None,
        "refusal": None,
        "tool_calls": [] if choice.function is None else [_call(choice.function, text)],
    }
    return {"index": index, "message": message, "logprobs": None, **_ending(choice)}


def _text_choice(index: int, choice: Choice) -> Json:
    return {"index": index, "text": choice.written.text, "logprobs": None, **_ending(choice)}


def _chat_steps(index: int, choice: Choice) -> Iterator[_Step]:
    """The role, the text or the call in pieces, the end."""
    yield _Step(_going_on(index, delta={"role": "assistant", "content": "" if choice.function is None else None}), 0)
    if choice.function is not None:
        yield _Step(_going_on(index, delta={"tool_calls": [{"index": 0, **_call(choice.function, "")}]}), 0)
    tokens = 0
    for piece, size in pieces(choice.written.text):
        tokens += size
        calls = [{"index": 0, "function": {"arguments": piece}}]
        yield _Step(
            _going_on(index, delta={"content": piece} if choice.function is None else {"tool_calls": calls}), tokens
        )
    yield _Step({"index": index, "delta": {}, "logprobs": None, **_ending(choice)}, choice.written.tokens)


def _text_steps(index: int, choice: Choice) -> Iterator[_Step]:
    tokens = 0
    for piece, size in pieces(choice.written.text):
        tokens += size
        yield _Step(_going_on(index, text=piece), tokens)
    yield _Step({"index": index, "text": "", "logprobs": None, **_ending(choice)}, choice.written.tokens)


def _going_on(index: int, **news: Any) -> Json:
    return {"index": index, **news, "logprobs": None, "finish_reason": None}


def _ending(choice: Choice) -> Json:
    return {"finish_reason": choice.finish, "stop_reason": choice.written.stopped}


def _call(function: str, arguments: str) -> Json:
    id = f"chatcmpl-tool-{uuid4().hex}"
    return {"id": id, "type": "function", "function": {"name": function, "arguments": arguments}}
